/* Who is there (port/membership.h), as an MPI with ULFM does it: a loss is told to each at its own time; who hears of
 * one revokes what all have; those who live come together, and from then on have another transport and another
 * collective. Messages of before are lost. Who does not come is waited for, for a minute: then whoever waits ends.
 * A process may be given up that only stands still: it is not waited for, and nobody hears its words any more. */
#include <string.h>

#include "base/error.h"
#include "checkers.h"
#include "sim.h"

#define PATIENCE_NS (60 * REEVE_SECOND_NS)
#define AGREE_NS (2 * REEVE_MILLISECOND_NS)
#define GROUPS_MAX 300u /* of one launch: each costs a life, or should */

/* ---- losses ---- */

static void lost_event(struct sim *s, void *arg, uint64_t number)
{
    (void)s;
    sim_net_lost(arg, (uint32_t)number);
}

static void sum_lost_event(struct sim *s, void *arg, uint64_t rank)
{
    struct sim_launch *l = arg;
    for (uint32_t w = 1; w <= l->workers; w++) {
        struct sim_proc *p = &l->proc[w];
        if (!sim_runs(p) || p->group == 0 || rank == 0 || (p->members >> rank & 1) == 0) continue;
        p->sum_lost = true;
        sim_turn_soon(p, s->now_ns);
    }
}

void sim_members_lost(struct sim_proc *p, reeve_time_ns within_ns)
{
    struct sim *s = p->sim;
    sim_at(s, s->now_ns + sim_some_time(s, within_ns), lost_event, p->launch, p->rank);
    if (s->plan.weather.in_job) /* what is added up goes another way, and hears of it at another time */
        sim_at(s, s->now_ns + sim_some_time(s, within_ns), sum_lost_event, p->launch, p->rank);
}

static void revoked_event(struct sim *s, void *arg, uint64_t group)
{
    struct sim_proc *p = arg;
    if (!sim_runs(p) || p->group != group) return;
    p->revoked = true;
    sim_turn_soon(p, s->now_ns);
}

static void revoke(struct sim_proc *by)
{
    struct sim *s = by->sim;
    for (uint32_t r = 0; r <= by->launch->workers; r++) {
        struct sim_proc *p = &by->launch->proc[r];
        if (p != by && sim_runs(p) && p->group == by->group)
            sim_at(s, s->now_ns + sim_some_time(s, s->plan.weather.delay_ns), revoked_event, p, p->group);
    }
}

/* Where losses are survived, a launch goes on unless no worker is left, or the master is lost before all have begun. */
void sim_members_excuse(struct sim_proc *gone)
{
    struct sim_launch *l = gone->launch;
    uint32_t left = 0;
    for (uint32_t w = 1; w <= l->workers; w++) {
        const struct sim_proc *p = &l->proc[w];
        if (!sim_runs(p) || p->given_up) continue;
        if (p->joins && !p->begun) continue; /* without the others it is nobody */
        left++;
        l->excused |= sim_leads(gone) && !p->begun;
    }
    l->excused |= left == 0 || (sim_leads(gone) && !l->opened);
}

void sim_members_give_up(struct sim_proc *p)
{
    if (!sim_runs(p) || p->given_up) return;
    sim_trace(p->sim, "rank %u of launch %u is given up", p->rank, p->launch->number);
    p->given_up = true;
    sim_members_excuse(p);
    sim_collective_died(p);
    sim_members_lost(p, 100 * REEVE_MILLISECOND_NS);
    sim_members_look(p->launch);
}

/* ---- coming together ---- */

static void form(struct sim *s, void *arg, uint64_t round);

static bool counts(const struct sim_proc *p)
{
    return sim_runs(p) && !p->given_up;
}

void sim_members_look(struct sim_launch *l)
{
    bool any = false;
    for (uint32_t r = 0; r <= l->workers; r++) {
        if (!counts(&l->proc[r])) continue;
        if (!l->proc[r].gathering) return;
        any = true;
    }
    if (any) sim_at(l->sim, l->sim->now_ns + sim_some_time(l->sim, AGREE_NS), form, l, ++l->round);
}

/* Does this process, the master of before, want the lost ones replaced, and is it granted? */
static bool takes_wish(struct sim *s, struct sim_proc *p)
{
    bool wish = p->replace_wish;
    p->replace_wish = false;
    if (!wish) return false;
    bool granted = sim_below(s, 5) > 0;
    p->launch->refused |= !granted;
    return granted;
}

/* The news of the loss of the process before, where it has not come yet: all know it now. */
static void call_off(struct sim_launch *l, uint32_t rank)
{
    for (size_t i = 0; i < l->sim->heap_count; i++) {
        struct sim_event *e = &l->sim->heap[i];
        if (e->arg == l && e->number == rank && (e->run == lost_event || e->run == sum_lost_event))
            e->run = sim_nothing;
    }
}

/* In the places of those who are dead. Who was given up and has not ended keeps its place: it is still there. */
static uint32_t replace_lost(struct sim_launch *l, uint32_t members)
{
    for (uint32_t r = 1; r <= l->workers; r++) {
        struct sim_proc *p = &l->proc[r];
        if ((members >> r & 1) != 0 || p->alive || p->fiber != NULL) continue;
        call_off(l, r);
        sim_process_replace(p);
        l->sim->replacements++;
        p->since = l->group;
        members |= 1u << r;
    }
    return members;
}

/* Whoever has been there longest; of those the lowest. */
static uint32_t leader_of(const struct sim_launch *l, uint32_t members)
{
    uint32_t leader = (uint32_t)__builtin_ctz(members);
    for (uint32_t r = 0; r <= l->workers; r++)
        if ((members >> r & 1) != 0 && l->proc[r].since < l->proc[leader].since) leader = r;
    return leader;
}

static void enter(struct sim_proc *p, uint32_t members)
{
    struct sim_launch *l = p->launch;
    p->gathering = p->revoked = p->sum_lost = false;
    p->group = l->group;
    p->members = members;
    p->leader = l->leader;
    p->lost = p->lost_untold = 0;
    p->transport.self = sim_leads(p) ? 0 : p->rank;
    p->collective.members = (uint32_t)__builtin_popcount(members & ~1u);
    l->member[p->rank] = (struct sim_collective_member){.completed = l->sum_number};
    for (uint32_t r = 0; r <= l->workers; r++) {
        p->here[r] = (members >> r & 1) != 0;
        p->came[r] = p->here[r] && l->proc[r].joins && l->proc[r].since == l->group;
    }
    sim_turn_soon(p, l->sim->now_ns + sim_some_time(l->sim, AGREE_NS));
}

static void form(struct sim *s, void *arg, uint64_t round)
{
    struct sim_launch *l = arg;
    uint32_t members = 0;
    if (l->over || round != l->round) return;
    for (uint32_t r = 0; r <= l->workers; r++) {
        struct sim_proc *p = &l->proc[r];
        if (!counts(p)) continue;
        if (!p->gathering) return;
        if (p->stalled_until_ns > s->now_ns) { /* it is in the middle of it: all wait */
            sim_at(s, p->stalled_until_ns, form, l, round);
            return;
        }
        members |= 1u << r;
    }
    if (members == 0) return;
    s->regroupings++;
    if (++l->group > GROUPS_MAX) sim_violate(s, "progress", "%u regroupings of one launch", GROUPS_MAX);
    l->leader = leader_of(l, members);
    if (takes_wish(s, &l->proc[l->leader])) members = replace_lost(l, members);
    sim_trace(s, "launch %u goes on as group %u: members %02x, master %u", l->number, l->group, members, l->leader);
    for (uint32_t r = 0; r <= l->workers; r++)
        if ((members >> r & 1) != 0) enter(&l->proc[r], members);
    sim_faults_recovery_goes_on(l);
}

static reeve_status regroup(reeve_membership *base, struct reeve_members *out, struct reeve_error *err)
{
    struct sim_proc *p = (struct sim_proc *)(void *)((char *)base - offsetof(struct sim_proc, membership));
    struct sim *s = p->sim;
    if (!p->alive) return reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
    sim_trace(s, "rank %u of launch %u waits for the others", p->rank, p->launch->number);
    reeve_time_ns deadline_ns = s->now_ns + PATIENCE_NS;
    revoke(p);
    sim_net_fini(p);
    p->collective.ops->abandon(&p->collective);
    p->group = 0;
    p->gathering = true;
    sim_faults_recovery_begins(p);
    sim_members_look(p->launch);
    while (p->alive && p->gathering && s->now_ns < deadline_ns)
        sim_wait(p, deadline_ns);
    if (p->alive && p->gathering) {
        sim_kill(p, "the others did not come");
        if (!p->given_up) sim_abort(p->launch);
    }
    if (!p->alive) return reeve_fail(err, REEVE_JOB_INTERNAL, "dead");
    *out = (struct reeve_members){.self = p->rank,
                                  .master = p->leader,
                                  .count = p->launch->workers + 1,
                                  .round = p->group,
                                  .here = p->here,
                                  .came = p->came,
                                  .transport = &p->transport,
                                  .collectives.host = p->rank > 0 ? &p->collective : NULL};
    return REEVE_OK;
}

static void replace(reeve_membership *base)
{
    struct sim_proc *p = (struct sim_proc *)(void *)((char *)base - offsetof(struct sim_proc, membership));
    p->replace_wish = true;
    p->launch->lonely_steps = 0;
}

static const struct reeve_membership_ops membership_ops = {.regroup = regroup, .replace = replace};

void sim_members_init(struct sim_proc *p)
{
    p->membership.ops = &membership_ops;
    p->group = p->launch->group;
    p->members = (2u << p->launch->workers) - 1;
    for (uint32_t r = 0; r <= p->launch->workers; r++)
        p->here[r] = true;
}
