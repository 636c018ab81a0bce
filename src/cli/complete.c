/* See complete.h. */
#include "cli/complete.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>

#include "base/path.h"
#include "export/status_file.h"
#include "reeve/status.h"

static void say_loss(const struct reeve_prepared *p)
{
    char path[REEVE_PATH_BYTES_MAX];
    struct reeve_status_report report;
    reeve_status_report_init(&report);
    if (reeve_path_join(path, sizeof(path), p->run_dir, "status.json", NULL) == REEVE_OK)
        (void)reeve_status_file_read(path, &report, NULL);
    if (report.eval_step > 0 && isfinite(report.eval_loss)) /* NaN: it was not finite */
        (void)printf(", held-out loss %.4f nats per token", report.eval_loss);
}

void reeve_complete_say(const struct reeve_prepared *p)
{
    uint64_t asked = p->job.train.steps, done = p->steps_done;
    if (p->tasks != NULL) {
        (void)printf("%s is complete: all %u tasks have ended, %u of them dead.\nTo start anew, choose another "
                     "--run-dir.\n",
                     p->run_dir, p->tasks->task_count, p->dead);
        return;
    }
    if (done == asked) (void)printf("%s is complete: all %" PRIu64 " steps are done", p->run_dir, done);
    else
        (void)printf("%s is complete: it has done %" PRIu64 " steps (train.steps asks for %" PRIu64 ")", p->run_dir,
                     done, asked);
    say_loss(p);
    (void)printf(".\nTo go on, raise train.steps beyond %" PRIu64 " (--set train.steps=N); to start anew, choose "
                 "another --run-dir.\n",
                 done);
}

int reeve_complete_exit_code(const struct reeve_prepared *p)
{
    return p->dead > 0 ? REEVE_EXIT_DEAD_TASKS : REEVE_EXIT_DONE;
}
