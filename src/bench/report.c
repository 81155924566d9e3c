#include "bench/report.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdio.h>

#include "cli/cli.h"
#include "cli/output.h"

static const struct {
    const char *name;
    uint32_t per_million;
} quantiles[] = {{"p50", 500000}, {"p90", 900000}, {"p99", 990000}, {"p999", 999000}};
enum { QUANTILES = sizeof quantiles / sizeof quantiles[0] };

const char *
bench_kind_name(enum bench_kind kind)
{
    switch (kind) {
    case BENCH_CREATE: return "create";
    case BENCH_UPDATE: return "update";
    case BENCH_READ: return "read";
    case BENCH_MIXED: return "mixed";
    case BENCH_ENV: return "env";
    }
    return "?";
}

static double
per_second(const struct load_result *result)
{
    return result->elapsed_ns ? (double)result->successes * 1e9 / (double)result->elapsed_ns : 0;
}

static double
mean(const struct load_result *result)
{
    const struct histogram *latencies = &result->latencies;

    return latencies->count ? (double)latencies->sum / (double)latencies->count : 0;
}

static double
client_cpu(const struct load_result *result)
{
    uint64_t answers = result->successes + result->failures;

    return answers ? (double)result->client_cpu_us / (double)answers : 0;
}

int
report_print(const struct bench_plan *plan, const struct load_options *options,
             const struct load_result *result)
{
    const struct histogram *latencies = &result->latencies;

    printf("%s, %" PRIu64 " connections, %s", bench_kind_name(plan->kind), options->connections,
           options->rate ? "open loop" : "closed loop");
    if (options->rate)
        printf(" at %" PRIu64 "/s", options->rate);
    printf(", %.1f s\n", (double)result->elapsed_ns / 1e9);
    printf("  %.0f requests/s, %" PRIu64 " done, %" PRIu64 " failed\n", per_second(result),
           result->successes, result->failures);
    printf("  latency: mean %.0f us", mean(result));
    for (size_t i = 0; i < QUANTILES; i++)
        printf(", %s %" PRIu64 " us", quantiles[i].name,
               histogram_quantile(latencies, quantiles[i].per_million));
    printf(", max %" PRIu64 " us\n", latencies->most);
    printf("  this program: %.1f us of CPU per request\n", client_cpu(result));
    if (result->failures) {
        printf("  failures: %" PRIu64 " without an answer", result->unanswered);
        for (size_t i = 0; i < BENCH_STATUSES_MAX && result->refused[i].status; i++)
            printf(", %" PRIu64 " of status %ld", result->refused[i].count,
                   result->refused[i].status);
        printf("\n  the first: %s\n", result->problem);
    }
    return EXIT_OK;
}

static json_t *
latencies_json(const struct load_result *result)
{
    const struct histogram *latencies = &result->latencies;
    json_t *json = json_pack("{s:I, s:f, s:I}", "min", (json_int_t)latencies->least, "mean",
                             mean(result), "max", (json_int_t)latencies->most);

    for (size_t i = 0; json && i < QUANTILES; i++) {
        uint64_t value = histogram_quantile(latencies, quantiles[i].per_million);
        if (json_object_set_new(json, quantiles[i].name, json_integer((json_int_t)value))) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

static json_t *
histogram_json(const struct histogram *histogram)
{
    json_t *list = json_array();

    for (size_t i = 0; list && i < HISTOGRAM_BUCKETS; i++) {
        if (histogram->buckets[i] == 0)
            continue;
        if (json_array_append_new(list, json_pack("[I, I]", (json_int_t)histogram_bucket_end(i),
                                                  (json_int_t)histogram->buckets[i]))) {
            json_decref(list);
            return NULL;
        }
    }
    return list;
}

static json_t *
refused_json(const struct load_result *result)
{
    json_t *json = json_object();

    for (size_t i = 0; json && i < BENCH_STATUSES_MAX && result->refused[i].status; i++) {
        char status[24];
        snprintf(status, sizeof status, "%ld", result->refused[i].status);
        if (json_object_set_new(json, status, json_integer((json_int_t)result->refused[i].count))) {
            json_decref(json);
            return NULL;
        }
    }
    return json;
}

int
report_json(const struct bench_plan *plan, const struct load_options *options,
            const struct load_result *result)
{
    json_t *json = json_pack(
        "{s:s, s:s, s:I, s:I, s:I, s:I, s:f, s:b, s:I, s:I, s:f, s:I, s:o, s:f, s:o, s:o}", "api",
        plan->api == BENCH_ETCD ? "etcd" : "ostraka", "workload", bench_kind_name(plan->kind),
        "connections", (json_int_t)options->connections, "rate", (json_int_t)options->rate, "names",
        (json_int_t)plan->names, "value_bytes", (json_int_t)plan->value_size, "seconds",
        (double)result->elapsed_ns / 1e9, "stopped", result->stopped, "done",
        (json_int_t)result->successes, "failed", (json_int_t)result->failures, "per_second",
        per_second(result), "unanswered", (json_int_t)result->unanswered, "refused",
        refused_json(result), "client_cpu_us", client_cpu(result), "latency_us",
        latencies_json(result), "histogram", histogram_json(&result->latencies));
    int status = json && output_json(json) == OK ? EXIT_OK : EXIT_FAILED;

    if (status)
        output_error("the result cannot be written");
    json_decref(json);
    return status;
}
