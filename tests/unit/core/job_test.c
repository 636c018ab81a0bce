/* The job's identity: what must be equal for a run to go on, and what may change. */
#include "fixture.h"

#include "core/job.h"

#define TEXT_BYTES 16384

static void fx_job(struct reeve_job *job)
{
    memset(job, 0, sizeof(*job));
    (void)snprintf(job->name, sizeof(job->name), "quick");
    (void)snprintf(job->workload, sizeof(job->workload), "gpt");
    job->seed = 1337;
    job->data.sequence = 128;
    job->data.shuffle = REEVE_SHUFFLE_BLOCK;
    job->data.block_shards = 4;
    job->data.holdout_ppm = 50000;
    job->train.steps = 300;
    job->train.global_batch = 32;
    job->train.micro_batch = 4;
    job->model.layers = 4, job->model.heads = 4, job->model.width = 128;
    job->optimizer.lr = 1e-3, job->optimizer.min_lr = 1e-4;
    job->optimizer.warmup = 20, job->optimizer.decay_steps = 300;
    job->optimizer.weight_decay = 0.1, job->optimizer.beta1 = 0.9, job->optimizer.beta2 = 0.95;
    job->optimizer.eps = 1e-8, job->optimizer.clip = 1.0;
}

static void identity_is_the_text_that_the_resume_check_reads(void **state)
{ /* Goal: the format is a promise to runs on disk. Method: the whole text, by hand. */
    static struct reeve_job job;
    static char text[TEXT_BYTES];
    fx_job(&job);
    static const char expected[] = "workload=gpt\nseed=1337\ndata.sequence=128\ndata.shuffle=block\n"
                                   "data.block_shards=4\ndata.holdout_ppm=50000\ntrain.global_batch=32\n"
                                   "train.micro_batch=4\ntrain.reduce=exact\nmodel.layers=4\nmodel.heads=4\n"
                                   "model.width=128\noptimizer.lr=0.001\noptimizer.min_lr=0.0001\n"
                                   "optimizer.warmup=20\noptimizer.decay_steps=300\n"
                                   "optimizer.weight_decay=0.10000000000000001\noptimizer.beta1=0.90000000000000002\n"
                                   "optimizer.beta2=0.94999999999999996\noptimizer.eps=1e-08\noptimizer.clip=1\n";
    assert_int_equal(reeve_job_identity(&job, text, sizeof(text)), sizeof(expected) - 1);
    assert_string_equal(text, expected);
}

static void identity_names_a_precision_only_if_one_was_chosen(void **state)
{ /* Goal: a run that is older than the key goes on. */
    static struct reeve_job job;
    static char text[TEXT_BYTES];
    fx_job(&job);
    job.train.precision = REEVE_PRECISION_BF16;
    (void)reeve_job_identity(&job, text, sizeof(text));
    assert_non_null(strstr(text, "\ntrain.reduce=exact\ntrain.precision=bf16\nmodel.layers=4\n"));
    job.train.precision = REEVE_PRECISION_FP32;
    (void)reeve_job_identity(&job, text, sizeof(text));
    assert_non_null(strstr(text, "\ntrain.precision=fp32\n"));
}

static bool identity_differs(void (*change)(struct reeve_job *))
{
    static struct reeve_job job;
    static char before[TEXT_BYTES], after[TEXT_BYTES];
    fx_job(&job);
    (void)reeve_job_identity(&job, before, sizeof(before));
    change(&job);
    (void)reeve_job_identity(&job, after, sizeof(after));
    return strcmp(before, after) != 0;
}

#define CHANGE(name, statement)                                                                                  \
    static void name(struct reeve_job *j) { statement; }
CHANGE(set_workload, j->workload[0] = 'x')
CHANGE(set_seed, j->seed = 1338)
CHANGE(set_sequence, j->data.sequence++)
CHANGE(set_shuffle, j->data.shuffle = REEVE_SHUFFLE_GLOBAL)
CHANGE(set_block, j->data.block_shards++)
CHANGE(set_holdout, j->data.holdout_ppm++)
CHANGE(set_global, j->train.global_batch++)
CHANGE(set_micro, j->train.micro_batch++)
CHANGE(set_reduce, j->train.reduce = REEVE_REDUCE_FAST)
CHANGE(set_precision, j->train.precision = REEVE_PRECISION_FP32)
CHANGE(set_layers, j->model.layers++)
CHANGE(set_heads, j->model.heads++)
CHANGE(set_width, j->model.width++)
CHANGE(set_initial, j->model.init_weights[0] = 'a')
CHANGE(set_lr, j->optimizer.lr = __builtin_nextafter(j->optimizer.lr, 1))
CHANGE(set_min_lr, j->optimizer.min_lr = __builtin_nextafter(j->optimizer.min_lr, 1))
CHANGE(set_warmup, j->optimizer.warmup++)
CHANGE(set_decay_steps, j->optimizer.decay_steps++)
CHANGE(set_weight_decay, j->optimizer.weight_decay = __builtin_nextafter(j->optimizer.weight_decay, 1))
CHANGE(set_beta1, j->optimizer.beta1 = __builtin_nextafter(j->optimizer.beta1, 1))
CHANGE(set_beta2, j->optimizer.beta2 = __builtin_nextafter(j->optimizer.beta2, 1))
CHANGE(set_eps, j->optimizer.eps = __builtin_nextafter(j->optimizer.eps, 1))
CHANGE(set_clip, j->optimizer.clip = __builtin_nextafter(j->optimizer.clip, 2))

static void identity_changes_with_all_that_decides_the_trajectory(void **state)
{
    void (*const changes[])(struct reeve_job *) = {
        set_workload, set_seed,  set_sequence, set_shuffle,     set_block,        set_holdout, set_global,
        set_micro,    set_reduce, set_layers,  set_heads,       set_width,        set_lr,      set_min_lr,
        set_warmup,   set_eps,   set_clip,     set_decay_steps, set_weight_decay, set_beta1,   set_beta2,
        set_precision, set_initial,
    };
    for (size_t i = 0; i < sizeof(changes) / sizeof(changes[0]); i++)
        if (!identity_differs(changes[i])) fail_msg("change %zu is not in the identity", i);
}

CHANGE(set_rest, j->name[0] = 'x'; j->data.manifest[0] = 'x'; j->data.cache[0] = 'x'; j->train.steps++; j->model.init_from[0] = 'x';
       j->train.eval_every++; j->train.refused_max++; j->checkpoint.every++; j->checkpoint.keep++;
       j->resources.workers++; j->resources.threads++; j->resources.device++; j->journal.sync++;
       j->faults.attempts_max++; j->faults.crash_limit++; j->faults.silence_warn_s++; j->faults.silence_stop_s++;
       j->faults.credits++; j->faults.restarts_max++; j->faults.restart_wait_s++;
       j->faults.hang_min_s++; j->sample.prompt[0] = 'x'; j->sample.tokens++; j->sample.temperature++)

static void identity_leaves_out_what_may_change_between_two_runs(void **state)
{
    assert_false(identity_differs(set_rest));
}

static void identity_is_cut_to_fit_and_says_how_long_it_is(void **state)
{ /* Goal: no byte behind the buffer. Method: every length up to the whole. */
    static struct reeve_job job;
    static char whole[TEXT_BYTES], text[TEXT_BYTES];
    fx_job(&job);
    size_t bytes = reeve_job_identity(&job, whole, sizeof(whole));
    for (size_t room = 0; room <= bytes + 1; room++) {
        memset(text, 0x55, sizeof(text));
        assert_int_equal(reeve_job_identity(&job, text, room), bytes);
        if (room > 0) assert_int_equal(strlen(text), room - 1 < bytes ? room - 1 : bytes);
        if (room > 0) assert_memory_equal(text, whole, room - 1 < bytes ? room - 1 : bytes);
        assert_int_equal(text[room], 0x55);
    }
}

static void identity_keeps_a_value_on_one_line(void **state)
{ /* Goal: a path cannot forge another key. Method: a newline and a backslash in the workload. */
    static struct reeve_job job;
    static char text[TEXT_BYTES];
    fx_job(&job);
    (void)snprintf(job.workload, sizeof(job.workload), "a\nseed=7\\");
    (void)reeve_job_identity(&job, text, sizeof(text));
    assert_memory_equal(text, "workload=a\\x0aseed=7\\x5c\nseed=1337\n", 34);
}

static void plan_config_takes_the_plans_part_of_the_job(void **state)
{
    static struct reeve_job job;
    fx_job(&job);
    struct reeve_plan_config c;
    reeve_job_plan_config(&job, &c);
    assert_int_equal(c.seed, 1337);
    assert_int_equal(c.shuffle, REEVE_SHUFFLE_BLOCK);
    assert_int_equal(c.block_shards, 4);
    assert_int_equal(c.sequence, 128);
    assert_int_equal(c.global_batch, 32);
    assert_int_equal(c.micro_batch, 4);
    assert_int_equal(c.holdout_ppm, 50000);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(identity_is_the_text_that_the_resume_check_reads),
        cmocka_unit_test(identity_names_a_precision_only_if_one_was_chosen),
        cmocka_unit_test(identity_changes_with_all_that_decides_the_trajectory),
        cmocka_unit_test(identity_leaves_out_what_may_change_between_two_runs),
        cmocka_unit_test(identity_is_cut_to_fit_and_says_how_long_it_is),
        cmocka_unit_test(identity_keeps_a_value_on_one_line),
        cmocka_unit_test(plan_config_takes_the_plans_part_of_the_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
