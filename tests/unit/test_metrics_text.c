/* Latency buckets, and the Prometheus text format line by line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "api/status.h"

static void
bucket_bounds(void **state)
{
    (void)state;
    for (unsigned i = 0; i + 1 < METRIC_LATENCY_BUCKETS; i++) {
        uint64_t bound = UINT64_C(32) << i;
        struct latency_histogram histogram = {0};

        latency_record(&histogram, bound - 1);
        assert_int_equal(histogram.buckets[i], 1);
        latency_record(&histogram, bound);
        assert_int_equal(histogram.buckets[i], 1);
        assert_int_equal(histogram.buckets[i + 1], 1);
        assert_int_equal(histogram.count, 2);
        assert_int_equal(histogram.sum_us, 2 * bound - 1);
    }
}

static void
extremes(void **state)
{
    struct latency_histogram histogram = {0};

    (void)state;
    latency_record(&histogram, 0);
    assert_int_equal(histogram.buckets[0], 1);
    latency_record(&histogram, UINT64_MAX);
    assert_int_equal(histogram.buckets[METRIC_LATENCY_BUCKETS - 1], 1);
    assert_int_equal(histogram.count, 2);
}

struct page {
    struct cluster cluster;
    struct node_status status;
    struct metrics *metrics;
    struct api_response response;
    char *text;
};

static void
page_start(struct page *page)
{
    *page = (struct page){0};
    page->cluster = (struct cluster){.nodes = {{.name = "n1"}, {.name = "n2"}, {.name = "n3"}},
                                     .node_count = 3,
                                     .share_count = 3,
                                     .threshold = 2};
    page->status = (struct node_status){
        .cluster = &page->cluster,
        .version = "1.2.3",
        .uptime_ms = 61001,
        .certificate_known = true,
        .ca_known = true,
        .certificate_left_s = 5184001,
        .ca_left_s = -7,
        .escrow_backlog = 7,
        .anti_entropy = {.ready = true, .paths = 1234, .backlog = 3},
        .recovery = {.state = "handover", .peers_complete = 1},
        .repair = {.lacking = 9, .scrub_passes = 2},
        .ready = true,
        .peers = {{.self = true, .connected = true, .paths = 40, .paths_known = true},
                  {.connected = true,
                   .round_trip_us = 1000250,
                   .clock_offset_ms = -3600007,
                   .queued_bytes = 42,
                   .escrow_backlog = 6,
                   .paths = 41,
                   .paths_known = true},
                  {.config_mismatch = true,
                   .token_known = true,
                   .token_differs = true,
                   .paths = 39,
                   .paths_known = true}}};
    page->metrics = calloc(1, sizeof *page->metrics);
    assert_non_null(page->metrics);
}

static void
page_render(struct page *page)
{
    assert_int_equal(api_render_metrics(&page->status, page->metrics, &page->response), OK);
    assert_int_equal(page->response.status, 200);
    assert_string_equal(page->response.content_type, "text/plain; version=0.0.4; charset=utf-8");
    page->text = malloc(page->response.body.size + 1);
    assert_non_null(page->text);
    memcpy(page->text, page->response.body.data, page->response.body.size);
    page->text[page->response.body.size] = '\0';
}

static void
page_end(struct page *page)
{
    free(page->text);
    free(page->metrics);
    api_response_close(&page->response);
}

/* A whole line that begins like that and goes on with " value\n". */
static void
assert_sample(const struct page *page, const char *sample)
{
    char line[256];

    (void)snprintf(line, sizeof line, "\n%s\n", sample);
    if (!strstr(page->text, line))
        fail_msg("missing: %s", sample);
}

static void
samples(void **state)
{
    struct page page;

    (void)state;
    page_start(&page);
    page.metrics->responses[REQUEST_READ][200] = 7;
    page.metrics->responses[REQUEST_READ][404] = 1;
    page.metrics->responses[REQUEST_KINDS][404] = 3;
    page.metrics->refusals[ERR_NOT_FOUND] = 1;
    page.metrics->counters[METRIC_votes_sent] = 99;
    page.metrics->commit_batch_sum = 12;
    latency_record(&page.metrics->latency[REQUEST_READ], 31);
    latency_record(&page.metrics->latency[REQUEST_READ], 32);
    latency_record(&page.metrics->latency[REQUEST_READ], 20000000);
    latency_record(&page.metrics->commit, 100);
    page_render(&page);

    assert_sample(&page, "ostraka_build_info{version=\"1.2.3\"} 1");
    assert_sample(&page, "ostraka_uptime_seconds 61.001");
    assert_sample(&page, "ostraka_certificate_seconds_left{certificate=\"node\"} 5184001");
    assert_sample(&page, "ostraka_certificate_seconds_left{certificate=\"ca\"} -7");
    assert_sample(&page, "ostraka_ready 1");
    assert_sample(&page, "ostraka_quorum 0");
    assert_sample(&page, "ostraka_peer_connected{peer=\"n2\"} 1");
    assert_sample(&page, "ostraka_peer_connected{peer=\"n3\"} 0");
    assert_sample(&page, "ostraka_peer_config_mismatch{peer=\"n3\"} 1");
    assert_sample(&page, "ostraka_peer_admin_token_differs{peer=\"n2\"} 0");
    assert_sample(&page, "ostraka_peer_admin_token_differs{peer=\"n3\"} 1");
    assert_sample(&page, "ostraka_peer_round_trip_seconds{peer=\"n2\"} 1.000250");
    assert_sample(&page, "ostraka_peer_clock_difference_seconds{peer=\"n2\"} 3600.007");
    assert_sample(&page, "ostraka_peer_clock_difference_seconds{peer=\"n3\"} 0.000");
    assert_sample(&page, "ostraka_peer_queued_bytes{peer=\"n2\"} 42");
    assert_sample(&page, "ostraka_peer_escrow_backlog{peer=\"n2\"} 6");
    assert_sample(&page, "ostraka_escrow_backlog 7");
    assert_sample(&page, "ostraka_paths 40");
    assert_sample(&page, "ostraka_cluster_paths 40");
    assert_sample(&page, "ostraka_peer_paths{peer=\"n2\"} 41");
    assert_sample(&page, "ostraka_all_paths_available 1");
    assert_sample(&page, "ostraka_anti_entropy_ready 1");
    assert_sample(&page, "ostraka_anti_entropy_backlog 3");
    assert_sample(&page, "ostraka_anti_entropy_paths 1234");
    assert_sample(&page, "ostraka_peer_in_sync{peer=\"n2\"} 0");
    assert_sample(&page, "ostraka_anti_entropy_rounds_total 0");
    assert_sample(&page, "ostraka_versions_lacking 9");
    assert_sample(&page, "ostraka_scrub_passes_total 2");
    assert_null(strstr(page.text, "peer=\"n1\""));
    assert_sample(&page, "ostraka_requests_total{route=\"read\",status=\"200\"} 7");
    assert_sample(&page, "ostraka_requests_total{route=\"read\",status=\"404\"} 1");
    assert_sample(&page, "ostraka_requests_total{route=\"none\",status=\"404\"} 3");
    assert_sample(&page, "ostraka_request_errors_total{cause=\"not_found\"} 1");
    assert_sample(&page, "ostraka_votes_sent_total 99");
    assert_sample(&page, "ostraka_store_flushed_transactions_total 12");
    assert_sample(&page,
                  "ostraka_request_duration_seconds_bucket{route=\"read\",le=\"0.000032\"} 1");
    assert_sample(&page,
                  "ostraka_request_duration_seconds_bucket{route=\"read\",le=\"0.000064\"} 2");
    assert_sample(&page,
                  "ostraka_request_duration_seconds_bucket{route=\"read\",le=\"8.388608\"} 2");
    assert_sample(&page, "ostraka_request_duration_seconds_bucket{route=\"read\",le=\"+Inf\"} 3");
    assert_sample(&page, "ostraka_request_duration_seconds_sum{route=\"read\"} 20.000063");
    assert_sample(&page, "ostraka_request_duration_seconds_count{route=\"read\"} 3");
    assert_sample(&page, "ostraka_store_commit_duration_seconds_bucket{le=\"0.000128\"} 1");
    assert_sample(&page, "ostraka_store_commit_duration_seconds_sum 0.000100");
    assert_sample(&page, "ostraka_store_commit_duration_seconds_count 1");
    page_end(&page);
}

/* The family that a line belongs to: up to '{' or ' ', without the suffixes of histograms. */
static void
family_of(const char *line, char *family, size_t room)
{
    static const char *const suffixes[] = {"_bucket", "_sum", "_count"};
    size_t size = strcspn(line, "{ ");

    assert_true(size < room);
    memcpy(family, line, size);
    family[size] = '\0';
    if (!strstr(family, "_seconds_"))
        return;
    for (size_t i = 0; i < 3; i++) {
        size_t suffix = strlen(suffixes[i]);

        if (size > suffix && strcmp(family + size - suffix, suffixes[i]) == 0) {
            family[size - suffix] = '\0';
            return;
        }
    }
}

/*
 * Each family: HELP, TYPE, then its samples; no family twice; each line ends; values are numbers.
 */
static void
format(void **state)
{
    struct page page;
    char current[128] = "";
    char *seen;
    unsigned lines = 0;

    (void)state;
    page_start(&page);
    for (unsigned i = 0; i < METRIC_REASONS; i++)
        page.metrics->refusals[i] = i + 1;
    for (unsigned i = 0; i < METRIC_ROUTES; i++)
        page.metrics->responses[i][200] = 1;
    page_render(&page);
    assert_int_equal(page.text[strlen(page.text) - 1], '\n');
    seen = calloc(1, strlen(page.text) + 2);
    assert_non_null(seen);
    for (char *rest, *line = strtok_r(page.text, "\n", &rest); line;
         line = strtok_r(NULL, "\n", &rest)) {
        char family[128];
        char marked[160];

        lines++;
        if (strncmp(line, "# HELP ", 7) == 0) {
            family_of(line + 7, current, sizeof current);
            (void)snprintf(marked, sizeof marked, "<%s>", current);
            if (strstr(seen, marked))
                fail_msg("twice: %s", current);
            memcpy(seen + strlen(seen), marked, strlen(marked) + 1);
            assert_true(strlen(line) > 8 + strlen(current));
        } else if (strncmp(line, "# TYPE ", 7) == 0) {
            family_of(line + 7, family, sizeof family);
            assert_string_equal(family, current);
        } else {
            char *end;

            assert_int_equal(strncmp(line, "ostraka_", 8), 0);
            family_of(line, family, sizeof family);
            assert_string_equal(family, current);
            assert_non_null(strrchr(line, ' '));
            (void)strtod(strrchr(line, ' ') + 1, &end);
            assert_int_equal(*end, '\0');
        }
    }
    assert_true(lines > 300);
    free(seen);
    page_end(&page);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(bucket_bounds),
        cmocka_unit_test(extremes),
        cmocka_unit_test(samples),
        cmocka_unit_test(format),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
