/*
 * Error codes: one list for the whole program. A code says what went wrong; the HTTP status that
 * it becomes is decided in api/status_table.c alone.
 *
 * Bugs of ours are asserts, not codes. Texts name the fault, never the data that caused it.
 */
#ifndef OSTRAKA_BASE_ERR_H
#define OSTRAKA_BASE_ERR_H

#define MUST_CHECK __attribute__((warn_unused_result))

/* X(code, name for machines, text for people) */
#define VAULT_ERRORS(X)                                                                            \
    X(OK, "ok", "success")                                                                         \
    /* the process and its surroundings */                                                         \
    X(ERR_NOMEM, "no_memory", "out of memory")                                                     \
    X(ERR_ENTROPY, "no_entropy", "the system gave no randomness")                                  \
    X(ERR_IO, "io_error", "an input or output operation failed")                                   \
    X(ERR_DISK_FULL, "disk_full", "the disk is full")                                              \
    X(ERR_CORRUPT, "corrupt", "a stored record does not verify")                                   \
    X(ERR_CONFIG, "bad_configuration", "the configuration is not usable")                          \
    X(ERR_EXISTS, "exists", "it exists and is not overwritten")                                    \
    /* bad input from outside */                                                                   \
    X(ERR_MALFORMED, "malformed", "malformed data")                                                \
    X(ERR_RANGE, "out_of_range", "a value is out of its range")                                    \
    X(ERR_TOO_LARGE, "too_large", "larger than the limit")                                         \
    X(ERR_UNEXPECTED, "unexpected", "a message that is not permitted here")                        \
    X(ERR_BAD_REQUEST, "bad_request", "the request is malformed")                                  \
    X(ERR_BAD_JSON, "bad_json", "the body is not valid JSON of the expected form")                 \
    X(ERR_BAD_NAME, "bad_name", "the name is not valid")                                           \
    X(ERR_BAD_PARAMETER, "bad_parameter", "a query parameter is unknown, repeated or not valid")   \
    X(ERR_METHOD, "method_not_allowed", "this resource does not have that method")                 \
    X(ERR_MEDIA_TYPE, "unsupported_media_type", "the body must be application/json")               \
    X(ERR_HEADERS_TOO_LARGE, "headers_too_large", "the request headers are too large")             \
    X(ERR_LENGTH_REQUIRED, "length_required", "a body needs a Content-Length")                     \
    X(ERR_REQUEST_TIMEOUT, "request_timeout", "the request did not arrive in time")                \
    X(ERR_NO_ROUTE, "no_such_resource", "there is no such resource")                               \
    /* what a request can end with */                                                              \
    X(ERR_UNAUTHENTICATED, "unauthenticated", "a valid token is needed")                           \
    X(ERR_FORBIDDEN, "forbidden", "not allowed")                                                   \
    X(ERR_NOT_FOUND, "not_found", "there is no such secret")                                       \
    X(ERR_ALREADY_EXISTS, "already_exists", "a secret of that name exists")                        \
    X(ERR_VERSION_MISMATCH, "version_mismatch", "the secret has another version than expected")    \
    X(ERR_KEY_REUSED, "idempotency_key_reused", "that Idempotency-Key belongs to another request") \
    X(ERR_RESULT_GONE, "result_gone", "it happened, and its first result is no longer known")      \
    X(ERR_REPEATED, "repeated", "a name comes more than once")                                     \
    X(ERR_CONTENDED, "contended", "lost to concurrent writers until the deadline")                 \
    X(ERR_NO_QUORUM, "no_quorum", "too few nodes answered")                                        \
    X(ERR_VALUE_UNAVAILABLE, "value_unavailable", "too few parts of the value can be had now")     \
    X(ERR_CORRUPT_VALUE, "corrupt_value", "the value does not verify")                             \
    X(ERR_MASTER_KEY_UNAVAILABLE, "master_key_unavailable", "the master key is missing")           \
    X(ERR_MASTER_KEY_INCORRECT, "master_key_incorrect", "the master key is not the right one")     \
    X(ERR_BUSY, "busy", "too much work waits already")                                             \
    X(ERR_NOT_READY, "not_ready", "this node does not serve yet")                                  \
    X(ERR_BAD_ENV, "bad_env", "the .env text is not usable as it is")                              \
    X(ERR_INTERNAL, "internal", "the request could not be completed")                              \
    X(ERR_AUDIT_UNAVAILABLE, "audit_unavailable", "the audit trail cannot be written")             \
    X(ERR_NOT_EMPTY, "not_empty", "there is still something in it")                                \
    X(ERR_RATE_LIMITED, "rate_limited", "too many requests: come again later")                     \
    X(ERR_TENANT_FULL, "tenant_full", "the tenant has as many secrets as its limit allows")

enum vault_err {
#define X(code, name, text) code,
    VAULT_ERRORS(X)
#undef X
};

/* Stable name for machines (logs, the "code" of an API error); never NULL. */
const char *vault_err_name(enum vault_err err);

/* One sentence for a person, without a full stop; never NULL. */
const char *vault_err_text(enum vault_err err);

#endif
