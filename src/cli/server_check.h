/*
 * `ostraka server --check`: says what was understood of cluster.conf and whether the node's files
 * are usable.
 */
#ifndef OSTRAKA_CLI_SERVER_CHECK_H
#define OSTRAKA_CLI_SERVER_CHECK_H

#include "runtime/config_file.h"

/*
 * Returns EXIT_OK, or EXIT_CONFIGURATION when the server could not start like this. Changes
 * nothing.
 */
int server_check(const char *path, const struct config *config);

#endif
