#include "auth/token.h"

#include <string.h>

#include "auth/policy.h"
#include "base/planted.h"
#include "proto/codec.h"
#include "proto/request.h"

enum { TOKEN_FIELDS = 14 };

static bool
well_formed(const struct token *token)
{
    if (!tenant_name_valid(token->tenant) || token->depth >= TOKEN_DEPTH_MAX ||
        token->has_parent != (token->depth > 0))
        return false;
    if (token->created_ms >= token->expires_ms || token->expires_ms > token->latest_ms)
        return false;
    return token->uses_left <= token->uses_limit && (token->uses_limit > 0 || token->spent_ms == 0);
}

enum vault_err
token_encode(const struct token *token, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    cbor_writer_init(&w, out);
    codec_require(&w, well_formed(token), ERR_RANGE);
    cbor_put_array(&w, TOKEN_FIELDS);
    cbor_put_uint(&w, AUTH_TOKEN_1);
    codec_put_fixed(&w, token->hash, HASH_BYTES);
    cbor_put_bytes(&w, token->tenant);
    codec_put_fixed(&w, token->identity, AUTH_UUID_BYTES);
    cbor_put_bytes(&w, bytes_of(token->parent, token->has_parent ? ACCESSOR_BYTES : 0));
    cbor_put_uint(&w, token->depth);
    cbor_put_uint(&w, token->created_ms);
    cbor_put_uint(&w, token->expires_ms);
    cbor_put_uint(&w, token->latest_ms);
    cbor_put_uint(&w, token->ttl_ms);
    cbor_put_uint(&w, token->uses_limit);
    cbor_put_uint(&w, token->uses_left);
    auth_put_names(&w, &token->policies, policy_name_valid);
    cbor_put_uint(&w, token->spent_ms);
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

static void
get_parent(struct cbor_reader *r, struct token *out)
{
    struct bytes parent = cbor_get_bytes(r, ACCESSOR_BYTES);

    codec_expect(r, parent.size == 0 || parent.size == ACCESSOR_BYTES);
    out->has_parent = r->err == OK && parent.size > 0;
    if (out->has_parent)
        memcpy(out->parent, parent.data, ACCESSOR_BYTES);
}

enum vault_err
token_decode(struct bytes encoded, struct token *out)
{
    struct cbor_reader r;

    *out = (struct token){0};
    auth_reader_init(&r, encoded, AUTH_TOKEN_1, TOKEN_FIELDS);
    cbor_get_fixed(&r, out->hash, HASH_BYTES);
    out->tenant = cbor_get_bytes(&r, TENANT_BYTES_MAX);
    cbor_get_fixed(&r, out->identity, AUTH_UUID_BYTES);
    get_parent(&r, out);
    out->depth = (uint8_t)cbor_get_uint_max(&r, TOKEN_DEPTH_MAX - 1);
    out->created_ms = cbor_get_uint(&r);
    out->expires_ms = cbor_get_uint(&r);
    out->latest_ms = cbor_get_uint(&r);
    out->ttl_ms = cbor_get_uint(&r);
    out->uses_limit = cbor_get_uint(&r);
    out->uses_left = cbor_get_uint(&r);
    auth_get_names(&r, &out->policies, policy_name_valid);
    out->spent_ms = cbor_get_uint(&r);
    codec_expect(&r, r.err == OK && well_formed(out));
    if (cbor_finish(&r) == OK)
        return OK;
    *out = (struct token){0};
    return ERR_MALFORMED;
}

enum token_state
token_check(const struct token *token, uint64_t now_ms)
{
    if (now_ms >= token->expires_ms)
        return TOKEN_EXPIRED;
    if (token->uses_limit > 0 && token->uses_left == 0)
        return TOKEN_USED_UP;
    return TOKEN_VALID;
}

enum vault_err
token_spend(struct token *token, uint64_t now_ms)
{
    if (token_check(token, now_ms) != TOKEN_VALID)
        return ERR_UNAUTHENTICATED;
    if (token->uses_limit > 0) {
        token->uses_left -= !PLANTED(use_not_consumed);
        token->spent_ms = now_ms;
    }
    return OK;
}

bool
token_in_use(const struct token *token, uint64_t now_ms)
{
    return token->spent_ms > 0 && now_ms < token->spent_ms + TOKEN_USE_MS &&
           token->spent_ms < now_ms + TOKEN_USE_MS;
}

bool
token_is_spent(const struct token *before, const struct token *after, uint64_t now_ms)
{
    struct token spent = *before;
    struct buf one = {0}, other = {0};

    if (before->uses_left == 0 || after->spent_ms < before->spent_ms ||
        after->spent_ms > now_ms + TOKEN_USE_MS)
        return false;
    spent.uses_left -= !PLANTED(use_not_consumed);
    spent.spent_ms = after->spent_ms;
    bool same = token_encode(&spent, &one) == OK && token_encode(after, &other) == OK &&
                bytes_equal(buf_bytes(&one), buf_bytes(&other));
    buf_close(&one);
    buf_close(&other);
    return same;
}

enum vault_err
token_renew(struct token *token, uint64_t now_ms)
{
    uint64_t until;

    if (token_check(token, now_ms) != TOKEN_VALID)
        return ERR_UNAUTHENTICATED;
    if (token->ttl_ms == 0)
        return ERR_FORBIDDEN;
    until = now_ms > token->latest_ms || token->ttl_ms > token->latest_ms - now_ms
                ? token->latest_ms
                : now_ms + token->ttl_ms;
    if (until > token->expires_ms)
        token->expires_ms = until;
    return OK;
}

static void
bind_to_parent(const struct token *parent, struct token *out)
{
    if (!parent)
        return;
    out->has_parent = true;
    out->depth = (uint8_t)(parent->depth + 1);
    ticket_accessor(parent->hash, out->parent);
    if (out->latest_ms > parent->latest_ms)
        out->latest_ms = parent->latest_ms;
    if (out->expires_ms > parent->expires_ms)
        out->expires_ms = parent->expires_ms;
}

enum vault_err
token_fill(const struct token_wish *wish, struct bytes tenant,
           const uint8_t identity[static AUTH_UUID_BYTES], const struct token *parent,
           uint64_t now_ms, const uint8_t hash[static HASH_BYTES], struct token *out)
{
    uint64_t ttl_ms = wish->ttl_ms > 0 ? wish->ttl_ms : TOKEN_TTL_MS_DEFAULT;

    *out = (struct token){.tenant = tenant};
    if (ttl_ms < TOKEN_TTL_MS_MIN || ttl_ms > TOKEN_TTL_MS_MAX ||
        now_ms > UINT64_MAX - TOKEN_LATEST_MS_MAX)
        return ERR_RANGE;
    if (parent && (parent->depth + 1 >= TOKEN_DEPTH_MAX || parent->uses_limit > 0))
        return ERR_FORBIDDEN;
    memcpy(out->hash, hash, HASH_BYTES);
    memcpy(out->identity, identity, AUTH_UUID_BYTES);
    out->created_ms = now_ms;
    out->expires_ms = now_ms + ttl_ms;
    out->latest_ms = wish->renewable ? now_ms + TOKEN_LATEST_MS_MAX : out->expires_ms;
    out->ttl_ms = wish->renewable ? ttl_ms : 0;
    out->uses_limit = out->uses_left = wish->uses;
    out->policies = wish->policies;
    bind_to_parent(parent, out);
    return OK;
}
