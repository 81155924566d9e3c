/*
 * What is there: the head with the highest accepted ballot among the answers, and whether it is
 * known chosen.
 */
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"

static bool
is_good(const struct answer *a)
{
    return a->answered && a->refusal == REFUSED_NONE;
}

static const struct answer *
highest(const struct job *job)
{
    const struct answer *best = NULL;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!is_good(a) || a->accepted.state == STATE_ABSENT)
            continue;
        if (!best || ballot_compare(a->accepted.ballot, best->accepted.ballot) > 0)
            best = a;
    }
    return best;
}

/*
 * A vote says so of that very head, or a majority accepted it at the same ballot: each by itself. A
 * head that was handed over to a new incarnation proves nothing of the kind, since the node may have
 * promised a higher ballot before.
 */
static bool
known_chosen(const struct job *job, const struct answer *best, unsigned majority)
{
    unsigned same_ballot = 0;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!is_good(a) || a->accepted.state == STATE_ABSENT)
            continue;
        bool same_head = memcmp(a->head_id, best->head_id, ID_BYTES) == 0;
        if (same_head && a->accepted.state == STATE_CHOSEN)
            return true;
        if (same_head && a->accepted.state != STATE_RECEIVED &&
            ballot_compare(a->accepted.ballot, best->accepted.ballot) == 0)
            same_ballot++;
    }
    return same_ballot >= majority - PLANTED(majority_less_one);
}

enum vault_err
job_judge_head(struct work *w, enum head_knowledge *out)
{
    struct job *job = w->job;
    const struct answer *best = highest(job);
    job->head = NULL;
    job->head_encoded = (struct bytes){0};
    *out = HEAD_IS_ABSENT;
    if (!best)
        return OK;
    job->head = arena_alloc(&job->round, sizeof(*job->head));
    if (!job->head)
        return ERR_NOMEM;
    enum vault_err err = head_decode(best->accepted.head, job->head);
    if (err != OK || !path_equal(job->head->path, job->path)) {
        job->head = NULL;
        return ERR_MALFORMED;
    }
    job->head_encoded = best->accepted.head;
    job->head_ballot = best->accepted.ballot;
    memcpy(job->head_id, best->head_id, ID_BYTES);
    *out = known_chosen(job, best, job_majority(w)) ? HEAD_IS_CHOSEN : HEAD_IS_UNFINISHED;
    return OK;
}

bool
head_precedes(const struct job *job, const uint8_t head_id[static ID_BYTES])
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        struct head head;
        if (is_good(a) && a->accepted.state != STATE_ABSENT &&
            head_decode(a->accepted.head, &head) == OK && memcmp(head.prev, head_id, ID_BYTES) == 0)
            return true;
    }
    return false;
}
