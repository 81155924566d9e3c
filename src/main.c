/*
 * The one program: hardens the process before anything secret is in it, then hands over to the
 * command line.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "cli/cli.h"
#include "crypto/secret.h"

/* A core dump, or a debugger of the same user, would hold keys and values. */
static void
forbid_dumps(void)
{
    const struct rlimit none = {0, 0};

    if (setrlimit(RLIMIT_CORE, &none))
        perror("warning: core dumps cannot be switched off (setrlimit)");
    if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
        perror("warning: memory dumps cannot be switched off (prctl)");
}

int
main(int argc, char **argv)
{
    forbid_dumps();
    if (crypto_init() != OK) {
        fputs("error: the system gives no randomness\n", stderr);
        return EXIT_FAILED;
    }
    return cli_run(argc, argv);
}
