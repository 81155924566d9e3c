/* The parent's half of the crash disk: its memory, and what a crash leaves in the directory. */
#include "crash_disk_internal.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

enum { DATA_BYTES = 768 * 1024 * 1024 }; /* reserved; only what is written takes memory */

#define PATH_SIZE (CRASH_TEXT_BYTES + CRASH_NAME_BYTES)

static void
fail_test(const char *what)
{
    perror(what);
    abort();
}

static void *
shared_memory(size_t size)
{
    int kind = MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE;
    /* cppcheck-suppress invalidFunctionArg ; -1 is what goes with MAP_ANONYMOUS */
    void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, kind, -1, 0);

    if (p == MAP_FAILED)
        fail_test("crash disk: mmap");
    return p;
}

struct crash_disk *
crash_disk_new(void)
{
    struct crash_disk *disk = shared_memory(sizeof(*disk));

    disk->items = shared_memory(CRASH_OPS_MAX * sizeof(struct crash_op));
    disk->data = shared_memory(DATA_BYTES);
    disk->data_size = DATA_BYTES;
    return disk;
}

void
crash_disk_free(struct crash_disk *disk)
{
    (void)munmap(disk->items, CRASH_OPS_MAX * sizeof(struct crash_op));
    (void)munmap(disk->data, DATA_BYTES);
    (void)munmap(disk, sizeof(*disk));
}

void
crash_disk_begin(struct crash_disk *disk, const char *directory, const struct crash_plan *plan)
{
    /* A child may have died with the lock held. */
    if (pthread_mutex_init(&disk->lock, NULL) != 0)
        fail_test("crash disk: mutex");
    (void)snprintf(disk->directory, sizeof(disk->directory), "%s", directory);
    disk->plan = *plan;
    disk->ops = disk->syncs = disk->failures = 0;
    disk->dead = false;
    disk->file_count = disk->op_count = disk->data_used = 0;
}

void
crash_disk_extension(const struct crash_disk *disk, char out[static CRASH_EXTENSION_BYTES])
{
    (void)snprintf(out, CRASH_EXTENSION_BYTES,
                   "local={entry=" CRASH_DISK_ENTRY ",early_load=true,config=\"disk=%" PRIuPTR
                   "\"}",
                   (uintptr_t)disk);
}

const char *
crash_loss_name(enum crash_loss loss)
{
    static const char *const names[] = {"nothing", "all", "end", "torn", "random"};

    return (unsigned)loss < LOSS_KINDS ? names[loss] : "?";
}

void
crash_path(const struct crash_disk *disk, const char *name, char out[static PATH_SIZE])
{
    (void)snprintf(out, PATH_SIZE, "%.*s/%.*s", CRASH_TEXT_BYTES - 1, disk->directory,
                   CRASH_NAME_BYTES - 1, name);
}

/* ---- what is kept ---- */

enum fate { LOST, KEPT, TORN };

static uint64_t
torn_bytes(const struct crash_op *op, struct prng *prng)
{
    uint64_t sectors = op->size / CRASH_SECTOR_BYTES;

    return sectors == 0 ? 0 : prng_below(prng, sectors + 1) * CRASH_SECTOR_BYTES;
}

static size_t
last_write(const struct crash_disk *disk)
{
    for (size_t i = disk->op_count; i > 0; i--) {
        const struct crash_op *op = &disk->items[i - 1];
        if (!op->durable && op->kind == OP_WRITE)
            return i - 1;
    }
    return disk->op_count;
}

/* From which operation on everything that was not durable is gone, for the losses in order. */
static size_t
point_of_loss(const struct crash_disk *disk, enum crash_loss loss, struct prng *prng)
{
    switch (loss) {
    case LOSS_ALL: return 0;
    case LOSS_TORN: return last_write(disk);
    case LOSS_END: {
        size_t pending = 0, first = disk->op_count;
        for (size_t i = disk->op_count; i > 0; i--) {
            pending += !disk->items[i - 1].durable;
            if (!disk->items[i - 1].durable)
                first = i - 1;
        }
        return pending == 0 ? first : first + prng_below(prng, disk->op_count - first);
    }
    case LOSS_NOTHING:
    case LOSS_RANDOM:
    case LOSS_KINDS: break;
    }
    return disk->op_count;
}

static void
fates_draw(const struct crash_disk *disk, enum crash_loss loss, struct prng *prng, uint8_t *fates)
{
    size_t point = point_of_loss(disk, loss, prng);
    unsigned keep_permille = (unsigned)prng_between(prng, 50, 950);

    for (size_t i = 0; i < disk->op_count; i++) {
        const struct crash_op *op = &disk->items[i];
        if (op->durable || loss == LOSS_NOTHING || i < point)
            fates[i] = KEPT;
        if (!op->durable && i >= point)
            fates[i] = i == point && loss != LOSS_ALL && op->kind == OP_WRITE ? TORN : LOST;
        if (!op->durable && loss == LOSS_RANDOM) {
            fates[i] = prng_chance(prng, keep_permille) ? KEPT : LOST;
            if (op->kind == OP_WRITE && prng_chance(prng, 150))
                fates[i] = TORN;
        }
    }
    /* What happened to the directory is lost from its end, and a replacement whole. */
    bool lost = false;
    for (size_t i = 0; i < disk->op_count; i++) {
        const struct crash_op *op = &disk->items[i];
        if (!crash_op_is_of_directory(op))
            continue;
        lost = lost || fates[i] != KEPT;
        if (op->kind == OP_RENAME && op->new_size == 1 && fates[i + 1] != KEPT)
            lost = true;
        fates[i] = lost ? LOST : KEPT;
    }
}

/* ---- taking back, and doing again ---- */

static int
file_open(const struct crash_disk *disk, unsigned file)
{
    char path[PATH_SIZE];

    crash_path(disk, disk->files[file].name, path);
    return open(path, O_RDWR | O_CLOEXEC);
}

static void
take_back_content(const struct crash_disk *disk, const struct crash_op *op)
{
    int fd = file_open(disk, op->file);

    if (fd < 0)
        return; /* gone with the file */
    if (pwrite(fd, disk->data + op->data, op->size, (off_t)op->offset) != (ssize_t)op->size ||
        ftruncate(fd, (off_t)op->old_size) != 0)
        fail_test("crash disk: taking back");
    close(fd);
}

static void
take_back(struct crash_disk *disk, const struct crash_op *op)
{
    char from[PATH_SIZE], to[PATH_SIZE];

    switch (op->kind) {
    case OP_WRITE:
    case OP_RESIZE: take_back_content(disk, op); return;
    case OP_CREATE:
        crash_path(disk, disk->files[op->file].name, from);
        (void)unlink(from);
        disk->files[op->file].name[0] = '\0';
        return;
    case OP_RENAME:
        crash_path(disk, op->from, from);
        crash_path(disk, op->to, to);
        if (rename(to, from) != 0 && errno != ENOENT)
            fail_test("crash disk: renaming back");
        memcpy(disk->files[op->file].name, op->from, CRASH_NAME_BYTES);
        return;
    }
}

static void
write_again(const struct crash_disk *disk, const struct crash_op *op, int fd, uint64_t from,
            uint64_t to)
{
    const uint8_t *data = disk->data + op->data + op->size;
    size_t size = (size_t)(to - from);

    if (pwrite(fd, data + from, size, (off_t)(op->offset + from)) != (ssize_t)size)
        fail_test("crash disk: writing again");
}

/* Torn behind some sector; with `anywhere`, each sector may have come or not. */
static void
write_torn(const struct crash_disk *disk, const struct crash_op *op, int fd, bool anywhere,
           struct prng *prng)
{
    if (!anywhere) {
        write_again(disk, op, fd, 0, torn_bytes(op, prng));
        return;
    }
    for (uint64_t from = 0; from < op->size; from += CRASH_SECTOR_BYTES) {
        uint64_t left = op->size - from;
        if (prng_chance(prng, 500))
            write_again(disk, op, fd, from,
                        from + (left < CRASH_SECTOR_BYTES ? left : CRASH_SECTOR_BYTES));
    }
}

static void
do_again(const struct crash_disk *disk, const struct crash_op *op, enum fate fate, bool anywhere,
         struct prng *prng)
{
    int fd;

    if (disk->files[op->file].name[0] == '\0')
        return;
    fd = file_open(disk, op->file);
    if (fd < 0)
        return;
    if (op->kind == OP_RESIZE && ftruncate(fd, (off_t)op->new_size) != 0)
        fail_test("crash disk: resizing");
    if (op->kind == OP_WRITE && fate == TORN)
        write_torn(disk, op, fd, anywhere, prng);
    else if (op->kind == OP_WRITE)
        write_again(disk, op, fd, 0, op->size);
    close(fd);
}

static void
remove_what_is_gone(const struct crash_disk *disk)
{
    DIR *dir = opendir(disk->directory);
    char path[PATH_SIZE];

    if (dir == NULL)
        fail_test("crash disk: directory");
    for (struct dirent *e = readdir(dir); e != NULL; e = readdir(dir)) {
        if (strncmp(e->d_name, CRASH_GONE, strlen(CRASH_GONE)) != 0)
            continue;
        crash_path(disk, e->d_name, path);
        (void)unlink(path);
    }
    closedir(dir);
}

size_t
crash_disk_lose(struct crash_disk *disk, enum crash_loss loss, struct prng *prng)
{
    uint8_t *fates = calloc(disk->op_count + 1, 1);
    size_t pending = 0;

    if (fates == NULL)
        fail_test("crash disk");
    fates_draw(disk, loss, prng, fates);
    /* All that was not durable is taken back, newest first; then what is kept is done again. */
    for (size_t i = disk->op_count; i > 0 && loss != LOSS_NOTHING; i--) {
        const struct crash_op *op = &disk->items[i - 1];
        pending += !op->durable;
        if (!op->durable && (!crash_op_is_of_directory(op) || fates[i - 1] == LOST))
            take_back(disk, op);
    }
    for (size_t i = 0; i < disk->op_count && loss != LOSS_NOTHING; i++) {
        const struct crash_op *op = &disk->items[i];
        if (op->durable || crash_op_is_of_directory(op) || fates[i] == LOST)
            continue;
        do_again(disk, op, (enum fate)fates[i], loss == LOSS_RANDOM, prng);
    }
    remove_what_is_gone(disk);
    free(fates);
    return pending;
}
