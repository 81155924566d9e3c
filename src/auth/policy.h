/*
 * Policies: who may do what to which names. docs/policies.md says it for users.
 *
 * Of the rules of all policies of a caller those count whose pattern matches the name. A rule that
 * denies wins over everything. Else the most specific pattern decides (auth/pattern.h), whatever
 * broader rules say: its rule must have the capability, and its conditions must hold. Several rules
 * of that one pattern add up. No rule: not allowed.
 *
 * Conditions of a rule that allows: the caller's address is in one of the ranges, the time of day
 * (UTC) is within the hours, and the request names the version that it expects (update, delete). A
 * rule that denies may have addresses and hours, and denies then only under them.
 * Whoever does not know address or hour, as every node but the one that the client talks to, takes
 * conditions on them as held where they restrict a permission, and as not held where they restrict
 * a denial: it allows no less than who knows.
 */
#ifndef OSTRAKA_AUTH_POLICY_H
#define OSTRAKA_AUTH_POLICY_H

#include "auth/address.h"
#include "auth/limits.h"
#include "auth/policy_index.h"
#include "base/cbor.h"

/* Wire values: one bit each in a record. */
enum capability {
    CAPABILITY_CREATE,
    CAPABILITY_READ,
    CAPABILITY_UPDATE,
    CAPABILITY_DELETE,
    CAPABILITY_LIST,
    CAPABILITY_HISTORY,
    CAPABILITY_DENY,
};
enum { CAPABILITIES = CAPABILITY_DENY + 1 };
const char *capability_name(enum capability capability);
bool capability_parse(struct bytes text, enum capability *out);

enum { MINUTES_PER_DAY = 24 * 60 };

struct policy_rule {
    struct bytes path;             /* pattern_valid() */
    unsigned capabilities;         /* 1u << enum capability; not empty; DENY alone or not at all */
    bool require_expected_version; /* not with DENY */
    uint16_t not_before;           /* minute of the day, 0..1439 */
    uint16_t not_after; /* 1..1440, the first minute that is out; below not_before: overnight */
    uint8_t cidr_count; /* 0: any address */
    struct cidr cidrs[POLICY_CIDRS_MAX];
};

/* Of 13 KiB: rather on the heap than on a deep stack. */
struct policy {
    size_t rule_count; /* 1..POLICY_RULES_MAX */
    struct policy_rule rules[POLICY_RULES_MAX];
};

bool policy_rule_valid(const struct policy_rule *rule);
/* [a-z0-9][a-z0-9_-]{0,63} */
bool policy_name_valid(struct bytes name);
/* "operator" and "auditor": rights of their own, and never the name of a record. */
bool policy_name_reserved(struct bytes name);

/*
 * Appends the record. Errors: ERR_NOMEM, ERR_TOO_LARGE, ERR_RANGE what the decoder would refuse;
 * `out` is then as before.
 */
MUST_CHECK enum vault_err policy_encode(const struct policy *policy, struct buf *out);
/* Views are borrowed from `encoded`. Errors: ERR_MALFORMED, *out is then empty. */
MUST_CHECK enum vault_err policy_decode(struct bytes encoded, struct policy *out);

/* ---- evaluation ---- */

enum expectation { EXPECTATION_UNKNOWN, EXPECTATION_NONE, EXPECTATION_GIVEN };

struct policy_question {
    struct bytes name;         /* nothing is allowed for one that is not secret_name_valid() */
    enum capability operation; /* not DENY */
    enum expectation expected_version;
    struct address address; /* none: not known here */
    bool has_minute;
    uint16_t minute; /* of the day, UTC */
};

struct policy_verdict {
    bool allowed;
    bool decided;  /* by a rule; else no rule matches */
    size_t policy; /* number of the policy, in the order in which they were added */
    size_t rule;   /* number of the rule in it */
};

/* Opaque: a policy is added at a time, so that one rule at a time lies decoded. */
struct policy_eval {
    const struct policy_question *question;
    bool name_valid, denied;
    struct bytes best; /* most specific pattern so far; borrowed */
    size_t policies;
    struct policy_verdict verdict;
};
/* The question is borrowed until the verdict. */
void policy_eval_init(struct policy_eval *eval, const struct policy_question *question);
/*
 * Counts one more policy in. `encoded` is borrowed until the verdict. Errors: ERR_MALFORMED; nobody
 * may then use the verdict, since the policy might have denied.
 */
MUST_CHECK enum vault_err policy_eval_add(struct policy_eval *eval, struct bytes encoded);
/* The same, faster. `index`: of that record, or NULL. */
MUST_CHECK enum vault_err policy_eval_add_indexed(struct policy_eval *eval, struct bytes encoded,
                                                  const struct policy_index *index);
struct policy_verdict policy_eval_verdict(const struct policy_eval *eval);

#endif
