/*
 * Key files: round trips, refusals, atomic replacement, and that rotated share keys leave nothing
 * behind.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "crypto/rng_kernel.h"
#include "failing_rng.h"
#include "runtime/cluster_files.h"
#include "runtime/keyfile.h"

static const char HEX[] = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";

struct fixture {
    char directory[64];
    char path[96];
    char why[256];
    struct secret_arena *arena;
};

static bool directories_fail; /* to be synced */

/* In place of the system's, for the code under test too. */
int
fsync(int fd)
{
    struct stat st;

    if (directories_fail && fstat(fd, &st) == 0 && S_ISDIR(st.st_mode)) {
        errno = EIO;
        return -1;
    }
    return (int)syscall(SYS_fsync, fd);
}

static int
set_up(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));

    assert_non_null(f);
    snprintf(f->directory, sizeof(f->directory), "/tmp/ostraka-keyfile-XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof(f->path), "%s/file", f->directory);
    assert_int_equal(crypto_init(), OK);
    assert_int_equal(secret_arena_new(4 * SHARE_KEYS_MAX, &f->arena), OK);
    secret_arena_open(f->arena);
    *state = f;
    return 0;
}

static int
tear_down(void **state)
{
    struct fixture *f = *state;

    directories_fail = false;
    assert_int_equal(directory_remove(f->directory), OK);
    secret_arena_close(f->arena);
    secret_arena_free(f->arena);
    free(f);
    return 0;
}

static void
put(const struct fixture *f, const char *content, mode_t mode)
{
    FILE *file = fopen(f->path, "w");

    assert_non_null(file);
    assert_true(fputs(content, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(f->path, mode), 0);
}

static unsigned
mode_of(const char *path)
{
    struct stat st;

    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

/* --- keys ----------------------------------------------------------------------------------- */

static void
test_key_round_trip(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES], back[KEY_BYTES];

    for (size_t i = 0; i < sizeof(key); i++)
        key[i] = (uint8_t)i;
    assert_int_equal(keyfile_write(f->path, key, f->why, sizeof(f->why)), OK);
    assert_int_equal(mode_of(f->path), 0600);
    assert_int_equal(keyfile_read(f->path, NULL, back, f->why, sizeof(f->why)), OK);
    assert_memory_equal(key, back, sizeof(key));
    key[0] = 9;
    assert_int_equal(keyfile_write(f->path, key, f->why, sizeof(f->why)), ERR_EXISTS);
    assert_int_equal(keyfile_read(f->path, NULL, back, f->why, sizeof(f->why)), OK);
    assert_int_equal(back[0], 0);
}

static void
expect_refused(struct fixture *f, const char *env, const char *words)
{
    static const uint8_t zeros[KEY_BYTES];
    uint8_t key[KEY_BYTES];

    memset(key, 1, sizeof(key));
    assert_int_equal(keyfile_read(f->path, env, key, f->why, sizeof(f->why)), ERR_CONFIG);
    assert_memory_equal(key, zeros, sizeof(key));
    assert_non_null(strstr(f->why, words));
    assert_null(strstr(f->why, "0001020304")); /* nothing of the key is repeated */
}

static void
test_key_refusals(void **state)
{
    struct fixture *f = *state;
    char text[128];

    expect_refused(f, NULL, "No such file");
    put(f, HEX, 0600);
    for (unsigned mode = 1; mode < 0100; mode++) {
        assert_int_equal(chmod(f->path, 0600 | mode), 0);
        expect_refused(f, NULL, "read by others");
    }
    put(f, "", 0600);
    expect_refused(f, NULL, "hexadecimal");
    snprintf(text, sizeof(text), "%.63s\n", HEX);
    put(f, text, 0600);
    expect_refused(f, NULL, "hexadecimal");
    snprintf(text, sizeof(text), "%s0\n", HEX);
    put(f, text, 0600);
    expect_refused(f, NULL, "hexadecimal");
    snprintf(text, sizeof(text), "%s\n\n", HEX);
    put(f, text, 0600);
    expect_refused(f, NULL, "hexadecimal");
    snprintf(text, sizeof(text), "%.63sg\n", HEX);
    put(f, text, 0600);
    expect_refused(f, NULL, "hexadecimal");
    assert_int_equal(unlink(f->path), 0);
    assert_int_equal(mkdir(f->path, 0700), 0);
    expect_refused(f, NULL, "not a regular file");
}

static void
test_key_environment(void **state)
{
    struct fixture *f = *state;
    char variable[128] = "OSTRAKA_TEST_KEY=";
    uint8_t key[KEY_BYTES];

    /* A string of our own in the environment, to look at it afterwards as /proc would. */
    memcpy(variable + strlen(variable), HEX, strlen(HEX) + 1);
    assert_int_equal(putenv(variable), 0);
    assert_int_equal(keyfile_read(f->path, "OSTRAKA_TEST_KEY", key, f->why, sizeof(f->why)), OK);
    assert_int_equal(key[31], 31);
    assert_null(getenv("OSTRAKA_TEST_KEY"));
    for (size_t i = sizeof("OSTRAKA_TEST_KEY=") - 1; i < sizeof(variable); i++)
        assert_int_equal(variable[i], 0);
    assert_int_equal(setenv("OSTRAKA_TEST_KEY", "", 1), 0);
    expect_refused(f, "OSTRAKA_TEST_KEY", "OSTRAKA_TEST_KEY");
    assert_null(getenv("OSTRAKA_TEST_KEY"));
    assert_int_equal(setenv("OSTRAKA_TEST_KEY", "0001020304", 1), 0);
    expect_refused(f, "OSTRAKA_TEST_KEY", "hexadecimal");
    assert_null(getenv("OSTRAKA_TEST_KEY"));
    expect_refused(f, "OSTRAKA_TEST_KEY", "No such file");
}

/* systemd shows its access control list as group bits. */
static void
test_key_credential(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES];

    put(f, HEX, 0440);
    assert_int_equal(setenv("CREDENTIALS_DIRECTORY", f->directory, 1), 0);
    assert_int_equal(keyfile_read(f->path, NULL, key, f->why, sizeof(f->why)), OK);
    assert_int_equal(chmod(f->path, 0444), 0);
    expect_refused(f, NULL, "read by others");
    assert_int_equal(unsetenv("CREDENTIALS_DIRECTORY"), 0);
}

/* --- files ---------------------------------------------------------------------------------- */

static void
test_replace(void **state)
{
    struct fixture *f = *state;
    char aside[128];
    struct buf back;

    snprintf(aside, sizeof(aside), "%s.new", f->path);
    assert_int_equal(file_replace(f->path, bytes_of_text("one"), 0644, f->why, sizeof(f->why)), OK);
    assert_int_equal(mode_of(f->path), 0644);
    /* A file left aside by a crash does not stand in the way. */
    assert_int_equal(link(f->path, aside), 0);
    assert_int_equal(file_replace(f->path, bytes_of_text("two"), 0600, f->why, sizeof(f->why)), OK);
    assert_int_equal(mode_of(f->path), 0600);
    assert_int_not_equal(access(aside, F_OK), 0);
    assert_int_equal(file_read(f->path, 3, &back), OK);
    assert_true(bytes_equal(buf_bytes(&back), bytes_of_text("two")));
    buf_close(&back);
    assert_int_equal(file_read(f->path, 2, &back), ERR_TOO_LARGE);
    assert_int_equal(back.size, 0);
    snprintf(aside, sizeof(aside), "%s/no/file", f->directory);
    assert_int_equal(file_read(aside, 2, &back), ERR_NOT_FOUND);
    assert_int_equal(file_replace(aside, bytes_of_text("x"), 0600, f->why, sizeof(f->why)),
                     ERR_NOT_FOUND);
    assert_int_equal(file_read(f->directory, 2, &back), ERR_IO);
}

/* --- share keys ----------------------------------------------------------------------------- */

static void
fill_ring(struct share_keyring *ring, struct secret_arena *arena, unsigned count)
{
    const struct rng rng = rng_kernel();

    share_keyring_init(ring, arena);
    for (unsigned i = 0; i < count; i++)
        assert_int_equal(share_keyring_generate(ring, &rng), OK);
}

static void
save(struct fixture *f, const struct share_keyring *ring, const uint8_t *key, const char *ad)
{
    const struct rng rng = rng_kernel();

    assert_int_equal(
        share_keys_save(f->path, ring, key, bytes_of_text(ad), &rng, f->why, sizeof(f->why)), OK);
}

static enum vault_err
load(struct fixture *f, struct share_keyring *ring, const uint8_t *key, const char *ad)
{
    share_keyring_init(ring, f->arena);
    return share_keys_load(f->path, ring, key, bytes_of_text(ad), f->why, sizeof(f->why));
}

static void
test_ring_round_trip(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES] = {1};

    for (unsigned count = 1; count <= SHARE_KEYS_MAX; count++) {
        struct share_keyring ring, back;

        fill_ring(&ring, f->arena, count);
        save(f, &ring, key, "n1");
        assert_int_equal(mode_of(f->path), 0600);
        assert_int_equal(load(f, &back, key, "n1"), OK);
        for (unsigned i = 0; i < SHARE_KEYS_MAX; i++) {
            assert_int_equal(ring.keys[i].public_half.id, back.keys[i].public_half.id);
            assert_memory_equal(ring.keys[i].public_half.key, back.keys[i].public_half.key,
                                X25519_BYTES);
            assert_true(secret_equal(secret_bytes(&ring.keys[i].private_half),
                                     secret_bytes(&back.keys[i].private_half)));
        }
        share_keyring_close(&back);
        share_keyring_close(&ring);
    }
    assert_int_equal(secret_arena_free_slots(f->arena), 4 * SHARE_KEYS_MAX);
}

static void
test_ring_refusals(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES] = {1}, other[KEY_BYTES] = {2};
    struct share_keyring ring, back;
    struct buf content;

    assert_int_equal(load(f, &back, key, "n1"), ERR_NOT_FOUND);
    fill_ring(&ring, f->arena, 2);
    save(f, &ring, key, "n1");
    share_keyring_close(&ring);
    assert_int_equal(load(f, &back, other, "n1"), ERR_CORRUPT);
    assert_non_null(strstr(f->why, "does not verify"));
    assert_int_equal(load(f, &back, key, "n2"), ERR_CORRUPT);
    assert_null(share_keyring_current(&back));
    assert_int_equal(file_read(f->path, 4096, &content), OK);
    for (size_t i = 0; i < content.size; i++) {
        content.data[i] ^= 1;
        assert_int_equal(file_replace(f->path, buf_bytes(&content), 0600, f->why, sizeof(f->why)),
                         OK);
        assert_int_equal(load(f, &back, key, "n1"), ERR_CORRUPT);
        content.data[i] ^= 1;
    }
    for (size_t size = 0; size < content.size; size += 7) {
        assert_int_equal(
            file_replace(f->path, bytes_of(content.data, size), 0600, f->why, sizeof(f->why)), OK);
        assert_int_equal(load(f, &back, key, "n1"), ERR_CORRUPT);
    }
    assert_int_equal(file_replace(f->path, buf_bytes(&content), 0644, f->why, sizeof(f->why)), OK);
    assert_int_equal(load(f, &back, key, "n1"), ERR_CONFIG);
    assert_int_equal(chmod(f->path, 0600), 0);
    assert_int_equal(load(f, &back, key, "n1"), OK);
    share_keyring_close(&back);
    buf_close(&content);
}

/* A ring that cannot be sealed leaves the old file in place. */
static void
test_ring_kept_on_failure(void **state)
{
    struct fixture *f = *state;
    const struct rng broken = no_entropy();
    uint8_t key[KEY_BYTES] = {1};
    struct share_keyring ring, back;

    fill_ring(&ring, f->arena, 1);
    save(f, &ring, key, "n1");
    assert_int_equal(
        share_keys_save(f->path, &ring, key, bytes_of_text("n1"), &broken, f->why, sizeof(f->why)),
        ERR_ENTROPY);
    assert_int_equal(load(f, &back, key, "n1"), OK);
    share_keyring_close(&back);
    share_keyring_close(&ring);
}

/* Memory of this process that cannot be swapped, in KiB. */
static unsigned
locked_kib(void)
{
    static const char name[] = "VmLck:";
    char line[128];
    unsigned long kib = 0;
    FILE *status = fopen("/proc/self/status", "r");

    assert_non_null(status);
    while (fgets(line, sizeof(line), status)) {
        if (strncmp(line, name, strlen(name)) == 0)
            kib = strtoul(line + strlen(name), NULL, 10);
    }
    assert_int_equal(fclose(status), 0);
    return (unsigned)kib;
}

/* The nonce is drawn while the keys are there to be sealed. */
static enum vault_err
note_locked(void *context, uint8_t *out, size_t size)
{
    const struct rng kernel = rng_kernel();

    *(unsigned *)context = locked_kib();
    return rng_fill(&kernel, out, size);
}

static void
test_keys_are_locked_while_saved(void **state)
{
    struct fixture *f = *state;
    struct rng rng = rng_kernel();
    unsigned before, during = 0;
    const struct rng noting = {.context = &during, .fill = note_locked};
    uint8_t key[KEY_BYTES] = {1};
    struct share_keyring ring;
    struct bucket_keys keys;

    before = locked_kib();
    if (before == 0)
        skip(); /* not even the arena: a sanitizer locks nothing */
    fill_ring(&ring, f->arena, 1);
    assert_int_equal(
        share_keys_save(f->path, &ring, key, bytes_of_text("n1"), &noting, f->why, sizeof(f->why)),
        OK);
    assert_true(during > before);
    share_keyring_close(&ring);

    assert_int_equal(bucket_keys_init(&keys, f->arena, 2, 1, &rng), OK);
    during = 0;
    assert_int_equal(
        bucket_file_save(f->path, &keys, key, bytes_of_text("n1"), &noting, f->why, sizeof(f->why)),
        OK);
    assert_true(during > before);
    assert_int_equal(locked_kib(), before);
    bucket_keys_close(&keys);
}

/*
 * The replaced file is overwritten on the disk, so that destroyed private halves do not stay
 * there.
 */
static void
test_ring_old_file_is_overwritten(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES] = {1};
    struct share_keyring ring;
    uint8_t old[4096];
    ssize_t size;
    int fd;

    fill_ring(&ring, f->arena, 1);
    save(f, &ring, key, "n1");
    fd = open(f->path, O_RDONLY);
    assert_true(fd >= 0);
    save(f, &ring, key, "n1");
    size = read(fd, old, sizeof(old));
    assert_true(size > 40);
    for (ssize_t i = 0; i < size; i++)
        assert_int_equal(old[i], 0);
    close(fd);
    share_keyring_close(&ring);
}

/* --- bucket keys ---------------------------------------------------------------------------- */

enum { BUCKETS = 3 };

static void
save_buckets(struct fixture *f, const struct bucket_keys *keys, const uint8_t *key, const char *ad)
{
    struct rng rng = rng_kernel();

    assert_int_equal(
        bucket_file_save(f->path, keys, key, bytes_of_text(ad), &rng, f->why, sizeof(f->why)), OK);
}

static enum vault_err
load_buckets(struct fixture *f, struct bucket_keys *keys, const uint8_t *key, const char *ad)
{
    return bucket_file_load(f->path, keys, f->arena, key, bytes_of_text(ad), f->why,
                            sizeof(f->why));
}

static void
make_buckets(struct fixture *f, struct bucket_keys *keys)
{
    struct rng rng = rng_kernel();

    assert_int_equal(bucket_keys_init(keys, f->arena, BUCKETS, 1, &rng), OK);
    assert_int_equal(bucket_make(&keys->buckets[1], &rng), OK);
}

static void
test_buckets_round_trip(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES] = {1};
    struct bucket_keys keys, back;

    assert_int_equal(load_buckets(f, &back, key, "n1"), ERR_NOT_FOUND);
    assert_int_equal(back.count, 0);
    make_buckets(f, &keys);
    save_buckets(f, &keys, key, "n1");
    assert_int_equal(mode_of(f->path), 0600);
    assert_int_equal(load_buckets(f, &back, key, "n1"), OK);
    assert_int_equal(back.count, BUCKETS);
    bucket_use(&keys.buckets[1]); /* as the file's reader takes it */
    for (unsigned i = 0; i < BUCKETS; i++) {
        assert_int_equal(keys.buckets[i].generation, back.buckets[i].generation);
        assert_int_equal(keys.buckets[i].other, back.buckets[i].other);
        assert_true(
            secret_equal(secret_bytes(&keys.buckets[i].keys), secret_bytes(&back.buckets[i].keys)));
    }
    bucket_keys_close(&back);
    bucket_keys_close(&keys);
}

/* The size that a server has, two keys in every bucket: it fits what is read. */
static void
test_buckets_largest(void **state)
{
    struct fixture *f = *state;
    struct rng rng = rng_kernel();
    uint8_t key[KEY_BYTES] = {1};
    struct secret_arena *arena;
    struct bucket_keys *keys = calloc(2, sizeof(*keys));

    assert_non_null(keys);
    assert_int_equal(secret_arena_new(2 * BUCKETS_MAX, &arena), OK);
    secret_arena_open(arena);
    assert_int_equal(bucket_keys_init(&keys[0], arena, BUCKETS_MAX, UINT64_MAX / 2, &rng), OK);
    for (unsigned i = 0; i < BUCKETS_MAX; i++)
        assert_int_equal(bucket_make(&keys[0].buckets[i], &rng), OK);
    save_buckets(f, &keys[0], key, "n1");
    assert_int_equal(bucket_file_load(f->path, &keys[1], arena, key, bytes_of_text("n1"), f->why,
                                      sizeof(f->why)),
                     OK);
    bucket_keys_close(&keys[1]);
    bucket_keys_close(&keys[0]);
    secret_arena_close(arena);
    secret_arena_free(arena);
    free(keys);
}

static void
test_buckets_refusals(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES] = {1}, other[KEY_BYTES] = {2};
    struct bucket_keys keys, back;
    struct buf content;

    make_buckets(f, &keys);
    save_buckets(f, &keys, key, "n1");
    bucket_keys_close(&keys);
    assert_int_equal(load_buckets(f, &back, other, "n1"), ERR_CORRUPT);
    assert_non_null(strstr(f->why, "does not verify"));
    assert_int_equal(load_buckets(f, &back, key, "n2"), ERR_CORRUPT);
    assert_int_equal(file_read(f->path, 4096, &content), OK);
    for (size_t size = 0; size < content.size; size++) { /* torn */
        assert_int_equal(
            file_replace(f->path, bytes_of(content.data, size), 0600, f->why, sizeof(f->why)), OK);
        assert_int_equal(load_buckets(f, &back, key, "n1"), ERR_CORRUPT);
        assert_int_equal(back.count, 0);
    }
    for (size_t i = 0; i < content.size; i += 5) {
        content.data[i] ^= 1;
        assert_int_equal(file_replace(f->path, buf_bytes(&content), 0600, f->why, sizeof(f->why)),
                         OK);
        assert_int_equal(load_buckets(f, &back, key, "n1"), ERR_CORRUPT);
        content.data[i] ^= 1;
    }
    assert_int_equal(file_replace(f->path, buf_bytes(&content), 0644, f->why, sizeof(f->why)), OK);
    assert_int_equal(load_buckets(f, &back, key, "n1"), ERR_CONFIG);
    assert_int_equal(chmod(f->path, 0600), 0);
    assert_int_equal(load_buckets(f, &back, key, "n1"), OK);
    bucket_keys_close(&back);
    buf_close(&content);
}

static bool
is_zeros(int fd, size_t size)
{
    struct buf content = {0};
    bool zeros = true;

    assert_int_equal(buf_reserve(&content, size), OK);
    assert_int_equal(pread(fd, content.data, size, 0), (ssize_t)size);
    for (size_t i = 0; i < size; i++)
        zeros = zeros && content.data[i] == 0;
    buf_close(&content);
    return zeros;
}

/* Whatever its name was: the replaced file's bytes are zeros, and it has no name any more. */
static void
test_buckets_old_file_is_overwritten(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES] = {1};
    char old_name[128];
    struct bucket_keys keys;
    struct stat st;
    int fd;

    make_buckets(f, &keys);
    save_buckets(f, &keys, key, "n1");
    fd = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    save_buckets(f, &keys, key, "n1");
    assert_true(is_zeros(fd, (size_t)st.st_size));
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(st.st_nlink, 0);
    close(fd);
    snprintf(old_name, sizeof(old_name), "%s.old", f->path);
    assert_int_equal(access(old_name, F_OK), -1);
    bucket_keys_close(&keys);
}

/* What a crash leaves within saving is overwritten at the next start; the file itself never is. */
static void
test_buckets_left_by_a_crash(void **state)
{
    struct fixture *f = *state;
    uint8_t key[KEY_BYTES] = {1};
    char old_name[128], new_name[128];
    struct bucket_keys keys, back;
    struct stat st;
    int fd;

    snprintf(old_name, sizeof(old_name), "%s.old", f->path);
    snprintf(new_name, sizeof(new_name), "%s.new", f->path);
    make_buckets(f, &keys);
    save_buckets(f, &keys, key, "n1");

    /* After the link, before the rename: two names of one file. */
    assert_int_equal(link(f->path, old_name), 0);
    assert_int_equal(key_file_clean(f->path, f->why, sizeof(f->why)), OK);
    assert_int_equal(access(old_name, F_OK), -1);
    assert_int_equal(load_buckets(f, &back, key, "n1"), OK);
    bucket_keys_close(&back);

    /* After the rename, before the old file was overwritten; and a new file half written. */
    assert_int_equal(rename(f->path, old_name), 0);
    save_buckets(f, &keys, key, "n1"); /* cleans up first, so begin again */
    assert_int_equal(access(old_name, F_OK), -1);
    assert_int_equal(rename(f->path, new_name), 0);
    fd = open(new_name, O_RDONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(fstat(fd, &st), 0);
    assert_int_equal(key_file_clean(f->path, f->why, sizeof(f->why)), OK);
    assert_int_equal(access(new_name, F_OK), -1);
    assert_true(is_zeros(fd, (size_t)st.st_size));
    close(fd);
    assert_int_equal(load_buckets(f, &back, key, "n1"), ERR_NOT_FOUND);
    bucket_keys_close(&keys);
}

/* A loss of power may still bring the old file back: it keeps its content until that is over. */
static void
test_buckets_rename_not_durable(void **state)
{
    struct fixture *f = *state;
    struct rng rng = rng_kernel();
    uint8_t key[KEY_BYTES] = {1};
    struct bucket_keys keys;

    make_buckets(f, &keys);
    save_buckets(f, &keys, key, "n1");
    int old = open(f->path, O_RDONLY | O_CLOEXEC);
    assert_true(old >= 0);
    directories_fail = true;
    for (unsigned i = 0; i < 2; i++) {
        assert_int_equal(bucket_file_save(f->path, &keys, key, bytes_of_text("n1"), &rng, f->why,
                                          sizeof(f->why)),
                         ERR_IO);
        assert_false(is_zeros(old, 64));
    }
    assert_int_equal(key_file_clean(f->path, f->why, sizeof(f->why)), ERR_IO);
    assert_false(is_zeros(old, 64));
    directories_fail = false;
    assert_int_equal(key_file_clean(f->path, f->why, sizeof(f->why)), OK);
    assert_true(is_zeros(old, 64));
    close(old);
    bucket_keys_close(&keys);
}

/* A file that cannot be written: the old one is still there, and so is its content. */
static void
test_buckets_not_saved(void **state)
{
    struct fixture *f = *state;
    struct rng rng = rng_kernel();
    uint8_t key[KEY_BYTES] = {1};
    char new_name[128];
    struct bucket_keys keys, back;

    make_buckets(f, &keys);
    save_buckets(f, &keys, key, "n1");
    snprintf(new_name, sizeof(new_name), "%s.new", f->path);
    assert_int_equal(mkdir(new_name, 0700), 0); /* in its way */
    assert_true(bucket_file_save(f->path, &keys, key, bytes_of_text("n1"), &rng, f->why,
                                 sizeof(f->why)) != OK);
    assert_non_null(strstr(f->why, ".new"));
    assert_int_equal(load_buckets(f, &back, key, "n1"), OK);
    bucket_keys_close(&back);
    bucket_keys_close(&keys);
}

/* --- birth ---------------------------------------------------------------------------------- */

#define CHECK "000102030405060708090a0b0c0d0e0f000102030405060708090a0b0c0d0e0f"

static void
test_birth(void **state)
{
    static const char *const bad[] = {
        "",
        "\n",
        "used\n",
        "00112233445566778899aabbccddeeff\n",
        "00112233445566778899aabbccddeeff used\n",
        "00112233445566778899aabbccddeeff used \n",
        "00112233445566778899aabbccddeeff used 00112233\n",
        "00112233445566778899aabbccddeeff maybe " CHECK "\n",
        "00112233445566778899aabbccddeef used " CHECK "\n",
        "00112233445566778899aabbccddeeff0 used " CHECK "\n",
        "00112233445566778899aabbccddeefg used " CHECK "\n",
        "00112233445566778899aabbccddeeff  used " CHECK "\n",
        "00112233445566778899aabbccddeeff used " CHECK " \n",
    };
    struct fixture *f = *state;
    struct birth birth = {.store_id = {0xab, 1}, .key_check = {3, 4}}, back;

    assert_int_equal(birth_read(f->path, &back, f->why, sizeof(f->why)), ERR_NOT_FOUND);
    for (int i = BIRTH_UNUSED; i <= BIRTH_LOST; i++) {
        birth.state = (enum birth_state)i;
        assert_int_equal(birth_write(f->path, &birth, f->why, sizeof(f->why)), OK);
        assert_int_equal(mode_of(f->path), 0600);
        assert_int_equal(birth_read(f->path, &back, f->why, sizeof(f->why)), OK);
        assert_int_equal(back.state, birth.state);
        assert_memory_equal(back.store_id, birth.store_id, sizeof(birth.store_id));
        assert_memory_equal(back.key_check, birth.key_check, sizeof(birth.key_check));
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        put(f, bad[i], 0600);
        assert_int_equal(birth_read(f->path, &back, f->why, sizeof(f->why)), ERR_MALFORMED);
        assert_int_equal(back.state, BIRTH_UNUSED);
        assert_int_equal(back.store_id[0], 0);
    }
    put(f, "00112233445566778899aabbccddeeff used " CHECK "\n", 0644);
    assert_int_equal(birth_read(f->path, &back, f->why, sizeof(f->why)), ERR_CONFIG);
}

int
main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(test_key_round_trip),
        TEST(test_key_refusals),
        TEST(test_key_environment),
        TEST(test_key_credential),
        TEST(test_replace),
        TEST(test_ring_round_trip),
        TEST(test_ring_refusals),
        TEST(test_ring_kept_on_failure),
        TEST(test_keys_are_locked_while_saved),
        TEST(test_ring_old_file_is_overwritten),
        TEST(test_buckets_round_trip),
        TEST(test_buckets_largest),
        TEST(test_buckets_refusals),
        TEST(test_buckets_old_file_is_overwritten),
        TEST(test_buckets_left_by_a_crash),
        TEST(test_buckets_not_saved),
        TEST(test_buckets_rename_not_durable),
        TEST(test_birth),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
