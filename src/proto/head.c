/*
 * Paths, ballots and the head record: [format, tenant, name, generation, kind, incarnation,
 * version, oldest version, version id, prev, op id, [[op id, kind, version, at]...], cluster id,
 * configuration hash, changed at], and after that, in a pending head, batch id and whether a
 * tombstone lies below; in a void whether a tombstone lies below; in a batch record decision and
 * members; in an inline head its value; in a live head of which any of it is set: soft-deleted
 * versions, destroyed versions, versions kept, when it expires, custom metadata; and last, in one
 * that made several versions, the ids of those before the latest.
 */
#include "proto/head.h"

#include <string.h>

#include "proto/alteration.h"
#include "proto/codec.h"
#include "proto/op_id.h"
#include "proto/record_path.h"
#include "proto/request.h"

enum {
    HEAD_FIELDS = 15,
    VOID_FIELDS = 16,
    INLINE_FIELDS = 16,
    FORGETTABLE_FIELDS = 17,
    PENDING_FIELDS = 17,
    RECORD_FIELDS = 17,
    ALTERED_FIELDS = 20,
    GROUP_FIELDS = 16,         /* one more than any other live head, */
    ALTERED_GROUP_FIELDS = 21, /* and than one that says more */
    OP_FIELDS = 4,
    ALTER_OP_FIELDS = 5
};
enum { MEMBERS_BYTES_MAX = BATCH_ITEMS_MAX * BATCH_MEMBER_BYTES };

/* Most that the fields can take: 9 bytes of frame each, less than that in truth. */
static_assert((int)RECORD_VALUE_BYTES_MAX >= (int)MEMBERS_BYTES_MAX, "the largest field");
static_assert((int)RECORD_VALUE_BYTES_MAX >= (int)METADATA_ENCODED_BYTES_MAX, "the largest field");
static_assert(ALTERED_GROUP_FIELDS * 9 + GROUP_VERSIONS_MAX * ID_BYTES + RECORD_VALUE_BYTES_MAX +
                      TENANT_BYTES_MAX + NAME_BYTES_MAX + 3 * 16 + 3 * HASH_BYTES +
                      OP_IDS_MAX * (ALTER_OP_FIELDS * 9 + OP_ID_BYTES + ALTERATION_PRINT_BYTES) +
                      4 * 8 <=
                  HEAD_BYTES_MAX,
              "every head fits");

bool
path_equal(struct path a, struct path b)
{
    return bytes_equal(a.tenant, b.tenant) && bytes_equal(a.name, b.name);
}

bool
path_valid(struct path path)
{
    if (record_path_is(path))
        return true;
    return tenant_name_valid(path.tenant) &&
           (secret_name_valid(path.name) || batch_record_name_valid(path.name));
}

bool
head_is_pending(const struct head *head)
{
    return !codec_all_zero(head->batch, BATCH_ID_BYTES);
}

bool
head_kind_erases(enum head_kind kind)
{
    return kind == HEAD_TOMBSTONE || kind == HEAD_VOID;
}

bool
head_has_value(const struct head *head)
{
    return head->kind == HEAD_INLINE && head->value.size > 0;
}

/* ---- single versions, retention, expiry ---- */

bool
version_set_has(uint64_t set, uint64_t oldest_version, uint64_t version)
{
    return version >= oldest_version && version - oldest_version < 64 &&
           (set >> (version - oldest_version) & 1);
}

enum version_state
head_version_state(const struct head *head, uint64_t version)
{
    if (version_set_has(head->destroyed, head->oldest_version, version))
        return VERSION_DESTROYED;
    return version_set_has(head->soft_deleted, head->oldest_version, version) ? VERSION_DELETED
                                                                              : VERSION_AVAILABLE;
}

uint64_t
oldest_version_kept(uint64_t version, uint64_t oldest_version, uint64_t max_versions)
{
    uint64_t kept = max_versions == 0 ? VERSIONS_KEPT_MAX : max_versions;
    bool full = version >= kept && oldest_version <= version - kept;
    return full ? version - kept + 1 : oldest_version;
}

void
head_keep_versions(struct head *head)
{
    uint64_t oldest = oldest_version_kept(head->version, head->oldest_version, head->max_versions);
    uint64_t fall_out = oldest - head->oldest_version;
    head->soft_deleted = fall_out < 64 ? head->soft_deleted >> fall_out : 0;
    head->destroyed = fall_out < 64 ? head->destroyed >> fall_out : 0;
    head->oldest_version = oldest;
}

bool
head_brings_version(const struct head *head)
{
    return head->kind == HEAD_LIVE && !(head->op_count > 0 && head->ops[0].kind == CHANGE_ALTER);
}

bool
head_makes(const struct head *head, const uint8_t version_id[static ID_BYTES])
{
    bool made = memcmp(version_id, head->version_id, ID_BYTES) == 0;
    for (size_t at = 0; at < head->earlier.size && !made; at += ID_BYTES)
        made = memcmp(version_id, head->earlier.data + at, ID_BYTES) == 0;
    return made;
}

bool
head_is_expired(const struct head *head, uint64_t wall_ms)
{
    return head->kind == HEAD_LIVE && head->expires_at_ms != 0 && head->expires_at_ms <= wall_ms;
}

void
expiry_op_id(const uint8_t head_id[static ID_BYTES], uint8_t out[static OP_ID_BYTES])
{
    uint8_t hash[HASH_BYTES];
    struct bytes parts[] = {bytes_of_text("ostraka expiry 1"), bytes_of(head_id, ID_BYTES)};

    hash_parts(parts, 2, hash);
    memcpy(out, hash, OP_ID_BYTES);
    op_id_mark_keyed(out); /* anybody may propose it */
}

bool
head_is_of_expiry(const struct head *head)
{
    uint8_t op_id[OP_ID_BYTES];

    if (head->kind != HEAD_TOMBSTONE)
        return false;
    expiry_op_id(head->prev, op_id);
    return memcmp(head->op_id, op_id, OP_ID_BYTES) == 0;
}

static bool
is_altered(const struct head *head)
{
    return head->soft_deleted != 0 || head->destroyed != 0 || head->max_versions != 0 ||
           head->expires_at_ms != 0 || head->metadata.size > 0;
}

static bool
altered_fields_valid(const struct head *head)
{
    uint64_t kept = head->version - head->oldest_version + 1;
    uint64_t sets = head->soft_deleted | head->destroyed;
    if (!is_altered(head))
        return true;
    if (head->kind != HEAD_LIVE || head_is_pending(head))
        return false;
    if ((head->soft_deleted & head->destroyed) != 0 || (kept < 64 && sets >> kept != 0))
        return false;
    if (head->max_versions > VERSIONS_KEPT_MAX || head->expires_at_ms > TIME_MS_MAX)
        return false;
    return head->metadata.size == 0 || metadata_valid(head->metadata);
}

/* Several versions are made by updates alone, and none of them falls out at once. */
static bool
earlier_valid(const struct head *head)
{
    size_t count = head_earlier_count(head);
    if (head->earlier.size == 0)
        return true;
    return head->earlier.size % ID_BYTES == 0 && count < GROUP_VERSIONS_MAX &&
           head->kind == HEAD_LIVE && !head_is_pending(head) && head->op_count > 0 &&
           head->ops[0].kind == CHANGE_UPDATE && head->version > count + 1 &&
           head->version - count >= head->oldest_version;
}

static bool
inline_fields_valid(const struct head *head)
{
    bool deleted = head->op_count > 0 && head->ops[0].kind == CHANGE_DELETE;

    if (head->kind != HEAD_INLINE)
        return head->value.size == 0 && head->forget_after_ms == 0 && !record_path_is(head->path);
    if (head->forget_after_ms > (deleted ? TIME_MS_MAX : 0))
        return false;
    return record_path_is(head->path) && codec_all_zero(head->version_id, ID_BYTES) &&
           head->value.size <= RECORD_VALUE_BYTES_MAX && deleted == (head->value.size == 0);
}

/* ---- records of batches ---- */

static const char record_prefix[] = "_batch/";
enum { RECORD_PREFIX_BYTES = sizeof(record_prefix) - 1 };
static_assert(RECORD_PREFIX_BYTES + 2 * BATCH_ID_BYTES == BATCH_RECORD_NAME_BYTES, "the name fits");
static_assert((int)BATCH_ID_BYTES == (int)INCARNATION_BYTES, "a record's incarnation");

struct path
batch_record_path(struct bytes tenant, const uint8_t id[static BATCH_ID_BYTES],
                  uint8_t memory[static BATCH_RECORD_NAME_BYTES])
{
    static const char digits[] = "0123456789abcdef";

    memcpy(memory, record_prefix, RECORD_PREFIX_BYTES);
    for (size_t i = 0; i < BATCH_ID_BYTES; i++) {
        memory[RECORD_PREFIX_BYTES + 2 * i] = (uint8_t)digits[id[i] >> 4];
        memory[RECORD_PREFIX_BYTES + 2 * i + 1] = (uint8_t)digits[id[i] & 15];
    }
    return (struct path){tenant, bytes_of(memory, BATCH_RECORD_NAME_BYTES)};
}

bool
batch_record_name_valid(struct bytes name)
{
    if (name.size != BATCH_RECORD_NAME_BYTES ||
        memcmp(name.data, record_prefix, RECORD_PREFIX_BYTES) != 0)
        return false;
    for (size_t i = RECORD_PREFIX_BYTES; i < name.size; i++) {
        bool digit = name.data[i] >= '0' && name.data[i] <= '9';

        if (!digit && (name.data[i] < 'a' || name.data[i] > 'f'))
            return false;
    }
    return true;
}

void
batch_member_hash(struct path member, uint8_t out[static BATCH_MEMBER_BYTES])
{
    uint8_t hash[HASH_BYTES];
    struct bytes parts[] = {bytes_of_text("ostraka batch member 1"), member.tenant, member.name};

    hash_parts(parts, 3, hash);
    memcpy(out, hash, BATCH_MEMBER_BYTES);
}

bool
batch_record_has(const struct head *record, struct path member)
{
    uint8_t hash[BATCH_MEMBER_BYTES];

    batch_member_hash(member, hash);
    for (size_t at = 0; at < record->members.size; at += BATCH_MEMBER_BYTES) {
        if (memcmp(record->members.data + at, hash, BATCH_MEMBER_BYTES) == 0)
            return record->kind == HEAD_RECORD && record->decision == BATCH_COMMITTED;
    }
    return false;
}

static bool
members_valid(const struct head *head)
{
    const struct bytes *m = &head->members;

    if (m->size % BATCH_MEMBER_BYTES != 0 || m->size > MEMBERS_BYTES_MAX)
        return false;
    for (size_t at = BATCH_MEMBER_BYTES; at < m->size; at += BATCH_MEMBER_BYTES) {
        if (memcmp(m->data + at - BATCH_MEMBER_BYTES, m->data + at, BATCH_MEMBER_BYTES) >= 0)
            return false;
    }
    return m->size > 0 || head->decision == BATCH_ABORTED;
}

/* The record lies on the path of its own batch. */
static bool
record_valid(const struct head *head)
{
    uint8_t memory[BATCH_RECORD_NAME_BYTES];
    struct path path = batch_record_path(head->path.tenant, head->incarnation, memory);

    return path_equal(head->path, path) && head->generation == 1 && head->version == 1 &&
           head->op_count == 0 &&
           (head->decision == BATCH_COMMITTED || head->decision == BATCH_ABORTED) &&
           members_valid(head);
}

static bool
batch_fields_valid(const struct head *head)
{
    bool pending = head_is_pending(head);

    if (head->kind == HEAD_RECORD)
        return !pending && !head->deleted_before && record_valid(head);
    if (batch_record_name_valid(head->path.name) || head->decision != BATCH_UNDECIDED ||
        head->members.size > 0)
        return false;
    if (pending && (head->kind != HEAD_LIVE || head->version != 1))
        return false;
    return !head->deleted_before || pending || head->kind == HEAD_VOID;
}

static int
compare_u64(uint64_t a, uint64_t b)
{
    return (a > b) - (a < b);
}

int
ballot_compare(struct ballot a, struct ballot b)
{
    int order = a.offer == b.offer || ballot_is_none(a) || ballot_is_none(b)
                    ? compare_u64(a.time, b.time)
                    : (a.offer ? -1 : 1);

    if (order == 0)
        order = compare_u64(a.node, b.node);
    return order != 0 ? order : compare_u64(a.incarnation, b.incarnation);
}

bool
ballot_is_none(struct ballot b)
{
    return b.time == 0 && b.node == 0 && b.incarnation == 0;
}

struct ballot
ballot_promised(struct ballot b)
{
    b.offer = false;
    return b;
}

void
record_id(struct bytes encoded, uint8_t out[static ID_BYTES])
{
    hash_bytes(encoded, out);
}

const struct op_result *
head_find_op(const struct head *head, const uint8_t op_id[static OP_ID_BYTES])
{
    for (size_t i = 0; i < head->op_count && i < OP_IDS_MAX; i++)
        if (memcmp(head->ops[i].op_id, op_id, OP_ID_BYTES) == 0)
            return &head->ops[i];
    return NULL;
}

static bool
counter_valid(uint64_t value)
{
    return value >= 1 && value <= COUNTER_MAX;
}

static bool
op_valid(const struct op_result *op)
{
    if (!counter_valid(op->version) || op->at_ms > TIME_MS_MAX)
        return false;
    switch (op->kind) {
    case CHANGE_CREATE: return op->version == 1;
    case CHANGE_UPDATE: return op->version > 1;
    case CHANGE_DELETE:
    case CHANGE_ALTER: return true;
    case CHANGE_NONE:
    case CHANGE_FINISH:
    case CHANGE_ERASE: return false;
    }
    return false;
}

/* Up to 2,628 pairs, on every decode: the first 8 bytes tell random ids apart cheaply. */
static bool
ops_distinct(const struct head *head)
{
    uint64_t first[OP_IDS_MAX];

    for (size_t i = 0; i < head->op_count; i++) {
        memcpy(&first[i], head->ops[i].op_id, sizeof(first[i]));
        for (size_t j = 0; j < i; j++)
            if (first[i] == first[j] &&
                memcmp(head->ops[i].op_id, head->ops[j].op_id, OP_ID_BYTES) == 0)
                return false;
    }
    return true;
}

/* Newest first: each was made by another head, and every head is later than the one before it. */
static bool
ops_valid(const struct head *head)
{
    if (head->op_count > OP_IDS_MAX)
        return false;
    for (size_t i = 0; i < head->op_count; i++) {
        if (!op_valid(&head->ops[i]))
            return false;
        if (i == 0 && head->ops[i].at_ms > head->changed_at_ms)
            return false;
        if (i > 0 && head->ops[i].at_ms >= head->ops[i - 1].at_ms)
            return false;
    }
    return ops_distinct(head);
}

/* The newest operation is what made the head what it is. */
static bool
own_op_valid(const struct head *head)
{
    const struct op_result *own = &head->ops[0];

    if (head->kind == HEAD_VOID || head->kind == HEAD_RECORD)
        return true;
    if (head->op_count == 0 || memcmp(own->op_id, head->op_id, OP_ID_BYTES) != 0)
        return false;
    if (own->version != head->version)
        return false;
    if (head->kind == HEAD_INLINE || head_is_pending(head)) {
        if (own->kind == CHANGE_ALTER)
            return false;
    }
    if (head->kind == HEAD_INLINE)
        return true;
    return (own->kind == CHANGE_DELETE) == (head->kind == HEAD_TOMBSTONE);
}

static bool
head_valid(const struct head *head)
{
    bool first = head->generation == 1;

    if (!path_valid(head->path) || !counter_valid(head->generation))
        return false;
    if (head->kind < HEAD_LIVE || head->kind > HEAD_INLINE)
        return false;
    if (!counter_valid(head->version) || !counter_valid(head->oldest_version))
        return false;
    if (head->oldest_version > head->version)
        return false;
    if (first != codec_all_zero(head->prev, ID_BYTES) || head->changed_at_ms > TIME_MS_MAX)
        return false;
    return ops_valid(head) && own_op_valid(head) && batch_fields_valid(head) &&
           inline_fields_valid(head) && altered_fields_valid(head) && earlier_valid(head);
}

static uint64_t
field_count(const struct head *head)
{
    if (head->kind == HEAD_RECORD)
        return RECORD_FIELDS;
    if (head->kind == HEAD_INLINE)
        return head->forget_after_ms != 0 ? FORGETTABLE_FIELDS : INLINE_FIELDS;
    if (head->kind == HEAD_VOID)
        return VOID_FIELDS;
    bool group = head->earlier.size > 0;
    if (is_altered(head))
        return group ? ALTERED_GROUP_FIELDS : ALTERED_FIELDS;
    if (group)
        return GROUP_FIELDS;
    return head_is_pending(head) ? PENDING_FIELDS : HEAD_FIELDS;
}

static void
put_batch_fields(struct cbor_writer *w, const struct head *head)
{
    if (head_is_pending(head))
        codec_put_fixed(w, head->batch, BATCH_ID_BYTES);
    if (head_is_pending(head) || head->kind == HEAD_VOID)
        cbor_put_uint(w, head->deleted_before);
    if (head->kind == HEAD_RECORD) {
        cbor_put_uint(w, head->decision);
        cbor_put_bytes(w, head->members);
    }
    if (head->kind == HEAD_INLINE)
        cbor_put_bytes(w, head->value);
    if (head->forget_after_ms != 0)
        cbor_put_uint(w, head->forget_after_ms);
}

static void
put_altered_fields(struct cbor_writer *w, const struct head *head)
{
    cbor_put_uint(w, head->soft_deleted);
    cbor_put_uint(w, head->destroyed);
    cbor_put_uint(w, head->max_versions);
    cbor_put_uint(w, head->expires_at_ms);
    cbor_put_bytes(w, head->metadata);
}

static void
put_ops(struct cbor_writer *w, const struct head *head)
{
    cbor_put_array(w, head->op_count);
    for (size_t i = 0; i < head->op_count; i++) {
        const struct op_result *op = &head->ops[i];

        cbor_put_array(w, op->kind == CHANGE_ALTER ? ALTER_OP_FIELDS : OP_FIELDS);
        codec_put_fixed(w, op->op_id, OP_ID_BYTES);
        cbor_put_uint(w, op->kind);
        cbor_put_uint(w, op->version);
        cbor_put_uint(w, op->at_ms);
        if (op->kind == CHANGE_ALTER)
            codec_put_fixed(w, op->fingerprint, ALTERATION_PRINT_BYTES);
    }
}

enum vault_err
head_encode(const struct head *head, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (head->op_count > OP_IDS_MAX)
        return ERR_TOO_LARGE;
    if (!head_valid(head))
        return ERR_RANGE;

    cbor_writer_init(&w, out);
    cbor_put_array(&w, field_count(head));
    cbor_put_uint(&w, RECORD_HEAD_1);
    cbor_put_bytes(&w, head->path.tenant);
    cbor_put_bytes(&w, head->path.name);
    cbor_put_uint(&w, head->generation);
    cbor_put_uint(&w, head->kind);
    codec_put_fixed(&w, head->incarnation, INCARNATION_BYTES);
    cbor_put_uint(&w, head->version);
    cbor_put_uint(&w, head->oldest_version);
    codec_put_fixed(&w, head->version_id, ID_BYTES);
    codec_put_fixed(&w, head->prev, ID_BYTES);
    codec_put_fixed(&w, head->op_id, OP_ID_BYTES);
    put_ops(&w, head);
    codec_put_fixed(&w, head->cluster_id, CLUSTER_ID_BYTES);
    codec_put_fixed(&w, head->config_hash, HASH_BYTES);
    cbor_put_uint(&w, head->changed_at_ms);
    put_batch_fields(&w, head);
    if (is_altered(head))
        put_altered_fields(&w, head);
    if (head->earlier.size > 0)
        cbor_put_bytes(&w, head->earlier);
    return codec_end(&w, start, HEAD_BYTES_MAX);
}

static void
get_ops(struct cbor_reader *r, struct head *out)
{
    out->op_count = (size_t)cbor_get_array(r, OP_IDS_MAX);
    for (size_t i = 0; i < out->op_count && r->err == OK; i++) {
        struct op_result *op = &out->ops[i];

        uint64_t fields = cbor_get_array(r, ALTER_OP_FIELDS);
        cbor_get_fixed(r, op->op_id, OP_ID_BYTES);
        op->kind = (enum change_kind)cbor_get_uint_max(r, CHANGE_ALTER);
        op->version = cbor_get_uint(r);
        op->at_ms = cbor_get_uint(r);
        bool alter = op->kind == CHANGE_ALTER;
        if (alter)
            cbor_get_fixed(r, op->fingerprint, ALTERATION_PRINT_BYTES);
        codec_expect(r, fields == (alter ? ALTER_OP_FIELDS : OP_FIELDS));
    }
}

static void
get_batch_fields(struct cbor_reader *r, struct head *out, uint64_t fields)
{
    bool pending = out->kind == HEAD_LIVE && fields == PENDING_FIELDS;

    if (pending)
        cbor_get_fixed(r, out->batch, BATCH_ID_BYTES);
    if (pending || out->kind == HEAD_VOID)
        out->deleted_before = cbor_get_uint_max(r, 1) == 1;
    if (out->kind == HEAD_RECORD) {
        out->decision = (enum batch_decision)cbor_get_uint_max(r, BATCH_ABORTED);
        out->members = cbor_get_bytes(r, MEMBERS_BYTES_MAX);
    }
    if (out->kind == HEAD_INLINE)
        out->value = cbor_get_bytes(r, RECORD_VALUE_BYTES_MAX);
    if (out->kind == HEAD_INLINE && fields == FORGETTABLE_FIELDS)
        out->forget_after_ms = cbor_get_uint(r);
}

static void
get_altered_fields(struct cbor_reader *r, struct head *out)
{
    out->soft_deleted = cbor_get_uint(r);
    out->destroyed = cbor_get_uint(r);
    out->max_versions = cbor_get_uint(r);
    out->expires_at_ms = cbor_get_uint(r);
    out->metadata = cbor_get_bytes(r, METADATA_ENCODED_BYTES_MAX);
}

static void
get_head(struct cbor_reader *r, struct head *out)
{
    uint64_t fields = cbor_get_array(r, ALTERED_GROUP_FIELDS);

    (void)codec_get_range(r, RECORD_HEAD_1, RECORD_HEAD_1);
    out->path.tenant = cbor_get_bytes(r, TENANT_BYTES_MAX);
    out->path.name = cbor_get_bytes(r, NAME_BYTES_MAX);
    out->generation = cbor_get_uint(r);
    out->kind = (enum head_kind)cbor_get_uint_max(r, HEAD_INLINE);
    cbor_get_fixed(r, out->incarnation, INCARNATION_BYTES);
    out->version = cbor_get_uint(r);
    out->oldest_version = cbor_get_uint(r);
    cbor_get_fixed(r, out->version_id, ID_BYTES);
    cbor_get_fixed(r, out->prev, ID_BYTES);
    cbor_get_fixed(r, out->op_id, OP_ID_BYTES);
    get_ops(r, out);
    cbor_get_fixed(r, out->cluster_id, CLUSTER_ID_BYTES);
    cbor_get_fixed(r, out->config_hash, HASH_BYTES);
    out->changed_at_ms = cbor_get_uint(r);
    get_batch_fields(r, out, fields);
    bool live = out->kind == HEAD_LIVE;
    if (live && (fields == ALTERED_FIELDS || fields == ALTERED_GROUP_FIELDS))
        get_altered_fields(r, out);
    if (live && (fields == GROUP_FIELDS || fields == ALTERED_GROUP_FIELDS))
        out->earlier = cbor_get_bytes(r, (GROUP_VERSIONS_MAX - 1) * ID_BYTES);
    codec_expect(r, fields == field_count(out));
}

enum vault_err
head_decode(struct bytes encoded, struct head *out)
{
    struct cbor_reader r;

    *out = (struct head){0};
    if (encoded.size == 0 || encoded.size > HEAD_BYTES_MAX)
        return ERR_MALFORMED;
    cbor_reader_init(&r, encoded);
    get_head(&r, out);
    if (cbor_finish(&r) != OK || !head_valid(out)) {
        *out = (struct head){0};
        return ERR_MALFORMED;
    }
    return OK;
}
