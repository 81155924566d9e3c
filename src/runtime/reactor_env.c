/*
 * .env texts. Everything that a text refers to is read by one batch, the result is made, and only
 * then is everything that it creates created by another: what could still be refused has been by
 * then, and whoever gets the result finds all of it in the vault.
 *
 * Under an Idempotency-Key the answer must be the same each time. What is remembered is the
 * creation, with the moment from which it holds: so the values in the result are those of that moment, read
 * after it, which no later change alters.
 */
#include "base/cbor.h"
#include "env/env_plan.h"
#include "runtime/reactor_internal.h"

/* Lives in the exchange's arena. */
struct env_exchange {
    struct reactor *reactor;
    struct request batch; /* under way */
    struct buf text;      /* the result, once it is made; wiped */
    bool again;           /* it is being made once more, as of the moment of the creation */
};

static void
end(struct reactor *r, struct pending *p, enum vault_err err)
{
    struct api_response response = {0};
    if (err == OK)
        err = api_render_env(&p->request, &p->env->text, &response);
    buf_close(&p->env->text);
    if (err == OK) {
        reactor_respond(r, p, &response, OK);
        return;
    }
    p->noted = false; /* the records of its parts do not tell it */
    reactor_respond_error(r, p, err, NULL);
}

/* The batch was refused: its answer is the request's, with lines. */
static void
end_refused(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct api_response response = {0};
    buf_close(&p->env->text);
    if (api_render(&p->env->batch, reply, &response) == OK) {
        reactor_respond(r, p, &response, reply->err);
        return;
    }
    api_response_close(&response);
    reactor_respond_error(r, p, ERR_NOMEM, NULL);
}

static void
deliver_batch(struct reactor *r, struct pending *p)
{
    struct msg msg = {.kind = MSG_REQUEST,
                      .request_id = p->request.id,
                      .u.request = {.request = &p->env->batch, .exchange = (uint64_t)(uintptr_t)p}};
    reactor_deliver(r, ACTOR_GATEWAY, &msg);
}

static void
on_deliver(evutil_socket_t fd, short what, void *context)
{
    struct pending *p = context;
    (void)fd;
    (void)what;
    deliver_batch(p->env->reactor, p);
}

static bool
deliver_later(struct reactor *r, struct pending *p, uint64_t ms)
{
    struct timeval after = {.tv_sec = (time_t)(ms / 1000),
                            .tv_usec = (suseconds_t)(ms % 1000 * 1000)};
    return event_base_once(r->base, -1, EV_TIMEOUT, on_deliver, p, &after) == 0;
}

/* ---- creating ---- */

static void
add_creation(struct batch_item *item, const struct env_creation *creation)
{
    *item =
        (struct batch_item){.name = creation->name,
                            .value = creation->value,
                            .encoding = utf8_valid(creation->value) ? VALUE_TEXT : VALUE_BASE64};
}

static enum vault_err
make_creating_batch(struct pending *p)
{
    const struct env_plan *plan = p->request.env;
    struct arena *arena = https_exchange_arena(p->exchange);
    struct batch_item *items = arena_alloc(arena, plan->creation_count * sizeof(*items));
    size_t *lines = arena_alloc(arena, plan->creation_count * sizeof(*lines));
    if (!items || !lines)
        return ERR_NOMEM;
    for (size_t i = 0; i < plan->creation_count; i++) {
        add_creation(&items[i], &plan->creations[i]);
        lines[i] = plan->creations[i].line;
    }
    p->env->batch = p->request;
    p->env->batch.kind = REQUEST_BATCH_CREATE;
    p->env->batch.items = items;
    p->env->batch.item_lines = lines;
    p->env->batch.item_count = plan->creation_count;
    return OK;
}

/* In a turn of its own: the answer to the first batch comes within a step of the actors. */
static void
on_create(evutil_socket_t fd, short what, void *context)
{
    struct pending *p = context;
    struct reactor *r = p->env->reactor;
    (void)fd;
    (void)what;
    enum vault_err err = make_creating_batch(p);
    if (err == OK)
        deliver_batch(r, p);
    else
        end(r, p, err);
}

/* ---- the result ---- */

/* Values of the references, in their order; those that the text creates have none. */
static const struct bytes *
collect_values(struct pending *p, const struct reply *reply)
{
    const struct env_plan *plan = p->request.env;
    struct bytes *values = arena_alloc(https_exchange_arena(p->exchange),
                                       (plan->reference_count + 1) * sizeof(*values));
    size_t next = 0;
    for (size_t i = 0; values && i < plan->reference_count; i++) {
        if (plan->references[i].created == 0)
            values[i] = reply->items[next++].value;
    }
    return values;
}

static void
make_result(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct env_plan *plan = p->request.env;
    const struct bytes *values = collect_values(p, reply);
    struct timeval now = {0};
    enum vault_err err = values ? env_plan_render(plan, values, &p->env->text) : ERR_NOMEM;
    if (p->env->again) {
        /* All has been created, and the values of that moment have no form, or are too many. */
        end(r, p, err == OK || err == ERR_NOMEM ? err : ERR_RESULT_GONE);
        return;
    }
    if (err == ERR_TOO_LARGE)
        p->request.refusal = "the result exceeds 4 MiB";
    if (err != OK || plan->creation_count == 0)
        end(r, p, err);
    else if (event_base_once(r->base, -1, EV_TIMEOUT, on_create, p, &now) != 0)
        end(r, p, ERR_NOMEM);
}

/* ---- reading ---- */

static enum vault_err
make_reading_batch(struct pending *p)
{
    const struct env_plan *plan = p->request.env;
    struct arena *arena = https_exchange_arena(p->exchange);
    struct batch_item *items = arena_alloc(arena, (plan->reference_count + 1) * sizeof(*items));
    size_t *lines = arena_alloc(arena, (plan->reference_count + 1) * sizeof(*lines));
    size_t count = 0;
    if (!items || !lines)
        return ERR_NOMEM;
    for (size_t i = 0; i < plan->reference_count; i++) {
        const struct env_reference *reference = &plan->references[i];
        if (reference->created > 0)
            continue;
        items[count] = (struct batch_item){.name = reference->name, .version = reference->version};
        lines[count++] = reference->line;
    }
    p->env->batch = p->request;
    p->env->batch.kind = REQUEST_BATCH;
    p->env->batch.idempotency_key = (struct bytes){0};
    p->env->batch.items = items;
    p->env->batch.item_lines = lines;
    p->env->batch.item_count = count;
    return OK;
}

/* ---- the result once more ---- */

static bool
depends_on_time(const struct pending *p)
{
    const struct env_plan *plan = p->request.env;
    if (p->request.idempotency_key.size == 0 || plan->input.mode == ENV_ENCRYPT)
        return false;
    for (size_t i = 0; i < plan->reference_count; i++) {
        if (plan->references[i].created == 0 && plan->references[i].version == 0)
            return true;
    }
    return false;
}

/* From when on everything that was created was there: the same for each who asks under the key. */
static uint64_t
created_at_ms(const struct reply *reply)
{
    uint64_t at_ms = 0;
    for (size_t i = 0; i < reply->item_count; i++) {
        if (reply->items[i].valid_from_ms > at_ms)
            at_ms = reply->items[i].valid_from_ms;
    }
    return at_ms;
}

/* This node's clock may be behind the one that the moment comes from. */
static void
read_once_more(struct reactor *r, struct pending *p, uint64_t at_ms)
{
    uint64_t now_ms = reactor_wall_ms();
    enum vault_err err = make_reading_batch(p);
    p->env->again = true;
    p->env->batch.has_at = true;
    p->env->batch.at_ms = at_ms;
    buf_close(&p->env->text);
    if (err == OK && !deliver_later(r, p, at_ms > now_ms ? at_ms - now_ms : 0))
        err = ERR_NOMEM;
    if (err != OK)
        end(r, p, err);
}

/* Everything has been created: what is not there any more was erased since. */
static void
end_without_result(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct reply answer = {.err = ERR_RESULT_GONE};
    if (reply->err != ERR_NOT_FOUND)
        answer = (struct reply){.err = ERR_NO_QUORUM, .phase = PHASE_WRITING};
    end_refused(r, p, &answer);
}

void
reactor_env_start(struct reactor *r, struct pending *p)
{
    struct env_exchange *env = arena_alloc(https_exchange_arena(p->exchange), sizeof(*env));
    if (!env) {
        reactor_respond_error(r, p, ERR_NOMEM, NULL);
        return;
    }
    env->reactor = r;
    p->env = env;
    enum vault_err err = make_reading_batch(p);
    if (err == OK) /* a text may refer to nothing that would be decided upon */
        err = reactor_authorize(r, &p->request);
    if (err != OK)
        end(r, p, err);
    else if (env->batch.item_count > 0)
        deliver_batch(r, p);
    else
        make_result(r, p, &(struct reply){.err = OK});
}

void
reactor_env_reply(struct reactor *r, struct pending *p, const struct reply *reply)
{
    if (reply->err != OK && p->env->again)
        end_without_result(r, p, reply);
    else if (reply->err != OK)
        end_refused(r, p, reply);
    else if (p->env->batch.kind == REQUEST_BATCH)
        make_result(r, p, reply);
    else if (depends_on_time(p))
        read_once_more(r, p, created_at_ms(reply));
    else
        end(r, p, OK);
}
