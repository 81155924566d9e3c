/*
 * Getting back what this node lacks of a version: from escrow if somebody has a box, else the share
 * from k helpers, blinded (crypto/share_recovery.h), and records from any replica that has them.
 *
 * At most SHARE_RECOVERIES_MAX are under way and RECOVERIES_PER_SECOND_MAX begin in a second; what
 * does not fit comes again with the next round over the table 'n'. Whenever one is due, a CHECK
 * looks at the path anew: it follows the chain of the chosen head down to the version first, so
 * nothing is got back that an update or a deletion has made obsolete meanwhile.
 */
#include <assert.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/auditor.h"
#include "actors/shard_internal.h"
#include "base/planted.h"
#include "crypto/share_recovery.h"

enum {
    ESCROW_WAIT_MS = 100, /* for a box, before helpers are asked */
    HELP_WAIT_MS = 1000,  /* for the helpers, before others are asked */
    AGAIN_MS = 300,       /* after one of them could not help */
    RECOVERY_TRIES_MAX = 8,
};

/* ---- the table of those under way ---- */

static void
note_progress(struct shard_store *s)
{
    unsigned used = 0;
    for (unsigned i = 0; i < SHARE_RECOVERIES_MAX; i++)
        used += s->recoveries[i].used;
    s->membership->repair.under_way = used;
    s->membership->repair.room = SHARE_RECOVERIES_MAX - used;
}

static void
recovery_free(struct shard_store *s, struct share_recovery *r)
{
    secret_free(s->ring->arena, &r->sum);
    buf_close(&r->name);
    *r = (struct share_recovery){0};
    note_progress(s);
}

void
shard_recoveries_close(struct shard_store *s)
{
    for (unsigned i = 0; i < SHARE_RECOVERIES_MAX; i++) {
        if (s->recoveries[i].used)
            recovery_free(s, &s->recoveries[i]);
    }
}

static struct path
path_of(const struct share_recovery *r)
{
    struct bytes both = buf_bytes(&r->name);
    return (struct path){bytes_of(both.data, r->tenant_size),
                         bytes_of(both.data + r->tenant_size, both.size - r->tenant_size)};
}

static struct share_recovery *
find(const struct shard_work *w, uint64_t version, const uint8_t version_id[static ID_BYTES])
{
    for (unsigned i = 0; i < SHARE_RECOVERIES_MAX; i++) {
        struct share_recovery *r = &w->s->recoveries[i];
        if (r->used && r->version == version && memcmp(r->version_id, version_id, ID_BYTES) == 0 &&
            path_equal(path_of(r), w->path->link.path))
            return r;
    }
    return NULL;
}

/* A few may begin in each tenth of a second. */
static bool
may_begin(struct shard_store *s, struct instant now)
{
    if (instant_since(now, s->recoveries_since).ns >= duration_ms(100).ns) {
        s->recoveries_since = now;
        s->recoveries_begun = 0;
    }
    if (s->recoveries_begun >= RECOVERIES_PER_SECOND_MAX / 10)
        return false;
    s->recoveries_begun++;
    return true;
}

static struct share_recovery *
begin(struct shard_work *w, const struct lacking *lacking)
{
    struct path path = w->path->link.path;
    for (unsigned i = 0; i < SHARE_RECOVERIES_MAX; i++) {
        struct share_recovery *r = &w->s->recoveries[i];
        if (r->used)
            continue;
        if (!may_begin(w->s, w->st->now))
            return NULL;
        if (buf_append(&r->name, path.tenant) != OK || buf_append(&r->name, path.name) != OK) {
            buf_close(&r->name);
            return NULL;
        }
        r->used = true;
        r->due = true;
        r->tenant_size = path.tenant.size;
        r->version = lacking->version;
        memcpy(r->version_id, lacking->version_id, ID_BYTES);
        note_progress(w->s);
        return r;
    }
    return NULL;
}

static void
wake_after(struct shard_work *w, struct share_recovery *r, uint64_t ms)
{
    r->due = false;
    r->wakes++;
    uint32_t slot = (uint32_t)(r - w->s->recoveries);
    effect_timer(w->out, ACTOR_SHARD_STORE,
                 shard_tag(SHARD_TAG_RECOVERY, slot | (uint32_t)(r->wakes & 0xffff) << 16),
                 duration_ms(ms));
}

void
shard_recovery_timer(struct shard_store *s, uint32_t what, struct effects *out)
{
    struct share_recovery *r = &s->recoveries[what & 0xffff];
    assert((what & 0xffff) < SHARE_RECOVERIES_MAX);
    if (!r->used || (r->wakes & 0xffff) != what >> 16)
        return; /* of an earlier wait */
    if (++r->tries > RECOVERY_TRIES_MAX) {
        recovery_free(s, r); /* the round over the table comes to it again */
        return;
    }
    r->due = true;
    struct msg *m = effect_send(out, MSG_CHECK, s->membership->self, NULL);
    m->path = path_of(r);
    m->u.check.version = r->version;
    memcpy(m->u.check.version_id, r->version_id, ID_BYTES);
    /* If that is lost, for want of room, there is another wait. */
    r->wakes++;
    effect_timer(
        out, ACTOR_SHARD_STORE,
        shard_tag(SHARD_TAG_RECOVERY, (what & 0xffff) | (uint32_t)(r->wakes & 0xffff) << 16),
        duration_ms(5 * HELP_WAIT_MS));
}

void
shard_recovery_end(struct shard_work *w, uint64_t version,
                   const uint8_t version_id[static ID_BYTES])
{
    struct share_recovery *r = version > 0 ? find(w, version, version_id) : NULL;
    if (r)
        recovery_free(w->s, r);
}

/* ---- asking ---- */

static void
ask_escrow(struct shard_work *w, const struct replicas *replicas, int own)
{
    for (unsigned i = 0; i < replicas->count; i++) {
        if ((int)i == own || !w->s->membership->members[replicas->nodes[i]].connected)
            continue;
        struct msg *m = effect_send(w->out, MSG_DELIVER, replicas->nodes[i], w->msg);
        m->op = 0;
        m->u.deliver.owner = (uint64_t)own;
    }
}

static unsigned
how_many(uint64_t mask)
{
    unsigned count = 0;
    for (unsigned i = 0; i < REPLICAS_MAX; i++)
        count += (unsigned)(mask >> i) & 1;
    return count;
}

/* A random one of those in `mask`, which is not empty; -1 without randomness. */
static int
draw_one(const struct shard_work *w, uint64_t mask)
{
    uint64_t draw;
    unsigned count = how_many(mask);
    if (rng_below(w->st->rng, count, &draw) != OK)
        return -1;
    for (int i = 0; i < REPLICAS_MAX; i++) {
        if ((mask >> i & 1) && draw-- == 0)
            return i;
    }
    return -1;
}

static struct msg *
send_help(struct shard_work *w, const struct share_recovery *r, uint8_t node)
{
    struct msg *m = effect_send(w->out, MSG_HELP, node, w->msg);
    m->op = r->op;
    m->u.help.version = r->version;
    memcpy(m->u.help.version_id, r->version_id, ID_BYTES);
    return m;
}

/* Replicas that can be asked: connected, and not those that could not help the last times. */
static uint64_t
candidates(const struct shard_work *w, struct share_recovery *r, const struct replicas *replicas,
           int own, unsigned needed, bool with_key)
{
    const struct membership *ms = w->s->membership;
    uint64_t mask = 0;
    for (unsigned i = 0; i < replicas->count; i++) {
        uint8_t node = replicas->nodes[i];
        bool key = ms->pair_keys && pair_keys_peer_id(ms->pair_keys, node) != 0;
        if ((int)i != own && ms->members[node].connected && (key || !with_key))
            mask |= UINT64_C(1) << i;
    }
    if (how_many(mask & ~r->failed) >= needed)
        return mask & ~r->failed;
    r->failed = 0;
    return how_many(mask) >= needed ? mask : 0;
}

static void
ask_for_records(struct shard_work *w, struct share_recovery *r, const struct replicas *replicas,
                int own)
{
    uint64_t mask = candidates(w, r, replicas, own, 1, false);
    int who = mask ? draw_one(w, mask) : -1;
    if (who < 0)
        return;
    r->asked = UINT64_C(1) << who;
    r->for_records = true;
    send_help(w, r, replicas->nodes[who])->u.help.records = true;
}

static void
ask_helpers(struct shard_work *w, struct share_recovery *r, const struct replicas *replicas,
            int own, unsigned threshold)
{
    uint64_t mask = candidates(w, r, replicas, own, threshold, true);
    uint64_t helpers = 0;
    for (unsigned i = 0; i < threshold && mask != 0; i++) {
        int who = draw_one(w, mask);
        if (who < 0)
            return;
        helpers |= UINT64_C(1) << who;
        mask &= ~helpers;
    }
    secret_free(w->s->ring->arena, &r->sum);
    if (how_many(helpers) != threshold || threshold < 2 ||
        secret_new(w->s->ring->arena, SECRET_BYTES_MAX, &r->sum) != OK)
        return;
    r->asked = helpers;
    r->for_records = false;
    r->share_size = 0;
    struct pair_key_ids keys = {.count = replicas->count};
    for (unsigned i = 0; i < replicas->count; i++) {
        if (helpers >> i & 1)
            keys.of[i] = pair_keys_peer_id(w->s->membership->pair_keys, replicas->nodes[i]);
    }
    for (unsigned i = 0; i < replicas->count; i++) {
        if (!(helpers >> i & 1))
            continue;
        struct msg *m = send_help(w, r, replicas->nodes[i]);
        m->u.help.helpers = helpers;
        m->u.help.keys = keys;
    }
    metrics_count(w->st->metrics, METRIC_recoveries_asked);
}

/*
 * With n = k the others have fewer than k shares: nobody can compute this one. Whoever keeps its box
 * delivers it unasked; until then, or for good, nothing is asked for.
 */
static bool
cannot_be_computed(const struct lacking *lacking, const struct replicas *replicas)
{
    return !lacking->records && lacking->threshold >= replicas->count;
}

/*
 * `lacking` was found out on the way down the chain of the chosen head. That head is remembered:
 * what comes is stored only while it is still the one.
 */
void
shard_recover(struct shard_work *w, const struct lacking *lacking)
{
    struct share_recovery *r = find(w, lacking->version, lacking->version_id);
    const struct replicas *replicas = &w->path->replicas;
    int own = replicas_index(replicas, w->s->membership->self);
    if (cannot_be_computed(lacking, replicas)) {
        if (r)
            recovery_free(w->s, r);
        return;
    }
    if (!r)
        r = own >= 0 ? begin(w, lacking) : NULL;
    if (!r || !r->due)
        return;
    r->op = ++w->s->recovery_ops;
    r->asked = r->got = 0;
    memcpy(r->head_id, w->path->row.head.id, ID_BYTES);
    if (lacking->records) {
        ask_for_records(w, r, replicas, own);
    } else if (!r->escrow_asked) {
        r->escrow_asked = true;
        ask_escrow(w, replicas, own);
        wake_after(w, r, ESCROW_WAIT_MS);
        return;
    } else {
        ask_helpers(w, r, replicas, own, lacking->threshold);
    }
    wake_after(w, r, HELP_WAIT_MS);
}

/* ---- what comes ---- */

/* The question that this answers, if it is still open. */
static struct share_recovery *
question(const struct shard_work *w, uint64_t *from)
{
    const struct msg_helped *helped = &w->msg->u.helped;
    struct share_recovery *r = find(w, helped->version, helped->version_id);
    const struct replicas *replicas = &w->path->replicas;
    int index = replicas_index(replicas, w->msg->from);
    *from = index < 0 ? 0 : UINT64_C(1) << index;
    if (!r || r->op != w->msg->op || !(r->asked & *from) || (!w->rows && (r->got & *from)))
        return NULL;
    return r;
}

/* The chain of this node's chosen head contains the version, as it did when it was asked for. */
static bool
is_still_wanted(const struct shard_work *w, const struct share_recovery *r)
{
    if (PLANTED(store_repaired_share_without_chain_check))
        return true;
    return w->path->row.row.state == STATE_CHOSEN &&
           memcmp(w->path->row.head.id, r->head_id, ID_BYTES) == 0;
}

static void
try_again(struct shard_work *w, struct share_recovery *r, uint64_t failed)
{
    r->failed |= failed;
    r->asked = 0; /* whatever else comes of this try is not waited for */
    wake_after(w, r, AGAIN_MS);
}

static void
store(struct shard_work *w, struct share_recovery *r, struct bytes record, struct bytes share,
      struct bytes dealing)
{
    struct store_change *list = arena_alloc(w->st->arena, 2 * sizeof(*list));
    struct loaded_row row;
    size_t count = 0;
    if (!list ||
        shard_version_row(w, r->version, r->version_id, record, share, dealing, &row) != OK ||
        shard_put_version(w, r->version, r->version_id, &row, dealing, list, &count) != OK)
        return;
    /* What is lacking beyond that, or whether anything is: looked at anew. */
    struct msg *next = shard_answer_later(w, MSG_CHECK);
    next->to = w->s->membership->self;
    next->op = 0;
    next->u.check = (struct msg_check){.version = r->version};
    memcpy(next->u.check.version_id, r->version_id, ID_BYTES);
    r->due = true;
    shard_commit(w, list, count);
}

/* By the chosen head nothing but the record is wanted of that version. */
static bool
is_destroyed(const struct shard_work *w, uint64_t version)
{
    const struct head_summary *head = &w->path->row.head;
    return version_set_has(head->destroyed, head->oldest_version, version);
}

static void
take_bare_record(struct shard_work *w, struct share_recovery *r, uint64_t from)
{
    struct bytes bytes = w->msg->u.helped.record;
    struct version_record record;
    uint8_t id[ID_BYTES];
    record_id(bytes, id);
    if (memcmp(id, r->version_id, ID_BYTES) != 0 || version_decode(bytes, &record) != OK ||
        record.version != r->version) {
        try_again(w, r, from);
        return;
    }
    metrics_count(w->st->metrics, METRIC_records_restored);
    store(w, r, bytes, (struct bytes){0}, (struct bytes){0});
}

/* Record and public part; the own share stays if it is here and is the right one. */
static void
take_records(struct shard_work *w, struct share_recovery *r, uint64_t from)
{
    const struct msg_helped *helped = &w->msg->u.helped;
    struct version_record record;
    struct dealing dealing;
    struct version_row have;
    struct bytes share = {0};
    uint8_t id[ID_BYTES], hash[HASH_BYTES];
    struct row_key key;
    record_id(helped->record, id);
    record_id(helped->dealing, hash);
    if (memcmp(id, r->version_id, ID_BYTES) != 0 || version_decode(helped->record, &record) != OK ||
        record.version != r->version || memcmp(hash, record.dealing_hash, HASH_BYTES) != 0 ||
        dealing_decode(helped->dealing, (struct bytes){0}, &dealing) != OK) {
        try_again(w, r, from);
        return;
    }
    row_key_version(ROW_VERSION, w->path->link.path, r->version, r->version_id, &key);
    if (!w->rows) {
        shard_need_rows(w, &key, 1);
        return;
    }
    if (w->rows->err == OK && w->rows->rows[0].found &&
        version_row_decode(w->rows->rows[0].value, &have) == OK && have.share.size > 0 &&
        shard_share_is_good(w, row_key_bytes(&key), have.share, &dealing) &&
        shard_share_unseal(w, row_key_bytes(&key), have.share, &share) != OK)
        return;
    metrics_count(w->st->metrics, METRIC_records_restored);
    shard_log(w, LOG_INFO, "records_recovered", REFUSED_NONE);
    audit_note_asked(w->st, AUDIT_repair, w->msg, w->path->link.path, (struct bytes){0}, "records",
                     "ok");
    store(w, r, helped->record, share, helped->dealing);
}

/* All have come: the sum is the share, or somebody's contribution was not what it should be. */
static void
take_share(struct shard_work *w, struct share_recovery *r)
{
    struct row_key keys[2];
    struct version_row row;
    struct dealing dealing;
    const struct replicas *replicas = &w->path->replicas;
    struct share share = {.data = bytes_of(r->sum.data, r->share_size)};
    row_key_version(ROW_VERSION, w->path->link.path, r->version, r->version_id, &keys[0]);
    row_key_version(ROW_DEALING, w->path->link.path, r->version, r->version_id, &keys[1]);
    if (!w->rows) {
        shard_need_rows(w, keys, 2);
        return;
    }
    share.x = (uint8_t)(replicas_index(replicas, w->s->membership->self) + 1);
    if (w->rows->err != OK || !w->rows->rows[0].found ||
        version_row_decode(w->rows->rows[0].value, &row) != OK ||
        shard_dealing_of(&row, &w->rows->rows[1]).size == 0 ||
        dealing_decode(shard_dealing_of(&row, &w->rows->rows[1]), (struct bytes){0}, &dealing) !=
            OK) {
        try_again(w, r, 0);
        return;
    }
    if (!dealing_share_matches(&dealing, &share)) {
        alarms_share_bad(w->s->membership, w->st, w->s->membership->self);
        shard_log(w, LOG_WARN, "recovered_share_bad", REFUSED_NONE);
        try_again(w, r, r->asked);
        return;
    }
    metrics_count(w->st->metrics, METRIC_shares_recovered);
    shard_log(w, LOG_INFO, "share_recovered", REFUSED_NONE);
    audit_note_asked(w->st, AUDIT_repair, w->msg, w->path->link.path, (struct bytes){0}, "share",
                     "ok");
    store(w, r, row.record, share.data, row.dealing);
}

static bool
take_contribution(struct shard_work *w, struct share_recovery *r, uint64_t from)
{
    struct bytes contribution = w->msg->u.helped.contribution;
    if (!r->sum.data || contribution.size == 0 ||
        (r->got != 0 && contribution.size != r->share_size)) {
        try_again(w, r, from);
        return false;
    }
    r->share_size = contribution.size;
    recovery_add(contribution, r->sum.data);
    r->got |= from;
    return r->got == r->asked;
}

void
shard_on_helped(struct shard_work *w)
{
    uint64_t from;
    struct share_recovery *r = question(w, &from);
    if (!r)
        return;
    if (w->msg->u.helped.outcome != HELPED_GIVEN || !is_still_wanted(w, r))
        try_again(w, r, from);
    else if (r->for_records && is_destroyed(w, r->version))
        take_bare_record(w, r, from);
    else if (r->for_records)
        take_records(w, r, from);
    else if (w->rows || take_contribution(w, r, from))
        take_share(w, r);
}
