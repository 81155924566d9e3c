/*
 * Key material in files: storage key, master key, the sealed files of private share keys and of
 * bucket keys, the birth record. Files are written aside with mode 0600, synced, renamed; reading
 * refuses files that others can read.
 */
#ifndef OSTRAKA_RUNTIME_KEYFILE_H
#define OSTRAKA_RUNTIME_KEYFILE_H

#include <sys/types.h>

#include "crypto/box.h"
#include "crypto/bucket_keys.h"
#include "proto/cluster.h"

/*
 * 64 hex digits and a newline. `env` (may be NULL) names a variable that overrides the file; it is
 * wiped and unset, so call this before there are threads, and once.
 * Errors: ERR_CONFIG with a sentence in `why`; `out` is then zeroed.
 */
MUST_CHECK enum vault_err keyfile_read(const char *path, const char *env,
                                       uint8_t out[static KEY_BYTES], char *why, size_t why_size);
/* Refuses to overwrite (ERR_EXISTS). */
MUST_CHECK enum vault_err keyfile_write(const char *path, const uint8_t key[static KEY_BYTES],
                                        char *why, size_t why_size);

/*
 * The content of a file that only its owner may read: a regular one without any bit for others.
 * Errors: ERR_CONFIG, ERR_NOMEM with a sentence in `why`.
 */
MUST_CHECK enum vault_err secret_file_read(const char *path, size_t max, struct buf *out, char *why,
                                           size_t why_size);

/* Any small file: whole content replaced atomically and durably with that mode. */
MUST_CHECK enum vault_err file_replace(const char *path, struct bytes content, unsigned mode,
                                       char *why, size_t why_size);
/* The same for another user: it is theirs before it has its name. */
struct file_owner {
    uid_t user;
    gid_t group;
};
MUST_CHECK enum vault_err file_replace_for(const char *path, struct bytes content, unsigned mode,
                                           struct file_owner owner, char *why, size_t why_size);
/* Whole file, at most `max` bytes. Errors: ERR_NOT_FOUND, ERR_TOO_LARGE, ERR_IO. */
MUST_CHECK enum vault_err file_read(const char *path, size_t max, struct buf *out);

/*
 * The ring's private halves, sealed under the "share-keys" key (sealed_record_*; AD = cluster id |
 * node name). The secret arena must be open. Saving overwrites the file that it replaces on the
 * disk, since a destroyed private half must not stay there. Loading adds to a ring that has been
 * init'ed; after an error the caller closes it: ERR_NOT_FOUND there is no file, ERR_CORRUPT it does
 * not verify, ERR_CONFIG it cannot be read or others can.
 */
MUST_CHECK enum vault_err share_keys_save(const char *path, const struct share_keyring *ring,
                                          const uint8_t key[static KEY_BYTES], struct bytes ad,
                                          const struct rng *rng, char *why, size_t why_size);
MUST_CHECK enum vault_err share_keys_load(const char *path, struct share_keyring *ring,
                                          const uint8_t key[static KEY_BYTES], struct bytes ad,
                                          char *why, size_t why_size);

/* The associated data of a node's file of share keys: cluster id | node name. Returns its size. */
size_t share_keys_ad(const uint8_t cluster_id[static CLUSTER_ID_BYTES], const char *node_name,
                     uint8_t out[static CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX]);

/* What a node's birth record says of its store. */
enum birth_state {
    BIRTH_UNUSED, /* none has been begun: an empty one is new */
    BIRTH_USED,   /* one has: an empty one is lost */
    BIRTH_BEHIND, /* it was found older than it had been, and has not become a new incarnation yet */
    BIRTH_LOST,   /* the same of one that took the place of a lost one */
};

/*
 * The bucket keys, sealed and saved in the same way under the "bucket-keys" key. The old file keeps
 * a name, `path`.old, until it has been overwritten. Errors of loading: as for share
 * keys; `keys` is all zero then.
 */
MUST_CHECK enum vault_err bucket_file_save(const char *path, const struct bucket_keys *keys,
                                           const uint8_t key[static KEY_BYTES], struct bytes ad,
                                           const struct rng *rng, char *why, size_t why_size);
MUST_CHECK enum vault_err bucket_file_load(const char *path, struct bucket_keys *keys,
                                           struct secret_arena *arena,
                                           const uint8_t key[static KEY_BYTES], struct bytes ad,
                                           char *why, size_t why_size);
/*
 * Overwrites and removes what a crash within saving left beside `path`: to be called at start,
 * before it is believed that a key which the file lacks is gone. The directory is synced before: as
 * long as the file's new name is not durable, the old one may have to serve again. Errors: ERR_IO
 * and its like, with a sentence in `why`; that of the directory leaves everything as it is.
 */
MUST_CHECK enum vault_err key_file_clean(const char *path, char *why, size_t why_size);

/*
 * Birth record: the id of the store that this node has, or will begin with; and, so that a wrong
 * storage key is told from a damaged store, a value derived from the right one. Reading gives
 * ERR_NOT_FOUND when there is no file, ERR_MALFORMED when it holds something else, ERR_CONFIG when
 * it cannot be read or others can.
 */
struct birth {
    uint8_t store_id[16];
    enum birth_state state;
    uint8_t key_check[KEY_BYTES];
};
MUST_CHECK enum vault_err birth_read(const char *path, struct birth *out, char *why,
                                     size_t why_size);
MUST_CHECK enum vault_err birth_write(const char *path, const struct birth *birth, char *why,
                                      size_t why_size);

#endif
