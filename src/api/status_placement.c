/* How evenly paths are spread, computed from a snapshot. */
#include <assert.h>

#include "api/status.h"

void
placement_status(const struct node_status *status, struct placement_status *out)
{
    const struct cluster *cluster = status->cluster;
    unsigned may_be_missing = cluster->share_count - cluster_majority(cluster);
    unsigned connected = 0;
    uint64_t copies = 0;

    assert(cluster->node_count > 0 && cluster->share_count > 0);
    *out = (struct placement_status){.known = true};
    for (unsigned i = 0; i < cluster->node_count; i++) {
        const struct peer_status *peer = &status->peers[i];

        connected += peer->connected;
        copies += peer->paths;
        out->known = out->known && peer->paths_known;
    }
    out->even_permille = cluster->share_count * UINT64_C(1000) / cluster->node_count;
    if (connected + may_be_missing >= cluster->node_count)
        out->available = PATHS_ALL;
    else if (connected >= cluster_majority(cluster))
        out->available = PATHS_SOME;
    if (!out->known)
        return;
    out->cluster_paths = (copies + cluster->share_count / 2) / cluster->share_count;
    if (out->cluster_paths > 0)
        out->permille = status->peers[status->self].paths * 1000 / out->cluster_paths;
}
