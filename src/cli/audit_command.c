/* ostraka audit search and export: what the trails of all nodes say. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/audit_page.h"
#include "cli/cli.h"
#include "cli/output.h"
#include "cli/secret_common.h"

enum { PRIORITY_INFO = 13 * 8 + 6, PRIORITY_WARNING = 13 * 8 + 4 }; /* facility: log audit */

/* ---- forms of a record ---- */

static int
print_json_line(void *context, const json_t *record)
{
    FILE *out = context;

    if (json_dumpf(record, out, JSON_COMPACT) != 0 || fputc('\n', out) == EOF)
        return EXIT_FAILED;
    return EXIT_OK;
}

static int
print_row(void *context, const json_t *record)
{
    static const char *const keys[] = {"time",     "node", "kind",    "operation",
                                       "identity", "name", "outcome", "request_id"};
    FILE *out = context;

    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
        const char *text = audit_text_of(record, keys[i]);
        output_text(out, COLOUR_NONE, *text ? text : "-");
        fputc(i + 1 < sizeof keys / sizeof keys[0] ? ' ' : '\n', out);
    }
    return EXIT_OK;
}

/* A parameter's value, with the three escapes that RFC 5424 has (6.3.3). */
static void
print_parameter(FILE *out, const json_t *record, const char *key)
{
    const char *text = audit_text_of(record, key);

    if (!*text)
        return;
    fprintf(out, " %s=\"", key);
    for (; *text; text++) {
        if (*text == '"' || *text == '\\' || *text == ']')
            fputc('\\', out);
        fputc(*text, out);
    }
    fputc('"', out);
}

static int
print_syslog(void *context, const json_t *record)
{
    static const char *const keys[] = {"asked_by", "request_id", "identity", "address",
                                       "tenant",   "operation",  "name",     "outcome"};
    const char *outcome = audit_text_of(record, "outcome");
    bool refused = strcmp(outcome, "denied") == 0 || strcmp(outcome, "unauthenticated") == 0 ||
                   strcmp(outcome, "forbidden") == 0;
    FILE *out = context;

    fprintf(out, "<%d>1 %s %s ostraka - %s [ostraka@32473",
            refused ? PRIORITY_WARNING : PRIORITY_INFO, audit_text_of(record, "time"),
            audit_text_of(record, "node"), audit_text_of(record, "kind"));
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        print_parameter(out, record, keys[i]);
    fprintf(out, " block=\"%" JSON_INTEGER_FORMAT "\" index=\"%" JSON_INTEGER_FORMAT "\"]\n",
            json_integer_value(json_object_get(record, "block")),
            json_integer_value(json_object_get(record, "index")));
    return EXIT_OK;
}

/* ---- search ---- */

int
command_audit_search(int argc, char **argv)
{
    struct client_options connection = {0};
    struct audit_filter filter = {0};
    bool as_json = false;
    const struct option_spec specs[] = {
        AUDIT_FILTER_SPECS(&filter),
        {.name = "--json", .flag = &as_json},
        CLIENT_OPTION_SPECS(&connection),
    };
    struct arguments arguments;
    struct client *client;
    int status = options_parse("audit search", argc, argv, specs, sizeof specs / sizeof specs[0],
                               "", 0, 0, &arguments);

    if (status == EXIT_OK)
        status = client_open(&connection, &client);
    if (status)
        return status;
    status = audit_visit(client, &filter, as_json ? print_json_line : print_row, stdout);
    client_close(client);
    return status;
}

/* ---- export ---- */

struct export
{
    struct client_options connection;
    struct audit_filter filter;
    const char *format, *node, *output;
};

static int
cannot_write(const struct export *e)
{
    output_error("%s cannot be written: %s", e->output ? e->output : "standard output",
                 strerror(errno));
    return EXIT_FAILED;
}

static int
export_records(const struct export *e, struct client *client, int fd)
{
    audit_visitor *print = strcmp(e->format, "syslog") == 0 ? print_syslog : print_json_line;
    int own = dup(fd);
    FILE *out = own < 0 ? NULL : fdopen(own, "w");
    int status;

    if (!out) {
        if (own >= 0)
            close(own);
        return cannot_write(e);
    }
    status = audit_visit(client, &e->filter, print, out);
    if (ferror(out) || fclose(out) != 0)
        return cannot_write(e);
    return status;
}

/* What is there of a trail may be wanted; an empty file would only stand in the next one's way. */
static void
remove_if_empty(const char *path, int fd)
{
    struct stat found;

    if (fstat(fd, &found) == 0 && found.st_size == 0)
        (void)unlink(path);
}

static int
run_export(const struct export *e)
{
    struct client *client;
    int status = client_open(&e->connection, &client), fd = STDOUT_FILENO;

    if (status)
        return status;
    if (e->output)
        fd = open(e->output, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        status = cannot_write(e);
    else if (strcmp(e->format, "proof") == 0)
        status = audit_export_trail(client, e->node, fd);
    else
        status = export_records(e, client, fd);
    if (e->output && fd >= 0 && status != EXIT_OK)
        remove_if_empty(e->output, fd);
    if (e->output && fd >= 0 && (fsync(fd) != 0 || close(fd) != 0) && status == EXIT_OK)
        status = cannot_write(e);
    client_close(client);
    return status;
}

int
command_audit_export(int argc, char **argv)
{
    static const char command[] = "audit export";
    struct export e = {.format = "proof"};
    const struct audit_filter none = {0};
    const struct option_spec specs[] = {
        AUDIT_FILTER_SPECS(&e.filter),       {.name = "--format", .text = &e.format},
        {.name = "--node", .text = &e.node}, {.name = "--output", .text = &e.output},
        CLIENT_OPTION_SPECS(&e.connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0], "", 0, 0,
                               &arguments);
    bool proof = strcmp(e.format, "proof") == 0;

    if (status)
        return status;
    if (e.output && strcmp(e.output, "-") == 0)
        e.output = NULL;
    if (!proof && strcmp(e.format, "json") != 0 && strcmp(e.format, "syslog") != 0)
        return cli_usage_error(command, "--format is proof, json or syslog");
    if (proof && memcmp(&e.filter, &none, sizeof none) != 0)
        return cli_usage_error(command, "a proof is of the whole trail: no --from, --name, ...");
    if (!proof && e.node)
        return cli_usage_error(command, "--node is for --format proof; records are of all nodes");
    return run_export(&e);
}
