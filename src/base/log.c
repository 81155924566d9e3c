/*
 * The formatter: one event to one line, in a buffer on the stack. A field that does not fit any
 * more is left out whole and the line says so; a line is never cut in the middle.
 */
#include "base/log.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/instant.h"

enum {
    LINE_BYTES = 8192,
    LINE_RESERVED = 32, /* for the mark of a shortened line, the closing brace and the newline */
    TEXT_SHOWN_MAX = 256,
    ID_SHOWN_MAX = 16,
};

struct line {
    char data[LINE_BYTES];
    size_t size;
    size_t limit;
    bool overflow;
};

static void
put(struct line *line, const char *text, size_t size)
{
    if (line->overflow || size > line->limit - line->size) {
        line->overflow = true;
        return;
    }
    memcpy(line->data + line->size, text, size);
    line->size += size;
}

static void
put_text(struct line *line, const char *text)
{
    put(line, text, strlen(text));
}

static void
put_u64(struct line *line, uint64_t number)
{
    char digits[24];
    int length = snprintf(digits, sizeof(digits), "%" PRIu64, number);

    put(line, digits, (size_t)length);
}

static void
put_hex(struct line *line, struct bytes data)
{
    static const char digits[] = "0123456789abcdef";

    for (size_t i = 0; i < data.size && i < ID_SHOWN_MAX; i++) {
        put(line, &digits[data.data[i] >> 4], 1);
        put(line, &digits[data.data[i] & 15], 1);
    }
}

static bool
printable(uint8_t byte)
{
    return byte >= 0x20 && byte < 0x7f;
}

/* Bare in logfmt: something, and nothing that a reader would have to unquote. */
static bool
needs_quotes(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];

        if (!printable(byte) || byte == ' ' || byte == '"' || byte == '=' || byte == '\\')
            return true;
    }
    return text.size == 0;
}

/* `unprintable` is the format of an escaped byte: \xNN, or JSON's \u00NN. */
static void
put_quoted(struct line *line, struct bytes text, enum log_format format)
{
    put_text(line, "\"");
    for (size_t i = 0; i < text.size; i++) {
        uint8_t byte = text.data[i];
        char escaped[8];

        if (!printable(byte)) {
            (void)snprintf(escaped, sizeof(escaped), format == LOG_JSON ? "\\u%04x" : "\\x%02x",
                           byte);
            put_text(line, escaped);
        } else {
            if (byte == '"' || byte == '\\')
                put_text(line, "\\");
            put(line, (const char *)&text.data[i], 1);
        }
    }
    put_text(line, "\"");
}

static void
put_string(struct line *line, struct bytes text, enum log_format format)
{
    if (text.size > TEXT_SHOWN_MAX)
        text.size = TEXT_SHOWN_MAX;
    if (format == LOG_JSON || needs_quotes(text))
        put_quoted(line, text, format);
    else
        put(line, (const char *)text.data, text.size);
}

static const char *
level_name(enum log_level level)
{
    switch (level) {
    case LOG_DEBUG: return "debug";
    case LOG_INFO: return "info";
    case LOG_WARN: return "warn";
    case LOG_ERROR: return "error";
    }
    return "error";
}

static void
put_key(struct line *line, const char *key, enum log_format format)
{
    if (format == LOG_JSON) {
        put_text(line, ",\"");
        put_text(line, key);
        put_text(line, "\":");
    } else {
        put_text(line, " ");
        put_text(line, key);
        put_text(line, "=");
    }
}

static void
put_value(struct line *line, const struct log_field *field, enum log_format format)
{
    const char *quote = format == LOG_JSON ? "\"" : "";

    switch (field->kind) {
    case LOG_FIELD_U64: put_u64(line, field->number); break;
    case LOG_FIELD_TEXT: put_string(line, field->text, format); break;
    case LOG_FIELD_ERR:
        put_string(line, bytes_of_text(vault_err_name((enum vault_err)field->number)), format);
        break;
    case LOG_FIELD_ID:
        put_text(line, quote);
        put_hex(line, field->text);
        put_text(line, quote);
        break;
    }
}

static void
put_head(struct line *line, const struct log_sink *sink, enum log_level level, const char *actor,
         const char *event)
{
    char time[RFC3339_BYTES];

    rfc3339_format(sink->wall_ms(sink->context), time);
    if (sink->format == LOG_JSON) {
        put_text(line, "{\"time\":\"");
        put_text(line, time);
        put_text(line, "\",\"level\":\"");
        put_text(line, level_name(level));
        put_text(line, "\"");
        put_key(line, "node", LOG_JSON);
        put_string(line, bytes_of_text(sink->node), LOG_JSON);
        put_key(line, "actor", LOG_JSON);
        put_string(line, bytes_of_text(actor), LOG_JSON);
        put_key(line, "event", LOG_JSON);
        put_string(line, bytes_of_text(event), LOG_JSON);
        return;
    }
    put_text(line, time);
    put_text(line, " ");
    put_text(line, level_name(level));
    put_text(line, " ");
    put_string(line, bytes_of_text(sink->node), LOG_LOGFMT);
    put_text(line, " ");
    put_text(line, actor);
    put_text(line, " ");
    put_text(line, event);
}

void
log_event_fields(const struct log_sink *sink, enum log_level level, const char *actor,
                 const char *event, const struct log_field *fields, size_t count)
{
    struct line line;
    bool shortened = false;

    if (!sink || level < sink->level_min)
        return;
    line.size = 0;
    line.limit = sizeof(line.data) - LINE_RESERVED;
    line.overflow = false;

    put_head(&line, sink, level, actor, event);
    for (size_t i = 0; i < count; i++) {
        size_t before = line.size;

        put_key(&line, fields[i].key, sink->format);
        put_value(&line, &fields[i], sink->format);
        if (line.overflow) {
            line.size = before;
            line.overflow = false;
            shortened = true;
        }
    }

    line.limit = sizeof(line.data);
    if (shortened) {
        put_key(&line, "shortened", sink->format);
        put_u64(&line, 1);
    }
    put_text(&line, sink->format == LOG_JSON ? "}\n" : "\n");
    assert(!line.overflow);
    sink->write(sink->context, level, bytes_of(line.data, line.size));
}
