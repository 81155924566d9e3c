#include "proto/codec.h"

#include <string.h>

bool
codec_all_zero(const uint8_t *data, size_t size)
{
    uint64_t word, bits = 0;
    size_t i = 0;
    for (; size - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, data + i, sizeof(word));
        bits |= word;
    }
    for (; i < size; i++)
        bits |= data[i];
    return bits == 0;
}

bool
codec_visible_ascii(struct bytes text)
{
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] < '!' || text.data[i] > '~')
            return false;
    return true;
}

/* A real ballot has a time; without one nothing else may be set: "none" is written in one way. */
static bool
ballot_well_formed(struct ballot ballot)
{
    return ballot.node < NODES_MAX &&
           (ballot.time > 0 || (ballot_is_none(ballot) && !ballot.offer));
}

/* A node has accepted nothing, or a ballot and a head. */
static bool
accepted_well_formed(const struct accepted *accepted)
{
    bool absent = accepted->state == STATE_ABSENT;

    return absent == ballot_is_none(accepted->ballot) && absent == (accepted->head.size == 0) &&
           !(absent && accepted->proof.size > 0);
}

/* Writer */

void
codec_require(struct cbor_writer *w, bool condition, enum vault_err err)
{
    if (w->err == OK && !condition)
        w->err = err;
}

void
codec_put_fixed(struct cbor_writer *w, const uint8_t *data, size_t size)
{
    cbor_put_bytes(w, bytes_of(data, size));
}

void
codec_put_bytes(struct cbor_writer *w, struct bytes value, size_t size_min, size_t size_max)
{
    codec_require(w, value.size >= size_min, ERR_RANGE);
    codec_require(w, value.size <= size_max, ERR_TOO_LARGE);
    cbor_put_bytes(w, value);
}

void
codec_put_range(struct cbor_writer *w, uint64_t value, uint64_t min, uint64_t max)
{
    codec_require(w, value >= min && value <= max, ERR_RANGE);
    cbor_put_uint(w, value);
}

void
codec_put_ballot(struct cbor_writer *w, struct ballot ballot)
{
    codec_require(w, ballot_well_formed(ballot), ERR_RANGE);
    cbor_put_array(w, ballot.offer ? 4 : 3);
    cbor_put_uint(w, ballot.time);
    cbor_put_uint(w, ballot.incarnation);
    cbor_put_uint(w, ballot.node);
    if (ballot.offer)
        cbor_put_uint(w, 1);
}

void
codec_put_accepted(struct cbor_writer *w, const struct accepted *accepted)
{
    codec_require(w, accepted_well_formed(accepted), ERR_RANGE);
    cbor_put_array(w, accepted->proof.size > 0 ? 4 : 3);
    codec_put_ballot(w, accepted->ballot);
    codec_put_range(w, accepted->state, STATE_ABSENT, STATE_RECEIVED);
    codec_put_bytes(w, accepted->head, 0, HEAD_BYTES_MAX);
    if (accepted->proof.size > 0)
        codec_put_bytes(w, accepted->proof, 1, PROOF_BYTES_MAX);
}

void
codec_put_incarnations(struct cbor_writer *w, const struct incarnations *incarnations)
{
    codec_require(w, incarnations->count <= NODES_MAX, ERR_RANGE);
    cbor_put_array(w, 3 + (uint64_t)incarnations->count);
    cbor_put_uint(w, incarnations->life);
    cbor_put_uint(w, incarnations->sequence);
    cbor_put_uint(w, incarnations->placed);
    for (unsigned i = 0; i < incarnations->count && i < NODES_MAX; i++)
        cbor_put_uint(w, incarnations->of[i]);
}

void
codec_put_pair_key_ids(struct cbor_writer *w, const struct pair_key_ids *ids)
{
    codec_require(w, ids->count <= REPLICAS_MAX, ERR_RANGE);
    cbor_put_array(w, ids->count);
    for (unsigned i = 0; i < ids->count && i < REPLICAS_MAX; i++)
        cbor_put_uint(w, ids->of[i]);
}

enum vault_err
codec_end(struct cbor_writer *w, size_t start, size_t size_max)
{
    struct buf *out = w->buf;

    codec_require(w, out->size - start <= size_max, ERR_TOO_LARGE);
    if (w->err != OK)
        buf_truncate(out, start);
    return w->err;
}

/* Reader */

void
codec_expect(struct cbor_reader *r, bool condition)
{
    if (r->err == OK && !condition)
        r->err = ERR_MALFORMED;
}

struct bytes
codec_get_bytes(struct cbor_reader *r, size_t size_min, size_t size_max)
{
    struct bytes value = cbor_get_bytes(r, size_max);

    codec_expect(r, value.size >= size_min);
    return value;
}

uint64_t
codec_get_range(struct cbor_reader *r, uint64_t min, uint64_t max)
{
    uint64_t value = cbor_get_uint_max(r, max);

    codec_expect(r, value >= min);
    return value;
}

void
codec_get_array_of(struct cbor_reader *r, uint64_t count)
{
    uint64_t found = cbor_get_array(r, count);

    codec_expect(r, found == count);
}

void
codec_get_ballot(struct cbor_reader *r, struct ballot *out)
{
    uint64_t fields = cbor_get_array(r, 4);
    codec_expect(r, fields >= 3);
    out->time = cbor_get_uint(r);
    out->incarnation = cbor_get_uint(r);
    out->node = (uint8_t)cbor_get_uint_max(r, NODES_MAX - 1);
    out->offer = fields == 4;
    if (fields == 4)
        codec_expect(r, cbor_get_uint(r) == 1);
    codec_expect(r, ballot_well_formed(*out));
}

void
codec_get_accepted(struct cbor_reader *r, struct accepted *out)
{
    uint64_t fields = cbor_get_array(r, 4);
    codec_expect(r, fields >= 3);
    codec_get_ballot(r, &out->ballot);
    out->state = (enum accepted_state)cbor_get_uint_max(r, STATE_RECEIVED);
    out->head = cbor_get_bytes(r, HEAD_BYTES_MAX);
    if (fields == 4)
        out->proof = codec_get_bytes(r, 1, PROOF_BYTES_MAX);
    codec_expect(r, accepted_well_formed(out));
}

void
codec_get_incarnations(struct cbor_reader *r, struct incarnations *out)
{
    uint64_t count = cbor_get_array(r, 3 + NODES_MAX);

    codec_expect(r, count >= 3);
    out->count = count >= 3 ? (uint8_t)(count - 3) : 0;
    out->life = cbor_get_uint(r);
    out->sequence = cbor_get_uint(r);
    out->placed = cbor_get_uint(r);
    for (unsigned i = 0; i < out->count; i++)
        out->of[i] = cbor_get_uint(r);
}

void
codec_get_pair_key_ids(struct cbor_reader *r, struct pair_key_ids *out)
{
    out->count = (uint8_t)cbor_get_array(r, REPLICAS_MAX);
    for (unsigned i = 0; i < out->count; i++)
        out->of[i] = cbor_get_uint(r);
}
