#include "auth/ticket.h"

#include <assert.h>
#include <string.h>

#include "crypto/base64.h"
#include "crypto/secret.h"

enum {
    RANDOM_BYTES = 32,
    CHECK_BYTES = 4,
    RAW_BYTES = RANDOM_BYTES + CHECK_BYTES,
    PREFIX_BYTES = 4,
};
static_assert(RAW_BYTES % 3 == 0, "no unused bits");
static_assert(PREFIX_BYTES + RAW_BYTES / 3 * 4 == TICKET_TEXT_BYTES, "size of the text");

static const char *
prefix_of(enum ticket_kind kind)
{
    return kind == TICKET_TOKEN ? "ost_" : "oss_";
}

static void
hash_labelled(const char *label, enum ticket_kind kind, struct bytes data,
              uint8_t out[static HASH_BYTES])
{
    const struct bytes parts[] = {bytes_of_text(label), bytes_of_text(prefix_of(kind)), data};

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), out);
}

static void
check_of(enum ticket_kind kind, const uint8_t *random, uint8_t out[static CHECK_BYTES])
{
    uint8_t hash[HASH_BYTES];

    hash_labelled("ostraka ticket check 1", kind, bytes_of(random, RANDOM_BYTES), hash);
    memcpy(out, hash, CHECK_BYTES);
    bytes_wipe(hash, sizeof(hash));
}

enum vault_err
ticket_make(enum ticket_kind kind, const struct rng *rng, struct buf *out)
{
    uint8_t raw[RAW_BYTES];
    enum vault_err err = buf_reserve(out, TICKET_TEXT_BYTES + 1);

    if (err == OK)
        err = rng_fill(rng, raw, RANDOM_BYTES);
    if (err == OK) {
        check_of(kind, raw, raw + RANDOM_BYTES);
        err = buf_append_text(out, prefix_of(kind));
    }
    if (err == OK)
        err = base64url_encode(bytes_of(raw, sizeof(raw)), out);
    bytes_wipe(raw, sizeof(raw));
    return err;
}

bool
ticket_looks_like(enum ticket_kind kind, struct bytes text)
{
    return text.size >= PREFIX_BYTES && memcmp(text.data, prefix_of(kind), PREFIX_BYTES) == 0;
}

enum vault_err
ticket_hash(enum ticket_kind kind, struct bytes text, uint8_t out[static HASH_BYTES])
{
    uint8_t raw[RAW_BYTES], check[CHECK_BYTES];
    enum vault_err err = ERR_MALFORMED;
    size_t size;

    memset(out, 0, HASH_BYTES);
    if (text.size != TICKET_TEXT_BYTES || !ticket_looks_like(kind, text))
        return ERR_MALFORMED;
    text = bytes_of(text.data + PREFIX_BYTES, text.size - PREFIX_BYTES);
    if (base64url_decode(text, raw, sizeof(raw), &size) == OK && size == sizeof(raw)) {
        check_of(kind, raw, check);
        if (secret_equal(bytes_of(check, sizeof(check)),
                         bytes_of(raw + RANDOM_BYTES, CHECK_BYTES))) {
            hash_labelled("ostraka ticket 1", kind, bytes_of(raw, RANDOM_BYTES), out);
            err = OK;
        }
    }
    bytes_wipe(raw, sizeof(raw));
    return err;
}

void
ticket_accessor(const uint8_t hash[static HASH_BYTES], uint8_t out[static ACCESSOR_BYTES])
{
    const struct bytes parts[] = {bytes_of_text("ostraka accessor 1"), bytes_of(hash, HASH_BYTES)};
    uint8_t long_one[HASH_BYTES];

    hash_parts(parts, sizeof(parts) / sizeof(parts[0]), long_one);
    memcpy(out, long_one, ACCESSOR_BYTES);
}
