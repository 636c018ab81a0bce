/* See duration.h. */
#include "cli/duration.h"

#include <stddef.h>

#define DAY UINT64_C(86400)
#define SECONDS_MAX (3653 * DAY)

/* Digits at *at, moved behind them. False: none, or too many. */
static bool take_number(const char **at, uint64_t *out)
{
    const char *begin = *at;
    *out = 0;
    while (**at >= '0' && **at <= '9' && *at - begin < 10)
        *out = *out * 10 + (uint64_t)(*(*at)++ - '0');
    return *at != begin && !(**at >= '0' && **at <= '9');
}

static bool take_letter(const char **at, char letter)
{
    if (**at != letter) return false;
    ++*at;
    return true;
}

static uint64_t unit_of(char letter)
{
    switch (letter) {
    case 's': return 1;
    case 'm': return 60;
    case 'h': return 3600;
    case 'd': return DAY;
    default: return 0;
    }
}

bool reeve_duration_parse(const char *text, uint64_t *seconds)
{
    const char *at = text;
    uint64_t first, days = 0, hours, minutes, rest;
    if (!take_number(&at, &first)) return false;
    uint64_t unit = unit_of(*at);
    if (unit > 0) {
        *seconds = first * unit;
        return at[1] == '\0' && *seconds <= SECONDS_MAX;
    }
    hours = first;
    if (take_letter(&at, '-')) {
        days = first;
        if (!take_number(&at, &hours)) return false;
    }
    if (!take_letter(&at, ':') || !take_number(&at, &minutes) || minutes > 59) return false;
    if (!take_letter(&at, ':') || !take_number(&at, &rest) || rest > 59 || *at != '\0') return false;
    *seconds = days * DAY + hours * 3600 + minutes * 60 + rest;
    return *seconds <= SECONDS_MAX;
}
