#include <errno.h>
#include <stdlib.h>
#include <wiredtiger_ext.h>

#include "crypto/rng_kernel.h"
#include "store/block_cipher.h"
#include "store/store_wt_internal.h"

struct store_wt_encryptor {
    WT_ENCRYPTOR hook; /* first: the engine hands its address back */
    struct block_cipher cipher;
    _Atomic unsigned failures;
};

static int
on_encrypt(WT_ENCRYPTOR *hook, WT_SESSION *session, uint8_t *src, size_t src_len, uint8_t *dst,
           size_t dst_len, size_t *result_len)
{
    struct store_wt_encryptor *e = (struct store_wt_encryptor *)hook;

    (void)session;
    *result_len = 0;
    if (dst_len < BLOCK_OVERHEAD_BYTES || dst_len - BLOCK_OVERHEAD_BYTES < src_len)
        return ENOMEM;
    if (block_seal(&e->cipher, bytes_of(src, src_len), dst) != OK)
        return WT_ERROR;
    *result_len = src_len + BLOCK_OVERHEAD_BYTES;
    return 0;
}

static int
on_decrypt(WT_ENCRYPTOR *hook, WT_SESSION *session, uint8_t *src, size_t src_len, uint8_t *dst,
           size_t dst_len, size_t *result_len)
{
    struct store_wt_encryptor *e = (struct store_wt_encryptor *)hook;
    enum vault_err err = ERR_CORRUPT;

    (void)session;
    *result_len = 0;
    if (src_len >= BLOCK_OVERHEAD_BYTES && dst_len >= src_len - BLOCK_OVERHEAD_BYTES)
        err = block_open(&e->cipher, bytes_of(src, src_len), dst);
    if (err == ERR_NOMEM)
        return ENOMEM;
    if (err != OK) {
        atomic_fetch_add(&e->failures, 1);
        return WT_ERROR;
    }
    *result_len = src_len - BLOCK_OVERHEAD_BYTES;
    return 0;
}

static int
on_sizing(WT_ENCRYPTOR *hook, WT_SESSION *session, size_t *expansion)
{
    (void)hook;
    (void)session;
    *expansion = BLOCK_OVERHEAD_BYTES;
    return 0;
}

enum vault_err
store_wt_encryptor_new(const uint8_t key[static 32], enum block_suite suite,
                       struct store_wt_encryptor **out)
{
    struct store_wt_encryptor *e = calloc(1, sizeof(*e));

    *out = NULL;
    if (e == NULL)
        return ERR_NOMEM;
    enum vault_err err = block_cipher_init(key, suite, rng_kernel(), &e->cipher);
    if (err != OK) {
        free(e);
        return err;
    }
    e->hook = (WT_ENCRYPTOR){.encrypt = on_encrypt, .decrypt = on_decrypt, .sizing = on_sizing};
    *out = e;
    return OK;
}

void
store_wt_encryptor_free(struct store_wt_encryptor *encryptor)
{
    if (encryptor == NULL)
        return;
    block_cipher_close(&encryptor->cipher);
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
