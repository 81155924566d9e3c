/* How far a long command has come: on a terminal only, and only where there is much to do. */
#ifndef OSTRAKA_CLI_PROGRESS_H
#define OSTRAKA_CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>

enum { PROGRESS_FROM = 100 }; /* with more than so many it is shown */

struct progress {
    const char *what; /* "copied" */
    size_t done, all, shown;
    bool on;
};

void progress_begin(struct progress *progress, const char *what, size_t all);
void progress_step(struct progress *progress); /* one more is done */
void progress_end(struct progress *progress);  /* leaves the line empty */

#endif
