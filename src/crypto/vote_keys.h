/*
 * Keys under which the nodes of a cluster vouch for votes and writes to each other: one for each
 * pair of nodes, and one that a node has for itself.
 *
 * What a node vouches for is kept with the heads on disk and shown for as long as the path exists,
 * so these keys neither change nor go with a restart: a node's private half is derived from what
 * its storage key gives, and its public half is told in heartbeats and remembered. The key of
 * nodes i and j, i < j, is
 *
 *   K = HKDF-SHA-256(X25519(i, j), label, cluster id, i, j, public half of i, public half of j)
 *
 * It authenticates and hides nothing, so static halves do no harm here: whoever gets a node's
 * storage key can speak as that node from then on, and reads nothing by it.
 *
 * A node that lost its storage key has another private half. What it had vouched for before stands
 * in heads that others keep, so each of them remembers the half before the newest, too.
 */
#ifndef OSTRAKA_CRYPTO_VOTE_KEYS_H
#define OSTRAKA_CRYPTO_VOTE_KEYS_H

#include "base/limits.h"
#include "crypto/dealing.h"
#include "crypto/hash.h"
#include "crypto/x25519.h"

enum {
    VOTE_MAC_BYTES = 16,
    VOTE_SAID_MAX = 96,                /* what a MAC is over: with the key one block of BLAKE2b */
    VOTE_KEY_SLOTS = 2 * NODES_MAX + 1 /* of the secrets arena */
};

/*
 * The public half that belongs to `root`, as cluster.conf names it, so that nodes know it before
 * they have heard of each other. Errors: ERR_NOMEM.
 */
MUST_CHECK enum vault_err vote_key_public(struct bytes root,
                                          const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                          uint8_t out[static X25519_BYTES]);

/* Must not be copied. */
struct vote_keys {
    struct secret_arena *arena; /* borrowed */
    uint8_t cluster_id[CLUSTER_ID_BYTES];
    uint8_t self;
    struct secret private_half;
    uint8_t public_half[X25519_BYTES];
    struct vote_pair {
        uint8_t public_half[X25519_BYTES]; /* zero: not known */
        struct secret key;                 /* made when it is first needed */
    } peers[NODES_MAX],                    /* this node's own key among them */
        before[NODES_MAX];                 /* with the half that a peer had before; its own: none */
};

/*
 * `root` is this node's secret that outlives restarts; borrowed for the call.
 * Errors: ERR_BUSY no slot left, ERR_NOMEM; nothing is held then.
 */
MUST_CHECK enum vault_err vote_keys_init(struct vote_keys *keys, struct secret_arena *arena,
                                         const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                         uint8_t self, const struct secret *root);
void vote_keys_close(struct vote_keys *keys); /* wipes everything; also of what was all zero */

/*
 * The peer's public half as it tells it. True: it is another one than was known, which is the one
 * before from now on. Zero is ignored.
 */
bool vote_keys_learn(struct vote_keys *keys, uint8_t peer,
                     const uint8_t public_half[static X25519_BYTES]);
/* The half before, as it was remembered. Zero is ignored. */
void vote_keys_recall_before(struct vote_keys *keys, uint8_t peer,
                             const uint8_t public_half[static X25519_BYTES]);

/*
 * MAC over `said`, at most VOTE_SAID_MAX bytes of one form and size for all, under the key of this node
 * and `peer` (or this node itself): the first half of BLAKE2b-256(key | said). That is one call of the
 * compression function, where the keyed mode takes two; a prefix is as good a key, since BLAKE2b cannot
 * be extended and the size of the input is no choice of anybody's. False, and all zero: that key is not
 * known.
 */
bool vote_keys_mac(struct vote_keys *keys, uint8_t peer, struct bytes said,
                   uint8_t out[static VOTE_MAC_BYTES]);
/* The same under the key with the half that the peer had before: to check what it said then. */
bool vote_keys_mac_before(struct vote_keys *keys, uint8_t peer, struct bytes said,
                          uint8_t out[static VOTE_MAC_BYTES]);

#endif
