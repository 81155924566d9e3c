/* What the commands on one secret share. */
#ifndef OSTRAKA_CLI_SECRET_COMMON_H
#define OSTRAKA_CLI_SECRET_COMMON_H

#include <jansson.h>

#include "base/bytes.h"

/* Says so and returns EXIT_FAILED. */
int secret_out_of_memory(void);
/* Returns EXIT_OK, or EXIT_USAGE having said what a name is. */
int secret_check_name(const char *command, const char *name);

/*
 * The target of a request, built in steps: prefix and name, parameters, a NUL at the end. Each
 * returns EXIT_OK, or EXIT_FAILED having said why. *out is empty after a failed secret_target, else
 * it stays with the caller.
 */
int secret_target(const char *prefix, const char *name, struct buf *out);
/* `separator` is '?' before the first parameter and set to '&' after it. */
int secret_target_parameter(struct buf *target, char *separator, const char *key,
                            const char *value);
int secret_target_end(struct buf *target);

/*
 * The value of an answer that has "value" and "encoding", its own bytes. Returns EXIT_OK, or another
 * status having said why; then *out is empty.
 */
int secret_value_of(const json_t *json, struct buf *out);
/*
 * {"value": ..., "encoding": "base64" where needed, "expected_version": ... unless 0}; NULL: no
 * memory. `is_base64`: the value is already in that form.
 */
json_t *secret_body_of(struct bytes value, bool is_base64, uint64_t expected_version);

#endif
