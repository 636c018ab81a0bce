/* The supervisor: `reeve run` outside MPI. Launches, judges how the launch ended, waits, and launches again; see launch.h.
 * Invariants: at most one supervisor has a run; a launch begins only after nothing of the one before is left on this
 * host; what is started again is what the run has on record, never what the supervisor believes. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "base/batch_job.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "cli/launch_mpirun.h"
#include "cli/output.h"
#include "cli/supervise.h"
#include "export/starts_file.h"
#include "run/stop_signals.h"

#define REFRESH_NS (10 * REEVE_SECOND_NS)
#define LOOK_NS (50 * REEVE_MILLISECOND_NS)

static FILE *open_log(const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX];
    if (reeve_path_join(path, sizeof(path), run_dir, "log/supervisor.log", NULL) != REEVE_OK) return NULL;
    return fopen(path, "ae");
}

static reeve_status supervisor_init(struct reeve_supervisor *s, const struct reeve_launch *l, struct reeve_error *err)
{
    const struct reeve_prepared *p = l->prepared;
    *s = (struct reeve_supervisor){.launch = l, .refreshed_ns = reeve_clock_now()};
    bool took_over = false;
    reeve_status st = reeve_owner_acquire_as(p->run_dir, REEVE_OWNER_SUPERVISOR, &s->owner, &took_over, err);
    if (st != REEVE_OK) return st;
    s->log = open_log(p->run_dir); /* without one, stderr has it all */
    if (took_over) reeve_supervise_say(s, "the supervisor that had this run is dead; taking over");
    struct reeve_relaunch_end before = {.last_word = -1};
    reeve_supervise_read_journal(s, UINT32_MAX, &before);
    const struct reeve_relaunch_policy policy = {
        .restarts_max = p->job.faults.restarts_max,
        .crash_limit = p->job.faults.crash_limit,
        .wait_max_ns = p->job.faults.restart_wait_s * REEVE_SECOND_NS,
    };
    reeve_relaunch_init(&s->relaunch, &policy, &before);
    reeve_stall_init(&s->stall, p->job.faults.hang_min_s * REEVE_SECOND_NS);
    return REEVE_OK;
}

static void supervisor_fini(struct reeve_supervisor *s)
{
    if (s->log != NULL) (void)fclose(s->log);
    reeve_owner_release(s->owner);
}

bool reeve_supervise_refresh(struct reeve_supervisor *s)
{
    reeve_time_ns now_ns = reeve_clock_now();
    if (now_ns - s->refreshed_ns < REFRESH_NS) return true;
    s->refreshed_ns = now_ns;
    struct reeve_error err = {0};
    if (reeve_owner_refresh(s->owner, &err) != REEVE_STORE_IN_USE) return true; /* a slow disk is no reason to end */
    reeve_supervise_say(s, "%s", err.text);
    return false;
}

/* A stop that came too late to be seen must not stop the next start. */
static void take_stop_back(const struct reeve_launch *l)
{
    char path[REEVE_PATH_BYTES_MAX];
    if (reeve_path_join(path, sizeof(path), l->prepared->run_dir, "STOP", NULL) == REEVE_OK) (void)unlink(path);
}

/* false: asked to stop, or the run was taken by somebody else. */
static bool wait_for(struct reeve_supervisor *s, reeve_time_ns wait_ns)
{
    reeve_time_ns end_ns = reeve_clock_now() + wait_ns;
    while (reeve_clock_now() < end_ns) {
        if (reeve_stop_signals_count() > 0 || !reeve_supervise_refresh(s)) return false;
        reeve_clock_sleep(LOOK_NS);
    }
    return true;
}

/* The last word of a start whose master is dead, for `reeve requeue` and for people. */
static int end_early(const struct reeve_supervisor *s, const struct reeve_relaunch_end *facts, enum reeve_cause cause)
{
    const struct reeve_start end = {.epoch = s->epoch_before,
                                    .cause = cause,
                                    .exit_code = REEVE_EXIT_AGAIN,
                                    .last_step = facts->step,
                                    .checkpoint = facts->checkpoint};
    struct reeve_error err = {0};
    if (!facts->began) return REEVE_EXIT_INTERNAL; /* it is no start on record */
    if (reeve_starts_append_end(s->launch->prepared->run_dir, &end, &err) != REEVE_OK)
        reeve_supervise_say(s, "%s", err.text);
    return REEVE_EXIT_AGAIN;
}

/* Asked to stop with nothing running. In a batch job only SIGINT is a person's; Slurm asks because the job's time is up or
 * others need its nodes, and then the job is to be queued again, for what its launch has died of. */
static int end_asked(const struct reeve_supervisor *s, const struct reeve_launch_end *end)
{
    reeve_supervise_say(s, "%s; not started again, since it was asked to stop. Run the same command again to go on",
                        end->cause);
    uint32_t restart_count = 0;
    if (reeve_batch_job(&restart_count) == 0 || reeve_stop_signals_last() == SIGINT) return REEVE_EXIT_AGAIN;
    return end_early(s, &end->facts, end->facts.host_lost ? REEVE_CAUSE_NODE_FAILURE : REEVE_CAUSE_CRASH);
}

/* Between two launches: what follows? -1: launch again; else the exit code. */
static int judge(struct reeve_supervisor *s, const struct reeve_launch_end *end, struct reeve_placement *placement)
{
    const struct reeve_launch *l = s->launch;
    struct reeve_relaunch_verdict verdict = reeve_relaunch_judge(&s->relaunch, &end->facts);
    if (verdict.kind == REEVE_RELAUNCH_OVER) return end->facts.last_word;
    reeve_supervise_count(&s->causes, end->cause);
    if (verdict.kind != REEVE_RELAUNCH_AGAIN) return reeve_supervise_say_last(s, end, verdict.kind);
    bool asked = reeve_stop_signals_count() > 0;
    if (!asked) {
        s->restarts++;
        reeve_supervise_say_again(s, end, verdict.wait_ns);
        if (!wait_for(s, verdict.wait_ns) && reeve_stop_signals_count() == 0)
            return REEVE_EXIT_CANNOT_CREATE; /* taken over; told */
    }
    /* To ask the hosts takes a while, and a wish to stop is no less one for coming meanwhile. */
    bool enough = reeve_stop_signals_count() > 0 || l->replace == NULL || l->replace(l->arg, s->restarts, placement);
    if (reeve_stop_signals_count() > 0) return end_asked(s, end);
    if (enough) return -1;
    reeve_supervise_say(s, "too little is left of this allocation: run the same command again in another one to go on");
    return end_early(s, &end->facts, REEVE_CAUSE_NODE_FAILURE);
}

static int supervise(struct reeve_supervisor *s)
{
    struct reeve_placement placement = s->launch->placement;
    for (;;) {
        struct reeve_launch_end end;
        int code = reeve_supervise_launch(s, &placement, &end);
        if (code != 0) return code;
        if (end.left_at_once) return REEVE_EXIT_INTERRUPTED;
        if (end.taken_over) return REEVE_EXIT_CANNOT_CREATE;
        code = judge(s, &end, &placement);
        if (code >= 0) return code;
    }
}

int reeve_launch_run(const struct reeve_launch *l, struct reeve_launch_result *result)
{
    if (result != NULL) *result = (struct reeve_launch_result){0};
    int code = reeve_launch_check(&l->placement);
    if (code != 0) return code;
    static struct reeve_supervisor s;
    struct reeve_error err = {0};
    if (supervisor_init(&s, l, &err) != REEVE_OK) return reeve_cli_fail(&err);
    (void)prctl(PR_SET_CHILD_SUBREAPER, 1); /* what a killed launcher leaves comes to us */
    reeve_stop_signals_install(0);
    code = supervise(&s);
    if (reeve_stop_signals_count() > 0) take_stop_back(l);
    if (result != NULL) result->restarts = s.restarts;
    supervisor_fini(&s);
    return code;
}
