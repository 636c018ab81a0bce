/* A worker's part of a checkpoint. The test posts what a worker would, and the workload is its own. */
#include "../core/fixture.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "core/task.h"
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

static struct reeve_frame saved; /* the last word of that kind */

static uint64_t tensors_saved(reeve_compute *c, uint64_t step)
{
    const struct reeve_frame init = {.kind = REEVE_FRAME_INIT, .epoch = 1};
    struct reeve_error err = {0};
    const struct reeve_frame save = {.kind = REEVE_FRAME_CHECKPOINT, .epoch = 1, .step = step, .a = 1};
    if (reeve_checkpoint_begin(folder, step, 1, &err) != REEVE_OK) fail_msg("%s", err.text); /* as the master does */
    assert_true(reeve_compute_post(c, &init));
    assert_true(reeve_compute_post(c, &save));
    saved = await(c, REEVE_FRAME_CKPT_PART);
    return saved.c;
}

static struct reeve_job job = {.train = {.global_batch = 1, .micro_batch = 1},
                               .data = {.sequence = 8, .block_shards = 1}};

static reeve_compute *make_compute(const struct reeve_manifest *manifest)
{
    struct reeve_error err = {0};
    const struct reeve_compute_config config = {
        .job = &job, .manifest = manifest, .run_dir = folder, .job_json = "{}", .ops = &ops};
    reeve_compute *c = NULL;
    assert_int_equal(reeve_compute_create(&config, &c, &err), REEVE_OK);
    return c;
}

static struct reeve_manifest *set_up(void)
{
    static const uint64_t tokens[] = {1000};
    memcpy(folder + sizeof(folder) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(folder));
    opened = 0;
    return fx_manifest(1, tokens, NULL);
}

/* Goal: what is listed for a checkpoint is what the workload has then. Method: the state is made anew between two
 * checkpoints, as it is after a restore that failed, and has many more tensors. */
static void checkpoint_has_all_tensors_of_a_workload_that_was_opened_anew(void **state)
{
    (void)state;
    struct reeve_manifest *manifest = set_up();
    reeve_compute *c = make_compute(manifest);
    assert_int_equal(tensors_saved(c, 1), 1);
    assert_int_equal(tensors_saved(c, 2), TENSORS_MAX);
    reeve_compute_destroy(c);
    reeve_manifest_destroy(manifest);
    assert_int_equal(reeve_remove_tree(folder, NULL), REEVE_OK);
}

/* A checkpoint of step 1 whose index says another digest of the weights than they have: found when they are read. */
static uint64_t save_bad(reeve_compute *c)
{
    struct reeve_error err = {0};
    struct reeve_digest digest;
    const struct reeve_checkpoint_meta meta = {.step = 1, .workers = 1, .epoch = 1};
    struct reeve_checkpoint_part part = {.tensor_count = (uint32_t)tensors_saved(c, 1)};
    part.file_bytes = saved.a;
    part.digest = saved.b;
    if (reeve_checkpoint_commit(folder, 1, 1, &meta, &part, 1, NULL, 0, &digest, &err) != REEVE_OK)
        fail_msg("%s", err.text);
    uint64_t digest64;
    memcpy(&digest64, digest.bytes, sizeof(digest64));
    return digest64;
}

/* In a child: a restore fails, and then a word comes that only a master sends which has not heard of it. */
static void go_on_after_a_failed_restore(const struct reeve_manifest *manifest, const struct reeve_frame *word)
{
    struct reeve_frame restore = {.kind = REEVE_FRAME_RESTORE, .epoch = 1, .step = 1};
    struct reeve_frame f;
    char text[REEVE_FRAME_TEXT_MAX + 1] = "";
    reeve_compute *c = make_compute(manifest);
    restore.a = save_bad(c);
    if (!reeve_compute_post(c, &restore)) _exit(1);
    for (reeve_time_ns until_ns = reeve_clock_now() + PATIENCE_NS; text[0] == '\0' && reeve_clock_now() < until_ns;)
        if (!reeve_compute_take(c, &f, text)) reeve_clock_sleep(REEVE_MILLISECOND_NS);
    if (f.kind != REEVE_FRAME_RESTORE_FAILED || strstr(text, "another digest") == NULL) _exit(2);
    if (!reeve_compute_post(c, word)) _exit(3);
    for (reeve_time_ns until_ns = reeve_clock_now() + PATIENCE_NS; reeve_clock_now() < until_ns;)
        if (reeve_compute_take(c, &f, text)) _exit(4); /* it has an answer */
    _exit(5);
}

/* Goal: no gradient, step or checkpoint comes of a state of which a part is from a checkpoint and a part is not. Method: each
 * word that would make one, after a restore that failed in its midst; the process ends like one that was lost. */
static void state_that_is_half_restored_is_not_gone_on_with(void **state)
{
    (void)state;
    const struct reeve_frame words[] = {
        {.kind = REEVE_FRAME_LEASE, .epoch = 2, .step = 2, .a = REEVE_TASK_GRADIENT},
        {.kind = REEVE_FRAME_APPLY, .epoch = 2, .step = 2},
        {.kind = REEVE_FRAME_CHECKPOINT, .epoch = 2, .step = 2, .a = 1},
    };
    struct reeve_manifest *manifest = set_up();
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        int status = 0;
        (void)fflush(stdout);
        pid_t child = fork();
        if (child == 0) go_on_after_a_failed_restore(manifest, &words[i]);
        assert_true(child > 0);
        assert_int_equal(waitpid(child, &status, 0), child);
        if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL)
            fail_msg("%s: status %#x", reeve_frame_name(words[i].kind), (unsigned)status);
        assert_int_equal(reeve_remove_tree(folder, NULL), REEVE_OK);
    }
    reeve_manifest_destroy(manifest);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(checkpoint_has_all_tensors_of_a_workload_that_was_opened_anew),
        cmocka_unit_test(state_that_is_half_restored_is_not_gone_on_with),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
