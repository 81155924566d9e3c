/* ostraka bench: load on a running cluster, and what came of it. */
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "bench/load.h"
#include "bench/report.h"
#include "cli/cli.h"
#include "cli/options.h"
#include "cli/output.h"
#include "crypto/rng_kernel.h"

static const char command[] = "bench";

enum {
    CONNECTIONS = 64,
    DURATION_S = 10,
    NAMES = 1000,
    VALUE_BYTES = 100,
    PREFIX_BYTES_MAX = 256,
};

struct bench {
    struct client_options connection;
    const char *api, *prefix;
    struct bench_plan plan;
    struct addresses addresses;
    struct load_options load;
    uint64_t duration_s;
    bool json, no_warm_up, no_prepare;
};

static int
choose_kind(const char *text, enum bench_kind *out)
{
    for (enum bench_kind kind = BENCH_CREATE; kind <= BENCH_ENV; kind++) {
        if (strcmp(text, bench_kind_name(kind)) == 0) {
            *out = kind;
            return EXIT_OK;
        }
    }
    return cli_usage_error(command, "the workloads are create, update, read, mixed and env");
}

/* What stands in a URL and in JSON as it is, so that requests are made by copying. */
static bool
prefix_valid(const char *prefix)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_/";

    return strlen(prefix) <= PREFIX_BYTES_MAX && prefix[strspn(prefix, allowed)] == '\0' &&
           prefix[0] != '/' && prefix[0] != '_' && !strstr(prefix, "//");
}

static int
check(struct bench *bench)
{
    struct bench_plan *plan = &bench->plan;

    if (strcmp(bench->api, "etcd") == 0)
        plan->api = BENCH_ETCD;
    else if (strcmp(bench->api, "ostraka") != 0)
        return cli_usage_error(command, "--api is ostraka or etcd");
    if (plan->api == BENCH_ETCD && plan->kind == BENCH_ENV)
        return cli_usage_error(command, "etcd knows no .env files");
    if (bench->load.connections > BENCH_CONNECTIONS_MAX)
        return cli_usage_error(command, "at most %d connections", BENCH_CONNECTIONS_MAX);
    if (plan->names > BENCH_NAMES_MAX)
        return cli_usage_error(command, "at most %d names", BENCH_NAMES_MAX);
    if (plan->hot > plan->names)
        return cli_usage_error(command, "there are fewer names than hot ones");
    if (plan->value_size > VALUE_BYTES_MAX)
        return cli_usage_error(command, "a value is at most %d bytes", VALUE_BYTES_MAX);
    if (bench->load.rate > 1000000 || bench->duration_s > 86400)
        return cli_usage_error(command, "at most 1000000 requests/s, for at most 86400 s");
    if (!prefix_valid(bench->prefix))
        return cli_usage_error(command, "the prefix may have letters, digits, '-', '_' and '/'");
    plan->prefix = bench->prefix;
    return EXIT_OK;
}

/* Ctrl-C ends the load and shows what there is. The descriptor ends with the process. */
static int
stop_descriptor(void)
{
    sigset_t signals;

    sigemptyset(&signals);
    sigaddset(&signals, SIGINT);
    sigaddset(&signals, SIGTERM);
    if (sigprocmask(SIG_BLOCK, &signals, NULL))
        return -1;
    return signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int
run_workload(struct bench *bench, struct workload *workload)
{
    struct load_result result;
    int status = EXIT_OK;

    if (workload_needs_names(workload) && !bench->no_prepare)
        status = load_prepare(&bench->load, workload);
    if (status == EXIT_OK)
        status = load_run(&bench->load, workload, &result);
    if (status)
        return status;
    status = bench->json ? report_json(&bench->plan, &bench->load, &result)
                         : report_print(&bench->plan, &bench->load, &result);
    if (status == EXIT_OK && (result.failures || result.successes == 0))
        status = EXIT_FAILED;
    return status;
}

static int
run(struct bench *bench)
{
    struct buf authorization = {0};
    struct workload workload = {0};
    struct rng rng = rng_kernel();
    int status = connection_addresses(&bench->connection, &bench->addresses);

    if (status == EXIT_OK)
        status = connection_ca(&bench->connection, &bench->load.ca_file);
    if (status == EXIT_OK && bench->plan.api == BENCH_OSTRAKA)
        status = connection_authorization(&bench->connection, &authorization);
    bench->load.addresses = &bench->addresses;
    bench->load.authorization = (const char *)authorization.data;
    if (status == EXIT_OK && workload_open(&bench->plan, &rng, &workload) != OK) {
        output_error("the requests cannot be prepared: no memory, or no randomness");
        status = EXIT_FAILED;
    }
    if (status == EXIT_OK)
        status = run_workload(bench, &workload);
    workload_close(&workload);
    bench->load.authorization = NULL;
    buf_close(&authorization);
    return status;
}

int
command_bench(int argc, char **argv)
{
    struct bench bench = {
        .api = "ostraka",
        .prefix = "bench/",
        .duration_s = DURATION_S,
        .plan = {.names = NAMES, .value_size = VALUE_BYTES},
        .load = {.connections = CONNECTIONS},
    };
    const struct option_spec specs[] = {
        {.name = "--connections", .number = &bench.load.connections},
        {.name = "--duration", .number = &bench.duration_s},
        {.name = "--rate", .number = &bench.load.rate},
        {.name = "--requests", .number = &bench.load.requests},
        {.name = "--names", .number = &bench.plan.names},
        {.name = "--hot", .number = &bench.plan.hot},
        {.name = "--value-size", .number = &bench.plan.value_size},
        {.name = "--prefix", .text = &bench.prefix},
        {.name = "--api", .text = &bench.api},
        {.name = "--no-prepare", .flag = &bench.no_prepare},
        {.name = "--no-warm-up", .flag = &bench.no_warm_up},
        {.name = "--json", .flag = &bench.json},
        CLIENT_OPTION_SPECS(&bench.connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "WORKLOAD", 1, 1, &arguments);

    if (status == EXIT_OK)
        status = choose_kind(arguments.values[0], &bench.plan.kind);
    if (status == EXIT_OK)
        status = check(&bench);
    if (status)
        return status;
    bench.load.duration_ms = bench.duration_s * 1000;
    /* A count of requests is soon reached: warming up would leave none of them to be counted. */
    bench.load.warm_up_ms = bench.no_warm_up || bench.load.requests > 0 ? 0 : 1000;
    bench.load.live = isatty(STDERR_FILENO) == 1;
    bench.load.stop_fd = stop_descriptor();
    if (bench.load.stop_fd < 0) {
        output_error("signals cannot be watched");
        return EXIT_FAILED;
    }
    return run(&bench);
}
