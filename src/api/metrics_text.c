/*
 * The Prometheus text format, version 0.0.4. Numbers and the names of nodes, routes and error
 * codes only: nothing here comes from a client.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "api/json_out.h"
#include "api/status.h"

enum { LATENCY_UNIT_US = 32, US_PER_SECOND = 1000000 };

#define X(code, name, text) +1
enum { ERROR_CODES = 0 VAULT_ERRORS(X) };
#undef X

static_assert((int)ERROR_CODES <= (int)METRIC_REASONS, "every error code has a counter");
static_assert((int)REQUEST_KINDS + 1 == (int)METRIC_ROUTES, "a row per kind, and one for none");

/* One formatted piece, unless something failed before. */
#define PRINT(out, ...)                                                                            \
    do {                                                                                           \
        if ((out)->err == OK)                                                                      \
            (out)->err = buf_printf((out)->buf, __VA_ARGS__);                                      \
    } while (0)

static void
describe(struct json_out *out, const char *name, const char *type, const char *help)
{
    PRINT(out, "# HELP ostraka_%s %s\n# TYPE ostraka_%s %s\n", name, help, name, type);
}

static void
single(struct json_out *out, const char *name, const char *type, const char *help, uint64_t value)
{
    describe(out, name, type, help);
    PRINT(out, "ostraka_%s %" PRIu64 "\n", name, value);
}

static void
gauge(struct json_out *out, const char *name, const char *help, uint64_t value)
{
    single(out, name, "gauge", help, value);
}

static const char *
route_name(unsigned route)
{
    return route < REQUEST_KINDS ? request_kind_name((enum request_kind)route) : "none";
}

static void
put_placement(struct json_out *out, const struct node_status *status)
{
    struct placement_status placement;

    placement_status(status, &placement);
    gauge(out, "paths", "paths kept by this node, deleted ones included",
          status->peers[status->self].paths);
    gauge(out, "cluster_paths", "paths of the cluster, 0 while some node has not told its number",
          placement.cluster_paths);
    gauge(out, "all_paths_available", "1 when every path has a majority of its replicas connected",
          placement.available == PATHS_ALL);
}

static void
put_certificates(struct json_out *out, const struct node_status *status)
{
    if (!status->certificate_known && !status->ca_known)
        return;
    describe(out, "certificate_seconds_left", "gauge",
             "time until the certificate is not valid any more");
    if (status->certificate_known)
        PRINT(out, "ostraka_certificate_seconds_left{certificate=\"node\"} %" PRId64 "\n",
              status->certificate_left_s);
    if (status->ca_known)
        PRINT(out, "ostraka_certificate_seconds_left{certificate=\"ca\"} %" PRId64 "\n",
              status->ca_left_s);
}

static void
put_node(struct json_out *out, const struct node_status *status)
{
    describe(out, "build_info", "gauge", "version of the program");
    PRINT(out, "ostraka_build_info{version=\"%s\"} 1\n", status->version);
    describe(out, "uptime_seconds", "gauge", "time since the process started");
    PRINT(out, "ostraka_uptime_seconds %" PRIu64 ".%03u\n", status->uptime_ms / 1000,
          (unsigned)(status->uptime_ms % 1000));
    gauge(out, "ready", "1 when this node serves requests", status->ready);
    gauge(out, "quorum", "1 when a majority of the nodes is connected", status->quorum);
    gauge(out, "sealed", "1 when the master key that is needed is missing", status->sealed);
    put_certificates(out, status);
    gauge(out, "requests_in_flight", "requests that are not answered yet",
          status->requests_in_flight);
    gauge(out, "connections", "open connections of API clients", status->connections);
    gauge(out, "store_sequence", "durable batches of the store since it was made",
          status->store_sequence);
    gauge(out, "store_log_bytes", "size of the store's journal", status->store_log_bytes);
    gauge(out, "disk_free_bytes", "free space on the store's file system", status->disk_free_bytes);
    gauge(out, "store_waiting", "transactions that wait to become durable", status->store_waiting);
    gauge(out, "recovering", "1 while a lost or rolled-back store is being made up for",
          strcmp(status->recovery.state, "none") != 0);
    gauge(out, "recovery_peers_complete", "nodes that have handed over everything",
          status->recovery.peers_complete);
    gauge(out, "recovery_versions", "versions handed over since the process started",
          status->recovery.versions);
    gauge(out, "recovery_bytes", "bytes handed over since the process started",
          status->recovery.bytes);
    gauge(out, "escrow_backlog", "boxed shares kept for peers that have not taken them",
          status->escrow_backlog);
    gauge(out, "anti_entropy_ready", "1 when this node knows what it holds and can compare it",
          status->anti_entropy.ready);
    gauge(out, "anti_entropy_paths", "secrets counted for the comparison, deleted ones too",
          status->anti_entropy.paths);
    gauge(out, "anti_entropy_backlog", "parts known to be unlike at a peer and not looked into yet",
          status->anti_entropy.backlog);
    gauge(out, "versions_lacking", "versions of which this node lacks something",
          status->repair.lacking);
    gauge(out, "recoveries_under_way", "versions that are being got back now",
          status->repair.recovering);
    gauge(out, "paths_damaged", "rows of paths that did not verify since the start",
          status->repair.paths_damaged);
    gauge(out, "paths_in_doubt", "paths that this node may have forgotten something of: silent",
          status->repair.paths_in_doubt);
    gauge(out, "identity_records", "identity records kept by this node, deleted ones included",
          status->identity_records);
    gauge(out, "revocation_lists_due",
          "lists of revoked certificates whose next one is due soon, or has been due",
          status->revocation_lists.due);
    gauge(out, "revocation_lists_overdue", "of them, those that stop the logins of their tenants",
          status->revocation_lists.overdue);
    single(out, "scrub_passes_total", "counter", "times that the whole store was read through",
           status->repair.scrub_passes);
    gauge(out, "scrub_pass_rows", "rows read in the present pass", status->repair.scrub_rows);
    gauge(out, "scrub_pass_rows_expected", "rows that the last pass read, 0 unknown",
          status->repair.scrub_rows_expected);
    gauge(out, "scrub_pass_bytes", "bytes read in the present pass", status->repair.scrub_bytes);
    gauge(out, "scrub_last_pass_ms", "how long the last pass took, 0 unknown",
          status->repair.scrub_last_ms);
}

/*
 * One gauge or counter with a sample per peer; `field` is the offset of its uint64_t in
 * peer_status.
 */
struct peer_series {
    const char *name;
    const char *type;
    const char *help;
    size_t field;
};

static const struct peer_series peer_series[] = {
    {"peer_incarnation", "gauge", "incarnation of the peer's store as known here, 0 unknown",
     offsetof(struct peer_status, incarnation)},
    {"peer_escrow_backlog", "gauge", "boxed shares kept here for the peer",
     offsetof(struct peer_status, escrow_backlog)},
    {"peer_paths", "gauge", "paths kept by the peer as it last said, 0 unknown",
     offsetof(struct peer_status, paths)},
    {"peer_queued_bytes", "gauge", "bytes that wait to be sent to the peer",
     offsetof(struct peer_status, queued_bytes)},
    {"peer_sent_messages_total", "counter", "messages sent to the peer",
     offsetof(struct peer_status, sent_messages)},
    {"peer_received_messages_total", "counter", "messages received from the peer",
     offsetof(struct peer_status, received_messages)},
    {"peer_refused_messages_total", "counter", "messages of the peer that were refused",
     offsetof(struct peer_status, refused_messages)},
};

static void
put_peer_series(struct json_out *out, const struct node_status *status,
                const struct peer_series *series)
{
    describe(out, series->name, series->type, series->help);
    for (unsigned i = 0; i < status->cluster->node_count; i++) {
        const uint8_t *peer = (const uint8_t *)&status->peers[i];

        if (!status->peers[i].self)
            PRINT(out, "ostraka_%s{peer=\"%s\"} %" PRIu64 "\n", series->name,
                  status->cluster->nodes[i].name, *(const uint64_t *)(peer + series->field));
    }
}

static void
put_clock_difference(struct json_out *out, const char *peer, int64_t ms)
{
    uint64_t magnitude = ms < 0 ? 0 - (uint64_t)ms : (uint64_t)ms;

    PRINT(out, "ostraka_peer_clock_difference_seconds{peer=\"%s\"} %" PRIu64 ".%03u\n", peer,
          magnitude / 1000, (unsigned)(magnitude % 1000));
}

static void
put_peers(struct json_out *out, const struct node_status *status)
{
    const struct cluster *cluster = status->cluster;

    describe(out, "peer_connected", "gauge", "1 while the link to the peer is up");
    for (unsigned i = 0; i < cluster->node_count; i++)
        if (!status->peers[i].self)
            PRINT(out, "ostraka_peer_connected{peer=\"%s\"} %d\n", cluster->nodes[i].name,
                  status->peers[i].connected);
    describe(out, "peer_config_mismatch", "gauge", "1 when the peer has another configuration");
    for (unsigned i = 0; i < cluster->node_count; i++)
        if (!status->peers[i].self)
            PRINT(out, "ostraka_peer_config_mismatch{peer=\"%s\"} %d\n", cluster->nodes[i].name,
                  status->peers[i].config_mismatch);
    describe(out, "peer_admin_token_differs", "gauge",
             "1 when the peer takes another bootstrap token than this node");
    for (unsigned i = 0; i < cluster->node_count; i++)
        if (!status->peers[i].self)
            PRINT(out, "ostraka_peer_admin_token_differs{peer=\"%s\"} %d\n", cluster->nodes[i].name,
                  status->peers[i].token_differs);
    describe(out, "peer_round_trip_seconds", "gauge", "last round trip to the peer, 0 unknown");
    for (unsigned i = 0; i < cluster->node_count; i++)
        if (!status->peers[i].self)
            PRINT(out, "ostraka_peer_round_trip_seconds{peer=\"%s\"} %" PRIu64 ".%06u\n",
                  cluster->nodes[i].name, status->peers[i].round_trip_us / US_PER_SECOND,
                  (unsigned)(status->peers[i].round_trip_us % US_PER_SECOND));
    describe(out, "peer_clock_difference_seconds", "gauge",
             "how far the peer's wall clock was from this node's at its last heartbeat");
    for (unsigned i = 0; i < cluster->node_count; i++)
        if (!status->peers[i].self)
            put_clock_difference(out, cluster->nodes[i].name, status->peers[i].clock_offset_ms);
    describe(out, "peer_in_sync", "gauge",
             "1 when nothing was unlike at the last comparison with the peer");
    for (unsigned i = 0; i < cluster->node_count; i++)
        if (!status->peers[i].self)
            PRINT(out, "ostraka_peer_in_sync{peer=\"%s\"} %d\n", cluster->nodes[i].name,
                  status->peers[i].compared && status->peers[i].in_sync);
    for (size_t i = 0; i < sizeof peer_series / sizeof peer_series[0]; i++)
        put_peer_series(out, status, &peer_series[i]);
}

/*
 * Buckets are cumulative and their bounds inclusive. Ours count whole microseconds *below* 2^i *
 * 32, which is the same for a time that was cut to whole microseconds. `labels` is empty or ends
 * with a comma.
 */
static void
put_histogram(struct json_out *out, const char *name, const char *labels,
              const struct latency_histogram *histogram)
{
    size_t labels_size = strlen(labels);
    int inner = labels_size > 0 ? (int)labels_size - 1 : 0; /* without the comma */
    const char *open = inner > 0 ? "{" : "";
    const char *close = inner > 0 ? "}" : "";
    uint64_t bound_us = LATENCY_UNIT_US;
    uint64_t below = 0;

    for (unsigned i = 0; i + 1 < METRIC_LATENCY_BUCKETS; i++, bound_us *= 2) {
        below += histogram->buckets[i];
        PRINT(out, "ostraka_%s_bucket{%sle=\"%" PRIu64 ".%06u\"} %" PRIu64 "\n", name, labels,
              bound_us / US_PER_SECOND, (unsigned)(bound_us % US_PER_SECOND), below);
    }
    PRINT(out, "ostraka_%s_bucket{%sle=\"+Inf\"} %" PRIu64 "\n", name, labels, histogram->count);
    PRINT(out, "ostraka_%s_sum%s%.*s%s %" PRIu64 ".%06u\n", name, open, inner, labels, close,
          histogram->sum_us / US_PER_SECOND, (unsigned)(histogram->sum_us % US_PER_SECOND));
    PRINT(out, "ostraka_%s_count%s%.*s%s %" PRIu64 "\n", name, open, inner, labels, close,
          histogram->count);
}

static void
put_requests(struct json_out *out, const struct metrics *metrics)
{
    describe(out, "requests_total", "counter", "requests answered, by route and HTTP status");
    for (unsigned route = 0; route < METRIC_ROUTES; route++)
        for (unsigned status = 0; status < METRIC_STATUSES; status++)
            if (metrics->responses[route][status] > 0)
                PRINT(out, "ostraka_requests_total{route=\"%s\",status=\"%u\"} %" PRIu32 "\n",
                      route_name(route), status, metrics->responses[route][status]);
    describe(out, "request_errors_total", "counter", "requests that ended in an error, by cause");
    for (unsigned err = 0; err < ERROR_CODES; err++)
        if (metrics->refusals[err] > 0)
            PRINT(out, "ostraka_request_errors_total{cause=\"%s\"} %" PRIu64 "\n",
                  vault_err_name((enum vault_err)err), metrics->refusals[err]);
    describe(out, "request_duration_seconds", "histogram", "time from request to answer");
    for (unsigned route = 0; route < METRIC_ROUTES; route++) {
        char labels[32];

        (void)snprintf(labels, sizeof labels, "route=\"%s\",", route_name(route));
        put_histogram(out, "request_duration_seconds", labels, &metrics->latency[route]);
    }
}

static void
put_counters(struct json_out *out, const struct metrics *metrics)
{
#define X(name, help)                                                                              \
    single(out, #name "_total", "counter", help, metrics->counters[METRIC_##name]);
    METRICS_COUNTERS(X)
#undef X
    describe(out, "store_commit_duration_seconds", "histogram",
             "time from handing a batch to the store until it is durable");
    put_histogram(out, "store_commit_duration_seconds", "", &metrics->commit);
    single(out, "store_flushed_transactions_total", "counter",
           "transactions that became durable, over all flushes", metrics->commit_batch_sum);
}

enum vault_err
api_render_metrics(const struct node_status *status, const struct metrics *metrics,
                   struct api_response *response)
{
    struct json_out out;

    *response = (struct api_response){.status = 200,
                                      .content_type = "text/plain; version=0.0.4; charset=utf-8"};
    json_out_init(&out, &response->body);
    put_node(&out, status);
    put_placement(&out, status);
    put_peers(&out, status);
    put_requests(&out, metrics);
    put_counters(&out, metrics);
    if (out.err != OK)
        api_response_close(response);
    return out.err;
}
