/*
 * Walks go through the tables in the order of their letters. Of those two that share a place each
 * is picked out of the rows of both; all others are taken as they lie.
 */
#include "store/store_wt_layout.h"

#include <assert.h>
#include <string.h>

#include "proto/rows.h"
#include "store/store_check.h"

enum { SHARED = ROW_PATH, BESIDE = ROW_VERSION, LAYOUT_BESIDE = 1 };

/* More version rows of one path than that are not passed over one by one. */
enum { PASSED_MAX = 4 };

struct bytes
store_wt_mark_encode(const struct store_wt_layout *layout, const struct store_mark *mark,
                     uint8_t out[static STORE_WT_MARK_BYTES_MAX])
{
    store_mark_encode(mark, out);
    out[STORE_MARK_BYTES] = LAYOUT_BESIDE;
    return bytes_of(out, layout->beside ? STORE_WT_MARK_BYTES_MAX : STORE_MARK_BYTES);
}

enum vault_err
store_wt_mark_decode(struct bytes value, struct store_wt_layout *layout, struct store_mark *out)
{
    *out = (struct store_mark){0};
    layout->beside = value.size == STORE_WT_MARK_BYTES_MAX;
    if (layout->beside && value.data[--value.size] != LAYOUT_BESIDE)
        return ERR_CORRUPT;
    return store_mark_decode(value, out);
}

/* ---- keys ---- */

/* Bytes of the table's letter and the path behind it; 0: there is no whole path. */
static size_t
path_end(struct bytes key)
{
    size_t tenant_end = key.size < 2 ? 0 : 2 + (size_t)key.data[1];

    if (tenant_end == 0 || key.size < tenant_end + 2)
        return 0;
    size_t name = (size_t)key.data[tenant_end] << 8 | key.data[tenant_end + 1];
    return key.size - tenant_end - 2 < name ? 0 : tenant_end + 2 + name;
}

/* The letter of the place of a key, or of the key of a place. */
static uint8_t
letter_swapped(struct bytes key)
{
    uint8_t letter = key.data[0];

    if (letter != SHARED && letter != BESIDE)
        return letter;
    size_t end = path_end(key);
    if (end == 0 || end == key.size)
        return letter;
    return letter == SHARED ? BESIDE : SHARED;
}

static struct bytes
key_swapped(struct store_wt_rows *rows, struct bytes key)
{
    if (!rows->layout->beside || key.size == 0 || key.size > KEY_BYTES_MAX)
        return key;
    uint8_t letter = letter_swapped(key);
    if (letter == key.data[0])
        return key;
    memmove(rows->key, key.data, key.size);
    rows->key[0] = letter;
    return bytes_of(rows->key, key.size);
}

struct bytes
store_wt_rows_place(struct store_wt_rows *rows, struct bytes key)
{
    return key_swapped(rows, key);
}

void
store_wt_layout_note(struct store_wt_layout *layout, struct bytes place)
{
    if (layout->beside && place.data[0] == BESIDE)
        atomic_store(&layout->strays, true);
}

static int
place_of(const struct store_wt_rows *rows, struct bytes *out)
{
    WT_ITEM item;

    *out = (struct bytes){0};
    int ret = rows->cursor->get_key(rows->cursor, &item);
    if (ret == 0)
        *out = bytes_of(item.data, item.size);
    return ret == 0 && (item.size == 0 || item.size > KEY_BYTES_MAX) ? WT_ERROR : ret;
}

int
store_wt_rows_key(struct store_wt_rows *rows, struct bytes *out)
{
    int ret = place_of(rows, out);

    *out = key_swapped(rows, *out);
    return ret;
}

/* ---- places ---- */

/* On the first place not before that one (behind it, if `behind`). */
static int
seek_place(struct store_wt_rows *rows, struct bytes place, bool behind)
{
    WT_ITEM item = {.data = place.data, .size = place.size};
    int order = 0;

    if (place.size == 0) /* the cursor is in no place yet */
        return rows->cursor->next(rows->cursor);
    rows->cursor->set_key(rows->cursor, &item);
    int ret = rows->cursor->search_near(rows->cursor, &order);
    if (ret == 0 && (order < 0 || (order == 0 && behind)))
        ret = rows->cursor->next(rows->cursor);
    return ret;
}

/* Behind all places that begin with the first `size` bytes of that one. */
static int
seek_behind_all(struct store_wt_rows *rows, struct bytes place, size_t size)
{
    uint8_t end[KEY_BYTES_MAX];

    memcpy(end, place.data, size);
    while (end[size - 1] == UINT8_MAX) /* the first is a letter */
        size--;
    end[size - 1]++;
    return seek_place(rows, bytes_of(end, size), false);
}

/*
 * From the place where the cursor is on to the first row of table `letter` that lies under `under`.
 */
static int
pick(struct store_wt_rows *rows, uint8_t under, uint8_t letter)
{
    struct bytes place;
    unsigned passed = 0;

    for (;;) {
        int ret = place_of(rows, &place);
        if (ret != 0)
            return ret;
        if (place.data[0] != under)
            return WT_NOTFOUND;
        if (letter_swapped(place) == letter)
            return 0;
        if (under == SHARED && letter == SHARED && ++passed > PASSED_MAX) {
            ret = seek_behind_all(rows, place, path_end(place));
            passed = 0;
        } else {
            ret = rows->cursor->next(rows->cursor);
        }
        if (ret != 0)
            return ret;
    }
}

/* ---- tables ---- */

/* The first row of table `letter` among the places under `under`, by what follows the letter. */
static int
seek_under(struct store_wt_rows *rows, uint8_t under, uint8_t letter, struct bytes key, bool behind)
{
    uint8_t data[KEY_BYTES_MAX];
    struct bytes place = store_key_copy(key, data);

    data[0] = under;
    int ret = seek_place(rows, place, behind);
    return ret == 0 ? pick(rows, under, letter) : ret;
}

/* Where there are strays, the first of two rows, one under each letter. */
static int
seek_first_of_both(struct store_wt_rows *rows, struct bytes key, bool behind)
{
    uint8_t first[KEY_BYTES_MAX];
    struct bytes place, usual = {0};

    int ret = seek_under(rows, SHARED, key.data[0], key, behind);
    if (ret == 0)
        ret = place_of(rows, &usual);
    if (ret != 0 && ret != WT_NOTFOUND)
        return ret;
    if (ret == 0)
        usual = store_key_copy(usual, first);
    ret = seek_under(rows, BESIDE, key.data[0], key, behind);
    if (ret == 0)
        ret = place_of(rows, &place);
    if (usual.size == 0 || (ret != 0 && ret != WT_NOTFOUND))
        return ret;
    if (ret == 0 && bytes_compare(bytes_of(place.data + 1, place.size - 1),
                                  bytes_of(usual.data + 1, usual.size - 1)) < 0)
        return 0;
    return seek_place(rows, usual, false);
}

static int
seek_in_table(struct store_wt_rows *rows, struct bytes key, bool behind)
{
    if (atomic_load(&rows->layout->strays))
        return seek_first_of_both(rows, key, behind);
    return seek_under(rows, SHARED, key.data[0], key, behind);
}

/*
 * The cursor has left what lies before or between the two tables, or found nothing there: `letter`
 * is of the last table that it was to look into. On to the next of the two, or behind both.
 */
static int
seek_further(struct store_wt_rows *rows, uint8_t letter)
{
    static const uint8_t shared[] = {SHARED}, between[] = {SHARED + 1}, beside[] = {BESIDE},
                         after[] = {BESIDE + 1};
    struct bytes place;
    int ret = WT_NOTFOUND;

    if (!rows->further)
        return WT_NOTFOUND;
    if (letter < SHARED)
        ret = seek_in_table(rows, bytes_of(shared, 1), false);
    if (ret == WT_NOTFOUND && letter <= SHARED) {
        ret = seek_place(rows, bytes_of(between, 1), false);
        if (ret == 0)
            ret = place_of(rows, &place);
        if (ret == 0 && place.data[0] >= BESIDE)
            ret = WT_NOTFOUND;
    }
    if (ret == WT_NOTFOUND && letter < BESIDE)
        ret = seek_in_table(rows, bytes_of(beside, 1), false);
    if (ret == WT_NOTFOUND)
        ret = seek_place(rows, bytes_of(after, 1), false);
    return ret;
}

/* What the cursor has come to, or not, from the table of `letter`, which is none of the two. */
static int
settle(struct store_wt_rows *rows, int ret, uint8_t letter)
{
    struct bytes place;

    if (letter > BESIDE || (ret != 0 && ret != WT_NOTFOUND))
        return ret;
    uint8_t bound = letter < SHARED ? SHARED : BESIDE;
    if (ret == 0)
        ret = place_of(rows, &place);
    if (ret == 0 && place.data[0] < bound)
        return 0;
    if (ret != 0 && ret != WT_NOTFOUND)
        return ret;
    return seek_further(rows, letter);
}

int
store_wt_rows_seek(struct store_wt_rows *rows, struct bytes key, bool behind)
{
    uint8_t letter = key.size == 0 ? 0 : key.data[0];

    if (key.size > KEY_BYTES_MAX) { /* none is so long: behind the one that it begins with */
        key.size = KEY_BYTES_MAX;
        behind = true;
    }
    if (!rows->layout->beside)
        return seek_place(rows, key, behind);
    if (letter != SHARED && letter != BESIDE)
        return settle(rows, seek_place(rows, key, behind), letter);
    int ret = seek_in_table(rows, key, behind);
    return ret == WT_NOTFOUND ? seek_further(rows, letter) : ret;
}

int
store_wt_rows_next(struct store_wt_rows *rows)
{
    uint8_t data[KEY_BYTES_MAX];
    struct bytes key;

    if (!rows->layout->beside)
        return rows->cursor->next(rows->cursor);
    int ret = store_wt_rows_key(rows, &key);
    if (ret != 0)
        return ret;
    uint8_t letter = key.data[0];
    if (letter != SHARED && letter != BESIDE)
        return settle(rows, rows->cursor->next(rows->cursor), letter);
    if (atomic_load(&rows->layout->strays))
        return store_wt_rows_seek(rows, store_key_copy(key, data), true);
    ret = rows->cursor->next(rows->cursor);
    if (ret == 0)
        ret = pick(rows, SHARED, letter);
    return ret == WT_NOTFOUND ? seek_further(rows, letter) : ret;
}

int
store_wt_rows_along(struct store_wt_rows *rows, struct bytes key, struct bytes prefix)
{
    bool behind = rows->layout->beside && !atomic_load(&rows->layout->strays) &&
                  key.size == prefix.size && key.data[0] == SHARED && prefix.data[0] == BESIDE &&
                  path_end(key) == key.size &&
                  memcmp(key.data + 1, prefix.data + 1, key.size - 1) == 0;
    struct bytes found;

    int ret = behind ? rows->cursor->next(rows->cursor) : store_wt_rows_seek(rows, prefix, false);
    if (ret == 0)
        ret = store_wt_rows_key(rows, &found);
    return ret == 0 && !store_key_begins(found, prefix) ? WT_NOTFOUND : ret;
}

int
store_wt_rows_look_for_strays(struct store_wt_rows *rows)
{
    static const uint8_t beside[] = {BESIDE};
    struct bytes place;

    if (!rows->layout->beside)
        return 0;
    int ret = seek_place(rows, bytes_of(beside, 1), false);
    if (ret == 0)
        ret = place_of(rows, &place);
    if (ret == 0)
        store_wt_layout_note(rows->layout, place);
    int reset = rows->cursor->reset(rows->cursor);
    return ret == 0 || ret == WT_NOTFOUND ? reset : ret;
}
