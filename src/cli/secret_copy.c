/*
 * ostraka secret copy and move. All at once where the server takes it so: all copies or none. More
 * than that goes one secret after the other, and what has been done is told.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/limits.h"
#include "cli/cli.h"
#include "cli/names.h"
#include "cli/output.h"
#include "cli/progress.h"
#include "cli/secret_common.h"
#include "crypto/hash.h"
#include "crypto/rng_kernel.h"

enum { OWN_KEY_BYTES = 16, GIVEN_KEY_BYTES_MAX = 64, REQUEST_KEY_BYTES = 16 };

struct copying {
    const char *command;
    struct client_options connection;
    bool move, recursive, short_recursive, one_by_one, skip_existing, json;
    const char *from, *to;
    const char *key; /* what the keys of all requests follow from */
    bool key_given;  /* by a run before that broke off, perhaps */
    char own_key[2 * OWN_KEY_BYTES + 1];
    char folders[2][NAME_BYTES_MAX + 1]; /* FROM and TO without the slash at their end */
    size_t done, skipped, all;
};

/*
 * The Idempotency-Key of one request: the same from every run under the same key, so that what broke
 * off between a copy and the deletion of its source is gone on with, and happens once.
 */
static void
make_key(const struct copying *c, const char *from, const char *to, bool recursive,
         char out[static IDEMPOTENCY_KEY_BYTES_MAX + 1])
{
    const struct bytes parts[] = {bytes_of_text(c->command), bytes_of_text(from), bytes_of_text(to),
                                  bytes_of_text(recursive ? "all" : "one")};
    char text[2 * REQUEST_KEY_BYTES + 1];
    uint8_t hash[HASH_BYTES];

    hash_parts(parts, sizeof parts / sizeof parts[0], hash);
    hex_encode(bytes_of(hash, REQUEST_KEY_BYTES), text);
    snprintf(out, IDEMPOTENCY_KEY_BYTES_MAX + 1, "%s-%s", c->key, text);
}

static int
copy_once(struct client *client, const struct copying *c, const char *from, const char *to,
          bool recursive, size_t *copied)
{
    struct client_answer answer = {0};
    json_t *body = json_pack("{s:s, s:s, s:b, s:b}", "from", from, "to", to, "recursive",
                             (int)recursive, "move", (int)c->move);
    char key[IDEMPOTENCY_KEY_BYTES_MAX + 1];
    int status;

    make_key(c, from, to, recursive, key);
    client_set_key(client, key);
    status =
        body ? client_call(client, CLIENT_POST, "/v1/copy", body, &answer) : secret_out_of_memory();
    client_set_key(client, NULL);
    *copied =
        status == EXIT_OK ? (size_t)json_integer_value(json_object_get(answer.json, "copied")) : 0;
    json_decref(body);
    client_answer_close(&answer);
    return status;
}

/* The one refusal that --skip-existing passes over: any other says nothing of what exists. */
static const char exists_code[] = "already_exists";

static bool
target_exists(const struct client *client, int status)
{
    return status == EXIT_CONFLICT && strcmp(client_last_code(client), exists_code) == 0;
}

/* A copy that an earlier move made is a conflict to a request under another key. */
static void
hint_at_earlier_move(const struct copying *c, const char *name)
{
    if (!c->key_given)
        output_hint("if an earlier move broke off before it deleted %s, its --idempotency-key "
                    "settles that; else compare the two, and delete the one that is not needed",
                    name);
    else if (!c->one_by_one && c->recursive)
        output_hint("a move that went one by one, as of more than 256, goes on with --one-by-one");
}

static int
copy_name(struct client *client, struct copying *c, const char *name)
{
    char to[2 * NAME_BYTES_MAX + 1];
    size_t copied;
    int status;

    snprintf(to, sizeof to, "%s%s", c->to, name + strlen(c->from));
    client_set_untold_code(client, c->skip_existing ? exists_code : NULL);
    status = copy_once(client, c, name, to, false, &copied);
    client_set_untold_code(client, NULL);
    if (c->skip_existing && target_exists(client, status)) {
        c->skipped++;
        return EXIT_OK;
    }
    if (c->move && target_exists(client, status))
        hint_at_earlier_move(c, name);
    c->done += copied;
    return status;
}

/* What is left may be few enough to go all at once: that would be another request. */
static void
hint_at_rest(const struct copying *c)
{
    size_t done = c->done + c->skipped;

    if (c->move)
        output_hint("%zu of %zu are done; the same command with --one-by-one --idempotency-key %s "
                    "goes on with what is left",
                    done, c->all, c->key);
    else
        output_hint("%zu of %zu are done; the same command with --skip-existing goes on with what "
                    "is left",
                    done, c->all);
}

static int
copy_each(struct client *client, struct copying *c, const json_t *names)
{
    struct progress progress;
    const json_t *name;
    int status = EXIT_OK;
    size_t i;

    progress_begin(&progress, c->move ? "moved" : "copied", c->all);
    json_array_foreach(names, i, name)
    {
        status = copy_name(client, c, json_string_value(name));
        if (status)
            break;
        progress_step(&progress);
    }
    progress_end(&progress);
    if (c->move && target_exists(client, status))
        output_hint("%zu of %zu are done; the same command goes on when that is settled",
                    c->done + c->skipped, c->all);
    else if (status && status != EXIT_USAGE)
        hint_at_rest(c);
    return status;
}

static int
copy_whole(struct client *client, struct copying *c, bool recursive)
{
    int status = copy_once(client, c, c->from, c->to, recursive, &c->done);

    if (c->move && target_exists(client, status))
        hint_at_earlier_move(c, c->from);
    if (status == EXIT_UNKNOWN)
        output_hint("the same command with --idempotency-key %s goes on%s", c->key,
                    c->move ? "; it finds nothing to move if this one was finished" : "");
    return status;
}

static int
copy_all(struct client *client, struct copying *c)
{
    char prefix[NAME_BYTES_MAX + 2];
    json_t *names;
    int status;

    snprintf(prefix, sizeof prefix, "%s/", c->from);
    status = names_collect(client, prefix, &names);
    if (status)
        return status;
    c->all = json_array_size(names);
    if (c->all == 0) {
        output_error("there is no secret below %s", prefix);
        status = EXIT_NOT_FOUND;
    } else if (c->all > BATCH_ITEMS_MAX || c->one_by_one || c->skip_existing) {
        status = copy_each(client, c, names);
    } else {
        status = copy_whole(client, c, true);
    }
    json_decref(names);
    return status;
}

static int
report(const struct copying *c)
{
    if (c->json) {
        json_t *whole = json_pack("{s:I, s:I}", "copied", (json_int_t)c->done, "skipped",
                                  (json_int_t)c->skipped);
        int status = whole ? output_json(whole) : secret_out_of_memory();

        json_decref(whole);
        return status;
    }
    printf("%s %zu secret%s", c->move ? "moved" : "copied", c->done, c->done == 1 ? "" : "s");
    if (c->skipped > 0)
        printf(", left out %zu that exist", c->skipped);
    putchar('\n');
    return EXIT_OK;
}

static int
run_copying(struct copying *c)
{
    struct client *client;
    int status = client_open(&c->connection, &client);

    if (status)
        return status;
    if (c->recursive)
        status = copy_all(client, c);
    else
        status = copy_whole(client, c, false);
    client_close(client);
    return status ? status : report(c);
}

static int
choose_key(struct copying *c)
{
    uint8_t random[OWN_KEY_BYTES];
    struct rng rng = rng_kernel();
    bool good = c->key && *c->key && strlen(c->key) <= GIVEN_KEY_BYTES_MAX;

    c->key_given = c->key != NULL;
    for (const char *text = c->key; good && *text; text++)
        good = *text > ' ' && *text <= '~';
    if (c->key_given)
        return good ? EXIT_OK
                    : cli_usage_error(c->command, "a key is 1 to 64 visible characters of ASCII");
    if (rng_fill(&rng, random, sizeof random) != OK) {
        output_error("the system gave no randomness");
        return EXIT_FAILED;
    }
    hex_encode(bytes_of(random, sizeof random), c->own_key);
    c->key = c->own_key;
    return EXIT_OK;
}

/* Elsewhere what is below a name is written with a slash at its end, as prefixes are. */
static const char *
without_slash(const char *name, char out[static NAME_BYTES_MAX + 1])
{
    size_t size = strlen(name);

    if (size < 2 || size > NAME_BYTES_MAX || name[size - 1] != '/')
        return name;
    memcpy(out, name, size - 1);
    out[size - 1] = 0;
    return out;
}

static int
copy(struct copying *c, int argc, char **argv)
{
    const struct option_spec specs[] = {
        {.name = "--recursive", .flag = &c->recursive},
        {.name = "-r", .flag = &c->short_recursive},
        {.name = "--one-by-one", .flag = &c->one_by_one},
        {.name = "--skip-existing", .flag = &c->skip_existing},
        {.name = "--idempotency-key", .text = &c->key},
        {.name = "--json", .flag = &c->json},
        CLIENT_OPTION_SPECS(&c->connection),
    };
    struct arguments arguments;
    int status = options_parse(c->command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "FROM TO", 2, 2, &arguments);

    if (status)
        return status;
    c->recursive = c->recursive || c->short_recursive;
    for (size_t i = 0; i < 2 && status == EXIT_OK; i++) {
        if (c->recursive)
            arguments.values[i] = without_slash(arguments.values[i], c->folders[i]);
        status = secret_check_name(c->command, arguments.values[i]);
    }
    if (status)
        return status;
    if (!c->recursive && (c->one_by_one || c->skip_existing))
        return cli_usage_error(c->command, "--one-by-one and --skip-existing are for --recursive");
    c->from = arguments.values[0];
    c->to = arguments.values[1];
    status = choose_key(c);
    return status ? status : run_copying(c);
}

int
command_secret_copy(int argc, char **argv)
{
    struct copying c = {.command = "secret copy"};

    return copy(&c, argc, argv);
}

int
command_secret_move(int argc, char **argv)
{
    struct copying c = {.command = "secret move", .move = true};

    return copy(&c, argc, argv);
}
