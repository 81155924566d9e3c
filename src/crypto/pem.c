#include "crypto/pem.h"

#include <stdio.h>
#include <string.h>

#include "crypto/base64.h"

enum { LABEL_BYTES_MAX = 32 };

/* Where `word` begins at or after `from`; -1: nowhere. */
static ptrdiff_t
find(struct bytes text, size_t from, const char *word)
{
    size_t size = strlen(word);

    for (size_t i = from; i < text.size && text.size - i >= size; i++)
        if (memcmp(text.data + i, word, size) == 0)
            return (ptrdiff_t)i;
    return -1;
}

bool
pem_next(struct bytes text, const char *label, size_t *at, struct buf *out)
{
    char begin[LABEL_BYTES_MAX + 17], end[LABEL_BYTES_MAX + 15];
    struct buf letters = {0};
    ptrdiff_t first, last;
    enum vault_err err = OK;
    size_t size = 0;

    (void)snprintf(begin, sizeof(begin), "-----BEGIN %s-----", label);
    (void)snprintf(end, sizeof(end), "-----END %s-----", label);
    first = find(text, *at, begin);
    if (first < 0)
        return false;
    size_t from = (size_t)first + strlen(begin);
    last = find(text, from, end);
    if (last < 0)
        return false;
    for (size_t i = from; i < (size_t)last && err == OK; i++) {
        if (!strchr(" \t\r\n", text.data[i]))
            err = buf_append(&letters, bytes_of(text.data + i, 1));
    }
    if (err == OK)
        err = buf_reserve(out, base64_decoded_size_max(letters.size) + 1);
    if (err == OK)
        err = base64_decode(buf_bytes(&letters), out->data + out->size, out->capacity - out->size,
                            &size);
    buf_close(&letters);
    out->size += size;
    *at = (size_t)last + strlen(end);
    return err == OK;
}

bool
pem_next_certificate(struct bytes text, size_t *at, struct buf *out)
{
    return pem_next(text, "CERTIFICATE", at, out);
}
