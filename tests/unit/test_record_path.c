/*
 * Names of identity records, where they are kept, and that the view of them is bounded and exact.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/auth_view.h"
#include "proto/placement.h"
#include "proto/request.h"
#include "proto/rows.h"

static bool
is_record(const char *tenant, const char *name)
{
    return record_path_is((struct path){bytes_of_text(tenant), bytes_of_text(name)});
}

static void
names_have_one_form(void **state)
{
    (void)state;
    assert_true(is_record("default", "_auth/policy/a"));
    assert_true(is_record(SYSTEM_TENANT, "_auth/token/0123.~_@:+=-Zz"));
    assert_false(is_record("_other", "_auth/policy/a"));
    assert_false(is_record("", "_auth/policy/a"));
    assert_false(is_record("default", "_auth/policy/"));
    assert_false(is_record("default", "_auth/policy"));
    assert_false(is_record("default", "_auth//a"));
    assert_false(is_record("default", "_auth/Policy/a"));
    assert_false(is_record("default", "_auth/policy/a/b"));
    assert_false(is_record("default", "_auth/policy/a b"));
    assert_false(is_record("default", "_auth/policy/\xc3\xa4"));
    assert_false(is_record("default", "_auth/policyofseventeen/a"));
    assert_false(is_record("default", "auth/policy/a"));
    assert_false(is_record("default", "_batch/policy/a"));
    assert_false(tenant_name_valid(bytes_of_text(SYSTEM_TENANT)));
    assert_false(secret_name_valid(bytes_of_text("_auth/policy/a")));
}

static void
keys_are_bounded(void **state)
{
    uint8_t memory[RECORD_NAME_BYTES_MAX], key[RECORD_KEY_BYTES_MAX + 1];
    struct bytes tenant = bytes_of_text("default"), kind = bytes_of_text("policy"), k, v;
    struct path path;
    (void)state;
    memset(key, 'k', sizeof(key));
    assert_int_equal(
        record_path_make(tenant, kind, bytes_of(key, RECORD_KEY_BYTES_MAX), memory, &path), OK);
    assert_true(record_path_is(path));
    record_path_split(path, &k, &v);
    assert_true(bytes_equal(k, kind));
    assert_int_equal(v.size, RECORD_KEY_BYTES_MAX);
    assert_int_equal(record_path_make(tenant, kind, bytes_of(key, sizeof(key)), memory, &path),
                     ERR_BAD_NAME);
    assert_int_equal(path.name.size, 0);
    assert_true(record_list_name_split(bytes_of_text("_auth/policy/"), &k, &v));
    assert_false(record_list_name_split(bytes_of_text("_auth/policy"), &k, &v));
}

static void
all_nodes_keep_them(void **state)
{
    struct cluster cluster = {.node_count = 9, .share_count = 3};
    struct placement placement;
    struct replicas replicas;
    (void)state;
    for (uint8_t i = 0; i < 9; i++)
        cluster.nodes[i].name[0] = (char)('a' + i);
    placement_init(&placement, &cluster);
    placement_replicas(&placement, (struct path){bytes_of_text("default"), bytes_of_text("a")},
                       &replicas);
    assert_int_equal(replicas.count, 3);
    assert_int_equal(replicas_majority(&replicas), 2);
    placement_replicas(&placement,
                       (struct path){bytes_of_text("default"), bytes_of_text("_auth/policy/a")},
                       &replicas);
    assert_int_equal(replicas.count, 9);
    assert_int_equal(replicas_majority(&replicas), 5);
    for (uint8_t i = 0; i < 9; i++)
        assert_int_equal(replicas_index(&replicas, i), i);
}

/* ---- the view ---- */

struct made {
    struct path path;
    struct buf head;
    struct path_row row;
};

static void
make(struct made *m, const char *name, uint64_t generation, const char *value,
     enum accepted_state state)
{
    struct head head = {.path = {bytes_of_text("default"), bytes_of_text(name)},
                        .generation = generation,
                        .kind = HEAD_INLINE,
                        .version = generation,
                        .oldest_version = generation,
                        .op_count = 1,
                        .changed_at_ms = generation,
                        .value = bytes_of_text(value)};
    head.prev[0] = generation > 1;
    head.op_id[0] = (uint8_t)generation;
    head.ops[0] = (struct op_result){.kind = *value == 0       ? CHANGE_DELETE
                                             : generation == 1 ? CHANGE_CREATE
                                                               : CHANGE_UPDATE,
                                     .version = generation,
                                     .at_ms = generation};
    head.ops[0].op_id[0] = (uint8_t)generation;
    *m = (struct made){.path = head.path};
    assert_int_equal(head_encode(&head, &m->head), OK);
    m->row = (struct path_row){.ballot = {.time = generation, .incarnation = 1},
                               .state = state,
                               .head = buf_bytes(&m->head)};
}

static void
set(struct auth_view *view, const char *name, uint64_t generation, const char *value,
    enum accepted_state state)
{
    struct made m;
    make(&m, name, generation, value, state);
    auth_view_set(view, m.path, &m.row);
    buf_close(&m.head);
}

static const char *const name_a = "_auth/policy/a";

static bool
value_is(const struct auth_view *view, const char *value)
{
    const struct auth_record *record =
        auth_view_get(view, bytes_of_text("default"), bytes_of_text("policy"), bytes_of_text("a"));
    if (!value)
        return record == NULL;
    return record && bytes_equal(buf_bytes(&record->value), bytes_of_text(value));
}

static bool
covers(const struct auth_view *view, const struct auth_view *other)
{
    uint8_t digests[RECORD_DIGESTS_BYTES];
    bool all = true;
    auth_view_digests(other, digests);
    for (unsigned i = 0; i < RECORD_GROUPS; i++)
        all = all && auth_view_covers(view, i, digests + (size_t)i * RECORD_DIGEST_BYTES);
    return all;
}

static void
only_chosen_heads_count(void **state)
{
    struct auth_view a, b;
    (void)state;
    assert_int_equal(auth_view_init(&a, 1), OK);
    assert_int_equal(auth_view_init(&b, 2), OK);
    assert_true(covers(&a, &b));
    set(&a, name_a, 1, "one", STATE_ACCEPTED);
    assert_true(value_is(&a, NULL));
    assert_false(covers(&a, &b)); /* it does not know its own */
    assert_false(covers(&b, &a)); /* and b lacks it */
    set(&a, name_a, 1, "one", STATE_CHOSEN);
    assert_true(value_is(&a, "one"));
    assert_true(covers(&a, &b)); /* what b has, a had before */
    assert_false(covers(&b, &a));
    set(&b, name_a, 1, "one", STATE_CHOSEN);
    assert_true(covers(&b, &a));
    set(&b, name_a, 2, "two", STATE_ACCEPTED);
    assert_true(value_is(&b, "one"));
    assert_false(covers(&a, &b));
    set(&b, name_a, 2, "two", STATE_CHOSEN);
    set(&b, name_a, 3, "", STATE_CHOSEN);
    assert_true(value_is(&b, NULL));
    assert_true(covers(&b, &a));
    assert_false(covers(&a, &b));
    auth_view_close(&a);
    auth_view_close(&b);
}

static void
what_is_read_late_changes_nothing(void **state)
{
    struct auth_view view;
    struct made old;
    (void)state;
    assert_int_equal(auth_view_init(&view, 1), OK);
    make(&old, name_a, 1, "one", STATE_CHOSEN);
    set(&view, name_a, 2, "two", STATE_CHOSEN);
    auth_view_load(&view, old.path, &old.row);
    assert_true(value_is(&view, "two"));
    buf_close(&old.head);
    auth_view_close(&view);
}

static void
what_does_not_fit_breaks_it(void **state)
{
    struct auth_view view;
    (void)state;
    assert_int_equal(auth_view_init(&view, 1), OK);
    assert_true(auth_view_has_room(&view, 100));
    view.value_bytes = AUTH_BYTES_MAX - AUTH_BYTES_RESERVE;
    assert_false(auth_view_has_room(&view, 100));
    set(&view, name_a, 1, "one", STATE_CHOSEN);
    assert_false(view.broken); /* what the others have made is taken */
    view.value_bytes = AUTH_BYTES_MAX - 1;
    set(&view, "_auth/policy/b", 1, "two", STATE_CHOSEN);
    assert_true(view.broken);
    memset(&view.admin, 7, sizeof(view.admin));
    auth_view_close(&view);
    assert_int_equal(view.admin.key[0] | view.admin.tag[0], 0); /* keys are wiped */
}

static void
each_byte_of_a_key(void **state)
{
    static const char good[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._~@:+=-";

    (void)state;
    for (unsigned byte = 0; byte < 256; byte++) {
        uint8_t key[] = {'k', (uint8_t)byte, 'y'};
        bool valid = byte != 0 && strchr(good, (int)byte) != NULL;
        assert_int_equal(record_key_valid(bytes_of(key, sizeof(key))), valid);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_have_one_form),
        cmocka_unit_test(keys_are_bounded),
        cmocka_unit_test(each_byte_of_a_key),
        cmocka_unit_test(all_nodes_keep_them),
        cmocka_unit_test(only_chosen_heads_count),
        cmocka_unit_test(what_is_read_late_changes_nothing),
        cmocka_unit_test(what_does_not_fit_breaks_it),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
