#include "cli/cluster_text.h"

#include <string.h>

void
print_shell_word(FILE *out, const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                "_-./:,=@%+";

    if (*text && text[strspn(text, plain)] == '\0') {
        fputs(text, out);
        return;
    }
    fputc('\'', out);
    for (; *text; text++) {
        if (*text == '\'')
            fputs("'\\''", out);
        else
            fputc(*text, out);
    }
    fputc('\'', out);
}

/* As it stands before a port: an IPv6 address in brackets. */
static void
print_host(FILE *out, const char *host)
{
    fprintf(out, strchr(host, ':') ? "[%s]" : "%s", host);
}

void
print_exports(FILE *out, const char *directory, const struct cluster *cluster)
{
    char path[4096];

    fputs("export OSTRAKA_ADDR=", out);
    for (unsigned i = 0; i < cluster->node_count; i++) {
        fputs(i ? ",https://" : "https://", out);
        print_host(out, cluster->nodes[i].host);
        fprintf(out, ":%u", (unsigned)cluster->nodes[i].api_port);
    }
    fputs("\nexport OSTRAKA_TOKEN=\"$(cat ", out);
    snprintf(path, sizeof(path), "%s/admin.token", directory);
    print_shell_word(out, path);
    fputs(")\"\nexport OSTRAKA_CACERT=", out);
    snprintf(path, sizeof(path), "%s/ca/ca.crt", directory);
    print_shell_word(out, path);
    fputc('\n', out);
}

void
cluster_add_local_nodes(struct cluster *cluster, unsigned count, unsigned base_port)
{
    cluster->node_count = count;
    for (unsigned i = 0; i < count && i < NODES_MAX; i++) {
        struct cluster_node *node = &cluster->nodes[i];

        snprintf(node->name, sizeof(node->name), "n%u", i + 1);
        snprintf(node->host, sizeof(node->host), "127.0.0.1");
        node->api_port = (uint16_t)(base_port + i + 1);
        node->link_port = (uint16_t)(base_port + LINK_PORT_OFFSET + i + 1);
    }
}
