/*
 * Who may do what, decided by every holder for itself: the bootstrap token may do everything; a
 * token that an identity record names, or that an issuer has signed whose record the tenant has,
 * may do what its policies allow (auth/decide.h), as this node knows them; nobody else may do
 * anything.
 *
 * Where the client talks to a node, all that is known of the request counts. Other holders know
 * less of it (not the version that it expects, nor what a head is looked at for), and allow no less
 * than that node: but nothing that no capability of the caller on that very name is enough for.
 */
#ifndef OSTRAKA_ACTORS_AUTHORITY_H
#define OSTRAKA_ACTORS_AUTHORITY_H

#include "actors/actor.h"
#include "actors/membership.h"
#include "auth/decide.h"
#include "auth/identity.h"
#include "proto/request.h"

struct login; /* auth/login.h */

/*
 * All that follow: OK it is allowed. ERR_UNAUTHENTICATED the credential is not valid. ERR_FORBIDDEN
 * the caller may not; ERR_NOT_FOUND the same, and may not know whether there is such a name.
 * ERR_NOT_READY this node does not know, since its records may be older than it may decide by.
 */
MUST_CHECK enum vault_err authority_of_request(const struct membership *ms, const struct step *st,
                                               const struct request *request);
/*
 * A token whose uses are counted: before a request runs, one use is counted by a change of the
 * token's record, which the token itself may make (token_is_spent()). For TOKEN_USE_MS from then on
 * holders take what they are asked for as that use.
 */
bool authority_counts_uses(const struct membership *ms, struct bytes credential);
/*
 * That change, as a request; lies in `arena` but for the credential. Where others are counted at the
 * same time it may be refused, as VERSION_MISMATCH or for want of a right, and is to be made anew.
 * Errors: ERR_UNAUTHENTICATED none is left, ERR_NOMEM.
 */
MUST_CHECK enum vault_err authority_count_use(const struct membership *ms, const struct step *st,
                                              struct bytes credential, struct arena *arena,
                                              struct request *out);
/* One secret of a batch alone. */
MUST_CHECK enum vault_err authority_of_item(const struct membership *ms, const struct step *st,
                                            const struct request *request, size_t item);
/* A vote for a change of that kind, not FINISH. `value`: of an identity record, as below. */
MUST_CHECK enum vault_err authority_of_vote(const struct membership *ms, const struct step *st,
                                            struct path path, enum change_kind purpose,
                                            struct bytes value, struct bytes credential);
/*
 * What belongs to identity records: operators may do all of it. A token may look at its own record,
 * put its end off as far as it allows itself, count a use of itself, make children of its own
 * identity, and remove itself and its descendants; a login makes one token. `value`: of a change,
 * all of what is to be put.
 */
enum record_action { RECORD_LOOK, RECORD_CHANGE, RECORD_REMOVE };
MUST_CHECK enum vault_err authority_of_record(const struct membership *ms, const struct step *st,
                                              struct path path, enum record_action action,
                                              struct bytes value, struct bytes credential);
/*
 * Whom that credential logs in to that tenant, by the records here (auth/login.h). A token's record
 * may be put with it, by authority_of_record: each holder checks that the login is good and that
 * the token is what it makes. Views are borrowed from records and arguments. Errors:
 * ERR_UNAUTHENTICATED, ERR_NOT_READY, ERR_BUSY no more records for logins.
 */
MUST_CHECK enum vault_err authority_login(const struct membership *ms, const struct step *st,
                                          struct bytes tenant, struct bytes credential,
                                          struct login *out);
/* A share with its dealing; or a head, or the versions. */
MUST_CHECK enum vault_err authority_of_value(const struct membership *ms, const struct step *st,
                                             struct path path, struct bytes credential);
MUST_CHECK enum vault_err authority_of_head(const struct membership *ms, const struct step *st,
                                            struct path path, struct bytes credential);
/* To ask for names of that tenant at all. */
MUST_CHECK enum vault_err authority_of_names(const struct membership *ms, const struct step *st,
                                             struct bytes tenant, struct bytes credential);
/*
 * And then whether a name may be shown: who it is that asks is found once, for all the names of one
 * step. Operators may see names in all tenants: they must know what they delete a tenant with.
 * Errors: as of authority_of_names; what is shown is then unknown, and not nothing.
 */
struct authority_listing {
    bool all;
    struct auth_listing by_policies;
};
MUST_CHECK enum vault_err authority_listing(const struct membership *ms, const struct step *st,
                                            struct bytes tenant, struct bytes credential,
                                            struct authority_listing *out);
/* The same with all that is known of the request where the client talks to this node. */
MUST_CHECK enum vault_err authority_listing_of_request(const struct membership *ms,
                                                       const struct step *st,
                                                       const struct request *request,
                                                       struct authority_listing *out);
bool authority_may_list(const struct authority_listing *listing, struct bytes name);
/* As auth_listing_from(). */
bool authority_list_from(const struct authority_listing *listing, struct bytes prefix,
                         struct bytes after, struct bytes *from);

/* Of a credential that is not valid: it, or what it depends on, was valid and has been taken away. */
bool authority_was_revoked(const struct membership *ms, const struct step *st,
                           struct bytes credential);

/*
 * Whether it is a valid credential of anybody who wants to act in that tenant (empty: the own), be
 * it that they may not: OK, ERR_UNAUTHENTICATED or ERR_NOT_READY.
 */
MUST_CHECK enum vault_err authority_of_caller(const struct membership *ms, const struct step *st,
                                              struct bytes tenant, struct bytes credential);
/*
 * The tenant in which whoever presents it acts without naming one: that of the identity, or
 * "default". Borrowed from the records, or static.
 */
struct bytes authority_tenant(const struct membership *ms, struct bytes credential);
/* To read audit trails. */
MUST_CHECK enum vault_err authority_of_trail(const struct membership *ms, const struct step *st,
                                             struct bytes credential);

/* The limits of that tenant, as far as they are known here; 0: none. The name is borrowed. */
void authority_tenant_limits(const struct membership *ms, struct bytes tenant, struct tenant *out);

/*
 * Who presents it for something at that path (a name is not needed): the name under which the
 * caller's Idempotency-Keys are remembered and versions are signed: "admin", or the identity's id
 * as UUID text. The same at every node that knows the token. Empty: not known here. Borrowed from
 * `memory`, or static.
 */
enum { CALLER_BYTES = 37 };
struct bytes authority_caller(const struct membership *ms, struct path path,
                              struct bytes credential, char memory[static CALLER_BYTES]);

#endif
