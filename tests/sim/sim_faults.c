/* Faults: what is drawn for a seed, and how each is brought about. All faults of a seed are known before it runs, so
 * that one can be left out when a failure is made smaller. */
#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/random.h"
#include "checkers_state.h"
#include "sim.h"

#define HORIZON_NS (2 * REEVE_SECOND_NS) /* within which most faults fall: a calm run takes about as long */

static const char *const mix_names[SIM_MIXES] = {"general",    "calm",       "master",    "power",   "stall",
                                                 "checkpoint", "collective", "take-over", "hostile", "loss",
                                                 "in-job",     "evict",      "replace",   "all"};
static const char *const fault_names[SIM_FAULT_KINDS] = {"kill worker",
                                                         "kill master",
                                                         "kill master at a seam",
                                                         "power cut",
                                                         "stop worker",
                                                         "stop master",
                                                         "stop master at a seam",
                                                         "partition",
                                                         "write fails",
                                                         "disk full",
                                                         "part fails",
                                                         "checkpoint damaged",
                                                         "sum fails",
                                                         "sum flips",
                                                         "take-over",
                                                         "file STOP",
                                                         "file SAVE",
                                                         "kill worker at a seam",
                                                         "kill several",
                                                         "kill in the recovery",
                                                         "give a worker up",
                                                         "give the master up",
                                                         "master's host dies",
                                                         "stop worker at a seam",
                                                         "worker hangs",
                                                         "sum hangs"};

const char *sim_mix_name(uint32_t mix)
{
    return mix < SIM_MIXES ? mix_names[mix] : NULL;
}

#define KINDS_OF_A_LAUNCH (SIM_FAULT_SAVE + 1)      /* those behind need a job that outlives a loss */
#define KINDS_OF_A_JOB (SIM_FAULT_MASTER_HOST + 1) /* and those behind, one that puts out who hangs */
#define BIT(kind) (1u << (kind))

/* Which kinds a mix draws from. */
static uint32_t kinds_of(uint32_t mix)
{
    switch (mix) {
    case SIM_MIX_CALM: return 0;
    case SIM_MIX_MASTER: return BIT(SIM_FAULT_KILL_MASTER) | BIT(SIM_FAULT_MASTER_AT_SEAM);
    case SIM_MIX_POWER: return BIT(SIM_FAULT_POWER_CUT) | BIT(SIM_FAULT_MASTER_AT_SEAM) | BIT(SIM_FAULT_WRITE_FAILS);
    case SIM_MIX_STALL:
        return BIT(SIM_FAULT_STALL_WORKER) | BIT(SIM_FAULT_STALL_MASTER) | BIT(SIM_FAULT_STALL_MASTER_AT_SEAM) |
               BIT(SIM_FAULT_PARTITION);
    case SIM_MIX_CHECKPOINT:
        return BIT(SIM_FAULT_DISK_FULL) | BIT(SIM_FAULT_PART_FAILS) | BIT(SIM_FAULT_DAMAGE) | BIT(SIM_FAULT_SAVE) |
               BIT(SIM_FAULT_KILL_MASTER) | BIT(SIM_FAULT_STOP);
    case SIM_MIX_COLLECTIVE:
        return BIT(SIM_FAULT_SUM_FAILS) | BIT(SIM_FAULT_SUM_FLIPS) | BIT(SIM_FAULT_KILL_WORKER) |
               BIT(SIM_FAULT_STALL_WORKER);
    case SIM_MIX_TAKE_OVER:
        return BIT(SIM_FAULT_TAKE_OVER) | BIT(SIM_FAULT_KILL_MASTER) | BIT(SIM_FAULT_SAVE) | BIT(SIM_FAULT_POWER_CUT);
    case SIM_MIX_LOSS:
        return BIT(SIM_FAULT_KILL_WORKER) | BIT(SIM_FAULT_KILL_MASTER) | BIT(SIM_FAULT_MASTER_AT_SEAM) |
               BIT(SIM_FAULT_WORKER_AT_SEAM) | BIT(SIM_FAULT_KILL_SEVERAL) | BIT(SIM_FAULT_IN_RECOVERY) |
               BIT(SIM_FAULT_GIVE_UP) | BIT(SIM_FAULT_GIVE_UP_MASTER) | BIT(SIM_FAULT_MASTER_HOST);
    case SIM_MIX_IN_JOB: return BIT(KINDS_OF_A_JOB) - 1;
    case SIM_MIX_REPLACE: return kinds_of(SIM_MIX_LOSS);
    case SIM_MIX_ALL: return BIT(SIM_FAULT_KINDS) - 1;
    case SIM_MIX_EVICT:
        return BIT(SIM_FAULT_KILL_WORKER) | BIT(SIM_FAULT_MASTER_AT_SEAM) | BIT(SIM_FAULT_IN_RECOVERY) |
               BIT(SIM_FAULT_STALL_WORKER) | BIT(SIM_FAULT_STALL_MASTER) | BIT(SIM_FAULT_STALL_MASTER_AT_SEAM) |
               BIT(SIM_FAULT_STALL_WORKER_AT_SEAM) | BIT(SIM_FAULT_HANG_WORKER) | BIT(SIM_FAULT_SUM_HANGS);
    default: return BIT(KINDS_OF_A_LAUNCH) - 1;
    }
}

static uint64_t draw(struct sim_plan *p, uint64_t *draws, uint64_t bound)
{
    return reeve_random_below(p->seed, 0x706c616e, (*draws)++, bound);
}

static void draw_weather(struct sim_plan *p, uint64_t *draws, uint32_t mix)
{
    static const reeve_time_ns delays[] = {50000, 2 * REEVE_MILLISECOND_NS, 50 * REEVE_MILLISECOND_NS};
    static const reeve_time_ns computes[] = {REEVE_MILLISECOND_NS, 20 * REEVE_MILLISECOND_NS,
                                             300 * REEVE_MILLISECOND_NS};
    struct sim_weather *w = &p->weather;
    w->delay_ns = delays[draw(p, draws, 3)];
    w->compute_ns = computes[draw(p, draws, 3)];
    w->ulfm = draw(p, draws, 2) == 0;
    if (mix == SIM_MIX_LOSS || mix == SIM_MIX_IN_JOB || mix >= SIM_MIX_REPLACE) {
        w->ulfm = w->in_job = true;
        w->one_host = draw(p, draws, 2) == 0;
        w->leaks = draw(p, draws, 2) == 0;
        p->replaces = mix == SIM_MIX_REPLACE || (mix == SIM_MIX_ALL && draw(p, draws, 4) > 0);
        p->losses_only = mix == SIM_MIX_LOSS || mix == SIM_MIX_REPLACE;
        w->evict_min_s = 4 * (uint32_t)(p->seed % 3); /* not drawn: the histories of before stay what they were */
        w->state_hangs = p->replaces && w->evict_min_s > 0 && p->seed % 5 == 0;
        if (p->losses_only) return;
    }
    if (mix == SIM_MIX_EVICT) {
        w->ulfm = w->in_job = w->one_host = p->losses_only = true;
        w->evict_min_s = 4 + 4 * (uint32_t)draw(p, draws, 2);
        return;
    }
    if (mix != SIM_MIX_CALM && draw(p, draws, 3) == 0) w->task_fails_ppm = 20000;
    if (mix != SIM_MIX_HOSTILE) return;
    if (draw(p, draws, 2) == 0) w->drop_ppm = 2000;
    if (draw(p, draws, 2) == 0) w->duplicate_ppm = 10000;
    if (draw(p, draws, 2) == 0) w->reorder_ppm = 10000;
}

void sim_plan_draw(uint64_t seed, uint32_t mix, struct sim_plan *p)
{
    uint64_t draws = 0;
    memset(p, 0, sizeof(*p));
    /* The same number in two mixes is two histories; later mixes leave those of the others as they were. */
    p->seed = mix <= SIM_MIX_HOSTILE ? seed * (SIM_MIX_HOSTILE + 1) + mix : seed + ((uint64_t)mix << 48);
    bool in_job = mix > SIM_MIX_HOSTILE;
    p->shape = (uint32_t)draw(p, &draws, SIM_SHAPES);
    draw_weather(p, &draws, mix);
    uint32_t kinds = kinds_of(mix);
    uint32_t bound = !in_job                                      ? KINDS_OF_A_LAUNCH
                     : mix == SIM_MIX_EVICT || mix == SIM_MIX_ALL ? SIM_FAULT_KINDS
                                                                  : KINDS_OF_A_JOB;
    bool many = mix == SIM_MIX_GENERAL || mix == SIM_MIX_HOSTILE || mix == SIM_MIX_IN_JOB || mix >= SIM_MIX_REPLACE;
    uint32_t most = many ? 8 : 5;
    p->fault_count = kinds == 0 ? 0 : (uint32_t)draw(p, &draws, most + 1);
    for (uint32_t i = 0; i < p->fault_count; i++) {
        struct sim_fault *f = &p->fault[i];
        do
            f->kind = (enum sim_fault_kind)draw(p, &draws, bound);
        while ((kinds & BIT(f->kind)) == 0);
        f->at_ns = (reeve_time_ns)draw(p, &draws, HORIZON_NS);
        if (draw(p, &draws, 4) == 0) f->at_ns *= 8;
        f->target = (uint32_t)draw(p, &draws, 1000);
        f->count = 1 + (uint32_t)draw(p, &draws, 12);
        f->length_ns =
            (reeve_time_ns)draw(p, &draws, draw(p, &draws, 3) == 0 ? 120 * REEVE_SECOND_NS : REEVE_SECOND_NS);
    }
}

void sim_fault_describe(const struct sim_fault *f, char *text, size_t text_bytes)
{
    (void)snprintf(text, text_bytes, "%9.3f s  %s (target %u, count %u, length %.3f s)", (double)f->at_ns * 1e-9,
                   fault_names[f->kind], f->target, f->count, (double)f->length_ns * 1e-9);
}

/* ---- bringing them about ---- */

static void cut_power(struct sim *s)
{
    struct sim_launch *l = sim_newest(s);
    sim_trace(s, "the power goes");
    for (; l != NULL; l = l->next)
        if (!l->over) sim_kill_launch(l, "power cut");
    sim_disk_power_cut(s);
    sim_check_forget_unsynced(s);
}

static void partition(struct sim *s, struct sim_launch *l, const struct sim_fault *f)
{
    uint32_t w = 1 + f->target % l->workers;
    reeve_time_ns until_ns = s->now_ns + f->length_ns;
    if (l->cut_until_ns[w] < until_ns) l->cut_until_ns[w] = until_ns;
}

/* The machine of the run hears nothing of the world, file system included, until after somebody else took the run. */
static void take_over(struct sim *s, struct sim_launch *l, const struct sim_fault *f)
{
    reeve_time_ns silent_ns = 62 * REEVE_SECOND_NS;
    bool at_seam = f->target % 2 == 0; /* cut off within a turn of the master: when it comes back, it goes on there */
    for (uint32_t r = 0; r <= l->workers; r++) {
        if (r == l->leader && at_seam) continue;
        sim_stall(&l->proc[r], s->now_ns + silent_ns + f->length_ns);
    }
    if (at_seam) {
        sim_master(l)->stall_at_seam = f->count;
        sim_master(l)->stall_length_ns = silent_ns + f->length_ns;
    }
    sim_supervise(s, s->now_ns + silent_ns);
    sim_supervise(s, s->now_ns + silent_ns + REEVE_SECOND_NS);
}

static void stall(struct sim *s, struct sim_proc *p, const struct sim_fault *f)
{
    sim_stall(p, s->now_ns + f->length_ns);
}

/* ---- losses that the job outlives ---- */

static uint32_t rank_of(const struct sim_launch *l, uint32_t target)
{
    return target % (l->workers + 1);
}

/* A worker that is not master; one that lives, if there is any. */
static struct sim_proc *pick_worker(struct sim_launch *l, uint32_t target)
{
    for (uint32_t i = 0; i < l->workers; i++) {
        struct sim_proc *p = &l->proc[1 + (target + i) % l->workers];
        if (!l->sim->plan.weather.in_job || (sim_runs(p) && !p->given_up && !sim_leads(p))) return p;
    }
    return &l->proc[1 + target % l->workers];
}

static void give_up_event(struct sim *s, void *arg, uint64_t number)
{
    (void)s, (void)number;
    sim_members_give_up(arg);
}

/* It may wake up before, and is given up all the same. */
static void give_up(struct sim *s, struct sim_proc *p, const struct sim_fault *f)
{
    reeve_time_ns most_ns = f->length_ns < 2 * REEVE_SECOND_NS ? f->length_ns : 2 * REEVE_SECOND_NS;
    sim_at(s, s->now_ns + (reeve_time_ns)sim_below(s, (uint64_t)most_ns + 1), give_up_event, p, 0);
}

static void lose_master_host(struct sim *s, struct sim_launch *l)
{
    sim_kill(sim_master(l), "its host dies");
    sim_disk_host_dies(s, sim_master(l));
    sim_check_forget_unsynced(s);
}

static const struct sim_fault *take_waiting(struct sim *s, bool at_begin)
{
    for (uint32_t i = 0; i < s->plan.fault_count; i++) {
        const struct sim_fault *f = &s->plan.fault[i];
        if ((s->in_recovery >> i & 1) == 0 || (f->target % 3 == 0) != at_begin) continue;
        s->in_recovery &= ~((uint64_t)1 << i);
        return f;
    }
    return NULL;
}

void sim_faults_recovery_begins(struct sim_proc *p)
{
    const struct sim_fault *f = take_waiting(p->sim, true);
    if (f != NULL) sim_kill(&p->launch->proc[rank_of(p->launch, f->target / 3)], "in a recovery");
}

/* The new master at any of its calls, or another at one of its first. */
void sim_faults_recovery_goes_on(struct sim_launch *l)
{
    const struct sim_fault *f = take_waiting(l->sim, false);
    if (f == NULL) return;
    if (f->target % 3 == 1) sim_master(l)->die_at_seam = f->count;
    else pick_worker(l, f->target / 3)->die_at_seam = 1 + f->count % 4;
}

static void happen(struct sim *s, void *arg, uint64_t number)
{
    (void)arg;
    const struct sim_fault *f = &s->plan.fault[number];
    struct sim_launch *l = sim_newest(s);
    char text[160];
    sim_fault_describe(f, text, sizeof(text));
    sim_trace(s, "FAULT %s", text);
    struct sim_proc *master = sim_master(l), *worker = pick_worker(l, f->target);
    switch (f->kind) {
    case SIM_FAULT_KILL_WORKER: sim_kill(worker, "killed"); break;
    case SIM_FAULT_KILL_MASTER: sim_kill(master, "killed"); break;
    case SIM_FAULT_MASTER_AT_SEAM: master->die_at_seam = f->count; break;
    case SIM_FAULT_POWER_CUT: cut_power(s); break;
    case SIM_FAULT_STALL_WORKER: stall(s, worker, f); break;
    case SIM_FAULT_STALL_MASTER: stall(s, master, f); break;
    case SIM_FAULT_STALL_MASTER_AT_SEAM:
        master->stall_at_seam = f->count;
        master->stall_length_ns = f->length_ns;
        break;
    case SIM_FAULT_PARTITION: partition(s, l, f); break;
    case SIM_FAULT_WRITE_FAILS: s->fail_next_write = f->count; break;
    case SIM_FAULT_DISK_FULL: s->disk_full_until_ns = s->now_ns + f->length_ns; break;
    case SIM_FAULT_PART_FAILS: s->fail_next_part = f->count; break;
    case SIM_FAULT_DAMAGE: sim_checkpoint_damage(s); break;
    case SIM_FAULT_SUM_FAILS: s->fail_next_sum = f->count; break;
    case SIM_FAULT_SUM_FLIPS: s->flip_next_sum = f->count; break;
    case SIM_FAULT_TAKE_OVER: take_over(s, l, f); break;
    case SIM_FAULT_STOP: s->stop_file = true; break;
    case SIM_FAULT_SAVE: s->save_file = true; break;
    case SIM_FAULT_WORKER_AT_SEAM: worker->die_at_seam = f->count; break;
    case SIM_FAULT_KILL_SEVERAL:
        for (uint32_t r = 0; r <= l->workers; r++)
            if ((f->target >> r & 1) != 0) sim_kill(&l->proc[r], "killed with others");
        break;
    case SIM_FAULT_IN_RECOVERY: s->in_recovery |= (uint64_t)1 << number; break;
    case SIM_FAULT_GIVE_UP:
        stall(s, worker, f);
        give_up(s, worker, f);
        break;
    case SIM_FAULT_GIVE_UP_MASTER:
        master->stall_at_seam = f->count;
        master->stall_length_ns = f->length_ns;
        give_up(s, master, f);
        break;
    case SIM_FAULT_MASTER_HOST: lose_master_host(s, l); break;
    case SIM_FAULT_STALL_WORKER_AT_SEAM:
        worker->stall_at_seam = f->count;
        worker->stall_length_ns = f->length_ns;
        break;
    case SIM_FAULT_HANG_WORKER: sim_hang(worker, s->now_ns + f->length_ns); break;
    case SIM_FAULT_SUM_HANGS: s->hang_next_sum_ns = f->length_ns; break;
    case SIM_FAULT_KINDS: break;
    }
}

static void faults_end(struct sim *s, void *arg, uint64_t number)
{
    (void)arg, (void)number;
    sim_trace(s, "no more faults");
    s->fail_next_write = s->fail_next_part = s->fail_next_sum = s->flip_next_sum = 0;
    s->hang_next_sum_ns = 0;
    s->stop_file = false;
    s->in_recovery = 0;
    for (struct sim_launch *l = sim_newest(s); l != NULL; l = l->next)
        for (uint32_t r = 0; r <= l->workers; r++)
            l->proc[r].die_at_seam = l->proc[r].stall_at_seam = 0;
}

void sim_faults_begin(struct sim *s)
{
    reeve_time_ns end_ns = SIM_START_NS + HORIZON_NS;
    for (uint32_t i = 0; i < s->plan.fault_count; i++) {
        if ((s->without & (uint64_t)1 << i) != 0) continue;
        const struct sim_fault *f = &s->plan.fault[i];
        sim_at(s, SIM_START_NS + f->at_ns, happen, NULL, i);
        if (SIM_START_NS + f->at_ns > end_ns) end_ns = SIM_START_NS + f->at_ns;
    }
    s->faults_end_ns = end_ns + REEVE_SECOND_NS;
    sim_at(s, s->faults_end_ns, faults_end, NULL, 0);
}
