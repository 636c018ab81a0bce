/* See owner_wait.h. */
#include "run/owner_wait.h"

#include <stdlib.h>
#include <string.h>

#include "base/log.h"

#define LOOK_NS (200 * REEVE_MILLISECOND_NS)

void reeve_owner_wait(const char *run_dir, enum reeve_owner_role role, reeve_time_ns end_ns,
                      struct reeve_owner_watch *watch)
{
    memset(watch, 0, sizeof(*watch));
    if (getenv("SLURM_JOB_ID") == NULL) return;
    char who[512]; /* host, process, since when */
    bool told = false;
    for (reeve_time_ns now_ns; (now_ns = reeve_clock_now()) < end_ns; reeve_clock_sleep(LOOK_NS)) {
        if (reeve_owner_look_again(run_dir, role, watch, who, sizeof(who)) != REEVE_OWNER_ELSEWHERE) return;
        if (!told)
            reeve_log(
                REEVE_LOG_WARN,
                "run folder %s is in use by %s; waiting up to %lld s for it to end, or to be silent for %d s and then "
                "to be watched for %d s",
                run_dir, who, (long long)((end_ns - now_ns + REEVE_SECOND_NS - 1) / REEVE_SECOND_NS),
                REEVE_OWNER_SILENT_S, REEVE_OWNER_WATCH_S);
        told = true;
    }
}
