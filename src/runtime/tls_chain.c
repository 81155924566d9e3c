#include "runtime/tls_chain.h"

#include <stdio.h>

#include "crypto/certificate.h"
#include "crypto/pem.h"
#include "runtime/certificate_key.h"
#include "runtime/keyfile.h"

enum { PEM_FILE_BYTES_MAX = 1024 * 1024, CHAIN_MAX = 9 /* wolfSSL's own limit */ };

/* The certificates of a file, as DER. */
struct chain {
    struct buf list[CHAIN_MAX];
    size_t count;
};

static void
chain_read(const char *path, struct chain *out)
{
    struct buf pem;
    size_t at = 0;

    *out = (struct chain){0};
    if (file_read(path, PEM_FILE_BYTES_MAX, &pem) != OK)
        return;
    while (out->count < CHAIN_MAX &&
           pem_next_certificate(buf_bytes(&pem), &at, &out->list[out->count]))
        out->count++;
    buf_close(&pem);
}

static void
chain_close(struct chain *chain)
{
    for (size_t i = 0; i < CHAIN_MAX; i++)
        buf_close(&chain->list[i]);
}

/*
 * wolfSSL's own look at key and certificate when they are loaded lets keys on curves pass, and its
 * handshake then finds a signature wrong.
 */
static bool
is_of_another_key(const struct chain *chain, const char *key_path)
{
    struct certificate certificate;
    struct buf key = {0};
    char why[1];
    bool other = chain->count > 0 &&
                 certificate_read(buf_bytes(&chain->list[0]), &certificate) == OK &&
                 secret_file_read(key_path, PEM_FILE_BYTES_MAX, &key, why, sizeof(why)) == OK &&
                 !certificate_key_belongs(buf_bytes(&key), &certificate);

    buf_close(&key);
    return other;
}

static bool
signed_by(const struct chain *chain, size_t one, size_t other)
{
    return certificate_signed_by(buf_bytes(&chain->list[one]), buf_bytes(&chain->list[other]));
}

/* Whether the issuer of one of them is in the file, and not right behind it. */
static bool
is_out_of_order(const struct chain *chain)
{
    for (size_t i = 0; i < chain->count; i++) {
        if (i + 1 < chain->count && signed_by(chain, i, i + 1))
            continue;
        for (size_t j = 0; j < chain->count; j++) {
            if (j != i && signed_by(chain, i, j))
                return true;
        }
    }
    return false;
}

/* The number of the first behind the leaf that may not sign; 0: none is known. */
static size_t
first_without_use(const struct chain *chain)
{
    struct certificate certificate;

    for (size_t i = 1; i < chain->count; i++) {
        if (certificate_read(buf_bytes(&chain->list[i]), &certificate) == OK &&
            !certificate.signs_others)
            return i;
    }
    return 0;
}

void
tls_chain_tell(const struct tls_files *files, const char *fault, char *why, size_t why_size)
{
    const char *path = files->certificate;
    struct chain chain;

    chain_read(path, &chain);
    if (is_of_another_key(&chain, files->key))
        snprintf(why, why_size, "private key %s does not belong to certificate %s", files->key,
                 path);
    else if (is_out_of_order(&chain))
        snprintf(
            why, why_size,
            "the certificates in %s are not in order: behind each must stand that of who signed "
            "it",
            path);
    else if (first_without_use(&chain) > 0)
        snprintf(why, why_size,
                 "certificate %zu in %s is no CA's: it needs the basicConstraints CA:TRUE and the "
                 "keyUsage keyCertSign",
                 first_without_use(&chain) + 1, path);
    else
        snprintf(why, why_size, "certificate %s does not verify with CA certificate %s: %s", path,
                 files->ca, fault);
    chain_close(&chain);
}
