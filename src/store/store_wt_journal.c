/*
 * A look through the journal before the engine recovers it.
 *
 * The engine takes the first record that does not verify for the end of the journal, and mostly
 * says nothing: when a flipped bit makes the record's length reach past the end of the file, or its
 * last byte is zero, recovery cuts off everything behind it and succeeds. So rule out first what a
 * crash cannot have done: a record that is damaged although whole records lie behind it, in its own
 * file or in a later one. Then nothing is recovered.
 *
 * What a crash does do is accepted: a torn last record, and a gap of zeros (buffers may reach the
 * file out of order; nothing behind such a gap was ever synced). Whether what was cut had been
 * acknowledged, and a journal that lost its end without a trace, shows only in the store's
 * sequence.
 *
 * What is accepted is mended before the engine begins new files behind it, for the sake of a second
 * crash while those are young: a torn end, which would then lie in the middle, is overwritten with
 * zeros; and a file with its first record alone is made long enough for the second, which the
 * engine reads without asking how long the file is.
 *
 * Format (WiredTiger 3.2, little endian): records start at multiples of 128; length (4, with this
 * header), CRC-32C over the record with this field zero (4), flags (2), zero (2), plain length (4),
 * content.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "store/store_wt_internal.h"

enum {
    RECORD_ALIGN = 128,
    RECORD_HEADER_BYTES = 16,
    RECORD_FLAGS = 3,      /* compressed, encrypted */
    FILE_HEAD_RECORDS = 2, /* every file begins with a description and a link to the file before */
};

struct journal {
    uint8_t *data; /* of the file looked at */
    size_t size;
    uint32_t (*crc)(const void *data, size_t size);
    bool damage_open; /* an earlier file ended in a damaged record */
    bool needs_mending;
    size_t good; /* of the file looked at: bytes of whole records from its start */
};

struct journal_search {
    uint32_t after;
    uint32_t found; /* smallest number above `after`; 0: none */
};

static uint32_t
le32(const uint8_t *p)
{
    return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

/* Bytes that the whole record at `offset` takes in the file, or 0 when there is none. */
static size_t
record_at(struct journal *j, size_t offset)
{
    uint8_t *record = j->data + offset;
    uint8_t crc[4];

    if (j->size - offset < RECORD_HEADER_BYTES)
        return 0;
    uint32_t length = le32(record);
    if (length <= RECORD_HEADER_BYTES || length > j->size - offset)
        return 0;
    if ((record[8] & ~RECORD_FLAGS) != 0 || record[9] != 0 || record[10] != 0 || record[11] != 0)
        return 0;
    memcpy(crc, record + 4, sizeof(crc));
    memset(record + 4, 0, sizeof(crc));
    bool match = j->crc(record, length) == le32(crc);
    memcpy(record + 4, crc, sizeof(crc));
    if (!match)
        return 0;
    return (length + (size_t)RECORD_ALIGN - 1) / RECORD_ALIGN * RECORD_ALIGN;
}

static bool
zero_at(const struct journal *j, size_t offset)
{
    size_t left = j->size - offset;

    for (size_t i = 0; i < RECORD_ALIGN && i < left; i++) {
        if (j->data[offset + i] != 0)
            return false;
    }
    return true;
}

static bool
is_short(const struct journal *j)
{
    return j->size >= RECORD_ALIGN && j->size < FILE_HEAD_RECORDS * (size_t)RECORD_ALIGN;
}

/* There is a damaged record behind the good ones. */
static bool
is_torn(const struct journal *j)
{
    return j->size - j->good >= RECORD_ALIGN && !zero_at(j, j->good);
}

static enum vault_err
file_check(struct journal *j)
{
    size_t offset = 0, records = 0;

    while (offset < j->size) {
        size_t taken = record_at(j, offset);
        if (taken == 0)
            break;
        records++;
        offset += taken;
    }
    j->good = offset;
    if (j->damage_open && records > FILE_HEAD_RECORDS)
        return ERR_CORRUPT;
    j->needs_mending = j->needs_mending || is_short(j);
    if (offset >= j->size || zero_at(j, offset))
        return OK;
    j->damage_open = true;
    j->needs_mending = j->needs_mending || is_torn(j);
    for (offset += RECORD_ALIGN; offset < j->size; offset += RECORD_ALIGN) {
        if (record_at(j, offset) > 0)
            return ERR_CORRUPT;
    }
    return OK;
}

static void
journal_name(uint32_t number, char out[static 32])
{
    (void)snprintf(out, 32, "WiredTigerLog.%010u", number);
}

static enum vault_err
file_read(int directory_fd, uint32_t number, struct journal *j)
{
    char name[32];
    struct stat st;
    enum vault_err err = ERR_IO;
    size_t got = 0;

    journal_name(number, name);
    int fd = openat(directory_fd, name, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    if (fstat(fd, &st) != 0)
        goto out;
    j->size = (size_t)st.st_size;
    j->data = malloc(j->size + 1);
    if (j->data == NULL) {
        err = ERR_NOMEM;
        goto out;
    }
    while (got < j->size) {
        ssize_t n = pread(fd, j->data + got, j->size - got, (off_t)got);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            goto out;
        got += (size_t)n;
    }
    err = OK;
out:
    close(fd);
    return err;
}

/* The number in a journal file's name; 0 for other files. */
static unsigned
journal_number(const char *name)
{
    static const char prefix[] = "WiredTigerLog.";
    const char *digits = name + sizeof(prefix) - 1;

    if (strncmp(name, prefix, sizeof(prefix) - 1) != 0 || strspn(digits, "0123456789") != 10)
        return 0;
    unsigned long number = strtoul(digits, NULL, 10);
    return number <= UINT32_MAX ? (unsigned)number : 0;
}

static enum vault_err
journal_compare(int directory_fd, const char *name, void *context)
{
    struct journal_search *search = context;
    unsigned number = journal_number(name);

    (void)directory_fd;
    if (number <= search->after)
        return OK;
    if (search->found == 0 || number < search->found)
        search->found = number;
    return OK;
}

static enum vault_err
zeros_write(int fd, size_t from, size_t to)
{
    static const uint8_t zeros[4096];

    while (from < to) {
        size_t size = to - from < sizeof(zeros) ? to - from : sizeof(zeros);
        ssize_t n = pwrite(fd, zeros, size, (off_t)from);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
        from += (size_t)n;
    }
    return OK;
}

static enum vault_err
file_mend(int directory_fd, uint32_t number, const struct journal *j)
{
    char name[32];
    size_t end = j->size;
    enum vault_err err = OK;

    if (!is_short(j) && !is_torn(j))
        return OK;
    while (end > j->good && j->data[end - 1] == 0)
        end--;
    journal_name(number, name);
    int fd = openat(directory_fd, name, O_WRONLY | O_CLOEXEC);
    if (fd < 0)
        return ERR_IO;
    if (is_short(j) && ftruncate(fd, (off_t)FILE_HEAD_RECORDS * RECORD_ALIGN) != 0)
        err = ERR_IO;
    if (err == OK)
        err = zeros_write(fd, j->good, end);
    if (err == OK && fsync(fd) != 0)
        err = ERR_IO;
    close(fd);
    return err;
}

/* Looks at every file in order, or mends them. */
static enum vault_err
files_visit(const struct store_wt_disk *disk, struct journal *j, bool mend)
{
    struct journal_search search = {0};

    j->damage_open = false;
    for (;;) {
        search.found = 0;
        enum vault_err err = store_wt_disk_visit(disk, journal_compare, &search);
        if (err != OK || search.found == 0)
            return err;
        err = file_read(disk->directory_fd, search.found, j);
        if (err == OK)
            err = file_check(j);
        if (err == OK && mend)
            err = file_mend(disk->directory_fd, search.found, j);
        free(j->data);
        j->data = NULL;
        if (err != OK)
            return err;
        search.after = search.found;
    }
}

enum vault_err
store_wt_journal_check(const struct store_wt_disk *disk, bool *torn)
{
    struct journal j = {.crc = wiredtiger_crc32c_func()};

    enum vault_err err = files_visit(disk, &j, false);
    *torn = err == OK && j.damage_open;
    if (err == OK && j.needs_mending)
        err = files_visit(disk, &j, true);
    return err;
}
