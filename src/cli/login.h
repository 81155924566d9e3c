/* What the commands by which a user logs in share. */
#ifndef OSTRAKA_CLI_LOGIN_H
#define OSTRAKA_CLI_LOGIN_H

#include "base/bytes.h"
#include "cli/connection.h"

/* Files and names that a login with a certificate needs; borrowed. */
struct login_certificate {
    const char *certificate, *key; /* PEM */
    const char *cluster_id;        /* 32 hexadecimal digits, or NULL: that of the CA */
};

/*
 * Appends the statement that logs in now (auth/statement.h), signed with the certificate's key, for
 * the tenant and cluster of the options. Returns EXIT_OK, or another exit status having said why.
 */
int login_statement_make(const struct login_certificate *login,
                         const struct client_options *options, struct buf *out);

#endif
