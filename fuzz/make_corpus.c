/*
 * Writes the seed corpora of msg_fuzz and rows_fuzz: one valid input of each sort. Run from the
 * root of the checkout after a change of the formats: <build>/tests/make_corpus fuzz/corpus
 */
#include <stdio.h>

#include "audit/export.h"
#include "audit/query.h"
#include "proto/entries.h"
#include "proto/group.h"
#include "proto_fixture.h"

static void
write_seed(const char *directory, const char *fuzzer, const char *name, struct bytes content)
{
    char path[4096];
    FILE *file;

    if ((size_t)snprintf(path, sizeof(path), "%s/%s/%s", directory, fuzzer, name) >= sizeof(path))
        abort();
    file = fopen(path, "wb");
    if (!file || fwrite(content.data, 1, content.size, file) != content.size || fclose(file) != 0) {
        perror(path);
        exit(1);
    }
}

static void
write_messages(struct dice *dice, const char *directory)
{
    for (int kind = MSG_VOTE; kind <= MSG_SCANNED; kind++) {
        if (strcmp(msg_kind_name((enum msg_kind)kind), "?") == 0)
            continue; /* numbers between may be reserved */
        struct msg msg = dice_msg(dice, (enum msg_kind)kind);
        struct group_part part = {bytes_of_text("version"), bytes_of_text("dealing"),
                                  bytes_of_text("boxes")};
        struct buf out = {0}, group = {0};

        msg.request_id = bytes_of_text("r-1");
        if (group_encode(&part, 1, &group) != OK)
            abort();
        if (kind == MSG_WRITE)
            msg.u.write.group = buf_bytes(&group);
        if (msg_encode(&msg, &out) != OK)
            abort();
        write_seed(directory, "msg", msg_kind_name(msg.kind), buf_bytes(&out));
        buf_close(&out);
        buf_close(&group);
    }
}

/* `selector` is the first byte, by which rows_fuzz picks the decoder. */
static void
write_row(const char *directory, uint8_t selector, const char *name, enum vault_err err,
          struct buf *encoded)
{
    struct buf out = {0};

    if (err != OK || buf_append(&out, bytes_of(&selector, 1)) != OK ||
        buf_append(&out, buf_bytes(encoded)) != OK)
        abort();
    write_seed(directory, "rows", name, buf_bytes(&out));
    buf_close(&out);
    buf_close(encoded);
}

static void
write_rows(struct dice *dice, const char *directory)
{
    struct path_row path = {
        .ballot = dice_ballot(dice), .state = STATE_CHOSEN, .head = dice_bytes(dice, 8, 8)};
    struct version_row version = {dice_bytes(dice, 8, 8), dice_bytes(dice, 8, 8),
                                  dice_bytes(dice, 8, 8)};
    struct node_row node = {{1, 2, 3}, 1, 2, 1700000000000, RECOVERY_NONE, 1600000000000};
    struct peer_row peer = {1, 2, 1700000000000, 77, {3, {9, 8, 7}}, {1, 2, 3}, 5, 70, {0}};
    struct row_key key;
    struct buf out = {0};
    uint8_t version_id[ID_BYTES];

    write_row(directory, 0, "path_row", path_row_encode(&path, &out), &out);
    write_row(directory, 1, "version_row", version_row_encode(&version, &out), &out);
    write_row(directory, 2, "node_row", node_row_encode(&node, &out), &out);
    write_row(directory, 3, "peer_row", peer_row_encode(&peer, &out), &out);
    dice_fill(dice, version_id, sizeof(version_id));
    row_key_version(ROW_DEALING, dice_path(dice), 300, version_id, &key);
    write_row(directory, 4, "key", buf_append(&out, row_key_bytes(&key)), &out);
}

static void
write_dirty_row(const char *directory)
{
    struct row_key key;
    uint8_t value[DIRTY_VALUE_BYTES];
    struct buf out = {0};

    row_key_dirty(700, &key);
    dirty_row_encode(3, value);
    if (buf_append(&out, row_key_bytes(&key)) != OK)
        abort();
    write_row(directory, 11, "dirty_row", buf_append(&out, bytes_of(value, sizeof(value))), &out);
}

/* A row of the store itself: a number and a hash. */
static void
write_mark(struct dice *dice, const char *directory)
{
    uint8_t mark[8 + HASH_BYTES];
    struct buf out = {0};

    dice_fill(dice, mark, sizeof(mark));
    write_row(directory, 12, "mark", buf_append(&out, bytes_of(mark, sizeof(mark))), &out);
}

static void
write_records(struct dice *dice, const char *directory)
{
    struct head head = dice_head(dice);
    struct version_record version = dice_version(dice);
    struct dealing dealing = dice_dealing(dice);
    struct bytes items[2] = {bytes_of_text("one"), bytes_of_text("two")};
    struct buf out = {0};

    if (head.op_count > 2)
        head.op_count = 2; /* short seeds are better ones */
    write_row(directory, 5, "head", head_encode(&head, &out), &out);
    write_row(directory, 6, "version", version_encode(&version, &out), &out);
    write_row(directory, 7, "list", bytes_list_encode(items, 2, &out), &out);
    if (dealing_encode_public(&dealing, &out) != OK)
        abort();
    items[0] = dice_keep(dice, &out);
    if (dealing_encode_boxes(&dealing, &out) != OK)
        abort();
    items[1] = dice_keep(dice, &out);
    write_row(directory, 8, "dealing", bytes_list_encode(items, 2, &out), &out);
}

/* What anti-entropy lists, and the index that it lists from. */
static void
write_entries(struct dice *dice, const char *directory)
{
    struct path_entry entries[2] = {{.path = dice_path(dice)}, {.path = dice_path(dice)}};
    struct row_key key;
    struct buf out = {0};

    if (path_compare(entries[0].path, entries[1].path) > 0) {
        struct path second = entries[0].path;
        entries[0].path = entries[1].path;
        entries[1].path = second;
    }
    for (unsigned i = 0; i < 2; i++) {
        entries[i].state = STATE_CHOSEN;
        entries[i].ballot = (struct ballot){.time = 7 + i, .node = 1, .incarnation = 1};
        dice_fill(dice, entries[i].head_id, ID_BYTES);
    }
    row_key_index(entries[0].path, &key);
    write_row(directory, 9, "index_key", buf_append(&out, row_key_bytes(&key)), &out);
    write_row(directory, 10, "entries", path_entries_encode(entries, 2, &out), &out);
}

/* `selector` is the first byte, by which audit_fuzz picks the decoder. */
static void
write_audit_seed(const char *directory, uint8_t selector, const char *name, enum vault_err err,
                 struct buf *encoded)
{
    struct buf out = {0};

    if (err != OK || buf_append(&out, bytes_of(&selector, 1)) != OK ||
        buf_append(&out, buf_bytes(encoded)) != OK)
        abort();
    write_seed(directory, "audit", name, buf_bytes(&out));
    buf_close(&out);
    buf_close(encoded);
}

static void
write_audit_lines(const char *directory, struct bytes block, const struct audit_head *head)
{
    struct audit_line line = {.kind = AUDIT_LINE_BEGIN, .cluster = {1, 2}, .node = 1};
    struct buf out = {0};
    enum vault_err err = OK;

    line.name = bytes_of_text("n2");
    line.key = (struct signing_public){.key = {1}, .proof = {2, 3, 4}, .proof_size = 3};
    line.head = *head;
    line.block = block;
    for (int kind = AUDIT_LINE_BEGIN; err == OK && kind <= AUDIT_LINE_END; kind++) {
        line.kind = (enum audit_line_kind)kind;
        err = audit_line_write(&line, &out);
    }
    write_audit_seed(directory, 6, "export", err, &out);
    line.kind = AUDIT_LINE_HEAD;
    err = audit_line_write(&line, &out);
    if (err == OK)
        out.size--;
    write_audit_seed(directory, 5, "line", err, &out);
}

static void
write_audit(const char *directory)
{
    const struct audit_record record = {.kind = AUDIT_vote,
                                        .time_ms = 1700000000000,
                                        .node = 2,
                                        .op = 77,
                                        .request_id = bytes_of_text("r-1"),
                                        .caller = bytes_of_text("admin"),
                                        .address = bytes_of_text("127.0.0.1"),
                                        .operation = bytes_of_text("create"),
                                        .tenant = bytes_of_text("default"),
                                        .name = bytes_of_text("a/b"),
                                        .outcome = bytes_of_text("given")};
    const struct audit_query query = {1, 2, bytes_of_text("admin"), bytes_of_text("a"),
                                      bytes_of_text("r-1")};
    const struct audit_position positions[3] = {{1, 2}, {0, 0}, {70000, 3}};
    struct audit_head head = {.node = 1, .epoch = {3}, .size = 9, .root = {4}, .time_ms = 5};
    struct audit_block block = {.epoch = {3}, .number = 4, .time_ms = 5, .record_count = 1};
    struct audit_found found = {1, {4, 0}, {0}};
    struct audit_page page = {.missing = 4, .found_count = 1, .name_count = 1};
    struct buf encoded = {0}, records = {0}, put = {0}, next = {0}, out = {0};
    struct cbor_writer w;
    enum vault_err err = audit_record_encode(&record, &encoded);

    cbor_writer_init(&w, &records);
    cbor_put_bytes(&w, buf_bytes(&encoded));
    found.record = buf_bytes(&encoded);
    cbor_writer_init(&w, &put);
    audit_found_put(&w, &found);
    block.records = buf_bytes(&records);
    if (err != OK || audit_block_encode(&block, &out) != OK ||
        audit_positions_encode(positions, 3, &next) != OK)
        abort();
    write_audit_lines(directory, buf_bytes(&out), &head);
    write_audit_seed(directory, 1, "block", OK, &out);
    page.found = buf_bytes(&put);
    page.next = buf_bytes(&next);
    page.names[0] = bytes_of_text("n1");
    write_audit_seed(directory, 4, "page", audit_page_encode(&page, &out), &out);
    write_audit_seed(directory, 4, "positions", OK, &next);
    write_audit_seed(directory, 0, "record", OK, &encoded);
    write_audit_seed(directory, 2, "head", audit_head_encode(&head, &out), &out);
    write_audit_seed(directory, 3, "query", audit_query_encode(&query, &out), &out);
    buf_close(&records);
    buf_close(&put);
}

int
main(int argc, char **argv)
{
    struct dice dice;

    if (argc != 2) {
        fprintf(stderr, "usage: make_corpus DIRECTORY\n");
        return 2;
    }
    dice_init(&dice, 6);
    write_messages(&dice, argv[1]);
    write_rows(&dice, argv[1]);
    write_records(&dice, argv[1]);
    write_entries(&dice, argv[1]);
    write_dirty_row(argv[1]);
    write_mark(&dice, argv[1]);
    write_audit(argv[1]);
    dice_close(&dice);
    return 0;
}
