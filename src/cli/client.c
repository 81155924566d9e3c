#include "cli/client.h"

#include <assert.h>
#include <ctype.h>
#include <curl/curl.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/failure.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/transport.h"
#include "cli/wiped_memory.h"
#include "crypto/hash.h"
#include "crypto/rng_kernel.h"

enum {
    CONNECT_MS = 2000,
    TOTAL_MS = 15 * 1000, /* the server's own deadline is 5 s, and 10 s for what takes two steps */
    /* A control character takes six bytes in JSON. */
    ANSWER_BYTES_MAX = 6 * VALUE_BYTES_MAX + 64 * 1024,
};

struct client {
    CURL *curl;
    struct curl_slist *headers;
    struct addresses addresses;
    size_t preferred;        /* the one that answered last */
    bool quiet;              /* says nothing about failures */
    int untold;              /* exit status of a refusal that is not told; EXIT_OK: none */
    const char *untold_code; /* the same, by its error code; NULL: none */
    char last_code[FAILURE_CODE_BYTES];
    const char *given_key; /* of the changes from now on; NULL: each has a key of its own */
    const char *ca_file;   /* borrowed; NULL: the system's */
    const sigset_t *stop;  /* borrowed; NULL: none */
};

/* One request on its way through the addresses. */
/* Every change has a key of its own, so that an attempt may be repeated at another node. */
static const char idempotency_header[] = "Idempotency-Key: ";
enum { KEY_RANDOM_BYTES = 16, SECOND_TRY_MS = 200 };

struct call {
    struct client *client;
    const char *method;
    const char *target;
    struct buf body;
    bool plain; /* body and answer are text, not JSON */
    bool change;
    struct buf answer;
    long status;                   /* HTTP status of the answer */
    char problem[CURL_ERROR_SIZE]; /* why there is none */
    bool untrusted;                /* the certificate was not accepted */
    struct buf tried;              /* a line for each address that did not help */
    bool unknown;                  /* an attempt may have had an effect, now or later */
    char key[sizeof idempotency_header + IDEMPOTENCY_KEY_BYTES_MAX]; /* header line of a change */
    char type[sizeof "Content-Type: application/json"];
    char accept[sizeof "Accept: application/json"];
};

enum attempt { ATTEMPT_ANSWERED, ATTEMPT_NOT_SENT, ATTEMPT_BROKEN_OFF };

/* ---- opening ---- */

static int
add_header(struct client *client, const char *line)
{
    struct curl_slist *longer = curl_slist_append(client->headers, line);

    if (!longer) {
        output_error("out of memory");
        return EXIT_FAILED;
    }
    client->headers = longer;
    return EXIT_OK;
}

static int
make_headers(struct client *client, const struct client_options *options)
{
    char tenant_line[sizeof("X-Ostraka-Tenant: ") + TENANT_BYTES_MAX];
    const char *tenant;
    struct buf line = {0};
    int status = EXIT_OK;

    if (!options->anonymous)
        status = connection_authorization(options, &line);
    if (status == EXIT_OK && !options->anonymous)
        status = add_header(client, (const char *)line.data);
    if (status == EXIT_OK)
        status = connection_tenant(options, &tenant);
    if (status == EXIT_OK && tenant) {
        snprintf(tenant_line, sizeof(tenant_line), "X-Ostraka-Tenant: %s", tenant);
        status = add_header(client, tenant_line);
    }
    /* libcurl would wait for leave before it sends a long body. */
    if (status == EXIT_OK)
        status = add_header(client, "Expect:");
    buf_close(&line);
    return status;
}

int
client_open(const struct client_options *options, struct client **out)
{
    struct client *client = NULL;
    int status = EXIT_FAILED;

    *out = NULL;
    json_set_alloc_funcs(wiped_malloc, wiped_free);
    if (curl_global_init_mem(CURL_GLOBAL_DEFAULT, wiped_malloc, wiped_free, wiped_realloc,
                             wiped_strdup, wiped_calloc) == CURLE_OK)
        client = calloc(1, sizeof *client);
    if (client)
        client->curl = curl_easy_init();
    if (!client || !client->curl) {
        output_error("the HTTPS client cannot be started");
        goto out;
    }
    status = connection_addresses(options, &client->addresses);
    if (status == EXIT_OK)
        status = connection_ca(options, &client->ca_file);
    if (status == EXIT_OK)
        status = make_headers(client, options);
out:
    if (status == EXIT_OK)
        *out = client;
    else
        client_close(client);
    return status;
}

void
client_close(struct client *client)
{
    if (!client)
        return;
    curl_slist_free_all(client->headers);
    curl_easy_cleanup(client->curl);
    curl_global_cleanup();
    free(client);
}

void
client_set_quiet(struct client *client, bool quiet)
{
    client->quiet = quiet;
}

void
client_set_untold(struct client *client, int status)
{
    client->untold = status;
}

void
client_set_untold_code(struct client *client, const char *code)
{
    client->untold_code = code;
}

const char *
client_last_code(const struct client *client)
{
    return client->last_code;
}

void
client_set_stop(struct client *client, const sigset_t *signals)
{
    client->stop = signals;
}

void
client_set_key(struct client *client, const char *key)
{
    client->given_key = key;
}

/* ---- one attempt ---- */

static size_t
take_answer(char *data, size_t size, size_t count, void *context)
{
    struct buf *answer = context;

    if (answer->size + size * count > ANSWER_BYTES_MAX)
        return 0;
    return buf_append(answer, bytes_of(data, size * count)) == OK ? size * count : 0;
}

/* libcurl asks about once a second. */
static int
stop_on_signal(void *context, curl_off_t to_come, curl_off_t here, curl_off_t to_send,
               curl_off_t sent)
{
    const sigset_t *stop = context;
    sigset_t waiting;

    (void)to_come, (void)here, (void)to_send, (void)sent;
    if (sigpending(&waiting))
        return 0;
    for (int i = 1; i < NSIG; i++) {
        if (sigismember(&waiting, i) == 1 && sigismember(stop, i) == 1)
            return 1;
    }
    return 0;
}

static CURLcode
watch_signals(const struct client *client)
{
    CURLcode code = CURLE_OK;

    if (!client->stop)
        return code;
    code = curl_easy_setopt(client->curl, CURLOPT_NOPROGRESS, 0L);
    if (!code)
        code = curl_easy_setopt(client->curl, CURLOPT_XFERINFOFUNCTION, stop_on_signal);
    return code ? code : curl_easy_setopt(client->curl, CURLOPT_XFERINFODATA, client->stop);
}

static CURLcode
prepare_request(struct call *call, const char *url, struct curl_slist *headers)
{
    CURL *curl = call->client->curl;
    CURLcode code = curl_easy_setopt(curl, CURLOPT_URL, url);
    /* An empty text is one, and its length has to be said. */
    bool has_body = call->plain || call->body.size > 0;

    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, call->method);
    if (!code && has_body)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                                call->body.size > 0 ? (const char *)call->body.data : "");
    if (!code && has_body)
        code = curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.size);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_USERAGENT, "ostraka/" OSTRAKA_VERSION);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_answer);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_WRITEDATA, &call->answer);
    if (!code)
        code = curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, call->problem);
    /* libcurl silently repeats a request on a kept connection that turns out closed. */
    if (!code && call->change)
        code = curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
    return code ? code : watch_signals(call->client);
}

/* True when no byte of the request can have reached a server: TLS was not up yet. */
static bool
nothing_sent(CURL *curl)
{
    curl_off_t tls_done = 0;

    return curl_easy_getinfo(curl, CURLINFO_APPCONNECT_TIME_T, &tls_done) == CURLE_OK &&
           tls_done == 0;
}

/* Words for people instead of libcurl's, where it can be said more plainly. */
static void
explain(struct call *call, CURLcode code)
{
    const char *plain = NULL;
    long system_error = 0;

    curl_easy_getinfo(call->client->curl, CURLINFO_OS_ERRNO, &system_error);
    if (code == CURLE_COULDNT_CONNECT && system_error == ECONNREFUSED)
        plain = "connection refused; nothing listens there";
    else if (code == CURLE_OPERATION_TIMEDOUT)
        plain = nothing_sent(call->client->curl) ? "no connection in time" : "no answer in time";
    else if (code == CURLE_RECV_ERROR || code == CURLE_SEND_ERROR || code == CURLE_GOT_NOTHING)
        plain = "the connection was closed before an answer came";
    else if (code == CURLE_ABORTED_BY_CALLBACK)
        plain = "a signal came before an answer";
    else if (code == CURLE_WRITE_ERROR)
        plain = "the answer is longer than any that the API gives";
    else if (!call->problem[0])
        plain = curl_easy_strerror(code);
    if (plain)
        snprintf(call->problem, sizeof call->problem, "%s", plain);
    call->untrusted = call->untrusted || code == CURLE_PEER_FAILED_VERIFICATION;
}

static enum attempt
attempt(struct call *call, const char *address)
{
    CURL *curl = call->client->curl;
    struct buf url = {0};
    struct curl_slist type = {.data = call->type, .next = call->client->headers};
    struct curl_slist accept = {.data = call->accept, .next = &type};
    struct curl_slist keyed = {.data = call->key, .next = &accept};
    CURLcode code = CURLE_OUT_OF_MEMORY;

    buf_close(&call->answer);
    call->problem[0] = '\0';
    call->status = 0;
    curl_easy_reset(curl);
    if (buf_printf(&url, "%s%s", address, call->target) == OK &&
        buf_append(&url, bytes_of("", 1)) == OK)
        code = transport_set(curl, call->client->ca_file, CONNECT_MS, TOTAL_MS);
    if (!code)
        code = prepare_request(call, (const char *)url.data, call->change ? &keyed : &accept);
    if (!code)
        code = curl_easy_perform(curl);
    buf_close(&url);
    if (code == CURLE_OK) {
        curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &call->status);
        return ATTEMPT_ANSWERED;
    }
    explain(call, code);
    return nothing_sent(curl) ? ATTEMPT_NOT_SENT : ATTEMPT_BROKEN_OFF;
}

/* ---- all attempts ---- */

static int
append_json(const char *text, size_t size, void *context)
{
    return buf_append(context, bytes_of(text, size)) == OK ? 0 : -1;
}

static void
note_attempt(struct call *call, const char *address, const char *what)
{
    /* Only a text for people: without memory for it the call goes on. */
    if (buf_printf(&call->tried, "  %s: %s\n", address, what) != OK)
        return;
}

static void
print_attempts(const struct call *call)
{
    if (call->tried.size)
        (void)fwrite(call->tried.data, 1, call->tried.size, stderr);
}

static int
take_json(struct call *call, struct client_answer *answer)
{
    json_t *json = json_loadb((const char *)call->answer.data, call->answer.size,
                              JSON_REJECT_DUPLICATES | JSON_ALLOW_NUL, NULL);

    if (json_is_object(json)) {
        *answer = (struct client_answer){.status = call->status, .json = json};
        return EXIT_OK;
    }
    json_decref(json);
    client_bad_answer();
    if (!call->change)
        return EXIT_FAILED;
    output_hint("the server says that the change was made; %s", failure_look(call->target));
    return EXIT_UNKNOWN;
}

/* Some attempt may have had an effect, and none was answered with what became of it. */
static int
report_unknown(const struct call *call)
{
    output_error("an attempt broke off, and no other told what became of it");
    print_attempts(call);
    output_hint("the outcome is unknown: the change may have been made or may still be; %s before "
                "you try again",
                failure_look(call->target));
    return EXIT_UNKNOWN;
}

static int
report_unreachable(const struct call *call)
{
    output_error("no node can be reached");
    print_attempts(call);
    if (call->untrusted)
        output_hint("set OSTRAKA_CACERT to ca/ca.crt of the cluster's folder");
    else
        output_hint("check OSTRAKA_ADDR, and that the nodes run");
    return EXIT_UNAVAILABLE;
}

/*
 * Every address once; once more while it is not known what became of a change: it goes under the
 * same key, so that it happens once however often it is sent.
 */
static bool
may_try(const struct call *call, size_t tried)
{
    size_t count = call->client->addresses.count;

    if (tried == count && call->unknown)
        (void)nanosleep(&(struct timespec){.tv_nsec = SECOND_TRY_MS * 1000000L}, NULL);
    return tried < count || (call->unknown && tried < 2 * count);
}

static bool
is_untold(const struct client *client, const struct failure *failure, int status)
{
    return status == client->untold ||
           (client->untold_code && strcmp(client->untold_code, failure->code) == 0);
}

static int
report_refused(const struct call *call, const struct failure *failure)
{
    int status = failure_exit_status(failure, call->change);

    if (is_untold(call->client, failure, status) && !call->unknown)
        return status;
    failure_report(failure, call->change, call->method, call->target);
    failure_report_details(buf_bytes(&call->answer));
    if (call->unknown) {
        output_hint("an attempt before that broke off: whether it had or will have an effect is "
                    "unknown");
        return EXIT_UNKNOWN;
    }
    if (call->client->addresses.count > 1 && failure_may_move_on(failure, call->change))
        print_attempts(call);
    return status;
}

static int
run_call(struct call *call, struct client_answer *answer)
{
    struct client *client = call->client;
    struct failure failure = {0};
    bool refused = false;

    client->last_code[0] = '\0';
    for (size_t i = 0; may_try(call, i); i++) {
        size_t which = (client->preferred + i) % client->addresses.count;
        const char *address = client->addresses.text[which];
        enum attempt outcome = attempt(call, address);

        if (outcome == ATTEMPT_ANSWERED && call->status >= 200 && call->status < 300) {
            client->preferred = which;
            return call->plain ? EXIT_OK : take_json(call, answer);
        }
        if (outcome != ATTEMPT_ANSWERED) {
            call->unknown = call->unknown || (outcome == ATTEMPT_BROKEN_OFF && call->change);
            note_attempt(call, address, call->problem);
            continue;
        }
        failure_parse(call->status, buf_bytes(&call->answer), &failure);
        note_attempt(call, address, failure.code[0] ? failure.code : "refused");
        if (failure_is_unknown(&failure, call->change)) {
            call->unknown = true;
            continue;
        }
        refused = true;
        if (!failure_may_move_on(&failure, call->change))
            break;
    }
    if (refused && !call->unknown)
        snprintf(client->last_code, sizeof client->last_code, "%s", failure.code);
    if (client->quiet && call->unknown)
        return EXIT_UNKNOWN;
    if (client->quiet)
        return refused ? failure_exit_status(&failure, call->change) : EXIT_UNAVAILABLE;
    if (refused)
        return report_refused(call, &failure);
    return call->unknown ? report_unknown(call) : report_unreachable(call);
}

static const char *
method_name(enum client_method method)
{
    switch (method) {
    case CLIENT_GET: return "GET";
    case CLIENT_POST: return "POST";
    case CLIENT_PUT: return "PUT";
    case CLIENT_PATCH: return "PATCH";
    case CLIENT_DELETE: return "DELETE";
    }
    return "GET";
}

static enum vault_err
make_key(struct call *call)
{
    uint8_t random[KEY_RANDOM_BYTES];
    struct rng rng = rng_kernel();
    enum vault_err err = rng_fill(&rng, random, sizeof random);

    memcpy(call->key, idempotency_header, sizeof idempotency_header);
    if (call->client->given_key) {
        snprintf(call->key, sizeof call->key, "%s%s", idempotency_header, call->client->given_key);
        return OK;
    }
    hex_encode(bytes_of(random, sizeof random), call->key + sizeof idempotency_header - 1);
    return err;
}

static void
make_type(struct call *call)
{
    const char *media = call->plain ? "text/plain" : "application/json";

    snprintf(call->type, sizeof call->type, "Content-Type: %s", media);
    snprintf(call->accept, sizeof call->accept, "Accept: %s", media);
}

static void
end_call(struct call *call)
{
    /* It must not keep pointers into this call. */
    curl_easy_reset(call->client->curl);
    buf_close(&call->body);
    buf_close(&call->answer);
    buf_close(&call->tried);
}

int
client_post_text(struct client *client, const char *target, struct bytes text, bool change,
                 struct buf *answer)
{
    struct call call = {
        .client = client, .method = "POST", .target = target, .plain = true, .change = change};
    struct client_answer none = {0};
    int status = EXIT_FAILED;

    *answer = (struct buf){0};
    make_type(&call);
    if (make_key(&call) != OK)
        output_error("the system gave no randomness");
    else if (buf_append(&call.body, text) != OK)
        output_error("out of memory");
    else
        status = run_call(&call, &none);
    if (status == EXIT_OK) {
        *answer = call.answer;
        call.answer = (struct buf){0};
    }
    end_call(&call);
    return status;
}

int
client_call(struct client *client, enum client_method method, const char *target,
            const json_t *body, struct client_answer *answer)
{
    struct call call = {.client = client,
                        .method = method_name(method),
                        .target = target,
                        .change = method != CLIENT_GET};
    int status = EXIT_FAILED;

    *answer = (struct client_answer){0};
    make_type(&call);
    if (make_key(&call) != OK)
        output_error("the system gave no randomness");
    else if (body && json_dump_callback(body, append_json, &call.body, JSON_COMPACT))
        output_error("out of memory");
    else
        status = run_call(&call, answer);
    end_call(&call);
    return status;
}

void
client_answer_close(struct client_answer *answer)
{
    json_decref(answer->json);
    *answer = (struct client_answer){0};
}

int
client_bad_answer(void)
{
    output_error("the server's answer is not what the API promises");
    output_hint("check that the address is one of an Ostraka node of the same version");
    return EXIT_FAILED;
}
