/*
 * What the codecs of proto/ share: fields with a range, composite fields, and the end of a record.
 * As in base/cbor.h, writer and reader latch their first error and later calls do nothing. The
 * writer refuses what the reader would: ERR_TOO_LARGE for sizes, ERR_RANGE for the rest.
 */
#ifndef OSTRAKA_PROTO_CODEC_H
#define OSTRAKA_PROTO_CODEC_H

#include "base/cbor.h"
#include "proto/msg.h"

/* First item of every immutable record: its kind and format, so that none can pass for another. */
enum record_format { RECORD_HEAD_1 = 1, RECORD_VERSION_1 = 2, RECORD_DEALING_1 = 3 };

enum {
    /* all boxes of a dealing */
    BOXES_BYTES_MAX = 9 + REPLICAS_MAX * (9 + BOX_BYTES_MAX),
    /* version records of a page, and one more that tells whether there is another page */
    RECORDS_BYTES_MAX = 9 + (PAGE_MAX + 1) * (9 + VERSION_BYTES_MAX),
};
enum {
    HANDOVER_BYTES_MAX = HEAD_BYTES_MAX + VERSION_BYTES_MAX + DEALING_BYTES_MAX + BOXES_BYTES_MAX +
                         TENANT_BYTES_MAX + NAME_BYTES_MAX + PROOF_BYTES_MAX + 256,
    /* a page ends with the item that fills it */
    RECOVERED_ITEMS_BYTES_MAX = RECOVER_PAGE_BYTES + HANDOVER_BYTES_MAX + 64,
};
static_assert(RECOVERED_ITEMS_BYTES_MAX + 2 * KEY_BYTES_MAX + 8192 <= FRAME_BYTES_MAX,
              "a RECOVERED fits a frame");
static_assert(RECORDS_BYTES_MAX + HEAD_BYTES_MAX + 8192 <= FRAME_BYTES_MAX,
              "a VERSIONS fits a frame");

bool codec_all_zero(const uint8_t *data, size_t size);
bool codec_visible_ascii(struct bytes text); /* '!' to '~'; true when empty */

/* Latches `err` unless `condition` holds. */
void codec_require(struct cbor_writer *w, bool condition, enum vault_err err);
void codec_put_fixed(struct cbor_writer *w, const uint8_t *data, size_t size);
void codec_put_bytes(struct cbor_writer *w, struct bytes value, size_t size_min, size_t size_max);
void codec_put_range(struct cbor_writer *w, uint64_t value, uint64_t min, uint64_t max);
void codec_put_ballot(struct cbor_writer *w, struct ballot ballot);
void codec_put_accepted(struct cbor_writer *w, const struct accepted *accepted);
void codec_put_incarnations(struct cbor_writer *w, const struct incarnations *incarnations);
void codec_put_pair_key_ids(struct cbor_writer *w, const struct pair_key_ids *ids);
/*
 * Ends a record that began where the buffer's size was `start` and may have `size_max` bytes. On
 * error the buffer is cut back to that, and what was written is wiped.
 */
MUST_CHECK enum vault_err codec_end(struct cbor_writer *w, size_t start, size_t size_max);

/* Refuses unless `condition` holds. */
void codec_expect(struct cbor_reader *r, bool condition);
struct bytes codec_get_bytes(struct cbor_reader *r, size_t size_min, size_t size_max);
uint64_t codec_get_range(struct cbor_reader *r, uint64_t min, uint64_t max);
void codec_get_array_of(struct cbor_reader *r, uint64_t count); /* of exactly that many */
void codec_get_ballot(struct cbor_reader *r, struct ballot *out);
void codec_get_accepted(struct cbor_reader *r, struct accepted *out);
void codec_get_incarnations(struct cbor_reader *r, struct incarnations *out);
void codec_get_pair_key_ids(struct cbor_reader *r, struct pair_key_ids *out);

#endif
