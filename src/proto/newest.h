/*
 * Which of the heads that replicas report to have accepted a change goes by: h* of docs/protocol.md.
 * The rule is the coordinator's, and that of each replica that looks at a proof of votes.
 */
#ifndef OSTRAKA_PROTO_NEWEST_H
#define OSTRAKA_PROTO_NEWEST_H

#include "proto/msg.h"

/* What one replica of a majority has accepted. */
struct reported {
    enum accepted_state state;
    struct ballot ballot;
    const uint8_t *head_id; /* NULL when absent */
};

/*
 * The index of the report with the highest ballot. An offer that nobody calls chosen counts only
 * when everybody has it: it is chosen by all replicas or not at all, so one who has accepted
 * nothing, or something else, shows that it is not. -1: nothing is there that could be chosen.
 */
int newest_reported(const struct reported *reports, size_t count);

#endif
