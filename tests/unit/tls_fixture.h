/*
 * Certificates for tests, made by the openssl command in a directory of their own: a CA, node
 * certificates n1 and n2 of the cluster 00 01 02 .. 0f, and certificates that must be refused.
 */
#ifndef OSTRAKA_TESTS_TLS_FIXTURE_H
#define OSTRAKA_TESTS_TLS_FIXTURE_H

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "proto/cluster.h"
#include "runtime/tls.h"

struct tls_fixture {
    char directory[64];
    char names[6][48]; /* ring of file names given out */
    unsigned next_name;
};

/* The test's working directory is the fixture's, so a bare file name is a path. */
static inline const char *
fixture_name(struct tls_fixture *fixture, const char *base, const char *suffix)
{
    char *name = fixture->names[fixture->next_name++ % 6];

    snprintf(name, sizeof fixture->names[0], "%s%s", base, suffix);
    return name;
}

static inline struct tls_files
fixture_files(struct tls_fixture *fixture, const char *ca, const char *name)
{
    return (struct tls_files){
        .ca = ca,
        .certificate = fixture_name(fixture, name, ".crt"),
        .key = fixture_name(fixture, name, ".key"),
    };
}

static inline void
fixture_run(const char *commands)
{
    char line[4096];
    int size = snprintf(line, sizeof line, "{ %s ; } >>log 2>&1", commands);

    assert(size > 0);
    assert((size_t)size < sizeof line);
    if (system(line) != 0) {
        fprintf(stderr, "openssl failed: %s\n", line);
        abort();
    }
}

static inline void
fixture_ca(const char *name)
{
    char commands[512];

    snprintf(commands, sizeof commands,
             "openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 "
             "-keyout %s.key -out %s.crt -subj /CN=%s",
             name, name, name);
    fixture_run(commands);
}

/* `san` as openssl's subjectAltName has it. */
static inline void
fixture_leaf(const char *ca, const char *name, const char *san, int days)
{
    char commands[3584];

    snprintf(commands, sizeof commands,
             "printf 'subjectAltName=%s\\n' >%s.ext && "
             "openssl req -new -newkey ed25519 -nodes -keyout %s.key -out %s.csr -subj /CN=%s && "
             "openssl x509 -req -in %s.csr -CA %s.crt -CAkey %s.key -CAcreateserial -days %d "
             "-extfile %s.ext -out %s.crt",
             san, name, name, name, name, name, ca, ca, days, name, name);
    fixture_run(commands);
}

#define FIXTURE_URI "URI:ostraka://000102030405060708090a0b0c0d0e0f/"

static inline void
fixture_new(struct tls_fixture *fixture)
{
    memset(fixture, 0, sizeof *fixture);
    snprintf(fixture->directory, sizeof fixture->directory, "/tmp/ostraka-tls-XXXXXX");
    if (!mkdtemp(fixture->directory) || chdir(fixture->directory) != 0)
        abort();
    fixture_ca("ca");
    fixture_leaf("ca", "n1", FIXTURE_URI "n1,DNS:localhost,IP:127.0.0.1", 30);
    fixture_leaf("ca", "n2", "DNS:n2.example," FIXTURE_URI "n2", 30);
}

static inline void
fixture_free(struct tls_fixture *fixture)
{
    char line[128];

    snprintf(line, sizeof line, "rm -rf %s", fixture->directory);
    if (chdir("/") != 0 || system(line) != 0)
        fprintf(stderr, "%s stays\n", fixture->directory);
}

static inline void
fixture_cluster(struct cluster *cluster)
{
    memset(cluster, 0, sizeof *cluster);
    for (unsigned i = 0; i < CLUSTER_ID_BYTES; i++)
        cluster->id[i] = (uint8_t)i;
    cluster->node_count = 3;
    for (unsigned i = 0; i < 3; i++)
        snprintf(cluster->nodes[i].name, sizeof cluster->nodes[i].name, "n%u", i + 1);
}

#endif
