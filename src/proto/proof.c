#include "proto/proof.h"

#include <string.h>

#include "proto/codec.h"
#include "proto/newest.h"

enum { FIELDS = 6, ENTRY_FIELDS_ABSENT = 3, ENTRY_FIELDS = 6 };

static bool
macs_well_formed(struct bytes macs)
{
    return macs.size % VOTE_MAC_BYTES == 0 && macs.size > 0 && macs.size <= MACS_BYTES_MAX;
}

/* Writes have neither operation nor caller, and what was accepted is what was written. */
static bool
well_formed(const struct proof *proof)
{
    bool writes = proof->purpose == CHANGE_NONE;
    if (ballot_is_none(proof->ballot) || proof->count == 0 || proof->count > NODES_MAX)
        return false;
    if (writes && (proof->caller.size > 0 || proof->replaced.size > 0 ||
                   !codec_all_zero(proof->op_id, OP_ID_BYTES)))
        return false;
    for (size_t i = 0; i < proof->count; i++) {
        const struct proof_entry *e = &proof->entries[i];
        bool absent = e->state == STATE_ABSENT;
        if (e->node >= NODES_MAX || (i > 0 && e->node <= proof->entries[i - 1].node) ||
            !macs_well_formed(e->macs) || (writes && !absent) ||
            absent != ballot_is_none(e->accepted))
            return false;
    }
    return true;
}

static void
put_entry(struct cbor_writer *w, const struct proof_entry *e)
{
    bool absent = e->state == STATE_ABSENT;
    cbor_put_array(w, absent ? ENTRY_FIELDS_ABSENT : ENTRY_FIELDS);
    cbor_put_uint(w, e->node);
    cbor_put_uint(w, e->incarnation);
    cbor_put_bytes(w, e->macs);
    if (absent)
        return;
    codec_put_ballot(w, e->accepted);
    codec_put_range(w, e->state, STATE_ACCEPTED, STATE_RECEIVED);
    codec_put_fixed(w, e->head_id, ID_BYTES);
}

enum vault_err
proof_encode(const struct proof *proof, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;
    if (!well_formed(proof))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, FIELDS);
    codec_put_ballot(&w, proof->ballot);
    codec_put_range(&w, proof->purpose, CHANGE_NONE, CHANGE_ERASE);
    codec_put_fixed(&w, proof->op_id, OP_ID_BYTES);
    codec_put_bytes(&w, proof->caller, 0, AUTHOR_BYTES_MAX);
    codec_put_bytes(&w, proof->replaced, 0, HEAD_BYTES_MAX);
    cbor_put_array(&w, proof->count);
    for (size_t i = 0; i < proof->count; i++)
        put_entry(&w, &proof->entries[i]);
    return codec_end(&w, start, PROOF_BYTES_MAX);
}

static void
get_entry(struct cbor_reader *r, struct proof_entry *e)
{
    uint64_t fields = cbor_get_array(r, ENTRY_FIELDS);
    codec_expect(r, fields == ENTRY_FIELDS || fields == ENTRY_FIELDS_ABSENT);
    e->node = (uint8_t)cbor_get_uint_max(r, NODES_MAX - 1);
    e->incarnation = cbor_get_uint(r);
    e->macs = cbor_get_bytes(r, MACS_BYTES_MAX);
    if (fields != ENTRY_FIELDS)
        return;
    codec_get_ballot(r, &e->accepted);
    e->state = (enum accepted_state)codec_get_range(r, STATE_ACCEPTED, STATE_RECEIVED);
    cbor_get_fixed(r, e->head_id, ID_BYTES);
}

enum vault_err
proof_decode(struct bytes encoded, struct proof *out)
{
    struct cbor_reader r;
    *out = (struct proof){0};
    if (encoded.size == 0 || encoded.size > PROOF_BYTES_MAX)
        return ERR_MALFORMED;
    cbor_reader_init(&r, encoded);
    codec_get_array_of(&r, FIELDS);
    codec_get_ballot(&r, &out->ballot);
    out->purpose = (enum change_kind)cbor_get_uint_max(&r, CHANGE_ERASE);
    cbor_get_fixed(&r, out->op_id, OP_ID_BYTES);
    out->caller = cbor_get_bytes(&r, AUTHOR_BYTES_MAX);
    out->replaced = cbor_get_bytes(&r, HEAD_BYTES_MAX);
    out->count = (size_t)cbor_get_array(&r, NODES_MAX);
    for (size_t i = 0; i < out->count && r.err == OK; i++)
        get_entry(&r, &out->entries[i]);
    if (cbor_finish(&r) == OK && well_formed(out))
        return OK;
    *out = (struct proof){0};
    return ERR_MALFORMED;
}

const struct proof_entry *
proof_newest(const struct proof *proof)
{
    struct reported reports[NODES_MAX];
    for (size_t i = 0; i < proof->count; i++) {
        const struct proof_entry *e = &proof->entries[i];
        reports[i] =
            (struct reported){.state = e->state, .ballot = e->accepted, .head_id = e->head_id};
    }
    int best = newest_reported(reports, proof->count);
    return best < 0 ? NULL : &proof->entries[best];
}
