#include "actors/authority.h"

#include <string.h>

#include "actors/lease.h"

bool
authority_permits(const struct cluster *cluster, struct bytes credential)
{
    uint8_t hash[HASH_BYTES];
    if (credential.size == 0)
        return false;
    hash_bytes(credential, hash);
    return secret_equal(bytes_of(hash, sizeof(hash)),
                        bytes_of(cluster->admin_token_hash, HASH_BYTES));
}

bool
authority_may_list(const struct cluster *cluster, struct bytes credential, struct path path)
{
    (void)path; /* there is one identity, which may see everything */
    return authority_permits(cluster, credential);
}

void
authority_token_key(struct bytes token, char out[static 2 * HASH_BYTES + 1])
{
    uint8_t hash[HASH_BYTES];
    hash_bytes(token, hash);
    hex_encode(bytes_of(hash, sizeof(hash)), out);
}

/*
 * The hash is looked up as it is: whoever could learn by the time it takes how far one is right
 * would have to find tokens that hash to what he wants.
 */
static bool
token_is_known(const struct membership *ms, struct bytes token)
{
    char key[2 * HASH_BYTES + 1];
    authority_token_key(token, key);
    return auth_view_get(ms->records, bytes_of_text(SYSTEM_TENANT), bytes_of_text("token"),
                         bytes_of_text(key)) != NULL;
}

enum vault_err
authority_decide(const struct membership *ms, struct instant now, struct bytes credential)
{
    size_t prefix = sizeof(TOKEN_PREFIX) - 1;
    if (authority_permits(ms->cluster, credential))
        return OK;
    if (credential.size <= prefix || memcmp(credential.data, TOKEN_PREFIX, prefix) != 0)
        return ERR_FORBIDDEN;
    if (!lease_is_valid(ms, now))
        return ERR_NOT_READY;
    return token_is_known(ms, credential) ? OK : ERR_FORBIDDEN;
}

struct bytes
authority_caller(struct bytes credential)
{
    (void)credential; /* there is one identity */
    return bytes_of_text("admin");
}
