#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/log.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/server_check.h"
#include "cli/supervise.h"
#include "runtime/server.h"

/* A node closes within 5 s of SIGTERM; only one that hangs is killed. */
enum { STOP_MS = 10000 };

static const char COMMAND[] = "server";

struct supervised_node {
    const struct config *config;
    struct log_sink log;
};

static int
run_node(void *context, unsigned child)
{
    const struct supervised_node *node = context;

    (void)child;
    return server_run(node->config);
}

static void
log_child(void *context, const struct supervise_report *report)
{
    const struct supervised_node *node = context;
    const struct log_sink *log = &node->log;
    uint64_t status = report->exit_status >= 0 ? (uint64_t)report->exit_status : 0;

    switch (report->event) {
    case SUPERVISE_STARTED:
        log_event(log, LOG_INFO, "supervisor", "restarted", log_u64("pid", (uint64_t)report->pid));
        break;
    case SUPERVISE_KILLED:
        log_event(log, LOG_WARN, "supervisor", "killed", log_u64("pid", (uint64_t)report->pid),
                  log_text("reason", "did not stop in time"));
        break;
    case SUPERVISE_FAILED:
        log_event(log, LOG_ERROR, "supervisor", "failed", log_u64("pid", (uint64_t)report->pid),
                  log_u64("status", status), log_u64("signal", (uint64_t)report->signal),
                  log_u64("restart_in_ms", report->delay_ms));
        break;
    case SUPERVISE_ENDED:
        log_event(log, LOG_INFO, "supervisor", "ended", log_u64("pid", (uint64_t)report->pid),
                  log_u64("status", status), log_u64("signal", (uint64_t)report->signal));
        break;
    }
}

static int
supervise_node(const struct config *config)
{
    struct supervised_node node = {.config = config};
    const struct supervisor supervisor = {
        .count = 1,
        .stop_ms = STOP_MS,
        .context = &node,
        .run = run_node,
        .report = log_child,
    };

    log_sink_stderr_init(&node.log, config->cluster.nodes[config->node.self].name,
                         config->node.log_level, config->node.log_format);
    return supervise(&supervisor);
}

int
command_server(int argc, char **argv)
{
    const char *path = NULL;
    const char *name = NULL;
    bool check = false;
    bool supervised = false;
    const struct option_spec specs[] = {
        {.name = "--config", .text = &path},
        {.name = "--node", .text = &name},
        {.name = "--check", .flag = &check},
        {.name = "--supervise", .flag = &supervised},
    };
    struct arguments none;
    struct config config;
    char why[512];
    int status = options_parse(COMMAND, argc, argv, specs, sizeof(specs) / sizeof(specs[0]), "", 0,
                               0, &none);

    if (status != EXIT_OK)
        return status;
    if (!path || !name)
        return cli_usage_error(COMMAND, "%s is missing", path ? "--node" : "--config");
    if (check && supervised)
        return cli_usage_error(COMMAND, "--check does not start the node: leave out --supervise");
    umask(077);
    if (config_load(path, name, &config, why, sizeof(why)) != OK) {
        output_error("%s", why);
        return EXIT_CONFIGURATION;
    }
    if (check)
        return server_check(path, &config);
    return supervised ? supervise_node(&config) : server_run(&config);
}
