/* Processes: a launch is what mpirun starts, a master and its workers; each has turns, as run/rank.c gives them. It may
 * die or be stopped at any time, the master also within a turn: in a call to the world (a seam). A supervisor, somebody
 * who types the same command again, starts the next launch until the run is complete. */
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>

#include "base/error.h"
#include "checkers.h"
#include "run/compute.h"
#include "sim.h"
#include "store/owner.h"

#define IDLE_NS (200 * REEVE_MILLISECOND_NS) /* between turns without news */
#define REFRESH_NS (10 * REEVE_SECOND_NS)
#define MASTER_PATIENCE_NS (30 * REEVE_SECOND_NS)

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

/* ---- ends ---- */

static void free_parts(struct sim_proc *p)
{
    struct sim_proc *before = sim_running;
    sim_running = p;
    if (p->rank == 0) {
        reeve_master_loop_destroy(p->loop);
        reeve_recover_fini(&p->recovered);
        p->loop = NULL;
    } else {
        reeve_worker_destroy(p->worker);
        reeve_compute_destroy(p->compute);
        p->worker = NULL;
        p->compute = NULL;
    }
    sim_net_fini(p);
    sim_running = before;
}

static bool runs(const struct sim_proc *p)
{
    return p->alive && !p->ended;
}

static void look_whether_over(struct sim_launch *l)
{
    struct sim *s = l->sim;
    for (uint32_t r = 0; r <= l->workers; r++)
        if (runs(&l->proc[r])) return;
    if (l->over) return;
    l->over = true;
    sim_trace(s, "launch %u is over, exit code %d", l->number, l->code);
    if (l->code == REEVE_EXIT_DONE || l->code == REEVE_EXIT_DEAD_TASKS) {
        s->complete = true;
        s->exit_code = l->code;
        return;
    }
    sim_supervise(s, s->now_ns + 100 * REEVE_MILLISECOND_NS + sim_some_time(s, REEVE_SECOND_NS));
}

static void end_launch_event(struct sim *s, void *arg, uint64_t number)
{
    (void)s, (void)number;
    sim_kill_launch(arg, "the launcher ends what is left");
}

static void lost_event(struct sim *s, void *arg, uint64_t number)
{
    (void)s;
    sim_net_lost(arg, (uint32_t)number);
}

/* One process is gone. With a fault-tolerant MPI the others learn of it; otherwise, and if it ended with an error, the
 * launcher ends the launch. */
static void tell_the_rest(struct sim_proc *p)
{
    struct sim *s = p->sim;
    if (s->plan.weather.ulfm)
        sim_at(s, s->now_ns + sim_some_time(s, 100 * REEVE_MILLISECOND_NS), lost_event, p->launch, p->rank);
    sim_at(s, s->now_ns + sim_some_time(s, REEVE_SECOND_NS) * (s->plan.weather.ulfm ? 10 : 1), end_launch_event,
           p->launch, 0);
}

void sim_kill(struct sim_proc *p, const char *why)
{
    if (!runs(p)) return;
    p->alive = false;
    sim_trace(p->sim, "%s %u of launch %u dies: %s", p->rank == 0 ? "master" : "worker", p->rank, p->launch->number,
              why);
    if (!p->in_turn) free_parts(p);
    tell_the_rest(p);
    look_whether_over(p->launch);
}

void sim_kill_launch(struct sim_launch *l, const char *why)
{
    for (uint32_t r = 0; r <= l->workers; r++) {
        struct sim_proc *p = &l->proc[r];
        if (!runs(p)) continue;
        sim_trace(l->sim, "rank %u of launch %u is ended: %s", r, l->number, why);
        p->alive = false;
        if (!p->in_turn) free_parts(p);
    }
    look_whether_over(l);
}

static void end_proc(struct sim_proc *p, bool clean)
{
    p->ended = true;
    free_parts(p);
    if (!clean) tell_the_rest(p);
    look_whether_over(p->launch);
}

/* ---- seams ---- */

static void stall_here(struct sim_proc *p, const char *what)
{
    struct sim *s = p->sim;
    sim_trace(s, "master of launch %u is stopped in %s for %.3f s", p->launch->number, what,
              (double)p->stall_length_ns * 1e-9);
    p->stalled_until_ns = s->now_ns + p->stall_length_ns;
    struct sim_proc *me = sim_running;
    sim_running = NULL;
    (void)sim_run_until(s, p->stalled_until_ns);
    sim_running = me;
    sim_trace(s, "master of launch %u goes on in %s", p->launch->number, what);
}

enum sim_seam_outcome sim_seam(struct sim_proc *p, const char *what)
{
    struct sim *s = p->sim;
    if (p->alive && p->stall_at_seam > 0 && --p->stall_at_seam == 0) stall_here(p, what);
    if (!p->alive || s->failed || s->complete) return SIM_SEAM_DEAD;
    if (p->die_at_seam == 0 || --p->die_at_seam > 0) return SIM_SEAM_PASS;
    enum sim_seam_outcome how = SIM_SEAM_DEAD + (enum sim_seam_outcome)sim_below(s, 3);
    static const char *const where[] = {"", "before", "within", "after"};
    sim_trace(s, "%s a call: %s", where[how], what);
    sim_kill(p, what);
    return how;
}

/* ---- the master (as run/rank.c) ---- */

/* RUN/LOCK: the owner is known to be dead where the launch ran here; elsewhere after a minute of silence. */
static reeve_status own(struct sim_proc *p, struct reeve_error *err)
{
    struct sim *s = p->sim;
    for (struct sim_launch *l = s->launches; l != NULL; l = l->next)
        if (l->number == s->owner && l != p->launch && runs(&l->proc[0]) &&
            s->now_ns - s->owner_ns <= REEVE_OWNER_SILENT_S * REEVE_SECOND_NS)
            return reeve_fail(err, REEVE_STORE_IN_USE, "the run is in use by launch %u", l->number);
    s->owner = p->launch->number;
    s->owner_ns = p->refreshed_ns = s->now_ns;
    return REEVE_OK;
}

static reeve_status refresh(struct sim_proc *p, struct reeve_error *err)
{
    struct sim *s = p->sim;
    if (s->now_ns - p->refreshed_ns < REFRESH_NS) return REEVE_OK;
    p->refreshed_ns = s->now_ns;
    if (s->owner != p->launch->number)
        return reeve_fail(err, REEVE_STORE_IN_USE, "launch %u has taken the run over", s->owner);
    s->owner_ns = s->now_ns;
    return REEVE_OK;
}

static reeve_status begin_master(struct sim_proc *p, struct reeve_error *err)
{
    const struct sim_shape *shape = p->sim->shape;
    reeve_status st = own(p, err);
    if (st != REEVE_OK) return st;
    st = reeve_recover(SIM_RUN_DIR, &shape->job, &shape->manifest, p->launch->workers, 0, &p->recovered, err);
    if (st == REEVE_OK) p->epoch = p->recovered.info.last_epoch + 1;
    sim_check_recovered(p, st, err);
    if (st == REEVE_OK && p->recovered.complete) {
        p->launch->code = REEVE_EXIT_DONE;
        return REEVE_JOB_STOPPED;
    }
    struct reeve_master_loop_config config = {
        .run_dir = SIM_RUN_DIR,
        .job = &shape->job,
        .digest = shape->manifest.digest,
        .build = "simulated",
        .workers = p->launch->workers};
    if (st == REEVE_OK) st = reeve_master_loop_create(&config, &p->recovered, &p->transport, NULL, &p->loop, err);
    return st;
}

/* True: it goes on. */
static bool master_turn(struct sim_proc *p, bool *progress)
{
    struct reeve_error err = {0};
    bool ended = false;
    reeve_status st = REEVE_OK;
    if (!p->begun) {
        p->begun = true;
        st = begin_master(p, &err);
        if (p->alive && st == REEVE_JOB_STOPPED && p->recovered.complete) {
            sim_kill_launch(p->launch, "nothing is left to do");
            return false;
        }
    } else {
        st = refresh(p, &err);
        if (st == REEVE_OK) st = reeve_master_loop_turn(p->loop, p->sim->now_ns, progress, &ended, &err);
    }
    if (p->alive && st == REEVE_STORE_CORRUPT && p->loop != NULL)
        sim_violate(p->sim, "what is decided can be", "%s", err.text);
    if (p->alive && (ended || st != REEVE_OK)) {
        err.status = st;
        sim_trace(p->sim, "master of launch %u ends: %s", p->launch->number, st == REEVE_OK ? "well" : err.text);
        p->launch->code = p->loop != NULL ? reeve_master_loop_end(p->loop, &err) : reeve_status_exit_code(st);
    }
    if (!p->alive || (!ended && st == REEVE_OK)) return p->alive;
    end_proc(p, st == REEVE_OK);
    return false;
}

/* ---- the worker ---- */

static bool worker_turn(struct sim_proc *p, bool *progress)
{
    struct reeve_error err = {0};
    bool ended = false;
    if (!p->begun) {
        const struct reeve_job *job = &p->sim->shape->job;
        char host[16];
        (void)snprintf(host, sizeof(host), "host%u", p->rank / 2);
        struct reeve_worker_config config = {.id = p->rank,
                                             .credits = job->faults.credits,
                                             .silence_ns =
                                                 2 * job->faults.silence_stop_s * REEVE_SECOND_NS + MASTER_PATIENCE_NS,
                                             .host = host};
        p->begun = true;
        p->compute = sim_compute_create(p);
        const struct reeve_collectives sums = {.host = &p->collective};
        reeve_status st = reeve_worker_create(&config, &p->transport, sums, p->compute, NULL, &p->worker, &err);
        REEVE_ASSERT(st == REEVE_OK);
    }
    reeve_status st = reeve_worker_turn(p->worker, p->sim->now_ns, progress, &ended, &err);
    if (!p->alive || (!ended && st == REEVE_OK)) return p->alive;
    if (st != REEVE_OK) sim_trace(p->sim, "worker %u of launch %u ends: %s", p->rank, p->launch->number, err.text);
    end_proc(p, st == REEVE_OK);
    return false;
}

/* ---- turns ---- */

static void turn(struct sim *s, void *arg, uint64_t number)
{
    struct sim_proc *p = arg;
    (void)number;
    if (!runs(p) || p->turn_at_ns != s->now_ns) return; /* another turn was due earlier */
    if (p->in_turn) { /* stopped within a turn; when that is over the next one is due anyway */
        p->turn_at_ns = INT64_MAX;
        return;
    }
    if (p->stalled_until_ns > s->now_ns) {
        p->turn_at_ns = p->stalled_until_ns;
        sim_at(s, p->turn_at_ns, turn, p, 0);
        return;
    }
    p->turn_at_ns = INT64_MAX;
    p->in_turn = true;
    sim_running = p;
    bool progress = false;
    bool goes_on = p->rank == 0 ? master_turn(p, &progress) : worker_turn(p, &progress);
    sim_running = NULL;
    p->in_turn = false;
    if (!p->alive && !p->ended) free_parts(p); /* it died within the turn */
    if (goes_on) sim_turn_soon(p, s->now_ns + (progress ? 100000 : IDLE_NS));
}

void sim_turn_soon(struct sim_proc *p, reeve_time_ns at_ns)
{
    if (!runs(p) || at_ns >= p->turn_at_ns) return;
    p->turn_at_ns = at_ns;
    sim_at(p->sim, at_ns, turn, p, 0);
}

/* ---- launches ---- */

/* Where messages can be lost a launch may wait for ever; whoever watches it ends it when no record has come for long.
 * Only the hostile weather has this: otherwise a launch must never wait for ever. */
static void watch_event(struct sim *s, void *arg, uint64_t records)
{
    struct sim_launch *l = arg;
    if (l->over || s->complete) return;
    if (l->proc[0].appended_lsn == records) sim_kill_launch(l, "no record for five minutes");
    else sim_at(s, s->now_ns + 300 * REEVE_SECOND_NS, watch_event, l, l->proc[0].appended_lsn);
}

static void launch(struct sim *s)
{
    struct sim_launch *l = calloc(1, sizeof(*l));
    REEVE_ASSERT(l != NULL);
    l->sim = s;
    l->number = ++s->launch_count;
    l->workers = 1 + (uint32_t)sim_below(s, SIM_WORKERS_MAX);
    l->code = REEVE_EXIT_INTERNAL;
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
        sim_net_init(p);
        sim_collective_init(p);
    }
    sim_turn_soon(&l->proc[0], s->now_ns);
    const struct sim_weather *w = &s->plan.weather;
    if (w->drop_ppm + w->duplicate_ppm + w->reorder_ppm > 0)
        sim_at(s, s->now_ns + 300 * REEVE_SECOND_NS, watch_event, l, UINT64_MAX);
}

/* Workers begin once their master could open the run: it announces that. */
static void workers_begin(struct sim *s, void *arg, uint64_t number)
{
    struct sim_launch *l = arg;
    (void)number;
    if (runs(&l->proc[0]) && l->proc[0].loop == NULL && !l->over) {
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
        s->launches = l->next;
        for (uint32_t r = 0; r <= l->workers; r++) {
            if (!runs(&l->proc[r])) continue;
            l->proc[r].alive = false;
            free_parts(&l->proc[r]);
        }
        free(l);
    }
}
