#include "actors/path_count.h"

#include <assert.h>
#include <string.h>

enum { COUNT_AGAIN_MS = 60 * 60 * 1000 };

bool
path_count_next(struct path_count *count, struct instant now)
{
    if (count->busy)
        return false;
    if (!count->walking) {
        if (count->known && instant_since(now, count->began).ns < duration_ms(COUNT_AGAIN_MS).ns)
            return false;
        count->walking = true;
        count->began = now;
        count->tally = 0;
        count->walk_doubt = 0;
        count->after.size = 0;
    }
    count->busy = true;
    count->page_doubt = count->making + count->going;
    return true;
}

void
path_count_page(struct path_count *count, const struct msg_loaded *page)
{
    assert(count->busy);
    count->busy = false;
    if (page->err != OK)
        return;
    count->tally += page->count;
    count->walk_doubt += count->page_doubt;
    if (page->count > 0) {
        struct bytes last = page->rows[page->count - 1].key;
        count->after.size = last.size;
        memcpy(count->after.data, last.data, last.size);
    }
    if (page->more)
        return;
    count->walking = false;
    count->known = true;
    count->paths = count->tally;
    count->doubt = count->walk_doubt;
}

void
path_count_making(struct path_count *count)
{
    count->making++;
    if (count->busy)
        count->page_doubt++;
}

/* The walk has come past the row of the path. */
static bool
is_passed(const struct path_count *count, struct path path)
{
    struct row_key key;

    if (!count->walking)
        return false;
    row_key_index(path, &key);
    return bytes_compare(row_key_bytes(&key), row_key_bytes(&count->after)) <= 0;
}

/* The walk has not seen a path that is made behind it, and will see one that is made before it. */
void
path_count_made(struct path_count *count, struct path path, bool stored)
{
    assert(count->making > 0);
    count->making--;
    if (!stored)
        return;
    count->paths++;
    if (is_passed(count, path))
        count->tally++;
}

void
path_count_going(struct path_count *count)
{
    count->going++;
    if (count->busy)
        count->page_doubt++;
}

void
path_count_gone(struct path_count *count, struct path path, bool removed)
{
    assert(count->going > 0);
    count->going--;
    if (!removed)
        return;
    if (count->paths > 0)
        count->paths--;
    if (count->tally > 0 && is_passed(count, path))
        count->tally--;
}
