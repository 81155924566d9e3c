/*
 * Runs flows (api/auth_flow.h): their steps go to the gateway like any request, one after the other,
 * in the name of whoever called.
 */
#include "api/auth_flow.h"
#include "runtime/reactor_internal.h"

/* Lives in the exchange's arena. */
struct auth_exchange {
    struct reactor *reactor;
    struct auth_flow flow;
};

static void
end(struct reactor *r, struct pending *p)
{
    struct auth_flow *flow = &p->auth->flow;
    struct api_response response = {0};
    if (flow->refused.err == OK) {
        reactor_respond(r, p, &flow->response, OK);
        return;
    }
    if (api_render(&p->request, &flow->refused, &response) == OK) {
        reactor_respond(r, p, &response, flow->refused.err);
        return;
    }
    api_response_close(&response);
    reactor_respond_error(r, p, ERR_NOMEM, NULL);
}

static void
on_step(evutil_socket_t fd, short what, void *context)
{
    struct pending *p = context;
    struct msg msg = {
        .kind = MSG_REQUEST,
        .request_id = p->request.id,
        .u.request = {.request = &p->auth->flow.step, .exchange = (uint64_t)(uintptr_t)p}};
    (void)fd;
    (void)what;
    p->auth->flow.step.address = p->request.address;
    p->auth->flow.step.use_counted = p->request.use_counted;
    reactor_deliver(p->auth->reactor, ACTOR_GATEWAY, &msg);
}

/* In a turn of its own: the reply to the step before comes within a step of the actors. */
static void
take_turn(struct reactor *r, struct pending *p, enum flow_turn turn)
{
    struct timeval now = {0};
    if (turn == FLOW_DONE) {
        end(r, p);
    } else if (event_base_once(r->base, -1, EV_TIMEOUT, on_step, p, &now) != 0) {
        api_response_close(&p->auth->flow.response);
        reactor_respond_error(r, p, ERR_NOMEM, NULL);
    }
}

void
reactor_auth_start(struct reactor *r, struct pending *p)
{
    struct arena *arena = https_exchange_arena(p->exchange);
    struct auth_exchange *auth = arena_alloc(arena, sizeof(*auth));
    if (!auth) {
        reactor_respond_error(r, p, ERR_NOMEM, NULL);
        return;
    }
    auth->reactor = r;
    auth->flow = (struct auth_flow){.request = &p->request,
                                    .arena = arena,
                                    .rng = &r->options.rng,
                                    .now_ms = reactor_wall_ms()};
    p->auth = auth;
    take_turn(r, p, auth_flow_start(&auth->flow));
}

void
reactor_auth_reply(struct reactor *r, struct pending *p, const struct reply *reply)
{
    p->auth->flow.now_ms = reactor_wall_ms();
    take_turn(r, p, auth_flow_continue(&p->auth->flow, reply));
}
