/*
 * What another replica hands over to a new incarnation of this node's store, one version at a time:
 * docs/protocol.md, "Lost and rolled-back stores". The higher ballot wins; a head known chosen is
 * taken as with CHOSEN, a chosen tombstone erases; own rows that the chosen chain does not contain
 * go.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/shard_internal.h"
#include "actors/standing.h"
#include "actors/sweep.h"
#include "base/planted.h"

/* A handover, decoded, with what it makes of the path. */
struct merge {
    struct head head;     /* of the path afterwards */
    struct bytes encoded; /* the same */
    struct ballot ballot;
    enum accepted_state state;
    bool changed; /* the path row is another afterwards */
    struct version_record version;
    struct dealing dealing;
    uint8_t version_id[ID_BYTES];
    bool has_version;
    bool bare;   /* the record of a destroyed version */
    bool opened; /* the own box was among what came, and opens to the own share */
    uint8_t x;
    struct bytes share;
};

/* ---- what came ---- */

/* What a node accepted by itself while it had another configuration is not for this one. */
static bool
decode_version(struct shard_work *w, struct merge *m)
{
    const struct msg_handover *in = &w->msg->u.handover;
    uint8_t hash[HASH_BYTES];
    m->has_version = in->version.size > 0;
    if (!m->has_version)
        return true;
    record_id(in->version, m->version_id);
    record_id(in->dealing, hash);
    m->bare = in->dealing.size == 0;
    if (m->bare)
        return in->boxes.size == 0 && version_decode(in->version, &m->version) == OK;
    return version_decode(in->version, &m->version) == OK &&
           dealing_decode(in->dealing, in->boxes, &m->dealing) == OK &&
           memcmp(hash, m->version.dealing_hash, HASH_BYTES) == 0 &&
           shard_dealing_is_ours(w, &m->dealing, &m->x);
}

static bool
head_is_of_path(const struct shard_work *w, const struct head *head)
{
    return path_equal(head->path, w->path->link.path) &&
           memcmp(head->cluster_id, w->s->membership->cluster->id, CLUSTER_ID_BYTES) == 0;
}

static unsigned
helper_bit(const struct shard_work *w)
{
    return 1u << (w->msg->op >> 8 & 0xf); /* recovery_hand_on() says whose page it is from */
}

/*
 * Whoever was handed an offer does not know whether it had taken it, and cannot vouch for it: it is
 * RECEIVED. When two helpers have brought it, it is taken here too. (With two replicas there is one
 * helper, and all the others are it.) That a path leaves memory in between is no harm: votes count
 * it all the same, and only finishing it has to wait for others that vouch.
 */
static enum accepted_state
state_of_offer(const struct shard_work *w, bool take, bool same)
{
    bool single_helper = w->s->membership->cluster->share_count == 2;
    enum accepted_state own = w->path->row.row.state;
    unsigned before = w->path->offer_from & ~helper_bit(w);
    if (take)
        return single_helper ? STATE_ACCEPTED : STATE_RECEIVED;
    return same && own == STATE_RECEIVED && before != 0 ? STATE_ACCEPTED : own;
}

/* Once for each message: what the head that stands now was brought by. */
static void
note_helper(struct shard_work *w, const struct merge *m)
{
    const struct accepted *in = &w->msg->u.handover.accepted;
    if (!in->ballot.offer || in->state != STATE_ACCEPTED || !bytes_equal(in->head, m->encoded))
        return;
    bool same =
        w->path->row.row.state != STATE_ABSENT && bytes_equal(w->path->row.row.head, m->encoded);
    unsigned before = same ? w->path->offer_from : 0;
    w->path->offer_from = (uint16_t)(before | helper_bit(w));
}

static bool
is_mere_offer(const struct accepted *in)
{
    return in->ballot.offer && in->state != STATE_CHOSEN;
}

/* From before the store was lost or put back, and no helper has brought anything that speaks for it. */
static bool
is_from_before(const struct shard_work *w, const struct shard_row *own)
{
    const struct membership *ms = w->s->membership;
    return (own->row.state == STATE_ACCEPTED || own->row.state == STATE_RECEIVED) &&
           own->row.incarnation != ms->members[ms->self].incarnation;
}

/*
 * A helper has taken an offer, and here is another first head from before. If that is an offer, it was
 * not chosen, whichever is the later: that helper has not taken it. If it was voted on, it was not
 * either: a helper would have it, or what was built on it. Of later heads that is not known.
 */
static bool
is_stale(const struct shard_work *w, const struct shard_row *own, const struct accepted *in)
{
    return is_mere_offer(in) && is_from_before(w, own) && own->head.generation == 1 &&
           !bytes_equal(in->head, own->row.head);
}

/*
 * The others have handed over what this node needs to know, and it may have taken an offer since. Of
 * whoever is late with a page it may have been lost meanwhile what that says. Where both were voted on
 * the ballots tell what is newer; with an offer they do not.
 */
static bool
is_too_late(const struct shard_work *w, const struct shard_row *own, const struct accepted *in)
{
    const struct replicas *replicas = &w->path->replicas;
    return own->row.state != STATE_ABSENT && in->state != STATE_CHOSEN &&
           (own->row.ballot.offer || in->ballot.offer) &&
           standing_handed_over(w->s->membership, replicas) &&
           !shard_store_in_doubt(w->s, w->path->link.path);
}

/* The head that stands afterwards. False: what came contradicts what is known here. */
static bool
choose_head(struct shard_work *w, struct merge *m)
{
    const struct accepted *in = &w->msg->u.handover.accepted;
    const struct shard_row *own = &w->path->row;
    uint8_t id[ID_BYTES];
    record_id(in->head, id);
    bool present = own->row.state != STATE_ABSENT;
    bool same = present && memcmp(id, own->head.id, ID_BYTES) == 0;
    int order = ballot_compare(in->ballot, own->row.ballot);
    bool take = (!present || order > 0 || is_stale(w, own, in)) && !is_too_late(w, own, in);
    if (head_decode(in->head, &m->head) != OK || !head_is_of_path(w, &m->head))
        return false;
    if (take && !same && own->row.state == STATE_CHOSEN &&
        m->head.generation <= own->head.generation)
        return false;
    m->ballot = take ? in->ballot : own->row.ballot;
    m->encoded = take ? in->head : own->row.head;
    m->state = own->row.state;
    if (take)
        m->state = STATE_RECEIVED;
    if (in->ballot.offer && in->state == STATE_ACCEPTED)
        m->state = state_of_offer(w, take, same);
    else if (same && own->row.state == STATE_ACCEPTED && own->head.generation == 1)
        m->state = STATE_RECEIVED; /* a helper has brought it: no offer takes its place */
    if (same && own->row.state == STATE_CHOSEN)
        m->state = STATE_CHOSEN;
    if (in->state == STATE_CHOSEN && (take || same))
        m->state = STATE_CHOSEN;
    /* What was voted on shows that no offer is chosen but what it is, or is built on. */
    bool spoken_for = !take && !is_mere_offer(in) && is_from_before(w, own);
    m->changed = take || spoken_for || m->state != own->row.state;
    return take || head_decode(m->encoded, &m->head) == OK;
}

static void
open_own_box(struct shard_work *w, struct merge *m)
{
    struct bytes box = m->dealing.boxes[m->x - 1];
    m->share = shard_open_box(w, &m->version, &m->dealing, m->x, box);
    m->opened = m->share.size > 0;
}

/* ---- rows ---- */

/* Boxes that came, and those that are here already; the own one is not kept once it is opened. */
static enum vault_err
put_boxes(struct shard_work *w, const struct merge *m, bool share_held, struct store_change *list,
          size_t *count)
{
    struct bytes boxes[REPLICAS_MAX] = {{0}};
    struct bytes kept[REPLICAS_MAX];
    struct buf encoded = {0};
    struct bytes value;
    size_t n = 0;
    bool left = false;
    if (bytes_list_decode(w->path->box, BOX_BYTES_MAX, kept, REPLICAS_MAX, &n) != OK)
        n = 0;
    for (unsigned i = 0; i < m->dealing.count; i++) {
        boxes[i] = m->dealing.boxes[i];
        if (boxes[i].size == 0 && n == m->dealing.count)
            boxes[i] = kept[i];
        if (m->state == STATE_CHOSEN && share_held && i + 1u == m->x)
            boxes[i] = (struct bytes){0};
        left = left || boxes[i].size > 0;
    }
    if (!left)
        return OK;
    enum vault_err err = bytes_list_encode(boxes, m->dealing.count, &encoded);
    if (err == OK)
        err = arena_copy(w->st->arena, buf_bytes(&encoded), &value);
    buf_close(&encoded);
    if (err == OK)
        shard_change(list, count, STORE_PUT, shard_key_copy(w, w->path->box_key), value);
    return err;
}

/*
 * The row here has a good share, in `share`; it stands, but for a public part that is not what was
 * handed over.
 */
static bool
row_stands(struct shard_work *w, const struct merge *m, struct bytes *share, bool *apart)
{
    struct version_row have;
    const struct loaded_row *loaded = shard_loaded_version(w, m->version_id);
    *share = (struct bytes){0};
    *apart = true;
    if (!loaded || version_row_decode(loaded->value, &have) != OK ||
        shard_share_unseal(w, loaded->key, have.share, share) != OK)
        return false;
    *apart = have.dealing.size == 0;
    return *apart || bytes_equal(have.dealing, w->msg->u.handover.dealing);
}

/* The version's rows; *row is the version row as it stands afterwards. */
static enum vault_err
put_version(struct shard_work *w, const struct merge *m, struct store_change *list, size_t *count,
            struct loaded_row *row)
{
    uint64_t version = m->version.version;
    struct bytes dealing = w->msg->u.handover.dealing, share = m->share;
    bool held = shard_has_share(w, m->version_id, &m->dealing), apart = false;
    bool stands = held && row_stands(w, m, &share, &apart);
    enum vault_err err = shard_version_row(w, version, m->version_id, w->msg->u.handover.version,
                                           share, dealing, row);
    /* A share here that does not open is as good as none, and must not hide that. */
    if (err == OK && !stands)
        err = shard_put_version(w, version, m->version_id, row, dealing, list, count);
    else if (err == OK && apart)
        err = shard_put_dealing(w, version, m->version_id, dealing, list, count);
    if (err != OK)
        return err;
    if (!held && !m->opened && !shard_put_need(w, m->version.version, m->version_id, list, count))
        return ERR_NOMEM;
    return put_boxes(w, m, held || m->opened, list, count);
}

/* Here, or put. What else is here of it goes when the rows are compared with the chain. */
static enum vault_err
put_bare_version(struct shard_work *w, const struct merge *m, struct store_change *list,
                 size_t *count)
{
    struct loaded_row row;
    enum vault_err err =
        shard_version_row(w, m->version.version, m->version_id, w->msg->u.handover.version,
                          (struct bytes){0}, (struct bytes){0}, &row);
    for (size_t i = 0; err == OK && i < w->rows->count; i++) {
        struct version_row have;
        if (bytes_equal(w->rows->rows[i].key, row.key) &&
            version_row_is_whole(bytes_of(m->version_id, ID_BYTES), w->rows->rows[i].value, &have))
            return OK;
    }
    if (err == OK)
        shard_change(list, count, STORE_PUT, row.key, row.value);
    return err;
}

static void
delete_all(struct shard_work *w, struct store_change *list, size_t *count)
{
    static const enum row_table tables[] = {ROW_VERSION, ROW_DEALING, ROW_BOXES, ROW_NEED};
    for (unsigned i = 0; i < 4; i++) {
        struct row_key key;
        row_key_versions(tables[i], w->path->link.path, &key);
        shard_change(list, count, STORE_DELETE_PREFIX, shard_key_copy(w, &key), (struct bytes){0});
    }
}

/* ---- the whole ---- */

/* What proves the head afterwards is what was handed over with it. */
static bool
proof_comes_with(const struct shard_work *w, const struct merge *m)
{
    const struct accepted *in = &w->msg->u.handover.accepted;
    bool same = bytes_equal(in->head, w->path->row.row.head);
    return bytes_equal(in->head, m->encoded) &&
           (!same || (in->state == STATE_CHOSEN && w->path->row.row.state != STATE_CHOSEN));
}

static enum vault_err
begin_row(struct shard_work *w, const struct merge *m, bool erased, struct store_change *list,
          size_t *count)
{
    if (!m->changed && w->path->row.row.erased == erased)
        return OK;
    enum vault_err err = shard_next_row(w->path, m->ballot, m->state, m->encoded, erased);
    w->path->next_clean = false;
    if (err == OK && proof_comes_with(w, m))
        err = shard_next_proof(w->path, w->msg->u.handover.accepted.proof);
    if (err == OK && erased)
        shard_note_keys(w);
    return err == OK ? shard_put_path_row(w, list, count) : err;
}

static enum vault_err
merge_tombstone(struct shard_work *w, struct merge *m, struct store_change *list, size_t *count)
{
    const struct replicas *replicas = &w->path->replicas;
    bool chosen = m->state == STATE_CHOSEN;
    int own = replicas_index(replicas, w->s->membership->self);
    if (!m->changed && (!chosen || w->path->row.row.erased))
        return OK;
    enum vault_err err = begin_row(w, m, chosen, list, count);
    if (err != OK)
        return err;
    if (chosen) {
        delete_all(w, list, count);
        w->path->next_clean = true;
        shard_rows_are_pure(w->path);
    }
    unsigned mask = chosen && own >= 0 ? 1u << own : 0;
    return shard_put_erasure(w, (uint8_t)mask, list, count) ? OK : ERR_NOMEM;
}

static enum vault_err
merge_live(struct shard_work *w, struct merge *m, struct store_change *list, size_t *count)
{
    struct chain_head chain = shard_chain_of_head(&m->head);
    struct loaded_row row;
    bool whole = false, stored = false;
    enum vault_err err = begin_row(w, m, false, list, count);
    bool in_chain = err == OK && m->has_version &&
                    shard_judge_chain(w, &m->version, m->version_id, &chain) == SHARED_STORED;
    bool destroyed = version_set_has(chain.destroyed, chain.oldest_version, m->version.version) &&
                     !PLANTED(destroy_comes_back);
    if (in_chain && (m->bare || (destroyed && m->state == STATE_CHOSEN))) {
        err = put_bare_version(w, m, list, count);
    } else if (in_chain) {
        open_own_box(w, m);
        err = put_version(w, m, list, count, &row);
        stored = true;
    }
    /* Whoever handed the head over could not read its version. */
    if (err == OK && !m->has_version && m->state == STATE_CHOSEN && m->head.kind != HEAD_INLINE &&
        !shard_rows_have_share(w, m->head.version, m->head.version_id) &&
        !shard_put_need(w, m->head.version, m->head.version_id, list, count))
        err = ERR_NOMEM;
    if (err != OK || m->state != STATE_CHOSEN || (!m->changed && w->path->clean))
        return err;
    /* A row that does not decode is no reason to do without the rest. */
    err = stored ? shard_prune_with(w, &chain, &row, list, count, &whole)
                 : shard_prune_to_chain(w, &chain, list, count, &whole);
    if (err == OK && w->path->has_next)
        w->path->next_clean = whole && !w->rows->more;
    if (err == OK && w->path->has_next && w->path->next_clean)
        shard_rows_are_pure(w->path);
    return err == ERR_CORRUPT ? OK : err;
}

/*
 * Rows here that the store cannot read do not keep the head from being taken. What is not settled is
 * stored whole in their place; of the rest, what can be read stays, and the version is got back when
 * each row has been looked at by itself.
 */
static enum vault_err
merge_unreadable(struct shard_work *w, struct merge *m, struct store_change *list, size_t *count)
{
    struct loaded_row row;
    struct bytes dealing = w->msg->u.handover.dealing;
    enum vault_err err = begin_row(w, m, false, list, count);
    if (err != OK || !m->has_version)
        return err;
    bool made = head_makes(&m->head, m->version_id);
    if (m->state == STATE_CHOSEN || !made || m->bare)
        return shard_put_need(w, m->version.version, m->version_id, list, count) ? OK : ERR_NOMEM;
    open_own_box(w, m);
    err = shard_version_row(w, m->version.version, m->version_id, w->msg->u.handover.version,
                            m->share, dealing, &row);
    if (err == OK)
        err = shard_put_version(w, m->version.version, m->version_id, &row, dealing, list, count);
    return err == OK ? put_boxes(w, m, m->opened, list, count) : err;
}

/* Boxes of that version are looked for first, then all version rows. True: they are here. */
static bool
rows_are_here(struct shard_work *w, const struct merge *m)
{
    struct shard_path *path = w->path;
    if (!w->rows) {
        shard_forget_box(path);
        if (!m->has_version) {
            shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
            return false;
        }
        struct row_key key;
        row_key_version(ROW_BOXES, path->link.path, m->version.version, m->version_id, &key);
        shard_need_rows(w, &key, 1);
        return false;
    }
    if (!m->has_version || path->box_key)
        return true;
    path->box_key = calloc(1, sizeof(*path->box_key));
    if (!path->box_key) {
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return false;
    }
    row_key_version(ROW_BOXES, path->link.path, m->version.version, m->version_id, path->box_key);
    buf_close(&path->box_memory);
    if (w->rows->err == OK && w->rows->rows[0].found &&
        buf_append(&path->box_memory, w->rows->rows[0].value) == OK)
        path->box = buf_bytes(&path->box_memory);
    shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
    return false;
}

/*
 * Beyond the drift bound a path is voted for up to a second above what it has accepted: of the older
 * incarnation's promises these are the ones that no floor within the bound covers.
 */
static void
promise_beyond(struct shard_work *w, struct ballot accepted)
{
    struct ballot most = {.time = (ballot_ms(accepted) + ACCEPTED_SLACK_MS) << 16 | 0xffff,
                          .incarnation = 1};
    if (ballot_ms(accepted) > w->st->wall_ms + CLOCK_DRIFT_MS_MAX &&
        ballot_compare(most, w->path->promised) > 0)
        w->path->promised = most;
}

/*
 * The changes of a path follow each other: were each synced, a long history would take long. A row
 * beside the head's is needed only when the handover is over: that is stored after them all, and
 * makes them durable. Until then everything is handed over again after a crash, and nobody is
 * told what is here (shard_on_share()). But a head is told of at once, and what goes must not come
 * back.
 */
static bool
may_be_lost(const struct shard_store *s, const struct merge *m, const struct store_change *list,
            size_t count)
{
    bool only_adds =
        s->node.recovery == RECOVERY_HANDOVER && !s->node_pending && m->head.destroyed == 0;
    for (size_t i = 0; i < count; i++)
        only_adds = only_adds && list[i].kind == STORE_PUT && list[i].key.size > 0 &&
                    list[i].key.data[0] != ROW_PATH;
    return only_adds;
}

void
shard_on_handover(struct shard_work *w)
{
    const struct msg_handover *in = &w->msg->u.handover;
    struct merge *m = arena_alloc(w->st->arena, sizeof(*m));
    struct store_change *list = arena_alloc(w->st->arena, SHARD_CHANGES_MAX * sizeof(*list));
    size_t count = 0;
    if (in->kind == HANDOVER_UNKNOWN) {
        shard_doubt_begin(w);
        return;
    }
    if (in->kind == HANDOVER_SETTLED) {
        shard_doubt_end(w);
        return;
    }
    if (!m || !list) {
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return;
    }
    memset(m, 0, sizeof(*m));
    if (in->accepted.state == STATE_ABSENT || !decode_version(w, m) || !choose_head(w, m)) {
        shard_refuse(w, REFUSED_DEALING, (struct ballot){0});
        return;
    }
    if (sweep_refuses(w->s->membership, &m->head)) {
        shard_answer_now(w, MSG_HANDED)->u.handed.refusal = REFUSED_NONE;
        return;
    }
    if (!rows_are_here(w, m))
        return;
    enum vault_err err = head_kind_erases(m->head.kind) ? merge_tombstone(w, m, list, &count)
                         : w->rows->err != OK           ? merge_unreadable(w, m, list, &count)
                                                        : merge_live(w, m, list, &count);
    shard_forget_box(w->path);
    if (err != OK) {
        w->path->has_next = false;
        shard_refuse(w, REFUSED_BUSY, (struct ballot){0});
        return;
    }
    if (count == 0) {
        note_helper(w, m);
        shard_answer_now(w, MSG_HANDED)->u.handed.refusal = REFUSED_NONE;
        return;
    }
    promise_beyond(w, m->ballot);
    shard_answer_later(w, MSG_HANDED)->u.handed.refusal = REFUSED_NONE;
    if (!shard_commit(w, list, count))
        return;
    note_helper(w, m);
    if (may_be_lost(w->s, m, list, count))
        shard_commit_may_be_lost(w);
}
