/* Processes: a launch is what mpirun starts, a master and its workers; each runs run/rank.c on a stack of its own. It may
 * die or be stopped whenever it waits, and within a turn: in a call to the world (a seam). A supervisor, somebody who
 * types the same command again, starts the next launch until the run is complete. */
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/error.h"
#include "checkers.h"
#include "sim.h"

ssize_t __wrap_getrandom(void *bytes, size_t n, unsigned flags);

ssize_t __wrap_getrandom(void *bytes, size_t n, unsigned flags)
{
    (void)flags;
    struct sim *s = sim_running->sim;
    REEVE_ASSERT(n == sizeof(s->run_id));
    memcpy(bytes, &s->run_id, n);
    return (ssize_t)n;
}

struct sim_launch *sim_newest(const struct sim *s)
{
    return s->launches;
}

bool sim_leads(const struct sim_proc *p)
{
    return p->leader == p->rank;
}

struct sim_proc *sim_master(struct sim_launch *l)
{
    return &l->proc[l->leader];
}

/* ---- ends ---- */

bool sim_runs(const struct sim_proc *p)
{
    return p->alive && !p->ended;
}

static void look_whether_over(struct sim_launch *l)
{
    struct sim *s = l->sim;
    for (uint32_t r = 0; r <= l->workers; r++)
        if (sim_runs(&l->proc[r])) return;
    if (l->over) return;
    l->over = true;
    sim_trace(s, "launch %u is over, exit code %d", l->number, l->code);
    if (l->code == REEVE_EXIT_DONE || l->code == REEVE_EXIT_DEAD_TASKS) {
        s->complete = true;
        s->exit_code = l->code;
        return;
    }
    if (s->plan.losses_only && !l->excused)
        sim_violate(s, "goes on in the job", "launch %u ended with exit code %d, and workers were left", l->number,
                    l->code);
    sim_supervise(s, s->now_ns + 100 * REEVE_MILLISECOND_NS + sim_some_time(s, REEVE_SECOND_NS));
}

static void end_launch_event(struct sim *s, void *arg, uint64_t number)
{
    (void)s, (void)number;
    sim_kill_launch(arg, "the launcher ends what is left");
}

void sim_abort(struct sim_launch *l)
{
    struct sim *s = l->sim;
    sim_at(s, s->now_ns + sim_some_time(s, REEVE_SECOND_NS) * (s->plan.weather.ulfm ? 10 : 1), end_launch_event, l, 0);
}

/* One process is gone. With a fault-tolerant MPI the others learn of it. Where a loss is not survived, and if it ended
 * with an error, the launcher ends the launch. */
static void tell_the_rest(struct sim_proc *p, bool killed)
{
    const struct sim_weather *w = &p->sim->plan.weather;
    if (w->ulfm) sim_members_lost(p, 100 * REEVE_MILLISECOND_NS);
    if (!w->in_job || (!killed && !p->given_up)) sim_abort(p->launch);
}

/* Its stack unwinds: whatever it calls ends in an error, and has no effect. */
static void unwind(struct sim_proc *p)
{
    sim_fiber_enter(p);
    if (p->fiber == NULL) sim_net_fini(p);
}

void sim_stall(struct sim_proc *p, reeve_time_ns until_ns)
{
    if (p->stalled_until_ns < until_ns) p->stalled_until_ns = until_ns;
    if (p->stood_until_ns < until_ns) p->stood_until_ns = until_ns;
}

void sim_hang(struct sim_proc *p, reeve_time_ns until_ns)
{
    p->hangs_until_ns = until_ns;
    if (p->stood_until_ns < until_ns) p->stood_until_ns = until_ns;
}

void sim_kill(struct sim_proc *p, const char *why)
{
    if (!sim_runs(p)) return;
    p->alive = false;
    sim_trace(p->sim, "%s %u of launch %u dies: %s", sim_leads(p) ? "master" : "worker", p->rank, p->launch->number,
              why);
    unwind(p);
    sim_members_excuse(p);
    sim_collective_died(p);
    tell_the_rest(p, true);
    sim_members_look(p->launch);
    look_whether_over(p->launch);
}

void sim_kill_launch(struct sim_launch *l, const char *why)
{
    for (uint32_t r = 0; r <= l->workers; r++) {
        struct sim_proc *p = &l->proc[r];
        if (!sim_runs(p)) continue;
        sim_trace(l->sim, "rank %u of launch %u is ended: %s", r, l->number, why);
        p->alive = false;
        unwind(p);
    }
    look_whether_over(l);
}

void sim_end(struct sim_proc *p, bool clean)
{
    p->ended = true;
    sim_net_fini(p);
    sim_collective_died(p);
    if (!clean) tell_the_rest(p, false);
    else if (p->sim->plan.weather.in_job) sim_members_lost(p, 100 * REEVE_MILLISECOND_NS); /* it looks like any other */
    sim_members_look(p->launch);
    look_whether_over(p->launch);
}

/* ---- seams ---- */

static void stall_here(struct sim_proc *p, const char *what)
{
    struct sim *s = p->sim;
    sim_trace(s, "%s %u of launch %u is stopped in %s for %.3f s", sim_leads(p) ? "master" : "worker", p->rank,
              p->launch->number, what, (double)p->stall_length_ns * 1e-9);
    sim_stall(p, s->now_ns + p->stall_length_ns);
    while (p->alive && s->now_ns < p->stalled_until_ns)
        sim_wait(p, p->stalled_until_ns);
    sim_trace(s, "%s %u of launch %u goes on in %s", sim_leads(p) ? "master" : "worker", p->rank, p->launch->number,
              what);
}

enum sim_seam_outcome sim_seam(struct sim_proc *p, const char *what)
{
    struct sim *s = p->sim;
    if (p->alive && sim_running == p && p->stall_at_seam > 0 && --p->stall_at_seam == 0) stall_here(p, what);
    if (!p->alive || s->failed || s->complete) return SIM_SEAM_DEAD;
    if (p->die_at_seam == 0 || --p->die_at_seam > 0) return SIM_SEAM_PASS;
    enum sim_seam_outcome how = SIM_SEAM_DEAD + (enum sim_seam_outcome)sim_below(s, 3);
    static const char *const where[] = {"", "before", "within", "after"};
    sim_trace(s, "%s a call: %s", where[how], what);
    sim_kill(p, what);
    return how;
}

/* ---- turns ---- */

static void turn(struct sim *s, void *arg, uint64_t number)
{
    struct sim_proc *p = arg;
    (void)number;
    if (!sim_runs(p) || p->turn_at_ns != s->now_ns) return; /* another turn was due earlier */
    if (p->stalled_until_ns > s->now_ns) {
        p->turn_at_ns = p->stalled_until_ns;
        sim_at(s, p->turn_at_ns, turn, p, 0);
        return;
    }
    p->turn_at_ns = INT64_MAX;
    if (p->fiber == NULL) sim_fiber_begin(p, sim_rank_live);
    sim_fiber_enter(p);
}

void sim_turn_soon(struct sim_proc *p, reeve_time_ns at_ns)
{
    if (!sim_runs(p) || at_ns >= p->turn_at_ns) return;
    p->turn_at_ns = at_ns;
    sim_at(p->sim, at_ns, turn, p, 0);
}

void sim_wait(struct sim_proc *p, reeve_time_ns at_ns)
{
    if (!p->alive) return;
    sim_turn_soon(p, at_ns);
    sim_fiber_leave(p);
}

/* ---- launches ---- */

/* Where messages can be lost a launch may wait for ever; whoever watches it ends it when no record has come for long.
 * Only the hostile weather has this: otherwise a launch must never wait for ever. */
static void watch_event(struct sim *s, void *arg, uint64_t records)
{
    struct sim_launch *l = arg;
    if (l->over || s->complete) return;
    if (sim_master(l)->appended_lsn == records) sim_kill_launch(l, "no record for five minutes");
    else sim_at(s, s->now_ns + 300 * REEVE_SECOND_NS, watch_event, l, sim_master(l)->appended_lsn);
}

static void launch(struct sim *s)
{
    struct sim_launch *l = calloc(1, sizeof(*l));
    REEVE_ASSERT(l != NULL);
    l->sim = s;
    l->number = ++s->launch_count;
    l->workers = 1 + (uint32_t)sim_below(s, SIM_WORKERS_MAX);
    l->code = REEVE_EXIT_INTERNAL;
    l->group = 1;
    l->prepared.job = s->shape->job;
    l->prepared.job.faults.evict_min_s = s->mutation == SIM_MUTATE_EVICT_NOBODY ? 0 : s->plan.weather.evict_min_s;
    if (s->mutation == SIM_MUTATE_EVICT_EARLY) l->prepared.job.faults.evict_min_s = 1;
    l->prepared.job.faults.replace = s->plan.replaces && s->mutation != SIM_MUTATE_NEW_NOBODY;
    l->prepared.manifest = (struct reeve_manifest *)&s->shape->manifest;
    (void)snprintf(l->prepared.run_dir, sizeof(l->prepared.run_dir), SIM_RUN_DIR);
    l->next = s->launches;
    s->launches = l;
    sim_trace(s, "launch %u with %u workers", l->number, l->workers);
    for (uint32_t r = 0; r <= l->workers; r++) {
        struct sim_proc *p = &l->proc[r];
        p->sim = s;
        p->launch = l;
        p->rank = r;
        p->alive = true;
        p->turn_at_ns = INT64_MAX;
        l->process[r].pid = (int64_t)l->number * 1000000 + r;
        sim_members_init(p);
        sim_net_init(p);
        sim_collective_init(p);
    }
    sim_turn_soon(&l->proc[0], s->now_ns);
    const struct sim_weather *w = &s->plan.weather;
    if (w->drop_ppm + w->duplicate_ppm + w->reorder_ppm > 0)
        sim_at(s, s->now_ns + 300 * REEVE_SECOND_NS, watch_event, l, UINT64_MAX);
}

/* What the one before had in memory is gone; the journal and the others have the rest. */
void sim_process_replace(struct sim_proc *p)
{
    struct sim_launch *l = p->launch;
    REEVE_ASSERT(!p->alive && p->fiber == NULL);
    sim_net_fini(p);
    sim_net_forget(p);
    for (size_t i = 0; i < p->sim->heap_count; i++)
        if (p->sim->heap[i].arg == p) p->sim->heap[i].run = sim_nothing; /* what the one before had begun */
    *p = (struct sim_proc){
        .sim = p->sim, .launch = l, .rank = p->rank, .alive = true, .joins = true, .turn_at_ns = INT64_MAX};
    l->process[p->rank].pid += 100; /* another one */
    sim_trace(p->sim, "another process takes the place of worker %u of launch %u", p->rank, l->number);
    sim_members_init(p);
    sim_net_init(p);
    sim_collective_init(p);
}

/* Workers begin once their master could open the run: it announces that. */
static void workers_begin(struct sim *s, void *arg, uint64_t number)
{
    struct sim_launch *l = arg;
    (void)number;
    if (sim_runs(&l->proc[0]) && !l->opened && !l->over && !s->plan.weather.in_job) {
        sim_at(s, s->now_ns + REEVE_MILLISECOND_NS, workers_begin, l, 0);
        return;
    }
    for (uint32_t r = 1; r <= l->workers; r++)
        sim_turn_soon(&l->proc[r], s->now_ns + sim_some_time(s, REEVE_MILLISECOND_NS));
}

static void supervise_event(struct sim *s, void *arg, uint64_t number)
{
    (void)arg, (void)number;
    struct sim_launch *l = s->launches;
    bool silent = s->now_ns - s->owner_ns > REEVE_OWNER_SILENT_S * REEVE_SECOND_NS;
    if (s->complete || (l != NULL && !l->over && !silent)) return;
    launch(s);
    sim_at(s, s->now_ns, workers_begin, s->launches, 0);
}

void sim_supervise(struct sim *s, reeve_time_ns at_ns)
{
    sim_at(s, at_ns, supervise_event, NULL, 0);
}

void sim_end_processes(struct sim *s)
{
    while (s->launches != NULL) {
        struct sim_launch *l = s->launches;
        for (uint32_t r = 0; r <= l->workers; r++) {
            if (!sim_runs(&l->proc[r])) continue;
            l->proc[r].alive = false;
            unwind(&l->proc[r]);
        }
        s->launches = l->next;
        free(l);
    }
}
