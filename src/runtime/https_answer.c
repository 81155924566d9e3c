/*
 * From answers to bytes, and the orderly end of a connection.
 *
 * A connection that closes after its answer lingers: it stops writing, then reads and discards
 * until the client closes too. A socket that is closed with unread input resets the connection, and
 * the client may lose the answer, of all answers the one that says why its request was refused.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "runtime/https_internal.h"

enum {
    LINGER_MS = 2000,
    LINGER_BYTES_MAX =
        2 * BODY_BYTES_MAX, /* a client that is still sending a body it was refused */
    MADE_ID_BYTES = 33,
};

/* ---- queueing ---- */

static void
begin_write(struct https_connection *connection, enum https_phase after)
{
    connection->phase = HTTPS_WRITE;
    connection->after_write = after;
    connection->written = 0;
    https_deadline(connection, connection->front->options.write_ms);
}

static bool
head_only(const struct https_connection *connection)
{
    return http_parser_request(connection->parser)->method == HTTP_METHOD_HEAD;
}

/* Head and body into the output; a short body goes into the head's record. */
static enum vault_err
queue(struct https_connection *connection, struct bytes request_id, struct api_response *response,
      bool keep_alive)
{
    enum vault_err err = api_render_head(response, request_id, keep_alive, &connection->head);

    if (err != OK || head_only(connection))
        return err;
    if (connection->head.size + response->body.size <= HTTPS_SLICE_BYTES)
        return buf_append(&connection->head, buf_bytes(&response->body));
    connection->body = response->body;
    response->body = (struct buf){0};
    return OK;
}

/* Takes `response`. */
static void
answer(struct https_connection *connection, struct bytes request_id, struct api_response *response,
       bool keep_alive)
{
    enum vault_err err = queue(connection, request_id, response, keep_alive);

    api_response_close(response);
    if (err == OK)
        begin_write(connection, keep_alive ? HTTPS_IDLE : HTTPS_LINGER);
    else
        https_connection_close(connection);
}

void
https_respond(struct https_exchange *exchange, struct bytes request_id,
              struct api_response *response)
{
    struct https_connection *connection = exchange->connection;
    struct https_front *front = connection->front;
    bool nested;

    assert(connection->answering);
    connection->answering = false;
    if (front)
        front->exchanges--;
    if (connection->phase == HTTPS_CLOSED) {
        api_response_close(response);
        https_connection_free(connection);
        return;
    }
    assert(connection->phase == HTTPS_BUSY);
    /* The front goes away only after it has closed its connections. */
    assert(front);
    nested = connection->running; /* answered from within on_request */
    connection->running = true;
    answer(connection, request_id, response,
           http_parser_request(connection->parser)->keep_alive && !front->draining);
    connection->running = nested;
    connection->responding = !nested;
    https_connection_run(connection);
}

static void
log_refusal(struct https_front *front, struct bytes request_id, unsigned status, enum vault_err err)
{
    const struct log_sink *log = front->options.log;
    struct instant now = {duration_ms(https_now_ms()).ns};
    uint64_t left_out;

    if (!log_ration_take(&front->ration, now, &left_out))
        return;
    if (left_out > 0)
        log_event(log, LOG_INFO, "https", "refused_left_out", log_u64("count", left_out));
    log_event(log, LOG_INFO, "https", "refused", log_token("request_id", request_id),
              log_u64("status", status), log_err("outcome", err));
}

/*
 * What never became a request of the server is counted and logged here, under no route. Counted
 * alone is what the limits refuse: whoever asks too much must not fill the log and the trail by it.
 */
static void
count_refusal(struct https_front *front, struct bytes request_id, unsigned status,
              enum vault_err err, bool untold)
{
    struct metrics *metrics = front->options.metrics;

    if (metrics && (unsigned)err < METRIC_REASONS)
        metrics->refusals[err]++;
    if (metrics && status < METRIC_STATUSES)
        metrics->responses[METRIC_ROUTES - 1][status]++;
    if (untold || err == ERR_RATE_LIMITED)
        return;
    log_refusal(front, request_id, status, err);
    if (front->options.on_refused)
        front->options.on_refused(front->options.context, request_id, err);
}

void
https_refuse(struct https_connection *connection, enum vault_err err)
{
    https_refuse_until(connection, err, 0);
}

void
https_refuse_until(struct https_connection *connection, enum vault_err err, unsigned retry_after_ms)
{
    struct https_front *front = connection->front;
    struct api_response response = {0};
    char made[MADE_ID_BYTES];
    struct bytes id;

    snprintf(made, sizeof made, "%016llx%016llx", (unsigned long long)front->id_prefix,
             (unsigned long long)front->requests_made++);
    id = api_request_id(http_parser_request(connection->parser), bytes_of_text(made));
    if (api_render_later(id, err, retry_after_ms, &response) == OK) {
        count_refusal(front, id, response.status, err, connection->untold);
        answer(connection, id, &response, false);
        return;
    }
    api_response_close(&response);
    https_connection_close(connection);
}

void
https_continue(struct https_connection *connection)
{
    if (buf_append_text(&connection->head, "HTTP/1.1 100 Continue\r\n\r\n") == OK)
        begin_write(connection, HTTPS_BODY);
    else
        https_connection_close(connection);
}

/* ---- writing ---- */

static enum https_step
written(struct https_connection *connection)
{
    buf_close(&connection->head);
    buf_close(&connection->body);
    connection->phase = connection->after_write;
    if (connection->phase == HTTPS_BODY) {
        https_deadline(connection, connection->front->options.body_ms);
        return HTTPS_AGAIN;
    }
    https_request_release(connection);
    if (connection->phase == HTTPS_IDLE && !connection->front->draining) {
        https_deadline(connection, connection->front->options.idle_ms);
        return connection->leftover.size > 0 || tls_pending(connection->tls) ? HTTPS_AGAIN
                                                                             : HTTPS_WAIT;
    }
    connection->phase = HTTPS_LINGER;
    buf_close(&connection->leftover);
    tls_shutdown(connection->tls);
    shutdown(connection->fd, SHUT_WR);
    https_deadline(connection, LINGER_MS);
    return HTTPS_AGAIN;
}

/* What to write next. A retry after WANT_WRITE gets the same bytes again, as TLS demands. */
static struct bytes
next_slice(const struct https_connection *connection)
{
    const struct buf *from = &connection->head;
    size_t at = connection->written;
    size_t left;

    if (at >= from->size) {
        at -= from->size;
        from = &connection->body;
    }
    left = from->size - at;
    if (left == 0)
        return (struct bytes){0};
    return bytes_of(from->data + at, left < HTTPS_SLICE_BYTES ? left : HTTPS_SLICE_BYTES);
}

enum https_step
https_write_step(struct https_connection *connection)
{
    struct bytes slice = next_slice(connection);
    size_t put;

    if (slice.size == 0)
        return written(connection);
    switch (tls_write(connection->tls, slice, &put)) {
    case TLS_DONE: connection->written += put; return HTTPS_AGAIN;
    case TLS_WANT_READ:
    case TLS_WANT_WRITE: event_add(connection->write_event, NULL); return HTTPS_WAIT;
    case TLS_CLOSED:
    case TLS_FAILED: break;
    }
    https_connection_close(connection);
    return HTTPS_WAIT;
}

/* What comes now is ciphertext that nobody will open. */
enum https_step
https_linger_step(struct https_connection *connection)
{
    struct https_front *front = connection->front;
    ssize_t got = recv(connection->fd, front->scratch, sizeof front->scratch, MSG_DONTWAIT);

    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
        return HTTPS_WAIT;
    if (got > 0) {
        connection->lingered += (size_t)got;
        if (connection->lingered <= LINGER_BYTES_MAX)
            return HTTPS_AGAIN;
    }
    https_connection_close(connection);
    return HTTPS_WAIT;
}
