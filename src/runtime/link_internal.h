/*
 * What the files of the links share: link.c (peers, listening, redialing, log), link_connection.c
 * (one connection from its socket to its end), link_frames.c (frames in buffers), link_hello.c (the
 * HELLO), link_socket.c (addresses) and link_lookup.c (names). Nobody else includes this.
 */
#ifndef OSTRAKA_RUNTIME_LINK_INTERNAL_H
#define OSTRAKA_RUNTIME_LINK_INTERNAL_H

#include <event2/event_struct.h>
#include <sys/queue.h>
#include <sys/socket.h>

#include "runtime/link.h"

enum {
    LINK_HELLO_BYTES_MAX = 1024,   /* a HELLO; nothing longer is read before the peer is known */
    LINK_FRAME_HEADER_BYTES = 4,   /* length of the frame, big endian */
    LINK_RECORD_BYTES = 16 * 1024, /* most that one TLS record carries */
    LINK_RECORDS_PER_TURN = 32,    /* read or written on one connection before others have a turn */
    LINK_DIALS_MAX = 6,            /* connections to one peer that are being made at a time */
    /* Accepted connections that have not said HELLO yet: what all nodes dial, and some more. */
    LINK_UNPROVEN_MAX = LINK_DIALS_MAX * NODES_MAX + 16,
    /* A frame must come whole within the time of silence and its length at this rate. */
    LINK_FRAME_BYTES_PER_MS_MIN = 32,
    LINK_ADDRESSES_MAX = 4, /* addresses of one host name that are tried in turn */
};

static_assert((int)LINK_HELLO_BYTES_MAX < (int)FRAME_BYTES_MAX, "a HELLO is a frame");

/* Why a connection ended. X(code, text for people) */
#define LINK_FAULTS(X)                                                                             \
    X(LINK_FAULT_NONE, "none")                                                                     \
    X(LINK_FAULT_UNREACHABLE, "the node cannot be reached")                                        \
    X(LINK_FAULT_TIMEOUT, "the handshake took too long")                                           \
    X(LINK_FAULT_TLS, "the TLS handshake failed")                                                  \
    X(LINK_FAULT_IDENTITY, "the certificate is not the one of the expected node of this cluster")  \
    X(LINK_FAULT_HELLO, "the HELLO is malformed")                                                  \
    X(LINK_FAULT_PROTOCOL, "the node speaks another version of the protocol between nodes")        \
    X(LINK_FAULT_CLUSTER, "the node belongs to another cluster")                                   \
    X(LINK_FAULT_CONFIG, "cluster.conf differs: node names, their order, shares or threshold")     \
    X(LINK_FAULT_SEAL, "cluster.conf differs: seal or master key check")                           \
    X(LINK_FAULT_NODE, "the node gives another number than its certificate")                       \
    X(LINK_FAULT_ROLE, "the node with the higher number must not connect")                         \
    X(LINK_FAULT_FRAME, "the node sent a malformed frame")                                         \
    X(LINK_FAULT_CLOSED, "the node closed the connection")                                         \
    X(LINK_FAULT_BROKEN, "the connection broke")                                                   \
    X(LINK_FAULT_SILENT, "the node was silent for too long")                                       \
    X(LINK_FAULT_SLOW, "a frame of the node took too long")                                        \
    X(LINK_FAULT_REPLACED, "the node connected anew")                                              \
    X(LINK_FAULT_SPARE, "another connection to the node was made sooner")                          \
    X(LINK_FAULT_CROWDED, "too many connections wait for their handshake")                         \
    X(LINK_FAULT_MEMORY, "this node is out of memory")                                             \
    X(LINK_FAULT_SIGNING, "its signing key is not signed by the key of its certificate")

enum link_fault {
#define X(code, text) code,
    LINK_FAULTS(X)
#undef X
};

const char *link_fault_text(enum link_fault fault); /* never NULL */
/* The two nodes were set up differently: trying again soon is of no use. */
bool link_fault_is_mismatch(enum link_fault fault);

/* ---- link_hello.c ---- */

/* Appends. Errors: ERR_NOMEM */
MUST_CHECK enum vault_err link_hello_encode(const struct link_hello *hello, struct buf *out);
/*
 * Errors: ERR_MALFORMED; ERR_UNEXPECTED for a well-formed HELLO of another protocol version, of
 * which only `protocol` is taken over. `out` is zeroed otherwise.
 */
MUST_CHECK enum vault_err link_hello_decode(struct bytes input, struct link_hello *out);
/* Compares the HELLO of a peer, whose certificate says `certified`, with ours. */
enum link_fault link_hello_check(const struct link_hello *ours, const struct link_hello *theirs,
                                 unsigned certified);

/* ---- link_frames.c ---- */

/*
 * The next whole frame at `*at`, which moves behind it; an empty view when it has not come whole
 * yet. Errors: ERR_MALFORMED for a length of 0, ERR_TOO_LARGE for one above `size_max`.
 */
MUST_CHECK enum vault_err link_frame_next(struct bytes input, size_t size_max, size_t *at,
                                          struct bytes *frame);

/* Length that the header in front announces; 0 while it is not there whole. */
size_t link_frame_length(struct bytes input);

/* Frames that wait to be sent, with their headers. All zero is a valid empty queue. */
struct link_queue {
    struct buf buf;
    size_t head;  /* bytes at the front that are sent, and wiped */
    size_t slice; /* offered to TLS, which must be given the same bytes until it has taken them */
};

/*
 * Errors: ERR_RANGE (empty or too long for a frame), ERR_BUSY (over `bytes_max`), ERR_NOMEM; then
 * nothing is queued.
 */
MUST_CHECK enum vault_err link_queue_put(struct link_queue *queue, struct bytes frame,
                                         size_t bytes_max);
/* What to send now; empty when nothing waits. */
struct bytes link_queue_slice(struct link_queue *queue);
/* `count` bytes of the slice are sent. */
void link_queue_sent(struct link_queue *queue, size_t count);
size_t link_queue_bytes(const struct link_queue *queue);
void link_queue_close(struct link_queue *queue);

/* ---- link_socket.c ---- */

struct link_addresses {
    struct sockaddr_storage list[LINK_ADDRESSES_MAX];
    socklen_t sizes[LINK_ADDRESSES_MAX];
    unsigned count;
};

/* The address that the text of a host is. Errors: ERR_NOT_FOUND, it is a name. */
MUST_CHECK enum vault_err link_address(const char *host, uint16_t port, struct link_addresses *out);
/*
 * Addresses of a host: at once when it is numeric, else by the system's resolver, which may block
 * for long. Errors: ERR_IO with a sentence in `why`.
 */
MUST_CHECK enum vault_err link_resolve(const char *host, uint16_t port, struct link_addresses *out,
                                       char *why, size_t why_size);
/* A listening, non-blocking socket. Errors: ERR_IO with a sentence in `why`. */
MUST_CHECK enum vault_err link_listen(const char *host, uint16_t port, int *out, char *why,
                                      size_t why_size);
/*
 * Starts to connect; the socket becomes writable when that is decided. Errors: ERR_IO with errno in
 * `*error`.
 */
MUST_CHECK enum vault_err link_connect(const struct sockaddr *address, socklen_t size, int *out,
                                       int *error);
void link_socket_tune(int fd); /* no delay: the queue gathers frames, not the kernel */

/* The first of them, as many as there is room for. */
struct addrinfo;
void link_addresses_take(const struct addrinfo *found, struct link_addresses *out);

/* ---- link_lookup.c ---- */

struct link_lookup;

/* Waits for nothing. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err link_lookup_begin(const char *host, uint16_t port,
                                            struct link_lookup **out);
/*
 * What has come of it; it is gone then, and *lookup NULL. Errors: ERR_NOT_READY, it goes on;
 * ERR_IO with a sentence in `why`.
 */
MUST_CHECK enum vault_err link_lookup_end(struct link_lookup **lookup, struct link_addresses *out,
                                          char *why, size_t why_size);
/* Waits for nothing either: of a lookup that cannot be called off the memory stays. NULL is fine. */
void link_lookup_cancel(struct link_lookup *lookup);

/* ---- link_connection.c ---- */

/*
 *   dialed:    NEW -> CONNECTING -> TLS -> HELLO -> UP
 *   accepted:  NEW ---------------> TLS -> HELLO -> UP        every phase but NEW -> CLOSED
 */
enum link_phase { LINK_NEW, LINK_CONNECTING, LINK_TLS, LINK_HELLO, LINK_UP, LINK_CLOSED };

struct link_peer;

struct link_connection {
    struct links *links;
    struct link_peer *peer; /* NULL: accepted, and not yet known by its certificate */
    bool dialed;            /* by this node; else accepted */
    enum link_phase phase;
    int fd;
    int error;                   /* errno of a connect that failed */
    struct tls_session *session; /* from LINK_TLS on */
    struct event readable;       /* persistent, from LINK_TLS on */
    struct event writable;       /* once, when something waits for it */
    struct event timer;          /* deadline of the handshake, then of silence and frames */
    struct event resume;         /* next turn: go on, or close with `fault` */
    enum link_fault fault;       /* found where no callback may run */
    bool blocked;                /* output waits for the socket */
    bool soon;                   /* nothing in `out` must leave before `soon_due` */
    struct instant soon_due;
    struct buf in; /* at most one incomplete frame between turns */
    struct link_queue out;
    struct instant heard;       /* when the last record came; before: when TLS was agreed on */
    struct instant frame_began; /* while `in` holds something: when the first of it came */
    TAILQ_ENTRY(link_connection) entry;
};
TAILQ_HEAD(link_connections, link_connection);

/*
 * A connection on a socket that is connecting to `peer`, or accepted (`peer` NULL). It enters the
 * list of open ones and lives until it is closed. Takes `fd`, but for an error: ERR_NOMEM, ERR_IO.
 */
MUST_CHECK enum vault_err link_connection_new(struct links *links, struct link_peer *peer,
                                              int take_fd, struct link_connection **out);
/*
 * Ends it, telling links_lost(). The memory stays until the next turn: callers up the stack may
 * still look at it.
 */
void link_connection_close(struct link_connection *connection, enum link_fault fault);
/*
 * Sends what waits, as far as the socket takes it. Runs no callback: a failure closes in the next
 * turn.
 */
void link_connection_flush(struct link_connection *connection);
void link_connection_free(struct link_connection *connection);

/* ---- link.c ---- */

struct link_peer {
    struct links *links;
    unsigned number;
    struct link_connection *connection; /* the link while it is up, else NULL */
    struct event redial;                /* pending while this node should connect, and has not */
    unsigned dials;                     /* connections that are being made, none of them up */
    unsigned attempts;                  /* since a link that lasted; lengthens the wait */
    unsigned next_address;
    bool named;                            /* its host is a name, to be looked up */
    struct link_lookup *lookup;            /* under way; NULL: none */
    struct link_addresses addresses;       /* as far as known */
    struct instant resolved;               /* when the last lookup ended */
    char unresolved[HOST_BYTES_MAX + 128]; /* what it said when it failed */
    bool mismatch;                         /* the last HELLO did not fit ours */
    bool token_known, token_differs;       /* as struct link_stats has them */
    struct instant token_logged_at;
    enum link_fault logged; /* last refusal that was logged since the link was up */
    struct instant logged_at;
    struct instant since; /* of being up, or down */
    unsigned replaced;    /* links that were alive, since: */
    struct instant replaced_since;
    uint64_t sent, received, dropped;
};

struct links {
    struct links_options options;
    struct link_peer peers[NODES_MAX];
    int listener;
    struct event acceptable;
    struct event relisten; /* after the process ran out of descriptors */
    struct event reaper;   /* frees closed connections */
    struct link_connections open, closed;
    uint64_t strangers_unlogged; /* refused connections of unknown origin, since the last line */
    struct instant strangers_logged_at;
};

struct instant links_now(void); /* monotonic clock */
/*
 * Arms a one-shot timer. Ends the process without memory for it: its peers would wait for it in
 * vain.
 */
void links_arm(struct event *timer, uint64_t ms);
/* The HELLO of connection->peer was good: the connection becomes the link. */
void links_up(struct link_connection *connection, const struct link_hello *hello);
/*
 * TLS has been agreed on for a connection that this node dialed: whether it goes on to the HELLO.
 * Of several that were dialed one after the other only one must, for each HELLO replaces the link.
 */
bool links_may_greet(struct link_connection *connection);
/* The connection was closed; called once for each. */
void links_lost(struct link_connection *connection, enum link_fault fault);

#endif
