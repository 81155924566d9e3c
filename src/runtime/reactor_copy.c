/*
 * Copies and moves. The names below a prefix are listed, their values read at one moment, and all
 * copies created by one batch: all of them or none. A move then deletes the sources, one after the
 * other, each only if it is still the version, and the secret, that was copied. What is left when
 * that breaks off are all copies and some of the sources; the same request under the same
 * Idempotency-Key goes on.
 */
#include <string.h>

#include "api/copy_body.h"
#include "runtime/reactor_internal.h"

enum { DELETING_MS_MAX = 8000 }; /* then it is for the client to go on */

enum copy_stage { COPY_LISTING, COPY_READING, COPY_CREATING, COPY_DELETING };

/* Lives in the exchange's arena. */
struct copy_exchange {
    struct reactor *reactor;
    enum copy_stage stage;
    struct request step; /* under way */
    struct batch_item items[BATCH_ITEMS_MAX];
    struct bytes sources[BATCH_ITEMS_MAX];
    uint64_t versions[BATCH_ITEMS_MAX]; /* that were read, and of which secrets */
    uint8_t incarnations[BATCH_ITEMS_MAX][INCARNATION_BYTES];
    size_t count, deleted;
};

static void
fail(struct reactor *r, struct pending *p, enum vault_err err)
{
    p->noted = false; /* the records of its steps do not tell it */
    reactor_respond_error(r, p, err, NULL);
}

/* What a step was answered is the answer to all of it. */
static void
end_refused(struct reactor *r, struct pending *p, const struct request *step,
            const struct reply *reply)
{
    struct api_response response = {0};
    if (api_render(step, reply, &response) == OK) {
        reactor_respond(r, p, &response, reply->err);
        return;
    }
    api_response_close(&response);
    fail(r, p, ERR_NOMEM);
}

static void
end_done(struct reactor *r, struct pending *p)
{
    struct reply reply = {.item_count = p->copy->count};
    end_refused(r, p, &p->request, &reply);
}

static void
deliver(struct reactor *r, struct pending *p)
{
    struct msg msg = {.kind = MSG_REQUEST,
                      .request_id = p->request.id,
                      .u.request = {.request = &p->copy->step, .exchange = (uint64_t)(uintptr_t)p}};
    reactor_deliver(r, ACTOR_GATEWAY, &msg);
}

static void
on_next(evutil_socket_t fd, short what, void *context)
{
    struct pending *p = context;
    (void)fd;
    (void)what;
    deliver(p->copy->reactor, p);
}

/* In a turn of its own: the answer to the step before comes within a step of the actors. */
static void
next(struct reactor *r, struct pending *p, enum copy_stage stage)
{
    struct timeval now = {0};
    p->copy->stage = stage;
    if (event_base_once(r->base, -1, EV_TIMEOUT, on_next, p, &now) != 0)
        fail(r, p, ERR_NOMEM);
}

static struct request
step_of(const struct pending *p, enum request_kind kind)
{
    const struct request *whole = &p->request;
    return (struct request){.kind = kind,
                            .routed = true,
                            .id = whole->id,
                            .tenant = whole->tenant,
                            .credential = whole->credential,
                            .address = whole->address,
                            .use_counted = whole->use_counted};
}

/* ---- names ---- */

static void
list_more(struct pending *p)
{
    struct copy_exchange *c = p->copy;
    c->step.limit = (uint32_t)(BATCH_ITEMS_MAX - c->count + 1);
}

static enum vault_err
start_list(struct pending *p)
{
    struct copy_exchange *c = p->copy;
    c->step = step_of(p, REQUEST_NAMES);
    list_more(p);
    return copy_prefix(&p->request, https_exchange_arena(p->exchange), &c->step.names_prefix);
}

static void
start_read(struct pending *p)
{
    struct copy_exchange *c = p->copy;
    c->step = step_of(p, REQUEST_BATCH);
    for (size_t i = 0; i < c->count; i++)
        c->items[i] = (struct batch_item){.name = c->sources[i]};
    c->step.items = c->items;
    c->step.item_count = c->count;
}

static void
take_names(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct copy_exchange *c = p->copy;
    struct arena *arena = https_exchange_arena(p->exchange);
    if (c->count + reply->name_count > BATCH_ITEMS_MAX) {
        p->request.refusal = "more than 256 secrets: copy them in pieces, by longer names for "
                             "\"from\" or one by one";
        fail(r, p, ERR_TOO_LARGE);
        return;
    }
    for (size_t i = 0; i < reply->name_count; i++) {
        if (arena_copy(arena, reply->names[i], &c->sources[c->count]) != OK) {
            fail(r, p, ERR_NOMEM);
            return;
        }
        c->count++;
    }
    if (reply->has_next) {
        list_more(p);
        if (arena_copy(arena, reply->names_next, &c->step.names_after) == OK)
            next(r, p, COPY_LISTING);
        else
            fail(r, p, ERR_NOMEM);
    } else if (c->count == 0) {
        fail(r, p, ERR_NOT_FOUND);
    } else {
        start_read(p);
        next(r, p, COPY_READING);
    }
}

/* ---- values ---- */

static struct request
deletion_of(const struct pending *p, size_t source)
{
    struct request step = step_of(p, REQUEST_DELETE);
    step.name = p->copy->sources[source];
    step.has_expected_version = true;
    step.expected_version = p->copy->versions[source];
    step.has_expected_incarnation = true;
    memcpy(step.expected_incarnation, p->copy->incarnations[source], INCARNATION_BYTES);
    return step;
}

/* Nothing is copied for a move that could not end. */
static enum vault_err
may_delete_sources(struct reactor *r, const struct pending *p)
{
    enum vault_err err = OK;
    for (size_t i = 0; p->request.copy_move && i < p->copy->count && err == OK; i++) {
        struct request step = deletion_of(p, i);
        err = reactor_authorize(r, &step);
    }
    return err;
}

static void
take_values(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct copy_exchange *c = p->copy;
    struct arena *arena = https_exchange_arena(p->exchange);
    enum vault_err err = may_delete_sources(r, p);
    for (size_t i = 0; i < c->count && err == OK; i++) {
        const struct item_result *read = &reply->items[i];
        c->versions[i] = read->version;
        memcpy(c->incarnations[i], read->incarnation, INCARNATION_BYTES);
        c->items[i] = (struct batch_item){.encoding = read->encoding};
        err = arena_copy(arena, read->value, &c->items[i].value);
        if (err == OK)
            err = copy_target(&p->request, c->sources[i], arena, &c->items[i].name);
    }
    if (err != OK) {
        p->request.refusal =
            err == ERR_BAD_NAME ? "the name of a copy would not be valid: too long" : NULL;
        fail(r, p, err);
        return;
    }
    c->step = step_of(p, REQUEST_BATCH_CREATE);
    c->step.idempotency_key = p->request.idempotency_key;
    c->step.items = c->items;
    c->step.item_count = c->count;
    next(r, p, COPY_CREATING);
}

/* ---- sources ---- */

static void
delete_next(struct reactor *r, struct pending *p)
{
    struct copy_exchange *c = p->copy;
    if (!p->request.copy_move || c->deleted == c->count) {
        end_done(r, p);
        return;
    }
    if (instant_since(reactor_now(), p->started).ns > duration_ms(DELETING_MS_MAX).ns) {
        struct reply later = {.err = ERR_NO_QUORUM, .phase = PHASE_WRITING};
        end_refused(r, p, &p->request, &later);
        return;
    }
    c->step = deletion_of(p, c->deleted);
    next(r, p, COPY_DELETING);
}

/*
 * What has gone by itself is gone. Of a source that has another version now the old one has been
 * copied; it stays.
 */
static void
take_deletion(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct copy_exchange *c = p->copy;
    struct reply answer = {.err = reply->err, .phase = PHASE_WRITING};
    if (reply->err == OK || reply->err == ERR_NOT_FOUND) {
        c->deleted++;
        delete_next(r, p);
        return;
    }
    end_refused(r, p, &p->request, &answer);
}

/* ---- */

void
reactor_copy_start(struct reactor *r, struct pending *p)
{
    struct copy_exchange *c = arena_alloc(https_exchange_arena(p->exchange), sizeof(*c));
    enum vault_err err = OK;
    if (!c) {
        fail(r, p, ERR_NOMEM);
        return;
    }
    *c = (struct copy_exchange){.reactor = r};
    p->copy = c;
    if (p->request.copy_recursive) {
        err = start_list(p);
    } else {
        c->stage = COPY_READING;
        c->sources[c->count++] = p->request.copy_from;
        start_read(p);
    }
    if (err == OK)
        deliver(r, p);
    else
        fail(r, p, err);
}

void
reactor_copy_reply(struct reactor *r, struct pending *p, const struct reply *reply)
{
    struct copy_exchange *c = p->copy;
    if (c->stage == COPY_DELETING)
        take_deletion(r, p, reply);
    else if (reply->err != OK)
        end_refused(r, p, &c->step, reply);
    else if (c->stage == COPY_LISTING)
        take_names(r, p, reply);
    else if (c->stage == COPY_READING)
        take_values(r, p, reply);
    else
        delete_next(r, p);
}
