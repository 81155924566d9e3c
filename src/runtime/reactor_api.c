/*
 * API requests: from HTTP to the gateway actor and back, and what the runtime answers from its own
 * snapshots.
 */
#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/authority.h"
#include "actors/lease.h"
#include "api/status.h"
#include "runtime/link.h"
#include "runtime/reactor_internal.h"
#include "store/store_wt.h"

enum { MADE_ID_BYTES = 8 };

static const char *
operation_name(const struct request *request)
{
    if (!request->routed)
        return "none";
    return request->kind == REQUEST_AUTH ? auth_op_name(request->auth_op)
                                         : request_kind_name(request->kind);
}

/* What the node does at level debug is followed request by request, so there all are told. */
static bool
may_tell(struct reactor *r, enum log_level level)
{
    const struct log_sink *log = r->options.log;
    uint64_t left_out;
    if (level == LOG_DEBUG || log->level_min == LOG_DEBUG)
        return true;
    if (!log_ration_take(&r->ration, reactor_now(), &left_out))
        return false;
    if (left_out > 0)
        log_event(log, level, "gateway", "requests_left_out", log_u64("count", left_out));
    return true;
}

/*
 * Who did what is in the audit trail: a line for each request would say it once more. Health is
 * asked for all the time, by anybody; reactor_tell_readiness() says when it changes.
 */
static enum log_level
level_of(const struct pending *p, unsigned status)
{
    bool health = p->request.routed && p->request.kind == REQUEST_HEALTH;
    return status >= 500 && !health ? LOG_WARN : LOG_DEBUG;
}

static void
count(struct reactor *r, const struct pending *p, unsigned status, enum vault_err err)
{
    enum log_level level = level_of(p, status);
    unsigned route = p->request.routed ? (unsigned)p->request.kind : (unsigned)REQUEST_KINDS;
    uint64_t us = instant_since(reactor_now(), p->started).ns / 1000;
    if (status < METRIC_STATUSES)
        r->metrics.responses[route][status]++;
    latency_record(&r->metrics.latency[route], us);
    if (err != OK && (unsigned)err < METRIC_REASONS)
        r->metrics.refusals[err]++;
    if (!may_tell(r, level))
        return;
    log_event(r->options.log, level, "gateway", "request", log_token("request_id", p->request.id),
              log_text("operation", operation_name(&p->request)), log_u64("status", status),
              log_u64("duration_us", us), log_err("outcome", err));
}

void
reactor_respond(struct reactor *r, struct pending *p, struct api_response *response,
                enum vault_err err)
{
    count(r, p, response->status, err);
    if (!p->noted)
        reactor_note_answer(r, p, operation_name(&p->request),
                            err == OK && response->status == 503 ? ERR_NOT_READY : err);
    if (err == ERR_UNAUTHENTICATED && !request_is_login(&p->request))
        door_failed(&r->door, reactor_now(), p->request.credential, p->request.address);
    https_respond(p->exchange, p->request.id, response);
}

void
reactor_respond_error(struct reactor *r, struct pending *p, enum vault_err err, const char *allow)
{
    struct api_response response = {0};
    if (api_render_refusal(&p->request, err, allow, &response) != OK)
        response.status = 500; /* no memory even for the error */
    reactor_respond(r, p, &response, err);
}

static void
respond_later(struct reactor *r, struct pending *p, enum vault_err err, unsigned retry_after_ms)
{
    struct api_response response = {0};
    if (api_render_later(p->request.id, err, retry_after_ms, &response) != OK)
        response.status = 500;
    reactor_respond(r, p, &response, err);
}

void
reactor_reply(struct reactor *r, uint64_t exchange, const struct reply *reply)
{
    struct pending *p = (struct pending *)(uintptr_t)exchange;
    struct api_response response = {0};
    if (p->use) {
        reactor_use_reply(r, p, reply);
        return;
    }
    p->noted = true;
    if (p->request.refused != OK && reply->err == p->request.refused) {
        reactor_respond_error(r, p, reply->err, p->allow);
        return;
    }
    if (p->env) {
        reactor_env_reply(r, p, reply);
        return;
    }
    if (p->copy) {
        reactor_copy_reply(r, p, reply);
        return;
    }
    if (p->auth) {
        reactor_auth_reply(r, p, reply);
        return;
    }
    if (api_render(&p->request, reply, &response) != OK) {
        api_response_close(&response);
        reactor_respond_error(r, p, ERR_NOMEM, NULL);
        return;
    }
    reactor_respond(r, p, &response, reply->err);
}

/* ---- status ---- */

static void
fill_peer(const struct reactor *r, unsigned i, struct peer_status *peer)
{
    const struct membership *ms = node_membership(r->node);
    const struct member *member = &ms->members[i];
    *peer = (struct peer_status){.self = i == ms->self,
                                 .connected = i == ms->self || member->connected,
                                 .round_trip_us = member->round_trip_ns / 1000,
                                 .incarnation = member->incarnation,
                                 .escrow_backlog = member->escrow_backlog,
                                 .paths = member->paths,
                                 .paths_known = member->paths_known,
                                 .recovering = member->recovery != RECOVERY_NONE,
                                 .clock_offset_ms = member->clock_offset_ms};
    const struct exchange *exchange = &node_anti_entropy(r->node)->exchanges[i];
    peer->compared = exchange->compared;
    peer->in_sync = exchange->in_sync;
    peer->compared_ms = instant_since(reactor_now(), exchange->compared_at).ns / 1000000;
    if (i == ms->self) {
        peer->paths = ms->held.paths;
        peer->paths_known = ms->held.known;
        peer->since_ms = instant_since(reactor_now(), r->started).ns / 1000000;
        return;
    }
    struct link_stats stats;
    links_stats(r->links, i, &stats);
    peer->config_mismatch = stats.config_mismatch;
    peer->token_known = stats.token_known;
    peer->token_differs = stats.token_differs;
    peer->since_ms = instant_since(reactor_now(), stats.since).ns / 1000000;
    peer->queued_bytes = stats.queued_bytes;
    peer->sent_messages = stats.sent;
    peer->received_messages = stats.received;
    peer->refused_messages = stats.dropped;
}

static void
fill_recovery(const struct node *node, struct node_status *s)
{
    struct recovery_progress p;
    node_recovery(node, &p);
    s->recovery.state = p.behind || p.incarnation == 0 ? "starting"
                        : p.state == RECOVERY_HANDOVER ? "handover"
                        : p.state == RECOVERY_SHARES   ? "parts"
                                                       : "none";
    s->recovery.blocked = p.blocked;
    s->recovery.peers_complete = p.peers_complete;
    s->recovery.peers_needed = p.peers_needed;
    s->recovery.versions = p.versions;
    s->recovery.bytes = p.bytes;
    s->recovery.unfinished = p.unfinished;
    s->recovery.missing = p.missing;
}

static const char *
why_not_serving(const struct node_status *s)
{
    if (s->recovery.blocked)
        return "more stores are lost than the other nodes can make up for: restore from a backup";
    if (strcmp(s->recovery.state, "none") == 0 || strcmp(s->recovery.state, "parts") == 0)
        return "the node is starting";
    return "the store was lost or rolled back, and the other nodes hand over what they have";
}

static void
fill_repair(const struct reactor *r, struct repair_status *s)
{
    const struct repair_progress *progress = &node_membership(r->node)->repair;
    *s = (struct repair_status){
        .lacking = progress->lacking,
        .recovering = progress->under_way,
        .recovered = r->metrics.counters[METRIC_shares_recovered],
        .restored = r->metrics.counters[METRIC_records_restored],
        .paths_damaged = progress->paths_damaged,
        .paths_in_doubt = progress->paths_in_doubt,
        .scrub_rows_per_s = progress->scrub_rows_per_s,
        .scrub_passes = progress->scrub_passes,
        .scrub_last_ms = progress->scrub_last_ms,
        .scrub_rows = progress->scrub_rows,
        .scrub_bytes = progress->scrub_bytes,
        .scrub_rows_expected = progress->scrub_rows_expected,
    };
}

static void
fill_reasons(struct node_status *s, const struct reactor *r)
{
    const struct membership *ms = node_membership(r->node);
    size_t n = 0;
    if (!s->quorum)
        s->not_ready_reasons[n++] = "too few nodes are connected";
    else if (!node_serving(r->node))
        s->not_ready_reasons[n++] = why_not_serving(s);
    else if (!lease_is_valid(ms, reactor_now()))
        s->not_ready_reasons[n++] = "who may do what is being compared with the other nodes";
    if (ms->audit_failing)
        s->not_ready_reasons[n++] = "the audit trail cannot be written: see the log, and the disk";
    if (s->sealed)
        s->not_ready_reasons[n++] = "the master key is missing or not the right one";
    s->ready = n == 0;
}

/*
 * The storage threads count in powers of two of a microsecond; the first bucket of a latency
 * histogram ends at 32.
 */
static void
copy_commit_metrics(struct metrics *metrics, const struct storage_io_stats *io)
{
    enum { LOG2_BUCKETS = 24, FIRST = 5 };
    struct latency_histogram *h = &metrics->commit;
    *h = (struct latency_histogram){.count = io->batches, .sum_us = io->flush_ns_total / 1000};
    for (unsigned i = 0; i < LOG2_BUCKETS; i++) {
        unsigned bucket = i <= FIRST ? 0 : i - FIRST;
        h->buckets[bucket < METRIC_LATENCY_BUCKETS ? bucket : METRIC_LATENCY_BUCKETS - 1] +=
            io->flush_us_log2[i];
    }
    metrics->counters[METRIC_store_commits] = io->commits;
    metrics->counters[METRIC_store_flushes] = io->batches;
    metrics->commit_batch_sum = io->commits;
}

static void
fill_anti_entropy(const struct reactor *r, struct anti_entropy_status *s)
{
    const struct anti_entropy *ae = node_anti_entropy(r->node);
    const uint64_t *counters = r->metrics.counters;
    *s = (struct anti_entropy_status){
        .ready = ae->digests->whole,
        .paths = ae->digests->paths,
        .rounds = counters[METRIC_anti_entropy_rounds],
        .lost = counters[METRIC_anti_entropy_lost],
        .ranges = counters[METRIC_anti_entropy_ranges],
        .differences = counters[METRIC_anti_entropy_differences],
        .told = counters[METRIC_heads_told],
        .taken = counters[METRIC_heads_taken],
        .finished = counters[METRIC_anti_entropy_finished],
        .backlog = anti_entropy_backlog(ae),
    };
}

static void
fill_certificates(const struct reactor *r, struct node_status *s)
{
    const struct certificate_watch *watch = &r->options.certificates;
    uint64_t now = reactor_wall_ms();
    s->certificate_known = watch->node_ends_ms > 0;
    s->ca_known = watch->ca_ends_ms > 0;
    s->certificate_left_s = certificate_seconds_left(watch->node_ends_ms, now);
    s->ca_left_s = certificate_seconds_left(watch->ca_ends_ms, now);
}

static void
fill_status(struct reactor *r, struct node_status *s)
{
    const struct membership *ms = node_membership(r->node);
    const struct cluster *cluster = ms->cluster;
    struct storage_io_stats io;
    struct store_wt_stats wt;
    unsigned connected = 0;
    storage_io_stats(r->options.storage, &io);
    store_wt_stats(r->options.store, &wt);
    *s = (struct node_status){
        .cluster = cluster,
        .self = ms->self,
        .version = OSTRAKA_VERSION,
        .uptime_ms = instant_since(reactor_now(), r->started).ns / 1000000,
        .sealed = cluster->seal != SEAL_NONE && (!r->options.master || r->options.master_incorrect),
        .requests_in_flight = node_in_flight(r->node),
        .connections = https_connections(r->https),
        .store_sequence = ms->members[ms->self].sequence,
        .store_log_bytes = wt.log_bytes,
        .disk_free_bytes = wt.disk_free_bytes,
        .store_waiting = io.waiting,
        .repairs_staged = r->metrics.counters[METRIC_repairs_staged],
        .repairs_done = r->metrics.counters[METRIC_repairs_done],
        .share_key_id = ms->members[ms->self].share_key.id,
    };
    for (unsigned i = 0; i < cluster->node_count; i++) {
        fill_peer(r, i, &s->peers[i]);
        connected += s->peers[i].connected;
        s->escrow_backlog += s->peers[i].escrow_backlog;
    }
    fill_anti_entropy(r, &s->anti_entropy);
    fill_repair(r, &s->repair);
    fill_certificates(r, s);
    s->identity_records = node_membership(r->node)->records->records.count;
    s->revocation_lists.due = node_membership(r->node)->alarms->lists.found.due;
    s->revocation_lists.overdue = node_membership(r->node)->alarms->lists.found.overdue;
    s->quorum = connected >= cluster_node_majority(cluster);
    fill_recovery(r->node, s);
    fill_reasons(s, r);
    copy_commit_metrics(&r->metrics, &io);
}

void
reactor_tell_readiness(struct reactor *r)
{
    struct node_status status;
    fill_status(r, &status);
    const char *reason = status.ready ? NULL : status.not_ready_reasons[0];
    if (r->readiness_told && reason == r->not_ready_reason)
        return;
    r->readiness_told = true;
    r->not_ready_reason = reason;
    if (reason)
        log_event(r->options.log, LOG_WARN, "server", "not_ready", log_text("reason", reason));
    else
        log_event(r->options.log, LOG_INFO, "server", "ready",
                  log_u64("uptime_ms", status.uptime_ms));
}

/* Refused before any actor has seen it: the gateway notes it, and the answer waits for that. */
static void
refuse_noted(struct reactor *r, struct pending *p, enum vault_err err, const char *allow)
{
    struct msg msg = {.kind = MSG_REQUEST,
                      .request_id = p->request.id,
                      .u.request = {.request = &p->request, .exchange = (uint64_t)(uintptr_t)p}};
    p->request.refused = err;
    p->allow = allow;
    reactor_deliver(r, ACTOR_GATEWAY, &msg);
}

/* Health, status and metrics come from snapshots of this node; the latter two are for operators. */
static void
answer_locally(struct reactor *r, struct pending *p)
{
    struct node_status status;
    struct api_response response = {0};
    enum vault_err err;
    fill_status(r, &status);
    if (p->request.kind == REQUEST_HEALTH) {
        err = api_render_health(&status, &response);
    } else if ((err = reactor_authorize(r, &p->request)) != OK) {
        refuse_noted(r, p, err, NULL);
        return;
    } else if (p->request.kind == REQUEST_STATUS) {
        err = api_render_status(&status, &response);
    } else {
        err = api_render_metrics(&status, &r->metrics, &response);
    }
    if (err != OK) {
        api_response_close(&response);
        reactor_respond_error(r, p, err, NULL);
        return;
    }
    reactor_respond(r, p, &response, OK);
}

/* ---- what the front refuses ---- */

/* Perhaps within a step of the node, so it is noted after that. */
void
reactor_on_refused(void *context, struct bytes request_id, enum vault_err err)
{
    struct reactor *r = context;
    struct refused_note *note = &r->refused[r->refused_count];
    if (r->refused_count == REFUSED_NOTES_MAX || request_id.size > sizeof(note->id)) {
        metrics_count(&r->metrics, METRIC_audit_refused);
        return;
    }
    *note = (struct refused_note){.err = err, .id_size = request_id.size};
    memcpy(note->id, request_id.data, request_id.size);
    r->refused_count++;
}

void
reactor_note_refused(struct reactor *r)
{
    for (size_t i = 0; i < r->refused_count; i++) {
        const struct refused_note *note = &r->refused[i];
        const struct audit_record record = {.kind = AUDIT_refusal,
                                            .node = node_membership(r->node)->self,
                                            .request_id = bytes_of(note->id, note->id_size),
                                            .operation = bytes_of_text("none"),
                                            .outcome = bytes_of_text(vault_err_name(note->err))};
        struct step st;
        reactor_step(r, &st);
        node_note(r->node, &st, &r->executor, &record);
        reactor_step_done(r);
    }
    r->refused_count = 0;
}

/* ---- requests ---- */

/* Within another step or not: nothing here takes memory of the step. */
enum vault_err
reactor_authorize(struct reactor *r, const struct request *request)
{
    struct step st;
    reactor_step(r, &st);
    enum vault_err err = authority_of_request(node_membership(r->node), &st, request);
    alarms_client_refused(node_membership(r->node), &st, request->credential, err);
    return err;
}

bool
reactor_may_connect(void *context, const struct address *peer)
{
    struct reactor *r = context;
    return door_may_connect(&r->door, peer, reactor_now());
}

static enum vault_err
enter(struct reactor *r, const struct https_exchange *exchange, const struct http_request *head,
      unsigned *retry_after_ms)
{
    struct door_caller caller = {https_exchange_address(exchange), api_tenant(head),
                                 api_credential(head)};
    if (api_is_login(head))
        caller.credential = (struct bytes){0};
    struct step st;
    reactor_step(r, &st);
    return door_enter(&r->door, &st, &caller, retry_after_ms);
}

/* By its address alone: what has no head has no credential. */
bool
reactor_may_be_told(void *context, const struct https_exchange *exchange)
{
    struct reactor *r = context;
    const struct door_caller caller = {.address = https_exchange_address(exchange)};
    unsigned ignored;
    struct step st;
    reactor_step(r, &st);
    return door_enter(&r->door, &st, &caller, &ignored) == OK;
}

/* Who may do nothing in that tenant is told so when all of the request is here, as of any other. */
enum vault_err
reactor_may_send_body(void *context, struct https_exchange *exchange,
                      const struct http_request *head, unsigned *retry_after_ms)
{
    struct reactor *r = context;
    struct step st;
    enum vault_err err = enter(r, exchange, head, retry_after_ms);
    if (err != OK)
        return err;
    if (api_is_login(head))
        return api_login_admits(head);
    reactor_step(r, &st);
    err =
        authority_of_caller(node_membership(r->node), &st, api_tenant(head), api_credential(head));
    alarms_client_refused(node_membership(r->node), &st, api_credential(head), err);
    if (err == ERR_UNAUTHENTICATED)
        door_failed(&r->door, st.now, api_credential(head), https_exchange_address(exchange));
    /* What is not known now is answered when the request is whole. */
    return err == ERR_UNAUTHENTICATED ? err : OK;
}

/* Whoever names no tenant acts in the own one. */
static enum vault_err
enter_own_tenant(struct reactor *r, struct arena *arena, struct request *request)
{
    if (request->has_tenant)
        return OK;
    return arena_copy(arena, authority_tenant(node_membership(r->node), request->credential),
                      &request->tenant);
}

static enum vault_err
make_id(struct reactor *r, struct arena *arena, struct bytes *out)
{
    uint8_t id[MADE_ID_BYTES];
    char text[2 * MADE_ID_BYTES + 1];
    enum vault_err err = rng_fill(&r->options.rng, id, sizeof(id));
    if (err != OK)
        return err;
    hex_encode(bytes_of(id, sizeof(id)), text);
    return arena_copy(arena, bytes_of(text, 2 * MADE_ID_BYTES), out);
}

void
reactor_on_request(void *context, struct https_exchange *exchange, const struct http_request *http)
{
    struct reactor *r = context;
    struct arena *arena = https_exchange_arena(exchange);
    struct pending *p = arena_alloc(arena, sizeof(*p));
    struct bytes id = {0};
    const char *allow = NULL;
    unsigned retry_after_ms = 0;
    enum vault_err err = p ? make_id(r, arena, &id) : ERR_NOMEM;
    if (!p) {
        struct api_response none = {.status = 503};
        https_respond(exchange, id, &none);
        return;
    }
    p->exchange = exchange;
    p->started = reactor_now();
    p->request.id = id;
    p->request.address = https_exchange_address(exchange);
    if (err == OK && !https_exchange_let_in(exchange))
        err = enter(r, exchange, http, &retry_after_ms);
    if (err == ERR_RATE_LIMITED) {
        p->request.id = api_request_id(http, id);
        respond_later(r, p, err, retry_after_ms);
        return;
    }
    if (err == OK)
        err = api_parse(http, id, arena, &p->request, &allow);
    p->request.address = https_exchange_address(exchange);
    if (err == OK)
        err = enter_own_tenant(r, arena, &p->request);
    if (err != OK) {
        refuse_noted(r, p, err, allow);
        return;
    }
    if (p->request.kind != REQUEST_HEALTH &&
        authority_counts_uses(node_membership(r->node), p->request.credential))
        reactor_use_start(r, p);
    else
        reactor_dispatch(r, p);
}

void
reactor_dispatch(struct reactor *r, struct pending *p)
{
    if (p->request.kind == REQUEST_HEALTH || p->request.kind == REQUEST_STATUS ||
        p->request.kind == REQUEST_METRICS) {
        answer_locally(r, p);
        return;
    }
    if (p->request.kind == REQUEST_ENV) {
        reactor_env_start(r, p);
        return;
    }
    if (p->request.kind == REQUEST_COPY) {
        reactor_copy_start(r, p);
        return;
    }
    if (p->request.kind == REQUEST_AUTH) {
        reactor_auth_start(r, p);
        return;
    }
    struct msg msg = {.kind = MSG_REQUEST,
                      .request_id = p->request.id,
                      .u.request = {.request = &p->request, .exchange = (uint64_t)(uintptr_t)p}};
    reactor_deliver(r, ACTOR_GATEWAY, &msg);
}
