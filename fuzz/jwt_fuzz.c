/*
 * JSON web tokens and the keys of issuers. No input is signed by the key that is known here, so
 * none may be taken. The first byte picks: 0 a token, 1 a JWKS, 2 the record of an issuer.
 */
#include <stdlib.h>

#include "auth/jwt.h"
#include "base/json_text.h"
#include "fuzz.h"

static void
check_token(struct bytes text)
{
    static const uint8_t point[ED25519_KEY_BYTES] = {
        0x58, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
        0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66,
        0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66, 0x66};
    struct issuer issuer = {.name = bytes_of_text("i"),
                            .audiences = {1, {bytes_of_text("a")}},
                            .ttl_ms_max = 1,
                            .key_count = 1};
    struct auth_names policies;
    struct jwt jwt;

    issuer.keys[0].key =
        (struct public_key){.kind = SIGNATURE_ED25519, .key = bytes_of(point, sizeof(point))};
    if (jwt_parse(text, &jwt) != OK)
        return;
    require(jwt_looks_like(text));
    require(jwt_check(&jwt, &issuer, 1800000000000) != JWT_VALID);
    jwt_policies(&jwt, &issuer, &policies);
    require(policies.count == 0);
    jwt_close(&jwt);
}

static void
check_jwks(struct bytes text)
{
    struct issuer *issuer = calloc(1, sizeof(*issuer));
    struct arena arena;
    enum vault_err err;
    const char *why;
    json_t *root;

    require(issuer != NULL);
    arena_init(&arena, 64 * 1024);
    root = text.size <= JWKS_TEXT_BYTES_MAX && json_shape_within(text, 64, 512)
               ? json_load_strict(text, JSON_REJECT_DUPLICATES, &err)
               : NULL;
    if (jwks_take(root, &arena, issuer, &why) == OK)
        for (size_t i = 0; i < issuer->key_count; i++)
            require(public_key_valid(&issuer->keys[i].key));
    else
        require(issuer->key_count == 0 && why != NULL);
    json_decref(root);
    arena_close(&arena);
    free(issuer);
}

static void
check_record(struct bytes record)
{
    struct issuer *issuer = calloc(1, sizeof(*issuer));
    struct buf again = {0};

    require(issuer != NULL);
    if (issuer_decode(record, issuer) == OK)
        check_same(issuer_encode(issuer, &again), record, &again);
    free(issuer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_check *const checks[] = {check_token, check_jwks, check_record};

    return fuzz_pick(checks, sizeof(checks) / sizeof(checks[0]), data, size);
}
