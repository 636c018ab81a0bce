/* The audit; see audit.h. It knows the plan and the events, and shares no code with the master that wrote them: what it
 * finds right was not found right by the one who did it.
 *
 * While folding it keeps of each committed step one byte, and of what was wrong with it a list. The samples themselves
 * are marked at the end, by walking the plan along the timeline that survived: so a roll-back only shortens the
 * timeline. */
#include "core/audit.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/audit_leases.h"
#include "core/audit_timeline.h"
#include "core/task.h"

#define GAP_STEPS_MAX 65536u /* commits further ahead than this are no gap in a journal but a wild number */

struct reeve_audit {
    reeve_plan *plan;       /* borrowed until destroy */
    uint64_t samples;       /* of a step: B */
    uint32_t micro_batches; /* of a step: M */
    struct audit_leases leases;
    struct audit_timeline timeline;
    uint64_t open_step;    /* 0: none */
    uint32_t *computed;    /* (micro_batches,) owned; how often each is in the accumulators of living workers */
    uint64_t *checkpoints; /* (checkpoint_count,) owned; steps, ascending, of the timeline */
    size_t checkpoint_count, checkpoint_room;
    uint64_t lsn, runs, run_id, manifest_digest;
    uint32_t epoch;                   /* membership epoch of the last event */
    bool regrouped;                   /* since the last step was opened: then all may go back to a checkpoint */
    bool eval_open, resume_due;       /* resume_due: a restart has not yet said from which step it goes on */
    struct reeve_audit_result result; /* the counts of the fold; finish() adds those of the timeline */
};

reeve_status reeve_audit_create(reeve_plan *plan, reeve_audit **out, struct reeve_error *err)
{
    reeve_audit *a = calloc(1, sizeof(*a));
    if (a == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "audit: out of memory");
    a->plan = plan;
    a->micro_batches = reeve_plan_micro_batches(plan);
    a->samples = reeve_plan_step_samples(plan);
    a->computed = calloc(a->micro_batches, sizeof(*a->computed));
    if (a->computed == NULL) {
        reeve_audit_destroy(a);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "audit: out of memory");
    }
    *out = a;
    return REEVE_OK;
}

void reeve_audit_destroy(reeve_audit *a)
{
    if (a == NULL) return;
    free(a->checkpoints);
    free(a->computed);
    audit_timeline_free(&a->timeline);
    audit_leases_free(&a->leases);
    free(a);
}

/* A rule is broken. The first one is worded: what follows from it would only hide it. */
static void __attribute__((format(printf, 3, 4)))
violate(reeve_audit *a, const struct reeve_event *ev, const char *format, ...)
{
    if (a->result.violations++ > 0) return;
    char *text = a->result.first_violation;
    size_t room = sizeof(a->result.first_violation);
    int n = snprintf(text, room, "event %" PRIu64 " (%s): ", ev->lsn, reeve_event_name(ev->kind));
    if (n < 0 || (size_t)n >= room) return;
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text + n, room - (size_t)n, format, args);
    va_end(args);
}

static reeve_status no_memory(const struct reeve_event *ev, struct reeve_error *err)
{
    return reeve_fail(err, REEVE_JOB_NO_MEMORY, "audit, event %" PRIu64 ": out of memory", ev->lsn);
}

/* ---- what is open ---- */

/* The step or evaluation is over, with or without success: its tasks are retired, whoever held them. */
static void retire_open_tasks(reeve_audit *a)
{
    for (uint32_t i = a->leases.count; i-- > 0;) {
        struct audit_lease *l = &a->leases.held[i];
        if (l->kind == REEVE_TASK_GRADIENT || l->kind == REEVE_TASK_EVAL) audit_leases_remove(&a->leases, l);
    }
    memset(a->computed, 0, sizeof(*a->computed) * a->micro_batches);
    a->open_step = 0;
    a->eval_open = false;
}

/* What had been computed for the open step is computed again. */
static void discard_open(reeve_audit *a)
{
    for (uint32_t m = 0; m < a->micro_batches; m++)
        a->result.recomputed += a->computed[m];
    retire_open_tasks(a);
}

static void apply_step_opened(reeve_audit *a, const struct reeve_event *ev)
{
    if (a->runs == 0) violate(a, ev, "step %" PRIu64 " opened before the run was", ev->step);
    if (a->resume_due)
        violate(a, ev, "step %" PRIu64 " opened after a restart that names no checkpoint (RUN_RESUMED)", ev->step);
    if (a->open_step != 0)
        violate(a, ev, "step %" PRIu64 " opened while step %" PRIu64 " was neither committed nor aborted", ev->step,
                a->open_step);
    if (ev->step != a->timeline.last + 1)
        violate(a, ev, "step %" PRIu64 " opened after step %" PRIu64 " was committed", ev->step, a->timeline.last);
    if (ev->arg != a->micro_batches || ev->b != a->samples)
        violate(a, ev,
                "step %" PRIu64 " opened with %" PRIu32 " micro-batches, %" PRIu64 " samples; the plan has %" PRIu32
                ", %" PRIu64,
                ev->step, ev->arg, ev->b, a->micro_batches, a->samples);
    if (ev->a != (ev->step - 1) * a->samples)
        violate(a, ev, "step %" PRIu64 " opened at position %" PRIu64 "; the plan says %" PRIu64, ev->step, ev->a,
                (ev->step - 1) * a->samples);
    discard_open(a);
    a->open_step = ev->step;
    a->regrouped = false;
}

static void apply_step_aborted(reeve_audit *a, const struct reeve_event *ev)
{
    if (a->open_step == 0 && !a->eval_open) violate(a, ev, "step %" PRIu64 " aborted, but nothing is open", ev->step);
    discard_open(a);
}

/* ---- leases ---- */

static reeve_status apply_leased(reeve_audit *a, const struct reeve_event *ev, struct reeve_error *err)
{
    a->result.leases++;
    bool gradient = ev->a == REEVE_TASK_GRADIENT;
    if (gradient && (a->open_step == 0 || ev->step != a->open_step))
        violate(a, ev, "task %" PRIu32 " computes micro-batch %" PRIu32 " of step %" PRIu64 ", which is not open",
                ev->task, ev->arg, ev->step);
    else if (gradient && ev->arg >= a->micro_batches)
        violate(a, ev, "micro-batch %" PRIu32 " of step %" PRIu64 "; the plan has %" PRIu32, ev->arg, ev->step,
                a->micro_batches);
    struct audit_lease *l = audit_leases_find(&a->leases, ev->task);
    if (l != NULL)
        violate(a, ev, "task %" PRIu32 " lent to worker %" PRIu32 " while worker %" PRIu32 " holds it", ev->task,
                ev->worker, l->worker);
    else l = audit_leases_put(&a->leases, ev->task);
    if (l == NULL) return no_memory(ev, err);
    bool known = !gradient || (ev->step == a->open_step && ev->arg < a->micro_batches);
    *l = (struct audit_lease){
        .task = ev->task,
        .worker = ev->worker,
        .attempt = ev->attempt,
        .key = ev->arg,
        .kind = known && ev->a < REEVE_TASK_KINDS ? (uint32_t)ev->a : 0,
    };
    return REEVE_OK;
}

/* The lease that this word of a worker is about; NULL if it is an old one's. */
static struct audit_lease *current_lease(const reeve_audit *a, const struct reeve_event *ev)
{
    struct audit_lease *l = audit_leases_find(&a->leases, ev->task);
    if (l == NULL || l->worker != ev->worker || l->attempt != ev->attempt || l->computed) return NULL;
    return l;
}

static void apply_computed(reeve_audit *a, const struct reeve_event *ev)
{
    struct audit_lease *l = current_lease(a, ev);
    if (l == NULL || (l->kind != REEVE_TASK_GRADIENT && l->kind != REEVE_TASK_EVAL)) {
        a->result.stale++;
        return;
    }
    l->computed = true;
    if (l->kind != REEVE_TASK_GRADIENT) return;
    if (ev->arg != l->key || ev->step != a->open_step)
        violate(a, ev,
                "task %" PRIu32 " was lent for micro-batch %" PRIu32 " of step %" PRIu64 ", and returned %" PRIu32
                " of %" PRIu64,
                ev->task, l->key, a->open_step, ev->arg, ev->step);
    if (++a->computed[l->key] > 1)
        violate(a, ev,
                "micro-batch %" PRIu32 " of step %" PRIu64 " computed again, by worker %" PRIu32
                ", and the first result was not lost",
                l->key, a->open_step, ev->worker);
}

/* TASK_DONE, TASK_FAILED, TASK_RELEASED */
static void apply_lease_ended(reeve_audit *a, const struct reeve_event *ev)
{
    struct audit_lease *l = current_lease(a, ev);
    if (l == NULL) a->result.stale++;
    else audit_leases_remove(&a->leases, l);
}

/* TASK_DEAD, TASK_CANCELLED: whoever holds it */
static void apply_task_ended(reeve_audit *a, const struct reeve_event *ev)
{
    struct audit_lease *l = audit_leases_find(&a->leases, ev->task);
    if (l != NULL && !l->computed) audit_leases_remove(&a->leases, l);
}

static void apply_worker_lost(reeve_audit *a, const struct reeve_event *ev)
{
    for (uint32_t i = a->leases.count; i-- > 0;) {
        struct audit_lease *l = &a->leases.held[i];
        if (l->worker != ev->worker) continue;
        if (l->computed && l->kind == REEVE_TASK_GRADIENT) {
            a->computed[l->key]--;
            a->result.recomputed++;
        }
        audit_leases_remove(&a->leases, l);
    }
}

/* ---- commits ---- */

/* Each micro-batch once in the accumulators of the workers that reduce: or what the step has too little or too much. */
static bool check_micro_batches(reeve_audit *a, const struct reeve_event *ev)
{
    uint32_t absent = 0, first = 0;
    bool ok = true;
    for (uint32_t m = 0; m < a->micro_batches && ok; m++) {
        if (a->computed[m] == 1) continue;
        if (a->computed[m] == 0 && absent++ == 0) first = m;
        ok = audit_timeline_note(&a->timeline, ev->step, m, (int64_t)a->computed[m] - 1);
    }
    if (absent > 0)
        violate(a, ev,
                "step %" PRIu64 " committed, but micro-batch %" PRIu32 " was not computed (%" PRIu32 " of %" PRIu32
                " are missing)",
                ev->step, first, absent, a->micro_batches);
    return ok;
}

/* False: out of memory. */
static bool commit_next(reeve_audit *a, const struct reeve_event *ev)
{
    bool ok = audit_timeline_append(&a->timeline, ev->step, (ev->flags & REEVE_EVENT_FLAG_REFUSED) != 0);
    if (!ok) return false;
    if (a->open_step != ev->step) {
        violate(a, ev, "step %" PRIu64 " committed, but it was never opened", ev->step);
        ok = audit_timeline_note(&a->timeline, ev->step, AUDIT_ALL_MICRO_BATCHES, -1);
    } else {
        ok = check_micro_batches(a, ev);
    }
    if (ev->b != reeve_plan_coverage_step(a->plan, ev->step))
        violate(a, ev, "step %" PRIu64 " committed with coverage word %016" PRIx64 "; the plan has %016" PRIx64,
                ev->step, ev->b, reeve_plan_coverage_step(a->plan, ev->step));
    if (ev->arg != a->samples)
        violate(a, ev, "step %" PRIu64 " committed with %" PRIu32 " samples; the plan has %" PRIu64, ev->step, ev->arg,
                a->samples);
    retire_open_tasks(a);
    return ok;
}

static reeve_status apply_step_committed(reeve_audit *a, const struct reeve_event *ev, struct reeve_error *err)
{
    uint64_t last = a->timeline.last;
    bool ok = true;
    if (ev->step <= last) {
        violate(a, ev, "step %" PRIu64 " committed again: step %" PRIu64 " is, and was not rolled back", ev->step,
                last);
        if (ev->step > 0) ok = audit_timeline_note(&a->timeline, ev->step, AUDIT_ALL_MICRO_BATCHES, +1);
        return ok ? REEVE_OK : no_memory(ev, err);
    }
    if (ev->step - last > 1)
        violate(a, ev, "step %" PRIu64 " committed after step %" PRIu64 ": %" PRIu64 " between were not", ev->step,
                last, ev->step - last - 1);
    if (ev->step - last > GAP_STEPS_MAX) return REEVE_OK;
    for (uint64_t s = last + 1; s < ev->step && ok; s++)
        ok = audit_timeline_append(&a->timeline, s, false) &&
             audit_timeline_note(&a->timeline, s, AUDIT_ALL_MICRO_BATCHES, -1);
    ok = ok && commit_next(a, ev);
    return ok ? REEVE_OK : no_memory(ev, err);
}

static reeve_status apply_checkpoint(reeve_audit *a, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->step > a->timeline.last) {
        violate(a, ev, "checkpoint of step %" PRIu64 ", but step %" PRIu64 " is the last one committed", ev->step,
                a->timeline.last);
        return REEVE_OK;
    }
    while (a->checkpoint_count > 0 && a->checkpoints[a->checkpoint_count - 1] >= ev->step)
        a->checkpoint_count--;
    if (a->checkpoint_count == a->checkpoint_room) {
        size_t room = a->checkpoint_room > 0 ? a->checkpoint_room * 2 : 16;
        uint64_t *more = realloc(a->checkpoints, sizeof(*more) * room);
        if (more == NULL) return no_memory(ev, err);
        a->checkpoints = more;
        a->checkpoint_room = room;
    }
    a->checkpoints[a->checkpoint_count++] = ev->step;
    return REEVE_OK;
}

/* ---- the run ---- */

static void apply_run_opened(reeve_audit *a, const struct reeve_event *ev)
{
    if (a->runs > 0 && ev->epoch <= a->epoch)
        violate(a, ev, "restarted in membership epoch %" PRIu32 ", which is not above %" PRIu32, ev->epoch, a->epoch);
    if (a->runs > 0 && (ev->a != a->run_id || ev->b != a->manifest_digest))
        violate(a, ev,
                "run %016" PRIx64 " on manifest %016" PRIx64 " in the journal of run %016" PRIx64 " on %016" PRIx64,
                ev->a, ev->b, a->run_id, a->manifest_digest);
    if (a->runs == 0) {
        a->run_id = ev->a;
        a->manifest_digest = ev->b;
    }
    discard_open(a);
    audit_leases_clear(&a->leases); /* whoever held something is gone */
    a->resume_due = a->runs > 0;
    a->result.restarts = a->runs++;
}

static void apply_run_resumed(reeve_audit *a, const struct reeve_event *ev)
{
    uint64_t last = a->timeline.last;
    if (!a->resume_due && !a->regrouped)
        violate(a, ev, "resumed at step %" PRIu64 " without a restart before it", ev->step);
    a->resume_due = false;
    discard_open(a);
    if (ev->step > last) {
        violate(a, ev, "resumed at step %" PRIu64 ", but step %" PRIu64 " is the last one committed", ev->step, last);
        return;
    }
    while (a->checkpoint_count > 0 && a->checkpoints[a->checkpoint_count - 1] > ev->step)
        a->checkpoint_count--;
    bool covered = a->checkpoint_count > 0 && a->checkpoints[a->checkpoint_count - 1] == ev->step;
    if (ev->step > 0 && !covered)
        violate(a, ev, "resumed at step %" PRIu64 ", which no checkpoint on record covers", ev->step);
    a->result.rolled_back_steps += last - ev->step;
    audit_timeline_roll_back(&a->timeline, ev->step);
}

/* RUN_STOPPED, RUN_ENDED */
static void apply_run_closed(reeve_audit *a, const struct reeve_event *ev)
{
    if (ev->step != a->timeline.last)
        violate(a, ev, "closed at step %" PRIu64 ", but step %" PRIu64 " is the last one committed", ev->step,
                a->timeline.last);
}

static void apply_eval_opened(reeve_audit *a, const struct reeve_event *ev)
{
    if (a->open_step != 0)
        violate(a, ev, "evaluation opened while step %" PRIu64 " was neither committed nor aborted", a->open_step);
    discard_open(a);
    a->eval_open = true;
}

static void check_order(reeve_audit *a, const struct reeve_event *ev)
{
    if (ev->lsn != a->lsn + 1)
        violate(a, ev, "record %" PRIu64 " follows record %" PRIu64 ": the journal has lost or moved some", ev->lsn,
                a->lsn);
    a->lsn = ev->lsn;
    if (ev->epoch < a->epoch)
        violate(a, ev, "written in membership epoch %" PRIu32 ", after epoch %" PRIu32 " had begun", ev->epoch,
                a->epoch);
}

reeve_status reeve_audit_event(reeve_audit *a, const struct reeve_event *ev, struct reeve_error *err)
{
    if (ev->kind >= REEVE_EVENT_VOLATILE) return REEVE_OK; /* never journalled; a live master's own */
    check_order(a, ev);
    reeve_status st = REEVE_OK;
    switch (ev->kind) {
    case REEVE_EVENT_RUN_OPENED: apply_run_opened(a, ev); break;
    case REEVE_EVENT_RUN_RESUMED: apply_run_resumed(a, ev); break;
    case REEVE_EVENT_WORKER_LOST:
    case REEVE_EVENT_WORKER_CLEARED: apply_worker_lost(a, ev); break;
    case REEVE_EVENT_REGROUPED: a->regrouped = true; break;
    case REEVE_EVENT_STEP_OPENED: apply_step_opened(a, ev); break;
    case REEVE_EVENT_STEP_ABORTED: apply_step_aborted(a, ev); break;
    case REEVE_EVENT_STEP_COMMITTED: st = apply_step_committed(a, ev, err); break;
    case REEVE_EVENT_EVAL_OPENED: apply_eval_opened(a, ev); break;
    case REEVE_EVENT_EVAL_COMMITTED: discard_open(a); break;
    case REEVE_EVENT_TASK_LEASED: st = apply_leased(a, ev, err); break;
    case REEVE_EVENT_TASK_COMPUTED: apply_computed(a, ev); break;
    case REEVE_EVENT_TASK_DONE:
    case REEVE_EVENT_TASK_FAILED:
    case REEVE_EVENT_TASK_RELEASED: apply_lease_ended(a, ev); break;
    case REEVE_EVENT_TASK_DEAD:
    case REEVE_EVENT_TASK_CANCELLED: apply_task_ended(a, ev); break;
    case REEVE_EVENT_CKPT_COMMIT: st = apply_checkpoint(a, ev, err); break;
    case REEVE_EVENT_RUN_STOPPED:
    case REEVE_EVENT_RUN_ENDED: apply_run_closed(a, ev); break;
    case REEVE_EVENT_WORKER_JOINED:
    case REEVE_EVENT_WORKER_REPLACED:
    case REEVE_EVENT_TASK_ADDED:
    case REEVE_EVENT_STEP_WEIGHTS:
    case REEVE_EVENT_CKPT_FAILED:
    case REEVE_EVENT_SEGMENT_STAMP:
        break;
    default: violate(a, ev, "kind %u is not known", ev->kind); break;
    }
    if (ev->epoch > a->epoch) a->epoch = ev->epoch;
    return st;
}

reeve_status reeve_audit_finish(reeve_audit *a, struct reeve_audit_result *out, struct reeve_error *err)
{
    struct reeve_audit_result r = a->result;
    reeve_status st = audit_timeline_mark(&a->timeline, a->plan, &r, err);
    if (st != REEVE_OK) return st;
    r.exactly_once =
        r.violations == 0 && r.duplicates == 0 && r.missing == 0 && r.samples_committed == r.samples_expected;
    *out = r;
    return REEVE_OK;
}
