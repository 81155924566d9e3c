/*
 * One shard store, messages in, answers out: node 2 of three, cut off from the others but for what
 * the test sends to it in their name. A WRITE of a real coordinator is caught on its way and
 * changed as needed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "proof_maker.h"

enum { SELF = 2, ANSWERS_MAX = 128, CAUGHT_MAX = 8 };

struct probe {
    struct actor_cluster *ac;
    struct buf caught[CAUGHT_MAX]; /* WRITEs of node 0 to node 2, first copies */
    struct msg writes[CAUGHT_MAX];
    size_t caught_count;
    struct buf frames[ANSWERS_MAX]; /* what node 2 has sent since the last question */
    struct msg answers[ANSWERS_MAX];
    size_t answer_count;
    struct proof_maker maker;
};

static bool
is_caught(const struct probe *p, const struct msg *msg)
{
    for (size_t i = 0; i < p->caught_count; i++) {
        if (bytes_equal(p->writes[i].u.write.head, msg->u.write.head))
            return true;
    }
    return false;
}

static enum ac_verdict
cut_off(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct probe *p = context;
    if ((from != SELF && to != SELF) || !msg_has_path(msg->kind))
        return AC_PASS;
    if (from == SELF && p->answer_count < ANSWERS_MAX) {
        ac_keep(msg, &p->frames[p->answer_count], &p->answers[p->answer_count]);
        p->answer_count++;
    }
    if (from == 0 && msg->kind == MSG_WRITE && !is_caught(p, msg) && p->caught_count < CAUGHT_MAX) {
        ac_keep(msg, &p->caught[p->caught_count], &p->writes[p->caught_count]);
        p->caught_count++;
    }
    return AC_DROP;
}

static struct probe *
probe_new(uint64_t seed, size_t paths_max)
{
    struct ac_options options = {.nodes = 3, .seed = seed, .paths_max = paths_max};
    struct probe *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->ac = ac_new(&options);
    ac_run_ms(p->ac, 300); /* all have heard of all */
    p->ac->filter = cut_off;
    p->ac->maybe = &ac_votes_only;
    p->ac->filter_context = p;
    proof_maker_init(&p->maker, p->ac);
    return p;
}

static void
probe_free(struct probe *p)
{
    proof_maker_close(&p->maker);
    ac_end(p->ac);
    for (size_t i = 0; i < CAUGHT_MAX; i++)
        buf_close(&p->caught[i]);
    for (size_t i = 0; i < ANSWERS_MAX; i++)
        buf_close(&p->frames[i]);
    free(p);
}

static void
tell(struct probe *p, unsigned from, const struct msg *msg)
{
    struct msg proven = *msg;
    p->answer_count = 0;
    if (msg->kind == MSG_CHOSEN)
        prove_chosen(&p->maker, &proven);
    struct proof votes;
    if (msg->kind == MSG_WRITE && proof_decode(msg->u.write.proof, &votes) == OK &&
        ballot_compare(votes.ballot, msg->u.write.ballot) != 0)
        prove_write(&p->maker, &proven);
    if (msg->kind == MSG_SHARE) {
        uint8_t id[ID_BYTES];
        record_id(msg->u.share.accepted.head, id);
        proven.u.share.accepted.proof =
            proof_of_written(&p->maker, msg->path, msg->u.share.accepted.ballot, id, 3);
    }
    assert_int_equal(ac_inject(p->ac, from, SELF, &proven), OK);
}

/* The last answer of that kind, NULL: none. */
static const struct msg *
answer(const struct probe *p, enum msg_kind kind)
{
    for (size_t i = p->answer_count; i-- > 0;) {
        if (p->answers[i].kind == kind)
            return &p->answers[i];
    }
    return NULL;
}

static const struct msg *
ask(struct probe *p, unsigned from, const struct msg *msg, enum msg_kind kind)
{
    tell(p, from, msg);
    ac_run_ms(p->ac, 15);
    return answer(p, kind);
}

/* A create (then updates) by node 0 that node 2 does not hear of: its WRITEs are caught. */
static struct probe *
probe_with_writes(uint64_t seed, size_t count)
{
    struct probe *p = probe_new(seed, 0);
    assert_int_equal(ac_create(p->ac, 0, "a", "value 1")->reply.err, OK);
    for (size_t i = 1; i < count; i++)
        assert_int_equal(ac_update(p->ac, 0, "a", "next")->reply.err, OK);
    ac_run_ms(p->ac, 20);
    assert_int_equal(p->caught_count, count);
    return p;
}

static struct msg
vote(const struct probe *p, const char *name, unsigned node, int64_t ahead_ms)
{
    struct msg m = {.kind = MSG_VOTE, .op = 77, .path = ac_path(name)};
    uint64_t ms = (uint64_t)((int64_t)ac_wall_ms(p->ac, SELF) + ahead_ms);
    m.u.vote.ballot = (struct ballot){.time = ms << 16, .node = (uint8_t)node, .incarnation = 1};
    m.u.vote.purpose = CHANGE_FINISH;
    return m;
}

static struct msg
chosen(const struct msg *write, bool with_head, uint64_t written)
{
    struct msg m = {.kind = MSG_CHOSEN, .path = write->path};
    m.u.chosen.ballot = write->u.write.ballot;
    record_id(write->u.write.head, m.u.chosen.head_id);
    m.u.chosen.head = with_head ? write->u.write.head : (struct bytes){0};
    m.u.chosen.written = written;
    m.u.chosen.incarnations = write->u.write.incarnations;
    return m;
}

static enum refusal
write_refusal(struct probe *p, unsigned from, const struct msg *write)
{
    const struct msg *m = ask(p, from, write, MSG_WRITTEN);
    assert_non_null(m);
    return m->u.written.refusal;
}

static enum refusal
vote_refusal(struct probe *p, unsigned from, const struct msg *v)
{
    const struct msg *m = ask(p, from, v, MSG_VOTED);
    assert_non_null(m);
    return m->u.voted.refusal;
}

static enum accepted_state
state_of(struct probe *p, const char *name)
{
    struct path_row row;
    struct head head;
    return ac_path_row(p->ac, SELF, name, &row, &head) ? row.state : STATE_ABSENT;
}

/* ---- writes that are refused ---- */

static void
test_write_that_is_not_for_here(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(1, 1);
    struct msg m = p->writes[0];
    m.u.write.config_hash[0] ^= 1;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_CONFIG);
    assert_int_equal(write_refusal(p, 1, &p->writes[0]), REFUSED_DRIFT); /* another's ballot */
    m = p->writes[0];
    m.u.write.ballot.time = (ac_wall_ms(p->ac, SELF) + 61000) << 16;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DRIFT);
    m = p->writes[0];
    m.u.write.incarnations.of[1] = 0; /* not a voter's only: any replica's */
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_INCARNATION);
    m.u.write.incarnations.count = 2;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_INCARNATION);
    m = p->writes[0];
    m.path = ac_path("b");
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    assert_int_equal(state_of(p, "b"), STATE_ABSENT);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 0);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    probe_free(p);
}

static void
test_write_that_does_not_fit_together(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(2, 2);
    struct msg m = p->writes[0];
    m.u.write.version = p->writes[1].u.write.version;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.dealing = p->writes[1].u.write.dealing;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.boxes = p->writes[1].u.write.boxes;
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.boxes = (struct bytes){0}; /* its own box is needed */
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    m = p->writes[0];
    m.u.write.version = m.u.write.dealing = m.u.write.boxes = (struct bytes){0};
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    probe_free(p);
}

/* The same WRITE, all hashes right again, after `spoil` has changed its dealing or its head. */
typedef void spoil_fn(struct probe *p, struct dealing *dealing, struct head *head,
                      struct arena *arena);

static void
remake(struct probe *p, const struct msg *write, spoil_fn *spoil, struct arena *arena,
       struct msg *out)
{
    struct head head;
    struct version_record version;
    struct dealing *dealing = arena_alloc(arena, sizeof(*dealing));
    struct buf b = {0};
    *out = *write;
    assert_int_equal(head_decode(write->u.write.head, &head), OK);
    assert_int_equal(version_decode(write->u.write.version, &version), OK);
    assert_int_equal(dealing_decode(write->u.write.dealing, write->u.write.boxes, dealing), OK);
    spoil(p, dealing, &head, arena);
    assert_int_equal(dealing_encode_public(dealing, &b), OK);
    assert_int_equal(arena_copy(arena, buf_bytes(&b), &out->u.write.dealing), OK);
    b.size = 0;
    assert_int_equal(dealing_encode_boxes(dealing, &b), OK);
    assert_int_equal(arena_copy(arena, buf_bytes(&b), &out->u.write.boxes), OK);
    record_id(out->u.write.dealing, version.dealing_hash);
    b.size = 0;
    assert_int_equal(version_encode(&version, &b), OK);
    assert_int_equal(arena_copy(arena, buf_bytes(&b), &out->u.write.version), OK);
    record_id(out->u.write.version, head.version_id);
    b.size = 0;
    assert_int_equal(head_encode(&head, &b), OK);
    assert_int_equal(arena_copy(arena, buf_bytes(&b), &out->u.write.head), OK);
    buf_close(&b);
}

static void
spoil_nothing(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)dealing, (void)head, (void)arena;
}

static void
spoil_commitment(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->share_commitments[SELF][0] ^= 1;
}

static void
spoil_box(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head;
    uint8_t *box = arena_alloc(arena, dealing->boxes[SELF].size);
    memcpy(box, dealing->boxes[SELF].data, dealing->boxes[SELF].size);
    box[dealing->boxes[SELF].size - 1] ^= 1;
    dealing->boxes[SELF] = bytes_of(box, dealing->boxes[SELF].size);
    hash_bytes(dealing->boxes[SELF], dealing->box_hashes[SELF]);
}

/* Well dealt and boxed, but another's share. */
static void
spoil_swap(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->boxes[SELF] = dealing->boxes[1];
    memcpy(dealing->box_hashes[SELF], dealing->box_hashes[1], HASH_BYTES);
}

static void
spoil_recipients(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->nodes[0] = 1;
    dealing->nodes[1] = 0;
}

static void
spoil_threshold(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->threshold = 3;
}

static void
spoil_cluster(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)dealing, (void)arena;
    head->cluster_id[0] ^= 1;
}

static void
test_write_with_a_wrong_dealing(void **state)
{
    (void)state;
    static spoil_fn *const spoils[] = {spoil_commitment, spoil_box,       spoil_swap,
                                       spoil_recipients, spoil_threshold, spoil_cluster};
    struct probe *p = probe_with_writes(3, 1);
    struct arena arena;
    struct msg m;
    arena_init(&arena, 1 << 20);
    for (size_t i = 0; i < sizeof(spoils) / sizeof(spoils[0]); i++) {
        remake(p, &p->writes[0], spoils[i], &arena, &m);
        assert_int_equal(write_refusal(p, 0, &m), REFUSED_DEALING);
    }
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    remake(p, &p->writes[0], spoil_nothing, &arena, &m);
    assert_true(bytes_equal(m.u.write.head, p->writes[0].u.write.head));
    assert_int_equal(write_refusal(p, 0, &m), REFUSED_NONE);
    arena_close(&arena);
    probe_free(p);
}

/* ---- promises ---- */

static void
test_promise_is_never_lowered(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(4, 2);
    struct msg high = vote(p, "a", 1, 5000), low = vote(p, "a", 1, 4000);
    assert_int_equal(vote_refusal(p, 1, &high), REFUSED_NONE);
    const struct msg *m = ask(p, 1, &low, MSG_VOTED);
    assert_int_equal(m->u.voted.refusal, REFUSED_BALLOT);
    assert_int_equal(ballot_compare(m->u.voted.beat, high.u.vote.ballot), 0);
    assert_null(ask(p, 1, &high, MSG_VOTED)); /* repeated: never a second vote */
    m = ask(p, 0, &p->writes[0], MSG_WRITTEN);
    assert_int_equal(m->u.written.refusal, REFUSED_BALLOT);
    assert_int_equal(ballot_compare(m->u.written.beat, high.u.vote.ballot), 0);
    struct msg take = chosen(&p->writes[0], true, 3);
    tell(p, 0, &take); /* a lower ballot does not undo the promise, though the head is taken */
    ac_run_ms(p->ac, 15);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(vote_refusal(p, 1, &low), REFUSED_BALLOT);
    struct msg write = p->writes[1]; /* without a vote: promises by itself */
    write.u.write.ballot =
        (struct ballot){.time = high.u.vote.ballot.time + (6 << 16), .incarnation = 1, .node = 0};
    assert_int_equal(write_refusal(p, 0, &write), REFUSED_NONE);
    high.u.vote.ballot = write.u.write.ballot;
    assert_null(ask(p, 0, &high, MSG_VOTED));
    probe_free(p);
}

/*
 * A head that is taken over from a notice is a promise as well, tombstones too; one that raises the
 * ballot of a head that is here, too.
 */
static void
test_notice_is_a_promise(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(5, 1);
    struct msg take = chosen(&p->writes[0], true, 3);
    take.u.chosen.ballot.time = (ac_wall_ms(p->ac, SELF) + 3000) << 16;
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    struct msg below = vote(p, "a", 1, 2000);
    assert_int_equal(vote_refusal(p, 1, &below), REFUSED_BALLOT);
    take.u.chosen.ballot.time = (ac_wall_ms(p->ac, SELF) + 6000) << 16;
    take.u.chosen.head = (struct bytes){0};
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    below = vote(p, "a", 1, 5000);
    assert_int_equal(vote_refusal(p, 1, &below), REFUSED_BALLOT);
    below = vote(p, "a", 1, 7000);
    assert_int_equal(vote_refusal(p, 1, &below), REFUSED_NONE);
    probe_free(p);
}

static void
test_restart_keeps_promises(void **state)
{
    (void)state;
    struct probe *p = probe_new(6, 0);
    struct msg before = vote(p, "a", 1, 5000), after;
    assert_int_equal(vote_refusal(p, 1, &before), REFUSED_NONE);
    ac_crash_losing(p->ac, SELF, true);
    ac_start(p->ac, SELF);
    ac_run_ms(p->ac, 600);
    const struct msg *m = ask(p, 1, &before, MSG_VOTED);
    assert_int_equal(m->u.voted.refusal, REFUSED_FLOOR);
    assert_true(ballot_compare(m->u.voted.beat, before.u.vote.ballot) > 0);
    assert_int_equal(m->u.voted.accepted.state, STATE_ABSENT);
    after = before;
    after.u.vote.ballot.time = m->u.voted.beat.time;
    assert_int_equal(vote_refusal(p, 1, &after), REFUSED_FLOOR);
    after.u.vote.ballot.time = m->u.voted.beat.time + 1;
    assert_int_equal(vote_refusal(p, 1, &after), REFUSED_NONE);
    probe_free(p);
}

static void
test_restart_refuses_old_writes(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(7, 1);
    ac_crash_losing(p->ac, SELF, true);
    ac_start(p->ac, SELF);
    const struct msg *m = ask(p, 0, &p->writes[0], MSG_WRITTEN); /* nobody has been heard yet */
    if (m)
        assert_int_equal(m->u.written.refusal, REFUSED_NOT_READY);
    ac_run_ms(p->ac, 600);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_FLOOR);
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    probe_free(p);
}

static uint64_t
durable_horizon_ms(struct probe *p)
{
    struct row_key key;
    struct bytes value;
    struct node_row row;
    row_key_meta("node", &key);
    assert_true(ac_get(p->ac, SELF, &key, &value));
    assert_int_equal(node_row_decode(value, &row), OK);
    return row.horizon_ms;
}

/*
 * Nothing above the horizon is promised before that is durable, though two are on their way at
 * once: the first completion says nothing of the second.
 */
static void
promises_stay_below_the_horizon(unsigned pause_ms)
{
    struct probe *p = probe_new(8 + pause_ms, 0);
    p->ac->nodes[SELF].slow_disk = true;
    struct msg near = vote(p, "a", 1, 12000), far = vote(p, "a", 1, 20000);
    struct msg between = vote(p, "a", 1, 19000);
    const struct msg *voted = NULL;
    tell(p, 1, &near);
    ac_run_ms(p->ac, pause_ms);
    tell(p, 1, &far);
    for (unsigned i = 0; i < 200 && !(voted && voted->u.voted.refusal == REFUSED_NONE); i++) {
        between.u.vote.ballot.time++;
        tell(p, 1, &between);
        (void)ac_step(p->ac, p->ac->now_ns + 1000000);
        voted = answer(p, MSG_VOTED);
    }
    assert_non_null(voted);
    assert_int_equal(voted->u.voted.refusal, REFUSED_NONE);
    ac_crash_losing(p->ac, SELF, true);
    assert_true(ballot_ms(voted->u.voted.ballot) <= durable_horizon_ms(p));
    probe_free(p);
}

static void
test_promises_stay_below_the_horizon(void **state)
{
    (void)state;
    for (unsigned pause_ms = 0; pause_ms < 30; pause_ms++)
        promises_stay_below_the_horizon(pause_ms);
    struct probe *p = probe_new(8, 0);
    struct msg far = vote(p, "a", 1, 61000);
    assert_int_equal(vote_refusal(p, 1, &far), REFUSED_DRIFT);
    probe_free(p);
}

/* What an entry that had to leave the table had promised stays promised. */
static void
test_full_table_forgets_no_promise(void **state)
{
    (void)state;
    struct probe *p = probe_new(9, 1);
    struct msg a = vote(p, "a", 1, 3000), b = vote(p, "b", 1, 1000), c = vote(p, "b", 1, 4000);
    assert_int_equal(vote_refusal(p, 1, &a), REFUSED_NONE);
    assert_int_equal(vote_refusal(p, 1, &b), REFUSED_FLOOR);
    a.u.vote.ballot.time--;
    assert_int_equal(vote_refusal(p, 1, &a), REFUSED_FLOOR);
    assert_int_equal(vote_refusal(p, 1, &c), REFUSED_NONE);
    probe_free(p);
}

/* A vote waits until the head that is being accepted is durable, and reports it. */
static void
test_vote_waits_for_the_disk(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(10, 1);
    struct msg v = vote(p, "a", 1, 3000);
    struct msg first = vote(p, "a", 1, -3000); /* the path row has been loaded */
    (void)ask(p, 1, &first, MSG_VOTED);
    ac_run_ms(p->ac, 30);
    p->ac->nodes[SELF].slow_disk = true;
    tell(p, 0, &p->writes[0]);
    assert_int_equal(ac_inject(p->ac, 1, SELF, &v), OK);
    assert_null(answer(p, MSG_WRITTEN));
    assert_null(answer(p, MSG_VOTED));
    ac_run_ms(p->ac, 60);
    const struct msg *voted = answer(p, MSG_VOTED);
    assert_non_null(answer(p, MSG_WRITTEN));
    assert_non_null(voted);
    assert_int_equal(voted->u.voted.accepted.state, STATE_ACCEPTED);
    assert_true(bytes_equal(voted->u.voted.accepted.head, p->writes[0].u.write.head));
    probe_free(p);
}

/* ---- manners ---- */

static void
test_manners(void **state)
{
    (void)state;
    struct probe *p = probe_new(11, 0);
    struct msg first = vote(p, "a", 0, 1000), second = vote(p, "a", 1, 1100);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    ac_run_ms(p->ac, 30);
    first.u.vote.ballot.time += 65536 * 50;
    tell(p, 0, &first);
    ac_run_ms(p->ac, 1); /* its audit record is written */
    assert_non_null(answer(p, MSG_VOTED));
    assert_null(ask(p, 1, &second, MSG_VOTED)); /* somebody is about to write: it waits */
    ac_run_ms(p->ac, 20);
    assert_non_null(answer(p, MSG_VOTED)); /* but not for ever */
    assert_int_equal(answer(p, MSG_VOTED)->u.voted.refusal, REFUSED_NONE);
    struct msg many = vote(p, "a", 0, 2000);
    unsigned busy = 0;
    p->answer_count = 0;
    for (unsigned i = 0; i < 12; i++) {
        many.u.vote.ballot.time++;
        assert_int_equal(ac_inject(p->ac, 0, SELF, &many), OK);
    }
    for (size_t i = 0; i < p->answer_count; i++)
        busy += p->answers[i].u.voted.refusal == REFUSED_BUSY;
    assert_int_equal(busy, 12 - SHARD_PARKED_MAX);
    probe_free(p);
}

/* Who waits is voted for in the order of the ballots, so nobody who waits is refused for another. */
static void
test_parked_in_order(void **state)
{
    (void)state;
    struct probe *p = probe_new(31, 0);
    struct msg first = vote(p, "a", 0, 1000);
    struct msg later = vote(p, "a", 1, 1300), earlier = vote(p, "a", 1, 1200);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    p->answer_count = 0;
    assert_int_equal(ac_inject(p->ac, 1, SELF, &later), OK);
    assert_int_equal(ac_inject(p->ac, 1, SELF, &earlier), OK);
    assert_null(answer(p, MSG_VOTED));
    ac_run_ms(p->ac, 40);
    assert_int_equal(p->answer_count, 2);
    for (size_t i = 0; i < 2; i++)
        assert_int_equal(p->answers[i].u.voted.refusal, REFUSED_NONE);
    assert_int_equal(ballot_compare(p->answers[0].u.voted.ballot, earlier.u.vote.ballot), 0);
    assert_int_equal(ballot_compare(p->answers[1].u.voted.ballot, later.u.vote.ballot), 0);
    probe_free(p);
}

/* Whoever comes too late is told to come after those who wait. */
static void
test_beat_of_those_who_wait(void **state)
{
    (void)state;
    struct probe *p = probe_new(33, 0);
    struct msg first = vote(p, "a", 0, 1000), late = vote(p, "a", 0, 900);
    struct msg waits = vote(p, "a", 1, 1300);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    tell(p, 1, &waits);
    tell(p, 0, &late);
    const struct msg *m = answer(p, MSG_VOTED);
    assert_non_null(m);
    assert_int_equal(m->u.voted.refusal, REFUSED_BALLOT);
    assert_int_equal(ballot_compare(m->u.voted.beat, waits.u.vote.ballot), 0);
    ac_run_ms(p->ac, 40);
    assert_int_equal(answer(p, MSG_VOTED)->u.voted.refusal, REFUSED_NONE);
    probe_free(p);
}

/* Whoever was voted for while another waits has its own time to write. */
static void
test_manners_begin_anew(void **state)
{
    (void)state;
    struct probe *p = probe_new(32, 0);
    struct msg first = vote(p, "a", 0, 1000), again = vote(p, "a", 0, 1050);
    struct msg other = vote(p, "a", 1, 1100);
    assert_int_equal(vote_refusal(p, 0, &first), REFUSED_NONE);
    tell(p, 1, &other);
    ac_run_ms(p->ac, 4);
    tell(p, 0, &again);
    ac_run_ms(p->ac, 17);
    assert_int_equal(p->answer_count, 1); /* not the other's, though that has waited 20 ms */
    assert_int_equal(ballot_compare(p->answers[0].u.voted.ballot, again.u.vote.ballot), 0);
    ac_run_ms(p->ac, 25);
    assert_int_equal(p->answer_count, 2);
    assert_int_equal(p->answers[1].u.voted.refusal, REFUSED_NONE);
    probe_free(p);
}

static void
test_full_queue(void **state)
{
    (void)state;
    struct probe *p = probe_new(12, 0);
    unsigned busy = 0;
    /* All come while the path row is being loaded, and so are those that tell what is absent. */
    ac_crash(p->ac, SELF);
    p->ac->nodes[SELF].slow_disk = true;
    ac_start(p->ac, SELF);
    p->answer_count = 0;
    for (unsigned i = 0; i < SHARD_QUEUE_MAX + 5; i++) {
        struct msg m = {.kind = MSG_READ, .op = i, .path = ac_path("a")};
        m.u.read.credential = bytes_of_text(ac_token);
        assert_int_equal(ac_inject(p->ac, 1, SELF, &m), OK);
    }
    for (size_t i = 0; i < p->answer_count; i++)
        busy += p->answers[i].u.state.refusal == REFUSED_BUSY;
    assert_int_equal(busy, 4); /* one is in hand */
    ac_run_ms(p->ac, 100);
    assert_int_equal(p->answer_count, SHARD_QUEUE_MAX + 5);
    probe_free(p);
}

static void
test_credential_is_checked_here(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(13, 1);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    struct msg m = {.kind = MSG_READ, .path = ac_path("a")};
    m.u.read.credential = bytes_of_text("another");
    const struct msg *s = ask(p, 1, &m, MSG_STATE);
    assert_int_equal(s->u.state.refusal, REFUSED_DENIED);
    assert_int_equal(s->u.state.share.size, 0);
    struct msg list = {.kind = MSG_LIST, .path = ac_path("a")};
    list.u.list.limit = 10;
    assert_int_equal(ask(p, 1, &list, MSG_VERSIONS)->u.versions.refusal, REFUSED_DENIED);
    struct msg v = vote(p, "a", 1, 3000);
    v.u.vote.purpose = CHANGE_UPDATE;
    assert_int_equal(vote_refusal(p, 1, &v), REFUSED_DENIED);
    m.u.read.credential = bytes_of_text(ac_token);
    s = ask(p, 1, &m, MSG_STATE);
    assert_int_equal(s->u.state.refusal, REFUSED_NONE);
    assert_int_equal(s->u.state.share_state, SHARE_HELD);
    probe_free(p);
}

/* ---- notices ---- */

/*
 * WRITTEN promises the own share: a head that came with a notice alone does not count as written.
 */
static void
test_write_after_its_notice(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(14, 1);
    struct msg take = chosen(&p->writes[0], true, 3);
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(answer(p, MSG_DELIVER)->u.deliver.owner, SELF); /* it asks for its share */
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 0);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 1);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    p->ac->nodes[SELF].disk_full = true; /* a repeated one needs no disk */
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    probe_free(p);
}

/*
 * What is remembered is the version that the head accepted here last was built on. Where another head
 * took the place of that one by its notice alone, a late notice of the head below says nothing of it.
 */
static void
test_late_notice_of_another(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(17, 3);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    assert_int_equal(write_refusal(p, 0, &p->writes[1]), REFUSED_NONE);
    struct msg next = chosen(&p->writes[2], true, 3), late = chosen(&p->writes[1], true, 7);
    tell(p, 0, &next);
    ac_run_ms(p->ac, 15);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 2);
    tell(p, 0, &late);
    ac_run_ms(p->ac, 15);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 2);
    probe_free(p);
}

/*
 * The notice of a version comes when the next one has been accepted. It sets nothing and drops no
 * version; but the boxes of that version go, if all have written it.
 */
static void
test_late_notice_drops_boxes_alone(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(15, 2);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    assert_int_equal(write_refusal(p, 0, &p->writes[1]), REFUSED_NONE);
    assert_int_equal(state_of(p, "a"), STATE_ACCEPTED);
    struct msg some = chosen(&p->writes[0], true, 3), late = chosen(&p->writes[0], true, 7);
    tell(p, 0, &some); /* somebody may still need one */
    ac_run_ms(p->ac, 15);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 2);
    tell(p, 0, &late);
    ac_run_ms(p->ac, 500); /* they wait a while for another change */
    assert_int_equal(state_of(p, "a"), STATE_ACCEPTED);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 2);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
    struct msg now = chosen(&p->writes[1], false, 3);
    tell(p, 0, &now);
    ac_run_ms(p->ac, 15);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 2);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES),
                     1); /* node 2 has not been said to have written */
    now = chosen(&p->writes[1], false, 7);
    tell(p, 0, &now);
    ac_run_ms(p->ac, 15);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 0);
    probe_free(p);
}

/* One head accepted, the next voted for, and the notice of the first come: it waits for the WRITE. */
static struct probe *
probe_with_notice(uint64_t seed)
{
    struct probe *p = probe_with_writes(seed, 3);
    struct msg v = vote(p, "a", 0, 0), notice = chosen(&p->writes[0], false, 7);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    v.u.vote.ballot = p->writes[1].u.write.ballot;
    assert_int_equal(vote_refusal(p, 0, &v), REFUSED_NONE);
    tell(p, 0, &notice);
    ac_run_ms(p->ac, 2);
    assert_int_equal(state_of(p, "a"), STATE_ACCEPTED);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
    return p;
}

static void
test_notice_goes_with_the_next_write(void **state)
{
    (void)state;
    struct probe *p = probe_with_notice(26);
    uint64_t batches = p->ac->nodes[SELF].sequence;
    assert_int_equal(write_refusal(p, 0, &p->writes[1]), REFUSED_NONE);
    assert_int_equal(p->ac->nodes[SELF].sequence, batches + 1);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 2);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1); /* those of the second */
    struct msg late = chosen(&p->writes[1], true, 7);
    assert_int_equal(write_refusal(p, 0, &p->writes[2]), REFUSED_NONE);
    tell(p, 0, &late);
    ac_run_ms(p->ac, 2);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 2);
    ac_run_ms(p->ac, 500); /* no WRITE comes */
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 3);
    probe_free(p);
}

static void
test_notice_does_not_wait_for_ever(void **state)
{
    (void)state;
    struct probe *p = probe_with_notice(27);
    ac_run_ms(p->ac, 500);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 0);
    probe_free(p);
}

/* Somebody has not written yet: it is handled at once, and what the others may need stays. */
static void
test_notice_of_some_does_not_wait(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(29, 2);
    struct msg v = vote(p, "a", 0, 0), notice = chosen(&p->writes[0], false, 3);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    v.u.vote.ballot = p->writes[1].u.write.ballot;
    assert_int_equal(vote_refusal(p, 0, &v), REFUSED_NONE);
    tell(p, 0, &notice);
    ac_run_ms(p->ac, 2);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(write_refusal(p, 0, &p->writes[1]), REFUSED_NONE);
    ac_run_ms(p->ac, 500);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 2);
    probe_free(p);
}

/* Another takes the place of the head that it is about: it is looked at again, and drops nothing. */
static void
test_notice_of_a_head_that_is_replaced(void **state)
{
    (void)state;
    struct probe *p = probe_with_notice(28);
    assert_int_equal(write_refusal(p, 0, &p->writes[2]), REFUSED_NONE);
    ac_run_ms(p->ac, 500);
    assert_int_equal(state_of(p, "a"), STATE_ACCEPTED);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 2);
    probe_free(p);
}

/*
 * Escrow of a node goes only when it has written in an incarnation that is not older than known
 * here.
 */
static void
test_escrow_of_an_older_incarnation_stays(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(16, 1);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    struct msg now = chosen(&p->writes[0], false, 7);
    now.u.chosen.incarnations.of[1] = 0;
    tell(p, 0, &now);
    ac_run_ms(p->ac, 15);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
    probe_free(p);
}

/*
 * That a head is chosen is known as soon as its row is visible, and may be forgotten in a crash: it is
 * accepted then, with its escrow.
 */
static void
test_chosen_may_be_forgotten(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(23, 1);
    struct msg notice = chosen(&p->writes[0], false, 7);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    assert_int_equal(state_of(p, "a"), STATE_ACCEPTED);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
    ac_run_ms(p->ac, 50);
    p->ac->nodes[SELF].slow_disk = true; /* the sync takes 100 times as long */
    tell(p, 0, &notice);
    for (unsigned i = 0; i < 20 && state_of(p, "a") != STATE_CHOSEN; i++)
        ac_run_ms(p->ac, 1);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    ac_crash_losing(p->ac, SELF, true);
    p->ac->nodes[SELF].slow_disk = false;
    ac_start(p->ac, SELF);
    assert_int_equal(state_of(p, "a"), STATE_ACCEPTED);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
    ac_run_ms(p->ac, 600);
    notice.u.chosen.incarnations = p->writes[0].u.write.incarnations;
    tell(p, 0, &notice);
    ac_run_ms(p->ac, 20);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 0);
    probe_free(p);
}

static void
test_chosen_head_is_not_contradicted(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(17, 2);
    struct arena arena;
    struct msg other, take = chosen(&p->writes[0], true, 3);
    arena_init(&arena, 1 << 20);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    remake(p, &p->writes[0], spoil_threshold, &arena, &other); /* another head of that generation */
    other.u.write.ballot.time += 1 << 20;
    assert_int_equal(write_refusal(p, 0, &other), REFUSED_DEALING);
    take = chosen(&other, true, 7);
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(p->ac, SELF, "a", &row, &head));
    assert_true(bytes_equal(row.head, p->writes[0].u.write.head));
    assert_int_equal(write_refusal(p, 0, &p->writes[1]), REFUSED_NONE);
    arena_close(&arena);
    probe_free(p);
}

/* ---- shares that come by themselves ---- */

static struct msg
share_of(const struct msg *write, const struct msg *head_of, struct arena *arena)
{
    struct msg m = {.kind = MSG_SHARE, .path = write->path};
    struct dealing *dealing = arena_alloc(arena, sizeof(*dealing));
    assert_int_equal(dealing_decode(write->u.write.dealing, write->u.write.boxes, dealing), OK);
    m.u.share.accepted = (struct accepted){
        .ballot = head_of->u.write.ballot, .state = STATE_CHOSEN, .head = head_of->u.write.head};
    m.u.share.version = write->u.write.version;
    m.u.share.dealing = write->u.write.dealing;
    m.u.share.box = dealing->boxes[SELF];
    return m;
}

static enum shared_outcome
shared(struct probe *p, const struct msg *share)
{
    const struct msg *m = ask(p, 0, share, MSG_SHARED);
    assert_non_null(m);
    assert_int_equal(m->u.shared.version > 0, 1);
    return m->u.shared.outcome;
}

static void
test_shares_follow_the_chain(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(18, 3);
    struct arena arena;
    arena_init(&arena, 1 << 22);
    struct msg newest = share_of(&p->writes[2], &p->writes[2], &arena);
    struct msg middle = share_of(&p->writes[1], &p->writes[2], &arena);
    struct msg oldest = share_of(&p->writes[0], &p->writes[2], &arena);
    struct msg loser;
    remake(p, &p->writes[1], spoil_recipients, &arena, &loser);
    struct msg foreign = share_of(&loser, &p->writes[2], &arena);

    assert_int_equal(shared(p, &oldest), SHARED_LATER); /* what it hangs on is not here */
    struct msg bad = newest;
    bad.u.share.box = middle.u.share.box;
    assert_int_equal(shared(p, &bad), SHARED_BAD);
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    assert_int_equal(shared(p, &newest), SHARED_STORED);
    assert_int_equal(state_of(p, "a"), STATE_CHOSEN);
    assert_int_equal(shared(p, &foreign), SHARED_OBSOLETE); /* of another chain */
    assert_int_equal(shared(p, &middle), SHARED_STORED);
    assert_int_equal(shared(p, &foreign), SHARED_OBSOLETE);
    assert_int_equal(shared(p, &oldest), SHARED_STORED);
    assert_int_equal(shared(p, &oldest), SHARED_STORED); /* again: it is there */
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 3);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_DEALING), 3);
    bad = newest;
    bad.u.share.accepted.state = STATE_ACCEPTED; /* only what is chosen is delivered */
    assert_null(ask(p, 0, &bad, MSG_SHARED));
    arena_close(&arena);
    probe_free(p);
}

/* ---- deletions ---- */

static void
test_accepting_a_tombstone_erases_nothing(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(19, 1);
    struct arena arena;
    arena_init(&arena, 1 << 22);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    struct msg first = chosen(&p->writes[0], true, 3);
    tell(p, 0, &first);
    ac_run_ms(p->ac, 15);
    assert_int_equal(ac_delete(p->ac, 0, "a")->reply.err, OK);
    assert_int_equal(p->caught_count, 2);
    assert_int_equal(write_refusal(p, 0, &p->writes[1]), REFUSED_NONE);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 1);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_ERASURE), 1); /* to be finished, should nobody come */
    struct msg now = chosen(&p->writes[1], true, 0);
    now.op = 5;
    const struct msg *m = ask(p, 0, &now, MSG_ERASED);
    assert_non_null(m);
    assert_true(m->u.erased.erased);
    assert_int_equal(m->op, 5);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 0);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_DEALING), 0);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 0);
    assert_true(ask(p, 0, &now, MSG_ERASED)->u.erased.erased); /* asked again, says it again */

    /* Nothing of it comes back: not by a late WRITE, not as a share. */
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_BALLOT);
    struct msg again = p->writes[0];
    again.u.write.ballot.time = (ac_wall_ms(p->ac, SELF) + 5000) << 16;
    assert_int_equal(write_refusal(p, 0, &again), REFUSED_DEALING);
    struct msg share = share_of(&p->writes[0], &p->writes[0], &arena);
    assert_int_equal(shared(p, &share), SHARED_OBSOLETE);
    assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), 0);
    arena_close(&arena);
    probe_free(p);
}

/* ---- disks ---- */

static void
test_refused_for_want_of_room_is_refused_for_good(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(20, 1);
    p->ac->nodes[SELF].disk_full = true;
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_DISK_FULL);
    p->ac->nodes[SELF].disk_full = false;
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_BALLOT); /* a second copy */
    assert_int_equal(state_of(p, "a"), STATE_ABSENT);
    struct msg again = p->writes[0];
    again.u.write.ballot.time++;
    assert_int_equal(write_refusal(p, 0, &again), REFUSED_NONE);
    probe_free(p);
}

/* A path that is surely new is voted on without a look at the disk; one that is not, is looked up. */
static void
test_new_path_is_not_looked_up(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(24, 1);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_NONE);
    struct msg read = {.kind = MSG_READ, .path = ac_path("a")};
    read.u.read.credential = bytes_of_text(ac_token);
    for (unsigned life = 0; life < 2; life++) {
        struct msg v = vote(p, life == 0 ? "b" : "c", 1, 1000);
        assert_int_equal(ask(p, 1, &read, MSG_STATE)->u.state.accepted.state, STATE_ACCEPTED);
        p->ac->nodes[SELF].reads_fail = true;
        const struct msg *m = ask(p, 1, &v, MSG_VOTED);
        if (life > 0) { /* the floor is what could have been promised before */
            assert_int_equal(m->u.voted.refusal, REFUSED_FLOOR);
            v.u.vote.ballot.time = m->u.voted.beat.time + 1;
            m = ask(p, 1, &v, MSG_VOTED);
        }
        assert_int_equal(m->u.voted.refusal, REFUSED_NONE);
        p->ac->nodes[SELF].reads_fail = false;
        ac_crash(p->ac, SELF);
        ac_start(p->ac, SELF); /* what is there is read again */
        ac_run_ms(p->ac, 1500);
    }
    probe_free(p);
}

/* A damaged path row is never "nothing there", for any question. */
static void
test_corrupt_path_row(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(21, 1);
    struct row_key key;
    row_key_path(ac_path("a"), &key);
    ac_put(p->ac, SELF, &key, bytes_of_text("rubbish"));
    ac_crash(p->ac, SELF);
    ac_start(p->ac, SELF);
    ac_run_ms(p->ac, 1000);
    struct msg v = vote(p, "a", 1, 3000);
    assert_int_equal(vote_refusal(p, 1, &v), REFUSED_CORRUPT);
    assert_int_equal(write_refusal(p, 0, &p->writes[0]), REFUSED_CORRUPT);
    struct msg read = {.kind = MSG_READ, .path = ac_path("a")};
    read.u.read.credential = bytes_of_text(ac_token);
    assert_int_equal(ask(p, 1, &read, MSG_STATE)->u.state.refusal, REFUSED_CORRUPT);
    struct msg list = {.kind = MSG_LIST, .path = ac_path("a")};
    list.u.list.limit = 10;
    list.u.list.credential = bytes_of_text(ac_token);
    assert_int_equal(ask(p, 1, &list, MSG_VERSIONS)->u.versions.refusal, REFUSED_CORRUPT);
    struct msg take = chosen(&p->writes[0], true, 3);
    tell(p, 0, &take);
    ac_run_ms(p->ac, 15);
    struct bytes value;
    assert_true(ac_get(p->ac, SELF, &key, &value));
    assert_true(bytes_equal(value, bytes_of_text("rubbish")));
    assert_true(p->ac->nodes[SELF].metrics.counters[METRIC_records_corrupt] > 0);
    probe_free(p);
}

/* Steps of node 2 have memory for so much, and for a little more each time, until it is enough. */
static void
ask_with_little_memory(struct probe *p, const struct msg *msg, enum accepted_state until)
{
    struct arena *arena = &p->ac->nodes[SELF].arena;
    size_t enough = arena->limit;
    uint8_t id[ID_BYTES];
    struct path_row row;
    struct head head;
    bool done = false;
    if (msg->kind == MSG_WRITE)
        record_id(msg->u.write.head, id);
    else
        memcpy(id, msg->u.chosen.head_id, ID_BYTES);
    for (size_t limit = 0; !done; limit += 16) {
        uint8_t accepted[ID_BYTES] = {0};
        assert_true(limit < enough);
        arena->limit = limit;
        tell(p, 0, msg);
        ac_run_ms(p->ac, 2);
        arena->limit = enough;
        if (ac_path_row(p->ac, SELF, "a", &row, &head))
            record_id(row.head, accepted);
        done = memcmp(accepted, id, ID_BYTES) == 0 && row.state == until;
    }
}

/* For want of memory a message is refused, or as if it had been lost; no batch lacks a part. */
static void
test_without_memory(void **state)
{
    (void)state;
    struct probe *p = probe_with_writes(32, 2);
    for (size_t i = 0; i < 2; i++) {
        struct msg some = chosen(&p->writes[i], false, 3), all = chosen(&p->writes[i], false, 7);
        ask_with_little_memory(p, &p->writes[i], STATE_ACCEPTED);
        assert_int_equal(ac_rows(p->ac, SELF, ROW_VERSION), i + 1);
        assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), 1);
        ask_with_little_memory(p, i == 0 ? &all : &some, STATE_CHOSEN);
        assert_int_equal(ac_rows(p->ac, SELF, ROW_BOXES), i);
    }
    probe_free(p);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_that_is_not_for_here),
        cmocka_unit_test(test_write_that_does_not_fit_together),
        cmocka_unit_test(test_write_with_a_wrong_dealing),
        cmocka_unit_test(test_promise_is_never_lowered),
        cmocka_unit_test(test_notice_is_a_promise),
        cmocka_unit_test(test_restart_keeps_promises),
        cmocka_unit_test(test_restart_refuses_old_writes),
        cmocka_unit_test(test_promises_stay_below_the_horizon),
        cmocka_unit_test(test_full_table_forgets_no_promise),
        cmocka_unit_test(test_vote_waits_for_the_disk),
        cmocka_unit_test(test_manners),
        cmocka_unit_test(test_parked_in_order),
        cmocka_unit_test(test_manners_begin_anew),
        cmocka_unit_test(test_beat_of_those_who_wait),
        cmocka_unit_test(test_full_queue),
        cmocka_unit_test(test_credential_is_checked_here),
        cmocka_unit_test(test_write_after_its_notice),
        cmocka_unit_test(test_late_notice_drops_boxes_alone),
        cmocka_unit_test(test_notice_goes_with_the_next_write),
        cmocka_unit_test(test_notice_does_not_wait_for_ever),
        cmocka_unit_test(test_notice_of_some_does_not_wait),
        cmocka_unit_test(test_notice_of_a_head_that_is_replaced),
        cmocka_unit_test(test_late_notice_of_another),
        cmocka_unit_test(test_escrow_of_an_older_incarnation_stays),
        cmocka_unit_test(test_chosen_may_be_forgotten),
        cmocka_unit_test(test_chosen_head_is_not_contradicted),
        cmocka_unit_test(test_shares_follow_the_chain),
        cmocka_unit_test(test_accepting_a_tombstone_erases_nothing),
        cmocka_unit_test(test_refused_for_want_of_room_is_refused_for_good),
        cmocka_unit_test(test_new_path_is_not_looked_up),
        cmocka_unit_test(test_corrupt_path_row),
        cmocka_unit_test(test_without_memory),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
