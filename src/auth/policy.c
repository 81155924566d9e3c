#include "auth/policy.h"

#include <stdlib.h>
#include <string.h>

#include "auth/pattern.h"
#include "auth/record.h"
#include "base/planted.h"
#include "proto/codec.h"

enum { RULE_FIELDS = 6, POLICY_FIELDS = 2, CIDR_BYTES_MAX = ADDRESS_BYTES_MAX + 1 };

static const char *const capability_names[CAPABILITIES] = {
    [CAPABILITY_CREATE] = "create", [CAPABILITY_READ] = "read", [CAPABILITY_UPDATE] = "update",
    [CAPABILITY_DELETE] = "delete", [CAPABILITY_LIST] = "list", [CAPABILITY_HISTORY] = "history",
    [CAPABILITY_DENY] = "deny",
};

const char *
capability_name(enum capability capability)
{
    return (unsigned)capability < CAPABILITIES ? capability_names[capability] : "?";
}

bool
capability_parse(struct bytes text, enum capability *out)
{
    for (unsigned i = 0; i < CAPABILITIES; i++) {
        *out = (enum capability)i;
        if (bytes_equal(text, bytes_of_text(capability_names[i])))
            return true;
    }
    return false;
}

bool
policy_name_valid(struct bytes name)
{
    static_assert((int)POLICY_NAME_BYTES_MAX == (int)TENANT_BYTES_MAX, "the same form");
    return tenant_name_valid(name);
}

bool
policy_name_reserved(struct bytes name)
{
    return bytes_equal(name, bytes_of_text("operator")) ||
           bytes_equal(name, bytes_of_text("auditor"));
}

bool
policy_rule_valid(const struct policy_rule *rule)
{
    bool denies = (rule->capabilities & 1u << CAPABILITY_DENY) != 0;

    if (!pattern_valid(rule->path) || rule->capabilities == 0 ||
        rule->capabilities >> CAPABILITIES != 0 || rule->cidr_count > POLICY_CIDRS_MAX)
        return false;
    if (denies && (rule->capabilities != 1u << CAPABILITY_DENY || rule->require_expected_version))
        return false;
    if (rule->not_before >= MINUTES_PER_DAY || rule->not_after == 0 ||
        rule->not_after > MINUTES_PER_DAY || rule->not_before == rule->not_after)
        return false;
    for (unsigned i = 0; i < rule->cidr_count; i++)
        if (!cidr_valid(&rule->cidrs[i]))
            return false;
    return true;
}

/* ---- record ---- */

static void
put_rule(struct cbor_writer *w, const struct policy_rule *rule)
{
    cbor_put_array(w, RULE_FIELDS);
    cbor_put_bytes(w, rule->path);
    cbor_put_uint(w, rule->capabilities);
    cbor_put_bool(w, rule->require_expected_version);
    cbor_put_uint(w, rule->not_before);
    cbor_put_uint(w, rule->not_after);
    cbor_put_array(w, rule->cidr_count);
    for (unsigned i = 0; i < rule->cidr_count; i++) {
        uint8_t text[CIDR_BYTES_MAX] = {rule->cidrs[i].prefix};

        memcpy(text + 1, rule->cidrs[i].base.data, rule->cidrs[i].base.size);
        cbor_put_bytes(w, bytes_of(text, 1u + rule->cidrs[i].base.size));
    }
}

enum vault_err
policy_encode(const struct policy *policy, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (policy->rule_count == 0 || policy->rule_count > POLICY_RULES_MAX)
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, POLICY_FIELDS);
    cbor_put_uint(&w, AUTH_POLICY_1);
    cbor_put_array(&w, policy->rule_count);
    for (size_t i = 0; i < policy->rule_count && w.err == OK; i++) {
        codec_require(&w, policy_rule_valid(&policy->rules[i]), ERR_RANGE);
        if (w.err == OK)
            put_rule(&w, &policy->rules[i]);
    }
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

static void
get_cidr(struct cbor_reader *r, struct cidr *out)
{
    struct bytes text = codec_get_bytes(r, 2, CIDR_BYTES_MAX);

    *out = (struct cidr){0};
    if (r->err != OK)
        return;
    out->prefix = text.data[0];
    codec_expect(r, address_of(bytes_of(text.data + 1, text.size - 1), &out->base) == OK &&
                        out->base.size == text.size - 1);
}

static void
get_rule(struct cbor_reader *r, struct policy_rule *out)
{
    *out = (struct policy_rule){0};
    codec_get_array_of(r, RULE_FIELDS);
    out->path = cbor_get_bytes(r, NAME_BYTES_MAX);
    out->capabilities = (unsigned)codec_get_range(r, 1, (1u << CAPABILITIES) - 1);
    out->require_expected_version = cbor_get_bool(r);
    out->not_before = (uint16_t)cbor_get_uint_max(r, MINUTES_PER_DAY);
    out->not_after = (uint16_t)cbor_get_uint_max(r, MINUTES_PER_DAY);
    out->cidr_count = (uint8_t)cbor_get_array(r, POLICY_CIDRS_MAX);
    for (unsigned i = 0; i < out->cidr_count && r->err == OK; i++)
        get_cidr(r, &out->cidrs[i]);
    codec_expect(r, r->err == OK && policy_rule_valid(out));
}

/* Number of the rules that follow. */
static size_t
begin_rules(struct cbor_reader *r, struct bytes encoded)
{
    uint64_t count;

    auth_reader_init(r, encoded, AUTH_POLICY_1, POLICY_FIELDS);
    count = cbor_get_array(r, POLICY_RULES_MAX);
    codec_expect(r, count > 0);
    return r->err == OK ? (size_t)count : 0;
}

enum vault_err
policy_decode(struct bytes encoded, struct policy *out)
{
    struct cbor_reader r;
    size_t count = begin_rules(&r, encoded);

    for (size_t i = 0; i < count && r.err == OK; i++)
        get_rule(&r, &out->rules[i]);
    out->rule_count = cbor_finish(&r) == OK ? count : 0;
    return out->rule_count > 0 ? OK : ERR_MALFORMED;
}

/* What a name must begin with. */
static size_t
literal_bytes(struct bytes pattern)
{
    const uint8_t *wildcard = memchr(pattern.data, '*', pattern.size);

    return wildcard ? (size_t)(wildcard - pattern.data) : pattern.size;
}

enum vault_err
policy_index_make(struct bytes encoded, struct policy_index **out)
{
    struct cbor_reader r;
    struct policy_rule rule;
    size_t count = begin_rules(&r, encoded);
    struct policy_index *index;

    *out = NULL;
    index = malloc(sizeof(*index) + count * sizeof(index->rules[0]));
    if (!index)
        return ERR_NOMEM;
    index->count = count;
    for (size_t i = 0; i < count && r.err == OK; i++) {
        size_t offset = (size_t)(r.at - encoded.data);

        get_rule(&r, &rule);
        if (r.err == OK)
            index->rules[i] =
                (struct policy_index_rule){.offset = (uint16_t)offset,
                                           .path = (uint16_t)(rule.path.data - encoded.data),
                                           .literal_bytes = (uint16_t)literal_bytes(rule.path),
                                           .capabilities = (uint16_t)rule.capabilities};
    }
    if (cbor_finish(&r) != OK || count == 0) {
        free(index);
        return ERR_MALFORMED;
    }
    *out = index;
    return OK;
}

/* ---- evaluation ---- */

void
policy_eval_init(struct policy_eval *eval, const struct policy_question *question)
{
    *eval = (struct policy_eval){
        .question = question,
        .name_valid = secret_name_valid(question->name) && question->operation < CAPABILITY_DENY,
    };
}

static bool
within_hours(const struct policy_rule *rule, uint16_t minute)
{
    if (rule->not_before < rule->not_after)
        return minute >= rule->not_before && minute < rule->not_after;
    return minute >= rule->not_before || minute < rule->not_after;
}

static bool
within_ranges(const struct policy_rule *rule, struct address address)
{
    for (unsigned i = 0; i < rule->cidr_count; i++)
        if (cidr_contains(&rule->cidrs[i], address))
            return true;
    return rule->cidr_count == 0;
}

/* `unknown` is the answer of a condition on what is not known here. */
static bool
conditions_hold(const struct policy_rule *rule, const struct policy_question *question,
                bool unknown)
{
    bool all_day = rule->not_before == 0 && rule->not_after == MINUTES_PER_DAY;
    bool in_hours =
        all_day || (question->has_minute ? within_hours(rule, question->minute) : unknown);
    bool in_range = rule->cidr_count == 0 ||
                    (question->address.size > 0 ? within_ranges(rule, question->address) : unknown);

    return in_hours && in_range;
}

static bool
expectation_holds(const struct policy_rule *rule, const struct policy_question *question)
{
    if (!rule->require_expected_version || question->expected_version != EXPECTATION_NONE ||
        PLANTED(expected_version_unasked))
        return true;
    return question->operation != CAPABILITY_UPDATE && question->operation != CAPABILITY_DELETE;
}

static void
decide(struct policy_eval *eval, size_t rule, bool allowed)
{
    eval->verdict = (struct policy_verdict){
        .allowed = allowed, .decided = true, .policy = eval->policies, .rule = rule};
}

static void
weigh(struct policy_eval *eval, const struct policy_rule *rule, size_t number)
{
    const struct policy_question *question = eval->question;
    bool grants;
    int order;

    if (eval->denied || !pattern_matches(rule->path, question->name))
        return;
    if ((rule->capabilities & 1u << CAPABILITY_DENY) != 0) {
        eval->denied = conditions_hold(rule, question, false) && !PLANTED(denial_overruled);
        if (eval->denied)
            decide(eval, number, false);
        return;
    }
    grants = (rule->capabilities & 1u << question->operation) != 0 &&
             conditions_hold(rule, question, true) && expectation_holds(rule, question);
    order = eval->best.size > 0 ? pattern_compare(rule->path, eval->best) : 1;
    if (order < 0 || (order == 0 && (eval->verdict.allowed || !grants)))
        return;
    eval->best = rule->path;
    decide(eval, number, grants);
}

/* Of those that may be about the name: the whole record was decoded when its index was made. */
static enum vault_err
add_indexed(struct policy_eval *eval, struct bytes encoded, const struct policy_index *index)
{
    for (size_t i = 0; eval->name_valid && i < index->count; i++) {
        size_t offset = index->rules[i].offset;
        struct policy_rule rule;
        struct cbor_reader r;

        if (!policy_index_may_match(&index->rules[i], encoded, eval->question->name))
            continue;
        cbor_reader_init(&r, bytes_of(encoded.data + offset, encoded.size - offset));
        get_rule(&r, &rule);
        if (r.err != OK)
            return ERR_MALFORMED;
        weigh(eval, &rule, i);
    }
    return OK;
}

static enum vault_err
add_all(struct policy_eval *eval, struct bytes encoded)
{
    struct cbor_reader r;
    struct policy_rule rule;
    size_t count = begin_rules(&r, encoded);

    for (size_t i = 0; i < count && r.err == OK; i++) {
        get_rule(&r, &rule);
        if (r.err == OK && eval->name_valid)
            weigh(eval, &rule, i);
    }
    return cbor_finish(&r);
}

enum vault_err
policy_eval_add(struct policy_eval *eval, struct bytes encoded)
{
    return policy_eval_add_indexed(eval, encoded, NULL);
}

enum vault_err
policy_eval_add_indexed(struct policy_eval *eval, struct bytes encoded,
                        const struct policy_index *index)
{
    enum vault_err err = index ? add_indexed(eval, encoded, index) : add_all(eval, encoded);

    eval->policies++;
    if (err == OK)
        return OK;
    eval->verdict = (struct policy_verdict){0};
    eval->denied = true; /* whatever comes: it might have denied */
    return ERR_MALFORMED;
}

struct policy_verdict
policy_eval_verdict(const struct policy_eval *eval)
{
    return eval->verdict;
}
