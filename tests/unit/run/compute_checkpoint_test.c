/* A worker's part of a checkpoint. The test posts what a worker would, and the workload is its own. */
#include "../core/fixture.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "run/compute.h"
#include "store/checkpoint.h"

#define TENSORS_MAX 200u
#define PATIENCE_NS (120 * REEVE_SECOND_NS)

static char folder[] = "/tmp/reeve-compute-XXXXXX";

/* A state of one parameter, and from the second time it is opened of many tensors of its optimiser besides. */
static struct reeve_tensor tensors[TENSORS_MAX];
static _Alignas(64) float values[TENSORS_MAX][16]; /* of which a tensor has the first */
static uint32_t opened;

static reeve_status open_state(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    (void)config;
    (void)err;
    opened++;
    for (uint32_t i = 0; i < TENSORS_MAX; i++) {
        values[i][0] = (float)i;
        tensors[i] = (struct reeve_tensor){
            .group = i == 0 ? REEVE_TENSOR_MODEL : REEVE_TENSOR_OPTIMIZER, .rank = 1, .shape = {1}, .data = values[i]};
        (void)snprintf(tensors[i].name, sizeof(tensors[i].name), "t%u", i);
    }
    *self = tensors;
    return REEVE_OK;
}

static void list_tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    *list = self;
    *count = opened == 1 ? 1 : TENSORS_MAX;
}

static void close_state(void *self)
{
    (void)self;
}

static const struct reeve_workload_ops ops = {.abi = REEVE_WORKLOAD_ABI,
                                              .size = sizeof(ops),
                                              .name = "growing",
                                              .open = open_state,
                                              .tensors = list_tensors,
                                              .close = close_state};

/* The answer of this kind; others that come before it are passed over, but for failures, which have a text. */
static struct reeve_frame await(reeve_compute *c, uint16_t kind)
{
    struct reeve_frame f;
    char text[REEVE_FRAME_TEXT_MAX + 1];
    for (reeve_time_ns until_ns = reeve_clock_now() + PATIENCE_NS; reeve_clock_now() < until_ns;) {
        if (!reeve_compute_take(c, &f, text)) reeve_clock_sleep(REEVE_MILLISECOND_NS);
        else if (f.kind == kind) return f;
        else if (text[0] != '\0') fail_msg("%s", text);
    }
    fail_msg("no %s came", reeve_frame_name(kind));
    return f;
}

static uint64_t tensors_saved(reeve_compute *c, uint64_t step)
{
    const struct reeve_frame init = {.kind = REEVE_FRAME_INIT, .epoch = 1};
    struct reeve_error err = {0};
    const struct reeve_frame save = {.kind = REEVE_FRAME_CHECKPOINT, .epoch = 1, .step = step, .a = 1};
    if (reeve_checkpoint_begin(folder, step, 1, &err) != REEVE_OK) fail_msg("%s", err.text); /* as the master does */
    assert_true(reeve_compute_post(c, &init));
    assert_true(reeve_compute_post(c, &save));
    return await(c, REEVE_FRAME_CKPT_PART).c;
}

/* Goal: what is listed for a checkpoint is what the workload has then. Method: the state is made anew between two
 * checkpoints, as it is after a restore that failed, and has many more tensors. */
static void checkpoint_has_all_tensors_of_a_workload_that_was_opened_anew(void **state)
{
    (void)state;
    static const uint64_t tokens[] = {1000};
    struct reeve_error err = {0};
    struct reeve_job job = {.train = {.global_batch = 1, .micro_batch = 1}, .data = {.sequence = 8, .block_shards = 1}};
    struct reeve_manifest *manifest = fx_manifest(1, tokens, NULL);
    const struct reeve_compute_config config = {
        .job = &job, .manifest = manifest, .run_dir = folder, .job_json = "{}", .ops = &ops};
    reeve_compute *c = NULL;
    assert_non_null(mkdtemp(folder));
    assert_int_equal(reeve_compute_create(&config, &c, &err), REEVE_OK);
    assert_int_equal(tensors_saved(c, 1), 1);
    assert_int_equal(tensors_saved(c, 2), TENSORS_MAX);
    reeve_compute_destroy(c);
    reeve_manifest_destroy(manifest);
    assert_int_equal(reeve_remove_tree(folder, NULL), REEVE_OK);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoint_has_all_tensors_of_a_workload_that_was_opened_anew),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
