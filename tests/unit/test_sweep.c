/*
 * Forgetting records of tokens that ended for good: by a time that all nodes agreed upon, the same
 * ones everywhere, and for ever.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actors/lease.h"
#include "actors/sweep.h"
#include "auth/sweep.h"
#include "token_records.h"

enum { SLACK_MS = 2000, SHORT_SECONDS = 5, LONG_SECONDS = 10 * 24 * 3600 };
#define START_MS (TEST_WALL_SECONDS * UINT64_C(1000))

/* ---- rules ---- */

static struct head
head_of_token(const struct test_token *token, const struct buf *value, uint64_t forget_after_ms)
{
    return (struct head){.path = {bytes_of_text(SYSTEM_TENANT), bytes_of_text(token->name)},
                         .kind = HEAD_INLINE,
                         .value = value ? buf_bytes(value) : (struct bytes){0},
                         .forget_after_ms = forget_after_ms};
}

static void
records_say_when_they_may_be_forgotten(void **state)
{
    struct test_token token;
    struct buf value = {0};
    (void)state;
    test_token_make(1, &token);
    test_token_record(&token, 1, 0, 60, &value);
    struct head live = head_of_token(&token, &value, 0);
    struct head deleted = head_of_token(&token, NULL, 77);
    assert_int_equal(sweep_forget_after(&live), START_MS + 60000);
    assert_int_equal(sweep_forget_after(&deleted), 77);
    live.path.tenant = bytes_of_text("default");
    assert_int_equal(sweep_forget_after(&live), 0);
    deleted.path.name = bytes_of_text("_auth/policy/a");
    assert_int_equal(sweep_forget_after(&deleted), 0);
    struct head other = head_of_token(&token, &value, 0);
    other.value = bytes_of_text("something else");
    assert_int_equal(sweep_forget_after(&other), 0);
    buf_close(&value);
}

static void
no_head_ends_before_the_one_below_it(void **state)
{
    struct test_token token;
    struct buf value = {0};
    (void)state;
    test_token_make(1, &token);
    test_token_record(&token, 1, 0, 60, &value);
    const uint64_t end_ms = START_MS + 60000;
    struct head live = head_of_token(&token, &value, 0);
    struct head deleted = head_of_token(&token, NULL, end_ms);
    struct head of_old_release = head_of_token(&token, NULL, 0);
    assert_true(sweep_may_follow(end_ms, &live, true));
    assert_false(sweep_may_follow(end_ms - 1, &live, true));
    assert_false(sweep_may_follow(end_ms + 1, &live, true));
    assert_true(sweep_may_follow(end_ms, &deleted, true));
    assert_false(sweep_may_follow(end_ms + 1, &deleted, true));
    assert_true(sweep_may_follow(end_ms, &of_old_release, true));
    assert_true(sweep_may_follow(end_ms - 1, &live, false));
    assert_false(sweep_may_follow(end_ms + 1, &live, false));
    assert_false(sweep_may_follow(0, &live, false));
    buf_close(&value);
}

static bool
may_move(uint64_t wall_ms, uint64_t from_ms, uint64_t to_ms)
{
    struct membership ms = {.sweep_slack_ms = SLACK_MS};
    struct buf from = {0}, to = {0};
    assert_true(from_ms == 0 || sweep_encode(from_ms, &from) == OK);
    assert_int_equal(sweep_encode(to_ms, &to), OK);
    bool may = sweep_may_move(&ms, wall_ms, buf_bytes(&from), buf_bytes(&to));
    buf_close(&from);
    buf_close(&to);
    return may;
}

static void
the_time_moves_forward_and_stays_behind_the_voters_clocks(void **state)
{
    struct membership ms = {.sweep_slack_ms = SLACK_MS};
    struct buf value = {0};
    (void)state;
    assert_true(may_move(START_MS, 0, START_MS - SLACK_MS / 2));
    assert_false(may_move(START_MS, 0, START_MS - SLACK_MS / 2 + 1));
    assert_true(may_move(START_MS, 1000, 1001));
    assert_false(may_move(START_MS, 1000, 1000));
    assert_false(may_move(START_MS, 1000, 999));
    assert_false(may_move(SLACK_MS / 2, 0, 1));
    assert_int_equal(sweep_target_ms(&ms, START_MS), START_MS - SLACK_MS);
    assert_int_equal(sweep_target_ms(&ms, SLACK_MS), 0);
    assert_false(sweep_may_move(&ms, START_MS, (struct bytes){0}, bytes_of_text("x")));
    assert_int_equal(sweep_encode(0, &value), ERR_RANGE);
}

static void
rows_keep_the_time(void **state)
{
    struct node_row row = {.incarnation = 1, .forgotten_ms = START_MS}, back;
    struct buf encoded = {0}, without = {0};
    (void)state;
    assert_int_equal(node_row_encode(&row, &encoded), OK);
    assert_int_equal(node_row_decode(buf_bytes(&encoded), &back), OK);
    assert_int_equal(back.forgotten_ms, START_MS);
    row.forgotten_ms = 0;
    assert_int_equal(node_row_encode(&row, &without), OK);
    assert_true(without.size < encoded.size);
    assert_int_equal(node_row_decode(buf_bytes(&without), &back), OK);
    assert_int_equal(back.forgotten_ms, 0);
    buf_close(&encoded);
    buf_close(&without);
}

/* ---- what a node decides by ---- */

/* A chosen head of the token of that number, as it would be stored. */
static void
view_put(struct auth_view *view, uint64_t number, uint64_t seconds)
{
    struct test_token token;
    struct buf value = {0}, encoded = {0};
    test_token_make(number, &token);
    test_token_record(&token, 1, 0, seconds, &value);
    struct head head = head_of_token(&token, &value, 0);
    head.generation = head.version = head.oldest_version = 1;
    head.op_count = 1;
    head.ops[0] = (struct op_result){.kind = CHANGE_CREATE, .version = 1};
    assert_int_equal(head_encode(&head, &encoded), OK);
    struct path_row row = {.ballot = {.time = number, .incarnation = 1},
                           .state = STATE_CHOSEN,
                           .head = buf_bytes(&encoded)};
    auth_view_set(view, head.path, &row);
    buf_close(&value);
    buf_close(&encoded);
}

static void
the_earliest_are_found(void **state)
{
    struct auth_view view;
    size_t count;
    (void)state;
    assert_int_equal(auth_view_init(&view, 1), OK);
    assert_int_equal(auth_view_forgettable(&view, UINT64_MAX, 5, &count), 0);
    for (uint64_t i = 0; i < 50; i++)
        view_put(&view, 1 + i, 100 + i * 37 % 50);
    assert_int_equal(auth_view_forgettable(&view, START_MS + 100000, 5, &count), 0);
    assert_int_equal(count, 0);
    assert_int_equal(auth_view_forgettable(&view, START_MS + 102001, 5, &count), START_MS + 102001);
    assert_int_equal(count, 3);
    assert_int_equal(auth_view_forgettable(&view, UINT64_MAX, 5, &count), START_MS + 104001);
    assert_int_equal(count, 5);
    assert_int_equal(auth_view_forgettable(&view, UINT64_MAX, AUTH_FORGET_MAX, &count),
                     START_MS + 149001);
    assert_int_equal(count, 50);
    auth_view_close(&view);
}

/* Whoever has not forgotten yet is covered by whoever has, and the other way round once it has. */
static void
digests_leave_out_what_is_forgotten(void **state)
{
    struct auth_view one, other, fresh;
    uint8_t before[RECORD_DIGESTS_BYTES], after[RECORD_DIGESTS_BYTES], same[RECORD_DIGESTS_BYTES];
    (void)state;
    assert_int_equal(auth_view_init(&one, 1), OK);
    assert_int_equal(auth_view_init(&other, 2), OK);
    assert_int_equal(auth_view_init(&fresh, 3), OK);
    for (uint64_t i = 1; i <= 40; i++) {
        view_put(&one, i, 100 + i);
        view_put(&other, 41 - i, 141 - i);
        if (i >= 20)
            view_put(&fresh, i, 100 + i);
    }
    size_t bytes = one.value_bytes;
    auth_view_digests(&other, before);
    assert_int_equal(auth_view_forget(&one, START_MS + 120000, NULL), 19);
    assert_int_equal(auth_view_forget(&one, START_MS + 120000, NULL), 0);
    assert_int_equal(one.forgotten_count, 19);
    assert_true(one.value_bytes < bytes);
    auth_view_digests(&one, after);
    auth_view_digests(&fresh, same);
    assert_memory_equal(after, same, sizeof(after));
    assert_memory_not_equal(after, before, sizeof(after));
    for (unsigned i = 0; i < RECORD_GROUPS; i++) {
        assert_true(auth_view_covers(&one, i, before + (size_t)i * RECORD_DIGEST_BYTES));
        assert_true(auth_view_covers(&one, i, after + (size_t)i * RECORD_DIGEST_BYTES));
    }
    assert_int_equal(auth_view_forget(&other, START_MS + 120000, NULL), 19);
    auth_view_digests(&other, same);
    assert_memory_equal(after, same, sizeof(after));
    /* What comes after it is forgotten at once, and what stays is still found. */
    view_put(&one, 3, 103);
    auth_view_digests(&one, same);
    assert_memory_equal(after, same, sizeof(after));
    struct auth_record *gone[64];
    assert_int_equal(auth_view_forgotten(&one, gone, 64), 19);
    gone[0]->dropping = true;
    struct path path = gone[0]->link.path;
    char name[160];
    snprintf(name, sizeof(name), "%.*s", (int)path.name.size, (const char *)path.name.data);
    path.name = bytes_of_text(name);
    assert_true(auth_view_is_dropping(&one, path));
    assert_int_equal(auth_view_forgotten(&one, gone, 64), 18);
    auth_view_dropped(&one, path, true);
    assert_int_equal(one.forgotten_count, 18);
    assert_int_equal(one.records.count, 39);
    auth_view_close(&one);
    auth_view_close(&other);
    auth_view_close(&fresh);
}

/* ---- clusters ---- */

static bool
has_lease(const struct actor_cluster *ac, unsigned node)
{
    return lease_is_valid(node_membership(ac->nodes[node].node), ac_monotonic(ac));
}

static struct actor_cluster *
cluster_of(unsigned nodes, uint64_t seed)
{
    struct ac_options options = {.nodes = nodes, .seed = seed, .sweep_slack_ms = SLACK_MS};
    struct actor_cluster *ac = ac_new(&options);
    ac_run_ms(ac, 1000);
    assert_int_equal(ac_create(ac, 0, "a", "value")->reply.err, OK);
    records_put_tenant(ac, "default");
    records_put_policy(ac, "readers",
                       "{\"rules\":[{\"path\":\"**\",\"capabilities\":[\"read\"]}]}");
    records_put_identity(ac, 1, "readers", false);
    return ac;
}

static enum vault_err
read_with(struct actor_cluster *ac, unsigned node, const struct test_token *token)
{
    struct request r = ac_make(REQUEST_READ, "a", NULL);
    r.credential = bytes_of_text(token->text);
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

static enum vault_err
revoke(struct actor_cluster *ac, unsigned node, const struct test_token *token)
{
    struct request r = ac_make(REQUEST_RECORD_DELETE, token->name, NULL);
    r.tenant = bytes_of_text(SYSTEM_TENANT);
    return ac_wait(ac, ac_send(ac, node, &r))->reply.err;
}

/* Tokens that end, one that does not, one that is revoked at once. */
static void
make_tokens(struct actor_cluster *ac, unsigned count, struct test_token *lasting,
            struct test_token *revoked)
{
    struct test_token token;
    for (unsigned i = 0; i < count; i++) {
        test_token_make(100 + i, &token);
        records_put_token(ac, &token, 1, 0, SHORT_SECONDS);
    }
    test_token_make(1, lasting);
    records_put_token(ac, lasting, 1, 0, LONG_SECONDS);
    test_token_make(2, revoked);
    records_put_token(ac, revoked, 1, 0, SHORT_SECONDS);
    assert_int_equal(revoke(ac, ac->options.nodes - 1, revoked), OK);
}

static bool
token_row(struct actor_cluster *ac, unsigned node, const struct test_token *token,
          struct path_row *row)
{
    struct path path = {bytes_of_text(SYSTEM_TENANT), bytes_of_text(token->name)};
    struct row_key key;
    struct bytes value;
    row_key_path(path, &key);
    return ac_get(ac, node, &key, &value) && path_row_decode(value, row) == OK;
}

/* Tenant, policy, identity, the lasting token, and the record of the sweep. */
enum { RECORDS_LEFT = 5 };

static bool
is_swept(struct actor_cluster *ac, unsigned node, size_t left)
{
    const struct membership *ms = node_membership(ac->nodes[node].node);
    return ms->forgotten_ms > 0 && ac_rows(ac, node, ROW_IDENTITY) == left &&
           ac_rows(ac, node, ROW_UNSETTLED) == 0 && ms->records->records.count == left &&
           ms->records->forgotten_count == 0;
}

static bool
all_swept(struct actor_cluster *ac, size_t left)
{
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        if (!is_swept(ac, i, left))
            return false;
    }
    return true;
}

static void
run_until_swept(struct actor_cluster *ac, size_t left)
{
    for (unsigned i = 0; i < 600 && !all_swept(ac, left); i++)
        ac_run_ms(ac, 100);
    assert_true(all_swept(ac, left));
}

static void
must_agree(struct actor_cluster *ac)
{
    uint8_t first[RECORD_DIGESTS_BYTES], other[RECORD_DIGESTS_BYTES];
    for (unsigned i = 0; i < ac->options.nodes; i++) {
        const struct membership *ms = node_membership(ac->nodes[i].node);
        const struct digest_index *digests = node_anti_entropy(ac->nodes[i].node)->digests;
        auth_view_digests(ms->records, i == 0 ? first : other);
        if (i > 0)
            assert_memory_equal(first, other, sizeof(first));
        assert_int_equal(digests->paths, ac_rows(ac, i, ROW_PATH));
        assert_int_equal(ac_rows(ac, i, ROW_INDEX), ac_rows(ac, i, ROW_PATH));
        for (unsigned j = 0; j < i; j++) {
            const struct digest_index *of = node_anti_entropy(ac->nodes[j].node)->digests;
            assert_memory_equal(&digests->peers[j]->all, &of->peers[i]->all, sizeof(struct digest));
        }
    }
}

/* Nobody is without a lease for a moment, and the token that lasts is served all the time. */
static void
tokens_that_ended_are_forgotten_everywhere(void **state)
{
    static const unsigned sizes[] = {1, 3, 5};
    (void)state;
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct actor_cluster *ac = cluster_of(sizes[i], 10 + i);
        struct test_token lasting, revoked, ended;
        make_tokens(ac, 150, &lasting, &revoked);
        test_token_make(100, &ended);
        assert_true(ac_rows(ac, 0, ROW_IDENTITY) > 150);
        for (unsigned turn = 0; turn < 300 && !all_swept(ac, RECORDS_LEFT); turn++) {
            ac_run_ms(ac, 100);
            for (unsigned node = 0; node < sizes[i]; node++)
                assert_true(has_lease(ac, node));
            assert_int_equal(read_with(ac, turn % sizes[i], &lasting), OK);
        }
        assert_true(all_swept(ac, RECORDS_LEFT));
        must_agree(ac);
        for (unsigned node = 0; node < sizes[i]; node++) {
            const struct membership *ms = node_membership(ac->nodes[node].node);
            assert_int_equal(ac->nodes[node].metrics.counters[METRIC_records_swept], 151);
            assert_true(ms->forgotten_ms <= ac_wall_ms(ac, node) - SLACK_MS / 2);
            assert_int_equal(read_with(ac, node, &ended), ERR_UNAUTHENTICATED);
            assert_int_equal(read_with(ac, node, &revoked), ERR_UNAUTHENTICATED);
        }
        assert_int_equal(revoke(ac, 0, &ended), ERR_NOT_FOUND);
        ac_end(ac);
    }
}

/*
 * A node has a token as it was before it was revoked. When it is back the others have forgotten all
 * of it; it forgets as well, and nobody takes the token from it.
 */
static void
what_a_node_missed_does_not_come_back(void **state)
{
    (void)state;
    for (uint64_t seed = 20; seed < 26; seed++) {
        struct actor_cluster *ac = cluster_of(3, seed);
        struct test_token lasting, revoked, missed;
        make_tokens(ac, 20, &lasting, &revoked);
        test_token_make(50, &missed);
        records_put_token(ac, &missed, 1, 0, SHORT_SECONDS + 2);
        ac_run_ms(ac, 500);
        ac_isolate(ac, 2, true);
        assert_int_equal(revoke(ac, 0, &missed), OK);
        for (unsigned i = 0;
             i < 300 && !(is_swept(ac, 0, RECORDS_LEFT) && is_swept(ac, 1, RECORDS_LEFT)); i++)
            ac_run_ms(ac, 100);
        assert_true(is_swept(ac, 0, RECORDS_LEFT));
        assert_true(ac_rows(ac, 2, ROW_IDENTITY) > 20);
        ac_heal(ac);
        for (unsigned i = 0; i < 200; i++) {
            struct path_row row;
            ac_run_ms(ac, 100);
            assert_false(token_row(ac, 0, &missed, &row));
            assert_false(token_row(ac, 1, &missed, &row));
        }
        run_until_swept(ac, RECORDS_LEFT);
        must_agree(ac);
        ac_end(ac);
    }
}

/* Frames that were on their way for long. */
struct kept_frames {
    const struct test_token *token;
    struct buf frames[16];
    unsigned from[16], to[16];
    size_t count;
    struct ballot highest;
};

static enum ac_verdict
keep_frames(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct kept_frames *k = context;
    bool of_token = bytes_equal(msg->path.name, bytes_of_text(k->token->name));
    if (of_token && msg->kind == MSG_WRITE && ballot_compare(msg->u.write.ballot, k->highest) > 0)
        k->highest = msg->u.write.ballot;
    if (of_token && (msg->kind == MSG_WRITE || msg->kind == MSG_CHOSEN) && k->count < 16) {
        k->from[k->count] = from;
        k->to[k->count] = to;
        assert_int_equal(msg_encode(msg, &k->frames[k->count++]), OK);
    }
    return AC_PASS;
}

static void
old_frames_bring_nothing_back(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 30);
    struct test_token token;
    struct path_row row;
    test_token_make(7, &token);
    struct kept_frames kept = {.token = &token};
    ac->filter = keep_frames;
    ac->filter_context = &kept;
    records_put_token(ac, &token, 1, 0, SHORT_SECONDS);
    ac_run_ms(ac, 200);
    ac->filter = NULL;
    assert_true(kept.count >= 4);
    run_until_swept(ac, RECORDS_LEFT - 1);
    for (unsigned again = 0; again < 2; again++) {
        for (size_t i = 0; i < kept.count; i++)
            assert_int_equal(ac_inject_frame(ac, kept.from[i], kept.to[i], &kept.frames[i]), OK);
        ac_run_ms(ac, 100);
        for (unsigned node = 0; node < 3; node++)
            assert_false(token_row(ac, node, &token, &row));
        for (unsigned node = 0; node < 3; node++) { /* and not after a restart either */
            ac_crash(ac, node);
            ac_start(ac, node);
        }
        ac_run_ms(ac, 2000);
    }
    for (size_t i = 0; i < kept.count; i++)
        buf_close(&kept.frames[i]);
    ac_end(ac);
}

/* ---- promises ---- */

struct votes {
    struct ballot ballot;
    unsigned granted, refused;
};

static enum ac_verdict
count_votes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct votes *votes = context;
    (void)from;
    (void)to;
    if (msg->kind != MSG_VOTED || ballot_compare(msg->u.voted.ballot, votes->ballot) != 0)
        return AC_PASS;
    votes->granted += msg->u.voted.refusal == REFUSED_NONE;
    votes->refused += msg->u.voted.refusal != REFUSED_NONE;
    return AC_PASS;
}

static void
ask_for_vote(struct actor_cluster *ac, const struct test_token *token, struct ballot below,
             struct votes *votes)
{
    votes->ballot = (struct ballot){.time = below.time - 1, .incarnation = 1, .node = 1};
    struct msg vote = {.kind = MSG_VOTE,
                       .op = 1,
                       .path = {bytes_of_text(SYSTEM_TENANT), bytes_of_text(token->name)}};
    vote.u.vote.ballot = votes->ballot;
    vote.u.vote.purpose = CHANGE_FINISH;
    assert_int_equal(ac_inject(ac, 1, 0, &vote), OK);
    ac_run_ms(ac, 50);
}

/*
 * Whether the path is in memory when its row goes, or not, or the node has been restarted, or there
 * is an entry of the path whose row could not be read.
 */
static void
what_was_promised_stays_so(void **state)
{
    (void)state;
    for (unsigned way = 0; way < 4; way++) {
        struct ac_options options = {.nodes = 3, .seed = 40 + way, .sweep_slack_ms = SLACK_MS};
        options.paths_max = way == 1 || way == 3 ? 8 : 0;
        struct actor_cluster *ac = ac_new(&options);
        struct test_token token;
        struct votes votes = {0};
        ac_run_ms(ac, 1000);
        test_token_make(7, &token);
        struct kept_frames kept = {.token = &token};
        ac->filter = keep_frames;
        ac->filter_context = &kept;
        records_put_token(ac, &token, 1, 0, SHORT_SECONDS);
        ac_run_ms(ac, 200);
        ac->filter = count_votes;
        ac->filter_context = &votes;
        for (unsigned i = 0; options.paths_max > 0 && i < 20;
             i++) { /* the table of paths is full of others */
            char name[8];
            snprintf(name, sizeof(name), "s%u", i);
            assert_int_equal(ac_create(ac, 0, name, "x")->reply.err, OK);
        }
        if (way == 3) {
            ac->nodes[0].reads_fail = true;
            ask_for_vote(ac, &token, kept.highest, &votes);
            ac->nodes[0].reads_fail = false;
            votes = (struct votes){0};
        }
        run_until_swept(ac, 1);
        if (way == 2) {
            ac_crash(ac, 0);
            ac_start(ac, 0);
            ac_run_ms(ac, 2000);
        }
        ask_for_vote(ac, &token, kept.highest, &votes);
        assert_int_equal(votes.granted, 0);
        assert_int_equal(votes.refused, 1);
        for (size_t i = 0; i < kept.count; i++)
            buf_close(&kept.frames[i]);
        ac_end(ac);
    }
}

/* ---- who may move the time ---- */

static void
vote_for_sweep(struct actor_cluster *ac, uint64_t before_ms, enum change_kind purpose,
               struct votes *votes)
{
    struct buf value = {0};
    uint64_t horizon_ms = node_membership(ac->nodes[0].node)->horizon_ms;
    *votes = (struct votes){
        .ballot = {.time = ((horizon_ms - 1) << 16) + ac_ms(ac), .incarnation = 1, .node = 1}};
    struct msg vote = {.kind = MSG_VOTE, .op = 1, .path = sweep_path()};
    vote.u.vote.ballot = votes->ballot;
    vote.u.vote.purpose = purpose;
    assert_int_equal(sweep_encode(before_ms, &value), OK);
    if (purpose == CHANGE_UPDATE)
        vote.u.vote.change = buf_bytes(&value);
    assert_int_equal(ac_inject(ac, 1, 0, &vote), OK);
    ac_run_ms(ac, 50);
    buf_close(&value);
}

static void
a_voter_goes_by_its_own_clock(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 50);
    struct votes votes;
    struct test_token lasting, revoked;
    make_tokens(ac, 2, &lasting, &revoked);
    run_until_swept(ac, RECORDS_LEFT);
    uint64_t agreed_ms = node_membership(ac->nodes[0].node)->forgotten_ms;
    ac->filter = count_votes;
    ac->filter_context = &votes;
    uint64_t most_ms = ac_wall_ms(ac, 0) - SLACK_MS / 2;
    vote_for_sweep(ac, most_ms + 1000, CHANGE_UPDATE, &votes);
    assert_int_equal(votes.refused, 1);
    vote_for_sweep(ac, agreed_ms, CHANGE_UPDATE, &votes);
    assert_int_equal(votes.refused, 1);
    vote_for_sweep(ac, agreed_ms, CHANGE_DELETE, &votes);
    assert_int_equal(votes.refused, 1);
    vote_for_sweep(ac, agreed_ms + 1, CHANGE_UPDATE, &votes);
    assert_int_equal(votes.granted, 1);
    /* Nor can a client, whoever it is. */
    ac->filter = NULL;
    struct buf value = {0};
    assert_int_equal(sweep_encode(ac_wall_ms(ac, 0) + 1000000, &value), OK);
    struct request r = ac_make(REQUEST_RECORD_PUT, "_auth/sweep/tokens", NULL);
    r.tenant = bytes_of_text(SYSTEM_TENANT);
    r.value = buf_bytes(&value);
    assert_int_not_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.err, OK);
    r.kind = REQUEST_RECORD_DELETE;
    r.value = (struct bytes){0};
    assert_int_not_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.err, OK);
    assert_int_equal(read_with(ac, 0, &lasting), OK);
    buf_close(&value);
    ac_end(ac);
}

/* A renewal does not move what may be forgotten, since it cannot: nobody accepts another end. */
static void
the_end_of_a_token_stays(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 60);
    struct test_token token;
    struct buf value = {0};
    test_token_make(7, &token);
    records_put_token(ac, &token, 1, 0, 60);
    test_token_record(&token, 1, 0, 61, &value);
    struct request r = ac_make(REQUEST_RECORD_PUT, token.name, NULL);
    r.tenant = bytes_of_text(SYSTEM_TENANT);
    r.value = buf_bytes(&value);
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.err, ERR_FORBIDDEN);
    buf_close(&value);
    test_token_record(&token, 1, 0, 60, &value);
    r.value = buf_bytes(&value);
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.err, OK);
    assert_int_equal(revoke(ac, 0, &token), OK);
    buf_close(&value);
    test_token_record(&token, 1, 0, 59, &value);
    r.value = buf_bytes(&value);
    assert_int_equal(ac_wait(ac, ac_send(ac, 0, &r))->reply.err, ERR_FORBIDDEN);
    buf_close(&value);
    ac_end(ac);
}

/* ---- stores ---- */

static void
a_crash_in_the_midst_leaves_nothing(void **state)
{
    (void)state;
    for (uint64_t seed = 70; seed < 76; seed++) {
        struct actor_cluster *ac = cluster_of(3, seed);
        struct test_token lasting, revoked;
        make_tokens(ac, 200, &lasting, &revoked);
        size_t all = ac_rows(ac, 0, ROW_IDENTITY);
        for (unsigned i = 0; i < 3000 && ac_rows(ac, 0, ROW_IDENTITY) >= all; i++)
            ac_run_ms(ac, 5);
        ac_crash(ac, 0);
        ac_start(ac, 0);
        run_until_swept(ac, RECORDS_LEFT);
        ac_run_ms(ac, 1000);
        must_agree(ac);
        assert_int_equal(read_with(ac, 0, &lasting), OK);
        ac_end(ac);
    }
}

static void
a_lost_store_gets_what_is_left(void **state)
{
    (void)state;
    struct actor_cluster *ac = cluster_of(3, 80);
    struct test_token lasting, revoked;
    make_tokens(ac, 30, &lasting, &revoked);
    ac_run_ms(ac, 500);
    ac_crash(ac, 2);
    for (unsigned i = 0; i < 300 && !is_swept(ac, 0, RECORDS_LEFT); i++)
        ac_run_ms(ac, 100);
    ac_lose_store(ac, 2, true);
    ac_start(ac, 2);
    for (unsigned i = 0; i < 300 && !ac_recovered(ac, 2); i++)
        ac_run_ms(ac, 100);
    run_until_swept(ac, RECORDS_LEFT);
    ac_run_ms(ac, 3000);
    must_agree(ac);
    assert_int_equal(read_with(ac, 2, &lasting), OK);
    ac_end(ac);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(records_say_when_they_may_be_forgotten),
        cmocka_unit_test(no_head_ends_before_the_one_below_it),
        cmocka_unit_test(the_time_moves_forward_and_stays_behind_the_voters_clocks),
        cmocka_unit_test(rows_keep_the_time),
        cmocka_unit_test(the_earliest_are_found),
        cmocka_unit_test(digests_leave_out_what_is_forgotten),
        cmocka_unit_test(tokens_that_ended_are_forgotten_everywhere),
        cmocka_unit_test(what_a_node_missed_does_not_come_back),
        cmocka_unit_test(old_frames_bring_nothing_back),
        cmocka_unit_test(what_was_promised_stays_so),
        cmocka_unit_test(a_voter_goes_by_its_own_clock),
        cmocka_unit_test(the_end_of_a_token_stays),
        cmocka_unit_test(a_crash_in_the_midst_leaves_nothing),
        cmocka_unit_test(a_lost_store_gets_what_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
