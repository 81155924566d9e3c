/* Bodies of the calls on policies. */
#include "api/auth_body.h"
#include "api/auth_members.h"
#include "auth/policy_json.h"
#include "proto/request.h"

#define NAMES_OF_POLICIES "policies is a list of at most 16 names of policies, none twice"

enum vault_err
policy_body_parse(struct bytes body, struct arena *arena, struct policy_body *out,
                  const char **refusal)
{
    const json_t *rules, *expected;
    const struct json_member members[] = {{"rules", &rules}, {"expected_version", &expected}};
    struct policy_fault fault = {0};
    struct buf record = {0};
    enum vault_err err;
    json_t *root = members_load(body, members, 2, &err, refusal);

    *out = (struct policy_body){0};
    if (!root)
        return err;
    if (expected && !member_number(expected, 1, INT64_MAX, &out->expected_version))
        err = member_refuse(refusal, "expected_version must be a number from 1");
    if (err == OK) {
        err = policy_from_json(rules, &record, &fault);
        *refusal = fault.why;
        out->fault_rule = err == OK ? 0 : fault.rule;
    }
    if (err == OK)
        err = arena_copy(arena, buf_bytes(&record), &out->record);
    buf_close(&record);
    json_decref(root);
    return err;
}

/* Members of a test, borrowed from its tree. */
struct test_members {
    const json_t *identity, *policies, *operation, *name, *address, *time, *expected;
};

static enum vault_err
take_who(const struct test_members *in, struct arena *arena, struct policy_test_body *out,
         const char **refusal)
{
    enum vault_err err;

    if ((in->identity != NULL) == (in->policies != NULL))
        return member_refuse(refusal, "a test names an identity, or policies");
    out->has_identity = in->identity != NULL;
    if (out->has_identity)
        return uuid_parse(member_text(in->identity), out->identity) == OK
                   ? OK
                   : member_refuse(refusal, "identity is the id of one");
    err = member_names(in->policies, policy_name_valid, arena, &out->policies, refusal,
                       NAMES_OF_POLICIES);
    if (err == OK && out->policies.count == 0)
        err = member_refuse(refusal, NAMES_OF_POLICIES);
    return err;
}

static enum vault_err
take_circumstances(const struct test_members *in, struct policy_question *out, const char **refusal)
{
    if (in->address && address_parse(member_text(in->address), &out->address) != OK)
        return member_refuse(refusal, "address is an IPv4 or IPv6 address");
    out->has_minute = in->time != NULL;
    if (in->time &&
        (hour_parse(member_text(in->time), &out->minute) != OK || out->minute == MINUTES_PER_DAY))
        return member_refuse(refusal, "time is a time of day in UTC: \"08:30\"");
    if (in->expected && !json_is_boolean(in->expected))
        return member_refuse(refusal, "expected_version says whether one is given: true or false");
    if (in->expected)
        out->expected_version = json_is_true(in->expected) ? EXPECTATION_GIVEN : EXPECTATION_NONE;
    return OK;
}

static enum vault_err
take_test(const struct test_members *in, struct arena *arena, struct policy_test_body *out,
          const char **refusal)
{
    struct policy_question *question = &out->question;
    enum vault_err err = take_who(in, arena, out, refusal);

    if (err != OK)
        return err;
    if (!capability_parse(member_text(in->operation), &question->operation) ||
        question->operation == CAPABILITY_DENY)
        return member_refuse(refusal, "operation is create, read, update, delete, list or history");
    if (!json_is_string(in->name))
        return member_refuse(refusal, "name is missing");
    if (!secret_name_valid(member_text(in->name))) {
        *refusal = "the name is not valid";
        return ERR_BAD_NAME;
    }
    err = arena_copy(arena, member_text(in->name), &question->name);
    return err == OK ? take_circumstances(in, question, refusal) : err;
}

enum vault_err
policy_test_body_parse(struct bytes body, struct arena *arena, struct policy_test_body *out,
                       const char **refusal)
{
    struct test_members in;
    const struct json_member members[] = {
        {"identity", &in.identity},        {"policies", &in.policies},
        {"operation", &in.operation},      {"name", &in.name},
        {"address", &in.address},          {"time", &in.time},
        {"expected_version", &in.expected}};
    enum vault_err err;
    json_t *root = members_load(body, members, sizeof(members) / sizeof(members[0]), &err, refusal);

    *out = (struct policy_test_body){0};
    if (root)
        err = take_test(&in, arena, out, refusal);
    json_decref(root);
    return err;
}
