#include "actors/membership.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "actors/standing.h"
#include "actors/sweep.h"

void
membership_init(struct membership *membership, const struct cluster *cluster, uint8_t self)
{
    assert(self < cluster->node_count);
    *membership = (struct membership){.cluster = cluster, .self = self};
    membership->sweep_slack_ms = SWEEP_SLACK_MS;
    placement_init(&membership->placement, cluster);
    for (unsigned i = 0; i < cluster->node_count; i++)
        membership->members[i].share_key = cluster->nodes[i].first_share_key;
    membership->members[self].connected = true;
    membership->members[self].heard = true;
}

void
membership_replicas(const struct membership *membership, struct path path, struct replicas *out)
{
    placement_replicas(&membership->placement, path, out);
}

uint64_t
replicas_packed(const struct replicas *replicas)
{
    uint64_t packed = 0;
    for (unsigned i = 0; i < replicas->count; i++)
        packed = packed << 4 | replicas->nodes[i];
    return packed;
}

void
membership_renew(struct member *member, uint64_t incarnation)
{
    member->incarnation = incarnation;
    memset(member->store_id, 0, sizeof(member->store_id));
    member->boot = 0;
    member->sequence = 0;
    member->sequence_before = 0;
}

void
membership_incarnations(const struct membership *membership, const struct replicas *replicas,
                        struct incarnations *out)
{
    const struct member *self = &membership->members[membership->self];
    *out = (struct incarnations){.count = replicas->count,
                                 .life = self->life,
                                 .sequence = self->sequence,
                                 .placed = replicas_packed(replicas)};
    for (unsigned i = 0; i < replicas->count; i++)
        out->of[i] = membership->members[replicas->nodes[i]].incarnation;
}

bool
membership_is_outdated(const struct membership *membership, const struct replicas *replicas,
                       const struct incarnations *list)
{
    if (list->count != replicas->count || list->placed != replicas_packed(replicas))
        return true;
    for (unsigned i = 0; i < replicas->count; i++) {
        if (list->of[i] < membership->members[replicas->nodes[i]].incarnation)
            return true;
    }
    return false;
}

bool
membership_learn(struct membership *membership, const struct replicas *replicas,
                 const struct incarnations *list)
{
    bool newer = false;
    if (list->placed != replicas_packed(replicas))
        return false;
    for (unsigned i = 0; i < replicas->count && i < list->count; i++) {
        struct member *member = &membership->members[replicas->nodes[i]];
        if (replicas->nodes[i] == membership->self) {
            standing_named(membership, list->of[i]);
        } else if (list->of[i] > member->incarnation) {
            newer = newer || member->incarnation != 0;
            membership_renew(member, list->of[i]);
        }
    }
    return newer;
}

bool
membership_all_connected(const struct membership *ms)
{
    bool all = true;
    for (unsigned i = 0; i < ms->cluster->node_count; i++)
        all = all && ms->members[i].connected;
    return all;
}

static int
by_offset(const void *a, const void *b)
{
    const int64_t *x = a, *y = b;
    return (*x > *y) - (*x < *y);
}

uint64_t
membership_clock_ms(const struct membership *ms, uint64_t wall_ms)
{
    int64_t offsets[NODES_MAX + 1] = {0}; /* the first is this node's own */
    size_t count = 1;
    for (uint8_t i = 0; i < ms->cluster->node_count; i++) {
        if (i != ms->self && ms->members[i].connected)
            offsets[count++] = ms->members[i].clock_offset_ms;
    }
    qsort(offsets, count, sizeof(offsets[0]), by_offset);
    int64_t median = offsets[count / 2];
    uint64_t back = median < 0 ? (uint64_t)0 - (uint64_t)median : 0;
    return median < 0 ? wall_ms - (back < wall_ms ? back : wall_ms) : wall_ms + (uint64_t)median;
}
