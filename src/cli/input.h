/* Whole files and streams into memory that wipes itself. */
#ifndef OSTRAKA_CLI_INPUT_H
#define OSTRAKA_CLI_INPUT_H

#include "base/bytes.h"

/*
 * Reads to the end. *out is empty at entry and on error. Errors: ERR_TOO_LARGE more than `max`
 * bytes; ERR_IO (errno tells); ERR_NOMEM.
 */
MUST_CHECK enum vault_err input_read(int fd, size_t max, struct buf *out);
MUST_CHECK enum vault_err input_read_file(const char *path, size_t max, struct buf *out);

/*
 * Asks on the terminal for one line without showing it; the newline is not part of it. Errors as
 * above, and ERR_RANGE: several lines, or a line of which a terminal may have dropped the end.
 */
#define INPUT_NOT_ONE_LINE                                                                         \
    "a terminal passes on one line of less than 4,095 bytes; for others use @FILE or a pipe"
MUST_CHECK enum vault_err input_ask(int fd, const char *prompt, size_t max, struct buf *out);

/* Drops white space and newlines at the end, wiping them. */
void input_trim_end(struct buf *text);

#endif
