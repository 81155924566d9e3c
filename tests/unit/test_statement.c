/* Logins with client certificates. */
#include "auth_records.h"

#include <sodium.h>

#include "auth/login.h"
#include "auth/statement.h"
#include "crypto/secret.h"
#include "statement_fixture.h"
#include "unbase64.h"

#define NOW       UINT64_C(1800000000000)
#define YEAR_2036 UINT64_C(2111000000000)
#define YEAR_2025 UINT64_C(1750000000000)

static struct arena arena;
static uint8_t cluster[CLUSTER_ID_BYTES], private_key[crypto_sign_SECRETKEYBYTES];
static struct client_authority trust;

static int
set_up(void **state)
{
    uint8_t public_key[crypto_sign_PUBLICKEYBYTES];

    (void)state;
    arena_init(&arena, 1024 * 1024);
    memset(cluster, 0xc1, sizeof cluster);
    trust.certificate = unbase64(&arena, certificate_ca);
    if (crypto_init() != OK)
        return -1;
    return crypto_sign_seed_keypair(public_key, private_key, ed_seed);
}

static int
tear_down(void **state)
{
    (void)state;
    arena_close(&arena);
    return 0;
}

static struct client_statement
statement_of(const char *certificate)
{
    struct client_statement statement = {.tenant = bytes_of_text("team-a"),
                                         .time_ms = NOW,
                                         .certificate = unbase64(&arena, certificate)};

    memcpy(statement.cluster_id, cluster, sizeof cluster);
    for (unsigned i = 0; i < STATEMENT_NONCE_BYTES; i++)
        statement.nonce[i] = (uint8_t)i;
    return statement;
}

/* Signed with the key of Ed25519, or with what is given. */
static struct buf
text_of(const struct client_statement *statement, const char *signature_text)
{
    uint8_t signature[SIGNATURE_BYTES_MAX];
    size_t at, size = crypto_sign_BYTES;
    struct buf to_sign = {0}, text = {0};

    assert_int_equal(statement_to_sign(statement, &to_sign, &at), OK);
    if (signature_text)
        assert_int_equal(
            base64url_decode(bytes_of_text(signature_text), signature, sizeof signature, &size),
            OK);
    else
        (void)crypto_sign_detached(signature, NULL, to_sign.data, to_sign.size, private_key);
    assert_int_equal(statement_text(bytes_of(to_sign.data + at, to_sign.size - at),
                                    bytes_of(signature, size), &text),
                     OK);
    buf_close(&to_sign);
    return text;
}

static enum statement_verdict
check_of(struct bytes text, uint64_t now)
{
    static const uint8_t nobody[AUTH_UUID_BYTES];
    uint8_t identity[AUTH_UUID_BYTES];
    enum statement_verdict verdict =
        statement_check(text, cluster, bytes_of_text("team-a"), &trust, now, identity);

    assert_int_equal(memcmp(identity, nobody, sizeof identity) == 0, verdict != STATEMENT_VALID);
    if (verdict == STATEMENT_VALID)
        assert_int_equal(identity[15], 0xaa);
    return verdict;
}

static enum statement_verdict
check(const struct client_statement *statement, const char *signature_text, uint64_t now)
{
    struct buf text = text_of(statement, signature_text);
    enum statement_verdict verdict = check_of(buf_bytes(&text), now);

    buf_close(&text);
    return verdict;
}

static void
taken(void **state)
{
    struct client_statement ed = statement_of(certificate_ed), ec = statement_of(certificate_ec);
    struct client_statement rsa = statement_of(certificate_rsa);

    (void)state;
    assert_int_equal(check(&ed, NULL, NOW), STATEMENT_VALID);
    assert_int_equal(check(&ec, signature_ec, NOW), STATEMENT_VALID);
    assert_int_equal(check(&rsa, signature_rsa, NOW), STATEMENT_VALID);
    assert_int_equal(check(&ec, signature_rsa, NOW), STATEMENT_SIGNATURE);
    assert_int_equal(check(&ec, NULL, NOW), STATEMENT_SIGNATURE);
}

static void
certificates_refused(void **state)
{
    struct client_statement server = statement_of(certificate_srv),
                            ed = statement_of(certificate_ed);
    struct client_statement forged = statement_of(certificate_forged);
    struct client_statement itself = statement_of(certificate_ca);
    struct buf longer = {0};

    (void)state;
    assert_int_equal(check(&server, NULL, NOW), STATEMENT_CERTIFICATE);
    assert_int_equal(check(&forged, NULL, NOW), STATEMENT_CERTIFICATE);
    assert_int_equal(check(&itself, NULL, NOW), STATEMENT_CERTIFICATE);
    ed.time_ms = YEAR_2036;
    assert_int_equal(check(&ed, NULL, YEAR_2036), STATEMENT_CERTIFICATE); /* expired */
    ed.time_ms = YEAR_2025;
    assert_int_equal(check(&ed, NULL, YEAR_2025), STATEMENT_CERTIFICATE); /* not yet valid */
    ed.time_ms = NOW;
    assert_int_equal(buf_append(&longer, ed.certificate), OK);
    assert_int_equal(buf_append(&longer, bytes_of("", 1)), OK);
    ed.certificate = buf_bytes(&longer);
    assert_int_equal(check(&ed, NULL, NOW), STATEMENT_CERTIFICATE);
    buf_close(&longer);
}

/* Any bit of the certificate that is changed makes it another, which nobody signed. */
static void
certificates_damaged(void **state)
{
    struct bytes der = unbase64(&arena, certificate_ed), above = unbase64(&arena, certificate_ca);
    uint8_t copy[CERTIFICATE_BYTES_MAX];

    (void)state;
    assert_true(certificate_signed_by(der, above));
    assert_false(certificate_signed_by(der, unbase64(&arena, certificate_ca2)));
    memcpy(copy, der.data, der.size);
    for (size_t i = 0; i < der.size; i++) {
        struct certificate certificate;

        copy[i] ^= 1;
        (void)!certificate_read(bytes_of(copy, der.size), &certificate);
        assert_false(certificate_signed_by(bytes_of(copy, der.size), above));
        copy[i] ^= 1;
    }
}

static void
revoked(void **state)
{
    static const uint8_t serials[][2] = {{0x00, 0x01}, {0x10, 0x92}, {0x20, 0x00}}; /* 4242 */
    struct client_statement ed = statement_of(certificate_ed), ec = statement_of(certificate_ec);

    (void)state;
    trust.revoked_count = 3;
    for (size_t i = 0; i < 3; i++)
        trust.revoked[i] = bytes_of(serials[i], sizeof serials[i]);
    assert_int_equal(check(&ed, NULL, NOW), STATEMENT_REVOKED);
    assert_int_equal(check(&ec, signature_ec, NOW), STATEMENT_VALID);
    static const uint8_t with_zeros[] = {0x00, 0x00, 0x10, 0x92};
    trust.revoked_count = 1;
    trust.revoked[0] = bytes_of(with_zeros, sizeof with_zeros);
    assert_int_equal(check(&ed, NULL, NOW), STATEMENT_REVOKED);
    trust.revoked_count = 0;
    assert_int_equal(check(&ed, NULL, NOW), STATEMENT_VALID);
}

static void
times_and_places(void **state)
{
    struct client_statement ed = statement_of(certificate_ed);
    struct buf text = text_of(&ed, NULL);
    uint8_t identity[AUTH_UUID_BYTES];

    (void)state;
    assert_int_equal(check(&ed, NULL, NOW + STATEMENT_AGE_MS_MAX), STATEMENT_VALID);
    assert_int_equal(check(&ed, NULL, NOW + STATEMENT_AGE_MS_MAX + 1), STATEMENT_TIME);
    assert_int_equal(check(&ed, NULL, NOW - STATEMENT_AHEAD_MS_MAX), STATEMENT_VALID);
    assert_int_equal(check(&ed, NULL, NOW - STATEMENT_AHEAD_MS_MAX - 1), STATEMENT_TIME);
    assert_int_equal(
        statement_check(buf_bytes(&text), cluster, bytes_of_text("team-b"), &trust, NOW, identity),
        STATEMENT_ELSEWHERE);
    cluster[0] ^= 1;
    assert_int_equal(check_of(buf_bytes(&text), NOW), STATEMENT_ELSEWHERE);
    cluster[0] ^= 1;
    buf_close(&text);
}

static void
every_letter_counts(void **state)
{
    struct client_statement ed = statement_of(certificate_ed);
    struct buf text = text_of(&ed, NULL);

    (void)state;
    for (size_t i = 0; i < text.size; i++) {
        uint8_t was = text.data[i];

        text.data[i] = was == 'A' ? 'B' : 'A';
        assert_int_not_equal(check_of(buf_bytes(&text), NOW), STATEMENT_VALID);
        text.data[i] = was;
        assert_int_not_equal(check_of(bytes_of(text.data, i), NOW), STATEMENT_VALID);
    }
    assert_int_equal(check_of(buf_bytes(&text), NOW), STATEMENT_VALID);
    assert_int_equal(buf_append_text(&text, "A"), OK);
    assert_int_not_equal(check_of(buf_bytes(&text), NOW), STATEMENT_VALID);
    buf_close(&text);
}

static void
authority_records(void **state)
{
    static const uint8_t serials[] = {1, 2};
    struct client_authority authority = {.certificate = trust.certificate, .revoked_count = 2};
    struct client_authority *again = calloc(1, sizeof *again);
    struct buf record = {0}, record_again = {0};

    (void)state;
    assert_non_null(again);
    authority.revoked[0] = bytes_of(serials, 1);
    authority.revoked[1] = bytes_of(serials + 1, 1);
    assert_int_equal(client_authority_encode(&authority, &record), OK);
    assert_int_equal(client_authority_decode(buf_bytes(&record), again), OK);
    assert_int_equal(client_authority_encode(again, &record_again), OK);
    assert_true(bytes_equal(buf_bytes(&record), buf_bytes(&record_again)));
    for (size_t size = 0; size < record.size; size++)
        assert_int_equal(client_authority_decode(bytes_of(record.data, size), again),
                         ERR_MALFORMED);
    authority.revoked[1] = authority.revoked[0];
    assert_int_equal(client_authority_encode(&authority, &record_again), ERR_RANGE);
    authority.revoked_count = 0;
    authority.certificate = unbase64(&arena, certificate_ed); /* of a client */
    assert_int_equal(client_authority_encode(&authority, &record_again), ERR_RANGE);
    buf_close(&record);
    buf_close(&record_again);
    free(again);
}

static void
logins(void **state)
{
    static const uint8_t serial[] = {0x10, 0x92};
    struct records *records = calloc(1, sizeof *records);
    struct auth_records view = {.context = records, .get = records_get};
    struct identity identity = {.id = {[8] = 0x80, [6] = 0x40, [15] = 0xaa},
                                .name = bytes_of_text("ed")};
    struct client_authority authority = {.certificate = trust.certificate};
    struct client_statement ed = statement_of(certificate_ed);
    struct buf text = text_of(&ed, NULL);
    struct bytes team = bytes_of_text("team-a");
    struct login login;

    (void)state;
    assert_non_null(records);
    records_add_tenant(records, "team-a");
    assert_int_equal(login_statement(&view, buf_bytes(&text), cluster, team, NOW, &login),
                     REASON_CERTIFICATE); /* the tenant trusts nobody */
    assert_int_equal(
        client_authority_encode(&authority,
                                records_at(records, "team-a", AUTH_KIND_CLIENT_AUTHORITY, "ca")),
        OK);
    assert_int_equal(login_statement(&view, buf_bytes(&text), cluster, team, NOW, &login),
                     REASON_IDENTITY_GONE);
    records_add_identity(records, "team-a", &identity);
    assert_int_equal(login_statement(&view, buf_bytes(&text), cluster, team, NOW, &login),
                     REASON_ALLOWED);
    assert_memory_equal(login.identity, identity.id, sizeof identity.id);
    authority.revoked[authority.revoked_count++] = bytes_of(serial, sizeof serial);
    assert_int_equal(
        client_authority_encode(&authority,
                                records_at(records, "team-a", AUTH_KIND_CLIENT_AUTHORITY, "ca")),
        OK);
    assert_int_equal(login_statement(&view, buf_bytes(&text), cluster, team, NOW, &login),
                     REASON_CERTIFICATE_REVOKED);
    buf_close(&text);
    records_close(records);
    free(records);
}

static struct revocations
list_of(const uint8_t mark[static HASH_BYTES], uint8_t last)
{
    static const uint8_t one[] = {1};
    uint8_t entry[] = {0x30, 0x13, 0x02, 0x02, 0x10, last, 0x17, 0x0d, '2', '6', '1',
                       '1',  '2',  '2',  '0',  '7',  '1',  '8',  '2',  '4', 'Z'};
    struct revocation_list list = {.number = bytes_of(one, 1),
                                   .entries = bytes_of(entry, sizeof entry),
                                   .this_update_ms = NOW - 1,
                                   .next_update_ms = NOW + 1000};
    struct revocations made;

    assert_int_equal(revocations_of(&list, mark, &arena, &made), OK);
    return made;
}

/*
 * The list that the authority has signed counts while it is the latest; that of another does not.
 */
static void
logins_with_a_list(void **state)
{
    struct records *records = calloc(1, sizeof *records);
    struct auth_records view = {.context = records, .get = records_get};
    struct identity identity = {.id = {[8] = 0x80, [6] = 0x40, [15] = 0xaa},
                                .name = bytes_of_text("ed")};
    struct client_authority authority = {.certificate = trust.certificate};
    struct client_statement ed = statement_of(certificate_ed);
    struct buf text = text_of(&ed, NULL);
    struct bytes team = bytes_of_text("team-a"), subject;
    uint8_t mark[HASH_BYTES], other[HASH_BYTES];
    assert_int_equal(certificate_authority_of(trust.certificate, &subject, mark), OK);
    const struct {
        struct revocations list;
        uint64_t now;
        enum auth_reason reason;
    } rows[] = {
        {list_of(mark, 0x93), NOW, REASON_ALLOWED},
        {list_of(mark, 0x92), NOW, REASON_CERTIFICATE_REVOKED},
        {list_of(mark, 0x93), NOW + 999, REASON_ALLOWED},
        {list_of(mark, 0x93), NOW + 1000, REASON_REVOCATIONS_OLD},
        {list_of(mark, 0x92), NOW + 1000, REASON_CERTIFICATE_REVOKED},
    };
    struct login login;

    (void)state;
    assert_non_null(records);
    records_add_tenant(records, "team-a");
    records_add_identity(records, "team-a", &identity);
    assert_int_equal(
        client_authority_encode(&authority,
                                records_at(records, "team-a", AUTH_KIND_CLIENT_AUTHORITY, "ca")),
        OK);
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        assert_int_equal(
            revocations_encode(&rows[i].list,
                               records_at(records, "team-a", AUTH_KIND_CLIENT_AUTHORITY, "crl")),
            OK);
        assert_int_equal(
            login_statement(&view, buf_bytes(&text), cluster, team, rows[i].now, &login),
            rows[i].reason);
    }
    records_set_found(records, AUTH_KIND_CLIENT_AUTHORITY, "crl", AUTH_UNAVAILABLE);
    assert_int_equal(login_statement(&view, buf_bytes(&text), cluster, team, NOW, &login),
                     REASON_UNAVAILABLE);
    assert_int_equal(certificate_authority_of(unbase64(&arena, certificate_ca2), &subject, other),
                     OK);
    struct revocations others = list_of(other, 0x92);
    assert_int_equal(revocations_encode(
                         &others, records_at(records, "team-a", AUTH_KIND_CLIENT_AUTHORITY, "crl")),
                     OK);
    assert_int_equal(login_statement(&view, buf_bytes(&text), cluster, team, NOW, &login),
                     REASON_ALLOWED);
    assert_int_equal(
        buf_append_text(records_at(records, "team-a", AUTH_KIND_CLIENT_AUTHORITY, "crl"), "x"), OK);
    assert_int_equal(login_statement(&view, buf_bytes(&text), cluster, team, NOW, &login),
                     REASON_CORRUPT);
    buf_close(&text);
    records_close(records);
    free(records);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(taken),
        cmocka_unit_test(certificates_refused),
        cmocka_unit_test(certificates_damaged),
        cmocka_unit_test(revoked),
        cmocka_unit_test(times_and_places),
        cmocka_unit_test(every_letter_counts),
        cmocka_unit_test(authority_records),
        cmocka_unit_test(logins),
        cmocka_unit_test(logins_with_a_list),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
