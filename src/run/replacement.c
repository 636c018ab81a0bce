/* See replacement.h. */
#include "run/replacement.h"

#include "base/clock.h"

#define SETTLE_NS (200 * REEVE_MILLISECOND_NS) /* a loss seldom comes alone: one start of a process for all of them */
#define CALM_NS (5 * REEVE_SECOND_NS)          /* without another loss; a step or a command may last for hours */
#define BACK_OFF_NS REEVE_SECOND_NS            /* after the first failure; doubles */
#define PATIENCE 3                             /* steps without a moment in which it costs no sum */

bool reeve_replacement_given_up(const struct reeve_replacement *r)
{
    return r->failures >= REEVE_REPLACEMENT_TRIES_MAX;
}

bool reeve_replacement_due(struct reeve_replacement *r, uint32_t lost, uint64_t progress, reeve_time_ns now_ns)
{
    if (progress > r->progress && r->unproven) {
        r->unproven = false;
        r->failures = 0;
    }
    bool goes_on = progress > r->progress || now_ns >= r->after_ns + CALM_NS;
    return lost > 0 && !reeve_replacement_given_up(r) && goes_on && now_ns >= r->after_ns;
}

bool reeve_replacement_presses(const struct reeve_replacement *r, uint64_t progress)
{
    return progress > r->progress + PATIENCE;
}

void reeve_replacement_ask(struct reeve_replacement *r)
{
    r->asked = true;
}

bool reeve_replacement_regrouped(struct reeve_replacement *r, uint32_t came, uint32_t starters_lost, uint64_t progress,
                                 reeve_time_ns now_ns)
{
    bool failed = (r->asked && came == 0) || (r->unproven && progress <= r->progress);
    if (starters_lost >= REEVE_REPLACEMENT_STARTERS_MAX && !reeve_replacement_given_up(r)) {
        failed = true;
        r->failures = REEVE_REPLACEMENT_TRIES_MAX - 1;
    }
    r->asked = false;
    r->unproven = came > 0;
    r->progress = progress;
    if (failed) r->failures++;
    r->after_ns = now_ns + (failed ? BACK_OFF_NS << (r->failures - 1) : SETTLE_NS);
    return failed;
}
