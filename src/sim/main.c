/* ostraka-sim: one seed, or many in parallel, each in a process of its own. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "crypto/secret.h"
#include "sim/costs.h"
#include "sim/memory.h"
#include "sim/run.h"

enum { JOBS_MAX = 64, SEED_SECONDS_MAX = 120 };

struct arguments {
    uint64_t first, last;
    unsigned jobs;
    bool trace_hash, verbose, calm, keep_going, every_site;
    const char *tolerate, *without;
    bool given;
};

struct job {
    pid_t pid; /* 0: free */
    int pipe;
    uint64_t seed;
};

struct totals {
    uint64_t seeds, failed, undecided, windows;
    uint64_t operations, steps, frames, simulated_ms, heads, groups, shredded;
    uint64_t by_outcome[OP_OPEN + 1];
    uint64_t struck[FAULTS];
    uint64_t seeds_with[FAULTS];
    uint64_t sites_struck[MAYBE_SITE_COUNT];
    uint64_t seeds_with_site[MAYBE_SITE_COUNT];
    int worst; /* exit status */
};

static void
usage(void)
{
    fprintf(stderr,
            "usage: ostraka-sim --seed S | --seeds A..B [--jobs N] [--trace-hash] [--verbose] "
            "[--calm] [--keep-going] [--every-site] [--without FAULT,...] [--tolerate PROPERTY]\n"
            "       ostraka-sim --costs | --growth [N]\n"
            "exit status: 0 all properties held, 10 safety, 11 liveness, 12 crash\n");
}

static bool
parse_number(const char *text, char **end, uint64_t *out)
{
    errno = 0;
    *out = strtoull(text, end, 10);
    return errno == 0 && *end != text;
}

static bool
parse_range(const char *text, struct arguments *a)
{
    char *end;
    if (!parse_number(text, &end, &a->first))
        return false;
    a->last = a->first;
    a->given = true;
    if (*end == 0)
        return true;
    return strncmp(end, "..", 2) == 0 && parse_number(end + 2, &end, &a->last) && *end == 0 &&
           a->last >= a->first;
}

static bool
parse(int argc, char **argv, struct arguments *a)
{
    *a = (struct arguments){.jobs = 1};
    for (int i = 1; i < argc; i++) {
        const char *next = i + 1 < argc ? argv[i + 1] : "";
        char *end;
        uint64_t number;
        if (strcmp(argv[i], "--seed") == 0 || strcmp(argv[i], "--seeds") == 0) {
            if (!parse_range(next, a))
                return false;
            i++;
        } else if (strcmp(argv[i], "--jobs") == 0) {
            if (!parse_number(next, &end, &number) || *end || number < 1 || number > JOBS_MAX)
                return false;
            a->jobs = (unsigned)number;
            i++;
        } else if (strcmp(argv[i], "--without") == 0) {
            a->without = next;
            i++;
        } else if (strcmp(argv[i], "--tolerate") == 0) {
            a->tolerate = next;
            i++;
        } else if (strcmp(argv[i], "--trace-hash") == 0) {
            a->trace_hash = true;
        } else if (strcmp(argv[i], "--verbose") == 0) {
            a->verbose = true;
        } else if (strcmp(argv[i], "--calm") == 0) {
            a->calm = true;
        } else if (strcmp(argv[i], "--keep-going") == 0) {
            a->keep_going = true;
        } else if (strcmp(argv[i], "--every-site") == 0) {
            a->every_site = true;
        } else {
            return false;
        }
    }
    return a->given;
}

/* ---- one process for each seed ---- */

static void
child(const struct arguments *a, uint64_t seed, int out)
{
    struct sim_options options = {.seed = seed,
                                  .verbose = a->verbose,
                                  .calm = a->calm,
                                  .tolerate = a->tolerate,
                                  .without = a->without};
    struct sim_result result;
    alarm(SEED_SECONDS_MAX); /* a run that does not end ends as a crash */
    if (crypto_init() != OK)
        _exit(SIM_CRASH);
    run_seed(&options, &result);
    fflush(stdout);
    if (write(out, &result, sizeof(result)) != (ssize_t)sizeof(result))
        _exit(SIM_CRASH);
    _exit(SIM_OK);
}

static bool
start_job(const struct arguments *a, struct job *job, uint64_t seed)
{
    int ends[2];
    if (pipe(ends) != 0)
        return false;
    fflush(stdout);
    pid_t pid = fork();
    if (pid < 0)
        return false;
    if (pid == 0) {
        close(ends[0]);
        child(a, seed, ends[1]);
    }
    close(ends[1]);
    *job = (struct job){.pid = pid, .pipe = ends[0], .seed = seed};
    return true;
}

static void
add_result(struct totals *t, const struct sim_result *r)
{
    t->undecided += r->undecided;
    t->windows += r->window;
    t->operations += r->operations;
    t->steps += r->steps;
    t->frames += r->frames;
    t->simulated_ms += r->simulated_ms;
    t->heads += r->heads;
    t->groups += r->groups;
    t->shredded += r->shredded;
    for (unsigned i = 0; i <= OP_OPEN; i++)
        t->by_outcome[i] += r->by_outcome[i];
    for (unsigned i = 0; i < FAULTS; i++) {
        t->struck[i] += r->struck[i];
        t->seeds_with[i] += r->struck[i] > 0;
    }
    for (unsigned i = 0; i < MAYBE_SITE_COUNT; i++) {
        t->sites_struck[i] += r->sites_struck[i];
        t->seeds_with_site[i] += r->sites_struck[i] > 0;
    }
}

static void
end_job(const struct arguments *a, struct job *job, int status, struct totals *t)
{
    struct sim_result result;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : SIM_CRASH;
    ssize_t got = read(job->pipe, &result, sizeof(result));
    close(job->pipe);
    job->pid = 0;
    t->seeds++;
    if (code == SIM_OK && got != (ssize_t)sizeof(result))
        code = SIM_CRASH;
    if (code != SIM_OK) {
        t->failed++;
        t->worst = t->worst == 0 || code < t->worst ? code : t->worst;
        printf("FAILED seed %lu (%s): replay with --seed %lu\n", (unsigned long)job->seed,
               code == SIM_SAFETY     ? "safety"
               : code == SIM_LIVENESS ? "liveness"
                                      : "crash",
               (unsigned long)job->seed);
        return;
    }
    add_result(t, &result);
    if (a->trace_hash)
        printf("seed %lu trace %016lx\n", (unsigned long)result.seed, (unsigned long)result.hash);
}

static struct job *
find_job(struct job *jobs, unsigned count, pid_t pid)
{
    for (unsigned i = 0; i < count; i++) {
        if (jobs[i].pid == pid)
            return &jobs[i];
    }
    return NULL;
}

static void
run_all(const struct arguments *a, struct totals *t)
{
    struct job jobs[JOBS_MAX] = {0};
    uint64_t next = a->first;
    unsigned running = 0;
    bool more = true;
    while (more || running > 0) {
        struct job *job = find_job(jobs, a->jobs, 0);
        if (more && job) {
            if (!start_job(a, job, next)) {
                perror("ostraka-sim");
                exit(SIM_CRASH);
            }
            running++;
            more = next++ < a->last;
            continue;
        }
        int status;
        pid_t pid = wait(&status);
        job = pid > 0 ? find_job(jobs, a->jobs, pid) : NULL;
        if (!job)
            continue;
        running--;
        end_job(a, job, status, t);
        if (t->failed > 0 && !a->keep_going)
            more = false;
    }
}

/* ---- summary ---- */

static void
print_totals(const struct totals *t, uint64_t ms)
{
    uint64_t strikes = 0;
    for (unsigned i = 0; i < FAULTS; i++)
        strikes += t->struck[i];
    printf("%lu seeds, %lu failed, %lu undecided, %lu ended in a window; %lu operations (%lu done, "
           "%lu refused, %lu without "
           "effect, %lu open), %lu heads (%lu of several versions), %lu answers of shredded, %lu "
           "steps, %lu frames\n",
           (unsigned long)t->seeds, (unsigned long)t->failed, (unsigned long)t->undecided,
           (unsigned long)t->windows, (unsigned long)t->operations,
           (unsigned long)t->by_outcome[OP_DONE], (unsigned long)t->by_outcome[OP_REFUSED],
           (unsigned long)t->by_outcome[OP_NOTHING], (unsigned long)t->by_outcome[OP_OPEN],
           (unsigned long)t->heads, (unsigned long)t->groups, (unsigned long)t->shredded,
           (unsigned long)t->steps, (unsigned long)t->frames);
    ms = ms ? ms : 1;
    printf("%lu ms of real time: %lu s simulated, per real second %lu ms simulated, %lu "
           "operations, %lu "
           "faults\n",
           (unsigned long)ms, (unsigned long)(t->simulated_ms / 1000),
           (unsigned long)(t->simulated_ms * 1000 / ms), (unsigned long)(t->operations * 1000 / ms),
           (unsigned long)(strikes * 1000 / ms));
    for (unsigned i = 0; i < FAULTS && t->seeds > t->failed; i++)
        printf("  %-16s %9lu in %lu seeds  %s\n", fault_name((enum fault)i),
               (unsigned long)t->struck[i], (unsigned long)t->seeds_with[i],
               fault_text((enum fault)i));
}

static void
print_sites(const struct totals *t)
{
    for (unsigned i = 0; i < MAYBE_SITE_COUNT && t->seeds > t->failed; i++)
        printf("  maybe %-17s %9lu in %lu seeds  %s\n", site_name((enum maybe_site)i),
               (unsigned long)t->sites_struck[i], (unsigned long)t->seeds_with_site[i],
               site_text((enum maybe_site)i));
}

/* A site that no seed has reached is a branch that nobody tests. */
static bool
every_site_struck(const struct totals *t)
{
    bool every = true;
    for (unsigned i = 0; i < MAYBE_SITE_COUNT; i++) {
        if (t->sites_struck[i] > 0)
            continue;
        printf("FAILED: the site %s has struck in no seed\n", site_name((enum maybe_site)i));
        every = false;
    }
    return every;
}

/* --costs, --growth [N]: worlds without faults. */
static int
count_costs(int argc, char **argv)
{
    char *end;
    uint64_t nodes = 0;
    bool growth = strcmp(argv[1], "--growth") == 0;
    if (argc > (growth ? 3 : 2) ||
        (argc == 3 && (!parse_number(argv[2], &end, &nodes) || *end || nodes > COST_NODES_MAX))) {
        usage();
        return SIM_USAGE;
    }
    if (crypto_init() != OK)
        return SIM_CRASH;
    if (growth)
        costs_print_growth((unsigned)nodes);
    else
        costs_print();
    return SIM_OK;
}

int
main(int argc, char **argv)
{
    struct arguments a;
    struct totals t = {0};
    struct timespec from, to;
    if (argc >= 2 && (strcmp(argv[1], "--costs") == 0 || strcmp(argv[1], "--growth") == 0))
        return count_costs(argc, argv);
    if (!parse(argc, argv, &a)) {
        usage();
        return SIM_USAGE;
    }
    (void)setvbuf(stdout, NULL, _IOLBF, 0);
    clock_gettime(CLOCK_MONOTONIC, &from);
    run_all(&a, &t);
    clock_gettime(CLOCK_MONOTONIC, &to);
    print_totals(&t, (uint64_t)(to.tv_sec - from.tv_sec) * 1000 + (uint64_t)(to.tv_nsec / 1000000) -
                         (uint64_t)(from.tv_nsec / 1000000));
    print_sites(&t);
    if (a.every_site && t.worst == SIM_OK && !every_site_struck(&t))
        return SIM_LIVENESS;
    return t.worst;
}
