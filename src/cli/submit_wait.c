/* See submit_wait.h. */
#include "cli/submit_wait.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/path.h"
#include "cli/output.h"
#include "cli/slurm.h"
#include "export/status_file.h"

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

/* How the run itself says it ended; a run that never wrote a word failed before it began. */
static int last_word(const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX + 16];
    struct reeve_status_report report;
    struct reeve_error err = {0};
    (void)snprintf(path, sizeof(path), "%s/status.json", run_dir);
    if (reeve_status_file_read(path, &report, &err) == REEVE_OK && report.exit_code >= 0) return report.exit_code;
    return reeve_cli_fail_text(REEVE_EXIT_INTERNAL,
                               "the job has ended, and the run had no last word: see %s/submit/slurm-*.out", run_dir);
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
    return last_word(run_dir);
}
