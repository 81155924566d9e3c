/*
 * What `ostraka env encrypt` keeps beside the file that it writes, until that is written: the key
 * under which a text is sent. When nobody knows what became of a request, the same command with the
 * same text asks once more under the same key, and is told what the first one did.
 */
#ifndef OSTRAKA_CLI_ENV_STATE_H
#define OSTRAKA_CLI_ENV_STATE_H

#include "base/bytes.h"
#include "crypto/hash.h"

enum { ENV_STATE_KEY_BYTES = 2 * HASH_BYTES + 1 };

struct env_state {
    char *path; /* of FILE.ostraka-encrypt; NULL: nothing is kept */
    uint8_t secret[KEY_BYTES];
    bool found; /* an earlier command has left it */
};

/*
 * Reads what is kept beside `file`, or begins anew and writes it. Returns EXIT_OK, or EXIT_FAILED
 * having said why.
 */
int env_state_open(const char *file, struct env_state *out);
/* The Idempotency-Key of that text; who does not know the secret learns nothing of the text. */
void env_state_key(const struct env_state *state, struct bytes text, const char *prefix,
                   char out[static ENV_STATE_KEY_BYTES]);
/* `settled`: it is known what became of the text, and nobody will ask again. Wipes. */
void env_state_close(struct env_state *state, bool settled);

#endif
