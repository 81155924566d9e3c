/*
 * Who may do what, decided by every holder for itself. Until identities exist, the bootstrap token
 * may do everything and nobody else anything.
 */
#ifndef OSTRAKA_ACTORS_AUTHORITY_H
#define OSTRAKA_ACTORS_AUTHORITY_H

#include "proto/cluster.h"
#include "proto/head.h"

/* True when the credential is the bootstrap token (compared by hash, in constant time). */
bool authority_permits(const struct cluster *cluster, struct bytes credential);
/* Whether a list that the caller asks for may show that path. */
bool authority_may_list(const struct cluster *cluster, struct bytes credential, struct path path);
/* Who presents it: the name under which the caller's Idempotency-Keys are remembered. Static. */
struct bytes authority_caller(struct bytes credential);

#endif
