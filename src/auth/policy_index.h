/*
 * Where the rules of a policy's record lie, and how their patterns begin. A decision looks at every
 * rule of every policy that the caller has: with this, those that cannot be about the name cost a
 * comparison each, and not a decoding. It is made once, of a record that decodes as a whole.
 */
#ifndef OSTRAKA_AUTH_POLICY_INDEX_H
#define OSTRAKA_AUTH_POLICY_INDEX_H

#include "auth/record.h"

struct policy_index_rule {
    uint16_t offset;        /* of the rule in the record */
    uint16_t path;          /* of its pattern */
    uint16_t literal_bytes; /* that a name must begin with: what comes before a wildcard */
    uint16_t capabilities;  /* 1u << enum capability */
};

struct policy_index {
    size_t count;
    struct policy_index_rule rules[]; /* in the order of the record */
};

static_assert(AUTH_RECORD_BYTES_MAX <= UINT16_MAX, "places in a record");

/* Errors: ERR_MALFORMED it is no policy, ERR_NOMEM; *out is then NULL. For free(). */
MUST_CHECK enum vault_err policy_index_make(struct bytes encoded, struct policy_index **out);

static inline struct bytes
policy_index_literal(const struct policy_index_rule *rule, struct bytes encoded)
{
    return bytes_of(encoded.data + rule->path, rule->literal_bytes);
}

/* False: the rule is not about that name. */
static inline bool
policy_index_may_match(const struct policy_index_rule *rule, struct bytes encoded,
                       struct bytes name)
{
    return name.size >= rule->literal_bytes &&
           memcmp(encoded.data + rule->path, name.data, rule->literal_bytes) == 0;
}

#endif
