/*
 * Histories of real processes, one JSON object for each operation and line. The format is in
 * docs/reliability.md.
 *
 * What every answer says by itself is compared (a value was written, to this path, by a change that
 * did not fail; version and validity of a write are the same for whoever is told of them; histories
 * have no gap), and then each path is searched for an order that explains all answers
 * (check/linear.h).
 */
#ifndef OSTRAKA_CHECK_HISTORY_H
#define OSTRAKA_CHECK_HISTORY_H

#include <stdio.h>

#include "check/linear.h"

/* Exit statuses of ostraka-judge. */
enum judge_end { JUDGE_OK = 0, JUDGE_CONTRADICTED = 1, JUDGE_USAGE = 2, JUDGE_UNDECIDED = 3 };

enum recorded_outcome {
    RECORDED_OK,
    RECORDED_REFUSED, /* by what is there */
    RECORDED_NOTHING, /* it did not happen, and nothing is known by it */
    RECORDED_UNKNOWN,
};
enum { RECORDED_OUTCOMES = RECORDED_UNKNOWN + 1 };

struct recorded_row {
    uint64_t version, valid_from_ms, valid_to_ms; /* 0: still valid */
};

struct recorded_op {
    struct linear_op linear;
    enum recorded_outcome outcome;
    unsigned long line;
    uint64_t client;
    char *path;
    char *value; /* written or read; NULL: none */
    char *code;  /* of the refusal; NULL: none */
    uint64_t at_ms;
    uint64_t told_from_ms, told_to_ms; /* validity in this answer */
    struct recorded_row *rows;         /* HISTORY */
    uint64_t *row_valid_from_ms;
};

struct history {
    struct recorded_op *ops; /* after history_read: by path, then by call */
    size_t count, capacity;
    uint64_t first_ns;
};

struct judgement {
    size_t paths, contradicted, undecided;
    size_t by_kind[REQUEST_KINDS][RECORDED_OUTCOMES];
};

/* False: `why` says which line is wrong and how. The history is to be closed either way. */
MUST_CHECK bool history_read(FILE *in, struct history *out, char why[static 200]);
void history_close(struct history *history);

/* What is found is printed to `report`. */
void history_judge(struct history *history, FILE *report, struct judgement *out);
enum judge_end judgement_end(const struct judgement *judgement);
const char *recorded_outcome_name(enum recorded_outcome outcome);

#endif
