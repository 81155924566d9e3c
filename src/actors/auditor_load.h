/*
 * Where the audit trail stands, read once after the start: the row that says so, the blocks that
 * came after it, and the newest heads of all nodes. Where that row, or one of those blocks, is lost
 * or does not verify, the blocks themselves tell: what is there stays there, and a new epoch begins
 * after the last of them.
 *
 * Nothing can be written before it is known. What cannot be read for want of memory or of the disk
 * is asked for again with the next tick; until then the trail is unavailable.
 */
#ifndef OSTRAKA_ACTORS_AUDITOR_LOAD_H
#define OSTRAKA_ACTORS_AUDITOR_LOAD_H

#include "actors/auditor.h"

/* Begins to read. One effect, or none and the trail is unavailable. */
void auditor_load(struct auditor *a, const struct step *st, struct effects *out);
/* Takes what was read. True: with it all is known. At most one effect. */
bool auditor_loaded(struct auditor *a, const struct step *st, const struct msg_loaded *loaded,
                    struct effects *out);

/* The row, once the block that is being written is the last. Errors: ERR_NOMEM. */
MUST_CHECK enum vault_err auditor_state_encode(const struct auditor *a, uint64_t next_block,
                                               uint64_t kept_from,
                                               const uint8_t previous[static HASH_BYTES],
                                               const struct audit_tree *tree, struct buf *out);

/* Whether requests are served hangs on it. A change is logged. */
void auditor_unavailable(struct auditor *a, const struct step *st, enum vault_err err);
void auditor_available(struct auditor *a, const struct step *st);

#endif
