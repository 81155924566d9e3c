/* ostraka status: the cluster as one node sees it, from /v1/status. */
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"

static const char command[] = "status";

struct cell {
    enum output_colour colour;
    char text[64];
};

static const char *
text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "?";
}

static bool
is_ready(const json_t *status)
{
    return strcmp(text_of(status, "status"), "ready") == 0;
}

static struct cell
state_cell(const json_t *peer, bool ready)
{
    const char *link = text_of(peer, "link");

    if (strcmp(link, "self") == 0)
        return ready ? (struct cell){COLOUR_GREEN, "ready"}
                     : (struct cell){COLOUR_RED, "not ready"};
    if (strcmp(link, "connected") == 0 && json_is_true(json_object_get(peer, "recovering")))
        return (struct cell){COLOUR_YELLOW, "recovering"};
    if (strcmp(link, "connected") == 0)
        return (struct cell){COLOUR_GREEN, "up"};
    if (strcmp(link, "configuration_mismatch") == 0)
        return (struct cell){COLOUR_RED, "refused"};
    return (struct cell){COLOUR_RED, "down"};
}

/* "5 min": in the largest unit that gives at least 2. */
static void
append_span(struct cell *cell, json_int_t ms)
{
    static const struct {
        json_int_t ms;
        const char *name;
    } units[] = {{86400000, "days"}, {3600000, "h"}, {60000, "min"}, {1000, "s"}, {1, "ms"}};
    size_t used = strlen(cell->text), unit = 0;

    while (unit + 1 < sizeof units / sizeof units[0] && ms < 2 * units[unit].ms)
        unit++;
    snprintf(cell->text + used, sizeof cell->text - used, "%" JSON_INTEGER_FORMAT " %s",
             ms / units[unit].ms, units[unit].name);
}

/* "connected for 5 min" */
static void
append_duration(struct cell *cell, json_int_t ms)
{
    size_t used = strlen(cell->text);

    snprintf(cell->text + used, sizeof cell->text - used, " for ");
    append_span(cell, ms);
}

static struct cell
link_cell(const json_t *peer)
{
    const char *link = text_of(peer, "link");
    struct cell cell = {COLOUR_NONE, "-"};

    if (strcmp(link, "self") == 0)
        return cell;
    snprintf(cell.text, sizeof cell.text, "%.40s",
             strcmp(link, "configuration_mismatch") == 0 ? "other configuration" : link);
    append_duration(&cell, json_integer_value(json_object_get(peer, "since_ms")));
    return cell;
}

static struct cell
round_trip_cell(const json_t *peer)
{
    json_int_t us = json_integer_value(json_object_get(peer, "round_trip_us"));
    struct cell cell = {COLOUR_NONE, "-"};

    if (us > 0)
        snprintf(cell.text, sizeof cell.text, "%.2f ms", (double)us / 1000.0);
    return cell;
}

static struct cell
backlog_cell(const json_t *peer)
{
    json_int_t count = json_integer_value(json_object_get(peer, "backlog"));
    struct cell cell = {count > 0 ? COLOUR_YELLOW : COLOUR_NONE, ""};

    snprintf(cell.text, sizeof cell.text, "%" JSON_INTEGER_FORMAT, count);
    return cell;
}

static struct cell
paths_cell(const json_t *peer)
{
    const json_t *paths = json_object_get(peer, "paths");
    struct cell cell = {COLOUR_NONE, "-"};

    if (json_is_integer(paths))
        snprintf(cell.text, sizeof cell.text, "%" JSON_INTEGER_FORMAT, json_integer_value(paths));
    return cell;
}

static struct cell
sync_cell(const json_t *peer)
{
    const json_t *in_sync = json_object_get(peer, "in_sync");

    if (!json_is_boolean(in_sync))
        return (struct cell){COLOUR_NONE, "-"};
    return json_is_true(in_sync) ? (struct cell){COLOUR_GREEN, "yes"}
                                 : (struct cell){COLOUR_YELLOW, "no"};
}

static enum vault_err
add_node(struct table *table, const json_t *peer, bool ready)
{
    const struct cell cells[] = {state_cell(peer, ready), link_cell(peer), round_trip_cell(peer),
                                 paths_cell(peer),        sync_cell(peer), backlog_cell(peer)};
    enum vault_err err = table_add(table, COLOUR_NONE, text_of(peer, "node"));

    for (size_t i = 0; i < sizeof cells / sizeof cells[0] && err == OK; i++)
        err = table_add(table, cells[i].colour, cells[i].text);
    return err;
}

static void
print_reasons(const json_t *status)
{
    const json_t *reason;
    size_t i;

    json_array_foreach(json_object_get(status, "reasons"), i, reason)
    {
        if (!json_is_string(reason))
            continue;
        fputs("  ", stdout);
        output_text(stdout, COLOUR_YELLOW, json_string_value(reason));
        putchar('\n');
    }
}

/* Only where nodes keep different paths: else it says nothing that the rest does not. */
static void
print_placement(const json_t *status)
{
    const json_t *cluster = json_object_get(status, "cluster");
    const json_t *placement = json_object_get(status, "placement");
    json_int_t permille = json_integer_value(json_object_get(placement, "permille"));
    json_int_t even = json_integer_value(json_object_get(placement, "even_permille"));

    if (json_equal(json_object_get(cluster, "nodes"), json_object_get(cluster, "replicas")))
        return;
    if (json_is_integer(json_object_get(placement, "cluster_paths")))
        printf("  keeps %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
               " paths (%" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT
               " %%; evenly spread: %" JSON_INTEGER_FORMAT ".%" JSON_INTEGER_FORMAT " %%)\n",
               json_integer_value(json_object_get(placement, "paths")),
               json_integer_value(json_object_get(placement, "cluster_paths")), permille / 10,
               permille % 10, even / 10, even % 10);
    if (strcmp(text_of(placement, "available"), "all") != 0) {
        fputs("  ", stdout);
        output_text(stdout, COLOUR_YELLOW, "some paths have too few of their nodes connected");
        putchar('\n');
    }
}

static json_int_t
number_of(const json_t *object, const char *key)
{
    return json_integer_value(json_object_get(object, key));
}

static void
print_recovery(const json_t *status)
{
    const json_t *recovery = json_object_get(status, "recovery");
    const char *state = text_of(recovery, "state");

    if (!json_is_object(recovery) || strcmp(state, "none") == 0)
        return;
    fputs("  ", stdout);
    output_text(stdout, COLOUR_YELLOW, "recovering");
    if (strcmp(state, "parts") == 0)
        printf(": %" JSON_INTEGER_FORMAT " changes to be finished, %" JSON_INTEGER_FORMAT
               " parts of secrets missing\n",
               number_of(recovery, "unfinished"), number_of(recovery, "missing"));
    else
        printf(": %" JSON_INTEGER_FORMAT " of %" JSON_INTEGER_FORMAT
               " nodes have handed over everything, %" JSON_INTEGER_FORMAT " versions so far\n",
               number_of(recovery, "peers_complete"), number_of(recovery, "peers_needed"),
               number_of(recovery, "versions"));
}

/* A clock that is far off keeps its node out of changes, though it is connected and ready. */
static void
print_clocks(const json_t *status)
{
    const json_t *peer;
    size_t i;

    json_array_foreach(json_object_get(status, "peers"), i, peer)
    {
        json_int_t offset = number_of(peer, "clock_offset_s");
        struct cell text = {COLOUR_YELLOW, ""};

        if (offset == 0)
            continue;
        append_span(&text, (offset < 0 ? -offset : offset) * 1000);
        fputs("  the clock of ", stdout);
        output_text(stdout, COLOUR_NONE, text_of(peer, "node"));
        fputs(" is ", stdout);
        output_text(stdout, text.colour, text.text);
        puts(offset < 0 ? " behind this node's" : " ahead of this node's");
    }
}

/* One that was forgotten when the token was replaced goes on taking the old one. */
static void
print_tokens(const json_t *status)
{
    const json_t *peer;
    size_t i;

    json_array_foreach(json_object_get(status, "peers"), i, peer)
    {
        if (!json_is_true(json_object_get(peer, "admin_token_differs")))
            continue;
        fputs("  ", stdout);
        output_text(stdout, COLOUR_YELLOW, text_of(peer, "node"));
        puts(" takes another bootstrap token than this node: admin_token_hash in cluster.conf "
             "differs");
    }
}

static void
print_summary(const json_t *status)
{
    bool ready = is_ready(status);
    bool quorum = json_is_true(json_object_get(status, "quorum"));

    output_text(stdout, COLOUR_BOLD, text_of(status, "node"));
    fputs(" (ostraka ", stdout);
    output_text(stdout, COLOUR_NONE, text_of(status, "version"));
    fputs("): ", stdout);
    output_text(stdout, ready ? COLOUR_GREEN : COLOUR_RED, ready ? "ready" : "not ready");
    fputs(", ", stdout);
    output_text(stdout, quorum ? COLOUR_GREEN : COLOUR_RED,
                quorum ? "a majority is connected" : "no majority is connected");
    if (json_is_true(json_object_get(status, "sealed"))) {
        fputs(", ", stdout);
        output_text(stdout, COLOUR_YELLOW, "sealed");
    }
    putchar('\n');
    print_reasons(status);
    print_placement(status);
    print_recovery(status);
    print_clocks(status);
    print_tokens(status);
    putchar('\n');
}

/* What the comparison with the other nodes has come to. */
static void
print_comparison(const json_t *status)
{
    const json_t *repair = json_object_get(status, "repair");
    const json_t *c = json_object_get(repair, "anti_entropy");

    if (!json_is_object(c))
        return;
    printf("\n%" JSON_INTEGER_FORMAT " secrets here, deleted ones too; ", number_of(c, "paths"));
    if (!json_is_true(json_object_get(c, "ready")))
        printf("still being counted\n");
    else
        printf("compared in %" JSON_INTEGER_FORMAT " rounds, %" JSON_INTEGER_FORMAT
               " found unlike, %" JSON_INTEGER_FORMAT " parts to look into\n",
               number_of(c, "rounds"), number_of(c, "differences"), number_of(c, "backlog"));
}

/* What the node gets back from the others, and how far it has looked through its store. */
static void
print_repair(const json_t *status)
{
    const json_t *repair = json_object_get(status, "repair");
    const json_t *scrub = json_object_get(status, "scrub");
    json_int_t rows = number_of(scrub, "rows"), expected = number_of(scrub, "rows_expected");
    struct cell last = {COLOUR_NONE, "last pass"};

    printf("\nrepair: %" JSON_INTEGER_FORMAT " lacking, %" JSON_INTEGER_FORMAT
           " under way, %" JSON_INTEGER_FORMAT " got back\n",
           number_of(repair, "lacking"), number_of(repair, "recovering"),
           number_of(repair, "recovered") + number_of(repair, "restored"));
    if (number_of(repair, "paths_in_doubt") > 0) {
        output_text(stdout, COLOUR_RED,
                    "what was stored of some secrets is in doubt: this node is silent on them");
        putchar('\n');
    }
    if (number_of(scrub, "rows_per_s") == 0) {
        puts("scrubbing: off");
        return;
    }
    printf("scrubbing: %" JSON_INTEGER_FORMAT " rows read", rows);
    if (expected > 0) {
        append_duration(&last, number_of(scrub, "last_pass_ms"));
        printf(" of about %" JSON_INTEGER_FORMAT ", %" JSON_INTEGER_FORMAT " passes, %s", expected,
               number_of(scrub, "passes"), last.text);
    }
    putchar('\n');
}

static int
print_status(const json_t *status)
{
    struct table table = {
        .headings = {"NODE", "STATE", "LINK", "ROUND TRIP", "PATHS", "IN SYNC", "BACKLOG"},
        .columns = 7};
    const json_t *peers = json_object_get(status, "peers");
    const json_t *peer;
    enum vault_err err = OK;
    size_t i;

    if (!json_is_array(peers))
        return client_bad_answer();
    print_summary(status);
    json_array_foreach(peers, i, peer)
    {
        err = add_node(&table, peer, is_ready(status));
        if (err)
            break;
    }
    if (err == OK) {
        table_print(&table);
        print_comparison(status);
    }
    if (err == OK)
        print_repair(status);
    table_close(&table);
    if (err == OK)
        return EXIT_OK;
    output_error("out of memory");
    return EXIT_FAILED;
}

int
command_status(int argc, char **argv)
{
    struct client_options connection = {0};
    bool as_json = false;
    const struct option_spec specs[] = {
        {.name = "--json", .flag = &as_json},
        CLIENT_OPTION_SPECS(&connection),
    };
    struct arguments arguments;
    struct client *client;
    struct client_answer answer = {0};
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0], "", 0, 0,
                               &arguments);

    if (status == EXIT_OK)
        status = client_open(&connection, &client);
    if (status)
        return status;
    status = client_call(client, CLIENT_GET, "/v1/status", NULL, &answer);
    if (status == EXIT_OK && as_json)
        status = output_json(answer.json);
    else if (status == EXIT_OK)
        status = print_status(answer.json);
    if (status == EXIT_OK &&
        (!is_ready(answer.json) || !json_is_true(json_object_get(answer.json, "quorum"))))
        status = EXIT_UNAVAILABLE;
    client_answer_close(&answer);
    client_close(client);
    return status;
}
