/* Stores that are lost, or put back from an older copy. The node is down meanwhile. */
#include <stdlib.h>

#include "actor_cluster_internal.h"

enum { COPY_ROWS_MAX = 4096 };

static void
open_new(struct ac_node *n)
{
    n->store->ops->reader_free(n->reader);
    n->store->ops->close(n->store);
    ac_require(store_mem_new(&n->store) == OK &&
                   n->store->ops->reader_new(n->store, &n->reader) == OK,
               "a store");
}

static uint64_t
incarnation_of(struct actor_cluster *ac, unsigned node)
{
    struct node_row row;
    struct row_key key;
    struct bytes value;
    row_key_meta("node", &key);
    return ac_get(ac, node, &key, &value) && node_row_decode(value, &row) == OK ? row.incarnation
                                                                                : 0;
}

/* `checks`: of the node that is to go on with them; NULL: nobody is. */
static void
copy_rows(struct store *from, struct store *to, struct actor_checks *checks, unsigned node)
{
    static const uint8_t tables[] = {ROW_META,  ROW_PATH,    ROW_VERSION,
                                     ROW_BOXES, ROW_DEALING, ROW_ERASURE};
    struct store_row *rows = ac_need(calloc(COPY_ROWS_MAX, sizeof(*rows)));
    struct store_reader *reader;
    struct arena arena;
    arena_init(&arena, STEP_ARENA_BYTES);
    ac_require(from->ops->reader_new(from, &reader) == OK, "a reader");
    for (unsigned t = 0; t < sizeof(tables); t++) {
        size_t count = 0;
        bool more;
        ac_require(from->ops->scan(reader, bytes_of(&tables[t], 1), (struct bytes){0},
                                   COPY_ROWS_MAX, true, &arena, rows, &count, &more) == OK,
                   "scan");
        for (size_t i = 0; i < count; i++) {
            struct store_change change = {STORE_PUT, rows[i].key, rows[i].value};
            struct path_row row;
            ac_require(to->ops->commit(to, &change, 1) == OK, "commit");
            if (checks && tables[t] == ROW_PATH && path_row_decode(rows[i].value, &row) == OK)
                checks_row_put_back(checks, node, &row);
        }
    }
    ac_require(to->ops->sync(to) == OK, "sync");
    from->ops->reader_free(reader);
    arena_close(&arena);
    free(rows);
}

void
ac_lose_store(struct actor_cluster *ac, unsigned node, bool remembered)
{
    struct ac_node *n = &ac->nodes[node];
    ac_require(!n->node, "the node is down");
    n->incarnation_known = remembered ? incarnation_of(ac, node) : 0;
    open_new(n);
    n->sequence = 0;
    n->finding = STORE_LOST;
    checks_store_gone(&ac->checks, node);
}

void
ac_replace_storage_key(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    uint8_t key[KEY_BYTES];
    ac_require(!n->node, "the node is down");
    secret_arena_open(n->secrets);
    secret_free(n->secrets, &n->wrap_key);
    ac_require(rng_fill(&n->rng, key, KEY_BYTES) == OK &&
                   secret_copy(n->secrets, bytes_of(key, KEY_BYTES), &n->wrap_key) == OK,
               "another storage key");
    secret_arena_close(n->secrets);
}

void
ac_snapshot(struct actor_cluster *ac, unsigned node)
{
    struct ac_node *n = &ac->nodes[node];
    if (n->snapshot)
        n->snapshot->ops->close(n->snapshot);
    ac_require(store_mem_new(&n->snapshot) == OK, "a store");
    copy_rows(n->store, n->snapshot, NULL, node);
    n->snapshot_sequence = n->sequence;
}

void
ac_roll_back(struct actor_cluster *ac, unsigned node, bool noticed)
{
    struct ac_node *n = &ac->nodes[node];
    ac_require(!n->node && n->snapshot, "the node is down, and there is a copy");
    n->incarnation_known = noticed ? incarnation_of(ac, node) : 0;
    open_new(n);
    n->sequence = n->snapshot_sequence;
    n->finding = noticed ? STORE_BEHIND : STORE_INTACT;
    checks_store_gone(&ac->checks, node);
    copy_rows(n->snapshot, n->store, &ac->checks, node);
}

bool
ac_recovered(const struct actor_cluster *ac, unsigned node)
{
    struct recovery_progress progress;
    node_recovery(ac->nodes[node].node, &progress);
    return !progress.behind && progress.state != RECOVERY_HANDOVER && progress.incarnation != 0;
}
