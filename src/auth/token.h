/*
 * The record of an access token. It is kept under the token's accessor, and has the hash of the
 * token, never the token.
 *
 * A token made with another token is its child. A record names its parent alone; whoever checks a
 * token walks up (at most TOKEN_DEPTH_MAX records) and takes it only if every one of them is there
 * and valid: so a revoked parent, whose record is gone, takes its children with it at once, and no
 * list of children can be incomplete.
 */
#ifndef OSTRAKA_AUTH_TOKEN_H
#define OSTRAKA_AUTH_TOKEN_H

#include "auth/record.h"
#include "auth/ticket.h"

enum token_state { TOKEN_VALID, TOKEN_EXPIRED, TOKEN_USED_UP };

/* Times are milliseconds since 1970. */
struct token {
    uint8_t hash[HASH_BYTES];
    struct bytes tenant; /* of the identity; borrowed */
    uint8_t identity[AUTH_UUID_BYTES];
    bool has_parent;
    uint8_t parent[ACCESSOR_BYTES];
    uint8_t depth; /* 0 without a parent, else one more than the parent's */
    uint64_t created_ms;
    uint64_t expires_ms;        /* from then on it is not valid; > created_ms */
    uint64_t latest_ms;         /* no renewal goes beyond; >= expires_ms */
    uint64_t ttl_ms;            /* a renewal adds that; 0: cannot be renewed */
    uint64_t uses_limit;        /* 0: any number */
    uint64_t uses_left;         /* <= uses_limit */
    struct auth_names policies; /* empty: all of the identity's; else these must allow it, too */
    uint64_t spent_ms;          /* when the last use was counted; 0: none has been */
};
/* For so long after a use has been counted, whoever is asked takes what it is asked for as that. */
enum { TOKEN_USE_MS = 15 * 1000 };

/* Appends. Errors: ERR_NOMEM, ERR_TOO_LARGE, ERR_RANGE; `out` is then as before. */
MUST_CHECK enum vault_err token_encode(const struct token *token, struct buf *out);
/* Views are borrowed. Errors: ERR_MALFORMED, *out is then zero. */
MUST_CHECK enum vault_err token_decode(struct bytes encoded, struct token *out);

/* Of this record alone; parents and identity come on top. */
enum token_state token_check(const struct token *token, uint64_t now_ms);
/*
 * Counts one use. Errors: ERR_UNAUTHENTICATED when the token is not valid at that time; unchanged
 * then.
 */
MUST_CHECK enum vault_err token_spend(struct token *token, uint64_t now_ms);
/* A use was counted so lately that it may be under way. */
bool token_in_use(const struct token *token, uint64_t now_ms);
/*
 * `after` is `before` with one use counted, no later than now, as clocks go, and nothing else: what
 * a token itself may make of its record.
 */
bool token_is_spent(const struct token *before, const struct token *after, uint64_t now_ms);
/*
 * Puts the end off to one ttl from now, but not beyond the latest; never brings it forward. Errors:
 * ERR_UNAUTHENTICATED not valid now, ERR_FORBIDDEN cannot be renewed; unchanged then.
 */
MUST_CHECK enum vault_err token_renew(struct token *token, uint64_t now_ms);

/* What is asked for when a token is made; 0 is the default. */
struct token_wish {
    uint64_t ttl_ms; /* 1 s..TOKEN_TTL_MS_MAX; default TOKEN_TTL_MS_DEFAULT */
    uint64_t uses;
    bool renewable; /* up to TOKEN_LATEST_MS_MAX from now */
    struct auth_names policies;
};
enum {
    TOKEN_TTL_MS_MIN = 1000,
    TOKEN_TTL_MS_DEFAULT = 3600 * 1000,
    TOKEN_TTL_MS_MAX = 2000000000, /* 23 days */
};
#define TOKEN_LATEST_MS_MAX (UINT64_C(400) * 24 * 3600 * 1000)

/*
 * The record of a new token of an identity. `parent`: NULL, or a token that is valid now; the child
 * does not outlive it. (That the policies of a parent of the same identity hold for its children
 * comes from walking up, auth/decide.h, and needs no copy.) Views are borrowed. Errors: ERR_RANGE
 * ttl, ERR_FORBIDDEN a chain that is too long, or a parent whose uses are counted.
 */
MUST_CHECK enum vault_err token_fill(const struct token_wish *wish, struct bytes tenant,
                                     const uint8_t identity[static AUTH_UUID_BYTES],
                                     const struct token *parent, uint64_t now_ms,
                                     const uint8_t hash[static HASH_BYTES], struct token *out);

#endif
