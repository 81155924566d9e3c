/*
 * Recorded histories, as ostraka-judge reads them: any text is either refused with a sentence, or
 * judged.
 */
#include <stdlib.h>

#include "base/bytes.h"
#include "check/history.h"
#include "fuzz.h"

/* The report is about paths of the history, and nothing reads it here. */
static void
judge(struct history *history)
{
    FILE *report = fopen("/dev/null", "w");
    struct judgement judgement;

    if (!report)
        abort();
    history_judge(history, report, &judgement);
    if (judgement.contradicted + judgement.undecided > judgement.paths)
        abort();
    (void)fclose(report);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct history history;
    char why[200];
    FILE *in = size > 0 ? fmemopen((void *)(uintptr_t)data, size, "r") : NULL;

    if (!in)
        return 0;
    if (history_read(in, &history, why))
        judge(&history);
    else if (why[0] == '\0')
        abort();
    history_close(&history);
    (void)fclose(in);
    return 0;
}
