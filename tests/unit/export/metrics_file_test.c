/* metrics.jsonl: lines are only added, and readers see the steps that count. */
#include <jansson.h>
#include <math.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "export/metrics_file.h"
#include "folder.h"

static struct reeve_metrics_row row_of(uint64_t step, double loss)
{
    return (struct reeve_metrics_row){.step = step,
                                      .epoch = step / 10,
                                      .samples = step * 32,
                                      .workers = 2,
                                      .membership_epoch = 1 + (uint32_t)(step / 7),
                                      .loss = loss,
                                      .eval_loss = NAN,
                                      .learning_rate = 1e-3,
                                      .grad_norm = 0.5,
                                      .tokens_per_s = 1e4,
                                      .step_seconds = 0.25,
                                      .wall_ns = 1700000000000000000};
}

static void append(const char *name, uint64_t first, uint64_t last, double loss)
{
    reeve_metrics_file *m = NULL;
    assert_int_equal(reeve_metrics_open(folder_file(name), &m, NULL), REEVE_OK);
    for (uint64_t step = first; step <= last; step++) {
        struct reeve_metrics_row row = row_of(step, loss);
        assert_int_equal(reeve_metrics_append(m, &row, NULL), REEVE_OK);
    }
    reeve_metrics_close(m);
}

static struct reeve_metrics_row *read_back(const char *name, uint64_t expected_count, uint64_t expected_skipped)
{
    struct reeve_metrics_row *rows = NULL;
    uint64_t count = 0, skipped = 0;
    assert_int_equal(reeve_metrics_read(folder_file(name), &rows, &count, &skipped, NULL), REEVE_OK);
    assert_int_equal(count, expected_count);
    assert_int_equal(skipped, expected_skipped);
    return rows;
}

static void rows_written_are_rows_read(void **state)
{
    (void)state;
    append("plain.jsonl", 1, 20, 1.0 / 3.0);
    struct reeve_metrics_row *rows = read_back("plain.jsonl", 20, 0);
    for (uint64_t i = 0; i < 20; i++) {
        assert_int_equal(rows[i].step, i + 1);
        assert_true(rows[i].loss == 1.0 / 3.0);
        assert_true(isnan(rows[i].eval_loss));
        assert_int_equal(rows[i].samples, (i + 1) * 32);
        assert_int_equal(rows[i].membership_epoch, 1 + (i + 1) / 7);
        assert_false(rows[i].refused);
    }
    free(rows);
}

static void every_line_is_one_json_object(void **state)
{
    (void)state;
    reeve_metrics_file *m = NULL;
    struct reeve_metrics_row row = row_of(1, NAN);
    row.refused = true;
    row.grad_norm = INFINITY;
    assert_int_equal(reeve_metrics_open(folder_file("lines.jsonl"), &m, NULL), REEVE_OK);
    assert_int_equal(reeve_metrics_append(m, &row, NULL), REEVE_OK);
    assert_int_equal(reeve_metrics_append_eval(m, 1, 2.5, NULL), REEVE_OK);
    assert_int_equal(reeve_metrics_append_resumed(m, 1, 3, NULL), REEVE_OK);
    reeve_metrics_close(m);
    FILE *file = fopen(folder_file("lines.jsonl"), "r");
    char line[4096];
    int lines = 0;
    for (; fgets(line, sizeof line, file) != NULL; lines++) {
        json_t *o = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_true(json_is_object(o));
        assert_true(json_is_integer(json_object_get(o, "step")) && json_is_number(json_object_get(o, "time")));
        json_decref(o);
    }
    (void)fclose(file);
    assert_int_equal(lines, 3);
    struct reeve_metrics_row *rows = read_back("lines.jsonl", 1, 0);
    assert_true(rows[0].refused && isnan(rows[0].loss) && rows[0].eval_loss == 2.5);
    free(rows);
}

static void steps_after_the_one_resumed_at_are_superseded(void **state)
{
    (void)state;
    reeve_metrics_file *m = NULL;
    append("resumed.jsonl", 1, 17, 5.0);
    assert_int_equal(reeve_metrics_open(folder_file("resumed.jsonl"), &m, NULL), REEVE_OK);
    assert_int_equal(reeve_metrics_append_resumed(m, 10, 5, NULL), REEVE_OK);
    reeve_metrics_close(m);
    free(read_back("resumed.jsonl", 10, 0)); /* nothing was done again yet */
    append("resumed.jsonl", 11, 14, 4.0);
    struct reeve_metrics_row *rows = read_back("resumed.jsonl", 14, 0);
    for (uint64_t i = 0; i < 14; i++) {
        assert_int_equal(rows[i].step, i + 1);
        assert_true(rows[i].loss == (i < 10 ? 5.0 : 4.0));
    }
    free(rows);
}

static void resuming_from_the_seed_supersedes_everything(void **state)
{
    (void)state;
    reeve_metrics_file *m = NULL;
    append("zero.jsonl", 1, 3, 5.0);
    assert_int_equal(reeve_metrics_open(folder_file("zero.jsonl"), &m, NULL), REEVE_OK);
    assert_int_equal(reeve_metrics_append_resumed(m, 0, 1, NULL), REEVE_OK);
    reeve_metrics_close(m);
    free(read_back("zero.jsonl", 0, 0));
}

static void line_cut_by_a_crash_spoils_no_other(void **state)
{
    (void)state;
    append("torn.jsonl", 1, 2, 5.0);
    FILE *file = fopen(folder_file("torn.jsonl"), "a");
    (void)fputs("{\"step\":3,\"ti", file);
    (void)fclose(file);
    append("torn.jsonl", 3, 4, 4.0);
    struct reeve_metrics_row *rows = read_back("torn.jsonl", 4, 1);
    assert_int_equal(rows[2].step, 3);
    free(rows);
}

static void odd_lines_are_passed_over_and_counted(void **state)
{
    (void)state;
    char *longest = malloc(200001);
    assert_non_null(longest);
    memset(longest, 'x', 200000);
    longest[200000] = '\0';
    FILE *file = fopen(folder_file("odd.jsonl"), "w");
    (void)fprintf(file, "\n[1]\n{\"step\":-4}\n{\"step\":1}\n%s\n{\"event\":\"of a later version\",\"step\":9}\n",
                  longest);
    (void)fclose(file);
    free(longest);
    append("odd.jsonl", 1, 1, 5.0);
    struct reeve_metrics_row *rows = read_back("odd.jsonl", 1, 5);
    assert_int_equal(rows[0].step, 1);
    free(rows);
}

/* Goal: after any mixture of runs and resumes the reader gives steps 1..n once, each as last written. */
static void any_history_reads_as_its_last_timeline(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL), step = 0, expected_of[600] = {0};
    print_message("seed %llu\n", (unsigned long long)seed);
    reeve_metrics_file *m = NULL;
    assert_int_equal(reeve_metrics_open(folder_file("any.jsonl"), &m, NULL), REEVE_OK);
    for (uint64_t i = 0; i < 500; i++) {
        if (reeve_random_below(seed, 1, i, 10) == 0) {
            step = reeve_random_below(seed, 2, i, step + 1);
            assert_int_equal(reeve_metrics_append_resumed(m, step, 1, NULL), REEVE_OK);
        } else {
            struct reeve_metrics_row row = row_of(++step, (double)i);
            expected_of[step] = i;
            assert_int_equal(reeve_metrics_append(m, &row, NULL), REEVE_OK);
        }
    }
    reeve_metrics_close(m);
    struct reeve_metrics_row *rows = read_back("any.jsonl", step, 0);
    for (uint64_t i = 0; i < step; i++)
        assert_true(rows[i].step == i + 1 && rows[i].loss == (double)expected_of[i + 1]);
    free(rows);
}

static void opening_what_is_no_plain_file_is_refused(void **state)
{
    (void)state;
    reeve_metrics_file *m = NULL;
    struct reeve_error err = {0};
    assert_int_equal(reeve_metrics_open(folder, &m, &err), REEVE_STORE_CREATE);
    assert_int_equal(reeve_metrics_open(folder_file("none/at/all"), &m, &err), REEVE_STORE_CREATE);
    assert_non_null(strstr(err.text, "none/at/all"));
}

/* Goal: a disk without room is an error, and not a shorter file in silence. Method: a limit of the file's size. */
static void full_disk_is_an_error_of_the_write(void **state)
{
    (void)state;
    struct rlimit before, none = {0, RLIM_INFINITY};
    struct reeve_metrics_row row = row_of(1, 1.0);
    struct reeve_error err = {0};
    reeve_metrics_file *m = NULL;
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(reeve_metrics_open(folder_file("full.jsonl"), &m, NULL), REEVE_OK);
    (void)signal(SIGXFSZ, SIG_IGN);
    none.rlim_max = before.rlim_max;
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
    reeve_status st = reeve_metrics_append(m, &row, &err);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
    assert_int_equal(st, REEVE_STORE_WRITE);
    assert_non_null(strstr(err.text, "full.jsonl"));
    assert_int_equal(reeve_metrics_append(m, &row, NULL), REEVE_OK); /* and it goes on when there is room again */
    reeve_metrics_close(m);
    free(read_back("full.jsonl", 1, 0));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_written_are_rows_read),
        cmocka_unit_test(every_line_is_one_json_object),
        cmocka_unit_test(steps_after_the_one_resumed_at_are_superseded),
        cmocka_unit_test(resuming_from_the_seed_supersedes_everything),
        cmocka_unit_test(line_cut_by_a_crash_spoils_no_other),
        cmocka_unit_test(odd_lines_are_passed_over_and_counted),
        cmocka_unit_test(any_history_reads_as_its_last_timeline),
        cmocka_unit_test(opening_what_is_no_plain_file_is_refused),
        cmocka_unit_test(full_disk_is_an_error_of_the_write),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
