/*
 * From bytes to exchanges: reading, admission, and handing whole requests on.
 *
 * Plaintext passes through one scratch buffer of the front, wiped after each use. Handing a request
 * on may make the server answer other connections, which use that buffer too; so it happens in a
 * step of its own, when what remained of the input has been put aside.
 */
#include "runtime/https_internal.h"

/* Admits `total` bytes of body for this request; what was admitted before counts. */
static bool
admit(struct https_connection *connection, size_t total)
{
    struct https_front *front = connection->front;
    size_t more = total > connection->body_bytes ? total - connection->body_bytes : 0;

    if (more > front->options.body_bytes_max_total - front->body_bytes)
        return false;
    front->body_bytes += more;
    connection->body_bytes += more;
    return true;
}

void
https_request_release(struct https_connection *connection)
{
    if (connection->front)
        connection->front->body_bytes -= connection->body_bytes;
    connection->body_bytes = 0;
    connection->let_in = false;
    if (connection->parser)
        http_parser_reset(connection->parser);
    arena_reset(&connection->exchange.arena);
}

static void
head_done(struct https_connection *connection, bool body_has_come)
{
    const struct http_request *request = http_parser_request(connection->parser);
    const struct https_options *options = &connection->front->options;

    /*
     * Bodies take from a common store, which strangers could else exhaust without ever sending one.
     */
    unsigned retry_after_ms = 0;
    enum vault_err err = options->may_send_body
                             ? options->may_send_body(options->context, &connection->exchange,
                                                      request, &retry_after_ms)
                             : OK;
    if (err != OK) {
        https_refuse_until(connection, err, retry_after_ms);
        return;
    }
    connection->let_in = options->may_send_body != NULL;
    if (!admit(connection, (size_t)http_parser_content_length(connection->parser))) {
        https_refuse(connection, ERR_BUSY);
        return;
    }
    connection->phase = HTTPS_BODY;
    https_deadline(connection, options->body_ms);
    if (request->expect_continue && !body_has_come)
        https_continue(connection);
}

static void
need_more(struct https_connection *connection)
{
    if (connection->phase == HTTPS_IDLE) {
        connection->phase = HTTPS_HEAD;
        https_deadline(connection, connection->front->options.header_ms);
    } else if (connection->phase == HTTPS_BODY &&
               !admit(connection, http_parser_request(connection->parser)->body.size)) {
        https_refuse(connection, ERR_BUSY); /* chunked: its length was not known before */
    }
}

static void
refuse_malformed(struct https_connection *connection, enum vault_err err)
{
    const struct https_options *options = &connection->front->options;

    connection->untold = options->may_be_told && !connection->let_in &&
                         !options->may_be_told(options->context, &connection->exchange);
    https_refuse(connection, err);
}

/*
 * Feeds the parser until the phase is one that does not read, or the input ends. Tells how much
 * was used.
 */
static size_t
take(struct https_connection *connection, struct bytes input)
{
    size_t total = 0;

    while (total < input.size &&
           (connection->phase == HTTPS_IDLE || connection->phase == HTTPS_HEAD ||
            connection->phase == HTTPS_BODY)) {
        enum vault_err err;
        size_t used;

        switch (http_parser_feed(connection->parser,
                                 bytes_of(input.data + total, input.size - total), &used, &err)) {
        case HTTP_NEED_MORE: need_more(connection); break;
        case HTTP_HEADERS_DONE: head_done(connection, total + used < input.size); break;
        case HTTP_COMPLETE: connection->phase = HTTPS_READY; break;
        case HTTP_REFUSED: refuse_malformed(connection, err); break;
        }
        total += used;
    }
    return total;
}

static enum https_step
take_leftover(struct https_connection *connection)
{
    size_t used = take(connection, buf_bytes(&connection->leftover));

    if (connection->phase == HTTPS_CLOSED)
        return HTTPS_WAIT;
    if (used == connection->leftover.size)
        buf_close(&connection->leftover);
    else
        buf_consume(&connection->leftover, used);
    return HTTPS_AGAIN;
}

/* What follows a whole request waits for its turn; what follows a refused one is of no interest. */
static enum https_step
take_scratch(struct https_connection *connection, size_t size)
{
    struct https_front *front = connection->front;
    size_t used = take(connection, bytes_of(front->scratch, size));
    enum vault_err err = OK;

    if (used < size && connection->phase == HTTPS_READY)
        err = buf_append(&connection->leftover, bytes_of(front->scratch + used, size - used));
    bytes_wipe(front->scratch, size);
    if (err == OK)
        return HTTPS_AGAIN;
    https_connection_close(connection);
    return HTTPS_WAIT;
}

enum https_step
https_read_step(struct https_connection *connection)
{
    struct https_front *front = connection->front;
    size_t got;

    if (connection->timed_out) {
        connection->timed_out = false;
        https_refuse(connection, ERR_REQUEST_TIMEOUT);
        return HTTPS_AGAIN;
    }
    if (connection->leftover.size > 0)
        return take_leftover(connection);
    switch (tls_read(connection->tls, front->scratch, sizeof front->scratch, &got)) {
    case TLS_DONE: return take_scratch(connection, got);
    case TLS_WANT_READ: return HTTPS_WAIT;
    case TLS_WANT_WRITE: event_add(connection->write_event, NULL); return HTTPS_WAIT;
    case TLS_CLOSED: tls_shutdown(connection->tls); break;
    case TLS_FAILED: break;
    }
    https_connection_close(connection);
    return HTTPS_WAIT;
}

enum https_step
https_ready_step(struct https_connection *connection)
{
    struct https_front *front = connection->front;

    /*
     * The server answers within a step of its actors: the next request must not begin one inside of
     * it.
     */
    if (connection->responding) {
        https_connection_run_later(connection);
        return HTTPS_WAIT;
    }
    connection->phase = HTTPS_BUSY;
    connection->answering = true;
    front->exchanges++;
    front->options.on_request(front->options.context, &connection->exchange,
                              http_parser_request(connection->parser));
    return HTTPS_AGAIN; /* the answer may be there already */
}

struct arena *
https_exchange_arena(struct https_exchange *exchange)
{
    return &exchange->arena;
}

struct bytes
https_exchange_address(const struct https_exchange *exchange)
{
    return bytes_of_text(exchange->connection->peer_text);
}

bool
https_exchange_let_in(const struct https_exchange *exchange)
{
    return exchange->connection->let_in;
}

bool
https_closed(const struct https_exchange *exchange)
{
    return exchange->connection->phase == HTTPS_CLOSED;
}
