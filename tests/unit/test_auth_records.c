/* Tickets, and the records of tokens, identities, tenants and logins of machines. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "auth/identity.h"
#include "auth/token.h"
#include "crypto/secret.h"

#define NOW UINT64_C(1800000000000)

static struct rng_seeded seeded;
static struct rng rng;

static int
set_up(void **state)
{
    (void)state;
    rng_seeded_init(&seeded, 7, &rng);
    return crypto_init() == OK ? 0 : -1;
}

/* ---- tickets ---- */

static void
tickets(void **state)
{
    struct buf text = {0}, other = {0};
    uint8_t hash[HASH_BYTES], other_hash[HASH_BYTES];
    uint8_t accessor[ACCESSOR_BYTES], other_accessor[ACCESSOR_BYTES];

    (void)state;
    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, &text), OK);
    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, &other), OK);
    assert_int_equal(text.size, TICKET_TEXT_BYTES);
    assert_memory_equal(text.data, "ost_", 4);
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(&text), hash), OK);
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(&other), other_hash), OK);
    assert_memory_not_equal(hash, other_hash, sizeof hash);
    ticket_accessor(hash, accessor);
    ticket_accessor(other_hash, other_accessor);
    assert_memory_not_equal(accessor, other_accessor, sizeof accessor);
    assert_memory_not_equal(accessor, hash, sizeof accessor);
    /* A secret id is not a token, whatever its prefix is made to be. */
    assert_int_equal(ticket_hash(TICKET_SECRET_ID, buf_bytes(&text), hash), ERR_MALFORMED);
    text.data[2] = 's';
    assert_int_equal(ticket_hash(TICKET_SECRET_ID, buf_bytes(&text), hash), ERR_MALFORMED);
    buf_close(&text);
    buf_close(&other);
}

static void
every_letter_of_a_ticket_counts(void **state)
{
    static const uint8_t zero[HASH_BYTES];
    uint8_t hash[HASH_BYTES];
    struct buf text = {0};

    (void)state;
    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, &text), OK);
    for (size_t i = 0; i < text.size; i++) {
        uint8_t was = text.data[i];

        text.data[i] = was == 'A' ? 'B' : 'A';
        assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(&text), hash), ERR_MALFORMED);
        assert_memory_equal(hash, zero, sizeof hash);
        text.data[i] = was;
        assert_int_equal(ticket_hash(TICKET_TOKEN, bytes_of(text.data, i), hash), ERR_MALFORMED);
    }
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(&text), hash), OK);
    assert_int_equal(buf_append_text(&text, "="), OK);
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(&text), hash), ERR_MALFORMED);
    buf_close(&text);
}

/* ---- tokens ---- */

static struct token
some_token(const struct token_wish *wish, const struct token *parent)
{
    static const uint8_t identity[AUTH_UUID_BYTES] = {1}, hash[HASH_BYTES] = {2};
    struct token token;

    assert_int_equal(
        token_fill(wish, bytes_of_text("default"), identity, parent, NOW, hash, &token), OK);
    return token;
}

static void
token_records(void **state)
{
    struct token_wish wish = {.ttl_ms = 60000, .renewable = true};
    struct token parent = some_token(&wish, NULL), token, again;
    struct buf record = {0}, record_again = {0};

    (void)state;
    wish.uses = 3;
    wish.policies = (struct auth_names){2, {bytes_of_text("a"), bytes_of_text("b")}};
    token = some_token(&wish, &parent);
    assert_int_equal(token_encode(&token, &record), OK);
    assert_int_equal(token_decode(buf_bytes(&record), &again), OK);
    assert_true(again.has_parent);
    assert_int_equal(again.depth, 1);
    assert_int_equal(again.uses_left, 3);
    assert_int_equal(again.policies.count, 2);
    assert_int_equal(token_encode(&again, &record_again), OK);
    assert_true(bytes_equal(buf_bytes(&record), buf_bytes(&record_again)));
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(token_decode(bytes_of(record.data, size), &again), ERR_MALFORMED);
    buf_close(&record);
    buf_close(&record_again);
}

static void
token_records_refused(void **state)
{
    struct token_wish wish = {0};
    struct token good = some_token(&wish, NULL), bad;
    struct buf record = {0};

    (void)state;
#define REFUSED(change)                                                                            \
    bad = good;                                                                                    \
    change;                                                                                        \
    assert_int_equal(token_encode(&bad, &record), ERR_RANGE);                                      \
    assert_int_equal(record.size, 0)
    REFUSED(bad.uses_left = 1);
    REFUSED(bad.depth = 1);
    REFUSED(bad.has_parent = true);
    REFUSED(bad.expires_ms = bad.created_ms);
    REFUSED(bad.latest_ms = bad.expires_ms - 1);
    REFUSED(bad.tenant = bytes_of_text("Default"));
    REFUSED((bad.policies = (struct auth_names){1, {bytes_of_text("A")}}));
    REFUSED((bad.policies = (struct auth_names){2, {bytes_of_text("a"), bytes_of_text("a")}}));
#undef REFUSED
    buf_close(&record);
}

static void
token_ends(void **state)
{
    struct token_wish wish = {.ttl_ms = 60000, .uses = 2};
    struct token token = some_token(&wish, NULL);

    (void)state;
    assert_int_equal(token_check(&token, NOW + 59999), TOKEN_VALID);
    assert_int_equal(token_check(&token, NOW + 60000), TOKEN_EXPIRED);
    assert_int_equal(token_renew(&token, NOW), ERR_FORBIDDEN);
    assert_int_equal(token_spend(&token, NOW), OK);
    assert_int_equal(token_spend(&token, NOW + 60000), ERR_UNAUTHENTICATED);
    assert_int_equal(token_spend(&token, NOW), OK);
    assert_int_equal(token_check(&token, NOW), TOKEN_USED_UP);
    assert_int_equal(token_spend(&token, NOW), ERR_UNAUTHENTICATED);
    assert_int_equal(token.uses_left, 0);
    assert_true(token_in_use(&token, NOW));
    assert_true(token_in_use(&token, NOW + TOKEN_USE_MS - 1));
    assert_false(token_in_use(&token, NOW + TOKEN_USE_MS));
    assert_false(token_in_use(&token, NOW - TOKEN_USE_MS));
}

/* One use less, now, and nothing else. */
static void
token_counts(void **state)
{
    struct token_wish wish = {.ttl_ms = 60000, .uses = 2, .renewable = true};
    struct token before = some_token(&wish, NULL), after = before, bad;

    (void)state;
    assert_int_equal(token_spend(&after, NOW), OK);
    assert_true(token_is_spent(&before, &after, NOW));
    assert_true(token_is_spent(&before, &after, NOW + 1000000));
    assert_false(token_is_spent(&before, &before, NOW));
    assert_false(token_is_spent(&after, &before, NOW));
#define REFUSED(change)                                                                            \
    bad = after;                                                                                   \
    change;                                                                                        \
    assert_false(token_is_spent(&before, &bad, NOW))
    REFUSED(bad.uses_left = 0);
    REFUSED(bad.uses_limit = 3);
    REFUSED(bad.uses_limit = bad.uses_left = bad.spent_ms = 0);
    REFUSED(bad.identity[0] ^= 1);
    REFUSED(bad.hash[0] ^= 1);
    REFUSED(bad.expires_ms++);
    REFUSED(bad.tenant = bytes_of_text("other"));
    REFUSED((bad.policies = (struct auth_names){1, {bytes_of_text("a")}}));
    REFUSED(bad.spent_ms = NOW + TOKEN_USE_MS + 1);
#undef REFUSED
    before = after;
    assert_int_equal(token_spend(&after, NOW + 1), OK);
    assert_true(token_is_spent(&before, &after, NOW + 1));
    bad = after;
    bad.spent_ms = NOW - 1;
    assert_false(token_is_spent(&before, &bad, NOW));
    assert_false(token_is_spent(&after, &bad, NOW));
}

static void
token_renewals(void **state)
{
    struct token_wish wish = {.ttl_ms = 60000, .renewable = true};
    struct token token = some_token(&wish, NULL);

    (void)state;
    assert_int_equal(token_renew(&token, NOW + 10000), OK);
    assert_int_equal(token.expires_ms, NOW + 70000);
    assert_int_equal(token_renew(&token, NOW + 5000), OK); /* a clock that is behind */
    assert_int_equal(token.expires_ms, NOW + 70000);
    assert_int_equal(token_renew(&token, NOW + 70000), ERR_UNAUTHENTICATED);
    token.latest_ms = NOW + 80000;
    assert_int_equal(token_renew(&token, NOW + 60000), OK);
    assert_int_equal(token.expires_ms, NOW + 80000);
}

static void
children_of_tokens(void **state)
{
    static const uint8_t identity[AUTH_UUID_BYTES] = {1}, hash[HASH_BYTES] = {3};
    struct token_wish wish = {.ttl_ms = 60000}, longer = {.ttl_ms = 3600000, .renewable = true};
    struct token parent = some_token(&wish, NULL), child = some_token(&longer, &parent);
    uint8_t accessor[ACCESSOR_BYTES];

    (void)state;
    ticket_accessor(parent.hash, accessor);
    assert_memory_equal(child.parent, accessor, sizeof accessor);
    assert_int_equal(child.expires_ms, parent.expires_ms);
    assert_int_equal(child.latest_ms, parent.latest_ms);
    for (unsigned depth = 2; depth < TOKEN_DEPTH_MAX; depth++)
        child = some_token(&wish, &child);
    assert_int_equal(child.depth, TOKEN_DEPTH_MAX - 1);
    struct token beyond;
    assert_int_equal(
        token_fill(&wish, bytes_of_text("default"), identity, &child, NOW, hash, &beyond),
        ERR_FORBIDDEN);
    wish.uses = 1;
    parent = some_token(&wish, NULL);
    assert_int_equal(
        token_fill(&wish, bytes_of_text("default"), identity, &parent, NOW, hash, &beyond),
        ERR_FORBIDDEN);
    wish.ttl_ms = TOKEN_TTL_MS_MIN - 1;
    assert_int_equal(
        token_fill(&wish, bytes_of_text("default"), identity, NULL, NOW, hash, &beyond), ERR_RANGE);
}

/* ---- identities and tenants ---- */

static void
identity_records(void **state)
{
    struct identity identity = {.id = {1, 2, 3},
                                .name = bytes_of_text("Anna B."),
                                .kind = IDENTITY_DEVICE,
                                .created_ms = NOW,
                                .policies = {1, {bytes_of_text("readers")}},
                                .tenants = {1, {bytes_of_text("other")}},
                                .metadata_count = 2,
                                .metadata = {{bytes_of_text("a"), bytes_of_text("x")},
                                             {bytes_of_text("b"), bytes_of_text("")}}};
    struct identity again;
    struct buf record = {0}, record_again = {0};

    (void)state;
    assert_int_equal(identity_encode(&identity, &record), OK);
    assert_int_equal(identity_decode(buf_bytes(&record), &again), OK);
    assert_int_equal(again.kind, IDENTITY_DEVICE);
    assert_true(auth_names_contain(&again.policies, bytes_of_text("readers")));
    assert_int_equal(again.metadata_count, 2);
    assert_int_equal(identity_encode(&again, &record_again), OK);
    assert_true(bytes_equal(buf_bytes(&record), buf_bytes(&record_again)));
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(identity_decode(bytes_of(record.data, size), &again), ERR_MALFORMED);
    buf_close(&record_again);
    identity.metadata[1].key = bytes_of_text("a"); /* twice */
    assert_int_equal(identity_encode(&identity, &record_again), ERR_RANGE);
    identity.metadata_count = 0;
    identity.name = bytes_of_text("a\nb");
    assert_int_equal(identity_encode(&identity, &record_again), ERR_RANGE);
    buf_close(&record);
    buf_close(&record_again);
}

/* The largest of each must be storable. */
static void
largest_records(void **state)
{
    static uint8_t names[AUTH_POLICIES_MAX][POLICY_NAME_BYTES_MAX];
    static uint8_t keys[AUTH_METADATA_MAX][AUTH_METADATA_KEY_BYTES_MAX];
    struct identity identity = {.id = {1}, .metadata_count = AUTH_METADATA_MAX};
    uint8_t text[AUTH_METADATA_VALUE_BYTES_MAX];
    struct buf record = {0};

    (void)state;
    memset(text, 'x', sizeof text);
    identity.name = bytes_of(text, AUTH_NAME_BYTES_MAX);
    for (size_t i = 0; i < AUTH_POLICIES_MAX; i++) {
        memset(names[i], 'a' + (int)i, sizeof names[i]);
        identity.policies.names[i] = bytes_of(names[i], sizeof names[i]);
        memset(keys[i], 'a' + (int)i, sizeof keys[i]);
        identity.metadata[i].key = bytes_of(keys[i], sizeof keys[i]);
        identity.metadata[i].value = bytes_of(text, sizeof text);
    }
    identity.policies.count = AUTH_POLICIES_MAX;
    identity.tenants = identity.policies;
    assert_int_equal(identity_encode(&identity, &record), OK);
    assert_true(record.size <= AUTH_RECORD_BYTES_MAX);
    buf_close(&record);
}

static void
tenant_records(void **state)
{
    struct tenant tenant = {bytes_of_text("team-a"), NOW, 1000, 10, 4096, 50, 3600, 0}, again;
    struct buf record = {0};

    (void)state;
    assert_int_equal(tenant_encode(&tenant, &record), OK);
    assert_int_equal(tenant_decode(buf_bytes(&record), &again), OK);
    assert_int_equal(again.requests_per_second, 50);
    assert_int_equal(again.expires_after_s, 3600);
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(tenant_decode(bytes_of(record.data, size), &again), ERR_MALFORMED);
    assert_false(tenant_is_purged(buf_bytes(&record)));
    buf_close(&record);
    tenant.purging_ms = NOW;
    assert_int_equal(tenant_encode(&tenant, &record), OK);
    assert_int_equal(tenant_decode(buf_bytes(&record), &again), OK);
    assert_true(again.purging_ms == NOW);
    assert_true(tenant_is_purged(buf_bytes(&record)));
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(tenant_decode(bytes_of(record.data, size), &again), ERR_MALFORMED);
    buf_close(&record);
    tenant.purging_ms = 0;
    tenant.value_bytes_max = VALUE_BYTES_MAX + 1;
    assert_int_equal(tenant_encode(&tenant, &record), ERR_RANGE);
    tenant.value_bytes_max = 1;
    tenant.expires_after_s = EXPIRES_AFTER_S_MAX + 1;
    assert_int_equal(tenant_encode(&tenant, &record), ERR_RANGE);
    buf_close(&record);
}

/* A record of one kind is none of another. */
static void
kinds_of_records(void **state)
{
    struct tenant tenant = {.name = bytes_of_text("team-a")};
    struct identity identity;
    struct approle role;
    struct token token;
    struct buf record = {0};

    (void)state;
    assert_int_equal(tenant_encode(&tenant, &record), OK);
    assert_int_equal(identity_decode(buf_bytes(&record), &identity), ERR_MALFORMED);
    assert_int_equal(token_decode(buf_bytes(&record), &token), ERR_MALFORMED);
    assert_int_equal(approle_decode(buf_bytes(&record), &role), ERR_MALFORMED);
    buf_close(&record);
}

/* ---- approle, UUIDs ---- */

static void
approles(void **state)
{
    struct approle role = {.role_id = {1},
                           .tenant = bytes_of_text("default"),
                           .identity = {2},
                           .ttl_ms = 60000,
                           .secret_count = 2};
    struct approle again;
    struct buf record = {0}, first = {0}, second = {0}, stranger = {0};

    (void)state;
    assert_int_equal(ticket_make(TICKET_SECRET_ID, &rng, &first), OK);
    assert_int_equal(ticket_make(TICKET_SECRET_ID, &rng, &second), OK);
    assert_int_equal(ticket_make(TICKET_SECRET_ID, &rng, &stranger), OK);
    assert_int_equal(ticket_hash(TICKET_SECRET_ID, buf_bytes(&first), role.secrets[0].hash), OK);
    assert_int_equal(ticket_hash(TICKET_SECRET_ID, buf_bytes(&second), role.secrets[1].hash), OK);
    role.secrets[1].expires_ms = NOW;
    assert_int_equal(approle_encode(&role, &record), OK);
    assert_int_equal(approle_decode(buf_bytes(&record), &again), OK);
    assert_true(approle_check(&again, buf_bytes(&first), NOW));
    assert_true(approle_check(&again, buf_bytes(&second), NOW - 1));
    assert_false(approle_check(&again, buf_bytes(&second), NOW));
    assert_false(approle_check(&again, buf_bytes(&stranger), NOW));
    assert_false(approle_check(&again, (struct bytes){0}, NOW));
    assert_false(approle_check(&again, bytes_of_text("oss_"), NOW));
    assert_false(approle_check(NULL, buf_bytes(&first), NOW));
    /* What is not a secret id has the hash zero, as unused places have. */
    assert_false(approle_check(NULL, bytes_of_text("x"), NOW));
    again.secret_count = 0;
    assert_false(approle_check(&again, buf_bytes(&first), NOW));
    buf_close(&record);
    buf_close(&first);
    buf_close(&second);
    buf_close(&stranger);
}

static void
uuids(void **state)
{
    static const char *const refused[] = {
        "",
        "00000000-0000-4000-8000-00000000000",
        "00000000-0000-4000-8000-0000000000000",
        "0000000000004000800000000000000000000",
        "00000000-0000-4000-8000-00000000000g",
        "00000000-0000-4000-8000-00000000000A",
        "00000000-0000-4000-80000-0000000000-",
    };
    uint8_t id[AUTH_UUID_BYTES], again[AUTH_UUID_BYTES];
    char text[UUID_TEXT_BYTES + 1];

    (void)state;
    assert_int_equal(uuid_make(&rng, id), OK);
    uuid_format(id, text);
    assert_int_equal(text[14], '4');
    assert_int_equal(uuid_parse(bytes_of_text(text), again), OK);
    assert_memory_equal(id, again, sizeof id);
    for (size_t i = 0; i < sizeof refused / sizeof refused[0]; i++)
        assert_int_equal(uuid_parse(bytes_of_text(refused[i]), again), ERR_MALFORMED);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tickets),          cmocka_unit_test(every_letter_of_a_ticket_counts),
        cmocka_unit_test(token_records),    cmocka_unit_test(token_records_refused),
        cmocka_unit_test(token_ends),       cmocka_unit_test(token_counts),
        cmocka_unit_test(token_renewals),   cmocka_unit_test(children_of_tokens),
        cmocka_unit_test(identity_records), cmocka_unit_test(largest_records),
        cmocka_unit_test(tenant_records),   cmocka_unit_test(kinds_of_records),
        cmocka_unit_test(approles),         cmocka_unit_test(uuids),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
