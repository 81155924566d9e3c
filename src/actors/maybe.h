/*
 * Rare branches that the simulator takes more often than chance would: a full queue, a full table,
 * memory that is missing, a notice that comes late, a timer that fires early. A site asks
 * sim_maybe() beside its own condition, and does what it would do anyway in that rare case; it must
 * be right to do so at any time.
 *
 * In the server struct step has no oracle, and every site is false. In the simulator the seed
 * answers; a run over seeds prints how often each site struck, and --every-site demands that each
 * did.
 */
#ifndef OSTRAKA_ACTORS_MAYBE_H
#define OSTRAKA_ACTORS_MAYBE_H

#include <stdbool.h>
#include <stddef.h>

/* X(name, what happens) */
#define MAYBE_SITES(X)                                                                             \
    X(gateway_full, "a request is refused as busy")                                                \
    X(jobs_full, "there is no room for another job")                                               \
    X(horizon_behind, "a coordinator waits for its own horizon")                                   \
    X(vote_timer_early, "votes are asked for again after a millisecond")                           \
    X(vote_no_memory, "what a voter said cannot be kept")                                          \
    X(finish_no_memory, "what another began cannot be kept, to be finished")                       \
    X(write_timer_early, "writes are sent again after a millisecond")                              \
    X(chosen_late, "the notice of a chosen head leaves a second late")                             \
    X(chosen_dropped, "the notice of a chosen head never leaves")                                  \
    X(erased_early, "a deletion is answered without waiting for the last replicas")                \
    X(hedge_early, "a read asks everybody at once")                                                \
    X(hedge_dropped, "a read does not ask more nodes when it should")                              \
    X(read_no_memory, "what a holder said cannot be kept")                                         \
    X(queue_full, "a path's queue is full")                                                        \
    X(map_full, "the table of paths is full: promises go into the floor")                          \
    X(park_full, "there is no room to park a vote")                                                \
    X(park_timer_early, "a parked vote waits a millisecond only")                                  \
    X(rows_no_memory, "rows cannot be asked for")                                                  \
    X(pump_yields, "what waits for a path is handled in another step")                             \
    X(local_message_lost, "a message between two actors of a node is lost")                        \
    X(self_message_lost, "a message of a node to itself is lost")                                  \
    X(repair_round_cut, "a round over what is outstanding ends early")                             \
    X(no_offer, "a new secret is voted on at once, where it could be offered")                     \
    X(self_message_later, "a node handles its own part of an offer in a later step")               \
    X(group_of_one, "an update is made alone, where others wait behind it")                        \
    X(row_no_memory, "the row of a path cannot be kept")

enum maybe_site {
#define X(name, text) MAYBE_##name,
    MAYBE_SITES(X)
#undef X
        MAYBE_SITE_COUNT
};

struct maybe {
    void *context;
    bool (*strikes)(void *context, enum maybe_site site);
};

/* `oracle` NULL: never. */
static inline bool
maybe_strikes(const struct maybe *oracle, enum maybe_site site)
{
    return oracle != NULL && oracle->strikes(oracle->context, site);
}

/* `name` is one of MAYBE_SITES, `step` a struct step. */
#define sim_maybe(step, name) maybe_strikes((step)->maybe, MAYBE_##name)

#endif
