/* A hash over everything that happened, and the last events in words for whoever looks at a failure. */
#ifndef OSTRAKA_SIM_TRACE_H
#define OSTRAKA_SIM_TRACE_H

#include "base/bytes.h"

enum { TRACE_LINES = 400, TRACE_LINE_BYTES = 200 };

struct trace {
    uint64_t hash;
    bool verbose;
    uint64_t count;
    char (*lines)[TRACE_LINE_BYTES]; /* ring */
};

void trace_init(struct trace *trace, bool verbose);
void trace_close(struct trace *trace);
void trace_number(struct trace *trace, uint64_t number);
void trace_bytes(struct trace *trace, struct bytes bytes);
/* One line for people; also hashed. */
void trace_line(struct trace *trace, uint64_t now_ns, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void trace_print_last(const struct trace *trace, unsigned lines);

#endif
