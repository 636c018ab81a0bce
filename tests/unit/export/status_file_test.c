/* status.json: what is written is read back, and what is damaged is refused with the place. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/path.h"
#include "base/random.h"
#include "export/status_file.h"
#include "folder.h"

static struct reeve_status_report sample_report(void)
{
    struct reeve_status_report r;
    reeve_status_report_init(&r);
    r.state = REEVE_RUN_RUNNING;
    (void)strcpy(r.job, "quick \"start\" \xc3\xa4");
    r.run_id = UINT64_MAX - 5; /* beyond what a JSON integer holds */
    r.step = 123;
    r.steps = 300;
    r.samples = 123 * 32;
    r.loss = 2.345678901234567;
    r.learning_rate = 1e-3;
    r.workers = 3;
    r.tasks_leased = 5;
    r.last_checkpoint_step = 100;
    r.last_checkpoint_wall_ns = 1700000000123456789;
    (void)strcpy(r.message, "line\none");
    (void)strcpy(r.silent_host, "n3");
    r.silent_s = 7.5;
    r.workers_long = 2;
    return r;
}

static void status_written_is_status_read(void **state)
{
    (void)state;
    struct reeve_status_report r = sample_report(), back;
    assert_int_equal(reeve_status_file_write(folder_file("status.json"), &r, NULL), REEVE_OK);
    assert_int_equal(reeve_status_file_read(folder_file("status.json"), &back, NULL), REEVE_OK);
    assert_int_equal(back.state, REEVE_RUN_RUNNING);
    assert_string_equal(back.job, r.job);
    assert_string_equal(back.message, r.message);
    assert_string_equal(back.silent_host, "n3");
    assert_true(back.silent_s == 7.5);
    assert_int_equal(back.workers_long, 2);
    assert_true(back.run_id == r.run_id);
    assert_true(back.last_checkpoint_wall_ns == r.last_checkpoint_wall_ns);
    assert_true(back.loss == r.loss); /* every bit of it */
    assert_true(isnan(back.eval_loss));
    assert_int_equal(back.exit_code, -1);
    assert_int_equal(back.pid, getpid());
    assert_true(back.updated_wall_ns > 0);
}

static void status_of_an_earlier_version_is_read(void **state)
{ /* It knew no silent hosts, and no long work. A key that was there from the first day is missed. */
    (void)state;
    struct reeve_status_report r = sample_report(), back;
    for (int round = 0; round < 2; round++) {
        assert_int_equal(reeve_status_file_write(folder_file("old.json"), &r, NULL), REEVE_OK);
        char *text = NULL;
        size_t bytes = 0;
        assert_int_equal(reeve_file_read(folder_file("old.json"), 65536, &text, &bytes, NULL), REEVE_OK);
        const char *keys[] = {"\"silent_host\"", "\"silent_s\"", "\"workers_long\"", "\"restarts\""};
        for (int i = 0; i < 3 + round; i++)
            strstr(text, keys[i])[1] = 'X'; /* some key that nobody knows */
        folder_write("old.json", text);
        free(text);
        reeve_status st = reeve_status_file_read(folder_file("old.json"), &back, NULL);
        assert_int_equal(st, round == 0 ? REEVE_OK : REEVE_STORE_CORRUPT);
    }
    assert_string_equal(back.silent_host, "");
    assert_int_equal(back.step, 123);
}

static void every_state_has_a_name_and_comes_back(void **state)
{
    (void)state;
    for (int s = REEVE_RUN_STARTING; s <= REEVE_RUN_FAILED; s++) {
        struct reeve_status_report r = sample_report(), back;
        r.state = (enum reeve_run_state)s;
        assert_int_equal(reeve_status_file_write(folder_file("state.json"), &r, NULL), REEVE_OK);
        assert_int_equal(reeve_status_file_read(folder_file("state.json"), &back, NULL), REEVE_OK);
        assert_int_equal(back.state, s);
    }
    assert_string_equal(reeve_run_state_name((enum reeve_run_state)99), "?");
}

static void infinite_figures_are_null_and_read_as_nan(void **state)
{
    (void)state;
    struct reeve_status_report r = sample_report(), back;
    r.loss = INFINITY;
    r.tokens_per_s = -INFINITY;
    assert_int_equal(reeve_status_file_write(folder_file("inf.json"), &r, NULL), REEVE_OK);
    assert_int_equal(reeve_status_file_read(folder_file("inf.json"), &back, NULL), REEVE_OK);
    assert_true(isnan(back.loss) && isnan(back.tokens_per_s));
}

static void text_that_is_no_utf8_does_not_stop_the_status(void **state)
{
    (void)state;
    struct reeve_status_report r = sample_report(), back;
    (void)strcpy(r.message, "caf\xe9");
    memset(r.job, 'x', sizeof r.job); /* and one without an end */
    assert_int_equal(reeve_status_file_write(folder_file("odd.json"), &r, NULL), REEVE_OK);
    assert_int_equal(reeve_status_file_read(folder_file("odd.json"), &back, NULL), REEVE_OK);
    assert_string_equal(back.message, "caf?");
    assert_int_equal(strlen(back.job), sizeof back.job - 1);
}

static void expect_refused(const char *text, const char *word)
{
    struct reeve_status_report r = sample_report();
    struct reeve_error err = {0};
    folder_write("bad.json", text);
    assert_int_equal(reeve_status_file_read(folder_file("bad.json"), &r, &err), REEVE_STORE_CORRUPT);
    assert_non_null(strstr(err.text, "bad.json"));
    if (strstr(err.text, word) == NULL) fail_msg("'%s' does not name '%s'", err.text, word);
    assert_int_equal(r.step, 123); /* untouched */
}

static void damaged_status_is_refused_with_its_place(void **state)
{
    (void)state;
    expect_refused("", "no JSON");
    expect_refused("[]", "format");
    expect_refused("{\"format\": 1", "no JSON");
    expect_refused("{\"format\": 2}", "format");
    expect_refused("{\"format\": 1, \"format\": 1}", "no JSON");
    expect_refused("{\"format\": 1, \"state\": \"dancing\"}", "state");
    expect_refused("{\"format\": 1, \"state\": \"running\", \"job\": \"x\", \"run_id\": \"12\"}", "run_id");
    expect_refused(
        "{\"format\": 1, \"state\": \"running\", \"job\": \"x\", \"run_id\": \"00000000000000aa\", \"step\": -1}",
        "step");
    expect_refused("{\"format\": 1, \"state\": \"running\", \"job\": 5}", "job");
}

/* Goal: no flipped byte crashes the reader or gives a report that breaks its bounds. */
static void flipped_bytes_are_read_or_refused(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    struct reeve_status_report r = sample_report();
    assert_int_equal(reeve_status_file_write(folder_file("flip.json"), &r, NULL), REEVE_OK);
    char *text;
    size_t bytes;
    assert_int_equal(reeve_file_read(folder_file("flip.json"), 1 << 20, &text, &bytes, NULL), REEVE_OK);
    for (uint64_t i = 0; i < 500; i++) {
        size_t at = reeve_random_below(seed, 1, i, bytes);
        char before = text[at];
        text[at] = (char)(text[at] ^ (1 + reeve_random_below(seed, 2, i, 255)));
        FILE *file = fopen(folder_file("flip.json"), "w");
        assert_non_null(file);
        assert_int_equal(fwrite(text, 1, bytes, file), bytes);
        assert_int_equal(fclose(file), 0);
        struct reeve_status_report back;
        struct reeve_error err = {0};
        reeve_status st = reeve_status_file_read(folder_file("flip.json"), &back, &err);
        if (st != REEVE_OK) assert_true(strlen(err.text) > 0);
        else assert_true(memchr(back.job, 0, sizeof back.job) != NULL && back.state <= REEVE_RUN_FAILED);
        text[at] = before;
    }
    free(text);
}

static void missing_status_is_missing(void **state)
{
    (void)state;
    struct reeve_status_report r;
    assert_int_equal(reeve_status_file_read(folder_file("nowhere.json"), &r, NULL), REEVE_INPUT_MISSING);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(status_written_is_status_read),
        cmocka_unit_test(every_state_has_a_name_and_comes_back),
        cmocka_unit_test(infinite_figures_are_null_and_read_as_nan),
        cmocka_unit_test(text_that_is_no_utf8_does_not_stop_the_status),
        cmocka_unit_test(damaged_status_is_refused_with_its_place),
        cmocka_unit_test(flipped_bytes_are_read_or_refused),
        cmocka_unit_test(status_of_an_earlier_version_is_read),
        cmocka_unit_test(missing_status_is_missing),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
