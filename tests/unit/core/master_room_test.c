/* Whether what the master sets aside when it is made is enough for all that can come: it allocates nothing later, and an
 * event that does not fit is in the journal already, where every restart would fail at it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "core/master.h"

#define SEQUENCE 4u

/* A job whose shards are files of `samples` samples each. */
struct room {
    struct reeve_manifest manifest;
    struct reeve_plan_config plan_config;
    struct reeve_plan *plan;
    reeve_master *master;
    uint64_t lsn;
};

static void room_init(struct room *r, uint32_t shards, uint64_t samples, uint32_t global_batch, uint32_t micro_batch,
                      uint32_t holdout_ppm)
{
    static char path[] = "a";
    *r = (struct room){.manifest = {.dataset = "room",
                                    .tokenizer = "bytes",
                                    .vocab = 256,
                                    .shard_count = shards,
                                    .paths = path,
                                    .paths_bytes = sizeof(path)},
                       .plan_config = {.seed = 5,
                                       .shuffle = REEVE_SHUFFLE_NONE,
                                       .block_shards = 1,
                                       .sequence = SEQUENCE,
                                       .global_batch = global_batch,
                                       .micro_batch = micro_batch,
                                       .holdout_ppm = holdout_ppm}};
    r->manifest.shards = calloc(shards, sizeof(*r->manifest.shards));
    assert_non_null(r->manifest.shards);
    for (uint32_t i = 0; i < shards; i++)
        r->manifest.shards[i] = (struct reeve_shard){.file_bytes = samples * SEQUENCE + 1,
                                                     .token_count = samples * SEQUENCE + 1,
                                                     .weight = 1,
                                                     .format = REEVE_SHARD_TEXT,
                                                     .token_bytes = 1};
    assert_int_equal(reeve_plan_create(&r->manifest, &r->plan_config, &r->plan, NULL), REEVE_OK);
    struct reeve_master_config c = {.run_id = 1,
                                    .workers_max = 1,
                                    .manifest = &r->manifest,
                                    .steps = 100,
                                    .global_batch = global_batch,
                                    .micro_batch = micro_batch,
                                    .attempts_max = 3,
                                    .crash_limit = 3,
                                    .refused_max = 3,
                                    .credits = 2,
                                    .lease_term_ns = 1000};
    struct reeve_error err = {0};
    if (reeve_master_create(&c, r->plan, &r->master, &err) != REEVE_OK) fail_msg("%s", err.text);
}

static void room_fini(struct room *r)
{
    reeve_master_destroy(r->master);
    reeve_plan_destroy(r->plan);
    free(r->manifest.shards);
}

static void apply(struct room *r, struct reeve_event ev)
{
    struct reeve_error err = {0};
    ev.lsn = ++r->lsn;
    if (reeve_master_apply(r->master, &ev, &err) != REEVE_OK) fail_msg("%s", err.text);
}

static void open_run(struct room *r, uint32_t epoch)
{
    apply(r, (struct reeve_event){.kind = REEVE_EVENT_RUN_OPENED, .a = 1, .arg = 1, .epoch = epoch});
    apply(r, (struct reeve_event){.kind = REEVE_EVENT_WORKER_JOINED, .worker = 1});
}

static void open_step(struct room *r, uint64_t step)
{
    apply(r, (struct reeve_event){
                 .kind = REEVE_EVENT_STEP_OPENED, .step = step, .arg = reeve_plan_micro_batches(r->plan)});
}

/* The worker does every task of this kind that is ready and, with waited_for, that another one waits for. */
static void work(struct room *r, uint8_t kind, bool waited_for, uint32_t tasks)
{
    for (uint32_t i = 0; i < tasks; i++) {
        const struct reeve_task *t = reeve_master_task(r->master, i);
        if (t == NULL || t->kind != kind || t->state != REEVE_STATE_READY) continue;
        if (waited_for && t->first_edge == UINT32_MAX) continue;
        struct reeve_event ev = {.kind = REEVE_EVENT_TASK_LEASED,
                                 .task = i,
                                 .worker = 1,
                                 .attempt = t->attempt + 1,
                                 .arg = (uint32_t)t->key,
                                 .a = kind};
        apply(r, ev);
        ev.kind = kind == REEVE_TASK_STAGE ? REEVE_EVENT_TASK_DONE : REEVE_EVENT_TASK_COMPUTED;
        apply(r, ev);
    }
}

static void do_step(struct room *r, uint64_t step, uint32_t tasks)
{
    open_step(r, step);
    work(r, REEVE_TASK_STAGE, true, tasks);
    work(r, REEVE_TASK_GRADIENT, false, tasks);
    apply(r, (struct reeve_event){.kind = REEVE_EVENT_STEP_COMMITTED,
                                  .step = step,
                                  .arg = r->plan_config.global_batch,
                                  .b = reeve_plan_coverage_step(r->plan, step)});
}

/* Goal: a run that goes back while it goes on (a survivor missed a step, and the newest checkpoint cannot be read) finds
 * room for steps whose shards this start has not staged. Method: a shard for each sample; the second start resumes at
 * step 4, opens step 5, nothing of which gets staged, gives it up, and goes back to the beginning. */
static void room_is_there_for_an_older_step_whose_shards_are_not_staged(void **state)
{
    (void)state;
    struct room r;
    room_init(&r, 1000, 1, 64, 2, 0);
    uint32_t tasks = 32 + 128 + 16;
    open_run(&r, 1);
    for (uint64_t step = 1; step <= 4; step++)
        do_step(&r, step, tasks);
    open_run(&r, 2);
    apply(&r, (struct reeve_event){.kind = REEVE_EVENT_RUN_RESUMED, .step = 4});
    open_step(&r, 5);
    apply(&r, (struct reeve_event){.kind = REEVE_EVENT_STEP_ABORTED, .step = 5});
    apply(&r, (struct reeve_event){.kind = REEVE_EVENT_RUN_RESUMED, .step = 0});
    do_step(&r, 1, tasks);
    room_fini(&r);
}

/* Goal: each batch of an evaluation finds room to wait for each of its shards. Method: shards of one sample, all but one
 * of which is held out; batches that begin and end within shards of three. */
static void room_is_there_for_all_that_an_evaluation_waits_for(void **state)
{
    (void)state;
    for (uint64_t samples = 1; samples <= 3; samples += 2) {
        struct room r;
        room_init(&r, 100, samples, 4, 4, 980000);
        open_run(&r, 1);
        apply(&r, (struct reeve_event){.kind = REEVE_EVENT_EVAL_OPENED, .arg = reeve_plan_eval_batches(r.plan)});
        room_fini(&r);
    }
}

/* Goal: memory by shard, never by sample: an evaluation of 2^36 samples of one shard is a million tasks, and no more.
 * Method: it could not be made if there were room for 2^36 of anything. */
static void room_is_set_aside_by_task_and_shard_and_not_by_sample(void **state)
{
    (void)state;
    struct room r;
    room_init(&r, 1, (uint64_t)1 << 37, 65536, 65536, 500000);
    assert_int_equal(reeve_plan_eval_batches(r.plan), (uint64_t)1 << 20);
    room_fini(&r);
}

/* Goal: a micro-batch waits for a shard once, however many of its samples are there. */
static void room_is_taken_once_by_a_micro_batch_for_each_shard(void **state)
{
    (void)state;
    struct room r;
    room_init(&r, 2, 64, 64, 64, 0);
    open_run(&r, 1);
    open_step(&r, 1);
    uint32_t waiting = 0;
    for (uint32_t i = 0; i < 1 + 2 + 16; i++) {
        const struct reeve_task *t = reeve_master_task(r.master, i);
        if (t == NULL || t->kind != REEVE_TASK_GRADIENT) continue;
        assert_int_equal(t->waits_for, 1);
        waiting++;
    }
    assert_int_equal(waiting, 1);
    room_fini(&r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(room_is_there_for_an_older_step_whose_shards_are_not_staged),
        cmocka_unit_test(room_is_there_for_all_that_an_evaluation_waits_for),
        cmocka_unit_test(room_is_set_aside_by_task_and_shard_and_not_by_sample),
        cmocka_unit_test(room_is_taken_once_by_a_micro_batch_for_each_shard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
