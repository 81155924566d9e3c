/*
 * Whether everything that this node should have of a version is here and whole: record, dealing,
 * own share, and the boxes that it keeps for others. Rows are loaded one by one, since a load of
 * several does not tell which of them is rotten.
 *
 *   known to lack something:  CHAIN -> VERSION -> DEALING -> BEFORE
 *   scrubbing the path:       PATH_ROW -> [ERASURE] or VERSION -> DEALING -> BOXES
 *   scrubbing a version:      VERSION -> DEALING -> BOXES
 *
 * What is lacking gets a row in the table 'n', whose walk (repairer.c) comes back here until all is
 * whole; shard_recover.c gets it from the other replicas. docs/protocol.md, "Share recovery".
 */
#include <stdlib.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/shard_internal.h"
#include "base/planted.h"

enum check_step {
    STEP_PATH_ROW, /* the row of the path as it is on disk */
    STEP_ERASURE,  /* the row of a deletion */
    STEP_CHAIN,    /* down from the head to the version */
    STEP_VERSION,
    STEP_DEALING,
    STEP_BOXES,
    STEP_BEFORE, /* is the version before it here? */
};

struct shard_check {
    enum check_step step;
    uint64_t version;
    uint8_t version_id[ID_BYTES];
    uint64_t at; /* CHAIN: version whose record is being loaded */
    uint8_t at_id[ID_BYTES];
    struct buf row; /* value of the version row */
    struct version_row value;
    struct version_record record; /* views into row */
    bool record_good, dealing_good, share_good;
    bool version_rotten, dealing_rotten;         /* there, and does not verify */
    bool version_unreadable, dealing_unreadable; /* the store itself says so */
    uint8_t threshold;
    struct dealing boxes; /* of the dealing: how many, and their hashes */
    uint64_t rows, bytes;
    struct store_change *changes; /* in the step's arena: only while a conclusion is drawn */
    size_t change_count;
};

void
shard_check_free(struct shard_path *path)
{
    if (!path->check)
        return;
    buf_close(&path->check->row);
    free(path->check);
    path->check = NULL;
}

bool
shard_put_need(struct shard_work *w, uint64_t version, const uint8_t version_id[static ID_BYTES],
               struct store_change *list, size_t *count)
{
    struct row_key key;
    row_key_version(ROW_NEED, w->path->link.path, version, version_id, &key);
    struct bytes copy = shard_key_copy(w, &key);
    if (copy.size == 0)
        return false;
    shard_change(list, count, STORE_PUT, copy, (struct bytes){0});
    return true;
}

bool
shard_rows_have_share(const struct shard_work *w, uint64_t version,
                      const uint8_t version_id[static ID_BYTES])
{
    struct row_key key;
    row_key_version(ROW_VERSION, w->path->link.path, version, version_id, &key);
    for (size_t i = 0; w->rows && i < w->rows->count; i++) {
        struct version_row row;
        if (bytes_equal(w->rows->rows[i].key, row_key_bytes(&key)))
            return version_row_decode(w->rows->rows[i].value, &row) == OK && row.share.size > 0;
    }
    return false;
}

/* ---- answers ---- */

static void
fill_checked(const struct shard_check *check, enum checked_outcome outcome, struct msg *m)
{
    m->u.checked.outcome = outcome;
    m->u.checked.version = check->version;
    memcpy(m->u.checked.version_id, check->version_id, ID_BYTES);
    m->u.checked.rows = check->rows;
    m->u.checked.bytes = check->bytes;
}

/* The changes that were found necessary, and the answer, when they are durable. */
static void
conclude(struct shard_work *w, enum checked_outcome outcome)
{
    struct shard_check *check = w->path->check;
    bool scrub = w->msg->u.check.scrub;
    if (scrub && check->change_count > 0)
        fill_checked(check, outcome, shard_answer_later(w, MSG_CHECKED));
    else if (scrub)
        fill_checked(check, outcome, shard_answer_now(w, MSG_CHECKED));
    if (check->change_count > 0)
        shard_commit(w, check->changes, check->change_count);
    shard_check_free(w->path);
}

void
shard_check_refused(struct shard_work *w, enum refusal refusal)
{
    if (w->msg->u.check.scrub)
        shard_answer_now(w, MSG_CHECKED)->u.checked.outcome =
            refusal == REFUSED_CORRUPT ? CHECKED_CORRUPT : CHECKED_LATER;
}

static void
change(struct shard_work *w, enum store_change_kind kind, enum row_table table, uint64_t version,
       const uint8_t *version_id, struct bytes value)
{
    struct shard_check *check = w->path->check;
    struct row_key key;
    row_key_version(table, w->path->link.path, version, version_id, &key);
    shard_change(check->changes, &check->change_count, kind, shard_key_copy(w, &key), value);
}

static bool
begin_changes(struct shard_work *w)
{
    enum { CHANGES = 12 };
    struct shard_check *check = w->path->check;
    check->changes = arena_alloc(w->st->arena, CHANGES * sizeof(*check->changes));
    check->change_count = 0;
    return check->changes != NULL;
}

/* Everything of a version that the chosen head has no place for. */
static void
drop(struct shard_work *w, uint64_t version, const uint8_t *version_id)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES};
    for (unsigned i = 0; i < sizeof(tables) / sizeof(tables[0]); i++)
        change(w, STORE_DELETE, tables[i], version, version_id, (struct bytes){0});
    change(w, STORE_DELETE, ROW_NEED, version, version_id, (struct bytes){0});
}

/*
 * No such version is wanted here (any more). Of one that could not be read when it should have gone
 * dealing and boxes may be left.
 */
static void
not_wanted(struct shard_work *w)
{
    const struct msg_check *m = &w->msg->u.check;
    shard_recovery_end(w, m->version, m->version_id);
    if (m->version > 0 && begin_changes(w)) {
        if (w->path->row.row.state == STATE_CHOSEN)
            drop(w, m->version, m->version_id);
        else
            change(w, STORE_DELETE, ROW_NEED, m->version, m->version_id, (struct bytes){0});
    }
    conclude(w, CHECKED_ABSENT);
}

static void
report(struct shard_work *w, const char *table)
{
    metrics_count(w->st->metrics, METRIC_records_corrupt);
    log_event(w->st->log, LOG_WARN, "shard_store", "record_rotten", log_text("table", table));
}

/* ---- loading ---- */

static void
load(struct shard_work *w, enum check_step step, const struct row_key *key)
{
    w->path->check->step = step;
    shard_need_rows(w, key, 1);
}

static void
load_of_version(struct shard_work *w, enum check_step step, enum row_table table, uint64_t version,
                const uint8_t *version_id)
{
    struct row_key key;
    row_key_version(table, w->path->link.path, version, version_id, &key);
    load(w, step, &key);
}

static void
begin_version(struct shard_work *w, uint64_t version, const uint8_t *version_id)
{
    struct shard_check *check = w->path->check;
    check->version = version;
    memcpy(check->version_id, version_id, ID_BYTES);
    load_of_version(w, STEP_VERSION, ROW_VERSION, version, version_id);
}

/* The row that was loaded; empty when it is not there or cannot be read. */
static struct bytes
loaded_value(const struct shard_work *w)
{
    bool here = w->rows->err == OK && w->rows->count == 1 && w->rows->rows[0].found;
    return here ? w->rows->rows[0].value : (struct bytes){0};
}

static bool
is_there(const struct shard_work *w)
{
    return w->rows->err != OK || (w->rows->count == 1 && w->rows->rows[0].found);
}

/* The record of exactly that version; false: it does not verify. */
static bool
record_of(struct bytes value, uint64_t version, const uint8_t *version_id, struct version_row *row,
          struct version_record *record)
{
    uint8_t id[ID_BYTES];
    if (value.size == 0 || version_row_decode(value, row) != OK)
        return false;
    record_id(row->record, id);
    return memcmp(id, version_id, ID_BYTES) == 0 && version_decode(row->record, record) == OK &&
           record->version == version;
}

/* ---- the row of the path ---- */

/*
 * What is at hand was read whole, or is what this process stored; a row that has rotted since is
 * written again from it. (Where nothing whole is at hand the path is corrupt, and a check does not
 * come here.)
 */
static void
on_path_row(struct shard_work *w)
{
    const struct shard_row *own = &w->path->row;
    struct bytes value = loaded_value(w);
    struct buf encoded = {0};
    bool same =
        path_row_encode(&own->row, &encoded) != OK || bytes_equal(buf_bytes(&encoded), value);
    buf_close(&encoded);
    if (!same) {
        report(w, "p");
        bool good = begin_changes(w) && shard_next_row(w->path, own->row.ballot, own->row.state,
                                                       own->row.head, own->row.erased) == OK;
        if (good) {
            struct path_row *row = &w->path->next->row;
            struct bytes head = row->head, proof = row->proof;
            *row = own->row;
            row->head = head;
            row->proof = proof;
        }
        if (!good ||
            shard_put_path_row(w, w->path->check->changes, &w->path->check->change_count) != OK) {
            w->path->has_next = false;
            w->path->check->change_count = 0;
        } else {
            metrics_count(w->st->metrics, METRIC_records_restored);
        }
        conclude(w, CHECKED_LACKING);
        return;
    }
    if (own->head.kind == HEAD_LIVE) {
        begin_version(w, own->head.version, own->head.version_id);
        return;
    }
    struct row_key key;
    row_key_erasure(w->path->link.path, &key);
    load(w, STEP_ERASURE, &key);
}

/* Who has erased is asked again. */
static void
on_erasure(struct shard_work *w)
{
    bool rotten = is_there(w) && loaded_value(w).size != 1;
    if (rotten && begin_changes(w)) {
        report(w, "t");
        if (shard_put_erasure(w, 0, w->path->check->changes, &w->path->check->change_count))
            metrics_count(w->st->metrics, METRIC_records_restored);
    }
    conclude(w, rotten ? CHECKED_LACKING : CHECKED_ABSENT);
}

/* ---- down the chain ---- */

static void
follow_chain(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    const struct msg_check *m = &w->msg->u.check;
    if (check->at > m->version)
        load_of_version(w, STEP_CHAIN, ROW_VERSION, check->at, check->at_id);
    else if (memcmp(check->at_id, m->version_id, ID_BYTES) == 0)
        begin_version(w, m->version, m->version_id);
    else
        not_wanted(w);
}

static void
on_chain(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    struct version_row row;
    struct version_record record;
    if (!record_of(loaded_value(w), check->at, check->at_id, &row, &record)) {
        /* What lies above must come first. */
        if (begin_changes(w))
            change(w, STORE_PUT, ROW_NEED, check->at, check->at_id, (struct bytes){0});
        conclude(w, CHECKED_LACKING);
        return;
    }
    memcpy(check->at_id, record.prev, ID_BYTES);
    check->at--;
    follow_chain(w);
}

/* ---- the rows of the version ---- */

static void
on_version(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    if (buf_append(&check->row, loaded_value(w)) == OK)
        check->record_good = record_of(buf_bytes(&check->row), check->version, check->version_id,
                                       &check->value, &check->record);
    check->version_rotten = is_there(w) && !check->record_good;
    check->version_unreadable = w->rows->err != OK;
    load_of_version(w, STEP_DEALING, ROW_DEALING, check->version, check->version_id);
}

/*
 * A row of its own is looked at even where the version row has the dealing: whoever loads both must
 * be able to read it.
 */
static void
on_dealing(struct shard_work *w, struct dealing *dealing)
{
    struct shard_check *check = w->path->check;
    struct bytes within = check->record_good ? check->value.dealing : (struct bytes){0};
    struct bytes value = within.size > 0 ? within : loaded_value(w);
    struct row_key key;
    uint8_t hash[HASH_BYTES];
    row_key_version(ROW_VERSION, w->path->link.path, check->version, check->version_id, &key);
    record_id(value, hash);
    check->dealing_good = check->record_good && value.size > 0 &&
                          memcmp(hash, check->record.dealing_hash, HASH_BYTES) == 0 &&
                          dealing_decode(value, (struct bytes){0}, dealing) == OK;
    check->version_rotten = check->version_rotten || (within.size > 0 && !check->dealing_good);
    check->dealing_rotten =
        is_there(w) &&
        (w->rows->err != OK || (within.size == 0 && !check->dealing_good && check->record_good));
    check->dealing_unreadable = w->rows->err != OK;
    check->share_good = check->dealing_good && check->value.share.size > 0 &&
                        shard_share_is_good(w, row_key_bytes(&key), check->value.share, dealing);
    if (!check->dealing_good)
        return;
    check->threshold = dealing->threshold;
    check->boxes.count = dealing->count;
    memcpy(check->boxes.box_hashes, dealing->box_hashes, sizeof(check->boxes.box_hashes));
}

/*
 * What cannot be read goes, since it holds up whoever reads the rows around it. What can be read
 * stays until something better takes its place, whatever is wrong with it: it may be the
 * configuration of this node that is.
 */
static void
clear_rotten(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    if (check->version_rotten)
        report(w, "v");
    if (check->version_unreadable)
        change(w, STORE_DELETE, ROW_VERSION, check->version, check->version_id, (struct bytes){0});
    if (check->dealing_rotten)
        report(w, "d");
    if (check->dealing_unreadable)
        change(w, STORE_DELETE, ROW_DEALING, check->version, check->version_id, (struct bytes){0});
    if (!check->dealing_good || check->share_good || check->value.share.size == 0)
        return;
    alarms_share_bad(w->s->membership, w->st, w->s->membership->self);
    log_event(w->st->log, LOG_WARN, "shard_store", "own_share_bad",
              log_u64("version", check->version));
}

/* By the chosen head nothing but the record of that version is to be here. */
static bool
is_destroyed(const struct shard_work *w, uint64_t version)
{
    const struct shard_row *own = &w->path->row;
    return own->row.state == STATE_CHOSEN && own->head.kind == HEAD_LIVE &&
           version_set_has(own->head.destroyed, own->head.oldest_version, version);
}

static bool
is_whole(const struct shard_work *w)
{
    const struct shard_check *check = w->path->check;
    if (is_destroyed(w, check->version))
        return check->record_good;
    return check->record_good && check->dealing_good && check->share_good;
}

/*
 * What should have gone when the head became known; but for a row that has rotten since, it has. The
 * row of the boxes has just been loaded: whoever dropped what the version's own row tells of did not
 * find it, if that had rotted.
 */
static void
clear_destroyed(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    struct loaded_row bare;
    if (!is_destroyed(w, check->version) || PLANTED(destroy_comes_back) || !check->record_good ||
        (check->value.share.size == 0 && !check->dealing_good && !check->dealing_rotten &&
         check->value.dealing.size == 0 && !is_there(w)))
        return;
    if ((check->value.share.size > 0 || check->value.dealing.size > 0) &&
        shard_version_row(w, check->version, check->version_id, check->value.record,
                          (struct bytes){0}, (struct bytes){0}, &bare) == OK) {
        change(w, STORE_DELETE, ROW_VERSION, check->version, check->version_id, (struct bytes){0});
        change(w, STORE_PUT, ROW_VERSION, check->version, check->version_id, bare.value);
    }
    change(w, STORE_DELETE, ROW_DEALING, check->version, check->version_id, (struct bytes){0});
    change(w, STORE_DELETE, ROW_BOXES, check->version, check->version_id, (struct bytes){0});
}

/* Known to lack something: got back, or done with. */
static void
conclude_repair(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    if (!begin_changes(w)) {
        conclude(w, CHECKED_LATER);
        return;
    }
    if (!is_whole(w)) {
        struct lacking lacking = {.version = check->version,
                                  .records = !check->record_good || !check->dealing_good,
                                  .threshold = check->threshold};
        memcpy(lacking.version_id, check->version_id, ID_BYTES);
        shard_recover(w, &lacking);
        conclude(w, CHECKED_LACKING);
        return;
    }
    shard_recovery_end(w, check->version, check->version_id);
    if (check->version > w->path->row.head.oldest_version) {
        load_of_version(w, STEP_BEFORE, ROW_VERSION, check->version - 1, check->record.prev);
        return;
    }
    change(w, STORE_DELETE, ROW_NEED, check->version, check->version_id, (struct bytes){0});
    conclude(w, CHECKED_WHOLE);
}

/*
 * Whoever missed one version may have missed those before it; and one that was never here has no row
 * that could be scrubbed.
 */
static void
on_before(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    struct version_row row;
    struct version_record record;
    bool good = record_of(loaded_value(w), check->version - 1, check->record.prev, &row, &record) &&
                (row.share.size > 0 || is_destroyed(w, check->version - 1));
    if (!begin_changes(w)) {
        conclude(w, CHECKED_LATER);
        return;
    }
    bool noted = good || shard_put_need(w, check->version - 1, check->record.prev, check->changes,
                                        &check->change_count);
    if (noted && !w->msg->u.check.scrub)
        change(w, STORE_DELETE, ROW_NEED, check->version, check->version_id, (struct bytes){0});
    conclude(w, CHECKED_WHOLE);
}

/* Boxes that do not verify help nobody; those of a head that is not settled stay as they are. */
static void
clear_boxes(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    struct bytes boxes[REPLICAS_MAX];
    struct row_key key;
    uint64_t bad = 0;
    size_t n = 0;
    if (!is_there(w) || w->path->row.row.state != STATE_CHOSEN)
        return;
    bool readable =
        bytes_list_decode(loaded_value(w), BOX_BYTES_MAX, boxes, REPLICAS_MAX, &n) == OK;
    if (!readable) {
        report(w, "b");
        change(w, STORE_DELETE, ROW_BOXES, check->version, check->version_id, (struct bytes){0});
        return;
    }
    for (uint8_t i = 0; i < n && check->dealing_good; i++) {
        if (boxes[i].size > 0 && !dealing_box_matches(&check->boxes, (uint8_t)(i + 1), boxes[i]))
            bad |= UINT64_C(1) << i;
    }
    if (bad == 0)
        return;
    report(w, "b");
    row_key_version(ROW_BOXES, w->path->link.path, check->version, check->version_id, &key);
    shard_prune_boxes(w, &key, loaded_value(w), bad, check->changes, &check->change_count);
}

/*
 * A version of an incarnation that is gone. It went when the head became known, unless another row
 * of the path could not be read then.
 */
static bool
is_left_over(const struct shard_work *w)
{
    const struct shard_row *own = &w->path->row;
    const struct shard_check *check = w->path->check;
    return own->row.state == STATE_CHOSEN && own->head.kind == HEAD_LIVE && check->record_good &&
           memcmp(check->record.incarnation, own->head.incarnation, INCARNATION_BYTES) != 0;
}

/* By the chosen head the chain goes on below this version. */
static bool
has_one_before(const struct shard_work *w)
{
    const struct shard_row *own = &w->path->row;
    uint64_t version = w->path->check->version;
    return own->row.state == STATE_CHOSEN && own->head.kind == HEAD_LIVE &&
           version <= own->head.version && version > own->head.oldest_version;
}

static void
conclude_scrub(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    if (!begin_changes(w)) {
        conclude(w, CHECKED_LATER);
        return;
    }
    if (is_left_over(w)) {
        drop(w, check->version, check->version_id);
        conclude(w, CHECKED_ABSENT);
        return;
    }
    clear_boxes(w);
    clear_rotten(w);
    clear_destroyed(w);
    if (!is_whole(w)) {
        change(w, STORE_PUT, ROW_NEED, check->version, check->version_id, (struct bytes){0});
    } else if (check->change_count == 0 && has_one_before(w)) {
        load_of_version(w, STEP_BEFORE, ROW_VERSION, check->version - 1, check->record.prev);
        return;
    }
    conclude(w, is_whole(w) ? CHECKED_WHOLE : CHECKED_LACKING);
}

/* ---- order ---- */

static bool
is_replica(const struct shard_work *w)
{
    return replicas_index(&w->path->replicas, w->s->membership->self) >= 0;
}

static void
start(struct shard_work *w)
{
    const struct msg_check *m = &w->msg->u.check;
    const struct shard_row *own = &w->path->row;
    struct row_key key;
    shard_check_free(w->path);
    w->path->check = calloc(1, sizeof(*w->path->check));
    if (!w->path->check)
        return;
    if (!is_replica(w)) {
        conclude(w, CHECKED_ABSENT); /* kept while this node had another configuration */
    } else if (own->row.state == STATE_ABSENT) {
        not_wanted(w);
    } else if (m->version == 0) {
        row_key_path(w->path->link.path, &key);
        load(w, STEP_PATH_ROW, &key);
    } else if (m->scrub) {
        begin_version(w, m->version, m->version_id);
    } else if (own->row.state != STATE_CHOSEN) {
        conclude(w, CHECKED_LATER); /* whether it is wanted is not settled */
    } else if (own->head.kind != HEAD_LIVE || m->version > own->head.version ||
               m->version < own->head.oldest_version) {
        not_wanted(w);
    } else {
        w->path->check->at = own->head.version;
        memcpy(w->path->check->at_id, own->head.version_id, ID_BYTES);
        follow_chain(w);
    }
}

void
shard_on_check(struct shard_work *w)
{
    struct shard_check *check = w->path->check;
    struct dealing dealing;
    if (!w->rows || !check) {
        start(w);
        return;
    }
    check->rows++;
    check->bytes += loaded_value(w).size;
    switch (check->step) {
    case STEP_PATH_ROW: on_path_row(w); break;
    case STEP_ERASURE: on_erasure(w); break;
    case STEP_CHAIN: on_chain(w); break;
    case STEP_VERSION: on_version(w); break;
    case STEP_DEALING:
        on_dealing(w, &dealing);
        if (!w->msg->u.check.scrub)
            conclude_repair(w);
        else
            load_of_version(w, STEP_BOXES, ROW_BOXES, check->version, check->version_id);
        break;
    case STEP_BOXES: conclude_scrub(w); break;
    case STEP_BEFORE: on_before(w); break;
    }
}
