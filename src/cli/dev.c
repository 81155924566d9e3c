#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/cluster_text.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/supervise.h"
#include "crypto/rng_kernel.h"
#include "runtime/cluster_files.h"
#include "runtime/config_file.h"

enum {
    NODES_DEFAULT = 3,
    STOP_MS = 5000,
    READY_SECONDS_MAX = 30,
};

static const char COMMAND[] = "dev";

struct dev {
    struct cluster cluster;
    char directory[CONFIG_PATH_MAX]; /* of the cluster, absolute */
    char temporary
        [CONFIG_PATH_MAX]; /* removed at the end; empty: the user's own directory is kept */
    bool ready[NODES_MAX];
    time_t give_up_at; /* for saying so; the nodes run on */
};

/* --- ports ---------------------------------------------------------------------------------- */

static struct sockaddr_in
loopback(uint16_t port)
{
    return (struct sockaddr_in){
        .sin_family = AF_INET,
        .sin_port = htons(port),
        .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
    };
}

static bool
port_is_free(uint16_t port)
{
    const struct sockaddr_in address = loopback(port);
    const int on = 1;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool free_now;

    if (fd < 0)
        return false;
    (void)setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    free_now =
        bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 1) == 0;
    close(fd);
    return free_now;
}

static bool
port_answers(uint16_t port)
{
    const struct sockaddr_in address = loopback(port);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    bool answers;

    if (fd < 0)
        return false;
    answers = connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0;
    close(fd);
    return answers;
}

/* Another program's port would make a node fail again and again; better to say it before. */
static bool
ports_are_free(const struct cluster *cluster)
{
    for (unsigned i = 0; i < cluster->node_count; i++) {
        const uint16_t ports[] = {cluster->nodes[i].api_port, cluster->nodes[i].link_port};

        for (size_t j = 0; j < 2; j++) {
            if (port_is_free(ports[j]))
                continue;
            output_error("port %u on 127.0.0.1 is in use", (unsigned)ports[j]);
            output_hint("choose other ports with --base-port");
            return false;
        }
    }
    return true;
}

/* --- children ------------------------------------------------------------------------------- */

static int
exec_node(void *context, unsigned child)
{
    struct dev *dev = context;
    char config[CONFIG_PATH_MAX + 16];

    snprintf(config, sizeof(config), "%s/cluster.conf", dev->directory);
    execl("/proc/self/exe", "ostraka", "server", "--config", config, "--node",
          dev->cluster.nodes[child].name, (char *)NULL);
    output_error("the node cannot be started: %s", strerror(errno));
    return EXIT_FAILED;
}

static void
say_how_it_ended(const char *name, const struct supervise_report *report)
{
    if (report->exit_status == EXIT_OK)
        printf("Node %s has stopped.\n", name);
    else if (report->exit_status > 0)
        printf("Node %s has ended with status %d.\n", name, report->exit_status);
    else
        printf("Node %s was ended by signal %d (%s).\n", name, report->signal,
               strsignal(report->signal));
}

static void
report_child(void *context, const struct supervise_report *report)
{
    const struct dev *dev = context;
    const char *name = dev->cluster.nodes[report->child].name;

    switch (report->event) {
    case SUPERVISE_STARTED: printf("Node %s is started again.\n", name); break;
    case SUPERVISE_KILLED: printf("Node %s did not stop in time and was killed.\n", name); break;
    case SUPERVISE_ENDED: say_how_it_ended(name, report); break;
    case SUPERVISE_FAILED:
        say_how_it_ended(name, report);
        printf("Node %s will be started again in %u s.\n", name, report->delay_ms / 1000);
        break;
    }
    fflush(stdout);
}

static void
print_ready(const struct dev *dev)
{
    printf("\nThe cluster runs: %u node%s, files in %s.\nIn another terminal:\n\n",
           dev->cluster.node_count, dev->cluster.node_count == 1 ? "" : "s", dev->directory);
    print_exports(stdout, dev->directory, &dev->cluster);
    printf("ostraka status\n\nCtrl-C ends it%s.\n\n",
           dev->temporary[0] ? " and removes the files" : "");
    fflush(stdout);
}

/* Until every node takes connections. */
static bool
wait_ready(void *context)
{
    struct dev *dev = context;
    bool all = true;

    for (unsigned i = 0; i < dev->cluster.node_count; i++) {
        if (!dev->ready[i])
            dev->ready[i] = port_answers(dev->cluster.nodes[i].api_port);
        all = all && dev->ready[i];
    }
    if (all) {
        print_ready(dev);
        return false;
    }
    if (time(NULL) < dev->give_up_at)
        return true;
    output_error("not all nodes took connections within %d s; see their messages above",
                 READY_SECONDS_MAX);
    return false;
}

/* --- files ---------------------------------------------------------------------------------- */

/*
 * With --dir the user's directory, which is kept; else a new one below $TMPDIR. Returns an exit
 * status.
 */
static int
choose_directory(struct dev *dev, const char *given)
{
    const char *base = getenv("TMPDIR");
    char path[CONFIG_PATH_MAX];

    if (given) {
        snprintf(dev->directory, sizeof(dev->directory), "%s", given);
        return EXIT_OK;
    }
    snprintf(path, sizeof(path), "%s/ostraka-dev-XXXXXX", base && *base ? base : "/tmp");
    if (!mkdtemp(path)) {
        output_error("no temporary folder can be made (%s): %s", path, strerror(errno));
        return EXIT_FAILED;
    }
    memcpy(dev->temporary, path, sizeof(path));
    if (snprintf(dev->directory, sizeof(dev->directory), "%s/cluster", path) >=
        (int)sizeof(dev->directory)) {
        output_error("the path of the temporary folder is too long");
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

/* A directory of an earlier run is used as it is: its cluster.conf says what is in it. */
static int
use_files(struct dev *dev, const char *configuration)
{
    struct config config;
    char why[512];

    if (config_load(configuration, NULL, &config, why, sizeof(why)) != OK) {
        output_error("%s", why);
        return EXIT_CONFIGURATION;
    }
    dev->cluster = config.cluster;
    printf("Using the cluster of %u node%s in %s.\n", dev->cluster.node_count,
           dev->cluster.node_count == 1 ? "" : "s", dev->directory);
    return EXIT_OK;
}

static int
make_files(struct dev *dev)
{
    const struct rng rng = rng_kernel();
    char configuration[CONFIG_PATH_MAX + 16];
    char why[512];

    snprintf(configuration, sizeof(configuration), "%s/cluster.conf", dev->directory);
    if (access(configuration, F_OK) == 0)
        return use_files(dev, configuration);
    if (cluster_files_create(dev->directory, &dev->cluster, &rng, (int64_t)time(NULL), why,
                             sizeof(why)) != OK) {
        output_error("%s", why);
        return EXIT_FAILED;
    }
    return EXIT_OK;
}

/* The paths that are printed must work from any directory. */
static int
make_path_absolute(struct dev *dev)
{
    char *absolute = realpath(dev->directory, NULL);
    int status = EXIT_OK;

    if (absolute && strlen(absolute) < sizeof(dev->directory)) {
        snprintf(dev->directory, sizeof(dev->directory), "%s", absolute);
    } else {
        output_error("the path of the directory cannot be used");
        status = EXIT_FAILED;
    }
    free(absolute);
    return status;
}

static void
remove_files(const struct dev *dev)
{
    if (dev->temporary[0] && directory_remove(dev->temporary) != OK)
        output_error("%s could not be removed: %s", dev->temporary, strerror(errno));
}

static int
run_cluster(struct dev *dev)
{
    const struct supervisor supervisor = {
        .count = dev->cluster.node_count,
        .stop_ms = STOP_MS,
        .context = dev,
        .run = exec_node,
        .report = report_child,
        .tick = wait_ready,
    };

    printf("Starting %u node%s...\n", dev->cluster.node_count,
           dev->cluster.node_count == 1 ? "" : "s");
    dev->give_up_at = time(NULL) + READY_SECONDS_MAX;
    return supervise(&supervisor);
}

int
command_dev(int argc, char **argv)
{
    uint64_t nodes = NODES_DEFAULT;
    uint64_t base_port = BASE_PORT_DEFAULT;
    const char *directory = NULL;
    const struct option_spec specs[] = {
        {.name = "--nodes", .number = &nodes},
        {.name = "--base-port", .number = &base_port},
        {.name = "--dir", .text = &directory},
    };
    struct arguments none;
    struct dev dev = {0};
    int status = options_parse(COMMAND, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), "", 0,
                               0, &none);

    if (status != EXIT_OK)
        return status;
    if (nodes > NODES_MAX)
        return cli_usage_error(COMMAND, "a cluster has at most %d nodes", NODES_MAX);
    if (base_port > BASE_PORT_MAX)
        return cli_usage_error(COMMAND, "--base-port must be from 1 to %d", BASE_PORT_MAX);
    if (directory && (!*directory || strlen(directory) >= sizeof(dev.directory)))
        return cli_usage_error(COMMAND, "--dir is empty or too long");
    umask(077);
    cluster_add_local_nodes(&dev.cluster, (unsigned)nodes, (unsigned)base_port);
    dev.cluster.share_count = nodes < REPLICAS_MAX ? (unsigned)nodes : REPLICAS_MAX;
    dev.cluster.threshold = cluster_majority(&dev.cluster);
    signals_hold(); /* one that comes while files are made waits until they can be removed again */
    status = choose_directory(&dev, directory);
    if (status == EXIT_OK)
        status = make_files(&dev);
    if (status == EXIT_OK)
        status = make_path_absolute(&dev);
    if (status == EXIT_OK && !ports_are_free(&dev.cluster))
        status = EXIT_FAILED;
    if (status == EXIT_OK)
        status = run_cluster(&dev);
    remove_files(&dev);
    return status;
}
