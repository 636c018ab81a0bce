/* What Slurm's accounting says of a job that has ended: words from outside, read with care. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/slurm.h"

static void ended_job_is_read_from_one_line(void **state)
{
    static const struct {
        const char *says, *state, *reason, *nodes;
        int exit_code, signal;
    } cases[] = {
        {"COMPLETED|0:0|None|n[1-4]\n", "COMPLETED", "None", "n[1-4]", 0, 0},
        {"FAILED|75:0|None|n1\n", "FAILED", "None", "n1", 75, 0},
        {"TIMEOUT|0:0|Dependency|n1", "TIMEOUT", "Dependency", "n1", 0, 0},
        {"OUT_OF_MEMORY|0:125||n1\n\n", "OUT_OF_MEMORY", "", "n1", 0, 125},
        {"CANCELLED by 1000|0:9|Priority|None assigned\n", "CANCELLED", "Priority", "", 0, 9},
        {"NODE_FAIL|0:0|None|n[1-4]\nCOMPLETED|0:0|None|n[2-5]\n", "COMPLETED", "None", "n[2-5]", 0, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct reeve_slurm_job job;
        memset(&job, 0xff, sizeof job);
        if (!reeve_slurm_parse_ended(cases[i].says, &job)) fail_msg("not read: %s", cases[i].says);
        assert_true(job.ended);
        assert_string_equal(job.state, cases[i].state);
        assert_string_equal(job.reason, cases[i].reason);
        assert_string_equal(job.nodes, cases[i].nodes);
        assert_string_equal(job.left, "");
        assert_int_equal(job.exit_code, cases[i].exit_code);
        assert_int_equal(job.signal, cases[i].signal);
    }
}

static void what_is_no_such_line_is_refused(void **state)
{
    static const char *const says[] = {"",
                                       "\n",
                                       "|",
                                       "|||",
                                       "COMPLETED",
                                       "COMPLETED|",
                                       "COMPLETED|0|None|n1",
                                       "COMPLETED|0:|None|n1",
                                       "COMPLETED|:0|None|n1",
                                       "COMPLETED|0:0:0|None|n1",
                                       "COMPLETED|-1:0|None|n1",
                                       "COMPLETED|256:0|None|n1",
                                       "COMPLETED|99999999999999999999:0|None|n1",
                                       "COMPLETED|0:x|None|n1",
                                       "sacct: error: slurmdbd|0:0|None|n1",
                                       "COMPLETED|0:0|None|n1\nsacct: error: something came in between"};
    (void)state;
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        struct reeve_slurm_job job = {.state = "as before"};
        if (reeve_slurm_parse_ended(says[i], &job)) fail_msg("read: %s", says[i]);
        assert_string_equal(job.state, "as before");
    }
    char longest[2000];
    struct reeve_slurm_job job;
    memset(longest, 'A', sizeof longest);
    (void)snprintf(longest + 500, sizeof longest - 500, "|0:0|%01000d|n1", 7);
    assert_true(reeve_slurm_parse_ended(longest, &job)); /* cut, not overrun */
    assert_int_equal(strlen(job.state), sizeof job.state - 1);
    assert_int_equal(strlen(job.reason), sizeof job.reason - 1);
}

static void only_a_job_that_has_ended_is_read_of_the_controller(void **state)
{
    (void)state;
    struct reeve_slurm_job job = {.state = "as before"};
    static const char *const says[] = {
        "",
        "JobState=FAILED ExitCode=1:0",
        "JobId=7 JobState= ExitCode=1:0",
        "JobId=7 JobState=FAILED",
        "JobId=7 JobState=FAILED ExitCode=1",
        "JobId=7 JobState=FAILED DerivedExitCode=1:0",
        "JobId=7 JobState=PENDING Reason=BeginTime ExitCode=0:0 NodeList=(null)",
        "JobId=7 JobState=RUNNING Reason=None ExitCode=0:0 NodeList=n1",
        "JobId=7 JobState=COMPLETING Reason=None ExitCode=0:0 NodeList=n1",
    };
    for (size_t i = 0; i < sizeof says / sizeof says[0]; i++) {
        if (reeve_slurm_parse_shown(says[i], &job)) fail_msg("read: %s", says[i]);
        assert_string_equal(job.state, "as before");
    }
    assert_true(reeve_slurm_parse_shown("JobId=7 JobName=a JobState=FAILED Reason=NonZeroExitCode Restarts=2 "
                                        "ExitCode=75:0 DerivedExitCode=0:0 ReqNodeList=n9 NodeList=n[1-4]\n",
                                        &job));
    assert_true(job.ended);
    assert_string_equal(job.state, "FAILED");
    assert_string_equal(job.reason, "NonZeroExitCode");
    assert_string_equal(job.nodes, "n[1-4]");
    assert_int_equal(job.exit_code, 75);
    assert_int_equal(job.signal, 0);
}

static void fences_hold_ranks_back_in_a_ring_or_on_one_node(void **state)
{
    static const struct {
        const char *job, *nodes, *fence;
        bool loose;
    } cases[] = {
        {"slurm.pmix.7.0", "2", NULL, true},    {"slurm.pmix.7.0", "16", "mixed", true},
        {"slurm.pmix.7.0", "2", "tree", true},  {"slurm.pmix.7.0", "2", "", true},
        {"slurm.pmix.7.0", "2", "ring", false}, {"slurm.pmix.7.0", "1", NULL, false},
        {"slurm.pmix.7.0", NULL, NULL, false},  {"prterun-n1-110@1", "1", NULL, false},
        {"424935425", "2", NULL, false},        {NULL, "2", NULL, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        const char *const names[] = {"PMIX_NAMESPACE", "SLURM_STEP_NUM_NODES", "SLURM_PMIX_FENCE"};
        const char *const values[] = {cases[i].job, cases[i].nodes, cases[i].fence};
        for (int k = 0; k < 3; k++)
            assert_int_equal(values[k] != NULL ? setenv(names[k], values[k], 1) : unsetenv(names[k]), 0);
        if (reeve_slurm_fences_are_loose() != cases[i].loose) fail_msg("case %zu", i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_a_job_that_has_ended_is_read_of_the_controller),
        cmocka_unit_test(ended_job_is_read_from_one_line),
        cmocka_unit_test(fences_hold_ranks_back_in_a_ring_or_on_one_node),
        cmocka_unit_test(what_is_no_such_line_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
