/*
 * Runs flows (api/auth_flow.h): their steps go to the gateway like any request, one after the other,
 * in the name of whoever called.
 */
#include "actors/alarms.h"
#include "actors/authority.h"
#include "api/auth_flow.h"
#include "auth/login.h"
#include "runtime/reactor_internal.h"

/* Lives in the exchange's arena. */
struct auth_exchange {
    struct reactor *reactor;
    struct pending *pending;
    struct auth_flow flow;
    struct login_desk desk;
};

/* ---- logins ---- */

/* The records are not to be borrowed: they change while the flow goes on. */
static enum vault_err
copy_login(struct arena *arena, struct login *login)
{
    enum vault_err err = arena_copy(arena, login->tenant, &login->tenant);
    for (size_t i = 0; i < login->policies.count && err == OK; i++)
        err = arena_copy(arena, login->policies.names[i], &login->policies.names[i]);
    return err;
}

static enum vault_err
enter_login(void *context, struct bytes name, struct bytes credential, struct bytes tenant,
            struct arena *arena, struct login *out, unsigned *retry_after_ms)
{
    struct auth_exchange *auth = context;
    struct reactor *r = auth->reactor;
    struct bytes address = auth->pending->request.address;
    const struct membership *ms = node_membership(r->node);
    struct step st;
    reactor_step(r, &st);
    *out = (struct login){0};
    *retry_after_ms = door_login_wait_ms(&r->door, st.now, name, address);
    if (*retry_after_ms > 0) {
        metrics_count(&r->metrics, METRIC_limits_exceeded);
        return ERR_RATE_LIMITED;
    }
    enum vault_err err = authority_login(ms, &st, tenant, credential, out);
    if (err == ERR_UNAUTHENTICATED) {
        door_login_failed(&r->door, st.now, name, address);
        alarms_client_refused(ms, &st, credential, err);
    }
    return err == OK ? copy_login(arena, out) : err;
}

static void
login_succeeded(void *context, struct bytes name)
{
    struct auth_exchange *auth = context;
    door_login_succeeded(&auth->reactor->door, name);
}

/* ---- */

static void
set_clocks(struct reactor *r, struct auth_flow *flow)
{
    flow->now_ms = reactor_wall_ms();
    flow->agreed_ms = membership_clock_ms(node_membership(r->node), flow->now_ms);
}

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
    auth->pending = p;
    auth->desk =
        (struct login_desk){.context = auth, .enter = enter_login, .succeeded = login_succeeded};
    auth->flow = (struct auth_flow){
        .request = &p->request, .arena = arena, .rng = &r->options.rng, .desk = &auth->desk};
    set_clocks(r, &auth->flow);
    p->auth = auth;
    take_turn(r, p, auth_flow_start(&auth->flow));
}

void
reactor_auth_reply(struct reactor *r, struct pending *p, const struct reply *reply)
{
    set_clocks(r, &p->auth->flow);
    take_turn(r, p, auth_flow_continue(&p->auth->flow, reply));
}
