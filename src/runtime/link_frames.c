/* Frames in buffers: splitting what came, and the queue of what is to be sent. */
#include <assert.h>

#include "runtime/link_internal.h"

enum {
    QUEUE_COMPACT_BYTES = 64 * 1024, /* sent bytes that may stay at the front */
    QUEUE_KEPT_BYTES = 256 * 1024,   /* capacity that an empty queue keeps */
};

static size_t
read_length(const uint8_t *at)
{
    return (size_t)at[0] << 24 | (size_t)at[1] << 16 | (size_t)at[2] << 8 | (size_t)at[3];
}

size_t
link_frame_length(struct bytes input)
{
    return input.size < LINK_FRAME_HEADER_BYTES ? 0 : read_length(input.data);
}

enum vault_err
link_frame_next(struct bytes input, size_t size_max, size_t *at, struct bytes *frame)
{
    size_t left = input.size - *at;
    size_t length;

    assert(*at <= input.size);
    *frame = bytes_of(NULL, 0);
    if (left < LINK_FRAME_HEADER_BYTES)
        return OK;
    length = read_length(input.data + *at);
    if (length == 0)
        return ERR_MALFORMED;
    if (length > size_max)
        return ERR_TOO_LARGE;
    if (left - LINK_FRAME_HEADER_BYTES < length)
        return OK;
    *frame = bytes_of(input.data + *at + LINK_FRAME_HEADER_BYTES, length);
    *at += LINK_FRAME_HEADER_BYTES + length;
    return OK;
}

enum vault_err
link_queue_put(struct link_queue *queue, struct bytes frame, size_t bytes_max)
{
    size_t queued = link_queue_bytes(queue);
    uint8_t header[LINK_FRAME_HEADER_BYTES];
    enum vault_err err;

    if (frame.size == 0 || frame.size > FRAME_BYTES_MAX)
        return ERR_RANGE;
    if (queued > bytes_max || bytes_max - queued < sizeof(header) + frame.size)
        return ERR_BUSY;

    header[0] = (uint8_t)(frame.size >> 24);
    header[1] = (uint8_t)(frame.size >> 16);
    header[2] = (uint8_t)(frame.size >> 8);
    header[3] = (uint8_t)frame.size;
    /* Room for both first, so that a header is never queued without its frame. */
    if ((err = buf_reserve(&queue->buf, sizeof(header) + frame.size)) != OK)
        return err;
    if ((err = buf_append(&queue->buf, bytes_of(header, sizeof(header)))) != OK)
        return err;
    return buf_append(&queue->buf, frame);
}

struct bytes
link_queue_slice(struct link_queue *queue)
{
    size_t waiting = link_queue_bytes(queue);

    if (queue->slice == 0)
        queue->slice = waiting < LINK_RECORD_BYTES ? waiting : LINK_RECORD_BYTES;
    if (queue->slice == 0)
        return bytes_of(NULL, 0);
    return bytes_of(queue->buf.data + queue->head, queue->slice);
}

void
link_queue_sent(struct link_queue *queue, size_t count)
{
    assert(count <= queue->slice);
    queue->slice = 0;
    bytes_wipe(queue->buf.data + queue->head, count);
    queue->head += count;

    if (queue->head == queue->buf.size) {
        queue->buf.size = 0;
        queue->head = 0;
        if (queue->buf.capacity > QUEUE_KEPT_BYTES)
            buf_close(&queue->buf);
    } else if (queue->head >= QUEUE_COMPACT_BYTES && queue->head >= queue->buf.size / 2) {
        /* Moving at most as much as was sent keeps the cost of a byte constant. */
        buf_consume(&queue->buf, queue->head);
        queue->head = 0;
    }
}

size_t
link_queue_bytes(const struct link_queue *queue)
{
    return queue->buf.size - queue->head;
}

void
link_queue_close(struct link_queue *queue)
{
    buf_close(&queue->buf);
    queue->head = 0;
    queue->slice = 0;
}
