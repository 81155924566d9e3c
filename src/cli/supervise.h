/*
 * Keeps child processes running: starts them, starts them again after a growing delay when they
 * fail, and ends them all on SIGTERM, SIGINT or SIGHUP.
 *
 * A child that ends with EXIT_OK or EXIT_CONFIGURATION is not started again: it was told to stop,
 * or it would fail in the same way. After the others the delay is 1 s, doubled up to 30 s, and 1 s
 * again once a child has lived for 60 s.
 */
#ifndef OSTRAKA_CLI_SUPERVISE_H
#define OSTRAKA_CLI_SUPERVISE_H

#include <stdbool.h>
#include <sys/types.h>

/*
 * Holds back what tells a process to stop (runtime/stop_signals.h), so that a command can finish or
 * undo what it has begun. What is ignored is not held back: it would count.
 */
void signals_hold(void);

enum { SUPERVISED_MAX = 16 };

enum supervise_event {
    SUPERVISE_ENDED,   /* for good; status is set */
    SUPERVISE_FAILED,  /* will be started again in delay_ms */
    SUPERVISE_STARTED, /* again */
    SUPERVISE_KILLED,  /* it did not stop in time when told to */
};

struct supervise_report {
    enum supervise_event event;
    unsigned child;
    pid_t pid;
    int exit_status;   /* ENDED, FAILED: of the process, or -1 when a signal ended it */
    int signal;        /* ENDED, FAILED: that signal */
    unsigned delay_ms; /* FAILED */
};

struct supervisor {
    unsigned count;   /* of children, at most SUPERVISED_MAX */
    unsigned stop_ms; /* how long a child has after SIGTERM, before SIGKILL */
    void *context;
    int (*run)(void *context, unsigned child); /* in the child; its result is the exit status */
    void (*report)(void *context, const struct supervise_report *report);
    bool (*tick)(void *context); /* about every 100 ms until it returns false; may be NULL */
};

/*
 * Returns when all children have ended for good: EXIT_OK when all ended with it (or by the SIGTERM
 * that this sent), else the first other status. The process must have one thread. A caller with
 * something to clean up calls signals_hold() before; in the children nothing is held back.
 */
int supervise(const struct supervisor *supervisor);

#endif
