/*
 * Dealings as two byte strings. Public part: [format, id, suite, k, nodes (a byte each),
 * ciphertext, key commitment, share commitments (n times 32 bytes), hashes of the boxes (n times
 * 32 bytes)]. Boxes: an array of n byte strings.
 */
#include "proto/codec.h"

enum {
    DEALING_FIELDS = 9,
    CIPHERTEXT_BYTES_MAX =
        VALUE_BYTES_MAX + 1024, /* value, content type, fingerprint, padding, tag */
    PUBLIC_BYTES_MAX = DEALING_FIELDS * 9 + DEALING_ID_BYTES + REPLICAS_MAX + CIPHERTEXT_BYTES_MAX +
                       HASH_BYTES + 2 * REPLICAS_MAX * HASH_BYTES,
};

static_assert(PUBLIC_BYTES_MAX + BOXES_BYTES_MAX <= DEALING_BYTES_MAX, "every dealing fits");
static_assert(CONTENT_TYPE_BYTES_MAX + FINGERPRINT_BYTES + 4 * 9 + 64 + 16 <=
                  CIPHERTEXT_BYTES_MAX - VALUE_BYTES_MAX,
              "every value fits its ciphertext");
static_assert(NODES_MAX <= 32, "node numbers fit a mask of 32 bits");

static bool
nodes_distinct(const struct dealing *dealing)
{
    unsigned seen = 0;

    for (unsigned i = 0; i < dealing->count; i++) {
        unsigned bit;

        if (dealing->nodes[i] >= NODES_MAX)
            return false;
        bit = 1u << dealing->nodes[i];
        if (seen & bit)
            return false;
        seen |= bit;
    }
    return true;
}

/* With a threshold of one every share is the key itself: only where there is no second node. */
static bool
public_valid(const struct dealing *dealing)
{
    if (dealing->suite != DEALING_SUITE_1)
        return false;
    if (dealing->count < 1 || dealing->count > REPLICAS_MAX)
        return false;
    if (dealing->threshold < 1 || dealing->threshold > dealing->count)
        return false;
    if (dealing->threshold == 1 && dealing->count > 1)
        return false;
    return nodes_distinct(dealing);
}

enum vault_err
dealing_encode_public(const struct dealing *dealing, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!public_valid(dealing))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, DEALING_FIELDS);
    cbor_put_uint(&w, RECORD_DEALING_1);
    codec_put_fixed(&w, dealing->id, DEALING_ID_BYTES);
    cbor_put_uint(&w, dealing->suite);
    cbor_put_uint(&w, dealing->threshold);
    codec_put_fixed(&w, dealing->nodes, dealing->count);
    codec_put_bytes(&w, dealing->ciphertext, 1, CIPHERTEXT_BYTES_MAX);
    codec_put_fixed(&w, dealing->key_commitment, HASH_BYTES);
    codec_put_fixed(&w, dealing->share_commitments[0], dealing->count * (size_t)HASH_BYTES);
    codec_put_fixed(&w, dealing->box_hashes[0], dealing->count * (size_t)HASH_BYTES);
    return codec_end(&w, start, PUBLIC_BYTES_MAX);
}

enum vault_err
dealing_encode_boxes(const struct dealing *dealing, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!public_valid(dealing))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, dealing->count);
    for (unsigned i = 0; i < dealing->count; i++)
        codec_put_bytes(&w, dealing->boxes[i], 0, BOX_BYTES_MAX);
    return codec_end(&w, start, BOXES_BYTES_MAX);
}

/* The list of nodes says how many shares there are. */
static void
get_nodes(struct cbor_reader *r, struct dealing *out)
{
    struct bytes nodes = codec_get_bytes(r, 1, REPLICAS_MAX);

    out->count = (uint8_t)nodes.size;
    for (unsigned i = 0; i < out->count; i++)
        out->nodes[i] = nodes.data[i];
}

static enum vault_err
decode_public(struct bytes encoded, struct dealing *out)
{
    struct cbor_reader r;

    if (encoded.size == 0)
        return ERR_MALFORMED;
    cbor_reader_init(&r, encoded);
    codec_get_array_of(&r, DEALING_FIELDS);
    (void)codec_get_range(&r, RECORD_DEALING_1, RECORD_DEALING_1);
    cbor_get_fixed(&r, out->id, DEALING_ID_BYTES);
    out->suite = (uint32_t)cbor_get_uint_max(&r, UINT32_MAX);
    out->threshold = (uint8_t)cbor_get_uint_max(&r, REPLICAS_MAX);
    get_nodes(&r, out);
    out->ciphertext = codec_get_bytes(&r, 1, CIPHERTEXT_BYTES_MAX);
    cbor_get_fixed(&r, out->key_commitment, HASH_BYTES);
    cbor_get_fixed(&r, out->share_commitments[0], out->count * (size_t)HASH_BYTES);
    cbor_get_fixed(&r, out->box_hashes[0], out->count * (size_t)HASH_BYTES);
    if (cbor_finish(&r) != OK || !public_valid(out))
        return ERR_MALFORMED;
    return OK;
}

static enum vault_err
decode_boxes(struct bytes encoded, struct dealing *out)
{
    struct cbor_reader r;

    if (encoded.size == 0)
        return OK;
    cbor_reader_init(&r, encoded);
    codec_get_array_of(&r, out->count);
    for (unsigned i = 0; i < out->count; i++)
        out->boxes[i] = cbor_get_bytes(&r, BOX_BYTES_MAX);
    if (cbor_finish(&r) != OK)
        return ERR_MALFORMED;
    for (unsigned i = 0; i < out->count; i++)
        if (out->boxes[i].size > 0 && !dealing_box_matches(out, (uint8_t)(i + 1), out->boxes[i]))
            return ERR_MALFORMED;
    return OK;
}

enum vault_err
dealing_decode(struct bytes public_part, struct bytes boxes, struct dealing *out)
{
    enum vault_err err;

    *out = (struct dealing){0};
    err = decode_public(public_part, out);
    if (err == OK)
        err = decode_boxes(boxes, out);
    if (err != OK)
        *out = (struct dealing){0};
    return err;
}
