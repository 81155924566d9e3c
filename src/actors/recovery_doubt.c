/*
 * Paths in doubt (doubts.h): when the store becomes a new incarnation for them, and asking the
 * other replicas for each of them alone. A page of RECOVER for one path ends with that path.
 */
#include <string.h>

#include "actors/recovery.h"
#include "actors/standing.h"

/*
 * All that is intact stays as it is, so it costs the cluster next to nothing; but everything has to
 * be handed over when there is too much damage, and then enough others must be there to do so.
 */
bool
recovery_must_mend(const struct recovery *r, const struct step *st)
{
    const struct membership *ms = r->membership;
    unsigned needed = ms->cluster->node_count - cluster_majority(ms->cluster) + 1, sound = 0;
    if (ms->members[ms->self].recovery == RECOVERY_HANDOVER || ms->cluster->share_count < 2 ||
        !standing_ready_for_all(ms) || !doubts_to_be_mended(&r->shard_store->doubts, st->now))
        return false;
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        const struct member *m = &ms->members[i];
        sound += i != ms->self && m->told && m->connected && m->recovery != RECOVERY_HANDOVER;
    }
    return !r->shard_store->doubts.too_many || sound >= needed;
}

/* A doubt that the peer has not been asked about for a while; NULL: none. */
static struct doubt *
next_for(struct recovery *r, const struct step *st, uint8_t peer)
{
    for (unsigned i = 0; i < DOUBTS_MAX; i++) {
        struct doubt *doubt = &r->shard_store->doubts.of[i];
        struct replicas replicas;
        if (!doubt->used || !doubt->durable)
            continue;
        membership_replicas(r->membership, doubt_path(doubt), &replicas);
        int at = replicas_index(&replicas, peer);
        if (at < 0 || (doubt->told >> at & 1) ||
            (doubt->asked[at].ns != 0 &&
             instant_since(st->now, doubt->asked[at]).ns < duration_ms(DOUBT_AGAIN_MS).ns))
            continue;
        doubt->asked[at] = st->now;
        return doubt;
    }
    return NULL;
}

/* The shard store opens the path, if that is still so when the message has its turn. */
static void
settle(struct recovery *r, const struct step *st, struct doubt *doubt, struct effects *out)
{
    struct path path = doubt_path(doubt), copy; /* the doubt goes before the message */
    if (arena_copy(st->arena, path.tenant, &copy.tenant) != OK ||
        arena_copy(st->arena, path.name, &copy.name) != OK)
        return;
    struct msg *m = effect_send(out, MSG_HANDOVER, r->membership->self, NULL);
    m->op = UINT64_MAX; /* of nobody's page */
    m->path = copy;
    m->u.handover.kind = HANDOVER_SETTLED;
}

/* Of a path that others have settled, and nobody has opened yet. */
static void
settle_again(struct recovery *r, const struct step *st, struct effects *out)
{
    for (unsigned i = 0; i < DOUBTS_MAX; i++) {
        struct doubt *doubt = &r->shard_store->doubts.of[i];
        if (doubt->used && doubt->durable && doubt_is_settled(doubt, r->membership->cluster)) {
            settle(r, st, doubt, out);
            return;
        }
    }
}

void
recovery_ask_about_doubts(struct recovery *r, const struct step *st, struct effects *out)
{
    const struct membership *ms = r->membership;
    if (r->shard_store->doubts.count == 0)
        return;
    settle_again(r, st, out);
    for (uint8_t i = 0; i < ms->cluster->node_count; i++) {
        struct recovery_source *s = &r->sources[i];
        const struct member *m = &ms->members[i];
        if (i == ms->self || !m->connected || m->recovery == RECOVERY_HANDOVER ||
            out->count + RECOVERY_WINDOW + 4 > EFFECTS_MAX)
            continue;
        if (s->page.size > 0) {
            recovery_hand_on(r, st, i, out);
            continue;
        }
        if (s->asking && !recovery_is_due(st->now, s->asked))
            continue;
        struct doubt *doubt = s->asking ? NULL : next_for(r, st, i);
        if (doubt) {
            s->only = true;
            s->unknown = false;
            row_key_path(doubt_path(doubt), &s->about);
            s->cursor = s->about;
        }
        if (doubt || s->asking)
            recovery_ask(r, st, i, out);
    }
}

void
recovery_doubt_told(struct recovery *r, const struct step *st, uint8_t peer, bool unknown,
                    const struct row_key *about, struct effects *out)
{
    struct path path;
    struct replicas replicas;
    if (row_key_path_of(row_key_bytes(about), &path) != OK)
        return;
    struct doubt *doubt = doubts_find(&r->shard_store->doubts, path);
    membership_replicas(r->membership, path, &replicas);
    int at = replicas_index(&replicas, peer);
    if (!doubt || !doubt->durable || at < 0 || unknown)
        return;
    doubt->told |= UINT64_C(1) << at;
    if (doubt_is_settled(doubt, r->membership->cluster))
        settle(r, st, doubt, out);
}
