/*
 * How far an import has come, in a file beside what is imported: a random id, from which the keys
 * of its requests follow, where to and what is imported as MACs under that id, and how many secrets
 * are done. No values, and no names.
 */
#ifndef OSTRAKA_CLI_IMPORT_STATE_H
#define OSTRAKA_CLI_IMPORT_STATE_H

#include "cli/bulk.h"
#include "crypto/hash.h"

enum {
    IMPORT_ID_BYTES = 16,
    IMPORT_KEY_BYTES = 2 * IMPORT_ID_BYTES + 24,
    IMPORT_MAC_HEX = 2 * HASH_BYTES + 1
};

struct import_state {
    const char *path; /* NULL: nothing is kept */
    char id[2 * IMPORT_ID_BYTES + 1];
    char target[IMPORT_MAC_HEX];  /* cluster and tenant: what is done elsewhere is not done here */
    char content[IMPORT_MAC_HEX]; /* names and values: another list cannot go on */
    size_t done;
    bool resumed; /* the file was there: an earlier run may have asked for more than is done */
};

/*
 * Reads the file, or begins anew and writes it. What goes elsewhere or is something else than what
 * the file was begun for does not go on. Returns EXIT_OK, or another exit status having said why.
 */
int import_state_open(const char *path, const struct client_options *connection,
                      const struct bulk *bulk, struct import_state *out);
int import_state_save(const struct import_state *state);
void import_state_remove(const struct import_state *state);
/* The Idempotency-Key of the piece that begins with that secret, or of that secret alone. */
void import_state_key(const struct import_state *state, size_t first, bool alone,
                      char out[static IMPORT_KEY_BYTES]);

#endif
