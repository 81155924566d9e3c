/* Several secrets created together: all or none, for everybody, whatever fails. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"

#define ITEM(text, content)                                                                        \
    {                                                                                              \
        .name = bytes_of_text(text), .value = bytes_of_text(content)                               \
    }

static struct ac_request *
send_batch(struct actor_cluster *ac, unsigned node, const struct batch_item *items, size_t count,
           const char *key)
{
    struct request request = ac_make(REQUEST_BATCH_CREATE, "", NULL);
    request.items = items;
    request.item_count = count;
    request.idempotency_key = bytes_of_text(key);
    return ac_send(ac, node, &request);
}

static struct ac_request *
create_all(struct actor_cluster *ac, unsigned node, const struct batch_item *items, size_t count)
{
    return ac_wait(ac, send_batch(ac, node, items, count, ""));
}

static bool
absent(struct actor_cluster *ac, const char *name)
{
    return ac_read(ac, (unsigned)ac_dice(ac, 3), name)->reply.err == ERR_NOT_FOUND;
}

static bool
has(struct actor_cluster *ac, const char *name, const char *value)
{
    return ac_value_is(ac_read(ac, (unsigned)ac_dice(ac, 3), name), value);
}

/* Rows of table 'u' on all nodes. */
static size_t
unsettled(struct actor_cluster *ac)
{
    size_t rows = 0;
    for (unsigned i = 0; i < ac->options.nodes; i++)
        rows += ac_rows(ac, i, ROW_UNSETTLED);
    return rows;
}

static void
test_all_are_created(void **state)
{
    (void)state;
    for (unsigned nodes = 1; nodes <= 5; nodes++) {
        struct actor_cluster *ac = ac_cluster_placed(nodes, nodes > 3 ? 3 : nodes, nodes);
        const struct batch_item items[] = {ITEM("b", "two"), ITEM("a", "one"), ITEM("c/d", "")};
        struct ac_request *r = create_all(ac, 0, items, 3);
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(r->reply.item_count, 3);
        for (unsigned node = 0; node < nodes; node++) {
            for (unsigned i = 0; i < 3; i++) {
                char name[8];
                snprintf(name, sizeof(name), "%.*s", (int)items[i].name.size,
                         (const char *)items[i].name.data);
                struct ac_request *read = ac_read(ac, node, name);
                assert_int_equal(read->reply.err, OK);
                assert_true(bytes_equal(read->reply.value, items[i].value));
                assert_int_equal(r->reply.items[i].version, 1);
                assert_int_equal(read->reply.valid_from_ms, r->reply.items[i].valid_from_ms);
            }
        }
        ac_run_ms(ac, 3000);
        assert_int_equal(unsettled(ac), 0);
        assert_int_equal(ac_rows(ac, 0, ROW_BOXES), 0);
        ac_end(ac);
    }
}

static void
test_one_exists(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 10);
    const struct batch_item items[] = {ITEM("a", "1"), ITEM("b", "2"), ITEM("c", "3")};
    ac_create(ac, 1, "b", "old");
    struct ac_request *r = create_all(ac, 0, items, 3);
    assert_int_equal(r->reply.err, ERR_ALREADY_EXISTS);
    assert_int_equal(r->reply.items[0].err, OK);
    assert_int_equal(r->reply.items[1].err, ERR_ALREADY_EXISTS);
    assert_int_equal(r->reply.items[2].err, OK);
    assert_true(absent(ac, "a"));
    assert_true(absent(ac, "c"));
    assert_true(has(ac, "b", "old"));
    assert_int_equal(unsettled(ac), 0);
    ac_delete(ac, 0, "b");
    assert_int_equal(create_all(ac, 2, items, 3)->reply.err, OK);
    assert_true(has(ac, "b", "2"));
    ac_end(ac);
}

static void
test_names_are_distinct(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 11);
    const struct batch_item items[] = {ITEM("a", "1"), ITEM("b", "2"), ITEM("a", "3")};
    struct ac_request *r = create_all(ac, 0, items, 3);
    assert_int_equal(r->reply.err, ERR_REPEATED);
    assert_int_equal(r->reply.items[0].err, ERR_REPEATED);
    assert_int_equal(r->reply.items[1].err, OK);
    assert_int_equal(r->reply.items[2].err, ERR_REPEATED);
    assert_true(absent(ac, "a"));
    ac_end(ac);
}

static void
test_largest(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_placed(5, 3, 12);
    static struct batch_item items[BATCH_ITEMS_MAX];
    static char names[BATCH_ITEMS_MAX][16];
    for (unsigned i = 0; i < BATCH_ITEMS_MAX; i++) {
        snprintf(names[i], sizeof(names[i]), "many/%u", i);
        items[i] = (struct batch_item)ITEM(names[i], names[i]);
    }
    struct ac_request *r = create_all(ac, 0, items, BATCH_ITEMS_MAX);
    assert_int_equal(r->reply.err, OK);
    for (unsigned i = 0; i < BATCH_ITEMS_MAX; i += 17)
        assert_true(has(ac, names[i], names[i]));
    ac_run_ms(ac, 6000);
    assert_int_equal(unsettled(ac), 0);
    assert_int_equal(create_all(ac, 1, items, BATCH_ITEMS_MAX)->reply.err, ERR_ALREADY_EXISTS);
    assert_int_equal(node_in_flight(ac->nodes[0].node), 0);
    ac_end(ac);
}

/* More jobs than the node has are not begun. */
static void
test_too_many_at_once(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 13);
    static struct batch_item items[3][BATCH_ITEMS_MAX];
    static char names[3][BATCH_ITEMS_MAX][16];
    struct ac_request *r[3];
    for (unsigned b = 0; b < 3; b++) {
        for (unsigned i = 0; i < BATCH_ITEMS_MAX; i++) {
            snprintf(names[b][i], sizeof(names[b][i]), "%u/%u", b, i);
            items[b][i] = (struct batch_item)ITEM(names[b][i], "x");
        }
        r[b] = send_batch(ac, 0, items[b], BATCH_ITEMS_MAX, "");
    }
    for (unsigned b = 0; b < 3; b++)
        ac_wait(ac, r[b]);
    assert_int_equal(r[0]->reply.err, OK);
    assert_int_equal(r[2]->reply.err, ERR_BUSY);
    ac_run_ms(ac, 6000);
    assert_int_equal(create_all(ac, 0, items[2], BATCH_ITEMS_MAX)->reply.err, OK);
    ac_end(ac);
}

/* ---- crashes between any two steps ---- */

struct stop {
    enum msg_kind kind; /* whose frames from node 0 do not leave any more */
    unsigned after;     /* so many have left */
    bool record;        /* of the batch record's path, else of members */
    unsigned seen;
};

static enum ac_verdict
stop_filter(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct stop *s = context;
    (void)to;
    if (from == 0 && msg->kind == s->kind && batch_record_name_valid(msg->path.name) == s->record)
        s->seen++;
    return from == 0 && s->seen > s->after ? AC_DROP : AC_PASS;
}

/* Node 0 coordinates and dies at some moment: in the end all members are there, or none is. */
static bool
crash_at(uint64_t seed, struct stop stop, bool deleted_before)
{
    struct actor_cluster *ac = ac_cluster_of(3, seed);
    const struct batch_item items[] = {ITEM("a", "1"), ITEM("b", "2"), ITEM("c", "3")};
    if (deleted_before) {
        ac_create(ac, 1, "b", "old");
        ac_delete(ac, 2, "b");
    }
    ac->filter = stop_filter;
    ac->filter_context = &stop;
    struct ac_request *r = send_batch(ac, 0, items, 3, "");
    ac_run_ms(ac, 200);
    ac_crash(ac, 0);
    ac->filter = NULL;
    (void)r;
    bool first = !ac_value_is(ac_read(ac, 1, "a"), "1");
    ac_run_ms(ac, 8000);
    struct ac_request *a = ac_read(ac, 1, "a"), *b = ac_read(ac, 2, "b"), *c = ac_read(ac, 1, "c");
    bool all = ac_value_is(a, "1") && ac_value_is(b, "2") && ac_value_is(c, "3");
    bool none = a->reply.err == ERR_NOT_FOUND && b->reply.err == ERR_NOT_FOUND &&
                c->reply.err == ERR_NOT_FOUND;
    assert_true(all || none);
    assert_true(first || all);
    for (unsigned i = 1; i < 3; i++)
        assert_int_equal(ac_rows(ac, i, ROW_UNSETTLED), 0);
    if (none && deleted_before) {
        struct request progress = ac_make(REQUEST_DELETION, "b", NULL);
        struct ac_request *d = ac_wait(ac, ac_send(ac, 1, &progress));
        assert_int_equal(d->reply.err, OK);
        assert_true(d->reply.erased_on >= d->reply.required);
    }
    ac_heal(ac);
    ac_run_ms(ac, 8000);
    assert_int_equal(unsettled(ac), 0);
    for (unsigned i = 0; i < 3 && none; i++)
        assert_int_equal(ac_rows(ac, i, ROW_VERSION), 0);
    if (none) {
        assert_int_equal(ac_create(ac, 0, "a", "new")->reply.err, OK);
        assert_int_equal(create_all(ac, 0, items + 1, 2)->reply.err, OK);
    }
    ac_end(ac);
    return all;
}

static void
test_crashes(void **state)
{
    (void)state;
    unsigned committed = 0, aborted = 0;
    for (unsigned after = 0; after <= 9; after++) {
        committed += crash_at(100 + after, (struct stop){MSG_VOTE, after, false, 0}, after & 1);
        committed += crash_at(200 + after, (struct stop){MSG_WRITE, after, false, 0}, after & 1);
        aborted += !crash_at(300 + after, (struct stop){MSG_VOTE, after, true, 0}, after & 1);
        committed += crash_at(400 + after, (struct stop){MSG_WRITE, after, true, 0}, after & 1);
    }
    assert_true(committed > 0);
    assert_true(aborted > 0);
}

/* ---- who meets a pending head ---- */

struct held {
    struct actor_cluster *ac;
    struct ac_request *batch;
};

static const struct batch_item two[] = {
    {.name = {(const uint8_t *)"a", 1}, .value = {(const uint8_t *)"1", 1}},
    {.name = {(const uint8_t *)"b", 1}, .value = {(const uint8_t *)"2", 1}}};

static enum ac_verdict
no_record(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)to;
    return from == 0 && batch_record_name_valid(msg->path.name) ? AC_DROP : AC_PASS;
}

/* Both members are pending, and node 0 cannot reach anybody about the record. */
static struct held
held_open(uint64_t seed)
{
    struct held h = {.ac = ac_cluster_of(3, seed)};
    h.ac->filter = no_record;
    h.batch = send_batch(h.ac, 0, two, 2, "");
    ac_run_ms(h.ac, 50);
    assert_true(unsettled(h.ac) > 0);
    return h;
}

static void
test_readers_do_not_see_what_is_undecided(void **state)
{
    (void)state;
    struct held h = held_open(20);
    for (unsigned node = 1; node < 3; node++) {
        assert_int_equal(ac_read(h.ac, node, "a")->reply.err, ERR_NOT_FOUND);
        struct request history = ac_make(REQUEST_HISTORY, "b", NULL);
        history.limit = 10;
        assert_int_equal(ac_wait(h.ac, ac_send(h.ac, node, &history))->reply.err, ERR_NOT_FOUND);
    }
    assert_false(h.batch->done);
    ac_end(h.ac);
}

static void
test_a_writer_aborts_it_after_the_lease(void **state)
{
    (void)state;
    struct held h = held_open(21);
    uint64_t began = ac_ms(h.ac);
    assert_int_equal(ac_create(h.ac, 1, "a", "mine")->reply.err, OK);
    assert_in_range(ac_ms(h.ac) - began, 1000, 1500);
    h.ac->filter = NULL;
    ac_wait(h.ac, h.batch);
    assert_int_equal(h.batch->reply.err, ERR_CONTENDED);
    assert_true(has(h.ac, "a", "mine"));
    assert_true(absent(h.ac, "b"));
    ac_end(h.ac);
}

static void
test_outcome_unknown_without_the_record(void **state)
{
    (void)state;
    struct held h = held_open(22);
    ac_isolate(h.ac, 0, true);
    ac_wait(h.ac, h.batch);
    assert_int_equal(h.batch->reply.err, ERR_NO_QUORUM);
    assert_int_equal(h.batch->reply.phase, PHASE_WRITING);
    ac_heal(h.ac);
    h.ac->filter = NULL;
    ac_run_ms(h.ac, 5000);
    assert_int_equal(unsettled(h.ac), 0);
    assert_true(absent(h.ac, "a"));
    assert_true(absent(h.ac, "b"));
    ac_end(h.ac);
}

static void
test_no_majority(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 23);
    ac_isolate(ac, 0, true);
    ac_run_ms(ac, 100);
    struct ac_request *r = create_all(ac, 0, two, 2);
    assert_int_equal(r->reply.err, ERR_NO_QUORUM);
    assert_int_equal(r->reply.phase, PHASE_VOTING);
    ac_heal(ac);
    ac_run_ms(ac, 3000);
    assert_int_equal(node_in_flight(ac->nodes[0].node), 0);
    assert_int_equal(create_all(ac, 0, two, 2)->reply.err, OK);
    ac_end(ac);
}

/*
 * What happens to a batch of 40 at node 0: all but the last are held with their votes, then those
 * from "m12" on are outvoted by creations of node 2 that do not get through.
 */
enum { MANY = 40, HUNG = 8, OUTVOTED = 12 };
struct outvoted {
    const struct ac_request *batch;
    bool creations;        /* have been voted for */
    unsigned written_late; /* WRITEs that left when the client had its answer */
};

static unsigned
number_of(const struct msg *msg)
{
    struct bytes name = msg_has_path(msg->kind) ? msg->path.name : (struct bytes){0};
    if (name.size != 3 || name.data[0] != 'm')
        return MANY;
    return (unsigned)(name.data[1] - '0') * 10 + (unsigned)(name.data[2] - '0');
}

static enum ac_verdict
outvote(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct outvoted *o = context;
    unsigned number = number_of(msg);
    bool answered = o->batch && o->batch->done;
    if (number == MANY)
        return AC_PASS;
    if (from == 2 && msg->kind == MSG_WRITE)
        return AC_DROP;
    if (from == 0 && msg->kind == MSG_WRITE && number >= OUTVOTED)
        o->written_late += answered;
    if (to != 0 || msg->kind != MSG_VOTED)
        return AC_PASS;
    if (answered) /* who settles the first few hears nothing, so the others are not settled yet */
        return from == 2 || number < HUNG ? AC_DROP : AC_PASS;
    if (!o->creations)
        return number == MANY - 1 ? AC_DROP : AC_PASS;
    return number >= OUTVOTED && number < MANY - 1 ? AC_DROP : AC_PASS;
}

/* The values of a batch are the client's: it may forget them once it has its answer. */
static void
test_nothing_is_written_after_the_answer(void **state)
{
    (void)state;
    struct ac_options options = {.nodes = 3, .seed = 24, .requests_max = 256};
    struct actor_cluster *ac = ac_new(&options);
    struct outvoted o = {0};
    struct batch_item items[MANY];
    char names[MANY][4];
    ac_run_ms(ac, 300);
    ac->maybe = &ac_votes_only;
    ac->filter = outvote;
    ac->filter_context = &o;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(names[i], sizeof(names[i]), "m%02u", i);
        items[i] =
            (struct batch_item){.name = bytes_of_text(names[i]), .value = bytes_of_text("x")};
    }
    struct ac_request *batch = send_batch(ac, 0, items, MANY, "");
    o.batch = batch;
    ac_run_ms(ac, 100);
    for (unsigned i = OUTVOTED; i < MANY - 1; i++) {
        struct request create = ac_make(REQUEST_CREATE, names[i], "y");
        (void)ac_send(ac, 2, &create);
    }
    ac_run_ms(ac, 20);
    o.creations = true; /* the last member asks again, and is held, too */
    ac_wait(ac, batch);
    assert_int_equal(batch->reply.err, ERR_NO_QUORUM);
    ac_run_ms(ac, 3000);
    assert_int_equal(o.written_late, 0);
    ac->filter = NULL;
    ac_run_ms(ac, 5000);
    assert_int_equal(unsettled(ac), 0);
    assert_false(has(ac, "m20", "x"));
    ac_end(ac);
}

/* ---- one after the other, and at once ---- */

static void
test_same_key(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 30);
    const struct batch_item other[] = {ITEM("a", "1"), ITEM("b", "other")};
    const struct batch_item more[] = {ITEM("a", "1"), ITEM("b", "2"), ITEM("c", "3")};
    struct ac_request *first = ac_wait(ac, send_batch(ac, 0, two, 2, "key"));
    assert_int_equal(first->reply.err, OK);
    for (int round = 0; round < 2; round++) {
        for (unsigned node = 0; node < 3; node++) {
            struct ac_request *again = ac_wait(ac, send_batch(ac, node, two, 2, "key"));
            assert_int_equal(again->reply.err, OK);
            for (unsigned i = 0; i < 2; i++)
                assert_int_equal(again->reply.items[i].valid_from_ms,
                                 first->reply.items[i].valid_from_ms);
        }
        ac_run_ms(ac, 3000);
    }
    assert_int_equal(ac_wait(ac, send_batch(ac, 1, other, 2, "key"))->reply.err, ERR_KEY_REUSED);
    assert_int_equal(ac_wait(ac, send_batch(ac, 1, more, 3, "key"))->reply.err, ERR_KEY_REUSED);
    assert_true(absent(ac, "c"));
    assert_int_equal(ac_wait(ac, send_batch(ac, 1, two, 2, "other"))->reply.err,
                     ERR_ALREADY_EXISTS);
    ac_delete(ac, 0, "a");
    assert_int_equal(ac_wait(ac, send_batch(ac, 1, two, 2, "key"))->reply.err, OK);
    assert_true(absent(ac, "a"));
    ac_end(ac);
}

static enum ac_verdict
no_votes_of_1_for_b(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    (void)to;
    bool b = bytes_equal(msg->path.name, bytes_of_text("b"));
    return from == 1 && msg->kind == MSG_VOTE && b ? AC_DROP : AC_PASS;
}

/*
 * One member was looked at before the other attempt wrote, and one after: the same request still.
 */
static void
test_same_key_in_between(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 32);
    ac->filter = no_votes_of_1_for_b;
    struct ac_request *slow = send_batch(ac, 1, two, 2, "key");
    ac_run_ms(ac, 50);
    struct ac_request *fast = ac_wait(ac, send_batch(ac, 0, two, 2, "key"));
    assert_int_equal(fast->reply.err, OK);
    ac->filter = NULL;
    assert_int_equal(ac_wait(ac, slow)->reply.err, OK);
    for (unsigned i = 0; i < 2; i++)
        assert_int_equal(slow->reply.items[i].valid_from_ms, fast->reply.items[i].valid_from_ms);
    ac_end(ac);
}

static enum ac_verdict
no_votes_for_1_on_b(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    bool b = msg_has_path(msg->kind) && bytes_equal(msg->path.name, bytes_of_text("b"));
    return b && msg->kind == MSG_VOTED && to == 1 && from != 1 ? AC_DROP : AC_PASS;
}

/* One member has happened, and of the other nobody tells: not that nothing has. */
static void
test_same_key_half_known(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 33);
    assert_int_equal(ac_wait(ac, send_batch(ac, 0, two, 2, "key"))->reply.err, OK);
    ac_run_ms(ac, 2000);
    ac->filter = no_votes_for_1_on_b;
    struct ac_request *again = send_batch(ac, 1, two, 2, "key");
    ac_run_ms(ac, 100);
    for (unsigned i = 0; i < 3; i++) { /* the caller's credential is taken away */
        struct membership *ms = (struct membership *)node_membership(ac->nodes[i].node);
        memset(((struct cluster *)ms->cluster)->admin_token_hash, 0, HASH_BYTES);
        ms->records->admin.known = false;
    }
    ac->filter = NULL;
    ac_wait(ac, again);
    assert_int_equal(again->reply.err, ERR_NO_QUORUM);
    assert_int_equal(again->reply.phase, PHASE_WRITING);
    ac_end(ac);
}

/* An aborted attempt under a key has not happened. */
static void
test_same_key_after_an_abort(void **state)
{
    (void)state;
    struct actor_cluster *ac = ac_cluster_of(3, 31);
    ac->filter = no_record;
    struct ac_request *r = send_batch(ac, 0, two, 2, "key");
    ac_run_ms(ac, 100);
    ac_crash(ac, 0);
    ac->filter = NULL;
    assert_true(unsettled(ac) > 0);
    (void)r;
    struct ac_request *again = ac_wait(ac, send_batch(ac, 1, two, 2, "key"));
    assert_int_equal(again->reply.err, OK);
    assert_true(ac_value_is(ac_read(ac, 1, "a"), "1"));
    assert_true(ac_value_is(ac_read(ac, 2, "b"), "2"));
    ac_heal(ac);
    ac_run_ms(ac, 4000);
    assert_int_equal(unsettled(ac), 0);
    ac_end(ac);
}

/* Overlapping batches at all nodes at once, with other changes: for each name one of them wins. */
static void
overlap(uint64_t seed, unsigned *created)
{
    static const char *const names[] = {"a", "b", "c", "d"};
    struct actor_cluster *ac = ac_cluster_of(3, seed);
    struct batch_item items[6][3];
    char values[6][4];
    struct ac_request *r[6];
    for (unsigned i = 0; i < 6; i++) {
        unsigned at = (unsigned)ac_dice(ac, 4), by = 1 + 2 * (unsigned)ac_dice(ac, 2);
        snprintf(values[i], sizeof(values[i]), "%u", i);
        for (unsigned k = 0; k < 3; k++)
            items[i][k] = (struct batch_item)ITEM(names[(at + k * by) % 4], values[i]);
        r[i] = send_batch(ac, i % 3, items[i], 3, "");
        if (ac_dice(ac, 3) == 0)
            ac_run_ms(ac, ac_dice(ac, 3));
    }
    for (unsigned i = 0; i < 6; i++)
        ac_wait(ac, r[i]);
    for (unsigned i = 0; i < 6; i++) {
        bool done = r[i]->reply.err == OK;
        if (!done && r[i]->reply.err != ERR_CONTENDED)
            assert_int_equal(r[i]->reply.err, ERR_ALREADY_EXISTS);
        *created += done;
        for (unsigned k = 0; k < 3; k++) {
            char name[2] = {(char)items[i][k].name.data[0], 0};
            assert_int_equal(has(ac, name, values[i]), done);
        }
    }
    ac_run_ms(ac, 4000);
    assert_int_equal(unsettled(ac), 0);
    ac_end(ac);
}

static void
test_overlapping(void **state)
{
    (void)state;
    unsigned created = 0;
    for (uint64_t seed = 1000; seed < 1040; seed++)
        overlap(seed, &created);
    assert_true(created > 20);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_are_created),
        cmocka_unit_test(test_one_exists),
        cmocka_unit_test(test_names_are_distinct),
        cmocka_unit_test(test_largest),
        cmocka_unit_test(test_too_many_at_once),
        cmocka_unit_test(test_crashes),
        cmocka_unit_test(test_readers_do_not_see_what_is_undecided),
        cmocka_unit_test(test_a_writer_aborts_it_after_the_lease),
        cmocka_unit_test(test_outcome_unknown_without_the_record),
        cmocka_unit_test(test_no_majority),
        cmocka_unit_test(test_nothing_is_written_after_the_answer),
        cmocka_unit_test(test_same_key),
        cmocka_unit_test(test_same_key_in_between),
        cmocka_unit_test(test_same_key_half_known),
        cmocka_unit_test(test_same_key_after_an_abort),
        cmocka_unit_test(test_overlapping),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
