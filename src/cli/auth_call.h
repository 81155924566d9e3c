/*
 * What the commands of operators share: a call of the API with options, whose answer is printed as
 * the API gives it, as JSON; lists are tables.
 */
#ifndef OSTRAKA_CLI_AUTH_CALL_H
#define OSTRAKA_CLI_AUTH_CALL_H

#include <jansson.h>
#include <stdbool.h>

#include "cli/client.h"
#include "cli/output.h"

struct auth_call {
    const char *command;
    struct client_options connection;
    struct client *client; /* opened once the options are known, and before any JSON is made */
    bool json;
    uint64_t expected_version; /* of a deletion; 0: any */
    struct arguments arguments;
};

/*
 * Takes the options of a command, `own`, those of the connection and --json, and opens the client.
 * All of these functions return EXIT_OK, or another status having said why.
 */
int auth_parse(struct auth_call *call, int argc, char **argv, const struct option_spec *own,
               size_t own_count, const char *names, size_t least, size_t most);
/* The end of a command, whatever became of it: returns `status`. `body` may be NULL. */
int auth_finish(struct auth_call *call, json_t *body, int status);

/* Sends one request and prints the answer. */
int auth_send(struct auth_call *call, enum client_method method, const char *target,
              const json_t *body);
/* To `prefix` with `key`: those that are `valid` have only characters that need no escape. */
int auth_send_to(struct auth_call *call, enum client_method method, const char *prefix,
                 const char *key, bool (*valid)(struct bytes key), const json_t *body);
/* Returns EXIT_OK, or EXIT_USAGE having said what a key for that prefix is. */
int auth_check_key(const char *command, const char *prefix, const char *key,
                   bool (*valid)(struct bytes key));
bool auth_id_valid(struct bytes text); /* of an identity or a role */

/* A whole command without arguments. */
int auth_plain(const char *command, int argc, char **argv, enum client_method method,
               const char *target);
/* A whole command that has one key, and nothing else to say. */
int auth_on_one(const char *command, int argc, char **argv, enum client_method method,
                const char *prefix, bool (*valid)(struct bytes key), const char *names);
/* A whole command: a list, all pages of it; `columns` are members of each. Takes the table. */
int auth_list(const char *command, int argc, char **argv, const char *target, const char *member,
              const char *const columns[], struct table table);

/*
 * The content of a file, or with "-" of standard input; what is more than AUTH_FILE_BYTES_MAX is
 * refused. As JSON it must be an object, which `what` names for people. Empty, or NULL, on failure.
 */
enum { AUTH_FILE_BYTES_MAX = 64 * 1024 };
int auth_read(const char *file, struct buf *out);
int auth_read_json(const char *file, const char *what, json_t **out);

/* Members of a body. Nothing is set for no names, no text (NULL) and the number 0. */
int auth_set_names(json_t *body, const char *member, const struct text_list *list);
int auth_set_text(json_t *body, const char *member, const char *text);
int auth_set_number(json_t *body, const char *member, uint64_t number);

#endif
