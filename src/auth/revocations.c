#include "auth/revocations.h"

#include <stdlib.h>
#include <string.h>

#include "proto/codec.h"

enum { REVOCATIONS_FIELDS = 6 };

static_assert(REVOCATIONS_MAX * REVOCATION_MARK_BYTES + 256 <= AUTH_RECORD_BYTES_MAX,
              "a list fits a record");

static int
compare_marks(const void *a, const void *b)
{
    return memcmp(a, b, REVOCATION_MARK_BYTES);
}

size_t
revocations_count(const struct revocations *revocations)
{
    return revocations->marks.size / REVOCATION_MARK_BYTES;
}

static bool
well_formed(const struct revocations *r)
{
    if (r->number.size == 0 || r->number.size > REVOCATION_NUMBER_BYTES_MAX ||
        (r->number.size > 1 && r->number.data[0] == 0) || r->next_update_ms <= r->this_update_ms ||
        r->marks.size % REVOCATION_MARK_BYTES != 0 || revocations_count(r) > REVOCATIONS_MAX)
        return false;
    for (size_t at = REVOCATION_MARK_BYTES; at < r->marks.size; at += REVOCATION_MARK_BYTES) {
        if (compare_marks(r->marks.data + at - REVOCATION_MARK_BYTES, r->marks.data + at) >= 0)
            return false;
    }
    return true;
}

enum vault_err
revocations_encode(const struct revocations *revocations, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!well_formed(revocations))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, REVOCATIONS_FIELDS);
    cbor_put_uint(&w, AUTH_CLIENT_REVOCATIONS_1);
    codec_put_fixed(&w, revocations->authority, HASH_BYTES);
    cbor_put_bytes(&w, revocations->number);
    cbor_put_uint(&w, revocations->this_update_ms);
    cbor_put_uint(&w, revocations->next_update_ms);
    cbor_put_bytes(&w, revocations->marks);
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

enum vault_err
revocations_decode(struct bytes encoded, struct revocations *out)
{
    struct cbor_reader r;

    *out = (struct revocations){0};
    auth_reader_init(&r, encoded, AUTH_CLIENT_REVOCATIONS_1, REVOCATIONS_FIELDS);
    cbor_get_fixed(&r, out->authority, HASH_BYTES);
    out->number = cbor_get_bytes(&r, REVOCATION_NUMBER_BYTES_MAX);
    out->this_update_ms = cbor_get_uint(&r);
    out->next_update_ms = cbor_get_uint(&r);
    out->marks = cbor_get_bytes(&r, (size_t)REVOCATIONS_MAX * REVOCATION_MARK_BYTES);
    codec_expect(&r, r.err == OK && well_formed(out));
    if (cbor_finish(&r) == OK)
        return OK;
    *out = (struct revocations){0};
    return ERR_MALFORMED;
}

static void
mark_of(struct bytes serial, uint8_t out[static REVOCATION_MARK_BYTES])
{
    struct bytes parts[] = {bytes_of_text("ostraka revoked serial 1"), serial};
    uint8_t hash[HASH_BYTES];

    hash_parts(parts, 2, hash);
    memcpy(out, hash, REVOCATION_MARK_BYTES);
}

/* Some authorities list a certificate twice. */
static size_t
without_repetitions(uint8_t *marks, size_t count)
{
    size_t kept = 0;

    for (size_t i = 0; i < count; i++) {
        const uint8_t *mark = marks + i * REVOCATION_MARK_BYTES;

        if (kept == 0 || compare_marks(marks + (kept - 1) * REVOCATION_MARK_BYTES, mark) != 0)
            memmove(marks + kept++ * REVOCATION_MARK_BYTES, mark, REVOCATION_MARK_BYTES);
    }
    return kept;
}

enum vault_err
revocations_of(const struct revocation_list *list, const uint8_t authority[static HASH_BYTES],
               struct arena *arena, struct revocations *out)
{
    struct revocation_list rest = *list;
    uint8_t *marks = arena_alloc(arena, (size_t)REVOCATIONS_MAX * REVOCATION_MARK_BYTES);
    struct bytes serial;
    size_t count = 0;

    *out = (struct revocations){0};
    if (!marks)
        return ERR_NOMEM;
    while (revocation_list_next(&rest, &serial)) {
        if (count == REVOCATIONS_MAX)
            return ERR_TOO_LARGE;
        mark_of(serial, marks + count++ * REVOCATION_MARK_BYTES);
    }
    qsort(marks, count, REVOCATION_MARK_BYTES, compare_marks);
    count = without_repetitions(marks, count);
    *out = (struct revocations){.number = list->number,
                                .this_update_ms = list->this_update_ms,
                                .next_update_ms = list->next_update_ms,
                                .marks = bytes_of(marks, count * REVOCATION_MARK_BYTES)};
    memcpy(out->authority, authority, HASH_BYTES);
    return OK;
}

bool
revocations_have(const struct revocations *revocations, struct bytes serial)
{
    uint8_t mark[REVOCATION_MARK_BYTES];

    if (revocations->marks.size == 0)
        return false;
    mark_of(serial, mark);
    return bsearch(mark, revocations->marks.data, revocations_count(revocations),
                   REVOCATION_MARK_BYTES, compare_marks) != NULL;
}
