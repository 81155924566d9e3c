#include "actors/audit_hold.h"

#include <stdlib.h>

static enum vault_err
hold_push(struct audit_hold *hold, struct audit_held *take_held)
{
    take_held->next = NULL;
    if (hold->last)
        hold->last->next = take_held;
    else
        hold->first = take_held;
    hold->last = take_held;
    hold->bytes += take_held->bytes;
    return OK;
}

enum vault_err
audit_hold_frame(struct audit_hold *hold, uint64_t serial, uint8_t to, bool soon,
                 struct bytes frame)
{
    if (hold->bytes + frame.size > AUDIT_HELD_BYTES_MAX)
        return ERR_BUSY;
    struct audit_held *held = calloc(1, sizeof(*held));
    if (!held)
        return ERR_NOMEM;
    held->serial = serial;
    held->to = to;
    held->soon = soon;
    held->bytes = frame.size;
    if (buf_append(&held->frame, frame) != OK) {
        audit_held_free(held);
        return ERR_NOMEM;
    }
    return hold_push(hold, held);
}

/* ---- answers ---- */

static enum vault_err
copy_rows(struct arena *arena, struct reply *reply)
{
    struct history_row *rows;

    if (reply->row_count == 0)
        return OK;
    rows = arena_alloc(arena, reply->row_count * sizeof(*rows));
    if (!rows)
        return ERR_NOMEM;
    for (size_t i = 0; i < reply->row_count; i++) {
        rows[i] = reply->rows[i];
        if (arena_copy(arena, reply->rows[i].author, &rows[i].author) != OK)
            return ERR_NOMEM;
    }
    reply->rows = rows;
    return OK;
}

static enum vault_err
copy_items(struct arena *arena, struct reply *reply)
{
    struct item_result *items;

    if (reply->item_count == 0 || !reply->items)
        return OK;
    items = arena_alloc(arena, reply->item_count * sizeof(*items));
    if (!items)
        return ERR_NOMEM;
    for (size_t i = 0; i < reply->item_count; i++) {
        items[i] = reply->items[i];
        if (arena_copy(arena, reply->items[i].value, &items[i].value) != OK)
            return ERR_NOMEM;
    }
    reply->items = items;
    return OK;
}

static enum vault_err
copy_names(struct arena *arena, struct reply *reply)
{
    struct bytes *names;

    if (reply->name_count == 0)
        return OK;
    names = arena_alloc(arena, reply->name_count * sizeof(*names));
    if (!names)
        return ERR_NOMEM;
    for (size_t i = 0; i < reply->name_count; i++) {
        if (arena_copy(arena, reply->names[i], &names[i]) != OK)
            return ERR_NOMEM;
    }
    reply->names = names;
    return OK;
}

static enum vault_err
copy_records(struct arena *arena, struct reply *reply)
{
    struct record_row *records;

    if (reply->record_count == 0)
        return OK;
    records = arena_alloc(arena, reply->record_count * sizeof(*records));
    if (!records)
        return ERR_NOMEM;
    for (size_t i = 0; i < reply->record_count; i++) {
        records[i] = reply->records[i];
        if (arena_copy(arena, reply->records[i].key, &records[i].key) != OK ||
            arena_copy(arena, reply->records[i].value, &records[i].value) != OK)
            return ERR_NOMEM;
    }
    reply->records = records;
    return OK;
}

static size_t
reply_bytes(const struct reply *reply)
{
    size_t bytes = sizeof(struct audit_held) + reply->value.size + reply->names_next.size +
                   reply->metadata.custom.size;

    for (size_t i = 0; i < reply->row_count; i++)
        bytes += sizeof(reply->rows[i]) + reply->rows[i].author.size;
    for (size_t i = 0; reply->items && i < reply->item_count; i++)
        bytes += sizeof(reply->items[i]) + reply->items[i].value.size;
    for (size_t i = 0; i < reply->name_count; i++)
        bytes += sizeof(reply->names[i]) + reply->names[i].size;
    for (size_t i = 0; i < reply->record_count; i++)
        bytes +=
            sizeof(reply->records[i]) + reply->records[i].key.size + reply->records[i].value.size;
    return bytes;
}

enum vault_err
audit_hold_reply(struct audit_hold *hold, uint64_t serial, const struct effect *reply,
                 bool is_change)
{
    size_t bytes = reply_bytes(&reply->u.reply.reply);

    if (hold->bytes + bytes > AUDIT_HELD_BYTES_MAX)
        return ERR_BUSY;
    struct audit_held *held = calloc(1, sizeof(*held));
    if (!held)
        return ERR_NOMEM;
    held->serial = serial;
    held->is_reply = true;
    held->is_change = is_change;
    held->bytes = bytes;
    held->reply = *reply;
    arena_init(&held->memory, AUDIT_HELD_BYTES_MAX);
    struct reply *copy = &held->reply.u.reply.reply;
    if (arena_copy(&held->memory, reply->u.reply.reply.value, &copy->value) != OK ||
        arena_copy(&held->memory, reply->u.reply.reply.names_next, &copy->names_next) != OK ||
        arena_copy(&held->memory, reply->u.reply.reply.metadata.custom, &copy->metadata.custom) !=
            OK ||
        copy_rows(&held->memory, copy) != OK || copy_items(&held->memory, copy) != OK ||
        copy_names(&held->memory, copy) != OK || copy_records(&held->memory, copy) != OK) {
        audit_held_free(held);
        return ERR_NOMEM;
    }
    return hold_push(hold, held);
}

void
audit_refuse_reply(struct effect *reply, bool is_change)
{
    struct reply *r = &reply->u.reply.reply;
    bool open = is_change && (r->err == OK || r->err == ERR_RESULT_GONE || r->err == ERR_ENTROPY ||
                              r->err == ERR_INTERNAL || r->phase == PHASE_WRITING);

    *r = (struct reply){.err = ERR_AUDIT_UNAVAILABLE, .phase = open ? PHASE_WRITING : PHASE_NONE};
}

struct audit_held *
audit_hold_take(struct audit_hold *hold)
{
    struct audit_held *held = hold->first;

    if (!held)
        return NULL;
    hold->first = held->next;
    if (!hold->first)
        hold->last = NULL;
    hold->bytes -= held->bytes;
    return held;
}

void
audit_held_free(struct audit_held *held)
{
    if (!held)
        return;
    buf_close(&held->frame);
    arena_close(&held->memory);
    free(held);
}

void
audit_hold_close(struct audit_hold *hold)
{
    struct audit_held *held;

    while ((held = audit_hold_take(hold)))
        audit_held_free(held);
}
