/*
 * The shard store's table of paths, the order in which messages of a path are handled, and the
 * promise horizon. What each message does is in shard_vote.c, shard_write.c, shard_chosen.c,
 * shard_read.c and shard_share.c.
 */
#include "actors/shard_store.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/shard_internal.h"
#include "actors/standing.h"
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

static void
waiting_free(struct shard_waiting *w)
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
        waiting_free(w);
}

/* Effects may borrow from a message that has been handled: it is freed at the next step. */
static void
waiting_done(struct shard_store *s, struct shard_waiting *w)
{
    w->next = s->done;
    s->done = w;
}

static void
free_done(struct shard_store *s)
{
    while (s->done) {
        struct shard_waiting *next = s->done->next;
        waiting_free(s->done);
        s->done = next;
    }
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
    shard_check_free(path);
    waiting_free(path->current);
    buf_close(&path->row.memory);
    buf_close(&path->next.memory);
    buf_close(&path->box_memory);
    free(path);
}

static bool
path_is_quiet(const struct shard_path *path)
{
    return (path->stage == SHARD_IDLE || path->stage == SHARD_NEW) && path->queue.count == 0 &&
           path->parked.count == 0;
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
        if (ballot_compare(path->promised, path->row.row.ballot) > 0 &&
            ballot_compare(path->promised, s->floor) > 0 && !PLANTED(forget_promise_of_full_table))
            s->floor = path->promised;
        path_free(s, path);
        return true;
    }
    return false;
}

static struct shard_path *
path_get(struct shard_store *s, const struct step *st, struct path of)
{
    struct shard_path *path = (struct shard_path *)path_map_find(&s->paths, of);
    if (path) {
        path_map_touch(&s->paths, &path->link);
        return path;
    }
    bool full = s->free_slot_count == 0;
    if ((full || sim_maybe(st, map_full)) && !evict_one(s) && full)
        return NULL;
    path = calloc(1, sizeof(*path));
    if (!path)
        return NULL;
    if (path_map_insert(&s->paths, of, &path->link) != OK) {
        free(path);
        return NULL;
    }
    path->slot = s->free_slots[--s->free_slot_count];
    s->slots[path->slot] = path;
    return path;
}

/* What the other actors and the other nodes see of the durable facts. */
static void
node_announce(struct shard_store *s)
{
    struct member *self = &s->membership->members[s->membership->self];
    self->incarnation = s->node.incarnation;
    self->boot = s->node.boot;
    self->recovery = s->node.recovery;
    memcpy(self->store_id, s->node.store_id, STORE_ID_BYTES);
}

enum vault_err
shard_store_init(struct shard_store *s, const struct shard_store_options *options)
{
    *s = (struct shard_store){
        .membership = options->membership,
        .ring = options->ring,
        .share_wrap_key = options->share_wrap_key,
        .buckets = options->buckets,
        .node = options->node,
        .digests = options->digests,
        .paths_max = options->paths_max ? options->paths_max : SHARD_PATHS_MAX,
    };
    /* Something at or below the horizon found on disk may have been promised and forgotten. */
    if (s->node.horizon_ms > 0 && !PLANTED(forget_promise_on_restart))
        s->floor = (struct ballot){.time = (s->node.horizon_ms << 16) | 0xffff,
                                   .node = NODES_MAX - 1,
                                   .incarnation = UINT64_MAX};
    s->slots = calloc(s->paths_max, sizeof(*s->slots));
    s->free_slots = calloc(s->paths_max, sizeof(*s->free_slots));
    if (!s->slots || !s->free_slots || path_map_init(&s->paths, s->paths_max, options->map_seed)) {
        shard_store_close(s);
        return ERR_NOMEM;
    }
    for (size_t i = 0; i < s->paths_max; i++)
        s->free_slots[s->free_slot_count++] = (uint32_t)(s->paths_max - 1 - i);
    if (options->lost) {
        s->node.incarnation = 0; /* which one it is, the others must say first */
        s->node.recovery = RECOVERY_HANDOVER;
    }
    node_announce(s);
    s->membership->repair.room = SHARE_RECOVERIES_MAX;
    return OK;
}

void
shard_store_close(struct shard_store *s)
{
    free_done(s);
    shard_recoveries_close(s);
    while (s->paths.oldest)
        path_free(s, (struct shard_path *)s->paths.oldest);
    path_map_close(&s->paths);
    free(s->slots);
    free(s->free_slots);
    s->slots = NULL;
    s->free_slots = NULL;
}

/* ---- promise horizon ---- */

static bool
node_row_store(const struct node_row *row, const struct step *st, enum shard_tag tag,
               struct effects *out)
{
    struct row_key key;
    struct buf value = {0};
    struct bytes key_copy, value_copy;
    struct store_change *change = arena_alloc(st->arena, sizeof(*change));
    row_key_meta("node", &key);
    bool made = change && node_row_encode(row, &value) == OK &&
                arena_copy(st->arena, row_key_bytes(&key), &key_copy) == OK &&
                arena_copy(st->arena, buf_bytes(&value), &value_copy) == OK;
    if (made) {
        *change = (struct store_change){STORE_PUT, key_copy, value_copy};
        effect_store(out, ACTOR_SHARD_STORE, shard_tag(tag, 0), change, 1);
    }
    buf_close(&value);
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

static void
horizon_move(struct shard_store *s, const struct step *st, struct effects *out)
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

static void
on_horizon_stored(struct shard_store *s, const struct step *st, enum vault_err err,
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
    horizon_move(s, st, out);
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
shard_store_recovered(struct shard_store *s, const struct step *st, enum recovery_state recovery,
                      struct effects *out)
{
    if (s->node_pending || s->horizon_pending_ms != 0)
        return;
    s->node_next = s->node;
    s->node_next.recovery = recovery;
    /* The floor that the handover has left must outlive this process. */
    if (s->node_next.horizon_ms < ballot_ms(s->floor) + 1)
        s->node_next.horizon_ms = ballot_ms(s->floor) + 1;
    s->node_pending = node_row_store(&s->node_next, st, SHARD_TAG_NODE, out);
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
        path->promised = path->has_next ? path->next.row.ballot : path->row.row.ballot;
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

static void
on_node_stored(struct shard_store *s, const struct step *st, enum vault_err err,
               struct effects *out)
{
    struct membership *ms = s->membership;
    bool reborn = s->node_next.incarnation != s->node.incarnation;
    s->node_pending = false;
    if (err != OK)
        return; /* whoever wanted it asks again */
    s->node = s->node_next;
    node_announce(s);
    ms->horizon_ms = s->node.horizon_ms;
    if (reborn) {
        forget_promises(s);
        forget_peers(ms);
        ms->behind = ms->incarnation_told > s->node.incarnation;
        s->serving = true;
        log_event(st->log, LOG_WARN, "shard_store", "new_incarnation",
                  log_u64("incarnation", s->node.incarnation));
    }
    horizon_move(s, st, out);
}

void
shard_store_start(struct shard_store *s, const struct step *st, struct effects *out)
{
    s->node.boot++;
    node_announce(s);
    horizon_move(s, st, out);
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

/* ---- helpers for the handlers ---- */

struct bytes
shard_key_copy(const struct shard_work *w, const struct row_key *key)
{
    struct bytes copy;
    return arena_copy(w->st->arena, row_key_bytes(key), &copy) == OK ? copy : (struct bytes){0};
}

struct store_change *
shard_change(struct store_change *list, size_t *count, enum store_change_kind kind,
             struct bytes key, struct bytes value)
{
    assert(*count < SHARD_CHANGES_MAX);
    assert(key.size > 0);
    list[*count] = (struct store_change){kind, key, value};
    return &list[(*count)++];
}

enum vault_err
shard_put_path_row(struct shard_work *w, struct store_change *list, size_t *count)
{
    struct row_key key;
    struct buf value = {0};
    struct bytes copy = {0};
    row_key_path(w->path->link.path, &key);
    enum vault_err err = path_row_encode(&w->path->next.row, &value);
    if (err == OK)
        err = arena_copy(w->st->arena, buf_bytes(&value), &copy);
    buf_close(&value);
    struct bytes key_copy = shard_key_copy(w, &key);
    if (err != OK || key_copy.size == 0)
        return err != OK ? err : ERR_NOMEM;
    shard_change(list, count, STORE_PUT, key_copy, copy);
    if (w->path->row.row.state != STATE_ABSENT)
        return OK;
    row_key_index(w->path->link.path, &key); /* from now on it is listed */
    key_copy = shard_key_copy(w, &key);
    if (key_copy.size == 0)
        return ERR_NOMEM;
    shard_change(list, count, STORE_PUT, key_copy, (struct bytes){0});
    return OK;
}

static enum vault_err
summarise(struct shard_row *row)
{
    struct head head;
    if (row->row.head.size == 0)
        return OK;
    enum vault_err err = head_decode(row->row.head, &head);
    if (err != OK)
        return err;
    struct head_summary *sum = &row->head;
    record_id(row->row.head, sum->id);
    memcpy(sum->prev, head.prev, ID_BYTES);
    memcpy(sum->version_id, head.version_id, ID_BYTES);
    memcpy(sum->incarnation, head.incarnation, INCARNATION_BYTES);
    sum->generation = head.generation;
    sum->kind = head.kind;
    sum->version = head.version;
    sum->oldest_version = head.oldest_version;
    return OK;
}

static enum vault_err
row_set(struct shard_row *to, const struct path_row *row)
{
    struct buf memory = {0};
    enum vault_err err = buf_append(&memory, row->head);
    if (err != OK)
        return err;
    buf_close(&to->memory);
    to->memory = memory;
    to->row = *row;
    to->row.head = buf_bytes(&to->memory);
    return summarise(to);
}

enum vault_err
shard_next_row(struct shard_path *path, struct ballot ballot, enum accepted_state state,
               struct bytes head, bool erased)
{
    struct path_row row = {.ballot = ballot, .state = state, .head = head, .erased = erased};
    path->has_next = false;
    path->next_clean = path->clean;
    enum vault_err err = row_set(&path->next, &row);
    path->has_next = err == OK;
    /* The same tombstone again: it stays erased since when it was. */
    if (err == OK && erased && path->row.row.erased &&
        memcmp(path->row.head.id, path->next.head.id, ID_BYTES) == 0) {
        path->next.row.erased_generation = path->row.row.erased_generation;
        path->next.row.erased_share_key = path->row.row.erased_share_key;
    }
    if (err == OK && ballot_compare(ballot, path->promised) > 0)
        path->promised = ballot;
    return err;
}

bool
shard_ballot_too_far(const struct shard_work *w, struct ballot b)
{
    uint64_t accepted_ms = ballot_ms(w->path->row.row.ballot);
    return ballot_ms(b) > w->st->wall_ms + CLOCK_DRIFT_MS_MAX &&
           ballot_ms(b) > accepted_ms + ACCEPTED_SLACK_MS;
}

void
shard_incarnations(const struct shard_work *w, struct incarnations *out)
{
    struct replicas replicas;
    membership_replicas(w->s->membership, w->path->link.path, &replicas);
    membership_incarnations(w->s->membership, &replicas, out);
    /* Of whom they are, only the replicas of a path agree. */
    if (replicas_index(&replicas, w->s->membership->self) < 0)
        out->count = 0;
}

void
shard_accepted(const struct shard_path *path, struct accepted *out)
{
    *out = (struct accepted){
        .ballot = path->row.row.ballot, .state = path->row.row.state, .head = path->row.row.head};
}

struct msg *
shard_answer_now(struct shard_work *w, enum msg_kind kind)
{
    return effect_send(w->out, kind, w->msg->from, w->msg);
}

struct msg *
shard_answer_later(struct shard_work *w, enum msg_kind kind)
{
    struct shard_path *path = w->path;
    size_t id_size = w->msg->request_id.size;
    assert(id_size <= REQUEST_ID_BYTES_MAX);
    if (id_size > 0)
        memcpy(path->answer_request_id, w->msg->request_id.data, id_size);
    path->answer = (struct msg){.kind = kind,
                                .to = w->msg->from,
                                .op = w->msg->op,
                                .path = path->link.path,
                                .request_id = bytes_of(path->answer_request_id, id_size)};
    path->has_answer = true;
    return &path->answer;
}

/* Keeps the message at hand until its rows have come. */
static bool
keep_current(struct shard_work *w)
{
    struct shard_path *path = w->path;
    if (!path->current)
        path->current = shard_waiting_of(w->msg);
    return path->current != NULL;
}

void
shard_need_rows(struct shard_work *w, const struct row_key *keys, size_t count)
{
    struct bytes *copies = arena_alloc(w->st->arena, count * sizeof(*copies));
    if (!copies || sim_maybe(w->st, rows_no_memory) || !keep_current(w)) {
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return;
    }
    for (size_t i = 0; i < count; i++)
        copies[i] = shard_key_copy(w, &keys[i]);
    w->path->stage = SHARD_LOADING_ROWS;
    effect_load(w->out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_PATH, w->path->slot), copies, count);
}

void
shard_need_versions(struct shard_work *w, enum row_table table, size_t limit)
{
    struct row_key prefix;
    row_key_versions(table, w->path->link.path, &prefix);
    struct bytes copy = shard_key_copy(w, &prefix);
    if (copy.size == 0 || !keep_current(w)) {
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return;
    }
    w->path->stage = SHARD_LOADING_ROWS;
    effect_scan(w->out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_PATH, w->path->slot), copy,
                (struct bytes){0}, limit, true);
}

void
shard_commit(struct shard_work *w, const struct store_change *changes, size_t count)
{
    if (!shard_mark_dirty(w, &changes, &count)) {
        w->path->has_next = false;
        w->path->has_answer = false;
        return; /* no memory: as if the message had been lost */
    }
    w->path->stage = SHARD_STORING;
    effect_store(w->out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_PATH, w->path->slot), changes,
                 count);
}

void
shard_log(const struct shard_work *w, enum log_level level, const char *event, enum refusal refusal)
{
    log_event(w->st->log, level, "shard_store", event, log_token("request_id", w->msg->request_id),
              log_text("message", msg_kind_name(w->msg->kind)), log_u64("from", w->msg->from),
              log_text("refusal", refusal_name(refusal)));
}

static void
refuse_vote_or_write(struct shard_work *w, enum refusal refusal, struct ballot beat)
{
    if (w->msg->kind == MSG_VOTE) {
        struct msg *m = shard_answer_now(w, MSG_VOTED);
        m->u.voted.ballot = w->msg->u.vote.ballot;
        m->u.voted.refusal = refusal;
        m->u.voted.beat = beat;
        shard_incarnations(w, &m->u.voted.incarnations);
        metrics_count(w->st->metrics, METRIC_votes_refused);
        return;
    }
    struct msg *m = shard_answer_now(w, MSG_WRITTEN);
    m->u.written.ballot = w->msg->u.write.ballot;
    record_id(w->msg->u.write.head, m->u.written.head_id);
    m->u.written.refusal = refusal;
    m->u.written.beat = beat;
    shard_incarnations(w, &m->u.written.incarnations);
    metrics_count(w->st->metrics, METRIC_writes_refused);
}

void
shard_refuse(struct shard_work *w, enum refusal refusal, struct ballot beat)
{
    bool normal = refusal == REFUSED_BALLOT || refusal == REFUSED_BUSY || refusal == REFUSED_FLOOR;
    shard_log(w, normal ? LOG_DEBUG : LOG_WARN, "refused", refusal);
    if (w->msg->kind == MSG_VOTE || w->msg->kind == MSG_WRITE) {
        refuse_vote_or_write(w, refusal, beat);
    } else if (w->msg->kind == MSG_READ) {
        struct msg *m = shard_answer_now(w, MSG_STATE);
        m->u.state.refusal = refusal;
        shard_incarnations(w, &m->u.state.incarnations);
    } else if (w->msg->kind == MSG_FETCH) {
        struct msg *m = shard_answer_now(w, MSG_FETCHED);
        m->u.fetched.refusal = refusal;
        memcpy(m->u.fetched.head_id, w->msg->u.fetch.head_id, ID_BYTES);
    } else if (w->msg->kind == MSG_LIST) {
        struct msg *m = shard_answer_now(w, MSG_VERSIONS);
        m->u.versions.refusal = refusal;
        shard_incarnations(w, &m->u.versions.incarnations);
    } else if (w->msg->kind == MSG_HANDOVER) {
        shard_answer_now(w, MSG_HANDED)->u.handed.refusal = refusal;
    } else if (w->msg->kind == MSG_CHECK) {
        shard_check_refused(w, refusal);
    }
    /* CHOSEN, SHARE, SHARED, DELIVER, ASK_ERASED, HELP, HELPED: whoever sent them asks again. */
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
    struct replicas replicas;
    membership_replicas(s->membership, w->path->link.path, &replicas);
    switch ((int)w->msg->kind) {
    case MSG_VOTE:
    case MSG_WRITE: return s->serving && standing_ready(s->membership, &replicas);
    case MSG_READ:
    case MSG_LIST:
    case MSG_FETCH:
    case MSG_HELP:
    case MSG_ASK_ERASED: return standing_ready(s->membership, &replicas);
    default: return s->node.incarnation != 0;
    }
}

static void
dispatch(struct shard_work *w)
{
    if (!is_ready_for(w)) {
        shard_refuse(w, REFUSED_NOT_READY, (struct ballot){0});
        return;
    }
    if (w->path->corrupt && w->msg->kind != MSG_HANDOVER) {
        shard_refuse(w, REFUSED_CORRUPT, (struct ballot){0});
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
    if (w->path->stage == SHARD_LOADING_ROWS)
        w->path->stage = SHARD_LOADING;
}

static void
begin(struct shard_work *w)
{
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
        waiting_done(s, waiting);
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
    struct shard_path nothing = {.link.path = in->path};
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
    if (!path_map_find(&s->paths, in->path) && is_of_others(s, st, in, out))
        return;
    struct shard_path *path = path_get(s, st, in->path);
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
        shard_queue_push(&path->queue, waiting);
    else
        shard_refuse(&w, REFUSED_BUSY, (struct ballot){0});
}

static void
path_row_loaded(struct shard_store *s, const struct step *st, struct shard_path *path,
                const struct msg_loaded *rows)
{
    path->stage = SHARD_IDLE;
    path->corrupt = !PLANTED(corrupt_is_nothing) && (rows->err != OK || rows->count != 1);
    if (!path->corrupt && rows->count == 1 && rows->rows[0].found) {
        struct path_row row;
        path->corrupt =
            path_row_decode(rows->rows[0].value, &row) != OK || row_set(&path->row, &row) != OK;
    } else if (!path->corrupt) {
        path->clean = true; /* nothing is there */
    }
    if (path->corrupt) {
        s->membership->repair.paths_damaged++;
        metrics_count(st->metrics, METRIC_records_corrupt);
        log_event(st->log, LOG_ERROR, "shard_store", "path_row_corrupt",
                  log_err("error", rows->err));
    }
    path->promised = path->row.row.ballot;
    if (ballot_compare(s->floor, path->promised) > 0)
        path->promised = s->floor;
}

/* What does not verify is what these are about. */
static bool
judges_rows_itself(const struct msg *msg)
{
    return msg->kind == MSG_CHECK || msg->kind == MSG_HELPED || msg->kind == MSG_HANDOVER;
}

static void
on_loaded(struct shard_store *s, const struct step *st, struct shard_path *path,
          const struct msg_loaded *rows, struct effects *out)
{
    struct shard_waiting *waiting = path->current;
    assert(waiting);
    assert(path->stage == SHARD_LOADING || path->stage == SHARD_LOADING_ROWS);
    struct shard_work w = {.s = s, .st = st, .path = path, .msg = &waiting->msg, .out = out};

    bool another_time = rows->err == ERR_NOMEM || rows->err == ERR_IO;
    if (path->stage == SHARD_LOADING && another_time) {
        path->stage = SHARD_NEW;
    } else if (path->stage == SHARD_LOADING) {
        path_row_loaded(s, st, path, rows);
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
    waiting_done(s, waiting);
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
    struct msg_written *written = &path->answer.u.written;
    if (path->answer.kind == MSG_HANDED)
        path->answer.u.handed.refusal = REFUSED_BUSY;
    if (path->answer.kind != MSG_WRITTEN)
        return path->answer.kind == MSG_HANDED;
    written->refusal = err == ERR_DISK_FULL ? REFUSED_DISK_FULL : REFUSED_NOT_READY;
    struct ballot above = {
        .time = written->ballot.time, .node = NODES_MAX - 1, .incarnation = UINT64_MAX};
    if (err == ERR_DISK_FULL && ballot_compare(above, path->promised) > 0)
        path->promised = above;
    return true;
}

static void
head_state_of(const struct shard_row *row, struct head_state *out)
{
    out->state = row->row.state;
    memcpy(out->head_id, row->head.id, ID_BYTES);
}

bool
shard_store_view(const struct shard_store *s, const struct step *st, struct path path,
                 struct shard_view *out)
{
    const struct shard_path *p = (const struct shard_path *)path_map_find(&s->paths, path);
    if (!p || p->stage == SHARD_NEW || p->stage == SHARD_LOADING || p->corrupt)
        return false;
    head_state_of(&p->row, &out->head);
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
    head_state_of(&path->row, &before);
    head_state_of(&path->next, &after);
    if (s->digests)
        digests_change(s->digests, path->link.path, &before, &after);
    buf_close(&path->row.memory);
    path->row = path->next;
    path->next = (struct shard_row){0};
    path->clean = path->next_clean;
}

static void
on_stored(struct shard_store *s, const struct step *st, struct shard_path *path, enum vault_err err,
          struct effects *out)
{
    assert(path->stage == SHARD_STORING);
    path->stage = SHARD_IDLE;
    if (err == OK && path->has_next) {
        path->touched = st->now;
        if (path->row.row.state == STATE_ABSENT)
            path_count_made(&s->membership->held, path->link.path);
        take_next_row(s, path);
        path->corrupt = false; /* only a handover replaces a row that does not verify */
    }
    path->has_next = false;
    if (err != OK)
        log_event(st->log, LOG_ERROR, "shard_store", "store_failed", log_err("error", err));
    if (path->has_answer && (err == OK || answer_failed(path, err))) {
        struct msg *answer = effect_send(out, path->answer.kind, path->answer.to, &path->answer);
        answer->u = path->answer.u;
    }
    path->has_answer = false;
    shard_unpark(s, path);
    pump(s, st, path, out);
}

static void
on_timer(struct shard_store *s, const struct step *st, uint64_t tag, struct effects *out)
{
    if (tag >> 32 == SHARD_TAG_HORIZON_TIMER) {
        horizon_move(s, st, out);
        effect_timer(out, ACTOR_SHARD_STORE, tag, duration_ms(HORIZON_LOOK_MS));
        return;
    }
    if (tag >> 32 == SHARD_TAG_RECOVERY) {
        shard_recovery_timer(s, (uint32_t)tag, out);
        return;
    }
    struct shard_path *path = s->slots[(uint32_t)tag];
    if (!path)
        return;
    if (tag >> 32 == SHARD_TAG_PARKED) {
        path->park_timer = false;
        path->awaiting_write = false;
        shard_unpark(s, path);
    }
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
        struct shard_path *path = s->slots[(uint32_t)in->u.loaded.tag];
        assert(path);
        on_loaded(s, st, path, &in->u.loaded, out);
        return OK;
    }
    case MSG_STORED:
        if (in->u.stored.tag >> 32 == SHARD_TAG_HORIZON) {
            on_horizon_stored(s, st, in->u.stored.err, out);
            return OK;
        }
        if (in->u.stored.tag >> 32 == SHARD_TAG_NODE) {
            on_node_stored(s, st, in->u.stored.err, out);
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
    case MSG_HEARTBEAT:
    case MSG_COMPARE:
    case MSG_COMPARED:
    case MSG_ASK_ENTRIES:
    case MSG_ENTRIES:
    case MSG_RECOVER:
    case MSG_RECOVERED:
    case MSG_HANDED:
    case MSG_CHECKED:
    case MSG_REQUEST:
    case MSG_CHANGE:
    case MSG_PEER_UP:
    case MSG_PEER_DOWN: break;
    }
    return ERR_UNEXPECTED;
}
