/*
 * ostraka-judge: is a recorded history of real processes one that a correct vault could have made?
 */
#include <stdio.h>
#include <string.h>

#include "check/history.h"

static int
usage(void)
{
    fprintf(stderr, "usage: ostraka-judge FILE|-\n"
                    "Judges a history, one JSON object for each operation and line "
                    "(docs/reliability.md).\n"
                    "exit status: 0 it can have happened, 1 it cannot, 2 usage or not a history, "
                    "3 undecided\n");
    return JUDGE_USAGE;
}

static void
print_judgement(const struct history *history, const struct judgement *j)
{
    printf("%zu operations on %zu paths: %zu paths contradicted, %zu undecided\n", history->count,
           j->paths, j->contradicted, j->undecided);
    for (int kind = REQUEST_CREATE; kind <= REQUEST_DELETION; kind++) {
        printf("  %-8s", request_kind_name((enum request_kind)kind));
        for (int outcome = 0; outcome < RECORDED_OUTCOMES; outcome++)
            printf(" %8zu %s", j->by_kind[kind][outcome],
                   recorded_outcome_name((enum recorded_outcome)outcome));
        printf("\n");
    }
}

int
main(int argc, char **argv)
{
    struct history history;
    struct judgement judgement;
    char why[200];
    if (argc != 2 || (argv[1][0] == '-' && argv[1][1] != 0))
        return usage();
    FILE *in = strcmp(argv[1], "-") == 0 ? stdin : fopen(argv[1], "r");
    if (!in) {
        perror(argv[1]);
        return JUDGE_USAGE;
    }
    enum judge_end end = JUDGE_USAGE;
    if (history_read(in, &history, why)) {
        history_judge(&history, stdout, &judgement);
        print_judgement(&history, &judgement);
        end = judgement_end(&judgement);
    } else {
        fprintf(stderr, "%s: %s\n", argv[1], why);
    }
    history_close(&history);
    if (in != stdin)
        (void)fclose(in);
    return (int)end;
}
