/* Messages between nodes: whatever is accepted is written back byte for byte. */
#include <stdlib.h>

#include "fuzz.h"
#include "proto/msg.h"

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
    return 0;
}
