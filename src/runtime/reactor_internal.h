/* Private to the files reactor*.c. */
#ifndef OSTRAKA_RUNTIME_REACTOR_INTERNAL_H
#define OSTRAKA_RUNTIME_REACTOR_INTERNAL_H

#include <event2/event.h>

#include "actors/door.h"
#include "base/log_ration.h"
#include "runtime/https.h"
#include "runtime/reactor.h"
#include "runtime/stop_signals.h"
#include "runtime/timers.h"
#include "runtime/wake_timer.h"

struct links;
struct answer_notes; /* reactor_notes.c */

/* What the front refused, until it is noted. */
struct refused_note {
    enum vault_err err;
    size_t id_size;
    uint8_t id[REQUEST_ID_BYTES_MAX];
};
enum { REFUSED_NOTES_MAX = 256 };

/* Requests to the store, oldest first. */
struct storage_list {
    struct storage_request *first, *last;
};

struct reactor {
    struct reactor_options options;
    struct event_base *base;
    struct wake_timer wake_timer;
    struct event *storage_event, *rotation_event;
    struct event *stop_events[STOP_SIGNALS_MAX]; /* NULL: none */
    struct instant rotated; /* when the share key was last replaced, or the start */
    struct node *node;
    struct node_executor executor;
    struct links *links;
    struct https_front *https;
    struct door door;
    struct metrics metrics;
    struct timers timers;
    struct arena step_arena;
    struct storage_list commits, reads; /* of this turn */
    struct storage_list ready;          /* done without a storage thread, and not delivered yet */
    struct storage_list later;          /* commits for the end of the turn, after the frames */
    struct storage_list soon;           /* commits that may wait for others to come with */
    struct instant turn_ended;
    struct instant turn_began, step_now;
    uint64_t turn_wall_ns; /* when the turn began */
    bool was_idle;         /* the loop, for a while before this turn */
    struct instant started, drain_since;
    bool draining, stop;
    bool share_keys_unsaved; /* some were destroyed, or one was made, and the file may not say so */
    bool in_turn;            /* the secrets arena is open until the loop waits again */
    uint64_t incarnation;    /* of the node, as last told to the options' owner */
    enum vault_err result;
    struct refused_note refused[REFUSED_NOTES_MAX];
    size_t refused_count;
    struct answer_notes *notes;
    struct log_ration ration;     /* of lines about requests */
    const char *not_ready_reason; /* as told last: static; NULL: ready */
    bool readiness_told;
    uint64_t last_block; /* draining: of the trail, with the record of that */
};

struct instant reactor_now(void);
uint64_t reactor_wall_ms(void);
void reactor_step(struct reactor *r, struct step *st);
void reactor_step_done(struct reactor *r);
void reactor_deliver(struct reactor *r, enum actor_id actor, const struct msg *msg);
/* The loop ends, with the first such error. */
void reactor_stop(struct reactor *r, enum vault_err err);

/* reactor_storage.c: the lists of requests in struct reactor are its own */
/* A STORE, LOAD or SCAN of the step that is being done: a request for the end of the turn. */
void reactor_storage_ask(struct reactor *r, const struct effect *effect);
/* EFFECT_KEYS */
void reactor_storage_save_keys(struct reactor *r, const struct effect *effect);
/* Something came back from the threads, or waits to be delivered. */
void reactor_storage_event(evutil_socket_t fd, short what, void *context);
/* The node hears how many batches are durable. */
void reactor_tell_sequence(struct reactor *r);
/* What the steps of the turn noted in the audit trail becomes a request. Outside of turns nothing. */
void reactor_write_trail(struct reactor *r);
/*
 * What needs no storage thread is done, and delivered, in rounds; what needs a sync waits for one of
 * the two after it, in this order: reactor_storage_sync(), which makes it here where that is quicker
 * (false: it did not), and reactor_storage_hand_over(), which leaves it to the threads.
 */
void reactor_storage_run(struct reactor *r);
bool reactor_storage_sync(struct reactor *r);
void reactor_storage_hand_over(struct reactor *r);
/* Commits that nobody waits for are left for the next others, at the latest COMMIT_SOON_MS later. */
void reactor_storage_leave_soon(struct reactor *r);
void reactor_storage_take_soon(struct reactor *r); /* before those of this turn */
/* Frees what was not made. */
void reactor_storage_close(struct reactor *r);

/* A request on its way; lives in the exchange's arena. */
struct pending {
    struct https_exchange *exchange;
    struct request request;
    struct instant started;
    const char *allow;          /* request.refused: methods of the resource; or NULL */
    struct env_exchange *env;   /* ENV under way; NULL: none */
    struct copy_exchange *copy; /* COPY under way; NULL: none */
    struct use_exchange *use;   /* a use of its token is being counted; NULL: none */
    struct auth_exchange *auth; /* AUTH under way; NULL: none */
    bool noted;                 /* the trail has a record of it: the gateway has answered it */
};

/* reactor_api.c */
/* Both answer and end the request; the response is taken. */
void reactor_respond(struct reactor *r, struct pending *p, struct api_response *response,
                     enum vault_err err);
void reactor_respond_error(struct reactor *r, struct pending *p, enum vault_err err,
                           const char *allow);
/* Logs whether the node is ready, if that is not what it said last. */
void reactor_tell_readiness(struct reactor *r);
/* Whether its caller may make that request here, as far as that can be said of all of it. */
MUST_CHECK enum vault_err reactor_authorize(struct reactor *r, const struct request *request);
bool reactor_may_connect(void *context, const struct address *peer);
bool reactor_may_be_told(void *context, const struct https_exchange *exchange);
enum vault_err reactor_may_send_body(void *context, struct https_exchange *exchange,
                                     const struct http_request *head, unsigned *retry_after_ms);
void reactor_on_refused(void *context, struct bytes request_id, enum vault_err err);
/* Not within a step. */
void reactor_note_refused(struct reactor *r);
void reactor_on_request(void *context, struct https_exchange *exchange,
                        const struct http_request *http);
void reactor_reply(struct reactor *r, uint64_t exchange, const struct reply *reply);

/* What a request is for, now that its token has been seen to. */
void reactor_dispatch(struct reactor *r, struct pending *p);

/* reactor_notes.c: what is answered and has not been noted. */
MUST_CHECK enum vault_err reactor_notes_new(struct answer_notes **out); /* ERR_NOMEM */
void reactor_notes_free(struct answer_notes *notes);                    /* NULL is fine */
void reactor_note_answer(struct reactor *r, const struct pending *p, const char *operation,
                         enum vault_err err);
/* Not within a step. At the end, what is counted is written, too. */
void reactor_write_notes(struct reactor *r, bool at_end);

/* reactor_use.c */
/* Counts a use of the request's token, and dispatches it then. */
void reactor_use_start(struct reactor *r, struct pending *p);
void reactor_use_reply(struct reactor *r, struct pending *p, const struct reply *reply);

/* reactor_env.c */
void reactor_env_start(struct reactor *r, struct pending *p);
/* What became of the batch that was made of it last. */
void reactor_env_reply(struct reactor *r, struct pending *p, const struct reply *reply);

/* reactor_auth.c */
void reactor_auth_start(struct reactor *r, struct pending *p);
/* What became of the step that is under way. */
void reactor_auth_reply(struct reactor *r, struct pending *p, const struct reply *reply);

/* reactor_copy.c */
void reactor_copy_start(struct reactor *r, struct pending *p);
/* What became of the step that is under way. */
void reactor_copy_reply(struct reactor *r, struct pending *p, const struct reply *reply);

#endif
