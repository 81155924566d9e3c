/* What is decided from a credential and identity records. */
#include "auth_records.h"

#include <sodium.h>

#include "auth/jwt.h"
#include "auth/login.h"
#include "crypto/base64.h"
#include "crypto/secret.h"

#define NOW UINT64_C(1800000000000)

#define READ_DB   "{\"rules\":[{\"path\":\"db/**\",\"capabilities\":[\"read\"]}]}"
#define ALL       "{\"rules\":[{\"path\":\"**\",\"capabilities\":[\"read\",\"update\",\"list\"]}]}"
#define DENY_ROOT "{\"rules\":[{\"path\":\"db/root\",\"capabilities\":[\"deny\"]}]}"

static struct rng_seeded seeded;
static struct rng rng;
static const struct identity anna = {
    .id = {0xa},
    .name = {(const uint8_t *)"anna", 4},
    .policies = {2, {{(const uint8_t *)"all", 3}, {(const uint8_t *)"no-root", 7}}}};

struct world {
    struct records records;
    struct auth_records view;
    struct buf text; /* of Anna's token */
    struct token token;
    char key[2 * ACCESSOR_BYTES + 1];
};

/* A token of an identity of tenant "a"; `text` must be empty. */
static struct token
new_token(struct world *world, const struct token_wish *wish, const struct identity *identity,
          const struct token *parent, struct buf *text, char *key)
{
    uint8_t hash[HASH_BYTES];
    struct token token;

    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, text), OK);
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(text), hash), OK);
    assert_int_equal(token_fill(wish, bytes_of_text("a"), identity->id, parent, NOW, hash, &token),
                     OK);
    records_add_token(&world->records, &token, key);
    return token;
}

static struct world *
open_world(void)
{
    static const struct token_wish wish = {.ttl_ms = 60000};
    struct world *world = calloc(1, sizeof *world);

    assert_non_null(world);
    rng_seeded_init(&seeded, 9, &rng);
    world->view = (struct auth_records){.context = &world->records, .get = records_get};
    records_add_tenant(&world->records, "a");
    records_add_tenant(&world->records, "b");
    records_add_policy(&world->records, "a", "all", ALL);
    records_add_policy(&world->records, "a", "read-db", READ_DB);
    records_add_policy(&world->records, "a", "no-root", DENY_ROOT);
    records_add_policy(&world->records, "b", "all", ALL);
    records_add_identity(&world->records, "a", &anna);
    world->token = new_token(world, &wish, &anna, NULL, &world->text, world->key);
    return world;
}

static void
close_world(struct world *world)
{
    records_close(&world->records);
    buf_close(&world->text);
    free(world);
}

/* A list shows what auth_decide() says may be listed, and is none where that says nothing. */
static void
check_listing(struct world *world, struct bytes credential, const char *tenant, const char *name,
              uint64_t now)
{
    struct auth_request request = {
        .tenant = bytes_of_text(tenant),
        .right = RIGHT_SECRET,
        .question = {.name = bytes_of_text(name), .operation = CAPABILITY_LIST}};
    struct auth_decision decision;
    struct auth_listing listing;

    auth_decide(&world->view, credential, &request, now, &decision);
    enum auth_answer answer =
        auth_listing_begin(&world->view, credential, request.tenant, now, &listing);
    assert_int_equal(auth_listing_may(&listing, request.question.name),
                     decision.answer == ANSWER_ALLOWED && !decision.counts_use);
    if (decision.answer == ANSWER_UNAUTHENTICATED)
        assert_int_equal(answer, ANSWER_UNAUTHENTICATED);
    if (answer == ANSWER_DENIED)
        assert_int_equal(decision.answer, ANSWER_DENIED);
}

static struct auth_decision
decide_at(struct world *world, struct bytes credential, const char *tenant,
          enum capability operation, const char *name, uint64_t now)
{
    struct auth_request request = {
        .tenant = bytes_of_text(tenant),
        .right = RIGHT_SECRET,
        .question = {.name = bytes_of_text(name), .operation = operation}};
    struct auth_decision decision;

    check_listing(world, credential, tenant, name, now);
    auth_decide(&world->view, credential, &request, now, &decision);
    return decision;
}

static struct auth_decision
decide(struct world *world, enum capability operation, const char *name)
{
    return decide_at(world, buf_bytes(&world->text), "", operation, name, NOW);
}

static void
rules_of_policies(void **state)
{
    struct world *world = open_world();
    struct auth_decision decision = decide(world, CAPABILITY_READ, "db/x");

    (void)state;
    assert_int_equal(decision.answer, ANSWER_ALLOWED);
    assert_true(decision.identified);
    assert_memory_equal(decision.identity, anna.id, sizeof anna.id);
    assert_true(bytes_equal(decision.tenant, bytes_of_text("a")));
    assert_true(bytes_equal(decision.policy, bytes_of_text("all")));
    assert_false(decision.counts_use);

    decision = decide(world, CAPABILITY_READ, "db/root");
    assert_int_equal(decision.answer, ANSWER_DENIED);
    assert_int_equal(decision.reason, REASON_RULE);
    assert_true(bytes_equal(decision.policy, bytes_of_text("no-root")));
    assert_false(decision.may_know);

    decision = decide(world, CAPABILITY_DELETE, "db/x");
    assert_int_equal(decision.answer, ANSWER_DENIED);
    assert_true(decision.may_know); /* it may be read: 403 tells nothing new */
    close_world(world);
}

static void
credentials_refused(void **state)
{
    struct world *world = open_world();
    struct buf stranger = {0};
    struct auth_decision decision;

    (void)state;
    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, &stranger), OK);
    decision = decide_at(world, buf_bytes(&stranger), "", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.reason, REASON_UNKNOWN_TOKEN);
    assert_int_equal(decision.answer, ANSWER_UNAUTHENTICATED);
    assert_false(decision.identified);
    decision = decide_at(world, (struct bytes){0}, "", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.reason, REASON_NO_CREDENTIAL);
    decision = decide_at(world, bytes_of_text("ost_x"), "", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.reason, REASON_MALFORMED_CREDENTIAL);
    decision = decide_at(world, buf_bytes(&world->text), "", CAPABILITY_READ, "db/x", NOW + 60000);
    assert_int_equal(decision.reason, REASON_EXPIRED);
    assert_int_equal(decision.answer, ANSWER_UNAUTHENTICATED);
    /* A record of another token under this accessor. */
    world->token.hash[31] ^= 1;
    assert_int_equal(
        token_encode(&world->token, records_at(&world->records, "", AUTH_KIND_TOKEN, world->key)),
        OK);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").reason, REASON_UNKNOWN_TOKEN);
    buf_close(&stranger);
    close_world(world);
}

static void
what_is_gone(void **state)
{
    struct world *world = open_world();
    struct identity disabled = anna;
    char uuid[UUID_TEXT_BYTES + 1];

    (void)state;
    uuid_format(anna.id, uuid);
    records_set_found(&world->records, AUTH_KIND_TOKEN, world->key, AUTH_ABSENT);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").answer, ANSWER_UNAUTHENTICATED);
    records_set_found(&world->records, AUTH_KIND_TOKEN, world->key, AUTH_FOUND);
    records_set_found(&world->records, AUTH_KIND_IDENTITY, uuid, AUTH_ABSENT);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").reason, REASON_IDENTITY_GONE);
    disabled.disabled = true;
    records_add_identity(&world->records, "a", &disabled);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").reason, REASON_IDENTITY_DISABLED);
    records_add_identity(&world->records, "a", &anna);
    records_set_found(&world->records, AUTH_KIND_TENANT, "a", AUTH_ABSENT);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").reason, REASON_TENANT_GONE);
    records_set_found(&world->records, AUTH_KIND_TENANT, "a", AUTH_FOUND);
    /* A policy that was deleted says nothing; the others stay. */
    records_set_found(&world->records, AUTH_KIND_POLICY, "no-root", AUTH_ABSENT);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/root").answer, ANSWER_ALLOWED);
    records_set_found(&world->records, AUTH_KIND_POLICY, "all", AUTH_ABSENT);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").reason, REASON_NO_RULE);
    close_world(world);
}

/* What cannot be had or read is neither yes nor no. */
static void
undecided(void **state)
{
    static const enum auth_kind kinds[] = {AUTH_KIND_TENANT, AUTH_KIND_TOKEN, AUTH_KIND_IDENTITY,
                                           AUTH_KIND_POLICY};
    char uuid[UUID_TEXT_BYTES + 1];

    (void)state;
    uuid_format(anna.id, uuid);
    for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
        struct world *world = open_world();
        const char *const keys[] = {[AUTH_KIND_TENANT] = "a",
                                    [AUTH_KIND_TOKEN] = world->key,
                                    [AUTH_KIND_IDENTITY] = uuid,
                                    [AUTH_KIND_POLICY] = "no-root"};
        const char *tenant = kinds[i] == AUTH_KIND_TENANT || kinds[i] == AUTH_KIND_TOKEN ? "" : "a";
        struct auth_decision decision;

        records_set_found(&world->records, kinds[i], keys[kinds[i]], AUTH_UNAVAILABLE);
        decision = decide(world, CAPABILITY_READ, "db/x");
        assert_int_equal(decision.answer, ANSWER_UNDECIDED);
        assert_int_equal(decision.reason, REASON_UNAVAILABLE);
        if (kinds[i] != AUTH_KIND_TENANT) { /* of a tenant it is enough that it is there */
            assert_int_equal(
                buf_append_text(records_at(&world->records, tenant, kinds[i], keys[kinds[i]]), "?"),
                OK);
            decision = decide(world, CAPABILITY_READ, "db/x");
            assert_int_equal(decision.reason, REASON_CORRUPT);
            assert_int_equal(decision.answer, ANSWER_UNDECIDED);
        }
        close_world(world);
    }
}

static void
tenants(void **state)
{
    struct world *world = open_world();
    struct identity both = anna;
    struct bytes text = buf_bytes(&world->text);
    struct auth_decision decision;

    (void)state;
    decision = decide_at(world, text, "b", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.answer, ANSWER_DENIED);
    assert_int_equal(decision.reason, REASON_OTHER_TENANT);
    assert_false(decision.may_know);
    decision = decide_at(world, text, "nowhere", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.reason, REASON_OTHER_TENANT);
    both.tenants = (struct auth_names){2, {bytes_of_text("b"), bytes_of_text("c")}};
    records_add_identity(&world->records, "a", &both);
    decision = decide_at(world, text, "b", CAPABILITY_READ, "db/root", NOW);
    assert_int_equal(decision.answer, ANSWER_ALLOWED); /* by the policies of b, where none denies */
    decision = decide_at(world, text, "c", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.reason, REASON_OTHER_TENANT); /* there is no such tenant */
    close_world(world);
}

/* A token's policies narrow; they take no denial away. */
static void
narrowed_tokens(void **state)
{
    struct world *world = open_world();
    struct token_wish wish = {.policies = {1, {bytes_of_text("read-db")}}};
    struct buf text = {0}, wide = {0};
    struct bytes narrow;

    (void)state;
    (void)new_token(world, &wish, &anna, NULL, &text, NULL);
    narrow = buf_bytes(&text);
    assert_int_equal(decide_at(world, narrow, "", CAPABILITY_READ, "db/x", NOW).answer,
                     ANSWER_ALLOWED);
    assert_int_equal(decide_at(world, narrow, "", CAPABILITY_UPDATE, "db/x", NOW).answer,
                     ANSWER_DENIED);
    assert_int_equal(decide_at(world, narrow, "", CAPABILITY_READ, "web/x", NOW).answer,
                     ANSWER_DENIED);
    assert_int_equal(decide_at(world, narrow, "", CAPABILITY_READ, "db/root", NOW).answer,
                     ANSWER_DENIED);
    /* A policy that the identity does not have gives nothing. */
    records_add_policy(&world->records, "a", "more",
                       "{\"rules\":[{\"path\":\"**\",\"capabilities\":[\"delete\"]}]}");
    wish.policies.names[0] = bytes_of_text("more");
    (void)new_token(world, &wish, &anna, NULL, &wide, NULL);
    assert_int_equal(decide_at(world, buf_bytes(&wide), "", CAPABILITY_DELETE, "db/x", NOW).answer,
                     ANSWER_DENIED);
    buf_close(&text);
    buf_close(&wide);
    close_world(world);
}

static void
children(void **state)
{
    struct world *world = open_world();
    struct identity bert = {
        .id = {0xb}, .name = bytes_of_text("bert"), .policies = {1, {bytes_of_text("all")}}};
    struct token_wish narrow = {.policies = {1, {bytes_of_text("read-db")}}}, plain = {0};
    struct buf texts[3] = {{0}};
    struct token parent, child;
    char parent_key[2 * ACCESSOR_BYTES + 1];

    (void)state;
    records_add_identity(&world->records, "a", &bert);
    parent = new_token(world, &narrow, &anna, &world->token, &texts[0], parent_key);
    child = new_token(world, &plain, &anna, &parent, &texts[1], NULL);
    (void)new_token(world, &plain, &bert, &child, &texts[2], NULL);
    /* Of the same identity: what narrowed the parent narrows the child. */
    assert_int_equal(
        decide_at(world, buf_bytes(&texts[1]), "", CAPABILITY_READ, "db/x", NOW).answer,
        ANSWER_ALLOWED);
    assert_int_equal(
        decide_at(world, buf_bytes(&texts[1]), "", CAPABILITY_UPDATE, "db/x", NOW).answer,
        ANSWER_DENIED);
    /* Of another: its own policies. */
    assert_int_equal(
        decide_at(world, buf_bytes(&texts[2]), "", CAPABILITY_UPDATE, "db/root", NOW).answer,
        ANSWER_ALLOWED);
    records_set_found(&world->records, AUTH_KIND_TOKEN, parent_key, AUTH_ABSENT);
    for (size_t i = 0; i < 3; i++) {
        struct auth_decision decision =
            decide_at(world, buf_bytes(&texts[i]), "", CAPABILITY_READ, "db/x", NOW);
        assert_int_equal(decision.answer, ANSWER_UNAUTHENTICATED);
        assert_int_equal(decision.reason, i == 0 ? REASON_UNKNOWN_TOKEN : REASON_PARENT_GONE);
    }
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").answer, ANSWER_ALLOWED);
    for (size_t i = 0; i < 3; i++)
        buf_close(&texts[i]);
    close_world(world);
}

/* Records that name each other in a circle must not hold anybody up. */
static void
circles(void **state)
{
    struct world *world = open_world();
    struct token one = world->token;

    (void)state;
    one.has_parent = true;
    one.depth = 1;
    ticket_accessor(one.hash, one.parent);
    records_add_token(&world->records, &one, NULL);
    assert_int_equal(decide(world, CAPABILITY_READ, "db/x").reason, REASON_CORRUPT);
    close_world(world);
}

static void
roles(void **state)
{
    struct world *world = open_world();
    struct identity boss = anna;
    struct auth_request request = {.right = RIGHT_OPERATOR};
    struct token_wish wish = {.policies = {1, {bytes_of_text("all")}}};
    struct buf narrow = {0};
    struct auth_decision decision;

    (void)state;
    auth_decide(&world->view, buf_bytes(&world->text), &request, NOW, &decision);
    assert_int_equal(decision.reason, REASON_NO_ROLE);
    boss.policies.names[boss.policies.count++] = bytes_of_text("operator");
    records_add_identity(&world->records, "a", &boss);
    auth_decide(&world->view, buf_bytes(&world->text), &request, NOW, &decision);
    assert_int_equal(decision.answer, ANSWER_ALLOWED);
    (void)new_token(world, &wish, &boss, NULL, &narrow, NULL);
    auth_decide(&world->view, buf_bytes(&narrow), &request, NOW, &decision);
    assert_int_equal(decision.reason, REASON_NO_ROLE);
    request.right = RIGHT_AUDITOR;
    auth_decide(&world->view, buf_bytes(&world->text), &request, NOW, &decision);
    assert_int_equal(decision.answer, ANSWER_DENIED);
    request.right = RIGHT_IDENTIFIED;
    auth_decide(&world->view, buf_bytes(&narrow), &request, NOW, &decision);
    assert_int_equal(decision.answer, ANSWER_ALLOWED);
    buf_close(&narrow);
    close_world(world);
}

/* A token of a login: its identity is an issuer's subject, and its policies are all there is. */
static void
login_token_in(struct world *world, const char *tenant, uint64_t created_ms, struct buf *text)
{
    static const uint8_t subject[AUTH_UUID_BYTES] = {[0] = 7, [6] = 0x80, [8] = 0x80};
    const struct token_wish wish = {
        .ttl_ms = 60000,
        .policies = {3,
                     {bytes_of_text("all"), bytes_of_text("auditor"), bytes_of_text("operator")}}};
    uint8_t hash[HASH_BYTES];
    struct token token;

    assert_int_equal(ticket_make(TICKET_TOKEN, &rng, text), OK);
    assert_int_equal(ticket_hash(TICKET_TOKEN, buf_bytes(text), hash), OK);
    assert_int_equal(
        token_fill(&wish, bytes_of_text(tenant), subject, NULL, created_ms, hash, &token), OK);
    records_add_token(&world->records, &token, NULL);
}

/* Whom a tenant's issuer calls an operator is one if the tenant is "default", and nobody else. */
static void
issuers_of_tenants_name_no_operators(void **state)
{
    static const enum auth_right rights[] = {RIGHT_OPERATOR, RIGHT_AUDITOR};
    struct world *world = open_world();
    struct buf theirs = {0}, ours = {0};
    struct auth_decision decision;

    (void)state;
    records_add_tenant(&world->records, "default");
    login_token_in(world, "a", NOW, &theirs);
    login_token_in(world, "default", NOW, &ours);
    for (size_t i = 0; i < 2; i++) {
        struct auth_request request = {.right = rights[i]};

        auth_decide(&world->view, buf_bytes(&theirs), &request, NOW, &decision);
        assert_int_equal(decision.reason, REASON_NO_ROLE);
        auth_decide(&world->view, buf_bytes(&ours), &request, NOW, &decision);
        assert_int_equal(decision.answer, ANSWER_ALLOWED);
    }
    decision = decide_at(world, buf_bytes(&theirs), "", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.answer, ANSWER_ALLOWED);
    buf_close(&theirs);
    buf_close(&ours);
    close_world(world);
}

/* Nothing but its age tells that such a token is of a tenant that was deleted, and made anew. */
static void
tokens_of_an_earlier_tenant(void **state)
{
    struct world *world = open_world();
    struct buf text = {0};
    struct tenant again = {.name = bytes_of_text("a"), .created_ms = NOW + LOGIN_CLOCKS_MS};

    (void)state;
    login_token_in(world, "a", NOW, &text);
    for (unsigned i = 0; i < 2; i++, again.created_ms++) {
        assert_int_equal(
            tenant_encode(&again, records_at(&world->records, "", AUTH_KIND_TENANT, "a")), OK);
        assert_int_equal(
            decide_at(world, buf_bytes(&text), "", CAPABILITY_READ, "db/x", NOW).reason,
            i == 0 ? REASON_ALLOWED : REASON_TENANT_GONE);
    }
    buf_close(&text);
    close_world(world);
}

static void
counted_tokens(void **state)
{
    struct world *world = open_world();
    struct token_wish wish = {.uses = 1};
    struct buf text = {0};
    struct token token = new_token(world, &wish, &anna, NULL, &text, NULL);
    struct auth_decision decision =
        decide_at(world, buf_bytes(&text), "", CAPABILITY_READ, "db/x", NOW);

    (void)state;
    assert_int_equal(decision.answer, ANSWER_ALLOWED);
    assert_true(decision.counts_use);
    assert_int_equal(token_spend(&token, NOW), OK);
    records_add_token(&world->records, &token, NULL);
    decision = decide_at(world, buf_bytes(&text), "", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.answer, ANSWER_ALLOWED); /* that use may be under way */
    assert_false(decision.counts_use);
    decision = decide_at(world, buf_bytes(&text), "", CAPABILITY_READ, "db/x", NOW + TOKEN_USE_MS);
    assert_int_equal(decision.reason, REASON_USED_UP);
    buf_close(&text);
    close_world(world);
}

static void
policies_alone(void **state)
{
    struct world *world = open_world();
    struct policy_question question = {.name = bytes_of_text("db/root"),
                                       .operation = CAPABILITY_READ};
    struct auth_decision decision;

    (void)state;
    auth_decide_policies(&world->view, bytes_of_text("a"), &anna.policies, &question, &decision);
    assert_int_equal(decision.answer, ANSWER_DENIED);
    assert_true(bytes_equal(decision.policy, bytes_of_text("no-root")));
    question.name = bytes_of_text("db/x");
    auth_decide_policies(&world->view, bytes_of_text("a"), &anna.policies, &question, &decision);
    assert_int_equal(decision.answer, ANSWER_ALLOWED);
    close_world(world);
}

/* Ed25519, and a token that this issuer signed, with what a caller may get by it. */
static void
json_web_tokens(void **state)
{
    static const uint8_t seed[crypto_sign_SEEDBYTES] = {1};
    static const char head_and_claims[] =
        "eyJhbGciOiJFZERTQSJ9." /* {"alg":"EdDSA"} */
        "eyJpc3MiOiJpIiwiYXVkIjoidmF1bHQiLCJzdWIiOiJhbm5hIiwiZXhwIjoxODAwMDAwNjAwLCJyIjoieCJ9";
    uint8_t public[crypto_sign_PUBLICKEYBYTES], private[crypto_sign_SECRETKEYBYTES];
    uint8_t signature[crypto_sign_BYTES];
    struct issuer issuer = {.name = bytes_of_text("i"),
                            .audiences = {1, {bytes_of_text("vault")}},
                            .ttl_ms_max = 3600000,
                            .key_count = 1,
                            .role_count = 1};
    struct world *world = open_world();
    char key[ISSUER_KEY_TEXT_BYTES + 1];
    struct buf text = {0};
    struct auth_decision decision;

    (void)state;
    assert_int_equal(crypto_sign_seed_keypair(public, private, seed), 0);
    issuer.keys[0].key =
        (struct public_key){.kind = SIGNATURE_ED25519, .key = bytes_of(public, sizeof public)};
    issuer.roles[0] = (struct issuer_role){
        bytes_of_text("r"), bytes_of_text("x"), {1, {bytes_of_text("read-db")}}};
    issuer_key(issuer.name, key);
    assert_int_equal(
        issuer_encode(&issuer, records_at(&world->records, "a", AUTH_KIND_ISSUER, key)), OK);
    assert_int_equal(buf_append_text(&text, head_and_claims), OK);
    (void)crypto_sign_detached(signature, NULL, text.data, text.size, private);
    assert_int_equal(buf_append_text(&text, "."), OK);
    assert_int_equal(base64url_encode(bytes_of(signature, sizeof signature), &text), OK);

    decision = decide_at(world, buf_bytes(&text), "a", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.answer, ANSWER_ALLOWED);
    assert_true(bytes_equal(decision.policy, bytes_of_text("read-db")));
    assert_false(decision.has_accessor);
    decision = decide_at(world, buf_bytes(&text), "a", CAPABILITY_READ, "web/x", NOW);
    assert_int_equal(decision.answer, ANSWER_DENIED);
    decision = decide_at(world, buf_bytes(&text), "a", CAPABILITY_READ, "db/x", NOW + 600000);
    assert_int_equal(decision.reason, REASON_EXPIRED);
    /* Tenant b does not trust that issuer. */
    decision = decide_at(world, buf_bytes(&text), "b", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.reason, REASON_UNKNOWN_ISSUER);
    assert_int_equal(decision.answer, ANSWER_UNAUTHENTICATED);
    text.data[text.size - 10] ^= 1;
    decision = decide_at(world, buf_bytes(&text), "a", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.answer, ANSWER_UNAUTHENTICATED);
    records_set_found(&world->records, AUTH_KIND_ISSUER, key, AUTH_UNAVAILABLE);
    decision = decide_at(world, buf_bytes(&text), "a", CAPABILITY_READ, "db/x", NOW);
    assert_int_equal(decision.answer, ANSWER_UNDECIDED);
    buf_close(&text);
    close_world(world);
}

static void
machine_logins(void **state)
{
    struct world *world = open_world();
    struct approle role = {
        .role_id = {1}, .tenant = bytes_of_text("a"), .ttl_ms = 60000, .secret_count = 1};
    char key[UUID_TEXT_BYTES + 1], uuid[UUID_TEXT_BYTES + 1];
    struct buf secret = {0}, other = {0};
    struct bytes id, a = bytes_of_text("a");
    struct login login;

    (void)state;
    memcpy(role.identity, anna.id, sizeof role.identity);
    assert_int_equal(ticket_make(TICKET_SECRET_ID, &rng, &secret), OK);
    assert_int_equal(ticket_make(TICKET_SECRET_ID, &rng, &other), OK);
    assert_int_equal(ticket_hash(TICKET_SECRET_ID, buf_bytes(&secret), role.secrets[0].hash), OK);
    uuid_format(role.role_id, key);
    uuid_format(anna.id, uuid);
    id = bytes_of_text(key);
    assert_int_equal(
        approle_encode(&role, records_at(&world->records, "a", AUTH_KIND_APPROLE, key)), OK);
    assert_int_equal(login_approle(&world->view, a, id, buf_bytes(&secret), NOW, &login),
                     REASON_ALLOWED);
    assert_memory_equal(login.identity, anna.id, sizeof anna.id);
    assert_int_equal(login.ttl_ms, 60000);
    assert_int_equal(
        login_approle(&world->view, bytes_of_text("b"), id, buf_bytes(&secret), NOW, &login),
        REASON_UNKNOWN_TOKEN);
    assert_int_equal(login_approle(&world->view, a, id, buf_bytes(&other), NOW, &login),
                     REASON_UNKNOWN_TOKEN);
    assert_int_equal(login.tenant.size, 0);
    assert_int_equal(
        login_approle(&world->view, a, bytes_of_text(uuid), buf_bytes(&secret), NOW, &login),
        REASON_UNKNOWN_TOKEN);
    assert_int_equal(
        login_approle(&world->view, a, bytes_of_text("x"), buf_bytes(&secret), NOW, &login),
        REASON_UNKNOWN_TOKEN);
    records_set_found(&world->records, AUTH_KIND_IDENTITY, uuid, AUTH_ABSENT);
    assert_int_equal(login_approle(&world->view, a, id, buf_bytes(&secret), NOW, &login),
                     REASON_IDENTITY_GONE);
    records_set_found(&world->records, AUTH_KIND_APPROLE, key, AUTH_UNAVAILABLE);
    assert_int_equal(login_approle(&world->view, a, id, buf_bytes(&secret), NOW, &login),
                     REASON_UNAVAILABLE);
    buf_close(&secret);
    buf_close(&other);
    close_world(world);
}

struct counting {
    const struct records *records;
    unsigned lookups;
};

static enum auth_found
counted_get(const void *context, struct bytes tenant, enum auth_kind kind, struct bytes key,
            struct bytes *record)
{
    struct counting *counting = (struct counting *)(uintptr_t)context;

    counting->lookups++;
    return records_get(counting->records, tenant, kind, key, record);
}

/* Who asks, and by what it is decided, is looked up once, however many names there are. */
static void
a_list_looks_up_once(void **state)
{
    struct world *world = open_world();
    struct counting counting = {.records = &world->records};
    struct auth_records view = {.context = &counting, .get = counted_get};
    struct auth_listing listing;
    unsigned begun;
    char name[16];

    (void)state;
    assert_int_equal(
        auth_listing_begin(&view, buf_bytes(&world->text), bytes_of_text("a"), NOW, &listing),
        ANSWER_ALLOWED);
    begun = counting.lookups;
    assert_in_range(begun, 1, 8);
    for (unsigned i = 0; i < 1000; i++) {
        snprintf(name, sizeof(name), "db/%u", i);
        assert_true(auth_listing_may(&listing, bytes_of_text(name)));
    }
    assert_false(auth_listing_may(&listing, bytes_of_text("db/root")));
    assert_int_equal(counting.lookups, begun);
    close_world(world);
}

static unsigned
below(unsigned limit)
{
    uint32_t number;

    assert_int_equal(rng_fill(&rng, (uint8_t *)&number, sizeof(number)), OK);
    return number % limit;
}

struct indexed {
    const struct records *records;
    struct policy_index *made[RECORDS_MAX];
    bool only_one; /* for more there is no memory */
};

static enum auth_found
indexed_get(const void *context, struct bytes tenant, enum auth_kind kind, struct bytes key,
            struct bytes *record)
{
    const struct indexed *indexed = context;

    return records_get(indexed->records, tenant, kind, key, record);
}

static enum auth_found
indexed_policy(const void *context, struct bytes tenant, struct bytes name, struct bytes *record,
               const struct policy_index **index)
{
    struct indexed *indexed = (struct indexed *)(uintptr_t)context;
    enum auth_found found = records_get(indexed->records, tenant, AUTH_KIND_POLICY, name, record);
    size_t i = 0;

    if (found != AUTH_FOUND)
        return found;
    while (indexed->made[i])
        i++;
    if (i > 0 && indexed->only_one)
        return found;
    assert_int_equal(policy_index_make(*record, &indexed->made[i]), OK);
    *index = indexed->made[i];
    return found;
}

static void
random_name(char out[static 16])
{
    static const char letters[] = "ab/";
    size_t size = 0, most = 1 + below(7);
    char before = '/';

    while (size < most) {
        bool slash = before != '/' && size + 1 < most;
        before = letters[below(slash ? 3 : 2)];
        out[size++] = before;
    }
    out[size] = '\0';
}

/* Where a list may begin leaves nothing out: by all names of a few letters, in random order. */
static void
where_a_list_begins(void **state)
{
    static const char *const patterns[] = {"a/**", "a/b", "b/*", "ab/a/*", "b/b/**", "*/a", "**"};
    enum { PATTERNS = sizeof(patterns) / sizeof(patterns[0]), ROUNDS = 20000 };
    struct world *world = open_world();
    struct identity someone = {.id = {0xc}, .name = bytes_of_text("c"), .policies.count = 1};
    struct token_wish wish = {.ttl_ms = 60000};
    struct buf text = {0};
    unsigned skipped = 0, none = 0, shown = 0;

    (void)state;
    someone.policies.names[0] = bytes_of_text("some");
    records_add_identity(&world->records, "a", &someone);
    (void)new_token(world, &wish, &someone, NULL, &text, NULL);
    for (unsigned round = 0; round < ROUNDS; round++) {
        struct indexed indexed = {.records = &world->records};
        struct auth_records view = {
            .context = &indexed, .get = indexed_get, .get_policy = indexed_policy};
        char json[256], name[16], after[16], prefix[16];
        struct auth_listing listing;
        struct bytes from;

        snprintf(json, sizeof(json),
                 "{\"rules\":[{\"path\":\"%s\",\"capabilities\":[\"list\"]},"
                 "{\"path\":\"%s\",\"capabilities\":[\"%s\"]}]}",
                 patterns[below(PATTERNS - 2 + below(3))], patterns[below(PATTERNS)],
                 below(2) ? "list" : "read");
        records_add_policy(&world->records, "a", "some", json);
        assert_int_equal(
            auth_listing_begin(&view, buf_bytes(&text), bytes_of_text("a"), NOW, &listing),
            ANSWER_ALLOWED);
        random_name(name);
        random_name(after);
        random_name(prefix);
        after[below(4)] = prefix[below(3)] = '\0';
        bool any = auth_listing_from(&listing, bytes_of_text(prefix), bytes_of_text(after), &from);
        bool asked = strncmp(name, prefix, strlen(prefix)) == 0 && strcmp(name, after) > 0;
        skipped += any && from.size > 0;
        none += !any;
        if (asked && auth_listing_may(&listing, bytes_of_text(name))) {
            assert_true(any && bytes_compare(bytes_of_text(name), from) >= 0);
            shown++;
        }
        for (size_t i = 0; indexed.made[i]; i++)
            free(indexed.made[i]);
    }
    assert_in_range(skipped, ROUNDS / 20, ROUNDS);
    assert_in_range(none, ROUNDS / 20, ROUNDS);
    assert_in_range(shown, ROUNDS / 20, ROUNDS);
    buf_close(&text);
    close_world(world);
}

/* A policy without an index may allow any name, whatever those before it allow. */
static void
where_a_list_begins_without_an_index(void **state)
{
    struct world *world = open_world();
    struct identity someone = {.id = {0xc}, .name = bytes_of_text("c"), .policies.count = 2};
    struct token_wish wish = {.ttl_ms = 60000};
    struct indexed indexed = {.records = &world->records, .only_one = true};
    struct auth_records view = {
        .context = &indexed, .get = indexed_get, .get_policy = indexed_policy};
    struct auth_listing listing;
    struct buf text = {0};
    struct bytes from;

    (void)state;
    someone.policies.names[0] = bytes_of_text("first");
    someone.policies.names[1] = bytes_of_text("second");
    records_add_identity(&world->records, "a", &someone);
    records_add_policy(&world->records, "a", "first",
                       "{\"rules\":[{\"path\":\"m/**\",\"capabilities\":[\"list\"]}]}");
    records_add_policy(&world->records, "a", "second",
                       "{\"rules\":[{\"path\":\"a/**\",\"capabilities\":[\"list\"]}]}");
    (void)new_token(world, &wish, &someone, NULL, &text, NULL);
    assert_int_equal(auth_listing_begin(&view, buf_bytes(&text), bytes_of_text("a"), NOW, &listing),
                     ANSWER_ALLOWED);
    assert_true(auth_listing_may(&listing, bytes_of_text("a/b")));
    assert_true(auth_listing_from(&listing, bytes_of_text(""), bytes_of_text(""), &from));
    assert_int_equal(from.size, 0);
    free(indexed.made[0]);
    buf_close(&text);
    close_world(world);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rules_of_policies),
        cmocka_unit_test(credentials_refused),
        cmocka_unit_test(what_is_gone),
        cmocka_unit_test(undecided),
        cmocka_unit_test(tenants),
        cmocka_unit_test(narrowed_tokens),
        cmocka_unit_test(children),
        cmocka_unit_test(circles),
        cmocka_unit_test(roles),
        cmocka_unit_test(issuers_of_tenants_name_no_operators),
        cmocka_unit_test(tokens_of_an_earlier_tenant),
        cmocka_unit_test(counted_tokens),
        cmocka_unit_test(policies_alone),
        cmocka_unit_test(json_web_tokens),
        cmocka_unit_test(machine_logins),
        cmocka_unit_test(a_list_looks_up_once),
        cmocka_unit_test(where_a_list_begins),
        cmocka_unit_test(where_a_list_begins_without_an_index),
    };

    return crypto_init() != OK ? 1 : cmocka_run_group_tests(tests, NULL, NULL);
}
