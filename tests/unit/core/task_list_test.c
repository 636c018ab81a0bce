/* The task list: what is refused, and that its digest sees everything. */
#include "list_fixture.h"

#define ANY REEVE_TASK_AFTER_ANY

static void refuses(struct reeve_task_list *l, const char *words)
{
    struct reeve_error err = {0};
    assert_int_equal(reeve_task_list_check(l, &err), REEVE_INPUT_INVALID);
    if (strstr(err.text, words) == NULL) fail_msg("'%s' has no '%s'", err.text, words);
    reeve_task_list_destroy(l);
}

static void list_of_commands_is_accepted(void **state)
{
    struct reeve_error err = {0};
    const struct fx_after afters[] = {{1, 0}, {3, 1}, {3, 2 | ANY}};
    struct reeve_task_list *l = fx_list(4, afters, 3);
    assert_int_equal(reeve_task_list_check(l, &err), REEVE_OK);
    assert_string_equal(reeve_task_list_name(l, 3), "t3");
    assert_string_equal(reeve_task_list_command(l, 3), "true 3");
    reeve_task_list_destroy(l);
    assert_int_equal(reeve_task_list_create_null(1000, &l, &err), REEVE_OK);
    assert_int_equal(reeve_task_list_check(l, &err), REEVE_OK);
    reeve_task_list_destroy(l);
}

static void circle_is_refused_with_its_names(void **state)
{
    const struct fx_after self[] = {{1, 1}};
    refuses(fx_list(2, self, 1), "t1: waits for itself");
    const struct fx_after ring[] = {{0, 1}, {2, 4}, {3, 2 | ANY}, {4, 0}, {4, 3}};
    refuses(fx_list(5, ring, 5), "t2 waits for t4 waits for t3 waits for t2");
    const struct fx_after beyond[] = {{0, 7}};
    refuses(fx_list(2, beyond, 1), "waits for task 7");
}

static void long_chain_needs_no_stack(void **state)
{ /* Goal: a chain of any length is checked. Method: 300,000 tasks, each behind the next; then closed to a circle. */
    enum { N = 300000 };
    struct reeve_error err = {0};
    struct fx_after *afters = calloc(N, sizeof(*afters));
    for (uint32_t i = 0; i < N; i++)
        afters[i] = (struct fx_after){i, i + 1};
    struct reeve_task_list *l = fx_list(N, afters, N - 1);
    assert_int_equal(reeve_task_list_check(l, &err), REEVE_OK);
    reeve_task_list_destroy(l);
    afters[N - 1].before = 0;
    refuses(fx_list(N, afters, N), "t0 waits for t1 waits for t2");
    free(afters);
}

static void field_out_of_range_is_refused(void **state)
{
    struct reeve_task_list *l = fx_list(3, NULL, 0);
    l->entries[1].attempts_max = 0;
    refuses(l, "t1: its kind, attempts");
    l = fx_list(3, NULL, 0);
    l->entries[2].kind = REEVE_TASK_GRADIENT;
    refuses(l, "t2: its kind, attempts");
    for (const char *bad = "/ \n\033\302"; *bad != '\0'; bad++) {
        l = fx_list(3, NULL, 0);
        l->text[l->text_at[2]] = *bad;
        refuses(l, "task 2: its name holds other characters");
    }
    l = fx_list(3, NULL, 0);
    l->text_at[2] = l->text_bytes;
    refuses(l, "task 2: its name or its command");
    l = fx_list(3, NULL, 0);
    l->entries[1].first_after = 9;
    refuses(l, "its dependencies lie outside");
    l = fx_list(3, NULL, 0);
    l->entries[3].first_after = 1;
    refuses(l, "belong to no task");
    l = fx_list(1, NULL, 0);
    l->task_count = 0;
    refuses(l, "1 to");
}

static void more_text_than_a_lock_may_hold_is_refused_before_memory_is_taken(void **state)
{
    struct reeve_error err = {0};
    struct reeve_task_list *l = NULL;
    assert_int_equal(reeve_task_list_create(3, 0, REEVE_TASK_TEXT_BYTES_MAX + 1, &l, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "1073741825 bytes; at most 1073741824"));
    assert_null(l);
}

static void digest_sees_every_change(void **state)
{
    const struct fx_after afters[] = {{1, 0}};
    struct reeve_task_list *l = fx_list(2, afters, 1);
    struct reeve_digest before = l->digest;
    l->entries[0].priority = 1;
    assert_false(reeve_digest_equal(before, reeve_task_list_digest(l)));
    l->entries[0].priority = 0;
    assert_true(reeve_digest_equal(before, reeve_task_list_digest(l)));
    l->afters[0] |= ANY;
    assert_false(reeve_digest_equal(before, reeve_task_list_digest(l)));
    l->afters[0] &= ~ANY;
    l->text[l->text_at[1] + 4]++;
    assert_false(reeve_digest_equal(before, reeve_task_list_digest(l)));
    reeve_task_list_destroy(l);
}

static void result_word_keeps_what_it_was_given(void **state)
{
    uint64_t r = reeve_task_result(137, 9, 123456789);
    assert_int_equal(reeve_task_result_exit(r), 137);
    assert_int_equal(reeve_task_result_signal(r), 9);
    assert_true(reeve_task_result_us(r) == 123456789);
    assert_true(reeve_task_result_us(reeve_task_result(0, 0, UINT64_MAX)) == (UINT64_C(1) << 48) - 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(list_of_commands_is_accepted), cmocka_unit_test(circle_is_refused_with_its_names),
        cmocka_unit_test(long_chain_needs_no_stack),    cmocka_unit_test(field_out_of_range_is_refused),
        cmocka_unit_test(digest_sees_every_change),     cmocka_unit_test(result_word_keeps_what_it_was_given),
        cmocka_unit_test(more_text_than_a_lock_may_hold_is_refused_before_memory_is_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
