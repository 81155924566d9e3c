/* Commands on secrets, their versions and metadata, and on .env texts. */
#include "cli/commands.h"

#define VALUE_HELP                                                                                 \
    "VALUE is one of:\n"                                                                           \
    "  TEXT    the value itself; other users of this machine may see it in the list of "           \
    "processes,\n"                                                                                 \
    "          and the shell may keep it in its history\n"                                         \
    "  -       standard input, every byte of it; on a terminal it is asked for and not shown\n"    \
    "  @FILE   the content of a file, every byte of it\n"                                          \
    "A value is at most 1 MiB, and any bytes are allowed. Give a value that begins with '@' or\n"  \
    "is '-' by standard input, and one that begins with '-' after '--'.\n"

const struct command commands_secret[] = {
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
        "  pwgen 32 1 | tr -d '\\n' | ostraka secret create db/password -\n"
        "  ostraka secret create tls/server.key @server.key\n",
        command_secret_create,
        CHANGES,
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
        CHANGES,
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
        "  --output FILE       write the value to FILE, mode 0600, whole or not at all; \"-\" is\n"
        "                      standard output\n"
        "  --json              print the whole answer as JSON\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  PGPASSWORD=$(ostraka secret get db/password) psql\n"
        "  ostraka secret get tls/server.key --output server.key\n",
        command_secret_get,
        READS,
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
        READS,
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
        READS,
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
        READS,
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
        "  --idempotency-key K  of a run that broke off: goes on with it, as it says itself\n"
        "  --json              print the counts as JSON\n" CONNECTION_HELP,
        command_secret_copy,
        CHANGES,
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
        "  --skip-existing     with -r: the same, leaving out those whose copy exists: these stay\n"
        "                      where they are\n"
        "  --idempotency-key K  of a run that broke off: goes on with it, as it says itself;\n"
        "                      one of your own choice lets you go on even if the program is\n"
        "                      killed, with --one-by-one where there are more than 256\n"
        "  --json              print the counts as JSON\n" CONNECTION_HELP,
        command_secret_move,
        CHANGES,
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
        "how far it has come is in FILE.ostraka-import, without names or values. With other\n"
        "values, or into another tenant or cluster, it does not go on.\n"
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
        CHANGES,
    },
    {
        "secret export",
        "print all secrets below a prefix",
        "Usage: ostraka secret export [PREFIX] [options]\n"
        "\n"
        "Prints the current values of the secrets whose names begin with PREFIX. As dotenv each\n"
        "is a variable: its name behind the prefix, in upper case, with '_' for what no variable\n"
        "has. A secret whose current version is deleted is told and left out, and the exit status\n"
        "is 3.\n"
        "\n"
        "Options:\n"
        "  --format dotenv|json  (default: dotenv)\n"
        "  --output FILE       write it there, mode 0600, whole or not at all; \"-\" is standard\n"
        "                      output\n" CONNECTION_HELP,
        command_secret_export,
        READS,
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
        CHANGES,
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
        READS,
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
        CHANGES,
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
        CHANGES,
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
        CHANGES,
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
        READS,
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
        "  --expires-at TIME   the secret is deleted then; RFC 3339, and not in the past\n"
        "  --expires-in S      the same, in seconds from now\n"
        "  --no-expiry         it does not expire\n"
        "  --expected-version N  only if the current version is N\n"
        "  --json              print the answer as JSON\n" CONNECTION_HELP,
        command_metadata_set,
        CHANGES,
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
        CHANGES,
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
        "of the names exists, say, no secret is stored and the file stays as it is. When it is\n"
        "not known what became of it (7), the same command goes on; a random key for that is in\n"
        "FILE.ostraka-encrypt until the file is written.\n"
        "\n"
        "Options:\n"
        "  --prefix P          put before the names of variables\n"
        "  --output FILE|-     write the result there (default: in place)\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka env encrypt .env --prefix myapp/\n",
        command_env_encrypt,
        CHANGES,
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
        "  --output FILE       write the result there, mode 0600, whole or not at "
        "all\n" CONNECTION_HELP,
        command_env_expand,
        READS,
    },
    {
        "env check",
        "check a .env file without changing anything",
        "Usage: ostraka env check FILE|- [options]\n"
        "\n"
        "Says what `ostraka env encrypt` or `ostraka run` would refuse: secret() and enc() that\n"
        "are not of a known form, references to secrets that are not there, new secrets that are\n"
        "there already (as far as the token may see them). Warns of lines that are passed over.\n"
        "\n"
        "Options:\n"
        "  --prefix P          as for `ostraka env encrypt`\n"
        "  --offline           look at the file only\n"
        "  --encrypted         fail, too, when a value is marked and not stored "
        "yet\n" CONNECTION_HELP "\n"
        "Examples:\n"
        "  ostraka env check .env --offline --encrypted    # before a commit\n",
        command_env_check,
        READS,
    },
    {NULL, NULL, NULL, NULL, READS},
};
