/* The state of one worker for those who have none: run/state_share.h. The sum is done by the test, word by word; a worker's
 * compute thread is a row of bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/digest.h"
#include "base/error.h"
#include "run/state_share.h"

#define WORKERS 4
#define TURNS_MAX 64

struct reeve_compute {
    unsigned char *state;
    size_t bytes;
    struct reeve_frame posted;
    int posts;
};

size_t reeve_compute_state_bytes(const reeve_compute *c)
{
    return c->bytes;
}

void reeve_compute_state_read(const reeve_compute *c, size_t offset, void *out, size_t bytes)
{
    memcpy(out, c->state + offset, bytes);
}

void reeve_compute_state_write(reeve_compute *c, size_t offset, const void *in, size_t bytes)
{
    memcpy(c->state + offset, in, bytes);
}

struct reeve_digest reeve_compute_weights_digest(const reeve_compute *c)
{
    return reeve_digest_of(c->state, c->bytes);
}

bool reeve_compute_is_settled(reeve_compute *c)
{
    (void)c;
    return true;
}

bool reeve_compute_post(reeve_compute *c, const struct reeve_frame *f)
{
    c->posted = *f;
    c->posts++;
    return true;
}

struct member {
    reeve_collective base;
    const int64_t *in;
    int64_t *out;
    size_t n;
    bool begun, summed;
};

static reeve_status begin_sum(reeve_collective *c, const int64_t *in, int64_t *out, size_t n, struct reeve_error *err)
{
    struct member *m = (struct member *)c;
    (void)err;
    assert_false(m->begun);
    *m = (struct member){.base = m->base, .in = in, .out = out, .n = n, .begun = true};
    return REEVE_OK;
}

static reeve_status test_sum(reeve_collective *c, bool *done, struct reeve_error *err)
{
    struct member *m = (struct member *)c;
    (void)err;
    *done = m->summed;
    if (m->summed) m->begun = m->summed = false;
    return REEVE_OK;
}

static const struct reeve_collective_ops ops = {.begin_sum_i64 = begin_sum, .test = test_sum};

struct world {
    struct reeve_compute compute[WORKERS];
    struct member member[WORKERS];
    struct reeve_state_share share[WORKERS];
    bool done[WORKERS];
};

/* All have begun: add up. flip: of the first word, on the way to worker 1. */
static void add_up(struct world *w, bool flip)
{
    for (int i = 0; i < WORKERS; i++)
        if (!w->member[i].begun || w->member[i].summed) return;
    for (size_t k = 0; k < w->member[0].n; k++) {
        uint64_t sum = 0;
        for (int i = 0; i < WORKERS; i++) {
            assert_int_equal(w->member[i].n, w->member[0].n);
            sum += (uint64_t)w->member[i].in[k];
        }
        for (int i = 0; i < WORKERS; i++)
            w->member[i].out[k] = (int64_t)sum;
    }
    if (flip) w->member[1].out[0] ^= 1;
    for (int i = 0; i < WORKERS; i++)
        w->member[i].summed = true;
}

/* Worker 3 brings; workers 1 and 2 have nothing. Returns what came of worker 1. */
static reeve_status share(struct world *w, size_t bytes, bool flip)
{
    struct reeve_error err = {0};
    const struct reeve_frame f = {.kind = REEVE_FRAME_STATE, .step = 12, .arg = 3, .epoch = 5};
    memset(w, 0, sizeof(*w));
    for (int i = 0; i < WORKERS; i++) {
        w->compute[i].state = calloc(1, bytes);
        w->compute[i].bytes = bytes;
        w->member[i].base.ops = &ops;
        for (size_t k = 0; i % 3 == 0 && k < bytes; k++)
            w->compute[i].state[k] = (unsigned char)(k * 7 + k / 251);
        assert_int_equal(reeve_state_share_begin(&w->share[i], &f, i == 0 ? 4u : (uint32_t)i, i == 1 || i == 2, &err),
                         REEVE_OK);
    }
    reeve_status result = REEVE_OK;
    for (int turn = 0; turn < TURNS_MAX; turn++) {
        for (int i = 0; i < WORKERS; i++) {
            bool progress = false, done = false;
            if (w->done[i] || (i == 1 && result != REEVE_OK)) continue;
            reeve_status st =
                reeve_state_share_turn(&w->share[i], &w->compute[i], &w->member[i].base, &progress, &done, &err);
            w->done[i] = done && st == REEVE_OK;
            if (i == 1) result = st;
            else assert_int_equal(st, REEVE_OK);
        }
        add_up(w, flip);
    }
    return result;
}

static void end(struct world *w)
{
    for (int i = 0; i < WORKERS; i++) {
        reeve_state_share_end(&w->share[i]);
        free(w->compute[i].state);
    }
}

static void brings_the_same_bytes_whatever_their_number(void **state)
{
    (void)state;
    static const size_t sizes[] = {4, 8, 12, 4096, 4u << 20, (4u << 20) + 4, 9000004};
    for (size_t k = 0; k < sizeof(sizes) / sizeof(sizes[0]); k++) {
        struct world w;
        assert_int_equal(share(&w, sizes[k], false), REEVE_OK);
        for (int i = 0; i < WORKERS; i++) {
            assert_true(w.done[i]);
            assert_memory_equal(w.compute[i].state, w.compute[3].state, sizes[k]);
            assert_int_equal(w.compute[i].posts, i == 1 || i == 2); /* who took it tells its compute thread */
        }
        struct reeve_digest weights = reeve_digest_of(w.compute[3].state, sizes[k]);
        assert_int_equal(w.compute[1].posted.step, 12);
        assert_int_equal(w.compute[1].posted.b, 1);
        assert_memory_equal(&w.compute[1].posted.a, weights.bytes, 8);
        assert_memory_equal(&w.compute[1].posted.c, weights.bytes + 8, 8);
        end(&w);
    }
}

static void one_wrong_bit_is_found(void **state)
{
    (void)state;
    struct world w;
    assert_int_equal(share(&w, 4096, true), REEVE_JOB_INTERNAL);
    assert_int_equal(w.compute[1].posts, 0);
    assert_int_equal(w.compute[2].posts, 1); /* it came there as it was sent */
    end(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(brings_the_same_bytes_whatever_their_number),
        cmocka_unit_test(one_wrong_bit_is_found),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
