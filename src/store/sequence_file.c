#include "store/sequence_file.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/big_endian.h"
#include "crypto/secret.h"
#include "store/store_chain.h"

/* A slot: magic (8) | counter (8) | store id (16) | incarnation (8) | share key (8) | mark | MAC */
enum {
    SLOTS = 2,
    SLOT_SPACING = 512, /* each in a sector of its own */
    MAC_AT = 8 + 8 + 16 + 8 + 8 + STORE_MARK_BYTES,
    SLOT_BYTES = MAC_AT + HASH_BYTES,
    FILE_BYTES = SLOTS * SLOT_SPACING,
};

static const uint8_t MAGIC[8] = {'o', 's', 't', 'r', 's', 'e', 'q', 1};

struct sequence_file {
    int fd;
    struct secret_arena *secrets; /* open as long as this is */
    struct secret key;
    pthread_mutex_t lock; /* guards what follows */
    struct sequence_record now;
    uint64_t counter; /* of the last slot written */
};

static void
slot_mac(const uint8_t *key, const uint8_t slot[static SLOT_BYTES], uint8_t out[static HASH_BYTES])
{
    struct bytes part = bytes_of(slot, MAC_AT);

    mac_parts(key, &part, 1, out);
}

static void
slot_encode(const uint8_t *key, const struct sequence_record *record, uint64_t counter,
            uint8_t out[static SLOT_BYTES])
{
    memcpy(out, MAGIC, sizeof(MAGIC));
    big_endian_put(out + 8, counter);
    memcpy(out + 16, record->store_id, sizeof(record->store_id));
    big_endian_put(out + 32, record->incarnation);
    big_endian_put(out + 40, record->share_key_id);
    store_mark_encode(&record->mark, out + 48);
    slot_mac(key, out, out + MAC_AT);
}

/* False: not a slot of ours. */
static bool
slot_decode(const uint8_t *key, const uint8_t slot[static SLOT_BYTES], struct sequence_record *out,
            uint64_t *counter)
{
    uint8_t mac[HASH_BYTES];

    slot_mac(key, slot, mac);
    if (memcmp(slot, MAGIC, sizeof(MAGIC)) != 0 ||
        !secret_equal(bytes_of(mac, sizeof(mac)), bytes_of(slot + MAC_AT, sizeof(mac))))
        return false;
    *counter = big_endian_get(slot + 8);
    memcpy(out->store_id, slot + 16, sizeof(out->store_id));
    out->incarnation = big_endian_get(slot + 32);
    out->share_key_id = big_endian_get(slot + 40);
    return store_mark_decode(bytes_of(slot + 48, STORE_MARK_BYTES), &out->mark) == OK;
}

/* The newest slot that verifies. Errors: ERR_CORRUPT there is none, ERR_IO. */
static enum vault_err
newest_slot(int fd, const uint8_t *key, struct sequence_record *out, uint64_t *counter)
{
    uint8_t content[FILE_BYTES] = {0};
    bool found = false;
    size_t got = 0;

    *counter = 0;
    while (got < sizeof(content)) {
        ssize_t n = pread(fd, content + got, sizeof(content) - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            break;
        got += (size_t)n;
    }
    for (unsigned i = 0; i < SLOTS; i++) {
        struct sequence_record record;
        uint64_t number;
        if (!slot_decode(key, content + (size_t)i * SLOT_SPACING, &record, &number) ||
            (found && number < *counter))
            continue;
        found = true;
        *counter = number;
        *out = record;
    }
    return found ? OK : ERR_CORRUPT;
}

enum vault_err
sequence_file_read(const char *path, const uint8_t key[static KEY_BYTES],
                   struct sequence_record *out)
{
    uint64_t counter;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC);

    *out = (struct sequence_record){0};
    if (fd < 0)
        return errno == ENOENT ? ERR_NOT_FOUND : ERR_IO;
    enum vault_err err = newest_slot(fd, key, out, &counter);
    close(fd);
    if (err != OK)
        *out = (struct sequence_record){0};
    return err;
}

static enum vault_err
write_locked(struct sequence_file *f)
{
    uint8_t slot[SLOT_BYTES];
    ssize_t n;

    f->counter++;
    slot_encode(f->key.data, &f->now, f->counter, slot);
    do {
        n = pwrite(f->fd, slot, sizeof(slot), (off_t)(f->counter % SLOTS * SLOT_SPACING));
    } while (n < 0 && errno == EINTR);
    return n == (ssize_t)sizeof(slot) ? OK : ERR_IO;
}

/* Room for both slots, so that writing them never finds the disk full. */
static enum vault_err
make_room(int fd)
{
    int number = posix_fallocate(fd, 0, FILE_BYTES);

    if (number == 0 && fchmod(fd, 0600) == 0 && fsync(fd) == 0)
        return OK;
    return number == ENOSPC || number == EDQUOT ? ERR_DISK_FULL : ERR_IO;
}

enum vault_err
sequence_file_open(const char *path, const uint8_t key[static KEY_BYTES],
                   const struct sequence_record *now, struct sequence_file **out)
{
    struct sequence_file *f = calloc(1, sizeof(*f));
    struct sequence_record before;

    *out = NULL;
    if (f == NULL)
        return ERR_NOMEM;
    (void)pthread_mutex_init(&f->lock, NULL); /* fills in memory, no more */
    f->fd = open(path, O_RDWR | O_CREAT | O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC, 0600);
    enum vault_err err = f->fd < 0 ? ERR_IO : make_room(f->fd);
    if (err == OK)
        err = secret_arena_new(1, &f->secrets);
    if (err == OK) {
        secret_arena_open(f->secrets);
        err = secret_copy(f->secrets, bytes_of(key, KEY_BYTES), &f->key);
    }
    if (err == OK && newest_slot(f->fd, key, &before, &f->counter) == ERR_IO)
        err = ERR_IO;
    f->now = *now;
    if (err == OK)
        err = write_locked(f);
    if (err != OK) {
        sequence_file_close(f);
        return err;
    }
    *out = f;
    return OK;
}

void
sequence_file_close(struct sequence_file *file)
{
    if (file == NULL)
        return;
    if (file->secrets != NULL) {
        secret_free(file->secrets, &file->key);
        secret_arena_close(file->secrets);
        secret_arena_free(file->secrets);
    }
    if (file->fd >= 0)
        close(file->fd);
    pthread_mutex_destroy(&file->lock);
    free(file);
}

enum vault_err
sequence_file_set_mark(struct sequence_file *file, const struct store_mark *mark)
{
    pthread_mutex_lock(&file->lock);
    file->now.mark = *mark;
    enum vault_err err = write_locked(file);
    pthread_mutex_unlock(&file->lock);
    return err;
}

enum vault_err
sequence_file_set_incarnation(struct sequence_file *file, uint64_t incarnation)
{
    pthread_mutex_lock(&file->lock);
    file->now.incarnation = incarnation;
    enum vault_err err = write_locked(file);
    pthread_mutex_unlock(&file->lock);
    return err;
}

enum vault_err
sequence_file_set_share_key(struct sequence_file *file, uint64_t id)
{
    pthread_mutex_lock(&file->lock);
    file->now.share_key_id = id;
    enum vault_err err = write_locked(file);
    pthread_mutex_unlock(&file->lock);
    return err;
}
