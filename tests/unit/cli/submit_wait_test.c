/* Which exit code `reeve submit --wait` ends with. Slurm is played by scripts that say what lies in files of their names:
 * squeue knows no job any more, scontrol and sacct what a case gives them; without a file they know nothing either. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/path.h"
#include "cli/submit_wait.h"
#include "export/starts_file.h"

static char folder[] = "/tmp/reeve-submit-wait-XXXXXX";

static void put_file(const char *name, const char *text, mode_t mode)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    if (text == NULL) {
        (void)unlink(path);
        return;
    }
    assert_int_equal(reeve_file_replace(path, text, strlen(text), false, NULL), REEVE_OK);
    assert_int_equal(chmod(path, mode), 0);
}

static int begin(void **state)
{
    (void)state;
    char path[4096];
    if (mkdtemp(folder) == NULL) return 1;
    put_file("squeue", "#!/bin/sh\necho 'slurm_load_jobs error: Invalid job id specified' >&2\nexit 1\n", 0700);
    put_file("scontrol", "#!/bin/sh\nexec cat \"$(dirname \"$0\")/shown.$4\"\n", 0700); /* --oneliner show job N */
    put_file("sacct", "#!/bin/sh\nexec cat \"$(dirname \"$0\")/kept.$5\"\n", 0700);     /* ... --jobs N ... */
    (void)snprintf(path, sizeof(path), "%s:%s", folder, getenv("PATH"));
    return setenv("PATH", path, 1);
}

static int end(void **state)
{
    (void)state;
    char command[128];
    (void)snprintf(command, sizeof(command), "rm -r %s", folder);
    return system(command);
}

/* A start of this job that ended so; ended with -1: it had no last word. */
static void put_start(uint64_t job_id, int exit_code)
{
    static uint32_t epoch;
    struct reeve_start s = {.epoch = ++epoch, .workers = 2, .job_id = job_id, .exit_code = exit_code};
    assert_int_equal(reeve_starts_append_start(folder, &s, NULL), REEVE_OK);
    if (exit_code >= 0) assert_int_equal(reeve_starts_append_end(folder, &s, NULL), REEVE_OK);
}

static void the_exit_code_is_that_of_the_run(void **state)
{
    static const struct {
        const char *shown, *kept; /* by scontrol, by sacct */
        int start, exit_code;     /* what the run has on record for a start by this job; -2: no start */
    } cases[] = {
        {"JobId=7 JobName=a JobState=FAILED Reason=NonZeroExitCode ExitCode=69:0 DerivedExitCode=0:0 NodeList=n1", NULL,
         -2, 69}, /* refused before it became a start */
        {"JobId=7 JobName=a JobState=COMPLETED Reason=None DerivedExitCode=9:0 ExitCode=0:0 NodeList=n1", NULL, -2, 0},
        {"JobId=7 JobName=a JobState=FAILED Reason=NonZeroExitCode ExitCode=70:0 NodeList=n1", NULL, 0, 70},
        {NULL, "FAILED|65:0|None|n1\n", -2, 65},
        {"slurm_load_jobs error: Invalid job id specified", "FAILED|66:0|None|n1\n", -2, 66},
        {"JobId=7 JobName=a JobState=CANCELLED Reason=None ExitCode=0:15 NodeList=n1", NULL, 75, 75},
        {"JobId=7 JobName=a JobState=TIMEOUT Reason=TimeLimit ExitCode=0:0 NodeList=n1", NULL, 75, 75},
        {"JobId=7 JobName=a JobState=NODE_FAIL Reason=None ExitCode=0:0 NodeList=n1", NULL, -1, 70},
        {"JobId=7 JobName=a JobState=TIMEOUT Reason=TimeLimit ExitCode=0:0 NodeList=n1", NULL, -2, 70},
        {NULL, NULL, 3, 3},
        {NULL, NULL, -2, 70},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const uint64_t jobs[] = {100 + i, 200 + i};
        char shown[32], kept[32];
        (void)snprintf(shown, sizeof(shown), "shown.%u", (unsigned)jobs[1]);
        (void)snprintf(kept, sizeof(kept), "kept.%u", (unsigned)jobs[1]);
        put_file(shown, cases[i].shown, 0600);
        put_file(kept, cases[i].kept, 0600);
        put_start(1, 0); /* of an earlier submission: says nothing of this one */
        if (cases[i].start > -2) put_start(jobs[i % 2], cases[i].start);
        int code = reeve_submit_wait(folder, jobs, 2);
        if (code != cases[i].exit_code) fail_msg("case %zu: %d, not %d", i, code, cases[i].exit_code);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(the_exit_code_is_that_of_the_run)};
    return cmocka_run_group_tests(tests, begin, end);
}
