/*
 * One connection of the load. libcurl resolves, connects and shakes hands; then requests and
 * answers are written and read here, since libcurl's own HTTP takes more processor time than all
 * the rest of a request, on a machine that the servers may share.
 */
#ifndef OSTRAKA_BENCH_WIRE_H
#define OSTRAKA_BENCH_WIRE_H

#include <curl/curl.h>
#include <llhttp.h>
#include <stdbool.h>

#include "base/bytes.h"
#include "bench/workload.h"

/* Where all connections of a load belong to. */
struct wire_set {
    CURLM *multi;  /* while they are being opened, and until they are closed */
    int epoll_fd;  /* data.ptr: what wire_open was given as `context` */
    size_t opened; /* handshakes under way */
};

struct wire {
    struct wire_set *set;
    CURL *curl;
    const char *host; /* of the address, as in the Host header */
    void *context;
    int fd;                            /* -1: not open */
    bool opening, waits_for_room;      /* the latter: to send more */
    bool reused;                       /* the request is not the first on it */
    struct buf out;                    /* the request; holds the token */
    size_t sent;                       /* of it */
    llhttp_t parser;                   /* of the answer */
    llhttp_settings_t parser_settings; /* borrowed by the parser */
    bool begun, complete, keep_alive;  /* the answer: has begun, is whole, may be followed */
    long status;                       /* of the answer */
    char problem[CURL_ERROR_SIZE];
};

enum wire_state { WIRE_WAITS, WIRE_ANSWERED, WIRE_BROKEN };

/* `address`: https://host:port, borrowed. False: out of memory. To be closed in any case. */
bool wire_open(struct wire *wire, struct wire_set *set, const char *address, const char *ca_file,
               void *context);
void wire_close(struct wire *wire);

/* The request to be sent next; `authorization`: a header line, or NULL. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err wire_put(struct wire *wire, const struct bench_request *request,
                                   const char *authorization);
/* Begins to send it, over a new connection where there is none. */
enum wire_state wire_begin(struct wire *wire);
/* libcurl says how the connecting ended. */
enum wire_state wire_connected(struct wire *wire, CURLcode code);
/* Goes on when epoll tells of the connection, also when no request is under way. */
enum wire_state wire_run(struct wire *wire);
/* After an answer, or instead of one. */
void wire_disconnect(struct wire *wire);

#endif
