#include "store/store_check.h"

#include <string.h>

#include "proto/rows.h"

struct bytes
store_sequence_key(void)
{
    return bytes_of("\0seq", 4);
}

bool
store_key_is_reserved(struct bytes key)
{
    return bytes_equal(key, store_sequence_key());
}

static void
change_check(const struct store_change *change)
{
    assert(change->key.size >= 1);
    assert(change->key.size <= KEY_BYTES_MAX);
    switch (change->kind) {
    case STORE_PUT:
        assert(change->value.size <= ROW_BYTES_MAX);
        assert(!store_key_is_reserved(change->key));
        break;
    case STORE_DELETE: assert(!store_key_is_reserved(change->key)); break;
    case STORE_DELETE_ONE: assert(change->value.size <= STORE_TABLES_MAX); break;
    case STORE_DELETE_PREFIX: break; /* the reserved row stays, whatever the prefix */
    }
}

void
store_changes_check(const struct store_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++)
        change_check(&changes[i]);
}

bool
store_changes_may_use_reserve(const struct store_change *changes, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (changes[i].kind == STORE_PUT && !row_is_of_audit(changes[i].key))
            return false;
    }
    return true;
}

bool
store_key_begins(struct bytes key, struct bytes prefix)
{
    if (key.size < prefix.size)
        return false;
    return prefix.size == 0 || memcmp(key.data, prefix.data, prefix.size) == 0;
}

struct store_scan_start
store_scan_start(struct bytes prefix, struct bytes after)
{
    if (after.size > 0 && bytes_compare(after, prefix) >= 0)
        return (struct store_scan_start){.key = after, .behind = true};
    return (struct store_scan_start){.key = prefix, .behind = false};
}
