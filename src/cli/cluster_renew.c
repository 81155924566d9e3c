/* ostraka cluster renew: new certificates for the nodes of a cluster, or a new CA. */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/instant.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/supervise.h"
#include "crypto/rng_kernel.h"
#include "crypto/secret.h"
#include "runtime/cluster_renew.h"

static const char COMMAND[] = "cluster renew";

struct renew_options {
    const char *directory;
    struct text_list nodes;
    bool new_keys, new_ca;
};

static int
parse_options(int argc, char **argv, struct renew_options *options)
{
    const struct option_spec specs[] = {
        {.name = "--dir", .text = &options->directory},
        {.name = "--node", .list = &options->nodes},
        {.name = "--new-keys", .flag = &options->new_keys},
        {.name = "--new-ca", .flag = &options->new_ca},
    };
    struct arguments none;
    int status = options_parse(COMMAND, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), "", 0,
                               0, &none);

    if (status != EXIT_OK)
        return status;
    if (!options->directory || !*options->directory)
        return cli_usage_error(COMMAND, "--dir is missing: where `ostraka cluster create` made the "
                                        "files");
    if (options->new_ca && (options->nodes.count > 0 || options->new_keys))
        return cli_usage_error(COMMAND, "--new-ca is a step of its own, before the nodes' "
                                        "certificates: no --node and no --new-keys with it");
    if (options->nodes.count > NODES_MAX)
        return cli_usage_error(COMMAND, "a cluster has at most %d nodes", NODES_MAX);
    return EXIT_OK;
}

/* ---- what is said ---- */

static void
print_date(int64_t seconds)
{
    char text[RFC3339_BYTES];

    rfc3339_format((uint64_t)seconds * 1000, text);
    printf("%.10s", text);
}

static void
print_renewed(const struct renewal *made, const struct renew_options *options)
{
    printf("Made %s for %u node%s.\n\n  %-14s %-12s %s\n",
           options->new_keys ? "new keys and certificates" : "new certificates", made->node_count,
           made->node_count == 1 ? "" : "s", "NODE", "UNTIL", "FILE");
    for (unsigned i = 0; i < made->node_count; i++) {
        printf("  %-14s ", made->cluster.nodes[made->nodes[i].number].name);
        print_date(made->nodes[i].ends);
        printf("   %s\n", made->nodes[i].certificate);
    }
    if (made->ca_renewed) {
        printf("\nThe CA's own certificate was renewed, too, with the key it has, until ");
        print_date(made->ca_ends);
        printf(
            ". The old\none verifies the same until it ends: give clients the new ca/ca.crt before "
            "that.\n");
    }
    printf("\nCopy %sto the machines of the nodes where they are not this one, into each node's\n"
           "folder, and restart the nodes one after the other.\n",
           options->new_keys ? "node.key, node.crt and ca.crt " : "node.crt and ca.crt ");
}

static void
print_new_ca(const struct renewal *made)
{
    printf("Made a new CA with a new key, until ");
    print_date(made->ca_ends);
    printf(". The old one stays trusted beside it.\n\n"
           "1. Copy ca/ca.crt to the folders of all nodes, as ca.crt, and to all clients. Restart "
           "the\n"
           "   nodes one after the other. Only then:\n"
           "2. Run ostraka cluster renew without --new-ca: certificates by the new CA.\n"
           "3. When all nodes run with these, remove all but the first certificate from every "
           "ca.crt,\n"
           "   and restart the nodes once more: only then the old CA is good for nothing.\n");
}

static int
exit_status_of(enum vault_err err)
{
    if (err == OK)
        return EXIT_OK;
    return err == ERR_CONFIG ? EXIT_CONFIGURATION : EXIT_FAILED;
}

int
command_cluster_renew(int argc, char **argv)
{
    struct renew_options options = {0};
    const struct rng rng = rng_kernel();
    struct renewal made;
    char why[2 * CONFIG_PATH_MAX + 512] = "";
    enum vault_err err;
    int status = parse_options(argc, argv, &options);

    if (status != EXIT_OK)
        return status;
    const struct renewal_options renewal = {.directory = options.directory,
                                            .nodes = options.nodes.values,
                                            .node_count = options.nodes.count,
                                            .new_keys = options.new_keys,
                                            .rng = &rng,
                                            .now = (int64_t)time(NULL)};
    signals_hold();
    err = options.new_ca ? cluster_replace_ca(&renewal, &made, why, sizeof(why))
                         : cluster_renew(&renewal, &made, why, sizeof(why));
    if (err != OK)
        output_error("%s", why);
    else if (options.new_ca)
        print_new_ca(&made);
    else
        print_renewed(&made, &options);
    return exit_status_of(err);
}
