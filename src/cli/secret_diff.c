/* ostraka secret diff: how two versions of a secret differ, without their values unless asked. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cbor.h"
#include "cli/cli.h"
#include "cli/client.h"
#include "cli/output.h"
#include "cli/secret_common.h"

/* Lines compared each with each; of more than that, those in the middle count as different. */
enum { PAIRS_MAX = 4 * 1024 * 1024 };

struct lines {
    struct bytes *of;
    size_t count;
};

static int
split(struct bytes value, struct lines *out)
{
    size_t count = value.size > 0;

    for (size_t i = 0; i + 1 < value.size; i++)
        count += value.data[i] == '\n';
    out->of = calloc(count + 1, sizeof *out->of);
    out->count = 0;
    if (!out->of)
        return secret_out_of_memory();
    while (value.size > 0) {
        const uint8_t *end = memchr(value.data, '\n', value.size);
        size_t size = end ? (size_t)(end - value.data) + 1 : value.size;

        out->of[out->count++] = bytes_of(value.data, size);
        value = bytes_of(value.data + size, value.size - size);
    }
    return EXIT_OK;
}

/* What a line ends with, if with anything, is part of it: a missing newline is a difference. */
static bool
show_line(char sign, struct bytes line)
{
    char text[2] = {sign, ' '};
    bool ended = line.size > 0 && line.data[line.size - 1] == '\n';

    return output_write(STDOUT_FILENO, bytes_of(text, 2)) == OK &&
           output_write(STDOUT_FILENO, line) == OK &&
           (ended || output_write(STDOUT_FILENO, bytes_of("\n", 1)) == OK);
}

struct difference {
    bool show;
    int write_error; /* errno of the first line that could not be shown; 0: none */
    size_t removed, added;
};

static void
tell(struct difference *d, char sign, struct bytes line)
{
    if (sign == '-')
        d->removed++;
    else
        d->added++;
    if (d->show && !d->write_error && !show_line(sign, line))
        d->write_error = errno;
}

/* Lengths of the longest common parts of what remains from (i, j) on. */
static int
compare_middle(const struct lines *a, const struct lines *b, struct difference *d)
{
    size_t width = b->count + 1, i = 0, j = 0;
    bool too_many = a->count > 0 && b->count > PAIRS_MAX / a->count;
    uint32_t *common = calloc(too_many ? 1 : (a->count + 1) * width, sizeof *common);

    if (!common)
        return secret_out_of_memory();
    for (size_t x = a->count; !too_many && x-- > 0;) {
        for (size_t y = b->count; y-- > 0;) {
            uint32_t down = common[(x + 1) * width + y], right = common[x * width + y + 1];
            common[x * width + y] = bytes_equal(a->of[x], b->of[y])
                                        ? common[(x + 1) * width + y + 1] + 1
                                    : down > right ? down
                                                   : right;
        }
    }
    while (i < a->count || j < b->count) {
        bool both = i < a->count && j < b->count && !too_many;
        if (both && bytes_equal(a->of[i], b->of[j])) {
            i++;
            j++;
        } else if (j == b->count || (i < a->count && (too_many || common[(i + 1) * width + j] >=
                                                                      common[i * width + j + 1]))) {
            tell(d, '-', a->of[i++]);
        } else {
            tell(d, '+', b->of[j++]);
        }
    }
    free(common);
    return EXIT_OK;
}

static int
compare_lines(struct lines a, struct lines b, struct difference *d)
{
    while (a.count > 0 && b.count > 0 && bytes_equal(a.of[0], b.of[0])) {
        a = (struct lines){a.of + 1, a.count - 1};
        b = (struct lines){b.of + 1, b.count - 1};
    }
    while (a.count > 0 && b.count > 0 && bytes_equal(a.of[a.count - 1], b.of[b.count - 1])) {
        a.count--;
        b.count--;
    }
    return compare_middle(&a, &b, d);
}

static int
compare(struct bytes a, struct bytes b, struct difference *d)
{
    struct lines old = {0}, new = {0};
    int status = split(a, &old);

    if (status == EXIT_OK)
        status = split(b, &new);
    if (status == EXIT_OK)
        status = compare_lines(old, new, d);
    free(old.of);
    free(new.of);
    return status;
}

/* ---- the two versions ---- */

static int
read_version(struct client *client, const char *name, const char *version, struct buf *value)
{
    struct client_answer answer = {0};
    struct buf target;
    char separator = '?';
    int status = secret_target("/v1/secrets/", name, &target);

    if (status)
        return status;
    status = secret_target_parameter(&target, &separator, "version", version);
    if (status == EXIT_OK)
        status = secret_target_end(&target);
    if (status == EXIT_OK)
        status = client_call(client, CLIENT_GET, (const char *)target.data, NULL, &answer);
    if (status == EXIT_OK)
        status = secret_value_of(answer.json, value);
    client_answer_close(&answer);
    buf_close(&target);
    return status;
}

static void
report(const char *const *arguments, const struct difference *d, bool text)
{
    if (!text)
        puts("The values differ, and at least one of them is no text.");
    else
        printf("%zu lines only in version %s, %zu lines only in version %s.\n", d->removed,
               arguments[1], d->added, arguments[2]);
}

static int
run(const struct client_options *connection, const char *const *arguments, bool show)
{
    struct client *client = NULL;
    struct buf old = {0}, new = {0};
    struct difference d = {.show = show};
    int status = client_open(connection, &client);

    if (status == EXIT_OK)
        status = read_version(client, arguments[0], arguments[1], &old);
    if (status == EXIT_OK)
        status = read_version(client, arguments[0], arguments[2], &new);
    if (status == EXIT_OK) {
        struct bytes a = buf_bytes(&old), b = buf_bytes(&new);
        bool text = utf8_valid(a) && utf8_valid(b);

        if (bytes_equal(a, b)) {
            puts("The values are the same.");
        } else {
            fflush(stdout);
            status = text ? compare(a, b, &d) : EXIT_OK;
            if (d.write_error) {
                output_error("the lines cannot be written: %s", strerror(d.write_error));
                status = EXIT_UNWRITTEN;
            }
            if (status == EXIT_OK)
                report(arguments, &d, text);
        }
    }
    buf_close(&old);
    buf_close(&new);
    client_close(client);
    return status;
}

int
command_secret_diff(int argc, char **argv)
{
    static const char command[] = "secret diff";
    struct client_options connection = {0};
    bool show = false;
    const struct option_spec specs[] = {
        {.name = "--show-values", .flag = &show},
        CLIENT_OPTION_SPECS(&connection),
    };
    struct arguments arguments;
    int status = options_parse(command, argc, argv, specs, sizeof specs / sizeof specs[0],
                               "NAME VERSION VERSION", 3, 3, &arguments);

    if (status == EXIT_OK)
        status = secret_check_name(command, arguments.values[0]);
    return status ? status : run(&connection, arguments.values, show);
}
