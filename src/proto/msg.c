/* Names of messages and refusals, for logs and counters, and what several kinds have in common. */
#include "proto/msg.h"

#include <stddef.h>

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
    return kind != MSG_HEARTBEAT && kind != MSG_RECOVER && kind != MSG_RECOVERED &&
           kind != MSG_COMPARE && kind != MSG_COMPARED && kind != MSG_ASK_ENTRIES &&
           kind != MSG_ENTRIES && kind != MSG_SCAN && kind != MSG_SCANNED && kind != MSG_ANCHOR &&
           kind != MSG_ANCHORED && kind != MSG_TRAIL && kind != MSG_TRAILED;
}

size_t
msg_incarnations_at(enum msg_kind kind)
{
    switch ((int)kind) {
    case MSG_VOTED: return offsetof(struct msg, u.voted.incarnations);
    case MSG_WRITE: return offsetof(struct msg, u.write.incarnations);
    case MSG_WRITTEN: return offsetof(struct msg, u.written.incarnations);
    case MSG_CHOSEN: return offsetof(struct msg, u.chosen.incarnations);
    case MSG_ERASED: return offsetof(struct msg, u.erased.incarnations);
    case MSG_KNOWN: return offsetof(struct msg, u.known.incarnations);
    case MSG_STATE: return offsetof(struct msg, u.state.incarnations);
    case MSG_VERSIONS: return offsetof(struct msg, u.versions.incarnations);
    case MSG_SHARED: return offsetof(struct msg, u.shared.incarnations);
    case MSG_SCANNED: return offsetof(struct msg, u.scanned.incarnations);
    default: return 0;
    }
}
