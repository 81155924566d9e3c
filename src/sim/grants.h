/* Identity records of the simulator: tenants, an identity, its policy and tokens. */
#ifndef OSTRAKA_SIM_GRANTS_H
#define OSTRAKA_SIM_GRANTS_H

#include "auth/decide.h"
#include "proto/record_path.h"

enum {
    GRANTS = 4, /* records that must be there before any token counts */
    GRANT_BYTES_MAX = 1024,
};

struct grant {
    const char *tenant; /* static */
    char name[RECORD_NAME_BYTES_MAX + 1];
    size_t size;
    uint8_t value[GRANT_BYTES_MAX];
};

/* A tenant without identities, and the one secret that tokens may not read. */
#define GRANT_OTHER_TENANT "other"
#define GRANT_DENIED_NAME  "hot/secret-0"

struct sim_options;

/* The records by number: 0..GRANTS - 1. */
void grant_fill(const struct sim_options *options, unsigned number, struct grant *out);
/* The record of a token, and the token's text, NUL-ended. */
enum { GRANT_TOKEN_BYTES = 64 };
void grant_fill_token(uint64_t seed, uint64_t number, uint64_t ends_ms,
                      char text[static GRANT_TOKEN_BYTES], struct grant *out);
/* The token of that number, whose hash is set, and its record. */
void grant_make_token(uint64_t seed, uint64_t number, struct token *token,
                      char text[static GRANT_TOKEN_BYTES], struct grant *out);
/* What `err` says was encoded is the record of that name; closes `encoded`. */
void grant_set(struct grant *out, const char *tenant, enum auth_kind kind, const char *key,
               enum vault_err err, struct buf *encoded);

#endif
