/*
 * One connection between two nodes: socket, TLS, HELLO, frames.
 *
 * Callbacks of the owner run only from events of this file (on_socket, on_timer, on_resume), never
 * from links_send() or links_flush(). A connection that is closed, perhaps from within a callback,
 * keeps its memory until the reaper runs, so every loop here looks at the phase after it called
 * out.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "runtime/link_internal.h"
#include "runtime/node_signing.h"

enum { INPUT_KEPT_BYTES = 256 * 1024 }; /* capacity that an empty input buffer keeps */

static bool
phase_may_follow(enum link_phase from, enum link_phase to)
{
    switch (from) {
    case LINK_NEW: return to == LINK_CONNECTING || to == LINK_TLS;
    case LINK_CONNECTING: return to == LINK_TLS || to == LINK_CLOSED;
    case LINK_TLS: return to == LINK_HELLO || to == LINK_CLOSED;
    case LINK_HELLO: return to == LINK_UP || to == LINK_CLOSED;
    case LINK_UP: return to == LINK_CLOSED;
    case LINK_CLOSED: return false;
    }
    return false;
}

static void
enter(struct link_connection *c, enum link_phase phase)
{
    assert(phase_may_follow(c->phase, phase));
    c->phase = phase;
}

static bool
is_closed(const struct link_connection *c)
{
    return c->phase == LINK_CLOSED;
}

/* Goes on in the next turn of the loop, after other sockets had theirs. */
static void
go_on_later(struct link_connection *c)
{
    links_arm(&c->resume, 0);
}

static void
fail_later(struct link_connection *c, enum link_fault fault)
{
    c->fault = fault;
    go_on_later(c);
}

void
link_connection_close(struct link_connection *c, enum link_fault fault)
{
    if (is_closed(c))
        return;
    enter(c, LINK_CLOSED);
    event_del(&c->readable);
    event_del(&c->writable);
    event_del(&c->timer);
    event_del(&c->resume);
    TAILQ_REMOVE(&c->links->open, c, entry);
    TAILQ_INSERT_TAIL(&c->links->closed, c, entry);
    links_arm(&c->links->reaper, 0);
    links_lost(c, fault);
}

void
link_connection_free(struct link_connection *c)
{
    event_del(&c->readable);
    event_del(&c->writable);
    event_del(&c->timer);
    event_del(&c->resume);
    /* A farewell behind a record that was sent in part would never arrive. */
    if (c->session && !c->blocked)
        tls_shutdown(c->session);
    tls_session_free(c->session);
    close(c->fd);
    buf_close(&c->in);
    link_queue_close(&c->out);
    free(c);
}

/* ---- output ---- */

static void
wait_until_writable(struct link_connection *c)
{
    c->blocked = true;
    if (event_add(&c->writable, NULL) != 0)
        fail_later(c, LINK_FAULT_MEMORY);
}

void
link_connection_flush(struct link_connection *c)
{
    unsigned records = 0;

    assert(c->phase == LINK_HELLO || c->phase == LINK_UP);
    c->blocked = c->soon = false;
    if (c->fault != LINK_FAULT_NONE)
        return;
    while (link_queue_bytes(&c->out) > 0) {
        enum tls_result result;
        size_t put;

        if (records++ == LINK_RECORDS_PER_TURN) {
            wait_until_writable(c);
            return;
        }
        result = tls_write(c->session, link_queue_slice(&c->out), &put);
        if (result == TLS_DONE) {
            link_queue_sent(&c->out, put);
            continue;
        }
        if (result == TLS_WANT_WRITE)
            wait_until_writable(c);
        else if (result == TLS_WANT_READ)
            c->blocked = true; /* whatever is read next goes on here */
        else
            fail_later(c, result == TLS_CLOSED ? LINK_FAULT_CLOSED : LINK_FAULT_BROKEN);
        return;
    }
}

static void
send_hello(struct link_connection *c)
{
    struct link_hello ours = c->links->options.hello;
    struct buf hello = {0};
    enum vault_err err;

    if (!tls_peer_extends(c->session)) {
        ours.tells_token = false;
        memset(ours.token_mark, 0, sizeof(ours.token_mark));
    }
    err = link_hello_encode(&ours, &hello);
    if (err == OK)
        err = link_queue_put(&c->out, buf_bytes(&hello), LINK_RECORD_BYTES);
    buf_close(&hello);
    if (err != OK)
        fail_later(c, LINK_FAULT_MEMORY);
    else
        link_connection_flush(c);
}

/* ---- input ---- */

/* Against the certificate of this connection, which names the peer and has been verified. */
static bool
signing_is_proven(struct link_connection *c, const struct link_hello *hello)
{
    const struct cluster *cluster = c->links->options.cluster;
    struct bytes certificate = tls_peer_certificate(c->session);

    return node_signing_verify(certificate, cluster->id, cluster->nodes[c->peer->number].name,
                               &hello->signing) == OK;
}

static void
take_hello(struct link_connection *c, struct bytes frame)
{
    struct link_hello hello;
    enum link_fault fault = LINK_FAULT_HELLO;
    enum vault_err err = link_hello_decode(frame, &hello);

    if (err == OK)
        fault = link_hello_check(&c->links->options.hello, &hello, c->peer->number);
    else if (err == ERR_UNEXPECTED)
        fault = LINK_FAULT_PROTOCOL;
    /* Last, for a cluster.conf in another order explains a wrong role. */
    if (fault == LINK_FAULT_NONE && !c->dialed && c->peer->number > c->links->options.self)
        fault = LINK_FAULT_ROLE;

    if (fault == LINK_FAULT_NONE && !signing_is_proven(c, &hello))
        fault = LINK_FAULT_SIGNING;

    if (fault == LINK_FAULT_HELLO)
        metrics_count(c->links->options.metrics, METRIC_messages_refused);
    if (fault != LINK_FAULT_NONE) {
        link_connection_close(c, fault);
        return;
    }
    enter(c, LINK_UP);
    links_arm(&c->timer, c->links->options.silence_ms);
    links_up(c, &hello);
}

static void
take_frame(struct link_connection *c, struct bytes frame)
{
    const struct links_options *options = &c->links->options;

    if (c->phase == LINK_HELLO) {
        take_hello(c, frame);
        return;
    }
    c->peer->received++;
    if (!options->on_frame(options->context, c->peer->number, frame))
        link_connection_close(c, LINK_FAULT_FRAME);
}

/* What is not one of ours in the place of a frame's length. */
static void
refuse_length(struct link_connection *c)
{
    metrics_count(c->links->options.metrics, METRIC_messages_refused);
    link_connection_close(c, c->phase == LINK_HELLO ? LINK_FAULT_HELLO : LINK_FAULT_FRAME);
}

static void
take_frames(struct link_connection *c)
{
    size_t at = 0;

    while (!is_closed(c)) {
        size_t size_max = c->phase == LINK_UP ? FRAME_BYTES_MAX : LINK_HELLO_BYTES_MAX;
        struct bytes frame;

        if (link_frame_next(buf_bytes(&c->in), size_max, &at, &frame) != OK) {
            refuse_length(c);
            break;
        }
        if (frame.size == 0)
            break;
        take_frame(c, frame);
    }
    if (at > 0)
        c->frame_began = c->heard;
    /* Shares travel in frames: this wipes those that were delivered. */
    buf_consume(&c->in, at);
    if (c->in.size == 0 && c->in.capacity > INPUT_KEPT_BYTES)
        buf_close(&c->in);
}

/* Any record is a sign of life: a long frame may be on its way for longer than silence is borne. */
static void
note_record(struct link_connection *c, size_t size)
{
    c->heard = links_now();
    if (c->in.size == 0)
        c->frame_began = c->heard;
    c->in.size += size;
}

/* Reads one record; false when there is nothing more for now. */
static bool
read_record(struct link_connection *c)
{
    enum tls_result result;
    size_t got;

    if (buf_reserve(&c->in, LINK_RECORD_BYTES) != OK) {
        link_connection_close(c, LINK_FAULT_MEMORY);
        return false;
    }
    result = tls_read(c->session, c->in.data + c->in.size, LINK_RECORD_BYTES, &got);
    switch (result) {
    case TLS_DONE: note_record(c, got); return true;
    case TLS_WANT_READ: return false;
    case TLS_WANT_WRITE: wait_until_writable(c); return false;
    case TLS_CLOSED: link_connection_close(c, LINK_FAULT_CLOSED); return false;
    case TLS_FAILED: break;
    }
    /* In TLS 1.3 a client learns only here that the server refused its certificate. */
    link_connection_close(c, c->phase == LINK_HELLO ? LINK_FAULT_TLS : LINK_FAULT_BROKEN);
    return false;
}

static void
receive(struct link_connection *c)
{
    unsigned records;

    for (records = 0; records < LINK_RECORDS_PER_TURN; records++) {
        if (!read_record(c))
            return;
        take_frames(c);
        if (is_closed(c) || tls_emptied(c->session))
            return;
    }
    /* What TLS holds already makes the socket not readable again. */
    if (tls_pending(c->session))
        go_on_later(c);
}

/* ---- handshake ---- */

static bool
identify(struct link_connection *c)
{
    const struct links_options *options = &c->links->options;
    unsigned node;

    if (tls_peer_node(c->session, options->cluster, &node) != OK || node == options->self)
        return false;
    if (c->peer && c->peer->number != node)
        return false;
    c->peer = &c->links->peers[node];
    return true;
}

static void
shake_hands(struct link_connection *c)
{
    switch (tls_handshake(c->session)) {
    case TLS_WANT_READ: return;
    case TLS_WANT_WRITE: wait_until_writable(c); return;
    case TLS_CLOSED: link_connection_close(c, LINK_FAULT_CLOSED); return;
    case TLS_FAILED: link_connection_close(c, LINK_FAULT_TLS); return;
    case TLS_DONE: break;
    }
    if (!identify(c)) {
        link_connection_close(c, LINK_FAULT_IDENTITY);
        return;
    }
    if (c->dialed && !links_may_greet(c)) {
        link_connection_close(c, LINK_FAULT_SPARE);
        return;
    }
    enter(c, LINK_HELLO);
    c->heard = links_now();
    send_hello(c);
    receive(c);
}

static enum vault_err
begin_tls(struct link_connection *c)
{
    const struct links_options *options = &c->links->options;
    enum vault_err err;

    err = tls_session_new(c->dialed ? options->client : options->server, c->fd, &c->session);
    if (err == OK)
        err = tls_extend(c->session);
    if (err != OK)
        return err;
    if (event_add(&c->readable, NULL) != 0)
        return ERR_NOMEM;
    enter(c, LINK_TLS);
    return OK;
}

static enum vault_err
watch_connect(struct link_connection *c)
{
    enter(c, LINK_CONNECTING);
    return event_add(&c->writable, NULL) == 0 ? OK : ERR_NOMEM;
}

static void
finish_connect(struct link_connection *c)
{
    socklen_t size = sizeof(c->error);

    if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &c->error, &size) != 0)
        c->error = errno;
    if (c->error != 0)
        link_connection_close(c, LINK_FAULT_UNREACHABLE);
    else if (begin_tls(c) != OK)
        link_connection_close(c, LINK_FAULT_MEMORY);
    else
        shake_hands(c);
}

static void
advance(struct link_connection *c)
{
    switch (c->phase) {
    case LINK_CONNECTING: finish_connect(c); return;
    case LINK_TLS: shake_hands(c); return;
    case LINK_HELLO:
    case LINK_UP:
        receive(c);
        if (!is_closed(c) && c->blocked)
            link_connection_flush(c);
        return;
    case LINK_NEW:
    case LINK_CLOSED: return;
    }
}

/* ---- events ---- */

static void
on_socket(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    advance(context);
}

static void
on_resume(evutil_socket_t fd, short what, void *context)
{
    struct link_connection *c = context;

    (void)fd;
    (void)what;
    if (c->fault != LINK_FAULT_NONE)
        link_connection_close(c, c->fault);
    else
        advance(c);
}

static uint64_t
ms_left(struct instant since, uint64_t limit_ms)
{
    uint64_t spent_ms = instant_since(links_now(), since).ns / 1000000u;

    return spent_ms < limit_ms ? limit_ms - spent_ms : 0;
}

/* Else one that sends a byte now and then would count as there for ever. */
static uint64_t
frame_limit_ms(const struct link_connection *c)
{
    return c->links->options.silence_ms +
           link_frame_length(buf_bytes(&c->in)) / LINK_FRAME_BYTES_PER_MS_MIN;
}

static void
watch_progress(struct link_connection *c)
{
    uint64_t silence_left = ms_left(c->heard, c->links->options.silence_ms);
    uint64_t frame_left = c->in.size > 0 ? ms_left(c->frame_began, frame_limit_ms(c)) : UINT64_MAX;

    if (silence_left == 0)
        link_connection_close(c, LINK_FAULT_SILENT);
    else if (frame_left == 0)
        link_connection_close(c, LINK_FAULT_SLOW);
    else
        links_arm(&c->timer, silence_left < frame_left ? silence_left : frame_left);
}

static void
on_timer(evutil_socket_t fd, short what, void *context)
{
    struct link_connection *c = context;

    (void)fd;
    (void)what;
    if (c->phase == LINK_UP)
        watch_progress(c);
    else
        link_connection_close(c, LINK_FAULT_TIMEOUT);
}

static enum vault_err
assign_events(struct link_connection *c)
{
    struct event_base *base = c->links->options.base;

    if (event_assign(&c->readable, base, c->fd, EV_READ | EV_PERSIST, on_socket, c) != 0 ||
        event_assign(&c->writable, base, c->fd, EV_WRITE, on_socket, c) != 0 ||
        evtimer_assign(&c->timer, base, on_timer, c) != 0 ||
        evtimer_assign(&c->resume, base, on_resume, c) != 0)
        return ERR_IO;
    return OK;
}

enum vault_err
link_connection_new(struct links *links, struct link_peer *peer, int take_fd,
                    struct link_connection **out)
{
    struct link_connection *c = calloc(1, sizeof(*c));
    enum vault_err err;

    *out = NULL;
    if (!c)
        return ERR_NOMEM;
    c->links = links;
    c->peer = peer;
    c->dialed = peer != NULL;
    c->fd = take_fd;
    c->heard = links_now();
    if ((err = assign_events(c)) != OK) {
        free(c);
        return err;
    }

    err = c->dialed ? watch_connect(c) : begin_tls(c);
    if (err != OK)
        goto fail;
    links_arm(&c->timer, links->options.handshake_ms);
    TAILQ_INSERT_TAIL(&links->open, c, entry);
    *out = c;
    return OK;
fail:
    tls_session_free(c->session);
    free(c);
    return err;
}
