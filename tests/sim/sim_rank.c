/* What run/rank.c asks for besides the seams: the lock of the run, the first word to the workers, how to wait; and what
 * the checkers want to know of the master's part in it. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/idle.h"
#include "base/log.h"
#include "checkers.h"
#include "coll/self.h"
#include "config/job_file.h"
#include "run/build_text.h"
#include "run/compute.h"
#include "run/executor.h"
#include "run/joined_transport.h"
#include "run/owner_wait.h"
#include "run/rank.h"
#include "sim.h"
#include "store/shard.h"

#define IDLE_NS (200 * REEVE_MILLISECOND_NS) /* between turns without news */
#define BUSY_NS 100000                       /* between turns with news */

/* ---- how a rank waits (base/idle.h) ---- */

void reeve_idle_init(struct reeve_idle *idle, bool cores_short)
{
    (void)idle, (void)cores_short;
}

void reeve_idle_reset(struct reeve_idle *idle)
{
    (void)idle;
    sim_wait(sim_running, sim_running->sim->now_ns + BUSY_NS);
}

void reeve_idle_wait(struct reeve_idle *idle, reeve_time_ns sleep_ns_max)
{
    (void)idle, (void)sleep_ns_max;
    sim_wait(sim_running, sim_running->sim->now_ns + IDLE_NS);
}

/* ---- RUN/LOCK (store/owner.h) ---- */

static struct sim_proc *find_process(const struct sim *s, int64_t pid)
{
    for (struct sim_launch *l = s->launches; l != NULL; l = l->next)
        for (uint32_t r = 0; r <= l->workers; r++)
            if (l->process[r].pid == pid) return &l->proc[r];
    return NULL;
}

static int64_t own_pid(const struct sim_proc *p)
{
    return p->launch->process[p->rank].pid;
}

void reeve_owner_wait(const char *run_dir, enum reeve_owner_role role, reeve_time_ns end_ns,
                      struct reeve_owner_watch *watch)
{
    (void)run_dir, (void)role, (void)end_ns, (void)watch; /* the supervisor starts the run again instead */
}

void reeve_shards_forget_verified(const char *run_dir)
{
    (void)run_dir; /* there are no shards */
}

/* The owner is known to be dead where it ran here; elsewhere after a minute of silence. */
reeve_status reeve_owner_succeed(const char *run_dir, const struct reeve_owner_process *lost, uint32_t lost_count,
                                 const struct reeve_owner_watch *watch, reeve_owner **out, bool *took_over,
                                 struct reeve_error *err)
{
    struct sim_proc *p = sim_running;
    struct sim *s = p->sim;
    (void)run_dir, (void)watch;
    if (!p->alive) return reeve_fail(err, REEVE_STORE_WRITE, "the process is dead");
    const struct sim_proc *owner = find_process(s, s->owner);
    bool gone = owner == NULL || owner == p || !sim_runs(owner) ||
                s->now_ns - s->owner_ns > REEVE_OWNER_SILENT_S * REEVE_SECOND_NS;
    for (uint32_t i = 0; i < lost_count; i++)
        gone |= lost[i].pid == s->owner;
    if (!gone) return reeve_fail(err, REEVE_STORE_IN_USE, "the run is in use by process %lld", (long long)s->owner);
    *took_over = s->owner != 0;
    s->owner = own_pid(p);
    s->owner_ns = s->now_ns;
    *out = (reeve_owner *)(void *)p;
    return REEVE_OK;
}

reeve_status reeve_owner_refresh(reeve_owner *o, struct reeve_error *err)
{
    struct sim_proc *p = (struct sim_proc *)(void *)o;
    struct sim *s = p->sim;
    if (s->owner != own_pid(p))
        return reeve_fail(err, REEVE_STORE_IN_USE, "process %lld has taken the run over", (long long)s->owner);
    s->owner_ns = s->now_ns;
    return REEVE_OK;
}

void reeve_owner_release(reeve_owner *o)
{
    struct sim_proc *p = (struct sim_proc *)(void *)o;
    if (p != NULL && p->alive && p->sim->owner == own_pid(p)) p->sim->owner = 0;
}

/* Only where it can be seen: on the same host. */
enum reeve_owner_look reeve_owner_process_look(const struct reeve_owner_process *process)
{
    const struct sim *s = sim_running->sim;
    const struct sim_proc *p = find_process(s, process->pid);
    if (!sim_running->alive || !s->plan.weather.one_host || p == NULL) return REEVE_OWNER_PROCESS_UNSEEN;
    if (!sim_runs(p)) return REEVE_OWNER_PROCESS_GONE;
    return p->stalled_until_ns > s->now_ns ? REEVE_OWNER_PROCESS_STOPPED : REEVE_OWNER_PROCESS_RUNS;
}

bool reeve_owner_process_end(const struct reeve_owner_process *process)
{
    struct sim *s = sim_running->sim;
    struct sim_proc *p = find_process(s, process->pid);
    if (!sim_running->alive || !s->plan.weather.one_host || p == NULL || !sim_runs(p)) return false;
    sim_check_put_out(p);
    s->evictions += !p->given_up;
    sim_kill(p, p->given_up ? "it was given up, and a survivor saw it" : "it hangs, and is put out");
    return true;
}

/* ---- the guard of a regrouping (run/evict_guard.c): a thread there, an event here ---- */

static void guard_event(struct sim *s, void *arg, uint64_t number)
{
    struct sim_proc *p = arg;
    if (!sim_runs(p) || p->guards != number) return;
    if (p->stalled_until_ns <= s->now_ns) {
        sim_running = p;
        reeve_evictor_eye_look(&p->eye, s->now_ns);
        sim_running = NULL;
    }
    sim_at(s, s->now_ns + REEVE_SECOND_NS, guard_event, p, number);
}

reeve_evictor_guard *reeve_evictor_guard_start(const struct reeve_evictor *e, const struct reeve_members *members,
                                               reeve_time_ns patience_ns)
{
    struct sim_proc *p = sim_running;
    struct reeve_error err;
    if (patience_ns == 0 || e->processes == NULL || !p->alive) return NULL;
    reeve_status st = reeve_evictor_eye_init(&p->eye, e, members, patience_ns, &err);
    REEVE_ASSERT(st == REEVE_OK);
    sim_at(p->sim, p->sim->now_ns + REEVE_SECOND_NS, guard_event, p, ++p->guards);
    return (reeve_evictor_guard *)(void *)p;
}

void reeve_evictor_guard_stop(reeve_evictor_guard *guard)
{
    struct sim_proc *p = (struct sim_proc *)(void *)guard;
    if (p == NULL) return;
    p->guards++;
    reeve_evictor_eye_fini(&p->eye);
}

/* ---- the first word (cli/reeve_rank.c) ---- */

/* As tell_all() there. Where losses end the launch, workers are begun by an event instead (sim_process.c). */
static void announce(reeve_transport *t, bool go_on, const struct reeve_prepared *prepared)
{
    struct sim_proc *p = sim_running;
    unsigned char message[256];
    size_t bytes = 0;
    const struct reeve_frame first = {.kind = REEVE_FRAME_FIRST, .arg = go_on};
    (void)prepared;
    bool again = p->launch->opened;
    p->announced = go_on;
    p->launch->opened |= go_on;
    if (p->sim->plan.weather.in_job) {
        struct reeve_error err = {0};
        reeve_status st = REEVE_OK;
        (void)reeve_frame_push(message, sizeof(message), &bytes, &first, NULL);
        for (uint32_t peer = 1; peer < t->size && (st == REEVE_OK || st == REEVE_WORKER_LOST); peer++)
            st = t->ops->send(t, peer, message, bytes, &err);
    }
    if (go_on && !again) sim_wait(p, p->sim->now_ns + IDLE_NS);
}

/* As hear_first() there. False: there is nothing to begin with. */
static bool hear_first(struct sim_proc *p, struct reeve_members *members)
{
    unsigned char message[REEVE_MESSAGE_BYTES_MAX];
    struct reeve_error err = {0};
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK) {
        uint32_t peer = UINT32_MAX;
        size_t n = 0, offset = 0;
        st = members->transport->ops->poll(members->transport, &peer, message, &n, &err);
        if (st == REEVE_OK && n > 0) {
            struct reeve_frame f = {0};
            const char *text;
            _Bool end;
            (void)reeve_frame_next(message, n, &offset, &f, &text, &end);
            p->begun = f.kind == REEVE_FRAME_FIRST && f.arg != 0;
            return p->begun;
        }
        if (st == REEVE_WORKER_LOST && peer != 0 && peer != UINT32_MAX) st = REEVE_OK;
        else if (st == REEVE_WORKER_LOST && peer == UINT32_MAX) {
            st = p->membership.ops->regroup(&p->membership, members, &err);
            if (st == REEVE_OK && members->self == members->master) st = REEVE_JOB_INTERNAL;
        }
        if (st == REEVE_OK) sim_wait(p, p->sim->now_ns + IDLE_NS);
    }
    return false;
}

/* ---- a rank ---- */

static const struct reeve_workload_ops workload = {.name = "sim"};
static const struct reeve_kinds kinds = {.build = "simulated"};

void sim_rank_live(struct sim_proc *p)
{
    struct sim_launch *l = p->launch;
    bool in_job = p->sim->plan.weather.in_job;
    char host[16];
    (void)snprintf(host, sizeof(host), "host%u", p->rank / 2);
    struct reeve_rank_config config = {.prepared = &l->prepared,
                                       .host = host,
                                       .ops = &workload,
                                       .kinds = &kinds,
                                       .membership = in_job ? &p->membership : NULL,
                                       .processes = in_job ? l->process : NULL,
                                       .joins = p->joins,
                                       .announce = announce};
    struct reeve_members members = {.self = p->rank,
                                    .count = l->workers + 1,
                                    .here = p->here,
                                    .transport = &p->transport,
                                    .collectives.host = p->rank > 0 ? &p->collective : NULL};
    struct reeve_rank_end end = {0};
    int code = REEVE_EXIT_INTERNAL;
    if (p->joins) members.master = p->leader;
    if (p->rank == 0) code = reeve_rank_master(&config, &members, &end);
    else if (!in_job || hear_first(p, &members)) code = reeve_rank_worker(&config, &members, &end);
    if (p->alive && p->joins && !end.clean && !end.master) sim_kill(p, "it cannot go on, the others can");
    if (!p->alive) {
        sim_net_fini(p);
        return;
    }
    bool was_master = end.master || p->rank == 0;
    sim_trace(p->sim, "%s %u of launch %u ends: %d%s", was_master ? "master" : "worker", p->rank, l->number, code,
              end.clean ? "" : ", and the job with it");
    if (was_master && (!p->given_up || code == REEVE_EXIT_DONE)) l->code = code;
    sim_end(p, end.clean && (p->announced || !was_master));
}

/* ---- what the checkers see of the master's part ---- */

reeve_status __real_reeve_recover(const char *run_dir, const struct reeve_job *job,
                                  const struct reeve_manifest *manifest, uint32_t workers, uint64_t stop_at,
                                  bool succeeds, struct reeve_recovered *out, struct reeve_error *err);
reeve_status __wrap_reeve_recover(const char *run_dir, const struct reeve_job *job,
                                  const struct reeve_manifest *manifest, uint32_t workers, uint64_t stop_at,
                                  bool succeeds, struct reeve_recovered *out, struct reeve_error *err);
void __real_reeve_recover_fini(struct reeve_recovered *r);
void __wrap_reeve_recover_fini(struct reeve_recovered *r);
reeve_status __real_reeve_master_loop_turn(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress, bool *ended,
                                           struct reeve_error *err);
reeve_status __wrap_reeve_master_loop_turn(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress, bool *ended,
                                           struct reeve_error *err);
reeve_status __real_reeve_master_loop_regroup(reeve_master_loop *l, reeve_transport *transport,
                                              const struct reeve_members *members, struct reeve_error *err);
reeve_status __wrap_reeve_master_loop_regroup(reeve_master_loop *l, reeve_transport *transport,
                                              const struct reeve_members *members, struct reeve_error *err);

reeve_status __wrap_reeve_recover(const char *run_dir, const struct reeve_job *job,
                                  const struct reeve_manifest *manifest, uint32_t workers, uint64_t stop_at,
                                  bool succeeds, struct reeve_recovered *out, struct reeve_error *err)
{
    struct sim_proc *p = sim_running;
    reeve_status st = __real_reeve_recover(run_dir, job, manifest, workers, stop_at, succeeds, out, err);
    if (st == REEVE_OK) {
        p->master = out->master;
        p->term = p->epoch = out->info.last_epoch + 1;
    }
    sim_check_recovered(p, st, err);
    if (st != REEVE_OK || !out->complete || p->rank != 0) return st;
    p->launch->code = REEVE_EXIT_DONE; /* reeve_prepare() would have found that, and nobody would have been started */
    sim_kill_launch(p->launch, "nothing is left to do");
    return REEVE_JOB_STOPPED;
}

void __wrap_reeve_recover_fini(struct reeve_recovered *r)
{
    if (sim_running->master == r->master) sim_running->master = NULL;
    __real_reeve_recover_fini(r);
}

static reeve_status judge(reeve_status st, const struct reeve_error *err)
{
    if (st == REEVE_STORE_CORRUPT && sim_running->alive)
        sim_violate(sim_running->sim, "what is decided can be", "%s", err->text);
    return st;
}

reeve_status __wrap_reeve_master_loop_turn(reeve_master_loop *l, reeve_time_ns now_ns, bool *progress, bool *ended,
                                           struct reeve_error *err)
{
    return judge(__real_reeve_master_loop_turn(l, now_ns, progress, ended, err), err);
}

reeve_status __wrap_reeve_master_loop_regroup(reeve_master_loop *l, reeve_transport *transport,
                                              const struct reeve_members *members, struct reeve_error *err)
{
    return judge(__real_reeve_master_loop_regroup(l, transport, members, err), err);
}

/* ---- what is not there: workloads, executors, a rank alone ---- */

reeve_status reeve_job_format_json(const struct reeve_job *job, char **text, struct reeve_error *err)
{
    (void)job, (void)err;
    *text = calloc(1, 1);
    REEVE_ASSERT(*text != NULL);
    return REEVE_OK;
}

reeve_status reeve_compute_create(const struct reeve_compute_config *config, reeve_compute **out,
                                  struct reeve_error *err)
{
    (void)config, (void)err;
    *out = sim_running->compute = sim_compute_create(sim_running);
    return REEVE_OK;
}

reeve_status reeve_executor_create(const struct reeve_executor_config *config, reeve_executor **out,
                                   struct reeve_error *err)
{
    (void)config, (void)out;
    return reeve_fail(err, REEVE_INPUT_INVALID, "the simulated worlds train");
}

void reeve_executor_destroy(reeve_executor *x)
{
    (void)x;
}

reeve_status reeve_coll_self_create(reeve_collective **out, struct reeve_error *err)
{
    (void)out;
    return reeve_fail(err, REEVE_INPUT_INVALID, "no simulated rank is alone from its start");
}

void reeve_build_here(struct reeve_build *build)
{
    (void)build;
}

void reeve_build_text(const struct reeve_build *build, const char *library, const char *device, char *text,
                      size_t text_bytes)
{
    (void)build, (void)library, (void)device;
    (void)snprintf(text, text_bytes, "simulated");
}

void reeve_build_tell_change(const struct reeve_recovered *from, const char *build, bool plugin, uint32_t threads)
{
    (void)from, (void)build, (void)plugin, (void)threads;
}

void reeve_log_init(const char *who, enum reeve_log_level stderr_level)
{
    (void)who, (void)stderr_level;
}

reeve_status reeve_log_open_file(const char *path, struct reeve_error *err)
{
    (void)path, (void)err;
    return REEVE_OK;
}
