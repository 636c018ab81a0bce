/* Time: an integer, and a heap of what will happen. Chance: numbers of the seed, in the order in which they are asked.
 * The clock of the code under test is here too. */
#include <stdlib.h>

#include "base/error.h"
#include "base/random.h"
#include "sim.h"

struct sim_proc *sim_running;

static bool before(const struct sim_event *a, const struct sim_event *b)
{
    return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->order < b->order;
}

void sim_at(struct sim *s, reeve_time_ns at_ns, void (*run)(struct sim *, void *, uint64_t), void *arg, uint64_t number)
{
    if (s->heap_count == s->heap_room) {
        s->heap_room = s->heap_room == 0 ? 256 : 2 * s->heap_room;
        s->heap = realloc(s->heap, s->heap_room * sizeof(*s->heap));
        REEVE_ASSERT(s->heap != NULL);
    }
    struct sim_event ev = {at_ns < s->now_ns ? s->now_ns : at_ns, s->event_order++, run, arg, number};
    size_t i = s->heap_count++;
    for (; i > 0 && before(&ev, &s->heap[(i - 1) / 2]); i = (i - 1) / 2)
        s->heap[i] = s->heap[(i - 1) / 2];
    s->heap[i] = ev;
}

static struct sim_event pop(struct sim *s)
{
    struct sim_event first = s->heap[0], last = s->heap[--s->heap_count];
    size_t i = 0;
    for (;;) {
        size_t child = 2 * i + 1;
        if (child >= s->heap_count) break;
        if (child + 1 < s->heap_count && before(&s->heap[child + 1], &s->heap[child])) child++;
        if (!before(&s->heap[child], &last)) break;
        s->heap[i] = s->heap[child];
        i = child;
    }
    s->heap[i] = last;
    return first;
}

bool sim_run_until(struct sim *s, reeve_time_ns until_ns)
{
    while (!s->complete && !s->failed) {
        if (s->heap_count == 0) return false;
        if (s->heap[0].at_ns > until_ns) break;
        struct sim_event ev = pop(s);
        s->now_ns = ev.at_ns;
        s->events_run++;
        ev.run(s, ev.arg, ev.number);
    }
    if (!s->complete && !s->failed) s->now_ns = until_ns;
    return true;
}

void sim_nothing(struct sim *s, void *arg, uint64_t number)
{
    (void)s, (void)arg, (void)number;
}

uint64_t sim_below(struct sim *s, uint64_t bound)
{
    return reeve_random_below(s->plan.seed, 0x73696d, s->draws++, bound);
}

bool sim_chance(struct sim *s, uint32_t ppm)
{
    return ppm > 0 && sim_below(s, 1000000) < ppm;
}

reeve_time_ns sim_some_time(struct sim *s, reeve_time_ns most_ns)
{
    uint64_t n = sim_below(s, (uint64_t)most_ns + 1);
    return (reeve_time_ns)(n % 32 == 0 ? 10 * n : n);
}

/* ---- the clock of the code under test ---- */

reeve_time_ns reeve_clock_now(void)
{
    return sim_running->sim->now_ns;
}

int64_t reeve_clock_wall_ns(void)
{
    return sim_running->sim->now_ns;
}

void reeve_clock_sleep(reeve_time_ns ns)
{
    (void)ns; /* the journal's reader waits for a write in flight: here writes take no time */
}
