#include "actors/authority.h"

#include <string.h>

#include "actors/lease.h"
#include "actors/sweep.h"
#include "actors/token_rights.h"
#include "auth/address.h"
#include "auth/decide.h"
#include "auth/identity.h"
#include "auth/jwt.h"
#include "auth/login.h"
#include "base/planted.h"
#include "proto/alteration.h"
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

/* The credential is the bootstrap token: compared by hash, in constant time. */
static bool
is_bootstrap(const struct cluster *cluster, struct bytes credential)
{
    uint8_t hash[HASH_BYTES];
    if (credential.size == 0)
        return false;
    hash_bytes(credential, hash);
    return secret_equal(bytes_of(hash, sizeof(hash)),
                        bytes_of(cluster->admin_token_hash, HASH_BYTES));
}

/*
 * The same, for every request and more than once in each. What a credential was found to be is known
 * again by a short keyed hash (128 bits under a key that nobody else has) in place of the long one.
 */
static bool
is_admin(const struct membership *ms, struct bytes credential)
{
    struct admin_seen *seen = ms->records ? &ms->records->admin : NULL;
    if (!seen || !seen->keyed || credential.size == 0)
        return is_bootstrap(ms->cluster, credential);
    uint8_t tag[SHORT_HASH_WIDE_BYTES];
    hash_short_wide(seen->key, credential, tag);
    if (seen->known &&
        secret_equal(bytes_of(tag, sizeof(tag)), bytes_of(seen->tag, sizeof(seen->tag))))
        return true;
    if (!is_bootstrap(ms->cluster, credential))
        return false;
    memcpy(seen->tag, tag, sizeof(tag));
    seen->known = true;
    return true;
}

/* ---- the records ---- */

/* The tenant "default" is there without a record, which it has once it has limits. */
static bool
is_default_tenant(enum auth_kind kind, struct bytes key)
{
    return kind == AUTH_KIND_TENANT && bytes_equal(key, bytes_of_text("default"));
}

enum { PURGED_REQUEST_MS = 5000 + 2 * CLOCK_SKEW_MS_MAX };
static_assert((int)TENANT_PURGE_QUIET_MS >=
                  (int)PURGED_REQUEST_MS + LEASE_WAIT_MS + IDENTITY_LEASE_MS,
              "see there");

/*
 * A tenant that is being purged is as if it were not there: nobody acts in it but operators, who
 * delete what is left.
 */
static bool
is_purged_record(enum auth_kind kind, const struct auth_record *found)
{
    return kind == AUTH_KIND_TENANT && found && tenant_is_purged(buf_bytes(&found->value));
}

static bool
is_purged(const struct membership *ms, struct bytes tenant)
{
    return ms->records &&
           is_purged_record(AUTH_KIND_TENANT,
                            auth_view_get(ms->records, bytes_of_text(SYSTEM_TENANT),
                                          bytes_of_text(auth_kind_name(AUTH_KIND_TENANT)), tenant));
}

static enum auth_found
find_record(const void *context, struct bytes tenant, enum auth_kind kind, struct bytes key,
            struct bytes *record)
{
    const struct auth_view *view = context;
    struct bytes in = tenant.size > 0 ? tenant : bytes_of_text(SYSTEM_TENANT);
    const struct auth_record *found =
        auth_view_get(view, in, bytes_of_text(auth_kind_name(kind)), key);
    if (is_purged_record(kind, found) && !PLANTED(purging_mark_unseen))
        found = NULL;
    *record = found ? buf_bytes(&found->value) : (struct bytes){0};
    return found || is_default_tenant(kind, key) ? AUTH_FOUND : AUTH_ABSENT;
}

static enum auth_found
find_policy(const void *context, struct bytes tenant, struct bytes name, struct bytes *record,
            const struct policy_index **index)
{
    const struct auth_record *found =
        auth_view_get(context, tenant, bytes_of_text(auth_kind_name(AUTH_KIND_POLICY)), name);
    *record = found ? buf_bytes(&found->value) : (struct bytes){0};
    *index = found ? found->index : NULL;
    return found ? AUTH_FOUND : AUTH_ABSENT;
}

static struct auth_records
records_of(const struct membership *ms)
{
    struct auth_view *view = ms->records;
    return (struct auth_records){.context = view,
                                 .get = find_record,
                                 .get_policy = find_policy,
                                 .verified = view ? &view->verified : NULL,
                                 .tickets = view ? view->tickets : NULL};
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
    return OK;
}

/* What a use is counted for comes after it; to be known takes none, nor does the count itself. */
static enum vault_err
error_of_use(const struct auth_decision *decision, enum auth_right right)
{
    if (!decision->counts_use || right == RIGHT_IDENTIFIED)
        return OK;
    return right == RIGHT_SECRET ? ERR_UNAUTHENTICATED : ERR_FORBIDDEN;
}

/* Not the bootstrap token. */
static enum vault_err
decide_credential(const struct membership *ms, const struct step *st, struct bytes credential,
                  const struct wish *wish, struct auth_decision *decision)
{
    struct auth_records records = records_of(ms);
    struct auth_request request = wish->request;
    enum vault_err err;
    *decision = (struct auth_decision){0};
    if (!ticket_looks_like(TICKET_TOKEN, credential) && !jwt_looks_like(credential))
        return ERR_UNAUTHENTICATED;
    if (!ms->records || !lease_is_valid(ms, st->now))
        return ERR_NOT_READY;
    unsigned i = 0;
    do {
        request.question.operation = wish->any_of[i];
        auth_decide(&records, credential, &request, st->wall_ms, decision);
        err = error_of(decision);
        if (err == OK)
            err = error_of_use(decision, request.right);
    } while (err != OK && err != ERR_UNAUTHENTICATED && ++i < wish->count);
    return err;
}

/* The bootstrap token needs no lease: it is in the configuration, not in a record. */
static enum vault_err
decide_with(const struct membership *ms, const struct step *st, struct bytes credential,
            const struct wish *wish, struct auth_decision *decision)
{
    *decision = (struct auth_decision){0};
    return is_admin(ms, credential) ? OK : decide_credential(ms, st, credential, wish, decision);
}

static enum vault_err
decide(const struct membership *ms, const struct step *st, struct bytes credential,
       const struct wish *wish)
{
    struct auth_decision decision;
    return decide_with(ms, st, credential, wish, &decision);
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

/* In whatever tenant the auditor is: a trail is of all tenants. */
static struct wish
wish_of_auditor(void)
{
    return wish_of((struct path){0}, RIGHT_AUDITOR);
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
    case REQUEST_NAMES:
    case REQUEST_ENV: /* what these two are made of is asked for each */
    case REQUEST_COPY: return wish_of(path, RIGHT_IDENTIFIED);
    case REQUEST_AUDIT:
    case REQUEST_AUDIT_EXPORT: return wish_of_auditor();
    case REQUEST_RECORD_PUT:
    case REQUEST_RECORD_GET:
    case REQUEST_RECORD_DELETE:
    case REQUEST_RECORD_LIST:
    case REQUEST_AUTH:
    case REQUEST_HEALTH:
    case REQUEST_STATUS:
    case REQUEST_METRICS: break;
    case REQUEST_ALTER:
        return wish_for(path, alteration_erases(request->alteration) ? CAPABILITY_DELETE
                                                                     : CAPABILITY_UPDATE);
    case REQUEST_METADATA: return wish_to_know(path);
    }
    return wish_of_operator();
}

/* What is known of the request where the client talks to this node. */
static void
add_known(const struct step *st, const struct request *request, struct policy_question *question)
{
    question->expected_version =
        request->has_expected_version ? EXPECTATION_GIVEN : EXPECTATION_NONE;
    question->has_minute = true;
    question->minute = (uint16_t)(st->wall_ms / MINUTE_MS % MINUTES_PER_DAY);
    if (address_parse(request->address, &question->address) != OK)
        question->address = (struct address){0}; /* it is not known */
}

static enum vault_err
decide_wish(const struct membership *ms, const struct step *st, const struct request *request,
            struct wish wish)
{
    add_known(st, request, &wish.request.question);
    return decide(ms, st, request->credential, &wish);
}

static enum vault_err
decide_one(const struct membership *ms, const struct step *st, const struct request *request,
           struct bytes name)
{
    struct path path = {request->tenant, name};
    if (request->kind == REQUEST_DELETE && is_purged(ms, request->tenant))
        return decide_wish(ms, st, request, wish_of_operator());
    return decide_wish(ms, st, request, wish_of_request(request, path));
}

/* About the node alone, whatever tenant is named. */
static bool
is_of_node(enum request_kind kind)
{
    return kind == REQUEST_STATUS || kind == REQUEST_METRICS;
}

/* ---- uses ---- */

bool
authority_counts_uses(const struct membership *ms, struct bytes credential)
{
    struct token token;
    return token_record_of(ms, credential, &token) && token.uses_limit > 0;
}

enum vault_err
authority_count_use(const struct membership *ms, const struct step *st, struct bytes credential,
                    struct arena *arena, struct request *out)
{
    struct token token;
    struct buf value = {0};
    const struct auth_record *record = token_record_of(ms, credential, &token);
    *out = (struct request){.kind = REQUEST_RECORD_PUT,
                            .tenant = bytes_of_text(SYSTEM_TENANT),
                            .credential = credential,
                            .has_expected_version = true};
    if (!record)
        return ERR_UNAUTHENTICATED;
    out->expected_version = record->version;
    enum vault_err err = token_spend(&token, st->wall_ms);
    if (err == OK)
        err = token_encode(&token, &value);
    if (err == OK)
        err = arena_copy(arena, buf_bytes(&value), &out->value);
    if (err == OK)
        err = arena_copy(arena, record->link.path.name, &out->name);
    buf_close(&value);
    return err;
}

/* It counts a use of its own token, on what this node knows of that. */
static bool
is_count(const struct membership *ms, const struct step *st, const struct request *request)
{
    struct token before, after;
    if (request->kind != REQUEST_RECORD_PUT || !request->has_expected_version)
        return false;
    const struct auth_record *record = token_record_of(ms, request->credential, &before);
    return record && bytes_equal(record->link.path.tenant, request->tenant) &&
           bytes_equal(record->link.path.name, request->name) &&
           token_decode(request->value, &after) == OK &&
           token_is_spent(&before, &after, st->wall_ms);
}

/* ---- requests ---- */

/* What is done to a tenant that is being purged. */
static bool
is_of_purge(enum request_kind kind)
{
    return kind == REQUEST_DELETE || kind == REQUEST_RECORD_DELETE || kind == REQUEST_RECORD_LIST ||
           kind == REQUEST_RECORD_GET;
}

/*
 * Names may be listed where there is no tenant: whoever deletes one sees so that nothing is left
 * there. Trails are of all tenants.
 */
static enum vault_err
check_tenant(const struct membership *ms, const struct step *st, const struct request *request)
{
    struct bytes record, tenant = request->tenant;
    if (request->kind == REQUEST_NAMES || is_of_node(request->kind) ||
        request_is_of_audit(request->kind) || bytes_equal(tenant, bytes_of_text(SYSTEM_TENANT)) ||
        is_default_tenant(AUTH_KIND_TENANT, tenant))
        return OK;
    if (!lease_is_valid(ms, st->now))
        return ERR_NOT_READY;
    if (is_of_purge(request->kind) && is_purged(ms, tenant))
        return OK;
    return find_record(ms->records, (struct bytes){0}, AUTH_KIND_TENANT, tenant, &record) ==
                   AUTH_FOUND
               ? OK
               : ERR_NOT_FOUND;
}

static enum vault_err
decide_record(const struct membership *ms, const struct step *st, const struct request *request)
{
    struct path path = {request->tenant, request->name};
    enum record_action action = request->kind == REQUEST_RECORD_PUT      ? RECORD_CHANGE
                                : request->kind == REQUEST_RECORD_DELETE ? RECORD_REMOVE
                                                                         : RECORD_LOOK;
    enum vault_err err =
        authority_of_record(ms, st, path, action, request->value, request->credential);
    return err == OK ? check_tenant(ms, st, request) : err;
}

enum vault_err
authority_of_item(const struct membership *ms, const struct step *st, const struct request *request,
                  size_t item)
{
    return decide_one(ms, st, request, request->items[item].name);
}

enum vault_err
authority_of_request(const struct membership *ms, const struct step *st,
                     const struct request *request)
{
    bool batch = request->kind == REQUEST_BATCH || request->kind == REQUEST_BATCH_CREATE;
    enum vault_err err = OK;
    if (is_admin(ms, request->credential))
        return check_tenant(ms, st, request);
    bool again = PLANTED(use_counted_once_per_key) && request->idempotency_key.size > 0;
    if (!request->use_counted && !again && !is_count(ms, st, request) &&
        authority_counts_uses(ms, request->credential))
        return ERR_UNAUTHENTICATED;
    if (request_is_of_record(request->kind))
        return decide_record(ms, st, request);
    if (request->kind == REQUEST_NAMES)
        return authority_of_names(ms, st, request->tenant, request->credential);
    if (request->kind == REQUEST_ALTER && alteration_erases(request->alteration) &&
        alteration_updates(request->alteration))
        err =
            decide_wish(ms, st, request,
                        wish_for((struct path){request->tenant, request->name}, CAPABILITY_UPDATE));
    if (err != OK)
        return err;
    if (!batch || request->item_count == 0)
        err = decide_one(ms, st, request, request->name);
    /* That nodes have a state is no secret. */
    if (is_of_node(request->kind) && err == ERR_NOT_FOUND)
        err = ERR_FORBIDDEN;
    for (size_t i = 0; batch && i < request->item_count && err == OK; i++)
        err = decide_one(ms, st, request, request->items[i].name);
    return err;
}

/* ---- identity records ---- */

enum vault_err
authority_login(const struct membership *ms, const struct step *st, struct bytes tenant,
                struct bytes credential, struct login *out)
{
    *out = (struct login){0};
    if (!ms->records || !lease_is_valid(ms, st->now))
        return ERR_NOT_READY;
    struct auth_records records = records_of(ms);
    enum auth_reason reason =
        login_check(&records, credential, ms->cluster->id, tenant, st->wall_ms, out);
    if (reason == REASON_UNAVAILABLE || reason == REASON_CORRUPT)
        return ERR_NOT_READY;
    if (reason != REASON_ALLOWED)
        return ERR_UNAUTHENTICATED;
    return auth_view_has_room_for_login(ms->records) ? OK : ERR_BUSY;
}

/*
 * Whoever logs in makes the record of one token, which says what the login says. There must be none
 * yet, nor have been one that was revoked: no token gets another life.
 */
static enum vault_err
may_log_in(const struct membership *ms, const struct step *st, struct path path,
           enum record_action action, struct bytes value, struct bytes credential)
{
    struct token token, there;
    struct login login;
    uint8_t accessor[ACCESSOR_BYTES];
    if (action != RECORD_CHANGE || !token_record_put(path, value, &token))
        return ERR_UNAUTHENTICATED;
    enum vault_err err = authority_login(ms, st, token.tenant, credential, &login);
    if (err != OK)
        return err;
    if (!PLANTED(login_role_unchecked) && !login_makes(&login, &token, st->wall_ms))
        return ERR_UNAUTHENTICATED;
    if (!PLANTED(revoked_token_made_again) && auth_view_was_deleted_at(ms->records, path))
        return ERR_UNAUTHENTICATED;
    ticket_accessor(token.hash, accessor);
    if (token_record_find(ms, accessor, &there) && !token_same_life(&there, &token))
        return ERR_UNAUTHENTICATED;
    return OK;
}

enum vault_err
authority_of_record(const struct membership *ms, const struct step *st, struct path path,
                    enum record_action action, struct bytes value, struct bytes credential)
{
    struct wish as_operator = wish_of_operator();
    struct wish as_anybody = wish_of((struct path){0}, RIGHT_IDENTIFIED);
    struct auth_decision who;
    if (login_looks_like(credential))
        return may_log_in(ms, st, path, action, value, credential);
    enum vault_err err = decide(ms, st, credential, &as_operator);
    /* A JWT is known by the issuers of its own tenant: err is what those of "default" say. */
    if (err != OK && err != ERR_NOT_READY && jwt_looks_like(credential) &&
        action == RECORD_CHANGE && may_log_in(ms, st, path, action, value, credential) == OK)
        return OK;
    if (err != ERR_NOT_FOUND && err != ERR_FORBIDDEN)
        return err;
    if (decide_with(ms, st, credential, &as_anybody, &who) != OK)
        return err;
    return who.has_accessor && token_may(ms, st->wall_ms, who.accessor, path, action, value) ? OK
                                                                                             : err;
}

/* ---- what holders are asked for ---- */

enum vault_err
authority_of_vote(const struct membership *ms, const struct step *st, struct path path,
                  enum change_kind purpose, struct bytes value, struct bytes credential)
{
    struct wish wish = wish_of_operator();
    if (record_path_is(path))
        return authority_of_record(ms, st, path,
                                   purpose == CHANGE_DELETE ? RECORD_REMOVE : RECORD_CHANGE, value,
                                   credential);
    bool batch = batch_record_name_valid(path.name);
    bool purged = !batch && is_purged(ms, path.tenant);
    if (purged && purpose != CHANGE_DELETE)
        return ERR_NOT_FOUND;
    if (batch)
        wish = wish_of((struct path){.tenant = path.tenant}, RIGHT_IDENTIFIED);
    else if (purged)
        wish = wish_of_operator();
    else if (purpose == CHANGE_CREATE)
        wish = wish_for(path, CAPABILITY_CREATE);
    else if (purpose == CHANGE_UPDATE || purpose == CHANGE_ALTER)
        wish = wish_for(path, CAPABILITY_UPDATE);
    else if (purpose == CHANGE_DELETE || purpose == CHANGE_ERASE)
        wish = wish_for(path, CAPABILITY_DELETE);
    return decide(ms, st, credential, &wish);
}

enum vault_err
authority_of_value(const struct membership *ms, const struct step *st, struct path path,
                   struct bytes credential)
{
    if (record_path_is(path))
        return authority_of_record(ms, st, path, RECORD_LOOK, (struct bytes){0}, credential);
    if (is_admin(ms, credential))
        return OK;
    struct wish wish = wish_for(path, CAPABILITY_READ);
    if (PLANTED(holder_takes_any_jwt) && jwt_looks_like(credential))
        return OK;
    if (PLANTED(holder_checks_token_alone))
        wish = wish_of((struct path){.tenant = path.tenant}, RIGHT_IDENTIFIED);
    struct auth_decision decision;
    return decide_credential(ms, st, credential, &wish, &decision);
}

enum vault_err
authority_of_head(const struct membership *ms, const struct step *st, struct path path,
                  struct bytes credential)
{
    struct wish wish = wish_to_know(path);
    struct wish as_operator = wish_of_operator();
    if (record_path_is(path))
        return authority_of_record(ms, st, path, RECORD_LOOK, (struct bytes){0}, credential);
    enum vault_err err = decide(ms, st, credential, &wish);
    /* Operators may list all names: of an open one its head says whether it is there. */
    bool may = err == ERR_NOT_FOUND && decide(ms, st, credential, &as_operator) == OK;
    return may ? OK : err;
}

enum vault_err
authority_of_names(const struct membership *ms, const struct step *st, struct bytes tenant,
                   struct bytes credential)
{
    struct wish wish = wish_of((struct path){.tenant = tenant}, RIGHT_IDENTIFIED);
    struct wish as_operator = wish_of_operator();
    if (PLANTED(names_of_any_tenant))
        wish.request.tenant = (struct bytes){0}; /* the caller's own */
    enum vault_err err = decide(ms, st, credential, &wish);
    return err == ERR_NOT_FOUND ? decide(ms, st, credential, &as_operator) : err;
}

enum vault_err
authority_of_trail(const struct membership *ms, const struct step *st, struct bytes credential)
{
    struct wish wish = wish_of_auditor();
    return decide(ms, st, credential, &wish);
}

enum vault_err
authority_listing(const struct membership *ms, const struct step *st, struct bytes tenant,
                  struct bytes credential, struct authority_listing *out)
{
    struct wish as_operator = wish_of_operator();
    struct auth_records records = records_of(ms);
    enum vault_err err = decide(ms, st, credential, &as_operator);
    *out = (struct authority_listing){.all = err == OK};
    if (err != ERR_NOT_FOUND && err != ERR_FORBIDDEN && !jwt_looks_like(credential))
        return err;
    /* A JWT is known by the issuers of its own tenant: err is what those of "default" say. */
    if (err == OK || err == ERR_NOT_READY)
        return err;
    switch (auth_listing_begin(&records, credential, tenant, st->wall_ms, &out->by_policies)) {
    case ANSWER_ALLOWED:
    case ANSWER_DENIED: break;
    case ANSWER_UNAUTHENTICATED: return ERR_UNAUTHENTICATED;
    case ANSWER_UNDECIDED: return ERR_NOT_READY;
    }
    return OK;
}

enum vault_err
authority_listing_of_request(const struct membership *ms, const struct step *st,
                             const struct request *request, struct authority_listing *out)
{
    enum vault_err err = authority_listing(ms, st, request->tenant, request->credential, out);
    if (err == OK)
        add_known(st, request, &out->by_policies.known);
    return err;
}

bool
authority_may_list(const struct authority_listing *listing, struct bytes name)
{
    return listing->all || auth_listing_may(&listing->by_policies, name);
}

bool
authority_list_from(const struct authority_listing *listing, struct bytes prefix,
                    struct bytes after, struct bytes *from)
{
    *from = (struct bytes){0};
    return listing->all || auth_listing_from(&listing->by_policies, prefix, after, from);
}

enum vault_err
authority_of_caller(const struct membership *ms, const struct step *st, struct bytes tenant,
                    struct bytes credential)
{
    struct wish wish = wish_of((struct path){.tenant = tenant}, RIGHT_IDENTIFIED);
    enum vault_err err = decide(ms, st, credential, &wish);
    return err == ERR_NOT_FOUND || err == ERR_FORBIDDEN ? OK : err;
}

/* ---- who it is ---- */

bool
authority_was_revoked(const struct membership *ms, const struct step *st, struct bytes credential)
{
    struct auth_request request = {.right = RIGHT_IDENTIFIED};
    uint8_t hash[HASH_BYTES], accessor[ACCESSOR_BYTES];
    struct auth_decision decision;
    char key[2 * ACCESSOR_BYTES + 1];
    if (!ms->records || ticket_hash(TICKET_TOKEN, credential, hash) != OK)
        return false;
    ticket_accessor(hash, accessor);
    bytes_wipe(hash, sizeof(hash));
    hex_encode(bytes_of(accessor, sizeof(accessor)), key);
    if (auth_view_was_deleted(ms->records, bytes_of_text(SYSTEM_TENANT),
                              bytes_of_text(auth_kind_name(AUTH_KIND_TOKEN)), bytes_of_text(key)))
        return true;
    struct auth_records records = records_of(ms);
    auth_decide(&records, credential, &request, st->wall_ms, &decision);
    return decision.reason == REASON_PARENT_GONE || decision.reason == REASON_IDENTITY_GONE ||
           decision.reason == REASON_IDENTITY_DISABLED || decision.reason == REASON_TENANT_GONE;
}

/* Operators are known by the issuers of the default tenant, whatever tenant a record is of. */
static struct bytes
tenant_of_issuers(struct path path)
{
    if (record_path_is(path) || bytes_equal(path.tenant, bytes_of_text(SYSTEM_TENANT)))
        return (struct bytes){0};
    return path.tenant;
}

static bool
identity_of(const struct membership *ms, struct path path, struct bytes credential,
            uint8_t out[static AUTH_UUID_BYTES])
{
    struct token token;
    if (jwt_looks_like(credential) && ms->records) {
        struct auth_records records = records_of(ms);
        return auth_jwt_identity(&records, credential, tenant_of_issuers(path), out);
    }
    if (!token_record_of(ms, credential, &token))
        return false;
    memcpy(out, token.identity, AUTH_UUID_BYTES);
    return true;
}

struct bytes
authority_caller(const struct membership *ms, struct path path, struct bytes credential,
                 char memory[static CALLER_BYTES])
{
    uint8_t identity[AUTH_UUID_BYTES];
    if (is_admin(ms, credential))
        return bytes_of_text("admin");
    if (sweep_path_is(path))
        return bytes_of_text("node"); /* no client asks for it */
    if (login_looks_like(credential))
        return bytes_of_text("login"); /* the same to every node, at any time */
    if (!identity_of(ms, path, credential, identity))
        return (struct bytes){0};
    uuid_format(identity, memory);
    return bytes_of_text(memory);
}

struct bytes
authority_tenant(const struct membership *ms, struct bytes credential)
{
    struct token token;
    return token_record_of(ms, credential, &token) ? token.tenant : bytes_of_text("default");
}

void
authority_tenant_limits(const struct membership *ms, struct bytes tenant, struct tenant *out)
{
    struct bytes record;
    *out = (struct tenant){0};
    if (PLANTED(limit_of_other_tenant))
        tenant = bytes_of_text("default");
    if (!ms->records || find_record(ms->records, (struct bytes){0}, AUTH_KIND_TENANT, tenant,
                                    &record) != AUTH_FOUND)
        return;
    if (record.size > 0 && tenant_decode(record, out) != OK)
        *out = (struct tenant){0};
}
