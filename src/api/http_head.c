#include "api/http_head.h"

#include <string.h>

static bool
equal_ignoring_case(struct bytes text, const char *lower)
{
    if (text.size != strlen(lower))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t c = text.data[i];

        if (c >= 'A' && c <= 'Z')
            c = (uint8_t)(c + ('a' - 'A'));
        if (c != (uint8_t)lower[i])
            return false;
    }
    return true;
}

/* How often a header is there; *value is the last one's. */
static unsigned
header_count(const struct http_request *request, const char *name, struct bytes *value)
{
    struct bytes wanted = bytes_of_text(name);
    unsigned count = 0;

    *value = (struct bytes){0};
    for (size_t i = 0; i < request->header_count; i++) {
        if (!bytes_equal(request->headers[i].name, wanted))
            continue;
        *value = request->headers[i].value;
        count++;
    }
    return count;
}

/* Characters of a host, a port, and an IPv6 literal; no user name, path or list. */
static bool
host_valid(struct bytes host)
{
    for (size_t i = 0; i < host.size; i++)
        if (host.data[i] <= ' ' || host.data[i] >= 0x7f ||
            strchr("/@,;?#\\\"<>^`{|}", host.data[i]))
            return false;
    return host.size > 0;
}

static enum vault_err
check_host(const struct http_request *request, bool http_1_0)
{
    struct bytes host;
    unsigned count = header_count(request, "host", &host);

    if (count == 0 && http_1_0)
        return OK;
    return count == 1 && host_valid(host) ? OK : ERR_BAD_REQUEST;
}

/* 1*DIGIT; a number beyond any limit is still a number. */
static enum vault_err
parse_length(struct bytes text, uint64_t *out)
{
    uint64_t value = 0;

    if (text.size == 0)
        return ERR_BAD_REQUEST;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return ERR_BAD_REQUEST;
        value = value * 10 + (uint64_t)(text.data[i] - '0');
        if (value > UINT32_MAX)
            return ERR_TOO_LARGE;
    }
    *out = value;
    return OK;
}

/*
 * How long the body is. More than one Content-Length, both kinds at once, and any transfer coding
 * but one "chunked" are refused: they are how requests are smuggled past a proxy (RFC 9112, section
 * 11.2).
 */
static enum vault_err
check_body(const struct http_request *request, bool http_1_0, uint64_t *content_length,
           bool *chunked)
{
    struct bytes length, coding;
    unsigned lengths = header_count(request, "content-length", &length);
    unsigned codings = header_count(request, "transfer-encoding", &coding);

    *chunked = codings > 0;
    if (lengths > 1 || codings > 1 || (lengths > 0 && codings > 0))
        return ERR_BAD_REQUEST;
    if (codings > 0)
        return !http_1_0 && equal_ignoring_case(coding, "chunked") ? OK : ERR_BAD_REQUEST;
    if (lengths == 0)
        return OK;
    return parse_length(length, content_length);
}

static enum vault_err
check_expect(struct http_request *request, bool http_1_0)
{
    struct bytes value;
    unsigned count = header_count(request, "expect", &value);

    if (count == 0)
        return OK;
    if (count > 1 || !equal_ignoring_case(value, "100-continue"))
        return ERR_BAD_REQUEST;
    request->expect_continue = !http_1_0;
    return OK;
}

enum vault_err
http_head_check(struct http_request *request, bool http_1_0, uint64_t *content_length,
                bool *chunked)
{
    struct bytes ignored;
    enum vault_err err;

    *content_length = 0;
    *chunked = false;
    if (header_count(request, "upgrade", &ignored) > 0)
        return ERR_BAD_REQUEST;
    err = check_host(request, http_1_0);
    if (err == OK)
        err = check_body(request, http_1_0, content_length, chunked);
    if (err == OK)
        err = check_expect(request, http_1_0);
    return err;
}

struct bytes
http_header_get(const struct http_request *request, const char *name, bool *repeated)
{
    struct bytes value;
    unsigned count = header_count(request, name, &value);

    *repeated = count > 1;
    return count == 1 ? value : (struct bytes){0};
}
