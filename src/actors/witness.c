#include "actors/witness.h"

#include <assert.h>
#include <string.h>

#include "proto/rows.h"

enum { EPOCHS_SLOT = 255, SLOT_FIELDS = 2, EPOCH_FIELDS = 2, HEAD_ROW_BYTES_MAX = 512 };
static const uint64_t hour_ms = UINT64_C(3600) * 1000, day_ms = UINT64_C(24) * 3600 * 1000;

const char *
head_verdict_event(enum head_verdict verdict)
{
    switch (verdict) {
    case HEAD_TAKEN:
    case HEAD_LATE: return NULL;
    case HEAD_ROLLED_BACK: return "audit_rolled_back";
    case HEAD_FORKED: return "audit_forked";
    case HEAD_BACKDATED: return "audit_head_backdated";
    case HEAD_AHEAD: return "audit_head_ahead";
    case HEAD_REOPENED: return "audit_epoch_reopened";
    case HEAD_MANY_EPOCHS: return "audit_many_epochs";
    }
    return NULL;
}

/* ---- rows ---- */

void
row_key_anchor(uint64_t node, const uint8_t epoch[static AUDIT_EPOCH_BYTES], struct row_key *out)
{
    row_key_table(ROW_ANCHOR, out);
    out->data[out->size++] = (uint8_t)node;
    memcpy(out->data + out->size, epoch, AUDIT_EPOCH_BYTES);
    out->size += AUDIT_EPOCH_BYTES;
}

void
row_key_witness(uint64_t node, uint8_t slot, struct row_key *out)
{
    row_key_table(ROW_WITNESS, out);
    out->data[out->size++] = (uint8_t)node;
    out->data[out->size++] = slot;
}

uint64_t
witness_row_node(struct bytes key)
{
    bool is_one = key.size == 3 && key.data[0] == ROW_WITNESS && key.data[1] < NODES_MAX;
    return is_one ? key.data[1] : NODES_MAX;
}

static bool
decode_slot(struct bytes value, uint64_t *put_ms, struct bytes *head)
{
    struct cbor_reader r;

    cbor_reader_init(&r, value);
    bool form = cbor_get_array(&r, SLOT_FIELDS) == SLOT_FIELDS;
    *put_ms = cbor_get_uint(&r);
    *head = cbor_get_bytes(&r, HEAD_ROW_BYTES_MAX);
    return cbor_finish(&r) == OK && form;
}

bool
witness_row_head(struct bytes key, struct bytes value, struct bytes *head)
{
    uint64_t put_ms;

    return witness_row_node(key) < NODES_MAX && key.data[2] < WITNESS_SLOTS &&
           decode_slot(value, &put_ms, head);
}

/* ---- slots ---- */

/* Of an hour and of a day. */
enum { RINGS = 2 };

static uint8_t
slot_of(unsigned ring, uint64_t now_ms)
{
    uint64_t slot = ring == 0 ? now_ms / hour_ms % WITNESS_HOURS
                              : WITNESS_HOURS + now_ms / day_ms % WITNESS_DAYS;
    return (uint8_t)slot;
}

/* Never 0. */
static uint64_t
label_of(uint8_t slot, uint64_t now_ms)
{
    return 1 + now_ms / (slot < WITNESS_HOURS ? hour_ms : day_ms);
}

static bool
slot_is_due(const struct witness *w, uint8_t slot, uint64_t now_ms)
{
    return w->newest.size > 0 && w->slots[slot] != label_of(slot, now_ms);
}

/* ---- epochs ---- */

static bool
has_epoch(const struct witness_epochs *epochs, const uint8_t id[static AUDIT_EPOCH_BYTES])
{
    for (size_t i = 0; i < epochs->count; i++) {
        if (memcmp(epochs->list[i].id, id, AUDIT_EPOCH_BYTES) == 0)
            return true;
    }
    return false;
}

/* There is a place for one more, or the oldest may go: it ended when the next began. */
static bool
has_place(const struct witness_epochs *epochs, uint64_t now_ms)
{
    return epochs->count < WITNESS_EPOCHS_MAX ||
           epochs->list[1].began_ms + WITNESS_DAYS * day_ms < now_ms;
}

static void
drop_epoch(struct witness_epochs *epochs, size_t at)
{
    epochs->count--;
    memmove(&epochs->list[at], &epochs->list[at + 1],
            (epochs->count - at) * sizeof(epochs->list[0]));
}

static void
add_epoch(struct witness_epochs *epochs, const uint8_t id[static AUDIT_EPOCH_BYTES],
          uint64_t now_ms)
{
    if (epochs->count == WITNESS_EPOCHS_MAX)
        drop_epoch(epochs, 0);
    struct witness_epoch *epoch = &epochs->list[epochs->count++];
    memcpy(epoch->id, id, AUDIT_EPOCH_BYTES);
    epoch->began_ms = now_ms;
}

static enum vault_err
encode_epochs(const struct witness_epochs *epochs, struct buf *out)
{
    struct cbor_writer w;

    cbor_writer_init(&w, out);
    cbor_put_array(&w, EPOCH_FIELDS * epochs->count);
    for (size_t i = 0; i < epochs->count; i++) {
        cbor_put_bytes(&w, bytes_of(epochs->list[i].id, AUDIT_EPOCH_BYTES));
        cbor_put_uint(&w, epochs->list[i].began_ms);
    }
    return w.err;
}

static bool
decode_epochs(struct bytes value, struct witness_epochs *out)
{
    struct cbor_reader r;

    cbor_reader_init(&r, value);
    uint64_t fields = cbor_get_array(&r, EPOCH_FIELDS * WITNESS_EPOCHS_MAX);
    for (out->count = 0; r.err == OK && out->count < fields / EPOCH_FIELDS; out->count++) {
        cbor_get_fixed(&r, out->list[out->count].id, AUDIT_EPOCH_BYTES);
        out->list[out->count].began_ms = cbor_get_uint(&r);
    }
    return cbor_finish(&r) == OK && fields % EPOCH_FIELDS == 0;
}

/* ---- heads ---- */

/* An ended epoch is not gone on with; its last heads may come late. */
static enum head_verdict
judge_epoch(const struct witness *w, const struct audit_head *head, uint64_t now_ms)
{
    if (!has_epoch(&w->epochs, head->epoch))
        return has_place(&w->epochs, now_ms) ? HEAD_TAKEN : HEAD_MANY_EPOCHS;
    if (w->newest.size == 0)
        return HEAD_TAKEN; /* the row of its head was lost */
    return head->time_ms > w->newest.time_ms ? HEAD_REOPENED : HEAD_LATE;
}

/*
 * A head that is known may be dated further in the future than one is taken now: an older release
 * took it, or the clock here was set back. Then its time tells nothing of those that come.
 */
static enum head_verdict
judge_time(const struct witness *w, const struct audit_head *head, uint64_t now_ms)
{
    const struct audit_head *newest = &w->newest;

    if (head->time_ms >= newest->time_ms || newest->time_ms > now_ms + WITNESS_AHEAD_MS_MAX)
        return HEAD_TAKEN;
    return head->size > newest->size ? HEAD_BACKDATED : HEAD_LATE;
}

enum head_verdict
witness_judge(const struct witness *w, const struct audit_head *head, uint64_t now_ms)
{
    const struct audit_head *newest = &w->newest;

    if (head->time_ms > now_ms + WITNESS_AHEAD_MS_MAX)
        return HEAD_AHEAD;
    if (newest->size == 0 || memcmp(newest->epoch, head->epoch, AUDIT_EPOCH_BYTES) != 0)
        return judge_epoch(w, head, now_ms);
    if (head->size == newest->size && memcmp(head->root, newest->root, HASH_BYTES) != 0)
        return HEAD_FORKED;
    if (head->size < newest->size)
        return head->time_ms < newest->time_ms ? HEAD_LATE : HEAD_ROLLED_BACK;
    return judge_time(w, head, now_ms);
}

/* `value` may be empty: of a row that goes. */
static enum vault_err
add_change(enum store_change_kind kind, const struct row_key *key, struct bytes value,
           struct arena *arena, struct store_change *changes, size_t *count)
{
    struct store_change *change = &changes[(*count)++];

    assert(*count <= WITNESS_CHANGES_MAX);
    *change = (struct store_change){.kind = kind};
    enum vault_err err = arena_copy(arena, row_key_bytes(key), &change->key);
    return err == OK && value.size > 0 ? arena_copy(arena, value, &change->value) : err;
}

static enum vault_err
put_newest(const struct audit_head *head, struct arena *arena, struct store_change *changes,
           size_t *count)
{
    struct buf encoded = {0};
    struct row_key key;

    row_key_anchor(head->node, head->epoch, &key);
    enum vault_err err = audit_head_encode(head, &encoded);
    if (err == OK)
        err = add_change(STORE_PUT, &key, buf_bytes(&encoded), arena, changes, count);
    buf_close(&encoded);
    return err;
}

/* The head that is replaced now. */
static enum vault_err
put_slot(const struct witness *w, uint8_t slot, uint64_t now_ms, struct arena *arena,
         struct store_change *changes, size_t *count)
{
    struct buf head = {0}, encoded = {0};
    struct cbor_writer writer;
    struct row_key key;

    row_key_witness(w->newest.node, slot, &key);
    enum vault_err err = audit_head_encode(&w->newest, &head);
    cbor_writer_init(&writer, &encoded);
    cbor_put_array(&writer, SLOT_FIELDS);
    cbor_put_uint(&writer, now_ms);
    cbor_put_bytes(&writer, buf_bytes(&head));
    if (err == OK)
        err = writer.err;
    if (err == OK)
        err = add_change(STORE_PUT, &key, buf_bytes(&encoded), arena, changes, count);
    buf_close(&head);
    buf_close(&encoded);
    return err;
}

/* With one more epoch; of the one that has to go for it the head goes, too. */
static enum vault_err
put_epochs(const struct witness *w, const struct audit_head *head, uint64_t now_ms,
           struct arena *arena, struct store_change *changes, size_t *count)
{
    struct witness_epochs after = w->epochs;
    struct buf encoded = {0};
    struct row_key key;

    add_epoch(&after, head->epoch, now_ms);
    row_key_witness(head->node, EPOCHS_SLOT, &key);
    enum vault_err err = encode_epochs(&after, &encoded);
    if (err == OK)
        err = add_change(STORE_PUT, &key, buf_bytes(&encoded), arena, changes, count);
    buf_close(&encoded);
    if (err != OK || w->epochs.count < WITNESS_EPOCHS_MAX)
        return err;
    row_key_anchor(head->node, w->epochs.list[0].id, &key);
    return add_change(STORE_DELETE, &key, (struct bytes){0}, arena, changes, count);
}

enum vault_err
witness_take(struct witness *w, const struct audit_head *head, uint64_t now_ms, struct arena *arena,
             struct store_change *changes, size_t *count)
{
    *count = 0;
    enum vault_err err = put_newest(head, arena, changes, count);
    for (unsigned ring = 0; err == OK && ring < RINGS; ring++) {
        uint8_t slot = slot_of(ring, now_ms);
        if (slot_is_due(w, slot, now_ms))
            err = put_slot(w, slot, now_ms, arena, changes, count);
    }
    if (err == OK && !has_epoch(&w->epochs, head->epoch))
        err = put_epochs(w, head, now_ms, arena, changes, count);
    w->coming_ms = err == OK ? now_ms : 0;
    if (err == OK)
        w->coming = *head;
    return err;
}

void
witness_written(struct witness *w, bool written)
{
    for (unsigned ring = 0; written && ring < RINGS; ring++) {
        uint8_t slot = slot_of(ring, w->coming_ms);
        if (slot_is_due(w, slot, w->coming_ms))
            w->slots[slot] = label_of(slot, w->coming_ms);
    }
    if (written && !has_epoch(&w->epochs, w->coming.epoch))
        add_epoch(&w->epochs, w->coming.epoch, w->coming_ms);
    if (written)
        w->newest = w->coming;
    w->coming_ms = 0;
}

/* ---- after a start ---- */

/* A row that does not decode is as one that is not there: its slot is written anew. */
void
witness_load_row(struct witness *w, struct bytes key, struct bytes value)
{
    uint64_t put_ms;
    struct bytes head;

    if (witness_row_node(key) == NODES_MAX)
        return;
    uint8_t slot = key.data[2];
    if (slot < WITNESS_SLOTS && decode_slot(value, &put_ms, &head))
        w->slots[slot] = label_of(slot, put_ms);
    else if (slot == EPOCHS_SLOT && !decode_epochs(value, &w->epochs))
        w->epochs.count = 0;
}

/* Before all others: nobody knows when it began. */
static void
add_unlisted(struct witness_epochs *epochs, const uint8_t id[static AUDIT_EPOCH_BYTES])
{
    if (epochs->count == WITNESS_EPOCHS_MAX)
        return;
    memmove(&epochs->list[1], &epochs->list[0], epochs->count * sizeof(epochs->list[0]));
    epochs->count++;
    memcpy(epochs->list[0].id, id, AUDIT_EPOCH_BYTES);
    epochs->list[0].began_ms = 0;
}

/* Epochs that are not listed are those that an older release has taken. */
void
witness_load_head(struct witness *w, const struct audit_head *head)
{
    struct witness_epochs *epochs = &w->epochs;

    if (epochs->count > 0 &&
        memcmp(epochs->list[epochs->count - 1].id, head->epoch, AUDIT_EPOCH_BYTES) == 0) {
        w->newest = *head;
    } else if (!has_epoch(epochs, head->epoch)) {
        add_unlisted(epochs, head->epoch);
        if (head->time_ms >= w->unlisted.time_ms)
            w->unlisted = *head;
    }
}

/* The newest head is that of the epoch that began last; of those not listed, their heads' times say. */
void
witness_load_end(struct witness *w)
{
    if (w->unlisted.size > 0 && w->unlisted.time_ms > w->newest.time_ms) {
        for (size_t i = 0; i < w->epochs.count; i++) {
            if (memcmp(w->epochs.list[i].id, w->unlisted.epoch, AUDIT_EPOCH_BYTES) == 0)
                drop_epoch(&w->epochs, i--);
        }
        add_epoch(&w->epochs, w->unlisted.epoch, 0);
        w->newest = w->unlisted;
    }
    w->unlisted = (struct audit_head){0};
}
