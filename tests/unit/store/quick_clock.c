/* See quick_clock.h. */
#include "quick_clock.h"

#include <stdatomic.h>
#include <stddef.h>

#include "base/clock.h"

static _Atomic int64_t skipped_ns;
static void (*at_wake)(void *arg);
static void *at_wake_arg;

reeve_time_ns __real_reeve_clock_now(void);
reeve_time_ns __wrap_reeve_clock_now(void);
void __real_reeve_clock_sleep(reeve_time_ns ns);
void __wrap_reeve_clock_sleep(reeve_time_ns ns);

reeve_time_ns __wrap_reeve_clock_now(void)
{
    return __real_reeve_clock_now() + atomic_load(&skipped_ns);
}

void __wrap_reeve_clock_sleep(reeve_time_ns ns)
{
    if (ns < REEVE_SECOND_NS) {
        __real_reeve_clock_sleep(ns);
        return;
    }
    atomic_fetch_add(&skipped_ns, ns);
    if (at_wake != NULL) at_wake(at_wake_arg);
}

int64_t quick_clock_skipped_s(void)
{
    return atomic_load(&skipped_ns) / REEVE_SECOND_NS;
}

void quick_clock_at_wake(void (*act)(void *arg), void *arg)
{
    at_wake = act;
    at_wake_arg = arg;
}
