/* Policy files: read, checked, and kept as records. */
#ifndef OSTRAKA_CLI_POLICY_FILES_H
#define OSTRAKA_CLI_POLICY_FILES_H

#include "auth/policy.h"
#include "cli/options.h"

struct policy_file {
    const char *path; /* borrowed; its name in what is said */
    struct buf record;
    struct policy *policy; /* its views are borrowed from the record */
};

struct policy_files {
    struct policy_file list[ARGUMENTS_MAX];
    size_t count;
};

/*
 * Returns EXIT_OK, or another status having said what is wrong with which file; then it is empty.
 */
int policy_files_read(const struct arguments *paths, struct policy_files *out);
void policy_files_close(struct policy_files *files);

/* cli/policy_matrix.c: tables of the rules. Each returns EXIT_OK or EXIT_FAILED. */
int policy_print_rules(const struct policy_files *files);
int policy_print_matrix(const struct policy_files *files);

#endif
