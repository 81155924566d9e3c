/*
 * Private to runtime/https*.c.
 *
 * Life of a connection:
 *
 *   HANDSHAKE -> IDLE -> HEAD -> BODY -> READY -> BUSY -> WRITE -> IDLE ...
 *                  \_______\_______\______________________^  \-> LINGER -> CLOSED
 *
 * A request that is whole at once skips HEAD and BODY; one that is refused goes to WRITE; BODY goes
 * through WRITE and back for "100 Continue". Any phase may end in CLOSED. A connection that is
 * CLOSED while its request is with the server stays allocated until that has answered.
 */
#ifndef OSTRAKA_RUNTIME_HTTPS_INTERNAL_H
#define OSTRAKA_RUNTIME_HTTPS_INTERNAL_H

#include <sys/queue.h>

#include "base/log_ration.h"
#include "runtime/https.h"

enum {
    HTTPS_SLICE_BYTES = 16 * 1024, /* one TLS record */
    HTTPS_ARENA_BYTES_MAX = 2 * BODY_BYTES_MAX,
};

enum https_phase {
    HTTPS_HANDSHAKE,
    HTTPS_IDLE,
    HTTPS_HEAD,
    HTTPS_BODY,
    HTTPS_READY, /* a whole request, not handed on yet */
    HTTPS_BUSY,  /* the server has it */
    HTTPS_WRITE,
    HTTPS_LINGER, /* the answer is out; the client shall see it before the connection goes */
    HTTPS_CLOSED,
};

struct https_connection;

struct https_exchange {
    struct https_connection *connection;
    struct arena arena;
};

struct https_connection {
    struct https_front *front; /* NULL when the front is gone: CLOSED, waiting for the answer */
    LIST_ENTRY(https_connection) others;
    int fd;
    struct address peer; /* who is at the other end; none: it could not be told */
    char peer_text[ADDRESS_TEXT_BYTES_MAX + 1];
    struct tls_session *tls;
    struct event *read_event, *write_event, *timer;
    struct event *again; /* goes on in the next turn of the loop */
    enum https_phase phase;
    enum https_phase after_write; /* WRITE: IDLE, BODY or LINGER */
    bool reading;                 /* read_event is added */
    bool running;                 /* https_connection_run is on the stack */
    bool responding;              /* likewise, within https_respond */
    bool answering;               /* the exchange is with the server */
    bool let_in;                  /* may_send_body has let this request in */
    bool untold;                  /* its refusal is counted, and no more */
    bool timed_out;               /* HEAD, BODY: the deadline has passed */
    uint64_t deadline_ms;         /* monotonic; UINT64_MAX: none */
    uint64_t armed_ms;            /* when the timer will fire; UINT64_MAX: not armed */
    struct http_parser *parser;
    struct buf leftover;   /* plaintext that came after a whole request; at most one record */
    size_t body_bytes;     /* admitted for this request */
    struct buf head, body; /* output, in this order; a short body is in `head` */
    size_t written;        /* of both */
    size_t lingered;       /* bytes discarded in LINGER */
    struct https_exchange exchange;
};

struct https_front {
    struct https_options options;
    int listen_fd; /* -1 when draining */
    struct event *accept_event, *accept_timer;
    struct event *crowd_timer; /* when the oldest handshake may be ended to make room */
    bool accept_wanted;        /* stopped: handshakes at their limit, or out of descriptors */
    bool draining;
    LIST_HEAD(https_connection_list, https_connection) connections;
    size_t connection_count;
    size_t handshakes;
    size_t exchanges;
    size_t body_bytes;      /* admitted over all connections */
    uint64_t requests_made; /* ids made here */
    uint64_t id_prefix;
    struct log_ration ration;           /* of lines about what was refused */
    uint8_t scratch[HTTPS_SLICE_BYTES]; /* wiped after each use */
};

/* https_connection.c */

/* Takes `fd`, also on error. Begins the handshake. */
void https_connection_open(struct https_front *front, int fd, const struct address *peer);
/* Does what can be done now, in any phase; frees the connection when that was its end. */
void https_connection_run(struct https_connection *connection);
/* Does so in the next turn of the loop. */
void https_connection_run_later(struct https_connection *connection);
/* Frees the connection unless it is running or the server has its request; those do it later. */
void https_connection_close(struct https_connection *connection);
/*
 * Closes a connection whose request is with the server, and whose front goes away before the
 * answer.
 */
void https_connection_orphan(struct https_connection *connection);
void https_connection_free(struct https_connection *connection);
void https_deadline(struct https_connection *connection, uint32_t after_ms);
uint64_t https_now_ms(void); /* monotonic */

/* https_request.c: from bytes to exchanges */

enum https_step { HTTPS_AGAIN, HTTPS_WAIT };

enum https_step https_read_step(struct https_connection *connection);
enum https_step https_ready_step(struct https_connection *connection);
/* Forgets the request and wipes its memory. */
void https_request_release(struct https_connection *connection);

/* https_answer.c: from answers to bytes */

enum https_step https_write_step(struct https_connection *connection);
enum https_step https_linger_step(struct https_connection *connection);
/* Queues an error answer; the connection closes after it. */
void https_refuse(struct https_connection *connection, enum vault_err err);
void https_refuse_until(struct https_connection *connection, enum vault_err err,
                        unsigned retry_after_ms);
/* Queues "100 Continue". */
void https_continue(struct https_connection *connection);

/* https.c */

void https_handshake_ended(struct https_front *front, bool good);
void https_count(struct https_front *front, enum metric metric);

#endif
