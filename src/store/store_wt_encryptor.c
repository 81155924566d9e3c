#include <errno.h>
#include <stdlib.h>
#include <wiredtiger_ext.h>

#include "crypto/aead.h"
#include "crypto/rng_kernel.h"
#include "crypto/secret.h"
#include "store/store_wt_internal.h"

enum { OVERHEAD_BYTES = AEAD_NONCE_BYTES + AEAD_TAG_BYTES };

struct store_wt_encryptor {
    WT_ENCRYPTOR hook;          /* first: the engine hands its address back */
    struct secret_arena *arena; /* open as long as the engine's threads may come */
    struct secret key;
    struct rng rng;
    _Atomic unsigned failures;
};

/* Keeps these ciphertexts apart from all others. */
static struct bytes
block_ad(void)
{
    return bytes_of_text("ostraka store block 1");
}

static int
block_seal(WT_ENCRYPTOR *hook, WT_SESSION *session, uint8_t *src, size_t src_len, uint8_t *dst,
           size_t dst_len, size_t *result_len)
{
    struct store_wt_encryptor *e = (struct store_wt_encryptor *)hook;

    (void)session;
    *result_len = 0;
    if (dst_len < OVERHEAD_BYTES || dst_len - OVERHEAD_BYTES < src_len)
        return ENOMEM;
    if (rng_fill(&e->rng, dst, AEAD_NONCE_BYTES) != OK)
        return WT_ERROR;
    aead_seal(e->key.data, dst, block_ad(), bytes_of(src, src_len), dst + AEAD_NONCE_BYTES);
    *result_len = src_len + OVERHEAD_BYTES;
    return 0;
}

static int
block_open(WT_ENCRYPTOR *hook, WT_SESSION *session, uint8_t *src, size_t src_len, uint8_t *dst,
           size_t dst_len, size_t *result_len)
{
    struct store_wt_encryptor *e = (struct store_wt_encryptor *)hook;

    (void)session;
    *result_len = 0;
    if (src_len < OVERHEAD_BYTES || dst_len < src_len - OVERHEAD_BYTES) {
        atomic_fetch_add(&e->failures, 1);
        return WT_ERROR;
    }
    struct bytes sealed = bytes_of(src + AEAD_NONCE_BYTES, src_len - AEAD_NONCE_BYTES);
    if (aead_open(e->key.data, src, block_ad(), sealed, dst) != OK) {
        atomic_fetch_add(&e->failures, 1);
        return WT_ERROR;
    }
    *result_len = src_len - OVERHEAD_BYTES;
    return 0;
}

static int
block_sizing(WT_ENCRYPTOR *hook, WT_SESSION *session, size_t *expansion)
{
    (void)hook;
    (void)session;
    *expansion = OVERHEAD_BYTES;
    return 0;
}

enum vault_err
store_wt_encryptor_new(const uint8_t key[static 32], struct store_wt_encryptor **out)
{
    struct store_wt_encryptor *e = calloc(1, sizeof(*e));
    enum vault_err err = ERR_NOMEM;

    *out = NULL;
    if (e == NULL)
        return ERR_NOMEM;
    err = secret_arena_new(1, &e->arena);
    if (err != OK)
        goto fail;
    secret_arena_open(e->arena);
    err = secret_copy(e->arena, bytes_of(key, AEAD_KEY_BYTES), &e->key);
    if (err != OK)
        goto fail;
    e->hook = (WT_ENCRYPTOR){.encrypt = block_seal, .decrypt = block_open, .sizing = block_sizing};
    e->rng = rng_kernel();
    *out = e;
    return OK;
fail:
    secret_arena_free(e->arena);
    free(e);
    return err;
}

void
store_wt_encryptor_free(struct store_wt_encryptor *encryptor)
{
    if (encryptor == NULL)
        return;
    secret_free(encryptor->arena, &encryptor->key);
    secret_arena_close(encryptor->arena);
    secret_arena_free(encryptor->arena);
    free(encryptor);
}

unsigned
store_wt_encryptor_failures(const struct store_wt_encryptor *encryptor)
{
    return atomic_load(&encryptor->failures);
}

int
store_wt_encryptor_add(struct store_wt_encryptor *encryptor, WT_CONNECTION *connection)
{
    return connection->add_encryptor(connection, STORE_WT_ENCRYPTOR_NAME, &encryptor->hook, NULL);
}
