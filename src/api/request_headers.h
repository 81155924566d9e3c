/* The request headers that mean something to us. Internal to api/. */
#ifndef OSTRAKA_API_REQUEST_HEADERS_H
#define OSTRAKA_API_REQUEST_HEADERS_H

#include "api/http.h"
#include "proto/request.h"

/* X(name in this program, name on the wire) */
#define REQUEST_HEADERS(X)                                                                         \
    X(authorization, "authorization")                                                              \
    X(content_type, "content-type")                                                                \
    X(tenant, "x-ostraka-tenant")                                                                  \
    X(request_id, "x-request-id")                                                                  \
    X(idempotency_key, "idempotency-key")                                                          \
    X(content_encoding, "content-encoding")

enum request_header {
#define X(name, wire) REQUEST_HEADER_##name,
    REQUEST_HEADERS(X)
#undef X
        REQUEST_HEADERS_KNOWN
};

struct request_headers {
    struct bytes values[REQUEST_HEADERS_KNOWN];
    unsigned present[REQUEST_HEADERS_KNOWN]; /* how often it came */
};

void headers_collect(const struct http_request *http, struct request_headers *headers);

/* The client's id when it came once and is valid, else `made_id`. */
struct bytes headers_request_id(const struct request_headers *headers, struct bytes made_id);

/* The bearer token; empty when there is none, more than one, or one that is not well-formed. */
struct bytes headers_credential(const struct request_headers *headers);

/*
 * Fills in request->tenant and, but for health, credential. Needs request->kind.
 * Errors: ERR_BAD_REQUEST repeated, ERR_BAD_PARAMETER, ERR_UNAUTHENTICATED.
 */
MUST_CHECK enum vault_err headers_apply(const struct request_headers *headers,
                                        struct request *request);

/* application/json, with or without charset=utf-8. */
bool headers_content_is_json(const struct request_headers *headers);
/* text/plain, likewise. */
bool headers_content_is_text(const struct request_headers *headers);
/* Compressed, or whatever else: whoever undoes that would see another body than this program. */
bool headers_content_is_encoded(const struct request_headers *headers);
/* Whether JSON, or else plain text, is named by some Accept header; *json stays when neither is. */
void headers_accept(const struct http_request *http, bool *json);

#endif
