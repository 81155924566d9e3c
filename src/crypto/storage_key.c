#include "crypto/storage_key.h"

#include <assert.h>
#include <string.h>

#include "base/limits.h"
#include "crypto/aead.h"

static_assert(SEALED_OVERHEAD_BYTES == AEAD_NONCE_BYTES + AEAD_TAG_BYTES, "nonce and tag");

enum { CLUSTER_ID_TEXT_MAX = 64 }; /* generous: an id is 16 bytes, or those as text */

enum vault_err
storage_key_derive(const uint8_t storage_key[static KEY_BYTES], struct bytes cluster_id,
                   struct bytes node_name, const char *label, uint8_t out[static KEY_BYTES])
{
    uint8_t salt[CLUSTER_ID_TEXT_MAX + NODE_NAME_BYTES_MAX];

    memset(out, 0, KEY_BYTES);
    if (cluster_id.size == 0 || cluster_id.size > CLUSTER_ID_TEXT_MAX || node_name.size == 0 ||
        node_name.size > NODE_NAME_BYTES_MAX)
        return ERR_RANGE;
    memcpy(salt, cluster_id.data, cluster_id.size);
    memcpy(salt + cluster_id.size, node_name.data, node_name.size);
    return hkdf_sha256(bytes_of(storage_key, KEY_BYTES),
                       bytes_of(salt, cluster_id.size + node_name.size), bytes_of_text(label), out,
                       KEY_BYTES);
}

enum vault_err
sealed_record_make(const uint8_t key[static KEY_BYTES], struct bytes ad, struct bytes plain,
                   const struct rng *rng, uint8_t *out)
{
    enum vault_err err = rng_fill(rng, out, AEAD_NONCE_BYTES);

    if (err != OK) {
        memset(out, 0, plain.size + SEALED_OVERHEAD_BYTES);
        return err;
    }
    aead_seal(key, out, ad, plain, out + AEAD_NONCE_BYTES);
    return OK;
}

enum vault_err
sealed_record_open(const uint8_t key[static KEY_BYTES], struct bytes ad, struct bytes sealed,
                   uint8_t *out)
{
    if (sealed.size < SEALED_OVERHEAD_BYTES)
        return ERR_CORRUPT;
    return aead_open(key, sealed.data, ad,
                     bytes_of(sealed.data + AEAD_NONCE_BYTES, sealed.size - AEAD_NONCE_BYTES), out);
}
