/* Rounds, questions and answers, and the budget. Lists are made in anti_entropy_list.c. */
#include "actors/anti_entropy.h"

#include <assert.h>
#include <string.h>

#include "actors/anti_entropy_internal.h"
#include "actors/lease.h"

enum {
    LIST_ARENA_BYTES = 256 * 1024, /* a page of entries; 32 of the longest names take a tenth */
    BUDGET_MS_MAX = 250,           /* what was not used for longer is gone */
};

static_assert(ENTRIES_BYTES_MAX <= LIST_ARENA_BYTES / 4, "a page of entries fits");

void
anti_entropy_init(struct anti_entropy *ae, const struct membership *membership,
                  struct shard_store *store, struct digest_index *digests, uint64_t seed)
{
    *ae = (struct anti_entropy){
        .membership = membership, .store = store, .digests = digests, .ops = seed};
    for (unsigned i = 0; i < NODES_MAX; i++) {
        arena_init(&ae->exchanges[i].memory, LIST_ARENA_BYTES);
        arena_init(&ae->exchanges[i].list.memory, LIST_ARENA_BYTES);
    }
}

void
anti_entropy_close(struct anti_entropy *ae)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        arena_close(&ae->exchanges[i].memory);
        arena_close(&ae->exchanges[i].list.memory);
    }
}

/* ---- budget ---- */

static void
fill_budget(struct ae_work *w)
{
    struct repair_budget *b = &w->ae->budget;
    uint64_t per_ms = w->ae->membership->clients_waiting > 0
                          ? REPAIR_PER_SECOND / REPAIR_BUSY_DIVISOR
                          : REPAIR_PER_SECOND; /* in thousandths */
    uint64_t ms = instant_since(w->st->now, b->filled).ns / 1000000;
    int64_t most = (int64_t)(per_ms * BUDGET_MS_MAX);
    if (ms == 0)
        return;
    b->filled = w->st->now;
    b->left += (int64_t)(per_ms * (ms < BUDGET_MS_MAX ? ms : BUDGET_MS_MAX));
    if (b->left > most)
        b->left = most;
}

/* ---- bits ---- */

/* The lowest one that is set, or -1. */
static int
first_bit(const uint8_t bits[static DIFFERING_BYTES])
{
    for (int i = 0; i < 8 * DIFFERING_BYTES; i++) {
        if (bits[i / 8] >> i % 8 & 1)
            return i;
    }
    return -1;
}

static void
clear_bit(uint8_t bits[static DIFFERING_BYTES], int i)
{
    bits[i / 8] &= (uint8_t) ~(1u << i % 8);
}

static uint64_t
count_bits(const uint8_t bits[static DIFFERING_BYTES])
{
    uint64_t count = 0;
    for (unsigned i = 0; i < 8 * DIFFERING_BYTES; i++)
        count += (unsigned)bits[i / 8] >> i % 8 & 1u;
    return count;
}

uint64_t
anti_entropy_backlog(const struct anti_entropy *ae)
{
    uint64_t count = 0;
    for (unsigned i = 0; i < NODES_MAX; i++)
        count += count_bits(ae->exchanges[i].ranges) + count_bits(ae->exchanges[i].leaves) +
                 (ae->exchanges[i].stage >= EXCHANGE_ASKING);
    return count;
}

/* ---- the asking side ---- */

static void
rest(struct ae_work *w, struct exchange *x, uint64_t ms)
{
    uint64_t jitter = 0;
    if (ms > ROUND_JITTER_MS && rng_below(w->st->rng, 2 * ROUND_JITTER_MS + 1, &jitter) == OK)
        ms = ms - ROUND_JITTER_MS + jitter;
    x->stage = EXCHANGE_REST;
    x->waiting = false;
    x->next = instant_add(w->st->now, duration_ms(ms));
    memset(x->ranges, 0, sizeof(x->ranges));
    memset(x->leaves, 0, sizeof(x->leaves));
    arena_reset(&x->memory);
    x->their_count = 0;
}

static void
note_result(struct ae_work *w, struct exchange *x, bool equal)
{
    x->compared = true;
    x->in_sync = equal;
    x->compared_at = w->st->now;
}

static void
end_round(struct ae_work *w, struct exchange *x)
{
    metrics_count(w->st->metrics, METRIC_anti_entropy_rounds);
    if (!x->unlike)
        metrics_count(w->st->metrics, METRIC_anti_entropy_equal);
    note_result(w, x, !x->unlike);
    x->confirming = x->unlike && !x->confirming;
    rest(w, x, x->confirming ? ROUND_CONFIRM_MS : ROUND_MS);
}

/* The question of the present stage, again and again with the same operation number. */
static void
send_question(struct ae_work *w, uint8_t peer)
{
    struct exchange *x = &w->ae->exchanges[peer];
    struct bytes copy;
    x->asked = w->st->now;
    if (x->stage == EXCHANGE_COMPARING) {
        uint8_t digests[RANGES * DIGEST_BYTES];
        size_t size = digests_write(w->ae->digests, peer, x->level, x->range, digests);
        if (arena_copy(w->st->arena, bytes_of(digests, size), &copy) != OK)
            return;
        struct msg *m = effect_send(w->out, MSG_COMPARE, peer, NULL);
        m->op = x->op;
        m->u.compare.level = x->level;
        m->u.compare.range = x->level == COMPARE_LEAVES ? x->range : 0;
        m->u.compare.digests = copy;
        return;
    }
    if (arena_copy(w->st->arena, path_key_bytes(&x->after), &copy) != OK)
        return;
    struct msg *m = effect_send(w->out, MSG_ASK_ENTRIES, peer, NULL);
    m->op = x->op;
    m->u.ask_entries.leaf = x->leaf;
    m->u.ask_entries.after = copy;
}

static void
ask(struct ae_work *w, uint8_t peer)
{
    struct exchange *x = &w->ae->exchanges[peer];
    x->op = ++w->ae->ops;
    x->resent = 0;
    x->waiting = false;
    send_question(w, peer);
}

static void
compare(struct ae_work *w, uint8_t peer, enum compare_level level)
{
    struct exchange *x = &w->ae->exchanges[peer];
    x->stage = EXCHANGE_COMPARING;
    x->level = level;
    ask(w, peer);
}

/* The page of x->leaf after x->after, as soon as there is budget for it. */
static void
ask_page(struct ae_work *w, uint8_t peer)
{
    struct exchange *x = &w->ae->exchanges[peer];
    x->stage = EXCHANGE_ASKING;
    x->waiting = w->ae->budget.left <= 0 || x->list.busy;
    if (x->waiting)
        return;
    spend(w, COST_PAGE);
    ask(w, peer);
}

/* The next unlike leaf of the range, or range, or the end of the round. */
static void
go_on(struct ae_work *w, uint8_t peer)
{
    struct exchange *x = &w->ae->exchanges[peer];
    int leaf = first_bit(x->leaves);
    if (leaf >= 0) {
        clear_bit(x->leaves, leaf);
        x->leaf = (uint16_t)(x->range * RANGE_LEAVES + (unsigned)leaf);
        x->after.size = 0;
        ask_page(w, peer);
        return;
    }
    int range = first_bit(x->ranges);
    if (range < 0) {
        end_round(w, x);
        return;
    }
    clear_bit(x->ranges, range);
    x->range = (unsigned)range;
    compare(w, peer, COMPARE_LEAVES);
}

static void
on_compared(struct ae_work *w, const struct msg *in)
{
    const struct msg_compared *compared = &in->u.compared;
    struct exchange *x = &w->ae->exchanges[in->from];
    if (x->stage != EXCHANGE_COMPARING || in->op != x->op || compared->level != x->level)
        return;
    if (!compared->ready || !w->ae->digests->whole) {
        rest(w, x, ROUND_AGAIN_MS);
        return;
    }
    w->st->metrics->counters[METRIC_anti_entropy_ranges] += x->level == COMPARE_ALL ? 1 : RANGES;
    if (x->level == COMPARE_LEAVES) {
        memcpy(x->leaves, compared->differing, DIFFERING_BYTES);
        go_on(w, in->from);
    } else if (x->level == COMPARE_RANGES) {
        memcpy(x->ranges, compared->differing, DIFFERING_BYTES);
        go_on(w, in->from);
    } else if (compared->differing[0] & 1) {
        compare(w, in->from, COMPARE_RANGES);
    } else {
        end_round(w, x);
    }
}

/* The peer's page is kept while this node's own is read. */
static bool
keep_entries(struct exchange *x, const struct msg_entries *entries)
{
    struct bytes copy;
    arena_reset(&x->memory);
    x->their_count = 0;
    path_key_set(&x->until, entries->until);
    return arena_copy(&x->memory, entries->entries, &copy) == OK &&
           path_entries_decode(copy, x->theirs, &x->their_count) == OK;
}

static enum vault_err
on_entries(struct ae_work *w, const struct msg *in)
{
    const struct msg_entries *entries = &in->u.entries;
    struct exchange *x = &w->ae->exchanges[in->from];
    if (x->stage != EXCHANGE_ASKING || x->waiting || in->op != x->op || entries->leaf != x->leaf)
        return OK;
    if (!keep_entries(x, entries)) {
        rest(w, x, ROUND_MS);
        return ERR_UNEXPECTED;
    }
    x->list.for_peer = false;
    x->list.op = x->op;
    x->stage = EXCHANGE_LISTING;
    if (x->list.busy || !list_begin(w, in->from, x->leaf, path_key_bytes(&x->after)))
        rest(w, x, ROUND_AGAIN_MS);
    return OK;
}

/* What both lists cover: up to the nearer of their ends. */
static struct bytes
covered(const struct exchange *x)
{
    struct bytes a = path_key_bytes(&x->until), b = path_key_bytes(&x->list.until);
    if (a.size == 0 || b.size == 0)
        return a.size == 0 ? b : a;
    return bytes_compare(a, b) < 0 ? a : b;
}

static void
own_list_done(struct ae_work *w, uint8_t peer, bool whole)
{
    struct exchange *x = &w->ae->exchanges[peer];
    if (x->stage != EXCHANGE_LISTING || x->list.op != x->op)
        return; /* the round has been given up */
    if (!whole) {
        rest(w, x, ROUND_AGAIN_MS);
        return;
    }
    struct path_key until;
    path_key_set(&until, covered(x));
    settle_page(w, peer, path_key_bytes(&until));
    arena_reset(&x->memory);
    x->their_count = 0;
    /* A page that did not come further would be asked for again and again. */
    bool further = bytes_compare(path_key_bytes(&until), path_key_bytes(&x->after)) > 0;
    if (until.size > 0 && further) {
        x->after = until;
        ask_page(w, peer);
    } else {
        go_on(w, peer);
    }
}

/* ---- the answering side ---- */

static enum vault_err
on_compare(struct ae_work *w, const struct msg *in)
{
    const struct msg_compare *theirs = &in->u.compare;
    uint8_t differing[DIFFERING_BYTES] = {0};
    const struct digest_index *d = w->ae->digests;
    if (d->whole && !digests_differing(d, in->from, theirs->level, (unsigned)theirs->range,
                                       theirs->digests, differing))
        return ERR_UNEXPECTED;
    struct msg *m = effect_send(w->out, MSG_COMPARED, in->from, in);
    m->u.compared.level = theirs->level;
    m->u.compared.range = theirs->range;
    m->u.compared.ready = d->whole;
    memcpy(m->u.compared.differing, differing, DIFFERING_BYTES);
    if (d->whole && theirs->level == COMPARE_ALL)
        note_result(w, &w->ae->exchanges[in->from], (differing[0] & 1) == 0);
    return OK;
}

/* One list at a time for each peer; a question that finds it busy is asked again. */
static void
on_ask_entries(struct ae_work *w, const struct msg *in)
{
    struct leaf_list *list = &w->ae->exchanges[in->from].list;
    if (list->busy || !w->ae->digests->whole)
        return;
    list->for_peer = true;
    list->op = in->op;
    (void)list_begin(w, in->from, (uint16_t)in->u.ask_entries.leaf, in->u.ask_entries.after);
}

static void
peer_list_done(struct ae_work *w, uint8_t peer, bool whole)
{
    const struct leaf_list *list = &w->ae->exchanges[peer].list;
    struct buf encoded = {0};
    struct bytes entries, until;
    if (whole && path_entries_encode(list->entries, list->count, &encoded) == OK &&
        arena_copy(w->st->arena, buf_bytes(&encoded), &entries) == OK &&
        arena_copy(w->st->arena, path_key_bytes(&list->until), &until) == OK) {
        struct msg *m = effect_send(w->out, MSG_ENTRIES, peer, NULL);
        m->op = list->op;
        m->u.entries.leaf = list->leaf;
        m->u.entries.until = until;
        m->u.entries.entries = entries;
    }
    buf_close(&encoded);
}

void
exchange_list_done(struct ae_work *w, uint8_t peer, bool whole)
{
    if (w->ae->exchanges[peer].list.for_peer)
        peer_list_done(w, peer, whole);
    else
        own_list_done(w, peer, whole);
}

/* ---- time ---- */

/* Asked for a while without an answer. */
static void
ask_again(struct ae_work *w, uint8_t peer)
{
    struct exchange *x = &w->ae->exchanges[peer];
    if (instant_since(w->st->now, x->asked).ns < duration_ms(RESEND_MS).ns)
        return;
    if (x->resent++ < RESENDS_MAX) {
        send_question(w, peer);
        return;
    }
    metrics_count(w->st->metrics, METRIC_anti_entropy_lost);
    rest(w, x, ROUND_MS);
}

static void
exchange_tick(struct ae_work *w, uint8_t peer)
{
    struct exchange *x = &w->ae->exchanges[peer];
    bool connected = w->ae->membership->members[peer].connected;
    if (connected != x->connected) {
        x->connected = connected;
        rest(w, x, 0);
    }
    bool hurry = connected && lease_is_behind(w->ae->membership, peer, w->st->now) &&
                 instant_since(w->st->now, x->hurried).ns >= duration_ms(ROUND_AGAIN_MS).ns;
    if (hurry && x->stage == EXCHANGE_REST) {
        x->hurried = w->st->now;
        x->next = w->st->now; /* without these records this node serves nobody */
    }
    bool mine = peer > w->ae->membership->self || hurry || x->stage != EXCHANGE_REST;
    if (!connected || !mine)
        return;
    if (!w->ae->digests->whole && (x->stage == EXCHANGE_COMPARING || x->stage == EXCHANGE_ASKING))
        rest(w, x, ROUND_AGAIN_MS); /* they are being counted anew */
    switch (x->stage) {
    case EXCHANGE_REST:
        if (w->ae->digests->whole && !instant_before(w->st->now, x->next)) {
            x->unlike = false;
            x->range = 0;
            compare(w, peer, COMPARE_ALL);
        }
        break;
    case EXCHANGE_ASKING:
        if (x->waiting)
            ask_page(w, peer);
        else
            ask_again(w, peer);
        break;
    case EXCHANGE_COMPARING: ask_again(w, peer); break;
    case EXCHANGE_LISTING: break; /* rows always come */
    }
}

static bool
round_under_way(const struct anti_entropy *ae)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        if (ae->exchanges[i].stage != EXCHANGE_REST)
            return true;
    }
    return false;
}

static void
on_tick(struct ae_work *w)
{
    const struct membership *ms = w->ae->membership;
    fill_budget(w);
    if (!w->ae->digests->whole && !w->ae->rebuilding)
        rebuild_ask(w);
    for (uint8_t i = 0; i < ms->cluster->node_count; i++) {
        if (i != ms->self)
            exchange_tick(w, i);
    }
    effect_timer(w->out, ACTOR_ANTI_ENTROPY, TAG_TICK,
                 duration_ms(round_under_way(w->ae) ? TICK_BUSY_MS : TICK_MS));
}

void
anti_entropy_start(struct anti_entropy *ae, const struct step *st, struct effects *out)
{
    struct ae_work w = {ae, st, out};
    effect_timer(out, ACTOR_ANTI_ENTROPY, TAG_TICK, duration_ms(TICK_MS));
    rebuild_ask(&w);
}

static void
on_timer(struct ae_work *w, uint64_t tag)
{
    if (tag == TAG_TICK)
        on_tick(w);
    else if (tag == TAG_REBUILD_TIMER)
        rebuild_ask(w);
}

static void
on_loaded(struct ae_work *w, const struct msg_loaded *loaded)
{
    if (loaded->tag == TAG_REBUILD)
        rebuild_on_loaded(w, loaded);
    else
        list_on_loaded(w, (uint8_t)(loaded->tag - TAG_LIST), loaded);
}

enum vault_err
anti_entropy_handle(struct anti_entropy *ae, const struct step *st, const struct msg *in,
                    struct effects *out)
{
    struct ae_work w = {ae, st, out};
    assert(out->count == 0);
    bool of_peer = in->kind == MSG_COMPARE || in->kind == MSG_COMPARED ||
                   in->kind == MSG_ASK_ENTRIES || in->kind == MSG_ENTRIES;
    if (of_peer && (in->from == ae->membership->self || !ae->digests->peers[in->from]))
        return ERR_UNEXPECTED;
    fill_budget(&w);
    switch ((int)in->kind) {
    case MSG_COMPARE: return on_compare(&w, in);
    case MSG_COMPARED: on_compared(&w, in); return OK;
    case MSG_ASK_ENTRIES: on_ask_entries(&w, in); return OK;
    case MSG_ENTRIES: return on_entries(&w, in);
    case MSG_TIMER: on_timer(&w, in->u.timer.tag); return OK;
    case MSG_LOADED: on_loaded(&w, &in->u.loaded); return OK;
    default: return ERR_UNEXPECTED;
    }
}
