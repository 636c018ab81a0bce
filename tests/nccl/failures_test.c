/* Sums over GPUs that fail while everybody lives: each failure is told to all members in time, with a status that says what
 * to do, costs nobody its own part, leaves nothing behind, and the next sum is right. With the double, which is told to
 * fail; all ranks are workers. */
#include <cuda_runtime_api.h>
#include <dirent.h>
#include <fcntl.h>
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "double.h"
#include "gpu_rig.h"
#include "rig.h"

#define N ((size_t)9001)
#define CHUNK_BYTES ((size_t)16 << 10) /* five chunks */
#define SOON_NS                                                                                                        \
    (100 * REEVE_MILLISECOND_NS) /* only where the wait fails in any case; twice as long if it was too soon */
#define SOON_NS_MAX (30 * REEVE_SECOND_NS)

static uint64_t stream; /* of the parts; another for each sum */

static bool is_last(void)
{
    return rig.rank == rig.size - 1;
}

/* ---- a collective, and what may become of it ---- */

/* A communicator of its own, since a failure may revoke it. Kept: a member may still look at it. */
static int workers(void)
{
    MPI_Comm comm = MPI_COMM_NULL;
    RIG_CHECK(MPI_Comm_dup(MPI_Comm_f2c(rig.control), &comm) == MPI_SUCCESS);
    RIG_CHECK(MPI_Comm_set_errhandler(comm, MPI_ERRORS_RETURN) == MPI_SUCCESS);
    return MPI_Comm_c2f(comm);
}

static reeve_status try_create(uint32_t device, reeve_time_ns create_ns, reeve_time_ns sum_ns, reeve_collective **c,
                               struct reeve_error *err)
{
    struct reeve_coll_nccl_config config = {
        .device = device, .create_ns = create_ns, .sum_ns = sum_ns, .chunk_bytes = CHUNK_BYTES, .exit_code = 9};
    *c = NULL;
    *err = (struct reeve_error){.status = REEVE_OK};
    return reeve_coll_nccl_create(workers(), &config, c, err);
}

static reeve_collective *create(reeve_time_ns sum_ns)
{
    reeve_collective *c = NULL;
    struct reeve_error err;
    RIG_OK(try_create(rig.rank, 0, sum_ns, &c, &err), err);
    return c;
}

/* A sum of n numbers from begin to its end; its result is right if it ends well; in is as before in any case. */
static reeve_status sum(reeve_collective *c, size_t n, struct reeve_error *err)
{
    int64_t *host = calloc(n + 1, 8);
    RIG_CHECK(host != NULL);
    stream++;
    for (size_t i = 0; i < n; i++)
        host[i] = gpu_part(stream, rig.rank, i);
    struct reeve_digest before = reeve_digest_of(host, n * 8);
    void *in = gpu_from_host(host, n * 8), *out = gpu_allocate(n * 8);
    RIG_OK(c->ops->begin_sum_i64(c, in, out, n, err), *err);
    reeve_status st = gpu_try_sum(c, err);
    gpu_to_host(host, out, n * 8);
    for (size_t i = 0; i < n && st == REEVE_OK; i++) {
        uint64_t expected = 0;
        for (uint32_t r = 0; r < rig.size; r++)
            expected += (uint64_t)gpu_part(stream, r, i);
        RIG_CHECK((uint64_t)host[i] == expected);
    }
    gpu_to_host(host, in, n * 8);
    RIG_CHECK(reeve_digest_equal(before, reeve_digest_of(host, n * 8)));
    gpu_free(in);
    gpu_free(out);
    free(host);
    return st;
}

static void expect_empty(void)
{
    char left[160];
    if (!nccl_double_is_empty(left, sizeof(left))) rig_failed(left, __FILE__, __LINE__, "are left");
}

/* What a regrouping does: all come together, and make another one. Ends with a whole sum. */
static void recover(reeve_collective *c)
{
    struct reeve_error err = {.status = REEVE_OK};
    if (c != NULL) c->ops->destroy(c);
    expect_empty();
    rig_barrier();
    c = create(0);
    RIG_OK(sum(c, N, &err), err);
    rig_barrier();
    c->ops->destroy(c);
    expect_empty();
    rig_barrier();
}

/* Did the fault strike that some member had planned? On a slow machine a deadline that is to end a wait may pass before the
 * fault has made it one: then nothing was tried. */
static bool has_struck(void)
{
    unsigned mine = nccl_double_forget(), all = 0;
    RIG_CHECK(MPI_Allreduce(&mine, &all, 1, MPI_UNSIGNED, MPI_SUM, MPI_Comm_f2c(rig.control)) == MPI_SUCCESS);
    return all == 0;
}

/* ---- creation ---- */

static void two_workers_on_one_gpu_are_refused_on_all(void)
{
    struct reeve_error err;
    reeve_collective *c;
    if (rig.size == 1) return;
    uint32_t device = rig.rank < rig.size - 1 ? rig.rank : rig.size - 2;
    char ranks[64];
    (void)snprintf(ranks, sizeof(ranks), "ranks %u and %u", rig.size - 2, rig.size - 1);
    RIG_CHECK(try_create(device, 0, 0, &c, &err) == REEVE_JOB_DEVICE);
    if (strstr(err.text, ranks) == NULL || strstr(err.text, rig.host) == NULL || strstr(err.text, "0000:0") == NULL)
        rig_failed("text of two on one GPU", __FILE__, __LINE__, err.text);
    recover(NULL);
}

static void a_gpu_that_is_not_there_is_told_to_all(void)
{
    struct reeve_error err;
    reeve_collective *c;
    RIG_CHECK(try_create(is_last() ? 64 : rig.rank, 0, 0, &c, &err) == REEVE_JOB_DEVICE);
    if (strstr(err.text, "no GPU 64") == NULL) rig_failed("text of no GPU", __FILE__, __LINE__, err.text);
    recover(NULL);
}

/* Goal: whatever fails while a member gets ready, all know, and nothing is left. Method: each call in turn. */
static void a_failure_of_cuda_at_the_start_is_told_to_all(void)
{
    static const char *const calls[] = {
        "cudaGetDeviceCount",       "cudaSetDevice", "cudaDeviceGetPCIBusId", "cudaStreamCreateWithFlags", "cudaMalloc",
        "cudaEventCreateWithFlags", "cudaMemcpy"};
    for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        struct reeve_error err;
        reeve_collective *c;
        if (is_last()) nccl_double_fault(calls[i], "fail", 1);
        bool memory = strcmp(calls[i], "cudaMalloc") == 0;
        RIG_CHECK(try_create(rig.rank, 0, 0, &c, &err) == (memory ? REEVE_JOB_NO_MEMORY : REEVE_JOB_DEVICE));
        expect_empty();
        rig_barrier();
    }
    recover(NULL);
}

/* Goal: a birth that fails, never ends, or has no id is told to all; a third failure in a row ends the job. Method: on the
 * first member, and on the last. */
static void a_birth_that_fails_is_told_to_all(void)
{
    static const struct {
        const char *call, *action;
    } faults[] = {{"ncclCommInitRankConfig", "fail"},
                  {"ncclCommInitRankConfig", "hang"},
                  {"ncclAllReduce", "fail"},
                  {"ncclAllReduce", "hang"},
                  {"ncclAllReduce", "async"}};
    if (rig.size == 1) return;
    for (size_t i = 0; i < 2 * sizeof(faults) / sizeof(faults[0]); i++) {
        bool mine = i % 2 == 0 ? rig.rank == 0 : is_last(), hangs = strcmp(faults[i / 2].action, "hang") == 0;
        bool struck = false;
        for (reeve_time_ns soon_ns = SOON_NS; !struck; soon_ns *= 2) {
            struct reeve_error err;
            reeve_collective *c;
            RIG_CHECK(soon_ns < SOON_NS_MAX);
            if (mine) nccl_double_fault(faults[i / 2].call, faults[i / 2].action, 1);
            reeve_status st = try_create(rig.rank, hangs ? soon_ns : 0, 0, &c, &err);
            struck = has_struck();
            if (struck && st != REEVE_WORKER_LOST) rig_failed("status of a failed birth", __FILE__, __LINE__, err.text);
            recover(c);
        }
    }
}

static void no_id_is_told_to_all(void)
{
    struct reeve_error err;
    reeve_collective *c;
    if (rig.size == 1) return;
    if (rig.rank == 0) nccl_double_fault("ncclGetUniqueId", "fail", 1);
    RIG_CHECK(try_create(rig.rank, 0, 0, &c, &err) == REEVE_JOB_DEVICE);
    recover(NULL);
}

/* ---- sums ---- */

/* What becomes of one sum when this call of the last member does this. The others know only that it stands still. */
static void fail_in_a_sum(const char *call, const char *action, unsigned number, reeve_status lasts)
{
    reeve_status expected = is_last() ? lasts : REEVE_WORKER_LOST;
    bool struck = false;
    for (reeve_time_ns soon_ns = SOON_NS; !struck; soon_ns *= 2) {
        struct reeve_error err = {.status = REEVE_OK};
        RIG_CHECK(soon_ns < SOON_NS_MAX);
        reeve_collective *c = create(soon_ns);
        if (is_last()) nccl_double_fault(call, action, number);
        reeve_status st = sum(c, N, &err);
        struck = has_struck();
        if (struck && st != expected) rig_failed("status of a failed sum", __FILE__, __LINE__, err.text);
        recover(c);
    }
}

static void fail_at_chunk(const char *action, unsigned chunk)
{
    fail_in_a_sum("ncclAllReduce", action, chunk, REEVE_WORKER_LOST);
}

static void a_sum_that_stands_still_ends_at_its_deadline(void)
{
    if (rig.size == 1) return;
    fail_at_chunk("hang", 1);
    fail_at_chunk("hang", 4);
}

static bool all_are(bool well)
{
    int mine = well, all = 0;
    RIG_CHECK(MPI_Allreduce(&mine, &all, 1, MPI_INT, MPI_MIN, MPI_Comm_f2c(rig.control)) == MPI_SUCCESS);
    return all != 0;
}

/* A sum that all give up in the middle: the next one connects anew. */
static reeve_status begin_and_abandon(reeve_collective *c, void *in, void *out, struct reeve_error *err)
{
    unsigned calls = nccl_double_calls("ncclAllReduce");
    bool done = false;
    reeve_status st = c->ops->begin_sum_i64(c, in, out, N, err);
    while (st == REEVE_OK && nccl_double_calls("ncclAllReduce") == calls)
        st = c->ops->test(c, &done, err);
    c->ops->abandon(c);
    rig_barrier();
    return st;
}

/* Goal: a job that is suspended as a whole and resumed (scontrol suspend) goes on with its sum. Method: all stay away from
 * it in the middle, for longer than its deadline; for longer still if the machine is so slow that it passes all the same. */
static void who_was_suspended_blames_nobody(void)
{
    if (rig.size == 1) return;
    bool well = false;
    for (reeve_time_ns sum_ns = 2 * REEVE_SECOND_NS; !well; sum_ns *= 2) {
        struct reeve_error err = {.status = REEVE_OK};
        bool done = false;
        reeve_status st;
        RIG_CHECK(sum_ns <= 8 * REEVE_SECOND_NS);
        reeve_collective *c = create(sum_ns);
        void *in = gpu_allocate(N * 8), *out = gpu_allocate(N * 8);
        unsigned calls = nccl_double_calls("ncclAllReduce");
        RIG_OK(c->ops->begin_sum_i64(c, in, out, N, &err), err);
        do
            st = c->ops->test(c, &done, &err);
        while (st == REEVE_OK && nccl_double_calls("ncclAllReduce") == calls);
        RIG_CHECK(!done);
        reeve_clock_sleep(sum_ns + REEVE_SECOND_NS / 2);
        if (st == REEVE_OK) st = gpu_try_sum(c, &err);
        well = all_are(st == REEVE_OK);
        gpu_free(in);
        gpu_free(out);
        recover(c);
    }
}

/* The same while the members connect anew, after a sum that was given up. */
static void who_was_suspended_while_connecting_blames_nobody(void)
{
    if (rig.size == 1) return;
    bool well = false;
    for (reeve_time_ns create_ns = 2 * REEVE_SECOND_NS; !well; create_ns *= 2) {
        reeve_collective *c = NULL;
        struct reeve_error err;
        bool done = false;
        RIG_CHECK(create_ns <= 8 * REEVE_SECOND_NS);
        reeve_status st = try_create(rig.rank, create_ns, 0, &c, &err);
        void *in = gpu_allocate(N * 8), *out = gpu_allocate(N * 8);
        well = all_are(st == REEVE_OK);
        if (well) {
            RIG_OK(begin_and_abandon(c, in, out, &err), err);
            unsigned calls = nccl_double_calls("ncclCommInitRankConfig");
            RIG_OK(c->ops->begin_sum_i64(c, in, out, N, &err), err);
            do
                st = c->ops->test(c, &done, &err);
            while (st == REEVE_OK && nccl_double_calls("ncclCommInitRankConfig") == calls);
            RIG_CHECK(!done);
            reeve_clock_sleep(create_ns + REEVE_SECOND_NS / 2);
            if (st == REEVE_OK) st = gpu_try_sum(c, &err);
            well = all_are(st == REEVE_OK);
        }
        gpu_free(in);
        gpu_free(out);
        recover(c);
    }
}

static void an_error_that_comes_later_ends_the_sum(void)
{
    if (rig.size == 1) return;
    fail_at_chunk("async", 1);
    fail_at_chunk("async", 5);
    fail_at_chunk("fail", 2);
}

static void a_gpu_that_fails_in_a_sum_is_not_for_regrouping(void)
{
    if (rig.size == 1) return;
    fail_in_a_sum("cudaEventQuery", "fail", 1, REEVE_JOB_DEVICE);
}

/* Goal: failures do not pile up unseen. Method: a sum that stands still, then a birth that fails; after these a whole sum;
 * then three in a row, of which the third ends the job. */
static void two_failures_in_a_row_are_recovered_from_and_three_are_not(void)
{
    struct reeve_error err = {.status = REEVE_OK};
    if (rig.size == 1) return;
    reeve_collective *c = create(SOON_NS);
    if (is_last()) nccl_double_fault("ncclAllReduce", "hang", 2);
    RIG_CHECK(sum(c, N, &err) == REEVE_WORKER_LOST);
    c->ops->destroy(c);
    (void)has_struck();                                     /* or the deadline passed before: a failure, too */
    nccl_double_fault("ncclCommInitRankConfig", "fail", 1); /* on all */
    RIG_CHECK(try_create(rig.rank, 0, 0, &c, &err) == REEVE_WORKER_LOST);
    (void)has_struck(); /* who is told of another's failure first has none of its own */
    recover(NULL);
    for (int time = 1; time <= 3;
         time++) { /* on one, which counts all three; others are told, or find nobody to meet */
        if (rig.rank == 0) nccl_double_fault("ncclCommInitRankConfig", "fail", 1);
        reeve_status st = try_create(rig.rank, 0, 0, &c, &err);
        bool ends = time == 3 && (rig.rank == 0 || st == REEVE_JOB_DEVICE);
        if (st != (ends ? REEVE_JOB_DEVICE : REEVE_WORKER_LOST))
            rig_failed("status of a failure in a row", __FILE__, __LINE__, err.text);
        RIG_CHECK(has_struck());
    }
    recover(NULL);
}

/* ---- giving up ---- */

/* Goal: a sum can be given up by anyone at any moment, and the next one on the same collective is right: a step is
 * discarded without a loss. Method: each rank stops after a random number of steps (some finish, some do not even begin). */
static void a_sum_after_an_abandoned_one_is_right(void)
{
    struct reeve_error err = {.status = REEVE_OK};
    reeve_collective *c = create(0);
    int64_t *zeros = calloc(N, 8);
    RIG_CHECK(zeros != NULL);
    for (uint64_t round = 0; round < 25; round++) {
        uint64_t own = 500 + rig.rank;
        void *in = gpu_from_host(zeros, N * 8), *out = gpu_allocate(N * 8);
        bool done = false, takes_part = rig_random(own, 2 * round, 5) != 0;
        uint64_t steps = rig_random(own, 2 * round + 1, 16);
        if (takes_part) RIG_OK(c->ops->begin_sum_i64(c, in, out, N, &err), err);
        for (uint64_t s = 0; takes_part && !done && s < steps; s++) {
            RIG_OK(c->ops->test(c, &done, &err), err);
            reeve_clock_sleep(50000);
        }
        c->ops->abandon(c);
        gpu_free(in);
        gpu_free(out);
        rig_barrier(); /* as the master's word does */
        RIG_OK(sum(c, (size_t)rig_random(400, round, N), &err), err);
    }
    rig_barrier();
    c->ops->destroy(c);
    free(zeros);
    expect_empty();
}

static void sums_of_different_lengths_are_refused_on_all(void)
{
    struct reeve_error err = {.status = REEVE_OK};
    if (rig.size == 1) return;
    reeve_collective *c = create(0);
    RIG_CHECK(sum(c, is_last() ? 12 : 13, &err) == REEVE_JOB_INTERNAL);
    rig_barrier();
    RIG_OK(sum(c, 14, &err), err);
    rig_barrier();
    c->ops->destroy(c);
}

static void a_collective_can_be_destroyed_in_the_middle_of_a_sum(void)
{
    struct reeve_error err = {.status = REEVE_OK};
    int64_t *zeros = calloc(N, 8);
    RIG_CHECK(zeros != NULL);
    for (uint32_t round = 0; round < 4; round++) {
        reeve_collective *c = create(0);
        void *in = gpu_from_host(zeros, N * 8), *out = gpu_allocate(N * 8);
        bool done = false;
        RIG_OK(c->ops->begin_sum_i64(c, in, out, N, &err), err);
        for (uint32_t s = 0; !done && s < 3 * round + rig.rank; s++)
            RIG_OK(c->ops->test(c, &done, &err), err);
        c->ops->destroy(c);
        gpu_free(in);
        gpu_free(out);
        expect_empty();
        rig_barrier();
    }
    free(zeros);
}

/* ---- leaks ---- */

static unsigned open_files(void)
{
    unsigned count = 0;
    for (int file = 0; file < 1024; file++)
        count += fcntl(file, F_GETFD) >= 0;
    return count;
}

static unsigned threads(void)
{
    unsigned count = 0;
    DIR *d = opendir("/proc/self/task"); /* a chroot may have none */
    while (d != NULL && readdir(d) != NULL)
        count++;
    if (d != NULL) (void)closedir(d);
    return count;
}

/* Goal: a job that loses its communicator again and again has as many files, threads and pieces of the device afterwards.
 * Method: after each of twenty recoveries. (The communicators of MPI that this test makes are its own.) */
static void twenty_recoveries_leave_nothing(void)
{
    unsigned files_first = 0, threads_first = 0;
    if (rig.size == 1) return;
    for (int time = 0; time < 21; time++) {
        fail_at_chunk(time % 2 == 0 ? "hang" : "async", 1 + (unsigned)time % 5);
        if (time == 0) {
            files_first = open_files();
            threads_first = threads();
        }
        RIG_CHECK(open_files() == files_first && threads() == threads_first);
    }
}

int main(int argc, char **argv)
{
    static const struct rig_test tests[] = {
        {"two_workers_on_one_gpu_are_refused_on_all", two_workers_on_one_gpu_are_refused_on_all},
        {"a_gpu_that_is_not_there_is_told_to_all", a_gpu_that_is_not_there_is_told_to_all},
        {"a_failure_of_cuda_at_the_start_is_told_to_all", a_failure_of_cuda_at_the_start_is_told_to_all},
        {"a_birth_that_fails_is_told_to_all", a_birth_that_fails_is_told_to_all},
        {"no_id_is_told_to_all", no_id_is_told_to_all},
        {"a_sum_that_stands_still_ends_at_its_deadline", a_sum_that_stands_still_ends_at_its_deadline},
        {"who_was_suspended_blames_nobody", who_was_suspended_blames_nobody},
        {"who_was_suspended_while_connecting_blames_nobody", who_was_suspended_while_connecting_blames_nobody},
        {"an_error_that_comes_later_ends_the_sum", an_error_that_comes_later_ends_the_sum},
        {"a_gpu_that_fails_in_a_sum_is_not_for_regrouping", a_gpu_that_fails_in_a_sum_is_not_for_regrouping},
        {"two_failures_in_a_row_are_recovered_from_and_three_are_not",
         two_failures_in_a_row_are_recovered_from_and_three_are_not},
        {"a_sum_after_an_abandoned_one_is_right", a_sum_after_an_abandoned_one_is_right},
        {"sums_of_different_lengths_are_refused_on_all", sums_of_different_lengths_are_refused_on_all},
        {"a_collective_can_be_destroyed_in_the_middle_of_a_sum", a_collective_can_be_destroyed_in_the_middle_of_a_sum},
        {"twenty_recoveries_leave_nothing", twenty_recoveries_leave_nothing},
    };
    return rig_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
