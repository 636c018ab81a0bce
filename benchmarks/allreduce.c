/* How long the sum over workers takes, beside what MPI's own collectives take: mpirun -n 2 bench-allreduce [MB [ROUNDS]]
 *
 * All ranks take part as workers. One line per method and type: the median and the best of ROUNDS sums over MB megabytes, and MB per
 * second by the median. Every result is compared with the known sum. Buffers are touched before timing; the first
 * round does not count. With more ranks than cores, methods that spin show what spinning costs. */
#include <mpi.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/idle.h"
#include "coll/mpi.h"
#include "net/mpi_session.h"

#define CHUNK_ELEMENTS ((size_t)512 << 10)
#define IN_FLIGHT 4
#define CLOSE_NS (30 * REEVE_SECOND_NS)
#define STUCK_NS (60 * REEVE_SECOND_NS)

struct bench {
    const char *name;
    struct reeve_mpi_session *session;
    reeve_collective *coll;
    struct reeve_idle idle;
    bool i64;
    void *in, *out;
    size_t count;
};

static void stop(const char *what)
{
    (void)fprintf(stderr, "bench-allreduce: %s\n", what);
    reeve_mpi_session_abort(REEVE_EXIT_INTERNAL);
}

static void check_mpi(int rc)
{
    if (rc != MPI_SUCCESS) stop("an MPI call failed");
}

static MPI_Comm comm_of(const struct bench *b)
{
    return MPI_Comm_f2c(b->session->control);
}

static void sum_reeve(struct bench *b)
{
    struct reeve_error err = {0};
    reeve_time_ns deadline_ns = reeve_clock_now() + STUCK_NS;
    reeve_status st = b->i64 ? b->coll->ops->begin_sum_i64(b->coll, b->in, b->out, b->count, &err)
                             : b->coll->ops->begin_sum_f32(b->coll, b->in, b->out, b->count, &err);
    bool done = false;
    reeve_idle_reset(&b->idle);
    while (st == REEVE_OK && !done) {
        st = b->coll->ops->test(b->coll, &done, &err);
        if (st == REEVE_OK && !done) reeve_idle_wait(&b->idle, 0);
        if (reeve_clock_now() > deadline_ns) stop("a sum did not end");
    }
    if (st != REEVE_OK) stop(err.text);
}

static void sum_allreduce(struct bench *b)
{
    check_mpi(MPI_Allreduce(b->in, b->out, (int)b->count, b->i64 ? MPI_INT64_T : MPI_FLOAT, MPI_SUM, comm_of(b)));
}

static void sum_chunks(struct bench *b, bool nonblocking)
{
    size_t bytes = b->i64 ? sizeof(int64_t) : sizeof(float);
    MPI_Datatype type = b->i64 ? MPI_INT64_T : MPI_FLOAT;
    MPI_Request request[IN_FLIGHT];
    for (int i = 0; i < IN_FLIGHT; i++) request[i] = MPI_REQUEST_NULL;
    for (size_t first = 0, i = 0; first < b->count; first += CHUNK_ELEMENTS, i++) {
        size_t n = b->count - first < CHUNK_ELEMENTS ? b->count - first : CHUNK_ELEMENTS;
        const char *in = (char *)b->in + first * bytes;
        char *out = (char *)b->out + first * bytes;
        if (nonblocking) {
            check_mpi(MPI_Wait(&request[i % IN_FLIGHT], MPI_STATUS_IGNORE));
            check_mpi(MPI_Iallreduce(in, out, (int)n, type, MPI_SUM, comm_of(b), &request[i % IN_FLIGHT]));
        } else {
            check_mpi(MPI_Allreduce(in, out, (int)n, type, MPI_SUM, comm_of(b)));
        }
    }
    check_mpi(MPI_Waitall(IN_FLIGHT, request, MPI_STATUSES_IGNORE));
}

static void sum_blocking_chunks(struct bench *b)
{
    sum_chunks(b, false);
}

static void sum_nonblocking_chunks(struct bench *b)
{
    sum_chunks(b, true);
}

static void fill(struct bench *b)
{
    for (size_t i = 0; i < b->count; i++) {
        if (b->i64) ((int64_t *)b->in)[i] = (int64_t)(i % 1000) * (b->session->rank + 1);
        else ((float *)b->in)[i] = (float)((i % 1000) * (b->session->rank + 1));
    }
}

static void check(const struct bench *b)
{
    int64_t ranks = (int64_t)b->session->size * (b->session->size + 1) / 2;
    for (size_t i = 0; i < b->count; i++) {
        int64_t expected = (int64_t)(i % 1000) * ranks;
        int64_t got = b->i64 ? ((int64_t *)b->out)[i] : (int64_t)((float *)b->out)[i];
        if (got != expected) stop("a sum is wrong");
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void run(struct bench *b, void (*sum)(struct bench *), int rounds)
{
    double *ms = calloc((size_t)rounds, sizeof(*ms));
    if (ms == NULL) stop("out of memory");
    for (int i = -1; i < rounds; i++) {
        memset(b->out, 0x5a, b->count * (b->i64 ? 8 : 4));
        check_mpi(MPI_Barrier(comm_of(b)));
        reeve_time_ns start_ns = reeve_clock_now();
        sum(b);
        double mine = (double)(reeve_clock_now() - start_ns) / 1e6, worst = 0;
        check_mpi(MPI_Allreduce(&mine, &worst, 1, MPI_DOUBLE, MPI_MAX, comm_of(b)));
        if (i >= 0) ms[i] = worst;
        check(b);
    }
    qsort(ms, (size_t)rounds, sizeof(*ms), compare);
    double megabytes = (double)b->count * (b->i64 ? 8 : 4) / 1e6;
    if (b->session->rank == 0)
        (void)printf("%-28s %s  %8.1f MB  median %8.2f ms  best %8.2f ms  %8.0f MB/s\n", b->name, b->i64 ? "i64" : "f32",
                     megabytes, ms[rounds / 2], ms[0], megabytes / ms[rounds / 2] * 1e3);
    (void)fflush(stdout);
    free(ms);
}

static void run_reeve(struct bench *b, const char *name, uint32_t host_size, int rounds)
{
    struct reeve_error err = {0};
    struct reeve_coll_mpi_config config = {.host_size = host_size};
    b->name = name;
    if (reeve_coll_mpi_create(b->session->control, &config, &b->coll, &err) != REEVE_OK) stop(err.text);
    run(b, sum_reeve, rounds);
    check_mpi(MPI_Barrier(comm_of(b)));
    b->coll->ops->destroy(b->coll);
}

static void run_all(struct bench *b, int rounds)
{
    fill(b);
    run_reeve(b, "reeve, shared memory", 0, rounds);
    run_reeve(b, "reeve, ring of messages", 1, rounds);
    b->name = "MPI_Allreduce";
    run(b, sum_allreduce, rounds);
    b->name = "MPI_Allreduce, chunks";
    run(b, sum_blocking_chunks, rounds);
    b->name = "MPI_Iallreduce, 4 chunks";
    run(b, sum_nonblocking_chunks, rounds);
}

int main(int argc, char **argv)
{
    struct reeve_mpi_session session;
    struct reeve_error err = {0};
    if (reeve_mpi_session_open(&argc, &argv, &session, &err) != REEVE_OK) {
        (void)fprintf(stderr, "bench-allreduce: %s\n", err.text);
        return REEVE_EXIT_UNAVAILABLE;
    }
    size_t bytes = (argc > 1 ? strtoull(argv[1], NULL, 10) : 40) * 1000000;
    int rounds = argc > 2 ? atoi(argv[2]) : 20;
    if (rounds < 1) rounds = 1;
    struct bench b = {.session = &session, .in = malloc(bytes + 8), .out = malloc(bytes + 8)};
    if (b.in == NULL || b.out == NULL) stop("out of memory");
    reeve_idle_init(&b.idle, session.node_size > 2);
    b.count = bytes / sizeof(float);
    run_all(&b, rounds);
    b.i64 = true;
    b.count = bytes / sizeof(int64_t);
    run_all(&b, rounds);
    free(b.in);
    free(b.out);
    (void)reeve_mpi_session_close(&session, reeve_clock_now() + CLOSE_NS, REEVE_EXIT_DONE);
    return REEVE_EXIT_DONE;
}
