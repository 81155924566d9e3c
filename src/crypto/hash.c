#include "crypto/hash.h"

#include <assert.h>
#include <endian.h>
#include <nettle/hkdf.h>
#include <nettle/hmac.h>
#include <sodium.h>
#include <string.h>

#include "base/big_endian.h"

static_assert(HASH_BYTES == crypto_generichash_BYTES, "BLAKE2b-256");
static_assert(SHORT_HASH_BYTES == crypto_shorthash_KEYBYTES, "SipHash-2-4");
static_assert(SHORT_HASH_BYTES == crypto_shorthash_siphashx24_KEYBYTES, "SipHash-2-4-128");
static_assert(SHORT_HASH_WIDE_BYTES == crypto_shorthash_siphashx24_BYTES, "SipHash-2-4-128");
static_assert(KEY_BYTES == crypto_generichash_KEYBYTES, "keyed BLAKE2b-256");
static_assert(KEY_BYTES == SHA256_DIGEST_SIZE, "a pseudorandom key of HKDF");

enum {
    HKDF_OUT_MAX = 255 * SHA256_DIGEST_SIZE,
    HKDF_STACK_BYTES = 1024, /* more than the frames of nettle's HMAC and SHA-256 take */
    GATHER_BYTES = 512,      /* most inputs of several parts are smaller */
    PART_SIZE_BYTES = BIG_ENDIAN_BYTES,
};

void
hash_bytes(struct bytes input, uint8_t out[static HASH_BYTES])
{
    int rc = crypto_generichash(out, HASH_BYTES, input.data, input.size, NULL, 0);

    assert(rc == 0);
    (void)rc;
}

static bool
can_gather(const struct bytes *parts, size_t count)
{
    size_t room = GATHER_BYTES;

    for (size_t i = 0; i < count; i++) {
        if (room < PART_SIZE_BYTES || parts[i].size > room - PART_SIZE_BYTES)
            return false;
        room -= PART_SIZE_BYTES + parts[i].size;
    }
    return true;
}

/* The parts, each after its size, one behind the other. */
static size_t
gather(const struct bytes *parts, size_t count, uint8_t out[static GATHER_BYTES])
{
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        big_endian_put(out + used, parts[i].size);
        used += PART_SIZE_BYTES;
        if (parts[i].size > 0)
            memcpy(out + used, parts[i].data, parts[i].size);
        used += parts[i].size;
    }
    return used;
}

static void
framed_in_steps(const uint8_t *key, const struct bytes *parts, size_t count, uint8_t *out)
{
    crypto_generichash_state state;

    (void)crypto_generichash_init(&state, key, key ? KEY_BYTES : 0, HASH_BYTES);
    for (size_t i = 0; i < count; i++) {
        uint8_t size[PART_SIZE_BYTES];

        big_endian_put(size, parts[i].size);
        (void)crypto_generichash_update(&state, size, sizeof(size));
        if (parts[i].size > 0)
            (void)crypto_generichash_update(&state, parts[i].data, parts[i].size);
    }
    (void)crypto_generichash_final(&state, out, HASH_BYTES);
    sodium_memzero(&state, sizeof(state));
}

/* In one call where it can be: of a few short parts the calls cost as much as the hash. */
static void
framed_parts(const uint8_t *key, const struct bytes *parts, size_t count, uint8_t *out)
{
    uint8_t input[GATHER_BYTES];

    if (!can_gather(parts, count)) { /* nothing of them is left in `input` */
        framed_in_steps(key, parts, count, out);
        return;
    }
    size_t size = gather(parts, count, input);
    (void)crypto_generichash(out, HASH_BYTES, input, size, key, key ? KEY_BYTES : 0);
    sodium_memzero(input, size);
}

void
hash_parts(const struct bytes *parts, size_t count, uint8_t out[static HASH_BYTES])
{
    framed_parts(NULL, parts, count, out);
}

void
mac_parts(const uint8_t key[static KEY_BYTES], const struct bytes *parts, size_t count,
          uint8_t out[static HASH_BYTES])
{
    framed_parts(key, parts, count, out);
}

uint64_t
hash_short(const uint8_t key[static SHORT_HASH_BYTES], struct bytes input)
{
    uint8_t hash[crypto_shorthash_BYTES];
    uint64_t number;

    (void)crypto_shorthash(hash, input.data, input.size, key);
    memcpy(&number, hash, sizeof(number));
    return le64toh(number); /* the order that SipHash itself is given in */
}

void
hash_short_wide(const uint8_t key[static SHORT_HASH_BYTES], struct bytes input,
                uint8_t out[static SHORT_HASH_WIDE_BYTES])
{
    (void)crypto_shorthash_siphashx24(out, input.data, input.size, key);
}

static const uint8_t none[1];

static struct bytes
not_null(struct bytes b)
{
    return b.size > 0 ? b : bytes_of(none, 0);
}

/* Without wiping the stack: for what does so afterwards. */
static void
extract(struct bytes ikm, struct bytes salt, uint8_t prk[static KEY_BYTES])
{
    struct hmac_sha256_ctx hmac;

    hmac_sha256_set_key(&hmac, salt.size, not_null(salt).data);
    hkdf_extract(&hmac, (nettle_hash_update_func *)hmac_sha256_update,
                 (nettle_hash_digest_func *)hmac_sha256_digest, KEY_BYTES, ikm.size,
                 not_null(ikm).data, prk);
    sodium_memzero(&hmac, sizeof(hmac));
}

enum vault_err
hkdf_sha256_extract(struct bytes ikm, struct bytes salt, uint8_t prk[static KEY_BYTES])
{
    memset(prk, 0, KEY_BYTES);
    if (ikm.size > INT32_MAX || salt.size > INT32_MAX)
        return ERR_RANGE;
    extract(ikm, salt, prk);
    sodium_stackzero(HKDF_STACK_BYTES);
    return OK;
}

enum vault_err
hkdf_sha256_expand(const uint8_t prk[static KEY_BYTES], struct bytes info, uint8_t *out,
                   size_t out_size)
{
    struct hmac_sha256_ctx hmac;

    if (out_size == 0 || out_size > HKDF_OUT_MAX || info.size > INT32_MAX)
        return ERR_RANGE;
    hmac_sha256_set_key(&hmac, KEY_BYTES, prk);
    hkdf_expand(&hmac, (nettle_hash_update_func *)hmac_sha256_update,
                (nettle_hash_digest_func *)hmac_sha256_digest, KEY_BYTES, info.size,
                not_null(info).data, out_size, out);
    sodium_memzero(&hmac, sizeof(hmac));
    sodium_stackzero(HKDF_STACK_BYTES);
    return OK;
}

enum vault_err
hkdf_sha256(struct bytes ikm, struct bytes salt, struct bytes info, uint8_t *out, size_t out_size)
{
    uint8_t prk[KEY_BYTES];

    if (ikm.size > INT32_MAX || salt.size > INT32_MAX)
        return ERR_RANGE;
    extract(ikm, salt, prk);
    enum vault_err err = hkdf_sha256_expand(prk, info, out, out_size);
    sodium_memzero(prk, sizeof(prk));
    return err;
}

void
hex_encode(struct bytes input, char *out)
{
    out[0] = '\0';
    if (input.size > 0)
        (void)sodium_bin2hex(out, 2 * input.size + 1, input.data, input.size);
}

enum vault_err
hex_decode(struct bytes text, uint8_t *out, size_t size)
{
    size_t written = 0;
    int rc;

    if (size == 0)
        return text.size == 0 ? OK : ERR_MALFORMED;
    memset(out, 0, size);
    if (text.size % 2 != 0 || text.size / 2 != size)
        return ERR_MALFORMED;
    rc = sodium_hex2bin(out, size, (const char *)text.data, text.size, NULL, &written, NULL);
    if (rc != 0 || written != size) {
        sodium_memzero(out, size);
        return ERR_MALFORMED;
    }
    return OK;
}
