/*
 * Updates of one secret that wait behind each other at this node: where they are of one caller and
 * none says what it expects, one change makes the versions of all. docs/protocol.md, "Several
 * updates at once".
 */
#include <assert.h>
#include <string.h>

#include "actors/coordinator_internal.h"
#include "base/planted.h"

enum { GROUP_AHEAD_MS_MAX = 2 * GROUP_VERSIONS_MAX };

/*
 * Nobody but this job asks for its operation, and nothing about it hangs on which version it makes.
 */
static bool
is_plain_update(const struct job *job)
{
    return job->role == ROLE_ALONE && job->kind == REQUEST_UPDATE && job->request && !job->keyed &&
           !job->request->has_expected_version;
}

/* The votes for the one are for the other as well. */
static bool
may_follow(const struct job *leader, const struct job *job)
{
    return job->phase == JOB_QUEUED && is_plain_update(job) &&
           job->request->value.size <= GROUP_VALUE_BYTES_MAX &&
           bytes_equal(leader->credential, job->credential) &&
           bytes_equal(leader->caller, job->caller);
}

/* Versions that the next head keeps, at most; the limits of a pending one are set with that. */
static size_t
kept_most(const struct head *head)
{
    if (head_is_pending(head))
        return 1;
    size_t kept = head->max_versions == 0 ? VERSIONS_KEPT_MAX : (size_t)head->max_versions;
    return kept < GROUP_VERSIONS_MAX ? kept : GROUP_VERSIONS_MAX;
}

/*
 * Each has a millisecond of its own, and may be made in less: so that what is valid from when does
 * not run away from the clock, no more than those for which it is time, or soon will be.
 */
static size_t
timely_most(const struct work *w)
{
    uint64_t before_ms = w->job->head->changed_at_ms, now_ms = w->st->wall_ms;
    uint64_t ahead_ms = before_ms > now_ms ? before_ms - now_ms : 0;
    return ahead_ms < GROUP_AHEAD_MS_MAX ? (size_t)(GROUP_AHEAD_MS_MAX - ahead_ms) : 1;
}

static void
take(struct line *line, struct job **at, struct job *before, struct job *leader)
{
    struct job *job = *at;
    *at = job->next;
    if (line->last == job)
        line->last = before;
    job->next = NULL;
    job->line = NULL;
    job->leader = leader;
    job->phase = JOB_GROUPED;
    job->write_left = true;
    leader->group[leader->group_count++] = job;
}

/*
 * Once a WRITE of it has left, a change stays as it is: whether it has happened is told by its
 * operation, and which version is whose by how many there are.
 */
void
group_gather(struct work *w)
{
    struct job *leader = w->job;
    if (leader->write_left) {
        group_fit(w);
        return;
    }
    if (!is_plain_update(leader) || !leader->line || !leader->head ||
        leader->request->value.size > GROUP_VALUE_BYTES_MAX || sim_maybe(w->st, group_of_one))
        return;
    size_t most = kept_most(leader->head), timely = timely_most(w);
    struct job *before = NULL;
    struct job **at = &leader->line->first;
    while (*at && leader->group_count + 1 < most && leader->group_count + 1 < timely) {
        if (may_follow(leader, *at)) {
            take(leader->line, at, before, leader);
            metrics_count(w->st->metrics, METRIC_updates_grouped);
        } else {
            before = *at;
            at = &before->next;
        }
    }
}

/*
 * Fewer versions are kept since the WRITE left, so another head has been chosen than the one it was
 * built on: it will not be chosen any more.
 */
void
group_fit(struct work *w)
{
    struct job *leader = w->job;
    struct reply contended = {.err = ERR_CONTENDED};
    if (leader->group_count == 0 || leader->group_count < kept_most(leader->head))
        return;
    group_replied(w, &contended);
}

enum vault_err
group_make(struct work *w, struct head *next, struct proposal *p, const uint8_t **prev)
{
    struct job *leader = w->job;
    size_t count = leader->group_count;
    struct group_part parts[GROUP_EARLIER_MAX];
    uint8_t *ids = arena_alloc(&leader->round, count * ID_BYTES);
    struct buf encoded = {0};
    enum vault_err err = ids ? OK : ERR_NOMEM;
    for (size_t i = 0; i < count && err == OK; i++) {
        struct version_plan plan = {.request =
                                        i == 0 ? leader->request : leader->group[i - 1]->request,
                                    .version = next->version - count + i,
                                    .valid_from_ms = next->changed_at_ms - count + i,
                                    .prev = *prev};
        err = version_make(w, next, &plan, &parts[i], ids + i * ID_BYTES);
        *prev = ids + i * ID_BYTES;
    }
    if (err == OK)
        err = group_encode(parts, count, &encoded);
    if (err == OK)
        err = arena_copy(&leader->proposal_memory, buf_bytes(&encoded), &p->group);
    buf_close(&encoded);
    next->earlier = bytes_of(ids, err == OK ? count * ID_BYTES : 0);
    return err;
}

void
group_replied(struct work *w, const struct reply *reply)
{
    struct job *leader = w->job;
    size_t count = leader->group_count;
    leader->group_count = 0;
    for (size_t i = 0; i < count; i++) {
        struct work other = {w->c, w->st, leader->group[i], w->out};
        struct reply own = *reply;
        if (reply->err == OK && !PLANTED(group_answers_alike)) {
            own.version = reply->version + i + 1;
            own.valid_from_ms = reply->valid_from_ms + i + 1;
        }
        job_reply(&other, &own);
        job_end(&other);
    }
}
