/*
 * Links: one persistent mutual-TLS 1.3 connection between each pair of nodes, carrying
 * length-prefixed frames (4 bytes big endian, then a CBOR message). The node with the lower number
 * connects, the other listens. Frames are queued per link and flushed once per loop turn. Reconnect
 * with back-off and jitter.
 *
 * Handshake inside TLS: each side first sends HELLO (protocol version, cluster id, configuration
 * hash, node number, store id, incarnation, boot counter, signing key with its proof, which master
 * key it uses if any, and to a node that understands it which bootstrap token it takes). A mismatch
 * refuses the link and says so in one clear log line (once per change, not per attempt); tokens that
 * differ are told of, and refuse nothing. A signing key that the certificate of this very connection
 * has not signed refuses it, too.
 *
 * All calls are from the reactor thread.
 */
#ifndef OSTRAKA_RUNTIME_LINK_H
#define OSTRAKA_RUNTIME_LINK_H

#include <event2/event.h>

#include "base/instant.h"
#include "base/log.h"
#include "base/metrics.h"
#include "crypto/rng.h"
#include "crypto/signing.h"
#include "runtime/tls.h"

struct links;

struct link_hello {
    uint64_t protocol; /* LINK_PROTOCOL */
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    uint8_t config_hash[HASH_BYTES];
    uint64_t node;
    uint8_t store_id[16];
    uint64_t incarnation;
    uint64_t boot;
    struct signing_public signing;  /* its signing key, with the proof by its certificate */
    bool sealed;                    /* it uses a master key */
    uint8_t seal[HASH_BYTES];       /* cluster_seal_hash(); zero unless `sealed` */
    bool tells_token;               /* it says which bootstrap token it takes */
    uint8_t token_mark[HASH_BYTES]; /* cluster_admin_token_mark(); zero unless `tells_token` */
};
enum { LINK_PROTOCOL = 5 };

struct links_options {
    struct event_base *base;
    const struct cluster *cluster; /* borrowed */
    unsigned self;
    struct link_hello hello; /* what this node says of itself */
    const char *listen_host; /* address to bind; NULL: the host of `self` in cluster.conf */
    struct tls_context *server, *client; /* borrowed */
    size_t queue_bytes_max; /* per link; a frame beyond it is dropped and counted; default 32 MiB */
    uint32_t handshake_ms;  /* 3000 */
    uint32_t silence_ms;    /* 1000: a link from which nothing comes for so long is closed, and one
                               with a frame that takes longer than that and 1 ms per 32 bytes */
    uint32_t reconnect_ms_min, reconnect_ms_max; /* 20, 500 */
    uint32_t hang_ms; /* 500: a connection that is not made after so long is joined by another */
    const struct log_sink *log;
    struct metrics *metrics;
    struct rng rng; /* jitter */
    void *context;
    void (*on_up)(void *context, unsigned peer, const struct link_hello *hello);
    void (*on_down)(void *context, unsigned peer);
    /*
     * One whole frame, valid during the call; its memory is wiped after. `peer` is authenticated.
     * false: malformed, closes the link.
     */
    bool (*on_frame)(void *context, unsigned peer, struct bytes frame);
};

struct link_stats {
    bool up, config_mismatch;
    bool token_known, token_differs; /* the bootstrap token that it takes, when it was last up */
    struct instant since;            /* of the present state */
    uint64_t queued_bytes, sent, received, dropped;
};

/*
 * Listens and starts connecting. A limit of 0 takes its default. Errors: ERR_IO with a sentence in
 * `why`.
 */
MUST_CHECK enum vault_err links_new(const struct links_options *options, struct links **out,
                                    char *why, size_t why_size);
/*
 * Copies `frame` into the peer's queue; dropped (and counted) when the link is down or the queue
 * full: messages may be lost, the protocol copes.
 */
void links_send(struct links *links, unsigned peer, struct bytes frame);
/*
 * The same with what nobody waits for: it leaves with the next frame that is sent to the peer, or
 * LINK_SOON_MS later. Frames keep their order.
 */
enum { LINK_SOON_MS = 2 };
void links_send_soon(struct links *links, unsigned peer, struct bytes frame);
/*
 * Writes out what was queued and is not to leave only soon; the reactor calls it once per loop
 * turn, and at *due, if links_due() gives one.
 */
void links_flush(struct links *links);
bool links_due(const struct links *links, struct instant *due);
/* What was to leave soon leaves with the next flush. */
void links_hurry(struct links *links);
void links_stats(const struct links *links, unsigned peer, struct link_stats *out);
void links_free(struct links *links); /* calls nobody back; not from within a callback */

#endif
