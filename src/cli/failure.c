#include "cli/failure.h"

#include <string.h>

#include "cli/cli.h"
#include "cli/output.h"
#include "env/dotenv.h"

/* The hint follows from the code, the exit status does where the HTTP status does not tell. */
static const struct rule {
    const char *code;
    int status; /* EXIT_OK: as the HTTP status says */
    const char *hint;
} rules[] = {
    {"not_found", EXIT_NOT_FOUND,
     "check the name and the tenant; `ostraka secret create NAME -` stores a new secret"},
    {"already_exists", EXIT_CONFLICT, "`ostraka secret update NAME -` stores a new version"},
    {"version_mismatch", EXIT_CONFLICT,
     "somebody else changed it; look at `ostraka secret history NAME`, then decide again"},
    {"idempotency_key_reused", EXIT_FAILED, "a key belongs to one request: use a new one"},
    {"contended", EXIT_CONFLICT, "nothing was changed; try again in a moment"},
    {"unauthenticated", EXIT_UNAUTHORIZED,
     "log in again, or check the token: that of --token-file, of $OSTRAKA_TOKEN, or of the file "
     "that $OSTRAKA_TOKEN_FILE names"},
    {"forbidden", EXIT_UNAUTHORIZED, "ask for the right to do this, or use another token"},
    {"no_quorum", EXIT_OK, "see with `ostraka status` which nodes are away; try again later"},
    {"value_unavailable", EXIT_UNAVAILABLE,
     "see with `ostraka status` which nodes are away; try again when they are back"},
    {"not_ready", EXIT_UNAVAILABLE, "the node is starting; try again, or another address"},
    {"disk_full", EXIT_UNAVAILABLE, "make room on the disks of the nodes"},
    {"busy", EXIT_UNAVAILABLE, "try again in a moment"},
    {"rate_limited", EXIT_UNAVAILABLE,
     "the node limits how much you may ask; try again in a moment"},
    {"sealed", EXIT_UNAVAILABLE, "the cluster has to be unsealed first"},
    {"master_key_unavailable", EXIT_UNAVAILABLE, "the node's log says where it looked for the key"},
    {"master_key_incorrect", EXIT_UNAVAILABLE, "the node has the master key of another cluster"},
    {"corrupt_value", EXIT_FAILED, "the nodes' logs say which shares did not verify"},
    {"no_such_resource", EXIT_FAILED, "the server is of another version than this program"},
    {"too_large", EXIT_FAILED, "a value is at most 1 MiB, or less where its tenant says so"},
    {"tenant_full", EXIT_CONFLICT,
     "delete secrets that are not needed, or have the limit of the tenant raised"},
    {"not_empty", EXIT_CONFLICT, "delete what is in it first; with --purge all of it is"},
    {"bad_env", EXIT_FAILED, "nothing was changed; mend the lines, then try again"},
};

/*
 * What another hint is for than the rule has; NULL: none. The first that fits counts. Whoever may not
 * know of a thing is answered as if there were none: where that is likely, the hint says so.
 */
static const struct hint {
    const char *target, *code, *hint;
    const char *method;  /* NULL: any */
    const char *message; /* instead of the server's, which is about secrets; NULL: that */
    bool one_version;    /* for a target that asks for a version other than the current one */
} hints[] = {
    {.target = "/v1/secrets/",
     .code = "not_found",
     .hint = "`ostraka secret history NAME` shows which versions there are",
     .one_version = true,
     .message = "there is no such secret or version"},
    {.target = "/v1/secrets/",
     .code = "not_found",
     .hint = "you may not create a secret of that name, or there is no such tenant",
     .method = "POST",
     .message = "the secret cannot be created"},
    {.target = "/v1/secrets/",
     .code = "not_found",
     .hint = "check the name and the tenant; `ostraka secret history NAME` shows one whose current "
             "version is deleted",
     .method = "GET"},
    {.target = "/v1/secrets/",
     .code = "not_found",
     .hint = "check the name and the tenant",
     .method = "DELETE"},
    {.target = "/v1/history/", .code = "not_found", .hint = "check the name and the tenant"},
    {.target = "/v1/metadata/", .code = "not_found", .hint = "check the name and the tenant"},
    {.target = "/v1/versions/",
     .code = "not_found",
     .hint = "`ostraka secret history NAME` shows which versions there are",
     .message = "there is no such secret or version"},
    {.target = "/v1/copy",
     .code = "not_found",
     .hint = "check the names and the tenant; whoever may not create a secret is told the same"},
    {.target = "/v1/batch",
     .code = "not_found",
     .hint = "check the names and the tenant; whoever may not create a secret is told the same"},
    {.target = "/v1/env",
     .code = "not_found",
     .hint = "nothing was changed; check the names and the tenant. Whoever may not read or create "
             "a secret is told the same"},
    {.target = "/v1/copy",
     .code = "already_exists",
     .hint = "nothing was copied, and nothing is overwritten"},
    {.target = "/v1/batch",
     .code = "already_exists",
     .hint = "with --skip-existing what exists is left out"},
    {.target = "/v1/env",
     .code = "already_exists",
     .hint = "nothing was changed; write secret(NAME) where the stored value is meant, change that "
             "with `ostraka secret update NAME -`, or choose another --prefix"},
    {.target = "/v1/tokens/self",
     .code = "not_found",
     .hint = "the nodes keep no record of this token: the bootstrap token has none and does not "
             "end, and a JSON web token says itself when it ends"},
    {.target = "/v1/auth/approle:login",
     .code = "unauthenticated",
     .hint = "check the role id, the secret id and the tenant; which of them is wrong is not told"},
    {.target = "/v1/auth/jwt:login",
     .code = "unauthenticated",
     .hint = "check the token's issuer, audience, times and claims, and the tenant; what is wrong "
             "is not told"},
    {.target = "/v1/auth/cert:login",
     .code = "unauthenticated",
     .hint = "check the certificate, the clock of this machine, the cluster and the tenant; what "
             "is wrong is not told"},
    {.target = "/v1/tokens",
     .code = "not_found",
     .hint = "check the id or accessor, and the tenant"},
    {.target = "/v1/identities", .code = "not_found", .hint = "check the id, and the tenant"},
    {.target = "/v1/policies", .code = "not_found", .hint = "check the name, and the tenant"},
    {.target = "/v1/policies",
     .code = "version_mismatch",
     .hint = "somebody else changed it; look at `ostraka policy get NAME`, then decide again"},
    {.target = "/v1/auth/issuers", .code = "not_found", .hint = "check the id, and the tenant"},
    {.target = "/v1/auth/roles", .code = "not_found", .hint = "check the ids, and the tenant"},
    {.target = "/v1/auth/ca/crl",
     .code = "not_found",
     .hint = "the tenant has no authority (`ostraka authority put FILE`), or that has no list"},
    {.target = "/v1/auth/ca",
     .code = "not_found",
     .hint = "check the tenant; `ostraka authority put FILE` gives it one"},
    {.target = "/v1/auth/ca/crl",
     .code = "version_mismatch",
     .hint = "`ostraka crl get` shows the list that is there"},
    {.target = "/v1/auth/",
     .code = "version_mismatch",
     .hint = "somebody else changed it; look at it, then decide again"},
    {.target = "/v1/tenants",
     .code = "not_found",
     .hint = "check the name; none but operators see tenants"},
    {.target = "/v1/tenants", .code = "already_exists", .hint = NULL},
    {.target = "/v1/audit",
     .code = "not_found",
     .hint = "ask for an identity with the policy auditor, or use its token",
     .message = "none but auditors see the audit trail"},
    {.target = "/v1/audit/export",
     .code = "no_such_resource",
     .hint = "there is no node of that name: see `ostraka status`"},
    {.target = "/v1/audit/export",
     .code = "not_ready",
     .hint = "the node whose trail that is, or the one that was asked, is away or starting: see "
             "`ostraka status`"},
};

static bool
is_about_secrets(const char *target)
{
    static const char *const others[] = {"/v1/tokens",  "/v1/identities", "/v1/policies",
                                         "/v1/tenants", "/v1/auth/",      "/v1/audit"};

    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        if (strncmp(target, others[i], strlen(others[i])) == 0)
            return false;
    }
    return true;
}

static bool
asks_for_one_version(const char *target)
{
    const char *query = strchr(target, '?');

    return query && (strncmp(query, "?version=", strlen("?version=")) == 0 ||
                     strncmp(query, "?at=", strlen("?at=")) == 0);
}

/* What is said of this request instead of what the rule of its code has; NULL: nothing. */
static const struct hint *
find_hint(const char *code, const char *method, const char *target)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        const struct hint *hint = &hints[i];

        if (strcmp(code, hint->code) == 0 &&
            strncmp(target, hint->target, strlen(hint->target)) == 0 &&
            (!hint->method || strcmp(method, hint->method) == 0) &&
            (!hint->one_version || asks_for_one_version(target)))
            return hint;
    }
    return NULL;
}

const char *
failure_look(const char *target)
{
    return is_about_secrets(target) ? "look at `ostraka secret history NAME`"
                                    : "look what is there";
}

static const struct rule *
find_rule(const char *code)
{
    for (size_t i = 0; i < sizeof rules / sizeof rules[0]; i++) {
        if (strcmp(rules[i].code, code) == 0)
            return &rules[i];
    }
    return NULL;
}

static void
copy_member(const json_t *object, const char *key, char *out, size_t size)
{
    const char *text = json_string_value(json_object_get(object, key));

    out[0] = '\0';
    if (text)
        snprintf(out, size, "%s", text);
}

void
failure_parse(long status, struct bytes body, struct failure *out)
{
    json_t *json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *error = json_object_get(json, "error");

    *out = (struct failure){.status = status};
    copy_member(error, "code", out->code, sizeof out->code);
    copy_member(error, "message", out->message, sizeof out->message);
    copy_member(error, "phase", out->phase, sizeof out->phase);
    copy_member(error, "retry", out->retry, sizeof out->retry);
    copy_member(error, "request_id", out->request_id, sizeof out->request_id);
    json_decref(json);
}

bool
failure_may_move_on(const struct failure *failure, bool change)
{
    if (failure->status != 503 && failure->status != 507)
        return false;
    if (strcmp(failure->retry, "safe") == 0)
        return true;
    return !change &&
           (strcmp(failure->code, "no_quorum") == 0 || strcmp(failure->code, "not_ready") == 0 ||
            strcmp(failure->code, "busy") == 0);
}

bool
failure_is_unknown(const struct failure *failure, bool change)
{
    if (!change || failure->status < 500)
        return false;
    return strcmp(failure->retry, "safe") != 0 && strcmp(failure->retry, "no") != 0;
}

int
failure_exit_status(const struct failure *failure, bool change)
{
    const struct rule *rule = find_rule(failure->code);

    if (failure_is_unknown(failure, change))
        return EXIT_UNKNOWN;
    if (rule && rule->status)
        return rule->status;
    switch (failure->status) {
    case 401:
    case 403: return EXIT_UNAUTHORIZED;
    case 409: return EXIT_CONFLICT;
    case 429:
    case 503: return EXIT_UNAVAILABLE;
    default: return EXIT_FAILED;
    }
}

void
failure_report(const struct failure *failure, bool change, const char *method, const char *target)
{
    const struct rule *rule = find_rule(failure->code);
    const struct hint *special = find_hint(failure->code, method, target);
    const char *hint = special ? special->hint : rule ? rule->hint : NULL;
    const char *message = special && special->message ? special->message : failure->message;
    bool unknown = failure_is_unknown(failure, change);

    if (!failure->code[0])
        output_error("the server answered with HTTP status %ld and nothing that explains it",
                     failure->status);
    else
        output_error("%s (%s)", message[0] ? message : "refused", failure->code);
    if (unknown)
        output_hint("the outcome is unknown: the change may have been made or may still be; %s "
                    "before you try again",
                    failure_look(target));
    else if (hint)
        output_hint("%s", hint);
    else if (!failure->code[0])
        output_hint("check that the address is one of an Ostraka node");
    if (failure->status >= 500 && failure->request_id[0])
        output_hint("request %s in the nodes' logs tells more", failure->request_id);
}

/* The codes of details in words; others speak for themselves. */
static const char *
detail_text(const char *code)
{
    if (strcmp(code, "already_exists") == 0)
        return "exists already";
    if (strcmp(code, "not_found") == 0)
        return "there is no such secret or version";
    for (int fault = DOTENV_GOOD; fault < DOTENV_FAULTS; fault++) {
        if (strcmp(code, dotenv_fault_name((enum dotenv_fault)fault)) == 0)
            return dotenv_fault_text((enum dotenv_fault)fault);
    }
    return code;
}

static void
report_detail(const json_t *detail)
{
    json_int_t line = json_integer_value(json_object_get(detail, "line"));
    const char *name = json_string_value(json_object_get(detail, "name"));
    const char *code = json_string_value(json_object_get(detail, "code"));

    fputs("  ", stderr);
    if (line > 0)
        fprintf(stderr, "line %" JSON_INTEGER_FORMAT ": ", line);
    if (name && *name) {
        output_text(stderr, COLOUR_NONE, name);
        fputs(": ", stderr);
    }
    output_text(stderr, COLOUR_NONE, detail_text(code ? code : ""));
    fputc('\n', stderr);
}

void
failure_report_details(struct bytes body)
{
    json_t *json = json_loadb((const char *)body.data, body.size, JSON_REJECT_DUPLICATES, NULL);
    const json_t *details = json_object_get(json_object_get(json, "error"), "details");

    for (size_t i = 0; i < json_array_size(details); i++)
        report_detail(json_array_get(details, i));
    json_decref(json);
}
