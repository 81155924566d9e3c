/*
 * New certificates for a cluster whose files cluster_files_create() made: from its CA, for the names
 * and addresses in its cluster.conf, while its nodes run. They take them up when they are restarted,
 * one after the other.
 *
 * Whatever is not renewed goes on: a node keeps its private key unless told otherwise, so that its old
 * and its new certificate both belong to it, and the CA's new certificate is for the key of the old
 * one, so that either verifies what it has signed.
 */
#ifndef OSTRAKA_RUNTIME_CLUSTER_RENEW_H
#define OSTRAKA_RUNTIME_CLUSTER_RENEW_H

#include "crypto/rng.h"
#include "proto/cluster.h"
#include "runtime/config_file.h"

/* Certificates in ca.crt, the newest first: while a CA is replaced, the old one is trusted, too. */
enum { CA_CERTIFICATES_MAX = 4 };

struct renewal_options {
    const char *directory;    /* with cluster.conf and ca/ */
    const char *const *nodes; /* names; those in cluster.conf, each once */
    size_t node_count;        /* 0: all */
    bool new_keys;            /* of the nodes */
    const struct rng *rng;
    int64_t now; /* seconds since 1970 */
};

struct renewal {
    struct cluster cluster;
    struct renewed_node {
        unsigned number;                   /* in `cluster` */
        char certificate[CONFIG_PATH_MAX]; /* the file that was written */
        int64_t ends;                      /* seconds since 1970 */
    } nodes[NODES_MAX];
    unsigned node_count;
    bool ca_renewed; /* for another CERTIFICATE_YEARS */
    int64_t ca_ends; /* seconds since 1970 */
};

/*
 * Makes node.crt, ca.crt and, with `new_keys`, node.key in the nodes' folders. The CA is renewed with
 * them when it has ended or will within half of CERTIFICATE_YEARS: what it signs cannot outlive it.
 * Everything is made before anything is written; each file is replaced atomically and durably, and
 * belongs to the owner of its folder. A node whose folder is not there gets one with `new_keys`.
 *
 * out   of what was made, also after an error in writing: the rest is as it was.
 *
 * Errors, with a sentence in `why`: ERR_CONFIG a file is missing or not what it must be, or there is
 * no such node; ERR_NOT_READY the clock is before the CA was made; ERR_IO, ERR_DISK_FULL, ERR_ENTROPY,
 * ERR_NOMEM, ERR_INTERNAL.
 */
MUST_CHECK enum vault_err cluster_renew(const struct renewal_options *options, struct renewal *out,
                                        char *why, size_t why_size);

/*
 * A new CA with a new key, beside the old ones as long as these are valid: ca/ca.key, and ca.crt in
 * ca/ and in those of the nodes' folders that are there. The nodes' certificates stay those of the old
 * CA until cluster_renew(), which must wait until all nodes have been restarted with this ca.crt.
 * Works without the old key, too. Of the options `nodes` and `new_keys` are ignored. Errors: as above.
 */
MUST_CHECK enum vault_err cluster_replace_ca(const struct renewal_options *options,
                                             struct renewal *out, char *why, size_t why_size);

#endif
