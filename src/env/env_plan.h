/*
 * What a .env text asks for: which secrets are to be read, which are to be created, what is wrong
 * with it; and the text that it becomes. Pure: whoever reads and creates does so in between.
 *
 * The text is gone through once for the plan, once more where enc(NAME) means an assignment of the
 * same text, and once for the result, so that no table of its lines is kept.
 */
#ifndef OSTRAKA_ENV_ENV_PLAN_H
#define OSTRAKA_ENV_ENV_PLAN_H

#include "base/limits.h"
#include "env/dotenv.h"

enum env_mode {
    ENV_BOTH,    /* secret() becomes values, enc() is stored */
    ENV_ENCRYPT, /* secret() stays as it is, enc() is stored */
    ENV_EXPAND,  /* secret() becomes values, enc() is a fault */
};

struct env_value {
    struct bytes name, value;
};

/* Views are borrowed and outlive the plan. */
struct env_input {
    struct bytes text;
    struct bytes prefix; /* of secrets that are named after their variable */
    enum env_mode mode;
    const struct env_value *values; /* what enc(NAME) stands for, before the text itself says it */
    size_t value_count;
    bool utf8; /* the result must be UTF-8 */
};

/* A secret that the text refers to; each (name, version) once. */
struct env_reference {
    struct bytes name;
    uint64_t version; /* 0: the current one */
    size_t line;      /* of its first use */
    size_t created; /* number + 1 among the creations: the text itself creates it; 0: it is read */
};

/* A secret that the text creates. */
struct env_creation {
    struct bytes name, value;
    struct bytes variable;
    size_t line;
    bool from_text; /* its value is what the text assigns to the variable of its name */
    bool resolved;
};

struct env_fault {
    size_t line;
    struct bytes name; /* of the variable; empty: none */
    enum dotenv_fault code;
};

struct env_plan {
    struct env_input input;
    struct env_reference *references;
    size_t reference_count;
    size_t use_count;               /* of all references */
    struct env_creation *creations; /* in the order of the text */
    size_t creation_count;
    size_t creation_bytes;         /* of all values */
    struct env_creation **by_name; /* creations whose value the text has, sorted */
    size_t by_name_count;
    struct env_fault *faults; /* by line */
    size_t fault_count;
};

/*
 * Makes the plan; everything in it is allocated in `arena`. With faults it is good for nothing but
 * telling them. Errors: ERR_TOO_LARGE text or values; ERR_NOMEM.
 */
MUST_CHECK enum vault_err env_plan_make(const struct env_input *input, struct arena *arena,
                                        struct env_plan *plan);

/*
 * Appends the result to *out, which is the caller's also after an error. `values` are those of the
 * references, in their order; those that the text creates are not looked at, and none is in
 * ENV_ENCRYPT (NULL will do).
 *
 * Errors: ERR_BAD_ENV    some value cannot be written; plan->faults tells
 *         ERR_TOO_LARGE  the result
 *         ERR_NOMEM
 */
MUST_CHECK enum vault_err env_plan_render(struct env_plan *plan, const struct bytes *values,
                                          struct buf *out);

#endif
