/*
 * A new secret written without votes: docs/protocol.md, "Offers". One round to all replicas; what
 * does not succeed in it goes on as any change does, with votes.
 */
#include <string.h>

#include "actors/authority.h"
#include "actors/coordinator_internal.h"
#include "actors/shard_store.h"
#include "base/planted.h"

static bool
all_connected(const struct work *w)
{
    const struct membership *ms = w->c->membership;
    const struct replicas *replicas = &w->job->replicas;
    for (unsigned i = 0; i < replicas->count; i++) {
        uint8_t node = replicas->nodes[i];
        if (node != ms->self && !ms->members[node].connected)
            return false;
    }
    return true;
}

/*
 * A WRITE that has left is not taken back: so nothing is offered that might be there, or that the
 * limit of a tenant might forbid, since then the answer is to be that nothing happened.
 */
static bool
is_likely_to_be_taken(const struct work *w)
{
    const struct job *job = w->job;
    struct tenant limits;
    if (!all_connected(w) || w->st->now.ns < w->c->no_offers_until.ns ||
        w->c->membership->disk_full || !w->c->options.shard_store ||
        !shard_store_lacks(w->c->options.shard_store, job->path))
        return false;
    authority_tenant_limits(w->c->membership, job->path.tenant, &limits);
    return limits.secrets_max == 0;
}

bool
offer_may_be_made(const struct work *w)
{
    const struct job *job = w->job;
    return job->kind == REQUEST_CREATE && job->role == ROLE_ALONE && job->request &&
           !job->background && !job->resume_read && !job->write_left && is_likely_to_be_taken(w) &&
           !sim_maybe(w->st, no_offer);
}

void
offer_make(struct work *w)
{
    struct job *job = w->job;
    job_new_round(w);
    job->finishing = job->settling = job->unmarking = false;
    if (!change_pick_ballot(w)) {
        change_start_round(w); /* which waits for the horizon */
        return;
    }
    job->ballot.offer = true;
    job->purpose = CHANGE_CREATE;
    job->head = NULL;
    job->looked = true;
    job->first_generation = 0;
    membership_incarnations(w->c->membership, &job->replicas, &job->incarnations);
    metrics_count(w->st->metrics, METRIC_offers_made);
    change_propose_new(w);
    job->proposal.offered = job->phase == JOB_WRITING;
}

/*
 * Nothing is there, or just what was offered: the same bytes once more, now with votes. Whoever has
 * taken the offer has nothing but the ballot to change. But only once: what they are boxed to may not
 * be wanted any more.
 */
bool
offer_vote_on(struct work *w)
{
    struct job *job = w->job;
    struct proposal *p = &job->proposal;
    if (!p->offered || (job->head && memcmp(job->head_id, p->head_id, ID_BYTES) != 0))
        return false;
    p->offered = false;
    p->ballot = job->ballot;
    job->write_left_before = job->write_left;
    job->write_left = true;
    change_write(w);
    return true;
}

/*
 * Where somebody has no room or refuses the caller, what the others say decides whether it was
 * refused for good, by all.
 */
bool
offer_is_lost(const struct work *w)
{
    const struct job *job = w->job;
    bool may_be_final =
        job_good(job) == 0 &&
        job_refused_with(job, REFUSED_DISK_FULL) + job_refused_with(job, REFUSED_DENIED) > 0;
    return job->proposal.ballot.offer && job_refused(job) > 0 &&
           (!may_be_final || job_refused(job) == job->replicas.count);
}

/* Something was there already, or somebody else is at it: the next offer may well be taken. */
static bool
was_in_the_way(const struct job *job)
{
    unsigned harmless = job_refused_with(job, REFUSED_BALLOT) +
                        job_refused_with(job, REFUSED_BUSY) + job_refused_with(job, REFUSED_DENIED);
    return job_refused(job) > 0 && harmless == job_refused(job);
}

/*
 * By all, so that no copy of it is taken later: a promise that is as high stays so, and whoever
 * refuses the caller or has no room has promised the offer's time (shard_offer.c).
 */
static bool
is_refused_for_good(const struct job *job)
{
    unsigned count = job_refused_with(job, REFUSED_DENIED) +
                     job_refused_with(job, REFUSED_DISK_FULL) +
                     job_refused_with(job, REFUSED_BALLOT) + job_refused_with(job, REFUSED_FLOOR);
    return count == job->replicas.count;
}

void
offer_failed(struct work *w)
{
    struct job *job = w->job;
    metrics_count(w->st->metrics, METRIC_offers_failed);
    if (!was_in_the_way(job))
        w->c->no_offers_until = instant_add(w->st->now, duration_ms(OFFER_PAUSE_MS));
    if (is_refused_for_good(job))
        job->write_left = false; /* nothing happened, and will not */
    if (!job->write_left && job_refused_with(job, REFUSED_DISK_FULL) == job->replicas.count) {
        job->disk_full = true;
        job_fail(w, ERR_DISK_FULL);
        return;
    }
    change_start_round(w);
}
