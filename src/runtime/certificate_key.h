/*
 * Private keys of certificates, as files have them: P-256 and other curves of wolfCrypt, RSA up to
 * 4096 bits, Ed25519.
 */
#ifndef OSTRAKA_RUNTIME_CERTIFICATE_KEY_H
#define OSTRAKA_RUNTIME_CERTIFICATE_KEY_H

#include <wolfssl/options.h>

#include <wolfssl/wolfcrypt/ecc.h>
#include <wolfssl/wolfcrypt/ed25519.h>
#include <wolfssl/wolfcrypt/rsa.h>

#include "base/bytes.h"
#include "crypto/certificate.h"

enum certificate_key_kind { KEY_NONE, KEY_ECC, KEY_RSA, KEY_ED25519 };

/* Of a certificate: private or public. Must not be copied; closing wipes it. */
struct certificate_key {
    enum certificate_key_kind kind;
    union {
        ecc_key ecc;
        RsaKey rsa;
        ed25519_key ed25519;
    } u;
};

/* An empty one of that kind, for wolfCrypt to fill. False: nothing is to be closed. */
bool certificate_key_begin(struct certificate_key *key, enum certificate_key_kind kind);
void certificate_key_close(struct certificate_key *key);
/* A private key as DER (PKCS #8, or the form of its kind). False: it is none of these. */
bool certificate_key_decode(struct bytes der, struct certificate_key *key);
/* The same in PEM, not encrypted. */
bool certificate_key_decode_pem(struct bytes pem, struct certificate_key *key);

/*
 * Signs a text as login statements are signed (auth/statement.h): Ed25519, ECDSA on P-256 with
 * SHA-256 as r and s, or RSASSA-PSS with SHA-256. `out` is appended to. Errors: ERR_CONFIG a key
 * that cannot do that, ERR_ENTROPY, ERR_NOMEM.
 */
MUST_CHECK enum vault_err certificate_key_sign(struct certificate_key *key, struct bytes text,
                                               struct buf *out);
/*
 * Whether a private key in PEM is that of a certificate which certificate_read() has taken: it signs,
 * and the certificate's key verifies.
 */
bool certificate_key_belongs(struct bytes pem, const struct certificate *certificate);

#endif
