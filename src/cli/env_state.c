#include "cli/env_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/env_file.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/secret_common.h"
#include "crypto/rng_kernel.h"

enum { STATE_BYTES_MAX = 2 * KEY_BYTES + 1 };

static int
begin(struct env_state *state)
{
    struct env_replacement place = {.fd = -1};
    struct rng rng = rng_kernel();
    char text[STATE_BYTES_MAX + 1];
    int status;

    if (rng_fill(&rng, state->secret, sizeof state->secret) != OK) {
        output_error("the system gave no randomness");
        return EXIT_FAILED;
    }
    hex_encode(bytes_of(state->secret, sizeof state->secret), text);
    status = env_replacement_open(state->path, &place);
    if (status == EXIT_OK)
        status = env_replacement_finish(&place, bytes_of_text(text));
    env_replacement_close(&place);
    bytes_wipe(text, sizeof text);
    return status;
}

static int
go_on(struct env_state *state)
{
    struct buf text;
    enum vault_err err = input_read_file(state->path, STATE_BYTES_MAX, &text);

    state->found = true;
    if (err == ERR_IO) {
        output_error("%s cannot be read: %s", state->path, strerror(errno));
        return EXIT_FAILED;
    }
    if (err == OK)
        err = hex_decode(buf_bytes(&text), state->secret, sizeof state->secret);
    buf_close(&text);
    if (err == OK)
        return EXIT_OK;
    output_error("%s is not what `ostraka env encrypt` keeps there", state->path);
    output_hint("remove it to begin anew");
    return EXIT_FAILED;
}

int
env_state_open(const char *file, struct env_state *out)
{
    *out = (struct env_state){0};
    if (asprintf(&out->path, "%s.ostraka-encrypt", file) < 0) {
        out->path = NULL;
        return secret_out_of_memory();
    }
    return access(out->path, F_OK) == 0 ? go_on(out) : begin(out);
}

void
env_state_key(const struct env_state *state, struct bytes text, const char *prefix,
              char out[static ENV_STATE_KEY_BYTES])
{
    const struct bytes parts[] = {bytes_of_text(prefix ? prefix : ""), text};
    uint8_t hash[HASH_BYTES];

    mac_parts(state->secret, parts, sizeof parts / sizeof parts[0], hash);
    hex_encode(bytes_of(hash, sizeof hash), out);
}

void
env_state_close(struct env_state *state, bool settled)
{
    if (state->path && settled)
        (void)unlink(state->path);
    free(state->path);
    bytes_wipe(state, sizeof *state);
    *state = (struct env_state){0};
}
