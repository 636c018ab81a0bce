/* The hybrid wait; see idle.h. The idea is that of ADLB's and mpi4py's idle loops: the first microseconds are worth
 * spinning for, since a task may take as long; after that every wake-up costs somebody else's work. */
#include "base/idle.h"

#include <sched.h>
#include <sys/prctl.h>

#include "base/clock.h"

#define SLEEP_NS_FIRST ((reeve_time_ns)1000)
/* By default Linux adds up to 50 us to every sleep, so that a "1 us" sleep takes 55. */
#define TIMER_SLACK_NS 1000ul

void reeve_idle_init(struct reeve_idle *idle, bool cores_short)
{
    idle->free_polls_max = cores_short ? 20 : 2000;
    idle->yields_max = cores_short ? 50 : 500;
    (void)prctl(PR_SET_TIMERSLACK, TIMER_SLACK_NS, 0ul, 0ul, 0ul); /* without it, sleeps are longer: no harm */
    reeve_idle_reset(idle);
}

void reeve_idle_reset(struct reeve_idle *idle)
{
    idle->wait_count = 0;
    idle->sleep_ns = SLEEP_NS_FIRST;
}

void reeve_idle_wait(struct reeve_idle *idle, reeve_time_ns sleep_ns_max)
{
    uint32_t n = idle->wait_count;
    if (n < UINT32_MAX) idle->wait_count = n + 1;
    if (n < idle->free_polls_max) return;
    if (sleep_ns_max <= 0 || n - idle->free_polls_max < idle->yields_max) {
        (void)sched_yield();
        return;
    }
    reeve_time_ns sleep_ns = idle->sleep_ns < sleep_ns_max ? idle->sleep_ns : sleep_ns_max;
    reeve_clock_sleep(sleep_ns);
    idle->sleep_ns = sleep_ns * 2;
}
