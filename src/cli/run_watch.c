/*
 * ostraka run --watch: looks from time to time whether a secret that the files refer to has another
 * version, without reading values, and then starts the program anew, or sends it a signal.
 *
 * Signals are taken one at a time by waiting for them. Those of the terminal go to the child by
 * themselves, as it is in the same process group; the others are passed on.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/env_file.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/run.h"
#include "cli/secret_common.h"
#include "env/env_plan.h"

enum {
    STOP_MS = 10 * 1000, /* how long the program has after SIGTERM, before SIGKILL */
    LOOK_MS = 30 * 1000, /* after so long a look that fails goes on the next time */
    WATCHED_MAX = TEXT_LIST_MAX * ENV_REFERENCES_MAX,
    TARGET_BYTES_MAX_WITH_NUL = 3 * NAME_BYTES_MAX + 64,
};

/* A secret, and its version when it was last seen; a new secret of that name begins again with 1. */
struct watched {
    char target[TARGET_BYTES_MAX_WITH_NUL]; /* of the request that tells */
    char name[NAME_BYTES_MAX + 1];
    json_int_t version; /* 0: not there */
    char since[40];
    bool gone; /* it was there, and was not when it was last looked at */
};

struct watch {
    const struct run *run;
    struct client *client;
    struct watched *list, *before; /* before: what the program before was watched by */
    size_t count, before_count;
    size_t first; /* to be looked at */
    pid_t child;  /* 0: not started yet */
    int signal;   /* to be sent on a change; 0: start anew */
    sigset_t signals, mask_before;
    sigset_t urgent;         /* those of them that no request is waited for with */
    struct environment next; /* of the program's next start */
    bool restarting, killed;
    bool overdue; /* a change was seen, and the program could not be started anew */
    bool blind;   /* the last look failed */
    bool ending;  /* it was told to */
    uint64_t look_at_ms, kill_at_ms;
};

static uint64_t
now_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

/* ---- what is watched ---- */

static int
add_watched(struct watch *w, struct bytes name)
{
    struct watched *one;
    struct buf target = {0};
    int status = EXIT_FAILED;

    if (w->count == WATCHED_MAX)
        return EXIT_OK;
    one = &w->list[w->count];
    *one = (struct watched){0};
    snprintf(one->name, sizeof one->name, "%.*s", (int)name.size, (const char *)name.data);
    if (secret_target("/v1/history/", one->name, &target) == EXIT_OK &&
        buf_append_text(&target, "?limit=1") == OK && target.size < sizeof one->target) {
        memcpy(one->target, target.data, target.size);
        w->count++;
        status = EXIT_OK;
    }
    buf_close(&target);
    return status;
}

static int
add_references(struct watch *w, struct bytes text)
{
    struct env_input input = {.text = text, .mode = ENV_EXPAND};
    struct env_plan plan = {0};
    struct arena arena;
    int status = EXIT_OK;

    arena_init(&arena, (size_t)4 * 1024 * 1024);
    if (env_plan_make(&input, &arena, &plan) != OK)
        status = secret_out_of_memory();
    for (size_t i = 0; i < plan.reference_count && status == EXIT_OK; i++) {
        if (plan.references[i].version == 0)
            status = add_watched(w, plan.references[i].name);
    }
    arena_close(&arena);
    return status;
}

static int
add_name(void *context, const char *name)
{
    return add_watched(context, bytes_of_text(name));
}

/* The files are read anew each time: they may have changed, too. */
static int
find_watched(struct watch *w)
{
    int status = EXIT_OK;

    w->count = 0;
    for (size_t i = 0; i < w->run->prefixes.count && status == EXIT_OK; i++)
        status = names_visit(w->client, w->run->prefixes.values[i], add_name, w);
    for (size_t i = 0; i < w->run->files.count && status == EXIT_OK; i++) {
        struct buf text;

        status = env_file_read(w->run->files.values[i], &text);
        if (status == EXIT_OK)
            status = add_references(w, buf_bytes(&text));
        buf_close(&text);
    }
    return status;
}

/* Returns as client_call; a secret that is not there has no version. */
static int
look(struct watch *w, struct watched *one, bool *changed)
{
    struct client_answer answer;
    struct watched seen = {0};
    int status = client_call(w->client, CLIENT_GET, one->target, NULL, &answer);
    const json_t *newest = json_array_get(json_object_get(answer.json, "versions"), 0);
    const char *since = json_string_value(json_object_get(newest, "valid_from"));

    seen.version = json_integer_value(json_object_get(newest, "version"));
    snprintf(seen.since, sizeof seen.since, "%s", since ? since : "");
    client_answer_close(&answer);
    *changed = false;
    if (status != EXIT_OK && status != EXIT_NOT_FOUND)
        return status;
    /* A program whose secret has gone has nothing to be started anew with. */
    *changed =
        seen.version != 0 && (seen.version != one->version || strcmp(seen.since, one->since) != 0);
    one->gone = seen.version == 0 && one->version != 0;
    if (seen.version != 0) {
        one->version = seen.version;
        memcpy(one->since, seen.since, sizeof one->since);
    }
    return EXIT_OK;
}

static const struct watched *
find_before(const struct watch *w, const char *name)
{
    for (size_t i = 0; i < w->before_count; i++) {
        if (strcmp(w->before[i].name, name) == 0)
            return &w->before[i];
    }
    return NULL;
}

/*
 * Of one that cannot be looked at, what was known before holds: if that is its version when it is
 * seen again, the values that are read now were of that version, too. One of which nothing is known
 * could change unseen.
 */
static int
learn_version(struct watch *w, struct watched *one)
{
    const struct watched *before = find_before(w, one->name);
    bool changed;
    int status;

    if (before) {
        one->version = before->version;
        memcpy(one->since, before->since, sizeof one->since);
    }
    client_set_quiet(w->client, before != NULL);
    client_set_untold(w->client, EXIT_NOT_FOUND);
    status = look(w, one, &changed);
    client_set_untold(w->client, EXIT_OK);
    client_set_quiet(w->client, false);
    if (status == EXIT_OK || before)
        return EXIT_OK;
    if (status == EXIT_UNAUTHORIZED)
        output_hint("--watch looks at the history of %s, which takes the capability `history`",
                    one->name);
    else
        output_hint("that is about the version of %s", one->name);
    return status;
}

static bool
urgent_signal_waits(const struct watch *w)
{
    sigset_t waiting, both;

    return sigpending(&waiting) == 0 && sigandset(&both, &waiting, &w->urgent) == 0 &&
           !sigisemptyset(&both);
}

static void
warn_blind(const char *name, int status)
{
    if (status == EXIT_UNAUTHORIZED)
        fprintf(stderr, "warning: the token may not look whether %s has changed", name);
    else
        fprintf(stderr, "warning: no node tells whether %s has changed", name);
    fputs("; the program goes on\n", stderr);
}

/* One that cannot be looked at does not keep the others from being. */
static bool
anything_changed(struct watch *w)
{
    uint64_t until = now_ms() + LOOK_MS;
    size_t first = w->first, failed = 0;
    bool any = false;

    client_set_quiet(w->client, true);
    for (size_t i = 0; i < w->count && !urgent_signal_waits(w); i++) {
        struct watched *one = &w->list[(first + i) % w->count];
        bool changed, gone_before = one->gone;
        int status = look(w, one, &changed);

        any = any || changed;
        if (one->gone && !gone_before)
            fprintf(stderr, "warning: %s is not there any more; the program goes on\n", one->name);
        if (status == EXIT_OK || urgent_signal_waits(w))
            continue;
        if (failed++ == 0 && !w->blind)
            warn_blind(one->name, status);
        w->first = (first + i + 1) % w->count;
        if (now_ms() >= until)
            break;
    }
    client_set_quiet(w->client, false);
    if (!urgent_signal_waits(w))
        w->blind = failed > 0;
    return any;
}

/* ---- the program ---- */

static _Noreturn void
become_child(const struct watch *w, const struct environment *environment, pid_t parent)
{
    sigprocmask(SIG_SETMASK, &w->mask_before, NULL);
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent)
        _exit(EXIT_FAILED);
    _exit(run_exec(w->run, environment));
}

static void
swap_lists(struct watch *w)
{
    struct watched *list = w->list;
    size_t count = w->count;

    w->list = w->before;
    w->count = w->before_count;
    w->before = list;
    w->before_count = count;
    w->first = 0;
}

/*
 * Versions first, then values: a change in between is seen as one the next time, and nothing is
 * missed.
 */
static int
prepare(struct watch *w)
{
    int status;

    environment_close(&w->next);
    swap_lists(w);
    status = find_watched(w);
    for (size_t i = 0; i < w->count && status == EXIT_OK; i++)
        status = learn_version(w, &w->list[i]);
    if (status == EXIT_OK)
        status = run_environment(w->run, w->client, &w->next);
    if (status)
        swap_lists(w); /* the program that runs goes on, and so does what it is watched by */
    return status;
}

static int
start(struct watch *w)
{
    pid_t parent = getpid();

    fflush(NULL);
    w->child = fork();
    if (w->child == 0)
        become_child(w, &w->next, parent);
    environment_close(&w->next);
    w->restarting = w->killed = false;
    w->look_at_ms = now_ms() + w->run->interval_s * 1000;
    sigaddset(&w->urgent, SIGCHLD);
    if (w->child > 0)
        return EXIT_OK;
    output_error("no process can be started: %s", strerror(errno));
    return EXIT_FAILED;
}

/* The program is not stopped before there is an environment to start it anew with. */
static void
on_change(struct watch *w)
{
    w->overdue = false;
    if (w->signal) {
        kill(w->child, w->signal);
        return;
    }
    if (prepare(w) != EXIT_OK) {
        w->overdue = true;
        return;
    }
    w->restarting = true;
    w->kill_at_ms = now_ms() + STOP_MS;
    kill(w->child, SIGTERM);
}

static void
on_time(struct watch *w)
{
    uint64_t now = now_ms();

    if (w->restarting && !w->killed && now >= w->kill_at_ms) {
        w->killed = true;
        kill(w->child, SIGKILL);
    }
    if (w->restarting || w->ending || now < w->look_at_ms)
        return;
    if (anything_changed(w) || w->overdue)
        on_change(w);
    w->look_at_ms = now_ms() + w->run->interval_s * 1000;
}

/* True when the child has ended for good; *status is what this process ends with. */
static bool
child_ended(struct watch *w, int *status)
{
    int how;

    if (waitpid(w->child, &how, WNOHANG) != w->child)
        return false;
    *status = WIFSIGNALED(how) ? EXIT_SIGNALLED + WTERMSIG(how) : WEXITSTATUS(how);
    if (!w->restarting)
        return true;
    *status = start(w);
    return *status != EXIT_OK;
}

static void
pass_on(struct watch *w, const siginfo_t *info)
{
    bool from_terminal = info->si_code == SI_KERNEL;

    if (info->si_signo == SIGTERM || info->si_signo == SIGINT || info->si_signo == SIGQUIT)
        w->restarting = false; /* it is to end, not to start anew */
    w->ending = w->ending || info->si_signo == SIGTERM;
    if (!from_terminal)
        kill(w->child, info->si_signo);
}

static int
attend(struct watch *w)
{
    static const struct timespec tick = {.tv_nsec = 200 * 1000000L};
    int status = EXIT_OK;
    siginfo_t info;

    for (;;) {
        int signal = sigtimedwait(&w->signals, &info, &tick);

        if (child_ended(w, &status))
            return status;
        if (signal > 0 && signal != SIGCHLD)
            pass_on(w, &info);
        on_time(w);
    }
}

/* ---- */

static bool
is_ignored(int number)
{
    struct sigaction action;

    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

static void
hold_signals(struct watch *w)
{
    static const int held[] = {SIGCHLD, SIGTERM, SIGINT,  SIGQUIT, SIGHUP,
                               SIGUSR1, SIGUSR2, SIGALRM, SIGWINCH};
    static const int urgent[] = {SIGTERM, SIGINT, SIGQUIT, SIGHUP};

    sigemptyset(&w->signals);
    for (size_t i = 0; i < sizeof held / sizeof held[0]; i++)
        sigaddset(&w->signals, held[i]);
    sigprocmask(SIG_BLOCK, &w->signals, &w->mask_before);
    sigemptyset(&w->urgent);
    for (size_t i = 0; i < sizeof urgent / sizeof urgent[0]; i++) {
        if (!is_ignored(urgent[i])) /* held back, it would wait all the same */
            sigaddset(&w->urgent, urgent[i]);
    }
    client_set_stop(w->client, &w->urgent);
}

/* "HUP" or "SIGHUP". 0: there is none of that name. */
static int
signal_number(const char *name)
{
    if (strncmp(name, "SIG", 3) == 0)
        name += 3;
    for (int i = 1; i < NSIG; i++) {
        const char *known = sigabbrev_np(i);

        if (known && strcmp(known, name) == 0)
            return i;
    }
    return 0;
}

int
run_watch(const struct run *run, struct client *client)
{
    struct watch w = {.run = run, .client = client};
    int status;

    if (run->signal) {
        w.signal = signal_number(run->signal);
        if (w.signal == 0)
            return cli_usage_error("run", "there is no signal %s", run->signal);
    }
    w.list = calloc(WATCHED_MAX, sizeof *w.list);
    w.before = calloc(WATCHED_MAX, sizeof *w.before);
    if (!w.list || !w.before) {
        free(w.list);
        free(w.before);
        return secret_out_of_memory();
    }
    hold_signals(&w);
    status = prepare(&w);
    if (status == EXIT_OK)
        status = start(&w);
    if (status == EXIT_OK)
        status = attend(&w);
    client_set_stop(client, NULL);
    environment_close(&w.next);
    free(w.list);
    free(w.before);
    /* A signal that came before there was anybody to pass it on to is this process's own. */
    if (w.child == 0)
        sigprocmask(SIG_SETMASK, &w.mask_before, NULL);
    return status;
}
