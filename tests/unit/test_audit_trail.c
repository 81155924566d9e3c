/*
 * The audit trail: whatever is done to records that an anchor covers is found, by somebody who has
 * the anchors and the public keys alone. The forger has everything else: he may make the whole
 * chain anew.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "audit/record.h"
#include "audit/verifier.h"

enum { BLOCKS = 24, RECORDS_EACH = 5, TAIL_BLOCKS = 3, TRIALS = 1000, RECORDS_MAX = 200 };

struct line {
    uint8_t data[200];
    size_t size;
};

/* What is written down: records, and where each block ends. */
struct script {
    struct line lines[RECORDS_MAX];
    size_t count;
    size_t ends[BLOCKS + 4];
    size_t blocks;
};

struct trail {
    struct buf blocks[BLOCKS + 4];
    size_t count;
    struct audit_head anchors[BLOCKS + 4];
    size_t anchor_count;
};

static uint64_t
dice(uint64_t *state, uint64_t bound)
{
    *state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (*state >> 33) % bound;
}

static void
make_line(uint64_t number, const char *name, struct line *out)
{
    struct buf encoded = {0};
    struct audit_record record = {.kind = AUDIT_request,
                                  .time_ms = 1700000000000 + number,
                                  .node = number % 3,
                                  .op = number * 7919,
                                  .request_id = bytes_of_text("0123456789abcdef"),
                                  .caller = bytes_of_text("admin"),
                                  .operation = bytes_of_text("read"),
                                  .tenant = bytes_of_text("default"),
                                  .name = bytes_of_text(name),
                                  .outcome = bytes_of_text("ok")};

    assert_int_equal(audit_record_encode(&record, &encoded), OK);
    assert_true(encoded.size <= sizeof(out->data));
    memcpy(out->data, encoded.data, encoded.size);
    out->size = encoded.size;
    buf_close(&encoded);
}

static void
make_script(uint64_t *state, struct script *out)
{
    memset(out, 0, sizeof(*out));
    for (out->blocks = 0; out->blocks < BLOCKS; out->blocks++) {
        uint64_t more = 1 + dice(state, RECORDS_EACH);
        for (uint64_t i = 0; i < more; i++, out->count++) {
            char name[32];
            snprintf(name, sizeof(name), "path/%u", (unsigned)dice(state, 1000000));
            make_line(out->count, name, &out->lines[out->count]);
        }
        out->ends[out->blocks] = out->count;
    }
}

/*
 * Everything that is made of the records: chain, trees, blocks; anchors after most of the blocks.
 */
static void
write_trail(const struct script *script, uint64_t *state, size_t anchored_blocks, struct trail *out)
{
    struct audit_block block = {.epoch = {9}, .time_ms = 1700000000000};
    size_t at = 0;

    memset(out, 0, sizeof(*out));
    for (size_t i = 0; i < script->blocks; i++) {
        struct buf records = {0};
        struct cbor_writer w;
        struct audit_tree after;
        cbor_writer_init(&w, &records);
        block.number = i;
        block.record_count = script->ends[i] - at;
        for (; at < script->ends[i]; at++)
            cbor_put_bytes(&w, bytes_of(script->lines[at].data, script->lines[at].size));
        block.records = buf_bytes(&records);
        if (block.record_count == 0) {
            buf_close(&records);
            continue;
        }
        block.number = out->count;
        assert_int_equal(audit_block_encode(&block, &out->blocks[out->count]), OK);
        audit_block_hash(buf_bytes(&out->blocks[out->count]), block.previous);
        assert_int_equal(audit_block_after(&block, &after), OK);
        out->count++;
        block.before = after;
        buf_close(&records);
        if (i < anchored_blocks && (i + 1 == anchored_blocks || dice(state, 3) != 0)) {
            struct audit_head *head = &out->anchors[out->anchor_count++];
            memcpy(head->epoch, block.epoch, AUDIT_EPOCH_BYTES);
            head->size = after.size;
            head->time_ms = block.time_ms;
            audit_tree_root(&after, head->root);
        }
    }
}

static void
close_trail(struct trail *trail)
{
    for (size_t i = 0; i < BLOCKS + 4; i++)
        buf_close(&trail->blocks[i]);
}

static struct audit_finding
judge(const struct trail *trail, const struct trail *anchors)
{
    struct audit_head heads[BLOCKS + 4];
    struct audit_verifier v;

    memcpy(heads, anchors->anchors, sizeof(heads));
    audit_verifier_init(&v, heads, anchors->anchor_count);
    for (size_t i = 0; i < trail->count; i++) {
        if (!audit_verifier_block(&v, buf_bytes(&trail->blocks[i])))
            break;
    }
    return audit_verifier_end(&v);
}

/* ---- what a forger does ---- */

enum tampering {
    CHANGE,
    DROP,
    INSERT,
    REORDER,
    TRUNCATE,
    FORK,
    TAMPERINGS,
};

/* In the records; whoever does so makes everything else anew, so that it fits. */
static void
forge_script(enum tampering how, struct script *s, size_t anchored, uint64_t *state)
{
    size_t at = dice(state, anchored), other = dice(state, anchored), block = 0;

    while (s->ends[block] <= at)
        block++;
    switch (how) {
    case CHANGE: make_line(at, "somewhere/else", &s->lines[at]); break;
    case DROP:
        memmove(&s->lines[at], &s->lines[at + 1], (s->count - at - 1) * sizeof(s->lines[0]));
        s->count--;
        for (; block < s->blocks; block++)
            s->ends[block]--;
        break;
    case INSERT:
        memmove(&s->lines[at + 1], &s->lines[at], (s->count - at) * sizeof(s->lines[0]));
        make_line(at, "never/happened", &s->lines[at]);
        s->count++;
        for (; block < s->blocks; block++)
            s->ends[block]++;
        break;
    case REORDER: {
        struct line line = s->lines[at];
        other = other == at ? (at + 1) % anchored : other;
        s->lines[at] = s->lines[other];
        s->lines[other] = line;
        break;
    }
    case TRUNCATE:
        s->count = at;
        s->ends[block] = at;
        s->blocks = block + 1;
        break;
    case FORK: /* two trails were shown: from here on another one */
        for (size_t i = at; i < s->count; i++)
            make_line(i, "the/other/trail", &s->lines[i]);
        break;
    case TAMPERINGS: break;
    }
}

/* In the blocks as they lie on the disk. */
static void
forge_blocks(enum tampering how, struct trail *t, size_t anchored_blocks, uint64_t *state)
{
    size_t at = dice(state, anchored_blocks), other = dice(state, anchored_blocks);
    struct buf block;

    if (other == at)
        other = (at + 1) % anchored_blocks;
    switch (how) {
    case CHANGE:
        t->blocks[at].data[dice(state, t->blocks[at].size)] ^= (uint8_t)(1 + dice(state, 255));
        break;
    case DROP:
        buf_close(&t->blocks[at]);
        memmove(&t->blocks[at], &t->blocks[at + 1], (t->count - at) * sizeof(t->blocks[0]));
        t->count--;
        break;
    case INSERT:
        memmove(&t->blocks[at + 1], &t->blocks[at], (t->count - at) * sizeof(t->blocks[0]));
        t->blocks[at] = (struct buf){0};
        assert_int_equal(
            buf_append(&t->blocks[at], buf_bytes(&t->blocks[other < at ? other : other + 1])), OK);
        t->count++;
        break;
    case REORDER:
        block = t->blocks[at];
        t->blocks[at] = t->blocks[other];
        t->blocks[other] = block;
        break;
    case TRUNCATE:
    case FORK:
    case TAMPERINGS: t->count = at; break;
    }
}

static void
test_untouched(void **state)
{
    uint64_t seed = 1;
    struct script script;
    struct trail trail;

    (void)state;
    make_script(&seed, &script);
    write_trail(&script, &seed, BLOCKS - TAIL_BLOCKS, &trail);
    struct audit_finding f = judge(&trail, &trail);
    assert_int_equal(f.verdict, AUDIT_INTACT);
    assert_int_equal(f.records, script.count);
    assert_int_equal(f.unanchored, script.count - script.ends[BLOCKS - TAIL_BLOCKS - 1]);
    close_trail(&trail);
}

static void
check_tampering(enum tampering how)
{
    unsigned missed = 0, misplaced = 0;

    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        uint64_t seed = trial * 97 + how + 1, anchors_seed = 3;
        size_t anchored_blocks = BLOCKS - TAIL_BLOCKS;
        struct script script;
        struct trail honest, forged;
        make_script(&seed, &script);
        size_t anchored = script.ends[anchored_blocks - 1];
        write_trail(&script, &anchors_seed, anchored_blocks, &honest);
        anchors_seed = 3;
        if (trial % 2 == 0 || how == FORK) {
            forge_script(how, &script, anchored, &seed);
            write_trail(&script, &anchors_seed, 0, &forged);
        } else {
            write_trail(&script, &anchors_seed, 0, &forged);
            forge_blocks(how, &forged, anchored_blocks, &seed);
        }
        struct audit_finding f = judge(&forged, &honest);
        missed += f.verdict == AUDIT_INTACT;
        misplaced += f.record > anchored; /* the first bad one is among those */
        close_trail(&honest);
        close_trail(&forged);
    }
    assert_int_equal(missed, 0);
    assert_int_equal(misplaced, 0);
}

static void
test_changed(void **state)
{
    (void)state;
    check_tampering(CHANGE);
}
static void
test_dropped(void **state)
{
    (void)state;
    check_tampering(DROP);
}
static void
test_inserted(void **state)
{
    (void)state;
    check_tampering(INSERT);
}
static void
test_reordered(void **state)
{
    (void)state;
    check_tampering(REORDER);
}
static void
test_truncated(void **state)
{
    (void)state;
    check_tampering(TRUNCATE);
}
static void
test_forked(void **state)
{
    (void)state;
    check_tampering(FORK);
}

/*
 * Whoever has the node and its key signs a larger head of a trail that he has written anew: with that
 * alone it is as good as any, with any earlier head that was kept it is not, and the finding says which.
 */
static void
test_written_anew(void **state)
{
    (void)state;
    for (uint64_t trial = 0; trial < TRIALS; trial++) {
        uint64_t seed = trial + 1, anchors_seed = 3;
        struct script script;
        struct trail honest, forged, anchors;
        make_script(&seed, &script);
        write_trail(&script, &anchors_seed, BLOCKS - TAIL_BLOCKS, &honest);
        size_t kept = dice(&seed, honest.anchor_count);
        size_t at = dice(&seed, honest.anchors[kept].size);
        make_line(at, "somewhere/else", &script.lines[at]);
        write_trail(&script, &anchors_seed, BLOCKS, &forged);
        anchors = forged;
        anchors.anchors[0] = forged.anchors[forged.anchor_count - 1];
        anchors.anchor_count = 1;
        assert_int_equal(judge(&forged, &anchors).verdict, AUDIT_INTACT);
        honest.anchors[kept].kept_by = 5;
        anchors.anchors[anchors.anchor_count++] = honest.anchors[kept];
        struct audit_finding f = judge(&forged, &anchors);
        assert_int_equal(f.verdict, AUDIT_CHANGED);
        assert_true(f.contradicted);
        assert_int_equal(f.against.kept_by, 5);
        assert_int_equal(f.against.size, honest.anchors[kept].size);
        assert_true(f.record <= at);
        close_trail(&honest);
        close_trail(&forged);
    }
}

/* Two anchors of one size and different roots say so without any trail. */
static void
test_anchors_that_contradict(void **state)
{
    struct audit_head heads[2] = {{.size = 7, .root = {1}}, {.size = 7, .root = {2}}};
    struct audit_verifier v;

    (void)state;
    audit_verifier_init(&v, heads, 2);
    struct audit_finding f = audit_verifier_end(&v);
    assert_int_equal(f.verdict, AUDIT_FORKED);
    assert_true(f.contradicted);
    assert_int_equal(f.against.size, 7);
}

/* What is left goes on from records that a head is of, or not. */
static void
check_cut_between(const struct trail *trail, size_t cut, uint64_t before)
{
    struct audit_head heads[2] = {trail->anchors[trail->anchor_count - 1],
                                  {.epoch = {9}, .size = before, .root = {77}}};
    struct audit_verifier v;

    heads[0].kept_from = cut;
    audit_verifier_init(&v, heads, 2);
    assert_false(audit_verifier_block(&v, buf_bytes(&trail->blocks[cut])));
    struct audit_finding f = audit_verifier_end(&v);
    assert_int_equal(f.verdict, AUDIT_CHANGED);
    assert_int_equal(f.against.size, before);
}

/* The beginning may be dropped at a block (retention), and the rest is judged as before. */
static void
test_dropped_prefix(void **state)
{
    uint64_t seed = 5;
    struct script script;
    struct trail trail;

    (void)state;
    make_script(&seed, &script);
    write_trail(&script, &seed, BLOCKS, &trail);
    for (size_t cut = 0; cut < BLOCKS; cut++) {
        struct audit_verifier v;
        struct audit_head heads[BLOCKS + 4];
        memcpy(heads, trail.anchors, sizeof(heads));
        heads[trail.anchor_count - 1].kept_from = cut;
        audit_verifier_init(&v, heads, trail.anchor_count);
        for (size_t i = cut; i < trail.count; i++)
            assert_true(audit_verifier_block(&v, buf_bytes(&trail.blocks[i])));
        struct audit_finding f = audit_verifier_end(&v);
        assert_int_equal(f.verdict, AUDIT_INTACT);
        size_t before = cut == 0 ? 0 : script.ends[cut - 1], gone = 0;
        for (size_t i = 0; i < trail.anchor_count; i++)
            gone += heads[i].size < before;
        assert_int_equal(f.gone, gone); /* nothing is compared with them, which is told */
        if (cut == 0)
            continue;
        check_cut_between(&trail, cut, before);
        heads[trail.anchor_count - 1].kept_from = cut - 1; /* nobody has said that it was dropped */
        audit_verifier_init(&v, heads, trail.anchor_count);
        assert_false(audit_verifier_block(&v, buf_bytes(&trail.blocks[cut])));
        assert_int_equal(audit_verifier_end(&v).verdict, AUDIT_DROPPED);
    }
    close_trail(&trail);
}

/* RFC 6962, 2.1, by its recursive definition. */
static void
naive_root(const struct line *lines, size_t count, uint8_t out[static HASH_BYTES])
{
    uint8_t space[1 + 2 * HASH_BYTES] = {1};
    size_t split = 1;

    if (count == 1) {
        uint8_t leaf[256] = {0};
        memcpy(leaf + 1, lines->data, lines->size);
        hash_bytes(bytes_of(leaf, 1 + lines->size), out);
        return;
    }
    while (2 * split < count)
        split *= 2;
    naive_root(lines, split, space + 1);
    naive_root(lines + split, count - split, space + 1 + HASH_BYTES);
    hash_bytes(bytes_of(space, sizeof(space)), out);
}

static void
test_tree(void **state)
{
    uint64_t seed = 2;
    struct audit_tree tree = {0}, back;
    uint8_t root[HASH_BYTES], expected[HASH_BYTES], peaks[AUDIT_TREE_BYTES_MAX];
    struct script script;

    (void)state;
    make_script(&seed, &script);
    for (size_t i = 0; i < script.count; i++) {
        assert_int_equal(
            audit_tree_add(&tree, bytes_of(script.lines[i].data, script.lines[i].size)), OK);
        audit_tree_root(&tree, root);
        naive_root(script.lines, i + 1, expected);
        assert_memory_equal(root, expected, HASH_BYTES);
        size_t size = audit_tree_peaks(&tree, peaks);
        assert_int_equal(audit_tree_load(tree.size, bytes_of(peaks, size), &back), OK);
        assert_true(audit_tree_equal(&tree, &back));
        assert_int_equal(audit_tree_load(tree.size, bytes_of(peaks, size - 1), &back),
                         ERR_MALFORMED);
    }
}

/* Short leaves and long ones are hashed in different ways, and come to the same. */
static void
test_leaves_of_any_size(void **state)
{
    uint8_t leaf[1 + 2048], root[HASH_BYTES], expected[HASH_BYTES];

    (void)state;
    memset(leaf, 0x5a, sizeof(leaf));
    leaf[0] = 0;
    for (size_t size = 0; size < sizeof(leaf); size++) {
        struct audit_tree tree = {0};
        assert_int_equal(audit_tree_add(&tree, bytes_of(leaf + 1, size)), OK);
        audit_tree_root(&tree, root);
        hash_bytes(bytes_of(leaf, 1 + size), expected);
        assert_memory_equal(root, expected, HASH_BYTES);
    }
}

static void
test_records(void **state)
{
    struct audit_record record;
    struct line line;
    struct buf again = {0};
    uint8_t long_word[AUDIT_WORD_BYTES_MAX + 1];

    (void)state;
    make_line(3, "a/b", &line);
    assert_int_equal(audit_record_decode(bytes_of(line.data, line.size), &record), OK);
    assert_int_equal(audit_record_encode(&record, &again), OK);
    assert_true(bytes_equal(buf_bytes(&again), bytes_of(line.data, line.size)));
    buf_close(&again);
    for (size_t size = 0; size < line.size; size++)
        assert_int_equal(audit_record_decode(bytes_of(line.data, size), &record), ERR_MALFORMED);
    memset(long_word, 'a', sizeof(long_word));
    record =
        (struct audit_record){.kind = AUDIT_vote, .caller = bytes_of(long_word, sizeof(long_word))};
    assert_int_equal(audit_record_encode(&record, &again), ERR_RANGE);
    record = (struct audit_record){.kind = AUDIT_vote, .outcome = bytes_of_text("a\nb")};
    assert_int_equal(audit_record_encode(&record, &again), ERR_RANGE);
    record = (struct audit_record){.kind = 0};
    assert_int_equal(audit_record_encode(&record, &again), ERR_RANGE);
    assert_int_equal(again.size, 0);
    buf_close(&again);
}

static void
test_heads(void **state)
{
    const uint8_t seed[SIGNING_SEED_BYTES] = {3}, cluster[CLUSTER_ID_BYTES] = {1},
                  other[CLUSTER_ID_BYTES] = {2};
    struct audit_head head = {.node = 1,
                              .epoch = {4},
                              .size = 99,
                              .root = {5},
                              .time_ms = 6,
                              .kept_from = 2},
                      back;
    struct secret_arena *arena;
    struct signing_key key;
    struct signing_keys keys = {0};
    struct buf encoded = {0};

    (void)state;
    assert_int_equal(crypto_init(), OK);
    assert_int_equal(secret_arena_new(2, &arena), OK);
    secret_arena_open(arena);
    assert_int_equal(signing_key_init(&key, arena, seed), OK);
    assert_true(signing_keys_learn(&keys, &key.public_half));
    audit_head_sign(&head, cluster, &key);
    assert_int_equal(audit_head_verify(&head, cluster, &keys), OK);
    assert_int_equal(audit_head_verify(&head, other, &keys), ERR_CORRUPT);
    assert_int_equal(audit_head_encode(&head, &encoded), OK);
    for (size_t i = 0; i < encoded.size; i++) {
        encoded.data[i] ^= 1;
        assert_true(audit_head_decode(buf_bytes(&encoded), &back) != OK ||
                    audit_head_verify(&back, cluster, &keys) != OK);
        encoded.data[i] ^= 1;
    }
    assert_int_equal(audit_head_decode(buf_bytes(&encoded), &back), OK);
    assert_int_equal(audit_head_verify(&back, cluster, &keys), OK);
    buf_close(&encoded);
    signing_key_close(&key, arena);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_tree),
        cmocka_unit_test(test_leaves_of_any_size),
        cmocka_unit_test(test_records),
        cmocka_unit_test(test_heads),
        cmocka_unit_test(test_untouched),
        cmocka_unit_test(test_changed),
        cmocka_unit_test(test_dropped),
        cmocka_unit_test(test_inserted),
        cmocka_unit_test(test_reordered),
        cmocka_unit_test(test_truncated),
        cmocka_unit_test(test_forked),
        cmocka_unit_test(test_written_anew),
        cmocka_unit_test(test_anchors_that_contradict),
        cmocka_unit_test(test_dropped_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
