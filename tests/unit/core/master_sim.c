/* See master_sim.h. */
#include "master_sim.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/random.h"

uint64_t sim_draw(struct sim *s, uint64_t bound)
{
    return reeve_random_below(s->seed, 77, s->draws++, bound);
}

/* ---- the master and its journal ---- */

static void free_master(struct sim *s)
{
    reeve_master_destroy(s->master);
    reeve_plan_destroy(s->plan);
    s->master = NULL;
    s->plan = NULL;
}

void sim_new_master(struct sim *s)
{
    free_master(s);
    s->plan = small_job_plan(&s->job);
    s->master = small_job_master(&s->job, s->plan, WORKERS_MAX, s->steps, 3);
}

struct reeve_master_status sim_status(const struct sim *s)
{
    struct reeve_master_status status;
    reeve_master_get_status(s->master, &status);
    return status;
}

static void deliver(struct sim *s, uint32_t to, const struct reeve_frame *f)
{
    struct sim_worker *w = &s->worker[to];
    assert_true(w->count < INBOX_MAX);
    w->inbox[(w->head + w->count++) % INBOX_MAX] = *f;
}

static void carry_out(struct sim *s, struct reeve_decision *d)
{
    for (uint32_t i = 0; i < d->event_count; i++) {
        struct reeve_event *ev = &d->events[i];
        ev->epoch = s->epoch;
        if (ev->kind < REEVE_EVENT_VOLATILE) {
            assert_true(s->events < EVENTS_MAX);
            ev->lsn = s->events + 1;
            s->journal[s->events++] = *ev;
        }
        reeve_status st = reeve_master_apply(s->master, ev, &s->err);
        if (st != REEVE_OK) fail_msg("apply: %s", s->err.text);
        if (ev->kind == REEVE_EVENT_CKPT_COMMIT) s->has_saved[ev->step] = true;
    }
    for (uint32_t i = 0; i < d->frame_count; i++) {
        struct reeve_frame f = d->frames[i].frame;
        uint32_t part = 0;
        for (uint32_t w = 1; w <= s->workers; w++) {
            if (d->frames[i].to != 0 && d->frames[i].to != w) continue;
            if (d->frames[i].to == 0 && !reeve_master_worker_active(s->master, w)) continue;
            if (f.kind == REEVE_FRAME_CHECKPOINT) f.arg = part++;
            deliver(s, w, &f);
        }
    }
    if (d->effect == REEVE_EFFECT_COMMIT_CHECKPOINT) s->ckpt_done_step = d->effect_step;
}

void sim_give(struct sim *s, const struct reeve_master_input *in)
{
    struct reeve_decision d;
    reeve_master_decide(s->master, in, s->now_ns, &d);
    carry_out(s, &d);
}

void sim_restart(struct sim *s, uint32_t workers)
{
    uint64_t live = s->master != NULL ? reeve_master_digest(s->master) : 0;
    bool compare = s->master != NULL;
    sim_new_master(s);
    for (uint32_t i = 0; i < s->events; i++)
        if (reeve_master_apply(s->master, &s->journal[i], &s->err) != REEVE_OK) fail_msg("replay: %s", s->err.text);
    if (compare) assert_true(reeve_master_digest(s->master) == live);
    memset(s->worker, 0, sizeof(s->worker));
    s->workers = workers;
    s->ckpt_done_step = 0;
    s->epoch++;
    struct reeve_decision d = {.event_count = 1};
    d.events[0] = small_job_opening(&s->job, workers);
    carry_out(s, &d);
}

/* ---- workers ---- */

static void say(struct sim *s, uint32_t w, struct reeve_frame f)
{
    if (f.kind != REEVE_FRAME_HELLO) f.epoch = s->epoch;
    struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = w, .frame = &f, .text = ""};
    sim_give(s, &in);
}

/* The gradient of a micro-batch is a hash of its samples: the sum of these is what the model learns from. */
static void compute(struct sim *s, struct sim_worker *w, const struct reeve_frame *f)
{
    struct reeve_sample samples[SMALL_SAMPLES];
    uint32_t count = SMALL_SAMPLES;
    if (f->a == REEVE_TASK_EVAL) reeve_plan_eval_batch(s->worker_plan, f->arg, samples, &count);
    else assert_int_equal(reeve_plan_micro_batch(s->worker_plan, f->step, f->arg, samples, &s->err), REEVE_OK);
    uint64_t step = f->a == REEVE_TASK_EVAL ? REEVE_PLAN_EVAL_STEP(f->step) : f->step;
    for (uint32_t i = 0; i < count; i++)
        w->loss += (int64_t)reeve_random_below(samples[i].shard.v, samples[i].index, w->weights, 1000);
    w->coverage += reeve_plan_coverage_word(s->worker_plan, step, f->arg);
    w->samples += count;
    w->tokens += count * SIM_SAMPLE_TOKENS;
}

static void reduce_if_all_are_there(struct sim *s)
{
    uint64_t coverage = 0, samples = 0, tokens = 0;
    int64_t loss = 0;
    for (uint32_t w = 1; w <= s->workers; w++) {
        if (!s->worker[w].reducing) return;
        coverage += s->worker[w].coverage;
        samples += s->worker[w].samples;
        tokens += s->worker[w].tokens;
        loss += s->worker[w].loss;
    }
    for (uint32_t w = 1; w <= s->workers; w++) {
        s->worker[w].reducing = false;
        struct reeve_frame f = {.kind = REEVE_FRAME_REDUCED,
                                .step = s->worker[w].reduce.step,
                                .task = (uint32_t)samples,
                                .arg = s->workers,
                                .attempt = s->flag_evals && s->worker[w].reduce.a == REEVE_TASK_EVAL,
                                .a = (uint64_t)loss,
                                .b = coverage,
                                .c = (uint64_t)loss,
                                .d = tokens};
        if (s->worker[w].reduce.a == REEVE_TASK_EVAL)
            s->worker[w].coverage = s->worker[w].samples = s->worker[w].tokens = 0, s->worker[w].loss = 0;
        else s->worker[w].loss = loss; /* what APPLY will use; the own part is not needed any more */
        say(s, w, f);
    }
}

static void lease(struct sim *s, uint32_t id, const struct reeve_frame *f)
{
    struct sim_worker *w = &s->worker[id];
    struct reeve_frame answer = {.task = f->task, .attempt = f->attempt, .step = f->step, .arg = f->arg};
    bool summed = f->a == REEVE_TASK_GRADIENT || f->a == REEVE_TASK_EVAL;
    if (f->a == REEVE_TASK_GRADIENT && f->step == 3 && f->arg == s->poison) {
        answer.kind = REEVE_FRAME_FAILED;
        answer.arg = REEVE_INPUT_INVALID;
    } else if (sim_draw(s, 100) < s->fail_percent) {
        answer.kind = REEVE_FRAME_FAILED;
        answer.arg = REEVE_TASK_FAILED;
    } else {
        if (summed) compute(s, w, f);
        if (s->cheat && id == 1 && f->a == REEVE_TASK_GRADIENT) {
            compute(s, w, f);
            s->cheat = false;
        }
        answer.kind = summed ? REEVE_FRAME_COMPUTED : REEVE_FRAME_DONE;
    }
    say(s, id, answer);
    if (sim_draw(s, 10) == 0) say(s, id, answer); /* a duplicate of it is dropped */
}

static void worker_turn(struct sim *s, uint32_t id)
{
    struct sim_worker *w = &s->worker[id];
    if (!w->greeted) {
        w->greeted = true;
        say(s, id, (struct reeve_frame){.kind = REEVE_FRAME_HELLO, .a = id % 2});
        return;
    }
    if (w->count == 0 || w->reducing || w->gone) return;
    struct reeve_frame f = w->inbox[w->head];
    w->head = (w->head + 1) % INBOX_MAX;
    w->count--;
    switch (f.kind) {
    case REEVE_FRAME_INIT:
        if (s->fail_init && id == 1) {
            say(s, id, (struct reeve_frame){.kind = REEVE_FRAME_REDUCE_FAILED, .arg = REEVE_JOB_NO_MEMORY});
            break;
        }
        w->weights = 1234;
        say(s, id, (struct reeve_frame){.kind = REEVE_FRAME_READY, .a = w->weights});
        break;
    case REEVE_FRAME_RESTORE:
        assert_true(s->has_saved[f.step]);
        w->weights = s->saved[f.step];
        say(s, id, (struct reeve_frame){.kind = REEVE_FRAME_READY, .step = f.step, .a = w->weights});
        break;
    case REEVE_FRAME_LEASE: lease(s, id, &f); break;
    case REEVE_FRAME_REDUCE:
        w->reducing = true;
        w->reduce = f;
        reduce_if_all_are_there(s);
        break;
    case REEVE_FRAME_APPLY: w->weights = reeve_random_u64(w->weights, (uint64_t)w->loss, f.step); /* fall through */
    case REEVE_FRAME_DISCARD:
        w->coverage = w->samples = w->tokens = 0;
        w->loss = 0;
        break;
    case REEVE_FRAME_CHECKPOINT:
        s->saved[f.step] = w->weights;
        say(s, id, (struct reeve_frame){.kind = REEVE_FRAME_WEIGHTS, .step = f.step, .a = w->weights});
        if (id == 1 && s->fail_parts > 0) {
            s->fail_parts--;
            say(s, id,
                (struct reeve_frame){
                    .kind = REEVE_FRAME_CKPT_PART_FAILED, .step = f.step, .arg = f.arg, .a = REEVE_STORE_WRITE});
            break;
        }
        say(s, id,
            (struct reeve_frame){.kind = REEVE_FRAME_CKPT_PART, .step = f.step, .arg = f.arg, .a = 1, .b = 2, .c = 3});
        break;
    case REEVE_FRAME_DRAIN:
        w->gone = true;
        say(s, id, (struct reeve_frame){.kind = REEVE_FRAME_GOODBYE});
        break;
    default: break;
    }
}

/* ---- the job ---- */

bool sim_run(struct sim *s, uint32_t turns)
{
    const struct reeve_master_input tick = {.kind = REEVE_INPUT_TICK};
    for (uint32_t n = 0; n < turns; n++) {
        s->now_ns += 50000000;
        worker_turn(s, 1 + (uint32_t)sim_draw(s, s->workers));
        if (s->ckpt_done_step != 0 && sim_draw(s, 20) == 0) {
            struct reeve_master_input done = {.kind = REEVE_INPUT_CKPT_DONE, .step = s->ckpt_done_step, .digest64 = 5};
            s->ckpt_done_step = 0;
            sim_give(s, &done);
        }
        for (int t = 0; t < 100; t++) {
            struct reeve_decision d;
            reeve_master_decide(s->master, &tick, s->now_ns, &d);
            if (d.event_count == 0) break;
            carry_out(s, &d);
        }
        if (sim_status(s).phase == REEVE_PHASE_ENDED) return true;
    }
    return false;
}

struct reeve_audit_result sim_audit(const struct sim *s)
{
    return small_job_audit(s->worker_plan, s->journal, s->events);
}

void sim_init(struct sim *s, uint64_t seed)
{
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    s->steps = STEPS;
    s->poison = UINT64_MAX;
    small_job_init(&s->job);
    s->worker_plan = small_job_plan(&s->job);
}

struct sim *sim_start(uint64_t seed, uint32_t workers)
{
    struct sim *s = malloc(sizeof(*s));
    assert_non_null(s);
    sim_init(s, seed);
    sim_restart(s, workers);
    return s;
}

void sim_end(struct sim *s)
{
    free_master(s);
    reeve_plan_destroy(s->worker_plan);
    free(s);
}

uint64_t sim_undisturbed_weights(void)
{
    struct sim *s = sim_start(1, 1);
    assert_true(sim_run(s, 100000));
    uint64_t weights = s->worker[1].weights;
    sim_end(s);
    return weights;
}
