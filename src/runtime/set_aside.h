/*
 * Damaged files of a store are not thrown away: its directory is renamed, so that whoever wants to
 * can look at it, and a new one is made in its place.
 */
#ifndef OSTRAKA_RUNTIME_SET_ASIDE_H
#define OSTRAKA_RUNTIME_SET_ASIDE_H

#include <limits.h>

#include "base/log.h"

enum { SET_ASIDE_MAX = 2 }; /* damaged directories kept; the oldest gives way, with a line */

/*
 * Renames `directory` to `<directory>.damaged-<time in UTC>` and makes an empty one in its place,
 * durably; its symbolic links are resolved first. Older damaged directories are removed, oldest first, while there are SET_ASIDE_MAX
 * of them, or less than `room_bytes` is free for what takes the place.
 *
 * target  where the files are now; empty on an error.
 *
 * Errors, with a sentence in `why` (nothing was moved then): ERR_DISK_FULL, ERR_IO.
 */
MUST_CHECK enum vault_err set_aside(const char *directory, uint64_t room_bytes, uint64_t now_s,
                                    const struct log_sink *log, char target[static PATH_MAX],
                                    char *why, size_t why_size);

#endif
