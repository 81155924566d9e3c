#include "actors/scrubber.h"

#include <assert.h>
#include <string.h>

enum scrub_tag { TAG_LOOK = 1, TAG_SCAN = 2 };

void
scrubber_init(struct scrubber *s, struct membership *membership, uint64_t rows_per_s,
              struct duration pause)
{
    *s = (struct scrubber){
        .membership = membership, .rows_per_s = rows_per_s, .pause = pause, .stage = SCRUB_RESTING};
    membership->repair.scrub_rows_per_s = rows_per_s;
}

/* ---- what is asked ---- */

static void
scan(struct scrubber *s, const struct step *st, const struct row_key *prefix,
     const struct row_key *after, struct effects *out)
{
    struct bytes prefix_copy, after_copy;
    if (arena_copy(st->arena, row_key_bytes(prefix), &prefix_copy) != OK ||
        arena_copy(st->arena, row_key_bytes(after), &after_copy) != OK)
        return; /* given up after a while */
    s->op++;
    s->asked = st->now;
    effect_scan(out, ACTOR_SCRUBBER, TAG_SCAN | s->op << 8, prefix_copy, after_copy, 1, false);
}

static void
find_path(struct scrubber *s, const struct step *st, struct effects *out)
{
    struct row_key prefix;
    row_key_table(ROW_PATH, &prefix);
    s->stage = SCRUB_FINDING;
    scan(s, st, &prefix, &s->after, out);
}

static void
find_version(struct scrubber *s, const struct step *st, struct effects *out)
{
    struct row_key prefix;
    struct path path;
    s->stage = SCRUB_LISTING;
    if (row_key_path_of(row_key_bytes(&s->after), &path) != OK)
        return;
    row_key_versions(ROW_VERSION, path, &prefix);
    scan(s, st, &prefix, &s->version_after, out);
}

static void
check(struct scrubber *s, const struct step *st, struct path path, uint64_t version,
      const uint8_t *version_id, struct effects *out)
{
    s->asked = st->now;
    struct msg *m = effect_send(out, MSG_CHECK, s->membership->self, NULL);
    m->path = path;
    m->op = ++s->op;
    m->u.check.version = version;
    if (version > 0)
        memcpy(m->u.check.version_id, version_id, ID_BYTES);
    m->u.check.scrub = true;
}

static void
end_pass(struct scrubber *s, const struct step *st)
{
    struct repair_progress *progress = &s->membership->repair;
    s->stage = SCRUB_RESTING;
    s->rested = st->now;
    progress->scrub_passes++;
    progress->scrub_last_ms = instant_since(st->now, s->began).ns / 1000000;
    progress->scrub_rows_expected = progress->scrub_rows;
    log_event(st->log, LOG_INFO, "scrubber", "pass_ended", log_u64("rows", progress->scrub_rows),
              log_u64("bytes", progress->scrub_bytes), log_u64("ms", progress->scrub_last_ms));
}

static void
begin_pass(struct scrubber *s, const struct step *st)
{
    s->stage = SCRUB_NEXT_PATH;
    s->began = st->now;
    s->after.size = 0;
    s->membership->repair.scrub_rows = 0;
    s->membership->repair.scrub_bytes = 0;
}

/* ---- what comes ---- */

static void
keep_key(struct row_key *to, struct bytes key)
{
    to->size = key.size;
    memcpy(to->data, key.data, key.size);
}

/* Views are of the scrubber's own copies of the keys: effects may borrow them. */
static void
on_found(struct scrubber *s, const struct step *st, const struct msg_loaded *loaded,
         struct effects *out)
{
    bool here =
        loaded->err == OK && loaded->count == 1 && loaded->rows[0].key.size <= KEY_BYTES_MAX;
    struct path path;
    enum row_table table;
    uint64_t version;
    struct bytes id;
    if (loaded->err != OK) {
        s->stage = SCRUB_RESTING; /* not a whole pass */
        s->rested = st->now;
    } else if (s->stage == SCRUB_FINDING && !here) {
        end_pass(s, st);
    } else if (s->stage == SCRUB_FINDING) {
        keep_key(&s->after, loaded->rows[0].key);
        s->version_after.size = 0;
        s->head_version = 0;
        s->stage = SCRUB_PATH;
        if (row_key_path_of(row_key_bytes(&s->after), &path) == OK)
            check(s, st, path, 0, NULL, out);
        else
            s->stage = SCRUB_NEXT_PATH;
    } else if (!here) {
        s->stage = SCRUB_NEXT_PATH;
    } else {
        keep_key(&s->version_after, loaded->rows[0].key);
        s->stage = SCRUB_VERSION;
        bool known =
            row_key_parse(row_key_bytes(&s->version_after), &table, &path, &version, &id) != OK ||
            (version == s->head_version && memcmp(id.data, s->head_version_id, ID_BYTES) == 0);
        if (known)
            find_version(s, st, out);
        else
            check(s, st, path, version, id.data, out);
    }
}

static void
on_checked(struct scrubber *s, const struct msg *in)
{
    const struct msg_checked *checked = &in->u.checked;
    struct repair_progress *progress = &s->membership->repair;
    if (in->op != s->op || (s->stage != SCRUB_PATH && s->stage != SCRUB_VERSION))
        return;
    progress->scrub_rows += checked->rows;
    progress->scrub_bytes += checked->bytes;
    s->budget -= (int64_t)(checked->rows + checked->bytes / SCRUB_BYTES_PER_ROW + 1);
    if (s->stage == SCRUB_PATH) {
        s->head_version = checked->version;
        memcpy(s->head_version_id, checked->version_id, ID_BYTES);
    }
    s->stage = SCRUB_NEXT_VERSION;
}

/* ---- pace ---- */

static bool
waits_for_answer(const struct scrubber *s)
{
    return s->stage == SCRUB_FINDING || s->stage == SCRUB_PATH || s->stage == SCRUB_LISTING ||
           s->stage == SCRUB_VERSION;
}

/* One thing at a time, as long as the budget lasts. */
static void
go_on(struct scrubber *s, const struct step *st, struct effects *out)
{
    if (s->budget <= 0)
        return;
    if (s->stage == SCRUB_NEXT_PATH)
        find_path(s, st, out);
    else if (s->stage == SCRUB_NEXT_VERSION)
        find_version(s, st, out);
}

static void
on_look(struct scrubber *s, const struct step *st, struct effects *out)
{
    int64_t most = (int64_t)s->rows_per_s;
    s->budget += (int64_t)(s->rows_per_s * SCRUB_LOOK_MS + 999) / 1000;
    if (s->budget > most)
        s->budget = most;
    if (s->stage == SCRUB_RESTING && instant_since(st->now, s->rested).ns >= s->pause.ns)
        begin_pass(s, st);
    bool late = instant_since(st->now, s->asked).ns >= duration_ms(SCRUB_ANSWER_MS).ns;
    if (waits_for_answer(s) && late) {
        s->op++; /* what comes of it now is of no interest */
        s->stage = SCRUB_NEXT_PATH;
    }
    go_on(s, st, out);
    effect_timer(out, ACTOR_SCRUBBER, TAG_LOOK, duration_ms(SCRUB_LOOK_MS));
}

void
scrubber_start(struct scrubber *s, const struct step *st, struct effects *out)
{
    if (s->rows_per_s == 0)
        return;
    s->rested = st->now;
    effect_timer(out, ACTOR_SCRUBBER, TAG_LOOK, duration_ms(SCRUB_LOOK_MS));
}

enum vault_err
scrubber_handle(struct scrubber *s, const struct step *st, const struct msg *in,
                struct effects *out)
{
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_TIMER: on_look(s, st, out); return OK;
    case MSG_LOADED:
        if (in->u.loaded.tag != (TAG_SCAN | s->op << 8))
            return OK;
        on_found(s, st, &in->u.loaded, out);
        if (s->stage == SCRUB_NEXT_PATH)
            go_on(s, st, out);
        return OK;
    case MSG_CHECKED:
        if (in->from != s->membership->self)
            return ERR_UNEXPECTED;
        on_checked(s, in);
        go_on(s, st, out);
        return OK;
    default: return ERR_UNEXPECTED;
    }
}
