/* Records of identities (people, services, devices), tenants, and logins of machines. */
#ifndef OSTRAKA_AUTH_IDENTITY_H
#define OSTRAKA_AUTH_IDENTITY_H

#include "auth/record.h"
#include "auth/ticket.h"

enum identity_kind { IDENTITY_USER, IDENTITY_SERVICE, IDENTITY_DEVICE }; /* stored */
enum { IDENTITY_KINDS = IDENTITY_DEVICE + 1 };
const char *identity_kind_name(enum identity_kind kind);
bool identity_kind_parse(struct bytes text, enum identity_kind *out);

struct metadata_pair {
    struct bytes key, value;
};

/*
 * Kept in its own tenant. Two names of policies are not records: "operator" lets an identity run
 * the cluster, "auditor" lets it read the audit log (policy_name_reserved()). Whoever may change
 * identities must be an operator to give these, or other tenants, to one.
 */
struct identity {
    uint8_t id[AUTH_UUID_BYTES];
    struct bytes name; /* 1..AUTH_NAME_BYTES_MAX of UTF-8 without control characters */
    enum identity_kind kind;
    bool disabled; /* none of its tokens is valid */
    uint64_t created_ms;
    struct auth_names policies;
    struct auth_names tenants; /* others that it may act in, by their policies of the same names */
    size_t metadata_count;
    struct metadata_pair metadata[AUTH_METADATA_MAX]; /* ascending by key */
};

bool identity_name_valid(struct bytes name);
MUST_CHECK enum vault_err identity_encode(const struct identity *identity, struct buf *out);
MUST_CHECK enum vault_err identity_decode(struct bytes encoded, struct identity *out);

/* 0 in a limit: none. */
struct tenant {
    struct bytes name;
    uint64_t created_ms;
    uint64_t secrets_max;
    uint64_t versions_max;        /* kept of one secret, <= VERSIONS_KEPT_MAX */
    uint64_t value_bytes_max;     /* <= VALUE_BYTES_MAX */
    uint64_t requests_per_second; /* on one node, <= REQUESTS_PER_SECOND_MAX */
    uint64_t expires_after_s;     /* of new secrets, <= EXPIRES_AFTER_S_MAX */
    uint64_t purging_ms;          /* since then all that is in it is being deleted; 0: it is not */
};
enum {
    REQUESTS_PER_SECOND_MAX = 1000000,
    /*
     * From the mark until what was voted for before it has been written or never will be: a request's
     * deadline and what clocks differ by; as long as a node that is silent may go by what was before the
     * mark; and as far back as what nodes say of their records may lie (actors/lease.h).
     */
    TENANT_PURGE_QUIET_MS = 10200,
};
#define EXPIRES_AFTER_S_MAX (UINT64_C(100) * 366 * 24 * 60 * 60)
MUST_CHECK enum vault_err tenant_encode(const struct tenant *tenant, struct buf *out);
MUST_CHECK enum vault_err tenant_decode(struct bytes encoded, struct tenant *out);
/* Of a record that decodes; without decoding it. */
bool tenant_is_purged(struct bytes encoded);

enum { APPROLE_SECRETS_MAX = 4 };

/* A secret id, or several while they are exchanged. */
struct approle_secret {
    uint8_t hash[HASH_BYTES]; /* ticket_hash() */
    uint64_t expires_ms;      /* 0: never */
};
struct approle {
    uint8_t role_id[AUTH_UUID_BYTES];
    struct bytes tenant;               /* of the identity */
    uint8_t identity[AUTH_UUID_BYTES]; /* whom it logs in */
    uint64_t ttl_ms;                   /* of the tokens it gets */
    uint8_t secret_count;
    struct approle_secret secrets[APPROLE_SECRETS_MAX];
};
MUST_CHECK enum vault_err approle_encode(const struct approle *role, struct buf *out);
MUST_CHECK enum vault_err approle_decode(struct bytes encoded, struct approle *out);
/*
 * Whether that secret id logs in now. `role` may be NULL, as for a role id that nobody has: the
 * same work is done, whatever is wrong.
 */
bool approle_check(const struct approle *role, struct bytes secret_id, uint64_t now_ms);

/* The text form of RFC 9562, lower case: 8-4-4-4-12 hex digits. */
enum { UUID_TEXT_BYTES = 36 };
void uuid_format(const uint8_t id[static AUTH_UUID_BYTES], char out[static UUID_TEXT_BYTES + 1]);
/* Lower case only: one id, one text. Errors: ERR_MALFORMED, `out` zeroed. */
MUST_CHECK enum vault_err uuid_parse(struct bytes text, uint8_t out[static AUTH_UUID_BYTES]);
/* Of jwt_identity(): made of an issuer's subject, so that there is no record of it. */
bool uuid_is_of_issuer(const uint8_t id[static AUTH_UUID_BYTES]);
/* One that follows from a hash, and looks as a random one does. */
void uuid_of_hash(const uint8_t hash[static HASH_BYTES], uint8_t out[static AUTH_UUID_BYTES]);
/* A random one, version 4. Errors: ERR_ENTROPY */
MUST_CHECK enum vault_err uuid_make(const struct rng *rng, uint8_t out[static AUTH_UUID_BYTES]);

#endif
