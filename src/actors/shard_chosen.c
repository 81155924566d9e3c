/*
 * Heads that are known to be chosen: setting the state, dropping what the chain does not contain,
 * erasing. docs/protocol.md, "Writing phase" (CHOSEN) and "Deleting".
 */
#include <assert.h>
#include <string.h>

#include "actors/auditor.h"
#include "actors/shard_proof.h"
#include "actors/sweep.h"
#include "base/planted.h"

static const enum row_table boxes_alone[] = {ROW_BOXES};

enum chosen_plan {
    PLAN_IGNORE, /* another head stands here at a higher ballot, or there is nothing to learn */
    PLAN_PRUNE,  /* known already: only escrow may go */
    PLAN_SET,    /* the accepted head is this one */
    PLAN_TAKE,   /* the accepted head is older: take this one over */
};

static enum chosen_plan
plan_of(const struct shard_work *w)
{
    const struct msg_chosen *chosen = &w->msg->u.chosen;
    const struct path_row *row = &w->path->row.row;
    struct ballot ballot = ballot_promised(chosen->ballot);
    bool same =
        row->state != STATE_ABSENT && memcmp(w->path->row.head.id, chosen->head_id, ID_BYTES) == 0;
    if (same)
        return row->state == STATE_CHOSEN && ballot_compare(row->ballot, ballot) >= 0 ? PLAN_PRUNE
                                                                                      : PLAN_SET;
    bool later = ballot_compare(row->ballot, ballot) < 0 || PLANTED(late_chosen_drops_rows);
    if (later && chosen->head.size > 0)
        return PLAN_TAKE;
    return PLAN_IGNORE;
}

/*
 * What is done with the head that stands here, and that brought a version, is told by what is at hand
 * of it: nearly all notices are of such a head, and it need not be decoded for them. False: it has to
 * be.
 */
static bool
own_head_at_hand(const struct shard_path *path, struct head *out)
{
    const struct head_summary *have = &path->row.head;
    if (have->kind != HEAD_LIVE || !have->brings_version || have->pending ||
        have->earlier_count > 0)
        return false;
    *out = (struct head){.path = path->link.path,
                         .generation = have->generation,
                         .kind = have->kind,
                         .version = have->version,
                         .oldest_version = have->oldest_version,
                         .soft_deleted = have->soft_deleted,
                         .destroyed = have->destroyed,
                         .max_versions = have->max_versions,
                         .expires_at_ms = have->expires_at_ms};
    memcpy(out->incarnation, have->incarnation, INCARNATION_BYTES);
    memcpy(out->version_id, have->version_id, ID_BYTES);
    memcpy(out->prev, have->prev, ID_BYTES);
    return true;
}

/* The head to be set: ours, or the one that came; it must be what the notice names. */
static bool
head_of(struct shard_work *w, enum chosen_plan plan, struct head *out, struct bytes *encoded)
{
    const struct msg_chosen *chosen = &w->msg->u.chosen;
    uint8_t id[ID_BYTES];
    *encoded = plan == PLAN_TAKE ? chosen->head : w->path->row.row.head;
    if (plan != PLAN_TAKE && own_head_at_hand(w->path, out))
        return true; /* plan_of() has compared its id */
    memcpy(id, w->path->row.head.id, ID_BYTES);
    if (plan == PLAN_TAKE)
        record_id(*encoded, id);
    if (memcmp(id, chosen->head_id, ID_BYTES) != 0 || head_decode(*encoded, out) != OK ||
        !path_equal(out->path, w->path->link.path))
        return false;
    const struct head_summary *have = &w->path->row.head;
    return plan != PLAN_TAKE || w->path->row.row.state != STATE_CHOSEN ||
           out->generation > have->generation;
}

static void
delete_prefix(struct shard_work *w, enum row_table table, struct store_change *list, size_t *count)
{
    struct row_key key;
    row_key_versions(table, w->path->link.path, &key);
    shard_change(list, count, STORE_DELETE_PREFIX, shard_key_copy(w, &key), (struct bytes){0});
}

static uint64_t
all_replicas(const struct shard_work *w)
{
    return (UINT64_C(1) << w->s->membership->cluster->share_count) - 1;
}

bool
shard_put_erasure(struct shard_work *w, uint8_t mask, struct store_change *list, size_t *count)
{
    struct row_key key;
    struct bytes value;
    row_key_erasure(w->path->link.path, &key);
    if (mask == all_replicas(w)) {
        shard_change(list, count, STORE_DELETE, shard_key_copy(w, &key), (struct bytes){0});
        return true;
    }
    if (arena_copy(w->st->arena, bytes_of(&mask, 1), &value) != OK)
        return false;
    shard_change(list, count, STORE_PUT, shard_key_copy(w, &key), value);
    return true;
}

static uint8_t
own_bit(const struct shard_work *w)
{
    int own = replicas_index(&w->path->replicas, w->s->membership->self);
    return (uint8_t)(own < 0 ? 0 : 1u << own);
}

static void
answer_erased(struct shard_work *w, struct msg *m, const uint8_t head_id[static ID_BYTES],
              bool shredded)
{
    memcpy(m->u.erased.head_id, head_id, ID_BYTES);
    m->u.erased.erased = true;
    m->u.erased.shredded = shredded;
    shard_incarnations(w, &m->u.erased.incarnations);
}

/*
 * A tombstone that is known chosen: everything below it goes, in one durable transaction with the
 * mark that it is gone.
 */
static void
erase(struct shard_work *w, struct bytes head, struct ballot ballot)
{
    struct store_change *list = arena_alloc(w->st->arena, ACCEPT_CHANGES_MAX * sizeof(*list));
    size_t count = 0;
    bool made = list && shard_next_row(w->path, ballot, STATE_CHOSEN, head, true) == OK;
    if (made)
        made = shard_next_proof(w->path, w->msg->u.chosen.proof) == OK;
    if (made)
        shard_note_keys(w);
    if (!made || shard_put_path_row(w, list, &count) != OK ||
        !shard_put_erasure(w, own_bit(w), list, &count)) {
        w->path->has_next = false;
        return;
    }
    if (PLANTED(drop_tombstone)) {
        struct row_key key;
        row_key_path(w->path->link.path, &key);
        shard_change(list, &count, STORE_DELETE, shard_key_copy(w, &key), (struct bytes){0});
    }
    delete_prefix(w, ROW_VERSION, list, &count);
    delete_prefix(w, ROW_DEALING, list, &count);
    delete_prefix(w, ROW_BOXES, list, &count);
    delete_prefix(w, ROW_NEED, list, &count);
    w->path->next_clean = true;
    shard_rows_are_pure(w->path);
    answer_erased(w, shard_answer_later(w, MSG_ERASED), w->path->next->head.id, false);
    if (!shard_commit(w, list, count))
        return;
    metrics_count(w->st->metrics, METRIC_paths_erased);
    shard_log(w, LOG_INFO, "erased", REFUSED_NONE);
    audit_note_asked(w->st, AUDIT_erase, w->msg, w->path->link.path, (struct bytes){0}, "erase",
                     "ok");
}

/* Replicas that have written, in an incarnation not older than is known here. */
static uint64_t
written_by(const struct shard_work *w)
{
    const struct msg_chosen *chosen = &w->msg->u.chosen;
    struct incarnations known;
    shard_incarnations(w, &known);
    uint64_t mask = 0;
    uint64_t written = chosen->written & w->vouched;
    for (unsigned i = 0; i < known.count && i < chosen->incarnations.count; i++) {
        if ((written >> i & 1) && chosen->incarnations.of[i] >= known.of[i])
            mask |= UINT64_C(1) << i;
    }
    return mask;
}

void
shard_prune_boxes(struct shard_work *w, const struct row_key *key, struct bytes row, uint64_t mask,
                  struct store_change *list, size_t *count)
{
    struct bytes boxes[REPLICAS_MAX];
    struct buf encoded = {0};
    struct bytes value;
    size_t n = 0;
    bool left = false;
    if (bytes_list_decode(row, BOX_BYTES_MAX, boxes, REPLICAS_MAX, &n) != OK)
        return; /* what does not decode is kept as it is */
    for (size_t i = 0; i < n; i++) {
        if (mask >> i & 1)
            boxes[i] = (struct bytes){0};
        left = left || boxes[i].size > 0;
    }
    if (!left) {
        shard_change(list, count, STORE_DELETE, shard_key_copy(w, key), (struct bytes){0});
        return;
    }
    if (bytes_list_encode(boxes, n, &encoded) == OK &&
        arena_copy(w->st->arena, buf_bytes(&encoded), &value) == OK)
        shard_change(list, count, STORE_PUT, shard_key_copy(w, key), value);
    buf_close(&encoded);
}

/* Rows of the chain alone: a version has one in each table, and its name tells those of the others. */
static void
drop_version_number(struct shard_work *w, uint64_t version, struct store_change *list,
                    size_t *count)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES};
    static const uint8_t others[] = {ROW_DEALING, ROW_BOXES};
    struct row_key key;
    row_key_of_version(ROW_VERSION, w->path->link.path, version, &key);
    uint64_t bit = UINT64_C(1) << version % 64;
    bool one = w->path->pure && !(w->path->doubtful & bit);
    w->path->next_doubtful &= ~bit;
    if (one) {
        shard_change(list, count, STORE_DELETE_ONE, shard_key_copy(w, &key),
                     bytes_of(others, sizeof(others)));
        return;
    }
    for (unsigned i = 0; i < 3; i++) {
        row_key_of_version(tables[i], w->path->link.path, version, &key);
        shard_change(list, count, STORE_DELETE_PREFIX, shard_key_copy(w, &key), (struct bytes){0});
    }
}

bool
shard_drop_fallen(struct shard_work *w, struct store_change *list, size_t *count)
{
    const struct head_summary *have = &w->path->row.head;
    uint64_t first = shard_first_fallen(have->oldest_version, have->earlier_count);
    if (have->oldest_version <= 1)
        return true;
    for (uint64_t version = first; version < have->oldest_version; version++) {
        if (!w->path->pure || (w->path->doubtful >> version % 64 & 1))
            return false;
    }
    for (uint64_t version = first; version < have->oldest_version; version++)
        drop_version_number(w, version, list, count);
    return true;
}

/*
 * The oldest versions that just fell out of the kept range, as many as the head makes, where all
 * other rows are known to belong to the chain; and those before them that fell out with heads whose
 * notices never came.
 */
static void
drop_oldest(struct shard_work *w, const struct head *head, struct store_change *list, size_t *count)
{
    uint64_t from = shard_first_fallen(head->oldest_version, head_earlier_count(head));
    uint64_t missed = w->path->drops_from;
    if (missed != 0 && missed < from && head->oldest_version <= missed + SHARD_DROPS_MAX &&
        !PLANTED(missed_notice_drops_nothing))
        from = missed;
    for (uint64_t version = from; version > 0 && version < head->oldest_version; version++)
        drop_version_number(w, version, list, count);
}

/*
 * Who has the escrow of a head that this node has only been told of: the one that told of it, or,
 * if that is no replica, one that has written. -1: nobody is known to.
 */
static int
keeper_of_escrow(const struct shard_work *w, const struct replicas *replicas)
{
    const struct membership *ms = w->s->membership;
    if (replicas_index(replicas, w->msg->from) >= 0)
        return w->msg->from;
    for (unsigned i = 0; i < replicas->count; i++) {
        uint8_t node = replicas->nodes[i];
        if ((w->msg->u.chosen.written >> i & 1) && node != ms->self && ms->members[node].connected)
            return node;
    }
    return -1;
}

/* Whoever takes a head over without its share asks for it at once. */
static void
ask_for_share(struct shard_work *w)
{
    const struct replicas *replicas = &w->path->replicas;
    int own = replicas_index(replicas, w->s->membership->self);
    int keeper = keeper_of_escrow(w, replicas);
    if (own < 0 || keeper < 0)
        return;
    struct msg *m = effect_send(w->out, MSG_DELIVER, (uint8_t)keeper, w->msg);
    m->u.deliver.owner = (uint64_t)own;
}

/*
 * Rows that the chain of the new head does not contain may be here. Where one of them cannot be
 * read the head is taken all the same, and nothing is dropped: the scrubber finds out which it is.
 */
static bool
needs_scan(const struct shard_path *path, enum chosen_plan plan, const struct head *head)
{
    bool alters = !head_brings_version(head);
    if (plan == PLAN_TAKE || (plan == PLAN_SET && alters))
        return true;
    return !path->clean && (alters || (plan == PLAN_SET && !path->judged));
}

/*
 * Of the versions that an alteration destroys nothing is left here but records: whoever asked for it
 * counts that.
 */
static void
answer_destroyed(struct shard_work *w, const struct head *head, bool scanned, bool later)
{
    if (head->destroyed == 0 || head_brings_version(head) || w->msg->op == 0 ||
        (w->rows ? !scanned || w->rows->more : !w->path->clean))
        return;
    answer_erased(w, later ? shard_answer_later(w, MSG_ERASED) : shard_answer_now(w, MSG_ERASED),
                  w->msg->u.chosen.head_id, false);
}

/* Of all versions that the head makes; their rows have been loaded. */
static void
prune_boxes_of(struct shard_work *w, const struct head *head, uint64_t mask,
               struct store_change *list, size_t *count)
{
    struct row_key *keys;
    size_t n;
    if (!shard_brought_keys(w, head, boxes_alone, 1, &keys, &n) || n != w->rows->count)
        return; /* they stay, and are delivered once more */
    for (size_t i = 0; i < n; i++) {
        if (w->rows->rows[i].found)
            shard_prune_boxes(w, &keys[i], w->rows->rows[i].value, mask, list, count);
    }
}

/*
 * Where it sets the state and drops no version, nobody is told of anything that a crash could take
 * back: if it is lost, that is as if the notice had been, and the head is accepted, with all its rows
 * and escrow. What drops versions must be durable: it is said of them later that they are erased.
 */
static void
set_chosen(struct shard_work *w, enum chosen_plan plan, const struct head *head,
           struct bytes encoded)
{
    struct shard_path *path = w->path;
    struct ballot ballot = w->msg->u.chosen.ballot;
    /* Many changes come of rows that were looked through, and few notices look through any. */
    size_t most = w->rows ? SHARD_CHANGES_MAX : 3 * SHARD_DROPS_MAX + ACCEPT_CHANGES_MAX;
    struct store_change *list = arena_alloc(w->st->arena, most * sizeof(*list));
    size_t count = 0;
    bool unreadable = w->rows && w->rows->err != OK;
    bool brings = head_brings_version(head);
    bool scanned = w->rows && !unreadable && needs_scan(path, plan, head);
    bool whole = true;

    if (ballot_compare(path->row.row.ballot, ballot_promised(ballot)) > 0)
        ballot = path->row.row.ballot; /* of that very head; another offer's time says nothing */
    if (!list)
        return;
    if (plan != PLAN_PRUNE) {
        if (shard_next_row(path, ballot, STATE_CHOSEN, encoded, false) != OK ||
            shard_next_proof(path, w->msg->u.chosen.proof) != OK ||
            shard_put_path_row(w, list, &count) != OK) {
            path->has_next = false;
            return;
        }
        path->next_clean = path->clean && !unreadable;
        path->next_judged = path->judged && !unreadable;
        shard_judge_rows(path, plan == PLAN_SET, head);
        path->next_pure = path->next_pure && !unreadable;
        path->next_drops_from = 0;
        drop_oldest(w, head, list, &count);
    }
    if (scanned) {
        struct chain_head chain = shard_chain_of_head(head);
        scanned = shard_prune_to_chain(w, &chain, list, &count, &whole) == OK;
        path->next_clean = scanned && whole && !w->rows->more;
        path->next_judged = scanned && !whole && !w->rows->more;
        if (path->next_clean)
            shard_rows_are_pure(path);
    }
    uint64_t mask = PLANTED(prune_before_ack) ? all_replicas(w) : written_by(w);
    if (plan != PLAN_TAKE && brings && mask == all_replicas(w))
        shard_drop_boxes(w, head->version, head->version_id, head->earlier, list, &count);
    else if (plan != PLAN_TAKE && brings && !scanned && w->rows && !unreadable)
        prune_boxes_of(w, head, mask, list, &count);
    if ((plan == PLAN_TAKE || (plan == PLAN_SET && !brings)) &&
        !shard_rows_have_share(w, head->version, head->version_id) &&
        !shard_put_need(w, head->version, head->version_id, list, &count)) {
        path->has_next = false;
        return;
    }
    if (plan == PLAN_TAKE) {
        metrics_count(w->st->metrics, METRIC_heads_taken);
        if (head->kind == HEAD_LIVE)
            ask_for_share(w);
    }
    answer_destroyed(w, head, scanned, count > 0);
    if (count == 0)
        return;
    bool forgettable = plan != PLAN_TAKE && !path->answer && brings && !scanned &&
                       head->oldest_version <= 1 &&
                       ballot_compare(path->row.row.ballot, ballot) == 0;
    shard_commit(w, list, count);
    if (forgettable)
        shard_commit_may_be_lost(w);
}

/* Erased here already: says so again, or, when all have erased, stops telling the others. */
static void
erased_before(struct shard_work *w)
{
    struct store_change *list;
    size_t count = 0;
    if (w->msg->u.chosen.written != all_replicas(w)) {
        answer_erased(w, shard_answer_now(w, MSG_ERASED), w->path->row.head.id,
                      shard_is_shredded(w));
        return;
    }
    list = arena_alloc(w->st->arena, sizeof(*list));
    if (list && shard_put_erasure(w, (uint8_t)all_replicas(w), list, &count))
        shard_commit(w, list, count);
}

/*
 * A tombstone that a later chosen head was built on: what was below it has gone, or goes now, as if
 * this node had known the tombstone itself.
 */
static void
erase_below_later_head(struct shard_work *w, struct head *tombstone)
{
    const struct msg_chosen *chosen = &w->msg->u.chosen;
    const struct head_summary *own = &w->path->row.head;
    struct store_change *list = arena_alloc(w->st->arena, SHARD_CHANGES_MAX * sizeof(*list));
    struct chain_head chain = shard_chain_of(own);
    size_t count = 0;
    bool whole;
    if (!list || w->path->row.row.state != STATE_CHOSEN || chosen->head.size == 0 ||
        head_decode(chosen->head, tombstone) != OK || !head_kind_erases(tombstone->kind) ||
        tombstone->generation >= own->generation)
        return;
    if (!w->rows && !w->path->clean) {
        shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
        return;
    }
    if (w->rows && w->rows->err != OK)
        return;
    if (w->rows && (shard_prune_to_chain(w, &chain, list, &count, &whole) != OK || w->rows->more))
        return;
    answer_erased(w,
                  count > 0 ? shard_answer_later(w, MSG_ERASED) : shard_answer_now(w, MSG_ERASED),
                  chosen->head_id, false);
    if (count > 0)
        shard_commit(w, list, count);
}

/* What an alteration destroyed stays so in all heads that follow it. */
static void
destroyed_below_later_head(struct shard_work *w)
{
    const struct msg_chosen *chosen = &w->msg->u.chosen;
    const struct shard_row *own = &w->path->row;
    struct head *head = arena_alloc(w->st->arena, sizeof(*head));
    if (head && own->row.state == STATE_CHOSEN && head_decode(chosen->head, head) == OK &&
        path_equal(head->path, w->path->link.path) && head->kind == HEAD_LIVE &&
        head->generation < own->head.generation)
        answer_destroyed(w, head, false, false);
}

/* ---- identity records ---- */

/* Only whoever waits for it is told; and nothing is said of a path that is in doubt. */
static void
answer_known(struct shard_work *w, bool now)
{
    if (w->msg->op == 0 || shard_store_in_doubt(w->s, w->path->link.path))
        return;
    struct msg *m = now ? shard_answer_now(w, MSG_KNOWN) : shard_answer_later(w, MSG_KNOWN);
    memcpy(m->u.known.head_id, w->msg->u.chosen.head_id, ID_BYTES);
    shard_incarnations(w, &m->u.known.incarnations);
}

/* A head that is known chosen here was built on that one. */
static bool
is_known_below(const struct shard_work *w, struct head *memory)
{
    const struct msg_chosen *chosen = &w->msg->u.chosen;
    const struct shard_row *own = &w->path->row;
    return own->row.state == STATE_CHOSEN && head_decode(chosen->head, memory) == OK &&
           path_equal(memory->path, w->path->link.path) &&
           memory->generation < own->head.generation;
}

static void
set_identity_chosen(struct shard_work *w, struct bytes encoded)
{
    struct ballot ballot = w->msg->u.chosen.ballot;
    struct store_change *list = arena_alloc(w->st->arena, ACCEPT_CHANGES_MAX * sizeof(*list));
    size_t count = 0;
    if (ballot_compare(w->path->row.row.ballot, ballot) > 0)
        ballot = w->path->row.row.ballot;
    if (!list || shard_next_row(w->path, ballot, STATE_CHOSEN, encoded, false) != OK ||
        shard_next_proof(w->path, w->msg->u.chosen.proof) != OK ||
        shard_put_path_row(w, list, &count) != OK) {
        w->path->has_next = false;
        return;
    }
    answer_known(w, false);
    shard_commit(w, list, count);
}

/* There is nothing but the head: no version rows, shares or escrow. */
static void
on_identity_chosen(struct shard_work *w)
{
    struct head *head = arena_alloc(w->st->arena, sizeof(*head));
    enum chosen_plan plan = plan_of(w);
    struct bytes encoded;
    if (!head)
        return;
    if (plan == PLAN_IGNORE) {
        if (is_known_below(w, head))
            answer_known(w, true);
    } else if (!head_of(w, plan, head, &encoded)) {
        shard_log(w, LOG_ERROR, "chosen_contradicts", REFUSED_DEALING);
        metrics_count(w->st->metrics, METRIC_messages_refused);
    } else if (plan == PLAN_PRUNE || sweep_forgets(w->s->membership, sweep_forget_after(head))) {
        answer_known(w, true); /* it is forgotten here: nothing is decided by what was before it */
    } else if (!sweep_refuses(w->s->membership, head)) {
        /* One that is about to be is neither: whoever asks again hears when that is durable. */
        metrics_count(w->st->metrics, METRIC_heads_taken);
        set_identity_chosen(w, encoded);
    }
}

/*
 * The notice of the very head that the accepted one has replaced: where a name is changed often it
 * comes too late to set anything. But when all have written that head, nobody needs its boxes.
 */
static void
drop_boxes_before(struct shard_work *w)
{
    struct shard_path *path = w->path;
    struct store_change *list = arena_alloc(w->st->arena, GROUP_VERSIONS_MAX * sizeof(*list));
    size_t count = 0;
    if (!list || path->before_version == 0 || path->row.row.state == STATE_ABSENT ||
        memcmp(path->row.head.prev, w->msg->u.chosen.head_id, ID_BYTES) != 0 ||
        memcmp(path->before_id, w->msg->u.chosen.head_id, ID_BYTES) != 0 ||
        written_by(w) != all_replicas(w))
        return;
    uint64_t version = path->before_version;
    path->before_version = 0;
    struct bytes earlier = buf_bytes(&path->before_earlier);
    if (shard_boxes_wait(w, version, path->before_version_id, earlier))
        return;
    shard_drop_boxes(w, version, path->before_version_id, earlier, list, &count);
    shard_commit(w, list, count);
    shard_commit_may_be_lost(w);
}

void
shard_on_chosen(struct shard_work *w)
{
    struct head *head = arena_alloc(w->st->arena, sizeof(*head));
    struct bytes encoded;
    enum chosen_plan plan = plan_of(w);
    struct ballot ballot = w->msg->u.chosen.ballot;
    if (!head)
        return;
    if (!shard_chosen_proven(w, w->msg->u.chosen.head_id, w->msg->u.chosen.proof, &ballot,
                             &w->vouched) ||
        ballot_compare(ballot, w->msg->u.chosen.ballot) != 0) {
        shard_log(w, LOG_WARN, "chosen_not_proven", REFUSED_PROOF);
        return;
    }
    if (record_path_is(w->path->link.path)) {
        on_identity_chosen(w);
        return;
    }
    if (plan == PLAN_IGNORE) {
        erase_below_later_head(w, head);
        destroyed_below_later_head(w);
        if (!w->rows && !w->path->answer && w->path->stage == SHARD_IDLE)
            drop_boxes_before(w);
        return;
    }
    if (!head_of(w, plan, head, &encoded)) {
        shard_log(w, LOG_ERROR, "chosen_contradicts", REFUSED_DEALING);
        metrics_count(w->st->metrics, METRIC_messages_refused);
        return;
    }
    if (head_kind_erases(head->kind)) {
        if (plan == PLAN_PRUNE && w->path->row.row.erased)
            erased_before(w);
        else
            erase(w, encoded,
                  ballot_compare(w->path->row.row.ballot, ballot) > 0 ? w->path->row.row.ballot
                                                                      : ballot);
        return;
    }
    if (!w->rows && needs_scan(w->path, plan, head)) {
        shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
        return;
    }
    bool by_all = written_by(w) == all_replicas(w);
    if (plan == PLAN_SET && by_all && shard_notice_waits(w, head))
        return;
    if (!w->rows && head_brings_version(head) && !by_all) {
        struct row_key *keys;
        size_t count;
        if (shard_brought_keys(w, head, boxes_alone, 1, &keys, &count))
            shard_need_rows(w, keys, count);
        return;
    }
    set_chosen(w, plan, head, encoded);
}

/* Progress of a deletion: what this node has, and whether it has erased. */
void
shard_on_ask_erased(struct shard_work *w)
{
    struct accepted accepted;
    shard_accepted(w->path, &accepted);
    struct msg *m = shard_answer_now(w, MSG_ERASED);
    if (accepted.state != STATE_ABSENT)
        memcpy(m->u.erased.head_id, w->path->row.head.id, ID_BYTES);
    m->u.erased.erased = w->path->row.row.erased;
    m->u.erased.shredded = shard_is_shredded(w);
    m->u.erased.state = accepted.state;
    m->u.erased.ballot = accepted.ballot;
    m->u.erased.head = accepted.head;
    shard_incarnations(w, &m->u.erased.incarnations);
}

/* ---- telling the others of a deletion until all have erased ---- */

static void
commit_erasure(struct shard_work *w, uint8_t mask)
{
    struct store_change *list = arena_alloc(w->st->arena, sizeof(*list));
    size_t count = 0;
    if (list && shard_put_erasure(w, mask, list, &count))
        shard_commit(w, list, count);
}

void
shard_spread_erasure(struct shard_work *w)
{
    const struct path_row *row = &w->path->row.row;
    const struct replicas *replicas = &w->path->replicas;
    struct row_key key;
    row_key_erasure(w->path->link.path, &key);
    if (!w->rows) {
        shard_need_rows(w, &key, 1);
        return;
    }
    if (!w->rows->rows[0].found || w->rows->rows[0].value.size != 1)
        return;
    if (!row->erased) {
        commit_erasure(w,
                       (uint8_t)all_replicas(w)); /* a later head has taken the tombstone's place */
        return;
    }
    for (unsigned i = 0; i < replicas->count; i++) {
        if (w->rows->rows[0].value.data[0] >> i & 1)
            continue;
        struct msg *m = effect_send(w->out, MSG_CHOSEN, replicas->nodes[i], w->msg);
        m->op = 0;
        m->u.chosen.ballot = shard_told_ballot(w->path);
        memcpy(m->u.chosen.head_id, w->path->row.head.id, ID_BYTES);
        m->u.chosen.head = row->head;
        m->u.chosen.proof = row->proof;
        shard_incarnations(w, &m->u.chosen.incarnations);
    }
}

/* Another replica has erased. */
void
shard_on_erased(struct shard_work *w)
{
    const struct replicas *replicas = &w->path->replicas;
    struct row_key key;
    row_key_erasure(w->path->link.path, &key);
    int from = replicas_index(replicas, w->msg->from);
    if (from < 0 || !w->msg->u.erased.erased || w->path->row.row.state == STATE_ABSENT ||
        memcmp(w->msg->u.erased.head_id, w->path->row.head.id, ID_BYTES) != 0)
        return;
    if (!w->rows)
        shard_need_rows(w, &key, 1);
    else if (w->rows->rows[0].found && w->rows->rows[0].value.size == 1)
        commit_erasure(w, (uint8_t)(w->rows->rows[0].value.data[0] | 1u << from));
}
