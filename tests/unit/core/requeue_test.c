/* Queued again or not: as long as it gets on, and never for ever when it does not. */
#include "fixture.h"

#include "core/requeue.h"

static bool again(enum reeve_cause cause, uint64_t checkpoint, uint64_t before, uint32_t barren)
{
    struct reeve_requeue_facts facts = {.cause = cause, .checkpoint = checkpoint, .before = before, .barren = barren};
    const char *why = NULL;
    bool decided = reeve_requeue_decide(&facts, &why);
    assert_non_null(why);
    return decided;
}

static void what_is_done_or_asked_for_or_hopeless_is_not_queued_again(void **state)
{
    static const enum reeve_cause ends[] = {REEVE_CAUSE_COMPLETE, REEVE_CAUSE_ASKED, REEVE_CAUSE_FAILED};
    for (size_t i = 0; i < 3; i++)
        assert_false(again(ends[i], 100, 50, 0));
}

static void whatever_makes_progress_is_queued_again(void **state)
{
    static const enum reeve_cause ends[] = {REEVE_CAUSE_TIME_LIMIT, REEVE_CAUSE_PREEMPTED, REEVE_CAUSE_CRASH,
                                            REEVE_CAUSE_NODE_FAILURE};
    for (size_t i = 0; i < 4; i++)
        assert_true(again(ends[i], 51, 50, 1000));
}

/* Goal: a job that dies at once ends after a few tries. Method: live as the file of starts counts. */
static void without_progress_it_ends_after_a_few_times(void **state)
{
    static const enum reeve_cause ends[] = {REEVE_CAUSE_TIME_LIMIT, REEVE_CAUSE_CRASH, REEVE_CAUSE_NODE_FAILURE};
    for (size_t i = 0; i < 3; i++) {
        uint32_t tries = 0, barren = 0;
        for (uint64_t before = 50; again(ends[i], 50, before, barren) && tries < 100; tries++)
            barren++;
        assert_int_equal(tries, REEVE_BARREN_MAX);
    }
    assert_true(again(REEVE_CAUSE_PREEMPTED, 50, 50, 1000));
}

static void every_cause_has_a_word_of_its_own(void **state)
{
    for (uint32_t a = REEVE_CAUSE_COMPLETE; a < REEVE_CAUSE_COUNT; a++) {
        assert_true(reeve_cause_name(a)[0] != '\0');
        for (uint32_t b = 0; b < a; b++)
            assert_string_not_equal(reeve_cause_name(a), reeve_cause_name(b));
    }
    assert_string_equal(reeve_cause_name(REEVE_CAUSE_COUNT), "");
}

static void exit_codes_have_causes(void **state)
{
    assert_int_equal(reeve_cause_of_exit(REEVE_CAUSE_NONE, 0), REEVE_CAUSE_COMPLETE);
    assert_int_equal(reeve_cause_of_exit(REEVE_CAUSE_TIME_LIMIT, 0), REEVE_CAUSE_COMPLETE);
    assert_int_equal(reeve_cause_of_exit(REEVE_CAUSE_NONE, 75), REEVE_CAUSE_ASKED); /* --stop-at */
    assert_int_equal(reeve_cause_of_exit(REEVE_CAUSE_PREEMPTED, 75), REEVE_CAUSE_PREEMPTED);
    assert_int_equal(reeve_cause_of_exit(REEVE_CAUSE_NONE, 74), REEVE_CAUSE_FAILED);
    assert_int_equal(reeve_cause_of_exit(REEVE_CAUSE_NONE, 70), REEVE_CAUSE_CRASH);
    assert_int_equal(reeve_cause_of_exit(REEVE_CAUSE_NONE, 137), REEVE_CAUSE_CRASH);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_done_or_asked_for_or_hopeless_is_not_queued_again),
        cmocka_unit_test(whatever_makes_progress_is_queued_again),
        cmocka_unit_test(without_progress_it_ends_after_a_few_times),
        cmocka_unit_test(exit_codes_have_causes),
        cmocka_unit_test(every_cause_has_a_word_of_its_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
