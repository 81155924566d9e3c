/*
 * Where a row lies in the engine's table.
 *
 * What a reader of a secret needs is the path row and then a version row (proto/rows.h). Under keys
 * that begin with the letter of the table these are rows of two pages, far from each other, and of
 * a large store neither is in the cache. So a version row lies behind its path row: a key of 'v'
 * that has a whole path and more is kept under 'p' in place of 'v'. No path is the beginning of
 * another, so what is behind a path under 'p' is told from a path row by its length; and a key that
 * would be taken for such a row without being one, which is a key of 'p' with a whole path and
 * more, is kept under 'v'. Thus every key has a place of its own, and only keys of no use are
 * strays under 'v'.
 *
 * Nobody outside the store sees that: rows come in the order of their keys. A walk through 'p'
 * passes over the versions, and one through 'v' over the path rows.
 *
 * A store keeps the layout that it was made with, which is told by the row of its mark: of older
 * ones every row lies where its key says. Older programs take that row for damage, and so nothing
 * of this layout for anything else.
 */
#ifndef OSTRAKA_STORE_STORE_WT_LAYOUT_H
#define OSTRAKA_STORE_STORE_WT_LAYOUT_H

#include <stdatomic.h>
#include <wiredtiger.h>

#include "store/store_chain.h"

struct store_wt_layout {
    bool beside;         /* version rows lie behind their path rows; set before any row is read */
    _Atomic bool strays; /* there may be rows under 'v'; never taken back */
};

/* The mark's row: the mark, and a byte more where version rows lie beside. */
enum { STORE_WT_MARK_BYTES_MAX = STORE_MARK_BYTES + 1 };
struct bytes store_wt_mark_encode(const struct store_wt_layout *layout,
                                  const struct store_mark *mark,
                                  uint8_t out[static STORE_WT_MARK_BYTES_MAX]);
/* Sets layout->beside. Errors: ERR_CORRUPT none of them, or of a newer program. */
MUST_CHECK enum vault_err store_wt_mark_decode(struct bytes value, struct store_wt_layout *layout,
                                               struct store_mark *out);

/* A cursor that knows rows by their keys. Borrows both. */
struct store_wt_rows {
    WT_CURSOR *cursor;
    struct store_wt_layout *layout;
    bool further; /* a walk goes on from table to table; else it need not find what is behind one */
    uint8_t key[KEY_BYTES_MAX]; /* of the last key that lies elsewhere than it says */
};

/* The key of the place where the row of `key` lies. Borrows from `key` or from `rows`. */
struct bytes store_wt_rows_place(struct store_wt_rows *rows, struct bytes key);
/* What is written there is found by walks too: before a row is put. */
void store_wt_layout_note(struct store_wt_layout *layout, struct bytes place);

/*
 * All give 0 or the engine's error; WT_NOTFOUND: no such row.
 *
 * On the first row whose key is not less than `key` (greater, if `behind`). `key` may be empty: the
 * first row of all, for a cursor that is in no place yet.
 */
int store_wt_rows_seek(struct store_wt_rows *rows, struct bytes key, bool behind);
/* From the row where the cursor is, which may just have been removed. */
int store_wt_rows_next(struct store_wt_rows *rows);
/* Key of the row; borrowed until the cursor moves. */
int store_wt_rows_key(struct store_wt_rows *rows, struct bytes *out);
/*
 * The cursor is on the row of `key`: on to the first row whose key begins with `prefix`. Of a
 * path's versions that is the row behind it.
 */
int store_wt_rows_along(struct store_wt_rows *rows, struct bytes key, struct bytes prefix);
/* Whether there are strays, when a store is opened. Resets the cursor. */
int store_wt_rows_look_for_strays(struct store_wt_rows *rows);

#endif
