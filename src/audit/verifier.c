#include "audit/verifier.h"

#include <stdlib.h>
#include <string.h>

#include "audit/record.h"

const char *
audit_verdict_name(enum audit_verdict verdict)
{
    switch (verdict) {
    case AUDIT_INTACT: return "intact";
    case AUDIT_CHANGED: return "changed";
    case AUDIT_DROPPED: return "dropped";
    case AUDIT_DISORDER: return "disorder";
    case AUDIT_TRUNCATED: return "truncated";
    case AUDIT_FORKED: return "forked";
    }
    return "?";
}

static int
compare_anchors(const void *a, const void *b)
{
    const struct audit_head *x = a, *y = b;
    int epochs = memcmp(x->epoch, y->epoch, AUDIT_EPOCH_BYTES);

    if (epochs != 0)
        return epochs;
    return x->size < y->size ? -1 : x->size > y->size;
}

static bool
found(struct audit_verifier *v, enum audit_verdict verdict, uint64_t block, uint64_t record)
{
    if (v->finding.verdict == AUDIT_INTACT) {
        v->finding.verdict = verdict;
        v->finding.block = block;
        v->finding.record = record;
    }
    return false;
}

static bool
contradicts(struct audit_verifier *v, enum audit_verdict verdict, uint64_t block, uint64_t record,
            const struct audit_head *anchor)
{
    if (v->finding.verdict == AUDIT_INTACT) {
        v->finding.contradicted = true;
        v->finding.against = *anchor;
    }
    return found(v, verdict, block, record);
}

static bool
is_of(const struct audit_head *anchor, const uint8_t epoch[static AUDIT_EPOCH_BYTES])
{
    return memcmp(anchor->epoch, epoch, AUDIT_EPOCH_BYTES) == 0;
}

void
audit_verifier_init(struct audit_verifier *v, struct audit_head *anchors, size_t count)
{
    *v = (struct audit_verifier){.anchors = anchors, .anchor_count = count};
    for (size_t i = 0; i < count; i++) {
        anchors[i].met = false;
        if (anchors[i].kept_from > v->kept_from)
            v->kept_from = anchors[i].kept_from;
    }
    if (count > 0)
        qsort(anchors, count, sizeof(*anchors), compare_anchors);
    for (size_t i = 1; i < count; i++) {
        if (compare_anchors(&anchors[i - 1], &anchors[i]) == 0 &&
            memcmp(anchors[i - 1].root, anchors[i].root, HASH_BYTES) != 0)
            (void)contradicts(v, AUDIT_FORKED, 0, anchors[i].size - 1, &anchors[i]);
    }
}

/* What was anchored of the epoch that ends here must have been there. */
static bool
end_epoch(struct audit_verifier *v)
{
    for (size_t i = 0; v->begun && i < v->anchor_count; i++) {
        const struct audit_head *anchor = &v->anchors[i];
        if (is_of(anchor, v->epoch) && anchor->size > v->tree.size)
            return contradicts(v, AUDIT_TRUNCATED, v->next_block, v->tree.size, anchor);
    }
    return true;
}

/*
 * Anchors that end within the block: one is made between blocks, so its size must be that of the
 * tree after one. They stand in the order of their sizes.
 */
static bool
meet_anchors(struct audit_verifier *v, uint64_t number)
{
    uint8_t root[HASH_BYTES];

    for (; v->next_anchor < v->anchor_count; v->next_anchor++) {
        const struct audit_head *anchor = &v->anchors[v->next_anchor];
        if (!is_of(anchor, v->epoch) || anchor->size > v->tree.size)
            break;
        audit_tree_root(&v->tree, root);
        if (anchor->size < v->tree.size || memcmp(root, anchor->root, HASH_BYTES) != 0)
            return contradicts(v, AUDIT_CHANGED, number, v->anchored, anchor);
        v->anchored = anchor->size;
    }
    return true;
}

/* Those that end before the block have nothing here to be compared with. */
static void
pass_anchors(struct audit_verifier *v, const struct audit_block *block)
{
    size_t i = 0;

    while (i < v->anchor_count && !is_of(&v->anchors[i], block->epoch))
        i++;
    while (i < v->anchor_count && is_of(&v->anchors[i], block->epoch) &&
           v->anchors[i].size < block->before.size)
        i++;
    v->next_anchor = i;
}

static bool
begin(struct audit_verifier *v, const struct audit_block *block)
{
    if (!end_epoch(v))
        return false;
    if (!v->begun && v->anchor_count > 0 && block->number > v->kept_from)
        return found(v, AUDIT_DROPPED, v->kept_from, 0);
    if (v->begun && block->before.size != 0)
        return found(v, AUDIT_DISORDER, block->number, v->tree.size);
    if (!v->begun) {
        v->began_ms = block->time_ms;
        memcpy(v->first_epoch, block->epoch, AUDIT_EPOCH_BYTES);
        v->first_size = block->before.size;
    }
    v->begun = true;
    for (size_t i = 0; i < v->anchor_count; i++) {
        if (is_of(&v->anchors[i], block->epoch))
            v->anchors[i].met = true;
    }
    memcpy(v->epoch, block->epoch, AUDIT_EPOCH_BYTES);
    v->tree = block->before;
    v->anchored = block->before.size;
    pass_anchors(v, block);
    return meet_anchors(v, block->number); /* what was dropped may end just where one does */
}

static bool
follows(struct audit_verifier *v, const struct audit_block *block)
{
    if (block->number > v->next_block)
        return found(v, AUDIT_DROPPED, v->next_block, v->tree.size);
    if (block->number < v->next_block)
        return found(v, AUDIT_DISORDER, block->number, v->tree.size);
    /* It was written by whoever wrote the block before, and over that one's content. */
    if (memcmp(block->previous, v->previous, HASH_BYTES) != 0)
        return found(v, AUDIT_CHANGED, v->next_block - 1, v->anchored);
    return true;
}

bool
audit_verifier_block(struct audit_verifier *v, struct bytes encoded)
{
    struct audit_block block;
    struct audit_record record;
    struct bytes bytes;
    size_t at = 0;

    if (v->finding.verdict != AUDIT_INTACT)
        return false;
    if (audit_block_decode(encoded, &block) != OK)
        return found(v, AUDIT_CHANGED, v->next_block, v->tree.size);
    if (v->begun && !follows(v, &block))
        return false;
    if (!v->begun || memcmp(block.epoch, v->epoch, AUDIT_EPOCH_BYTES) != 0) {
        if (!begin(v, &block))
            return false;
    } else if (!audit_tree_equal(&block.before, &v->tree)) {
        return found(v, AUDIT_CHANGED, block.number, v->anchored);
    }
    while (audit_block_next(&block, &at, &bytes)) {
        if (audit_record_decode(bytes, &record) != OK || audit_tree_add(&v->tree, bytes) != OK)
            return found(v, AUDIT_CHANGED, block.number, v->tree.size);
        v->finding.records++;
    }
    v->next_block = block.number + 1;
    audit_block_hash(encoded, v->previous);
    return meet_anchors(v, block.number);
}

/*
 * An epoch that anchors know and the trail does not have was dropped whole, unless it ended before
 * what is left of the trail.
 */
static bool
all_epochs_are_there(struct audit_verifier *v)
{
    for (size_t i = 0; i < v->anchor_count; i++) {
        if (!v->anchors[i].met && v->anchors[i].time_ms >= v->began_ms)
            return contradicts(v, AUDIT_TRUNCATED, v->next_block, v->tree.size, &v->anchors[i]);
    }
    return true;
}

static void
count_gone(struct audit_verifier *v)
{
    for (size_t i = 0; v->begun && i < v->anchor_count; i++) {
        const struct audit_head *anchor = &v->anchors[i];
        if (anchor->met && (!is_of(anchor, v->first_epoch) || anchor->size >= v->first_size))
            continue;
        v->finding.gone++;
        if (anchor->time_ms > v->finding.gone_ms)
            v->finding.gone_ms = anchor->time_ms;
    }
}

struct audit_finding
audit_verifier_end(struct audit_verifier *v)
{
    if (v->finding.verdict == AUDIT_INTACT && end_epoch(v))
        (void)all_epochs_are_there(v);
    count_gone(v);
    v->finding.unanchored = v->begun ? v->tree.size - v->anchored : 0;
    return v->finding;
}
