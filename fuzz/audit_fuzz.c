/*
 * What is read of audit trails: records, blocks, heads, what nodes ask each other for and answer, and
 * whole exports. The first byte says which. What is accepted comes back byte for byte, and an export
 * that no key signed is never found good.
 */
#include <stdlib.h>

#include "audit/judge.h"
#include "audit/query.h"
#include "fuzz.h"

static void
same_again(struct bytes input, enum vault_err err, struct buf *again)
{
    require(err == OK);
    require(bytes_equal(input, buf_bytes(again)));
}

static void
check_record(struct bytes input, struct buf *again)
{
    const struct audit_query all = {0};
    struct audit_record record;

    if (audit_record_decode(input, &record) != OK)
        return;
    same_again(input, audit_record_encode(&record, again), again);
    require(audit_query_matches(&all, &record));
}

static void
check_block(struct bytes input, struct buf *again)
{
    struct audit_verifier v;
    struct audit_block block;
    struct audit_tree after;
    struct bytes record;
    size_t at = 0, count = 0;

    audit_verifier_init(&v, NULL, 0);
    bool taken = audit_verifier_block(&v, input);
    if (audit_block_decode(input, &block) != OK) {
        require(!taken);
        return;
    }
    same_again(input, audit_block_encode(&block, again), again);
    while (audit_block_next(&block, &at, &record))
        count++;
    require(count == block.record_count);
    if (audit_block_after(&block, &after) == OK)
        require(after.size == block.before.size + count);
    (void)audit_verifier_end(&v);
}

static void
check_head(struct bytes input, struct buf *again)
{
    struct audit_head head;

    if (audit_head_decode(input, &head) == OK)
        same_again(input, audit_head_encode(&head, again), again);
}

static void
check_query(struct bytes input, struct buf *again)
{
    struct audit_query query;

    if (audit_query_decode(input, &query) == OK)
        same_again(input, audit_query_encode(&query, again), again);
}

static void
check_page(struct bytes input, struct buf *again)
{
    struct audit_position positions[3];
    struct audit_page page;

    if (audit_page_decode(input, &page) == OK)
        same_again(input, audit_page_encode(&page, again), again);
    if (audit_positions_decode(input, 3, positions) == OK) {
        buf_close(again);
        same_again(input, audit_positions_encode(positions, 3, again), again);
    }
}

static void
check_line(struct bytes input, struct buf *again)
{
    uint8_t *memory = malloc(AUDIT_EXPORT_BLOCK_BYTES_MAX);
    struct audit_line line;

    require(memory != NULL);
    if (audit_line_parse(input, memory, &line) == OK) {
        require(audit_line_write(&line, again) == OK);
        require(again->size > 0);
        again->size--; /* its end */
        /* Digits of either case are read, and one written. */
        if (line.kind != AUDIT_LINE_CLUSTER && line.kind != AUDIT_LINE_KEY)
            same_again(input, OK, again);
    }
    free(memory);
}

static bool
prove_nothing(void *context, const uint8_t cluster[static CLUSTER_ID_BYTES], struct bytes name,
              const struct signing_public *key)
{
    (void)context;
    (void)cluster;
    (void)name;
    (void)key;
    return false;
}

static void
judge_lines(struct audit_judge *j, struct bytes text)
{
    size_t from = 0;

    audit_judge_file(j);
    for (size_t i = 0; i <= text.size; i++) {
        if (i < text.size && text.data[i] != '\n')
            continue;
        require(audit_judge_line(j, bytes_of(text.data + from, i - from)) == OK);
        from = i + 1;
    }
    audit_judge_file_end(j);
}

static void
check_export(struct bytes input)
{
    struct audit_judge j;

    require(audit_judge_open(&j, prove_nothing, NULL) == OK);
    judge_lines(&j, input);
    audit_judge_second_pass(&j);
    judge_lines(&j, input);
    struct audit_finding found = audit_judge_end(&j);
    require(j.head_count == 0);
    require(found.verdict != AUDIT_INTACT || found.unanchored == found.records);
    audit_judge_close(&j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf again = {0};

    if (size == 0)
        return 0;
    struct bytes input = bytes_of(data + 1, size - 1);
    switch (data[0] % 7) {
    case 0: check_record(input, &again); break;
    case 1: check_block(input, &again); break;
    case 2: check_head(input, &again); break;
    case 3: check_query(input, &again); break;
    case 4: check_page(input, &again); break;
    case 5: check_line(input, &again); break;
    default: check_export(input); break;
    }
    buf_close(&again);
    return 0;
}
