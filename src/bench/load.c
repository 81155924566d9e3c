#include "bench/load.h"

#include <curl/curl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "cli/transport.h"

#define SECOND_NS UINT64_C(1000000000)
enum { TIMEOUT_MS = 30 * 1000, CONNECT_MS = 5000, POLL_MS = 100 };
/* Handshakes at a time: this program does them one after the other, and servers wait 5 s for each. */
enum { OPENING_MAX = 64 };

struct connection {
    CURL *curl;
    const char *address;
    struct bench_request request;
    struct curl_slist *headers, *json_headers, *text_headers;
    uint64_t due_ns; /* its latency counts from here */
    bool busy;
    bool opening; /* busy with its first request: the handshake is part of that */
    bool open;
    char problem[CURL_ERROR_SIZE];
};

struct load {
    const struct load_options *options;
    struct workload *workload;
    struct load_result *result;
    CURLM *multi;
    struct connection *connections;
    size_t idle_hint; /* none before it is idle */
    size_t busy, opening;
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

static size_t
ignore_answer(char *data, size_t size, size_t count, void *context)
{
    (void)data;
    (void)context;
    return size * count;
}

static struct curl_slist *
header_list(const char *first, const char *authorization)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:"), *longer;

    longer = list && first ? curl_slist_append(list, first) : list;
    if (longer && authorization)
        longer = curl_slist_append(longer, authorization);
    if (!longer)
        curl_slist_free_all(list);
    return longer;
}

static CURLcode
set_transport(struct connection *connection, const struct load_options *options)
{
    CURL *curl = connection->curl;
    CURLcode code = transport_set(curl, options->ca_file, CONNECT_MS, TIMEOUT_MS);

    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_answer);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, connection->problem);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_PRIVATE, connection);
    return code;
}

static bool
open_connection(struct load *load, size_t index)
{
    const struct load_options *options = load->options;
    struct connection *connection = &load->connections[index];

    connection->address = options->addresses->text[index % options->addresses->count];
    connection->curl = curl_easy_init();
    connection->headers = header_list(NULL, options->authorization);
    connection->json_headers =
        header_list("Content-Type: application/json", options->authorization);
    connection->text_headers = header_list("Content-Type: text/plain", options->authorization);
    return connection->curl && connection->headers && connection->json_headers &&
           connection->text_headers && set_transport(connection, options) == CURLE_OK;
}

static void
close_connection(struct load *load, struct connection *connection)
{
    if (connection->busy)
        curl_multi_remove_handle(load->multi, connection->curl);
    curl_easy_cleanup(connection->curl);
    curl_slist_free_all(connection->headers);
    curl_slist_free_all(connection->json_headers);
    curl_slist_free_all(connection->text_headers);
    bench_request_close(&connection->request);
}

static int
load_open(struct load *load)
{
    uint64_t count = load->options->connections;
    bool good = false;

    if (curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK)
        load->multi = curl_multi_init();
    load->connections = calloc(count, sizeof *load->connections);
    if (load->multi && load->connections)
        good = curl_multi_setopt(load->multi, CURLMOPT_MAXCONNECTS, (long)count) == CURLM_OK;
    for (size_t i = 0; i < count && good; i++)
        good = open_connection(load, i);
    if (good)
        return EXIT_OK;
    output_error("the connections cannot be prepared");
    return EXIT_FAILED;
}

static void
load_close(struct load *load)
{
    for (size_t i = 0; load->connections && i < load->options->connections; i++)
        close_connection(load, &load->connections[i]);
    free(load->connections);
    curl_multi_cleanup(load->multi);
    curl_global_cleanup();
}

/* ---- sending ---- */

static struct curl_slist *
headers_for(const struct connection *connection)
{
    const char *type = connection->request.type;

    if (!type)
        return connection->headers;
    return strcmp(type, "text/plain") == 0 ? connection->text_headers : connection->json_headers;
}

static CURLcode
set_request(struct connection *connection)
{
    const struct bench_request *request = &connection->request;
    CURL *curl = connection->curl;
    char url[ADDRESS_BYTES_MAX + 1024];
    int size =
        snprintf(url, sizeof url, "%s%s", connection->address, (const char *)request->target.data);
    CURLcode code = size > 0 && (size_t)size < sizeof url ? curl_easy_setopt(curl, CURLOPT_URL, url)
                                                          : CURLE_URL_MALFORMAT;

    if (!code && request->type)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)request->body.size);
    if (!code && request->type)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS, (const char *)request->body.data);
    if (!code && !request->type)
        code = curl_easy_setopt(curl, CURLOPT_HTTPGET, 1L);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request->method);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers_for(connection));
    return code;
}

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

static bool
send_next(struct load *load, struct connection *connection, uint64_t due)
{
    enum vault_err err = load->preparing
                             ? workload_prepare(load->workload, load->sent, &connection->request)
                             : workload_next(load->workload, &connection->request);

    if (err || set_request(connection) ||
        curl_multi_add_handle(load->multi, connection->curl) != CURLM_OK)
        return false;
    connection->due_ns = due;
    connection->busy = true;
    connection->opening = !connection->open;
    load->opening += connection->opening;
    load->busy++;
    load->sent++;
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
        if (!connection->busy && (connection->open || load->opening < OPENING_MAX))
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
count_failure(struct load *load, struct connection *connection, CURLcode code, long status)
{
    struct load_result *result = load->result;

    result->failures++;
    load->second_failures++;
    if (code) {
        result->unanswered++;
        if (!result->problem[0])
            snprintf(result->problem, sizeof result->problem, "%.150s",
                     connection->problem[0] ? connection->problem : curl_easy_strerror(code));
        return;
    }
    count_status(result, status);
    if (!result->problem[0])
        snprintf(result->problem, sizeof result->problem, "HTTP status %ld for %s %.80s", status,
                 connection->request.method, (const char *)connection->request.target.data);
}

static void
take_answer(struct load *load, struct connection *connection, CURLcode code, uint64_t now)
{
    uint64_t latency_us = (now - connection->due_ns) / 1000;
    long status = 0;
    bool good;

    curl_easy_getinfo(connection->curl, CURLINFO_RESPONSE_CODE, &status);
    good = code == CURLE_OK && bench_request_succeeded(&connection->request, status);
    curl_multi_remove_handle(load->multi, connection->curl);
    load->opening -= connection->opening;
    connection->open = code == CURLE_OK;
    connection->opening = false;
    connection->busy = false;
    load->busy--;
    if ((size_t)(connection - load->connections) < load->idle_hint)
        load->idle_hint = (size_t)(connection - load->connections);
    if (load->preparing && !good) {
        load->stop = true;
        count_failure(load, connection, code, status);
    }
    if (load->preparing || connection->due_ns < load->count_from_ns || now > load->end_ns)
        return;
    if (!good) {
        count_failure(load, connection, code, status);
        return;
    }
    load->result->successes++;
    histogram_add(&load->second, latency_us);
}

static void
take_answers(struct load *load)
{
    const CURLMsg *message;
    int left;

    while ((message = curl_multi_info_read(load->multi, &left))) {
        struct connection *connection = NULL;
        CURLcode code = message->data.result;
        if (message->msg != CURLMSG_DONE)
            continue;
        curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, (char **)&connection);
        take_answer(load, connection, code, now_ns());
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
}

static int
wait_ms(const struct load *load, uint64_t now)
{
    uint64_t due = next_due(load, now), until = load->live_ns;

    if (due < until && load->busy < load->options->connections && load->opening < OPENING_MAX)
        until = due;
    if (until <= now)
        return 0;
    until = (until - now) / 1000000 + 1;
    return until < POLL_MS ? (int)until : POLL_MS;
}

static bool
turn(struct load *load)
{
    struct curl_waitfd stop = {.fd = load->options->stop_fd, .events = CURL_WAIT_POLLIN};
    int running;
    uint64_t now = now_ns();

    if (!send_due(load, now) || curl_multi_perform(load->multi, &running) != CURLM_OK)
        return false;
    take_answers(load);
    now = now_ns();
    if (!load->cpu_from_us && now >= load->count_from_ns)
        load->cpu_from_us = cpu_us();
    if (now >= load->live_ns)
        end_second(load, now);
    /* The next request of a connection that has just been answered goes out at once. */
    if (!send_due(load, now) || curl_multi_perform(load->multi, &running) != CURLM_OK)
        return false;
    if (curl_multi_poll(load->multi, &stop, 1, wait_ms(load, now_ns()), NULL) != CURLM_OK)
        return false;
    if (stop.revents) {
        load->stop = true;
        load->result->stopped = true;
    }
    return true;
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
    struct load load = {
        .options = options, .workload = workload, .result = result, .preparing = true};
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
    status = run(load);
    ended = now_ns() < load->end_ns ? now_ns() : load->end_ns;
    out->elapsed_ns = ended > load->count_from_ns ? ended - load->count_from_ns : 0;
    out->client_cpu_us = load->cpu_from_us ? cpu_us() - load->cpu_from_us : 0;
    free(load);
    return status;
}
