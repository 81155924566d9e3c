/*
 * A small writer of ASN.1 DER (X.690), as much as certificates need. Values are written in order;
 * a constructed one is begun, filled and ended, and its length is put in when it ends.
 *
 * The first error is latched: calls may be strung together and checked once at the end.
 */
#ifndef OSTRAKA_RUNTIME_DER_H
#define OSTRAKA_RUNTIME_DER_H

#include "base/bytes.h"

enum der_tag {
    DER_BOOLEAN = 0x01,
    DER_INTEGER = 0x02,
    DER_BIT_STRING = 0x03,
    DER_OCTET_STRING = 0x04,
    DER_OID = 0x06,
    DER_UTF8_STRING = 0x0c,
    DER_UTC_TIME = 0x17,
    DER_GENERALIZED_TIME = 0x18,
    DER_SEQUENCE = 0x30,
    DER_SET = 0x31,
    DER_CONTEXT = 0x80,             /* + number: primitive, as in [2] IMPLICIT */
    DER_CONTEXT_CONSTRUCTED = 0xa0, /* + number: as in [3] EXPLICIT */
};

struct der_writer {
    struct buf *buf;    /* borrowed; appended to */
    enum vault_err err; /* first error; later calls do nothing */
};

void der_writer_init(struct der_writer *w, struct buf *buf);
/* Begins a constructed value, or a string that holds DER. Returns a mark for der_end. */
size_t der_begin(struct der_writer *w, unsigned tag);
void der_end(struct der_writer *w, size_t mark);
void der_put(struct der_writer *w, unsigned tag, struct bytes content);
void der_put_raw(struct der_writer *w, struct bytes encoded); /* DER made elsewhere */
void der_put_true(struct der_writer *w);
void der_put_uint(struct der_writer *w, uint8_t value);               /* below 128 */
void der_put_unsigned(struct der_writer *w, struct bytes big_endian); /* INTEGER, minimal */
/* BIT STRING of whole bytes, or with `unused` bits at its end (0..7). */
void der_put_bits(struct der_writer *w, struct bytes bits, uint8_t unused);
/*
 * UTCTime through 2049, GeneralizedTime from 2050 (RFC 5280, 4.1.2.5). ERR_RANGE before 1970 or
 * after 9999.
 */
void der_put_time(struct der_writer *w, int64_t unix_seconds);

#endif
