/* What voters and writers vouch for, gathered into proofs: docs/protocol.md, "Proofs". */
#include <string.h>

#include "actors/authority.h"
#include "actors/coordinator_internal.h"
#include "actors/vouch.h"
#include "proto/proof.h"

enum vault_err
job_keep_macs(struct work *w, struct answer *answer, struct bytes macs, struct bytes written_macs)
{
    enum vault_err err = arena_copy(&w->job->round, macs, &answer->macs);
    return err == OK ? arena_copy(&w->job->round, written_macs, &answer->written_macs) : err;
}

static struct proof_entry *
add_entry(const struct job *job, struct proof *proof, unsigned replica, struct bytes macs)
{
    struct proof_entry *e = &proof->entries[proof->count++];
    *e = (struct proof_entry){.node = job->replicas.nodes[replica],
                              .incarnation = job->answers[replica].incarnation,
                              .macs = macs};
    return e;
}

static struct bytes
encode(struct arena *arena, const struct proof *proof)
{
    struct buf encoded = {0};
    struct bytes out = {0};
    if (proof->count > 0 && proof_encode(proof, &encoded) == OK &&
        arena_copy(arena, buf_bytes(&encoded), &out) != OK)
        out = (struct bytes){0};
    buf_close(&encoded);
    return out;
}

static bool
is_vote(const struct answer *a)
{
    return a->answered && a->refusal == REFUSED_NONE && a->macs.size > 0;
}

/*
 * What h* was first written with, as one of those that have accepted it tells: another each time.
 */
static struct bytes
origin_of_head(const struct job *job)
{
    struct bytes found = {0};
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[(i + job->attempts) % job->replicas.count];
        if (is_vote(a) && a->accepted.proof.size > 0 && a->accepted.state != STATE_CHOSEN &&
            memcmp(a->head_id, job->head_id, ID_BYTES) == 0)
            found = a->accepted.proof;
    }
    return found;
}

struct bytes
job_record_value(const struct job *job)
{
    bool put = job->kind == REQUEST_RECORD_PUT && job->purpose == CHANGE_UPDATE && job->request;
    return put ? job->request->value : (struct bytes){0};
}

void
proof_of_votes(struct work *w)
{
    struct job *job = w->job;
    uint8_t memory[VOTE_CALLER_BYTES_MAX];
    struct proposal *p = &job->proposal;
    struct proof *proof = arena_alloc(w->st->arena, sizeof(*proof));
    p->proof = p->origin = p->chosen = (struct bytes){0};
    if (!proof)
        return;
    *proof = (struct proof){.ballot = job->ballot, .purpose = job->purpose};
    memcpy(proof->op_id, job->op_id, OP_ID_BYTES);
    if (job->purpose != CHANGE_FINISH)
        proof->caller = vote_caller(job->caller, job_record_value(job), memory);
    if (job->settling)
        proof->replaced = job->head_encoded;
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (!is_vote(a))
            continue;
        struct proof_entry *e = add_entry(job, proof, i, a->macs);
        e->accepted = a->accepted.ballot;
        e->state = a->accepted.state;
        if (e->state != STATE_ABSENT)
            memcpy(e->head_id, a->head_id, ID_BYTES);
    }
    p->proof = encode(&job->proposal_memory, proof);
    if (job->finishing && !job->settling &&
        arena_copy(&job->proposal_memory, origin_of_head(job), &p->origin) != OK)
        p->origin = (struct bytes){0};
}

struct bytes
proof_of_writes(struct work *w)
{
    const struct job *job = w->job;
    struct proof *proof = arena_alloc(w->st->arena, sizeof(*proof));
    if (!proof)
        return (struct bytes){0};
    *proof = (struct proof){.ballot = job->proposal.ballot};
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (a->written && a->written_macs.size > 0)
            add_entry(job, proof, i, a->written_macs);
    }
    return encode(w->st->arena, proof);
}

/* Of a vote that calls it chosen; else of the majority that has written it at one ballot. */
struct bytes
proof_of_head(struct work *w, struct ballot *ballot)
{
    const struct job *job = w->job;
    struct proof *proof = arena_alloc(w->st->arena, sizeof(*proof));
    struct bytes found = {0};
    for (unsigned i = 0; proof && i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[(i + job->attempts) % job->replicas.count];
        if (is_vote(a) && a->accepted.state == STATE_CHOSEN &&
            memcmp(a->head_id, job->head_id, ID_BYTES) == 0 &&
            proof_decode(a->accepted.proof, proof) == OK && proof->purpose == CHANGE_NONE &&
            arena_copy(w->st->arena, a->accepted.proof, &found) == OK) {
            *ballot = proof->ballot;
            return found;
        }
    }
    if (!proof)
        return found;
    *proof = (struct proof){.ballot = *ballot};
    for (unsigned i = 0; i < job->replicas.count; i++) {
        const struct answer *a = &job->answers[i];
        if (is_vote(a) && a->written_macs.size > 0 &&
            memcmp(a->head_id, job->head_id, ID_BYTES) == 0 &&
            ballot_compare(a->accepted.ballot, *ballot) == 0)
            add_entry(job, proof, i, a->written_macs);
    }
    return encode(w->st->arena, proof);
}
