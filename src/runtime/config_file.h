/*
 * cluster.conf, parsed with libconfuse into typed structs. What must be equal on all nodes (struct
 * cluster) is kept apart from what is local to a node (struct node_config).
 */
#ifndef OSTRAKA_RUNTIME_CONFIG_FILE_H
#define OSTRAKA_RUNTIME_CONFIG_FILE_H

#include <limits.h>

#include "base/log.h"
#include "proto/cluster.h"

enum { CONFIG_PATH_MAX = 1024 };

/*
 * Paths are absolute: relative ones in the file are taken from the directory of cluster.conf.
 * Default directory of a node: that directory itself if there is a node.crt in it (the node's
 * folder, copied to its machine), else <conf dir>/<node name>.
 *
 * The storage key may be had from OSTRAKA_STORAGE_KEY (hex), the master key from
 * OSTRAKA_MASTER_KEY; a systemd credential of the file's name ($CREDENTIALS_DIRECTORY) goes before
 * the file.
 */
struct node_config {
    unsigned self;
    char directory[CONFIG_PATH_MAX];
    char data[CONFIG_PATH_MAX];           /* WiredTiger's directory: <directory>/data */
    char ca[CONFIG_PATH_MAX];             /* <directory>/ca.crt */
    char certificate[CONFIG_PATH_MAX];    /* <directory>/node.crt */
    char key[CONFIG_PATH_MAX];            /* <directory>/node.key */
    char storage_key[CONFIG_PATH_MAX];    /* <directory>/storage.key */
    char share_keys[CONFIG_PATH_MAX];     /* <directory>/share.keys */
    char bucket_keys[CONFIG_PATH_MAX];    /* <directory>/bucket.keys */
    char birth[CONFIG_PATH_MAX];          /* <directory>/birth: store id given by cluster create */
    char master_key[CONFIG_PATH_MAX];     /* SEAL_FILE: <directory>/master.key */
    char listen_host[HOST_BYTES_MAX + 1]; /* address to bind; default the node's host */
    uint64_t cache_bytes;                 /* 128 MiB */
    uint64_t disk_free_min_bytes;         /* 64 MiB */
    uint64_t requests_max;                /* in flight: 1024 */
    uint32_t request_deadline_ms;         /* 5000 */
    uint32_t share_key_rotation_s;        /* 3600 */
    uint32_t shred_interval_ms;           /* 600000 */
    uint64_t scrub_rows_per_s;            /* 200; 0: no scrubbing */
    /* Limits of clients: actors/door.h, runtime/https.h; 0: none. */
    uint32_t address_requests_per_s, address_connections_per_s, identity_requests_per_s;
    size_t address_connections_max, address_handshakes_max;
    bool slow_failed_logins;
    bool audit_names_hashed;      /* no: in clear */
    uint64_t audit_blocks_kept;   /* 1048576 */
    uint32_t token_sweep_slack_s; /* 86400 */
    enum log_level log_level;
    enum log_format log_format;
    char sequence[CONFIG_PATH_MAX]; /* <directory>/sequence: store/sequence_file.h */
    char failed[CONFIG_PATH_MAX];   /* <directory>/storage.failed: the storage ended the last run */
};

struct config {
    struct cluster cluster;
    struct node_config node; /* of the node that was asked for */
};

/*
 * Reads and validates all of it for the node called `node` (NULL: only the cluster part, node.self
 * = 0). libconfuse's scanner has global state: one thread at a time.
 * Errors: ERR_CONFIG with "file:line: sentence" in `why`; ERR_IO when the file cannot be read.
 */
MUST_CHECK enum vault_err config_load(const char *path, const char *node, struct config *out,
                                      char *why, size_t why_size);
/* Same from memory (tests, fuzzer); `path` is only for messages and relative paths. */
MUST_CHECK enum vault_err config_parse(const char *text, const char *path, const char *node,
                                       struct config *out, char *why, size_t why_size);

#endif
