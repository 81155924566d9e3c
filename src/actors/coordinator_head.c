/* What is there: the newest accepted head among the answers, and whether it is known chosen. */
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"
#include "proto/newest.h"

static bool
is_good(const struct answer *a)
{
    return a->answered && a->refusal == REFUSED_NONE;
}

static const struct answer *
newest(const struct job *job)
{
    struct reported reports[NODES_MAX];
    const struct answer *answers[NODES_MAX] = {NULL};
    size_t count = 0;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!is_good(a))
            continue;
        answers[count] = a;
        reports[count++] = (struct reported){
            .state = a->accepted.state, .ballot = a->accepted.ballot, .head_id = a->head_id};
    }
    int best = newest_reported(reports, count);
    return best < 0 ? NULL : answers[best];
}

bool
job_saw_offer(const struct job *job)
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (is_good(a) && a->accepted.state != STATE_ABSENT && a->accepted.ballot.offer)
            return true;
    }
    return false;
}

/*
 * A vote says so of that very head, or a majority accepted it at the same ballot: each by itself. A
 * head that was handed over to a new incarnation proves nothing of the kind, since the node may have
 * promised a higher ballot before.
 */
static bool
known_chosen(const struct job *job, const struct answer *best, unsigned majority)
{
    bool offer = best->accepted.ballot.offer; /* only those who heard of all its writes know */
    unsigned same_ballot = 0;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!is_good(a) || a->accepted.state == STATE_ABSENT)
            continue;
        bool same_head = memcmp(a->head_id, best->head_id, ID_BYTES) == 0;
        if (same_head && a->accepted.state == STATE_CHOSEN)
            return true;
        if (same_head && !offer && a->accepted.state != STATE_RECEIVED &&
            ballot_compare(a->accepted.ballot, best->accepted.ballot) == 0)
            same_ballot++;
    }
    return !offer && same_ballot >= majority - PLANTED(majority_less_one);
}

enum vault_err
job_judge_head(struct work *w, enum head_knowledge *out)
{
    struct job *job = w->job;
    const struct answer *best = newest(job);
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
