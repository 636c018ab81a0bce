/* The batch script of `reeve submit`: who goes where, and words that travel whole. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/submit_script.h"

static void every_way_to_ask_for_nodes_has_one_answer(void **state)
{
    static const struct {
        uint32_t nodes, tasks, job_nodes, job_tasks, job_workers; /* asked for; in the job */
        uint32_t got_nodes, got_tasks, got_workers;
    } cases[] = {
        {0, 0, 0, 0, 2, 1, 2, 2},                             /* nothing said: all on one node */
        {4, 0, 0, 0, 2, 4, 1, 4},                             /* no node is idle */
        {4, 0, 0, 0, 10, 4, 3, 10},                           /* spread evenly */
        {4, 2, 0, 0, 10, 4, 2, 8},                            /* both said: their product */
        {0, 4, 0, 0, 10, 3, 4, 12}, {0, 0, 2, 0, 6, 2, 3, 6}, /* as the job says */
        {0, 0, 0, 4, 10, 3, 4, 10}, {0, 0, 2, 2, 6, 2, 2, 4}, /* the job's nodes have no room for more */
        {3, 0, 2, 2, 6, 3, 2, 6},                             /* the command line comes before the job */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        static struct reeve_job job;
        struct reeve_submission s = {0};
        job.resources.nodes = cases[i].job_nodes;
        job.resources.tasks_per_node = cases[i].job_tasks;
        job.resources.workers = cases[i].job_workers;
        reeve_submission_place(&s, cases[i].nodes, cases[i].tasks, &job);
        if (s.nodes != cases[i].got_nodes || s.tasks_per_node != cases[i].got_tasks ||
            s.workers != cases[i].got_workers)
            fail_msg("case %zu: %u nodes of %u, %u workers", i, s.nodes, s.tasks_per_node, s.workers);
        assert_true(s.workers >= s.nodes && s.workers <= s.nodes * s.tasks_per_node);
    }
}

static void names_become_words(void **state)
{
    char out[12];
    reeve_submission_name("gpt2 $(rm -r)", out, sizeof out);
    assert_string_equal(out, "gpt2---rm--");
    reeve_submission_name("a.b_c-9", out, sizeof out);
    assert_string_equal(out, "a.b_c-9");
}

static struct reeve_submission usual(void)
{
    return (struct reeve_submission){.job_path = "/jobs/it's.yaml",
                                     .run_dir = "/runs/50%",
                                     .program_dir = "/opt/reeve/bin",
                                     .name = "x",
                                     .nodes = 4,
                                     .tasks_per_node = 2,
                                     .workers = 8,
                                     .cores = 8,
                                     .unit = "thread",
                                     .time = "12:00:00",
                                     .partition = "",
                                     .account = ""};
}

static bool has(const struct reeve_submission *s, const char *part)
{
    char *text = NULL;
    assert_int_equal(reeve_submission_script(s, &text, NULL), REEVE_OK);
    bool found = strstr(text, part) != NULL;
    free(text);
    return found;
}

static void the_script_says_what_was_asked_for(void **state)
{
    struct reeve_submission s = usual();
    assert_true(has(&s, "#SBATCH --nodes=4\n"));
    assert_true(has(&s, "#SBATCH --ntasks-per-node=17\n")); /* 2 x 8 cores, and one for the master */
    assert_true(has(&s, "#SBATCH --time=12:00:00\n"));
    assert_false(has(&s, "--partition"));
    assert_false(has(&s, "gpus"));
    s.gpus_per_node = 2;
    assert_true(has(&s, "\n#SBATCH --gpus-per-node=2\n"));
    assert_false(has(&s, "per-task"));
    assert_true(has(&s, "job='/jobs/it'\\''s.yaml'\n"));
    assert_true(has(&s, "#SBATCH --output=\"/runs/50%%/submit/slurm-%j.out\"\n"));
    assert_true(has(&s, "#SBATCH --no-kill\n") && has(&s, "#SBATCH --requeue\n"));
    assert_true(has(&s, "exec reeve requeue \"$run\" --after \"$code\"\n"));
    s.srun = true;
    assert_true(has(&s, "srun --mpi=pmix"));
    assert_false(has(&s, "--no-kill"));
    s.chain = true;
    assert_true(has(&s, "#SBATCH --dependency=singleton\n") && has(&s, "exit \"$code\"\n"));
    assert_false(has(&s, "reeve requeue"));
}

static void workers_that_run_commands_need_a_core_for_each_at_once(void **state)
{
    static struct reeve_job job;
    struct reeve_submission s = usual();
    (void)snprintf(job.workload, sizeof job.workload, "exec");
    job.resources.threads = 8; /* of a workload that trains; nothing here */
    job.exec.slots = 3;
    reeve_submission_cores(&s, &job);
    assert_true(has(&s, "# Cores of a node: 2 workers of 3 commands, and one for the master.\n"
                        "#SBATCH --ntasks-per-node=7\n"));
    (void)snprintf(job.workload, sizeof job.workload, "gpt");
    job.resources.threads = 1;
    reeve_submission_cores(&s, &job);
    assert_true(has(&s, "2 workers of 1 thread, and one for the master.\n#SBATCH --ntasks-per-node=3\n"));
}

static void options_of_ones_own_come_last_and_settings_are_quoted(void **state)
{
    const char *const sets[] = {"train.steps=9", "name='; rm -r /"}, *const extras[] = {"--qos=long --exclusive"};
    struct reeve_submission s = usual();
    s.sets = sets, s.set_count = 2, s.extras = extras, s.extra_count = 1;
    assert_true(has(&s, "#SBATCH --signal=B:USR2@60\n#SBATCH --qos=long --exclusive\n"));
    assert_true(has(&s, "set -- --set 'train.steps=9' --set 'name='\\''; rm -r /'\n"));
}

static void an_end_of_line_is_refused_where_it_would_end_a_comment(void **state)
{
    const char *const extras[] = {"--qos=a\nrm -r /"};
    struct reeve_submission s = usual();
    char *text = NULL;
    s.extras = extras, s.extra_count = 1;
    assert_int_equal(reeve_submission_script(&s, &text, NULL), REEVE_INPUT_INVALID);
    s = usual();
    s.run_dir = "/runs/a\nb";
    assert_int_equal(reeve_submission_script(&s, &text, NULL), REEVE_INPUT_INVALID);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_way_to_ask_for_nodes_has_one_answer),
        cmocka_unit_test(names_become_words),
        cmocka_unit_test(the_script_says_what_was_asked_for),
        cmocka_unit_test(workers_that_run_commands_need_a_core_for_each_at_once),
        cmocka_unit_test(options_of_ones_own_come_last_and_settings_are_quoted),
        cmocka_unit_test(an_end_of_line_is_refused_where_it_would_end_a_comment),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
