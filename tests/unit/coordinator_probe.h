/*
 * One coordinator, that of node 0 of three: what it sends to nodes 1 and 2 is caught, and the test
 * answers in their name. Node 0 is a replica too and answers itself.
 */
#ifndef OSTRAKA_TESTS_COORDINATOR_PROBE_H
#define OSTRAKA_TESTS_COORDINATOR_PROBE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "proof_maker.h"

enum { SENT_MAX = 256 };

struct probe {
    struct actor_cluster *ac;
    struct buf frames[SENT_MAX];
    struct msg sent[SENT_MAX]; /* by node 0 to 1 and 2 */
    uint64_t at_ms[SENT_MAX];
    size_t count;
    struct proof_maker maker;
};

static inline enum ac_verdict
cut_off(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct probe *p = context;
    if (!msg_has_path(msg->kind) || (from != 0 && to != 0))
        return AC_PASS;
    if (from != 0)
        return AC_DROP;
    assert_true(p->count < SENT_MAX);
    size_t i = p->count++;
    ac_keep(msg, &p->frames[i], &p->sent[i]);
    p->at_ms[i] = ac_ms(p->ac);
    return AC_DROP;
}

static inline struct probe *
probe_new(uint64_t seed)
{
    struct ac_options options = {.nodes = 3, .seed = seed, .requests_max = 4};
    struct probe *p = calloc(1, sizeof(*p));
    assert_non_null(p);
    p->ac = ac_new(&options);
    ac_run_ms(p->ac, 300);
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
    for (size_t i = 0; i < SENT_MAX; i++)
        buf_close(&p->frames[i]);
    free(p);
}

/* The newest of that kind to that node; NULL: none. */
static inline const struct msg *
last(const struct probe *p, enum msg_kind kind, unsigned to)
{
    for (size_t i = p->count; i-- > 0;) {
        if (p->sent[i].kind == kind && p->sent[i].to == to)
            return &p->sent[i];
    }
    return NULL;
}

static inline size_t
count_of(const struct probe *p, enum msg_kind kind, unsigned to)
{
    size_t count = 0;
    for (size_t i = 0; i < p->count; i++)
        count += p->sent[i].kind == kind && p->sent[i].to == to;
    return count;
}

static inline struct ac_request *
begin(struct probe *p, enum request_kind kind, const char *name, const char *value)
{
    struct request request = ac_make(kind, name, value);
    struct ac_request *r = ac_send(p->ac, 0, &request);
    ac_run_ms(p->ac, 1);
    return r;
}

static inline struct incarnations
incarnations(uint64_t a, uint64_t b, uint64_t c)
{
    return (struct incarnations){.of = {a, b, c}, .count = 3, .placed = 0x012};
}

static inline struct msg
voted(const struct msg *vote, enum refusal refusal, uint64_t beat_ahead_ms)
{
    struct msg m = {.kind = MSG_VOTED, .op = vote->op, .path = vote->path};
    m.u.voted.ballot = vote->u.vote.ballot;
    m.u.voted.refusal = refusal;
    if (refusal == REFUSED_BALLOT || refusal == REFUSED_FLOOR)
        m.u.voted.beat = (struct ballot){
            .time = vote->u.vote.ballot.time + (beat_ahead_ms << 16), .incarnation = 1, .node = 1};
    m.u.voted.incarnations = incarnations(1, 1, 1);
    return m;
}

static inline struct msg
written(const struct msg *write, enum refusal refusal)
{
    struct msg m = {.kind = MSG_WRITTEN, .op = write->op, .path = write->path};
    m.u.written.ballot = write->u.write.ballot;
    record_id(write->u.write.head, m.u.written.head_id);
    m.u.written.refusal = refusal;
    m.u.written.incarnations = incarnations(1, 1, 1);
    return m;
}

/* As that node would vouch for it. */
static inline void
vouch_for(struct probe *p, unsigned from, struct msg *m)
{
    const struct membership *ms = &p->maker.members[from];
    const struct msg *vote = last(p, MSG_VOTE, from);
    struct statement s = {.path = m->path};
    uint8_t head_id[ID_BYTES];
    if (m->kind == MSG_WRITTEN && m->u.written.refusal == REFUSED_NONE) {
        s.ballot = m->u.written.ballot;
        s.head_id = m->u.written.head_id;
        s.incarnation = m->u.written.incarnations.of[from];
        m->u.written.macs = vouch(ms, &p->maker.st, &s);
    }
    if (m->kind != MSG_VOTED || m->u.voted.refusal != REFUSED_NONE || !vote)
        return;
    s.ballot = m->u.voted.ballot;
    s.purpose = vote->u.vote.purpose;
    s.op_id = vote->u.vote.op_id;
    if (s.purpose != CHANGE_FINISH)
        s.caller = bytes_of_text("admin");
    s.accepted = m->u.voted.accepted.ballot;
    s.state = m->u.voted.accepted.state;
    record_id(m->u.voted.accepted.head, head_id);
    s.head_id = s.state != STATE_ABSENT ? head_id : NULL;
    s.incarnation = m->u.voted.incarnations.of[from];
    m->u.voted.macs = vouch(ms, &p->maker.st, &s);
}

/* As from the present life of that node. */
static inline enum vault_err
inject(struct probe *p, unsigned from, const struct msg *msg)
{
    struct msg m = *msg;
    size_t at = msg_incarnations_at(m.kind);
    if (at != 0)
        ((struct incarnations *)((uint8_t *)&m + at))->life =
            node_membership(p->ac->nodes[0].node)->members[from].life;
    vouch_for(p, from, &m);
    return ac_inject(p->ac, from, 0, &m);
}

static inline void
answer(struct probe *p, unsigned from, const struct msg *msg)
{
    assert_int_equal(inject(p, from, msg), OK);
    ac_run_ms(p->ac, 1);
}

static inline void
answer_vote(struct probe *p, unsigned from, enum refusal refusal, uint64_t beat_ahead_ms)
{
    struct msg m = voted(last(p, MSG_VOTE, from), refusal, beat_ahead_ms);
    answer(p, from, &m);
}

static inline void
answer_write(struct probe *p, unsigned from, enum refusal refusal)
{
    struct msg m = written(last(p, MSG_WRITE, from), refusal);
    answer(p, from, &m);
}

#endif
