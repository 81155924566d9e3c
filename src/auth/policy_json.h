/* Policies as users write them: {"rules": [{"path", "capabilities", ...}]}. */
#ifndef OSTRAKA_AUTH_POLICY_JSON_H
#define OSTRAKA_AUTH_POLICY_JSON_H

#include <jansson.h>

#include "auth/policy.h"

/* What is wrong; never quotes the text. */
struct policy_fault {
    const char *why; /* a sentence without its full stop; static; NULL: nothing more to say */
    size_t rule;     /* number of the rule from 1; 0: it is not one rule's fault */
};

/*
 * Turns the member "rules" of a body into a policy record, appended to `out`. Strict: unknown
 * members, wrong types, and values that say nothing are refused. Errors: ERR_BAD_JSON,
 * ERR_TOO_LARGE, ERR_NOMEM; `out` is then as before.
 */
MUST_CHECK enum vault_err policy_from_json(const json_t *rules, struct buf *out,
                                           struct policy_fault *fault);
/*
 * Same for a whole text, a policy file: "rules" and nothing else, or as the API gives a stored one,
 * with "name" and "version". Bounded before it is parsed.
 */
MUST_CHECK enum vault_err policy_from_text(struct bytes text, struct buf *out,
                                           struct policy_fault *fault);
/* Whether a text is small and flat enough to be parsed as a policy, with room for other members. */
bool policy_text_bounded(struct bytes text);

/* "HH:MM" of a minute of the day, 24:00 for its end. */
enum { HOUR_TEXT_BYTES = 6 };
void hour_format(unsigned minute, char out[static HOUR_TEXT_BYTES]);
MUST_CHECK enum vault_err hour_parse(struct bytes text, uint16_t *minute);

#endif
