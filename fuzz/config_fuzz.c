/*
 * cluster.conf: any text is either refused with a sentence, or understood as a valid cluster that,
 * written out again, is understood as the same.
 */
#include <stdlib.h>
#include <string.h>

#include "fuzz.h"
#include "runtime/cluster_files.h"
#include "runtime/config_file.h"

static const char PATH[] = "/nonexistent/cluster.conf";

static enum vault_err
parse(const struct buf *text, const char *node, struct config *out)
{
    char why[256] = "";
    enum vault_err err = config_parse((const char *)text->data, PATH, node, out, why, sizeof(why));

    if (err != OK && err != ERR_CONFIG)
        abort();
    if ((err == OK) != (why[0] == '\0'))
        abort();
    if (err != OK && strncmp(why, PATH, strlen(PATH)) != 0)
        abort();
    return err;
}

static void
check_round_trip(const struct cluster *cluster)
{
    struct config again;
    struct buf text = {0};
    char why[256];

    if (cluster_validate(cluster, why, sizeof(why)) != OK)
        abort();
    if (cluster_conf_write(cluster, &text) != OK || buf_append(&text, bytes_of("", 1)) != OK)
        abort();
    if (parse(&text, cluster->nodes[0].name, &again) != OK)
        abort();
    /* The parser zeroes all of it first, so the padding is equal too. */
    /* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c) */
    if (memcmp(&again.cluster, cluster, sizeof(*cluster)) != 0)
        abort();
    buf_close(&text);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct buf text = {0};
    struct config config;

    if (buf_append(&text, bytes_of(data, size)) != OK || buf_append(&text, bytes_of("", 1)) != OK)
        abort();
    if (parse(&text, NULL, &config) == OK)
        check_round_trip(&config.cluster);
    buf_close(&text);
    return 0;
}
