/*
 * The files of a new cluster:
 *
 *   ca/ca.crt, ca/ca.key      the cluster's CA
 *   cluster.conf, admin.token
 *   <node>/                   for each node ca.crt, node.crt, node.key, storage.key, share.keys,
 *                             birth, a copy of cluster.conf, and with seal "file" master.key: to
 *                             be copied to its machine as it is
 */
#ifndef OSTRAKA_RUNTIME_CLUSTER_FILES_H
#define OSTRAKA_RUNTIME_CLUSTER_FILES_H

#include "crypto/rng.h"
#include "proto/cluster.h"

/*
 * Makes them all, or nothing: they are written to a new directory beside `directory`, which is
 * renamed at the end.
 *
 * cluster   in: nodes with names, hosts and ports, share_count, threshold, seal; out: all of it.
 * now       seconds since 1970, from which the certificates are valid.
 *
 * crypto_init() must have been called. Errors, with a sentence in `why`: ERR_CONFIG the cluster is
 * not valid; ERR_EXISTS there is something called `directory`; ERR_IO, ERR_DISK_FULL, ERR_ENTROPY,
 * ERR_NOMEM, ERR_INTERNAL.
 */
MUST_CHECK enum vault_err cluster_files_create(const char *directory, struct cluster *cluster,
                                               const struct rng *rng, int64_t now, char *why,
                                               size_t why_size);

/* Text of cluster.conf, appended. */
MUST_CHECK enum vault_err cluster_conf_write(const struct cluster *cluster, struct buf *out);

/*
 * Removes a directory and all in it, not following links nor leaving its file system. Errors:
 * ERR_IO.
 */
MUST_CHECK enum vault_err directory_remove(const char *path);

#endif
