#include "runtime/stop_signals.h"

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>

static bool
hangup_is_ignored(void)
{
    struct sigaction action;
    return sigaction(SIGHUP, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

unsigned
stop_signals(int out[static STOP_SIGNALS_MAX])
{
    unsigned count = 0;
    out[count++] = SIGTERM;
    out[count++] = SIGINT;
    if (!hangup_is_ignored())
        out[count++] = SIGHUP;
    return count;
}
