/* Which version rows the hash chain of a head contains. */
#include <string.h>

#include "actors/shard_internal.h"
#include "base/planted.h"

struct row_facts {
    uint64_t version;
    struct bytes id;
    struct version_record record;
};

static bool
facts_of(const struct loaded_row *row, struct row_facts *out)
{
    enum row_table table;
    struct path path;
    struct version_row value;
    return row_key_parse(row->key, &table, &path, &out->version, &out->id) == OK &&
           version_row_decode(row->value, &value) == OK &&
           version_decode(value.record, &out->record) == OK;
}

struct chain_head
shard_chain_of(const struct head_summary *head)
{
    return (struct chain_head){head->version, head->oldest_version, head->version_id,
                               head->incarnation, head->destroyed};
}

struct chain_head
shard_chain_of_head(const struct head *head)
{
    return (struct chain_head){head->version, head->oldest_version, head->version_id,
                               head->incarnation, head->destroyed};
}

static void
drop_version(struct shard_work *w, const struct row_facts *facts, struct store_change *list,
             size_t *count)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES};
    for (unsigned i = 0; i < 3 && *count < SHARD_CHANGES_MAX; i++) {
        struct row_key key;
        row_key_version(tables[i], w->path->link.path, facts->version, facts->id.data, &key);
        shard_change(list, count, STORE_DELETE, shard_key_copy(w, &key), (struct bytes){0});
    }
}

/*
 * Of a destroyed version the record stays, since the chain goes through it. The row is removed before
 * it is put without its share and dealing, so that the batch counts as one that erases.
 */
static enum vault_err
strip_version(struct shard_work *w, const struct loaded_row *loaded, const struct row_facts *facts,
              struct store_change *list, size_t *count)
{
    static const enum row_table tables[] = {ROW_DEALING, ROW_BOXES, ROW_NEED};
    struct version_row row;
    struct loaded_row bare;
    if (version_row_decode(loaded->value, &row) != OK)
        return ERR_CORRUPT;
    struct bytes dealing = PLANTED(destroyed_keeps_dealing) ? row.dealing : (struct bytes){0};
    bool is_bare = row.share.size == 0 && row.dealing.size == 0;
    enum vault_err err = is_bare ? OK
                                 : shard_version_row(w, facts->version, facts->id.data, row.record,
                                                     (struct bytes){0}, dealing, &bare);
    if (err != OK)
        return err;
    if (!is_bare) {
        shard_change(list, count, STORE_DELETE, bare.key, (struct bytes){0});
        shard_change(list, count, STORE_PUT, bare.key, bare.value);
    }
    for (unsigned i = 0; i < 3; i++) {
        struct row_key key;
        row_key_version(tables[i], w->path->link.path, facts->version, facts->id.data, &key);
        shard_change(list, count, STORE_DELETE, shard_key_copy(w, &key), (struct bytes){0});
    }
    return OK;
}

void
shard_judge_rows(struct shard_path *path, bool same, const struct head *head)
{
    const struct head_summary *have = &path->row.head;
    path->next_doubtful = path->doubtful;
    path->next_pure = path->pure;
    if (same || !path->pure || path->row.row.state == STATE_ABSENT)
        return;
    path->next_pure = have->kind == HEAD_LIVE && head->kind == HEAD_LIVE &&
                      memcmp(have->incarnation, head->incarnation, INCARNATION_BYTES) == 0;
    bool below = path->row.row.state == STATE_CHOSEN || memcmp(head->prev, have->id, ID_BYTES) == 0;
    for (size_t i = 0; !below && i <= have->earlier_count; i++)
        path->next_doubtful |= UINT64_C(1) << (have->version - i) % 64;
}

void
shard_rows_are_pure(struct shard_path *path)
{
    path->next_pure = true;
    path->next_doubtful = 0;
}

/*
 * Rows come newest first. `expected` is the id that the chain names for `next`; once a row of the
 * chain is missing here, what lies below cannot be judged and stays, unless it is of another
 * incarnation.
 */
enum vault_err
shard_prune_to_chain(struct shard_work *w, const struct chain_head *head, struct store_change *list,
                     size_t *count, bool *whole)
{
    uint64_t next = head->version;
    uint8_t expected[ID_BYTES];
    bool gap = false;
    memcpy(expected, head->version_id, ID_BYTES);

    for (size_t i = 0; i < w->rows->count; i++) {
        struct row_facts facts;
        if (!facts_of(&w->rows->rows[i], &facts)) {
            metrics_count(w->st->metrics, METRIC_records_corrupt);
            return ERR_CORRUPT;
        }
        if (facts.version < next)
            gap = true; /* the row of the chain that should have come is not here */
        bool other = memcmp(facts.record.incarnation, head->incarnation, INCARNATION_BYTES) != 0;
        bool known = !gap && facts.version == next;
        bool in_chain = known && memcmp(facts.id.data, expected, ID_BYTES) == 0;
        if (other || facts.version > head->version || facts.version < head->oldest_version ||
            (!gap && !in_chain)) {
            drop_version(w, &facts, list, count);
            continue;
        }
        if (version_set_has(head->destroyed, head->oldest_version, facts.version) &&
            !PLANTED(destroy_comes_back)) {
            enum vault_err err = strip_version(w, &w->rows->rows[i], &facts, list, count);
            if (err != OK)
                return err;
        }
        if (in_chain) {
            memcpy(expected, facts.record.prev, ID_BYTES);
            next--;
        }
    }
    *whole = !gap && next < head->oldest_version;
    return OK;
}

enum vault_err
shard_prune_with(struct shard_work *w, const struct chain_head *head, const struct loaded_row *row,
                 struct store_change *list, size_t *count, bool *whole)
{
    struct msg_loaded all = *w->rows;
    struct loaded_row *rows = arena_alloc(w->st->arena, (all.count + 1) * sizeof(*rows));
    struct shard_work with = *w;
    size_t at = 0;
    if (!rows)
        return ERR_NOMEM;
    all.count = 0;
    for (; at < w->rows->count && bytes_compare(w->rows->rows[at].key, row->key) < 0; at++)
        rows[all.count++] = w->rows->rows[at];
    rows[all.count++] = *row;
    if (at < w->rows->count && bytes_equal(w->rows->rows[at].key, row->key))
        at++; /* it takes the place of one that is here without a good share */
    for (; at < w->rows->count; at++)
        rows[all.count++] = w->rows->rows[at];
    all.rows = rows;
    with.rows = &all;
    return shard_prune_to_chain(&with, head, list, count, whole);
}
