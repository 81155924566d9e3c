/*
 * The store on disk under power loss and failing disks. A child runs a scripted history of 200
 * batches on a disk that is the test's own (crash_disk.h) and is killed at an operation of that
 * disk; what was not synced is lost, wholly or in parts; the next child opens what is left, and
 * goes on, until the history is through.
 *
 * After every crash the store opens; it holds exactly what some whole number of batches leaves, at
 * least all those that were synced and at most those that were begun; and what an open has shown is
 * durable from then on, since a node acts on it.
 *
 * Without arguments: a sample. `test_store_crash FIRST COUNT` runs that many seeds through all
 * kinds of crashes and one history through every one of its sync points, as scripts/crash-store
 * does; `test_store_crash SEED` tells every round of one and keeps the directory if it is wrong.
 */
#include "store_fixture.h"

#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>

#include "crash_disk.h"
#include "crash_history.h"

enum {
    CHILD_DONE = 0,
    CHILD_FAULT = 20,   /* an error, and the disk had failed */
    CHILD_REFUSED = 21, /* the store did not open */
    CHILD_WRONG = 22,
    CHILD_OTHER = 23,
    ROUNDS_MAX = 60,
    CHILD_SECONDS_MAX = 60,
    SAMPLE_SEEDS = 12,
};

/* What parent and children know of one history. */
struct progress {
    uint64_t synced;  /* batches that were acknowledged as durable, or seen after an open */
    uint64_t started; /* batches that were begun */
    uint64_t opened_at;
    bool opened; /* it has been opened, so it was made */
    char why[400];
};

struct run {
    uint64_t seed;
    struct temp_dir dir;
    struct crash_disk *disk;
    struct progress *progress;
    struct prng prng;
    unsigned round;
    enum crash_loss loss; /* of the crash before this round */
    size_t pending;       /* operations that were not durable then */
    bool tore;            /* some crash or failure so far may have torn a journal record */
    bool verbose;         /* every round is told */
    bool keep;            /* the directory of a wrong one */
};

struct tally {
    bool verbose, keep;
    unsigned histories, rounds, killed, failed, losses[LOSS_KINDS];
    unsigned unmade;       /* stores that were refused since a crash had cut short their making */
    unsigned torn_refused; /* and for a torn journal record: see torn_tail_refused */
};

/* ---- the child ---- */

_Noreturn static void
child_end(struct run *r, int code, const char *why)
{
    if (r->progress->why[0] == '\0')
        (void)snprintf(r->progress->why, sizeof(r->progress->why), "%s", why);
    /* Whatever follows from a disk that fails is no finding, but for wrong content. */
    if (r->disk->failures > 0 && code != CHILD_WRONG && code != CHILD_DONE)
        code = CHILD_FAULT;
    _exit(code);
}

static struct store *
child_open(struct run *r)
{
    struct store_wt_options options = wt_options(&r->dir);
    char extension[CRASH_EXTENSION_BYTES], why[256];
    struct store *store = NULL;
    bool created;

    crash_disk_extension(r->disk, extension);
    options.extension = extension;
    options.rows_apart = r->seed % 4 == 3; /* a quarter of the stores are of the older layout */
    if (store_wt_open(&options, &store, &created, why, sizeof(why)) != OK)
        child_end(r, CHILD_REFUSED, why);
    return store;
}

static void
child_check(struct run *r, struct store *store)
{
    struct progress *p = r->progress;
    uint64_t sequence = store->ops->sequence(store);
    char why[200];

    if (sequence < p->synced || sequence > p->started) {
        (void)snprintf(p->why, sizeof(p->why), "sequence %lu, synced %lu, begun %lu",
                       (unsigned long)sequence, (unsigned long)p->synced,
                       (unsigned long)p->started);
        child_end(r, CHILD_WRONG, "");
    }
    if (!history_check(r->seed, sequence, store, why, sizeof(why))) {
        (void)snprintf(p->why, sizeof(p->why), "at sequence %lu: %s", (unsigned long)sequence, why);
        child_end(r, r->disk->failures > 0 ? CHILD_FAULT : CHILD_WRONG, "");
    }
    p->opened_at = p->synced = p->started = sequence;
    p->opened = true;
}

static void
child_batch(struct run *r, struct store *store, uint64_t number)
{
    struct progress *p = r->progress;
    struct history_batch batch;

    history_batch_make(r->seed, number, &batch);
    p->started = number;
    enum vault_err err = store->ops->commit(store, batch.changes, batch.count);
    if (err != OK) {
        char why[200];
        if (!history_check(r->seed, number - 1, store, why, sizeof(why)))
            child_end(r, CHILD_OTHER, "a refused batch left something");
        child_end(r, CHILD_OTHER, "a batch was refused");
    }
    if (batch.sync) {
        if (store->ops->sync(store) != OK)
            child_end(r, CHILD_OTHER, "a sync failed and the process lives");
        p->synced = number;
    }
    if (batch.checkpoint && store_wt_checkpoint(store) != OK)
        child_end(r, CHILD_OTHER, "a checkpoint failed");
    history_batch_free(&batch);
}

_Noreturn static void
child_run(struct run *r)
{
    (void)alarm(CHILD_SECONDS_MAX);
    struct store *store = child_open(r);
    child_check(r, store);
    for (uint64_t i = store->ops->sequence(store) + 1; i <= HISTORY_BATCHES; i++)
        child_batch(r, store, i);
    store->ops->close(store);
    child_end(r, CHILD_DONE, "");
}

/* ---- the parent ---- */

static void
describe(const struct run *r, const char *what, int code)
{
    print_message("seed %lu, round %u: %s (status %d): %s; after loss of %s (%zu operations not "
                  "durable), kill at op %lu sync %lu %s, fail at op %lu with %d%s\n",
                  (unsigned long)r->seed, r->round, what, code, r->progress->why,
                  crash_loss_name(r->loss), r->pending, (unsigned long)r->disk->plan.kill_at_op,
                  (unsigned long)r->disk->plan.kill_at_sync,
                  r->disk->plan.kill_after ? "after" : "before",
                  (unsigned long)r->disk->plan.fail_at_op, r->disk->plan.fail_with,
                  r->disk->plan.fail_for_good ? " for good" : "");
}

static int
run_child(struct run *r, const struct crash_plan *plan)
{
    int status;

    r->progress->why[0] = '\0';
    crash_disk_begin(r->disk, r->dir.path, plan);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0)
        child_run(r);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 1000 + WTERMSIG(status);
}

/*
 * A store whose making was cut short holds nothing; it may be refused, and its directory is cleared
 * and used anew.
 */
static bool
making_was_cut_short(struct run *r, int code)
{
    if (code != CHILD_REFUSED || r->progress->opened)
        return false;
    temp_dir_visit(&r->dir, temp_file_remove, NULL);
    return true;
}

/*
 * The store takes some torn last records of the journal for damage, and others, which it accepts,
 * for damage in the middle when the next crash comes before the engine has dropped their file. It
 * says so and keeps the files as they are, so nothing is lost without a word.
 */
static bool
torn_tail_refused(const struct run *r, int code)
{
    return code == CHILD_REFUSED && r->tore && strstr(r->progress->why, "journal") != NULL;
}

/* False: the history is through, or wrong (*good). */
static bool
round_ends(struct run *r, int code, struct tally *t, bool *good)
{
    *good = true;
    t->rounds++;
    if (r->verbose)
        describe(r, "ended", code);
    if (code == CHILD_DONE)
        return false;
    if (code == 1000 + SIGKILL && r->disk->dead) {
        t->killed++;
        return true;
    }
    if (r->disk->failures > 0 && (code == CHILD_FAULT || code == STORE_WT_EXIT)) {
        t->failed++;
        return true;
    }
    if (making_was_cut_short(r, code)) {
        t->unmade++;
        return true;
    }
    if (torn_tail_refused(r, code)) {
        t->torn_refused++;
        return false;
    }
    describe(r, code == CHILD_REFUSED ? "not opened" : "wrong", code);
    *good = false;
    return false;
}

static void
crash(struct run *r, enum crash_loss loss, struct tally *t)
{
    r->loss = loss;
    r->tore = r->tore || loss > LOSS_ALL || r->disk->failures > 0;
    t->losses[loss]++;
    r->pending = crash_disk_lose(r->disk, loss, &r->prng);
}

static void
run_begin(struct run *r, uint64_t seed, struct crash_disk *disk, struct progress *progress,
          const struct tally *t)
{
    *r = (struct run){
        .seed = seed, .disk = disk, .progress = progress, .verbose = t->verbose, .keep = t->keep};
    *progress = (struct progress){0};
    prng_init(&r->prng, seed + 77);
    temp_dir_make(&r->dir);
}

static bool
run_end(const struct run *r, bool good, struct tally *t)
{
    t->histories++;
    if (!good && r->keep)
        print_message("kept: %s\n", r->dir.path);
    else
        temp_dir_remove(&r->dir);
    return good;
}

static struct crash_plan
plan_draw(struct prng *prng)
{
    struct crash_plan plan = {.kill_after = prng_chance(prng, 500)};

    switch (prng_below(prng, 5)) {
    case 0: plan.kill_at_sync = prng_skewed(prng, 1, 60); break;
    case 1: plan.kill_at_op = prng_skewed(prng, 1, 60); break; /* while it opens */
    case 2:
        plan.fail_at_op = prng_skewed(prng, 1, 300);
        plan.fail_with = prng_chance(prng, 500) ? EIO : ENOSPC;
        plan.fail_for_good = prng_chance(prng, 500);
        plan.fail_reads = prng_chance(prng, 300);
        break;
    default: plan.kill_at_op = prng_between(prng, 1, 300);
    }
    return plan;
}

/* One history with crash after crash. */
static bool
run_crashes(uint64_t seed, struct crash_disk *disk, struct progress *progress, struct tally *t)
{
    struct crash_plan none = {0};
    struct run r;
    bool good = true, more = true;

    run_begin(&r, seed, disk, progress, t);
    for (r.round = 0; more && r.round < ROUNDS_MAX; r.round++) {
        struct crash_plan plan = r.round + 2 < ROUNDS_MAX ? plan_draw(&r.prng) : none;
        more = round_ends(&r, run_child(&r, &plan), t, &good);
        if (good)
            crash(&r, (enum crash_loss)prng_below(&r.prng, LOSS_KINDS), t);
    }
    if (good && !more) /* what was closed in order, and then lost its power, is all there */
        (void)round_ends(&r, run_child(&r, &none), t, &good);
    if (good && progress->opened_at != HISTORY_BATCHES && !torn_tail_refused(&r, CHILD_REFUSED)) {
        describe(&r, "the end of the history was lost", 0);
        good = false;
    }
    return run_end(&r, good, t);
}

/* The whole history once for the sync of that number; *reached: there is one. */
static bool
run_sync_point(uint64_t seed, uint64_t sync, bool after, enum crash_loss loss,
               struct crash_disk *disk, struct progress *progress, struct tally *t, bool *reached)
{
    struct crash_plan plan = {.kill_at_sync = sync, .kill_after = after}, none = {0};
    struct run r;
    bool good = true;

    run_begin(&r, seed, disk, progress, t);
    *reached = round_ends(&r, run_child(&r, &plan), t, &good);
    if (*reached && good) {
        crash(&r, loss, t);
        r.round++;
        (void)round_ends(&r, run_child(&r, &none), t, &good);
    }
    return run_end(&r, good, t);
}

static bool
run_sync_points(uint64_t seed, uint64_t step, struct crash_disk *disk, struct progress *progress,
                struct tally *t)
{
    bool reached = true, good = true;

    for (uint64_t sync = 1; reached; sync += step) {
        for (unsigned loss = LOSS_NOTHING; loss < LOSS_KINDS && reached; loss++)
            good &= run_sync_point(seed, sync, loss % 2 != 0, (enum crash_loss)loss, disk, progress,
                                   t, &reached);
    }
    return good;
}

static void
tally_print(const struct tally *t)
{
    print_message("%u histories, %u openings, %u kills, %u failures of the disk; lost:",
                  t->histories, t->rounds, t->killed, t->failed);
    for (unsigned i = 0; i < LOSS_KINDS; i++)
        print_message(" %s %u", crash_loss_name((enum crash_loss)i), t->losses[i]);
    print_message("; refused: %u half made, %u torn\n", t->unmade, t->torn_refused);
}

/* ---- tests ---- */

struct shared {
    struct crash_disk *disk;
    struct progress *progress;
};

static void
shared_make(struct shared *s)
{
    s->disk = crash_disk_new();
    size_t size = sizeof(*s->progress);
    /* cppcheck-suppress invalidFunctionArg ; -1 is what goes with MAP_ANONYMOUS */
    s->progress = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(s->progress != MAP_FAILED);
}

/* The first open of a process takes most of a second; children inherit what it made. */
static void
open_once(void)
{
    struct temp_dir dir;
    bool created;

    temp_dir_make(&dir);
    struct store *store = wt_open(&dir, &created);
    store->ops->close(store);
    temp_dir_remove(&dir);
}

static void
test_crashes(void **state)
{
    struct shared *s = *state;
    struct tally tally = {0};
    bool good = true;

    for (uint64_t seed = 1; seed <= SAMPLE_SEEDS; seed++)
        good &= run_crashes(seed, s->disk, s->progress, &tally);
    tally_print(&tally);
    assert_true(good);
}

static void
test_sync_points(void **state)
{
    struct shared *s = *state;
    struct tally tally = {0};

    bool good = run_sync_points(1, 15, s->disk, s->progress, &tally);
    tally_print(&tally);
    assert_true(good);
}

static int
run_many(uint64_t first, uint64_t count, bool verbose, struct shared *s)
{
    struct tally tally = {.verbose = verbose, .keep = true};
    unsigned bad = 0;

    for (uint64_t seed = first; seed < first + count; seed++)
        bad += !run_crashes(seed, s->disk, s->progress, &tally);
    tally_print(&tally);
    if (verbose)
        return bad > 0;
    bad += !run_sync_points(first, 1, s->disk, s->progress, &tally);
    tally_print(&tally);
    print_message("%u of them wrong\n", bad);
    return bad > 0;
}

int
main(int argc, char **argv)
{
    struct shared shared;
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_prestate(test_crashes, &shared),
        cmocka_unit_test_prestate(test_sync_points, &shared),
    };

    if (crypto_init() != OK)
        return 1;
    open_once();
    shared_make(&shared);
    if (argc == 3)
        return run_many(strtoull(argv[1], NULL, 10), strtoull(argv[2], NULL, 10), false, &shared);
    if (argc == 2)
        return run_many(strtoull(argv[1], NULL, 10), 1, true, &shared);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
