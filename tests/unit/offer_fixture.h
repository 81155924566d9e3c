/* A cluster of actors whose offers (docs/protocol.md, "Offers") are counted, lost and kept. */
#ifndef OSTRAKA_TESTS_OFFER_FIXTURE_H
#define OSTRAKA_TESTS_OFFER_FIXTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

enum { NODES = 3, SELF = 2 };

/* What is let through, what is counted, and the first offer to SELF. */
struct watch {
    struct actor_cluster *ac;
    unsigned votes, offers;
    unsigned lost_to; /* bit per node: WRITEs and READs to it are lost */
    bool alone;       /* SELF hears and says nothing but what a test injects */
    struct buf frame, answer_frame;
    struct msg offer, answer; /* kind 0: none */
    struct {
        unsigned offering, begun;
        unsigned offers_before;
        uint64_t stores_before;
    } turns; /* of node 0, for tests that have them */
};

static inline enum ac_verdict
on_frame(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct watch *w = context;
    bool offer = msg->kind == MSG_WRITE && msg->u.write.ballot.offer;
    w->votes += msg->kind == MSG_VOTE;
    w->offers += offer;
    if (offer && to == SELF && w->offer.path.name.size == 0)
        ac_keep(msg, &w->frame, &w->offer);
    if (w->alone && msg->kind == MSG_RECOVERED && to == SELF)
        return AC_DROP;
    if (w->alone && msg_has_path(msg->kind) && (from == SELF || to == SELF)) {
        if (from == SELF)
            ac_keep(msg, &w->answer_frame, &w->answer);
        return AC_DROP;
    }
    bool losable = msg->kind == MSG_WRITE || msg->kind == MSG_READ;
    return losable && from != to && (w->lost_to >> to & 1) ? AC_DROP : AC_PASS;
}

static inline struct watch *
watch_new(unsigned nodes, uint64_t seed)
{
    struct watch *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    w->ac = ac_cluster_of(nodes, seed);
    ac_run_ms(w->ac, 600);
    w->ac->filter = on_frame;
    w->ac->filter_context = w;
    return w;
}

static inline void
watch_free(struct watch *w)
{
    ac_end(w->ac);
    buf_close(&w->frame);
    buf_close(&w->answer_frame);
    free(w);
}

#endif
