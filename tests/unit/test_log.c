/* The two formats of a log line, and that nothing gets into one unescaped. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"

struct captured {
    char text[16384];
    size_t size;
    unsigned lines;
    enum log_level level;
};

static void
capture(void *context, enum log_level level, struct bytes line)
{
    struct captured *c = context;

    assert_true(line.size < sizeof(c->text));
    memcpy(c->text, line.data, line.size);
    c->text[line.size] = '\0';
    c->size = line.size;
    c->level = level;
    c->lines++;
}

static uint64_t
fixed_wall_ms(void *context)
{
    (void)context;
    return UINT64_C(1767323045678);
}

static struct log_sink
sink_of(struct captured *c, enum log_format format)
{
    memset(c, 0, sizeof(*c));
    return (struct log_sink){
        .context = c,
        .write = capture,
        .wall_ms = fixed_wall_ms,
        .node = "n1",
        .level_min = LOG_INFO,
        .format = format,
    };
}

static void
writes_logfmt(void **state)
{
    static const uint8_t id[] = {0xde, 0xad, 0x00, 0x01};
    struct captured c;
    struct log_sink sink = sink_of(&c, LOG_LOGFMT);

    (void)state;
    log_event(&sink, LOG_WARN, "link", "peer_up", log_text("peer", "n2"), log_u64("rtt_us", 12),
              log_id("op", bytes_of(id, sizeof(id))), log_err("cause", ERR_NO_QUORUM));
    assert_string_equal(c.text, "2026-01-02T03:04:05.678Z warn n1 link peer_up peer=n2 rtt_us=12 "
                                "op=dead0001 cause=no_quorum\n");
    assert_int_equal(c.level, LOG_WARN);

    log_event_fields(&sink, LOG_ERROR, "store", "full", NULL, 0);
    assert_string_equal(c.text, "2026-01-02T03:04:05.678Z error n1 store full\n");
    assert_int_equal(c.lines, 2);
}

static void
quotes_and_escapes(void **state)
{
    struct captured c;
    struct log_sink sink = sink_of(&c, LOG_LOGFMT);

    (void)state;
    log_event(&sink, LOG_INFO, "a", "e", log_text("x", ""), log_text("y", "two words"),
              log_text("z", "q\"b\\"), log_text("w", "a=b"),
              log_token("v", bytes_of("\n\0\x7f\xc3\xa9", 5)));
    assert_string_equal(c.text, "2026-01-02T03:04:05.678Z info n1 a e x=\"\" y=\"two words\" "
                                "z=\"q\\\"b\\\\\" w=\"a=b\" v=\"\\x0a\\x00\\x7f\\xc3\\xa9\"\n");
}

static void
writes_json(void **state)
{
    static const uint8_t id[20] = {0xab};
    struct captured c;
    struct log_sink sink = sink_of(&c, LOG_JSON);
    json_t *line;

    (void)state;
    log_event(&sink, LOG_INFO, "link", "peer_up", log_text("peer", "n\"2\\\n"),
              log_u64("n", UINT64_C(9007199254740993)), log_id("id", bytes_of(id, sizeof(id))),
              log_err("err", OK), log_token("raw", bytes_of("\x1f\xff", 2)));
    assert_int_equal(c.text[c.size - 1], '\n');
    line = json_loadb(c.text, c.size, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(line);
    assert_string_equal(json_string_value(json_object_get(line, "time")),
                        "2026-01-02T03:04:05.678Z");
    assert_string_equal(json_string_value(json_object_get(line, "level")), "info");
    assert_string_equal(json_string_value(json_object_get(line, "node")), "n1");
    assert_string_equal(json_string_value(json_object_get(line, "actor")), "link");
    assert_string_equal(json_string_value(json_object_get(line, "event")), "peer_up");
    assert_string_equal(json_string_value(json_object_get(line, "peer")), "n\"2\\\n");
    assert_int_equal(json_integer_value(json_object_get(line, "n")), INT64_C(9007199254740993));
    assert_string_equal(json_string_value(json_object_get(line, "id")),
                        "ab000000000000000000000000000000"); /* sixteen bytes of it */
    assert_string_equal(json_string_value(json_object_get(line, "err")), "ok");
    assert_string_equal(json_string_value(json_object_get(line, "raw")), "\x1f\xc3\xbf");
    json_decref(line);
}

static void
cuts_long_texts(void **state)
{
    struct captured c;
    struct log_sink sink = sink_of(&c, LOG_LOGFMT);
    char text[400];

    (void)state;
    memset(text, 'x', sizeof(text));
    log_event(&sink, LOG_INFO, "a", "e", log_token("t", bytes_of(text, sizeof(text))));
    assert_int_equal(c.size, strlen("2026-01-02T03:04:05.678Z info n1 a e t=") + 256 + 1);
}

static void
shortens_whole_fields(void **state)
{
    struct log_field fields[64];
    struct captured c;
    uint8_t text[300];
    json_t *line;

    (void)state;
    memset(text, 0x01, sizeof(text)); /* each byte takes six in JSON */
    for (unsigned i = 0; i < 64; i++)
        fields[i] = log_token("field", bytes_of(text, sizeof(text)));
    fields[63] = log_u64("last", 1);
    for (unsigned format = LOG_LOGFMT; format <= LOG_JSON; format++) {
        struct log_sink sink = sink_of(&c, (enum log_format)format);

        log_event_fields(&sink, LOG_INFO, "a", "e", fields, 64);
        assert_true(c.size <= 8192);
        assert_int_equal(c.text[c.size - 1], '\n');
        assert_non_null(strstr(c.text, "last"));
        assert_non_null(strstr(c.text, "shortened"));
    }
    line = json_loadb(c.text, c.size, 0, NULL);
    assert_non_null(line);
    json_decref(line);
}

static void
keeps_its_level_and_swallows(void **state)
{
    struct captured c;
    struct log_sink sink = sink_of(&c, LOG_LOGFMT);

    (void)state;
    log_event(&sink, LOG_DEBUG, "a", "e", log_u64("n", 1));
    assert_int_equal(c.lines, 0);
    sink.level_min = LOG_DEBUG;
    log_event(&sink, LOG_DEBUG, "a", "e", log_u64("n", 1));
    assert_int_equal(c.lines, 1);
    log_event(NULL, LOG_ERROR, "a", "e", log_u64("n", 1));
}

static void
names_every_error(void **state)
{
    (void)state;
#define X(code, name, text)                                                                        \
    assert_string_equal(vault_err_name(code), name);                                               \
    assert_string_equal(vault_err_text(code), text);
    VAULT_ERRORS(X)
#undef X
    assert_string_equal(vault_err_name((enum vault_err)1000), "unknown");
    assert_non_null(vault_err_text((enum vault_err)1000));
}

static void
writes_to_stderr(void **state)
{
    struct log_sink sink;
    char text[512] = {0};
    int saved = dup(STDERR_FILENO);
    int ends[2];
    ssize_t size;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_sink_stderr_init(&sink, "n9", LOG_WARN, LOG_LOGFMT);
    log_event(&sink, LOG_WARN, "main", "started", log_u64("pid", 1));
    log_event(&sink, LOG_INFO, "main", "unseen", log_u64("pid", 1));
    assert_true(dup2(saved, STDERR_FILENO) >= 0);
    assert_int_equal(close(ends[1]), 0);
    size = read(ends[0], text, sizeof(text) - 1);
    assert_true(size > 30);
    assert_string_equal(text + strlen("2026-01-02T03:04:05.678Z"), " warn n9 main started pid=1\n");
    assert_int_equal(close(ends[0]), 0);
    assert_int_equal(close(saved), 0);
}

/* Without a reader nobody waits; when it comes back it is told what it missed. */
static void
counts_lines_that_nobody_reads(void **state)
{
    enum { LINES = 5000 };
    struct log_sink sink;
    char text[8192], told[64];
    int saved = dup(STDERR_FILENO);
    int ends[2];
    uint64_t lost;

    (void)state;
    assert_int_equal(pipe(ends), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    assert_true(dup2(ends[1], STDERR_FILENO) >= 0);
    log_sink_stderr_init(&sink, "n9", LOG_WARN, LOG_LOGFMT);
    for (unsigned i = 0; i < LINES; i++)
        log_event(&sink, LOG_WARN, "main", "happened", log_u64("number", i));
    lost = sink.lost;
    while (read(ends[0], text, sizeof(text)) > 0)
        ;
    log_event(&sink, LOG_WARN, "main", "again", log_u64("number", LINES));
    ssize_t size = read(ends[0], text, sizeof(text) - 1);
    assert_true(dup2(saved, STDERR_FILENO) >= 0);

    assert_in_range(lost, 1, LINES - 1);
    assert_true(size > 0);
    text[size] = '\0';
    snprintf(told, sizeof(told), " warn n9 log lines_lost count=%u\n", (unsigned)lost);
    assert_non_null(strstr(text, told));
    assert_non_null(strstr(text, " warn n9 main again number=5000\n"));
    assert_int_equal(sink.lost, 0);
    assert_int_equal(close(ends[0]) | close(ends[1]) | close(saved), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counts_lines_that_nobody_reads),
        cmocka_unit_test(writes_logfmt),
        cmocka_unit_test(quotes_and_escapes),
        cmocka_unit_test(writes_json),
        cmocka_unit_test(cuts_long_texts),
        cmocka_unit_test(shortens_whole_fields),
        cmocka_unit_test(keeps_its_level_and_swallows),
        cmocka_unit_test(names_every_error),
        cmocka_unit_test(writes_to_stderr),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
