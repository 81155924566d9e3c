/*
 * Answers to readers, and whole copies for whoever finishes a change: docs/protocol.md, "Reading"
 * and "What is there".
 */
#include <assert.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/auditor.h"
#include "actors/authority.h"
#include "actors/shard_internal.h"
#include "base/planted.h"

enum { ROW_V, ROW_D, ROW_B };

/*
 * Which version is asked for: the latest of the accepted head, or an older one that the asker knows
 * by its id.
 */
static bool
wanted_version(const struct shard_work *w, uint64_t *version, const uint8_t **version_id)
{
    static const uint8_t latest[ID_BYTES] = {0};
    const struct msg_read *read = &w->msg->u.read;
    const struct head_summary *head = &w->path->row.head;
    if (w->path->row.row.state == STATE_ABSENT || head->kind != HEAD_LIVE)
        return false;
    bool of_head = memcmp(read->version_id, latest, ID_BYTES) == 0;
    *version = of_head ? head->version : read->version;
    *version_id = of_head ? head->version_id : read->version_id;
    return true;
}

static struct msg_state *
answer_state(struct shard_work *w)
{
    struct msg *m = shard_answer_now(w, MSG_STATE);
    shard_accepted(w->path, &m->u.state.accepted);
    shard_incarnations(w, &m->u.state.incarnations);
    metrics_count(w->st->metrics, METRIC_reads_served);
    if (w->path->row.row.state != STATE_ABSENT) {
        m->u.state.own.named = true;
        memcpy(m->u.state.own.head_id, w->path->row.head.id, ID_BYTES);
    }
    return &m->u.state;
}

/*
 * Of rows that are sound the reader of this node need not find that out again, and whoever has the
 * same ones needs the share alone.
 */
static void
vouch_for_rows(const struct shard_work *w, struct msg_state *state)
{
    struct kept_rows *kept = w->path->kept;
    if (!kept || w->rows != &kept->loaded || !kept_is_sound(kept, state->version, state->dealing))
        return;
    if (w->msg->from == w->s->membership->self) {
        state->own.checked = true;
        memcpy(state->own.version_id, kept->version_id, ID_BYTES);
    } else if (bytes_equal(bytes_of(kept->version_id, ID_BYTES), w->msg->u.read.known_id)) {
        state->as_known = true;
        state->version = (struct bytes){0};
        state->dealing = (struct bytes){0};
    }
}

static void
fill_share(struct shard_work *w, struct bytes key, struct bytes sealed, struct msg_state *state)
{
    if (sealed.size == 0)
        return;
    struct kept_rows *kept = w->path->kept;
    bool from_kept = kept && w->rows == &kept->loaded;
    struct bytes share = from_kept ? kept_share(kept) : (struct bytes){0};
    state->share_state = SHARE_HELD;
    if (share.size > 0 && arena_copy(w->st->arena, share, &state->share) == OK)
        return;
    if (shard_share_unseal(w, key, sealed, &state->share) != OK) {
        state->share_state = SHARE_BAD;
        alarms_share_bad(w->s->membership, w->st, w->s->membership->self);
    } else if (from_kept) {
        kept_share_put(&w->s->kept, kept, state->share);
    }
}

static void
note_read(const struct shard_work *w, enum audit_kind kind, const char *outcome)
{
    bool list = kind == AUDIT_list;
    audit_note_asked(w->st, kind, w->msg, w->path->link.path,
                     list ? w->msg->u.list.credential : w->msg->u.read.credential,
                     list ? "list" : "read", outcome);
}

/* False: refused. */
static bool
is_allowed(struct shard_work *w, bool value, struct bytes credential)
{
    const struct membership *ms = w->s->membership;
    struct path path = w->path->link.path;
    enum vault_err err = value ? authority_of_value(ms, w->st, path, credential)
                               : authority_of_head(ms, w->st, path, credential);
    if (PLANTED(share_without_check))
        err = OK;
    if (err != OK && err != ERR_NOT_READY)
        note_read(w, w->msg->kind == MSG_LIST ? AUDIT_list : AUDIT_share, "denied");
    alarms_peer_refused(ms, w->st, w->msg->from, err);
    if (err != OK)
        shard_refuse(w, err == ERR_NOT_READY ? REFUSED_NOT_READY : REFUSED_DENIED,
                     (struct ballot){0});
    return err == OK;
}

/*
 * The version row alone, which nearly always has all there is. Where it is without a dealing, both
 * rows: that is large then, as what it is part of is, or of an older release, or is not here.
 */
static void
need_version(struct shard_work *w, uint64_t version, const uint8_t version_id[static ID_BYTES],
             size_t count)
{
    struct row_key keys[2];

    row_key_version(ROW_VERSION, w->path->link.path, version, version_id, &keys[ROW_V]);
    row_key_version(ROW_DEALING, w->path->link.path, version, version_id, &keys[ROW_D]);
    w->rows = NULL;
    shard_need_rows(w, keys, count);
}

/* What came with the path row, if that is the row asked for; NULL: it is not, or nothing came. */
static const struct msg_loaded *
version_along(struct shard_work *w, uint64_t version, const uint8_t version_id[static ID_BYTES])
{
    struct row_key key;

    if (!w->along)
        return NULL;
    row_key_version(ROW_VERSION, w->path->link.path, version, version_id, &key);
    struct msg_loaded *loaded = arena_alloc(w->st->arena, sizeof(*loaded));
    if (!loaded || !bytes_equal(row_key_bytes(&key), w->along->key))
        return NULL;
    *loaded = (struct msg_loaded){.err = OK, .rows = w->along, .count = 1};
    return loaded;
}

void
shard_on_read(struct shard_work *w)
{
    uint64_t version;
    const uint8_t *version_id;
    bool record = batch_record_name_valid(w->path->link.path.name); /* no secret: read by all */
    if (w->s->membership->audit_failing) {
        shard_refuse(w, REFUSED_DISK_FULL, (struct ballot){0});
        return;
    }
    if (!record && !is_allowed(w, !w->msg->u.read.head_only, w->msg->u.read.credential))
        return;
    if (w->msg->u.read.head_only || !wanted_version(w, &version, &version_id)) {
        answer_state(w);
        return;
    }
    if (!w->rows)
        w->rows = version_along(w, version, version_id);
    bool loaded = w->rows != NULL;
    if (!loaded)
        w->rows = kept_find(&w->s->kept, w->path->kept, version, version_id);
    if (!w->rows) {
        need_version(w, version, version_id, 1);
        return;
    }
    struct version_row row = {0};
    bool found = w->rows->rows[ROW_V].found;
    enum vault_err decoded = version_row_decode(w->rows->rows[ROW_V].value, &row);
    if (found && decoded == OK && row.dealing.size == 0 && w->rows->count == 1) {
        need_version(w, version, version_id, 2);
        return;
    }
    if (!loaded)
        metrics_count(w->st->metrics, METRIC_reads_from_memory);
    struct msg_state *state = answer_state(w);
    if (!found)
        return;
    if (decoded != OK) {
        state->share_state = SHARE_BAD;
        metrics_count(w->st->metrics, METRIC_records_corrupt);
        return;
    }
    struct bytes dealing = row.dealing;
    if (w->rows->count > ROW_D)
        dealing = shard_dealing_of(&row, &w->rows->rows[ROW_D]);
    if (dealing.size == 0)
        return;
    state->version = row.record;
    state->dealing = dealing;
    vouch_for_rows(w, state);
    fill_share(w, w->rows->rows[ROW_V].key, row.share, state);
    if (loaded && state->share_state == SHARE_HELD && version == w->path->row.head.version)
        kept_put(&w->s->kept, &w->path->kept, version, version_id, w->rows);
    if (!record)
        note_read(w, AUDIT_share, state->share.size > 0 ? "given" : "not_held");
}

static struct msg_fetched *
answer_fetched(struct shard_work *w, enum refusal refusal)
{
    struct msg *m = shard_answer_now(w, MSG_FETCHED);
    m->u.fetched.refusal = refusal;
    memcpy(m->u.fetched.head_id, w->msg->u.fetch.head_id, ID_BYTES);
    return &m->u.fetched;
}

/* All rows of the versions that the accepted head has made. */
static void
load_brought(struct shard_work *w)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES};
    static_assert(GROUP_VERSIONS_MAX * 3 <= LOAD_KEYS_MAX, "a load takes them all");
    struct head *head = arena_alloc(w->st->arena, sizeof(*head));
    struct row_key *keys;
    size_t count;
    if (head && head_decode(w->path->row.row.head, head) == OK &&
        shard_brought_keys(w, head, tables, 3, &keys, &count))
        shard_need_rows(w, keys, count);
    else
        answer_fetched(w, REFUSED_BUSY);
}

void
shard_on_fetch(struct shard_work *w)
{
    const struct head_summary *head = &w->path->row.head;
    if (w->path->row.row.state == STATE_ABSENT ||
        memcmp(head->id, w->msg->u.fetch.head_id, ID_BYTES) != 0) {
        answer_fetched(w, REFUSED_ABSENT);
        return;
    }
    if (!head->brings_version) {
        answer_fetched(w, REFUSED_NONE)->head = w->path->row.row.head;
        return;
    }
    if (!w->rows) {
        load_brought(w);
        return;
    }
    struct version_row row;
    struct bytes group = {0};
    /* No box is left when all have their share: of a head that is chosen, or has lost its mark. */
    if (!w->rows->rows[ROW_V].found || version_row_decode(w->rows->rows[ROW_V].value, &row) != OK ||
        shard_dealing_of(&row, &w->rows->rows[ROW_D]).size == 0 ||
        (head->earlier_count > 0 && !shard_group_copy(w, head->earlier_count, &group))) {
        answer_fetched(w, REFUSED_ABSENT);
        return;
    }
    struct msg_fetched *fetched = answer_fetched(w, REFUSED_NONE);
    fetched->head = w->path->row.row.head;
    fetched->version = row.record;
    fetched->group = group;
    fetched->dealing = shard_dealing_of(&row, &w->rows->rows[ROW_D]);
    if (w->rows->rows[ROW_B].found)
        fetched->boxes = w->rows->rows[ROW_B].value;
}

/* Version records, newest first, as they are here: the asker follows the chain. */
static void
answer_list(struct shard_work *w)
{
    const struct msg_list *list = &w->msg->u.list;
    struct bytes *records = arena_alloc(w->st->arena, w->rows->count * sizeof(*records) + 1);
    struct buf encoded = {0};
    struct bytes copy = {0};
    size_t count = 0;

    for (size_t i = 0; records && i < w->rows->count && count < list->limit; i++) {
        struct version_row row;
        if (version_row_decode(w->rows->rows[i].value, &row) != OK)
            continue; /* the asker finds the gap and asks others */
        records[count++] = row.record;
    }
    if (records && bytes_list_encode(records, count, &encoded) == OK &&
        arena_copy(w->st->arena, buf_bytes(&encoded), &copy) == OK) {
        struct msg *m = shard_answer_now(w, MSG_VERSIONS);
        shard_accepted(w->path, &m->u.versions.accepted);
        m->u.versions.records = copy;
        shard_incarnations(w, &m->u.versions.incarnations);
    } else {
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
    }
    buf_close(&encoded);
}

void
shard_on_list(struct shard_work *w)
{
    if (!is_allowed(w, false, w->msg->u.list.credential))
        return;
    if (w->rows) {
        answer_list(w);
        return;
    }
    note_read(w, AUDIT_list, "given");
    shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
}
