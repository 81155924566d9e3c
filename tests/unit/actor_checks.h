/*
 * Checkers that know only what the protocol promises of the durable state of all nodes, at all
 * times: which heads were accepted at which ballot by whom, hence which were chosen, and that these
 * form one chain.
 */
#ifndef OSTRAKA_TESTS_ACTOR_CHECKS_H
#define OSTRAKA_TESTS_ACTOR_CHECKS_H

#include "proto/rows.h"

struct chosen_head {
    uint64_t generation;
    uint8_t id[ID_BYTES];
    uint8_t prev[ID_BYTES];
    enum head_kind kind;
    uint64_t version;
    size_t earlier; /* versions that it made before that one */
    uint64_t changed_at_ms;
    uint64_t at_ns; /* when it was first seen to be chosen */
    bool pending;
    bool gone;    /* identity record: deleted */
    bool alters;  /* it makes no version */
    bool expires; /* and says when */
};

struct accepted_head {
    struct ballot ballot;
    struct chosen_head head;
    uint64_t by; /* bit per node: durable there */
};

struct checked_path {
    struct checked_path *next;
    char tenant[TENANT_BYTES_MAX + 1], name[NAME_BYTES_MAX + 1];
    struct accepted_head *accepted;
    size_t accepted_count, accepted_capacity;
    struct chosen_head *chosen; /* by generation - 1; id all zero: not seen to be chosen */
    size_t chosen_count;
    struct ballot highest[NODES_MAX]; /* accepted and durable, by node */
    uint64_t erased[NODES_MAX];       /* everything below that generation is durably gone */
    uint64_t forget_after_ms;         /* of a token's record: sweep.h */
};

struct actor_checks {
    unsigned nodes, shares, majority;
    struct checked_path *paths;
};

void checks_init(struct actor_checks *checks, unsigned nodes, unsigned shares);
void checks_close(struct actor_checks *checks);
/*
 * A path row that has become durable at `node`. Aborts, with a line that says why, when a promise
 * is broken.
 */
void checks_path_row(struct actor_checks *checks, unsigned node, uint64_t now_ns,
                     const struct path_row *row);
/* What the node accepted, and nobody knows to be chosen, counts for nothing any more. */
void checks_store_gone(struct actor_checks *checks, unsigned node);
/*
 * A row that lies in the copy put back: accepted before, and reported until something replaces it.
 */
void checks_row_put_back(struct actor_checks *checks, unsigned node, const struct path_row *row);
/* NULL: nothing was ever accepted there. */
struct checked_path *checks_path(struct actor_checks *checks, struct path path);
/*
 * Durable at the node at some time: accepted at that ballot; everything below that tombstone
 * erased.
 */
bool checks_has_accepted(const struct checked_path *path, unsigned node, struct ballot ballot,
                         const uint8_t head_id[static ID_BYTES]);
bool checks_has_erased(const struct checked_path *path, unsigned node,
                       const uint8_t head_id[static ID_BYTES]);
/* Every generation below a chosen one has been chosen too. */
void checks_at_end(const struct actor_checks *checks);
void checks_fail(const char *why, ...) __attribute__((format(printf, 1, 2), noreturn));

#endif
