/* Trails as auditors read them through a node: whole, page by page, by whoever may. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "actors/trail_reader.h"
#include "audit/judge.h"

enum { FOUND_MAX = 4000 };

struct search {
    size_t pages, count;
    uint64_t missing, last_ms;
    unsigned of_kind[AUDIT_KIND_LAST + 1];
    enum vault_err err;
};

static void
take_page(const struct audit_page *page, struct search *out)
{
    struct audit_found found;
    struct audit_record record;
    struct cbor_reader r;

    cbor_reader_init(&r, page->found);
    for (size_t i = 0; i < page->found_count; i++) {
        audit_found_get(&r, &found);
        assert_int_equal(r.err, OK);
        assert_int_equal(audit_record_decode(found.record, &record), OK);
        assert_true(record.time_ms >= out->last_ms);
        out->last_ms = record.time_ms;
        out->of_kind[record.kind]++;
        out->count++;
    }
    out->missing |= page->missing;
    out->pages++;
}

static void
search(struct actor_cluster *ac, unsigned node, const struct audit_query *query, uint32_t limit,
       struct search *out)
{
    uint8_t memory[AUDIT_POSITIONS_BYTES_MAX];
    struct request request = ac_make(REQUEST_AUDIT, "", NULL);
    struct audit_page page;

    memset(out, 0, sizeof(*out));
    request.audit = *query;
    request.limit = limit;
    do {
        struct ac_request *r = ac_wait(ac, ac_send(ac, node, &request));
        out->err = r->reply.err;
        if (out->err != OK)
            return;
        assert_int_equal(audit_page_decode(r->reply.value, &page), OK);
        assert_true(page.found_count <= limit);
        take_page(&page, out);
        assert_true(out->count < FOUND_MAX);
        memcpy(memory, page.next.data, page.next.size);
        request.audit_after = bytes_of(memory, page.next.size);
    } while (page.next.size > 0);
}

static void
test_all_pages_have_all_records(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 5);
    struct search whole, pages, none;
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 40; i++) {
        snprintf(name, sizeof(name), "a/%u", i);
        assert_int_equal(ac_create(ac, i % 3, name, "value")->reply.err, OK);
    }
    ac_run_ms(ac, 50);
    const struct audit_query all = {0};
    search(ac, 0, &all, 1000, &whole);
    assert_int_equal(whole.err, OK);
    assert_int_equal(whole.missing, 0);
    assert_int_equal(whole.of_kind[AUDIT_start], 3);
    assert_int_equal(whole.of_kind[AUDIT_request], 40);
    assert_true(whole.of_kind[AUDIT_vote] >= 80);
    const struct audit_query then = {.to_ms = whole.last_ms};
    search(ac, 1, &then, 1000, &whole);
    search(ac, 2, &then, 7, &pages);
    assert_true(pages.pages > 10);
    assert_int_equal(pages.count, whole.count);
    const struct audit_query named = {.name = bytes_of_text("a/7"), .to_ms = whole.last_ms};
    search(ac, 0, &named, 3, &pages);
    assert_int_equal(pages.of_kind[AUDIT_request], 1);
    assert_true(pages.count < 12);
    const struct audit_query nobody = {.identity = bytes_of_text("nobody")};
    search(ac, 0, &nobody, 3, &none);
    assert_int_equal(none.count, 0);
    ac_end(ac);
}

/* What one node does not give is said, and found when it is back. */
static void
test_a_node_that_is_away(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 6);
    const struct audit_query all = {0};
    struct search found;

    (void)state;
    assert_int_equal(ac_create(ac, 2, "a", "value")->reply.err, OK);
    ac_crash(ac, 2);
    ac_run_ms(ac, 2000);
    search(ac, 0, &all, 1000, &found);
    assert_int_equal(found.err, OK);
    assert_int_equal(found.missing, 1 << 2);
    assert_int_equal(found.of_kind[AUDIT_request], 0);
    assert_int_equal(found.of_kind[AUDIT_start], 2);
    ac_start(ac, 2);
    ac_run_ms(ac, 5000);
    search(ac, 0, &all, 1000, &found);
    assert_int_equal(found.missing, 0);
    assert_true(found.of_kind[AUDIT_request] >= 1);
    assert_int_equal(found.of_kind[AUDIT_start], 4);
    ac_end(ac);
}

/* Each node decides by itself, and says in its own trail that it was asked. */
static enum ac_verdict
strip(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    unsigned *denied = context;

    (void)from;
    (void)to;
    if (msg->kind == MSG_TRAILED)
        *denied += msg->u.trailed.refusal == REFUSED_DENIED;
    return AC_PASS;
}

static void
test_a_broken_node_reads_no_other_trail(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 7);
    struct msg ask = {.kind = MSG_TRAIL, .op = 99, .u.trail = {.limit = 10}};
    const struct audit_query all = {0};
    unsigned denied = 0;
    struct search found;

    (void)state;
    assert_int_equal(ac_create(ac, 1, "a", "value")->reply.err, OK);
    ac_run_ms(ac, 3000); /* until nodes may decide by their records */
    struct buf query = {0};
    assert_int_equal(audit_query_encode(&all, &query), OK);
    ask.u.trail.query = buf_bytes(&query);
    ask.u.trail.credential = bytes_of_text("ost_stolen");
    ac->filter = strip;
    ac->filter_context = &denied;
    for (unsigned matter = TRAIL_RECORDS; matter <= TRAIL_HEADS; matter++) {
        ask.u.trail.matter = (enum trail_matter)matter;
        assert_int_equal(ac_inject(ac, 0, 1, &ask), OK);
        ac_run_ms(ac, 100);
    }
    assert_int_equal(denied, 3);
    buf_close(&query);
    search(ac, 0, &all, 1000, &found);
    assert_true(found.of_kind[AUDIT_trail] >= 3);
    struct request request = ac_make(REQUEST_AUDIT, "", NULL);
    request.credential = bytes_of_text("ost_stolen");
    request.limit = 10;
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &request))->reply.err, ERR_UNAUTHENTICATED);
    ac_end(ac);
}

/* ---- exports ---- */

/* Keys of these nodes have no proof, so none is in the export: it is given by hand below. */
static bool
prove(void *context, const uint8_t cluster_id[static CLUSTER_ID_BYTES], struct bytes name,
      const struct signing_public *key)
{
    (void)context;
    (void)cluster_id;
    (void)name;
    (void)key;
    return false;
}

static void
judge_lines(struct audit_judge *j, struct bytes text)
{
    size_t from = 0;

    audit_judge_file(j);
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] != '\n')
            continue;
        assert_int_equal(audit_judge_line(j, bytes_of(text.data + from, i - from)), OK);
        from = i + 1;
    }
    audit_judge_file_end(j);
}

static void
export_of(struct actor_cluster *ac, unsigned by, const char *node, struct buf *out)
{
    struct request request = ac_make(REQUEST_AUDIT_EXPORT, "", NULL);
    struct ac_request *r;

    request.audit_node = bytes_of_text(node);
    do {
        r = ac_wait(ac, ac_send(ac, by, &request));
        assert_int_equal(r->reply.err, OK);
        assert_int_equal(buf_append(out, r->reply.value), OK);
        request.export_from = r->reply.version;
    } while (r->reply.has_next);
}

/* What node 1 wrote, exported by node 0. The judge is to be closed. */
static struct audit_finding
judge_export(struct actor_cluster *ac, struct audit_judge *j)
{
    struct buf text = {0};

    export_of(ac, 0, ac->cluster.nodes[1].name, &text);
    assert_int_equal(audit_judge_open(j, prove, NULL), OK);
    j->keys[j->key_count++] = ac->nodes[1].signing.public_half;
    judge_lines(j, buf_bytes(&text));
    audit_judge_second_pass(j);
    judge_lines(j, buf_bytes(&text));
    struct audit_finding found = audit_judge_end(j);
    buf_close(&text);
    return found;
}

static unsigned
keepers_of(const struct audit_judge *j)
{
    unsigned keepers = 0;

    for (size_t i = 0; i < j->head_count; i++)
        keepers |= 1U << j->heads[i].kept_by;
    return keepers;
}

static void
test_an_export_is_judged_good(void **state)
{
    struct actor_cluster *ac = ac_cluster_of(3, 8);
    struct audit_judge j;
    unsigned earlier = 0;
    char name[32];

    (void)state;
    for (unsigned i = 0; i < 300; i++) {
        snprintf(name, sizeof(name), "a/%u", i % 5);
        (void)ac_create(ac, 1, name, "value");
    }
    ac_run_ms(ac, 3000);
    struct audit_finding found = judge_export(ac, &j);
    assert_int_equal(found.verdict, AUDIT_INTACT);
    assert_int_equal(keepers_of(&j), 1 << 0 | 1 << 2);
    assert_true(j.head_count > 2); /* not the newest ones alone */
    for (size_t i = 0; i < j.head_count; i++)
        earlier += j.heads[i].size < j.heads[j.head_count - 1].size; /* in their order */
    assert_true(earlier > 0);
    assert_int_equal(j.missing, 0);
    assert_true(found.records > 300);
    assert_true(found.unanchored < 8);
    audit_judge_close(&j);
    ac_end(ac);
}

/*
 * Retention: what is left is proven as before, and nothing says that the rest was dropped unseen.
 */
static void
test_the_oldest_blocks_go(void **state)
{
    struct ac_options options = {
        .nodes = 3, .shares = 3, .threshold = 2, .seed = 9, .audit_blocks_kept = 40};
    struct actor_cluster *ac = ac_new(&options);
    char name[32];

    (void)state;
    for (unsigned round = 0; round < 12; round++) {
        struct audit_judge j;
        for (unsigned i = 0; i < 25; i++) {
            snprintf(name, sizeof(name), "a/%u", round * 25 + i);
            assert_int_equal(ac_create(ac, i % 3, name, "value")->reply.err, OK);
        }
        ac_run_ms(ac, 700 + 100 * round);
        if (round == 7) {
            ac_crash(ac, 1);
            ac_run_ms(ac, 100);
            ac_start(ac, 1);
            ac_run_ms(ac, 3000);
        }
        assert_int_equal(judge_export(ac, &j).verdict, AUDIT_INTACT);
        if (round > 3)
            assert_true(j.heads[0].kept_from > 0);
        audit_judge_close(&j);
    }
    assert_in_range(ac_rows(ac, 1, ROW_AUDIT), 40, 200);
    ac_end(ac);
}

static bool
stands_in_trail(struct actor_cluster *ac, unsigned node, const char *word)
{
    struct request request = ac_make(REQUEST_AUDIT, "", NULL);
    request.limit = 1000;
    struct ac_request *r = ac_wait(ac, ac_send(ac, node, &request));
    assert_int_equal(r->reply.err, OK);
    return memmem(r->reply.value.data, r->reply.value.size, word, strlen(word)) != NULL;
}

/* As their hash names are in no trail, and are found all the same. */
static void
test_hashed_names(void **state)
{
    struct ac_options options = {
        .nodes = 3, .shares = 3, .threshold = 2, .seed = 10, .audit_names_hashed = true};
    struct actor_cluster *ac = ac_new(&options);
    const struct audit_query named = {.name = bytes_of_text("team/payroll")};
    const struct audit_query other = {.name = bytes_of_text("team/payrol")};
    struct search found;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "team/payroll", "value")->reply.err, OK);
    assert_false(stands_in_trail(ac, 1, "payroll"));
    search(ac, 1, &named, 100, &found);
    assert_int_equal(found.of_kind[AUDIT_request], 1);
    assert_true(found.of_kind[AUDIT_vote] >= 2);
    search(ac, 1, &other, 100, &found);
    assert_int_equal(found.count, 0);
    ac_end(ac);
    ac = ac_cluster_of(3, 10);
    assert_int_equal(ac_create(ac, 0, "team/payroll", "value")->reply.err, OK);
    assert_true(stands_in_trail(ac, 1, "payroll"));
    ac_end(ac);
}

/* What a node does by itself stands there, too. */
static void
test_what_a_node_does_by_itself(void **state)
{
    struct ac_options options = {
        .nodes = 3, .shares = 3, .threshold = 2, .seed = 11, .shred_interval_ms = 2000};
    struct actor_cluster *ac = ac_new(&options);
    const struct audit_query all = {0};
    struct search found;

    (void)state;
    assert_int_equal(ac_create(ac, 0, "a", "value")->reply.err, OK);
    ac_crash(ac, 2);
    assert_int_equal(ac_update(ac, 0, "a", "other")->reply.err, OK);
    struct request history = ac_make(REQUEST_HISTORY, "a", NULL);
    history.limit = 10;
    assert_int_equal(ac_wait(ac, ac_send(ac, 1, &history))->reply.err, OK);
    ac_start(ac, 2);
    ac_run_ms(ac, 20000);
    assert_int_equal(ac_delete(ac, 0, "a")->reply.err, OK);
    ac_run_ms(ac, 10000);
    search(ac, 0, &all, 1000, &found);
    assert_int_equal(found.of_kind[AUDIT_start], 4);
    assert_int_equal(found.of_kind[AUDIT_configuration], 4);
    assert_true(found.of_kind[AUDIT_incarnation] >= 3);
    assert_true(found.of_kind[AUDIT_list] >= 2);
    assert_int_equal(found.of_kind[AUDIT_erase], 3);
    assert_true(found.of_kind[AUDIT_shred] >= 3);
    ac_end(ac);
}

/*
 * Who cuts the trail in the store, even from within, cannot cut it where the others keep its head.
 */
static void
test_a_trail_that_was_cut_in_its_store(void **state)
{
    (void)state;
    for (unsigned how = 0; how < 2; how++) {
        struct actor_cluster *ac = ac_cluster_of(3, 12 + how);
        struct audit_judge j;
        struct row_key key;
        for (unsigned i = 0; i < 12; i++)
            assert_int_equal(ac_read(ac, 1, "none")->reply.err, ERR_NOT_FOUND);
        ac_run_ms(ac, 3000);
        struct bytes block;
        row_key_audit(how == 0 ? 3 : 5, &key);
        assert_true(ac_get(ac, 1, &key, &block));
        struct buf copy = {0};
        assert_int_equal(buf_append(&copy, block), OK);
        row_key_audit(4, &key);
        if (how == 0) /* another block's content; and one that is empty */
            ac_put(ac, 1, &key, buf_bytes(&copy));
        else
            ac_put(ac, 1, &key, bytes_of_text("x"));
        buf_close(&copy);
        struct audit_finding found = judge_export(ac, &j);
        assert_int_not_equal(found.verdict, AUDIT_INTACT);
        assert_in_range(found.block, 3, 4);
        audit_judge_close(&j);
        ac_end(ac);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_pages_have_all_records),
        cmocka_unit_test(test_a_node_that_is_away),
        cmocka_unit_test(test_a_broken_node_reads_no_other_trail),
        cmocka_unit_test(test_an_export_is_judged_good),
        cmocka_unit_test(test_the_oldest_blocks_go),
        cmocka_unit_test(test_hashed_names),
        cmocka_unit_test(test_what_a_node_does_by_itself),
        cmocka_unit_test(test_a_trail_that_was_cut_in_its_store),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
