/* Names of messages and refusals, for logs and counters. */
#include "proto/msg.h"

const char *
msg_kind_name(enum msg_kind kind)
{
    switch (kind) {
#define X(name, value)                                                                             \
    case MSG_##name: return #name;
        WIRE_MESSAGES(X)
        LOCAL_MESSAGES(X)
#undef X
    }
    return "?";
}

const char *
refusal_name(enum refusal refusal)
{
    switch (refusal) {
#define X(name, value)                                                                             \
    case REFUSED_##name: return #name;
        REFUSALS(X)
#undef X
    }
    return "?";
}

bool
msg_has_path(enum msg_kind kind)
{
    return kind != MSG_HEARTBEAT && kind != MSG_COMPARE && kind != MSG_COMPARED &&
           kind != MSG_ASK_ENTRIES && kind != MSG_ENTRIES;
}
