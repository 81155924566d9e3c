#include "actors/lister.h"

#include <assert.h>
#include <string.h>

#include "actors/alarms.h"
#include "actors/authority.h"
#include "actors/standing.h"
#include "base/planted.h"

enum {
    PAGE_ARENA_BYTES_MAX = 1024 * 1024,
    PAGE_NAMES_MAX = SCAN_NAMES_MAX + DOUBTS_MAX,
    TAG_BITS = 8,
};

/* Tags below LISTER_PAGES_MAX, with the turn above them, are those of pages. */
enum lister_tag { TAG_MARK = 0xf0, TAG_FILL, TAG_FILLED, TAG_RETRY };
static_assert((int)LISTER_PAGES_MAX < (int)TAG_MARK, "each has a number of its own");

static const char mark_name[] = "names";

void
lister_init(struct lister *l, const struct membership *membership, struct shard_store *shard_store)
{
    *l = (struct lister){.membership = membership, .shard_store = shard_store};
    for (unsigned i = 0; i < LISTER_PAGES_MAX; i++)
        arena_init(&l->pages[i].memory, PAGE_ARENA_BYTES_MAX);
}

void
lister_close(struct lister *l)
{
    for (unsigned i = 0; i < LISTER_PAGES_MAX; i++)
        arena_close(&l->pages[i].memory);
}

/* ---- answers ---- */

static struct msg_scanned *
answer(struct lister *l, uint8_t to, uint64_t op, struct effects *out)
{
    const struct membership *ms = l->membership;
    struct msg *m = effect_send(out, MSG_SCANNED, to, NULL);
    m->op = op;
    m->u.scanned.incarnations.count = 1;
    m->u.scanned.incarnations.placed = standing_config(ms);
    m->u.scanned.incarnations.of[0] = ms->members[ms->self].incarnation;
    return &m->u.scanned;
}

static void
refuse(struct lister *l, uint8_t to, uint64_t op, enum refusal refusal, struct effects *out)
{
    answer(l, to, op, out)->refusal = refusal;
}

static void
end_page(struct lister_page *page)
{
    page->used = false;
    arena_reset(&page->memory);
}

static void
refuse_page(struct lister *l, struct lister_page *page, enum refusal refusal, struct effects *out)
{
    refuse(l, page->asker, page->op, refusal, out);
    end_page(page);
}

/* Of every path it knows whether it could answer for it. */
static bool
is_sure(const struct lister *l)
{
    const struct doubts *doubts = &l->shard_store->doubts;
    return standing_ready_for_all(l->membership) && doubts->known && !doubts->too_many;
}

static void
drop_missing(struct lister_page *page)
{
    size_t kept = 0;
    for (size_t i = 0; i < page->count; i++) {
        if (!page->missing[i])
            page->names[kept++] = page->names[i];
    }
    page->count = kept;
}

/*
 * What the node was sure of when it was asked it must still be sure of: it may have heard meanwhile
 * that its store is behind.
 */
static void
send_page(struct lister *l, const struct step *st, struct lister_page *page, struct effects *out)
{
    struct buf encoded = {0};
    struct bytes names = {0}, until = {0};
    drop_missing(page);
    enum vault_err err = listed_names_encode(page->names, page->count, &encoded);
    if (err == OK)
        err = arena_copy(st->arena, buf_bytes(&encoded), &names);
    if (err == OK)
        err = arena_copy(st->arena, page->until, &until);
    buf_close(&encoded);
    if (err != OK || !is_sure(l)) {
        refuse_page(l, page, err != OK ? REFUSED_BUSY : REFUSED_NOT_READY, out);
        return;
    }
    struct msg_scanned *scanned = answer(l, page->asker, page->op, out);
    scanned->names = names;
    scanned->until = until;
    end_page(page);
}

/* ---- what the rows say ---- */

static enum listed_kind
kind_of(struct bytes encoded)
{
    struct head head;
    if (head_decode(encoded, &head) != OK)
        return LISTED_UNSURE;
    if (head_kind_erases(head.kind))
        return LISTED_NOTHING;
    if (head.kind != HEAD_LIVE)
        return LISTED_UNSURE;
    if (head.expires_at_ms != 0)
        return LISTED_UNSURE; /* whether it is still there is asked when the list is made */
    return head_is_pending(&head) ? LISTED_PENDING : LISTED_LIVE;
}

static void
make_unsure(struct listed_name *name)
{
    name->kind = LISTED_UNSURE;
    name->state = STATE_ACCEPTED;
    name->ballot = (struct ballot){.time = 1, .incarnation = 1};
}

/*
 * What is on the disk may not be durable yet, so what the shard store has in its memory goes before
 * it: where the two are unlike, the path is just changing. A row that cannot be read is no answer
 * either.
 */
static void
fill_name(struct lister *l, const struct step *st, struct lister_page *page, size_t at,
          const struct loaded_row *loaded)
{
    struct listed_name *name = &page->names[at];
    struct path path = {page->tenant, name->name};
    struct shard_view view = {0};
    struct path_row row;
    bool viewed = shard_store_view(l->shard_store, st, path, &view);
    make_unsure(name);
    if (shard_store_in_doubt(l->shard_store, path))
        return; /* what has been handed over so far may be older than what is chosen */
    if (loaded && !loaded->found) {
        page->missing[at] = true;
    } else if (viewed && view.head.state == STATE_ABSENT) {
        page->missing[at] = true; /* accepted, and not durable: nobody has been told */
    } else if (loaded && path_row_decode(loaded->value, &row) == OK &&
               (!viewed || ballot_compare(view.ballot, row.ballot) == 0)) {
        name->kind = kind_of(row.head);
        name->state = viewed ? view.head.state : row.state;
        name->ballot = row.ballot;
    }
}

/* Asks for the next few path rows; false: all have come, or there is no memory. */
static bool
load_rows(struct lister *l, const struct step *st, struct lister_page *page, struct effects *out)
{
    size_t count = page->count - page->loaded;
    if (count > LOAD_KEYS_MAX)
        count = LOAD_KEYS_MAX;
    struct bytes *keys = count > 0 ? arena_alloc(st->arena, count * sizeof(*keys)) : NULL;
    for (size_t i = 0; keys && i < count; i++) {
        struct row_key key;
        struct path path = {page->tenant, page->names[page->loaded + i].name};
        row_key_path(path, &key);
        if (arena_copy(st->arena, row_key_bytes(&key), &keys[i]) != OK)
            keys = NULL;
    }
    if (!keys)
        return false;
    uint64_t number = (uint64_t)(page - l->pages);
    effect_load(out, ACTOR_LISTER, page->turn << TAG_BITS | number, keys, count);
    return true;
}

static void
take_rows(struct lister *l, const struct step *st, struct lister_page *page,
          const struct msg_loaded *loaded)
{
    size_t left = page->count - page->loaded;
    size_t asked = left < LOAD_KEYS_MAX ? left : LOAD_KEYS_MAX;
    for (size_t i = 0; i < asked; i++)
        fill_name(l, st, page, page->loaded + i,
                  loaded->err == OK && i < loaded->count ? &loaded->rows[i] : NULL);
    page->loaded += asked;
}

/* ---- names ---- */

static enum refusal
refusal_of(enum vault_err err)
{
    return err == ERR_NOT_READY ? REFUSED_NOT_READY : REFUSED_DENIED;
}

static bool
is_kept_here(const struct lister *l, struct path path)
{
    struct replicas replicas;
    membership_replicas(l->membership, path, &replicas);
    return replicas_index(&replicas, l->membership->self) >= 0;
}

/* False: the row is no name, or there is no memory. */
static bool
take_names(struct lister *l, const struct authority_listing *listing, struct lister_page *page,
           const struct msg_loaded *loaded)
{
    struct path path = {0};
    for (size_t i = 0; i < loaded->count && i < SCAN_NAMES_MAX; i++) {
        if (row_key_name_of(loaded->rows[i].key, &path) != OK)
            return false;
        if (!is_kept_here(l, path) ||
            (!authority_may_list(listing, path.name) && !PLANTED(names_without_check)))
            continue;
        if (arena_copy(&page->memory, path.name, &page->names[page->count++].name) != OK)
            return false;
    }
    return !loaded->more || arena_copy(&page->memory, path.name, &page->until) == OK;
}

static bool
is_within(const struct lister_page *page, struct path path)
{
    return bytes_equal(path.tenant, page->tenant) && secret_name_valid(path.name) &&
           bytes_begin_with(path.name, page->prefix) &&
           (page->begin.size == 0 || bytes_compare(path.name, page->begin) > 0) &&
           (page->until.size == 0 || bytes_compare(path.name, page->until) <= 0);
}

/* In its place, unless it is there. */
static void
put_name(struct lister_page *page, struct bytes name)
{
    size_t at = page->count;
    while (at > 0 && bytes_compare(page->names[at - 1].name, name) > 0)
        at--;
    if (at > 0 && bytes_equal(page->names[at - 1].name, name))
        return;
    memmove(&page->names[at + 1], &page->names[at], (page->count - at) * sizeof(*page->names));
    page->names[at].name = name;
    page->count++;
}

/*
 * A path in doubt may be one that this node has lost, and then no row tells of its name. Names that
 * do not fit are those of the next page. False: there is no memory.
 */
static bool
add_doubts(struct lister *l, const struct authority_listing *listing, struct lister_page *page)
{
    const struct doubts *doubts = &l->shard_store->doubts;
    for (unsigned i = 0; i < DOUBTS_MAX && doubts->count > 0; i++) {
        struct bytes name;
        struct path path = doubts->of[i].used ? doubt_path(&doubts->of[i]) : (struct path){0};
        if (!is_within(page, path) || !authority_may_list(listing, path.name))
            continue;
        if (arena_copy(&page->memory, path.name, &name) != OK)
            return false;
        put_name(page, name);
    }
    if (page->count > SCAN_NAMES_MAX) {
        page->count = SCAN_NAMES_MAX;
        page->until = page->names[page->count - 1].name;
    }
    return true;
}

/*
 * Whoever asked was allowed to when it did, and may not be any more, or this node may no longer
 * say: then its names are not left out, which would be an answer, but none is given.
 */
static void
on_page_loaded(struct lister *l, const struct step *st, struct lister_page *page,
               const struct msg_loaded *loaded, struct effects *out)
{
    bool first = page->loaded == 0 && page->count == 0;
    bool good = true;
    struct authority_listing listing;
    enum vault_err allowed =
        first ? authority_listing(l->membership, st, page->tenant, page->credential, &listing) : OK;
    if (allowed != OK) {
        refuse_page(l, page, refusal_of(allowed), out);
        return;
    }
    if (first)
        good = loaded->err == OK && take_names(l, &listing, page, loaded) &&
               add_doubts(l, &listing, page);
    else
        take_rows(l, st, page, loaded);
    if (good && load_rows(l, st, page, out))
        return;
    if (good && page->loaded == page->count)
        send_page(l, st, page, out);
    else
        refuse_page(l, page, loaded->err == ERR_CORRUPT ? REFUSED_CORRUPT : REFUSED_BUSY, out);
}

/* ---- SCAN ---- */

static struct lister_page *
free_page(struct lister *l)
{
    for (unsigned i = 0; i < LISTER_PAGES_MAX; i++) {
        if (!l->pages[i].used)
            return &l->pages[i];
    }
    return NULL;
}

/*
 * What comes right before `from`: names are printable, so nothing lies between. Whoever may list
 * few names is not to have all others looked through, which would take as long as to list them.
 */
static struct bytes
right_before(struct bytes from, uint8_t memory[static NAME_BYTES_MAX + 1])
{
    size_t size = from.size;
    memcpy(memory, from.data, size);
    memory[size - 1]--;
    if (size < NAME_BYTES_MAX)
        memory[size++] = 0xff;
    return bytes_of(memory, size);
}

/* Names before `from`, unless it is empty, are none of the caller's. False: no memory. */
static bool
begin_page(struct lister *l, const struct step *st, struct lister_page *page,
           const struct msg_scan *scan, struct bytes from, struct effects *out)
{
    uint8_t memory[NAME_BYTES_MAX + 1];
    struct bytes begin = from.size > 0 ? right_before(from, memory) : scan->after;
    struct row_key prefix, after;
    struct bytes prefix_copy = {0}, after_copy = {0};
    page->until = (struct bytes){0};
    page->count = 0;
    page->loaded = 0;
    page->names = arena_alloc(&page->memory, PAGE_NAMES_MAX * sizeof(*page->names));
    page->missing = arena_alloc(&page->memory, PAGE_NAMES_MAX * sizeof(*page->missing));
    row_key_name((struct path){scan->tenant, scan->prefix}, &prefix);
    row_key_name((struct path){scan->tenant, begin}, &after);
    if (!page->names || !page->missing ||
        arena_copy(&page->memory, scan->tenant, &page->tenant) != OK ||
        arena_copy(&page->memory, scan->credential, &page->credential) != OK ||
        arena_copy(&page->memory, scan->prefix, &page->prefix) != OK ||
        arena_copy(&page->memory, begin, &page->begin) != OK ||
        arena_copy(st->arena, row_key_bytes(&prefix), &prefix_copy) != OK)
        return false;
    if (begin.size > 0 && arena_copy(st->arena, row_key_bytes(&after), &after_copy) != OK)
        return false;
    uint64_t number = (uint64_t)(page - l->pages);
    effect_scan(out, ACTOR_LISTER, ++page->turn << TAG_BITS | number, prefix_copy, after_copy,
                (size_t)scan->limit, false);
    return true;
}

/* There are no names that this caller may list, whatever there is. */
static void
answer_nothing(struct lister *l, const struct step *st, const struct msg *in, struct effects *out)
{
    struct buf encoded = {0};
    struct bytes names = {0};
    enum vault_err err = listed_names_encode(NULL, 0, &encoded);
    if (err == OK)
        err = arena_copy(st->arena, buf_bytes(&encoded), &names);
    buf_close(&encoded);
    if (err != OK)
        refuse(l, in->from, in->op, REFUSED_BUSY, out);
    else
        answer(l, in->from, in->op, out)->names = names;
}

static enum vault_err
on_scan(struct lister *l, const struct step *st, const struct msg *in, struct effects *out)
{
    const struct msg_scan *scan = &in->u.scan;
    struct lister_page *page = free_page(l);
    if (!tenant_name_valid(scan->tenant))
        return ERR_UNEXPECTED;
    enum vault_err err = authority_of_names(l->membership, st, scan->tenant, scan->credential);
    struct authority_listing listing;
    struct bytes from;
    if (err == OK)
        err = authority_listing(l->membership, st, scan->tenant, scan->credential, &listing);
    if (err != OK) {
        alarms_peer_refused(l->membership, st, in->from, err);
        refuse(l, in->from, in->op, refusal_of(err), out);
    } else if (!l->whole || !is_sure(l)) {
        refuse(l, in->from, in->op, REFUSED_NOT_READY, out);
    } else if (!authority_list_from(&listing, scan->prefix, scan->after, &from) &&
               !PLANTED(names_without_check)) {
        answer_nothing(l, st, in, out);
    } else if (!page) {
        refuse(l, in->from, in->op, REFUSED_BUSY, out);
    } else {
        page->used = true;
        page->asker = in->from;
        page->op = in->op;
        if (PLANTED(names_without_check))
            from = (struct bytes){0};
        if (!begin_page(l, st, page, scan, from, out))
            refuse_page(l, page, REFUSED_BUSY, out);
    }
    return OK;
}

/* ---- a table 'l' that is not whole ---- */

static void
retry_later(struct effects *out)
{
    effect_timer(out, ACTOR_LISTER, TAG_RETRY, duration_ms(LISTER_RETRY_MS));
}

static void
ask_mark(const struct step *st, struct effects *out)
{
    struct row_key key;
    struct bytes *copy = arena_alloc(st->arena, sizeof(*copy));
    row_key_meta(mark_name, &key);
    if (copy && arena_copy(st->arena, row_key_bytes(&key), copy) == OK)
        effect_load(out, ACTOR_LISTER, TAG_MARK, copy, 1);
    else
        retry_later(out);
}

static void
ask_paths(struct lister *l, const struct step *st, struct effects *out)
{
    struct row_key table;
    struct bytes prefix, after;
    row_key_table(ROW_PATH, &table);
    if (arena_copy(st->arena, row_key_bytes(&table), &prefix) == OK &&
        arena_copy(st->arena, row_key_bytes(&l->filled), &after) == OK)
        effect_scan(out, ACTOR_LISTER, TAG_FILL, prefix, after, LISTER_FILL_ROWS, false);
    else
        retry_later(out);
}

static bool
add_put(const struct step *st, const struct row_key *key, struct bytes value,
        struct store_change *list, size_t *count)
{
    struct store_change *change = &list[*count];
    *change = (struct store_change){.kind = STORE_PUT, .value = value};
    if (arena_copy(st->arena, row_key_bytes(key), &change->key) != OK)
        return false;
    (*count)++;
    return true;
}

/* A key that is none is the scrubber's matter. */
static bool
add_name(const struct step *st, struct bytes path_key, struct store_change *list, size_t *count)
{
    struct path path;
    struct row_key key;
    if (row_key_path_of(path_key, &path) != OK || !secret_name_valid(path.name))
        return true;
    row_key_name(path, &key);
    return add_put(st, &key, (struct bytes){0}, list, count);
}

/* The rows of a page; with the last page, the mark that all are there. */
static void
on_fill(struct lister *l, const struct step *st, const struct msg_loaded *loaded,
        struct effects *out)
{
    static const uint8_t present[] = {1};
    struct row_key mark;
    size_t count = 0;
    struct store_change *list = arena_alloc(st->arena, (LISTER_FILL_ROWS + 1) * sizeof(*list));
    bool good = list && loaded->err == OK;
    for (size_t i = 0; good && i < loaded->count && i < LISTER_FILL_ROWS; i++)
        good = add_name(st, loaded->rows[i].key, list, &count);
    row_key_meta(mark_name, &mark);
    if (good && !loaded->more)
        good = add_put(st, &mark, bytes_of(present, 1), list, &count);
    if (!good) {
        retry_later(out);
        return;
    }
    if (loaded->count > 0) {
        struct bytes last = loaded->rows[loaded->count - 1].key;
        l->filled.size = last.size;
        memcpy(l->filled.data, last.data, last.size);
    }
    l->filled_all = !loaded->more;
    if (count == 0)
        ask_paths(l, st, out);
    else
        effect_store(out, ACTOR_LISTER, TAG_FILLED, list, count);
}

static void
on_filled(struct lister *l, const struct step *st, enum vault_err err, struct effects *out)
{
    if (err != OK) {
        l->filled.size = 0; /* from the first once more: what is there is written again */
        retry_later(out);
    } else if (l->filled_all) {
        l->whole = true;
    } else {
        ask_paths(l, st, out);
    }
}

static void
on_mark(struct lister *l, const struct step *st, const struct msg_loaded *loaded,
        struct effects *out)
{
    bool found = loaded->err == OK && loaded->count == 1 && loaded->rows[0].found;
    if (found)
        l->whole = true;
    else
        ask_paths(l, st, out);
}

void
lister_start(struct lister *l, const struct step *st, struct effects *out)
{
    (void)l;
    ask_mark(st, out);
}

/* ---- messages ---- */

static void
on_loaded(struct lister *l, const struct step *st, const struct msg_loaded *loaded,
          struct effects *out)
{
    uint64_t number = loaded->tag & ((1U << TAG_BITS) - 1);
    if (loaded->tag == TAG_MARK) {
        on_mark(l, st, loaded, out);
    } else if (loaded->tag == TAG_FILL) {
        on_fill(l, st, loaded, out);
    } else if (number < LISTER_PAGES_MAX && l->pages[number].used &&
               l->pages[number].turn == loaded->tag >> TAG_BITS) {
        on_page_loaded(l, st, &l->pages[number], loaded, out);
    }
}

enum vault_err
lister_handle(struct lister *l, const struct step *st, const struct msg *in, struct effects *out)
{
    assert(out->count == 0);
    switch ((int)in->kind) {
    case MSG_SCAN: return on_scan(l, st, in, out);
    case MSG_LOADED: on_loaded(l, st, &in->u.loaded, out); return OK;
    case MSG_STORED: on_filled(l, st, in->u.stored.err, out); return OK;
    case MSG_TIMER: ask_paths(l, st, out); return OK;
    default: return ERR_UNEXPECTED;
    }
}
