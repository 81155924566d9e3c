/*
 * Deterministic CBOR (RFC 8949, section 4.2.1), as much of it as we use: unsigned and negative
 * integers, byte strings, text strings (valid UTF-8), definite arrays and maps, false, true, null.
 *
 * Strict: the reader refuses integers and lengths that are not in their shortest form, indefinite
 * lengths, tags, floats, other simple values, map keys that are not strictly ascending, text that
 * is not UTF-8, and anything that would pass the end of the input. One value, one byte string: what
 * the reader accepts, the writer writes back byte for byte.
 *
 * Both sides latch their first error: calls may be strung together and checked once at the end.
 */
#ifndef OSTRAKA_BASE_CBOR_H
#define OSTRAKA_BASE_CBOR_H

#include "base/bytes.h"

enum cbor_type {
    CBOR_UINT,
    CBOR_NEGATIVE,
    CBOR_BYTES,
    CBOR_TEXT,
    CBOR_ARRAY,
    CBOR_MAP,
    CBOR_TAG, /* never accepted by the reader */
    CBOR_SIMPLE,
};

struct cbor_writer {
    struct buf *buf;    /* borrowed; appended to */
    enum vault_err err; /* first error; later calls do nothing */
};

void cbor_writer_init(struct cbor_writer *w, struct buf *buf);
void cbor_put_uint(struct cbor_writer *w, uint64_t value);
void cbor_put_negative(struct cbor_writer *w, uint64_t n); /* the value -1 - n */
void cbor_put_bytes(struct cbor_writer *w, struct bytes value);
void cbor_put_text(struct cbor_writer *w,
                   struct bytes value); /* must be UTF-8, else ERR_MALFORMED */
void cbor_put_array(struct cbor_writer *w, uint64_t count);
void cbor_put_map(struct cbor_writer *w, uint64_t pairs); /* the caller keeps keys ascending */
void cbor_put_bool(struct cbor_writer *w, bool value);
void cbor_put_null(struct cbor_writer *w);

struct cbor_reader {
    const uint8_t *at;
    const uint8_t *end;
    enum vault_err err; /* ERR_MALFORMED once anything was refused */
};

void cbor_reader_init(struct cbor_reader *r, struct bytes input);
/* Type of the next item without consuming it; false (and no latch) at the end or after an error. */
bool cbor_peek(const struct cbor_reader *r, enum cbor_type *type);
uint64_t cbor_get_uint(struct cbor_reader *r);
uint64_t cbor_get_uint_max(struct cbor_reader *r, uint64_t max);     /* latches when larger */
uint64_t cbor_get_negative(struct cbor_reader *r);                   /* n of -1 - n */
struct bytes cbor_get_bytes(struct cbor_reader *r, size_t size_max); /* borrowed from the input */
void cbor_get_fixed(struct cbor_reader *r, uint8_t *out,
                    size_t size); /* byte string of exactly `size`; zeroes `out` on error */
struct bytes cbor_get_text(struct cbor_reader *r, size_t size_max); /* borrowed from the input */
uint64_t cbor_get_array(struct cbor_reader *r, uint64_t count_max);
uint64_t cbor_get_map(struct cbor_reader *r, uint64_t pairs_max);
bool cbor_get_bool(struct cbor_reader *r);
void cbor_get_null(struct cbor_reader *r);
/*
 * Checks and consumes one whole item of any accepted kind, nested at most 16 deep, map keys
 * ascending (bytewise order of their encodings).
 */
void cbor_skip(struct cbor_reader *r);
/* OK when everything was accepted and the input is consumed exactly, else the latched error. */
MUST_CHECK enum vault_err cbor_finish(const struct cbor_reader *r);

/* Valid UTF-8: no overlong form, no surrogate, nothing above U+10FFFF. NUL is allowed. */
bool utf8_valid(struct bytes text);

#endif
