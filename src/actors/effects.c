#include <assert.h>

#include "actors/actor.h"

static struct effect *
effect_add(struct effects *out, enum effect_kind kind, enum actor_id actor, uint64_t tag)
{
    assert(out->count < EFFECTS_MAX);
    struct effect *effect = &out->items[out->count++];
    *effect = (struct effect){.kind = kind, .actor = actor, .tag = tag};
    return effect;
}

struct msg *
effect_send(struct effects *out, enum msg_kind kind, uint8_t to, const struct msg *about)
{
    struct msg *msg = &effect_add(out, EFFECT_SEND, ACTOR_SHARD_STORE, 0)->u.msg;
    msg->kind = kind;
    msg->to = to;
    if (about) {
        msg->op = about->op;
        msg->request_id = about->request_id;
        msg->path = about->path;
    }
    return msg;
}

struct msg *
effect_local(struct effects *out, enum actor_id to, enum msg_kind kind)
{
    struct msg *msg = &effect_add(out, EFFECT_LOCAL, to, 0)->u.msg;
    msg->kind = kind;
    return msg;
}

void
effect_store(struct effects *out, enum actor_id actor, uint64_t tag,
             const struct store_change *changes, size_t count)
{
    struct effect *effect = effect_add(out, EFFECT_STORE, actor, tag);
    effect->u.store.changes = changes;
    effect->u.store.count = count;
}

void
effect_load(struct effects *out, enum actor_id actor, uint64_t tag, const struct bytes *keys,
            size_t count)
{
    assert(count <= LOAD_KEYS_MAX);
    struct effect *effect = effect_add(out, EFFECT_LOAD, actor, tag);
    effect->u.load.keys = keys;
    effect->u.load.count = count;
}

void
effect_scan(struct effects *out, enum actor_id actor, uint64_t tag, struct bytes prefix,
            struct bytes after, size_t limit, bool with_values)
{
    assert(limit <= SCAN_ROWS_MAX);
    struct effect *effect = effect_add(out, EFFECT_SCAN, actor, tag);
    effect->u.scan.prefix = prefix;
    effect->u.scan.after = after;
    effect->u.scan.limit = limit;
    effect->u.scan.with_values = with_values;
}

void
effect_timer(struct effects *out, enum actor_id actor, uint64_t tag, struct duration after)
{
    effect_add(out, EFFECT_TIMER, actor, tag)->u.after = after;
}

void
effect_keys(struct effects *out, enum actor_id actor, uint64_t tag)
{
    effect_add(out, EFFECT_KEYS, actor, tag);
}

void
effect_reply(struct effects *out, uint64_t exchange, const struct reply *reply)
{
    struct effect *effect = effect_add(out, EFFECT_REPLY, ACTOR_GATEWAY, 0);
    effect->u.reply.exchange = exchange;
    effect->u.reply.reply = *reply;
}
