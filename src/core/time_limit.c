/* See time_limit.h. */
#include "core/time_limit.h"

#include <string.h>

#define SECOND_NS INT64_C(1000000000)
#define RESERVE_MIN_NS (2 * SECOND_NS)
#define RESERVE_MAX_NS (60 * SECOND_NS)
#define GUESS_MIN_NS SECOND_NS /* for a checkpoint, as long as none was measured */
#define GUESS_MAX_NS (60 * SECOND_NS)
#define NEAR_MAX_NS (600 * SECOND_NS)
#define SIGNAL_EARLY_NS (60 * SECOND_NS) /* sbatch(1): --signal may come that much before its time */

static reeve_time_ns clamp(reeve_time_ns v, reeve_time_ns low, reeve_time_ns high)
{
    return v < low ? low : v > high ? high : v;
}

/* A tenth of the whole time, within limits: what a job of a minute and one of a week both can spare. */
static reeve_time_ns tenth(const struct reeve_time_limit *t, reeve_time_ns low, reeve_time_ns high)
{
    return clamp((t->end_ns - t->begin_ns) / 10, low, high);
}

void reeve_time_limit_init(struct reeve_time_limit *t, reeve_time_ns begin_ns)
{
    memset(t, 0, sizeof(*t));
    t->begin_ns = begin_ns;
    t->end_ns = REEVE_TIME_NEVER;
}

void reeve_time_limit_set_end(struct reeve_time_limit *t, reeve_time_ns end_ns)
{
    t->end_ns = end_ns;
}

void reeve_time_limit_set_drain(struct reeve_time_limit *t, reeve_time_ns drain_ns)
{
    t->drain_ns = drain_ns;
}

void reeve_time_limit_step(struct reeve_time_limit *t, reeve_time_ns now_ns, bool evaluated)
{
    reeve_time_ns took_ns = now_ns - t->committed_ns;
    bool first = t->committed_ns == 0;
    t->committed_ns = now_ns;
    if (first) return; /* it began with the loading of everything */
    if (!evaluated) t->step_ns[t->steps++ % REEVE_TIME_LIMIT_STEPS] = took_ns;
    else if (took_ns > t->evaluation_ns) t->evaluation_ns = took_ns;
}

void reeve_time_limit_pass_over(struct reeve_time_limit *t, reeve_time_ns away_ns)
{
    if (t->committed_ns > 0) t->committed_ns += away_ns;
}

void reeve_time_limit_checkpoint(struct reeve_time_limit *t, reeve_time_ns took_ns)
{
    if (took_ns > t->checkpoint_ns) t->checkpoint_ns = took_ns;
    t->checkpoint_measured = true;
}

static reeve_time_ns longest_step(const struct reeve_time_limit *t)
{
    reeve_time_ns longest_ns = t->evaluation_ns;
    for (uint64_t i = 0; i < t->steps && i < REEVE_TIME_LIMIT_STEPS; i++)
        if (t->step_ns[i] > longest_ns) longest_ns = t->step_ns[i];
    return longest_ns;
}

reeve_time_ns reeve_time_limit_due(const struct reeve_time_limit *t)
{
    if (t->end_ns == REEVE_TIME_NEVER) return REEVE_TIME_NEVER;
    if (t->drain_ns > 0) {
        reeve_time_ns half_ns = (t->end_ns - t->begin_ns) / 2;
        return t->end_ns - tenth(t, RESERVE_MIN_NS, RESERVE_MAX_NS) - (t->drain_ns < half_ns ? t->drain_ns : half_ns);
    }
    reeve_time_ns checkpoint_ns = t->checkpoint_measured ? 2 * t->checkpoint_ns : tenth(t, GUESS_MIN_NS, GUESS_MAX_NS);
    reeve_time_ns step_ns = longest_step(t);
    return t->end_ns - tenth(t, RESERVE_MIN_NS, RESERVE_MAX_NS) - checkpoint_ns - (step_ns + step_ns / 2);
}

bool reeve_time_limit_is_near(const struct reeve_time_limit *t, reeve_time_ns now_ns)
{
    if (t->end_ns == REEVE_TIME_NEVER) return false;
    return t->end_ns - now_ns <= clamp((t->end_ns - t->begin_ns) / 5, 0, NEAR_MAX_NS) + SIGNAL_EARLY_NS;
}
