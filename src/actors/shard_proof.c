#include "actors/shard_proof.h"

#include <string.h>

#include "actors/authority.h"
#include "actors/sweep.h"
#include "base/planted.h"
#include "proto/record_path.h"

/* One node may be broken: what two say, each for itself, a sound one says. */
enum { WITNESSES = 2 };

/* ---- vouching ---- */

void
shard_vouch_vote(struct shard_work *w, struct msg_voted *voted)
{
    const struct msg_vote *vote = &w->msg->u.vote;
    const struct membership *ms = w->s->membership;
    const struct shard_row *row = &w->path->row;
    bool present = row->row.state != STATE_ABSENT;
    char caller[CALLER_BYTES];
    uint8_t memory[VOTE_CALLER_BYTES_MAX];
    struct statement s = {.path = w->path->link.path,
                          .ballot = vote->ballot,
                          .purpose = vote->purpose,
                          .op_id = vote->op_id,
                          .accepted = row->row.ballot,
                          .state = row->row.state,
                          .head_id = present ? row->head.id : NULL,
                          .incarnation = ms->members[ms->self].incarnation};
    if (vote->purpose != CHANGE_FINISH)
        s.caller = vote_caller(authority_caller(ms, s.path, vote->credential, caller), vote->change,
                               memory);
    voted->macs = vouch(ms, w->st, &s);
    if (row->row.state != STATE_ACCEPTED)
        return;
    s = (struct statement){.path = s.path,
                           .ballot = row->row.ballot,
                           .head_id = row->head.id,
                           .incarnation = s.incarnation};
    voted->written_macs = vouch(ms, w->st, &s);
}

void
shard_vouch_written(const struct membership *ms, const struct step *st, struct path path,
                    struct msg_written *written)
{
    struct statement s = {.path = path,
                          .ballot = written->ballot,
                          .head_id = written->head_id,
                          .incarnation = ms->members[ms->self].incarnation};
    written->macs = vouch(ms, st, &s);
}

/* ---- votes ---- */

static unsigned
majority(const struct shard_work *w)
{
    return replicas_majority(&w->path->replicas);
}

/* A majority has written it at one ballot; an offer, all have. */
static bool
is_enough(const struct shard_work *w, const struct proof *writes, unsigned good)
{
    bool all = writes->ballot.offer && !PLANTED(offer_proven_by_majority);
    return good >= (all ? w->s->membership->cluster->share_count : majority(w));
}

/* Leaves the entries that are vouched for to this node. How many of the others may have been. */
static unsigned
keep_vouched(const struct shard_work *w, struct proof *proof)
{
    struct vouch_checker checker;
    unsigned unknown = 0;
    size_t kept = 0;
    vouch_checker_init(&checker, w->s->membership, w->path->link.path, proof, NULL);
    for (size_t i = 0; i < proof->count; i++) {
        const struct proof_entry *e = &proof->entries[i];
        enum vouched v = vouch_check(&checker, e);
        unknown += v == VOUCHED_UNKNOWN;
        if (v == VOUCHED_FOR)
            proof->entries[kept++] = *e;
    }
    proof->count = kept;
    return unknown;
}

/* What an older incarnation of a voter's store promised counts for nothing. */
static bool
voters_are_current(const struct shard_work *w, const struct proof *proof)
{
    for (size_t i = 0; i < proof->count && !PLANTED(count_lost_stores_votes); i++) {
        const struct proof_entry *e = &proof->entries[i];
        if (e->incarnation < w->s->membership->members[e->node].incarnation)
            return false;
    }
    return true;
}

/*
 * What a void, a head without mark or an expiry replaces: pending or with an end, and the very head
 * that the voters had.
 */
static bool
decode_replaced(const struct proof *proof, const struct head *head, struct head *out)
{
    uint8_t id[ID_BYTES];
    if (head_decode(proof->replaced, out) != OK ||
        (!head_is_pending(out) && out->expires_at_ms == 0))
        return false;
    record_id(proof->replaced, id);
    return memcmp(id, head->prev, ID_BYTES) == 0 && path_equal(out->path, head->path);
}

static bool
is_void_of(const struct head *head, const struct head *pending)
{
    return head->kind == HEAD_VOID && head->deleted_before == pending->deleted_before;
}

static bool
is_without_mark(const struct head *head, const struct head *pending)
{
    return head->kind == HEAD_LIVE && !head_is_pending(head) && head->version == pending->version &&
           head->oldest_version == pending->oldest_version &&
           memcmp(head->incarnation, pending->incarnation, INCARNATION_BYTES) == 0 &&
           memcmp(head->version_id, pending->version_id, ID_BYTES) == 0 &&
           memcmp(head->op_id, pending->op_id, OP_ID_BYTES) == 0;
}

/* By this node's own clocks, within what two of them may differ. */
static bool
is_expiry_of(const struct shard_work *w, const struct head *head, const struct head *expired)
{
    uint64_t now_ms = membership_clock_ms(w->s->membership, w->st->wall_ms) + CLOCK_SKEW_MS_MAX;
    return head_is_of_expiry(head) && head_is_expired(expired, now_ms) &&
           head->version == expired->version &&
           memcmp(head->incarnation, expired->incarnation, INCARNATION_BYTES) == 0;
}

/* A head that the votes of a client's operation allow: its kind, its operation, its author. */
static bool
is_of_operation(const struct proof *proof, const struct head *head, struct bytes author)
{
    if (head->kind == HEAD_RECORD)
        return proof->purpose == CHANGE_CREATE;
    if (memcmp(head->op_id, proof->op_id, OP_ID_BYTES) != 0)
        return false;
    if (head->kind == HEAD_TOMBSTONE)
        return proof->purpose == CHANGE_DELETE;
    if (head->kind == HEAD_INLINE)
        return proof->purpose == (head_has_value(head) ? CHANGE_UPDATE : CHANGE_DELETE) &&
               vote_caller_names(proof->caller, head->value);
    if (head->kind == HEAD_LIVE && !head_brings_version(head))
        return proof->purpose == CHANGE_ALTER || proof->purpose == CHANGE_ERASE;
    if (head->kind != HEAD_LIVE || !bytes_equal(author, proof->caller))
        return false;
    return proof->purpose == (head->version == 1 ? CHANGE_CREATE : CHANGE_UPDATE);
}

/*
 * Where an offer was met that cannot be chosen any more, since not all voters have it (follows_votes()
 * has seen to that), anybody may say that nothing is there.
 */
static bool
is_void_of_offer(const struct proof *votes, const struct head *head)
{
    bool met = false;
    for (size_t i = 0; i < votes->count; i++)
        met = met || (votes->entries[i].state != STATE_ABSENT && votes->entries[i].accepted.offer);
    return met && head->kind == HEAD_VOID && head->generation == 1 && !head->deleted_before &&
           head->op_count == 0;
}

/* Votes without a caller allow no more than what settles a batch, or an offer. */
static bool
is_allowed(struct shard_work *w, const struct proof *proof, const struct head *head,
           struct bytes author)
{
    struct head *pending = arena_alloc(w->st->arena, sizeof(*pending));
    if (!pending)
        return false;
    if (proof->replaced.size > 0)
        return decode_replaced(proof, head, pending) &&
               (head_is_pending(pending)
                    ? is_void_of(head, pending) || is_without_mark(head, pending)
                    : is_expiry_of(w, head, pending));
    if (proof->purpose == CHANGE_FINISH)
        return (head->kind == HEAD_RECORD && head->decision == BATCH_ABORTED) ||
               is_void_of_offer(proof, head);
    return is_of_operation(proof, head, author);
}

/* It is built on the head that the voters had, the newest of them. */
static bool
follows_votes(const struct proof *proof, const struct head *head)
{
    const struct proof_entry *top = proof_newest(proof);
    return top ? memcmp(top->head_id, head->prev, ID_BYTES) == 0 : head->generation == 1;
}

/* A set of versions of the head before, as seen from that oldest version. */
static uint64_t
set_from(uint64_t set, const struct head_summary *have, uint64_t oldest_version)
{
    uint64_t fall_out = oldest_version - have->oldest_version;
    return fall_out < 64 ? set >> fall_out : 0;
}

/* A member of a batch comes by the limits of its tenant with the first change after it. */
static bool
has_limits_of(const struct head_summary *have, const struct head *head)
{
    return have->pending ||
           (head->max_versions == have->max_versions && head->expires_at_ms == have->expires_at_ms);
}

/* What an update leaves as it is. */
static bool
updates(const struct head_summary *have, const struct head *head)
{
    uint64_t oldest = oldest_version_kept(head->version, have->oldest_version, have->max_versions);
    if (have->pending && head->oldest_version != oldest)
        oldest = oldest_version_kept(head->version, have->oldest_version, head->max_versions);
    return head->version == have->version + 1 + head_earlier_count(head) &&
           head->oldest_version == oldest &&
           head->soft_deleted == set_from(have->soft_deleted, have, oldest) &&
           head->destroyed == set_from(have->destroyed, have, oldest) && has_limits_of(have, head);
}

/*
 * Nothing destroyed comes back, and nothing is cut off that is to be kept. Who may not delete takes
 * nothing away.
 */
static bool
alters(const struct head_summary *have, const struct head *head, enum change_kind purpose)
{
    uint64_t oldest = oldest_version_kept(have->version, have->oldest_version, head->max_versions);
    uint64_t destroyed = set_from(have->destroyed, have, oldest);
    uint64_t deleted = set_from(have->soft_deleted, have, oldest);
    if (have->kind != HEAD_LIVE || head->version != have->version ||
        head->oldest_version != oldest || (destroyed & ~head->destroyed) != 0)
        return false;
    return purpose == CHANGE_ERASE ||
           (head->destroyed == destroyed && (head->soft_deleted & ~deleted) == 0 &&
            has_limits_of(have, head));
}

/* Where the head before it is at hand: nothing is cut off, and nothing made anew, on the way. */
static bool
continues(const struct shard_path *path, const struct head *head, enum change_kind purpose)
{
    const struct head_summary *have = &path->row.head;
    if (path->row.row.state == STATE_ABSENT || memcmp(have->id, head->prev, ID_BYTES) != 0)
        return true;
    bool same = memcmp(have->incarnation, head->incarnation, INCARNATION_BYTES) == 0;
    bool unmarked = memcmp(have->version_id, head->version_id, ID_BYTES) == 0;
    if (head->kind == HEAD_INLINE)
        return sweep_may_follow(have->forget_after_ms, head, same) &&
               (same ? head->version == have->version + head_has_value(head) : head->version == 1);
    if (head->kind == HEAD_TOMBSTONE)
        return have->kind == HEAD_LIVE && same && unmarked && head->version == have->version;
    if (head->kind != HEAD_LIVE)
        return true;
    if (have->kind != HEAD_LIVE)
        return head->version == 1;
    if (!head_brings_version(head))
        return same && unmarked && alters(have, head, purpose);
    if (unmarked)
        return same && head->version == have->version;
    return same && updates(have, head);
}

static bool
allows(struct shard_work *w, const struct proof *proof, const struct head *head,
       struct bytes author)
{
    return follows_votes(proof, head) && is_allowed(w, proof, head, author);
}

/* Voters who had accepted that head by themselves. */
static unsigned
witnesses(const struct proof *proof, const uint8_t head_id[static ID_BYTES])
{
    unsigned count = 0;
    for (size_t i = 0; i < proof->count; i++) {
        const struct proof_entry *e = &proof->entries[i];
        bool accepted = e->state == STATE_ACCEPTED || e->state == STATE_CHOSEN;
        count += accepted && memcmp(e->head_id, head_id, ID_BYTES) == 0;
    }
    return count;
}

static unsigned
offer_witnesses(const struct shard_work *w)
{
    return w->s->membership->cluster->share_count > 1 ? WITNESSES : 1;
}

/*
 * An offer was not voted on. Those who have taken it say so with their votes, which are kept with it
 * from then on.
 */
static bool
repeats_offer(struct shard_work *w, const struct proof *votes,
              const uint8_t head_id[static ID_BYTES], struct bytes *keep)
{
    *keep = w->msg->u.write.proof;
    return witnesses(votes, head_id) >= offer_witnesses(w);
}

/* These are votes by which an offer was first finished. */
static bool
is_proven_offer(const struct shard_work *w, const struct proof *origin,
                const uint8_t head_id[static ID_BYTES])
{
    const struct proof_entry *top = proof_newest(origin);
    return top && top->accepted.offer && memcmp(top->head_id, head_id, ID_BYTES) == 0 &&
           witnesses(origin, head_id) >= offer_witnesses(w);
}

/* Another's change: it was allowed when it was first written, or is here already. */
static bool
repeats(struct shard_work *w, const struct proof *votes, const struct head *head,
        const uint8_t head_id[static ID_BYTES], struct bytes author, struct bytes *keep)
{
    const struct shard_row *row = &w->path->row;
    struct proof *origin = arena_alloc(w->st->arena, sizeof(*origin));
    bool here = (row->row.state == STATE_ACCEPTED || row->row.state == STATE_CHOSEN) &&
                memcmp(row->head.id, head_id, ID_BYTES) == 0;
    const struct proof_entry *top = proof_newest(votes);
    if (top->accepted.offer && top->state != STATE_CHOSEN)
        return repeats_offer(w, votes, head_id, keep);
    if (here)
        return true;
    *keep = w->msg->u.write.origin;
    if (origin && proof_decode(*keep, origin) == OK && origin->purpose == CHANGE_NONE) {
        struct vouch_checker checker;
        unsigned unknown; /* it is chosen, though its holder has forgotten that it knew */
        vouch_checker_init(&checker, w->s->membership, w->path->link.path, origin, head_id);
        if (is_enough(w, origin, vouch_count(&checker, origin, &unknown, NULL)))
            return true;
    }
    if (origin && proof_decode(*keep, origin) == OK && origin->purpose != CHANGE_NONE) {
        (void)keep_vouched(w, origin);
        if (origin->count >= majority(w))
            return is_proven_offer(w, origin, head_id) || allows(w, origin, head, author);
    }
    return witnesses(votes, head_id) >= WITNESSES;
}

static enum refusal
refuse(struct shard_work *w, bool unknown)
{
    metrics_count(w->st->metrics, unknown ? METRIC_proofs_unknown : METRIC_proofs_refused);
    return REFUSED_PROOF;
}

enum refusal
shard_write_proven(struct shard_work *w, const struct head *head,
                   const uint8_t head_id[static ID_BYTES], struct bytes author, struct bytes *keep)
{
    const struct msg_write *write = &w->msg->u.write;
    const struct membership *ms = w->s->membership;
    struct proof *votes = arena_alloc(w->st->arena, sizeof(*votes));
    *keep = (struct bytes){0};
    if (!ms->vote_keys || PLANTED(write_without_proof) ||
        (PLANTED(record_without_votes) && record_path_is(w->path->link.path)))
        return REFUSED_NONE;
    if (!votes)
        return REFUSED_BUSY;
    if (proof_decode(write->proof, votes) != OK || votes->purpose == CHANGE_NONE ||
        ballot_compare(votes->ballot, write->ballot) != 0)
        return refuse(w, false);
    unsigned unknown = keep_vouched(w, votes);
    if (votes->count < majority(w))
        return refuse(w, votes->count + unknown >= majority(w));
    if (!voters_are_current(w, votes))
        return REFUSED_INCARNATION;
    const struct proof_entry *top = proof_newest(votes);
    if (top && memcmp(top->head_id, head_id, ID_BYTES) == 0)
        return repeats(w, votes, head, head_id, author, keep) ? REFUSED_NONE : refuse(w, false);
    *keep = write->proof;
    return allows(w, votes, head, author) && continues(w->path, head, votes->purpose)
               ? REFUSED_NONE
               : refuse(w, false);
}

/* ---- writes ---- */

/*
 * What is told without a proof that is good here counts when two have told it. A false one is no
 * worse than none: who shows it could as well have left it out. And it need not be the teller's
 * doing: what was vouched for to the key that this node had before is false to the key of now.
 * Both must name the same ballot, since of two that differ any may be made up, and what is taken
 * too high hides a later change, too low lets an older vote in.
 */
static bool
claimed(struct shard_work *w, const uint8_t head_id[static ID_BYTES], struct ballot at)
{
    struct shard_path *path = w->path;
    if (w->msg->from == w->s->membership->self)
        return false;
    if (memcmp(path->claimed_id, head_id, ID_BYTES) != 0 ||
        ballot_compare(path->claimed_at, at) != 0)
        path->claimed_by = 0;
    memcpy(path->claimed_id, head_id, ID_BYTES);
    path->claimed_at = at;
    path->claimed_by |= 1u << w->msg->from;
    return (path->claimed_by & (path->claimed_by - 1)) != 0;
}

/* Then a notice brings nothing, and asks for an answer alone: its sender waits for the erasure. */
static bool
is_known_chosen(const struct shard_path *path, const uint8_t head_id[static ID_BYTES],
                struct ballot at)
{
    return path->row.row.state == STATE_CHOSEN &&
           memcmp(path->row.head.id, head_id, ID_BYTES) == 0 &&
           ballot_compare(path->row.row.ballot, ballot_promised(at)) >= 0;
}

bool
shard_chosen_proven(struct shard_work *w, const uint8_t head_id[static ID_BYTES],
                    struct bytes encoded, struct ballot *ballot, uint64_t *written)
{
    const struct membership *ms = w->s->membership;
    struct proof *proof = arena_alloc(w->st->arena, sizeof(*proof));
    unsigned unknown = 0;
    *written = UINT64_MAX;
    if (!ms->vote_keys || PLANTED(chosen_without_proof) || PLANTED(anti_entropy_takes_unchosen))
        return true;
    *written = 0;
    if (!proof)
        return false;
    if (proof_decode(encoded, proof) == OK && proof->purpose == CHANGE_NONE) {
        struct vouch_checker checker;
        vouch_checker_init(&checker, ms, w->path->link.path, proof, head_id);
        unsigned good = vouch_count(&checker, proof, &unknown, written);
        *ballot = proof->ballot; /* a row may stand higher at its holder, and the proof is kept */
        if (is_enough(w, proof, good))
            return true;
    }
    if (is_known_chosen(w->path, head_id, *ballot))
        return true;
    bool checkable = unknown == 0 && proof->purpose == CHANGE_NONE && proof->count > 0;
    metrics_count(w->st->metrics, checkable ? METRIC_proofs_refused : METRIC_proofs_unknown);
    return claimed(w, head_id, *ballot);
}

struct ballot
shard_told_ballot(const struct shard_path *path)
{
    struct proof proof;
    if (path->row.row.state != STATE_CHOSEN || proof_decode(path->row.row.proof, &proof) != OK ||
        proof.purpose != CHANGE_NONE)
        return path->row.row.ballot;
    return proof.ballot;
}
