/* A worker that trains. Its sum fails: whether the run goes on is not decided by who hears of a loss first, the sum or the
 * transport. And it is told to begin anew by a master that knows nothing of what it holds. The test is its master, at the
 * other end of a loopback, its sum, which fails at the first test(), and its workload, which opens when it is let. */
#include "../core/fixture.h"

#include <stdatomic.h>

#include "base/clock.h"
#include "base/error.h"
#include "core/exact_sum.h"
#include "core/task.h"
#include "net/loopback.h"
#include "run/worker.h"

#define TURNS 8

struct failing {
    reeve_collective base;
    reeve_status status; /* OK: it ends, in these words */
    int64_t words[REEVE_SUM_WORDS];
    int64_t *out; /* borrowed; of the sum that was begun: (count,) */
    size_t count;
    uint32_t begun, abandoned;
};

static reeve_status begin_sum(reeve_collective *c, const int64_t *in, int64_t *out, size_t n, struct reeve_error *err)
{
    struct failing *f = (struct failing *)c;
    f->begun++;
    f->out = out;
    f->count = n;
    return REEVE_OK;
}

static reeve_status test_sum(reeve_collective *c, bool *done, struct reeve_error *err)
{
    const struct failing *f = (struct failing *)c;
    *done = f->status == REEVE_OK;
    if (!*done) return reeve_fail(err, f->status, "sum over workers: the test says so");
    memcpy(f->out + f->count - REEVE_SUM_WORDS, f->words, sizeof(f->words));
    return REEVE_OK;
}

static void abandon_sum(reeve_collective *c)
{
    ((struct failing *)c)->abandoned++;
}

static const struct reeve_collective_ops failing_ops = {
    .begin_sum_i64 = begin_sum, .test = test_sum, .abandon = abandon_sum};

static atomic_bool may_open;

static reeve_status open_late(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    while (!atomic_load(&may_open))
        reeve_clock_sleep(REEVE_MILLISECOND_NS);
    return reeve_fail(err, REEVE_INPUT_INVALID, "the test says so");
}

static const struct reeve_workload_ops late_ops = {
    .abi = REEVE_WORKLOAD_ABI, .size = sizeof(late_ops), .name = "late", .open = open_late};

struct fx {
    struct reeve_job job;
    struct reeve_manifest *manifest;
    reeve_compute *compute;
    reeve_worker *worker;
    reeve_transport *near, *far; /* the worker's end, and ours */
    struct failing sum;
    struct reeve_error err;
};

static void begin(struct fx *f, reeve_status status, bool stays)
{
    static const uint64_t tokens[] = {1000};
    memset(f, 0, sizeof(*f));
    atomic_store(&may_open, false); /* the end of the case before let it */
    f->job.train.global_batch = f->job.train.micro_batch = 1;
    f->job.data.sequence = 8;
    f->job.data.block_shards = 1;
    f->manifest = fx_manifest(1, tokens, NULL);
    f->sum = (struct failing){.base = {.ops = &failing_ops, .name = "failing", .members = 2}, .status = status};
    const struct reeve_compute_config compute = {
        .job = &f->job, .manifest = f->manifest, .run_dir = ".", .job_json = "{}", .ops = &late_ops};
    assert_int_equal(reeve_compute_create(&compute, &f->compute, &f->err), REEVE_OK);
    assert_int_equal(reeve_loopback_create(&f->far, &f->near, &f->err), REEVE_OK);
    const struct reeve_worker_config worker = {
        .id = 1, .credits = 1, .silence_ns = 3600 * REEVE_SECOND_NS, .stays = stays, .host = "here"};
    const struct reeve_collectives collectives = {.host = &f->sum.base};
    assert_int_equal(reeve_worker_create(&worker, f->near, collectives, f->compute, NULL, &f->worker, &f->err),
                     REEVE_OK);
}

static void finish(struct fx *f)
{
    atomic_store(&may_open, true);
    reeve_worker_destroy(f->worker);
    reeve_compute_destroy(f->compute);
    f->near->ops->destroy(f->near);
    f->far->ops->destroy(f->far);
    reeve_manifest_destroy(f->manifest);
}

static void tell(struct fx *f, struct reeve_frame frame)
{
    unsigned char message[256];
    size_t bytes = 0;
    assert_true(reeve_frame_push(message, sizeof(message), &bytes, &frame, NULL));
    assert_int_equal(f->far->ops->send(f->far, 1, message, bytes, &f->err), REEVE_OK);
}

/* What the turns come to, in which the sum is begun and fails. */
static reeve_status turn(struct fx *f)
{
    reeve_status st = REEVE_OK;
    tell(f, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    tell(f, (struct reeve_frame){.kind = REEVE_FRAME_REDUCE, .epoch = 1, .a = REEVE_TASK_EVAL});
    for (int i = 0; i < TURNS && st == REEVE_OK; i++) {
        bool progress = false, ended = false;
        st = reeve_worker_turn(f->worker, reeve_clock_now(), &progress, &ended, &f->err);
    }
    assert_int_equal(f->sum.begun, 1);
    assert_int_equal(f->sum.abandoned, 1);
    assert_false(reeve_worker_is_reducing(f->worker));
    return st;
}

/* How many frames of this kind the master was sent since it last looked. *last: one of them, if any. */
static uint32_t heard(struct fx *f, uint16_t kind, struct reeve_frame *last)
{
    static unsigned char inbox[REEVE_MESSAGE_BYTES_MAX];
    for (uint32_t count = 0;;) {
        uint32_t peer = 0;
        size_t bytes = 0, at = 0;
        assert_int_equal(f->far->ops->poll(f->far, &peer, inbox, &bytes, &f->err), REEVE_OK);
        if (bytes == 0) return count;
        for (_Bool end = false; !end;) {
            struct reeve_frame frame;
            const char *text = NULL;
            assert_int_equal(reeve_frame_next(inbox, bytes, &at, &frame, &text, &end), REEVE_OK);
            if (end || frame.kind != kind) continue;
            *last = frame;
            count++;
        }
    }
}

/* True if the master was told that the sum failed, with this status. */
static bool told_master(struct fx *f, reeve_status status)
{
    struct reeve_frame last;
    return heard(f, REEVE_FRAME_REDUCE_FAILED, &last) > 0 && last.arg == (uint32_t)status;
}

static void a_loss_that_the_sum_hears_of_leads_to_a_regrouping(void **state)
{ /* The master would stop the run if it heard of it as a sum that failed. */
    struct fx f;
    begin(&f, REEVE_WORKER_LOST, true);
    assert_int_equal(turn(&f), REEVE_WORKER_LOST);
    assert_string_equal(f.err.text, "sum over workers: the test says so");
    assert_false(told_master(&f, REEVE_WORKER_LOST));
    finish(&f);
}

static void a_loss_is_told_where_none_is_survived(void **state)
{
    struct fx f;
    begin(&f, REEVE_WORKER_LOST, false);
    assert_int_equal(turn(&f), REEVE_OK);
    assert_true(told_master(&f, REEVE_WORKER_LOST));
    finish(&f);
}

static void a_sum_that_fails_otherwise_is_told(void **state)
{
    struct fx f;
    begin(&f, REEVE_JOB_INTERNAL, true);
    assert_int_equal(turn(&f), REEVE_OK);
    assert_true(told_master(&f, REEVE_JOB_INTERNAL));
    finish(&f);
}

static void turns(struct fx *f)
{
    for (int i = 0; i < TURNS; i++) {
        bool progress = false, ended = false;
        assert_int_equal(reeve_worker_turn(f->worker, reeve_clock_now(), &progress, &ended, &f->err), REEVE_OK);
    }
}

static void more_tokens_than_32_bits_hold_are_told(void **state)
{ /* Goal: the loss of a large evaluation is divided by all of its tokens. Method: 4,200,000 held-out samples of 1024. */
    const int64_t samples = 4200000, tokens = samples * 1024;
    struct reeve_frame last = {0};
    struct fx f;
    begin(&f, REEVE_OK, true);
    f.sum.words[REEVE_SUM_SAMPLES] = samples;
    f.sum.words[REEVE_SUM_TOKENS] = tokens;
    tell(&f, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    tell(&f, (struct reeve_frame){.kind = REEVE_FRAME_REDUCE, .epoch = 1, .a = REEVE_TASK_EVAL});
    turns(&f);
    assert_int_equal(heard(&f, REEVE_FRAME_REDUCED, &last), 1);
    assert_int_equal(last.task, samples);
    assert_int_equal(last.d, tokens);
    finish(&f);
}

/* The ranks come together again. How many leases does it name? */
static uint32_t named_after_a_regrouping(struct fx *f, uint32_t epoch)
{
    struct reeve_frame last;
    f->near->ops->destroy(f->near);
    f->far->ops->destroy(f->far);
    assert_int_equal(reeve_loopback_create(&f->far, &f->near, &f->err), REEVE_OK);
    reeve_worker_regroup(f->worker, f->near, (struct reeve_collectives){.host = &f->sum.base});
    tell(f, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = epoch});
    turns(f);
    return heard(f, REEVE_FRAME_HOLDING, &last);
}

static void nothing_from_before_is_left_when_the_model_is_set(void **state)
{ /* Goal: what a master lost the records of, and therefore does not discard, counts for nothing either. */
    struct fx f;
    begin(&f, REEVE_WORKER_LOST, true);
    tell(&f, (struct reeve_frame){.kind = REEVE_FRAME_WELCOME, .epoch = 1});
    tell(&f, (struct reeve_frame){.kind = REEVE_FRAME_INIT, .epoch = 1});
    tell(&f, (struct reeve_frame){
                 .kind = REEVE_FRAME_LEASE, .epoch = 1, .step = 1, .task = 3, .attempt = 1, .a = REEVE_TASK_GRADIENT});
    turns(&f);
    assert_int_equal(named_after_a_regrouping(&f, 2), 1);
    tell(&f, (struct reeve_frame){.kind = REEVE_FRAME_INIT, .epoch = 2});
    turns(&f);
    assert_int_equal(named_after_a_regrouping(&f, 3), 0);
    finish(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loss_that_the_sum_hears_of_leads_to_a_regrouping),
        cmocka_unit_test(a_loss_is_told_where_none_is_survived),
        cmocka_unit_test(a_sum_that_fails_otherwise_is_told),
        cmocka_unit_test(more_tokens_than_32_bits_hold_are_told),
        cmocka_unit_test(nothing_from_before_is_left_when_the_model_is_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
