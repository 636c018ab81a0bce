/* See rank.h. */
#include "run/rank.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/idle.h"
#include "base/log.h"
#include "coll/self.h"
#include "config/job_file.h"
#include "net/loopback.h"
#include "run/compute.h"
#include "run/master_loop.h"
#include "run/worker.h"
#include "store/owner.h"
#include "workload/registry.h"

#define REFRESH_NS (10 * REEVE_SECOND_NS)
#define IDLE_SLEEP_NS 500000    /* the longest sleep when there is nothing to do */
#define REDUCING_SLEEP_NS 20000 /* and while others wait for this rank's part of a sum */
#define MASTER_PATIENCE_NS (30 * REEVE_SECOND_NS)
#define GOODBYE_NS (60 * REEVE_SECOND_NS) /* for the last messages to leave */

/* ---- the parts of a rank ---- */

struct master_part {
    reeve_owner *owner;
    struct reeve_recovered recovered;
    reeve_master_loop *loop;
    reeve_time_ns refreshed_ns;
};

struct worker_part {
    char *job_json;
    reeve_compute *compute;   /* NULL: it works a task list off */
    reeve_executor *executor; /* NULL: it trains */
    reeve_worker *worker;
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
}

static void master_fini(struct master_part *m)
{
    reeve_master_loop_destroy(m->loop);
    reeve_recover_fini(&m->recovered);
    reeve_owner_release(m->owner);
    memset(m, 0, sizeof(*m)); /* a second call finds nothing */
}

static reeve_status master_init(struct master_part *m, const struct reeve_rank_config *config,
                                reeve_transport *transport, struct reeve_error *err)
{
    memset(m, 0, sizeof(*m));
    const struct reeve_prepared *p = config->prepared;
    bool took_over = false;
    reeve_status st = reeve_owner_acquire(p->run_dir, &m->owner, &took_over, err);
    if (st != REEVE_OK) return st;
    if (took_over) reeve_log(REEVE_LOG_INFO, "the process that had this run is dead; taking the run over");
    m->refreshed_ns = reeve_clock_now();
    uint32_t workers = transport->size - 1;
    st = p->tasks != NULL
             ? reeve_recover_list(p->run_dir, &p->job, p->tasks, workers, &m->recovered, err)
             : reeve_recover(p->run_dir, &p->job, p->manifest, workers, config->stop_at, &m->recovered, err);
    if (st == REEVE_OK && m->recovered.info.torn_tail)
        reeve_log(REEVE_LOG_INFO, "the last write to the journal was cut short; its incomplete records were ignored");
    struct reeve_master_loop_config loop = {
        .run_dir = p->run_dir,
        .job = &p->job,
        .digest = p->tasks != NULL ? p->tasks->digest : p->manifest->digest,
        .tasks = p->tasks,
        .workers = workers,
        .progress = config->progress ? stdout : NULL,
        .end_wall_ns = config->end_wall_ns > 0 ? config->end_wall_ns : INT64_MAX,
    };
    if (st == REEVE_OK) st = reeve_master_loop_create(&loop, &m->recovered, transport, &m->loop, err);
    if (st != REEVE_OK) master_fini(m);
    return st;
}

static reeve_status master_turn(struct master_part *m, reeve_time_ns now_ns, bool *progress, bool *ended,
                                struct reeve_error *err)
{
    if (now_ns - m->refreshed_ns >= REFRESH_NS) {
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

static reeve_status create_compute(struct worker_part *w, const struct reeve_prepared *p, struct reeve_error *err)
{
    const struct reeve_workload_ops *ops = reeve_workload_find(p->job.workload);
    if (ops == NULL)
        return reeve_fail(err, REEVE_INPUT_INVALID, "workload '%s' is unknown; this build has: gpt, exec",
                          p->job.workload);
    reeve_status st = reeve_job_format_json(&p->job, &w->job_json, err);
    struct reeve_compute_config compute = {
        .job = &p->job, .manifest = p->manifest, .run_dir = p->run_dir, .job_json = w->job_json, .ops = ops};
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
                                reeve_transport *transport, reeve_collective *collective, struct reeve_error *err)
{
    memset(w, 0, sizeof(*w));
    const struct reeve_prepared *p = config->prepared;
    reeve_status st = p->tasks != NULL ? create_executor(w, p, id, err) : create_compute(w, p, err);
    struct reeve_worker_config worker = {
        .id = id,
        .credits = p->tasks != NULL ? p->job.exec.ahead : p->job.faults.credits,
        /* The master decides first: a worker that gave up before it would only hide who was silent. */
        .silence_ns = 2 * p->job.faults.silence_stop_s * REEVE_SECOND_NS + MASTER_PATIENCE_NS,
        .host = config->host,
    };
    if (st == REEVE_OK)
        st = reeve_worker_create(&worker, transport, collective, w->compute, w->executor, &w->worker, err);
    if (st != REEVE_OK) worker_fini(w);
    return st;
}

/* ---- the loops ---- */

int reeve_rank_master(const struct reeve_rank_config *config, reeve_transport *transport, reeve_rank_announce *announce,
                      bool *clean, bool *told)
{
    *told = false;
    open_log(config, "master", 0);
    struct reeve_error err = {0};
    struct master_part m;
    bool go_on = master_init(&m, config, transport, &err) == REEVE_OK;
    announce(transport, go_on, config->prepared->run_dir);
    *clean = !go_on; /* then the workers were told to end, and nobody waits for this rank */
    if (!go_on) return tell(&err);
    struct reeve_idle idle;
    reeve_idle_init(&idle, config->cores_short);
    bool ended = false;
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK && !ended) {
        bool progress = false;
        st = master_turn(&m, reeve_clock_now(), &progress, &ended, &err);
        if (progress) reeve_idle_reset(&idle);
        else reeve_idle_wait(&idle, IDLE_SLEEP_NS);
    }
    if (st == REEVE_OK) st = transport->ops->flush(transport, reeve_clock_now() + GOODBYE_NS, &err);
    err.status = st;
    *clean = *told = st == REEVE_OK;
    int code = reeve_master_loop_end(m.loop, &err);
    master_fini(&m);
    return code;
}

int reeve_rank_worker(const struct reeve_rank_config *config, reeve_transport *transport, reeve_collective *collective,
                      bool *clean)
{
    *clean = false;
    char who[32];
    (void)snprintf(who, sizeof(who), "worker %" PRIu32, transport->self);
    open_log(config, who, transport->self);
    struct reeve_error err = {0};
    struct worker_part w;
    if (worker_init(&w, config, transport->self, transport, collective, &err) != REEVE_OK) return tell(&err);
    struct reeve_idle idle;
    reeve_idle_init(&idle, config->cores_short);
    bool ended = false;
    reeve_status st = REEVE_OK;
    while (st == REEVE_OK && !ended) {
        bool progress = false;
        st = reeve_worker_turn(w.worker, reeve_clock_now(), &progress, &ended, &err);
        if (progress) reeve_idle_reset(&idle);
        else reeve_idle_wait(&idle, reeve_worker_is_reducing(w.worker) ? REDUCING_SLEEP_NS : IDLE_SLEEP_NS);
    }
    if (st == REEVE_OK) st = transport->ops->flush(transport, reeve_clock_now() + GOODBYE_NS, &err);
    worker_fini(&w);
    *clean = st == REEVE_OK;
    if (st == REEVE_OK) return REEVE_EXIT_DONE;
    err.status = st;
    return tell(&err);
}

int reeve_rank_alone(const struct reeve_rank_config *config)
{
    open_log(config, "reeve", 0);
    struct reeve_error err = {0};
    reeve_transport *master_end = NULL, *worker_end = NULL;
    reeve_collective *collective = NULL;
    struct master_part m = {0};
    struct worker_part w = {0};
    reeve_status st = reeve_loopback_create(&master_end, &worker_end, &err);
    if (st == REEVE_OK) st = reeve_coll_self_create(&collective, &err);
    if (st == REEVE_OK) st = master_init(&m, config, master_end, &err);
    if (st == REEVE_OK) st = worker_init(&w, config, 1, worker_end, collective, &err);
    struct reeve_idle idle;
    reeve_idle_init(&idle, true); /* the compute thread wants the core */
    bool began = st == REEVE_OK, master_ended = false, worker_ended = false;
    while (st == REEVE_OK && !master_ended) {
        bool progress = false;
        reeve_time_ns now_ns = reeve_clock_now();
        st = master_turn(&m, now_ns, &progress, &master_ended, &err);
        if (st == REEVE_OK && !worker_ended) st = reeve_worker_turn(w.worker, now_ns, &progress, &worker_ended, &err);
        if (progress) reeve_idle_reset(&idle);
        else reeve_idle_wait(&idle, IDLE_SLEEP_NS);
    }
    err.status = st;
    int code = m.loop != NULL ? reeve_master_loop_end(m.loop, &err) : tell(&err);
    if (began) worker_fini(&w);
    master_fini(&m);
    if (collective != NULL) collective->ops->destroy(collective);
    if (master_end != NULL) master_end->ops->destroy(master_end);
    if (worker_end != NULL) worker_end->ops->destroy(worker_end);
    return code;
}
