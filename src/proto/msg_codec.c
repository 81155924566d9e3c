/*
 * The codec of messages between nodes: one table of fields per kind, one writer and one reader for
 * all. A field's type on the wire follows from its C type; what the table adds is its range. The
 * order of a table is the order on the wire; a kind without a table does not travel.
 */
#include "proto/codec.h"

#include <string.h>

#include "proto/group.h"
#include "proto/proof.h"

enum {
    COMMON_FIELDS = 5,
    FIELDS_MAX = 32,
    ANCHOR_BYTES_MAX = 512,
    MESSAGE_BYTES_COMMON = 2048,
    KINDS_END = MSG_SCANNED + 1
};

#define X(name, value) +1
enum { REFUSED_LAST = REFUSALS(X) - 1 };
#undef X

enum field_type {
    FIELD_UINT, /* min..max of the value */
    FIELD_ENUM, /* min..max of the value */
    FIELD_BOOL,
    FIELD_FIXED,  /* byte string of exactly `size` */
    FIELD_BYTES,  /* min..max of the size */
    FIELD_BALLOT, /* min 1: not none */
    FIELD_ACCEPTED,
    FIELD_INCARNATIONS,
    FIELD_PAIR_KEY_IDS,
};

struct field {
    enum field_type type;
    size_t offset; /* in the struct of the kind */
    size_t size;   /* of the member */
    uint64_t min;
    uint64_t max;
};

/* Enums are unsigned ints to the compiler, so one entry covers them all. */
static_assert(sizeof(enum refusal) == sizeof(unsigned), "enums are read and written as unsigned");
#define MEMBER(s, f) (((const struct s *)0)->f)
/* clang-format off */
#define TYPE(s, f)                                                                                 \
    _Generic(MEMBER(s, f),                                                                         \
        uint64_t: FIELD_UINT,                                                                      \
        unsigned: FIELD_ENUM,                                                                      \
        bool: FIELD_BOOL,                                                                          \
        const uint8_t *: FIELD_FIXED,                                                              \
        struct bytes: FIELD_BYTES,                                                                 \
        struct ballot: FIELD_BALLOT,                                                               \
        struct accepted: FIELD_ACCEPTED,                                                           \
        struct incarnations: FIELD_INCARNATIONS,                                                   \
        struct pair_key_ids: FIELD_PAIR_KEY_IDS)
/* clang-format on */
#define BETWEEN(s, f, min, max)                                                                    \
    {                                                                                              \
        TYPE(s, f), offsetof(struct s, f), sizeof(MEMBER(s, f)), (min), (max)                      \
    }
#define UP_TO(s, f, max) BETWEEN(s, f, 0, max)
#define ANY(s, f)        BETWEEN(s, f, 0, UINT64_MAX)
#define PRESENT(s, f)    BETWEEN(s, f, 1, UINT64_MAX)

/* clang-format off */
static const struct field vote_fields[] = {
    PRESENT(msg_vote, ballot),
    BETWEEN(msg_vote, purpose, CHANGE_CREATE, CHANGE_ERASE),
    ANY(msg_vote, op_id),
    UP_TO(msg_vote, credential, CREDENTIAL_BYTES_MAX),
    UP_TO(msg_vote, change, RECORD_VALUE_BYTES_MAX),
};
static const struct field voted_fields[] = {
    PRESENT(msg_voted, ballot),
    UP_TO(msg_voted, refusal, REFUSED_LAST),
    ANY(msg_voted, beat),
    ANY(msg_voted, accepted),
    ANY(msg_voted, incarnations),
    UP_TO(msg_voted, macs, MACS_BYTES_MAX),
    UP_TO(msg_voted, written_macs, MACS_BYTES_MAX),
};
static const struct field write_fields[] = {
    PRESENT(msg_write, ballot),
    BETWEEN(msg_write, head, 1, HEAD_BYTES_MAX),
    UP_TO(msg_write, version, VERSION_BYTES_MAX),
    UP_TO(msg_write, dealing, DEALING_BYTES_MAX),
    UP_TO(msg_write, boxes, BOXES_BYTES_MAX),
    ANY(msg_write, config_hash),
    ANY(msg_write, incarnations),
    UP_TO(msg_write, proof, PROOF_BYTES_MAX),
    UP_TO(msg_write, origin, PROOF_BYTES_MAX),
    UP_TO(msg_write, credential, CREDENTIAL_BYTES_MAX),
    UP_TO(msg_write, group, GROUP_BYTES_MAX),
};
static const struct field written_fields[] = {
    PRESENT(msg_written, ballot),
    ANY(msg_written, head_id),
    UP_TO(msg_written, refusal, REFUSED_LAST),
    ANY(msg_written, beat),
    ANY(msg_written, incarnations),
    UP_TO(msg_written, macs, MACS_BYTES_MAX),
};
static const struct field chosen_fields[] = {
    PRESENT(msg_chosen, ballot),
    ANY(msg_chosen, head_id),
    UP_TO(msg_chosen, head, HEAD_BYTES_MAX),
    UP_TO(msg_chosen, written, (UINT64_C(1) << NODES_MAX) - 1),
    ANY(msg_chosen, incarnations),
    UP_TO(msg_chosen, proof, PROOF_BYTES_MAX),
};
static const struct field erased_fields[] = {
    ANY(msg_erased, head_id),
    ANY(msg_erased, erased),
    UP_TO(msg_erased, state, STATE_RECEIVED),
    ANY(msg_erased, ballot),
    UP_TO(msg_erased, head, HEAD_BYTES_MAX),
    ANY(msg_erased, incarnations),
    ANY(msg_erased, shredded),
};
static const struct field known_fields[] = {
    ANY(msg_known, head_id),
    ANY(msg_known, incarnations),
};
static const struct field read_fields[] = {
    UP_TO(msg_read, version, COUNTER_MAX),
    ANY(msg_read, version_id),
    UP_TO(msg_read, credential, CREDENTIAL_BYTES_MAX),
    ANY(msg_read, head_only),
    UP_TO(msg_read, known_id, ID_BYTES),
};
static const struct field state_fields[] = {
    UP_TO(msg_state, refusal, REFUSED_LAST),
    ANY(msg_state, accepted),
    UP_TO(msg_state, version, VERSION_BYTES_MAX),
    UP_TO(msg_state, dealing, DEALING_BYTES_MAX),
    UP_TO(msg_state, share_state, SHARE_BAD),
    UP_TO(msg_state, share, SECRET_BYTES_MAX),
    ANY(msg_state, incarnations),
    ANY(msg_state, as_known),
};
static const struct field fetch_fields[] = {
    ANY(msg_fetch, head_id),
};
static const struct field fetched_fields[] = {
    UP_TO(msg_fetched, refusal, REFUSED_LAST),
    ANY(msg_fetched, head_id),
    UP_TO(msg_fetched, head, HEAD_BYTES_MAX),
    UP_TO(msg_fetched, version, VERSION_BYTES_MAX),
    UP_TO(msg_fetched, dealing, DEALING_BYTES_MAX),
    UP_TO(msg_fetched, boxes, BOXES_BYTES_MAX),
    UP_TO(msg_fetched, group, GROUP_BYTES_MAX),
};
static const struct field list_fields[] = {
    UP_TO(msg_list, before_version, COUNTER_MAX),
    BETWEEN(msg_list, limit, 1, PAGE_MAX + 1),
    UP_TO(msg_list, credential, CREDENTIAL_BYTES_MAX),
};
static const struct field versions_fields[] = {
    UP_TO(msg_versions, refusal, REFUSED_LAST),
    ANY(msg_versions, accepted),
    UP_TO(msg_versions, records, RECORDS_BYTES_MAX),
    ANY(msg_versions, incarnations),
};
static const struct field share_fields[] = {
    ANY(msg_share, accepted),
    BETWEEN(msg_share, version, 1, VERSION_BYTES_MAX),
    BETWEEN(msg_share, dealing, 1, DEALING_BYTES_MAX),
    BETWEEN(msg_share, box, 1, BOX_BYTES_MAX),
    ANY(msg_share, repair),
};
static const struct field shared_fields[] = {
    UP_TO(msg_shared, outcome, SHARED_BAD),
    UP_TO(msg_shared, version, COUNTER_MAX),
    ANY(msg_shared, version_id),
    ANY(msg_shared, repair),
    ANY(msg_shared, incarnations),
};
static const struct field heartbeat_fields[] = {
    ANY(msg_heartbeat, incarnation),
    ANY(msg_heartbeat, boot),
    ANY(msg_heartbeat, horizon_ms),
    ANY(msg_heartbeat, sequence),
    ANY(msg_heartbeat, wall_ms),
    ANY(msg_heartbeat, sent_ns),
    ANY(msg_heartbeat, echo_ns),
    ANY(msg_heartbeat, echo_held_ns),
    ANY(msg_heartbeat, share_key_id),
    ANY(msg_heartbeat, share_key),
    ANY(msg_heartbeat, known_key_id),
    ANY(msg_heartbeat, oldest_box_key_id),
    ANY(msg_heartbeat, look_age_ms),
    ANY(msg_heartbeat, paths),
    ANY(msg_heartbeat, paths_known),
    ANY(msg_heartbeat, life),
    ANY(msg_heartbeat, store_id),
    UP_TO(msg_heartbeat, recovery, RECOVERY_SHARES),
    ANY(msg_heartbeat, known_store_id),
    ANY(msg_heartbeat, known_incarnation),
    ANY(msg_heartbeat, known_boot),
    ANY(msg_heartbeat, known_life),
    ANY(msg_heartbeat, known_sequence),
    ANY(msg_heartbeat, pair_key_id),
    ANY(msg_heartbeat, pair_key),
    ANY(msg_heartbeat, vote_key),
    ANY(msg_heartbeat, records_ready),
    ANY(msg_heartbeat, record_digests),
    ANY(msg_heartbeat, forgotten_ms),
};
static const struct field deliver_fields[] = {
    UP_TO(msg_deliver, owner, DELIVER_REWRAP),
};
static const struct field compare_fields[] = {
    UP_TO(msg_compare, level, COMPARE_LEAVES),
    UP_TO(msg_compare, range, RANGES - 1),
    BETWEEN(msg_compare, digests, DIGEST_BYTES, RANGES * DIGEST_BYTES),
};
static const struct field compared_fields[] = {
    UP_TO(msg_compared, level, COMPARE_LEAVES),
    UP_TO(msg_compared, range, RANGES - 1),
    ANY(msg_compared, ready),
    ANY(msg_compared, differing),
};
static const struct field ask_entries_fields[] = {
    UP_TO(msg_ask_entries, leaf, RANGES * RANGE_LEAVES - 1),
    UP_TO(msg_ask_entries, after, PATH_KEY_BYTES_MAX),
};
static const struct field entries_fields[] = {
    UP_TO(msg_entries, leaf, RANGES * RANGE_LEAVES - 1),
    UP_TO(msg_entries, until, PATH_KEY_BYTES_MAX),
    UP_TO(msg_entries, entries, ENTRIES_BYTES_MAX),
};
static const struct field recover_fields[] = {
    ANY(msg_recover, config_hash),
    BETWEEN(msg_recover, incarnation, 1, UINT64_MAX),
    ANY(msg_recover, store_id),
    UP_TO(msg_recover, cursor, KEY_BYTES_MAX),
    ANY(msg_recover, only),
};
static const struct field recovered_fields[] = {
    BETWEEN(msg_recovered, incarnation, 1, UINT64_MAX),
    ANY(msg_recovered, store_id),
    UP_TO(msg_recovered, cursor, KEY_BYTES_MAX),
    UP_TO(msg_recovered, refusal, REFUSED_LAST),
    UP_TO(msg_recovered, next, KEY_BYTES_MAX),
    ANY(msg_recovered, done),
    UP_TO(msg_recovered, known, 8 * NODES_MAX),
    UP_TO(msg_recovered, items, RECOVERED_ITEMS_BYTES_MAX),
    ANY(msg_recovered, promised),
};
static const struct field handover_fields[] = {
    PRESENT(msg_handover, accepted),
    UP_TO(msg_handover, version, VERSION_BYTES_MAX),
    UP_TO(msg_handover, dealing, DEALING_BYTES_MAX),
    UP_TO(msg_handover, boxes, BOXES_BYTES_MAX),
    UP_TO(msg_handover, kind, HANDOVER_SETTLED),
};
static const struct field handed_fields[] = {
    UP_TO(msg_handed, refusal, REFUSED_LAST),
};
static const struct field help_fields[] = {
    BETWEEN(msg_help, version, 1, COUNTER_MAX),
    ANY(msg_help, version_id),
    ANY(msg_help, records),
    UP_TO(msg_help, helpers, (UINT64_C(1) << REPLICAS_MAX) - 1),
    ANY(msg_help, keys),
};
static const struct field helped_fields[] = {
    UP_TO(msg_helped, outcome, HELPED_UNFIT),
    BETWEEN(msg_helped, version, 1, COUNTER_MAX),
    ANY(msg_helped, version_id),
    UP_TO(msg_helped, contribution, SECRET_BYTES_MAX),
    UP_TO(msg_helped, record, VERSION_BYTES_MAX),
    UP_TO(msg_helped, dealing, DEALING_BYTES_MAX),
};
static const struct field check_fields[] = {
    UP_TO(msg_check, version, COUNTER_MAX),
    ANY(msg_check, version_id),
    ANY(msg_check, scrub),
};
static const struct field checked_fields[] = {
    UP_TO(msg_checked, outcome, CHECKED_CORRUPT),
    UP_TO(msg_checked, version, COUNTER_MAX),
    ANY(msg_checked, version_id),
    ANY(msg_checked, rows),
    ANY(msg_checked, bytes),
};
static const struct field scan_fields[] = {
    BETWEEN(msg_scan, tenant, 1, TENANT_BYTES_MAX),
    UP_TO(msg_scan, prefix, NAME_BYTES_MAX),
    UP_TO(msg_scan, after, NAME_BYTES_MAX),
    BETWEEN(msg_scan, limit, 1, SCAN_NAMES_MAX),
    UP_TO(msg_scan, credential, CREDENTIAL_BYTES_MAX),
};
static const struct field scanned_fields[] = {
    UP_TO(msg_scanned, refusal, REFUSED_LAST),
    UP_TO(msg_scanned, until, NAME_BYTES_MAX),
    UP_TO(msg_scanned, names, SCAN_NAMES_BYTES_MAX),
    ANY(msg_scanned, incarnations),
};
static const struct field anchor_fields[] = {
    BETWEEN(msg_anchor, head, 1, ANCHOR_BYTES_MAX),
};
static const struct field anchored_fields[] = {
    ANY(msg_anchored, epoch),
    ANY(msg_anchored, size),
};
static const struct field trail_fields[] = {
    UP_TO(msg_trail, matter, TRAIL_HEADS),
    UP_TO(msg_trail, node, NODES_MAX - 1),
    ANY(msg_trail, block),
    ANY(msg_trail, record),
    BETWEEN(msg_trail, limit, 1, AUDIT_PAGE_RECORDS_MAX),
    UP_TO(msg_trail, query, AUDIT_QUERY_BYTES_MAX),
    UP_TO(msg_trail, credential, CREDENTIAL_BYTES_MAX),
};
static const struct field trailed_fields[] = {
    UP_TO(msg_trailed, refusal, REFUSED_LAST),
    UP_TO(msg_trailed, items, AUDIT_PAGE_BYTES_MAX),
    ANY(msg_trailed, block),
    ANY(msg_trailed, record),
    ANY(msg_trailed, more),
};
/* clang-format on */

struct layout {
    bool travels;
    const struct field *fields;
    size_t count;
};

#define LAYOUT(fields)                                                                             \
    {                                                                                              \
        true, fields, sizeof(fields) / sizeof((fields)[0])                                         \
    }
static const struct layout layouts[KINDS_END] = {
    [MSG_VOTE] = LAYOUT(vote_fields),           [MSG_VOTED] = LAYOUT(voted_fields),
    [MSG_WRITE] = LAYOUT(write_fields),         [MSG_WRITTEN] = LAYOUT(written_fields),
    [MSG_CHOSEN] = LAYOUT(chosen_fields),       [MSG_ERASED] = LAYOUT(erased_fields),
    [MSG_READ] = LAYOUT(read_fields),           [MSG_STATE] = LAYOUT(state_fields),
    [MSG_FETCH] = LAYOUT(fetch_fields),         [MSG_FETCHED] = LAYOUT(fetched_fields),
    [MSG_LIST] = LAYOUT(list_fields),           [MSG_VERSIONS] = LAYOUT(versions_fields),
    [MSG_SHARE] = LAYOUT(share_fields),         [MSG_SHARED] = LAYOUT(shared_fields),
    [MSG_HEARTBEAT] = LAYOUT(heartbeat_fields), [MSG_ASK_ERASED] = {true, NULL, 0},
    [MSG_DELIVER] = LAYOUT(deliver_fields),     [MSG_COMPARE] = LAYOUT(compare_fields),
    [MSG_COMPARED] = LAYOUT(compared_fields),   [MSG_ASK_ENTRIES] = LAYOUT(ask_entries_fields),
    [MSG_ENTRIES] = LAYOUT(entries_fields),     [MSG_RECOVER] = LAYOUT(recover_fields),
    [MSG_RECOVERED] = LAYOUT(recovered_fields), [MSG_HANDOVER] = LAYOUT(handover_fields),
    [MSG_HANDED] = LAYOUT(handed_fields),       [MSG_HELP] = LAYOUT(help_fields),
    [MSG_HELPED] = LAYOUT(helped_fields),       [MSG_CHECK] = LAYOUT(check_fields),
    [MSG_CHECKED] = LAYOUT(checked_fields),     [MSG_SCAN] = LAYOUT(scan_fields),
    [MSG_SCANNED] = LAYOUT(scanned_fields),     [MSG_KNOWN] = LAYOUT(known_fields),
    [MSG_ANCHOR] = LAYOUT(anchor_fields),       [MSG_ANCHORED] = LAYOUT(anchored_fields),
    [MSG_TRAIL] = LAYOUT(trail_fields),         [MSG_TRAILED] = LAYOUT(trailed_fields),
};

static const struct layout *
layout_of(uint64_t kind)
{
    if (kind >= KINDS_END || !layouts[kind].travels)
        return NULL;
    return &layouts[kind];
}

/* Everything else is about a path. */
static bool
common_valid(const struct msg *msg)
{
    if (!codec_visible_ascii(msg->request_id))
        return false;
    if (!msg_has_path(msg->kind))
        return msg->path.tenant.size == 0 && msg->path.name.size == 0;
    return path_valid(msg->path);
}

static void
put_field(struct cbor_writer *w, const struct field *field, const void *member)
{
    switch (field->type) {
    case FIELD_UINT: codec_put_range(w, *(const uint64_t *)member, field->min, field->max); break;
    case FIELD_ENUM: codec_put_range(w, *(const unsigned *)member, field->min, field->max); break;
    case FIELD_BOOL: cbor_put_bool(w, *(const bool *)member); break;
    case FIELD_FIXED: codec_put_fixed(w, member, field->size); break;
    case FIELD_BYTES:
        codec_put_bytes(w, *(const struct bytes *)member, field->min, field->max);
        break;
    case FIELD_BALLOT:
        codec_require(w, field->min == 0 || !ballot_is_none(*(const struct ballot *)member),
                      ERR_RANGE);
        codec_put_ballot(w, *(const struct ballot *)member);
        break;
    case FIELD_ACCEPTED: codec_put_accepted(w, member); break;
    case FIELD_INCARNATIONS: codec_put_incarnations(w, member); break;
    case FIELD_PAIR_KEY_IDS: codec_put_pair_key_ids(w, member); break;
    }
}

enum vault_err
msg_encode(const struct msg *msg, struct buf *out)
{
    const struct layout *layout = layout_of((uint64_t)msg->kind);
    const uint8_t *base = (const uint8_t *)&msg->u;
    struct cbor_writer w;
    size_t start = out->size;

    if (!layout)
        return ERR_UNEXPECTED;
    if (!common_valid(msg))
        return ERR_RANGE;

    cbor_writer_init(&w, out);
    w.err = buf_reserve(out, MESSAGE_BYTES_COMMON); /* most need no more */
    cbor_put_array(&w, COMMON_FIELDS + layout->count);
    cbor_put_uint(&w, msg->kind);
    cbor_put_uint(&w, msg->op);
    codec_put_bytes(&w, msg->request_id, 0, REQUEST_ID_BYTES_MAX);
    cbor_put_bytes(&w, msg->path.tenant);
    cbor_put_bytes(&w, msg->path.name);
    for (size_t i = 0; i < layout->count; i++)
        put_field(&w, &layout->fields[i], base + layout->fields[i].offset);
    return codec_end(&w, start, FRAME_BYTES_MAX);
}

static void
get_field(struct cbor_reader *r, const struct field *field, void *member)
{
    switch (field->type) {
    case FIELD_UINT: *(uint64_t *)member = codec_get_range(r, field->min, field->max); break;
    case FIELD_ENUM:
        *(unsigned *)member = (unsigned)codec_get_range(r, field->min, field->max);
        break;
    case FIELD_BOOL: *(bool *)member = cbor_get_bool(r); break;
    case FIELD_FIXED: cbor_get_fixed(r, member, field->size); break;
    case FIELD_BYTES: *(struct bytes *)member = codec_get_bytes(r, field->min, field->max); break;
    case FIELD_BALLOT:
        codec_get_ballot(r, member);
        codec_expect(r, field->min == 0 || !ballot_is_none(*(const struct ballot *)member));
        break;
    case FIELD_ACCEPTED: codec_get_accepted(r, member); break;
    case FIELD_INCARNATIONS: codec_get_incarnations(r, member); break;
    case FIELD_PAIR_KEY_IDS: codec_get_pair_key_ids(r, member); break;
    }
}

static void
get_msg(struct cbor_reader *r, struct msg *out)
{
    uint64_t count = cbor_get_array(r, COMMON_FIELDS + FIELDS_MAX);
    uint64_t kind = cbor_get_uint(r);
    const struct layout *layout = layout_of(kind);
    uint8_t *base = (uint8_t *)&out->u;

    codec_expect(r, layout && count == COMMON_FIELDS + layout->count);
    if (r->err != OK)
        return;
    out->kind = (enum msg_kind)kind;
    out->op = cbor_get_uint(r);
    out->request_id = cbor_get_bytes(r, REQUEST_ID_BYTES_MAX);
    out->path.tenant = cbor_get_bytes(r, TENANT_BYTES_MAX);
    out->path.name = cbor_get_bytes(r, NAME_BYTES_MAX);
    codec_expect(r, common_valid(out));
    for (size_t i = 0; i < layout->count && r->err == OK; i++)
        get_field(r, &layout->fields[i], base + layout->fields[i].offset);
}

enum vault_err
msg_decode(struct bytes encoded, struct msg *out)
{
    struct cbor_reader r;

    memset(out, 0, sizeof(*out));
    if (encoded.size == 0 || encoded.size > FRAME_BYTES_MAX)
        return ERR_MALFORMED;
    cbor_reader_init(&r, encoded);
    get_msg(&r, out);
    if (cbor_finish(&r) != OK) {
        memset(out, 0, sizeof(*out));
        return ERR_MALFORMED;
    }
    return OK;
}

/* ---- copies ---- */

enum { VIEWS_MAX = 3 + 2 * FIELDS_MAX };

/* What a copy has to bring along, where the copy's views of it are. */
struct views {
    struct bytes *of[VIEWS_MAX];
    size_t count;
    size_t bytes;
};

static void
add_view(struct views *views, struct bytes *view)
{
    views->of[views->count++] = view;
    views->bytes += view->size;
}

static void
find_views(const struct layout *layout, struct msg *msg, struct views *views)
{
    uint8_t *base = (uint8_t *)&msg->u;

    add_view(views, &msg->request_id);
    add_view(views, &msg->path.tenant);
    add_view(views, &msg->path.name);
    for (size_t i = 0; i < layout->count; i++) {
        void *member = base + layout->fields[i].offset;
        if (layout->fields[i].type == FIELD_BYTES) {
            add_view(views, member);
        } else if (layout->fields[i].type == FIELD_ACCEPTED) {
            struct accepted *accepted = member;
            add_view(views, &accepted->head);
            add_view(views, &accepted->proof);
        }
    }
}

enum vault_err
msg_copy(const struct msg *msg, struct arena *arena, struct msg *out)
{
    const struct layout *layout = layout_of((uint64_t)msg->kind);
    struct views views = {.count = 0};

    if (!layout)
        return ERR_UNEXPECTED;
    *out = *msg;
    find_views(layout, out, &views);
    if (views.bytes > FRAME_BYTES_MAX)
        return ERR_TOO_LARGE;
    uint8_t *at = arena_alloc(arena, views.bytes);
    if (!at)
        return ERR_NOMEM;
    for (size_t i = 0; i < views.count; i++) {
        struct bytes *view = views.of[i];
        if (view->size > 0)
            memcpy(at, view->data, view->size);
        *view = bytes_of(at, view->size);
        at += view->size;
    }
    return OK;
}
