/* See submit_wait.h. */
#include "cli/submit_wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cli/output.h"
#include "cli/slurm.h"
#include "export/starts_file.h"

#define ASK_FIRST_NS REEVE_SECOND_NS
#define ASK_LATER_NS (10 * REEVE_SECOND_NS) /* the longest pause; a controller serves others too */

struct told {
    char text[512]; /* the last thing that was said of the job in front */
    bool unanswered;
};

static void tell(struct told *told, uint64_t job_id, const struct reeve_slurm_job *job)
{
    char text[sizeof(told->text)];
    bool pending = strcmp(job->state, "PENDING") == 0;
    (void)snprintf(text, sizeof(text), "job %" PRIu64 " %s%s%s", job_id, job->state, pending ? ": " : " on ",
                   pending ? job->reason : job->nodes);
    if (strcmp(text, told->text) == 0) return;
    memcpy(told->text, text, sizeof(text));
    reeve_cli_note("%s", text);
}

/* A batch script ends with the exit code of its run, unless Slurm ended the script. */
static bool script_said(const struct reeve_slurm_job *job)
{
    return job->signal == 0 && (strcmp(job->state, "COMPLETED") == 0 || strcmp(job->state, "FAILED") == 0);
}

/* What the run itself has on record for its last start, if a job of ours began it; -1: nothing. What stands in status.json
 * may be of a start long before: a run that is refused does not get so far as to replace it. */
static int start_said(const char *run_dir, const uint64_t *job_ids, uint32_t job_count)
{
    struct reeve_starts all;
    int said = -1;
    if (reeve_starts_read(run_dir, &all, NULL) != REEVE_OK) return -1;
    const struct reeve_start *last = all.count > 0 ? &all.start[all.count - 1] : NULL;
    for (uint32_t i = 0; last != NULL && i < job_count; i++)
        if (last->job_id == job_ids[i] && last->ended) said = last->exit_code;
    reeve_starts_fini(&all);
    return said;
}

static int last_word(const char *run_dir, const uint64_t *job_ids, uint32_t job_count)
{
    struct reeve_slurm_job job = {0};
    bool known = reeve_slurm_find_ended(job_ids[job_count - 1], &job);
    if (known && script_said(&job)) return job.exit_code;
    int said = start_said(run_dir, job_ids, job_count);
    if (said >= 0) return said;
    return reeve_cli_fail_text(REEVE_EXIT_INTERNAL,
                               "the job has ended (Slurm says: %s), and the run had no last word: see "
                               "%s/submit/slurm-*.out",
                               known ? job.state : "nothing", run_dir);
}

int reeve_submit_wait(const char *run_dir, const uint64_t *job_ids, uint32_t job_count)
{
    struct told told = {0};
    reeve_time_ns pause_ns = ASK_FIRST_NS;
    for (uint32_t i = 0; i < job_count;) {
        struct reeve_slurm_job job;
        enum reeve_slurm_answer answer = reeve_slurm_find_job(job_ids[i], &job);
        if (answer == REEVE_SLURM_GONE) {
            i++;
            continue;
        }
        if (answer == REEVE_SLURM_FOUND) tell(&told, job_ids[i], &job);
        else if (!told.unanswered) reeve_cli_note("squeue does not answer; asking again");
        told.unanswered = answer == REEVE_SLURM_SILENT;
        reeve_clock_sleep(pause_ns);
        pause_ns = 2 * pause_ns < ASK_LATER_NS ? 2 * pause_ns : ASK_LATER_NS;
    }
    return last_word(run_dir, job_ids, job_count);
}
