/* Bounds of identity records and of what is checked against them. */
#ifndef OSTRAKA_AUTH_LIMITS_H
#define OSTRAKA_AUTH_LIMITS_H

#include "base/limits.h"

enum {
    AUTH_RECORD_BYTES_MAX = 8 * 1024, /* any identity record; it lies in a head, with signatures */
    POLICY_RULES_MAX = 64,            /* rules of one policy */
    POLICY_CIDRS_MAX = 8,             /* address ranges of one rule */
    POLICY_NAME_BYTES_MAX = 64,
    POLICY_TEXT_BYTES_MAX = 64 * 1024, /* JSON of one policy */
    AUTH_POLICIES_MAX = 16,            /* policies of one identity, or of one token */
    AUTH_NAME_BYTES_MAX = 128,         /* name of an identity, for people */
    AUTH_METADATA_MAX = 16,            /* pairs */
    AUTH_METADATA_KEY_BYTES_MAX = 64,
    AUTH_METADATA_VALUE_BYTES_MAX = 256,
    AUTH_TENANTS_MAX = 16, /* tenants besides its own that one identity may act in */
    AUTH_UUID_BYTES = 16,
    TOKEN_DEPTH_MAX = 8, /* a token, its parent, the parent of that ... */
};

static_assert(AUTH_RECORD_BYTES_MAX + 4096 <= HEAD_BYTES_MAX, "a record lies in a head");

#endif
