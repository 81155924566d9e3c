/* The commands that are about the cluster and this program, and all tables one after the other. */
#include "cli/commands.h"

static const struct command commands_cluster[] = {
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
        READS,
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
        "  --output FILE       a new file, mode 0600 (default, and \"-\": standard output)\n"
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
        READS,
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
        READS,
    },
    {
        "run",
        "run a program with secrets in its environment",
        "Usage: ostraka run [options] -- COMMAND [ARGUMENT...]\n"
        "\n"
        "Runs the command with the variables of .env files in its environment, values in place\n"
        "of secret(NAME). They are nowhere else: not on disk, not among its arguments. A variable\n"
        "of a file overrides the same one of the environment, and later files override earlier.\n"
        "OSTRAKA_TOKEN, OSTRAKA_SECRET_ID and OSTRAKA_JWT are handed on with --signal alone.\n"
        "Exit status and signals are those of the command; 127 when it is not found, 126 when\n"
        "it cannot be run. Like this program it leaves no core dumps.\n"
        "\n"
        "Options:\n"
        "  --env-file FILE     may be given several times (default: .env, but not with --prefix)\n"
        "  --prefix P          all secrets whose names begin with P, each as a variable: its name\n"
        "                      behind P in upper case, with '_' for what no variable has; files\n"
        "                      override them\n"
        "  --watch             start the command anew when a secret it got has another version\n"
        "                      (the token needs the capability history besides read)\n"
        "  --signal NAME       with --watch: send it that signal instead, such as HUP\n"
        "  --interval S        with --watch: seconds between two looks (default: "
        "5)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka run -- ./server\n"
        "  ostraka run --env-file prod.env --watch -- ./server\n",
        command_run,
        READS,
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
        READS,
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
        CHANGES,
    },
    {
        "cluster renew",
        "make new certificates for the nodes of a cluster",
        "Usage: ostraka cluster renew --dir DIR [--node NAME]... [--new-keys]\n"
        "       ostraka cluster renew --dir DIR --new-ca\n"
        "\n"
        "Makes new certificates from the cluster's CA, valid for ten years, for the names and\n"
        "addresses in DIR/cluster.conf, while the nodes run. They take them up when they are\n"
        "restarted, one after the other, in any order: each keeps its key, so the old "
        "certificates\n"
        "and the new ones go together. When less than five years of the CA's certificate are left\n"
        "it is renewed with them, with the key it has, and the old one verifies the same.\n"
        "\n"
        "Options:\n"
        "  --dir DIR           where `ostraka cluster create` made the files: cluster.conf, ca/\n"
        "                      with its key, and a folder for each node with its node.crt\n"
        "  --node NAME         for that node; may come several times (default: for all)\n"
        "  --new-keys          new private keys, too, in node.key\n"
        "  --new-ca            a new CA with a new key instead, as after a theft of ca.key, in\n"
        "                      ca/ and the folders of the nodes; the old one stays trusted, and\n"
        "                      nothing is signed yet: says what to do next\n"
        "\n"
        "Examples:\n"
        "  ostraka cluster renew --dir ./cluster\n",
        command_cluster_renew,
        CHANGES,
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
        READS,
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
        READS,
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
        "  --requests N        end after N requests, if that is sooner; counts from the first\n"
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
        READS,
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
        READS,
    },
    {
        "version",
        "print the version of this program",
        "Usage: ostraka version\n",
        NULL,
        READS,
    },
    {
        "help",
        "explain a command",
        "Usage: ostraka help [COMMAND...]\n"
        "\n"
        "The same as `ostraka COMMAND --help`.\n",
        NULL,
        READS,
    },
    {NULL, NULL, NULL, NULL, READS},
};

const struct command *
cli_command(size_t number)
{
    const struct command *const tables[] = {commands_secret, commands_auth, commands_login,
                                            commands_cluster};

    for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++) {
        for (const struct command *command = tables[i]; command->path; command++) {
            if (number-- == 0)
                return command;
        }
    }
    return NULL;
}

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
    "  7   the outcome of a change is unknown, or it was made and what there is to say of it\n"
    "      could not be written; read before trying again\n"
    "  70  server: the storage engine failed; start it again\n"
    "  78  configuration, key or certificate not usable\n";
