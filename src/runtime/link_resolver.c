/*
 * Host names, looked up where nobody waits. The system's resolver blocks, for ten seconds and more
 * while its servers do not answer; a node that waited for it would be silent for that long, and
 * without its links, to its clients too. So one thread asks, name after name.
 *
 * A lookup cannot be called off. Who no longer wants the answer leaves, and the last of the two
 * takes what they share along.
 */
#include <assert.h>
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "runtime/link_internal.h"

/* NONE -> ASKED -> UNDER_WAY -> ANSWERED -> NONE */
enum lookup_state { LOOKUP_NONE, LOOKUP_ASKED, LOOKUP_UNDER_WAY, LOOKUP_ANSWERED };

struct lookup {
    enum lookup_state state;
    char host[HOST_BYTES_MAX + 1];
    uint16_t port;
    struct link_lookup answer;
};

/* Of the thread and its owner; all of it under the lock. */
struct shared {
    pthread_mutex_t lock;
    pthread_cond_t asked;
    unsigned users;
    bool ended; /* the owner has left, and `wake_fd` is closed */
    int wake_fd;
    struct lookup lookups[NODES_MAX];
};

struct link_resolver {
    struct shared *shared;
    struct event readable;
    link_resolved *on_answer;
    void *context;
};

/* ---- what both share ---- */

static struct shared *
shared_new(void)
{
    struct shared *shared = calloc(1, sizeof(*shared));

    if (!shared)
        return NULL;
    shared->users = 1;
    shared->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (shared->wake_fd < 0) {
        free(shared);
        return NULL;
    }
    (void)pthread_mutex_init(&shared->lock, NULL);
    (void)pthread_cond_init(&shared->asked, NULL);
    return shared;
}

/* The caller holds the lock, and gives it up. */
static void
shared_leave(struct shared *shared)
{
    bool last = --shared->users == 0;

    pthread_mutex_unlock(&shared->lock);
    if (!last)
        return;
    (void)pthread_cond_destroy(&shared->asked);
    (void)pthread_mutex_destroy(&shared->lock);
    free(shared);
}

static struct lookup *
lookup_in(struct shared *shared, enum lookup_state state)
{
    for (unsigned i = 0; i < NODES_MAX; i++) {
        if (shared->lookups[i].state == state)
            return &shared->lookups[i];
    }
    return NULL;
}

/* ---- the thread ---- */

/* The lock is held before and after, and not while the system's resolver takes its time. */
static void
look_up(struct shared *shared, struct lookup *lookup)
{
    const uint64_t one = 1;
    char host[HOST_BYTES_MAX + 1];
    struct link_lookup answer = {0};
    uint16_t port = lookup->port;

    memcpy(host, lookup->host, sizeof(host));
    lookup->state = LOOKUP_UNDER_WAY;
    pthread_mutex_unlock(&shared->lock);
    answer.err = link_resolve(host, port, &answer.addresses, answer.why, sizeof(answer.why));
    pthread_mutex_lock(&shared->lock);
    lookup->answer = answer;
    lookup->state = LOOKUP_ANSWERED;
    if (shared->ended)
        return;
    /* It cannot be full: the owner empties it, and has asked for few. */
    ssize_t put = write(shared->wake_fd, &one, sizeof(one));
    (void)put;
}

static void *
resolver_run(void *context)
{
    struct shared *shared = context;

    pthread_mutex_lock(&shared->lock);
    while (!shared->ended) {
        struct lookup *lookup = lookup_in(shared, LOOKUP_ASKED);

        if (lookup)
            look_up(shared, lookup);
        else
            pthread_cond_wait(&shared->asked, &shared->lock);
    }
    shared_leave(shared);
    return NULL;
}

/* Signals belong to the main thread. */
static bool
thread_start(struct shared *shared)
{
    sigset_t all, before;
    pthread_t thread;
    bool started;

    sigfillset(&all);
    if (pthread_sigmask(SIG_SETMASK, &all, &before) != 0)
        return false;
    shared->users++;
    started = pthread_create(&thread, NULL, resolver_run, shared) == 0;
    if (started)
        (void)pthread_detach(thread);
    else
        shared->users--;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

/* ---- its owner ---- */

static bool
take_answer(struct shared *shared, unsigned *peer, struct link_lookup *answer)
{
    struct lookup *lookup;

    pthread_mutex_lock(&shared->lock);
    lookup = lookup_in(shared, LOOKUP_ANSWERED);
    if (lookup) {
        *peer = (unsigned)(lookup - shared->lookups);
        *answer = lookup->answer;
        lookup->state = LOOKUP_NONE;
    }
    pthread_mutex_unlock(&shared->lock);
    return lookup != NULL;
}

static void
on_readable(evutil_socket_t fd, short what, void *context)
{
    struct link_resolver *resolver = context;
    struct link_lookup answer;
    uint64_t count;
    unsigned peer;

    (void)what;
    ssize_t got = read(fd, &count, sizeof(count));
    (void)got;
    while (take_answer(resolver->shared, &peer, &answer))
        resolver->on_answer(resolver->context, peer, &answer);
}

enum vault_err
link_resolver_new(struct event_base *base, link_resolved *on_answer, void *context,
                  struct link_resolver **out)
{
    struct link_resolver *resolver = calloc(1, sizeof(*resolver));

    *out = NULL;
    if (!resolver)
        return ERR_NOMEM;
    resolver->on_answer = on_answer;
    resolver->context = context;
    resolver->shared = shared_new();
    if (!resolver->shared) {
        free(resolver);
        return ERR_NOMEM;
    }
    (void)event_assign(&resolver->readable, base, resolver->shared->wake_fd, EV_READ | EV_PERSIST,
                       on_readable, resolver);
    if (event_add(&resolver->readable, NULL) != 0 || !thread_start(resolver->shared)) {
        link_resolver_free(resolver);
        return ERR_NOMEM;
    }
    *out = resolver;
    return OK;
}

bool
link_resolver_ask(struct link_resolver *resolver, unsigned peer, const char *host, uint16_t port)
{
    struct shared *shared = resolver->shared;
    struct lookup *lookup = &shared->lookups[peer];
    bool idle;

    assert(peer < NODES_MAX);
    pthread_mutex_lock(&shared->lock);
    idle = lookup->state == LOOKUP_NONE;
    if (idle) {
        snprintf(lookup->host, sizeof(lookup->host), "%s", host);
        lookup->port = port;
        lookup->state = LOOKUP_ASKED;
        pthread_cond_signal(&shared->asked);
    }
    pthread_mutex_unlock(&shared->lock);
    return idle;
}

void
link_resolver_free(struct link_resolver *resolver)
{
    struct shared *shared;

    if (!resolver)
        return;
    shared = resolver->shared;
    event_del(&resolver->readable);
    pthread_mutex_lock(&shared->lock);
    shared->ended = true;
    close(shared->wake_fd);
    pthread_cond_signal(&shared->asked);
    shared_leave(shared);
    free(resolver);
}
