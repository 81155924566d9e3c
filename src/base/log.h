/*
 * Structured log: one line per event, `time level node actor event key=value...` (logfmt), or one
 * JSON object. Only typed fields can be written; there is no way to print bytes as they are, so a
 * secret has no road into a log. Names of secrets are logged as a short hash by their callers.
 */
#ifndef OSTRAKA_BASE_LOG_H
#define OSTRAKA_BASE_LOG_H

#include <stddef.h>
#include <stdint.h>

#include "base/bytes.h"
#include "base/err.h"

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };
enum log_format { LOG_LOGFMT, LOG_JSON };

enum log_field_kind { LOG_FIELD_U64, LOG_FIELD_TEXT, LOG_FIELD_ID, LOG_FIELD_ERR };

struct log_field {
    const char *key;
    enum log_field_kind kind;
    uint64_t number;   /* LOG_FIELD_U64, LOG_FIELD_ERR */
    struct bytes text; /* LOG_FIELD_TEXT: quoted as needed, unprintable bytes escaped, cut at 256;
                          LOG_FIELD_ID: printed as lower-case hex, at most 16 bytes of it */
};

static inline struct log_field
log_u64(const char *key, uint64_t number)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_U64, .number = number};
}

static inline struct log_field
log_text(const char *key, const char *text)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_TEXT, .text = bytes_of_text(text)};
}

/* For request ids and the like: already limited to visible ASCII by whoever accepted them. */
static inline struct log_field
log_token(const char *key, struct bytes token)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_TEXT, .text = token};
}

static inline struct log_field
log_id(const char *key, struct bytes id)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_ID, .text = id};
}

static inline struct log_field
log_err(const char *key, enum vault_err err)
{
    return (struct log_field){.key = key, .kind = LOG_FIELD_ERR, .number = (uint64_t)err};
}

/*
 * Where lines go. `write` gets one whole line with its newline; it is called from one thread at a
 * time per sink (the sink of the process locks, the simulator's does not need to).
 */
struct log_sink {
    void *context;
    void (*write)(void *context, enum log_level level, struct bytes line);
    uint64_t (*wall_ms)(void *context);
    const char *node; /* name of the node, or "-" */
    enum log_level level_min;
    enum log_format format;
    uint64_t lost; /* lines that nobody took, since one was taken; of the sink of the process */
};

/*
 * Writes one event. `actor` and `event` are stable names. A NULL sink swallows the line.
 *   log_event(sink, LOG_INFO, "link", "peer_up", log_text("peer", name), log_u64("rtt_us", rtt));
 */
void log_event_fields(const struct log_sink *sink, enum log_level level, const char *actor,
                      const char *event, const struct log_field *fields, size_t count);

#define log_event(sink, level, actor, event, ...)                                                  \
    log_event_fields((sink), (level), (actor), (event), (const struct log_field[]){__VA_ARGS__},   \
                     sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

/*
 * The sink of a process: lines to standard error through one mutex and one write(2) each. Lines
 * that nobody reads are dropped and counted: no thread waits longer than 200 ms, once, for a
 * reader; the next line that is read tells how many were lost. `sink` stays where it is.
 */
void log_sink_stderr_init(struct log_sink *sink, const char *node, enum log_level level_min,
                          enum log_format format);

#endif
