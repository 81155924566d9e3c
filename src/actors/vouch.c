#include "actors/vouch.h"

#include <assert.h>
#include <string.h>

#include "base/big_endian.h"
#include "crypto/hash.h"

static const char label[] = "ostraka vote proof 2";

enum {
    COMMON_BYTES = 1 + 8 + 8 + 1 + OP_ID_BYTES,
    OFFER_FLAG = 0x80, /* above any number of a node */
    SAID_BYTES = HASH_BYTES + 2 + 8 + (8 + 8 + 1) + 1 + ID_BYTES,
};
static_assert((int)SAID_BYTES <= (int)VOTE_SAID_MAX, "with the key one block");

static uint8_t *
put_u64(uint8_t *at, uint64_t value)
{
    big_endian_put(at, value);
    return at + BIG_ENDIAN_BYTES;
}

static uint8_t *
put_ballot(uint8_t *at, struct ballot b)
{
    at = put_u64(at, b.time);
    at = put_u64(at, b.incarnation);
    *at = (uint8_t)(b.node | (b.offer ? OFFER_FLAG : 0));
    return at + 1;
}

/* What all that vote for one change, or write one head, say alike: hashed once for all of them. */
static void
hash_common(const struct statement *s, uint8_t out[static HASH_BYTES])
{
    uint8_t fixed[COMMON_BYTES] = {(uint8_t)s->purpose};
    uint8_t *at = put_ballot(fixed + 1, s->ballot);
    if (s->op_id)
        memcpy(at, s->op_id, OP_ID_BYTES);
    const struct bytes parts[] = {bytes_of_text(label), bytes_of(fixed, sizeof(fixed)),
                                  s->path.tenant, s->path.name, s->caller};
    hash_parts(parts, 5, out);
}

/* What one of them says for itself, and to whom. */
static void
put_said(const uint8_t common[static HASH_BYTES], const struct statement *s, uint8_t from,
         uint8_t to, uint8_t said[static SAID_BYTES])
{
    uint8_t *at = said + HASH_BYTES;
    memset(said, 0, SAID_BYTES);
    memcpy(said, common, HASH_BYTES);
    *at++ = from;
    *at++ = to;
    at = put_u64(at, s->incarnation);
    at = put_ballot(at, s->accepted);
    *at++ = (uint8_t)s->state;
    if (s->head_id)
        memcpy(at, s->head_id, ID_BYTES);
}

static_assert((int)VOTE_CALLER_BYTES_MAX >= (int)VOTE_VALUE_BYTES + 36, "an identity's id fits");

struct bytes
vote_caller(struct bytes caller, struct bytes value, uint8_t memory[static VOTE_CALLER_BYTES_MAX])
{
    uint8_t hash[HASH_BYTES];
    if (value.size == 0)
        return caller;
    assert(caller.size + VOTE_VALUE_BYTES <= VOTE_CALLER_BYTES_MAX);
    hash_bytes(value, hash);
    if (caller.size > 0)
        memcpy(memory, caller.data, caller.size);
    memcpy(memory + caller.size, hash, VOTE_VALUE_BYTES);
    return bytes_of(memory, caller.size + VOTE_VALUE_BYTES);
}

bool
vote_caller_names(struct bytes caller, struct bytes value)
{
    uint8_t hash[HASH_BYTES];
    if (value.size == 0)
        return true;
    if (caller.size < VOTE_VALUE_BYTES)
        return false;
    hash_bytes(value, hash);
    return memcmp(caller.data + caller.size - VOTE_VALUE_BYTES, hash, VOTE_VALUE_BYTES) == 0;
}

struct bytes
vouch(const struct membership *ms, const struct step *st, const struct statement *s)
{
    struct replicas replicas;
    if (!ms->vote_keys)
        return (struct bytes){0};
    membership_replicas(ms, s->path, &replicas);
    size_t size = (size_t)replicas.count * VOTE_MAC_BYTES;
    uint8_t *macs = arena_alloc(st->arena, size);
    uint8_t common[HASH_BYTES];
    if (!macs)
        return (struct bytes){0};
    hash_common(s, common);
    for (unsigned i = 0; i < replicas.count; i++) {
        uint8_t said[SAID_BYTES];
        put_said(common, s, ms->self, replicas.nodes[i], said);
        (void)vote_keys_mac(ms->vote_keys, replicas.nodes[i], bytes_of(said, sizeof(said)),
                            macs + (size_t)i * VOTE_MAC_BYTES);
    }
    return bytes_of(macs, size);
}

void
vouch_checker_init(struct vouch_checker *c, const struct membership *ms, struct path path,
                   const struct proof *proof, const uint8_t *head_id)
{
    struct statement s = {.path = path,
                          .ballot = proof->ballot,
                          .purpose = proof->purpose,
                          .op_id = proof->op_id,
                          .caller = proof->caller};
    *c = (struct vouch_checker){.membership = ms,
                                .head_id = proof->purpose == CHANGE_NONE ? head_id : NULL};
    membership_replicas(ms, path, &c->replicas);
    hash_common(&s, c->common);
}

/*
 * A store that was lost may have gone with its key. What it said before stands under the key that it
 * had then, of which one is remembered.
 */
static enum vouched
check_before(const struct membership *ms, const struct proof_entry *entry, struct bytes said,
             struct bytes shown)
{
    uint8_t mac[VOTE_MAC_BYTES];
    if (entry->incarnation >= ms->members[entry->node].incarnation)
        return VOUCHED_NOT;
    if (vote_keys_mac_before(ms->vote_keys, entry->node, said, mac) &&
        secret_equal(shown, bytes_of(mac, sizeof(mac))))
        return VOUCHED_FOR;
    return VOUCHED_UNKNOWN;
}

enum vouched
vouch_check(const struct vouch_checker *c, const struct proof_entry *entry)
{
    static const uint8_t none[VOTE_MAC_BYTES];
    const struct membership *ms = c->membership;
    struct statement s = {.accepted = entry->accepted,
                          .state = entry->state,
                          .head_id = c->head_id ? c->head_id : entry->head_id,
                          .incarnation = entry->incarnation};
    uint8_t said[SAID_BYTES], mac[VOTE_MAC_BYTES];
    int own = replicas_index(&c->replicas, ms->self);
    if (own < 0 || replicas_index(&c->replicas, entry->node) < 0 ||
        entry->macs.size != (size_t)c->replicas.count * VOTE_MAC_BYTES)
        return VOUCHED_NOT;
    struct bytes shown = bytes_of(entry->macs.data + (size_t)own * VOTE_MAC_BYTES, VOTE_MAC_BYTES);
    put_said(c->common, &s, entry->node, ms->self, said);
    if (!vote_keys_mac(ms->vote_keys, entry->node, bytes_of(said, sizeof(said)), mac) ||
        memcmp(shown.data, none, VOTE_MAC_BYTES) == 0)
        return VOUCHED_UNKNOWN;
    if (secret_equal(shown, bytes_of(mac, sizeof(mac))))
        return VOUCHED_FOR;
    return check_before(ms, entry, bytes_of(said, sizeof(said)), shown);
}

unsigned
vouch_count(const struct vouch_checker *c, const struct proof *proof, unsigned *unknown,
            uint64_t *mask)
{
    unsigned count = 0;
    *unknown = 0;
    if (mask)
        *mask = 0;
    for (size_t i = 0; i < proof->count; i++) {
        enum vouched v = vouch_check(c, &proof->entries[i]);
        *unknown += v == VOUCHED_UNKNOWN;
        if (v != VOUCHED_FOR)
            continue;
        count++;
        if (mask)
            *mask |= UINT64_C(1) << replicas_index(&c->replicas, proof->entries[i].node);
    }
    return count;
}
