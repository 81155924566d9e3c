/* Members of small JSON bodies. Internal to api/. */
#ifndef OSTRAKA_API_AUTH_MEMBERS_H
#define OSTRAKA_API_AUTH_MEMBERS_H

#include <jansson.h>

#include "auth/record.h"

/* A member that a body may have; *value is NULL when it has not, borrowed from the tree else. */
struct json_member {
    const char *name;
    const json_t **value;
};

/*
 * The body as an object with no members but these. NULL and *err (with *refusal) on error; else the
 * caller must json_decref it.
 */
json_t *members_load(struct bytes body, const struct json_member *members, size_t count,
                     enum vault_err *err, const char **refusal);
/* Same for an object within a body. */
MUST_CHECK enum vault_err members_take(const json_t *object, const struct json_member *members,
                                       size_t count, const char **refusal);

struct bytes member_text(const json_t *string); /* empty when it is not one */
/* Sets *refusal and returns ERR_BAD_JSON. */
enum vault_err member_refuse(const char **refusal, const char *why);

/* Names of a list, each `valid`, none twice; copied into `arena`. */
MUST_CHECK enum vault_err member_names(const json_t *list, bool (*valid)(struct bytes),
                                       struct arena *arena, struct auth_names *out,
                                       const char **refusal, const char *why);
/* A whole number of that range. */
bool member_number(const json_t *value, uint64_t min, uint64_t max, uint64_t *out);

#endif
