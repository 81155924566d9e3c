#include "actors/share_rotation.h"

static bool
everybody_knows(const struct membership *ms, uint64_t key_id)
{
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        if (i != ms->self && (!ms->members[i].connected || ms->members[i].knows_key_id < key_id))
            return false;
    }
    return true;
}

/* Lowers `limit` to the oldest key that is still needed; false when the look is too old to tell. */
static bool
bound_by(uint64_t oldest, struct instant looked_at, struct instant since, uint64_t *limit)
{
    if (!instant_before(since, looked_at))
        return false;
    if (oldest != 0 && oldest < *limit)
        *limit = oldest;
    return true;
}

uint64_t
share_rotation_destroyable(struct share_rotation *rotation, const struct membership *ms,
                           struct instant now, struct duration settle)
{
    uint64_t newest = ms->members[ms->self].share_key.id;
    if (rotation->newest != newest || !everybody_knows(ms, newest)) {
        *rotation = (struct share_rotation){.newest = newest};
        if (!everybody_knows(ms, newest))
            return 0;
    }
    if (!rotation->known) {
        rotation->known = true;
        rotation->known_since = now;
    }
    struct instant since = instant_add(rotation->known_since, settle);
    uint64_t limit = newest;
    if (!bound_by(ms->members[ms->self].oldest_box_key_id, ms->looked_at, since, &limit))
        return 0;
    for (unsigned i = 0; i < ms->cluster->node_count; i++) {
        const struct member *m = &ms->members[i];
        if (i != ms->self && !bound_by(m->keeps_box_of_key_id, m->looked_at, since, &limit))
            return 0;
    }
    return limit;
}
