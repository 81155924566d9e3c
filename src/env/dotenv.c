#include "env/dotenv.h"

#include <string.h>
#include <strings.h>

#include "proto/request.h"

static const char secret_open[] = "secret(";
static const char enc_open[] = "enc(";

const char *
dotenv_fault_name(enum dotenv_fault fault)
{
    switch (fault) {
    case DOTENV_GOOD: return "ok";
    case DOTENV_BAD_QUOTE: return "bad_quote";
    case DOTENV_BAD_REFERENCE: return "bad_reference";
    case DOTENV_BAD_NAME: return "bad_name";
    case DOTENV_UNRESOLVED: return "unresolved";
    case DOTENV_REPEATED: return "repeated";
    case DOTENV_TOO_MANY: return "too_many";
    case DOTENV_NUL: return "nul";
    case DOTENV_NOT_TEXT: return "not_text";
    case DOTENV_UNEXPECTED_ENC: return "unexpected_enc";
    case DOTENV_MISPLACED_ENC: return "misplaced_enc";
    case DOTENV_MISPLACED_SECRET: return "misplaced_secret";
    }
    return "bad_line";
}

const char *
dotenv_fault_text(enum dotenv_fault fault)
{
    switch (fault) {
    case DOTENV_GOOD: return "nothing is wrong";
    case DOTENV_BAD_QUOTE: return "a quote does not end, or text follows its end";
    case DOTENV_BAD_REFERENCE: return "not of the form secret(NAME) or enc(...)";
    case DOTENV_BAD_NAME: return "not the name of a secret, or none that secret() can refer to";
    case DOTENV_UNRESOLVED: return "enc(NAME), and nothing says what NAME is";
    case DOTENV_REPEATED: return "comes more than once";
    case DOTENV_TOO_MANY: return "too many references or new secrets: at most 256 of each";
    case DOTENV_NUL: return "has a NUL, which no environment can hold";
    case DOTENV_NOT_TEXT: return "has a value that is not UTF-8";
    case DOTENV_UNEXPECTED_ENC: return "is not stored yet; `ostraka env encrypt FILE` does that";
    case DOTENV_MISPLACED_ENC:
        return "enc(...) is the whole value of an assignment, without quotes and just so written";
    case DOTENV_MISPLACED_SECRET:
        return "secret(NAME) stands in the value of VARIABLE=value, and this line is none";
    }
    return "is not usable";
}

/* ---- views ---- */

static struct bytes
from(struct bytes text, size_t at)
{
    return bytes_of(text.data + at, text.size - at);
}

static struct bytes
first(struct bytes text, size_t size)
{
    return bytes_of(text.data, size);
}

static bool
begins_with(struct bytes text, const char *word)
{
    return bytes_begin_with(text, bytes_of_text(word));
}

static bool
is_blank(uint8_t byte)
{
    return byte == ' ' || byte == '\t';
}

/* "\n", "\r\n", or the end of the text. */
static bool
at_line_end(struct bytes text, size_t at)
{
    if (at < text.size && text.data[at] == '\r')
        at++;
    return at == text.size || text.data[at] == '\n';
}

static size_t
blanks(struct bytes text, size_t at)
{
    while (at < text.size && is_blank(text.data[at]))
        at++;
    return at;
}

/* Where the line's end begins. */
static size_t
line_end(struct bytes text, size_t at)
{
    while (at < text.size && text.data[at] != '\n')
        at++;
    return at;
}

/* Behind "\n". */
static size_t
next_line(struct bytes text, size_t at)
{
    at = line_end(text, at);
    return at < text.size ? at + 1 : at;
}

/* ---- names of variables ---- */

static bool
is_name_byte(uint8_t byte, bool is_first)
{
    bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || byte == '_';
    bool other = (byte >= '0' && byte <= '9') || byte == '.' || byte == '-';
    return letter || (other && !is_first);
}

static size_t
skip_export(struct bytes text, size_t at)
{
    struct bytes rest = from(text, at);
    if (!begins_with(rest, "export") || rest.size == 6 || !is_blank(rest.data[6]))
        return at;
    return blanks(text, at + 6);
}

/* Behind blanks, and behind the byte order mark of some editors. */
static size_t
line_begin(struct bytes text)
{
    static const uint8_t mark[] = {0xef, 0xbb, 0xbf};
    return blanks(text, text.size >= 3 && memcmp(text.data, mark, 3) == 0 ? 3 : 0);
}

/* Where the value begins, and the name before it; 0: this line is no assignment. */
static size_t
find_value(struct bytes text, struct bytes *name)
{
    size_t begin = skip_export(text, line_begin(text));
    size_t at = begin;
    while (at < text.size && is_name_byte(text.data[at], at == begin))
        at++;
    *name = bytes_of(text.data + begin, at - begin);
    at = blanks(text, at);
    if (name->size == 0 || at == text.size || text.data[at] != '=')
        return 0;
    return blanks(text, at + 1);
}

/* ---- values ---- */

/* Where a quoted text that begins behind `at` ends: at its quote, or at the end of the text. */
static size_t
quote_end(struct bytes text, size_t at, char quote)
{
    for (at++; at < text.size && text.data[at] != (uint8_t)quote; at++) {
        if (quote == '"' && text.data[at] == '\\' && at + 1 < text.size)
            at++;
    }
    return at;
}

/* Nothing but blanks and a comment follows in this line. */
static bool
line_is_over(struct bytes text, size_t at)
{
    size_t next = blanks(text, at);
    if (at_line_end(text, next))
        return true;
    return text.data[next] == '#' && next > at;
}

/* Not in a reference, whose name may have spaces and '#'. */
static size_t
plain_end(struct bytes text, size_t begin)
{
    size_t end = line_end(text, begin);
    size_t at = begin;
    /* Without it, each of many that do not end would be looked for up to the line's end. */
    const uint8_t *last = end > begin ? memrchr(text.data + begin, ')', end - begin) : NULL;
    while (at < end) {
        struct bytes rest = bytes_of(text.data + at, end - at);
        bool closed = last && rest.data < last && begins_with(rest, secret_open);
        const uint8_t *close = closed ? memchr(rest.data, ')', rest.size) : NULL;
        if (close)
            at = (size_t)(close - text.data) + 1;
        else if (text.data[at] == '#' && (at == begin || is_blank(text.data[at - 1])))
            break;
        else
            at++;
    }
    at -= at > begin && at_line_end(text, at) && text.data[at - 1] == '\r';
    while (at > begin && is_blank(text.data[at - 1]))
        at--;
    return at;
}

static bool
is_quote(struct bytes text, size_t at)
{
    if (at == text.size)
        return false;
    /* Few parsers know this one: without its end in the same line it is a byte like any other. */
    if (text.data[at] == '`')
        return quote_end(text, at, '`') < line_end(text, at);
    return text.data[at] == '"' || text.data[at] == '\'';
}

static void
set_value(struct dotenv_item *item, struct bytes text, size_t begin, size_t end, char quote)
{
    size_t margin = quote ? 1 : 0;
    item->before = first(text, begin);
    item->value = bytes_of(text.data + begin + margin, end - begin - margin);
    item->quote = quote;
}

/* Sets what stands behind the value, up to the line's end; the item's whole text ends there. */
static void
set_after(struct dotenv_item *item, struct bytes text, size_t at)
{
    item->raw = first(text, next_line(text, at));
    item->after = from(item->raw, at);
    if (!line_is_over(text, at))
        item->fault = DOTENV_BAD_QUOTE;
}

static void
read_quoted(struct dotenv_item *item, struct bytes text, size_t at)
{
    char quote = (char)text.data[at];
    size_t end = quote_end(text, at, quote);
    if (end == text.size) {
        item->fault = DOTENV_BAD_QUOTE;
        item->raw = first(text, next_line(text, at));
        return;
    }
    set_value(item, text, at, end, quote);
    set_after(item, text, end + 1);
}

/* enc("literal"), enc('literal') or enc(NAME), as the whole value. */
static void
read_enc(struct dotenv_item *item, struct bytes text, size_t at)
{
    size_t begin = blanks(text, at + strlen(enc_open));
    bool quoted = begin < text.size && (text.data[begin] == '"' || text.data[begin] == '\'');
    size_t end = quoted ? quote_end(text, begin, (char)text.data[begin]) : begin;
    size_t line = line_end(text, at);
    while (!quoted && end < line && text.data[end] != ')')
        end++;
    size_t close = quoted && end < text.size ? blanks(text, end + 1) : end;
    item->kind = quoted ? DOTENV_ENC_LITERAL : DOTENV_ENC_NAME;
    if (close >= text.size || text.data[close] != ')' || (!quoted && end == begin)) {
        item->fault = DOTENV_BAD_REFERENCE;
        item->raw = first(text, next_line(text, at));
        return;
    }
    while (!quoted && is_blank(text.data[end - 1]))
        end--;
    char quote = 0;
    if (quoted)
        quote = (char)text.data[begin];
    set_value(item, text, begin, end, quote);
    item->before = first(text, at);
    set_after(item, text, close + 1);
    if (item->fault != DOTENV_GOOD)
        item->fault = DOTENV_BAD_REFERENCE;
}

static void
read_assignment(struct dotenv_item *item, struct bytes text, size_t at)
{
    item->kind = DOTENV_ASSIGNMENT;
    if (begins_with(from(text, at), enc_open)) {
        read_enc(item, text, at);
    } else if (is_quote(text, at)) {
        read_quoted(item, text, at);
    } else {
        size_t end = plain_end(text, at);
        set_value(item, text, at, end, 0);
        item->raw = first(text, next_line(text, end));
        item->after = from(item->raw, end);
    }
}

void
dotenv_read(struct dotenv_reader *reader, struct bytes text)
{
    *reader = (struct dotenv_reader){.rest = text, .line = 1};
}

bool
dotenv_next(struct dotenv_reader *reader, struct dotenv_item *item)
{
    struct bytes text = reader->rest;
    *item = (struct dotenv_item){.line = reader->line};
    if (text.size == 0)
        return false;
    size_t at = find_value(first(text, line_end(text, 0)), &item->name);
    if (at > 0)
        read_assignment(item, text, at);
    else
        item->raw = first(text, next_line(text, 0));
    for (size_t i = 0; i < item->raw.size; i++)
        reader->line += item->raw.data[i] == '\n';
    reader->rest = from(text, item->raw.size);
    return true;
}

/* ---- what a value means ---- */

static int
unescaped(uint8_t byte)
{
    switch (byte) {
    case 'n': return '\n';
    case 'r': return '\r';
    case 't': return '\t';
    case '"':
    case '\\':
    case '$': return byte;
    default: return -1;
    }
}

enum vault_err
dotenv_decode(const struct dotenv_item *item, struct buf *out)
{
    struct bytes value = item->value;
    enum vault_err err = buf_reserve(out, value.size);
    if (item->quote != '"')
        return err == OK ? buf_append(out, value) : err;
    for (size_t i = 0; i < value.size && err == OK; i++) {
        int byte = value.data[i] == '\\' && i + 1 < value.size ? unescaped(value.data[i + 1]) : -1;
        uint8_t one = byte < 0 ? value.data[i] : (uint8_t)byte;
        i += byte >= 0;
        err = buf_append(out, bytes_of(&one, 1));
    }
    return err;
}

/* ---- references ---- */

/* Where the next reference begins; the size of the text: there is none. */
static size_t
find_reference(struct bytes text)
{
    size_t at = 0;
    while (at < text.size && !begins_with(from(text, at), secret_open))
        at++;
    return at;
}

/* Takes "@VERSION" off the end of a name; names may have an '@' with other things behind it. */
static void
take_version(struct bytes *name, uint64_t *version)
{
    size_t at = name->size;
    uint64_t number = 0;
    *version = 0;
    while (at > 0 && name->data[at - 1] >= '0' && name->data[at - 1] <= '9')
        at--;
    if (at == 0 || at == name->size || name->data[at - 1] != '@' || name->size - at > 15)
        return;
    for (size_t i = at; i < name->size; i++)
        number = number * 10 + (uint64_t)(name->data[i] - '0');
    if (number == 0 || name->data[at] == '0')
        return;
    *version = number;
    name->size = at - 1;
}

static void
read_reference(struct bytes text, struct dotenv_piece *piece, size_t *size)
{
    size_t begin = strlen(secret_open);
    const uint8_t *close = memchr(text.data + begin, ')', text.size - begin);
    piece->is_reference = true;
    *size = text.size;
    if (!close) {
        piece->fault = DOTENV_BAD_REFERENCE;
        return;
    }
    *size = (size_t)(close - text.data) + 1;
    piece->text = bytes_of(text.data + begin, *size - begin - 1);
    take_version(&piece->text, &piece->version);
    if (!secret_name_valid(piece->text))
        piece->fault = DOTENV_BAD_NAME;
}

bool
dotenv_next_piece(struct bytes *rest, struct dotenv_piece *piece)
{
    size_t size = find_reference(*rest);
    *piece = (struct dotenv_piece){0};
    if (rest->size == 0)
        return false;
    if (size > 0)
        piece->text = first(*rest, size);
    else
        read_reference(*rest, piece, &size);
    *rest = from(*rest, size);
    return true;
}

bool
dotenv_has_reference(struct bytes value)
{
    return find_reference(value) < value.size;
}

/* ---- enc() that is none ---- */

bool
dotenv_has_enc(struct bytes text)
{
    for (size_t at = 0; at < text.size; at++) {
        uint8_t last = at > 0 ? text.data[at - 1] : ' ';
        /* '-' and '.' are of names, but often stand between two words. */
        bool in_word = last != '-' && last != '.' && is_name_byte(last, false);
        if (!in_word && begins_with(from(text, at), enc_open))
            return true;
    }
    return false;
}

static bool
is_comment(struct bytes line)
{
    size_t at = line_begin(line);
    return at < line.size && line.data[at] == '#';
}

bool
dotenv_is_passed_over(const struct dotenv_item *item)
{
    return item->kind == DOTENV_OTHER && item->fault == DOTENV_GOOD && !is_comment(item->raw) &&
           !line_is_over(item->raw, line_begin(item->raw));
}

/*
 * A slip of enc("x"), which would stay in the clear. With a quote behind it alone: ENC(base64) is
 * how other programs mark what they have encrypted.
 */
static bool
is_slip_of_enc(const struct dotenv_item *item)
{
    struct bytes value = item->value;
    size_t at = strlen("enc");

    if (item->quote || value.size < at || strncasecmp((const char *)value.data, "enc", at) != 0)
        return false;
    at = blanks(value, at);
    if (at == value.size || value.data[at] != '(')
        return false;
    at = blanks(value, at + 1);
    return at < value.size && (value.data[at] == '"' || value.data[at] == '\'');
}

enum vault_err
dotenv_misplaces_enc(const struct dotenv_item *item, bool *out)
{
    struct dotenv_piece piece;
    struct buf decoded = {0};
    size_t at = 0;
    *out = item->kind == DOTENV_ASSIGNMENT && is_slip_of_enc(item);
    if (*out)
        return OK;
    /* No escape makes a letter: what has none in its raw form has none. */
    while (at < item->raw.size && !begins_with(from(item->raw, at), enc_open))
        at++;
    if (at == item->raw.size)
        return OK;
    *out = item->kind == DOTENV_OTHER && !is_comment(item->raw) && dotenv_has_enc(item->raw);
    if (item->kind != DOTENV_ASSIGNMENT)
        return OK;
    enum vault_err err = dotenv_decode(item, &decoded);
    struct bytes rest = buf_bytes(&decoded);
    while (err == OK && !*out && dotenv_next_piece(&rest, &piece))
        *out = !piece.is_reference && dotenv_has_enc(piece.text);
    buf_close(&decoded);
    return err;
}
