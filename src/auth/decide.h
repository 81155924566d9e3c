/*
 * May this caller do that? One answer, from the caller's credential as it was presented and the
 * identity records that this node has: no I/O, no clock. Every holder of a secret asks it by
 * itself.
 */
#ifndef OSTRAKA_AUTH_DECIDE_H
#define OSTRAKA_AUTH_DECIDE_H

#include "auth/known_tickets.h"
#include "auth/policy.h"
#include "auth/record.h"
#include "auth/token.h"
#include "auth/verified.h"

enum auth_kind {
    AUTH_KIND_TENANT,           /* key: name of the tenant; cluster-wide */
    AUTH_KIND_TOKEN,            /* key: accessor in hex; cluster-wide */
    AUTH_KIND_APPROLE,          /* key: role id as UUID text; of a tenant */
    AUTH_KIND_IDENTITY,         /* key: UUID text; of a tenant */
    AUTH_KIND_POLICY,           /* key: name; of a tenant */
    AUTH_KIND_ISSUER,           /* key: issuer_key(); of a tenant */
    AUTH_KIND_CLIENT_AUTHORITY, /* key: "ca", and "crl" of its list; of a tenant */
};
enum { AUTH_KINDS = AUTH_KIND_CLIENT_AUTHORITY + 1, AUTH_KEY_BYTES_MAX = 64 };
/* The word for a kind in the path of a record: letters a-z. */
const char *auth_kind_name(enum auth_kind kind);

enum auth_found {
    AUTH_FOUND,
    AUTH_ABSENT,
    AUTH_UNAVAILABLE, /* whether there is one cannot be said now */
};

/*
 * Where identity records are looked up. `tenant` is empty for cluster-wide kinds. A record that is
 * found stays readable until the decision is made; *record is empty unless it is found.
 */
struct auth_records {
    const void *context;
    enum auth_found (*get)(const void *context, struct bytes tenant, enum auth_kind kind,
                           struct bytes key, struct bytes *record);
    /* A policy, with its index (NULL: none was made). NULL: it is looked up as any record. */
    enum auth_found (*get_policy)(const void *context, struct bytes tenant, struct bytes name,
                                  struct bytes *record, const struct policy_index **index);
    struct verified *verified;     /* borrowed; NULL: every signature is computed anew */
    struct known_tickets *tickets; /* borrowed; NULL: every token is hashed anew */
};

/* What the caller needs to be allowed. */
enum auth_right {
    RIGHT_IDENTIFIED, /* nothing but a valid credential */
    RIGHT_SECRET,     /* question.operation on question.name */
    RIGHT_OPERATOR,   /* to run the cluster */
    RIGHT_AUDITOR,    /* to read the audit log */
};

struct auth_request {
    struct bytes tenant; /* in which to act; empty: the caller's own */
    enum auth_right right;
    struct policy_question question; /* RIGHT_SECRET */
};

enum auth_answer {
    ANSWER_ALLOWED,
    ANSWER_DENIED,          /* the caller is known, and may not */
    ANSWER_UNAUTHENTICATED, /* the credential is not valid, for whatever reason */
    ANSWER_UNDECIDED,       /* a record cannot be had or read now: neither yes nor no */
};

/* Why; a client learns the answer, not the reason. */
enum auth_reason {
    REASON_ALLOWED,
    REASON_NO_CREDENTIAL,
    REASON_MALFORMED_CREDENTIAL,
    REASON_UNKNOWN_TOKEN,
    REASON_EXPIRED,
    REASON_USED_UP,
    REASON_PARENT_GONE,
    REASON_IDENTITY_GONE,
    REASON_IDENTITY_DISABLED,
    REASON_TENANT_GONE,
    REASON_OTHER_TENANT,
    REASON_NO_RULE,
    REASON_RULE,
    REASON_NO_ROLE,
    REASON_BAD_SIGNATURE,
    REASON_UNKNOWN_ISSUER,
    REASON_UNKNOWN_KEY,
    REASON_AUDIENCE,
    REASON_NOT_YET,
    REASON_UNAVAILABLE,
    REASON_CORRUPT,
    REASON_CERTIFICATE,
    REASON_CERTIFICATE_REVOKED,
    REASON_REVOCATIONS_OLD,
};

/* Views are borrowed from records and request. */
struct auth_decision {
    enum auth_answer answer;
    enum auth_reason reason;
    bool identified; /* the fields below are set */
    uint8_t identity[AUTH_UUID_BYTES];
    struct bytes tenant; /* in which the caller acts */
    bool has_accessor;   /* it came with a token */
    uint8_t accessor[ACCESSOR_BYTES];
    bool counts_use;     /* a use of the token must be counted before the request runs */
    struct bytes policy; /* that decided; empty: none did */
    size_t rule;         /* number of the rule in it */
    bool may_know;       /* DENIED: may read, list or see the history of that name: 403, not 404 */
};

/*
 * `credential`: what the client presented as bearer; empty: none. `now_ms`: wall clock. Nothing is
 * changed: a use of the token is for the caller to count. Time and path are the same for what a
 * caller may not see and for what does not exist, since no secret is looked up.
 */
void auth_decide(const struct auth_records *view, struct bytes credential,
                 const struct auth_request *request, uint64_t now_ms,
                 struct auth_decision *decision);

/*
 * One decision after the other about names of a tenant, for a list of them: whether the caller may
 * list it, as auth_decide() would say of CAPABILITY_LIST where neither time nor address are known,
 * unless they are put into `known`. Who the caller is, and what its policies are, is found once. Of
 * about 4 KB.
 */
struct auth_listing {
    struct policy_question known; /* but for name and operation */
    size_t set_count;             /* each must allow */
    struct auth_listing_set {
        size_t count;
        struct bytes policies[AUTH_POLICIES_MAX]; /* borrowed from records, as are their indexes */
        const struct policy_index *indexes[AUTH_POLICIES_MAX];
    } sets[TOKEN_DEPTH_MAX + 1];
};
/* Other than ANSWER_ALLOWED: there is no list for this caller, and *out is empty. */
enum auth_answer auth_listing_begin(const struct auth_records *view, struct bytes credential,
                                    struct bytes tenant, uint64_t now_ms, struct auth_listing *out);
bool auth_listing_may(const struct auth_listing *listing, struct bytes name);
/*
 * Of the names with that prefix after `after` (empty: of all with it), in the order of their bytes:
 * none before *from may be listed (empty: that is not known of any). False: none at all.
 */
bool auth_listing_from(const struct auth_listing *listing, struct bytes prefix, struct bytes after,
                       struct bytes *from);

/*
 * Whose signed token that is, by the issuers of that tenant; it need not be valid at any time.
 * False: its signature is not good, or nobody knows.
 */
bool auth_jwt_identity(const struct auth_records *view, struct bytes credential,
                       struct bytes tenant, uint8_t out[static AUTH_UUID_BYTES]);

/*
 * Only what policies say, for POST /v1/policies:test: `policies` of that tenant, as if an identity
 * had them. ANSWER_ALLOWED, ANSWER_DENIED or ANSWER_UNDECIDED.
 */
void auth_decide_policies(const struct auth_records *view, struct bytes tenant,
                          const struct auth_names *policies, const struct policy_question *question,
                          struct auth_decision *decision);

#endif
