/*
 * ostraka env encrypt, expand and check. What is to be written is made sure to be writable before
 * the vault is asked, since what it has stored stays stored.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/env_file.h"
#include "cli/env_state.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "env/env_plan.h"

struct work {
    const char *command;
    const char *file;
    struct client_options connection;
    const char *prefix, *output; /* NULL: none */
    bool offline, encrypted;
};

static int
to_stdout(struct bytes text)
{
    if (output_write(STDOUT_FILENO, text) == OK)
        return EXIT_OK;
    output_error("the result cannot be written: %s", strerror(errno));
    return EXIT_UNWRITTEN;
}

/* ---- expand ---- */

/* `target`: the file to be written; "-": standard output. */
static int
transform_to(const struct work *work, const char *mode, const char *target)
{
    struct client *client;
    struct buf text, result = {0};
    int status = env_file_read(work->file, &text);

    if (status)
        return status;
    status = client_open(&work->connection, &client);
    if (status == EXIT_OK) {
        status = env_file_transform(client, buf_bytes(&text), mode, work->prefix, &result);
        client_close(client);
    }
    buf_close(&text);
    if (status == EXIT_OK)
        status = strcmp(target, "-") == 0 ? to_stdout(buf_bytes(&result))
                                          : env_file_write_private(target, buf_bytes(&result));
    buf_close(&result);
    return status;
}

/* ---- encrypt ---- */

static int
ask(const struct work *work, const struct env_state *state, struct bytes text, struct buf *result)
{
    char key[ENV_STATE_KEY_BYTES];
    struct client *client;
    int status = client_open(&work->connection, &client);

    if (status)
        return status;
    if (state->path) {
        env_state_key(state, text, work->prefix, key);
        client_set_key(client, key);
    }
    status = env_file_transform(client, text, "encrypt", work->prefix, result);
    client_close(client);
    if (status == EXIT_UNKNOWN && state->path)
        output_hint("with %s as it is now the same command goes on where this one ended",
                    work->file);
    return status;
}

/* What somebody wrote while the vault was asked is not overwritten. */
static int
expect_unchanged(const struct work *work, struct bytes text)
{
    struct buf now;
    int status = env_file_read(work->file, &now);

    if (status)
        return status;
    if (!bytes_equal(buf_bytes(&now), text)) {
        output_error("%s was changed meanwhile and is left as it is", work->file);
        status = EXIT_FAILED;
    }
    buf_close(&now);
    return status;
}

/* References only: they may be shown, and are all that is left of what was stored. */
static int
rescue(struct bytes result)
{
    output_hint("the secrets are stored; this is what the file has to be now:");
    (void)to_stdout(result);
    return EXIT_FAILED;
}

static int
put_result(const struct work *work, struct bytes text, struct bytes result,
           struct env_replacement *place)
{
    int status = EXIT_OK;

    if (!work->output && bytes_equal(text, result))
        return EXIT_OK;
    if (!work->output)
        status = expect_unchanged(work, text);
    if (status == EXIT_OK)
        status = env_replacement_finish(place, result);
    return status ? rescue(result) : EXIT_OK;
}

static int
encrypt_into(const struct work *work, struct bytes text, struct env_replacement *place)
{
    struct env_state state = {0};
    struct buf result = {0};
    bool answered = false;
    int status = EXIT_OK;

    /* Without it nothing will be stored. */
    if (dotenv_has_enc(text))
        status = env_state_open(place->path, &state);
    if (status == EXIT_OK) {
        status = ask(work, &state, text, &result);
        answered = status == EXIT_OK;
    }
    if (answered)
        status = put_result(work, text, buf_bytes(&result), place);
    /* An earlier request may still be unknown when this one is refused. */
    env_state_close(&state, answered ? status == EXIT_OK : !state.found && status != EXIT_UNKNOWN);
    buf_close(&result);
    return status;
}

static int
encrypt_to_file(const struct work *work, const char *target)
{
    struct env_replacement place;
    struct buf text;
    int status = env_file_read(work->file, &text);

    if (status)
        return status;
    status = env_replacement_open(target, &place);
    if (status == EXIT_OK)
        status = encrypt_into(work, buf_bytes(&text), &place);
    buf_close(&text);
    env_replacement_close(&place);
    return status;
}

/* ---- the command line ---- */

static int
parse(struct work *work, int argc, char **argv, const struct option_spec *specs, size_t count)
{
    struct arguments arguments;
    int status = options_parse(work->command, argc, argv, specs, count, "FILE", 1, 1, &arguments);

    work->file = arguments.values[0];
    return status;
}

int
command_env_encrypt(int argc, char **argv)
{
    struct work work = {.command = "env encrypt"};
    const struct option_spec specs[] = {
        {.name = "--prefix", .text = &work.prefix},
        {.name = "--output", .text = &work.output},
        CLIENT_OPTION_SPECS(&work.connection),
    };
    int status = parse(&work, argc, argv, specs, sizeof specs / sizeof specs[0]);

    if (status)
        return status;
    if (strcmp(work.output ? work.output : work.file, "-") == 0)
        return transform_to(&work, "encrypt", "-");
    return encrypt_to_file(&work, work.output ? work.output : work.file);
}

int
command_env_expand(int argc, char **argv)
{
    struct work work = {.command = "env expand"};
    const struct option_spec specs[] = {
        {.name = "--output", .text = &work.output},
        CLIENT_OPTION_SPECS(&work.connection),
    };
    int status = parse(&work, argc, argv, specs, sizeof specs / sizeof specs[0]);

    if (status)
        return status;
    return transform_to(&work, "expand", work.output ? work.output : "-");
}

/* ---- check ---- */

static int
report_faults(const struct work *work, const struct env_plan *plan)
{
    for (size_t i = 0; i < plan->fault_count; i++) {
        const struct env_fault *fault = &plan->faults[i];

        fprintf(stderr, "%s:%zu: %.*s%s%s\n", work->file, fault->line, (int)fault->name.size,
                (const char *)fault->name.data, fault->name.size > 0 ? ": " : "",
                dotenv_fault_text(fault->code));
    }
    if (plan->fault_count == 0)
        return EXIT_OK;
    output_error("%s is not usable as it is", work->file);
    return EXIT_FAILED;
}

/* What is marked and not stored yet is still in the file. */
static int
report_unstored(const struct work *work, const struct env_plan *plan)
{
    for (size_t i = 0; i < plan->creation_count; i++) {
        const struct env_creation *one = &plan->creations[i];

        fprintf(stderr, "%s:%zu: %.*s: %s\n", work->file, one->line, (int)one->variable.size,
                (const char *)one->variable.data, dotenv_fault_text(DOTENV_UNEXPECTED_ENC));
    }
    if (plan->creation_count == 0)
        return EXIT_OK;
    output_error("%s has values that are not stored yet", work->file);
    return EXIT_FAILED;
}

/* A text with nothing but the references, each in its line, so that refusals name that line. */
static enum vault_err
references_only(const struct env_plan *plan, struct buf *out)
{
    enum vault_err err = OK;
    size_t line = 0;

    for (size_t i = 0; i < plan->reference_count && err == OK; i++) {
        const struct env_reference *reference = &plan->references[i];

        for (; line < reference->line && err == OK; line++)
            err = buf_append_text(out, line + 1 < reference->line ? "\n" : "\nA=");
        if (err == OK && reference->created > 0)
            continue;
        if (err == OK)
            err = buf_printf(out, "secret(%.*s", (int)reference->name.size,
                             (const char *)reference->name.data);
        if (err == OK && reference->version > 0)
            err = buf_printf(out, "@%llu", (unsigned long long)reference->version);
        if (err == OK)
            err = buf_append_text(out, ")");
    }
    if (err == OK && out->size > 0)
        buf_consume(out, 1); /* the line end before the first */
    return err;
}

static int
look_references_up(const struct work *work, const struct env_plan *plan)
{
    struct client *client;
    struct buf text = {0}, result = {0};
    int status;

    if (references_only(plan, &text) != OK) {
        buf_close(&text);
        return secret_out_of_memory();
    }
    status = client_open(&work->connection, &client);
    if (status == EXIT_OK) {
        status = env_file_transform(client, buf_bytes(&text), "encrypt", NULL, &result);
        client_close(client);
    }
    buf_close(&text);
    buf_close(&result);
    return status;
}

/* Nobody refuses such a line, and nobody gets a variable by it. */
static void
warn_passed_over(const struct work *work, struct bytes text)
{
    struct dotenv_reader reader;
    struct dotenv_item item;

    dotenv_read(&reader, text);
    while (dotenv_next(&reader, &item)) {
        if (dotenv_is_passed_over(&item))
            fprintf(stderr,
                    "%s:%zu: warning: neither NAME=value nor a comment: it is passed over\n",
                    work->file, item.line);
    }
}

/* Returns EXIT_OK with *exists, or another status having said why. */
static int
look_up(struct client *client, const char *name, bool *exists)
{
    struct client_answer answer = {0};
    struct buf target;
    int status = secret_target("/v1/metadata/", name, &target);

    *exists = false;
    if (status == EXIT_OK)
        status = secret_target_end(&target);
    if (status)
        return status;
    /* Whoever may create a secret may yet have no right to see it: then it is not known. */
    client_set_untold_code(client, "forbidden");
    client_set_untold(client, EXIT_NOT_FOUND);
    status = client_call(client, CLIENT_GET, (const char *)target.data, NULL, &answer);
    client_set_untold(client, EXIT_OK);
    client_set_untold_code(client, NULL);
    *exists = status == EXIT_OK;
    if (status == EXIT_NOT_FOUND || strcmp(client_last_code(client), "forbidden") == 0)
        status = EXIT_OK;
    client_answer_close(&answer);
    buf_close(&target);
    return status;
}

static int
look_creations_up(const struct work *work, const struct env_plan *plan)
{
    struct client *client;
    size_t found = 0;
    int status = client_open(&work->connection, &client);

    if (status)
        return status;
    for (size_t i = 0; i < plan->creation_count && status == EXIT_OK; i++) {
        const struct env_creation *one = &plan->creations[i];
        char name[NAME_BYTES_MAX + 1];
        bool exists;

        snprintf(name, sizeof name, "%.*s", (int)one->name.size, (const char *)one->name.data);
        status = look_up(client, name, &exists);
        if (status != EXIT_OK || !exists)
            continue;
        found++;
        fprintf(stderr, "%s:%zu: %.*s: there is a secret %s\n", work->file, one->line,
                (int)one->variable.size, (const char *)one->variable.data, name);
    }
    client_close(client);
    if (status != EXIT_OK || found == 0)
        return status;
    output_error("%zu of the secrets to be stored exist already", found);
    output_hint("write secret(NAME) where the stored value is meant, change that with `ostraka "
                "secret update NAME -`, or choose another --prefix");
    return EXIT_CONFLICT;
}

static int
check_plan(const struct work *work, struct bytes text, struct arena *arena)
{
    struct env_input input = {.text = text, .prefix = bytes_of_text(work->prefix)};
    struct env_plan plan;
    enum vault_err err = env_plan_make(&input, arena, &plan);
    int status;

    if (err != OK) {
        output_error("%s cannot be checked: %s", work->file, vault_err_text(err));
        return EXIT_FAILED;
    }
    status = report_faults(work, &plan);
    if (status == EXIT_OK && work->encrypted)
        status = report_unstored(work, &plan);
    if (status == EXIT_OK && !work->offline && plan.reference_count > 0)
        status = look_references_up(work, &plan);
    if (status == EXIT_OK && !work->offline && plan.creation_count > 0)
        status = look_creations_up(work, &plan);
    if (status)
        return status;
    warn_passed_over(work, text);
    printf("%zu references%s, %zu to be stored\n", plan.reference_count,
           work->offline ? "" : ", all of them there", plan.creation_count);
    return EXIT_OK;
}

int
command_env_check(int argc, char **argv)
{
    struct work work = {.command = "env check", .prefix = ""};
    const struct option_spec specs[] = {
        {.name = "--prefix", .text = &work.prefix},
        {.name = "--offline", .flag = &work.offline},
        {.name = "--encrypted", .flag = &work.encrypted},
        CLIENT_OPTION_SPECS(&work.connection),
    };
    struct arena arena;
    struct buf text;
    int status = parse(&work, argc, argv, specs, sizeof specs / sizeof specs[0]);

    if (status == EXIT_OK)
        status = env_file_read(work.file, &text);
    if (status)
        return status;
    arena_init(&arena, (size_t)8 * 1024 * 1024);
    status = check_plan(&work, buf_bytes(&text), &arena);
    arena_close(&arena);
    buf_close(&text);
    return status;
}
