/* .env files: reading them, having the vault work on them, and writing them in place. */
#ifndef OSTRAKA_CLI_ENV_FILE_H
#define OSTRAKA_CLI_ENV_FILE_H

#include <signal.h>

#include "base/bytes.h"
#include "cli/client.h"

/* Each returns EXIT_OK, or another exit status having said why. */

/* "-": standard input. *out is empty on error. */
int env_file_read(const char *path, struct buf *out);

/* What a text becomes in that mode of POST /v1/env; `prefix` may be NULL. */
int env_file_transform(struct client *client, struct bytes text, const char *mode,
                       const char *prefix, struct buf *out);

/*
 * A file that will take the place of `path` at once, or not at all: nobody ever sees half of it. It
 * has the mode of what was there, and 0600 where nothing was. While it is open, signals that end
 * the program are held back, so that what stands aside is always removed.
 */
struct env_replacement {
    char *path; /* of the file itself, behind symbolic links */
    char *aside;
    int fd; /* -1: none */
    bool holding;
    sigset_t mask_before;
};
int env_replacement_open(const char *path, struct env_replacement *out);
int env_replacement_finish(struct env_replacement *replacement, struct bytes text);
/* Removes what was not finished; a signal that came is delivered here. */
void env_replacement_close(struct env_replacement *replacement);
/*
 * All of it for plaintext: the file becomes that text, or stays as it is. Its mode is 0600 whatever
 * was there, and a symbolic link is refused, since whoever made it chose where it leads.
 */
int env_file_write_private(const char *path, struct bytes text);

#endif
