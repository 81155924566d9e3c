/*
 * What reads, histories and the progress of deletions share: whom to ask, when to ask more, and what
 * head the answers are about.
 */
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"

bool
read_all_answered(const struct job *job)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        if (!job->answers[i].answered)
            return false;
    }
    return true;
}

bool
read_all_asked(const struct job *job)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        if (!job->answers[i].asked)
            return false;
    }
    return true;
}

/*
 * Asks again after a short wait: a coordinator that is still active is probably finishing the head.
 * Not chosen after three tries: finishes it, as a change would, and reads on.
 */
void
read_unfinished(struct work *w)
{
    struct job *job = w->job;
    job->seen = true;
    memcpy(job->seen_head_id, job->head_id, ID_BYTES);
    if (job->unfinished_tries < READ_TRIES) {
        job_wait(w, duration_ms((uint64_t)READ_AGAIN_MS << job->unfinished_tries++));
        return;
    }
    job->resume_read = true;
    job->attempts = 0;
    job_enter_line(w);
}

/*
 * The head that this answer is about. ERR_BUSY: not known yet, and the job has been sent to wait.
 * Otherwise job->head is chosen, or NULL when the path is absent.
 */
enum vault_err
read_settled_head(struct work *w)
{
    enum head_knowledge knowledge;
    enum vault_err err = job_judge_head(w, &knowledge);
    if (err != OK)
        return err;
    if (knowledge != HEAD_IS_UNFINISHED || PLANTED(answer_unfinished))
        return OK;
    /* What was voted on may still win, and then it was read early; an offer may be given up. */
    if (w->job->request->stale && !w->job->head_ballot.offer)
        return OK;
    read_unfinished(w);
    return ERR_BUSY;
}

/* Too many refused for a majority: fails, or asks again after a while. */
bool
read_cannot_succeed(struct work *w)
{
    struct job *job = w->job;
    if (job->replicas.count - job_refused(job) >= job_majority(w))
        return false;
    if (job_refused_with(job, REFUSED_DENIED) >= job_majority(w))
        job_fail(w, job_denied(w));
    else
        job_wait(w, duration_ms(50));
    return true;
}

void
read_absent(struct work *w)
{
    if (w->job->comparing)
        again_answer(w); /* erased since: there is nothing left to compare with */
    else
        job_fail(w, ERR_NOT_FOUND);
}

bool
read_is_expired(const struct work *w, const struct head *head)
{
    return head->expires_at_ms != 0 &&
           head_is_expired(head, membership_clock_ms(w->c->membership, w->st->wall_ms));
}

/* This node first, then those that are connected, the nearest first. */
int
read_nearest_unasked(const struct work *w)
{
    const struct job *job = w->job;
    const struct membership *ms = w->c->membership;
    int best = -1;
    uint64_t best_cost = 0;
    for (int i = 0; i < job->replicas.count; i++) {
        const struct member *member = &ms->members[job->replicas.nodes[i]];
        uint64_t cost = job->replicas.nodes[i] == ms->self ? 0
                        : member->connected                ? 1 + member->round_trip_ns
                                                           : UINT64_MAX;
        if (job->answers[i].asked || (best >= 0 && cost >= best_cost))
            continue;
        best = i;
        best_cost = cost;
    }
    return best;
}

/*
 * Twice the round trip of the slowest that was asked, 2 to 20 ms; those of a millisecond go off
 * together, since nearly all find that they are not needed.
 */
struct duration
read_hedge_delay(const struct work *w)
{
    uint64_t ns = duration_ms(HEDGE_MS_MIN).ns;
    if (sim_maybe(w->st, hedge_early))
        return (struct duration){0};
    for (unsigned i = 0; i < w->job->replicas.count; i++) {
        const struct member *member = &w->c->membership->members[w->job->replicas.nodes[i]];
        if (w->job->answers[i].asked && 2 * member->round_trip_ns > ns)
            ns = 2 * member->round_trip_ns;
    }
    uint64_t most = duration_ms(HEDGE_MS_MAX).ns, grain = duration_ms(HEDGE_GRAIN_MS).ns;
    uint64_t due_ns = w->st->now.ns + (ns < most ? ns : most) + grain - 1;
    return (struct duration){due_ns / grain * grain - w->st->now.ns};
}
