/* Events: every kind has a name of its own, and the numbers that the format fixed. */
#include "fixture.h"

#include "core/event.h"

static void event_names_are_distinct_and_unknown_kinds_have_none(void **state)
{
    const char *names[256];
    uint32_t named = 0;
    for (uint32_t kind = 0; kind < 65536; kind++) {
        const char *name = reeve_event_name((uint16_t)kind);
        assert_non_null(name);
        if (strcmp(name, "?") == 0) continue;
        for (uint32_t i = 0; i < named; i++) assert_string_not_equal(name, names[i]);
        assert_in_range(named, 0, 255);
        names[named++] = name;
    }
    assert_string_equal(reeve_event_name(REEVE_EVENT_NONE), "?");
    assert_string_equal(reeve_event_name(REEVE_EVENT_VOLATILE), "?");
    assert_int_equal(named, 28 + 24);
}

static void event_numbers_of_the_format_stay(void **state)
{
    assert_string_equal(reeve_event_name(1), "RUN_OPENED");
    assert_string_equal(reeve_event_name(6), "TASK_LEASED");
    assert_string_equal(reeve_event_name(14), "STEP_COMMITTED");
    assert_string_equal(reeve_event_name(17), "CKPT_COMMIT");
    assert_string_equal(reeve_event_name(23), "SEGMENT_STAMP");
    assert_string_equal(reeve_event_name(40), "TASKS_ADDED");
    assert_string_equal(reeve_event_name(41), "TASKS_STARTED");
    assert_int_equal(offsetof(struct reeve_event, epoch), 8);
    assert_int_equal(offsetof(struct reeve_event, step), 16);
    assert_int_equal(offsetof(struct reeve_event, a), 40);
    assert_int_equal(offsetof(struct reeve_event, sum), 56);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(event_names_are_distinct_and_unknown_kinds_have_none),
        cmocka_unit_test(event_numbers_of_the_format_stay),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
