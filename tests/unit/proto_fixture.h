/*
 * Seeded random records and messages, all of them valid, and the checks that hold of every strict
 * codec: a truncated encoding is refused, and a changed one is refused or means something else that
 * is written back exactly as it was read.
 */
#ifndef OSTRAKA_TESTS_PROTO_FIXTURE_H
#define OSTRAKA_TESTS_PROTO_FIXTURE_H

#include <stdlib.h>
#include <string.h>

#include "base/cbor.h"
#include "proto/codec.h"
#include "proto/msg.h"
#include "proto/rows.h"

/* A source of choices: a seeded generator (splitmix64) and memory for what it made. */
struct dice {
    uint64_t state;
    struct arena arena;
};

static inline void
dice_init(struct dice *dice, uint64_t seed)
{
    dice->state = seed;
    arena_init(&dice->arena, (size_t)64 * 1024 * 1024);
}

static inline void
dice_close(struct dice *dice)
{
    arena_close(&dice->arena);
}

static inline uint64_t
dice_roll(struct dice *dice)
{
    uint64_t z = dice->state += UINT64_C(0x9e3779b97f4a7c15);

    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

static inline uint64_t
dice_between(struct dice *dice, uint64_t min, uint64_t max)
{
    uint64_t span = max - min + 1;

    return span == 0 ? dice_roll(dice) : min + dice_roll(dice) % span;
}

static inline bool
dice_coin(struct dice *dice)
{
    return dice_roll(dice) & 1;
}

/* Numbers of every length, the ends of the range more often than chance would have them. */
static inline uint64_t
dice_number(struct dice *dice, uint64_t min, uint64_t max)
{
    uint64_t value = dice_roll(dice) >> dice_between(dice, 0, 63);

    switch (dice_between(dice, 0, 7)) {
    case 0: return min;
    case 1: return max;
    default: return value >= min && value <= max ? value : dice_between(dice, min, max);
    }
}

static inline void
dice_fill(struct dice *dice, uint8_t *out, size_t size)
{
    for (size_t i = 0; i < size; i++)
        out[i] = (uint8_t)dice_roll(dice);
}

static inline struct bytes
dice_bytes(struct dice *dice, size_t min, size_t max)
{
    size_t size = (size_t)dice_between(dice, min, max);
    uint8_t *data = arena_alloc(&dice->arena, size);

    if (!data)
        abort();
    dice_fill(dice, data, size);
    return bytes_of(data, size);
}

/* Text of the given letters. */
static inline struct bytes
dice_text(struct dice *dice, const char *letters, size_t min, size_t max)
{
    struct bytes text = dice_bytes(dice, min, max);
    uint8_t *data = (uint8_t *)(uintptr_t)text.data;

    for (size_t i = 0; i < text.size; i++)
        data[i] = (uint8_t)letters[data[i] % strlen(letters)];
    return text;
}

static inline struct path
dice_path(struct dice *dice)
{
    struct path path = {
        .tenant = dice_text(dice, "abcdefgh0123", 1, 12),
        .name = dice_text(dice, "abcdefghABCDEFGH0123-:", 1, 24),
    };

    if (dice_coin(dice))
        path.name = bytes_of_text("app/db/Z\xc3\xbcrich");
    return path;
}

static inline struct ballot
dice_ballot(struct dice *dice)
{
    return (struct ballot){
        .time = dice_number(dice, 1, UINT64_MAX),
        .incarnation = dice_number(dice, 0, UINT64_MAX),
        .node = (uint8_t)dice_between(dice, 0, NODES_MAX - 1),
        .offer = dice_coin(dice),
    };
}

static inline struct ballot
dice_ballot_or_none(struct dice *dice)
{
    return dice_coin(dice) ? dice_ballot(dice) : (struct ballot){0};
}

static inline struct incarnations
dice_incarnations(struct dice *dice)
{
    struct incarnations out = {.count = (uint8_t)dice_between(dice, 0, REPLICAS_MAX)};

    out.life = dice_number(dice, 0, UINT64_MAX);
    out.sequence = dice_number(dice, 0, UINT64_MAX);
    out.placed = dice_number(dice, 0, UINT64_MAX);
    for (unsigned i = 0; i < out.count; i++)
        out.of[i] = dice_number(dice, 0, UINT64_MAX);
    return out;
}

static inline struct accepted
dice_accepted(struct dice *dice)
{
    if (dice_coin(dice))
        return (struct accepted){0};
    return (struct accepted){
        .ballot = dice_ballot(dice),
        .state = (enum accepted_state)dice_between(dice, STATE_ACCEPTED, STATE_RECEIVED),
        .head = dice_bytes(dice, 1, 80),
        .proof = dice_bytes(dice, 0, 80),
    };
}

/* Fills the remembered operations of a head that changed at head->changed_at_ms. */
static inline void
dice_ops(struct dice *dice, struct head *head, size_t count)
{
    head->op_count = count;
    for (size_t i = 0; i < count; i++) {
        struct op_result *op = &head->ops[i];

        dice_fill(dice, op->op_id, OP_ID_BYTES);
        op->kind = (enum change_kind)dice_between(dice, CHANGE_CREATE, CHANGE_DELETE);
        op->version = op->kind == CHANGE_CREATE ? 1 : dice_number(dice, 2, COUNTER_MAX);
        op->at_ms = head->changed_at_ms - i;
    }
}

static inline struct head
dice_head(struct dice *dice)
{
    struct head head = {
        .path = dice_path(dice),
        .generation = dice_number(dice, 1, COUNTER_MAX),
        .kind = (enum head_kind)dice_between(dice, HEAD_LIVE, HEAD_VOID),
        .version = dice_number(dice, 1, COUNTER_MAX),
        .changed_at_ms = dice_number(dice, OP_IDS_MAX, TIME_MS_MAX),
    };

    head.oldest_version = dice_number(dice, 1, head.version);
    dice_fill(dice, head.incarnation, INCARNATION_BYTES);
    dice_fill(dice, head.version_id, ID_BYTES);
    dice_fill(dice, head.op_id, OP_ID_BYTES);
    dice_fill(dice, head.cluster_id, CLUSTER_ID_BYTES);
    dice_fill(dice, head.config_hash, HASH_BYTES);
    if (head.generation > 1)
        dice_fill(dice, head.prev, ID_BYTES);
    dice_ops(dice, &head, (size_t)dice_number(dice, head.kind == HEAD_VOID ? 0 : 1, OP_IDS_MAX));
    if (head.kind != HEAD_VOID) {
        memcpy(head.ops[0].op_id, head.op_id, OP_ID_BYTES);
        head.ops[0].version = head.version;
        head.ops[0].kind = head.version == 1 ? CHANGE_CREATE : CHANGE_UPDATE;
        if (head.kind == HEAD_TOMBSTONE)
            head.ops[0].kind = CHANGE_DELETE;
    }
    if (head.kind == HEAD_LIVE && head.version == 1)
        dice_fill(dice, head.batch, BATCH_ID_BYTES);
    if (head.kind == HEAD_VOID || head.batch[0] > 0x7f)
        head.deleted_before = dice_number(dice, 0, 1) == 1;
    return head;
}

static inline struct version_record
dice_version(struct dice *dice)
{
    struct version_record version = {
        .version = dice_number(dice, 1, COUNTER_MAX),
        .valid_from_ms = dice_number(dice, 0, TIME_MS_MAX),
        .author = dice_text(dice, "abcXYZ019!~-/", 1, AUTHOR_BYTES_MAX),
    };

    dice_fill(dice, version.incarnation, INCARNATION_BYTES);
    if (version.version > 1)
        dice_fill(dice, version.prev, ID_BYTES);
    dice_fill(dice, version.dealing_id, DEALING_ID_BYTES);
    dice_fill(dice, version.dealing_hash, HASH_BYTES);
    dice_fill(dice, version.op_id, OP_ID_BYTES);
    return version;
}

/* Looks like a dealing and has the right hashes; no key was ever split. */
static inline struct dealing
dice_dealing(struct dice *dice)
{
    struct dealing dealing = {
        .suite = DEALING_SUITE_1,
        .count = (uint8_t)dice_between(dice, 1, REPLICAS_MAX),
        .ciphertext = dice_bytes(dice, 1, 200),
    };
    unsigned first = (unsigned)dice_between(dice, 0, NODES_MAX - 1);

    dice_fill(dice, dealing.id, DEALING_ID_BYTES);
    dice_fill(dice, dealing.key_commitment, HASH_BYTES);
    dealing.threshold = dealing.count == 1 ? 1 : (uint8_t)dice_between(dice, 2, dealing.count);
    for (unsigned i = 0; i < dealing.count; i++) {
        struct bytes box = dice_bytes(dice, 1, BOX_BYTES_MAX);

        dealing.nodes[i] = (uint8_t)((first + i) % NODES_MAX);
        dice_fill(dice, dealing.share_commitments[i], HASH_BYTES);
        hash_bytes(box, dealing.box_hashes[i]);
        if (dice_between(dice, 0, 3) > 0)
            dealing.boxes[i] = box;
    }
    return dealing;
}

/* Encodes into memory of the dice. */
static inline struct bytes
dice_keep(struct dice *dice, struct buf *buf)
{
    struct bytes kept;

    if (arena_copy(&dice->arena, buf_bytes(buf), &kept) != OK)
        abort();
    buf_close(buf);
    return kept;
}

static inline void
dice_msg_fields(struct dice *dice, struct msg *msg)
{
    uint8_t id[ID_BYTES];
    enum refusal refusal = (enum refusal)dice_between(dice, REFUSED_NONE, REFUSED_FORGOTTEN);
    struct incarnations known = dice_incarnations(dice);

    dice_fill(dice, id, sizeof(id));
#define ID(member) memcpy(member, id, sizeof(member))
    switch (msg->kind) {
    case MSG_VOTE:
        msg->u.vote = (struct msg_vote){
            .ballot = dice_ballot(dice),
            .purpose = (enum change_kind)dice_between(dice, CHANGE_CREATE, CHANGE_FINISH),
            .credential = dice_bytes(dice, 0, 60),
        };
        ID(msg->u.vote.op_id);
        break;
    case MSG_VOTED:
        msg->u.voted =
            (struct msg_voted){dice_ballot(dice),      refusal, dice_ballot_or_none(dice),
                               dice_accepted(dice),    known,   dice_bytes(dice, 0, 60),
                               dice_bytes(dice, 0, 60)};
        break;
    case MSG_WRITE:
        msg->u.write = (struct msg_write){
            .ballot = dice_ballot(dice),
            .head = dice_bytes(dice, 1, 60),
            .version = dice_bytes(dice, 0, 60),
            .dealing = dice_bytes(dice, 0, 60),
            .boxes = dice_bytes(dice, 0, 60),
            .incarnations = known,
            .proof = dice_bytes(dice, 0, 60),
            .origin = dice_bytes(dice, 0, 60),
            .group = dice_bytes(dice, 0, 60),
        };
        ID(msg->u.write.config_hash);
        break;
    case MSG_WRITTEN:
        msg->u.written = (struct msg_written){
            .ballot = dice_ballot(dice),
            .refusal = refusal,
            .beat = dice_ballot_or_none(dice),
            .incarnations = known,
            .macs = dice_bytes(dice, 0, 60),
        };
        ID(msg->u.written.head_id);
        break;
    case MSG_CHOSEN:
        msg->u.chosen = (struct msg_chosen){
            .ballot = dice_ballot(dice),
            .head = dice_bytes(dice, 0, 60),
            .written = dice_between(dice, 0, (1u << REPLICAS_MAX) - 1),
            .incarnations = known,
            .proof = dice_bytes(dice, 0, 60),
        };
        ID(msg->u.chosen.head_id);
        break;
    case MSG_ERASED:
        msg->u.erased = (struct msg_erased){
            .erased = dice_coin(dice),
            .shredded = dice_coin(dice),
            .state = (enum accepted_state)dice_between(dice, STATE_ABSENT, STATE_RECEIVED),
            .ballot = dice_ballot_or_none(dice),
            .head = dice_bytes(dice, 0, 60),
            .incarnations = known,
        };
        ID(msg->u.erased.head_id);
        break;
    case MSG_KNOWN:
        msg->u.known.incarnations = known;
        ID(msg->u.known.head_id);
        break;
    case MSG_READ:
        msg->u.read.version = dice_number(dice, 0, COUNTER_MAX);
        msg->u.read.credential = dice_bytes(dice, 0, 60);
        ID(msg->u.read.version_id);
        msg->u.read.known_id = dice_bytes(dice, 0, ID_BYTES);
        break;
    case MSG_STATE:
        msg->u.state = (struct msg_state){
            .refusal = refusal,
            .accepted = dice_accepted(dice),
            .version = dice_bytes(dice, 0, 60),
            .dealing = dice_bytes(dice, 0, 60),
            .share_state = (enum share_state)dice_between(dice, SHARE_NONE, SHARE_BAD),
            .share = dice_bytes(dice, 0, SECRET_BYTES_MAX),
            .incarnations = known,
            .as_known = dice_number(dice, 0, 1) == 1,
        };
        break;
    case MSG_FETCH: ID(msg->u.fetch.head_id); break;
    case MSG_FETCHED:
        msg->u.fetched = (struct msg_fetched){
            .refusal = refusal,
            .head = dice_bytes(dice, 0, 60),
            .version = dice_bytes(dice, 0, 60),
            .dealing = dice_bytes(dice, 0, 60),
            .boxes = dice_bytes(dice, 0, 60),
            .group = dice_bytes(dice, 0, 60),
        };
        ID(msg->u.fetched.head_id);
        break;
    case MSG_LIST:
        msg->u.list =
            (struct msg_list){dice_number(dice, 0, COUNTER_MAX), dice_number(dice, 1, PAGE_MAX + 1),
                              dice_bytes(dice, 0, 60)};
        break;
    case MSG_VERSIONS:
        msg->u.versions =
            (struct msg_versions){refusal, dice_accepted(dice), dice_bytes(dice, 0, 90), known};
        break;
    case MSG_SHARE:
        msg->u.share = (struct msg_share){dice_accepted(dice), dice_bytes(dice, 1, 60),
                                          dice_bytes(dice, 1, 60),
                                          dice_bytes(dice, 1, BOX_BYTES_MAX), dice_coin(dice)};
        break;
    case MSG_SHARED:
        msg->u.shared.outcome = (enum shared_outcome)dice_between(dice, SHARED_STORED, SHARED_BAD);
        msg->u.shared.version = dice_number(dice, 0, COUNTER_MAX);
        msg->u.shared.repair = dice_coin(dice);
        msg->u.shared.incarnations = known;
        ID(msg->u.shared.version_id);
        break;
    case MSG_HEARTBEAT:
        msg->u.heartbeat = (struct msg_heartbeat){
            .incarnation = dice_number(dice, 0, UINT64_MAX),
            .boot = dice_number(dice, 0, UINT64_MAX),
            .horizon_ms = dice_number(dice, 0, UINT64_MAX),
            .sequence = dice_number(dice, 0, UINT64_MAX),
            .wall_ms = dice_number(dice, 0, UINT64_MAX),
            .sent_ns = dice_number(dice, 0, UINT64_MAX),
            .echo_ns = dice_number(dice, 0, UINT64_MAX),
            .echo_held_ns = dice_number(dice, 0, UINT64_MAX),
            .share_key_id = dice_number(dice, 0, UINT64_MAX),
            .known_key_id = dice_number(dice, 0, UINT64_MAX),
            .oldest_box_key_id = dice_number(dice, 0, UINT64_MAX),
            .look_age_ms = dice_number(dice, 0, UINT64_MAX),
            .paths = dice_number(dice, 0, UINT64_MAX),
            .paths_known = dice_coin(dice),
            .life = dice_number(dice, 0, UINT64_MAX),
            .recovery = (enum recovery_state)dice_between(dice, RECOVERY_NONE, RECOVERY_SHARES),
            .known_incarnation = dice_number(dice, 0, UINT64_MAX),
            .known_boot = dice_number(dice, 0, UINT64_MAX),
            .known_life = dice_number(dice, 0, UINT64_MAX),
            .known_sequence = dice_number(dice, 0, UINT64_MAX),
        };
        ID(msg->u.heartbeat.share_key);
        ID(msg->u.heartbeat.store_id);
        ID(msg->u.heartbeat.pair_key);
        msg->u.heartbeat.pair_key_id = dice_number(dice, 0, UINT64_MAX);
        dice_fill(dice, msg->u.heartbeat.known_store_id, STORE_ID_BYTES);
        msg->u.heartbeat.records_ready = dice_coin(dice);
        dice_fill(dice, msg->u.heartbeat.record_digests, RECORD_DIGESTS_BYTES);
        break;
    case MSG_ASK_ERASED: break;
    case MSG_DELIVER: msg->u.deliver.owner = dice_between(dice, 0, DELIVER_LAST); break;
    case MSG_COMPARE:
        msg->u.compare = (struct msg_compare){
            (enum compare_level)dice_between(dice, COMPARE_ALL, COMPARE_LEAVES),
            dice_number(dice, 0, RANGES - 1), dice_bytes(dice, DIGEST_BYTES, 4 * DIGEST_BYTES)};
        break;
    case MSG_COMPARED:
        msg->u.compared.level = (enum compare_level)dice_between(dice, COMPARE_ALL, COMPARE_LEAVES);
        msg->u.compared.range = dice_number(dice, 0, RANGES - 1);
        msg->u.compared.ready = dice_coin(dice);
        ID(msg->u.compared.differing);
        break;
    case MSG_ASK_ENTRIES:
        msg->u.ask_entries =
            (struct msg_ask_entries){dice_number(dice, 0, LEAVES - 1), dice_bytes(dice, 0, 60)};
        break;
    case MSG_ENTRIES:
        msg->u.entries = (struct msg_entries){dice_number(dice, 0, LEAVES - 1),
                                              dice_bytes(dice, 0, 60), dice_bytes(dice, 0, 60)};
        break;
    case MSG_RECOVER:
        msg->u.recover = (struct msg_recover){
            .incarnation = dice_number(dice, 1, UINT64_MAX),
            .cursor = dice_bytes(dice, 0, 60),
            .only = dice_coin(dice),
        };
        ID(msg->u.recover.store_id);
        dice_fill(dice, msg->u.recover.config_hash, HASH_BYTES);
        break;
    case MSG_RECOVERED:
        msg->u.recovered = (struct msg_recovered){
            .incarnation = dice_number(dice, 1, UINT64_MAX),
            .cursor = dice_bytes(dice, 0, 60),
            .refusal = refusal,
            .next = dice_bytes(dice, 0, 60),
            .done = dice_coin(dice),
            .known = dice_bytes(dice, 0, 8 * NODES_MAX),
            .items = dice_bytes(dice, 0, 200),
            .promised = dice_ballot_or_none(dice),
        };
        ID(msg->u.recovered.store_id);
        break;
    case MSG_HANDOVER:
        msg->u.handover = (struct msg_handover){
            .accepted = dice_accepted(dice),
            .version = dice_bytes(dice, 0, 60),
            .dealing = dice_bytes(dice, 0, 60),
            .boxes = dice_bytes(dice, 0, 60),
            .kind = (enum handover_kind)dice_between(dice, HANDOVER_HEAD, HANDOVER_SETTLED),
        };
        break;
    case MSG_HANDED: msg->u.handed.refusal = refusal; break;
    case MSG_HELP:
        msg->u.help = (struct msg_help){.version = dice_number(dice, 1, COUNTER_MAX),
                                        .records = dice_coin(dice),
                                        .helpers = dice_between(dice, 0, (1u << REPLICAS_MAX) - 1),
                                        .keys.count = known.count};
        memcpy(msg->u.help.keys.of, known.of, sizeof(msg->u.help.keys.of));
        ID(msg->u.help.version_id);
        break;
    case MSG_HELPED:
        msg->u.helped = (struct msg_helped){
            .outcome = (enum helped_outcome)dice_between(dice, HELPED_GIVEN, HELPED_UNFIT),
            .version = dice_number(dice, 1, COUNTER_MAX),
            .contribution = dice_bytes(dice, 0, SECRET_BYTES_MAX),
            .record = dice_bytes(dice, 0, 60),
            .dealing = dice_bytes(dice, 0, 60),
        };
        ID(msg->u.helped.version_id);
        break;
    case MSG_CHECK:
        msg->u.check.version = dice_number(dice, 0, COUNTER_MAX);
        msg->u.check.scrub = dice_coin(dice);
        ID(msg->u.check.version_id);
        break;
    case MSG_CHECKED:
        msg->u.checked = (struct msg_checked){
            .outcome = (enum checked_outcome)dice_between(dice, CHECKED_WHOLE, CHECKED_CORRUPT),
            .version = dice_number(dice, 0, COUNTER_MAX),
            .rows = dice_number(dice, 0, UINT64_MAX),
            .bytes = dice_number(dice, 0, UINT64_MAX),
        };
        ID(msg->u.checked.version_id);
        break;
    case MSG_SCAN:
        msg->u.scan = (struct msg_scan){
            .tenant = dice_bytes(dice, 1, TENANT_BYTES_MAX),
            .prefix = dice_bytes(dice, 0, NAME_BYTES_MAX),
            .after = dice_bytes(dice, 0, NAME_BYTES_MAX),
            .limit = dice_number(dice, 1, SCAN_NAMES_MAX),
            .credential = dice_bytes(dice, 0, 60),
        };
        break;
    case MSG_SCANNED:
        msg->u.scanned = (struct msg_scanned){
            .refusal = refusal,
            .until = dice_bytes(dice, 0, NAME_BYTES_MAX),
            .names = dice_bytes(dice, 0, 200),
            .incarnations = known,
        };
        break;
    case MSG_ANCHOR: msg->u.anchor.head = dice_bytes(dice, 1, 200); break;
    case MSG_ANCHORED:
        msg->u.anchored.size = dice_number(dice, 0, UINT64_MAX);
        ID(msg->u.anchored.epoch);
        break;
    case MSG_TRAIL:
        msg->u.trail = (struct msg_trail){
            .matter = (enum trail_matter)dice_between(dice, TRAIL_RECORDS, TRAIL_HEADS),
            .node = dice_number(dice, 0, NODES_MAX - 1),
            .block = dice_number(dice, 0, UINT64_MAX),
            .record = dice_number(dice, 0, UINT64_MAX),
            .limit = dice_number(dice, 1, AUDIT_PAGE_RECORDS_MAX),
            .query = dice_bytes(dice, 0, 200),
            .credential = dice_bytes(dice, 0, 60),
        };
        break;
    case MSG_TRAILED:
        msg->u.trailed = (struct msg_trailed){
            .refusal = refusal,
            .items = dice_bytes(dice, 0, 200),
            .block = dice_number(dice, 0, UINT64_MAX),
            .record = dice_number(dice, 0, UINT64_MAX),
            .more = dice_coin(dice),
        };
        break;
    case MSG_REQUEST:
    case MSG_CHANGE:
    case MSG_STORED:
    case MSG_LOADED:
    case MSG_TIMER:
    case MSG_PEER_UP:
    case MSG_PEER_DOWN: abort();
    }
#undef ID
}

/* A message of that kind, one that travels. */
static inline struct msg
dice_msg(struct dice *dice, enum msg_kind kind)
{
    struct msg msg;

    memset(&msg, 0, sizeof(msg));
    msg.kind = kind;
    msg.op = dice_number(dice, 0, UINT64_MAX);
    msg.request_id = dice_text(dice, "abcdef0123!~", 0, REQUEST_ID_BYTES_MAX);
    if (msg_has_path(kind))
        msg.path = dice_path(dice);
    dice_msg_fields(dice, &msg);
    return msg;
}

/*
 * Decodes `in` and, when it is accepted, appends its encoding to `out`: true. The encoder must take
 * whatever the decoder accepted.
 */
typedef bool recode_fn(struct bytes in, struct buf *out);

/* As recode, from memory of exactly that size, so that a sanitizer sees every byte too far. */
static inline bool
recode_exact(recode_fn *recode, struct bytes in, struct buf *out)
{
    uint8_t *copy = malloc(in.size > 0 ? in.size : 1);
    bool accepted;

    if (!copy)
        abort();
    if (in.size > 0)
        memcpy(copy, in.data, in.size);
    accepted = recode(bytes_of(copy, in.size), out);
    free(copy);
    return accepted;
}

/* Accepted, and written back as it was. */
static inline bool
recodes(recode_fn *recode, struct bytes in)
{
    struct buf out = {0};
    bool same = recode_exact(recode, in, &out) && bytes_equal(buf_bytes(&out), in);

    buf_close(&out);
    return same;
}

static inline bool
refused(recode_fn *recode, struct bytes in)
{
    struct buf out = {0};
    bool no = !recode_exact(recode, in, &out);

    buf_close(&out);
    return no;
}

/* Every beginning of it is refused, and so is anything after its end. */
static inline bool
refuses_other_lengths(recode_fn *recode, struct bytes encoded)
{
    struct buf longer = {0};
    bool good = true;

    for (size_t size = 0; size < encoded.size; size++)
        good = good && refused(recode, bytes_of(encoded.data, size));
    for (unsigned byte = 0; byte < 256; byte += 15) {
        uint8_t more = (uint8_t)byte;

        longer.size = 0;
        if (buf_append(&longer, encoded) != OK || buf_append(&longer, bytes_of(&more, 1)) != OK)
            abort();
        good = good && refused(recode, buf_bytes(&longer));
    }
    buf_close(&longer);
    return good;
}

/* Each byte changed to each other value: refused, or written back exactly. Counts both. */
static inline bool
survives_byte_changes(recode_fn *recode, struct bytes encoded, size_t *accepted, size_t *tried)
{
    uint8_t *copy = malloc(encoded.size);
    struct buf out = {0};
    bool good = true;

    if (!copy)
        abort();
    memcpy(copy, encoded.data, encoded.size);
    for (size_t i = 0; i < encoded.size; i++) {
        for (unsigned change = 1; change < 256; change++) {
            copy[i] = (uint8_t)(encoded.data[i] ^ change);
            out.size = 0;
            (*tried)++;
            if (!recode(bytes_of(copy, encoded.size), &out))
                continue;
            (*accepted)++;
            good = good && bytes_equal(buf_bytes(&out), bytes_of(copy, encoded.size));
        }
        copy[i] = encoded.data[i];
    }
    free(copy);
    buf_close(&out);
    return good;
}

/*
 * `encoded`, an array, with its item number `index` replaced by `item` (already encoded; empty:
 * taken out). An index one past the last appends. Into memory of the dice.
 */
static inline struct bytes
replace_item(struct dice *dice, struct bytes encoded, size_t index, struct bytes item)
{
    struct cbor_reader r;
    struct cbor_writer w;
    struct buf out = {0};
    uint64_t count;
    bool append;

    cbor_reader_init(&r, encoded);
    count = cbor_get_array(&r, SIZE_MAX);
    append = index == count;
    cbor_writer_init(&w, &out);
    cbor_put_array(&w, append ? count + 1 : count - (item.size == 0));
    for (size_t i = 0; i < count; i++) {
        const uint8_t *start = r.at;
        struct bytes kept;

        cbor_skip(&r);
        kept = i == index ? item : bytes_of(start, (size_t)(r.at - start));
        if (buf_append(&out, kept) != OK)
            abort();
    }
    if (append && buf_append(&out, item) != OK)
        abort();
    if (w.err != OK || cbor_finish(&r) != OK)
        abort();
    return dice_keep(dice, &out);
}

static inline struct bytes
item_uint(struct dice *dice, uint64_t value)
{
    struct buf out = {0};
    struct cbor_writer w;

    cbor_writer_init(&w, &out);
    cbor_put_uint(&w, value);
    return dice_keep(dice, &out);
}

/* A byte string of `size` zeros. */
static inline struct bytes
item_bytes(struct dice *dice, size_t size)
{
    struct buf out = {0};
    struct cbor_writer w;
    uint8_t *zeros = calloc(1, size + 1);

    if (!zeros)
        abort();
    cbor_writer_init(&w, &out);
    cbor_put_bytes(&w, bytes_of(zeros, size));
    free(zeros);
    return dice_keep(dice, &out);
}

#endif
