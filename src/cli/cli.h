/*
 * The command line: one table of commands with their help, exit statuses, and what commands share.
 */
#ifndef OSTRAKA_CLI_CLI_H
#define OSTRAKA_CLI_CLI_H

#include <stddef.h>

#include "base/err.h"
#include "base/exit_status.h"

/* Whether a command that succeeded has changed what is kept, in a vault or on this machine. */
enum command_effect { READS, CHANGES };

/* One entry of the tables of commands, cli/commands.h. */
struct command {
    const char *path;                  /* words after "ostraka", separated by one space */
    const char *summary;               /* one line, for the overview */
    const char *help;                  /* usage, arguments, options, examples */
    int (*run)(int argc, char **argv); /* NULL: the command line itself answers */
    enum command_effect effect;
};
/* All of them in the order of the overview, from 0 on; NULL behind the last. */
const struct command *cli_command(size_t number);
extern const char cli_general_help[]; /* environment and exit statuses, after the overview */

/* Finds the command and runs it; argv[0] of the command is its last word. */
int cli_run(int argc, char **argv);

/*
 * Says on standard error what is wrong with the command line and where its help is; `command` is
 * the path of the table, NULL for none. Returns EXIT_USAGE.
 */
int cli_usage_error(const char *command, const char *format, ...)
    __attribute__((format(printf, 2, 3)));
/*
 * The candidate that `word` is most probably a misspelling of, or NULL when none is near.
 */
const char *cli_nearest(const char *word, const char *const candidates[], size_t count);

/* cli/cluster_create.c */
int command_cluster_create(int argc, char **argv);
int command_cluster_renew(int argc, char **argv);
/* cli/server_command.c: `ostraka server --config FILE --node NAME [--check] [--supervise]` */
int command_server(int argc, char **argv);
/* cli/dev.c: `ostraka dev [--nodes N] [--base-port P] [--dir DIR]` */
int command_dev(int argc, char **argv);
/* cli/secret_*.c */
int command_secret_create(int argc, char **argv);
int command_secret_update(int argc, char **argv);
int command_secret_get(int argc, char **argv);
int command_secret_history(int argc, char **argv);
int command_secret_list(int argc, char **argv);
int command_secret_tree(int argc, char **argv);
int command_secret_copy(int argc, char **argv);
int command_secret_import(int argc, char **argv);
int command_secret_export(int argc, char **argv);
int command_secret_move(int argc, char **argv);
int command_secret_delete(int argc, char **argv);
int command_secret_edit(int argc, char **argv);
int command_secret_diff(int argc, char **argv);
int command_versions_delete(int argc, char **argv);
int command_versions_undelete(int argc, char **argv);
int command_versions_destroy(int argc, char **argv);
int command_metadata_get(int argc, char **argv);
int command_metadata_set(int argc, char **argv);
/* cli/env_command.c */
int command_env_encrypt(int argc, char **argv);
int command_env_expand(int argc, char **argv);
int command_env_check(int argc, char **argv);
/* cli/run_command.c */
int command_run(int argc, char **argv);
/* cli/completion_command.c */
int command_completion(int argc, char **argv);
/* cli/bench_command.c */
int command_bench(int argc, char **argv);
/* cli/auth_command.c */
int command_tenant_create(int argc, char **argv);
int command_tenant_limit(int argc, char **argv);
int command_tenant_list(int argc, char **argv);
int command_tenant_show(int argc, char **argv);
int command_tenant_delete(int argc, char **argv);
int command_policy_put(int argc, char **argv);
int command_policy_get(int argc, char **argv);
int command_policy_list(int argc, char **argv);
int command_policy_delete(int argc, char **argv);
int command_identity_create(int argc, char **argv);
int command_identity_change(int argc, char **argv);
int command_identity_disable(int argc, char **argv);
int command_identity_enable(int argc, char **argv);
int command_identity_list(int argc, char **argv);
int command_identity_show(int argc, char **argv);
int command_identity_delete(int argc, char **argv);
int command_token_create(int argc, char **argv);
int command_token_show(int argc, char **argv);
int command_token_renew(int argc, char **argv);
int command_token_revoke(int argc, char **argv);
/* cli/role_command.c */
int command_role_create(int argc, char **argv);
int command_role_list(int argc, char **argv);
int command_role_get(int argc, char **argv);
int command_role_delete(int argc, char **argv);
int command_role_issue(int argc, char **argv);
int command_role_revoke(int argc, char **argv);
/* cli/trust_command.c */
int command_issuer_put(int argc, char **argv);
int command_issuer_list(int argc, char **argv);
int command_issuer_get(int argc, char **argv);
int command_issuer_delete(int argc, char **argv);
int command_authority_put(int argc, char **argv);
int command_authority_get(int argc, char **argv);
int command_authority_revoke(int argc, char **argv);
int command_authority_delete(int argc, char **argv);
int command_crl_put(int argc, char **argv);
int command_crl_get(int argc, char **argv);
int command_crl_delete(int argc, char **argv);
/* cli/login_command.c */
int command_login_approle(int argc, char **argv);
int command_login_jwt(int argc, char **argv);
int command_login_cert(int argc, char **argv);
int command_logout(int argc, char **argv);
/* cli/policy_command.c */
int command_policy_test(int argc, char **argv);
int command_policy_show(int argc, char **argv);
/* cli/audit_command.c, cli/audit_verify.c */
int command_audit_search(int argc, char **argv);
int command_audit_export(int argc, char **argv);
int command_audit_verify(int argc, char **argv);
/* cli/status_command.c */
int command_status(int argc, char **argv);

#endif
