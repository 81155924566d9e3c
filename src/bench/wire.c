#include "bench/wire.h"

#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>

#include "cli/transport.h"

enum { CONNECT_MS = 5000, TIMEOUT_MS = 30 * 1000, READ_BYTES = 16 * 1024 };

/* ---- the answer ---- */

static int
on_complete(llhttp_t *parser)
{
    struct wire *wire = parser->data;

    wire->complete = true;
    wire->status = parser->status_code;
    wire->keep_alive = llhttp_should_keep_alive(parser) != 0;
    return HPE_PAUSED; /* nothing is asked for that could follow */
}

static void
expect_answer(struct wire *wire)
{
    llhttp_settings_init(&wire->parser_settings);
    wire->parser_settings.on_message_complete = on_complete;
    llhttp_init(&wire->parser, HTTP_RESPONSE, &wire->parser_settings);
    wire->parser.data = wire;
    wire->begun = wire->complete = wire->keep_alive = false;
    wire->status = 0;
}

/* ---- life ---- */

static const char *
host_of(const char *address)
{
    const char *behind = strstr(address, "://");

    return behind ? behind + 3 : address;
}

bool
wire_open(struct wire *wire, struct wire_set *set, const char *address, const char *ca_file,
          void *context)
{
    CURLcode code;

    *wire = (struct wire){.set = set,
                          .host = host_of(address),
                          .context = context,
                          .fd = -1,
                          .curl = curl_easy_init()};
    if (!wire->curl)
        return false;
    code = transport_set(wire->curl, ca_file, CONNECT_MS, TIMEOUT_MS);
    if (!code)
        code = curl_easy_setopt(wire->curl, CURLOPT_URL, address);
    if (!code)
        code = curl_easy_setopt(wire->curl, CURLOPT_CONNECT_ONLY, 1L);
    if (!code)
        code = curl_easy_setopt(wire->curl, CURLOPT_ERRORBUFFER, wire->problem);
    if (!code)
        code = curl_easy_setopt(wire->curl, CURLOPT_PRIVATE, wire);
    return code == CURLE_OK;
}

void
wire_disconnect(struct wire *wire)
{
    if (wire->fd >= 0)
        (void)epoll_ctl(wire->set->epoll_fd, EPOLL_CTL_DEL, wire->fd, NULL);
    if (wire->fd >= 0 || wire->opening)
        curl_multi_remove_handle(wire->set->multi, wire->curl);
    wire->set->opened -= wire->opening;
    wire->fd = -1;
    wire->opening = wire->waits_for_room = wire->reused = false;
}

void
wire_close(struct wire *wire)
{
    if (wire->set)
        wire_disconnect(wire);
    curl_easy_cleanup(wire->curl);
    buf_close(&wire->out);
    *wire = (struct wire){.fd = -1};
}

/* ---- requests ---- */

enum vault_err
wire_put(struct wire *wire, const struct bench_request *request, const char *authorization)
{
    struct buf *out = &wire->out;
    enum vault_err err;

    out->size = 0;
    wire->sent = 0;
    wire->problem[0] = '\0';
    expect_answer(wire);
    err = buf_printf(out, "%s %s HTTP/1.1\r\nHost: %s\r\nAccept: */*\r\n", request->method,
                     (const char *)request->target.data, wire->host);
    if (err == OK && authorization)
        err = buf_printf(out, "%s\r\n", authorization);
    if (err == OK && request->type)
        err = buf_printf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", request->type,
                         request->body.size);
    if (err == OK)
        err = buf_append_text(out, "\r\n");
    if (err == OK && request->type)
        err = buf_append(out, buf_bytes(&request->body));
    return err;
}

static void
watch(struct wire *wire, int how, bool room)
{
    struct epoll_event event = {.events = EPOLLIN | (room ? (uint32_t)EPOLLOUT : 0),
                                .data.ptr = wire->context};

    /* Its failure would show as an answer that never comes. */
    (void)epoll_ctl(wire->set->epoll_fd, how, wire->fd, &event);
    wire->waits_for_room = room;
}

static enum wire_state
broken(struct wire *wire, const char *problem)
{
    if (!wire->problem[0])
        snprintf(wire->problem, sizeof wire->problem, "%s", problem);
    wire_disconnect(wire);
    return WIRE_BROKEN;
}

static enum wire_state
connect_anew(struct wire *wire)
{
    wire_disconnect(wire);
    wire->sent = 0;
    if (curl_multi_add_handle(wire->set->multi, wire->curl) != CURLM_OK)
        return broken(wire, "out of memory");
    wire->opening = true;
    wire->set->opened++;
    return WIRE_WAITS;
}

/* A server may close a connection that nothing happens on just when the next request comes. */
static enum wire_state
ended(struct wire *wire, CURLcode code)
{
    if (wire->reused && !wire->begun)
        return connect_anew(wire);
    return broken(wire,
                  code == CURLE_OK ? "the server closed the connection" : curl_easy_strerror(code));
}

static enum wire_state
receive(struct wire *wire)
{
    char data[READ_BYTES];
    size_t got;

    while (!wire->complete) {
        CURLcode code = curl_easy_recv(wire->curl, data, sizeof data, &got);
        llhttp_errno_t parsed;

        if (code == CURLE_AGAIN)
            return WIRE_WAITS;
        if (code != CURLE_OK || got == 0)
            return ended(wire, code);
        wire->begun = true;
        parsed = llhttp_execute(&wire->parser, data, got);
        if (parsed != HPE_OK && !wire->complete)
            return broken(wire, llhttp_get_error_reason(&wire->parser));
    }
    wire->reused = true;
    if (!wire->keep_alive)
        wire_disconnect(wire);
    return WIRE_ANSWERED;
}

static enum wire_state
transmit(struct wire *wire)
{
    while (wire->sent < wire->out.size) {
        size_t put = 0;
        CURLcode code = curl_easy_send(wire->curl, wire->out.data + wire->sent,
                                       wire->out.size - wire->sent, &put);

        if (code == CURLE_AGAIN) {
            if (!wire->waits_for_room)
                watch(wire, EPOLL_CTL_MOD, true);
            return WIRE_WAITS;
        }
        if (code != CURLE_OK)
            return ended(wire, code);
        wire->sent += put;
    }
    if (wire->waits_for_room)
        watch(wire, EPOLL_CTL_MOD, false);
    return WIRE_WAITS;
}

enum wire_state
wire_begin(struct wire *wire)
{
    return wire->fd >= 0 ? transmit(wire) : connect_anew(wire);
}

enum wire_state
wire_connected(struct wire *wire, CURLcode code)
{
    curl_socket_t fd = -1;

    wire->set->opened--;
    wire->opening = false;
    if (code == CURLE_OK)
        code = curl_easy_getinfo(wire->curl, CURLINFO_ACTIVESOCKET, &fd);
    if (code != CURLE_OK || fd < 0) {
        curl_multi_remove_handle(wire->set->multi, wire->curl);
        return broken(wire, curl_easy_strerror(code));
    }
    wire->fd = fd;
    watch(wire, EPOLL_CTL_ADD, false);
    return transmit(wire);
}

/* No request is under way: what comes is a message of TLS, or the end. */
static enum wire_state
run_idle(struct wire *wire)
{
    char data[1];
    size_t got;

    if (curl_easy_recv(wire->curl, data, sizeof data, &got) != CURLE_AGAIN)
        wire_disconnect(wire);
    return WIRE_WAITS;
}

enum wire_state
wire_run(struct wire *wire)
{
    enum wire_state state = WIRE_WAITS;

    if (wire->fd < 0)
        return WIRE_WAITS;
    if (wire->complete)
        return run_idle(wire);
    if (wire->sent < wire->out.size)
        state = transmit(wire);
    /* Answers to requests that are refused may come before all of these is sent. */
    return state == WIRE_WAITS && wire->fd >= 0 ? receive(wire) : state;
}
