/* What the files of `ostraka run` share. */
#ifndef OSTRAKA_CLI_RUN_H
#define OSTRAKA_CLI_RUN_H

#include "cli/client.h"

enum { DESCRIPTORS_MAX = 1024 };

struct run {
    struct client_options connection;
    struct text_list files;
    struct text_list prefixes; /* all secrets below each, before the files */
    char **command;            /* argv of the program, ended by NULL */
    bool watch;
    uint64_t interval_s;             /* between two looks */
    bool inherited[DESCRIPTORS_MAX]; /* open before this program opened anything */
    const char *signal; /* name of the one that is sent instead of starting anew; NULL: none */
};

/* A process's environment; its memory is wiped. All zero is empty. */
struct environment {
    char **entries; /* ended by NULL */
    size_t count, capacity;
};
void environment_close(struct environment *environment);

/*
 * This process's environment, without a token, secret id and JSON web token in it unless the
 * program is to read its secrets itself (`signal`), with what the files say, later files and lines
 * overriding. Returns EXIT_OK, or another exit
 * status having said why.
 */
int run_environment(const struct run *run, struct client *client, struct environment *out);

/* Exit statuses of what could not be started, as shells have them. */
enum { EXIT_NOT_EXECUTABLE = 126, EXIT_NO_COMMAND = 127, EXIT_SIGNALLED = 128 };

/* Becomes the program; returns its exit status only when that failed, having said why. */
int run_exec(const struct run *run, const struct environment *environment);

/*
 * Runs the program as a child, and anew when one of the secrets has another version. Takes the
 * environment. Returns its exit status.
 */
int run_watch(const struct run *run, struct client *client);

#endif
