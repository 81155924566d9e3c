/*
 * What waits for the next WRITE. Where a name is changed often, this node has voted for the next change
 * already when it hears that the head which it has accepted is chosen and written by all, or has
 * accepted the next one. A WRITE is on its way then or comes soon, and must be synced: it does in the
 * same batch what notices would have done in batches of their own. docs/protocol.md, "Writing phase".
 */
#include <stdlib.h>
#include <string.h>

#include "actors/shard_proof.h"

enum { LATE_BOXES_MAX = 4 * GROUP_VERSIONS_MAX };

struct late_boxes {
    uint64_t version;
    uint8_t version_id[ID_BYTES];
};

struct shard_late {
    struct shard_waiting *notice; /* of the accepted head; NULL: none */
    struct late_boxes boxes[LATE_BOXES_MAX];
    unsigned box_count;
};

static struct shard_late *
late_of(struct shard_work *w)
{
    struct shard_path *path = w->path;
    if (!path->late)
        path->late = calloc(1, sizeof(*path->late));
    if (path->late && !path->park_timer)
        shard_park_timer(path, w->out, shard_manners(w->s));
    return path->late;
}

/* Nothing has to be looked at, answered or kept, and a vote was given whose WRITE has not come. */
bool
shard_notice_waits(struct shard_work *w, const struct head *head)
{
    const struct shard_path *path = w->path;
    if (!path->awaiting_write || path->row.row.state != STATE_ACCEPTED ||
        path->row.row.ballot.offer || !path->pure || !head_brings_version(head) ||
        head->destroyed != 0 || w->rows || (path->late && path->late->notice))
        return false;
    struct shard_late *late = late_of(w);
    if (late)
        late->notice = shard_waiting_of(w->msg);
    return late && late->notice;
}

static void
note_boxes(struct shard_late *late, uint64_t version, const uint8_t id[static ID_BYTES])
{
    late->boxes[late->box_count].version = version;
    memcpy(late->boxes[late->box_count].version_id, id, ID_BYTES);
    late->box_count++;
}

bool
shard_boxes_wait(struct shard_work *w, uint64_t version, const uint8_t id[static ID_BYTES],
                 struct bytes earlier)
{
    struct shard_late *late = late_of(w);
    size_t count = earlier.size / ID_BYTES;
    if (!late || late->box_count + count + 1 > LATE_BOXES_MAX)
        return false;
    for (size_t i = 0; i < count; i++)
        note_boxes(late, version - count + i, earlier.data + i * ID_BYTES);
    note_boxes(late, version, id);
    return true;
}

static void
drop_boxes(struct shard_work *w, uint64_t version, const uint8_t id[static ID_BYTES],
           struct store_change *list, size_t *count)
{
    struct row_key key;
    row_key_version(ROW_BOXES, w->path->link.path, version, id, &key);
    shard_change(list, count, STORE_DELETE, shard_key_copy(w, &key), (struct bytes){0});
}

void
shard_drop_boxes(struct shard_work *w, uint64_t version, const uint8_t id[static ID_BYTES],
                 struct bytes earlier, struct store_change *list, size_t *count)
{
    size_t n = earlier.size / ID_BYTES;
    drop_boxes(w, version, id, list, count);
    for (size_t i = 0; i < n; i++)
        drop_boxes(w, version - n + i, earlier.data + i * ID_BYTES, list, count);
}

static void
drop_late_boxes(struct shard_work *w, struct store_change *list, size_t *count)
{
    struct shard_late *late = w->path->late;
    for (unsigned i = 0; i < late->box_count; i++)
        drop_boxes(w, late->boxes[i].version, late->boxes[i].version_id, list, count);
    late->box_count = 0;
}

/* What it would have dropped, if the next head is built on the one that it is about. */
static void
carry_out_notice(struct shard_work *w, const struct head *next, struct store_change *list,
                 size_t *count)
{
    struct shard_path *path = w->path;
    const struct head_summary *have = &path->row.head;
    struct shard_waiting *notice = path->late->notice;
    path->late->notice = NULL;
    if (memcmp(notice->msg.u.chosen.head_id, have->id, ID_BYTES) != 0 ||
        memcmp(next->prev, have->id, ID_BYTES) != 0) {
        shard_queue_push(&path->queue, notice);
        return;
    }
    struct bytes earlier;
    if (shard_earlier_of_own(w, &earlier)) /* else they stay, and are delivered once more */
        shard_drop_boxes(w, have->version, have->version_id, earlier, list, count);
    path->before_version = 0;
    if (path->drops_from == 0 && shard_drop_fallen(w, list, count))
        path->next_drops_from = 0;
    shard_waiting_done(w->s, notice);
}

void
shard_late_carry_out(struct shard_work *w, const struct head *next, struct store_change *list,
                     size_t *count)
{
    if (!w->path->late)
        return;
    if (w->path->late->notice)
        carry_out_notice(w, next, list, count);
    drop_late_boxes(w, list, count);
    shard_late_free(w->path);
}

/* The notice is handled as if it came now; boxes that wait go alone, with the notice or after it. */
void
shard_late_over(struct shard_work *w)
{
    struct shard_path *path = w->path;
    if (!path->late)
        return;
    if (path->late->notice)
        shard_queue_push(&path->queue, path->late->notice);
    path->late->notice = NULL;
    if (path->late->box_count > 0 && path->stage != SHARD_IDLE) {
        shard_park_timer(path, w->out, shard_manners(w->s));
        return;
    }
    struct store_change *list = arena_alloc(w->st->arena, LATE_BOXES_MAX * sizeof(*list));
    size_t count = 0;
    if (list)
        drop_late_boxes(w, list, &count);
    if (count > 0) {
        shard_commit(w, list, count);
        shard_commit_may_be_lost(w);
    }
    shard_late_free(path);
}

void
shard_late_free(struct shard_path *path)
{
    if (path->late)
        shard_waiting_free(path->late->notice);
    free(path->late);
    path->late = NULL;
}
