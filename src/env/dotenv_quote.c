/*
 * How a value is written. Parsers of .env files differ: in what a backslash does in which quotes, and
 * in what begins a comment. The forms are tried in the order of how many parsers agree on them:
 * plain where nothing could be taken for syntax, single quotes, double quotes, plain once more with
 * whatever a shell would mind. Where a value needs what they disagree about (both quotes with line
 * ends or '#', say), double quotes with the escapes that most of them undo.
 */
#include <string.h>

#include "env/dotenv.h"

/* What of a value decides how it may be written. */
struct traits {
    bool safe;              /* only bytes that are nobody's syntax */
    bool single, backquote; /* ' and ` */
    bool dquote;            /* " */
    bool newline, carriage; /* LF, CR */
    bool hash;              /* # */
    bool edge_blank;        /* begins or ends with white space */
    bool escape_like;       /* a backslash before what some parser takes for an escape */
    bool double_backslash;  /* or at the end */
    bool first_is_quote;
};

static bool
is_safe(uint8_t byte)
{
    if ((byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') ||
        (byte >= '0' && byte <= '9'))
        return true;
    return byte != 0 && strchr("_-./:@%+,=", byte) != NULL;
}

static bool
is_space(uint8_t byte)
{
    return byte == ' ' || (byte >= '\t' && byte <= '\r');
}

static void
look_at_backslash(struct bytes value, size_t at, struct traits *t)
{
    uint8_t next = at + 1 < value.size ? value.data[at + 1] : '\\';
    if (next == '\\' || next == '\'')
        t->double_backslash = true;
    /* A line end is written as an escape itself. */
    if (next != 0 && strchr("\\'\"abfnrtv$`\r\n", next))
        t->escape_like = true;
}

static struct traits
look_at(struct bytes value)
{
    struct traits t = {.safe = value.size > 0};
    for (size_t i = 0; i < value.size; i++) {
        uint8_t byte = value.data[i];
        t.safe = t.safe && is_safe(byte);
        t.single = t.single || byte == '\'';
        t.dquote = t.dquote || byte == '"';
        t.newline = t.newline || byte == '\n';
        t.carriage = t.carriage || byte == '\r';
        t.hash = t.hash || byte == '#';
        if (byte == '\\')
            look_at_backslash(value, i, &t);
    }
    if (value.size > 0) {
        uint8_t byte = value.data[0];
        t.edge_blank = is_space(byte) || is_space(value.data[value.size - 1]);
        t.first_is_quote = byte == '\'' || byte == '"' || byte == '`';
    }
    return t;
}

static enum vault_err
put_between(struct bytes value, const char *quote, struct buf *out)
{
    enum vault_err err = buf_append_text(out, quote);
    if (err == OK)
        err = buf_append(out, value);
    return err == OK ? buf_append_text(out, quote) : err;
}

static const char *
escape_of(uint8_t byte)
{
    switch (byte) {
    case '"': return "\\\"";
    case '\\': return "\\\\";
    case '\n': return "\\n";
    case '\r': return "\\r";
    default: return NULL;
    }
}

/* In double quotes: `all` escapes, or only those without which it cannot be written. */
static enum vault_err
put_escaped(struct bytes value, bool all, struct buf *out)
{
    enum vault_err err = buf_append_text(out, "\"");
    for (size_t i = 0; i < value.size && err == OK; i++) {
        const char *escape = escape_of(value.data[i]);
        bool needed = all || value.data[i] == '\r' || value.data[i] == '\n';
        if (escape && needed)
            err = buf_append_text(out, escape);
        else
            err = buf_append(out, bytes_of(value.data + i, 1));
    }
    return err == OK ? buf_append_text(out, "\"") : err;
}

/* "enc(" at the beginning would be read as something else; so would a comment after "secret(". */
static bool
looks_like_enc(struct bytes value)
{
    return value.size >= 4 && memcmp(value.data, "enc(", 4) == 0;
}

enum vault_err
dotenv_quote(struct bytes value, struct buf *out)
{
    struct traits t = look_at(value);
    bool plain = value.size > 0 && !t.newline && !t.carriage && !t.hash && !t.edge_blank &&
                 !t.first_is_quote && !looks_like_enc(value) && !dotenv_has_reference(value);
    if (value.size > 0 && memchr(value.data, 0, value.size))
        return ERR_RANGE;
    if (t.safe)
        return buf_append(out, value);
    if (!t.single && !t.carriage && !t.double_backslash)
        return put_between(value, "'", out);
    if (!t.dquote && !t.escape_like)
        return put_escaped(value, false, out);
    if (plain)
        return buf_append(out, value);
    return put_escaped(value, true, out);
}
