/* Private to the harness. */
#ifndef OSTRAKA_TESTS_ACTOR_CLUSTER_INTERNAL_H
#define OSTRAKA_TESTS_ACTOR_CLUSTER_INTERNAL_H

#include "actor_cluster.h"
#include "store/store_check.h"

enum { STEP_ARENA_BYTES = 96 * 1024 * 1024 };

enum event_kind {
    EVENT_FRAME,
    EVENT_TIMER,
    EVENT_COMMIT,
    EVENT_SYNC,
    EVENT_LOAD,
    EVENT_SCAN,
    EVENT_FAILED,
    EVENT_LINK,
    EVENT_KEYS, /* the file of bucket keys is being replaced */
    EVENT_KEYS_SAVED
};

struct ac_event {
    uint64_t due_ns, order;
    enum event_kind kind;
    unsigned node;
    uint64_t life;
    enum actor_id actor;
    uint64_t tag;
    unsigned from;          /* FRAME, LINK */
    struct ac_batch *batch; /* COMMIT, SYNC, FAILED */
    enum vault_err err;     /* FAILED */
    size_t limit;           /* SCAN */
    bool with_values;
    size_t sizes[LOAD_KEYS_MAX];
    size_t count;      /* LOAD: keys */
    size_t along;      /* LOAD: bytes of a prefix, behind the keys */
    struct bytes data; /* frame; keys; prefix and what to scan after */
};

/* What every file of the harness needs. A condition that does not hold ends the test. */
void ac_require(bool condition, const char *what);
void *ac_need(void *memory); /* not NULL */

/* actor_events.c: events by time, and equal ones in order of arming; dice */
struct ac_event *ac_event_new(struct actor_cluster *ac, enum event_kind kind, unsigned node,
                              uint64_t after_ns, size_t extra);
void ac_event_append(struct ac_event *event, size_t at,
                     struct bytes bytes); /* into its extra bytes */
void ac_event_push(struct actor_cluster *ac, struct ac_event *event);
struct ac_event *ac_event_pop(struct actor_cluster *ac);
uint64_t ac_between_ns(struct actor_cluster *ac, uint64_t min_us, uint64_t max_us);
void ac_trace(struct actor_cluster *ac, uint64_t a, uint64_t b);

/* actor_disk.c: what a node asks of its store */
void ac_disk_effect(struct actor_cluster *ac, unsigned node, const struct effect *effect);
void ac_disk_event(struct actor_cluster *ac, const struct ac_event *event);
void ac_disk_crash(struct actor_cluster *ac, unsigned node, bool losing);
void ac_disk_close(struct actor_cluster *ac, unsigned node);
/* An answer that promises something leaves only when what it promises is durable. */
void ac_disk_check_promise(struct actor_cluster *ac, unsigned node, const struct msg *msg);

#endif
