/*
 * Offers: a new secret written without votes, by a replica that has promised nothing and has nothing
 * there. It decides about the caller as it would before a vote. docs/protocol.md, "Offers".
 */
#include <string.h>

#include "actors/alarms.h"
#include "actors/auditor.h"
#include "actors/authority.h"
#include "actors/shard_internal.h"
#include "base/planted.h"
#include "proto/request.h"

/* The first version of a secret on a path where nothing was before. */
static bool
is_first_of_path(const struct head *head)
{
    static const uint8_t none[ID_BYTES];
    return secret_name_valid(head->path.name) && head->kind == HEAD_LIVE && head->generation == 1 &&
           head->version == 1 && head_brings_version(head) && !head_is_pending(head) &&
           memcmp(head->prev, none, ID_BYTES) == 0;
}

void
shard_note_offer(const struct shard_work *w, const char *outcome)
{
    audit_note_asked(w->st, AUDIT_vote, w->msg, w->path->link.path, w->msg->u.write.credential,
                     "create", outcome);
}

/* The version must be signed by whom the credential names. */
static enum vault_err
check_caller(const struct shard_work *w, const struct head *head, struct bytes author)
{
    const struct membership *ms = w->s->membership;
    struct bytes credential = w->msg->u.write.credential;
    char memory[CALLER_BYTES];
    if (PLANTED(offer_without_check))
        return OK;
    enum vault_err err =
        authority_of_vote(ms, w->st, head->path, CHANGE_CREATE, (struct bytes){0}, credential);
    if (err != OK)
        return err;
    return bytes_equal(author, authority_caller(ms, head->path, credential, memory))
               ? OK
               : ERR_NOT_FOUND;
}

/*
 * Whoever has voted, or accepted anything, has told somebody or may yet have to: no offer comes after
 * that. A copy of the one that stands here is answered again.
 */
static enum refusal
check_place(const struct shard_work *w)
{
    const struct shard_path *path = w->path;
    struct ballot b = w->msg->u.write.ballot;
    bool promised = ballot_compare(ballot_promised(b), path->promised) <= 0;
    if (path->row.row.state != STATE_ABSENT && ballot_compare(b, path->row.row.ballot) == 0)
        return REFUSED_NONE;
    if (path->row.row.state != STATE_ABSENT && !PLANTED(offer_over_accepted))
        return REFUSED_BALLOT;
    if (promised && !PLANTED(offer_below_promise))
        return REFUSED_BALLOT;
    return shard_awaits_another(w, b) ? REFUSED_BUSY : REFUSED_NONE;
}

/* A copy of it that comes later, when things are otherwise, is not taken either. */
static enum refusal
refuse_for_good(struct shard_work *w, enum refusal refusal)
{
    struct ballot promise = ballot_promised(w->msg->u.write.ballot);
    if (ballot_compare(promise, w->path->promised) > 0)
        w->path->promised = promise;
    if (ballot_compare(promise, w->s->promised_most) > 0)
        w->s->promised_most = promise;
    return refusal;
}

enum refusal
shard_offer_allowed(struct shard_work *w, const struct head *head, struct bytes author)
{
    const struct msg_write *write = &w->msg->u.write;
    if (!is_first_of_path(head))
        return REFUSED_DEALING;
    if (ballot_ms(write->ballot) > w->s->node.horizon_ms) {
        shard_horizon_reach(w, ballot_ms(write->ballot) + 1000);
        return REFUSED_HORIZON;
    }
    if (w->s->membership->audit_failing)
        return refuse_for_good(w, REFUSED_DISK_FULL);
    enum vault_err allowed = check_caller(w, head, author);
    if (allowed != OK) {
        if (allowed != ERR_NOT_READY)
            shard_note_offer(w, "denied");
        alarms_peer_refused(w->s->membership, w->st, w->msg->from, allowed);
        return allowed == ERR_NOT_READY ? REFUSED_NOT_READY : refuse_for_good(w, REFUSED_DENIED);
    }
    enum refusal refusal = check_place(w);
    if (refusal != REFUSED_NONE)
        return refusal;
    return shard_fits_tenant(w, CHANGE_CREATE, head->op_id) ? REFUSED_NONE : REFUSED_LIMIT;
}
