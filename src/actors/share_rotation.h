/*
 * When an old share key may be destroyed. A box to it that is not delivered yet would stay closed
 * for ever, and an unfinished change that nobody can finish any more would block its path. So a key
 * is destroyed only when every other replica has said, of a look at its escrow that began after
 * everybody knew the newer key and every request of before had ended, that it keeps no box for it;
 * and when this node keeps none itself.
 */
#ifndef OSTRAKA_ACTORS_SHARE_ROTATION_H
#define OSTRAKA_ACTORS_SHARE_ROTATION_H

#include "actors/membership.h"

struct share_rotation {
    uint64_t newest; /* key that `known_since` is about */
    bool known;      /* by every other node */
    struct instant known_since;
};

/*
 * Id below which this node's share keys may be destroyed: at most that of the newest; 0: none may
 * be. To be called every few seconds. `settle`: how long after everybody knows the newest key a
 * request made with an older one may still be on its way.
 */
uint64_t share_rotation_destroyable(struct share_rotation *rotation,
                                    const struct membership *membership, struct instant now,
                                    struct duration settle);

#endif
