/*
 * Looks at everything that this node has, one path at a time, until nothing that was handed over is
 * unfinished and every own share is there: then the node counts as recovered.
 */
#include <string.h>

#include "actors/recovery.h"
#include "base/planted.h"

enum { LOOK_VERSIONS_MAX = 160, SETTLED_AFTER_MS = 5000 };

static void
scan(struct recovery *r, const struct step *st, const struct row_key *prefix,
     const struct row_key *after, size_t limit, struct effects *out)
{
    struct recovery_look *look = &r->look;
    struct bytes prefix_copy, after_copy;
    if (arena_copy(st->arena, row_key_bytes(prefix), &prefix_copy) != OK ||
        arena_copy(st->arena, row_key_bytes(after), &after_copy) != OK) {
        look->busy = false;
        return;
    }
    look->busy = true;
    look->turn = ++r->turns;
    effect_scan(out, ACTOR_RECOVERY, recovery_tag(RECOVERY_TAG_LOOK, look->turn, 0), prefix_copy,
                after_copy, limit, !look->names_only);
}

/* What does not verify is looked at row by row, and got back. */
static void
have_checked(struct recovery *r, struct path path, uint64_t version, const uint8_t *version_id,
             struct effects *out)
{
    struct msg *m = effect_send(out, MSG_CHECK, r->membership->self, NULL);
    m->path = path;
    m->u.check.version = version;
    if (version > 0)
        memcpy(m->u.check.version_id, version_id, ID_BYTES);
    m->u.check.scrub = true;
}

static void
next_path(struct recovery *r, const struct step *st, struct effects *out)
{
    struct row_key table;
    row_key_table(ROW_PATH, &table);
    r->look.in_path = false;
    scan(r, st, &table, &r->look.path_key, 1, out);
}

static void
end_look(struct recovery *r, const struct step *st, struct effects *out)
{
    struct recovery_look *look = &r->look;
    r->unfinished = look->unfinished;
    r->missing = look->missing;
    look->busy = false;
    look->path_key.size = 0;
    look->next = instant_add(st->now, duration_ms(RECOVERY_LOOK_MS));
    const struct doubts *doubts = &r->shard_store->doubts;
    if (look->unfinished == 0 && look->missing == 0 && doubts->known && doubts->count == 0)
        shard_store_recovered(r->shard_store, st, RECOVERY_NONE, out);
}

void
recovery_look_on(struct recovery *r, const struct step *st, struct effects *out)
{
    struct recovery_look *look = &r->look;
    if (look->busy || st->now.ns < look->next.ns)
        return;
    look->unfinished = look->missing = 0;
    look->path_key.size = 0;
    next_path(r, st, out);
}

/*
 * What somebody is changing just now is not what was left unfinished. But under a deletion that may
 * come to nothing lie versions of which the head does not tell.
 */
static bool
is_unfinished(const struct path_row *row, enum head_kind kind, const struct step *st)
{
    return row->state == STATE_RECEIVED ||
           (row->state == STATE_ACCEPTED &&
            (kind == HEAD_TOMBSTONE || ballot_ms(row->ballot) + SETTLED_AFTER_MS < st->wall_ms));
}

static void
on_path(struct recovery *r, const struct step *st, const struct msg_loaded *rows,
        struct effects *out)
{
    struct recovery_look *look = &r->look;
    struct path_row row;
    struct path path;
    struct row_key prefix, none = {.size = 0};
    struct head *head = arena_alloc(st->arena, sizeof(*head));
    if (rows->count == 0) {
        end_look(r, st, out);
        return;
    }
    look->path_key.size = rows->rows[0].key.size;
    memcpy(look->path_key.data, rows->rows[0].key.data, look->path_key.size);
    if (look->names_only) {
        look->names_only = false;
        look->missing++;
        if (row_key_path_of(row_key_bytes(&look->path_key), &path) == OK)
            have_checked(r, path, 0, NULL, out);
        next_path(r, st, out);
        return;
    }
    if (!head || path_row_decode(rows->rows[0].value, &row) != OK ||
        head_decode(row.head, head) != OK) {
        look->missing++;
        next_path(r, st, out);
        return;
    }
    look->unfinished += is_unfinished(&row, head->kind, st);
    bool amid_change = row.state != STATE_CHOSEN && PLANTED(recovered_amid_change);
    if (row.state == STATE_RECEIVED || head->kind != HEAD_LIVE || amid_change) {
        next_path(r, st, out);
        return;
    }
    look->in_path = true;
    look->settled = row.state == STATE_CHOSEN;
    look->version = head->version;
    look->oldest_version = head->oldest_version;
    look->destroyed = head->destroyed;
    memcpy(look->version_id, head->version_id, ID_BYTES);
    row_key_versions(ROW_VERSION, head->path, &prefix);
    scan(r, st, &prefix, &none, LOOK_VERSIONS_MAX, out);
}

/* Whether the own share in that row of the chain opens; *prev: what the chain names below it. */
static bool
is_held(struct recovery *r, const struct step *st, struct path path,
        const struct loaded_row *loaded, uint8_t prev[static ID_BYTES], bool *followed)
{
    struct version_row row;
    struct version_record record;
    *followed =
        version_row_decode(loaded->value, &row) == OK && version_decode(row.record, &record) == OK;
    if (!*followed)
        return false;
    memcpy(prev, record.prev, ID_BYTES);
    return row.share.size > 0 &&
           shard_store_share_opens(r->shard_store, st, path, loaded->key, row.share);
}

/*
 * Down the chain: a share that is there and does not open is as good as none. A head that is accepted
 * and not known chosen lies on the one before it, whose versions must be here as well: a node that
 * lacks one of them does not become whole by being in the midst of a change. The head may also drop
 * the oldest of them, and come to nothing; what is at hand of these counts, too.
 */
static void
on_versions(struct recovery *r, const struct step *st, const struct msg_loaded *rows,
            struct effects *out)
{
    struct recovery_look *look = &r->look;
    uint64_t held = 0, wanted = look->version - look->oldest_version + 1, next = look->version;
    uint64_t last = look->settled ? look->oldest_version : 1;
    uint8_t expected[ID_BYTES];
    bool followed = true, asked = false;
    struct path path, of;
    struct bytes id;
    memcpy(expected, look->version_id, ID_BYTES);
    followed = row_key_path_of(row_key_bytes(&look->path_key), &path) == OK;
    for (size_t i = 0; followed && i < rows->count && next >= last; i++) {
        enum row_table table;
        uint64_t version;
        if (row_key_parse(rows->rows[i].key, &table, &of, &version, &id) != OK || version != next ||
            memcmp(id.data, expected, ID_BYTES) != 0)
            continue;
        bool good = is_held(r, st, path, &rows->rows[i], expected, &followed);
        good =
            good || (followed && version_set_has(look->destroyed, look->oldest_version, version));
        if (!good && !asked)
            have_checked(r, path, version, id.data, out);
        asked = asked || !good; /* one in a look: the next look comes to the others */
        wanted += next < look->oldest_version;
        held += good;
        next--;
    }
    look->missing += wanted - held;
    next_path(r, st, out);
}

/* The row of a path, or one of its versions, cannot be read. */
static void
on_unreadable(struct recovery *r, const struct step *st, struct effects *out)
{
    struct recovery_look *look = &r->look;
    struct path path;
    if (!look->in_path) {
        look->names_only = true;
    } else {
        look->missing++;
        if (row_key_path_of(row_key_bytes(&look->path_key), &path) == OK)
            have_checked(r, path, 0, NULL, out);
    }
    next_path(r, st, out);
}

void
recovery_look_loaded(struct recovery *r, const struct step *st, const struct msg_loaded *rows,
                     struct effects *out)
{
    struct recovery_look *look = &r->look;
    if (rows->tag != recovery_tag(RECOVERY_TAG_LOOK, look->turn, 0) || !recovery_is_present(r))
        return; /* the next tick begins anew */
    if (rows->err == ERR_CORRUPT && !look->names_only) {
        on_unreadable(r, st, out);
    } else if (rows->err != OK) {
        look->busy = false;
        look->names_only = false;
        look->next = instant_add(st->now, duration_ms(RECOVERY_LOOK_MS));
    } else if (look->in_path) {
        on_versions(r, st, rows, out);
    } else {
        on_path(r, st, rows, out);
    }
}
