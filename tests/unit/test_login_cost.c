/*
 * What a refused login costs: CPU that strangers could measure as time. Within each way of logging
 * in a refusal costs alike, whatever is wrong that its maker cannot know anyway. The bounds are
 * generous, and the least of many rounds counts, so that a busy machine only makes the test longer.
 */
#include "auth_records.h"

#include <sodium.h>
#include <time.h>

#include "auth/issuer.h"
#include "auth/login.h"
#include "auth/statement.h"
#include "crypto/secret.h"
#include "statement_fixture.h"
#include "unbase64.h"

#define NOW UINT64_C(1800000000000)

enum { CASES_MAX = 8, ROUNDS_MIN = 5, ROUNDS_MAX = 400, CALLS = 10, SPREAD_MAX = 40 };

struct refusal {
    const char *what;
    const char *tenant;
    struct buf credential;
    enum auth_reason reason;
    uint64_t least_ns; /* of a round */
};

struct world {
    struct arena arena;
    struct records records;
    struct verified verified;
    struct auth_records view;
    uint8_t cluster[CLUSTER_ID_BYTES];
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES], private_key[crypto_sign_SECRETKEYBYTES];
};

static int
set_up(void **state)
{
    struct world *w = calloc(1, sizeof(*w));

    *state = w;
    if (!w || crypto_init() != OK)
        return -1;
    arena_init(&w->arena, 1024 * 1024);
    w->view =
        (struct auth_records){.context = &w->records, .get = records_get, .verified = &w->verified};
    records_add_tenant(&w->records, "team-a");
    records_add_tenant(&w->records, "bare");
    return crypto_sign_seed_keypair(w->public_key, w->private_key, ed_seed);
}

static int
tear_down(void **state)
{
    struct world *w = *state;

    records_close(&w->records);
    arena_close(&w->arena);
    free(w);
    return 0;
}

static uint64_t
cpu_ns(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t), 0);
    return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void
run(struct world *w, struct refusal *refusal)
{
    uint64_t start = cpu_ns(), took;
    struct login login;

    for (unsigned i = 0; i < CALLS; i++)
        assert_int_equal(login_check(&w->view, buf_bytes(&refusal->credential), w->cluster,
                                     bytes_of_text(refusal->tenant), NOW, &login),
                         refusal->reason);
    took = cpu_ns() - start;
    if (refusal->least_ns == 0 || took < refusal->least_ns)
        refusal->least_ns = took;
}

/* In percent: how much more the dearest costs than the cheapest. */
static uint64_t
spread(const struct refusal *refusals, size_t count)
{
    uint64_t least = UINT64_MAX, most = 1;

    for (size_t i = 0; i < count; i++) {
        uint64_t ns = refusals[i].least_ns;

        least = ns < least ? ns : least;
        most = ns > most ? ns : most;
    }
    return 100 * (most - least) / (least ? least : 1);
}

static void
cost_alike(struct world *w, struct refusal *refusals, size_t count, uint64_t percent)
{
    unsigned round = 0;

    while (round < ROUNDS_MAX && (round < ROUNDS_MIN || spread(refusals, count) > percent)) {
        for (size_t i = 0; i < count; i++)
            run(w, &refusals[i]);
        round++;
    }
    for (size_t i = 0; i < count; i++) {
        printf("%-28s %6.1f us\n", refusals[i].what,
               (double)refusals[i].least_ns / (1000.0 * CALLS));
        buf_close(&refusals[i].credential);
    }
    assert_true(spread(refusals, count) <= percent);
}

/* ---- certificates ---- */

static struct buf
statement_by(struct world *w, const char *certificate, const char *tenant, bool well_signed)
{
    struct client_statement statement = {.tenant = bytes_of_text(tenant),
                                         .time_ms = NOW,
                                         .certificate = unbase64(&w->arena, certificate)};
    uint8_t signature[crypto_sign_BYTES];
    struct buf to_sign = {0}, text = {0};
    size_t at;

    assert_int_equal(statement_to_sign(&statement, &to_sign, &at), OK);
    (void)crypto_sign_detached(signature, NULL, to_sign.data, to_sign.size - !well_signed,
                               w->private_key);
    assert_int_equal(statement_text(bytes_of(to_sign.data + at, to_sign.size - at),
                                    bytes_of(signature, sizeof(signature)), &text),
                     OK);
    buf_close(&to_sign);
    return text;
}

static void
trust(struct world *w, const char *tenant, const uint8_t *revoked, size_t size)
{
    struct client_authority *authority = calloc(1, sizeof(*authority));

    assert_non_null(authority);
    authority->certificate = unbase64(&w->arena, certificate_ca);
    authority->revoked_count = revoked ? 1 : 0;
    authority->revoked[0] = bytes_of(revoked, size);
    assert_int_equal(
        client_authority_encode(authority,
                                records_at(&w->records, tenant, AUTH_KIND_CLIENT_AUTHORITY, "ca")),
        OK);
    free(authority);
}

static void
certificates(void **state)
{
    static const uint8_t serial[] = {0x10, 0x92};
    struct world *w = *state;
    struct refusal refusals[] = {
        {"not its key", "team-a", statement_by(w, certificate_ed, "team-a", false),
         REASON_BAD_SIGNATURE, 0},
        {"of another authority", "team-a", statement_by(w, certificate_forged, "team-a", true),
         REASON_CERTIFICATE, 0},
        {"of a server", "team-a", statement_by(w, certificate_srv, "team-a", true),
         REASON_CERTIFICATE, 0},
        {"nobody of that identity", "team-a", statement_by(w, certificate_ed, "team-a", true),
         REASON_IDENTITY_GONE, 0},
        {"revoked", "strict", statement_by(w, certificate_ed, "strict", true),
         REASON_CERTIFICATE_REVOKED, 0},
        {"a tenant that trusts nobody", "bare", statement_by(w, certificate_ed, "bare", true),
         REASON_CERTIFICATE, 0},
        {"no such tenant", "nowhere", statement_by(w, certificate_ed, "nowhere", true),
         REASON_CERTIFICATE, 0},
    };

    records_add_tenant(&w->records, "strict");
    trust(w, "team-a", NULL, 0);
    trust(w, "strict", serial, sizeof(serial));
    cost_alike(w, refusals, sizeof(refusals) / sizeof(refusals[0]), SPREAD_MAX);
}

/* ---- JSON web tokens ---- */

static struct buf
token_of(struct world *w, const char *claims, bool well_signed)
{
    uint8_t signature[crypto_sign_BYTES];
    struct buf text = {0};

    assert_int_equal(base64url_encode(bytes_of_text("{\"alg\":\"EdDSA\",\"kid\":\"k1\"}"), &text),
                     OK);
    assert_int_equal(buf_append_text(&text, "."), OK);
    assert_int_equal(base64url_encode(bytes_of_text(claims), &text), OK);
    (void)crypto_sign_detached(signature, NULL, text.data, text.size - !well_signed,
                               w->private_key);
    assert_int_equal(buf_append_text(&text, "."), OK);
    assert_int_equal(base64url_encode(bytes_of(signature, sizeof(signature)), &text), OK);
    return text;
}

#define CLAIMS(iss, aud, exp)                                                                      \
    "{\"iss\":\"" iss "\",\"aud\":\"" aud "\",\"sub\":\"anna\",\"exp\":" exp "}"

static void
json_web_tokens(void **state)
{
    static const char good[] = CLAIMS("https://id.example", "vault", "1800000600");
    struct world *w = *state;
    struct issuer issuer = {.name = bytes_of_text("https://id.example"),
                            .audiences = {1, {bytes_of_text("vault")}},
                            .ttl_ms_max = 3600 * 1000,
                            .key_count = 1};
    char key[ISSUER_KEY_TEXT_BYTES + 1];
    struct refusal refusals[] = {
        {"not signed", "team-a", token_of(w, good, false), REASON_BAD_SIGNATURE, 0},
        {"no policies by its claims", "team-a", token_of(w, good, true), REASON_NO_ROLE, 0},
        {"expired", "team-a",
         token_of(w, CLAIMS("https://id.example", "vault", "1700000600"), true), REASON_EXPIRED, 0},
        {"for others", "team-a",
         token_of(w, CLAIMS("https://id.example", "other", "1800000600"), true), REASON_AUDIENCE,
         0},
        {"of an issuer not known", "team-a",
         token_of(w, CLAIMS("https://no.example", "vault", "1800000600"), true),
         REASON_UNKNOWN_ISSUER, 0},
        {"a tenant that trusts nobody", "bare", token_of(w, good, true), REASON_UNKNOWN_ISSUER, 0},
        {"no such tenant", "nowhere", token_of(w, good, true), REASON_UNKNOWN_ISSUER, 0},
    };

    issuer.keys[0] = (struct issuer_key){
        bytes_of_text("k1"),
        {.kind = SIGNATURE_ED25519, .key = bytes_of(w->public_key, sizeof(w->public_key))}};
    issuer_key(issuer.name, key);
    assert_int_equal(
        issuer_encode(&issuer, records_at(&w->records, "team-a", AUTH_KIND_ISSUER, key)), OK);
    cost_alike(w, refusals, sizeof(refusals) / sizeof(refusals[0]), SPREAD_MAX);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(certificates, set_up, tear_down),
        cmocka_unit_test_setup_teardown(json_web_tokens, set_up, tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
