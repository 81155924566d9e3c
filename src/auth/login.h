/*
 * Logins: who somebody is, from what they prove it with, so that a token can be made for them. Like
 * auth_decide, from the records that a node has; every holder can repeat it.
 */
#ifndef OSTRAKA_AUTH_LOGIN_H
#define OSTRAKA_AUTH_LOGIN_H

#include "auth/decide.h"
#include "crypto/dealing.h"

/* Whom to make a token for. Borrowed from records. */
struct login {
    struct bytes tenant;
    uint8_t identity[AUTH_UUID_BYTES];
    uint64_t ttl_ms; /* of the token; 0: the default */
};

/*
 * Each gives REASON_ALLOWED, or for the audit log why not; a client learns no reason. The identity
 * must be there and active, as for its tokens. *out is empty on error.
 */
enum auth_reason login_approle(const struct auth_records *view, struct bytes role_id,
                               struct bytes secret_id, uint64_t now_ms, struct login *out);
enum auth_reason login_statement(const struct auth_records *view, struct bytes text,
                                 const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                                 struct bytes tenant, uint64_t now_ms, struct login *out);

#endif
