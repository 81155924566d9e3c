/*
 * What a node says about itself and the cluster: one snapshot, rendered as JSON for /v1/status and
 * /v1/health and as Prometheus text for /metrics.
 */
#ifndef OSTRAKA_API_STATUS_H
#define OSTRAKA_API_STATUS_H

#include "api/api.h"
#include "base/metrics.h"
#include "proto/cluster.h"

struct peer_status {
    bool self;
    bool connected;          /* link up and a frame within the last second */
    bool config_mismatch;    /* its last handshake named another configuration */
    bool token_known;        /* which bootstrap token it takes, when it was last connected */
    bool token_differs;      /* and that is another one than here */
    uint64_t round_trip_us;  /* 0 unknown */
    uint64_t since_ms;       /* how long in this state */
    uint64_t incarnation;    /* of its store, as known here; 0 unknown */
    uint64_t escrow_backlog; /* boxed shares that wait here for it */
    uint64_t queued_bytes;   /* in this link's send queue */
    uint64_t sent_messages, received_messages, refused_messages;
    uint64_t paths; /* that it keeps, as it last said; of this node itself: now */
    bool paths_known;
    bool compared;           /* what both hold has been compared since the start */
    bool in_sync;            /* and nothing was unlike the last time */
    uint64_t compared_ms;    /* how long ago */
    bool recovering;         /* it is a new incarnation that misses something, as it says */
    int64_t clock_offset_ms; /* its wall clock less this node's, at its last heartbeat */
};

/* Anti-entropy: progress since the start, and what is left of the rounds under way. */
struct anti_entropy_status {
    bool ready;     /* the digests are whole */
    uint64_t paths; /* counted in them */
    uint64_t rounds, lost, ranges, differences, told, taken, finished;
    uint64_t backlog; /* parts known to be unlike and not looked into yet */
};

/* What this node lacks and gets back from the others, and how far it has looked. */
struct repair_status {
    uint64_t lacking;        /* versions of which something is missing here, as last counted */
    uint64_t recovering;     /* of them: under way */
    uint64_t recovered;      /* shares got back blinded, since the start */
    uint64_t restored;       /* records got back, since the start */
    uint64_t paths_damaged;  /* rows of paths that did not verify, since the start */
    uint64_t paths_in_doubt; /* now: this node is silent on them */
    uint64_t scrub_rows_per_s;
    uint64_t scrub_passes, scrub_last_ms;
    uint64_t scrub_rows, scrub_bytes, scrub_rows_expected; /* of the present pass; 0: unknown */
};

struct node_status {
    const struct cluster *cluster; /* borrowed */
    unsigned self;                 /* number of this node */
    const char *version;           /* of the program */
    uint64_t uptime_ms;
    bool ready;  /* store open, horizon durable, master key right, a majority connected */
    bool quorum; /* a majority connected, self included */
    bool sealed; /* no master key where one is needed */
    bool certificate_known, ca_known;      /* when they end */
    int64_t certificate_left_s, ca_left_s; /* until then; below 0: over */
    const char *not_ready_reasons[4];      /* short sentences; NULL-terminated unless full */
    struct peer_status peers[NODES_MAX];
    uint64_t requests_in_flight;
    uint64_t connections; /* of API clients */
    uint64_t store_sequence;
    uint64_t store_log_bytes;
    uint64_t disk_free_bytes;
    uint64_t store_waiting;
    uint64_t escrow_backlog; /* all peers */
    uint64_t repairs_staged, repairs_done;
    uint64_t share_key_id; /* this node's current share key */
    struct anti_entropy_status anti_entropy;
    struct {
        const char *state; /* "none", "starting", "handover" or "parts" */
        bool blocked;      /* more stores are lost than the others can make up for */
        uint64_t peers_complete, peers_needed;
        uint64_t versions, bytes; /* handed over since the process started */
        uint64_t unfinished, missing;
    } recovery; /* from a lost or rolled-back store */
    struct repair_status repair;
    uint64_t identity_records; /* that this node decides by, deleted ones too */
    struct {
        uint64_t due, overdue;
    } revocation_lists; /* whose next one is due soon or already; of them, already */
};

/* How paths are spread over the nodes, from what these have told of themselves. */
struct placement_status {
    bool known; /* every node has told how many paths it keeps; else the numbers are 0 */
    uint64_t cluster_paths; /* of the whole cluster, deleted ones included */
    uint64_t permille;      /* how many of them this node keeps */
    uint64_t even_permille; /* how many it would keep if all kept as many: n / N */
    /* How many of them have a majority of their replicas among the nodes connected to this one. */
    enum { PATHS_NONE, PATHS_SOME, PATHS_ALL } available;
};
void placement_status(const struct node_status *status, struct placement_status *out);

MUST_CHECK enum vault_err api_render_health(const struct node_status *status,
                                            struct api_response *response);
MUST_CHECK enum vault_err api_render_status(const struct node_status *status,
                                            struct api_response *response);
MUST_CHECK enum vault_err api_render_metrics(const struct node_status *status,
                                             const struct metrics *metrics,
                                             struct api_response *response);

#endif
