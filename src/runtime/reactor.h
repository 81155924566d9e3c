/*
 * The reactor: one thread and one libevent loop for the actors, the links and HTTPS. It turns what
 * comes in (requests, frames, completions of storage, timers, signals) into messages of the node,
 * and executes the effects that the node asks for. Links are flushed once per turn of the loop.
 */
#ifndef OSTRAKA_RUNTIME_REACTOR_H
#define OSTRAKA_RUNTIME_REACTOR_H

#include "actors/node.h"
#include "runtime/certificate_watch.h"
#include "runtime/config_file.h"
#include "runtime/tls.h"
#include "store/storage_io.h"

struct reactor;

struct reactor_options {
    const struct config *config; /* borrowed */
    const struct log_sink *log;
    struct store *store;                 /* borrowed */
    struct storage_io *storage;          /* borrowed */
    struct secret_arena *secrets;        /* borrowed; closed */
    size_t shares_kept;                  /* actors/node.h */
    struct share_keyring *ring;          /* borrowed */
    const struct secret *share_wrap_key; /* borrowed */
    const struct master_key *master;     /* borrowed; NULL: none */
    bool master_incorrect;
    struct node_row row;
    struct peer_row peers[NODES_MAX];
    struct tls_context *api, *link_server, *link_client; /* borrowed */
    struct rng rng;
    void *save_context;
    /* Writes the ring of share keys to its file, durably; the secrets arena is closed. */
    enum vault_err (*save_share_keys)(void *context);
    struct bucket_keys *buckets;                       /* borrowed */
    enum vault_err (*save_bucket_keys)(void *context); /* in the same way */
    enum store_finding finding;                        /* these two as in node_options */
    uint64_t incarnation_known;
    /* The node's store is a new incarnation, durably; before anybody hears of it. */
    void (*on_incarnation)(void *context, uint64_t incarnation);
    const struct signing_key *signing; /* borrowed */
    struct signing_keys signers[NODES_MAX];
    struct certificate_watch certificates;
};

/* Makes the node, listens. Errors with a sentence in `why`. */
MUST_CHECK enum vault_err reactor_new(const struct reactor_options *options, struct reactor **out,
                                      char *why, size_t why_size);
/*
 * Runs until SIGTERM or SIGINT, then drains for at most 4 s. Errors: ERR_ENTROPY, ERR_IO: the
 * process must end as failed.
 */
MUST_CHECK enum vault_err reactor_run(struct reactor *reactor);
void reactor_free(struct reactor *reactor);

#endif
