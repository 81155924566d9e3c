#include "auth/known_tickets.h"

#include <stdlib.h>
#include <string.h>

#include "crypto/secret.h"

struct known_ticket {
    uint8_t tag[SHORT_HASH_WIDE_BYTES]; /* of the text; all zero: no entry */
    uint8_t hash[HASH_BYTES];
    uint8_t accessor[ACCESSOR_BYTES];
};

struct known_tickets {
    uint8_t key[SHORT_HASH_BYTES];
    struct known_ticket entries[KNOWN_TICKETS];
};

enum vault_err
known_tickets_new(const uint8_t key[static SHORT_HASH_BYTES], struct known_tickets **out)
{
    *out = calloc(1, sizeof(**out));
    if (!*out)
        return ERR_NOMEM;
    memcpy((*out)->key, key, SHORT_HASH_BYTES);
    return OK;
}

void
known_tickets_free(struct known_tickets *known)
{
    if (known)
        bytes_wipe(known, sizeof(*known));
    free(known);
}

static size_t
place_of(const uint8_t tag[static SHORT_HASH_WIDE_BYTES])
{
    return ((size_t)tag[0] << 8 | tag[1]) % KNOWN_TICKETS;
}

enum vault_err
known_tickets_hash(const struct known_tickets *known, struct bytes text,
                   uint8_t hash[static HASH_BYTES], uint8_t accessor[static ACCESSOR_BYTES],
                   bool *was_known)
{
    uint8_t tag[SHORT_HASH_WIDE_BYTES];

    memset(accessor, 0, ACCESSOR_BYTES);
    *was_known = false;
    if (known && text.size == TICKET_TEXT_BYTES) {
        hash_short_wide(known->key, text, tag);
        const struct known_ticket *entry = &known->entries[place_of(tag)];
        *was_known = secret_equal(bytes_of(tag, sizeof(tag)), bytes_of(entry->tag, sizeof(tag)));
        if (*was_known) {
            memcpy(hash, entry->hash, HASH_BYTES);
            memcpy(accessor, entry->accessor, ACCESSOR_BYTES);
            return OK;
        }
    }
    enum vault_err err = ticket_hash(TICKET_TOKEN, text, hash);
    if (err == OK)
        ticket_accessor(hash, accessor);
    return err;
}

void
known_tickets_add(struct known_tickets *known, struct bytes text,
                  const uint8_t hash[static HASH_BYTES],
                  const uint8_t accessor[static ACCESSOR_BYTES])
{
    uint8_t tag[SHORT_HASH_WIDE_BYTES];

    if (!known || text.size != TICKET_TEXT_BYTES)
        return;
    hash_short_wide(known->key, text, tag);
    struct known_ticket *entry = &known->entries[place_of(tag)];
    memcpy(entry->tag, tag, sizeof(tag));
    memcpy(entry->hash, hash, HASH_BYTES);
    memcpy(entry->accessor, accessor, ACCESSOR_BYTES);
}
