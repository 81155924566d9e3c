#include "runtime/cluster_renew.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/instant.h"
#include "crypto/certificate.h"
#include "crypto/pem.h"
#include "runtime/certificate_key.h"
#include "runtime/certificates.h"
#include "runtime/keyfile.h"

enum {
    PEM_FILE_BYTES_MAX = 1024 * 1024,
    NODE_DIRECTORY_MODE = 0700,
    PUBLIC_MODE = 0644,
    SECRET_MODE = 0600,
};

/* What has been made for a node and is not yet written. */
struct made {
    struct node_config paths;
    struct buf certificate;
    struct buf key; /* empty: the node keeps the one it has */
};

struct renewing {
    const struct renewal_options *options;
    struct renewal *out;
    struct certificate_authority *ca;
    struct buf ca_pem; /* all of ca.crt, as it will be */
    struct made nodes[NODES_MAX];
    char *why;
    size_t why_size;
};

static enum vault_err
fail(struct renewing *r, enum vault_err err, const char *doing)
{
    snprintf(r->why, r->why_size, "cannot %s: %s", doing, vault_err_text(err));
    return err;
}

static enum vault_err
path_of(struct renewing *r, const char *file, char out[static CONFIG_PATH_MAX])
{
    int size = snprintf(out, CONFIG_PATH_MAX, "%s/%s", r->options->directory, file);

    if (size < CONFIG_PATH_MAX)
        return OK;
    snprintf(r->why, r->why_size, "the path of the directory is too long");
    return ERR_CONFIG;
}

/* What is missing is no fault of the disk: the wrong folder was named, or a file is elsewhere. */
static enum vault_err
read_certificates(struct renewing *r, const char *path, struct buf *out)
{
    enum vault_err err = file_read(path, PEM_FILE_BYTES_MAX, out);

    if (err == OK)
        return OK;
    snprintf(r->why, r->why_size, "certificate %s cannot be read: %s", path, vault_err_text(err));
    return err == ERR_NOMEM ? err : ERR_CONFIG;
}

/* ---- the CA ---- */

/*
 * Appends the certificates of other keys that are valid still, as they stand in `pem`. What is left
 * out is no certificate of another CA: the one that is renewed, and what has ended, with which a node
 * would not start.
 */
static enum vault_err
keep_others(struct renewing *r, struct bytes pem)
{
    struct certificate_authority_facts own;
    struct certificate new, other;
    struct buf der = {0};
    size_t at = 0, from = 0;
    unsigned kept = 1;
    enum vault_err err = OK;

    certificate_authority_tell(r->ca, &own);
    if (certificate_read(own.certificate, &new) != OK)
        return ERR_INTERNAL;
    for (; pem_next_certificate(pem, &at, &der) && err == OK; from = at, der.size = 0) {
        if (certificate_read(buf_bytes(&der), &other) != OK ||
            bytes_equal(other.key.key, new.key.key) ||
            other.not_after_ms / 1000 <= (uint64_t)r->options->now)
            continue;
        if (++kept > CA_CERTIFICATES_MAX)
            err = ERR_RANGE; /* to drop one might cut off nodes that have certificates of it */
        while (from < at && pem.data[from] == '\n')
            from++;
        if (err == OK)
            err = buf_append(&r->ca_pem, bytes_of(pem.data + from, at - from));
        if (err == OK)
            err = buf_append_text(&r->ca_pem, "\n");
    }
    buf_close(&der);
    return err;
}

/* ca.crt with the CA's certificate of now in front. `key`: the CA's, appended. */
static enum vault_err
make_ca_file(struct renewing *r, struct bytes before, struct buf *key)
{
    enum vault_err err;

    buf_close(&r->ca_pem);
    err = certificate_authority_export(r->ca, &r->ca_pem, key);
    if (err == OK)
        err = keep_others(r, before);
    if (err == ERR_RANGE) {
        snprintf(r->why, r->why_size,
                 "ca/ca.crt has %d CAs already: remove those of which no node has a certificate",
                 CA_CERTIFICATES_MAX);
        return ERR_CONFIG;
    }
    return err == OK ? OK : fail(r, err, "make the CA's certificate");
}

static enum vault_err
renew_ca(struct renewing *r)
{
    struct buf before = r->ca_pem, key = {0};
    enum vault_err err = certificate_authority_renew(r->ca, r->options->now, r->options->rng);

    r->ca_pem = (struct buf){0};
    if (err != OK)
        err = fail(r, err, "renew the CA");
    else
        err = make_ca_file(r, buf_bytes(&before), &key);
    r->out->ca_renewed = err == OK;
    buf_close(&key);
    buf_close(&before);
    return err;
}

static enum vault_err
check_ca(struct renewing *r, const char *path)
{
    struct certificate_authority_facts ca;
    char now[RFC3339_BYTES], from[RFC3339_BYTES];

    certificate_authority_tell(r->ca, &ca);
    if (memcmp(ca.cluster_id, r->out->cluster.id, CLUSTER_ID_BYTES) != 0) {
        snprintf(r->why, r->why_size, "%s is the CA of another cluster than cluster.conf names",
                 path);
        return ERR_CONFIG;
    }
    if (r->options->now >= ca.not_before)
        return OK;
    rfc3339_format((uint64_t)r->options->now * 1000, now);
    rfc3339_format((uint64_t)ca.not_before * 1000, from);
    snprintf(r->why, r->why_size,
             "the clock says %s, and the CA is valid from %s: look at the clock", now, from);
    return ERR_NOT_READY;
}

static enum vault_err
open_ca(struct renewing *r)
{
    char path[CONFIG_PATH_MAX], key_path[CONFIG_PATH_MAX];
    struct buf key = {0};
    enum vault_err err = path_of(r, "ca/ca.crt", path);

    if (err == OK)
        err = path_of(r, "ca/ca.key", key_path);
    if (err == OK)
        err = read_certificates(r, path, &r->ca_pem);
    if (err == OK)
        err = secret_file_read(key_path, PEM_FILE_BYTES_MAX, &key, r->why, r->why_size);
    if (err != OK)
        return err;
    err = certificate_authority_open(buf_bytes(&r->ca_pem), buf_bytes(&key), &r->ca);
    buf_close(&key);
    if (err == ERR_CONFIG)
        snprintf(r->why, r->why_size,
                 "%s and %s are not a CA of `ostraka cluster create` and its key", path, key_path);
    else if (err != OK)
        return fail(r, err, "read the CA");
    return err == OK ? check_ca(r, path) : err;
}

/* ---- a node ---- */

static bool
signed_by_one_of(struct bytes der, struct bytes ca_pem)
{
    struct buf ca = {0};
    size_t at = 0;
    bool found = false;

    for (; !found && pem_next_certificate(ca_pem, &at, &ca); ca.size = 0)
        found = certificate_signed_by(der, buf_bytes(&ca));
    buf_close(&ca);
    return found;
}

/* A private key that is not there is where its node is: it need not come here. */
static enum vault_err
check_key(struct renewing *r, const struct made *made, const struct certificate *old)
{
    struct buf key;
    struct stat st;
    enum vault_err err;

    if (lstat(made->paths.key, &st) != 0 && errno == ENOENT)
        return OK;
    err = secret_file_read(made->paths.key, PEM_FILE_BYTES_MAX, &key, r->why, r->why_size);
    if (err != OK)
        return err;
    if (!certificate_key_belongs(buf_bytes(&key), old)) {
        snprintf(
            r->why, r->why_size,
            "private key %s does not belong to certificate %s: put them right, or make new ones "
            "with --new-keys",
            made->paths.key, made->paths.certificate);
        err = ERR_CONFIG;
    }
    buf_close(&key);
    return err;
}

/*
 * The node's certificate of now. That this CA has signed it for this node is checked: it may have been
 * brought here from the node's machine, and its key will be vouched for anew.
 */
static enum vault_err
read_old(struct renewing *r, const struct made *made, const char *name, struct certificate *old)
{
    const char *path = made->paths.certificate;
    char uri[NODE_URI_BYTES];
    struct buf pem, der = {0};
    size_t at = 0;
    enum vault_err err = read_certificates(r, path, &pem);

    if (err != OK) {
        size_t size = strlen(r->why);
        snprintf(r->why + size, r->why_size - size,
                 "; put the node's certificate there, or make new keys with --new-keys");
        return err;
    }
    node_uri(r->out->cluster.id, name, uri);
    if (!pem_next_certificate(buf_bytes(&pem), &at, &der) ||
        certificate_read(buf_bytes(&der), old) != OK ||
        !signed_by_one_of(buf_bytes(&der), buf_bytes(&r->ca_pem)) ||
        !bytes_equal(bytes_of(old->uri, old->uri_size), bytes_of_text(uri))) {
        snprintf(r->why, r->why_size, "%s is no certificate of node %s by this CA", path, name);
        err = ERR_CONFIG;
    }
    buf_close(&der);
    buf_close(&pem);
    return err == OK ? check_key(r, made, old) : err;
}

static enum vault_err
make_node(struct renewing *r, struct made *made, struct renewed_node *out)
{
    const struct cluster_node *node = &r->out->cluster.nodes[out->number];
    struct certificate_authority_facts ca;
    struct certificate old;
    const struct certificate_request request = {
        .node_name = node->name, .host = node->host, .now = r->options->now};
    enum vault_err err;

    if (r->options->new_keys) {
        err = certificate_issue(r->ca, &request, r->options->rng, &made->certificate, &made->key);
    } else {
        err = read_old(r, made, node->name, &old);
        if (err != OK)
            return err;
        err = certificate_issue_again(r->ca, &request, &old, r->options->rng, &made->certificate);
        if (err == ERR_CONFIG) {
            snprintf(
                r->why, r->why_size,
                "the key of %s is not one of `ostraka cluster create`, which are on P-256: make "
                "a new one with --new-keys",
                made->paths.certificate);
            return err;
        }
    }
    if (err != OK)
        return fail(r, err, "make a certificate");
    certificate_authority_tell(r->ca, &ca);
    out->ends = certificate_ends(&request, ca.not_after);
    return OK;
}

/* ---- writing ---- */

/* As whoever owns the folder: the server's user has to read its key, whoever runs this. */
static enum vault_err
put_file(struct renewing *r, const char *path, struct bytes content, unsigned mode)
{
    char directory[CONFIG_PATH_MAX];
    char *slash;
    struct stat st;
    struct file_owner owner = {(uid_t)-1, (gid_t)-1};

    snprintf(directory, sizeof(directory), "%s", path);
    slash = strrchr(directory, '/');
    if (slash)
        *slash = '\0';
    if (geteuid() == 0 && slash && stat(directory, &st) == 0)
        owner = (struct file_owner){st.st_uid, st.st_gid};
    return file_replace_for(path, content, mode, owner, r->why, r->why_size);
}

static enum vault_err
make_folder(struct renewing *r, const char *path)
{
    if (mkdir(path, NODE_DIRECTORY_MODE) == 0 || errno == EEXIST)
        return OK;
    snprintf(r->why, r->why_size, "cannot create %s: %s", path, strerror(errno));
    return errno == ENOSPC ? ERR_DISK_FULL : ERR_IO;
}

/* The key before the certificate: what is left of an end in between is one that can be told. */
static enum vault_err
write_node(struct renewing *r, const struct made *made)
{
    enum vault_err err = OK;

    if (made->key.size > 0)
        err = make_folder(r, made->paths.directory);
    if (err == OK)
        err = put_file(r, made->paths.ca, buf_bytes(&r->ca_pem), PUBLIC_MODE);
    if (err == OK && made->key.size > 0)
        err = put_file(r, made->paths.key, buf_bytes(&made->key), SECRET_MODE);
    if (err == OK)
        err = put_file(r, made->paths.certificate, buf_bytes(&made->certificate), PUBLIC_MODE);
    return err;
}

static enum vault_err
write_ca(struct renewing *r)
{
    char path[CONFIG_PATH_MAX];
    enum vault_err err = path_of(r, "ca/ca.crt", path);

    return err == OK ? put_file(r, path, buf_bytes(&r->ca_pem), PUBLIC_MODE) : err;
}

static enum vault_err
write_all(struct renewing *r)
{
    enum vault_err err = r->out->ca_renewed ? write_ca(r) : OK;

    for (unsigned i = 0; i < r->out->node_count && err == OK; i++)
        err = write_node(r, &r->nodes[i]);
    return err;
}

/* ---- which nodes ---- */

/* Where the files of a node are says cluster.conf, as to the node itself. */
static enum vault_err
add_node(struct renewing *r, const char *name)
{
    unsigned i = r->out->node_count;
    char path[CONFIG_PATH_MAX];
    struct config *config = malloc(sizeof(*config));
    enum vault_err err;

    if (!config)
        return fail(r, ERR_NOMEM, "read cluster.conf");
    err = path_of(r, "cluster.conf", path);
    if (err == OK)
        err = config_load(path, name, config, r->why, r->why_size);
    for (unsigned j = 0; j < i && err == OK; j++) {
        if (r->out->nodes[j].number != config->node.self)
            continue;
        snprintf(r->why, r->why_size, "node %s is named twice", name);
        err = ERR_CONFIG;
    }
    if (err == OK) {
        r->nodes[i].paths = config->node;
        r->out->nodes[i].number = config->node.self;
        snprintf(r->out->nodes[i].certificate, CONFIG_PATH_MAX, "%s", config->node.certificate);
        r->out->node_count++;
    }
    free(config);
    return err;
}

static enum vault_err
read_cluster(struct renewing *r)
{
    char path[CONFIG_PATH_MAX];
    struct config *config = malloc(sizeof(*config));
    enum vault_err err;

    if (!config)
        return fail(r, ERR_NOMEM, "read cluster.conf");
    err = path_of(r, "cluster.conf", path);
    if (err == OK)
        err = config_load(path, NULL, config, r->why, r->why_size);
    if (err == OK)
        r->out->cluster = config->cluster;
    free(config);
    return err == ERR_IO ? ERR_CONFIG : err;
}

static enum vault_err
choose_nodes(struct renewing *r, bool all)
{
    const struct renewal_options *o = r->options;
    enum vault_err err = read_cluster(r);

    if (all || o->node_count == 0) {
        for (unsigned i = 0; i < r->out->cluster.node_count && err == OK; i++)
            err = add_node(r, r->out->cluster.nodes[i].name);
        return err;
    }
    for (size_t i = 0; i < o->node_count && err == OK; i++)
        err = add_node(r, o->nodes[i]);
    return err;
}

/* ---- certificates by the CA that there is ---- */

static enum vault_err
make_all(struct renewing *r)
{
    struct certificate_authority_facts ca;
    enum vault_err err = open_ca(r);

    if (err != OK)
        return err;
    certificate_authority_tell(r->ca, &ca);
    if (ca.not_after - r->options->now < CERTIFICATE_YEARS / 2 * (int64_t)365 * 86400)
        err = renew_ca(r);
    for (unsigned i = 0; i < r->out->node_count && err == OK; i++)
        err = make_node(r, &r->nodes[i], &r->out->nodes[i]);
    certificate_authority_tell(r->ca, &ca);
    r->out->ca_ends = ca.not_after;
    return err;
}

static enum vault_err
renew(struct renewing *r)
{
    enum vault_err err = make_all(r);

    return err == OK ? write_all(r) : err;
}

/* ---- another CA ---- */

/* The key at the end: until then the old one, whose certificate is in every file, can still sign. */
static enum vault_err
write_new_ca(struct renewing *r, struct bytes key)
{
    char path[CONFIG_PATH_MAX];
    struct stat st;
    enum vault_err err = write_ca(r);

    for (unsigned i = 0; i < r->out->node_count && err == OK; i++) {
        if (stat(r->nodes[i].paths.directory, &st) == 0)
            err = put_file(r, r->nodes[i].paths.ca, buf_bytes(&r->ca_pem), PUBLIC_MODE);
    }
    if (err == OK)
        err = path_of(r, "ca/ca.key", path);
    return err == OK ? put_file(r, path, key, SECRET_MODE) : err;
}

static enum vault_err
make_new_ca(struct renewing *r, struct buf *key)
{
    struct certificate_authority_facts ca;
    char path[CONFIG_PATH_MAX];
    struct buf before = {0};
    enum vault_err err = path_of(r, "ca/ca.crt", path);

    if (err == OK)
        err = read_certificates(r, path, &before);
    if (err != OK)
        return err;
    err = certificate_authority_new(r->out->cluster.id, r->options->now, r->options->rng, &r->ca);
    if (err != OK)
        err = fail(r, err, "make the CA");
    else
        err = make_ca_file(r, buf_bytes(&before), key);
    buf_close(&before);
    if (err != OK)
        return err;
    certificate_authority_tell(r->ca, &ca);
    r->out->ca_ends = ca.not_after;
    return OK;
}

static enum vault_err
replace_ca(struct renewing *r)
{
    struct buf key = {0};
    enum vault_err err = make_new_ca(r, &key);

    if (err == OK)
        err = write_new_ca(r, buf_bytes(&key));
    buf_close(&key);
    return err;
}

/* ---- the whole ---- */

static void
end(struct renewing *r)
{
    certificate_authority_free(r->ca);
    buf_close(&r->ca_pem);
    for (unsigned i = 0; i < NODES_MAX; i++) {
        buf_close(&r->nodes[i].certificate);
        buf_close(&r->nodes[i].key);
    }
    free(r);
}

/* `all`: for all nodes, whichever the options name. */
static enum vault_err
run(const struct renewal_options *options, bool all, enum vault_err (*work)(struct renewing *r),
    struct renewal *out, char *why, size_t why_size)
{
    struct renewing *r = calloc(1, sizeof(*r));
    enum vault_err err;

    *out = (struct renewal){0};
    if (!r) {
        snprintf(why, why_size, "%s", vault_err_text(ERR_NOMEM));
        return ERR_NOMEM;
    }
    *r = (struct renewing){.options = options, .out = out, .why = why, .why_size = why_size};
    err = choose_nodes(r, all);
    if (err == OK)
        err = work(r);
    end(r);
    return err;
}

enum vault_err
cluster_renew(const struct renewal_options *options, struct renewal *out, char *why,
              size_t why_size)
{
    return run(options, false, renew, out, why, why_size);
}

enum vault_err
cluster_replace_ca(const struct renewal_options *options, struct renewal *out, char *why,
                   size_t why_size)
{
    return run(options, true, replace_ca, out, why, why_size);
}
