/*
 * Why the history of a path is not linearizable, in as few operations as were found to be enough:
 * the first answer (by the time it came) that cannot be, and those that it contradicts.
 */
#ifndef OSTRAKA_CHECK_EXPLAIN_H
#define OSTRAKA_CHECK_EXPLAIN_H

#include "check/linear.h"

struct linear_explanation {
    uint64_t contradiction; /* number of the operation; 0: none was found */
    bool *needed; /* by index in the caller's array: takes part. Heap, the caller's to free */
};

/* `ops` are NOT_LINEAR. */
void linear_explain(const struct linear_op *ops, size_t count, struct linear_explanation *out);

#endif
