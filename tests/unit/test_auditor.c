/* The audit trail of nodes at work: what is in it, who anchors it, and what happens without it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "audit/record.h"
#include "audit/verifier.h"
#include "failing_rng.h"

enum { ROWS_MAX = 1024, HEADS_MAX = 64 };

struct found {
    unsigned requests, votes, given, denied, starts;
    uint64_t blocks;
    struct audit_finding finding;
};

static size_t
rows_of(struct actor_cluster *ac, unsigned node, enum row_table table, struct arena *arena,
        struct store_row *rows)
{
    struct row_key prefix;
    size_t count = 0;
    bool more;

    row_key_table(table, &prefix);
    assert_int_equal(ac->nodes[node].store->ops->scan(ac->nodes[node].reader,
                                                      row_key_bytes(&prefix), (struct bytes){0},
                                                      ROWS_MAX, true, arena, rows, &count, &more),
                     OK);
    assert_false(more);
    return count;
}

/* A head of that node's trail, or the row has none of it. It must be signed by the node. */
static bool
head_of_row(struct actor_cluster *ac, unsigned node, const struct store_row *row,
            struct audit_head *out)
{
    struct bytes encoded = row->value;
    struct signing_keys keys = {0};

    (void)signing_keys_learn(&keys, &ac->nodes[node].signing.public_half);
    if (row->key.data[0] == ROW_WITNESS && !witness_row_head(row->key, row->value, &encoded))
        return false;
    assert_int_equal(audit_head_decode(encoded, out), OK);
    if (out->node != node)
        return false;
    assert_int_equal(audit_head_verify(out, ac->cluster.id, &keys), OK);
    return true;
}

/* The heads of that node's trail that the others have in that table. */
static size_t
heads_of(struct actor_cluster *ac, unsigned node, enum row_table table, struct audit_head *out)
{
    struct store_row *rows = calloc(ROWS_MAX, sizeof(*rows));
    struct arena arena;
    size_t count = 0;

    arena_init(&arena, 1 << 24);
    for (unsigned i = 0; i < 3; i++) {
        size_t found = i == node ? 0 : rows_of(ac, i, table, &arena, rows);
        for (size_t j = 0; j < found; j++) {
            assert_true(count < HEADS_MAX);
            if (head_of_row(ac, node, &rows[j], &out[count]))
                out[count++].kept_by = i;
        }
    }
    arena_close(&arena);
    free(rows);
    return count;
}

/* The newest ones of them. */
static size_t
anchors_of(struct actor_cluster *ac, unsigned node, struct audit_head *out)
{
    return heads_of(ac, node, ROW_ANCHOR, out);
}

static void
count_record(const struct audit_record *record, const char *name, struct found *out)
{
    bool about = bytes_equal(record->name, bytes_of_text(name));

    out->starts += record->kind == AUDIT_start;
    out->requests += about && record->kind == AUDIT_request;
    out->votes += about && record->kind == AUDIT_vote;
    out->given += about && record->kind == AUDIT_share &&
                  bytes_equal(record->outcome, bytes_of_text("given"));
    out->denied += bytes_equal(record->outcome, bytes_of_text("denied"));
}

static void
look(struct actor_cluster *ac, unsigned node, const char *name, struct found *out)
{
    struct store_row *rows = calloc(ROWS_MAX, sizeof(*rows));
    struct audit_head anchors[2 * HEADS_MAX];
    struct audit_verifier v;
    struct arena arena;

    memset(out, 0, sizeof(*out));
    arena_init(&arena, 1 << 24);
    size_t heads = anchors_of(ac, node, anchors);
    heads += heads_of(ac, node, ROW_WITNESS, anchors + heads);
    audit_verifier_init(&v, anchors, heads);
    out->blocks = rows_of(ac, node, ROW_AUDIT, &arena, rows);
    for (size_t i = 0; i < out->blocks; i++) {
        struct audit_block block;
        struct audit_record record;
        struct bytes bytes;
        size_t at = 0;
        (void)audit_verifier_block(&v, rows[i].value);
        assert_int_equal(audit_block_decode(rows[i].value, &block), OK);
        while (audit_block_next(&block, &at, &bytes)) {
            assert_int_equal(audit_record_decode(bytes, &record), OK);
            count_record(&record, name, out);
        }
    }
    out->finding = audit_verifier_end(&v);
    arena_close(&arena);
    free(rows);
}

static void
test_every_call_leaves_its_records(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 3);
    unsigned votes = 0, given = 0;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "one"));
    assert_int_equal(ac_create(ac, 2, "a", "two")->reply.err, ERR_ALREADY_EXISTS);
    for (unsigned i = 0; i < 3; i++) {
        struct found f;
        look(ac, i, "a", &f);
        assert_int_equal(f.requests, 1); /* before the answer was there, not a moment later */
        assert_int_equal(f.starts, 1);
        votes += f.votes;
        given += f.given;
    }
    assert_true(votes >= 4);
    assert_true(given >= 2);
    ac_end(ac);
}

static void
test_peers_anchor(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 4);
    uint64_t records = 0;
    struct found f;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2500);
    for (unsigned i = 0; i < 3; i++) {
        struct audit_head anchors[HEADS_MAX];
        assert_int_equal(anchors_of(ac, i, anchors), 2);
        look(ac, i, "a", &f);
        assert_int_equal(f.finding.verdict, AUDIT_INTACT);
        assert_int_equal(f.finding.unanchored, 0);
        assert_true(f.finding.records >= 1); /* a start */
        records += f.finding.records;
    }
    assert_true(records >= 3 + 1 + 2); /* starts, the request, votes of a majority */
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    look(ac, 0, "a", &f);
    assert_true(f.finding.unanchored > 0); /* of the last second */
    assert_int_equal(f.finding.verdict, AUDIT_INTACT);
    ac_end(ac);
}

static void
test_goes_on_after_a_restart(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    struct found before, after;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2500);
    look(ac, 0, "a", &before);
    ac_crash_losing(ac, 0, true);
    ac_start(ac, 0);
    ac_run_ms(ac, 3000);
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "one"));
    ac_run_ms(ac, 2500);
    look(ac, 0, "a", &after);
    assert_int_equal(after.finding.verdict, AUDIT_INTACT);
    assert_int_equal(after.finding.unanchored, 0);
    assert_int_equal(after.starts, 2);
    assert_true(after.finding.records > before.finding.records);
    ac_end(ac);
}

/* A copy of the store is put back: the others have anchored what it does not know. */
static void
test_rollback_is_found(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 6);
    struct found f;

    (void)state;
    ac_run_ms(ac, 1500);
    ac_snapshot(ac, 0);
    for (unsigned i = 0; i < 5; i++) {
        char name[8] = {'n', (char)('0' + i)};
        assert_int_equal(ac_create(ac, 0, name, "one")->reply.err, OK);
    }
    ac_run_ms(ac, 2500);
    ac_crash_losing(ac, 0, false);
    ac_roll_back(ac, 0, true);
    look(ac, 0, "a", &f);
    assert_int_equal(f.finding.verdict, AUDIT_TRUNCATED);
    ac_end(ac);
}

/* A row altered by whoever can write to the disk. */
static void
test_alteration_is_found(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 7);
    struct row_key key;
    struct bytes value;
    struct found f;
    uint8_t copy[4096];

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2500);
    row_key_audit(1, &key);
    assert_true(ac_get(ac, 0, &key, &value));
    assert_true(value.size <= sizeof(copy));
    memcpy(copy, value.data, value.size);
    copy[value.size - 2] ^= 2; /* the outcome of its last record */
    ac_put(ac, 0, &key, bytes_of(copy, value.size));
    look(ac, 0, "a", &f);
    assert_int_equal(f.finding.verdict, AUDIT_CHANGED);
    ac_end(ac);
}

/* Below the reserve changes end; reads go on, and leave their records. */
static void
test_a_nearly_full_disk(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 7);
    struct found f;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    for (unsigned i = 0; i < 3; i++)
        ac->nodes[i].disk_full = true;
    assert_int_equal(ac_update(ac, 2, "a", "two")->reply.err, ERR_DISK_FULL);
    for (unsigned i = 0; i < 5; i++)
        assert_true(ac_value_is(ac_read(ac, 2, "a"), "one"));
    assert_false(node_membership(ac->nodes[2].node)->audit_failing);
    ac_run_ms(ac, 2500);
    look(ac, 2, "a", &f);
    assert_int_equal(f.requests, 6);
    assert_int_equal(f.finding.verdict, AUDIT_INTACT);
    assert_int_equal(f.finding.unanchored, 0);
    ac_end(ac);
}

/* A node that cannot write its trail fails its own requests; the others go on without it. */
static void
test_a_full_disk(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 8);
    struct found f;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac->nodes[2].disk_gone = true;
    assert_int_equal(ac_read(ac, 2, "a")->reply.err, ERR_AUDIT_UNAVAILABLE);
    assert_int_equal(ac_create(ac, 2, "b", "x")->reply.err, ERR_AUDIT_UNAVAILABLE);
    assert_true(node_membership(ac->nodes[2].node)->audit_failing);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "two"));
    ac->nodes[2].disk_gone = false;
    ac_run_ms(ac, 2500);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "two"));
    ac_run_ms(ac, 2500);
    look(ac, 2, "a", &f);
    assert_int_equal(f.finding.verdict, AUDIT_INTACT);
    assert_int_equal(f.finding.unanchored, 0);
    ac_end(ac);
}

/* A new store begins a new tree with a random name: the node stops when there is no randomness. */
static void
test_no_randomness(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 8);
    ac_crash(ac, 1);
    ac_lose_store(ac, 1, true);
    ac_start(ac, 1);
    for (unsigned ms = 0; ms < 5000 && node_incarnation(ac->nodes[1].node) < 2; ms++)
        ac_run_ms(ac, 1);
    assert_int_equal(node_incarnation(ac->nodes[1].node), 2);
    ac->may_fail = true;
    ac->nodes[1].rng = no_entropy();
    struct request read = ac_make(REQUEST_READ, "a", NULL);
    read.credential = bytes_of_text("nobody's"); /* refused at once, which is noted */
    (void)ac_send(ac, 1, &read);
    assert_true(node_failed(ac->nodes[1].node));
    ac_end(ac);
}

/* ---- heads that contradict what was known ---- */

/* As node 1 would tell it that one, with its key or another one. */
static void
tell_head_to(struct actor_cluster *ac, unsigned to, struct audit_head *head, unsigned signer)
{
    struct msg msg = {.kind = MSG_ANCHOR};
    struct buf encoded = {0};

    secret_arena_open(ac->nodes[signer].secrets);
    audit_head_sign(head, ac->cluster.id, &ac->nodes[signer].signing);
    secret_arena_close(ac->nodes[signer].secrets);
    assert_int_equal(audit_head_encode(head, &encoded), OK);
    msg.u.anchor.head = buf_bytes(&encoded);
    assert_int_equal(ac_inject(ac, 1, to, &msg), OK);
    ac_run_ms(ac, 20);
    buf_close(&encoded);
}

static void
tell_head(struct actor_cluster *ac, struct audit_head *head, unsigned signer)
{
    tell_head_to(ac, 0, head, signer);
}

static void
test_heads_that_contradict_are_alarms(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 17);
    uint64_t *alarms = &ac->nodes[0].metrics.counters[METRIC_audit_alarms];
    struct audit_head anchors[HEADS_MAX], known, bad;

    (void)state;
    assert_int_equal(ac_create(ac, 1, "a", "value")->reply.err, OK);
    ac_run_ms(ac, 3000);
    assert_int_equal(anchors_of(ac, 1, anchors), 2);
    known = anchors[0];
    bad = known;
    bad.size--;
    bad.time_ms += 10;
    tell_head(ac, &bad, 1);
    assert_int_equal(*alarms, 1); /* rolled back */
    bad = known;
    bad.root[3] ^= 1;
    bad.time_ms += 10;
    tell_head(ac, &bad, 1);
    assert_int_equal(*alarms, 2); /* forked */
    bad = known;
    bad.size += 7;
    bad.time_ms += 10;
    tell_head(ac, &bad, 2);
    assert_int_equal(*alarms, 3); /* not signed by that node */
    bad = known;
    bad.size--;
    bad.time_ms--;
    tell_head(ac, &bad, 1);
    assert_int_equal(*alarms, 3); /* an old one that comes late */
    assert_int_equal(anchors_of(ac, 1, anchors), 2);
    for (unsigned i = 0; i < 2; i++)
        assert_memory_equal(anchors[i].root, known.root, HASH_BYTES);
    ac_end(ac);
}

/* ---- a trail that its owner writes anew ---- */

struct forgery {
    struct buf blocks[ROWS_MAX];
    size_t count;
    struct audit_head head; /* of all of it */
};

/* The records, of which those about "a" are about something else, and the rest as it fits. */
static void
forge_records(const struct audit_block *block, struct buf *out)
{
    struct audit_record record;
    struct cbor_writer w;
    struct bytes bytes;
    size_t at = 0;

    cbor_writer_init(&w, out);
    while (audit_block_next(block, &at, &bytes)) {
        struct buf again = {0};
        assert_int_equal(audit_record_decode(bytes, &record), OK);
        if (bytes_equal(record.name, bytes_of_text("a")))
            record.name = bytes_of_text("z");
        assert_int_equal(audit_record_encode(&record, &again), OK);
        cbor_put_bytes(&w, buf_bytes(&again));
        buf_close(&again);
    }
}

static void
forge_block(struct forgery *f, struct audit_block *block, uint8_t previous[static HASH_BYTES],
            struct audit_tree *tree)
{
    struct buf records = {0};

    forge_records(block, &records);
    block->records = buf_bytes(&records);
    block->number = f->count;
    block->before = *tree;
    memcpy(block->previous, previous, HASH_BYTES);
    assert_int_equal(audit_block_encode(block, &f->blocks[f->count]), OK);
    assert_int_equal(audit_block_after(block, tree), OK);
    audit_block_hash(buf_bytes(&f->blocks[f->count++]), previous);
    buf_close(&records);
}

/* Of node 1: all its blocks anew and one more, and a head of that. */
static void
forge_trail(struct actor_cluster *ac, struct forgery *f)
{
    struct store_row *rows = calloc(ROWS_MAX, sizeof(*rows));
    uint8_t previous[HASH_BYTES] = {0};
    struct audit_tree tree = {0};
    struct audit_block block;
    struct arena arena;

    arena_init(&arena, 1 << 24);
    size_t count = rows_of(ac, 1, ROW_AUDIT, &arena, rows);
    for (size_t i = 0; i <= count; i++) {
        assert_int_equal(audit_block_decode(rows[i < count ? i : count - 1].value, &block), OK);
        forge_block(f, &block, previous, &tree);
    }
    f->head = (struct audit_head){.node = 1, .size = tree.size};
    memcpy(f->head.epoch, block.epoch, AUDIT_EPOCH_BYTES);
    audit_tree_root(&tree, f->head.root);
    arena_close(&arena);
    free(rows);
}

static struct audit_finding
judge_forgery(const struct forgery *f, struct audit_head *heads, size_t count)
{
    struct audit_verifier v;

    audit_verifier_init(&v, heads, count);
    for (size_t i = 0; i < f->count; i++)
        (void)audit_verifier_block(&v, buf_bytes(&f->blocks[i]));
    return audit_verifier_end(&v);
}

/*
 * Whoever has node 1 and its key writes its trail anew, and signs a larger head of that: the others
 * cannot see it and take it in the place of the true one. What they keep beside it tells, through
 * their restarts and for the next 23 hours, whatever else he signs.
 */
static void
test_a_trail_that_is_written_anew(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 21);
    struct forgery *f = calloc(1, sizeof(*f));
    struct audit_head heads[HEADS_MAX], newest[HEADS_MAX], known;

    (void)state;
    assert_int_equal(ac_create(ac, 1, "a", "value")->reply.err, OK);
    ac_run_ms(ac, 2500);
    forge_trail(ac, f);
    assert_int_equal(anchors_of(ac, 1, newest), 2);
    known = newest[0];
    assert_int_equal(judge_forgery(f, newest, 2).verdict, AUDIT_CHANGED);
    ac_isolate(ac, 1, true);
    for (unsigned hour = 1; hour < 24; hour++) {
        for (unsigned i = 0; i < 3; i++)
            ac->nodes[i].skew_ms += 3600 * 1000;
        f->head.time_ms = ac_wall_ms(ac, 1);
        tell_head_to(ac, 0, &f->head, 1);
        tell_head_to(ac, 2, &f->head, 1);
        if (hour == 1) { /* what was in its hour is known after a restart, too */
            ac_crash(ac, 0);
            ac_start(ac, 0);
            ac_run_ms(ac, 3000);
            tell_head_to(ac, 0, &f->head, 1);
        }
    }
    assert_int_equal(anchors_of(ac, 1, newest), 2);
    assert_memory_equal(newest[0].root, f->head.root, HASH_BYTES);
    assert_int_equal(judge_forgery(f, newest, 2).verdict, AUDIT_INTACT); /* he has got that far */
    size_t count = heads_of(ac, 1, ROW_WITNESS, heads);
    struct audit_finding found = judge_forgery(f, heads, count);
    assert_int_equal(found.verdict, AUDIT_CHANGED);
    assert_true(found.contradicted);
    assert_true(found.against.size <= known.size);
    assert_true(found.against.kept_by == 0 || found.against.kept_by == 2);
    for (unsigned keeper = 0; keeper < 3; keeper += 2) {
        bool kept = false;
        for (size_t i = 0; i < count; i++)
            kept = kept || (heads[i].kept_by == keeper && heads[i].size == known.size &&
                            memcmp(heads[i].root, known.root, HASH_BYTES) == 0);
        assert_true(kept);
    }
    for (size_t i = 0; i < f->count; i++)
        buf_close(&f->blocks[i]);
    free(f);
    ac_end(ac);
}

/* Dated from the future it is not taken, and is one event, not one a second; then all goes on. */
static void
test_heads_from_the_future(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 22);
    uint64_t *alarms = &ac->nodes[0].metrics.counters[METRIC_audit_alarms];
    struct audit_head anchors[HEADS_MAX];

    (void)state;
    ac_run_ms(ac, 2500);
    ac->nodes[1].skew_ms = 300 * 1000;
    (void)ac_read(ac, 1, "a");
    ac_run_ms(ac, 5000);
    assert_true(*alarms > 0);
    assert_int_equal(anchors_of(ac, 1, anchors), 2);
    for (unsigned i = 0; i < 2; i++)
        assert_true(anchors[i].time_ms < ac_wall_ms(ac, 0));
    ac->nodes[1].skew_ms = 0; /* its clock is put right: its heads count again at once */
    uint64_t before = *alarms;
    assert_int_equal(ac_create(ac, 1, "b", "value")->reply.err, OK);
    ac_run_ms(ac, 2500);
    assert_true(*alarms <= before + 1);
    struct found f;
    look(ac, 1, "b", &f);
    assert_int_equal(f.finding.verdict, AUDIT_INTACT);
    assert_int_equal(f.finding.unanchored, 0);
    ac_end(ac);
}

/* ---- where the trail stands cannot be read at the start ---- */

/* Until it is known requests are refused at once; then the node takes part again. */
static void
test_reads_fail_at_the_start(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 9);
    struct found before, after;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "one")->reply.err, OK);
    ac_run_ms(ac, 2500);
    look(ac, 2, "a", &before);
    ac_crash(ac, 2);
    ac->nodes[2].reads_fail = true;
    ac_start(ac, 2);
    ac_run_ms(ac, 3000);
    assert_true(node_membership(ac->nodes[2].node)->audit_failing);
    assert_int_equal(ac_read(ac, 2, "a")->reply.err, ERR_AUDIT_UNAVAILABLE);
    assert_int_equal(ac_update(ac, 0, "a", "two")->reply.err, OK);
    ac->nodes[2].reads_fail = false;
    ac_run_ms(ac, 5000);
    assert_false(node_membership(ac->nodes[2].node)->audit_failing);
    assert_true(ac_value_is(ac_read(ac, 2, "a"), "two"));
    ac_isolate(ac, 1, true); /* so its vote is needed */
    ac_run_ms(ac, 2500);
    assert_int_equal(ac_update(ac, 0, "a", "three")->reply.err, OK);
    ac_run_ms(ac, 2500);
    look(ac, 2, "a", &after);
    assert_int_equal(after.finding.verdict, AUDIT_INTACT);
    assert_int_equal(after.starts, 2);
    assert_true(after.finding.records > before.finding.records);
    ac_end(ac);
}

/* The first reads succeed, and those after them fail for a while. */
static void
restart_failing_after(struct actor_cluster *ac, unsigned steps)
{
    ac_crash(ac, 0);
    ac_start(ac, 0);
    for (unsigned i = 0; i < steps; i++)
        (void)ac_step(ac, ac->now_ns + 1000000);
    ac->nodes[0].reads_fail = true;
    ac_run_ms(ac, 20);
    ac->nodes[0].reads_fail = false;
}

/* Whichever read it is that fails: no head of the others that was known is forgotten for it. */
static void
test_no_head_is_forgotten_when_reads_fail(void **state)
{
    unsigned failed = 0;

    (void)state;
    for (unsigned steps = 0; steps < 40; steps++) {
        struct actor_cluster *ac = ac_cluster_of(3, 17);
        uint64_t *alarms = &ac->nodes[0].metrics.counters[METRIC_audit_alarms];
        struct audit_head anchors[HEADS_MAX], bad;
        assert_int_equal(ac_create(ac, 1, "a", "value")->reply.err, OK);
        ac_run_ms(ac, 3000);
        assert_int_equal(anchors_of(ac, 1, anchors), 2);
        bad = anchors[0];
        bad.size--;
        bad.time_ms += 10;
        restart_failing_after(ac, steps);
        failed += node_membership(ac->nodes[0].node)->audit_failing;
        tell_head(ac, &bad, 1); /* too early to be judged, or an alarm */
        for (unsigned ms = 0; ms < 5000 && node_membership(ac->nodes[0].node)->audit_failing;
             ms += 10)
            ac_run_ms(ac, 10);
        if (*alarms == 0)
            tell_head(ac, &bad, 1);
        assert_int_equal(*alarms, 1);
        assert_int_equal(ac_read(ac, 0, "a")->reply.err, OK);
        ac_end(ac);
    }
    assert_true(failed >= 2);
}

/*
 * Where the trail ended is not known any more: what is there stays, and a new epoch goes on after.
 */
static void
test_goes_on_after_what_it_finds(void **state)
{
    const char *const rotten[] = {"rubbish", ac_unreadable};

    (void)state;
    for (unsigned i = 0; i < 2; i++) {
        struct actor_cluster *ac = ac_cluster_of(3, 18 + i);
        struct found before, after;
        struct row_key key;
        assert_int_equal(ac_create(ac, 0, "a", "value")->reply.err, OK);
        ac_run_ms(ac, 2500);
        look(ac, 0, "a", &before);
        assert_true(before.blocks >= 2);
        ac_crash(ac, 0);
        row_key_audit_state(&key);
        ac_put(ac, 0, &key, bytes_of_text(rotten[i]));
        ac_start(ac, 0);
        ac_run_ms(ac, 2000);
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "value"));
        ac_run_ms(ac, 2500);
        look(ac, 0, "a", &after);
        assert_true(after.blocks > before.blocks);
        assert_int_equal(after.starts, 2);
        assert_true(after.votes >= before.votes);
        assert_true(after.requests > before.requests);
        assert_int_equal(after.finding.verdict, AUDIT_INTACT);
        row_key_audit(after.blocks - 1, &key);
        struct bytes last;
        assert_true(ac_get(ac, 0, &key, &last)); /* numbers without a gap */
        ac_end(ac);
    }
}

static uint64_t
blocks_of(struct actor_cluster *ac, unsigned node)
{
    struct found found;
    look(ac, node, "a", &found);
    assert_int_equal(found.finding.verdict, AUDIT_INTACT);
    return found.blocks;
}

static bool
state_row(struct actor_cluster *ac, unsigned node, struct bytes *out)
{
    struct row_key key;
    row_key_audit_state(&key);
    return ac_get(ac, node, &key, out);
}

/*
 * The row that says where the trail stands is written with some blocks only; wherever a process
 * ends the trail goes on after the last block, in the same epoch.
 */
static void
test_blocks_after_the_state_count(void **state)
{
    unsigned unwritten = 0;
    (void)state;
    for (unsigned reads = 0; reads < 20; reads++) {
        struct actor_cluster *ac = ac_cluster_of(3, 40 + reads);
        struct audit_block first, last;
        struct bytes before, after, row;
        struct row_key key;
        assert_int_equal(ac_create(ac, 0, "a", "value")->reply.err, OK);
        for (unsigned i = 0; i < reads; i++)
            assert_true(ac_value_is(ac_read(ac, 0, "a"), "value"));
        ac_run_ms(ac, 50);
        uint64_t blocks = blocks_of(ac, 0);
        assert_true(blocks > reads);
        assert_true(state_row(ac, 0, &before));
        uint8_t *copy = malloc(before.size);
        size_t size = before.size;
        memcpy(copy, before.data, size);
        ac_crash_losing(ac, 0, false);
        ac_start(ac, 0);
        ac_run_ms(ac, 3000);
        assert_true(state_row(ac, 0, &after));
        unwritten += bytes_equal(bytes_of(copy, size), after);
        free(copy);
        assert_true(blocks_of(ac, 0) > blocks);
        row_key_audit(0, &key);
        assert_true(ac_get(ac, 0, &key, &row));
        assert_int_equal(audit_block_decode(row, &first), OK);
        uint8_t epoch[AUDIT_EPOCH_BYTES];
        memcpy(epoch, first.epoch, sizeof(epoch));
        row_key_audit(blocks, &key); /* the first of the next process */
        assert_true(ac_get(ac, 0, &key, &row));
        assert_int_equal(audit_block_decode(row, &last), OK);
        assert_memory_equal(last.epoch, epoch, sizeof(epoch));
        ac_end(ac);
    }
    assert_true(unwritten > 0);
}

/* A block behind that row that does not go on from it is one more reason for a new epoch. */
static void
test_a_block_after_the_state_is_rotten(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 70);
    struct row_key key;
    struct audit_block first, next;
    struct bytes row;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "value")->reply.err, OK);
    for (unsigned i = 0; i < 5; i++)
        assert_true(ac_value_is(ac_read(ac, 0, "a"), "value"));
    ac_run_ms(ac, 50);
    uint64_t blocks = blocks_of(ac, 0);
    assert_true(blocks >= 4 && blocks % AUDIT_STATE_EVERY >= 2);
    row_key_audit(0, &key);
    assert_true(ac_get(ac, 0, &key, &row));
    assert_int_equal(audit_block_decode(row, &first), OK);
    uint8_t epoch[AUDIT_EPOCH_BYTES];
    memcpy(epoch, first.epoch, sizeof(epoch));
    ac_crash_losing(ac, 0, false);
    row_key_audit(blocks - 1, &key);
    ac_put(ac, 0, &key, bytes_of_text("rubbish"));
    ac_start(ac, 0);
    ac_run_ms(ac, 3000);
    row_key_audit(blocks, &key);
    assert_true(ac_get(ac, 0, &key, &row));
    assert_int_equal(audit_block_decode(row, &next), OK);
    assert_memory_not_equal(next.epoch, epoch, sizeof(epoch));
    assert_true(ac_value_is(ac_read(ac, 0, "a"), "value"));
    ac_end(ac);
}

/* One buffer encodes all records: nothing of a record stays in it when the record has gone. */
static void
test_a_noted_record_is_wiped(void **state)
{
    const struct audit_options options = {0};
    const struct audit_record record = {.kind = AUDIT_request,
                                        .operation = bytes_of_text("read"),
                                        .tenant = bytes_of_text("default"),
                                        .name = bytes_of_text("payroll/key"),
                                        .outcome = bytes_of_text("ok")};
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    struct membership *membership = calloc(1, sizeof(*membership));
    struct auditor *auditor = calloc(1, sizeof(*auditor));
    struct step step = {.metrics = metrics, .audit = auditor};

    (void)state;
    auditor_init(auditor, membership, &options);
    audit_note(&step, &record);
    assert_int_equal(auditor->record_count, 1);
    assert_int_equal(auditor->encoding.size, 0);
    assert_true(auditor->encoding.capacity > 0);
    assert_null(memmem(auditor->encoding.data, 64, "payroll/key", 11));
    auditor_close(auditor);
    free(auditor);
    free(membership);
    free(metrics);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_call_leaves_its_records),
        cmocka_unit_test(test_peers_anchor),
        cmocka_unit_test(test_goes_on_after_a_restart),
        cmocka_unit_test(test_rollback_is_found),
        cmocka_unit_test(test_alteration_is_found),
        cmocka_unit_test(test_a_nearly_full_disk),
        cmocka_unit_test(test_a_full_disk),
        cmocka_unit_test(test_no_randomness),
        cmocka_unit_test(test_heads_that_contradict_are_alarms),
        cmocka_unit_test(test_a_trail_that_is_written_anew),
        cmocka_unit_test(test_heads_from_the_future),
        cmocka_unit_test(test_reads_fail_at_the_start),
        cmocka_unit_test(test_no_head_is_forgotten_when_reads_fail),
        cmocka_unit_test(test_goes_on_after_what_it_finds),
        cmocka_unit_test(test_blocks_after_the_state_count),
        cmocka_unit_test(test_a_block_after_the_state_is_rotten),
        cmocka_unit_test(test_a_noted_record_is_wiped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
