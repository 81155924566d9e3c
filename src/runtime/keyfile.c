#include "runtime/keyfile.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cbor.h"
#include "crypto/storage_key.h"

enum {
    HEX_KEY_BYTES = 2 * KEY_BYTES,
    KEY_FILE_BYTES_MAX = 4096, /* read before judging; far more than any of these files has */
    SECRET_FILE_MODE = 0600,
    RING_ENTRY_BYTES_MAX = 1 + 9 + 2 + X25519_BYTES, /* array, id, private half */
    BUCKET_ENTRY_BYTES_MAX = 1 + 2 * (9 + 2 + KEY_BYTES),
};

static_assert(9 + SHARE_KEYS_MAX * RING_ENTRY_BYTES_MAX <= KEY_FILE_BYTES_MAX,
              "a ring fits the memory that is locked for it");
static_assert(9 + BUCKETS_MAX * BUCKET_ENTRY_BYTES_MAX <= BUCKET_FILE_BYTES_MAX,
              "and so do the bucket keys");

/* --- files ---------------------------------------------------------------------------------- */

static enum vault_err
err_of_errno(int number)
{
    if (number == ENOSPC || number == EDQUOT)
        return ERR_DISK_FULL;
    if (number == ENOENT)
        return ERR_NOT_FOUND;
    if (number == EEXIST)
        return ERR_EXISTS;
    if (number == ENOMEM)
        return ERR_NOMEM;
    return ERR_IO;
}

static enum vault_err
fail_errno(char *why, size_t why_size, const char *doing, const char *path)
{
    int number = errno;

    snprintf(why, why_size, "cannot %s %s: %s", doing, path, strerror(number));
    return err_of_errno(number);
}

static bool
write_all(int fd, struct bytes content)
{
    while (content.size > 0) {
        ssize_t n = write(fd, content.data, content.size);

        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return false;
        content.data += n;
        content.size -= (size_t)n;
    }
    return true;
}

/* Makes a rename or a new name in the directory of `path` durable. */
static bool
sync_directory_of(const char *path)
{
    char directory[PATH_MAX];
    const char *slash = strrchr(path, '/');
    size_t size = slash ? (size_t)(slash - path) : 1;
    bool done;
    int fd;

    if (size >= sizeof(directory)) {
        errno = ENAMETOOLONG;
        return false;
    }
    memcpy(directory, slash ? path : ".", size);
    directory[size] = '\0';
    fd = open(size > 0 ? directory : "/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return false;
    done = fsync(fd) == 0;
    close(fd);
    return done;
}

static const struct file_owner OWN = {(uid_t)-1, (gid_t)-1}; /* whoever this process is */

/* Writes a new file of that name, synced; removes it again when that fails. */
static enum vault_err
write_new(const char *path, struct bytes content, unsigned mode, struct file_owner owner, char *why,
          size_t why_size)
{
    enum vault_err err = OK;
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, (mode_t)mode);

    if (fd < 0)
        return fail_errno(why, why_size, "create", path);
    if (fchown(fd, owner.user, owner.group) != 0 || fchmod(fd, (mode_t)mode) != 0 ||
        !write_all(fd, content) || fsync(fd) != 0)
        err = fail_errno(why, why_size, "write", path);
    if (close(fd) != 0 && err == OK)
        err = fail_errno(why, why_size, "write", path);
    if (err != OK)
        unlink(path);
    return err;
}

enum vault_err
file_replace(const char *path, struct bytes content, unsigned mode, char *why, size_t why_size)
{
    return file_replace_for(path, content, mode, OWN, why, why_size);
}

enum vault_err
file_replace_for(const char *path, struct bytes content, unsigned mode, struct file_owner owner,
                 char *why, size_t why_size)
{
    char aside[PATH_MAX];
    enum vault_err err;

    if (snprintf(aside, sizeof(aside), "%s.new", path) >= (int)sizeof(aside)) {
        snprintf(why, why_size, "the path is too long: %s", path);
        return ERR_IO;
    }
    if (unlink(aside) != 0 && errno != ENOENT) /* left over from a crash */
        return fail_errno(why, why_size, "remove", aside);
    err = write_new(aside, content, mode, owner, why, why_size);
    if (err != OK)
        return err;
    if (rename(aside, path) != 0) {
        err = fail_errno(why, why_size, "replace", path);
        unlink(aside);
        return err;
    }
    if (!sync_directory_of(path))
        return fail_errno(why, why_size, "sync the directory of", path);
    return OK;
}

static enum vault_err
read_up_to(int fd, size_t max, struct buf *out)
{
    for (;;) {
        enum vault_err err = buf_reserve(out, 1024);
        size_t room = out->capacity - out->size;
        ssize_t n;

        if (err != OK)
            return err;
        n = read(fd, out->data + out->size, room);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return ERR_IO;
        if (n == 0)
            return OK;
        out->size += (size_t)n;
        if (out->size > max)
            return ERR_TOO_LARGE;
    }
}

enum vault_err
file_read(const char *path, size_t max, struct buf *out)
{
    enum vault_err err;
    int fd = open(path, O_RDONLY | O_CLOEXEC);

    *out = (struct buf){0};
    if (fd < 0)
        return err_of_errno(errno);
    err = read_up_to(fd, max, out);
    close(fd);
    if (err != OK)
        buf_close(out);
    return err;
}

/* --- what only the owner may read ----------------------------------------------------------- */

/*
 * systemd grants the service access to its credentials by an access control list, which shows as
 * group bits; they live in a directory that is the service's alone.
 */
static unsigned
mode_bits_refused(const char *path)
{
    const char *credentials = getenv("CREDENTIALS_DIRECTORY");
    size_t size = credentials ? strlen(credentials) : 0;

    if (size > 0 && strncmp(path, credentials, size) == 0 && path[size] == '/')
        return 007;
    return 077;
}

enum vault_err
secret_file_read(const char *path, size_t max, struct buf *out, char *why, size_t why_size)
{
    struct stat st;
    enum vault_err err = ERR_CONFIG;
    int fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC); /* a pipe would make us wait */

    *out = (struct buf){0};
    if (fd < 0) {
        (void)fail_errno(why, why_size, "open", path);
        return ERR_CONFIG;
    }
    if (fstat(fd, &st) != 0)
        (void)fail_errno(why, why_size, "look at", path);
    else if (!S_ISREG(st.st_mode))
        snprintf(why, why_size, "%s is not a regular file", path);
    else if (st.st_mode & mode_bits_refused(path))
        snprintf(why, why_size, "%s can be read by others (mode %04o): run chmod 600 on it", path,
                 (unsigned)(st.st_mode & 07777));
    else
        err = OK;
    if (err == OK) {
        err = read_up_to(fd, max, out);
        if (err != OK)
            snprintf(why, why_size, "cannot read %s: %s", path, vault_err_text(err));
        if (err == ERR_TOO_LARGE || err == ERR_IO)
            err = ERR_CONFIG;
    }
    close(fd);
    if (err != OK)
        buf_close(out);
    return err;
}

/* --- files whose former content must not stay on the disk ------------------------------------- */

/* Through a descriptor that still names it, whatever its name is by now. */
static bool
overwrite(int fd)
{
    static const uint8_t zeros[4096];
    struct stat st;

    if (fstat(fd, &st) != 0 || lseek(fd, 0, SEEK_SET) != 0)
        return false;
    for (off_t left = st.st_size; left > 0;) {
        size_t part = left < (off_t)sizeof(zeros) ? (size_t)left : sizeof(zeros);
        if (!write_all(fd, bytes_of(zeros, part)))
            return false;
        left -= (off_t)part;
    }
    return fsync(fd) == 0;
}

/* Overwrites and removes `path`, unless it is the file `live` under a second name: then the name
 * alone goes. Nothing there is fine. */
static bool
wipe_file(const char *path, const char *live)
{
    struct stat st, other;
    int fd = open(path, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);
    bool done;

    if (fd < 0)
        return errno == ENOENT;
    done = fstat(fd, &st) == 0;
    if (done && !(live && stat(live, &other) == 0 && other.st_ino == st.st_ino &&
                  other.st_dev == st.st_dev))
        done = overwrite(fd);
    close(fd);
    return done && unlink(path) == 0;
}

static bool
aside_names(const char *path, char new_name[static PATH_MAX], char old_name[static PATH_MAX])
{
    return snprintf(new_name, PATH_MAX, "%s.new", path) < PATH_MAX &&
           snprintf(old_name, PATH_MAX, "%s.old", path) < PATH_MAX;
}

/* Once the file that is live is durable under its name. */
static enum vault_err
wipe_asides(const char *path, char *why, size_t why_size)
{
    char new_name[PATH_MAX], old_name[PATH_MAX];

    if (!aside_names(path, new_name, old_name)) {
        snprintf(why, why_size, "the path is too long: %s", path);
        return ERR_IO;
    }
    if (!wipe_file(new_name, path))
        return fail_errno(why, why_size, "overwrite", new_name);
    if (!wipe_file(old_name, path))
        return fail_errno(why, why_size, "overwrite", old_name);
    return OK;
}

/*
 * Where saving was interrupted, or the directory could not be synced, a loss of power may still
 * bring back the old file under its own name: it must not hold zeros then.
 */
enum vault_err
key_file_clean(const char *path, char *why, size_t why_size)
{
    char new_name[PATH_MAX], old_name[PATH_MAX];
    struct stat st;

    if (aside_names(path, new_name, old_name) && lstat(old_name, &st) == 0 &&
        !sync_directory_of(path))
        return fail_errno(why, why_size, "sync the directory of", path);
    return wipe_asides(path, why, why_size);
}

/*
 * The old file keeps a name until it has been overwritten, so that a crash in between leaves
 * something that the next start can overwrite:
 *
 *   link path -> path.old;  write path.new, sync;  rename path.new -> path, sync the directory;
 *   overwrite path.old, sync;  remove it
 */
static enum vault_err
key_file_replace(const char *path, struct bytes content, char *why, size_t why_size)
{
    char new_name[PATH_MAX], old_name[PATH_MAX];
    enum vault_err err = key_file_clean(path, why, why_size);

    if (err != OK)
        return err;
    (void)aside_names(path, new_name, old_name);
    if (link(path, old_name) != 0 && errno != ENOENT)
        return fail_errno(why, why_size, "keep the old", path);
    err = file_replace(path, content, SECRET_FILE_MODE, why, why_size);
    if (err == OK)
        err = wipe_asides(path, why, why_size);
    if (err == OK && !sync_directory_of(path))
        err = fail_errno(why, why_size, "sync the directory of", path);
    return err;
}

/* Of one of a node's own files, whose absence is a case of its own: ERR_NOT_FOUND. */
static enum vault_err
own_file_read(const char *path, size_t max, struct buf *out, char *why, size_t why_size)
{
    struct stat st;

    *out = (struct buf){0};
    if (lstat(path, &st) != 0 && errno == ENOENT) {
        snprintf(why, why_size, "there is no %s", path);
        return ERR_NOT_FOUND;
    }
    return secret_file_read(path, max, out, why, why_size);
}

/* --- keys in hexadecimal -------------------------------------------------------------------- */

static struct bytes
without_newline(struct bytes text)
{
    if (text.size > 0 && text.data[text.size - 1] == '\n')
        text.size--;
    return text;
}

static enum vault_err
parse_key(struct bytes text, const char *where, uint8_t out[static KEY_BYTES], char *why,
          size_t why_size)
{
    enum vault_err err = hex_decode(without_newline(text), out, KEY_BYTES);

    if (err == OK)
        return OK;
    snprintf(why, why_size, "%s does not hold a key: %d hexadecimal digits are expected", where,
             HEX_KEY_BYTES);
    return ERR_CONFIG;
}

/*
 * The environment of a process can be read in /proc by its user for as long as it runs, so the key
 * does not stay there.
 */
static void
environment_forget(const char *name, char *value)
{
    bytes_wipe(value, strlen(value));
    (void)unsetenv(name); /* fails for no valid name */
}

enum vault_err
keyfile_read(const char *path, const char *env, uint8_t out[static KEY_BYTES], char *why,
             size_t why_size)
{
    char *value = env ? getenv(env) : NULL;
    struct buf content;
    enum vault_err err;

    memset(out, 0, KEY_BYTES);
    if (value) {
        char where[128];

        snprintf(where, sizeof(where), "the environment variable %s", env);
        err = parse_key(bytes_of_text(value), where, out, why, why_size);
        environment_forget(env, value);
        return err;
    }
    err = secret_file_read(path, KEY_FILE_BYTES_MAX, &content, why, why_size);
    if (err != OK)
        return err;
    err = parse_key(buf_bytes(&content), path, out, why, why_size);
    buf_close(&content);
    return err;
}

enum vault_err
keyfile_write(const char *path, const uint8_t key[static KEY_BYTES], char *why, size_t why_size)
{
    char text[HEX_KEY_BYTES + 2];
    enum vault_err err;

    hex_encode(bytes_of(key, KEY_BYTES), text);
    text[HEX_KEY_BYTES] = '\n';
    err = write_new(path, bytes_of(text, HEX_KEY_BYTES + 1), SECRET_FILE_MODE, OWN, why, why_size);
    bytes_wipe(text, sizeof(text));
    if (err == OK && !sync_directory_of(path))
        err = fail_errno(why, why_size, "sync the directory of", path);
    return err;
}

/* --- private share keys --------------------------------------------------------------------- */

/* CBOR: array of [id, private half], newest first. */
static enum vault_err
encode_ring(const struct share_keyring *ring, struct buf *out)
{
    struct cbor_writer w;
    uint64_t count = 0;

    for (size_t i = 0; i < SHARE_KEYS_MAX; i++)
        count += ring->keys[i].public_half.id != 0;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, count);
    for (size_t i = 0; i < SHARE_KEYS_MAX; i++) {
        if (ring->keys[i].public_half.id == 0)
            continue;
        cbor_put_array(&w, 2);
        cbor_put_uint(&w, ring->keys[i].public_half.id);
        cbor_put_bytes(&w, secret_bytes(&ring->keys[i].private_half));
    }
    return w.err;
}

static enum vault_err
decode_ring(struct bytes plain, struct share_keyring *ring)
{
    uint8_t halves[SHARE_KEYS_MAX][X25519_BYTES];
    uint64_t ids[SHARE_KEYS_MAX];
    struct cbor_reader r;
    enum vault_err err;
    uint64_t count;

    cbor_reader_init(&r, plain);
    count = cbor_get_array(&r, SHARE_KEYS_MAX);
    for (uint64_t i = 0; i < count && r.err == OK; i++) {
        if (cbor_get_array(&r, 2) != 2)
            r.err = ERR_MALFORMED;
        ids[i] = cbor_get_uint(&r);
        cbor_get_fixed(&r, halves[i], X25519_BYTES);
        if (ids[i] == 0)
            r.err = ERR_MALFORMED;
    }
    err = cbor_finish(&r);
    /* Oldest first, since a ring puts what comes last in front. */
    for (uint64_t i = count; i > 0 && err == OK; i--)
        err = share_keyring_add(ring, ids[i - 1], halves[i - 1]);
    bytes_wipe(halves, sizeof(halves));
    return err;
}

static enum vault_err
save_sealed(const char *path, struct bytes plain, const uint8_t key[static KEY_BYTES],
            struct bytes ad, const struct rng *rng, char *why, size_t why_size)
{
    struct buf sealed = {0};
    enum vault_err err = buf_reserve(&sealed, plain.size + SEALED_OVERHEAD_BYTES);

    if (err == OK)
        err = sealed_record_make(key, ad, plain, rng, sealed.data);
    if (err != OK) {
        snprintf(why, why_size, "cannot seal the keys: %s", vault_err_text(err));
    } else {
        sealed.size = plain.size + SEALED_OVERHEAD_BYTES;
        err = key_file_replace(path, buf_bytes(&sealed), why, why_size);
    }
    buf_close(&sealed);
    return err;
}

enum vault_err
share_keys_save(const char *path, const struct share_keyring *ring,
                const uint8_t key[static KEY_BYTES], struct bytes ad, const struct rng *rng,
                char *why, size_t why_size)
{
    struct buf plain;
    enum vault_err err = secret_buf_new(KEY_FILE_BYTES_MAX, &plain);

    if (err == OK)
        err = encode_ring(ring, &plain);
    if (err != OK)
        snprintf(why, why_size, "cannot seal the share keys: %s", vault_err_text(err));
    else
        err = save_sealed(path, buf_bytes(&plain), key, ad, rng, why, why_size);
    secret_buf_free(&plain);
    return err;
}

static enum vault_err
open_sealed(struct bytes sealed, const uint8_t key[static KEY_BYTES], struct bytes ad,
            struct buf *plain)
{
    enum vault_err err;

    if (sealed.size < SEALED_OVERHEAD_BYTES)
        return ERR_CORRUPT;
    err = secret_buf_new(sealed.size - SEALED_OVERHEAD_BYTES + 1, plain);
    if (err == OK)
        err = sealed_record_open(key, ad, sealed, plain->data);
    if (err == OK)
        plain->size = sealed.size - SEALED_OVERHEAD_BYTES;
    return err;
}

/* What the owner of a sealed file tells apart: absence and damage; all else keeps the node from
 * starting. */
static enum vault_err
loading_error(enum vault_err err)
{
    if (err == OK || err == ERR_NOT_FOUND || err == ERR_CORRUPT || err == ERR_NOMEM)
        return err;
    return ERR_CONFIG;
}

/*
 * Content of a sealed file, in a buffer of secret_buf_new(). Errors as of loading_error, with a
 * sentence in `why`.
 */
static enum vault_err
load_sealed(const char *path, size_t max, const uint8_t key[static KEY_BYTES], struct bytes ad,
            struct buf *plain, char *why, size_t why_size)
{
    struct buf sealed;
    enum vault_err err = own_file_read(path, max, &sealed, why, why_size);

    if (err != OK)
        return err;
    err = open_sealed(buf_bytes(&sealed), key, ad, plain);
    if (err == ERR_CORRUPT)
        snprintf(why, why_size,
                 "%s does not verify: it is damaged, belongs to another node, or the storage key "
                 "is not the one it was written with",
                 path);
    else if (err == ERR_NOMEM)
        snprintf(why, why_size,
                 "memory for the keys of %s cannot be locked: raise the limit (ulimit -l, "
                 "LimitMEMLOCK=)",
                 path);
    else if (err != OK)
        snprintf(why, why_size, "cannot use the keys of %s: %s", path, vault_err_text(err));
    buf_close(&sealed);
    return loading_error(err);
}

enum vault_err
share_keys_load(const char *path, struct share_keyring *ring, const uint8_t key[static KEY_BYTES],
                struct bytes ad, char *why, size_t why_size)
{
    struct buf plain = {0};
    enum vault_err err = load_sealed(path, KEY_FILE_BYTES_MAX, key, ad, &plain, why, why_size);

    if (err != OK)
        goto out;
    err = decode_ring(buf_bytes(&plain), ring);
    if (err == OK && share_keyring_current(ring) == NULL)
        err = ERR_MALFORMED;
    if (err != OK)
        snprintf(why, why_size, "cannot use the share keys of %s: %s", path, vault_err_text(err));
out:
    secret_buf_free(&plain);
    return loading_error(err);
}

/* --- bucket keys ---------------------------------------------------------------------------- */

enum vault_err
bucket_file_save(const char *path, const struct bucket_keys *keys,
                 const uint8_t key[static KEY_BYTES], struct bytes ad, const struct rng *rng,
                 char *why, size_t why_size)
{
    struct buf plain;
    enum vault_err err = secret_buf_new(BUCKET_FILE_BYTES_MAX, &plain);

    if (err == OK)
        err = bucket_keys_encode(keys, &plain);
    if (err != OK)
        snprintf(why, why_size, "cannot seal the bucket keys: %s", vault_err_text(err));
    else
        err = save_sealed(path, buf_bytes(&plain), key, ad, rng, why, why_size);
    secret_buf_free(&plain);
    return err;
}

enum vault_err
bucket_file_load(const char *path, struct bucket_keys *keys, struct secret_arena *arena,
                 const uint8_t key[static KEY_BYTES], struct bytes ad, char *why, size_t why_size)
{
    struct buf plain = {0};
    struct stat st;
    enum vault_err err;

    *keys = (struct bucket_keys){0};
    if (stat(path, &st) != 0 && errno == ENOENT) {
        snprintf(why, why_size, "%s is not there", path);
        return ERR_NOT_FOUND;
    }
    err = load_sealed(path, BUCKET_FILE_BYTES_MAX, key, ad, &plain, why, why_size);
    if (err != OK)
        goto out;
    err = bucket_keys_decode(buf_bytes(&plain), arena, keys);
    if (err != OK) {
        bucket_keys_close(keys);
        snprintf(why, why_size, "cannot use the bucket keys of %s: %s", path, vault_err_text(err));
    }
out:
    secret_buf_free(&plain);
    return loading_error(err);
}

size_t
share_keys_ad(const uint8_t cluster_id[static CLUSTER_ID_BYTES], const char *node_name,
              uint8_t out[static CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX])
{
    size_t size = strnlen(node_name, NODE_NAME_BYTES_MAX);

    memcpy(out, cluster_id, CLUSTER_ID_BYTES);
    memcpy(out + CLUSTER_ID_BYTES, node_name, size);
    return CLUSTER_ID_BYTES + size;
}

/* --- birth record --------------------------------------------------------------------------- */

static const char *const BIRTH_STATES[] = {"unused", "used", "behind", "lost"};

enum { BIRTH_STATE_COUNT = sizeof(BIRTH_STATES) / sizeof(BIRTH_STATES[0]) };

/* Takes what comes before the next space, or all of it. */
static struct bytes
take_word(struct bytes *line)
{
    size_t size = 0;

    while (size < line->size && line->data[size] != ' ')
        size++;
    struct bytes word = bytes_of(line->data, size);
    size += size < line->size;
    line->data += size;
    line->size -= size;
    return word;
}

/* One line: store id, state, and the storage key's check value; hexadecimal, one space between. */
static enum vault_err
birth_parse(struct bytes line, struct birth *out)
{
    struct bytes id = take_word(&line);
    struct bytes state = take_word(&line);
    size_t i = 0;

    while (i < BIRTH_STATE_COUNT && !bytes_equal(state, bytes_of_text(BIRTH_STATES[i])))
        i++;
    if (i == BIRTH_STATE_COUNT)
        return ERR_MALFORMED;
    out->state = (enum birth_state)i;
    enum vault_err err = hex_decode(id, out->store_id, sizeof(out->store_id));
    return err == OK ? hex_decode(line, out->key_check, sizeof(out->key_check)) : err;
}

enum vault_err
birth_read(const char *path, struct birth *out, char *why, size_t why_size)
{
    struct buf content;
    enum vault_err err = own_file_read(path, KEY_FILE_BYTES_MAX, &content, why, why_size);

    *out = (struct birth){0};
    if (err != OK)
        return err;
    err =
        content.size == 0 ? ERR_MALFORMED : birth_parse(without_newline(buf_bytes(&content)), out);
    if (err != OK) {
        *out = (struct birth){0};
        snprintf(why, why_size,
                 "%s is not a birth record: a store id, its state and the storage key's check "
                 "value are expected",
                 path);
        err = ERR_MALFORMED;
    }
    buf_close(&content);
    return err;
}

enum vault_err
birth_write(const char *path, const struct birth *birth, char *why, size_t why_size)
{
    char id[2 * sizeof(birth->store_id) + 1];
    char check[2 * sizeof(birth->key_check) + 1];
    char line[sizeof(id) + sizeof(check) + 16];

    hex_encode(bytes_of(birth->store_id, sizeof(birth->store_id)), id);
    hex_encode(bytes_of(birth->key_check, sizeof(birth->key_check)), check);
    snprintf(line, sizeof(line), "%s %s %s\n", id, BIRTH_STATES[birth->state], check);
    return file_replace(path, bytes_of_text(line), SECRET_FILE_MODE, why, why_size);
}
