/* Accepting a head, with its version and dealing: docs/protocol.md, "Writing phase". */
#include <assert.h>
#include <string.h>

#include "actors/auditor.h"
#include "actors/shard_proof.h"
#include "actors/sweep.h"
#include "base/planted.h"

/* What a WRITE brings, decoded and checked. */
struct incoming {
    struct head head;
    uint8_t head_id[ID_BYTES];
    struct version_record version;
    struct dealing dealing;
    struct group group; /* of the versions before it that the head makes, too */
    bool has_value;     /* version and dealing are there */
    bool held;          /* this very head is accepted here, with its rows and the own shares */
    uint8_t x;          /* this node's */
    struct bytes proof; /* to be kept with the head */
    struct bytes share; /* own share, opened; in the step's arena */
};

static bool
decode_value(struct shard_work *w, struct incoming *in)
{
    const struct msg_write *write = &w->msg->u.write;
    if (version_decode(write->version, &in->version) != OK ||
        dealing_decode(write->dealing, write->boxes, &in->dealing) != OK)
        return false;
    uint8_t version_id[ID_BYTES], dealing_hash[HASH_BYTES];
    record_id(write->version, version_id);
    record_id(write->dealing, dealing_hash);
    return memcmp(version_id, in->head.version_id, ID_BYTES) == 0 &&
           memcmp(dealing_hash, in->version.dealing_hash, HASH_BYTES) == 0 &&
           memcmp(in->version.dealing_id, in->dealing.id, DEALING_ID_BYTES) == 0 &&
           in->version.version == in->head.version &&
           memcmp(in->version.incarnation, in->head.incarnation, INCARNATION_BYTES) == 0 &&
           group_decode(&in->head, &in->version, write->group, w->st->arena, &in->group) == OK;
}

/*
 * The head must be of this path and cluster; one that makes a version comes with that and its
 * dealing.
 */
static bool
decode(struct shard_work *w, struct incoming *in)
{
    const struct msg_write *write = &w->msg->u.write;
    const struct cluster *cluster = w->s->membership->cluster;
    if (head_decode(write->head, &in->head) != OK ||
        !path_equal(in->head.path, w->path->link.path) ||
        memcmp(in->head.cluster_id, cluster->id, CLUSTER_ID_BYTES) != 0)
        return false;
    record_id(write->head, in->head_id);
    in->has_value = write->version.size > 0;
    if (!in->has_value)
        return !head_brings_version(&in->head) && write->dealing.size == 0 &&
               write->boxes.size == 0 && write->group.size == 0;
    return head_brings_version(&in->head) && decode_value(w, in);
}

bool
shard_dealing_is_ours(struct shard_work *w, const struct dealing *dealing, uint8_t *x)
{
    const struct cluster *cluster = w->s->membership->cluster;
    const struct replicas *replicas = &w->path->replicas;
    int own = replicas_index(replicas, w->s->membership->self);
    *x = 0;
    if (own < 0 || dealing->count != replicas->count ||
        (dealing->threshold != cluster->threshold && !PLANTED(ignore_configuration)) ||
        memcmp(dealing->nodes, replicas->nodes, replicas->count) != 0)
        return false;
    *x = (uint8_t)(own + 1);
    return true;
}

static bool
open_own_share(struct shard_work *w, struct incoming *in)
{
    struct bytes box = in->dealing.boxes[in->x - 1];
    in->share = shard_open_box(w, &in->version, &in->dealing, in->x, box);
    return in->share.size > 0;
}

/*
 * A head that is known chosen is only ever followed by heads built on it. Anything else would mean
 * that two heads were chosen at one generation: refused, loudly.
 */
static bool
contradicts_chosen(const struct shard_path *path, const struct incoming *in)
{
    const struct head_summary *have = &path->row.head;
    if (path->row.row.state != STATE_CHOSEN)
        return false;
    if (memcmp(have->id, in->head_id, ID_BYTES) == 0)
        return false;
    if (in->head.generation == have->generation + 1)
        return memcmp(in->head.prev, have->id, ID_BYTES) != 0;
    return in->head.generation <= have->generation;
}

static bool
is_accepted_already(const struct shard_path *path, const struct incoming *in)
{
    return path->row.row.state != STATE_ABSENT &&
           memcmp(path->row.head.id, in->head_id, ID_BYTES) == 0;
}

static enum refusal
check_order(struct shard_work *w, struct ballot *beat)
{
    const struct msg_write *write = &w->msg->u.write;
    const struct shard_path *path = w->path;
    const struct replicas *replicas = &path->replicas;

    if (memcmp(write->config_hash, w->s->membership->cluster->config_hash, HASH_BYTES) != 0 &&
        !PLANTED(ignore_configuration))
        return REFUSED_CONFIG;
    if (write->ballot.node != w->msg->from || shard_ballot_too_far(w, write->ballot))
        return REFUSED_DRIFT;
    struct ballot promise = ballot_promised(write->ballot);
    *beat = w->s->floor;
    if (ballot_compare(promise, w->s->floor) <= 0)
        return REFUSED_FLOOR;
    *beat = path->promised;
    if (ballot_compare(promise, path->promised) < 0 && !PLANTED(lower_promise))
        return REFUSED_BALLOT;
    if (membership_is_outdated(w->s->membership, replicas, &write->incarnations))
        return REFUSED_INCARNATION;
    return REFUSED_NONE;
}

static void
answer_written(struct shard_work *w, struct msg *m, const uint8_t head_id[static ID_BYTES])
{
    m->u.written.ballot = w->msg->u.write.ballot;
    memcpy(m->u.written.head_id, head_id, ID_BYTES);
    shard_incarnations(w, &m->u.written.incarnations);
}

static enum vault_err
put_value_rows(struct shard_work *w, const struct incoming *in, struct store_change *list,
               size_t *count)
{
    const struct msg_write *write = &w->msg->u.write;
    struct path of = w->path->link.path;
    struct row_key key;
    struct loaded_row row;
    enum vault_err err = shard_version_row(w, in->head.version, in->head.version_id, write->version,
                                           in->share, write->dealing, &row);
    if (err == OK)
        err = shard_put_version(w, in->head.version, in->head.version_id, &row, write->dealing,
                                list, count);
    if (err != OK)
        return err;
    row_key_version(ROW_BOXES, of, in->head.version, in->head.version_id, &key);
    shard_change(list, count, STORE_PUT, shard_key_copy(w, &key), write->boxes);
    /* with boxes: the own share came in one */
    return shard_group_put(w, &in->group, in->x, list, count);
}

/*
 * Built on a head of which no notice came, whose oldest versions that would have dropped, as many
 * as it has made: they are dropped with the next. Returns the first of those; 0: there are none.
 */
static uint64_t
drops_left(const struct shard_path *path)
{
    bool missed = path->row.row.state != STATE_CHOSEN && path->row.head.oldest_version > 1;
    if (path->drops_from != 0 || !missed)
        return path->drops_from;
    return shard_first_fallen(path->row.head.oldest_version, path->row.head.earlier_count);
}

/*
 * What is known of the version rows holds after that head, too: it is built on the one accepted here,
 * and no notice was missed that would have dropped many.
 */
static bool
follows(const struct shard_path *path, const struct incoming *in)
{
    const struct head_summary *have = &path->row.head;
    bool missed = path->row.row.state != STATE_CHOSEN;
    uint64_t from = drops_left(path);
    if (path->row.row.state == STATE_ABSENT)
        return in->head.generation == 1;
    if (missed && (have->destroyed != 0 || (have->oldest_version > 1 && !have->brings_version)))
        return false;
    if (from != 0 && in->head.oldest_version > from + SHARD_DROPS_MAX)
        return false;
    return memcmp(in->head.prev, have->id, ID_BYTES) == 0 && have->kind == HEAD_LIVE;
}

/* After shard_next_row(). `same`: that very head is accepted here already. */
static void
judge_rows(struct shard_path *path, const struct incoming *in, bool same)
{
    bool holds = same || follows(path, in);
    path->next_clean = path->clean && holds;
    path->next_judged = path->judged && holds;
    shard_judge_rows(path, same, &in->head);
    path->next_drops_from = !holds ? 0 : same ? path->drops_from : drops_left(path);
}

/* No client has asked for it, so no vote of it is in the trail. */
static void
note_expiry(const struct shard_work *w)
{
    struct audit_record record = {.kind = AUDIT_expiry,
                                  .node = w->msg->from,
                                  .op = w->msg->op,
                                  .request_id = w->msg->request_id,
                                  .operation = bytes_of_text("delete"),
                                  .tenant = w->path->link.path.tenant,
                                  .name = w->path->link.path.name,
                                  .outcome = bytes_of_text("accepted")};
    audit_note(w->st, &record);
}

/* Whose boxes may still go when the notice of the head before comes late. */
static void
note_before(struct shard_work *w, const struct head *next)
{
    struct shard_path *path = w->path;
    const struct head_summary *have = &path->row.head;
    bool follows = path->row.row.state != STATE_ABSENT && have->kind == HEAD_LIVE &&
                   have->brings_version && memcmp(next->prev, have->id, ID_BYTES) == 0;
    struct bytes earlier;
    buf_close(&path->before_earlier);
    if (follows) /* without their names their boxes stay, to be delivered */
        follows =
            shard_earlier_of_own(w, &earlier) && buf_append(&path->before_earlier, earlier) == OK;
    path->before_version = follows ? have->version : 0;
    memcpy(path->before_version_id, have->version_id, ID_BYTES);
    memcpy(path->before_id, have->id, ID_BYTES);
}

static void
accept_head(struct shard_work *w, struct incoming *in)
{
    struct shard_path *path = w->path;
    const struct msg_write *write = &w->msg->u.write;
    bool same = is_accepted_already(path, in);
    struct store_change *list = arena_alloc(w->st->arena, ACCEPT_CHANGES_MAX * sizeof(*list));
    struct head_summary summary;
    size_t count = 0;

    shard_summarise(&in->head, in->head_id, &summary);
    if (path->awaiting_write && ballot_compare(path->promised, write->ballot) == 0)
        shard_note_write(w->s, w->st, path);
    path->promised = ballot_promised(write->ballot);
    if (write->ballot.offer && ballot_compare(path->promised, w->s->promised_most) > 0)
        w->s->promised_most = path->promised;
    path->awaiting_write = false;
    if (!same)
        note_before(w, &in->head);
    enum vault_err err = list ? OK : ERR_NOMEM;
    if (err == OK)
        err = shard_next_row_of(path, write->ballot,
                                same && path->row.row.state == STATE_CHOSEN ? STATE_CHOSEN
                                                                            : STATE_ACCEPTED,
                                write->head, &summary, same && path->row.row.erased);
    if (err == OK && in->proof.size > 0)
        err = shard_next_proof(path, in->proof);
    if (err == OK)
        err = shard_put_path_row(w, list, &count);
    if (err == OK && head_kind_erases(in->head.kind) && !path->next->row.erased &&
        !shard_put_erasure(w, 0, list, &count))
        err = ERR_NOMEM;
    if (err == OK && in->has_value && !in->held)
        err = put_value_rows(w, in, list, &count);
    if (err != OK) {
        path->has_next = false;
        shard_refuse(w, err == ERR_CORRUPT ? REFUSED_DEALING : REFUSED_BUSY, (struct ballot){0});
        return;
    }
    if (PLANTED(erase_on_accept) && in->head.kind == HEAD_TOMBSTONE) {
        struct row_key rows;
        row_key_versions(ROW_VERSION, path->link.path, &rows);
        shard_change(list, &count, STORE_DELETE_PREFIX, shard_key_copy(w, &rows),
                     (struct bytes){0});
    }
    judge_rows(path, in, same);
    if (!same)
        shard_late_carry_out(w, &in->head, list, &count);
    struct msg *m = PLANTED(acknowledge_before_sync) ? shard_answer_now(w, MSG_WRITTEN)
                                                     : shard_answer_later(w, MSG_WRITTEN);
    answer_written(w, m, in->head_id);
    if (PLANTED(acknowledge_before_sync))
        shard_vouch_written(w->s->membership, w->st, path->link.path, &m->u.written);
    if (!shard_commit(w, list, count))
        return;
    if (!same && head_is_of_expiry(&in->head))
        note_expiry(w);
    if (!same && write->ballot.offer)
        shard_note_offer(w, "granted");
    metrics_count(w->st->metrics, METRIC_writes_accepted);
    shard_log(w, LOG_DEBUG, "accepted", REFUSED_NONE);
}

/* The version is that of the head accepted here, which it replaces: only a mark is taken off. */
static bool
is_same_version(const struct shard_path *path, const struct incoming *in)
{
    return path->row.row.state != STATE_ABSENT && path->row.head.kind == HEAD_LIVE &&
           memcmp(path->row.head.version_id, in->head.version_id, ID_BYTES) == 0;
}

/*
 * Where the head before it is at hand: its version is what the new ones are built on. Versions that
 * the chain does not go through are dropped, and an update is no right to that.
 */
static bool
continues_chain(const struct shard_path *path, const struct incoming *in)
{
    const struct head_summary *have = &path->row.head;
    const struct version_record *first =
        in->group.count > 0 ? &in->group.versions[0].record : &in->version;
    if (!in->has_value || path->row.row.state == STATE_ABSENT || have->kind != HEAD_LIVE ||
        memcmp(in->head.prev, have->id, ID_BYTES) != 0 || is_same_version(path, in))
        return true;
    return memcmp(first->prev, have->version_id, ID_BYTES) == 0;
}

/*
 * A head that is here already may have come with a CHOSEN notice alone, and WRITTEN promises that
 * the own share is durable: whether it is has to be looked up. False: the row has been asked for.
 */
static bool
look_for_own_share(struct shard_work *w, struct incoming *in)
{
    static const enum row_table versions[] = {ROW_VERSION};
    struct row_key *keys;
    struct version_row row;
    size_t count;
    if (!w->rows && shard_brought_keys(w, &in->head, versions, 1, &keys, &count)) {
        shard_need_rows(w, keys, count);
        return false;
    }
    if (!w->rows) {
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return false;
    }
    const struct loaded_row *loaded = &w->rows->rows[0];
    in->held = loaded->found && version_row_decode(loaded->value, &row) == OK &&
               shard_share_is_good(w, loaded->key, row.share, &in->dealing) &&
               shard_group_is_held(w, &in->group);
    return true;
}

void
shard_on_write(struct shard_work *w)
{
    struct shard_path *path = w->path;
    struct ballot beat = {0};
    struct incoming *in = arena_alloc(w->st->arena, sizeof(*in));
    enum refusal refusal = in ? check_order(w, &beat) : REFUSED_BUSY;

    if (refusal == REFUSED_NONE && !decode(w, in))
        refusal = REFUSED_DEALING;
    else if (refusal == REFUSED_NONE && sweep_refuses(w->s->membership, &in->head))
        refusal = REFUSED_FORGOTTEN;
    if (refusal != REFUSED_NONE) {
        shard_refuse(w, refusal, beat);
        return;
    }
    struct bytes author = in->has_value ? in->version.author : (struct bytes){0};
    refusal = w->msg->u.write.ballot.offer
                  ? shard_offer_allowed(w, &in->head, author)
                  : shard_write_proven(w, &in->head, in->head_id, author, &in->proof);
    if (refusal != REFUSED_NONE) {
        shard_refuse(w, refusal, refusal == REFUSED_BALLOT ? path->promised : (struct ballot){0});
        return;
    }
    bool same = is_accepted_already(path, in);
    bool repeated = ballot_compare(w->msg->u.write.ballot, path->row.row.ballot) == 0;
    if (repeated && !same) {
        shard_refuse(w, REFUSED_BALLOT, path->promised);
        return;
    }
    if (contradicts_chosen(path, in) || !continues_chain(path, in) ||
        (in->has_value && (!shard_dealing_is_ours(w, &in->dealing, &in->x) ||
                           !shard_group_is_ours(w, &in->group, in->x)))) {
        shard_refuse(w, REFUSED_DEALING, (struct ballot){0});
        return;
    }
    if (in->has_value && is_same_version(path, in) && !look_for_own_share(w, in))
        return;
    /* What was only handed over is accepted now: WRITTEN says that it was. */
    bool stands = repeated && path->row.row.state != STATE_RECEIVED;
    if (stands && (in->held || !in->has_value)) {
        if (w->msg->u.write.ballot.offer)
            shard_note_offer(w, "granted");
        struct msg *m = shard_answer_now(w, MSG_WRITTEN);
        answer_written(w, m, in->head_id);
        shard_vouch_written(w->s->membership, w->st, path->link.path, &m->u.written);
        return;
    }
    if (in->has_value && !in->held && !open_own_share(w, in)) {
        shard_refuse(w, REFUSED_DEALING, (struct ballot){0});
        return;
    }
    accept_head(w, in);
}
