#include "audit/tree.h"

#include <sodium.h>
#include <string.h>

enum { LEAF = 0, INNER = 1, SHORT_LEAF_BYTES = 511 };

/* In one call where it can be: of a short leaf the calls cost half as much as the hash. */
static void
hash_leaf(struct bytes leaf, uint8_t out[static HASH_BYTES])
{
    const uint8_t kind = LEAF;
    uint8_t whole[1 + SHORT_LEAF_BYTES];
    crypto_generichash_state state;

    if (leaf.size <= SHORT_LEAF_BYTES) {
        whole[0] = kind;
        if (leaf.size > 0)
            memcpy(whole + 1, leaf.data, leaf.size);
        hash_bytes(bytes_of(whole, 1 + leaf.size), out);
        return;
    }
    (void)crypto_generichash_init(&state, NULL, 0, HASH_BYTES);
    (void)crypto_generichash_update(&state, &kind, 1);
    (void)crypto_generichash_update(&state, leaf.data, leaf.size);
    (void)crypto_generichash_final(&state, out, HASH_BYTES);
}

static void
hash_inner(const uint8_t left[static HASH_BYTES], const uint8_t right[static HASH_BYTES],
           uint8_t out[static HASH_BYTES])
{
    uint8_t both[1 + 2 * HASH_BYTES] = {INNER};

    memcpy(both + 1, left, HASH_BYTES);
    memcpy(both + 1 + HASH_BYTES, right, HASH_BYTES);
    hash_bytes(bytes_of(both, sizeof(both)), out);
}

enum vault_err
audit_tree_add(struct audit_tree *tree, struct bytes leaf)
{
    uint8_t carry[HASH_BYTES];
    unsigned height = 0;

    if (tree->size + 1 >= UINT64_C(1) << AUDIT_TREE_HEIGHTS)
        return ERR_RANGE;
    hash_leaf(leaf, carry);
    for (; tree->size >> height & 1; height++)
        hash_inner(tree->peaks[height], carry, carry);
    memcpy(tree->peaks[height], carry, HASH_BYTES);
    tree->size++;
    return OK;
}

void
audit_tree_root(const struct audit_tree *tree, uint8_t out[static HASH_BYTES])
{
    bool any = false;

    memset(out, 0, HASH_BYTES);
    for (unsigned height = 0; height < AUDIT_TREE_HEIGHTS; height++) {
        if (!(tree->size >> height & 1))
            continue;
        if (any)
            hash_inner(tree->peaks[height], out, out);
        else
            memcpy(out, tree->peaks[height], HASH_BYTES);
        any = true;
    }
}

bool
audit_tree_equal(const struct audit_tree *a, const struct audit_tree *b)
{
    uint8_t left[AUDIT_TREE_BYTES_MAX], right[AUDIT_TREE_BYTES_MAX];
    size_t size = audit_tree_peaks(a, left);

    return a->size == b->size && audit_tree_peaks(b, right) == size &&
           memcmp(left, right, size) == 0;
}

size_t
audit_tree_peaks(const struct audit_tree *tree, uint8_t *out)
{
    size_t size = 0;

    for (unsigned height = AUDIT_TREE_HEIGHTS; height-- > 0;) {
        if (!(tree->size >> height & 1))
            continue;
        memcpy(out + size, tree->peaks[height], HASH_BYTES);
        size += HASH_BYTES;
    }
    return size;
}

enum vault_err
audit_tree_load(uint64_t size, struct bytes peaks, struct audit_tree *out)
{
    size_t at = 0;

    memset(out, 0, sizeof(*out));
    if (size >> AUDIT_TREE_HEIGHTS != 0)
        return ERR_MALFORMED;
    for (unsigned height = AUDIT_TREE_HEIGHTS; height-- > 0;) {
        if (!(size >> height & 1))
            continue;
        if (peaks.size < at + HASH_BYTES) {
            memset(out, 0, sizeof(*out));
            return ERR_MALFORMED;
        }
        memcpy(out->peaks[height], peaks.data + at, HASH_BYTES);
        at += HASH_BYTES;
    }
    out->size = size;
    if (at == peaks.size)
        return OK;
    memset(out, 0, sizeof(*out));
    return ERR_MALFORMED;
}
