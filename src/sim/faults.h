/* The kinds of faults, which of them a seed has, and how often each struck. */
#ifndef OSTRAKA_SIM_FAULTS_H
#define OSTRAKA_SIM_FAULTS_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/msg.h"

/* X(name, what happens) */
#define SIM_FAULTS(X)                                                                              \
    X(loss, "a frame is lost")                                                                     \
    X(duplicate, "a frame comes twice")                                                            \
    X(delay, "a frame takes up to two seconds")                                                    \
    X(reorder, "a frame overtakes others of its link")                                             \
    X(partition, "the nodes fall into two parts")                                                  \
    X(cut_one_way, "one direction between two nodes")                                              \
    X(isolate, "one node from all others")                                                         \
    X(clog, "one direction stands still, then delivers everything")                                \
    X(peer_refused, "two nodes refuse each other's certificates")                                  \
    X(crash, "a process ends between two steps")                                                   \
    X(crash_in_step, "a process ends within a step, some of its effects carried out")              \
    X(crash_at_vote, "a process ends right after it voted, and is back soon")                      \
    X(crash_at_write, "a coordinator ends when a part of its writes has left")                     \
    X(cut_at_write, "a coordinator is cut off when a part of its writes has left")                 \
    X(power_loss, "all processes end at once")                                                     \
    X(pause, "a process stands still")                                                             \
    X(slow_disk, "the disk takes up to a hundred times as long")                                   \
    X(write_failed, "a batch fails, and the process with it")                                      \
    X(read_failed, "a read fails once")                                                            \
    X(disk_full, "batches are refused for want of room")                                           \
    X(unsynced_lost, "a crash takes committed batches that were not synced")                       \
    X(corrupt_record, "a stored record rots")                                                      \
    X(clock_jump, "a wall clock jumps by up to 20 seconds")                                        \
    X(clock_drift, "clocks run at different speeds")                                               \
    X(clock_hour, "a wall clock is wrong by an hour")                                              \
    X(config_mismatch, "a node starts with another configuration")                                 \
    X(key_rotation, "a node rotates its share key")                                                \
    X(entropy_failed, "the source of randomness fails")                                            \
    X(few_paths, "little room in the table of paths, so that entries are evicted")                 \
    X(few_requests, "little room for requests, so that they are refused as busy")                  \
    X(client_gone, "a client goes away before its answer comes")                                   \
    X(client_retry, "a client asks another node under the same key before its answer comes")       \
    X(backlog_lost,                                                                                \
      "before everybody comes back, it is forgotten what each has missed, and some notices")       \
    X(store_lost, "a process ends and its store is gone")                                          \
    X(store_rolled_back, "a process ends and finds an older copy of its store")                    \
    X(share_lost, "a bit of an own share flips")                                                   \
    X(curious_node, "a node asks every set of helpers for its own share")                          \
    X(dealing_lost, "a dealing rots")                                                              \
    X(help_late, "what a helper sends takes up to a second, while somebody deletes the secret")    \
    X(forger, "a broken node writes deletions that no client asked for, and calls them chosen")    \
    X(thief, "a broken node uses the tokens and frames that it sees")                              \
    X(rush, "many update one secret at one node, all at once")                                     \
    X(storage_key_lost, "with a store its storage key is gone, and there is a new one")

enum fault {
#define X(name, text) FAULT_##name,
    SIM_FAULTS(X)
#undef X
        FAULTS
};

struct faults {
    bool on[FAULTS];
    unsigned permille[FAULTS];    /* of frames, for those that strike single frames */
    uint64_t interval_ns[FAULTS]; /* mean time between two strikes, for the others */
    uint64_t struck[FAULTS];
};

struct world;

const char *fault_name(enum fault fault);
const char *fault_text(enum fault fault);
/* Draws which faults this seed has, and how often. */
void faults_draw(struct world *world);
void faults_start(struct world *world);
/* A strike is due. */
void faults_strike(struct world *world, enum fault fault);
/* A frame of that kind has just left `node`: the moments that matter most are struck more often than chance would. */
void faults_at_frame(struct world *world, unsigned node, enum msg_kind kind);
/* A frame of help is held back; now and then somebody deletes the secret meanwhile. */
bool faults_late_help(struct world *world, unsigned node, const struct msg *help);
/* What a strike began is over. */
void faults_end(struct world *world, enum fault fault, unsigned a, unsigned b);
/* No more faults, and everything that they left is whole again, except what rots or was killed. */
void faults_stop(struct world *world);
bool fault_strikes_frame(struct world *world, enum fault fault);
void fault_count(struct world *world, enum fault fault);

#endif
