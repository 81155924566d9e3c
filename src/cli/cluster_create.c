#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cli/cli.h"
#include "cli/cluster_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/supervise.h"
#include "crypto/rng_kernel.h"
#include "runtime/cluster_files.h"
#include "runtime/config_file.h"

static const char COMMAND[] = "cluster create";

struct create_options {
    const char *directory;
    const char *seal;
    const char *nodes[NODES_MAX]; /* NAME=HOST[:PORT] */
    unsigned node_count;          /* of `nodes` */
    uint64_t count;               /* --nodes; 0: not given */
    uint64_t shares, threshold;   /* 0: not given */
    uint64_t base_port;
};

/* --- options -------------------------------------------------------------------------------- */

/*
 * --node may be repeated, so it is taken out before the other options are parsed. Returns an exit
 * status.
 */
static int
take_nodes(int *argc, char **argv, struct create_options *options)
{
    int kept = 0;
    int i = 0;

    for (; i < *argc && strcmp(argv[i], "--") != 0; i++) {
        const char *value = NULL;

        if (strncmp(argv[i], "--node=", 7) == 0)
            value = argv[i] + 7;
        else if (strcmp(argv[i], "--node") == 0 && i + 1 < *argc)
            value = argv[++i];
        else if (strcmp(argv[i], "--node") == 0)
            return cli_usage_error(COMMAND, "--node needs a value");
        if (!value)
            argv[kept++] = argv[i];
        else if (options->node_count == NODES_MAX)
            return cli_usage_error(COMMAND, "a cluster has at most %d nodes", NODES_MAX);
        else
            options->nodes[options->node_count++] = value;
    }
    for (; i < *argc; i++)
        argv[kept++] = argv[i];
    *argc = kept;
    return EXIT_OK;
}

static int
parse_options(int argc, char **argv, struct create_options *options)
{
    const struct option_spec specs[] = {
        {.name = "--dir", .text = &options->directory},
        {.name = "--nodes", .number = &options->count},
        {.name = "--shares", .number = &options->shares},
        {.name = "--threshold", .number = &options->threshold},
        {.name = "--base-port", .number = &options->base_port},
        {.name = "--seal", .text = &options->seal},
    };
    struct arguments none;
    int status = take_nodes(&argc, argv, options);

    if (status == EXIT_OK)
        status = options_parse(COMMAND, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), "", 0,
                               0, &none);
    if (status != EXIT_OK)
        return status;
    if (!options->directory || !*options->directory)
        return cli_usage_error(COMMAND, "--dir is missing: where the files shall be");
    if ((options->count == 0) == (options->node_count == 0))
        return cli_usage_error(COMMAND, "give either --nodes N, or --node once for each node");
    if (options->count > NODES_MAX)
        return cli_usage_error(COMMAND, "a cluster has at most %d nodes", NODES_MAX);
    if (options->base_port > BASE_PORT_MAX)
        return cli_usage_error(COMMAND, "--base-port must be from 1 to %d", BASE_PORT_MAX);
    if (options->shares > REPLICAS_MAX)
        return cli_usage_error(COMMAND, "--shares must be from 1 to %d", REPLICAS_MAX);
    if (options->threshold > REPLICAS_MAX)
        return cli_usage_error(COMMAND, "--threshold must be from 1 to %d", REPLICAS_MAX);
    return EXIT_OK;
}

/* --- nodes ---------------------------------------------------------------------------------- */

static bool
copy_text(const char *text, size_t size, char *out, size_t out_size)
{
    if (size == 0 || size >= out_size)
        return false;
    memcpy(out, text, size);
    out[size] = '\0';
    return true;
}

/* "HOST", "HOST:PORT", "[ADDRESS]:PORT" or an IPv6 address as it is. *port stays without one. */
static bool
parse_host(const char *text, char host[static HOST_BYTES_MAX + 1], uint16_t *port)
{
    const char *colon = strrchr(text, ':');
    const char *end = text + strlen(text);
    unsigned long number;
    char *rest;

    if (text[0] == '[') {
        const char *bracket = strchr(text, ']');

        if (!bracket || (bracket[1] != '\0' && bracket[1] != ':'))
            return false;
        if (!copy_text(text + 1, (size_t)(bracket - text - 1), host, HOST_BYTES_MAX + 1))
            return false;
        colon = bracket[1] ? bracket + 1 : NULL;
    } else {
        if (colon && strchr(text, ':') != colon) /* an IPv6 address */
            colon = NULL;
        if (!copy_text(text, (size_t)((colon ? colon : end) - text), host, HOST_BYTES_MAX + 1))
            return false;
    }
    if (!colon)
        return true;
    if (colon[1] < '0' || colon[1] > '9')
        return false;
    number = strtoul(colon + 1, &rest, 10);
    if (*rest != '\0' || number < 1 || number > 65535 - LINK_PORT_OFFSET)
        return false;
    *port = (uint16_t)number;
    return true;
}

static int
add_node(struct cluster *cluster, const char *text, uint64_t base_port)
{
    unsigned i = cluster->node_count++;
    struct cluster_node *node = &cluster->nodes[i];
    const char *equals = strchr(text, '=');

    node->api_port = (uint16_t)(base_port + i + 1);
    if (!equals || !copy_text(text, (size_t)(equals - text), node->name, sizeof(node->name)) ||
        !parse_host(equals + 1, node->host, &node->api_port))
        return cli_usage_error(
            COMMAND, "--node needs NAME=HOST or NAME=HOST:PORT, with a port up to %d, not \"%s\"",
            65535 - LINK_PORT_OFFSET, text);
    node->link_port = (uint16_t)(node->api_port + LINK_PORT_OFFSET);
    return EXIT_OK;
}

/* Defaults: as many shares as nodes, and a majority of them as the threshold. */
static int
plan(const struct create_options *options, struct cluster *cluster)
{
    char why[256];
    int status = EXIT_OK;

    *cluster = (struct cluster){0};
    if (options->count > 0)
        cluster_add_local_nodes(cluster, (unsigned)options->count, (unsigned)options->base_port);
    for (unsigned i = 0; i < options->node_count && status == EXIT_OK; i++)
        status = add_node(cluster, options->nodes[i], options->base_port);
    if (status != EXIT_OK)
        return status;
    cluster->share_count = (unsigned)options->shares;
    if (cluster->share_count == 0)
        cluster->share_count =
            cluster->node_count < REPLICAS_MAX ? cluster->node_count : REPLICAS_MAX;
    cluster->threshold = (unsigned)options->threshold;
    if (cluster->threshold == 0)
        cluster->threshold = cluster_majority(cluster);
    if (strcmp(options->seal, "file") == 0)
        cluster->seal = SEAL_FILE;
    else if (strcmp(options->seal, "none") != 0)
        return cli_usage_error(COMMAND, "--seal must be none or file");
    if (cluster_validate(cluster, why, sizeof(why)) != OK)
        return cli_usage_error(COMMAND, "%s", why);
    return EXIT_OK;
}

/*
 * Reads what would be written: hosts and ports are judged by the reader of cluster.conf, in one
 * place.
 */
static int
check_conf(const struct cluster *cluster)
{
    struct config config;
    struct buf text = {0};
    char why[512] = "out of memory";
    enum vault_err err = cluster_conf_write(cluster, &text);

    if (err == OK)
        err = buf_append(&text, bytes_of("", 1));
    if (err == OK)
        err =
            config_parse((const char *)text.data, "cluster.conf", NULL, &config, why, sizeof(why));
    buf_close(&text);
    if (err == OK)
        return EXIT_OK;
    if (err == ERR_CONFIG && strchr(why, ' '))
        return cli_usage_error(COMMAND, "%s", strchr(why, ' ') + 1); /* without file:line */
    output_error("%s", why);
    return EXIT_FAILED;
}

/* --- what is said --------------------------------------------------------------------------- */

static bool
is_local(const struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->node_count; i++) {
        const char *host = cluster->nodes[i].host;

        if (strcmp(host, "127.0.0.1") != 0 && strcmp(host, "::1") != 0 &&
            strcmp(host, "localhost") != 0)
            return false;
    }
    return true;
}

static void
print_summary(const struct cluster *cluster, const char *directory)
{
    printf("Made a cluster of %u node%s in %s.\n", cluster->node_count,
           cluster->node_count == 1 ? "" : "s", directory);
    if (cluster->share_count == 1)
        printf("Each secret is kept on one node.");
    else
        printf("Each secret is split into %u shares%s; any %u restore it.", cluster->share_count,
               cluster->share_count < cluster->node_count ? ", on as many of the nodes" : "",
               cluster->threshold);
    if (cluster->seal == SEAL_FILE)
        printf(" Its key is wrapped by the master key in master.key as well.");
    printf("\n\n  %-14s %-30s %s\n", "NODE", "CLIENT API", "LINKS");
    for (unsigned i = 0; i < cluster->node_count; i++) {
        const struct cluster_node *node = &cluster->nodes[i];
        char address[HOST_BYTES_MAX + 16];

        snprintf(address, sizeof(address), strchr(node->host, ':') ? "[%s]:%u" : "%s:%u",
                 node->host, (unsigned)node->api_port);
        printf("  %-14s %-30s %u\n", node->name, address, (unsigned)node->link_port);
    }
    printf(
        "\nKeep ca/ca.key where no node runs: who has it can pass for a node. Give the token in\n"
        "admin.token to the administrator; the cluster knows only its hash.\n");
}

static void
print_next_steps(const struct cluster *cluster, const char *directory)
{
    bool local = is_local(cluster);

    if (local)
        printf("\nStart the nodes, each in a terminal of its own:\n");
    else
        printf("\nCopy each node's folder to its machine, readable by the server's user alone, and "
               "start it\nthere (DIR is where the folder was copied to):\n");
    for (unsigned i = 0; i < cluster->node_count; i++) {
        const char *name = cluster->nodes[i].name;

        printf("  ostraka server --config ");
        if (local)
            print_shell_word(stdout, directory);
        else
            printf("DIR/%s", name);
        printf("/cluster.conf --node %s\n", name);
    }
    printf("\nThen use it:\n");
    print_exports(stdout, directory, cluster);
    printf("ostraka status\n");
}

int
command_cluster_create(int argc, char **argv)
{
    struct create_options options = {.base_port = BASE_PORT_DEFAULT, .seal = "none"};
    const struct rng rng = rng_kernel();
    struct cluster cluster;
    char why[512];
    char *directory;
    enum vault_err err;
    int status = parse_options(argc, argv, &options);

    if (status == EXIT_OK)
        status = plan(&options, &cluster);
    if (status == EXIT_OK)
        status = check_conf(&cluster);
    if (status != EXIT_OK)
        return status;
    signals_hold();
    err = cluster_files_create(options.directory, &cluster, &rng, (int64_t)time(NULL), why,
                               sizeof(why));
    if (err != OK) {
        output_error("%s", why);
        return err == ERR_CONFIG ? EXIT_USAGE : EXIT_FAILED;
    }
    directory = realpath(options.directory, NULL);
    print_summary(&cluster, options.directory);
    print_next_steps(&cluster, directory ? directory : options.directory);
    free(directory);
    return EXIT_OK;
}
