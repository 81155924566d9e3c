#include "actors/authority.h"

#include "actors/lease.h"
#include "auth/decide.h"
#include "auth/identity.h"
#include "base/planted.h"
#include "proto/record_path.h"

static_assert((int)CALLER_BYTES == (int)UUID_TEXT_BYTES + 1, "an identity's id and a NUL");
static_assert((int)CALLER_BYTES <= (int)AUTHOR_BYTES_MAX, "a caller is an author");

enum { CAPABILITIES_ASKED_MAX = 3, MINUTE_MS = 60000 };

/* One of the capabilities is enough. */
struct wish {
    struct auth_request request;
    unsigned count;
    enum capability any_of[CAPABILITIES_ASKED_MAX];
};

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

/* ---- the records ---- */

static enum auth_found
find_record(const void *context, struct bytes tenant, enum auth_kind kind, struct bytes key,
            struct bytes *record)
{
    const struct auth_view *view = context;
    struct bytes in = tenant.size > 0 ? tenant : bytes_of_text(SYSTEM_TENANT);
    const struct auth_record *found =
        auth_view_get(view, in, bytes_of_text(auth_kind_name(kind)), key);
    *record = found ? buf_bytes(&found->value) : (struct bytes){0};
    return found ? AUTH_FOUND : AUTH_ABSENT;
}

static enum vault_err
error_of(const struct auth_decision *decision)
{
    switch (decision->answer) {
    case ANSWER_ALLOWED: break;
    case ANSWER_DENIED: return decision->may_know ? ERR_FORBIDDEN : ERR_NOT_FOUND;
    case ANSWER_UNAUTHENTICATED: return ERR_UNAUTHENTICATED;
    case ANSWER_UNDECIDED: return ERR_NOT_READY;
    }
    /* Nobody counts uses, so nobody may have any. */
    return decision->counts_use ? ERR_UNAUTHENTICATED : OK;
}

/* The bootstrap token needs no lease: it is in the configuration, not in a record. */
static enum vault_err
decide(const struct membership *ms, const struct step *st, struct bytes credential,
       const struct wish *wish)
{
    struct auth_records records = {ms->records, find_record};
    struct auth_request request = wish->request;
    struct auth_decision decision;
    enum vault_err err;
    if (authority_permits(ms->cluster, credential))
        return OK;
    if (!ticket_looks_like(TICKET_TOKEN, credential))
        return ERR_UNAUTHENTICATED;
    if (!lease_is_valid(ms, st->now))
        return ERR_NOT_READY;
    unsigned i = 0;
    do {
        request.question.operation = wish->any_of[i];
        auth_decide(&records, credential, &request, st->wall_ms, &decision);
        err = error_of(&decision);
    } while (err != OK && ++i < wish->count);
    return err;
}

/* ---- what is asked for ---- */

static struct wish
wish_of(struct path path, enum auth_right right)
{
    struct wish wish = {.request = {.tenant = path.tenant, .right = right}};
    wish.request.question.name = path.name;
    return wish;
}

static struct wish
wish_for(struct path path, enum capability capability)
{
    struct wish wish = wish_of(path, RIGHT_SECRET);
    wish.any_of[wish.count++] = capability;
    return wish;
}

/* Whoever may change identity records may do so in all tenants. */
static struct wish
wish_of_operator(void)
{
    return wish_of((struct path){0}, RIGHT_OPERATOR);
}

static struct wish
wish_to_know(struct path path)
{
    struct wish wish = wish_for(path, CAPABILITY_READ);
    wish.any_of[wish.count++] = CAPABILITY_LIST;
    wish.any_of[wish.count++] = CAPABILITY_HISTORY;
    return wish;
}

static struct wish
wish_of_request(const struct request *request, struct path path)
{
    switch (request->kind) {
    case REQUEST_CREATE:
    case REQUEST_BATCH_CREATE: return wish_for(path, CAPABILITY_CREATE);
    case REQUEST_READ:
    case REQUEST_BATCH: return wish_for(path, CAPABILITY_READ);
    case REQUEST_UPDATE: return wish_for(path, CAPABILITY_UPDATE);
    case REQUEST_DELETE:
    case REQUEST_DELETION: return wish_for(path, CAPABILITY_DELETE);
    case REQUEST_HISTORY: return wish_for(path, CAPABILITY_HISTORY);
    case REQUEST_NAMES: return wish_of(path, RIGHT_IDENTIFIED);
    case REQUEST_RECORD_PUT:
    case REQUEST_RECORD_GET:
    case REQUEST_RECORD_DELETE:
    case REQUEST_RECORD_LIST:
    case REQUEST_ENV:
    case REQUEST_COPY:
    case REQUEST_HEALTH:
    case REQUEST_STATUS:
    case REQUEST_METRICS: break;
    }
    return wish_of_operator();
}

static enum vault_err
decide_one(const struct membership *ms, const struct step *st, const struct request *request,
           struct bytes name)
{
    struct wish wish = wish_of_request(request, (struct path){request->tenant, name});
    struct policy_question *question = &wish.request.question;
    question->expected_version =
        request->has_expected_version ? EXPECTATION_GIVEN : EXPECTATION_NONE;
    question->has_minute = true;
    question->minute = (uint16_t)(st->wall_ms / MINUTE_MS % MINUTES_PER_DAY);
    return decide(ms, st, request->credential, &wish);
}

enum vault_err
authority_of_request(const struct membership *ms, const struct step *st,
                     const struct request *request)
{
    bool batch = request->kind == REQUEST_BATCH || request->kind == REQUEST_BATCH_CREATE;
    enum vault_err err = OK;
    if (authority_permits(ms->cluster, request->credential))
        return OK;
    if (!batch || request->item_count == 0)
        return decide_one(ms, st, request, request->name);
    for (size_t i = 0; i < request->item_count && err == OK; i++)
        err = decide_one(ms, st, request, request->items[i].name);
    return err;
}

/* ---- what holders are asked for ---- */

enum vault_err
authority_of_vote(const struct membership *ms, const struct step *st, struct path path,
                  enum change_kind purpose, struct bytes credential)
{
    struct wish wish = wish_of_operator();
    if (batch_record_name_valid(path.name))
        wish = wish_of((struct path){.tenant = path.tenant}, RIGHT_IDENTIFIED);
    else if (record_path_is(path))
        return decide(ms, st, credential, &wish);
    else if (purpose == CHANGE_CREATE)
        wish = wish_for(path, CAPABILITY_CREATE);
    else if (purpose == CHANGE_UPDATE)
        wish = wish_for(path, CAPABILITY_UPDATE);
    else if (purpose == CHANGE_DELETE)
        wish = wish_for(path, CAPABILITY_DELETE);
    return decide(ms, st, credential, &wish);
}

enum vault_err
authority_of_value(const struct membership *ms, const struct step *st, struct path path,
                   struct bytes credential)
{
    struct wish wish = record_path_is(path) ? wish_of_operator() : wish_for(path, CAPABILITY_READ);
    if (PLANTED(holder_checks_token_alone) && !record_path_is(path))
        wish = wish_of((struct path){.tenant = path.tenant}, RIGHT_IDENTIFIED);
    return decide(ms, st, credential, &wish);
}

enum vault_err
authority_of_head(const struct membership *ms, const struct step *st, struct path path,
                  struct bytes credential)
{
    struct wish wish = record_path_is(path) ? wish_of_operator() : wish_to_know(path);
    return decide(ms, st, credential, &wish);
}

enum vault_err
authority_of_names(const struct membership *ms, const struct step *st, struct bytes tenant,
                   struct bytes credential)
{
    struct wish wish = wish_of((struct path){.tenant = tenant}, RIGHT_IDENTIFIED);
    if (PLANTED(names_of_any_tenant))
        wish.request.tenant = (struct bytes){0}; /* the caller's own */
    return decide(ms, st, credential, &wish);
}

bool
authority_may_list(const struct membership *ms, const struct step *st, struct path path,
                   struct bytes credential)
{
    struct wish wish = wish_for(path, CAPABILITY_LIST);
    return decide(ms, st, credential, &wish) == OK;
}

/* ---- who it is ---- */

struct bytes
authority_caller(const struct membership *ms, struct bytes credential,
                 char memory[static CALLER_BYTES])
{
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES];
    char key[2 * ACCESSOR_BYTES + 1];
    struct bytes record;
    struct token token;
    if (authority_permits(ms->cluster, credential))
        return bytes_of_text("admin");
    if (!ms->records || ticket_hash(TICKET_TOKEN, credential, hash) != OK)
        return (struct bytes){0};
    ticket_accessor(hash, accessor);
    bytes_wipe(hash, sizeof(hash));
    hex_encode(bytes_of(accessor, sizeof(accessor)), key);
    if (find_record(ms->records, (struct bytes){0}, AUTH_KIND_TOKEN, bytes_of_text(key), &record) !=
            AUTH_FOUND ||
        token_decode(record, &token) != OK)
        return (struct bytes){0};
    uuid_format(token.identity, memory);
    return bytes_of_text(memory);
}
