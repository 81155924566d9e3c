/* Every node knows the signing keys of its peers, and still does after a restart without them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

static bool
knows(struct actor_cluster *ac, unsigned node, unsigned peer)
{
    const struct membership *ms = node_membership(ac->nodes[node].node);

    return memcmp(ms->signers[peer].list[0].key, ac->nodes[peer].signing.public_half.key,
                  SIGNING_PUBLIC_BYTES) == 0;
}

static void
test_known_after_a_restart(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 5);

    (void)state;
    ac_run_ms(ac, 1000); /* all links are up, and the rows of the peers are durable */
    for (unsigned i = 0; i < 3; i++) {
        for (unsigned j = 0; j < 3; j++)
            assert_true(knows(ac, i, j));
    }
    for (unsigned i = 0; i < 3; i++)
        ac_crash_losing(ac, i, true);
    ac_start(ac, 0);
    for (unsigned j = 0; j < 3; j++)
        assert_true(knows(ac, 0, j));
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(test_known_after_a_restart)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
