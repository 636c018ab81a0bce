/* See list_audit.h. */
#include "core/list_audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

struct reeve_list_audit {
    const struct reeve_task_list *list; /* borrowed */
    struct reeve_task_record *records;  /* (task_count,) owned */
    uint32_t *path, *next;              /* (task_count,) owned; of settle() */
    uint64_t lsn, run_id;
    uint32_t epoch, runs, added, started;
    struct reeve_list_audit_result result;
};

reeve_status reeve_list_audit_create(const struct reeve_task_list *l, reeve_list_audit **out, struct reeve_error *err)
{
    reeve_list_audit *a = calloc(1, sizeof(*a));
    if (a != NULL) {
        a->list = l;
        a->records = calloc(l->task_count, sizeof(*a->records));
        a->path = calloc(l->task_count, sizeof(*a->path));
        a->next = calloc(l->task_count, sizeof(*a->next));
    }
    if (a == NULL || a->records == NULL || a->path == NULL || a->next == NULL) {
        reeve_list_audit_destroy(a);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "audit of %u tasks: out of memory", l->task_count);
    }
    for (uint32_t i = 0; i < l->task_count; i++)
        a->records[i].state = REEVE_STATE_BLOCKED;
    *out = a;
    return REEVE_OK;
}

void reeve_list_audit_destroy(reeve_list_audit *a)
{
    if (a == NULL) return;
    free(a->next);
    free(a->path);
    free(a->records);
    free(a);
}

static void __attribute__((format(printf, 3, 4)))
violate(reeve_list_audit *a, const struct reeve_event *ev, const char *format, ...)
{
    char *text = a->result.first_violation;
    size_t room = sizeof(a->result.first_violation);
    if (a->result.violations++ > 0) return;
    int n = snprintf(text, room, "event %" PRIu64 " (%s): ", ev->lsn, reeve_event_name(ev->kind));
    if (n < 0 || (size_t)n >= room) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + n, room - (size_t)n, format, args);
    va_end(args);
}

static bool has_ended(const struct reeve_task_record *r)
{
    return r->state == REEVE_STATE_DONE || r->state == REEVE_STATE_DEAD || r->state == REEVE_STATE_CANCELLED;
}

/* ---- what may not happen ---- */

/* Everything that this task waits for has ended as it should. */
static void check_dependencies(reeve_list_audit *a, const struct reeve_event *ev)
{
    const struct reeve_task_list *l = a->list;
    for (uint32_t i = l->entries[ev->task].first_after; i < l->entries[ev->task + 1].first_after; i++) {
        uint32_t before = l->afters[i] & ~REEVE_TASK_AFTER_ANY;
        const struct reeve_task_record *r = &a->records[before];
        bool any = (l->afters[i] & REEVE_TASK_AFTER_ANY) != 0;
        /* One that is dead because of a third was never begun, and has no record of its own: after_any goes on then. */
        bool under_way = r->state == REEVE_STATE_LEASED || r->state == REEVE_STATE_READY;
        if (r->state == REEVE_STATE_DONE || (any && !under_way)) continue;
        violate(a, ev, "task %s begun before %s, which it waits for, had ended", reeve_task_list_name(l, ev->task),
                reeve_task_list_name(l, before));
    }
}

static void apply_leased(reeve_list_audit *a, const struct reeve_event *ev)
{
    struct reeve_task_record *r = &a->records[ev->task];
    const char *name = reeve_task_list_name(a->list, ev->task);
    a->result.leases++;
    if (r->state == REEVE_STATE_LEASED)
        violate(a, ev, "task %s lent to worker %u while worker %u holds it", name, ev->worker, r->worker);
    if (has_ended(r)) violate(a, ev, "task %s lent again after it had ended", name);
    if (ev->attempt != r->attempt + 1)
        violate(a, ev, "task %s: attempt %u follows attempt %u", name, ev->attempt, r->attempt);
    if (ev->arg != ev->task) violate(a, ev, "task %s lent as task %u", name, ev->arg);
    check_dependencies(a, ev);
    r->state = REEVE_STATE_LEASED;
    r->attempt = ev->attempt;
    r->worker = ev->worker;
}

/* DONE, FAILED, RELEASED, DEAD of an attempt: only under the lease that is current. False: it is not. */
static bool check_lease(reeve_list_audit *a, const struct reeve_event *ev)
{
    const struct reeve_task_record *r = &a->records[ev->task];
    if (r->state == REEVE_STATE_LEASED && r->worker == ev->worker && r->attempt == ev->attempt) return true;
    violate(a, ev, "task %s: a word of worker %u about attempt %u, which it does not hold",
            reeve_task_list_name(a->list, ev->task), ev->worker, ev->attempt);
    return false;
}

static void apply_ended(reeve_list_audit *a, const struct reeve_event *ev)
{
    struct reeve_task_record *r = &a->records[ev->task];
    bool never_begun = ev->kind == REEVE_EVENT_TASK_DEAD && ev->worker == 0; /* put aside by the master */
    if (ev->kind == REEVE_EVENT_TASK_DONE && ++r->done > 1)
        violate(a, ev, "task %s done %u times", reeve_task_list_name(a->list, ev->task), r->done);
    if (!never_begun && !check_lease(a, ev)) return;
    if (ev->kind == REEVE_EVENT_TASK_RELEASED) {
        r->state = REEVE_STATE_READY;
        r->released++;
        return;
    }
    if (!never_begun) {
        r->result = ev->b;
        r->ended_ns = ev->step;
    }
    if (ev->kind == REEVE_EVENT_TASK_DONE) {
        r->state = REEVE_STATE_DONE;
        return;
    }
    r->failures += !never_begun;
    r->reason = ev->arg;
    r->state = ev->kind == REEVE_EVENT_TASK_DEAD ? REEVE_STATE_DEAD : REEVE_STATE_READY;
}

/* Whoever held something is gone. */
static void release(reeve_list_audit *a, uint32_t worker)
{
    for (uint32_t i = 0; i < a->list->task_count; i++) {
        struct reeve_task_record *r = &a->records[i];
        if (r->state != REEVE_STATE_LEASED || (worker != 0 && r->worker != worker)) continue;
        r->state = REEVE_STATE_READY;
        r->released++;
    }
}

static void apply_run_opened(reeve_list_audit *a, const struct reeve_event *ev)
{
    if (a->runs > 0 && (ev->a != a->run_id || ev->epoch <= a->epoch))
        violate(a, ev, "another run, or a membership epoch that does not grow");
    a->run_id = ev->a;
    a->result.restarts = a->runs++;
    release(a, 0);
}

static void apply_range(reeve_list_audit *a, const struct reeve_event *ev, uint32_t *reached)
{
    if (ev->task != *reached || ev->arg > a->list->task_count - *reached)
        violate(a, ev, "tasks %u to %" PRIu64 " after task %u", ev->task, (uint64_t)ev->task + ev->arg, *reached);
    else *reached += ev->arg;
}

void reeve_list_audit_event(reeve_list_audit *a, const struct reeve_event *ev)
{
    bool of_task = ev->kind == REEVE_EVENT_TASK_LEASED || ev->kind == REEVE_EVENT_TASK_DONE ||
                   ev->kind == REEVE_EVENT_TASK_FAILED || ev->kind == REEVE_EVENT_TASK_RELEASED ||
                   ev->kind == REEVE_EVENT_TASK_DEAD || ev->kind == REEVE_EVENT_TASK_CANCELLED;
    if (ev->kind >= REEVE_EVENT_VOLATILE) return;
    if (ev->lsn != a->lsn + 1) violate(a, ev, "follows record %" PRIu64 ": the journal has lost or moved some", a->lsn);
    a->lsn = ev->lsn;
    if (of_task && ev->task >= a->list->task_count) {
        violate(a, ev, "task %u of %u", ev->task, a->list->task_count);
        return;
    }
    switch (ev->kind) {
    case REEVE_EVENT_RUN_OPENED: apply_run_opened(a, ev); break;
    case REEVE_EVENT_WORKER_LOST:
    case REEVE_EVENT_WORKER_CLEARED: release(a, ev->worker); break;
    case REEVE_EVENT_TASKS_ADDED: apply_range(a, ev, &a->added); break;
    case REEVE_EVENT_TASKS_STARTED: apply_range(a, ev, &a->started); break;
    case REEVE_EVENT_TASK_LEASED: apply_leased(a, ev); break;
    case REEVE_EVENT_TASK_DONE:
    case REEVE_EVENT_TASK_FAILED:
    case REEVE_EVENT_TASK_RELEASED:
    case REEVE_EVENT_TASK_DEAD: apply_ended(a, ev); break;
    case REEVE_EVENT_TASK_CANCELLED: a->records[ev->task].state = REEVE_STATE_CANCELLED; break;
    case REEVE_EVENT_WORKER_JOINED:
    case REEVE_EVENT_WORKER_REPLACED:
    case REEVE_EVENT_REGROUPED: /* what is not confirmed afterwards is released, on record */
    case REEVE_EVENT_RUN_STOPPED:
    case REEVE_EVENT_RUN_ENDED:
    case REEVE_EVENT_SEGMENT_STAMP: break;
    default: violate(a, ev, "does not belong to a run of a task list"); break;
    }
    if (ev->epoch > a->epoch) a->epoch = ev->epoch;
}

/* ---- the end ---- */

/* What a task is that was never begun, once all that it waits for is settled: dead with one of them, blocked, or ready. */
static void settle_one(reeve_list_audit *a, uint32_t task)
{
    const struct reeve_task_list *l = a->list;
    struct reeve_task_record *r = &a->records[task];
    if (r->state != REEVE_STATE_BLOCKED) return;
    bool waits = false;
    for (uint32_t i = l->entries[task].first_after; i < l->entries[task + 1].first_after; i++) {
        const struct reeve_task_record *before = &a->records[l->afters[i] & ~REEVE_TASK_AFTER_ANY];
        bool any = (l->afters[i] & REEVE_TASK_AFTER_ANY) != 0;
        if (!has_ended(before)) waits = true;
        else if (before->state != REEVE_STATE_DONE && !any) r->by_dependency = true;
    }
    if (r->by_dependency) r->state = REEVE_STATE_DEAD;
    else if (!waits) r->state = REEVE_STATE_READY;
}

/* Each after those that it waits for, without recursion. `next` is 0 for what was not looked at yet. */
static void settle(reeve_list_audit *a, uint32_t root)
{
    uint32_t depth = 0;
    const struct reeve_task_list *l = a->list;
    if (a->next[root] != 0) return;
    a->path[depth++] = root;
    while (depth > 0) {
        uint32_t task = a->path[depth - 1];
        uint32_t at = l->entries[task].first_after + a->next[task];
        if (at >= l->entries[task + 1].first_after) {
            settle_one(a, task);
            a->next[task] = UINT32_MAX - l->entries[task].first_after; /* whatever is added, it is behind the last */
            depth--;
            continue;
        }
        a->next[task]++;
        uint32_t before = l->afters[at] & ~REEVE_TASK_AFTER_ANY;
        if (a->next[before] == 0) a->path[depth++] = before;
    }
}

void reeve_list_audit_finish(reeve_list_audit *a, struct reeve_list_audit_result *out)
{
    struct reeve_list_audit_result *r = &a->result;
    r->tasks = a->list->task_count;
    for (uint32_t i = 0; i < r->tasks; i++)
        settle(a, i);
    bool twice = false;
    for (uint32_t i = 0; i < r->tasks; i++) {
        const struct reeve_task_record *t = &a->records[i];
        twice = twice || t->done > 1;
        r->failures += t->failures;
        r->released += t->released;
        r->done += t->state == REEVE_STATE_DONE;
        r->dead += t->state == REEVE_STATE_DEAD;
        r->cancelled += t->state == REEVE_STATE_CANCELLED;
        r->leased += t->state == REEVE_STATE_LEASED;
        r->ready += t->state == REEVE_STATE_READY;
        r->blocked += t->state == REEVE_STATE_BLOCKED;
    }
    r->complete = r->done + r->dead + r->cancelled == r->tasks;
    r->exactly_once = r->violations == 0 && !twice;
    *out = *r;
}

const struct reeve_task_record *reeve_list_audit_task(const reeve_list_audit *a, uint32_t task)
{
    return &a->records[task];
}
