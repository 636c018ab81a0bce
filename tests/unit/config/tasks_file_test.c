/* The key `tasks`: how entries become tasks, what waits for what, and how mistakes are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "config/job_file.h"
#include "config/tasks_file.h"
#include "fixture.h"

#define HEAD "name: t\nworkload: exec\nfaults: {attempts_max: 4}\nexec: {time_limit_s: 9}\n"

static struct reeve_error err;

static reeve_status read_tasks(const char *tasks, struct reeve_task_list **out)
{
    static struct reeve_job job;
    static char text[1 << 20];
    (void)snprintf(text, sizeof(text), "%s%s", HEAD, tasks);
    fixture_write("job.yaml", text);
    reeve_status st = reeve_job_read("job.yaml", NULL, 0, &job, &err);
    return st == REEVE_OK ? reeve_tasks_read("job.yaml", &job, out, &err) : st;
}

static struct reeve_task_list *must_read(const char *tasks)
{
    struct reeve_task_list *l = NULL;
    if (read_tasks(tasks, &l) != REEVE_OK) fail_msg("%s", err.text);
    return l;
}

static void refuses(const char *tasks, const char *words)
{
    struct reeve_task_list *l = NULL;
    reeve_status st = read_tasks(tasks, &l);
    assert_int_equal(st, REEVE_INPUT_INVALID);
    if (strstr(err.text, words) == NULL) fail_msg("'%s' has no '%s'", err.text, words);
}

static void tasks_matrix_gives_each_combination_in_order(void **state)
{
    struct reeve_task_list *l = must_read(
        "tasks:\n  - name: fit\n    command: 'f {a}-{b} {c} {a}'\n    matrix: {a: [1, 2], b: [x, 'y z', w]}\n");
    static const char *const commands[] = {"f 1-x {c} 1", "f 1-y z {c} 1", "f 1-w {c} 1",
                                           "f 2-x {c} 2", "f 2-y z {c} 2", "f 2-w {c} 2"};
    assert_int_equal(l->task_count, 6);
    for (uint32_t i = 0; i < 6; i++)
        assert_string_equal(reeve_task_list_command(l, i), commands[i]);
    assert_string_equal(reeve_task_list_name(l, 5), "fit.6");
    assert_int_equal(l->entries[3].attempts_max, 4);
    assert_int_equal(l->entries[3].time_limit_s, 9);
    reeve_task_list_destroy(l);
}

static void tasks_file_gives_a_task_for_each_line(void **state)
{
    fixture_write("list.txt", "\xEF\xBB\xBF"
                              "first  one\r\n\n  # no command\n\tsecond\nlast without an end");
    struct reeve_task_list *l = must_read("tasks: list.txt\n");
    assert_int_equal(l->task_count, 3);
    assert_string_equal(reeve_task_list_name(l, 0), "line.1");
    assert_string_equal(reeve_task_list_command(l, 0), "first  one");
    assert_string_equal(reeve_task_list_command(l, 1), "\tsecond");
    assert_string_equal(reeve_task_list_command(l, 2), "last without an end");
    reeve_task_list_destroy(l);
}

static void tasks_wait_for_entries_and_for_single_tasks(void **state)
{
    struct reeve_task_list *l =
        must_read("tasks:\n"
                  "  - {name: end, command: e, after: [fit, one], after_any: fit.2, priority: -3}\n"
                  "  - {name: fit, command: 'f {a}', matrix: {a: [1, 2]}, attempts: 7}\n"
                  "  - {name: one, command: o, after: fit.1, time_limit_s: 0}\n");
    static const uint32_t expected[] = {1, 2, 3, 2 | REEVE_TASK_AFTER_ANY, 1};
    assert_int_equal(l->after_count, 5);
    for (uint32_t i = 0; i < 5; i++)
        assert_int_equal(l->afters[i], expected[i]);
    assert_int_equal(l->entries[0].first_after, 0);
    assert_int_equal(l->entries[1].first_after, 4);
    assert_int_equal(l->entries[3].first_after, 4);
    assert_int_equal(l->entries[4].first_after, 5);
    assert_int_equal(l->entries[0].priority, -3);
    assert_int_equal(l->entries[1].attempts_max, 7);
    assert_int_equal(l->entries[3].time_limit_s, 0);
    reeve_task_list_destroy(l);
}

static void tasks_that_cannot_be_are_refused_with_their_place(void **state)
{
    refuses("", "key 'tasks': missing");
    refuses("tasks: []\n", "job.yaml:5:8: key 'tasks': expected a list of tasks");
    refuses("tasks: [a]\n", "job.yaml:5:9: expected a task such as");
    refuses("tasks: [{command: x, matrx: {}}]\n", "did you mean 'matrix'");
    refuses("tasks: [{command: ' '}]\n", "expected a command, found");
    refuses("tasks: [{command: [x]}]\n", "expected a command, found a list");
    refuses("tasks: [{command: ~}]\n", "expected a command, found nothing");
    refuses("tasks: ~\n", "or the name of a file with a command in each line, found nothing");
    refuses("tasks: [{command: ' {a}', matrix: {a: [x, '']}}]\n", "key 'matrix': with these values nothing is left");
    refuses("tasks: [{name: a.b, command: x}]\n", "expected letters, digits");
    refuses("tasks: [{command: x, file: y}]\n", "found both");
    refuses("tasks: [{file: job.yaml, matrix: {a: [1]}}]\n", "needs a 'command'");
    refuses("tasks: [{command: 'x {a}', matrix: {a: 1}}]\n", "parameter 'a': expected a list");
    refuses("tasks: [{command: 'x {a}', matrix: {a: []}}]\n", "parameter 'a': expected a list");
    refuses("tasks: [{command: 'x {a}', matrix: {a: [[1]]}}]\n", "expected a number or a text");
    refuses("tasks: [{command: 'x {a}', matrix: {a: [1], b: [1]}}]\n", "the command has no {b} in it");
    refuses("tasks: [{command: x, matrix: [1]}]\n", "expected parameters with lists of values");
    refuses("tasks: [{command: x, attempts: 0}]\n", "a whole number from 1 to 1000");
    refuses("tasks: [{name: a, command: x, after: b}]\n", "no task is named 'b'");
    refuses("tasks: [{name: a, command: 'x {n}', matrix: {n: [1]}}, {command: y, after: a.2}]\n",
            "no task is named 'a.2'");
    refuses("tasks: [{name: a, command: x}, {command: y, after: a.1}]\n", "no task is named 'a.1'");
    refuses("tasks:\n - {name: b, command: x}\n - {name: a, command: x}\n - {name: ab, command: x}\n"
            " - {name: b, command: x}\n - {name: a, command: x}\n",
            "job.yaml:9:4: two entries are named 'b', the first in line 6;");
    refuses("tasks: [{name: task2, command: x}, {command: x}]\n", "two entries are named 'task2'");
    refuses("tasks: [{name: a, command: x, after: a}]\n", "a: waits for itself");
    refuses("tasks: [{name: a, command: x, after: b}, {name: b, command: x, after_any: a}]\n",
            "a waits for b waits for a");
    refuses("tasks: [{command: x}]\ntasks: [{command: y}]\n", "given twice");
    fixture_write("empty.txt", "# nothing\n\n");
    refuses("tasks: empty.txt\n", "empty.txt: no command in it");
    refuses("train: {steps: 3}\ntasks: [{command: x}]\n", "key 'train.steps': has no meaning for workload 'exec'");
}

/* Goal: lists that multiply to more than any memory end at once, with their place. Method: eight lists of ten values, for
 * the number of tasks; six of them and a long command, for their bytes. */
static void a_product_beyond_all_bounds_is_refused_before_it_is_made(void **state)
{
    static char text[4096];
    int n = snprintf(text, sizeof(text), "tasks:\n  - command: '");
    for (int i = 0; i < 8; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "{p%d}", i);
    n += snprintf(text + n, sizeof(text) - (size_t)n, "'\n    matrix:\n");
    for (int i = 0; i < 8; i++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "      p%d: [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]\n", i);
    refuses(text, "job.yaml:8:7: key 'matrix': 100000000 tasks with commands of 800000000 bytes");
    n = snprintf(text, sizeof(text), "tasks:\n  - command: '{a}{b}{c}{d}{e}{f} %02000d'\n    matrix:\n", 0);
    for (char p = 'a'; p <= 'f'; p++)
        n += snprintf(text + n, sizeof(text) - (size_t)n, "      %c: [0, 1, 2, 3, 4, 5, 6, 7, 8, 19]\n", p);
    refuses(text, "key 'matrix': 1000000 tasks with commands of 2007600000 bytes");
}
/* Goal: as many entries as a job file has room for find each other by name. Method: each of the first half waits for the one
 * that stands as far before the end as it stands behind the beginning. */
static void thousands_of_entries_find_each_other(void **state)
{
    enum { COUNT = 24000 };
    static char text[1 << 20];
    size_t n = (size_t)snprintf(text, sizeof(text), "tasks:\n");
    for (uint32_t i = 0; i < COUNT; i++) {
        char after[32] = "";
        if (i < COUNT / 2) (void)snprintf(after, sizeof(after), ", after: n%u", COUNT - 1 - i);
        n += (size_t)snprintf(text + n, sizeof(text) - n, " - {name: n%u, command: c%s}\n", i, after);
        assert_true(n < sizeof(text) - sizeof(HEAD));
    }
    struct reeve_task_list *l = must_read(text);
    assert_int_equal(l->task_count, COUNT);
    assert_int_equal(l->after_count, COUNT / 2);
    for (uint32_t i = 0; i < COUNT / 2; i++)
        assert_int_equal(l->afters[i], COUNT - 1 - i);
    reeve_task_list_destroy(l);
}

static void same_text_gives_the_same_digest_and_another_one_another(void **state)
{
    struct reeve_task_list *a = must_read("tasks: [{command: x}, {command: y}]\n");
    struct reeve_task_list *b = must_read("tasks:\n  - command: x # the same\n  - command: 'y'\n");
    struct reeve_task_list *c = must_read("tasks: [{command: y}, {command: x}]\n");
    assert_true(reeve_digest_equal(a->digest, b->digest));
    assert_false(reeve_digest_equal(a->digest, c->digest));
    reeve_task_list_destroy(a);
    reeve_task_list_destroy(b);
    reeve_task_list_destroy(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(tasks_matrix_gives_each_combination_in_order),
        cmocka_unit_test(tasks_file_gives_a_task_for_each_line),
        cmocka_unit_test(tasks_wait_for_entries_and_for_single_tasks),
        cmocka_unit_test(tasks_that_cannot_be_are_refused_with_their_place),
        cmocka_unit_test(a_product_beyond_all_bounds_is_refused_before_it_is_made),
        cmocka_unit_test(thousands_of_entries_find_each_other),
        cmocka_unit_test(same_text_gives_the_same_digest_and_another_one_another),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
