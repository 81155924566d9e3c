#include "proto/request.h"

#include <string.h>

#include "base/cbor.h"

const char *
request_kind_name(enum request_kind kind)
{
    switch (kind) {
    case REQUEST_CREATE: return "create";
    case REQUEST_UPDATE: return "update";
    case REQUEST_READ: return "read";
    case REQUEST_HISTORY: return "history";
    case REQUEST_DELETE: return "delete";
    case REQUEST_DELETION: return "deletion";
    case REQUEST_ALTER: return "alter";
    case REQUEST_METADATA: return "metadata";
    case REQUEST_BATCH: return "batch";
    case REQUEST_BATCH_CREATE: return "batch_create";
    case REQUEST_HEALTH: return "health";
    case REQUEST_STATUS: return "status";
    case REQUEST_METRICS: return "metrics";
    case REQUEST_ENV: return "env";
    case REQUEST_NAMES: return "list";
    case REQUEST_COPY: return "copy";
    case REQUEST_RECORD_PUT: return "record_put";
    case REQUEST_RECORD_GET: return "record_get";
    case REQUEST_RECORD_DELETE: return "record_delete";
    case REQUEST_RECORD_LIST: return "record_list";
    case REQUEST_AUTH: return "auth";
    case REQUEST_AUDIT: return "audit";
    case REQUEST_AUDIT_EXPORT: return "audit_export";
    }
    return "none";
}

const char *
auth_op_name(enum auth_op op)
{
    switch (op) {
#define X(code, name)                                                                              \
    case code: return name;
        AUTH_OPS(X)
#undef X
    }
    return "?";
}

bool
request_is_login(const struct request *request)
{
    return request->kind == REQUEST_AUTH && request->auth_op >= AUTH_LOGIN_APPROLE &&
           request->auth_op <= AUTH_LOGIN_CERT;
}

bool
request_is_of_record(enum request_kind kind)
{
    return kind == REQUEST_RECORD_PUT || kind == REQUEST_RECORD_GET ||
           kind == REQUEST_RECORD_DELETE || kind == REQUEST_RECORD_LIST;
}

bool
request_is_of_audit(enum request_kind kind)
{
    return kind == REQUEST_AUDIT || kind == REQUEST_AUDIT_EXPORT;
}

/* U+0000..1F, U+007F and U+0080..9F, the latter being C2 80..9F. */
static bool
has_control(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (byte < 0x20 || byte == 0x7f)
            return true;
        if (byte == 0xc2 && i + 1 < text.size && text.data[i + 1] < 0xa0)
            return true;
    }
    return false;
}

static bool
segment_valid(struct bytes segment)
{
    if (segment.size == 0)
        return false;
    if (segment.size == 1)
        return segment.data[0] != '.';
    if (segment.size == 2)
        return segment.data[0] != '.' || segment.data[1] != '.';
    return true;
}

/* Nothing but U+0020..7E. Eight bytes at a time; where in doubt: false. */
static bool
is_plain(struct bytes text)
{
    const uint64_t ones = UINT64_C(0x0101010101010101), tops = ones * 0x80;
    uint64_t odd = 0, word;
    size_t i = 0;

    for (; text.size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, text.data + i, sizeof(word));
        uint64_t delete = word ^ ones * 0x7f; /* a byte of zero where it was */
        odd |= word | (word - ones * 0x20) | (delete - ones);
    }
    for (; i < text.size; i++) {
        uint8_t byte = text.data[i];
        odd |= byte < 0x20 || byte >= 0x7f ? tops : 0;
    }
    return (odd & tops) == 0;
}

/* Asked of every message and row, so the common case is looked through as few times as can be. */
bool
secret_name_valid(struct bytes name)
{
    if (name.size == 0 || name.size > NAME_BYTES_MAX || name.data[0] == '_')
        return false;
    if (!is_plain(name) && (!utf8_valid(name) || has_control(name)))
        return false;
    for (size_t start = 0; start <= name.size;) {
        const uint8_t *at = name.data + start;
        const uint8_t *slash = memchr(at, '/', name.size - start);
        size_t size = slash ? (size_t)(slash - at) : name.size - start;

        if (!segment_valid(bytes_of(at, size)))
            return false;
        start += size + 1;
    }
    return true;
}

bool
tenant_name_valid(struct bytes tenant)
{
    if (tenant.size == 0 || tenant.size > TENANT_BYTES_MAX)
        return false;
    for (size_t i = 0; i < tenant.size; i++) {
        uint8_t byte = tenant.data[i];
        bool plain = (byte >= 'a' && byte <= 'z') || (byte >= '0' && byte <= '9');

        if (!plain && (i == 0 || (byte != '_' && byte != '-')))
            return false;
    }
    return true;
}
