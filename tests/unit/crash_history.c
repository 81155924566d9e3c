#include "crash_history.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* What a slot holds: nothing, or the value of a change, which follows from its number. */
struct model {
    uint64_t values[HISTORY_SLOTS]; /* 0: nothing */
};

static uint64_t
value_number(uint64_t batch, size_t change)
{
    return batch * HISTORY_CHANGES_MAX + change + 1;
}

static size_t
value_make(uint64_t seed, uint64_t number, uint8_t *out)
{
    struct prng prng;
    prng_init(&prng, seed * 1000003 + number);
    size_t size = prng_chance(&prng, 20) ? prng_between(&prng, 8192, HISTORY_VALUE_BYTES_MAX)
                                         : prng_skewed(&prng, 1, 3000) - 1;
    prng_fill(&prng, out, size);
    return size;
}

/* How the keys of a group begin: in one table of its own, of paths, or of versions of one path. */
static const struct bytes beginnings[HISTORY_GROUPS] = {
    {(const uint8_t *)"g0/", 3},        {(const uint8_t *)"g1/", 3},
    {(const uint8_t *)"p\1t\0\2a", 6},  {(const uint8_t *)"p\1t\0\2b", 6},
    {(const uint8_t *)"p\1t\0\2c", 6},  {(const uint8_t *)"v\1t\0\2a1", 7},
    {(const uint8_t *)"v\1t\0\2b0", 7}, {(const uint8_t *)"v\1t\0\2d1", 7},
};

static struct bytes
group_key(unsigned slot, uint8_t out[static HISTORY_KEY_BYTES])
{
    struct bytes beginning = beginnings[slot / HISTORY_GROUPS];

    memcpy(out, beginning.data, beginning.size);
    return bytes_of(out, beginning.size);
}

/* In the order of the slots. */
static struct bytes
slot_key(unsigned slot, uint8_t out[static HISTORY_KEY_BYTES])
{
    size_t size = group_key(slot, out).size;

    out[size] = (uint8_t)('0' + slot % HISTORY_GROUPS);
    return bytes_of(out, size + 1);
}

static void
change_make(uint64_t seed, uint64_t number, struct prng *prng, struct history_batch *b, size_t i)
{
    struct store_change *change = &b->changes[i];
    unsigned slot = (unsigned)prng_below(prng, HISTORY_SLOTS);
    uint64_t kind = prng_below(prng, 20);

    b->slots[i] = slot;
    change->kind = kind < 14   ? STORE_PUT
                   : kind < 17 ? STORE_DELETE
                   : kind < 19 ? STORE_DELETE_PREFIX
                               : STORE_DELETE_ONE;
    bool group = change->kind == STORE_DELETE_PREFIX || change->kind == STORE_DELETE_ONE;
    change->key = group ? group_key(slot, b->keys[i]) : slot_key(slot, b->keys[i]);
    if (change->kind != STORE_PUT)
        return;
    uint8_t *value = b->values + i * HISTORY_VALUE_BYTES_MAX;
    change->value = bytes_of(value, value_make(seed, value_number(number, i), value));
}

void
history_batch_make(uint64_t seed, uint64_t number, struct history_batch *out)
{
    struct prng prng;

    *out = (struct history_batch){0};
    out->values = malloc((size_t)HISTORY_CHANGES_MAX * HISTORY_VALUE_BYTES_MAX);
    if (out->values == NULL)
        abort();
    prng_init(&prng, seed * 7919 + number * 2 + 1);
    out->count = (size_t)prng_between(&prng, 1, HISTORY_CHANGES_MAX);
    for (size_t i = 0; i < out->count; i++)
        change_make(seed, number, &prng, out, i);
    out->sync = prng_chance(&prng, 400) || number == HISTORY_BATCHES;
    out->checkpoint = prng_chance(&prng, 30);
}

void
history_batch_free(struct history_batch *batch)
{
    free(batch->values);
    batch->values = NULL;
}

/* The first of a group. */
static void
model_delete_one(struct model *m, unsigned slot)
{
    unsigned end = slot + HISTORY_GROUPS;
    while (slot < end && m->values[slot] == 0)
        slot++;
    if (slot < end)
        m->values[slot] = 0;
}

static void
model_apply(struct model *m, uint64_t number, const struct history_batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        unsigned slot = b->slots[i];
        switch (b->changes[i].kind) {
        case STORE_PUT: m->values[slot] = value_number(number, i); break;
        case STORE_DELETE: m->values[slot] = 0; break;
        case STORE_DELETE_PREFIX:
            slot -= slot % HISTORY_GROUPS;
            memset(&m->values[slot], 0, HISTORY_GROUPS * sizeof(m->values[0]));
            break;
        case STORE_DELETE_ONE: model_delete_one(m, slot - slot % HISTORY_GROUPS); break;
        }
    }
}

static bool
rows_check(uint64_t seed, const struct model *m, const struct store_row *rows, size_t count,
           char *why, size_t why_size)
{
    uint8_t *value = malloc(HISTORY_VALUE_BYTES_MAX);
    uint8_t key[HISTORY_KEY_BYTES];
    unsigned at = 0;
    size_t row = 0;
    bool good = value != NULL;

    for (unsigned slot = 0; slot < HISTORY_SLOTS && good; slot++) {
        if (m->values[slot] == 0)
            continue;
        at = slot;
        struct bytes expected = bytes_of(value, value_make(seed, m->values[slot], value));
        good = row < count && bytes_equal(rows[row].key, slot_key(slot, key)) &&
               bytes_equal(rows[row].value, expected);
        row += good;
    }
    if (good && row == count) {
        free(value);
        return true;
    }
    (void)snprintf(why, why_size, "row %zu of %zu is not what the history leaves in slot %u", row,
                   count, at);
    free(value);
    return false;
}

bool
history_check(uint64_t seed, uint64_t sequence, struct store *store, char *why, size_t why_size)
{
    struct model model = {0};
    struct history_batch batch;
    struct store_row rows[HISTORY_SLOTS + 2];
    struct store_reader *reader = NULL;
    struct arena arena;
    size_t count = 0;
    bool more = false, good = false;

    for (uint64_t i = 1; i <= sequence; i++) {
        history_batch_make(seed, i, &batch);
        model_apply(&model, i, &batch);
        history_batch_free(&batch);
    }
    arena_init(&arena, 64 << 20);
    if (store->ops->reader_new(store, &reader) != OK ||
        store->ops->scan(reader, (struct bytes){0}, (struct bytes){0}, HISTORY_SLOTS + 2, true,
                         &arena, rows, &count, &more) != OK)
        (void)snprintf(why, why_size, "the rows cannot be read");
    else
        good = rows_check(seed, &model, rows, count, why, why_size);
    if (reader != NULL)
        store->ops->reader_free(reader);
    arena_close(&arena);
    return good;
}
