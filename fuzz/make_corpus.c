/*
 * Writes the seed corpora of msg_fuzz and rows_fuzz: one valid input of each sort. Run from the
 * root of the checkout after a change of the formats: <build>/tests/make_corpus fuzz/corpus
 */
#include <stdio.h>

#include "proto/entries.h"
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
        struct buf out = {0};

        msg.request_id = bytes_of_text("r-1");
        if (msg_encode(&msg, &out) != OK)
            abort();
        write_seed(directory, "msg", msg_kind_name(msg.kind), buf_bytes(&out));
        buf_close(&out);
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
        dice_ballot(dice), STATE_CHOSEN, dice_bytes(dice, 8, 8), false, 0, 0, {0}};
    struct version_row version = {dice_bytes(dice, 8, 8), dice_bytes(dice, 8, 8)};
    struct node_row node = {{1, 2, 3}, 1, 2, 1700000000000, RECOVERY_NONE};
    struct peer_row peer = {1, 2, 1700000000000, 77, {3, {9, 8, 7}}, {1, 2, 3}, 5, 70};
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
    dice_close(&dice);
    return 0;
}
