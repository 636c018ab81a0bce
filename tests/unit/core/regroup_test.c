/* Losses inside a job, against the real decide and apply and the worker's real list of what it holds. Simulated are the
 * processes, the messages between them (all that are on their way are lost with each loss), the sum and the journal.
 * The promises: whoever is lost, whenever, the run ends in the same weights, every sample is committed once, no
 * committed step is lost, and a new master that replays the journal comes to the state of the one that was lost. */
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
#include "run/holdings.h"

#define WORKERS 5
#define STEPS 14
#define EVENTS_MAX 40000
#define LINE_MAX 1024
#define MICRO_BATCHES 6

struct line { /* ring of frames on their way */
    struct reeve_frame frames[LINE_MAX];
    uint32_t head, count;
};

struct sums {
    uint64_t coverage, samples, tokens, loss;
};

struct worker {
    bool alive;
    struct line inbox, outbox;
    struct reeve_frame work[64]; /* leases not yet computed */
    uint32_t work_count;
    struct reeve_holdings holds;
    uint32_t epoch;
    bool greeted, rejoin_due, reducing, summed; /* summed: the sum is complete here and not yet told */
    uint64_t weights, applied, reduced, reduce_step, reduce_kind;
    struct sums acc, eval, sum, eval_sum;
};

struct job {
    uint64_t seed, draws;
    struct reeve_manifest manifest;
    struct reeve_plan_config plan_config;
    reeve_plan *plan, *worker_plan;
    reeve_master *master;
    uint32_t master_member; /* whose process it is; 0: nobody's but its own */
    struct worker worker[WORKERS + 1];
    struct reeve_event journal[EVENTS_MAX];
    uint32_t events, term, losses, kept_computed;
    uint64_t saved[STEPS + 1], ckpt_done_step;
    reeve_time_ns now_ns;
    uint32_t crash_limit;
    struct reeve_error err;
};

static uint64_t draw(struct job *j, uint64_t bound)
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
    assert_int_equal(reeve_plan_create(&j->manifest, &j->plan_config, &j->plan, &j->err), REEVE_OK);
    struct reeve_master_config c = {.run_id = 9,
                                    .workers_max = WORKERS,
                                    .manifest = &j->manifest,
                                    .steps = STEPS,
                                    .global_batch = 2 * MICRO_BATCHES,
                                    .micro_batch = 2,
                                    .eval_every = 5,
                                    .checkpoint_every = 4,
                                    .attempts_max = 8,
                                    .crash_limit = j->crash_limit,
                                    .refused_max = 3,
                                    .credits = 2,
                                    .seed = 1,
                                    .lease_term_ns = 3600000000000};
    memcpy(&c.manifest_digest64, j->manifest.digest.bytes, 8);
    assert_int_equal(reeve_master_create(&c, j->plan, &j->master, &j->err), REEVE_OK);
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

static struct reeve_master_status status_of(const struct job *j)
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
                                .arg = members,
                                .a = sum->loss,
                                .b = sum->coverage,
                                .c = sum->loss,
                                .d = sum->samples | sum->tokens << 32});
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

static void worker_turn(struct job *j, uint32_t id)
{
    struct worker *w = &j->worker[id];
    struct reeve_frame f;
    if (!w->alive) return;
    if (!w->greeted) {
        w->greeted = true;
        say(w, (struct reeve_frame){.kind = REEVE_FRAME_HELLO, .a = id % 2});
    }
    if (w->summed) tell_sum(j, w);
    else if (draw(j, 2) == 0 && take(&w->inbox, &f)) hear(j, id, &f);
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

static void regroup(struct job *j)
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
    bool master = draw(j, 4) == 0, first = j->master_member == 0;
    uint32_t worker = 1 + (uint32_t)draw(j, WORKERS);
    if (master && draw(j, 3) > 0) worker = 0;
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
    regroup(j);
}

/* ---- the job ---- */

static void make_data(struct job *j)
{
    static struct reeve_shard shards[4];
    static char paths[] = "a\0b\0c\0d";
    for (uint32_t i = 0; i < 4; i++)
        shards[i] = (struct reeve_shard){.path_offset = 2 * i,
                                         .file_bytes = 40 + 13 * i,
                                         .token_count = 40 + 13 * i,
                                         .weight = 1,
                                         .format = REEVE_SHARD_TEXT,
                                         .token_bytes = 1};
    j->manifest = (struct reeve_manifest){.dataset = "losses",
                                          .tokenizer = "bytes",
                                          .vocab = 256,
                                          .shard_count = 4,
                                          .shards = shards,
                                          .paths = paths,
                                          .paths_bytes = sizeof(paths)};
    j->manifest.digest = reeve_manifest_digest(&j->manifest);
    j->plan_config = (struct reeve_plan_config){.seed = 5,
                                                .shuffle = REEVE_SHUFFLE_GLOBAL,
                                                .block_shards = 2,
                                                .sequence = 4,
                                                .global_batch = 2 * MICRO_BATCHES,
                                                .micro_batch = 2,
                                                .holdout_ppm = 100000};
}

static struct job *job_start(uint64_t seed, uint32_t crash_limit)
{
    struct job *j = calloc(1, sizeof(*j));
    assert_non_null(j);
    j->seed = seed;
    j->crash_limit = crash_limit;
    make_data(j);
    assert_int_equal(reeve_plan_create(&j->manifest, &j->plan_config, &j->worker_plan, &j->err), REEVE_OK);
    for (uint32_t w = 1; w <= WORKERS; w++)
        j->worker[w].alive = true;
    new_master(j);
    j->term = 1;
    struct reeve_decision d = {.event_count = 1};
    d.events[0] = (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .a = 9, .arg = WORKERS};
    memcpy(&d.events[0].b, j->manifest.digest.bytes, 8);
    carry_out(j, &d);
    return j;
}

static void job_end(struct job *j)
{
    free_master(j);
    reeve_plan_destroy(j->worker_plan);
    for (uint32_t w = 1; w <= WORKERS; w++)
        reeve_holdings_fini(&j->worker[w].holds);
    free(j);
}

static void master_turn(struct job *j)
{
    const struct reeve_master_input tick = {.kind = REEVE_INPUT_TICK};
    uint32_t from = 1 + (uint32_t)draw(j, WORKERS);
    struct reeve_frame f;
    if (j->worker[from].alive && take(&j->worker[from].outbox, &f)) {
        struct reeve_master_input in = {.kind = REEVE_INPUT_FRAME, .worker = from, .frame = &f, .text = ""};
        give(j, &in);
    }
    if (j->ckpt_done_step != 0 && draw(j, 20) == 0) {
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

/* Until the end; one loss in `rate` turns on average, 0: none. */
static void job_run(struct job *j, uint64_t rate, uint32_t cut_max)
{
    for (uint32_t n = 0; n < 400000; n++) {
        j->now_ns += 50000000;
        worker_turn(j, 1 + (uint32_t)draw(j, WORKERS));
        if (draw(j, 2) == 0) master_turn(j);
        if (rate > 0 && draw(j, rate) == 0) lose(j, cut_max == 0 ? 0 : (uint32_t)draw(j, cut_max));
        if (status_of(j).phase == REEVE_PHASE_ENDED) return;
    }
    fail_msg("seed %llu: no end (phase %d, step %llu)", (unsigned long long)j->seed, (int)status_of(j).phase,
             (unsigned long long)status_of(j).step);
}

static struct reeve_audit_result audit(struct job *j)
{
    reeve_audit *audit = NULL;
    struct reeve_audit_result r;
    assert_int_equal(reeve_audit_create(j->worker_plan, &audit, &j->err), REEVE_OK);
    for (uint32_t i = 0; i < j->events; i++)
        assert_int_equal(reeve_audit_event(audit, &j->journal[i], &j->err), REEVE_OK);
    assert_int_equal(reeve_audit_finish(audit, &r, &j->err), REEVE_OK);
    reeve_audit_destroy(audit);
    if (!r.exactly_once) fail_msg("seed %llu: audit: %s", (unsigned long long)j->seed, r.first_violation);
    return r;
}

static uint64_t calm_weights(void)
{
    struct job *j = job_start(1, 3);
    job_run(j, 0, 0);
    uint64_t weights = j->worker[1].weights;
    job_end(j);
    return weights;
}

static void check_weights(const struct job *j, uint64_t expected)
{
    for (uint32_t w = 1; w <= WORKERS; w++)
        if (j->worker[w].alive && j->worker[w].weights != expected)
            fail_msg("seed %llu: worker %u has other weights", (unsigned long long)j->seed, w);
}

static uint64_t first_seed(void)
{
    const char *given = getenv("REEVE_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t)time(NULL) * 1000;
    print_message("seed %llu\n", (unsigned long long)seed);
    return seed;
}

static void losses_at_any_moment_end_in_the_same_weights_and_lose_no_step(void **state)
{
    (void)state;
    uint64_t expected = calm_weights(), seed = first_seed(), losses = 0;
    for (uint64_t n = 0; n < 400; n++) {
        struct job *j = job_start(seed + n, 1000);
        job_run(j, 50 + n % 5 * 100, 0);
        check_weights(j, expected);
        assert_int_equal(audit(j).rolled_back_steps, 0);
        losses += j->losses;
        job_end(j);
    }
    print_message("%llu losses\n", (unsigned long long)losses);
    assert_true(losses > 400);
}

/* A machine that lost power took the last records of the journal with it: what the workers hold then goes beyond them.
 * */
static void a_journal_cut_short_ends_in_the_same_weights(void **state)
{
    (void)state;
    uint64_t expected = calm_weights(), seed = first_seed(), rolled_back = 0;
    for (uint64_t n = 0; n < 400; n++) {
        struct job *j = job_start(seed + n, 1000);
        job_run(j, 60 + n % 5 * 100, 40);
        check_weights(j, expected);
        rolled_back += audit(j).rolled_back_steps;
        job_end(j);
    }
    print_message("%llu steps rolled back\n", (unsigned long long)rolled_back);
}

/* Method: whoever begins micro-batch 2 of step 3 is lost at once. */
static void a_task_that_loses_its_worker_time_and_again_stops_the_run(void **state)
{
    (void)state;
    struct job *j = job_start(7, 3);
    for (uint32_t n = 0; n < 400000 && status_of(j).phase != REEVE_PHASE_ENDED; n++) {
        uint32_t id = 1 + (uint32_t)draw(j, WORKERS);
        struct worker *w = &j->worker[id];
        worker_turn(j, id);
        if (draw(j, 2) == 0) master_turn(j);
        if (!w->alive || w->work_count == 0 || w->work[0].a != REEVE_TASK_GRADIENT || w->work[0].step != 3 ||
            w->work[0].arg != 2)
            continue;
        w->alive = false;
        j->losses++;
        regroup(j);
    }
    struct reeve_master_status s = status_of(j);
    assert_int_equal(s.phase, REEVE_PHASE_ENDED);
    assert_int_equal(j->losses, 3);
    assert_int_equal(s.stop_reason, REEVE_WORKER_LOST);
    assert_int_equal(s.step, 2);
    assert_int_equal(s.last_checkpoint, 2); /* what was committed is saved */
    job_end(j);
}

/* Goal: what survivors have computed is not computed again. Method: a loss when all but one task is computed. */
static void accumulators_of_survivors_are_kept(void **state)
{
    (void)state;
    struct job *j = job_start(11, 3);
    while (!(status_of(j).step == 2 && status_of(j).computed == MICRO_BATCHES - 1)) {
        worker_turn(j, 1 + (uint32_t)draw(j, WORKERS));
        master_turn(j);
    }
    uint32_t held = 0, victim = WORKERS;
    for (uint32_t i = 0; i < j->worker[victim].holds.count; i++)
        held += j->worker[victim].holds.list[i].c != 0;
    j->worker[victim].alive = false;
    regroup(j);
    assert_int_equal(status_of(j).computed, MICRO_BATCHES - 1 - held);
    job_run(j, 0, 0);
    struct reeve_audit_result r = audit(j);
    assert_int_equal(r.recomputed, held);
    job_end(j);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(losses_at_any_moment_end_in_the_same_weights_and_lose_no_step),
        cmocka_unit_test(a_journal_cut_short_ends_in_the_same_weights),
        cmocka_unit_test(a_task_that_loses_its_worker_time_and_again_stops_the_run),
        cmocka_unit_test(accumulators_of_survivors_are_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
