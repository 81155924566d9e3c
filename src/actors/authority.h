/*
 * Who may do what, decided by every holder for itself: the bootstrap token may do everything, and so
 * may whoever holds a token that an identity record names; nobody else may do anything.
 */
#ifndef OSTRAKA_ACTORS_AUTHORITY_H
#define OSTRAKA_ACTORS_AUTHORITY_H

#include "actors/membership.h"

/* True when the credential is the bootstrap token (compared by hash, in constant time). */
bool authority_permits(const struct cluster *cluster, struct bytes credential);
/* Whether a list that the caller asks for may show that path. */
bool authority_may_list(const struct cluster *cluster, struct bytes credential, struct path path);
/*
 * A token of a record: begins with TOKEN_PREFIX, and there is a record of kind "token" in
 * SYSTEM_TENANT under the BLAKE2b-256 of its text in hex.
 */
#define TOKEN_PREFIX "ost_"
void authority_token_key(struct bytes token, char out[static 2 * HASH_BYTES + 1]);
/*
 * OK: it is allowed. ERR_FORBIDDEN: it is not. ERR_NOT_READY: this node does not know, since its
 * records may be older than it may decide by.
 */
MUST_CHECK enum vault_err authority_decide(const struct membership *ms, struct instant now,
                                           struct bytes credential);
/* Who presents it: the name under which the caller's Idempotency-Keys are remembered. Static. */
struct bytes authority_caller(struct bytes credential);

#endif
