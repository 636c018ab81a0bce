/* `reeve requeue RUN`: the last line of a batch script. Has the job queued again if the run is to go on, and says why if
 * not. It is called when the run has ended, so nothing is interrupted by it. */
#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/batch_job.h"
#include "base/error.h"
#include "cli/history.h"
#include "cli/listed.h"
#include "cli/output.h"
#include "cli/run_folder.h"
#include "cli/slurm.h"
#include "cli/verb.h"
#include "core/requeue.h"
#include "export/starts_file.h"

enum { OPT_AFTER = 300 };

/* So many tasks of the list have ended, well or not: none of them runs again. */
static uint64_t ended_tasks(const char *run_dir)
{
    static struct reeve_listed l;
    if (!reeve_run_folder_has(run_dir, "journal") || reeve_listed_open(run_dir, &l, NULL) != REEVE_OK) return 0;
    uint64_t ended = (uint64_t)l.result.done + l.result.dead + l.result.cancelled;
    reeve_listed_close(&l);
    return ended;
}

/* How far the run has got on record: the step of its newest checkpoint, or how many tasks have ended. 0: nothing, or the
 * journal cannot be read (the next start will say so). */
static uint64_t saved_in(const char *run_dir)
{
    if (reeve_listed_is_run(run_dir)) return ended_tasks(run_dir);
    struct reeve_history h;
    if (!reeve_run_folder_has(run_dir, "journal") || reeve_history_read(run_dir, &h, NULL) != REEVE_OK) return 0;
    uint64_t step = h.checkpoint_count > 0 ? h.checkpoints[h.checkpoint_count - 1].step : 0;
    reeve_history_destroy(&h);
    return step;
}

/* The start of this job that has just ended: what it wrote itself, or, where it had no last word, what the exit code
 * says. A job may end before it has become a start. */
static struct reeve_start start_of(const struct reeve_starts *all, const char *run_dir, uint64_t job_id,
                                   uint32_t restart_count, int exit_code)
{
    struct reeve_start s = {.job_id = job_id, .restart_count = restart_count};
    const struct reeve_start *last = all->count > 0 ? &all->start[all->count - 1] : NULL;
    if (last != NULL && last->job_id == job_id && last->restart_count == restart_count) s = *last;
    if (!s.ended || s.exit_code != exit_code) {
        s.cause = reeve_cause_of_exit(s.ended ? s.cause : REEVE_CAUSE_NONE, exit_code);
        s.exit_code = exit_code;
    }
    s.checkpoint = saved_in(run_dir);
    return s;
}

/* Slurm may be ending the job already: cancelled, or being queued again by itself. Then it is not ours to decide. */
static bool is_being_ended(uint64_t job_id, char state[32])
{
    struct reeve_slurm_job job;
    if (reeve_slurm_find_job(job_id, &job) != REEVE_SLURM_FOUND) return false;
    memcpy(state, job.state, sizeof(job.state));
    return strcmp(job.state, "RUNNING") != 0;
}

static int queue_again(const char *run_dir, const struct reeve_start *s, const char *why)
{
    struct reeve_error err = {0};
    char says[REEVE_SLURM_SAYS_BYTES], state[32] = "";
    if (is_being_ended(s->job_id, state)) {
        reeve_cli_note("job %" PRIu64 " is %s: Slurm is ending it itself, it is not queued again from here", s->job_id,
                       state);
        return s->exit_code;
    }
    /* On record first: Slurm ends this script as it queues the job again. */
    if (reeve_starts_append_requeued(run_dir, s, &err) != REEVE_OK)
        reeve_cli_note("not counted, the job is queued again all the same: %s", err.text);
    reeve_cli_note("%s: job %" PRIu64 " is queued again, and goes on after %s %" PRIu64, why, s->job_id,
                   reeve_listed_is_run(run_dir) ? "tasks ended:" : "step", s->checkpoint);
    if (reeve_slurm_requeue(s->job_id, says, sizeof(says)) == 0) return REEVE_EXIT_AGAIN;
    return reeve_cli_fail_text(s->exit_code != 0 ? s->exit_code : REEVE_EXIT_AGAIN,
                               "Slurm did not queue job %" PRIu64 " again: %s; submit it anew: it goes on where it was",
                               s->job_id, says);
}

static int requeue_main(const struct reeve_verb *verb, int argc, char **argv)
{
    const char *value = NULL;
    unsigned long long after = 256;
    int code = 0;
    for (int id; code == 0 && (id = reeve_verb_option(verb, argc, argv, &value)) != -1;)
        if (id == OPT_AFTER) code = reeve_verb_number(verb, "--after", value, 0, 255, &after);
    if (code == 0) code = reeve_verb_operands(verb, argc, argv, 1, 1);
    if (code != 0) return code;
    if (after > 255) return reeve_verb_usage(verb, "--after CODE is missing: the exit code of the run");
    uint32_t restart_count = 0;
    uint64_t job_id = reeve_batch_job(&restart_count);
    if (job_id == 0)
        return reeve_verb_usage(verb, "this is no batch job (no SLURM_JOB_ID): it is for the end of a batch script");

    const char *run_dir = argv[optind], *why = NULL;
    struct reeve_error err = {0};
    struct reeve_starts all;
    if (reeve_starts_read(run_dir, &all, &err) != REEVE_OK) return reeve_cli_fail(&err);
    struct reeve_start s = start_of(&all, run_dir, job_id, restart_count, (int)after);
    struct reeve_requeue_facts facts = {
        .cause = s.cause, .checkpoint = s.checkpoint, .before = all.saved, .barren = all.barren};
    reeve_starts_fini(&all);
    if (reeve_requeue_decide(&facts, &why)) return queue_again(run_dir, &s, why);
    if (s.cause != REEVE_CAUSE_COMPLETE) reeve_cli_note("job %" PRIu64 " is not queued again: %s", job_id, why);
    return (int)after;
}

static const struct reeve_opt requeue_opts[] = {
    {OPT_AFTER, "after", "CODE", "the exit code of the run that has just ended"}, {0}};

const struct reeve_verb reeve_verb_requeue = {
    "requeue",
    "RUN",
    "at the end of a batch script: have Slurm queue the job again, if the run is to go on",
    "Queued again are jobs that were saved before their time was up or because of a signal (pre-emption), and those "
    "that\n"
    "crashed. Not queued again: complete runs, runs that somebody asked to stop, errors that the next start would "
    "meet\n"
    "again, and jobs that were queued again twice and have saved nothing since. Slurm itself queues a job again when "
    "a\n"
    "node fails (sbatch --requeue).\n"
    "\n"
    "The exit code is CODE, so that it can be the last line of the script.\n"
    "\n"
    "Examples:\n"
    "  reeve run job.yaml --run-dir runs/a || code=$?\n"
    "  exec reeve requeue runs/a --after \"${code:-0}\"\n",
    requeue_opts,
    requeue_main};
