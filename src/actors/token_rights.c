#include "actors/token_rights.h"

#include <string.h>

#include "actors/auth_view.h"
#include "auth/decide.h"
#include "base/planted.h"
#include "proto/record_path.h"

/* ---- the records ---- */

const struct auth_record *
token_record_find(const struct membership *ms, const uint8_t accessor[static ACCESSOR_BYTES],
                  struct token *out)
{
    char key[2 * ACCESSOR_BYTES + 1];
    *out = (struct token){0};
    if (!ms->records)
        return NULL;
    hex_encode(bytes_of(accessor, ACCESSOR_BYTES), key);
    const struct auth_record *record =
        auth_view_get(ms->records, bytes_of_text(SYSTEM_TENANT),
                      bytes_of_text(auth_kind_name(AUTH_KIND_TOKEN)), bytes_of_text(key));
    return record && token_decode(buf_bytes(&record->value), out) == OK ? record : NULL;
}

const struct auth_record *
token_record_of(const struct membership *ms, struct bytes credential, struct token *out)
{
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES];
    struct known_tickets *tickets = ms->records ? ms->records->tickets : NULL;
    bool known;
    *out = (struct token){0};
    if (known_tickets_hash(tickets, credential, hash, accessor, &known) != OK)
        return NULL;
    const struct auth_record *record = token_record_find(ms, accessor, out);
    if (record && !known)
        known_tickets_add(tickets, credential, hash, accessor);
    bytes_wipe(hash, sizeof(hash));
    return record;
}

/* False: it is not the path of a token's record. */
static bool
accessor_of(struct path path, uint8_t out[static ACCESSOR_BYTES])
{
    struct bytes kind, key;
    if (!record_path_is(path) || !bytes_equal(path.tenant, bytes_of_text(SYSTEM_TENANT)))
        return false;
    record_path_split(path, &kind, &key);
    return bytes_equal(kind, bytes_of_text(auth_kind_name(AUTH_KIND_TOKEN))) &&
           hex_decode(key, out, ACCESSOR_BYTES) == OK;
}

bool
token_record_put(struct path path, struct bytes value, struct token *out)
{
    uint8_t accessor[ACCESSOR_BYTES], named[ACCESSOR_BYTES];
    *out = (struct token){0};
    if (!accessor_of(path, named) || token_decode(value, out) != OK)
        return false;
    ticket_accessor(out->hash, accessor);
    return memcmp(accessor, named, ACCESSOR_BYTES) == 0;
}

/* ---- what a token may do ---- */

/* It is the token of that accessor, or was made with it, or with one that was. */
static bool
descends_from(const struct membership *ms, struct token token,
              const uint8_t accessor[static ACCESSOR_BYTES])
{
    uint8_t own[ACCESSOR_BYTES];
    for (unsigned i = 0; i < TOKEN_DEPTH_MAX; i++) {
        struct token parent;
        ticket_accessor(token.hash, own);
        if (memcmp(own, accessor, ACCESSOR_BYTES) == 0)
            return true;
        if (!token.has_parent || !token_record_find(ms, token.parent, &parent))
            return false;
        token = parent;
    }
    return false;
}

bool
token_same_life(const struct token *a, const struct token *b)
{
    return memcmp(a->hash, b->hash, HASH_BYTES) == 0 && bytes_equal(a->tenant, b->tenant) &&
           memcmp(a->identity, b->identity, AUTH_UUID_BYTES) == 0 &&
           a->has_parent == b->has_parent && a->depth == b->depth &&
           memcmp(a->parent, b->parent, ACCESSOR_BYTES) == 0 && a->created_ms == b->created_ms &&
           a->latest_ms == b->latest_ms && a->ttl_ms == b->ttl_ms &&
           a->uses_limit == b->uses_limit && auth_names_equal(&a->policies, &b->policies);
}

/* Clocks of nodes differ, and the one that the end was made by may be ahead. */
static bool
may_renew(const struct token *before, const struct token *after, uint64_t now_ms)
{
    uint64_t until = now_ms + before->ttl_ms + CLOCK_DRIFT_MS_MAX;
    return token_same_life(before, after) && after->uses_left == before->uses_left &&
           after->spent_ms == before->spent_ms && after->expires_ms >= before->expires_ms &&
           (after->expires_ms == before->expires_ms ||
            (before->ttl_ms > 0 && after->expires_ms <= until));
}

static bool
may_bear(const struct token *parent, const struct token *child)
{
    uint8_t accessor[ACCESSOR_BYTES];
    ticket_accessor(parent->hash, accessor);
    return child->has_parent && memcmp(child->parent, accessor, ACCESSOR_BYTES) == 0 &&
           child->depth == parent->depth + 1 && parent->uses_limit == 0 &&
           bytes_equal(child->tenant, parent->tenant) &&
           memcmp(child->identity, parent->identity, AUTH_UUID_BYTES) == 0 &&
           ((child->expires_ms <= parent->expires_ms && child->latest_ms <= parent->latest_ms) ||
            PLANTED(child_outlives_parent));
}

static bool
may_put(const struct membership *ms, uint64_t now_ms, const uint8_t own[static ACCESSOR_BYTES],
        const uint8_t key[static ACCESSOR_BYTES], struct bytes value)
{
    struct token self, before, after;
    uint8_t accessor[ACCESSOR_BYTES];
    if (!token_record_find(ms, own, &self) || token_decode(value, &after) != OK)
        return false;
    ticket_accessor(after.hash, accessor);
    if (memcmp(accessor, key, ACCESSOR_BYTES) != 0)
        return false;
    if (memcmp(own, key, ACCESSOR_BYTES) == 0)
        return may_renew(&self, &after, now_ms) || token_is_spent(&self, &after, now_ms);
    /* The same once more: it has been made, and its maker was not told. */
    if (token_record_find(ms, key, &before))
        return token_same_life(&before, &after) && may_bear(&self, &after);
    return may_bear(&self, &after);
}

bool
token_may(const struct membership *ms, uint64_t now_ms, const uint8_t own[static ACCESSOR_BYTES],
          struct path path, enum record_action action, struct bytes value)
{
    uint8_t accessor[ACCESSOR_BYTES];
    struct token token;
    if (!accessor_of(path, accessor))
        return false;
    switch (action) {
    case RECORD_LOOK: return memcmp(accessor, own, ACCESSOR_BYTES) == 0;
    case RECORD_CHANGE: return may_put(ms, now_ms, own, accessor, value);
    case RECORD_REMOVE: break;
    }
    return token_record_find(ms, accessor, &token) && descends_from(ms, token, own);
}
