/*
 * JSON over HTTP on one side, struct request and struct reply on the other. Pure.
 */
#ifndef OSTRAKA_API_API_H
#define OSTRAKA_API_API_H

#include "api/http.h"
#include "proto/request.h"

struct api_header {
    const char *name;
    struct bytes value;
};

enum { API_HEADERS_MAX = 6 };

/*
 * A response without the headers that every response has (Content-Type, Content-Length,
 * Cache-Control, X-Request-Id: see api_render_head).
 */
struct api_response {
    unsigned status;
    const char *content_type;
    struct api_header headers[API_HEADERS_MAX];
    size_t header_count;
    struct buf body; /* wiped by api_response_close */
};
void api_response_close(struct api_response *response);

/*
 * Once per process, before any other call and before other threads exist: JSON memory is wiped when
 * it is freed (jansson knows one allocator per process), and its hash tables are seeded.
 */
void api_global_init(void);

/*
 * Turns an HTTP request into a request of ours: route, name, parameters, headers, body.
 * `made_id` (REQUEST_ID_BYTES_MAX or fewer visible ASCII bytes, borrowed) is the request id if the
 * client sent none that is valid. request->id is set even on error. Decoded data (name, value,
 * base64) is allocated in `arena`; JSON memory is wiped. Errors: every 4xx of api.md that needs no
 * agreement, to be passed to api_render_error (with `allow` naming the methods of the resource for
 * ERR_METHOD, else NULL).
 */
MUST_CHECK enum vault_err api_parse(const struct http_request *http, struct bytes made_id,
                                    struct arena *arena, struct request *request,
                                    const char **allow);

/*
 * The bearer token of a request whose head has come, before its body; empty when there is none,
 * more than one, or one that is not well-formed.
 */
struct bytes api_credential(const struct http_request *http);
/*
 * It is a login, which comes without a credential: strangers send it, and its body is to be small.
 * Errors: ERR_TOO_LARGE, ERR_LENGTH_REQUIRED a body of unknown length.
 */
enum { LOGIN_BODY_BYTES_MAX = 8 * 1024 };
bool api_is_login(const struct http_request *http);
MUST_CHECK enum vault_err api_login_admits(const struct http_request *http);
/* Its tenant, likewise: empty when it names none that is valid. */
struct bytes api_tenant(const struct http_request *http);
/*
 * The client's request id if it sent one that is valid, else `made_id`; also while the head is not
 * whole.
 */
struct bytes api_request_id(const struct http_request *http, struct bytes made_id);

/* Outcome of an agreed request as JSON. */
MUST_CHECK enum vault_err api_render(const struct request *request, const struct reply *reply,
                                     struct api_response *response);
/* Same for an error before there was an outcome. `allow` only for ERR_METHOD. */
MUST_CHECK enum vault_err api_render_error(struct bytes request_id, enum vault_err err,
                                           enum failed_phase phase, const char *allow,
                                           struct api_response *response);
/* Same for one that says when to come again. */
MUST_CHECK enum vault_err api_render_later(struct bytes request_id, enum vault_err err,
                                           unsigned retry_after_ms, struct api_response *response);
/*
 * Same for what api_parse refused: says request->refusal, if there is one, instead of the error's
 * own text.
 */
MUST_CHECK enum vault_err api_render_refusal(const struct request *request, enum vault_err err,
                                             const char *allow, struct api_response *response);
/* A .env text as an ENV is answered. Takes the text, also on error. */
MUST_CHECK enum vault_err api_render_env(const struct request *request, struct buf *take_text,
                                         struct api_response *response);
/* The whole head of the HTTP response, with its empty line, into `out`. */
MUST_CHECK enum vault_err api_render_head(const struct api_response *response,
                                          struct bytes request_id, bool keep_alive,
                                          struct buf *out);
/* HTTP status of an error: the one table. OK is 200. */
unsigned api_status_of(enum vault_err err, enum failed_phase phase);

#endif
