/*
 * The one place where error codes become HTTP statuses.
 */
#include "api/status_table.h"

static const char retry_safe[] = "safe";
static const char retry_same_key[] = "same_key";
static const char retry_no[] = "no";

/* Outcomes without a phase. The compiler lists what is missing. */
static struct error_face
face(enum vault_err err)
{
    switch (err) {
    case OK: return (struct error_face){OK, 200, retry_no, NULL};

    case ERR_MALFORMED:
    case ERR_RANGE:
    case ERR_UNEXPECTED:
    case ERR_ENTROPY:
    case ERR_IO:
    case ERR_CORRUPT:
    case ERR_CONFIG:
    case ERR_EXISTS:
    case ERR_INTERNAL: return (struct error_face){ERR_INTERNAL, 500, retry_same_key, NULL};

    case ERR_NOMEM: return (struct error_face){ERR_BUSY, 503, retry_safe, NULL};
    case ERR_DISK_FULL: return (struct error_face){err, 507, retry_safe, NULL};
    case ERR_TENANT_FULL: return (struct error_face){err, 507, retry_no, NULL};

    case ERR_BAD_REQUEST:
    case ERR_BAD_JSON:
    case ERR_BAD_NAME:
    case ERR_BAD_PARAMETER: return (struct error_face){err, 400, retry_no, NULL};
    case ERR_UNAUTHENTICATED: return (struct error_face){err, 401, retry_no, NULL};
    case ERR_FORBIDDEN: return (struct error_face){err, 403, retry_no, NULL};
    case ERR_NO_ROUTE:
    case ERR_NOT_FOUND: return (struct error_face){err, 404, retry_no, NULL};
    case ERR_METHOD: return (struct error_face){err, 405, retry_no, NULL};
    case ERR_REQUEST_TIMEOUT: return (struct error_face){err, 408, retry_safe, NULL};
    case ERR_ALREADY_EXISTS:
    case ERR_RESULT_GONE:
    case ERR_NOT_EMPTY:
    case ERR_VERSION_MISMATCH: return (struct error_face){err, 409, retry_no, NULL};
    case ERR_CONTENDED: return (struct error_face){err, 409, retry_safe, NULL};
    case ERR_LENGTH_REQUIRED: return (struct error_face){err, 411, retry_no, NULL};
    case ERR_TOO_LARGE: return (struct error_face){err, 413, retry_no, NULL};
    case ERR_MEDIA_TYPE: return (struct error_face){err, 415, retry_no, NULL};
    case ERR_REPEATED:
    case ERR_BAD_ENV:
    case ERR_KEY_REUSED: return (struct error_face){err, 422, retry_no, NULL};
    case ERR_RATE_LIMITED: return (struct error_face){err, 429, retry_safe, NULL};
    case ERR_HEADERS_TOO_LARGE: return (struct error_face){err, 431, retry_no, NULL};

    case ERR_NO_QUORUM:
    case ERR_VALUE_UNAVAILABLE:
    case ERR_MASTER_KEY_UNAVAILABLE:
    case ERR_BUSY:
    case ERR_AUDIT_UNAVAILABLE:
    case ERR_NOT_READY: return (struct error_face){err, 503, retry_safe, NULL};
    case ERR_CORRUPT_VALUE:
    case ERR_MASTER_KEY_INCORRECT: return (struct error_face){err, 503, retry_no, NULL};
    }
    return (struct error_face){ERR_INTERNAL, 500, retry_same_key, NULL};
}

/*
 * A change that failed in its writing phase may have happened, whatever else is known of it: it
 * is never answered as if nothing had (409 `contended` says that), and a retry is not safe. One
 * that failed in its voting phase did not happen.
 */
struct error_face
error_face(enum vault_err err, enum failed_phase phase)
{
    struct error_face shown;

    if (err == ERR_CONTENDED && phase == PHASE_WRITING)
        err = ERR_NO_QUORUM;
    shown = face(err);
    if (shown.status < 500)
        return shown;
    switch (phase) {
    case PHASE_NONE: break;
    case PHASE_VOTING:
        shown.phase = "voting";
        if (shown.retry == retry_same_key)
            shown.retry = retry_safe;
        break;
    case PHASE_WRITING:
        shown.phase = "writing";
        shown.retry = retry_same_key;
        break;
    }
    return shown;
}

unsigned
api_status_of(enum vault_err err, enum failed_phase phase)
{
    return error_face(err, phase).status;
}

const char *
status_reason(unsigned status)
{
    switch (status) {
    case 200: return "OK";
    case 201: return "Created";
    case 202: return "Accepted";
    case 400: return "Bad Request";
    case 401: return "Unauthorized";
    case 403: return "Forbidden";
    case 404: return "Not Found";
    case 405: return "Method Not Allowed";
    case 408: return "Request Timeout";
    case 409: return "Conflict";
    case 411: return "Length Required";
    case 413: return "Content Too Large";
    case 415: return "Unsupported Media Type";
    case 422: return "Unprocessable Content";
    case 429: return "Too Many Requests";
    case 431: return "Request Header Fields Too Large";
    case 500: return "Internal Server Error";
    case 503: return "Service Unavailable";
    case 507: return "Insufficient Storage";
    default: return "Unknown";
    }
}
