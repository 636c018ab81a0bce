/* See regroup_job.h. */
#include "regroup_job.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

uint64_t job_draw(struct job *j, uint64_t bound)
{
    return reeve_random_below(j->seed, 78, j->draws++, bound);
}

static void put(struct line *l, const struct reeve_frame *f)
{
    assert_true(l->count < LINE_MAX);
    l->frames[(l->head + l->count++) % LINE_MAX] = *f;
}

static bool take(struct line *l, struct reeve_frame *f)
{
    if (l->count == 0) return false;
    *f = l->frames[l->head];
    l->head = (l->head + 1) % LINE_MAX;
    l->count--;
    return true;
}

/* ---- the master and its journal ---- */

static void new_master(struct job *j)
{
    j->plan = small_job_plan(&j->job);
    j->master = small_job_master(&j->job, j->plan, WORKERS, STEPS, j->crash_limit);
}

static void free_master(struct job *j)
{
    reeve_master_destroy(j->master);
    reeve_plan_destroy(j->plan);
}

static void carry_out(struct job *j, struct reeve_decision *d)
{
    for (uint32_t i = 0; i < d->event_count; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = j->term;
        if (ev->kind < REEVE_EVENT_VOLATILE) {
            assert_true(j->events < EVENTS_MAX);
            ev->lsn = j->events + 1;
            j->journal[j->events++] = *ev;
        }
        if (reeve_master_apply(j->master, ev, &j->err) != REEVE_OK)
            fail_msg("seed %llu: apply: %s", (unsigned long long)j->seed, j->err.text);
    }
    for (uint32_t i = 0; i < d->frame_count; i++) {
        struct reeve_frame f = d->frames[i].frame;
        uint32_t part = 0;
        for (uint32_t w = 1; w <= WORKERS; w++) {
            if (d->frames[i].to != 0 ? d->frames[i].to != w : !reeve_master_worker_active(j->master, w)) continue;
            if (f.kind == REEVE_FRAME_CHECKPOINT) f.arg = part++;
            if (j->worker[w].alive) put(&j->worker[w].inbox, &f);
        }
    }
    if (d->effect == REEVE_EFFECT_COMMIT_CHECKPOINT) j->ckpt_done_step = d->effect_step;
}

static void give(struct job *j, const struct reeve_master_input *in)
{
    struct reeve_decision d;
    reeve_master_decide(j->master, in, j->now_ns, &d);
    carry_out(j, &d);
}

void job_ask_save(struct job *j)
{
    const struct reeve_master_input save = {.kind = REEVE_INPUT_SAVE};
    give(j, &save);
}

struct reeve_master_status job_status(const struct job *j)
{
    struct reeve_master_status s;
    reeve_master_get_status(j->master, &s);
    return s;
}

/* ---- workers ---- */

static void say(struct worker *w, struct reeve_frame f)
{
    put(&w->outbox, &f);
}

static void compute(struct job *j, uint32_t id)
{
    struct worker *w = &j->worker[id];
    struct reeve_frame f = w->work[0];
    memmove(w->work, w->work + 1, --w->work_count * sizeof(f));
    bool gradient = f.a == REEVE_TASK_GRADIENT, eval = f.a == REEVE_TASK_EVAL;
    struct reeve_sample samples[2];
    uint32_t count = 2;
    if (eval) reeve_plan_eval_batch(j->worker_plan, f.arg, samples, &count);
    if (gradient) {
        assert_int_equal(w->applied + 1, f.step); /* never with the weights of another step */
        assert_int_equal(reeve_plan_micro_batch(j->worker_plan, f.step, f.arg, samples, &j->err), REEVE_OK);
    }
    struct sums *to = eval ? &w->eval : &w->acc;
    for (uint32_t i = 0; i < count && (gradient || eval); i++) {
        to->loss += reeve_random_below(samples[i].shard.v, samples[i].index, w->weights, 1000);
        to->samples++;
        to->tokens += 4;
    }
    if (gradient || eval)
        to->coverage += reeve_plan_coverage_word(j->worker_plan, eval ? REEVE_PLAN_EVAL_STEP(f.step) : f.step, f.arg);
    struct reeve_frame answer = {.kind = gradient || eval ? REEVE_FRAME_COMPUTED : REEVE_FRAME_DONE,
                                 .epoch = w->epoch,
                                 .task = f.task,
                                 .attempt = f.attempt,
                                 .step = f.step,
                                 .arg = f.arg};
    if (reeve_holdings_answer(&w->holds, &answer)) say(w, answer);
}

static void wipe(struct worker *w)
{
    memset(&w->acc, 0, sizeof(w->acc));
    memset(&w->eval, 0, sizeof(w->eval));
    reeve_holdings_wipe(&w->holds);
}

static void drop_work(struct worker *w)
{
    uint32_t kept = 0;
    for (uint32_t i = 0; i < w->work_count; i++)
        if (w->work[i].a != REEVE_TASK_GRADIENT && w->work[i].a != REEVE_TASK_EVAL) w->work[kept++] = w->work[i];
    w->work_count = kept;
}

static void add(struct sums *to, const struct sums *s)
{
    to->coverage += s->coverage;
    to->samples += s->samples;
    to->tokens += s->tokens;
    to->loss += s->loss;
}

/* Out of place; it is complete on all at once, but each tells it in its own time. */
static void sum_if_all_are_there(struct job *j)
{
    struct sums sum = {0};
    for (uint32_t w = 1; w <= WORKERS; w++) {
        struct worker *at = &j->worker[w];
        if (!at->alive) continue;
        if (!at->reducing || at->summed) return;
        add(&sum, at->reduce_kind == REEVE_TASK_EVAL ? &at->eval : &at->acc);
    }
    for (uint32_t w = 1; w <= WORKERS; w++) {
        struct worker *at = &j->worker[w];
        if (!at->alive) continue;
        if (at->reduce_kind == REEVE_TASK_EVAL) at->eval_sum = sum;
        else at->sum = sum;
        at->summed = true;
    }
}

static void tell_sum(struct job *j, struct worker *w)
{
    const struct sums *sum = w->reduce_kind == REEVE_TASK_EVAL ? &w->eval_sum : &w->sum;
    uint32_t members = 0;
    for (uint32_t i = 1; i <= WORKERS; i++)
        members += j->worker[i].alive;
    w->reducing = w->summed = false;
    if (w->reduce_kind != REEVE_TASK_EVAL) w->reduced = w->reduce_step;
    say(w, (struct reeve_frame){.kind = REEVE_FRAME_REDUCED,
                                .epoch = w->epoch,
                                .step = w->reduce_step,
                                .task = (uint32_t)sum->samples,
                                .arg = members,
                                .a = sum->loss,
                                .b = sum->coverage,
                                .c = sum->loss,
                                .d = sum->tokens});
}

static void rejoin(struct worker *w)
{
    w->rejoin_due = false;
    for (uint32_t i = 0; i < w->holds.count; i++) {
        struct reeve_frame f = w->holds.list[i];
        f.epoch = w->epoch;
        say(w, f);
    }
    say(w, (struct reeve_frame){.kind = REEVE_FRAME_REJOIN, .epoch = w->epoch, .step = w->applied, .a = w->reduced});
}

static void hear(struct job *j, uint32_t id, const struct reeve_frame *f)
{
    struct worker *w = &j->worker[id];
    struct reeve_frame answer = {.epoch = w->epoch, .step = f->step, .arg = f->arg};
    assert_true(f->epoch >= w->epoch || w->rejoin_due);
    switch (f->kind) {
    case REEVE_FRAME_WELCOME:
        w->epoch = f->epoch;
        if (w->rejoin_due) rejoin(w);
        break;
    case REEVE_FRAME_INIT:
    case REEVE_FRAME_RESTORE:
        drop_work(w);
        wipe(w);
        w->weights = f->kind == REEVE_FRAME_INIT ? 1234 : j->saved[f->step];
        w->applied = f->step;
        w->reduced = 0;
        answer.kind = REEVE_FRAME_READY;
        answer.a = w->weights;
        say(w, answer);
        break;
    case REEVE_FRAME_LEASE:
        assert_true(reeve_holdings_add(&w->holds, f) && w->work_count < 64);
        w->work[w->work_count++] = *f;
        break;
    case REEVE_FRAME_REDUCE:
        w->reducing = true;
        w->reduce_step = f->step;
        w->reduce_kind = f->a;
        if (f->a != REEVE_TASK_EVAL) w->reduced = 0;
        sum_if_all_are_there(j);
        break;
    case REEVE_FRAME_APPLY:
        assert_int_equal(w->reduced, f->step); /* the sum that was committed is the one that is here */
        w->weights = reeve_random_u64(w->weights, w->sum.loss, f->step);
        w->applied = f->step;
        wipe(w);
        break;
    case REEVE_FRAME_DISCARD:
        drop_work(w);
        w->reducing = w->summed = false;
        wipe(w);
        break;
    case REEVE_FRAME_CHECKPOINT:
        j->saved[f->step] = w->weights;
        answer.kind = REEVE_FRAME_WEIGHTS;
        answer.arg = 0;
        answer.a = w->weights;
        say(w, answer);
        say(w, (struct reeve_frame){
                   .kind = REEVE_FRAME_CKPT_PART, .epoch = w->epoch, .step = f->step, .arg = f->arg, .a = 1, .c = 3});
        break;
    case REEVE_FRAME_DRAIN: say(w, (struct reeve_frame){.kind = REEVE_FRAME_GOODBYE, .epoch = w->epoch}); break;
    case REEVE_FRAME_REVOKE: reeve_holdings_revoke(&w->holds, f->task, f->attempt); break;
    default: break;
    }
}

void job_worker_turn(struct job *j, uint32_t id)
{
    struct worker *w = &j->worker[id];
    struct reeve_frame f;
    if (!w->alive) return;
    if (!w->greeted) {
        w->greeted = true;
        say(w, (struct reeve_frame){.kind = REEVE_FRAME_HELLO, .a = id % 2});
    }
    if (w->summed) tell_sum(j, w);
    else if (job_draw(j, 2) == 0 && take(&w->inbox, &f)) hear(j, id, &f);
    else if (w->work_count > 0) compute(j, id);
}

/* ---- losses ---- */

/* A new master from the first `events` records; with all of them it must be what the old one was. */
static void succeed(struct job *j, uint32_t events)
{
    uint64_t live = reeve_master_digest(j->master);
    bool whole = events == j->events;
    free_master(j);
    new_master(j);
    j->events = events;
    j->ckpt_done_step = 0;
    j->term++;
    for (uint32_t i = 0; i < events; i++)
        if (reeve_master_apply(j->master, &j->journal[i], &j->err) != REEVE_OK)
            fail_msg("seed %llu: replay: %s", (unsigned long long)j->seed, j->err.text);
    if (whole) assert_true(reeve_master_digest(j->master) == live);
}

void job_regroup(struct job *j)
{
    for (uint32_t w = 1; w <= WORKERS; w++) {
        struct worker *at = &j->worker[w];
        at->inbox.count = at->outbox.count = 0;
        at->reducing = at->summed = false;
        at->rejoin_due = true;
        at->greeted = false;
        if (at->alive) continue;
        struct reeve_master_input lost = {.kind = REEVE_INPUT_WORKER_LOST, .worker = w, .status = REEVE_WORKER_LOST};
        give(j, &lost);
    }
    struct reeve_master_input regrouped = {.kind = REEVE_INPUT_REGROUPED, .worker = j->master_member};
    give(j, &regrouped);
}

static uint32_t lowest_alive(const struct job *j)
{
    for (uint32_t w = 1; w <= WORKERS; w++)
        if (j->worker[w].alive) return w;
    return 0;
}

static uint32_t alive_count(const struct job *j)
{
    uint32_t n = 0;
    for (uint32_t w = 1; w <= WORKERS; w++)
        n += j->worker[w].alive;
    return n;
}

/* A random process, or two at once; never the last worker. cut: records lost with the master's machine. */
static void lose(struct job *j, uint32_t cut)
{
    bool master = job_draw(j, 4) == 0, first = j->master_member == 0;
    uint32_t worker = 1 + (uint32_t)job_draw(j, WORKERS);
    if (master && job_draw(j, 3) > 0) worker = 0;
    if (alive_count(j) == 1 && (worker != 0 || !first)) return;
    if (alive_count(j) == 2 && master && !first) return;
    j->losses++;
    if (worker != 0) j->worker[worker].alive = false;
    if (worker != 0 && worker == j->master_member) master = true;
    if (master && !first) j->worker[j->master_member].alive = false;
    if (master) {
        j->master_member = lowest_alive(j);
        succeed(j, j->events > cut + 1 ? j->events - cut : j->events);
    }
    job_regroup(j);
}

/* ---- the job ---- */

struct job *job_start(uint64_t seed, uint32_t crash_limit)
{
    struct job *j = calloc(1, sizeof(*j));
    assert_non_null(j);
    j->seed = seed;
    j->crash_limit = crash_limit;
    small_job_init(&j->job);
    j->worker_plan = small_job_plan(&j->job);
    for (uint32_t w = 1; w <= WORKERS; w++)
        j->worker[w].alive = true;
    new_master(j);
    j->term = 1;
    struct reeve_decision d = {.event_count = 1};
    d.events[0] = small_job_opening(&j->job, WORKERS);
    carry_out(j, &d);
    return j;
}

void job_end(struct job *j)
{
    free_master(j);
    reeve_plan_destroy(j->worker_plan);
    for (uint32_t w = 1; w <= WORKERS; w++)
        reeve_holdings_fini(&j->worker[w].holds);
    free(j);
}

void job_master_turn(struct job *j)
{
    const struct reeve_master_input tick = {.kind = REEVE_INPUT_TICK};
    uint32_t from = 1 + (uint32_t)job_draw(j, WORKERS);
    struct reeve_frame f;
    if (j->worker[from].alive && take(&j->worker[from].outbox, &f)) {
        struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = from, .frame = &f, .text = ""};
        give(j, &in);
    }
    if (j->ckpt_done_step != 0 && job_draw(j, 20) == 0) {
        struct reeve_master_input done = {.kind = REEVE_INPUT_CKPT_DONE, .step = j->ckpt_done_step, .digest64 = 5};
        j->ckpt_done_step = 0;
        give(j, &done);
    }
    for (int t = 0; t < 100; t++) {
        struct reeve_decision d;
        reeve_master_decide(j->master, &tick, j->now_ns, &d);
        if (d.event_count == 0) return;
        carry_out(j, &d);
    }
}

void job_run(struct job *j, uint64_t rate, uint32_t cut_max)
{
    for (uint32_t n = 0; n < 400000; n++) {
        j->now_ns += 50000000;
        job_worker_turn(j, 1 + (uint32_t)job_draw(j, WORKERS));
        if (job_draw(j, 2) == 0) job_master_turn(j);
        if (rate > 0 && job_draw(j, rate) == 0) lose(j, cut_max == 0 ? 0 : (uint32_t)job_draw(j, cut_max));
        if (job_status(j).phase == REEVE_PHASE_ENDED) return;
    }
    fail_msg("seed %llu: no end (phase %d, step %llu)", (unsigned long long)j->seed, (int)job_status(j).phase,
             (unsigned long long)job_status(j).step);
}

struct reeve_audit_result job_audit(const struct job *j)
{
    struct reeve_audit_result r = small_job_audit(j->worker_plan, j->journal, j->events);
    if (!r.exactly_once) fail_msg("seed %llu: audit: %s", (unsigned long long)j->seed, r.first_violation);
    return r;
}
