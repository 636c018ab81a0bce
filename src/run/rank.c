/* See rank.h. */
#include "run/rank.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/absence.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/idle.h"
#include "base/log.h"
#include "coll/self.h"
#include "config/job_file.h"
#include "net/loopback.h"
#include "run/build_text.h"
#include "run/compute.h"
#include "run/evict.h"
#include "run/joined_transport.h"
#include "run/master_loop.h"
#include "run/owner_wait.h"
#include "run/tally.h"
#include "run/worker.h"
#include "store/owner.h"
#include "store/shard.h"

#define REFRESH_NS (10 * REEVE_SECOND_NS)
#define IDLE_SLEEP_NS 500000             /* the longest sleep when there is nothing to do */
#define REDUCING_SLEEP_NS 20000          /* and while others wait for this rank's part of a sum */
#define MASTER_PATIENCE_NS (30 * REEVE_SECOND_NS)
#define GOODBYE_NS (60 * REEVE_SECOND_NS) /* for the last messages to leave */

/* ---- the parts of a rank ---- */

struct master_part {
    reeve_owner *owner;
    struct reeve_recovered recovered;
    reeve_master_loop *loop;
    reeve_time_ns refreshed_ns, turned_ns;
};

struct worker_part {
    char *job_json;
    reeve_compute *compute;   /* NULL: it works a task list off */
    reeve_executor *executor; /* NULL: it trains */
    reeve_worker *worker;
    struct reeve_tally tally;
};

static int tell(const struct reeve_error *err)
{
    reeve_log(REEVE_LOG_ERROR, "%s", err->text);
    return reeve_status_exit_code(err->status);
}

static void open_log(const struct reeve_rank_config *config, const char *who, uint32_t rank)
{
    char path[REEVE_PATH_BYTES_MAX + 32];
    (void)snprintf(path, sizeof(path), "%s/log/rank-%05u.log", config->prepared->run_dir, rank);
    struct reeve_error err = {0};
    reeve_log_init(who, REEVE_LOG_INFO);
    if (reeve_log_open_file(path, &err) != REEVE_OK) reeve_log(REEVE_LOG_WARN, "no log file: %s", err.text);
    if (rank == 0 && config->device.why[0] != '\0') reeve_log(REEVE_LOG_INFO, "%s", config->device.why);
    bool speaks = rank == 0 || config->joins; /* the others have found the same, at the same time */
    if (speaks && config->kinds->mixed[0] != '\0') reeve_log(REEVE_LOG_WARN, "%s", config->kinds->mixed);
}

static void master_fini(struct master_part *m)
{
    reeve_master_loop_destroy(m->loop);
    reeve_recover_fini(&m->recovered);
    reeve_owner_release(m->owner);
    memset(m, 0, sizeof(*m)); /* a second call finds nothing */
}

/* lost: of a master that this one succeeds. */
static reeve_status own_run(struct master_part *m, const struct reeve_rank_config *config,
                            const struct reeve_members *members, struct reeve_error *err)
{
    struct reeve_owner_process *lost = calloc(members->count + 1u, sizeof(*lost));
    if (lost == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "own the run: out of memory");
    uint32_t count = 0;
    for (uint32_t i = 0; config->processes != NULL && i < members->count; i++)
        if (!members->here[i]) lost[count++] = config->processes[i];
    /* In a job of several nodes the master of the launch before may have died on another one. */
    struct reeve_owner_watch watch = {.looked_ns = 0};
    const char *run_dir = config->prepared->run_dir;
    if (count == 0) reeve_owner_wait(run_dir, REEVE_OWNER_MASTER, reeve_clock_now() + REEVE_OWNER_PATIENCE_NS, &watch);
    bool took_over = false;
    reeve_status st = reeve_owner_succeed(run_dir, lost, count, &watch, &m->owner, &took_over, err);
    free(lost);
    if (st == REEVE_OK && took_over && count == 0)
        reeve_log(REEVE_LOG_INFO, "the process that had this run is dead; taking the run over");
    return st;
}

static bool replaces(const struct reeve_rank_config *config)
{
    if (config->prepared->job.faults.replace == 0) return false;
    const char *hindrance = config->membership == NULL ? "a lost process ends this launch" : config->replace_not;
    if (hindrance == NULL) return true;
    reeve_log(REEVE_LOG_WARN, "faults.replace has no effect: %s", hindrance);
    return false;
}

/* succeeds: in place of a master that was lost. */
static reeve_status master_init(struct master_part *m, const struct reeve_rank_config *config,
                                const struct reeve_members *members, reeve_transport *transport,
                                struct reeve_evictor *evictor, bool succeeds, enum reeve_cause stop_cause,
                                struct reeve_error *err)
{
    memset(m, 0, sizeof(*m));
    const struct reeve_prepared *p = config->prepared;
    reeve_status st = own_run(m, config, members, err);
    if (st != REEVE_OK) return st;
    m->refreshed_ns = m->turned_ns = reeve_clock_now();
    if (!succeeds && p->tasks == NULL) reeve_shards_forget_verified(p->run_dir);
    uint32_t workers = transport->size - 1;
    st = p->tasks != NULL
             ? reeve_recover_list(p->run_dir, &p->job, p->tasks, workers, &m->recovered, err)
             : reeve_recover(p->run_dir, &p->job, p->manifest, workers, config->stop_at, succeeds, &m->recovered, err);
    if (st == REEVE_OK && m->recovered.info.torn_tail)
        reeve_log(REEVE_LOG_INFO, "the last write to the journal was cut short; its incomplete records were ignored");
    const char *build = config->kinds->build; /* of the workers: this process may compute nothing */
    if (st == REEVE_OK)
        reeve_build_tell_change(&m->recovered, build, reeve_job_is_plugin(&p->job), p->job.resources.threads);
    struct reeve_master_loop_config loop = {
        .run_dir = p->run_dir,
        .job = &p->job,
        .digest = p->tasks != NULL ? p->tasks->digest : p->manifest->digest,
        .tasks = p->tasks,
        .build = build,
        .workers = workers,
        .progress = config->progress ? stdout : NULL,
        .end_wall_ns = config->end_wall_ns > 0 ? config->end_wall_ns : INT64_MAX,
        .owner = m->owner,
        .evictor = config->membership != NULL ? evictor : NULL,
        .regroups = config->membership != NULL,
        .replaces = replaces(config),
        .stop_cause = stop_cause,
    };
    if (st == REEVE_OK)
        st = reeve_master_loop_create(&loop, &m->recovered, transport, succeeds ? members : NULL, &m->loop, err);
    if (st != REEVE_OK) master_fini(m);
    return st;
}

static reeve_status master_turn(struct master_part *m, reeve_time_ns now_ns, bool *progress, bool *ended,
                                struct reeve_error *err)
{
    bool was_away = reeve_absence(&m->turned_ns, now_ns, REEVE_ABSENCE_NS) > 0; /* it may have been given up meanwhile */
    if (was_away || now_ns - m->refreshed_ns >= REFRESH_NS) {
        m->refreshed_ns = now_ns;
        reeve_status st = reeve_owner_refresh(m->owner, err);
        if (st != REEVE_OK) return st;
    }
    return reeve_master_loop_turn(m->loop, now_ns, progress, ended, err);
}

static void worker_fini(struct worker_part *w)
{
    reeve_worker_destroy(w->worker);
    reeve_executor_destroy(w->executor);
    reeve_compute_destroy(w->compute);
    free(w->job_json);
    memset(w, 0, sizeof(*w));
}

static reeve_status create_compute(struct worker_part *w, const struct reeve_rank_config *config,
                                   struct reeve_error *err)
{
    const struct reeve_prepared *p = config->prepared;
    if (config->device.cuda)
        reeve_log(REEVE_LOG_INFO, "computing on GPU %u of %s: %s", config->device.index, config->host,
                  config->card[0] != '\0' ? config->card : "its driver does not say which");
    reeve_status st = reeve_job_format_json(&p->job, &w->job_json, err);
    struct reeve_compute_config compute = {.job = &p->job,
                                           .manifest = p->manifest,
                                           .run_dir = p->run_dir,
                                           .job_json = w->job_json,
                                           .ops = config->ops,
                                           .cuda = config->device.cuda,
                                           .device_index = config->device.index};
    return st == REEVE_OK ? reeve_compute_create(&compute, &w->compute, err) : st;
}

static reeve_status create_executor(struct worker_part *w, const struct reeve_prepared *p, uint32_t id,
                                    struct reeve_error *err)
{
    struct reeve_executor_config executor = {
        .job = &p->job, .tasks = p->tasks, .run_dir = p->run_dir, .worker = id, .warden = "/proc/self/exe"};
    return reeve_executor_create(&executor, &w->executor, err);
}

static reeve_status worker_init(struct worker_part *w, const struct reeve_rank_config *config, uint32_t id,
                                uint32_t workers, reeve_transport *transport, struct reeve_collectives collectives,
                                struct reeve_error *err)
{
    memset(w, 0, sizeof(*w));
    const struct reeve_prepared *p = config->prepared;
    reeve_tally_begin(&w->tally, p, id, workers, config->host);
    reeve_status st = p->tasks != NULL ? create_executor(w, p, id, err) : create_compute(w, config, err);
    struct reeve_worker_config worker = {
        .id = id,
        .credits = p->tasks != NULL ? p->job.exec.ahead : p->job.faults.credits,
        /* The master decides first: a worker that gave up before it would only hide who was silent. */
        .silence_ns = 2 * p->job.faults.silence_stop_s * REEVE_SECOND_NS + MASTER_PATIENCE_NS,
        .evict_ns = p->job.faults.evict_min_s * REEVE_SECOND_NS,
        .stays = config->membership != NULL,
        .joins = config->joins,
        .host = config->host,
        .tally = &w->tally,
    };
    if (st == REEVE_OK)
        st = reeve_worker_create(&worker, transport, collectives, w->compute, w->executor, &w->worker, err);
    if (st != REEVE_OK) worker_fini(w);
    return st;
}

/* ---- a rank ---- */

struct rank {
    const struct reeve_rank_config *config;
    struct reeve_members members;
    bool is_master, is_worker;
    struct master_part master;
    struct worker_part worker;
    reeve_transport *near_master, *near_worker; /* owned; where both are here: the line between them */
    reeve_transport *joined;                    /* owned; the master's then, where others are elsewhere */
    bool *here;                                 /* (members.count,) owned; before the last regrouping */
    struct reeve_owner_process *was;            /* (members.count,) owned; who they were then */
    struct reeve_evictor evictor;
};

static void rank_fini(struct rank *r)
{
    if (r->is_worker) worker_fini(&r->worker);
    if (r->is_master) master_fini(&r->master);
    if (r->joined != NULL) r->joined->ops->destroy(r->joined);
    if (r->near_master != NULL) r->near_master->ops->destroy(r->near_master);
    if (r->near_worker != NULL) r->near_worker->ops->destroy(r->near_worker);
    reeve_evictor_fini(&r->evictor);
    free(r->was);
    free(r->here);
}

/* ---- after a loss ---- */

/* A process that was given up must not wake up and go on. Those on other hosts find their communicators revoked, and
 * the run in other hands. */
static void end_the_lost(const struct rank *r)
{
    const struct reeve_members *m = &r->members;
    for (uint32_t i = 0; i < m->count; i++) {
        bool gone = r->here[i] && (!m->here[i] || (m->came != NULL && m->came[i]));
        if (gone && i != m->self && reeve_owner_process_end(&r->was[i]))
            reeve_log(REEVE_LOG_WARN, "ended process %lld of member %u, which was given up and still there",
                      (long long)r->was[i].pid, i);
    }
}

/* The transport of the master's part over the members of now. */
static reeve_status join_transports(struct rank *r, reeve_transport **out, struct reeve_error *err)
{
    *out = r->members.transport;
    if (!r->is_worker) return REEVE_OK;
    reeve_status st = REEVE_OK;
    if (r->joined != NULL) r->joined->ops->destroy(r->joined);
    if (r->near_master != NULL) r->near_master->ops->destroy(r->near_master);
    if (r->near_worker != NULL) r->near_worker->ops->destroy(r->near_worker);
    r->joined = r->near_master = r->near_worker = NULL;
    st = reeve_loopback_create(&r->near_master, &r->near_worker, err);
    if (st == REEVE_OK)
        st = reeve_joined_transport_create(r->members.transport, r->near_master, r->members.self, &r->joined, err);
    *out = r->joined;
    return st;
}

static reeve_status become_master(struct rank *r, reeve_transport *transport, struct reeve_error *err)
{
    reeve_log(REEVE_LOG_WARN, "the master is lost; worker %u goes on in its place", r->members.self);
    reeve_status st = master_init(&r->master, r->config, &r->members, transport, &r->evictor, true,
                                  reeve_worker_stop_cause(r->worker.worker), err);
    r->is_master = st == REEVE_OK;
    return st;
}

static reeve_status come_together(struct rank *r, struct reeve_error *err)
{
    reeve_membership *m = r->config->membership;
    reeve_time_ns patience_ns = r->config->prepared->job.faults.evict_min_s * REEVE_SECOND_NS;
    reeve_evictor_guard *guard = reeve_evictor_guard_start(&r->evictor, &r->members, patience_ns);
    reeve_status st = m->ops->regroup(m, &r->members, err);
    reeve_evictor_guard_stop(guard);
    return st;
}

static reeve_status go_on(struct rank *r, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    reeve_transport *transport = NULL;
    bool leads = r->members.self == r->members.master;
    if (leads) st = join_transports(r, &transport, err);
    if (st == REEVE_OK && r->is_worker)
        reeve_worker_regroup(r->worker.worker, leads ? r->near_worker : r->members.transport, r->members.collectives);
    if (st != REEVE_OK || !leads) return st;
    r->config->announce(r->members.transport, true, r->config->prepared);
    if (!r->is_master) return become_master(r, transport, err);
    return reeve_master_loop_regroup(r->master.loop, transport, &r->members, err);
}

static reeve_status regroup(struct rank *r, struct reeve_error *err)
{
    memcpy(r->here, r->members.here, r->members.count * sizeof(*r->here));
    memcpy(r->was, r->config->processes, r->members.count * sizeof(*r->was));
    if (r->is_worker)
        reeve_worker_regroup(r->worker.worker, NULL, (struct reeve_collectives){0}); /* its ends are about to go */
    reeve_status st = come_together(r, err);
    if (st != REEVE_OK) return st;
    end_the_lost(r);
    st = go_on(r, err);
    reeve_evictor_regrouped(&r->evictor);
    return st;
}

/* ---- the loop ---- */

static reeve_status turn(struct rank *r, bool *progress, bool *master_ended, bool *worker_ended,
                         struct reeve_error *err)
{
    reeve_time_ns now_ns = reeve_clock_now();
    reeve_status st = REEVE_OK;
    if (r->is_master) st = master_turn(&r->master, now_ns, progress, master_ended, err);
    if (st == REEVE_OK && r->is_worker && !*worker_ended)
        st = reeve_worker_turn(r->worker.worker, now_ns, progress, worker_ended, err);
    if (st == REEVE_OK && !r->is_master) reeve_evictor_watch_master(&r->evictor, &r->members, r->worker.worker, now_ns);
    return st == REEVE_OK ? reeve_evictor_turn(&r->evictor, now_ns, err) : st;
}

/* The master's wish to have lost workers replaced is a regrouping that nobody's loss has caused. */
static reeve_status replace_lost(struct rank *r)
{
    reeve_membership *m = r->config->membership;
    if (!r->is_master || m == NULL || !reeve_master_loop_replaces(r->master.loop, reeve_clock_now())) return REEVE_OK;
    m->ops->replace(m);
    return REEVE_WORKER_LOST;
}

/* Turns until the run ends here: for a master with everybody's goodbye, for a worker with its own. */
static reeve_status run(struct rank *r, bool regroup_first, struct reeve_error *err)
{
    struct reeve_idle idle;
    reeve_idle_init(&idle, r->config->cores_short);
    bool master_ended = false, worker_ended = false;
    reeve_status st = regroup_first ? REEVE_WORKER_LOST : REEVE_OK;
    for (;;) {
        while (st == REEVE_WORKER_LOST && r->config->membership != NULL)
            st = regroup(r, err);
        if (st != REEVE_OK || (r->is_master ? master_ended : worker_ended)) return st;
        bool progress = false;
        st = turn(r, &progress, &master_ended, &worker_ended, err);
        if (st == REEVE_OK && !master_ended) st = replace_lost(r);
        if (progress) reeve_idle_reset(&idle);
        else
            reeve_idle_wait(&idle, r->is_worker && reeve_worker_is_reducing(r->worker.worker) ? REDUCING_SLEEP_NS
                                                                                              : IDLE_SLEEP_NS);
    }
}

/* A master that was given up and woke up: the run's files are another's, and not a word of this one belongs in them. */
static bool was_taken_over(const struct master_part *m, struct reeve_error *err)
{
    struct reeve_error taken = {0};
    taken.status = reeve_owner_refresh(m->owner, &taken);
    if (taken.status != REEVE_STORE_IN_USE) return false;
    *err = taken;
    return true;
}

/* The last words: of a master to people, and then to its workers. While any of them is here somebody can take its place. */
static int finish(struct rank *r, reeve_status st, struct reeve_rank_end *end, struct reeve_error *err)
{
    int code = REEVE_EXIT_DONE;
    bool leads = r->is_master && !was_taken_over(&r->master, err);
    if (r->is_master && !leads) st = err->status;
    err->status = st;
    if (leads) code = reeve_master_loop_end(r->master.loop, err);
    else if (st != REEVE_OK) code = tell(err);
    if (st == REEVE_OK && r->is_master && r->config->membership != NULL) reeve_master_loop_release(r->master.loop);
    reeve_transport *transport = r->members.transport;
    if (st == REEVE_OK && transport != NULL) {
        st = transport->ops->flush(transport, reeve_clock_now() + GOODBYE_NS, err);
        if (st == REEVE_WORKER_LOST && r->config->membership != NULL) st = REEVE_OK; /* after its work was done */
        if (st != REEVE_OK) code = tell(err);
    }
    end->clean = st == REEVE_OK;
    end->master = r->is_master;
    end->told = end->clean && r->is_master;
    if (r->is_worker) reeve_tally_end(&r->worker.tally, r->config->prepared);
    rank_fini(r);
    return code;
}

static reeve_status rank_init(struct rank *r, const struct reeve_rank_config *config,
                              const struct reeve_members *members, struct reeve_error *err)
{
    memset(r, 0, sizeof(*r));
    r->config = config;
    r->members = *members;
    r->here = calloc(members->count + 1u, sizeof(*r->here));
    r->was = calloc(members->count + 1u, sizeof(*r->was));
    if (r->here == NULL || r->was == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "out of memory");
    const struct reeve_owner_process *processes = config->membership != NULL ? config->processes : NULL;
    return reeve_evictor_init(&r->evictor, processes, members->count, err);
}

int reeve_rank_master(const struct reeve_rank_config *config, const struct reeve_members *members,
                      struct reeve_rank_end *end)
{
    *end = (struct reeve_rank_end){.master = true};
    open_log(config, "master", 0);
    struct reeve_error err = {0};
    struct rank r;
    reeve_status st = rank_init(&r, config, members, &err);
    if (st == REEVE_OK)
        st = master_init(&r.master, config, members, members->transport, &r.evictor, false, REEVE_CAUSE_NONE, &err);
    r.is_master = st == REEVE_OK;
    config->announce(members->transport, r.is_master, config->prepared);
    if (!r.is_master) {
        end->clean = true; /* the workers were told to end, and nobody waits for this rank */
        rank_fini(&r);
        return tell(&err);
    }
    st = run(&r, false, &err);
    return finish(&r, st, end, &err);
}

int reeve_rank_worker(const struct reeve_rank_config *config, const struct reeve_members *members,
                      struct reeve_rank_end *end)
{
    *end = (struct reeve_rank_end){0};
    char who[32];
    (void)snprintf(who, sizeof(who), "worker %" PRIu32, members->self);
    open_log(config, who, members->self);
    struct reeve_error err = {0};
    struct rank r;
    reeve_status st = rank_init(&r, config, members, &err);
    if (st == REEVE_OK)
        st = worker_init(&r.worker, config, members->self, members->count - 1, members->transport, members->collectives,
                         &err);
    r.is_worker = st == REEVE_OK;
    if (!r.is_worker) {
        rank_fini(&r);
        return tell(&err);
    }
    st = run(&r, members->collectives.host == NULL && config->prepared->tasks == NULL, &err);
    return finish(&r, st, end, &err);
}

int reeve_rank_alone(const struct reeve_rank_config *config, reeve_collective *device)
{
    open_log(config, "reeve", 0);
    struct reeve_error err = {0};
    struct reeve_rank_config own = *config;
    own.cores_short = true; /* the compute thread wants the core */
    struct reeve_members members = {.count = 0, .collectives = {.device = device}};
    struct reeve_rank_end end;
    struct rank r;
    reeve_status st = rank_init(&r, &own, &members, &err);
    if (st == REEVE_OK) st = reeve_loopback_create(&r.near_master, &r.near_worker, &err);
    if (st == REEVE_OK) st = reeve_coll_self_create(&members.collectives.host, &err);
    if (st == REEVE_OK) st = master_init(&r.master, &own, &members, r.near_master, NULL, false, REEVE_CAUSE_NONE, &err);
    r.is_master = st == REEVE_OK;
    if (st == REEVE_OK) st = worker_init(&r.worker, &own, 1, 1, r.near_worker, members.collectives, &err);
    r.is_worker = st == REEVE_OK;
    if (st == REEVE_OK) st = run(&r, false, &err);
    err.status = st;
    int code = finish(&r, st, &end, &err);
    reeve_collective *host = members.collectives.host;
    if (host != NULL) host->ops->destroy(host);
    return code;
}
