#include "actors/trail_reader.h"

#include <assert.h>
#include <string.h>

#include "audit/export.h"

enum {
    SEARCH_ARENA_BYTES_MAX = NODES_MAX * (AUDIT_PAGE_BYTES_MAX + 4096),
    PAGE_ARENA_BYTES_MAX = 8 * 1024,
    OP_BITS = 8,
};
static_assert(TRAIL_SEARCHES_MAX <= 1 << OP_BITS, "each has a number of its own");

void
trail_reader_init(struct trail_reader *t, struct membership *membership)
{
    *t = (struct trail_reader){.membership = membership};
    for (unsigned i = 0; i < TRAIL_PAGES_MAX; i++)
        arena_init(&t->pages[i].memory, PAGE_ARENA_BYTES_MAX);
    for (unsigned i = 0; i < TRAIL_SEARCHES_MAX; i++)
        arena_init(&t->searches[i].memory, SEARCH_ARENA_BYTES_MAX);
}

void
trail_reader_close(struct trail_reader *t)
{
    for (unsigned i = 0; i < TRAIL_PAGES_MAX; i++) {
        arena_close(&t->pages[i].memory);
        buf_close(&t->pages[i].items);
    }
    for (unsigned i = 0; i < TRAIL_SEARCHES_MAX; i++)
        arena_close(&t->searches[i].memory);
}

/* ---- answers to clients ---- */

static void
end_search(struct trail_search *s, const struct reply *reply, struct effects *out)
{
    effect_reply(out, s->exchange, reply);
    s->used = false;
    s->request = NULL;
    arena_close(&s->memory);
    arena_init(&s->memory, SEARCH_ARENA_BYTES_MAX);
}

static void
fail_search(struct trail_search *s, enum vault_err err, struct effects *out)
{
    const struct reply reply = {.err = err, .retry_after_ms = 1000};

    end_search(s, &reply, out);
}

static bool
has_given(const struct trail_answer *a)
{
    return a->answered && a->refusal == REFUSED_NONE;
}

static uint64_t
nodes_missing(const struct trail_reader *t, const struct trail_search *s)
{
    uint64_t missing = 0;

    for (unsigned i = 0; i < t->membership->cluster->node_count; i++)
        missing |= (uint64_t)!has_given(&s->answers[i]) << i;
    return missing;
}

/* ---- records of all nodes ---- */

/* What is left of one node's page. */
struct source {
    struct cbor_reader left;
    bool has; /* `first` is the next record */
    struct audit_found first;
    uint64_t time_ms;
};

/* False: not what it should be, or another node's. */
static bool
next_of(struct source *source, unsigned node)
{
    struct audit_record record;

    source->has = source->left.at < source->left.end;
    if (!source->has)
        return true;
    audit_found_get(&source->left, &source->first);
    if (source->left.err != OK || source->first.node != node ||
        audit_record_decode(source->first.record, &record) != OK)
        return false;
    source->time_ms = record.time_ms;
    return true;
}

static bool
open_sources(struct trail_search *s, unsigned nodes, struct source *sources)
{
    memset(sources, 0, NODES_MAX * sizeof(*sources));
    for (unsigned i = 0; i < nodes; i++) {
        if (!has_given(&s->answers[i]) || s->answers[i].items.size == 0)
            continue;
        cbor_reader_init(&sources[i].left, s->answers[i].items);
        if (!next_of(&sources[i], i))
            return false;
    }
    return true;
}

/*
 * The source of the oldest record; -1: none, or one of whose trail more was not read yet, so that
 * nobody knows which comes next.
 */
static int
oldest(const struct trail_search *s, unsigned nodes, const struct source *sources)
{
    int found = -1;

    for (unsigned i = 0; i < nodes; i++) {
        if (!sources[i].has && has_given(&s->answers[i]) && s->answers[i].more)
            return -1;
        if (sources[i].has && (found < 0 || sources[i].time_ms < sources[found].time_ms))
            found = (int)i;
    }
    return found;
}

static enum vault_err
merge(struct trail_search *s, unsigned nodes, struct source *sources, struct buf *found,
      size_t *count)
{
    struct cbor_writer w;
    int from;

    cbor_writer_init(&w, found);
    while (*count < s->request->limit && found->size < AUDIT_PAGE_BYTES && w.err == OK &&
           (from = oldest(s, nodes, sources)) >= 0) {
        audit_found_put(&w, &sources[from].first);
        (*count)++;
        if (!next_of(&sources[from], (unsigned)from))
            return ERR_MALFORMED;
    }
    return w.err;
}

/* Where the next page begins; false: there is none. A node that gave nothing stays where it was. */
static bool
positions_after(const struct trail_search *s, unsigned nodes, const struct source *sources,
                struct audit_position *out)
{
    bool more = false;

    for (unsigned i = 0; i < nodes; i++) {
        const struct trail_answer *a = &s->answers[i];
        out[i] = s->from[i];
        if (has_given(a))
            out[i] = sources[i].has ? sources[i].first.at : a->next;
        more = more || sources[i].has || (has_given(a) && a->more);
    }
    return more;
}

static enum vault_err
make_page(const struct trail_reader *t, struct trail_search *s, const struct step *st,
          struct bytes *out)
{
    unsigned nodes = t->membership->cluster->node_count;
    struct audit_page page = {.missing = nodes_missing(t, s)};
    struct buf found = {0}, next = {0}, encoded = {0};
    struct audit_position after[NODES_MAX];
    struct source sources[NODES_MAX];
    enum vault_err err = ERR_MALFORMED;

    if (open_sources(s, nodes, sources))
        err = merge(s, nodes, sources, &found, &page.found_count);
    if (err == OK && positions_after(s, nodes, sources, after))
        err = audit_positions_encode(after, nodes, &next);
    page.found = buf_bytes(&found);
    page.next = buf_bytes(&next);
    page.name_count = nodes;
    for (unsigned i = 0; i < nodes; i++)
        page.names[i] = bytes_of_text(t->membership->cluster->nodes[i].name);
    if (err == OK)
        err = audit_page_encode(&page, &encoded);
    if (err == OK)
        err = arena_copy(st->arena, buf_bytes(&encoded), out);
    buf_close(&found);
    buf_close(&next);
    buf_close(&encoded);
    return err;
}

/* ---- the trail of one node ---- */

static enum vault_err
write_heads(struct trail_search *s, unsigned keeper, const struct signing_keys *keys,
            const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct buf *out)
{
    struct audit_line line = {.kind = AUDIT_LINE_HEAD, .node = keeper};
    struct cbor_reader r;
    enum vault_err err = OK;

    cbor_reader_init(&r, s->answers[keeper].items);
    uint64_t count = cbor_get_array(&r, TRAIL_HEADS_MAX);
    for (uint64_t i = 0; i < count && r.err == OK && err == OK; i++) {
        struct bytes head = cbor_get_bytes(&r, AUDIT_PAGE_BYTES_MAX);
        if (audit_head_decode(head, &line.head) == OK && line.head.node == s->node &&
            audit_head_verify(&line.head, cluster_id, keys) == OK)
            err = audit_line_write(&line, out);
    }
    return err;
}

static enum vault_err
write_keys(const struct signing_keys *keys, struct buf *out)
{
    enum vault_err err = OK;

    for (unsigned i = 0; i < SIGNING_KEYS_KEPT && err == OK; i++) {
        struct audit_line line = {.kind = AUDIT_LINE_KEY, .key = keys->list[i]};
        if (signing_public_is_set(&line.key) && line.key.proof_size > 0)
            err = audit_line_write(&line, out);
    }
    return err;
}

/* What an export begins with, and the heads that the other nodes keep. */
static enum vault_err
write_beginning(const struct trail_reader *t, struct trail_search *s, struct buf *out)
{
    const struct cluster *cluster = t->membership->cluster;
    const struct signing_keys *keys = &t->membership->signers[s->node];
    struct audit_line line = {.kind = AUDIT_LINE_BEGIN};
    enum vault_err err = audit_line_write(&line, out);

    line.kind = AUDIT_LINE_CLUSTER;
    memcpy(line.cluster, cluster->id, CLUSTER_ID_BYTES);
    if (err == OK)
        err = audit_line_write(&line, out);
    line.kind = AUDIT_LINE_NODE;
    line.node = s->node;
    line.name = bytes_of_text(cluster->nodes[s->node].name);
    if (err == OK)
        err = audit_line_write(&line, out);
    if (err == OK)
        err = write_keys(keys, out);
    for (unsigned i = 0; i < cluster->node_count && err == OK; i++) {
        line = (struct audit_line){.kind = AUDIT_LINE_MISSING, .node = i};
        if (i == s->node)
            continue;
        if (has_given(&s->answers[i]))
            err = write_heads(s, i, keys, cluster->id, out);
        if (err == OK && (!has_given(&s->answers[i]) || s->answers[i].more))
            err = audit_line_write(&line, out);
    }
    return err;
}

static enum vault_err
write_blocks(struct trail_search *s, struct buf *out)
{
    struct audit_line line = {.kind = AUDIT_LINE_BLOCK};
    struct cbor_reader r;
    enum vault_err err = OK;

    cbor_reader_init(&r, s->answers[s->node].items);
    uint64_t count = cbor_get_array(&r, TRAIL_BLOCKS_MAX);
    for (uint64_t i = 0; i < count && err == OK; i++) {
        line.block = cbor_get_bytes(&r, AUDIT_EXPORT_BLOCK_BYTES_MAX);
        err = r.err == OK ? audit_line_write(&line, out) : ERR_MALFORMED;
    }
    line = (struct audit_line){.kind = AUDIT_LINE_END};
    if (err == OK && !s->answers[s->node].more)
        err = audit_line_write(&line, out);
    return err == OK ? cbor_finish(&r) : err;
}

static enum vault_err
make_export(const struct trail_reader *t, struct trail_search *s, const struct step *st,
            struct reply *reply)
{
    struct buf lines = {0};
    bool blocks = s->request->export_from > 0;
    enum vault_err err = blocks ? write_blocks(s, &lines) : write_beginning(t, s, &lines);

    if (err == OK)
        err = arena_copy(st->arena, buf_bytes(&lines), &reply->value);
    buf_close(&lines);
    reply->has_next = !blocks || s->answers[s->node].more;
    reply->version = blocks ? s->answers[s->node].next.block + 1 : 1;
    return err;
}

/* ---- the end ---- */

static void
finish(struct trail_reader *t, const struct step *st, struct trail_search *s, struct effects *out)
{
    bool export = s->request->kind == REQUEST_AUDIT_EXPORT;
    struct reply reply = {0};
    uint64_t all = (UINT64_C(1) << t->membership->cluster->node_count) - 1;

    if (export && s->request->export_from > 0 && !has_given(&s->answers[s->node]))
        reply.err = ERR_NOT_READY;
    else if (!export && nodes_missing(t, s) == all)
        reply.err = ERR_NOT_READY;
    else
        reply.err = export ? make_export(t, s, st, &reply) : make_page(t, s, st, &reply.value);
    if (reply.err != OK)
        fail_search(s, reply.err == ERR_MALFORMED ? ERR_INTERNAL : reply.err, out);
    else
        end_search(s, &reply, out);
}

static bool
all_answered(const struct trail_search *s)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        if (s->answers[i].asked && !s->answers[i].answered)
            return false;
    }
    return true;
}

static struct trail_search *
search_of(struct trail_reader *t, uint64_t op)
{
    uint64_t number = op & ((1U << OP_BITS) - 1);
    struct trail_search *s = number < TRAIL_SEARCHES_MAX ? &t->searches[number] : NULL;

    return s && s->used && s->turn == op >> OP_BITS ? s : NULL;
}

static void
on_answer(struct trail_reader *t, const struct step *st, const struct msg *in, struct effects *out)
{
    const struct msg_trailed *trailed = &in->u.trailed;
    struct trail_search *s = search_of(t, in->op);
    struct trail_answer *a = s ? &s->answers[in->from] : NULL;

    if (!a || !a->asked || a->answered)
        return;
    *a = (struct trail_answer){.asked = true,
                               .answered = true,
                               .refusal = trailed->refusal,
                               .next = {trailed->block, trailed->record},
                               .more = trailed->more};
    if (arena_copy(&s->memory, trailed->items, &a->items) != OK)
        a->refusal = REFUSED_BUSY;
    if (all_answered(s))
        finish(t, st, s, out);
}

/* ---- the beginning ---- */

static bool
is_wanted(const struct trail_search *s, unsigned node)
{
    if (s->request->kind == REQUEST_AUDIT)
        return true;
    return (s->request->export_from > 0) == (node == s->node);
}

static enum vault_err
ask_nodes(struct trail_reader *t, const struct step *st, struct trail_search *s, uint64_t op,
          struct effects *out)
{
    const struct membership *ms = t->membership;
    const struct request *request = s->request;
    struct buf encoded = {0};
    struct bytes query;
    enum vault_err err = audit_query_encode(&request->audit, &encoded);

    if (err == OK)
        err = arena_copy(st->arena, buf_bytes(&encoded), &query);
    buf_close(&encoded);
    for (uint8_t i = 0; err == OK && i < ms->cluster->node_count; i++) {
        if (!is_wanted(s, i) || (i != ms->self && !ms->members[i].connected))
            continue;
        struct msg *m = effect_send(out, MSG_TRAIL, i, NULL);
        m->op = op;
        m->request_id = request->id;
        m->u.trail = (struct msg_trail){.matter = TRAIL_RECORDS,
                                        .block = s->from[i].block,
                                        .record = s->from[i].record,
                                        .limit = request->limit,
                                        .query = query,
                                        .credential = request->credential};
        if (request->kind == REQUEST_AUDIT_EXPORT) {
            m->u.trail.matter = request->export_from > 0 ? TRAIL_BLOCKS : TRAIL_HEADS;
            m->u.trail.block = request->export_from > 0 ? request->export_from - 1 : 0;
            m->u.trail.node = s->node;
            m->u.trail.limit = 1;
        }
        s->answers[i].asked = true;
    }
    return err;
}

static enum vault_err
find_place(struct trail_reader *t, struct trail_search *s)
{
    const struct request *request = s->request;
    const struct membership *ms = t->membership;
    int node = ms->self;

    if (request->audit_node.size > 0)
        node = cluster_find_node(ms->cluster, request->audit_node);
    if (node < 0)
        return ERR_NO_ROUTE;
    s->node = (uint8_t)node;
    if (request->audit_after.size == 0)
        return OK;
    return audit_positions_decode(request->audit_after, ms->cluster->node_count, s->from) == OK
               ? OK
               : ERR_BAD_PARAMETER;
}

static void
on_request(struct trail_reader *t, const struct step *st, const struct msg_request *in,
           struct effects *out)
{
    const struct reply busy = {.err = ERR_BUSY, .retry_after_ms = 1000};
    struct trail_search *s = NULL;
    uint64_t number = 0;

    for (unsigned i = 0; i < TRAIL_SEARCHES_MAX && !s; i++) {
        s = t->searches[i].used ? NULL : &t->searches[i];
        number = i;
    }
    if (!s) {
        effect_reply(out, in->exchange, &busy);
        return;
    }
    *s = (struct trail_search){.used = true,
                               .turn = s->turn + 1,
                               .exchange = in->exchange,
                               .request = in->request,
                               .memory = s->memory};
    uint64_t op = s->turn << OP_BITS | number;
    enum vault_err err = find_place(t, s);
    if (err == OK)
        err = ask_nodes(t, st, s, op, out);
    if (err != OK)
        fail_search(s, err, out);
    else if (all_answered(s))
        finish(t, st, s, out); /* nobody could be asked */
    else
        effect_timer(out, ACTOR_TRAIL_READER, op, duration_ms(TRAIL_WAIT_MS));
}

/* ---- messages ---- */

enum vault_err
trail_reader_handle(struct trail_reader *t, const struct step *st, const struct msg *in,
                    struct effects *out)
{
    struct trail_search *s;

    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_CHANGE: on_request(t, st, &in->u.request, out); return OK;
    case MSG_TRAIL: return trail_on_asked(t, st, in, out);
    case MSG_TRAILED: on_answer(t, st, in, out); return OK;
    case MSG_LOADED: trail_on_rows(t, st, &in->u.loaded, out); return OK;
    case MSG_TIMER:
        s = search_of(t, in->u.timer.tag);
        if (s)
            finish(t, st, s, out);
        return OK;
    default: return ERR_UNEXPECTED;
    }
}
