/*
 * Clusters with more nodes than shares: every node serves every path, whether it keeps it or not,
 * and nothing of a path is ever at a node that is no replica of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

enum { NODES = 5, SHARES = 3 };

/* What a test works with: a name, its replicas, and the nodes that are none. */
struct placed {
    struct actor_cluster *ac;
    const char *name;
    unsigned in[SHARES], out[NODES - SHARES];
};

static struct replicas
replicas_of(const struct actor_cluster *ac, const char *name)
{
    struct placement placement;
    struct replicas r;
    placement_init(&placement, &ac->cluster);
    placement_replicas(&placement, ac_path(name), &r);
    return r;
}

static struct placed
placed_with(const struct ac_options *options, const char *name)
{
    struct placed p = {.ac = ac_new(options), .name = name};
    struct replicas r = replicas_of(p.ac, name);
    unsigned in = 0, out = 0;
    assert_int_equal(r.count, SHARES);
    for (unsigned i = 0; i < NODES; i++) {
        if (replicas_index(&r, (uint8_t)i) >= 0)
            p.in[in++] = i;
        else
            p.out[out++] = i;
    }
    return p;
}

static struct placed
placed(const char *name, uint64_t seed)
{
    struct ac_options options = {.nodes = NODES, .shares = SHARES, .threshold = 2, .seed = seed};
    return placed_with(&options, name);
}

static size_t
rows_at(struct actor_cluster *ac, unsigned node, const char *name)
{
    static const enum row_table tables[] = {ROW_PATH, ROW_VERSION, ROW_DEALING, ROW_BOXES,
                                            ROW_ERASURE};
    size_t count = 0;
    for (unsigned t = 0; t < sizeof(tables) / sizeof(tables[0]); t++)
        count += ac_rows_of(ac, node, tables[t], name);
    return count;
}

static void
nothing_elsewhere(const struct placed *p)
{
    for (unsigned i = 0; i < NODES - SHARES; i++)
        assert_int_equal(rows_at(p->ac, p->out[i], p->name), 0);
}

static void
end(struct placed *p)
{
    nothing_elsewhere(p);
    ac_end(p->ac);
}

/* Every request through every node, replica or not. */
static void
test_every_node_serves(void **state)
{
    (void)state;
    for (unsigned at = 0; at < NODES; at++) {
        struct placed p = placed("db/password", 10 + at);
        char value[16];
        assert_int_equal(ac_read(p.ac, at, p.name)->reply.err, ERR_NOT_FOUND);
        assert_int_equal(ac_create(p.ac, at, p.name, "v1")->reply.err, OK);
        assert_int_equal(ac_create(p.ac, at, p.name, "v1")->reply.err, ERR_ALREADY_EXISTS);
        for (unsigned i = 2; i <= 4; i++) {
            snprintf(value, sizeof(value), "v%u", i);
            assert_int_equal(ac_update(p.ac, at, p.name, value)->reply.err, OK);
        }
        for (unsigned i = 0; i < NODES; i++)
            assert_true(ac_value_is(ac_read(p.ac, i, p.name), "v4"));
        struct request ask = ac_make(REQUEST_HISTORY, p.name, NULL);
        struct ac_request *r = ac_wait(p.ac, ac_send(p.ac, at, &ask));
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(r->reply.row_count, 4);
        ask = ac_make(REQUEST_READ, p.name, NULL);
        ask.version = 2;
        assert_true(ac_value_is(ac_wait(p.ac, ac_send(p.ac, at, &ask)), "v2"));
        ask.version = 0;
        ask.stale = true;
        assert_true(ac_value_is(ac_wait(p.ac, ac_send(p.ac, at, &ask)), "v4"));
        for (unsigned i = 0; i < SHARES; i++)
            assert_int_equal(ac_rows_of(p.ac, p.in[i], ROW_VERSION, p.name), 4);
        nothing_elsewhere(&p);
        r = ac_delete(p.ac, at, p.name);
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(r->reply.erased_on, SHARES);
        assert_int_equal(r->reply.replicas, SHARES);
        assert_int_equal(r->reply.required, 2);
        ask = ac_make(REQUEST_DELETION, p.name, NULL);
        r = ac_wait(p.ac, ac_send(p.ac, at, &ask));
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(r->reply.erased_on, SHARES);
        assert_true(ac_settles(p.ac, AC_SETTLE_MS));
        for (unsigned i = 0; i < SHARES; i++)
            assert_int_equal(rows_at(p.ac, p.in[i], p.name), 1);
        end(&p);
    }
}

/* The nodes that do not keep the path may all be away, and one that does. */
static void
test_kill(void **state)
{
    struct placed p = placed("db/password", 21);
    (void)state;
    assert_int_equal(ac_create(p.ac, p.out[0], p.name, "v1")->reply.err, OK);
    ac_crash(p.ac, p.in[1]);
    assert_true(ac_value_is(ac_read(p.ac, p.out[0], p.name), "v1"));
    assert_int_equal(ac_update(p.ac, p.out[1], p.name, "v2")->reply.err, OK);
    ac_crash(p.ac, p.out[1]);
    assert_true(ac_value_is(ac_read(p.ac, p.out[0], p.name), "v2"));
    ac_crash(p.ac, p.out[0]);
    ac_run_ms(p.ac, 200);
    assert_int_equal(ac_update(p.ac, p.in[0], p.name, "v3")->reply.err, OK);
    ac_heal(p.ac);
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    for (unsigned i = 0; i < SHARES; i++)
        assert_int_equal(ac_rows_of(p.ac, p.in[i], ROW_VERSION, p.name), 3);
    end(&p);
}

/* Two of three replicas away: this path has no majority, however many nodes are up. */
static void
test_no_majority_of_the_path(void **state)
{
    struct placed p = placed("db/password", 22);
    struct ac_request *r;
    (void)state;
    assert_int_equal(ac_create(p.ac, p.out[0], p.name, "v1")->reply.err, OK);
    ac_crash(p.ac, p.in[0]);
    ac_crash(p.ac, p.in[2]);
    r = ac_read(p.ac, p.out[0], p.name);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    r = ac_update(p.ac, p.out[1], p.name, "v2");
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_VOTING);
    ac_heal(p.ac);
    ac_run_ms(p.ac, 1000);
    assert_true(ac_value_is(ac_read(p.ac, p.out[1], p.name), "v1"));
    end(&p);
}

/* A replica that missed a change gets its share from the escrow of the others. */
static void
test_escrow(void **state)
{
    struct placed p = placed("app/key", 23);
    (void)state;
    ac_isolate(p.ac, p.in[2], true);
    ac_run_ms(p.ac, 1500);
    assert_int_equal(ac_create(p.ac, p.out[1], p.name, "v1")->reply.err, OK);
    assert_int_equal(ac_update(p.ac, p.out[0], p.name, "v2")->reply.err, OK);
    assert_int_equal(ac_rows_of(p.ac, p.in[2], ROW_PATH, p.name), 0);
    ac_heal(p.ac);
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    assert_int_equal(ac_rows_of(p.ac, p.in[2], ROW_VERSION, p.name), 2);
    ac_crash(p.ac, p.in[0]);
    assert_true(ac_value_is(ac_read(p.ac, p.out[0], p.name), "v2"));
    end(&p);
}

/* A read through a node that is no replica puts a missing share back. */
static void
test_read_repair(void **state)
{
    struct placed p = placed("app/key", 24);
    struct path_row row;
    struct head head;
    struct row_key key;
    struct bytes value;
    struct version_row version = {0};
    struct buf without = {0};
    (void)state;
    assert_int_equal(ac_create(p.ac, p.in[0], p.name, "v1")->reply.err, OK);
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    assert_true(ac_path_row(p.ac, p.in[1], p.name, &row, &head));
    row_key_version(ROW_VERSION, ac_path(p.name), 1, head.version_id, &key);
    assert_true(ac_get(p.ac, p.in[1], &key, &value));
    assert_int_equal(version_row_decode(value, &version), OK);
    assert_true(version.share.size > 0);
    version.share = (struct bytes){0};
    assert_int_equal(version_row_encode(&version, &without), OK);
    ac_put(p.ac, p.in[1], &key, buf_bytes(&without));
    buf_close(&without);
    ac_crash(p.ac, p.in[2]);
    ac_run_ms(p.ac, 1500);
    /* Two are asked; one of them has no share, and the third is away: nothing to answer with. */
    assert_int_equal(ac_read(p.ac, p.out[0], p.name)->reply.err, ERR_VALUE_UNAVAILABLE);
    ac_heal(p.ac);
    ac_run_ms(p.ac, 1500);
    for (unsigned i = 0; i < 4; i++)
        assert_true(ac_value_is(ac_read(p.ac, p.out[i % 2], p.name), "v1"));
    ac_run_ms(p.ac, 500);
    uint64_t done = p.ac->nodes[p.out[0]].metrics.counters[METRIC_repairs_done] +
                    p.ac->nodes[p.out[1]].metrics.counters[METRIC_repairs_done];
    uint64_t refused = p.ac->nodes[p.out[0]].metrics.counters[METRIC_messages_refused] +
                       p.ac->nodes[p.out[1]].metrics.counters[METRIC_messages_refused];
    assert_true(done >= 1);
    assert_int_equal(refused, 0);
    ac_crash(p.ac, p.in[2]);
    assert_true(ac_value_is(ac_read(p.ac, p.out[1], p.name), "v1"));
    end(&p);
}

/* A delete while a replica is away is finished when it is back; who else is away does not count. */
static void
test_delete_while_away(void **state)
{
    struct placed p = placed("app/key", 25);
    struct ac_request *r;
    (void)state;
    assert_int_equal(ac_create(p.ac, p.out[0], p.name, "v1")->reply.err, OK);
    ac_crash(p.ac, p.in[0]);
    ac_crash(p.ac, p.out[1]);
    r = ac_delete(p.ac, p.out[0], p.name);
    assert_int_equal(r->reply.err, OK);
    assert_int_equal(r->reply.erased_on, 2);
    assert_int_equal(r->reply.replicas, SHARES);
    ac_heal(p.ac);
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    assert_int_equal(ac_rows_of(p.ac, p.in[0], ROW_VERSION, p.name), 0);
    assert_int_equal(ac_rows_of(p.ac, p.in[0], ROW_DEALING, p.name), 0);
    assert_int_equal(ac_read(p.ac, p.out[1], p.name)->reply.err, ERR_NOT_FOUND);
    end(&p);
}

struct dying {
    struct placed *p;
    unsigned written_at;
    bool seen;
};

/* Only one replica hears the WRITE of a coordinator that is none, and nobody the answer. */
static enum ac_verdict
one_write(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct dying *d = context;
    if (from != d->p->out[0] && to != d->p->out[0])
        return AC_PASS;
    if (msg->kind == MSG_WRITE && to == d->written_at)
        d->seen = true;
    if (msg->kind == MSG_WRITE)
        return to == d->written_at ? AC_PASS : AC_DROP;
    return msg->kind == MSG_WRITTEN ? AC_DROP : AC_PASS;
}

/* A coordinator that keeps nothing of the path dies in the middle; another finishes the change. */
static void
test_coordinator_dies(void **state)
{
    struct placed p = placed("app/key", 26);
    struct dying d = {.p = &p, .written_at = p.in[1]};
    struct request update = ac_make(REQUEST_UPDATE, p.name, "v2");
    (void)state;
    assert_int_equal(ac_create(p.ac, p.out[0], p.name, "v1")->reply.err, OK);
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    p.ac->filter = one_write;
    p.ac->filter_context = &d;
    struct ac_request *r = ac_send(p.ac, p.out[0], &update);
    ac_run_ms(p.ac, 20);
    assert_true(d.seen);
    assert_false(r->done);
    ac_crash(p.ac, p.out[0]);
    p.ac->filter = NULL;
    ac_crash(p.ac, p.in[0]); /* so that the read has to see what was written */
    assert_true(ac_value_is(ac_read(p.ac, p.out[1], p.name), "v2"));
    ac_heal(p.ac);
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    assert_true(ac_value_is(ac_read(p.ac, p.out[0], p.name), "v2"));
    end(&p);
}

static uint64_t
refused_by(const struct placed *p, unsigned node)
{
    return p->ac->nodes[node].metrics.counters[METRIC_messages_refused];
}

struct heard {
    unsigned from;
    unsigned refusals, others;
};

static enum ac_verdict
hear(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct heard *h = context;
    (void)to;
    if (from != h->from || msg->kind == MSG_HEARTBEAT)
        return AC_PASS;
    bool refused = (msg->kind == MSG_VOTED && msg->u.voted.refusal == REFUSED_CONFIG) ||
                   (msg->kind == MSG_WRITTEN && msg->u.written.refusal == REFUSED_CONFIG) ||
                   (msg->kind == MSG_STATE && msg->u.state.refusal == REFUSED_CONFIG) ||
                   (msg->kind == MSG_FETCHED && msg->u.fetched.refusal == REFUSED_CONFIG) ||
                   (msg->kind == MSG_VERSIONS && msg->u.versions.refusal == REFUSED_CONFIG);
    h->refusals += refused;
    h->others += !refused;
    return AC_PASS;
}

/* Meant for a replica, come to a node that is none: refused, counted, never stored. */
static void
test_messages_for_others_are_refused(void **state)
{
    struct placed p = placed("app/key", 27);
    struct heard h = {.from = p.out[1]};
    struct path_row row;
    struct head head;
    (void)state;
    assert_int_equal(ac_create(p.ac, p.in[0], p.name, "v1")->reply.err, OK);
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    assert_true(ac_path_row(p.ac, p.in[0], p.name, &row, &head));
    p.ac->filter = hear;
    p.ac->filter_context = &h;
    uint64_t before = refused_by(&p, p.out[1]);
    struct msg m = {.kind = MSG_VOTE, .path = ac_path(p.name), .op = 1};
    m.u.vote.ballot = (struct ballot){
        .time = ac_wall_ms(p.ac, p.in[0]) << 16, .node = (uint8_t)p.in[0], .incarnation = 1};
    m.u.vote.purpose = CHANGE_FINISH;
    assert_int_equal(ac_inject(p.ac, p.in[0], p.out[1], &m), OK);
    m = (struct msg){.kind = MSG_READ, .path = ac_path(p.name), .op = 1};
    m.u.read.credential = bytes_of_text(ac_token);
    assert_int_equal(ac_inject(p.ac, p.in[0], p.out[1], &m), OK);
    m = (struct msg){.kind = MSG_LIST, .path = ac_path(p.name), .op = 1};
    m.u.list.limit = 10;
    m.u.list.credential = bytes_of_text(ac_token);
    assert_int_equal(ac_inject(p.ac, p.in[0], p.out[1], &m), OK);
    m = (struct msg){.kind = MSG_FETCH, .path = ac_path(p.name), .op = 1};
    assert_int_equal(ac_inject(p.ac, p.in[0], p.out[1], &m), OK);
    assert_int_equal(h.refusals, 4);
    m = (struct msg){.kind = MSG_CHOSEN, .path = ac_path(p.name), .op = 1};
    m.u.chosen.ballot = row.ballot;
    m.u.chosen.head = row.head;
    record_id(row.head, m.u.chosen.head_id);
    m.u.chosen.incarnations.count = SHARES;
    assert_int_equal(ac_inject(p.ac, p.in[0], p.out[1], &m), OK);
    m = (struct msg){.kind = MSG_DELIVER, .path = ac_path(p.name)};
    assert_int_equal(ac_inject(p.ac, p.in[0], p.out[1], &m), OK);
    m = (struct msg){.kind = MSG_ASK_ERASED, .path = ac_path(p.name), .op = 1};
    assert_int_equal(ac_inject(p.ac, p.in[0], p.out[1], &m), OK);
    ac_run_ms(p.ac, 100);
    assert_int_equal(h.others, 0);
    assert_int_equal(refused_by(&p, p.out[1]) - before, 7);
    end(&p);
}

/* Many paths: each node keeps its part, and every other node serves it. */
static void
test_many_paths(void **state)
{
    enum { PATHS = 60 };
    struct placed p = placed("p0", 28);
    unsigned held = 0;
    char name[16];
    (void)state;
    for (unsigned i = 0; i < PATHS; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_int_equal(ac_create(p.ac, i % NODES, name, name)->reply.err, OK);
    }
    assert_true(ac_settles(p.ac, AC_SETTLE_MS));
    ac_crash(p.ac, 2);
    ac_run_ms(p.ac, 300);
    for (unsigned i = 0; i < PATHS; i++) {
        snprintf(name, sizeof(name), "p%u", i);
        assert_true(
            ac_value_is(ac_read(p.ac, (i + 3) % NODES == 2 ? 0 : (i + 3) % NODES, name), name));
    }
    ac_heal(p.ac);
    ac_run_ms(p.ac, 3000);
    for (unsigned i = 0; i < NODES; i++) {
        size_t rows = ac_rows(p.ac, i, ROW_PATH);
        assert_in_range(rows, PATHS * 3 / 5 / 2, PATHS * 3 / 5 * 3 / 2);
        held += (unsigned)rows;
        /* What the nodes count and tell each other is what is there. */
        assert_true(node_membership(p.ac->nodes[i].node)->held.known);
        assert_int_equal(node_membership(p.ac->nodes[i].node)->held.paths, rows);
        for (unsigned j = 0; j < NODES; j++) {
            const struct member *m = &node_membership(p.ac->nodes[j].node)->members[i];
            assert_true(j == i || (m->paths_known && m->paths == rows));
        }
    }
    assert_int_equal(held, PATHS * SHARES);
    end(&p);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_every_node_serves),
        cmocka_unit_test(test_kill),
        cmocka_unit_test(test_no_majority_of_the_path),
        cmocka_unit_test(test_escrow),
        cmocka_unit_test(test_read_repair),
        cmocka_unit_test(test_delete_while_away),
        cmocka_unit_test(test_coordinator_dies),
        cmocka_unit_test(test_messages_for_others_are_refused),
        cmocka_unit_test(test_many_paths),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
