/* The progress line fits its terminal, and says the same in a log. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "export/progress.h"

#define BEFORE "\r\033[?7l"     /* to the line's begin; what does not fit is cut */
#define BEHIND "\033[K\033[?7h" /* what was longer is cleared; wrapping as before */

static struct reeve_status_report running(void)
{
    struct reeve_status_report r;
    reeve_status_report_init(&r);
    r.state = REEVE_RUN_RUNNING;
    r.step = 123;
    r.steps = 300;
    r.loss = 2.34567;
    r.tokens_per_s = 12345.6;
    r.tasks_ready = 5;
    r.tasks_leased = 3;
    r.workers = 2;
    r.seconds_left = 83.2;
    return r;
}

static void plain_line_has_all_figures_and_no_control_characters(void **state)
{
    (void)state;
    struct reeve_status_report r = running();
    char line[REEVE_PROGRESS_BYTES];
    size_t n = reeve_progress_format(&r, 0, line, sizeof line);
    assert_string_equal(line,
                        "step 123/300  loss 2.3457  12.3k tokens/s  queue 5 ready 3 leased  2 workers  1:23 left\n");
    assert_int_equal(n, strlen(line));
    assert_null(strpbrk(line, "\r\033"));
}

/* Two wait for their retry, one has used up its attempts: neither is counted among those that wait for their turn. */
static void every_task_of_a_list_is_counted_once(void **state)
{
    (void)state;
    struct reeve_status_report r;
    reeve_status_report_init(&r);
    r.state = REEVE_RUN_RUNNING;
    r.tasks_total = 96;
    r.tasks_done = 41;
    r.tasks_running = 3;
    r.tasks_delayed = 2;
    r.tasks_dead = 1;
    r.tasks_per_s = 18.2;
    r.seconds_left = 3;
    char line[REEVE_PROGRESS_BYTES];
    (void)reeve_progress_format(&r, 0, line, sizeof line);
    assert_string_equal(line, "done 41/96  3 running  49 waiting  2 to retry  1 failed  18.2 tasks/s  0:03 left\n");
    (void)reeve_progress_format(&r, 24, line, sizeof line);
    assert_string_equal(line, BEFORE "done 41/96  1 failed" BEHIND);
}

static void live_line_fits_every_width(void **state)
{
    (void)state;
    struct reeve_status_report r = running();
    r.step = r.steps = UINT64_MAX;
    r.tasks_ready = r.tasks_leased = UINT64_MAX;
    for (uint32_t columns = 1; columns < 200; columns++) {
        char line[REEVE_PROGRESS_BYTES];
        size_t n = reeve_progress_format(&r, columns, line, sizeof line);
        assert_int_equal(n, strlen(line));
        assert_memory_equal(line, BEFORE, strlen(BEFORE));
        assert_string_equal(line + n - strlen(BEHIND), BEHIND);
        assert_true(n - strlen(BEFORE) - strlen(BEHIND) < columns);
        assert_null(strchr(line, '\n'));
    }
}

static void narrow_line_keeps_step_and_loss_longest(void **state)
{
    (void)state;
    struct reeve_status_report r = running();
    char line[REEVE_PROGRESS_BYTES];
    (void)reeve_progress_format(&r, 26, line, sizeof line);
    assert_string_equal(line, BEFORE "step 123/300  loss 2.3457" BEHIND);
    (void)reeve_progress_format(&r, 60, line, sizeof line);
    assert_non_null(strstr(line, "1:23 left"));
    assert_null(strstr(line, "queue"));
}

static void figures_that_do_not_exist_are_left_out(void **state)
{
    (void)state;
    struct reeve_status_report r;
    reeve_status_report_init(&r);
    r.steps = 10;
    char line[REEVE_PROGRESS_BYTES];
    (void)reeve_progress_format(&r, 0, line, sizeof line);
    assert_string_equal(line, "starting, step 0/10  queue 0 ready 0 leased  0 workers\n");
}

static void small_buffer_is_not_overrun(void **state)
{
    (void)state;
    struct reeve_status_report r = running();
    char line[16];
    memset(line, 'x', sizeof line);
    assert_int_equal(reeve_progress_format(&r, 0, line, 8), 7);
    assert_int_equal(line[7], '\0');
    assert_int_equal(line[8], 'x');
}

static void durations_read_like_a_clock(void **state)
{
    (void)state;
    static const struct {
        double seconds;
        const char *text;
    } cases[] = {{0, "0:00"},       {59.4, "0:59"},     {75, "1:15"},
                 {3725, "1:02:05"}, {90061, "1d 1:01"}, {86399.6, "1d 0:00"}};
    char text[32];
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        reeve_progress_format_duration(cases[i].seconds, text);
        assert_string_equal(text, cases[i].text);
    }
    const double odd[] = {NAN, INFINITY, -1.0, 1e300};
    for (size_t i = 0; i < sizeof odd / sizeof odd[0]; i++) {
        reeve_progress_format_duration(odd[i], text);
        assert_string_equal(text, "?");
    }
}

static void no_terminal_has_no_columns(void **state)
{
    (void)state;
    FILE *file = tmpfile();
    assert_non_null(file);
    assert_int_equal(reeve_progress_columns(fileno(file)), 0);
    (void)fclose(file);
    assert_string_equal(reeve_progress_clear(0), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(plain_line_has_all_figures_and_no_control_characters),
        cmocka_unit_test(every_task_of_a_list_is_counted_once),
        cmocka_unit_test(live_line_fits_every_width),
        cmocka_unit_test(narrow_line_keeps_step_and_loss_longest),
        cmocka_unit_test(figures_that_do_not_exist_are_left_out),
        cmocka_unit_test(small_buffer_is_not_overrun),
        cmocka_unit_test(durations_read_like_a_clock),
        cmocka_unit_test(no_terminal_has_no_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
