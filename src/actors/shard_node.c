/*
 * The shard store's durable facts about the node as a whole: how far it may promise (the horizon), and
 * which incarnation of a store it is.
 */
#include <string.h>

#include "actors/lease.h"
#include "actors/shard_internal.h"
#include "actors/standing.h"

/* What the other actors and the other nodes see of the durable facts. */
void
shard_node_announce(struct shard_store *s)
{
    struct member *self = &s->membership->members[s->membership->self];
    self->incarnation = s->node.incarnation;
    self->boot = s->node.boot;
    self->recovery = s->node.recovery;
    memcpy(self->store_id, s->node.store_id, STORE_ID_BYTES);
}

/* ---- promise horizon ---- */

static bool
node_row_change(const struct node_row *row, const struct step *st, struct store_change *change)
{
    struct row_key key;
    struct buf value = {0};
    struct bytes key_copy, value_copy;
    row_key_meta("node", &key);
    bool made = change && node_row_encode(row, &value) == OK &&
                arena_copy(st->arena, row_key_bytes(&key), &key_copy) == OK &&
                arena_copy(st->arena, buf_bytes(&value), &value_copy) == OK;
    if (made)
        *change = (struct store_change){STORE_PUT, key_copy, value_copy};
    buf_close(&value);
    return made;
}

static bool
node_row_store(const struct node_row *row, const struct step *st, enum shard_tag tag,
               struct effects *out)
{
    struct store_change *change = arena_alloc(st->arena, sizeof(*change));
    bool made = node_row_change(row, st, change);
    if (made)
        effect_store(out, ACTOR_SHARD_STORE, shard_tag(tag, 0), change, 1);
    return made;
}

static void
horizon_store(struct shard_store *s, const struct step *st, uint64_t horizon_ms,
              struct effects *out)
{
    /* A row with the old incarnation must not come after the one that is on its way. */
    if (s->node_pending || s->node.incarnation == 0)
        return;
    /*
     * One at a time: a completion says nothing of a later one. What is wanted beyond it comes next.
     */
    if (s->horizon_pending_ms != 0) {
        if (s->membership->horizon_wanted_ms < horizon_ms)
            s->membership->horizon_wanted_ms = horizon_ms;
        return;
    }
    struct node_row row = s->node;
    row.horizon_ms = horizon_ms;
    if (node_row_store(&row, st, SHARD_TAG_HORIZON, out))
        s->horizon_pending_ms = horizon_ms;
}

void
shard_horizon_move(struct shard_store *s, const struct step *st, struct effects *out)
{
    uint64_t floor_ms = ballot_ms(s->floor);
    uint64_t target = st->wall_ms + HORIZON_AHEAD_MS;
    if (target < floor_ms + 1000)
        target = floor_ms + 1000;
    bool due = s->node.horizon_ms < target - HORIZON_MOVE_MS || !s->serving;
    if (s->membership->horizon_wanted_ms > s->node.horizon_ms) {
        due = true;
        if (target < s->membership->horizon_wanted_ms)
            target = s->membership->horizon_wanted_ms;
    }
    if (due)
        horizon_store(s, st, target, out);
}

void
shard_horizon_reach(struct shard_work *w, uint64_t horizon_ms)
{
    horizon_store(w->s, w->st, horizon_ms, w->out);
}

void
shard_on_horizon_stored(struct shard_store *s, const struct step *st, enum vault_err err,
                        struct effects *out)
{
    uint64_t stored_ms = s->horizon_pending_ms;
    s->horizon_pending_ms = 0;
    s->membership->disk_full = err == ERR_DISK_FULL;
    if (err != OK)
        return; /* asked for again at the next move */
    if (stored_ms > s->node.horizon_ms)
        s->node.horizon_ms = stored_ms;
    s->membership->horizon_ms = s->node.horizon_ms;
    s->serving = true;
    shard_horizon_move(s, st, out);
}

/* ---- incarnations ---- */

void
shard_store_reincarnate(struct shard_store *s, const struct step *st, uint64_t incarnation,
                        struct effects *out)
{
    if (s->node_pending)
        return;
    s->node_next = s->node;
    s->node_next.incarnation = incarnation;
    s->node_next.recovery = RECOVERY_HANDOVER;
    s->node_next.horizon_ms = st->wall_ms + HORIZON_AHEAD_MS;
    s->node_pending = node_row_store(&s->node_next, st, SHARD_TAG_NODE, out);
}

void
shard_store_mend(struct shard_store *s, const struct step *st, uint64_t incarnation,
                 struct effects *out)
{
    struct store_change *list = arena_alloc(st->arena, (DOUBTS_MAX + 1) * sizeof(*list));
    uint64_t horizon_ms = st->wall_ms + HORIZON_AHEAD_MS;
    size_t count = 1;
    if (s->node_pending || s->horizon_pending_ms != 0)
        return;
    s->node_next = s->node;
    s->node_next.incarnation = incarnation;
    s->node_next.recovery = s->doubts.too_many ? RECOVERY_HANDOVER : RECOVERY_SHARES;
    /* What was promised under the older horizon still binds this node after a restart. */
    if (horizon_ms > s->node.horizon_ms)
        s->node_next.horizon_ms = horizon_ms;
    if (!node_row_change(&s->node_next, st, list) || !shard_doubts_mend(s, st, list, &count))
        return;
    s->node_keeps = !s->doubts.too_many;
    s->node_pending = true;
    effect_store(out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_NODE, 0), list, count);
}

void
shard_store_recovered(struct shard_store *s, const struct step *st, enum recovery_state recovery,
                      struct effects *out)
{
    if (s->node_pending || s->horizon_pending_ms != 0 ||
        (recovery == RECOVERY_NONE && s->node.recovery != RECOVERY_SHARES))
        return;
    s->node_next = s->node;
    s->node_next.recovery = recovery;
    /* The floor that the handover has left must outlive this process. */
    if (s->node_next.horizon_ms < ballot_ms(s->floor) + 1)
        s->node_next.horizon_ms = ballot_ms(s->floor) + 1;
    s->node_pending = node_row_store(&s->node_next, st, SHARD_TAG_NODE, out);
}

void
shard_store_set_forgotten(struct shard_store *s, const struct step *st, uint64_t before_ms,
                          struct effects *out)
{
    if (s->node_pending || s->horizon_pending_ms != 0 || s->node.incarnation == 0 ||
        before_ms <= s->node.forgotten_ms)
        return;
    s->node_next = s->node;
    s->node_next.forgotten_ms = before_ms;
    s->node_pending = node_row_store(&s->node_next, st, SHARD_TAG_NODE, out);
    if (s->node_pending)
        s->membership->forgetting_ms = before_ms;
}

struct ballot
shard_store_promised(const struct shard_store *s)
{
    return ballot_compare(s->floor, s->promised_most) > 0 ? s->floor : s->promised_most;
}

void
shard_store_raise_floor(struct shard_store *s, struct ballot floor)
{
    if (ballot_compare(floor, s->floor) > 0)
        s->floor = floor;
}

/*
 * What the older incarnation promised is not known any more. A bound comes with the handover: among
 * those who hand over there is one that voted at each ballot for which that vote was used.
 */
static void
forget_promises(struct shard_store *s)
{
    s->floor = s->promised_most = (struct ballot){0};
    for (struct path_link *link = s->paths.oldest; link; link = link->newer) {
        struct shard_path *path = (struct shard_path *)link;
        path->promised =
            ballot_promised(path->has_next ? path->next->row.ballot : path->row.row.ballot);
        path->awaiting_write = false;
    }
}

static void
forget_peers(struct membership *ms)
{
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        ms->members[i].told = false;
        ms->members[i].handed_over = false;
    }
}

/* What was a part of the digests is none any more. */
static void
tell_forgotten(void *context, const struct auth_record *record)
{
    struct shard_store *s = context;
    struct head_state before = {.state = record->state}, after = {.state = STATE_ABSENT};
    memcpy(before.head_id, record->accepted_id, ID_BYTES);
    if (s->digests)
        digests_change(s->digests, record->link.path, &before, &after);
}

/* In one step: nobody sees a record that is forgotten in one place and not in another. */
static void
forget_records(struct shard_store *s, const struct step *st)
{
    struct membership *ms = s->membership;
    const struct auth_forget_tell tell = {s, tell_forgotten};
    if (s->node.forgotten_ms <= ms->forgotten_ms)
        return;
    ms->forgotten_ms = s->node.forgotten_ms;
    size_t count = ms->records ? auth_view_forget(ms->records, ms->forgotten_ms, &tell) : 0;
    lease_reconsider(ms);
    log_event(st->log, LOG_INFO, "shard_store", "records_forgotten", log_u64("count", count),
              log_u64("before_ms", ms->forgotten_ms));
}

void
shard_on_node_stored(struct shard_store *s, const struct step *st, enum vault_err err,
                     struct effects *out)
{
    struct membership *ms = s->membership;
    bool reborn = s->node_next.incarnation != s->node.incarnation;
    bool keeps = s->node_keeps;
    s->node_pending = s->node_keeps = false;
    shard_doubts_mended(s, err);
    if (err != OK)
        return; /* whoever wanted it asks again */
    s->node = s->node_next;
    shard_node_announce(s);
    ms->horizon_ms = s->node.horizon_ms;
    forget_records(s, st);
    if (reborn) {
        if (!keeps)
            forget_promises(s);
        forget_peers(ms);
        /* Where the rows stay, what somebody has shown of them meanwhile is still so. */
        ms->behind = ms->incarnation_told > s->node.incarnation || (keeps && ms->behind);
        s->serving = true;
        log_event(st->log, LOG_WARN, "shard_store", "new_incarnation",
                  log_u64("incarnation", s->node.incarnation));
    }
    shard_horizon_move(s, st, out);
}

void
shard_store_start(struct shard_store *s, const struct step *st, struct effects *out)
{
    s->node.boot++;
    shard_node_announce(s);
    shard_doubts_changed(s); /* they are not known yet */
    shard_doubts_load(st, out);
    shard_horizon_move(s, st, out);
    effect_timer(out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_HORIZON_TIMER, 0),
                 duration_ms(HORIZON_LOOK_MS));
}

/*
 * Votes need a durable horizon besides: without one (a full disk) the node goes on answering reads.
 */
bool
shard_store_serving(const struct shard_store *s)
{
    return s->serving && standing_ready_overall(s->membership);
}
