/* Commands that log in and out. */
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
    {NULL, NULL, NULL, NULL},
};
