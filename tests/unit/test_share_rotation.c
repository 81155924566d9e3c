/* When an old share key may be destroyed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actors/share_rotation.h"

/* Three nodes, n1's view; its newest key is 7, and everybody is up to date. */
struct view {
    struct cluster cluster;
    struct membership members;
    struct share_rotation rotation;
};

static const struct duration settle = {10000u * UINT64_C(1000000)};

static struct instant
at_ms(uint64_t ms)
{
    return (struct instant){ms * 1000000};
}

static void
look_all(struct view *v, uint64_t ms)
{
    v->members.looked_at = at_ms(ms);
    for (unsigned i = 1; i < 3; i++)
        v->members.members[i].looked_at = at_ms(ms);
}

static void
view_init(struct view *v)
{
    *v = (struct view){.cluster = {.node_count = 3, .share_count = 3, .threshold = 2}};
    membership_init(&v->members, &v->cluster, 0);
    v->members.members[0].share_key.id = 7;
    for (unsigned i = 1; i < 3; i++) {
        v->members.members[i].connected = true;
        v->members.members[i].knows_key_id = 7;
    }
}

static uint64_t
destroyable(struct view *v, uint64_t ms)
{
    return share_rotation_destroyable(&v->rotation, &v->members, at_ms(ms), settle);
}

static void
test_after_everybody_has_looked(void **state)
{
    struct view v;
    (void)state;
    view_init(&v);
    assert_int_equal(destroyable(&v, 1000), 0); /* nobody has looked since */
    look_all(&v, 11000);
    assert_int_equal(destroyable(&v, 11500),
                     0); /* the look began with requests of before on their way */
    look_all(&v, 11001);
    assert_int_equal(destroyable(&v, 11500), 7);
}

static void
test_somebody_has_not_looked(void **state)
{
    struct view v;
    (void)state;
    for (unsigned late = 0; late < 3; late++) {
        view_init(&v);
        assert_int_equal(destroyable(&v, 1000), 0);
        look_all(&v, 12000);
        if (late == 0)
            v.members.looked_at = at_ms(5000);
        else
            v.members.members[late].looked_at = at_ms(5000);
        assert_int_equal(destroyable(&v, 13000), 0);
    }
}

static void
test_boxes_hold_their_keys(void **state)
{
    struct view v;
    (void)state;
    view_init(&v);
    assert_int_equal(destroyable(&v, 1000), 0);
    look_all(&v, 12000);
    v.members.members[2].keeps_box_of_key_id = 4;
    assert_int_equal(destroyable(&v, 13000), 4);
    v.members.members[0].oldest_box_key_id = 3; /* this node's own escrow counts as well */
    assert_int_equal(destroyable(&v, 13000), 3);
}

static void
test_a_node_that_is_away_or_does_not_know(void **state)
{
    struct view v;
    (void)state;
    view_init(&v);
    assert_int_equal(destroyable(&v, 1000), 0);
    look_all(&v, 12000);
    v.members.members[1].connected = false;
    assert_int_equal(destroyable(&v, 13000), 0);
    v.members.members[1].connected = true; /* back: the time starts anew */
    assert_int_equal(destroyable(&v, 14000), 0);
    look_all(&v, 24001);
    assert_int_equal(destroyable(&v, 24500), 7);
    v.members.members[2].knows_key_id = 6;
    assert_int_equal(destroyable(&v, 25000), 0);
}

static void
test_a_newer_key_starts_anew(void **state)
{
    struct view v;
    (void)state;
    view_init(&v);
    assert_int_equal(destroyable(&v, 1000), 0);
    look_all(&v, 12000);
    assert_int_equal(destroyable(&v, 13000), 7);
    v.members.members[0].share_key.id = 8;
    for (unsigned i = 1; i < 3; i++)
        v.members.members[i].knows_key_id = 8;
    assert_int_equal(destroyable(&v, 14000), 0);
}

static void
test_alone(void **state)
{
    struct view v;
    (void)state;
    view_init(&v);
    v.cluster.node_count = 1;
    assert_int_equal(destroyable(&v, 1000), 0);
    v.members.looked_at = at_ms(11001);
    assert_int_equal(destroyable(&v, 12000), 7);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_after_everybody_has_looked),
        cmocka_unit_test(test_somebody_has_not_looked),
        cmocka_unit_test(test_boxes_hold_their_keys),
        cmocka_unit_test(test_a_node_that_is_away_or_does_not_know),
        cmocka_unit_test(test_a_newer_key_starts_anew),
        cmocka_unit_test(test_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
