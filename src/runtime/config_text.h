/*
 * Prepares the text of cluster.conf for libconfuse: comments (#, // and the C form) become spaces,
 * lines stay where they are.
 *
 * libconfuse 3.3 counts lines wrongly after comments, does not accept them everywhere, and its
 * scanner keeps its state in globals, so that an unfinished string or a bad escape would spoil the
 * next file; and it takes a block that does not end for complete. What it would stumble over is
 * therefore refused here: strings that do not end on their line, blocks that do not end, and the
 * characters \ and $ (escapes and environment variables, which no option needs).
 */
#ifndef OSTRAKA_RUNTIME_CONFIG_TEXT_H
#define OSTRAKA_RUNTIME_CONFIG_TEXT_H

#include "base/bytes.h"

/*
 * Appends the prepared text and a NUL to `out`, which is the caller's to close, after an error too.
 * Errors: ERR_MALFORMED with the line and a sentence; ERR_NOMEM.
 */
MUST_CHECK enum vault_err config_text_prepare(const char *text, struct buf *out, int *line,
                                              const char **why);

#endif
