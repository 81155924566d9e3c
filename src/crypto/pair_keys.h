/*
 * Keys that each pair of nodes has in common and nobody else knows.
 *
 * Every node makes an X25519 key pair at its start and anew every hour, and tells the public half
 * in its heartbeats. The key of nodes i and j, i < j, is
 *
 *   K = HKDF-SHA-256(X25519(i, j), label, cluster id, i, j, public half of i, public half of j)
 *
 * and what uses it takes a key of its own out of it by a label (PAIR_KEY_*). The private half never
 * leaves the secrets arena and is not written anywhere: whoever seizes a disk cannot compute what
 * went between two nodes.
 *
 * The id of a public half is the beginning of its hash. Both ends must use the same two halves, so
 * whoever asks two nodes for something under their pair's key names the ids, and a node that does
 * not have them (any more) refuses.
 */
#ifndef OSTRAKA_CRYPTO_PAIR_KEYS_H
#define OSTRAKA_CRYPTO_PAIR_KEYS_H

#include "base/limits.h"
#include "crypto/dealing.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"

enum {
    PAIR_KEYS_OWN = 2,  /* the present pair, and for a while the one before it */
    PAIR_KEYS_PEER = 2, /* public halves remembered of each peer */
    PAIR_KEY_AGREEMENTS = 2 * NODES_MAX,
    PAIR_KEY_SLOTS = PAIR_KEYS_OWN + PAIR_KEY_AGREEMENTS, /* of the secrets arena */
};

#define PAIR_KEY_BLINDING "blinding"
#define PAIR_KEY_VOTES    "votes"

struct pair_key_public {
    uint64_t id; /* 0: none */
    uint8_t key[X25519_BYTES];
};

/* Must not be copied. */
struct pair_keys {
    struct secret_arena *arena; /* borrowed */
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    uint8_t self;
    struct {
        struct pair_key_public public_half;
        struct secret private_half;
    } own[PAIR_KEYS_OWN];                                    /* newest first */
    struct pair_key_public peers[NODES_MAX][PAIR_KEYS_PEER]; /* last heard first */
    struct {
        uint8_t peer;
        uint64_t own_id, peer_id;
        struct secret key;
        uint64_t used; /* recency */
    } agreements[PAIR_KEY_AGREEMENTS];
    uint64_t clock;
};

void pair_keys_init(struct pair_keys *keys, struct secret_arena *arena,
                    const uint8_t cluster_id[static CLUSTER_ID_BYTES], uint8_t self);
/*
 * A new pair in front; the one before it stays, for what is on its way, until the next call or
 * pair_keys_forget_old. Errors: ERR_ENTROPY, ERR_BUSY; nothing has changed then.
 */
MUST_CHECK enum vault_err pair_keys_renew(struct pair_keys *keys, const struct rng *rng);
void pair_keys_forget_old(struct pair_keys *keys);
void pair_keys_close(struct pair_keys *keys); /* wipes everything */

const struct pair_key_public *pair_keys_own(const struct pair_keys *keys); /* the newest */
/* The peer's public half as it last told it. An id that does not fit its key is ignored. */
void pair_keys_learn(struct pair_keys *keys, uint8_t peer, const struct pair_key_public *key);
uint64_t pair_keys_peer_id(const struct pair_keys *keys, uint8_t peer); /* 0: none known */
uint64_t pair_key_id(const uint8_t key[static X25519_BYTES]);

/*
 * The key of this node and `peer`, for that use, from the halves of those ids.
 * Errors: ERR_NOT_FOUND one of the halves is not (or no longer) here, or peer is this node;
 * ERR_CORRUPT the peer's half is of low order; ERR_NOMEM. `out` is zeroed on error.
 */
MUST_CHECK enum vault_err pair_keys_derive(struct pair_keys *keys, uint8_t peer, uint64_t own_id,
                                           uint64_t peer_id, const char *use,
                                           uint8_t out[static KEY_BYTES]);

#endif
