/* `reeve chaos`: the plan of its strikes is a function of the seed, and recoveries are measured as they were. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "cli/chaos.h"

#define MS ((int64_t)1000000)
#define ALL ((1u << REEVE_CHAOS_KINDS) - 1)

static void chaos_plan_is_a_function_of_its_seed(void **state)
{
    (void)state;
    uint32_t differ = 0;
    for (uint32_t i = 0; i < 200; i++) {
        struct reeve_chaos_strike a = reeve_chaos_plan(7, i, ALL, REEVE_SECOND_NS);
        struct reeve_chaos_strike b = reeve_chaos_plan(7, i, ALL, REEVE_SECOND_NS);
        struct reeve_chaos_strike other = reeve_chaos_plan(8, i, ALL, REEVE_SECOND_NS);
        assert_true(a.kind == b.kind && a.wait_ns == b.wait_ns && a.pick == b.pick && a.at_once == b.at_once);
        differ += a.pick != other.pick;
    }
    assert_true(differ > 190);
}

static void chaos_plan_has_the_kinds_that_were_asked_for(void **state)
{ /* Every set of kinds; three quarters of the kills of ranks are workers'; some pairs; waits around the mean. */
    (void)state;
    for (uint32_t kinds = 1; kinds <= ALL; kinds++) {
        uint32_t seen = 0;
        for (uint32_t i = 0; i < 400; i++) {
            struct reeve_chaos_strike s = reeve_chaos_plan(kinds, i, kinds, 4 * REEVE_SECOND_NS);
            assert_true(s.kind < REEVE_CHAOS_KINDS && (kinds & 1u << s.kind) != 0);
            assert_true(s.wait_ns >= 2 * REEVE_SECOND_NS && s.wait_ns <= 6 * REEVE_SECOND_NS);
            assert_false(s.at_once && (i == 0 || s.kind > REEVE_CHAOS_KILL_LAUNCHER));
            assert_false(s.pair && s.kind > REEVE_CHAOS_KILL_MASTER);
            seen |= 1u << s.kind;
        }
        assert_int_equal(seen, kinds);
    }
    uint32_t workers = 0, again = 0, pairs = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        struct reeve_chaos_strike s =
            reeve_chaos_plan(1, i, 1u << REEVE_CHAOS_KILL_WORKER | 1u << REEVE_CHAOS_KILL_MASTER, REEVE_SECOND_NS);
        workers += s.kind == REEVE_CHAOS_KILL_WORKER;
        again += s.at_once;
        pairs += s.pair;
    }
    assert_in_range(workers, 2800, 3200);
    assert_in_range(again, 400, 600);
    assert_in_range(pairs, 400, 600);
}

/* A row as the master writes it, as far as it counts here. */
static void add_row(FILE *file, int step, double time_s, int epoch, int workers)
{
    (void)fprintf(file, "{\"step\":%d,\"time\":%.3f,\"workers\":%d,\"membership_epoch\":%d,\"loss\":1.5}\n", step,
                  time_s, workers, epoch);
}

static char dir[] = "/tmp/reeve-chaos-XXXXXX", path[64];

static FILE *begin_rows(void)
{
    memcpy(dir + sizeof(dir) - 7, "XXXXXX", 6);
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/metrics.jsonl", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    return file;
}

static void end_rows(struct reeve_chaos_marks *m)
{
    reeve_chaos_marks_fini(m);
    (void)unlink(path);
    (void)rmdir(dir);
}

static void chaos_recovery_ends_with_the_first_step_of_another_membership(void **state)
{ /* A step that was all but committed comes through 5 ms after the strike; a pause of the old membership is none. */
    (void)state;
    struct reeve_chaos_marks m = {0};
    FILE *file = begin_rows();
    add_row(file, 1, 10.0, 1, 3);
    add_row(file, 2, 10.1, 1, 3);
    add_row(file, 3, 10.2, 1, 3);
    (void)fputs("rubbish\n", file);
    add_row(file, 4, 10.305, 1, 3);
    (void)fputs("{\"event\":\"resumed\",\"step\":2,\"time\":11.4}\n{\"step\":3,\"membership_epoch\":2,\"ti", file);
    (void)fflush(file);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 4); /* the last line is not whole yet */
    assert_int_equal(reeve_chaos_marks_back(&m, 10300 * MS, INT64_MAX), 0);
    (void)fputs("me\":11.5,\"workers\":3}\n", file);
    add_row(file, 4, 11.6, 2, 3);
    add_row(file, 5, 13.9, 2, 3);
    assert_int_equal(fclose(file), 0);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 7);
    assert_in_range(reeve_chaos_marks_back(&m, 10300 * MS, INT64_MAX), 11499 * MS, 11501 * MS);
    assert_int_equal(reeve_chaos_marks_back(&m, 10300 * MS, 10900 * MS), 0); /* struck again before it was back */
    assert_int_equal(reeve_chaos_marks_back(&m, 12000 * MS, INT64_MAX), 0);
    double step_s = reeve_chaos_marks_step_s(&m);
    assert_true(step_s > 0.09 && step_s < 0.11);
    end_rows(&m);
}

static void chaos_recovery_from_two_losses_ends_with_the_second(void **state)
{ /* Both before the next strike: membership 2 begins and is lost at once. That a replacement joins later is no loss. */
    (void)state;
    struct reeve_chaos_marks m = {0};
    FILE *file = begin_rows();
    add_row(file, 1, 10.0, 1, 3);
    add_row(file, 2, 10.5, 2, 2);
    add_row(file, 3, 10.9, 3, 1);
    add_row(file, 4, 12.0, 4, 3);
    assert_int_equal(fclose(file), 0);
    reeve_chaos_marks_read(&m, dir);
    assert_in_range(reeve_chaos_marks_back(&m, 10400 * MS, INT64_MAX), 10899 * MS, 10901 * MS);
    assert_in_range(reeve_chaos_marks_back(&m, 11900 * MS, INT64_MAX), 11999 * MS,
                    12001 * MS); /* the first always is */
    end_rows(&m);
}

static void chaos_growth_is_that_of_the_rank_that_grew_most(void **state)
{ /* One that outlived few losses, or none, says nothing. */
    (void)state;
    struct reeve_chaos_life list[] = {
        {.pid = 1, .losses = 0, .first = {1000, 10}, .last = {9000, 90}},
        {.pid = 2, .losses = 4, .first = {1000, 10}, .last = {1400, 8}},
        {.pid = 4, .losses = 1, .first = {1000, 10}, .last = {9000, 90}},
        {.pid = 3, .losses = 2, .first = {2000, 10}, .last = {1000, 11}},
    };
    struct reeve_chaos_lives lives = {.list = list, .count = 4, .shared_files_max = 5};
    struct reeve_chaos_growth g;
    reeve_chaos_lives_sum(&lives, &g);
    assert_int_equal(g.lives, 2);
    assert_int_equal(g.losses_max, 4);
    assert_true(g.descriptors_per_loss == 0.5 && g.bytes_per_loss == 100.0);
    assert_int_equal(g.shared_files_max, 5);
}

static void chaos_passes_times_over_that_cannot_be(void **state)
{ /* Goal: no line of a file stops the reader or is undefined. Method: times beyond any clock, and none. */
    (void)state;
    struct reeve_chaos_marks m = {0};
    FILE *file = begin_rows();
    (void)fputs("{\"step\":1,\"time\":1e300}\n{\"step\":2,\"time\":-1e300}\n{\"step\":3,\"time\":9.9e9}\n"
                "{\"step\":4,\"time\":\"10\"}\n{\"step\":5}\n{\"step\":6,\"time\":0}\n{\"step\":7,\"time\":12}\n",
                file);
    assert_int_equal(fclose(file), 0);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.list[0].step, 7);
    assert_int_equal(m.list[0].wall_ns, 12000 * MS);
    end_rows(&m);
}

static void chaos_passes_long_lines_and_zero_bytes_over(void **state)
{ /* Goal: what somebody else has put between the rows does not hide those behind it. Method: a line of 100 kB, one with a
   * NUL byte, and one of 5000 bytes that is still being written. */
    (void)state;
    struct reeve_chaos_marks m = {0};
    FILE *file = begin_rows();
    add_row(file, 1, 10.0, 1, 3);
    (void)fprintf(file, "{\"event\":\"noted\",\"text\":\"%0100000d\"}\n", 0);
    add_row(file, 2, 10.1, 1, 3);
    (void)fwrite("a\0b\n", 1, 4, file);
    add_row(file, 3, 10.2, 1, 3);
    (void)fprintf(file, "{\"event\":\"noted\",\"text\":\"%05000d", 0);
    (void)fflush(file);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 3);
    (void)fputs("\"}\n", file);
    add_row(file, 4, 10.3, 1, 3);
    assert_int_equal(fclose(file), 0);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 4);
    assert_int_equal(m.list[3].step, 4);
    end_rows(&m);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chaos_plan_is_a_function_of_its_seed),
        cmocka_unit_test(chaos_plan_has_the_kinds_that_were_asked_for),
        cmocka_unit_test(chaos_recovery_ends_with_the_first_step_of_another_membership),
        cmocka_unit_test(chaos_recovery_from_two_losses_ends_with_the_second),
        cmocka_unit_test(chaos_growth_is_that_of_the_rank_that_grew_most),
        cmocka_unit_test(chaos_passes_times_over_that_cannot_be),
        cmocka_unit_test(chaos_passes_long_lines_and_zero_bytes_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
