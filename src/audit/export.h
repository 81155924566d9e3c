/*
 * A node's trail as a file that is judged without a server: text, one thing a line.
 *
 *   ostraka-audit 1
 *   cluster <id, hex>
 *   node <number> <name>
 *   key <public half, hex> <proof, base64>   of its signing key; newest first
 *   head <node that keeps it> <base64>       of this trail, as another node keeps it: the newest of
 *                                            each epoch, and earlier ones (actors/witness.h). Older
 *                                            releases wrote the newest alone, and judge all
 *   missing <node>                           that was not there to be asked for heads, or keeps more
 *                                            than it could give
 *   block <base64>                           in order
 *   end                                      so that a file that was cut off is noticed
 *
 * Whoever judges takes no line's word: keys are proven by certificates, heads by keys, blocks by
 * heads.
 */
#ifndef OSTRAKA_AUDIT_EXPORT_H
#define OSTRAKA_AUDIT_EXPORT_H

#include "audit/block.h"

enum {
    AUDIT_EXPORT_BLOCK_BYTES_MAX = AUDIT_BLOCK_BYTES_MAX + 8 * 1024,
    AUDIT_EXPORT_LINE_BYTES_MAX = (AUDIT_EXPORT_BLOCK_BYTES_MAX + 2) / 3 * 4 + 64,
};

enum audit_line_kind {
    AUDIT_LINE_BEGIN,
    AUDIT_LINE_CLUSTER,
    AUDIT_LINE_NODE,
    AUDIT_LINE_KEY,
    AUDIT_LINE_HEAD,
    AUDIT_LINE_MISSING,
    AUDIT_LINE_BLOCK,
    AUDIT_LINE_END,
};

struct audit_line {
    enum audit_line_kind kind;
    uint8_t cluster[CLUSTER_ID_BYTES];
    uint64_t node;             /* NODE: its number; HEAD, MISSING: who keeps it */
    struct bytes name;         /* NODE; borrowed from the line */
    struct signing_public key; /* KEY */
    struct audit_head head;    /* HEAD; its signature is not verified */
    struct bytes block;        /* BLOCK; in `memory` */
};

/*
 * A line without its end. `memory` has AUDIT_EXPORT_BLOCK_BYTES_MAX bytes. There is one way to write
 * each thing. Errors: ERR_MALFORMED; *out is all zero then.
 */
MUST_CHECK enum vault_err audit_line_parse(struct bytes line, uint8_t *memory,
                                           struct audit_line *out);
/* Appends the line with its end. Errors: ERR_NOMEM, ERR_RANGE. */
MUST_CHECK enum vault_err audit_line_write(const struct audit_line *line, struct buf *out);

#endif
