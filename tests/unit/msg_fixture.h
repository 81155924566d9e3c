/* Messages between nodes for tests: kinds, and their encodings. */
#ifndef OSTRAKA_TESTS_MSG_FIXTURE_H
#define OSTRAKA_TESTS_MSG_FIXTURE_H

#include "proto_fixture.h"

enum { KIND_FIRST = MSG_VOTE, KIND_LAST = MSG_SCANNED };

/* Numbers between may be reserved. */
static inline bool
travels(int kind)
{
    return kind <= KIND_LAST && strcmp(msg_kind_name((enum msg_kind)kind), "?") != 0;
}

static inline bool
recode_msg(struct bytes in, struct buf *out)
{
    struct msg msg;

    if (msg_decode(in, &msg) != OK)
        return false;
    assert_int_equal(msg_encode(&msg, out), OK);
    return true;
}

static inline struct bytes
encoded_msg(struct dice *dice, const struct msg *msg)
{
    struct buf out = {0};

    assert_int_equal(msg_encode(msg, &out), OK);
    return dice_keep(dice, &out);
}

#endif
