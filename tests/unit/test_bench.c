/* Latency histogram of the bench, and the requests of its workloads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "bench/histogram.h"
#include "bench/workload.h"
#include "crypto/rng_kernel.h"

static struct histogram *
empty(void)
{
    struct histogram *histogram = calloc(1, sizeof *histogram);

    assert_non_null(histogram);
    return histogram;
}

static void
test_quantiles_are_near(void **state)
{
    struct histogram *histogram = empty();

    (void)state;
    for (uint64_t value = 1; value <= 100000; value++)
        histogram_add(histogram, value);
    for (uint32_t per_million = 1000; per_million <= 1000000; per_million += 1000) {
        uint64_t exact = per_million / 10, found = histogram_quantile(histogram, per_million);
        assert_true(found >= exact);
        assert_true(found <= exact + exact / 64 + 1);
    }
    assert_int_equal(histogram->least, 1);
    assert_int_equal(histogram->most, 100000);
    free(histogram);
}

/* A value lies above the end of the bucket before its own, and not above its own. */
static void
test_buckets_follow_each_other(void **state)
{
    (void)state;
    for (size_t bucket = 1; bucket < HISTOGRAM_BUCKETS; bucket++) {
        uint64_t before = histogram_bucket_end(bucket - 1), end = histogram_bucket_end(bucket);
        struct histogram *histogram = empty();
        assert_true(before < end);
        histogram_add(histogram, before + 1);
        histogram_add(histogram, end);
        assert_int_equal(histogram->buckets[bucket], 2);
        free(histogram);
    }
}

static void
test_ends_of_the_range(void **state)
{
    struct histogram *histogram = empty();

    (void)state;
    assert_int_equal(histogram_quantile(histogram, 500000), 0);
    histogram_add(histogram, 0);
    histogram_add(histogram, UINT64_MAX);
    assert_int_equal(histogram->buckets[0], 1);
    assert_int_equal(histogram->buckets[HISTOGRAM_BUCKETS - 1], 1);
    free(histogram);
}

static void
test_merge_is_as_if_all_were_added(void **state)
{
    struct histogram *one = empty(), *other = empty(), *both = empty();

    (void)state;
    for (uint64_t value = 3; value < 90000; value = value * 3 / 2) {
        histogram_add(value % 2 ? one : other, value);
        histogram_add(both, value);
    }
    histogram_merge(one, other);
    assert_memory_equal(one, both, sizeof *both);
    free(one);
    free(other);
    free(both);
}

/* ---- workloads ---- */

static struct workload
workload_of(enum bench_api api, enum bench_kind kind)
{
    struct bench_plan plan = {
        .api = api, .kind = kind, .prefix = "b/", .names = 7, .value_size = 100};
    struct rng rng = rng_kernel();
    struct workload workload;

    assert_int_equal(workload_open(&plan, &rng, &workload), OK);
    return workload;
}

static void
test_new_names_differ(void **state)
{
    struct workload workload = workload_of(BENCH_OSTRAKA, BENCH_CREATE);
    struct workload next_run = workload_of(BENCH_OSTRAKA, BENCH_CREATE);
    struct bench_request first = {0}, second = {0}, third = {0};

    (void)state;
    assert_int_equal(workload_next(&workload, &first), OK);
    assert_int_equal(workload_next(&workload, &second), OK);
    assert_int_equal(workload_next(&next_run, &third), OK);
    assert_string_equal(first.method, "POST");
    assert_memory_equal(first.target.data, "/v1/secrets/b/new-", 18);
    assert_string_not_equal((char *)first.target.data, (char *)second.target.data);
    assert_string_not_equal((char *)first.target.data, (char *)third.target.data);
    assert_int_equal(first.body.size, strlen("{\"value\":\"\"}") + 100);
    bench_request_close(&first);
    bench_request_close(&second);
    bench_request_close(&third);
    workload_close(&workload);
    workload_close(&next_run);
}

/* All names are drawn, and no others. */
static void
test_reads_draw_all_names(void **state)
{
    struct workload workload = workload_of(BENCH_OSTRAKA, BENCH_READ);
    struct bench_request request = {0};
    unsigned seen = 0;

    (void)state;
    for (int i = 0; i < 1000; i++) {
        const char *target;
        assert_int_equal(workload_next(&workload, &request), OK);
        target = (const char *)request.target.data;
        assert_string_equal(request.method, "GET");
        assert_null(request.type);
        assert_int_equal(strlen(target), strlen("/v1/secrets/b/name-0"));
        assert_in_range(target[strlen(target) - 1], '0', '6');
        seen |= 1u << (target[strlen(target) - 1] - '0');
    }
    assert_int_equal(seen, 0x7f);
    bench_request_close(&request);
    workload_close(&workload);
}

/* Nine draws of ten are of the hot names, and the tenth of any. */
static void
test_hot_names_are_drawn_more(void **state)
{
    struct workload workload = workload_of(BENCH_OSTRAKA, BENCH_READ);
    struct bench_request request = {0};
    unsigned hot = 0;

    (void)state;
    workload.plan.hot = 2;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(workload_next(&workload, &request), OK);
        hot += request.target.data[request.target.size - 1] < '2';
    }
    assert_in_range(hot, 9000, 9600); /* 9,286 of them on average */
    bench_request_close(&request);
    workload_close(&workload);
}

static void
test_one_of_ten_creates(void **state)
{
    struct workload workload = workload_of(BENCH_OSTRAKA, BENCH_MIXED);
    struct bench_request request = {0};
    int creates = 0;

    (void)state;
    for (int i = 0; i < 10000; i++) {
        assert_int_equal(workload_next(&workload, &request), OK);
        creates += strcmp(request.method, "POST") == 0;
    }
    assert_in_range(creates, 800, 1200);
    bench_request_close(&request);
    workload_close(&workload);
}

static void
test_etcd_speaks_base64(void **state)
{
    struct workload workload = workload_of(BENCH_ETCD, BENCH_UPDATE);
    struct bench_request request = {0};

    (void)state;
    assert_int_equal(workload_prepare(&workload, 3, &request), OK);
    assert_string_equal((char *)request.target.data, "/v3/kv/put");
    assert_memory_equal(request.body.data, "{\"key\":\"Yi9uYW1lLTM=\",\"value\":\"", 31);
    assert_int_equal(request.body.size, 31 + 136 + 2);
    bench_request_close(&request);
    workload_close(&workload);
}

static void
test_what_counts_as_success(void **state)
{
    const struct bench_request plain = {0}, prepares = {.prepares = true};

    (void)state;
    assert_true(bench_request_succeeded(&plain, 201));
    assert_false(bench_request_succeeded(&plain, 409));
    assert_false(bench_request_succeeded(&plain, 0));
    assert_true(bench_request_succeeded(&prepares, 409));
    assert_false(bench_request_succeeded(&prepares, 503));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_quantiles_are_near),
        cmocka_unit_test(test_buckets_follow_each_other),
        cmocka_unit_test(test_ends_of_the_range),
        cmocka_unit_test(test_merge_is_as_if_all_were_added),
        cmocka_unit_test(test_new_names_differ),
        cmocka_unit_test(test_reads_draw_all_names),
        cmocka_unit_test(test_hot_names_are_drawn_more),
        cmocka_unit_test(test_one_of_ten_creates),
        cmocka_unit_test(test_etcd_speaks_base64),
        cmocka_unit_test(test_what_counts_as_success),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
