/*
 * One request of an API client and its outcome, between api/ (which speaks JSON), runtime/ (which
 * carries it) and the gateway actor. Local only: it may hold plaintext, so there is no codec for it
 * and it cannot reach a link.
 */
#ifndef OSTRAKA_PROTO_REQUEST_H
#define OSTRAKA_PROTO_REQUEST_H

#include "audit/query.h"
#include "base/bytes.h"
#include "base/limits.h"
#include "crypto/dealing.h"

struct env_plan;   /* env/env_plan.h */
struct alteration; /* proto/alteration.h */
struct request;

enum request_kind {
    REQUEST_CREATE,
    REQUEST_UPDATE,
    REQUEST_READ,
    REQUEST_HISTORY,
    REQUEST_DELETE,
    REQUEST_DELETION,     /* progress of the last deletion */
    REQUEST_BATCH,        /* reads several secrets at one moment */
    REQUEST_BATCH_CREATE, /* creates several secrets, all or none */
    REQUEST_HEALTH,       /* answered by the runtime from snapshots, no agreement needed */
    REQUEST_STATUS,
    REQUEST_METRICS,
    REQUEST_ENV,   /* .env text; the runtime makes a BATCH and a BATCH_CREATE of it */
    REQUEST_NAMES, /* names of secrets by prefix */
    REQUEST_COPY,  /* the runtime makes NAMES, a BATCH, a BATCH_CREATE and DELETEs of it */
    /*
     * Identity records (proto/record_path.h): `tenant` and `name` are those of the record's path. A
     * change is answered when no node decides by what was there before. PUT: expected version 0 says
     * that there must be none.
     */
    REQUEST_RECORD_PUT,
    REQUEST_RECORD_GET,
    REQUEST_RECORD_DELETE,
    REQUEST_RECORD_LIST, /* `name` is _auth/<kind>/ and perhaps the key after which to begin */
    REQUEST_AUTH,  /* tenants, policies, identities, tokens: api/auth_flow.h makes RECORD_* of it */
    REQUEST_ALTER, /* changes a secret without a new version: proto/alteration.h */
    REQUEST_METADATA, /* what such changes have made of it, without values */
    /* Audit trails, for auditors: actors/trail_reader.h. The answer is in the reply's value. */
    REQUEST_AUDIT,        /* records of all nodes: audit_page */
    REQUEST_AUDIT_EXPORT, /* the trail of one node: lines of audit/export.h; has_next: `version` */
};
enum { REQUEST_KINDS = REQUEST_AUDIT_EXPORT + 1 };
bool request_is_of_record(enum request_kind kind);
bool request_is_of_audit(enum request_kind kind);
const char *request_kind_name(enum request_kind kind);

/* What a REQUEST_AUTH asks for. X(code, name in logs) */
#define AUTH_OPS(X)                                                                                \
    X(AUTH_TENANT_CREATE, "tenant_create")                                                         \
    X(AUTH_TENANT_GET, "tenant_get")                                                               \
    X(AUTH_TENANT_CHANGE, "tenant_change")                                                         \
    X(AUTH_TENANT_DELETE, "tenant_delete")                                                         \
    X(AUTH_TENANT_LIST, "tenant_list")                                                             \
    X(AUTH_POLICY_PUT, "policy_put")                                                               \
    X(AUTH_POLICY_GET, "policy_get")                                                               \
    X(AUTH_POLICY_DELETE, "policy_delete")                                                         \
    X(AUTH_POLICY_LIST, "policy_list")                                                             \
    X(AUTH_POLICY_TEST, "policy_test")                                                             \
    X(AUTH_IDENTITY_CREATE, "identity_create")                                                     \
    X(AUTH_IDENTITY_GET, "identity_get")                                                           \
    X(AUTH_IDENTITY_CHANGE, "identity_change")                                                     \
    X(AUTH_IDENTITY_DELETE, "identity_delete")                                                     \
    X(AUTH_IDENTITY_LIST, "identity_list")                                                         \
    X(AUTH_TOKEN_CREATE, "token_create")                                                           \
    X(AUTH_TOKEN_SELF, "token_self")                                                               \
    X(AUTH_TOKEN_RENEW, "token_renew")                                                             \
    X(AUTH_TOKEN_REVOKE_SELF, "token_revoke_self")                                                 \
    X(AUTH_TOKEN_REVOKE, "token_revoke")                                                           \
    X(AUTH_LOGIN_APPROLE, "login_approle")                                                         \
    X(AUTH_LOGIN_JWT, "login_jwt")                                                                 \
    X(AUTH_LOGIN_CERT, "login_cert")                                                               \
    X(AUTH_ISSUER_PUT, "issuer_put")                                                               \
    X(AUTH_ISSUER_GET, "issuer_get")                                                               \
    X(AUTH_ISSUER_DELETE, "issuer_delete")                                                         \
    X(AUTH_ISSUER_LIST, "issuer_list")                                                             \
    X(AUTH_CA_PUT, "ca_put")                                                                       \
    X(AUTH_CA_GET, "ca_get")                                                                       \
    X(AUTH_CA_DELETE, "ca_delete")                                                                 \
    X(AUTH_ROLE_CREATE, "role_create")                                                             \
    X(AUTH_ROLE_GET, "role_get")                                                                   \
    X(AUTH_ROLE_DELETE, "role_delete")                                                             \
    X(AUTH_ROLE_LIST, "role_list")                                                                 \
    X(AUTH_SECRET_ID_CREATE, "secret_id_create")                                                   \
    X(AUTH_SECRET_ID_REVOKE, "secret_id_revoke")                                                   \
    X(AUTH_CRL_PUT, "crl_put")                                                                     \
    X(AUTH_CRL_GET, "crl_get")                                                                     \
    X(AUTH_CRL_DELETE, "crl_delete")
enum auth_op {
#define X(code, name) code,
    AUTH_OPS(X)
#undef X
};
const char *auth_op_name(enum auth_op op);
/* A REQUEST_AUTH that comes without a credential: the body is one. */
bool request_is_login(const struct request *request);

enum value_encoding {
    VALUE_TEXT,
    VALUE_BASE64
}; /* how the client wrote the value, kept with it as content type */

/* One secret of a batch. */
struct batch_item {
    struct bytes name;            /* BATCH_CREATE: another one in each item */
    uint64_t version;             /* BATCH: 0 is the latest */
    struct bytes value;           /* BATCH_CREATE: raw bytes; all together BATCH_VALUES_BYTES_MAX */
    enum value_encoding encoding; /* BATCH_CREATE */
};

/* All views are borrowed from the exchange that carries the request, which outlives it. */
struct request {
    bool routed; /* the target and method named a kind (api_parse may still refuse the rest) */
    enum request_kind kind;
    enum vault_err refused; /* not OK: it is to be answered so, and noted, and nothing else */
    const char *refusal; /* api_parse: a sentence that says more than the error; static; or NULL */
    struct bytes id;     /* X-Request-Id, echoed or made: 1..REQUEST_ID_BYTES_MAX visible ASCII */
    struct bytes tenant; /* X-Ostraka-Tenant, or the caller's own, or "default" */
    struct bytes name;   /* valid by secret_name_valid() */
    struct bytes credential;      /* bearer token as presented; empty: none */
    struct bytes idempotency_key; /* of what changes something; empty: none */
    struct bytes value;           /* CREATE, UPDATE: raw bytes (base64 already undone) */
    enum value_encoding encoding; /* CREATE, UPDATE */
    bool has_expected_version;    /* UPDATE, DELETE, ALTER */
    uint64_t expected_version;
    /* DELETE of a move: and this secret, not one that was created since and counts from 1 again. */
    bool has_expected_incarnation;
    uint8_t expected_incarnation[INCARNATION_BYTES];
    uint64_t version; /* READ: 0 is the latest */
    bool has_at;      /* READ at a time; BATCH: all that name no version, as they were then */
    uint64_t at_ms;
    bool stale;                     /* READ ?consistency=stale */
    uint32_t limit;                 /* HISTORY, NAMES, RECORD_LIST: 1..PAGE_MAX */
    uint64_t before_version;        /* HISTORY: versions below this one; 0: from the newest */
    const struct batch_item *items; /* both batches: 1..BATCH_ITEMS_MAX */
    size_t item_count;
    const size_t *item_lines; /* batches of an ENV: where in its text each item stands; or NULL */
    struct bytes env_mode, env_prefix; /* ENV: as the query has them; data is NULL: it has not */
    struct env_plan *env;              /* ENV: what its text asks for */
    bool env_as_json;                  /* ENV: the answer */
    struct bytes copy_from, copy_to;   /* COPY: valid names */
    bool copy_recursive, copy_move;    /* COPY */
    struct bytes names_prefix;         /* NAMES: those that begin with it */
    struct bytes names_after;          /* NAMES: those after this one; empty: from the first */
    /*
     * NAMES, RECORD_LIST: of what every node has, not just of what is agreed upon. Refused with
     * ERR_NO_QUORUM while not all have said, and with ERR_NOT_READY while something that they have
     * may be finished later, or has yet to be told to all of them.
     */
    bool every_node;
    struct bytes address; /* of the client; empty: not known */
    bool use_counted;     /* a use of the token has been counted for it: authority_count_use() */
    bool has_tenant;      /* the client named it */
    enum auth_op auth_op; /* AUTH; `name` is the key, names_after where a list begins */
    struct bytes body;    /* AUTH: JSON as it came */
    const struct alteration *alteration; /* ALTER */
    struct audit_query audit;            /* AUDIT */
    struct bytes audit_after; /* AUDIT: audit_positions_encode(); empty: from the first */
    struct bytes audit_node;  /* AUDIT_EXPORT: its name; empty: this one */
    uint64_t export_from;     /* AUDIT_EXPORT: 1 + the block to go on with; 0: the start */
    bool purge;               /* AUTH, a tenant is deleted: with all that is in it */
    bool is_login;            /* RECORD_PUT: of a token, by the login that auth_op says */
    bool never_there; /* RECORD_PUT: nothing may have been there, not even something deleted */
};

enum failed_phase { PHASE_NONE, PHASE_VOTING, PHASE_WRITING };

struct history_row {
    uint64_t version;
    uint64_t valid_from_ms;
    uint64_t valid_to_ms; /* 0: still valid */
    struct bytes author;
    bool deleted, destroyed; /* its value is not to be had: for now, or for good */
};

struct record_row {
    struct bytes key;
    uint64_t version;
    struct bytes value;
};

/* What is kept about a secret beside its versions. */
struct secret_metadata {
    uint64_t oldest_version;
    uint64_t max_versions;  /* 0: as many as are kept by default */
    uint64_t expires_at_ms; /* 0: never */
    uint64_t changed_at_ms;
    struct bytes custom; /* metadata_decode() in proto/alteration.h */
};

/*
 * What became of one secret of a batch; in the order of the request. Of BATCH_CREATE version and
 * valid_from alone.
 */
struct item_result {
    enum vault_err err; /* not OK: why the batch failed, or OK: nothing was wrong with this one */
    uint64_t version;
    uint64_t valid_from_ms;
    uint64_t valid_to_ms; /* 0 when it is the current version */
    struct bytes value;
    enum value_encoding encoding;
    uint8_t incarnation[INCARNATION_BYTES]; /* of the secret that the value was read of */
};

/* Views are borrowed from the step that made the reply: rendered before it ends. */
struct reply {
    enum vault_err err;      /* OK or why not */
    enum failed_phase phase; /* for ERR_NO_QUORUM and the like on changes */
    uint64_t version;        /* CREATE, UPDATE, READ */
    uint64_t valid_from_ms;  /* CREATE, UPDATE, READ */
    uint64_t valid_to_ms;    /* READ: 0 when it is the current version */
    struct bytes value;      /* READ */
    enum value_encoding encoding;
    bool stale;                     /* READ: answered with consistency=stale */
    const struct history_row *rows; /* HISTORY, newest first */
    size_t row_count;
    bool has_next;      /* HISTORY: there are older versions; NAMES; RECORD_LIST: more records */
    unsigned erased_on; /* DELETE, DELETION */
    unsigned required;
    unsigned replicas;
    bool shredded;
    unsigned retry_after_ms;         /* ERR_BUSY: a hint, 0 none */
    const struct item_result *items; /* batches, also when some of them made it fail; or NULL */
    size_t item_count;               /* COPY: how many were copied */
    const struct bytes *names;       /* NAMES, in the order of their bytes */
    size_t name_count;
    struct bytes names_next;          /* NAMES: has_next: there may be more after this one */
    const struct record_row *records; /* RECORD_LIST, by key */
    size_t record_count;
    struct secret_metadata metadata;        /* METADATA; `version` is the latest */
    uint8_t incarnation[INCARNATION_BYTES]; /* READ: of the secret */
};

/*
 * The one rule of what a secret name is: UTF-8, 1..512 bytes, segments by '/', none empty, "." or
 * "..", no control characters (U+0000..1F, U+007F..9F), no leading '_' in the first segment.
 */
bool secret_name_valid(struct bytes name);
/* [a-z0-9][a-z0-9_-]{0,63} */
bool tenant_name_valid(struct bytes tenant);

#endif
