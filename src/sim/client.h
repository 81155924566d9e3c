/*
 * Clients: each does one operation after the other, at nodes of its choice, and remembers what it asked and what it was told. An
 * operation whose answer never came, or that ended in the writing phase, is open: it may have happened, may happen later, or never.
 */
#ifndef OSTRAKA_SIM_CLIENT_H
#define OSTRAKA_SIM_CLIENT_H

#include "proto/head.h"
#include "proto/request.h"

enum op_outcome {
    OP_PENDING,
    OP_DONE,    /* as answered */
    OP_REFUSED, /* by what is there: the reply's error says something about the path */
    OP_NOTHING, /* it did not happen, and nothing is known by it */
    OP_OPEN,    /* a change that may have happened */
};

enum { ATTEMPTS_MAX = 4 };

/* The same operation asked for once more, under the same key, at a node of its own. */
struct attempt {
    unsigned node;
    bool live;      /* its node has not answered, and runs */
    bool delivered; /* it has reached its node */
    uint64_t called_ns;
    uint64_t paused_ns; /* total pause of its node before it began */
};

enum { BATCH_OPS_MAX = 8 };

/* Operations that are one request; the first of them leads. */
struct sim_batch {
    struct op *members[BATCH_OPS_MAX];
    struct batch_item items[BATCH_OPS_MAX];
    size_t count;
    struct request request;
    uint64_t seen_ns; /* when a read of one of its values first returned; 0: none did */
};

enum listed_said { SAID_NOTHING, SAID_ABSENT, SAID_THERE };

struct op {
    uint64_t number; /* from 1 */
    unsigned path;
    unsigned client, node; /* node of the last attempt */
    struct attempt attempts[ATTEMPTS_MAX];
    unsigned attempt_count;
    bool unsettled; /* an earlier attempt was given up, or ended open: it may have happened */
    uint64_t called_ns, ended_ns;
    enum op_outcome outcome;
    struct request request; /* views into memory of its own; valid until answered */
    char name[48], id[24], key[24];
    uint8_t *value;                /* of a write, while it is under way */
    size_t value_size;             /* of a write; the bytes follow from its number */
    struct reply reply;            /* without its views */
    uint64_t read_number;          /* READ: write whose value came back */
    uint64_t valid_from_ms;        /* of a write, as first told to anybody; 0: never was */
    uint64_t seen_version;         /* of a write, likewise */
    uint64_t newest_version;       /* HISTORY: first row */
    uint64_t *valid_from;          /* HISTORY: of each row */
    uint8_t *listed;               /* NAMES: what it says of each path: enum listed_said */
    struct sim_batch *batch;       /* that it is a member of; owned by the first */
    struct alteration *alteration; /* ALTER */
    uint8_t *states;               /* HISTORY: of each row: enum version_state */
};

struct client {
    struct op *op; /* under way */
    unsigned node; /* that it prefers */
    bool gone;     /* it does not wait for its answer */
};

struct sim_path {
    char name[48];
    uint64_t version; /* latest that any client has heard of; 0: gone or never there */
    uint64_t times[8];
    unsigned time_count;
    uint64_t reads_at; /* bit per node: it was asked for a value, or to compare one with a key's */
    unsigned keyed_changes; /* that clients have begun under a key */
};

struct clients {
    struct op **ops;
    size_t count, capacity;
    struct client *clients;
    struct sim_path *paths;
    unsigned path_count;
    uint64_t in_flight;
    uint64_t by_outcome[OP_OPEN + 1];
    uint64_t by_kind[REQUEST_KINDS];
    uint64_t by_error[64];
    bool stop;       /* no new operations */
    uint64_t budget; /* operations still to be begun */
};

struct world;

void clients_init(struct world *world);
void clients_close(struct world *world);
void client_turn(struct world *world, unsigned client);
/* A request reaches its node; `exchange` names the operation and its attempt. */
void client_deliver(struct world *world, uint64_t exchange);
/* The client has waited long enough, and asks another node. */
void client_impatient(struct world *world, uint64_t exchange);

void client_reply(struct world *world, unsigned node, uint64_t exchange, const struct reply *reply);
/* The node has ended; `life` is the one that ended. */
void clients_node_crashed(struct world *world, unsigned node);
/* Begins one operation for the checker of healing. Value for CREATE and UPDATE is made up. */
struct op *client_begin(struct world *world, unsigned client, unsigned node, unsigned path,
                        const struct request *request);
const char *op_outcome_name(enum op_outcome outcome);

#endif
