/* reeve.prom: the rules of the text format 0.0.4, checked line by line. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "export/prometheus.h"
#include "folder.h"

static char *format_report(const char *job, double loss)
{
    struct reeve_status_report r;
    reeve_status_report_init(&r);
    r.state = REEVE_RUN_RUNNING;
    (void)snprintf(r.job, sizeof r.job, "%s", job);
    r.loss = loss;
    r.step = 12;
    r.tasks_ready = 3;
    r.last_checkpoint_wall_ns = 1700000000000000000;
    char *text = NULL;
    assert_int_equal(reeve_prometheus_format(&r, &text, NULL), REEVE_OK);
    return text;
}

/* Goal: each name has HELP, then TYPE, then all its samples without another name between. */
static void names_are_declared_before_their_samples_and_stay_together(void **state)
{
    (void)state;
    char *text = format_report("quickstart", 2.5), seen[64][64], current[64] = "";
    size_t seen_count = 0, samples = 0;
    assert_true(strlen(text) > 0 && text[strlen(text) - 1] == '\n');
    for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
        char name[64];
        if (sscanf(line, "# HELP %63s", name) == 1) {
            for (size_t i = 0; i < seen_count; i++)
                assert_string_not_equal(seen[i], name);
            (void)strcpy(seen[seen_count++], name);
            (void)strcpy(current, name);
            line = strtok(NULL, "\n");
            assert_non_null(line);
            char type[16];
            assert_int_equal(sscanf(line, "# TYPE %63s %15s", name, type), 2);
            assert_string_equal(name, current);
            continue;
        }
        assert_true(strncmp(line, "reeve_", 6) == 0);
        assert_int_equal(strcspn(line, "{"), strlen(current));
        assert_int_equal(strncmp(line, current, strlen(current)), 0);
        samples++;
    }
    assert_true(samples > seen_count && seen_count > 10);
    free(text);
}

static void figures_that_do_not_exist_are_left_out(void **state)
{
    (void)state;
    char *text = format_report("a", NAN);
    assert_null(strstr(text, "reeve_loss"));
    assert_null(strstr(text, "nan"));
    free(text);
    text = format_report("a", 2.5);
    assert_non_null(strstr(text, "reeve_loss{job_name=\"a\"} 2.5\n"));
    free(text);
}

static void label_values_are_escaped(void **state)
{
    (void)state;
    char *text = format_report("a\"b\\c\nd", 1.0);
    assert_non_null(strstr(text, "job_name=\"a\\\"b\\\\c\\nd\""));
    free(text);
}

static void exactly_one_state_is_one(void **state)
{
    (void)state;
    char *text = format_report("a", 1.0);
    assert_non_null(strstr(text, "reeve_run_state{job_name=\"a\",state=\"running\"} 1\n"));
    assert_non_null(strstr(text, "reeve_run_state{job_name=\"a\",state=\"failed\"} 0\n"));
    free(text);
}

static void file_is_the_text(void **state)
{
    (void)state;
    struct reeve_status_report r;
    reeve_status_report_init(&r);
    char *expected = NULL, *found = NULL;
    size_t bytes = 0;
    assert_int_equal(reeve_prometheus_format(&r, &expected, NULL), REEVE_OK);
    assert_int_equal(reeve_prometheus_write(folder_file("reeve.prom"), &r, NULL), REEVE_OK);
    assert_int_equal(reeve_file_read(folder_file("reeve.prom"), 1 << 20, &found, &bytes, NULL), REEVE_OK);
    assert_string_equal(found, expected);
    free(expected);
    free(found);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(names_are_declared_before_their_samples_and_stay_together),
        cmocka_unit_test(figures_that_do_not_exist_are_left_out),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(exactly_one_state_is_one),
        cmocka_unit_test(file_is_the_text),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
