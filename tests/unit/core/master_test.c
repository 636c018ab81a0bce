/* The master, with its real decide and apply, against simulated workers, clock and journal. Everything random comes
 * from a printed seed. The promises: any number of workers, failing tasks, crashes of everything and restarts end in
 * the same weights; every sample is committed exactly once; replaying the durable events gives the live state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/audit.h"
#include "core/manifest.h"
#include "core/master.h"

#define WORKERS_MAX 5
#define STEPS 12
#define EVENTS_MAX 20000
#define INBOX_MAX 512

struct sim_worker {
    uint64_t weights; /* a hash chain stands for the model */
    uint64_t coverage, samples, tokens;
    int64_t loss;
    struct reeve_frame inbox[INBOX_MAX]; /* ring */
    uint32_t head, count;
    bool greeted, reducing, gone;
    struct reeve_frame reduce;
};

struct sim {
    uint64_t seed, draws;
    struct reeve_manifest manifest;
    struct reeve_plan_config plan_config;
    reeve_plan *plan; /* the master's */
    reeve_plan *worker_plan;
    reeve_master *master;
    uint32_t workers;
    struct sim_worker worker[WORKERS_MAX + 1];
    struct reeve_event journal[EVENTS_MAX];
    uint32_t events;
    uint32_t epoch;
    uint64_t saved[STEPS + 1]; /* weights of the committed checkpoint of a step */
    bool has_saved[STEPS + 1];
    uint64_t ckpt_done_step; /* 0: none is being written */
    reeve_time_ns now_ns;
    uint32_t fail_percent;
    uint64_t poison;     /* micro-batch of step 3 that always fails permanently; UINT64_MAX: none */
    uint64_t steps;      /* of the job; may change from one start to the next */
    bool fail_init;      /* worker 1 cannot build its model */
    uint32_t fail_parts; /* so many parts of worker 1 cannot be written */
    bool cheat;          /* worker 1 adds its first micro-batch twice */
    struct reeve_error err;
};

static uint64_t draw(struct sim *s, uint64_t bound)
{
    return reeve_random_below(s->seed, 77, s->draws++, bound);
}

static void sim_init(struct sim *s, uint64_t seed)
{
    static struct reeve_shard shards[4];
    static char paths[] = "a\0b\0c\0d";
    memset(s, 0, sizeof(*s));
    s->seed = seed;
    s->steps = STEPS;
    s->poison = UINT64_MAX;
    for (uint32_t i = 0; i < 4; i++)
        shards[i] = (struct reeve_shard){.path_offset = 2 * i,
                                         .file_bytes = 40 + 13 * i,
                                         .token_count = 40 + 13 * i,
                                         .weight = 1,
                                         .format = REEVE_SHARD_TEXT,
                                         .token_bytes = 1};
    s->manifest = (struct reeve_manifest){.dataset = "sim",
                                          .tokenizer = "bytes",
                                          .vocab = 256,
                                          .shard_count = 4,
                                          .shards = shards,
                                          .paths = paths,
                                          .paths_bytes = sizeof(paths)};
    s->manifest.digest = reeve_manifest_digest(&s->manifest);
    s->plan_config = (struct reeve_plan_config){.seed = 5,
                                                .shuffle = REEVE_SHUFFLE_GLOBAL,
                                                .block_shards = 2,
                                                .sequence = 4,
                                                .global_batch = 12,
                                                .micro_batch = 2,
                                                .holdout_ppm = 100000};
    assert_int_equal(reeve_plan_create(&s->manifest, &s->plan_config, &s->worker_plan, &s->err), REEVE_OK);
}

static void sim_free_master(struct sim *s)
{
    reeve_master_destroy(s->master);
    reeve_plan_destroy(s->plan);
    s->master = NULL;
    s->plan = NULL;
}

static void new_master(struct sim *s)
{
    assert_int_equal(reeve_plan_create(&s->manifest, &s->plan_config, &s->plan, &s->err), REEVE_OK);
    struct reeve_master_config c = {.run_id = 9,
                                    .workers_max = WORKERS_MAX,
                                    .manifest = &s->manifest,
                                    .steps = s->steps,
                                    .global_batch = 12,
                                    .micro_batch = 2,
                                    .eval_every = 5,
                                    .checkpoint_every = 4,
                                    .attempts_max = 8,
                                    .crash_limit = 3,
                                    .refused_max = 3,
                                    .credits = 2,
                                    .seed = 1,
                                    .lease_term_ns = 3600000000000};
    memcpy(&c.manifest_digest64, s->manifest.digest.bytes, 8);
    assert_int_equal(reeve_master_create(&c, s->plan, &s->master, &s->err), REEVE_OK);
}

static void deliver(struct sim *s, uint32_t to, const struct reeve_frame *f)
{
    struct sim_worker *w = &s->worker[to];
    assert_true(w->count < INBOX_MAX);
    w->inbox[(w->head + w->count++) % INBOX_MAX] = *f;
}

static void give(struct sim *s, const struct reeve_master_input *in);

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

static void give(struct sim *s, const struct reeve_master_input *in)
{
    struct reeve_decision d;
    reeve_master_decide(s->master, in, s->now_ns, &d);
    carry_out(s, &d);
}

/* Start over with another number of workers: a new master folds the journal, and must come to the same state. */
static void restart(struct sim *s, uint32_t workers)
{
    uint64_t live = s->master != NULL ? reeve_master_digest(s->master) : 0;
    bool compare = s->master != NULL;
    sim_free_master(s);
    new_master(s);
    for (uint32_t i = 0; i < s->events; i++)
        if (reeve_master_apply(s->master, &s->journal[i], &s->err) != REEVE_OK) fail_msg("replay: %s", s->err.text);
    if (compare) assert_true(reeve_master_digest(s->master) == live);
    memset(s->worker, 0, sizeof(s->worker));
    s->workers = workers;
    s->ckpt_done_step = 0;
    s->epoch++;
    struct reeve_decision d = {.event_count = 1};
    d.events[0] = (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .a = 9, .arg = workers};
    memcpy(&d.events[0].b, s->manifest.digest.bytes, 8);
    carry_out(s, &d);
}

static void say(struct sim *s, uint32_t w, struct reeve_frame f)
{
    if (f.kind != REEVE_FRAME_HELLO) f.epoch = s->epoch;
    struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = w, .frame = &f, .text = ""};
    give(s, &in);
}

/* The gradient of a micro-batch is a hash of its samples: the sum of these is what the model learns from. */
static void compute(struct sim *s, struct sim_worker *w, const struct reeve_frame *f)
{
    struct reeve_sample samples[2];
    uint32_t count = 2;
    if (f->a == REEVE_TASK_EVAL) reeve_plan_eval_batch(s->worker_plan, f->arg, samples, &count);
    else assert_int_equal(reeve_plan_micro_batch(s->worker_plan, f->step, f->arg, samples, &s->err), REEVE_OK);
    uint64_t step = f->a == REEVE_TASK_EVAL ? REEVE_PLAN_EVAL_STEP(f->step) : f->step;
    for (uint32_t i = 0; i < count; i++)
        w->loss += (int64_t)reeve_random_below(samples[i].shard.v, samples[i].index, w->weights, 1000);
    w->coverage += reeve_plan_coverage_word(s->worker_plan, step, f->arg);
    w->samples += count;
    w->tokens += count * 4;
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
                                .arg = s->workers,
                                .a = (uint64_t)loss,
                                .b = coverage,
                                .c = (uint64_t)loss,
                                .d = samples | tokens << 32};
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
    } else if (draw(s, 100) < s->fail_percent) {
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
    if (draw(s, 10) == 0) say(s, id, answer); /* a duplicate of it is dropped */
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

/* Turns of everybody in random order, until the end or for `turns` turns. True: it ended. */
static bool sim_run(struct sim *s, uint32_t turns)
{
    const struct reeve_master_input tick = {.kind = REEVE_INPUT_TICK};
    for (uint32_t n = 0; n < turns; n++) {
        s->now_ns += 50000000;
        worker_turn(s, 1 + (uint32_t)draw(s, s->workers));
        if (s->ckpt_done_step != 0 && draw(s, 20) == 0) {
            struct reeve_master_input done = {.kind = REEVE_INPUT_CKPT_DONE, .step = s->ckpt_done_step, .digest64 = 5};
            s->ckpt_done_step = 0;
            give(s, &done);
        }
        for (int t = 0; t < 100; t++) {
            struct reeve_decision d;
            reeve_master_decide(s->master, &tick, s->now_ns, &d);
            if (d.event_count == 0) break;
            carry_out(s, &d);
        }
        struct reeve_master_status status;
        reeve_master_get_status(s->master, &status);
        if (status.phase == REEVE_PHASE_ENDED) return true;
    }
    return false;
}

static struct reeve_audit_result sim_audit(struct sim *s)
{
    reeve_audit *audit = NULL;
    struct reeve_audit_result r;
    assert_int_equal(reeve_audit_create(s->worker_plan, &audit, &s->err), REEVE_OK);
    for (uint32_t i = 0; i < s->events; i++)
        assert_int_equal(reeve_audit_event(audit, &s->journal[i], &s->err), REEVE_OK);
    assert_int_equal(reeve_audit_finish(audit, &r, &s->err), REEVE_OK);
    reeve_audit_destroy(audit);
    return r;
}

static void sim_end(struct sim *s)
{
    sim_free_master(s);
    reeve_plan_destroy(s->worker_plan);
    free(s);
}

static struct sim *sim_start(uint64_t seed, uint32_t workers)
{
    struct sim *s = malloc(sizeof(*s));
    assert_non_null(s);
    sim_init(s, seed);
    restart(s, workers);
    return s;
}

static uint64_t undisturbed_weights(void)
{
    struct sim *s = sim_start(1, 1);
    assert_true(sim_run(s, 100000));
    uint64_t weights = s->worker[1].weights;
    sim_end(s);
    return weights;
}

static void master_ends_in_the_same_weights_for_any_number_of_workers(void **state)
{
    (void)state;
    uint64_t expected = undisturbed_weights();
    for (uint32_t workers = 2; workers <= WORKERS_MAX; workers++) {
        struct sim *s = sim_start(100 + workers, workers);
        s->fail_percent = 5;
        assert_true(sim_run(s, 100000));
        for (uint32_t w = 1; w <= workers; w++)
            assert_true(s->worker[w].weights == expected);
        struct reeve_audit_result r = sim_audit(s);
        if (!r.exactly_once) fail_msg("audit: %s", r.first_violation);
        assert_int_equal(r.samples_committed, STEPS * 12);
        sim_end(s);
    }
}

/* Method: everything dies at a random moment, many times; each restart has another number of workers. */
static void master_ends_in_the_same_weights_through_crashes_of_everything(void **state)
{
    (void)state;
    uint64_t expected = undisturbed_weights(), seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t n = 0; n < 100; n++) {
        struct sim *s = sim_start(seed + n, 1 + (uint32_t)(n % WORKERS_MAX));
        s->fail_percent = 3;
        for (int crash = 0; crash < 8; crash++) {
            if (sim_run(s, (uint32_t)draw(s, 400))) break;
            restart(s, 1 + (uint32_t)draw(s, WORKERS_MAX));
        }
        struct reeve_master_status status;
        reeve_master_get_status(s->master, &status);
        if (status.phase != REEVE_PHASE_ENDED && !sim_run(s, 100000))
            fail_msg("seed %llu: no end", (unsigned long long)s->seed);
        if (s->worker[1].weights != expected) fail_msg("seed %llu: other weights", (unsigned long long)s->seed);
        struct reeve_audit_result r = sim_audit(s);
        if (!r.exactly_once) fail_msg("seed %llu: audit: %s", (unsigned long long)s->seed, r.first_violation);
        sim_end(s);
    }
}

static void master_throws_a_step_away_whose_sum_holds_a_micro_batch_twice(void **state)
{
    (void)state;
    uint64_t expected = undisturbed_weights();
    struct sim *s = sim_start(3, 2);
    s->cheat = true;
    assert_true(sim_run(s, 100000));
    uint32_t aborted = 0;
    for (uint32_t i = 0; i < s->events; i++)
        aborted += s->journal[i].kind == REEVE_EVENT_STEP_ABORTED;
    assert_int_equal(aborted, 1);
    assert_true(s->worker[1].weights == expected && s->worker[2].weights == expected);
    assert_true(sim_audit(s).exactly_once);
    sim_end(s);
}

static void master_stops_with_the_reason_and_a_checkpoint_when_a_sample_cannot_be_read(void **state)
{
    (void)state;
    struct sim *s = sim_start(4, 3);
    s->poison = 2;
    assert_true(sim_run(s, 100000));
    struct reeve_master_status status;
    reeve_master_get_status(s->master, &status);
    assert_int_equal(status.stop_reason, REEVE_INPUT_INVALID);
    assert_int_equal(status.step, 2);
    assert_int_equal(status.last_checkpoint, 2); /* nothing that was committed is lost */
    assert_false(status.ended);
    assert_true(status.dead >= 1);
    sim_end(s);
}

static void master_stops_at_a_step_boundary_with_a_checkpoint_and_goes_on_from_it(void **state)
{
    (void)state;
    uint64_t expected = undisturbed_weights();
    struct sim *s = sim_start(5, 2);
    (void)sim_run(s, 120);
    struct reeve_master_input stop = {.kind = REEVE_INPUT_STOP, .status = REEVE_JOB_STOPPED};
    give(s, &stop);
    assert_true(sim_run(s, 100000));
    struct reeve_master_status status;
    reeve_master_get_status(s->master, &status);
    assert_int_equal(status.stop_reason, REEVE_JOB_STOPPED);
    assert_int_equal(status.last_checkpoint, status.step);
    assert_true(status.step > 0 && status.step < STEPS);
    restart(s, 3);
    assert_true(sim_run(s, 100000));
    assert_true(s->worker[3].weights == expected);
    struct reeve_audit_result r = sim_audit(s);
    assert_true(r.exactly_once && r.rolled_back_steps == 0);
    sim_end(s);
}

static void master_drops_words_of_old_epochs_and_of_strangers(void **state)
{
    (void)state;
    struct sim *s = sim_start(6, 2);
    (void)sim_run(s, 50);
    uint64_t before = reeve_master_digest(s->master);
    struct reeve_frame f = {.kind = REEVE_FRAME_COMPUTED, .epoch = s->epoch - 1, .task = 0, .attempt = 1};
    struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = 1, .frame = &f, .text = ""};
    give(s, &in);
    f.epoch = s->epoch;
    in.worker = 99;
    give(s, &in);
    in.worker = 0;
    give(s, &in);
    in.worker = 1;
    f.task = 123456789;
    give(s, &in);
    f.kind = 9999;
    give(s, &in);
    assert_true(reeve_master_digest(s->master) == before);
    sim_end(s);
}

static void master_refuses_a_journal_that_cannot_be(void **state)
{ /* Method: drop each durable record in turn, and replay: either refused, or (for records without effect) the same. */
    (void)state;
    struct sim *s = sim_start(7, 2);
    assert_true(sim_run(s, 100000));
    uint64_t whole = reeve_master_digest(s->master);
    uint32_t refused = 0;
    for (uint32_t drop = 0; drop < s->events; drop++) {
        uint16_t kind = s->journal[drop].kind;
        sim_free_master(s);
        new_master(s);
        reeve_status st = REEVE_OK;
        for (uint32_t i = 0; i < s->events && st == REEVE_OK; i++)
            if (i != drop) st = reeve_master_apply(s->master, &s->journal[i], &s->err);
        refused += st != REEVE_OK;
        bool effectless =
            kind == REEVE_EVENT_STEP_WEIGHTS || kind == REEVE_EVENT_RUN_ENDED || kind == REEVE_EVENT_CKPT_COMMIT;
        if (st == REEVE_OK && !effectless && reeve_master_digest(s->master) == whole)
            fail_msg("record %u (%s) can be missing unseen", drop + 1, reeve_event_name(kind));
    }
    assert_true(refused > s->events / 2);
    sim_end(s);
}

static void master_goes_on_with_a_run_that_is_given_more_steps(void **state)
{ /* Method: end after 1 step, then 3, then all, without shuffle, so that each step meets shards not staged before. */
    (void)state;
    struct sim *s = malloc(sizeof(*s));
    assert_non_null(s);
    sim_init(s, 8);
    reeve_plan_destroy(s->worker_plan);
    s->plan_config.shuffle = REEVE_SHUFFLE_NONE;
    assert_int_equal(reeve_plan_create(&s->manifest, &s->plan_config, &s->worker_plan, &s->err), REEVE_OK);
    const uint64_t steps[] = {1, 3, STEPS};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        s->steps = steps[i];
        restart(s, 1 + (uint32_t)i);
        assert_true(sim_run(s, 100000));
        struct reeve_master_status status;
        reeve_master_get_status(s->master, &status);
        assert_int_equal(status.step, steps[i]);
        assert_true(status.ended);
    }
    assert_true(sim_audit(s).exactly_once);
    sim_end(s);
}

static void master_ends_with_the_reason_when_a_model_cannot_be_built(void **state)
{
    (void)state;
    struct sim *s = sim_start(9, 2);
    s->fail_init = true;
    assert_true(sim_run(s, 100000));
    struct reeve_master_status status;
    reeve_master_get_status(s->master, &status);
    assert_int_equal(status.stop_reason, REEVE_JOB_NO_MEMORY);
    assert_false(status.ended);
    sim_end(s);
}

static void master_tries_a_checkpoint_again_only_when_all_parts_were_answered(void **state)
{
    (void)state;
    uint64_t expected = undisturbed_weights();
    struct sim *s = sim_start(10, 3);
    s->fail_parts = 2;
    assert_true(sim_run(s, 100000));
    uint32_t failed = 0, committed = 0;
    for (uint32_t i = 0; i < s->events; i++) {
        failed += s->journal[i].kind == REEVE_EVENT_CKPT_FAILED;
        committed += s->journal[i].kind == REEVE_EVENT_CKPT_COMMIT;
    }
    assert_int_equal(failed, 2);
    assert_true(committed >= 1);
    assert_true(s->worker[2].weights == expected);
    sim_end(s);
}

static void master_hands_tasks_round_instead_of_filling_one_worker(void **state)
{
    (void)state;
    struct sim *s = sim_start(11, 3);
    assert_true(sim_run(s, 100000));
    uint32_t leases[4] = {0};
    for (uint32_t i = 0, n = 0; i < s->events && n < 3; i++) {
        if (s->journal[i].kind != REEVE_EVENT_TASK_LEASED || s->journal[i].a != REEVE_TASK_GRADIENT) continue;
        leases[s->journal[i].worker]++;
        n++;
    }
    for (uint32_t w = 1; w <= 3; w++)
        assert_int_equal(leases[w], 1);
    sim_end(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(master_ends_in_the_same_weights_for_any_number_of_workers),
        cmocka_unit_test(master_ends_in_the_same_weights_through_crashes_of_everything),
        cmocka_unit_test(master_throws_a_step_away_whose_sum_holds_a_micro_batch_twice),
        cmocka_unit_test(master_stops_with_the_reason_and_a_checkpoint_when_a_sample_cannot_be_read),
        cmocka_unit_test(master_stops_at_a_step_boundary_with_a_checkpoint_and_goes_on_from_it),
        cmocka_unit_test(master_goes_on_with_a_run_that_is_given_more_steps),
        cmocka_unit_test(master_ends_with_the_reason_when_a_model_cannot_be_built),
        cmocka_unit_test(master_tries_a_checkpoint_again_only_when_all_parts_were_answered),
        cmocka_unit_test(master_hands_tasks_round_instead_of_filling_one_worker),
        cmocka_unit_test(master_drops_words_of_old_epochs_and_of_strangers),
        cmocka_unit_test(master_refuses_a_journal_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
