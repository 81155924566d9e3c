/*
 * Actors: pure message handlers. An actor is one struct and one function, handle(message) ->
 * effects. It does no I/O, reads no clock and draws no hidden randomness: all it may know of the
 * outside world is in struct step. The server (runtime/) and the simulator differ only in how they
 * execute effects.
 *
 * Payloads of effects are borrowed: they live in the step's arena or in the actor, and are valid
 * until the effects of the step have been executed, which happens before any other message is
 * handled.
 */
#ifndef OSTRAKA_ACTORS_ACTOR_H
#define OSTRAKA_ACTORS_ACTOR_H

#include "actors/maybe.h"
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/rng.h"
#include "proto/msg.h"
#include "proto/rows.h"
#include "store/store.h"

struct auditor;

struct step {
    struct instant now; /* monotonic; constant during one step */
    uint64_t wall_ms;   /* wall clock; constant during one step */
    const struct rng *rng;
    const struct log_sink *log;
    struct metrics *metrics;
    struct arena *arena;       /* wiped after the step's effects have been executed */
    const struct maybe *maybe; /* NULL but in the simulator */
    struct auditor *audit;     /* auditor.h: where actors note what they do; NULL: nowhere */
};

enum actor_id {
    ACTOR_GATEWAY,
    ACTOR_COORDINATOR,
    ACTOR_SHARD_STORE,
    ACTOR_REPAIRER,
    ACTOR_SHREDDER,
    ACTOR_ANTI_ENTROPY,
    ACTOR_RECOVERY,
    ACTOR_SCRUBBER,
    ACTOR_LISTER,
    ACTOR_RECORDS,
    ACTOR_AUDITOR,
    ACTOR_TRAIL_READER,
    ACTOR_SWEEPER,
};

enum effect_kind {
    EFFECT_SEND,  /* a wire message to a node, itself included */
    EFFECT_LOCAL, /* a local message to an actor of this node */
    EFFECT_STORE, /* one atomic batch; MSG_STORED comes when it is durable or has failed */
    EFFECT_LOAD,  /* rows by key; MSG_LOADED */
    EFFECT_SCAN,  /* rows by prefix; MSG_LOADED */
    EFFECT_TIMER, /* MSG_TIMER after a while; timers with equal deadlines fire in arming order */
    EFFECT_REPLY, /* to an API client */
    EFFECT_KEYS,  /* the file of bucket keys is replaced by what they are now; MSG_STORED comes when
                     it is durable and the old file is gone, or with what went wrong */
};

struct effect {
    enum effect_kind kind;
    enum actor_id actor; /* who gets MSG_STORED, MSG_LOADED, MSG_TIMER; for LOCAL: the receiver */
    uint64_t tag;        /* STORE, LOAD, SCAN, TIMER, KEYS: comes back */
    union {
        struct msg msg; /* SEND, LOCAL */
        struct {
            const struct store_change *changes;
            size_t count;
            enum store_need need; /* MSG_STORED comes when that is true of it */
        } store;
        struct {
            const struct bytes *keys;
            size_t count;
            struct bytes along; /* of one key: a prefix, whose first row may come with its row */
        } load;
        struct {
            struct bytes prefix, after;
            size_t limit;
            bool with_values;
        } scan;
        struct duration after; /* TIMER */
        struct {
            uint64_t exchange;
            struct reply reply;
        } reply;
    } u;
};

enum { CLOCK_DRIFT_MS_MAX = 60000 }; /* ballots further ahead of a node's clock are refused */
enum { CLOCK_SKEW_MS_MAX = 500 };    /* two clocks that agree differ by no more */

enum { EFFECTS_MAX = 96, LOAD_KEYS_MAX = 24, SCAN_ROWS_MAX = 1024 };

/*
 * What one step asks for, in order. Bounded: every handler states its worst case, far below
 * EFFECTS_MAX.
 */
struct effects {
    struct effect items[EFFECTS_MAX];
    size_t count;
};

/*
 * Each adds one effect; overflow is a bug of ours (assert). Returned pointers are valid until the
 * next call.
 */
struct msg *effect_send(struct effects *out, enum msg_kind kind, uint8_t to,
                        const struct msg *about);
struct msg *effect_local(struct effects *out, enum actor_id to, enum msg_kind kind);
void effect_store(struct effects *out, enum actor_id actor, uint64_t tag,
                  const struct store_change *changes, size_t count);
void effect_load(struct effects *out, enum actor_id actor, uint64_t tag, const struct bytes *keys,
                 size_t count);
void effect_scan(struct effects *out, enum actor_id actor, uint64_t tag, struct bytes prefix,
                 struct bytes after, size_t limit, bool with_values);
void effect_timer(struct effects *out, enum actor_id actor, uint64_t tag, struct duration after);
void effect_keys(struct effects *out, enum actor_id actor, uint64_t tag);
void effect_reply(struct effects *out, uint64_t exchange, const struct reply *reply);

#endif
