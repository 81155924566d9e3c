/*
 * What anti-entropy reads: pages of a leaf, from the index and then from the path rows, and after a
 * start all path rows once, for the digests.
 */
#include <assert.h>
#include <string.h>

#include "actors/anti_entropy_internal.h"
#include "actors/sweep.h"

enum { LEAF_PREFIX_BYTES = 1 + 2 };

void
path_key_set(struct path_key *key, struct bytes from)
{
    key->size = from.size <= sizeof(key->data) ? from.size : 0;
    if (key->size > 0)
        memcpy(key->data, from.data, key->size);
}

struct bytes
path_key_bytes(const struct path_key *key)
{
    return bytes_of(key->data, key->size);
}

void
path_key_of(struct path path, struct path_key *out)
{
    struct row_key key;
    row_key_path(path, &key);
    path_key_set(out, bytes_of(key.data + 1, key.size - 1));
}

/* ---- pages of a leaf ---- */

static bool
scan_index(struct ae_work *w, uint8_t peer)
{
    const struct leaf_list *list = &w->ae->exchanges[peer].list;
    struct row_key prefix, after;
    struct bytes prefix_copy, after_copy = {0};
    row_key_leaf(list->leaf, &prefix);
    after = prefix;
    memcpy(after.data + after.size, list->after.data, list->after.size);
    after.size += list->after.size;
    if (arena_copy(w->st->arena, row_key_bytes(&prefix), &prefix_copy) != OK)
        return false;
    if (list->after.size > 0 && arena_copy(w->st->arena, row_key_bytes(&after), &after_copy) != OK)
        return false;
    effect_scan(w->out, ACTOR_ANTI_ENTROPY, TAG_LIST + peer, prefix_copy, after_copy, ENTRIES_MAX,
                false);
    return true;
}

bool
list_begin(struct ae_work *w, uint8_t peer, uint16_t leaf, struct bytes after)
{
    struct leaf_list *list = &w->ae->exchanges[peer].list;
    assert(!list->busy);
    arena_reset(&list->memory);
    list->leaf = leaf;
    path_key_set(&list->after, after);
    list->until.size = 0;
    list->count = 0;
    list->loaded = 0;
    list->busy = scan_index(w, peer);
    return list->busy;
}

static bool
held_by_both(const struct ae_work *w, uint8_t peer, struct path path)
{
    struct replicas replicas;
    membership_replicas(w->ae->membership, path, &replicas);
    return replicas_index(&replicas, peer) >= 0 &&
           replicas_index(&replicas, w->ae->membership->self) >= 0;
}

/* False: no memory. */
static bool
add_path(struct ae_work *w, uint8_t peer, struct bytes key)
{
    struct leaf_list *list = &w->ae->exchanges[peer].list;
    struct path path;
    struct path_entry *entry = &list->entries[list->count];
    if (row_key_path_of(key, &path) != OK || !held_by_both(w, peer, path))
        return true;
    *entry = (struct path_entry){0};
    list->missing[list->count] = true;
    if (arena_copy(&list->memory, path.tenant, &entry->path.tenant) != OK ||
        arena_copy(&list->memory, path.name, &entry->path.name) != OK)
        return false;
    list->count++;
    return true;
}

static bool
take_index_page(struct ae_work *w, uint8_t peer, const struct msg_loaded *loaded)
{
    struct leaf_list *list = &w->ae->exchanges[peer].list;
    for (size_t i = 0; i < loaded->count && i < ENTRIES_MAX; i++) {
        if (!add_path(w, peer, loaded->rows[i].key))
            return false;
    }
    if (loaded->more && loaded->count > 0) {
        struct bytes last = loaded->rows[loaded->count - 1].key;
        path_key_set(&list->until,
                     bytes_of(last.data + LEAF_PREFIX_BYTES, last.size - LEAF_PREFIX_BYTES));
    }
    return true;
}

/* Asks for the next few path rows; false: all have come. */
static bool
load_rows(struct ae_work *w, uint8_t peer)
{
    struct leaf_list *list = &w->ae->exchanges[peer].list;
    size_t count = list->count - list->loaded;
    if (count == 0)
        return false;
    if (count > LOAD_KEYS_MAX)
        count = LOAD_KEYS_MAX;
    struct bytes *keys = arena_alloc(w->st->arena, count * sizeof(*keys));
    for (size_t i = 0; keys && i < count; i++) {
        struct row_key key;
        row_key_path(list->entries[list->loaded + i].path, &key);
        if (arena_copy(w->st->arena, row_key_bytes(&key), &keys[i]) != OK)
            keys = NULL;
    }
    if (!keys)
        return false;
    effect_load(w->out, ACTOR_ANTI_ENTROPY, TAG_LIST + peer, keys, count);
    return true;
}

/*
 * What is in the shard store's memory goes before what the disk says. A row that cannot be read is
 * no reason for anything: the entry counts as settling.
 */
static void
fill_entry(struct ae_work *w, struct path_entry *entry, bool *missing, const struct loaded_row *row)
{
    struct shard_view view = {0};
    struct path_row path_row;
    *missing = false;
    entry->settling = true;
    if (shard_store_view(w->ae->store, w->st, entry->path, &view)) {
        entry->settling = view.settling;
        entry->state = view.head.state;
        entry->ballot = view.ballot;
        memcpy(entry->head_id, view.head.head_id, ID_BYTES);
        *missing = view.head.state == STATE_ABSENT;
    } else if (row && !row->found) {
        *missing = true;
    } else if (row && path_row_decode(row->value, &path_row) == OK) {
        *missing = sweep_forgets_row(w->ae->membership, &path_row);
        entry->settling = false;
        entry->state = path_row.state;
        entry->ballot = path_row.ballot;
        record_id(path_row.head, entry->head_id);
    } else {
        entry->state = STATE_ACCEPTED;
        entry->ballot = (struct ballot){.time = 1, .incarnation = 1};
    }
}

static void
take_rows(struct ae_work *w, uint8_t peer, const struct msg_loaded *loaded)
{
    struct leaf_list *list = &w->ae->exchanges[peer].list;
    size_t left = list->count - list->loaded;
    size_t asked = left < LOAD_KEYS_MAX ? left : LOAD_KEYS_MAX;
    for (size_t i = 0; i < asked; i++) {
        size_t at = list->loaded + i;
        const struct loaded_row *row =
            loaded->err == OK && i < loaded->count ? &loaded->rows[i] : NULL;
        fill_entry(w, &list->entries[at], &list->missing[at], row);
    }
    list->loaded += asked;
}

static void
drop_missing(struct leaf_list *list)
{
    size_t kept = 0;
    for (size_t i = 0; i < list->count; i++) {
        if (!list->missing[i])
            list->entries[kept++] = list->entries[i];
    }
    list->count = kept;
    list->loaded = kept;
}

void
list_on_loaded(struct ae_work *w, uint8_t peer, const struct msg_loaded *loaded)
{
    struct leaf_list *list = &w->ae->exchanges[peer].list;
    bool index = list->loaded == 0 && list->count == 0;
    bool good = true;
    if (index)
        good = loaded->err == OK && take_index_page(w, peer, loaded);
    else
        take_rows(w, peer, loaded);
    if (good && load_rows(w, peer))
        return;
    good = good && list->loaded == list->count;
    list->busy = false;
    drop_missing(list);
    exchange_list_done(w, peer, good);
}

/* ---- all path rows, after a start, or after one that had rotted ---- */

void
rebuild_ask(struct ae_work *w)
{
    struct digest_index *d = w->ae->digests;
    struct row_key prefix;
    struct bytes prefix_copy, after;
    w->ae->rebuilding = true;
    row_key_table(ROW_PATH, &prefix);
    if (arena_copy(w->st->arena, row_key_bytes(&prefix), &prefix_copy) != OK ||
        arena_copy(w->st->arena, row_key_bytes(&d->cursor), &after) != OK) {
        effect_timer(w->out, ACTOR_ANTI_ENTROPY, TAG_REBUILD_TIMER, duration_ms(REBUILD_RETRY_MS));
        return;
    }
    digests_page_asked(d);
    effect_scan(w->out, ACTOR_ANTI_ENTROPY, TAG_REBUILD, prefix_copy, after, DIGEST_PAGE_ROWS,
                true);
}

struct lookup_context {
    const struct shard_store *store;
    const struct step *st;
};

static bool
known_to_store(const void *context, struct path path, struct head_state *out)
{
    const struct lookup_context *lookup = context;
    struct shard_view view;
    if (!shard_store_view(lookup->store, lookup->st, path, &view))
        return false;
    *out = view.head;
    return true;
}

/* Clients go first: with requests waiting, the next page is asked for a little later. */
void
rebuild_on_loaded(struct ae_work *w, const struct msg_loaded *loaded)
{
    struct lookup_context context = {w->ae->store, w->st};
    struct digest_lookup lookup = {&context, known_to_store};
    struct digest_index *d = w->ae->digests;
    struct path path;
    uint64_t pause_ms = w->ae->membership->clients_waiting > 0 ? TICK_BUSY_MS : 0;
    for (size_t i = 0; loaded->err == OK && i < loaded->count; i++) {
        if (row_key_path_of(loaded->rows[i].key, &path) == OK)
            shard_store_note_row(w->ae->store, path);
    }
    if (loaded->err != OK) {
        digests_page_failed(d);
        pause_ms = loaded->err == ERR_CORRUPT ? REBUILD_CORRUPT_MS : REBUILD_RETRY_MS;
        log_event(w->st->log, LOG_WARN, "anti_entropy", "path_rows_not_read",
                  log_err("error", loaded->err));
    } else if (digests_page(d, &lookup, loaded->rows, loaded->count, loaded->more) && d->whole) {
        log_event(w->st->log, LOG_INFO, "anti_entropy", "digests_whole",
                  log_u64("paths", d->paths));
        w->ae->rebuilding = false;
        return;
    }
    if (pause_ms == 0)
        rebuild_ask(w);
    else
        effect_timer(w->out, ACTOR_ANTI_ENTROPY, TAG_REBUILD_TIMER, duration_ms(pause_ms));
}
