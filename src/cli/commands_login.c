/* Commands that say who may log in and how, and that log in and out. */
#include "cli/commands.h"

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

const struct command commands_login[] = {
    {
        "role create",
        "make a role that machines log in with",
        "Usage: ostraka role create --identity ID [options]\n"
        "\n"
        "Makes a role: who logs in with its id and one of its secret ids is that identity.\n"
        "`ostraka role issue` makes secret ids.\n"
        "\n"
        "Options:\n"
        "  --identity ID       whom it logs in\n"
        "  --ttl SECONDS       how long the token of a login is valid (default: "
        "3600)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka role create --identity ID --ttl 600\n",
        command_role_create,
        CHANGES,
    },
    {
        "role list",
        "list the roles",
        "Usage: ostraka role list [options]\n"
        "\n"
        "Lists the roles of the tenant by id.\n"
        "\n"
        "Options:\n"
        "  --json              print the list as JSON\n" CONNECTION_HELP,
        command_role_list,
        READS,
    },
    {
        "role get",
        "print a role",
        "Usage: ostraka role get ID [options]\n"
        "\n"
        "Prints a role as JSON, with the accessors of its secret ids.\n" CONNECTION_HELP,
        command_role_get,
        READS,
    },
    {
        "role delete",
        "delete a role",
        "Usage: ostraka role delete ID [options]\n"
        "\n"
        "Deletes a role. Nobody logs in with it any more when this returns; tokens of logins\n"
        "before are valid until they end.\n" CONNECTION_HELP,
        command_role_delete,
        CHANGES,
    },
    {
        "role issue",
        "make a secret id for a role",
        "Usage: ostraka role issue ID [options]\n"
        "\n"
        "Makes one more secret id, four at most, and prints it as JSON: the only time that it is\n"
        "shown. `ostraka login approle` logs in with it and the role's id.\n"
        "\n"
        "Options:\n"
        "  --ttl SECONDS       how long it is good for logins (default: until it is "
        "revoked)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  (umask 077; ostraka role issue ID | jq -r .secret_id > secret-id)\n",
        command_role_issue,
        CHANGES,
    },
    {
        "role revoke",
        "revoke a secret id of a role",
        "Usage: ostraka role revoke ID ACCESSOR [options]\n"
        "\n"
        "Revokes the secret id of that accessor. Nobody logs in with it any more when this\n"
        "returns.\n" CONNECTION_HELP,
        command_role_revoke,
        CHANGES,
    },
    {
        "issuer put",
        "trust an issuer of JSON web tokens",
        "Usage: ostraka issuer put FILE|- [options]\n"
        "\n"
        "Stores the issuer that a file describes, as JSON, or replaces the one of that name:\n"
        "{\"issuer\": \"...\", \"audiences\": [...], \"ttl_max\": SECONDS, \"jwks\": {\"keys\": "
        "[...]},\n"
        " \"roles\": [{\"claim\": \"...\", \"value\": \"...\", \"policies\": [...]}]}\n"
        "\n"
        "Options:\n"
        "  --jwks FILE         its keys, as it publishes them, for `jwks`\n"
        "  --expected-version N  only if the current version is N\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka issuer put ci.json --jwks jwks.json\n",
        command_issuer_put,
        CHANGES,
    },
    {
        "issuer list",
        "list the issuers",
        "Usage: ostraka issuer list [options]\n"
        "\n"
        "Lists the issuers that the tenant trusts.\n"
        "\n"
        "Options:\n"
        "  --json              print the list as JSON\n" CONNECTION_HELP,
        command_issuer_list,
        READS,
    },
    {
        "issuer get",
        "print an issuer",
        "Usage: ostraka issuer get ID [options]\n"
        "\n"
        "Prints an issuer as JSON. Its id is in `ostraka issuer list`.\n" CONNECTION_HELP,
        command_issuer_get,
        READS,
    },
    {
        "issuer delete",
        "trust an issuer no more",
        "Usage: ostraka issuer delete ID [options]\n"
        "\n"
        "Deletes an issuer. No node takes its JSON web tokens any more when this "
        "returns.\n" CONNECTION_HELP,
        command_issuer_delete,
        CHANGES,
    },
    {
        "authority put",
        "trust an authority of certificates",
        "Usage: ostraka authority put FILE|- [options]\n"
        "\n"
        "Makes the authority of a file, a certificate in PEM, the one whose client certificates\n"
        "are good for logins. Serial numbers that are revoked stay revoked.\n"
        "\n"
        "Options:\n"
        "  --none-revoked      forget which serial numbers are revoked\n"
        "  --expected-version N  only if the current version is N\n" CONNECTION_HELP,
        command_authority_put,
        CHANGES,
    },
    {
        "authority get",
        "print the authority of certificates",
        "Usage: ostraka authority get [options]\n"
        "\n"
        "Prints the authority as JSON, with the serial numbers that are revoked.\n" CONNECTION_HELP,
        command_authority_get,
        READS,
    },
    {
        "authority revoke",
        "revoke client certificates",
        "Usage: ostraka authority revoke SERIAL... [options]\n"
        "\n"
        "Adds serial numbers, in hex as `openssl x509 -serial` shows them, to those that are\n"
        "revoked: nobody logs in with them any more when this returns. There may be 256; a list\n"
        "that the authority signs itself has room for more, `ostraka crl put`.\n" CONNECTION_HELP,
        command_authority_revoke,
        CHANGES,
    },
    {
        "authority delete",
        "trust no authority any more",
        "Usage: ostraka authority delete [options]\n"
        "\n"
        "Deletes the authority. Nobody logs in with a certificate any more when this "
        "returns.\n" CONNECTION_HELP,
        command_authority_delete,
        CHANGES,
    },
    {
        "crl put",
        "store a list of revoked certificates",
        "Usage: ostraka crl put FILE|- [options]\n"
        "\n"
        "Stores the list that the tenant's authority has signed, in PEM. Put the next one well\n"
        "before it is due: from then on nobody logs in with a certificate.\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  openssl ca -gencrl -config ca.conf | ostraka crl put -\n",
        command_crl_put,
        CHANGES,
    },
    {
        "crl get",
        "show the list of revoked certificates",
        "Usage: ostraka crl get [options]\n"
        "\n"
        "Prints number and times of the list, and how many certificates are on it, as "
        "JSON.\n" CONNECTION_HELP,
        command_crl_get,
        READS,
    },
    {
        "crl delete",
        "delete the list of revoked ones",
        "Usage: ostraka crl delete [options]\n"
        "\n"
        "Deletes the list: certificates that only it revoked are good again.\n" CONNECTION_HELP,
        command_crl_delete,
        CHANGES,
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
        CHANGES,
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
        CHANGES,
    },
    {
        "login cert",
        "log in with a client certificate",
        "Usage: ostraka login cert --certificate FILE --key FILE [options]\n"
        "\n"
        "Gets a token and stores it for the commands that follow. The key signs a statement that\n"
        "is good for a minute, for one cluster and tenant, and stays on this machine. Files are "
        "in\n"
        "PEM; keys are P-256, Ed25519 or RSA, and not encrypted. The certificate names the\n"
        "identity by the URI urn:uuid:ID.\n"
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
        CHANGES,
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
        CHANGES,
    },
    {NULL, NULL, NULL, NULL, READS},
};
