#include "actors/sweeper.h"

#include <assert.h>

#include "actors/lease.h"
#include "actors/list_watch.h"
#include "actors/sweep.h"
#include "auth/sweep.h"
#include "base/planted.h"

enum sweeper_tag { TAG_TICK = 1, TAG_DROP = 2 };
enum { ROWS_OF_RECORD = 4 };

void
sweeper_init(struct sweeper *sw, struct membership *membership, struct shard_store *store)
{
    *sw = (struct sweeper){.membership = membership, .store = store};
}

/* ---- the time that was agreed upon ---- */

/* As far as it is known chosen here; 0: none. */
static uint64_t
agreed_ms(const struct sweeper *sw)
{
    const struct auth_record *record = auth_view_find(sw->membership->records, sweep_path());
    uint64_t before_ms;
    return record && sweep_decode(buf_bytes(&record->value), &before_ms) == OK ? before_ms : 0;
}

static void
apply(struct sweeper *sw, const struct step *st, struct effects *out)
{
    uint64_t before_ms = agreed_ms(sw);
    if (PLANTED(sweep_own_clock))
        before_ms = sweep_target_ms(sw->membership, st->wall_ms);
    if (before_ms <= sw->membership->forgotten_ms)
        return;
    sw->looked = st->now;
    shard_store_set_forgotten(sw->store, st, before_ms, out);
}

/* Whoever goes by a later time tells its head of the record, chosen as it is. */
static void
ask(struct sweeper *sw, const struct step *st, struct effects *out)
{
    const struct membership *ms = sw->membership;
    uint64_t here_ms = agreed_ms(sw);
    if (instant_since(st->now, sw->asked).ns < duration_ms(SWEEP_ASK_MS).ns)
        return;
    for (uint8_t i = 0; i < ms->cluster->node_count; i++) {
        if (i == ms->self || !ms->members[i].connected || ms->members[i].forgotten_ms <= here_ms)
            continue;
        sw->asked = st->now;
        struct msg *m = effect_send(out, MSG_DELIVER, i, NULL);
        m->path = sweep_path();
        m->u.deliver.owner = (uint64_t)DELIVER_HEAD_TO + ms->self;
        return;
    }
}

/* ---- proposing another ---- */

static uint64_t
interval_ms(const struct sweeper *sw)
{
    uint64_t ms = sw->membership->sweep_slack_ms / 8;
    if (sw->membership->records->records.count > SWEEP_MANY && ms > SWEEP_MANY_INTERVAL_MS)
        ms = SWEEP_MANY_INTERVAL_MS;
    if (sw->more || ms < SWEEP_INTERVAL_MS_MIN)
        return SWEEP_INTERVAL_MS_MIN;
    return ms < SWEEP_INTERVAL_MS_MAX ? ms : SWEEP_INTERVAL_MS_MAX;
}

/*
 * The first of the connected nodes proposes; each other one after a while in which nothing has been
 * decided, since the first may have its reasons.
 */
static bool
is_due(const struct sweeper *sw, const struct step *st)
{
    const struct membership *ms = sw->membership;
    unsigned before = 0;
    for (unsigned i = 0; i < ms->self; i++)
        before += ms->members[i].connected;
    uint64_t wait_ms = interval_ms(sw) * (4 + before) / 4;
    return instant_since(st->now, sw->looked).ns >= wait_ms * UINT64_C(1000000);
}

static void
propose(struct sweeper *sw, const struct step *st, struct effects *out)
{
    const struct membership *ms = sw->membership;
    const struct auth_view *view = ms->records;
    size_t count;
    if (agreed_ms(sw) > ms->forgotten_ms || view->forgotten_count > 0 || !is_due(sw, st) ||
        !lease_is_valid(ms, st->now))
        return;
    uint64_t limit_ms = sweep_target_ms(ms, membership_clock_ms(ms, st->wall_ms));
    uint64_t before_ms = auth_view_forgettable(view, limit_ms, AUTH_FORGET_MAX, &count);
    sw->looked = st->now;
    sw->more = count == AUTH_FORGET_MAX;
    if (before_ms == 0)
        return;
    struct msg *m = effect_local(out, ACTOR_COORDINATOR, MSG_CHANGE);
    m->path = sweep_path();
    m->u.request.sweep_ms = before_ms;
}

/* ---- dropping rows ---- */

/* The row of the path, and those that say that there is one. */
static bool
add_deletions(const struct step *st, struct path path, struct store_change *list)
{
    struct row_key keys[ROWS_OF_RECORD];
    row_key_path(path, &keys[0]);
    row_key_index(path, &keys[1]);
    row_key_identity(path, &keys[2]);
    row_key_unsettled(path, &keys[3]);
    for (unsigned i = 0; i < ROWS_OF_RECORD; i++) {
        list[i] = (struct store_change){.kind = STORE_DELETE};
        if (arena_copy(st->arena, row_key_bytes(&keys[i]), &list[i].key) != OK)
            return false;
    }
    return true;
}

static void
drop(struct sweeper *sw, const struct step *st, struct effects *out)
{
    struct auth_record *records[SWEEP_ROWS];
    struct membership *ms = sw->membership;
    size_t found = auth_view_forgotten(ms->records, records, SWEEP_ROWS);
    struct store_change *list =
        arena_alloc(st->arena, (size_t)SWEEP_ROWS * ROWS_OF_RECORD * sizeof(*list));
    size_t count = 0;
    for (size_t i = 0; list && i < found; i++) {
        struct path path = records[i]->link.path;
        if (!add_deletions(st, path, list + count * ROWS_OF_RECORD) ||
            !shard_store_drop(sw->store, path, records[i]->ballot))
            continue;
        records[i]->dropping = true;
        path_count_going(&ms->held);
        row_key_path(path, &sw->dropping[count++]);
    }
    if (count == 0)
        return;
    sw->dropping_count = count;
    effect_store(out, ACTOR_SWEEPER, TAG_DROP, list, count * ROWS_OF_RECORD);
}

static void
on_dropped(struct sweeper *sw, const struct step *st, enum vault_err err)
{
    struct membership *ms = sw->membership;
    for (size_t i = 0; i < sw->dropping_count; i++) {
        struct path path;
        if (row_key_path_of(row_key_bytes(&sw->dropping[i]), &path) != OK)
            continue;
        path_count_gone(&ms->held, path, err == OK);
        auth_view_dropped(ms->records, path, err == OK);
        if (err == OK)
            metrics_count(st->metrics, METRIC_records_swept);
    }
    sw->dropping_count = 0;
    if (err != OK)
        log_event(st->log, LOG_WARN, "sweeper", "rows_not_dropped", log_err("error", err));
}

/* ---- time ---- */

static void
on_tick(struct sweeper *sw, const struct step *st, struct effects *out)
{
    const struct auth_view *view = sw->membership->records;
    if (view->whole && !view->broken) {
        ask(sw, st, out);
        apply(sw, st, out);
        propose(sw, st, out);
        if (sw->dropping_count == 0)
            drop(sw, st, out);
        list_watch_tick(sw->membership, st);
    }
    effect_timer(out, ACTOR_SWEEPER, TAG_TICK,
                 duration_ms(view->forgotten_count > 0 ? SWEEP_TICK_BUSY_MS : SWEEP_TICK_MS));
}

void
sweeper_start(struct sweeper *sw, const struct step *st, struct effects *out)
{
    sw->looked = st->now;
    effect_timer(out, ACTOR_SWEEPER, TAG_TICK, duration_ms(SWEEP_TICK_MS));
}

enum vault_err
sweeper_handle(struct sweeper *sw, const struct step *st, const struct msg *in, struct effects *out)
{
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_TIMER: on_tick(sw, st, out); return OK;
    case MSG_STORED: on_dropped(sw, st, in->u.stored.err); return OK;
    default: return ERR_UNEXPECTED;
    }
}
