/*
 * What the command line prints: tables and messages for people, JSON for programs. Colour only on a
 * terminal, and not with NO_COLOR. Text that comes from a server is printed without its control
 * characters, so that it cannot steer the terminal.
 */
#ifndef OSTRAKA_CLI_OUTPUT_H
#define OSTRAKA_CLI_OUTPUT_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>

#include "base/bytes.h"

enum output_colour { COLOUR_NONE, COLOUR_GREEN, COLOUR_YELLOW, COLOUR_RED, COLOUR_BOLD };

void output_text(FILE *stream, enum output_colour colour, const char *text);

/* "error: ..." and "hint: ..." lines on standard error. */
void output_error(const char *format, ...) __attribute__((format(printf, 1, 2)));
void output_error_list(const char *format, va_list arguments) __attribute__((format(printf, 1, 0)));
void output_hint(const char *format, ...) __attribute__((format(printf, 1, 2)));

enum { TABLE_COLUMNS_MAX = 8 };

/* Cells are copied. All zero but the headings is an empty table. */
struct table {
    const char *headings[TABLE_COLUMNS_MAX];
    size_t columns;
    struct table_cell *cells; /* row by row */
    size_t count, capacity;   /* of cells */
};

/* Adds a cell. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err table_add(struct table *table, enum output_colour colour,
                                    const char *text);
/* Prints headings and whole rows to standard output. */
void table_print(const struct table *table);
void table_close(struct table *table);

/*
 * Beside enum exit_status, within the program alone: what was asked for was done, and what there was
 * to print of it was not. The command line knows what that is to whoever ran the command.
 */
enum { EXIT_UNWRITTEN = 256 };

/*
 * Prints indented JSON and a newline to standard output. Returns EXIT_OK, or EXIT_UNWRITTEN having
 * said why.
 */
MUST_CHECK int output_json(const json_t *json);
/*
 * Whether all that was printed to standard output is written. Returns EXIT_OK, or EXIT_UNWRITTEN
 * having said so, once.
 */
MUST_CHECK int output_end(void);
/* Prints a text and a newline, past stdio's buffers. Returns as output_json. */
MUST_CHECK int output_secret_line(const char *text);
/* Writes all of it, past stdio's buffers, which nobody would wipe. Errors: ERR_IO, errno set */
MUST_CHECK enum vault_err output_write(int fd, struct bytes data);

#endif
