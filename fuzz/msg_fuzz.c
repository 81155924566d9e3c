/* Messages between nodes: whatever is accepted is written back byte for byte. */
#include <stdlib.h>

#include "fuzz.h"
#include "proto/group.h"
#include "proto/msg.h"

static void
check_group(struct bytes input)
{
    struct group_part parts[GROUP_EARLIER_MAX];
    struct buf again = {0};
    size_t count;

    if (group_split(input, parts, GROUP_EARLIER_MAX, &count) == OK)
        check_same(group_encode(parts, count, &again), input, &again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct bytes input = bytes_of(data, size);
    struct buf again = {0};
    struct msg msg;

    if (msg_decode(input, &msg) != OK)
        return 0;
    if (msg_encode(&msg, &again) != OK || !bytes_equal(input, buf_bytes(&again)))
        abort();
    buf_close(&again);
    if (msg.kind == MSG_WRITE)
        check_group(msg.u.write.group);
    return 0;
}
