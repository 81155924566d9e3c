#include "crypto/vote_keys.h"

#include <assert.h>
#include <sodium.h>
#include <string.h>

#include "base/cbor.h"

static const char private_label[] = "ostraka vote key, private half 1";
static const char own_label[] = "ostraka vote key, own 1";
static const char pair_label[] = "ostraka vote key 1";

enum vault_err
vote_key_public(struct bytes root, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                uint8_t out[static X25519_BYTES])
{
    uint8_t half[X25519_BYTES] = {0};
    memset(out, 0, X25519_BYTES);
    enum vault_err err = hkdf_sha256(root, bytes_of(cluster_id, CLUSTER_ID_BYTES),
                                     bytes_of_text(private_label), half, sizeof(half));
    if (err == OK)
        x25519_public(half, out);
    sodium_memzero(half, sizeof(half));
    return err;
}

enum vault_err
vote_keys_init(struct vote_keys *keys, struct secret_arena *arena,
               const uint8_t cluster_id[static CLUSTER_ID_BYTES], uint8_t self,
               const struct secret *root)
{
    uint8_t half[X25519_BYTES] = {0}, own[KEY_BYTES] = {0};
    struct bytes ikm = bytes_of(root->data, root->size);
    struct bytes salt = bytes_of(cluster_id, CLUSTER_ID_BYTES);
    *keys = (struct vote_keys){.arena = arena, .self = self};
    memcpy(keys->cluster_id, cluster_id, CLUSTER_ID_BYTES);
    enum vault_err err = hkdf_sha256(ikm, salt, bytes_of_text(private_label), half, sizeof(half));
    if (err == OK)
        err = hkdf_sha256(ikm, salt, bytes_of_text(own_label), own, sizeof(own));
    if (err == OK)
        err = secret_copy(arena, bytes_of(half, sizeof(half)), &keys->private_half);
    if (err == OK)
        err = secret_copy(arena, bytes_of(own, sizeof(own)), &keys->peers[self].key);
    if (err == OK)
        x25519_public(half, keys->public_half);
    sodium_memzero(half, sizeof(half));
    sodium_memzero(own, sizeof(own));
    if (err != OK)
        vote_keys_close(keys);
    return err;
}

void
vote_keys_close(struct vote_keys *keys)
{
    if (!keys->arena)
        return;
    for (unsigned i = 0; i < NODES_MAX; i++) {
        secret_free(keys->arena, &keys->peers[i].key);
        secret_free(keys->arena, &keys->before[i].key);
    }
    secret_free(keys->arena, &keys->private_half);
    *keys = (struct vote_keys){0};
}

static bool
is_known(const struct vote_pair *pair)
{
    static const uint8_t none[X25519_BYTES];
    return memcmp(pair->public_half, none, sizeof(none)) != 0;
}

bool
vote_keys_learn(struct vote_keys *keys, uint8_t peer,
                const uint8_t public_half[static X25519_BYTES])
{
    struct vote_pair told = {0};
    memcpy(told.public_half, public_half, X25519_BYTES);
    if (peer >= NODES_MAX || peer == keys->self || !is_known(&told) ||
        memcmp(keys->peers[peer].public_half, public_half, X25519_BYTES) == 0)
        return false;
    if (is_known(&keys->peers[peer])) {
        secret_free(keys->arena, &keys->before[peer].key);
        keys->before[peer] = keys->peers[peer];
    }
    keys->peers[peer] = told;
    return true;
}

void
vote_keys_recall_before(struct vote_keys *keys, uint8_t peer,
                        const uint8_t public_half[static X25519_BYTES])
{
    struct vote_pair told = {0};
    memcpy(told.public_half, public_half, X25519_BYTES);
    if (peer >= NODES_MAX || peer == keys->self || !is_known(&told))
        return;
    secret_free(keys->arena, &keys->before[peer].key);
    keys->before[peer] = told;
}

/* From the agreement of both halves; the node of the lower number comes first. */
static enum vault_err
make_key(struct vote_keys *keys, uint8_t peer, struct vote_pair *pair)
{
    const uint8_t *half = pair->public_half;
    bool first = keys->self < peer;
    uint8_t agreement[X25519_BYTES] = {0}, key[KEY_BYTES] = {0};
    struct cbor_writer w;
    struct buf info = {0};
    enum vault_err err = x25519_agree(&keys->private_half, half, agreement);
    cbor_writer_init(&w, &info);
    cbor_put_array(&w, 6);
    cbor_put_bytes(&w, bytes_of_text(pair_label));
    cbor_put_bytes(&w, bytes_of(keys->cluster_id, CLUSTER_ID_BYTES));
    cbor_put_uint(&w, first ? keys->self : peer);
    cbor_put_uint(&w, first ? peer : keys->self);
    cbor_put_bytes(&w, bytes_of(first ? keys->public_half : half, X25519_BYTES));
    cbor_put_bytes(&w, bytes_of(first ? half : keys->public_half, X25519_BYTES));
    if (err == OK)
        err = w.err;
    if (err == OK)
        err = hkdf_sha256(bytes_of(agreement, X25519_BYTES), (struct bytes){0}, buf_bytes(&info),
                          key, KEY_BYTES);
    if (err == OK)
        err = secret_copy(keys->arena, bytes_of(key, KEY_BYTES), &pair->key);
    sodium_memzero(agreement, sizeof(agreement));
    sodium_memzero(key, sizeof(key));
    buf_close(&info);
    return err;
}

static_assert((int)KEY_BYTES + (int)VOTE_SAID_MAX == 128, "one block of BLAKE2b");

static bool
make_mac(struct vote_keys *keys, uint8_t peer, struct vote_pair *pair, struct bytes said,
         uint8_t out[static VOTE_MAC_BYTES])
{
    uint8_t input[KEY_BYTES + VOTE_SAID_MAX], mac[HASH_BYTES];
    assert(said.size <= VOTE_SAID_MAX);
    if (!pair->key.data && (!is_known(pair) || make_key(keys, peer, pair) != OK))
        return false;
    memcpy(input, pair->key.data, KEY_BYTES);
    if (said.size > 0)
        memcpy(input + KEY_BYTES, said.data, said.size);
    hash_bytes(bytes_of(input, KEY_BYTES + said.size), mac);
    memcpy(out, mac, VOTE_MAC_BYTES);
    sodium_memzero(input, KEY_BYTES);
    return true;
}

bool
vote_keys_mac(struct vote_keys *keys, uint8_t peer, struct bytes said,
              uint8_t out[static VOTE_MAC_BYTES])
{
    memset(out, 0, VOTE_MAC_BYTES);
    return peer < NODES_MAX && make_mac(keys, peer, &keys->peers[peer], said, out);
}

bool
vote_keys_mac_before(struct vote_keys *keys, uint8_t peer, struct bytes said,
                     uint8_t out[static VOTE_MAC_BYTES])
{
    memset(out, 0, VOTE_MAC_BYTES);
    return peer < NODES_MAX && make_mac(keys, peer, &keys->before[peer], said, out);
}
