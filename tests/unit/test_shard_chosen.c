/* What one shard store makes of heads that are chosen: notices, shares that follow, deletions. */
#include "shard_probe.h"

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
 * What is remembered is the version that the head accepted here last was built on. Where another
 * head took the place of that one by its notice alone, a late notice of the head below says nothing
 * of it.
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

/*
 * One head accepted, the next voted for, and the notice of the first come: it waits for the WRITE.
 */
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

/*
 * Another takes the place of the head that it is about: it is looked at again, and drops nothing.
 */
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
 * That a head is chosen is known as soon as its row is visible, and may be forgotten in a crash: it
 * is accepted then, with its escrow.
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

int
main(int argc, char **argv)
{
    const struct CMUnitTest tests[] = {
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
    };
    if (argc > 1) /* one of them, by name */
        cmocka_set_test_filter(argv[1]);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
