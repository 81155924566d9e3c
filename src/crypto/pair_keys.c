#include "crypto/pair_keys.h"

#include <sodium.h>
#include <string.h>

#include "base/big_endian.h"
#include "base/cbor.h"

static const char label[] = "ostraka pair key 1";

void
pair_keys_init(struct pair_keys *keys, struct secret_arena *arena,
               const uint8_t cluster_id[static CLUSTER_ID_BYTES], uint8_t self)
{
    *keys = (struct pair_keys){.arena = arena, .self = self};
    memcpy(keys->cluster_id, cluster_id, CLUSTER_ID_BYTES);
}

static void
forget_agreement(struct pair_keys *keys, unsigned i)
{
    secret_free(keys->arena, &keys->agreements[i].key);
    memset(&keys->agreements[i], 0, sizeof(keys->agreements[i]));
}

/* A private half goes with every agreement that was made with it. */
static void
forget_own(struct pair_keys *keys, unsigned i)
{
    uint64_t id = keys->own[i].public_half.id;
    for (unsigned j = 0; j < PAIR_KEY_AGREEMENTS; j++) {
        if (keys->agreements[j].own_id == id)
            forget_agreement(keys, j);
    }
    secret_free(keys->arena, &keys->own[i].private_half);
    memset(&keys->own[i], 0, sizeof(keys->own[i]));
}

void
pair_keys_close(struct pair_keys *keys)
{
    for (unsigned i = 0; i < PAIR_KEY_AGREEMENTS; i++)
        forget_agreement(keys, i);
    for (unsigned i = 0; i < PAIR_KEYS_OWN; i++)
        forget_own(keys, i);
}

void
pair_keys_forget_old(struct pair_keys *keys)
{
    for (unsigned i = 1; i < PAIR_KEYS_OWN; i++) {
        if (keys->own[i].public_half.id != 0)
            forget_own(keys, i);
    }
}

uint64_t
pair_key_id(const uint8_t key[static X25519_BYTES])
{
    uint8_t hash[HASH_BYTES];
    const struct bytes parts[] = {bytes_of_text(label), bytes_of(key, X25519_BYTES)};
    hash_parts(parts, 2, hash);
    return big_endian_get(hash);
}

enum vault_err
pair_keys_renew(struct pair_keys *keys, const struct rng *rng)
{
    struct pair_key_public public_half;
    struct secret private_half;

    pair_keys_forget_old(keys);
    enum vault_err err = x25519_pair(keys->arena, rng, &private_half, public_half.key);
    if (err != OK)
        return err;
    public_half.id = pair_key_id(public_half.key);
    keys->own[1] = keys->own[0];
    keys->own[0].public_half = public_half;
    keys->own[0].private_half = private_half;
    return OK;
}

const struct pair_key_public *
pair_keys_own(const struct pair_keys *keys)
{
    return &keys->own[0].public_half;
}

void
pair_keys_learn(struct pair_keys *keys, uint8_t peer, const struct pair_key_public *key)
{
    struct pair_key_public *known = keys->peers[peer];
    if (key->id == 0 || key->id == known[0].id || key->id != pair_key_id(key->key))
        return;
    known[1] = known[0];
    known[0] = *key;
}

uint64_t
pair_keys_peer_id(const struct pair_keys *keys, uint8_t peer)
{
    return keys->peers[peer][0].id;
}

static const struct pair_key_public *
find_peer_half(const struct pair_keys *keys, uint8_t peer, uint64_t id)
{
    for (unsigned i = 0; i < PAIR_KEYS_PEER; i++) {
        if (id != 0 && keys->peers[peer][i].id == id)
            return &keys->peers[peer][i];
    }
    return NULL;
}

static int
find_own_half(const struct pair_keys *keys, uint64_t id)
{
    for (int i = 0; i < PAIR_KEYS_OWN; i++) {
        if (id != 0 && keys->own[i].public_half.id == id)
            return i;
    }
    return -1;
}

/* K from the agreement of both halves; the node of the lower number comes first. */
static enum vault_err
make_key(struct pair_keys *keys, uint8_t peer, unsigned own, const struct pair_key_public *half,
         uint8_t out[static KEY_BYTES])
{
    const struct pair_key_public *own_half = &keys->own[own].public_half;
    bool first = keys->self < peer;
    uint8_t agreement[X25519_BYTES] = {0};
    struct cbor_writer w;
    struct buf info = {0};
    enum vault_err err = x25519_agree(&keys->own[own].private_half, half->key, agreement);

    if (err == OK)
        err = buf_reserve(&info, 256);
    cbor_writer_init(&w, &info);
    cbor_put_array(&w, 6);
    cbor_put_bytes(&w, bytes_of_text(label));
    cbor_put_bytes(&w, bytes_of(keys->cluster_id, CLUSTER_ID_BYTES));
    cbor_put_uint(&w, first ? keys->self : peer);
    cbor_put_uint(&w, first ? peer : keys->self);
    cbor_put_bytes(&w, bytes_of(first ? own_half->key : half->key, X25519_BYTES));
    cbor_put_bytes(&w, bytes_of(first ? half->key : own_half->key, X25519_BYTES));
    if (err == OK)
        err = w.err;
    if (err == OK)
        err = hkdf_sha256(bytes_of(agreement, X25519_BYTES), (struct bytes){0}, buf_bytes(&info),
                          out, KEY_BYTES);
    sodium_memzero(agreement, sizeof(agreement));
    buf_close(&info);
    return err;
}

/* In place of the one used longest ago. Without a slot it is made again the next time. */
static void
remember(struct pair_keys *keys, uint8_t peer, uint64_t own_id, uint64_t peer_id,
         const uint8_t key[static KEY_BYTES])
{
    unsigned oldest = 0;
    for (unsigned i = 1; i < PAIR_KEY_AGREEMENTS; i++) {
        if (keys->agreements[i].used < keys->agreements[oldest].used)
            oldest = i;
    }
    forget_agreement(keys, oldest);
    if (secret_copy(keys->arena, bytes_of(key, KEY_BYTES), &keys->agreements[oldest].key) != OK)
        return;
    keys->agreements[oldest].peer = peer;
    keys->agreements[oldest].own_id = own_id;
    keys->agreements[oldest].peer_id = peer_id;
    keys->agreements[oldest].used = ++keys->clock;
}

static enum vault_err
common_key(struct pair_keys *keys, uint8_t peer, uint64_t own_id, uint64_t peer_id,
           uint8_t out[static KEY_BYTES])
{
    int own = find_own_half(keys, own_id);
    if (own < 0)
        return ERR_NOT_FOUND;
    for (unsigned i = 0; i < PAIR_KEY_AGREEMENTS; i++) {
        if (keys->agreements[i].key.data && keys->agreements[i].peer == peer &&
            keys->agreements[i].own_id == own_id && keys->agreements[i].peer_id == peer_id) {
            memcpy(out, keys->agreements[i].key.data, KEY_BYTES);
            keys->agreements[i].used = ++keys->clock;
            return OK;
        }
    }
    const struct pair_key_public *half = find_peer_half(keys, peer, peer_id);
    if (!half)
        return ERR_NOT_FOUND;
    enum vault_err err = make_key(keys, peer, (unsigned)own, half, out);
    if (err == OK)
        remember(keys, peer, own_id, peer_id, out);
    return err;
}

enum vault_err
pair_keys_derive(struct pair_keys *keys, uint8_t peer, uint64_t own_id, uint64_t peer_id,
                 const char *use, uint8_t out[static KEY_BYTES])
{
    uint8_t common[KEY_BYTES] = {0};
    enum vault_err err = ERR_NOT_FOUND;

    memset(out, 0, KEY_BYTES);
    if (peer < NODES_MAX && peer != keys->self)
        err = common_key(keys, peer, own_id, peer_id, common);
    if (err == OK)
        err = hkdf_sha256(bytes_of(common, KEY_BYTES), (struct bytes){0}, bytes_of_text(use), out,
                          KEY_BYTES);
    sodium_memzero(common, sizeof(common));
    if (err != OK)
        sodium_memzero(out, KEY_BYTES);
    return err;
}
