/* The statement with which the key of a client certificate logs in; the key stays here. */
#include <errno.h>
#include <string.h>
#include <time.h>

#include "auth/statement.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/login.h"
#include "cli/output.h"
#include "crypto/hash.h"
#include "crypto/pem.h"
#include "crypto/rng_kernel.h"
#include "proto/request.h"
#include "runtime/certificate_key.h"
#include "runtime/certificates.h"

enum { PEM_FILE_BYTES_MAX = 64 * 1024, CA_FILE_BYTES_MAX = 1024 * 1024 };

static int
read_file(const char *file, size_t max, struct buf *out)
{
    enum vault_err err = input_read_file(file, max, out);

    if (err == OK)
        return EXIT_OK;
    output_error("%s cannot be read: %s", file,
                 err == ERR_IO ? strerror(errno) : vault_err_text(err));
    return EXIT_CONFIGURATION;
}

/* The first certificate of a file, as DER. */
static int
read_certificate(const char *file, size_t max, struct buf *out)
{
    struct buf pem;
    size_t at = 0;
    int status = read_file(file, max, &pem);

    *out = (struct buf){0};
    if (status == EXIT_OK && !pem_next_certificate(buf_bytes(&pem), &at, out)) {
        output_error("%s is not a certificate in PEM", file);
        status = EXIT_CONFIGURATION;
    }
    buf_close(&pem);
    return status;
}

/*
 * A statement is for one cluster, so that no other can use it. Which one that is must not be asked
 * of a node: a node of another cluster could name this one. The CA that the user trusts tells.
 */
static int
find_cluster(const struct login_certificate *login, const struct client_options *options,
             uint8_t out[static CLUSTER_ID_BYTES])
{
    const char *ca_file;
    struct buf der;
    int status;
    bool found;

    if (login->cluster_id) {
        found = hex_decode(bytes_of_text(login->cluster_id), out, CLUSTER_ID_BYTES) == OK;
        return found ? EXIT_OK
                     : cli_usage_error("login cert",
                                       "a cluster id is 32 hexadecimal digits, lower case");
    }
    status = connection_ca(options, &ca_file);
    if (status == EXIT_OK && ca_file) {
        status = read_certificate(ca_file, CA_FILE_BYTES_MAX, &der);
        if (status)
            return status;
        found = certificate_cluster_id(buf_bytes(&der), out);
        buf_close(&der);
        if (found)
            return EXIT_OK;
    }
    if (status == EXIT_OK)
        status = cli_usage_error("login cert", "the CA does not say which cluster it is of: give "
                                               "--cluster-id, the cluster_id of cluster.conf");
    return status;
}

static int
fill(const struct login_certificate *login, const struct client_options *options,
     struct client_statement *out)
{
    struct rng rng = rng_kernel();
    struct timespec now;
    const char *tenant;
    int status = connection_tenant(options, &tenant);

    if (status == EXIT_OK)
        status = find_cluster(login, options, out->cluster_id);
    if (status)
        return status;
    out->tenant = bytes_of_text(tenant ? tenant : "default");
    (void)clock_gettime(CLOCK_REALTIME, &now);
    out->time_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
    if (rng_fill(&rng, out->nonce, sizeof(out->nonce)) == OK)
        return EXIT_OK;
    output_error("the system gave no randomness");
    return EXIT_FAILED;
}

/* What the nodes would refuse without a reason is told here. */
static int
check_pair(const struct login_certificate *login, struct bytes certificate, struct bytes text,
           struct bytes signature)
{
    struct certificate parsed;

    if (certificate_read(certificate, &parsed) != OK || !parsed.is_client || parsed.uri_size == 0)
        output_error("%s is not a certificate for clients that names an identity",
                     login->certificate);
    else if (!signature_verify(&parsed.key, text, signature))
        output_error("%s is not the key of %s", login->key, login->certificate);
    else
        return EXIT_OK;
    return EXIT_CONFIGURATION;
}

static int
sign(const struct login_certificate *login, const struct client_statement *statement,
     struct certificate_key *key, struct buf *out)
{
    struct buf text = {0}, signature = {0};
    size_t at;
    enum vault_err err = statement_to_sign(statement, &text, &at);
    int status = EXIT_FAILED;

    if (err == OK)
        err = certificate_key_sign(key, buf_bytes(&text), &signature);
    if (err == OK) {
        status = check_pair(login, statement->certificate, buf_bytes(&text), buf_bytes(&signature));
        if (status == EXIT_OK)
            err = statement_text(bytes_of(text.data + at, text.size - at), buf_bytes(&signature),
                                 out);
    }
    if (err != OK) {
        output_error("a statement cannot be made with %s and %s: %s", login->certificate,
                     login->key, vault_err_text(err));
        status = EXIT_CONFIGURATION;
    }
    buf_close(&signature);
    buf_close(&text);
    return status;
}

int
login_statement_make(const struct login_certificate *login, const struct client_options *options,
                     struct buf *out)
{
    struct client_statement statement = {0};
    struct certificate_key key;
    struct buf der = {0}, pem = {0};
    int status = fill(login, options, &statement);

    if (status == EXIT_OK)
        status = read_certificate(login->certificate, PEM_FILE_BYTES_MAX, &der);
    if (status == EXIT_OK)
        status = read_file(login->key, PEM_FILE_BYTES_MAX, &pem);
    statement.certificate = buf_bytes(&der);
    if (status == EXIT_OK && !certificate_key_decode_pem(buf_bytes(&pem), &key)) {
        output_error("%s is not a private key in PEM, P-256, Ed25519 or RSA and not encrypted",
                     login->key);
        status = EXIT_CONFIGURATION;
    } else if (status == EXIT_OK) {
        status = sign(login, &statement, &key, out);
        certificate_key_close(&key);
    }
    buf_close(&pem);
    buf_close(&der);
    return status;
}
