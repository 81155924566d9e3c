#include "proto/newest.h"

#include <string.h>

#include "base/planted.h"

static bool
is_mere_offer(const struct reported *r)
{
    return r->ballot.offer && r->state != STATE_CHOSEN && !PLANTED(offer_taken_for_accepted);
}

/* All have the same offer: the first of them. */
static int
common_offer(const struct reported *reports, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (reports[i].state == STATE_ABSENT ||
            memcmp(reports[i].head_id, reports[0].head_id, ID_BYTES) != 0)
            return -1;
    }
    return count > 0 && !PLANTED(offer_passed_over) ? 0 : -1;
}

int
newest_reported(const struct reported *reports, size_t count)
{
    int best = -1;
    for (size_t i = 0; i < count; i++) {
        if (reports[i].state == STATE_ABSENT || is_mere_offer(&reports[i]))
            continue;
        if (best < 0 || ballot_compare(reports[i].ballot, reports[best].ballot) > 0)
            best = (int)i;
    }
    return best >= 0 ? best : common_offer(reports, count);
}
