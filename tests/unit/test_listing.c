/*
 * Lists of names: what they show, that no acknowledged change is left out, and when there is none.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "actors/lease.h"
#include "actors/lister.h"
#include "proto/names.h"
#include "proto_fixture.h"
#include "token_records.h"

enum { NODES = 5, SHARES = 3 };

/* ---- the codec ---- */

static bool
recode(struct bytes in, struct buf *out)
{
    struct listed_name *names = calloc(SCAN_NAMES_MAX, sizeof(*names));
    size_t count;
    bool good = listed_names_decode(in, names, &count) == OK;
    if (good)
        assert_int_equal(listed_names_encode(names, count, out), OK);
    free(names);
    return good;
}

static void
test_codec(void **state)
{
    struct listed_name names[] = {
        {bytes_of_text("a"), {.time = 5, .incarnation = 1, .node = 0}, STATE_ACCEPTED, LISTED_LIVE},
        {bytes_of_text("a/b"),
         {.time = 7, .incarnation = 2, .node = 1},
         STATE_CHOSEN,
         LISTED_NOTHING},
        {bytes_of_text("b"),
         {.time = 9, .incarnation = 1, .node = 2},
         STATE_RECEIVED,
         LISTED_PENDING},
    };
    struct buf out = {0};
    (void)state;
    assert_int_equal(listed_names_encode(names, 3, &out), OK);
    assert_true(refuses_other_lengths(recode, buf_bytes(&out)));
    buf_close(&out);
    names[1].name = bytes_of_text("a"); /* twice */
    assert_int_equal(listed_names_encode(names, 3, &out), ERR_RANGE);
    names[1].name = bytes_of_text("_batch/x"); /* reserved */
    assert_int_equal(listed_names_encode(names, 2, &out), ERR_RANGE);
    assert_int_equal(listed_names_encode(names, SCAN_NAMES_MAX + 1, &out), ERR_TOO_LARGE);
    buf_close(&out);
}

/* Keys of the table are in the order of the names' bytes, and say which name they are. */
static void
test_keys(void **state)
{
    static const char *const names[] = {"B", "a", "a-b", "a/b", "a/b/c", "ab", "b"};
    struct row_key before, key;
    struct path path = {.tenant = bytes_of_text("acme")}, back;
    (void)state;
    row_key_name(path, &before); /* the prefix of all of the tenant */
    assert_int_equal(row_key_name_of(row_key_bytes(&before), &back), ERR_CORRUPT);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        path.name = bytes_of_text(names[i]);
        row_key_name(path, &key);
        assert_true(bytes_compare(row_key_bytes(&before), row_key_bytes(&key)) < 0);
        assert_int_equal(row_key_name_of(row_key_bytes(&key), &back), OK);
        assert_true(path_equal(path, back));
        before = key;
    }
    key.data[0] = ROW_PATH;
    assert_int_equal(row_key_name_of(row_key_bytes(&key), &back), ERR_CORRUPT);
    assert_int_equal(row_key_name_of(bytes_of("l\x05"
                                              "ac",
                                              4),
                                     &back),
                     ERR_CORRUPT);
    assert_int_equal(row_key_name_of(bytes_of("l\x04"
                                              "acme_x",
                                              8),
                                     &back),
                     ERR_CORRUPT);
}

/* ---- lists ---- */

static const char *asker; /* NULL: the bootstrap token */

static struct ac_request *
list(struct actor_cluster *ac, unsigned node, const char *prefix, const char *after, uint32_t limit)
{
    struct request request = ac_make(REQUEST_NAMES, "", NULL);
    request.names_prefix = bytes_of_text(prefix);
    request.names_after = bytes_of_text(after);
    request.limit = limit;
    if (asker)
        request.credential = bytes_of_text(asker);
    return ac_wait(ac, ac_send(ac, node, &request));
}

/* All pages as one text, with a space after each name. */
static char *
list_all(struct actor_cluster *ac, unsigned node, const char *prefix, uint32_t limit)
{
    struct buf text = {0};
    char after[NAME_BYTES_MAX + 1] = "";
    bool more = true;
    while (more) {
        struct ac_request *r = list(ac, node, prefix, after, limit);
        assert_int_equal(r->reply.err, OK);
        assert_true(r->reply.name_count <= limit);
        for (size_t i = 0; i < r->reply.name_count; i++) {
            assert_int_equal(buf_append(&text, r->reply.names[i]), OK);
            assert_int_equal(buf_append_text(&text, " "), OK);
        }
        more = r->reply.has_next;
        if (more)
            snprintf(after, sizeof(after), "%.*s", (int)r->reply.names_next.size,
                     (const char *)r->reply.names_next.data);
    }
    assert_int_equal(buf_append(&text, bytes_of("", 1)), OK);
    return (char *)text.data;
}

static void
shows(struct actor_cluster *ac, unsigned node, const char *prefix, const char *expected)
{
    for (uint32_t limit = 1; limit <= 128; limit *= 4) {
        char *found = list_all(ac, node, prefix, limit);
        assert_string_equal(found, expected);
        free(found);
    }
}

/* The order is that of the bytes, whatever the lengths; other tenants and batches are not shown. */
static void
test_order(void **state)
{
    static const char *const names[] = {"b", "a", "a/b", "ab", "a-b", "B", "a/b/c", "z", "abc"};
    struct actor_cluster *ac = ac_cluster_placed(NODES, SHARES, 1);
    struct batch_item items[] = {{.name = bytes_of_text("m1"), .value = bytes_of_text("x")},
                                 {.name = bytes_of_text("m2"), .value = bytes_of_text("y")}};
    struct request batch = ac_make(REQUEST_BATCH_CREATE, "", NULL);
    struct request other = ac_make(REQUEST_CREATE, "a/other", "v");
    (void)state;
    shows(ac, 0, "", "");
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(ac_create(ac, i % NODES, names[i], "v")->reply.err, OK);
    ac_run_ms(ac, 1000);
    other.tenant = bytes_of_text("elsewhere");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &other))->reply.err, ERR_NOT_FOUND);
    records_put_tenant(ac, "elsewhere");
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &other))->reply.err, OK);
    batch.items = items;
    batch.item_count = 2;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &batch))->reply.err, OK);
    for (unsigned i = 0; i < NODES; i++) {
        shows(ac, i, "", "B a a-b a/b a/b/c ab abc b m1 m2 z ");
        shows(ac, i, "a", "a a-b a/b a/b/c ab abc ");
        shows(ac, i, "a/", "a/b a/b/c ");
        shows(ac, i, "none", "");
    }
    assert_int_equal(ac_delete(ac, 3, "a/b")->reply.err, OK);
    assert_int_equal(ac_delete(ac, 4, "z")->reply.err, OK);
    shows(ac, 2, "", "B a a-b a/b/c ab abc b m1 m2 ");
    assert_int_equal(ac_create(ac, 2, "z", "again")->reply.err, OK);
    shows(ac, 1, "m", "m1 m2 ");
    shows(ac, 1, "z", "z ");
    ac_end(ac);
}

/* More names than any page of a node holds, most of them deleted. */
static void
test_many(void **state)
{
    enum { NAMES = 700 };
    struct actor_cluster *ac = ac_cluster_placed(NODES, SHARES, 2);
    struct buf expected = {0};
    char name[32];
    (void)state;
    for (unsigned i = 0; i < NAMES; i++) {
        snprintf(name, sizeof(name), "n%03u", i);
        assert_int_equal(ac_create(ac, i % NODES, name, "v")->reply.err, OK);
        if (i % 7 != 0)
            assert_int_equal(ac_delete(ac, (i + 1) % NODES, name)->reply.err, OK);
        else
            assert_int_equal(buf_printf(&expected, "%s ", name), OK);
    }
    assert_int_equal(buf_append(&expected, bytes_of("", 1)), OK);
    char *found = list_all(ac, 3, "", 30);
    assert_string_equal(found, (const char *)expected.data);
    free(found);
    found = list_all(ac, 4, "", PAGE_MAX);
    assert_string_equal(found, (const char *)expected.data);
    free(found);
    buf_close(&expected);
    ac_end(ac);
}

/* With n - m nodes away there is a list, with one more there is none: a name could be missing. */
static void
test_quorum(void **state)
{
    struct actor_cluster *ac = ac_cluster_placed(NODES, SHARES, 3);
    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "v")->reply.err, OK);
    assert_int_equal(ac_create(ac, 1, "b", "v")->reply.err, OK);
    ac_crash(ac, 2);
    for (unsigned i = 0; i < NODES; i++) {
        if (i != 2)
            shows(ac, i, "", "a b ");
    }
    ac_crash(ac, 4);
    assert_int_equal(list(ac, 0, "", "", 10)->reply.err, ERR_NO_QUORUM);
    ac_start(ac, 4);
    ac_run_ms(ac, 3000);
    shows(ac, 4, "", "a b ");
    ac_end(ac);
}

struct only {
    uint64_t to; /* bit per node that a WRITE of the name gets through to */
    const char *name;
};

static enum ac_verdict
writes_only_to(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    const struct only *only = context;
    bool about = msg_has_path(msg->kind) && bytes_equal(msg->path.name, bytes_of_text(only->name));
    (void)from;
    return about && msg->kind == MSG_WRITE && !(only->to >> to & 1) ? AC_DROP : AC_PASS;
}

/*
 * A change that was accepted by one node and by no majority: the list settles it, and what it says
 * is what reads say afterwards.
 */
static void
test_unfinished(void **state)
{
    (void)state;
    for (unsigned seed = 10; seed < 16; seed++) {
        struct actor_cluster *ac = ac_cluster_of(3, seed);
        struct only only = {.to = UINT64_C(1) << seed % 3, .name = "half"};
        unsigned away = (seed / 3) % 3;
        ac->filter = writes_only_to;
        ac->filter_context = &only;
        struct request create = ac_make(REQUEST_CREATE, "half", "v");
        struct ac_request *r = ac_send(ac, 0, &create);
        ac_run_ms(ac, 200);
        ac_crash(ac, 0);
        bool acknowledged = r->done && r->reply.err == OK; /* the node itself and another */
        ac->filter = NULL;
        ac_start(ac, 0);
        ac_run_ms(ac, 2000);
        if (away != 1)
            ac_isolate(ac, away, true);
        struct ac_request *found = list(ac, 1, "", "", 10);
        assert_int_equal(found->reply.err, OK);
        enum vault_err expected = found->reply.name_count == 1 ? OK : ERR_NOT_FOUND;
        assert_true(!acknowledged || expected == OK);
        assert_int_equal(ac_read(ac, 1, "half")->reply.err, expected);
        ac_heal(ac);
        ac_run_ms(ac, 1000);
        assert_int_equal(ac_read(ac, 2, "half")->reply.err, expected);
        ac_end(ac);
    }
}

/*
 * A node that was away knows an old head as chosen; what the others have since agreed on decides.
 */
static void
test_old_heads(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 20);
    (void)state;
    assert_int_equal(ac_create(ac, 0, "gone", "v")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "stays", "v")->reply.err, OK);
    ac_run_ms(ac, 500);
    ac_isolate(ac, 2, true);
    assert_int_equal(ac_delete(ac, 0, "gone")->reply.err, OK);
    assert_int_equal(ac_create(ac, 0, "new", "v")->reply.err, OK);
    shows(ac, 0, "", "new stays ");
    assert_int_equal(list(ac, 2, "", "", 10)->reply.err, ERR_NO_QUORUM);
    ac_isolate(ac, 2, false);
    ac_run_ms(ac, 1200);
    ac_crash(ac, 1); /* who remain: one that knows, and one that was away */
    shows(ac, 2, "", "new stays ");
    ac_end(ac);
}

/* A node whose store is lost does not answer before it has been handed everything. */
static void
test_lost_store(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 30);
    (void)state;
    for (unsigned i = 0; i < 20; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%02u", i);
        assert_int_equal(ac_create(ac, i % 3, name, "v")->reply.err, OK);
    }
    ac_crash(ac, 1);
    ac_lose_store(ac, 1, true);
    ac_start(ac, 1);
    for (unsigned i = 0; i < 100; i++) { /* while it is handed what it lost */
        struct ac_request *r = list(ac, 1, "", "", 100);
        if (r->reply.err == OK)
            assert_int_equal(r->reply.name_count, 20);
        else
            assert_int_equal(r->reply.err, ERR_NO_QUORUM);
        ac_run_ms(ac, 5);
    }
    ac_run_ms(ac, 3000);
    assert_true(ac_recovered(ac, 1));
    ac_crash(ac, 0);
    assert_int_equal(list(ac, 1, "", "", 100)->reply.name_count, 20);
    ac_end(ac);
}

/* A store that has no table of names: it is made after the start, before the first answer. */
static void
test_old_store(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 40);
    struct row_key mark;
    (void)state;
    for (unsigned i = 0; i < 150; i++) {
        char name[16];
        snprintf(name, sizeof(name), "n%03u", i);
        assert_int_equal(ac_create(ac, i % 3, name, "v")->reply.err, OK);
    }
    ac_run_ms(ac, 500);
    row_key_meta("names", &mark);
    for (unsigned i = 0; i < 3; i++) {
        struct store_change forget = {.kind = STORE_DELETE, .key = row_key_bytes(&mark)};
        ac_crash(ac, i);
        ac_forget(ac, i, ROW_NAME);
        assert_int_equal(ac->nodes[i].store->ops->commit(ac->nodes[i].store, &forget, 1), OK);
        assert_int_equal(ac->nodes[i].store->ops->sync(ac->nodes[i].store), OK);
        assert_int_equal(ac_rows(ac, i, ROW_NAME), 0);
    }
    for (unsigned i = 0; i < 3; i++)
        ac_start(ac, i);
    ac_run_ms(ac, 3000);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_NAME), 150);
    assert_int_equal(list(ac, 2, "", "", PAGE_MAX)->reply.name_count, 150);
    ac_end(ac);
}

static enum ac_verdict
lying(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    unsigned *seen = context;
    *seen += msg->kind == MSG_SCAN && from == 0 && to == 1;
    return msg->kind == MSG_SCANNED && from == 1 ? AC_DROP : AC_PASS;
}

/* An answer that comes from nobody who was asked, or that does not fit the question, is none. */
static void
test_answers_that_do_not_fit(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 50);
    unsigned seen = 0;
    struct msg bad = {.kind = MSG_SCANNED, .op = 12345};
    struct msg scan = {.kind = MSG_SCAN, .op = 1, .u.scan = {.tenant = bytes_of_text("A b")}};
    (void)state;
    scan.u.scan.limit = 1;
    assert_int_equal(ac_create(ac, 0, "a", "v")->reply.err, OK);
    assert_int_equal(ac_inject(ac, 1, 0, &bad), OK); /* of no round: no news */
    assert_int_equal(ac_inject(ac, 1, 0, &scan), ERR_UNEXPECTED);
    ac->filter = lying;
    ac->filter_context = &seen;
    shows(ac, 0, "", "a ");
    assert_true(seen > 0);
    ac_end(ac);
}

/* ---- what every node has ---- */

static enum vault_err
list_of_all(struct actor_cluster *ac, unsigned node, enum request_kind kind, const char *name,
            size_t *count)
{
    struct request request = ac_make(kind, name, NULL);
    request.limit = 10;
    request.every_node = true;
    struct ac_request *r = ac_wait(ac, ac_send(ac, node, &request));
    *count = kind == REQUEST_NAMES ? r->reply.name_count : r->reply.record_count;
    return r->reply.err;
}

/*
 * Node 0 alone has accepted a change that ended unknown, and is cut off. The others do not hear of
 * it, but no list of what every node has says that there is nothing, until it is settled.
 */
static void
stands_at_one(unsigned seed, enum request_kind make, const char *name, enum request_kind kind,
              const char *list_name)
{
    struct actor_cluster *ac = ac_cluster_of(3, seed);
    struct only only = {.to = 1, .name = name};
    struct request change = ac_make(make, name, "v");
    size_t count = 7;
    unsigned refused = 0;

    ac_run_ms(ac, 1000);
    assert_int_equal(list_of_all(ac, 1, kind, list_name, &count), OK);
    assert_int_equal(count, 0);
    ac->filter = writes_only_to;
    ac->filter_context = &only;
    (void)ac_send(ac, 0, &change);
    ac_run_ms(ac, 20);
    ac_isolate(ac, 0, true);
    ac->filter = NULL;
    ac_run_ms(ac, 3000);
    assert_int_equal(list_of_all(ac, 1, kind, list_name, &count), ERR_NO_QUORUM);
    ac_isolate(ac, 0, false);
    for (unsigned i = 0; list_of_all(ac, 1, kind, list_name, &count) != OK; i++) {
        assert_true(i < 1000);
        refused++;
        ac_run_ms(ac, 5);
    }
    assert_true(refused > 0 || count > 0);
    size_t then = count;
    ac_run_ms(ac, 3000);
    assert_int_equal(list_of_all(ac, 2, kind, list_name, &count), OK);
    assert_int_equal(count, then); /* nothing comes later */
    assert_int_equal(count, 1);    /* nobody has taken the place of what was begun */
    ac_end(ac);
}

/* Node 0's answers to the others as they were before it accepted something. */
static void
test_old_answers_do_not_count(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 80);
    struct only only = {.to = 1, .name = "_auth/role/half"};
    struct request put = ac_make(REQUEST_RECORD_PUT, "_auth/role/half", "v");
    size_t count = 7;
    ac_run_ms(ac, 1000);
    ac->filter = writes_only_to;
    ac->filter_context = &only;
    (void)ac_send(ac, 0, &put);
    ac_run_ms(ac, 20);
    ac_isolate(ac, 0, true);
    ac->filter = NULL;
    ac_run_ms(ac, 100); /* the link is down, the answers are not older than the lease */
    assert_int_not_equal(list_of_all(ac, 1, REQUEST_RECORD_LIST, "_auth/role/", &count), OK);
    ac_heal(ac);
    ac_end(ac);
}

/* Records that are being made all the time do not keep a list of what every node has away. */
static void
test_every_node_tells_while_records_are_made(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 81);
    unsigned refused = 0;
    char name[32];
    ac_run_ms(ac, 1000);
    for (unsigned i = 0; i < 100; i++) {
        size_t count = 7;
        snprintf(name, sizeof(name), "_auth/policy/p%u", i);
        struct request put = ac_make(REQUEST_RECORD_PUT, name, "v");
        (void)ac_send(ac, i % 3, &put);
        ac_run_ms(ac, 1);
        refused += list_of_all(ac, 1, REQUEST_RECORD_LIST, "_auth/role/", &count) != OK;
        ac_run_ms(ac, 14);
    }
    assert_in_range(refused, 0, 5);
    ac_end(ac);
}

static void
test_every_node_tells_names(void **state)
{
    (void)state;
    for (unsigned seed = 60; seed < 66; seed++)
        stands_at_one(seed, REQUEST_CREATE, "half", REQUEST_NAMES, "");
}

static void
test_every_node_tells_records(void **state)
{
    (void)state;
    for (unsigned seed = 70; seed < 76; seed++)
        stands_at_one(seed, REQUEST_RECORD_PUT, "_auth/role/half", REQUEST_RECORD_LIST,
                      "_auth/role/");
}

/* ---- rights that end while rows are read ---- */

#define READERS "{\"rules\":[{\"path\":\"app/**\",\"capabilities\":[\"read\",\"list\"]}]}"

/* The names that a caller may list, whatever lies between, before and after them. */
static void
test_few_of_many(void **state)
{
    static const char *const names[] = {"a",     "app",     "app/1",   "app/2/x", "app0",
                                        "b",     "b/1",     "mid/one", "z",       "zoo/1",
                                        "zoo/2", "zoo/2/x", "zoo/3",   "zzz"};
    static const char rules[] = "{\"rules\":["
                                "{\"path\":\"zoo/*\",\"capabilities\":[\"list\"]},"
                                "{\"path\":\"app/**\",\"capabilities\":[\"list\"]},"
                                "{\"path\":\"mid/one\",\"capabilities\":[\"list\"]},"
                                "{\"path\":\"b/**\",\"capabilities\":[\"read\"]}]}";
    struct actor_cluster *ac = ac_cluster_placed(NODES, SHARES, 1);
    struct test_token token;

    (void)state;
    ac_run_ms(ac, 1000);
    records_put_tenant(ac, "default");
    records_put_policy(ac, "few", rules);
    records_put_identity(ac, 2, "few", false);
    test_token_make(1, &token);
    records_put_token(ac, &token, 2, 0, 3600);
    for (unsigned i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        assert_int_equal(ac_create(ac, i % NODES, names[i], "v")->reply.err, OK);
    ac_run_ms(ac, 1000);
    asker = token.text;
    for (unsigned i = 0; i < NODES; i++) {
        shows(ac, i, "", "app/1 app/2/x mid/one zoo/1 zoo/2 zoo/3 ");
        shows(ac, i, "app", "app/1 app/2/x ");
        shows(ac, i, "app/2/x", "app/2/x ");
        shows(ac, i, "b", "");
        shows(ac, i, "m", "mid/one ");
        shows(ac, i, "zoo/2", "zoo/2 ");
    }
    asker = NULL;
    ac_end(ac);
}

/* Of the page, if that is all there is. */
static enum refusal
refusal_in(const struct effects *out)
{
    assert_int_equal(out->count, 1);
    if (out->items[0].kind == EFFECT_SCAN || out->items[0].kind == EFFECT_LOAD)
        return REFUSED_NONE;
    assert_int_equal(out->items[0].u.msg.kind, MSG_SCANNED);
    assert_int_not_equal(out->items[0].u.msg.u.scanned.refusal, REFUSED_NONE);
    return out->items[0].u.msg.u.scanned.refusal;
}

/* What a node says of its page with a name, whose key is read `later_ms` after it was asked. */
static enum refusal
page_after(struct lister *l, struct step st, const char *credential, uint64_t later_ms)
{
    struct msg scan = {.kind = MSG_SCAN, .from = 1};
    struct path path = {bytes_of_text("default"), bytes_of_text("app/a")};
    struct loaded_row row = {.found = true};
    struct msg loaded = {.kind = MSG_LOADED, .u.loaded = {.rows = &row, .count = 1}};
    struct effects *out = calloc(2, sizeof(*out));
    struct row_key key;

    assert_non_null(out);
    scan.u.scan.tenant = path.tenant;
    scan.u.scan.limit = 1;
    scan.u.scan.credential = bytes_of_text(credential);
    assert_int_equal(lister_handle(l, &st, &scan, &out[0]), OK);
    enum refusal refusal = refusal_in(&out[0]);
    loaded.u.loaded.tag = out[0].items[0].tag;
    row_key_name(path, &key);
    row.key = row_key_bytes(&key);
    st.now = instant_add(st.now, duration_ms(later_ms));
    st.wall_ms += later_ms;
    if (refusal == REFUSED_NONE) { /* if so again, its name is taken and its row asked for */
        assert_int_equal(lister_handle(l, &st, &loaded, &out[1]), OK);
        refusal = refusal_in(&out[1]);
    }
    free(out);
    return refusal;
}

/* Its names are not left out then, which would say that they are not there. */
static void
test_rights_end_on_the_way(void **state)
{
    enum { TTL_S = 30 };
    struct actor_cluster *ac = ac_cluster_of(3, 1);
    struct lister *l = calloc(1, sizeof(*l));
    struct shard_store *store = calloc(1, sizeof(*store)); /* of which only doubts are looked at */
    struct metrics *metrics = calloc(1, sizeof(*metrics));
    struct test_token token;
    struct arena arena;
    struct step st;

    (void)state;
    assert_non_null(l);
    assert_non_null(store);
    assert_non_null(metrics);
    ac_run_ms(ac, 1000);
    records_put_tenant(ac, "default");
    records_put_policy(ac, "readers", READERS);
    records_put_identity(ac, 2, "readers", false);
    test_token_make(1, &token);
    records_put_token(ac, &token, 2, 0, TTL_S);
    ac_run_ms(ac, 1000);
    arena_init(&arena, 1024 * 1024);
    st = (struct step){
        .now = ac_monotonic(ac), .wall_ms = ac_wall_ms(ac, 0), .arena = &arena, .metrics = metrics};
    lister_init(l, node_membership(ac->nodes[0].node), store);
    l->whole = true;
    assert_int_equal(page_after(l, st, token.text, 0), REFUSED_NOT_READY);
    store->doubts.known = true;
    assert_int_equal(page_after(l, st, token.text, 0), REFUSED_NONE);
    assert_int_equal(page_after(l, st, token.text, IDENTITY_LEASE_MS + 1), REFUSED_NOT_READY);
    st.wall_ms = TEST_WALL_SECONDS * UINT64_C(1000) + 1000 * TTL_S - 1; /* its last moment */
    assert_int_equal(page_after(l, st, token.text, 0), REFUSED_NONE);
    assert_int_equal(page_after(l, st, token.text, 1), REFUSED_DENIED);
    lister_close(l);
    arena_close(&arena);
    free(metrics);
    free(store);
    free(l);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_codec),
        cmocka_unit_test(test_keys),
        cmocka_unit_test(test_order),
        cmocka_unit_test(test_many),
        cmocka_unit_test(test_quorum),
        cmocka_unit_test(test_unfinished),
        cmocka_unit_test(test_old_heads),
        cmocka_unit_test(test_lost_store),
        cmocka_unit_test(test_old_store),
        cmocka_unit_test(test_answers_that_do_not_fit),
        cmocka_unit_test(test_few_of_many),
        cmocka_unit_test(test_rights_end_on_the_way),
        cmocka_unit_test(test_every_node_tells_names),
        cmocka_unit_test(test_every_node_tells_records),
        cmocka_unit_test(test_old_answers_do_not_count),
        cmocka_unit_test(test_every_node_tells_while_records_are_made),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
