#include "actors/auditor_load.h"

#include <string.h>

#include "base/big_endian.h"

enum load_tag { LOAD_STATE = 1, LOAD_HEADS, LOAD_FIND, LOAD_LAST, LOAD_NEWER, LOAD_WITNESS };
enum { STATE_FIELDS = 7, HEADS_PAGE = 512, NEWER_PAGE = AUDIT_STATE_EVERY };

void
auditor_unavailable(struct auditor *a, const struct step *st, enum vault_err err)
{
    if (!a->failing)
        log_event(st->log, LOG_ERROR, "auditor", "audit_unavailable", log_err("error", err));
    a->failing = true;
    a->membership->audit_failing = true;
}

void
auditor_available(struct auditor *a, const struct step *st)
{
    if (a->failing)
        log_event(st->log, LOG_INFO, "auditor", "audit_available", log_u64("block", a->next_block));
    a->failing = false;
    a->membership->audit_failing = false;
}

/* ---- the row that says where the trail stands ---- */

enum vault_err
auditor_state_encode(const struct auditor *a, uint64_t next_block, uint64_t kept_from,
                     const uint8_t previous[static HASH_BYTES], const struct audit_tree *tree,
                     struct buf *out)
{
    uint8_t peaks[AUDIT_TREE_BYTES_MAX];
    size_t peaks_size = audit_tree_peaks(tree, peaks);
    struct cbor_writer w;

    cbor_writer_init(&w, out);
    cbor_put_array(&w, STATE_FIELDS);
    cbor_put_bytes(&w, bytes_of(a->epoch, AUDIT_EPOCH_BYTES));
    cbor_put_uint(&w, a->epoch_incarnation);
    cbor_put_uint(&w, next_block);
    cbor_put_uint(&w, kept_from);
    cbor_put_bytes(&w, bytes_of(previous, HASH_BYTES));
    cbor_put_uint(&w, tree->size);
    cbor_put_bytes(&w, bytes_of(peaks, peaks_size));
    return w.err;
}

static enum vault_err
decode_state(struct auditor *a, struct bytes encoded)
{
    struct cbor_reader r;

    cbor_reader_init(&r, encoded);
    bool form = cbor_get_array(&r, STATE_FIELDS) == STATE_FIELDS;
    cbor_get_fixed(&r, a->epoch, AUDIT_EPOCH_BYTES);
    a->epoch_incarnation = cbor_get_uint(&r);
    a->next_block = cbor_get_uint(&r);
    a->kept_from = cbor_get_uint(&r);
    cbor_get_fixed(&r, a->previous, HASH_BYTES);
    uint64_t size = cbor_get_uint(&r);
    struct bytes peaks = cbor_get_bytes(&r, AUDIT_TREE_BYTES_MAX);
    if (cbor_finish(&r) != OK || !form)
        return ERR_CORRUPT;
    return audit_tree_load(size, peaks, &a->tree) == OK ? OK : ERR_CORRUPT;
}

/* ---- reading ---- */

/* The next tick asks for all of it once more. */
static void
load_failed(struct auditor *a, const struct step *st, enum vault_err err)
{
    a->loading = false;
    auditor_unavailable(a, st, err);
}

void
auditor_load(struct auditor *a, const struct step *st, struct effects *out)
{
    struct bytes *keys = arena_alloc(st->arena, sizeof(*keys));
    struct row_key key;

    row_key_audit_state(&key);
    if (!keys || arena_copy(st->arena, row_key_bytes(&key), keys) != OK) {
        load_failed(a, st, ERR_NOMEM);
        return;
    }
    a->loading = true;
    effect_load(out, ACTOR_AUDITOR, LOAD_STATE, keys, 1);
}

static bool
is_for_another_time(enum vault_err err)
{
    return err == ERR_IO || err == ERR_NOMEM;
}

/* The rows of a table of heads, a page at a time: none of them may be left out. */
static void
ask_table(struct auditor *a, const struct step *st, enum row_table table, enum load_tag tag,
          struct bytes last, struct effects *out)
{
    struct row_key prefix;
    struct bytes key, after = {0};
    row_key_table(table, &prefix);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &key) != OK ||
        (last.size > 0 && arena_copy(st->arena, last, &after) != OK))
        load_failed(a, st, ERR_NOMEM);
    else
        effect_scan(out, ACTOR_AUDITOR, tag, key, after, HEADS_PAGE, true);
}

/* What is kept of the others' trails, and the own newest head. */
static void
ask_heads(struct auditor *a, const struct step *st, struct effects *out)
{
    memset(a->witness, 0, sizeof(a->witness));
    ask_table(a, st, ROW_WITNESS, LOAD_WITNESS, (struct bytes){0}, out);
}

/* ---- where the trail ends, from the blocks themselves ---- */

static void
find_blocks(struct auditor *a, const struct step *st, struct effects *out)
{
    struct row_key prefix;
    struct bytes key, after;
    row_key_table(ROW_AUDIT, &prefix);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &key) != OK ||
        arena_copy(st->arena, row_key_bytes(&a->found), &after) != OK)
        load_failed(a, st, ERR_NOMEM);
    else
        effect_scan(out, ACTOR_AUDITOR, LOAD_FIND, key, after, SCAN_ROWS_MAX, false);
}

/* What is there stays there: the new epoch begins after it. */
static void
find_end(struct auditor *a, const struct step *st, struct effects *out)
{
    a->epoch_incarnation = 0;
    a->next_block = a->kept_from = 0;
    a->found.size = 0;
    memset(&a->tree, 0, sizeof(a->tree));
    memset(a->previous, 0, HASH_BYTES);
    find_blocks(a, st, out);
}

static bool
take_number(struct bytes key, uint64_t *number)
{
    *number = 0;
    if (key.size != 1 + sizeof(*number))
        return false;
    *number = big_endian_get(key.data + 1);
    return true;
}

static void
find_ended(struct auditor *a, const struct step *st, struct effects *out)
{
    struct bytes *keys = arena_alloc(st->arena, sizeof(*keys));
    log_event(st->log, LOG_ERROR, "auditor", "audit_state_corrupt",
              log_u64("block", a->next_block));
    if (a->next_block == 0)
        ask_heads(a, st, out);
    else if (!keys || arena_copy(st->arena, row_key_bytes(&a->found), keys) != OK)
        load_failed(a, st, ERR_NOMEM);
    else
        effect_load(out, ACTOR_AUDITOR, LOAD_LAST, keys, 1);
}

static void
on_found(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
         struct effects *out)
{
    uint64_t number;
    if (is_for_another_time(loaded->err)) {
        load_failed(a, st, loaded->err);
        return;
    }
    for (size_t i = 0; loaded->err == OK && i < loaded->count; i++) {
        if (!take_number(loaded->rows[i].key, &number))
            continue;
        if (a->found.size == 0)
            a->kept_from = number;
        a->next_block = number + 1;
        row_key_audit(number, &a->found);
    }
    if (loaded->err == OK && loaded->more)
        find_blocks(a, st, out);
    else
        find_ended(a, st, out);
}

/* The chain of blocks goes on over it, where it can be read. */
static void
on_last(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
        struct effects *out)
{
    if (is_for_another_time(loaded->err)) {
        load_failed(a, st, loaded->err);
        return;
    }
    if (loaded->err == OK && loaded->count == 1 && loaded->rows[0].found)
        audit_block_hash(loaded->rows[0].value, a->previous);
    ask_heads(a, st, out);
}

/* ---- blocks that are newer than that row ---- */

static void
ask_newer(struct auditor *a, const struct step *st, struct effects *out)
{
    struct row_key prefix, last;
    struct bytes key, after = {0};
    row_key_table(ROW_AUDIT, &prefix);
    row_key_audit(a->next_block - 1, &last);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &key) != OK ||
        (a->next_block > 0 && arena_copy(st->arena, row_key_bytes(&last), &after) != OK))
        load_failed(a, st, ERR_NOMEM);
    else
        effect_scan(out, ACTOR_AUDITOR, LOAD_NEWER, key, after, NEWER_PAGE, true);
}

/* It goes on from where the trail is known to stand, and the trail stands after it now. */
static bool
goes_on(struct auditor *a, struct bytes encoded)
{
    struct audit_block block;
    if (audit_block_decode(encoded, &block) != OK || block.number != a->next_block ||
        memcmp(block.epoch, a->epoch, AUDIT_EPOCH_BYTES) != 0 ||
        memcmp(block.previous, a->previous, HASH_BYTES) != 0 || block.before.size != a->tree.size ||
        audit_block_after(&block, &a->tree) != OK)
        return false;
    audit_block_hash(encoded, a->previous);
    a->next_block++;
    return true;
}

static void
on_newer(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
         struct effects *out)
{
    bool whole = loaded->err == OK;
    if (is_for_another_time(loaded->err)) {
        load_failed(a, st, loaded->err);
        return;
    }
    for (size_t i = 0; whole && i < loaded->count; i++)
        whole = goes_on(a, loaded->rows[i].value);
    if (!whole)
        find_end(a, st, out);
    else if (loaded->more)
        ask_newer(a, st, out);
    else
        ask_heads(a, st, out);
}

static void
on_state(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
         struct effects *out)
{
    if (is_for_another_time(loaded->err)) {
        load_failed(a, st, loaded->err);
        return;
    }
    bool found = loaded->err == OK && loaded->count == 1 && loaded->rows[0].found;
    if (loaded->err != OK || (found && decode_state(a, loaded->rows[0].value) != OK))
        find_end(a, st, out);
    else if (found)
        ask_newer(a, st, out);
    else
        ask_heads(a, st, out);
}

static void
heads_corrupt(const struct step *st, enum vault_err err)
{
    if (err != OK)
        log_event(st->log, LOG_ERROR, "auditor", "audit_heads_corrupt", log_err("error", err));
}

static struct bytes
last_key(const struct msg_loaded *loaded)
{
    return loaded->rows[loaded->count - 1].key;
}

static bool
has_more(const struct msg_loaded *loaded)
{
    return loaded->err == OK && loaded->more && loaded->count > 0;
}

static void
on_witness(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
           struct effects *out)
{
    if (is_for_another_time(loaded->err)) {
        load_failed(a, st, loaded->err);
        return;
    }
    heads_corrupt(st, loaded->err);
    for (size_t i = 0; i < loaded->count; i++) {
        uint64_t node = witness_row_node(loaded->rows[i].key);
        if (node < NODES_MAX)
            witness_load_row(&a->witness[node], loaded->rows[i].key, loaded->rows[i].value);
    }
    if (has_more(loaded))
        ask_table(a, st, ROW_WITNESS, LOAD_WITNESS, last_key(loaded), out);
    else
        ask_table(a, st, ROW_ANCHOR, LOAD_HEADS, (struct bytes){0}, out);
}

static void
loaded_all(struct auditor *a, const struct step *st)
{
    for (unsigned i = 0; i < NODES_MAX; i++)
        witness_load_end(&a->witness[i]);
    const struct audit_head *own = &a->witness[a->membership->self].newest;
    a->own.time_ms = own->time_ms;
    a->droppable = own->kept_from;
    auditor_available(a, st);
    a->loading = false;
    a->loaded = true;
}

static void
on_heads(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
         struct effects *out)
{
    struct audit_head head;

    if (is_for_another_time(loaded->err)) {
        load_failed(a, st, loaded->err);
        return;
    }
    heads_corrupt(st, loaded->err);
    for (size_t i = 0; i < loaded->count; i++) {
        if (audit_head_decode(loaded->rows[i].value, &head) == OK && head.node < NODES_MAX)
            witness_load_head(&a->witness[head.node], &head);
    }
    if (has_more(loaded))
        ask_table(a, st, ROW_ANCHOR, LOAD_HEADS, last_key(loaded), out);
    else
        loaded_all(a, st);
}

bool
auditor_loaded(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
               struct effects *out)
{
    if (loaded->tag == LOAD_STATE)
        on_state(a, st, loaded, out);
    else if (loaded->tag == LOAD_FIND)
        on_found(a, st, loaded, out);
    else if (loaded->tag == LOAD_LAST)
        on_last(a, st, loaded, out);
    else if (loaded->tag == LOAD_NEWER)
        on_newer(a, st, loaded, out);
    else if (loaded->tag == LOAD_WITNESS)
        on_witness(a, st, loaded, out);
    else if (loaded->tag == LOAD_HEADS)
        on_heads(a, st, loaded, out);
    return loaded->tag == LOAD_HEADS && a->loaded;
}
