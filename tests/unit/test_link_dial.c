/* Links: which connection counts, addresses, and connections that hang. */
#include "link_fixture.h"

#include <netdb.h>

/* ---- a second connection ---- */

static void
test_second_connection_replaces_the_first(void **state)
{
    struct world *world = *state;
    struct test_node *node = &world->nodes[1];
    struct raw first, half = {.world = world}, second;

    node_start(node);
    raw_link(world, 1, 0, &first);
    WORLD_UNTIL(world, node_is_up(node, 0));

    /* TLS alone replaces nothing. */
    raw_secure(&half, 1, "ca.crt", "n1");
    world_run_ms(world, 50);
    assert_string_equal(node->events, "u");
    assert_false(raw_is_closed(&first));

    raw_link(world, 1, 0, &second);
    WORLD_UNTIL(world, raw_is_closed(&first));
    assert_string_equal(node->events, "udu");
    assert_true(node_is_up(node, 0));
    assert_false(raw_is_closed(&second));
    assert_int_equal(log_count(node, "connected anew"), 1);
    raw_close(&first);
    raw_close(&half);
    raw_close(&second);
}

/* ---- addresses ---- */

static int
listener_on(uint16_t port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
    assert_int_equal(listen(fd, 64), 0);
    return fd;
}

static void
test_redial_backs_off(void **state)
{
    struct world *world = *state;
    struct instant begin;
    uint64_t took;
    unsigned attempts = 0;
    int listener = listener_on(world->cluster.nodes[2].link_port);

    /*
     * Waits of 20, 40, 80, 160 and then 200 ms, each less up to a half: 5 to 14 in a second, and
     * then at most one in 100 ms; fewer on a busy machine.
     */
    world->nodes[1].options.reconnect_ms_min = 20;
    world->nodes[1].options.reconnect_ms_max = 200;
    node_start(&world->nodes[1]);
    begin = links_now();
    while ((took = ms_since(begin)) < 1000 || (attempts < 3 && took < PATIENCE_MS)) {
        int fd;

        world_turn(world);
        fd = accept(listener, NULL, NULL);
        if (fd >= 0) {
            attempts++;
            close(fd);
        }
    }
    assert_in_range(attempts, 3, 4 + took / 100);
    assert_in_range(log_count(&world->nodes[1], " peer_refused "), 1, 1);
    close(listener);
}

/* ---- connections that hang ---- */

/* Later ones may follow those that closed, on a busy machine. */
enum { RELAYED_MAX = 4 * LINK_DIALS_MAX };

/* Takes connections for node 2, and keeps what comes until it is told to deliver. */
struct relay {
    struct cluster cluster; /* as node 1 has it: node 2 is here */
    uint16_t port;          /* of the real one */
    int listener;
    int near[RELAYED_MAX], far[RELAYED_MAX];
    unsigned count;
    bool delivers;
};

static void
relay_open(struct world *world, struct relay *relay)
{
    *relay = (struct relay){.cluster = world->cluster, .port = world->cluster.nodes[1].link_port};
    relay->cluster.nodes[1].link_port = free_port();
    relay->listener = listener_on(relay->cluster.nodes[1].link_port);
    world->nodes[0].options.cluster = &relay->cluster;
}

/* Ends node 0 as well, whose cluster is the relay's. */
static void
relay_close(struct world *world, struct relay *relay)
{
    unsigned i;

    node_stop(&world->nodes[0]);
    world->nodes[0].options.cluster = &world->cluster;
    for (i = 0; i < relay->count; i++) {
        close(relay->near[i]);
        close(relay->far[i]);
    }
    close(relay->listener);
}

static void
relay_connect(const struct relay *relay, int far)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(relay->port)};

    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    assert_int_equal(connect(far, (struct sockaddr *)&address, sizeof(address)), 0);
}

static void
relay_accept(struct relay *relay)
{
    int near = accept4(relay->listener, NULL, NULL, SOCK_NONBLOCK);

    if (near < 0)
        return;
    assert_true(relay->count < RELAYED_MAX);
    relay->near[relay->count] = near;
    relay->far[relay->count] = socket(AF_INET, SOCK_STREAM, 0);
    if (relay->delivers)
        relay_connect(relay, relay->far[relay->count]);
    relay->count++;
}

static void
relay_deliver(struct relay *relay)
{
    unsigned i;

    for (i = 0; i < relay->count; i++)
        relay_connect(relay, relay->far[i]);
    relay->delivers = true;
}

static void
relay_carry(int from, int to)
{
    char data[4096];
    ssize_t size = recv(from, data, sizeof(data), MSG_DONTWAIT);

    if (size > 0)
        (void)!send(to, data, (size_t)size, MSG_NOSIGNAL); /* it may be closed by now */
    else if (size == 0)
        shutdown(to, SHUT_WR);
}

static void
relay_turn(struct world *world, struct relay *relay)
{
    unsigned i;

    relay_accept(relay);
    for (i = 0; i < relay->count && relay->delivers; i++) {
        relay_carry(relay->near[i], relay->far[i]);
        relay_carry(relay->far[i], relay->near[i]);
    }
    world_turn(world);
}

static void
relay_run_ms(struct world *world, struct relay *relay, uint64_t ms)
{
    struct instant begin = links_now();

    while (ms_since(begin) < ms)
        relay_turn(world, relay);
}

/* Once the path is whole again the link is up with the next attempt, though earlier ones hang. */
static void
test_what_hangs_does_not_keep_the_next_back(void **state)
{
    struct world *world = *state;
    struct relay relay;
    struct instant begin;

    relay_open(world, &relay);
    world->nodes[0].options.handshake_ms = 60000;
    world->nodes[0].options.hang_ms = 100;
    node_start(&world->nodes[0]);
    while (relay.count == 0)
        relay_turn(world, &relay);
    relay.cluster.nodes[1].link_port = relay.port;
    assert_int_equal(
        link_address("127.0.0.1", relay.port, &world->nodes[0].links->peers[1].addresses), OK);
    node_start(&world->nodes[1]);
    begin = links_now();
    while (!node_is_up(&world->nodes[0], 1) && ms_since(begin) < PATIENCE_MS)
        relay_turn(world, &relay);
    /* What hangs would take three times as long. */
    assert_true(node_is_up(&world->nodes[0], 1));
    assert_int_equal(world->nodes[0].links->peers[1].dials, 0);
    relay_close(world, &relay);
}

static bool
links_settled(const struct world *world)
{
    return node_is_up(&world->nodes[0], 1) && node_is_up(&world->nodes[1], 0) &&
           world->nodes[0].links->peers[1].dials == 0;
}

/* At most so many at a time; when all are answered at once, one link comes of it, and stays. */
static void
test_of_many_that_hang_one_is_used(void **state)
{
    struct world *world = *state;
    struct relay relay;
    struct instant begin;

    relay_open(world, &relay);
    world->nodes[0].options.handshake_ms = world->nodes[1].options.handshake_ms = 60000;
    world->nodes[0].options.hang_ms = 40;
    node_start(&world->nodes[1]);
    node_start(&world->nodes[0]);
    while (relay.count < LINK_DIALS_MAX)
        relay_turn(world, &relay);
    relay_run_ms(world, &relay, 200);
    assert_int_equal(world->nodes[0].links->peers[1].dials, LINK_DIALS_MAX);
    assert_int_equal(relay.count, LINK_DIALS_MAX);
    world->nodes[0].links->options.hang_ms = 30000;
    relay_deliver(&relay);
    begin = links_now();
    while (!links_settled(world) && ms_since(begin) < PATIENCE_MS)
        relay_turn(world, &relay);
    relay_run_ms(world, &relay, 300);
    assert_string_equal(world->nodes[0].events, "u");
    assert_string_equal(world->nodes[1].events, "u");
    assert_int_equal(world->nodes[0].links->peers[1].dials, 0);
    relay_close(world, &relay);
}

static void
test_port_in_use(void **state)
{
    struct world *world = *state;
    int listener = listener_on(world->cluster.nodes[1].link_port);
    struct links *links;
    char why[512] = "", port[8];

    assert_int_equal(links_new(&world->nodes[1].options, &links, why, sizeof(why)), ERR_IO);
    assert_null(links);
    snprintf(port, sizeof(port), "%u", (unsigned)world->cluster.nodes[1].link_port);
    assert_non_null(strstr(why, port));
    assert_non_null(strstr(why, "127.0.0.1"));
    assert_non_null(strstr(why, "in use"));
    close(listener);
}

static void
test_address_that_is_not_ours(void **state)
{
    struct world *world = *state;
    struct links *links;
    char why[512] = "";

    world->nodes[1].options.listen_host = "192.0.2.1"; /* RFC 5737: nobody's */
    assert_int_equal(links_new(&world->nodes[1].options, &links, why, sizeof(why)), ERR_IO);
    assert_non_null(strstr(why, "192.0.2.1"));
}

static bool
has_ipv6(void)
{
    struct link_addresses addresses;
    char why[256];
    int fd;

    if (link_listen("::1", 0, &fd, why, sizeof(why)) != OK)
        return false;
    close(fd);
    return link_resolve("::1", 1, &addresses, why, sizeof(why)) == OK;
}

static void
test_names_and_ipv6(void **state)
{
    struct world *world = *state;

    snprintf(world->cluster.nodes[1].host, sizeof(world->cluster.nodes[1].host), "localhost");
    if (has_ipv6())
        snprintf(world->cluster.nodes[2].host, sizeof(world->cluster.nodes[2].host), "::1");
    else
        print_message("no IPv6 here: only the host name was tried\n");
    start_all(world);
}

/* ---- two processes as one node ---- */

/* They take the link from each other, but not as fast as they can, and the log says what is wrong. */
static void
test_a_node_that_runs_twice(void **state)
{
    struct world *world = *state;
    struct test_node *twin = &world->nodes[2], *peer = &world->nodes[1];

    tls_context_free(twin->server);
    tls_context_free(twin->client);
    *twin = (struct test_node){.world = world, .sink = world->nodes[0].sink};
    twin->sink.context = twin;
    node_set_certificate(twin, "ca.crt", "n1");
    twin->options = world->nodes[0].options;
    twin->options.server = twin->server;
    twin->options.client = twin->client;
    twin->options.log = &twin->sink;
    twin->options.metrics = &twin->metrics;
    twin->options.context = twin;
    twin->options.listen_host = "127.0.0.2";
    world->nodes[0].options.reconnect_ms_max = twin->options.reconnect_ms_max = 500;
    node_start(&world->nodes[0]);
    node_start(twin);
    node_start(peer);
    WORLD_UNTIL(world, log_count(peer, "peer_runs_twice") > 0);
    world_run_ms(world, 1000);
    assert_int_equal(log_count(peer, "peer_runs_twice"), 1);
    assert_true(strlen(peer->events) < 50);
}

/* ---- a resolver that takes its time ---- */

enum { LOOKUP_MS = 3000 };

#define SLOW_NAME    "slow.test"
#define UNKNOWN_NAME "unknown.test"

static unsigned lookups_begun, lookups_cancelled;
static struct instant lookup_begun;

/* In the place of the C library's: whatever is asked for in this program comes by here. */
int
getaddrinfo_a(int mode, struct gaicb *list[], int count, struct sigevent *event)
{
    assert_int_equal(mode, GAI_NOWAIT);
    assert_int_equal(count, 1);
    assert_null(event);
    assert_non_null(list[0]->ar_name);
    lookups_begun++;
    lookup_begun = links_now();
    return 0;
}

int
gai_error(struct gaicb *question)
{
    if (strcmp(question->ar_name, UNKNOWN_NAME) == 0)
        return EAI_NONAME;
    if (ms_since(lookup_begun) < LOOKUP_MS)
        return EAI_INPROGRESS;
    return getaddrinfo("127.0.0.1", question->ar_service, question->ar_request,
                       &question->ar_result);
}

int
gai_cancel(struct gaicb *question)
{
    assert_string_equal(question->ar_name, SLOW_NAME);
    lookups_cancelled++;
    return EAI_CANCELED;
}

/*
 * Silent for as long as a lookup takes, the node would lose its other links, and its clients wait.
 */
static void
test_lookups_keep_nobody_waiting(void **state)
{
    struct world *world = *state;
    uint64_t longest_ms = 0;
    struct instant begin = links_now();

    snprintf(world->cluster.nodes[2].host, sizeof(world->cluster.nodes[2].host), SLOW_NAME);
    world->nodes[2].options.listen_host = "127.0.0.1";
    for (unsigned i = 0; i < NODES; i++)
        node_start(&world->nodes[i]);
    while (!all_up(world)) {
        struct instant turn = links_now();

        world_turn(world);
        if (ms_since(turn) > longest_ms)
            longest_ms = ms_since(turn);
        assert_true(ms_since(begin) < PATIENCE_MS);
    }
    assert_true(ms_since(begin) >= LOOKUP_MS);
    assert_true(longest_ms < LOOKUP_MS / 2);
}

static void
test_a_node_ends_while_it_looks_up(void **state)
{
    struct world *world = *state;
    struct instant begin;

    snprintf(world->cluster.nodes[1].host, sizeof(world->cluster.nodes[1].host), SLOW_NAME);
    lookups_begun = lookups_cancelled = 0;
    node_start(&world->nodes[0]);
    WORLD_UNTIL(world, lookups_begun > 0);
    begin = links_now();
    node_stop(&world->nodes[0]);
    assert_true(ms_since(begin) < LOOKUP_MS / 2);
    assert_int_equal(lookups_cancelled, 1);
}

static void
test_name_that_is_not_known(void **state)
{
    struct world *world = *state;
    struct test_node *node = &world->nodes[0];

    snprintf(world->cluster.nodes[2].host, sizeof(world->cluster.nodes[2].host), UNKNOWN_NAME);
    world->nodes[2].options.listen_host = "127.0.0.1";
    for (unsigned i = 0; i < NODES; i++)
        node_start(&world->nodes[i]);
    WORLD_UNTIL(world, log_count(node, "cannot resolve " UNKNOWN_NAME) > 0);
    WORLD_UNTIL(world, node_is_up(node, 1));
    assert_false(node_is_up(node, 2));
    assert_int_equal(log_count(node, "cannot resolve " UNKNOWN_NAME), 1);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_second_connection_replaces_the_first),
        LINK_TEST(test_redial_backs_off),
        LINK_TEST(test_what_hangs_does_not_keep_the_next_back),
        LINK_TEST(test_of_many_that_hang_one_is_used),
        LINK_TEST(test_port_in_use),
        LINK_TEST(test_address_that_is_not_ours),
        LINK_TEST(test_names_and_ipv6),
        LINK_TEST(test_a_node_that_runs_twice),
        LINK_TEST(test_lookups_keep_nobody_waiting),
        LINK_TEST(test_a_node_ends_while_it_looks_up),
        LINK_TEST(test_name_that_is_not_known),
    };

    return cmocka_run_group_tests(tests, world_new, world_free);
}
