#include "auth/policy_json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "auth/pattern.h"
#include "base/json_text.h"

enum {
    OPENED_MAX = 2 + 3 * POLICY_RULES_MAX + 8,
    COMMAS_MAX = POLICY_RULES_MAX * (1 + 5 + CAPABILITIES + POLICY_CIDRS_MAX) + 64,
};

static enum vault_err
refuse(struct policy_fault *fault, const char *why)
{
    fault->why = why;
    return ERR_BAD_JSON;
}

static struct bytes
string_of(const json_t *string)
{
    return bytes_of(json_string_value(string), json_string_length(string));
}

void
hour_format(unsigned minute, char out[static HOUR_TEXT_BYTES])
{
    unsigned hour = minute / 60 % 25;

    (void)snprintf(out, HOUR_TEXT_BYTES, "%02u:%02u", hour, minute % 60);
}

enum vault_err
hour_parse(struct bytes text, uint16_t *minute)
{
    unsigned hours, minutes;

    *minute = 0;
    if (text.size != HOUR_TEXT_BYTES - 1 || text.data[2] != ':')
        return ERR_MALFORMED;
    for (size_t i = 0; i < text.size; i++)
        if (i != 2 && (text.data[i] < '0' || text.data[i] > '9'))
            return ERR_MALFORMED;
    hours = (unsigned)(text.data[0] - '0') * 10 + (unsigned)(text.data[1] - '0');
    minutes = (unsigned)(text.data[3] - '0') * 10 + (unsigned)(text.data[4] - '0');
    if (minutes > 59 || hours * 60 + minutes > MINUTES_PER_DAY)
        return ERR_MALFORMED;
    *minute = (uint16_t)(hours * 60 + minutes);
    return OK;
}

static enum vault_err
take_capabilities(const json_t *list, struct policy_rule *rule, struct policy_fault *fault)
{
    enum capability capability;

    if (!json_is_array(list) || json_array_size(list) == 0)
        return refuse(fault, "capabilities must be a list of one or more of create, read, update, "
                             "delete, list, history, deny");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_string(item) || !capability_parse(string_of(item), &capability))
            return refuse(fault, "a capability is one of create, read, update, delete, list, "
                                 "history, deny");
        if ((rule->capabilities & 1u << capability) != 0)
            return refuse(fault, "a capability comes twice");
        rule->capabilities |= 1u << capability;
    }
    if ((rule->capabilities & 1u << CAPABILITY_DENY) != 0 &&
        rule->capabilities != 1u << CAPABILITY_DENY)
        return refuse(fault, "deny takes everything away and stands alone");
    return OK;
}

static enum vault_err
take_cidrs(const json_t *list, struct policy_rule *rule, struct policy_fault *fault)
{
    size_t count = json_array_size(list);

    if (!json_is_array(list) || count == 0 || count > POLICY_CIDRS_MAX)
        return refuse(fault, "cidrs must be a list of 1 to 8 address ranges");
    for (size_t i = 0; i < count; i++) {
        const json_t *item = json_array_get(list, i);

        if (!json_is_string(item) || cidr_parse(string_of(item), &rule->cidrs[i]) != OK)
            return refuse(fault, "an address range is ADDRESS/BITS, without any bit set behind "
                                 "those");
    }
    rule->cidr_count = (uint8_t)count;
    return OK;
}

static enum vault_err
take_hour(const json_t *text, uint16_t *minute, struct policy_fault *fault)
{
    if (!json_is_string(text) || hour_parse(string_of(text), minute) != OK)
        return refuse(fault, "not_before and not_after are hours of the day in UTC: \"08:30\"");
    return OK;
}

static enum vault_err
take_path(const json_t *text, struct policy_rule *rule, struct policy_fault *fault)
{
    if (!json_is_string(text) || !pattern_valid(string_of(text)))
        return refuse(fault,
                      "path must have the form of a name; * is one segment, ** at the end is "
                      "the rest, and no other star is taken");
    rule->path = string_of(text);
    return OK;
}

static enum vault_err
take_member(const char *key, const json_t *value, struct policy_rule *rule,
            struct policy_fault *fault)
{
    if (strcmp(key, "path") == 0)
        return take_path(value, rule, fault);
    if (strcmp(key, "capabilities") == 0)
        return take_capabilities(value, rule, fault);
    if (strcmp(key, "cidrs") == 0)
        return take_cidrs(value, rule, fault);
    if (strcmp(key, "not_before") == 0)
        return take_hour(value, &rule->not_before, fault);
    if (strcmp(key, "not_after") == 0)
        return take_hour(value, &rule->not_after, fault);
    if (strcmp(key, "require_expected_version") != 0)
        return refuse(fault, "a rule has an unknown member");
    if (!json_is_boolean(value))
        return refuse(fault, "require_expected_version must be true or false");
    rule->require_expected_version = json_is_true(value);
    return OK;
}

static enum vault_err
take_rule(json_t *object, struct policy_rule *rule, struct policy_fault *fault)
{
    enum vault_err err = OK;
    const char *key;
    json_t *value;

    *rule = (struct policy_rule){.not_after = MINUTES_PER_DAY};
    if (!json_is_object(object))
        return refuse(fault, "a rule is an object");
    json_object_foreach(object, key, value)
    {
        err = take_member(key, value, rule, fault);
        if (err != OK)
            return err;
    }
    if (rule->path.size == 0 || rule->capabilities == 0)
        return refuse(fault, "a rule needs path and capabilities");
    if (rule->not_before == rule->not_after || rule->not_after == 0 ||
        rule->not_before == MINUTES_PER_DAY)
        return refuse(fault, "the hours of a rule are empty");
    if (!policy_rule_valid(rule))
        return refuse(fault, "require_expected_version means nothing in a rule that denies");
    return OK;
}

enum vault_err
policy_from_json(const json_t *rules, struct buf *out, struct policy_fault *fault)
{
    size_t count = json_array_size(rules);
    struct policy *policy;
    enum vault_err err = OK;

    *fault = (struct policy_fault){0};
    if (!json_is_array(rules) || count == 0)
        return refuse(fault, "a policy is a list of rules");
    if (count > POLICY_RULES_MAX) {
        fault->why = "a policy has at most 64 rules";
        return ERR_TOO_LARGE;
    }
    policy = calloc(1, sizeof(*policy));
    if (!policy)
        return ERR_NOMEM;
    policy->rule_count = count;
    for (size_t i = 0; i < count && err == OK; i++) {
        fault->rule = i + 1;
        err = take_rule(json_array_get(rules, i), &policy->rules[i], fault);
    }
    if (err == OK) {
        fault->rule = 0;
        err = policy_encode(policy, out);
    }
    if (err == ERR_TOO_LARGE)
        fault->why = "the policy is too large: 8 KiB in all";
    free(policy);
    return err;
}

bool
policy_text_bounded(struct bytes text)
{
    return text.size <= POLICY_TEXT_BYTES_MAX && json_shape_within(text, OPENED_MAX, COMMAS_MAX);
}

/* What a file may have: the rules, or what `ostraka policy get` prints. */
static bool
is_policy(const json_t *root)
{
    bool printed = json_is_string(json_object_get(root, "name")) &&
                   json_is_integer(json_object_get(root, "version"));

    return json_object_get(root, "rules") && json_object_size(root) == (printed ? 3 : 1);
}

enum vault_err
policy_from_text(struct bytes text, struct buf *out, struct policy_fault *fault)
{
    enum vault_err err;
    json_t *root;

    *fault = (struct policy_fault){0};
    if (!policy_text_bounded(text)) {
        fault->why = "the policy is too large: 64 rules, 8 ranges each, 64 KiB of text";
        return ERR_TOO_LARGE;
    }
    root = json_load_strict(text, JSON_REJECT_DUPLICATES, &err);
    if (err == ERR_BAD_JSON)
        fault->why = "it is not JSON, or has a member twice";
    if (err == OK && !is_policy(root))
        err = refuse(fault, "a policy is {\"rules\": [...]} and nothing else, or what `ostraka "
                            "policy get` prints");
    if (err == OK)
        err = policy_from_json(json_object_get(root, "rules"), out, fault);
    json_decref(root);
    return err;
}
