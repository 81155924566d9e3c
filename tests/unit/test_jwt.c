/* JSON web tokens: what is taken, and everything that is not. */
#include "auth_records.h"

#include <sodium.h>

#include "auth/jwt.h"
#include "base/json_text.h"
#include "crypto/base64.h"
#include "crypto/secret.h"
#include "vectors.h"

#define NOW    UINT64_C(1800000000000)
#define NOW_S  "1800000000"
#define HEADER "{\"alg\":\"EdDSA\",\"kid\":\"k1\",\"typ\":\"JWT\"}"
#define CLAIMS_UNTIL(exp)                                                                          \
    "{\"iss\":\"https://id.example\",\"aud\":\"vault\",\"sub\":\"anna\",\"exp\":" exp              \
    ",\"iat\":" NOW_S ",\"groups\":[\"dev\",\"ops\"],\"role\":\"reader\"}"
#define CLAIMS CLAIMS_UNTIL("1800000600")

static uint8_t public_bytes[crypto_sign_PUBLICKEYBYTES], private_bytes[crypto_sign_SECRETKEYBYTES];

static int
set_up(void **state)
{
    static const uint8_t seed[crypto_sign_SEEDBYTES] = {1, 2, 3};

    (void)state;
    if (crypto_init() != OK)
        return -1;
    return crypto_sign_seed_keypair(public_bytes, private_bytes, seed);
}

static struct issuer
our_issuer(void)
{
    return (struct issuer){
        .name = bytes_of_text("https://id.example"),
        .audiences = {2, {bytes_of_text("vault"), bytes_of_text("vault-b")}},
        .ttl_ms_max = 3600 * 1000,
        .key_count = 1,
        .keys = {{bytes_of_text("k1"),
                  {.kind = SIGNATURE_ED25519, .key = bytes_of(public_bytes, sizeof public_bytes)}}},
        .role_count = 3,
        .roles = {
            {bytes_of_text("role"), bytes_of_text("reader"), {1, {bytes_of_text("readers")}}},
            {bytes_of_text("groups"),
             bytes_of_text("ops"),
             {2, {bytes_of_text("readers"), bytes_of_text("operations")}}},
            {bytes_of_text("groups"), bytes_of_text("admins"), {1, {bytes_of_text("admins")}}}}};
}

/* A token over any header and claims. */
static struct buf
signed_token(const char *header, const char *claims)
{
    uint8_t signature[crypto_sign_BYTES];
    struct buf text = {0};

    assert_int_equal(base64url_encode(bytes_of_text(header), &text), OK);
    assert_int_equal(buf_append_text(&text, "."), OK);
    assert_int_equal(base64url_encode(bytes_of_text(claims), &text), OK);
    assert_int_equal(crypto_sign_detached(signature, NULL, text.data, text.size, private_bytes), 0);
    assert_int_equal(buf_append_text(&text, "."), OK);
    assert_int_equal(base64url_encode(bytes_of(signature, sizeof signature), &text), OK);
    return text;
}

static enum jwt_verdict
check_text(struct bytes text, uint64_t now)
{
    struct issuer issuer = our_issuer();
    enum jwt_verdict verdict;
    struct jwt jwt;

    assert_true(issuer_valid(&issuer));
    assert_int_equal(jwt_parse(text, &jwt), OK);
    verdict = jwt_check(&jwt, &issuer, now);
    jwt_close(&jwt);
    return verdict;
}

static enum jwt_verdict
check(const char *header, const char *claims)
{
    struct buf text = signed_token(header, claims);
    enum jwt_verdict verdict = check_text(buf_bytes(&text), NOW);

    buf_close(&text);
    return verdict;
}

static void
taken(void **state)
{
    struct issuer issuer = our_issuer();
    struct buf text = signed_token(HEADER, CLAIMS);
    uint8_t id[AUTH_UUID_BYTES], other[AUTH_UUID_BYTES];
    struct auth_names policies;
    struct jwt jwt;

    (void)state;
    assert_true(jwt_looks_like(buf_bytes(&text)));
    assert_int_equal(jwt_parse(buf_bytes(&text), &jwt), OK);
    assert_int_equal(jwt_check(&jwt, &issuer, NOW), JWT_VALID);
    assert_true(bytes_equal(jwt_subject(&jwt), bytes_of_text("anna")));
    assert_int_equal(jwt_expires_ms(&jwt), NOW + 600000);
    jwt_policies(&jwt, &issuer, &policies);
    assert_int_equal(policies.count, 2);
    assert_true(auth_names_contain(&policies, bytes_of_text("readers")));
    assert_true(auth_names_contain(&policies, bytes_of_text("operations")));
    jwt_identity(&jwt, bytes_of_text("a"), id);
    jwt_identity(&jwt, bytes_of_text("b"), other);
    assert_memory_not_equal(id, other, sizeof id);
    assert_int_equal(id[6] >> 4, 8);
    jwt_close(&jwt);
    buf_close(&text);
    assert_int_equal(check("{\"alg\":\"EdDSA\"}", CLAIMS),
                     JWT_VALID); /* the only key of its kind */
    assert_int_equal(check("{\"alg\":\"EdDSA\",\"x5t\":\"abc\",\"typ\":\"at+jwt\"}", CLAIMS),
                     JWT_VALID);
}

static void
headers_refused(void **state)
{
    static const char *const headers[] = {
        "{}",
        "{\"kid\":\"k1\"}",
        "{\"alg\":\"none\"}",
        "{\"alg\":\"None\"}",
        "{\"alg\":\"\"}",
        "{\"alg\":null}",
        "{\"alg\":[\"EdDSA\"]}",
        "{\"alg\":\"HS256\",\"kid\":\"k1\"}",
        "{\"alg\":\"eddsa\"}",
        "{\"alg\":\"ES384\"}",
        "{\"alg\":\"EdDSA\",\"alg\":\"EdDSA\"}",
        "{\"alg\":\"EdDSA\",\"crit\":[\"exp\"]}",
        "{\"alg\":\"EdDSA\",\"jwk\":\"{}\"}",
        "{\"alg\":\"EdDSA\",\"jku\":\"https://evil.example\"}",
        "{\"alg\":\"EdDSA\",\"x5u\":\"https://evil.example\"}",
        "{\"alg\":\"EdDSA\",\"x5c\":\"\"}",
        "{\"alg\":\"EdDSA\",\"b64\":false}",
        "{\"alg\":\"EdDSA\",\"zip\":\"DEF\"}",
        "{\"alg\":\"EdDSA\",\"typ\":\"logout+jwt\"}",
        "{\"alg\":\"EdDSA\",\"kid\":1}",
        "{\"alg\":\"EdDSA\",\"kid\":\"\"}",
        "{\"alg\":\"EdDSA\",\"kid\":\"a\\u0000b\"}",
        "{\"alg\":\"EdDSA\"} ",
        "[]",
        "null",
        "{\"alg\":\"EdDSA\"}x",
    };

    (void)state;
    for (size_t i = 0; i < sizeof headers / sizeof headers[0]; i++) {
        struct buf text = signed_token(headers[i], CLAIMS);
        bool spaces_only = i == 22;
        struct jwt jwt;

        assert_int_equal(jwt_parse(buf_bytes(&text), &jwt), spaces_only ? OK : ERR_MALFORMED);
        jwt_close(&jwt);
        buf_close(&text);
    }
    assert_int_equal(check("{\"alg\":\"EdDSA\",\"kid\":\"k2\"}", CLAIMS), JWT_UNKNOWN_KEY);
    assert_int_equal(check("{\"alg\":\"ES256\",\"kid\":\"k1\"}", CLAIMS), JWT_UNKNOWN_KEY);
    assert_int_equal(check("{\"alg\":\"RS256\"}", CLAIMS), JWT_UNKNOWN_KEY);
    assert_int_equal(check("{\"alg\":\"PS256\"}", CLAIMS), JWT_UNKNOWN_KEY);
}

static void
forms_refused(void **state)
{
    static const char *const texts[] = {
        "",         ".",        "..",       "a.b",          "a.b.c.d",
        "e30..e30", "e30.e30.", ".e30.e30", "e30=.e30.e30", "e30.e30 .e30"};
    struct buf text = signed_token(HEADER, CLAIMS);
    struct jwt jwt;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++)
        assert_int_equal(jwt_parse(bytes_of_text(texts[i]), &jwt), ERR_MALFORMED);
    /* Another text of the same signature: unused bits set. */
    text.data[text.size - 1]++;
    assert_int_equal(jwt_parse(buf_bytes(&text), &jwt), ERR_MALFORMED);
    buf_close(&text);
    text = signed_token(HEADER, "{\"iss\":\"a\",\"iss\":\"b\"}");
    assert_int_equal(jwt_parse(buf_bytes(&text), &jwt), ERR_MALFORMED);
    buf_close(&text);
}

static void
too_large(void **state)
{
    struct buf claims = {0}, text;
    struct jwt jwt;

    (void)state;
    assert_int_equal(buf_append_text(&claims, "{\"a\":\""), OK);
    for (size_t i = 0; i < CREDENTIAL_BYTES_MAX; i++)
        assert_int_equal(buf_append_text(&claims, "x"), OK);
    assert_int_equal(buf_append(&claims, bytes_of("\"}", 3)), OK);
    text = signed_token(HEADER, (const char *)claims.data);
    assert_int_equal(jwt_parse(buf_bytes(&text), &jwt), ERR_MALFORMED);
    buf_close(&text);
    buf_close(&claims);
}

static void
every_letter_counts(void **state)
{
    struct buf text = signed_token(HEADER, CLAIMS);
    struct issuer issuer = our_issuer();

    (void)state;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t was = text.data[i];
        struct jwt jwt;

        text.data[i] = was == 'A' ? 'B' : 'A';
        if (jwt_parse(buf_bytes(&text), &jwt) == OK)
            assert_int_not_equal(jwt_check(&jwt, &issuer, NOW), JWT_VALID);
        jwt_close(&jwt);
        text.data[i] = was;
    }
    assert_int_equal(check_text(buf_bytes(&text), NOW), JWT_VALID);
    buf_close(&text);
}

static void
claims(void **state)
{
#define WITH(members) "{\"iss\":\"https://id.example\"," members "}"
    static const struct {
        const char *claims;
        enum jwt_verdict verdict;
    } cases[] = {
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600"), JWT_VALID},
        {WITH("\"aud\":[\"x\",\"vault-b\"],\"sub\":\"s\",\"exp\":1800000600"), JWT_VALID},
        {WITH("\"aud\":\"Vault\",\"sub\":\"s\",\"exp\":1800000600"), JWT_AUDIENCE},
        {WITH("\"aud\":[],\"sub\":\"s\",\"exp\":1800000600"), JWT_AUDIENCE},
        {WITH("\"aud\":[\"vault\",1],\"sub\":\"s\",\"exp\":1800000600"), JWT_AUDIENCE},
        {WITH("\"sub\":\"s\",\"exp\":1800000600"), JWT_AUDIENCE},
        {WITH("\"aud\":{\"vault\":1},\"sub\":\"s\",\"exp\":1800000600"), JWT_AUDIENCE},
        {WITH("\"aud\":\"vault\",\"exp\":1800000600"), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"\",\"exp\":1800000600"), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":1,\"exp\":1800000600"), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\""), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":\"1800000600\""), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1.8e9"), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":-1"), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":9223372036854775807"), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000000"), JWT_EXPIRED},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000001"), JWT_VALID},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800003601"), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800003000,\"iat\":1799999000"),
         JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600,\"iat\":\"x\""), JWT_BAD_CLAIMS},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600,\"nbf\":1800000030"), JWT_VALID},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600,\"nbf\":1800000031"),
         JWT_NOT_YET},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600,\"iat\":1800000031"),
         JWT_NOT_YET},
        {WITH("\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600,\"nbf\":1.5"), JWT_BAD_CLAIMS},
        {"{\"iss\":\"https://id.example/\",\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600}",
         JWT_BAD_CLAIMS},
        {"{\"aud\":\"vault\",\"sub\":\"s\",\"exp\":1800000600}", JWT_BAD_CLAIMS},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (check(HEADER, cases[i].claims) != cases[i].verdict)
            fail_msg("case %zu: %d", i, check(HEADER, cases[i].claims));
#undef WITH
}

/* ---- keys ---- */

static enum vault_err
take_jwks(const char *text, struct arena *arena, struct issuer *issuer, json_t **tree)
{
    const char *why;
    enum vault_err err;

    *tree = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(*tree);
    err = jwks_take(*tree, arena, issuer, &why);
    assert_int_equal(err != OK, why != NULL);
    return err;
}

/* RFC 7515, appendix A.3, and RFC 8037, appendix A.4: signatures over what we take no claims of. */
static void
of_the_rfcs(void **state)
{
    static const char keys[] =
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"kid\":\"e\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0\"},"
        "{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"alg\":\"EdDSA\",\"use\":\"sig\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}";
    static const char *const texts[] = {
        "eyJhbGciOiJFUzI1NiJ9.eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxl"
        "LmNvbS9pc19yb290Ijp0cnVlfQ.DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-"
        "F4GawxaepmXFCgfTjDxw5djxLa8ISlSA"
        "pmWQxfKTUJqPP3-Kg6NU1Q",
        "eyJhbGciOiJFZERTQSJ9.RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc.hgyY0il_MGCjP0JzlnLWG1PPOt7-"
        "09PGcv"
        "Mg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg"};
    struct issuer issuer = our_issuer();
    struct arena arena;
    json_t *tree;

    (void)state;
    arena_init(&arena, 64 * 1024);
    assert_int_equal(take_jwks(keys, &arena, &issuer, &tree), OK);
    assert_int_equal(issuer.key_count, 2);
    for (size_t i = 0; i < 2; i++) {
        struct jwt jwt;

        assert_int_equal(jws_parse(bytes_of_text(texts[i]), &jwt), OK);
        assert_int_equal(jws_check(&jwt, &issuer), JWT_VALID);
        jwt.signature[7] ^= 1;
        assert_int_equal(jws_check(&jwt, &issuer), JWT_BAD_SIGNATURE);
        jwt_close(&jwt);
    }
    json_decref(tree);
    arena_close(&arena);
}

static void
keys_refused(void **state)
{
#define ED                                                                                         \
    "\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\""
    static const char *const texts[] = {
        "{}",
        "[]",
        "{\"keys\":[]}",
        "{\"keys\":[1]}",
        "{\"keys\":[{}]}",
        "{\"keys\":[{" ED ",\"d\":\"nWGxne_9WmC6hEr0kuwsxERJxWl7MmkZcDusAxyuf2A\"}]}",
        "{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AAAA\"}]}",
        "{\"keys\":[{" ED ",\"use\":\"enc\"}]}",
        "{\"keys\":[{" ED ",\"key_ops\":[\"sign\"]}]}",
        "{\"keys\":[{" ED ",\"alg\":\"ES256\"}]}",
        "{\"keys\":[{" ED ",\"kid\":\"\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"X25519\","
        "\"x\":\"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo\"}]}",
        "{\"keys\":[{\"kty\":\"OKP\",\"crv\":\"Ed25519\",\"x\":\"AQ\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\","
        "\"x\":\"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU\","
        "\"y\":\"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a4\"}]}",
        "{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-384\",\"x\":\"AA\",\"y\":\"AA\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"alg\":\"RS256\",\"n\":\"_____w\",\"e\":\"AQAB\"}]}",
        "{\"keys\":[{\"kty\":\"RSA\",\"n\":\"_____w\",\"e\":\"AQAB\"}]}",
    };
    struct issuer issuer;
    struct arena arena;
    json_t *tree;

    (void)state;
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        issuer = our_issuer();
        arena_init(&arena, 64 * 1024);
        assert_int_equal(take_jwks(texts[i], &arena, &issuer, &tree), ERR_BAD_JSON);
        assert_int_equal(issuer.key_count, 0);
        json_decref(tree);
        arena_close(&arena);
    }
    /* Which of two would it be? */
    issuer = our_issuer();
    issuer.keys[issuer.key_count++] = issuer.keys[0];
    assert_false(issuer_valid(&issuer));
#undef ED
}

static void
issuer_records(void **state)
{
    struct issuer issuer = our_issuer();
    struct issuer *again = calloc(1, sizeof *again);
    struct buf record = {0}, record_again = {0};

    (void)state;
    assert_non_null(again);
    assert_int_equal(issuer_encode(&issuer, &record), OK);
    assert_int_equal(issuer_decode(buf_bytes(&record), again), OK);
    assert_int_equal(issuer_encode(again, &record_again), OK);
    assert_true(bytes_equal(buf_bytes(&record), buf_bytes(&record_again)));
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(issuer_decode(bytes_of(record.data, size), again), ERR_MALFORMED);
    issuer.audiences.count = 0; /* meant for anybody */
    buf_close(&record);
    assert_int_equal(issuer_encode(&issuer, &record), ERR_RANGE);
    buf_close(&record);
    buf_close(&record_again);
    free(again);
}

/* ---- Wycheproof ---- */

/* True when the signature of one published case is taken, with the key of its group. */
static bool
published_taken(const json_t *public, const char *jws)
{
    struct issuer issuer = our_issuer();
    struct arena arena;
    struct jwt jwt = {0};
    const char *why;
    json_t *jwks = json_object_get(public, "keys") ? json_incref((json_t *)(uintptr_t) public)
                                                   : json_pack("{s:[O]}", "keys", public);
    bool taken_one;

    assert_non_null(jwks);
    arena_init(&arena, 64 * 1024);
    taken_one = jwks_take(jwks, &arena, &issuer, &why) == OK && issuer_valid(&issuer) &&
                jws_parse(bytes_of_text(jws), &jwt) == OK && jws_check(&jwt, &issuer) == JWT_VALID;
    jwt_close(&jwt);
    json_decref(jwks);
    arena_close(&arena);
    return taken_one;
}

static void
published_file(const char *file)
{
    json_t *root = vectors_load(file, 0);
    const json_t *group, *test;
    unsigned accepted = 0, refused = 0, valid_refused = 0;
    size_t i, j;

    json_array_foreach(json_object_get(root, "testGroups"), i, group)
    {
        const json_t *public = json_object_get(group, "public");
        if (!public)
        public = json_object_get(group, "private"); /* symmetric: refused as such */
        json_array_foreach(json_object_get(group, "tests"), j, test)
        {
            bool valid = strcmp(json_string_value(json_object_get(test, "result")), "valid") == 0;
            bool was_taken =
                published_taken(public, json_string_value(json_object_get(test, "jws")));
            if (was_taken && !valid)
                fail_msg("%s %lld: accepted", file,
                         json_integer_value(json_object_get(test, "tcId")));
            accepted += was_taken;
            refused += !was_taken && !valid;
            valid_refused += !was_taken && valid;
        }
    }
    if (root)
        printf("%s: %u accepted, %u refused, %u of algorithms or forms not taken\n", file, accepted,
               refused, valid_refused);
    json_decref(root);
}

static void
published(void **state)
{
    (void)state;
    published_file("wycheproof/json_web_signature_test.json");
    published_file("wycheproof/json_web_key_test.json");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),
        cmocka_unit_test(headers_refused),
        cmocka_unit_test(forms_refused),
        cmocka_unit_test(too_large),
        cmocka_unit_test(every_letter_counts),
        cmocka_unit_test(claims),
        cmocka_unit_test(of_the_rfcs),
        cmocka_unit_test(keys_refused),
        cmocka_unit_test(issuer_records),
        cmocka_unit_test(published),
    };

    return cmocka_run_group_tests(tests, set_up, NULL);
}
