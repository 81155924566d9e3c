#include "api/auth_target.h"

#include <string.h>

#include "auth/identity.h"
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
};

static const struct auth_route *
find(struct bytes path, struct bytes *key)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        size_t size = strlen(routes[i].path);

        if (path.size < size || memcmp(path.data, routes[i].path, size) != 0)
            continue;
        *key = bytes_of(path.data + size, path.size - size);
        if (routes[i].key_valid || key->size == 0)
            return &routes[i];
    }
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
    static const unsigned with = 1u << AUTH_TENANT_CREATE | 1u << AUTH_TENANT_CHANGE |
                                 1u << AUTH_POLICY_PUT | 1u << AUTH_POLICY_TEST |
                                 1u << AUTH_IDENTITY_CREATE | 1u << AUTH_IDENTITY_CHANGE |
                                 1u << AUTH_TOKEN_CREATE | 1u << AUTH_TOKEN_REVOKE;

    return request->kind == REQUEST_AUTH && (with >> request->auth_op & 1) != 0;
}
