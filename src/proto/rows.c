/*
 * Keys are bytes, so that their order is the order of the scans; values are CBOR, an array of the
 * struct's fields in order.
 */
#include "proto/rows.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "base/big_endian.h"
#include "crypto/hash.h"
#include "proto/codec.h"

enum {
    VERSION_KEY_BYTES = 8,
    LEAF_KEY_BYTES = 2,
    EXPIRY_KEY_BYTES = 8,
    SEALED_SHARE_BYTES_MAX = SECRET_BYTES_MAX + 64, /* nonce and tag of whatever seals it */
};

static_assert((int)DIRTY_VALUE_BYTES == (int)BIG_ENDIAN_BYTES, "a number");
static_assert(LEAVES == 1 << 8 * LEAF_KEY_BYTES, "a leaf is two bytes of a hash");
static_assert(1 + PATH_KEY_BYTES_MAX + VERSION_KEY_BYTES + ID_BYTES <= KEY_BYTES_MAX,
              "every key fits");
static_assert(TENANT_BYTES_MAX <= UINT8_MAX && NAME_BYTES_MAX <= UINT16_MAX, "lengths fit");
static_assert(HEAD_BYTES_MAX + 64 <= ROW_BYTES_MAX, "every path row fits");

/* Keys */

struct bytes
row_key_bytes(const struct row_key *key)
{
    return bytes_of(key->data, key->size);
}

/* Callers' parts are bounded by valid paths and by the static_assert above. */
static void
key_add(struct row_key *key, struct bytes part)
{
    assert(part.size <= KEY_BYTES_MAX - key->size);
    if (part.size > 0)
        memcpy(key->data + key->size, part.data, part.size);
    key->size += part.size;
}

/* The lowest `size` bytes, the highest first. */
static void
key_add_number(struct row_key *key, uint64_t value, unsigned size)
{
    uint8_t big_endian[BIG_ENDIAN_BYTES];

    assert(size <= sizeof(big_endian));
    big_endian_put(big_endian, value);
    key_add(key, bytes_of(big_endian + sizeof(big_endian) - size, size));
}

static void
key_add_path(struct row_key *key, struct path path)
{
    assert(path.tenant.size <= TENANT_BYTES_MAX);
    assert(path.name.size <= NAME_BYTES_MAX);
    key_add_number(key, path.tenant.size, 1);
    key_add(key, path.tenant);
    key_add_number(key, path.name.size, 2);
    key_add(key, path.name);
}

void
row_key_meta(const char *name, struct row_key *out)
{
    row_key_table(ROW_META, out);
    key_add(out, bytes_of_text(name));
}

void
row_key_audit_state(struct row_key *out)
{
    row_key_meta("audit", out);
}

bool
row_is_of_audit(struct bytes key)
{
    struct row_key state;

    if (key.size == 0)
        return false;
    if (key.data[0] != ROW_META)
        return key.data[0] == ROW_AUDIT || key.data[0] == ROW_ANCHOR || key.data[0] == ROW_WITNESS;
    row_key_audit_state(&state);
    return bytes_equal(key, row_key_bytes(&state));
}

void
row_key_dirty_all(struct row_key *out)
{
    row_key_meta("dirty/", out);
}

void
row_key_dirty(unsigned bucket, struct row_key *out)
{
    assert(bucket <= UINT16_MAX);
    row_key_dirty_all(out);
    key_add_number(out, bucket, 2);
}

void
row_key_path(struct path path, struct row_key *out)
{
    row_key_table(ROW_PATH, out);
    key_add_path(out, path);
}

void
row_key_identity(struct path path, struct row_key *out)
{
    row_key_table(ROW_IDENTITY, out);
    key_add_path(out, path);
}

void
row_key_table(enum row_table table, struct row_key *out)
{
    out->data[0] = (uint8_t)table; /* what lies beyond the size is never looked at */
    out->size = 1;
}

static bool
has_versions(enum row_table table)
{
    return table == ROW_VERSION || table == ROW_DEALING || table == ROW_BOXES ||
           table == ROW_ERASURE || table == ROW_NEED || table == ROW_UNSETTLED ||
           table == ROW_DOUBT;
}

void
row_key_erasure(struct path path, struct row_key *out)
{
    static const uint8_t no_id[ID_BYTES];

    row_key_version(ROW_ERASURE, path, 1, no_id, out);
}

void
row_key_unsettled(struct path path, struct row_key *out)
{
    static const uint8_t no_id[ID_BYTES];

    row_key_version(ROW_UNSETTLED, path, 1, no_id, out);
}

void
row_key_doubt(struct path path, struct row_key *out)
{
    static const uint8_t no_id[ID_BYTES];

    row_key_version(ROW_DOUBT, path, 1, no_id, out);
}

void
row_key_expiry(uint64_t at_ms, struct path path, struct row_key *out)
{
    row_key_table(ROW_EXPIRY, out);
    key_add_number(out, at_ms, EXPIRY_KEY_BYTES);
    key_add_path(out, path);
}

void
row_key_versions(enum row_table table, struct path path, struct row_key *out)
{
    assert(has_versions(table));
    row_key_table(table, out);
    key_add_path(out, path);
}

void
row_key_of_version(enum row_table table, struct path path, uint64_t version, struct row_key *out)
{
    row_key_versions(table, path, out);
    key_add_number(out, ~version, VERSION_KEY_BYTES);
}

void
row_key_version(enum row_table table, struct path path, uint64_t version,
                const uint8_t version_id[static ID_BYTES], struct row_key *out)
{
    row_key_of_version(table, path, version, out);
    key_add(out, bytes_of(version_id, ID_BYTES));
}

/* What is left of a key being split; `bad` once it was too short. */
struct key_cursor {
    struct bytes rest;
    bool bad;
};

static struct bytes
key_take(struct key_cursor *cursor, size_t size)
{
    struct bytes part;

    if (size > cursor->rest.size)
        cursor->bad = true;
    if (cursor->bad)
        return (struct bytes){0};
    part = bytes_of(cursor->rest.data, size);
    cursor->rest = bytes_of(cursor->rest.data + size, cursor->rest.size - size);
    return part;
}

static uint64_t
key_take_number(struct key_cursor *cursor, unsigned size)
{
    struct bytes part = key_take(cursor, size);
    uint64_t value = 0;

    for (size_t i = 0; i < part.size; i++)
        value = value << 8 | part.data[i];
    return value;
}

enum vault_err
row_key_parse(struct bytes key, enum row_table *table, struct path *path, uint64_t *version,
              struct bytes *version_id)
{
    struct key_cursor cursor = {.rest = key};
    enum row_table letter = (enum row_table)key_take_number(&cursor, 1);
    struct path found = {0};
    uint64_t number;
    struct bytes id;

    *table = ROW_META;
    *path = (struct path){0};
    *version = 0;
    *version_id = (struct bytes){0};

    found.tenant = key_take(&cursor, (size_t)key_take_number(&cursor, 1));
    found.name = key_take(&cursor, (size_t)key_take_number(&cursor, 2));
    number = ~key_take_number(&cursor, VERSION_KEY_BYTES);
    id = key_take(&cursor, ID_BYTES);
    if (cursor.bad || cursor.rest.size > 0 || !has_versions(letter))
        return ERR_CORRUPT;
    if (!path_valid(found) || number < 1 || number > COUNTER_MAX)
        return ERR_CORRUPT;
    if ((letter == ROW_ERASURE || letter == ROW_UNSETTLED || letter == ROW_DOUBT) &&
        (number != 1 || !codec_all_zero(id.data, id.size)))
        return ERR_CORRUPT;

    *table = letter;
    *path = found;
    *version = number;
    *version_id = id;
    return OK;
}

uint16_t
path_leaf(struct path path)
{
    /* All nodes must agree, and nothing is gained by who finds names of one leaf: no secret key. */
    static const uint8_t keys[2][SHORT_HASH_BYTES] = {{1}, {2}};

    return (uint16_t)(hash_short(keys[0], path.tenant) ^ hash_short(keys[1], path.name));
}

void
row_key_leaf(uint16_t leaf, struct row_key *out)
{
    row_key_table(ROW_INDEX, out);
    key_add_number(out, leaf, LEAF_KEY_BYTES);
}

void
row_key_index(struct path path, struct row_key *out)
{
    row_key_leaf(path_leaf(path), out);
    key_add_path(out, path);
}

enum vault_err
row_key_path_of(struct bytes key, struct path *out)
{
    struct key_cursor cursor = {.rest = key};
    enum row_table letter = (enum row_table)key_take_number(&cursor, 1);
    uint64_t leaf = letter == ROW_INDEX ? key_take_number(&cursor, LEAF_KEY_BYTES) : 0;
    struct path found;

    *out = (struct path){0};
    found.tenant = key_take(&cursor, (size_t)key_take_number(&cursor, 1));
    found.name = key_take(&cursor, (size_t)key_take_number(&cursor, 2));
    if (cursor.bad || cursor.rest.size > 0 ||
        (letter != ROW_PATH && letter != ROW_INDEX && letter != ROW_IDENTITY))
        return ERR_CORRUPT;
    if (!path_valid(found) || (letter == ROW_INDEX && leaf != path_leaf(found)))
        return ERR_CORRUPT;
    *out = found;
    return OK;
}

enum vault_err
row_key_expiry_of(struct bytes key, uint64_t *at_ms, struct path *out)
{
    struct key_cursor cursor = {.rest = key};
    enum row_table letter = (enum row_table)key_take_number(&cursor, 1);
    uint64_t at = key_take_number(&cursor, EXPIRY_KEY_BYTES);
    struct path found;

    *at_ms = 0;
    *out = (struct path){0};
    found.tenant = key_take(&cursor, (size_t)key_take_number(&cursor, 1));
    found.name = key_take(&cursor, (size_t)key_take_number(&cursor, 2));
    if (cursor.bad || cursor.rest.size > 0 || letter != ROW_EXPIRY || at > TIME_MS_MAX ||
        !path_valid(found))
        return ERR_CORRUPT;
    *at_ms = at;
    *out = found;
    return OK;
}

void
row_key_name(struct path path, struct row_key *out)
{
    assert(path.tenant.size <= TENANT_BYTES_MAX);
    assert(path.name.size <= NAME_BYTES_MAX);
    row_key_table(ROW_NAME, out);
    key_add_number(out, path.tenant.size, 1);
    key_add(out, path.tenant);
    key_add(out, path.name);
}

enum vault_err
row_key_name_of(struct bytes key, struct path *out)
{
    struct key_cursor cursor = {.rest = key};
    enum row_table letter = (enum row_table)key_take_number(&cursor, 1);
    struct path found;

    *out = (struct path){0};
    found.tenant = key_take(&cursor, (size_t)key_take_number(&cursor, 1));
    found.name = cursor.rest;
    if (cursor.bad || letter != ROW_NAME || !tenant_name_valid(found.tenant) ||
        !secret_name_valid(found.name))
        return ERR_CORRUPT;
    *out = found;
    return OK;
}

/* Values */

/* Begins a row of `fields` fields. An empty value is refused by its missing array. */
static void
row_reader_init(struct cbor_reader *r, struct bytes encoded, uint64_t fields)
{
    static const uint8_t nothing[1];

    if (encoded.size == 0)
        encoded.data = nothing;
    cbor_reader_init(r, encoded);
    codec_get_array_of(r, fields);
}

/* The same where the last fields are left out when they are empty. */
static uint64_t
row_reader_init_between(struct cbor_reader *r, struct bytes encoded, uint64_t least, uint64_t most)
{
    static const uint8_t nothing[1];

    if (encoded.size == 0)
        encoded.data = nothing;
    cbor_reader_init(r, encoded);
    uint64_t fields = cbor_get_array(r, most);
    codec_expect(r, fields >= least);
    return fields;
}

/* What does not decode was damaged on its way through the disk. */
static enum vault_err
row_reader_end(const struct cbor_reader *r)
{
    return cbor_finish(r) == OK ? OK : ERR_CORRUPT;
}

static void
row_writer_init(struct cbor_writer *w, struct buf *out, uint64_t fields)
{
    cbor_writer_init(w, out);
    cbor_put_array(w, fields);
}

enum vault_err
path_row_encode(const struct path_row *row, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;
    bool chosen = row->state == STATE_CHOSEN; /* only then anything is erased */

    row_writer_init(&w, out, row->proof.size > 0 ? 7 : 6);
    codec_require(&w, !ballot_is_none(row->ballot), ERR_RANGE);
    codec_put_ballot(&w, row->ballot);
    codec_put_range(&w, row->state, STATE_ACCEPTED, STATE_RECEIVED);
    codec_put_bytes(&w, row->head, 1, HEAD_BYTES_MAX);
    cbor_put_bool(&w, row->erased);
    cbor_put_uint(&w, chosen ? row->erased_generation : row->incarnation);
    cbor_put_uint(&w, row->erased_share_key);
    if (row->proof.size > 0)
        codec_put_bytes(&w, row->proof, 1, PROOF_BYTES_MAX);
    return codec_end(&w, start, ROW_BYTES_MAX);
}

enum vault_err
path_row_decode(struct bytes encoded, struct path_row *out)
{
    struct cbor_reader r;
    enum vault_err err;

    *out = (struct path_row){0};
    uint64_t fields = row_reader_init_between(&r, encoded, 6, 7);
    codec_get_ballot(&r, &out->ballot);
    codec_expect(&r, !ballot_is_none(out->ballot));
    out->state = (enum accepted_state)codec_get_range(&r, STATE_ACCEPTED, STATE_RECEIVED);
    out->head = codec_get_bytes(&r, 1, HEAD_BYTES_MAX);
    out->erased = cbor_get_bool(&r);
    *(out->state == STATE_CHOSEN ? &out->erased_generation : &out->incarnation) = cbor_get_uint(&r);
    out->erased_share_key = cbor_get_uint(&r);
    if (fields == 7)
        out->proof = codec_get_bytes(&r, 1, PROOF_BYTES_MAX);
    err = row_reader_end(&r);
    if (err != OK)
        *out = (struct path_row){0};
    return err;
}

enum vault_err
version_row_encode(const struct version_row *row, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    row_writer_init(&w, out, row->dealing.size > 0 ? 3 : 2);
    codec_put_bytes(&w, row->record, 1, VERSION_BYTES_MAX);
    codec_put_bytes(&w, row->share, 0, SEALED_SHARE_BYTES_MAX);
    if (row->dealing.size > 0)
        codec_put_bytes(&w, row->dealing, 1, VERSION_ROW_DEALING_MAX);
    return codec_end(&w, start, ROW_BYTES_MAX);
}

enum vault_err
version_row_decode(struct bytes encoded, struct version_row *out)
{
    struct cbor_reader r;
    enum vault_err err;

    *out = (struct version_row){0};
    uint64_t fields = row_reader_init_between(&r, encoded, 2, 3);
    out->record = codec_get_bytes(&r, 1, VERSION_BYTES_MAX);
    out->share = cbor_get_bytes(&r, SEALED_SHARE_BYTES_MAX);
    if (fields == 3)
        out->dealing = codec_get_bytes(&r, 1, VERSION_ROW_DEALING_MAX);
    err = row_reader_end(&r);
    if (err != OK)
        *out = (struct version_row){0};
    return err;
}

bool
version_row_is_whole(struct bytes version_id, struct bytes encoded, struct version_row *out)
{
    uint8_t found[ID_BYTES];

    if (version_row_decode(encoded, out) != OK)
        return false;
    record_id(out->record, found);
    return bytes_equal(version_id, bytes_of(found, ID_BYTES));
}

enum vault_err
node_row_encode(const struct node_row *row, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    row_writer_init(&w, out, row->forgotten_ms != 0 ? 6 : 5);
    codec_put_fixed(&w, row->store_id, sizeof(row->store_id));
    codec_put_range(&w, row->incarnation, 1, UINT64_MAX);
    cbor_put_uint(&w, row->boot);
    cbor_put_uint(&w, row->horizon_ms);
    codec_put_range(&w, row->recovery, RECOVERY_NONE, RECOVERY_SHARES);
    if (row->forgotten_ms != 0)
        cbor_put_uint(&w, row->forgotten_ms);
    return codec_end(&w, start, ROW_BYTES_MAX);
}

enum vault_err
node_row_decode(struct bytes encoded, struct node_row *out)
{
    struct cbor_reader r;
    enum vault_err err;

    *out = (struct node_row){0};
    uint64_t fields = row_reader_init_between(&r, encoded, 5, 6);
    cbor_get_fixed(&r, out->store_id, sizeof(out->store_id));
    out->incarnation = codec_get_range(&r, 1, UINT64_MAX);
    out->boot = cbor_get_uint(&r);
    out->horizon_ms = cbor_get_uint(&r);
    out->recovery = (enum recovery_state)codec_get_range(&r, RECOVERY_NONE, RECOVERY_SHARES);
    if (fields == 6)
        out->forgotten_ms = codec_get_range(&r, 1, UINT64_MAX);
    err = row_reader_end(&r);
    if (err != OK)
        *out = (struct node_row){0};
    return err;
}

enum vault_err
peer_row_encode(const struct peer_row *row, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    bool has_vote_key = !codec_all_zero(row->vote_key, X25519_BYTES);
    bool has_one_before = has_vote_key && !codec_all_zero(row->vote_key_before, X25519_BYTES);
    row_writer_init(&w, out, 9u + has_vote_key + has_one_before);
    cbor_put_uint(&w, row->incarnation);
    cbor_put_uint(&w, row->boot);
    cbor_put_uint(&w, row->horizon_ms);
    cbor_put_uint(&w, row->sequence);
    cbor_put_uint(&w, row->share_key.id);
    codec_put_fixed(&w, row->share_key.key, X25519_BYTES);
    codec_put_fixed(&w, row->store_id, sizeof(row->store_id));
    cbor_put_uint(&w, row->life);
    cbor_put_uint(&w, row->sequence_before);
    if (has_vote_key)
        codec_put_fixed(&w, row->vote_key, X25519_BYTES);
    if (has_one_before)
        codec_put_fixed(&w, row->vote_key_before, X25519_BYTES);
    return codec_end(&w, start, ROW_BYTES_MAX);
}

enum vault_err
peer_row_decode(struct bytes encoded, struct peer_row *out)
{
    struct cbor_reader r;
    enum vault_err err;

    *out = (struct peer_row){0};
    uint64_t fields = row_reader_init_between(&r, encoded, 9, 11);
    out->incarnation = cbor_get_uint(&r);
    out->boot = cbor_get_uint(&r);
    out->horizon_ms = cbor_get_uint(&r);
    out->sequence = cbor_get_uint(&r);
    out->share_key.id = cbor_get_uint(&r);
    cbor_get_fixed(&r, out->share_key.key, X25519_BYTES);
    cbor_get_fixed(&r, out->store_id, sizeof(out->store_id));
    out->life = cbor_get_uint(&r);
    out->sequence_before = cbor_get_uint(&r);
    if (fields >= 10) {
        cbor_get_fixed(&r, out->vote_key, X25519_BYTES);
        codec_expect(&r, !codec_all_zero(out->vote_key, X25519_BYTES));
    }
    if (fields == 11) {
        cbor_get_fixed(&r, out->vote_key_before, X25519_BYTES);
        codec_expect(&r, !codec_all_zero(out->vote_key_before, X25519_BYTES));
    }
    err = row_reader_end(&r);
    if (err != OK)
        *out = (struct peer_row){0};
    return err;
}

void
dirty_row_encode(uint64_t generation, uint8_t out[static DIRTY_VALUE_BYTES])
{
    big_endian_put(out, generation);
}

enum vault_err
dirty_row_decode(struct bytes key, struct bytes value, unsigned *bucket, uint64_t *generation)
{
    struct row_key prefix;
    struct key_cursor number = {.rest = key}, content = {.rest = value};

    row_key_dirty_all(&prefix);
    *bucket = 0;
    *generation = 0;
    if (!bytes_equal(key_take(&number, prefix.size), row_key_bytes(&prefix)))
        return ERR_CORRUPT;
    unsigned found = (unsigned)key_take_number(&number, 2);
    uint64_t found_generation = key_take_number(&content, DIRTY_VALUE_BYTES);
    if (number.bad || number.rest.size > 0 || content.bad || content.rest.size > 0 ||
        found_generation == 0)
        return ERR_CORRUPT;
    *bucket = found;
    *generation = found_generation;
    return OK;
}

void
row_key_signing(unsigned node, struct row_key *out)
{
    char name[24];

    snprintf(name, sizeof(name), "signing/%u", node);
    row_key_meta(name, out);
}

static unsigned
signing_keys_count(const struct signing_keys *keys)
{
    unsigned count = 0;

    while (count < SIGNING_KEYS_KEPT && signing_public_is_set(&keys->list[count]))
        count++;
    return count;
}

/* Key and proof in turn. */
enum vault_err
signing_row_encode(const struct signing_keys *keys, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;
    unsigned count = signing_keys_count(keys);

    row_writer_init(&w, out, 1);
    cbor_put_array(&w, (uint64_t)2 * count);
    for (unsigned i = 0; i < count; i++) {
        codec_put_fixed(&w, keys->list[i].key, SIGNING_PUBLIC_BYTES);
        cbor_put_bytes(&w, bytes_of(keys->list[i].proof, keys->list[i].proof_size));
    }
    return codec_end(&w, start, ROW_BYTES_MAX);
}

static void
signing_public_read(struct cbor_reader *r, struct signing_public *out)
{
    struct bytes proof;

    cbor_get_fixed(r, out->key, SIGNING_PUBLIC_BYTES);
    proof = cbor_get_bytes(r, sizeof(out->proof));
    if (r->err == OK && !signing_public_is_set(out))
        r->err = ERR_MALFORMED;
    if (r->err != OK || proof.size == 0)
        return;
    memcpy(out->proof, proof.data, proof.size);
    out->proof_size = proof.size;
}

enum vault_err
signing_row_decode(struct bytes encoded, struct signing_keys *out)
{
    struct cbor_reader r;
    enum vault_err err;

    memset(out, 0, sizeof(*out));
    row_reader_init(&r, encoded, 1);
    uint64_t count = cbor_get_array(&r, (size_t)2 * SIGNING_KEYS_KEPT);
    if (r.err == OK && count % 2 != 0)
        r.err = ERR_MALFORMED;
    for (unsigned i = 0; r.err == OK && i < count / 2; i++)
        signing_public_read(&r, &out->list[i]);
    err = row_reader_end(&r);
    if (err != OK)
        memset(out, 0, sizeof(*out));
    return err;
}
