/*
 * One connection: its events, its deadline, and the loop that moves it from phase to phase.
 *
 * While the server has a request nothing is read, so a client that pipelines is held back by TCP.
 * The read event is taken out only when something does arrive then: a client that waits for its
 * answer costs no system calls.
 *
 * The timer is armed late: a deadline that moves away leaves it as it is, and it looks again when
 * it fires.
 */
#include <arpa/inet.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "runtime/https_internal.h"

/* How much one connection may do before the others have their turn. */
enum { STEPS_PER_TURN = 48 };

static const uint64_t NEVER = UINT64_MAX;

/* ---- deadline ---- */

/* Deadlines are of seconds, and asked for several times a request: a few ms late will do. */
uint64_t
https_now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
    return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void
arm(struct https_connection *connection, uint64_t now)
{
    uint64_t left = connection->deadline_ms > now ? connection->deadline_ms - now : 0;
    struct timeval after = {.tv_sec = (time_t)(left / 1000),
                            .tv_usec = (suseconds_t)(left % 1000 * 1000)};

    event_add(connection->timer, &after);
    connection->armed_ms = connection->deadline_ms;
}

void
https_deadline(struct https_connection *connection, uint32_t after_ms)
{
    uint64_t now = https_now_ms();

    connection->deadline_ms = now + after_ms;
    if (connection->deadline_ms < connection->armed_ms)
        arm(connection, now);
}

/* A client that has begun a request is told; one that has not, or does not read, is not. */
static void
deadline_passed(struct https_connection *connection)
{
    switch (connection->phase) {
    case HTTPS_HEAD:
    case HTTPS_BODY:
        connection->timed_out = true;
        https_connection_run(connection);
        return;
    case HTTPS_READY:
    case HTTPS_BUSY: return; /* the server has deadlines of its own */
    case HTTPS_IDLE: tls_shutdown(connection->tls); break;
    case HTTPS_HANDSHAKE:
    case HTTPS_WRITE:
    case HTTPS_LINGER:
    case HTTPS_CLOSED: break;
    }
    https_connection_close(connection);
}

static void
on_timer(evutil_socket_t fd, short what, void *context)
{
    struct https_connection *connection = context;
    uint64_t now = https_now_ms();

    (void)fd;
    (void)what;
    connection->armed_ms = NEVER;
    if (now < connection->deadline_ms)
        arm(connection, now);
    else
        deadline_passed(connection);
}

/* ---- events ---- */

/* Whether input has to wait until the answer is out. */
static bool
held_back(const struct https_connection *connection)
{
    return connection->phase == HTTPS_BUSY || connection->phase == HTTPS_WRITE;
}

static void
on_readable(evutil_socket_t fd, short what, void *context)
{
    struct https_connection *connection = context;

    (void)fd;
    (void)what;
    if (!held_back(connection)) {
        https_connection_run(connection);
        return;
    }
    event_del(connection->read_event);
    connection->reading = false;
}

static void
on_writable(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    https_connection_run(context);
}

/*
 * A timer, not event_active(): while any event is active the loop does not return, and the owner of
 * the loop has work of its own between its turns.
 */
static void
on_again(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    https_connection_run(context);
}

void
https_connection_run_later(struct https_connection *connection)
{
    const struct timeval at_once = {0};

    event_add(connection->again, &at_once);
}

/* ---- life ---- */

void
https_connection_open(struct https_front *front, int fd, const struct address *peer)
{
    struct https_connection *connection = calloc(1, sizeof *connection);
    struct event_base *base = front->options.base;

    if (!connection) {
        close(fd);
        return;
    }
    connection->front = front;
    connection->fd = fd;
    connection->peer = *peer;
    if (!inet_ntop(peer->size == 4 ? AF_INET : AF_INET6, peer->data, connection->peer_text,
                   sizeof connection->peer_text) ||
        peer->size == 0)
        connection->peer_text[0] = '\0';
    connection->phase = HTTPS_HANDSHAKE;
    connection->deadline_ms = connection->armed_ms = NEVER;
    connection->exchange.connection = connection;
    arena_init(&connection->exchange.arena, HTTPS_ARENA_BYTES_MAX);
    LIST_INSERT_HEAD(&front->connections, connection, others);
    front->connection_count++;
    front->handshakes++;

    connection->parser = http_parser_new(BODY_BYTES_MAX);
    connection->read_event = event_new(base, fd, EV_READ | EV_PERSIST, on_readable, connection);
    connection->write_event = event_new(base, fd, EV_WRITE, on_writable, connection);
    connection->timer = evtimer_new(base, on_timer, connection);
    connection->again = evtimer_new(base, on_again, connection);
    if (!connection->parser || !connection->read_event || !connection->write_event ||
        !connection->timer || !connection->again ||
        tls_session_new(front->options.tls, fd, &connection->tls) != OK ||
        event_add(connection->read_event, NULL) != 0) {
        https_connection_close(connection);
        return;
    }
    connection->reading = true;
    https_deadline(connection, front->options.handshake_ms);
}

static void
free_event(struct event **event)
{
    if (*event)
        event_free(*event);
    *event = NULL;
}

void
https_connection_close(struct https_connection *connection)
{
    struct https_front *front = connection->front;

    if (connection->phase != HTTPS_CLOSED) {
        bool handshake = connection->phase == HTTPS_HANDSHAKE;

        connection->phase = HTTPS_CLOSED;
        free_event(&connection->read_event);
        free_event(&connection->write_event);
        free_event(&connection->timer);
        free_event(&connection->again);
        tls_session_free(connection->tls);
        connection->tls = NULL;
        close(connection->fd);
        connection->fd = -1;
        buf_close(&connection->leftover);
        buf_close(&connection->head);
        buf_close(&connection->body);
        front->connection_count--;
        if (handshake)
            https_handshake_ended(front, false);
    }
    https_connection_free(connection);
}

void
https_connection_orphan(struct https_connection *connection)
{
    https_connection_close(connection);
    LIST_REMOVE(connection, others);
    connection->front = NULL;
}

void
https_connection_free(struct https_connection *connection)
{
    if (connection->running || connection->answering)
        return;
    if (connection->front)
        LIST_REMOVE(connection, others);
    https_request_release(connection);
    arena_close(&connection->exchange.arena);
    http_parser_free(connection->parser);
    free(connection);
}

/* ---- the loop ---- */

static enum https_step
handshake_step(struct https_connection *connection)
{
    struct https_front *front = connection->front;

    switch (tls_handshake(connection->tls)) {
    case TLS_DONE:
        connection->phase = HTTPS_IDLE;
        https_deadline(connection, front->options.idle_ms);
        https_handshake_ended(front, true);
        return HTTPS_AGAIN;
    case TLS_WANT_WRITE: event_add(connection->write_event, NULL); return HTTPS_WAIT;
    case TLS_WANT_READ: return HTTPS_WAIT;
    case TLS_CLOSED:
    case TLS_FAILED: break;
    }
    log_event(front->options.log, LOG_DEBUG, "https", "handshake_failed",
              log_text("reason", tls_error_text(connection->tls)));
    https_connection_close(connection);
    return HTTPS_WAIT;
}

static enum https_step
step(struct https_connection *connection)
{
    switch (connection->phase) {
    case HTTPS_HANDSHAKE: return handshake_step(connection);
    case HTTPS_IDLE:
    case HTTPS_HEAD:
    case HTTPS_BODY: return https_read_step(connection);
    case HTTPS_READY: return https_ready_step(connection);
    case HTTPS_WRITE: return https_write_step(connection);
    case HTTPS_LINGER: return https_linger_step(connection);
    case HTTPS_BUSY:
    case HTTPS_CLOSED: break;
    }
    return HTTPS_WAIT;
}

void
https_connection_run(struct https_connection *connection)
{
    unsigned steps = 0;

    if (connection->running)
        return;
    connection->running = true;
    while (step(connection) == HTTPS_AGAIN) {
        if (++steps < STEPS_PER_TURN)
            continue;
        /* What TLS has already taken from the socket would raise no event. */
        if (connection->phase != HTTPS_CLOSED)
            https_connection_run_later(connection);
        break;
    }
    /* A connection closed by a step of its own is still there. */
    connection->running = false; /* NOLINT(clang-analyzer-unix.Malloc) */
    connection->responding = false;
    if (connection->phase == HTTPS_CLOSED) {
        https_connection_free(connection);
        return;
    }
    if (!connection->reading && !held_back(connection)) {
        event_add(connection->read_event, NULL);
        connection->reading = true;
    }
}
