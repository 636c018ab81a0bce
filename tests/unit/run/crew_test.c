/* The crew: every piece once, and the same failures whatever the number of threads. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/random.h"
#include "run/crew.h"

#define PIECES_MAX 5000u

struct pieces {
    atomic_uint done[PIECES_MAX];
    bool bad[PIECES_MAX];
};

static reeve_status work(void *arg, uint32_t piece, uint64_t *bytes, struct reeve_error *err)
{
    struct pieces *p = arg;
    (void)atomic_fetch_add(&p->done[piece], 1);
    *bytes = 1;
    return p->bad[piece] ? reeve_fail(err, REEVE_INPUT_INVALID, "piece %u", piece) : REEVE_OK;
}

static uint32_t run(struct pieces *p, uint32_t count, uint32_t threads, bool stop, struct reeve_crew_failure **failures,
                    uint32_t *failed)
{
    struct reeve_crew_job job = {
        .piece_count = count, .threads = threads, .stop_at_failure = stop, .work = work, .work_arg = p};
    uint32_t failure_count = 0;
    assert_int_equal(reeve_crew_run(&job, failures, &failure_count, failed, NULL), REEVE_OK);
    return failure_count;
}

static void every_piece_is_done_once(void **state)
{
    (void)state;
    static const uint32_t threads[] = {0, 1, 2, 3, 17, 100000};
    for (size_t t = 0; t < sizeof threads / sizeof threads[0]; t++) {
        struct pieces *p = calloc(1, sizeof *p);
        struct reeve_crew_failure *failures;
        uint32_t failed;
        assert_int_equal(run(p, 1000, threads[t], false, &failures, &failed), 0);
        assert_null(failures);
        assert_int_equal(failed, 0);
        for (uint32_t i = 0; i < PIECES_MAX; i++)
            assert_int_equal(atomic_load(&p->done[i]), i < 1000 ? 1 : 0);
        free(p);
    }
}

static void no_pieces_is_no_work(void **state)
{
    (void)state;
    struct pieces *p = calloc(1, sizeof *p);
    struct reeve_crew_failure *failures;
    uint32_t failed;
    assert_int_equal(run(p, 0, 4, true, &failures, &failed), 0);
    free(p);
}

/* Goal: with stop_at_failure the failure told is the lowest one, for any number of threads. */
static void lowest_failure_is_found_by_any_number_of_threads(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    for (uint64_t round = 0; round < 40; round++) {
        struct pieces *p = calloc(1, sizeof *p);
        uint32_t lowest = PIECES_MAX;
        for (uint64_t i = 0; i < 20; i++) {
            uint32_t at = (uint32_t)reeve_random_below(seed, round, i, 1000);
            p->bad[at] = true;
            if (at < lowest) lowest = at;
        }
        struct reeve_crew_failure *failures;
        uint32_t failed;
        assert_true(run(p, 1000, 1 + (uint32_t)round % 7, true, &failures, &failed) >= 1);
        assert_int_equal(failures[0].piece, lowest);
        char text[32];
        (void)snprintf(text, sizeof text, "piece %u", lowest);
        assert_string_equal(failures[0].error.text, text);
        free(failures);
        free(p);
    }
}

static void the_first_failures_are_kept_and_all_are_counted(void **state)
{
    (void)state;
    struct pieces *p = calloc(1, sizeof *p);
    memset(p->bad, true, sizeof p->bad);
    struct reeve_crew_failure *failures;
    uint32_t failed;
    assert_int_equal(run(p, PIECES_MAX, 3, false, &failures, &failed), REEVE_CREW_FAILURES_MAX);
    assert_int_equal(failed, PIECES_MAX);
    for (uint32_t i = 0; i < REEVE_CREW_FAILURES_MAX; i++)
        assert_int_equal(failures[i].piece, i);
    free(failures);
    free(p);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_piece_is_done_once),
        cmocka_unit_test(no_pieces_is_no_work),
        cmocka_unit_test(lowest_failure_is_found_by_any_number_of_threads),
        cmocka_unit_test(the_first_failures_are_kept_and_all_are_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
