/* What one shard store refuses to write, and what it makes of a disk that fails it. */
#include "shard_probe.h"

#include <stdio.h>

/* ---- writes that are refused ---- */

static void
test_write_that_is_not_for_here(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(1, 1);
    struct msg m = p->writes[0];
    m.u.write.config_hash[0] ^= 1;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_CONFIG);
    assert_int_equal(write_refusal(p, 1, &p->writes[0]), REFUSED_DRIFT); /* another's ballot */
    m = p->writes[0];
    m.u.write.ballot.time = (ac_wall_ms(p->ac, SELF) + 61000) << 16;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DRIFT);
    m = p->writes[0];
    m.u.write.incarnations.of[1] = 0; /* not a voter's only: any replica's */
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_INCARNATION);
    m.u.write.incarnations.count = 2;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_INCARNATION);
    m = p->writes[0];
    m.path = ac_path("b");
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    assert_int_equal(state_of(p, "b"), STATE_ABSENT);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 0);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    probe_free(p);
}

static void
test_write_that_does_not_fit_together(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(2, 2);
    struct msg m = p->writes[0];
    m.u.write.version = p->writes[1].u.write.version;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.dealing = p->writes[1].u.write.dealing;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.boxes = p->writes[1].u.write.boxes;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.boxes = (struct bytes){0}; /* its own box is needed */
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.version = m.u.write.dealing = m.u.write.boxes = (struct bytes){0};
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    probe_free(p);
}

static void
spoil_commitment(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->share_commitments[SELF][0] ^= 1;
}

static void
spoil_box(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head;
    uint8_t *box = arena_alloc(arena, dealing->boxes[SELF].size);
    memcpy(box, dealing->boxes[SELF].data, dealing->boxes[SELF].size);
    box[dealing->boxes[SELF].size - 1] ^= 1;
    dealing->boxes[SELF] = bytes_of(box, dealing->boxes[SELF].size);
    hash_bytes(dealing->boxes[SELF], dealing->box_hashes[SELF]);
}

/* Well dealt and boxed, but another's share. */
static void
spoil_swap(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->boxes[SELF] = dealing->boxes[1];
    memcpy(dealing->box_hashes[SELF], dealing->box_hashes[1], HASH_BYTES);
}

static void
spoil_cluster(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)dealing, (void)arena;
    head->cluster_id[0] ^= 1;
}

static void
test_write_with_a_wrong_dealing(void **state)
{
    (void)state;
    static spoil_fn *const spoils[] = {spoil_commitment, spoil_box,       spoil_swap,
                                       spoil_recipients, spoil_threshold, spoil_cluster};
    struct probe *p = probe_with_writes(3, 1);
    struct arena arena;
    struct msg m;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        remake(p, &p->writes[0], spoils[i], &arena, &m);
        assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    }
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    remake(p, &p->writes[0], spoil_nothing, &arena, &m);
    assert_true(bytes_equal(m.u.write.head, p->writes[0].u.write.head));
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_NONE);
    arena_close(&arena);
    probe_free(p);
}

/* ---- disks ---- */

static void
test_refused_for_want_of_room_is_refused_for_good(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(20, 1);
    p->ac->nodes[SELF].disk_full = true;
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_DISK_FULL);
    p->ac->nodes[SELF].disk_full = false;
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_BALLOT); /* a second copy */
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    struct msg again = p->writes[0];
    again.u.write.ballot.time++;
    assert_int_equal(write_refusal(p, 0, &again), REFUSED_NONE);
    probe_free(p);
}

/*
 * A path that is surely new is voted on without a look at the disk; one that is not, is looked up.
 */
static void
test_new_path_is_not_looked_up(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(24, 1);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    struct msg read = {.kind = MSG_READ, .path = ac_path("a")};
    read.u.read.credential = bytes_of_text(ac_token);
    for (unsigned life = 0; life < 2; life++) {
        struct msg v = vote(p, life == 0 ? "b" : "c", 1, 1000);
        assert_int_equal(ask(p, 1, &read, MSG_STATE)->u.state.accepted.state, STATE_ACCEPTED);
        p->ac->nodes[SELF].reads_fail = true;
        const struct msg *m = ask(p, 1, &v, MSG_VOTED);
        if (life > 0) { /* the floor is what could have been promised before */
            assert_int_equal(m->u.voted.refusal, REFUSED_FLOOR);
            v.u.vote.ballot.time = m->u.voted.beat.time + 1;
            m = ask(p, 1, &v, MSG_VOTED);
        }
        assert_int_equal(m->u.voted.refusal, REFUSED_NONE);
        p->ac->nodes[SELF].reads_fail = false;
        ac_crash(p->ac, SELF);
        ac_start(p->ac, SELF); /* what is there is read again */
        ac_run_ms(p->ac, 1500);
    }
    probe_free(p);
}

/* A damaged path row is never "nothing there", for any question. */
static void
test_corrupt_path_row(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(21, 1);
    struct row_key key;
    row_key_path(ac_path("a"), &key);
    ac_put(p->ac, SELF, &key, bytes_of_text("rubbish"));
    ac_crash(p->ac, SELF);
    ac_start(p->ac, SELF);
    ac_run_ms(p->ac, 1000);
    struct msg v = vote(p, "a", 1, 3000);
    assert_int_equal(vote_refusal(p, 1, &v), REFUSED_CORRUPT);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_CORRUPT);
    struct msg read = {.kind = MSG_READ, .path = ac_path("a")};
    read.u.read.credential = bytes_of_text(ac_token);
    assert_int_equal(ask(p, 1, &read, MSG_STATE)->u.state.refusal, REFUSED_CORRUPT);
    struct msg list = {.kind = MSG_LIST, .path = ac_path("a")};
    list.u.list.limit = 10;
    list.u.list.credential = bytes_of_text(ac_token);
    assert_int_equal(ask(p, 1, &list, MSG_VERSIONS)->u.versions.refusal, REFUSED_CORRUPT);
    struct msg take = chosen(&p->writes[0], true, 3);
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    struct bytes value;
    assert_true(ac_get(p->ac, SELF, &key, &value));
    assert_true(bytes_equal(value, bytes_of_text("rubbish")));
    assert_true(p->ac->nodes[SELF].metrics.counters[METRIC_records_corrupt] > 0);
    probe_free(p);
}

/*
 * An entry whose promise is what its row tells leaves memory and no floor behind; and when the row
 * has rotted, nobody knows what was promised.
 */
static void
test_promise_on_a_row_that_rots(void **state)
{
    (void)state;
    enum { PATHS = 4 };
    struct probe *p = probe_new(35, PATHS);
    struct row_key key;
    char name[16];
    ac_run_ms(p->ac, 3000);
    assert_int_equal(ac_create(p->ac, 0, "a", "value 1")->reply.err, OK);
    ac_run_ms(p->ac, 20);
    struct msg v = vote(p, "a", 0, 0);
    v.u.vote.ballot = p->writes[0].u.write.ballot;
    assert_int_equal(vote_refusal(p, 0, &v), REFUSED_NONE);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    ac_run_ms(p->ac, 1000);
    row_key_path(ac_path("a"), &key);
    ac_put(p->ac, SELF, &key, bytes_of_text("rubbish"));
    for (unsigned i = 0; i < 2 * PATHS; i++) {
        snprintf(name, sizeof(name), "other%u", i);
        struct msg other = vote(p, name, 1, -1300);
        assert_int_equal(vote_refusal(p, 1, &other), REFUSED_NONE);
    }
    v = vote(p, "a", 1, 0);
    struct msg lower = vote(p, "b", 1, -1200);
    assert_int_equal(vote_refusal(p, 1, &v), REFUSED_CORRUPT);
    assert_int_equal(vote_refusal(p, 1, &lower), REFUSED_FLOOR);
    probe_free(p);
}

static bool
keeps_no_row(void *context, enum maybe_site site)
{
    (void)context;
    return site == MAYBE_no_offer || site == MAYBE_row_no_memory;
}

/* A row that is whole, and for which there is no memory just then, is no damage. */
static void
test_path_row_without_memory(void **state)
{
    (void)state;
    static const struct maybe oracle = {NULL, keeps_no_row};
    struct probe *p = probe_with_writes(33, 1);
    struct ac_node *n = &p->ac->nodes[SELF];
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    ac_crash(p->ac, SELF);
    p->ac->maybe = &oracle;
    ac_start(p->ac, SELF);
    ac_run_ms(p->ac, 1500);
    struct msg v = vote(p, "a", 1, 3000);
    assert_int_equal(vote_refusal(p, 1, &v), REFUSED_BUSY);
    ac_run_ms(p->ac, 3000);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_DOUBT), 0);
    assert_int_equal(node_incarnation(n->node), 1);
    assert_int_equal(n->metrics.counters[METRIC_records_corrupt], 0);
    p->ac->maybe = &ac_votes_only;
    const struct msg *voted = ask(p, 1, &v, MSG_VOTED);
    assert_int_equal(voted->u.voted.refusal, REFUSED_FLOOR); /* the row is read, at last */
    v.u.vote.ballot.time = voted->u.voted.beat.time + 1;
    voted = ask(p, 1, &v, MSG_VOTED);
    assert_int_equal(voted->u.voted.refusal, REFUSED_NONE);
    assert_int_equal(voted->u.voted.accepted.state, STATE_ACCEPTED);
    probe_free(p);
}

/* Steps of node 2 have memory for so much, and for a little more each time, until it is enough. */
static void
ask_with_little_memory(struct probe *p, const struct msg *msg, enum accepted_state until)
{
    struct arena *arena = &p->ac->nodes[SELF].arena;
    size_t enough = arena->limit;
    uint8_t id[ID_BYTES];
    struct path_row row;
    struct head head;
    bool done = false;
    if (msg->kind == MSG_WRITE)
        record_id(msg->u.write.head, id);
    else
        memcpy(id, msg->u.chosen.head_id, ID_BYTES);
    for (size_t limit = 0; !done; limit += 16) {
        uint8_t accepted[ID_BYTES] = {0};
        assert_true(limit < enough);
        arena->limit = limit;
        tell(p, 0, msg);
        ac_run_ms(p->ac, 2);
        arena->limit = enough;
        if (ac_path_row(p->ac, SELF, "a", &row, &head))
            record_id(row.head, accepted);
        done = memcmp(accepted, id, ID_BYTES) == 0 && row.state == until;
    }
}

/* For want of memory a message is refused, or as if it had been lost; no batch lacks a part. */
static void
test_without_memory(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(32, 2);
    for (size_t i = 0; i < 2; i++) {
        struct msg some = chosen(&p->writes[i], false, 3), all = chosen(&p->writes[i], false, 7);
        ask_with_little_memory(p, &p->writes[i], STATE_ACCEPTED);
        assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), i + 1);
        assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
        ask_with_little_memory(p, i == 0 ? &all : &some, STATE_CHOSEN);
        assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), i);
    }
    probe_free(p);
}

/* What a message that came to nothing would have done is neither counted nor told. */
static void
test_erasure_without_memory(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(34, 1);
    const struct metrics *metrics = &p->ac->nodes[SELF].metrics;
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    assert_int_equal(ac_delete(p->ac, 0, "a")->reply.err, OK);
    assert_int_equal(p->caught_count, 2);
    uint64_t accepted = metrics->counters[METRIC_writes_accepted];
    ask_with_little_memory(p, &p->writes[1], STATE_ACCEPTED);
    assert_int_equal(metrics->counters[METRIC_writes_accepted], accepted + 1);
    struct msg gone = chosen(&p->writes[1], false, 7);
    ask_with_little_memory(p, &gone, STATE_CHOSEN);
    assert_int_equal(metrics->counters[METRIC_paths_erased], 1);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 0);
    probe_free(p);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_that_is_not_for_here),
        cmocka_unit_test(test_write_that_does_not_fit_together),
        cmocka_unit_test(test_write_with_a_wrong_dealing),
        cmocka_unit_test(test_refused_for_want_of_room_is_refused_for_good),
        cmocka_unit_test(test_new_path_is_not_looked_up),
        cmocka_unit_test(test_corrupt_path_row),
        cmocka_unit_test(test_promise_on_a_row_that_rots),
        cmocka_unit_test(test_path_row_without_memory),
        cmocka_unit_test(test_without_memory),
        cmocka_unit_test(test_erasure_without_memory),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
