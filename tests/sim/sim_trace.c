/* The trace: the last lines of what happened, for a seed that failed; and where the words of the code under test go (its
 * log, and its report to people). Nothing is formatted unless somebody will read it. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "checkers.h"
#include "run/report.h"
#include "run/stop_signals.h"
#include "sim.h"

#define LINES_MAX 4096u
#define LINE_BYTES 200u

static char (*lines)[LINE_BYTES]; /* ring; NULL: nobody will read it */
static uint32_t line_count;

void sim_trace_begin(void)
{
    if (lines == NULL) lines = calloc(LINES_MAX, LINE_BYTES);
    line_count = 0;
}

void sim_trace_end(void)
{
    free(lines);
    lines = NULL;
}

static void add_line(struct sim *s, const char *format, va_list args)
{
    char *line = lines[line_count++ % LINES_MAX];
    int n = snprintf(line, LINE_BYTES, "%12.6f  ", (double)(s->now_ns - SIM_START_NS) * 1e-9);
    (void)vsnprintf(line + n, LINE_BYTES - (size_t)n, format, args);
}

void sim_trace(struct sim *s, const char *format, ...)
{
    if (lines == NULL) return;
    va_list args;
    va_start(args, format);
    add_line(s, format, args);
    va_end(args);
}

bool sim_trace_is_read(void)
{
    return lines != NULL;
}

void sim_trace_print(uint32_t last_count)
{
    uint32_t first = line_count > last_count ? line_count - last_count : 0;
    if (line_count - first > LINES_MAX) first = line_count - LINES_MAX;
    for (uint32_t i = first; i < line_count; i++)
        printf("%s\n", lines[i % LINES_MAX]);
}

/* ---- base/log.h ---- */

void reeve_log(enum reeve_log_level level, const char *format, ...)
{
    if (lines == NULL || sim_running == NULL || level == REEVE_LOG_DEBUG) return;
    char text[LINE_BYTES];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    sim_trace(sim_running->sim, "L%u rank %u says: %s", sim_running->launch->number, sim_running->rank, text);
}

void reeve_log_record(const char *format, va_list args)
{
    (void)format, (void)args; /* the tally of a worker that ends */
}

/* ---- run/report.h ---- */

reeve_status reeve_report_create(const char *run_dir, const struct reeve_job *job, uint64_t run_id,
                                 uint64_t epoch_samples, FILE *out, reeve_report **result, struct reeve_error *err)
{
    (void)run_dir, (void)job, (void)run_id, (void)epoch_samples, (void)out, (void)err;
    *result = (reeve_report *)(void *)sim_running;
    return REEVE_OK;
}

void reeve_report_destroy(reeve_report *r)
{
    (void)r;
}

void reeve_report_event(reeve_report *r, const reeve_master *m, const struct reeve_event *ev, reeve_time_ns now_ns)
{
    struct sim_proc *p = (struct sim_proc *)(void *)r;
    (void)now_ns;
    if (lines != NULL && ev->kind != REEVE_EVENT_HEARTBEAT)
        sim_trace(p->sim, "L%u %s%s lsn %llu step %llu task %u worker %u attempt %u arg %u", p->launch->number,
                  ev->kind < REEVE_EVENT_VOLATILE ? "" : "~", reeve_event_name(ev->kind), (unsigned long long)ev->lsn,
                  (unsigned long long)ev->step, ev->task, ev->worker, ev->attempt, ev->arg);
    sim_check_event(p, m, ev);
}

void reeve_report_silent(reeve_report *r, const char *host, double silent_s)
{
    (void)r;
    (void)host;
    (void)silent_s;
}

void reeve_report_long(reeve_report *r, uint32_t workers)
{
    (void)r, (void)workers;
}

void reeve_report_applied(reeve_report *r, uint64_t step, double learning_rate, double grad_norm)
{
    (void)r, (void)step, (void)learning_rate, (void)grad_norm;
}

void reeve_report_turn(reeve_report *r, const reeve_master *m, reeve_time_ns now_ns)
{
    (void)r, (void)m, (void)now_ns;
}

void reeve_report_say(reeve_report *r, const char *format, ...)
{
    struct sim_proc *p = (struct sim_proc *)(void *)r;
    if (lines == NULL) return;
    va_list args;
    va_start(args, format);
    add_line(p->sim, format, args);
    va_end(args);
}

void reeve_report_end(reeve_report *r, const reeve_master *m, enum reeve_run_state state, int exit_code,
                      const char *message, reeve_time_ns now_ns)
{
    struct sim_proc *p = (struct sim_proc *)(void *)r;
    (void)m, (void)state, (void)message, (void)now_ns;
    if (p->alive && !p->given_up) p->launch->code = exit_code; /* what status.json says is what the run has come to */
}

/* ---- what else the master's loop asks for ---- */

int reeve_stop_signals_count(void)
{
    return 0; /* STOP comes as a file here */
}

int reeve_stop_signals_last(void)
{
    return 0;
}

