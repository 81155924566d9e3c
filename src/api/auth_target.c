#include "api/auth_target.h"

#include <string.h>

#include "auth/identity.h"
#include "auth/issuer.h"
#include "auth/policy.h"

enum { NO_OP = -1 };

/* Keys have one form each, and none of their bytes may be escaped. */
struct auth_route {
    const char *path;
    bool (*key_valid)(struct bytes key); /* NULL: the path is all of it */
    const char *allow;
    int get, post, put, patch, delete; /* enum auth_op, or NO_OP */
};

static bool
identity_key_valid(struct bytes key)
{
    uint8_t id[AUTH_UUID_BYTES];

    return uuid_parse(key, id) == OK;
}

static bool
policy_key_valid(struct bytes key)
{
    return policy_name_valid(key) && !policy_name_reserved(key);
}

static bool
issuer_key_valid(struct bytes key)
{
    uint8_t id[ISSUER_KEY_TEXT_BYTES / 2];

    return key.size == ISSUER_KEY_TEXT_BYTES && hex_decode(key, id, sizeof(id)) == OK;
}

static const struct auth_route routes[] = {
    {"/v1/tenants", NULL, "GET, HEAD, POST", AUTH_TENANT_LIST, AUTH_TENANT_CREATE, NO_OP, NO_OP,
     NO_OP},
    {"/v1/tenants/", tenant_name_valid, "DELETE, GET, HEAD, PATCH", AUTH_TENANT_GET, NO_OP, NO_OP,
     AUTH_TENANT_CHANGE, AUTH_TENANT_DELETE},
    {"/v1/policies", NULL, "GET, HEAD", AUTH_POLICY_LIST, NO_OP, NO_OP, NO_OP, NO_OP},
    {"/v1/policies:test", NULL, "POST", NO_OP, AUTH_POLICY_TEST, NO_OP, NO_OP, NO_OP},
    {"/v1/policies/", policy_key_valid, "DELETE, GET, HEAD, PUT", AUTH_POLICY_GET, NO_OP,
     AUTH_POLICY_PUT, NO_OP, AUTH_POLICY_DELETE},
    {"/v1/identities", NULL, "GET, HEAD, POST", AUTH_IDENTITY_LIST, AUTH_IDENTITY_CREATE, NO_OP,
     NO_OP, NO_OP},
    {"/v1/identities/", identity_key_valid, "DELETE, GET, HEAD, PATCH", AUTH_IDENTITY_GET, NO_OP,
     NO_OP, AUTH_IDENTITY_CHANGE, AUTH_IDENTITY_DELETE},
    {"/v1/tokens", NULL, "POST", NO_OP, AUTH_TOKEN_CREATE, NO_OP, NO_OP, NO_OP},
    {"/v1/tokens/self", NULL, "GET, HEAD", AUTH_TOKEN_SELF, NO_OP, NO_OP, NO_OP, NO_OP},
    {"/v1/tokens/self:renew", NULL, "POST", NO_OP, AUTH_TOKEN_RENEW, NO_OP, NO_OP, NO_OP},
    {"/v1/tokens/self:revoke", NULL, "POST", NO_OP, AUTH_TOKEN_REVOKE_SELF, NO_OP, NO_OP, NO_OP},
    {"/v1/tokens:revoke", NULL, "POST", NO_OP, AUTH_TOKEN_REVOKE, NO_OP, NO_OP, NO_OP},
    {"/v1/auth/approle:login", NULL, "POST", NO_OP, AUTH_LOGIN_APPROLE, NO_OP, NO_OP, NO_OP},
    {"/v1/auth/jwt:login", NULL, "POST", NO_OP, AUTH_LOGIN_JWT, NO_OP, NO_OP, NO_OP},
    {"/v1/auth/cert:login", NULL, "POST", NO_OP, AUTH_LOGIN_CERT, NO_OP, NO_OP, NO_OP},
    {"/v1/auth/issuers", NULL, "GET, HEAD, PUT", AUTH_ISSUER_LIST, NO_OP, AUTH_ISSUER_PUT, NO_OP,
     NO_OP},
    {"/v1/auth/issuers/", issuer_key_valid, "DELETE, GET, HEAD", AUTH_ISSUER_GET, NO_OP, NO_OP,
     NO_OP, AUTH_ISSUER_DELETE},
    {"/v1/auth/ca", NULL, "DELETE, GET, HEAD, PUT", AUTH_CA_GET, NO_OP, AUTH_CA_PUT, NO_OP,
     AUTH_CA_DELETE},
    {"/v1/auth/ca/crl", NULL, "DELETE, GET, HEAD, PUT", AUTH_CRL_GET, NO_OP, AUTH_CRL_PUT, NO_OP,
     AUTH_CRL_DELETE},
    {"/v1/auth/roles", NULL, "GET, HEAD, POST", AUTH_ROLE_LIST, AUTH_ROLE_CREATE, NO_OP, NO_OP,
     NO_OP},
    {"/v1/auth/roles/{role}/secret-ids", identity_key_valid, "POST", NO_OP, AUTH_SECRET_ID_CREATE,
     NO_OP, NO_OP, NO_OP},
    {"/v1/auth/roles/{role}/secret-ids:revoke", identity_key_valid, "POST", NO_OP,
     AUTH_SECRET_ID_REVOKE, NO_OP, NO_OP, NO_OP},
    {"/v1/auth/roles/", identity_key_valid, "DELETE, GET, HEAD", AUTH_ROLE_GET, NO_OP, NO_OP, NO_OP,
     AUTH_ROLE_DELETE},
};

/* The key stands at the end, or where the path has a word in braces. */
static bool
take_key(const char *pattern, struct bytes path, struct bytes *key)
{
    const char *brace = strchr(pattern, '{');
    const char *suffix = brace ? strchr(brace, '}') + 1 : "";
    size_t before = brace ? (size_t)(brace - pattern) : strlen(pattern), after = strlen(suffix);

    if (path.size < before + after || memcmp(path.data, pattern, before) != 0 ||
        memcmp(path.data + path.size - after, suffix, after) != 0)
        return false;
    *key = bytes_of(path.data + before, path.size - before - after);
    return true;
}

static const struct auth_route *
find(struct bytes path, struct bytes *key)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++)
        if (take_key(routes[i].path, path, key) && (routes[i].key_valid || key->size == 0))
            return &routes[i];
    return NULL;
}

static int
op_of(const struct auth_route *route, enum http_method method)
{
    switch (method) {
    case HTTP_METHOD_GET:
    case HTTP_METHOD_HEAD: return route->get;
    case HTTP_METHOD_POST: return route->post;
    case HTTP_METHOD_PUT: return route->put;
    case HTTP_METHOD_PATCH: return route->patch;
    case HTTP_METHOD_DELETE: return route->delete;
    case HTTP_METHOD_OTHER: break;
    }
    return NO_OP;
}

enum vault_err
auth_target_parse(struct bytes path, enum http_method method, struct request *request,
                  const char **allow)
{
    struct bytes key = {0};
    const struct auth_route *route = find(path, &key);
    int op;

    if (!route)
        return ERR_NO_ROUTE;
    op = op_of(route, method);
    if (op == NO_OP) {
        *allow = route->allow;
        return ERR_METHOD;
    }
    request->kind = REQUEST_AUTH;
    request->auth_op = (enum auth_op)op;
    request->routed = true;
    request->name = key;
    return route->key_valid && !route->key_valid(key) ? ERR_BAD_NAME : OK;
}

bool
auth_has_body(const struct request *request)
{
#define BIT(op) (UINT64_C(1) << (op))
    static const uint64_t with =
        BIT(AUTH_TENANT_CREATE) | BIT(AUTH_TENANT_CHANGE) | BIT(AUTH_POLICY_PUT) |
        BIT(AUTH_POLICY_TEST) | BIT(AUTH_IDENTITY_CREATE) | BIT(AUTH_IDENTITY_CHANGE) |
        BIT(AUTH_TOKEN_CREATE) | BIT(AUTH_TOKEN_REVOKE) | BIT(AUTH_LOGIN_APPROLE) |
        BIT(AUTH_LOGIN_JWT) | BIT(AUTH_LOGIN_CERT) | BIT(AUTH_ISSUER_PUT) | BIT(AUTH_CA_PUT) |
        BIT(AUTH_ROLE_CREATE) | BIT(AUTH_SECRET_ID_CREATE) | BIT(AUTH_SECRET_ID_REVOKE) |
        BIT(AUTH_CRL_PUT);
#undef BIT

    return request->kind == REQUEST_AUTH && (with >> request->auth_op & 1) != 0;
}
