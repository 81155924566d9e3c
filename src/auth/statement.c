#include "auth/statement.h"

#include <string.h>

#include "auth/identity.h"
#include "base/planted.h"
#include "crypto/base64.h"
#include "proto/codec.h"
#include "proto/request.h"

enum {
    AUTHORITY_FIELDS = 3,
    STATEMENT_FIELDS = 6,
    STATEMENT_FORMAT = 1,
    PAYLOAD_BYTES_MAX = CERTIFICATE_BYTES_MAX + TENANT_BYTES_MAX + 128,
};

static const char label[] = "ostraka login statement 1\n";
static const char prefix[] = STATEMENT_PREFIX;
static const char uri_prefix[] = "urn:uuid:";

/* ---- authority ---- */

static bool
authority_valid(const struct client_authority *authority)
{
    struct certificate certificate;

    if (authority->revoked_count > REVOKED_MAX)
        return false;
    for (size_t i = 0; i < authority->revoked_count; i++) {
        struct bytes serial = authority->revoked[i];

        if (serial.size == 0 || serial.size > CERTIFICATE_SERIAL_BYTES_MAX ||
            (i > 0 && bytes_compare(authority->revoked[i - 1], serial) >= 0))
            return false;
    }
    return certificate_read(authority->certificate, &certificate) == OK && certificate.signs_others;
}

enum vault_err
client_authority_encode(const struct client_authority *authority, struct buf *out)
{
    struct cbor_writer w;
    size_t start = out->size;

    if (!authority_valid(authority))
        return ERR_RANGE;
    cbor_writer_init(&w, out);
    cbor_put_array(&w, AUTHORITY_FIELDS);
    cbor_put_uint(&w, AUTH_CLIENT_AUTHORITY_1);
    cbor_put_bytes(&w, authority->certificate);
    cbor_put_array(&w, authority->revoked_count);
    for (size_t i = 0; i < authority->revoked_count; i++)
        cbor_put_bytes(&w, authority->revoked[i]);
    return codec_end(&w, start, AUTH_RECORD_BYTES_MAX);
}

enum vault_err
client_authority_decode(struct bytes encoded, struct client_authority *out)
{
    struct cbor_reader r;

    out->revocations = NULL;
    auth_reader_init(&r, encoded, AUTH_CLIENT_AUTHORITY_1, AUTHORITY_FIELDS);
    out->certificate = cbor_get_bytes(&r, CERTIFICATE_BYTES_MAX);
    out->revoked_count = (size_t)cbor_get_array(&r, REVOKED_MAX);
    for (size_t i = 0; i < out->revoked_count && r.err == OK; i++)
        out->revoked[i] = cbor_get_bytes(&r, CERTIFICATE_SERIAL_BYTES_MAX);
    codec_expect(&r, r.err == OK && authority_valid(out));
    if (cbor_finish(&r) == OK)
        return OK;
    *out = (struct client_authority){0};
    return ERR_MALFORMED;
}

/* A serial number is a number: operators may write it with zeros in front. */
static struct bytes
without_zeros(struct bytes serial)
{
    while (serial.size > 1 && serial.data[0] == 0)
        serial = bytes_of(serial.data + 1, serial.size - 1);
    return serial;
}

/* A list that is out of date says nothing of who was revoked since: then nobody is let in. */
static enum statement_verdict
check_revoked(const struct client_authority *authority, struct bytes serial, uint64_t now_ms)
{
    const struct revocations *list = authority->revocations;

    if (PLANTED(revoked_certificate_taken))
        return STATEMENT_VALID;
    serial = without_zeros(serial);
    for (size_t i = 0; i < authority->revoked_count; i++)
        if (bytes_equal(without_zeros(authority->revoked[i]), serial))
            return STATEMENT_REVOKED;
    if (list && revocations_have(list, serial))
        return STATEMENT_REVOKED;
    return list && now_ms >= list->next_update_ms ? STATEMENT_REVOCATIONS_OLD : STATEMENT_VALID;
}

/* ---- making ---- */

enum vault_err
statement_to_sign(const struct client_statement *statement, struct buf *out, size_t *payload_at)
{
    struct cbor_writer w;
    enum vault_err err = buf_append_text(out, label);
    size_t start = out->size;

    *payload_at = start;
    if (err != OK)
        return err;
    cbor_writer_init(&w, out);
    codec_require(&w, tenant_name_valid(statement->tenant), ERR_RANGE);
    cbor_put_array(&w, STATEMENT_FIELDS);
    cbor_put_uint(&w, STATEMENT_FORMAT);
    codec_put_fixed(&w, statement->cluster_id, CLUSTER_ID_BYTES);
    cbor_put_bytes(&w, statement->tenant);
    cbor_put_uint(&w, statement->time_ms);
    codec_put_fixed(&w, statement->nonce, STATEMENT_NONCE_BYTES);
    codec_put_bytes(&w, statement->certificate, 1, CERTIFICATE_BYTES_MAX);
    return codec_end(&w, start, PAYLOAD_BYTES_MAX);
}

enum vault_err
statement_text(struct bytes payload, struct bytes signature, struct buf *out)
{
    enum vault_err err = buf_append_text(out, prefix);

    if (err == OK)
        err = base64url_encode(payload, out);
    if (err == OK)
        err = buf_append_text(out, ".");
    if (err == OK)
        err = base64url_encode(signature, out);
    return err;
}

/* ---- checking ---- */

/* A statement that was taken apart; nothing of it believed yet. */
struct parts {
    uint8_t signed_bytes[sizeof(label) - 1 + PAYLOAD_BYTES_MAX];
    size_t signed_size;
    uint8_t signature[SIGNATURE_BYTES_MAX];
    size_t signature_size;
    struct client_statement statement; /* views into signed_bytes */
};

static bool
read_payload(struct bytes payload, struct client_statement *out)
{
    struct cbor_reader r;

    cbor_reader_init(&r, payload);
    codec_get_array_of(&r, STATEMENT_FIELDS);
    (void)codec_get_range(&r, STATEMENT_FORMAT, STATEMENT_FORMAT);
    cbor_get_fixed(&r, out->cluster_id, CLUSTER_ID_BYTES);
    out->tenant = cbor_get_bytes(&r, TENANT_BYTES_MAX);
    out->time_ms = cbor_get_uint(&r);
    cbor_get_fixed(&r, out->nonce, STATEMENT_NONCE_BYTES);
    out->certificate = codec_get_bytes(&r, 1, CERTIFICATE_BYTES_MAX);
    return cbor_finish(&r) == OK;
}

static bool
take_apart(struct bytes text, struct parts *out)
{
    size_t label_size = sizeof(label) - 1, prefix_size = sizeof(prefix) - 1, size;
    const uint8_t *dot;

    memset(out, 0, sizeof(*out));
    if (text.size > CREDENTIAL_BYTES_MAX || text.size <= prefix_size ||
        memcmp(text.data, prefix, prefix_size) != 0)
        return false;
    text = bytes_of(text.data + prefix_size, text.size - prefix_size);
    dot = memchr(text.data, '.', text.size);
    if (!dot)
        return false;
    size = (size_t)(dot - text.data);
    if (base64url_decode(bytes_of(dot + 1, text.size - size - 1), out->signature,
                         sizeof(out->signature), &out->signature_size) != OK)
        return false;
    memcpy(out->signed_bytes, label, label_size);
    if (base64url_decode(bytes_of(text.data, size), out->signed_bytes + label_size,
                         PAYLOAD_BYTES_MAX, &size) != OK ||
        size == 0)
        return false;
    out->signed_size = label_size + size;
    return read_payload(bytes_of(out->signed_bytes + label_size, size), &out->statement);
}

static bool
names_identity(const struct certificate *certificate, uint8_t identity[static AUTH_UUID_BYTES])
{
    size_t size = sizeof(uri_prefix) - 1;

    return certificate->uri_size == size + UUID_TEXT_BYTES &&
           memcmp(certificate->uri, uri_prefix, size) == 0 &&
           uuid_parse(bytes_of(certificate->uri + size, UUID_TEXT_BYTES), identity) == OK;
}

static enum statement_verdict
check_certificate(const struct client_statement *statement,
                  const struct client_authority *authority, uint64_t now_ms,
                  struct certificate *certificate, uint8_t identity[static AUTH_UUID_BYTES])
{
    struct certificate above;
    bool trusted = certificate_read(authority->certificate, &above) == OK;
    bool read = certificate_read(statement->certificate, certificate) == OK;
    bool issued = certificate_signed_by(statement->certificate, authority->certificate);

    if (!trusted || !read || !issued)
        return STATEMENT_CERTIFICATE;
    if (now_ms < above.not_before_ms || now_ms > above.not_after_ms ||
        now_ms < certificate->not_before_ms || now_ms > certificate->not_after_ms)
        return STATEMENT_CERTIFICATE;
    if (!above.signs_others || !certificate->is_client || !names_identity(certificate, identity))
        return STATEMENT_CERTIFICATE;
    return check_revoked(authority, bytes_of(certificate->serial, certificate->serial_size),
                         now_ms);
}

/*
 * Both signatures are verified whatever is wrong with the certificate, so that the time that it
 * takes does not tell. What is wrong with the statement by itself its maker knows.
 */
static enum statement_verdict
check(const struct parts *parts, const uint8_t *cluster_id, struct bytes tenant,
      const struct client_authority *authority, uint64_t now_ms, uint8_t *identity)
{
    const struct client_statement *statement = &parts->statement;
    struct certificate certificate;
    enum statement_verdict verdict;
    bool made;

    if (memcmp(statement->cluster_id, cluster_id, CLUSTER_ID_BYTES) != 0 ||
        !bytes_equal(statement->tenant, tenant))
        return STATEMENT_ELSEWHERE;
    bool old = statement->time_ms > now_ms ? statement->time_ms - now_ms > STATEMENT_AHEAD_MS_MAX
                                           : now_ms - statement->time_ms > STATEMENT_AGE_MS_MAX;
    if (old && !PLANTED(old_statement_taken))
        return STATEMENT_TIME;
    verdict = check_certificate(statement, authority, now_ms, &certificate, identity);
    made = certificate.key.key.size > 0 &&
           signature_verify(&certificate.key, bytes_of(parts->signed_bytes, parts->signed_size),
                            bytes_of(parts->signature, parts->signature_size));
    return verdict == STATEMENT_VALID && !made ? STATEMENT_SIGNATURE : verdict;
}

enum statement_verdict
statement_check(struct bytes text, const uint8_t cluster_id[static CLUSTER_ID_BYTES],
                struct bytes tenant, const struct client_authority *authority, uint64_t now_ms,
                uint8_t identity[static AUTH_UUID_BYTES])
{
    enum statement_verdict verdict = STATEMENT_MALFORMED;
    struct parts parts;

    memset(identity, 0, AUTH_UUID_BYTES);
    if (take_apart(text, &parts))
        verdict = check(&parts, cluster_id, tenant, authority, now_ms, identity);
    bytes_wipe(&parts, sizeof(parts));
    if (verdict != STATEMENT_VALID)
        memset(identity, 0, AUTH_UUID_BYTES);
    return verdict;
}
