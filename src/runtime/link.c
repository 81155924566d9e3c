/*
 * The links of a node: who connects to whom, when to try again, what the log says about it.
 *
 * The node with the lower number dials; so there is one connection for each pair and never a race
 * of two. An accepted connection replaces the link to the same peer once its HELLO was good, and
 * not before: the old one may be dead without our knowing, and whoever cannot complete a handshake
 * must not cut a link.
 *
 * A connection on a path that loses everything hangs, and TCP tries again later and later: it would
 * miss the moment at which the path is whole again by seconds. So a hanging one is joined by
 * another, and the first that is made wins.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "runtime/link_internal.h"

enum {
    QUEUE_BYTES_DEFAULT = 32 * 1024 * 1024,
    HANDSHAKE_MS_DEFAULT = 3000,
    SILENCE_MS_DEFAULT = 1000,
    RECONNECT_MS_MIN_DEFAULT = 20,
    RECONNECT_MS_MAX_DEFAULT = 500,
    HANG_MS_DEFAULT = 500,
    MISMATCH_FACTOR = 10, /* of the longest wait, for a peer that was set up differently */
    ATTEMPTS_MAX = 16,    /* from here on the wait does not grow */
    ACCEPTS_PER_TURN = 16,
    RELISTEN_MS = 100,  /* pause after the process ran out of descriptors */
    SETTLED_MS = 1000,  /* a link that was up for less is dialed as one that was not */
    RESOLVE_MS = 10000, /* between two lookups of a peer's name */
    LOOKUP_POLL_MS = 50,
    PEER_LOG_MS = 1000,   /* refusals of one peer are logged at most so often, and only changes */
    TOKEN_LOG_MS = 60000, /* that a peer takes another bootstrap token is logged at most so often */
    STRANGERS_LOG_MS = 10000, /* those of strangers, all together */
    TWINS_MS = 60000,         /* within that time ... */
    TWINS_MIN = 4,            /* ... so many links that were alive were replaced */
};

struct instant
links_now(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (struct instant){(uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec};
}

void
links_arm(struct event *timer, uint64_t ms)
{
    struct timeval wait = {.tv_sec = (time_t)(ms / 1000),
                           .tv_usec = (suseconds_t)(ms % 1000 * 1000)};

    if (event_add(timer, &wait) != 0)
        abort();
}

static bool
has_passed(struct instant since, uint64_t ms)
{
    return since.ns == 0 || instant_since(links_now(), since).ns >= duration_ms(ms).ns;
}

static const char *
peer_name(const struct link_peer *peer)
{
    return peer->links->options.cluster->nodes[peer->number].name;
}

/* ---- log ---- */

/* What the system or TLS said about it, or an empty text. */
static const char *
fault_detail(const struct link_connection *c, enum link_fault fault)
{
    if (fault == LINK_FAULT_UNREACHABLE && c->error != 0)
        return strerror(c->error);
    if ((fault == LINK_FAULT_TLS || fault == LINK_FAULT_BROKEN) && c->session)
        return tls_error_text(c->session);
    return "";
}

/*
 * Attempts repeat, so a line is written when the reason changes and not for each. That the peer
 * closed a connection before its HELLO says less than any other reason and does not count as a
 * change.
 */
static void
log_refusal(struct link_peer *peer, enum link_fault fault, const char *detail)
{
    const struct links_options *options = &peer->links->options;

    if (fault == peer->logged || !has_passed(peer->logged_at, PEER_LOG_MS))
        return;
    if (fault == LINK_FAULT_CLOSED && peer->logged != LINK_FAULT_NONE)
        return;
    peer->logged = fault;
    peer->logged_at = links_now();
    log_event(options->log, link_fault_is_mismatch(fault) ? LOG_ERROR : LOG_WARN, "link",
              fault == LINK_FAULT_UNREACHABLE ? "peer_unreachable" : "peer_refused",
              log_text("peer", peer_name(peer)), log_text("reason", link_fault_text(fault)),
              log_text("detail", detail));
}

static void
log_stranger(struct links *links, const struct link_connection *c, enum link_fault fault)
{
    links->strangers_unlogged++;
    if (!has_passed(links->strangers_logged_at, STRANGERS_LOG_MS))
        return;
    log_event(links->options.log, LOG_WARN, "link", "connection_refused",
              log_text("reason", link_fault_text(fault)),
              log_text("detail", fault_detail(c, fault)),
              log_u64("count", links->strangers_unlogged));
    links->strangers_logged_at = links_now();
    links->strangers_unlogged = 0;
}

/* ---- dialing ---- */

/* Half of a wait is drawn, so that nodes that lost a peer together do not return together. */
static uint64_t
drawn_ms(struct link_peer *peer, uint64_t wait)
{
    uint64_t jitter = 0;

    if (rng_below(&peer->links->options.rng, wait / 2 + 1, &jitter) != OK)
        jitter = 0;
    return wait - wait / 2 + jitter;
}

static uint64_t
redial_wait_ms(struct link_peer *peer, enum link_fault fault)
{
    const struct links_options *options = &peer->links->options;
    uint64_t wait = (uint64_t)options->reconnect_ms_min << peer->attempts;

    if (wait > options->reconnect_ms_max)
        wait = options->reconnect_ms_max;
    if (link_fault_is_mismatch(fault))
        wait = (uint64_t)options->reconnect_ms_max * MISMATCH_FACTOR;
    if (peer->attempts < ATTEMPTS_MAX)
        peer->attempts++;
    return drawn_ms(peer, wait);
}

static void
redial(struct link_peer *peer, enum link_fault fault)
{
    links_arm(&peer->redial, redial_wait_ms(peer, fault));
}

static void
look_up(struct link_peer *peer)
{
    const struct cluster_node *node = &peer->links->options.cluster->nodes[peer->number];
    struct link_addresses found;
    enum vault_err err;

    if (!peer->lookup && has_passed(peer->resolved, RESOLVE_MS) &&
        link_lookup_begin(node->host, node->link_port, &peer->lookup) != OK)
        snprintf(peer->unresolved, sizeof(peer->unresolved), "cannot look up %s", node->host);
    if (!peer->lookup)
        return;
    err = link_lookup_end(&peer->lookup, &found, peer->unresolved, sizeof(peer->unresolved));
    if (err == ERR_NOT_READY)
        return;
    peer->resolved = links_now();
    if (err == OK)
        peer->addresses = found;
}

/* What is known is used while the name is looked up anew, which is done now and then. */
static enum vault_err
find_addresses(struct link_peer *peer, char *why, size_t why_size)
{
    if (peer->named)
        look_up(peer);
    if (peer->addresses.count > 0)
        return OK;
    snprintf(why, why_size, "%s", peer->unresolved);
    return peer->lookup ? ERR_NOT_READY : ERR_IO;
}

/* ERR_NOT_READY: the peer's name is still being looked up. */
static enum vault_err
dial(struct link_peer *peer, char *why, size_t why_size)
{
    struct link_connection *connection;
    unsigned which;
    int fd, error;
    enum vault_err err;

    if ((err = find_addresses(peer, why, why_size)) != OK)
        return err;
    which = peer->next_address++ % peer->addresses.count;
    err = link_connect((const struct sockaddr *)&peer->addresses.list[which],
                       peer->addresses.sizes[which], &fd, &error);
    if (err != OK) {
        snprintf(why, why_size, "%s", strerror(error));
        return err;
    }
    if ((err = link_connection_new(peer->links, peer, fd, &connection)) != OK) {
        snprintf(why, why_size, "%s", vault_err_text(err));
        close(fd);
        return err;
    }
    peer->dials++;
    return OK;
}

static void
on_redial(evutil_socket_t fd, short what, void *context)
{
    struct link_peer *peer = context;
    char why[HOST_BYTES_MAX + 128];
    enum vault_err err = OK;

    (void)fd;
    (void)what;
    if (peer->dials < LINK_DIALS_MAX)
        err = dial(peer, why, sizeof(why));
    if (err == OK || err == ERR_NOT_READY) {
        uint64_t wait_ms = err == OK ? peer->links->options.hang_ms : LOOKUP_POLL_MS;
        links_arm(&peer->redial, drawn_ms(peer, wait_ms));
        return;
    }
    log_refusal(peer, LINK_FAULT_UNREACHABLE, why);
    redial(peer, LINK_FAULT_UNREACHABLE);
}

/* Another connection to the same peer that this node dialed and that has come so far, or NULL. */
static struct link_connection *
other_dial(const struct link_connection *c, enum link_phase phase_min)
{
    struct link_connection *other;

    TAILQ_FOREACH(other, &c->links->open, entry)
    {
        if (other != c && other->dialed && other->peer == c->peer && other->phase >= phase_min)
            return other;
    }
    return NULL;
}

bool
links_may_greet(struct link_connection *c)
{
    struct link_connection *other = other_dial(c, LINK_HELLO);

    if (!other)
        return true;
    /* What has not been answered since may never be. */
    if (other->phase == LINK_UP || !has_passed(other->heard, c->links->options.hang_ms))
        return false;
    link_connection_close(other, LINK_FAULT_TIMEOUT);
    return true;
}

/* It is the link: nothing else is dialed any more. */
static void
end_dialing(struct link_connection *c)
{
    struct link_connection *other;

    c->peer->dials--;
    event_del(&c->peer->redial);
    while ((other = other_dial(c, LINK_CONNECTING)) != NULL)
        link_connection_close(other, LINK_FAULT_SPARE);
}

/* ---- a link comes and goes ---- */

/*
 * A node connects anew when it has lost its link, of which this side mostly hears first. One that
 * does so again and again while the link it had is alive is two processes, each of which has its
 * link taken away by the other: a folder was copied, and both copies run. Nothing good comes of
 * that, as both vote in one name.
 */
static void
watch_for_twins(struct link_peer *peer)
{
    const struct link_connection *old = peer->connection;
    const struct links_options *options = &peer->links->options;

    if (has_passed(old->heard, options->silence_ms / 2))
        return;
    if (has_passed(peer->replaced_since, TWINS_MS)) {
        peer->replaced_since = links_now();
        peer->replaced = 0;
    }
    if (++peer->replaced != TWINS_MIN)
        return;
    log_event(options->log, LOG_ERROR, "link", "peer_runs_twice", log_text("peer", peer_name(peer)),
              log_text("reason", "it connects anew while its link is alive: two processes seem to "
                                 "run as this node; stop the one whose folder is a copy"));
}

/*
 * No reason to refuse a link: while the token is replaced nodes differ for a while. But one that was
 * forgotten then goes on taking the old one, and nothing else would tell.
 */
static void
compare_tokens(struct link_peer *peer, const struct link_hello *theirs)
{
    const struct links_options *options = &peer->links->options;
    const struct link_hello *ours = &options->hello;

    peer->token_known = ours->tells_token && theirs->tells_token;
    peer->token_differs = peer->token_known && memcmp(ours->token_mark, theirs->token_mark,
                                                      sizeof(ours->token_mark)) != 0;
    if (!peer->token_differs || !has_passed(peer->token_logged_at, TOKEN_LOG_MS))
        return;
    peer->token_logged_at = links_now();
    log_event(options->log, LOG_WARN, "link", "admin_token_differs",
              log_text("peer", peer_name(peer)),
              log_text("reason", "cluster.conf differs: admin_token_hash"));
}

void
links_up(struct link_connection *c, const struct link_hello *hello)
{
    const struct links_options *options = &c->links->options;
    struct link_peer *peer = c->peer;

    if (peer->connection) {
        watch_for_twins(peer);
        link_connection_close(peer->connection, LINK_FAULT_REPLACED);
    }
    assert(!peer->connection);
    peer->connection = c;
    peer->since = links_now();
    peer->mismatch = false;
    peer->logged = LINK_FAULT_NONE;
    if (c->dialed)
        end_dialing(c);
    log_event(options->log, LOG_INFO, "link", "peer_up", log_text("peer", peer_name(peer)),
              log_u64("incarnation", hello->incarnation), log_u64("boot", hello->boot));
    compare_tokens(peer, hello);
    options->on_up(options->context, peer->number, hello);
}

static void
peer_down(struct link_peer *peer, enum link_fault fault, const char *detail)
{
    const struct links_options *options = &peer->links->options;

    peer->connection = NULL;
    peer->since = links_now();
    log_event(options->log, LOG_WARN, "link", "peer_down", log_text("peer", peer_name(peer)),
              log_text("reason", link_fault_text(fault)), log_text("detail", detail));
    options->on_down(options->context, peer->number);
}

void
links_lost(struct link_connection *c, enum link_fault fault)
{
    struct link_peer *peer = c->peer;

    if (!peer) {
        log_stranger(c->links, c, fault);
        return;
    }
    if (peer->connection == c) {
        if (has_passed(peer->since, SETTLED_MS))
            peer->attempts = 0;
        if (c->dialed)
            redial(peer, fault);
        peer_down(peer, fault, fault_detail(c, fault));
        return;
    }
    if (c->dialed)
        peer->dials--;
    if (fault == LINK_FAULT_SPARE || (fault == LINK_FAULT_CLOSED && peer->connection))
        return;
    /* While others are being made the next is due in any case. */
    if (c->dialed && peer->dials == 0 && !peer->connection)
        redial(peer, fault);
    peer->mismatch = peer->mismatch || link_fault_is_mismatch(fault);
    log_refusal(peer, fault, fault_detail(c, fault));
}

static void
on_reap(evutil_socket_t fd, short what, void *context)
{
    struct links *links = context;
    struct link_connection *c;

    (void)fd;
    (void)what;
    while ((c = TAILQ_FIRST(&links->closed)) != NULL) {
        TAILQ_REMOVE(&links->closed, c, entry);
        link_connection_free(c);
    }
}

/* ---- listening ---- */

/*
 * Handshakes of strangers are bounded. When all places are taken the longest waiting makes room:
 * nodes need milliseconds, and so cannot be kept out by somebody who just holds connections open.
 */
static void
make_room(struct links *links)
{
    struct link_connection *c, *oldest = NULL;
    unsigned unproven = 0;

    TAILQ_FOREACH(c, &links->open, entry)
    {
        if (c->dialed || c->phase == LINK_UP)
            continue;
        unproven++;
        if (!oldest)
            oldest = c;
    }
    if (unproven >= LINK_UNPROVEN_MAX)
        link_connection_close(oldest, LINK_FAULT_CROWDED);
}

static void
on_acceptable(evutil_socket_t listener, short what, void *context)
{
    struct links *links = context;
    struct link_connection *connection;
    unsigned count;

    (void)what;
    for (count = 0; count < ACCEPTS_PER_TURN; count++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

        if (fd < 0 && (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)) {
            /* The connection stays in the backlog, and the socket readable: do not spin on it. */
            event_del(&links->acceptable);
            links_arm(&links->relisten, RELISTEN_MS);
            return;
        }
        if (fd < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
            return;
        if (fd < 0)
            continue;
        make_room(links);
        link_socket_tune(fd);
        if (link_connection_new(links, NULL, fd, &connection) != OK)
            close(fd);
    }
}

static void
on_relisten(evutil_socket_t fd, short what, void *context)
{
    struct links *links = context;

    (void)fd;
    (void)what;
    if (event_add(&links->acceptable, NULL) != 0)
        links_arm(&links->relisten, RELISTEN_MS);
}

/* ---- the set ---- */

static void
set_defaults(struct links_options *options)
{
    if (options->queue_bytes_max == 0)
        options->queue_bytes_max = QUEUE_BYTES_DEFAULT;
    if (options->handshake_ms == 0)
        options->handshake_ms = HANDSHAKE_MS_DEFAULT;
    if (options->silence_ms == 0)
        options->silence_ms = SILENCE_MS_DEFAULT;
    if (options->reconnect_ms_min == 0)
        options->reconnect_ms_min = RECONNECT_MS_MIN_DEFAULT;
    if (options->reconnect_ms_max == 0)
        options->reconnect_ms_max = RECONNECT_MS_MAX_DEFAULT;
    if (options->hang_ms == 0)
        options->hang_ms = HANG_MS_DEFAULT;
}

static void
init_peers(struct links *links)
{
    unsigned i;

    for (i = 0; i < links->options.cluster->node_count; i++) {
        const struct cluster_node *node = &links->options.cluster->nodes[i];
        struct link_peer *peer = &links->peers[i];

        peer->links = links;
        peer->number = i;
        peer->since = links_now();
        (void)evtimer_assign(&peer->redial, links->options.base, on_redial, peer);
        peer->named = link_address(node->host, node->link_port, &peer->addresses) != OK;
    }
}

static void
start_dialing(struct links *links)
{
    for (unsigned i = links->options.self + 1; i < links->options.cluster->node_count; i++)
        links_arm(&links->peers[i].redial, 0);
}

static enum vault_err
start_listening(struct links *links, char *why, size_t why_size)
{
    const struct links_options *options = &links->options;
    const struct cluster_node *self = &options->cluster->nodes[options->self];
    enum vault_err err;

    err = link_listen(options->listen_host ? options->listen_host : self->host, self->link_port,
                      &links->listener, why, why_size);
    if (err != OK)
        return err;
    if (event_assign(&links->acceptable, options->base, links->listener, EV_READ | EV_PERSIST,
                     on_acceptable, links) != 0 ||
        event_add(&links->acceptable, NULL) != 0) {
        snprintf(why, why_size, "cannot watch the socket for other nodes");
        close(links->listener);
        return ERR_IO;
    }
    return OK;
}

enum vault_err
links_new(const struct links_options *options, struct links **out, char *why, size_t why_size)
{
    struct links *links;
    enum vault_err err;

    *out = NULL;
    assert(options->cluster->node_count <= NODES_MAX);
    assert(options->self < options->cluster->node_count);
    assert(options->on_up && options->on_down && options->on_frame && options->metrics);
    links = calloc(1, sizeof(*links));
    if (!links) {
        snprintf(why, why_size, "%s", vault_err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    links->options = *options;
    set_defaults(&links->options);
    TAILQ_INIT(&links->open);
    TAILQ_INIT(&links->closed);
    (void)evtimer_assign(&links->relisten, options->base, on_relisten, links);
    (void)evtimer_assign(&links->reaper, options->base, on_reap, links);

    init_peers(links);
    if ((err = start_listening(links, why, why_size)) != OK) {
        free(links);
        return err;
    }
    start_dialing(links);
    *out = links;
    return OK;
}

/* NULL: it was dropped. */
static struct link_connection *
queue_frame(struct links *links, unsigned peer_number, struct bytes frame)
{
    struct link_peer *peer = &links->peers[peer_number];

    assert(peer_number < links->options.cluster->node_count);
    if (!peer->connection ||
        link_queue_put(&peer->connection->out, frame, links->options.queue_bytes_max) != OK) {
        peer->dropped++;
        return NULL;
    }
    peer->sent++;
    return peer->connection;
}

void
links_send(struct links *links, unsigned peer_number, struct bytes frame)
{
    struct link_connection *c = queue_frame(links, peer_number, frame);

    if (c)
        c->soon = false;
}

void
links_send_soon(struct links *links, unsigned peer_number, struct bytes frame)
{
    const struct link_connection *up = links->peers[peer_number].connection;
    bool first = up && link_queue_bytes(&up->out) == 0;
    struct link_connection *c = queue_frame(links, peer_number, frame);

    if (!c || !first)
        return;
    c->soon = true;
    c->soon_due = instant_add(links_now(), duration_ms(LINK_SOON_MS));
}

/* Nothing that is queued has to leave now. */
static bool
may_wait(const struct link_connection *c)
{
    return c->soon && instant_before(links_now(), c->soon_due);
}

void
links_flush(struct links *links)
{
    unsigned i;

    for (i = 0; i < links->options.cluster->node_count; i++) {
        struct link_connection *c = links->peers[i].connection;

        if (c && !c->blocked && !may_wait(c))
            link_connection_flush(c);
    }
}

void
links_hurry(struct links *links)
{
    for (unsigned i = 0; i < links->options.cluster->node_count; i++) {
        if (links->peers[i].connection)
            links->peers[i].connection->soon = false;
    }
}

bool
links_due(const struct links *links, struct instant *due)
{
    bool any = false;

    *due = (struct instant){0};
    for (unsigned i = 0; i < links->options.cluster->node_count; i++) {
        const struct link_connection *c = links->peers[i].connection;

        if (!c || !c->soon || (any && !instant_before(c->soon_due, *due)))
            continue;
        *due = c->soon_due;
        any = true;
    }
    return any;
}

void
links_stats(const struct links *links, unsigned peer_number, struct link_stats *out)
{
    const struct link_peer *peer = &links->peers[peer_number];

    assert(peer_number < links->options.cluster->node_count);
    *out = (struct link_stats){
        .up = peer->connection != NULL,
        .config_mismatch = peer->mismatch,
        .token_known = peer->token_known,
        .token_differs = peer->token_differs,
        .since = peer->since,
        .queued_bytes = peer->connection ? link_queue_bytes(&peer->connection->out) : 0,
        .sent = peer->sent,
        .received = peer->received,
        .dropped = peer->dropped,
    };
}

static void
free_connections(struct link_connections *list)
{
    struct link_connection *c;

    while ((c = TAILQ_FIRST(list)) != NULL) {
        TAILQ_REMOVE(list, c, entry);
        link_connection_free(c);
    }
}

void
links_free(struct links *links)
{
    unsigned i;

    if (!links)
        return;
    for (i = 0; i < links->options.cluster->node_count; i++) {
        event_del(&links->peers[i].redial);
        link_lookup_cancel(links->peers[i].lookup);
    }
    event_del(&links->acceptable);
    event_del(&links->relisten);
    event_del(&links->reaper);
    close(links->listener);
    free_connections(&links->open);
    free_connections(&links->closed);
    free(links);
}
