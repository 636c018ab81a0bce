/* The two clocks; see clock.h. */
#include "base/clock.h"

#include <stdio.h>
#include <time.h>

static int64_t read_clock(clockid_t id)
{
    struct timespec t = {0};
    (void)clock_gettime(id, &t); /* cannot fail for these two clocks */
    return (int64_t)t.tv_sec * REEVE_SECOND_NS + t.tv_nsec;
}

reeve_time_ns reeve_clock_now(void)
{
    return read_clock(CLOCK_MONOTONIC);
}

int64_t reeve_clock_wall_ns(void)
{
    return read_clock(CLOCK_REALTIME);
}

void reeve_clock_sleep(reeve_time_ns ns)
{
    if (ns <= 0) return;
    struct timespec t = {.tv_sec = ns / REEVE_SECOND_NS, .tv_nsec = ns % REEVE_SECOND_NS};
    (void)nanosleep(&t, NULL);
}

void reeve_clock_format_utc(int64_t wall_ns, char text[21])
{
    time_t seconds = (time_t)(wall_ns / REEVE_SECOND_NS);
    struct tm tm = {0};
    if (gmtime_r(&seconds, &tm) == NULL || strftime(text, 21, "%Y-%m-%dT%H:%M:%SZ", &tm) == 0)
        (void)snprintf(text, 21, "0000-00-00T00:00:00Z");
}
