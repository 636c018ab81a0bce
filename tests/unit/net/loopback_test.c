/* The transport inside one process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/random.h"
#include "net/loopback.h"

struct line {
    reeve_transport *end[2]; /* master, worker */
    struct reeve_error err;
    unsigned char in[REEVE_MESSAGE_BYTES_MAX];
};

static void line_open(struct line *l)
{
    assert_int_equal(reeve_loopback_create(&l->end[0], &l->end[1], &l->err), REEVE_OK);
    for (uint32_t i = 0; i < 2; i++) {
        assert_int_equal(l->end[i]->self, i);
        assert_int_equal(l->end[i]->size, 2);
    }
}

static void line_close(struct line *l)
{
    l->end[0]->ops->destroy(l->end[0]);
    l->end[1]->ops->destroy(l->end[1]);
}

static reeve_status send_from(struct line *l, uint32_t from, const void *bytes, size_t n)
{
    return l->end[from]->ops->send(l->end[from], 1 - from, bytes, n, &l->err);
}

/* The length of the next message for `to`, now in l->in; 0: there is none. */
static size_t take(struct line *l, uint32_t to)
{
    uint32_t peer = UINT32_MAX;
    size_t n = 99;
    assert_int_equal(l->end[to]->ops->poll(l->end[to], &peer, l->in, &n, &l->err), REEVE_OK);
    if (n > 0) assert_int_equal(peer, 1 - to);
    return n;
}

static void loopback_delivers_in_order_both_ways(void **state)
{
    static struct line l;
    line_open(&l);
    assert_int_equal(take(&l, 0), 0);
    assert_int_equal(send_from(&l, 0, "one", 3), REEVE_OK);
    assert_int_equal(send_from(&l, 0, "three", 5), REEVE_OK);
    assert_int_equal(send_from(&l, 1, "two", 3), REEVE_OK);
    assert_int_equal(take(&l, 1), 3);
    assert_memory_equal(l.in, "one", 3);
    assert_int_equal(take(&l, 0), 3);
    assert_memory_equal(l.in, "two", 3);
    assert_int_equal(take(&l, 1), 5);
    assert_memory_equal(l.in, "three", 5);
    assert_int_equal(take(&l, 1), 0);
    assert_int_equal(l.end[0]->ops->flush(l.end[0], 0, &l.err), REEVE_OK);
    line_close(&l);
}

/* Message `index` of a direction: content and length follow from the seed. */
static size_t make_message(uint64_t seed, uint32_t from, uint64_t index, unsigned char *bytes)
{
    uint64_t bound = reeve_random_below(seed, from, 3 * index, 20) == 0 ? REEVE_MESSAGE_BYTES_MAX : 300;
    size_t n = 1 + (size_t)reeve_random_below(seed, from, 3 * index + 1, bound);
    memset(bytes, (int)reeve_random_below(seed, from, 3 * index + 2, 256), n);
    return n;
}

/* Goal: any mix of sends and receives keeps order and content. Method: 50000 random moves, both ways, bursts included. */
static void loopback_keeps_order_and_content_in_any_mix(void **state)
{
    static struct line l;
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    uint64_t seed = (uint64_t)time(NULL), sent[2] = {0, 0}, taken[2] = {0, 0};
    (void)printf("seed %llu\n", (unsigned long long)seed);
    line_open(&l);
    for (uint64_t move = 0; move < 50000; move++) {
        uint32_t from = (uint32_t)reeve_random_below(seed, 10, move, 2);
        uint64_t waiting = sent[from] - taken[from];
        bool filling = reeve_random_below(seed, 12, move / 512, 2) == 0;
        if (waiting < 400 && reeve_random_below(seed, 11, move, 10) < (filling ? 8u : 2u)) {
            size_t n = make_message(seed, from, sent[from]++, bytes);
            assert_int_equal(send_from(&l, from, bytes, n), REEVE_OK);
            memset(bytes, 0, n);
            continue;
        }
        size_t n = take(&l, 1 - from);
        assert_int_equal(n > 0, waiting > 0);
        if (n == 0) continue;
        assert_int_equal(n, make_message(seed, from, taken[from]++, bytes));
        assert_memory_equal(l.in, bytes, n);
    }
    line_close(&l);
}

static void loopback_refuses_what_it_cannot_carry(void **state)
{
    static struct line l;
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX + 1];
    line_open(&l);
    assert_int_equal(send_from(&l, 0, bytes, sizeof(bytes)), REEVE_JOB_INTERNAL);
    assert_int_equal(send_from(&l, 0, bytes, 0), REEVE_JOB_INTERNAL);
    assert_int_equal(l.end[0]->ops->send(l.end[0], 0, bytes, 1, &l.err), REEVE_JOB_INTERNAL);
    assert_int_equal(l.end[0]->ops->send(l.end[0], 2, bytes, 1, &l.err), REEVE_JOB_INTERNAL);
    assert_int_equal(take(&l, 1), 0);
    assert_int_equal(send_from(&l, 0, bytes, sizeof(bytes) - 1), REEVE_OK);
    assert_int_equal(take(&l, 1), REEVE_MESSAGE_BYTES_MAX);
    line_close(&l);
}

/* Goal: memory is bounded, and a full line says so and loses nothing. Method: send until it refuses, then take all. */
static void loopback_refuses_a_send_when_it_is_full(void **state)
{
    static struct line l;
    static unsigned char bytes[REEVE_MESSAGE_BYTES_MAX];
    line_open(&l);
    uint32_t sent = 0;
    for (;;) {
        memcpy(bytes, &sent, sizeof(sent));
        if (send_from(&l, 0, bytes, sizeof(bytes)) != REEVE_OK) break;
        assert_true(++sent < 100000);
    }
    assert_int_equal(l.err.status, REEVE_JOB_INTERNAL);
    assert_true(sent >= 400);
    for (uint32_t i = 0; i < sent; i++) {
        uint32_t got = 0;
        assert_int_equal(take(&l, 1), sizeof(bytes));
        memcpy(&got, l.in, sizeof(got));
        assert_int_equal(got, i);
    }
    assert_int_equal(take(&l, 1), 0);
    assert_int_equal(send_from(&l, 0, "again", 5), REEVE_OK);
    assert_int_equal(take(&l, 1), 5);
    line_close(&l);
}

static void loopback_tells_once_that_the_other_end_is_gone_after_its_last_words(void **state)
{
    static struct line l;
    for (uint32_t gone = 0; gone < 2; gone++) {
        line_open(&l);
        reeve_transport *left = l.end[1 - gone];
        assert_int_equal(send_from(&l, gone, "bye", 3), REEVE_OK);
        l.end[gone]->ops->destroy(l.end[gone]);
        assert_int_equal(left->ops->send(left, gone, "x", 1, &l.err), REEVE_WORKER_LOST);
        assert_int_equal(take(&l, 1 - gone), 3);
        uint32_t peer = UINT32_MAX;
        size_t n = 99;
        assert_int_equal(left->ops->poll(left, &peer, l.in, &n, &l.err), REEVE_WORKER_LOST);
        assert_int_equal(peer, gone);
        assert_int_equal(n, 0);
        assert_int_equal(take(&l, 1 - gone), 0);
        left->ops->destroy(left);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loopback_delivers_in_order_both_ways),
        cmocka_unit_test(loopback_keeps_order_and_content_in_any_mix),
        cmocka_unit_test(loopback_refuses_what_it_cannot_carry),
        cmocka_unit_test(loopback_refuses_a_send_when_it_is_full),
        cmocka_unit_test(loopback_tells_once_that_the_other_end_is_gone_after_its_last_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
