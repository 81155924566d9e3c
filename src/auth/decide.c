#include "auth/decide.h"

#include <string.h>

#include "auth/identity.h"
#include "auth/jwt.h"
#include "auth/principal.h"
#include "base/planted.h"
#include "proto/request.h"

static_assert((int)POLICY_SETS_MAX == 1 + (int)TOKEN_DEPTH_MAX, "identity, token, ancestors");

const char *
auth_kind_name(enum auth_kind kind)
{
    switch (kind) {
    case AUTH_KIND_TENANT: return "tenant";
    case AUTH_KIND_TOKEN: return "token";
    case AUTH_KIND_APPROLE: return "approle";
    case AUTH_KIND_IDENTITY: return "identity";
    case AUTH_KIND_POLICY: return "policy";
    case AUTH_KIND_ISSUER: return "issuer";
    case AUTH_KIND_CLIENT_AUTHORITY: return "authority";
    }
    return "?";
}

static struct bytes
operator_policy(void)
{
    return bytes_of_text("operator");
}

static struct bytes
auditor_policy(void)
{
    return bytes_of_text("auditor");
}

static enum auth_answer
answer_of(enum auth_reason reason)
{
    switch (reason) {
    case REASON_ALLOWED: return ANSWER_ALLOWED;
    case REASON_OTHER_TENANT:
    case REASON_NO_RULE:
    case REASON_NO_ROLE:
    case REASON_RULE: return ANSWER_DENIED;
    case REASON_UNAVAILABLE:
    case REASON_CORRUPT: return ANSWER_UNDECIDED;
    case REASON_NO_CREDENTIAL:
    case REASON_MALFORMED_CREDENTIAL:
    case REASON_UNKNOWN_TOKEN:
    case REASON_EXPIRED:
    case REASON_USED_UP:
    case REASON_PARENT_GONE:
    case REASON_IDENTITY_GONE:
    case REASON_IDENTITY_DISABLED:
    case REASON_TENANT_GONE:
    case REASON_BAD_SIGNATURE:
    case REASON_UNKNOWN_ISSUER:
    case REASON_UNKNOWN_KEY:
    case REASON_AUDIENCE:
    case REASON_CERTIFICATE:
    case REASON_CERTIFICATE_REVOKED:
    case REASON_REVOCATIONS_OLD:
    case REASON_NOT_YET: break;
    }
    return ANSWER_UNAUTHENTICATED;
}

/* ---- policies ---- */

static enum auth_reason
find_policy(const struct auth_records *view, struct bytes tenant, struct bytes name,
            struct bytes *record, const struct policy_index **index)
{
    *record = (struct bytes){0};
    *index = NULL;
    if (!view->get_policy)
        return auth_lookup(view, tenant, AUTH_KIND_POLICY, name, REASON_NO_RULE, record);
    switch (view->get_policy(view->context, tenant, name, record, index)) {
    case AUTH_FOUND: return REASON_ALLOWED;
    case AUTH_ABSENT: return REASON_NO_RULE;
    case AUTH_UNAVAILABLE: break;
    }
    return REASON_UNAVAILABLE;
}

/*
 * Counts the policies of a set in. A name without a record says nothing: it may have been
 * deleted.
 */
static enum auth_reason
eval_set(const struct auth_records *view, struct bytes tenant, const struct auth_names *set,
         struct policy_eval *eval)
{
    enum auth_reason reason = REASON_ALLOWED;

    for (size_t i = 0; i < set->count && reason == REASON_ALLOWED; i++) {
        struct bytes record;
        const struct policy_index *index;

        reason = find_policy(view, tenant, set->names[i], &record, &index);
        if (reason == REASON_ALLOWED && policy_eval_add_indexed(eval, record, index) != OK)
            return REASON_CORRUPT;
        if (reason == REASON_NO_RULE) {
            eval->policies++; /* numbers stay those of the set */
            reason = REASON_ALLOWED;
        }
    }
    return reason;
}

/* What one set says; the rule that decided goes into `decision`, if there is one. */
static enum auth_reason
ask_set(const struct auth_records *view, struct bytes tenant, const struct auth_names *set,
        const struct policy_question *question, struct auth_decision *decision)
{
    struct policy_eval eval;
    struct policy_verdict verdict;
    enum auth_reason reason;

    policy_eval_init(&eval, question);
    reason = eval_set(view, tenant, set, &eval);
    if (reason != REASON_ALLOWED)
        return reason;
    verdict = policy_eval_verdict(&eval);
    decision->policy = verdict.decided ? set->names[verdict.policy] : (struct bytes){0};
    decision->rule = verdict.decided ? verdict.rule : 0;
    if (verdict.allowed)
        return REASON_ALLOWED;
    return verdict.decided ? REASON_RULE : REASON_NO_RULE;
}

/*
 * Every set must allow: a token that is narrowed to some policies still has all of its identity's
 * to pass, the ones that deny among them. The rule that is told is that of the first set that does
 * not allow, or of the identity's.
 */
static enum auth_reason
ask_sets(const struct auth_records *view, struct bytes tenant, const struct principal *who,
         const struct policy_question *question, struct auth_decision *decision)
{
    enum auth_reason reason = REASON_NO_RULE;

    for (size_t i = 0; i < who->set_count; i++) {
        struct auth_decision one = {0};

        reason = ask_set(view, tenant, &who->sets[i], question, &one);
        if (i == 0 || reason != REASON_ALLOWED) {
            decision->policy = one.policy;
            decision->rule = one.rule;
        }
        if (reason != REASON_ALLOWED)
            break;
    }
    return reason;
}

/* Whether the caller may know that there is such a name. Asked of denials only. */
static bool
may_know(const struct auth_records *view, struct bytes tenant, const struct principal *who,
         const struct policy_question *question)
{
    static const enum capability telling[] = {CAPABILITY_READ, CAPABILITY_LIST, CAPABILITY_HISTORY};
    struct policy_question other = *question;
    struct auth_decision ignored = {0};
    bool may = false;

    for (size_t i = 0; i < sizeof(telling) / sizeof(telling[0]); i++) {
        other.operation = telling[i];
        may |= ask_sets(view, tenant, who, &other, &ignored) == REASON_ALLOWED;
    }
    return may;
}

/*
 * The reserved policy must be in each set: a token may be narrowed to less. Issuers are trusted by
 * the tenant whose records they are, and those of "default" alone may name whom the whole cluster
 * trusts: whoever logged in by another's is not one, whatever its roles say.
 */
static enum auth_reason
has_in_all(const struct principal *who, struct bytes policy)
{
    if (uuid_is_of_issuer(who->identity) && !bytes_equal(who->tenant, bytes_of_text("default")))
        return REASON_NO_ROLE;
    for (size_t i = 0; i < who->set_count; i++)
        if (!auth_names_contain(&who->sets[i], policy))
            return REASON_NO_ROLE;
    return who->set_count > 0 ? REASON_ALLOWED : REASON_NO_ROLE;
}

/* ---- the decision ---- */

static enum auth_reason
authenticate(const struct auth_records *view, struct bytes credential,
             const struct auth_request *request, uint64_t now_ms, struct principal *who)
{
    *who = (struct principal){0};
    if (credential.size == 0)
        return REASON_NO_CREDENTIAL;
    if (credential.size > CREDENTIAL_BYTES_MAX)
        return REASON_MALFORMED_CREDENTIAL;
    if (jwt_looks_like(credential))
        return principal_of_jwt(view, credential, request->tenant, now_ms, who);
    return principal_of_token(view, credential, now_ms, who);
}

static enum auth_reason
enter_tenant(const struct auth_records *view, const struct principal *who, struct bytes wanted,
             struct bytes *tenant)
{
    struct bytes record;

    *tenant = wanted.size > 0 ? wanted : who->tenant;
    if (!bytes_equal(*tenant, who->tenant) && !auth_names_contain(&who->tenants, *tenant) &&
        !PLANTED(tenant_of_anybody))
        return REASON_OTHER_TENANT;
    /* A tenant that is gone is, for whoever has an account elsewhere, one that never was. */
    return auth_lookup(view, (struct bytes){0}, AUTH_KIND_TENANT, *tenant, REASON_OTHER_TENANT,
                       &record);
}

static enum auth_reason
authorise(const struct auth_records *view, const struct principal *who,
          const struct auth_request *request, struct auth_decision *decision)
{
    enum auth_reason reason = enter_tenant(view, who, request->tenant, &decision->tenant);

    if (reason != REASON_ALLOWED)
        return reason;
    switch (request->right) {
    case RIGHT_IDENTIFIED: break;
    case RIGHT_OPERATOR: return has_in_all(who, operator_policy());
    case RIGHT_AUDITOR: return has_in_all(who, auditor_policy());
    case RIGHT_SECRET:
        reason = ask_sets(view, decision->tenant, who, &request->question, decision);
        if (answer_of(reason) == ANSWER_DENIED)
            decision->may_know = may_know(view, decision->tenant, who, &request->question);
        break;
    }
    return reason;
}

void
auth_decide(const struct auth_records *view, struct bytes credential,
            const struct auth_request *request, uint64_t now_ms, struct auth_decision *decision)
{
    struct principal who;
    enum auth_reason reason = authenticate(view, credential, request, now_ms, &who);

    *decision = (struct auth_decision){0};
    if (reason == REASON_ALLOWED) {
        decision->identified = true;
        memcpy(decision->identity, who.identity, AUTH_UUID_BYTES);
        decision->has_accessor = who.has_accessor;
        memcpy(decision->accessor, who.accessor, ACCESSOR_BYTES);
        decision->counts_use = who.counts_use;
        reason = authorise(view, &who, request, decision);
    }
    decision->reason = reason;
    decision->answer = answer_of(reason);
}

/* ---- lists ---- */

static enum auth_reason
gather_set(const struct auth_records *view, struct bytes tenant, const struct auth_names *set,
           struct auth_listing_set *out)
{
    for (size_t i = 0; i < set->count; i++) {
        size_t at = out->count;
        enum auth_reason reason =
            find_policy(view, tenant, set->names[i], &out->policies[at], &out->indexes[at]);

        if (reason == REASON_ALLOWED)
            out->count++;
        else if (reason != REASON_NO_RULE)
            return reason;
    }
    return REASON_ALLOWED;
}

enum auth_answer
auth_listing_begin(const struct auth_records *view, struct bytes credential, struct bytes tenant,
                   uint64_t now_ms, struct auth_listing *out)
{
    struct auth_request request = {.tenant = tenant};
    struct principal who;
    enum auth_reason reason = authenticate(view, credential, &request, now_ms, &who);
    struct bytes entered = {0};

    *out = (struct auth_listing){0};
    if (reason == REASON_ALLOWED)
        reason = enter_tenant(view, &who, tenant, &entered);
    /* What a use is counted for comes after it, which a list is not. */
    if (reason == REASON_ALLOWED && who.counts_use)
        reason = REASON_USED_UP;
    for (size_t i = 0; reason == REASON_ALLOWED && i < who.set_count; i++)
        reason = gather_set(view, entered, &who.sets[i], &out->sets[i]);
    if (reason == REASON_ALLOWED)
        out->set_count = who.set_count;
    return answer_of(reason);
}

bool
auth_listing_may(const struct auth_listing *listing, struct bytes name)
{
    struct policy_question question = listing->known;
    bool may = listing->set_count > 0;

    question.name = name;
    question.operation = CAPABILITY_LIST;
    for (size_t i = 0; may && i < listing->set_count; i++) {
        const struct auth_listing_set *set = &listing->sets[i];
        struct policy_eval eval;

        policy_eval_init(&eval, &question);
        for (size_t k = 0; may && k < set->count; k++)
            may = policy_eval_add_indexed(&eval, set->policies[k], set->indexes[k]) == OK;
        may = may && policy_eval_verdict(&eval).allowed;
    }
    return may;
}

/* Whether there may be such names that begin with `literal`; *from as of auth_listing_from(). */
static bool
literal_from(struct bytes literal, struct bytes prefix, struct bytes after, struct bytes *from)
{
    *from = (struct bytes){0};
    if (bytes_begin_with(prefix, literal))
        return true;
    if (!bytes_begin_with(literal, prefix))
        return false;
    if (after.size > 0 && bytes_compare(literal, after) <= 0)
        return bytes_begin_with(after, literal);
    *from = literal;
    return true;
}

/* Each set must allow, so one of them says enough. */
bool
auth_listing_from(const struct auth_listing *listing, struct bytes prefix, struct bytes after,
                  struct bytes *from)
{
    const struct auth_listing_set *set = &listing->sets[0];
    bool any = false;

    *from = (struct bytes){0};
    for (size_t i = 0; listing->set_count > 0 && i < set->count; i++) {
        const struct policy_index *index = set->indexes[i];

        if (!index) { /* it may allow any */
            *from = (struct bytes){0};
            return true;
        }
        for (size_t k = 0; k < index->count; k++) {
            const struct policy_index_rule *rule = &index->rules[k];
            struct bytes first;

            if ((rule->capabilities & 1u << CAPABILITY_LIST) == 0 ||
                !literal_from(policy_index_literal(rule, set->policies[i]), prefix, after, &first))
                continue;
            if (!any || bytes_compare(first, *from) < 0)
                *from = first;
            any = true;
        }
    }
    return any;
}

bool
auth_jwt_identity(const struct auth_records *view, struct bytes credential, struct bytes tenant,
                  uint8_t out[static AUTH_UUID_BYTES])
{
    static const uint8_t none[AUTH_UUID_BYTES];
    struct principal who;

    memset(out, 0, AUTH_UUID_BYTES);
    if (credential.size > CREDENTIAL_BYTES_MAX || !jwt_looks_like(credential))
        return false;
    (void)principal_of_jwt(view, credential, tenant, 0, &who);
    memcpy(out, who.identity, AUTH_UUID_BYTES);
    return memcmp(out, none, AUTH_UUID_BYTES) != 0; /* an identity has its version in it */
}

void
auth_decide_policies(const struct auth_records *view, struct bytes tenant,
                     const struct auth_names *policies, const struct policy_question *question,
                     struct auth_decision *decision)
{
    *decision = (struct auth_decision){.tenant = tenant};
    decision->reason = ask_set(view, tenant, policies, question, decision);
    decision->answer = answer_of(decision->reason);
}
