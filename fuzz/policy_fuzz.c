/*
 * Policies, as a text or, behind a NUL, as a record. What is accepted comes back from its record
 * byte for byte, and answers whatever it is asked.
 */
#include <stdlib.h>

#include "auth/policy_json.h"
#include "fuzz.h"

static void
check_record(struct bytes record, bool must_decode)
{
    static const char *const names[] = {"a", "a/b", "db/x/y", "_auth/x"};
    struct policy *policy = calloc(1, sizeof(*policy));
    struct policy_index *index;
    struct buf again = {0};
    enum vault_err err;

    require(policy != NULL);
    err = policy_decode(record, policy);
    require(err == OK || !must_decode);
    require(policy_index_make(record, &index) == err);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        struct policy_question question = {.name = bytes_of_text(names[i]),
                                           .operation = CAPABILITY_READ};
        struct policy_eval eval, fast;

        policy_eval_init(&eval, &question);
        policy_eval_init(&fast, &question);
        require(policy_eval_add(&eval, record) == err);
        require(policy_eval_add_indexed(&fast, record, index) == err);
        require(policy_eval_verdict(&fast).allowed == policy_eval_verdict(&eval).allowed);
        if (err != OK || names[i][0] == '_')
            require(!policy_eval_verdict(&eval).allowed);
    }
    if (err == OK) {
        require(policy_encode(policy, &again) == OK);
        require(bytes_equal(record, buf_bytes(&again)));
    }
    buf_close(&again);
    free(index);
    free(policy);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct policy_fault fault;
    struct buf record = {0};

    if (size > 0 && data[0] == 0)
        check_record(bytes_of(data + 1, size - 1), false);
    else if (policy_from_text(bytes_of(data, size), &record, &fault) == OK)
        check_record(buf_bytes(&record), true);
    buf_close(&record);
    return 0;
}
