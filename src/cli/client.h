/*
 * A client of the HTTPS API: several addresses tried in turn, the cluster's CA, a token.
 *
 * Another address is tried when an attempt did not help: a change too, since all its attempts carry
 * the same Idempotency-Key and it happens once. What stays unknown after that is told to the user
 * as unknown.
 */
#ifndef OSTRAKA_CLI_CLIENT_H
#define OSTRAKA_CLI_CLIENT_H

#include <jansson.h>
#include <signal.h>

#include "base/bytes.h"
#include "cli/connection.h"
#include "cli/options.h"

struct client;

/*
 * Returns EXIT_OK and a client to be closed, or another exit status having said why. To be called
 * before any JSON is made: from here on jansson's memory is wiped when it is freed.
 */
int client_open(const struct client_options *options, struct client **out);
void client_close(struct client *client); /* wipes; NULL is fine */
/* While it is quiet, failures are told by the exit status alone. */
void client_set_quiet(struct client *client, bool quiet);
/* A refusal with that exit status alone is not told: the caller has words of its own. */
void client_set_untold(struct client *client, int status);
/* The same for a refusal with that error code; borrowed, NULL: none. */
void client_set_untold_code(struct client *client, const char *code);
/*
 * The error code that the last call was refused with, valid until the next; "" when it was not, or
 * when an attempt before the refusal may have had an effect.
 */
const char *client_last_code(const struct client *client);

/*
 * Requests under way are broken off, as if no answer came, when one of these signals, which must be
 * held back, waits to be taken. Borrowed; NULL: none.
 */
void client_set_stop(struct client *client, const sigset_t *signals);

/*
 * The Idempotency-Key of the changes that follow, borrowed: 1 to 128 visible ASCII. NULL: each has
 * one of its own.
 */
void client_set_key(struct client *client, const char *key);

enum client_method { CLIENT_GET, CLIENT_POST, CLIENT_PUT, CLIENT_DELETE, CLIENT_PATCH };

struct client_answer {
    long status;  /* HTTP status, 2xx */
    json_t *json; /* an object */
};

/*
 * Sends one request. `target` is the path with its query, already escaped; `body` is JSON or NULL.
 * Both are borrowed. Returns EXIT_OK and an answer to be closed, or another exit status having said
 * on standard error what happened and what to do next.
 */
int client_call(struct client *client, enum client_method method, const char *target,
                const json_t *body, struct client_answer *answer);
/*
 * Posts plain text and takes plain text for an answer, which is empty on error and stays with the
 * caller. `change`: it is not to happen twice. Returns as client_call.
 */
int client_post_text(struct client *client, const char *target, struct bytes text, bool change,
                     struct buf *answer);
void client_answer_close(struct client_answer *answer);

/* Says that the server's answer is not what the API promises. Returns EXIT_FAILED. */
int client_bad_answer(void);

#endif
