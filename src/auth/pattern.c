#include "auth/pattern.h"

#include <string.h>

#include "proto/request.h"

enum segment_class { SEGMENT_NONE, SEGMENT_REST, SEGMENT_ANY, SEGMENT_LITERAL };

/* Cuts the first segment off `path`; none when the path is used up. */
static bool
next_segment(struct bytes *path, struct bytes *segment)
{
    const uint8_t *slash;

    *segment = (struct bytes){0};
    if (path->size == 0)
        return false;
    slash = memchr(path->data, '/', path->size);
    *segment = bytes_of(path->data, slash ? (size_t)(slash - path->data) : path->size);
    path->data += segment->size + (slash ? 1 : 0);
    path->size -= segment->size + (slash ? 1 : 0);
    return true;
}

static enum segment_class
class_of(struct bytes segment)
{
    if (segment.size == 0)
        return SEGMENT_NONE;
    if (segment.data[0] != '*' || segment.size > 2)
        return SEGMENT_LITERAL;
    if (segment.size == 1)
        return SEGMENT_ANY;
    return segment.data[1] == '*' ? SEGMENT_REST : SEGMENT_LITERAL;
}

bool
pattern_valid(struct bytes pattern)
{
    struct bytes segment;

    if (!secret_name_valid(pattern))
        return false;
    while (next_segment(&pattern, &segment)) {
        enum segment_class class = class_of(segment);

        if (class == SEGMENT_REST && pattern.size > 0)
            return false;
        if (class == SEGMENT_LITERAL && memchr(segment.data, '*', segment.size) != NULL)
            return false;
    }
    return true;
}

bool
pattern_matches(struct bytes pattern, struct bytes name)
{
    struct bytes want, have;

    while (next_segment(&pattern, &want)) {
        enum segment_class class = class_of(want);

        if (!next_segment(&name, &have))
            return false;
        if (class == SEGMENT_REST)
            return true;
        if (class == SEGMENT_LITERAL && !bytes_equal(want, have))
            return false;
    }
    return name.size == 0;
}

int
pattern_compare(struct bytes a, struct bytes b)
{
    struct bytes one, other;

    while (a.size > 0 || b.size > 0) {
        (void)next_segment(&a, &one);
        (void)next_segment(&b, &other);
        enum segment_class class = class_of(one), other_class = class_of(other);
        if (class != other_class)
            return class > other_class ? 1 : -1;
        int order = bytes_compare(one, other);
        if (order != 0)
            return order < 0 ? 1 : -1; /* in tables, what comes first in the alphabet is first */
    }
    return 0;
}
