/*
 * ostraka secret import. Pieces of at most 256 secrets are created, each all or none, under keys
 * that follow from the state file: what broke off goes on where it was, and nothing happens twice.
 */
#include <stdio.h>
#include <string.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/env_file.h"
#include "cli/import_state.h"
#include "cli/input.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/secret_common.h"

enum {
    IMPORT_BYTES_MAX = 64 * 1024 * 1024,
    PIECE_BYTES_MAX = 256 * 1024, /* of values: as JSON they may be several times as long */
};

struct importing {
    struct client_options connection;
    const char *from, *file, *prefix, *state;
    bool dry_run, skip_existing;
    enum bulk_format format;
    char state_path[4096];
    struct bulk bulk;
    size_t created, skipped;
};

static int
read_input(const char *file, struct buf *out)
{
    bool standard_input = strcmp(file, "-") == 0;
    enum vault_err err = standard_input ? input_read(0, IMPORT_BYTES_MAX, out)
                                        : input_read_file(file, IMPORT_BYTES_MAX, out);

    if (err == OK)
        return EXIT_OK;
    if (err == ERR_TOO_LARGE)
        output_error("%s is larger than 64 MiB", file);
    else
        output_error("%s cannot be read", file);
    return EXIT_FAILED;
}

/* ---- a dry run ---- */

struct looking {
    const struct bulk *bulk;
    size_t at, there;
};

/* Both lists are in the order of their bytes. */
static int
look_at(void *context, const char *name)
{
    struct looking *l = context;
    struct bytes there = bytes_of_text(name);

    while (l->at < l->bulk->count &&
           bytes_compare(buf_bytes(&l->bulk->items[l->at].name), there) < 0)
        l->at++;
    if (l->at < l->bulk->count && bytes_equal(buf_bytes(&l->bulk->items[l->at].name), there)) {
        printf("exists: ");
        output_text(stdout, COLOUR_YELLOW, name);
        putchar('\n');
        l->there++;
    }
    return EXIT_OK;
}

static int
try_dry(struct client *client, const struct importing *im)
{
    struct looking l = {.bulk = &im->bulk};
    int status = names_visit(client, im->prefix, look_at, &l);

    if (status)
        return status;
    printf("would create %zu secrets; %zu exist\n", im->bulk.count - l.there, l.there);
    if (output_end() != EXIT_OK)
        return EXIT_FAILED; /* nothing was changed */
    return l.there > 0 && !im->skip_existing ? EXIT_CONFLICT : EXIT_OK;
}

/* ---- pieces ---- */

static size_t
piece_size(const struct importing *im, size_t first)
{
    size_t count = 0, bytes = 0;

    while (first + count < im->bulk.count && count < BATCH_ITEMS_MAX) {
        bytes += im->bulk.items[first + count].value.size;
        if (count > 0 && bytes > PIECE_BYTES_MAX)
            break;
        count++;
    }
    return count;
}

static json_t *
body_of(const struct importing *im, size_t first, size_t count)
{
    json_t *list = json_array(), *body = json_pack("{s:o}", "create", list);

    for (size_t i = first; body && i < first + count; i++) {
        const struct bulk_item *item = &im->bulk.items[i];
        json_t *one = secret_body_of(buf_bytes(&item->value), false, 0);
        bool good =
            one &&
            json_object_set_new(
                one, "name", json_stringn((const char *)item->name.data, item->name.size)) == 0 &&
            json_array_append(list, one) == 0;

        json_decref(one);
        if (!good) {
            json_decref(body);
            return NULL;
        }
    }
    return body;
}

static int
create(struct client *client, struct importing *im, const struct import_state *state, size_t first,
       size_t count, bool alone)
{
    struct client_answer answer = {0};
    char key[IMPORT_KEY_BYTES];
    json_t *body = body_of(im, first, count);
    int status;

    import_state_key(state, first, alone, key);
    client_set_key(client, key);
    status = body ? client_call(client, CLIENT_POST, "/v1/batch", body, &answer)
                  : secret_out_of_memory();
    client_set_key(client, NULL);
    json_decref(body);
    client_answer_close(&answer);
    if (status == EXIT_OK)
        im->created += count;
    return status;
}

/* The one refusal that --skip-existing passes over: any other says nothing of what exists. */
static const char exists_code[] = "already_exists";

static int
create_or_find(struct client *client, struct importing *im, const struct import_state *state,
               size_t first, size_t count, bool alone, bool *exists)
{
    int status;

    client_set_untold_code(client, exists_code);
    status = create(client, im, state, first, count, alone);
    client_set_untold_code(client, NULL);
    *exists = status == EXIT_CONFLICT && strcmp(client_last_code(client), exists_code) == 0;
    return status;
}

/* Where some exist, the others go one by one. */
static int
create_others(struct client *client, struct importing *im, const struct import_state *state,
              size_t first, size_t count)
{
    int status = EXIT_OK;

    for (size_t i = first; i < first + count && status == EXIT_OK; i++) {
        bool exists;

        status = create_or_find(client, im, state, i, 1, true, &exists);
        if (exists) {
            im->skipped++;
            status = EXIT_OK;
        }
    }
    return status;
}

static int
create_piece(struct client *client, struct importing *im, const struct import_state *state,
             size_t first, size_t count)
{
    bool exist;
    int status;

    if (!im->skip_existing)
        return create(client, im, state, first, count, false);
    status = create_or_find(client, im, state, first, count, false, &exist);
    return exist ? create_others(client, im, state, first, count) : status;
}

static int
create_all(struct client *client, struct importing *im, struct import_state *state)
{
    struct progress progress;
    int status = EXIT_OK;

    progress_begin(&progress, "created", im->bulk.count);
    for (size_t i = 0; i < state->done; i++)
        progress_step(&progress);
    while (state->done < im->bulk.count && status == EXIT_OK) {
        size_t count = piece_size(im, state->done);

        status = create_piece(client, im, state, state->done, count);
        if (status)
            break;
        state->done += count;
        status = import_state_save(state);
        for (size_t i = 0; i < count; i++)
            progress_step(&progress);
    }
    progress_end(&progress);
    return status;
}

/* And that is known: there is nothing to go on with. What an earlier run began, this one cannot know. */
static bool
nothing_done(const struct importing *im, const struct import_state *state, int status)
{
    return !state->resumed && state->done == 0 && im->created == 0 && status != EXIT_UNKNOWN;
}

static int
import_all(struct client *client, struct importing *im)
{
    struct import_state state;
    size_t before;
    int status = import_state_open(im->state, &im->connection, &im->bulk, &state);

    if (status)
        return status;
    before = state.done;
    status = create_all(client, im, &state);
    if (status == EXIT_OK || nothing_done(im, &state, status))
        import_state_remove(&state);
    if (status) {
        output_hint("%zu of %zu are done%s", state.done, im->bulk.count,
                    im->state && (state.done > 0 || status == EXIT_UNKNOWN)
                        ? "; the same command goes on"
                        : "");
        return status;
    }
    printf("created %zu secrets", im->created);
    if (before > 0)
        printf(", %zu were done before", before);
    if (im->skipped > 0)
        printf(", left out %zu that exist", im->skipped);
    putchar('\n');
    return EXIT_OK;
}

/* ---- the command line ---- */

static int
run_importing(struct importing *im)
{
    struct buf text = {0};
    struct client *client;
    int status = client_open(&im->connection, &client);

    if (status)
        return status;
    status = read_input(im->file, &text);
    if (status == EXIT_OK)
        status = bulk_parse(im->format, buf_bytes(&text), im->prefix, &im->bulk);
    buf_close(&text);
    if (status == EXIT_OK)
        status = im->dry_run ? try_dry(client, im) : import_all(client, im);
    bulk_close(&im->bulk);
    client_close(client);
    return status;
}

static int
check_options(const char *command, struct importing *im)
{
    if (!im->from || !bulk_format_of(im->from, &im->format))
        return cli_usage_error(command, "--from is dotenv, json or vault-kv");
    if (strlen(im->prefix) > NAME_BYTES_MAX)
        return cli_usage_error(command, "a prefix is at most 512 bytes");
    if (!im->state && strcmp(im->file, "-") != 0) {
        if ((size_t)snprintf(im->state_path, sizeof im->state_path, "%s.ostraka-import",
                             im->file) >= sizeof im->state_path)
            return cli_usage_error(command, "the name of the file is too long");
        im->state = im->state_path;
    }
    return EXIT_OK;
}

int
command_secret_import(int argc, char **argv)
{
    static const char command[] = "secret import";
    struct importing im = {.prefix = ""};
    const struct option_spec specs[] = {
        {.name = "--from", .text = &im.from},
        {.name = "--prefix", .text = &im.prefix},
        {.name = "--state", .text = &im.state},
        {.name = "--dry-run", .flag = &im.dry_run},
        {.name = "--skip-existing", .flag = &im.skip_existing},
        CLIENT_OPTION_SPECS(&im.connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0], "FILE|-",
                               1, 1, &arguments);

    if (status)
        return status;
    im.file = arguments.values[0];
    status = check_options(command, &im);
    return status ? status : run_importing(&im);
}
