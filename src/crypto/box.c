/*
 * Sender and receiver of boxed shares. Agreements (X25519, 42 us each) are remembered on both
 * sides: by the sender for one pair of keys each, by the receiver for the pairs used last. What is
 * kept is what HKDF extracts from the agreement, and all that keys of boxes are derived from.
 */
#include "crypto/box.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/big_endian.h"
#include "base/cbor.h"
#include "crypto/aead.h"
#include "crypto/hash.h"

enum {
    SHARE_KEY_ID_BYTES = 8,
    INFO_OVERHEAD_MAX = 128, /* what box_info adds to the information about the place */
};

/* The key seals one share, since info names place, dealing, x and both public keys. */
static const uint8_t nonce_zero[AEAD_NONCE_BYTES] = {0};

/* Both ends of one box, as the derivation of its key names them. */
struct box_ends {
    struct bytes place; /* what and where: made by the dealing */
    uint8_t x;
    const uint8_t *ephemeral_public;
    const struct share_key_public *share_key;
};

static enum vault_err
box_info(const struct box_ends *ends, struct buf *out)
{
    struct cbor_writer w;
    enum vault_err err = buf_reserve(out, ends->place.size + INFO_OVERHEAD_MAX);

    if (err != OK)
        return err;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, 5);
    cbor_put_bytes(&w, ends->place);
    cbor_put_uint(&w, ends->x);
    cbor_put_bytes(&w, bytes_of(ends->ephemeral_public, X25519_BYTES));
    cbor_put_bytes(&w, bytes_of(ends->share_key->key, X25519_BYTES));
    cbor_put_uint(&w, ends->share_key->id);
    return w.err;
}

/* Errors: ERR_CORRUPT, and `out` is zeroed. */
static enum vault_err
agree(const struct secret *private_half, const uint8_t public_half[static X25519_BYTES],
      uint8_t out[static KEY_BYTES])
{
    uint8_t point[X25519_BYTES] = {0};
    enum vault_err err = x25519_agree(private_half, public_half, point);

    memset(out, 0, KEY_BYTES);
    if (err == OK)
        err = hkdf_sha256_extract(bytes_of(point, sizeof(point)), bytes_of(NULL, 0), out);
    sodium_memzero(point, sizeof(point));
    return err;
}

static enum vault_err
box_key(const uint8_t agreement[static KEY_BYTES], const struct box_ends *ends, struct buf *info,
        uint8_t key[static AEAD_KEY_BYTES])
{
    enum vault_err err = box_info(ends, info);

    memset(key, 0, AEAD_KEY_BYTES);
    if (err != OK)
        return err;
    return hkdf_sha256_expand(agreement, buf_bytes(info), key, AEAD_KEY_BYTES);
}

/* Sender */

void
box_sender_init(struct box_sender *sender, struct secret_arena *arena)
{
    *sender = (struct box_sender){.arena = arena};
}

void
box_sender_close(struct box_sender *sender)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        secret_free(sender->arena, &sender->peers[i].agreement);
        sender->peers[i].to = (struct share_key_public){0};
    }
    secret_free(sender->arena, &sender->ephemeral);
    memset(sender->ephemeral_public, 0, X25519_BYTES);
}

enum vault_err
box_sender_renew(struct box_sender *sender, const struct rng *rng)
{
    box_sender_close(sender);
    return x25519_pair(sender->arena, rng, &sender->ephemeral, sender->ephemeral_public);
}

bool
box_sender_ready(const struct box_sender *sender)
{
    return sender->ephemeral.data != NULL;
}

/* Makes the agreement with `peer` the one for `to`, unless it is already. */
static enum vault_err
sender_agree(struct box_sender *sender, unsigned peer, const struct share_key_public *to)
{
    struct share_key_public *known = &sender->peers[peer].to;
    struct secret *agreement = &sender->peers[peer].agreement;
    enum vault_err err;

    if (agreement->data && known->id == to->id && memcmp(known->key, to->key, X25519_BYTES) == 0)
        return OK;
    secret_free(sender->arena, agreement);
    *known = (struct share_key_public){0};
    err = secret_new(sender->arena, KEY_BYTES, agreement);
    if (err != OK)
        return err;
    err = agree(&sender->ephemeral, to->key, agreement->data);
    if (err != OK) {
        secret_free(sender->arena, agreement);
        return err;
    }
    *known = *to;
    return OK;
}

enum vault_err
box_seal(struct box_sender *sender, unsigned peer, const struct share_key_public *to,
         struct bytes info, uint8_t x, struct bytes share, uint8_t *out, size_t *out_size)
{
    struct box_ends ends = {
        .place = info,
        .x = x,
        .ephemeral_public = sender->ephemeral_public,
        .share_key = to,
    };
    uint8_t key[AEAD_KEY_BYTES] = {0};
    struct buf key_info = {0};
    enum vault_err err;

    assert(box_sender_ready(sender));
    *out_size = 0;
    if (peer >= NODES_MAX || to->id == 0 || x == 0 || share.size == 0 ||
        share.size > SECRET_BYTES_MAX)
        return ERR_RANGE;
    err = sender_agree(sender, peer, to);
    if (err != OK)
        return err;
    err = box_key(sender->peers[peer].agreement.data, &ends, &key_info, key);
    if (err != OK)
        goto out;

    big_endian_put(out, to->id);
    memcpy(out + SHARE_KEY_ID_BYTES, sender->ephemeral_public, X25519_BYTES);
    aead_seal(key, nonce_zero, buf_bytes(&key_info), share, out + BOX_HEADER_BYTES);
    *out_size = BOX_HEADER_BYTES + share.size + AEAD_TAG_BYTES;
out:
    sodium_memzero(key, sizeof(key));
    buf_close(&key_info);
    return err;
}

/* Receiver */

void
share_keyring_init(struct share_keyring *ring, struct secret_arena *arena)
{
    *ring = (struct share_keyring){.arena = arena};
}

static void
forget_agreement(struct share_keyring *ring, unsigned i)
{
    secret_free(ring->arena, &ring->agreements[i].agreement);
    memset(&ring->agreements[i], 0, sizeof(ring->agreements[i]));
}

static void
forget_key(struct share_keyring *ring, unsigned i)
{
    secret_free(ring->arena, &ring->keys[i].private_half);
    memset(&ring->keys[i], 0, sizeof(ring->keys[i]));
}

void
share_keyring_close(struct share_keyring *ring)
{
    for (unsigned i = 0; i < BOX_AGREEMENTS_MAX; i++)
        forget_agreement(ring, i);
    for (unsigned i = 0; i < SHARE_KEYS_MAX; i++)
        forget_key(ring, i);
    ring->clock = 0;
}

/* The keys that are there, in front, highest id first. */
static unsigned
key_count(const struct share_keyring *ring)
{
    unsigned count = 0;

    while (count < SHARE_KEYS_MAX && ring->keys[count].public_half.id != 0)
        count++;
    return count;
}

/* Index of the key, or SHARE_KEYS_MAX. */
static unsigned
find_key(const struct share_keyring *ring, uint64_t id)
{
    for (unsigned i = 0; i < SHARE_KEYS_MAX; i++) {
        if (id != 0 && ring->keys[i].public_half.id == id)
            return i;
    }
    return SHARE_KEYS_MAX;
}

/* Puts the pair where the order of ids wants it; the secret is the ring's from here. */
static void
insert_key(struct share_keyring *ring, const struct share_key_public *public_half,
           struct secret private_half)
{
    unsigned count = key_count(ring);
    unsigned place = 0;

    assert(count < SHARE_KEYS_MAX);
    while (place < count && ring->keys[place].public_half.id > public_half->id)
        place++;
    memmove(&ring->keys[place + 1], &ring->keys[place], (count - place) * sizeof(ring->keys[0]));
    ring->keys[place].public_half = *public_half;
    ring->keys[place].private_half = private_half;
}

enum vault_err
share_keyring_generate(struct share_keyring *ring, const struct rng *rng)
{
    return share_keyring_generate_above(ring, 0, rng);
}

enum vault_err
share_keyring_generate_above(struct share_keyring *ring, uint64_t floor, const struct rng *rng)
{
    unsigned count = key_count(ring);
    struct share_key_public public_half;
    struct secret private_half;
    enum vault_err err;

    if (ring->keys[0].public_half.id > floor)
        floor = ring->keys[0].public_half.id;
    if (count == SHARE_KEYS_MAX || floor == UINT64_MAX)
        return ERR_BUSY;
    public_half.id = floor + 1;
    err = x25519_pair(ring->arena, rng, &private_half, public_half.key);
    if (err == OK)
        insert_key(ring, &public_half, private_half);
    return err;
}

enum vault_err
share_keyring_add(struct share_keyring *ring, uint64_t id,
                  const uint8_t private_half[static X25519_BYTES])
{
    struct share_key_public public_half = {.id = id};
    struct secret copy;
    enum vault_err err;

    assert(id != 0);
    if (find_key(ring, id) != SHARE_KEYS_MAX)
        return ERR_EXISTS;
    if (key_count(ring) == SHARE_KEYS_MAX)
        return ERR_BUSY;
    err = secret_copy(ring->arena, bytes_of(private_half, X25519_BYTES), &copy);
    if (err != OK)
        return err;
    x25519_public(copy.data, public_half.key);
    insert_key(ring, &public_half, copy);
    return OK;
}

void
share_keyring_destroy(struct share_keyring *ring, uint64_t id)
{
    unsigned i = find_key(ring, id);

    for (unsigned j = 0; j < BOX_AGREEMENTS_MAX; j++) {
        if (id != 0 && ring->agreements[j].share_key_id == id)
            forget_agreement(ring, j);
    }
    if (i == SHARE_KEYS_MAX)
        return;
    forget_key(ring, i);
    memmove(&ring->keys[i], &ring->keys[i + 1], (SHARE_KEYS_MAX - 1 - i) * sizeof(ring->keys[0]));
    memset(&ring->keys[SHARE_KEYS_MAX - 1], 0, sizeof(ring->keys[0]));
}

void
share_keyring_saved(struct share_keyring *ring)
{
    unsigned count = key_count(ring);

    ring->oldest_saved = count > 0 ? ring->keys[count - 1].public_half.id : 0;
}

const struct share_key_public *
share_keyring_current(const struct share_keyring *ring)
{
    return ring->keys[0].public_half.id != 0 ? &ring->keys[0].public_half : NULL;
}

static unsigned
find_agreement(const struct share_keyring *ring, uint64_t id, const uint8_t *ephemeral_public)
{
    for (unsigned i = 0; i < BOX_AGREEMENTS_MAX; i++) {
        if (ring->agreements[i].share_key_id == id &&
            memcmp(ring->agreements[i].ephemeral_public, ephemeral_public, X25519_BYTES) == 0)
            return i;
    }
    return BOX_AGREEMENTS_MAX;
}

/* In place of the one used longest ago. Without a slot it is made again the next time. */
static void
remember_agreement(struct share_keyring *ring, uint64_t id, const uint8_t *ephemeral_public,
                   const uint8_t agreement[static KEY_BYTES])
{
    unsigned oldest = 0;

    for (unsigned i = 1; i < BOX_AGREEMENTS_MAX; i++) {
        if (ring->agreements[i].used < ring->agreements[oldest].used)
            oldest = i;
    }
    forget_agreement(ring, oldest);
    if (secret_copy(ring->arena, bytes_of(agreement, KEY_BYTES),
                    &ring->agreements[oldest].agreement) != OK)
        return;
    ring->agreements[oldest].share_key_id = id;
    memcpy(ring->agreements[oldest].ephemeral_public, ephemeral_public, X25519_BYTES);
    ring->agreements[oldest].used = ++ring->clock;
}

uint64_t
box_share_key_id(struct bytes box)
{
    return box.size < BOX_HEADER_BYTES ? 0 : big_endian_get(box.data);
}

enum vault_err
box_open(struct share_keyring *ring, struct bytes info, uint8_t x, struct bytes box, uint8_t *share,
         size_t *share_size)
{
    struct box_ends ends = {.place = info, .x = x};
    uint8_t agreement[KEY_BYTES] = {0};
    uint8_t key[AEAD_KEY_BYTES] = {0};
    struct buf key_info = {0};
    unsigned own, known;
    struct bytes sealed;
    enum vault_err err;

    *share_size = 0;
    memset(share, 0, SECRET_BYTES_MAX);
    if (box.size <= BOX_HEADER_BYTES + AEAD_TAG_BYTES || box.size > BOX_BYTES_MAX)
        return ERR_MALFORMED;
    own = find_key(ring, big_endian_get(box.data));
    if (own == SHARE_KEYS_MAX)
        return ERR_NOT_FOUND;
    ends.share_key = &ring->keys[own].public_half;
    ends.ephemeral_public = box.data + SHARE_KEY_ID_BYTES;
    sealed = bytes_of(box.data + BOX_HEADER_BYTES, box.size - BOX_HEADER_BYTES);

    known = find_agreement(ring, ends.share_key->id, ends.ephemeral_public);
    if (known < BOX_AGREEMENTS_MAX) {
        memcpy(agreement, ring->agreements[known].agreement.data, KEY_BYTES);
        ring->agreements[known].used = ++ring->clock;
    } else {
        err = agree(&ring->keys[own].private_half, ends.ephemeral_public, agreement);
        if (err != OK)
            goto out;
    }
    err = box_key(agreement, &ends, &key_info, key);
    if (err == OK)
        err = aead_open(key, nonce_zero, buf_bytes(&key_info), sealed, share);
    if (err != OK)
        goto out;
    *share_size = sealed.size - AEAD_TAG_BYTES;
    if (known == BOX_AGREEMENTS_MAX) /* only now: what does not verify drives nothing out */
        remember_agreement(ring, ends.share_key->id, ends.ephemeral_public, agreement);
out:
    sodium_memzero(agreement, sizeof(agreement));
    sodium_memzero(key, sizeof(key));
    buf_close(&key_info);
    return err;
}
