/*
 * Policies: their JSON, their records, and what they allow, which is compared with an evaluator
 * that is written as the rules are said.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "auth/pattern.h"
#include "auth/policy_json.h"
#include "crypto/rng.h"
#include "proto/request.h"

static struct buf
record_of(const char *text)
{
    struct policy_fault fault;
    struct buf record = {0};

    assert_int_equal(policy_from_text(bytes_of_text(text), &record, &fault), OK);
    return record;
}

static struct policy_verdict
ask_with(const char *text, const struct policy_question *question)
{
    struct policy_eval eval;
    struct buf record = record_of(text);

    policy_eval_init(&eval, question);
    assert_int_equal(policy_eval_add(&eval, buf_bytes(&record)), OK);
    buf_close(&record);
    return policy_eval_verdict(&eval);
}

static struct policy_verdict
ask(const char *text, enum capability operation, const char *name)
{
    struct policy_question question = {.name = bytes_of_text(name), .operation = operation};

    return ask_with(text, &question);
}

/* ---- patterns ---- */

static void
patterns(void **state)
{
    static const struct {
        const char *pattern, *name;
        bool matches;
    } cases[] = {
        {"db/x", "db/x", true},
        {"db/x", "db/xy", false},
        {"db/x", "db", false},
        {"db/x", "db/x/y", false},
        {"db/x", "DB/x", false},
        {"db/*", "db/x", true},
        {"db/*", "db/x/y", false},
        {"db/*", "db", false},
        {"*/x", "db/x", true},
        {"*", "db", true},
        {"*", "db/x", false},
        {"**", "db", true},
        {"**", "db/x/y/z", true},
        {"db/**", "db/x", true},
        {"db/**", "db/x/y", true},
        {"db/**", "db", false},
        {"db/**", "dbx", false},
        {"db/**", "dbx/y", false},
        {"a/*/c", "a/b/c", true},
        {"a/*/c", "a/b/d", false},
        {"a/*/**", "a/b", false},
        {"a/*/**", "a/b/c/d", true},
        {"*/*/*", "a/b", false},
        {"db/x", "db/*", false},
        {"db/*", "db/*", true},
        {"\xc3\xa9/*", "\xc3\xa9/b", true},
        {"\xc3\xa9/*", "e\xcc\x81/b", false},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_true(pattern_valid(bytes_of_text(cases[i].pattern)));
        assert_int_equal(
            pattern_matches(bytes_of_text(cases[i].pattern), bytes_of_text(cases[i].name)),
            cases[i].matches);
    }
}

static void
pattern_forms(void **state)
{
    static const char *const refused[] = {"",       "/",    "a//b", "a/",   "/a",    "a/../b",
                                          "a/.",    "_a/b", "a*",   "*a",   "a/b*c", "**/a",
                                          "a/**/b", "***",  "a/\n", "\xff", "a/***", "*.*"};

    (void)state;
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_false(pattern_valid(bytes_of_text(refused[i])));
}

static void
specificity(void **state)
{
    /* Each is more specific than the next. */
    static const char *const order[] = {"a/b/c",  "a/b/*", "a/b/**", "a/*/c",  "a/*/*",
                                        "a/*/**", "a/**",  "*/b/c",  "*/b/**", "*/*/c",
                                        "*/*/**", "*/**",  "**"};

    (void)state;
    for (size_t i = 0; i < sizeof order / sizeof order[0]; i++) {
        for (size_t j = 0; j < sizeof order / sizeof order[0]; j++) {
            int found = pattern_compare(bytes_of_text(order[i]), bytes_of_text(order[j]));
            assert_int_equal((found > 0) - (found < 0), (i < j) - (i > j));
        }
    }
}

/* ---- what is allowed ---- */

static void
most_specific_decides(void **state)
{
    static const char text[] =
        "{\"rules\":[{\"path\":\"db/**\",\"capabilities\":[\"read\",\"update\"]},"
        "{\"path\":\"db/x\",\"capabilities\":[\"read\"]},"
        "{\"path\":\"db/*\",\"capabilities\":[\"delete\"]}]}";
    struct policy_verdict verdict;

    (void)state;
    verdict = ask(text, CAPABILITY_READ, "db/x");
    assert_true(verdict.allowed);
    assert_int_equal(verdict.rule, 1);
    verdict = ask(text, CAPABILITY_UPDATE, "db/x"); /* the broader rule does not help */
    assert_false(verdict.allowed);
    assert_true(verdict.decided);
    assert_int_equal(verdict.rule, 1);
    assert_true(ask(text, CAPABILITY_DELETE, "db/y").allowed);
    assert_false(ask(text, CAPABILITY_READ, "db/y").allowed);
    assert_true(ask(text, CAPABILITY_UPDATE, "db/y/z").allowed);
    /* Of several rules of that pattern, none of which allows it, the first is told. */
    verdict = ask("{\"rules\":[{\"path\":\"**\",\"capabilities\":[\"list\"]},"
                  "{\"path\":\"a\",\"capabilities\":[\"list\"]},"
                  "{\"path\":\"a\",\"capabilities\":[\"update\"]}]}",
                  CAPABILITY_READ, "a");
    assert_false(verdict.allowed);
    assert_int_equal(verdict.rule, 1);
    verdict = ask(text, CAPABILITY_READ, "web/x");
    assert_false(verdict.allowed);
    assert_false(verdict.decided);
}

static void
deny_wins(void **state)
{
    static const char text[] = "{\"rules\":[{\"path\":\"db/public\",\"capabilities\":[\"read\"]},"
                               "{\"path\":\"db/**\",\"capabilities\":[\"deny\"]},"
                               "{\"path\":\"**\",\"capabilities\":[\"read\"]}]}";
    struct policy_verdict verdict = ask(text, CAPABILITY_READ, "db/public");

    (void)state;
    assert_false(verdict.allowed);
    assert_true(verdict.decided);
    assert_int_equal(verdict.rule, 1);
    assert_true(ask(text, CAPABILITY_READ, "web/x").allowed);
}

static void
policies_add_up(void **state)
{
    struct buf one = record_of("{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]}]}");
    struct buf other = record_of("{\"rules\":[{\"path\":\"b\",\"capabilities\":[\"read\"]},"
                                 "{\"path\":\"a\",\"capabilities\":[\"update\"]}]}");
    struct policy_question question = {.name = bytes_of_text("a"), .operation = CAPABILITY_UPDATE};
    struct policy_eval eval;
    struct policy_verdict verdict;

    (void)state;
    policy_eval_init(&eval, &question);
    assert_int_equal(policy_eval_add(&eval, buf_bytes(&one)), OK);
    assert_false(policy_eval_verdict(&eval).allowed);
    assert_int_equal(policy_eval_add(&eval, buf_bytes(&other)), OK);
    verdict = policy_eval_verdict(&eval);
    assert_true(verdict.allowed);
    assert_int_equal(verdict.policy, 1);
    assert_int_equal(verdict.rule, 1);
    /* A policy that cannot be read might deny. */
    assert_int_equal(policy_eval_add(&eval, bytes_of_text("rubbish")), ERR_MALFORMED);
    assert_int_equal(policy_eval_add(&eval, buf_bytes(&other)), OK);
    assert_false(policy_eval_verdict(&eval).allowed);
    buf_close(&one);
    buf_close(&other);
}

static void
names_of_another_form(void **state)
{
    static const char text[] = "{\"rules\":[{\"path\":\"**\",\"capabilities\":[\"read\"]}]}";
    static const char *const names[] = {"", "_auth/token/x", "a//b", "a/../b", "a/", "/a", "a\n"};

    (void)state;
    assert_true(ask(text, CAPABILITY_READ, "a/b").allowed);
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        assert_false(ask(text, CAPABILITY_READ, names[i]).allowed);
    assert_false(ask(text, CAPABILITY_DENY, "a/b").allowed);
}

static void
hours(void **state)
{
    static const char day[] = "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],"
                              "\"not_before\":\"08:30\",\"not_after\":\"17:00\"}]}";
    static const char night[] = "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"deny\"],"
                                "\"not_before\":\"22:00\",\"not_after\":\"06:00\"},"
                                "{\"path\":\"a\",\"capabilities\":[\"read\"]}]}";
    static const struct {
        unsigned minute;
        bool day, night;
    } cases[] = {{8 * 60 + 29, false, true},  {8 * 60 + 30, true, true}, {16 * 60 + 59, true, true},
                 {17 * 60, false, true},      {22 * 60, false, false},   {0, false, false},
                 {5 * 60 + 59, false, false}, {6 * 60, false, true}};
    struct policy_question question = {.name = bytes_of_text("a"), .operation = CAPABILITY_READ};

    (void)state;
    /* Who does not know the hour allows no less. */
    assert_true(ask_with(day, &question).allowed);
    assert_true(ask_with(night, &question).allowed);
    question.has_minute = true;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        question.minute = (uint16_t)cases[i].minute;
        assert_int_equal(ask_with(day, &question).allowed, cases[i].day);
        assert_int_equal(ask_with(night, &question).allowed, cases[i].night);
    }
}

static void
addresses(void **state)
{
    static const char text[] = "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],"
                               "\"cidrs\":[\"10.0.0.0/8\",\"2001:db8::/33\"]},"
                               "{\"path\":\"**\",\"capabilities\":[\"read\"]}]}";
    static const struct {
        const char *address;
        bool allowed;
    } cases[] = {{"10.1.2.3", true},
                 {"11.0.0.0", false},
                 {"::ffff:10.1.2.3", true},
                 {"::ffff:11.1.2.3", false},
                 {"2001:db8:7fff::1", true},
                 {"2001:db8:8000::", false},
                 {"::1", false},
                 {"::10.1.2.3", false}};
    struct policy_question question = {.name = bytes_of_text("a"), .operation = CAPABILITY_READ};

    (void)state;
    assert_true(ask_with(text, &question).allowed);
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        assert_int_equal(address_parse(bytes_of_text(cases[i].address), &question.address), OK);
        assert_int_equal(ask_with(text, &question).allowed, cases[i].allowed);
    }
}

static void
expected_versions(void **state)
{
    static const char text[] = "{\"rules\":[{\"path\":\"a\",\"require_expected_version\":true,"
                               "\"capabilities\":[\"create\",\"update\",\"delete\"]}]}";
    struct policy_question question = {.name = bytes_of_text("a"), .operation = CAPABILITY_UPDATE};

    (void)state;
    assert_true(ask_with(text, &question).allowed);
    question.expected_version = EXPECTATION_NONE;
    assert_false(ask_with(text, &question).allowed);
    question.operation = CAPABILITY_DELETE;
    assert_false(ask_with(text, &question).allowed);
    question.operation = CAPABILITY_CREATE;
    assert_true(ask_with(text, &question).allowed);
    question.operation = CAPABILITY_UPDATE;
    question.expected_version = EXPECTATION_GIVEN;
    assert_true(ask_with(text, &question).allowed);
}

static void
ranges(void **state)
{
    static const char *const good[] = {"10.0.0.0/8", "0.0.0.0/0", "::/0", "2001:db8::/32",
                                       "192.0.2.1/32"};
    static const char *const bad[] = {"",
                                      "10.0.0.0/33",
                                      "10.0.0.1/8",
                                      "10.0.0.0/",
                                      "10.0.0/8",
                                      "010.0.0.0/8",
                                      "10.0.0.0/08",
                                      "::/129",
                                      "fe80::1%1",
                                      "10.0.0.0/-1",
                                      "::ffff:0.0.0.0/96",
                                      "a/8",
                                      "1.2.3.4/8/8",
                                      "2001:db8::1/64"};
    char text[CIDR_TEXT_BYTES_MAX + 1];
    struct cidr cidr;

    (void)state;
    for (size_t i = 0; i < sizeof good / sizeof good[0]; i++) {
        assert_int_equal(cidr_parse(bytes_of_text(good[i]), &cidr), OK);
        cidr_format(&cidr, text);
        assert_string_equal(text, good[i]);
    }
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(cidr_parse(bytes_of_text(bad[i]), &cidr), ERR_MALFORMED);
    assert_int_equal(cidr_parse(bytes_of_text("192.0.2.7"), &cidr), OK);
    assert_int_equal(cidr.prefix, 32);
}

/* ---- JSON and records ---- */

static void
refused_texts(void **state)
{
    static const char *const texts[] = {
        "",
        "[]",
        "{}",
        "{\"rules\":[]}",
        "{\"rules\":{}}",
        "{\"rules\":[{}]}",
        "{\"rules\":[{\"path\":\"a\"}]}",
        "{\"rules\":[{\"capabilities\":[\"read\"]}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[]}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":\"read\"}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"Read\"]}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\",\"read\"]}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\",\"deny\"]}]}",
        "{\"rules\":[{\"path\":\"a*\",\"capabilities\":[\"read\"]}]}",
        "{\"rules\":[{\"path\":\"a\",\"path\":\"b\",\"capabilities\":[\"read\"]}]}",
        "{\"rules\":[{\"path\":\"a\",\"p\\u0061th\":\"b\",\"capabilities\":[\"read\"]}]}",
        "{\"rules\":[{\"path\":\"a\\u0000\",\"capabilities\":[\"read\"]}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"also\":1}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]}],\"also\":1}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"cidrs\":[]}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"cidrs\":[\"10.0.0.1/8\"]}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"not_before\":\"8:30\"}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"not_before\":\"24:00\"}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"not_after\":\"24:01\"}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"not_after\":\"00:00\"}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"not_before\":\"08:00\","
        "\"not_after\":\"08:00\"}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"],\"require_expected_version\":1}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"deny\"],"
        "\"require_expected_version\":true}]}",
        "{\"rules\":[{\"path\":\"a\",\"capabilities\":[\"read\"]}]} x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        struct policy_fault fault;
        struct buf record = {0};

        assert_int_equal(policy_from_text(bytes_of_text(texts[i]), &record, &fault), ERR_BAD_JSON);
        assert_non_null(fault.why);
        assert_int_equal(record.size, 0);
        buf_close(&record);
    }
}

static enum vault_err
many_rules(size_t count, size_t path_size, struct buf *record)
{
    struct buf text = {0};
    struct policy_fault fault;
    enum vault_err err = buf_append_text(&text, "{\"rules\":[");

    for (size_t i = 0; i < count && err == OK; i++) {
        err = buf_printf(&text, "%s{\"path\":\"", i > 0 ? "," : "");
        for (size_t j = 0; j < path_size && err == OK; j++)
            err = buf_append_text(&text, "x");
        if (err == OK)
            err = buf_append_text(&text, "\",\"capabilities\":[\"read\"]}");
    }
    if (err == OK)
        err = buf_append_text(&text, "]}");
    assert_int_equal(err, OK);
    err = policy_from_text(buf_bytes(&text), record, &fault);
    buf_close(&text);
    return err;
}

static void
bounds(void **state)
{
    struct buf record = {0};

    (void)state;
    assert_int_equal(many_rules(POLICY_RULES_MAX, 100, &record), OK);
    assert_int_equal(many_rules(POLICY_RULES_MAX + 1, 1, &record), ERR_TOO_LARGE);
    buf_close(&record);
    assert_int_equal(many_rules(POLICY_RULES_MAX, 200, &record), ERR_TOO_LARGE);
    assert_int_equal(record.size, 0);
    assert_int_equal(many_rules(1, NAME_BYTES_MAX, &record), OK);
    buf_close(&record);
    assert_int_equal(many_rules(1, NAME_BYTES_MAX + 1, &record), ERR_BAD_JSON);
    assert_int_equal(many_rules(1, POLICY_TEXT_BYTES_MAX, &record), ERR_TOO_LARGE);
}

static void
records_come_back(void **state)
{
    struct buf record =
        record_of("{\"rules\":[{\"path\":\"a/*/**\",\"capabilities\":[\"read\",\"list\"],"
                  "\"require_expected_version\":true,\"cidrs\":[\"10.0.0.0/8\",\"::/0\"],"
                  "\"not_before\":\"22:00\",\"not_after\":\"06:00\"},"
                  "{\"path\":\"b\",\"capabilities\":[\"deny\"],\"not_after\":\"24:00\"}]}");
    struct policy *policy = calloc(1, sizeof(*policy));
    struct buf again = {0};

    (void)state;
    assert_non_null(policy);
    assert_int_equal(policy_decode(buf_bytes(&record), policy), OK);
    assert_int_equal(policy->rule_count, 2);
    assert_int_equal(policy->rules[0].cidr_count, 2);
    assert_int_equal(policy->rules[0].not_before, 22 * 60);
    assert_int_equal(policy->rules[1].not_after, MINUTES_PER_DAY);
    assert_int_equal(policy_encode(policy, &again), OK);
    assert_true(bytes_equal(buf_bytes(&record), buf_bytes(&again)));
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(policy_decode(bytes_of(record.data, size), policy), ERR_MALFORMED);
    assert_int_equal(policy->rule_count, 0);
    free(policy);
    buf_close(&record);
    buf_close(&again);
}

/* ---- against an evaluator that is written as the rules are said ---- */

enum { PARTS_MAX = 8, REFERENCE_RULES = 12 };

struct parts {
    size_t count;
    struct bytes part[PARTS_MAX];
};

static struct parts
split(struct bytes path)
{
    struct parts parts = {0};
    size_t start = 0;

    for (size_t i = 0; i <= path.size; i++) {
        if (i < path.size && path.data[i] != '/')
            continue;
        parts.part[parts.count++] = bytes_of(path.data + start, i - start);
        start = i + 1;
    }
    return parts;
}

static bool
is_text(struct bytes part, const char *text)
{
    return bytes_equal(part, bytes_of_text(text));
}

static bool
slow_match(const struct parts *pattern, size_t p, const struct parts *name, size_t n)
{
    if (p == pattern->count || n == name->count)
        return p == pattern->count && n == name->count;
    if (is_text(pattern->part[p], "**"))
        return slow_match(pattern, p + 1, name, n + 1) || slow_match(pattern, p, name, n + 1);
    if (!is_text(pattern->part[p], "*") && !bytes_equal(pattern->part[p], name->part[n]))
        return false;
    return slow_match(pattern, p + 1, name, n + 1);
}

/* Greater is more specific: one digit for each segment, the first weighs most. */
static unsigned long
weight(const struct parts *pattern)
{
    unsigned long sum = 0;

    for (size_t i = 0; i < PARTS_MAX; i++) {
        unsigned long digit = 0;
        if (i < pattern->count)
            digit = is_text(pattern->part[i], "**") ? 1 : is_text(pattern->part[i], "*") ? 2 : 3;
        sum = sum * 4 + digit;
    }
    return sum;
}

static bool
slow_answer(const struct policy *policies, size_t count, const struct policy_question *question)
{
    struct parts name = split(question->name);
    unsigned long best = 0;
    bool allowed = false;

    for (size_t i = 0; i < count; i++) {
        for (size_t j = 0; j < policies[i].rule_count; j++) {
            const struct policy_rule *rule = &policies[i].rules[j];
            struct parts pattern = split(rule->path);

            if (!slow_match(&pattern, 0, &name, 0))
                continue;
            if (rule->capabilities == 1u << CAPABILITY_DENY)
                return false;
            bool grants = (rule->capabilities >> question->operation & 1u) != 0;
            if (weight(&pattern) > best)
                allowed = grants;
            else if (weight(&pattern) == best)
                allowed = allowed || grants;
            if (weight(&pattern) > best)
                best = weight(&pattern);
        }
    }
    return allowed;
}

static uint64_t
below(const struct rng *rng, uint64_t bound)
{
    uint64_t number;

    assert_int_equal(rng_below(rng, bound, &number), OK);
    return number;
}

/* Few letters, so that much matches. */
static struct bytes
random_path(const struct rng *rng, bool wild, char *out)
{
    static const char *const literals[] = {"a", "b", "aa"};
    size_t count = 1 + below(rng, 4), size = 0;

    for (size_t i = 0; i < count; i++) {
        const char *part = literals[below(rng, 3)];

        if (wild && below(rng, 3) == 0)
            part = i + 1 == count && below(rng, 2) == 0 ? "**" : "*";
        if (i > 0)
            out[size++] = '/';
        memcpy(out + size, part, strlen(part));
        size += strlen(part);
    }
    return bytes_of(out, size);
}

static void
random_policy(const struct rng *rng, struct policy *policy, char texts[][32])
{
    policy->rule_count = 1 + below(rng, REFERENCE_RULES);
    for (size_t i = 0; i < policy->rule_count; i++) {
        struct policy_rule *rule = &policy->rules[i];

        *rule = (struct policy_rule){.not_after = MINUTES_PER_DAY};
        rule->path = random_path(rng, true, texts[i]);
        rule->capabilities = 1u + (unsigned)below(rng, 63);
        if (below(rng, 12) == 0)
            rule->capabilities = 1u << CAPABILITY_DENY;
    }
}

static void
assert_same_verdict(struct policy_verdict a, struct policy_verdict b)
{
    assert_int_equal(a.allowed, b.allowed);
    assert_int_equal(a.decided, b.decided);
    assert_int_equal(a.policy, b.policy);
    assert_int_equal(a.rule, b.rule);
}

static void
as_the_slow_one(void **state)
{
    enum { POLICIES = 3, ROUNDS = 20000 };
    struct policy *policies = calloc(POLICIES, sizeof(*policies));
    char texts[POLICIES][REFERENCE_RULES][32], name[32];
    size_t allowed = 0;
    struct rng_seeded seeded;
    struct rng rng;

    (void)state;
    assert_non_null(policies);
    rng_seeded_init(&seeded, 5, &rng);
    for (size_t round = 0; round < ROUNDS; round++) {
        struct policy_question question = {.operation = (enum capability)below(&rng, 6)};
        size_t count = 1 + below(&rng, POLICIES);
        struct policy_eval eval, fast;
        struct buf records[POLICIES] = {0};
        struct policy_index *indexes[POLICIES] = {0};

        question.name = random_path(&rng, false, name);
        policy_eval_init(&eval, &question);
        policy_eval_init(&fast, &question);
        for (size_t i = 0; i < count; i++) {
            random_policy(&rng, &policies[i], texts[i]);
            assert_int_equal(policy_encode(&policies[i], &records[i]), OK);
            assert_int_equal(policy_eval_add(&eval, buf_bytes(&records[i])), OK);
            assert_int_equal(policy_index_make(buf_bytes(&records[i]), &indexes[i]), OK);
            assert_int_equal(policy_eval_add_indexed(&fast, buf_bytes(&records[i]), indexes[i]),
                             OK);
        }
        bool expected = slow_answer(policies, count, &question);
        assert_int_equal(policy_eval_verdict(&eval).allowed, expected);
        assert_same_verdict(policy_eval_verdict(&fast), policy_eval_verdict(&eval));
        allowed += expected;
        for (size_t i = 0; i < count; i++) {
            buf_close(&records[i]);
            free(indexes[i]);
        }
    }
    assert_in_range(allowed, ROUNDS / 20, ROUNDS / 2); /* both answers were seen */
    free(policies);
}

/* What a decision costs: the rules that may be about a name, and not all that there are. */
static void
an_index_leaves_few(void **state)
{
    static const struct {
        const char *name;
        unsigned left;
    } cases[] = {{"app/7/key", 1}, {"app/7", 0}, {"app/70/key", 0}, {"any/x", 1}, {"a", 0}};
    struct policy *policy = calloc(1, sizeof(*policy));
    char texts[POLICY_RULES_MAX][16];
    struct policy_index *index;
    struct buf record = {0};

    (void)state;
    assert_non_null(policy);
    policy->rule_count = POLICY_RULES_MAX;
    for (unsigned i = 0; i < POLICY_RULES_MAX; i++) {
        snprintf(texts[i], sizeof(texts[i]), i == 5 ? "any/*" : "app/%u/**", i);
        policy->rules[i] = (struct policy_rule){.path = bytes_of_text(texts[i]),
                                                .capabilities = 1u << CAPABILITY_READ,
                                                .not_after = MINUTES_PER_DAY};
    }
    assert_int_equal(policy_encode(policy, &record), OK);
    assert_int_equal(policy_index_make(buf_bytes(&record), &index), OK);
    assert_int_equal(index->count, POLICY_RULES_MAX);
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        unsigned left = 0;
        for (size_t k = 0; k < index->count; k++)
            left += policy_index_may_match(&index->rules[k], buf_bytes(&record),
                                           bytes_of_text(cases[i].name));
        assert_int_equal(left, cases[i].left);
    }
    free(index);
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(policy_index_make(bytes_of(record.data, size), &index), ERR_MALFORMED);
    assert_null(index);
    buf_close(&record);
    free(policy);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(patterns),
        cmocka_unit_test(pattern_forms),
        cmocka_unit_test(specificity),
        cmocka_unit_test(most_specific_decides),
        cmocka_unit_test(deny_wins),
        cmocka_unit_test(policies_add_up),
        cmocka_unit_test(names_of_another_form),
        cmocka_unit_test(hours),
        cmocka_unit_test(addresses),
        cmocka_unit_test(expected_versions),
        cmocka_unit_test(ranges),
        cmocka_unit_test(refused_texts),
        cmocka_unit_test(bounds),
        cmocka_unit_test(records_come_back),
        cmocka_unit_test(as_the_slow_one),
        cmocka_unit_test(an_index_leaves_few),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
