/* Pages of this node's trail, and of the heads that it keeps, for whoever asks and may. */
#include <string.h>

#include "actors/auditor.h"
#include "actors/authority.h"
#include "actors/trail_reader.h"
#include "base/big_endian.h"

enum { TAG_BITS = 8 };
static_assert(TRAIL_PAGES_MAX <= 1 << TAG_BITS, "each has a number of its own");

/* ---- answers ---- */

static struct msg_trailed *
answer(uint8_t to, uint64_t op, struct effects *out)
{
    struct msg *m = effect_send(out, MSG_TRAILED, to, NULL);

    m->op = op;
    return &m->u.trailed;
}

static void
end_page(struct trail_page *page)
{
    page->used = false;
    arena_reset(&page->memory);
    buf_close(&page->items);
}

static void
refuse_page(struct trail_page *page, enum refusal refusal, struct effects *out)
{
    answer(page->asker, page->op, out)->refusal = refusal;
    end_page(page);
}

/* Blocks and heads go as a list, records one after the other. */
static void
send_page(const struct step *st, struct trail_page *page, bool more, struct effects *out)
{
    struct bytes items;
    struct buf list = {0};
    enum vault_err err = OK;

    if (page->matter != TRAIL_RECORDS) {
        struct cbor_writer w;
        cbor_writer_init(&w, &list);
        cbor_put_array(&w, page->count);
        err = w.err == OK ? buf_append(&list, buf_bytes(&page->items)) : w.err;
    }
    if (err == OK)
        err = arena_copy(st->arena, buf_bytes(page->matter == TRAIL_RECORDS ? &page->items : &list),
                         &items);
    buf_close(&list);
    if (err != OK) {
        refuse_page(page, REFUSED_BUSY, out);
        return;
    }
    struct msg_trailed *trailed = answer(page->asker, page->op, out);
    trailed->items = items;
    trailed->block = page->at.block;
    trailed->record = page->at.record;
    trailed->more = more;
    end_page(page);
}

/* ---- rows ---- */

static bool
begins_heads(const struct trail_page *page)
{
    return page->matter == TRAIL_HEADS && page->scans == 0;
}

/*
 * Heads take two scans: those that are kept beside the newest, of which there are a few at most, and
 * the newest of each epoch, as many as there is room for. Where the next one begins is in `after`.
 */
static size_t
scan_begin(const struct trail_page *page, struct row_key *table, struct row_key *after)
{
    after->size = 0;
    if (page->matter == TRAIL_HEADS) {
        row_key_table(begins_heads(page) ? ROW_WITNESS : ROW_ANCHOR, table);
        table->data[table->size++] = (uint8_t)page->node;
        return TRAIL_HEADS_MAX - page->count;
    }
    row_key_table(ROW_AUDIT, table);
    if (page->at.block > 0)
        row_key_audit(page->at.block - 1, after);
    return TRAIL_SCAN_ROWS;
}

/* False: there is no memory. */
static bool
scan_rows(struct trail_reader *t, const struct step *st, struct trail_page *page,
          struct effects *out)
{
    struct row_key table, after;
    struct bytes prefix, after_copy = {0};
    size_t limit = scan_begin(page, &table, &after);

    if ((after.size > 0 && arena_copy(st->arena, row_key_bytes(&after), &after_copy) != OK) ||
        arena_copy(st->arena, row_key_bytes(&table), &prefix) != OK)
        return false;
    page->scans++;
    effect_scan(out, ACTOR_TRAIL_READER, page->turn << TAG_BITS | (uint64_t)(page - t->pages),
                prefix, after_copy, limit, true);
    return true;
}

static enum vault_err
put_item(struct trail_page *page, struct bytes item)
{
    struct cbor_writer w;

    cbor_writer_init(&w, &page->items);
    cbor_put_bytes(&w, item);
    page->count += w.err == OK;
    return w.err;
}

static bool
is_full(const struct trail_page *page)
{
    size_t most = page->matter == TRAIL_BLOCKS ? TRAIL_BLOCKS_MAX : (size_t)page->limit;

    return page->count >= most || page->items.size >= AUDIT_PAGE_BYTES;
}

/* A name that is looked for may stand there as its hash, or in clear, from before that was so. */
static bool
is_looked_for(const struct step *st, const struct trail_page *page,
              const struct audit_record *record)
{
    char memory[AUDIT_NAME_HASH_BYTES];
    struct audit_query query = page->query;

    if (audit_query_matches(&query, record))
        return true;
    if (query.name.size == 0 || !st->audit)
        return false;
    query.name = auditor_name(st->audit, record->tenant, query.name, memory);
    return audit_query_matches(&query, record);
}

/* A record that does not decode is the verifier's matter: an export has it as it is. */
static enum vault_err
take_record(const struct trail_reader *t, const struct step *st, struct trail_page *page,
            struct bytes encoded)
{
    struct audit_found found = {t->membership->self, page->at, encoded};
    struct audit_record record;
    struct cbor_writer w;

    if (audit_record_decode(encoded, &record) != OK || !is_looked_for(st, page, &record))
        return OK;
    cbor_writer_init(&w, &page->items);
    audit_found_put(&w, &found);
    page->count += w.err == OK;
    return w.err;
}

/* The records of a block from where the page stands; the rest of it waits when the page is full. */
static enum vault_err
take_records(const struct trail_reader *t, const struct step *st, struct trail_page *page,
             struct bytes encoded)
{
    struct audit_block block;
    struct bytes record;
    enum vault_err err = OK;
    size_t at = 0;

    if (audit_block_decode(encoded, &block) != OK || block.number < page->at.block)
        return ERR_CORRUPT;
    if (block.number > page->at.block)
        page->at = (struct audit_position){block.number, 0};
    for (uint64_t i = 0; err == OK && audit_block_next(&block, &at, &record); i++) {
        if (i < page->at.record)
            continue;
        if (is_full(page))
            return OK;
        err = take_record(t, st, page, record);
        page->at.record = i + 1;
    }
    page->at = (struct audit_position){block.number + 1, 0};
    return err;
}

/* Whether a block can be decoded is no matter here: its key says which it is. */
static enum vault_err
take_block(struct trail_page *page, const struct loaded_row *row)
{
    if (row->key.size != 1 + BIG_ENDIAN_BYTES)
        return ERR_CORRUPT;
    page->at = (struct audit_position){big_endian_get(row->key.data + 1) + 1, 0};
    return put_item(page, row->value);
}

static enum vault_err
take_head(struct trail_page *page, const struct loaded_row *row)
{
    struct bytes head = row->value;

    if (row->key.size > 0 && row->key.data[0] == ROW_WITNESS &&
        !witness_row_head(row->key, row->value, &head))
        return OK; /* the list of epochs */
    return put_item(page, head);
}

static enum vault_err
take_row(const struct trail_reader *t, const struct step *st, struct trail_page *page,
         const struct loaded_row *row)
{
    switch (page->matter) {
    case TRAIL_RECORDS: return take_records(t, st, page, row->value);
    case TRAIL_BLOCKS: return take_block(page, row);
    case TRAIL_HEADS: return take_head(page, row);
    }
    return ERR_INTERNAL;
}

/* The scan was of the last rows that this page has room for, or that are there. */
static bool
is_last_scan(const struct trail_page *page, bool more)
{
    if (page->matter == TRAIL_HEADS)
        return page->scans == 2;
    return !more || is_full(page) || page->scans == TRAIL_SCANS_MAX;
}

void
trail_on_rows(struct trail_reader *t, const struct step *st, const struct msg_loaded *loaded,
              struct effects *out)
{
    uint64_t number = loaded->tag & ((1U << TAG_BITS) - 1);
    struct trail_page *page = number < TRAIL_PAGES_MAX ? &t->pages[number] : NULL;
    enum vault_err err = loaded->err;
    size_t i = 0;

    if (!page || !page->used || page->turn != loaded->tag >> TAG_BITS)
        return;
    while (err == OK && i < loaded->count && (page->matter == TRAIL_HEADS || !is_full(page)))
        err = take_row(t, st, page, &loaded->rows[i++]);
    bool more = i < loaded->count || loaded->more || page->at.record > 0;
    if (err != OK)
        refuse_page(page, err == ERR_CORRUPT ? REFUSED_CORRUPT : REFUSED_BUSY, out);
    else if (is_last_scan(page, more))
        send_page(st, page, more, out);
    else if (!scan_rows(t, st, page, out))
        refuse_page(page, REFUSED_BUSY, out);
}

/* ---- TRAIL ---- */

static struct trail_page *
free_page(struct trail_reader *t)
{
    for (unsigned i = 0; i < TRAIL_PAGES_MAX; i++) {
        if (!t->pages[i].used)
            return &t->pages[i];
    }
    return NULL;
}

static enum vault_err
begin_page(struct trail_reader *t, const struct step *st, struct trail_page *page,
           const struct msg *in, struct effects *out)
{
    const struct msg_trail *trail = &in->u.trail;
    struct bytes query;

    *page = (struct trail_page){.used = true,
                                .asker = in->from,
                                .op = in->op,
                                .turn = page->turn + 1,
                                .matter = trail->matter,
                                .node = trail->node,
                                .limit = trail->limit,
                                .at = {trail->block, trail->record},
                                .memory = page->memory};
    enum vault_err err = arena_copy(&page->memory, trail->query, &query);
    if (err == OK && trail->matter == TRAIL_RECORDS)
        err = audit_query_decode(query, &page->query);
    if (err == OK && !scan_rows(t, st, page, out))
        err = ERR_NOMEM;
    return err;
}

/* Who asks for trails stands in the trail, denied or not. */
static void
note_asked(const struct step *st, const struct trail_reader *t, const struct msg *in,
           const char *outcome)
{
    static const char *const words[] = {"records", "blocks", "heads"};
    char caller[CALLER_BYTES];
    const struct audit_record record = {
        .kind = AUDIT_trail,
        .node = in->from,
        .op = in->op,
        .request_id = in->request_id,
        .operation = bytes_of_text(words[in->u.trail.matter]),
        .outcome = bytes_of_text(outcome),
        .caller = authority_caller(t->membership, (struct path){.tenant = bytes_of_text("default")},
                                   in->u.trail.credential, caller)};

    audit_note(st, &record);
}

enum vault_err
trail_on_asked(struct trail_reader *t, const struct step *st, const struct msg *in,
               struct effects *out)
{
    struct trail_page *page = free_page(t);
    enum vault_err err = authority_of_trail(t->membership, st, in->u.trail.credential);

    note_asked(st, t, in, err == OK ? "given" : "denied");
    if (err != OK) {
        answer(in->from, in->op, out)->refusal =
            err == ERR_NOT_READY ? REFUSED_NOT_READY : REFUSED_DENIED;
        return OK;
    }
    if (!page) {
        answer(in->from, in->op, out)->refusal = REFUSED_BUSY;
        return OK;
    }
    err = begin_page(t, st, page, in, out);
    if (err != OK)
        refuse_page(page, REFUSED_BUSY, out);
    return err == ERR_MALFORMED ? ERR_MALFORMED : OK;
}
