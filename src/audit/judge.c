#include "audit/judge.h"

#include <stdlib.h>
#include <string.h>

enum { HEADS_FIRST = 64 };

enum vault_err
audit_judge_open(struct audit_judge *j, audit_prove_fn *prove, void *context)
{
    *j = (struct audit_judge){.prove = prove, .context = context, .expected = -1};
    j->memory = malloc(AUDIT_EXPORT_BLOCK_BYTES_MAX);
    return j->memory ? OK : ERR_NOMEM;
}

void
audit_judge_close(struct audit_judge *j)
{
    free(j->memory);
    free(j->heads);
    *j = (struct audit_judge){0};
}

void
audit_judge_file(struct audit_judge *j)
{
    j->expected = AUDIT_LINE_BEGIN;
    j->lines = 0;
}

static void
bad_line(struct audit_judge *j)
{
    if (!j->malformed)
        j->malformed_line = j->lines;
    j->malformed = true;
}

void
audit_judge_file_end(struct audit_judge *j)
{
    if (j->expected != -1)
        j->open = true;
}

/* ---- first pass ---- */

static enum vault_err
add_head(struct audit_judge *j, const struct audit_head *head, uint64_t kept_by)
{
    if (j->head_count == AUDIT_JUDGE_HEADS_MAX)
        return ERR_TOO_LARGE;
    if (j->head_count == j->head_capacity) {
        size_t capacity = j->head_capacity ? 2 * j->head_capacity : HEADS_FIRST;
        struct audit_head *larger = realloc(j->heads, capacity * sizeof(*larger));
        if (!larger)
            return ERR_NOMEM;
        j->heads = larger;
        j->head_capacity = capacity;
    }
    j->heads[j->head_count] = *head;
    j->heads[j->head_count++].kept_by = kept_by;
    return OK;
}

static enum vault_err
take_head(struct audit_judge *j, const struct audit_line *line)
{
    if (line->head.node != j->node || line->node == j->node) {
        j->heads_refused++;
        return OK;
    }
    for (size_t i = 0; i < j->key_count; i++) {
        struct signing_keys key = {.list = {j->keys[i]}};
        if (audit_head_verify(&line->head, j->cluster, &key) == OK)
            return add_head(j, &line->head, line->node);
    }
    j->heads_refused++;
    return OK;
}

static void
take_key(struct audit_judge *j, const struct signing_public *key)
{
    for (size_t i = 0; i < j->key_count; i++) {
        if (memcmp(j->keys[i].key, key->key, sizeof(key->key)) == 0)
            return;
    }
    if (j->key_count < AUDIT_JUDGE_KEYS_MAX &&
        j->prove(j->context, j->cluster, bytes_of_text(j->name), key))
        j->keys[j->key_count++] = *key;
    else
        j->keys_refused++;
}

/* All files are of one node of one cluster. */
static void
take_name(struct audit_judge *j, const struct audit_line *line)
{
    if (j->named) {
        if (line->node != j->node || !bytes_equal(line->name, bytes_of_text(j->name)))
            bad_line(j);
        return;
    }
    j->named = true;
    j->node = line->node;
    memcpy(j->name, line->name.data, line->name.size);
}

static void
take_cluster(struct audit_judge *j, const struct audit_line *line)
{
    if (!j->named)
        memcpy(j->cluster, line->cluster, CLUSTER_ID_BYTES);
    else if (memcmp(j->cluster, line->cluster, CLUSTER_ID_BYTES) != 0)
        bad_line(j);
}

static enum vault_err
first_pass(struct audit_judge *j, const struct audit_line *line)
{
    switch (line->kind) {
    case AUDIT_LINE_CLUSTER: take_cluster(j, line); break;
    case AUDIT_LINE_NODE: take_name(j, line); break;
    case AUDIT_LINE_KEY: take_key(j, &line->key); break;
    case AUDIT_LINE_HEAD: return take_head(j, line);
    case AUDIT_LINE_MISSING: j->missing |= UINT64_C(1) << line->node; break;
    case AUDIT_LINE_BEGIN:
    case AUDIT_LINE_BLOCK:
    case AUDIT_LINE_END: break;
    }
    return OK;
}

/* ---- lines ---- */

/* What may follow: the first three come once, an end comes last, the others in the order of kinds. */
static bool
in_place(struct audit_judge *j, enum audit_line_kind kind)
{
    bool head = kind == AUDIT_LINE_HEAD || kind == AUDIT_LINE_MISSING;
    bool once = kind <= AUDIT_LINE_NODE;

    if (j->expected < 0 || (int)kind < j->expected)
        return false;
    if (j->expected <= AUDIT_LINE_NODE && (int)kind != j->expected)
        return false;
    if (kind == AUDIT_LINE_END)
        j->expected = -1;
    else
        j->expected = head ? AUDIT_LINE_HEAD : (int)kind + once;
    return true;
}

enum vault_err
audit_judge_line(struct audit_judge *j, struct bytes text)
{
    struct audit_line line;

    j->lines++;
    if (audit_line_parse(text, j->memory, &line) != OK || !in_place(j, line.kind)) {
        bad_line(j);
        return OK;
    }
    if (!j->second)
        return first_pass(j, &line);
    if (line.kind == AUDIT_LINE_BLOCK && !j->malformed)
        (void)audit_verifier_block(&j->verifier, line.block);
    return OK;
}

void
audit_judge_second_pass(struct audit_judge *j)
{
    j->second = true;
    j->malformed = false;
    j->open = false;
    audit_verifier_init(&j->verifier, j->heads, j->head_count);
}

/* The verifier's own finding goes first, since it names a record. */
struct audit_finding
audit_judge_end(struct audit_judge *j)
{
    struct audit_finding found = audit_verifier_end(&j->verifier);

    if (found.verdict != AUDIT_INTACT && !j->malformed)
        return found;
    if (j->malformed || j->heads_refused > 0) {
        found.verdict = AUDIT_CHANGED;
        found.block = j->verifier.next_block;
        found.record = j->verifier.anchored;
    } else if (j->open) {
        found.verdict = AUDIT_TRUNCATED;
        found.block = j->verifier.next_block;
        found.record = j->verifier.tree.size;
    }
    return found;
}
