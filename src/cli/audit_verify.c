/*
 * ostraka audit verify: judges exported trails without any server, by the certificates of the nodes
 * and that of their CA.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "audit/judge.h"
#include "base/instant.h"
#include "cli/cli.h"
#include "cli/connection.h"
#include "cli/input.h"
#include "cli/options.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "crypto/certificate.h"
#include "crypto/pem.h"
#include "runtime/certificates.h"
#include "runtime/node_signing.h"

enum { PEM_BYTES_MAX = 256 * 1024, CERTIFICATES_MAX = 64, AUTHORITIES_MAX = 8 };

/* Certificates of nodes that the CA has signed, or an earlier one whose certificate stands behind it. */
struct proofs {
    struct buf authorities[AUTHORITIES_MAX];
    size_t authority_count;
    struct buf list[CERTIFICATES_MAX];
    struct certificate read[CERTIFICATES_MAX];
    size_t count;
};

/* The files of one node, in the order in which they were given. */
struct group {
    struct audit_judge judge;
    const char *files[ARGUMENTS_MAX];
    size_t count;
};

/* ---- keys ---- */

static bool
prove(void *context, const uint8_t cluster[static CLUSTER_ID_BYTES], struct bytes name,
      const struct signing_public *key)
{
    const struct proofs *proofs = context;
    char text[NODE_NAME_BYTES_MAX + 1] = "", uri[NODE_URI_BYTES];

    if (name.size > NODE_NAME_BYTES_MAX)
        return false;
    memcpy(text, name.data, name.size);
    node_uri(cluster, text, uri);
    for (size_t i = 0; i < proofs->count; i++) {
        const struct certificate *c = &proofs->read[i];
        if (bytes_equal(bytes_of(c->uri, c->uri_size), bytes_of_text(uri)) &&
            node_signing_verify(buf_bytes(&proofs->list[i]), cluster, text, key) == OK)
            return true;
    }
    return false;
}

static int
read_pem(const char *path, struct buf *out)
{
    enum vault_err err = input_read_file(path, PEM_BYTES_MAX, out);

    if (err == OK)
        return EXIT_OK;
    output_error("%s cannot be read: %s", path,
                 err == ERR_IO ? strerror(errno) : vault_err_text(err));
    return EXIT_CONFIGURATION;
}

static bool
is_authority(struct bytes der, const struct proofs *proofs)
{
    for (size_t i = 0; i < proofs->authority_count; i++) {
        if (bytes_equal(der, buf_bytes(&proofs->authorities[i])))
            return true;
    }
    return false;
}

static bool
is_proven(struct bytes der, const struct proofs *proofs)
{
    for (size_t i = 0; i < proofs->authority_count; i++) {
        if (certificate_signed_by(der, buf_bytes(&proofs->authorities[i])))
            return true;
    }
    return false;
}

/* A chain's CAs below the one that is trusted stand behind its leaf, whose issuers they are. */
static void
add_authorities_below(struct bytes pem, struct proofs *proofs)
{
    struct certificate read;
    bool found = true;

    while (found) {
        struct buf der = {0};
        size_t at = 0;
        found = false;
        for (; proofs->authority_count < AUTHORITIES_MAX && pem_next_certificate(pem, &at, &der);
             der.size = 0) {
            if (certificate_read(buf_bytes(&der), &read) != OK || !read.signs_others ||
                is_authority(buf_bytes(&der), proofs) || !is_proven(buf_bytes(&der), proofs))
                continue;
            proofs->authorities[proofs->authority_count++] = der;
            der = (struct buf){0};
            found = true;
        }
        buf_close(&der);
    }
}

static int
add_certificates(const char *path, struct proofs *proofs)
{
    struct buf pem;
    size_t at = 0, before = proofs->count;
    int status = read_pem(path, &pem);

    if (status == EXIT_OK)
        add_authorities_below(buf_bytes(&pem), proofs);
    while (status == EXIT_OK && proofs->count < CERTIFICATES_MAX &&
           pem_next_certificate(buf_bytes(&pem), &at, &proofs->list[proofs->count])) {
        struct buf *der = &proofs->list[proofs->count];
        if (is_proven(buf_bytes(der), proofs) &&
            certificate_read(buf_bytes(der), &proofs->read[proofs->count]) == OK)
            proofs->count++;
        else
            buf_close(der);
    }
    buf_close(&pem);
    if (status == EXIT_OK && proofs->count == before) {
        output_error("%s: no certificate in it was signed by that CA", path);
        return EXIT_CONFIGURATION;
    }
    return status;
}

static int
read_authorities(const char *ca_file, struct proofs *proofs)
{
    struct buf pem;
    size_t at = 0;
    int status = read_pem(ca_file, &pem);

    while (
        status == EXIT_OK && proofs->authority_count < AUTHORITIES_MAX &&
        pem_next_certificate(buf_bytes(&pem), &at, &proofs->authorities[proofs->authority_count]))
        proofs->authority_count++;
    buf_close(&pem);
    if (status == EXIT_OK && proofs->authority_count == 0) {
        output_error("%s: there is no certificate in it", ca_file);
        return EXIT_CONFIGURATION;
    }
    return status;
}

static int
read_proofs(const char *ca_file, const struct text_list *files, struct proofs *proofs)
{
    int status = read_authorities(ca_file, proofs);

    for (size_t i = 0; i < files->count && status == EXIT_OK; i++)
        status = add_certificates(files->values[i], proofs);
    return status;
}

/* ---- files ---- */

static int
no_file(const char *path)
{
    output_error("%s cannot be read: %s", path, strerror(errno));
    return EXIT_FAILED;
}

/*
 * Returns EXIT_OK, or EXIT_FAILED having said why. A trail is read three times, so a pipe would be
 * empty when it is judged, and a good trail called a cut one.
 */
static int
open_trail(const char *path, FILE **out)
{
    struct stat found;

    *out = NULL;
    if (strcmp(path, "-") != 0) {
        *out = fopen(path, "re");
        if (!*out || fstat(fileno(*out), &found))
            return no_file(path);
        if (S_ISREG(found.st_mode))
            return EXIT_OK;
        (void)fclose(*out);
        *out = NULL;
    }
    output_error("%s cannot be verified: it is read more than once, so it must be a file", path);
    output_hint("write what comes out of a pipe to a file, and verify that");
    return EXIT_FAILED;
}

/* All lines of a file for the judge's present pass. */
static int
read_lines(const char *path, struct audit_judge *judge)
{
    FILE *file;
    enum vault_err err = OK;
    char *line = NULL;
    size_t room = 0;
    ssize_t size;
    int status = open_trail(path, &file);

    if (status)
        return status;
    audit_judge_file(judge);
    while (err == OK && (size = getline(&line, &room, file)) > 0) {
        bool whole = line[size - 1] == '\n';
        /* A line without its end is one that was cut. */
        err = audit_judge_line(judge, bytes_of(line, whole ? (size_t)size - 1 : 0));
    }
    bool failed = ferror(file);
    audit_judge_file_end(judge);
    free(line);
    (void)fclose(file);
    if (failed)
        return no_file(path);
    return err == OK ? EXIT_OK : secret_out_of_memory();
}

/* Which node a file says it is of: its third line. A file that says nothing is one of its own. */
static int
node_of(const char *path, char out[static NODE_NAME_BYTES_MAX + 1])
{
    FILE *file;
    char line[128];
    int status = open_trail(path, &file);

    *out = 0;
    if (status)
        return status;
    for (unsigned i = 0; i < 3 && fgets(line, sizeof line, file); i++) {
        char name[sizeof line];
        if (i == 2 && sscanf(line, "node %*9[0-9] %100[a-z0-9-]", name) == 1 &&
            strlen(name) <= NODE_NAME_BYTES_MAX)
            memcpy(out, name, strlen(name) + 1);
    }
    (void)fclose(file);
    return EXIT_OK;
}

/* ---- what was found ---- */

/* What was expected where the first bad record is, or what the whole of it was. */
static void
print_against(const struct audit_head *head)
{
    char when[RFC3339_BYTES];

    rfc3339_format(head->time_ms, when);
    printf("  contradicts the head of %" PRIu64
           " records, signed at %s, that the node of number %" PRIu64 " keeps\n",
           head->size, when, head->kept_by);
}

/* No finding: retention drops records, and a new store begins without them. */
static void
print_gone(const struct audit_finding *found)
{
    char when[RFC3339_BYTES];

    rfc3339_format(found->gone_ms, when);
    printf("  %zu of the heads, up to %s, are of records that it no longer has: none in it that is "
           "dated earlier is proven\n",
           found->gone, when);
}

/* Where no certificate is that of the node, no head of it counts: that tells of no change. */
static bool
is_unproven(const struct audit_judge *j, const struct audit_finding *found)
{
    if (found->verdict == AUDIT_CHANGED)
        return !j->malformed && j->heads_refused > 0 && j->key_count == 0;
    return found->verdict == AUDIT_INTACT && j->head_count == 0;
}

static void
print_group_found(const struct group *group, const struct audit_finding *found)
{
    const struct audit_judge *j = &group->judge;
    bool unproven = is_unproven(j, found);
    bool good = found->verdict == AUDIT_INTACT && !unproven;

    output_text(stdout, good ? COLOUR_GREEN : COLOUR_RED,
                unproven ? "unproven" : audit_verdict_name(found->verdict));
    printf(": %s: %" PRIu64 " records, %" PRIu64 " unanchored, %zu heads\n",
           *j->name ? j->name : group->files[0], found->records, found->unanchored, j->head_count);
    if (found->verdict != AUDIT_INTACT && !unproven)
        printf("  first that is not proven good: block %" PRIu64 ", record %" PRIu64
               " of its epoch\n",
               found->block, found->record);
    if (found->verdict != AUDIT_INTACT && found->contradicted)
        print_against(&found->against);
    if (found->verdict == AUDIT_INTACT && found->gone > 0)
        print_gone(found);
    if (j->malformed)
        printf("  line %" PRIu64 " is not what stands in an export\n", j->malformed_line);
    if (j->heads_refused > 0)
        printf("  %zu heads are not signed by a key that a certificate proves\n", j->heads_refused);
    if (j->key_count == 0 && *j->name)
        printf("  no certificate given here proves a key of node %s: give --certificate its "
               "node.crt\n",
               j->name);
    if (j->head_count == 0)
        printf("  no head that anybody keeps of it: nothing is proven\n");
    if (j->missing != 0)
        printf("  some nodes were not there to be asked for the heads that they keep, or keep more "
               "than they could give\n");
}

static int
judge_group(struct group *group, bool *good)
{
    struct audit_finding found;
    int status = EXIT_OK;

    for (size_t i = 0; i < group->count && status == EXIT_OK; i++)
        status = read_lines(group->files[i], &group->judge);
    audit_judge_second_pass(&group->judge);
    for (size_t i = 0; i < group->count && status == EXIT_OK; i++)
        status = read_lines(group->files[i], &group->judge);
    if (status)
        return status;
    found = audit_judge_end(&group->judge);
    print_group_found(group, &found);
    *good = *good && found.verdict == AUDIT_INTACT && group->judge.head_count > 0;
    return EXIT_OK;
}

/* Files of one node stand together, in the order given. */
static int
verify_files(const struct arguments *files, struct proofs *proofs)
{
    char names[ARGUMENTS_MAX][NODE_NAME_BYTES_MAX + 1];
    bool taken[ARGUMENTS_MAX] = {false}, good = true;
    int status = EXIT_OK;

    for (size_t i = 0; i < files->count && status == EXIT_OK; i++)
        status = node_of(files->values[i], names[i]);
    for (size_t i = 0; i < files->count && status == EXIT_OK; i++) {
        struct group group = {.count = 0};
        if (taken[i])
            continue;
        for (size_t k = i; k < files->count; k++) {
            if (k != i && (!*names[i] || strcmp(names[i], names[k]) != 0))
                continue;
            taken[k] = true;
            group.files[group.count++] = files->values[k];
        }
        if (audit_judge_open(&group.judge, prove, proofs) != OK)
            return secret_out_of_memory();
        status = judge_group(&group, &good);
        audit_judge_close(&group.judge);
    }
    if (status)
        return status;
    return good ? EXIT_OK : EXIT_FAILED;
}

int
command_audit_verify(int argc, char **argv)
{
    static const char command[] = "audit verify";
    struct client_options connection = {0};
    struct text_list certificates = {0};
    const struct option_spec specs[] = {
        {.name = "--cacert", .text = &connection.ca_file},
        {.name = "--certificate", .list = &certificates},
    };
    struct arguments files;
    const char *ca_file = NULL;
    int status = options_parse(command, argc, argv, specs, 2, "FILE...", 1, ARGUMENTS_MAX, &files);

    if (status == EXIT_OK)
        status = connection_ca(&connection, &ca_file);
    if (status)
        return status;
    if (!ca_file)
        return cli_usage_error(command, "--cacert is needed: the certificate of the cluster's CA");
    if (certificates.count == 0)
        return cli_usage_error(command, "--certificate is needed: node.crt of each node");
    struct proofs *proofs = calloc(1, sizeof *proofs);
    if (!proofs)
        return secret_out_of_memory();
    status = read_proofs(ca_file, &certificates, proofs);
    if (status == EXIT_OK)
        status = verify_files(&files, proofs);
    for (size_t i = 0; i < proofs->count; i++)
        buf_close(&proofs->list[i]);
    for (size_t i = 0; i < AUTHORITIES_MAX; i++)
        buf_close(&proofs->authorities[i]);
    free(proofs);
    return status;
}
