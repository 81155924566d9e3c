/*
 * Random runs: clients at random nodes, on a few paths, while nodes crash and come back, links
 * break and lose frames, disks are slow and full. A seed decides everything, the kinds of faults
 * too.
 *
 * What every answer says is held against the chain of heads that the nodes' durable rows make
 * (actor_checks.h): each answer names a place, which is a generation and which of the versions that
 * it has made; a place never lies before one that an earlier answer, finished when this request
 * began, has named; an acknowledged change owns its place alone; a value is the one that was
 * written there; what failed without a trace is never seen. After the faults everything heals, and
 * within a bounded time nothing is outstanding, every path reads alike at all nodes and can be
 * written.
 *
 * OSTRAKA_SEEDS=N runs seeds 1..N; OSTRAKA_SEED=S one of them alone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "actor_cluster.h"

enum {
    CLIENTS_MAX = 12,
    PATHS_MAX = 3,
    OPS_MAX = 400,
    VALUE_BYTES = 32,
    SEEDS_DEFAULT = 400,
    SECONDS_MAX = 45,
    SETTLE_MS_MAX = 120000,
    PLACES_MAX = (OPS_MAX + 1) * GROUP_VERSIONS_MAX,
};

enum outcome { UNKNOWN, HAPPENED, DID_NOT_HAPPEN };

struct op {
    struct ac_request *request;
    enum request_kind kind;
    unsigned path;
    uint64_t low;           /* newest place known to be over when it began */
    uint64_t asked_version; /* of an old version */
    enum outcome outcome;
    uint64_t place;
    char value[VALUE_BYTES];
};

struct model_path {
    char name[16];
    uint64_t over;                       /* newest place that an answer has named */
    const struct op *values[PLACES_MAX]; /* by place: the op whose value is there */
    const struct op *owners[PLACES_MAX]; /* by place: the op that was told it made it */
};

struct run {
    struct actor_cluster *ac;
    uint64_t seed;
    unsigned clients, paths, ops_wanted;
    unsigned crash_permille, cut_permille, disk_permille, repair_permille; /* chance per 5 ms */
    unsigned clock_permille, rotate_permille;
    struct op ops[OPS_MAX];
    size_t op_count;
    struct op *busy[CLIENTS_MAX];
    struct model_path model[PATHS_MAX];
    unsigned answered[REQUEST_KINDS][2];
};

#define FAIL(run, op, ...)                                                                         \
    do {                                                                                           \
        fprintf(stderr, "seed %lu, %s of %s at %lu ms: ", (unsigned long)(run)->seed,              \
                request_kind_name((op)->kind), (run)->model[(op)->path].name,                      \
                (unsigned long)ac_ms((run)->ac));                                                  \
        checks_fail(__VA_ARGS__);                                                                  \
    } while (0)

/* ---- what an answer says about the chain of heads ---- */

static const struct checked_path *
chain_of(struct run *run, const struct op *op)
{
    return checks_path(&run->ac->checks, ac_path(run->model[op->path].name));
}

/* Versions that one generation has made lie in their order, the latest at the end of its places. */
static uint64_t
place_of_version(const struct chosen_head *h, uint64_t version)
{
    return h->generation * GROUP_VERSIONS_MAX - (h->version - version);
}

static uint64_t
generation_at(uint64_t place)
{
    return (place + GROUP_VERSIONS_MAX - 1) / GROUP_VERSIONS_MAX;
}

/* Where that version was made at that time; 0: nowhere. */
static uint64_t
place_of(struct run *run, const struct op *op, const struct reply *reply)
{
    const struct checked_path *p = chain_of(run, op);
    for (size_t i = 0; p && i < p->chosen_count; i++) {
        const struct chosen_head *h = &p->chosen[i];
        uint64_t before = h->version - reply->version;
        if (h->kind == HEAD_LIVE && h->version >= reply->version && before <= h->earlier &&
            h->changed_at_ms == reply->valid_from_ms + before)
            return place_of_version(h, reply->version);
    }
    return 0;
}

/*
 * The first place from `low` on at which the path is live, or not; 0 stands for the time before the
 * first.
 */
static bool
first_that_is(struct run *run, const struct op *op, bool live, uint64_t low, uint64_t *out)
{
    const struct checked_path *p = chain_of(run, op);
    *out = 0;
    if (low == 0 && !live)
        return true;
    for (size_t i = low == 0 ? 0 : (size_t)generation_at(low) - 1; p && i < p->chosen_count; i++) {
        const struct chosen_head *h = &p->chosen[i];
        *out = place_of_version(h, h->version);
        if (h->generation != 0 && (h->kind == HEAD_LIVE) == live)
            return true;
    }
    return false;
}

static void
over(struct run *run, const struct op *op, uint64_t place)
{
    struct model_path *m = &run->model[op->path];
    if (place > m->over)
        m->over = place;
}

static const struct op *
op_of_value(struct run *run, const struct op *reader, struct bytes value)
{
    for (size_t i = 0; i < run->op_count; i++) {
        const struct op *op = &run->ops[i];
        if (op->path == reader->path && op->value[0] &&
            bytes_equal(value, bytes_of_text(op->value)))
            return op;
    }
    return NULL;
}

static void
value_is_there(struct run *run, const struct op *op, uint64_t place, const struct op *writer)
{
    struct model_path *m = &run->model[op->path];
    if (!writer)
        FAIL(run, op, "a value that nobody wrote");
    if (writer->outcome == DID_NOT_HAPPEN)
        FAIL(run, op, "the value of a change that was said not to have happened");
    if (m->values[place] && m->values[place] != writer)
        FAIL(run, op, "two values at place %lu", (unsigned long)place);
    m->values[place] = writer;
}

static void
check_made(struct run *run, struct op *op, uint64_t place)
{
    struct model_path *m = &run->model[op->path];
    if (place == 0)
        FAIL(run, op, "acknowledged, but no majority has it");
    if (place <= op->low)
        FAIL(run, op, "acknowledged at place %lu, not above %lu", (unsigned long)place,
             (unsigned long)op->low);
    if (m->owners[place])
        FAIL(run, op, "two changes acknowledged at place %lu", (unsigned long)place);
    m->owners[place] = op;
    op->outcome = HAPPENED;
    op->place = place;
    over(run, op, place);
}

static void
check_deleted(struct run *run, struct op *op)
{
    const struct checked_path *p = chain_of(run, op);
    uint64_t found = 0;
    for (size_t i = (size_t)generation_at(op->low); p && i < p->chosen_count && found == 0; i++) {
        const struct chosen_head *h = &p->chosen[i];
        if (h->kind == HEAD_TOMBSTONE && h->version == op->request->reply.version &&
            !run->model[op->path].owners[place_of_version(h, h->version)])
            found = place_of_version(h, h->version);
    }
    check_made(run, op, found);
}

static void
check_read(struct run *run, struct op *op)
{
    const struct reply *reply = &op->request->reply;
    uint64_t place = place_of(run, op, reply);
    const struct op *writer = op_of_value(run, op, reply->value);
    if (place == 0)
        FAIL(run, op, "a version that was never chosen");
    value_is_there(run, op, place, writer);
    if (op->asked_version != 0)
        return;
    if (place < op->low)
        FAIL(run, op, "place %lu, older than %lu", (unsigned long)place, (unsigned long)op->low);
    over(run, op, place);
}

/* An answer about existence must have been true at some moment between question and answer. */
static void
check_existence(struct run *run, struct op *op, bool live)
{
    uint64_t place;
    if (!first_that_is(run, op, live, op->low, &place))
        FAIL(run, op, live ? "said to exist, but did not" : "said not to exist, but did");
    over(run, op, place);
    op->outcome = DID_NOT_HAPPEN;
}

static void
check_failure(struct run *run, struct op *op)
{
    const struct reply *reply = &op->request->reply;
    bool change =
        op->kind == REQUEST_CREATE || op->kind == REQUEST_UPDATE || op->kind == REQUEST_DELETE;
    switch ((int)reply->err) {
    case ERR_AUDIT_UNAVAILABLE:
        op->outcome = change && reply->phase == PHASE_WRITING ? UNKNOWN : DID_NOT_HAPPEN;
        break;
    case ERR_NO_QUORUM:
        op->outcome = reply->phase == PHASE_WRITING ? UNKNOWN : DID_NOT_HAPPEN;
        if (change && reply->phase == PHASE_NONE)
            FAIL(run, op, "a failed change without its phase");
        break;
    case ERR_CONTENDED:
    case ERR_DISK_FULL:
    case ERR_BUSY: op->outcome = DID_NOT_HAPPEN; break;
    case ERR_VALUE_UNAVAILABLE:
        if (change)
            FAIL(run, op, "a change that ends as a read does");
        break;
    default: FAIL(run, op, "ended in %s", vault_err_name(reply->err));
    }
}

static void
check_answer(struct run *run, struct op *op)
{
    const struct reply *reply = &op->request->reply;
    struct model_path *m = &run->model[op->path];
    run->answered[op->kind][reply->err == OK]++;
    if (reply->err == ERR_NOT_FOUND && op->asked_version == 0)
        check_existence(run, op, false);
    else if (reply->err == ERR_ALREADY_EXISTS && op->kind == REQUEST_CREATE)
        check_existence(run, op, true);
    else if (reply->err == OK && op->kind == REQUEST_READ)
        check_read(run, op);
    else if (reply->err == OK && op->kind == REQUEST_DELETE)
        check_deleted(run, op);
    else if (reply->err == OK && (op->kind == REQUEST_CREATE || op->kind == REQUEST_UPDATE)) {
        check_made(run, op, place_of(run, op, reply));
        value_is_there(run, op, op->place, op);
    } else if (reply->err != OK && reply->err != ERR_NOT_FOUND) {
        check_failure(run, op);
    }
    for (size_t g = 0; op->outcome == DID_NOT_HAPPEN && g < PLACES_MAX; g++) {
        if (m->values[g] == op)
            FAIL(run, op, "said not to have happened, but its value has been read");
    }
}

/* ---- clients ---- */

static enum request_kind
draw_kind(struct run *run)
{
    uint64_t draw = ac_dice(run->ac, 100);
    return draw < 40   ? REQUEST_READ
           : draw < 70 ? REQUEST_UPDATE
           : draw < 88 ? REQUEST_CREATE
           : draw < 97 ? REQUEST_DELETE
                       : REQUEST_HISTORY;
}

static struct op *
begin(struct run *run, enum request_kind kind, unsigned path, unsigned node, uint64_t version)
{
    struct op *op = &run->ops[run->op_count++];
    *op = (struct op){.kind = kind, .path = path, .low = run->model[path].over};
    if (kind == REQUEST_CREATE || kind == REQUEST_UPDATE)
        snprintf(op->value, sizeof(op->value), "value %zu", run->op_count);
    struct request request = ac_make(kind, run->model[path].name, op->value);
    op->asked_version = request.version = version;
    op->request = ac_send(run->ac, node, &request);
    return op;
}

static void
client_turn(struct run *run, unsigned client)
{
    struct op *op = run->busy[client];
    if (op && op->request->done)
        check_answer(run, op);
    if (op && !op->request->done && !op->request->lost)
        return;
    run->busy[client] = NULL;
    unsigned node = (unsigned)ac_dice(run->ac, run->ac->options.nodes);
    if (run->op_count >= run->ops_wanted || !ac_up(run->ac, node) || ac_dice(run->ac, 4) != 0)
        return;
    unsigned path = (unsigned)ac_dice(run->ac, run->paths);
    enum request_kind kind = draw_kind(run);
    bool old = kind == REQUEST_READ && ac_dice(run->ac, 8) == 0;
    run->busy[client] = begin(run, kind, path, node, old ? 1 + ac_dice(run->ac, 3) : 0);
}

static bool
anybody_busy(const struct run *run)
{
    for (unsigned i = 0; i < run->clients; i++) {
        if (run->busy[i])
            return true;
    }
    return run->op_count < run->ops_wanted;
}

/* ---- faults ---- */

static bool
chance(struct run *run, unsigned permille)
{
    return ac_dice(run->ac, 1000) < permille;
}

static void
faults(struct run *run)
{
    struct actor_cluster *ac = run->ac;
    unsigned node = (unsigned)ac_dice(ac, ac->options.nodes);
    unsigned other = (unsigned)ac_dice(ac, ac->options.nodes);
    if (ac_up(ac, node) ? chance(run, run->crash_permille) : chance(run, run->repair_permille)) {
        if (ac_up(ac, node))
            ac_crash(ac, node);
        else
            ac_start(ac, node);
    }
    if (node != other && !ac->cut[node][other] && chance(run, run->cut_permille)) {
        if (ac_dice(ac, 3) == 0)
            ac_isolate(ac, node, true);
        else
            ac_cut(ac, node, other, true);
    } else if (chance(run, run->repair_permille)) {
        if (ac_dice(ac, 2) == 0)
            ac_isolate(ac, node, false);
        else if (node != other)
            ac_cut(ac, node, other, false);
    }
    struct ac_node *n = &ac->nodes[node];
    uint64_t skew = ac->options.skew_ms_max;
    if (ac_up(ac, node) && chance(run, run->rotate_permille))
        ac_rotate_share_key(ac, node);
    if (ac_up(ac, node) && run->rotate_permille > 0 && chance(run, 20))
        (void)ac_destroy_share_keys(ac, node);
    if (chance(run, run->clock_permille)) /* set, back or forth */
        n->skew_ms = (int64_t)ac_dice(ac, 2 * skew + 1) - (int64_t)skew;
    if (n->disk_full || n->slow_disk ? chance(run, run->repair_permille)
                                     : chance(run, run->disk_permille)) {
        bool bad = !n->disk_full && !n->slow_disk;
        n->disk_full = bad && ac_dice(ac, 2) == 0;
        n->disk_gone = n->disk_full && ac_dice(ac, 2) == 0;
        n->slow_disk = bad && !n->disk_full;
    }
}

/* ---- runs ---- */

static uint64_t
pick(struct rng *rng, const uint64_t *choices, uint64_t count)
{
    uint64_t index = 0;
    assert_int_equal(rng_below(rng, count, &index), OK);
    return choices[index];
}
#define PICK(rng, ...)                                                                             \
    pick((rng), (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static void
run_init(struct run *run, uint64_t seed)
{
    struct rng_seeded state;
    struct rng rng;
    struct ac_options options = {.seed = seed};
    rng_seeded_init(&state, seed + 1000000, &rng);
    options.nodes = (unsigned)PICK(&rng, 1, 3, 3, 3, 5, 5, 7);
    if (options.nodes > 3 && PICK(&rng, 0, 1) == 1)
        options.threshold = 2;
    options.delay_us_min = 100;
    options.delay_us_max = PICK(&rng, 200, 3000, 30000, 150000);
    options.disk_us_min = 50;
    options.disk_us_max = PICK(&rng, 100, 2000, 20000);
    options.loss_permille = (unsigned)PICK(&rng, 0, 0, 10, 100);
    options.duplicate_permille = (unsigned)PICK(&rng, 0, 0, 50);
    options.skew_ms_max = PICK(&rng, 0, 0, 100, 3000, 20000);
    options.paths_max = PICK(&rng, 0, 0, 0, 1, 2);
    *run = (struct run){.ac = ac_new(&options), .seed = seed};
    run->clients = (unsigned)PICK(&rng, 1, 3, 6, 12);
    run->paths = (unsigned)PICK(&rng, 1, 1, 2, 3);
    run->ops_wanted = (unsigned)PICK(&rng, 30, 60, 150);
    run->crash_permille = (unsigned)PICK(&rng, 0, 0, 2, 10, 30);
    run->cut_permille = (unsigned)PICK(&rng, 0, 0, 2, 10);
    run->disk_permille = (unsigned)PICK(&rng, 0, 0, 0, 3);
    run->clock_permille = (unsigned)PICK(&rng, 0, 0, 2);
    run->rotate_permille = (unsigned)PICK(&rng, 0, 0, 5, 30);
    run->repair_permille = (unsigned)PICK(&rng, 5, 20, 50);
    for (unsigned i = 0; i < run->paths; i++)
        snprintf(run->model[i].name, sizeof(run->model[i].name), "path/%u", i);
}

static void
settle(struct run *run)
{
    if (!ac_settles(run->ac, SETTLE_MS_MAX)) {
        fprintf(stderr, "seed %lu: ", (unsigned long)run->seed);
        checks_fail("not settled %u s after the faults stopped", SETTLE_MS_MAX / 1000);
    }
}

/* With nothing outstanding, no old share key is needed any more. */
static void
destroy_old_keys(struct run *run)
{
    unsigned nodes = run->ac->options.nodes;
    for (unsigned i = 0; i < nodes; i++)
        ac_rotate_share_key(run->ac, i);
    for (unsigned seconds = 0, most = 2; most > 1; seconds++) {
        most = 0;
        for (unsigned i = 0; i < nodes; i++) {
            unsigned held = ac_destroy_share_keys(run->ac, i);
            most = held > most ? held : most;
        }
        if (seconds > 60) {
            fprintf(stderr, "seed %lu: ", (unsigned long)run->seed);
            checks_fail("old share keys are still kept a minute after the last one was needed");
        }
        ac_run_ms(run->ac, 1000);
    }
}

/* Reads alike at all nodes, as often as there are nodes; then it can be changed. */
static void
check_healed(struct run *run, unsigned path)
{
    unsigned nodes = run->ac->options.nodes;
    struct op *first = NULL;
    for (unsigned i = 0; i < nodes; i++) {
        struct op *op = begin(run, REQUEST_READ, path, i, 0);
        (void)ac_wait(run->ac, op->request);
        check_answer(run, op);
        const struct reply *reply = &op->request->reply;
        if (reply->err != OK && reply->err != ERR_NOT_FOUND)
            FAIL(run, op, "a healed cluster does not answer: %s", vault_err_name(reply->err));
        if (!first)
            first = op;
        const struct reply *same = &first->request->reply;
        if (reply->err != same->err || reply->version != same->version ||
            !bytes_equal(reply->value, same->value))
            FAIL(run, op, "nodes answer differently");
    }
    bool live = first->request->reply.err == OK;
    struct op *op = begin(run, live ? REQUEST_UPDATE : REQUEST_CREATE, path, nodes - 1, 0);
    (void)ac_wait(run->ac, op->request);
    check_answer(run, op);
    if (op->request->reply.err != OK)
        FAIL(run, op, "a healed cluster does not take a change: %s",
             vault_err_name(op->request->reply.err));
}

/* Each node keeps what the head says, and nothing else. */
static void
check_rows(struct run *run, unsigned path)
{
    const char *name = run->model[path].name;
    struct head head;
    struct path_row row;
    for (unsigned i = 0; i < run->ac->options.nodes; i++) {
        uint64_t versions = 0;
        if (ac_path_row(run->ac, i, name, &row, &head) && head.kind == HEAD_LIVE)
            versions = head.version - head.oldest_version + 1;
        if (ac_rows_of(run->ac, i, ROW_VERSION, name) != versions ||
            ac_rows_of(run->ac, i, ROW_DEALING, name) != versions) {
            fprintf(stderr, "seed %lu, %s: ", (unsigned long)run->seed, name);
            checks_fail("node %u keeps %zu versions and %zu dealings of %lu", i,
                        ac_rows_of(run->ac, i, ROW_VERSION, name),
                        ac_rows_of(run->ac, i, ROW_DEALING, name), (unsigned long)versions);
        }
    }
}

static void
run_seed(uint64_t seed, bool verbose)
{
    struct run *run = calloc(1, sizeof(*run));
    assert_non_null(run);
    run_init(run, seed);
    while (anybody_busy(run)) {
        ac_run_ms(run->ac, 5);
        faults(run);
        for (unsigned i = 0; i < run->clients; i++)
            client_turn(run, i);
    }
    ac_heal(run->ac);
    ac_run_ms(run->ac, 5000);
    settle(run);
    if (run->rotate_permille > 0)
        destroy_old_keys(run);
    for (unsigned i = 0; i < run->paths; i++)
        check_healed(run, i);
    settle(run);
    for (unsigned i = 0; i < run->paths; i++)
        check_rows(run, i);
    if (verbose) {
        print_message("seed %lu: %u nodes, %lu s, %lu steps, trace %016lx\n", (unsigned long)seed,
                      run->ac->options.nodes, (unsigned long)ac_ms(run->ac) / 1000,
                      (unsigned long)run->ac->steps, (unsigned long)run->ac->trace);
        for (unsigned i = 0; i < REQUEST_HEALTH; i++)
            print_message("  %-10s %u ok, %u not\n", request_kind_name(i), run->answered[i][1],
                          run->answered[i][0]);
    }
    ac_end(run->ac);
    free(run);
}

static uint64_t
from_environment(const char *name)
{
    const char *text = getenv(name);
    return text ? strtoull(text, NULL, 10) : 0;
}

/* Each in a process of its own, so that one that aborts does not hide the others. */
static bool
seed_passes(uint64_t seed)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        run_seed(seed, false);
        exit(0);
    }
    assert_true(child > 0);
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

static void
test_random_runs(void **state)
{
    (void)state;
    uint64_t seed = from_environment("OSTRAKA_SEED");
    uint64_t most = from_environment("OSTRAKA_SEEDS");
    time_t began = time(NULL);
    unsigned failed = 0, passed = 0;
    if (seed != 0) {
        run_seed(seed, true);
        return;
    }
    for (seed = 1; seed <= (most ? most : SEEDS_DEFAULT) && failed < 10; seed++) {
        if (most == 0 && time(NULL) - began > SECONDS_MAX)
            break;
        if (seed_passes(seed)) {
            passed++;
        } else {
            failed++;
            print_message("FAILED: OSTRAKA_SEED=%lu\n", (unsigned long)seed);
        }
    }
    print_message("%u seeds passed, %u failed\n", passed, failed);
    assert_int_equal(failed, 0);
    assert_true(passed > 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_random_runs),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
