/*
 * Proofs of votes and of writes: what one broken node can get written, chosen or erased without a
 * caller, or beyond what a caller asked for. Node 2 is told by hand what node 0, the broken one,
 * makes of what it has seen and of the one key that it has.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "actor_cluster.h"
#include "actors/vouch.h"
#include "proof_maker.h"

enum { SELF = 2, CAUGHT_MAX = 8 };

struct scene {
    struct actor_cluster *ac;
    struct proof_maker maker;
    struct buf frames[CAUGHT_MAX];
    struct msg caught[CAUGHT_MAX]; /* WRITEs of node 0 to node 2, which do not arrive */
    size_t count;
    struct msg_written written; /* the last answer of node 2 */
    bool answered;
};

static enum ac_verdict
watch(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    struct scene *s = context;
    if (from == SELF && msg->kind == MSG_WRITTEN) {
        s->written = msg->u.written;
        s->answered = true;
    }
    bool write = from == 0 && to == SELF && msg->kind == MSG_WRITE;
    if (write && s->count < CAUGHT_MAX) {
        ac_keep(msg, &s->frames[s->count], &s->caught[s->count]);
        s->count++;
    }
    return (from == SELF || to == SELF) && msg_has_path(msg->kind) ? AC_DROP : AC_PASS;
}

static struct scene *
scene_new(uint64_t seed)
{
    struct scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    s->ac = ac_cluster_of(3, seed);
    ac_run_ms(s->ac, 300);
    s->ac->filter = watch;
    s->ac->filter_context = s;
    proof_maker_init(&s->maker, s->ac);
    return s;
}

static void
scene_free(struct scene *s)
{
    proof_maker_close(&s->maker);
    ac_end(s->ac);
    for (size_t i = 0; i < CAUGHT_MAX; i++)
        buf_close(&s->frames[i]);
    free(s);
}

/* A create by node 0 that node 2 does not hear of. */
static struct msg
caught_create(struct scene *s, const char *name)
{
    assert_int_equal(ac_create(s->ac, 0, name, "value")->reply.err, OK);
    ac_run_ms(s->ac, 30);
    assert_true(s->count > 0);
    return s->caught[s->count - 1];
}

static enum refusal
told_write(struct scene *s, const struct msg *write)
{
    s->answered = false;
    assert_int_equal(ac_inject(s->ac, 0, SELF, write), OK);
    ac_run_ms(s->ac, 15);
    assert_true(s->answered);
    return s->written.refusal;
}

static enum accepted_state
told_chosen(struct scene *s, unsigned from, const struct msg *chosen, const char *name)
{
    struct path_row row;
    struct head head;
    assert_int_equal(ac_inject(s->ac, from, SELF, chosen), OK);
    ac_run_ms(s->ac, 15);
    return ac_path_row(s->ac, SELF, name, &row, &head) ? row.state : STATE_ABSENT;
}

static uint64_t
refused(const struct scene *s)
{
    return s->ac->nodes[SELF].metrics.counters[METRIC_proofs_refused];
}

static struct proof
votes_of(const struct msg *write)
{
    struct proof proof;
    assert_int_equal(proof_decode(write->u.write.proof, &proof), OK);
    return proof;
}

/* Encoded anew, without the checks of the encoder's callers. */
static struct bytes
encoded(struct scene *s, const struct proof *proof)
{
    return proof_maker_encode(&s->maker, proof);
}

static struct msg
notice_of(const struct msg *write)
{
    struct msg m = {.kind = MSG_CHOSEN, .path = write->path};
    m.u.chosen.ballot = write->u.write.ballot;
    record_id(write->u.write.head, m.u.chosen.head_id);
    m.u.chosen.head = write->u.write.head;
    m.u.chosen.incarnations = write->u.write.incarnations;
    return m;
}

static void
test_write_needs_votes(void **state)
{
    (void)state;
    struct scene *s = scene_new(1);
    struct msg write = caught_create(s, "a"), m = write;
    m.u.write.proof = (struct bytes){0};
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);

    struct proof proof = votes_of(&write);
    assert_int_equal(proof.count, 2);
    struct proof fewer = proof;
    fewer.count = 1; /* m-1 */
    m.u.write.proof = encoded(s, &fewer);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);

    /* All of them made with node 0's key alone; it cannot even vouch for node 2 to itself. */
    struct proof_entry had = {0};
    m.u.write.proof = proof_maker_make(&s->maker, write.path, proof, 7, &had, NULL, 0);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    assert_int_equal(refused(s), 3);
    assert_int_equal(told_write(s, &write), REFUSED_NONE);
    scene_free(s);
}

/* A voter counts once, and the encoding has no room for it twice. */
static void
test_voters_count_once(void **state)
{
    (void)state;
    struct scene *s = scene_new(2);
    struct msg write = caught_create(s, "a");
    struct proof proof = votes_of(&write);
    struct buf out = {0};
    proof.entries[1] = proof.entries[0];
    assert_int_equal(proof_encode(&proof, &out), ERR_RANGE);
    proof.entries[1].node++; /* the same vote under another's number */
    struct msg m = write;
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    buf_close(&out);
    scene_free(s);
}

static void
test_votes_are_for_one_thing(void **state)
{
    (void)state;
    struct scene *s = scene_new(3);
    struct msg write = caught_create(s, "a"), other = caught_create(s, "b"), m = write;
    m.u.write.proof = other.u.write.proof; /* of another path */
    m.u.write.ballot = other.u.write.ballot;
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);

    m = write; /* of another ballot */
    m.u.write.ballot.time += 1 << 16;
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    struct proof proof = votes_of(&write);
    proof.ballot = m.u.write.ballot; /* and so said to be of this one */
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);

    m = write; /* another operation, caller, kind of change */
    proof = votes_of(&write);
    proof.op_id[0] ^= 1;
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    proof = votes_of(&write);
    proof.caller = bytes_of_text("other");
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    proof = votes_of(&write);
    proof.purpose = CHANGE_DELETE;
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);

    m = write; /* what one of the voters had is changed, or its store is another one by now */
    proof = votes_of(&write);
    proof.entries[0].incarnation++;
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);

    m = write; /* MACs for another receiver in the place of this one's */
    proof = votes_of(&write);
    uint8_t macs[2][MACS_BYTES_MAX];
    for (unsigned i = 0; i < 2; i++) {
        memcpy(macs[i], proof.entries[i].macs.data, proof.entries[i].macs.size);
        memcpy(macs[i] + SELF * VOTE_MAC_BYTES, macs[i], VOTE_MAC_BYTES);
        proof.entries[i].macs.data = macs[i];
    }
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    assert_int_equal(told_write(s, &write), REFUSED_NONE);
    scene_free(s);
}

/* Votes of the older incarnation of a store are of no use. */
static void
test_votes_of_a_lost_store(void **state)
{
    (void)state;
    struct scene *s = scene_new(4);
    struct msg write = caught_create(s, "a");
    struct proof proof = votes_of(&write);
    struct proof_entry had = {0};
    proof.ballot.time += 1 << 16;
    write.u.write.ballot = proof.ballot;
    write.u.write.proof = proof_maker_make(&s->maker, write.path, proof, 3, &had, NULL, NODES_MAX);
    ac_crash(s->ac, 1);
    ac_lose_store(s->ac, 1, true);
    ac_start(s->ac, 1);
    ac_run_ms(s->ac, 1500);
    const struct membership *ms = node_membership(s->ac->nodes[SELF].node);
    assert_true(ms->members[1].incarnation > 1);
    memcpy(write.u.write.incarnations.of, (uint64_t[]){1, ms->members[1].incarnation, 1},
           3 * sizeof(uint64_t)); /* a lie */
    assert_int_equal(told_write(s, &write), REFUSED_INCARNATION);
    scene_free(s);
}

static struct bytes
head_bytes(struct scene *s, const struct head *head)
{
    struct buf out = {0};
    struct bytes copy;
    assert_int_equal(head_encode(head, &out), OK);
    assert_int_equal(arena_copy(&s->maker.arena, buf_bytes(&out), &copy), OK);
    buf_close(&out);
    return copy;
}

/* The tombstone that would follow what is written there, in a WRITE at a later ballot. */
static struct msg
tombstone_after(struct scene *s, const struct msg *write, const uint8_t op_id[static OP_ID_BYTES])
{
    struct msg m = *write;
    struct head head;
    assert_int_equal(head_decode(write->u.write.head, &head), OK);
    record_id(write->u.write.head, head.prev);
    head.generation++;
    head.kind = HEAD_TOMBSTONE;
    head.changed_at_ms++;
    memcpy(head.op_id, op_id, OP_ID_BYTES);
    head.op_count = 1;
    head.ops[0] = (struct op_result){
        .kind = CHANGE_DELETE, .version = head.version, .at_ms = head.changed_at_ms};
    memcpy(head.ops[0].op_id, op_id, OP_ID_BYTES);
    m.u.write.head = head_bytes(s, &head);
    m.u.write.version = m.u.write.dealing = m.u.write.boxes = (struct bytes){0};
    m.u.write.ballot.time += 1 << 16;
    return m;
}

/*
 * Votes without a caller are had for the asking: they must not be good for anything but what is
 * there already. And votes for one kind of change are not good for another.
 */
static void
test_votes_allow_what_was_asked(void **state)
{
    (void)state;
    struct scene *s = scene_new(5);
    struct msg write = caught_create(s, "a");
    assert_int_equal(told_write(s, &write), REFUSED_NONE);
    uint8_t op_id[OP_ID_BYTES] = {9};
    struct msg m = tombstone_after(s, &write, op_id);
    struct proof_entry had = {.accepted = write.u.write.ballot, .state = STATE_ACCEPTED};
    record_id(write.u.write.head, had.head_id);
    static const enum change_kind purposes[] = {CHANGE_FINISH, CHANGE_CREATE, CHANGE_UPDATE};
    for (unsigned i = 0; i < 3; i++) {
        struct proof proof = {.ballot = m.u.write.ballot, .purpose = purposes[i]};
        if (purposes[i] != CHANGE_FINISH)
            proof.caller = bytes_of_text("admin");
        memcpy(proof.op_id, op_id, OP_ID_BYTES);
        m.u.write.proof = proof_maker_make(&s->maker, m.path, proof, 3, &had, NULL, NODES_MAX);
        assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    }
    struct proof proof = {
        .ballot = m.u.write.ballot, .purpose = CHANGE_DELETE, .caller = bytes_of_text("admin")};
    proof.op_id[0] = 8; /* another deletion */
    m.u.write.proof = proof_maker_make(&s->maker, m.path, proof, 3, &had, NULL, NODES_MAX);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    memcpy(proof.op_id, op_id, OP_ID_BYTES);
    struct proof_entry older = had; /* not built on what the voters had */
    older.head_id[0] ^= 1;
    m.u.write.proof = proof_maker_make(&s->maker, m.path, proof, 3, &older, NULL, NODES_MAX);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    m.u.write.proof = proof_maker_make(&s->maker, m.path, proof, 3, &had, NULL, NODES_MAX);
    assert_int_equal(told_write(s, &m), REFUSED_NONE);
    scene_free(s);
}

/* The alteration that would follow what is written there: version 1 destroyed, or only hidden. */
static struct msg
alteration_after(struct scene *s, const struct msg *write, uint64_t destroyed, uint64_t deleted)
{
    struct msg m = *write;
    struct head head;
    assert_int_equal(head_decode(write->u.write.head, &head), OK);
    record_id(write->u.write.head, head.prev);
    head.generation++;
    head.changed_at_ms++;
    memset(head.op_id, 9, OP_ID_BYTES);
    head.op_count = 1;
    head.ops[0] = (struct op_result){
        .kind = CHANGE_ALTER, .version = head.version, .at_ms = head.changed_at_ms};
    memset(head.ops[0].op_id, 9, OP_ID_BYTES);
    head.destroyed = destroyed;
    head.soft_deleted = deleted;
    m.u.write.head = head_bytes(s, &head);
    m.u.write.version = m.u.write.dealing = m.u.write.boxes = (struct bytes){0};
    m.u.write.ballot.time += 1 << 16;
    return m;
}

/* The right to update is not good for taking anything away, and nothing destroyed comes back. */
static void
test_votes_to_alter(void **state)
{
    (void)state;
    struct scene *s = scene_new(15);
    struct msg write = caught_create(s, "a");
    assert_int_equal(told_write(s, &write), REFUSED_NONE);
    struct proof_entry had = {.accepted = write.u.write.ballot, .state = STATE_ACCEPTED};
    record_id(write.u.write.head, had.head_id);
    static const enum change_kind purposes[] = {CHANGE_FINISH, CHANGE_UPDATE, CHANGE_DELETE,
                                                CHANGE_ALTER};
    struct msg m = alteration_after(s, &write, 1, 0);
    struct proof proof = {.ballot = m.u.write.ballot, .caller = bytes_of_text("admin")};
    memset(proof.op_id, 9, OP_ID_BYTES);
    for (unsigned i = 0; i < 4; i++) {
        proof.purpose = purposes[i];
        proof.caller = bytes_of_text(purposes[i] == CHANGE_FINISH ? "" : "admin");
        for (unsigned hidden = 0; hidden < 2; hidden++) {
            m = alteration_after(s, &write, !hidden, hidden);
            m.u.write.proof = proof_maker_make(&s->maker, m.path, proof, 3, &had, NULL, NODES_MAX);
            assert_int_equal(told_write(s, &m), REFUSED_PROOF);
        }
    }
    proof.purpose = CHANGE_ERASE;
    m = alteration_after(s, &write, 1, 0);
    m.u.write.proof = proof_maker_make(&s->maker, m.path, proof, 3, &had, NULL, NODES_MAX);
    assert_int_equal(told_write(s, &m), REFUSED_NONE);
    /* On top of that one: as if it had not been. */
    had.accepted = m.u.write.ballot;
    record_id(m.u.write.head, had.head_id);
    m = alteration_after(s, &m, 0, 0);
    proof.ballot = m.u.write.ballot;
    m.u.write.proof = proof_maker_make(&s->maker, m.path, proof, 3, &had, NULL, NODES_MAX);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    scene_free(s);
}

/* A head that a broken voter says to have accepted, and nobody else has, is not finished. */
static void
test_finishing_needs_the_first_votes(void **state)
{
    (void)state;
    struct scene *s = scene_new(6);
    struct msg write = caught_create(s, "a"), m = write;
    m.u.write.ballot.time += 1 << 16;
    struct proof proof = {.ballot = m.u.write.ballot, .purpose = CHANGE_FINISH};
    struct proof_entry had = {.accepted = write.u.write.ballot, .state = STATE_ACCEPTED};
    record_id(write.u.write.head, had.head_id);
    proof.entries[0] = had;
    proof.count = 1;
    /* One says to have it, the other has nothing. */
    struct proof one, other;
    assert_int_equal(
        proof_decode(proof_maker_make(&s->maker, m.path, proof, 1, &had, NULL, NODES_MAX), &one),
        OK);
    assert_int_equal(
        proof_decode(proof_maker_make(&s->maker, m.path, proof, 2, NULL, NULL, NODES_MAX), &other),
        OK);
    one.entries[1] = other.entries[0];
    one.count = 2;
    m.u.write.proof = encoded(s, &one);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    m.u.write.origin = m.u.write.proof; /* votes for finishing are no origin */
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    m.u.write.origin =
        proof_of_written(&s->maker, m.path, write.u.write.ballot, had.head_id, 1); /* m-1 writes */
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    m.u.write.origin = write.u.write.proof;
    assert_int_equal(told_write(s, &m), REFUSED_NONE);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(s->ac, SELF, "a", &row, &head));
    assert_true(bytes_equal(row.proof, write.u.write.proof)); /* for whoever finishes it next */
    scene_free(s);
}

static void
test_notice_needs_writes(void **state)
{
    (void)state;
    struct scene *s = scene_new(7);
    struct msg write = caught_create(s, "a"), m = notice_of(&write);
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT); /* none */
    m.u.chosen.proof = write.u.write.proof;                     /* votes are no writes */
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    m.u.chosen.proof =
        proof_of_written(&s->maker, m.path, m.u.chosen.ballot, m.u.chosen.head_id, 1); /* m-1 */
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    struct proof made = {.ballot = m.u.chosen.ballot};
    m.u.chosen.proof =
        proof_maker_make(&s->maker, m.path, made, 7, NULL, m.u.chosen.head_id, 0); /* one key */
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    struct msg good = m;
    prove_chosen(&s->maker, &good);
    m.u.chosen.proof = good.u.chosen.proof; /* for another ballot, head, path */
    m.u.chosen.ballot.time++;
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    struct msg later = tombstone_after(s, &write, (uint8_t[OP_ID_BYTES]){7});
    m = notice_of(&later);
    m.u.chosen.ballot = good.u.chosen.ballot;
    m.u.chosen.proof = good.u.chosen.proof;
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    assert_int_equal(told_chosen(s, 0, &good, "a"), STATE_CHOSEN);
    /* Nothing is erased by it either. */
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(s->ac, SELF, "a", &row, &head));
    assert_int_equal(head.kind, HEAD_LIVE);
    assert_false(row.erased);
    scene_free(s);
}

/* Two who say so, each for itself, are enough where no proof is known; one of them is not. */
static void
test_two_nodes_are_believed(void **state)
{
    (void)state;
    struct scene *s = scene_new(8);
    struct msg write = caught_create(s, "a"), m = notice_of(&write);
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    struct msg later = tombstone_after(s, &write, (uint8_t[OP_ID_BYTES]){7});
    struct msg other = notice_of(&later);
    assert_int_equal(told_chosen(s, 1, &other, "a"), STATE_ABSENT); /* of another head */
    assert_int_equal(told_chosen(s, 1, &m, "a"), STATE_ABSENT);
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    scene_free(s);
}

/*
 * What is known chosen needs no proof any more: who cannot show one waits for an answer still. It
 * changes nothing.
 */
static void
test_known_chosen_needs_no_proof(void **state)
{
    (void)state;
    struct scene *s = scene_new(20);
    struct msg write = caught_create(s, "a"), m = notice_of(&write), good = m;
    const uint64_t *unknown = &s->ac->nodes[SELF].metrics.counters[METRIC_proofs_unknown];
    struct path_row row;
    struct head head;
    assert_int_equal(told_write(s, &write), REFUSED_NONE);
    prove_chosen(&s->maker, &good); /* nodes 0 and 1 */
    assert_int_equal(told_chosen(s, 0, &good, "a"), STATE_CHOSEN);
    m.u.chosen.written = 7;
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    assert_int_equal(*unknown, 0);
    assert_int_equal(ac_rows(s->ac, SELF, ROW_BOXES), 1); /* of node 2, for all that is proven */
    m.u.chosen.ballot.time++;
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    assert_int_equal(*unknown, 1);
    assert_true(ac_path_row(s->ac, SELF, "a", &row, &head));
    assert_int_equal(ballot_compare(row.ballot, ballot_promised(good.u.chosen.ballot)), 0);
    assert_true(bytes_equal(row.proof, good.u.chosen.proof));
    scene_free(s);
}

/* Of the same ballot: which nothing proves, and which all that comes later is compared with. */
static void
test_two_nodes_are_believed_at_one_ballot(void **state)
{
    (void)state;
    struct scene *s = scene_new(19);
    struct msg write = caught_create(s, "a"), m = notice_of(&write), other = m;
    struct path_row row;
    struct head head;
    other.u.chosen.ballot.time += UINT64_C(1) << 40;
    assert_int_equal(told_chosen(s, 1, &m, "a"), STATE_ABSENT);
    assert_int_equal(told_chosen(s, 0, &other, "a"), STATE_ABSENT);
    struct proof made = {.ballot = other.u.chosen.ballot}; /* and what is kept is of that ballot */
    assert_int_equal(told_chosen(s, 1, &m, "a"), STATE_ABSENT);
    m.u.chosen.proof =
        proof_maker_make(&s->maker, m.path, made, 7, NULL, m.u.chosen.head_id, 0); /* one key */
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    m.u.chosen.proof = (struct bytes){0};
    assert_int_equal(told_chosen(s, 1, &m, "a"), STATE_ABSENT);
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    assert_true(ac_path_row(s->ac, SELF, "a", &row, &head));
    assert_int_equal(ballot_compare(row.ballot, ballot_promised(m.u.chosen.ballot)), 0);
    scene_free(s);
}

/*
 * The key before the newest is remembered, for what older incarnations of the store said: a key
 * changes with the loss of the store only. What was vouched for under one still older cannot be told
 * from what is forged.
 */
static void
test_entry_under_a_replaced_key(void **state)
{
    (void)state;
    struct scene *s = scene_new(16);
    struct msg write = caught_create(s, "a"), m = notice_of(&write);
    struct membership *ms = &s->maker.members[SELF];
    struct vouch_checker checker;
    struct proof proof;
    uint8_t key[X25519_BYTES];
    prove_chosen(&s->maker, &m);
    assert_int_equal(proof_decode(m.u.chosen.proof, &proof), OK);
    vouch_checker_init(&checker, ms, m.path, &proof, m.u.chosen.head_id);
    ms->members[1].incarnation = 1;
    assert_int_equal(vouch_check(&checker, &proof.entries[1]), VOUCHED_FOR);
    ms->members[1].incarnation = 2; /* it has lost its store, and not its key */
    assert_int_equal(vouch_check(&checker, &proof.entries[1]), VOUCHED_FOR);

    assert_int_equal(vote_key_public(bytes_of_text("another storage key"), s->ac->cluster.id, key),
                     OK);
    assert_true(vote_keys_learn(ms->vote_keys, 1, key));
    assert_int_equal(vouch_check(&checker, &proof.entries[1]), VOUCHED_FOR);
    ms->members[1].incarnation = 1; /* not of the incarnation that has the new key */
    assert_int_equal(vouch_check(&checker, &proof.entries[1]), VOUCHED_NOT);
    ms->members[1].incarnation = 2;

    assert_int_equal(vote_key_public(bytes_of_text("and one more"), s->ac->cluster.id, key), OK);
    assert_true(vote_keys_learn(ms->vote_keys, 1, key));
    assert_int_equal(vouch_check(&checker, &proof.entries[1]), VOUCHED_UNKNOWN);
    assert_int_equal(vouch_check(&checker, &proof.entries[0]), VOUCHED_FOR);
    unsigned unknown;
    assert_int_equal(vouch_count(&checker, &proof, &unknown, NULL), 1);
    assert_int_equal(unknown, 1);
    proof.entries[1].incarnation = 2; /* that one has vouched under the new key */
    assert_int_equal(vouch_check(&checker, &proof.entries[1]), VOUCHED_NOT);
    ms->members[1].incarnation = 1;
    proof.entries[1].incarnation = 1;
    assert_int_equal(vouch_check(&checker, &proof.entries[1]), VOUCHED_NOT);
    scene_free(s);
}

/*
 * A false proof is no better than none, and no worse: the node that has a new storage key finds all
 * false that was vouched for to it before.
 */
static void
test_two_nodes_are_believed_over_false_macs(void **state)
{
    (void)state;
    struct scene *s = scene_new(17);
    struct msg write = caught_create(s, "a"), m = notice_of(&write);
    uint8_t key[X25519_BYTES];
    assert_int_equal(vote_key_public(bytes_of_text("another storage key"), s->ac->cluster.id, key),
                     OK);
    for (unsigned i = 0; i < 2; i++)
        assert_true(vote_keys_learn(&s->maker.keys[i], SELF, key));
    prove_chosen(&s->maker, &m); /* as it was known to them before */
    for (unsigned i = 0; i < 3; i++)
        assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    assert_int_equal(refused(s), 3);
    assert_int_equal(told_chosen(s, 1, &m, "a"), STATE_CHOSEN);
    scene_free(s);
}

/*
 * What two have agreed on while the third was away is not lost to it when one of the two loses its
 * storage key, which half of the proofs were made with.
 */
static void
test_storage_key_lost_while_another_is_away(void **state)
{
    (void)state;
    struct scene *s = scene_new(18);
    struct path_row row;
    struct head head;
    s->ac->filter = NULL;
    assert_int_equal(ac_create(s->ac, 0, "gone", "value")->reply.err, OK);
    ac_run_ms(s->ac, 100);
    ac_crash(s->ac, SELF);
    assert_int_equal(ac_create(s->ac, 0, "a", "value")->reply.err, OK);
    assert_int_equal(ac_delete(s->ac, 0, "gone")->reply.err, OK);
    ac_run_ms(s->ac, 50);
    ac_crash(s->ac, 1);
    ac_lose_store(s->ac, 1, false);
    ac_replace_storage_key(s->ac, 1);
    ac_start(s->ac, 1);
    ac_start(s->ac, SELF);
    ac_run_ms(s->ac, 30000);
    assert_true(ac_recovered(s->ac, 1));
    assert_true(ac_path_row(s->ac, SELF, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_int_equal(ac_rows_of(s->ac, SELF, ROW_VERSION, "a"), 1);
    assert_true(ac_path_row(s->ac, SELF, "gone", &row, &head));
    assert_int_equal(head.kind, HEAD_TOMBSTONE);
    assert_true(row.erased);
    assert_int_equal(refused(s), 0);
    for (unsigned away = 0; away < 2; away++) {
        ac_crash(s->ac, away);
        assert_true(ac_value_is(ac_read(s->ac, SELF, "a"), "value"));
        ac_start(s->ac, away);
        ac_run_ms(s->ac, 3000);
    }
    scene_free(s);
}

static enum ac_verdict
drop_writes(void *context, unsigned from, unsigned to, const struct msg *msg)
{
    (void)context;
    return from != to && msg->kind == MSG_WRITE ? AC_DROP : AC_PASS;
}

/*
 * What one node alone has accepted, on the vote of another whose storage key is lost right then, is
 * finished: the third remembers the key that the vote was made with, after a restart, too.
 */
static void
test_storage_key_lost_amid_change(void **state)
{
    (void)state;
    struct scene *s = scene_new(19);
    s->ac->filter = NULL;
    assert_int_equal(ac_create(s->ac, 0, "a", "value")->reply.err, OK);
    ac_run_ms(s->ac, 100);
    ac_crash(s->ac, SELF);
    s->ac->filter = drop_writes;
    assert_int_equal(ac_update(s->ac, 0, "a", "another")->reply.err, ERR_NO_QUORUM);
    ac_crash(s->ac, 1);
    ac_lose_store(s->ac, 1, false);
    ac_replace_storage_key(s->ac, 1);
    ac_crash(s->ac, 0); /* so that nobody finishes it before all have heard of the new key */
    s->ac->filter = NULL;
    ac_start(s->ac, SELF);
    ac_start(s->ac, 1);
    ac_run_ms(s->ac, 3000);
    ac_crash(s->ac, SELF);
    /* cluster.conf names the new key by now, or none: the row of the peer must do */
    memset(s->ac->cluster.nodes[1].vote_key, 0, X25519_BYTES);
    ac_start(s->ac, SELF);
    ac_start(s->ac, 0);
    ac_run_ms(s->ac, 30000);
    assert_true(ac_recovered(s->ac, 1));
    for (unsigned at = 0; at < 3; at++)
        assert_true(ac_value_is(ac_read(s->ac, at, "a"), "another"));
    scene_free(s);
}

/* A share does not bring a head with it that nobody has proven. */
static void
test_share_needs_writes_for_its_head(void **state)
{
    (void)state;
    struct scene *s = scene_new(9);
    struct msg write = caught_create(s, "a");
    struct dealing *dealing = arena_alloc(&s->maker.arena, sizeof(*dealing));
    assert_int_equal(dealing_decode(write.u.write.dealing, write.u.write.boxes, dealing), OK);
    struct msg m = {.kind = MSG_SHARE, .path = write.path};
    m.u.share.accepted = (struct accepted){
        .ballot = write.u.write.ballot, .state = STATE_CHOSEN, .head = write.u.write.head};
    m.u.share.version = write.u.write.version;
    m.u.share.dealing = write.u.write.dealing;
    m.u.share.box = dealing->boxes[SELF];
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_ABSENT);
    uint8_t id[ID_BYTES];
    record_id(write.u.write.head, id);
    m.u.share.accepted.proof = proof_of_written(&s->maker, m.path, write.u.write.ballot, id, 3);
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    scene_free(s);
}

/* Escrow goes for those alone whose writes are proven. */
static void
test_escrow_stays_until_proven(void **state)
{
    (void)state;
    struct scene *s = scene_new(10);
    struct msg write = caught_create(s, "a");
    assert_int_equal(told_write(s, &write), REFUSED_NONE);
    struct msg m = notice_of(&write);
    m.u.chosen.head = (struct bytes){0};
    prove_chosen(&s->maker, &m); /* nodes 0 and 1 */
    m.u.chosen.written = 7;
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    assert_int_equal(ac_rows(s->ac, SELF, ROW_BOXES), 1);
    prove_chosen(&s->maker, &m);
    assert_int_equal(told_chosen(s, 0, &m, "a"), STATE_CHOSEN);
    assert_int_equal(ac_rows(s->ac, SELF, ROW_BOXES), 0);
    scene_free(s);
}

/* What is chosen keeps its proof through a restart, and shows it to who was away. */
static void
test_proof_outlives_its_makers(void **state)
{
    (void)state;
    struct scene *s = scene_new(11);
    s->ac->filter = NULL;
    ac_run_ms(s->ac, 100);
    ac_crash(s->ac, SELF);
    assert_int_equal(ac_create(s->ac, 0, "a", "value")->reply.err, OK);
    assert_int_equal(ac_create(s->ac, 0, "b", "value")->reply.err, OK);
    assert_int_equal(ac_delete(s->ac, 0, "b")->reply.err, OK);
    ac_run_ms(s->ac, 50);
    ac_crash(s->ac, 0);
    ac_crash(s->ac, 1);
    ac_start(s->ac, 1);
    ac_start(s->ac, SELF); /* node 0 stays away: node 1 alone tells node 2 */
    ac_run_ms(s->ac, 15000);
    struct path_row row;
    struct head head;
    assert_true(ac_path_row(s->ac, SELF, "a", &row, &head));
    assert_int_equal(row.state, STATE_CHOSEN);
    assert_int_equal(ac_rows_of(s->ac, SELF, ROW_VERSION, "a"), 1);
    assert_true(ac_path_row(s->ac, SELF, "b", &row, &head));
    assert_int_equal(head.kind, HEAD_TOMBSTONE);
    assert_int_equal(refused(s), 0);
    assert_true(ac_value_is(ac_read(s->ac, SELF, "a"), "value"));
    scene_free(s);
}

/* Decoding and encoding are each other's inverse, and every byte matters. */
static void
test_encoding(void **state)
{
    (void)state;
    struct scene *s = scene_new(12);
    struct msg write = caught_create(s, "a");
    struct bytes good = write.u.write.proof;
    struct proof proof;
    for (size_t i = 0; i < good.size; i++) {
        uint8_t *copy = arena_alloc(&s->maker.arena, good.size);
        struct buf again = {0};
        memcpy(copy, good.data, good.size);
        copy[i] ^= 1;
        if (proof_decode(bytes_of(copy, good.size), &proof) == OK) {
            assert_int_equal(proof_encode(&proof, &again), OK);
            assert_true(bytes_equal(buf_bytes(&again), bytes_of(copy, good.size)));
            struct msg m = write;
            m.u.write.proof = bytes_of(copy, good.size);
            /* A MAC for another receiver is none of this one's business, and it may be finished. */
            enum refusal refusal = told_write(s, &m);
            assert_true(refusal == REFUSED_PROOF || refusal == REFUSED_NONE ||
                        refusal == REFUSED_BALLOT);
        }
        assert_int_equal(proof_decode(bytes_of(good.data, i), &proof), ERR_MALFORMED);
        buf_close(&again);
    }
    scene_free(s);
}

/*
 * Identity records are proven as secrets are: votes for an update put them, for a delete end them.
 */
static void
test_records_need_votes(void **state)
{
    (void)state;
    static const char name[] = "_auth/policy/everybody";
    struct scene *s = scene_new(12);
    struct request r = ac_make(REQUEST_RECORD_PUT, name, "rules");
    assert_int_equal(ac_wait(s->ac, ac_send(s->ac, 0, &r))->reply.err, OK);
    assert_true(s->count > 0);
    struct msg write = s->caught[0], m = write;
    m.u.write.proof = (struct bytes){0};
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    struct proof proof = votes_of(&write);
    proof.count = 1;
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);

    struct head head; /* ended with the votes that put it */
    struct buf ended = {0};
    assert_int_equal(head_decode(write.u.write.head, &head), OK);
    head.value = (struct bytes){0};
    head.ops[0].kind = CHANGE_DELETE;
    assert_int_equal(head_encode(&head, &ended), OK);
    m = write;
    m.u.write.head = buf_bytes(&ended);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    buf_close(&ended);

    struct buf other = {0}; /* another value than the one that was voted for */
    assert_int_equal(head_decode(write.u.write.head, &head), OK);
    head.value = bytes_of_text("Rules");
    assert_int_equal(head_encode(&head, &other), OK);
    m = write;
    m.u.write.head = buf_bytes(&other);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    proof = votes_of(&write); /* and said to be for that one */
    uint8_t memory[VOTE_CALLER_BYTES_MAX];
    proof.caller = vote_caller(bytes_of_text("admin"), head.value, memory);
    m.u.write.proof = encoded(s, &proof);
    assert_int_equal(told_write(s, &m), REFUSED_PROOF);
    buf_close(&other);

    m = notice_of(&write);
    assert_int_equal(told_chosen(s, 0, &m, name), STATE_ABSENT);
    assert_int_equal(told_write(s, &write), REFUSED_NONE);
    assert_int_equal(told_chosen(s, 0, &m, name), STATE_ACCEPTED);
    scene_free(s);
}

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_write_needs_votes),
        cmocka_unit_test(test_voters_count_once),
        cmocka_unit_test(test_votes_are_for_one_thing),
        cmocka_unit_test(test_votes_of_a_lost_store),
        cmocka_unit_test(test_votes_allow_what_was_asked),
        cmocka_unit_test(test_votes_to_alter),
        cmocka_unit_test(test_finishing_needs_the_first_votes),
        cmocka_unit_test(test_notice_needs_writes),
        cmocka_unit_test(test_two_nodes_are_believed),
        cmocka_unit_test(test_known_chosen_needs_no_proof),
        cmocka_unit_test(test_two_nodes_are_believed_at_one_ballot),
        cmocka_unit_test(test_entry_under_a_replaced_key),
        cmocka_unit_test(test_two_nodes_are_believed_over_false_macs),
        cmocka_unit_test(test_storage_key_lost_while_another_is_away),
        cmocka_unit_test(test_storage_key_lost_amid_change),
        cmocka_unit_test(test_share_needs_writes_for_its_head),
        cmocka_unit_test(test_escrow_stays_until_proven),
        cmocka_unit_test(test_proof_outlives_its_makers),
        cmocka_unit_test(test_records_need_votes),
        cmocka_unit_test(test_encoding),
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
