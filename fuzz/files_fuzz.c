/*
 * Small files of a node beside its store. The first byte picks the parser, the rest is its input:
 * 0 the bucket keys, as they are under their seal; 1 the birth record.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "crypto/bucket_keys.h"
#include "fuzz.h"
#include "runtime/keyfile.h"

enum { SLOTS = 8 }; /* more buckets are refused as too many, which is quick */

/* Whether it was accepted; then `out` has them encoded. */
static bool
recode_buckets(struct bytes input, struct secret_arena *arena, struct buf *out)
{
    struct bucket_keys keys;
    enum vault_err err = bucket_keys_decode(input, arena, &keys);

    if (err == OK && bucket_keys_encode(&keys, out) != OK)
        abort();
    bucket_keys_close(&keys);
    return err == OK;
}

/* A bucket with two keys is read with the higher one in use: from then on nothing changes. */
static void
check_buckets(struct bytes input)
{
    struct secret_arena *arena;
    struct buf once = {0}, twice = {0};

    if (crypto_init() != OK || secret_arena_new(SLOTS, &arena) != OK)
        abort();
    secret_arena_open(arena);
    if (recode_buckets(input, arena, &once) && (!recode_buckets(buf_bytes(&once), arena, &twice) ||
                                                !bytes_equal(buf_bytes(&once), buf_bytes(&twice))))
        abort();
    buf_close(&once);
    buf_close(&twice);
    secret_arena_close(arena);
    secret_arena_free(arena);
}

static void
check_birth(struct bytes input)
{
    char path[64], why[256] = "";
    struct birth birth;
    int fd = memfd_create("birth", MFD_CLOEXEC);

    if (fd < 0 || fchmod(fd, 0600) != 0 || write(fd, input.data, input.size) != (ssize_t)input.size)
        abort();
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    enum vault_err err = birth_read(path, &birth, why, sizeof(why));
    if ((err == OK) != (why[0] == '\0') || birth.state > BIRTH_LOST)
        abort();
    close(fd);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_check *const checks[] = {check_buckets, check_birth};

    return fuzz_pick(checks, sizeof(checks) / sizeof(checks[0]), data, size);
}
