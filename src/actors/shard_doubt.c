/* The shard store's part in paths that are in doubt: doubts.h. */
#include <string.h>

#include "actors/shard_internal.h"
#include "actors/standing.h"
#include "base/planted.h"
#include "proto/record_path.h"

static_assert((int)DOUBTS_MAX < (int)SCAN_ROWS_MAX, "one scan finds them all, or that it does not");

bool
shard_store_in_doubt(struct shard_store *s, struct path path)
{
    if (PLANTED(doubt_forgotten))
        return false;
    return !s->doubts.known || doubts_find(&s->doubts, path) != NULL;
}

void
shard_doubts_changed(struct shard_store *s)
{
    s->membership->repair.paths_in_doubt = s->doubts.count;
    s->membership->records_in_doubt = !s->doubts.known || s->doubts.too_many;
    for (unsigned i = 0; i < DOUBTS_MAX && s->doubts.count > 0; i++) {
        const struct doubt *doubt = &s->doubts.of[i];
        if (doubt->used && record_path_is(doubt_path(doubt)))
            s->membership->records_in_doubt = true;
    }
}

/* ---- what is found at the start ---- */

void
shard_doubts_load(const struct step *st, struct effects *out)
{
    struct row_key prefix;
    struct bytes copy;
    row_key_table(ROW_DOUBT, &prefix);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &copy) == OK)
        effect_scan(out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_DOUBTS, 0), copy, (struct bytes){0},
                    DOUBTS_MAX + 1, false);
    else
        effect_timer(out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_DOUBTS, 0),
                     duration_ms(DOUBTS_LOOK_AGAIN_MS));
}

/* Until they are known, nothing is answered about any path. */
void
shard_doubts_loaded(struct shard_store *s, const struct step *st, const struct msg_loaded *rows,
                    struct effects *out)
{
    bool good = rows->err == OK;
    for (size_t i = 0; good && i < rows->count; i++) {
        enum row_table table;
        struct path path;
        uint64_t version;
        struct bytes id;
        if (row_key_parse(rows->rows[i].key, &table, &path, &version, &id) != OK)
            continue;
        struct doubt *doubt = doubts_add(&s->doubts, path, st->now);
        if (doubt)
            doubt->durable = true;
        good = doubt != NULL;
    }
    if (good) {
        s->doubts.known = true;
        shard_doubts_changed(s);
        return;
    }
    s->doubts.too_many = false;
    effect_timer(out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_DOUBTS, 0),
                 duration_ms(DOUBTS_LOOK_AGAIN_MS));
}

/* ---- damage ---- */

enum vault_err
shard_doubt_notice(struct shard_store *s, const struct step *st, struct path path, bool *news)
{
    struct doubt *doubt = doubts_find(&s->doubts, path);
    *news = !doubt || !doubt->damaged;
    if (doubt && *news)
        doubt->told = 0; /* what has been handed over has rotted here, too */
    doubt = doubts_add(&s->doubts, path, st->now);
    if (!doubt && !s->doubts.too_many)
        return ERR_NOMEM;
    if (doubt)
        doubt->damaged = true;
    /* What this life has promised there left memory in the belief that the row tells of it. */
    shard_store_raise_floor(s, s->promised_most);
    shard_doubts_changed(s);
    s->membership->repair.paths_damaged += *news;
    return OK;
}

void
shard_doubt_replaced(struct shard_store *s, struct path path)
{
    struct doubt *doubt = doubts_find(&s->doubts, path);
    if (!doubt)
        return;
    doubt->damaged = false;
    if (!doubt->durable)
        doubts_remove(&s->doubts, doubt);
    shard_doubts_changed(s);
}

static struct bytes
key_in(const struct step *st, struct path path)
{
    struct row_key key;
    struct bytes copy;
    row_key_doubt(path, &key);
    return arena_copy(st->arena, row_key_bytes(&key), &copy) == OK ? copy : (struct bytes){0};
}

bool
shard_doubts_mend(struct shard_store *s, const struct step *st, struct store_change *list,
                  size_t *count)
{
    for (unsigned i = 0; i < DOUBTS_MAX; i++) {
        struct doubt *doubt = &s->doubts.of[i];
        if (!doubt->used || doubt->durable)
            continue;
        struct bytes key = key_in(st, doubt_path(doubt));
        if (key.size == 0)
            return false;
        list[(*count)++] = (struct store_change){STORE_PUT, key, {0}};
    }
    for (unsigned i = 0; i < DOUBTS_MAX; i++)
        s->doubts.of[i].mending = s->doubts.of[i].used && !s->doubts.of[i].durable;
    return true;
}

/* Whatever was told so far was told to the incarnation before. */
void
shard_doubts_mended(struct shard_store *s, enum vault_err err)
{
    for (unsigned i = 0; i < DOUBTS_MAX; i++) {
        struct doubt *doubt = &s->doubts.of[i];
        if (doubt->mending && err == OK) {
            doubt->durable = true;
            doubt->told = 0;
        }
        doubt->mending = false;
    }
    if (err == OK)
        s->doubts.too_many = false;
    shard_doubts_changed(s);
}

/* ---- one path ---- */

/*
 * A helper does not know the path. Where enough others have handed it over it is open, and this
 * incarnation has answered for it: if its row has rotted since, only a newer one may forget that.
 */
void
shard_doubt_begin(struct shard_work *w)
{
    struct path path = w->path->link.path;
    const struct replicas *replicas = &w->path->replicas;
    if (standing_handed_over(w->s->membership, replicas)) {
        shard_answer_now(w, MSG_HANDED)->u.handed.refusal = REFUSED_NONE;
        return;
    }
    struct doubt *doubt = doubts_add(&w->s->doubts, path, w->st->now);
    struct store_change *list = arena_alloc(w->st->arena, sizeof(*list));
    struct bytes key = key_in(w->st, path);
    shard_doubts_changed(w->s);
    if (doubt && doubt->durable) {
        shard_answer_now(w, MSG_HANDED)->u.handed.refusal = REFUSED_NONE;
        return;
    }
    if (!doubt || !list || key.size == 0) {
        w->s->doubts.too_many = false; /* the one who handed it over has to be asked again */
        if (doubt && !doubt->damaged && !doubt->mending)
            doubts_remove(&w->s->doubts, doubt);
        shard_doubts_changed(w->s);
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return;
    }
    *list = (struct store_change){STORE_PUT, key, {0}};
    w->path->doubt = DOUBT_BEGINS;
    shard_answer_later(w, MSG_HANDED)->u.handed.refusal = REFUSED_NONE;
    shard_commit(w, list, 1);
}

/* Nobody has anything of the path: neither has this node. */
static bool
forget_path(struct shard_work *w, struct store_change *list, size_t *count)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES,
                                            ROW_NEED,    ROW_ERASURE, ROW_UNSETTLED};
    struct row_key keys[2];
    row_key_path(w->path->link.path, &keys[0]);
    row_key_index(w->path->link.path, &keys[1]);
    for (unsigned i = 0; i < 2; i++) {
        struct bytes key = shard_key_copy(w, &keys[i]);
        if (key.size == 0)
            return false;
        shard_change(list, count, STORE_DELETE, key, (struct bytes){0});
    }
    for (unsigned i = 0; i < 6; i++) {
        struct row_key key;
        row_key_versions(tables[i], w->path->link.path, &key);
        struct bytes copy = shard_key_copy(w, &key);
        if (copy.size == 0)
            return false;
        shard_change(list, count, STORE_DELETE_PREFIX, copy, (struct bytes){0});
    }
    return true;
}

void
shard_doubt_end(struct shard_work *w)
{
    struct doubt *doubt = doubts_find(&w->s->doubts, w->path->link.path);
    struct store_change *list = arena_alloc(w->st->arena, ACCEPT_CHANGES_MAX * sizeof(*list));
    struct bytes key = key_in(w->st, w->path->link.path);
    size_t count = 0;
    if (!doubt || !doubt->durable || !doubt_is_settled(doubt, w->s->membership->cluster) || !list ||
        key.size == 0 || (w->path->corrupt && !forget_path(w, list, &count)))
        return; /* asked for again, if it is still so */
    shard_change(list, &count, STORE_DELETE, key, (struct bytes){0});
    if (!shard_commit(w, list, count))
        return; /* likewise */
    w->path->doubt = DOUBT_ENDS;
    if (w->path->corrupt)
        path_count_going(&w->s->membership->held);
}

void
shard_doubt_stored(struct shard_store *s, struct shard_path *path, enum vault_err err)
{
    struct doubt *doubt = doubts_find(&s->doubts, path->link.path);
    if (doubt && path->doubt == DOUBT_BEGINS && err == OK)
        doubt->durable = true;
    else if (doubt && path->doubt == DOUBT_BEGINS && !doubt->damaged)
        doubts_remove(&s->doubts, doubt);
    if (path->doubt == DOUBT_ENDS && path->corrupt)
        path_count_gone(&s->membership->held, path->link.path, err == OK);
    if (doubt && path->doubt == DOUBT_ENDS && err == OK) {
        doubts_remove(&s->doubts, doubt);
        path->clean = path->clean || path->corrupt; /* nothing is there */
        if (path->corrupt && s->digests)
            digests_restart(s->digests);
        path->corrupt = false;
    }
    path->doubt = DOUBT_STAYS;
    shard_doubts_changed(s);
}
