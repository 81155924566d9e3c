/*
 * Tokens whose uses are counted. Before such a request runs, a change of the token's record counts
 * one use, agreed and known to all nodes; whoever comes at the same time has to count again. A use is
 * counted for each request that reaches a node, whatever becomes of it.
 */
#include "actors/authority.h"
#include "runtime/reactor_internal.h"

enum { TRIES_MAX = 20, AGAIN_MS = 20 };

/* Lives in the exchange's arena. */
struct use_exchange {
    struct reactor *reactor;
    struct request count; /* under way */
    unsigned tries;
};

static void
fail(struct reactor *r, struct pending *p, enum vault_err err)
{
    p->use = NULL;
    reactor_respond_error(r, p, err, NULL);
}

static void
count_once(struct reactor *r, struct pending *p)
{
    struct use_exchange *use = p->use;
    struct step st;
    reactor_step(r, &st);
    enum vault_err err = authority_count_use(node_membership(r->node), &st, p->request.credential,
                                             https_exchange_arena(p->exchange), &use->count);
    if (err != OK) {
        fail(r, p, err);
        return;
    }
    use->count.id = p->request.id;
    use->count.address = p->request.address;
    struct msg msg = {.kind = MSG_REQUEST,
                      .request_id = p->request.id,
                      .u.request = {.request = &use->count, .exchange = (uint64_t)(uintptr_t)p}};
    reactor_deliver(r, ACTOR_GATEWAY, &msg);
}

static void
on_again(evutil_socket_t fd, short what, void *context)
{
    struct pending *p = context;
    (void)fd;
    (void)what;
    count_once(p->use->reactor, p);
}

static void
on_counted(evutil_socket_t fd, short what, void *context)
{
    struct pending *p = context;
    struct reactor *r = p->use->reactor;
    (void)fd;
    (void)what;
    p->use = NULL;
    p->request.use_counted = true;
    reactor_dispatch(r, p);
}

void
reactor_use_start(struct reactor *r, struct pending *p)
{
    p->use = arena_alloc(https_exchange_arena(p->exchange), sizeof(*p->use));
    if (!p->use) {
        fail(r, p, ERR_NOMEM);
        return;
    }
    *p->use = (struct use_exchange){.reactor = r};
    count_once(r, p);
}

/* In turns of their own: the answer comes within a step of the actors. */
void
reactor_use_reply(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct timeval now = {0}, later = {.tv_usec = AGAIN_MS * 1000};
    /* Another count makes this one be refused, in one way or another. */
    bool again = reply->err == ERR_VERSION_MISMATCH || reply->err == ERR_CONTENDED ||
                 reply->err == ERR_FORBIDDEN || reply->err == ERR_NOT_FOUND;
    int failed = 0;
    if (reply->err == OK)
        failed = event_base_once(r->base, -1, EV_TIMEOUT, on_counted, p, &now);
    else if (again && ++p->use->tries < TRIES_MAX)
        failed = event_base_once(r->base, -1, EV_TIMEOUT, on_again, p, &later);
    else /* what was asked for has not begun */
        fail(r, p, again ? ERR_BUSY : reply->err);
    if (failed != 0)
        fail(r, p, ERR_NOMEM);
}
