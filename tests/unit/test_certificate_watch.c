/* The end of certificates: said once a day from 60 days before, of the one that ends first. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/rng_kernel.h"
#include "crypto/secret.h"
#include "runtime/certificate_watch.h"
#include "runtime/certificates.h"

#define DAY_MS UINT64_C(86400000)

struct lines {
    unsigned count;
    char last[512];
};

static void
take_line(void *context, enum log_level level, struct bytes line)
{
    struct lines *lines = context;

    assert_int_equal(level, LOG_WARN);
    lines->count++;
    snprintf(lines->last, sizeof(lines->last), "%.*s", (int)line.size, (const char *)line.data);
}

static uint64_t
no_time(void *context)
{
    (void)context;
    return 0;
}

static struct log_sink
sink_of(struct lines *lines)
{
    return (struct log_sink){
        .context = lines, .write = take_line, .wall_ms = no_time, .node = "n1"};
}

static struct instant
day(double number)
{
    return instant_add((struct instant){0}, duration_ms((uint64_t)(number * (double)DAY_MS)));
}

static void
one_line_a_day(void **state)
{
    struct lines lines = {0};
    struct log_sink log = sink_of(&lines);
    struct certificate_watch watch = {.node_ends_ms = 1000 * DAY_MS, .ca_ends_ms = 1001 * DAY_MS};

    (void)state;
    certificate_watch_look(&watch, day(1), 1000 * DAY_MS - 60 * DAY_MS - 1, &log);
    assert_int_equal(lines.count, 0);
    certificate_watch_look(&watch, day(1), 1000 * DAY_MS - 60 * DAY_MS, &log);
    assert_int_equal(lines.count, 1);
    assert_non_null(strstr(lines.last, "server certificate_ends_soon certificate=node.crt"));
    assert_non_null(strstr(lines.last, "1972-09-27T00:00:00.000Z"));
    certificate_watch_look(&watch, day(1.9), 950 * DAY_MS, &log);
    assert_int_equal(lines.count, 1);
    certificate_watch_look(&watch, day(2), 950 * DAY_MS, &log);
    assert_int_equal(lines.count, 2);
    certificate_watch_look(&watch, day(3), 1002 * DAY_MS, &log); /* over, and said all the same */
    assert_int_equal(lines.count, 3);
}

static void
the_first_to_end_is_named(void **state)
{
    struct lines lines = {0};
    struct log_sink log = sink_of(&lines);
    struct certificate_watch watch = {.node_ends_ms = 1000 * DAY_MS, .ca_ends_ms = 999 * DAY_MS};

    (void)state;
    certificate_watch_look(&watch, day(1), 990 * DAY_MS, &log);
    assert_non_null(strstr(lines.last, "certificate=ca.crt"));
    watch = (struct certificate_watch){.node_ends_ms = 1000 * DAY_MS};
    certificate_watch_look(&watch, day(1), 990 * DAY_MS, &log);
    assert_non_null(strstr(lines.last, "certificate=node.crt"));
    assert_int_equal(lines.count, 2);
    watch = (struct certificate_watch){0};
    certificate_watch_look(&watch, day(1), 990 * DAY_MS, &log);
    assert_int_equal(lines.count, 2);
    assert_int_equal(certificate_seconds_left(5000, 3000), 2);
    assert_int_equal(certificate_seconds_left(3000, 5000), -2);
}

static void
ends_are_read_from_files(void **state)
{
    static const uint8_t id[CLUSTER_ID_BYTES] = {1};
    char path[] = "/tmp/ostraka-watch-XXXXXX";
    struct rng rng = rng_kernel();
    struct certificate_authority *ca;
    struct certificate_watch watch;
    struct buf certificate = {0}, key = {0};
    int fd = mkstemp(path);

    (void)state;
    assert_int_equal(crypto_init(), OK);
    assert_true(fd >= 0);
    assert_int_equal(certificate_authority_new(id, INT64_C(946684800), &rng, &ca), OK);
    assert_int_equal(certificate_authority_export(ca, &certificate, &key), OK);
    assert_int_equal(write(fd, certificate.data, certificate.size), certificate.size);
    close(fd);
    certificate_watch_read(&watch, "/nonexistent/node.crt", path);
    unlink(path);
    assert_int_equal(watch.node_ends_ms, 0);
    /* Ten years after the year 2000, give or take leap days. */
    assert_in_range(watch.ca_ends_ms / 1000, 946684800 + 3649 * 86400, 946684800 + 3654 * 86400);
    certificate_authority_free(ca);
    buf_close(&certificate);
    buf_close(&key);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_line_a_day),
        cmocka_unit_test(the_first_to_end_is_named),
        cmocka_unit_test(ends_are_read_from_files),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
