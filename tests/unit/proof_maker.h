/*
 * Vouches as the nodes of an actor cluster would, with their own keys: for tests that make WRITE
 * and CHOSEN by hand. What a broken node can do alone is what it makes with the key of that node
 * only.
 */
#ifndef OSTRAKA_TESTS_PROOF_MAKER_H
#define OSTRAKA_TESTS_PROOF_MAKER_H

#include <stdlib.h>
#include <string.h>

#include "actor_cluster.h"
#include "actors/vouch.h"

struct proof_maker {
    struct actor_cluster *ac;
    struct secret_arena *secrets; /* open */
    struct vote_keys keys[NODES_MAX];
    struct membership members[NODES_MAX];
    struct arena arena;
    struct step st;
};

static inline void
proof_maker_init(struct proof_maker *m, struct actor_cluster *ac)
{
    *m = (struct proof_maker){.ac = ac};
    unsigned count = ac->cluster.node_count;
    if (secret_arena_new((size_t)NODES_MAX * VOTE_KEY_SLOTS, &m->secrets) != OK)
        abort();
    secret_arena_open(m->secrets);
    arena_init(&m->arena, 1 << 20);
    m->st.arena = &m->arena;
    for (uint8_t i = 0; i < (uint8_t)count; i++) {
        secret_arena_open(ac->nodes[i].secrets);
        if (vote_keys_init(&m->keys[i], m->secrets, ac->cluster.id, i, &ac->nodes[i].wrap_key) !=
            OK)
            abort();
        secret_arena_close(ac->nodes[i].secrets);
        membership_init(&m->members[i], &ac->cluster, i);
        m->members[i].vote_keys = &m->keys[i];
        m->members[i].members[i].incarnation = 1;
    }
    for (uint8_t i = 0; i < (uint8_t)count; i++) {
        for (uint8_t j = 0; j < (uint8_t)count; j++)
            (void)vote_keys_learn(&m->keys[i], j, m->keys[j].public_half);
    }
}

static inline void
proof_maker_close(struct proof_maker *m)
{
    for (unsigned i = 0; i < NODES_MAX; i++)
        vote_keys_close(&m->keys[i]);
    secret_arena_close(m->secrets);
    secret_arena_free(m->secrets);
    arena_close(&m->arena);
}

static inline struct bytes
proof_maker_encode(struct proof_maker *m, const struct proof *proof)
{
    struct buf out = {0};
    struct bytes copy;
    if (proof_encode(proof, &out) != OK || arena_copy(&m->arena, buf_bytes(&out), &copy) != OK)
        abort();
    buf_close(&out);
    return copy;
}

/*
 * Entries of the nodes in `mask`, each made with the key of `as`, or of the node itself when that
 * is NODES_MAX. `head_id` of writes.
 */
static inline struct bytes
proof_maker_make(struct proof_maker *m, struct path path, struct proof proof, unsigned mask,
                 const struct proof_entry *had, const uint8_t *head_id, uint8_t as)
{
    bool writes = proof.purpose == CHANGE_NONE;
    proof.count = 0;
    for (uint8_t i = 0; i < (uint8_t)NODES_MAX; i++) {
        if (!(mask >> i & 1))
            continue;
        struct proof_entry *e = &proof.entries[proof.count++];
        *e = had ? *had : (struct proof_entry){0};
        e->node = i;
        e->incarnation = 1;
        struct statement s = {.path = path,
                              .ballot = proof.ballot,
                              .purpose = proof.purpose,
                              .op_id = proof.op_id,
                              .caller = proof.caller,
                              .accepted = e->accepted,
                              .state = e->state,
                              .head_id = writes ? head_id : e->head_id,
                              .incarnation = 1};
        e->macs = vouch(&m->members[as < NODES_MAX ? as : i], &m->st, &s);
    }
    return proof_maker_encode(m, &proof);
}

/* Of the nodes in `mask`, that they have written that head at that ballot. */
static inline struct bytes
proof_of_written(struct proof_maker *m, struct path path, struct ballot ballot,
                 const uint8_t head_id[static ID_BYTES], unsigned mask)
{
    struct proof proof = {.ballot = ballot};
    return proof_maker_make(m, path, proof, mask, NULL, head_id, NODES_MAX);
}

/* The proof that a notice needs for what it says: that those have written, and a majority has. */
static inline void
prove_chosen(struct proof_maker *m, struct msg *chosen)
{
    unsigned mask = 3 | (unsigned)chosen->u.chosen.written;
    chosen->u.chosen.proof =
        proof_of_written(m, chosen->path, chosen->u.chosen.ballot, chosen->u.chosen.head_id, mask);
}

/* The votes shown with a WRITE, once more for the ballot that it has now. */
static inline void
prove_write(struct proof_maker *m, struct msg *write)
{
    struct proof proof;
    struct proof_entry had = {0};
    if (proof_decode(write->u.write.proof, &proof) != OK)
        abort();
    if (proof_newest(&proof))
        had = *proof_newest(&proof);
    proof.ballot = write->u.write.ballot;
    write->u.write.proof = proof_maker_make(m, write->path, proof, 3, &had, NULL, NODES_MAX);
}

#endif
