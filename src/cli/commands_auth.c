/* Commands on policies, tenants, identities and tokens. */
#include "cli/commands.h"

const struct command commands_auth[] = {
    {
        "policy test",
        "say what policy files allow",
        "Usage: ostraka policy test FILE|-... --operation OP --name NAME [options]\n"
        "\n"
        "Says whether somebody who has the policies of these files may do that, and which rule\n"
        "decides. The files are read as they are, and may be what `ostraka policy get` prints; no\n"
        "node is asked. Exit status 0: allowed, 5: denied.\n"
        "\n"
        "Options:\n"
        "  --operation OP      create, read, update, delete, list or history\n"
        "  --name NAME         of the secret\n"
        "  --address ADDRESS   where the caller comes from (default: from where it may)\n"
        "  --time HH:MM        time of day in UTC (default: when it may)\n"
        "  --no-expected-version  the change does not say which version it expects\n"
        "  --json              print the answer as JSON\n"
        "\n"
        "Examples:\n"
        "  ostraka policy test readers.json --operation read --name db/password\n"
        "  ostraka policy test a.json b.json --operation delete --name x --address 10.0.0.7\n",
        command_policy_test,
        READS,
    },
    {
        "policy show",
        "show the rules of policy files",
        "Usage: ostraka policy show FILE|-... [--matrix]\n"
        "\n"
        "Prints the rules of the files, or what they come to.\n"
        "\n"
        "Options:\n"
        "  --matrix            a line for each pattern, the most specific first, with what is\n"
        "                      allowed for names for which it decides: yes, if (under the\n"
        "                      conditions of a rule), deny, or - for no\n",
        command_policy_show,
        READS,
    },
    {
        "tenant create",
        "make a tenant",
        "Usage: ostraka tenant create NAME [options]\n"
        "\n"
        "Makes a tenant: names of secrets, policies and identities of their own. For operators.\n"
        "\n"
        "Options:\n"
        "  --secrets N         at most N secrets\n"
        "  --versions N        new secrets keep at most N versions\n"
        "  --value-bytes N     a value has at most N bytes\n"
        "  --requests-per-second N  at each node\n"
        "  --expires-after N   new secrets expire N seconds after they were created\n"
        "                      (none in place of N takes a limit away)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka tenant create team-a --value-bytes 65536\n",
        command_tenant_create,
        CHANGES,
    },
    {
        "tenant limit",
        "change the limits of a tenant",
        "Usage: ostraka tenant limit NAME [options]\n"
        "\n"
        "Changes the limits that are given, and leaves the others.\n"
        "\n"
        "Options:\n"
        "  --secrets N         at most N secrets\n"
        "  --versions N        new secrets keep at most N versions\n"
        "  --value-bytes N     a value has at most N bytes\n"
        "  --requests-per-second N  at each node\n"
        "  --expires-after N   new secrets expire N seconds after they were created\n"
        "                      (none in place of N takes a limit away)\n" CONNECTION_HELP,
        command_tenant_limit,
        CHANGES,
    },
    {
        "tenant list",
        "list the tenants",
        "Usage: ostraka tenant list [options]\n"
        "\n"
        "Lists the tenants by name. For operators.\n"
        "\n"
        "Options:\n"
        "  --json              print the list as JSON\n" CONNECTION_HELP,
        command_tenant_list,
        READS,
    },
    {
        "tenant show",
        "show a tenant",
        "Usage: ostraka tenant show NAME [options]\n"
        "\n"
        "Prints the tenant as JSON.\n" CONNECTION_HELP,
        command_tenant_show,
        READS,
    },
    {
        "tenant delete",
        "delete a tenant",
        "Usage: ostraka tenant delete NAME [options]\n"
        "\n"
        "Deletes a tenant that has no secrets, policies, identities, roles or issuers left.\n"
        "\n"
        "Options:\n"
        "  --purge             delete all that is in it first; what broke off may be done "
        "again\n" CONNECTION_HELP,
        command_tenant_delete,
        CHANGES,
    },
    {
        "policy put",
        "store a policy",
        "Usage: ostraka policy put NAME FILE|- [options]\n"
        "\n"
        "Stores the policy of a file, in the form that `ostraka policy test` takes, or replaces\n"
        "the rules of the one that is there. It counts at every node when this returns. What\n"
        "`ostraka policy get NAME` printed is taken, too, and replaces that version alone.\n"
        "\n"
        "Options:\n"
        "  --expected-version N  only if the current version is N\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka policy put readers readers.json\n",
        command_policy_put,
        CHANGES,
    },
    {
        "policy get",
        "print a stored policy",
        "Usage: ostraka policy get NAME [options]\n"
        "\n"
        "Prints a policy of the tenant as JSON.\n" CONNECTION_HELP,
        command_policy_get,
        READS,
    },
    {
        "policy list",
        "list the stored policies",
        "Usage: ostraka policy list [options]\n"
        "\n"
        "Lists the policies of the tenant by name.\n"
        "\n"
        "Options:\n"
        "  --json              print the list as JSON\n" CONNECTION_HELP,
        command_policy_list,
        READS,
    },
    {
        "policy delete",
        "delete a stored policy",
        "Usage: ostraka policy delete NAME [options]\n"
        "\n"
        "Deletes a policy of the tenant. Identities that name it keep the name.\n"
        "\n"
        "Options:\n"
        "  --expected-version N  only if the current version is N\n" CONNECTION_HELP,
        command_policy_delete,
        CHANGES,
    },
    {
        "identity create",
        "make an identity",
        "Usage: ostraka identity create NAME [options]\n"
        "\n"
        "Makes an identity of the tenant: a person, a service or a device.\n"
        "\n"
        "Options:\n"
        "  --kind KIND         user, service (the default) or device\n"
        "  --policy NAME       a policy; several times for several;\n"
        "                      'operator' is the right to run the cluster\n"
        "  --act-in TENANT     another tenant that it may act in\n"
        "  --metadata KEY=VALUE  for people\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka identity create web --policy readers\n",
        command_identity_create,
        CHANGES,
    },
    {
        "identity change",
        "change an identity",
        "Usage: ostraka identity change ID [options]\n"
        "\n"
        "Replaces what is given, and leaves the rest. An empty word (--policy '') is for none.\n"
        "\n"
        "Options:\n"
        "  --name NAME         another name\n"
        "  --policy NAME       a policy; several times for several;\n"
        "                      'operator' is the right to run the cluster\n"
        "  --act-in TENANT     another tenant that it may act in\n"
        "  --metadata KEY=VALUE  for people\n" CONNECTION_HELP,
        command_identity_change,
        CHANGES,
    },
    {
        "identity disable",
        "end all tokens of an identity",
        "Usage: ostraka identity disable ID [options]\n"
        "\n"
        "No node takes a token of it any more when this returns.\n" CONNECTION_HELP,
        command_identity_disable,
        CHANGES,
    },
    {
        "identity enable",
        "let an identity in again",
        "Usage: ostraka identity enable ID [options]\n"
        "\n"
        "Its tokens that have not ended or been revoked are valid again.\n" CONNECTION_HELP,
        command_identity_enable,
        CHANGES,
    },
    {
        "identity list",
        "list the identities",
        "Usage: ostraka identity list [options]\n"
        "\n"
        "Lists the identities of the tenant by id.\n"
        "\n"
        "Options:\n"
        "  --json              print the list as JSON\n" CONNECTION_HELP,
        command_identity_list,
        READS,
    },
    {
        "identity show",
        "show an identity",
        "Usage: ostraka identity show ID [options]\n"
        "\n"
        "Prints the identity as JSON.\n" CONNECTION_HELP,
        command_identity_show,
        READS,
    },
    {
        "identity delete",
        "delete an identity",
        "Usage: ostraka identity delete ID [options]\n"
        "\n"
        "Deletes an identity, which ends its tokens.\n" CONNECTION_HELP,
        command_identity_delete,
        CHANGES,
    },
    {
        "token create",
        "make a token",
        "Usage: ostraka token create [options]\n"
        "\n"
        "Makes a token for an identity, or one more for oneself, and prints it as JSON: the only\n"
        "time that it is shown. It ends, at the latest, with the token that it was made with; the\n"
        "bootstrap token has no end.\n"
        "\n"
        "Options:\n"
        "  --identity ID       whom it is for (operators)\n"
        "  --ttl SECONDS       how long it is valid (default: 3600)\n"
        "  --uses N            for so many requests, whatever becomes of them\n"
        "  --renewable         its end can be put off\n"
        "  --policy NAME       narrow it to what this policy allows as well; may be given several\n"
        "                      times\n"
        "  --token-only        print nothing but the token\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  (umask 077; ostraka token create --identity ID --ttl 86400 --token-only > web.token)\n",
        command_token_create,
        CHANGES,
    },
    {
        "token show",
        "show the own token",
        "Usage: ostraka token show [options]\n"
        "\n"
        "Prints what the nodes know of the token that this program uses. Of the bootstrap token\n"
        "they know nothing but that it is theirs.\n" CONNECTION_HELP,
        command_token_show,
        READS,
    },
    {
        "token renew",
        "put the end of the own token off",
        "Usage: ostraka token renew [options]\n"
        "\n"
        "Makes the token valid for its whole time again.\n" CONNECTION_HELP,
        command_token_renew,
        CHANGES,
    },
    {
        "token revoke",
        "revoke a token",
        "Usage: ostraka token revoke [ACCESSOR] [options]\n"
        "\n"
        "Revokes the token of that accessor, or without one that which this program uses, and\n"
        "all that were made with it.\n" CONNECTION_HELP,
        command_token_revoke,
        CHANGES,
    },
    {NULL, NULL, NULL, NULL, READS},
};
