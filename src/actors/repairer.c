#include "actors/repairer.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "actors/lease.h"
#include "actors/standing.h"
#include "base/planted.h"

enum repair_tag {
    TAG_HEARTBEAT = 1,
    TAG_ROUND = 2,
    TAG_COUNT = 8,
    TAG_WALK = 16,
    TAG_PEER_ROW = 32
};

static_assert((int)COUNT_PAGE_ROWS <= (int)SCAN_ROWS_MAX, "a scan gives a page");
static_assert(EFFECTS_MAX >= REPAIR_PAGE_ROWS + 2, "one DELIVER for each row, and the next page");

void
repairer_init(struct repairer *r, struct membership *membership, const struct node_row *node)
{
    *r = (struct repairer){.membership = membership, .node = node};
    r->walks[0].table = ROW_BOXES;
    r->walks[1].table = ROW_ERASURE;
    r->walks[2].table = ROW_NEED;
    r->walks[3].table = ROW_UNSETTLED;
    r->walks[4].table = ROW_EXPIRY;
}

/* ---- heartbeats ---- */

static void
send_heartbeat(struct repairer *r, const struct step *st, uint8_t to, struct effects *out)
{
    const struct membership *ms = r->membership;
    const struct member *self = &ms->members[ms->self];
    struct msg_heartbeat *h = &effect_send(out, MSG_HEARTBEAT, to, NULL)->u.heartbeat;
    standing_fill(ms, to, h);
    h->horizon_ms = r->node->horizon_ms;
    h->wall_ms = st->wall_ms;
    h->sent_ns = st->now.ns;
    h->echo_ns = r->echoes[to].sent_ns;
    h->echo_held_ns = instant_since(st->now, r->echoes[to].came).ns;
    h->share_key_id = self->share_key.id;
    memcpy(h->share_key, self->share_key.key, X25519_BYTES);
    h->known_key_id = ms->members[to].share_key.id;
    h->oldest_box_key_id = ms->members[to].oldest_box_key_id;
    h->look_age_ms = instant_since(st->now, ms->looked_at).ns / 1000000;
    h->paths = ms->held.paths;
    h->paths_known = ms->held.known;
    if (ms->pair_keys) {
        h->pair_key_id = pair_keys_own(ms->pair_keys)->id;
        memcpy(h->pair_key, pair_keys_own(ms->pair_keys)->key, X25519_BYTES);
    }
    if (ms->vote_keys)
        memcpy(h->vote_key, ms->vote_keys->public_half, X25519_BYTES);
    lease_fill(ms, h);
    h->forgotten_ms = ms->forgotten_ms;
}

static void
send_heartbeats(struct repairer *r, const struct step *st, struct effects *out)
{
    struct membership *ms = r->membership;
    lease_look_here(ms, st->now);
    for (uint8_t i = 0; i < ms->cluster->node_count; i++) {
        if (i != ms->self && ms->members[i].connected)
            send_heartbeat(r, st, i, out);
    }
}

static bool
put_row(const struct step *st, const struct row_key *key, const struct buf *value,
        struct store_change *out)
{
    *out = (struct store_change){.kind = STORE_PUT};
    return arena_copy(st->arena, row_key_bytes(key), &out->key) == OK &&
           arena_copy(st->arena, buf_bytes(value), &out->value) == OK;
}

/*
 * What must be known of a peer while it is away, after a restart too: its newest share key above
 * all, and the keys with which it signed what others will have to believe later.
 */
static void
remember_peer(struct repairer *r, const struct step *st, uint8_t peer, struct effects *out)
{
    struct peer_row row;
    if (r->rows[peer].busy) {
        r->rows[peer].again = true;
        return;
    }
    standing_peer_row(r->membership, peer, &row);
    char name[16];
    struct row_key key;
    struct buf value = {0}, signers = {0};
    struct store_change *changes = arena_alloc(st->arena, 2 * sizeof(*changes));
    snprintf(name, sizeof(name), "peer/%u", (unsigned)peer);
    row_key_meta(name, &key);
    bool made = changes && peer_row_encode(&row, &value) == OK &&
                put_row(st, &key, &value, &changes[0]) &&
                signing_row_encode(&r->membership->signers[peer], &signers) == OK;
    row_key_signing(peer, &key);
    if (made && put_row(st, &key, &signers, &changes[1])) {
        effect_store(out, ACTOR_REPAIRER, TAG_PEER_ROW + peer, changes, 2);
        r->rows[peer].busy = true;
        r->rows[peer].again = false;
        r->rows[peer].incarnation = row.incarnation;
        memcpy(r->rows[peer].store_id, row.store_id, STORE_ID_BYTES);
    }
    buf_close(&value);
    buf_close(&signers);
}

/* What could not be written is written again with the next heartbeat of the peer. */
static void
on_peer_row(struct repairer *r, const struct step *st, uint8_t peer, enum vault_err err,
            struct effects *out)
{
    struct member *member = &r->membership->members[peer];
    r->rows[peer].busy = false;
    if (err != OK) {
        r->rows[peer].again = true;
        return;
    }
    member->durable_incarnation = r->rows[peer].incarnation;
    memcpy(member->durable_store_id, r->rows[peer].store_id, STORE_ID_BYTES);
    if (r->rows[peer].again)
        remember_peer(r, st, peer, out);
}

static void
learn_round_trip(struct member *member, const struct step *st, const struct msg_heartbeat *h)
{
    if (h->echo_ns == 0 || h->echo_ns > st->now.ns || st->now.ns - h->echo_ns < h->echo_held_ns)
        return;
    uint64_t sample = st->now.ns - h->echo_ns - h->echo_held_ns;
    member->round_trip_ns =
        member->round_trip_ns == 0 ? sample : (member->round_trip_ns * 7 + sample) / 8;
}

static void
on_heartbeat(struct repairer *r, const struct step *st, const struct msg *in, struct effects *out)
{
    const struct msg_heartbeat *h = &in->u.heartbeat;
    struct member *member = &r->membership->members[in->from];
    struct standing_news news = standing_heard(r->membership, in->from, h);
    if (!news.current)
        return;
    bool to_remember = news.to_remember || h->share_key_id > member->share_key.id;
    r->echoes[in->from].sent_ns = h->sent_ns;
    r->echoes[in->from].came = st->now;
    learn_round_trip(member, st, h);
    lease_heard(r->membership, in->from, h, st->now);
    member->clock_offset_ms = (int64_t)h->wall_ms - (int64_t)st->wall_ms;
    member->knows_key_id = h->known_key_id;
    member->keeps_box_of_key_id = h->oldest_box_key_id;
    uint64_t age_ns = h->look_age_ms < st->now.ns / 1000000 ? h->look_age_ms * 1000000 : st->now.ns;
    member->looked_at = (struct instant){st->now.ns - age_ns};
    member->paths = h->paths;
    member->paths_known = h->paths_known;
    member->forgotten_ms = h->forgotten_ms;
    if (h->share_key_id > member->share_key.id) {
        r->membership->share_keys_changed = true;
        member->share_key.id = h->share_key_id;
        memcpy(member->share_key.key, h->share_key, X25519_BYTES);
    }
    if (r->membership->pair_keys) {
        struct pair_key_public key = {.id = h->pair_key_id};
        memcpy(key.key, h->pair_key, X25519_BYTES);
        pair_keys_learn(r->membership->pair_keys, in->from, &key);
    }
    if (r->membership->vote_keys &&
        vote_keys_learn(r->membership->vote_keys, in->from, h->vote_key))
        to_remember = true;
    if (to_remember || r->rows[in->from].again)
        remember_peer(r, st, in->from, out);
    if (news.life && member->connected)
        send_heartbeat(r, st, in->from, out); /* it waits for what is remembered of it */
}

/* ---- rounds over what is outstanding ---- */

static void
walk_on(struct repairer *r, const struct step *st, unsigned which, struct effects *out)
{
    struct repair_walk *walk = &r->walks[which];
    struct row_key prefix;
    struct bytes prefix_copy, after;
    row_key_table(walk->table, &prefix);
    bool need = walk->table == ROW_NEED;
    uint64_t since_ns = instant_since(st->now, walk->asked).ns;
    if (need && (r->membership->repair.room == 0 || since_ns < duration_ms(NEED_PAGE_MS).ns))
        return; /* enough is under way */
    if (walk->busy || arena_copy(st->arena, row_key_bytes(&prefix), &prefix_copy) != OK ||
        arena_copy(st->arena, row_key_bytes(&walk->after), &after) != OK)
        return;
    walk->busy = true;
    if (walk->after.size == 0)
        walk->began = st->now;
    walk->asked = st->now;
    effect_scan(out, ACTOR_REPAIRER, TAG_WALK + which, prefix_copy, after,
                need ? NEED_PAGE_ROWS : REPAIR_PAGE_ROWS,
                !need && walk->table != ROW_EXPIRY && !walk->names_only);
}

/*
 * Keys alone: what a path is, does not matter. Not those of the path rows, which lie between rows of
 * versions.
 */
static void
count_on(struct repairer *r, const struct step *st, struct effects *out)
{
    struct path_count *count = &r->membership->held;
    struct row_key prefix;
    struct bytes prefix_copy, after;
    row_key_table(ROW_INDEX, &prefix);
    if (arena_copy(st->arena, row_key_bytes(&prefix), &prefix_copy) != OK ||
        !path_count_next(count, st->now))
        return;
    if (arena_copy(st->arena, row_key_bytes(&count->after), &after) == OK)
        effect_scan(out, ACTOR_REPAIRER, TAG_COUNT, prefix_copy, after, COUNT_PAGE_ROWS, false);
    else
        count->busy = false;
}

static void
ask_shard_store(struct repairer *r, struct path path, uint64_t owner, struct effects *out)
{
    struct msg *m = effect_send(out, MSG_DELIVER, r->membership->self, NULL);
    m->path = path;
    m->u.deliver.owner = owner;
}

static void
ask_check(struct repairer *r, struct path path, uint64_t version, struct bytes version_id,
          bool scrub, struct effects *out)
{
    struct msg *m = effect_send(out, MSG_CHECK, r->membership->self, NULL);
    m->path = path;
    m->u.check.version = version;
    if (version > 0)
        memcpy(m->u.check.version_id, version_id.data, ID_BYTES);
    m->u.check.scrub = scrub;
}

static void
note_box_key(struct repair_walk *walk, uint8_t node, struct bytes box)
{
    uint64_t id = box_share_key_id(box);
    if (walk->oldest[node] == 0 || id < walk->oldest[node])
        walk->oldest[node] = id;
}

/*
 * At most one message for each row, and one for each owner of boxes of a path in a page: the shard
 * store goes on with the owner's next box by itself. Which owner of a row comes first changes from
 * round to round, so that one that takes nothing does not hold up the others.
 */
static void
visit_boxes(struct repairer *r, struct repair_walk *walk, struct path path,
            const struct replicas *replicas, struct bytes value, unsigned *asked,
            struct effects *out)
{
    struct bytes boxes[REPLICAS_MAX];
    size_t count = 0;
    bool done = false;
    if (bytes_list_decode(value, BOX_BYTES_MAX, boxes, REPLICAS_MAX, &count) != OK ||
        count != replicas->count)
        return;
    for (unsigned turn = 0; turn < count; turn++) {
        unsigned i = (unsigned)((turn + walk->rounds) % count);
        uint8_t node = replicas->nodes[i];
        if (boxes[i].size == 0)
            continue;
        walk->counts[node]++;
        note_box_key(walk, node, boxes[i]);
        if (!done && !(*asked >> i & 1) && r->membership->members[node].connected) {
            ask_shard_store(r, path, i, out);
            *asked |= 1u << i;
            done = true;
        }
    }
}

static void
end_of_round(struct repairer *r, struct repair_walk *walk)
{
    bool boxes = walk->table == ROW_BOXES && !walk->unsure;
    if (walk->table == ROW_NEED)
        r->membership->repair.lacking = walk->rows;
    walk->rows = 0;
    walk->unsure = false;
    for (unsigned i = 0; i < NODES_MAX && boxes; i++) {
        r->membership->members[i].escrow_backlog = walk->counts[i];
        r->membership->members[i].oldest_box_key_id = walk->oldest[i];
    }
    if (boxes)
        r->membership->looked_at = walk->began;
    if (!PLANTED(backlog_adds_up))
        memset(walk->counts, 0, sizeof(walk->counts));
    memset(walk->oldest, 0, sizeof(walk->oldest));
    walk->after.size = 0;
    walk->rounds++;
}

/*
 * What expires first comes first: the round ends with the first row whose time has not come. So a
 * round costs a scan of one page, however many secrets will expire some day.
 */
static void
on_expiry_page(struct repairer *r, const struct step *st, const struct msg_loaded *loaded,
               struct repair_walk *walk, struct effects *out)
{
    uint64_t now_ms = membership_clock_ms(r->membership, st->wall_ms);
    bool due = true;
    walk->busy = false;
    for (size_t i = 0; i < loaded->count && due; i++) {
        struct path path;
        uint64_t at_ms;
        const struct loaded_row *row = &loaded->rows[i];
        walk->after.size = row->key.size;
        memcpy(walk->after.data, row->key.data, row->key.size);
        if (row_key_expiry_of(row->key, &at_ms, &path) != OK)
            continue;
        due = at_ms <= now_ms;
        if (due)
            ask_shard_store(r, path, DELIVER_EXPIRY, out);
    }
    if (!due || !loaded->more || loaded->err != OK)
        end_of_round(r, walk);
}

static void
on_page(struct repairer *r, const struct step *st, const struct msg_loaded *loaded,
        struct effects *out)
{
    struct repair_walk *walk = &r->walks[loaded->tag - TAG_WALK];
    if (walk->table == ROW_EXPIRY) {
        on_expiry_page(r, st, loaded, walk, out);
        return;
    }
    struct path last = {0};
    struct replicas replicas;
    unsigned asked = 0;
    bool apart = walk->names_only;
    walk->busy = false;
    walk->names_only = loaded->err == ERR_CORRUPT && !apart;
    if (walk->names_only) {
        walk->unsure = true;
        return; /* the same page again, by name */
    }
    for (size_t i = 0; i < loaded->count; i++) {
        enum row_table table;
        struct path path;
        uint64_t version;
        struct bytes id;
        const struct loaded_row *row = &loaded->rows[i];
        walk->after.size = row->key.size;
        memcpy(walk->after.data, row->key.data, row->key.size);
        if (row_key_parse(row->key, &table, &path, &version, &id) != OK)
            continue;
        asked = path_equal(path, last) ? asked : 0;
        last = path;
        walk->rows++;
        membership_replicas(r->membership, path, &replicas);
        /* Stored while this node had another configuration: kept, but not this node's business. */
        if (replicas_index(&replicas, r->membership->self) < 0)
            continue;
        if ((apart && table != ROW_UNSETTLED) || table == ROW_NEED)
            ask_check(r, path, table == ROW_ERASURE ? 0 : version, id, apart, out);
        else if (table == ROW_BOXES)
            visit_boxes(r, walk, path, &replicas, row->value, &asked, out);
        else
            ask_shard_store(r, path, table == ROW_ERASURE ? DELIVER_ERASURE : DELIVER_SETTLE, out);
    }
    if (loaded->err != OK || sim_maybe(st, repair_round_cut)) {
        walk->after.size = 0;
        walk->rows = 0;
        walk->unsure = false; /* nothing is known from a round that did not reach its end */
        memset(walk->counts, 0, sizeof(walk->counts));
        memset(walk->oldest, 0, sizeof(walk->oldest));
    } else if (!loaded->more) {
        end_of_round(r, walk);
    }
}

/* ---- messages ---- */

void
repairer_start(struct repairer *r, const struct step *st, struct effects *out)
{
    (void)r;
    (void)st;
    effect_timer(out, ACTOR_REPAIRER, TAG_HEARTBEAT, duration_ms(HEARTBEAT_MS));
    effect_timer(out, ACTOR_REPAIRER, TAG_ROUND, duration_ms(REPAIR_ROUND_MS));
}

static void
on_timer(struct repairer *r, const struct step *st, uint64_t tag, struct effects *out)
{
    if (tag == TAG_HEARTBEAT) {
        send_heartbeats(r, st, out);
        effect_timer(out, ACTOR_REPAIRER, TAG_HEARTBEAT, duration_ms(HEARTBEAT_MS));
        return;
    }
    if (tag == REPAIR_TAG_ANNOUNCE) {
        send_heartbeats(r, st, out);
        return;
    }
    bool more = false;
    for (unsigned i = 0; i < REPAIR_WALKS; i++) {
        walk_on(r, st, i, out);
        more = more || r->walks[i].after.size > 0;
    }
    count_on(r, st, out);
    more = more || r->membership->held.walking;
    /* A backlog is worked off page after page; an empty table is looked at twice a second. */
    uint64_t page_ms = r->membership->clients_waiting > 0 ? REPAIR_PAGE_BUSY_MS : REPAIR_PAGE_MS;
    effect_timer(out, ACTOR_REPAIRER, TAG_ROUND, duration_ms(more ? page_ms : REPAIR_ROUND_MS));
}

/* Written with the peer's row, with its next heartbeat. */
static void
learn_signer(struct repairer *r, const struct msg *in)
{
    if (in->u.peer_up.signing &&
        signing_keys_learn(&r->membership->signers[in->from], in->u.peer_up.signing))
        r->rows[in->from].again = true;
}

enum vault_err
repairer_handle(struct repairer *r, const struct step *st, const struct msg *in,
                struct effects *out)
{
    struct member *member = &r->membership->members[in->from];
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_HEARTBEAT: on_heartbeat(r, st, in, out); return OK;
    case MSG_PEER_UP:
        member->connected = true;
        learn_signer(r, in);
        send_heartbeats(r, st, out);
        return OK;
    case MSG_PEER_DOWN:
        member->connected = false;
        member->round_trip_ns = 0;
        return OK;
    case MSG_TIMER: on_timer(r, st, in->u.timer.tag, out); return OK;
    case MSG_LOADED:
        if (in->u.loaded.tag == TAG_COUNT)
            path_count_page(&r->membership->held, &in->u.loaded);
        else
            on_page(r, st, &in->u.loaded, out);
        return OK;
    case MSG_STORED:
        on_peer_row(r, st, (uint8_t)(in->u.stored.tag - TAG_PEER_ROW), in->u.stored.err, out);
        return OK;
    default: return ERR_UNEXPECTED;
    }
}
