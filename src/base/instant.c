/*
 * RFC 3339 in both directions, with the civil calendar done in integers.
 */
#include "base/instant.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

enum {
    YEAR_MIN = 1970,
    YEAR_MAX = 9999,
    DAYS_BEFORE_1970 = 719162, /* from 0001-01-01 to 1970-01-01 */
    MINUTES_PER_DAY = 24 * 60,
};

#define MS_PER_DAY UINT64_C(86400000)
/* 9999-12-31T23:59:59.999Z, the last moment that four digits of year can say. */
#define WALL_MS_MAX UINT64_C(253402300799999)

static bool
leap_year(unsigned year)
{
    return (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
}

static unsigned
days_in_month(unsigned year, unsigned month)
{
    static const uint8_t days[12] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};

    assert(month >= 1 && month <= 12);
    return month == 2 && leap_year(year) ? 29 : days[month - 1];
}

/* Days from 1970-01-01 to the first of January of `year`. */
static unsigned
days_to_year(unsigned year)
{
    unsigned before = year - 1;

    return before * 365 + before / 4 - before / 100 + before / 400 - DAYS_BEFORE_1970;
}

static char *
put_digits(char *at, unsigned count, unsigned number)
{
    for (unsigned i = count; i-- > 0; number /= 10)
        at[i] = (char)('0' + number % 10);
    return at + count;
}

static char *
put_pair(char *at, unsigned number, char after)
{
    at = put_digits(at, 2, number);
    *at = after;
    return at + 1;
}

void
rfc3339_format(uint64_t wall_ms, char out[static RFC3339_BYTES])
{
    uint64_t shown = wall_ms < WALL_MS_MAX ? wall_ms : WALL_MS_MAX;
    unsigned days = (unsigned)(shown / MS_PER_DAY);
    unsigned ms = (unsigned)(shown % MS_PER_DAY);
    unsigned year = YEAR_MIN + days / 366; /* never too late; a few steps at most too early */
    unsigned month = 1;

    while (year < YEAR_MAX && days_to_year(year + 1) <= days)
        year++;
    days -= days_to_year(year);
    while (days >= days_in_month(year, month))
        days -= days_in_month(year, month++);

    char *at = put_digits(out, 4, year);
    *at = '-';
    at = put_pair(at + 1, month, '-');
    at = put_pair(at, days + 1, 'T');
    at = put_pair(at, ms / 3600000, ':');
    at = put_pair(at, ms / 60000 % 60, ':');
    at = put_pair(at, ms / 1000 % 60, '.');
    at = put_digits(at, 3, ms % 1000);
    memcpy(at, "Z", 2);
}

/* What is left of the text, and whether all before it was right. */
struct scan {
    const uint8_t *at;
    const uint8_t *end;
    bool ok;
};

static unsigned
scan_digits(struct scan *s, unsigned count)
{
    unsigned value = 0;

    if ((size_t)(s->end - s->at) < count)
        s->ok = false;
    for (unsigned i = 0; s->ok && i < count; i++) {
        if (s->at[i] < '0' || s->at[i] > '9')
            s->ok = false;
        else
            value = value * 10 + (unsigned)(s->at[i] - '0');
    }
    if (!s->ok)
        return 0;
    s->at += count;
    return value;
}

static unsigned
scan_digits_within(struct scan *s, unsigned count, unsigned min, unsigned max)
{
    unsigned value = scan_digits(s, count);

    if (value < min || value > max)
        s->ok = false;
    return value;
}

static void
scan_char(struct scan *s, char expected)
{
    if (!s->ok || s->at == s->end || *s->at != (uint8_t)expected)
        s->ok = false;
    else
        s->at++;
}

static bool
scan_next_is(const struct scan *s, char expected)
{
    return s->ok && s->at < s->end && *s->at == (uint8_t)expected;
}

/* An optional fraction of one to nine digits, cut to milliseconds. */
static unsigned
scan_fraction_ms(struct scan *s)
{
    unsigned ms = 0;
    unsigned digits = 0;

    if (!scan_next_is(s, '.'))
        return 0;
    s->at++;
    for (; s->at < s->end && *s->at >= '0' && *s->at <= '9'; s->at++, digits++) {
        if (digits < 3)
            ms = ms * 10 + (unsigned)(*s->at - '0');
    }
    if (digits == 0 || digits > 9)
        s->ok = false;
    for (; digits < 3; digits++)
        ms *= 10;
    return ms;
}

/* Minutes that local time is ahead of UTC. */
static int
scan_offset_minutes(struct scan *s)
{
    bool behind = scan_next_is(s, '-');
    unsigned hours, minutes;

    if (scan_next_is(s, 'Z')) {
        s->at++;
        return 0;
    }
    scan_char(s, behind ? '-' : '+');
    hours = scan_digits_within(s, 2, 0, 23);
    scan_char(s, ':');
    minutes = scan_digits_within(s, 2, 0, 59);
    return behind ? -(int)(hours * 60 + minutes) : (int)(hours * 60 + minutes);
}

static unsigned
scan_date_days(struct scan *s)
{
    unsigned year, month, day, days;

    year = scan_digits_within(s, 4, YEAR_MIN, YEAR_MAX);
    scan_char(s, '-');
    month = scan_digits_within(s, 2, 1, 12);
    scan_char(s, '-');
    if (!s->ok)
        return 0;
    day = scan_digits_within(s, 2, 1, days_in_month(year, month));
    days = days_to_year(year) + day - 1;
    for (unsigned m = 1; m < month; m++)
        days += days_in_month(year, m);
    return days;
}

enum vault_err
rfc3339_parse(struct bytes text, uint64_t *wall_ms)
{
    struct scan s = {.at = text.data, .end = text.data, .ok = true};
    int64_t minutes; /* from 1970; negative when the offset leads before it */
    unsigned seconds, ms;

    *wall_ms = 0;
    if (text.size == 0)
        return ERR_MALFORMED;
    s.end += text.size;
    minutes = (int64_t)scan_date_days(&s) * MINUTES_PER_DAY;
    scan_char(&s, 'T');
    minutes += scan_digits_within(&s, 2, 0, 23) * 60;
    scan_char(&s, ':');
    minutes += scan_digits_within(&s, 2, 0, 59);
    scan_char(&s, ':');
    seconds = scan_digits_within(&s, 2, 0, 59);
    ms = scan_fraction_ms(&s);
    minutes -= scan_offset_minutes(&s);

    if (!s.ok || s.at != s.end || minutes < 0)
        return ERR_MALFORMED;
    if ((uint64_t)minutes * 60000 > WALL_MS_MAX)
        return ERR_MALFORMED;
    *wall_ms = (uint64_t)minutes * 60000 + seconds * 1000 + ms;
    return OK;
}
