/*
 * Histories made by hand: what a correct vault could have answered is accepted, anything else
 * refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
/* cmocka wants those first */
#include <cmocka.h>

#include "check/history.h"

/* One operation from moment A to moment B; times in the order of the numbers. */
#define OP(op, kind, a, b, rest)                                                                   \
    "{\"client\":1,\"op\":" #op ",\"path\":\"p\",\"kind\":\"" kind "\",\"called_ns\":" #a          \
    ",\"returned_ns\":" #b "," rest "}\n"
#define WROTE(value, version, from)                                                                \
    "\"value\":\"" value "\",\"outcome\":\"ok\",\"version\":" #version ",\"valid_from_ms\":" #from
#define READ(value, version, from)                                                                 \
    "\"outcome\":\"ok\",\"value\":\"" value "\",\"version\":" #version ",\"valid_from_ms\":" #from \
    ",\"valid_to_ms\":null"
#define REFUSED(code) "\"outcome\":\"refused\",\"code\":\"" code "\""
#define UNKNOWN       "\"outcome\":\"unknown\""
#define CREATED       OP(1, "create", 10, 20, WROTE("a", 1, 500))
#define UPDATED       OP(2, "update", 30, 40, WROTE("b", 2, 600))
#define DELETED       OP(3, "delete", 50, 60, "\"outcome\":\"ok\"")

struct judged {
    enum judge_end end;
    char report[4000];
};

static void
judge(const char *text, struct judged *out)
{
    struct history history;
    struct judgement judgement;
    char why[200];
    memset(out, 0, sizeof(*out));
    FILE *in = fmemopen((void *)(uintptr_t)text, strlen(text), "r");
    FILE *report = fmemopen(out->report, sizeof(out->report) - 1, "w");
    assert_non_null(in);
    assert_non_null(report);
    out->end = JUDGE_USAGE;
    if (history_read(in, &history, why)) {
        history_judge(&history, report, &judgement);
        out->end = judgement_end(&judgement);
    } else {
        fprintf(report, "%s", why);
    }
    history_close(&history);
    fclose(in);
    fclose(report);
}

static void
accepted(const char *text)
{
    struct judged j;
    judge(text, &j);
    if (j.end != JUDGE_OK)
        fail_msg("refused: %s", j.report);
}

/* The report names the property and says this. */
static void
refused(const char *text, const char *property, const char *says)
{
    struct judged j;
    judge(text, &j);
    if (j.end != JUDGE_CONTRADICTED)
        fail_msg("accepted, or no history: %s", j.report);
    if (!strstr(j.report, property) || !strstr(j.report, says))
        fail_msg("not \"%s\" and \"%s\" in: %s", property, says, j.report);
}

static void
malformed(const char *text, const char *says)
{
    struct judged j;
    judge(text, &j);
    assert_int_equal(j.end, JUDGE_USAGE);
    if (!strstr(j.report, says))
        fail_msg("not \"%s\" in: %s", says, j.report);
}

static void
test_a_life_is_accepted(void **state)
{
    (void)state;
    accepted(CREATED UPDATED OP(4, "read", 41, 49, READ("b", 2, 600)) DELETED OP(
        5, "read", 61, 70, REFUSED("not_found")) OP(6, "deletion", 61, 70, "\"outcome\":\"ok\"")
                 OP(7, "create", 71, 80, WROTE("c", 1, 700))
                     OP(8, "create", 81, 90, "\"value\":\"d\"," REFUSED("already_exists"))
                         OP(9, "update", 81, 90,
                            "\"value\":\"e\",\"expected_version\":3," REFUSED("version_mismatch"))
                             OP(10, "deletion", 91, 99, REFUSED("not_found"))
                                 OP(11, "read", 91, 99, READ("c", 1, 700)));
}

static void
test_what_overlaps_may_happen_in_any_order(void **state)
{
    (void)state;
    accepted(CREATED OP(2, "update", 30, 60, WROTE("b", 3, 700)) OP(3, "update", 30, 60,
                                                                    WROTE("c", 2, 600))
                 OP(4, "read", 35, 45, READ("c", 2, 600)) OP(5, "read", 36, 50, READ("a", 1, 500)));
}

static void
test_what_is_unknown_may_have_happened_or_not(void **state)
{
    (void)state;
    /* Never; at once; or long after. */
    accepted(CREATED OP(2, "update", 30, 40, "\"value\":\"b\"," UNKNOWN)
                 OP(3, "update", 50, 60, WROTE("c", 2, 600)));
    accepted(CREATED OP(2, "update", 30, 40, "\"value\":\"b\"," UNKNOWN)
                 OP(3, "update", 50, 60, WROTE("c", 3, 700)));
    accepted(CREATED OP(2, "update", 30, 40, "\"value\":\"b\"," UNKNOWN) OP(
        3, "update", 50, 60, WROTE("c", 2, 600)) OP(4, "read", 70, 80, READ("b", 3, 700)));
    accepted(CREATED OP(2, "delete", 30, 40, "\"outcome\":\"timeout\"") OP(
        3, "read", 50, 60, READ("a", 1, 500)) OP(4, "read", 70, 80, REFUSED("not_found")));
}

static void
test_what_says_nothing_is_left_out(void **state)
{
    (void)state;
    accepted(CREATED OP(2, "read", 30, 40, "\"outcome\":\"timeout\"")
                 OP(3, "update", 30, 40, "\"value\":\"b\"," REFUSED("no_quorum"))
                     OP(4, "read", 50, 60, REFUSED("value_unavailable"))
                         OP(5, "history", 50, 60, "\"limit\":100," REFUSED("busy"))
                             OP(6, "read", 70, 80, READ("a", 1, 500)));
}

static void
test_histories_and_old_versions_are_accepted(void **state)
{
    (void)state;
    accepted(CREATED UPDATED OP(3, "history", 50, 60,
                                "\"limit\":100,\"outcome\":\"ok\",\"has_next\":false,"
                                "\"rows\":[[2,600,null],[1,500,600]]")
                 OP(4, "history", 50, 60,
                    "\"limit\":1,\"outcome\":\"ok\",\"has_next\":true,"
                    "\"rows\":[[2,600,null]]")
                     OP(5, "read", 50, 60,
                        "\"version_asked\":1,\"outcome\":\"ok\",\"value\":\"a\","
                        "\"version\":1,\"valid_from_ms\":500,\"valid_to_ms\":600")
                         OP(6, "read", 50, 60, "\"version_asked\":3," REFUSED("not_found"))
                             OP(7, "read", 50, 60,
                                "\"at_ms\":599,\"outcome\":\"ok\",\"value\":\"a\","
                                "\"version\":1,\"valid_from_ms\":500,\"valid_to_ms\":600"));
}

static void
test_a_lost_update_is_refused(void **state)
{
    (void)state;
    refused(CREATED UPDATED OP(4, "read", 50, 60, READ("a", 1, 500)), "linearizable", "op 4");
    /* Unseen by reads: the number is used again. */
    refused(CREATED UPDATED OP(4, "update", 50, 60, WROTE("c", 2, 700)), "linearizable", "op 4");
    refused(CREATED OP(2, "read", 30, 40, REFUSED("not_found")), "linearizable", "op 2");
}

static void
test_a_stale_read_is_refused(void **state)
{
    (void)state;
    /* One has seen the new value before the other began. */
    refused(CREATED OP(2, "update", 30, 90, WROTE("b", 2, 600))
                OP(3, "read", 40, 50, READ("b", 2, 600)) OP(4, "read", 60, 70, READ("a", 1, 500)),
            "linearizable", "op 4");
    refused(CREATED UPDATED OP(3, "history", 50, 60,
                               "\"limit\":100,\"outcome\":\"ok\",\"has_next\":false,"
                               "\"rows\":[[1,500,null]]"),
            "linearizable", "op 3");
}

static void
test_a_deleted_secret_come_back_is_refused(void **state)
{
    (void)state;
    refused(CREATED UPDATED DELETED OP(4, "read", 70, 80, READ("b", 2, 600)), "linearizable",
            "op 4");
    refused(CREATED DELETED OP(4, "update", 70, 80, WROTE("c", 2, 700)), "linearizable", "op 4");
    refused(CREATED DELETED OP(4, "deletion", 70, 80, REFUSED("not_found")), "linearizable",
            "op 4");
    /* Also when the deletion's own answer was lost, but somebody saw it done. */
    refused(CREATED OP(2, "delete", 30, 40, UNKNOWN) OP(3, "read", 50, 60, REFUSED("not_found"))
                OP(4, "read", 70, 80, READ("a", 1, 500)),
            "linearizable", "op 4");
}

static void
test_a_version_given_twice_is_refused(void **state)
{
    (void)state;
    refused(CREATED OP(2, "update", 30, 90, WROTE("b", 2, 600))
                OP(3, "update", 30, 95, WROTE("c", 2, 601)),
            "linearizable", "op 3");
    refused(CREATED UPDATED OP(3, "create", 50, 60, WROTE("c", 1, 700)), "linearizable", "op 3");
}

static void
test_wrong_version_numbers_are_refused(void **state)
{
    (void)state;
    refused(CREATED OP(2, "update", 30, 40, WROTE("b", 3, 600)), "linearizable", "op 2");
    refused(CREATED UPDATED OP(3, "read", 50, 60, READ("b", 3, 600)), "versions", "op 3");
    refused(CREATED UPDATED OP(3, "read", 50, 60, "\"version_asked\":1," READ("b", 2, 600)),
            "versions", "asked for version 1");
    refused(CREATED UPDATED OP(3, "history", 50, 60,
                               "\"limit\":100,\"outcome\":\"ok\",\"has_next\":false,"
                               "\"rows\":[[3,600,null],[1,500,600]]"),
            "versions", "op 3");
}

static void
test_refusals_that_contradict_are_refused(void **state)
{
    (void)state;
    refused(CREATED DELETED OP(4, "create", 70, 80, "\"value\":\"c\"," REFUSED("already_exists")),
            "linearizable", "op 4");
    refused(CREATED OP(4, "update", 70, 80, "\"value\":\"c\"," REFUSED("not_found")),
            "linearizable", "op 4");
    refused(CREATED OP(4, "update", 70, 80,
                       "\"value\":\"c\",\"expected_version\":1," REFUSED("version_mismatch")),
            "linearizable", "op 4");
    refused(CREATED UPDATED OP(4, "update", 70, 80, "\"expected_version\":1," WROTE("c", 3, 700)),
            "linearizable", "op 4");
}

static void
test_values_and_validity(void **state)
{
    (void)state;
    refused(CREATED OP(2, "read", 30, 40, READ("x", 1, 500)), "values", "nobody wrote");
    refused(CREATED OP(2, "update", 30, 40, "\"value\":\"b\"," REFUSED("no_quorum"))
                OP(3, "read", 50, 60, READ("b", 2, 600)),
            "values", "had failed (no_quorum)");
    refused(CREATED OP(2, "read", 30, 40, READ("a", 1, 501)), "validity", "501");
    refused(CREATED UPDATED OP(3, "history", 50, 60,
                               "\"limit\":100,\"outcome\":\"ok\",\"has_next\":false,"
                               "\"rows\":[[2,600,null],[1,500,599]]"),
            "validity", "op 3");
    refused(CREATED UPDATED OP(3, "read", 50, 60,
                               "\"at_ms\":600,\"outcome\":\"ok\",\"value\":\"a\",\"version\":1,"
                               "\"valid_from_ms\":500,\"valid_to_ms\":600"),
            "validity", "not valid at that time");
}

/* Of a long history only what the contradiction needs is shown. */
static void
test_the_explanation_is_short(void **state)
{
    (void)state;
    char text[20000], line[300];
    struct judged j;
    int size = snprintf(text, sizeof(text), "%s", CREATED);
    for (int i = 2; i <= 40; i++) {
        size +=
            snprintf(text + size, sizeof(text) - (size_t)size,
                     "{\"client\":2,\"op\":%d,\"path\":\"p\",\"kind\":\"update\",\"called_ns\":%d,"
                     "\"returned_ns\":%d,\"value\":\"v%d\",\"outcome\":\"ok\",\"version\":%d,"
                     "\"valid_from_ms\":%d}\n",
                     i, i * 100, i * 100 + 50, i, i, 1000 + i);
    }
    snprintf(line, sizeof(line), "%s", OP(99, "read", 5000, 5001, READ("v7", 7, 1007)));
    snprintf(text + size, sizeof(text) - (size_t)size, "%s", line);
    judge(text, &j);
    assert_int_equal(j.end, JUDGE_CONTRADICTED);
    assert_non_null(strstr(j.report, ">>"));
    assert_non_null(strstr(j.report, "op 99"));
    unsigned lines = 0;
    for (const char *at = j.report; (at = strchr(at, '\n')); at++)
        lines++;
    if (lines > 6)
        fail_msg("%s", j.report);
}

static void
test_paths_are_judged_apart(void **state)
{
    (void)state;
    struct judged j;
    judge(CREATED "{\"client\":1,\"op\":2,\"path\":\"other\",\"kind\":\"read\",\"called_ns\":30,"
                  "\"returned_ns\":40,\"outcome\":\"refused\",\"code\":\"not_found\"}\n",
          &j);
    assert_int_equal(j.end, JUDGE_OK);
    judge(CREATED "{\"client\":1,\"op\":2,\"path\":\"other\",\"kind\":\"read\",\"called_ns\":30,"
                  "\"returned_ns\":40," READ("a", 1, 500) "}\n",
          &j);
    assert_int_equal(j.end, JUDGE_CONTRADICTED);
    assert_true(strncmp(j.report, "other\n", 6) == 0);
}

static void
test_what_is_no_history(void **state)
{
    (void)state;
    malformed("\n", "no operation");
    malformed("[]\n", "line 1: not a JSON object");
    malformed(CREATED "{\"client\":1\n", "line 2: not a JSON object");
    malformed(CREATED CREATED, "lines 1 and 2: the same op");
    malformed(OP(1, "read", 20, 10, REFUSED("not_found")), "before called_ns");
    malformed(OP(1, "move", 10, 20, REFUSED("not_found")), "kind:");
    malformed(OP(1, "read", 10, 20, "\"outcome\":\"ok\""), "value:");
    malformed(OP(1, "read", 10, 20, "\"outcome\":\"perhaps\""), "outcome:");
    malformed(OP(1, "read", -1, 20, REFUSED("not_found")), "called_ns:");
    malformed(OP(1, "history", 10, 20, "\"limit\":9,\"outcome\":\"ok\",\"rows\":[[1,2]]"), "rows:");
    malformed(OP(1, "create", 10, 20, UNKNOWN), "value:");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_life_is_accepted),
        cmocka_unit_test(test_what_overlaps_may_happen_in_any_order),
        cmocka_unit_test(test_what_is_unknown_may_have_happened_or_not),
        cmocka_unit_test(test_what_says_nothing_is_left_out),
        cmocka_unit_test(test_histories_and_old_versions_are_accepted),
        cmocka_unit_test(test_a_lost_update_is_refused),
        cmocka_unit_test(test_a_stale_read_is_refused),
        cmocka_unit_test(test_a_deleted_secret_come_back_is_refused),
        cmocka_unit_test(test_a_version_given_twice_is_refused),
        cmocka_unit_test(test_wrong_version_numbers_are_refused),
        cmocka_unit_test(test_refusals_that_contradict_are_refused),
        cmocka_unit_test(test_values_and_validity),
        cmocka_unit_test(test_the_explanation_is_short),
        cmocka_unit_test(test_paths_are_judged_apart),
        cmocka_unit_test(test_what_is_no_history),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
