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
     "check the name; `ostraka secret create NAME -` stores a new secret"},
    {"already_exists", EXIT_CONFLICT, "`ostraka secret update NAME -` stores a new version"},
    {"version_mismatch", EXIT_CONFLICT,
     "somebody else changed it; look at `ostraka secret history NAME`, then decide again"},
    {"idempotency_key_reused", EXIT_FAILED, "a key belongs to one request: use a new one"},
    {"contended", EXIT_CONFLICT, "nothing was changed; try again in a moment"},
    {"unauthenticated", EXIT_UNAUTHORIZED,
     "log in again, or check the token in $OSTRAKA_TOKEN or in the file that $OSTRAKA_TOKEN_FILE "
     "names"},
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

/* What is not about secrets has other hints; NULL: none. The first that fits counts. */
static const struct {
    const char *target, *code, *hint;
} hints[] = {
    {"/v1/tokens/self", "not_found",
     "the nodes keep no record of this token: the bootstrap token has none and does not end, and a "
     "JSON web token says itself when it ends"},
    {"/v1/auth/approle:login", "unauthenticated",
     "check the role id, the secret id and the tenant; which of them is wrong is not told"},
    {"/v1/auth/jwt:login", "unauthenticated",
     "check the token's issuer, audience, times and claims, and the tenant; what is wrong is not "
     "told"},
    {"/v1/auth/cert:login", "unauthenticated",
     "check the certificate, the clock of this machine, the cluster and the tenant; what is wrong "
     "is not told"},
    {"/v1/tokens", "not_found", "check the id or accessor, and the tenant"},
    {"/v1/identities", "not_found", "check the id, and the tenant"},
    {"/v1/policies", "not_found", "check the name, and the tenant"},
    {"/v1/policies", "version_mismatch",
     "somebody else changed it; look at `ostraka policy get NAME`, then decide again"},
    {"/v1/auth/issuers", "not_found", "check the id, and the tenant"},
    {"/v1/auth/roles", "not_found", "check the ids, and the tenant"},
    {"/v1/auth/ca/crl", "not_found",
     "the tenant has no authority (`ostraka authority put FILE`), or that has no list"},
    {"/v1/auth/ca", "not_found", "check the tenant; `ostraka authority put FILE` gives it one"},
    {"/v1/auth/ca/crl", "version_mismatch", "`ostraka crl get` shows the list that is there"},
    {"/v1/auth/", "version_mismatch", "somebody else changed it; look at it, then decide again"},
    {"/v1/tenants", "not_found", "check the name; none but operators see tenants"},
    {"/v1/tenants", "already_exists", NULL},
    {"/v1/audit", "not_found", "none but auditors see the trail: their identity has that policy"},
    {"/v1/audit/export", "no_such_resource", "there is no node of that name: see `ostraka status`"},
    {"/v1/audit/export", "not_ready",
     "the node whose trail that is, or the one that was asked, is away or starting: see `ostraka "
     "status`"},
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

/* The rule's, or what is said of this target instead of it. */
static const char *
find_hint(const struct rule *rule, const char *target)
{
    for (size_t i = 0; i < sizeof hints / sizeof hints[0]; i++) {
        if (strcmp(rule->code, hints[i].code) == 0 &&
            strncmp(target, hints[i].target, strlen(hints[i].target)) == 0)
            return hints[i].hint;
    }
    return rule->hint;
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
failure_report(const struct failure *failure, bool change, const char *target)
{
    const struct rule *rule = find_rule(failure->code);
    const char *hint = rule ? find_hint(rule, target) : NULL;
    bool unknown = failure_is_unknown(failure, change);

    if (!failure->code[0])
        output_error("the server answered with HTTP status %ld and nothing that explains it",
                     failure->status);
    else
        output_error("%s (%s)", failure->message[0] ? failure->message : "refused", failure->code);
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
