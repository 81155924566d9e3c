/* Who a caller is, between the check of the credential and that of the policies. Internal. */
#ifndef OSTRAKA_AUTH_PRINCIPAL_H
#define OSTRAKA_AUTH_PRINCIPAL_H

#include "auth/decide.h"

enum { POLICY_SETS_MAX = TOKEN_DEPTH_MAX + 1 };

struct principal {
    uint8_t identity[AUTH_UUID_BYTES];
    struct bytes tenant;       /* its own */
    struct auth_names tenants; /* others */
    size_t set_count;
    struct auth_names sets[POLICY_SETS_MAX]; /* each must allow; the first is the identity's */
    bool has_accessor, counts_use;
    uint8_t accessor[ACCESSOR_BYTES];
};

/* REASON_ALLOWED when *out is who it is; else why not. */
enum auth_reason principal_of_token(const struct auth_records *view, struct bytes credential,
                                    uint64_t now_ms, struct principal *out);

/*
 * Same of a JSON web token, by the issuers of that tenant (empty: "default"): an issuer is trusted
 * by a tenant, and a token names none. out->identity is also set when nothing but the claims is
 * wrong.
 */
enum auth_reason principal_of_jwt(const struct auth_records *view, struct bytes credential,
                                  struct bytes tenant, uint64_t now_ms, struct principal *out);

/* Looks a record up under a key; REASON_ALLOWED when found, `absent` when there is none. */
enum auth_reason auth_lookup(const struct auth_records *view, struct bytes tenant,
                             enum auth_kind kind, struct bytes key, enum auth_reason absent,
                             struct bytes *record);

#endif
