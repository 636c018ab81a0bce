/* Sums over workers, compared with sums that every rank computes for itself from the seed. All ranks are workers here.
 * Each test runs on every way in which the same ranks may be placed: on one host, each on its own, two on a host. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "coll/mpi.h"
#include "rig.h"

static const uint32_t host_sizes[] = {0, 1, 2};
#define GUARD 8u /* elements behind the result that must stay as they are */

static reeve_collective *collective_create(uint32_t host_size)
{
    reeve_collective *c = NULL;
    struct reeve_error err = {.text = ""};
    struct reeve_coll_mpi_config config = {.host_size = host_size};
    RIG_OK(reeve_coll_mpi_create(rig.control, &config, &c, &err), err);
    RIG_CHECK(c->members == rig.size && strcmp(c->name, "mpi") == 0);
    return c;
}

static void collective_end(reeve_collective *c)
{
    rig_barrier();
    c->ops->destroy(c);
}

static reeve_status try_sum(reeve_collective *c, struct reeve_error *err)
{
    bool done = false;
    struct rig_wait wait;
    rig_wait_begin(&wait);
    for (;;) {
        reeve_status st = c->ops->test(c, &done, err);
        if (st != REEVE_OK || done) return st;
        rig_wait_turn(&wait, "a sum");
    }
}

static void finish_sum(reeve_collective *c)
{
    struct reeve_error err = {.text = ""};
    bool again = false;
    RIG_OK(try_sum(c, &err), err);
    RIG_OK(c->ops->test(c, &again, &err), err);
    RIG_CHECK(!again); /* done is told once */
}

/* What a rank brings: any 64 bits, so that sums wrap around; or small whole numbers, of which f32 holds every sum. */
static int64_t part_i64(uint64_t stream, uint32_t rank, size_t i)
{
    return (int64_t)reeve_random_u64(rig_seed ^ rank, stream, i);
}

static float part_f32(uint64_t stream, uint32_t rank, size_t i)
{
    return (float)(int)(reeve_random_u64(rig_seed ^ rank, stream, i) % 20001) - 10000.0f;
}

static void *allocate(size_t elements, size_t element_bytes)
{
    void *p = calloc(elements + 1, element_bytes);
    RIG_CHECK(p != NULL);
    return p;
}

/* offset: elements before the first, so that nothing but the type's own alignment can be counted on. */
static void check_i64(reeve_collective *c, uint64_t stream, size_t n, size_t offset)
{
    int64_t *in_block = allocate(offset + n, 8), *out_block = allocate(offset / 2 + n + GUARD, 8);
    int64_t *in = in_block + offset, *out = out_block + offset / 2;
    struct reeve_error err = {.text = ""};
    for (size_t i = 0; i < n; i++)
        in[i] = part_i64(stream, rig.rank, i);
    memset(out, 0x5a, (n + GUARD) * 8);
    struct reeve_digest before = reeve_digest_of(in, n * 8);
    RIG_OK(c->ops->begin_sum_i64(c, in, out, n, &err), err);
    finish_sum(c);
    for (size_t i = 0; i < n; i++) {
        uint64_t sum = 0;
        for (uint32_t r = 0; r < rig.size; r++)
            sum += (uint64_t)part_i64(stream, r, i);
        RIG_CHECK((uint64_t)out[i] == sum);
    }
    for (size_t i = n; i < n + GUARD; i++)
        RIG_CHECK(out[i] == 0x5a5a5a5a5a5a5a5a);
    RIG_CHECK(reeve_digest_equal(before, reeve_digest_of(in, n * 8)));
    free(in_block);
    free(out_block);
}

static void check_f32(reeve_collective *c, uint64_t stream, size_t n)
{
    float *in = allocate(n, 4), *out = allocate(n, 4);
    struct reeve_error err = {.text = ""};
    for (size_t i = 0; i < n; i++)
        in[i] = part_f32(stream, rig.rank, i);
    struct reeve_digest before = reeve_digest_of(in, n * 4);
    RIG_OK(c->ops->begin_sum_f32(c, in, out, n, &err), err);
    finish_sum(c);
    for (size_t i = 0; i < n; i++) {
        float sum = 0;
        for (uint32_t r = 0; r < rig.size; r++)
            sum += part_f32(stream, r, i);
        RIG_CHECK(out[i] == sum);
    }
    RIG_CHECK(reeve_digest_equal(before, reeve_digest_of(in, n * 4)));
    free(in);
    free(out);
}

/* Goal: right for every size. Method: none, one, odd, around a chunk (32 Ki i64 in shared memory, 16 Ki a piece of the
 * ring), several windows of them, and random ones; every number compared, the input and what lies behind the output
 * untouched. */
static void sum_is_the_sum_for_every_size_and_placement(void)
{
    static const size_t sizes[] = {0,     1,     2,     3,     7,     63,    1000,   16383,
                                   16384, 16385, 32767, 32768, 32769, 65537, 131072, 300001};
    for (size_t h = 0; h < 3; h++) {
        reeve_collective *c = collective_create(host_sizes[h]);
        uint64_t stream = 100 * (h + 1);
        for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
            check_i64(c, stream++, sizes[i], 0);
            check_f32(c, stream++, sizes[i]);
        }
        for (uint64_t i = 0; i < 12; i++) {
            size_t bound = (size_t)1 << (1 + rig_random(7 + h, 3 * i, 18));
            check_i64(c, stream++, (size_t)rig_random(7 + h, 3 * i + 1, bound),
                      (size_t)rig_random(7 + h, 3 * i + 2, 8));
            check_f32(c, stream++, (size_t)rig_random(7 + h, 3 * i + 1, bound));
        }
        collective_end(c);
    }
}

/* Goal: which worker holds what does not change a bit. Method: twelve fixed parts, dealt in another way each time; the
 * digest is that of their sum, computed alone. */
static void sum_i64_has_the_same_bits_however_the_parts_are_dealt(void)
{
    enum { PARTS = 12 };
    size_t n = 50001;
    int64_t *expected = calloc(n, 8), *in = calloc(n, 8), *out = calloc(n, 8);
    RIG_CHECK(expected != NULL && in != NULL && out != NULL);
    struct reeve_error err = {.text = ""};
    for (uint32_t p = 0; p < PARTS; p++)
        for (size_t i = 0; i < n; i++)
            expected[i] = (int64_t)((uint64_t)expected[i] + (uint64_t)part_i64(5, p, i));
    struct reeve_digest digest = reeve_digest_of(expected, n * 8);
    for (size_t h = 0; h < 3; h++) {
        reeve_collective *c = collective_create(host_sizes[h]);
        memset(in, 0, n * 8);
        for (uint32_t p = 0; p < PARTS; p++) {
            if (rig_random(50 + h, p, rig.size) != rig.rank) continue;
            for (size_t i = 0; i < n; i++)
                in[i] = (int64_t)((uint64_t)in[i] + (uint64_t)part_i64(5, p, i));
        }
        RIG_OK(c->ops->begin_sum_i64(c, in, out, n, &err), err);
        finish_sum(c);
        RIG_CHECK(reeve_digest_equal(digest, reeve_digest_of(out, n * 8)));
        collective_end(c);
    }
    free(expected);
    free(in);
    free(out);
}

/* Goal: the fast sum is repeatable, whoever comes late. Method: fractions whose sum depends on the order; twice, with
 * random pauses. All workers hold the same bits. */
static void sum_f32_has_the_same_bits_each_time_on_every_worker(void)
{
    size_t n = 70003;
    float *in = calloc(n, 4), *out = calloc(n, 4);
    int64_t mine[2], all[2];
    RIG_CHECK(in != NULL && out != NULL);
    struct reeve_error err = {.text = ""};
    for (size_t i = 0; i < n; i++)
        in[i] = (float)reeve_random_uniform(rig_seed ^ rig.rank, 9, i) / 3.0f;
    for (size_t h = 0; h < 3; h++) {
        reeve_collective *c = collective_create(host_sizes[h]);
        struct reeve_digest first = {{0}};
        for (int time = 0; time < 3; time++) {
            reeve_clock_sleep((reeve_time_ns)rig_random(60 + rig.rank, (uint64_t)time, 3) * REEVE_MILLISECOND_NS);
            RIG_OK(c->ops->begin_sum_f32(c, in, out, n, &err), err);
            finish_sum(c);
            struct reeve_digest digest = reeve_digest_of(out, n * 4);
            if (time == 0) first = digest;
            RIG_CHECK(reeve_digest_equal(first, digest));
        }
        memcpy(mine, first.bytes, sizeof(mine)); /* equal on all: then each word times the count of ranks */
        RIG_OK(c->ops->begin_sum_i64(c, mine, all, 2, &err), err);
        finish_sum(c);
        for (int w = 0; w < 2; w++)
            RIG_CHECK((uint64_t)all[w] == (uint64_t)mine[w] * rig.size);
        collective_end(c);
    }
    free(in);
    free(out);
}

/* ---- giving up ---- */

/* Goal: a sum can be given up by anyone at any moment, and the next one is right. Method: each rank stops after a random
 * number of steps (some finish, some do not even begin); the input changes at once; then a sum that counts. */
static void sum_after_an_abandoned_one_is_right(void)
{
    size_t n = 60000;
    int64_t *in = calloc(n, 8), *out = calloc(n, 8);
    RIG_CHECK(in != NULL && out != NULL);
    struct reeve_error err = {.text = ""};
    for (size_t h = 0; h < 3; h++) {
        reeve_collective *c = collective_create(host_sizes[h]);
        for (uint64_t round = 0; round < 30; round++) {
            uint64_t stream = 500 + 100 * h + rig.rank;
            bool done = false, takes_part = rig_random(stream, 3 * round, 5) != 0;
            size_t count = (size_t)rig_random(400 + h, round, n);
            uint64_t steps = rig_random(stream, 3 * round + 1, 12);
            if (takes_part) RIG_OK(c->ops->begin_sum_i64(c, in, out, count, &err), err);
            for (uint64_t s = 0; takes_part && !done && s < steps; s++) {
                RIG_OK(c->ops->test(c, &done, &err), err);
                reeve_clock_sleep((reeve_time_ns)rig_random(stream, 3 * round + 2, 30) * 1000);
            }
            c->ops->abandon(c);
            memset(in, (int)round, n * 8);
            memset(out, 0xee, n * 8);
            rig_barrier(); /* as the master's word does: nobody begins the next before all gave up the last */
            check_i64(c, 10000 + 100 * h + round, (size_t)rig_random(401 + h, round, 40000), 0);
            if (round % 7 == 0) check_f32(c, 20000 + 100 * h + round, 5000);
        }
        collective_end(c);
    }
    free(in);
    free(out);
}

/* The last thing that happened to a collective may be an abandoned sum. */
static void collective_can_be_destroyed_in_the_middle_of_a_sum(void)
{
    size_t n = 200000;
    int64_t *in = calloc(n, 8), *out = calloc(n, 8);
    RIG_CHECK(in != NULL && out != NULL);
    struct reeve_error err = {.text = ""};
    for (size_t h = 0; h < 3; h++) {
        reeve_collective *c = collective_create(host_sizes[h]);
        bool done = false;
        RIG_OK(c->ops->begin_sum_i64(c, in, out, n, &err), err);
        for (uint64_t s = 0; !done && s < 3 + rig.rank; s++)
            RIG_OK(c->ops->test(c, &done, &err), err);
        c->ops->destroy(c);
        rig_barrier();
    }
    free(in);
    free(out);
}

/* Goal: what a destroyed collective has left on its way is not taken by the next one on the same communicator. Method:
 * members give sums up after different numbers of steps, and begin anew at once. */
static void sum_does_not_hear_a_collective_that_was_destroyed(void)
{
    enum { N = 50000 };
    int64_t *in = calloc(N, 8), *out = calloc(N, 8);
    RIG_CHECK(in != NULL && out != NULL);
    struct reeve_error err = {.text = ""};
    for (uint64_t round = 0; round < 12; round++) {
        reeve_collective *c = collective_create(host_sizes[round % 3]);
        bool done = false;
        RIG_OK(c->ops->begin_sum_i64(c, in, out, N, &err), err);
        for (uint64_t s = 0; !done && s < rig_random(round, rig.rank, 12); s++)
            RIG_OK(c->ops->test(c, &done, &err), err);
        c->ops->destroy(c);
        c = collective_create(host_sizes[round % 3]);
        for (size_t i = 0; i < N; i++)
            in[i] = (int64_t)(i + round);
        RIG_OK(c->ops->begin_sum_i64(c, in, out, N, &err), err);
        finish_sum(c);
        for (size_t i = 0; i < N; i++)
            RIG_CHECK(out[i] == (int64_t)rig.size * (int64_t)(i + round));
        collective_end(c);
    }
    free(in);
    free(out);
}

static void sum_refuses_to_begin_twice(void)
{
    int64_t in = 1, out = 0;
    struct reeve_error err = {.text = ""};
    reeve_collective *c = collective_create(0);
    RIG_OK(c->ops->begin_sum_i64(c, &in, &out, 1, &err), err);
    RIG_CHECK(c->ops->begin_sum_i64(c, &in, &out, 1, &err) == REEVE_JOB_INTERNAL);
    finish_sum(c);
    RIG_CHECK(out == (int64_t)rig.size);
    collective_end(c);
}

/* Goal: members who disagree are told so, and do not wait for ever. Method: the last one brings one number more, then
 * another type; after that all agree. */
static void sum_of_different_lengths_or_types_is_refused_on_all(void)
{
    if (rig.size == 1) return;
    int64_t in[4] = {1, 2, 3, 4}, out[4];
    struct reeve_error err = {.text = ""};
    bool last = rig.rank == rig.size - 1;
    reeve_collective *c = collective_create(0);
    RIG_OK(c->ops->begin_sum_i64(c, in, out, last ? 4 : 3, &err), err);
    RIG_CHECK(try_sum(c, &err) == REEVE_JOB_INTERNAL && err.text[0] != '\0');
    rig_barrier();
    if (last) RIG_OK(c->ops->begin_sum_f32(c, (float *)in, (float *)out, 3, &err), err);
    else RIG_OK(c->ops->begin_sum_i64(c, in, out, 3, &err), err);
    RIG_CHECK(try_sum(c, &err) == REEVE_JOB_INTERNAL);
    rig_barrier();
    RIG_OK(c->ops->begin_sum_i64(c, in, out, 4, &err), err);
    finish_sum(c);
    RIG_CHECK(out[3] == 4 * (int64_t)rig.size);
    collective_end(c);
}

int main(int argc, char **argv)
{
    static const struct rig_test tests[] = {
        {"sum_is_the_sum_for_every_size_and_placement", sum_is_the_sum_for_every_size_and_placement},
        {"sum_i64_has_the_same_bits_however_the_parts_are_dealt",
         sum_i64_has_the_same_bits_however_the_parts_are_dealt},
        {"sum_f32_has_the_same_bits_each_time_on_every_worker", sum_f32_has_the_same_bits_each_time_on_every_worker},
        {"sum_after_an_abandoned_one_is_right", sum_after_an_abandoned_one_is_right},
        {"collective_can_be_destroyed_in_the_middle_of_a_sum", collective_can_be_destroyed_in_the_middle_of_a_sum},
        {"sum_does_not_hear_a_collective_that_was_destroyed", sum_does_not_hear_a_collective_that_was_destroyed},
        {"sum_refuses_to_begin_twice", sum_refuses_to_begin_twice},
        {"sum_of_different_lengths_or_types_is_refused_on_all", sum_of_different_lengths_or_types_is_refused_on_all},
    };
    return rig_main(argc, argv, tests, sizeof(tests) / sizeof(tests[0]));
}
