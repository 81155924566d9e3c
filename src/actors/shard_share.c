/*
 * Boxed shares on their way to their owner: delivery from escrow, acceptance by the owner, and own
 * shares at rest. docs/protocol.md, "Repair".
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/shard_proof.h"
#include "actors/standing.h"
#include "base/planted.h"

enum vault_err
shard_share_seal(struct shard_work *w, const struct row_key *key, struct bytes share,
                 struct bytes *out)
{
    *out = (struct bytes){0};
    if (share.size == 0)
        return OK;
    uint8_t *sealed = arena_alloc(w->st->arena, share.size + BUCKET_SEALED_OVERHEAD_BYTES);
    if (!sealed)
        return ERR_NOMEM;
    enum vault_err err = bucket_seal(shard_bucket(w), w->s->share_wrap_key->data,
                                     row_key_bytes(key), share, w->st->rng, sealed);
    if (err == OK)
        *out = bytes_of(sealed, share.size + BUCKET_SEALED_OVERHEAD_BYTES);
    return err;
}

enum vault_err
shard_share_unseal(struct shard_work *w, struct bytes key, struct bytes sealed, struct bytes *out)
{
    *out = (struct bytes){0};
    if (sealed.size <= BUCKET_SEALED_OVERHEAD_BYTES)
        return ERR_CORRUPT;
    size_t size = sealed.size - BUCKET_SEALED_OVERHEAD_BYTES;
    uint8_t *share = arena_alloc(w->st->arena, size);
    if (!share)
        return ERR_NOMEM;
    enum vault_err err =
        bucket_open(shard_bucket(w), w->s->share_wrap_key->data, key, sealed, share);
    if (err == OK)
        *out = bytes_of(share, size);
    return err;
}

struct bytes
shard_open_box(struct shard_work *w, const struct version_record *version,
               const struct dealing *dealing, uint8_t x, struct bytes box)
{
    uint8_t *share = arena_alloc(w->st->arena, SECRET_BYTES_MAX);
    size_t size = 0;
    struct dealing_place place = {.cluster_id = w->s->membership->cluster->id,
                                  .tenant = w->path->link.path.tenant,
                                  .name = w->path->link.path.name,
                                  .incarnation = version->incarnation,
                                  .version = version->version};
    if (!share || dealing_open_box(dealing, &place, x, box, w->s->ring, share, &size) != OK)
        return (struct bytes){0};
    return bytes_of(share, size);
}

bool
shard_share_is_good(struct shard_work *w, struct bytes key, struct bytes sealed,
                    const struct dealing *dealing)
{
    const struct replicas *replicas = &w->path->replicas;
    struct share share = {0};
    int own = replicas_index(replicas, w->s->membership->self);
    if (own < 0 || shard_share_unseal(w, key, sealed, &share.data) != OK)
        return false;
    share.x = (uint8_t)(own + 1);
    return dealing_share_matches(dealing, &share);
}

bool
shard_store_share_opens(struct shard_store *s, const struct step *st, struct path path,
                        struct bytes key, struct bytes sealed)
{
    struct shard_path of = {.link.path = path};
    struct shard_work w = {.s = s, .st = st, .path = &of};
    struct bytes share;
    return shard_share_unseal(&w, key, sealed, &share) == OK;
}

static bool
goes_apart(const struct shard_work *w, struct bytes dealing)
{
    return dealing.size > VERSION_ROW_DEALING_MAX || w->s->dealings_apart;
}

struct bytes
shard_dealing_of(const struct version_row *row, const struct loaded_row *own)
{
    if (row->dealing.size > 0)
        return row->dealing;
    return own->found ? own->value : (struct bytes){0};
}

enum vault_err
shard_put_dealing(struct shard_work *w, uint64_t version, const uint8_t version_id[static ID_BYTES],
                  struct bytes dealing, struct store_change *list, size_t *count)
{
    struct row_key key;
    row_key_version(ROW_DEALING, w->path->link.path, version, version_id, &key);
    struct bytes copy = shard_key_copy(w, &key);
    if (copy.size == 0)
        return ERR_NOMEM;
    shard_change(list, count, STORE_PUT, copy, dealing);
    return OK;
}

enum vault_err
shard_put_version(struct shard_work *w, uint64_t version, const uint8_t version_id[static ID_BYTES],
                  const struct loaded_row *row, struct bytes dealing, struct store_change *list,
                  size_t *count)
{
    shard_change(list, count, STORE_PUT, row->key, row->value);
    if (dealing.size == 0 || !goes_apart(w, dealing))
        return OK;
    return shard_put_dealing(w, version, version_id, dealing, list, count);
}

enum vault_err
shard_version_row(struct shard_work *w, uint64_t version, const uint8_t version_id[static ID_BYTES],
                  struct bytes record, struct bytes share, struct bytes dealing,
                  struct loaded_row *out)
{
    struct row_key key;
    struct version_row row = {.record = record};
    if (!goes_apart(w, dealing))
        row.dealing = dealing;
    struct buf encoded = {0};
    row_key_version(ROW_VERSION, w->path->link.path, version, version_id, &key);
    *out = (struct loaded_row){.key = shard_key_copy(w, &key), .found = true};
    enum vault_err err = shard_share_seal(w, &key, share, &row.share);
    if (err == OK)
        err = version_row_encode(&row, &encoded);
    if (err == OK)
        err = arena_copy(w->st->arena, buf_bytes(&encoded), &out->value);
    buf_close(&encoded);
    return err == OK && out->key.size == 0 ? ERR_NOMEM : err;
}

/* ---- the keeper's side ---- */

/*
 * The newest escrow row that has a box for that owner; its key and box are kept while the other
 * rows are loaded.
 */
static bool
find_box(struct shard_work *w, uint8_t owner)
{
    struct shard_path *path = w->path;
    for (size_t i = 0; i < w->rows->count; i++) {
        struct bytes boxes[REPLICAS_MAX];
        size_t n = 0;
        if (bytes_list_decode(w->rows->rows[i].value, BOX_BYTES_MAX, boxes, REPLICAS_MAX, &n) !=
                OK ||
            owner >= n || boxes[owner].size == 0)
            continue;
        buf_close(&path->box_memory);
        if (!path->box_key)
            path->box_key = calloc(1, sizeof(*path->box_key));
        if (!path->box_key || buf_append(&path->box_memory, boxes[owner]) != OK)
            return false;
        path->box = buf_bytes(&path->box_memory);
        path->box_key->size = w->rows->rows[i].key.size;
        memcpy(path->box_key->data, w->rows->rows[i].key.data, path->box_key->size);
        return true;
    }
    return false;
}

static void
load_version_of_box(struct shard_work *w)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id;
    struct row_key keys[2];
    if (row_key_parse(row_key_bytes(w->path->box_key), &table, &path, &version, &id) != OK)
        return;
    row_key_version(ROW_VERSION, path, version, id.data, &keys[0]);
    row_key_version(ROW_DEALING, path, version, id.data, &keys[1]);
    shard_need_rows(w, keys, 2);
}

static void
send_share(struct shard_work *w, uint8_t owner)
{
    const struct replicas *replicas = &w->path->replicas;
    struct version_row row;
    if (!w->rows->rows[0].found || version_row_decode(w->rows->rows[0].value, &row) != OK)
        return;
    struct bytes dealing = shard_dealing_of(&row, &w->rows->rows[1]);
    if (dealing.size == 0)
        return;
    struct msg *m = effect_send(w->out, MSG_SHARE, replicas->nodes[owner], w->msg);
    shard_accepted(w->path, &m->u.share.accepted);
    m->u.share.version = row.record;
    m->u.share.dealing = dealing;
    m->u.share.box = w->path->box;
}

static void
finish(struct shard_work *w)
{
    struct path path; /* the entry may have left the table when the message is handled */
    if (arena_copy(w->st->arena, w->path->link.path.tenant, &path.tenant) == OK &&
        arena_copy(w->st->arena, w->path->link.path.name, &path.name) == OK)
        effect_local(w->out, ACTOR_COORDINATOR, MSG_CHANGE)->path = path;
}

/*
 * An accepted head that nobody has called chosen for a while is finished first. Every holder's
 * repairer comes to that at about the same time; the dice let one of them begin, more or less, so
 * that they do not take votes from each other round after round.
 */
static void
finish_first(struct shard_work *w)
{
    uint64_t draw;
    if (rng_below(w->st->rng, w->s->membership->cluster->share_count, &draw) != OK || draw != 0)
        return;
    finish(w);
}

/*
 * Anti-entropy has found that a node has another head. What is only accepted here is finished
 * first: whoever finishes it tells everybody.
 */
static void
tell_head(struct shard_work *w, uint8_t node, bool recent)
{
    const struct path_row *row = &w->path->row.row;
    uint8_t self = w->s->membership->self;
    const struct replicas *replicas = &w->path->replicas;
    if (recent || row->state == STATE_ABSENT || replicas_index(replicas, node) < 0 ||
        node == self || (w->msg->from != self && w->msg->from != node))
        return;
    if (row->state != STATE_CHOSEN && !PLANTED(anti_entropy_takes_unchosen)) {
        finish(w);
        return;
    }
    struct msg *m = effect_send(w->out, MSG_CHOSEN, node, w->msg);
    m->op = 0;
    m->u.chosen.ballot = shard_told_ballot(w->path);
    memcpy(m->u.chosen.head_id, w->path->row.head.id, ID_BYTES);
    m->u.chosen.head = row->head;
    m->u.chosen.proof = row->proof;
    shard_incarnations(w, &m->u.chosen.incarnations);
    metrics_count(w->st->metrics, METRIC_heads_told);
}

/* What the row says is no longer so: the path's own row had been damaged, and was had back. */
static void
drop_unsettled(struct shard_work *w)
{
    struct store_change *list = arena_alloc(w->st->arena, sizeof(*list));
    struct row_key key;
    size_t count = 0;
    row_key_unsettled(w->path->link.path, &key);
    struct bytes key_copy = shard_key_copy(w, &key);
    if (!list || key_copy.size == 0)
        return;
    shard_change(list, &count, STORE_DELETE, key_copy, (struct bytes){0});
    shard_commit(w, list, count);
}

static bool
has_expired(const struct shard_work *w)
{
    const struct shard_row *own = &w->path->row;
    return own->row.state != STATE_ABSENT && own->head.expires_at_ms != 0 &&
           own->head.expires_at_ms <= membership_clock_ms(w->s->membership, w->st->wall_ms);
}

void
shard_on_deliver(struct shard_work *w)
{
    struct shard_path *path = w->path;
    uint64_t owner = w->msg->u.deliver.owner;
    bool recent = instant_since(w->st->now, path->touched).ns < duration_ms(DELIVER_QUIET_MS).ns;
    if (owner == DELIVER_REWRAP) {
        if (w->msg->from == w->s->membership->self)
            shard_on_rewrap(w);
        return;
    }
    if (w->msg->from == w->s->membership->self && recent && !w->rows)
        return; /* the repairer's own round: this change is still in flight */
    if (owner >= DELIVER_HEAD_TO && owner <= DELIVER_LAST) {
        tell_head(w, (uint8_t)(owner - DELIVER_HEAD_TO), recent);
        return;
    }
    if (owner == DELIVER_EXPIRY) {
        if (!recent && has_expired(w))
            finish_first(w);
        return;
    }
    if (path->row.row.state == STATE_ACCEPTED || path->row.row.state == STATE_RECEIVED) {
        if (!recent)
            finish_first(w);
        return;
    }
    if (owner == DELIVER_SETTLE) {
        if (!shard_is_unsettled(&path->row))
            drop_unsettled(w);
        else if (!recent)
            finish_first(w);
        return;
    }
    if (owner == DELIVER_ERASURE) {
        shard_spread_erasure(w);
        return;
    }
    if (owner >= w->s->membership->cluster->share_count || path->row.row.state == STATE_ABSENT)
        return;
    if (!w->rows) {
        shard_forget_box(path);
        shard_need_versions(w, ROW_BOXES, SHARD_ROWS_MAX);
    } else if (path->box.size == 0) {
        if (find_box(w, (uint8_t)owner))
            load_version_of_box(w);
    } else {
        send_share(w, (uint8_t)owner);
        shard_forget_box(path);
    }
}

/* ---- pruning what was delivered ---- */

void
shard_on_shared(struct shard_work *w)
{
    const struct msg_shared *shared = &w->msg->u.shared;
    const struct replicas *replicas = &w->path->replicas;
    struct row_key key;
    int owner = replicas_index(replicas, w->msg->from);
    row_key_version(ROW_BOXES, w->path->link.path, shared->version, shared->version_id, &key);
    if (owner < 0 || shared->outcome == SHARED_LATER || shared->outcome == SHARED_BAD)
        return;
    /* What an older life has stored may be gone with its store: the box is delivered again. */
    if (!w->rows &&
        !standing_counts(w->s->membership, replicas, w->msg->from, &shared->incarnations))
        return;
    if (!w->rows) {
        metrics_count(w->st->metrics, shared->repair                     ? METRIC_repairs_done
                                      : shared->outcome == SHARED_STORED ? METRIC_shares_delivered
                                                                         : METRIC_shares_obsolete);
        shard_need_rows(w, &key, 1);
        return;
    }
    struct store_change *list = arena_alloc(w->st->arena, 2 * sizeof(*list));
    size_t count = 0;
    if (!list || !w->rows->rows[0].found)
        return;
    shard_prune_boxes(w, &key, w->rows->rows[0].value, UINT64_C(1) << owner, list, &count);
    if (count == 0)
        return;
    struct msg *next = shard_answer_later(w, MSG_DELIVER); /* the next box for the same owner */
    next->to = w->s->membership->self;
    next->u.deliver.owner = (uint64_t)owner;
    shard_commit(w, list, count);
}

/* ---- the owner's side ---- */

/* A share that came for this node. */
struct arrival {
    struct version_record version;
    struct dealing dealing;
    uint8_t version_id[ID_BYTES];
    struct head head;     /* the sender's chosen head */
    bool take_head;       /* newer than ours: taken over first */
    struct ballot ballot; /* at which it is chosen */
    uint8_t x;
    struct bytes share;
};

static void
answer_shared(struct shard_work *w, struct msg *m, const struct arrival *a,
              enum shared_outcome outcome)
{
    m->u.shared.outcome = outcome;
    m->u.shared.version = a->version.version;
    memcpy(m->u.shared.version_id, a->version_id, ID_BYTES);
    m->u.shared.repair = w->msg->u.share.repair;
    shard_incarnations(w, &m->u.shared.incarnations);
}

static bool
decode_arrival(struct shard_work *w, struct arrival *a)
{
    const struct msg_share *share = &w->msg->u.share;
    uint8_t hash[HASH_BYTES];
    if (version_decode(share->version, &a->version) != OK ||
        dealing_decode(share->dealing, (struct bytes){0}, &a->dealing) != OK ||
        share->accepted.state != STATE_CHOSEN ||
        head_decode(share->accepted.head, &a->head) != OK ||
        !path_equal(a->head.path, w->path->link.path))
        return false;
    record_id(share->version, a->version_id);
    record_id(share->dealing, hash);
    if (memcmp(hash, a->version.dealing_hash, HASH_BYTES) != 0)
        return false;
    const struct shard_row *own = &w->path->row;
    uint8_t head_id[ID_BYTES];
    uint64_t written;
    a->ballot = ballot_promised(share->accepted.ballot);
    a->take_head = own->row.state != STATE_CHOSEN
                       ? ballot_compare(own->row.ballot, a->ballot) < 0
                       : own->head.generation < a->head.generation &&
                             ballot_compare(own->row.ballot, a->ballot) < 0;
    if (!a->take_head)
        return true;
    record_id(share->accepted.head, head_id);
    if (!shard_chosen_proven(w, head_id, share->accepted.proof, &a->ballot, &written))
        return false;
    a->ballot = ballot_promised(a->ballot);
    a->take_head = ballot_compare(own->row.ballot, a->ballot) < 0;
    return true;
}

enum shared_outcome
shard_judge_chain(struct shard_work *w, const struct version_record *version,
                  const uint8_t version_id[static ID_BYTES], const struct chain_head *head)
{
    uint8_t expected[ID_BYTES];
    uint64_t next = head->version;
    memcpy(expected, head->version_id, ID_BYTES);
    if (memcmp(version->incarnation, head->incarnation, INCARNATION_BYTES) != 0 ||
        version->version > head->version || version->version < head->oldest_version)
        return SHARED_OBSOLETE;
    for (size_t i = 0; i < w->rows->count && next > version->version; i++) {
        enum row_table table;
        struct path path;
        uint64_t number;
        struct bytes id;
        struct version_row row;
        struct version_record record;
        const struct loaded_row *loaded = &w->rows->rows[i];
        if (row_key_parse(loaded->key, &table, &path, &number, &id) != OK || number != next ||
            memcmp(id.data, expected, ID_BYTES) != 0)
            continue;
        if (version_row_decode(loaded->value, &row) != OK ||
            version_decode(row.record, &record) != OK)
            return SHARED_LATER;
        memcpy(expected, record.prev, ID_BYTES);
        next--;
    }
    if (next > version->version)
        return SHARED_LATER; /* a newer version's record must come first */
    return memcmp(expected, version_id, ID_BYTES) == 0 ? SHARED_STORED : SHARED_OBSOLETE;
}

const struct loaded_row *
shard_loaded_version(const struct shard_work *w, const uint8_t version_id[static ID_BYTES])
{
    for (size_t i = 0; i < w->rows->count; i++) {
        enum row_table table;
        struct path path;
        uint64_t version;
        struct bytes id;
        const struct loaded_row *loaded = &w->rows->rows[i];
        if (row_key_parse(loaded->key, &table, &path, &version, &id) == OK &&
            memcmp(id.data, version_id, ID_BYTES) == 0)
            return loaded;
    }
    return NULL;
}

bool
shard_has_share(struct shard_work *w, const uint8_t version_id[static ID_BYTES],
                const struct dealing *dealing)
{
    const struct loaded_row *loaded = shard_loaded_version(w, version_id);
    struct version_row row;
    return loaded && version_row_decode(loaded->value, &row) == OK &&
           shard_share_is_good(w, loaded->key, row.share, dealing);
}

static bool
open_arrival(struct shard_work *w, struct arrival *a)
{
    const struct replicas *replicas = &w->path->replicas;
    int own = replicas_index(replicas, w->s->membership->self);
    if (own < 0)
        return false;
    a->x = (uint8_t)(own + 1);
    struct bytes box = w->msg->u.share.box;
    if (!w->msg->u.share.repair && !dealing_box_matches(&a->dealing, a->x, box))
        return false;
    a->share = shard_open_box(w, &a->version, &a->dealing, a->x, box);
    return a->share.size > 0;
}

/* What the chain has beside this version, and is not here: to be got back. */
static enum vault_err
put_needs(struct shard_work *w, const struct arrival *a, const struct chain_head *head,
          struct store_change *list, size_t *count)
{
    bool good = true;
    if (a->version.version < head->version &&
        !shard_rows_have_share(w, head->version, head->version_id))
        good = shard_put_need(w, head->version, head->version_id, list, count);
    if (good && a->version.version > head->oldest_version &&
        !shard_rows_have_share(w, a->version.version - 1, a->version.prev))
        good = shard_put_need(w, a->version.version - 1, a->version.prev, list, count);
    return good ? OK : ERR_NOMEM;
}

/* The version row that it makes, with the own share sealed. */
static enum vault_err
put_arrival(struct shard_work *w, const struct arrival *a, const struct chain_head *head,
            struct store_change *list, size_t *count)
{
    struct loaded_row row;
    struct bytes dealing = w->msg->u.share.dealing;
    bool whole;
    enum vault_err err = shard_version_row(w, a->version.version, a->version_id,
                                           w->msg->u.share.version, a->share, dealing, &row);
    if (err != OK)
        return err;
    /* With this record here the chain may reach rows that could not be judged before. */
    w->path->judged = false;
    if (a->take_head || !w->path->clean)
        err = shard_prune_with(w, head, &row, list, count, &whole);
    /* Another row that does not decode is no reason to do without this one. */
    if (err != OK && err != ERR_CORRUPT)
        return err;
    err = shard_put_version(w, a->version.version, a->version_id, &row, dealing, list, count);
    return err == OK ? put_needs(w, a, head, list, count) : err;
}

static void
store_arrival(struct shard_work *w, struct arrival *a, const struct chain_head *head)
{
    const struct accepted *accepted = &w->msg->u.share.accepted;
    struct store_change *list = arena_alloc(w->st->arena, SHARD_CHANGES_MAX * sizeof(*list));
    size_t count = 0;
    enum vault_err err = list ? OK : ERR_NOMEM;
    if (err == OK && a->take_head) {
        err = shard_next_row(w->path, a->ballot, STATE_CHOSEN, accepted->head, false);
        if (err == OK)
            err = shard_next_proof(w->path, accepted->proof);
        if (err == OK)
            err = shard_put_path_row(w, list, &count);
        w->path->next_clean = false;
    }
    if (err == OK)
        err = put_arrival(w, a, head, list, &count);
    if (err != OK) {
        w->path->has_next = false;
        return;
    }
    answer_shared(w, shard_answer_later(w, MSG_SHARED), a, SHARED_STORED);
    metrics_count(w->st->metrics, METRIC_shares_received);
    shard_log(w, LOG_DEBUG, "share_received", REFUSED_NONE);
    shard_commit(w, list, count);
}

void
shard_on_share(struct shard_work *w)
{
    struct arrival *a = arena_alloc(w->st->arena, sizeof(*a));
    /* What is here may not be durable yet, and its box must not go: whoever has it asks again. */
    if (w->s->node.recovery == RECOVERY_HANDOVER)
        return;
    if (!a || !decode_arrival(w, a)) {
        metrics_count(w->st->metrics, METRIC_messages_refused);
        return;
    }
    const struct shard_row *own = &w->path->row;
    if (!a->take_head && own->row.state != STATE_CHOSEN) {
        /* What is accepted here is newer and not settled yet: the sender comes again. */
        if (instant_since(w->st->now, w->path->touched).ns >= duration_ms(DELIVER_QUIET_MS).ns)
            finish_first(w);
        return;
    }
    struct chain_head chain =
        a->take_head ? shard_chain_of_head(&a->head) : shard_chain_of(&own->head);
    if ((a->take_head ? a->head.kind : own->head.kind) != HEAD_LIVE) {
        answer_shared(w, shard_answer_now(w, MSG_SHARED), a, SHARED_OBSOLETE);
        return;
    }
    if (!w->rows) {
        shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
        return;
    }
    bool destroyed = version_set_has(chain.destroyed, chain.oldest_version, a->version.version) &&
                     !PLANTED(destroy_comes_back);
    if (destroyed) {
        answer_shared(w, shard_answer_now(w, MSG_SHARED), a, SHARED_OBSOLETE);
        return;
    }
    enum shared_outcome outcome = PLANTED(share_without_chain)
                                      ? SHARED_STORED
                                      : shard_judge_chain(w, &a->version, a->version_id, &chain);
    if (outcome == SHARED_STORED && !shard_has_share(w, a->version_id, &a->dealing)) {
        if (open_arrival(w, a)) {
            store_arrival(w, a, &chain);
            return;
        }
        outcome = SHARED_BAD;
        alarms_share_bad(w->s->membership, w->st, w->msg->from);
    }
    answer_shared(w, shard_answer_now(w, MSG_SHARED), a, outcome);
}
