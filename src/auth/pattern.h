/*
 * Path patterns of policies. A pattern has the form of a secret's name (secret_name_valid); a
 * segment "*" stands for any one segment, and "**", which can only be the last, for one or more
 * segments. A star in any other place is refused: it would look like a wildcard and be none.
 * A name that has a star in it is therefore matched by wildcards alone.
 */
#ifndef OSTRAKA_AUTH_PATTERN_H
#define OSTRAKA_AUTH_PATTERN_H

#include "base/bytes.h"

bool pattern_valid(struct bytes pattern);

/*
 * Whether a valid pattern matches a valid name, bytes as they are. One pass, without going back:
 * time is linear in the shorter of the two.
 */
bool pattern_matches(struct bytes pattern, struct bytes name);

/*
 * Which of two patterns is more specific: > 0 the first, < 0 the second, 0 they are equal.
 *
 * The first segment in which they differ decides: a literal is more specific than "*", and "*"
 * more than "**". (Two patterns that match one name have the same literals where both have any, so
 * among those only equal ones are equally specific. For others the order is total, but means
 * nothing: it is for tables.)
 */
int pattern_compare(struct bytes a, struct bytes b);

#endif
