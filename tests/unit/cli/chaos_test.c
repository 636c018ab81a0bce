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
            seen |= 1u << s.kind;
        }
        assert_int_equal(seen, kinds);
    }
    uint32_t workers = 0, pairs = 0;
    for (uint32_t i = 0; i < 4000; i++) {
        struct reeve_chaos_strike s =
            reeve_chaos_plan(1, i, 1u << REEVE_CHAOS_KILL_WORKER | 1u << REEVE_CHAOS_KILL_MASTER, REEVE_SECOND_NS);
        workers += s.kind == REEVE_CHAOS_KILL_WORKER;
        pairs += s.at_once;
    }
    assert_in_range(workers, 2800, 3200);
    assert_in_range(pairs, 400, 600);
}

static void chaos_recovery_ends_with_the_longest_gap(void **state)
{ /* A step that was all but committed comes through 5 ms after the strike; the run is back after 1.2 s. */
    (void)state;
    struct reeve_chaos_marks m = {0};
    char dir[] = "/tmp/reeve-chaos-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/metrics.jsonl", dir);
    reeve_chaos_marks_read(&m, dir); /* no such file yet */
    assert_int_equal(m.count, 0);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("{\"step\":1,\"time\":10.0}\n{\"step\":2,\"time\":10.1}\n{\"step\":3,\"time\":10.2}\nrubbish\n"
                "{\"step\":4,\"time\":10.305}\n{\"event\":\"resumed\",\"step\":2,\"time\":11.4}\n{\"step\":3,\"ti",
                file);
    (void)fflush(file);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 4);
    (void)fputs("me\":11.5}\n{\"step\":4,\"time\":11.6}\n{\"step\":5,\"time\":11.7}\n", file);
    assert_int_equal(fclose(file), 0);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 7);
    int64_t struck = 10300 * MS, back = reeve_chaos_marks_back(&m, struck, INT64_MAX);
    assert_in_range(back, 11499 * MS, 11501 * MS);
    assert_int_equal(reeve_chaos_marks_back(&m, struck, 10900 * MS), 0); /* struck again before it was back */
    assert_int_equal(reeve_chaos_marks_back(&m, 12000 * MS, INT64_MAX), 0);
    double step_s = reeve_chaos_marks_step_s(&m);
    assert_true(step_s > 0.09 && step_s < 0.11);
    reeve_chaos_marks_fini(&m);
    (void)unlink(path);
    (void)rmdir(dir);
}

static void chaos_passes_times_over_that_cannot_be(void **state)
{ /* Goal: no line of a file stops the reader or is undefined. Method: times beyond any clock, and none. */
    (void)state;
    struct reeve_chaos_marks m = {0};
    char dir[] = "/tmp/reeve-chaos-XXXXXX", path[64];
    assert_non_null(mkdtemp(dir));
    (void)snprintf(path, sizeof(path), "%s/metrics.jsonl", dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fputs("{\"step\":1,\"time\":1e300}\n{\"step\":2,\"time\":-1e300}\n{\"step\":3,\"time\":9.9e9}\n"
                "{\"step\":4,\"time\":\"10\"}\n{\"step\":5}\n{\"step\":6,\"time\":0}\n{\"step\":7,\"time\":12}\n",
                file);
    assert_int_equal(fclose(file), 0);
    reeve_chaos_marks_read(&m, dir);
    assert_int_equal(m.count, 1);
    assert_int_equal(m.list[0].step, 7);
    assert_int_equal(m.list[0].wall_ns, 12000 * MS);
    reeve_chaos_marks_fini(&m);
    (void)unlink(path);
    (void)rmdir(dir);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(chaos_plan_is_a_function_of_its_seed),
        cmocka_unit_test(chaos_plan_has_the_kinds_that_were_asked_for),
        cmocka_unit_test(chaos_recovery_ends_with_the_longest_gap),
        cmocka_unit_test(chaos_passes_times_over_that_cannot_be),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
