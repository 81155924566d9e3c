#include "actors/inbox.h"

enum { PUT_OFF_BYTES_MAX = 8 * 1024 * 1024 };

static void
push(struct inbox_list *list, struct inbox_item *item)
{
    item->next = NULL;
    if (list->last)
        list->last->next = item;
    else
        list->first = item;
    list->last = item;
}

static struct inbox_item *
pop(struct inbox_list *list)
{
    struct inbox_item *item = list->first;
    if (item)
        list->first = item->next;
    if (!list->first)
        list->last = NULL;
    return item;
}

static bool
push_copy(struct inbox_list *list, struct arena *arena, enum actor_id actor, bool leaves,
          const struct msg *msg)
{
    struct inbox_item *item = arena_alloc(arena, sizeof(*item));
    if (!item || msg_copy(msg, arena, &item->msg) != OK)
        return false;
    item->actor = actor;
    item->leaves = leaves;
    push(list, item);
    return true;
}

void
inbox_init(struct inbox *inbox, uint8_t self)
{
    *inbox = (struct inbox){.self = self};
    arena_init(&inbox->memory, PUT_OFF_BYTES_MAX);
}

void
inbox_close(struct inbox *inbox)
{
    inbox->now = inbox->own_writes = inbox->notices = (struct inbox_list){0};
    arena_close(&inbox->memory);
}

bool
inbox_post(struct inbox *inbox, struct arena *arena, enum actor_id actor, const struct msg *local)
{
    struct inbox_item *item = arena_alloc(arena, sizeof(*item));
    if (!item)
        return false;
    item->actor = actor;
    item->leaves = false;
    item->msg = *local;
    push(&inbox->now, item);
    return true;
}

bool
inbox_post_copy(struct inbox *inbox, struct arena *arena, enum actor_id actor,
                const struct msg *msg)
{
    return push_copy(&inbox->now, arena, actor, false, msg);
}

struct inbox_item *
inbox_next(struct inbox *inbox)
{
    struct inbox_item *item = pop(&inbox->now);
    if (!item && !inbox_has_put_off(inbox) && inbox->memory.used > 0)
        arena_reset(&inbox->memory);
    return item;
}

/* ---- what is put off ---- */

static bool
is_own_write(const struct inbox *inbox, const struct msg *msg)
{
    return msg->kind == MSG_WRITE && msg->u.write.ballot.offer && msg->from == inbox->self;
}

static bool
is_notice(const struct msg *msg)
{
    return msg->kind == MSG_CHOSEN && msg->u.chosen.ballot.offer;
}

bool
inbox_may_put_off(const struct inbox *inbox, const struct msg *msg)
{
    return is_own_write(inbox, msg) || is_notice(msg);
}

bool
inbox_put_off(struct inbox *inbox, enum actor_id actor, const struct msg *msg)
{
    bool leaves = msg->to != inbox->self;
    if (is_own_write(inbox, msg))
        return push_copy(&inbox->own_writes, &inbox->memory, actor, leaves, msg);
    return is_notice(msg) && push_copy(&inbox->notices, &inbox->memory, actor, leaves, msg);
}

bool
inbox_may_overtake(const struct msg *msg)
{
    return msg->kind == MSG_WRITE || msg->kind == MSG_WRITTEN || msg->kind == MSG_HEARTBEAT;
}

bool
inbox_has_put_off(const struct inbox *inbox)
{
    return inbox->own_writes.first || inbox->notices.first;
}

static bool
take(struct inbox *inbox, struct inbox_list *from)
{
    bool some = from->first != NULL;
    while (from->first)
        push(&inbox->now, pop(from));
    return some;
}

bool
inbox_take_own_writes(struct inbox *inbox)
{
    return take(inbox, &inbox->own_writes);
}

bool
inbox_take_notices(struct inbox *inbox)
{
    return take(inbox, &inbox->notices);
}
