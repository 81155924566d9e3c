#include "store/block_cipher.h"

#include <assert.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "crypto/hash.h"

/* Of a block of suite 2. */
enum {
    SALT_AT = 1,
    NUMBER_AT = SALT_AT + BLOCK_SALT_BYTES,
    NUMBER_BYTES = 8,
    CONTENT_AT = NUMBER_AT + NUMBER_BYTES,
};

/* What a key is made of lies in one piece: the salt and the upper half of the number. */
enum { KEY_NAME_BYTES = BLOCK_SALT_BYTES + NUMBER_BYTES / 2, KEYS_KEPT = 64 };

static_assert(CONTENT_AT + AEAD_TAG_BYTES == BLOCK_OVERHEAD_BYTES, "suite 2");
static_assert((int)NUMBER_AT == (int)SALT_AT + (int)BLOCK_SALT_BYTES, "a key's name in one piece");
static_assert(AEAD_NONCE_BYTES + AEAD_TAG_BYTES == BLOCK_OVERHEAD_BYTES, "suite 1");
static_assert((int)KEY_BYTES == (int)AEAD_KEY_BYTES && (int)HASH_BYTES == (int)AEAD_KEY_BYTES,
              "keys");

/* They keep these ciphertexts, and these keys, apart from all others. */
static struct bytes
ad_of(enum block_suite suite)
{
    return bytes_of_text(suite == BLOCK_AES_GCM ? "ostraka store block 2"
                                                : "ostraka store block 1");
}

static uint64_t
number_decode(const uint8_t *encoded)
{
    uint64_t number = 0;

    for (unsigned i = 0; i < NUMBER_BYTES; i++)
        number = number << 8 | encoded[i];
    return number;
}

static void
number_encode(uint64_t number, uint8_t *out)
{
    for (unsigned i = NUMBER_BYTES; i-- > 0; number >>= 8)
        out[i] = (uint8_t)number;
}

/* Of the blocks whose number has this upper half. */
static void
sub_key_derive(const struct block_cipher *c, const uint8_t *salt, uint64_t upper,
               uint8_t out[static KEY_BYTES])
{
    uint8_t encoded[NUMBER_BYTES];

    number_encode(upper, encoded);
    const struct bytes parts[] = {bytes_of_text("ostraka store block key 2"),
                                  bytes_of(salt, BLOCK_SALT_BYTES),
                                  bytes_of(encoded, sizeof(encoded))};
    mac_parts(c->key.data, parts, sizeof(parts) / sizeof(parts[0]), out);
}

struct kept_key {
    bool set;
    uint8_t name[KEY_NAME_BYTES];
    struct secret key;
};

/*
 * A store has blocks of as many salts as it was opened to write them, and a walk through the table
 * meets these in any order. Salts are random: their first byte says where the key is kept.
 */
struct block_keys {
    pthread_mutex_t lock;
    struct kept_key keys[KEYS_KEPT];
};

static enum vault_err
keys_new(struct secret_arena *arena, struct block_keys **out)
{
    struct block_keys *keys = calloc(1, sizeof(*keys));
    enum vault_err err = OK;

    *out = NULL;
    if (keys == NULL || pthread_mutex_init(&keys->lock, NULL) != 0) {
        free(keys);
        return ERR_NOMEM;
    }
    *out = keys;
    for (unsigned i = 0; i < KEYS_KEPT && err == OK; i++)
        err = secret_new(arena, KEY_BYTES, &keys->keys[i].key);
    return err;
}

static void
keys_free(struct secret_arena *arena, struct block_keys *keys)
{
    if (keys == NULL)
        return;
    for (unsigned i = 0; i < KEYS_KEPT; i++)
        secret_free(arena, &keys->keys[i].key);
    pthread_mutex_destroy(&keys->lock);
    free(keys);
}

static bool
kept_key_copy(struct block_keys *keys, const uint8_t *name, uint8_t out[static KEY_BYTES])
{
    struct kept_key *kept = &keys->keys[name[0] % KEYS_KEPT];

    pthread_mutex_lock(&keys->lock);
    bool found = kept->set && memcmp(kept->name, name, KEY_NAME_BYTES) == 0;
    if (found)
        memcpy(out, kept->key.data, KEY_BYTES);
    pthread_mutex_unlock(&keys->lock);
    return found;
}

static void
kept_key_put(struct block_keys *keys, const uint8_t *name, const uint8_t key[static KEY_BYTES])
{
    struct kept_key *kept = &keys->keys[name[0] % KEYS_KEPT];

    pthread_mutex_lock(&keys->lock);
    memcpy(kept->name, name, KEY_NAME_BYTES);
    memcpy(kept->key.data, key, KEY_BYTES);
    kept->set = true;
    pthread_mutex_unlock(&keys->lock);
}

/*
 * The key for a block with this header: the one at hand, or one found or made in `memory`, which
 * the caller wipes.
 */
static const uint8_t *
sub_key_of(const struct block_cipher *c, const uint8_t *header, uint8_t memory[static KEY_BYTES])
{
    uint64_t upper = number_decode(header + NUMBER_AT) >> 32;

    if (c->sub_key.data != NULL && upper == 0 &&
        memcmp(header + SALT_AT, c->salt, BLOCK_SALT_BYTES) == 0)
        return c->sub_key.data;
    if (kept_key_copy(c->kept, header + SALT_AT, memory))
        return memory;
    sub_key_derive(c, header + SALT_AT, upper, memory);
    kept_key_put(c->kept, header + SALT_AT, memory);
    return memory;
}

static void
nonce_of(const uint8_t *header, uint8_t out[static GCM_NONCE_BYTES])
{
    memset(out, 0, GCM_NONCE_BYTES);
    memcpy(out + GCM_NONCE_BYTES - NUMBER_BYTES, header + NUMBER_AT, NUMBER_BYTES);
}

static enum vault_err
seal_gcm(struct block_cipher *c, struct bytes plain, uint8_t *out)
{
    uint8_t nonce[GCM_NONCE_BYTES], memory[KEY_BYTES];

    out[0] = BLOCK_AES_GCM;
    memcpy(out + SALT_AT, c->salt, BLOCK_SALT_BYTES);
    number_encode(atomic_fetch_add(&c->next, 1), out + NUMBER_AT);
    nonce_of(out, nonce);
    enum vault_err err =
        gcm_seal(sub_key_of(c, out, memory), nonce, ad_of(BLOCK_AES_GCM), plain, out + CONTENT_AT);
    bytes_wipe(memory, sizeof(memory));
    return err;
}

static enum vault_err
open_gcm(const struct block_cipher *c, struct bytes sealed, uint8_t *out)
{
    uint8_t nonce[GCM_NONCE_BYTES], memory[KEY_BYTES];
    struct bytes content = bytes_of(sealed.data + CONTENT_AT, sealed.size - CONTENT_AT);

    nonce_of(sealed.data, nonce);
    enum vault_err err =
        gcm_open(sub_key_of(c, sealed.data, memory), nonce, ad_of(BLOCK_AES_GCM), content, out);
    bytes_wipe(memory, sizeof(memory));
    return err;
}

enum vault_err
block_seal(struct block_cipher *cipher, struct bytes plain, uint8_t *out)
{
    if (cipher->suite == BLOCK_AES_GCM)
        return seal_gcm(cipher, plain, out);
    enum vault_err err = rng_fill(&cipher->rng, out, AEAD_NONCE_BYTES);
    if (err == OK)
        aead_seal(cipher->key.data, out, ad_of(BLOCK_XCHACHA20), plain, out + AEAD_NONCE_BYTES);
    return err;
}

enum vault_err
block_open(const struct block_cipher *cipher, struct bytes sealed, uint8_t *out)
{
    if (sealed.size < BLOCK_OVERHEAD_BYTES)
        return ERR_CORRUPT;
    if (sealed.data[0] == BLOCK_AES_GCM) {
        enum vault_err err = open_gcm(cipher, sealed, out);
        if (err != ERR_CORRUPT)
            return err;
    }
    struct bytes content = bytes_of(sealed.data + AEAD_NONCE_BYTES, sealed.size - AEAD_NONCE_BYTES);
    return aead_open(cipher->key.data, sealed.data, ad_of(BLOCK_XCHACHA20), content, out);
}

enum block_suite
block_suite_best(void)
{
    return gcm_hardware_available() ? BLOCK_AES_GCM : BLOCK_XCHACHA20;
}

static enum vault_err
suite_begin(struct block_cipher *c)
{
    uint8_t sub_key[KEY_BYTES];

    if (c->suite != BLOCK_AES_GCM)
        return OK;
    enum vault_err err = rng_fill(&c->rng, c->salt, sizeof(c->salt));
    if (err != OK)
        return err;
    sub_key_derive(c, c->salt, 0, sub_key);
    err = secret_copy(c->arena, bytes_of(sub_key, sizeof(sub_key)), &c->sub_key);
    bytes_wipe(sub_key, sizeof(sub_key));
    return err;
}

enum vault_err
block_cipher_init(const uint8_t key[static AEAD_KEY_BYTES], enum block_suite suite, struct rng rng,
                  struct block_cipher *cipher)
{
    *cipher = (struct block_cipher){.suite = suite, .rng = rng};
    enum vault_err err = secret_arena_new(2 + KEYS_KEPT, &cipher->arena);
    if (err != OK)
        return err;
    secret_arena_open(cipher->arena);
    err = secret_copy(cipher->arena, bytes_of(key, AEAD_KEY_BYTES), &cipher->key);
    if (err == OK)
        err = keys_new(cipher->arena, &cipher->kept);
    if (err == OK)
        err = suite_begin(cipher);
    if (err != OK)
        block_cipher_close(cipher);
    return err;
}

void
block_cipher_close(struct block_cipher *cipher)
{
    if (cipher->arena == NULL)
        return;
    keys_free(cipher->arena, cipher->kept);
    cipher->kept = NULL;
    secret_free(cipher->arena, &cipher->sub_key);
    secret_free(cipher->arena, &cipher->key);
    secret_arena_close(cipher->arena);
    secret_arena_free(cipher->arena);
    cipher->arena = NULL;
}
