#include "sim/trace.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "sim/memory.h"

void
trace_init(struct trace *trace, bool verbose)
{
    *trace = (struct trace){.hash = UINT64_C(0xcbf29ce484222325), .verbose = verbose};
    trace->lines = sim_alloc(TRACE_LINES * sizeof(trace->lines[0]));
}

void
trace_close(struct trace *trace)
{
    free(trace->lines);
    trace->lines = NULL;
}

void
trace_number(struct trace *trace, uint64_t number)
{
    uint64_t h = (trace->hash ^ number) * UINT64_C(0x9e3779b97f4a7c15);
    trace->hash = h ^ (h >> 29);
}

void
trace_bytes(struct trace *trace, struct bytes bytes)
{
    size_t i = 0;
    trace_number(trace, bytes.size);
    for (; i + 8 <= bytes.size; i += 8) {
        uint64_t word = 0;
        for (unsigned b = 0; b < 8; b++)
            word |= (uint64_t)bytes.data[i + b] << (8 * b);
        trace_number(trace, word);
    }
    for (; i < bytes.size; i++)
        trace_number(trace, bytes.data[i]);
}

void
trace_line(struct trace *trace, uint64_t now_ns, const char *format, ...)
{
    char *line = trace->lines[trace->count++ % TRACE_LINES];
    va_list args;
    int used = snprintf(line, TRACE_LINE_BYTES, "%8lu.%06lu ms  ",
                        (unsigned long)(now_ns / 1000000), (unsigned long)(now_ns % 1000000));
    va_start(args, format);
    /* NOLINTNEXTLINE: a format of ours */
    vsnprintf(line + used, TRACE_LINE_BYTES - (size_t)used, format, args);
    va_end(args);
    trace_bytes(trace, bytes_of_text(line));
    if (trace->verbose)
        printf("%s\n", line);
}

void
trace_print_last(const struct trace *trace, unsigned lines)
{
    uint64_t from = trace->count > lines ? trace->count - lines : 0;
    if (trace->count - from > TRACE_LINES)
        from = trace->count - TRACE_LINES;
    for (uint64_t i = from; i < trace->count; i++)
        fprintf(stderr, "  %s\n", trace->lines[i % TRACE_LINES]);
}
