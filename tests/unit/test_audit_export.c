/*
 * Exports of a trail: what is done to the lines of a file is found by somebody who has the file and
 * the public key alone. The forger has no key that a certificate proves.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/judge.h"
#include "audit/record.h"

enum { BLOCKS = 16, RECORDS_EACH = 4, TAIL_BLOCKS = 2, TRIALS = 1000, LINES_MAX = 48 };

struct export
{
    struct buf lines[LINES_MAX];
    size_t count, first_block, first_head, anchored; /* blocks of which a head tells */
};

static struct secret_arena *arena;
static struct signing_key node_key, other_key;
static const uint8_t cluster_id[CLUSTER_ID_BYTES] = {7, 7};

static uint64_t
dice(uint64_t *state, uint64_t bound)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return bound > 0 ? (*state >> 33) % bound : 0;
}

/* As a certificate would: that key, for that node, with that proof. */
static bool
prove(void *context, const uint8_t cluster[static CLUSTER_ID_BYTES], struct bytes name,
      const struct signing_public *key)
{
    (void)context;
    return memcmp(cluster, cluster_id, CLUSTER_ID_BYTES) == 0 &&
           bytes_equal(name, bytes_of_text("n1")) && key->proof_size == 3 &&
           memcmp(key->key, node_key.public_half.key, sizeof(key->key)) == 0;
}

static void
add_line(struct export *e, const struct audit_line *line)
{
    assert_true(e->count < LINES_MAX);
    assert_int_equal(audit_line_write(line, &e->lines[e->count]), OK);
    e->lines[e->count].size--; /* without its end */
    e->count++;
}

static void
put_record(struct cbor_writer *w, uint64_t number, uint64_t salt)
{
    struct buf encoded = {0};
    char name[32];
    struct audit_record record = {.kind = AUDIT_request, .time_ms = 1700000000000 + number};

    snprintf(name, sizeof(name), "path/%u", (unsigned)salt);
    record.name = bytes_of_text(name);
    record.outcome = bytes_of_text("ok");
    assert_int_equal(audit_record_encode(&record, &encoded), OK);
    cbor_put_bytes(w, buf_bytes(&encoded));
    buf_close(&encoded);
}

/* One more block of the trail that `block` tells of, and the head after it. */
static void
write_block(struct audit_block *block, uint64_t *state, struct buf *out, struct audit_head *head)
{
    struct buf records = {0};
    struct audit_tree after;
    struct cbor_writer w;

    cbor_writer_init(&w, &records);
    block->record_count = 1 + dice(state, RECORDS_EACH);
    for (size_t i = 0; i < block->record_count; i++)
        put_record(&w, block->before.size + i, dice(state, 1000000));
    block->records = buf_bytes(&records);
    assert_int_equal(audit_block_encode(block, out), OK);
    audit_block_hash(buf_bytes(out), block->previous);
    assert_int_equal(audit_block_after(block, &after), OK);
    buf_close(&records);
    *head = (struct audit_head){.epoch = {9}, .size = after.size, .time_ms = 1700000000000};
    audit_tree_root(&after, head->root);
    block->before = after;
    block->number++;
}

static void
make_export(uint64_t *state, const struct signing_key *key, struct export *out)
{
    struct audit_line line = {.kind = AUDIT_LINE_BEGIN};
    struct audit_block block = {.epoch = {9}};
    struct buf blocks[BLOCKS] = {{0}};
    struct audit_head heads[BLOCKS];

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < BLOCKS; i++)
        write_block(&block, state, &blocks[i], &heads[i]);
    add_line(out, &line);
    line.kind = AUDIT_LINE_CLUSTER;
    memcpy(line.cluster, cluster_id, sizeof(cluster_id));
    add_line(out, &line);
    add_line(out, &(struct audit_line){.kind = AUDIT_LINE_NODE, .name = bytes_of_text("n1")});
    line = (struct audit_line){.kind = AUDIT_LINE_KEY, .key = key->public_half};
    line.key.proof_size = 3;
    add_line(out, &line);
    out->first_head = out->count;
    for (uint64_t keeper = 1; keeper <= 2; keeper++) {
        line = (struct audit_line){.kind = AUDIT_LINE_HEAD, .node = keeper};
        line.head = heads[BLOCKS - TAIL_BLOCKS - (keeper == 1 ? 1 : 1 + dice(state, 3))];
        audit_head_sign(&line.head, cluster_id, key);
        add_line(out, &line);
    }
    out->first_block = out->count;
    out->anchored = BLOCKS - TAIL_BLOCKS;
    for (size_t i = 0; i < BLOCKS; i++) {
        line = (struct audit_line){.kind = AUDIT_LINE_BLOCK, .block = buf_bytes(&blocks[i])};
        add_line(out, &line);
        buf_close(&blocks[i]);
    }
    add_line(out, &(struct audit_line){.kind = AUDIT_LINE_END});
}

static void
close_export(struct export *e)
{
    for (size_t i = 0; i < LINES_MAX; i++)
        buf_close(&e->lines[i]);
}

struct found {
    struct audit_finding finding;
    size_t heads, heads_refused;
    bool good;
};

static void
read_lines(struct audit_judge *j, const struct export *e, size_t from, size_t to)
{
    for (size_t i = from; i < to; i++)
        assert_int_equal(audit_judge_line(j, buf_bytes(&e->lines[i])), OK);
}

/* In one file; or, `split` unless 0, in two, of which each has its own beginning and end. */
static void
read_files(struct audit_judge *j, const struct export *e, size_t split)
{
    audit_judge_file(j);
    read_lines(j, e, 0, split > 0 ? e->first_block + split : e->count);
    if (split > 0) {
        assert_int_equal(audit_judge_line(j, bytes_of_text("end")), OK);
        audit_judge_file_end(j);
        audit_judge_file(j);
        read_lines(j, e, 0, e->first_block);
        read_lines(j, e, e->first_block + split, e->count);
    }
    audit_judge_file_end(j);
}

static struct found
judge(const struct export *e, size_t split)
{
    struct audit_judge j;
    struct found found;

    assert_int_equal(audit_judge_open(&j, prove, NULL), OK);
    read_files(&j, e, split);
    audit_judge_second_pass(&j);
    read_files(&j, e, split);
    found.finding = audit_judge_end(&j);
    found.heads = j.head_count;
    found.heads_refused = j.heads_refused;
    found.good = found.finding.verdict == AUDIT_INTACT && j.head_count > 0;
    audit_judge_close(&j);
    return found;
}

static void
test_untouched(void **state)
{
    struct export e;
    uint64_t seed = 1;

    (void)state;
    make_export(&seed, &node_key, &e);
    for (size_t split = 0; split < BLOCKS; split++) {
        struct found found = judge(&e, split);
        assert_true(found.good);
        assert_int_equal(found.heads, split > 0 ? 4 : 2);
        assert_in_range(found.finding.unanchored, TAIL_BLOCKS, TAIL_BLOCKS * RECORDS_EACH);
    }
    close_export(&e);
}

/* ---- what a forger does ---- */

enum tampering {
    CHANGE,
    DROP,
    INSERT,
    REORDER,
    TRUNCATE,
    CUT_LINE,
    CHANGE_HEAD,
    FORGE,
    TAMPERINGS
};

static void
move_lines(struct export *e, size_t from, size_t to)
{
    memmove(&e->lines[to], &e->lines[from], (e->count - from) * sizeof(e->lines[0]));
    e->count = e->count - from + to;
    for (size_t i = e->count; i < LINES_MAX; i++)
        e->lines[i] = (struct buf){0};
}

/* Somewhere in the last word. */
static void
change_letter(struct buf *line, uint64_t *state)
{
    size_t from = line->size;

    while (line->data[from - 1] != ' ')
        from--;
    uint8_t *letter = &line->data[from + dice(state, line->size - from)];
    *letter = (uint8_t)(*letter ^ (1 + dice(state, 127)));
}

static void
tamper(enum tampering how, struct export *e, uint64_t *state)
{
    size_t at = e->first_block + dice(state, e->anchored);
    size_t other = e->first_block + dice(state, e->anchored);
    struct buf line = {0};

    if (other == at)
        other = at == e->first_block ? at + 1 : at - 1;
    switch (how) {
    case CHANGE: change_letter(&e->lines[at], state); break;
    case DROP:
        buf_close(&e->lines[at]);
        move_lines(e, at + 1, at);
        break;
    case INSERT:
        assert_int_equal(buf_append(&line, buf_bytes(&e->lines[other])), OK);
        move_lines(e, at, at + 1);
        e->lines[at] = line;
        break;
    case REORDER:
        line = e->lines[at];
        e->lines[at] = e->lines[other];
        e->lines[other] = line;
        break;
    case TRUNCATE: /* and made to look whole */
        while (e->count > at)
            buf_close(&e->lines[--e->count]);
        assert_int_equal(buf_append_text(&e->lines[e->count++], "end"), OK);
        break;
    case CUT_LINE:
        while (e->count > at + 1)
            buf_close(&e->lines[--e->count]);
        e->lines[at].size = dice(state, e->lines[at].size);
        break;
    case CHANGE_HEAD: change_letter(&e->lines[e->first_head + dice(state, 2)], state); break;
    case FORGE: /* all anew, and fitting, with a key of his own beside the node's */
        close_export(e);
        make_export(state, &other_key, e);
        break;
    case TAMPERINGS: break;
    }
}

static void
test_tampering(void **state)
{
    (void)state;
    for (unsigned how = CHANGE; how < TAMPERINGS; how++) {
        unsigned missed = 0, misplaced = 0;
        for (uint64_t trial = 0; trial < TRIALS; trial++) {
            uint64_t seed = trial * 131 + how + 1;
            struct export e;
            make_export(&seed, &node_key, &e);
            uint64_t most = BLOCKS * RECORDS_EACH;
            tamper((enum tampering)how, &e, &seed);
            struct found found = judge(&e, 0);
            missed += found.good;
            misplaced += found.finding.record > most || found.finding.block > BLOCKS;
            close_export(&e);
        }
        assert_int_equal(missed, 0);
        assert_int_equal(misplaced, 0);
    }
}

/* What is wrong with the form is a finding, not an error. */
static void
test_lines(void **state)
{
    static const char *const bad[] = {"",
                                      " ",
                                      "end ",
                                      " end",
                                      "block",
                                      "block =",
                                      "block AAA",
                                      "node 9 n1",
                                      "node 1",
                                      "node 1 ",
                                      "node 01 n1",
                                      "key 00 AAAA",
                                      "head 1 AAAA",
                                      "missing",
                                      "missing 9",
                                      "missing x",
                                      "nothing",
                                      "ostraka-audit 2",
                                      "ostraka-audit",
                                      "cluster 00",
                                      "block  AAAA",
                                      "end end"};
    uint8_t *memory = malloc(AUDIT_EXPORT_BLOCK_BYTES_MAX);
    struct audit_line line;
    uint64_t seed = 4;
    struct export e;

    (void)state;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(audit_line_parse(bytes_of_text(bad[i]), memory, &line), ERR_MALFORMED);
    make_export(&seed, &node_key, &e);
    for (size_t i = 0; i < e.count; i++) {
        struct buf again = {0};
        assert_int_equal(audit_line_parse(buf_bytes(&e.lines[i]), memory, &line), OK);
        assert_int_equal(audit_line_write(&line, &again), OK);
        again.size--;
        assert_true(bytes_equal(buf_bytes(&again), buf_bytes(&e.lines[i])));
        buf_close(&again);
    }
    for (size_t i = 0; i < e.first_block; i++) { /* any line of the beginning out of its place */
        if (i + 1 == e.first_head || i == e.first_head)
            continue;
        struct buf first = e.lines[i];
        e.lines[i] = e.lines[i + 1];
        e.lines[i + 1] = first;
        assert_false(judge(&e, 0).good);
        e.lines[i + 1] = e.lines[i];
        e.lines[i] = first;
    }
    close_export(&e);
    free(memory);
}

/* Nothing is proven by a file that has no head, whatever else is in it. */
static void
test_no_heads(void **state)
{
    uint64_t seed = 5;
    struct export e;

    (void)state;
    make_export(&seed, &node_key, &e);
    buf_close(&e.lines[e.first_head]);
    buf_close(&e.lines[e.first_head + 1]);
    move_lines(&e, e.first_head + 2, e.first_head);
    struct found found = judge(&e, 0);
    assert_int_equal(found.finding.verdict, AUDIT_INTACT);
    assert_int_equal(found.finding.unanchored, found.finding.records);
    assert_false(found.good);
    close_export(&e);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_tampering),
        cmocka_unit_test(test_lines),
        cmocka_unit_test(test_no_heads),
    };
    const uint8_t seed[SIGNING_SEED_BYTES] = {3}, other[SIGNING_SEED_BYTES] = {4};

    if (crypto_init() != OK || secret_arena_new(4, &arena) != OK)
        return 1;
    secret_arena_open(arena);
    if (signing_key_init(&node_key, arena, seed) != OK ||
        signing_key_init(&other_key, arena, other) != OK)
        return 1;
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    signing_key_close(&node_key, arena);
    signing_key_close(&other_key, arena);
    secret_arena_close(arena);
    secret_arena_free(arena);
    return failed;
}
