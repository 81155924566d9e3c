/*
 * HELLO: the first frame in both directions. A CBOR map with the keys 0 to 8 in the order of struct
 * link_hello, 9 from a node that uses a master key, and 10 to one that understands it. Key 0, the
 * protocol version, stays readable for all versions; whatever else a version says is its own.
 *
 * A node without a master key says nothing of it, so that it and a program that does not know of
 * key 9 understand each other. Whether the peer knows key 10 is agreed on with TLS before
 * (tls_peer_extends()).
 */
#include <string.h>

#include "base/cbor.h"
#include "runtime/link_internal.h"

enum hello_key {
    HELLO_PROTOCOL,
    HELLO_CLUSTER_ID,
    HELLO_CONFIG_HASH,
    HELLO_NODE,
    HELLO_STORE_ID,
    HELLO_INCARNATION,
    HELLO_BOOT,
    HELLO_SIGNING_KEY,
    HELLO_SIGNING_PROOF,
    HELLO_SEAL,
    HELLO_TOKEN,
    HELLO_KEYS_LEAST = HELLO_SEAL,
};

enum { HELLO_PAIRS_MAX = 32 }; /* of any version */

enum vault_err
link_hello_encode(const struct link_hello *hello, struct buf *out)
{
    struct cbor_writer w;

    cbor_writer_init(&w, out);
    cbor_put_map(&w, HELLO_KEYS_LEAST + (uint64_t)hello->sealed + (uint64_t)hello->tells_token);
    cbor_put_uint(&w, HELLO_PROTOCOL);
    cbor_put_uint(&w, hello->protocol);
    cbor_put_uint(&w, HELLO_CLUSTER_ID);
    cbor_put_bytes(&w, bytes_of(hello->cluster_id, sizeof(hello->cluster_id)));
    cbor_put_uint(&w, HELLO_CONFIG_HASH);
    cbor_put_bytes(&w, bytes_of(hello->config_hash, sizeof(hello->config_hash)));
    cbor_put_uint(&w, HELLO_NODE);
    cbor_put_uint(&w, hello->node);
    cbor_put_uint(&w, HELLO_STORE_ID);
    cbor_put_bytes(&w, bytes_of(hello->store_id, sizeof(hello->store_id)));
    cbor_put_uint(&w, HELLO_INCARNATION);
    cbor_put_uint(&w, hello->incarnation);
    cbor_put_uint(&w, HELLO_BOOT);
    cbor_put_uint(&w, hello->boot);
    cbor_put_uint(&w, HELLO_SIGNING_KEY);
    cbor_put_bytes(&w, bytes_of(hello->signing.key, sizeof(hello->signing.key)));
    cbor_put_uint(&w, HELLO_SIGNING_PROOF);
    cbor_put_bytes(&w, bytes_of(hello->signing.proof, hello->signing.proof_size));
    if (hello->sealed) {
        cbor_put_uint(&w, HELLO_SEAL);
        cbor_put_bytes(&w, bytes_of(hello->seal, sizeof(hello->seal)));
    }
    if (hello->tells_token) {
        cbor_put_uint(&w, HELLO_TOKEN);
        cbor_put_bytes(&w, bytes_of(hello->token_mark, sizeof(hello->token_mark)));
    }
    return w.err;
}

static void
expect_key(struct cbor_reader *r, enum hello_key key)
{
    if (cbor_get_uint(r) != (uint64_t)key && r->err == OK)
        r->err = ERR_MALFORMED;
}

static void
read_signing(struct cbor_reader *r, struct signing_public *out)
{
    struct bytes proof;

    expect_key(r, HELLO_SIGNING_KEY);
    cbor_get_fixed(r, out->key, sizeof(out->key));
    expect_key(r, HELLO_SIGNING_PROOF);
    proof = cbor_get_bytes(r, sizeof(out->proof));
    if (r->err != OK || proof.size == 0)
        return;
    memcpy(out->proof, proof.data, proof.size);
    out->proof_size = proof.size;
}

/* What not every node says: each at most once, in the order of the keys. */
static void
read_more(struct cbor_reader *r, uint64_t count, struct link_hello *out)
{
    for (; count > 0 && r->err == OK; count--) {
        uint64_t key = cbor_get_uint(r);

        if (key == HELLO_SEAL && !out->sealed && !out->tells_token) {
            cbor_get_fixed(r, out->seal, sizeof(out->seal));
            out->sealed = true;
        } else if (key == HELLO_TOKEN && !out->tells_token) {
            cbor_get_fixed(r, out->token_mark, sizeof(out->token_mark));
            out->tells_token = true;
        } else if (r->err == OK) {
            r->err = ERR_MALFORMED;
        }
    }
}

static void
read_fields(struct cbor_reader *r, struct link_hello *out)
{
    expect_key(r, HELLO_CLUSTER_ID);
    cbor_get_fixed(r, out->cluster_id, sizeof(out->cluster_id));
    expect_key(r, HELLO_CONFIG_HASH);
    cbor_get_fixed(r, out->config_hash, sizeof(out->config_hash));
    expect_key(r, HELLO_NODE);
    out->node = cbor_get_uint(r);
    expect_key(r, HELLO_STORE_ID);
    cbor_get_fixed(r, out->store_id, sizeof(out->store_id));
    expect_key(r, HELLO_INCARNATION);
    out->incarnation = cbor_get_uint(r);
    expect_key(r, HELLO_BOOT);
    out->boot = cbor_get_uint(r);
    read_signing(r, &out->signing);
}

enum vault_err
link_hello_decode(struct bytes input, struct link_hello *out)
{
    struct cbor_reader r, whole;
    uint64_t pairs;
    enum vault_err err;

    memset(out, 0, sizeof(*out));
    if (input.size > LINK_HELLO_BYTES_MAX)
        return ERR_MALFORMED;

    /* The form first, whatever the version. */
    cbor_reader_init(&whole, input);
    cbor_skip(&whole);
    if ((err = cbor_finish(&whole)) != OK)
        return err;

    cbor_reader_init(&r, input);
    pairs = cbor_get_map(&r, HELLO_PAIRS_MAX);
    expect_key(&r, HELLO_PROTOCOL);
    out->protocol = cbor_get_uint(&r);
    if (r.err == OK && out->protocol != LINK_PROTOCOL)
        return ERR_UNEXPECTED;

    if (r.err == OK && pairs < HELLO_KEYS_LEAST)
        r.err = ERR_MALFORMED;
    read_fields(&r, out);
    if (r.err == OK)
        read_more(&r, pairs - HELLO_KEYS_LEAST, out);
    err = cbor_finish(&r);
    if (err != OK)
        memset(out, 0, sizeof(*out));
    return err;
}

/*
 * A node that took values without the master key would store them for all to open without it, and
 * nobody would notice: what opens them takes either kind.
 */
static bool
same_seal(const struct link_hello *a, const struct link_hello *b)
{
    return a->sealed == b->sealed && memcmp(a->seal, b->seal, sizeof(a->seal)) == 0;
}

enum link_fault
link_hello_check(const struct link_hello *ours, const struct link_hello *theirs, unsigned certified)
{
    if (theirs->protocol != ours->protocol)
        return LINK_FAULT_PROTOCOL;
    if (memcmp(theirs->cluster_id, ours->cluster_id, sizeof(ours->cluster_id)) != 0)
        return LINK_FAULT_CLUSTER;
    if (memcmp(theirs->config_hash, ours->config_hash, sizeof(ours->config_hash)) != 0)
        return LINK_FAULT_CONFIG;
    if (!same_seal(ours, theirs))
        return LINK_FAULT_SEAL;
    if (theirs->node != certified)
        return LINK_FAULT_NODE;
    return LINK_FAULT_NONE;
}

const char *
link_fault_text(enum link_fault fault)
{
    switch (fault) {
#define X(code, text)                                                                              \
    case code: return text;
        LINK_FAULTS(X)
#undef X
    }
    return "unknown";
}

bool
link_fault_is_mismatch(enum link_fault fault)
{
    return fault == LINK_FAULT_PROTOCOL || fault == LINK_FAULT_CLUSTER ||
           fault == LINK_FAULT_CONFIG || fault == LINK_FAULT_SEAL;
}
