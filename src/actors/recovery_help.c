/*
 * The helping side: pages of what this node has, for a peer that has become a new incarnation. The
 * peer's incarnation and store id are durable here before anything is read for it, so whatever this
 * node accepted without knowing them is in its store by then, and whatever it accepts later comes
 * from coordinators that know them.
 */
#include <string.h>

#include "actors/recovery.h"
#include "actors/standing.h"
#include "actors/sweep.h"
#include "base/big_endian.h"

static void
answer(struct recovery *r, uint8_t asker, enum refusal refusal, bool done, struct bytes items,
       struct bytes known, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct msg_recovered *m = &effect_send(out, MSG_RECOVERED, asker, NULL)->u.recovered;
    m->incarnation = h->incarnation;
    memcpy(m->store_id, h->store_id, STORE_ID_BYTES);
    m->cursor = row_key_bytes(&h->cursor);
    m->refusal = refusal;
    m->done = done;
    m->items = items;
    m->known = known;
    m->promised = shard_store_promised(r->shard_store);
    m->next =
        h->version_after.size > 0 ? row_key_bytes(&h->version_after) : row_key_bytes(&h->path_key);
    h->stage = HELP_IDLE;
}

static void
refuse(struct recovery *r, uint8_t asker, enum refusal refusal, struct effects *out)
{
    answer(r, asker, refusal, false, (struct bytes){0}, (struct bytes){0}, out);
}

static bool
encode_known(const struct recovery *r, const struct step *st, struct bytes *out)
{
    const struct membership *ms = r->membership;
    uint8_t text[8 * NODES_MAX];
    for (unsigned i = 0; i < ms->cluster->node_count; i++)
        big_endian_put(text + 8 * i, ms->members[i].incarnation);
    return arena_copy(st->arena, bytes_of(text, 8 * ms->cluster->node_count), out) == OK;
}

static void
send_page(struct recovery *r, const struct step *st, uint8_t asker, bool done, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct bytes list[RECOVER_PAGE_ROWS];
    struct buf encoded = {0};
    struct bytes items, known;
    size_t at = 0;
    for (size_t i = 0; i < h->count; at += h->sizes[i++])
        list[i] = bytes_of(h->items.data + at, h->sizes[i]);
    if (bytes_list_encode(list, h->count, &encoded) == OK &&
        arena_copy(st->arena, buf_bytes(&encoded), &items) == OK && encode_known(r, st, &known))
        answer(r, asker, REFUSED_NONE, done, items, known, out);
    else
        refuse(r, asker, REFUSED_BUSY, out);
    buf_close(&encoded);
    buf_close(&h->items);
    h->count = 0;
}

/* ---- walking ---- */

static void
scan_one(struct recovery *r, const struct step *st, uint8_t asker, const struct row_key *prefix,
         const struct row_key *after, struct effects *out)
{
    struct bytes prefix_copy, after_copy;
    struct recovery_help *h = &r->helps[asker];
    if (arena_copy(st->arena, row_key_bytes(prefix), &prefix_copy) != OK ||
        arena_copy(st->arena, row_key_bytes(after), &after_copy) != OK) {
        refuse(r, asker, REFUSED_BUSY, out);
        return;
    }
    effect_scan(out, ACTOR_RECOVERY, recovery_tag(RECOVERY_TAG_HELP, h->turn, asker), prefix_copy,
                after_copy, 1, !h->names_only);
}

static void
next_path(struct recovery *r, const struct step *st, uint8_t asker, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct row_key table;
    row_key_table(ROW_PATH, &table);
    h->stage = HELP_PATH;
    h->version_after.size = 0;
    h->any_version = false;
    scan_one(r, st, asker, &table, &h->path_key, out);
}

static void
next_version(struct recovery *r, const struct step *st, uint8_t asker, struct path path,
             struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct row_key prefix;
    row_key_versions(ROW_VERSION, path, &prefix);
    h->stage = HELP_VERSION;
    scan_one(r, st, asker, &prefix, &h->version_after, out);
}

static bool
add_item(struct recovery_help *h, const struct path_row *row, struct path path,
         const struct msg_handover *version)
{
    struct msg item = {.kind = MSG_HANDOVER, .path = path};
    size_t before = h->items.size;
    item.u.handover = *version;
    item.u.handover.accepted = (struct accepted){
        .ballot = row->ballot, .state = row->state, .head = row->head, .proof = row->proof};
    if (msg_encode(&item, &h->items) != OK)
        return false;
    h->sizes[h->count++] = h->items.size - before;
    return true;
}

static bool
page_is_full(const struct recovery_help *h)
{
    return h->count == RECOVER_PAGE_ROWS || h->items.size >= RECOVER_PAGE_BYTES;
}

/* On to the next path, if one is wanted, or to the next page. */
static void
path_over(struct recovery *r, const struct step *st, uint8_t asker, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    h->version_after.size = 0;
    if (h->only || page_is_full(h))
        send_page(r, st, asker, h->only, out);
    else
        next_path(r, st, asker, out);
}

/* The present path has nothing more; a path without versions goes as its head alone. */
static void
path_done(struct recovery *r, const struct step *st, uint8_t asker, const struct path_row *row,
          struct path path, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct msg_handover nothing = {0};
    if (!h->any_version && !add_item(h, row, path, &nothing))
        refuse(r, asker, REFUSED_BUSY, out);
    else
        path_over(r, st, asker, out);
}

/*
 * What was accepted on the path is not known here any more. The asker is told so, and is no surer
 * of it than it was; this node's own store has a look at the row.
 */
static void
path_unknown(struct recovery *r, const struct step *st, uint8_t asker, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct msg item = {.kind = MSG_HANDOVER, .u.handover.kind = HANDOVER_UNKNOWN};
    struct replicas replicas;
    size_t before = h->items.size;
    h->names_only = false;
    if (row_key_path_of(row_key_bytes(&h->path_key), &item.path) != OK) {
        refuse(r, asker, REFUSED_CORRUPT, out);
        return;
    }
    membership_replicas(r->membership, item.path, &replicas);
    if (replicas_index(&replicas, asker) < 0) {
        path_over(r, st, asker, out);
        return;
    }
    if (msg_encode(&item, &h->items) != OK) {
        refuse(r, asker, REFUSED_BUSY, out);
        return;
    }
    h->sizes[h->count++] = h->items.size - before;
    struct msg *m = effect_send(out, MSG_CHECK, r->membership->self, NULL);
    m->path = item.path;
    m->u.check.scrub = true;
    path_over(r, st, asker, out);
}

static bool
decode_row(const struct recovery_help *h, struct path_row *row, struct head *head)
{
    return path_row_decode(buf_bytes(&h->row), row) == OK && head_decode(row->head, head) == OK;
}

static void
on_path(struct recovery *r, const struct step *st, uint8_t asker, const struct msg_loaded *rows,
        struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct head *head = arena_alloc(st->arena, sizeof(*head));
    struct path_row row;
    struct replicas replicas;
    if (rows->count == 0) {
        send_page(r, st, asker, true, out);
        return;
    }
    if (!rows->rows[0].found) { /* of a path that was asked for by its name */
        path_over(r, st, asker, out);
        return;
    }
    h->path_key.size = rows->rows[0].key.size;
    memcpy(h->path_key.data, rows->rows[0].key.data, h->path_key.size);
    buf_close(&h->row);
    if (h->names_only) {
        path_unknown(r, st, asker, out);
        return;
    }
    if (!head || buf_append(&h->row, rows->rows[0].value) != OK) {
        refuse(r, asker, REFUSED_BUSY, out);
        return;
    }
    if (!decode_row(h, &row, head) || shard_store_in_doubt(r->shard_store, head->path)) {
        path_unknown(r, st, asker, out);
        return;
    }
    membership_replicas(r->membership, head->path, &replicas);
    if (replicas_index(&replicas, asker) < 0 ||
        sweep_forgets(r->membership, sweep_forget_after(head)))
        path_over(r, st, asker, out);
    else if (!standing_ready(r->membership, &replicas))
        refuse(r, asker, REFUSED_NOT_READY, out);
    else if (head->kind != HEAD_LIVE)
        path_done(r, st, asker, &row, head->path, out);
    else
        next_version(r, st, asker, head->path, out);
}

static void
on_version(struct recovery *r, const struct step *st, uint8_t asker, const struct msg_loaded *rows,
           struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct head *head = arena_alloc(st->arena, sizeof(*head));
    struct path_row row;
    struct version_row version;
    struct row_key keys[2];
    struct bytes *copies = arena_alloc(st->arena, 2 * sizeof(*copies));
    enum row_table table;
    struct path path;
    uint64_t number;
    struct bytes id;
    if (!head || !copies || !decode_row(h, &row, head)) {
        refuse(r, asker, REFUSED_BUSY, out);
        return;
    }
    if (rows->count == 0) {
        path_done(r, st, asker, &row, head->path, out);
        return;
    }
    h->version_after.size = rows->rows[0].key.size;
    memcpy(h->version_after.data, rows->rows[0].key.data, h->version_after.size);
    buf_close(&h->version);
    if (row_key_parse(rows->rows[0].key, &table, &path, &number, &id) != OK ||
        version_row_decode(rows->rows[0].value, &version) != OK || number > head->version ||
        number < head->oldest_version || buf_append(&h->version, rows->rows[0].value) != OK) {
        next_version(r, st, asker, head->path, out);
        return;
    }
    row_key_version(ROW_DEALING, head->path, number, id.data, &keys[0]);
    row_key_version(ROW_BOXES, head->path, number, id.data, &keys[1]);
    if (arena_copy(st->arena, row_key_bytes(&keys[0]), &copies[0]) != OK ||
        arena_copy(st->arena, row_key_bytes(&keys[1]), &copies[1]) != OK) {
        refuse(r, asker, REFUSED_BUSY, out);
        return;
    }
    h->stage = HELP_DEALING;
    effect_load(out, ACTOR_RECOVERY, recovery_tag(RECOVERY_TAG_HELP, h->turn, asker), copies, 2);
}

/* Destroyed: its record goes without a dealing, since the chain of the head goes through it. */
static bool
is_bare(struct bytes encoded, const struct head *head)
{
    struct version_record record;
    return version_decode(encoded, &record) == OK &&
           version_set_has(head->destroyed, head->oldest_version, record.version);
}

static void
on_dealing(struct recovery *r, const struct step *st, uint8_t asker, const struct msg_loaded *rows,
           struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct head *head = arena_alloc(st->arena, sizeof(*head));
    struct path_row row;
    struct msg_handover version = {0};
    struct version_row kept;
    if (!head || !decode_row(h, &row, head) ||
        version_row_decode(buf_bytes(&h->version), &kept) != OK) {
        refuse(r, asker, REFUSED_BUSY, out);
        return;
    }
    version.version = kept.record;
    version.dealing = kept.dealing;
    if (kept.dealing.size == 0 && rows->count > 0)
        version.dealing = rows->rows[0].value;
    version.boxes = rows->count > 1 ? rows->rows[1].value : (struct bytes){0};
    if (version.dealing.size > 0 || is_bare(kept.record, head)) {
        if (!add_item(h, &row, head->path, &version)) {
            refuse(r, asker, REFUSED_BUSY, out);
            return;
        }
        h->any_version = true;
    }
    if (page_is_full(h))
        send_page(r, st, asker, false, out);
    else
        next_version(r, st, asker, head->path, out);
}

/*
 * A path row that does not verify: which one it is, its key tells. Of a version that does not,
 * others may have a copy; the head goes without it.
 */
static void
on_failed(struct recovery *r, const struct step *st, uint8_t asker, enum vault_err err,
          struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct head *head = arena_alloc(st->arena, sizeof(*head));
    struct path_row row;
    bool corrupt = err != ERR_IO && err != ERR_NOMEM;
    bool known = h->only || h->version_after.size > 0;
    if (!corrupt || h->names_only) {
        refuse(r, asker, corrupt ? REFUSED_CORRUPT : REFUSED_BUSY, out);
    } else if (h->stage == HELP_PATH && known) {
        path_unknown(r, st, asker, out);
    } else if (h->stage == HELP_PATH) {
        h->names_only = true;
        next_path(r, st, asker, out);
    } else if (!head || !decode_row(h, &row, head)) {
        refuse(r, asker, REFUSED_BUSY, out);
    } else if (h->stage == HELP_DEALING) {
        next_version(r, st, asker, head->path, out);
    } else {
        path_done(r, st, asker, &row, head->path, out);
    }
}

void
recovery_help_loaded(struct recovery *r, const struct step *st, uint8_t asker,
                     const struct msg_loaded *rows, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    if (rows->tag != recovery_tag(RECOVERY_TAG_HELP, h->turn, asker))
        return;
    if (rows->err != OK) {
        on_failed(r, st, asker, rows->err, out);
        return;
    }
    switch (h->stage) {
    case HELP_IDLE: break;
    case HELP_PATH: on_path(r, st, asker, rows, out); break;
    case HELP_VERSION: on_version(r, st, asker, rows, out); break;
    case HELP_DEALING: on_dealing(r, st, asker, rows, out); break;
    }
}

/* ---- being asked ---- */

/* Its incarnation and store are known here and on disk. */
static bool
is_known(const struct recovery *r, const struct msg *in)
{
    const struct member *m = &r->membership->members[in->from];
    const struct msg_recover *ask = &in->u.recover;
    return m->incarnation == ask->incarnation && m->durable_incarnation == ask->incarnation &&
           memcmp(m->store_id, ask->store_id, STORE_ID_BYTES) == 0 &&
           memcmp(m->durable_store_id, ask->store_id, STORE_ID_BYTES) == 0;
}

/* Where the page begins: after a path, or after a version of one. */
static bool
take_cursor(struct recovery_help *h, struct bytes cursor, bool only)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id;
    h->path_key.size = h->version_after.size = 0;
    h->any_version = h->names_only = false;
    h->only = only;
    h->cursor.size = cursor.size;
    if (cursor.size == 0)
        return !only;
    memcpy(h->cursor.data, cursor.data, cursor.size);
    if (cursor.data[0] == ROW_PATH) {
        h->path_key = h->cursor;
        return row_key_path_of(cursor, &path) == OK;
    }
    if (row_key_parse(cursor, &table, &path, &version, &id) != OK || table != ROW_VERSION)
        return false;
    h->version_after = h->cursor;
    h->any_version = true;
    row_key_path(path, &h->path_key);
    return true;
}

/* A page that begins with a path, or within one, needs its row first. */
static void
begin_page(struct recovery *r, const struct step *st, uint8_t asker, struct effects *out)
{
    struct recovery_help *h = &r->helps[asker];
    struct bytes *key = arena_alloc(st->arena, sizeof(*key));
    if (h->version_after.size == 0 && !h->only) {
        next_path(r, st, asker, out);
    } else if (!key || arena_copy(st->arena, row_key_bytes(&h->path_key), key) != OK) {
        refuse(r, asker, REFUSED_BUSY, out);
    } else {
        h->stage = HELP_PATH;
        effect_load(out, ACTOR_RECOVERY, recovery_tag(RECOVERY_TAG_HELP, h->turn, asker), key, 1);
    }
}

void
recovery_on_recover(struct recovery *r, const struct step *st, const struct msg *in,
                    struct effects *out)
{
    struct recovery_help *h = &r->helps[in->from];
    const struct msg_recover *ask = &in->u.recover;
    bool same = h->incarnation == ask->incarnation &&
                memcmp(h->store_id, ask->store_id, STORE_ID_BYTES) == 0 && h->only == ask->only &&
                bytes_equal(row_key_bytes(&h->cursor), ask->cursor);
    if (!is_known(r, in))
        return; /* its heartbeats tell, the disk takes its time, and it asks again */
    if (h->stage != HELP_IDLE && same)
        return; /* on its way */
    h->turn = ++r->turns;
    h->incarnation = ask->incarnation;
    memcpy(h->store_id, ask->store_id, STORE_ID_BYTES);
    buf_close(&h->items);
    h->count = 0;
    if (!take_cursor(h, ask->cursor, ask->only))
        refuse(r, in->from, REFUSED_DEALING, out);
    else if (memcmp(ask->config_hash, r->membership->cluster->config_hash, HASH_BYTES) != 0)
        refuse(r, in->from, REFUSED_CONFIG, out);
    else if (!standing_ready_for_all(r->membership) || !r->shard_store->doubts.known)
        refuse(r, in->from, REFUSED_NOT_READY, out);
    else
        begin_page(r, st, in->from, out);
}
