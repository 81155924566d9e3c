#include "actors/records.h"

#include <assert.h>
#include <string.h>

enum records_tag { TAG_NAMES = 1, TAG_ROWS = 2, TAG_RETRY = 3 };

void
records_init(struct records *r, struct auth_view *view)
{
    *r = (struct records){.view = view};
}

static void
again_later(struct effects *out)
{
    effect_timer(out, ACTOR_RECORDS, TAG_RETRY, duration_ms(RECORDS_RETRY_MS));
}

static void
ask_names(struct records *r, const struct step *st, struct effects *out)
{
    struct row_key prefix;
    struct bytes prefix_copy, after;
    row_key_table(ROW_IDENTITY, &prefix);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &prefix_copy) == OK &&
        arena_copy(st->arena, row_key_bytes(&r->after), &after) == OK)
        effect_scan(out, ACTOR_RECORDS, TAG_NAMES, prefix_copy, after, RECORDS_PAGE, false);
    else
        again_later(out);
}

void
records_start(struct records *r, const struct step *st, struct effects *out)
{
    ask_names(r, st, out);
}

/* The path row of each record named. */
static enum vault_err
ask_rows(const struct step *st, const struct msg_loaded *names, struct effects *out)
{
    struct bytes *keys = arena_alloc(st->arena, names->count * sizeof(*keys));
    if (!keys)
        return ERR_NOMEM;
    for (size_t i = 0; i < names->count; i++) {
        struct path path;
        struct row_key key;
        enum vault_err err = row_key_path_of(names->rows[i].key, &path);
        if (err != OK)
            return err;
        row_key_path(path, &key);
        err = arena_copy(st->arena, row_key_bytes(&key), &keys[i]);
        if (err != OK)
            return err;
    }
    effect_load(out, ACTOR_RECORDS, TAG_ROWS, keys, names->count);
    return OK;
}

static void
on_names(struct records *r, const struct step *st, const struct msg_loaded *names,
         struct effects *out)
{
    if (names->err != OK) {
        again_later(out);
        return;
    }
    if (names->count == 0) {
        r->view->whole = true;
        return;
    }
    const struct bytes *last = &names->rows[names->count - 1].key;
    assert(last->size <= sizeof(r->last.data));
    memcpy(r->last.data, last->data, last->size);
    r->last.size = last->size;
    r->more = names->more;
    if (ask_rows(st, names, out) != OK)
        again_later(out);
}

static bool
take_rows(struct records *r, const struct msg_loaded *rows)
{
    for (size_t i = 0; i < rows->count; i++) {
        struct path_row row;
        struct path path;
        if (!rows->rows[i].found)
            continue;
        if (path_row_decode(rows->rows[i].value, &row) != OK ||
            row_key_path_of(rows->rows[i].key, &path) != OK)
            return false;
        auth_view_load(r->view, path, &row);
    }
    return true;
}

static void
on_rows(struct records *r, const struct step *st, const struct msg_loaded *rows,
        struct effects *out)
{
    if (rows->err != OK || !take_rows(r, rows)) {
        again_later(out);
        return;
    }
    r->after = r->last;
    if (r->more)
        ask_names(r, st, out);
    else
        r->view->whole = true;
}

enum vault_err
records_handle(struct records *r, const struct step *st, const struct msg *in, struct effects *out)
{
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_TIMER: ask_names(r, st, out); return OK;
    case MSG_LOADED:
        if (in->u.loaded.tag == TAG_NAMES)
            on_names(r, st, &in->u.loaded, out);
        else
            on_rows(r, st, &in->u.loaded, out);
        return OK;
    default: return ERR_UNEXPECTED;
    }
}
