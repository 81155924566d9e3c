/*
 * Links: nodes find each other, frames arrive whole and in order, and whoever should not be there
 * is kept out.
 */
#include "link_fixture.h"

enum { SHORT_SILENCE_MS = 2000 }; /* for tests of silence itself */

/* ---- coming up and going down ---- */

static void
test_all_come_up(void **state)
{
    struct world *world = *state;
    unsigned i, peer;

    for (i = 0; i < NODES; i++)
        world->nodes[i].options.silence_ms = SHORT_SILENCE_MS;
    start_all(world);
    for (i = 0; i < NODES; i++) {
        assert_string_equal(world->nodes[i].events, "uu");
        assert_int_equal(log_count(&world->nodes[i], " peer_up "), 2);
        for (peer = 0; peer < NODES; peer++) {
            if (peer == i)
                continue;
            assert_int_equal(world->nodes[i].greeted[peer].node, peer);
            assert_int_equal(world->nodes[i].greeted[peer].boot, 7 + peer);
            assert_int_equal(world->nodes[i].greeted[peer].store_id[15], 0x50 + peer);
            assert_false(node_stats(&world->nodes[i], peer).config_mismatch);
        }
    }
    /* They stay up for longer than silence would be borne. */
    world_run_ms(world, SHORT_SILENCE_MS * 3 / 2);
    assert_true(all_up(world));
    assert_string_equal(world->nodes[1].events, "uu");
}

static void
test_peer_goes_and_returns(void **state)
{
    struct world *world = *state;
    struct instant before;

    start_all(world);
    before = links_now();
    node_stop(&world->nodes[1]);
    WORLD_UNTIL(world, !node_is_up(&world->nodes[0], 1) && !node_is_up(&world->nodes[2], 1));
    assert_string_equal(world->nodes[0].events, "uud");
    assert_true(node_is_up(&world->nodes[0], 2));
    assert_true(node_stats(&world->nodes[0], 1).since.ns >= before.ns);
    world_run_ms(world, 100);
    links_send(world->nodes[0].links, 1, bytes_of_text("lost"));
    assert_true(node_stats(&world->nodes[0], 1).dropped > 0);

    world->nodes[1].options.hello.boot = 99;
    node_start(&world->nodes[1]);
    WORLD_UNTIL(world, all_up(world));
    assert_string_equal(world->nodes[0].events, "uudu");
    assert_string_equal(world->nodes[2].events, "uudu");
    assert_int_equal(world->nodes[0].greeted[1].boot, 99);
    assert_int_equal(log_count(&world->nodes[0], " peer_down "), 1);
    assert_int_equal(log_count(&world->nodes[0], " peer_unreachable "), 1);
}

static void
test_silence_closes(void **state)
{
    struct world *world = *state;
    struct instant since;

    world->nodes[0].options.silence_ms = SHORT_SILENCE_MS;
    start_all(world);
    world->nodes[2].quiet = true;
    since = links_now();
    WORLD_UNTIL(world, !node_is_up(&world->nodes[0], 2));
    assert_true(ms_since(since) >= SHORT_SILENCE_MS / 2);
    assert_int_equal(log_count(&world->nodes[0], "silent"), 1);
    assert_true(node_is_up(&world->nodes[0], 1));
    assert_true(node_is_up(&world->nodes[1], 0));
}

/* ---- frames ---- */

enum { STREAM_FRAMES = 10000, STREAM_HEADER = 4 };

struct stream {
    uint32_t sent, got; /* numbers of the next frame */
    bool broken;
};

/* Mostly small, some of some KiB, a few of 1 MiB. */
static size_t
stream_size(uint32_t number)
{
    if (number % 997 == 0)
        return VALUE_BYTES_MAX;
    if (number % 101 == 0)
        return 40000 + number;
    return STREAM_HEADER + number * 7919u % 1500;
}

static void
stream_fill(uint32_t number, uint8_t *out, size_t size)
{
    size_t i;

    for (i = 0; i < size; i++)
        out[i] = (uint8_t)(i * 31 + number);
    memcpy(out, &number, STREAM_HEADER);
}

static void
stream_send(struct test_node *node, unsigned peer, struct stream *stream, uint8_t *space)
{
    while (stream->sent < STREAM_FRAMES &&
           node_stats(node, peer).queued_bytes < 2 * VALUE_BYTES_MAX) {
        size_t size = stream_size(stream->sent);

        stream_fill(stream->sent++, space, size);
        links_send(node->links, peer, bytes_of(space, size));
    }
}

static bool
stream_take(struct test_node *node, unsigned peer, struct bytes frame)
{
    struct stream *stream = (struct stream *)node->take_context + peer;
    size_t size = stream_size(stream->got);
    uint8_t *expected = malloc(size);

    assert_non_null(expected);
    stream_fill(stream->got++, expected, size);
    if (frame.size != size || memcmp(frame.data, expected, size) != 0)
        stream->broken = true;
    free(expected);
    return true;
}

static bool
streams_done(struct stream streams[NODES][NODES])
{
    unsigned i, peer;

    for (i = 0; i < NODES; i++)
        for (peer = 0; peer < NODES; peer++)
            if (peer != i && streams[i][peer].got < STREAM_FRAMES)
                return false;
    return true;
}

static void
test_frames_arrive_in_order(void **state)
{
    struct world *world = *state;
    struct stream streams[NODES][NODES] = {0};
    uint64_t dropped[NODES][NODES] = {0}; /* before the links were up */
    uint8_t *space = malloc(VALUE_BYTES_MAX);
    struct instant begin;
    unsigned i, peer;

    assert_non_null(space);
    start_all(world);
    for (i = 0; i < NODES; i++) {
        world->nodes[i].take = stream_take;
        world->nodes[i].take_context = streams[i];
        for (peer = 0; peer < NODES; peer++)
            dropped[i][peer] = node_stats(&world->nodes[i], peer).dropped;
    }
    begin = links_now();
    while (!streams_done(streams)) {
        assert_true(ms_since(begin) < 200000);
        for (i = 0; i < NODES; i++)
            for (peer = 0; peer < NODES; peer++)
                if (peer != i)
                    stream_send(&world->nodes[i], peer, &streams[i][peer], space);
        world_turn(world);
    }
    for (i = 0; i < NODES; i++) {
        for (peer = 0; peer < NODES; peer++) {
            if (peer == i)
                continue;
            assert_false(streams[i][peer].broken);
            assert_int_equal(streams[i][peer].got, STREAM_FRAMES);
            assert_int_equal(node_stats(&world->nodes[i], peer).dropped, dropped[i][peer]);
            assert_true(node_stats(&world->nodes[i], peer).received >= STREAM_FRAMES);
        }
        assert_string_equal(world->nodes[i].events, "uu");
    }
    free(space);
}

/* "soon" and then "now", as they were sent. */
static bool
note_frame(struct test_node *node, unsigned peer, struct bytes frame)
{
    struct buf *got = node->take_context;

    (void)peer;
    assert_int_equal(buf_append(got, frame), OK);
    return true;
}

static bool
is_got(const struct buf *got, const char *text)
{
    return bytes_equal(buf_bytes(got), bytes_of_text(text));
}

/* It is still there after a flush, unless its time was over; that is tried until it was not. */
static void
send_soon_and_keep(struct world *world)
{
    struct links *links = world->nodes[0].links;
    struct instant due, begin = links_now();

    for (;;) {
        assert_true(ms_since(begin) < PATIENCE_MS);
        world_run_ms(world, 2 * LINK_SOON_MS);
        links_flush(links);
        assert_false(links_due(links, &due));
        buf_truncate(world->nodes[1].take_context, 0);
        links_send_soon(links, 1, bytes_of_text("soon"));
        assert_true(links_due(links, &due));
        links_flush(links);
        bool left = node_stats(&world->nodes[0], 1).queued_bytes == 0;
        if (instant_before(links_now(), due)) {
            assert_false(left);
            return;
        }
    }
}

static void
test_what_may_wait(void **state)
{
    struct world *world = *state;
    struct links *links;
    struct buf got = {0};
    struct instant due;

    start_all(world);
    links = world->nodes[0].links;
    world->nodes[1].take = note_frame;
    world->nodes[1].take_context = &got;

    send_soon_and_keep(world); /* with the next frame, and before it */
    links_send(links, 1, bytes_of_text("now"));
    assert_false(links_due(links, &due));
    links_flush(links);
    assert_int_equal(node_stats(&world->nodes[0], 1).queued_bytes, 0);
    WORLD_UNTIL(world, is_got(&got, "soonnow"));

    send_soon_and_keep(world); /* behind one that has not left it holds nothing up */
    links_hurry(links);
    links_send_soon(links, 1, bytes_of_text("too"));
    assert_false(links_due(links, &due));
    links_flush(links);
    assert_int_equal(node_stats(&world->nodes[0], 1).queued_bytes, 0);
    WORLD_UNTIL(world, is_got(&got, "soontoo"));

    send_soon_and_keep(world); /* by itself */
    WORLD_UNTIL(world, is_got(&got, "soon"));
    assert_false(links_due(links, &due));
    buf_close(&got);
}

static bool
echo(struct test_node *node, unsigned peer, struct bytes frame)
{
    unsigned *left = node->take_context;

    /* Sending from within the callback, the frame itself too. */
    if (*left > 0) {
        --*left;
        links_send(node->links, peer, frame);
    }
    return true;
}

static void
test_send_from_the_callback(void **state)
{
    struct world *world = *state;
    uint8_t frame[5000];
    unsigned left = 2000, i;

    memset(frame, 'e', sizeof(frame));
    start_all(world);
    for (i = 0; i < NODES; i++) {
        world->nodes[i].take = echo;
        world->nodes[i].take_context = &left;
    }
    for (i = 0; i < 10; i++) {
        links_send(world->nodes[0].links, 1, bytes_of(frame, sizeof(frame)));
        links_send(world->nodes[2].links, 0, bytes_of(frame, 20));
    }
    WORLD_UNTIL(world, left == 0);
    assert_true(all_up(world));
}

static void
test_largest_frame(void **state)
{
    struct world *world = *state;
    uint8_t *frame = calloc(1, FRAME_BYTES_MAX + 1);
    uint64_t dropped, received;

    start_all(world);
    received = node_stats(&world->nodes[1], 0).received;
    dropped = node_stats(&world->nodes[0], 1).dropped;
    links_send(world->nodes[0].links, 1, bytes_of(frame, FRAME_BYTES_MAX + 1));
    links_send(world->nodes[0].links, 1, bytes_of(frame, 0));
    assert_int_equal(node_stats(&world->nodes[0], 1).dropped, dropped + 2);
    world->nodes[0].quiet = true;
    links_send(world->nodes[0].links, 1, bytes_of(frame, FRAME_BYTES_MAX));
    WORLD_UNTIL(world, node_stats(&world->nodes[0], 1).queued_bytes == 0 &&
                           node_stats(&world->nodes[1], 0).received > received);
    world->nodes[0].quiet = false;
    assert_true(all_up(world));
    free(frame);
}

static bool
refuse(struct test_node *node, unsigned peer, struct bytes frame)
{
    (void)node;
    (void)peer;
    (void)frame;
    return false;
}

static void
test_refused_frame_closes(void **state)
{
    struct world *world = *state;
    unsigned i;

    start_all(world);
    world->nodes[1].take = refuse;
    for (i = 0; i < 5; i++)
        links_send(world->nodes[0].links, 1, bytes_of_text("several frames of one record"));
    WORLD_UNTIL(world, strcmp(world->nodes[1].events, "uud") == 0);
    WORLD_UNTIL(world, strncmp(world->nodes[0].events, "uud", 3) == 0);
    assert_int_equal(log_count(&world->nodes[1], "malformed frame"), 1);
    WORLD_UNTIL(world, all_up(world));
    assert_string_equal(world->nodes[1].events, "uudu");
}

static void
test_full_queue_drops(void **state)
{
    struct world *world = *state;
    struct test_node *node = &world->nodes[0];
    uint8_t frame[1000] = {0};
    struct link_stats before, after;
    unsigned i;

    node->options.queue_bytes_max = 100 * 1004;
    node->quiet = true;
    start_all(world);
    before = node_stats(node, 1);
    assert_int_equal(before.queued_bytes, 0);
    for (i = 0; i < 150; i++)
        links_send(node->links, 1, bytes_of(frame, sizeof(frame)));
    after = node_stats(node, 1);
    assert_int_equal(after.queued_bytes, 100 * 1004);
    assert_int_equal(after.sent - before.sent, 100);
    assert_int_equal(after.dropped - before.dropped, 50);
    WORLD_UNTIL(world, node_stats(node, 1).queued_bytes == 0);
    links_send(node->links, 1, bytes_of(frame, sizeof(frame)));
    assert_int_equal(node_stats(node, 1).dropped, after.dropped);
}

/* Node 0 of `raw` gets frames of node 1 that it does not read, until they are dropped. */
static void
block_output(struct world *world, struct raw *raw)
{
    struct test_node *node = &world->nodes[1];
    uint8_t *frame = calloc(1, 100000);
    unsigned i;

    assert_non_null(frame);
    node->options.queue_bytes_max = 1000000;
    node_start(node);
    raw_link(world, 1, 0, raw);
    WORLD_UNTIL(world, node_is_up(node, 0));
    for (i = 0; i < 400; i++) {
        links_send(node->links, 0, bytes_of(frame, 100000));
        world_turn(world);
        raw_write_frame(raw, bytes_of_text("h"));
    }
    free(frame);
}

/* A peer that stops reading costs at most the queue. */
static void
test_peer_that_does_not_read(void **state)
{
    struct world *world = *state;
    struct test_node *node = &world->nodes[1];
    struct raw raw;

    block_output(world, &raw);
    assert_true(node_stats(node, 0).dropped > 100);
    assert_in_range(node_stats(node, 0).queued_bytes, 500000, 1000000);
    assert_true(node_is_up(node, 0));
    assert_false(raw_is_closed(&raw));
    raw_close(&raw);
}

/*
 * TLS answers a broken record with an alert, here behind a record that was sent in part. What
 * follows that part must be the rest of it and not other memory; the address sanitizer sees the
 * difference.
 */
static void
test_broken_record_while_output_waits(void **state)
{
    static const uint8_t record[64] = {0x17, 3, 3, 0, 59};
    struct world *world = *state;
    struct raw raw;

    block_output(world, &raw);
    assert_int_equal(send(raw.fd, record, sizeof(record), MSG_NOSIGNAL), sizeof(record));
    WORLD_UNTIL(world, !node_is_up(&world->nodes[1], 0));
    assert_string_equal(world->nodes[1].events, "ud");
    raw_close(&raw);
}

/* ---- who is kept out ---- */

static void
test_other_configuration_is_refused(void **state)
{
    struct world *world = *state;
    unsigned i;

    world->nodes[1].options.hello.config_hash[0] ^= 1;
    for (i = 0; i < NODES; i++)
        node_start(&world->nodes[i]);
    WORLD_UNTIL(world, node_is_up(&world->nodes[0], 2));
    world_run_ms(world, 1500);
    /* About 15 attempts and one line for each of the other nodes. */
    assert_int_equal(log_count(&world->nodes[0], " peer_refused "), 1);
    assert_int_equal(log_count(&world->nodes[0], "cluster.conf differs"), 1);
    assert_int_equal(log_count(&world->nodes[2], "cluster.conf differs"), 1);
    assert_int_equal(log_count(&world->nodes[2], " link peer_"), 2); /* refused n2, up n1 */
    assert_int_equal(log_count(&world->nodes[1], " link peer_"), 2);
    assert_true(node_stats(&world->nodes[0], 1).config_mismatch);
    assert_true(node_stats(&world->nodes[1], 0).config_mismatch);
    assert_false(node_stats(&world->nodes[0], 2).config_mismatch);
    assert_string_equal(world->nodes[1].events, "");

    node_stop(&world->nodes[1]);
    world->nodes[1].options.hello.config_hash[0] ^= 1;
    node_start(&world->nodes[1]);
    WORLD_UNTIL(world, all_up(world));
    assert_false(node_stats(&world->nodes[0], 1).config_mismatch);
}

static void
set_token(struct test_node *node, int mark)
{
    node->options.hello.tells_token = true;
    memset(node->options.hello.token_mark, mark, HASH_BYTES);
}

/* Nodes that take another bootstrap token are told of, by both ends, and not kept out. */
static void
test_other_token_is_told(void **state)
{
    struct world *world = *state;
    unsigned i;

    for (i = 0; i < NODES; i++)
        set_token(&world->nodes[i], i == 2 ? 2 : 1);
    for (i = 0; i < NODES; i++)
        node_start(&world->nodes[i]);
    WORLD_UNTIL(world, all_up(world));
    assert_int_equal(log_count(&world->nodes[0], " link admin_token_differs peer=n3 "), 1);
    assert_int_equal(log_count(&world->nodes[1], " link admin_token_differs peer=n3 "), 1);
    assert_int_equal(log_count(&world->nodes[2], " link admin_token_differs "), 2);
    assert_true(node_stats(&world->nodes[0], 2).token_differs);
    assert_true(node_stats(&world->nodes[2], 1).token_differs);
    assert_true(node_stats(&world->nodes[0], 1).token_known);
    assert_false(node_stats(&world->nodes[0], 1).token_differs);

    /* Again, as when its network comes and goes: one line a minute. And then it is put right. */
    for (i = 0; i < 3; i++) {
        node_stop(&world->nodes[2]);
        WORLD_UNTIL(world, !node_is_up(&world->nodes[0], 2));
        assert_true(node_stats(&world->nodes[0], 2).token_differs);
        if (i == 2)
            set_token(&world->nodes[2], 1);
        node_start(&world->nodes[2]);
        WORLD_UNTIL(world, all_up(world));
    }
    assert_int_equal(log_count(&world->nodes[0], " link admin_token_differs "), 1);
    assert_true(node_stats(&world->nodes[0], 2).token_known);
    assert_false(node_stats(&world->nodes[0], 2).token_differs);
}

/* One that says nothing of it, as an older program, is neither told of nor told anything. */
static void
test_a_token_that_is_not_told(void **state)
{
    struct world *world = *state;
    unsigned i;

    set_token(&world->nodes[0], 1);
    set_token(&world->nodes[2], 1);
    for (i = 0; i < NODES; i++)
        node_start(&world->nodes[i]);
    WORLD_UNTIL(world, all_up(world));
    assert_int_equal(log_count(&world->nodes[0], "admin_token_differs"), 0);
    assert_false(node_stats(&world->nodes[0], 1).token_known);
    assert_false(node_stats(&world->nodes[1], 0).token_known);
    assert_true(node_stats(&world->nodes[0], 2).token_known);
    assert_true(world->nodes[0].greeted[2].tells_token);
    assert_false(world->nodes[0].greeted[1].tells_token);
}

static void
test_other_cluster_and_protocol_are_refused(void **state)
{
    struct world *world = *state;
    unsigned i;

    world->nodes[1].options.hello.cluster_id[0] ^= 1;
    world->nodes[2].options.hello.protocol++;
    for (i = 0; i < NODES; i++)
        node_start(&world->nodes[i]);
    WORLD_UNTIL(world, log_count(&world->nodes[0], "belongs to another cluster") == 1 &&
                           log_count(&world->nodes[0], "another version of the protocol") == 1);
    world_run_ms(world, 300);
    for (i = 0; i < NODES; i++)
        assert_string_equal(world->nodes[i].events, "");
}

static void
test_foreign_ca_is_refused(void **state)
{
    struct world *world = *state;

    /* Node 0 shows a certificate for its own name, but of a CA that the others do not trust. */
    node_set_certificate(&world->nodes[0], "ca.crt", "n1");
    tls_context_free(world->nodes[0].client);
    world->nodes[0].client = make_context(world, TLS_LINK_CLIENT, "ca.crt", "forged");
    world->nodes[0].options.client = world->nodes[0].client;
    node_start(&world->nodes[0]);
    node_start(&world->nodes[1]);
    world_run_ms(world, 1200);
    assert_string_equal(world->nodes[0].events, "");
    assert_string_equal(world->nodes[1].events, "");
    assert_int_equal(log_count(&world->nodes[1], " connection_refused "), 1);
    assert_in_range(log_count(&world->nodes[0], " peer_refused "), 1, 2);
    assert_int_equal(log_count(&world->nodes[0], " peer_up "), 0);
}

static void
test_foreign_server_is_refused(void **state)
{
    struct world *world = *state;

    node_set_certificate(&world->nodes[1], "ca.crt", "forged");
    node_start(&world->nodes[0]);
    node_start(&world->nodes[1]);
    WORLD_UNTIL(world, log_count(&world->nodes[0], "TLS handshake failed") == 1);
    world_run_ms(world, 200);
    assert_string_equal(world->nodes[0].events, "");
    assert_string_equal(world->nodes[1].events, "");
}

static void
test_certificate_of_another_node_is_refused(void **state)
{
    struct world *world = *state;

    /* n3's certificate at the address of n2. */
    node_set_certificate(&world->nodes[1], "ca.crt", "n3");
    node_start(&world->nodes[0]);
    node_start(&world->nodes[1]);
    WORLD_UNTIL(world, log_count(&world->nodes[0], "not the one of the expected node") == 1);
    world_run_ms(world, 200);
    assert_string_equal(world->nodes[0].events, "");
    assert_string_equal(world->nodes[1].events, "");
    assert_int_equal(log_count(&world->nodes[0], " peer_refused "), 1);
}

static void
expect_refusal(struct world *world, struct raw *raw, const char *reason)
{
    struct test_node *node = &world->nodes[1];

    WORLD_UNTIL(world, raw_is_closed(raw));
    raw_close(raw);
    assert_int_equal(log_count(node, reason), 1);
    assert_string_equal(node->events, "");
}

static void
test_client_without_a_place_is_refused(void **state)
{
    struct world *world = *state;
    struct raw raw = {.world = world};

    node_start(&world->nodes[1]);
    raw_secure(&raw, 1, "ca.crt", "stranger"); /* good CA, no node of this cluster */
    expect_refusal(world, &raw, "not the one of the expected node");
    raw_secure(&raw, 1, "ca.crt", "n2"); /* its own certificate */
    WORLD_UNTIL(world, raw_is_closed(&raw));
    raw_close(&raw);
    assert_string_equal(world->nodes[1].events, "");
}

static void
test_number_must_be_the_certificates(void **state)
{
    struct world *world = *state;
    struct link_hello hello = world->nodes[2].options.hello;
    struct raw raw = {.world = world};

    node_start(&world->nodes[1]);
    raw_secure(&raw, 1, "ca.crt", "n1");
    raw_write_hello(&raw, &hello);
    expect_refusal(world, &raw, "another number than its certificate");
}

/* A link stands only with a signing key that the certificate's key has signed for that node. */
static void
test_signing_key_must_be_the_certificates(void **state)
{
    static const char refusal[] = "not signed by the key of its certificate";
    struct world *world = *state;
    struct raw raw = {.world = world};
    struct link_hello hello = world->nodes[0].options.hello;

    node_start(&world->nodes[1]);
    hello.signing.key[0] ^= 1;
    raw_secure(&raw, 1, "ca.crt", "n1");
    raw_write_hello(&raw, &hello);
    expect_refusal(world, &raw, refusal);

    hello = world->nodes[0].options.hello;
    hello.signing = world->nodes[2].options.hello.signing; /* another node's, well proven */
    raw_secure(&raw, 1, "ca.crt", "n1");
    raw_write_hello(&raw, &hello);
    WORLD_UNTIL(world, raw_is_closed(&raw));
    raw_close(&raw);

    hello.signing = (struct signing_public){0};
    raw_secure(&raw, 1, "ca.crt", "n1");
    raw_write_hello(&raw, &hello);
    WORLD_UNTIL(world, raw_is_closed(&raw));
    raw_close(&raw);
    assert_string_equal(world->nodes[1].events, "");
}

static void
test_higher_number_must_not_connect(void **state)
{
    struct world *world = *state;
    struct raw raw;

    node_start(&world->nodes[1]);
    world_run_ms(world, 1200); /* past the line that says that node 2 cannot be reached */
    raw_link(world, 1, 2, &raw);
    expect_refusal(world, &raw, "higher number must not connect");
}

static void
test_garbage_before_tls(void **state)
{
    struct world *world = *state;
    struct raw raw;

    node_start(&world->nodes[1]);
    raw_connect(world, 1, &raw);
    assert_int_equal(send(raw.fd, "GET / HTTP/1.1\r\nHost: a\r\n\r\n", 27, MSG_NOSIGNAL), 27);
    expect_refusal(world, &raw, " connection_refused ");
}

static void
test_garbage_instead_of_hello(void **state)
{
    struct world *world = *state;
    struct raw raw = {.world = world};
    uint64_t refused = world->nodes[1].metrics.counters[METRIC_messages_refused];

    node_start(&world->nodes[1]);
    raw_secure(&raw, 1, "ca.crt", "n1");
    raw_write_frame(&raw, bytes_of_text("not a map"));
    expect_refusal(world, &raw, "HELLO is malformed");
    assert_int_equal(world->nodes[1].metrics.counters[METRIC_messages_refused], refused + 1);
}

static void
test_long_hello_is_not_waited_for(void **state)
{
    static const uint8_t header[] = {0, 0, 4, 1}; /* 1025 */
    struct world *world = *state;
    struct raw raw = {.world = world};

    node_start(&world->nodes[1]);
    raw_secure(&raw, 1, "ca.crt", "n1");
    raw_write(&raw, bytes_of(header, sizeof(header)));
    expect_refusal(world, &raw, "HELLO is malformed");
}

static void
check_bad_length(struct world *world, uint32_t length)
{
    const uint8_t header[] = {(uint8_t)(length >> 24), (uint8_t)(length >> 16),
                              (uint8_t)(length >> 8), (uint8_t)length};
    struct test_node *node = &world->nodes[1];
    struct raw raw;

    memset(node->events, 0, sizeof(node->events));
    raw_link(world, 1, 0, &raw);
    WORLD_UNTIL(world, node_is_up(node, 0));
    raw_write(&raw, bytes_of(header, sizeof(header)));
    WORLD_UNTIL(world, raw_is_closed(&raw));
    assert_string_equal(node->events, "ud");
    assert_int_equal(node->metrics.counters[METRIC_messages_refused], 1);
    node->metrics.counters[METRIC_messages_refused] = 0;
    raw_close(&raw);
}

static void
test_bad_lengths_close(void **state)
{
    struct world *world = *state;

    node_start(&world->nodes[1]);
    check_bad_length(world, 0);
    check_bad_length(world, FRAME_BYTES_MAX + 1);
    check_bad_length(world, UINT32_MAX);
}

static void
test_handshake_has_a_deadline(void **state)
{
    struct world *world = *state;
    struct raw plain, mute = {.world = world};
    struct instant since;

    world->nodes[1].options.handshake_ms = 500;
    node_start(&world->nodes[1]);
    since = links_now();
    raw_connect(world, 1, &plain);
    raw_secure(&mute, 1, "ca.crt", "n1");
    WORLD_UNTIL(world, raw_is_closed(&plain));
    WORLD_UNTIL(world, raw_is_closed(&mute));
    assert_true(ms_since(since) >= 495);
    assert_string_equal(world->nodes[1].events, "");
    raw_close(&plain);
    raw_close(&mute);
}

/* Sends `size` bytes in pieces with a pause behind each, until the node closes the connection. */
static void
trickle(struct world *world, struct raw *raw, size_t size, size_t piece, uint64_t pause_ms)
{
    static const uint8_t some[LINK_RECORD_BYTES];

    assert_true(piece <= sizeof(some));
    for (size_t sent = 0; sent < size && !raw_is_closed(raw); sent += piece) {
        raw_write(raw, bytes_of(some, size - sent < piece ? size - sent : piece));
        world_run_ms(world, pause_ms);
    }
}

static bool
note_size(struct test_node *node, unsigned peer, struct bytes frame)
{
    (void)peer;
    *(size_t *)node->take_context = frame.size;
    return true;
}

/* It takes twice as long as silence is borne, and is not silence. */
static void
test_frame_may_take_its_time(void **state)
{
    enum { FRAME_BYTES = 128 * 1024, PIECES = 8 };
    static const uint8_t header[] = {0, 2, 0, 0};
    struct world *world = *state;
    struct test_node *node = &world->nodes[1];
    size_t taken = 0;
    struct raw raw;

    node->options.silence_ms = SHORT_SILENCE_MS;
    node->take = note_size;
    node->take_context = &taken;
    node_start(node);
    raw_link(world, 1, 0, &raw);
    WORLD_UNTIL(world, node_is_up(node, 0));
    raw_write(&raw, bytes_of(header, sizeof(header)));
    trickle(world, &raw, FRAME_BYTES, FRAME_BYTES / PIECES, 2 * SHORT_SILENCE_MS / PIECES);
    assert_string_equal(node->events, "u");
    WORLD_UNTIL(world, taken == FRAME_BYTES);
    raw_close(&raw);
}

/* Signs of life alone do not keep a link, or one who never completes a frame would count as there. */
static void
test_trickling_frame_closes(void **state)
{
    static const uint8_t header[] = {0, 0, 4, 0};
    struct world *world = *state;
    struct test_node *node = &world->nodes[1];
    struct instant since;
    struct raw raw;

    node->options.silence_ms = SHORT_SILENCE_MS;
    node_start(node);
    raw_link(world, 1, 0, &raw);
    WORLD_UNTIL(world, node_is_up(node, 0));
    since = links_now();
    raw_write(&raw, bytes_of(header, sizeof(header)));
    trickle(world, &raw, 100, 1, SHORT_SILENCE_MS / 20);
    assert_true(raw.closed);
    assert_true(ms_since(since) >= SHORT_SILENCE_MS);
    assert_string_equal(node->events, "ud");
    assert_int_equal(log_count(node, "took too long"), 1);
    raw_close(&raw);
}

static void
test_crowd_does_not_keep_nodes_out(void **state)
{
    enum { CROWD = LINK_UNPROVEN_MAX + 10 };
    struct world *world = *state;
    struct raw crowd[CROWD];
    unsigned i, closed = 0;

    world->nodes[1].options.handshake_ms = 60000;
    node_start(&world->nodes[1]);
    for (i = 0; i < CROWD; i++) {
        raw_connect(world, 1, &crowd[i]);
        world_turn(world);
    }
    node_start(&world->nodes[0]);
    WORLD_UNTIL(world, node_is_up(&world->nodes[1], 0));
    for (i = 0; i < CROWD; i++)
        closed += raw_is_closed(&crowd[i]);
    assert_in_range(closed, 10, 11);
    assert_true(crowd[0].closed); /* the oldest went first */
    assert_false(crowd[CROWD - 1].closed);
    for (i = 0; i < CROWD; i++)
        raw_close(&crowd[i]);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        LINK_TEST(test_all_come_up),
        LINK_TEST(test_peer_goes_and_returns),
        LINK_TEST(test_silence_closes),
        LINK_TEST(test_frames_arrive_in_order),
        LINK_TEST(test_what_may_wait),
        LINK_TEST(test_send_from_the_callback),
        LINK_TEST(test_largest_frame),
        LINK_TEST(test_refused_frame_closes),
        LINK_TEST(test_full_queue_drops),
        LINK_TEST(test_peer_that_does_not_read),
        LINK_TEST(test_broken_record_while_output_waits),
        LINK_TEST(test_other_configuration_is_refused),
        LINK_TEST(test_other_token_is_told),
        LINK_TEST(test_a_token_that_is_not_told),
        LINK_TEST(test_other_cluster_and_protocol_are_refused),
        LINK_TEST(test_foreign_ca_is_refused),
        LINK_TEST(test_foreign_server_is_refused),
        LINK_TEST(test_certificate_of_another_node_is_refused),
        LINK_TEST(test_client_without_a_place_is_refused),
        LINK_TEST(test_number_must_be_the_certificates),
        LINK_TEST(test_signing_key_must_be_the_certificates),
        LINK_TEST(test_higher_number_must_not_connect),
        LINK_TEST(test_garbage_before_tls),
        LINK_TEST(test_garbage_instead_of_hello),
        LINK_TEST(test_long_hello_is_not_waited_for),
        LINK_TEST(test_bad_lengths_close),
        LINK_TEST(test_handshake_has_a_deadline),
        LINK_TEST(test_frame_may_take_its_time),
        LINK_TEST(test_trickling_frame_closes),
        LINK_TEST(test_crowd_does_not_keep_nodes_out),
    };

    return cmocka_run_group_tests(tests, world_new, world_free);
}
