/*
 * What identity records have in common. A record is a deterministic CBOR array whose first item
 * says what it is and in which format, so that none can pass for another; the other items are the
 * fields of its struct, in order. What a decoder accepts, the encoder writes back byte for byte.
 *
 * A record is found by tenant, kind and key (struct auth_records, auth/decide.h).
 */
#ifndef OSTRAKA_AUTH_RECORD_H
#define OSTRAKA_AUTH_RECORD_H

#include "auth/limits.h"
#include "base/cbor.h"

/* Stored; never renumbered. Apart from enum record_format, so that no record passes for a head. */
enum auth_format {
    AUTH_POLICY_1 = 32,
    AUTH_TOKEN_1 = 33,
    AUTH_IDENTITY_1 = 34,
    AUTH_TENANT_1 = 35,
    AUTH_APPROLE_1 = 36,
    AUTH_ISSUER_1 = 37,
    AUTH_CLIENT_AUTHORITY_1 = 38,
    AUTH_CLIENT_REVOCATIONS_1 = 39,
    AUTH_SWEEP_1 = 40,
};

/* Begins to read a record of `fields` items, its format among them. */
void auth_reader_init(struct cbor_reader *r, struct bytes encoded, enum auth_format format,
                      uint64_t fields);

/* A short list of texts, borrowed. */
struct auth_names {
    size_t count;
    struct bytes names[AUTH_POLICIES_MAX];
};
/* Each of a form that `valid` accepts, no two the same. */
bool auth_names_valid(const struct auth_names *list, bool (*valid)(struct bytes));
bool auth_names_contain(const struct auth_names *list, struct bytes name);
/* The same names in the same order. */
bool auth_names_equal(const struct auth_names *a, const struct auth_names *b);
/* Adds what is not there yet; false when not all of it fits. */
bool auth_names_join(struct auth_names *list, const struct auth_names *more);
/* The writer refuses (ERR_RANGE) what the reader would. */
void auth_put_names(struct cbor_writer *w, const struct auth_names *list,
                    bool (*valid)(struct bytes));
void auth_get_names(struct cbor_reader *r, struct auth_names *out, bool (*valid)(struct bytes));

#endif
