#include "crypto/revocation_list.h"

#include <string.h>

#include "crypto/certificate.h"

enum {
    TAG_BOOLEAN = 0x01,
    TAG_INTEGER = 0x02,
    TAG_BIT_STRING = 0x03,
    TAG_OCTET_STRING = 0x04,
    TAG_OID = 0x06,
    TAG_UTC_TIME = 0x17,
    TAG_GENERALIZED_TIME = 0x18,
    TAG_SEQUENCE = 0x30,
    TAG_EXTENSIONS = 0xa0, /* [0], of the list */
    VERSION_2 = 1,
    HALF_BYTES = P256_KEY_BYTES / 2,
};

/* ---- DER ---- */

/* What has been read is gone from it. Once something was wrong, nothing is there any more. */
struct der {
    struct bytes left;
    bool bad;
};

static bool
der_at(const struct der *d, uint8_t tag)
{
    return d->left.size > 0 && d->left.data[0] == tag;
}

static struct bytes
der_fail(struct der *d)
{
    *d = (struct der){.bad = true};
    return (struct bytes){0};
}

/* Content of the next value, which must have that tag; `whole`: with tag and length, or NULL. */
static struct bytes
der_take(struct der *d, uint8_t tag, struct bytes *whole)
{
    const uint8_t *data = d->left.data;
    size_t head = 2, size;

    if (whole)
        *whole = (struct bytes){0};
    if (!der_at(d, tag) || d->left.size < 2)
        return der_fail(d);
    size = data[1];
    if (size >= 0x80) { /* as few bytes of length as will do, and no more than three */
        size_t count = size & 0x7f;

        if (count == 0 || count > 3 || d->left.size < 2 + count || data[2] == 0)
            return der_fail(d);
        size = 0;
        for (size_t i = 0; i < count; i++)
            size = size << 8 | data[2 + i];
        if (size < 0x80)
            return der_fail(d);
        head += count;
    }
    if (size > d->left.size - head)
        return der_fail(d);
    if (whole)
        *whole = bytes_of(data, head + size);
    d->left = bytes_of(data + head + size, d->left.size - head - size);
    return bytes_of(data + head, size);
}

static struct der
der_open(struct der *d, uint8_t tag)
{
    struct bytes content = der_take(d, tag, NULL);

    return (struct der){.left = content, .bad = d->bad};
}

static bool
der_end(const struct der *d)
{
    return !d->bad && d->left.size == 0;
}

/*
 * Without the zero that only says that it is not negative; an authority's number that is negative
 * stays as it is.
 */
static struct bytes
der_take_integer(struct der *d, size_t max)
{
    struct bytes content = der_take(d, TAG_INTEGER, NULL);

    if (content.size > 1 && content.data[0] == 0) {
        if ((content.data[1] & 0x80) == 0)
            return der_fail(d);
        content = bytes_of(content.data + 1, content.size - 1);
    }
    return content.size == 0 || content.size > max ? der_fail(d) : content;
}

static uint64_t
der_take_time(struct der *d)
{
    uint8_t tag = der_at(d, TAG_UTC_TIME) ? TAG_UTC_TIME : TAG_GENERALIZED_TIME;
    struct bytes text = der_take(d, tag, NULL);
    uint64_t time = 0;

    if (!d->bad && !certificate_time(tag, text, &time))
        (void)der_fail(d);
    return time;
}

/* ---- extensions ---- */

struct extension {
    struct bytes id;
    bool critical;
    struct bytes value;
};

static struct extension
take_extension(struct der *list)
{
    struct der d = der_open(list, TAG_SEQUENCE);
    struct extension out = {.id = der_take(&d, TAG_OID, NULL)};

    if (der_at(&d, TAG_BOOLEAN)) {
        struct bytes value = der_take(&d, TAG_BOOLEAN, NULL);

        out.critical = value.size == 1 && value.data[0] == 0xff;
        if (!out.critical) /* false is the default, and not written */
            (void)der_fail(&d);
    }
    out.value = der_take(&d, TAG_OCTET_STRING, NULL);
    if (!der_end(&d))
        (void)der_fail(list);
    return out;
}

static bool
is_number(struct bytes id)
{
    static const uint8_t crl_number[] = {0x55, 0x1d, 0x14};

    return bytes_equal(id, bytes_of(crl_number, sizeof(crl_number)));
}

/* Of the list: its number, once. Whatever else is critical is not understood. */
static bool
read_extensions(struct der *tbs, struct bytes *number)
{
    struct der outer = der_open(tbs, TAG_EXTENSIONS), list = der_open(&outer, TAG_SEQUENCE);

    if (!der_end(&outer))
        return false;
    while (list.left.size > 0 && !list.bad) {
        struct extension extension = take_extension(&list);
        struct der value = {.left = extension.value, .bad = list.bad};

        if (!is_number(extension.id)) {
            if (extension.critical)
                return false;
            continue;
        }
        if (number->size > 0)
            return false;
        *number = der_take_integer(&value, REVOCATION_NUMBER_BYTES_MAX);
        if (!der_end(&value))
            return false;
    }
    return der_end(&list);
}

/* Of one certificate: why it was revoked and such. */
static bool
check_entry_extensions(struct der *entry)
{
    struct der list = der_open(entry, TAG_SEQUENCE);

    while (list.left.size > 0 && !list.bad) {
        if (take_extension(&list).critical)
            return false;
    }
    return der_end(&list);
}

/* ---- signatures ---- */

/* `algorithm`: the content of an AlgorithmIdentifier. */
static bool
read_algorithm(struct bytes algorithm, enum signature_kind *out)
{
    static const uint8_t ecdsa[] = {0x06, 0x08, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x04, 0x03, 0x02};
    static const uint8_t rsa[] = {0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7,
                                  0x0d, 0x01, 0x01, 0x0b, 0x05, 0x00};
    static const uint8_t ed25519[] = {0x06, 0x03, 0x2b, 0x65, 0x70};

    if (bytes_equal(algorithm, bytes_of(ecdsa, sizeof(ecdsa))))
        *out = SIGNATURE_P256;
    else if (bytes_equal(algorithm, bytes_of(rsa, sizeof(rsa))))
        *out = SIGNATURE_RSA;
    else if (bytes_equal(algorithm, bytes_of(ed25519, sizeof(ed25519))))
        *out = SIGNATURE_ED25519;
    else
        return false;
    return true;
}

/* r and s of an ECDSA signature, each of full size. */
static bool
read_r_and_s(struct bytes signature, uint8_t out[static P256_KEY_BYTES])
{
    struct der outer = {.left = signature}, d = der_open(&outer, TAG_SEQUENCE);
    struct bytes r = der_take_integer(&d, HALF_BYTES), s = der_take_integer(&d, HALF_BYTES);

    if (!der_end(&d) || !der_end(&outer) || !r.data || !s.data)
        return false;
    memset(out, 0, P256_KEY_BYTES);
    memcpy(out + HALF_BYTES - r.size, r.data, r.size);
    memcpy(out + P256_KEY_BYTES - s.size, s.data, s.size);
    return true;
}

bool
revocation_list_signed_by(const struct revocation_list *list, struct bytes authority)
{
    struct certificate certificate;
    struct bytes subject, signature = list->signature;
    uint8_t raw[P256_KEY_BYTES], mark[HASH_BYTES];
    struct public_key key;

    if (certificate_read(authority, &certificate) != OK || !certificate.signs_lists ||
        certificate_authority_of(authority, &subject, mark) != OK ||
        !bytes_equal(subject, list->issuer))
        return false;
    key = certificate.key;
    if (key.kind == SIGNATURE_RSA_PSS)
        key.kind = SIGNATURE_RSA;
    if (key.kind != list->signed_as)
        return false;
    if (key.kind == SIGNATURE_P256) {
        if (!read_r_and_s(signature, raw))
            return false;
        signature = bytes_of(raw, sizeof(raw));
    }
    return signature_verify(&key, list->signed_bytes, signature);
}

/* ---- the list ---- */

static bool
check_entries(struct bytes entries)
{
    struct der list = {.left = entries};

    while (list.left.size > 0 && !list.bad) {
        struct der entry = der_open(&list, TAG_SEQUENCE);

        (void)der_take_integer(&entry, CERTIFICATE_SERIAL_BYTES_MAX);
        (void)der_take_time(&entry);
        if (entry.left.size > 0 && !check_entry_extensions(&entry))
            return false;
        if (!der_end(&entry))
            return false;
    }
    return der_end(&list);
}

/* The part that is signed. */
static bool
read_content(struct bytes content, struct bytes *algorithm, struct revocation_list *out)
{
    struct der tbs = {.left = content};
    struct bytes version = der_take_integer(&tbs, 1);

    if (version.size != 1 || version.data[0] != VERSION_2)
        return false;
    *algorithm = der_take(&tbs, TAG_SEQUENCE, NULL);
    out->issuer = der_take(&tbs, TAG_SEQUENCE, NULL);
    out->this_update_ms = der_take_time(&tbs);
    out->next_update_ms = der_take_time(&tbs);
    if (der_at(&tbs, TAG_SEQUENCE))
        out->entries = der_take(&tbs, TAG_SEQUENCE, NULL);
    return !tbs.bad && check_entries(out->entries) && read_extensions(&tbs, &out->number) &&
           der_end(&tbs) && out->number.size > 0 && out->next_update_ms > out->this_update_ms;
}

enum vault_err
revocation_list_read(struct bytes der, struct revocation_list *out)
{
    struct der outer = {.left = der}, list = der_open(&outer, TAG_SEQUENCE);
    struct bytes content, algorithm, again, bits;

    *out = (struct revocation_list){0};
    content = der_take(&list, TAG_SEQUENCE, &out->signed_bytes);
    again = der_take(&list, TAG_SEQUENCE, NULL);
    bits = der_take(&list, TAG_BIT_STRING, NULL);
    if (der_end(&list) && der_end(&outer) && bits.size > 1 && bits.data[0] == 0 &&
        read_content(content, &algorithm, out) && bytes_equal(algorithm, again) &&
        read_algorithm(algorithm, &out->signed_as)) {
        out->signature = bytes_of(bits.data + 1, bits.size - 1);
        return OK;
    }
    *out = (struct revocation_list){0};
    return ERR_MALFORMED;
}

bool
revocation_list_next(struct revocation_list *list, struct bytes *serial)
{
    struct der d = {.left = list->entries}, entry;

    *serial = (struct bytes){0};
    if (d.left.size == 0)
        return false;
    entry = der_open(&d, TAG_SEQUENCE);
    *serial = der_take_integer(&entry, CERTIFICATE_SERIAL_BYTES_MAX);
    list->entries = d.left;
    return serial->size > 0;
}

int
revocation_number_compare(struct bytes a, struct bytes b)
{
    if (a.size != b.size)
        return a.size < b.size ? -1 : 1;
    return bytes_compare(a, b);
}
