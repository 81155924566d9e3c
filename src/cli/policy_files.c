#include "cli/policy_files.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "auth/policy_json.h"
#include "cli/cli.h"
#include "cli/input.h"
#include "cli/output.h"
#include "cli/secret_common.h"

static int
report_fault(const char *path, enum vault_err err, const struct policy_fault *fault)
{
    const char *why = fault->why ? fault->why : vault_err_text(err);

    if (fault->rule > 0)
        output_error("%s: rule %zu: %s", path, fault->rule, why);
    else
        output_error("%s: %s", path, why);
    return EXIT_FAILED;
}

static int
read_one(const char *path, struct policy_file *out)
{
    struct policy_fault fault;
    struct buf text;
    enum vault_err err = strcmp(path, "-") == 0
                             ? input_read(STDIN_FILENO, POLICY_TEXT_BYTES_MAX, &text)
                             : input_read_file(path, POLICY_TEXT_BYTES_MAX, &text);

    *out = (struct policy_file){.path = path};
    if (err == ERR_NOMEM)
        return secret_out_of_memory();
    if (err == ERR_TOO_LARGE) {
        output_error("%s is larger than 64 KiB", path);
        return EXIT_FAILED;
    }
    if (err != OK) {
        output_error("%s cannot be read: %s", path, strerror(errno));
        return EXIT_FAILED;
    }
    err = policy_from_text(buf_bytes(&text), &out->record, &fault);
    buf_close(&text);
    if (err != OK)
        return report_fault(path, err, &fault);
    out->policy = calloc(1, sizeof(*out->policy));
    if (!out->policy || policy_decode(buf_bytes(&out->record), out->policy) != OK)
        return secret_out_of_memory();
    return EXIT_OK;
}

int
policy_files_read(const struct arguments *paths, struct policy_files *out)
{
    int status = EXIT_OK;

    *out = (struct policy_files){0};
    for (size_t i = 0; i < paths->count && status == EXIT_OK; i++) {
        status = read_one(paths->values[i], &out->list[i]);
        out->count++;
    }
    if (status)
        policy_files_close(out);
    return status;
}

void
policy_files_close(struct policy_files *files)
{
    for (size_t i = 0; i < files->count; i++) {
        buf_close(&files->list[i].record);
        free(files->list[i].policy);
    }
    *files = (struct policy_files){0};
}
