/*
 * The answers of a round: which of them count, what they say is accepted, how many there are, and
 * how long more of them are waited for.
 */
#include <string.h>

#include "actors/authority.h"
#include "actors/coordinator_internal.h"
#include "actors/standing.h"
#include "base/planted.h"

unsigned
job_majority(const struct work *w)
{
    return replicas_majority(&w->job->replicas);
}

struct answer *
job_answer(struct work *w, const struct msg *in, int *replica)
{
    struct job *job = w->job;
    *replica = replicas_index(&job->replicas, in->from);
    if (*replica < 0 || in->op != job->op)
        return NULL;
    struct answer *a = &job->answers[*replica];
    if (a->answered)
        return NULL;
    size_t at = msg_incarnations_at(in->kind);
    if (at != 0) {
        const struct incarnations *said = (const struct incarnations *)((const uint8_t *)in + at);
        if (!standing_counts(w->c->membership, &job->replicas, in->from, said))
            return NULL;
        a->incarnation = said->of[*replica];
    }
    a->answered = true;
    return a;
}

bool
job_answers_outdated(const struct work *w)
{
    const struct job *job = w->job;
    for (unsigned i = 0; i < job->replicas.count && !PLANTED(count_lost_stores_votes); i++) {
        const struct answer *a = &job->answers[i];
        if (a->answered &&
            a->incarnation < w->c->membership->members[job->replicas.nodes[i]].incarnation)
            return true;
    }
    return false;
}

/*
 * Any majority that answers will do: one of which nobody reports the head that cannot be finished
 * tells as much as one in which everybody was asked. What it was chosen by, if it was, meets every
 * majority, and so is never passed over whole.
 */
static void
pass_over(struct job *job, struct answer *answer)
{
    if (!job->passing || answer->refusal != REFUSED_NONE ||
        answer->accepted.state == STATE_ABSENT || answer->accepted.state == STATE_CHOSEN ||
        memcmp(answer->head_id, job->passed_id, ID_BYTES) != 0)
        return;
    answer->refusal = REFUSED_CORRUPT;
    job->passed = true;
}

/* Most answers bring the same head: it is hashed once. */
static void
name_head(const struct job *job, struct bytes head, uint8_t out[static ID_BYTES])
{
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (a->answered && a->accepted.state != STATE_ABSENT && a->head_id != out &&
            bytes_equal(a->accepted.head, head)) {
            memcpy(out, a->head_id, ID_BYTES);
            return;
        }
    }
    record_id(head, out);
}

enum vault_err
job_keep_accepted(struct work *w, struct answer *answer, const struct accepted *accepted,
                  const uint8_t *named)
{
    answer->accepted = *accepted;
    if (accepted->state != STATE_ABSENT && named)
        memcpy(answer->head_id, named, ID_BYTES);
    else if (accepted->state != STATE_ABSENT)
        name_head(w->job, accepted->head, answer->head_id);
    pass_over(w->job, answer);
    enum vault_err err = arena_copy(&w->job->round, accepted->head, &answer->accepted.head);
    return err == OK ? arena_copy(&w->job->round, accepted->proof, &answer->accepted.proof) : err;
}

unsigned
job_good(const struct job *job)
{
    unsigned count = 0;
    for (unsigned i = 0; i < job->replicas.count; i++)
        count += job->answers[i].answered && job->answers[i].refusal == REFUSED_NONE;
    return count;
}

unsigned
job_refused(const struct job *job)
{
    unsigned count = 0;
    for (unsigned i = 0; i < job->replicas.count; i++)
        count += job->answers[i].answered && job->answers[i].refusal != REFUSED_NONE;
    return count;
}

unsigned
job_refused_with(const struct job *job, enum refusal refusal)
{
    unsigned count = 0;
    for (unsigned i = 0; i < job->replicas.count; i++)
        count += job->answers[i].answered && job->answers[i].refusal == refusal;
    return count;
}

/*
 * This node has let the caller in. Where it would not any more, that is the answer. Else the nodes
 * differ in who the caller is: for a moment, while a change of rights is on its way, or for long,
 * where cluster.conf does not name the same bootstrap token everywhere. To say that there is no such
 * secret would be a guess then, and mostly a wrong one.
 */
enum vault_err
job_denied(const struct work *w)
{
    const struct request *request = w->job->request;
    enum vault_err err;

    if (!request)
        return ERR_NOT_FOUND; /* nobody waits for it */
    err = authority_of_request(w->c->membership, w->st, request);
    return err != OK ? err : ERR_NOT_READY;
}

bool
job_is_lost(const struct work *w)
{
    const struct job *job = w->job;
    bool refused = job_refused(job) > 0;
    unsigned possible = 0;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        bool may_come = !refused || w->c->membership->members[job->replicas.nodes[i]].connected;
        possible += a->answered ? a->refusal == REFUSED_NONE : may_come;
    }
    return possible < job_majority(w);
}

/* Two round trips of the slowest, doubling from try to try as all time-outs do. */
struct duration
job_patience(const struct work *w)
{
    const struct job *job = w->job;
    uint64_t ns = 0;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct member *member = &w->c->membership->members[job->replicas.nodes[i]];
        if (2 * member->round_trip_ns > ns)
            ns = 2 * member->round_trip_ns;
    }
    ns += duration_ms(PATIENCE_MS).ns;
    for (unsigned i = 1; i < job->attempts && ns < duration_ms(VOTE_TIMEOUT_MS).ns; i++)
        ns *= 2;
    uint64_t most = duration_ms(VOTE_TIMEOUT_MS).ns;
    return (struct duration){ns < most ? ns : most};
}
