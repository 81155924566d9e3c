/*
 * Whatever rests in the store: rows, their keys, and the records in them. The first byte picks the
 * decoder, the rest is its input; what is accepted is written back byte for byte.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "proto/entries.h"
#include "proto/names.h"
#include "proto/rows.h"
#include "store/store_chain.h"

enum { LIST_MAX = 16 };

static void
check_path_row(struct bytes input)
{
    struct path_row row;
    struct buf again = {0};

    if (path_row_decode(input, &row) == OK)
        check_same(path_row_encode(&row, &again), input, &again);
}

static void
check_version_row(struct bytes input)
{
    struct version_row row;
    struct buf again = {0};

    if (version_row_decode(input, &row) == OK)
        check_same(version_row_encode(&row, &again), input, &again);
}

static void
check_node_row(struct bytes input)
{
    struct node_row row;
    struct buf again = {0};

    if (node_row_decode(input, &row) == OK)
        check_same(node_row_encode(&row, &again), input, &again);
}

static void
check_peer_row(struct bytes input)
{
    struct peer_row row;
    struct buf again = {0};

    if (peer_row_decode(input, &row) == OK)
        check_same(peer_row_encode(&row, &again), input, &again);
}

static void
check_key(struct bytes input)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes version_id;
    struct row_key again;

    if (row_key_parse(input, &table, &path, &version, &version_id) != OK)
        return;
    if (version_id.size != ID_BYTES)
        abort();
    row_key_version(table, path, version, version_id.data, &again);
    if (!bytes_equal(input, row_key_bytes(&again)))
        abort();
}

static void
check_head(struct bytes input)
{
    struct head head;
    struct buf again = {0};

    if (head_decode(input, &head) == OK)
        check_same(head_encode(&head, &again), input, &again);
}

static void
check_version(struct bytes input)
{
    struct version_record version;
    struct buf again = {0};

    if (version_decode(input, &version) == OK)
        check_same(version_encode(&version, &again), input, &again);
}

static void
check_list(struct bytes input)
{
    struct bytes items[LIST_MAX];
    size_t count;
    struct buf again = {0};

    if (bytes_list_decode(input, VERSION_BYTES_MAX, items, LIST_MAX, &count) == OK)
        check_same(bytes_list_encode(items, count, &again), input, &again);
}

/* A list of two: public part and boxes. */
static void
check_dealing(struct bytes input)
{
    struct bytes parts[2];
    struct dealing dealing;
    struct buf again = {0};
    size_t count;

    if (bytes_list_decode(input, DEALING_BYTES_MAX, parts, 2, &count) != OK || count != 2)
        return;
    if (dealing_decode(parts[0], parts[1], &dealing) != OK)
        return;
    check_same(dealing_encode_public(&dealing, &again), parts[0], &again);
    if (parts[1].size > 0)
        check_same(dealing_encode_boxes(&dealing, &again), parts[1], &again);
}

static void
check_index_key(struct bytes input)
{
    struct path path;
    struct row_key again;

    if (row_key_path_of(input, &path) != OK)
        return;
    if (input.data[0] == ROW_PATH)
        row_key_path(path, &again);
    else
        row_key_index(path, &again);
    if (!bytes_equal(input, row_key_bytes(&again)))
        abort();
}

static void
check_entries(struct bytes input)
{
    struct path_entry entries[ENTRIES_MAX];
    size_t count;
    struct buf again = {0};

    if (path_entries_decode(input, entries, &count) == OK)
        check_same(path_entries_encode(entries, count, &again), input, &again);
}

/* What a node says of its names; or the key of one of them. */
static void
check_names(struct bytes input)
{
    struct listed_name names[SCAN_NAMES_MAX];
    struct row_key key;
    struct path path;
    size_t count;
    struct buf again = {0};

    if (listed_names_decode(input, names, &count) == OK)
        check_same(listed_names_encode(names, count, &again), input, &again);
    if (row_key_name_of(input, &path) != OK)
        return;
    row_key_name(path, &key);
    if (!bytes_equal(input, row_key_bytes(&key)))
        abort();
}

/* Key and value, which has a fixed size. */
static void
check_dirty_row(struct bytes input)
{
    struct row_key key;
    uint8_t value[DIRTY_VALUE_BYTES];
    unsigned bucket;
    uint64_t generation;

    if (input.size < sizeof(value))
        return;
    input.size -= sizeof(value);
    struct bytes tail = bytes_of(input.data + input.size, sizeof(value));
    if (dirty_row_decode(input, tail, &bucket, &generation) != OK)
        return;
    row_key_dirty(bucket, &key);
    dirty_row_encode(generation, value);
    if (!bytes_equal(input, row_key_bytes(&key)) ||
        !bytes_equal(tail, bytes_of(value, sizeof(value))))
        abort();
}

static void
check_mark(struct bytes input)
{
    struct store_mark mark;
    uint8_t again[STORE_MARK_BYTES];

    if (store_mark_decode(input, &mark) != OK)
        return;
    store_mark_encode(&mark, again);
    if (!bytes_equal(input, bytes_of(again, sizeof(again))))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_check *const checks[] = {
        check_path_row, check_version_row, check_node_row, check_peer_row, check_key,
        check_head,     check_version,     check_list,     check_dealing,  check_index_key,
        check_entries,  check_dirty_row,   check_mark,     check_names,
    };

    return fuzz_pick(checks, sizeof(checks) / sizeof(checks[0]), data, size);
}
