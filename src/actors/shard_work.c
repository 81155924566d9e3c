/*
 * What the handlers of the shard store's messages have in common: rows that they ask for, rows that
 * they store, and answers.
 */
#include <assert.h>
#include <string.h>

#include "actors/shard_internal.h"
#include "actors/sweep.h"
#include "base/planted.h"

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
    list[*count] = (struct store_change){kind, key, value};
    return &list[(*count)++];
}

/*
 * A pending head; or a record, of a batch or an identity, or an alteration that is only accepted:
 * there is no escrow that would lead anybody to it.
 */
bool
shard_is_unsettled(const struct shard_row *row)
{
    if (row->row.state == STATE_ABSENT)
        return false;
    bool alone = row->head.kind == HEAD_RECORD || row->head.kind == HEAD_INLINE ||
                 (row->head.kind == HEAD_LIVE && !row->head.brings_version);
    return row->head.pending || (alone && row->row.state != STATE_CHOSEN);
}

/* A row for as long as that is so. */
static bool
put_unsettled(struct shard_work *w, struct store_change *list, size_t *count)
{
    static const uint8_t present[] = {1};
    bool before = shard_is_unsettled(&w->path->row) || w->path->swept;
    bool after = shard_is_unsettled(w->path->next);
    struct row_key key;
    if (before == after)
        return true;
    row_key_unsettled(w->path->link.path, &key);
    struct bytes key_copy = shard_key_copy(w, &key);
    if (key_copy.size == 0)
        return false;
    shard_change(list, count, after ? STORE_PUT : STORE_DELETE, key_copy,
                 after ? bytes_of(present, 1) : (struct bytes){0});
    return true;
}

static uint64_t
expires_at(const struct shard_row *row)
{
    return row->row.state == STATE_ABSENT ? 0 : row->head.expires_at_ms;
}

/* A row where it is met when its time has come. */
static bool
put_expiry(struct shard_work *w, struct store_change *list, size_t *count)
{
    uint64_t before = expires_at(&w->path->row), after = expires_at(w->path->next);
    struct row_key key;
    struct bytes copy;
    if (before == after)
        return true;
    if (before != 0) {
        row_key_expiry(before, w->path->link.path, &key);
        copy = shard_key_copy(w, &key);
        if (copy.size == 0)
            return false;
        shard_change(list, count, STORE_DELETE, copy, (struct bytes){0});
    }
    if (after == 0)
        return true;
    row_key_expiry(after, w->path->link.path, &key);
    copy = shard_key_copy(w, &key);
    if (copy.size > 0)
        shard_change(list, count, STORE_PUT, copy, (struct bytes){0});
    return copy.size > 0;
}

/* With the first row of a path: from now on it is listed. */
static enum vault_err
put_index(struct shard_work *w, struct store_change *list, size_t *count)
{
    struct path path = w->path->link.path;
    struct row_key key;
    row_key_index(path, &key);
    struct bytes copy = shard_key_copy(w, &key);
    if (copy.size == 0)
        return ERR_NOMEM;
    shard_change(list, count, STORE_PUT, copy, (struct bytes){0});
    bool named = secret_name_valid(path.name); /* reserved: no list shows it */
    if (!named && !record_path_is(path))
        return OK;
    if (named)
        row_key_name(path, &key);
    else
        row_key_identity(path, &key);
    copy = shard_key_copy(w, &key);
    if (copy.size == 0)
        return ERR_NOMEM;
    shard_change(list, count, STORE_PUT, copy, (struct bytes){0});
    return OK;
}

enum vault_err
shard_put_path_row(struct shard_work *w, struct store_change *list, size_t *count)
{
    struct row_key key;
    struct buf value = {0};
    struct bytes copy = {0};
    struct path_row *row = &w->path->next->row;
    const struct membership *ms = w->s->membership;
    row->incarnation = row->state == STATE_CHOSEN ? 0 : ms->members[ms->self].incarnation;
    row_key_path(w->path->link.path, &key);
    enum vault_err err = path_row_encode(&w->path->next->row, &value);
    if (err == OK)
        err = arena_copy(w->st->arena, buf_bytes(&value), &copy);
    buf_close(&value);
    struct bytes key_copy = shard_key_copy(w, &key);
    if (err != OK || key_copy.size == 0)
        return err != OK ? err : ERR_NOMEM;
    path_filter_add(&w->s->on_disk, w->path->link.hash);
    shard_change(list, count, STORE_PUT, key_copy, copy);
    if (!put_unsettled(w, list, count) || !put_expiry(w, list, count))
        return ERR_NOMEM;
    return w->path->row.row.state == STATE_ABSENT ? put_index(w, list, count) : OK;
}

void
shard_summarise(const struct head *head, const uint8_t id[static ID_BYTES],
                struct head_summary *out)
{
    *out = (struct head_summary){.generation = head->generation,
                                 .kind = head->kind,
                                 .version = head->version,
                                 .oldest_version = head->oldest_version,
                                 .pending = head_is_pending(head),
                                 .brings_version = head_brings_version(head),
                                 .soft_deleted = head->soft_deleted,
                                 .destroyed = head->destroyed,
                                 .max_versions = head->max_versions,
                                 .expires_at_ms = head->expires_at_ms,
                                 .forget_after_ms = sweep_forget_after(head),
                                 .earlier_count = head_earlier_count(head)};
    memcpy(out->id, id, ID_BYTES);
    memcpy(out->prev, head->prev, ID_BYTES);
    memcpy(out->version_id, head->version_id, ID_BYTES);
    memcpy(out->incarnation, head->incarnation, INCARNATION_BYTES);
}

static enum vault_err
summarise(struct shard_row *row)
{
    struct head head;
    uint8_t id[ID_BYTES];
    if (row->row.head.size == 0)
        return OK;
    enum vault_err err = head_decode(row->row.head, &head);
    if (err != OK)
        return err;
    record_id(row->row.head, id);
    shard_summarise(&head, id, &row->head);
    return OK;
}

/* `known`: of that very head, which then need not be decoded and hashed again; or NULL. */
static enum vault_err
row_set(struct shard_row *to, const struct path_row *row, const struct head_summary *known)
{
    struct head_summary summary = known ? *known : (struct head_summary){0};
    size_t size = row->head.size + row->proof.size;
    uint8_t *data = malloc(size ? size : 1); /* many are kept: no more than they need */
    if (!data)
        return ERR_NOMEM;
    if (row->head.size > 0)
        memcpy(data, row->head.data, row->head.size);
    if (row->proof.size > 0)
        memcpy(data + row->head.size, row->proof.data, row->proof.size);
    buf_close(&to->memory);
    to->memory = (struct buf){data, size, size};
    to->row = *row;
    to->row.head = bytes_of(data, row->head.size);
    to->row.proof = (struct bytes){0};
    if (row->proof.size > 0)
        to->row.proof = bytes_of(data + row->head.size, row->proof.size);
    to->head = summary;
    return known ? OK : summarise(to);
}

enum vault_err
shard_row_set(struct shard_row *to, const struct path_row *row)
{
    return row_set(to, row, NULL);
}

enum vault_err
shard_next_row(struct shard_path *path, struct ballot ballot, enum accepted_state state,
               struct bytes head, bool erased)
{
    return shard_next_row_of(path, ballot, state, head, NULL, erased);
}

enum vault_err
shard_next_row_of(struct shard_path *path, struct ballot ballot, enum accepted_state state,
                  struct bytes head, const struct head_summary *known, bool erased)
{
    if (state == STATE_CHOSEN)
        ballot = ballot_promised(ballot); /* an offer that is chosen is like any other head */
    struct path_row row = {.ballot = ballot, .state = state, .head = head, .erased = erased};
    path->has_next = false;
    path->next_clean = path->clean;
    path->next_judged = path->next_pure = false;
    path->next_doubtful = 0;
    path->next_drops_from = path->drops_from;
    bool same = bytes_equal(head, path->row.row.head);
    if (same)
        row.proof = path->row.row.proof;
    if (!path->next)
        path->next = calloc(1, sizeof(*path->next));
    enum vault_err err =
        path->next ? row_set(path->next, &row, same ? &path->row.head : known) : ERR_NOMEM;
    path->has_next = err == OK;
    /* The same tombstone again: it stays erased since when it was. */
    if (err == OK && erased && path->row.row.erased &&
        memcmp(path->row.head.id, path->next->head.id, ID_BYTES) == 0) {
        path->next->row.erased_generation = path->row.row.erased_generation;
        path->next->row.erased_share_key = path->row.row.erased_share_key;
    }
    if (err == OK && ballot_compare(ballot_promised(ballot), path->promised) > 0)
        path->promised = ballot_promised(ballot);
    return err;
}

enum vault_err
shard_next_proof(struct shard_path *path, struct bytes proof)
{
    struct path_row row = path->next->row;
    const struct head_summary head = path->next->head;
    row.proof = proof;
    return row_set(path->next, &row, &head);
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
    const struct replicas *replicas = &w->path->replicas;
    membership_incarnations(w->s->membership, replicas, out);
    /* Of whom they are, only the replicas of a path agree. */
    if (replicas_index(replicas, w->s->membership->self) < 0)
        out->count = 0;
}

void
shard_accepted(const struct shard_path *path, struct accepted *out)
{
    *out = (struct accepted){.ballot = path->row.row.ballot,
                             .state = path->row.row.state,
                             .head = path->row.row.head,
                             .proof = path->row.row.proof};
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
    if (!path->answer)
        path->answer = malloc(sizeof(*path->answer));
    if (!path->answer)
        return &w->s->unsent; /* as if it had been lost on its way */
    if (id_size > 0)
        memcpy(path->answer->request_id, w->msg->request_id.data, id_size);
    path->answer->msg = (struct msg){.kind = kind,
                                     .to = w->msg->from,
                                     .op = w->msg->op,
                                     .path = path->link.path,
                                     .request_id = bytes_of(path->answer->request_id, id_size)};
    return &path->answer->msg;
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

/* In the step's arena; NULL: no memory. What is looked for without its key would not be there. */
static struct bytes *
copy_keys(const struct shard_work *w, const struct row_key *keys, size_t count)
{
    struct bytes *copies = arena_alloc(w->st->arena, count * sizeof(*copies));
    for (size_t i = 0; copies && i < count; i++) {
        copies[i] = shard_key_copy(w, &keys[i]);
        if (copies[i].size == 0)
            return NULL;
    }
    return copies;
}

void
shard_need_rows(struct shard_work *w, const struct row_key *keys, size_t count)
{
    struct bytes *copies = copy_keys(w, keys, count);
    if (!copies || sim_maybe(w->st, rows_no_memory) || !keep_current(w)) {
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return;
    }
    w->path->stage = SHARD_LOADING_ROWS;
    effect_load(w->out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_PATH, w->path->slot), copies, count);
}

void
shard_rows_along(struct shard_work *w)
{
    struct row_key prefix;
    if (w->path->stage != SHARD_LOADING_ROWS)
        return; /* there was no memory to ask, and perhaps nothing at all to do */
    struct effect *last = &w->out->items[w->out->count - 1];
    if (last->kind != EFFECT_LOAD)
        return;
    row_key_versions(ROW_VERSION, w->path->link.path, &prefix);
    last->u.load.along = shard_key_copy(w, &prefix); /* without memory it does not come */
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

/* There was memory for all keys: a batch without one would be another, or delete a whole table. */
static bool
has_keys(const struct store_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].key.size == 0)
            return false;
    }
    return true;
}

bool
shard_commit(struct shard_work *w, const struct store_change *changes, size_t count)
{
    if (!has_keys(changes, count) || !shard_mark_dirty(w, &changes, &count)) {
        w->path->has_next = false;
        shard_forget_answer(w->path);
        return false;
    }
    if (!PLANTED(kept_rows_stale))
        kept_forget(&w->s->kept, &w->path->kept);
    w->path->stage = SHARD_STORING;
    w->path->making = w->path->has_next && w->path->row.row.state == STATE_ABSENT &&
                      !w->path->corrupt && !w->path->swept;
    if (w->path->making)
        path_count_making(&w->s->membership->held);
    effect_store(w->out, ACTOR_SHARD_STORE, shard_tag(SHARD_TAG_PATH, w->path->slot), changes,
                 count);
    return true;
}

void
shard_commit_may_be_lost(struct shard_work *w)
{
    if (w->path->stage != SHARD_STORING)
        return; /* there was no memory for the batch, and perhaps nothing at all to do */
    struct effect *last = &w->out->items[w->out->count - 1];
    if (last->kind == EFFECT_STORE)
        last->u.store.need = STORE_VISIBLE;
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
    bool normal = refusal == REFUSED_BALLOT || refusal == REFUSED_BUSY ||
                  refusal == REFUSED_FLOOR || refusal == REFUSED_LIMIT;
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
