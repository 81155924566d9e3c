/*
 * The front: its listening socket, admission of connections, and their common end. What one
 * connection does is in https_connection.c.
 *
 * Admission is by number of connections, of handshakes, and of body bytes (https_request.c). New
 * connections wait in the kernel's backlog while the handshakes are at their limit.
 *
 * Nobody has proved anything when these limits are met, so they must not be a way to keep others
 * out by holding connections open: while handshakes are at their limit, the oldest has to be done
 * within `crowded_ms`, or makes room; over the connection limit the longest idle connection does.
 * Only when none is idle the new one is closed.
 */
#include <assert.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "auth/limiter.h"
#include "runtime/https_internal.h"

enum {
    BACKLOG = 1024,
    ACCEPTS_PER_TURN = 32, /* so that a storm of new clients does not starve the old ones */
    ACCEPT_PAUSE_MS = 100, /* when the process is out of file descriptors */
    CONNECTIONS_MAX = 4096,
};

/* ---- accepting ---- */

static void
accept_start(struct https_front *front)
{
    if (front->draining || !front->accept_wanted)
        return;
    front->accept_wanted = false;
    event_add(front->accept_event, NULL);
}

static void
accept_stop(struct https_front *front)
{
    front->accept_wanted = true;
    event_del(front->accept_event);
}

static void
accept_pause(struct https_front *front, int reason)
{
    const struct timeval pause = {.tv_usec = ACCEPT_PAUSE_MS * 1000};

    log_event(front->options.log, LOG_WARN, "https", "accept_paused",
              log_text("reason", strerror(reason)),
              log_u64("connections", front->connection_count));
    accept_stop(front);
    event_add(front->accept_timer, &pause);
}

static void
on_accept_timer(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    accept_start(context);
}

static void
on_crowd_timer(evutil_socket_t fd, short what, void *context)
{
    struct https_front *front = context;

    (void)fd;
    (void)what;
    if (!evtimer_pending(front->accept_timer, NULL))
        accept_start(front);
}

/* ---- making room ---- */

/* The connection of this phase whose deadline is the next: the one that entered it first. */
static struct https_connection *
oldest_in(const struct https_front *front, enum https_phase phase)
{
    struct https_connection *connection, *oldest = NULL;

    LIST_FOREACH(connection, &front->connections, others)
    {
        if (connection->phase == phase &&
            (!oldest || connection->deadline_ms < oldest->deadline_ms))
            oldest = connection;
    }
    return oldest;
}

/* False: wait, the timer or a handshake that ends will tell. */
static bool
room_for_handshake(struct https_front *front)
{
    struct https_connection *oldest;
    uint64_t begun, now, patience = front->options.crowded_ms;
    struct timeval wait;

    if (front->handshakes < front->options.handshakes_max)
        return true;
    oldest = oldest_in(front, HTTPS_HANDSHAKE);
    assert(oldest);
    now = https_now_ms();
    begun = oldest->deadline_ms - front->options.handshake_ms;
    if (now - begun >= patience) {
        https_connection_close(oldest);
        return true;
    }
    patience -= now - begun;
    wait = (struct timeval){.tv_sec = (time_t)(patience / 1000),
                            .tv_usec = (suseconds_t)(patience % 1000 * 1000)};
    event_add(front->crowd_timer, &wait);
    return false;
}

static bool
room_for_connection(struct https_front *front)
{
    struct https_connection *idle;

    if (front->connection_count < front->options.connections_max)
        return true;
    idle = oldest_in(front, HTTPS_IDLE);
    if (!idle)
        return false;
    tls_shutdown(idle->tls);
    https_connection_close(idle);
    return true;
}

/*
 * One address may hold only so many. Counted anew each time, for few connections are made in the
 * time that this takes; and only where there is a limit.
 */
static bool
room_for_peer(const struct https_front *front, const struct address *peer)
{
    const struct https_options *options = &front->options;
    struct bytes key = limiter_address_key(peer);
    size_t connections = 0, handshakes = 0;
    struct https_connection *other;

    if (peer->size == 0 ||
        (options->peer_connections_max == 0 && options->peer_handshakes_max == 0))
        return true;
    LIST_FOREACH(other, &front->connections, others)
    {
        bool same =
            other->phase != HTTPS_CLOSED && bytes_equal(limiter_address_key(&other->peer), key);

        connections += same;
        handshakes += same && other->phase == HTTPS_HANDSHAKE;
    }
    return (options->peer_connections_max == 0 || connections < options->peer_connections_max) &&
           (options->peer_handshakes_max == 0 || handshakes < options->peer_handshakes_max);
}

static bool
may_connect(struct https_front *front, const struct address *peer)
{
    const struct https_options *options = &front->options;

    if (room_for_peer(front, peer) &&
        (!options->may_connect || options->may_connect(options->context, peer)))
        return true;
    https_count(front, METRIC_limits_exceeded);
    return false;
}

/* Of the connection itself: what its requests say of where they come from is not asked. */
static struct address
address_of_socket(const struct sockaddr_storage *from)
{
    const struct sockaddr_in *four = (const struct sockaddr_in *)from;
    const struct sockaddr_in6 *six = (const struct sockaddr_in6 *)from;
    struct address address = {0};
    enum vault_err err = ERR_RANGE;

    if (from->ss_family == AF_INET)
        err = address_of(bytes_of(&four->sin_addr, sizeof four->sin_addr), &address);
    else if (from->ss_family == AF_INET6)
        err = address_of(bytes_of(&six->sin6_addr, sizeof six->sin6_addr), &address);
    return err == OK ? address : (struct address){0};
}

static void
on_acceptable(evutil_socket_t listener, short what, void *context)
{
    struct https_front *front = context;

    (void)what;
    for (unsigned i = 0; i < ACCEPTS_PER_TURN; i++) {
        struct sockaddr_storage from = {0};
        socklen_t from_size = sizeof from;
        struct address peer;
        int fd;

        /* Room is made only for a connection that is known to wait, which is so for the first. */
        if (i > 0 && front->handshakes >= front->options.handshakes_max)
            return;
        if (!room_for_handshake(front)) {
            accept_stop(front);
            return;
        }
        fd = accept4(listener, (struct sockaddr *)&from, &from_size, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && (errno == EINTR || errno == ECONNABORTED))
            continue;
        if (fd < 0) {
            if (errno != EAGAIN && errno != EWOULDBLOCK)
                accept_pause(front, errno);
            return;
        }
        peer = address_of_socket(&from);
        if (may_connect(front, &peer) && room_for_connection(front))
            https_connection_open(front, fd, &peer);
        else
            close(fd);
    }
}

void
https_handshake_ended(struct https_front *front, bool good)
{
    front->handshakes--;
    https_count(front, good ? METRIC_tls_handshakes : METRIC_tls_handshakes_failed);
    if (!front->draining && !evtimer_pending(front->accept_timer, NULL))
        accept_start(front);
}

void
https_count(struct https_front *front, enum metric metric)
{
    if (front->options.metrics)
        metrics_count(front->options.metrics, metric);
}

/* ---- listening ---- */

/* A socket that listens at this address, or -1 with errno. */
static int
listen_at(const struct addrinfo *address)
{
    const int on = 1;
    int fd = socket(address->ai_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -1;
    /* TCP_NODELAY is inherited by what is accepted. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) == 0 &&
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on) == 0 &&
        bind(fd, address->ai_addr, address->ai_addrlen) == 0 && listen(fd, BACKLOG) == 0)
        return fd;
    {
        int saved = errno;

        close(fd);
        errno = saved;
    }
    return -1;
}

static enum vault_err
listen_socket(const struct https_options *options, int *out, char *why, size_t why_size)
{
    struct addrinfo hints = {
        .ai_family = AF_UNSPEC,
        .ai_socktype = SOCK_STREAM,
        .ai_flags = AI_PASSIVE | AI_NUMERICSERV,
    };
    struct addrinfo *addresses = NULL;
    char port[8];
    int result, failure = EADDRNOTAVAIL;

    *out = -1;
    snprintf(port, sizeof port, "%u", options->port);
    result = getaddrinfo(options->host, port, &hints, &addresses);
    if (result != 0) {
        snprintf(why, why_size, "cannot resolve %s: %s", options->host, gai_strerror(result));
        return ERR_IO;
    }
    for (const struct addrinfo *at = addresses; at && *out < 0; at = at->ai_next) {
        *out = listen_at(at);
        if (*out < 0)
            failure = errno;
    }
    freeaddrinfo(addresses);
    if (*out >= 0)
        return OK;
    snprintf(why, why_size, "cannot listen on %s port %u: %s%s", options->host, options->port,
             strerror(failure),
             failure == EADDRINUSE ? "; another program, or another node, has the port" : "");
    return ERR_IO;
}

/* ---- life ---- */

/*
 * Clients must not take the descriptors that the store and the links live on, nor be so many that
 * nothing is left to make room for others with: where a process may open few files, they get fewer.
 */
static size_t
connections_that_fit(void)
{
    struct rlimit files;
    size_t kept;

    if (getrlimit(RLIMIT_NOFILE, &files) != 0 ||
        files.rlim_cur >= CONNECTIONS_MAX + HTTPS_FILES_KEPT)
        return CONNECTIONS_MAX;
    kept = files.rlim_cur / 2 < HTTPS_FILES_KEPT ? files.rlim_cur / 2 : HTTPS_FILES_KEPT;
    return files.rlim_cur - kept;
}

static void
set_defaults(struct https_options *options)
{
    size_t fit = connections_that_fit();

#define DEFAULT(field, value)                                                                      \
    if (options->field == 0)                                                                       \
    options->field = (value)
    DEFAULT(connections_max, fit);
    DEFAULT(handshakes_max, fit / 4);
    DEFAULT(body_bytes_max_total, 64 * 1024 * 1024);
    DEFAULT(handshake_ms, 5000);
    DEFAULT(header_ms, 5000);
    DEFAULT(body_ms, 15000);
    DEFAULT(write_ms, 15000);
    DEFAULT(idle_ms, 60000);
    DEFAULT(crowded_ms, 1000);
#undef DEFAULT
}

enum vault_err
https_front_new(const struct https_options *options, struct https_front **out, char *why,
                size_t why_size)
{
    struct https_front *front = calloc(1, sizeof *front);
    enum vault_err err = ERR_NOMEM;

    *out = NULL;
    snprintf(why, why_size, "out of memory");
    if (!front)
        return ERR_NOMEM;
    front->options = *options;
    set_defaults(&front->options);
    LIST_INIT(&front->connections);
    err = listen_socket(options, &front->listen_fd, why, why_size);
    if (err != OK)
        goto fail;
    if (getrandom(&front->id_prefix, sizeof front->id_prefix, 0) != sizeof front->id_prefix) {
        err = ERR_ENTROPY;
        goto fail;
    }
    front->accept_event =
        event_new(options->base, front->listen_fd, EV_READ | EV_PERSIST, on_acceptable, front);
    front->accept_timer = evtimer_new(options->base, on_accept_timer, front);
    front->crowd_timer = evtimer_new(options->base, on_crowd_timer, front);
    err = ERR_NOMEM;
    if (!front->accept_event || !front->accept_timer || !front->crowd_timer ||
        event_add(front->accept_event, NULL) != 0)
        goto fail;
    snprintf(why, why_size, "%s", "");
    *out = front;
    return OK;
fail:
    https_front_free(front);
    return err;
}

static void
stop_listening(struct https_front *front)
{
    if (front->accept_event)
        event_free(front->accept_event);
    if (front->accept_timer)
        event_free(front->accept_timer);
    if (front->crowd_timer)
        event_free(front->crowd_timer);
    front->accept_event = front->accept_timer = front->crowd_timer = NULL;
    if (front->listen_fd >= 0)
        close(front->listen_fd);
    front->listen_fd = -1;
}

void
https_front_drain(struct https_front *front)
{
    struct https_connection *connection, *next;

    if (front->draining)
        return;
    front->draining = true;
    front->accept_wanted = false;
    stop_listening(front);
    for (connection = LIST_FIRST(&front->connections); connection; connection = next) {
        next = LIST_NEXT(connection, others);
        if (connection->phase == HTTPS_IDLE)
            tls_shutdown(connection->tls);
        if (connection->phase == HTTPS_IDLE || connection->phase == HTTPS_HANDSHAKE)
            https_connection_close(connection);
    }
}

void
https_front_free(struct https_front *front)
{
    struct https_connection *connection, *next;

    if (!front)
        return;
    front->draining = true;
    for (connection = LIST_FIRST(&front->connections); connection; connection = next) {
        next = LIST_NEXT(connection, others);
        assert(!connection->running);
        if (connection->answering)
            https_connection_orphan(connection);
        else
            https_connection_close(connection);
    }
    stop_listening(front);
    bytes_wipe(front->scratch, sizeof front->scratch);
    free(front);
}

size_t
https_connections(const struct https_front *front)
{
    return front->connection_count;
}

bool
https_front_idle(const struct https_front *front)
{
    const struct https_connection *connection;

    if (front->exchanges > 0)
        return false;
    LIST_FOREACH(connection, &front->connections, others)
    {
        if (connection->phase != HTTPS_IDLE && connection->phase != HTTPS_HANDSHAKE &&
            connection->phase != HTTPS_CLOSED)
            return false;
    }
    return true;
}
