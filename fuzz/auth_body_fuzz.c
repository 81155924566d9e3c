/*
 * Bodies of the calls on identities. The first byte picks the call; what is accepted must be a
 * record that can be stored, and answers must be made of it.
 */

#include "api/auth_body.h"
#include "fuzz.h"

static void
check_policy(struct bytes text, struct arena *arena, struct buf *out)
{
    struct policy_body body;
    const char *refusal;

    if (policy_body_parse(text, arena, &body, &refusal) == OK)
        require(policy_render(bytes_of_text("p"), 1, body.record, out) == OK);
}

static void
check_test(struct bytes text, struct arena *arena, struct buf *out)
{
    struct policy_test_body body;
    const char *refusal;

    (void)out;
    if (policy_test_body_parse(text, arena, &body, &refusal) == OK)
        require(body.has_identity == (body.policies.count == 0));
}

static void
check_tenant(struct bytes text, struct arena *arena, struct buf *out)
{
    struct tenant tenant;
    const char *refusal;

    if (tenant_body_parse(text, NULL, arena, &tenant, &refusal) != OK)
        return;
    require(tenant_render(&tenant, out) == OK);
    require(tenant_encode(&tenant, out) == OK);
}

static void
check_identity(struct bytes text, struct arena *arena, struct buf *out)
{
    struct identity identity;
    const char *refusal;

    if (identity_body_parse(text, NULL, arena, &identity, &refusal) != OK)
        return;
    identity.id[0] = 1;
    require(identity_render(&identity, out) == OK);
    require(identity_encode(&identity, out) == OK);
}

static void
check_token(struct bytes text, struct arena *arena, struct buf *out)
{
    static const uint8_t hash[HASH_BYTES];
    struct token_body body;
    struct token token;
    const char *refusal;

    if (token_body_parse(text, arena, &body, &refusal) != OK)
        return;
    require(token_fill(&body.wish, bytes_of_text("t"), body.identity, NULL, 1, hash, &token) == OK);
    require(token_render(&token, (struct bytes){0}, out) == OK);
    require(token_encode(&token, out) == OK);
}

static void
check_logins(struct bytes text, struct arena *arena, struct buf *out)
{
    uint8_t accessor[ACCESSOR_BYTES];
    struct login_body body;
    const char *refusal;

    (void)out;
    (void)!approle_login_parse(text, arena, &body, &refusal);
    (void)!jwt_login_parse(text, arena, &body, &refusal);
    (void)!accessor_body_parse(text, accessor, &refusal);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static void (*const checks[])(struct bytes, struct arena *, struct buf *) = {
        check_policy, check_test, check_tenant, check_identity, check_token, check_logins};
    struct arena arena;
    struct buf out = {0};

    if (size == 0 || data[0] >= sizeof(checks) / sizeof(checks[0]))
        return 0;
    arena_init(&arena, 256 * 1024);
    checks[data[0]](bytes_of(data + 1, size - 1), &arena, &out);
    buf_close(&out);
    arena_close(&arena);
    return 0;
}
