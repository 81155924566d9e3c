/*
 * How far an import has come, in a file beside what is imported: a random id, from which the keys
 * of its requests follow, and how many secrets are done. No values, and no names.
 */
#ifndef OSTRAKA_CLI_IMPORT_STATE_H
#define OSTRAKA_CLI_IMPORT_STATE_H

#include "cli/bulk.h"

enum { IMPORT_ID_BYTES = 16, IMPORT_KEY_BYTES = 2 * IMPORT_ID_BYTES + 24 };

struct import_state {
    const char *path; /* NULL: nothing is kept */
    char id[2 * IMPORT_ID_BYTES + 1];
    char digest[65]; /* over the names: another list cannot go on */
    size_t done;
    bool resumed; /* the file was there: an earlier run may have asked for more than is done */
};

/* Reads the file, or begins anew and writes it. Returns EXIT_OK, or EXIT_FAILED having said why. */
int import_state_open(const char *path, const struct bulk *bulk, struct import_state *out);
int import_state_save(const struct import_state *state);
void import_state_remove(const struct import_state *state);
/* The Idempotency-Key of the piece that begins with that secret, or of that secret alone. */
void import_state_key(const struct import_state *state, size_t first, bool alone,
                      char out[static IMPORT_KEY_BYTES]);

#endif
