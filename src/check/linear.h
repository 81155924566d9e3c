/*
 * Is the history of one path linearizable? Used by the simulator and by the judge of real
 * histories.
 *
 * What is there is the chain of versions of the path. Answers and refusals bind: each must fit the
 * state at one moment between its call and its return. Open changes may take effect at any moment
 * after their call, or never. Whatever says nothing about the path (a read without an answer, a
 * change that is known not to have happened) is left out by the caller.
 *
 * Ref: A. Horn and D. Kroening (2015) and G. Lowe, "Testing for linearizability" (2017), after Wing
 * and Gong (1993).
 */
#ifndef OSTRAKA_CHECK_LINEAR_H
#define OSTRAKA_CHECK_LINEAR_H

#include "base/err.h"
#include "proto/request.h"

enum linear_outcome {
    LINEAR_DONE,    /* as answered */
    LINEAR_REFUSED, /* by what is there: `refusal` says how */
    LINEAR_OPEN,    /* a change that may have happened */
};

struct linear_op {
    uint64_t
        number; /* unique in its path, not 0. That of a CREATE or UPDATE stands for its value */
    enum request_kind kind;
    enum linear_outcome outcome;
    enum vault_err refusal; /* NOT_FOUND, ALREADY_EXISTS, VERSION_MISMATCH */
    uint64_t called_ns, ended_ns;
    bool has_expected_version;
    uint64_t expected_version;
    /* READ */
    uint64_t version_asked; /* 0: the latest */
    bool has_at;
    uint64_t read_number; /* write whose value came back */
    bool superseded;      /* it was shown with an end of its validity */
    /*
     * DELETE: the version it deleted; READ: the one it returned; HISTORY: the newest. 0: not told
     */
    uint64_t version;
    /* CREATE, UPDATE: as anybody was ever told; 0: nobody was */
    uint64_t seen_version, valid_from_ms;
    /* HISTORY */
    uint64_t limit, row_count;
    bool has_next;
    const uint64_t *row_valid_from_ms;   /* borrowed, newest first; 0: not told */
    const uint8_t *row_states;           /* likewise, enum version_state; NULL: not told */
    const struct alteration *alteration; /* ALTER; borrowed; expires_in is not judged */
    /*
     * By a clock that differs from those of the nodes by less than LINEAR_SKEW_MS: what expires is
     * there until then, and gone from then on. 0: there is no such clock, and what is to expire
     * may be gone or not.
     */
    uint64_t called_ms, ended_ms;
};

enum linear_verdict { LINEAR, NOT_LINEAR, UNDECIDED };

enum { LINEAR_STEPS_MAX = 3000000, LINEAR_SKEW_MS = 1500 };

/*
 * All operations on one path, in any order. UNDECIDED: no order was found within that many steps.
 */
enum linear_verdict linear_check(const struct linear_op *ops, size_t count, uint64_t steps_max);

#endif
