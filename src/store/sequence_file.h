/*
 * A small file beside the store, outside its directory: where this node's store stood at the last
 * flush. A store that is older than the file says (an older copy put back, a journal cut without a
 * word) has forgotten what it promised.
 *
 * It is written after every flush, before any answer of that flush leaves the process, and never
 * synced: it survives the death of the process, and after a power failure may be older than the
 * store, which says nothing against it.
 *
 * Two slots of a fixed size, written in turn, each with a counter and a MAC under a key derived
 * from the storage key: a torn write spoils one slot, and the other is the truth of one flush
 * before.
 */
#ifndef OSTRAKA_STORE_SEQUENCE_FILE_H
#define OSTRAKA_STORE_SEQUENCE_FILE_H

#include "crypto/hash.h"
#include "store/store.h"

struct sequence_record {
    uint8_t store_id[16];
    uint64_t incarnation; /* of the store */
    struct store_mark mark;
    uint64_t share_key_id; /* newest share key of this node, so that an older file of them shows */
};

/*
 * What the file says. Errors: ERR_NOT_FOUND there is none; ERR_CORRUPT no slot verifies (damage, or
 * another key); ERR_IO. *out is empty then.
 */
MUST_CHECK enum vault_err sequence_file_read(const char *path, const uint8_t key[static KEY_BYTES],
                                             struct sequence_record *out);

struct sequence_file;

/*
 * Opens or makes the file (mode 0600, room for both slots) and writes `now` into it. Errors:
 * ERR_IO, ERR_DISK_FULL, ERR_NOMEM.
 */
MUST_CHECK enum vault_err sequence_file_open(const char *path, const uint8_t key[static KEY_BYTES],
                                             const struct sequence_record *now,
                                             struct sequence_file **out);
void sequence_file_close(struct sequence_file *file); /* NULL is fine */

/*
 * Each writes a whole record with one thing changed; from any thread. An error leaves the file
 * behind the store, which costs protection and nothing else. Errors: ERR_IO.
 */
MUST_CHECK enum vault_err sequence_file_set_mark(struct sequence_file *file,
                                                 const struct store_mark *mark);
MUST_CHECK enum vault_err sequence_file_set_incarnation(struct sequence_file *file,
                                                        uint64_t incarnation);
MUST_CHECK enum vault_err sequence_file_set_share_key(struct sequence_file *file, uint64_t id);

#endif
