/*
 * The HELLO between nodes, and the splitting of a stream into frames: whatever is accepted is
 * written back byte for byte, and no frame passes the end of the input.
 */
#include <stdlib.h>

#include "fuzz.h"
#include "runtime/link_internal.h"

static void
check_hello(struct bytes input)
{
    struct link_hello hello;
    struct buf again = {0};

    if (link_hello_decode(input, &hello) != OK)
        return;
    if (link_hello_encode(&hello, &again) != OK || !bytes_equal(input, buf_bytes(&again)))
        abort();
    buf_close(&again);
}

static void
check_frames(struct bytes input)
{
    struct bytes frame;
    size_t at = 0, before = 0;

    while (link_frame_next(input, LINK_HELLO_BYTES_MAX, &at, &frame) == OK && frame.size > 0) {
        if (at > input.size || at != before + LINK_FRAME_HEADER_BYTES + frame.size ||
            frame.data + frame.size != input.data + at)
            abort();
        before = at;
        check_hello(frame);
    }
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    check_hello(bytes_of(data, size));
    check_frames(bytes_of(data, size));
    return 0;
}
