/* Many secrets at once, on their way into the vault or out of it. */
#ifndef OSTRAKA_CLI_BULK_H
#define OSTRAKA_CLI_BULK_H

#include "cli/client.h"

struct bulk_item {
    struct buf name, value; /* wiped */
    struct buf secret;      /* its name in the vault, where `name` is that of a variable */
};
struct bulk {
    struct bulk_item *items;
    size_t count, capacity;
    size_t missing; /* secrets that are there and have no value now */
};
void bulk_close(struct bulk *bulk);
/* Adds one; both are copied. Returns EXIT_OK, or EXIT_FAILED having said why. */
int bulk_add(struct bulk *bulk, struct bytes name, struct bytes value);
/* By the bytes of the names. */
void bulk_sort(struct bulk *bulk);

/* ---- bulk_parse.c ---- */

enum bulk_format { BULK_DOTENV, BULK_JSON, BULK_VAULT_KV };
/* False: there is no such format. */
bool bulk_format_of(const char *name, enum bulk_format *out);
/*
 * What the text has, sorted, each name with `prefix` in front. Returns EXIT_OK, or EXIT_FAILED
 * having said why; the list stays with the caller.
 */
int bulk_parse(enum bulk_format format, struct bytes text, const char *prefix, struct bulk *out);

/* ---- bulk_read.c ---- */

/*
 * The current values of all secrets whose names begin with `prefix`, in the order of their bytes.
 * 256 at a time are read at one moment. Returns as client_call; EXIT_NOT_FOUND when some have no
 * value, having said which: all others have been read.
 */
int bulk_read(struct client *client, const char *prefix, struct bulk *out);
/*
 * Each item's name becomes the variable that it is given as: without the prefix, in upper case,
 * with '_' in place of what no variable may have; and they are sorted. Two alike: fails. Returns
 * EXIT_OK, or EXIT_FAILED having said why.
 */
int bulk_name_variables(struct bulk *bulk, const char *prefix);

#endif
