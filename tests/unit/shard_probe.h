/*
 * One shard store, messages in, answers out: node 2 of three, cut off from the others but for what
 * the test sends to it in their name. A WRITE of a real coordinator is caught on its way and
 * changed as needed.
 */
#ifndef OSTRAKA_TESTS_SHARD_PROBE_H
#define OSTRAKA_TESTS_SHARD_PROBE_H

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

static inline bool
is_caught(const struct probe *p, const struct msg *msg)
{
    for (size_t i = 0; i < p->caught_count; i++) {
        if (bytes_equal(p->writes[i].u.write.head, msg->u.write.head))
            return true;
    }
    return false;
}

static inline enum ac_verdict
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

static inline struct probe *
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

static inline void
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

static inline void
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
static inline struct probe *
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

static inline struct msg
vote(const struct probe *p, const char *name, unsigned node, int64_t ahead_ms)
{
    struct msg m = {.kind = MSG_VOTE, .op = 77, .path = ac_path(name)};
    uint64_t ms = (uint64_t)((int64_t)ac_wall_ms(p->ac, SELF) + ahead_ms);
    m.u.vote.ballot = (struct ballot){.time = ms << 16, .node = (uint8_t)node, .incarnation = 1};
    m.u.vote.purpose = CHANGE_FINISH;
    return m;
}

static inline struct msg
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

static inline enum refusal
write_refusal(struct probe *p, unsigned from, const struct msg *write)
{
    const struct msg *m = ask(p, from, write, MSG_WRITTEN);
    assert_non_null(m);
    return m->u.written.refusal;
}

static inline enum refusal
vote_refusal(struct probe *p, unsigned from, const struct msg *v)
{
    const struct msg *m = ask(p, from, v, MSG_VOTED);
    assert_non_null(m);
    return m->u.voted.refusal;
}

static inline enum accepted_state
state_of(struct probe *p, const char *name)
{
    struct path_row row;
    struct head head;
    return ac_path_row(p->ac, SELF, name, &row, &head) ? row.state : STATE_ABSENT;
}

/* ---- a WRITE with another dealing ---- */

/* The same WRITE, all hashes right again, after `spoil` has changed its dealing or its head. */
typedef void spoil_fn(struct probe *p, struct dealing *dealing, struct head *head,
                      struct arena *arena);

static inline void
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

static inline void
spoil_nothing(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)dealing, (void)head, (void)arena;
}

static inline void
spoil_recipients(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->nodes[0] = 1;
    dealing->nodes[1] = 0;
}

static inline void
spoil_threshold(struct probe *p, struct dealing *dealing, struct head *head, struct arena *arena)
{
    (void)p, (void)head, (void)arena;
    dealing->threshold = 3;
}

#endif
