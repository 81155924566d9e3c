/*
 * The token that `ostraka login` keeps for the commands that follow: a file of the user's own, mode
 * 0600, for each cluster. A token must not be sent to another cluster than the one that gave it, so
 * the name of the file is that of the cluster's CA, or, where no CA is named, of the first address.
 */
#ifndef OSTRAKA_CLI_TOKEN_STORE_H
#define OSTRAKA_CLI_TOKEN_STORE_H

#include "cli/connection.h"

/*
 * The path of the file, NUL-terminated; `out` is wiped by its close. Returns EXIT_OK, or another exit
 * status having said why.
 */
int token_store_path(const struct client_options *options, struct buf *out);
/*
 * What tells the cluster apart: the CA's certificate as DER, or the first address. `out` stays with
 * the caller. Returns as above.
 */
int token_store_cluster_mark(const struct client_options *options, struct buf *out);
/* Whether there is such a file. */
bool token_store_has(const char *path);
/* Its content. Refuses a file that others can read. Returns as above; *out is then empty. */
int token_store_read(const char *path, struct buf *out);
/* Makes the folders above the file, as far as they are missing, for the user alone. */
int token_store_prepare(const char *path);
int token_store_write(const char *path, struct bytes token);
int token_store_forget(const char *path);

#endif
