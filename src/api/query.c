/*
 * Query parameters. A '+' is a plus, as RFC 3986 has it (not a space, as HTML forms have it), so
 * that `at=2026-01-02T03:04:05+02:00` means what it says. Names are compared as they were sent.
 */
#include <assert.h>
#include <string.h>

#include "api/target.h"
#include "base/instant.h"
#include "proto/cluster.h"

enum { PARAMETER_VALUE_BYTES_MAX = NAME_TOKEN_BYTES_MAX };

struct parameter {
    const char *name;
    unsigned kinds; /* bit per request kind that knows it */
    bool (*apply)(struct request *request, struct bytes value);
    const char *refusal;
    uint64_t auth_ops; /* bit per operation of AUTH that knows it */
};

#define AUTH_OP_BIT(op) (UINT64_C(1) << (op))
#define AUTH_LISTS                                                                                 \
    (AUTH_OP_BIT(AUTH_TENANT_LIST) | AUTH_OP_BIT(AUTH_POLICY_LIST) |                               \
     AUTH_OP_BIT(AUTH_IDENTITY_LIST) | AUTH_OP_BIT(AUTH_ISSUER_LIST) |                             \
     AUTH_OP_BIT(AUTH_ROLE_LIST))
#define AUTH_DELETIONS AUTH_OP_BIT(AUTH_POLICY_DELETE)

/* 1..2^63-1, decimal digits only, without leading zeros. */
static bool
parse_version(struct bytes text, uint64_t *version)
{
    uint64_t n = 0;

    *version = 0;
    if (text.size == 0 || text.size > 19 || text.data[0] == '0')
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        n = n * 10 + (uint64_t)(text.data[i] - '0'); /* 19 digits fit */
    }
    if (n > INT64_MAX)
        return false;
    *version = n;
    return true;
}

/* 'v' and the number in lower-case hex without leading zeros: one number, one token. */
void
page_token_make(uint64_t version, char out[static PAGE_TOKEN_BYTES])
{
    unsigned shift = 60;
    size_t at = 0;

    out[at++] = 'v';
    while (shift > 0 && version >> shift == 0)
        shift -= 4;
    for (;; shift -= 4) {
        out[at++] = "0123456789abcdef"[version >> shift & 15];
        if (shift == 0)
            break;
    }
    out[at] = '\0';
}

bool
page_token_parse(struct bytes text, uint64_t *version)
{
    char again[PAGE_TOKEN_BYTES];
    uint64_t n = 0;

    *version = 0;
    if (text.size < 2 || text.size >= PAGE_TOKEN_BYTES || text.data[0] != 'v')
        return false;
    for (size_t i = 1; i < text.size; i++) {
        int digit = hex_digit(text.data[i]);

        if (digit < 0)
            return false;
        n = n << 4 | (uint64_t)digit;
    }
    page_token_make(n, again);
    if (n == 0 || n > INT64_MAX || !bytes_equal(text, bytes_of_text(again)))
        return false;
    *version = n;
    return true;
}

/* 'n' and the bytes of the name in lower-case hex. */
size_t
name_token_make(struct bytes name, uint8_t out[static NAME_TOKEN_BYTES_MAX])
{
    size_t at = 0;

    assert(name.size <= NAME_BYTES_MAX);
    out[at++] = 'n';
    for (size_t i = 0; i < name.size; i++) {
        out[at++] = (uint8_t) "0123456789abcdef"[name.data[i] >> 4];
        out[at++] = (uint8_t) "0123456789abcdef"[name.data[i] & 15];
    }
    return at;
}

bool
name_token_parse(struct bytes text, uint8_t memory[static NAME_BYTES_MAX], struct bytes *name)
{
    *name = (struct bytes){0};
    if (text.size < 3 || text.size > NAME_TOKEN_BYTES_MAX || text.size % 2 == 0 ||
        text.data[0] != 'n')
        return false;
    for (size_t i = 1; i < text.size; i += 2) {
        int high = hex_digit(text.data[i]), low = hex_digit(text.data[i + 1]);
        bool capital = (text.data[i] >= 'A' && text.data[i] <= 'F') ||
                       (text.data[i + 1] >= 'A' && text.data[i + 1] <= 'F');

        if (high < 0 || low < 0 || capital)
            return false;
        memory[i / 2] = (uint8_t)(high << 4 | low);
    }
    *name = bytes_of(memory, text.size / 2);
    return secret_name_valid(*name);
}

static bool
apply_version(struct request *request, struct bytes value)
{
    return parse_version(value, &request->version);
}

static bool
apply_at(struct request *request, struct bytes value)
{
    request->has_at = rfc3339_parse(value, &request->at_ms) == OK;
    return request->has_at;
}

static bool
apply_consistency(struct request *request, struct bytes value)
{
    request->stale = bytes_equal(value, bytes_of_text("stale"));
    return request->stale || bytes_equal(value, bytes_of_text("linearizable"));
}

static bool
apply_expected_version(struct request *request, struct bytes value)
{
    request->has_expected_version = parse_version(value, &request->expected_version);
    return request->has_expected_version;
}

static bool
apply_limit(struct request *request, struct bytes value)
{
    uint64_t limit;

    if (!parse_version(value, &limit) || limit > PAGE_MAX)
        return false;
    request->limit = (uint32_t)limit;
    return true;
}

static bool
apply_from(struct request *request, struct bytes value)
{
    return rfc3339_parse(value, &request->audit.from_ms) == OK;
}

/* The first millisecond there is stands for none given. */
static bool
apply_to(struct request *request, struct bytes value)
{
    return rfc3339_parse(value, &request->audit.to_ms) == OK && request->audit.to_ms > 0;
}

static bool
apply_identity(struct request *request, struct bytes value)
{
    request->audit.identity = value;
    return value.size > 0 && value.size <= AUDIT_WORD_BYTES_MAX;
}

static bool
apply_request_id(struct request *request, struct bytes value)
{
    request->audit.request_id = value;
    return value.size > 0 && value.size <= REQUEST_ID_BYTES_MAX;
}

static bool
apply_name(struct request *request, struct bytes value)
{
    request->audit.name = value;
    return value.size > 0 && value.size <= NAME_BYTES_MAX;
}

static bool
apply_node(struct request *request, struct bytes value)
{
    request->audit_node = value;
    return node_name_valid(value);
}

/* 'a' and the bytes of the positions in lower-case hex; the request keeps them where they stood. */
static bool
apply_audit_after(struct request *request, struct bytes value)
{
    uint8_t *memory = (uint8_t *)(uintptr_t)value.data;

    if (value.size < 3 || value.size % 2 == 0 || value.data[0] != 'a' ||
        value.size / 2 > AUDIT_POSITIONS_BYTES_MAX)
        return false;
    for (size_t i = 1; i < value.size; i += 2) {
        int high = hex_digit(value.data[i]), low = hex_digit(value.data[i + 1]);

        if (high < 0 || low < 0)
            return false;
        memory[i / 2] = (uint8_t)(high << 4 | low);
    }
    request->audit_after = bytes_of(memory, value.size / 2);
    return true;
}

/* The parameter's memory is the request's own, and a name is shorter than its token. */
static bool
apply_after(struct request *request, struct bytes value)
{
    uint8_t name[NAME_BYTES_MAX];
    struct bytes parsed;

    if (request->kind == REQUEST_AUDIT)
        return apply_audit_after(request, value);
    if (request->kind == REQUEST_AUDIT_EXPORT)
        return page_token_parse(value, &request->export_from);
    if (request->kind != REQUEST_NAMES && request->kind != REQUEST_AUTH)
        return page_token_parse(value, &request->before_version);
    if (!name_token_parse(value, name, &parsed))
        return false;
    memcpy((uint8_t *)(uintptr_t)value.data, parsed.data, parsed.size);
    request->names_after = bytes_of(value.data, parsed.size);
    return true;
}

static bool
apply_mode(struct request *request, struct bytes value)
{
    request->env_mode = value;
    return bytes_equal(value, bytes_of_text("both")) ||
           bytes_equal(value, bytes_of_text("encrypt")) ||
           bytes_equal(value, bytes_of_text("expand"));
}

static bool
apply_prefix(struct request *request, struct bytes value)
{
    if (request->kind == REQUEST_NAMES)
        request->names_prefix = value;
    else
        request->env_prefix = value;
    return value.size <= NAME_BYTES_MAX;
}

static bool
apply_purge(struct request *request, struct bytes value)
{
    request->purge = bytes_equal(value, bytes_of_text("true"));
    return request->purge || bytes_equal(value, bytes_of_text("false"));
}

static const struct parameter parameters[] = {
    {"version", 1u << REQUEST_READ, apply_version, "version must be a number from 1", 0},
    {"at", 1u << REQUEST_READ, apply_at, "at must be a date and time as RFC 3339 has it", 0},
    {"consistency", 1u << REQUEST_READ, apply_consistency,
     "consistency must be linearizable or stale", 0},
    {"expected_version", 1u << REQUEST_DELETE, apply_expected_version,
     "expected_version must be a number from 1", AUTH_DELETIONS},
    {"limit", 1u << REQUEST_HISTORY | 1u << REQUEST_NAMES | 1u << REQUEST_AUDIT, apply_limit,
     "limit must be a number from 1 to 1000", AUTH_LISTS},
    {"after",
     1u << REQUEST_HISTORY | 1u << REQUEST_NAMES | 1u << REQUEST_AUDIT | 1u << REQUEST_AUDIT_EXPORT,
     apply_after, "after must be the next of the page before", AUTH_LISTS},
    {"mode", 1u << REQUEST_ENV, apply_mode, "mode must be both, encrypt or expand", 0},
    {"prefix", 1u << REQUEST_ENV | 1u << REQUEST_NAMES, apply_prefix,
     "prefix must be at most 512 bytes", 0},
    {"from", 1u << REQUEST_AUDIT, apply_from, "from must be a date and time as RFC 3339 has it", 0},
    {"to", 1u << REQUEST_AUDIT, apply_to, "to must be a date and time as RFC 3339 has it", 0},
    {"identity", 1u << REQUEST_AUDIT, apply_identity, "identity must be 1 to 64 bytes", 0},
    {"name", 1u << REQUEST_AUDIT, apply_name, "name must be 1 to 512 bytes", 0},
    {"request_id", 1u << REQUEST_AUDIT, apply_request_id, "request_id must be 1 to 64 bytes", 0},
    {"node", 1u << REQUEST_AUDIT_EXPORT, apply_node, "node must be the name of a node", 0},
    {"purge", 0, apply_purge, "purge must be true or false", AUTH_OP_BIT(AUTH_TENANT_DELETE)},
};

static_assert(PAGE_MAX == 1000, "the refusal of limit names it");

/*
 * Undoes %XX in a value. False: malformed, too long for any parameter, or a raw byte that needs
 * an escape.
 */
static bool
value_decode(struct bytes raw, uint8_t out[static PARAMETER_VALUE_BYTES_MAX], struct bytes *value)
{
    size_t size = 0;

    for (size_t i = 0; i < raw.size; i++) {
        uint8_t byte = raw.data[i];

        if (size == PARAMETER_VALUE_BYTES_MAX)
            return false;
        if (byte == '%') {
            int high = raw.size - i > 2 ? hex_digit(raw.data[i + 1]) : -1;
            int low = raw.size - i > 2 ? hex_digit(raw.data[i + 2]) : -1;

            if (high < 0 || low < 0)
                return false;
            byte = (uint8_t)(high << 4 | low);
            i += 2;
        } else if (!uri_pchar(byte) && byte != '/' && byte != '?') {
            return false;
        }
        out[size++] = byte;
    }
    *value = bytes_of(out, size);
    return true;
}

static bool
parameter_known(const struct parameter *parameter, const struct request *request)
{
    if (request->kind == REQUEST_AUTH)
        return (parameter->auth_ops >> request->auth_op & 1) != 0;
    return (parameter->kinds >> request->kind & 1) != 0;
}

static const struct parameter *
parameter_find(struct bytes name, const struct request *request)
{
    for (size_t i = 0; i < sizeof parameters / sizeof parameters[0]; i++)
        if (parameter_known(&parameters[i], request) &&
            bytes_equal(name, bytes_of_text(parameters[i].name)))
            return &parameters[i];
    return NULL;
}

/* One `name=value`. `seen` has a bit per row of the table. */
static enum vault_err
parameter_apply(struct bytes piece, struct arena *arena, struct request *request, unsigned *seen)
{
    const uint8_t *mark = piece.size > 0 ? memchr(piece.data, '=', piece.size) : NULL;
    size_t name_size = mark ? (size_t)(mark - piece.data) : piece.size;
    const struct parameter *parameter = parameter_find(bytes_of(piece.data, name_size), request);
    uint8_t *decoded = arena_alloc(arena, PARAMETER_VALUE_BYTES_MAX);
    struct bytes value;
    unsigned bit;

    if (!decoded)
        return ERR_NOMEM;
    if (!parameter)
        return ERR_BAD_PARAMETER;
    request->refusal = parameter->refusal;
    if (!mark || !value_decode(bytes_of(mark + 1, piece.size - name_size - 1), decoded, &value))
        return ERR_BAD_PARAMETER;
    if (!parameter->apply(request, value))
        return ERR_BAD_PARAMETER;
    request->refusal = NULL;
    bit = 1u << (parameter - parameters);
    if ((*seen & bit) != 0)
        return ERR_BAD_PARAMETER;
    *seen |= bit;
    return OK;
}

enum vault_err
query_parse(struct bytes query, struct arena *arena, struct request *request)
{
    unsigned seen = 0;

    while (query.size > 0) {
        const uint8_t *mark = memchr(query.data, '&', query.size);
        size_t size = mark ? (size_t)(mark - query.data) : query.size;
        enum vault_err err = parameter_apply(bytes_of(query.data, size), arena, request, &seen);

        if (err != OK)
            return err;
        if (!mark)
            break;
        query = bytes_of(mark + 1, query.size - size - 1);
        if (query.size == 0)
            return ERR_BAD_PARAMETER; /* a trailing '&' names a parameter without a name */
    }
    if (request->version > 0 && request->has_at) {
        request->refusal = "version and at exclude each other";
        return ERR_BAD_PARAMETER;
    }
    return OK;
}
