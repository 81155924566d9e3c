#include "auth/address.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

enum { V4_BYTES = 4, V6_BYTES = 16 };

static const uint8_t v4_in_v6[V6_BYTES - V4_BYTES] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

enum vault_err
address_of(struct bytes data, struct address *out)
{
    *out = (struct address){0};
    if (data.size == V6_BYTES && memcmp(data.data, v4_in_v6, sizeof(v4_in_v6)) == 0)
        data = bytes_of(data.data + sizeof(v4_in_v6), V4_BYTES);
    if (data.size != V4_BYTES && data.size != V6_BYTES)
        return ERR_MALFORMED;
    out->size = (uint8_t)data.size;
    memcpy(out->data, data.data, data.size);
    return OK;
}

enum vault_err
address_parse(struct bytes text, struct address *out)
{
    char copy[ADDRESS_TEXT_BYTES_MAX + 1] = "";
    uint8_t data[V6_BYTES];

    *out = (struct address){0};
    if (text.size == 0 || text.size > ADDRESS_TEXT_BYTES_MAX ||
        memchr(text.data, '\0', text.size) != NULL)
        return ERR_MALFORMED;
    memcpy(copy, text.data, text.size);
    if (inet_pton(AF_INET, copy, data) == 1)
        return address_of(bytes_of(data, V4_BYTES), out);
    if (inet_pton(AF_INET6, copy, data) == 1)
        return address_of(bytes_of(data, V6_BYTES), out);
    return ERR_MALFORMED;
}

static bool
equal(struct address a, struct address b)
{
    return a.size == b.size && memcmp(a.data, b.data, a.size) == 0;
}

/* Whether the first `count` bits are the same. */
static bool
bits_equal(const uint8_t *a, const uint8_t *b, unsigned count)
{
    unsigned whole = count / 8, rest = count % 8;

    if (memcmp(a, b, whole) != 0)
        return false;
    return rest == 0 || ((a[whole] ^ b[whole]) >> (8 - rest)) == 0;
}

bool
cidr_valid(const struct cidr *cidr)
{
    struct address masked = {.size = cidr->base.size};
    struct address again;
    unsigned whole = cidr->prefix / 8, rest = cidr->prefix % 8;

    if (address_of(bytes_of(cidr->base.data, cidr->base.size), &again) != OK ||
        again.size != cidr->base.size || cidr->prefix > again.size * 8u)
        return false;
    memcpy(masked.data, again.data, whole);
    if (rest > 0)
        masked.data[whole] = (uint8_t)(again.data[whole] & (0xffu << (8 - rest)));
    return equal(masked, again);
}

static bool
parse_prefix(struct bytes text, uint8_t *out)
{
    unsigned number = 0;

    *out = 0;
    if (text.size == 0 || text.size > 3 || (text.size > 1 && text.data[0] == '0'))
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
        number = number * 10 + (unsigned)(text.data[i] - '0');
    }
    *out = (uint8_t)number;
    return number <= 128;
}

enum vault_err
cidr_parse(struct bytes text, struct cidr *out)
{
    const uint8_t *slash = text.size > 0 ? memchr(text.data, '/', text.size) : NULL;
    size_t size = slash ? (size_t)(slash - text.data) : text.size;
    struct cidr cidr;

    *out = (struct cidr){0};
    if (address_parse(bytes_of(text.data, size), &cidr.base) != OK)
        return ERR_MALFORMED;
    cidr.prefix = (uint8_t)(cidr.base.size * 8);
    if (slash) {
        /* A prefix counts the bits of the form that was written. */
        if (cidr.base.size == V4_BYTES && memchr(text.data, ':', size) != NULL)
            return ERR_MALFORMED;
        if (!parse_prefix(bytes_of(slash + 1, text.size - size - 1), &cidr.prefix))
            return ERR_MALFORMED;
    }
    if (!cidr_valid(&cidr))
        return ERR_MALFORMED;
    *out = cidr;
    return OK;
}

bool
cidr_contains(const struct cidr *cidr, struct address address)
{
    if (address.size == 0 || address.size != cidr->base.size)
        return false;
    return bits_equal(cidr->base.data, address.data, cidr->prefix);
}

void
cidr_format(const struct cidr *cidr, char out[static CIDR_TEXT_BYTES_MAX + 1])
{
    size_t used;

    out[0] = '\0';
    if (!inet_ntop(cidr->base.size == V4_BYTES ? AF_INET : AF_INET6, cidr->base.data, out,
                   CIDR_TEXT_BYTES_MAX + 1))
        return;
    used = strlen(out);
    (void)snprintf(out + used, CIDR_TEXT_BYTES_MAX + 1 - used, "/%u", cidr->prefix);
}
