/*
 * Login statements, certificates, and the records of authorities. The first byte picks. Nobody
 * trusts an authority here, so that no statement may be taken.
 */
#include <stdlib.h>

#include "auth/nobody.h"
#include "auth/statement.h"
#include "fuzz.h"

static void
check_statement(struct bytes text)
{
    static const uint8_t cluster[CLUSTER_ID_BYTES];
    struct client_authority *nobody = calloc(1, sizeof(*nobody));
    uint8_t identity[AUTH_UUID_BYTES];

    require(nobody && client_authority_decode(
                          bytes_of(nobodys_authority, sizeof(nobodys_authority)), nobody) == OK);
    require(statement_check(text, cluster, bytes_of_text("team-a"), nobody, 1800000000000,
                            identity) != STATEMENT_VALID);
    free(nobody);
}

static void
check_certificate(struct bytes der)
{
    struct certificate certificate;

    if (certificate_read(der, &certificate) != OK)
        return;
    require(public_key_valid(&certificate.key));
    require(certificate.uri_size <= CERTIFICATE_URI_BYTES_MAX);
    require(!certificate.signs_others || certificate.is_authority);
    (void)certificate_signed_by(der, der);
}

static void
check_authority(struct bytes record)
{
    struct client_authority *authority = calloc(1, sizeof(*authority));
    struct buf again = {0};

    require(authority != NULL);
    if (client_authority_decode(record, authority) == OK)
        check_same(client_authority_encode(authority, &again), record, &again);
    free(authority);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_check *const checks[] = {check_statement, check_certificate, check_authority};

    return fuzz_pick(checks, sizeof(checks) / sizeof(checks[0]), data, size);
}
