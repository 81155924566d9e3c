/*
 * Judges exports (audit/export.h) of one node's trail: one file, or several that go on one after the
 * other. Every file is read twice: first for keys and heads, of all files, then for blocks.
 *
 * A key counts when whoever calls finds it proven; a head, when such a key signed it. A head that
 * none did is a finding: somebody changed it.
 */
#ifndef OSTRAKA_AUDIT_JUDGE_H
#define OSTRAKA_AUDIT_JUDGE_H

#include "audit/export.h"
#include "audit/verifier.h"

enum { AUDIT_JUDGE_HEADS_MAX = 65536, AUDIT_JUDGE_KEYS_MAX = 16 };

/* Whether that is the signing key of the node of that name. */
typedef bool audit_prove_fn(void *context, const uint8_t cluster[static CLUSTER_ID_BYTES],
                            struct bytes name, const struct signing_public *key);

/* Must not be copied. */
struct audit_judge {
    audit_prove_fn *prove;
    void *context;
    bool named; /* these three are known */
    uint8_t cluster[CLUSTER_ID_BYTES];
    uint64_t node;
    char name[NODE_NAME_BYTES_MAX + 1];
    struct signing_public keys[AUDIT_JUDGE_KEYS_MAX]; /* proven ones */
    size_t key_count, keys_refused;
    struct audit_head *heads;
    size_t head_count, head_capacity;
    size_t heads_refused; /* not signed by a proven key */
    uint64_t missing;     /* bit per node that had not been there to be asked */
    bool second;          /* the pass */
    int expected;         /* least kind that may come next in this file; -1: it has ended */
    uint64_t lines;       /* of this file */
    bool malformed, open; /* a file did not have its form; or no end */
    uint64_t malformed_line;
    struct audit_verifier verifier;
    uint8_t *memory; /* of a block */
};

/* Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err audit_judge_open(struct audit_judge *j, audit_prove_fn *prove,
                                           void *context);
void audit_judge_close(struct audit_judge *j);
/* The next file, from its first line; after the last line of one, or of a pass. */
void audit_judge_file(struct audit_judge *j);
void audit_judge_file_end(struct audit_judge *j);
/* A line without its end. Errors: ERR_NOMEM; what is wrong with the line is in the finding. */
MUST_CHECK enum vault_err audit_judge_line(struct audit_judge *j, struct bytes line);
void audit_judge_second_pass(struct audit_judge *j);
struct audit_finding audit_judge_end(struct audit_judge *j);

#endif
