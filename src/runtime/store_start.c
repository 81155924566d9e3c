#include "runtime/store_start.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "crypto/rng_kernel.h"
#include "crypto/storage_key.h"
#include "runtime/set_aside.h"

enum {
    NEW_STORE_BYTES = 128 * 1024 * 1024, /* what an empty one takes, generously */
    REASON_BYTES = 256,
};

static const char SHARE_KEYS_LOST[] = "its share keys were lost";

/* ---- small things ---- */

static const struct cluster_node *
self_of(const struct store_start *s)
{
    return &s->config->cluster.nodes[s->config->node.self];
}

/* Whether other nodes hold what this one may have lost. */
static bool
others_hold_it(const struct store_start *s)
{
    return s->config->cluster.share_count > 1;
}

static uint64_t
wall_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / 1000000;
}

static enum vault_err
derive(const struct store_start *s, const uint8_t storage_key[static KEY_BYTES], const char *label,
       uint8_t out[static KEY_BYTES])
{
    return storage_key_derive(storage_key, bytes_of(s->config->cluster.id, CLUSTER_ID_BYTES),
                              bytes_of_text(self_of(s)->name), label, out);
}

static enum vault_err
birth_set(struct store_start *s, enum birth_state state)
{
    s->birth.state = state;
    enum vault_err err = birth_write(s->config->node.birth, &s->birth, s->why, s->why_size);
    if (err == OK)
        s->birth_err = OK;
    return err;
}

/* ---- keys ---- */

/* Reads the three files that tell a wrong key from damage. */
static enum vault_err
read_evidence(struct store_start *s, const uint8_t storage_key[static KEY_BYTES],
              enum vault_err *ring_err)
{
    const struct node_config *node = &s->config->node;
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    size_t ad_size = share_keys_ad(s->config->cluster.id, self_of(s)->name, ad);
    uint8_t key[KEY_BYTES];

    s->birth_err = birth_read(node->birth, &s->birth, s->why, s->why_size);
    if (s->birth_err != OK && s->birth_err != ERR_NOT_FOUND && s->birth_err != ERR_MALFORMED)
        return s->birth_err;
    enum vault_err err = derive(s, storage_key, "sequence-file", key);
    if (err == OK) {
        s->sequence_err = sequence_file_read(node->sequence, key, &s->remembered);
        err = derive(s, storage_key, "share-keys", key);
    }
    if (err == OK)
        *ring_err = share_keys_load(node->share_keys, s->ring, key, bytes_of(ad, ad_size), s->why,
                                    s->why_size);
    bytes_wipe(key, sizeof(key));
    if (err == OK && *ring_err != OK && *ring_err != ERR_NOT_FOUND && *ring_err != ERR_CORRUPT)
        err = *ring_err;
    return err;
}

static enum vault_err
judge_key(struct store_start *s, const uint8_t storage_key[static KEY_BYTES],
          enum vault_err ring_err)
{
    uint8_t check[KEY_BYTES];
    enum vault_err err = derive(s, storage_key, "check", check);

    if (err != OK)
        return err;
    bool same = secret_equal(bytes_of(check, KEY_BYTES), bytes_of(s->birth.key_check, KEY_BYTES));
    s->key_proven = (s->birth_err == OK && same) || s->sequence_err == OK || ring_err == OK;
    bool doubted = s->birth_err == OK || s->sequence_err == ERR_CORRUPT || ring_err == ERR_CORRUPT;
    if (!s->key_proven && doubted) {
        snprintf(s->why, s->why_size,
                 "the storage key is not the one that the files in %s were written with: put the "
                 "right storage.key there",
                 s->config->node.directory);
        return ERR_CONFIG;
    }
    if (s->birth_err == OK && !same) /* one digit of it is damaged; it is written anew in time */
        log_event(s->log, LOG_WARN, "store", "birth_record_damaged",
                  log_text("what", "its check value is wrong, but the storage key is right"));
    memcpy(s->birth.key_check, check, sizeof(check));
    return OK;
}

/*
 * New share keys in place of lost or older ones. Their ids must be above all that the others have
 * heard of, or they would go on boxing to a key that nobody has: the sequence file knows the last
 * one, and the time in milliseconds outruns any that counted by rotations.
 */
static enum vault_err
renew_share_keys(struct store_start *s, const uint8_t storage_key[static KEY_BYTES])
{
    uint8_t ad[CLUSTER_ID_BYTES + NODE_NAME_BYTES_MAX];
    size_t ad_size = share_keys_ad(s->config->cluster.id, self_of(s)->name, ad);
    uint64_t floor = wall_ms();
    struct rng rng = rng_kernel();
    uint8_t key[KEY_BYTES];

    if (s->remembered.share_key_id > floor)
        floor = s->remembered.share_key_id;
    if (self_of(s)->first_share_key.id > floor)
        floor = self_of(s)->first_share_key.id;
    if (s->ring->keys[SHARE_KEYS_MAX - 1].public_half.id != 0)
        share_keyring_destroy(s->ring, s->ring->keys[SHARE_KEYS_MAX - 1].public_half.id);
    enum vault_err err = share_keyring_generate_above(s->ring, floor, &rng);
    if (err == OK)
        err = derive(s, storage_key, "share-keys", key);
    if (err != OK)
        return err;
    err = share_keys_save(s->config->node.share_keys, s->ring, key, bytes_of(ad, ad_size), &rng,
                          s->why, s->why_size);
    bytes_wipe(key, sizeof(key));
    return err;
}

/*
 * What a node has acknowledged it has taken out of its box, so the old keys are missed by what was
 * on its way alone. Others have that: the node asks for it before it votes. With one share nobody
 * else has promised anything, and there is nothing to ask for.
 */
static enum vault_err
heal_share_keys(struct store_start *s, const uint8_t storage_key[static KEY_BYTES],
                enum vault_err ring_err)
{
    const struct share_key_public *current = share_keyring_current(s->ring);
    const char *reason = NULL;

    if (ring_err == ERR_NOT_FOUND)
        reason = "share.keys is missing";
    else if (ring_err == ERR_CORRUPT)
        reason = "share.keys is damaged";
    else if (current == NULL || current->id < s->remembered.share_key_id)
        reason = "share.keys is older than it was";
    if (reason == NULL)
        return OK;
    if (ring_err != OK) {
        share_keyring_close(s->ring);
        share_keyring_init(s->ring, s->ring_arena);
    }
    /* Boxes that wait for the old keys stay closed: the shares in them have to be recovered. */
    s->share_keys_lost = others_hold_it(s);
    enum vault_err err = OK;
    if (s->share_keys_lost && s->birth.state != BIRTH_LOST)
        err = birth_set(s, BIRTH_BEHIND);
    if (err == OK)
        err = renew_share_keys(s, storage_key);
    if (err == OK)
        log_event(s->log, LOG_ERROR, "store", "share_keys_lost", log_text("reason", reason),
                  log_text("what", s->share_keys_lost
                                       ? "a new one was made; shares on their way here are "
                                         "recovered from the others before the node votes"
                                       : "a new one was made; nothing that was acknowledged "
                                         "needs the old one"));
    return err;
}

enum vault_err
store_start_keys(struct store_start *s, const uint8_t storage_key[static KEY_BYTES])
{
    enum vault_err ring_err = OK;
    enum vault_err err = read_evidence(s, storage_key, &ring_err);

    if (err == OK)
        err = judge_key(s, storage_key, ring_err);
    if (err == OK)
        err = heal_share_keys(s, storage_key, ring_err);
    return err;
}

/* ---- the store's own facts ---- */

static enum vault_err
read_peer_rows(struct store_start *s, struct store_reader *reader, struct arena *arena)
{
    for (unsigned i = 0; i < s->config->cluster.node_count; i++) {
        char name[16];
        struct row_key key;
        struct bytes value;
        snprintf(name, sizeof(name), "peer/%u", i);
        row_key_meta(name, &key);
        enum vault_err err = s->store->ops->get(reader, row_key_bytes(&key), arena, &value);
        if (err == ERR_NOT_FOUND)
            continue;
        if (err == OK)
            err = peer_row_decode(value, &s->peers[i]);
        row_key_signing(i, &key);
        if (err == OK)
            err = s->store->ops->get(reader, row_key_bytes(&key), arena, &value);
        if (err == ERR_NOT_FOUND)
            continue;
        if (err == OK)
            err = signing_row_decode(value, &s->signers[i]);
        if (err != OK)
            return err;
    }
    return OK;
}

/* The node's durable facts; ERR_NOT_FOUND in a store that has never been used. */
static enum vault_err
read_facts(struct store_start *s)
{
    struct store_reader *reader;
    struct arena arena;
    struct row_key key;
    struct bytes value;
    enum vault_err err = s->store->ops->reader_new(s->store, &reader);
    if (err != OK)
        return err;
    arena_init(&arena, 1024 * 1024);
    row_key_meta("node", &key);
    err = s->store->ops->get(reader, row_key_bytes(&key), &arena, &value);
    if (err == OK)
        err = node_row_decode(value, &s->row);
    if (err == OK)
        err = read_peer_rows(s, reader, &arena);
    s->store->ops->reader_free(reader);
    arena_close(&arena);
    return err;
}

static enum vault_err
write_first_facts(struct store_start *s, uint64_t incarnation)
{
    struct row_key key;
    struct buf value = {0};
    s->row = (struct node_row){.incarnation = incarnation};
    memcpy(s->row.store_id, s->birth.store_id, sizeof(s->row.store_id));
    row_key_meta("node", &key);
    enum vault_err err = node_row_encode(&s->row, &value);
    struct store_change change = {STORE_PUT, row_key_bytes(&key), buf_bytes(&value)};
    if (err == OK)
        err = s->store->ops->commit(s->store, &change, 1);
    if (err == OK)
        err = s->store->ops->sync(s->store);
    buf_close(&value);
    return err;
}

/* ---- opening ---- */

static enum vault_err
open_once(struct store_start *s, const uint8_t storage_key[static KEY_BYTES], bool *created,
          bool *journal_cut)
{
    const struct node_config *node = &s->config->node;
    char again[CONFIG_PATH_MAX + 2];
    struct store_wt_options options = {.directory = node->data,
                                       .cache_bytes = node->cache_bytes,
                                       .disk_free_min_bytes = node->disk_free_min_bytes,
                                       .on_fatal = s->on_fatal,
                                       .context = s->context,
                                       .key_proven = s->key_proven,
                                       .suspect = access(node->failed, F_OK) == 0,
                                       .journal_cut = journal_cut};

    if (s->opened_before) {
        snprintf(again, sizeof(again), "%s/.", node->data);
        options.directory = again;
    }
    s->opened_before = true;
    enum vault_err err = derive(s, storage_key, "tables", options.key);
    if (err == OK)
        err = derive(s, storage_key, "store-chain", options.chain_key);
    if (err == OK)
        err = store_wt_open(&options, &s->store, created, s->why, s->why_size);
    bytes_wipe(options.key, sizeof(options.key));
    bytes_wipe(options.chain_key, sizeof(options.chain_key));
    if (err == OK && options.suspect && unlink(node->failed) == 0 && s->set_aside[0] == '\0')
        log_event(s->log, LOG_WARN, "store", "verified_after_failure",
                  log_text("what", "the storage had ended the last run; what stands there now was "
                                   "read from the disk and verifies"));
    return err;
}

static enum vault_err
refuse(struct store_start *s, const char *because)
{
    size_t size = strlen(s->why);

    snprintf(s->why + size, s->why_size - size, "%s", because);
    return ERR_CORRUPT;
}

/* Puts an empty store in the place of one that is damaged; s->why tells how. */
static enum vault_err
heal_store(struct store_start *s, const uint8_t storage_key[static KEY_BYTES],
           char reason[static REASON_BYTES])
{
    const struct node_config *node = &s->config->node;
    bool created, cut;

    snprintf(reason, REASON_BYTES, "%s", s->why);
    if (!s->key_proven)
        return refuse(s, "; nothing was changed, since the storage key may be the wrong one");
    if (!others_hold_it(s))
        return refuse(s, "; nothing was changed, since there is no other node to recover from");
    enum vault_err err = set_aside(node->data, node->disk_free_min_bytes + NEW_STORE_BYTES,
                                   wall_ms() / 1000, s->log, s->set_aside, s->why, s->why_size);
    return err == OK ? open_once(s, storage_key, &created, &cut) : err;
}

/* ---- what was found ---- */

static enum vault_err
take_empty(struct store_start *s, const char *reason)
{
    struct rng rng = rng_kernel();
    enum vault_err err = OK;

    if (s->birth_err == OK && s->birth.state == BIRTH_UNUSED) {
        s->is_new = true;
        err = write_first_facts(s, 1);
        return err == OK ? birth_set(s, BIRTH_USED) : err;
    }
    if (!others_hold_it(s)) {
        snprintf(s->why, s->why_size,
                 "the store in %s is empty, but this node has had one: it was lost, and there is "
                 "no other node to recover from",
                 s->config->node.data);
        return ERR_CONFIG;
    }
    s->finding = STORE_LOST;
    err = rng_fill(&rng, s->birth.store_id, sizeof(s->birth.store_id));
    if (err == OK)
        err = birth_set(s, BIRTH_LOST);
    if (err == OK)
        err = write_first_facts(s, s->remembered.incarnation > 0 ? s->remembered.incarnation : 1);
    if (err == OK)
        log_event(s->log, LOG_ERROR, "store", "lost",
                  log_text("reason", reason != NULL ? reason : "it is gone"),
                  log_text("set_aside", s->set_aside[0] != '\0' ? s->set_aside : "-"),
                  log_text("what", "an empty store takes its place; the node recovers from the "
                                   "others before it votes"));
    return err;
}

/* Why the store is older than it was; empty: nothing says so. */
static void
compare_sequence(const struct store_start *s, bool journal_cut, char reason[static REASON_BYTES])
{
    const char *torn = journal_cut ? ", and its journal ended in a torn record" : "";
    struct store_mark mark;

    reason[0] = '\0';
    if (s->sequence_err != OK)
        return;
    s->store->ops->durable(s->store, &mark);
    if (memcmp(s->row.store_id, s->remembered.store_id, sizeof(s->row.store_id)) != 0)
        snprintf(reason, REASON_BYTES, "it is another store than the sequence file remembers%s",
                 torn);
    else if (mark.sequence < s->remembered.mark.sequence)
        snprintf(reason, REASON_BYTES,
                 "it stands at sequence %" PRIu64 ", and stood at %" PRIu64 " before%s",
                 mark.sequence, s->remembered.mark.sequence, torn);
    else if (mark.sequence == s->remembered.mark.sequence &&
             memcmp(mark.mac, s->remembered.mark.mac, sizeof(mark.mac)) != 0)
        snprintf(reason, REASON_BYTES, "other batches led to its sequence %" PRIu64, mark.sequence);
    else if (s->row.incarnation < s->remembered.incarnation)
        snprintf(reason, REASON_BYTES, "it is of an older incarnation than this node has had");
}

static enum vault_err
take_behind(struct store_start *s, const char *reason)
{
    if (!others_hold_it(s)) {
        snprintf(s->why, s->why_size,
                 "the store in %s is not as this node left it: %s; there is no other node to "
                 "recover from. To go on with what is there and lose the rest, remove %s",
                 s->config->node.data, reason, s->config->node.sequence);
        return ERR_CONFIG;
    }
    s->finding = STORE_BEHIND;
    memcpy(s->birth.store_id, s->row.store_id, sizeof(s->birth.store_id));
    enum vault_err err = birth_set(s, BIRTH_BEHIND);
    if (err == OK && reason != SHARE_KEYS_LOST) /* which has had its line */
        log_event(s->log, LOG_ERROR, "store", "behind", log_text("reason", reason),
                  log_text("what", "the node recovers what it forgot from the others before it "
                                   "votes"));
    return err;
}

/* The birth record is missing or damaged, or alone in naming another store. */
static void
take_birth_from_store(struct store_start *s)
{
    log_event(s->log, LOG_WARN, "store", "birth_record_made_anew",
              log_text("reason", s->birth_err == ERR_NOT_FOUND ? "it is missing" : "it is damaged"),
              log_text("what", "the store tells the same"));
    memcpy(s->birth.store_id, s->row.store_id, sizeof(s->birth.store_id));
    s->birth.state = BIRTH_USED;
    s->birth_err = ERR_NOT_FOUND; /* to be written */
}

static enum vault_err
take_found(struct store_start *s, bool journal_cut)
{
    char reason[REASON_BYTES];
    bool same = memcmp(s->row.store_id, s->birth.store_id, sizeof(s->row.store_id)) == 0;
    bool remembered = s->sequence_err == OK &&
                      memcmp(s->row.store_id, s->remembered.store_id, sizeof(s->row.store_id)) == 0;

    compare_sequence(s, journal_cut, reason);
    if (s->birth_err != OK || (!same && remembered && s->birth.state == BIRTH_USED)) {
        take_birth_from_store(s);
        same = true;
    }
    if (same && s->birth.state == BIRTH_LOST) {
        s->finding = STORE_LOST;
        log_event(s->log, LOG_WARN, "store", "lost",
                  log_text("reason", "it was lost before, and is not recovered yet"));
        return OK;
    }
    if (!same)
        return take_behind(s, "it is another store than the birth record names");
    if (reason[0] != '\0')
        return take_behind(s, reason);
    if (s->birth.state == BIRTH_BEHIND)
        return take_behind(s, s->share_keys_lost ? SHARE_KEYS_LOST
                                                 : "it was so before, and is not recovered yet");
    if (journal_cut)
        log_event(s->log, LOG_WARN, "store", "journal_cut",
                  log_text("what", "the journal ended in a torn record, as a loss of power leaves "
                                   "it; nothing is known to be missing"));
    if (s->birth_err != OK || s->birth.state == BIRTH_UNUSED)
        return birth_set(s, BIRTH_USED);
    return OK;
}

static enum vault_err
begin_sequence(struct store_start *s, const uint8_t storage_key[static KEY_BYTES])
{
    const struct share_key_public *share_key = share_keyring_current(s->ring);
    struct sequence_record now = {.incarnation = s->row.incarnation};
    uint8_t key[KEY_BYTES];

    s->incarnation_known = s->remembered.incarnation;
    if (s->row.incarnation > s->incarnation_known)
        s->incarnation_known = s->row.incarnation;
    now.incarnation = s->incarnation_known;
    now.share_key_id = share_key != NULL ? share_key->id : 0;
    memcpy(now.store_id, s->row.store_id, sizeof(now.store_id));
    s->store->ops->durable(s->store, &now.mark);
    enum vault_err err = derive(s, storage_key, "sequence-file", key);
    if (err == OK)
        err = sequence_file_open(s->config->node.sequence, key, &now, &s->sequence);
    bytes_wipe(key, sizeof(key));
    if (err != OK)
        snprintf(s->why, s->why_size, "%s cannot be written", s->config->node.sequence);
    return err;
}

static void
tell_sequence_lost(const struct store_start *s)
{
    if (s->sequence_err == OK || s->finding != STORE_INTACT || s->birth.state == BIRTH_UNUSED)
        return;
    log_event(s->log, LOG_WARN, "store", "sequence_file_lost",
              log_text("reason", s->sequence_err == ERR_NOT_FOUND ? "it is missing"
                                 : s->sequence_err == ERR_CORRUPT ? "it is damaged"
                                                                  : "it cannot be read"),
              log_text("what", "whether the store is older than it was, the other nodes must "
                               "tell"));
}

enum vault_err
store_start_open(struct store_start *s, const uint8_t storage_key[static KEY_BYTES])
{
    char reason[REASON_BYTES] = "";
    bool created = false, journal_cut = false;
    bool was_new = s->birth_err == OK && s->birth.state == BIRTH_UNUSED;
    enum vault_err facts = ERR_NOT_FOUND;
    enum vault_err err = open_once(s, storage_key, &created, &journal_cut);

    if (err == OK)
        facts = read_facts(s);
    if (err == OK && ((facts != OK && facts != ERR_NOT_FOUND) ||
                      (facts != OK && s->store->ops->sequence(s->store) > 0))) {
        s->store->ops->close(s->store);
        s->store = NULL;
        snprintf(s->why, s->why_size, "the node's own records in it do not verify");
        err = ERR_CORRUPT;
    }
    if (err == ERR_CORRUPT) {
        facts = ERR_NOT_FOUND;
        err = heal_store(s, storage_key, reason);
    }
    if (err == OK)
        err = facts == OK ? take_found(s, journal_cut)
                          : take_empty(s, reason[0] != '\0' ? reason : NULL);
    if (err == OK && !was_new)
        tell_sequence_lost(s);
    return err == OK ? begin_sequence(s, storage_key) : err;
}

enum vault_err
store_start_shares_lost(struct store_start *s)
{
    bool has_served = !s->is_new && s->row.boot > 0; /* else a first start was interrupted */
    if (!has_served || s->finding != STORE_INTACT)
        return OK;
    if (!others_hold_it(s)) {
        snprintf(s->why, s->why_size,
                 "the keys in %s that this node's shares lie under are missing or damaged, and "
                 "there is no other node to recover from; nothing was changed: put a copy of that "
                 "file back",
                 s->config->node.bucket_keys);
        return ERR_CONFIG;
    }
    s->finding = STORE_BEHIND;
    return birth_set(s, BIRTH_BEHIND);
}

/* ---- while the node runs ---- */

static void
told(struct store_start *s, enum vault_err err)
{
    if (err == OK || atomic_exchange(&s->sequence_failed, true))
        return;
    log_event(s->log, LOG_ERROR, "store", "sequence_file_failed", log_err("error", err));
}

void
store_start_flushed(struct store_start *s, const struct store_mark *durable)
{
    told(s, sequence_file_set_mark(s->sequence, durable));
}

void
store_start_share_key(struct store_start *s)
{
    const struct share_key_public *current = share_keyring_current(s->ring);

    if (s->sequence != NULL && current != NULL)
        told(s, sequence_file_set_share_key(s->sequence, current->id));
}

void
store_start_recovering(struct store_start *s, uint64_t incarnation)
{
    char why[256] = "";

    told(s, sequence_file_set_incarnation(s->sequence, incarnation));
    if (s->birth.state == BIRTH_BEHIND || s->birth.state == BIRTH_LOST) {
        struct birth birth = s->birth;
        birth.state = BIRTH_USED;
        if (birth_write(s->config->node.birth, &birth, why, sizeof(why)) == OK)
            s->birth = birth;
    }
}

void
store_start_mark_failed(const struct node_config *node, const char *what)
{
    int fd = open(node->failed, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0600);

    if (fd < 0)
        return; /* a disk that does not even take a name: the next start finds the same */
    if (write(fd, what, strlen(what)) > 0)
        (void)fsync(fd);
    close(fd);
}
