/*
 * ostraka policy test and show: what policy files allow, without a vault. The rules are applied by
 * the same code as in a node.
 */
#include <stdio.h>
#include <string.h>

#include "auth/policy_json.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/policy_files.h"
#include "cli/secret_common.h"

enum { FILES_MAX = ARGUMENTS_MAX };

struct test {
    const char *operation, *name, *address, *time;
    bool no_expected_version, as_json;
};

static int
usage(const char *why)
{
    return cli_usage_error("policy test", "%s", why);
}

static int
make_question(const struct test *test, struct policy_question *out)
{
    *out = (struct policy_question){
        .expected_version = test->no_expected_version ? EXPECTATION_NONE : EXPECTATION_UNKNOWN};
    if (!test->operation || !test->name)
        return usage("--operation and --name say what is asked");
    if (!capability_parse(bytes_of_text(test->operation), &out->operation) ||
        out->operation == CAPABILITY_DENY)
        return usage("--operation is create, read, update, delete, list or history");
    if (secret_check_name("policy test", test->name) != EXIT_OK)
        return EXIT_USAGE;
    out->name = bytes_of_text(test->name);
    if (test->address && address_parse(bytes_of_text(test->address), &out->address) != OK)
        return usage("--address is an IPv4 or IPv6 address");
    out->has_minute = test->time != NULL;
    if (test->time && (hour_parse(bytes_of_text(test->time), &out->minute) != OK ||
                       out->minute == MINUTES_PER_DAY))
        return usage("--time is a time of day in UTC: 08:30");
    return EXIT_OK;
}

static int
print_json(const struct policy_files *files, struct policy_verdict verdict)
{
    const char *path = verdict.decided ? files->list[verdict.policy].path : NULL;
    json_t *answer =
        json_pack("{s:b, s:s?, s:o}", "allowed", verdict.allowed, "policy", path, "rule",
                  verdict.decided ? json_integer((json_int_t)verdict.rule + 1) : json_null());
    int status = answer ? output_json(answer) : secret_out_of_memory();

    json_decref(answer);
    return status;
}

static void
print_text(const struct policy_files *files, struct policy_verdict verdict)
{
    output_text(stdout, verdict.allowed ? COLOUR_GREEN : COLOUR_RED,
                verdict.allowed ? "allowed" : "denied");
    if (verdict.decided) {
        const struct policy_file *file = &files->list[verdict.policy];
        struct bytes path = file->policy->rules[verdict.rule].path;

        printf(" by rule %zu of %s: %.*s\n", verdict.rule + 1, file->path, (int)path.size,
               (const char *)path.data);
    } else {
        puts(": no rule matches that name");
    }
}

static int
answer(const struct test *test, const struct policy_files *files,
       const struct policy_question *question)
{
    struct policy_eval eval;
    struct policy_verdict verdict;
    int status = EXIT_OK;

    policy_eval_init(&eval, question);
    for (size_t i = 0; i < files->count; i++)
        if (policy_eval_add(&eval, buf_bytes(&files->list[i].record)) != OK)
            return EXIT_FAILED;
    verdict = policy_eval_verdict(&eval);
    if (test->as_json)
        status = print_json(files, verdict);
    else
        print_text(files, verdict);
    if (status)
        return status;
    return verdict.allowed ? EXIT_OK : EXIT_UNAUTHORIZED;
}

int
command_policy_test(int argc, char **argv)
{
    struct test test = {0};
    const struct option_spec specs[] = {
        {.name = "--operation", .text = &test.operation},
        {.name = "--name", .text = &test.name},
        {.name = "--address", .text = &test.address},
        {.name = "--time", .text = &test.time},
        {.name = "--no-expected-version", .flag = &test.no_expected_version},
        {.name = "--json", .flag = &test.as_json},
    };
    struct policy_question question;
    struct policy_files files;
    struct arguments paths;
    int status = options_parse("policy test", argc, argv, specs, sizeof specs / sizeof specs[0],
                               "FILE...", 1, FILES_MAX, &paths);

    if (status == EXIT_OK)
        status = make_question(&test, &question);
    if (status)
        return status;
    status = policy_files_read(&paths, &files);
    if (status)
        return status;
    status = answer(&test, &files, &question);
    policy_files_close(&files);
    return status;
}

int
command_policy_show(int argc, char **argv)
{
    bool matrix = false;
    const struct option_spec specs[] = {{.name = "--matrix", .flag = &matrix}};
    struct policy_files files;
    struct arguments paths;
    int status =
        options_parse("policy show", argc, argv, specs, 1, "FILE...", 1, FILES_MAX, &paths);

    if (status == EXIT_OK)
        status = policy_files_read(&paths, &files);
    if (status)
        return status;
    status = matrix ? policy_print_matrix(&files) : policy_print_rules(&files);
    policy_files_close(&files);
    return status;
}
