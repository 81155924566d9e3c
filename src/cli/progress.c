#include "cli/progress.h"

#include <stdio.h>
#include <unistd.h>

enum { BAR_COLUMNS = 40, COLUMNS_USED = 79 };

static void
show(struct progress *progress)
{
    char bar[BAR_COLUMNS + 1];
    size_t filled = progress->done * BAR_COLUMNS / progress->all;

    for (size_t i = 0; i < BAR_COLUMNS; i++)
        bar[i] = i < filled ? '#' : '.';
    bar[BAR_COLUMNS] = '\0';
    fprintf(stderr, "\r[%s] %zu of %zu %s", bar, progress->done, progress->all, progress->what);
    fflush(stderr);
    progress->shown = progress->done;
}

void
progress_begin(struct progress *progress, const char *what, size_t all)
{
    *progress = (struct progress){
        .what = what, .all = all, .on = all > PROGRESS_FROM && isatty(STDERR_FILENO)};
    if (progress->on)
        show(progress);
}

void
progress_step(struct progress *progress)
{
    progress->done++;
    if (progress->on && (progress->done - progress->shown) * BAR_COLUMNS >= progress->all)
        show(progress);
}

void
progress_end(struct progress *progress)
{
    if (progress->on)
        fprintf(stderr, "\r%*s\r", COLUMNS_USED, "");
}
