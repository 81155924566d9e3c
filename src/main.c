/*
 * The one program: hardens the process before anything secret is in it, then hands over to the
 * command line.
 */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

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

/*
 * A standard descriptor that is closed is taken by the next file or socket, and what is printed goes
 * in there. It is opened so that its use fails instead, as that of a closed one does.
 */
static bool
hold_standard_descriptors(void)
{
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++) {
        if (fcntl(fd, F_GETFD) == -1 &&
            open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    }
    return true;
}

int
main(int argc, char **argv)
{
    if (!hold_standard_descriptors())
        return EXIT_FAILED; /* with nowhere to say so */
    forbid_dumps();
    if (crypto_init() != OK) {
        fputs("error: the system gives no randomness\n", stderr);
        return EXIT_FAILED;
    }
    return cli_run(argc, argv);
}
