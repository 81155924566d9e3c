/*
 * What callers prove who they are with, and the identity records that this rests on: roles with
 * secret ids, issuers of JSON web tokens, an authority for certificates, and identities. In both
 * tenants they have the same names, and stand for other rights.
 */
#ifndef OSTRAKA_SIM_PAPERS_H
#define OSTRAKA_SIM_PAPERS_H

#include "crypto/dealing.h"
#include "sim/grants.h"

/* Records that are taken away and come back. */
enum paper {
    PAPER_ROLE,
    PAPER_ROLE_ELSEWHERE,
    PAPER_MACHINE, /* the identity that the role logs in */
    PAPER_MACHINE_ELSEWHERE,
    PAPER_HOLDER, /* the identity that the certificate names */
    PAPER_TRAVELLER,
    PAPER_ISSUER,
    PAPER_ISSUER_ELSEWHERE,
    PAPER_AUTHORITY,
};
enum { PAPERS = PAPER_AUTHORITY + 1, PAPER_POLICIES = 4, PAPERS_STANDING = PAPER_POLICIES + 1 };
const char *paper_name(enum paper paper);

/*
 * A secret id is good in one round alone; the second of a role ends. Not good: a role without
 * secret ids, an identity that is disabled, an authority that revokes the certificate, and of an
 * issuer the size is 0: it is deleted.
 */
void paper_fill(uint64_t seed, enum paper paper, bool good, uint64_t round, uint64_t ends_ms,
                struct grant *out);
/* What stays: the policies, and the identity of counted tokens, by number. */
void paper_standing(unsigned number, struct grant *out);

/* Of the tokens of these. Views are static. */
enum { CALLER_MACHINE, CALLER_HOLDER, CALLER_TRAVELLER, CALLER_STANDING };
void paper_identity(unsigned caller, uint8_t out[static AUTH_UUID_BYTES]);

enum { CREDENTIAL_TEXT_MAX = 2048, ROLE_TTL_MS = 25000 };
/* All are texts, NUL-ended. `second`: the secret id that ends. */
void paper_role_text(uint64_t seed, bool elsewhere, uint64_t round, bool second,
                     char out[static CREDENTIAL_TEXT_MAX]);
void paper_statement(const uint8_t cluster_id[static CLUSTER_ID_BYTES], const char *tenant,
                     uint64_t time_ms, uint64_t nonce, char out[static CREDENTIAL_TEXT_MAX]);
/* In seconds since 1970. `known`: it has a role that gives policies. */
void paper_jwt(uint64_t seed, bool elsewhere, uint64_t until_s, uint64_t nonce, bool known,
               char out[static CREDENTIAL_TEXT_MAX]);
/* The identity that such a token stands for in that tenant. */
void paper_jwt_identity(const char *jwt, const char *tenant, uint8_t out[static AUTH_UUID_BYTES]);

#endif
