/*
 * Property: no plaintext leaves a node or rests on its disk or in its log. Every value begins with a canary; whatever is sent,
 * stored or logged is searched for it. And a share goes only to a node where a client has asked for that value, so nobody but the
 * coordinator of an allowed request can ever hold k of them.
 */
#include <string.h>

#include "sim/world.h"

void
check_secrets_bytes(struct world *world, struct bytes bytes, const char *where)
{
    if (bytes.size >= CANARY_BYTES && memmem(bytes.data, bytes.size, world->canary, CANARY_BYTES))
        sim_fail(world, SIM_SAFETY, "secrets", "plaintext in %s", where);
}

static const struct sim_path *
find_path(const struct world *world, struct path path)
{
    for (unsigned i = 0; i < world->clients.path_count; i++) {
        if (bytes_equal(bytes_of_text(world->clients.paths[i].name), path.name))
            return &world->clients.paths[i];
    }
    return NULL;
}

void
check_secrets_frame(struct world *world, unsigned from, unsigned to, struct bytes frame,
                    const struct msg *msg)
{
    check_secrets_bytes(world, frame, "a frame");
    if (msg->kind == MSG_HELP || msg->kind == MSG_HELPED)
        check_blinding_frame(world, from, to, msg);
    if (msg->kind != MSG_STATE || msg->u.state.share.size == 0)
        return;
    const struct sim_path *path = find_path(world, msg->path);
    if (!path || !(path->reads_at >> to & 1))
        sim_fail(world, SIM_SAFETY, "secrets",
                 "node %u gave its share to node %u, where nobody has asked for it", from, to);
}
