#include "cli/output.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/exit_status.h"

struct table_cell {
    char *text;
    enum output_colour colour;
};

static const char *
colour_code(enum output_colour colour)
{
    switch (colour) {
    case COLOUR_NONE: return "";
    case COLOUR_GREEN: return "\033[32m";
    case COLOUR_YELLOW: return "\033[33m";
    case COLOUR_RED: return "\033[31m";
    case COLOUR_BOLD: return "\033[1m";
    }
    return "";
}

static bool
has_colour(FILE *stream)
{
    const char *no_colour = getenv("NO_COLOR");
    const char *terminal = getenv("TERM");

    if (no_colour && *no_colour)
        return false;
    if (!terminal || strcmp(terminal, "dumb") == 0)
        return false;
    return isatty(fileno(stream)) == 1;
}

/* Copies without C0 controls, DEL, and C1 controls (U+0080..9F: C2 80..9F in UTF-8). */
static char *
printable_copy(const char *text)
{
    size_t size = strlen(text);
    char *copy = malloc(size + 1);

    if (!copy)
        return NULL;
    for (size_t i = 0; i <= size; i++) {
        unsigned char c = (unsigned char)text[i];
        bool c1 =
            c == 0xc2 && (unsigned char)text[i + 1] >= 0x80 && (unsigned char)text[i + 1] <= 0x9f;
        copy[i] = text[i];
        if (i < size && (c < 0x20 || c == 0x7f || c1))
            copy[i] = '?';
        if (c1)
            copy[++i] = '?';
    }
    return copy;
}

void
output_text(FILE *stream, enum output_colour colour, const char *text)
{
    char *copy = printable_copy(text);
    bool coloured = colour != COLOUR_NONE && has_colour(stream);

    if (coloured)
        fputs(colour_code(colour), stream);
    fputs(copy ? copy : "?", stream);
    if (coloured)
        fputs("\033[0m", stream);
    free(copy);
}

static void print_line(enum output_colour colour, const char *label, const char *format,
                       va_list arguments) __attribute__((format(printf, 3, 0)));

static void
print_line(enum output_colour colour, const char *label, const char *format, va_list arguments)
{
    char text[1024];

    /* NOLINTNEXTLINE(clang-analyzer-valist.Uninitialized): it does not follow the callers. */
    vsnprintf(text, sizeof text, format, arguments);
    fflush(stdout);
    output_text(stderr, colour, label);
    output_text(stderr, COLOUR_NONE, text);
    fputc('\n', stderr);
}

void
output_error_list(const char *format, va_list arguments)
{
    print_line(COLOUR_RED, "error: ", format, arguments);
}

void
output_error(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    output_error_list(format, arguments);
    va_end(arguments);
}

void
output_hint(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    print_line(COLOUR_YELLOW, "hint: ", format, arguments);
    va_end(arguments);
}

enum vault_err
table_add(struct table *table, enum output_colour colour, const char *text)
{
    char *copy = printable_copy(text);

    if (!copy)
        return ERR_NOMEM;
    if (table->count == table->capacity) {
        size_t capacity = table->capacity ? table->capacity * 2 : 64;
        struct table_cell *cells = realloc(table->cells, capacity * sizeof *cells);
        if (!cells) {
            free(copy);
            return ERR_NOMEM;
        }
        table->cells = cells;
        table->capacity = capacity;
    }
    table->cells[table->count++] = (struct table_cell){.text = copy, .colour = colour};
    return OK;
}

/* Characters, not bytes: continuation bytes of UTF-8 take no room. */
static size_t
text_width(const char *text)
{
    size_t width = 0;

    for (; *text; text++)
        width += ((unsigned char)*text & 0xc0) != 0x80;
    return width;
}

static void
measure(const struct table *table, size_t widths[static TABLE_COLUMNS_MAX])
{
    assert(table->columns > 0);
    assert(table->columns <= TABLE_COLUMNS_MAX);
    for (size_t i = 0; i < table->columns; i++)
        widths[i] = text_width(table->headings[i]);
    for (size_t i = 0; i < table->count; i++) {
        size_t width = text_width(table->cells[i].text);
        if (width > widths[i % table->columns])
            widths[i % table->columns] = width;
    }
}

static void
print_cell(enum output_colour colour, const char *text, size_t width, bool last)
{
    output_text(stdout, colour, text);
    if (last) {
        putchar('\n');
        return;
    }
    for (size_t i = text_width(text); i < width + 2; i++)
        putchar(' ');
}

void
table_print(const struct table *table)
{
    size_t widths[TABLE_COLUMNS_MAX] = {0};

    assert(table->columns > 0);
    measure(table, widths);
    for (size_t i = 0; i < table->columns; i++)
        print_cell(COLOUR_BOLD, table->headings[i], widths[i], i + 1 == table->columns);
    for (size_t i = 0; i < table->count - table->count % table->columns; i++) {
        size_t column = i % table->columns;
        print_cell(table->cells[i].colour, table->cells[i].text, widths[column],
                   column + 1 == table->columns);
    }
}

void
table_close(struct table *table)
{
    for (size_t i = 0; i < table->count; i++)
        free(table->cells[i].text);
    free(table->cells);
    table->cells = NULL;
    table->count = table->capacity = 0;
}

enum vault_err
output_write(int fd, struct bytes data)
{
    size_t done = 0;

    while (done < data.size) {
        ssize_t put = write(fd, data.data + done, data.size - done);
        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return ERR_IO;
        done += (size_t)put;
    }
    return OK;
}

static int
append_json(const char *text, size_t size, void *context)
{
    return buf_append(context, bytes_of(text, size)) == OK ? 0 : -1;
}

static int
report_unwritten(const char *why)
{
    clearerr(stdout);
    output_error("standard output cannot be written%s%s", why ? ": " : "", why ? why : "");
    return EXIT_UNWRITTEN;
}

int
output_secret_line(const char *text)
{
    if (output_write(STDOUT_FILENO, bytes_of_text(text)) == OK &&
        output_write(STDOUT_FILENO, bytes_of("\n", 1)) == OK)
        return EXIT_OK;
    return report_unwritten(strerror(errno));
}

int
output_end(void)
{
    bool failed_before = ferror(stdout) != 0;

    if (fflush(stdout) != 0)
        return report_unwritten(strerror(errno));
    return failed_before ? report_unwritten(NULL) : EXIT_OK;
}

int
output_json(const json_t *json)
{
    struct buf text = {0};
    int status = output_end();

    if (json_dump_callback(json, append_json, &text, JSON_INDENT(2)) != 0 ||
        buf_append_text(&text, "\n") != OK) {
        output_error("out of memory");
        status = EXIT_UNWRITTEN;
    } else if (status == EXIT_OK && output_write(STDOUT_FILENO, buf_bytes(&text)) != OK) {
        status = report_unwritten(strerror(errno));
    }
    buf_close(&text);
    return status;
}
