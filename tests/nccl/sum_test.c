/* Sums over GPUs, compared with what coll/mpi says of the same numbers, and with sums that every rank computes for itself
 * from the seed. All ranks are workers here. Against the double, or against the real libraries (one GPU a rank). */
#include <cuda_runtime_api.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "coll/mpi.h"
#include "coll/nccl.h"
#include "gpu_rig.h"
#include "rig.h"

#define CHUNK_BYTES ((size_t)16 << 10) /* so that few numbers are many chunks */
#define GUARD 8u                       /* elements behind the result that must stay as they are */

enum type { I64, F32, BF16 };
static const size_t bytes_of[] = {8, 4, 2};
static const char *const name_of[] = {"int64", "f32", "bf16"};

/* ---- sums ---- */

static reeve_collective *nccl_create(void)
{
    reeve_collective *c = NULL;
    struct reeve_error err = {.text = ""};
    struct reeve_coll_nccl_config config = {.device = rig.rank, .chunk_bytes = CHUNK_BYTES, .exit_code = 9};
    RIG_OK(reeve_coll_nccl_create(rig.control, &config, &c, &err), err);
    RIG_CHECK(c->members == rig.size && strcmp(c->name, "nccl") == 0 && c->ops->begin_sum_bf16 != NULL);
    return c;
}

static void finish(reeve_collective *c)
{
    struct reeve_error err = {.text = ""};
    bool again = false;
    RIG_OK(gpu_try_sum(c, &err), err);
    RIG_OK(c->ops->test(c, &again, &err), err);
    RIG_CHECK(!again); /* done is told once */
}

static void begin(reeve_collective *c, enum type type, const void *in, void *out, size_t n)
{
    struct reeve_error err = {.text = ""};
    if (type == I64) RIG_OK(c->ops->begin_sum_i64(c, in, out, n, &err), err);
    if (type == F32) RIG_OK(c->ops->begin_sum_f32(c, in, out, n, &err), err);
    if (type == BF16) RIG_OK(c->ops->begin_sum_bf16(c, in, out, n, &err), err);
}

/* What a rank brings: any 64 bits, so that sums wrap around; small whole numbers, of which f32 holds every sum; and smaller
 * ones, of which bf16 does (it holds whole numbers up to 256). */
static void part(enum type type, uint64_t stream, uint32_t rank, size_t i, void *to)
{
    uint64_t r = reeve_random_u64(rig_seed ^ rank, stream, i);
    float f = type == F32 ? (float)(int)(r % 20001) - 10000.0f : (float)(int)(r % 41) - 20.0f;
    if (type == I64) memcpy(to, &r, 8);
    if (type == F32) memcpy(to, &f, 4);
    if (type == BF16) memcpy(to, (const char *)&f + 2, 2);
}

static void add_part(enum type type, uint64_t stream, uint32_t rank, size_t i, void *to)
{
    unsigned char bytes[8] = {0};
    uint64_t a, b;
    float x = 0, y = 0;
    part(type, stream, rank, i, bytes);
    memcpy(&a, bytes, 8);
    if (type == I64) {
        memcpy(&b, to, 8);
        a += b;
        memcpy(to, &a, 8);
        return;
    }
    size_t size = bytes_of[type], at = 4 - size;
    memcpy((char *)&x + at, bytes, size);
    memcpy((char *)&y + at, to, size);
    x += y;
    memcpy(to, (const char *)&x + at, size);
}

/* One sum of n numbers: right, the input untouched, and nothing behind the output written. */
static void check(reeve_collective *c, enum type type, uint64_t stream, size_t n)
{
    size_t size = bytes_of[type], total = (n + GUARD) * size;
    unsigned char *host = calloc(n + GUARD, size), *expected = calloc(n + GUARD, size);
    RIG_CHECK(host != NULL && expected != NULL);
    memset(expected + n * size, 0x5a, GUARD * size);
    for (size_t i = 0; i < n; i++) {
        part(type, stream, rig.rank, i, host + i * size);
        for (uint32_t r = 0; r < rig.size; r++)
            add_part(type, stream, r, i, expected + i * size);
    }
    struct reeve_digest before = reeve_digest_of(host, n * size);
    void *in = gpu_from_host(host, n * size);
    memset(host, 0x5a, total);
    void *out = gpu_from_host(host, total);
    begin(c, type, in, out, n);
    finish(c);
    gpu_to_host(host, out, total);
    for (size_t at = 0; at < total; at++)
        if (host[at] != expected[at]) {
            (void)fprintf(stderr, "%s, %zu numbers: byte %zu (number %zu) is %02x, not %02x\n", name_of[type], n, at,
                          at / size, host[at], expected[at]);
            RIG_CHECK(host[at] == expected[at]);
        }
    gpu_to_host(host, in, n * size);
    RIG_CHECK(reeve_digest_equal(before, reeve_digest_of(host, n * size)));
    gpu_free(in);
    gpu_free(out);
    free(host);
    free(expected);
}

/* Goal: right for every size and type. Method: none, one, odd, around one and two chunks (2048 i64, 4096 f32, 8192 bf16)
 * and pieces of the double, and random ones; one after another on the same communicator. */
static void sum_is_the_sum_for_every_size_and_type(void)
{
    static const size_t sizes[] = {0, 1, 2, 7, 2047, 2048, 2049, 4095, 4096, 4097, 8191, 8192, 8193, 16385, 40000};
    reeve_collective *c = nccl_create();
    uint64_t stream = 1;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++)
        for (enum type t = I64; t <= BF16; t++)
            check(c, t, stream++, sizes[i]);
    for (uint64_t i = 0; i < 12; i++)
        check(c, (enum type)(i % 3), stream++, (size_t)rig_random(7, i, 30000));
    rig_barrier();
    c->ops->destroy(c);
}

/* Goal: the promise of coll/mpi holds here: the same bits. Method: the same parts to both, the digests compared. */
static void sum_i64_has_the_bits_of_the_sum_over_mpi(void)
{
    enum { N = 70001 };
    struct reeve_error err = {.text = ""};
    int64_t *host = calloc(N, 8), *over_mpi = calloc(N, 8);
    reeve_collective *c = nccl_create(), *mpi = NULL;
    RIG_CHECK(host != NULL && over_mpi != NULL);
    RIG_OK(reeve_coll_mpi_create(rig.control, NULL, &mpi, &err), err);
    for (size_t i = 0; i < N; i++)
        part(I64, 77, rig.rank, i, &host[i]);
    begin(mpi, I64, host, over_mpi, N);
    finish(mpi);
    void *in = gpu_from_host(host, N * 8), *out = gpu_allocate(N * 8);
    begin(c, I64, in, out, N);
    finish(c);
    gpu_to_host(host, out, N * 8);
    RIG_CHECK(reeve_digest_equal(reeve_digest_of(host, N * 8), reeve_digest_of(over_mpi, N * 8)));
    rig_barrier();
    mpi->ops->destroy(mpi);
    c->ops->destroy(c);
    gpu_free(in);
    gpu_free(out);
    free(host);
    free(over_mpi);
}

/* Goal: a worker alone needs neither MPI nor NCCL. Method: each rank for itself. */
static void sum_alone_is_a_copy(void)
{
    enum { N = 20001 };
    struct reeve_error err = {.text = ""};
    reeve_collective *c = NULL;
    int64_t *host = calloc(N, 8), *back = calloc(N, 8);
    RIG_CHECK(host != NULL && back != NULL);
    RIG_OK(reeve_coll_nccl_create_alone(rig.rank, &c, &err), err);
    RIG_CHECK(c->members == 1 && strcmp(c->name, "nccl") == 0);
    for (size_t i = 0; i < N; i++)
        host[i] = gpu_part(3, rig.rank, i);
    void *in = gpu_from_host(host, N * 8), *out = gpu_allocate(N * 8);
    for (enum type t = I64; t <= BF16; t++) {
        begin(c, t, in, out, N * 8 / bytes_of[t]);
        finish(c);
        gpu_to_host(back, out, N * 8);
        RIG_CHECK(memcmp(host, back, N * 8) == 0);
    }
    begin(c, I64, in, out, N);
    RIG_CHECK(c->ops->begin_sum_i64(c, in, out, N, &err) == REEVE_JOB_INTERNAL);
    c->ops->abandon(c); /* nothing reads in or writes out after this */
    gpu_free(in);
    gpu_free(out);
    c->ops->destroy(c);
    free(host);
    free(back);
}

/* One GPU a rank: against the real libraries there may be fewer. */
static bool has_gpus(void)
{
    int gpus = 0;
    const char *ranks = getenv("OMPI_COMM_WORLD_SIZE");
    long wanted = ranks != NULL ? strtol(ranks, NULL, 10) : 1;
    cudaError_t rc = cudaGetDeviceCount(&gpus);
    if (rc == cudaSuccess && gpus >= wanted) return true;
    (void)printf("skipped: %ld ranks need a GPU each, and CUDA sees %d (%s)\n", wanted, gpus, cudaGetErrorString(rc));
    return false;
}

int main(int argc, char **argv)
{
    static const struct rig_test tests[] = {
        {"sum_is_the_sum_for_every_size_and_type", sum_is_the_sum_for_every_size_and_type},
        {"sum_i64_has_the_bits_of_the_sum_over_mpi", sum_i64_has_the_bits_of_the_sum_over_mpi},
        {"sum_alone_is_a_copy", sum_alone_is_a_copy},
    };
    if (!has_gpus()) return 77;
    return rig_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
