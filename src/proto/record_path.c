#include "proto/record_path.h"

#include <string.h>

#include "proto/request.h"

enum { PREFIX_BYTES = sizeof(RECORD_PREFIX) - 1 };

static bool
is_one_of(uint8_t byte, const char *others)
{
    return byte != 0 && strchr(others, byte) != NULL;
}

bool
record_kind_valid(struct bytes kind)
{
    for (size_t i = 0; i < kind.size; i++) {
        if (kind.data[i] < 'a' || kind.data[i] > 'z')
            return false;
    }
    return kind.size > 0 && kind.size <= RECORD_KIND_BYTES_MAX;
}

bool
record_key_valid(struct bytes key)
{
    for (size_t i = 0; i < key.size; i++) {
        uint8_t byte = key.data[i];
        bool letter = (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z');
        bool digit = byte >= '0' && byte <= '9';

        if (!letter && !digit && !is_one_of(byte, "._~@:+=-"))
            return false;
    }
    return key.size > 0 && key.size <= RECORD_KEY_BYTES_MAX;
}

static bool
tenant_valid(struct bytes tenant)
{
    return tenant_name_valid(tenant) || bytes_equal(tenant, bytes_of_text(SYSTEM_TENANT));
}

/* Views of what may be kind and key. False: the name has not that form. */
static bool
split(struct bytes name, struct bytes *kind, struct bytes *key)
{
    *kind = (struct bytes){0};
    *key = (struct bytes){0};
    if (name.size <= PREFIX_BYTES || memcmp(name.data, RECORD_PREFIX, PREFIX_BYTES) != 0)
        return false;
    const uint8_t *rest = name.data + PREFIX_BYTES;
    size_t size = name.size - PREFIX_BYTES;
    const uint8_t *slash = memchr(rest, '/', size);
    if (!slash)
        return false;
    *kind = bytes_of(rest, (size_t)(slash - rest));
    *key = bytes_of(slash + 1, size - kind->size - 1);
    return true;
}

bool
record_path_is(struct path path)
{
    struct bytes kind, key;

    return split(path.name, &kind, &key) && record_kind_valid(kind) && record_key_valid(key) &&
           tenant_valid(path.tenant);
}

bool
record_list_name_split(struct bytes name, struct bytes *kind, struct bytes *after)
{
    return split(name, kind, after) && record_kind_valid(*kind) &&
           (after->size == 0 || record_key_valid(*after));
}

void
record_path_split(struct path path, struct bytes *kind, struct bytes *key)
{
    (void)split(path.name, kind, key);
}

enum vault_err
record_path_make(struct bytes tenant, struct bytes kind, struct bytes key,
                 uint8_t memory[static RECORD_NAME_BYTES_MAX], struct path *out)
{
    size_t size = PREFIX_BYTES;

    *out = (struct path){0};
    if (!tenant_valid(tenant) || !record_kind_valid(kind) || !record_key_valid(key))
        return ERR_BAD_NAME;
    memcpy(memory, RECORD_PREFIX, PREFIX_BYTES);
    memcpy(memory + size, kind.data, kind.size);
    size += kind.size;
    memory[size++] = '/';
    memcpy(memory + size, key.data, key.size);
    *out = (struct path){tenant, bytes_of(memory, size + key.size)};
    return OK;
}
