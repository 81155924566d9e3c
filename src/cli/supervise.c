#include "cli/supervise.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "runtime/stop_signals.h"

enum {
    DELAY_MS_MIN = 1000,
    DELAY_MS_MAX = 30000,
    HEALTHY_MS = 60000,
    TICK_MS = 100,
    WAIT_MS_MAX = 60000, /* a wait without anything due; signals end it early */
};

enum child_state { CHILD_WAITING, CHILD_RUNNING, CHILD_ENDED };

/* WAITING (until start_at) -> RUNNING -> WAITING | ENDED; WAITING -> ENDED on a stop. */
struct child {
    enum child_state state;
    pid_t pid;
    uint64_t started_ms;
    uint64_t start_at_ms;
    unsigned delay_ms; /* before the next start after a failure */
    bool started_before;
};

struct run {
    const struct supervisor *supervisor;
    struct child children[SUPERVISED_MAX];
    sigset_t signals, mask_before;
    bool stopping, killed, ticking;
    uint64_t kill_at_ms;
    int status;
};

static void
stop_signal_set(sigset_t *out)
{
    int numbers[STOP_SIGNALS_MAX];
    unsigned count = stop_signals(numbers);

    sigemptyset(out);
    for (unsigned i = 0; i < count; i++)
        sigaddset(out, numbers[i]);
}

void
signals_hold(void)
{
    sigset_t signals;

    stop_signal_set(&signals);
    sigprocmask(SIG_BLOCK, &signals, NULL);
}

static uint64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static void
report(const struct run *r, unsigned i, struct supervise_report what)
{
    what.child = i;
    what.pid = r->children[i].pid;
    r->supervisor->report(r->supervisor->context, &what);
}

/*
 * A process group of its own keeps the terminal's Ctrl-C from a child, which is told to stop by
 * its parent, once. When the parent dies without that, the kernel tells it.
 */
static _Noreturn void
become_child(const struct run *r, unsigned i, pid_t parent)
{
    int status = EXIT_FAILED;

    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    sigprocmask(SIG_UNBLOCK, &r->signals, NULL);
    if (getppid() == parent)
        status = r->supervisor->run(r->supervisor->context, i);
    fflush(NULL);
    _exit(status);
}

static void
schedule(struct run *r, unsigned i, uint64_t now)
{
    struct child *child = &r->children[i];

    child->state = CHILD_WAITING;
    child->start_at_ms = now + child->delay_ms;
    child->delay_ms = child->delay_ms * 2 < DELAY_MS_MAX ? child->delay_ms * 2 : DELAY_MS_MAX;
}

static void
start(struct run *r, unsigned i, uint64_t now)
{
    struct child *child = &r->children[i];
    pid_t parent = getpid();
    pid_t pid;

    fflush(NULL); /* else the child would write out what waits here once more */
    pid = fork();
    if (pid == 0)
        become_child(r, i, parent);
    if (pid < 0) {
        report(r, i,
               (struct supervise_report){.event = SUPERVISE_FAILED,
                                         .exit_status = EXIT_FAILED,
                                         .delay_ms = child->delay_ms});
        schedule(r, i, now);
        return;
    }
    child->pid = pid;
    child->state = CHILD_RUNNING;
    child->started_ms = now;
    if (child->started_before)
        report(r, i, (struct supervise_report){.event = SUPERVISE_STARTED});
    child->started_before = true;
}

static bool
asks_to_stop(int signal)
{
    return signal == SIGTERM || signal == SIGINT || signal == SIGHUP;
}

static void
on_end(struct run *r, unsigned i, int wait_status, uint64_t now)
{
    struct child *child = &r->children[i];
    struct supervise_report what = {.exit_status = -1};

    if (WIFEXITED(wait_status))
        what.exit_status = WEXITSTATUS(wait_status);
    else
        what.signal = WTERMSIG(wait_status);
    if (now - child->started_ms >= HEALTHY_MS)
        child->delay_ms = DELAY_MS_MIN;
    if (r->stopping || what.exit_status == EXIT_OK || what.exit_status == EXIT_CONFIGURATION) {
        what.event = SUPERVISE_ENDED;
        report(r, i, what);
        child->state = CHILD_ENDED;
        /*
         * A child that was still starting has no handlers yet and dies of our SIGTERM, or, before
         * it had a process group of its own, of the terminal's signal.
         */
        if (r->status == EXIT_OK && !(r->stopping && asks_to_stop(what.signal)))
            r->status = what.exit_status >= 0 ? what.exit_status : EXIT_FAILED;
        return;
    }
    what.event = SUPERVISE_FAILED;
    what.delay_ms = child->delay_ms;
    report(r, i, what);
    schedule(r, i, now);
}

static void
reap(struct run *r, uint64_t now)
{
    for (unsigned i = 0; i < r->supervisor->count; i++) {
        int wait_status;

        if (r->children[i].state == CHILD_RUNNING &&
            waitpid(r->children[i].pid, &wait_status, WNOHANG) == r->children[i].pid)
            on_end(r, i, wait_status, now);
    }
}

static void
stop(struct run *r, uint64_t now)
{
    if (r->stopping)
        return;
    r->stopping = true;
    r->ticking = false;
    r->kill_at_ms = now + r->supervisor->stop_ms;
    for (unsigned i = 0; i < r->supervisor->count; i++) {
        if (r->children[i].state == CHILD_RUNNING)
            kill(r->children[i].pid, SIGTERM);
        else
            r->children[i].state = CHILD_ENDED;
    }
}

static void
kill_late(struct run *r, uint64_t now)
{
    if (!r->stopping || r->killed || now < r->kill_at_ms)
        return;
    r->killed = true;
    for (unsigned i = 0; i < r->supervisor->count; i++) {
        if (r->children[i].state != CHILD_RUNNING)
            continue;
        kill(r->children[i].pid, SIGKILL);
        report(r, i, (struct supervise_report){.event = SUPERVISE_KILLED});
    }
}

static void
start_due(struct run *r, uint64_t now)
{
    for (unsigned i = 0; i < r->supervisor->count; i++) {
        if (r->children[i].state == CHILD_WAITING && now >= r->children[i].start_at_ms)
            start(r, i, now);
    }
}

static bool
all_ended(const struct run *r)
{
    for (unsigned i = 0; i < r->supervisor->count; i++) {
        if (r->children[i].state != CHILD_ENDED)
            return false;
    }
    return true;
}

/* Until the next start, tick or kill is due. */
static unsigned
wait_ms(const struct run *r, uint64_t now)
{
    uint64_t due = now + (r->ticking ? TICK_MS : WAIT_MS_MAX);

    if (r->stopping && !r->killed && r->kill_at_ms < due)
        due = r->kill_at_ms;
    for (unsigned i = 0; i < r->supervisor->count; i++) {
        if (r->children[i].state == CHILD_WAITING && r->children[i].start_at_ms < due)
            due = r->children[i].start_at_ms;
    }
    return due > now ? (unsigned)(due - now) : 0;
}

static void
wait_for_signal(struct run *r)
{
    unsigned ms = wait_ms(r, now_ms());
    const struct timespec timeout = {ms / 1000, (long)(ms % 1000) * 1000000};
    int number = sigtimedwait(&r->signals, NULL, &timeout);

    if (asks_to_stop(number))
        stop(r, now_ms());
}

int
supervise(const struct supervisor *supervisor)
{
    struct run r = {.supervisor = supervisor, .ticking = supervisor->tick != NULL};

    assert(supervisor->count <= SUPERVISED_MAX);
    for (unsigned i = 0; i < supervisor->count; i++)
        r.children[i].delay_ms = DELAY_MS_MIN;
    stop_signal_set(&r.signals);
    sigaddset(&r.signals, SIGCHLD);
    sigprocmask(SIG_BLOCK, &r.signals, &r.mask_before);
    while (!all_ended(&r)) {
        start_due(&r, now_ms());
        if (r.ticking)
            r.ticking = supervisor->tick(supervisor->context);
        wait_for_signal(&r);
        reap(&r, now_ms());
        kill_late(&r, now_ms());
    }
    sigprocmask(SIG_SETMASK, &r.mask_before, NULL);
    return r.status;
}
