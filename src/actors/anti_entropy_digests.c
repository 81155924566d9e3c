#include "actors/anti_entropy_digests.h"

#include <stdlib.h>
#include <string.h>

#include "actors/sweep.h"
#include "base/big_endian.h"
#include "base/planted.h"
#include "crypto/hash.h"

enum vault_err
digests_init(struct digest_index *d, const struct membership *membership, uint64_t seed)
{
    *d = (struct digest_index){.membership = membership};
    enum vault_err err = tenant_tally_init(&d->tally, seed);
    if (err != OK)
        return err;
    d->notes = calloc(DIGEST_NOTES_MAX, sizeof(*d->notes));
    bool enough = d->notes != NULL;
    for (unsigned i = 0; i < membership->cluster->node_count; i++) {
        if (i == membership->self)
            continue;
        d->peers[i] = calloc(1, sizeof(*d->peers[i]));
        enough = enough && d->peers[i];
    }
    if (enough)
        return OK;
    digests_close(d);
    return ERR_NOMEM;
}

void
digests_close(struct digest_index *d)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        free(d->peers[i]);
        d->peers[i] = NULL;
    }
    free(d->notes);
    d->notes = NULL;
    tenant_tally_close(&d->tally);
}

/* ---- sums ---- */

/* The head's id is a hash already, of cluster and path too: half of it, times what the state says. */
static struct digest
element_of(const struct head_state *head)
{
    uint64_t state = PLANTED(digest_ignores_state) ? 0 : (uint64_t)head->state;
    uint64_t times = 2 * state + 1;
    return (struct digest){{times * big_endian_get(head->head_id),
                            times * big_endian_get(head->head_id + BIG_ENDIAN_BYTES)}};
}

static void
add(struct digest *sum, const struct digest *by)
{
    sum->lanes[0] += by->lanes[0];
    sum->lanes[1] += by->lanes[1];
}

/* Adds to the digests for every other replica of the path. */
static void
add_to_peers(struct digest_index *d, struct path path, const struct digest *by)
{
    uint16_t leaf = path_leaf(path);
    struct replicas replicas;
    membership_replicas(d->membership, path, &replicas);
    if (replicas_index(&replicas, d->membership->self) < 0)
        return;
    for (unsigned i = 0; i < replicas.count; i++) {
        struct peer_digests *peer = d->peers[replicas.nodes[i]];
        if (!peer)
            continue;
        add(&peer->all, by);
        add(&peer->ranges[leaf / RANGE_LEAVES], by);
        add(&peer->leaves[leaf], by);
    }
}

static void
count_in(struct digest_index *d, struct path path, const struct head_state *head)
{
    if (head->state == STATE_ABSENT)
        return;
    struct digest element = element_of(head);
    add_to_peers(d, path, &element);
    d->paths++;
    if (head->secret)
        tenant_tally_add(&d->tally, path.tenant);
}

static void
replace(struct digest_index *d, struct path path, const struct head_state *before,
        const struct head_state *after)
{
    struct digest by = {{0}};
    if (after->state != STATE_ABSENT) {
        by = element_of(after);
        d->paths++;
    }
    if (before->state != STATE_ABSENT) {
        struct digest old = element_of(before);
        by.lanes[0] -= old.lanes[0];
        by.lanes[1] -= old.lanes[1];
        d->paths--;
    }
    add_to_peers(d, path, &by);
    if (after->secret && !before->secret)
        tenant_tally_add(&d->tally, path.tenant);
    if (before->secret && !after->secret && !PLANTED(deleted_secrets_count))
        tenant_tally_remove(&d->tally, path.tenant);
}

static bool
same_head_state(const struct head_state *a, const struct head_state *b)
{
    return a->state == b->state &&
           (a->state == STATE_ABSENT || memcmp(a->head_id, b->head_id, ID_BYTES) == 0);
}

/* ---- while they are being rebuilt ---- */

static struct digest_note *
find_note(struct digest_index *d, struct bytes key)
{
    for (size_t i = 0; i < d->note_count; i++) {
        if (bytes_equal(row_key_bytes(&d->notes[i].key), key))
            return &d->notes[i];
    }
    return NULL;
}

static void
note(struct digest_index *d, const struct row_key *key, const struct head_state *now)
{
    struct digest_note *n = find_note(d, row_key_bytes(key));
    if (!n && (!d->notes || d->note_count == DIGEST_NOTES_MAX)) {
        d->notes_full = true;
        return;
    }
    if (!n)
        n = &d->notes[d->note_count++];
    *n = (struct digest_note){.key = *key, .now = *now};
}

void
digests_change(struct digest_index *d, struct path path, const struct head_state *before,
               const struct head_state *after)
{
    struct row_key key;
    if (after->secret && !before->secret)
        tenant_tally_made(&d->tally, path);
    if (same_head_state(before, after))
        return;
    row_key_path(path, &key);
    if (d->whole || bytes_compare(row_key_bytes(&key), row_key_bytes(&d->cursor)) <= 0)
        replace(d, path, before, after);
    else if (d->page_asked)
        note(d, &key, after);
}

void
digests_restart(struct digest_index *d)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        if (d->peers[i])
            memset(d->peers[i], 0, sizeof(*d->peers[i]));
    }
    tenant_tally_restart(&d->tally);
    d->whole = false;
    d->paths = 0;
    d->cursor.size = 0;
    d->notes_full = true; /* a page that is on its way is not the first */
}

void
digests_page_asked(struct digest_index *d)
{
    if (!d->notes)
        d->notes = calloc(DIGEST_NOTES_MAX, sizeof(*d->notes));
    d->page_asked = true;
    d->note_count = 0;
    d->notes_full = false;
}

void
digests_page_failed(struct digest_index *d)
{
    d->page_asked = false;
}

/* What is forgotten is not there, though its row still is. */
static bool
state_of_row(const struct digest_index *d, struct bytes encoded, struct head_state *out)
{
    struct path_row row;
    struct head head;
    if (path_row_decode(encoded, &row) != OK)
        return false;
    out->state = sweep_forgets_row(d->membership, &row) ? STATE_ABSENT : row.state;
    record_id(row.head, out->head_id);
    out->secret = head_decode(row.head, &head) == OK && head.kind == HEAD_LIVE;
    return true;
}

static void
count_row(struct digest_index *d, const struct digest_lookup *lookup, const struct loaded_row *row)
{
    struct path path;
    struct head_state head;
    struct digest_note *noted = find_note(d, row->key);
    if (noted)
        noted->met = true;
    if (row_key_path_of(row->key, &path) != OK)
        return;
    if (noted)
        count_in(d, path, &noted->now);
    else if (lookup->known(lookup->context, path, &head) || state_of_row(d, row->value, &head))
        count_in(d, path, &head);
}

bool
digests_page(struct digest_index *d, const struct digest_lookup *lookup,
             const struct loaded_row *rows, size_t count, bool more)
{
    d->page_asked = false;
    if (d->notes_full || d->whole)
        return false;
    for (size_t i = 0; i < count; i++)
        count_row(d, lookup, &rows[i]);
    if (count > 0) {
        d->cursor.size = rows[count - 1].key.size;
        memcpy(d->cursor.data, rows[count - 1].key.data, d->cursor.size);
    }
    d->whole = !more;
    /* Paths that came into being between the rows of the page. */
    for (size_t i = 0; i < d->note_count; i++) {
        struct bytes key = row_key_bytes(&d->notes[i].key);
        struct path path;
        bool below = d->whole || bytes_compare(key, row_key_bytes(&d->cursor)) <= 0;
        if (!d->notes[i].met && below && row_key_path_of(key, &path) == OK)
            count_in(d, path, &d->notes[i].now);
    }
    if (d->whole) {
        free(d->notes);
        d->notes = NULL;
        d->note_count = 0;
    }
    return true;
}

/* ---- comparing ---- */

static const struct digest *
digests_of_level(const struct digest_index *d, uint8_t peer, enum compare_level level,
                 unsigned range, size_t *count)
{
    const struct peer_digests *p = d->peers[peer];
    *count = RANGES;
    switch (level) {
    case COMPARE_ALL: *count = 1; return &p->all;
    case COMPARE_RANGES: return p->ranges;
    case COMPARE_LEAVES: return &p->leaves[(size_t)range * RANGE_LEAVES];
    }
    *count = 0;
    return NULL;
}

static void
write_digest(const struct digest *digest, uint8_t out[static DIGEST_BYTES])
{
    big_endian_put(out, digest->lanes[0]);
    big_endian_put(out + BIG_ENDIAN_BYTES, digest->lanes[1]);
}

size_t
digests_write(const struct digest_index *d, uint8_t peer, enum compare_level level, unsigned range,
              uint8_t out[static RANGES * DIGEST_BYTES])
{
    size_t count;
    const struct digest *digests = digests_of_level(d, peer, level, range, &count);
    for (size_t i = 0; i < count; i++)
        write_digest(&digests[i], out + i * DIGEST_BYTES);
    return count * DIGEST_BYTES;
}

bool
digests_differing(const struct digest_index *d, uint8_t peer, enum compare_level level,
                  unsigned range, struct bytes theirs, uint8_t differing[static DIFFERING_BYTES])
{
    size_t count;
    const struct digest *digests = digests_of_level(d, peer, level, range, &count);
    memset(differing, 0, DIFFERING_BYTES);
    if (theirs.size != count * DIGEST_BYTES)
        return false;
    for (size_t i = 0; i < count; i++) {
        uint8_t ours[DIGEST_BYTES];
        write_digest(&digests[i], ours);
        if (memcmp(ours, theirs.data + i * DIGEST_BYTES, DIGEST_BYTES) != 0)
            differing[i / 8] |= (uint8_t)(1u << i % 8);
    }
    return true;
}
