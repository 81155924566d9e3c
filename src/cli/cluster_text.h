/* What commands say about a cluster whose files are on this machine. */
#ifndef OSTRAKA_CLI_CLUSTER_TEXT_H
#define OSTRAKA_CLI_CLUSTER_TEXT_H

#include <stdio.h>

#include "proto/cluster.h"

/* `text` as one word of a shell. */
void print_shell_word(FILE *out, const char *text);
/* The three export lines by which clients find the cluster whose files are in `directory`. */
void print_exports(FILE *out, const char *directory, const struct cluster *cluster);

/*
 * Nodes n1..nN on 127.0.0.1: client API on base_port + i, links on base_port + 100 + i.
 */
void cluster_add_local_nodes(struct cluster *cluster, unsigned count, unsigned base_port);

enum { BASE_PORT_DEFAULT = 7400, LINK_PORT_OFFSET = 100, BASE_PORT_MAX = 65535 - 100 - NODES_MAX };

#endif
