/*
 * The server process: wires store, links, HTTPS front and actors to one reactor and runs until
 * SIGTERM or SIGINT.
 */
#ifndef OSTRAKA_RUNTIME_SERVER_H
#define OSTRAKA_RUNTIME_SERVER_H

#include "runtime/config_file.h"

/*
 * Runs the node until it is told to stop. Returns the exit status of the process
 * (base/exit_status.h). One clear line on standard error for everything that keeps it from serving.
 */
int server_run(const struct config *config);

#endif
