#include "crypto/bucket_keys.h"

#include <assert.h>
#include <string.h>

#include "base/big_endian.h"
#include "base/cbor.h"

static_assert((int)BUCKET_GENERATION_BYTES == (int)BIG_ENDIAN_BYTES, "a number");
static_assert(2 * KEY_BYTES <= SECRET_BYTES_MAX, "both keys of a bucket share a slot");

static const char label[] = "ostraka bucket 1";

/* ---- the life of a bucket's keys ---- */

enum vault_err
bucket_keys_init(struct bucket_keys *keys, struct secret_arena *arena, unsigned count,
                 uint64_t generation, const struct rng *rng)
{
    enum vault_err err = OK;
    assert(count > 0 && count <= BUCKETS_MAX);
    assert(generation > 0);
    *keys = (struct bucket_keys){.arena = arena, .count = count};
    for (unsigned i = 0; i < count && err == OK; i++) {
        struct bucket *bucket = &keys->buckets[i];
        bucket->generation = generation;
        bucket->oldest_saved = generation;
        err = secret_new(arena, 2 * KEY_BYTES, &bucket->keys);
        if (err == OK)
            err = rng_fill(rng, bucket->keys.data, KEY_BYTES);
    }
    return err;
}

void
bucket_keys_close(struct bucket_keys *keys)
{
    for (unsigned i = 0; i < keys->count; i++)
        secret_free(keys->arena, &keys->buckets[i].keys);
    *keys = (struct bucket_keys){0};
}

bool
bucket_is_retiring(const struct bucket *bucket)
{
    return bucket->other != 0 && bucket->other < bucket->generation;
}

bool
bucket_is_made(const struct bucket *bucket)
{
    return bucket->other > bucket->generation;
}

bool
bucket_is_due(const struct bucket *bucket)
{
    return bucket->dirty != 0 && bucket->dirty >= bucket->oldest_saved;
}

enum vault_err
bucket_make(struct bucket *bucket, const struct rng *rng)
{
    assert(bucket->other == 0);
    enum vault_err err = rng_fill(rng, bucket->keys.data + KEY_BYTES, KEY_BYTES);
    if (err == OK)
        bucket->other = bucket->generation + 1;
    else
        bytes_wipe(bucket->keys.data + KEY_BYTES, KEY_BYTES);
    return err;
}

static void
swap(struct bucket *bucket)
{
    uint8_t key[KEY_BYTES];
    uint64_t generation = bucket->generation;
    memcpy(key, bucket->keys.data, KEY_BYTES);
    memcpy(bucket->keys.data, bucket->keys.data + KEY_BYTES, KEY_BYTES);
    memcpy(bucket->keys.data + KEY_BYTES, key, KEY_BYTES);
    bytes_wipe(key, sizeof(key));
    bucket->generation = bucket->other;
    bucket->other = generation;
}

void
bucket_use(struct bucket *bucket)
{
    assert(bucket_is_made(bucket));
    swap(bucket);
}

void
bucket_retire(struct bucket *bucket)
{
    assert(bucket_is_retiring(bucket));
    bytes_wipe(bucket->keys.data + KEY_BYTES, KEY_BYTES);
    bucket->other = 0;
}

static uint64_t
oldest_held(const struct bucket *bucket)
{
    return bucket_is_retiring(bucket) ? bucket->other : bucket->generation;
}

void
bucket_keys_saved(struct bucket_keys *keys)
{
    for (unsigned i = 0; i < keys->count; i++)
        keys->buckets[i].oldest_saved = oldest_held(&keys->buckets[i]);
}

unsigned
bucket_of(const struct bucket_keys *keys, struct bytes path_key)
{
    uint8_t hash[HASH_BYTES];
    hash_bytes(path_key, hash);
    return (unsigned)(big_endian_get(hash) % keys->count);
}

/* ---- the file ---- */

enum vault_err
bucket_keys_encode(const struct bucket_keys *keys, struct buf *out)
{
    struct cbor_writer w;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, keys->count);
    for (unsigned i = 0; i < keys->count; i++) {
        const struct bucket *bucket = &keys->buckets[i];
        cbor_put_array(&w, bucket->other != 0 ? 4 : 2);
        cbor_put_uint(&w, bucket->generation);
        cbor_put_bytes(&w, bytes_of(bucket->keys.data, KEY_BYTES));
        if (bucket->other == 0)
            continue;
        cbor_put_uint(&w, bucket->other);
        cbor_put_bytes(&w, bytes_of(bucket->keys.data + KEY_BYTES, KEY_BYTES));
    }
    return w.err;
}

static enum vault_err
decode_bucket(struct cbor_reader *r, struct secret_arena *arena, struct bucket *bucket)
{
    uint64_t fields = cbor_get_array(r, 4);
    enum vault_err err = secret_new(arena, 2 * KEY_BYTES, &bucket->keys);
    if (err != OK)
        return err;
    bucket->generation = cbor_get_uint(r);
    cbor_get_fixed(r, bucket->keys.data, KEY_BYTES);
    if (fields == 4) {
        bucket->other = cbor_get_uint(r);
        cbor_get_fixed(r, bucket->keys.data + KEY_BYTES, KEY_BYTES);
    }
    if (r->err != OK)
        return ERR_MALFORMED;
    if (fields % 2 != 0 || fields == 0 || bucket->generation == 0 ||
        bucket->other == bucket->generation || (fields == 4 && bucket->other == 0))
        return ERR_MALFORMED;
    /* The file has the next key, so it may be used; rows under the one before may be left. */
    if (bucket_is_made(bucket))
        swap(bucket);
    bucket->oldest_saved = oldest_held(bucket);
    return OK;
}

enum vault_err
bucket_keys_decode(struct bytes encoded, struct secret_arena *arena, struct bucket_keys *keys)
{
    struct cbor_reader r;
    enum vault_err err = OK;
    *keys = (struct bucket_keys){.arena = arena};
    if (encoded.size == 0)
        return ERR_MALFORMED;
    cbor_reader_init(&r, encoded);
    uint64_t count = cbor_get_array(&r, BUCKETS_MAX);
    if (r.err != OK || count == 0)
        return ERR_MALFORMED;
    keys->count = (unsigned)count;
    for (unsigned i = 0; i < keys->count && err == OK; i++)
        err = decode_bucket(&r, arena, &keys->buckets[i]);
    if (err == OK && cbor_finish(&r) != OK)
        err = ERR_MALFORMED;
    return err;
}

/* ---- sealing ---- */

static void
record_key(const uint8_t shares_key[static KEY_BYTES], const uint8_t *bucket_key,
           uint64_t generation, uint8_t out[static KEY_BYTES])
{
    uint8_t number[BUCKET_GENERATION_BYTES];
    big_endian_put(number, generation);
    struct bytes parts[] = {bytes_of_text(label), bytes_of(bucket_key, KEY_BYTES),
                            bytes_of(number, sizeof(number))};
    mac_parts(shares_key, parts, sizeof(parts) / sizeof(parts[0]), out);
}

enum vault_err
bucket_seal(const struct bucket *bucket, const uint8_t shares_key[static KEY_BYTES],
            struct bytes ad, struct bytes share, const struct rng *rng, uint8_t *out)
{
    uint8_t key[KEY_BYTES];
    record_key(shares_key, bucket->keys.data, bucket->generation, key);
    big_endian_put(out, bucket->generation);
    enum vault_err err = sealed_record_make(key, ad, share, rng, out + BUCKET_GENERATION_BYTES);
    bytes_wipe(key, sizeof(key));
    return err;
}

uint64_t
bucket_sealed_generation(struct bytes sealed)
{
    return sealed.size < BUCKET_SEALED_OVERHEAD_BYTES ? 0 : big_endian_get(sealed.data);
}

enum vault_err
bucket_open(const struct bucket *bucket, const uint8_t shares_key[static KEY_BYTES],
            struct bytes ad, struct bytes sealed, uint8_t *out)
{
    uint8_t key[KEY_BYTES];
    uint64_t generation = bucket_sealed_generation(sealed);
    const uint8_t *with = bucket->keys.data;
    if (sealed.size > BUCKET_SEALED_OVERHEAD_BYTES)
        memset(out, 0, sealed.size - BUCKET_SEALED_OVERHEAD_BYTES);
    if (generation == 0 || (generation != bucket->generation && generation != bucket->other))
        return ERR_CORRUPT;
    if (generation != bucket->generation)
        with += KEY_BYTES;
    record_key(shares_key, with, generation, key);
    enum vault_err err = sealed_record_open(
        key, ad,
        bytes_of(sealed.data + BUCKET_GENERATION_BYTES, sealed.size - BUCKET_GENERATION_BYTES),
        out);
    bytes_wipe(key, sizeof(key));
    return err;
}
