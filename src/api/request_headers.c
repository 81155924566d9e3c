#include "api/request_headers.h"

#include <string.h>

static bool
visible_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] <= 0x20 || text.data[i] >= 0x7f)
            return false;
    return true;
}

static uint8_t
ascii_lower(uint8_t byte)
{
    return byte >= 'A' && byte <= 'Z' ? (uint8_t)(byte + ('a' - 'A')) : byte;
}

/* If `text` begins with `word` (lower case) in any case, takes it off. */
static bool
take_word(struct bytes *text, const char *word)
{
    size_t i = 0;

    for (; word[i] != '\0'; i++)
        if (i == text->size || ascii_lower(text->data[i]) != (uint8_t)word[i])
            return false;
    *text = bytes_of(text->data + i, text->size - i);
    return true;
}

/* Takes leading spaces and tabs off; returns how many there were. */
static size_t
take_space(struct bytes *text)
{
    size_t i = 0;

    while (i < text->size && (text->data[i] == ' ' || text->data[i] == '\t'))
        i++;
    *text = bytes_of(text->data + i, text->size - i);
    return i;
}

void
headers_collect(const struct http_request *http, struct request_headers *headers)
{
    static const struct {
        const char *text;
        size_t size;
    } names[REQUEST_HEADERS_KNOWN] = {
#define X(name, wire) {wire, sizeof(wire) - 1},
        REQUEST_HEADERS(X)
#undef X
    };

    *headers = (struct request_headers){0};
    for (size_t i = 0; i < http->header_count; i++) {
        for (size_t j = 0; j < REQUEST_HEADERS_KNOWN; j++) {
            if (http->headers[i].name.size != names[j].size ||
                memcmp(http->headers[i].name.data, names[j].text, names[j].size) != 0)
                continue;
            headers->values[j] = http->headers[i].value;
            headers->present[j]++;
            break;
        }
    }
}

struct bytes
headers_request_id(const struct request_headers *headers, struct bytes made_id)
{
    struct bytes id = headers->values[REQUEST_HEADER_request_id];

    if (headers->present[REQUEST_HEADER_request_id] != 1 || id.size == 0)
        return made_id;
    return id.size <= REQUEST_ID_BYTES_MAX && visible_ascii(id) ? id : made_id;
}

/* The characters of a bearer token: RFC 6750, b64token. */
static bool
bearer_token_valid(struct bytes token)
{
    size_t end = token.size;

    while (end > 0 && token.data[end - 1] == '=')
        end--;
    if (end == 0 || token.size > CREDENTIAL_BYTES_MAX)
        return false;
    for (size_t i = 0; i < end; i++) {
        uint8_t lower = ascii_lower(token.data[i]);
        bool letter = lower >= 'a' && lower <= 'z';
        bool digit = lower >= '0' && lower <= '9';

        if (!letter && !digit && lower != '-' && lower != '.' && lower != '_' && lower != '~' &&
            lower != '+' && lower != '/')
            return false;
    }
    return true;
}

struct bytes
headers_credential(const struct request_headers *headers)
{
    struct bytes header = headers->values[REQUEST_HEADER_authorization];

    if (headers->present[REQUEST_HEADER_authorization] != 1 || !take_word(&header, "bearer") ||
        take_space(&header) == 0 || !bearer_token_valid(header))
        return (struct bytes){0};
    return header;
}

static enum vault_err
apply_credential(const struct request_headers *headers, struct request *request)
{
    request->credential = headers_credential(headers);
    if (request->credential.size > 0)
        return OK;
    request->refusal = "the only credential known here is a bearer token";
    return ERR_UNAUTHENTICATED;
}

/* Tokens, secret ids and logins are shown once: nothing is kept by which to show them again. */
static bool
makes_a_record(const struct request *request)
{
    return request->kind == REQUEST_AUTH &&
           (request->auth_op == AUTH_TENANT_CREATE || request->auth_op == AUTH_IDENTITY_CREATE ||
            request->auth_op == AUTH_ROLE_CREATE);
}

static bool
takes_key(const struct request *request)
{
    enum request_kind kind = request->kind;

    return makes_a_record(request) || kind == REQUEST_CREATE || kind == REQUEST_UPDATE ||
           kind == REQUEST_DELETE || kind == REQUEST_ENV || kind == REQUEST_COPY ||
           kind == REQUEST_ALTER ||
           kind == REQUEST_BATCH; /* as its body says: one that reads does without the key */
}

static bool
idempotency_key_valid(struct bytes key)
{
    return key.size >= 1 && key.size <= IDEMPOTENCY_KEY_BYTES_MAX && visible_ascii(key);
}

enum vault_err
headers_apply(const struct request_headers *headers, struct request *request)
{
    for (size_t i = 0; i < REQUEST_HEADERS_KNOWN; i++) {
        if (headers->present[i] > 1) {
            request->refusal = "a header that may come once came more than once";
            return ERR_BAD_REQUEST;
        }
    }
    if (headers->present[REQUEST_HEADER_idempotency_key] && takes_key(request)) {
        request->idempotency_key = headers->values[REQUEST_HEADER_idempotency_key];
        if (!idempotency_key_valid(request->idempotency_key)) {
            request->refusal = "an Idempotency-Key is 1 to 128 visible ASCII characters";
            return ERR_BAD_PARAMETER;
        }
    }
    if (headers->present[REQUEST_HEADER_tenant]) {
        if (!tenant_name_valid(headers->values[REQUEST_HEADER_tenant])) {
            request->refusal = "X-Ostraka-Tenant is not a valid tenant name";
            return ERR_BAD_PARAMETER;
        }
        request->tenant = headers->values[REQUEST_HEADER_tenant];
        request->has_tenant = true;
    }
    /* Whoever logs in may have a credential that is not good any more. */
    if (request->kind == REQUEST_HEALTH || request_is_login(request) ||
        headers->present[REQUEST_HEADER_authorization] == 0)
        return OK;
    return apply_credential(headers, request);
}

static bool
content_is(const struct request_headers *headers, const char *media)
{
    struct bytes type = headers->values[REQUEST_HEADER_content_type];

    if (headers->present[REQUEST_HEADER_content_type] != 1 || !take_word(&type, media))
        return false;
    (void)take_space(&type);
    if (type.size == 0)
        return true;
    if (!take_word(&type, ";"))
        return false;
    (void)take_space(&type);
    if (!take_word(&type, "charset=utf-8") && !take_word(&type, "charset=\"utf-8\""))
        return false;
    (void)take_space(&type);
    return type.size == 0;
}

bool
headers_content_is_json(const struct request_headers *headers)
{
    return content_is(headers, "application/json");
}

bool
headers_content_is_text(const struct request_headers *headers)
{
    return content_is(headers, "text/plain");
}

bool
headers_content_is_encoded(const struct request_headers *headers)
{
    struct bytes coding = headers->values[REQUEST_HEADER_content_encoding];

    if (headers->present[REQUEST_HEADER_content_encoding] == 0)
        return false;
    return !take_word(&coding, "identity") || coding.size > 0;
}

/* Whether one of the media ranges is that one; preferences are of no interest. */
static bool
names_media(struct bytes list, const char *media)
{
    while (list.size > 0) {
        (void)take_space(&list);
        if (take_word(&list, media) &&
            (list.size == 0 || list.data[0] == ',' || list.data[0] == ';' || list.data[0] == ' '))
            return true;
        while (list.size > 0 && list.data[0] != ',')
            list = bytes_of(list.data + 1, list.size - 1);
        if (list.size > 0)
            list = bytes_of(list.data + 1, list.size - 1);
    }
    return false;
}

void
headers_accept(const struct http_request *http, bool *json)
{
    bool text_named = false;
    bool json_named = false;

    for (size_t i = 0; i < http->header_count; i++) {
        if (!bytes_equal(http->headers[i].name, bytes_of_text("accept")))
            continue;
        json_named = json_named || names_media(http->headers[i].value, "application/json");
        text_named = text_named || names_media(http->headers[i].value, "text/plain");
    }
    if (json_named || text_named)
        *json = json_named;
}
