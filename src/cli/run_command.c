/*
 * ostraka run: a program with the values of secrets in its environment, and nowhere else. Without
 * --watch this process becomes the program, so that signals and the exit status are its own.
 */
#include "cli/run.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/bulk.h"
#include "cli/cli.h"
#include "cli/env_file.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "cli/wiped_memory.h"
#include "env/dotenv.h"

enum { INTERVAL_S = 5, INTERVAL_S_MAX = 24 * 60 * 60 };

/* ---- the environment ---- */

void
environment_close(struct environment *environment)
{
    for (size_t i = 0; i < environment->count; i++)
        wiped_free(environment->entries[i]);
    wiped_free(environment->entries);
    *environment = (struct environment){0};
}

/* Takes `entry`, also on error. */
static enum vault_err
add_entry(struct environment *environment, char *entry)
{
    if (!entry)
        return ERR_NOMEM;
    if (environment->count + 1 >= environment->capacity) {
        size_t capacity = environment->capacity * 2 + 64;
        char **more = wiped_realloc(environment->entries, capacity * sizeof *more);

        if (!more) {
            wiped_free(entry);
            return ERR_NOMEM;
        }
        environment->entries = more;
        environment->capacity = capacity;
    }
    environment->entries[environment->count++] = entry;
    environment->entries[environment->count] = NULL;
    return OK;
}

static enum vault_err
set_variable(struct environment *environment, struct bytes name, struct bytes value)
{
    char *entry = wiped_malloc(name.size + value.size + 2);

    if (!entry)
        return ERR_NOMEM;
    memcpy(entry, name.data, name.size);
    entry[name.size] = '=';
    if (value.size > 0)
        memcpy(entry + name.size + 1, value.data, value.size);
    entry[name.size + 1 + value.size] = '\0';
    for (size_t i = 0; i < environment->count; i++) {
        if (strncmp(environment->entries[i], entry, name.size + 1) == 0) {
            wiped_free(environment->entries[i]);
            environment->entries[i] = entry;
            return OK;
        }
    }
    return add_entry(environment, entry);
}

static enum vault_err
set_variables(struct environment *environment, struct bytes text)
{
    struct dotenv_reader reader;
    struct dotenv_item item;
    struct buf value = {0};
    enum vault_err err = OK;

    dotenv_read(&reader, text);
    while (err == OK && dotenv_next(&reader, &item)) {
        if (item.kind != DOTENV_ASSIGNMENT)
            continue;
        buf_close(&value);
        err = dotenv_decode(&item, &value);
        if (err == OK)
            err = set_variable(environment, item.name, buf_bytes(&value));
    }
    buf_close(&value);
    return err;
}

static int
add_file(struct client *client, const char *file, struct environment *environment)
{
    struct buf text, expanded = {0};
    int status = env_file_read(file, &text);

    if (status) {
        output_hint("--env-file names another file, --prefix does without one");
        return status;
    }
    status = env_file_transform(client, buf_bytes(&text), "expand", NULL, &expanded);
    if (status)
        output_hint("that is about %s", file);
    else if (set_variables(environment, buf_bytes(&expanded)) != OK)
        status = secret_out_of_memory();
    buf_close(&text);
    buf_close(&expanded);
    return status;
}

static int
add_prefix(struct client *client, const char *prefix, struct environment *environment)
{
    struct bulk bulk = {0};
    int status = bulk_read(client, prefix, &bulk);

    /* A prefix that was mistyped, or may not be listed, would be a program without its secrets. */
    if (status == EXIT_OK && bulk.count == 0) {
        output_error("there is no secret whose name begins with %s, or none that may be listed",
                     prefix);
        status = EXIT_NOT_FOUND;
    }
    if (status == EXIT_OK)
        status = bulk_name_variables(&bulk, prefix);
    for (size_t i = 0; i < bulk.count && status == EXIT_OK; i++) {
        struct bytes value = buf_bytes(&bulk.items[i].value);

        if (value.size > 0 && memchr(value.data, 0, value.size)) {
            output_error("the value of %.*s has a NUL, which no environment can hold",
                         (int)bulk.items[i].name.size, (const char *)bulk.items[i].name.data);
            status = EXIT_FAILED;
        } else if (set_variable(environment, buf_bytes(&bulk.items[i].name), value) != OK) {
            status = secret_out_of_memory();
        }
    }
    bulk_close(&bulk);
    return status;
}

/*
 * What this program itself is let in with, which mostly allows more than the few values that the
 * other one is to get. A program that is sent a signal instead reads its secrets itself, and so
 * keeps it.
 */
static bool
is_own_credential(const char *entry)
{
    static const char *const names[] = {"OSTRAKA_TOKEN=", "OSTRAKA_SECRET_ID=", "OSTRAKA_JWT="};

    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        if (strncmp(entry, names[i], strlen(names[i])) == 0)
            return true;
    }
    return false;
}

int
run_environment(const struct run *run, struct client *client, struct environment *out)
{
    int status = EXIT_OK;

    *out = (struct environment){0};
    for (char **entry = environ; *entry && status == EXIT_OK; entry++) {
        if (!run->signal && is_own_credential(*entry))
            continue;
        if (add_entry(out, wiped_strdup(*entry)) != OK)
            status = secret_out_of_memory();
    }
    for (size_t i = 0; i < run->prefixes.count && status == EXIT_OK; i++)
        status = add_prefix(client, run->prefixes.values[i], out);
    for (size_t i = 0; i < run->files.count && status == EXIT_OK; i++)
        status = add_file(client, run->files.values[i], out);
    if (status)
        environment_close(out);
    return status;
}

/* ---- becoming the program ---- */

static void
note_descriptors(struct run *run)
{
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++)
        run->inherited[fd] = fcntl(fd, F_GETFD) >= 0;
}

/* Connections to the vault are not the program's business; libcurl leaves some open. */
static void
keep_descriptors(const struct run *run)
{
    for (int fd = 0; fd < DESCRIPTORS_MAX; fd++) {
        if (!run->inherited[fd])
            (void)fcntl(fd, F_SETFD, FD_CLOEXEC);
    }
}

int
run_exec(const struct run *run, const struct environment *environment)
{
    int saved;

    keep_descriptors(run);
    execvpe(run->command[0], run->command, environment->entries);
    saved = errno;
    output_error("%s cannot be run: %s", run->command[0], strerror(saved));
    return saved == ENOENT ? EXIT_NO_COMMAND : EXIT_NOT_EXECUTABLE;
}

static int
become(const struct run *run)
{
    struct environment environment;
    struct client *client;
    int status = client_open(&run->connection, &client);

    if (status)
        return status;
    status = run_environment(run, client, &environment);
    client_close(client);
    if (status)
        return status;
    status = run_exec(run, &environment);
    environment_close(&environment);
    return status;
}

static int
watch(const struct run *run)
{
    struct client *client;
    int status = client_open(&run->connection, &client);

    if (status)
        return status;
    status = run_watch(run, client);
    client_close(client);
    return status;
}

/* ---- the command line ---- */

/* Of a pipe nothing is left for a second time: the program would start without its secrets. */
static bool
readable_again(const char *path)
{
    struct stat info;

    return strcmp(path, "-") != 0 && (stat(path, &info) != 0 || S_ISREG(info.st_mode));
}

static int
check_options(const struct run *run)
{
    static const char command[] = "run";

    if (!run->command[0])
        return cli_usage_error(command, "the program to run comes after the options and \"--\"");
    if (run->signal && !run->watch)
        return cli_usage_error(command, "--signal is for --watch");
    for (size_t i = 0; i < run->files.count && run->watch; i++) {
        if (!readable_again(run->files.values[i]))
            return cli_usage_error(command,
                                   "--watch reads its files more than once: %s is not a file",
                                   run->files.values[i]);
    }
    if (run->interval_s > INTERVAL_S_MAX)
        return cli_usage_error(command, "--interval is at most a day");
    return EXIT_OK;
}

int
command_run(int argc, char **argv)
{
    struct run run = {.interval_s = INTERVAL_S};
    const struct option_spec specs[] = {
        {.name = "--env-file", .list = &run.files},
        {.name = "--prefix", .list = &run.prefixes},
        {.name = "--watch", .flag = &run.watch},
        {.name = "--interval", .number = &run.interval_s},
        {.name = "--signal", .text = &run.signal},
        CLIENT_OPTION_SPECS(&run.connection),
    };
    struct arguments arguments;
    int own = 1;
    int status;

    while (own < argc && strcmp(argv[own], "--") != 0)
        own++;
    run.command = argv + (own < argc ? own + 1 : argc);
    status = options_parse("run", own, argv, specs, sizeof specs / sizeof specs[0], "-- COMMAND", 0,
                           0, &arguments);
    if (status == EXIT_OK)
        status = check_options(&run);
    if (status)
        return status;
    note_descriptors(&run);
    if (run.files.count == 0 && run.prefixes.count == 0)
        run.files.values[run.files.count++] = ".env";
    return run.watch ? watch(&run) : become(&run);
}
