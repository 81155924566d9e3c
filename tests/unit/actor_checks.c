#include "actor_checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "actors/sweep.h"

void
checks_fail(const char *why, ...)
{
    va_list args;
    va_start(args, why);
    fprintf(stderr, "BROKEN: ");
    vfprintf(stderr, why, args); /* NOLINT: a format of ours */
    fprintf(stderr, "\n");
    va_end(args);
    abort();
}

void
checks_init(struct actor_checks *checks, unsigned nodes, unsigned shares)
{
    *checks = (struct actor_checks){.nodes = nodes, .shares = shares, .majority = shares / 2 + 1};
}

void
checks_close(struct actor_checks *checks)
{
    while (checks->paths) {
        struct checked_path *next = checks->paths->next;
        free(checks->paths->accepted);
        free(checks->paths->chosen);
        free(checks->paths);
        checks->paths = next;
    }
}

void
checks_store_gone(struct actor_checks *checks, unsigned node)
{
    for (struct checked_path *p = checks->paths; p; p = p->next) {
        p->highest[node] = (struct ballot){0};
        p->erased[node] = 0;
        for (size_t i = 0; i < p->accepted_count; i++)
            p->accepted[i].by &= ~(UINT64_C(1) << node);
    }
}

struct checked_path *
checks_path(struct actor_checks *checks, struct path path)
{
    for (struct checked_path *p = checks->paths; p; p = p->next) {
        if (bytes_equal(bytes_of_text(p->tenant), path.tenant) &&
            bytes_equal(bytes_of_text(p->name), path.name))
            return p;
    }
    return NULL;
}

static struct checked_path *
path_of(struct actor_checks *checks, struct path path)
{
    struct checked_path *p = checks_path(checks, path);
    if (p)
        return p;
    p = calloc(1, sizeof(*p));
    if (!p)
        abort();
    memcpy(p->tenant, path.tenant.data, path.tenant.size);
    memcpy(p->name, path.name.data, path.name.size);
    p->next = checks->paths;
    checks->paths = p;
    return p;
}

static bool
is_set(const struct chosen_head *head)
{
    return head->generation != 0;
}

/* Of an identity record, whose deletion is a head like the others. */
static bool
record_follows(const struct chosen_head *below, const struct chosen_head *above)
{
    if (below->kind != HEAD_INLINE || above->kind != HEAD_INLINE || (below->gone && above->gone))
        return false;
    if (below->gone)
        return above->version == 1;
    return above->version == below->version + !above->gone;
}

/*
 * One chain: generation g is named by whatever was chosen at g + 1, and versions and times only go
 * up.
 */
static void
check_link(const struct checked_path *p, const struct chosen_head *below,
           const struct chosen_head *above)
{
    if (!is_set(below) || !is_set(above))
        return;
    if (memcmp(above->prev, below->id, ID_BYTES) != 0)
        checks_fail("path %s: generation %lu is not built on the chosen generation before it",
                    p->name, (unsigned long)above->generation);
    if (above->changed_at_ms <= below->changed_at_ms)
        checks_fail("path %s: generation %lu does not come later than the one before", p->name,
                    (unsigned long)above->generation);
    bool created = above->version == 1 && above->kind == HEAD_LIVE && below->kind != HEAD_LIVE;
    bool deleted = above->kind == HEAD_TOMBSTONE && above->version == below->version &&
                   below->kind == HEAD_LIVE;
    bool updated = above->kind == HEAD_LIVE && below->kind == HEAD_LIVE &&
                   above->version == below->version + 1 + above->earlier;
    bool unmarked = above->kind == HEAD_LIVE && !above->pending && below->pending &&
                    above->version == below->version;
    bool voided = above->kind == HEAD_VOID && below->pending;
    bool altered = above->alters && below->kind == HEAD_LIVE && above->version == below->version;
    bool record = record_follows(below, above);
    if (!created && !deleted && !updated && !unmarked && !voided && !altered && !record)
        checks_fail("path %s: generation %lu does not follow from the one before", p->name,
                    (unsigned long)above->generation);
}

static void
add_chosen(struct checked_path *p, const struct chosen_head *head, uint64_t now_ns)
{
    size_t index = (size_t)head->generation - 1;
    if (index >= p->chosen_count) {
        struct chosen_head *more = realloc(p->chosen, (index + 1) * sizeof(*more));
        if (!more)
            abort();
        memset(more + p->chosen_count, 0, (index + 1 - p->chosen_count) * sizeof(*more));
        p->chosen = more;
        p->chosen_count = index + 1;
    }
    struct chosen_head *known = &p->chosen[index];
    if (is_set(known)) {
        if (memcmp(known->id, head->id, ID_BYTES) != 0)
            checks_fail("path %s: two heads chosen at generation %lu", p->name,
                        (unsigned long)head->generation);
        return;
    }
    *known = *head;
    known->at_ns = now_ns;
    if (index > 0)
        check_link(p, &p->chosen[index - 1], known);
    if (index + 1 < p->chosen_count)
        check_link(p, known, &p->chosen[index + 1]);
}

static struct accepted_head *
accepted_at(struct checked_path *p, struct ballot ballot, const struct chosen_head *head)
{
    for (size_t i = p->accepted_count; i-- > 0;) {
        struct accepted_head *a = &p->accepted[i];
        if (ballot_compare(a->ballot, ballot) != 0)
            continue;
        if (memcmp(a->head.id, head->id, ID_BYTES) != 0)
            checks_fail("path %s: two heads accepted at one ballot", p->name);
        return a;
    }
    if (p->accepted_count == p->accepted_capacity) {
        p->accepted_capacity = p->accepted_capacity * 2 + 16;
        p->accepted = realloc(p->accepted, p->accepted_capacity * sizeof(*p->accepted));
        if (!p->accepted)
            abort();
    }
    struct accepted_head *a = &p->accepted[p->accepted_count++];
    *a = (struct accepted_head){.ballot = ballot, .head = *head};
    return a;
}

void
checks_path_row(struct actor_checks *checks, unsigned node, uint64_t now_ns,
                const struct path_row *row)
{
    struct head head;
    if (head_decode(row->head, &head) != OK)
        checks_fail("node %u stored a head that does not decode", node);
    struct checked_path *p = path_of(checks, head.path);
    struct chosen_head seen = {.generation = head.generation,
                               .kind = head.kind,
                               .version = head.version,
                               .earlier = head_earlier_count(&head),
                               .changed_at_ms = head.changed_at_ms,
                               .pending = head_is_pending(&head),
                               .alters = head.kind == HEAD_LIVE && !head_brings_version(&head),
                               .expires = head.expires_at_ms != 0,
                               .gone = head.kind == HEAD_INLINE && !head_has_value(&head)};
    unsigned majority = head.kind == HEAD_INLINE ? checks->nodes / 2 + 1 : checks->majority;
    if (row->ballot.offer)
        majority = checks->shares;
    record_id(row->head, seen.id);
    memcpy(seen.prev, head.prev, ID_BYTES);
    bool handed = row->state == STATE_RECEIVED && row->ballot.offer; /* for what was stale */
    if (!handed && ballot_compare(row->ballot, p->highest[node]) < 0)
        checks_fail("path %s: node %u went back to a lower accepted ballot", p->name, node);
    p->highest[node] = row->ballot;
    p->forget_after_ms = sweep_forget_after(&head);
    struct accepted_head *a = accepted_at(p, row->ballot, &seen);
    if (row->state != STATE_RECEIVED)
        a->by |= UINT64_C(1) << node;
    if (row->state == STATE_CHOSEN || (unsigned)__builtin_popcountll(a->by) >= majority)
        add_chosen(p, &seen, now_ns);
    if (row->erased || (row->state == STATE_CHOSEN && head.kind == HEAD_LIVE))
        p->erased[node] = head.generation;
}

void
checks_row_put_back(struct actor_checks *checks, unsigned node, const struct path_row *row)
{
    struct head head;
    if (head_decode(row->head, &head) == OK)
        path_of(checks, head.path)->highest[node] = row->ballot;
}

bool
checks_has_accepted(const struct checked_path *path, unsigned node, struct ballot ballot,
                    const uint8_t head_id[static ID_BYTES])
{
    for (size_t i = path->accepted_count; i-- > 0;) {
        const struct accepted_head *a = &path->accepted[i];
        /* An offer stands at its time when it is known to be chosen, which need not be durable. */
        if (ballot_compare(ballot_promised(a->ballot), ballot_promised(ballot)) == 0 &&
            (a->by >> node & 1) && memcmp(a->head.id, head_id, ID_BYTES) == 0)
            return true;
    }
    return false;
}

bool
checks_has_erased(const struct checked_path *path, unsigned node,
                  const uint8_t head_id[static ID_BYTES])
{
    for (size_t i = 0; i < path->chosen_count; i++) {
        const struct chosen_head *h = &path->chosen[i];
        if (is_set(h) && memcmp(h->id, head_id, ID_BYTES) == 0)
            return path->erased[node] >= h->generation;
    }
    return false;
}

void
checks_at_end(const struct actor_checks *checks)
{
    for (const struct checked_path *p = checks->paths; p; p = p->next) {
        for (size_t i = 0; i < p->chosen_count; i++) {
            if (!is_set(&p->chosen[i]))
                checks_fail("path %s: generation %lu was never chosen, a later one was", p->name,
                            (unsigned long)i + 1);
        }
    }
}
