/* The signals on which a process ends in order. */
#ifndef OSTRAKA_RUNTIME_STOP_SIGNALS_H
#define OSTRAKA_RUNTIME_STOP_SIGNALS_H

enum { STOP_SIGNALS_MAX = 3 };

/*
 * SIGTERM, SIGINT and SIGHUP; but without SIGHUP where that is ignored, since under nohup a
 * terminal that is closed stops nothing. Returns how many.
 */
unsigned stop_signals(int out[static STOP_SIGNALS_MAX]);

#endif
