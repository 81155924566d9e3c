#include "actors/membership.h"

#include <assert.h>

void
membership_init(struct membership *membership, const struct cluster *cluster, uint8_t self)
{
    assert(self < cluster->node_count);
    *membership = (struct membership){.cluster = cluster, .self = self};
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

void
membership_incarnations(const struct membership *membership, const struct replicas *replicas,
                        struct incarnations *out)
{
    *out = (struct incarnations){.count = replicas->count};
    for (unsigned i = 0; i < replicas->count; i++)
        out->of[i] = membership->members[replicas->nodes[i]].incarnation;
}

bool
membership_is_outdated(const struct membership *membership, const struct replicas *replicas,
                       const struct incarnations *list)
{
    if (list->count != replicas->count)
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
    for (unsigned i = 0; i < replicas->count && i < list->count; i++) {
        struct member *member = &membership->members[replicas->nodes[i]];
        if (list->of[i] > member->incarnation) {
            newer = newer || member->incarnation != 0;
            member->incarnation = list->of[i];
        }
    }
    return newer;
}
