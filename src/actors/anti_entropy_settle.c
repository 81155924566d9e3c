/* Two lists of a part of a leaf, and what is to be done about each path that is unlike in them. */
#include <string.h>

#include "actors/anti_entropy_internal.h"

static_assert(EFFECTS_MAX >= 2 * ENTRIES_MAX + 16, "a message for each path of both lists");

/* The lists may be gone when the message leaves. */
static void
deliver_head(struct ae_work *w, struct path path, uint8_t at, uint8_t to)
{
    struct path copy;
    if (arena_copy(w->st->arena, path.tenant, &copy.tenant) != OK ||
        arena_copy(w->st->arena, path.name, &copy.name) != OK)
        return;
    struct msg *m = effect_send(w->out, MSG_DELIVER, at, NULL);
    m->path = copy;
    m->u.deliver.owner = DELIVER_HEAD_TO + to;
}

/*
 * `ours` or `theirs` is NULL where there is no such path row; not both. The one at the higher
 * ballot is the newer, and whoever has it tells or finishes it. The same head chosen here and
 * accepted there may stand at any ballots: chosen is the newer then.
 */
static void
settle_path(struct ae_work *w, uint8_t peer, const struct path_entry *ours,
            const struct path_entry *theirs)
{
    bool same = ours && theirs && memcmp(ours->head_id, theirs->head_id, ID_BYTES) == 0;
    bool settling = (ours && ours->settling) || (theirs && theirs->settling);
    if (settling || (same && ours->state == theirs->state))
        return;
    bool our_turn = ours != NULL;
    if (same)
        our_turn = ours->state == STATE_CHOSEN;
    else if (ours && theirs)
        our_turn = ballot_compare(ours->ballot, theirs->ballot) > 0;
    const struct path_entry *newer = our_turn ? ours : theirs;
    bool finish = newer->state != STATE_CHOSEN;
    uint8_t self = w->ae->membership->self;
    w->ae->exchanges[peer].unlike = true;
    metrics_count(w->st->metrics, METRIC_anti_entropy_differences);
    if (finish)
        metrics_count(w->st->metrics, METRIC_anti_entropy_finished);
    spend(w, finish ? COST_FINISH : COST_HEAD);
    deliver_head(w, newer->path, our_turn ? self : peer, our_turn ? peer : self);
}

static bool
is_within(const struct path_entry *entry, struct bytes until)
{
    struct path_key key;
    path_key_of(entry->path, &key);
    return until.size == 0 || bytes_compare(path_key_bytes(&key), until) <= 0;
}

void
settle_page(struct ae_work *w, uint8_t peer, struct bytes until)
{
    const struct exchange *x = &w->ae->exchanges[peer];
    const struct leaf_list *list = &x->list;
    size_t i = 0, j = 0;
    for (;;) {
        const struct path_entry *ours = i < list->count ? &list->entries[i] : NULL;
        const struct path_entry *theirs = j < x->their_count ? &x->theirs[j] : NULL;
        int order = !ours ? 1 : !theirs ? -1 : path_compare(ours->path, theirs->path);
        const struct path_entry *first = order <= 0 ? ours : theirs;
        if (!first || !is_within(first, until))
            return;
        settle_path(w, peer, order <= 0 ? ours : NULL, order >= 0 ? theirs : NULL);
        i += order <= 0;
        j += order >= 0;
    }
}
