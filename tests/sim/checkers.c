/* What is watched while the world runs; see checkers.h. What is proven from the journal is in checkers_journal.c. */
#include "checkers.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "checkers_state.h"
#include "core/task.h"

struct sim_checkers *sim_checkers_create(void)
{
    struct sim_checkers *c = calloc(1, sizeof(*c));
    REEVE_ASSERT(c != NULL);
    return c;
}

void sim_checkers_destroy(struct sim_checkers *c)
{
    free(c->live);
    free(c->kept_sum);
    free(c);
}

uint64_t sim_checkers_records(const struct sim_checkers *c)
{
    return c->kept_count;
}

void sim_violate(struct sim *s, const char *promise, const char *format, ...)
{
    if (s->failed) return;
    s->failed = true;
    (void)snprintf(s->promise, sizeof(s->promise), "%s", promise);
    va_list args;
    va_start(args, format);
    (void)vsnprintf(s->why, sizeof(s->why), format, args);
    va_end(args);
    sim_trace(s, "BROKEN: %s: %s", s->promise, s->why);
}

static struct sim_checkers *of(const struct sim_proc *p)
{
    return p->sim->checkers;
}

/* ---- one holder ---- */

static void fold_leased(struct sim *s, struct lease_seen *l, const struct reeve_event *ev)
{
    if (l->held)
        sim_violate(s, "one holder", "task %u lent to worker %u while worker %u holds it", ev->task, ev->worker,
                    l->worker);
    if (l->computed)
        sim_violate(s, "survivors keep", "task %u lent to worker %u: worker %u has computed it, and lives", ev->task,
                    ev->worker, l->worker);
    *l = (struct lease_seen){.held = true,
                             .worker = ev->worker,
                             .attempt = ev->attempt,
                             .summed = ev->a == REEVE_TASK_GRADIENT || ev->a == REEVE_TASK_EVAL};
}

static void fold_lease_word(struct sim *s, struct lease_seen *l, const struct reeve_event *ev)
{
    if (!l->held || l->worker != ev->worker || l->attempt != ev->attempt)
        sim_violate(s, "one holder", "a word of worker %u on task %u, attempt %u, counted; the lease is %s%u's, %u",
                    ev->worker, ev->task, ev->attempt, l->held ? "" : "over; it was ", l->worker, l->attempt);
    l->held = false;
    l->computed = ev->kind == REEVE_EVENT_TASK_COMPUTED;
}

/* worker 0: of all; summed: gradients and evaluations only. */
static void end_leases(struct sim *s, uint32_t worker, bool summed)
{
    for (uint32_t t = 0; t < LEASES_MAX; t++) {
        struct lease_seen *l = &s->checkers->lease[t];
        if ((worker == 0 || l->worker == worker) && (!summed || l->summed)) l->held = l->computed = false;
    }
}

void sim_leases_fold(struct sim *s, const struct reeve_event *ev)
{
    struct lease_seen *l = &s->checkers->lease[ev->task < LEASES_MAX ? ev->task : 0];
    switch (ev->kind) {
    case REEVE_EVENT_RUN_OPENED: end_leases(s, 0, false); break;
    case REEVE_EVENT_TASK_LEASED: fold_leased(s, l, ev); break;
    case REEVE_EVENT_TASK_COMPUTED:
    case REEVE_EVENT_TASK_DONE:
    case REEVE_EVENT_TASK_FAILED:
    case REEVE_EVENT_TASK_RELEASED: fold_lease_word(s, l, ev); break;
    case REEVE_EVENT_TASK_DEAD: l->held = false; break;
    case REEVE_EVENT_WORKER_LOST:
    case REEVE_EVENT_WORKER_CLEARED: end_leases(s, ev->worker, false); break;
    case REEVE_EVENT_STEP_COMMITTED:
    case REEVE_EVENT_STEP_ABORTED:
    case REEVE_EVENT_EVAL_COMMITTED: end_leases(s, 0, true); break;
    default: break;
    }
}

void sim_check_computed(struct sim_proc *p, const struct reeve_frame *f)
{
    bool skips = p->sim->mutation == SIM_MUTATE_SKIP_MICRO && p->sim->mutation_count++ == 4;
    if (f->a == REEVE_TASK_GRADIENT && f->arg < SIM_MICRO_MAX && !skips) p->added[f->arg]++;
    /* An older launch that was cut off computes leases of its own: another world, which nobody counts. */
    /* So does who was given up. Nor may attempts be compared where records were lost: they are given out again. */
    if (p->given_up || p->launch->number != of(p)->launch || f->task >= LEASES_MAX || of(p)->unsynced == of(p)->launch)
        return;
    const struct lease_seen *l = &of(p)->lease[f->task];
    if (!l->held || l->attempt != f->attempt) return;
    if (l->worker != p->rank)
        sim_violate(p->sim, "one holder", "attempt %u of task %u was lent to worker %u, and worker %u computes it",
                    f->attempt, f->task, l->worker, p->rank);
}

/* ---- exactly once: what was in the sums ---- */

void sim_check_zeroed(struct sim_proc *p)
{
    memset(p->added, 0, sizeof(p->added));
}

void sim_check_sum(struct sim_launch *l, uint32_t members, size_t n)
{
    if (n != SIM_SUM_COUNT) return;
    memset(l->summed, 0, sizeof(l->summed));
    for (uint32_t w = 1; w <= l->workers; w++)
        for (uint32_t m = 0; m < SIM_MICRO_MAX && (members >> w & 1) != 0; m++)
            l->summed[m] = (uint8_t)(l->summed[m] + l->proc[w].added[m]);
}

static void check_committed(struct sim_proc *p, const struct reeve_event *ev)
{
    struct sim *s = p->sim;
    if (ev->step < 1 || ev->step > s->shape->job.train.steps) {
        sim_violate(s, "exactly once", "step %llu committed: the job has %llu", (unsigned long long)ev->step,
                    (unsigned long long)s->shape->job.train.steps);
        return;
    }
    for (uint32_t m = 0; m < s->shape->micro_batches; m++)
        if (p->launch->summed[m] != 1)
            sim_violate(s, "exactly once", "step %llu committed with micro-batch %u in the sum %u times",
                        (unsigned long long)ev->step, m, p->launch->summed[m]);
    bool refused = (ev->flags & REEVE_EVENT_FLAG_REFUSED) != 0;
    if (refused != (ev->step == s->shape->nan_step))
        sim_violate(s, "same bits", "step %llu was %srefused", (unsigned long long)ev->step, refused ? "" : "not ");
}

/* ---- same bits ---- */

void sim_check_weights(struct sim_proc *p, const struct sim_model *model, const char *how)
{
    struct sim *s = p->sim;
    if (model->step <= s->shape->job.train.steps &&
        memcmp(model->word, s->shape->undisturbed[model->step].word, sizeof(model->word)) == 0)
        return;
    sim_violate(s, "same bits", "worker %u of launch %u has %s other weights than the undisturbed run after step %llu",
                p->rank, p->launch->number, how, (unsigned long long)model->step);
}

/* ---- one master ---- */

void sim_check_obeyed(struct sim_proc *p, const struct reeve_frame *f)
{
    if (sim_trace_is_read())
        sim_trace(p->sim, "L%u worker %u does %s step %llu task %u attempt %u arg %u", p->launch->number, p->rank,
                  reeve_frame_name(f->kind), (unsigned long long)f->step, f->task, f->attempt, f->arg);
    if (f->epoch < p->obeyed_epoch)
        sim_violate(p->sim, "one master", "worker %u obeys a %s of epoch %u after words of epoch %u", p->rank,
                    reeve_frame_name(f->kind), f->epoch, p->obeyed_epoch);
    if (f->epoch > p->obeyed_epoch) p->obeyed_epoch = f->epoch;
}

/* Whoever hears a word of an epoch hears it of the same master as everybody else. */
void sim_check_heard(struct sim_proc *p, uint32_t speaker, const void *bytes, size_t n)
{
    size_t offset = 0;
    struct reeve_frame f;
    const char *text;
    _Bool end = false;
    while (reeve_frame_next(bytes, n, &offset, &f, &text, &end) == REEVE_OK && !end) {
        if (f.kind < REEVE_FRAME_WELCOME || f.epoch == 0 || f.epoch >= SIM_EPOCHS_MAX || f.epoch < p->obeyed_epoch)
            continue;
        uint8_t *known = &p->launch->speaker[f.epoch];
        if (*known == 0) *known = (uint8_t)(speaker + 1);
        if (*known != speaker + 1)
            sim_violate(p->sim, "one master", "worker %u hears a %s of epoch %u from rank %u, others from rank %u",
                        p->rank, reeve_frame_name(f.kind), f.epoch, speaker, *known - 1u);
    }
}

/* ---- only who hangs is put out ---- */

#define AFTERMATH_NS (3 * REEVE_SECOND_NS) /* it goes on, and its word is on its way */

void sim_check_put_out(struct sim_proc *p)
{
    const struct sim *s = p->sim;
    if (!s->plan.losses_only || p->given_up || s->now_ns <= p->stood_until_ns + AFTERMATH_NS) return;
    sim_violate(p->sim, "only who hangs", "rank %u of launch %u is put out, and did not stand still", p->rank,
                p->launch->number);
}

/* ---- words have records ---- */

/* The first and the last: begin, and leave. They say nothing that is on record. */
static bool is_bare_word(const void *bytes, size_t n)
{
    struct reeve_frame f = {0};
    size_t offset = 0;
    const char *text;
    _Bool end;
    return reeve_frame_next(bytes, n, &offset, &f, &text, &end) == REEVE_OK &&
           (f.kind == REEVE_FRAME_FIRST || f.kind == REEVE_FRAME_END);
}

void sim_check_words(struct sim_proc *p, uint32_t to, const void *bytes, size_t n)
{
    if (!sim_leads(p) || p->given_up || is_bare_word(bytes, n)) return; /* nobody hears who was given up */
    struct sim *s = p->sim;
    uint64_t written, durable;
    sim_disk_reach(s, p->term, &written, &durable);
    uint32_t policy = s->shape->job.journal.sync;
    if (written < p->appended_lsn)
        sim_violate(s, "words have records", "a message to worker %u leaves; records %llu to %llu are not written", to,
                    (unsigned long long)written + 1, (unsigned long long)p->appended_lsn);
    size_t offset = 0;
    for (;;) {
        struct reeve_frame f;
        const char *text;
        _Bool end;
        if (reeve_frame_next(bytes, n, &offset, &f, &text, &end) != REEVE_OK || end) break;
        bool commits = f.kind == REEVE_FRAME_APPLY || f.kind == REEVE_FRAME_DRAIN;
        uint64_t needed = policy == REEVE_SYNC_ALWAYS ? p->appended_lsn : p->epoch_lsn;
        if (policy == REEVE_SYNC_STEP && commits) needed = p->commit_lsn;
        if (durable < needed)
            sim_violate(s, "words have records", "%s to worker %u leaves; record %llu is not durable",
                        reeve_frame_name(f.kind), to, (unsigned long long)needed);
        if (f.epoch != p->epoch)
            sim_violate(s, "one master", "the master of epoch %u speaks for epoch %u", p->epoch, f.epoch);
    }
    if (p->term != of(p)->term) return; /* replaced: its records are not in the journal any more */
    of(p)->promised_lsn = written > durable ? written : durable;
    of(p)->durable_lsn = durable;
}

void sim_check_forget_unsynced(struct sim *s)
{
    struct sim_checkers *c = s->checkers;
    c->promised_lsn = c->durable_lsn;
    c->unsynced = c->launch;
    if (c->kept_count > c->durable_lsn) c->kept_count = c->durable_lsn;
}

/* ---- events ---- */

void sim_check_damaged(struct sim *s)
{
    s->checkers->damaged++;
}

static void keep_live_digest(struct sim_checkers *c, const reeve_master *m, const struct reeve_event *ev)
{
    bool frequent = ev->kind == REEVE_EVENT_TASK_LEASED || ev->kind == REEVE_EVENT_TASK_COMPUTED ||
                    ev->kind == REEVE_EVENT_TASK_DONE;
    if (frequent && ev->lsn % 4 != 0) return; /* a digest costs more than all else in an event */
    /* A checkpoint that cannot be read is put aside without a record by a launch; RUN_RESUMED makes up for it. */
    if (c->damaged > 0 && !c->resumed) return;
    if (c->live_count == c->live_room) {
        c->live_room = c->live_room == 0 ? 1024 : 2 * c->live_room;
        c->live = realloc(c->live, c->live_room * sizeof(*c->live));
        REEVE_ASSERT(c->live != NULL);
    }
    c->live[c->live_count++] =
        (struct live_digest){.lsn = ev->lsn, .epoch = ev->epoch, .digest = reeve_master_digest(m)};
}

/* ---- survivors keep what they have; no step is lost ---- */

static bool has_fault(const struct sim *s, enum sim_fault_kind kind)
{
    for (uint32_t i = 0; i < s->plan.fault_count; i++)
        if (s->plan.fault[i].kind == kind) return true;
    return false;
}

/* Of those who are there. If all who had the state are lost, the new ones go back to a checkpoint; again, if the record of
 * that is lost. */
static bool somebody_has_it(const struct sim_launch *l)
{
    for (uint32_t w = 1; w <= l->workers; w++)
        if (sim_runs(&l->proc[w]) && !l->proc[w].given_up && sim_compute_has_state(&l->proc[w])) return true;
    return false;
}

/* Another process in its place, of which the master that leads knows nothing: the one that it came under was lost before it
 * had that on record. It holds nothing of what the journal says that its worker has. */
static bool came_unseen(const struct sim_proc *p)
{
    return p->joins && p->came_lsn == 0;
}

/* A journal that begins at lsn has none of the records that others have taken for theirs from there on. */
static void forget_comings(struct sim_launch *l, uint64_t lsn)
{
    for (uint32_t w = 1; w <= l->workers; w++)
        if (l->proc[w].came_lsn >= lsn) l->proc[w].came_lsn = 0;
}

/* A loss costs what the lost one held of the open step. Only lost records, and sums that differ, cost more. */
static void check_cost(struct sim_proc *p, const struct reeve_event *ev)
{
    struct sim *s = p->sim;
    struct sim_checkers *c = of(p);
    bool unsynced = c->unsynced == c->launch;
    if (!s->plan.weather.in_job) return;
    if (ev->kind == REEVE_EVENT_RUN_OPENED) c->committed = 0;
    if (ev->kind == REEVE_EVENT_REGROUPED) p->launch->bare |= !somebody_has_it(p->launch);
    if (ev->kind == REEVE_EVENT_TASK_DEAD && ev->arg == REEVE_WORKER_LOST) p->launch->excused = true; /* crash_limit */
    if (ev->kind == REEVE_EVENT_RUN_RESUMED && ev->step < c->committed && !p->launch->bare &&
        !(unsynced && s->shape->job.journal.sync == REEVE_SYNC_NONE))
        sim_violate(s, "no step is lost", "launch %u has committed step %llu, and goes back to step %llu", c->launch,
                    (unsigned long long)c->committed, (unsigned long long)ev->step);
    if (ev->kind == REEVE_EVENT_WORKER_REPLACED && ev->worker <= p->launch->workers)
        p->launch->proc[ev->worker].came_lsn = ev->lsn;
    if (ev->kind == REEVE_EVENT_WORKER_CLEARED && !unsynced && !c->aborted && ev->worker <= p->launch->workers &&
        sim_compute_has_state(&p->launch->proc[ev->worker]) && !came_unseen(&p->launch->proc[ev->worker]))
        sim_violate(s, "survivors keep", "worker %u begins the step anew, and no record was lost", ev->worker);
    if (ev->kind == REEVE_EVENT_STEP_ABORTED && ev->arg == REEVE_WORKER_DIVERGED && !unsynced && !p->launch->bare &&
        !has_fault(s, SIM_FAULT_SUM_FLIPS))
        sim_violate(s, "survivors keep", "step %llu is thrown away: its sum was not what was recorded",
                    (unsigned long long)ev->step);
    if (ev->kind == REEVE_EVENT_STEP_ABORTED) c->aborted = true;
    if (ev->kind == REEVE_EVENT_STEP_COMMITTED) {
        c->committed = ev->step;
        c->aborted = p->launch->bare = false;
    }
}

/* ---- places are taken ---- */

#define LONELY_STEPS 6 /* one is enough to show that the job goes on without those who were lost */
#define LONELY_NS (3 * REEVE_SECOND_NS)

static void check_places(struct sim_proc *p, const reeve_master *m, const struct reeve_event *ev)
{
    struct sim_launch *l = p->launch;
    const struct sim *s = p->sim;
    if (!s->plan.replaces || !s->plan.losses_only || l->refused || p->given_up) return;
    if (ev->kind == REEVE_EVENT_REGROUPED) {
        l->lonely_steps = 0;
        l->lonely_ns = s->now_ns;
    }
    bool lost = false;
    for (uint32_t w = 1; w <= l->workers; w++)
        lost |= reeve_master_worker_lost(m, w);
    if (ev->kind != REEVE_EVENT_STEP_COMMITTED || !lost) return;
    if (++l->lonely_steps > LONELY_STEPS && s->now_ns - l->lonely_ns > LONELY_NS)
        sim_violate(p->sim, "places are taken", "%u steps since a worker was lost, and nobody is asked for in its place",
                    l->lonely_steps);
}

void sim_check_event(struct sim_proc *p, const reeve_master *m, const struct reeve_event *ev)
{
    struct sim_checkers *c = of(p);
    if (ev->kind == REEVE_EVENT_RESTORE_FAILED || ev->kind == REEVE_EVENT_RUN_OPENED) c->resumed = false;
    if (ev->kind >= REEVE_EVENT_VOLATILE) return;
    bool opens = ev->kind == REEVE_EVENT_RUN_OPENED || ev->kind == REEVE_EVENT_REGROUPED;
    p->appended_lsn = ev->lsn;
    if (ev->kind == REEVE_EVENT_STEP_COMMITTED || ev->kind == REEVE_EVENT_RUN_ENDED ||
        ev->kind == REEVE_EVENT_RUN_STOPPED || opens)
        p->commit_lsn = ev->lsn;
    if (opens) {
        p->epoch_lsn = ev->lsn;
        struct reeve_master_status status;
        reeve_master_get_status(m, &status);
        p->epoch = status.epoch;
    }
    if (p->term > c->term) {
        c->term = p->term;
        forget_comings(p->launch, ev->lsn);
    }
    if (p->term != c->term) return; /* a master that was replaced, and does not know it yet */
    c->launch = p->launch->number;
    if (ev->kind == REEVE_EVENT_RUN_RESUMED) c->resumed = true;
    if (p->sim->mutation == SIM_MUTATE_LIVE_AHEAD && ev->kind == REEVE_EVENT_CKPT_COMMIT)
        reeve_master_reject_checkpoint(p->master, ev->step);
    keep_live_digest(c, m, ev);
    sim_leases_fold(p->sim, ev);
    check_cost(p, ev);
    check_places(p, m, ev);
    if (ev->kind == REEVE_EVENT_STEP_COMMITTED) check_committed(p, ev);
}
