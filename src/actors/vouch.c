#include "actors/vouch.h"

#include <assert.h>
#include <string.h>

#include "crypto/hash.h"

static const char label[] = "ostraka vote proof 1";

enum {
    FIXED_BYTES = 2 + 8 + 2 * (8 + 8 + 1) + 2 + OP_ID_BYTES + ID_BYTES,
};

static uint8_t *
put_u64(uint8_t *at, uint64_t value)
{
    for (unsigned i = 0; i < 8; i++)
        at[i] = (uint8_t)(value >> (56 - 8 * i));
    return at + 8;
}

static uint8_t *
put_ballot(uint8_t *at, struct ballot b)
{
    at = put_u64(at, b.time);
    at = put_u64(at, b.incarnation);
    *at = b.node;
    return at + 1;
}

/* Everything of the statement that has a fixed size, and who says it to whom. */
static void
put_fixed(const struct statement *s, uint8_t from, uint8_t to, uint8_t out[static FIXED_BYTES])
{
    uint8_t *at = out;
    memset(out, 0, FIXED_BYTES);
    *at++ = from;
    *at++ = to;
    at = put_u64(at, s->incarnation);
    at = put_ballot(at, s->ballot);
    at = put_ballot(at, s->accepted);
    *at++ = (uint8_t)s->purpose;
    *at++ = (uint8_t)s->state;
    if (s->op_id)
        memcpy(at, s->op_id, OP_ID_BYTES);
    at += OP_ID_BYTES;
    if (s->head_id)
        memcpy(at, s->head_id, ID_BYTES);
}

static bool
make_mac(const struct membership *ms, const struct statement *s, uint8_t from, uint8_t to,
         uint8_t out[static VOTE_MAC_BYTES])
{
    uint8_t fixed[FIXED_BYTES];
    put_fixed(s, from, to, fixed);
    const struct bytes parts[] = {bytes_of_text(label), bytes_of(fixed, sizeof(fixed)),
                                  s->path.tenant, s->path.name, s->caller};
    return vote_keys_mac(ms->vote_keys, from == ms->self ? to : from, parts, 5, out);
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
    if (!macs)
        return (struct bytes){0};
    for (unsigned i = 0; i < replicas.count; i++)
        (void)make_mac(ms, s, ms->self, replicas.nodes[i], macs + (size_t)i * VOTE_MAC_BYTES);
    return bytes_of(macs, size);
}

enum vouched
vouch_check(const struct membership *ms, struct path path, const struct proof *proof,
            const struct proof_entry *entry, const uint8_t *head_id)
{
    static const uint8_t none[VOTE_MAC_BYTES];
    bool write = proof->purpose == CHANGE_NONE;
    struct statement s = {.path = path,
                          .ballot = proof->ballot,
                          .purpose = proof->purpose,
                          .op_id = proof->op_id,
                          .caller = proof->caller,
                          .accepted = entry->accepted,
                          .state = entry->state,
                          .head_id = write ? head_id : entry->head_id,
                          .incarnation = entry->incarnation};
    struct replicas replicas;
    uint8_t mac[VOTE_MAC_BYTES];
    membership_replicas(ms, path, &replicas);
    int own = replicas_index(&replicas, ms->self);
    if (own < 0 || replicas_index(&replicas, entry->node) < 0 ||
        entry->macs.size != (size_t)replicas.count * VOTE_MAC_BYTES)
        return VOUCHED_NOT;
    struct bytes shown = bytes_of(entry->macs.data + (size_t)own * VOTE_MAC_BYTES, VOTE_MAC_BYTES);
    if (!make_mac(ms, &s, entry->node, ms->self, mac) ||
        memcmp(shown.data, none, VOTE_MAC_BYTES) == 0)
        return VOUCHED_UNKNOWN;
    return secret_equal(shown, bytes_of(mac, sizeof(mac))) ? VOUCHED_FOR : VOUCHED_NOT;
}

unsigned
vouch_count(const struct membership *ms, struct path path, const struct proof *proof,
            const uint8_t *head_id, unsigned *unknown, uint64_t *mask)
{
    struct replicas replicas;
    unsigned count = 0;
    membership_replicas(ms, path, &replicas);
    *unknown = 0;
    if (mask)
        *mask = 0;
    for (size_t i = 0; i < proof->count; i++) {
        enum vouched v = vouch_check(ms, path, proof, &proof->entries[i], head_id);
        *unknown += v == VOUCHED_UNKNOWN;
        if (v != VOUCHED_FOR)
            continue;
        count++;
        if (mask)
            *mask |= UINT64_C(1) << replicas_index(&replicas, proof->entries[i].node);
    }
    return count;
}
