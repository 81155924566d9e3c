/*
 * The simulated world: everything of one seed. One thread, one virtual clock, one heap of events; whatever happens is decided by
 * the streams of numbers that the seed gives.
 */
#ifndef OSTRAKA_SIM_WORLD_H
#define OSTRAKA_SIM_WORLD_H

#include "actors/door.h"
#include "actors/node.h"
#include "sim/bearers.h"
#include "sim/check_chain.h"
#include "sim/check_shred.h"
#include "sim/client.h"
#include "sim/costs.h"
#include "sim/disk.h"
#include "sim/faults.h"
#include "sim/lives.h"
#include "sim/prng.h"
#include "sim/sites.h"
#include "sim/thief.h"
#include "sim/tokens.h"
#include "sim/trace.h"

enum { CANARY_BYTES = 16, REQUEST_DEADLINE_MS = 5000, MSG_KINDS_MAX = 256, LET_IN_KEPT = 16 };

/* How a run ended: exit statuses of the program. */
enum sim_end { SIM_OK = 0, SIM_USAGE = 2, SIM_SAFETY = 10, SIM_LIVENESS = 11, SIM_CRASH = 12 };

enum event_kind {
    EVENT_FRAME,
    EVENT_TIMER,
    EVENT_LOAD,
    EVENT_SCAN,
    EVENT_COMMIT,
    EVENT_SYNC,
    EVENT_STORED,
    EVENT_LINK,
    EVENT_REQUEST,
    EVENT_KEYS,       /* the share keys are looked after */
    EVENT_BUCKETS,    /* the file of bucket keys is replaced */
    EVENT_NODE_KINDS, /* those before it happen in one life of one node, and wait while it is paused */
    EVENT_START,
    EVENT_CLIENT,
    EVENT_IMPATIENT,
    EVENT_TOKENS,
    EVENT_BEARERS,
    EVENT_FAULT,
    EVENT_FAULT_END,
    EVENT_SPLIT,
    EVENT_LIVES,
};

struct event {
    uint64_t due_ns, order;
    enum event_kind kind;
    unsigned node; /* or client, or fault */
    unsigned from; /* FRAME, LINK; FAULT_END: one of two nodes */
    unsigned to;   /* FAULT_END: the other */
    uint64_t life;
    enum actor_id actor;
    uint64_t tag;
    enum vault_err err;
    size_t limit; /* SCAN */
    bool with_values;
    size_t sizes[LOAD_KEYS_MAX];
    size_t count;      /* LOAD: keys */
    size_t along;      /* LOAD: bytes of a prefix, behind the keys */
    struct bytes data; /* behind the struct: frame; keys; prefix and what to scan after */
};

struct sim_key {
    uint64_t id; /* 0: none */
    uint8_t private_half[X25519_BYTES];
};

struct sim_node {
    struct node *node; /* NULL: down */
    uint64_t life;     /* counts starts and crashes: events of another life are void */
    struct disk disk;
    struct secret_arena *secrets;
    struct share_keyring ring;
    struct sim_key saved_keys[SHARE_KEYS_MAX]; /* the file of share keys, oldest first */
    struct secret wrap_key;
    struct bucket_keys buckets;
    struct buf bucket_file; /* the file of bucket keys */
    struct prng prng;
    struct rng rng;
    struct metrics metrics;
    struct arena arena; /* of the present step */
    struct log_sink log;
    char name[NODE_NAME_BYTES_MAX + 1];
    struct world *world;

    /* clock: local = base + (true time since) * speed */
    int64_t wall_offset_ms;
    int64_t drift_ppm;
    bool clock_ahead; /* by seconds, for a plot */

    uint64_t paused_until_ns;
    uint64_t paused_total_ns;
    bool entropy_fails;     /* from now on */
    bool entropy_failed;    /* a draw has failed in this step */
    bool mismatched;        /* runs with another configuration */
    bool was_mismatched;    /* in some life */
    bool link_knows_config; /* and its peers refuse its links for it */
    bool spoilt;            /* its clock was an hour wrong, or as below: phase 2 does without it */
    /* It took part with another configuration: phase 3 asks nothing of it either. */
    bool left_out;
    bool rotten; /* a row has: phase 2 does without it, phase 3 demands that it is whole again */
    bool dead;   /* for good */

    /* What it may count as damage: check_status.c. */
    bool damaged; /* something here has rotted, or lies under a key that is gone */
    uint64_t excused_from, excused;  /* what it counted while it had another configuration */
    uint8_t copied_keys[HASH_BYTES]; /* of the file of bucket keys when the older copy was made */

    /* stores.c: until the node has become a new incarnation */
    bool store_lost;
    bool rolled_back;
    bool went_back;               /* the same, and for ever */
    bool file_lost;               /* the sequence file beside the store too */
    uint64_t incarnation_in_file; /* while it is there */
    uint64_t rolled_back_incarnation, sequence_cut;
    bool lose_store; /* with the present step */
    bool restart_soon;
    uint64_t checked_incarnation;   /* that its promises are held against */
    uint64_t forgetful_incarnation; /* the last that began without the store of the one before */
    struct signing_key signing;
    struct door door;                /* as the server has one, where the world has limits */
    uint64_t let_in_ns[LET_IN_KEPT]; /* check_door.c, newest first */
    unsigned let_in_count;
    unsigned effects_left; /* until it crashes in the present step; UINT32_MAX: it does not */
    bool dying;
};

struct sim_options {
    uint64_t seed;
    unsigned nodes, shares, threshold; /* N, n, k */
    unsigned clients;
    unsigned operations; /* of phase 1 */
    unsigned hot_paths, cold_paths;
    unsigned hot_permille;
    uint64_t think_us_max;
    uint64_t net_us_min, net_us_max;
    uint64_t disk_us_min, disk_us_max;
    size_t value_bytes_max;
    size_t paths_max, requests_max;
    unsigned weights[8];     /* of the kinds of operations */
    unsigned buckets;        /* of each node */
    uint64_t shred_ms;       /* shred interval */
    uint64_t sweep_slack_ms; /* 0: the default, longer than any run */
    bool verbose, calm;
    const char *without;  /* fault kinds that this run does not have, with commas between */
    const char *tolerate; /* a property that is known to be broken: not judged */
    /* Limits of the tenant "other": versions kept, and when new secrets expire; 0: none. */
    unsigned other_versions, other_expires_s;
    unsigned other_rate;                          /* requests in a second at each node */
    unsigned cost_nodes, cost_shares, cost_paths; /* not 0: a world in which costs are counted */
};

/* plot.c: what is under way around a store that is to be lost. */
enum plot_kind {
    PLOT_NONE,
    PLOT_LONELY_WRITE,
    PLOT_LATE_VOTE,
    PLOT_EARLY_VOTE,
    PLOT_SILENT_VOTER,
    PLOT_LATE_WRITES,
    PLOT_RIVALS_WAIT
};
struct plot {
    enum plot_kind kind;
    unsigned coordinator, victim, company; /* company: bit per node */
    bool passes;                           /* the frame that set off a cut was faster */
    unsigned path;                         /* that it is about */
    unsigned write_again;                  /* with that repetition the company gets its WRITE */
    uint64_t until_ns, next_ns;
    uint64_t next_rot_ns; /* plot_doubt.c */
};

enum sim_phase { PHASE_FAULTS, PHASE_HEALED, PHASE_WHOLE };

struct world {
    struct sim_options options;
    struct prng prng, net_prng, disk_prng, fault_prng, client_prng;
    uint64_t now_ns;
    uint64_t order, steps, frames;
    uint64_t status_checked; /* at that step */
    bool clock_moved;        /* a plot has put a node's clock forward */
    uint64_t frames_sent[NODES_MAX][MSG_KINDS_MAX];
    uint64_t votes_seen[NODES_MAX]; /* that left it */
    struct event **heap;
    size_t heap_size, heap_capacity;
    struct cluster cluster, other_cluster; /* the second for a mismatched node */
    struct placement placement;            /* of the first */
    struct sim_node nodes[NODES_MAX];
    unsigned current; /* node of the present step */
    bool stepping;
    bool
        window; /* a store went back and nobody who was asked remembers: the run proves nothing more */
    enum sim_phase phase;

    bool cut[NODES_MAX][NODES_MAX]; /* frames from, to */
    bool refused[NODES_MAX][NODES_MAX];
    bool connected[NODES_MAX][NODES_MAX]; /* as told to the first */
    uint64_t clogged_until_ns[NODES_MAX][NODES_MAX];
    uint64_t last_due_ns[NODES_MAX][NODES_MAX];

    struct faults faults;
    struct sites sites;
    struct maybe maybe;
    struct plot plot;
    struct clients clients;
    struct tokens tokens;
    struct bearers bearers;
    struct lives lives;
    struct thief thief;
    struct check_chain chain;
    struct check_shred shred;
    bool frame_late;                 /* the frame on its way out is struck by help_late */
    struct check_blinding *blinding; /* made when the first question for help leaves */
    uint8_t canary[CANARY_BYTES];
    struct costs costs;
    struct trace trace;
};

extern const uint64_t sim_wall_start_ms;

struct world *world_new(const struct sim_options *options);
void world_free(struct world *world);
/* Runs the next event due by then; false: there is none, and the time is `until_ns`. */
bool world_step(struct world *world, uint64_t until_ns);
struct event *event_new(struct world *world, enum event_kind kind, unsigned node, uint64_t after_ns,
                        size_t extra);
void event_append(struct event *event, size_t at, struct bytes bytes);
void event_push(struct world *world, struct event *event);
static inline uint64_t
ms_to_ns(uint64_t ms)
{
    return ms * 1000000;
}
unsigned world_majority(const struct world *world); /* of the replicas of a path */
/* Bit per node: the replicas of a path, whatever a node with another configuration may think. */
uint64_t world_replicas(const struct world *world, struct path path);

/* Prints seed, property and the last events, and ends the process with `end`. */
void sim_fail(struct world *world, enum sim_end end, const char *property, const char *why, ...)
    __attribute__((format(printf, 4, 5), noreturn));

bool sim_tolerates(const struct world *world, const char *property);

/* cluster.c */
void node_init_sim(struct world *world, unsigned node);
void node_close_sim(struct world *world, unsigned node);
void node_boot(struct world *world, unsigned node);
void node_crash(struct world *world, unsigned node);
bool node_up(const struct world *world, unsigned node);
void node_hand(struct world *world, unsigned node, enum actor_id actor, const struct msg *msg);
void node_run_event(struct world *world, const struct event *event);
void node_look_after_keys(struct world *world, unsigned node, bool rotate);
/* Keys that are in the node's memory or in its files now. */
bool node_has_share_key(const struct world *world, unsigned node, uint64_t id);
uint64_t node_wall_ms(const struct world *world, unsigned node);
struct instant node_now(const struct world *world, unsigned node);

/* net.c */
void net_send(struct world *world, unsigned from, unsigned to, struct bytes frame);
void net_link_changed(struct world *world, unsigned a, unsigned b, uint64_t within_ms);
void net_links_changed(struct world *world, unsigned node, uint64_t within_ms);
void net_cut(struct world *world, unsigned from, unsigned to, bool cut);
void net_link_event(struct world *world, const struct event *event);
bool net_whole(const struct world *world, unsigned from, unsigned to);

/* storage.c: the disks' part of the world */
void storage_store(struct world *world, unsigned node, const struct effect *effect);
void storage_load(struct world *world, unsigned node, const struct effect *effect);
void storage_scan(struct world *world, unsigned node, const struct effect *effect);
void storage_event(struct world *world, const struct event *event);
void storage_crash(struct world *world, unsigned node);

/* stores.c */
bool store_is_recovered(const struct world *world, unsigned node);
uint64_t store_incarnation_on_disk(const struct sim_node *n);
/* One more node that is spoilt or has to recover leaves enough others. */
bool store_may_be_spoilt(const struct world *world, unsigned node);
/* The node ends and loses its store, or finds an older copy; false: not now. */
bool store_lose(struct world *world, unsigned node);
void store_forget_path(struct world *world, unsigned node, struct bytes key); /* its row rots */
bool store_roll_back(struct world *world, unsigned node);
void store_finding(const struct world *world, unsigned node, struct node_options *options);
void store_look(struct world *world, unsigned node);
void plot_apart(struct world *world, unsigned part); /* it has just been cut off */
/* Somebody asks for the path at a node outside of that part. */
void plot_ask(struct world *world, unsigned part, unsigned path);
void plot_split(struct world *world, unsigned part); /* the nodes have just fallen into two */
void plot_split_read(struct world *world, unsigned others, unsigned path);
uint64_t plot_recover(struct world *world, unsigned from, unsigned to, const struct msg *msg);
/* A frame is about to leave; how much later than usual it arrives. */
uint64_t plot_frame(struct world *world, unsigned from, unsigned to, const struct msg *msg);
void check_store(struct world *world, unsigned node, const struct msg *msg);
/* check_audit.c: a node answers a client. */
void check_audit_reply(struct world *world, unsigned node, struct bytes request_id,
                       enum vault_err err);

/* check_secrets.c: what must never be seen, in what leaves a node or rests there */
void check_secrets_frame(struct world *world, unsigned from, unsigned to, struct bytes frame,
                         const struct msg *msg);
void check_secrets_bytes(struct world *world, struct bytes bytes, const char *where);

/* check_durable.c: no answer promises what is not durable */
void check_durable(struct world *world, unsigned node, const struct msg *msg);
void check_forgettable(struct world *world, unsigned node, enum store_need need,
                       const struct store_change *change);

/* check_boxes.c: that share key of the node has just been destroyed */
void check_boxes_destroyed(struct world *world, unsigned owner, uint64_t id);

/* check_delete.c */
void check_delete_answer(struct world *world, const struct op *op);

/* Everything that was ever deleted is gone from every disk. */
void check_delete_all(struct world *world);

/* check_status.c: now and then; once nothing moves; and at the end */
void check_status(struct world *world);
void check_status_backlog(struct world *world);
void check_status_counters(struct world *world);
/* Records and shares that the node has counted as damaged so far. */
uint64_t node_damage_counted(const struct sim_node *n);

/* check_at.c: at the end */
void check_at(struct world *world);
/* No clock has been further off than the actors allow for. */
bool clocks_agree(const struct world *world);

/*
 * check_converged.c: the same chosen heads everywhere, with their shares if wanted, and right digests. Losing the backlog makes all
 * nodes crash and forget what is outstanding, if the seed has that fault.
 */
void lose_backlog(struct world *world);
void check_converged(struct world *world, bool with_shares);
/* check_whole.c: everything lost or rotten has been got back by then */
void check_whole(struct world *world, uint64_t until);
/* Nodes that are up hold k good shares of every version in the head's chain, without anybody's box. */
bool check_openable(struct world *world, struct path path, const struct head *head);
/* The public part of a version's dealing, wherever that lies; empty: it is not there, or cannot be read. */
struct bytes dealing_on(const struct disk_table *table, struct path path, uint64_t version,
                        const uint8_t *version_id);

/* check_blinding.c: what nodes could learn from helping each other */
void check_blinding_frame(struct world *world, unsigned from, unsigned to, const struct msg *msg);
void check_blinding_end(struct world *world);
void check_blinding_free(struct world *world);
void blinding_ask_all(struct world *world, unsigned node);
/* forger.c: one broken node; false: it had nothing to forge with. */
bool forger_strike(struct world *world);
bool forger_made(const struct head *head);

/* check_linear.c: false when the search was given up */
bool check_linear(struct world *world);
/* check_heal.c: phases 2 and 3 */
void check_heal(struct world *world);

#endif
