/*
 * Bugs planted on purpose, to see that the simulator finds them. PLANTED(name) is a constant:
 * false, unless the build defines OSTRAKA_PLANTED_name as 1, which only scripts/planted-bugs does.
 * The compiler drops the branch from every other build.
 */
#ifndef OSTRAKA_BASE_PLANTED_H
#define OSTRAKA_BASE_PLANTED_H

#define PLANTED_SECOND(first, second, ...) second
#define PLANTED_PICK(...)                  PLANTED_SECOND(__VA_ARGS__, 0, 0)
#define PLANTED_COMMA_1                    , 1
#define PLANTED_JOIN(value)                PLANTED_PICK(PLANTED_COMMA_##value)
#define PLANTED_VALUE(value)               PLANTED_JOIN(value)
/* Defined as 1: expands to 1; not defined: to 0. */
#define PLANTED(name) PLANTED_VALUE(OSTRAKA_PLANTED_##name)

#endif
