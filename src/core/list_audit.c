/* See list_audit.h. */
#include "core/list_audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/error.h"

#define NONE UINT32_MAX
#define HELD_LISTS 65536u /* of leases, by worker; a power of two */

/* Neighbours in the list of what the workers of one number, modulo HELD_LISTS, hold. */
struct held {
    uint32_t next, prev;
};

struct reeve_list_audit {
    const struct reeve_task_list *list; /* borrowed */
    struct reeve_task_record *records;  /* (task_count,) owned */
    struct held *held;                  /* (task_count,) owned; of those LEASED */
    uint32_t *held_first;               /* (HELD_LISTS,) owned; a task, or NONE */
    uint32_t *first_follower;           /* (task_count + 1,) owned; those that wait for task i to end well are */
    uint32_t *followers;                /* (after_count,) owned; followers[first_follower[i]] up to those of i + 1 */
    uint32_t *path;                     /* (task_count,) owned; of take_along() */
    uint64_t lsn, run_id;
    uint32_t epoch, runs, added, started;
    struct reeve_list_audit_result result;
};

/* The list, read the other way round. Dependencies that hold however a task ends are of no interest here. */
static void find_followers(reeve_list_audit *a)
{
    const struct reeve_task_list *l = a->list;
    uint32_t *end = a->first_follower + 1; /* where the followers of each end so far: at first, where they begin */
    for (uint32_t i = 0; i < l->after_count; i++)
        if ((l->afters[i] & REEVE_TASK_AFTER_ANY) == 0 && l->afters[i] + 1 < l->task_count) end[l->afters[i] + 1]++;
    for (uint32_t i = 1; i < l->task_count; i++)
        end[i] += end[i - 1];
    for (uint32_t task = 0; task < l->task_count; task++)
        for (uint32_t i = l->entries[task].first_after; i < l->entries[task + 1].first_after; i++)
            if ((l->afters[i] & REEVE_TASK_AFTER_ANY) == 0) a->followers[end[l->afters[i]]++] = task;
}

reeve_status reeve_list_audit_create(const struct reeve_task_list *l, reeve_list_audit **out, struct reeve_error *err)
{
    reeve_list_audit *a = calloc(1, sizeof(*a));
    if (a != NULL) {
        a->list = l;
        a->records = calloc(l->task_count, sizeof(*a->records));
        a->held = calloc(l->task_count, sizeof(*a->held));
        a->held_first = calloc(HELD_LISTS, sizeof(*a->held_first));
        a->first_follower = calloc((size_t)l->task_count + 1, sizeof(*a->first_follower));
        a->followers = calloc((size_t)l->after_count + 1, sizeof(*a->followers));
        a->path = calloc(l->task_count, sizeof(*a->path));
    }
    if (a == NULL || !a->records || !a->held || !a->held_first || !a->first_follower || !a->followers || !a->path) {
        reeve_list_audit_destroy(a);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "audit of %u tasks: out of memory", l->task_count);
    }
    for (uint32_t i = 0; i < l->task_count; i++)
        a->records[i].state = REEVE_STATE_BLOCKED;
    for (uint32_t i = 0; i < HELD_LISTS; i++)
        a->held_first[i] = NONE;
    find_followers(a);
    *out = a;
    return REEVE_OK;
}

void reeve_list_audit_destroy(reeve_list_audit *a)
{
    if (a == NULL) return;
    free(a->path);
    free(a->followers);
    free(a->first_follower);
    free(a->held_first);
    free(a->held);
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

/* ---- who holds what ---- */

static void hold(reeve_list_audit *a, uint32_t task, uint32_t worker)
{
    uint32_t *first = &a->held_first[worker % HELD_LISTS];
    a->held[task] = (struct held){.next = *first, .prev = NONE};
    if (*first != NONE) a->held[*first].prev = task;
    *first = task;
    a->records[task].state = REEVE_STATE_LEASED;
    a->records[task].worker = worker;
}

/* To another state than LEASED. */
static void move(reeve_list_audit *a, uint32_t task, enum reeve_task_state state)
{
    struct reeve_task_record *r = &a->records[task];
    const struct held *h = &a->held[task];
    if (r->state == REEVE_STATE_LEASED) {
        if (h->prev != NONE) a->held[h->prev].next = h->next;
        else a->held_first[r->worker % HELD_LISTS] = h->next;
        if (h->next != NONE) a->held[h->next].prev = h->prev;
    }
    r->state = (uint8_t)state;
}

/* Of one of the lists: what this worker held; 0: what anybody held. */
static void release(reeve_list_audit *a, uint32_t list, uint32_t worker)
{
    for (uint32_t next, task = a->held_first[list]; task != NONE; task = next) {
        next = a->held[task].next;
        if (worker != 0 && a->records[task].worker != worker) continue;
        move(a, task, REEVE_STATE_READY);
        a->records[task].released++;
    }
}

/* What waits for this task to end well never runs, nor does what waits for that. */
static void take_along(reeve_list_audit *a, uint32_t task)
{
    uint32_t depth = 0;
    a->path[depth++] = task;
    while (depth > 0) { /* each task is put there once at most: when it dies */
        uint32_t dead = a->path[--depth];
        for (uint32_t i = a->first_follower[dead]; i < a->first_follower[dead + 1]; i++) {
            uint32_t follower = a->followers[i];
            if (a->records[follower].state != REEVE_STATE_BLOCKED) continue;
            a->records[follower].state = REEVE_STATE_DEAD;
            a->records[follower].by_dependency = true;
            a->path[depth++] = follower;
        }
    }
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
        if (r->state == REEVE_STATE_DONE || (any && has_ended(r))) continue;
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
    move(a, ev->task, REEVE_STATE_READY);
    hold(a, ev->task, ev->worker);
    r->attempt = ev->attempt;
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

/* What has ended stays as it is: a task that was done is not put aside or cancelled later. */
static bool check_not_ended(reeve_list_audit *a, const struct reeve_event *ev)
{
    if (!has_ended(&a->records[ev->task])) return true;
    violate(a, ev, "task %s had ended already", reeve_task_list_name(a->list, ev->task));
    return false;
}

static void apply_ended(reeve_list_audit *a, const struct reeve_event *ev)
{
    struct reeve_task_record *r = &a->records[ev->task];
    bool never_begun = ev->kind == REEVE_EVENT_TASK_DEAD && ev->worker == 0; /* put aside by the master */
    if (ev->kind == REEVE_EVENT_TASK_DONE && ++r->done > 1)
        violate(a, ev, "task %s done %u times", reeve_task_list_name(a->list, ev->task), r->done);
    if (never_begun && !check_not_ended(a, ev)) return;
    if (!never_begun && !check_lease(a, ev)) return;
    if (ev->kind == REEVE_EVENT_TASK_RELEASED) {
        move(a, ev->task, REEVE_STATE_READY);
        r->released++;
        return;
    }
    if (!never_begun) {
        r->result = ev->b;
        r->ended_ns = ev->step;
    }
    if (ev->kind == REEVE_EVENT_TASK_DONE) {
        move(a, ev->task, REEVE_STATE_DONE);
        return;
    }
    r->failures += !never_begun;
    r->reason = ev->arg;
    move(a, ev->task, ev->kind == REEVE_EVENT_TASK_DEAD ? REEVE_STATE_DEAD : REEVE_STATE_READY);
    if (r->state == REEVE_STATE_DEAD) take_along(a, ev->task);
}

static void apply_cancelled(reeve_list_audit *a, const struct reeve_event *ev)
{
    if (!check_not_ended(a, ev)) return;
    move(a, ev->task, REEVE_STATE_CANCELLED);
    take_along(a, ev->task);
}

static void apply_run_opened(reeve_list_audit *a, const struct reeve_event *ev)
{
    if (a->runs > 0 && (ev->a != a->run_id || ev->epoch <= a->epoch))
        violate(a, ev, "another run, or a membership epoch that does not grow");
    a->run_id = ev->a;
    a->result.restarts = a->runs++;
    for (uint32_t i = 0; i < HELD_LISTS; i++)
        release(a, i, 0); /* whoever held something is gone */
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
    case REEVE_EVENT_WORKER_CLEARED: release(a, ev->worker % HELD_LISTS, ev->worker); break;
    case REEVE_EVENT_TASKS_ADDED: apply_range(a, ev, &a->added); break;
    case REEVE_EVENT_TASKS_STARTED: apply_range(a, ev, &a->started); break;
    case REEVE_EVENT_TASK_LEASED: apply_leased(a, ev); break;
    case REEVE_EVENT_TASK_DONE:
    case REEVE_EVENT_TASK_FAILED:
    case REEVE_EVENT_TASK_RELEASED:
    case REEVE_EVENT_TASK_DEAD: apply_ended(a, ev); break;
    case REEVE_EVENT_TASK_CANCELLED: apply_cancelled(a, ev); break;
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

/* Was it never begun because it waits for something? */
static bool waits(const reeve_list_audit *a, uint32_t task)
{
    const struct reeve_task_list *l = a->list;
    for (uint32_t i = l->entries[task].first_after; i < l->entries[task + 1].first_after; i++)
        if (!has_ended(&a->records[l->afters[i] & ~REEVE_TASK_AFTER_ANY])) return true;
    return false;
}

void reeve_list_audit_finish(reeve_list_audit *a, struct reeve_list_audit_result *out)
{
    struct reeve_list_audit_result *r = &a->result;
    r->tasks = a->list->task_count;
    for (uint32_t i = 0; i < r->tasks; i++)
        if (a->records[i].state == REEVE_STATE_BLOCKED && !waits(a, i)) a->records[i].state = REEVE_STATE_READY;
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
