/*
 * Logins: who somebody is, from what they prove it with, so that a token can be made for them. Like
 * auth_decide, from the records that a node has; every holder can repeat it.
 */
#ifndef OSTRAKA_AUTH_LOGIN_H
#define OSTRAKA_AUTH_LOGIN_H

#include "auth/decide.h"
#include "crypto/dealing.h"

/* How far apart the clocks of who makes a token and of who votes for it may be, and the way. */
enum { LOGIN_CLOCKS_MS = 30 * 1000 };

/* Whom to make a token for. Views are borrowed from records and arguments. */
struct login {
    struct bytes tenant;
    uint8_t identity[AUTH_UUID_BYTES];
    uint64_t ttl_ms;            /* of the token; 0: the default */
    uint64_t until_ms;          /* it ends no later; 0: no bound */
    struct auth_names policies; /* of the token; empty: all of the identity's */
};

/*
 * What a login is carried by, from the node that the client talks to to those that vote for its
 * token: a JWT and a statement as they are, which anybody can verify; role id and secret id as
 *
 *   "ostlg1." role id "." secret id
 *
 * which whoever has the role's record can. None but the JWT is a bearer of anything else.
 */
bool login_looks_like(struct bytes credential); /* a statement, or a role's */
/* Appends. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err login_credential(struct bytes role_id, struct bytes secret_id,
                                           struct buf *out);

/*
 * Each gives REASON_ALLOWED, or for the audit log why not; a client learns no reason. The identity
 * must be there and active, as for its tokens. *out is empty on error.
 */
enum auth_reason login_approle(const struct auth_records *view, struct bytes tenant,
                               struct bytes role_id, struct bytes secret_id, uint64_t now_ms,
                               struct login *out);
enum auth_reason login_statement(const struct auth_records *view, struct bytes text,
                                 const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                 struct bytes tenant, uint64_t now_ms, struct login *out);
enum auth_reason login_jwt(const struct auth_records *view, struct bytes jwt, struct bytes tenant,
                           uint64_t now_ms, struct login *out);
/* Whichever of them that credential is; in that tenant. */
enum auth_reason login_check(const struct auth_records *view, struct bytes credential,
                             const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct bytes tenant,
                             uint64_t now_ms, struct login *out);

/*
 * The record of the token that a login makes, of that hash. Views are borrowed from the login.
 * Errors: ERR_RANGE, ERR_UNAUTHENTICATED there is no time left.
 */
MUST_CHECK enum vault_err login_token(const struct login *login, uint64_t now_ms,
                                      const uint8_t hash[static HASH_BYTES], struct token *out);
/*
 * That login may make exactly such a token, at this time, as clocks go: of its identity, with its
 * policies and no others, without a parent, not renewable, and no longer than it says.
 */
bool login_makes(const struct login *login, const struct token *token, uint64_t now_ms);

#endif
