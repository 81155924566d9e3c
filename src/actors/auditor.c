#include "actors/auditor.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/auditor_load.h"
#include "actors/authority.h"
#include "auth/login.h"
#include "base/big_endian.h"
#include "base/planted.h"

enum audit_tag { TAG_BLOCK = 1, TAG_TICK, TAG_OWN_HEAD, TAG_PEER_HEAD = 16 };

void
auditor_init(struct auditor *a, struct membership *membership, const struct audit_options *options)
{
    *a = (struct auditor){.membership = membership, .options = *options, .serial = 1};
    if (a->options.blocks_kept == 0)
        a->options.blocks_kept = AUDIT_BLOCKS_KEPT;
}

struct bytes
auditor_name(const struct auditor *a, struct bytes tenant, struct bytes name,
             char memory[static AUDIT_NAME_HASH_BYTES])
{
    const struct bytes use = bytes_of_text("ostraka audit names 1");
    const struct bytes parts[] = {tenant, name};
    uint8_t key[HASH_BYTES], hash[HASH_BYTES];

    if (!a->options.name_key || name.size == 0 || tenant.size == 0)
        return name;
    mac_parts(a->options.name_key->data, &use, 1, key);
    mac_parts(key, parts, 2, hash);
    bytes_wipe(key, sizeof(key));
    hex_encode(bytes_of(hash, sizeof(hash)), memory);
    return bytes_of(memory, AUDIT_NAME_HASH_BYTES - 1);
}

void
auditor_close(struct auditor *a)
{
    for (unsigned i = 0; i < AUDIT_ASKED_BUCKETS; i++) {
        while (a->asked[i]) {
            struct audit_asked *next = a->asked[i]->next;
            free(a->asked[i]);
            a->asked[i] = next;
        }
    }
    buf_close(&a->block);
    buf_close(&a->records);
    buf_close(&a->encoding);
}

/* ---- rows ---- */

void
row_key_audit(uint64_t block, struct row_key *out)
{
    row_key_table(ROW_AUDIT, out);
    big_endian_put(out->data + out->size, block);
    out->size += 8;
}

/* ---- records ---- */

static void
note(struct auditor *a, const struct step *st, const struct audit_record *record)
{
    char name[AUDIT_NAME_HASH_BYTES];
    struct audit_record timed = *record;
    size_t before = a->records.size;
    struct cbor_writer w;

    timed.time_ms = st->wall_ms;
    timed.name = auditor_name(a, record->tenant, record->name, name);
    a->noted = true;
    enum vault_err err =
        a->record_count < AUDIT_BLOCK_RECORDS_MAX && a->records.size < AUDIT_BLOCK_BYTES_MAX
            ? audit_record_encode(&timed, &a->encoding)
            : ERR_TOO_LARGE;
    if (err == OK) {
        cbor_writer_init(&w, &a->records);
        cbor_put_bytes(&w, buf_bytes(&a->encoding));
        err = w.err;
    }
    buf_truncate(&a->encoding, 0);
    if (err != OK) {
        buf_truncate(&a->records, before); /* half a record would end the block there */
        a->full = true;
        metrics_count(st->metrics, METRIC_audit_refused);
        return;
    }
    a->record_count++;
    metrics_count(st->metrics, METRIC_audit_records);
}

void
audit_note(const struct step *st, const struct audit_record *record)
{
    if (st->audit)
        note(st->audit, st, record);
}

/*
 * A login is noted as who logged in, as the record of the token says that it made; of one that is
 * not good that is nobody.
 */
static struct bytes
caller_of(const struct membership *ms, struct path path, struct bytes credential,
          struct bytes token_record, char memory[static CALLER_BYTES])
{
    struct token token;

    if (!login_looks_like(credential))
        return authority_caller(ms, path, credential, memory);
    if (token_decode(token_record, &token) != OK)
        return (struct bytes){0};
    uuid_format(token.identity, memory);
    return bytes_of_text(memory);
}

void
audit_note_asked(const struct step *st, enum audit_kind kind, const struct msg *msg,
                 struct path path, struct bytes credential, const char *operation,
                 const char *outcome)
{
    char caller[CALLER_BYTES];
    struct audit_record record = {.kind = (uint64_t)kind,
                                  .node = msg->from,
                                  .op = msg->op,
                                  .request_id = msg->request_id,
                                  .operation = bytes_of_text(operation),
                                  .tenant = path.tenant,
                                  .name = path.name,
                                  .outcome = bytes_of_text(outcome)};

    bool granted = msg->kind == MSG_VOTE && strcmp(outcome, "granted") == 0;

    if (!st->audit)
        return;
    if (login_looks_like(credential))
        record.operation = bytes_of_text("login");
    record.caller = caller_of(st->audit->membership, path, credential,
                              granted ? msg->u.vote.change : (struct bytes){0}, caller);
    note(st->audit, st, &record);
}

static struct audit_asked **
find_asked(struct auditor *a, uint64_t exchange)
{
    struct audit_asked **at =
        &a->asked[(exchange ^ exchange >> 8 ^ exchange >> 16) % AUDIT_ASKED_BUCKETS];

    while (*at && (*at)->exchange != exchange)
        at = &(*at)->next;
    return at;
}

void
auditor_asked(struct auditor *a, const struct msg_request *request)
{
    struct audit_asked **at = find_asked(a, request->exchange);
    struct audit_asked *asked = calloc(1, sizeof(*asked));

    if (!asked)
        return; /* it is noted without its particulars */
    *asked = (struct audit_asked){
        .next = *at, .exchange = request->exchange, .request = request->request};
    *at = asked;
}

static bool
is_change(enum request_kind kind)
{
    return kind == REQUEST_CREATE || kind == REQUEST_UPDATE || kind == REQUEST_DELETE ||
           kind == REQUEST_BATCH_CREATE || kind == REQUEST_ALTER || kind == REQUEST_RECORD_PUT ||
           kind == REQUEST_RECORD_DELETE;
}

/* This node has taken what the request says of its caller for true. */
static bool
may_be_believed(enum vault_err err)
{
    return err == OK || err == ERR_NO_QUORUM || err == ERR_CONTENDED;
}

bool
auditor_answered(struct auditor *a, const struct step *st, uint64_t exchange, enum vault_err err)
{
    struct audit_asked **at = find_asked(a, exchange), *asked = *at;
    static const struct bytes none = {0};
    char caller[CALLER_BYTES];
    struct audit_record record = {.kind = AUDIT_request,
                                  .node = a->membership->self,
                                  .outcome = bytes_of_text(vault_err_name(err))};
    bool change = true;

    if (asked) {
        const struct request *request = asked->request;
        record.request_id = request->id;
        record.operation = bytes_of_text(!request->routed    ? "none"
                                         : request->is_login ? auth_op_name(request->auth_op)
                                                             : request_kind_name(request->kind));
        if (tenant_name_valid(request->tenant))
            record.tenant = request->tenant;
        record.address = request->address;
        if (request->name.size <= NAME_BYTES_MAX)
            record.name = request->name;
        record.caller =
            caller_of(a->membership, (struct path){request->tenant, request->name},
                      request->credential, may_be_believed(err) ? request->value : none, caller);
        change = is_change(request->kind);
        for (size_t i = 0; request->refused == OK && i < request->item_count; i++) {
            record.name = request->items[i].name;
            note(a, st, &record);
        }
        if (request->refused != OK || request->item_count == 0)
            note(a, st, &record);
        *at = asked->next;
        free(asked);
    } else {
        note(a, st, &record);
    }
    return change;
}

/* ---- blocks ---- */

void
auditor_step_begin(struct auditor *a)
{
    a->noted = false;
    a->full = false;
}

enum audit_state
auditor_state(const struct auditor *a, uint64_t serial)
{
    if (serial <= a->written)
        return AUDIT_WRITTEN;
    return a->failing ? AUDIT_REFUSED : AUDIT_WAITS;
}

uint64_t
auditor_unwritten(const struct auditor *a)
{
    uint64_t newest = a->record_count > 0 ? a->serial : a->serial - 1;
    return newest > a->written ? newest : 0;
}

/*
 * A new tree for a new incarnation of the store: what the one before it had is lost or was put back,
 * and must not seem to go on.
 */
static enum vault_err
begin_epoch(struct auditor *a, const struct step *st)
{
    const struct member *self = &a->membership->members[a->membership->self];

    enum vault_err err = rng_fill(st->rng, a->epoch, AUDIT_EPOCH_BYTES);
    if (err != OK)
        return err;
    a->epoch_incarnation = self->incarnation;
    memset(&a->tree, 0, sizeof(a->tree));
    memset(a->anchored, 0, sizeof(a->anchored));
    a->own = (struct audit_head){.time_ms = a->own.time_ms};
    log_event(st->log, LOG_INFO, "auditor", "epoch_began",
              log_u64("incarnation", self->incarnation));
    return OK;
}

static bool
epoch_is_over(const struct auditor *a)
{
    const struct member *self = &a->membership->members[a->membership->self];

    return a->epoch_incarnation == 0 ||
           (self->incarnation != 0 && self->incarnation != a->epoch_incarnation);
}

/*
 * The oldest blocks go as new ones come, once a durable head has said that they may: so whatever is
 * there begins no later than the newest head says.
 */
static uint64_t
kept_from_next(const struct auditor *a)
{
    uint64_t most = a->kept_from + AUDIT_DROPPED_AT_ONCE;
    uint64_t may = a->droppable < a->next_block ? a->droppable : a->next_block;

    if (may <= a->kept_from)
        return a->kept_from;
    return may < most ? may : most;
}

static bool
put_change(const struct step *st, enum store_change_kind kind, const struct row_key *key,
           struct bytes value, struct store_change *list, size_t *count)
{
    struct store_change *change = &list[(*count)++];

    *change = (struct store_change){.kind = kind, .value = value};
    return arena_copy(st->arena, row_key_bytes(key), &change->key) == OK;
}

/* Blocks say the rest by themselves (auditor_load.h). */
static bool
state_is_due(const struct auditor *a, uint64_t kept_from)
{
    return a->tree.size == 0 || kept_from != a->kept_from ||
           (a->next_block + 1) % AUDIT_STATE_EVERY == 0;
}

/* In the step's arena; empty: no memory. */
static struct bytes
state_after(const struct auditor *a, const struct step *st, uint64_t kept_from)
{
    struct buf state = {0};
    struct bytes copy = {0};

    if (auditor_state_encode(a, a->next_block + 1, kept_from, a->block_hash, &a->tree_after,
                             &state) != OK ||
        arena_copy(st->arena, buf_bytes(&state), &copy) != OK)
        copy = (struct bytes){0};
    buf_close(&state);
    return copy;
}

static void
store_block(struct auditor *a, const struct step *st, struct effects *out)
{
    struct store_change *changes =
        arena_alloc(st->arena, (2 + AUDIT_DROPPED_AT_ONCE) * sizeof(*changes));
    uint64_t kept_from = kept_from_next(a);
    struct row_key key;
    size_t count = 0;

    row_key_audit(a->next_block, &key);
    bool made = changes && put_change(st, STORE_PUT, &key, buf_bytes(&a->block), changes, &count);
    if (made && state_is_due(a, kept_from)) {
        struct bytes state = state_after(a, st, kept_from);
        row_key_audit_state(&key);
        made = state.size > 0 && put_change(st, STORE_PUT, &key, state, changes, &count);
    }
    for (uint64_t old = a->kept_from; made && old < kept_from; old++) {
        row_key_audit(old, &key);
        made = put_change(st, STORE_DELETE, &key, (struct bytes){0}, changes, &count);
    }
    if (!made) {
        a->failing = true;
        return;
    }
    a->kept_from_after = kept_from;
    a->writing = true;
    effect_store(out, ACTOR_AUDITOR, TAG_BLOCK, changes, count);
    out->items[out->count - 1].u.store.need = STORE_WRITTEN;
}

/* What has gathered becomes the block to be written. Errors: ERR_NOMEM, ERR_RANGE, ERR_ENTROPY. */
static enum vault_err
close_block(struct auditor *a, const struct step *st)
{
    enum vault_err err = epoch_is_over(a) ? begin_epoch(a, st) : OK;
    struct audit_block block = {.number = a->next_block,
                                .before = a->tree,
                                .time_ms = st->wall_ms,
                                .record_count = a->record_count,
                                .records = buf_bytes(&a->records)};

    if (err != OK)
        return err;
    memcpy(block.epoch, a->epoch, AUDIT_EPOCH_BYTES);
    memcpy(block.previous, a->previous, HASH_BYTES);
    buf_reset(&a->block);
    err = audit_block_encode(&block, &a->block);
    if (err == OK)
        err = audit_block_after(&block, &a->tree_after);
    if (err != OK)
        return err;
    audit_block_hash(buf_bytes(&a->block), a->block_hash);
    buf_reset(&a->records);
    a->record_count = 0;
    a->serial++;
    return OK;
}

bool
auditor_has_much(const struct auditor *a)
{
    return a->record_count >= AUDIT_BLOCK_RECORDS_MAX / 4 ||
           a->records.size >= AUDIT_BLOCK_BYTES_MAX / 4;
}

void
auditor_step_end(struct auditor *a, const struct step *st, struct effects *out)
{
    if (!a->loaded || a->writing || a->failing || a->record_count == 0)
        return;
    if (close_block(a, st) != OK)
        a->failing = true; /* what has gathered is still there */
    else
        store_block(a, st, out);
}

static void
on_block(struct auditor *a, const struct step *st, enum vault_err err)
{
    a->writing = false;
    if (err != OK) {
        auditor_unavailable(a, st, err);
        return;
    }
    auditor_available(a, st);
    a->written = a->serial - 1;
    a->tree = a->tree_after;
    memcpy(a->previous, a->block_hash, HASH_BYTES);
    a->next_block++;
    a->kept_from = a->kept_from_after;
    buf_reset(&a->block);
}

/* ---- anchors ---- */

static void
put_head(const struct step *st, uint64_t tag, const struct audit_head *head, struct effects *out)
{
    struct store_change *change = arena_alloc(st->arena, sizeof(*change));
    struct row_key key;
    struct buf encoded = {0};

    row_key_anchor(head->node, head->epoch, &key);
    if (change && audit_head_encode(head, &encoded) == OK &&
        arena_copy(st->arena, row_key_bytes(&key), &change->key) == OK &&
        arena_copy(st->arena, buf_bytes(&encoded), &change->value) == OK) {
        change->kind = STORE_PUT;
        effect_store(out, ACTOR_AUDITOR, tag, change, 1);
    }
    buf_close(&encoded);
}

/*
 * Times of heads go up, over a clock that is set back a little, too. One so far ahead that no peer
 * can have taken a head of it is forgotten: peers would take none until the clock is there again.
 */
static uint64_t
head_time(const struct auditor *a, const struct step *st)
{
    uint64_t last = a->own.time_ms;

    return st->wall_ms > last || last > st->wall_ms + WITNESS_AHEAD_MS_MAX ? st->wall_ms : last + 1;
}

/* A head is told only when what it covers is durable: its row comes after in the same journal. */
static void
sign_head(struct auditor *a, const struct step *st, struct effects *out)
{
    const struct signing_key *key = a->membership->signing;
    uint64_t now_ms = head_time(a, st);

    if (!key || a->anchoring || a->tree.size == 0 || a->tree.size == a->own.size)
        return;
    a->own = (struct audit_head){.node = a->membership->self,
                                 .size = a->tree.size,
                                 .time_ms = now_ms,
                                 .kept_from = a->kept_from};
    if (a->next_block > a->options.blocks_kept + a->kept_from)
        a->own.kept_from = a->next_block - a->options.blocks_kept;
    memcpy(a->own.epoch, a->epoch, AUDIT_EPOCH_BYTES);
    audit_tree_root(&a->tree, a->own.root);
    audit_head_sign(&a->own, a->membership->cluster->id, key);
    size_t before = out->count;
    put_head(st, TAG_OWN_HEAD, &a->own, out);
    a->anchoring = out->count > before;
}

static void
send_head(struct auditor *a, const struct step *st, struct effects *out)
{
    const struct membership *ms = a->membership;
    struct buf encoded = {0};
    struct bytes head = {0};

    if (audit_head_encode(&a->own, &encoded) == OK &&
        arena_copy(st->arena, buf_bytes(&encoded), &head) == OK) {
        for (uint8_t i = 0; i < ms->cluster->node_count; i++) {
            if (i != ms->self && ms->members[i].connected && a->anchored[i] < a->own.size)
                effect_send(out, MSG_ANCHOR, i, NULL)->u.anchor.head = head;
        }
    }
    buf_close(&encoded);
}

static void
alarm_of(const struct step *st, uint8_t node, const char *what, uint64_t size)
{
    metrics_count(st->metrics, METRIC_audit_alarms);
    log_event(st->log, LOG_ERROR, "auditor", what, log_u64("peer", node), log_u64("size", size));
}

/* Counted whenever it comes, logged once in a row: it comes every second. */
static void
refuse_head(struct witness *w, const struct step *st, const struct audit_head *head,
            enum head_verdict verdict)
{
    const char *event = head_verdict_event(verdict);

    if (event && verdict != w->refused)
        log_event(st->log, LOG_ERROR, "auditor", event, log_u64("peer", head->node),
                  log_u64("size", head->size));
    if (event) {
        metrics_count(st->metrics, METRIC_audit_alarms);
        w->refused = verdict;
    }
}

static enum vault_err
take_head(struct auditor *a, const struct step *st, const struct audit_head *head,
          struct effects *out)
{
    struct store_change *changes = arena_alloc(st->arena, WITNESS_CHANGES_MAX * sizeof(*changes));
    size_t count;

    if (!changes)
        return ERR_NOMEM;
    enum vault_err err =
        witness_take(&a->witness[head->node], head, st->wall_ms, st->arena, changes, &count);
    if (err == OK)
        effect_store(out, ACTOR_AUDITOR, TAG_PEER_HEAD + head->node, changes, count);
    return err;
}

static enum vault_err
on_anchor(struct auditor *a, const struct step *st, const struct msg *in, struct effects *out)
{
    struct witness *w = &a->witness[in->from];
    struct audit_head head;

    if (audit_head_decode(in->u.anchor.head, &head) != OK || head.node != in->from ||
        head.size == 0)
        return ERR_MALFORMED;
    if (!a->loaded || w->coming_ms > 0)
        return OK; /* what it must go on from is not known; it will come again */
    if (audit_head_verify(&head, a->membership->cluster->id, &a->membership->signers[in->from]) !=
        OK) {
        alarm_of(st, in->from, "audit_head_not_signed", head.size);
        return OK;
    }
    enum head_verdict verdict = witness_judge(w, &head, st->wall_ms);
    if (verdict != HEAD_TAKEN) {
        refuse_head(w, st, &head, verdict);
        return OK;
    }
    w->refused = HEAD_TAKEN;
    return take_head(a, st, &head, out);
}

static void
on_peer_head(struct auditor *a, uint8_t peer, enum vault_err err, struct effects *out)
{
    struct witness *w = &a->witness[peer];

    witness_written(w, err == OK);
    if (err != OK)
        return; /* it will come again */
    struct msg_anchored *anchored = &effect_send(out, MSG_ANCHORED, peer, NULL)->u.anchored;
    memcpy(anchored->epoch, w->newest.epoch, AUDIT_EPOCH_BYTES);
    anchored->size = w->newest.size;
}

static void
on_anchored(struct auditor *a, const struct msg *in)
{
    const struct msg_anchored *anchored = &in->u.anchored;

    if (memcmp(anchored->epoch, a->epoch, AUDIT_EPOCH_BYTES) == 0 &&
        anchored->size <= a->tree.size && anchored->size > a->anchored[in->from])
        a->anchored[in->from] = anchored->size;
}

/* ---- what the node notes of itself ---- */

static void
note_start(struct auditor *a, const struct step *st)
{
    const struct membership *ms = a->membership;
    struct audit_record record = {.kind = AUDIT_start,
                                  .node = ms->self,
                                  .op = ms->members[ms->self].boot,
                                  .operation = bytes_of_text("start"),
                                  .outcome = bytes_of_text("ok")};
    char hash[2 * HASH_BYTES + 1];

    note(a, st, &record);
    hex_encode(bytes_of(ms->cluster->config_hash, HASH_BYTES), hash);
    record.kind = AUDIT_configuration;
    record.op = 0;
    record.operation = bytes_of_text(ms->cluster->seal == SEAL_NONE ? "seal_none" : "seal_file");
    record.name = bytes_of_text(hash);
    note(a, st, &record);
}

/* A new incarnation of the store: what was accepted in the one before it came back from others. */
static void
note_incarnation(struct auditor *a, const struct step *st)
{
    const struct membership *ms = a->membership;
    uint64_t incarnation = ms->members[ms->self].incarnation;
    const struct audit_record record = {.kind = AUDIT_incarnation,
                                        .node = ms->self,
                                        .op = incarnation,
                                        .operation = bytes_of_text("incarnation"),
                                        .outcome = bytes_of_text("ok")};

    if (incarnation == a->incarnation_noted)
        return;
    a->incarnation_noted = incarnation;
    note(a, st, &record);
}

static void
on_tick(struct auditor *a, const struct step *st, struct effects *out)
{
    effect_timer(out, ACTOR_AUDITOR, TAG_TICK, duration_ms(AUDIT_TICK_MS));
    if (!a->loaded) {
        if (!a->loading)
            auditor_load(a, st, out);
        return;
    }
    if (a->failing && !a->writing) {
        if (a->block.size > 0) {
            store_block(a, st, out);
        } else { /* it was not even made */
            a->failing = false;
            a->membership->audit_failing = false;
        }
    }
    note_incarnation(a, st);
    sign_head(a, st, out);
    if (!a->anchoring && a->own.size > 0)
        send_head(a, st, out); /* again, to whoever has not said that it has it */
}

static void
on_stored(struct auditor *a, const struct step *st, const struct msg_stored *stored,
          struct effects *out)
{
    if (stored->tag == TAG_BLOCK) {
        on_block(a, st, stored->err);
    } else if (stored->tag == TAG_OWN_HEAD) {
        a->anchoring = false;
        if (stored->err == OK) {
            a->droppable = a->own.kept_from;
            send_head(a, st, out);
        } else {
            a->own.size = 0; /* signed anew with the next tick */
        }
    } else if (stored->tag >= TAG_PEER_HEAD && stored->tag < TAG_PEER_HEAD + NODES_MAX) {
        on_peer_head(a, (uint8_t)(stored->tag - TAG_PEER_HEAD), stored->err, out);
    }
}

void
auditor_start(struct auditor *a, const struct step *st, struct effects *out)
{
    auditor_load(a, st, out);
    effect_timer(out, ACTOR_AUDITOR, TAG_TICK, duration_ms(AUDIT_TICK_MS));
}

enum vault_err
auditor_handle(struct auditor *a, const struct step *st, const struct msg *in, struct effects *out)
{
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_LOADED:
        if (auditor_loaded(a, st, &in->u.loaded, out))
            note_start(a, st);
        return OK;
    case MSG_STORED: on_stored(a, st, &in->u.stored, out); return OK;
    case MSG_TIMER: on_tick(a, st, out); return OK;
    case MSG_ANCHOR: return on_anchor(a, st, in, out);
    case MSG_ANCHORED: on_anchored(a, in); return OK;
    default: return ERR_UNEXPECTED;
    }
}
