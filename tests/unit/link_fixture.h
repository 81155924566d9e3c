/*
 * Nodes with links in one process, on one event loop and free ports of 127.0.0.1, and a raw TLS
 * client that can misbehave. Uses the certificates of tls_fixture.h.
 */
#ifndef OSTRAKA_TESTS_LINK_FIXTURE_H
#define OSTRAKA_TESTS_LINK_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "crypto/rng_kernel.h"
#include "free_port.h"
#include "runtime/link_internal.h"
#include "runtime/node_signing.h"
#include "tls_fixture.h"

enum {
    NODES = 3,
    BEAT_MS = 20,       /* each node sends a frame of one byte to each peer so often */
    SILENCE_MS = 20000, /* like what follows: far beyond what a busy machine takes */
    HANDSHAKE_MS = 20000,
    PATIENCE_MS = 20000,
    LOG_BYTES = 64 * 1024,
    EVENTS_MAX = 64,
};

struct world;

struct test_node {
    struct world *world;
    unsigned number;
    struct links *links; /* NULL: not running */
    struct tls_context *server, *client;
    struct links_options options; /* may be changed before node_start() */
    struct metrics metrics;
    struct log_sink sink;
    char log[LOG_BYTES];
    size_t log_size;
    bool quiet;              /* sends no heartbeat */
    char events[EVENTS_MAX]; /* 'u' and 'd' of all peers, in order */
    struct link_hello greeted[NODES];
    /* Frames longer than a heartbeat; NULL accepts and forgets. */
    bool (*take)(struct test_node *node, unsigned peer, struct bytes frame);
    void *take_context;
};

struct world {
    struct tls_fixture files;
    struct event_base *base;
    struct event tick;
    struct instant beat;
    struct cluster cluster;
    struct test_node nodes[NODES];
};

/* ---- nodes ---- */

static inline void
note_event(struct test_node *node, char what)
{
    size_t size = strlen(node->events);

    assert_true(size + 1 < EVENTS_MAX);
    node->events[size] = what;
}

static inline void
node_on_up(void *context, unsigned peer, const struct link_hello *hello)
{
    struct test_node *node = context;

    note_event(node, 'u');
    node->greeted[peer] = *hello;
}

static inline void
node_on_down(void *context, unsigned peer)
{
    (void)peer;
    note_event(context, 'd');
}

static inline bool
node_on_frame(void *context, unsigned peer, struct bytes frame)
{
    struct test_node *node = context;

    if (frame.size == 1 || !node->take)
        return true;
    return node->take(node, peer, frame);
}

static inline void
node_log(void *context, enum log_level level, struct bytes line)
{
    struct test_node *node = context;

    (void)level;
    assert_true(node->log_size + line.size < LOG_BYTES);
    memcpy(node->log + node->log_size, line.data, line.size);
    node->log_size += line.size;
}

static inline uint64_t
node_wall_ms(void *context)
{
    (void)context;
    return 1700000000000;
}

/* Lines of the log of a node in which `text` occurs. */
static inline unsigned
log_count(const struct test_node *node, const char *text)
{
    const char *at = node->log;
    unsigned count = 0;

    while ((at = strstr(at, text)) != NULL) {
        count++;
        at = strchr(at, '\n');
    }
    return count;
}

static inline struct tls_context *
make_context(struct world *world, enum tls_role role, const char *ca, const char *name)
{
    struct tls_files files = fixture_files(&world->files, ca, name);
    struct tls_context *context;
    char why[256];

    if (tls_context_new(role, &files, &context, why, sizeof(why)) != OK)
        fail_msg("%s", why);
    return context;
}

/* The signing key that goes with that certificate, said to be of the node of that number. */
static inline void
node_set_signing(struct test_node *node, const char *name)
{
    struct secret_arena *arena;
    struct signing_key key;
    char path[64], why[256];

    snprintf(path, sizeof(path), "%s.key", name);
    assert_int_equal(secret_arena_new(4, &arena), OK);
    secret_arena_open(arena);
    if (node_signing_load(path, node->world->cluster.id,
                          node->world->cluster.nodes[node->number].name, arena, &key, why,
                          sizeof(why)) != OK)
        fail_msg("%s", why);
    node->options.hello.signing = key.public_half;
    signing_key_close(&key, arena);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

/* The node will show another certificate than its own, or trust another CA. */
static inline void
node_set_certificate(struct test_node *node, const char *ca, const char *name)
{
    tls_context_free(node->server);
    tls_context_free(node->client);
    node->server = make_context(node->world, TLS_LINK_SERVER, ca, name);
    node->client = make_context(node->world, TLS_LINK_CLIENT, ca, name);
    node->options.server = node->server;
    node->options.client = node->client;
    node_set_signing(node, name);
}

static inline void
node_start(struct test_node *node)
{
    char why[512];

    assert_null(node->links);
    if (links_new(&node->options, &node->links, why, sizeof(why)) != OK)
        fail_msg("%s", why);
}

static inline void
node_stop(struct test_node *node)
{
    links_free(node->links);
    node->links = NULL;
}

static inline bool
node_is_up(const struct test_node *node, unsigned peer)
{
    struct link_stats stats;

    if (!node->links)
        return false;
    links_stats(node->links, peer, &stats);
    return stats.up;
}

static inline struct link_stats
node_stats(const struct test_node *node, unsigned peer)
{
    struct link_stats stats;

    links_stats(node->links, peer, &stats);
    return stats;
}

/* ---- the loop ---- */

static inline void
world_tick(evutil_socket_t fd, short what, void *context)
{
    (void)fd;
    (void)what;
    (void)context;
}

static inline void
world_beat(struct world *world)
{
    unsigned i, peer;

    world->beat = links_now();
    for (i = 0; i < NODES; i++)
        for (peer = 0; peer < NODES; peer++)
            if (world->nodes[i].links && !world->nodes[i].quiet && peer != i)
                links_send(world->nodes[i].links, peer, bytes_of_text("h"));
}

/* One turn of the loop, as the reactor does it. */
static inline void
world_turn(struct world *world)
{
    unsigned i;

    assert_true(event_base_loop(world->base, EVLOOP_ONCE) >= 0);
    if (instant_since(links_now(), world->beat).ns >= duration_ms(BEAT_MS).ns)
        world_beat(world);
    for (i = 0; i < NODES; i++)
        if (world->nodes[i].links)
            links_flush(world->nodes[i].links);
}

static inline uint64_t
ms_since(struct instant since)
{
    return instant_since(links_now(), since).ns / 1000000u;
}

static inline void
world_run_ms(struct world *world, uint64_t ms)
{
    struct instant begin = links_now();

    while (ms_since(begin) < ms)
        world_turn(world);
}

/* Turns until `condition` holds; the test fails when it does not within PATIENCE_MS. */
#define WORLD_UNTIL(world, condition)                                                              \
    do {                                                                                           \
        struct instant begin_ = links_now();                                                       \
        while (!(condition)) {                                                                     \
            if (ms_since(begin_) > PATIENCE_MS)                                                    \
                fail_msg("never: %s\n%s", #condition, (world)->nodes[1].log);                      \
            world_turn(world);                                                                     \
        }                                                                                          \
    } while (0)

static inline bool
all_up(const struct world *world)
{
    unsigned i, peer;

    for (i = 0; i < NODES; i++)
        for (peer = 0; peer < NODES; peer++)
            if (peer != i && !node_is_up(&world->nodes[i], peer))
                return false;
    return true;
}

/* ---- set-up ---- */

static inline void
node_init(struct world *world, unsigned number)
{
    struct test_node *node = &world->nodes[number];
    char name[8];

    memset(node, 0, sizeof(*node));
    node->world = world;
    node->number = number;
    node->sink = (struct log_sink){.context = node,
                                   .write = node_log,
                                   .wall_ms = node_wall_ms,
                                   .node = world->cluster.nodes[number].name};
    node->options = (struct links_options){
        .base = world->base,
        .cluster = &world->cluster,
        .self = number,
        .hello = {.protocol = LINK_PROTOCOL, .node = number, .incarnation = 1, .boot = 7 + number},
        .handshake_ms = HANDSHAKE_MS,
        .silence_ms = SILENCE_MS,
        .reconnect_ms_min = 5,
        .reconnect_ms_max = 20,
        .log = &node->sink,
        .metrics = &node->metrics,
        .rng = rng_kernel(),
        .context = node,
        .on_up = node_on_up,
        .on_down = node_on_down,
        .on_frame = node_on_frame,
    };
    memcpy(node->options.hello.cluster_id, world->cluster.id, CLUSTER_ID_BYTES);
    memset(node->options.hello.config_hash, 0xcf, HASH_BYTES);
    memset(node->options.hello.store_id, (int)(0x50 + number), 16);
    snprintf(name, sizeof(name), "n%u", number + 1);
    node_set_certificate(node, "ca.crt", name);
}

/* Nodes that are configured and do not run yet. */
static inline int
world_open(void **state)
{
    struct world *world = *state;
    const struct timeval often = {.tv_usec = 2000};
    unsigned i;

    fixture_cluster(&world->cluster);
    world->base = event_base_new();
    world->beat = (struct instant){0};
    assert_non_null(world->base);
    assert_int_equal(event_assign(&world->tick, world->base, -1, EV_PERSIST, world_tick, NULL), 0);
    assert_int_equal(event_add(&world->tick, &often), 0);
    for (i = 0; i < NODES; i++) {
        snprintf(world->cluster.nodes[i].host, sizeof(world->cluster.nodes[i].host), "127.0.0.1");
        world->cluster.nodes[i].link_port = free_port();
    }
    for (i = 0; i < NODES; i++)
        node_init(world, i);
    return 0;
}

static inline int
world_close(void **state)
{
    struct world *world = *state;
    unsigned i;

    for (i = 0; i < NODES; i++) {
        node_stop(&world->nodes[i]);
        tls_context_free(world->nodes[i].server);
        tls_context_free(world->nodes[i].client);
    }
    event_del(&world->tick);
    event_base_free(world->base);
    return 0;
}

/* Once for all tests: the certificates. */
static inline int
world_new(void **state)
{
    struct world *world = calloc(1, sizeof(*world));

    if (!world || tls_global_init() != OK)
        return -1;
    fixture_new(&world->files);
    fixture_leaf("ca", "n3", FIXTURE_URI "n3\\nextendedKeyUsage=serverAuth\\,clientAuth", 30);
    fixture_leaf("ca", "stranger", FIXTURE_URI "n9", 30);
    fixture_ca("foreign");
    fixture_leaf("foreign", "forged", FIXTURE_URI "n1", 30);
    *state = world;
    return 0;
}

static inline int
world_free(void **state)
{
    struct world *world = *state;

    fixture_free(&world->files);
    free(world);
    return 0;
}

/* ---- a client that does as it is told ---- */

struct raw {
    struct world *world;
    int fd;
    struct tls_context *context;
    struct tls_session *session; /* NULL: plain TCP */
    bool closed;                 /* the other side closed or broke it */
};

static inline void
raw_connect(struct world *world, unsigned node, struct raw *raw)
{
    struct sockaddr_in address = {.sin_family = AF_INET};

    *raw = (struct raw){.world = world};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(world->cluster.nodes[node].link_port);
    raw->fd = socket(AF_INET, SOCK_STREAM, 0);
    assert_true(raw->fd >= 0);
    assert_int_equal(connect(raw->fd, (struct sockaddr *)&address, sizeof(address)), 0);
    evutil_make_socket_nonblocking(raw->fd);
}

/* Reads what has come and notes the end. */
static inline bool
raw_is_closed(struct raw *raw)
{
    uint8_t data[4096];
    size_t got;

    while (!raw->closed) {
        if (raw->session) {
            enum tls_result result = tls_read(raw->session, data, sizeof(data), &got);

            if (result == TLS_WANT_READ)
                return false;
            raw->closed = result != TLS_DONE;
        } else {
            ssize_t size = recv(raw->fd, data, sizeof(data), 0);

            if (size < 0 && errno == EAGAIN)
                return false;
            raw->closed = size <= 0;
        }
    }
    return true;
}

static inline void
raw_secure(struct raw *raw, unsigned node, const char *ca, const char *name)
{
    enum tls_result result = TLS_WANT_READ;

    raw_connect(raw->world, node, raw);
    raw->context = make_context(raw->world, TLS_LINK_CLIENT, ca, name);
    assert_int_equal(tls_session_new(raw->context, raw->fd, &raw->session), OK);
    WORLD_UNTIL(raw->world, (result = tls_handshake(raw->session)) == TLS_DONE ||
                                result == TLS_FAILED || result == TLS_CLOSED);
    raw->closed = result != TLS_DONE;
}

static inline void
raw_write(struct raw *raw, struct bytes data)
{
    size_t put;

    assert_int_equal(tls_write(raw->session, data, &put), TLS_DONE);
    assert_int_equal(put, data.size);
}

static inline void
raw_write_frame(struct raw *raw, struct bytes payload)
{
    struct link_queue queue = {0};

    assert_int_equal(link_queue_put(&queue, payload, SIZE_MAX), OK);
    raw_write(raw, link_queue_slice(&queue));
    link_queue_close(&queue);
}

static inline void
raw_write_hello(struct raw *raw, const struct link_hello *hello)
{
    struct buf encoded = {0};

    assert_int_equal(link_hello_encode(hello, &encoded), OK);
    raw_write_frame(raw, buf_bytes(&encoded));
    buf_close(&encoded);
}

/* A client that plays node `as` to `node`, up to its HELLO. */
static inline void
raw_link(struct world *world, unsigned node, unsigned as, struct raw *raw)
{
    char name[8];

    raw->world = world;
    snprintf(name, sizeof(name), "n%u", as + 1);
    raw_secure(raw, node, "ca.crt", name);
    raw_write_hello(raw, &world->nodes[as].options.hello);
}

static inline void
raw_close(struct raw *raw)
{
    tls_session_free(raw->session);
    tls_context_free(raw->context);
    close(raw->fd);
}

static inline void
start_all(struct world *world)
{
    unsigned i;

    for (i = 0; i < NODES; i++)
        node_start(&world->nodes[i]);
    WORLD_UNTIL(world, all_up(world));
}

#define LINK_TEST(test) cmocka_unit_test_setup_teardown(test, world_open, world_close)

#endif
