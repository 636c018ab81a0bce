/* starts.jsonl: what is written is read back, and what nobody could write down is concluded. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "export/starts_file.h"
#include "folder.h"

/* The folder of a run that was never started. */
static const char *fresh_run(void)
{
    (void)unlink(folder_file("starts.jsonl"));
    return folder;
}

static void add_start(const char *dir, uint32_t epoch, uint64_t job, uint32_t count)
{
    struct reeve_start s = {.epoch = epoch, .step = epoch * 10u, .workers = 4, .job_id = job, .restart_count = count};
    assert_int_equal(reeve_starts_append_start(dir, &s, NULL), REEVE_OK);
}

static void add_end(const char *dir, uint32_t epoch, enum reeve_cause cause, uint64_t checkpoint)
{
    struct reeve_start s = {
        .epoch = epoch, .cause = cause, .exit_code = 75, .last_step = checkpoint + 1, .checkpoint = checkpoint};
    assert_int_equal(reeve_starts_append_end(dir, &s, NULL), REEVE_OK);
}

static void add_requeued(const char *dir, uint32_t epoch, uint64_t job, uint32_t count, uint64_t checkpoint)
{
    struct reeve_start s = {
        .epoch = epoch, .job_id = job, .restart_count = count, .cause = REEVE_CAUSE_CRASH, .checkpoint = checkpoint};
    assert_int_equal(reeve_starts_append_requeued(dir, &s, NULL), REEVE_OK);
}

static void nothing_is_there_before_the_first_start(void **state)
{
    struct reeve_starts all;
    assert_int_equal(reeve_starts_read(fresh_run(), &all, NULL), REEVE_OK);
    assert_int_equal(all.count, 0);
    reeve_starts_fini(&all);
}

static void a_start_is_read_back_as_it_was_written(void **state)
{
    const char *dir = fresh_run();
    struct reeve_start joined = {.epoch = 1};
    (void)snprintf(joined.hosts, sizeof(joined.hosts), "n1 n2");
    add_start(dir, 1, 17, 2);
    assert_int_equal(reeve_starts_append_joined(dir, &joined, NULL), REEVE_OK);
    add_end(dir, 1, REEVE_CAUSE_TIME_LIMIT, 40);
    struct reeve_starts all;
    assert_int_equal(reeve_starts_read(dir, &all, NULL), REEVE_OK);
    assert_int_equal(all.count, 1);
    const struct reeve_start *s = &all.start[0];
    assert_true(s->began_wall_ns > 0 && s->ended_wall_ns >= s->began_wall_ns && s->ended);
    assert_true(s->step == 10 && s->workers == 4 && s->job_id == 17 && s->restart_count == 2);
    assert_string_equal(s->hosts, "n1 n2");
    assert_true(s->cause == REEVE_CAUSE_TIME_LIMIT && s->exit_code == 75 && s->last_step == 41 && s->checkpoint == 40);
    assert_int_equal(all.causes[REEVE_CAUSE_TIME_LIMIT], 1);
    reeve_starts_fini(&all);
}

static void an_end_that_nobody_wrote_is_concluded(void **state)
{
    const char *dir = fresh_run();
    add_start(dir, 1, 0, 0);  /* by hand, and killed */
    add_start(dir, 2, 17, 0); /* its node failed: the job comes back with a count that nobody asked for */
    add_start(dir, 3, 17, 1); /* crashed, and was queued again by us */
    add_requeued(dir, 3, 17, 1, 5);
    add_start(dir, 4, 17, 2); /* killed; a later job goes on */
    add_start(dir, 5, 18, 0); /* runs */
    struct reeve_starts all;
    assert_int_equal(reeve_starts_read(dir, &all, NULL), REEVE_OK);
    assert_int_equal(all.count, 5);
    assert_int_equal(all.start[0].cause, REEVE_CAUSE_CRASH);
    assert_int_equal(all.start[1].cause, REEVE_CAUSE_NODE_FAILURE);
    assert_int_equal(all.start[2].cause, REEVE_CAUSE_CRASH);
    assert_true(all.start[2].queued_again);
    assert_int_equal(all.start[3].cause, REEVE_CAUSE_CRASH);
    assert_int_equal(all.start[4].cause, REEVE_CAUSE_NONE);
    assert_int_equal(all.causes[REEVE_CAUSE_CRASH], 3);
    reeve_starts_fini(&all);
}

static void barren_counts_requeues_without_a_newer_checkpoint(void **state)
{
    static const struct {
        uint64_t checkpoint;
        uint32_t barren;
    } steps[] = {{0, 1}, {0, 2}, {10, 0}, {10, 1}, {20, 0}, {5, 1}};
    const char *dir = fresh_run();
    for (uint32_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        struct reeve_starts all;
        add_requeued(dir, 0, 17, i, steps[i].checkpoint); /* it never got as far as a start */
        assert_int_equal(reeve_starts_read(dir, &all, NULL), REEVE_OK);
        assert_int_equal(all.barren, steps[i].barren);
        assert_true(all.saved == steps[i].checkpoint);
        reeve_starts_fini(&all);
    }
}

static void foreign_and_torn_lines_are_passed_over(void **state)
{
    const char *dir = fresh_run();
    add_start(dir, 1, 17, 0);
    FILE *f = fopen(folder_file("starts.jsonl"), "a");
    assert_non_null(f);
    (void)fputs(
        "not "
        "json\n[1]\n{\"event\":\"end\",\"epoch\":-1}\n{\"event\":7,\"epoch\":1}\n{\"event\":\"later\",\"epoch\":1}\n"
        "{\"event\":\"end\",\"epoch\":1,\"cause\":\"some new word\",\"exit_code\":75}\n"
        "{\"event\":\"joined\",\"epoch\":1,\"hosts\":\"n1\\u001b[2J\\nn2\"}\n{\"event\":\"sta",
        f);
    (void)fclose(f);
    add_start(dir, 2, 17, 1);
    struct reeve_starts all;
    assert_int_equal(reeve_starts_read(dir, &all, NULL), REEVE_OK);
    assert_int_equal(all.count, 2);
    assert_true(all.start[0].ended && all.start[0].cause == REEVE_CAUSE_CRASH);
    assert_string_equal(all.start[0].hosts, "n1 [2J n2"); /* no command to a terminal */
    assert_int_equal(all.start[1].epoch, 2);
    reeve_starts_fini(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_there_before_the_first_start),
        cmocka_unit_test(a_start_is_read_back_as_it_was_written),
        cmocka_unit_test(an_end_that_nobody_wrote_is_concluded),
        cmocka_unit_test(barren_counts_requeues_without_a_newer_checkpoint),
        cmocka_unit_test(foreign_and_torn_lines_are_passed_over),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
