/*
 * Health and status as JSON. Health is for anybody and says little; status is for operators.
 * Neither shows key material, hashes of tokens, or the names of secrets.
 */
#include "api/json_out.h"
#include "api/status.h"

static void
put_number(struct json_out *out, const char *key, uint64_t number)
{
    json_out_key(out, key);
    json_out_u64(out, number);
}

/* 0 stands for "not known". */
static void
put_number_or_null(struct json_out *out, const char *key, uint64_t number)
{
    json_out_key(out, key);
    if (number == 0)
        json_out_null(out);
    else
        json_out_u64(out, number);
}

static void
put_flag(struct json_out *out, const char *key, bool value)
{
    json_out_key(out, key);
    json_out_bool(out, value);
}

static void
put_text(struct json_out *out, const char *key, const char *text)
{
    json_out_key(out, key);
    json_out_text(out, text);
}

static void
put_hex(struct json_out *out, const char *key, const uint8_t *data, size_t size)
{
    char text[2 * HASH_BYTES + 1];

    assert(size <= HASH_BYTES);
    hex_encode(bytes_of(data, size), text);
    put_text(out, key, text);
}

static void
put_readiness(struct json_out *out, const struct node_status *status)
{
    size_t reasons_max = sizeof status->not_ready_reasons / sizeof status->not_ready_reasons[0];

    put_text(out, "status", status->ready ? "ready" : "not_ready");
    put_flag(out, "sealed", status->sealed);
    put_flag(out, "quorum", status->quorum);
    put_text(out, "node", status->cluster->nodes[status->self].name);
    if (status->ready)
        return;
    json_out_key(out, "reasons");
    json_out_open(out, '[');
    for (size_t i = 0; i < reasons_max && status->not_ready_reasons[i]; i++)
        json_out_text(out, status->not_ready_reasons[i]);
    json_out_close(out, ']');
}

static void
put_cluster(struct json_out *out, const struct cluster *cluster)
{
    json_out_key(out, "cluster");
    json_out_open(out, '{');
    put_hex(out, "id", cluster->id, sizeof cluster->id);
    put_hex(out, "configuration", cluster->config_hash, sizeof cluster->config_hash);
    put_number(out, "nodes", cluster->node_count);
    put_number(out, "replicas", cluster->share_count);
    put_number(out, "threshold", cluster->threshold);
    put_number(out, "majority", cluster_majority(cluster));
    put_number(out, "erase_quorum", cluster_erase_quorum(cluster));
    put_text(out, "seal", cluster->seal == SEAL_FILE ? "file" : "none");
    json_out_close(out, '}');
}

static void
put_number_if(struct json_out *out, const char *key, bool known, uint64_t number)
{
    json_out_key(out, key);
    if (known)
        json_out_u64(out, number);
    else
        json_out_null(out);
}

static void
put_placement(struct json_out *out, const struct node_status *status)
{
    static const char *const available[] = {
        [PATHS_NONE] = "none", [PATHS_SOME] = "some", [PATHS_ALL] = "all"};
    const struct peer_status *self = &status->peers[status->self];
    struct placement_status placement;

    placement_status(status, &placement);
    json_out_key(out, "placement");
    json_out_open(out, '{');
    put_number_if(out, "paths", self->paths_known, self->paths);
    put_number_if(out, "cluster_paths", placement.known, placement.cluster_paths);
    put_number_if(out, "permille", placement.known, placement.permille);
    put_number(out, "even_permille", placement.even_permille);
    put_text(out, "available", available[placement.available]);
    json_out_close(out, '}');
}

static const char *
link_state(const struct peer_status *peer)
{
    if (peer->self)
        return "self";
    if (peer->config_mismatch)
        return "configuration_mismatch";
    return peer->connected ? "connected" : "disconnected";
}

/* Whole seconds: what clocks that agree differ by is no news. */
static void
put_clock(struct json_out *out, const struct peer_status *peer)
{
    json_out_key(out, "clock_offset_s");
    if (peer->self || !peer->connected)
        json_out_null(out);
    else
        json_out_i64(out, peer->clock_offset_ms / 1000);
}

static void
put_peer(struct json_out *out, const char *name, const struct peer_status *peer)
{
    json_out_open(out, '{');
    put_text(out, "node", name);
    put_text(out, "link", link_state(peer));
    put_number(out, "since_ms", peer->since_ms);
    put_number_or_null(out, "round_trip_us", peer->round_trip_us);
    put_number_or_null(out, "incarnation", peer->incarnation);
    put_number(out, "backlog", peer->escrow_backlog);
    put_number(out, "queued_bytes", peer->queued_bytes);
    put_number(out, "sent_messages", peer->sent_messages);
    put_number(out, "received_messages", peer->received_messages);
    put_number(out, "refused_messages", peer->refused_messages);
    put_number_if(out, "paths", peer->paths_known, peer->paths);
    json_out_key(out, "in_sync");
    if (peer->compared)
        json_out_bool(out, peer->in_sync);
    else
        json_out_null(out);
    json_out_key(out, "compared_ms");
    if (peer->compared)
        json_out_u64(out, peer->compared_ms);
    else
        json_out_null(out);
    put_flag(out, "recovering", peer->recovering);
    put_clock(out, peer);
    json_out_key(out, "admin_token_differs");
    if (peer->token_known)
        json_out_bool(out, peer->token_differs);
    else
        json_out_null(out);
    json_out_close(out, '}');
}

static void
put_peers(struct json_out *out, const struct node_status *status)
{
    json_out_key(out, "peers");
    json_out_open(out, '[');
    for (unsigned i = 0; i < status->cluster->node_count; i++)
        put_peer(out, status->cluster->nodes[i].name, &status->peers[i]);
    json_out_close(out, ']');
}

static void
put_store(struct json_out *out, const struct node_status *status)
{
    json_out_key(out, "store");
    json_out_open(out, '{');
    put_number(out, "sequence", status->store_sequence);
    put_number(out, "log_bytes", status->store_log_bytes);
    put_number(out, "disk_free_bytes", status->disk_free_bytes);
    put_number(out, "waiting", status->store_waiting);
    json_out_close(out, '}');
}

static void
put_anti_entropy(struct json_out *out, const struct anti_entropy_status *status)
{
    json_out_key(out, "anti_entropy");
    json_out_open(out, '{');
    put_flag(out, "ready", status->ready);
    put_number(out, "paths", status->paths);
    put_number(out, "rounds", status->rounds);
    put_number(out, "lost", status->lost);
    put_number(out, "ranges", status->ranges);
    put_number(out, "differences", status->differences);
    put_number(out, "told", status->told);
    put_number(out, "taken", status->taken);
    put_number(out, "finished", status->finished);
    put_number(out, "backlog", status->backlog);
    json_out_close(out, '}');
}

static void
put_repair(struct json_out *out, const struct node_status *status)
{
    json_out_key(out, "repair");
    json_out_open(out, '{');
    put_number(out, "backlog", status->escrow_backlog);
    put_number(out, "staged", status->repairs_staged);
    put_number(out, "done", status->repairs_done);
    put_anti_entropy(out, &status->anti_entropy);
    put_number(out, "lacking", status->repair.lacking);
    put_number(out, "recovering", status->repair.recovering);
    put_number(out, "recovered", status->repair.recovered);
    put_number(out, "restored", status->repair.restored);
    put_number(out, "paths_damaged", status->repair.paths_damaged);
    put_number(out, "paths_in_doubt", status->repair.paths_in_doubt);
    json_out_close(out, '}');
}

static void
put_recovery(struct json_out *out, const struct node_status *status)
{
    json_out_key(out, "recovery");
    json_out_open(out, '{');
    put_text(out, "state", status->recovery.state);
    put_flag(out, "blocked", status->recovery.blocked);
    put_number(out, "peers_complete", status->recovery.peers_complete);
    put_number(out, "peers_needed", status->recovery.peers_needed);
    put_number(out, "versions", status->recovery.versions);
    put_number(out, "bytes", status->recovery.bytes);
    put_number(out, "unfinished", status->recovery.unfinished);
    put_number(out, "missing", status->recovery.missing);
    json_out_close(out, '}');
}

static void
put_scrub(struct json_out *out, const struct repair_status *repair)
{
    json_out_key(out, "scrub");
    json_out_open(out, '{');
    put_number(out, "rows_per_s", repair->scrub_rows_per_s);
    put_number(out, "passes", repair->scrub_passes);
    put_number(out, "rows", repair->scrub_rows);
    put_number(out, "bytes", repair->scrub_bytes);
    put_number_or_null(out, "rows_expected", repair->scrub_rows_expected);
    put_number_or_null(out, "last_pass_ms", repair->scrub_last_ms);
    json_out_close(out, '}');
}

static enum vault_err
finish(const struct json_out *out, struct api_response *response)
{
    if (out->err != OK)
        api_response_close(response);
    return out->err;
}

enum vault_err
api_render_health(const struct node_status *status, struct api_response *response)
{
    struct json_out out;

    *response = (struct api_response){.status = status->ready ? 200 : 503,
                                      .content_type = "application/json"};
    json_out_init(&out, &response->body);
    json_out_open(&out, '{');
    put_readiness(&out, status);
    json_out_close(&out, '}');
    return finish(&out, response);
}

enum vault_err
api_render_status(const struct node_status *status, struct api_response *response)
{
    struct json_out out;

    *response = (struct api_response){.status = 200, .content_type = "application/json"};
    json_out_init(&out, &response->body);
    json_out_open(&out, '{');
    put_readiness(&out, status);
    put_text(&out, "version", status->version);
    put_number(&out, "uptime_ms", status->uptime_ms);
    put_number(&out, "requests_in_flight", status->requests_in_flight);
    put_number(&out, "connections", status->connections);
    put_number(&out, "key_id", status->share_key_id);
    put_cluster(&out, status->cluster);
    put_placement(&out, status);
    put_peers(&out, status);
    put_store(&out, status);
    put_repair(&out, status);
    put_recovery(&out, status);
    put_scrub(&out, &status->repair);
    json_out_close(&out, '}');
    return finish(&out, response);
}
