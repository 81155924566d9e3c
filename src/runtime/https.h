/*
 * The HTTPS front: libevent events and wolfSSL straight on the socket, one request at a time per
 * connection, keep-alive, with deadlines for every phase so that a slow client cannot hold a slot.
 *
 * All calls are from the reactor thread.
 */
#ifndef OSTRAKA_RUNTIME_HTTPS_H
#define OSTRAKA_RUNTIME_HTTPS_H

#include <event2/event.h>

#include "api/api.h"
#include "auth/address.h"
#include "base/log.h"
#include "base/metrics.h"
#include "runtime/tls.h"

struct https_front;
struct https_exchange; /* one request on one connection, until answered */

/*
 * Open files that clients leave to the rest of the process: 70 connections to the links' port that
 * are not proven yet, 8 links, up to 6 more being made to each of 8 peers, and what the store and
 * the libraries have open, some 30.
 */
enum { HTTPS_FILES_KEPT = 192 };

struct https_options {
    struct event_base *base;
    const char *host;
    uint16_t port;
    struct tls_context *tls;     /* server context, borrowed */
    size_t connections_max;      /* for more the longest idle one is closed, or the new one; default
                               4096, or what the limit of open files leaves */
    size_t handshakes_max;       /* in progress at once; default a quarter of 4096, or of that */
    size_t body_bytes_max_total; /* admission of bodies over all connections; default 64 MiB: 503
                                    busy beyond */
    uint32_t handshake_ms, header_ms, body_ms, write_ms,
        idle_ms;         /* 5000, 5000, 15000, 15000, 60000 */
    uint32_t crowded_ms; /* for a handshake while they are at their limit; default 1000 */
    const struct log_sink *log;
    struct metrics *metrics;
    void *context;
    size_t peer_connections_max; /* of one address (limiter_address_key()); 0: no limit */
    size_t peer_handshakes_max;  /* of one address, in progress; 0: no limit */
    /* One more connection from there may begin its handshake. NULL: always. */
    bool (*may_connect)(void *context, const struct address *peer);
    /*
     * The head of a request has come, whose body is on its way: may this client send one? If not,
     * the error is the answer, and no memory is spent on the body; *retry_after_ms is told with it
     * unless it is 0. NULL: everybody may.
     */
    enum vault_err (*may_send_body)(void *context, struct https_exchange *exchange,
                                    const struct http_request *head, unsigned *retry_after_ms);
    /*
     * A whole request has come. `http` is valid until the exchange is answered. Must be answered by
     * https_respond exactly once, now or later. `exchange` stays valid until then even when the
     * client goes away (https_closed tells).
     */
    void (*on_request)(void *context, struct https_exchange *exchange,
                       const struct http_request *http);
    /*
     * What has come from there is no request: whether it is to be told of. Counted as a request is, so
     * that whoever may ask little cannot have much written down either. NULL: always.
     */
    bool (*may_be_told)(void *context, const struct https_exchange *exchange);
    /*
     * Something was refused that never became a request, but for what the limits have refused. May
     * come within on_request. NULL: not told.
     */
    void (*on_refused)(void *context, struct bytes request_id, enum vault_err err);
};

/* Errors: ERR_IO with a sentence in `why` (port in use, address not there). */
MUST_CHECK enum vault_err https_front_new(const struct https_options *options,
                                          struct https_front **out, char *why, size_t why_size);
/* Answers and gives `response` away (it is closed). `keep_alive` false closes after the answer. */
void https_respond(struct https_exchange *exchange, struct bytes request_id,
                   struct api_response *response);
bool https_closed(
    const struct https_exchange *exchange); /* the client is gone: the answer will be dropped */
struct arena *https_exchange_arena(
    struct https_exchange *exchange); /* lives as long as the exchange; wiped after */
/* Whether may_send_body has been asked about this request. */
bool https_exchange_let_in(const struct https_exchange *exchange);
/* Of the client, as text, as long as the exchange; empty: not known. */
struct bytes https_exchange_address(const struct https_exchange *exchange);
size_t https_connections(const struct https_front *front);
/*
 * Stops accepting and closes idle connections; those with a request in progress close after their
 * answer.
 */
void https_front_drain(struct https_front *front);
bool https_front_idle(const struct https_front *front); /* no exchange open, no output waiting */
void https_front_free(struct https_front *front);       /* closes everything */

#endif
