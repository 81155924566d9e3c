/*
 * What a refused request means to the user of the command line: exit status, and what to do next.
 */
#ifndef OSTRAKA_CLI_FAILURE_H
#define OSTRAKA_CLI_FAILURE_H

#include <jansson.h>
#include <stdbool.h>

#include "base/bytes.h"

enum { FAILURE_CODE_BYTES = 48 };

/* The error body of an answer, cut to size; texts are empty where the server said nothing. */
struct failure {
    long status; /* HTTP status */
    char code[FAILURE_CODE_BYTES];
    char message[256];
    char phase[16];
    char retry[16];
    char request_id[72];
};

/* `body` may be anything; what is not of the promised form leaves the texts empty. */
void failure_parse(long status, struct bytes body, struct failure *out);
/* Whether another node may be asked to do the same. */
bool failure_may_move_on(const struct failure *failure, bool change);
/*
 * The change may have been made, or may still be: a server error without a word on repeating may
 * have come after it.
 */
bool failure_is_unknown(const struct failure *failure, bool change);
/* Exit status, enum exit_status. */
int failure_exit_status(const struct failure *failure, bool change);
/* Says on standard error what happened to that request, and what to do next. */
void failure_report(const struct failure *failure, bool change, const char *method,
                    const char *target);
/* Where to see whether a change on that target was made: a phrase, "look at ...". */
const char *failure_look(const char *target);
/* Says what the error body of an answer tells of each item or line, if it does. */
void failure_report_details(struct bytes body);

#endif
