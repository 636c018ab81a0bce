/* See stall.h. */
#include "core/stall.h"

#include <string.h>

#include "base/absence.h"
#include "base/clock.h"

#define STEPS_OF_PATIENCE 20 /* of the median step: a slow one is no hang */
#define TURNS 2              /* so much longer work in a row: steps that begin anew behind a long reading are no hang */
#define LONGER_WORK 10       /* times that while it starts, reads a shard, evaluates or saves */

void reeve_stall_init(struct reeve_stall *s, reeve_time_ns floor_ns)
{
    *s = (struct reeve_stall){.floor_ns = floor_ns};
}

void reeve_stall_begin(struct reeve_stall *s, reeve_time_ns now_ns)
{
    s->looked_ns = s->moved_ns = s->progressed_ns = now_ns;
    s->stepped_ns = 0;
    s->mark = (struct reeve_stall_mark){.work = REEVE_STALL_STARTING};
}

/* But for the kind of work. */
static bool same(const struct reeve_stall_mark *a, const struct reeve_stall_mark *b)
{
    return a->step == b->step && a->tasks_done == b->tasks_done && a->tasks_left == b->tasks_left &&
           a->checkpoint == b->checkpoint && a->evaluated == b->evaluated && a->workers == b->workers &&
           a->told_ns == b->told_ns;
}

/* Several steps between two looks: their mean is one figure. The first of a launch holds its start, and is none. */
static void measure(struct reeve_stall *s, uint64_t step, reeve_time_ns now_ns)
{
    if (step <= s->mark.step) return;
    if (s->stepped_ns != 0)
        reeve_recent_add(&s->steps, (now_ns - s->stepped_ns) / (reeve_time_ns)(step - s->mark.step));
    s->stepped_ns = now_ns;
}

static reeve_time_ns patience_with_steps(const struct reeve_stall *s)
{
    reeve_time_ns patience = STEPS_OF_PATIENCE * reeve_recent_median(&s->steps);
    return patience > s->floor_ns ? patience : s->floor_ns;
}

void reeve_stall_look(struct reeve_stall *s, const struct reeve_stall_mark *mark, reeve_time_ns now_ns)
{
    reeve_time_ns away_ns = reeve_absence(&s->looked_ns, now_ns, REEVE_ABSENCE_NS);
    s->moved_ns += away_ns;
    s->progressed_ns += away_ns;
    if (s->stepped_ns != 0) s->stepped_ns += away_ns;
    bool progress = !same(mark, &s->mark);
    if (progress) {
        measure(s, mark->step, now_ns);
        s->progressed_ns = now_ns;
    }
    /* Other work has its own time; but what only goes to and fro between two kinds of it hangs as well. */
    bool turned =
        mark->work != s->mark.work && now_ns - s->progressed_ns <= TURNS * LONGER_WORK * patience_with_steps(s);
    if (progress || turned) s->moved_ns = now_ns;
    s->mark = *mark;
}

reeve_time_ns reeve_stall_patience(const struct reeve_stall *s)
{
    reeve_time_ns patience = patience_with_steps(s);
    return s->mark.work == REEVE_STALL_STEPPING ? patience : LONGER_WORK * patience;
}

reeve_time_ns reeve_stall_idle(const struct reeve_stall *s)
{
    return s->looked_ns - s->moved_ns;
}

bool reeve_stall_is_hung(const struct reeve_stall *s)
{
    return reeve_stall_idle(s) > reeve_stall_patience(s);
}
