/* Private to the files of anti-entropy. */
#ifndef OSTRAKA_ACTORS_ANTI_ENTROPY_INTERNAL_H
#define OSTRAKA_ACTORS_ANTI_ENTROPY_INTERNAL_H

#include "actors/anti_entropy.h"

enum anti_entropy_tag { TAG_TICK = 1, TAG_REBUILD = 2, TAG_REBUILD_TIMER = 3, TAG_LIST = 16 };

/* One message in the hands of its handler. */
struct ae_work {
    struct anti_entropy *ae;
    const struct step *st;
    struct effects *out;
};

static inline void
spend(struct ae_work *w, enum repair_cost cost)
{
    w->ae->budget.left -= 1000 * (int64_t)cost;
}

void path_key_set(struct path_key *key, struct bytes from); /* at most PATH_KEY_BYTES_MAX */
struct bytes path_key_bytes(const struct path_key *key);
void path_key_of(struct path path, struct path_key *out);

/* anti_entropy_list.c: pages of this node's own, and the digests after a start */
/* Begins a page; false: no memory, nothing was begun. The list must not be busy. */
bool list_begin(struct ae_work *w, uint8_t peer, uint16_t leaf, struct bytes after);
void list_on_loaded(struct ae_work *w, uint8_t peer, const struct msg_loaded *loaded);
void rebuild_ask(struct ae_work *w);
void rebuild_on_loaded(struct ae_work *w, const struct msg_loaded *loaded);

/* anti_entropy.c: a page is whole, or could not be had */
void exchange_list_done(struct ae_work *w, uint8_t peer, bool whole);

/* anti_entropy_settle.c: what is to be done about what both have, up to `until` (empty: the end) */
void settle_page(struct ae_work *w, uint8_t peer, struct bytes until);

#endif
