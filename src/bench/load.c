#include "bench/load.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "bench/wire.h"
#include "cli/cli.h"
#include "cli/output.h"

#define SECOND_NS  UINT64_C(1000000000)
#define TIMEOUT_NS (30 * SECOND_NS)
enum { POLL_MS = 100, EVENTS_AT_ONCE = 64 };
/* Handshakes at a time: this program does them one after the other, and servers wait 5 s for each. */
enum { OPENING_MAX = 64 };

struct connection {
    struct wire wire;
    struct bench_request request;
    uint64_t due_ns; /* its latency counts from here */
    uint64_t begun_ns;
    bool busy;
};

struct load {
    const struct load_options *options;
    struct workload *workload;
    struct load_result *result;
    struct wire_set set;
    struct connection *connections;
    size_t idle_hint; /* none before it is idle */
    size_t busy;
    bool preparing;
    uint64_t sent;     /* requests so far */
    uint64_t begin_ns; /* of the load, warm-up included */
    uint64_t count_from_ns, end_ns;
    uint64_t cpu_from_us;    /* CPU time when counting began; 0: it has not */
    uint64_t live_ns;        /* the next line is due */
    struct histogram second; /* since the last line */
    uint64_t second_failures;
    bool stop;
};

static uint64_t
now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * SECOND_NS + (uint64_t)now.tv_nsec;
}

static uint64_t
cpu_us(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (uint64_t)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) * 1000000 +
           (uint64_t)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
}

/* ---- connections ---- */

/* Where the descriptor is that ends the load, events tell no connection. */
static bool
set_open(struct load *load)
{
    struct epoll_event stop = {.events = EPOLLIN};

    if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
        return false;
    load->set.multi = curl_multi_init();
    load->set.epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    return load->set.multi && load->set.epoll_fd >= 0 &&
           epoll_ctl(load->set.epoll_fd, EPOLL_CTL_ADD, load->options->stop_fd, &stop) == 0;
}

static int
load_open(struct load *load)
{
    const struct load_options *options = load->options;
    uint64_t count = options->connections;
    bool good;

    load->connections = calloc(count, sizeof *load->connections);
    good = set_open(load) && load->connections;
    for (size_t i = 0; i < count && good; i++) {
        struct connection *connection = &load->connections[i];

        good = wire_open(&connection->wire, &load->set,
                         options->addresses->text[i % options->addresses->count], options->ca_file,
                         connection);
    }
    if (good)
        return EXIT_OK;
    output_error("the connections cannot be prepared");
    return EXIT_FAILED;
}

static void
load_close(struct load *load)
{
    for (size_t i = 0; load->connections && i < load->options->connections; i++) {
        wire_close(&load->connections[i].wire);
        bench_request_close(&load->connections[i].request);
    }
    free(load->connections);
    curl_multi_cleanup(load->set.multi);
    if (load->set.epoll_fd >= 0)
        close(load->set.epoll_fd);
    curl_global_cleanup();
}

/* ---- sending ---- */

static bool
all_sent(const struct load *load)
{
    if (load->preparing)
        return load->sent == load->workload->plan.names;
    return load->options->requests > 0 && load->sent == load->options->requests;
}

/* The moment at which the next request is due; UINT64_MAX: there is none any more. */
static uint64_t
next_due(const struct load *load, uint64_t now)
{
    uint64_t due = now;

    if (load->stop || all_sent(load))
        return UINT64_MAX;
    if (!load->preparing && load->options->rate)
        due = load->begin_ns + (uint64_t)((double)load->sent * 1e9 / (double)load->options->rate);
    return load->preparing || due < load->end_ns ? due : UINT64_MAX;
}

static void take_answer(struct load *load, struct connection *connection, bool broken);

static void
take_state(struct load *load, struct connection *connection, enum wire_state state)
{
    if (state != WIRE_WAITS && connection->busy)
        take_answer(load, connection, state == WIRE_BROKEN);
}

static bool
send_next(struct load *load, struct connection *connection, uint64_t due)
{
    enum vault_err err = load->preparing
                             ? workload_prepare(load->workload, load->sent, &connection->request)
                             : workload_next(load->workload, &connection->request);

    if (err == OK)
        err = wire_put(&connection->wire, &connection->request, load->options->authorization);
    if (err != OK)
        return false;
    connection->due_ns = due;
    connection->begun_ns = now_ns();
    connection->busy = true;
    load->busy++;
    load->sent++;
    take_state(load, connection, wire_begin(&connection->wire));
    return true;
}

/* NULL: all are busy, or as many as may be are being opened. */
static struct connection *
idle_connection(struct load *load)
{
    while (load->idle_hint < load->options->connections && load->connections[load->idle_hint].busy)
        load->idle_hint++;
    for (size_t i = load->idle_hint; i < load->options->connections; i++) {
        struct connection *connection = &load->connections[i];
        if (!connection->busy && (connection->wire.fd >= 0 || load->set.opened < OPENING_MAX))
            return connection;
    }
    return NULL;
}

/* Idle connections take what is due. */
static bool
send_due(struct load *load, uint64_t now)
{
    uint64_t due = next_due(load, now);

    while (due <= now) {
        struct connection *connection = idle_connection(load);
        if (!connection)
            break;
        if (!send_next(load, connection, due))
            return false;
        due = next_due(load, now);
    }
    return true;
}

/* ---- answers ---- */

static void
count_status(struct load_result *result, long status)
{
    size_t i = 0;

    while (i + 1 < BENCH_STATUSES_MAX && result->refused[i].status &&
           result->refused[i].status != status)
        i++;
    result->refused[i].status = status;
    result->refused[i].count++;
}

static void
count_failure(struct load *load, struct connection *connection, bool broken)
{
    struct load_result *result = load->result;
    long status = connection->wire.status;

    result->failures++;
    load->second_failures++;
    if (broken) {
        result->unanswered++;
        if (!result->problem[0])
            snprintf(result->problem, sizeof result->problem, "%.150s", connection->wire.problem);
        return;
    }
    count_status(result, status);
    if (!result->problem[0])
        snprintf(result->problem, sizeof result->problem, "HTTP status %ld for %s %.80s", status,
                 connection->request.method, (const char *)connection->request.target.data);
}

static void
take_answer(struct load *load, struct connection *connection, bool broken)
{
    uint64_t now = now_ns();
    bool good = !broken && bench_request_succeeded(&connection->request, connection->wire.status);

    connection->busy = false;
    load->busy--;
    if ((size_t)(connection - load->connections) < load->idle_hint)
        load->idle_hint = (size_t)(connection - load->connections);
    if (load->preparing && !good) {
        load->stop = true;
        count_failure(load, connection, broken);
    }
    if (load->preparing || connection->due_ns < load->count_from_ns || now > load->end_ns)
        return;
    if (!good) {
        count_failure(load, connection, broken);
        return;
    }
    load->result->successes++;
    histogram_add(&load->second, (now - connection->due_ns) / 1000);
}

/* Those that libcurl has connected, or could not. */
static bool
take_connected(struct load *load)
{
    const CURLMsg *message;
    int count;

    if (curl_multi_perform(load->set.multi, &count) != CURLM_OK)
        return false;
    while ((message = curl_multi_info_read(load->set.multi, &count))) {
        struct wire *wire = NULL;
        CURLcode code = message->data.result;

        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&wire);
        take_state(load, wire->context, wire_connected(wire, code));
    }
    return true;
}

static void
end_overdue(struct load *load, uint64_t now)
{
    for (size_t i = 0; i < load->options->connections; i++) {
        struct connection *connection = &load->connections[i];

        if (!connection->busy || now < connection->begun_ns + TIMEOUT_NS)
            continue;
        snprintf(connection->wire.problem, sizeof connection->wire.problem, "no answer came");
        wire_disconnect(&connection->wire);
        take_answer(load, connection, true);
    }
}

/* ---- the loop ---- */

static void
print_live(struct load *load, uint64_t now)
{
    const struct histogram *second = &load->second;

    if (!load->options->live)
        return;
    if (load->preparing)
        fprintf(stderr, "\r%" PRIu64 " of %" PRIu64 " names are there ", load->sent - load->busy,
                load->workload->plan.names);
    else
        fprintf(stderr,
                "\r%5.0f s %9" PRIu64 " /s   p50 %" PRIu64 " us   p99 %" PRIu64
                " us   failed %" PRIu64 "        ",
                (double)(now - load->begin_ns) / 1e9, second->count,
                histogram_quantile(second, 500000), histogram_quantile(second, 990000),
                load->second_failures);
    fflush(stderr);
}

static void
end_second(struct load *load, uint64_t now)
{
    print_live(load, now);
    histogram_merge(&load->result->latencies, &load->second);
    memset(&load->second, 0, sizeof load->second);
    load->second_failures = 0;
    load->live_ns = now + SECOND_NS;
    end_overdue(load, now);
}

static int
wait_ms(const struct load *load, uint64_t now)
{
    uint64_t due = next_due(load, now), until = load->live_ns;

    if (due < until && load->busy < load->options->connections && load->set.opened < OPENING_MAX)
        until = due;
    if (until <= now)
        return 0;
    until = (until - now) / 1000000 + 1;
    return until < POLL_MS ? (int)until : POLL_MS;
}

/* While connections are being opened libcurl waits, for epoll's descriptor too. */
static bool
wait_for_events(struct load *load, int ms, struct epoll_event *events, int *count)
{
    struct curl_waitfd ours = {.fd = load->set.epoll_fd, .events = CURL_WAIT_POLLIN};

    if (load->set.opened > 0) {
        if (curl_multi_poll(load->set.multi, &ours, 1, ms, NULL) != CURLM_OK)
            return false;
        ms = 0;
    }
    *count = epoll_wait(load->set.epoll_fd, events, EVENTS_AT_ONCE, ms);
    return *count >= 0 || errno == EINTR;
}

/* The next request of a connection that has just been answered goes out at once. */
static bool
take_events(struct load *load, const struct epoll_event *events, int count)
{
    for (int i = 0; i < count; i++) {
        struct connection *connection = events[i].data.ptr;

        if (!connection) {
            load->stop = true;
            load->result->stopped = true;
            continue;
        }
        take_state(load, connection, wire_run(&connection->wire));
        if (!connection->busy && !send_due(load, now_ns()))
            return false;
    }
    return true;
}

static bool
turn(struct load *load)
{
    struct epoll_event events[EVENTS_AT_ONCE];
    uint64_t now = now_ns();
    int count = 0;

    if (!load->cpu_from_us && now >= load->count_from_ns)
        load->cpu_from_us = cpu_us();
    if (now >= load->live_ns)
        end_second(load, now);
    if (!send_due(load, now) || (load->set.opened > 0 && !take_connected(load)))
        return false;
    return wait_for_events(load, wait_ms(load, now_ns()), events, &count) &&
           take_events(load, events, count);
}

static bool
done(const struct load *load)
{
    if (load->busy == 0 && all_sent(load))
        return true;
    if (load->preparing)
        return load->busy == 0 && load->stop;
    return load->stop || now_ns() >= load->end_ns;
}

static int
run(struct load *load)
{
    int status = load_open(load);

    load->begin_ns = now_ns();
    load->count_from_ns = load->begin_ns + load->options->warm_up_ms * 1000000;
    load->end_ns = load->count_from_ns + load->options->duration_ms * 1000000;
    load->live_ns = load->begin_ns + SECOND_NS;
    while (status == EXIT_OK && !done(load)) {
        if (!turn(load)) {
            output_error("the load broke off: out of memory, or libcurl failed");
            status = EXIT_FAILED;
        }
    }
    end_second(load, now_ns());
    if (load->options->live)
        fprintf(stderr, "\r%78s\r", "");
    load_close(load);
    return status;
}

int
load_prepare(const struct load_options *options, struct workload *workload)
{
    struct load_result *result = calloc(1, sizeof *result);
    struct load load = {.options = options,
                        .workload = workload,
                        .result = result,
                        .preparing = true,
                        .set = {.epoll_fd = -1}};
    int status = EXIT_FAILED;

    if (!result)
        output_error("out of memory");
    else
        status = run(&load);
    if (status == EXIT_OK && load.stop) {
        output_error("the names to be loaded cannot be made: %s",
                     result->stopped ? "stopped" : result->problem);
        status = EXIT_FAILED;
    }
    free(result);
    return status;
}

int
load_run(const struct load_options *options, struct workload *workload, struct load_result *out)
{
    struct load *load = calloc(1, sizeof *load);
    uint64_t ended;
    int status = EXIT_FAILED;

    memset(out, 0, sizeof *out);
    if (!load) {
        output_error("out of memory");
        return EXIT_FAILED;
    }
    load->options = options;
    load->workload = workload;
    load->result = out;
    load->set.epoll_fd = -1;
    status = run(load);
    ended = now_ns() < load->end_ns ? now_ns() : load->end_ns;
    out->elapsed_ns = ended > load->count_from_ns ? ended - load->count_from_ns : 0;
    out->client_cpu_us = load->cpu_from_us ? cpu_us() - load->cpu_from_us : 0;
    free(load);
    return status;
}
