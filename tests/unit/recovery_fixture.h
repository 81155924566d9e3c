/* Clusters of actors in which a store is lost. */
#ifndef OSTRAKA_TESTS_RECOVERY_FIXTURE_H
#define OSTRAKA_TESTS_RECOVERY_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

static inline struct actor_cluster *
cluster(unsigned nodes, uint64_t seed)
{
    struct actor_cluster *ac = ac_cluster_of(nodes, seed);
    ac_run_ms(ac, 600);
    return ac;
}

static inline uint64_t
incarnation(const struct actor_cluster *ac, unsigned node)
{
    return node_incarnation(ac->nodes[node].node);
}

static inline bool
recovers(struct actor_cluster *ac, unsigned node, uint64_t within_ms)
{
    for (uint64_t ms = 0; ms < within_ms && !ac_recovered(ac, node); ms += 10)
        ac_run_ms(ac, 10);
    return ac_recovered(ac, node);
}

/* Nobody keeps the box of a share that was delivered once: a read brings the share back. */
static inline bool
reads_repair(struct actor_cluster *ac, const char *name, const char *value)
{
    bool read = true;
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < 3; i++)
        read = read && ac_reads(ac, i, name, value);
    ac_run_ms(ac, 500);
    return read;
}

static inline bool
is_absent(struct actor_cluster *ac, unsigned node, const char *name)
{
    return ac_read(ac, node, name)->reply.err == ERR_NOT_FOUND;
}

static inline void
lose(struct actor_cluster *ac, unsigned node, bool remembered)
{
    ac_crash(ac, node);
    ac_lose_store(ac, node, remembered);
}

#endif
