/* The asking side, and what decides that a node becomes a new incarnation. */
#include "actors/recovery.h"

#include <assert.h>
#include <string.h>

#include "actors/repairer.h"
#include "actors/standing.h"
#include "base/big_endian.h"
#include "base/planted.h"

static_assert(EFFECTS_MAX >= NODES_MAX + RECOVERY_WINDOW + 4,
              "a tick asks every peer once, or hands on one page at least");
static_assert(RECOVER_PAGE_ROWS <= 32, "a bit per item");

void
recovery_init(struct recovery *r, struct membership *membership, struct shard_store *shard_store)
{
    *r = (struct recovery){.membership = membership, .shard_store = shard_store};
}

bool
recovery_is_present(const struct recovery *r)
{
    const struct member *self = &r->membership->members[r->membership->self];
    return r->incarnation == self->incarnation && r->state == self->recovery;
}

static void
source_reset(struct recovery_source *s)
{
    buf_close(&s->page);
    *s = (struct recovery_source){0};
}

void
recovery_close(struct recovery *r)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        source_reset(&r->sources[i]);
        buf_close(&r->helps[i].row);
        buf_close(&r->helps[i].version);
        buf_close(&r->helps[i].items);
    }
}

void
recovery_start(struct recovery *r, const struct step *st, struct effects *out)
{
    (void)r;
    (void)st;
    effect_timer(out, ACTOR_RECOVERY, recovery_tag(RECOVERY_TAG_TICK, 0, 0),
                 duration_ms(RECOVERY_TICK_MS));
}

/* ---- when to become a new incarnation ---- */

static const struct member *
self_of(const struct recovery *r)
{
    return &r->membership->members[r->membership->self];
}

/* Of the others, how many must have handed over everything before every path is open. */
static unsigned
needed(const struct recovery *r)
{
    const struct cluster *cluster = r->membership->cluster;
    return cluster->node_count - cluster_majority(cluster) + 1;
}

/*
 * The floor is so far ahead that this node votes for nobody: its clock had run away. It is shed only
 * while enough others, whose own horizons are sound, can hand over: a clock that was wrong for all
 * must not take all of them out at once.
 */
static bool
floor_to_be_shed(const struct recovery *r, const struct step *st)
{
    const struct membership *ms = r->membership;
    uint64_t limit = st->wall_ms + CLOCK_DRIFT_MS_MAX;
    unsigned sound = 0;
    if (ballot_ms(r->shard_store->floor) <= limit)
        return false;
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        const struct member *m = &ms->members[i];
        sound += i != ms->self && m->told && m->connected && m->recovery == RECOVERY_NONE &&
                 m->horizon_ms > 0 && m->horizon_ms <= limit;
    }
    return sound >= needed(r);
}

/* One more than anybody remembers. A lost store had an incarnation, known or not. */
static uint64_t
next_incarnation(const struct recovery *r)
{
    uint64_t highest = self_of(r)->incarnation;
    if (r->membership->incarnation_told > highest)
        highest = r->membership->incarnation_told;
    return highest > 0 ? highest + 1 : 2;
}

static bool
must_be_reborn(const struct recovery *r, const struct step *st)
{
    const struct membership *ms = r->membership;
    bool lost = self_of(r)->incarnation == 0;
    if (lost || ms->behind)
        return standing_heard_count(ms) + 1 >= cluster_majority(ms->cluster);
    return self_of(r)->recovery == RECOVERY_NONE && floor_to_be_shed(r, st);
}

/* ---- asking ---- */

void
recovery_ask(struct recovery *r, const struct step *st, uint8_t peer, struct effects *out)
{
    struct recovery_source *s = &r->sources[peer];
    struct msg *m = effect_send(out, MSG_RECOVER, peer, NULL);
    s->asking = true;
    s->asked = st->now;
    memcpy(m->u.recover.config_hash, r->membership->cluster->config_hash, HASH_BYTES);
    m->u.recover.incarnation = self_of(r)->incarnation;
    memcpy(m->u.recover.store_id, self_of(r)->store_id, STORE_ID_BYTES);
    m->u.recover.cursor = row_key_bytes(&s->cursor);
    m->u.recover.only = s->only;
}

bool
recovery_is_due(struct instant now, struct instant since)
{
    return instant_since(now, since).ns >= duration_ms(RECOVERY_AGAIN_MS).ns;
}

/* The next versions of a page go to the shard store, and those that it has not answered again. */
void
recovery_hand_on(struct recovery *r, const struct step *st, uint8_t peer, struct effects *out)
{
    struct recovery_source *s = &r->sources[peer];
    bool again = recovery_is_due(st->now, s->sent_at);
    unsigned in_hand = 0;
    for (unsigned i = 0; i < s->count && in_hand < RECOVERY_WINDOW; i++) {
        struct msg decoded;
        if (s->merged >> i & 1)
            continue;
        in_hand++;
        if ((s->sent >> i & 1) && !again)
            continue;
        if (msg_decode(s->items[i], &decoded) != OK || decoded.kind != MSG_HANDOVER) {
            s->merged |= 1u << i;
            continue;
        }
        if (s->only && decoded.u.handover.kind == HANDOVER_UNKNOWN) {
            s->unknown = true; /* that is known: the path is in doubt */
            s->merged |= 1u << i;
            continue;
        }
        struct msg *m = effect_send(out, MSG_HANDOVER, r->membership->self, &decoded);
        m->op = (uint64_t)peer << 8 | i;
        m->u.handover = decoded.u.handover;
        s->sent |= 1u << i;
        s->sent_at = st->now;
    }
}

static void
page_done(struct recovery *r, const struct step *st, uint8_t peer, struct effects *out)
{
    struct recovery_source *s = &r->sources[peer];
    uint32_t all = s->count == 32 ? UINT32_MAX : (1u << s->count) - 1;
    if (s->page.size == 0 || s->merged != all)
        return;
    bool last = s->last, only = s->only, unknown = s->unknown;
    struct row_key next = s->next, about = s->about;
    source_reset(s);
    if (!last) {
        s->cursor = next;
        s->only = only;
        s->unknown = unknown;
        s->about = about;
        recovery_ask(r, st, peer, out);
    } else if (only) {
        recovery_doubt_told(r, st, peer, unknown, &about, out);
    } else {
        r->membership->members[peer].handed_over = true;
    }
}

static unsigned
complete(const struct recovery *r)
{
    unsigned count = 0;
    for (unsigned i = 0; i < r->membership->cluster->node_count; i++)
        count += r->membership->members[i].handed_over;
    return count;
}

/* Too many others wait for a handover themselves: nobody can help, and that is said once. */
static bool
is_blocked(const struct recovery *r)
{
    const struct membership *ms = r->membership;
    unsigned possible = 0;
    for (unsigned i = 0; i < ms->cluster->node_count; i++)
        possible += i != ms->self &&
                    (ms->members[i].handed_over || ms->members[i].recovery != RECOVERY_HANDOVER);
    return self_of(r)->recovery == RECOVERY_HANDOVER && possible < needed(r);
}

static void
tell_blocked(struct recovery *r, const struct step *st)
{
    bool blocked = is_blocked(r);
    if (blocked && !r->blocked_logged)
        log_event(st->log, LOG_ERROR, "recovery", "blocked",
                  log_text("why", "more stores are lost than the others can make up for: restore "
                                  "this cluster from a backup"));
    r->blocked_logged = blocked;
}

static void
ask_all(struct recovery *r, const struct step *st, struct effects *out)
{
    const struct membership *ms = r->membership;
    for (uint8_t i = 0; i < ms->cluster->node_count; i++) {
        struct recovery_source *s = &r->sources[i];
        const struct member *m = &ms->members[i];
        if (i == ms->self || m->handed_over || !m->connected ||
            out->count + RECOVERY_WINDOW + 4 > EFFECTS_MAX)
            continue;
        if (s->page.size > 0)
            recovery_hand_on(r, st, i, out);
        else if (m->recovery != RECOVERY_HANDOVER &&
                 (!s->asking || recovery_is_due(st->now, s->asked)))
            recovery_ask(r, st, i, out);
    }
}

static void
on_tick(struct recovery *r, const struct step *st, struct effects *out)
{
    effect_timer(out, ACTOR_RECOVERY, recovery_tag(RECOVERY_TAG_TICK, 0, 0),
                 duration_ms(RECOVERY_TICK_MS));
    if (must_be_reborn(r, st)) {
        shard_store_reincarnate(r->shard_store, st, next_incarnation(r), out);
        return;
    }
    if (recovery_must_mend(r, st)) {
        shard_store_mend(r->shard_store, st, next_incarnation(r), out);
        return;
    }
    tell_blocked(r, st);
    if (self_of(r)->incarnation == 0 || self_of(r)->recovery == RECOVERY_NONE)
        return;
    bool news = r->incarnation != self_of(r)->incarnation;
    if (news || r->state != self_of(r)->recovery) {
        for (unsigned i = 0; i < NODES_MAX; i++)
            source_reset(&r->sources[i]);
        r->look = (struct recovery_look){0};
        r->incarnation = self_of(r)->incarnation;
        r->state = self_of(r)->recovery;
    }
    if (news) {
        effect_timer(out, ACTOR_REPAIRER, REPAIR_TAG_ANNOUNCE, duration_us(0));
    }
    if (self_of(r)->recovery == RECOVERY_SHARES)
        recovery_ask_about_doubts(r, st, out);
    else if (complete(r) >= needed(r))
        shard_store_recovered(r->shard_store, st, RECOVERY_SHARES, out);
    if (self_of(r)->recovery == RECOVERY_HANDOVER)
        ask_all(r, st, out);
    if (self_of(r)->recovery == RECOVERY_SHARES && out->count + 4 <= EFFECTS_MAX)
        recovery_look_on(r, st, out);
}

/* ---- answers ---- */

static void
learn_known(struct recovery *r, struct bytes known)
{
    struct membership *ms = r->membership;
    for (unsigned i = 0; i < ms->cluster->node_count && 8 * i + 8 <= known.size; i++) {
        uint64_t incarnation = big_endian_get(known.data + 8 * i);
        if (i == ms->self) {
            standing_named(ms, incarnation);
        } else if (incarnation > ms->members[i].incarnation) {
            membership_renew(&ms->members[i], incarnation);
        }
    }
}

static bool
keep_page(struct recovery_source *s, const struct msg_recovered *in)
{
    size_t count = 0;
    buf_close(&s->page);
    if (buf_append(&s->page, in->items) != OK ||
        bytes_list_decode(buf_bytes(&s->page), FRAME_BYTES_MAX, s->items, RECOVER_PAGE_ROWS,
                          &count) != OK) {
        buf_close(&s->page);
        return false;
    }
    s->count = count;
    s->sent = s->merged = 0;
    s->last = in->done;
    s->next.size = in->next.size;
    if (in->next.size > 0)
        memcpy(s->next.data, in->next.data, in->next.size);
    return true;
}

/*
 * Of the clocks that are heard, this node's among them, the m-th highest, but not below its own: a
 * ballot that m replicas of a path have voted for is within the drift bound of as many clocks.
 */
static uint64_t
clock_of_majority(const struct membership *ms, const struct step *st)
{
    int64_t offsets[NODES_MAX] = {0};
    size_t count = 1, majority = cluster_majority(ms->cluster);
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        if (i == ms->self || !ms->members[i].told)
            continue;
        size_t at = count++;
        for (; at > 0 && offsets[at - 1] > ms->members[i].clock_offset_ms; at--)
            offsets[at] = offsets[at - 1];
        offsets[at] = ms->members[i].clock_offset_ms;
    }
    int64_t offset = offsets[count > majority ? count - majority : 0];
    return offset > 0 ? st->wall_ms + (uint64_t)offset : st->wall_ms;
}

/*
 * One peer whose clock had run away can have promised what nobody else would; no ballot beyond the
 * drift bound of all the other clocks has had m votes, and only such a one binds this node. Taken as
 * it is, its floor would go on from node to node.
 */
static struct ballot
within_drift(const struct membership *ms, const struct step *st, struct ballot promised)
{
    uint64_t limit_ms = clock_of_majority(ms, st) + CLOCK_DRIFT_MS_MAX;
    if (ballot_ms(promised) <= limit_ms)
        return promised;
    return (struct ballot){.time = limit_ms << 16 | 0xffff, .incarnation = 1};
}

static void
on_recovered(struct recovery *r, const struct step *st, const struct msg *in, struct effects *out)
{
    const struct msg_recovered *page = &in->u.recovered;
    struct recovery_source *s = &r->sources[in->from];
    const struct member *self = self_of(r);
    if (self->recovery != (s->only ? RECOVERY_SHARES : RECOVERY_HANDOVER) ||
        page->incarnation != self->incarnation || r->incarnation != self->incarnation ||
        memcmp(page->store_id, self->store_id, STORE_ID_BYTES) != 0)
        return;
    if (!s->asking || !bytes_equal(page->cursor, row_key_bytes(&s->cursor)))
        return;
    learn_known(r, page->known);
    if (page->refusal != REFUSED_NONE || r->membership->behind || !keep_page(s, page))
        return; /* asked again after a while */
    s->asking = false;
    /* What was promised on one path, this node knows. */
    if (!s->only && !PLANTED(recovery_forgets_promises))
        shard_store_raise_floor(r->shard_store, within_drift(r->membership, st, page->promised));
    r->versions += s->count;
    r->bytes += page->items.size;
    recovery_hand_on(r, st, in->from, out);
    page_done(r, st, in->from, out);
}

static void
on_handed(struct recovery *r, const struct step *st, const struct msg *in, struct effects *out)
{
    uint8_t peer = (uint8_t)(in->op >> 8);
    unsigned item = in->op & 0xff;
    if (peer >= NODES_MAX || item >= RECOVER_PAGE_ROWS)
        return;
    struct recovery_source *s = &r->sources[peer];
    if (s->page.size == 0 || !(s->sent >> item & 1) || !recovery_is_present(r))
        return;
    if (in->u.handed.refusal == REFUSED_BUSY || in->u.handed.refusal == REFUSED_NOT_READY)
        return;
    if (in->u.handed.refusal != REFUSED_NONE)
        log_event(st->log, LOG_ERROR, "recovery", "handover_refused", log_u64("from", peer),
                  log_text("refusal", refusal_name(in->u.handed.refusal)));
    s->merged |= 1u << item;
    recovery_hand_on(r, st, peer, out);
    page_done(r, st, peer, out);
}

/* ---- messages ---- */

static void
on_loaded(struct recovery *r, const struct step *st, const struct msg *in, struct effects *out)
{
    uint64_t tag = in->u.loaded.tag;
    if (tag >> 56 == RECOVERY_TAG_LOOK)
        recovery_look_loaded(r, st, &in->u.loaded, out);
    else if ((tag & 0xff) < NODES_MAX)
        recovery_help_loaded(r, st, (uint8_t)tag, &in->u.loaded, out);
}

enum vault_err
recovery_handle(struct recovery *r, const struct step *st, const struct msg *in,
                struct effects *out)
{
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_TIMER: on_tick(r, st, out); return OK;
    case MSG_RECOVER: recovery_on_recover(r, st, in, out); return OK;
    case MSG_RECOVERED: on_recovered(r, st, in, out); return OK;
    case MSG_HANDED: on_handed(r, st, in, out); return OK;
    case MSG_LOADED: on_loaded(r, st, in, out); return OK;
    default: return ERR_UNEXPECTED;
    }
}

void
recovery_report(const struct recovery *r, struct recovery_progress *out)
{
    *out = (struct recovery_progress){.state = self_of(r)->recovery,
                                      .behind = r->membership->behind,
                                      .blocked = is_blocked(r),
                                      .incarnation = self_of(r)->incarnation,
                                      .peers_complete = complete(r),
                                      .peers_needed = needed(r),
                                      .versions = r->versions,
                                      .bytes = r->bytes,
                                      .unfinished = r->unfinished,
                                      .missing = r->missing,
                                      .in_doubt = r->shard_store->doubts.count};
}
