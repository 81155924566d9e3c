/* Identities, policies and tokens of a cluster of actors, made as identity records. */
#ifndef OSTRAKA_TESTS_TOKEN_RECORDS_H
#define OSTRAKA_TESTS_TOKEN_RECORDS_H

#include <stdio.h>
#include <string.h>

#include "actor_cluster.h"
#include "auth/decide.h"
#include "auth/identity.h"
#include "auth/policy_json.h"
#include "proto/record_path.h"

enum { TEST_TOKEN_BYTES = 64, TEST_WALL_SECONDS = 1800000000 };

struct test_token {
    char text[TEST_TOKEN_BYTES];
    char name[160]; /* of its record, in SYSTEM_TENANT */
    uint8_t hash[HASH_BYTES];
};

static inline struct ac_request *
records_put(struct actor_cluster *ac, const char *tenant, enum auth_kind kind, const char *key,
            struct buf *value)
{
    char name[160];
    snprintf(name, sizeof(name), "_auth/%.16s/%.128s", auth_kind_name(kind), key);
    struct request r = ac_make(REQUEST_RECORD_PUT, name, NULL);
    r.tenant = bytes_of_text(tenant);
    r.value = buf_bytes(value);
    struct ac_request *answer = ac_wait(ac, ac_send(ac, 0, &r));
    assert_int_equal(answer->reply.err, OK);
    buf_close(value);
    return answer;
}

/* The tenant "default", unless it is called otherwise. */
static inline void
records_put_tenant(struct actor_cluster *ac, const char *name)
{
    struct tenant tenant = {.name = bytes_of_text(name)};
    struct buf value = {0};
    assert_int_equal(tenant_encode(&tenant, &value), OK);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TENANT, name, &value);
}

static inline void
records_put_policy(struct actor_cluster *ac, const char *name, const char *json)
{
    struct policy_fault fault;
    struct buf value = {0};
    assert_int_equal(policy_from_text(bytes_of_text(json), &value, &fault), OK);
    records_put(ac, "default", AUTH_KIND_POLICY, name, &value);
}

/* An identity by number, of tenant "default", with that one policy. */
static inline void
records_put_identity(struct actor_cluster *ac, uint8_t number, const char *policy, bool disabled)
{
    struct identity identity = {
        .id = {number}, .name = bytes_of_text("somebody"), .disabled = disabled};
    char key[UUID_TEXT_BYTES + 1];
    struct buf value = {0};
    identity.policies.count = 1;
    identity.policies.names[0] = bytes_of_text(policy);
    uuid_format(identity.id, key);
    assert_int_equal(identity_encode(&identity, &value), OK);
    records_put(ac, "default", AUTH_KIND_IDENTITY, key, &value);
}

/* The same text for the same number, always. */
static inline void
test_token_make(uint64_t number, struct test_token *out)
{
    struct rng_seeded seeded;
    struct rng rng;
    struct buf text = {0};
    uint8_t accessor[ACCESSOR_BYTES];
    char key[2 * ACCESSOR_BYTES + 1];
    rng_seeded_init(&seeded, number, &rng);
    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, &text), OK);
    snprintf(out->text, sizeof(out->text), "%.*s", (int)text.size, (const char *)text.data);
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(&text), out->hash), OK);
    buf_close(&text);
    ticket_accessor(out->hash, accessor);
    hex_encode(bytes_of(accessor, sizeof(accessor)), key);
    snprintf(out->name, sizeof(out->name), "_auth/token/%s", key);
}

/* Its record, for an identity by number; `uses`: 0 is any number. */
static inline void
test_token_record(const struct test_token *token, uint8_t identity, uint64_t uses,
                  uint64_t ttl_seconds, struct buf *out)
{
    struct token record = {.tenant = bytes_of_text("default"),
                           .identity = {identity},
                           .created_ms = TEST_WALL_SECONDS * UINT64_C(1000),
                           .uses_limit = uses,
                           .uses_left = uses};
    record.expires_ms = record.created_ms + 1000 * ttl_seconds;
    record.latest_ms = record.expires_ms;
    memcpy(record.hash, token->hash, HASH_BYTES);
    assert_int_equal(token_encode(&record, out), OK);
}

static inline void
records_put_token(struct actor_cluster *ac, const struct test_token *token, uint8_t identity,
                  uint64_t uses, uint64_t ttl_seconds)
{
    struct buf value = {0};
    test_token_record(token, identity, uses, ttl_seconds, &value);
    records_put(ac, SYSTEM_TENANT, AUTH_KIND_TOKEN, token->name + sizeof("_auth/token/") - 1,
                &value);
}

#endif
