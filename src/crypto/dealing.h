/*
 * Dealings: how a value is encrypted under its own data key, how that key is split and boxed, and
 * the way back. Suite 1, in order (docs/protocol.md, "Value to dealing"):
 *
 *   DEK = 32 random bytes; id = 16 random bytes
 *   EK | nonce | KC = HKDF-SHA-256(DEK, salt = id, info)          KC: key commitment
 *   ciphertext = XChaCha20-Poly1305(EK, nonce, AD = info, P)
 *     where P = CBOR [value, content type, fingerprint], padded to 64 bytes
 *   W = DEK, or with a master key: generation (4, big endian) | AES-256-GCM(MK, DEK, AD = info)
 *     where MK = HKDF-SHA-256(master key, salt = id, "wrap")
 *   share_j = Shamir(W) at x_j;  c_j = BLAKE2b-256(label, id, x_j, share_j)
 *   box_j = share_j boxed to replica j (crypto/box.h)
 *
 * info = deterministic CBOR [label, cluster id, tenant, name, incarnation, version, id].
 */
#ifndef OSTRAKA_CRYPTO_DEALING_H
#define OSTRAKA_CRYPTO_DEALING_H

#include "base/limits.h"
#include "crypto/box.h"
#include "crypto/hash.h"
#include "crypto/secret.h"

enum {
    DEALING_ID_BYTES = 16,
    INCARNATION_BYTES = 16,
    CLUSTER_ID_BYTES = 16,
    DEALING_SUITE_1 = 1,
    FINGERPRINT_BYTES = 32,
};

/* What every derivation of a dealing is bound to. Views are borrowed. */
struct dealing_place {
    const uint8_t *cluster_id; /* CLUSTER_ID_BYTES */
    struct bytes tenant;
    struct bytes name;
    const uint8_t *incarnation; /* INCARNATION_BYTES */
    uint64_t version;
};

/*
 * The public part, and the boxed shares that this copy still has. Views are borrowed from whatever
 * it was decoded from or made in.
 */
struct dealing {
    uint8_t id[DEALING_ID_BYTES];
    uint32_t suite;
    uint8_t threshold;           /* k */
    uint8_t count;               /* n */
    uint8_t nodes[REPLICAS_MAX]; /* index of the node that owns share j; its x is j + 1 */
    struct bytes ciphertext;
    uint8_t key_commitment[HASH_BYTES];
    uint8_t share_commitments[REPLICAS_MAX][HASH_BYTES];
    uint8_t box_hashes[REPLICAS_MAX][HASH_BYTES];
    struct bytes boxes[REPLICAS_MAX]; /* empty: pruned from this copy */
};

/* What a client stores. Views are borrowed. */
struct dealing_value {
    struct bytes value;
    struct bytes content_type;
    struct bytes fingerprint; /* FINGERPRINT_BYTES, or empty */
};

/* The cluster's master key, or NULL where there is none. */
struct master_key {
    uint32_t generation; /* from 1 */
    struct secret key;   /* KEY_BYTES */
};

/* One share in hand. */
struct share {
    uint8_t x; /* 1..n */
    struct bytes data;
    const struct dealing *good_for; /* checked or trusted to be of this one; or NULL */
};

/* Who gets the shares. */
struct dealing_recipients {
    uint8_t threshold;
    uint8_t count;
    uint8_t nodes[REPLICAS_MAX];                       /* index of the node with x = j + 1 */
    const struct share_key_public *keys[REPLICAS_MAX]; /* its current share key */
};

/*
 * Makes a dealing; all memory of *out is in `arena`. Afterwards two different k-subsets of the
 * shares (one, when n = k) are combined again; both must give the same, and that the key
 * commitment. Every intermediate secret is wiped. Errors: ERR_RANGE, ERR_TOO_LARGE, ERR_ENTROPY, ERR_NOMEM, ERR_BUSY, ERR_CORRUPT
 * (the self-check, or an unusable key).
 */
MUST_CHECK enum vault_err dealing_make(const struct dealing_place *place,
                                       const struct dealing_value *value,
                                       const struct master_key *master,
                                       const struct dealing_recipients *recipients,
                                       struct box_sender *sender, const struct rng *rng,
                                       struct arena *arena, struct dealing *out);

/* True when `share` is share x of this dealing (its commitment matches; constant time). */
bool dealing_share_matches(const struct dealing *dealing, const struct share *share);
/* The same, and notes it: as long as both stay as they are, the share is not hashed again. */
bool dealing_share_check(const struct dealing *dealing, struct share *share);
/*
 * Takes it to be one without looking: for dealing_open(), whose key commitment only k right shares
 * lead to. When that fails, in whatever way, a share may be wrong, and all are to be checked.
 */
void dealing_share_trust(const struct dealing *dealing, struct share *share);
/* True when `box` is the boxed share x named by the dealing's hash. */
bool dealing_box_matches(const struct dealing *dealing, uint8_t x, struct bytes box);

/*
 * Opens box x with the receiver's ring and checks the commitment. Errors: as box_open; ERR_CORRUPT
 * also when it does not match c_x.
 */
MUST_CHECK enum vault_err dealing_open_box(const struct dealing *dealing,
                                           const struct dealing_place *place, uint8_t x,
                                           struct bytes box, struct share_keyring *ring,
                                           uint8_t *share, size_t *share_size);
/* Boxes one share anew (read repair). `out` takes BOX_BYTES_MAX. */
MUST_CHECK enum vault_err
dealing_box_share(const struct dealing *dealing, const struct dealing_place *place,
                  const struct share *share, unsigned peer, const struct share_key_public *to,
                  struct box_sender *sender, uint8_t *out, size_t *out_size);

/*
 * The value, from at least k shares. Each share is checked against its commitment first, unless it
 * was, or is trusted; `count` may be above k, the first k good ones are used. All memory of *out is
 * in `arena`. Errors: ERR_VALUE_UNAVAILABLE fewer than k good shares; ERR_MASTER_KEY_UNAVAILABLE
 * the dealing is wrapped and master is NULL (or of another generation); ERR_MASTER_KEY_INCORRECT
 * the wrap does not open; ERR_CORRUPT_VALUE anything else that does not verify; ERR_NOMEM.
 */
MUST_CHECK enum vault_err dealing_open(const struct dealing *dealing,
                                       const struct dealing_place *place,
                                       const struct share *shares, unsigned count,
                                       const struct master_key *master, struct arena *arena,
                                       struct dealing_value *out);
/*
 * Share `x` from k others (read repair), checked against c_x. `out` takes SECRET_BYTES_MAX. Errors:
 * ERR_VALUE_UNAVAILABLE, ERR_CORRUPT.
 */
MUST_CHECK enum vault_err dealing_recover_share(const struct dealing *dealing,
                                                const struct share *shares, unsigned count,
                                                uint8_t x, uint8_t *out, size_t *out_size);

/* 32 bytes that tell whether a node has the right master key without telling the key. */
MUST_CHECK enum vault_err master_key_check_value(const struct master_key *master,
                                                 const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                                 uint8_t out[static HASH_BYTES]);

#endif
