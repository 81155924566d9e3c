#include "actors/lease.h"

#include <string.h>

#include "actors/standing.h"
#include "base/planted.h"

enum { ALL_GROUPS = (1 << RECORD_GROUPS) - 1 };

/* Identity records are on all nodes. */
static void
all_nodes(const struct membership *ms, struct replicas *out)
{
    *out = (struct replicas){.count = (uint8_t)ms->cluster->node_count};
    for (uint8_t i = 0; i < out->count; i++)
        out->nodes[i] = i;
}

/* What is here is all that this node ever accepted, and the store is not an older one. */
static bool
is_ready(const struct membership *ms)
{
    struct replicas all;
    all_nodes(ms, &all);
    return ms->records && ms->records->whole && !ms->records->broken && !ms->records_in_doubt &&
           standing_ready(ms, &all);
}

void
lease_fill(const struct membership *ms, struct msg_heartbeat *out)
{
    out->records_ready = is_ready(ms);
    if (out->records_ready)
        auth_view_digests(ms->records, out->record_digests);
}

static void
reconsider(struct membership *ms, struct lease_peer *peer)
{
    if (peer->asked_ns == 0)
        return;
    for (unsigned i = 0; i < RECORD_GROUPS; i++) {
        const uint8_t *digest = peer->digests + (size_t)i * RECORD_DIGEST_BYTES;
        if ((peer->uncovered >> i & 1) && auth_view_covers(ms->records, i, digest))
            peer->uncovered &= ~(1u << i);
    }
    if (peer->uncovered != 0)
        return;
    if (peer->asked_ns > peer->basis_ns)
        peer->basis_ns = peer->asked_ns;
    peer->asked_ns = 0;
}

void
lease_look_here(struct membership *ms, struct instant now)
{
    struct lease_peer *own = &ms->lease[ms->self];
    if (!is_ready(ms))
        return;
    own->asked_ns = now.ns;
    own->uncovered = ALL_GROUPS;
    auth_view_digests(ms->records, own->digests);
    reconsider(ms, own);
}

void
lease_reconsider(struct membership *ms)
{
    for (unsigned i = 0; ms->records && i < ms->cluster->node_count; i++)
        reconsider(ms, &ms->lease[i]);
}

/*
 * It answers something that was sent in this life, by this clock. A peer that does not know all of
 * its own records yet says nothing by its digests.
 */
static bool
is_answer(const struct membership *ms, const struct msg_heartbeat *h, struct instant now)
{
    const struct member *self = &ms->members[ms->self];
    return ms->records && h->records_ready && h->recovery != RECOVERY_HANDOVER &&
           h->known_life == self->life && h->known_incarnation == self->incarnation &&
           h->echo_ns != 0 && h->echo_ns <= now.ns;
}

void
lease_heard(struct membership *ms, uint8_t from, const struct msg_heartbeat *h, struct instant now)
{
    struct lease_peer *peer = &ms->lease[from];
    if (!is_answer(ms, h, now))
        return;
    if (h->echo_ns <= peer->basis_ns || h->echo_ns < peer->asked_ns)
        return; /* overtaken on its way */
    if (peer->asked_ns == 0)
        peer->since = now;
    peer->asked_ns = h->echo_ns;
    peer->uncovered = ALL_GROUPS;
    memcpy(peer->digests, h->record_digests, RECORD_DIGESTS_BYTES);
    reconsider(ms, peer);
}

/* The moment from which the lease counts: a majority, this node included, has answered since. */
static uint64_t
basis_of(const struct membership *ms)
{
    unsigned others = ms->cluster->node_count / 2; /* of a majority */
    uint64_t best = 0;
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        uint64_t basis = ms->lease[i].basis_ns;
        unsigned as_new = 0;
        for (unsigned j = 0; j < ms->cluster->node_count; j++)
            as_new += j != ms->self && ms->lease[j].basis_ns >= basis;
        if (i != ms->self && as_new >= others && basis > best)
            best = basis;
    }
    return best;
}

bool
lease_is_valid(const struct membership *ms, struct instant now)
{
    if (PLANTED(serve_without_lease))
        return ms->records != NULL;
    if (!is_ready(ms))
        return false;
    if (ms->cluster->node_count == 1)
        return true;
    uint64_t basis = basis_of(ms);
    return basis != 0 && now.ns < basis + duration_ms(IDENTITY_LEASE_MS).ns;
}

bool
lease_covers_all(const struct membership *ms, struct instant now)
{
    bool all = is_ready(ms) && membership_all_connected(ms);
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        uint64_t basis = ms->lease[i].basis_ns;
        all = all && basis != 0 && now.ns < basis + duration_ms(IDENTITY_LEASE_MS).ns;
    }
    return all;
}

bool
lease_is_behind(const struct membership *ms, uint8_t peer, struct instant now)
{
    const struct lease_peer *p = &ms->lease[peer];
    return p->asked_ns != 0 && instant_since(now, p->since).ns > duration_ms(LEASE_PATIENCE_MS).ns;
}
