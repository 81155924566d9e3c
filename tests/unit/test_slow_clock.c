/*
 * A node whose clock is behind changes a secret that others change all the time: it has its share
 * of the turns (docs/protocol.md, "Voting"). Time is virtual, so the counts are the same in every
 * run.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "actor_cluster.h"

enum { NODES = 3, SLOW = 2, CLIENTS = 4, RUN_MS = 4000 };

struct client {
    unsigned node;
    struct ac_request *request;
    unsigned done, failed;
};

static void
go_on(struct actor_cluster *ac, struct client *c)
{
    if (c->request && !c->request->done)
        return;
    c->done += c->request != NULL;
    c->failed += c->request && c->request->reply.err != OK;
    struct request update = ac_make(REQUEST_UPDATE, "a", "value");
    c->request = ac_send(ac, c->node, &update);
}

static void
compete(int64_t behind_ms, uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(NODES, seed);
    struct client clients[2 * CLIENTS + 1] = {{.node = SLOW}};
    for (unsigned i = 1; i <= 2 * CLIENTS; i++)
        clients[i].node = i % 2;
    ac_run_ms(ac, 600);
    assert_int_equal(ac_create(ac, 0, "a", "value")->reply.err, OK);
    ac->nodes[SLOW].skew_ms = -behind_ms;
    for (unsigned ms = 0; ms < RUN_MS; ms++) {
        for (unsigned i = 0; i <= 2 * CLIENTS; i++)
            go_on(ac, &clients[i]);
        ac_run_ms(ac, 1);
    }
    unsigned others = 0;
    for (unsigned i = 0; i <= 2 * CLIENTS; i++) {
        assert_int_equal(clients[i].failed, 0);
        others += i > 0 ? clients[i].done : 0;
    }
    /* One change makes the versions of all clients of a node that wait: turns are compared. */
    assert_true(clients[0].done * 64 > others / CLIENTS);
    ac_end(ac);
}

static void
test_has_its_turns(void **state)
{
    (void)state;
    compete(0, 1);
    compete(400, 2);
    compete(3000, 3);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_has_its_turns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
