#include "cli/import_state.h"

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
#include "crypto/hash.h"
#include "crypto/rng_kernel.h"

enum { STATE_BYTES_MAX = 4096 };

static int
digest_names(const struct bulk *bulk, char out[static 65])
{
    struct bytes *names = calloc(bulk->count + 1, sizeof *names);
    uint8_t hash[HASH_BYTES];

    if (!names)
        return secret_out_of_memory();
    for (size_t i = 0; i < bulk->count; i++)
        names[i] = buf_bytes(&bulk->items[i].name);
    hash_parts(names, bulk->count, hash);
    free(names);
    hex_encode(bytes_of(hash, sizeof hash), out);
    return EXIT_OK;
}

static int
begin(struct import_state *state)
{
    uint8_t random[IMPORT_ID_BYTES];
    struct rng rng = rng_kernel();

    if (rng_fill(&rng, random, sizeof random) != OK) {
        output_error("the system gave no randomness");
        return EXIT_FAILED;
    }
    hex_encode(bytes_of(random, sizeof random), state->id);
    return state->path ? import_state_save(state) : EXIT_OK;
}

static bool
take(const json_t *json, struct import_state *state, const char *digest)
{
    const char *id = json_string_value(json_object_get(json, "import"));
    const char *names = json_string_value(json_object_get(json, "names"));
    const json_t *done = json_object_get(json, "done");

    if (!id || strlen(id) != sizeof state->id - 1 || !names || !json_is_integer(done) ||
        json_integer_value(done) < 0 || strcmp(names, digest) != 0)
        return false;
    memcpy(state->id, id, sizeof state->id);
    state->done = (size_t)json_integer_value(done);
    state->resumed = true;
    return true;
}

int
import_state_open(const char *path, const struct bulk *bulk, struct import_state *out)
{
    struct buf text;
    json_t *json;
    bool good;
    int status;

    *out = (struct import_state){.path = path};
    status = digest_names(bulk, out->digest);
    if (status)
        return status;
    if (!path || access(path, F_OK) != 0)
        return begin(out);
    if (input_read_file(path, STATE_BYTES_MAX, &text) != OK) {
        output_error("%s cannot be read: %s", path, strerror(errno));
        return EXIT_FAILED;
    }
    json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    good = take(json, out, out->digest) && out->done <= bulk->count;
    json_decref(json);
    buf_close(&text);
    if (good)
        return EXIT_OK;
    output_error("%s belongs to another import", path);
    output_hint("remove it to begin anew, or name another file with --state");
    return EXIT_FAILED;
}

int
import_state_save(const struct import_state *state)
{
    struct env_replacement place = {.fd = -1};
    struct buf text = {0};
    int status;

    if (!state->path)
        return EXIT_OK;
    if (buf_printf(&text, "{\"import\": \"%s\", \"names\": \"%s\", \"done\": %zu}\n", state->id,
                   state->digest, state->done) != OK)
        return secret_out_of_memory();
    status = env_replacement_open(state->path, &place);
    if (status == EXIT_OK)
        status = env_replacement_finish(&place, buf_bytes(&text));
    env_replacement_close(&place);
    buf_close(&text);
    return status;
}

void
import_state_remove(const struct import_state *state)
{
    if (state->path)
        (void)unlink(state->path);
}

void
import_state_key(const struct import_state *state, size_t first, bool alone,
                 char out[static IMPORT_KEY_BYTES])
{
    snprintf(out, IMPORT_KEY_BYTES, "%s-%zu%s", state->id, first, alone ? "-1" : "");
}
