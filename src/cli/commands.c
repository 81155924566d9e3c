/*
 * The table of commands with their help. It is data only; cli.c finds and runs what it names.
 */
#include "cli/cli.h"

#define CONNECTION_HELP                                                                            \
    "\nConnection:\n"                                                                              \
    "  --addr LIST         addresses of nodes, comma-separated; the next one is tried when one\n"  \
    "                      is down (default: $OSTRAKA_ADDR, else https://127.0.0.1:7401)\n"        \
    "  --cacert FILE       certificate of the cluster's CA (default: $OSTRAKA_CACERT, else the\n"  \
    "                      system's)\n"                                                            \
    "  --token-file FILE   file with the access token (default: $OSTRAKA_TOKEN, else the file\n"   \
    "                      that $OSTRAKA_TOKEN_FILE names, else that of the last login)\n"         \
    "  --tenant NAME       tenant to act in (default: $OSTRAKA_TENANT, else the token's own)\n"

#define LOGIN_HELP                                                                                 \
    "  --token-file FILE   store the token there (default: a file for this cluster in the\n"       \
    "                      user's configuration folder, which commands find by themselves)\n"      \
    "  --no-store          store it nowhere, and print the answer with the token as JSON\n"        \
    "  --token-only        store it nowhere, and print nothing but the token\n"                    \
    "  --json              print the answer as JSON; the token is in it with --no-store alone\n"   \
    "\nConnection:\n"                                                                              \
    "  --addr LIST         addresses of nodes, comma-separated; the next one is tried when one\n"  \
    "                      is down (default: $OSTRAKA_ADDR, else https://127.0.0.1:7401)\n"        \
    "  --cacert FILE       certificate of the cluster's CA (default: $OSTRAKA_CACERT, else the\n"  \
    "                      system's)\n"                                                            \
    "  --tenant NAME       tenant to log in to (default: $OSTRAKA_TENANT, else \"default\")\n"

#define VALUE_HELP                                                                                 \
    "VALUE is one of:\n"                                                                           \
    "  TEXT    the value itself; other users of this machine may see it in the list of "           \
    "processes,\n"                                                                                 \
    "          and the shell may keep it in its history\n"                                         \
    "  -       standard input, every byte of it; on a terminal it is asked for and not shown\n"    \
    "  @FILE   the content of a file, every byte of it\n"                                          \
    "A value is at most 1 MiB, and any bytes are allowed. Give a value that begins with '@' or\n"  \
    "is '-' by standard input, and one that begins with '-' after '--'.\n"

const struct command cli_commands[] = {
    {
        "secret create",
        "store a new secret",
        "Usage: ostraka secret create NAME VALUE|-|@FILE [options]\n"
        "\n"
        "Stores a new secret as its version 1. Fails when a secret of that name exists.\n"
        "\n" VALUE_HELP "\n"
        "Options:\n"
        "  --base64            VALUE is base64 of the value\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka secret create db/password -          # asks for it, without showing it\n"
        "  pwgen 32 1 | ostraka secret create db/password -\n"
        "  ostraka secret create tls/server.key @server.key\n",
        command_secret_create,
    },
    {
        "secret update",
        "store a new version of a secret",
        "Usage: ostraka secret update NAME VALUE|-|@FILE [options]\n"
        "\n"
        "Stores a new version of a secret that exists. Earlier versions stay readable.\n"
        "\n" VALUE_HELP "\n"
        "Options:\n"
        "  --expected-version N  only if the current version is N, so that a change made by\n"
        "                      somebody else in the meantime is not overwritten unseen\n"
        "  --base64            VALUE is base64 of the value\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka secret update db/password - --expected-version 3\n",
        command_secret_update,
    },
    {
        "secret get",
        "print a secret's value",
        "Usage: ostraka secret get NAME [options]\n"
        "\n"
        "Prints the value and nothing else; a newline is added only on a terminal.\n"
        "\n"
        "Options:\n"
        "  --version N         that version instead of the current one\n"
        "  --at TIME           the version that was current at TIME, in RFC 3339:\n"
        "                      2026-01-31T12:00:00Z\n"
        "  --stale             accept a value that may be out of date, where fewer nodes answer\n"
        "                      than are needed to be sure\n"
        "  --output FILE       write the value to FILE, mode 0600 if it is new\n"
        "  --json              print the whole answer as JSON\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  PGPASSWORD=$(ostraka secret get db/password) psql\n"
        "  ostraka secret get tls/server.key --output server.key\n",
        command_secret_get,
    },
    {
        "secret history",
        "list the versions of a secret",
        "Usage: ostraka secret history NAME [options]\n"
        "\n"
        "Lists the versions, newest first, without their values.\n"
        "\n"
        "Options:\n"
        "  --limit N           at most the N newest versions (default: all)\n"
        "  --json              print the versions as JSON\n" CONNECTION_HELP,
        command_secret_history,
    },
    {
        "secret list",
        "list the names of secrets",
        "Usage: ostraka secret list [PREFIX] [options]\n"
        "\n"
        "Prints the names that begin with PREFIX, one a line, in the order of their bytes. A\n"
        "prefix need not end at a '/'. Values are not read.\n"
        "\n"
        "Options:\n"
        "  --json              print the names as JSON\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka secret list myapp/\n",
        command_secret_list,
    },
    {
        "secret tree",
        "show the names of secrets as a tree",
        "Usage: ostraka secret tree [PREFIX] [options]\n"
        "\n"
        "Prints the names that begin with PREFIX, part by part.\n"
        "\n"
        "Options:\n"
        "  --json              print the names as JSON, as a list\n" CONNECTION_HELP,
        command_secret_tree,
    },
    {
        "secret copy",
        "copy a secret, or all below a name",
        "Usage: ostraka secret copy FROM TO [options]\n"
        "\n"
        "Copies the current value to a new secret TO, inside the vault. Nothing is overwritten.\n"
        "Up to 256 secrets with 1 MiB of values in all are copied all or none, as they were at\n"
        "one moment; more go one after the other.\n"
        "\n"
        "Options:\n"
        "  -r, --recursive     all secrets below FROM/, to the same names below TO/\n"
        "  --one-by-one        with -r: one after the other, not all or nothing\n"
        "  --skip-existing     with -r: the same, leaving out those whose copy exists\n"
        "  --json              print the counts as JSON\n" CONNECTION_HELP,
        command_secret_copy,
    },
    {
        "secret move",
        "move a secret, or all below a name",
        "Usage: ostraka secret move FROM TO [options]\n"
        "\n"
        "Copies as `ostraka secret copy` does, and then deletes what was copied, with its earlier\n"
        "versions. A secret that was changed in between is copied and stays.\n"
        "\n"
        "Options:\n"
        "  -r, --recursive     all secrets below FROM/, to the same names below TO/\n"
        "  --one-by-one        with -r: one after the other, not all or nothing\n"
        "  --skip-existing     with -r: the same, leaving out those whose copy exists\n"
        "  --json              print the counts as JSON\n" CONNECTION_HELP,
        command_secret_move,
    },
    {
        "secret import",
        "store the secrets of a file",
        "Usage: ostraka secret import --from dotenv|json|vault-kv FILE|- [options]\n"
        "\n"
        "Stores every value of the file as a new secret:\n"
        "  dotenv    NAME=value\n"
        "  json      {\"a\": {\"b\": \"value\"}} as a/b, or what `ostraka secret export` wrote\n"
        "  vault-kv  what `vault kv get -format=json` prints\n"
        "256 at a time are stored all or none. Where it breaks off, the same command goes on:\n"
        "how far it has come is in FILE.ostraka-import, without names or values.\n"
        "\n"
        "Options:\n"
        "  --from FORMAT       what the file is\n"
        "  --prefix P          put before every name\n"
        "  --dry-run           only say what would be created, and what exists\n"
        "  --skip-existing     leave out what exists\n"
        "  --state FILE        keep there how far it has come\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka secret import --from dotenv prod.env --prefix myapp/\n",
        command_secret_import,
    },
    {
        "secret export",
        "print all secrets below a prefix",
        "Usage: ostraka secret export [PREFIX] [options]\n"
        "\n"
        "Prints the current values of the secrets whose names begin with PREFIX. As dotenv each\n"
        "is a variable: its name behind the prefix, in upper case, with '_' for what no variable\n"
        "has.\n"
        "\n"
        "Options:\n"
        "  --format dotenv|json  (default: dotenv)\n"
        "  --output FILE       write it there, mode 0600 if it is new\n" CONNECTION_HELP,
        command_secret_export,
    },
    {
        "secret edit",
        "change a secret's value in an editor",
        "Usage: ostraka secret edit NAME [options]\n"
        "\n"
        "Opens the current value in $VISUAL or $EDITOR (else vi) and stores what it became as a\n"
        "new version, unless somebody else has changed the secret meanwhile. The value is in a\n"
        "file of memory-backed storage while it is edited, and is overwritten there afterwards.\n"
        "A newline that the editor adds at the end of a value without one is not stored.\n"
        "\n"
        "Options:\n" CONNECTION_HELP,
        command_secret_edit,
    },
    {
        "secret diff",
        "compare two versions of a secret",
        "Usage: ostraka secret diff NAME VERSION VERSION [options]\n"
        "\n"
        "Says how many lines of the two versions differ, and nothing of their values.\n"
        "\n"
        "Options:\n"
        "  --show-values       print the lines that differ\n" CONNECTION_HELP,
        command_secret_diff,
    },
    {
        "versions delete",
        "make single versions unreadable",
        "Usage: ostraka versions delete NAME VERSION... [options]\n"
        "\n"
        "The versions cannot be read any more. `ostraka versions undelete` brings them back.\n"
        "\n"
        "Options:\n"
        "  --expected-version N  only if the current version is N\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_versions_delete,
    },
    {
        "versions undelete",
        "make deleted versions readable again",
        "Usage: ostraka versions undelete NAME VERSION... [options]\n"
        "\n"
        "Brings back what `ostraka versions delete` made unreadable.\n"
        "\n"
        "Options:\n"
        "  --expected-version N  only if the current version is N\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_versions_undelete,
    },
    {
        "versions destroy",
        "erase single versions for good",
        "Usage: ostraka versions destroy NAME VERSION... [options]\n"
        "\n"
        "Erases the versions, for good and without asking; the history goes on naming them. It is\n"
        "done once so many nodes have erased their share that the others cannot put them together\n"
        "again.\n"
        "\n"
        "Options:\n"
        "  --expected-version N  only if the current version is N\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_versions_destroy,
    },
    {
        "metadata get",
        "show what is kept about a secret",
        "Usage: ostraka metadata get NAME [options]\n"
        "\n"
        "Shows which versions are kept, when the secret expires, and its metadata.\n"
        "\n"
        "Options:\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_metadata_get,
    },
    {
        "metadata set",
        "change what is kept about a secret",
        "Usage: ostraka metadata set NAME [options]\n"
        "\n"
        "Changes what is named and nothing else. Metadata is no secret and is not kept as one.\n"
        "\n"
        "Options:\n"
        "  --set KEY=VALUE     may be given several times\n"
        "  --remove KEY        may be given several times\n"
        "  --max-versions N    keep the N newest versions, at most 64; others are erased\n"
        "  --default-max-versions  keep as many as for a new secret: 64\n"
        "  --expires-at TIME   nothing is there from then on; RFC 3339\n"
        "  --expires-in S      the same, in seconds from now\n"
        "  --no-expiry         it does not expire\n"
        "  --expected-version N  only if the current version is N\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_metadata_set,
    },
    {
        "secret delete",
        "delete a secret with all its versions",
        "Usage: ostraka secret delete NAME [options]\n"
        "\n"
        "Deletes the secret with all its versions, for good and without asking. It is done once\n"
        "so many nodes have erased their share that the others cannot put it together again.\n"
        "\n"
        "Options:\n"
        "  --yes               accepted for scripts; nothing is asked without it either\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_secret_delete,
    },
    {
        "env encrypt",
        "store the new secrets of a .env file",
        "Usage: ostraka env encrypt FILE|- [options]\n"
        "\n"
        "Stores what the file marks with enc() as new secrets and puts references in its place:\n"
        "  NAME=enc(\"value\")    becomes NAME=secret(PREFIXNAME)\n"
        "  NAME=enc(OTHER)       becomes NAME=secret(OTHER), and so does OTHER=value\n"
        "References that are there already are checked. All of it is done or nothing: when one\n"
        "of the names exists, say, no secret is stored and the file stays as it is.\n"
        "\n"
        "Options:\n"
        "  --prefix P          put before the names of variables\n"
        "  --output FILE|-     write the result there (default: in place)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka env encrypt .env --prefix myapp/\n",
        command_env_encrypt,
    },
    {
        "env expand",
        "print a .env file with the values of its references",
        "Usage: ostraka env expand FILE|- [options]\n"
        "\n"
        "Prints the file with values in place of secret(NAME) and secret(NAME@VERSION), quoted\n"
        "so that other readers of .env files see just those values. `ostraka run` gives them to\n"
        "a program without writing them anywhere.\n"
        "\n"
        "Options:\n"
        "  --output FILE       write the result there, mode 0600 if it is new\n" CONNECTION_HELP,
        command_env_expand,
    },
    {
        "env check",
        "check a .env file without changing anything",
        "Usage: ostraka env check FILE|- [options]\n"
        "\n"
        "Says what `ostraka env encrypt` or `ostraka run` would refuse: lines that are not of a\n"
        "known form, and references to secrets that are not there.\n"
        "\n"
        "Options:\n"
        "  --prefix P          as for `ostraka env encrypt`\n"
        "  --offline           look at the file only\n" CONNECTION_HELP,
        command_env_check,
    },
    {
        "policy test",
        "say what policy files allow",
        "Usage: ostraka policy test FILE... --operation OP --name NAME [options]\n"
        "\n"
        "Says whether somebody who has the policies of these files may do that, and which rule\n"
        "decides. The files are read as they are; no node is asked. Exit status 0: allowed,\n"
        "5: denied.\n"
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
    },
    {
        "policy show",
        "show the rules of policy files",
        "Usage: ostraka policy show FILE... [--matrix]\n"
        "\n"
        "Prints the rules of the files, or what they come to.\n"
        "\n"
        "Options:\n"
        "  --matrix            a line for each pattern, the most specific first, with what is\n"
        "                      allowed for names for which it decides: yes, if (under the\n"
        "                      conditions of a rule), deny, or - for no\n",
        command_policy_show,
    },
    {
        "tenant create",
        "make a tenant",
        "Usage: ostraka tenant create NAME [options]\n"
        "\n"
        "Makes a tenant: names of secrets, policies and identities of their own. For operators.\n"
        "\n"
        "Options:\n"
        "  --secrets N         secrets; N is a number, or none\n"
        "  --versions N        versions kept of a secret\n"
        "  --value-bytes N     bytes of a value\n"
        "  --requests-per-second N  at one node\n"
        "  --expires-after N   seconds until a new secret expires\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka tenant create team-a --value-bytes 65536\n",
        command_tenant_create,
    },
    {
        "tenant limit",
        "change the limits of a tenant",
        "Usage: ostraka tenant limit NAME [options]\n"
        "\n"
        "Changes the limits that are given, and leaves the others.\n"
        "\n"
        "Options:\n"
        "  --secrets N         secrets; N is a number, or none\n"
        "  --versions N        versions kept of a secret\n"
        "  --value-bytes N     bytes of a value\n"
        "  --requests-per-second N  at one node\n"
        "  --expires-after N   seconds until a new secret expires\n" CONNECTION_HELP,
        command_tenant_limit,
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
    },
    {
        "tenant show",
        "show a tenant",
        "Usage: ostraka tenant show NAME [options]\n"
        "\n"
        "Prints the tenant as JSON.\n" CONNECTION_HELP,
        command_tenant_show,
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
    },
    {
        "policy put",
        "store a policy",
        "Usage: ostraka policy put NAME FILE|- [options]\n"
        "\n"
        "Stores the policy of a file, in the form that `ostraka policy test` takes, or replaces\n"
        "the rules of the one that is there. It counts at every node when this returns.\n"
        "\n"
        "Options:\n"
        "  --expected-version N  only if the current version is N\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka policy put readers readers.json\n",
        command_policy_put,
    },
    {
        "policy get",
        "print a stored policy",
        "Usage: ostraka policy get NAME [options]\n"
        "\n"
        "Prints a policy of the tenant as JSON.\n" CONNECTION_HELP,
        command_policy_get,
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
    },
    {
        "identity disable",
        "end all tokens of an identity",
        "Usage: ostraka identity disable ID [options]\n"
        "\n"
        "No node takes a token of it any more when this returns.\n" CONNECTION_HELP,
        command_identity_disable,
    },
    {
        "identity enable",
        "let an identity in again",
        "Usage: ostraka identity enable ID [options]\n"
        "\n"
        "Its tokens that have not ended or been revoked are valid again.\n" CONNECTION_HELP,
        command_identity_enable,
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
    },
    {
        "identity show",
        "show an identity",
        "Usage: ostraka identity show ID [options]\n"
        "\n"
        "Prints the identity as JSON.\n" CONNECTION_HELP,
        command_identity_show,
    },
    {
        "identity delete",
        "delete an identity",
        "Usage: ostraka identity delete ID [options]\n"
        "\n"
        "Deletes an identity, which ends its tokens.\n" CONNECTION_HELP,
        command_identity_delete,
    },
    {
        "token create",
        "make a token",
        "Usage: ostraka token create [options]\n"
        "\n"
        "Makes a token for an identity, or one more for oneself, and prints it as JSON: the only\n"
        "time that it is shown. It ends with the token that it was made with.\n"
        "\n"
        "Options:\n"
        "  --identity ID       whom it is for (operators)\n"
        "  --ttl SECONDS       how long it is valid (default: 3600)\n"
        "  --uses N            for so many requests, whatever becomes of them\n"
        "  --renewable         its end can be put off\n"
        "  --policy NAME       a policy; several times for several\n"
        "                      and only what these allow as well\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka token create --identity ID --ttl 86400 | jq -r .token\n",
        command_token_create,
    },
    {
        "token show",
        "show the own token",
        "Usage: ostraka token show [options]\n"
        "\n"
        "Prints what the nodes know of the token that this program uses. Of the bootstrap token\n"
        "they know nothing but that it is theirs.\n" CONNECTION_HELP,
        command_token_show,
    },
    {
        "token renew",
        "put the end of the own token off",
        "Usage: ostraka token renew [options]\n"
        "\n"
        "Makes the token valid for its whole time again.\n" CONNECTION_HELP,
        command_token_renew,
    },
    {
        "token revoke",
        "revoke a token",
        "Usage: ostraka token revoke [ACCESSOR] [options]\n"
        "\n"
        "Revokes the token of that accessor, or without one that which this program uses, and\n"
        "all that were made with it.\n" CONNECTION_HELP,
        command_token_revoke,
    },
    {
        "login approle",
        "log in as a machine, with a role id and a secret id",
        "Usage: ostraka login approle --role-id ID [-|@FILE] [options]\n"
        "\n"
        "Gets a token and stores it for the commands that follow. The secret id comes from the\n"
        "file, or else from $OSTRAKA_SECRET_ID, or else from standard input; on a terminal it is\n"
        "asked for and not shown. It is never an argument.\n"
        "\n"
        "Options:\n"
        "  --role-id ID        which role (default: $OSTRAKA_ROLE_ID)\n" LOGIN_HELP "\n"
        "Examples:\n"
        "  ostraka login approle --role-id \"$ROLE\" @/run/secrets/secret-id\n"
        "  export OSTRAKA_TOKEN=$(ostraka login approle --token-only @secret-id)\n",
        command_login_approle,
    },
    {
        "login jwt",
        "log in with a JSON web token",
        "Usage: ostraka login jwt [-|@FILE] [options]\n"
        "\n"
        "Gets a token and stores it for the commands that follow; it ends no later than the JSON\n"
        "web token. That one comes from the file, or else from $OSTRAKA_JWT, or else from "
        "standard\n"
        "input; on a terminal it is asked for and not shown. It is never an argument.\n"
        "\n"
        "Options:\n" LOGIN_HELP "\n"
        "Examples:\n"
        "  ostraka login jwt --tenant ci @id-token\n",
        command_login_jwt,
    },
    {
        "login cert",
        "log in with a client certificate",
        "Usage: ostraka login cert --certificate FILE --key FILE [options]\n"
        "\n"
        "Gets a token and stores it for the commands that follow. The key signs a statement that\n"
        "is good for a minute, for one cluster and tenant, and stays on this machine. Files are "
        "in\n"
        "PEM; keys are P-256, Ed25519 or RSA, and not encrypted.\n"
        "\n"
        "Options:\n"
        "  --certificate FILE  the certificate (default: $OSTRAKA_CLIENT_CERTIFICATE)\n"
        "  --key FILE          its private key (default: $OSTRAKA_CLIENT_KEY)\n"
        "  --cluster-id ID     cluster_id of cluster.conf (default: $OSTRAKA_CLUSTER_ID, else "
        "what\n"
        "                      the CA says, if `ostraka cluster create` made it)\n" LOGIN_HELP "\n"
        "Examples:\n"
        "  ostraka login cert --certificate device.crt --key device.key\n",
        command_login_cert,
    },
    {
        "logout",
        "revoke the token of the last login, and forget it",
        "Usage: ostraka logout [options]\n"
        "\n"
        "Revokes the token that `ostraka login` has stored for this cluster, and removes its "
        "file.\n"
        "Tokens of the environment stay as they are. When no node can be reached the file stays.\n"
        "\n"
        "Options:\n"
        "  --local             remove the file without revoking the token, which then is good\n"
        "                      until it ends\n"
        "  --token-file FILE   the token of that file, which is removed\n"
        "  --addr LIST         addresses of nodes, as for other commands\n"
        "  --cacert FILE       certificate of the cluster's CA, as for other commands\n"
        "  --tenant NAME       tenant to act in, as for other commands\n",
        command_logout,
    },
    {
        "audit search",
        "look for records in the audit trails of all nodes",
        "Usage: ostraka audit search [options]\n"
        "\n"
        "Prints a line for each record: time, node, kind, operation, identity, name, outcome and\n"
        "request id, the oldest first. Whoever searches stands in the trail, too.\n"
        "\n"
        "Options:\n"
        "  --from TIME         not before TIME, in RFC 3339: 2026-01-31T12:00:00Z\n"
        "  --to TIME           before TIME\n"
        "  --identity ID       of that caller: admin, or the id of an identity\n"
        "  --name NAME         of the secret of that name\n"
        "  --request-id ID     of the request of that id, on all nodes\n"
        "  --limit N           at most the N oldest of them (default: all)\n"
        "  --json              print the records as JSON, one a line, with all that they "
        "have\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka audit search --name db/password --from 2026-01-31T00:00:00Z\n",
        command_audit_search,
    },
    {
        "audit export",
        "write audit trails to a file",
        "Usage: ostraka audit export [options]\n"
        "\n"
        "Writes the whole trail of one node with what is needed to prove it, for `ostraka audit\n"
        "verify`; or the records of all nodes, for other programs.\n"
        "\n"
        "Options:\n"
        "  --format FORMAT     proof: the trail of one node, whole; json: records as JSON, one a\n"
        "                      line; syslog: records as RFC 5424 has it (default: proof)\n"
        "  --node NAME         proof: of that node (default: the one that answers)\n"
        "  --output FILE       a new file, mode 0600 (default: standard output)\n"
        "  --from TIME         not before TIME, in RFC 3339: 2026-01-31T12:00:00Z\n"
        "  --to TIME           before TIME\n"
        "  --identity ID       of that caller: admin, or the id of an identity\n"
        "  --name NAME         of the secret of that name\n"
        "  --request-id ID     of the request of that id, on all nodes\n"
        "  --limit N           at most the N oldest of them (default: all)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka audit export --node n1 --output n1.audit\n"
        "  ostraka audit export --format syslog --from 2026-01-31T00:00:00Z\n",
        command_audit_export,
    },
    {
        "audit verify",
        "judge exported audit trails",
        "Usage: ostraka audit verify FILE... --certificate FILE... [options]\n"
        "\n"
        "Says whether what was written stands in the files, all of it, in order: nothing changed,\n"
        "dropped, inserted, moved, cut off or shown in two forms. Needs no server. Several files "
        "of\n"
        "one node are parts of its trail, in their order. What came after the last head that\n"
        "another node keeps (about a second) is unanchored: counted, and not proven. Exits with\n"
        "status 1 when something is wrong, and names the first record that is not proven good.\n"
        "\n"
        "Options:\n"
        "  --certificate FILE  certificates of the nodes, node.crt; may come several times\n"
        "  --cacert FILE       certificate of the CA that signed them (default: $OSTRAKA_CACERT)\n"
        "\n"
        "Examples:\n"
        "  ostraka audit verify n1.audit --cacert ca/ca.crt --certificate n1/node.crt\n",
        command_audit_verify,
    },
    {
        "run",
        "run a program with secrets in its environment",
        "Usage: ostraka run [options] -- COMMAND [ARGUMENT...]\n"
        "\n"
        "Runs the command with the variables of .env files in its environment, values in place\n"
        "of secret(NAME). They are nowhere else: not on disk, not among its arguments. A variable\n"
        "of a file overrides the same one of the environment, and later files override earlier.\n"
        "Exit status and signals are those of the command; 127 when it is not found, 126 when\n"
        "it cannot be run. Like this program it leaves no core dumps.\n"
        "\n"
        "Options:\n"
        "  --env-file FILE     may be given several times (default: .env, but not with --prefix)\n"
        "  --prefix P          all secrets whose names begin with P, each as a variable: its name\n"
        "                      behind P in upper case, with '_' for what no variable has; files\n"
        "                      override them\n"
        "  --watch             start the command anew when a secret it got has another version\n"
        "  --signal NAME       with --watch: send it that signal instead, such as HUP\n"
        "  --interval S        with --watch: seconds between two looks (default: "
        "5)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka run -- ./server\n"
        "  ostraka run --env-file prod.env --watch -- ./server\n",
        command_run,
    },
    {
        "status",
        "show the cluster as one node sees it",
        "Usage: ostraka status [options]\n"
        "\n"
        "Shows the nodes and their links, from the first node of the address list that answers.\n"
        "Exits with status 6 when that node is not ready or sees no majority.\n"
        "\n"
        "Options:\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_status,
    },
    {
        "cluster create",
        "make the files of a new cluster",
        "Usage: ostraka cluster create --dir DIR --nodes N [options]\n"
        "       ostraka cluster create --dir DIR --node NAME=HOST[:PORT]... [options]\n"
        "\n"
        "Makes the CA, certificates, storage keys, cluster.conf and the admin token of a new\n"
        "cluster, with one folder per node. All of it is made or nothing, and nothing that\n"
        "exists is overwritten.\n"
        "\n"
        "Options:\n"
        "  --dir DIR           where to; it must not exist yet\n"
        "  --nodes N           N nodes n1..nN on this machine, at most 9\n"
        "  --node NAME=HOST[:PORT]  a node at that address, once for each node; PORT is for\n"
        "                      clients, PORT+100 for the other nodes\n"
        "  --shares N          shares of each secret, at most 7 (default: one for each node)\n"
        "  --threshold K       shares needed to put a value together, 2 to a majority\n"
        "                      (default: a majority)\n"
        "  --base-port P       node i listens on P+i for clients and P+100+i for the other\n"
        "                      nodes, unless its PORT is given (default: 7400)\n"
        "  --seal none|file    with file, every node also needs the same master key, in\n"
        "                      master.key (default: none)\n"
        "\n"
        "Examples:\n"
        "  ostraka cluster create --nodes 3 --dir ./cluster\n"
        "  ostraka cluster create --dir ./prod --node a=10.0.0.1 --node b=10.0.0.2 \\\n"
        "      --node c=10.0.0.3\n",
        command_cluster_create,
    },
    {
        "server",
        "run one node",
        "Usage: ostraka server --config FILE --node NAME [options]\n"
        "\n"
        "Runs the node called NAME of the cluster that FILE describes, until SIGTERM or SIGINT.\n"
        "\n"
        "Options:\n"
        "  --config FILE       cluster.conf\n"
        "  --node NAME         which of its nodes this is\n"
        "  --check             read and check the configuration, then exit\n"
        "  --supervise         run the node in a child process and start it again, after a\n"
        "                      growing delay, whenever it fails; for machines where neither\n"
        "                      systemd nor a container does that\n",
        command_server,
    },
    {
        "dev",
        "run a throw-away cluster for development",
        "Usage: ostraka dev [options]\n"
        "\n"
        "Makes a cluster and runs all its nodes in the foreground; Ctrl-C ends it.\n"
        "\n"
        "Options:\n"
        "  --nodes N           number of nodes (default: 3)\n"
        "  --base-port P       as for `ostraka cluster create` (default: 7400)\n"
        "  --dir DIR           keep the files there, and use those that are there already\n"
        "                      (default: a temporary folder, removed at the end)\n",
        command_dev,
    },
    {
        "bench",
        "load a cluster and measure it",
        "Usage: ostraka bench create|update|read|mixed|env [options]\n"
        "\n"
        "Sends requests to all the addresses given and shows rate and latencies:\n"
        "  create   new secrets        update   new versions of the names, drawn evenly\n"
        "  read     the latest value   mixed    nine reads, one create\n"
        "  env      a .env text with ten references is expanded\n"
        "Names that are loaded are created first, and stay: delete them by their prefix. Exits\n"
        "with status 1 when a request failed.\n"
        "\n"
        "Options:\n"
        "  --connections N     requests under way at most (default: 64)\n"
        "  --duration S        seconds that are counted, after one of warming up (default: 10)\n"
        "  --rate R            open loop: R requests per second are due whatever the answers do,\n"
        "                      and waiting counts (default: closed loop, as fast as it goes)\n"
        "  --requests N        end after N requests, if that is sooner\n"
        "  --names N           how many to update and to read: few are hot (default: 1000)\n"
        "  --hot N             nine requests of ten are of the first N of them (default: all "
        "alike)\n"
        "  --value-size N      bytes of a value (default: 100)\n"
        "  --prefix P          of all names (default: bench/)\n"
        "  --no-prepare        the names are there already\n"
        "  --no-warm-up        count from the first request\n"
        "  --api ostraka|etcd  etcd: speak to the JSON gateway of etcd instead, to compare\n"
        "  --json              print the result as JSON, with the histogram\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka bench create --connections 64\n"
        "  ostraka bench read --names 100000 --rate 5000 --duration 60 --json\n",
        command_bench,
    },
    {
        "completion",
        "print what a shell needs to complete commands",
        "Usage: ostraka completion bash|zsh\n"
        "\n"
        "Prints a script that makes the shell complete commands, options, files, and names of "
        "secrets,\n"
        "for which it asks a node as any command does.\n"
        "\n"
        "Examples:\n"
        "  source <(ostraka completion bash)            # in ~/.bashrc\n"
        "  source <(ostraka completion zsh)             # in ~/.zshrc, after compinit\n",
        command_completion,
    },
    {
        "version",
        "print the version of this program",
        "Usage: ostraka version\n",
        NULL,
    },
    {
        "help",
        "explain a command",
        "Usage: ostraka help [COMMAND...]\n"
        "\n"
        "The same as `ostraka COMMAND --help`.\n",
        NULL,
    },
};
const size_t cli_command_count = sizeof cli_commands / sizeof cli_commands[0];

const char cli_general_help[] =
    "Environment:\n"
    "  OSTRAKA_ADDR        addresses of nodes, comma-separated: https://HOST:PORT\n"
    "  OSTRAKA_CACERT      file with the certificate of the cluster's CA\n"
    "  OSTRAKA_TOKEN       access token\n"
    "  OSTRAKA_TOKEN_FILE  file with the access token\n"
    "                      (without these two: what `ostraka login` has stored)\n"
    "  OSTRAKA_TENANT      tenant to act in\n"
    "  OSTRAKA_ROLE_ID, OSTRAKA_SECRET_ID, OSTRAKA_JWT, OSTRAKA_CLIENT_CERTIFICATE,\n"
    "  OSTRAKA_CLIENT_KEY, OSTRAKA_CLUSTER_ID\n"
    "                      what `ostraka login` logs in with\n"
    "  NO_COLOR            set to anything: no colours on a terminal\n"
    "\n"
    "Exit status:\n"
    "  0   success\n"
    "  1   refused or failed; nothing was changed\n"
    "  2   wrong command, option or argument\n"
    "  3   no such secret or version\n"
    "  4   conflict: exists already, not the expected version, or too many writers\n"
    "  5   token missing, not valid, or not allowed to do this\n"
    "  6   no node or no majority of nodes answers; nothing was changed, try again\n"
    "  7   the outcome of a change is unknown; read before trying again\n"
    "  70  server: the storage engine failed; start it again\n"
    "  78  configuration, key or certificate not usable\n";
