/* Goal: a worker that verifies or copies a shard for a micro-batch is not taken for one that hangs in it, and the time is
 * no part of what a micro-batch takes. Method: a copy that has to wait for its turn, which the test holds. */
#include "../store/shard_fixture.h"

#include "base/clock.h"
#include "core/exact_sum.h"
#include "core/task.h"
#include "run/compute.h"

static float weight[16] __attribute__((aligned(64)));
static const struct reeve_tensor tensor = {.name = "w", .rank = 1, .shape = {16}, .data = weight};

static reeve_status open_it(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    (void)config, (void)err;
    *self = weight;
    return REEVE_OK;
}

static void tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    (void)self;
    *list = &tensor;
    *count = 1;
}

static reeve_status gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                             bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err)
{
    (void)self, (void)batch, (void)cancelled, (void)cancelled_arg, (void)err;
    memset(grad, 0, sizeof(weight));
    *loss_sum = 1.0;
    return REEVE_OK;
}

static void close_it(void *self)
{
    (void)self;
}

static const struct reeve_workload_ops ops = {.abi = REEVE_WORKLOAD_ABI,
                                              .size = sizeof(ops),
                                              .name = "still",
                                              .open = open_it,
                                              .tensors = tensors,
                                              .gradient = gradient,
                                              .close = close_it};

/* The answer to a command. */
static struct reeve_frame answer(reeve_compute *c, uint16_t kind)
{
    static char text[REEVE_FRAME_TEXT_MAX + 1];
    struct reeve_frame frame = {0};
    for (int i = 0; !reeve_compute_take(c, &frame, text); i++) {
        if (i == 20000) fail_msg("no answer");
        reeve_clock_sleep(REEVE_MILLISECOND_NS);
    }
    if (frame.kind != kind) fail_msg("%s: %s", reeve_frame_name(frame.kind), text);
    return frame;
}

static void shard_that_takes_long_is_not_the_gradient(void **state)
{
    struct shard_rig *r = rig_new(*state);
    struct reeve_error err;
    struct reeve_job job = {.train = {.global_batch = 1, .micro_batch = 1}, .data = {.sequence = 8, .block_shards = 1}};
    char turns[512];
    (void)snprintf(job.data.cache, sizeof(job.data.cache), "%s/cache", r->f->dir);
    (void)snprintf(turns, sizeof(turns), "%s/cache/.turns", r->f->dir);
    assert_int_equal(mkdir(job.data.cache, 0777), 0);
    int turn = open(turns, O_RDWR | O_CREAT | O_CLOEXEC, 0666);
    struct flock all = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
    assert_int_equal(fcntl(turn, F_OFD_SETLK, &all), 0);

    const struct reeve_compute_config config = {
        .job = &job, .manifest = &r->manifest, .run_dir = r->run_dir, .job_json = "{}", .ops = &ops};
    reeve_compute *c = NULL;
    OK(reeve_compute_create(&config, &c, &err));
    struct reeve_frame command = {.kind = REEVE_FRAME_INIT};
    assert_true(reeve_compute_post(c, &command));
    (void)answer(c, REEVE_FRAME_READY);
    command = (struct reeve_frame){.kind = REEVE_FRAME_LEASE, .a = REEVE_TASK_GRADIENT, .step = 1};
    reeve_time_ns posted_ns = reeve_clock_now(), since_ns;
    bool first;
    assert_true(reeve_compute_post(c, &command));
    for (int i = 0; reeve_compute_pace(c, &first, &since_ns) != REEVE_PACE_OTHER; i++) {
        if (i == 20000) fail_msg("it does not wait for its turn");
        reeve_clock_sleep(REEVE_MILLISECOND_NS);
    }
    reeve_time_ns seen_ns = reeve_clock_now();
    for (int i = 0; i < 20; i++) {
        reeve_clock_sleep(10 * REEVE_MILLISECOND_NS);
        assert_int_equal(reeve_compute_pace(c, &first, &since_ns), REEVE_PACE_OTHER);
        assert_in_range(since_ns, posted_ns, seen_ns);
    }
    reeve_time_ns held_ns = reeve_clock_now() - seen_ns;
    assert_int_equal(close(turn), 0);
    struct reeve_frame computed = answer(c, REEVE_FRAME_COMPUTED);
    reeve_time_ns all_ns = reeve_clock_now() - posted_ns;
    if (computed.a > (uint64_t)(all_ns - held_ns))
        fail_msg("the gradient took %llu ns, of %lld of which %lld were spent on its shard",
                 (unsigned long long)computed.a, (long long)all_ns, (long long)held_ns);

    command.step = 2; /* the copy is there */
    assert_true(reeve_compute_post(c, &command));
    (void)answer(c, REEVE_FRAME_COMPUTED);
    for (int i = 0; reeve_compute_pace(c, &first, &since_ns) != REEVE_PACE_NONE; i++) {
        if (i == 20000) fail_msg("it is never done");
        reeve_clock_sleep(REEVE_MILLISECOND_NS);
    }
    reeve_compute_destroy(c);
    rig_free(r);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
    const struct CMUnitTest tests[] = {TEST(shard_that_takes_long_is_not_the_gradient)};
    return cmocka_run_group_tests_name("compute_shards", tests, NULL, NULL);
}
