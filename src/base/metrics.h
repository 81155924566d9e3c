/*
 * Counters and latency histograms of one node: plain numbers, owned by the reactor thread, rendered
 * by api/metrics_text.c. Counting never allocates and never fails.
 */
#ifndef OSTRAKA_BASE_METRICS_H
#define OSTRAKA_BASE_METRICS_H

#include <stdint.h>

/* X(name, help): counters without labels */
#define METRICS_COUNTERS(X)                                                                        \
    X(votes_sent, "VOTE messages sent")                                                            \
    X(votes_granted, "votes given by this node")                                                   \
    X(votes_refused, "votes refused by this node")                                                 \
    X(writes_sent, "WRITE messages sent")                                                          \
    X(writes_accepted, "writes accepted by this node")                                             \
    X(writes_refused, "writes refused by this node")                                               \
    X(reads_sent, "READ messages sent")                                                            \
    X(reads_served, "reads answered by this node as a holder")                                     \
    X(reads_hedged, "reads for which more nodes were asked after the hedge delay")                 \
    X(offers_made, "new secrets offered to all replicas without votes")                            \
    X(offers_failed, "offers that not all replicas took: voted on instead")                        \
    X(rounds_contended, "voting rounds lost to another coordinator")                               \
    X(changes_finished, "unfinished changes of others that this node finished")                    \
    X(changes_chosen, "changes that this node brought to a decision")                              \
    X(updates_grouped, "updates that were made with another in one change")                        \
    X(paths_erased, "deletions carried out on this node")                                          \
    X(shares_delivered, "boxed shares from escrow that a peer took")                               \
    X(shares_obsolete, "boxed shares from escrow that a peer no longer needs")                     \
    X(shares_received, "shares that this node got from escrow or repair")                          \
    X(shares_bad, "shares that did not match their commitment")                                    \
    X(repairs_staged, "read repairs staged")                                                       \
    X(repairs_done, "read repairs that a peer took")                                               \
    X(records_corrupt, "stored records that did not verify")                                       \
    X(messages_refused, "messages between nodes that were malformed or not permitted")             \
    X(store_commits, "storage transactions")                                                       \
    X(store_flushes, "journal flushes")                                                            \
    X(records_restored, "stored records that did not verify or were missing, and were got back")   \
    X(recoveries_asked, "times that helpers were asked for this node's own share")                 \
    X(recoveries_helped, "times that this node helped another one to what it lacked")              \
    X(shares_recovered, "own shares that were got back from helpers, blinded")                     \
    X(tls_handshakes, "TLS handshakes with API clients that succeeded")                            \
    X(tls_handshakes_failed, "TLS handshakes with API clients that failed")                        \
    X(heads_taken, "chosen heads that this node took over without having accepted them")           \
    X(heads_told, "chosen heads told to a node that anti-entropy found without them")              \
    X(anti_entropy_rounds, "comparisons with a peer that ended")                                   \
    X(anti_entropy_equal, "of them, those that found nothing unlike but what was under way")       \
    X(anti_entropy_lost, "comparisons given up for want of an answer")                             \
    X(anti_entropy_ranges, "digests of ranges of paths compared")                                  \
    X(anti_entropy_differences, "paths found unlike")                                              \
    X(anti_entropy_finished, "of them, changes that this node then began to finish")               \
    X(proofs_refused, "writes and notices refused for want of a proof: some node misbehaves")      \
    X(proofs_unknown, "proofs that this node lacked a key to check, and did not take")             \
    X(audit_records, "records of the audit trail")                                                 \
    X(audit_refused, "records of the audit trail that could not be taken, and answers with them")  \
    X(audit_alarms, "heads of other nodes' audit trails that contradict what was known of them")   \
    X(limits_exceeded, "requests (429) and connections refused because there were too many")       \
    X(requests_denied, "requests of clients that their policies did not allow")                    \
    X(credentials_refused, "requests with a credential that was not valid")                        \
    X(tokens_revoked_used, "of them, those with a token that had been revoked")                    \
    X(peers_denied, "times that a node asked for what its client may not have")                    \
    X(alarms, "alarms raised: see the log")                                                        \
    X(reads_from_memory, "of the reads served, those that needed nothing from the disk")           \
    X(records_swept, "records of tokens that ended long ago, removed from this node's store")

enum metric {
#define X(name, help) METRIC_##name,
    METRICS_COUNTERS(X)
#undef X
        METRICS
};

enum {
    METRIC_ROUTES = 24,    /* request kinds, and last what matched none */
    METRIC_STATUSES = 600, /* HTTP status codes */
    METRIC_LATENCY_BUCKETS =
        20,              /* bucket i counts those below 2^i * 32 us; the last takes the rest */
    METRIC_REASONS = 64, /* error codes, enum vault_err */
};

struct latency_histogram {
    uint64_t buckets[METRIC_LATENCY_BUCKETS];
    uint64_t count;
    uint64_t sum_us;
};

struct metrics {
    uint64_t counters[METRICS];
    uint32_t responses[METRIC_ROUTES][METRIC_STATUSES]; /* by route and status */
    struct latency_histogram latency[METRIC_ROUTES];
    uint64_t refusals[METRIC_REASONS]; /* requests that ended in an error, by code */
    struct latency_histogram commit;   /* storage batch, from submission to durable */
    uint64_t commit_batch_sum;         /* transactions over all flushes */
};

static inline void
metrics_count(struct metrics *metrics, enum metric which)
{
    metrics->counters[which]++;
}

void latency_record(struct latency_histogram *histogram, uint64_t microseconds);

#endif
