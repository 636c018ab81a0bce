/* See tally.h. */
#include "run/tally.h"

#include <inttypes.h>
#include <stdarg.h>
#include <unistd.h>

#include "base/log.h"
#include "run/build_text.h"

#define BUILD_BYTES 512

static double seconds(reeve_time_ns ns)
{
    return (double)ns * 1e-9;
}

static void __attribute__((format(printf, 1, 2))) record(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reeve_log_record(format, args);
    va_end(args);
}

void reeve_tally_begin(struct reeve_tally *t, const struct reeve_prepared *p, uint32_t id, uint32_t workers,
                       const char *host)
{
    struct reeve_build here;
    char build[BUILD_BYTES];
    bool list = p->tasks != NULL;
    uint32_t count = list ? p->job.exec.slots : p->job.resources.threads;
    *t = (struct reeve_tally){.began_ns = reeve_clock_now()};
    reeve_build_here(&here);
    reeve_build_text(&here, p->library, "", build, sizeof(build));
    record("begun: worker %" PRIu32 " of %" PRIu32 ", process %ld on host %s, workload %s, %" PRIu32 " %s%s; %s", id,
           workers, (long)getpid(), host, p->job.workload, count, list ? "slot" : "thread", count == 1 ? "" : "s",
           build);
}

void reeve_tally_count(struct reeve_tally *t, const struct reeve_frame *answer)
{
    switch (answer->kind) {
    case REEVE_FRAME_COMPUTED:
        t->computed++;
        t->compute_ns += (reeve_time_ns)answer->a;
        break;
    case REEVE_FRAME_APPLIED:
        t->applied++;
        t->last_step = answer->step;
        t->apply_ns += (reeve_time_ns)answer->c;
        break;
    case REEVE_FRAME_DONE: t->done++; break;
    case REEVE_FRAME_FAILED: t->failed++; break;
    case REEVE_FRAME_RELEASED: t->released++; break;
    default: break;
    }
}

void reeve_tally_end(const struct reeve_tally *t, const struct reeve_prepared *p)
{
    double lasted_s = seconds(reeve_clock_now() - t->began_ns);
    if (p->tasks != NULL)
        record("ended after %.2f s: %" PRIu64 " tasks done, %" PRIu64 " failed, %" PRIu64 " given back", lasted_s,
               t->done, t->failed, t->released);
    else
        record("ended after %.2f s, at step %" PRIu64 ": %" PRIu64 " steps applied in %.2f s, %" PRIu64
               " micro-batches computed in %.2f s, %" PRIu64 " failed",
               lasted_s, t->last_step, t->applied, seconds(t->apply_ns), t->computed, seconds(t->compute_ns),
               t->failed);
}
