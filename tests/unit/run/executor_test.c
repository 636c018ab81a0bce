/* The times of commands where the worker itself did not run. What commands do otherwise, fault.exec shows. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/path.h"
#include "run/executor.h"

#define LIMIT_S 60u

static char folder[] = "/tmp/reeve-executor-XXXXXX";

/* In place of the C library's: what this process sees of time. */
static atomic_long suspended_s;
int clock_gettime(clockid_t id, struct timespec *out)
{
    int rc = (int)syscall(SYS_clock_gettime, id, out);
    out->tv_sec += atomic_load(&suspended_s);
    return rc;
}

static void post(reeve_executor *x, uint32_t task)
{
    const struct reeve_frame lease = {
        .kind = REEVE_FRAME_LEASE, .task = task, .arg = task, .attempt = 1, .a = REEVE_TASK_EXEC, .b = LIMIT_S};
    assert_true(reeve_executor_post(x, &lease));
}

static void expect_done(reeve_executor *x, uint32_t task)
{
    static char text[REEVE_FRAME_TEXT_MAX + 1];
    struct reeve_frame f = {0};
    int looks = 0;
    while (!reeve_executor_take(x, &f, text) && ++looks < 24000)
        (void)usleep(5000);
    if (f.kind != REEVE_FRAME_DONE || f.task != task)
        fail_msg("%s of task %u: %s", reeve_frame_name(f.kind), f.task, text);
}

static void suspension_is_no_time_of_a_command(void **state)
{ /* Goal: no command is ended at its limit for the time in which the job stood still. Method: the clock goes on by an hour
     while one runs; another one ends then, so that the executor looks. */
    struct reeve_job job;
    struct reeve_task_list *list = NULL;
    struct reeve_error err = {0};
    reeve_executor *x = NULL;
    char text[300], gate[64];
    (void)state;
    (void)snprintf(gate, sizeof(gate), "%s/gate", folder);
    memset(text, 0, sizeof(text));
    int used = snprintf(text, sizeof(text), "long%cuntil [ -e %s ]; do sleep 0.02; done%cshort%ctrue", 0, gate, 0, 0);
    assert_int_equal(reeve_task_list_create(2, 0, (uint64_t)used + 1, &list, &err), REEVE_OK);
    for (uint32_t i = 0; i < 2; i++)
        list->entries[i] =
            (struct reeve_task_entry){.attempts_max = 1, .time_limit_s = LIMIT_S, .kind = REEVE_TASK_EXEC};
    memcpy(list->text, text, (size_t)used + 1);
    list->text_at[1] = (uint64_t)used - strlen("short") - 1 - strlen("true");
    list->folder = strdup("/");
    memset(&job, 0, sizeof(job));
    job.exec.slots = 2;
    job.exec.ahead = 4;
    (void)strcpy(job.exec.shell, "/bin/sh");
    const struct reeve_executor_config config = {.job = &job, .tasks = list, .run_dir = folder, .worker = 1};
    assert_int_equal(reeve_executor_create(&config, &x, &err), REEVE_OK);
    post(x, 0);
    post(x, 1);
    expect_done(x, 1); /* so the long one runs */
    atomic_store(&suspended_s, 3600);
    post(x, 1);
    expect_done(x, 1);
    FILE *f = fopen(gate, "w");
    assert_non_null(f);
    (void)fclose(f);
    expect_done(x, 0);
    reeve_executor_destroy(x);
    reeve_task_list_destroy(list);
}

static int begin(void **state)
{
    return mkdtemp(folder) == NULL;
}

static int end(void **state)
{
    return reeve_remove_tree(folder, NULL) != REEVE_OK;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(suspension_is_no_time_of_a_command),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
