/* Waiting for an owner on another machine: only in a Slurm job, never for long, and told once. */
#include "../store/store_fixture.h"

#include "base/log.h"
#include "run/owner_wait.h"

static int in_job_setup(void **state)
{
    (void)setenv("SLURM_JOB_ID", "12", 1);
    return fixture_setup(state);
}

static int in_job_teardown(void **state)
{
    (void)unsetenv("SLURM_JOB_ID");
    reeve_log_close_file();
    return fixture_teardown(state);
}

/* LOCK of a process elsewhere, heard of silent_s ago. */
static void own_elsewhere(const struct fixture *f, long silent_s)
{
    static const char record[] = "{\"host\": \"node17\", \"pid\": 7, \"start\": 12, \"boot\": \"b/1\", \"since\": "
                                 "\"2026-01-01T00:00:00Z\", \"nonce\": \"0123456789abcdef\"}\n";
    char path[512];
    (void)snprintf(path, sizeof(path), "%s/LOCK", f->dir);
    file_store(path, record, sizeof(record) - 1);
    struct timespec times[2] = {{.tv_sec = time(NULL) - silent_s}, {.tv_sec = time(NULL) - silent_s}};
    assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
}

/* How long it waited, in ns. */
static reeve_time_ns wait_for(const struct fixture *f, reeve_time_ns patience_ns)
{
    reeve_time_ns begin_ns = reeve_clock_now();
    struct reeve_owner_watch watch;
    reeve_owner_wait(f->dir, REEVE_OWNER_MASTER, begin_ns + patience_ns, &watch);
    return reeve_clock_now() - begin_ns;
}

static void nobody_and_somebody_here_are_not_waited_for(void **state)
{ /* Method: a patience that the test's time limit would not survive. */
    struct fixture *f = *state;
    struct reeve_error err;
    reeve_owner *o = NULL;
    bool over = false;
    (void)wait_for(f, 3600 * REEVE_SECOND_NS);
    assert_int_equal(reeve_owner_acquire(f->dir, &o, &over, &err), REEVE_OK);
    (void)wait_for(f, 3600 * REEVE_SECOND_NS);
    reeve_owner_release(o);
    own_elsewhere(f, 0);
    assert_int_equal(unsetenv("SLURM_JOB_ID"), 0);
    (void)wait_for(f, 3600 * REEVE_SECOND_NS); /* a person sits there, and is told at once */
}

static void owner_elsewhere_is_waited_for_until_it_is_silent(void **state)
{
    struct fixture *f = *state;
    char who[512];
    own_elsewhere(f, REEVE_OWNER_SILENT_S - 1);
    (void)wait_for(f, 3600 * REEVE_SECOND_NS);
    assert_int_equal(reeve_owner_look(f->dir, REEVE_OWNER_MASTER, who, sizeof(who)), REEVE_OWNER_NOBODY);
}

static void owner_elsewhere_that_stays_is_told_once_and_waited_for_no_longer(void **state)
{
    struct fixture *f = *state;
    char path[512];
    size_t n = 0;
    (void)snprintf(path, sizeof(path), "%s/told", f->dir);
    assert_int_equal(reeve_log_open_file(path, NULL), REEVE_OK);
    own_elsewhere(f, 0);
    assert_true(wait_for(f, REEVE_SECOND_NS) >= REEVE_SECOND_NS);
    uint8_t *bytes = file_load(path, &n);
    char told[2048] = "";
    assert_true(n < sizeof(told));
    memcpy(told, bytes, n);
    free(bytes);
    const char *line = strstr(told, "in use by process 7 on node17");
    assert_non_null(line);
    assert_non_null(strstr(line, "waiting up to 1 s"));
    assert_null(strstr(line + 1, "in use by"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, in_job_setup, in_job_teardown)
    const struct CMUnitTest tests[] = {
        TEST(nobody_and_somebody_here_are_not_waited_for),
        TEST(owner_elsewhere_is_waited_for_until_it_is_silent),
        TEST(owner_elsewhere_that_stays_is_told_once_and_waited_for_no_longer),
    };
    return cmocka_run_group_tests_name("owner_wait", tests, NULL, NULL);
}
