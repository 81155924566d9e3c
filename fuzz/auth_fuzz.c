/*
 * Identity records, and texts of tickets. The first byte picks the decoder; what is accepted is
 * written back byte for byte.
 */
#include <stdlib.h>

#include "auth/identity.h"
#include "auth/token.h"
#include "fuzz.h"

static void
check_token(struct bytes input)
{
    struct token token;
    struct buf again = {0};

    if (token_decode(input, &token) != OK)
        return;
    check_same(token_encode(&token, &again), input, &again);
    if (token_renew(&token, token.created_ms) == OK &&
        (token.expires_ms > token.latest_ms || token_encode(&token, &again) != OK))
        abort();
    buf_close(&again);
}

static void
check_identity(struct bytes input)
{
    struct identity identity;
    struct buf again = {0};

    if (identity_decode(input, &identity) == OK)
        check_same(identity_encode(&identity, &again), input, &again);
}

static void
check_tenant(struct bytes input)
{
    struct tenant tenant;
    struct buf again = {0};

    if (tenant_decode(input, &tenant) == OK)
        check_same(tenant_encode(&tenant, &again), input, &again);
}

static void
check_approle(struct bytes input)
{
    struct approle role;
    struct buf again = {0};

    if (approle_decode(input, &role) == OK)
        check_same(approle_encode(&role, &again), input, &again);
}

static void
check_ticket(struct bytes input)
{
    uint8_t hash[HASH_BYTES];

    if (ticket_hash(TICKET_TOKEN, input, hash) == OK &&
        ticket_hash(TICKET_SECRET_ID, input, hash) == OK)
        abort();
}

static void
check_uuid(struct bytes input)
{
    uint8_t id[AUTH_UUID_BYTES];
    char text[UUID_TEXT_BYTES + 1];

    if (uuid_parse(input, id) != OK)
        return;
    uuid_format(id, text);
    if (!bytes_equal(input, bytes_of_text(text)))
        abort();
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static fuzz_check *const checks[] = {check_token,   check_identity, check_tenant,
                                         check_approle, check_ticket,   check_uuid};

    return fuzz_pick(checks, sizeof(checks) / sizeof(checks[0]), data, size);
}
