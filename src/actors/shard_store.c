/*
 * The shard store's table of paths, and the order in which messages of a path are handled. What each
 * message does is in the other files shard_*.c: shard_vote.c, shard_write.c, shard_chosen.c and so on.
 */
#include "actors/shard_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/lease.h"
#include "actors/shard_proof.h"
#include "actors/standing.h"
#include "actors/sweep.h"
#include "base/planted.h"

static_assert(EFFECTS_MAX >= 16,
              "one message never makes more than 8 effects, and the pump keeps 8 free");

/* ---- queues of messages that wait ---- */

struct shard_waiting *
shard_waiting_of(const struct msg *msg)
{
    struct shard_waiting *w = calloc(1, sizeof(*w));
    if (!w)
        return NULL;
    if (msg_encode(msg, &w->frame) != OK || msg_decode(buf_bytes(&w->frame), &w->msg) != OK) {
        buf_close(&w->frame);
        free(w);
        return NULL;
    }
    w->msg.from = msg->from;
    w->msg.to = msg->to;
    return w;
}

void
shard_waiting_free(struct shard_waiting *w)
{
    if (!w)
        return;
    buf_close(&w->frame);
    free(w);
}

void
shard_queue_push(struct shard_queue *q, struct shard_waiting *w)
{
    w->next = NULL;
    if (q->last)
        q->last->next = w;
    else
        q->first = w;
    q->last = w;
    q->count++;
}

/* Whether that message is a vote for a higher ballot. */
static bool
votes_above(const struct shard_waiting *w, struct ballot b)
{
    return w->msg.kind == MSG_VOTE && ballot_compare(w->msg.u.vote.ballot, b) > 0;
}

/*
 * Votes come before those for higher ballots, so that all replicas grant them in the same order, and
 * to grant one is not to refuse another that waits.
 */
void
shard_queue_take(struct shard_queue *q, struct shard_waiting *w)
{
    struct shard_waiting **at = &q->first;
    while (w->msg.kind == MSG_VOTE && *at && !votes_above(*at, w->msg.u.vote.ballot))
        at = &(*at)->next;
    if (w->msg.kind != MSG_VOTE || !*at) {
        shard_queue_push(q, w);
        return;
    }
    w->next = *at;
    *at = w;
    q->count++;
}

static struct shard_waiting *
queue_pop(struct shard_queue *q)
{
    struct shard_waiting *w = q->first;
    if (!w)
        return NULL;
    q->first = w->next;
    if (!q->first)
        q->last = NULL;
    q->count--;
    return w;
}

static void
queue_close(struct shard_queue *q)
{
    struct shard_waiting *w;
    while ((w = queue_pop(q)))
        shard_waiting_free(w);
}

/* Effects may borrow from a message that has been handled: it is freed at the next step. */
void
shard_waiting_done(struct shard_store *s, struct shard_waiting *w)
{
    w->next = s->done;
    s->done = w;
}

static void
free_done(struct shard_store *s)
{
    while (s->done) {
        struct shard_waiting *next = s->done->next;
        shard_waiting_free(s->done);
        s->done = next;
    }
    kept_sweep(&s->kept);
}

/* ---- table of paths ---- */

static void
path_free(struct shard_store *s, struct shard_path *path)
{
    path_map_remove(&s->paths, &path->link);
    s->slots[path->slot] = NULL;
    s->free_slots[s->free_slot_count++] = path->slot;
    queue_close(&path->queue);
    queue_close(&path->parked);
    shard_late_free(path);
    shard_check_free(path);
    shard_waiting_free(path->current);
    kept_forget(&s->kept, &path->kept);
    buf_close(&path->row.memory);
    shard_forget_next(path);
    shard_forget_answer(path);
    buf_close(&path->box_memory);
    buf_close(&path->before_earlier);
    shard_forget_box(path);
    buf_close(&path->left);
    free(path);
}

static bool
path_is_quiet(const struct shard_path *path)
{
    return (path->stage == SHARD_IDLE || path->stage == SHARD_NEW) && path->queue.count == 0 &&
           path->parked.count == 0 && !path->late;
}

/*
 * Makes room: the least recently used quiet entry goes. What it had promised beyond what it
 * accepted is not forgotten: the floor takes it over, so every later ballot must be above it.
 */
static bool
evict_one(struct shard_store *s)
{
    struct path_link *link = s->paths.oldest;
    for (unsigned tries = 0; link && tries < 64; tries++, link = link->newer) {
        struct shard_path *path = (struct shard_path *)link;
        if (!path_is_quiet(path))
            continue;
        if (ballot_compare(path->promised, ballot_promised(path->row.row.ballot)) > 0 &&
            ballot_compare(path->promised, s->floor) > 0 && !PLANTED(forget_promise_of_full_table))
            s->floor = path->promised;
        path_free(s, path);
        return true;
    }
    return false;
}

static struct shard_path *
path_new(struct shard_store *s, const struct step *st, struct path of)
{
    bool full = s->free_slot_count == 0;
    if ((full || sim_maybe(st, map_full)) && !evict_one(s) && full)
        return NULL;
    struct shard_path *path = calloc(1, sizeof(*path));
    if (!path)
        return NULL;
    if (path_map_insert(&s->paths, of, &path->link) != OK) {
        free(path);
        return NULL;
    }
    membership_replicas(s->membership, of, &path->replicas);
    path->slot = s->free_slots[--s->free_slot_count];
    s->slots[path->slot] = path;
    return path;
}

enum vault_err
shard_store_init(struct shard_store *s, const struct shard_store_options *options)
{
    options->membership->forgotten_ms = options->node.forgotten_ms;
    options->membership->forgetting_ms = options->node.forgotten_ms;
    *s = (struct shard_store){
        .membership = options->membership,
        .ring = options->ring,
        .share_wrap_key = options->share_wrap_key,
        .buckets = options->buckets,
        .node = options->node,
        .digests = options->digests,
        .dealings_apart = options->dealings_apart,
        .paths_max = options->paths_max ? options->paths_max : SHARD_PATHS_MAX,
    };
    /* Something at or below the horizon found on disk may have been promised and forgotten. */
    if (s->node.horizon_ms > 0 && !PLANTED(forget_promise_on_restart))
        s->floor = (struct ballot){.time = (s->node.horizon_ms << 16) | 0xffff,
                                   .node = NODES_MAX - 1,
                                   .incarnation = UINT64_MAX};
    s->slots = calloc(s->paths_max, sizeof(*s->slots));
    s->free_slots = calloc(s->paths_max, sizeof(*s->free_slots));
    if (!s->slots || !s->free_slots || path_map_init(&s->paths, s->paths_max, options->map_seed) ||
        path_filter_init(&s->on_disk) ||
        kept_init(&s->kept, options->secrets, options->shares_kept)) {
        shard_store_close(s);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < s->paths_max; i++)
        s->free_slots[s->free_slot_count++] = (uint32_t)(s->paths_max - 1 - i);
    if (options->lost) {
        s->node.incarnation = 0; /* which one it is, the others must say first */
        s->node.recovery = RECOVERY_HANDOVER;
    }
    shard_node_announce(s);
    s->membership->repair.room = SHARE_RECOVERIES_MAX;
    return OK;
}

void
shard_store_close(struct shard_store *s)
{
    free_done(s);
    shard_recoveries_close(s);
    doubts_close(&s->doubts);
    while (s->paths.oldest)
        path_free(s, (struct shard_path *)s->paths.oldest);
    path_map_close(&s->paths);
    path_filter_close(&s->on_disk);
    kept_close(&s->kept);
    free(s->slots);
    free(s->free_slots);
    s->slots = NULL;
    s->free_slots = NULL;
}

/* ---- what is forgotten ---- */

/*
 * The accepted head is forgotten: nothing is here. That it was accepted at that ballot is all that
 * is left, as a promise.
 */
static void
forget_row(struct shard_store *s, struct shard_path *path)
{
    if (path->row.row.state == STATE_ABSENT ||
        !sweep_forgets(s->membership, path->row.head.forget_after_ms))
        return;
    const struct auth_view *view = s->membership->records;
    path->swept = !view || !auth_view_is_dropping(view, path->link.path);
    struct ballot accepted = ballot_promised(path->row.row.ballot);
    if (ballot_compare(accepted, path->promised) > 0)
        path->promised = accepted;
    if (PLANTED(sweep_forgets_promise))
        path->promised = s->floor;
    buf_close(&path->left);
    path->left = path->row.memory;
    path->row = (struct shard_row){0};
    path->clean = path->pure = true;
}

bool
shard_store_drop(struct shard_store *s, struct path of, struct ballot accepted)
{
    struct shard_path *path = (struct shard_path *)path_map_find(&s->paths, of);
    if (s->node.incarnation == 0 || ballot_ms(accepted) > s->node.horizon_ms ||
        shard_store_in_doubt(s, of) || (path && (!path_is_quiet(path) || path->corrupt)))
        return false;
    if (path && path->stage != SHARD_NEW) {
        forget_row(s, path);
        path->swept = false;
    } else if (!PLANTED(sweep_forgets_promise)) {
        shard_store_raise_floor(s, accepted); /* no row is at hand that would tell of it */
    }
    return true;
}

/* ---- the order of things ---- */

/*
 * A store that does not know its own incarnation yet takes nothing. Asking for the state of a
 * deletion is a read.
 */
static bool
is_ready_for(const struct shard_work *w)
{
    const struct shard_store *s = w->s;
    const struct replicas *replicas = &w->path->replicas;
    bool sure = !shard_store_in_doubt(w->s, w->path->link.path);
    switch ((int)w->msg->kind) {
    case MSG_VOTE:
    case MSG_WRITE: return sure && s->serving && standing_ready(s->membership, replicas);
    case MSG_READ:
    case MSG_LIST:
    case MSG_FETCH:
    case MSG_HELP:
    case MSG_ASK_ERASED: return sure && standing_ready(s->membership, replicas);
    default: return s->node.incarnation != 0;
    }
}

/*
 * What a path row that does not verify does not keep from being done: replacing it, and sealing the
 * shares beside it anew. While those wait no old key of their bucket is destroyed, of whatever path.
 */
static bool
does_without_row(const struct msg *msg)
{
    return msg->kind == MSG_HANDOVER ||
           (msg->kind == MSG_DELIVER && msg->u.deliver.owner == DELIVER_REWRAP);
}

static void
dispatch(struct shard_work *w)
{
    if (!w->rows)
        forget_row(w->s, w->path);
    if (w->path->corrupt && !does_without_row(w->msg)) {
        shard_refuse(w, REFUSED_CORRUPT, (struct ballot){0});
        return;
    }
    if (!is_ready_for(w)) {
        shard_refuse(w, REFUSED_NOT_READY, (struct ballot){0});
        return;
    }
    switch ((int)w->msg->kind) {
    case MSG_VOTE: shard_on_vote(w); break;
    case MSG_WRITE: shard_on_write(w); break;
    case MSG_CHOSEN: shard_on_chosen(w); break;
    case MSG_ASK_ERASED: shard_on_ask_erased(w); break;
    case MSG_READ: shard_on_read(w); break;
    case MSG_FETCH: shard_on_fetch(w); break;
    case MSG_LIST: shard_on_list(w); break;
    case MSG_SHARE: shard_on_share(w); break;
    case MSG_SHARED: shard_on_shared(w); break;
    case MSG_DELIVER: shard_on_deliver(w); break;
    case MSG_ERASED: shard_on_erased(w); break;
    case MSG_HANDOVER: shard_on_handover(w); break;
    case MSG_CHECK: shard_on_check(w); break;
    case MSG_HELP: shard_on_help(w); break;
    case MSG_HELPED: shard_on_helped(w); break;
    default: assert(false && "a kind that shard_store_handle does not let through"); break;
    }
}

static void
load_path_row(struct shard_work *w)
{
    struct row_key key;
    row_key_path(w->path->link.path, &key);
    shard_need_rows(w, &key, 1);
    if (w->msg->kind == MSG_READ && !w->msg->u.read.head_only)
        shard_rows_along(w);
    if (w->path->stage == SHARD_LOADING_ROWS)
        w->path->stage = SHARD_LOADING;
}

static void
raise_to_floor(const struct shard_store *s, struct shard_path *path)
{
    path->promised = ballot_promised(path->row.row.ballot);
    if (ballot_compare(s->floor, path->promised) > 0)
        path->promised = s->floor;
}

/* Every row that was on the disk at the start is known, as are those that came since. */
static bool
is_surely_absent(const struct shard_store *s, const struct shard_path *path)
{
    return s->digests && s->digests->whole && !path_filter_may_have(&s->on_disk, path->link.hash);
}

bool
shard_store_lacks(const struct shard_store *s, struct path path)
{
    return s->digests && s->digests->whole &&
           !path_filter_may_have(&s->on_disk, path_map_hash(&s->paths, path));
}

bool
shard_store_keeps(const struct shard_store *s, struct path path,
                  uint8_t version_id[static ID_BYTES])
{
    const struct shard_path *p = (const struct shard_path *)path_map_find(&s->paths, path);
    if (!p || !p->kept)
        return false;
    memcpy(version_id, p->kept->version_id, ID_BYTES);
    return true;
}

static void
begin(struct shard_work *w)
{
    if (w->path->stage == SHARD_NEW && is_surely_absent(w->s, w->path)) {
        w->path->stage = SHARD_IDLE;
        w->path->clean = w->path->pure = true; /* nothing is there */
        raise_to_floor(w->s, w->path);
    }
    if (w->path->stage == SHARD_NEW)
        load_path_row(w);
    else
        dispatch(w);
}

/*
 * Handles what waits, as long as nothing has to be loaded or stored for it and effects have room.
 */
static void
pump(struct shard_store *s, const struct step *st, struct shard_path *path, struct effects *out)
{
    while (path->queue.first && (path->stage == SHARD_IDLE || path->stage == SHARD_NEW)) {
        if (out->count > EFFECTS_MAX - 16 || sim_maybe(st, pump_yields)) {
            effect_timer(out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_PUMP, path->slot),
                         duration_us(0));
            return;
        }
        struct shard_waiting *waiting = queue_pop(&path->queue);
        struct shard_work w = {.s = s, .st = st, .path = path, .msg = &waiting->msg, .out = out};
        path->current = waiting;
        begin(&w);
        if (path->stage == SHARD_LOADING || path->stage == SHARD_LOADING_ROWS)
            return; /* it stays current until its rows have come */
        if (path->current == waiting)
            path->current = NULL;
        shard_waiting_done(s, waiting);
    }
}

/*
 * A path of which this node is no replica: nothing is looked up, kept or promised for it. Every
 * node knows who the replicas are, so whoever asks here has another configuration, or is broken.
 * But what this node has sent as a coordinator is answered to its shard store, replica or not.
 */
static bool
is_of_others(struct shard_store *s, const struct step *st, const struct msg *in,
             struct effects *out)
{
    struct replicas replicas;
    membership_replicas(s->membership, in->path, &replicas);
    if (replicas_index(&replicas, s->membership->self) >= 0 || PLANTED(keep_paths_of_others))
        return false;
    struct shard_path nothing = {.link.path = in->path, .replicas = replicas};
    struct shard_work w = {.s = s, .st = st, .path = &nothing, .msg = in, .out = out};
    if (in->kind == MSG_SHARED && in->u.shared.repair)
        metrics_count(st->metrics, METRIC_repairs_done);
    if ((in->kind == MSG_SHARED && in->u.shared.repair) || in->kind == MSG_ERASED)
        return true;
    metrics_count(st->metrics, METRIC_messages_refused);
    shard_refuse(&w, REFUSED_CONFIG, (struct ballot){0});
    return true;
}

static void
take_message(struct shard_store *s, const struct step *st, const struct msg *in,
             struct effects *out)
{
    struct shard_path *path = (struct shard_path *)path_map_find(&s->paths, in->path);
    if (path)
        path_map_touch(&s->paths, &path->link);
    else if (is_of_others(s, st, in, out))
        return;
    else
        path = path_new(s, st, in->path);
    if (!path)
        return; /* no memory, or every entry is busy: as if the message had been lost */
    struct shard_work w = {.s = s, .st = st, .path = path, .msg = in, .out = out};
    bool idle = path->stage == SHARD_IDLE || path->stage == SHARD_NEW;
    if (PLANTED(vote_while_storing) && in->kind == MSG_VOTE && path->stage == SHARD_STORING) {
        shard_on_vote(&w);
        return;
    }
    if (idle && path->queue.count == 0) {
        begin(&w);
        pump(s, st, path, out);
        return;
    }
    struct shard_waiting *waiting =
        path->queue.count < SHARD_QUEUE_MAX && !sim_maybe(st, queue_full) ? shard_waiting_of(in)
                                                                          : NULL;
    if (waiting)
        shard_queue_take(&path->queue, waiting);
    else
        shard_refuse(&w, REFUSED_BUSY, (struct ballot){0});
}

/* Errors: ERR_NOMEM; of anything else that is wrong with it, *path tells. */
static enum vault_err
path_row_loaded(struct shard_store *s, const struct step *st, struct shard_path *path,
                const struct msg_loaded *rows)
{
    bool readable = PLANTED(corrupt_is_nothing) || (rows->err == OK && rows->count == 1);
    bool found = readable && rows->count == 1 && rows->rows[0].found;
    struct path_row row;
    enum vault_err err = found ? path_row_decode(rows->rows[0].value, &row) : OK;
    if (found && err == OK)
        err = sim_maybe(st, row_no_memory) ? ERR_NOMEM : shard_row_set(&path->row, &row);
    bool corrupt = !readable || err != OK, news = false;
    if (err == ERR_NOMEM || (corrupt && shard_doubt_notice(s, st, path->link.path, &news) != OK))
        return ERR_NOMEM;
    path->stage = SHARD_IDLE;
    path->corrupt = corrupt;
    if (readable && !found)
        path->clean = path->pure = true; /* nothing is there */
    if (news) {
        metrics_count(st->metrics, METRIC_records_corrupt);
        log_event(st->log, LOG_ERROR, "shard_store", "path_row_corrupt",
                  log_err("error", rows->err));
    }
    raise_to_floor(s, path);
    return OK;
}

/* What does not verify is what these are about. */
static bool
judges_rows_itself(const struct msg *msg)
{
    return msg->kind == MSG_CHECK || msg->kind == MSG_HELPED || msg->kind == MSG_HANDOVER ||
           msg->kind == MSG_CHOSEN;
}

static void
on_loaded(struct shard_store *s, const struct step *st, struct shard_path *path,
          const struct msg_loaded *rows, struct effects *out)
{
    struct shard_waiting *waiting = path->current;
    assert(waiting);
    assert(path->stage == SHARD_LOADING || path->stage == SHARD_LOADING_ROWS);
    struct shard_work w = {.s = s, .st = st, .path = path, .msg = &waiting->msg, .out = out};

    bool another_time = rows->err != OK && rows->err != ERR_CORRUPT;
    if (path->stage == SHARD_LOADING) {
        another_time = another_time || path_row_loaded(s, st, path, rows) != OK;
        if (another_time)
            path->stage = SHARD_NEW;
        w.along = rows->along.found ? &rows->along : NULL;
    } else {
        path->stage = SHARD_IDLE;
        w.rows = rows;
        if (rows->err != OK && !another_time)
            metrics_count(st->metrics, METRIC_records_corrupt);
    }
    if (another_time)
        shard_refuse(&w, REFUSED_BUSY, (struct ballot){0});
    else if (w.rows && rows->err != OK && !judges_rows_itself(&waiting->msg))
        shard_refuse(&w, REFUSED_CORRUPT, (struct ballot){0});
    else
        dispatch(&w);
    if (path->stage == SHARD_LOADING_ROWS)
        return;
    path->current = NULL;
    shard_waiting_done(s, waiting);
    pump(s, st, path, out);
}

/*
 * A batch that was refused changed nothing: the answer says so, if it can. Refused for want of room
 * is refused for good: a second copy of the WRITE, come when there is room again, finds a higher
 * promise.
 */
static bool
answer_failed(struct shard_path *path, enum vault_err err)
{
    struct msg *answer = &path->answer->msg;
    struct msg_written *written = &answer->u.written;
    if (answer->kind == MSG_HANDED) {
        answer->u.handed.refusal = REFUSED_BUSY;
        path->offer_from = 0; /* it may have been noted of a head that does not stand */
    }
    if (answer->kind != MSG_WRITTEN)
        return answer->kind == MSG_HANDED;
    written->refusal = err == ERR_DISK_FULL ? REFUSED_DISK_FULL : REFUSED_NOT_READY;
    struct ballot above = {
        .time = written->ballot.time, .node = NODES_MAX - 1, .incarnation = UINT64_MAX};
    if (err == ERR_DISK_FULL && ballot_compare(above, path->promised) > 0)
        path->promised = above;
    return true;
}

void
shard_store_note_row(struct shard_store *s, struct path path)
{
    path_filter_add(&s->on_disk, path_map_hash(&s->paths, path));
}

/* As it is compared with other nodes: what is forgotten is not there. */
static void
head_state_of(const struct shard_store *s, const struct shard_row *row, struct head_state *out)
{
    *out = (struct head_state){.state = row->row.state};
    memcpy(out->head_id, row->head.id, ID_BYTES);
    out->secret = out->state != STATE_ABSENT && row->head.kind == HEAD_LIVE;
    if (sweep_forgets(s->membership, row->head.forget_after_ms))
        out->state = STATE_ABSENT;
}

bool
shard_store_view(const struct shard_store *s, const struct step *st, struct path path,
                 struct shard_view *out)
{
    const struct shard_path *p = (const struct shard_path *)path_map_find(&s->paths, path);
    if (!p || p->stage == SHARD_NEW || p->stage == SHARD_LOADING || p->corrupt)
        return false;
    head_state_of(s, &p->row, &out->head);
    out->ballot = p->row.row.ballot;
    out->settling =
        p->has_next || instant_since(st->now, p->touched).ns < duration_ms(DELIVER_QUIET_MS).ns;
    return true;
}

/* The durable row becomes the one that was stored, and so do the digests of all rows. */
static void
take_next_row(struct shard_store *s, struct shard_path *path)
{
    struct head_state before, after;
    head_state_of(s, &path->row, &before);
    head_state_of(s, path->next, &after);
    if (s->digests)
        digests_change(s->digests, path->link.path, &before, &after);
    if (s->membership->records && path->next->head.kind == HEAD_INLINE) {
        auth_view_set(s->membership->records, path->link.path, &path->next->row);
        lease_reconsider(s->membership);
    }
    buf_close(&path->row.memory);
    path->row = *path->next;
    free(path->next);
    path->next = NULL;
    path->swept = false;
    path->clean = path->next_clean;
    path->judged = path->next_judged;
    path->pure = path->next_pure;
    path->doubtful = path->next_doubtful;
    path->drops_from = path->next_drops_from;
}

static void
on_stored(struct shard_store *s, const struct step *st, struct shard_path *path, enum vault_err err,
          struct effects *out)
{
    assert(path->stage == SHARD_STORING);
    path->stage = SHARD_IDLE;
    if (path->making)
        path_count_made(&s->membership->held, path->link.path, err == OK);
    path->making = false;
    if (err == OK && path->has_next) {
        path->touched = st->now;
        take_next_row(s, path);
        if (path->corrupt) /* only a handover replaces a row that does not verify */
            shard_doubt_replaced(s, path->link.path);
        if (path->corrupt && s->digests)
            digests_restart(s->digests);
        path->corrupt = false;
    }
    shard_doubt_stored(s, path, err);
    shard_forget_next(path);
    if (err != OK)
        log_event(st->log, LOG_ERROR, "shard_store", "store_failed", log_err("error", err));
    if (path->answer && (err == OK || answer_failed(path, err))) {
        const struct msg *made = &path->answer->msg;
        struct msg *answer = effect_send(out, made->kind, made->to, made);
        answer->u = made->u;
        if (arena_copy(st->arena, made->request_id, &answer->request_id) != OK)
            answer->request_id = (struct bytes){0}; /* it is for the log alone */
        if (answer->kind == MSG_WRITTEN && answer->u.written.refusal == REFUSED_NONE)
            shard_vouch_written(s->membership, st, path->link.path, &answer->u.written);
    }
    shard_forget_answer(path);
    shard_unpark(s, path);
    pump(s, st, path, out);
}

static void
on_timer(struct shard_store *s, const struct step *st, uint64_t tag, struct effects *out)
{
    if (tag >> 32 == SHARD_TAG_HORIZON_TIMER) {
        shard_horizon_move(s, st, out);
        effect_timer(out, ACTOR_SHARD_STORE, tag, duration_ms(HORIZON_LOOK_MS));
        return;
    }
    if (tag >> 32 == SHARD_TAG_DOUBTS) {
        shard_doubts_load(st, out);
        return;
    }
    if (tag >> 32 == SHARD_TAG_RECOVERY) {
        shard_recovery_timer(s, (uint32_t)tag, out);
        return;
    }
    struct shard_path *path = s->slots[(uint32_t)tag];
    if (!path)
        return;
    if (tag >> 32 == SHARD_TAG_PARKED)
        shard_park_over(s, st, path, out);
    pump(s, st, path, out);
}

enum vault_err
shard_store_handle(struct shard_store *s, const struct step *st, const struct msg *in,
                   struct effects *out)
{
    assert(out->count == 0);
    free_done(s);
    switch (in->kind) {
    case MSG_VOTE:
    case MSG_WRITE:
    case MSG_CHOSEN:
    case MSG_ASK_ERASED:
    case MSG_READ:
    case MSG_FETCH:
    case MSG_LIST:
    case MSG_SHARE:
    case MSG_SHARED:
    case MSG_ERASED: /* op 0: told by the repairer; the coordinator's own do not come here */
    case MSG_HANDOVER:
    case MSG_DELIVER:
    case MSG_HELP:
    case MSG_HELPED: take_message(s, st, in, out); return OK;
    case MSG_CHECK: /* of oneself only */
        if (in->from != s->membership->self)
            return ERR_UNEXPECTED;
        take_message(s, st, in, out);
        return OK;
    case MSG_LOADED: {
        if (in->u.loaded.tag >> 32 == SHARD_TAG_DOUBTS) {
            shard_doubts_loaded(s, st, &in->u.loaded, out);
            return OK;
        }
        struct shard_path *path = s->slots[(uint32_t)in->u.loaded.tag];
        assert(path);
        on_loaded(s, st, path, &in->u.loaded, out);
        return OK;
    }
    case MSG_STORED:
        if (in->u.stored.tag >> 32 == SHARD_TAG_HORIZON) {
            shard_on_horizon_stored(s, st, in->u.stored.err, out);
            return OK;
        }
        if (in->u.stored.tag >> 32 == SHARD_TAG_NODE) {
            shard_on_node_stored(s, st, in->u.stored.err, out);
            return OK;
        }
        assert(s->slots[(uint32_t)in->u.stored.tag]);
        on_stored(s, st, s->slots[(uint32_t)in->u.stored.tag], in->u.stored.err, out);
        return OK;
    case MSG_TIMER: on_timer(s, st, in->u.timer.tag, out); return OK;
    case MSG_VOTED:
    case MSG_WRITTEN:
    case MSG_STATE:
    case MSG_FETCHED:
    case MSG_VERSIONS:
    case MSG_KNOWN:
    case MSG_HEARTBEAT:
    case MSG_COMPARE:
    case MSG_COMPARED:
    case MSG_ASK_ENTRIES:
    case MSG_ENTRIES:
    case MSG_RECOVER:
    case MSG_RECOVERED:
    case MSG_HANDED:
    case MSG_CHECKED:
    case MSG_SCAN:
    case MSG_SCANNED:
    case MSG_ANCHOR:
    case MSG_ANCHORED:
    case MSG_TRAIL:
    case MSG_TRAILED:
    case MSG_REQUEST:
    case MSG_CHANGE:
    case MSG_PEER_UP:
    case MSG_PEER_DOWN: break;
    }
    return ERR_UNEXPECTED;
}
