/*
 * Lines: the changes of one path at this node, made one after the other, so that they do not
 * contend with each other for its lock.
 */
#include <assert.h>
#include <stdlib.h>

#include "actors/coordinator_internal.h"

static struct line *
line_of(struct coordinator *c, struct path path)
{
    struct line *line = (struct line *)path_map_find(&c->lines, path);
    if (line)
        return line;
    line = calloc(1, sizeof(*line));
    if (line && path_map_insert(&c->lines, path, &line->link) != OK) {
        free(line);
        line = NULL;
    }
    return line;
}

static void
line_remove(struct coordinator *c, struct line *line)
{
    path_map_remove(&c->lines, &line->link);
    free(line);
}

void
lines_close(struct coordinator *c)
{
    while (c->lines.oldest)
        line_remove(c, (struct line *)c->lines.oldest);
    path_map_close(&c->lines);
}

static void
has_turn(struct work *w)
{
    if (w->job->role == ROLE_MEMBER && !w->job->resume_read)
        member_turn(w);
    else if (offer_may_be_made(w))
        offer_make(w);
    else
        change_start_round(w);
}

void
job_enter_line(struct work *w)
{
    struct job *job = w->job;
    struct line *line = line_of(w->c, job->path);
    if (!line) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    assert(!job->line);
    job->line = line;
    if (!line->active) {
        line->active = job;
        has_turn(w);
        return;
    }
    job->phase = JOB_QUEUED;
    job->next = NULL;
    if (line->last)
        line->last->next = job;
    else
        line->first = job;
    line->last = job;
    /* Nobody waits for it, and what it would finish is finished first anyway. */
    if (line->active->background && job->role != ROLE_MEMBER) {
        struct work other = {w->c, w->st, line->active, w->out};
        job_end(&other);
    }
}

static void
unlink_queued(struct line *line, struct job *job)
{
    struct job **at = &line->first;
    struct job *before = NULL;
    while (*at != job) {
        assert(*at);
        before = *at;
        at = &(*at)->next;
    }
    *at = job->next;
    if (line->last == job)
        line->last = before;
}

void
job_leave_line(struct work *w)
{
    struct line *line = w->job->line;
    if (!line)
        return;
    w->job->line = NULL;
    if (line->active != w->job) {
        unlink_queued(line, w->job);
        return;
    }
    struct job *next = line->first;
    line->active = next;
    if (!next) {
        line_remove(w->c, line);
        return;
    }
    line->first = next->next;
    if (!line->first)
        line->last = NULL;
    struct work other = {w->c, w->st, next, w->out};
    has_turn(&other);
}
