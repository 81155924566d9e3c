#include "actors/standing.h"

#include <string.h>

#include "base/planted.h"

static const uint8_t no_store[STORE_ID_BYTES] = {0};

static bool
same_store(const uint8_t *a, const uint8_t *b)
{
    return memcmp(a, b, STORE_ID_BYTES) == 0;
}

/* ---- on disk ---- */

void
standing_load_peer(struct membership *ms, uint8_t peer, const struct peer_row *row)
{
    struct member *m = &ms->members[peer];
    if (peer == ms->self)
        return;
    m->incarnation = row->incarnation;
    m->boot = row->boot;
    m->sequence = row->sequence;
    m->life = row->life;
    m->sequence_before = row->sequence_before;
    m->durable_incarnation = row->incarnation;
    memcpy(m->store_id, row->store_id, STORE_ID_BYTES);
    memcpy(m->durable_store_id, row->store_id, STORE_ID_BYTES);
}

void
standing_peer_row(const struct membership *ms, uint8_t peer, struct peer_row *out)
{
    const struct member *m = &ms->members[peer];
    *out = (struct peer_row){.incarnation = m->incarnation,
                             .boot = m->boot,
                             .horizon_ms = m->horizon_ms,
                             .sequence = m->sequence,
                             .share_key = m->share_key,
                             .life = m->life,
                             .sequence_before = m->sequence_before};
    memcpy(out->store_id, m->store_id, STORE_ID_BYTES);
    if (ms->vote_keys) {
        memcpy(out->vote_key, ms->vote_keys->peers[peer].public_half, X25519_BYTES);
        memcpy(out->vote_key_before, ms->vote_keys->before[peer].public_half, X25519_BYTES);
    }
}

/* ---- heartbeats ---- */

void
standing_fill(const struct membership *ms, uint8_t to, struct msg_heartbeat *out)
{
    const struct member *self = &ms->members[ms->self], *peer = &ms->members[to];
    out->incarnation = self->incarnation;
    out->boot = self->boot;
    out->sequence = self->sequence;
    out->life = self->life;
    out->recovery = self->recovery;
    memcpy(out->store_id, self->store_id, STORE_ID_BYTES);
    memcpy(out->known_store_id, peer->store_id, STORE_ID_BYTES);
    out->known_incarnation = peer->incarnation;
    out->known_boot = peer->boot;
    out->known_life = peer->life;
    out->known_sequence = peer->sequence_before;
}

static bool
is_past_life(const struct member *m, uint64_t life)
{
    for (unsigned i = 0; i < LIVES_REMEMBERED; i++) {
        if (m->lives_past[i] == life)
            return true;
    }
    return false;
}

static bool
is_older(const struct member *m, const struct msg_heartbeat *h)
{
    if (h->incarnation != m->incarnation)
        return h->incarnation < m->incarnation;
    if (!same_store(m->store_id, no_store) && !same_store(m->store_id, h->store_id))
        return true; /* two stores with one number: whoever came second has to go on to the next */
    return h->boot < m->boot || is_past_life(m, h->life);
}

static void
begin_life(struct member *m, const struct msg_heartbeat *h)
{
    if (m->life != 0) {
        memmove(m->lives_past + 1, m->lives_past, sizeof(m->lives_past) - sizeof(m->lives_past[0]));
        m->lives_past[0] = m->life;
    }
    if (m->sequence > m->sequence_before)
        m->sequence_before = m->sequence;
    m->life = h->life;
}

static void
learn_sender(struct member *m, const struct msg_heartbeat *h, struct standing_news *news)
{
    bool store = h->incarnation != m->incarnation || !same_store(h->store_id, m->store_id);
    news->life = h->life != m->life;
    news->to_remember = store || h->boot != m->boot;
    if (h->incarnation != m->incarnation)
        membership_renew(m, h->incarnation);
    memcpy(m->store_id, h->store_id, STORE_ID_BYTES);
    if (news->life)
        begin_life(m, h);
    m->boot = h->boot;
    m->horizon_ms = h->horizon_ms;
    if (h->sequence > m->sequence)
        m->sequence = h->sequence;
}

void
standing_named(struct membership *ms, uint64_t incarnation)
{
    const struct member *self = &ms->members[ms->self];
    if (PLANTED(rollback_unnoticed))
        return;
    if (incarnation > ms->incarnation_told)
        ms->incarnation_told = incarnation;
    if (self->incarnation != 0 && incarnation > self->incarnation)
        ms->behind = true;
}

/* What the peer remembers of this node shows more than its store knows. */
static bool
remembers_more(const struct membership *ms, const struct msg_heartbeat *h)
{
    const struct member *self = &ms->members[ms->self];
    if (h->known_incarnation != self->incarnation || PLANTED(rollback_unnoticed))
        return false;
    if (!same_store(h->known_store_id, no_store) && !same_store(h->known_store_id, self->store_id))
        return true;
    if (h->known_boot > self->boot)
        return true;
    return h->known_life == self->life && ms->sequence_known &&
           h->known_sequence > ms->sequence_found;
}

static void
learn_own(struct membership *ms, struct member *m, const struct msg_heartbeat *h, bool current)
{
    const struct member *self = &ms->members[ms->self];
    standing_named(ms, h->known_incarnation);
    if (self->incarnation == 0)
        return;
    if (remembers_more(ms, h))
        ms->behind = true;
    else if (current && h->recovery != RECOVERY_HANDOVER && ms->sequence_known &&
             h->known_incarnation == self->incarnation && h->known_life == self->life)
        m->told = true;
}

struct standing_news
standing_heard(struct membership *ms, uint8_t from, const struct msg_heartbeat *h)
{
    struct member *m = &ms->members[from];
    struct standing_news news = {.current = h->incarnation == 0 || !is_older(m, h)};
    if (news.current) {
        m->heard = true;
        m->recovery = h->recovery;
    }
    if (news.current && h->incarnation != 0)
        learn_sender(m, h, &news);
    learn_own(ms, m, h, news.current);
    return news;
}

/* ---- what counts ---- */

bool
standing_counts(struct membership *ms, const struct replicas *replicas, uint8_t from,
                const struct incarnations *said)
{
    struct member *m = &ms->members[from];
    int at = replicas_index(replicas, from);
    if (at < 0)
        return false;
    if (PLANTED(count_lost_stores_votes))
        return true;
    if (said->placed != replicas_packed(replicas) || said->life != m->life || at >= said->count ||
        said->of[at] < m->incarnation)
        return false;
    if (said->sequence > m->sequence)
        m->sequence = said->sequence;
    return true;
}

uint64_t
standing_config(const struct membership *ms)
{
    uint64_t word;
    memcpy(&word, ms->cluster->config_hash, sizeof(word));
    return word;
}

bool
standing_counts_whole(struct membership *ms, uint8_t from, const struct incarnations *said)
{
    struct member *m = &ms->members[from];
    if (PLANTED(count_lost_stores_votes))
        return true;
    if (said->count != 1 || said->placed != standing_config(ms) || said->life != m->life ||
        said->of[0] < m->incarnation)
        return false;
    if (said->sequence > m->sequence)
        m->sequence = said->sequence;
    return true;
}

/* ---- readiness ---- */

static bool
is_sure(const struct membership *ms)
{
    return ms->members[ms->self].incarnation != 0 && !ms->behind;
}

bool
standing_handed_over(const struct membership *ms, const struct replicas *replicas)
{
    unsigned needed = replicas->count - replicas_majority(replicas) + 1, handed = 0;
    for (unsigned i = 0; i < replicas->count; i++)
        handed += replicas->nodes[i] != ms->self && ms->members[replicas->nodes[i]].handed_over;
    if (PLANTED(recovered_too_early))
        needed--;
    return ms->members[ms->self].recovery != RECOVERY_HANDOVER || handed >= needed;
}

bool
standing_ready(const struct membership *ms, const struct replicas *replicas)
{
    unsigned told = 0;
    for (unsigned i = 0; i < replicas->count; i++)
        told += replicas->nodes[i] != ms->self && ms->members[replicas->nodes[i]].told;
    return standing_handed_over(ms, replicas) && is_sure(ms) &&
           told >= replicas_majority(replicas) - 1;
}

bool
standing_ready_overall(const struct membership *ms)
{
    unsigned told = 0;
    for (unsigned i = 0; i < ms->cluster->node_count; i++)
        told += i != ms->self && ms->members[i].told;
    return is_sure(ms) && ms->members[ms->self].recovery != RECOVERY_HANDOVER &&
           told + 1 >= cluster_majority(ms->cluster);
}

bool
standing_ready_for_all(const struct membership *ms)
{
    const struct cluster *cluster = ms->cluster;
    unsigned told = 0, silent_most = cluster->share_count - cluster_majority(cluster);
    for (unsigned i = 0; i < cluster->node_count; i++)
        told += i != ms->self && ms->members[i].told;
    return is_sure(ms) && ms->members[ms->self].recovery != RECOVERY_HANDOVER &&
           cluster->node_count - 1U - told <= silent_most;
}

unsigned
standing_heard_count(const struct membership *ms)
{
    unsigned count = 0;
    for (unsigned i = 0; i < ms->cluster->node_count; i++)
        count +=
            i != ms->self && ms->members[i].heard && ms->members[i].recovery != RECOVERY_HANDOVER;
    return count;
}
