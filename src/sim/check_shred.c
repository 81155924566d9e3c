#include "sim/check_shred.h"

#include <string.h>

#include "sim/memory.h"
#include "sim/world.h"

/* An own share as it was written once. */
struct written_share {
    struct written_share *next;
    unsigned node;
    struct bytes key, sealed; /* behind the struct */
};

struct written_box {
    struct written_box *next;
    unsigned replica; /* x - 1 */
    uint64_t share_key_id;
    uint8_t ephemeral_public[X25519_BYTES];
};

struct written_version {
    struct written_version *next;
    uint8_t id[ID_BYTES], prev[ID_BYTES];
    uint64_t version;
    struct written_share *shares;
    struct written_box *boxes;
};

void
check_shred_init(struct check_shred *check, struct world *world)
{
    *check = (struct check_shred){.world = world};
}

static void
version_free(struct written_version *v)
{
    while (v->shares) {
        struct written_share *next = v->shares->next;
        free(v->shares);
        v->shares = next;
    }
    while (v->boxes) {
        struct written_box *next = v->boxes->next;
        free(v->boxes);
        v->boxes = next;
    }
    free(v);
}

void
check_shred_close(struct check_shred *check)
{
    for (unsigned i = 0; i < SHRED_LISTS; i++) {
        while (check->lists[i]) {
            struct written_version *next = check->lists[i]->next;
            version_free(check->lists[i]);
            check->lists[i] = next;
        }
    }
}

/* ---- what is written ---- */

static struct written_version **
list_of(struct check_shred *check, const uint8_t *id)
{
    return &check->lists[(id[0] << 8 | id[1]) % SHRED_LISTS];
}

static struct written_version *
find(struct check_shred *check, const uint8_t *id)
{
    struct written_version *v = *list_of(check, id);
    while (v && memcmp(v->id, id, ID_BYTES) != 0)
        v = v->next;
    return v;
}

static struct written_version *
find_or_add(struct check_shred *check, const uint8_t *id)
{
    struct written_version *v = find(check, id);
    if (v)
        return v;
    v = sim_alloc(sizeof(*v));
    memcpy(v->id, id, ID_BYTES);
    v->next = *list_of(check, id);
    *list_of(check, id) = v;
    return v;
}

static void
add_share(struct written_version *v, unsigned node, struct bytes key, struct bytes sealed)
{
    struct written_share *share = sim_alloc(sizeof(*share) + key.size + sealed.size);
    uint8_t *data = (uint8_t *)(share + 1);
    memcpy(data, key.data, key.size);
    memcpy(data + key.size, sealed.data, sealed.size);
    share->node = node;
    share->key = bytes_of(data, key.size);
    share->sealed = bytes_of(data + key.size, sealed.size);
    share->next = v->shares;
    v->shares = share;
}

static void
add_box(struct written_version *v, unsigned replica, struct bytes box)
{
    uint64_t id = box_share_key_id(box);
    const uint8_t *ephemeral = box.data + BOX_HEADER_BYTES - X25519_BYTES;
    if (box.size < BOX_HEADER_BYTES)
        return;
    for (struct written_box *b = v->boxes; b; b = b->next) {
        if (b->replica == replica && b->share_key_id == id &&
            memcmp(b->ephemeral_public, ephemeral, X25519_BYTES) == 0)
            return;
    }
    struct written_box *b = sim_alloc(sizeof(*b));
    *b = (struct written_box){.next = v->boxes, .replica = replica, .share_key_id = id};
    memcpy(b->ephemeral_public, ephemeral, X25519_BYTES);
    v->boxes = b;
}

void
check_shred_written(struct check_shred *check, unsigned node, const struct store_change *change)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id, boxes[REPLICAS_MAX];
    struct version_row row;
    struct version_record record;
    size_t count;
    if (change->kind != STORE_PUT || row_key_parse(change->key, &table, &path, &version, &id) != OK)
        return;
    if (table == ROW_VERSION && version_row_decode(change->value, &row) == OK &&
        version_decode(row.record, &record) == OK) {
        struct written_version *v = find_or_add(check, id.data);
        v->version = version;
        memcpy(v->prev, record.prev, ID_BYTES);
        if (row.share.size > 0)
            add_share(v, node, change->key, row.share);
    } else if (table == ROW_BOXES &&
               bytes_list_decode(change->value, BOX_BYTES_MAX, boxes, REPLICAS_MAX, &count) == OK) {
        for (unsigned i = 0; i < count; i++)
            add_box(find_or_add(check, id.data), i, boxes[i]);
    }
}

/* ---- what the keys of now open ---- */

static bool
opens_with(const struct sim_node *n, const struct bucket_keys *keys,
           const struct written_share *share, struct path path)
{
    uint8_t out[2 * SECRET_BYTES_MAX];
    struct row_key key;
    row_key_path(path, &key);
    return keys->count > 0 && bucket_open(&keys->buckets[bucket_of(keys, row_key_bytes(&key))],
                                          n->wrap_key.data, share->key, share->sealed, out) == OK;
}

static bool
share_opens(struct check_shred *check, const struct written_share *share, struct path path)
{
    struct sim_node *n = &check->world->nodes[share->node];
    struct bucket_keys *saved = sim_alloc(sizeof(*saved));
    secret_arena_open(n->secrets);
    bool opens = n->node && opens_with(n, &n->buckets, share, path);
    if (bucket_keys_decode(buf_bytes(&n->bucket_file), n->secrets, saved) != OK)
        sim_fail(check->world, SIM_CRASH, "keys", "the file of bucket keys does not decode");
    opens = opens || opens_with(n, saved, share, path);
    bucket_keys_close(saved);
    secret_arena_close(n->secrets);
    free(saved);
    return opens;
}

static bool
box_opens(const struct check_shred *check, unsigned owner, const struct written_box *box)
{
    const struct world *world = check->world;
    if (node_has_share_key(world, owner, box->share_key_id))
        return true;
    for (unsigned i = 0; i < world->options.nodes; i++) {
        uint8_t ephemeral[X25519_BYTES];
        if (!node_up(world, i))
            continue;
        node_ephemeral_public(world->nodes[i].node, ephemeral);
        if (memcmp(ephemeral, box->ephemeral_public, X25519_BYTES) == 0)
            return true;
    }
    return false;
}

/* Bit per node whose share can be had. */
static unsigned
shares_to_be_had(struct check_shred *check, const struct written_version *v, struct path path)
{
    struct replicas replicas;
    unsigned had = 0;
    placement_replicas(&check->world->placement, path, &replicas);
    for (const struct written_box *b = v->boxes; b; b = b->next) {
        unsigned owner = b->replica < replicas.count ? replicas.nodes[b->replica] : 0;
        if (!(had >> owner & 1) && box_opens(check, owner, b))
            had |= 1u << owner;
    }
    for (const struct written_share *s = v->shares; s; s = s->next) {
        if (!(had >> s->node & 1) && share_opens(check, s, path))
            had |= 1u << s->node;
    }
    return had;
}

/* ---- what lives must stay openable ---- */

static bool
row_opens(const struct sim_node *n, const struct bucket_keys *saved, struct bytes key,
          struct bytes value)
{
    enum row_table table;
    struct path path;
    uint64_t version;
    struct bytes id;
    struct version_row row;
    if (row_key_parse(key, &table, &path, &version, &id) != OK || table != ROW_VERSION ||
        version_row_decode(value, &row) != OK || row.share.size == 0)
        return true;
    struct written_share share = {.key = key, .sealed = row.share};
    return opens_with(n, saved, &share, path);
}

static void
check_rows(struct check_shred *check, unsigned node, const struct disk_row *const *rows,
           size_t count)
{
    struct sim_node *n = &check->world->nodes[node];
    /* An older copy of the store may hold shares under keys that have gone since. */
    if (!store_is_recovered(check->world, node))
        return;
    struct bucket_keys *saved = sim_alloc(sizeof(*saved));
    bool open = true;
    secret_arena_open(n->secrets);
    if (bucket_keys_decode(buf_bytes(&n->bucket_file), n->secrets, saved) != OK)
        sim_fail(check->world, SIM_CRASH, "keys", "the file of bucket keys does not decode");
    for (size_t i = 0; i < count && open; i++)
        open = row_opens(n, saved, rows[i]->key, rows[i]->value);
    bucket_keys_close(saved);
    secret_arena_close(n->secrets);
    free(saved);
    if (!open)
        sim_fail(check->world, SIM_SAFETY, "own-shares",
                 "node %u has a share on its disk that no key in its file opens", node);
}

void
check_shred_row(struct check_shred *check, unsigned node, struct bytes key, struct bytes value)
{
    struct disk_row row = {.key = key, .value = value};
    const struct disk_row *one = &row;
    if (key.data[0] == ROW_VERSION)
        check_rows(check, node, &one, 1);
}

void
check_shred_file(struct check_shred *check, unsigned node)
{
    const struct disk_table *disk = &check->world->nodes[node].disk.durable;
    struct row_key prefix;
    row_key_table(ROW_VERSION, &prefix);
    size_t from = disk_at_least(disk, row_key_bytes(&prefix)), to = from;
    while (to < disk->count && disk_has_prefix(disk->rows[to]->key, row_key_bytes(&prefix)))
        to++;
    /* What is rotten does not open. */
    if (!check->world->nodes[node].spoilt && !check->world->nodes[node].rotten)
        check_rows(check, node, (const struct disk_row *const *)&disk->rows[from], to - from);
}

static const struct chosen_head *
tombstone_of(const struct checked_path *p, uint64_t changed_at_ms)
{
    for (size_t i = 0; p && i < p->chosen_count; i++) {
        if (head_kind_erases(p->chosen[i].kind) && p->chosen[i].changed_at_ms == changed_at_ms)
            return &p->chosen[i];
    }
    return NULL;
}

void
check_shred_answer(struct check_shred *check, const struct op *op)
{
    struct world *world = check->world;
    struct path path = {bytes_of_text("default"), bytes_of_text(op->name)};
    if (!op->reply.shredded || world->nodes[op->node].mismatched)
        return;
    check->answers++;
    const struct chosen_head *head =
        tombstone_of(check_chain_path(&world->chain, path), op->reply.valid_from_ms);
    if (!head)
        sim_fail(world, SIM_SAFETY, "shredded", "op %lu: a deletion that nobody knows",
                 (unsigned long)op->number);
    struct written_version *v = find(check, head->version_id);
    for (; v; v = v->version > 1 ? find(check, v->prev) : NULL) {
        unsigned had = shares_to_be_had(check, v, path), count = 0;
        for (unsigned i = 0; i < world->options.nodes; i++)
            count += had >> i & 1;
        if (count >= world->cluster.threshold)
            sim_fail(world, SIM_SAFETY, "shredded",
                     "op %lu: version %lu of %s is called shredded, and shares %x can be had",
                     (unsigned long)op->number, (unsigned long)v->version, op->name, had);
    }
}
