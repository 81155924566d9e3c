#include "proto/alteration.h"

#include <string.h>

#include "proto/codec.h"

/* ---- custom metadata ---- */

static bool
pairs_valid(const struct custom_pair *pairs, size_t count)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++) {
        const struct custom_pair *p = &pairs[i];
        bytes += p->key.size + p->value.size;
        if (p->key.size == 0 || p->key.size > METADATA_KEY_BYTES_MAX || !utf8_valid(p->key) ||
            !utf8_valid(p->value))
            return false;
        if (i > 0 && bytes_compare(pairs[i - 1].key, p->key) >= 0)
            return false;
    }
    return bytes <= METADATA_BYTES_MAX;
}

enum vault_err
metadata_decode(struct bytes encoded, struct custom_pair out[static METADATA_PAIRS_MAX],
                size_t *count)
{
    struct bytes items[2 * METADATA_PAIRS_MAX];
    size_t found = 0;
    *count = 0;
    if (encoded.size == 0)
        return OK;
    if (encoded.size > METADATA_ENCODED_BYTES_MAX ||
        bytes_list_decode(encoded, METADATA_BYTES_MAX, items, 2 * METADATA_PAIRS_MAX, &found) !=
            OK ||
        found == 0 || found % 2 != 0)
        return ERR_MALFORMED;
    for (size_t i = 0; i < found / 2; i++)
        out[i] = (struct custom_pair){items[2 * i], items[2 * i + 1]};
    if (!pairs_valid(out, found / 2))
        return ERR_MALFORMED;
    *count = found / 2;
    return OK;
}

bool
metadata_valid(struct bytes encoded)
{
    struct custom_pair pairs[METADATA_PAIRS_MAX];
    size_t count;
    return metadata_decode(encoded, pairs, &count) == OK;
}

static enum vault_err
metadata_encode(const struct custom_pair *pairs, size_t count, struct buf *out)
{
    struct bytes items[2 * METADATA_PAIRS_MAX];
    for (size_t i = 0; i < count; i++) {
        items[2 * i] = pairs[i].key;
        items[2 * i + 1] = pairs[i].value;
    }
    return count == 0 ? OK : bytes_list_encode(items, 2 * count, out);
}

/* Both lists are in the order of their keys. */
static enum vault_err
metadata_merge(const struct alteration *a, const struct custom_pair *have, size_t have_count,
               struct custom_pair *out, size_t *count)
{
    size_t i = 0, j = 0;
    *count = 0;
    while (i < have_count || j < a->metadata_count) {
        int order = i == have_count          ? 1
                    : j == a->metadata_count ? -1
                                             : bytes_compare(have[i].key, a->metadata[j].key);
        struct custom_pair pair;
        bool kept = true;
        if (order < 0) {
            pair = have[i++];
        } else {
            const struct metadata_change *change = &a->metadata[j++];
            pair = (struct custom_pair){change->key, change->value};
            kept = !change->removed;
            i += order == 0;
        }
        if (!kept)
            continue;
        if (*count == METADATA_PAIRS_MAX)
            return ERR_TOO_LARGE;
        out[(*count)++] = pair;
    }
    return pairs_valid(out, *count) ? OK : ERR_TOO_LARGE;
}

static enum vault_err
apply_metadata(const struct alteration *a, struct head *head, struct buf *memory)
{
    struct custom_pair have[METADATA_PAIRS_MAX], merged[METADATA_PAIRS_MAX];
    size_t have_count, count;
    enum vault_err err = metadata_decode(head->metadata, have, &have_count);
    if (err == OK)
        err = metadata_merge(a, have, have_count, merged, &count);
    if (err == OK)
        err = metadata_encode(merged, count, memory);
    head->metadata = buf_bytes(memory);
    return err;
}

/* ---- single versions ---- */

static enum vault_err
bit_of(const struct head *head, uint64_t version, uint64_t *bit)
{
    *bit = 0;
    if (version < head->oldest_version || version > head->version)
        return ERR_NOT_FOUND;
    *bit = UINT64_C(1) << (version - head->oldest_version);
    return OK;
}

static enum vault_err
apply_versions(const struct alteration *a, struct head *head)
{
    uint64_t bit;
    for (size_t i = 0; i < a->soft_delete.count; i++) {
        if (bit_of(head, a->soft_delete.of[i], &bit) != OK || (head->destroyed & bit))
            return ERR_NOT_FOUND;
        head->soft_deleted |= bit;
    }
    for (size_t i = 0; i < a->undelete.count; i++) {
        if (bit_of(head, a->undelete.of[i], &bit) != OK || (head->destroyed & bit))
            return ERR_NOT_FOUND;
        head->soft_deleted &= ~bit;
    }
    for (size_t i = 0; i < a->destroy.count; i++) {
        if (bit_of(head, a->destroy.of[i], &bit) != OK)
            return ERR_NOT_FOUND;
        head->soft_deleted &= ~bit;
        head->destroyed |= bit;
    }
    return OK;
}

enum vault_err
alteration_apply(const struct alteration *a, uint64_t now_ms, struct head *head, struct buf *memory)
{
    enum vault_err err = apply_versions(a, head);
    buf_close(memory);
    if (err != OK)
        return err;
    if (a->has_max_versions) {
        head->max_versions = a->max_versions;
        head_keep_versions(head);
    }
    if (a->has_expires_at)
        head->expires_at_ms = a->expires_at_ms;
    if (a->has_expires_in) {
        if (a->expires_in_ms > TIME_MS_MAX || now_ms > TIME_MS_MAX - a->expires_in_ms)
            return ERR_RANGE;
        head->expires_at_ms = now_ms + a->expires_in_ms;
    }
    return a->metadata_count > 0 ? apply_metadata(a, head, memory) : OK;
}

/* ---- what it is ---- */

bool
alteration_erases(const struct alteration *a)
{
    return a->soft_delete.count > 0 || a->destroy.count > 0 || a->has_max_versions ||
           a->has_expires_at || a->has_expires_in;
}

bool
alteration_updates(const struct alteration *a)
{
    return a->undelete.count > 0 || a->metadata_count > 0;
}

static void
put_list(struct cbor_writer *w, const struct version_list *list)
{
    cbor_put_array(w, list->count);
    for (size_t i = 0; i < list->count; i++)
        cbor_put_uint(w, list->of[i]);
}

static void
put_alteration(struct cbor_writer *w, const struct alteration *a)
{
    put_list(w, &a->soft_delete);
    put_list(w, &a->undelete);
    put_list(w, &a->destroy);
    cbor_put_uint(w, a->has_max_versions);
    cbor_put_uint(w, a->max_versions);
    cbor_put_uint(w, a->has_expires_at);
    cbor_put_uint(w, a->expires_at_ms);
    cbor_put_uint(w, a->has_expires_in);
    cbor_put_uint(w, a->expires_in_ms);
    for (size_t i = 0; i < a->metadata_count; i++) {
        cbor_put_bytes(w, a->metadata[i].key);
        cbor_put_bytes(w, a->metadata[i].value);
        cbor_put_uint(w, a->metadata[i].removed);
    }
}

void
alteration_fingerprint(const struct alteration *a, uint8_t out[static ALTERATION_PRINT_BYTES])
{
    struct buf encoded = {0};
    struct cbor_writer w;
    uint8_t hash[HASH_BYTES];
    cbor_writer_init(&w, &encoded);
    put_alteration(&w, a);
    struct bytes parts[] = {bytes_of_text("ostraka alteration 1"), buf_bytes(&encoded)};
    hash_parts(parts, 2, hash);
    memcpy(out, hash, ALTERATION_PRINT_BYTES);
    buf_close(&encoded);
}
