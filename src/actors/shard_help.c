/*
 * Helping another replica to what it lacks: records, which are no secret among the replicas of a
 * path, and a blinded contribution to its own share. Which share that is follows from who asks, as
 * the link has authenticated it, and from nothing that the question says.
 */
#include <string.h>

#include "actors/shard_internal.h"
#include "base/planted.h"
#include "crypto/share_recovery.h"

static struct msg_helped *
answer(struct shard_work *w, enum helped_outcome outcome)
{
    struct msg *m = shard_answer_now(w, MSG_HELPED);
    m->u.helped.outcome = outcome;
    m->u.helped.version = w->msg->u.help.version;
    memcpy(m->u.helped.version_id, w->msg->u.help.version_id, ID_BYTES);
    return &m->u.helped;
}

/* The version row asked for among those loaded, if the chain of the chosen head contains it. */
static const struct loaded_row *
find_in_chain(const struct shard_work *w)
{
    const struct msg_help *help = &w->msg->u.help;
    const struct head_summary *head = &w->path->row.head;
    uint8_t expected[ID_BYTES], id[ID_BYTES];
    uint64_t next = head->version;
    struct version_row row;
    struct version_record record;
    struct row_key key;
    memcpy(expected, head->version_id, ID_BYTES);
    for (size_t i = 0; i < w->rows->count && next >= help->version; i++) {
        const struct loaded_row *loaded = &w->rows->rows[i];
        row_key_version(ROW_VERSION, w->path->link.path, next, expected, &key);
        if (!bytes_equal(loaded->key, row_key_bytes(&key)))
            continue;
        if (version_row_decode(loaded->value, &row) != OK)
            return NULL;
        record_id(row.record, id);
        if (memcmp(id, expected, ID_BYTES) != 0 || version_decode(row.record, &record) != OK)
            return NULL;
        if (next == help->version)
            return memcmp(expected, help->version_id, ID_BYTES) == 0 ? loaded : NULL;
        memcpy(expected, record.prev, ID_BYTES);
        next--;
    }
    return NULL;
}

static enum helped_outcome
derive_pair_keys(struct shard_work *w, const struct recovery_terms *terms,
                 const struct replicas *replicas, unsigned own,
                 uint8_t out[REPLICAS_MAX][KEY_BYTES])
{
    for (unsigned i = 0; i < replicas->count; i++) {
        if (i == own || !(terms->helpers >> i & 1))
            continue;
        if (!w->s->membership->pair_keys ||
            pair_keys_derive(w->s->membership->pair_keys, replicas->nodes[i], terms->key_ids[own],
                             terms->key_ids[i], PAIR_KEY_BLINDING, out[i]) != OK)
            return HELPED_OTHER_KEYS;
    }
    return HELPED_GIVEN;
}

/* `sealed` is the own share as it rests, `contribution` memory for what is sent. */
static enum helped_outcome
contribute(struct shard_work *w, const struct dealing *dealing, struct bytes sealed,
           struct bytes *contribution)
{
    const struct msg_help *help = &w->msg->u.help;
    struct recovery_terms terms = {.helpers = help->helpers};
    uint8_t keys[REPLICAS_MAX][KEY_BYTES];
    const struct replicas *replicas = &w->path->replicas;
    struct row_key key;
    struct share share;
    int own = replicas_index(replicas, w->s->membership->self);
    int receiver = replicas_index(replicas, w->msg->from);
    memcpy(terms.dealing_id, dealing->id, DEALING_ID_BYTES);
    terms.receiver = (uint8_t)(receiver + 1);
    memcpy(terms.key_ids, help->keys.of, sizeof(terms.key_ids));
    if (own < 0 || receiver < 0 || help->keys.count != replicas->count ||
        !(help->helpers >> own & 1) || dealing->count != replicas->count ||
        memcmp(dealing->nodes, replicas->nodes, replicas->count) != 0 ||
        !recovery_terms_valid(&terms, dealing->threshold, dealing->count))
        return HELPED_UNFIT;
    row_key_version(ROW_VERSION, w->path->link.path, help->version, help->version_id, &key);
    if (shard_share_unseal(w, row_key_bytes(&key), sealed, &share.data) != OK)
        return HELPED_LACKING;
    share.x = (uint8_t)(own + 1);
    uint8_t *out = arena_alloc(w->st->arena, SECRET_BYTES_MAX);
    if (!out || !dealing_share_matches(dealing, &share))
        return HELPED_LACKING;
    enum helped_outcome outcome = derive_pair_keys(w, &terms, replicas, (unsigned)own, keys);
    if (outcome == HELPED_GIVEN &&
        recovery_contribution(&terms, share.x, share.data, (const uint8_t(*)[KEY_BYTES])keys,
                              out) != OK)
        outcome = HELPED_LACKING;
    if (outcome == HELPED_GIVEN)
        *contribution = bytes_of(out, share.data.size);
    bytes_wipe(keys, sizeof(keys));
    return outcome;
}

/* Of a destroyed version there is the record, which the chain goes through, and nothing else. */
static void
help_with_destroyed(struct shard_work *w, const struct loaded_row *version)
{
    struct version_row row;
    if (w->msg->u.help.helpers != 0 || version_row_decode(version->value, &row) != OK) {
        answer(w, HELPED_NOT_IN_CHAIN);
        return;
    }
    answer(w, HELPED_GIVEN)->record = row.record;
    metrics_count(w->st->metrics, METRIC_recoveries_helped);
}

static void
help_with(struct shard_work *w, struct bytes version_row)
{
    const struct msg_help *help = &w->msg->u.help;
    struct version_row row;
    struct version_record record;
    struct dealing dealing;
    uint8_t hash[HASH_BYTES];
    struct bytes encoded = {0}, contribution = {0};
    if (version_row_decode(version_row, &row) == OK)
        encoded = shard_dealing_of(&row, &w->rows->rows[0]);
    record_id(encoded, hash);
    if (encoded.size == 0 || version_decode(row.record, &record) != OK ||
        memcmp(hash, record.dealing_hash, HASH_BYTES) != 0 ||
        dealing_decode(encoded, (struct bytes){0}, &dealing) != OK) {
        answer(w, HELPED_LACKING);
        return;
    }
    enum helped_outcome outcome = HELPED_GIVEN;
    if (help->helpers != 0)
        outcome = contribute(w, &dealing, row.share, &contribution);
    struct msg_helped *helped = answer(w, outcome);
    if (outcome != HELPED_GIVEN)
        return;
    helped->contribution = contribution;
    if (help->records) {
        helped->record = row.record;
        helped->dealing = encoded;
    }
    metrics_count(w->st->metrics, METRIC_recoveries_helped);
}

/* The version row is kept while the dealing is loaded, where it has a row of its own. */
static void
load_dealing(struct shard_work *w, const struct loaded_row *version)
{
    struct shard_path *path = w->path;
    struct row_key key;
    buf_close(&path->box_memory);
    struct version_row row;
    if (version_row_decode(version->value, &row) != OK ||
        buf_append(&path->box_memory, version->value) != OK) {
        answer(w, HELPED_LACKING);
        return;
    }
    if (row.dealing.size > 0) {
        help_with(w, buf_bytes(&path->box_memory));
        return;
    }
    path->box = buf_bytes(&path->box_memory);
    row_key_version(ROW_DEALING, path->link.path, w->msg->u.help.version, w->msg->u.help.version_id,
                    &key);
    shard_need_rows(w, &key, 1);
}

void
shard_on_help(struct shard_work *w)
{
    const struct msg_help *help = &w->msg->u.help;
    const struct shard_row *own = &w->path->row;
    const struct replicas *replicas = &w->path->replicas;
    if (replicas_index(replicas, w->msg->from) < 0 ||
        replicas_index(replicas, w->s->membership->self) < 0) {
        answer(w, HELPED_UNFIT);
        return;
    }
    if (own->row.state != STATE_CHOSEN || own->head.kind != HEAD_LIVE ||
        help->version > own->head.version || help->version < own->head.oldest_version) {
        answer(w, HELPED_NOT_IN_CHAIN);
        return;
    }
    if (!w->rows) {
        w->path->box = (struct bytes){0};
        shard_need_versions(w, ROW_VERSION, SHARD_ROWS_MAX);
    } else if (w->path->box.size == 0) {
        const struct loaded_row *version = find_in_chain(w);
        if (!version)
            answer(w, HELPED_NOT_IN_CHAIN);
        else if (version_set_has(own->head.destroyed, own->head.oldest_version, help->version) &&
                 !PLANTED(destroy_comes_back))
            help_with_destroyed(w, version);
        else
            load_dealing(w, version);
    } else {
        struct bytes version_row = w->path->box;
        w->path->box = (struct bytes){0};
        help_with(w, version_row);
    }
}
