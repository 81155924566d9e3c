/* Exit statuses of the program, for its server and its commands alike. */
#ifndef OSTRAKA_BASE_EXIT_STATUS_H
#define OSTRAKA_BASE_EXIT_STATUS_H

/* Documented in the man page and in `ostraka --help`. */
enum exit_status {
    EXIT_OK = 0,
    EXIT_FAILED = 1,         /* the request was refused or failed; nothing happened */
    EXIT_USAGE = 2,          /* wrong command, option or argument */
    EXIT_NOT_FOUND = 3,      /* no such secret or version */
    EXIT_CONFLICT = 4,       /* exists already, or another version than expected, or contended */
    EXIT_UNAUTHORIZED = 5,   /* token missing, not valid, or not allowed */
    EXIT_UNAVAILABLE = 6,    /* no node reachable, no quorum: nothing happened, try again */
    EXIT_UNKNOWN = 7,        /* the outcome of a change is unknown */
    EXIT_STORAGE = 70,       /* server: the storage engine failed; start it again */
    EXIT_CONFIGURATION = 78, /* configuration, key or certificate not usable (EX_CONFIG) */
};

#endif
