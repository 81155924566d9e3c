#include "actors/shredder.h"

#include <assert.h>
#include <string.h>

#include "actors/auditor.h"
#include "base/planted.h"

enum shred_tag { TAG_MARKS = 1, TAG_KEYS, TAG_BARRIER, TAG_PAGE, TAG_CLEARED, TAG_TIMER = 16 };

static_assert(EFFECTS_MAX >= SHRED_PATHS_MAX + 2, "one DELIVER for each path, and the next page");
static_assert((int)BUCKETS_MAX <= (int)SCAN_ROWS_MAX, "all marks are loaded at once");

void
shredder_init(struct shredder *s, const struct membership *membership, struct bucket_keys *buckets,
              const struct secret *share_wrap_key, struct duration interval)
{
    *s = (struct shredder){.membership = membership,
                           .buckets = buckets,
                           .share_wrap_key = share_wrap_key,
                           .interval = interval.ns > 0 ? interval : duration_ms(SHRED_INTERVAL_MS)};
}

static void
come_back(struct shredder *s, struct duration after, struct effects *out)
{
    effect_timer(out, ACTOR_SHREDDER, TAG_TIMER + ++s->timer, after);
}

/*
 * An erasure waits for at most half the interval until its round begins, and the round has the
 * other half.
 */
static void
rest(struct shredder *s, struct effects *out)
{
    s->stage = SHRED_IDLE;
    come_back(s, (struct duration){s->interval.ns / 2 + 1}, out);
}

static void
gave_up(struct shredder *s, const struct step *st, const char *what, enum vault_err err,
        struct effects *out)
{
    log_event(st->log, LOG_WARN, "shredder", "round_put_off", log_text("what", what),
              log_err("error", err));
    rest(s, out);
}

static void
load_marks(struct shredder *s, const struct step *st, struct effects *out)
{
    struct row_key prefix;
    struct bytes copy;
    row_key_dirty_all(&prefix);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &copy) != OK) {
        come_back(s, s->interval, out);
        return;
    }
    s->stage = SHRED_LOADING;
    effect_scan(out, ACTOR_SHREDDER, TAG_MARKS, copy, (struct bytes){0}, SCAN_ROWS_MAX, true);
}

void
shredder_start(struct shredder *s, const struct step *st, struct effects *out)
{
    load_marks(s, st, out);
}

/* ---- a barrier: when it is durable, so is all that was stored before it ---- */

static void
barrier(struct shredder *s, const struct step *st, enum shred_stage stage, struct effects *out)
{
    struct row_key key;
    struct bytes key_copy;
    struct store_change *change = arena_alloc(st->arena, sizeof(*change));
    uint8_t *value = arena_alloc(st->arena, DIRTY_VALUE_BYTES);
    row_key_meta("shred", &key);
    if (!change || !value || arena_copy(st->arena, row_key_bytes(&key), &key_copy) != OK) {
        gave_up(s, st, "barrier", ERR_NOMEM, out);
        return;
    }
    dirty_row_encode(s->rounds, value);
    *change = (struct store_change){STORE_PUT, key_copy, bytes_of(value, DIRTY_VALUE_BYTES)};
    s->stage = stage;
    effect_store(out, ACTOR_SHREDDER, TAG_BARRIER, change, 1);
}

/* ---- beginning a round ---- */

/* Marks of buckets whose old keys are gone; those made since stay. */
static void
clear_marks(struct shredder *s, const struct step *st, struct effects *out)
{
    struct store_change *list = arena_alloc(st->arena, s->buckets->count * sizeof(*list));
    size_t count = 0;
    for (unsigned i = 0; list && i < s->buckets->count; i++) {
        struct bucket *bucket = &s->buckets->buckets[i];
        struct row_key key;
        struct bytes copy;
        row_key_dirty(i, &key);
        if (bucket->dirty == 0 || bucket_is_due(bucket) ||
            arena_copy(st->arena, row_key_bytes(&key), &copy) != OK)
            continue;
        bucket->dirty = 0;
        list[count++] = (struct store_change){STORE_DELETE, copy, {0}};
    }
    /* Marks that outlive a failure here are found at the next start, and cleared then. */
    if (count > 0)
        effect_store(out, ACTOR_SHREDDER, TAG_CLEARED, list, count);
}

/* New keys for all dirty buckets with one key. How many wait to be saved; -1: no randomness. */
static int
make_keys(struct shredder *s, const struct step *st)
{
    int made = 0;
    for (unsigned i = 0; i < s->buckets->count; i++) {
        struct bucket *bucket = &s->buckets->buckets[i];
        if (bucket->other == 0 && bucket_is_due(bucket) && bucket_make(bucket, st->rng) != OK)
            return -1;
        made += bucket_is_made(bucket);
    }
    return made;
}

static bool
any_retiring(const struct shredder *s)
{
    for (unsigned i = 0; i < s->buckets->count; i++) {
        if (bucket_is_retiring(&s->buckets->buckets[i]))
            return true;
    }
    return false;
}

static void
use_keys(struct shredder *s)
{
    for (unsigned i = 0; i < s->buckets->count; i++) {
        if (bucket_is_made(&s->buckets->buckets[i]))
            bucket_use(&s->buckets->buckets[i]);
    }
}

static void
begin_round(struct shredder *s, const struct step *st, struct effects *out)
{
    clear_marks(s, st, out);
    int made = make_keys(s, st);
    if (made < 0) {
        gave_up(s, st, "keys", ERR_ENTROPY, out);
        return;
    }
    s->scans = 0;
    if (made > 0) {
        s->stage = SHRED_SAVING;
        effect_keys(out, ACTOR_SHREDDER, TAG_KEYS);
        if (PLANTED(bucket_key_used_unsaved))
            use_keys(s);
    } else if (any_retiring(s)) {
        barrier(s, st, SHRED_SETTLING, out); /* a round that a crash or a full disk cut short */
    } else {
        rest(s, out);
    }
}

/*
 * A bucket with a mark gets a new key, whatever generation the mark names. Batches of two paths may
 * be committed in another order than they were made in (runtime/reactor_storage.c leaves some for
 * the next), so the mark of an older generation may have come last; taken at its word it would be
 * over with that one, and what was erased under the next would never count as shredded.
 */
static void
take_mark(struct bucket *bucket, uint64_t generation)
{
    if (bucket->generation > generation)
        generation = bucket->generation;
    if (generation > bucket->dirty)
        bucket->dirty = generation;
}

static void
on_marks(struct shredder *s, const struct step *st, const struct msg_loaded *loaded,
         struct effects *out)
{
    if (loaded->err != OK) {
        log_event(st->log, LOG_WARN, "shredder", "marks_not_loaded", log_err("error", loaded->err));
        come_back(s, (struct duration){s->interval.ns / 2 + 1}, out);
        return;
    }
    for (size_t i = 0; i < loaded->count; i++) {
        unsigned number;
        uint64_t generation;
        if (dirty_row_decode(loaded->rows[i].key, loaded->rows[i].value, &number, &generation) !=
                OK ||
            number >= s->buckets->count)
            continue;
        take_mark(&s->buckets->buckets[number], generation);
    }
    begin_round(s, st, out);
}

/* Nothing needs the old keys any more, but for those that are held. */
static void
retire_keys(struct shredder *s, const struct step *st, struct effects *out)
{
    uint64_t held = 0;
    for (unsigned i = 0; i < s->buckets->count; i++) {
        bool retiring = bucket_is_retiring(&s->buckets->buckets[i]);
        held += retiring && s->held[i];
        if (retiring && !s->held[i])
            bucket_retire(&s->buckets->buckets[i]);
    }
    if (held > 0)
        log_event(st->log, LOG_WARN, "shredder", "keys_held", log_u64("buckets", held));
    s->stage = SHRED_RETIRING;
    effect_keys(out, ACTOR_SHREDDER, TAG_KEYS);
}

/* ---- looking for shares under old keys ---- */

static void
next_page(struct shredder *s, const struct step *st, struct effects *out)
{
    struct row_key prefix;
    struct bytes prefix_copy, after;
    row_key_table(ROW_VERSION, &prefix);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &prefix_copy) != OK ||
        arena_copy(st->arena, row_key_bytes(&s->after), &after) != OK) {
        gave_up(s, st, "scan", ERR_NOMEM, out);
        return;
    }
    effect_scan(out, ACTOR_SHREDDER, TAG_PAGE, prefix_copy, after, SHRED_PAGE_ROWS, true);
}

static void
begin_scan(struct shredder *s, const struct step *st, struct effects *out)
{
    s->stage = SHRED_SCANNING;
    s->after.size = 0;
    s->found = 0;
    memset(s->held, 0, sizeof(s->held));
    s->scans++;
    next_page(s, st, out);
}

/*
 * The row's share is under an old key and opens. One that does not, or whose record is rotten, is
 * lost already; it must not hold up the others.
 */
static bool
needs_new_key(struct shredder *s, const struct step *st, struct path path, struct bytes version_id,
              const struct loaded_row *loaded)
{
    struct row_key key;
    struct version_row row;
    struct replicas replicas;
    row_key_path(path, &key);
    unsigned number = bucket_of(s->buckets, row_key_bytes(&key));
    const struct bucket *bucket = &s->buckets->buckets[number];
    if (!bucket_is_retiring(bucket) || !version_row_is_whole(version_id, loaded->value, &row) ||
        bucket_sealed_generation(row.share) != bucket->other)
        return false;
    membership_replicas(s->membership, path, &replicas);
    if (replicas_index(&replicas, s->membership->self) < 0) {
        s->held[number] = true;
        return false;
    }
    uint8_t *share = arena_alloc(st->arena, row.share.size);
    return !share ||
           bucket_open(bucket, s->share_wrap_key->data, loaded->key, row.share, share) == OK;
}

static void
hand_over(struct shredder *s, struct path path, struct effects *out)
{
    struct msg *m = effect_send(out, MSG_DELIVER, s->membership->self, NULL);
    m->path = path;
    m->u.deliver.owner = DELIVER_REWRAP;
    s->found++;
}

/* Rows of the page, until as many paths as fit a step are handed over. False: some are left. */
static bool
look_at_page(struct shredder *s, const struct step *st, const struct msg_loaded *loaded,
             struct effects *out)
{
    struct path last = {0};
    unsigned handed = 0;
    for (size_t i = 0; i < loaded->count; i++) {
        enum row_table table;
        struct path path;
        uint64_t version;
        struct bytes id;
        const struct loaded_row *row = &loaded->rows[i];
        bool parsed = row_key_parse(row->key, &table, &path, &version, &id) == OK;
        if (parsed && !path_equal(path, last) && needs_new_key(s, st, path, id, row)) {
            if (handed == SHRED_PATHS_MAX)
                return false;
            hand_over(s, path, out);
            handed++;
            last = path;
        }
        s->after.size = row->key.size;
        memcpy(s->after.data, row->key.data, row->key.size);
    }
    return true;
}

static void
on_page(struct shredder *s, const struct step *st, const struct msg_loaded *loaded,
        struct effects *out)
{
    if (loaded->err != OK) {
        gave_up(s, st, "scan", loaded->err, out);
        return;
    }
    bool all = look_at_page(s, st, loaded, out);
    if (!all || loaded->more) {
        come_back(s, duration_ms(SHRED_PAGE_MS), out);
        return;
    }
    if (s->found == 0 && PLANTED(bucket_key_retired_unflushed)) {
        retire_keys(s, st, out);
        return;
    }
    if (s->found == 0 || PLANTED(bucket_key_retired_early)) {
        barrier(s, st, SHRED_FLUSHING, out);
        return;
    }
    if (s->scans == SHRED_SCANS_TOLD)
        log_event(st->log, LOG_WARN, "shredder", "round_does_not_end",
                  log_u64("paths_left", s->found));
    /* Long enough for what was handed over to be stored; longer when that does not get on. */
    uint64_t ms = (uint64_t)SHRED_AGAIN_MS << (s->scans < 16 ? s->scans - 1 : 15);
    struct duration half = {s->interval.ns / 2 + 1};
    struct duration pause = duration_ms(ms);
    s->after.size = 0;
    come_back(s, pause.ns < half.ns ? pause : half, out);
}

/* ---- ending a round ---- */

static void
on_keys_saved(struct shredder *s, const struct step *st, enum vault_err err, struct effects *out)
{
    if (err != OK && s->stage == SHRED_RETIRING) {
        /* The file may have them still: nothing counts as shredded until it is known not to. */
        log_event(st->log, LOG_WARN, "shredder", "keys_not_saved", log_err("error", err));
        come_back(s, (struct duration){s->interval.ns / 2 + 1}, out);
        return;
    }
    if (err != OK) {
        gave_up(s, st, "keys", err, out);
        return;
    }
    bucket_keys_saved(s->buckets);
    if (s->stage == SHRED_SAVING) {
        if (!PLANTED(bucket_key_used_unsaved))
            use_keys(s);
        barrier(s, st, SHRED_SETTLING, out);
        return;
    }
    s->rounds++;
    log_event(st->log, LOG_INFO, "shredder", "round_done", log_u64("scans", s->scans));
    const struct audit_record record = {.kind = AUDIT_shred,
                                        .node = s->membership->self,
                                        .op = s->rounds,
                                        .operation = bytes_of_text("shred"),
                                        .outcome = bytes_of_text("ok")};
    audit_note(st, &record);
    clear_marks(s, st, out);
    rest(s, out);
}

/* ---- messages ---- */

static void
on_stored(struct shredder *s, const struct step *st, const struct msg_stored *stored,
          struct effects *out)
{
    if (stored->tag == TAG_KEYS) {
        on_keys_saved(s, st, stored->err, out);
    } else if (stored->tag == TAG_BARRIER) {
        if (stored->err != OK)
            gave_up(s, st, "barrier", stored->err, out);
        else if (s->stage == SHRED_SETTLING)
            begin_scan(s, st, out);
        else
            retire_keys(s, st, out);
    }
}

static void
on_timer(struct shredder *s, const struct step *st, struct effects *out)
{
    switch (s->stage) {
    case SHRED_LOADING: load_marks(s, st, out); break;
    case SHRED_IDLE: begin_round(s, st, out); break;
    case SHRED_SCANNING:
        if (s->after.size == 0)
            begin_scan(s, st, out);
        else
            next_page(s, st, out);
        break;
    case SHRED_RETIRING: effect_keys(out, ACTOR_SHREDDER, TAG_KEYS); break;
    case SHRED_SAVING:
    case SHRED_SETTLING:
    case SHRED_FLUSHING: break; /* a completion is on its way */
    }
}

enum vault_err
shredder_handle(struct shredder *s, const struct step *st, const struct msg *in,
                struct effects *out)
{
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_STORED: on_stored(s, st, &in->u.stored, out); return OK;
    case MSG_LOADED:
        if (in->u.loaded.tag == TAG_MARKS)
            on_marks(s, st, &in->u.loaded, out);
        else
            on_page(s, st, &in->u.loaded, out);
        return OK;
    case MSG_TIMER:
        if (in->u.timer.tag == TAG_TIMER + s->timer)
            on_timer(s, st, out);
        return OK;
    default: return ERR_UNEXPECTED;
    }
}
