/* What a start leaves behind for people, and the end of a batch job's time: neither is there in the simulated world. A
 * stop is asked for by the schedule of faults, and the record of starts is never needed for correctness. */
#include "run/deadline.h"
#include "run/executor.h"
#include "run/start_record.h"

void reeve_deadline_init(struct reeve_deadline *d, int64_t end_wall_ns, reeve_time_ns now_ns)
{
    (void)now_ns;
    *d = (struct reeve_deadline){.own_wall_ns = end_wall_ns};
}

void reeve_deadline_fini(struct reeve_deadline *d)
{
    (void)d;
}

void reeve_deadline_event(struct reeve_deadline *d, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    (void)d;
    (void)ev;
    (void)now_ns;
}

bool reeve_deadline_turn(struct reeve_deadline *d, reeve_time_ns now_ns)
{
    (void)d;
    (void)now_ns;
    return false;
}

void reeve_deadline_asked(struct reeve_deadline *d, int signal_number, reeve_time_ns now_ns)
{
    (void)d;
    (void)signal_number;
    (void)now_ns;
}

reeve_start_record *reeve_start_record_create(const char *run_dir, uint32_t epoch, uint64_t step, uint32_t workers,
                                              const struct reeve_allocation *allocation, bool succeeds)
{
    (void)run_dir;
    (void)epoch;
    (void)step;
    (void)workers;
    (void)allocation;
    (void)succeeds;
    return NULL; /* which all of these take */
}

void reeve_start_record_destroy(reeve_start_record *r)
{
    (void)r;
}

void reeve_start_record_host(reeve_start_record *r, uint32_t worker, const char *text, size_t bytes)
{
    (void)r;
    (void)worker;
    (void)text;
    (void)bytes;
}

void reeve_start_record_joined(reeve_start_record *r)
{
    (void)r;
}

void reeve_start_record_end(reeve_start_record *r, const struct reeve_master_status *s, enum reeve_cause asked,
                            int exit_code)
{
    (void)r;
    (void)s;
    (void)asked;
    (void)exit_code;
}

/* ---- run/executor.h: the simulated worlds train; no worker has an executor ---- */

bool reeve_executor_post(reeve_executor *x, const struct reeve_frame *lease)
{
    (void)x, (void)lease;
    return false;
}

void reeve_executor_revoke(reeve_executor *x, uint32_t task, uint32_t attempt)
{
    (void)x, (void)task, (void)attempt;
}

void reeve_executor_wind_down(reeve_executor *x, uint32_t seconds)
{
    (void)x, (void)seconds;
}

bool reeve_executor_take(reeve_executor *x, struct reeve_frame *frame, char *text)
{
    (void)x, (void)frame, (void)text;
    return false;
}

uint32_t reeve_executor_waiting(reeve_executor *x)
{
    (void)x;
    return 0;
}
