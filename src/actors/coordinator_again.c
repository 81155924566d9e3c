/*
 * A change whose operation is among those that h* remembers: it has happened, under an earlier
 * round of this job or an earlier request with the same Idempotency-Key. The first result is the
 * answer, if it was the same request. A fingerprint of requests in the heads would be an oracle for
 * weak values, so what the operation wrote is read and compared; once it has been erased, the first
 * result is answered as it is. (docs/protocol.md, "Precondition".)
 */
#include <string.h>

#include "actors/coordinator_internal.h"
#include "proto/alteration.h"

static enum change_kind
change_of(enum request_kind kind)
{
    return kind == REQUEST_CREATE   ? CHANGE_CREATE
           : kind == REQUEST_UPDATE ? CHANGE_UPDATE
           : kind == REQUEST_ALTER  ? CHANGE_ALTER
                                    : CHANGE_DELETE;
}

/* As far as the result tells. */
static bool
is_same_change(const struct job *job, const struct op_result *result)
{
    const struct request *request = job->request;
    uint64_t expected = result->kind == CHANGE_UPDATE ? result->version - 1 : result->version;
    if (result->kind != change_of(job->kind))
        return false;
    if (result->kind == CHANGE_ALTER) {
        uint8_t asked[ALTERATION_PRINT_BYTES];
        alteration_fingerprint(request->alteration, asked);
        if (memcmp(asked, result->fingerprint, ALTERATION_PRINT_BYTES) != 0)
            return false;
    }
    return !request->has_expected_version || request->expected_version == expected;
}

/* The version that it made is still kept: no deletion came after it. */
static bool
is_kept(const struct head *head, const struct op_result *result)
{
    for (size_t i = 0; &head->ops[i] != result; i++) {
        if (head->ops[i].kind == CHANGE_DELETE)
            return false;
    }
    return result->version >= head->oldest_version && result->version <= head->version &&
           head_version_state(head, result->version) == VERSION_AVAILABLE;
}

static void
answer_erasure(struct work *w)
{
    struct job *job = w->job;
    bool still = job->kind == REQUEST_DELETE
                     ? job->head->kind == HEAD_TOMBSTONE
                     : memcmp(job->head->op_id, job->op_id, OP_ID_BYTES) == 0;
    if (still) {
        job->proposal = (struct proposal){.ballot = job->head_ballot};
        struct bytes proof = proof_of_head(w, &job->proposal.ballot);
        if (arena_copy(&job->proposal_memory, job->head_encoded, &job->proposal.head) != OK ||
            arena_copy(&job->proposal_memory, proof, &job->proposal.chosen) != OK) {
            job_fail(w, ERR_NOMEM);
            return;
        }
        memcpy(job->proposal.head_id, job->head_id, ID_BYTES);
        change_start_erasing(w);
        return;
    }
    /* The path has moved on since: who has erased by now is no longer counted. */
    struct reply reply = {.version = job->result_version,
                          .required = cluster_erase_quorum(w->c->membership->cluster),
                          .replicas = job->replicas.count};
    job_reply(w, &reply);
    job_end(w);
}

void
again_answer(struct work *w)
{
    change_answer(w);
    job_end(w);
}

void
again_start(struct work *w, const struct op_result *result)
{
    struct job *job = w->job;
    job->result_version = result->version - job->group_count;
    job->result_at_ms = result->at_ms - job->group_count;
    if (request_is_of_record(job->kind)) {
        identity_spread_again(w, OK);
    } else if (job->keyed && !is_same_change(job, result)) {
        job_fail(w, ERR_KEY_REUSED);
    } else if (job->erases) {
        answer_erasure(w);
    } else if (!job->keyed || job->kind == REQUEST_ALTER || !is_kept(job->head, result)) {
        again_answer(w);
    } else {
        job_leave_line(w);
        job->comparing = true;
        job->listed_version = result->version;
        job->attempts = 0;
        job_resume(w);
    }
}

void
again_compare(struct work *w, const struct version_record *record, struct bytes value,
              enum value_encoding encoding)
{
    const struct request *request = w->job->request;
    if (!member_may_go_on(w))
        return;
    /* Deleted and created again since, this version is another's. */
    if (memcmp(record->op_id, w->job->op_id, OP_ID_BYTES) != 0)
        again_answer(w);
    else if (encoding == request->encoding && secret_equal(value, request->value))
        again_answer(w);
    else
        job_fail(w, ERR_KEY_REUSED);
}
