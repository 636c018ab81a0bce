/* The collective: a sum over the workers of a launch, out of place, under the rules of coll/agree.h. A sum starts when
 * all are ready; a member that gives it up leaves the others in it, until it is ready again: then that sum is void and
 * all start anew. A sum may fail at one member, or end there with other bits. */
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "checkers.h"
#include "run/state_share.h"
#include "sim.h"

#define SIM_FOR_EVER_NS ((reeve_time_ns)1000000 * REEVE_SECOND_NS)

enum member_state { MEMBER_IDLE = 0, MEMBER_PENDING, MEMBER_ACTIVE, MEMBER_BROKEN };

static struct sim_proc *from_collective(reeve_collective *c)
{
    return (struct sim_proc *)(void *)((char *)c - offsetof(struct sim_proc, collective));
}

static bool has(uint32_t members, uint32_t worker)
{
    return (members >> worker & 1) != 0;
}

/* The last of those that bring a state to a new worker, once in a launch: nobody is to blame, and it does not end. */
static reeve_time_ns hang_of_state(struct sim_launch *l, size_t n)
{
    if (!l->sim->plan.weather.state_hangs || n != REEVE_SHARE_WORDS || l->state_hung) return 0;
    l->state_hung = true;
    sim_trace(l->sim, "L%u the sum of a state hangs", l->number);
    return SIM_FOR_EVER_NS;
}

/* All are ready: what they bring is added up now, and each learns of the end at its own time. */
static void start(struct sim_launch *l, uint32_t members, size_t n)
{
    struct sim *s = l->sim;
    memset(l->sum, 0, sizeof(l->sum));
    l->sum_number++;
    for (uint32_t w = 1; w <= l->workers; w++)
        for (size_t i = 0; i < n && has(members, w); i++)
            l->sum[i] = (int64_t)((uint64_t)l->sum[i] + (uint64_t)l->member[w].in[i]);
    sim_check_sum(l, members, n);
    if (s->mutation == SIM_MUTATE_WRONG_SUM && s->mutation_count++ == 1) l->sum[2] ^= (int64_t)1 << 45;
    uint32_t failing = s->fail_next_sum > 0 && --s->fail_next_sum == 0 ? 1 + (uint32_t)sim_below(s, l->workers) : 0;
    uint32_t flipping = s->flip_next_sum > 0 && --s->flip_next_sum == 0 ? 1 + (uint32_t)sim_below(s, l->workers) : 0;
    reeve_time_ns hang_ns = s->hang_next_sum_ns + hang_of_state(l, n);
    for (uint32_t w = 1; w <= l->workers; w++) {
        if (!has(members, w)) continue;
        struct sim_collective_member *m = &l->member[w];
        m->state = MEMBER_ACTIVE;
        m->number = l->sum_number;
        m->fails = w == failing;
        m->flips = w == flipping && __builtin_popcount(members & ~1u) > 1; /* alone, nobody could tell */
        m->done_ns = s->now_ns + sim_some_time(s, s->plan.weather.delay_ns) + hang_ns;
        sim_turn_soon(&l->proc[w], m->done_ns);
    }
    s->hang_next_sum_ns = 0;
}

static void be_ready(struct sim_launch *l, uint32_t w)
{
    uint32_t members = l->proc[w].members;
    struct sim_collective_member *m = &l->member[w];
    m->state = MEMBER_PENDING;
    if (l->proc[w].group != l->group) return; /* of a collective that nobody else has any more */
    if (m->completed < l->sum_number && l->sum_void != l->sum_number) {
        l->sum_void = l->sum_number;
        for (uint32_t o = 1; o <= l->workers; o++)
            if (l->member[o].state == MEMBER_ACTIVE) l->member[o].state = MEMBER_PENDING;
    }
    for (uint32_t o = 1; o <= l->workers; o++) {
        if (!has(members, o)) continue;
        if (l->member[o].state != MEMBER_PENDING || l->member[o].n != m->n || !l->proc[o].alive ||
            l->proc[o].group != l->proc[w].group)
            return;
    }
    start(l, members, m->n);
}

static reeve_status begin_i64(reeve_collective *c, const int64_t *in, int64_t *out, size_t n, struct reeve_error *err)
{
    struct sim_proc *p = from_collective(c);
    struct sim_collective_member *m = &p->launch->member[p->rank];
    if (m->state != MEMBER_IDLE)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "a sum was begun before the last one ended");
    REEVE_ASSERT(n <= SIM_SUM_COUNT);
    if (sim_seam(p, "begin sum") != SIM_SEAM_PASS) return reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
    m->in = in;
    m->out = out;
    m->n = n;
    be_ready(p->launch, p->rank);
    return REEVE_OK;
}

static reeve_status begin_f32(reeve_collective *c, const float *in, float *out, size_t n, struct reeve_error *err)
{
    (void)c, (void)in, (void)out, (void)n;
    return reeve_fail(err, REEVE_JOB_INTERNAL, "the simulator sums exactly only");
}

static reeve_status test(reeve_collective *c, bool *done, struct reeve_error *err)
{
    struct sim_proc *p = from_collective(c);
    struct sim_collective_member *m = &p->launch->member[p->rank];
    *done = false;
    bool in_job = p->sim->plan.weather.in_job;
    bool finished = m->state == MEMBER_ACTIVE && p->sim->now_ns >= m->done_ns;
    if (in_job && !finished && (p->revoked || p->sum_lost))
        return reeve_fail(err, REEVE_WORKER_LOST, "a member of the sum is lost");
    if (m->state != MEMBER_ACTIVE || p->sim->now_ns < m->done_ns) return REEVE_OK;
    if (m->fails) return reeve_fail(err, REEVE_JOB_INTERNAL, "the sum failed here");
    memcpy(m->out, p->launch->sum, m->n * sizeof(*m->out));
    if (m->flips) m->out[0] ^= 4;
    m->state = MEMBER_IDLE;
    m->completed = m->number;
    *done = true;
    return REEVE_OK;
}

/* Of those who have not ended the sum that it was in, some will never. */
void sim_collective_died(struct sim_proc *p)
{
    struct sim_launch *l = p->launch;
    if (!l->sim->plan.weather.in_job || l->member[p->rank].state != MEMBER_ACTIVE) return;
    for (uint32_t w = 1; w <= l->workers; w++)
        if (w != p->rank && l->proc[w].group == p->group && l->member[w].state == MEMBER_ACTIVE &&
            l->member[w].done_ns > l->sim->now_ns && sim_below(l->sim, 2) == 0)
            l->member[w].state = MEMBER_BROKEN;
}

static void abandon(reeve_collective *c)
{
    struct sim_proc *p = from_collective(c);
    p->launch->member[p->rank].state = MEMBER_IDLE;
}

static void destroy(reeve_collective *c)
{
    (void)c;
}

static const struct reeve_collective_ops ops = {
    .begin_sum_i64 = begin_i64, .begin_sum_f32 = begin_f32, .test = test, .abandon = abandon, .destroy = destroy};

void sim_collective_init(struct sim_proc *p)
{
    p->collective = (struct reeve_collective){.ops = &ops, .name = "sim", .members = p->launch->workers};
}
