#include "sim/run.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "sim/check_batch.h"
#include "sim/options.h"

enum { PHASE_1_MS_MAX = 180000 };

/* For the signal handler alone: which world to print. Set once, before the first step. */
static struct world *volatile crashing_world;

/* The process has lost its way already; what it can still say is worth the risk. */
static void
on_crash(int signal_number)
{
    signal(signal_number, SIG_DFL);
    signal(SIGABRT, SIG_DFL);
    if (crashing_world)
        sim_fail(crashing_world, SIM_CRASH, "crash", "signal %d", signal_number); /* NOLINT */
    _exit(SIM_CRASH);
}

static void
catch_crashes(struct world *world)
{
    crashing_world = world;
    signal(SIGABRT, on_crash);
    signal(SIGSEGV, on_crash);
    signal(SIGBUS, on_crash);
    signal(SIGFPE, on_crash);
    signal(SIGILL, on_crash);
    signal(SIGALRM, on_crash);
}

static void
run_faults(struct world *world)
{
    uint64_t until = ms_to_ns(PHASE_1_MS_MAX);
    faults_start(world);
    while (!world->window && world->now_ns < until &&
           (world->clients.budget > 0 || world->clients.in_flight > 0)) {
        if (!world_step(world, until))
            break;
    }
    world->clients.stop = true;
}

static void
fill_result(const struct world *world, struct sim_result *result)
{
    result->seed = world->options.seed;
    result->hash = world->trace.hash;
    result->operations = world->clients.count;
    result->steps = world->steps;
    result->frames = world->frames;
    result->simulated_ms = world->now_ns / 1000000;
    result->heads = check_chain_length(&world->chain);
    result->groups = world->chain.groups;
    result->shredded = world->shred.answers;
    memcpy(result->by_outcome, world->clients.by_outcome, sizeof(result->by_outcome));
    memcpy(result->struck, world->faults.struck, sizeof(result->struck));
    memcpy(result->sites_struck, world->sites.struck, sizeof(result->sites_struck));
}

void
run_seed(const struct sim_options *options, struct sim_result *result)
{
    *result = (struct sim_result){.seed = options->seed};
    struct world *world = world_new(options);
    catch_crashes(world);
    if (options->verbose)
        options_print(world, stdout);
    run_faults(world);
    result->window = world->window;
    if (!world->window) {
        check_heal(world);
        check_chain_end(&world->chain);
        check_status_counters(world);
        check_at(world);
        check_blinding_end(world);
        check_batch_evidence(world);
        check_batch_reads(world);
        result->undecided = !check_linear(world);
    }
    fill_result(world, result);
    crashing_world = NULL;
    world_free(world);
}
