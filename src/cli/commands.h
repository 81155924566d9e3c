/*
 * The commands with their help, a table for each topic, which ends with an entry that has no path.
 * They are data only; cli.c finds and runs what they name.
 */
#ifndef OSTRAKA_CLI_COMMANDS_H
#define OSTRAKA_CLI_COMMANDS_H

#include "cli/cli.h"

extern const struct command commands_secret[]; /* secrets, .env texts */
extern const struct command commands_auth[];   /* policies, tenants, identities, tokens */
extern const struct command commands_login[];  /* logging in, and who may */

/* Of every command that talks to a server. */
#define CONNECTION_HELP                                                                            \
    "\nConnection:\n"                                                                              \
    "  --addr LIST         addresses of nodes, comma-separated; the next one is tried when one\n"  \
    "                      is down (default: $OSTRAKA_ADDR, else https://127.0.0.1:7401)\n"        \
    "  --cacert FILE       certificate of the cluster's CA (default: $OSTRAKA_CACERT, else the\n"  \
    "                      system's)\n"                                                            \
    "  --token-file FILE   file with the access token (default: $OSTRAKA_TOKEN, else the file\n"   \
    "                      that $OSTRAKA_TOKEN_FILE names, else that of the last login)\n"         \
    "  --tenant NAME       tenant to act in (default: $OSTRAKA_TENANT, else the token's own)\n"

#endif
