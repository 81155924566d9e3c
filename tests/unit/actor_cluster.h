/*
 * A cluster of nodes in one process: real actors and stores in memory, a virtual clock, and a
 * network, disks and crashes that a seed decides. The same seed gives the same run.
 *
 * Fault model. Network: frames take a random time and so overtake each other, are lost, come twice,
 * and are cut off by partitions (one-way ones too, which both ends notice within a second as a link
 * that went down). A frame in flight outlives its sender, never its receiver. Disk: a batch is
 * visible at once and durable after a random time; a crash takes what was not durable, or leaves it
 * (the seed decides for all of it); a full disk refuses batches. Clocks: each node's is off by a
 * fixed amount.
 *
 * After every step it is checked that no secret stays accessible, that no answer promises what is
 * not durable, and that all heads ever chosen on a path form one chain (actor_checks.h).
 */
#ifndef OSTRAKA_TESTS_ACTOR_CLUSTER_H
#define OSTRAKA_TESTS_ACTOR_CLUSTER_H

#include "actor_checks.h"
#include "actors/node.h"

enum { AC_VALUE_ROWS_MAX = 80, AC_SETTLE_MS = 30000 };

struct ac_options {
    unsigned nodes;
    unsigned shares;    /* 0: as many as nodes */
    unsigned threshold; /* 0: a majority */
    uint64_t seed;
    size_t paths_max;                    /* of each shard store; 0: default */
    size_t requests_max;                 /* 0: 64 */
    uint64_t delay_us_min, delay_us_max; /* of frames; 0: 100 to 300 */
    uint64_t disk_us_min, disk_us_max;   /* of loads and syncs; 0: 50 to 200 */
    unsigned loss_permille, duplicate_permille;
    uint64_t skew_ms_max;       /* clocks are off by up to that in either direction */
    unsigned buckets;           /* of each node; 0: 4 */
    uint64_t shred_interval_ms; /* 0: default */
    uint64_t scrub_rows_per_s;  /* 0: no scrubbing */
    bool audit_names_hashed;
    uint64_t audit_blocks_kept; /* 0: default */
    uint64_t sweep_slack_ms;    /* 0: default */
    bool dealings_apart;        /* rows as older releases made them */
};

/* What the test wants to do with a frame. */
enum ac_verdict { AC_PASS, AC_DROP };
typedef enum ac_verdict ac_filter(void *context, unsigned from, unsigned to, const struct msg *msg);

struct ac_request {
    struct request request; /* views into memory of its own */
    unsigned node;
    bool done, lost; /* lost: the node crashed before it answered */
    uint64_t began_ns, ended_ns;
    struct reply reply; /* value and rows are copies */
    struct history_row rows[AC_VALUE_ROWS_MAX];
    uint8_t *value; /* of the request */
    uint8_t *reply_value;
    struct item_result *items; /* of the reply, with values of their own */
    struct bytes *names;       /* of the reply, one after the other behind the array */
    char name[160];
    char id[24];
    struct ac_request *next;
    uint64_t exchange;
};

struct ac_batch;

struct ac_node {
    struct node *node; /* NULL: down */
    uint64_t life;     /* counts starts and crashes: events of another life are void */
    struct store *store;
    struct store_reader *reader;
    struct secret_arena *secrets;
    struct share_keyring ring;
    struct secret wrap_key;
    struct bucket_keys buckets;
    struct signing_key signing;
    struct buf bucket_file; /* what the file of bucket keys holds; outlives the process */
    unsigned bucket_saves;  /* of that file */
    bool bucket_save_fails;
    struct rng_seeded rng_state;
    struct rng rng;
    struct metrics metrics;
    struct arena arena; /* of the present step */
    int64_t skew_ms;
    bool disk_full;           /* below its reserve */
    bool disk_gone;           /* and the reserve is used up */
    bool reads_fail;          /* loads and scans end with ERR_IO */
    bool slow_disk;           /* loads and syncs take a hundred times as long */
    uint64_t stores;          /* batches that its shard store has asked for */
    uint64_t syncs;           /* of these, those that count only when they are durable */
    struct ac_batch *batches; /* not known durable to the node */
    uint64_t last_commit_ns;
    uint64_t sequence;          /* durable batches */
    enum store_finding finding; /* told to the next process, and to no later one */
    uint64_t incarnation_known;
    struct store *snapshot; /* NULL: none */
    uint64_t snapshot_sequence;
};

struct ac_event;
struct actor_cluster;

/* Each step is a turn of its own, as the server has them (actors/node.h). */
struct ac_turns {
    bool on;
    bool notices_stay;            /* put off until something needs them */
    unsigned own_writes, notices; /* turns that had any */
    void (*frames_left)(struct actor_cluster *ac, unsigned node);
};

struct actor_cluster {
    struct ac_options options;
    struct cluster cluster;
    struct ac_node nodes[NODES_MAX];
    uint64_t now_ns;
    struct rng_seeded dice_state;
    struct rng dice;
    struct ac_event **heap;
    size_t heap_size, heap_capacity;
    uint64_t order;
    bool cut[NODES_MAX][NODES_MAX];       /* frames from, to */
    bool connected[NODES_MAX][NODES_MAX]; /* as told to the first */
    struct ac_request *requests;
    uint64_t exchanges;
    ac_filter *filter;
    void *filter_context;
    struct actor_checks checks;
    unsigned current; /* node of the present step */
    uint64_t trace;   /* hash over all that happened */
    uint64_t steps;
    uint64_t sent_soon;        /* frames, see struct node_executor */
    uint64_t dealings_asked;   /* rows of their own that were looked for by key */
    uint64_t loads;            /* of rows by their keys, by the shard stores */
    bool nothing_comes_along;  /* with the row of a key, see struct msg_loaded */
    bool may_fail;             /* a node that has failed is no fault of the test */
    const struct maybe *maybe; /* rare branches that a test takes at will; NULL: none */
    struct ac_turns turns;
    bool loud; /* OSTRAKA_LOUD is set: every frame but heartbeats goes to standard error */
};

extern const char ac_token[];
/* For `maybe`: new secrets are voted on, never offered. */
extern const struct maybe ac_votes_only;

/* All nodes are up and connected, and serve. Aborts when that cannot be had. */
struct actor_cluster *ac_new(const struct ac_options *options);
/* All else as it is by default. Every node keeps every path, or `shares` of them keep each. */
struct actor_cluster *ac_cluster_of(unsigned nodes, uint64_t seed);
struct actor_cluster *ac_cluster_placed(unsigned nodes, unsigned shares, uint64_t seed);
/* Checks what holds at the end of every test, and frees. */
void ac_end(struct actor_cluster *ac);

/* Time. */
void ac_run_ms(struct actor_cluster *ac, uint64_t ms);
bool ac_step(struct actor_cluster *ac,
             uint64_t until_ns);                /* one event; false: none is due by then */
uint64_t ac_ms(const struct actor_cluster *ac); /* virtual ms since the start */
struct instant ac_monotonic(const struct actor_cluster *ac); /* the nodes' monotonic clock */
uint64_t ac_wall_ms(const struct actor_cluster *ac, unsigned node);

/* Faults. */
void ac_crash(struct actor_cluster *ac, unsigned node);
void ac_crash_losing(struct actor_cluster *ac, unsigned node,
                     bool losing); /* what is not durable */
void ac_start(struct actor_cluster *ac, unsigned node);
void ac_cut(struct actor_cluster *ac, unsigned from, unsigned to, bool cut); /* one direction */
void ac_isolate(struct actor_cluster *ac, unsigned node, bool cut);          /* from all others */
void ac_heal(struct actor_cluster *ac); /* all links whole, all disks good, all nodes up */
bool ac_up(const struct actor_cluster *ac, unsigned node);
/*
 * Of a node that is down: an empty store in the place of its own, its incarnation remembered beside
 * it or not; the copy made by ac_snapshot put back, noticed at the start or not.
 */
void ac_lose_store(struct actor_cluster *ac, unsigned node, bool remembered);
/* Another storage key: to be used with a store that was lost, of which it opens nothing. */
void ac_replace_storage_key(struct actor_cluster *ac, unsigned node);
void ac_snapshot(struct actor_cluster *ac, unsigned node);
void ac_roll_back(struct actor_cluster *ac, unsigned node, bool noticed);
/* Knows its incarnation and has been handed all heads. */
bool ac_recovered(const struct actor_cluster *ac, unsigned node);
/*
 * Share keys: a new one, unless too many old ones are kept; and those that may go, go. How many are
 * left.
 */
void ac_rotate_share_key(struct actor_cluster *ac, unsigned node);
unsigned ac_destroy_share_keys(struct actor_cluster *ac, unsigned node);
uint64_t ac_dice(struct actor_cluster *ac, uint64_t bound);

/* Requests. The memory of the result belongs to the cluster. */
struct ac_request *ac_send(struct actor_cluster *ac, unsigned node, const struct request *request);
struct ac_request *ac_wait(struct actor_cluster *ac, struct ac_request *request); /* up to 30 s */
struct request ac_make(enum request_kind kind, const char *name, const char *value);
/* Sends and waits. */
struct ac_request *ac_create(struct actor_cluster *ac, unsigned node, const char *name,
                             const char *value);
struct ac_request *ac_update(struct actor_cluster *ac, unsigned node, const char *name,
                             const char *value);
struct ac_request *ac_read(struct actor_cluster *ac, unsigned node, const char *name);
struct ac_request *ac_delete(struct actor_cluster *ac, unsigned node, const char *name);
bool ac_value_is(const struct ac_request *request, const char *value);
bool ac_reads(struct actor_cluster *ac, unsigned node, const char *name, const char *value);
/* Under an Idempotency-Key. */
struct ac_request *ac_keyed(struct actor_cluster *ac, unsigned node, enum request_kind kind,
                            const char *name, const char *key, const char *value);

/* Frames by hand. */
enum vault_err ac_inject(struct actor_cluster *ac, unsigned from, unsigned to,
                         const struct msg *msg);
enum vault_err ac_inject_frame(struct actor_cluster *ac, unsigned from, unsigned to,
                               const struct buf *frame);
/*
 * A copy of what a filter is shown, for later. Its memory is `frame`, in the place of what was
 * there.
 */
void ac_keep(const struct msg *msg, struct buf *frame, struct msg *copy);
/* A local message for an actor of that node. */
void ac_deliver(struct actor_cluster *ac, unsigned node, enum actor_id actor,
                const struct msg *msg);

/* No escrow is left at any node, and no deletion to be told of, after that time at the latest. */
bool ac_settles(struct actor_cluster *ac, uint64_t within_ms);

/* What is in a node's store. */
struct path ac_path(const char *name);
/* Of all paths. Of ROW_DEALING: dealings, whether they have rows of their own or not. */
size_t ac_rows(struct actor_cluster *ac, unsigned node, enum row_table table);
size_t ac_rows_of(struct actor_cluster *ac, unsigned node, enum row_table table, const char *name);
/* The path row; false: none. Its head is decoded too and valid until the next call. */
bool ac_path_row(struct actor_cluster *ac, unsigned node, const char *name, struct path_row *row,
                 struct head *head);
bool ac_get(struct actor_cluster *ac, unsigned node, const struct row_key *key, struct bytes *out);
/* The public part of a version's dealing, wherever it lies. */
bool ac_dealing(struct actor_cluster *ac, unsigned node, const char *name, uint64_t version,
                const uint8_t version_id[static ID_BYTES], struct bytes *out);
void ac_put(struct actor_cluster *ac, unsigned node, const struct row_key *key, struct bytes value);
/* With that value a row cannot be read: a load or a scan that meets it ends with ERR_CORRUPT. */
extern const char ac_unreadable[];
/* Removes a whole table: what it remembered is forgotten. */
void ac_forget(struct actor_cluster *ac, unsigned node, enum row_table table);

#endif
