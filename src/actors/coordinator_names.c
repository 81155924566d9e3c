/*
 * Listing the names of secrets: docs/protocol.md, "Listing". A list is a job that has no path of
 * its own. In each round all nodes are asked for the page after the names that are settled; what
 * their answers leave open about a name is found out by a job that reads its head.
 *
 * With `every_node` no node's answer may be missing, and a name that is open in them but not there
 * for a read is no absent one either: a node has accepted a head that the read did not hear of, and
 * that may be finished later.
 */
#include <assert.h>
#include <string.h>

#include "actors/authority.h"
#include "actors/coordinator_internal.h"
#include "actors/standing.h"
#include "base/planted.h"
#include "proto/names.h"

enum {
    ROUNDS_MAX = 32,     /* then the page ends where it is */
    ROUND_MS = 300,      /* nodes that have not answered by then are asked again */
    ROUND_AGAIN_MS = 50, /* too many have refused */
    PARTS_PER_STEP = 8,  /* started in one step, so that its effects stay bounded */
    PARTS_UNDER_WAY_MAX = 8,
};

static_assert((PARTS_PER_STEP + 1) * REPLICAS_MAX < EFFECTS_MAX, "starting them");
static_assert((PARTS_UNDER_WAY_MAX + 1) * REPLICAS_MAX < EFFECTS_MAX, "ending them");

/* What one node has said in the present round. In the round's arena. */
struct names_answer {
    bool answered;
    enum refusal refusal;
    uint64_t incarnation;
    bool whole;         /* there is nothing after its names */
    struct bytes until; /* else: up to this one they are all */
    struct listed_name *names;
    size_t count, at; /* at: the first that has not been merged */
};

enum name_verdict { NAME_ABSENT, NAME_THERE, NAME_OPEN };

/* A name of the present round, and the job that reads its head. */
struct name_part {
    struct bytes name;
    enum name_verdict verdict;
    struct request request;
    struct job *job;
};

/* In the job's arena, but for what belongs to the round. */
struct names {
    struct names_answer answers[NODES_MAX];
    struct bytes *found; /* those that are there */
    size_t count;
    uint8_t after_memory[NAME_BYTES_MAX];
    struct bytes after; /* everything up to it is settled */
    unsigned rounds;    /* that were settled */
    bool merged;        /* the parts of this round are being read */
    struct name_part *parts;
    size_t part_count, next, under_way;
    bool ended;         /* nothing comes after the parts */
    struct bytes until; /* else: this, or the last part */
    enum vault_err err; /* of the first part that failed */
};

/* ---- the end ---- */

void
names_abandon(struct work *w)
{
    struct names *n = w->job->names;
    for (size_t i = 0; n && i < n->part_count; i++) {
        struct work part = {w->c, w->st, n->parts[i].job, w->out};
        if (!part.job)
            continue;
        n->parts[i].job = NULL;
        part.job->request = NULL;
        job_end(&part);
    }
    w->job->names = NULL;
}

static void
answer_names(struct work *w, bool has_next)
{
    const struct names *n = w->job->names;
    struct reply reply = {
        .names = n->found, .name_count = n->count, .has_next = has_next, .names_next = n->after};
    job_reply(w, &reply);
    job_end(w);
}

/* What is settled by now is a page, if there is anything. */
void
names_deadline(struct work *w)
{
    if (w->job->names->rounds > 0)
        answer_names(w, true);
    else
        job_fail(w, ERR_NO_QUORUM);
}

/* ---- asking ---- */

static size_t
wanted(const struct work *w)
{
    return w->job->request->limit - w->job->names->count;
}

static void
ask_pages(struct work *w)
{
    struct job *job = w->job;
    struct names *n = job->names;
    size_t limit = wanted(w) < SCAN_NAMES_MAX ? wanted(w) : SCAN_NAMES_MAX;
    job_new_round(w);
    memset(n->answers, 0, sizeof(n->answers));
    n->merged = false;
    n->part_count = 0;
    job->phase = JOB_NAMING;
    job->attempts++;
    for (uint8_t i = 0; i < w->c->membership->cluster->node_count; i++) {
        struct msg *m = effect_send(w->out, MSG_SCAN, i, NULL);
        m->op = job->op;
        m->request_id = job->request_id;
        m->u.scan.tenant = job->path.tenant;
        m->u.scan.prefix = job->request->names_prefix;
        m->u.scan.after = n->after;
        m->u.scan.limit = limit;
        m->u.scan.credential = job->credential;
    }
    job_timer(w, duration_ms(ROUND_MS));
}

void
names_start(struct work *w)
{
    struct job *job = w->job;
    struct bytes after = job->request->names_after;
    struct names *n = arena_alloc(&job->arena, sizeof(*n));
    if (!n || job->request->limit == 0 || after.size > NAME_BYTES_MAX) {
        job_fail(w, n ? ERR_BAD_PARAMETER : ERR_NOMEM);
        return;
    }
    if (job->request->every_node && !PLANTED(every_node_is_enough) &&
        !membership_all_connected(w->c->membership)) {
        job_fail(w, ERR_NO_QUORUM);
        return;
    }
    memset(n, 0, sizeof(*n));
    n->found = arena_alloc(&job->arena, job->request->limit * sizeof(*n->found));
    if (!n->found) {
        job_fail(w, ERR_NOMEM);
        return;
    }
    if (after.size > 0)
        memcpy(n->after_memory, after.data, after.size);
    n->after = bytes_of(n->after_memory, after.size);
    job->names = n;
    ask_pages(w);
}

/* ---- merging ---- */

static bool
counts(const struct work *w, unsigned node)
{
    const struct names_answer *a = &w->job->names->answers[node];
    return a->answered && a->refusal == REFUSED_NONE &&
           a->incarnation >= w->c->membership->members[node].incarnation;
}

/*
 * An acknowledged head is on m replicas, so the answers of all nodes but m - 1 contain at least one
 * that has it, or a later one, wherever the path is placed.
 */
static unsigned
enough(const struct work *w)
{
    const struct cluster *cluster = w->c->membership->cluster;
    if (w->job->request->every_node && !PLANTED(every_node_is_enough))
        return cluster->node_count;
    return cluster->node_count - cluster_majority(cluster) + 1 - PLANTED(list_without_quorum);
}

/* The page goes on from where it was asked for, and ends where it says. */
static bool
fits(const struct work *w, const struct names_answer *a)
{
    struct bytes after = w->job->names->after, prefix = w->job->request->names_prefix;
    bool forward = a->whole || after.size == 0 || bytes_compare(a->until, after) > 0;
    for (size_t i = 0; i < a->count; i++) {
        struct bytes name = a->names[i].name;
        if ((after.size > 0 && bytes_compare(name, after) <= 0) || !bytes_begin_with(name, prefix))
            return false;
    }
    return forward &&
           (a->whole || a->count == 0 || bytes_compare(a->names[a->count - 1].name, a->until) <= 0);
}

/* The first name that is left in any answer; false: none, or none that all answers go as far as. */
static bool
first_name(const struct work *w, struct bytes *out)
{
    const struct names *n = w->job->names;
    bool any = false;
    for (uint8_t i = 0; i < w->c->membership->cluster->node_count; i++) {
        const struct names_answer *a = &n->answers[i];
        if (!counts(w, i) || a->at == a->count)
            continue;
        if (!any || bytes_compare(a->names[a->at].name, *out) < 0)
            *out = a->names[a->at].name;
        any = true;
    }
    return any && (n->ended || bytes_compare(*out, n->until) <= 0);
}

/*
 * What the answers say of a name: the head with the highest ballot, if it is known chosen. At one
 * ballot there is one head.
 */
struct name_evidence {
    struct ballot ballot;
    enum listed_kind kind;
    unsigned accepted; /* at that ballot, each by itself */
    bool chosen, unsure;
};

static void
weigh(struct name_evidence *e, const struct listed_name *said)
{
    int order = ballot_compare(said->ballot, e->ballot);
    e->unsure = e->unsure || said->kind == LISTED_UNSURE;
    if (order < 0)
        return;
    if (order > 0)
        *e =
            (struct name_evidence){.ballot = said->ballot, .kind = said->kind, .unsure = e->unsure};
    e->unsure = e->unsure || said->kind != e->kind;
    e->chosen = e->chosen || said->state == STATE_CHOSEN;
    e->accepted += said->state != STATE_RECEIVED;
}

static enum name_verdict
verdict_of(const struct work *w, const struct name_evidence *e)
{
    bool chosen = e->chosen || (!e->ballot.offer && e->accepted >= job_majority(w));
    if (e->unsure || e->kind == LISTED_PENDING || !chosen)
        return NAME_OPEN;
    return e->kind == LISTED_LIVE ? NAME_THERE : NAME_ABSENT;
}

/* Takes the name out of all answers. Who keeps no path of that name has nothing to say of it. */
static enum name_verdict
judge_name(struct work *w, struct bytes name)
{
    struct names *n = w->job->names;
    struct path path = {w->job->path.tenant, name};
    struct name_evidence evidence = {0};
    struct replicas replicas;
    membership_replicas(w->c->membership, path, &replicas);
    for (uint8_t i = 0; i < w->c->membership->cluster->node_count; i++) {
        struct names_answer *a = &n->answers[i];
        if (!counts(w, i) || a->at == a->count || !bytes_equal(a->names[a->at].name, name))
            continue;
        if (replicas_index(&replicas, i) >= 0)
            weigh(&evidence, &a->names[a->at]);
        a->at++;
    }
    return ballot_is_none(evidence.ballot) ? NAME_ABSENT : verdict_of(w, &evidence);
}

/* Up to where all answers go. */
static void
find_end(struct work *w)
{
    struct names *n = w->job->names;
    n->ended = true;
    for (uint8_t i = 0; i < w->c->membership->cluster->node_count; i++) {
        const struct names_answer *a = &n->answers[i];
        if (!counts(w, i) || a->whole)
            continue;
        if (n->ended || bytes_compare(a->until, n->until) < 0)
            n->until = a->until;
        n->ended = false;
    }
}

/*
 * The others leave out what the caller may not list from anywhere at any time; this node knows both.
 */
static void
merge(struct work *w)
{
    struct names *n = w->job->names;
    struct authority_listing listing;
    struct bytes name = {0};
    size_t room = wanted(w);
    n->parts = arena_alloc(&w->job->round, room * sizeof(*n->parts));
    enum vault_err err =
        n->parts ? authority_listing_of_request(w->c->membership, w->st, w->job->request, &listing)
                 : ERR_BUSY;
    if (err != OK) {
        job_fail(w, err);
        return;
    }
    n->merged = true;
    n->next = 0;
    find_end(w);
    while (n->part_count < room && first_name(w, &name)) {
        enum name_verdict verdict = judge_name(w, name);
        if (verdict != NAME_ABSENT &&
            (authority_may_list(&listing, name) || PLANTED(names_without_check)))
            n->parts[n->part_count++] = (struct name_part){.name = name, .verdict = verdict};
    }
    if (n->part_count == room && first_name(w, &name)) {
        n->ended = false; /* there is no room for what follows */
        n->until = n->parts[room - 1].name;
    }
    names_continue(w);
}

/* ---- names that the answers leave open ---- */

/* False: no room for one more now. */
static bool
start_part(struct work *w, size_t number)
{
    struct names *n = w->job->names;
    struct name_part *part = &n->parts[number];
    part->request = (struct request){.kind = REQUEST_READ,
                                     .routed = true,
                                     .id = w->job->request_id,
                                     .tenant = w->job->path.tenant,
                                     .name = part->name,
                                     .credential = w->job->credential};
    struct job *job = job_new(w->c, w->st, &part->request);
    if (!job)
        return false;
    struct work child = {w->c, w->st, job, w->out};
    part->job = job;
    n->under_way++;
    job->role = ROLE_NAME_PART;
    job->parent = w->job;
    job->part = number;
    job->request = &part->request;
    job->head_only = true;
    job_resume(&child);
    return true;
}

void
names_part_answered(struct work *w, const struct reply *reply)
{
    struct work list = {w->c, w->st, w->job->parent, w->out};
    struct names *n = list.job->names;
    struct name_part *part = &n->parts[w->job->part];
    part->job = NULL;
    n->under_way--;
    if (reply->err == OK)
        part->verdict = NAME_THERE;
    else if (reply->err == ERR_NOT_FOUND &&
             (!list.job->request->every_node || PLANTED(open_name_is_absent)))
        part->verdict = NAME_ABSENT;
    else if (n->err == OK)
        n->err = reply->err == ERR_NOT_FOUND ? ERR_NOT_READY : reply->err;
    job_timer(&list, duration_ms(0));
}

static void
end_round(struct work *w)
{
    struct names *n = w->job->names;
    for (size_t i = 0; i < n->part_count; i++) {
        if (n->parts[i].verdict != NAME_THERE)
            continue;
        if (arena_copy(&w->job->arena, n->parts[i].name, &n->found[n->count]) != OK) {
            job_fail(w, ERR_BUSY);
            return;
        }
        n->count++;
    }
    n->rounds++;
    if (!n->ended) {
        memmove(n->after_memory, n->until.data, n->until.size);
        n->after = bytes_of(n->after_memory, n->until.size);
    }
    if (n->ended || wanted(w) == 0 || n->rounds == ROUNDS_MAX)
        answer_names(w, !n->ended);
    else
        ask_pages(w);
}

/* Starts what may be started; the others follow in later steps, or when some have ended. */
static void
go_on_with_parts(struct work *w)
{
    struct names *n = w->job->names;
    unsigned started = 0;
    bool room = true;
    while (n->err == OK && n->next < n->part_count && started < PARTS_PER_STEP &&
           n->under_way < PARTS_UNDER_WAY_MAX) {
        bool open = n->parts[n->next].verdict == NAME_OPEN;
        room = !open || start_part(w, n->next);
        if (!room)
            break;
        started += open;
        n->next++;
    }
    if (n->err != OK)
        job_fail(w, n->err);
    else if (n->next == n->part_count && n->under_way == 0)
        end_round(w);
    else if (!room && n->under_way == 0)
        job_fail(w, ERR_BUSY); /* there was no room for even one */
    else if (n->next < n->part_count && n->under_way < PARTS_UNDER_WAY_MAX)
        job_timer(w, duration_ms(0));
}

void
names_continue(struct work *w)
{
    if (w->job->names->merged)
        go_on_with_parts(w);
    else
        ask_pages(w); /* too few have answered in time */
}

/* ---- answers ---- */

static enum vault_err
keep_answer(struct work *w, struct names_answer *a, const struct msg_scanned *said)
{
    struct bytes encoded;
    struct listed_name *names = arena_alloc(&w->job->round, SCAN_NAMES_MAX * sizeof(*names));
    if (!names || arena_copy(&w->job->round, said->names, &encoded) != OK ||
        arena_copy(&w->job->round, said->until, &a->until) != OK ||
        sim_maybe(w->st, read_no_memory))
        return ERR_NOMEM;
    a->names = names;
    a->whole = said->until.size == 0;
    return listed_names_decode(encoded, names, &a->count);
}

static void
take_answer(struct work *w, struct names_answer *a, const struct msg_scanned *said)
{
    a->refusal = said->refusal;
    a->incarnation = said->incarnations.of[0];
    if (a->refusal != REFUSED_NONE)
        return;
    enum vault_err err = keep_answer(w, a, said);
    if (err == OK && !fits(w, a))
        err = ERR_MALFORMED;
    if (err == OK)
        return;
    *a = (struct names_answer){.answered = true,
                               .refusal = err == ERR_NOMEM ? REFUSED_BUSY : REFUSED_CORRUPT};
    if (err != ERR_NOMEM)
        job_log(w, LOG_WARN, "bad_names", err);
}

void
names_on_scanned(struct work *w, const struct msg *in)
{
    struct job *job = w->job;
    struct names *n = job->names;
    struct names_answer *a = &n->answers[in->from];
    unsigned nodes = w->c->membership->cluster->node_count, good = 0, refused = 0;
    if (job->phase != JOB_NAMING || n->merged || a->answered ||
        !standing_counts_whole(w->c->membership, in->from, &in->u.scanned.incarnations))
        return;
    a->answered = true;
    take_answer(w, a, &in->u.scanned);
    for (unsigned i = 0; i < nodes; i++) {
        good += counts(w, i);
        refused += n->answers[i].answered && !counts(w, i);
    }
    if (good >= enough(w))
        merge(w);
    else if (nodes - refused < enough(w))
        job_timer(w, duration_ms(ROUND_AGAIN_MS));
}
