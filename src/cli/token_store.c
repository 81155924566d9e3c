#include "cli/token_store.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "runtime/keyfile.h"

enum { CA_FILE_BYTES_MAX = 1024 * 1024, CLUSTER_NAME_BYTES = 16 };

static int
problem(const char *why)
{
    output_error("%s", why);
    return EXIT_FAILED;
}

/* ---- where it is ---- */

static int
read_certificate(const char *file, struct buf *out)
{
    struct buf pem;
    size_t at = 0;
    bool good = input_read_file(file, CA_FILE_BYTES_MAX, &pem) == OK &&
                pem_next_certificate(buf_bytes(&pem), &at, out);

    buf_close(&pem);
    if (good)
        return EXIT_OK;
    buf_close(out);
    output_error("%s is not a certificate in PEM", file);
    return EXIT_CONFIGURATION;
}

int
token_store_cluster_mark(const struct client_options *options, struct buf *out)
{
    struct addresses addresses;
    const char *ca_file;
    int status = connection_ca(options, &ca_file);

    *out = (struct buf){0};
    if (status == EXIT_OK)
        status = connection_addresses(options, &addresses);
    if (status == EXIT_OK && ca_file)
        return read_certificate(ca_file, out);
    if (status == EXIT_OK && buf_append_text(out, addresses.text[0]) != OK)
        status = problem("out of memory");
    return status;
}

/* Relative paths do not count, as the XDG Base Directory Specification has it. */
static enum vault_err
append_folder(struct buf *out)
{
    const char *folder = getenv("XDG_CONFIG_HOME"), *home = getenv("HOME");

    if (folder && folder[0] == '/')
        return buf_printf(out, "%s/ostraka", folder);
    if (home && home[0] == '/')
        return buf_printf(out, "%s/.config/ostraka", home);
    return ERR_NOT_FOUND;
}

int
token_store_path(const struct client_options *options, struct buf *out)
{
    char name[2 * CLUSTER_NAME_BYTES + 1];
    uint8_t hash[HASH_BYTES];
    struct buf mark;
    enum vault_err err;
    int status = token_store_cluster_mark(options, &mark);

    *out = (struct buf){0};
    if (status)
        return status;
    hash_bytes(buf_bytes(&mark), hash);
    buf_close(&mark);
    hex_encode(bytes_of(hash, CLUSTER_NAME_BYTES), name);
    err = append_folder(out);
    if (err == OK)
        err = buf_printf(out, "/token-%s", name);
    if (err == OK)
        err = buf_append(out, bytes_of("", 1));
    if (err == OK)
        return EXIT_OK;
    buf_close(out);
    if (err != ERR_NOT_FOUND)
        return problem("out of memory");
    output_error("there is no folder for tokens: HOME is not set");
    output_hint("--token-file FILE says where a token is kept");
    return EXIT_CONFIGURATION;
}

bool
token_store_has(const char *path)
{
    struct stat st;

    return lstat(path, &st) == 0;
}

/* ---- what is in it ---- */

int
token_store_read(const char *path, struct buf *out)
{
    char why[512];

    if (secret_file_read(path, CREDENTIAL_BYTES_MAX + 2, out, why, sizeof(why)) == OK)
        return EXIT_OK;
    output_error("%s", why);
    return EXIT_UNAUTHORIZED;
}

int
token_store_prepare(const char *path)
{
    struct buf copy = {0};
    enum vault_err err = buf_append(&copy, bytes_of(path, strlen(path) + 1));

    for (char *slash = (char *)copy.data; err == OK && (slash = strchr(slash + 1, '/'));) {
        *slash = '\0';
        if (mkdir((char *)copy.data, 0700) != 0 && errno != EEXIST) {
            output_error("the folder %s cannot be made: %s", (char *)copy.data, strerror(errno));
            err = ERR_IO;
        }
        *slash = '/';
    }
    buf_close(&copy);
    return err == OK ? EXIT_OK : err == ERR_IO ? EXIT_FAILED : problem("out of memory");
}

int
token_store_write(const char *path, struct bytes token)
{
    struct buf line = {0};
    char why[512] = "out of memory";
    enum vault_err err = buf_append(&line, token);

    if (err == OK)
        err = buf_append_text(&line, "\n");
    if (err == OK)
        err = file_replace(path, buf_bytes(&line), 0600, why, sizeof(why));
    buf_close(&line);
    return err == OK ? EXIT_OK : problem(why);
}

int
token_store_forget(const char *path)
{
    if (unlink(path) == 0 || errno == ENOENT)
        return EXIT_OK;
    output_error("%s cannot be removed: %s", path, strerror(errno));
    return EXIT_FAILED;
}
