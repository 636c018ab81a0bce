/* The life of one communicator of NCCL, again and again: birth, sums, abort while a sum is under way, abort when nothing
 * is. A world of one, which coll/nccl itself does without NCCL, so that the real library can be tried where one GPU is all
 * there is; the double refuses one. What it took is printed, and judges nothing. */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "coll/nccl_comm.h"
#include "gpu_rig.h"
#include "rig.h"

#define ELEMENTS ((size_t)1 << 20)
#define SUMS_IN_FLIGHT 4
#define LIVES 12u
#define PATIENCE_NS (60 * REEVE_SECOND_NS)
#define EXIT_HUNG 9

static struct gpu gpu;

static double milliseconds_since(reeve_time_ns begin_ns)
{
    return (double)(reeve_clock_now() - begin_ns) * 1e-6;
}

static void wait_until_ready(struct comm *c)
{
    struct reeve_error err = {.text = ""};
    reeve_time_ns end_ns = reeve_clock_now() + PATIENCE_NS;
    for (bool ready = false; !ready;) {
        RIG_OK(comm_poll(c, &ready, &err), err);
        RIG_CHECK(reeve_clock_now() < end_ns);
        if (!ready) reeve_clock_sleep(50000);
    }
}

static void wait_for_gpu(void)
{
    struct reeve_error err = {.text = ""};
    reeve_time_ns end_ns = reeve_clock_now() + PATIENCE_NS;
    RIG_OK(gpu_record(&gpu, 0, &err), err);
    for (bool passed = false; !passed;) {
        RIG_OK(gpu_test(&gpu, 0, &passed, &err), err);
        RIG_CHECK(reeve_clock_now() < end_ns);
    }
}

static struct comm be_born(void)
{
    struct reeve_error err = {.text = ""};
    struct comm c = {0};
    unsigned char id[COMM_ID_BYTES];
    RIG_OK(comm_make_id(id, &err), err);
    RIG_OK(comm_begin(&c, 1, 0, id, &err), err);
    wait_until_ready(&c);
    return c;
}

/* A sum of one worker is what it brought. */
static void sum_all_types(struct comm *c, const void *in, void *out, const void *expected, void *got)
{
    struct reeve_error err = {.text = ""};
    const enum sum_type types[] = {SUM_I64, SUM_F32, SUM_BF16};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        size_t bytes = ELEMENTS * sum_type_bytes(types[i]);
        memset(got, 0xa5, bytes);
        RIG_OK(comm_sum(c, &gpu, types[i], in, out, ELEMENTS, &err), err);
        wait_until_ready(c);
        wait_for_gpu();
        gpu_to_host(got, out, bytes);
        RIG_CHECK(memcmp(got, expected, bytes) == 0);
    }
}

static void abort_in_flight(struct comm *c, const void *in, void *out)
{
    struct reeve_error err = {.text = ""};
    for (int i = 0; i < SUMS_IN_FLIGHT; i++) {
        RIG_OK(comm_sum(c, &gpu, SUM_I64, in, out, ELEMENTS, &err), err);
        if (i + 1 < SUMS_IN_FLIGHT) wait_until_ready(c); /* the last one is cut off even before NCCL has taken it */
    }
    comm_abort(c, &gpu, PATIENCE_NS, EXIT_HUNG);
}

/* Threads of this process; 0: /proc does not say. */
static unsigned long thread_count(void)
{
    char line[256];
    unsigned long n = 0;
    FILE *file = fopen("/proc/self/status", "re");
    while (file != NULL && n == 0 && fgets(line, sizeof(line), file) != NULL)
        if (strncmp(line, "Threads:", 8) == 0) n = strtoul(line + 8, NULL, 10);
    if (file != NULL) (void)fclose(file);
    return n;
}

/* Goal: neither births nor aborts leave a thread behind. Whatever a first life brings for good has come by the third. */
static void live_and_die(const void *in, void *out, const void *expected, void *got)
{
    unsigned long threads_then = 0;
    for (uint32_t life = 0; life < LIVES; life++) {
        reeve_time_ns begin_ns = reeve_clock_now();
        struct comm c = be_born();
        double birth_ms = milliseconds_since(begin_ns);
        begin_ns = reeve_clock_now();
        sum_all_types(&c, in, out, expected, got);
        double sums_ms = milliseconds_since(begin_ns);
        begin_ns = reeve_clock_now();
        if (life % 2 == 0) abort_in_flight(&c, in, out);
        else comm_abort(&c, &gpu, PATIENCE_NS, EXIT_HUNG);
        if (life < 3 || life + 1 == LIVES)
            printf("life %u: birth %.1f ms, three sums of %zu elements %.1f ms, abort %s %.1f ms, %lu threads\n", life,
                   birth_ms, ELEMENTS, sums_ms, life % 2 == 0 ? "in a sum" : "idle", milliseconds_since(begin_ns),
                   thread_count());
        if (life == 2) threads_then = thread_count();
    }
    RIG_CHECK(thread_count() <= threads_then);
}

static void lives_leave_nothing_behind(void)
{
    struct reeve_error err = {.text = ""};
    RIG_OK(gpu_open(&gpu, 0, &err), err);
    comm_prepare();
    int64_t *in = malloc(ELEMENTS * sizeof(*in)), *got = malloc(ELEMENTS * sizeof(*got));
    RIG_CHECK(in != NULL && got != NULL);
    /* bits that are no NaN in f32 or bf16 either */
    for (size_t i = 0; i < ELEMENTS; i++)
        in[i] = gpu_part(1, 0, i) & INT64_C(0x3fff3fff3fff3fff);
    void *device_in = gpu_from_host(in, ELEMENTS * sizeof(*in)), *device_out = gpu_allocate(ELEMENTS * sizeof(*in));
    live_and_die(device_in, device_out, in, got);
    gpu_free(device_out);
    gpu_free(device_in);
    gpu_close(&gpu);
    free(got);
    free(in);
}

int main(int argc, char **argv)
{
    static const struct rig_test tests[] = {{"lives_leave_nothing_behind", lives_leave_nothing_behind}};
    int gpus = 0;
    cudaError_t rc = cudaGetDeviceCount(&gpus);
    if (rc != cudaSuccess || gpus < 1) {
        printf("skipped: no GPU here (%s)\n", rc != cudaSuccess ? cudaGetErrorString(rc) : "none is visible");
        return 77;
    }
    return rig_main(argc, argv, tests, 1);
}
