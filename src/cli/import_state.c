#include "cli/import_state.h"

#include <assert.h>
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
#include "cli/token_store.h"
#include "crypto/rng_kernel.h"

enum { STATE_BYTES_MAX = 4096 };

/* ---- what it is about ---- */

/* Under the id, so that no bare digest of values lies on a disk. */
static void
make_mac(const struct import_state *state, const struct bytes *parts, size_t count,
         char out[static IMPORT_MAC_HEX])
{
    uint8_t key[KEY_BYTES], mac[HASH_BYTES];

    static_assert(sizeof state->id > KEY_BYTES, "the id in hexadecimal fills the key");
    memcpy(key, state->id, sizeof key);
    mac_parts(key, parts, count, mac);
    hex_encode(bytes_of(mac, sizeof mac), out);
}

static int
mark_target(struct import_state *state, const struct client_options *connection)
{
    const char *tenant;
    struct buf cluster = {0};
    int status = connection_tenant(connection, &tenant);

    if (status == EXIT_OK)
        status = token_store_cluster_mark(connection, &cluster);
    if (status == EXIT_OK) {
        const struct bytes parts[] = {buf_bytes(&cluster), bytes_of_text(tenant ? tenant : "")};

        make_mac(state, parts, sizeof parts / sizeof parts[0], state->target);
    }
    buf_close(&cluster);
    return status;
}

static int
mark_content(struct import_state *state, const struct bulk *bulk)
{
    struct bytes *parts = calloc(2 * bulk->count + 1, sizeof *parts);

    if (!parts)
        return secret_out_of_memory();
    for (size_t i = 0; i < bulk->count; i++) {
        parts[2 * i] = buf_bytes(&bulk->items[i].name);
        parts[2 * i + 1] = buf_bytes(&bulk->items[i].value);
    }
    make_mac(state, parts, 2 * bulk->count, state->content);
    free(parts);
    return EXIT_OK;
}

static int
mark(struct import_state *state, const struct client_options *connection, const struct bulk *bulk)
{
    int status = mark_target(state, connection);

    return status ? status : mark_content(state, bulk);
}

/* ---- the file ---- */

static int
begin(struct import_state *state, const struct client_options *connection, const struct bulk *bulk)
{
    uint8_t random[IMPORT_ID_BYTES];
    struct rng rng = rng_kernel();
    int status;

    if (rng_fill(&rng, random, sizeof random) != OK) {
        output_error("the system gave no randomness");
        return EXIT_FAILED;
    }
    hex_encode(bytes_of(random, sizeof random), state->id);
    if (!state->path)
        return EXIT_OK;
    status = mark(state, connection, bulk);
    return status ? status : import_state_save(state);
}

static bool
copy_hex(const json_t *json, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(json, key));

    if (!text || strlen(text) != size - 1)
        return false;
    memcpy(out, text, size);
    return true;
}

static bool
take(const json_t *json, struct import_state *out)
{
    const json_t *done = json_object_get(json, "done");

    if (!copy_hex(json, "import", out->id, sizeof out->id) ||
        !copy_hex(json, "target", out->target, sizeof out->target) ||
        !copy_hex(json, "content", out->content, sizeof out->content) || !json_is_integer(done) ||
        json_integer_value(done) < 0)
        return false;
    out->done = (size_t)json_integer_value(done);
    out->resumed = true;
    return true;
}

static int
read_state(const char *path, struct import_state *out)
{
    struct buf text;
    json_t *json;
    bool good;

    if (input_read_file(path, STATE_BYTES_MAX, &text) != OK) {
        output_error("%s cannot be read: %s", path, strerror(errno));
        return EXIT_FAILED;
    }
    json = json_loadb((const char *)text.data, text.size, JSON_REJECT_DUPLICATES, NULL);
    good = take(json, out);
    json_decref(json);
    buf_close(&text);
    if (good)
        return EXIT_OK;
    output_error("%s is not the state of an import", path);
    output_hint("remove it to begin anew, or name another file with --state");
    return EXIT_FAILED;
}

/* Nothing of what `kept` says is done was done by what is asked for now. */
static int
report_other(const struct import_state *kept, const struct import_state *now)
{
    bool elsewhere = strcmp(kept->target, now->target) != 0;

    output_error("%s belongs to another import: %s", kept->path,
                 elsewhere ? "into another tenant or cluster" : "of other names or values");
    if (elsewhere)
        output_hint("--state FILE names another file for this one; or remove that file, if the "
                    "other import is not to go on");
    else
        output_hint("to go on, import what it was begun with; to import this, remove the file, and "
                    "with --skip-existing what exists already stays as it is");
    return EXIT_FAILED;
}

int
import_state_open(const char *path, const struct client_options *connection,
                  const struct bulk *bulk, struct import_state *out)
{
    struct import_state now;
    int status;

    *out = (struct import_state){.path = path};
    if (!path || access(path, F_OK) != 0)
        return begin(out, connection, bulk);
    status = read_state(path, out);
    now = *out;
    if (status == EXIT_OK)
        status = mark(&now, connection, bulk);
    if (status == EXIT_OK && (strcmp(out->target, now.target) != 0 ||
                              strcmp(out->content, now.content) != 0 || out->done > bulk->count))
        status = report_other(out, &now);
    return status;
}

int
import_state_save(const struct import_state *state)
{
    struct env_replacement place = {.fd = -1};
    struct buf text = {0};
    int status;

    if (!state->path)
        return EXIT_OK;
    if (buf_printf(&text,
                   "{\"import\": \"%s\", \"target\": \"%s\", \"content\": \"%s\", \"done\": %zu}\n",
                   state->id, state->target, state->content, state->done) != OK)
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
