/* GPUs that `reeve submit` asks for: by node, one for each worker. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/error.h"
#include "cli/submit_gpus.h"

enum { SAID = 1 };

struct gpu_case {
    uint32_t nodes, tasks, gpus, gpus_said;            /* on the command line */
    uint32_t device, job_workers, job_tasks, job_gpus; /* in the job */
    uint32_t got_nodes, got_tasks, got_workers, got_gpus;
};

static reeve_status place(const struct gpu_case *c, struct reeve_submission *s, struct reeve_error *err)
{
    static struct reeve_job job;
    (void)snprintf(job.workload, sizeof(job.workload), "gpt");
    job.resources.device = c->device;
    job.resources.workers = c->job_workers;
    job.resources.tasks_per_node = c->job_tasks;
    job.resources.gpus_per_node = c->job_gpus;
    const struct reeve_gpus_asked asked = {c->nodes, c->tasks, c->gpus, c->gpus_said == SAID};
    return reeve_submission_place_gpus(s, &asked, &job, err);
}

static void each_worker_of_a_node_gets_a_gpu(void **state)
{
    static const struct gpu_case cases[] = {
        {4, 4, 4, SAID, REEVE_DEVICE_CUDA, 1, 0, 0, 4, 4, 16, 4}, /* all said */
        {4, 4, 0, 0, REEVE_DEVICE_CUDA, 1, 0, 0, 4, 4, 16, 4},    /* cuda: as many as workers */
        {4, 0, 4, SAID, REEVE_DEVICE_CUDA, 1, 0, 0, 4, 4, 16, 4}, /* as many workers as GPUs */
        {4, 0, 4, SAID, REEVE_DEVICE_AUTO, 1, 0, 0, 4, 4, 16, 4},
        {0, 0, 0, 0, REEVE_DEVICE_CUDA, 3, 0, 0, 1, 3, 3, 3},     /* the job's workers, all on one node */
        {2, 0, 0, 0, REEVE_DEVICE_CUDA, 3, 0, 0, 2, 2, 3, 2},     /* ... or spread */
        {0, 0, 0, 0, REEVE_DEVICE_CUDA, 10, 0, 4, 3, 4, 12, 4},   /* as the job says: full nodes */
        {2, 0, 0, 0, REEVE_DEVICE_CUDA, 10, 2, 4, 2, 2, 4, 4},    /* fewer workers than GPUs: as said */
        {2, 0, 2, SAID, REEVE_DEVICE_CUDA, 10, 0, 4, 2, 2, 4, 2}, /* the command line comes before the job */
        {2, 2, 0, SAID, REEVE_DEVICE_CUDA, 1, 0, 4, 2, 2, 4, 0},  /* whole nodes by partition: none asked for */
        {2, 2, 0, 0, REEVE_DEVICE_AUTO, 1, 0, 0, 2, 2, 4, 0},     /* auto asks for none by itself */
        {2, 8, 1, SAID, REEVE_DEVICE_CPU, 1, 0, 0, 2, 8, 16, 1},  /* not the runtime's business */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const struct gpu_case *c = &cases[i];
        struct reeve_submission s = {0};
        struct reeve_error err = {.text = ""};
        if (place(c, &s, &err) != REEVE_OK) fail_msg("case %zu: %s", i, err.text);
        if (s.nodes != c->got_nodes || s.tasks_per_node != c->got_tasks || s.workers != c->got_workers ||
            s.gpus_per_node != c->got_gpus)
            fail_msg("case %zu: %u nodes of %u workers and %u GPUs, %u workers", i, s.nodes, s.tasks_per_node,
                     s.gpus_per_node, s.workers);
    }
}

static void more_workers_than_gpus_are_refused_with_both_numbers(void **state)
{
    static const struct gpu_case said = {2, 4, 2, SAID, REEVE_DEVICE_CUDA, 1, 0, 0, 0, 0, 0, 0},
                                 in_job = {0, 0, 0, 0, REEVE_DEVICE_AUTO, 8, 4, 1, 0, 0, 0, 0};
    struct reeve_submission s = {0};
    struct reeve_error err = {.text = ""};
    assert_int_equal(place(&said, &s, &err), REEVE_INPUT_USAGE);
    assert_non_null(strstr(err.text, "4 workers on a node, but 2 GPUs; NCCL does not share a GPU"));
    assert_non_null(strstr(err.text, "--tasks-per-node 2, for --gpus-per-node 4"));
    assert_int_equal(place(&in_job, &s, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "4 workers on a node, but 1 GPU;"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_worker_of_a_node_gets_a_gpu),
        cmocka_unit_test(more_workers_than_gpus_are_refused_with_both_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
