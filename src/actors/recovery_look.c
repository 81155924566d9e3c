/*
 * Looks at everything that this node has, one path at a time, until nothing that was handed over is
 * unfinished and every own share is there: then the node counts as recovered.
 */
#include <string.h>

#include "actors/recovery.h"

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
                after_copy, limit, true);
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
    if (look->unfinished == 0 && look->missing == 0)
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

/* What somebody is changing just now is not what was left unfinished. */
static bool
is_unfinished(const struct path_row *row, const struct step *st)
{
    return row->state == STATE_RECEIVED ||
           (row->state == STATE_ACCEPTED &&
            ballot_ms(row->ballot) + SETTLED_AFTER_MS < st->wall_ms);
}

static void
on_path(struct recovery *r, const struct step *st, const struct msg_loaded *rows,
        struct effects *out)
{
    struct recovery_look *look = &r->look;
    struct path_row row;
    struct row_key prefix, none = {.size = 0};
    struct head *head = arena_alloc(st->arena, sizeof(*head));
    if (rows->count == 0) {
        end_look(r, st, out);
        return;
    }
    look->path_key.size = rows->rows[0].key.size;
    memcpy(look->path_key.data, rows->rows[0].key.data, look->path_key.size);
    if (!head || path_row_decode(rows->rows[0].value, &row) != OK ||
        head_decode(row.head, head) != OK) {
        look->missing++;
        next_path(r, st, out);
        return;
    }
    look->unfinished += is_unfinished(&row, st);
    if (row.state != STATE_CHOSEN || head->kind != HEAD_LIVE) {
        next_path(r, st, out);
        return;
    }
    look->in_path = true;
    look->version = head->version;
    look->oldest_version = head->oldest_version;
    memcpy(look->incarnation, head->incarnation, INCARNATION_BYTES);
    row_key_versions(ROW_VERSION, head->path, &prefix);
    scan(r, st, &prefix, &none, LOOK_VERSIONS_MAX, out);
}

static void
on_versions(struct recovery *r, const struct step *st, const struct msg_loaded *rows,
            struct effects *out)
{
    struct recovery_look *look = &r->look;
    uint64_t held = 0, wanted = look->version - look->oldest_version + 1;
    for (size_t i = 0; i < rows->count; i++) {
        struct version_row row;
        struct version_record record;
        held += version_row_decode(rows->rows[i].value, &row) == OK &&
                version_decode(row.record, &record) == OK && row.share.size > 0 &&
                record.version <= look->version && record.version >= look->oldest_version &&
                memcmp(record.incarnation, look->incarnation, INCARNATION_BYTES) == 0;
    }
    look->missing += held < wanted ? wanted - held : 0;
    next_path(r, st, out);
}

void
recovery_look_loaded(struct recovery *r, const struct step *st, const struct msg_loaded *rows,
                     struct effects *out)
{
    struct recovery_look *look = &r->look;
    if (rows->tag != recovery_tag(RECOVERY_TAG_LOOK, look->turn, 0))
        return;
    if (rows->err != OK) {
        look->busy = false;
        look->next = instant_add(st->now, duration_ms(RECOVERY_LOOK_MS));
    } else if (look->in_path) {
        on_versions(r, st, rows, out);
    } else {
        on_path(r, st, rows, out);
    }
}
