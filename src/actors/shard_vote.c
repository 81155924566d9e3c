/* Votes: docs/protocol.md, "Voting phase". */
#include <assert.h>

#include "actors/alarms.h"
#include "actors/auditor.h"
#include "actors/authority.h"
#include "actors/shard_proof.h"
#include "actors/sweep.h"
#include "auth/login.h"
#include "base/planted.h"
#include "proto/request.h"

/*
 * In a busy cluster the WRITE comes later than in a quiet one, and is refused when its time is over:
 * the change is made twice then, and everybody is busier still.
 */
struct duration
shard_manners(const struct shard_store *s)
{
    uint64_t least = duration_ms(MANNERS_MS).ns, most = duration_ms(MANNERS_MS_MAX).ns;
    uint64_t ns = 4 * s->write_after_ns;
    return (struct duration){ns < least ? least : ns > most ? most : ns};
}

void
shard_note_write(struct shard_store *s, const struct step *st, const struct shard_path *path)
{
    uint64_t ns = instant_since(st->now, path->promised_at).ns;
    uint64_t most = duration_ms(MANNERS_MS_MAX).ns;
    s->write_after_ns += (ns > most ? most : ns) / 8;
    s->write_after_ns -= s->write_after_ns / 8;
}

/*
 * Parks a vote while another coordinator, for which this node voted a moment ago, has not written
 * yet: for manners only, so that the two do not take the lock from each other for ever.
 */
static bool
park(struct shard_work *w)
{
    struct shard_path *path = w->path;
    if (path->parked.count >= SHARD_PARKED_MAX || sim_maybe(w->st, park_full))
        return false;
    struct shard_waiting *waiting = shard_waiting_of(w->msg);
    if (!waiting)
        return false;
    shard_queue_take(&path->parked, waiting);
    if (!path->park_timer)
        shard_park_timer(path, w->out,
                         sim_maybe(w->st, park_timer_early) ? duration_ms(1) : shard_manners(w->s));
    return true;
}

void
shard_park_timer(struct shard_path *path, struct effects *out, struct duration after)
{
    path->park_timer = true;
    effect_timer(out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_PARKED, path->slot), after);
}

/* Whoever was voted for while others were parked has its time, too. */
void
shard_park_over(struct shard_store *s, const struct step *st, struct shard_path *path,
                struct effects *out)
{
    uint64_t passed = instant_since(st->now, path->promised_at).ns;
    uint64_t most = shard_manners(s).ns;
    path->park_timer = false;
    if (path->awaiting_write && passed < most && (path->parked.count > 0 || path->late) &&
        !sim_maybe(st, park_timer_early)) {
        shard_park_timer(path, out, (struct duration){most - passed});
        return;
    }
    path->awaiting_write = false;
    struct shard_work w = {.s = s, .st = st, .path = path, .out = out};
    shard_late_over(&w);
    shard_unpark(s, path);
}

/* Parked votes come before whatever else waits, but for votes for lower ballots. */
void
shard_unpark(struct shard_store *s, struct shard_path *path)
{
    (void)s;
    if (path->awaiting_write || path->parked.count == 0)
        return;
    struct shard_waiting *waiting = path->queue.first;
    path->queue = path->parked;
    path->parked = (struct shard_queue){0};
    while (waiting) {
        struct shard_waiting *next = waiting->next;
        shard_queue_take(&path->queue, waiting);
        waiting = next;
    }
}

/* Above those that wait, the next vote for the one who is refused waits behind them. */
static struct ballot
to_beat(const struct shard_path *path)
{
    const struct shard_waiting *last = path->parked.last;
    bool above = last && ballot_compare(last->msg.u.vote.ballot, path->promised) > 0;
    return above ? last->msg.u.vote.ballot : path->promised;
}

bool
shard_awaits_another(const struct shard_work *w, struct ballot ballot)
{
    const struct shard_path *path = w->path;
    return path->awaiting_write && path->promised.node != ballot.node &&
           instant_since(w->st->now, path->promised_at).ns < shard_manners(w->s).ns;
}

static const char *
purpose_name(enum change_kind purpose)
{
    switch (purpose) {
    case CHANGE_CREATE: return "create";
    case CHANGE_UPDATE: return "update";
    case CHANGE_DELETE: return "delete";
    case CHANGE_FINISH: return "finish";
    case CHANGE_ALTER: return "alter";
    case CHANGE_ERASE: return "erase";
    case CHANGE_NONE: break;
    }
    return "none";
}

static void
note_vote(const struct shard_work *w, const char *outcome)
{
    const struct msg_vote *vote = &w->msg->u.vote;
    audit_note_asked(w->st, AUDIT_vote, w->msg, w->path->link.path, vote->credential,
                     purpose_name(vote->purpose), outcome);
}

static void
grant(struct shard_work *w)
{
    struct shard_path *path = w->path;
    struct ballot b = w->msg->u.vote.ballot;
    assert(ballot_compare(b, path->promised) > 0);
    assert(ballot_ms(b) <= w->s->node.horizon_ms);
    path->promised = b;
    if (ballot_compare(b, w->s->promised_most) > 0)
        w->s->promised_most = b;
    path->promised_at = w->st->now;
    path->awaiting_write = true;
    path->touched = w->st->now;

    struct msg *m = shard_answer_now(w, MSG_VOTED);
    m->u.voted.ballot = b;
    shard_accepted(path, &m->u.voted.accepted);
    shard_incarnations(w, &m->u.voted.incarnations);
    shard_vouch_vote(w, &m->u.voted);
    metrics_count(w->st->metrics, METRIC_votes_granted);
    note_vote(w, "granted");
    shard_log(w, LOG_DEBUG, "voted", REFUSED_NONE);
}

/*
 * Any node may move the time of the sweep, as far as this one's own clock allows; nobody takes the
 * record away. Who is refused may only have another clock.
 */
static enum vault_err
check_sweep(const struct shard_work *w)
{
    const struct msg_vote *vote = &w->msg->u.vote;
    const struct path_row *row = &w->path->row.row;
    struct head *head = arena_alloc(w->st->arena, sizeof(*head));
    bool present = row->state != STATE_ABSENT;
    if (!head || (present && head_decode(row->head, head) != OK))
        return ERR_NOT_READY;
    struct bytes accepted = present ? head->value : (struct bytes){0};
    bool may = vote->purpose == CHANGE_UPDATE &&
               sweep_may_move(w->s->membership, w->st->wall_ms, accepted, vote->change);
    return may ? OK : ERR_NOT_READY;
}

static enum vault_err
check_caller(const struct shard_work *w)
{
    const struct msg_vote *vote = &w->msg->u.vote;
    const struct membership *ms = w->s->membership;
    struct path path = w->path->link.path;
    if (vote->purpose == CHANGE_FINISH || PLANTED(vote_without_check))
        return OK;
    if (PLANTED(vote_of_login_unchecked) && login_looks_like(vote->credential))
        return OK;
    if (sweep_path_is(path))
        return check_sweep(w);
    return authority_of_vote(ms, w->st, path, vote->purpose, vote->change, vote->credential);
}

/* ---- the limit of the tenant ---- */

/* That creation has happened, and the secret was deleted since: the answer is what it made. */
static bool
has_happened(const struct shard_path *path, const uint8_t op_id[static OP_ID_BYTES])
{
    struct head head;
    return path->row.row.state != STATE_ABSENT && head_decode(path->row.row.head, &head) == OK &&
           head_find_op(&head, op_id);
}

bool
shard_fits_tenant(struct shard_work *w, enum change_kind purpose,
                  const uint8_t op_id[static OP_ID_BYTES])
{
    const struct membership *ms = w->s->membership;
    const struct shard_path *path = w->path;
    struct digest_index *digests = w->s->digests;
    bool here = path->row.row.state != STATE_ABSENT && path->row.head.kind == HEAD_LIVE;
    struct tenant limits;
    if (purpose != CHANGE_CREATE || here || !digests || !digests->whole || digests->tally.broken ||
        !secret_name_valid(path->link.path.name))
        return true;
    authority_tenant_limits(ms, path->link.path.tenant, &limits);
    if (limits.secrets_max == 0 || has_happened(path, op_id))
        return true;
    return tenant_tally_take(
        &digests->tally, path->link.path,
        tenant_tally_bound(limits.secrets_max, ms->cluster->share_count, ms->cluster->node_count),
        w->st->now);
}

/* ---- */

void
shard_on_vote(struct shard_work *w)
{
    const struct msg_vote *vote = &w->msg->u.vote;
    struct shard_path *path = w->path;
    struct ballot b = vote->ballot;
    enum vault_err allowed = check_caller(w);

    if (w->s->membership->audit_failing) {
        shard_refuse(w, REFUSED_DISK_FULL, (struct ballot){0});
    } else if (allowed != OK) {
        if (allowed != ERR_NOT_READY)
            note_vote(w, "denied");
        alarms_peer_refused(w->s->membership, w->st, w->msg->from, allowed);
        shard_refuse(w, allowed == ERR_NOT_READY ? REFUSED_NOT_READY : REFUSED_DENIED,
                     (struct ballot){0});
    } else if (b.offer || b.node != w->msg->from || shard_ballot_too_far(w, b)) {
        shard_refuse(w, REFUSED_DRIFT, (struct ballot){0});
    } else if (ballot_compare(b, w->s->floor) <= 0) {
        shard_refuse(w, REFUSED_FLOOR, w->s->floor);
    } else if (ballot_compare(b, path->promised) == 0) {
        return; /* a repeated vote gets no second answer */
    } else if (ballot_compare(b, path->promised) < 0) {
        shard_refuse(w, REFUSED_BALLOT, to_beat(path));
    } else if (ballot_ms(b) > w->s->node.horizon_ms) {
        shard_horizon_reach(w, ballot_ms(b) + 1000);
        shard_refuse(w, w->s->membership->disk_full ? REFUSED_DISK_FULL : REFUSED_HORIZON,
                     (struct ballot){0});
    } else if (shard_awaits_another(w, b)) {
        if (!park(w))
            shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
    } else if (!shard_fits_tenant(w, vote->purpose, vote->op_id)) {
        note_vote(w, "limit");
        shard_refuse(w, REFUSED_LIMIT, (struct ballot){0});
    } else {
        grant(w);
    }
}
