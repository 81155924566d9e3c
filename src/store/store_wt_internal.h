/*
 * What the parts of the WiredTiger store share: store_wt.c (transactions and readers),
 * store_wt_open.c (opening, verifying, the engine's events), store_wt_encryptor.c (blocks and
 * journal records), store_wt_files.c (its files), store_wt_ahead.c (the journal's file grows
 * ahead), store_wt_retire.c (large files go slowly), store_wt_layout.c (where rows lie in the
 * table), store_wt_journal.c (journal check before recovery), store_wt_disk.c (directory, free
 * space; knows no engine).
 */
#ifndef OSTRAKA_STORE_STORE_WT_INTERNAL_H
#define OSTRAKA_STORE_STORE_WT_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <wiredtiger.h>

#include "crypto/secret.h"
#include "store/block_cipher.h"
#include "store/store_chain.h"
#include "store/store_wt.h"
#include "store/store_wt_disk.h"
#include "store/store_wt_layout.h"

#define STORE_WT_TABLE "table:rows"

struct store_wt_encryptor;

struct store_wt {
    struct store base;
    WT_FILE_SYSTEM files;     /* likewise: store_wt_files.c */
    bool has_files;           /* else an extension brings others */
    WT_EVENT_HANDLER events;  /* the engine hands its address back: see store_wt_of_events */
    _Atomic bool running;     /* open has succeeded: from now on a panic ends the process */
    _Atomic bool journal_cut; /* recovery was about to cut the journal */
    _Atomic bool panicked;    /* while not running */
    _Atomic int first_errno;  /* the first error of the system that the engine told of; 0: none */
    bool torn;                /* the journal ended in a torn record, and was cut there */
    void (*on_fatal)(void *context, const char *what);
    void *context;
    struct store_wt_encryptor *encryptor;
    struct secret_arena *secrets; /* open as long as the store is: the writer needs the key */
    struct secret chain_key;
    uint8_t opening[STORE_OPENING_BYTES]; /* of this one; see store_chain.h */
    struct store_wt_disk disk;
    struct store_wt_layout layout;
    WT_CONNECTION *connection;
    WT_SESSION *sync_session; /* of whoever syncs, one at a time */
    pthread_mutex_t lock;     /* guards what follows: the writer's side */
    WT_SESSION *session;
    struct store_wt_rows rows;
    struct store_mark mark; /* of the last committed batch */
    _Atomic uint64_t log_bytes;
    pthread_mutex_t mark_lock; /* apart from the lock, which is held while the engine commits */
    uint64_t sequence;         /* of `mark` */
    struct store_mark durable; /* of the last synced batch */
};

/* Sets both marks. */
void store_wt_mark_set(struct store_wt *store, const struct store_mark *mark);

/* Tells the owner (or stderr) and ends the process with STORE_WT_EXIT. */
_Noreturn void store_wt_fatal(struct store_wt *store, const char *what);

/* Sets the session's cursor on STORE_WT_TABLE; 0 or the engine's error. */
int store_wt_rows_open(struct store_wt *store, WT_SESSION *session, struct store_wt_rows *out);

/*
 * Where the store stands and which layout it has, in the row of the mark; the cursor is reset by
 * the second. 0 or the engine's error, WT_NOTFOUND: no row.
 */
int store_wt_mark_put(struct store_wt_rows *rows, const struct store_mark *mark);
int store_wt_mark_get(struct store_wt_rows *rows, struct store_mark *out);

/* Everything but the connection, which is closed or abandoned before. */
void store_wt_free(struct store_wt *store);

/*
 * *torn: it ends in a record that does not verify, with nothing whole behind it. Errors:
 * ERR_CORRUPT (damage that no crash explains), ERR_IO, ERR_NOMEM.
 */
MUST_CHECK enum vault_err store_wt_journal_check(const struct store_wt_disk *disk, bool *torn);

extern const struct store_ops store_wt_ops;

/*
 * What is handed to the engine while it starts: the encryption hook and the way to its files. It
 * finds the entry point by name among the process's symbols, which gives no way to hand it anything
 * but text. So the store's address travels as a number in the extension's own `config` text, which
 * the engine keeps in memory only (config_base=false: no configuration file is written, and none is
 * read). Thus every store of a process has a key of its own and there are no globals.
 */
#define STORE_WT_EXTENSION_ENTRY "ostraka_store_wt_init"

/* The entry point; `config` holds the text "store=<address>". */
int ostraka_store_wt_init(WT_CONNECTION *connection, WT_CONFIG_ARG *config);

/* Fills in what reaches the files of the store that this is part of. */
void store_wt_files_init(WT_FILE_SYSTEM *files);

/* How far a journal file is made: store_wt_ahead.c. */
enum { STORE_WT_AHEAD_BYTES = 256 * 1024 };
struct store_wt_ahead {
    pthread_mutex_t lock;
    _Atomic int64_t made; /* what lies before has been written, or is zeros */
};

void store_wt_ahead_init(struct store_wt_ahead *ahead);
void store_wt_ahead_close(struct store_wt_ahead *ahead);
/* The file has that size now: it was opened, or cut. */
void store_wt_ahead_set(struct store_wt_ahead *ahead, int64_t size);
/* Before so much is written there. `may`: there is room for more. */
void store_wt_ahead_reach(struct store_wt_ahead *ahead, int fd, int64_t offset, size_t length,
                          bool may);

/*
 * store_wt_retire.c: removes a file, which may take a second. 0 or the number of the error of the
 * system. One at a time; of two the other goes at once.
 */
#define STORE_WT_RETIRED "retired" /* what is being removed, in the store's directory */
int store_wt_retire(const struct store_wt_disk *disk, const char *name);
/* At a start: what a crash has left of one. */
void store_wt_retire_rest(const struct store_wt_disk *disk);

/* The encryption hook: every block and journal record in the form of block_cipher.h. */
#define STORE_WT_ENCRYPTOR_NAME "ostraka"

MUST_CHECK enum vault_err store_wt_encryptor_new(const uint8_t key[static 32],
                                                 enum block_suite suite,
                                                 struct store_wt_encryptor **out);
/* After the connection was closed. NULL is fine. */
void store_wt_encryptor_free(struct store_wt_encryptor *encryptor);
/* Blocks that did not open: damage, or the wrong key. */
unsigned store_wt_encryptor_failures(const struct store_wt_encryptor *encryptor);
/* Makes it known under STORE_WT_ENCRYPTOR_NAME; 0 or the engine's error. */
int store_wt_encryptor_add(struct store_wt_encryptor *encryptor, WT_CONNECTION *connection);

#endif
