/* What a test asks of a cluster: requests of clients, and what lies in the stores. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actor_cluster_internal.h"

enum { SCAN_MOST = 4096 };

struct request
ac_make(enum request_kind kind, const char *name, const char *value)
{
    return (struct request){.kind = kind,
                            .routed = true,
                            .tenant = bytes_of_text("default"),
                            .name = bytes_of_text(name),
                            .credential = bytes_of_text(ac_token),
                            .value = value ? bytes_of_text(value) : (struct bytes){0},
                            .limit = PAGE_DEFAULT};
}

struct ac_request *
ac_send(struct actor_cluster *ac, unsigned node, const struct request *request)
{
    struct ac_request *r = ac_need(calloc(1, sizeof(*r)));
    struct msg msg = {.kind = MSG_REQUEST};
    r->request = *request;
    r->node = node;
    r->began_ns = ac->now_ns;
    r->exchange = ++ac->exchanges;
    ac_require(request->name.size < sizeof(r->name), "a short name");
    memcpy(r->name, request->name.data, request->name.size);
    snprintf(r->id, sizeof(r->id), "r-%lu", (unsigned long)r->exchange);
    r->value = ac_need(malloc(request->value.size + 1));
    if (request->value.size > 0)
        memcpy(r->value, request->value.data, request->value.size);
    r->request.name = bytes_of_text(r->name);
    r->request.id = bytes_of_text(r->id);
    r->request.value = bytes_of(r->value, request->value.size);
    r->next = ac->requests;
    ac->requests = r;
    msg.u.request.request = &r->request;
    msg.u.request.exchange = r->exchange;
    ac_deliver(ac, node, ACTOR_GATEWAY, &msg);
    return r;
}

struct ac_request *
ac_wait(struct actor_cluster *ac, struct ac_request *request)
{
    uint64_t until = ac->now_ns + UINT64_C(30) * 1000000000;
    while (!request->done && !request->lost && ac_step(ac, until))
        continue;
    ac_require(request->done || request->lost, "every request is answered");
    return request;
}

static struct ac_request *
send_and_wait(struct actor_cluster *ac, unsigned node, enum request_kind kind, const char *name,
              const char *value)
{
    struct request request = ac_make(kind, name, value);
    return ac_wait(ac, ac_send(ac, node, &request));
}

struct ac_request *
ac_create(struct actor_cluster *ac, unsigned node, const char *name, const char *value)
{
    return send_and_wait(ac, node, REQUEST_CREATE, name, value);
}

struct ac_request *
ac_update(struct actor_cluster *ac, unsigned node, const char *name, const char *value)
{
    return send_and_wait(ac, node, REQUEST_UPDATE, name, value);
}

struct ac_request *
ac_read(struct actor_cluster *ac, unsigned node, const char *name)
{
    return send_and_wait(ac, node, REQUEST_READ, name, NULL);
}

struct ac_request *
ac_delete(struct actor_cluster *ac, unsigned node, const char *name)
{
    return send_and_wait(ac, node, REQUEST_DELETE, name, NULL);
}

bool
ac_value_is(const struct ac_request *request, const char *value)
{
    return request->done && request->reply.err == OK &&
           bytes_equal(request->reply.value, bytes_of_text(value));
}

bool
ac_reads(struct actor_cluster *ac, unsigned node, const char *name, const char *value)
{
    return ac_value_is(ac_read(ac, node, name), value);
}

struct ac_request *
ac_keyed(struct actor_cluster *ac, unsigned node, enum request_kind kind, const char *name,
         const char *key, const char *value)
{
    struct request request = ac_make(kind, name, value);
    request.idempotency_key = bytes_of_text(key);
    return ac_wait(ac, ac_send(ac, node, &request));
}

/* ---- stores ---- */

struct path
ac_path(const char *name)
{
    return (struct path){bytes_of_text("default"), bytes_of_text(name)};
}

static bool
has_dealing(const struct store_row *row)
{
    struct version_row version;
    return version_row_decode(row->value, &version) == OK && version.dealing.size > 0;
}

static size_t
count_rows(struct actor_cluster *ac, unsigned node, const struct row_key *prefix, bool with_dealing)
{
    struct ac_node *n = &ac->nodes[node];
    struct store_row *rows = ac_need(calloc(SCAN_MOST, sizeof(*rows)));
    struct arena arena;
    size_t count = 0, found = 0;
    bool more = false;
    arena_init(&arena, STEP_ARENA_BYTES);
    ac_require(n->store->ops->scan(n->reader, row_key_bytes(prefix), (struct bytes){0}, SCAN_MOST,
                                   with_dealing, &arena, rows, &count, &more) == OK,
               "scan");
    for (size_t i = 0; i < count; i++)
        found += !with_dealing || has_dealing(&rows[i]);
    arena_close(&arena);
    free(rows);
    return found;
}

size_t
ac_rows(struct actor_cluster *ac, unsigned node, enum row_table table)
{
    struct row_key prefix;
    row_key_table(table, &prefix);
    size_t count = count_rows(ac, node, &prefix, false);
    if (table != ROW_DEALING)
        return count;
    row_key_table(ROW_VERSION, &prefix);
    return count + count_rows(ac, node, &prefix, true);
}

size_t
ac_rows_of(struct actor_cluster *ac, unsigned node, enum row_table table, const char *name)
{
    struct row_key prefix;
    if (table == ROW_PATH)
        row_key_path(ac_path(name), &prefix);
    else
        row_key_versions(table, ac_path(name), &prefix);
    size_t count = count_rows(ac, node, &prefix, false);
    if (table != ROW_DEALING)
        return count;
    row_key_versions(ROW_VERSION, ac_path(name), &prefix);
    return count + count_rows(ac, node, &prefix, true);
}

static size_t
outstanding(struct actor_cluster *ac)
{
    size_t left = 0;
    for (unsigned i = 0; i < ac->options.nodes; i++)
        left += ac_rows(ac, i, ROW_BOXES) + ac_rows(ac, i, ROW_ERASURE);
    return left;
}

bool
ac_settles(struct actor_cluster *ac, uint64_t within_ms)
{
    for (uint64_t ms = 0; ms < within_ms && outstanding(ac) > 0; ms += 100)
        ac_run_ms(ac, 100);
    if (outstanding(ac) == 0)
        return true;
    for (unsigned i = 0; i < ac->options.nodes; i++)
        fprintf(stderr, "node %u: %zu rows in escrow, %zu erasures\n", i, ac_rows(ac, i, ROW_BOXES),
                ac_rows(ac, i, ROW_ERASURE));
    return false;
}

bool
ac_get(struct actor_cluster *ac, unsigned node, const struct row_key *key, struct bytes *out)
{
    struct ac_node *n = &ac->nodes[node];
    arena_reset(&n->arena);
    return n->store->ops->get(n->reader, row_key_bytes(key), &n->arena, out) == OK;
}

bool
ac_dealing(struct actor_cluster *ac, unsigned node, const char *name, uint64_t version,
           const uint8_t version_id[static ID_BYTES], struct bytes *out)
{
    struct row_key key;
    struct version_row row;
    row_key_version(ROW_VERSION, ac_path(name), version, version_id, &key);
    if (ac_get(ac, node, &key, out) && version_row_decode(*out, &row) == OK &&
        row.dealing.size > 0) {
        *out = row.dealing;
        return true;
    }
    row_key_version(ROW_DEALING, ac_path(name), version, version_id, &key);
    return ac_get(ac, node, &key, out);
}

void
ac_put(struct actor_cluster *ac, unsigned node, const struct row_key *key, struct bytes value)
{
    struct store *store = ac->nodes[node].store;
    struct store_change change = {STORE_PUT, row_key_bytes(key), value};
    ac_require(store->ops->commit(store, &change, 1) == OK && store->ops->sync(store) == OK, "put");
}

void
ac_forget(struct actor_cluster *ac, unsigned node, enum row_table table)
{
    struct store *store = ac->nodes[node].store;
    struct row_key prefix;
    row_key_table(table, &prefix);
    struct store_change change = {STORE_DELETE_PREFIX, row_key_bytes(&prefix), (struct bytes){0}};
    ac_require(store->ops->commit(store, &change, 1) == OK && store->ops->sync(store) == OK,
               "forget");
}

bool
ac_path_row(struct actor_cluster *ac, unsigned node, const char *name, struct path_row *row,
            struct head *head)
{
    struct row_key key;
    struct bytes value;
    row_key_path(ac_path(name), &key);
    return ac_get(ac, node, &key, &value) && path_row_decode(value, row) == OK &&
           head_decode(row->head, head) == OK;
}
