#include "proto/record_path.h"

#include <string.h>

#include "proto/request.h"

enum { PREFIX_BYTES = sizeof(RECORD_PREFIX) - 1 };

#define BIT(byte) (UINT64_C(1) << ((byte) % 64))

/* Letters, digits and "._~@:+=-": every look at a record asks this of each byte of its key. */
static bool
is_key_byte(uint8_t byte)
{
    const uint64_t letters = (UINT64_C(1) << 26) - 1, digits = (UINT64_C(1) << 10) - 1;
    const uint64_t low = digits << '0' | BIT('+') | BIT('-') | BIT('.') | BIT(':') | BIT('=');
    const uint64_t high =
        letters << 'A' % 64 | letters << 'a' % 64 | BIT('@') | BIT('_') | BIT('~');
    return byte < 128 && ((byte < 64 ? low : high) & BIT(byte)) != 0;
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
        if (!is_key_byte(key.data[i]))
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
