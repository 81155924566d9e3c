/*
 * Changes without a new version: states of single versions, retention, metadata. First as a
 * function of a head, then in whole clusters, with nodes that miss the change and come back.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "proto/alteration.h"

/* ---- of a head ---- */

static struct head
live_head(uint64_t oldest, uint64_t latest)
{
    struct head head = {.path = ac_path("a"),
                        .generation = latest + 1,
                        .kind = HEAD_LIVE,
                        .version = latest,
                        .oldest_version = oldest,
                        .op_count = 1,
                        .changed_at_ms = 1000};
    head.prev[0] = 1;
    head.op_id[0] = 9;
    head.ops[0] = (struct op_result){.kind = CHANGE_ALTER, .version = latest, .at_ms = 1000};
    head.ops[0].op_id[0] = 9;
    return head;
}

static enum vault_err
apply(const struct alteration *a, struct head *head)
{
    struct buf memory = {0};
    enum vault_err err = alteration_apply(a, 5000, head, &memory);
    buf_close(&memory);
    return err;
}

/* Encodes, decodes, and compares what alterations make. */
static void
assert_recodes(const struct head *head)
{
    struct buf out = {0}, again = {0};
    struct head back;
    assert_int_equal(head_encode(head, &out), OK);
    assert_int_equal(head_decode(buf_bytes(&out), &back), OK);
    assert_int_equal(back.soft_deleted, head->soft_deleted);
    assert_int_equal(back.destroyed, head->destroyed);
    assert_int_equal(back.max_versions, head->max_versions);
    assert_int_equal(back.expires_at_ms, head->expires_at_ms);
    assert_true(bytes_equal(back.metadata, head->metadata));
    assert_memory_equal(back.ops[0].fingerprint, head->ops[0].fingerprint, ALTERATION_PRINT_BYTES);
    assert_int_equal(head_encode(&back, &again), OK);
    assert_true(bytes_equal(buf_bytes(&out), buf_bytes(&again)));
    buf_close(&out);
    buf_close(&again);
}

static void
test_states_of_versions(void **state)
{
    (void)state;
    struct head head = live_head(3, 7);
    struct alteration a = {.soft_delete = {{4, 7}, 2}, .destroy = {{5}, 1}};
    assert_int_equal(apply(&a, &head), OK);
    assert_int_equal(head_version_state(&head, 3), VERSION_AVAILABLE);
    assert_int_equal(head_version_state(&head, 4), VERSION_DELETED);
    assert_int_equal(head_version_state(&head, 5), VERSION_DESTROYED);
    assert_int_equal(head_version_state(&head, 7), VERSION_DELETED);
    assert_recodes(&head);
    a = (struct alteration){.undelete = {{4, 6}, 2}, .destroy = {{7}, 1}};
    assert_int_equal(apply(&a, &head), OK);
    assert_int_equal(head_version_state(&head, 4), VERSION_AVAILABLE);
    assert_int_equal(head_version_state(&head, 7), VERSION_DESTROYED);
    a = (struct alteration){.undelete = {{5}, 1}};
    assert_int_equal(apply(&a, &head), ERR_NOT_FOUND);
    a = (struct alteration){.soft_delete = {{5}, 1}};
    assert_int_equal(apply(&a, &head), ERR_NOT_FOUND);
    a = (struct alteration){.destroy = {{2}, 1}};
    assert_int_equal(apply(&a, &head), ERR_NOT_FOUND);
    a = (struct alteration){.destroy = {{8}, 1}};
    assert_int_equal(apply(&a, &head), ERR_NOT_FOUND);
    a = (struct alteration){.destroy = {{5}, 1}};
    assert_int_equal(apply(&a, &head), OK);
}

static void
test_versions_fall_out(void **state)
{
    (void)state;
    struct head head = live_head(1, 64);
    head.soft_deleted = 2;                  /* version 2 */
    head.destroyed = UINT64_C(1) << 63 | 1; /* versions 1 and 64 */
    assert_recodes(&head);
    head.version++;
    head_keep_versions(&head);
    assert_int_equal(head.oldest_version, 2);
    assert_int_equal(head_version_state(&head, 2), VERSION_DELETED);
    assert_int_equal(head_version_state(&head, 64), VERSION_DESTROYED);
    assert_int_equal(head_version_state(&head, 65), VERSION_AVAILABLE);
    struct alteration a = {.has_max_versions = true, .max_versions = 2};
    assert_int_equal(apply(&a, &head), OK);
    assert_int_equal(head.oldest_version, 64);
    assert_int_equal(head.destroyed, 1);
    assert_int_equal(head.soft_deleted, 0);
    a.max_versions = 0; /* what has gone does not come back */
    assert_int_equal(apply(&a, &head), OK);
    assert_int_equal(head.oldest_version, 64);
}

static void
test_metadata_is_merged(void **state)
{
    (void)state;
    const struct metadata_change first[] = {{bytes_of_text("a"), bytes_of_text("1"), false},
                                            {bytes_of_text("c"), bytes_of_text("3"), false}};
    const struct metadata_change second[] = {{bytes_of_text("a"), {0}, true},
                                             {bytes_of_text("b"), bytes_of_text("2"), false},
                                             {bytes_of_text("c"), bytes_of_text("4"), false},
                                             {bytes_of_text("d"), {0}, true}};
    struct custom_pair pairs[METADATA_PAIRS_MAX];
    struct head head = live_head(1, 1);
    struct buf one = {0}, two = {0};
    size_t count;
    struct alteration a = {.metadata = first, .metadata_count = 2};
    assert_int_equal(alteration_apply(&a, 1, &head, &one), OK);
    assert_recodes(&head);
    a = (struct alteration){.metadata = second, .metadata_count = 4};
    assert_int_equal(alteration_apply(&a, 1, &head, &two), OK);
    assert_recodes(&head);
    assert_int_equal(metadata_decode(head.metadata, pairs, &count), OK);
    assert_int_equal(count, 2);
    assert_true(bytes_equal(pairs[0].key, bytes_of_text("b")));
    assert_true(bytes_equal(pairs[1].value, bytes_of_text("4")));
    buf_close(&one);
    buf_close(&two);
}

static void
test_metadata_is_bounded(void **state)
{
    (void)state;
    static uint8_t bytes[METADATA_BYTES_MAX];
    char keys[METADATA_PAIRS_MAX + 1][16];
    struct metadata_change many[METADATA_PAIRS_MAX + 1];
    struct head head = live_head(1, 1);
    memset(bytes, 'x', sizeof(bytes));
    for (int i = 0; i <= METADATA_PAIRS_MAX; i++) {
        snprintf(keys[i], sizeof(keys[i]), "%03d", i);
        many[i] = (struct metadata_change){.key = bytes_of_text(keys[i])};
    }
    struct alteration a = {.metadata = many, .metadata_count = METADATA_PAIRS_MAX + 1};
    assert_int_equal(apply(&a, &head), ERR_TOO_LARGE);
    a.metadata_count = 2;
    head = live_head(1, 1);
    many[0].value = bytes_of(bytes, sizeof(bytes) - 6);
    struct buf memory = {0};
    assert_int_equal(alteration_apply(&a, 1, &head, &memory), OK);
    assert_recodes(&head);
    buf_close(&memory);
    head = live_head(1, 1);
    many[0].value.size++;
    assert_int_equal(apply(&a, &head), ERR_TOO_LARGE);
}

static void
test_heads_that_make_no_sense(void **state)
{
    (void)state;
    struct buf out = {0};
    struct head head = live_head(3, 7);
    head.soft_deleted = 1 << 5; /* no such version */
    assert_int_equal(head_encode(&head, &out), ERR_RANGE);
    head = live_head(3, 7);
    head.soft_deleted = head.destroyed = 1;
    assert_int_equal(head_encode(&head, &out), ERR_RANGE);
    head = live_head(3, 7);
    head.max_versions = VERSIONS_KEPT_MAX + 1;
    assert_int_equal(head_encode(&head, &out), ERR_RANGE);
    head = live_head(3, 7);
    head.metadata = bytes_of_text("no list");
    assert_int_equal(head_encode(&head, &out), ERR_RANGE);
    head = live_head(3, 7);
    head.kind = HEAD_TOMBSTONE;
    head.ops[0].kind = CHANGE_DELETE;
    assert_int_equal(head_encode(&head, &out), OK);
    buf_close(&out);
    head.expires_at_ms = 1;
    assert_int_equal(head_encode(&head, &out), ERR_RANGE);
    head = live_head(1, 1);
    head.batch[0] = 1;
    assert_int_equal(head_encode(&head, &out), ERR_RANGE);
    assert_int_equal(out.size, 0);
}

/* ---- of a cluster ---- */

static struct ac_request *
alter(struct actor_cluster *ac, unsigned node, const struct alteration *a)
{
    struct request ask = ac_make(REQUEST_ALTER, "a", NULL);
    ask.alteration = a;
    return ac_wait(ac, ac_send(ac, node, &ask));
}

static struct ac_request *
read_version(struct actor_cluster *ac, unsigned node, uint64_t version)
{
    struct request ask = ac_make(REQUEST_READ, "a", NULL);
    ask.version = version;
    return ac_wait(ac, ac_send(ac, node, &ask));
}

static struct actor_cluster *
cluster_with_versions(unsigned nodes, uint64_t seed, unsigned versions)
{
    struct ac_options options = {.nodes = nodes, .seed = seed, .scrub_rows_per_s = 200};
    struct actor_cluster *ac = ac_new(&options);
    char value[16] = "v1";
    assert_int_equal(ac_create(ac, 0, "a", value)->reply.err, OK);
    for (unsigned i = 2; i <= versions; i++) {
        snprintf(value, sizeof(value), "v%u", i);
        assert_int_equal(ac_update(ac, 0, "a", value)->reply.err, OK);
    }
    ac_run_ms(ac, 3000);
    return ac;
}

/* The node has record and nothing else of that version. */
static bool
is_bare(struct actor_cluster *ac, unsigned node, uint64_t version)
{
    struct head head;
    struct path_row row;
    struct bytes value;
    struct version_row kept;
    struct version_record record;
    uint8_t id[ID_BYTES];
    if (!ac_path_row(ac, node, "a", &row, &head) || row.state != STATE_CHOSEN)
        return false;
    memcpy(id, head.version_id, ID_BYTES);
    for (uint64_t v = head.version; v >= version; v--) {
        struct row_key key;
        row_key_version(ROW_VERSION, ac_path("a"), v, id, &key);
        if (!ac_get(ac, node, &key, &value) || version_row_decode(value, &kept) != OK ||
            version_decode(kept.record, &record) != OK)
            return false;
        if (v > version) {
            memcpy(id, record.prev, ID_BYTES);
            continue;
        }
        bool share = kept.share.size > 0;
        bool dealing = ac_dealing(ac, node, "a", v, id, &value);
        row_key_version(ROW_BOXES, ac_path("a"), v, id, &key);
        return !share && !dealing && !ac_get(ac, node, &key, &value);
    }
    return false;
}

static void
test_delete_and_undelete(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 1, 3);
    struct alteration hide = {.soft_delete = {{2, 3}, 2}}, show = {.undelete = {{3}, 1}};
    struct ac_request *r = alter(ac, 1, &hide);
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.version, 3);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ac_read(ac, i, "a")->reply.err, ERR_NOT_FOUND);
        assert_int_equal(read_version(ac, i, 2)->reply.err, ERR_NOT_FOUND);
        assert_true(ac_value_is(read_version(ac, i, 1), "v1"));
    }
    struct request ask = ac_make(REQUEST_HISTORY, "a", NULL);
    r = ac_wait(ac, ac_send(ac, 2, &ask));
    assert_int_equal(r->reply.row_count, 3);
    assert_true(r->rows[0].deleted && r->rows[1].deleted);
    assert_false(r->rows[2].deleted || r->rows[0].destroyed);
    assert_int_equal(alter(ac, 2, &show)->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "v3"));
    assert_int_equal(read_version(ac, 0, 2)->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_update(ac, 0, "a", "v4")->reply.version, 4);
    assert_int_equal(read_version(ac, 1, 2)->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

static void
test_destroy(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 2, 3);
    struct alteration destroy = {.destroy = {{2}, 1}}, undelete = {.undelete = {{2}, 1}};
    struct ac_request *r = alter(ac, 1, &destroy);
    assert_int_equal(r->reply.err, OK);
    assert_true(r->reply.erased_on >= 2);
    assert_int_equal(r->reply.required, 2);
    assert_int_equal(r->reply.replicas, 3);
    ac_run_ms(ac, 2000);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(is_bare(ac, i, 2));
        assert_int_equal(read_version(ac, i, 2)->reply.err, ERR_NOT_FOUND);
        assert_true(ac_value_is(read_version(ac, i, 1), "v1"));
        assert_true(ac_value_is(ac_read(ac, i, "a"), "v3"));
    }
    assert_int_equal(alter(ac, 0, &undelete)->reply.err, ERR_NOT_FOUND);
    struct request ask = ac_make(REQUEST_HISTORY, "a", NULL);
    r = ac_wait(ac, ac_send(ac, 0, &ask));
    assert_int_equal(r->reply.row_count, 3);
    assert_true(r->rows[1].destroyed);
    /* The scrubber passes by several times, and misses nothing. */
    ac_run_ms(ac, 200000);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(is_bare(ac, i, 2));
        assert_int_equal(ac_rows(ac, i, ROW_NEED), 0);
    }
    ac_end(ac);
}

/* Boxes that were kept for somebody, and that nothing told of when the version was destroyed. */
static void
test_boxes_of_a_destroyed_version_go(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 22, 1);
    struct alteration destroy = {.destroy = {{1}, 1}};
    const struct bytes boxes[3] = {{0}, {0}, bytes_of_text("a box")};
    struct path_row row;
    struct head head;
    struct row_key key;
    struct buf encoded = {0};
    struct bytes found;
    assert_true(ac_path_row(ac, 1, "a", &row, &head));
    row_key_version(ROW_BOXES, ac_path("a"), 1, head.version_id, &key);
    assert_int_equal(ac_update(ac, 0, "a", "v2")->reply.err, OK);
    assert_int_equal(alter(ac, 0, &destroy)->reply.err, OK);
    ac_run_ms(ac, 2000);
    assert_int_equal(bytes_list_encode(boxes, 3, &encoded), OK);
    ac_put(ac, 1, &key, buf_bytes(&encoded));
    buf_close(&encoded);
    ac_run_ms(ac, 60000); /* the scrubber passes by */
    assert_true(is_bare(ac, 1, 1));
    assert_false(ac_get(ac, 1, &key, &found));
    ac_end(ac);
}

/* The key of that version's own row at that node, whose head is of that version. */
static void
key_of_latest(struct actor_cluster *ac, unsigned node, uint64_t version, struct row_key *out)
{
    struct head head;
    struct path_row row;
    assert_true(ac_path_row(ac, node, "a", &row, &head));
    assert_int_equal(head.version, version);
    row_key_version(ROW_VERSION, ac_path("a"), version, head.version_id, out);
}

/*
 * Node 2 is away, and another version's row has rotted at node 1, which has not noticed: it cannot
 * look its rows through, so it may not say that it has erased.
 */
static void
test_destroyed_beside_a_rotten_row(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 3, .seed = 21};
    struct actor_cluster *ac = ac_new(&options);
    struct alteration destroy = {.destroy = {{1}, 1}};
    struct row_key second;
    assert_int_equal(ac_create(ac, 0, "a", "v1")->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "a", "v2")->reply.err, OK);
    ac_run_ms(ac, 1000);
    key_of_latest(ac, 1, 2, &second);
    assert_int_equal(ac_update(ac, 0, "a", "v3")->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 2);
    ac_put(ac, 1, &second, bytes_of_text(ac_unreadable));
    struct ac_request *r = alter(ac, 0, &destroy);
    assert_true(is_bare(ac, 0, 1));
    assert_true(r->reply.err != OK || r->reply.erased_on < 2 || is_bare(ac, 1, 1));
    ac_end(ac);
}

/* Away while it is destroyed, with a share of its own and boxes for nobody. */
static void
test_destroyed_while_away(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(5, 3, 2);
    struct alteration destroy = {.destroy = {{1, 2}, 2}};
    ac_crash(ac, 4);
    struct ac_request *r = alter(ac, 0, &destroy);
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, 4);
    assert_int_equal(ac_read(ac, 1, "a")->reply.err, ERR_NOT_FOUND);
    ac_start(ac, 4);
    ac_run_ms(ac, 30000);
    for (unsigned i = 0; i < 5; i++) {
        assert_true(is_bare(ac, i, 1));
        assert_true(is_bare(ac, i, 2));
        assert_int_equal(ac_rows(ac, i, ROW_NEED), 0);
        assert_int_equal(ac_read(ac, i, "a")->reply.err, ERR_NOT_FOUND);
    }
    assert_int_equal(ac_update(ac, 4, "a", "v3")->reply.version, 3);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "v3"));
    ac_end(ac);
}

/* Boxes for a node that was away are never opened once the version is destroyed. */
static void
test_destroyed_in_escrow(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 4);
    struct alteration destroy = {.destroy = {{1}, 1}};
    assert_int_equal(ac_create(ac, 0, "a", "v1")->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac_crash(ac, 2);
    assert_int_equal(ac_update(ac, 0, "a", "v2")->reply.err, OK);
    destroy.destroy.of[0] = 2;
    assert_int_equal(alter(ac, 1, &destroy)->reply.err, OK);
    assert_int_equal(ac_update(ac, 0, "a", "v3")->reply.err, OK);
    ac_start(ac, 2);
    ac_run_ms(ac, 30000);
    for (unsigned i = 0; i < 3; i++) {
        assert_true(is_bare(ac, i, 2));
        assert_int_equal(ac_rows(ac, i, ROW_BOXES), 0);
        assert_int_equal(ac_rows(ac, i, ROW_NEED), 0);
        assert_true(ac_value_is(read_version(ac, i, 1), "v1"));
        assert_true(ac_value_is(ac_read(ac, i, "a"), "v3"));
    }
    ac_end(ac);
}

/*
 * A store that was lost is handed records of destroyed versions, and goes down the chain by them.
 */
static void
test_destroyed_and_handed_over(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 5, 4);
    struct alteration destroy = {.destroy = {{2, 4}, 2}};
    assert_int_equal(alter(ac, 1, &destroy)->reply.err, OK);
    ac_crash(ac, 2);
    ac_lose_store(ac, 2, true);
    ac_start(ac, 2);
    ac_run_ms(ac, 30000);
    assert_true(ac_recovered(ac, 2));
    assert_true(is_bare(ac, 2, 2));
    assert_true(is_bare(ac, 2, 4));
    assert_int_equal(ac_rows(ac, 2, ROW_NEED), 0);
    ac_crash(ac, 0);
    assert_true(ac_value_is(read_version(ac, 2, 3), "v3"));
    assert_true(ac_value_is(read_version(ac, 1, 1), "v1"));
    assert_int_equal(read_version(ac, 2, 4)->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

/* A store that went back has what was destroyed, until it hears of it. */
static void
test_destroyed_and_rolled_back(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 6, 3);
    struct alteration destroy = {.destroy = {{2}, 1}};
    ac_crash(ac, 2);
    ac_snapshot(ac, 2);
    ac_start(ac, 2);
    ac_run_ms(ac, 3000);
    assert_int_equal(alter(ac, 1, &destroy)->reply.err, OK);
    ac_run_ms(ac, 3000);
    ac_crash(ac, 2);
    ac_roll_back(ac, 2, true);
    ac_start(ac, 2);
    ac_run_ms(ac, 30000);
    assert_true(is_bare(ac, 2, 2));
    assert_int_equal(read_version(ac, 2, 2)->reply.err, ERR_NOT_FOUND);
    ac_end(ac);
}

/* The coordinator dies between any two steps: the change happens everywhere, or nowhere. */
static void
test_coordinator_dies(void **state)
{
    (void)state;
    for (unsigned us = 100; us < 3000; us += 150) {
        struct actor_cluster *ac = ac_cluster_of(3, us);
        struct alteration destroy = {.destroy = {{1}, 1}};
        assert_int_equal(ac_create(ac, 0, "a", "v1")->reply.err, OK);
        assert_int_equal(ac_update(ac, 0, "a", "v2")->reply.err, OK);
        ac_run_ms(ac, 2000);
        struct request ask = ac_make(REQUEST_ALTER, "a", NULL);
        ask.alteration = &destroy;
        (void)ac_send(ac, 1, &ask);
        uint64_t until = ac->now_ns + us * 1000;
        while (ac_step(ac, until))
            continue;
        ac_crash(ac, 1);
        ac_run_ms(ac, 10000);
        bool gone = read_version(ac, 0, 1)->reply.err == ERR_NOT_FOUND;
        ac_start(ac, 1);
        ac_run_ms(ac, 30000);
        for (unsigned i = 0; i < 3; i++) {
            assert_int_equal(is_bare(ac, i, 1), gone);
            assert_int_equal(ac_rows(ac, i, ROW_NEED), 0);
            if (gone)
                assert_int_equal(read_version(ac, i, 1)->reply.err, ERR_NOT_FOUND);
            else
                assert_true(ac_value_is(read_version(ac, i, 1), "v1"));
            assert_true(ac_value_is(ac_read(ac, i, "a"), "v2"));
        }
        ac_end(ac);
    }
}

static void
test_expected_version_and_key(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 7, 2);
    struct alteration destroy = {.destroy = {{1}, 1}}, other = {.destroy = {{2}, 1}};
    struct request ask = ac_make(REQUEST_ALTER, "a", NULL);
    ask.alteration = &destroy;
    ask.has_expected_version = true;
    ask.expected_version = 1;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &ask))->reply.err, ERR_VERSION_MISMATCH);
    ask.expected_version = 2;
    ask.idempotency_key = bytes_of_text("k");
    struct ac_request *first = ac_wait(ac, ac_send(ac, 0, &ask));
    assert_int_equal(first->reply.err, OK);
    struct ac_request *again = ac_wait(ac, ac_send(ac, 2, &ask));
    assert_int_equal(again->reply.err, OK);
    assert_int_equal(again->reply.version, first->reply.version);
    assert_int_equal(again->reply.valid_from_ms, first->reply.valid_from_ms);
    ask.alteration = &other;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &ask))->reply.err, ERR_KEY_REUSED);
    struct head head;
    struct path_row row;
    assert_true(ac_path_row(ac, 0, "a", &row, &head));
    assert_int_equal(head.generation, 3);
    ac_end(ac);
}

static void
test_nothing_to_alter(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 8);
    struct alteration destroy = {.destroy = {{1}, 1}};
    assert_int_equal(alter(ac, 0, &destroy)->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_create(ac, 0, "a", "v1")->reply.err, OK);
    assert_int_equal(alter(ac, 0, &destroy)->reply.err, OK);
    assert_int_equal(ac_read(ac, 0, "a")->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_create(ac, 0, "a", "x")->reply.err, ERR_ALREADY_EXISTS);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    assert_int_equal(alter(ac, 0, &destroy)->reply.err, ERR_NOT_FOUND);
    assert_int_equal(ac_create(ac, 0, "a", "x")->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "x"));
    ac_end(ac);
}

static void
test_fewer_versions(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 9, 5);
    struct alteration two = {.has_max_versions = true, .max_versions = 2};
    ac_crash(ac, 2);
    assert_int_equal(alter(ac, 0, &two)->reply.err, OK);
    assert_int_equal(read_version(ac, 1, 3)->reply.err, ERR_NOT_FOUND);
    assert_true(ac_value_is(read_version(ac, 1, 4), "v4"));
    assert_int_equal(ac_update(ac, 1, "a", "v6")->reply.err, OK);
    assert_int_equal(read_version(ac, 1, 4)->reply.err, ERR_NOT_FOUND);
    ac_start(ac, 2);
    ac_run_ms(ac, 30000);
    for (unsigned i = 0; i < 3; i++) {
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 2);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 2);
        assert_int_equal(ac_rows(ac, i, ROW_BOXES), 0);
        assert_true(ac_value_is(read_version(ac, i, 5), "v5"));
    }
    ac_end(ac);
}

static enum ac_verdict
drop_notices(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)from;
    return to == 2 && (msg->kind == MSG_CHOSEN || msg->kind == MSG_SHARE) ? AC_DROP : AC_PASS;
}

/* What notices that never came would have dropped goes with the next that comes, few or many. */
static void
test_notices_missed(void **state)
{
    (void)state;
    for (unsigned missed = 1; missed <= 11; missed++) {
        struct actor_cluster *ac = cluster_with_versions(3, 90 + missed, 3);
        struct alteration two = {.has_max_versions = true, .max_versions = 2};
        assert_int_equal(alter(ac, 0, &two)->reply.err, OK);
        ac_run_ms(ac, 200);
        ac->filter = drop_notices;
        for (unsigned i = 0; i < missed; i++)
            assert_int_equal(ac_update(ac, 0, "a", "more")->reply.err, OK);
        ac_run_ms(ac, 200);
        assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 2 + missed);
        ac->filter = NULL;
        assert_int_equal(ac_update(ac, 1, "a", "last")->reply.err, OK);
        ac_run_ms(ac, 200);
        assert_int_equal(ac_rows(ac, 2, ROW_VERSION), 2);
        assert_int_equal(ac_rows(ac, 2, ROW_DEALING), 2);
        ac_end(ac);
    }
}

/* ---- expiry ---- */

static void
expire_in(struct actor_cluster *ac, unsigned node, uint64_t ms)
{
    struct alteration a = {.has_expires_in = true, .expires_in_ms = ms};
    assert_int_equal(alter(ac, node, &a)->reply.err, OK);
}

static void
assert_gone_everywhere(struct actor_cluster *ac)
{
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        struct path_row row;
        struct head head;
        assert_true(ac_path_row(ac, i, "a", &row, &head));
        assert_int_equal(head.kind, HEAD_TOMBSTONE);
        assert_true(head_is_of_expiry(&head));
        assert_true(row.erased);
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 0);
        assert_int_equal(ac_rows(ac, i, ROW_DEALING), 0);
        assert_int_equal(ac_rows(ac, i, ROW_EXPIRY), 0);
        assert_int_equal(ac_rows(ac, i, ROW_ERASURE), 0);
    }
}

static void
test_expires(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 20, 2);
    struct request list = ac_make(REQUEST_NAMES, "", NULL);
    list.limit = 10;
    expire_in(ac, 0, 5000);
    ac_run_ms(ac, 4000);
    for (unsigned i = 0; i < 3; i++)
        assert_true(ac_value_is(ac_read(ac, i, "a"), "v2"));
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &list))->reply.name_count, 1);
    /* From that moment on, whether or not anybody has deleted it. */
    ac_run_ms(ac, 1001);
    for (unsigned i = 0; i < 3; i++) {
        struct request history = ac_make(REQUEST_HISTORY, "a", NULL);
        struct request metadata = ac_make(REQUEST_METADATA, "a", NULL);
        assert_int_equal(ac_read(ac, i, "a")->reply.err, ERR_NOT_FOUND);
        assert_int_equal(read_version(ac, i, 1)->reply.err, ERR_NOT_FOUND);
        assert_int_equal(ac_wait(ac, ac_send(ac, i, &history))->reply.err, ERR_NOT_FOUND);
        assert_int_equal(ac_wait(ac, ac_send(ac, i, &metadata))->reply.err, ERR_NOT_FOUND);
    }
    assert_int_equal(ac_wait(ac, ac_send(ac, 2, &list))->reply.name_count, 0);
    assert_int_equal(ac_update(ac, 1, "a", "x")->reply.err, ERR_NOT_FOUND);
    ac_run_ms(ac, 20000);
    assert_gone_everywhere(ac);
    assert_int_equal(ac_create(ac, 1, "a", "new")->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "new"));
    ac_end(ac);
}

/* Nobody asks for it, and the node that was told of it dies. */
static void
test_expires_unattended(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 21, 1);
    expire_in(ac, 0, 3000);
    ac_crash(ac, 0);
    ac_run_ms(ac, 20000);
    ac_start(ac, 0);
    ac_run_ms(ac, 20000);
    assert_gone_everywhere(ac);
    ac_end(ac);
}

/* Whoever meets it first deletes it, and goes on. */
static void
test_created_again_at_once(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 22, 1);
    expire_in(ac, 0, 1000);
    ac_run_ms(ac, 1001);
    assert_int_equal(ac_create(ac, 2, "a", "new")->reply.err, OK);
    ac_run_ms(ac, 10000);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "new"));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 1);
    ac_end(ac);
}

static void
test_expiry_is_put_off(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 23, 1);
    struct alteration never = {.has_expires_at = true};
    expire_in(ac, 0, 3000);
    assert_int_equal(ac_rows(ac, 1, ROW_EXPIRY), 1);
    assert_int_equal(ac_update(ac, 1, "a", "v2")->reply.err, OK);
    assert_int_equal(alter(ac, 1, &never)->reply.err, OK);
    ac_run_ms(ac, 10000);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "v2"));
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_EXPIRY), 0);
    expire_in(ac, 0, 1000);
    ac_run_ms(ac, 20000);
    assert_gone_everywhere(ac);
    ac_end(ac);
}

/* One clock that is an hour ahead deletes nothing before its time, and one behind shows nothing. */
static void
test_one_wrong_clock(void **state)
{
    (void)state;
    for (int ahead = 0; ahead < 2; ahead++) {
        struct actor_cluster *ac = cluster_with_versions(3, 24, 1);
        ac->nodes[2].skew_ms = ahead ? 3600000 : -3600000;
        ac_run_ms(ac, 1000);
        expire_in(ac, 0, 10000);
        ac_run_ms(ac, 8000);
        for (unsigned i = 0; i < 3; i++)
            assert_true(ac_value_is(ac_read(ac, i, "a"), "v1"));
        ac_run_ms(ac, 2500);
        for (unsigned i = 0; i < 3; i++)
            assert_int_equal(ac_read(ac, i, "a")->reply.err, ERR_NOT_FOUND);
        ac_end(ac);
    }
}

/* A broken node cannot delete before the time: the others look at their own clocks. */
struct early {
    unsigned writes, refused;
};

static enum ac_verdict
count_writes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct early *e = context;
    (void)to;
    e->writes += from == 0 && msg->kind == MSG_WRITE;
    e->refused += msg->kind == MSG_WRITTEN && msg->u.written.refusal == REFUSED_PROOF;
    return AC_PASS;
}

static void
test_expired_too_early(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_with_versions(3, 25, 1);
    struct early early = {0};
    expire_in(ac, 0, 60000);
    ac_run_ms(ac, 2000);
    /* Node 0 believes that all clocks are an hour ahead of what they are. */
    ac->filter = count_writes;
    ac->filter_context = &early;
    ac->may_fail = true;
    for (unsigned i = 0; i < 200; i++) {
        struct membership *ms = (struct membership *)(uintptr_t)node_membership(ac->nodes[0].node);
        for (unsigned n = 1; n < 3; n++)
            ms->members[n].clock_offset_ms = 3600000;
        ac_run_ms(ac, 10);
    }
    assert_true(early.writes > 0);
    assert_true(early.refused > 0);
    ac_run_ms(ac, 2000);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "v1"));
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_states_of_versions),
        cmocka_unit_test(test_versions_fall_out),
        cmocka_unit_test(test_metadata_is_merged),
        cmocka_unit_test(test_metadata_is_bounded),
        cmocka_unit_test(test_heads_that_make_no_sense),
        cmocka_unit_test(test_delete_and_undelete),
        cmocka_unit_test(test_destroy),
        cmocka_unit_test(test_boxes_of_a_destroyed_version_go),
        cmocka_unit_test(test_destroyed_beside_a_rotten_row),
        cmocka_unit_test(test_destroyed_while_away),
        cmocka_unit_test(test_destroyed_in_escrow),
        cmocka_unit_test(test_destroyed_and_handed_over),
        cmocka_unit_test(test_destroyed_and_rolled_back),
        cmocka_unit_test(test_coordinator_dies),
        cmocka_unit_test(test_expected_version_and_key),
        cmocka_unit_test(test_nothing_to_alter),
        cmocka_unit_test(test_fewer_versions),
        cmocka_unit_test(test_notices_missed),
        cmocka_unit_test(test_expires),
        cmocka_unit_test(test_expires_unattended),
        cmocka_unit_test(test_created_again_at_once),
        cmocka_unit_test(test_expiry_is_put_off),
        cmocka_unit_test(test_one_wrong_clock),
        cmocka_unit_test(test_expired_too_early),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
