/* For programs that link with --wrap=reeve_clock_now,--wrap=reeve_clock_sleep: a sleep of a second or more is over at once,
 * and the monotonic clock says that it was not. Shorter ones are slept. */
#ifndef REEVE_TEST_QUICK_CLOCK_H
#define REEVE_TEST_QUICK_CLOCK_H

#include <stdint.h>

/* Seconds that were not slept. */
int64_t quick_clock_skipped_s(void);
/* Called at the end of each such sleep; NULL: nothing. */
void quick_clock_at_wake(void (*act)(void *arg), void *arg);

#endif
