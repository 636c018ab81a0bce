/* Errors: exit codes as documented, and texts that are one line, whole, and keep errno. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

static void error_every_status_has_the_documented_exit_code(void **state)
{
    static const struct { reeve_status status; int code; } expected[] = {
        {REEVE_OK, 0}, {REEVE_INPUT_USAGE, 64}, {REEVE_INPUT_INVALID, 65}, {REEVE_INPUT_MISSING, 66},
        {REEVE_INPUT_CHANGED, 65}, {REEVE_INPUT_PERMISSION, 77}, {REEVE_TASK_FAILED, 70}, {REEVE_WORKER_LOST, 70},
        {REEVE_WORKER_DIVERGED, 70}, {REEVE_STORE_CORRUPT, 65}, {REEVE_STORE_READ, 74}, {REEVE_STORE_WRITE, 74},
        {REEVE_STORE_CREATE, 73}, {REEVE_STORE_IN_USE, 73}, {REEVE_STORE_MISMATCH, 65}, {REEVE_JOB_NO_MEMORY, 70},
        {REEVE_JOB_INTERNAL, 70}, {REEVE_JOB_DIVERGED, 65}, {REEVE_JOB_DEVICE, 69}, {REEVE_JOB_CONFIG, 78},
        {REEVE_JOB_STOPPED, 75}, {REEVE_JOB_DEADLINE, 70}, {REEVE_JOB_INTERRUPTED, 130},
    };
    for (size_t i = 0; i < sizeof(expected) / sizeof(expected[0]); i++)
        assert_int_equal(reeve_status_exit_code(expected[i].status), expected[i].code);
    assert_int_equal(reeve_status_exit_code((reeve_status)9999), 70);
}

static void error_every_status_has_its_own_name_and_a_text(void **state)
{
    static const reeve_status all[] = {
#define ITEM(name, number, text) REEVE_##name,
        REEVE_STATUS_MAP(ITEM)
#undef ITEM
    };
    size_t count = sizeof(all) / sizeof(all[0]);
    for (size_t i = 0; i < count; i++) {
        assert_true(reeve_status_text(all[i])[0] != '\0');
        for (size_t j = 0; j < i; j++) assert_string_not_equal(reeve_status_name(all[i]), reeve_status_name(all[j]));
        if (all[i] != REEVE_OK) assert_int_not_equal(reeve_status_exit_code(all[i]), 0);
    }
    assert_string_equal(reeve_status_name(REEVE_STORE_CORRUPT), "STORE_CORRUPT");
    assert_string_equal(reeve_status_name((reeve_status)9999), "UNKNOWN");
}

static void error_text_is_one_line_and_keeps_errno(void **state)
{
    struct reeve_error err;
    errno = ENOSPC;
    assert_int_equal(reeve_fail(&err, REEVE_STORE_WRITE, "write a\nb\x01: %m"), REEVE_STORE_WRITE);
    assert_int_equal(errno, ENOSPC);
    assert_int_equal(err.status, REEVE_STORE_WRITE);
    assert_string_equal(err.text, "write a b : No space left on device");
    assert_int_equal(reeve_fail(NULL, REEVE_INPUT_USAGE, "nobody asks"), REEVE_INPUT_USAGE);
}

static void error_context_goes_in_front_also_of_itself(void **state)
{
    struct reeve_error err;
    (void)reeve_fail(&err, REEVE_STORE_READ, "read x");
    assert_int_equal(reeve_error_context(&err, "step %d", 7), REEVE_STORE_READ);
    assert_string_equal(err.text, "step 7: read x");
    (void)reeve_fail(&err, REEVE_STORE_CORRUPT, "again: %s", err.text);
    assert_string_equal(err.text, "again: step 7: read x");
}

/* Goal: no text overflows. Method: context after context, longer than there is room. */
static void error_text_never_overflows(void **state)
{
    struct { struct reeve_error err; char guard[16]; } box;
    char longer[2 * REEVE_ERROR_TEXT_BYTES];
    memset(box.guard, 'G', sizeof(box.guard));
    memset(longer, 'x', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    for (size_t n = 0; n < sizeof(longer); n += 7) {
        (void)reeve_fail(&box.err, REEVE_STORE_READ, "%.*s", (int)n, longer);
        (void)reeve_error_context(&box.err, "%.*s", (int)(sizeof(longer) - n), longer);
        assert_true(strlen(box.err.text) < REEVE_ERROR_TEXT_BYTES);
        for (size_t i = 0; i < sizeof(box.guard); i++) assert_int_equal(box.guard[i], 'G');
    }
}

static void error_errno_says_what_is_wrong_with_a_file(void **state)
{
    assert_int_equal(reeve_status_from_errno_read(ENOENT), REEVE_INPUT_MISSING);
    assert_int_equal(reeve_status_from_errno_read(EACCES), REEVE_INPUT_PERMISSION);
    assert_int_equal(reeve_status_from_errno_read(EIO), REEVE_STORE_READ);
    assert_int_equal(reeve_status_from_errno_write(ENOSPC), REEVE_STORE_WRITE);
    assert_int_equal(reeve_status_from_errno_write(EROFS), REEVE_STORE_CREATE);
    assert_int_equal(reeve_status_from_errno_write(EACCES), REEVE_INPUT_PERMISSION);
}

/* Goal: a broken invariant stops the process. Method: break one in a child. */
static void error_assertion_stops_the_process(void **state)
{
    REEVE_ASSERT(1 + 1 == 2);
    (void)fflush(NULL);
    pid_t child = fork();
    if (child == 0) {
        (void)close(STDERR_FILENO);
        reeve_assert_failed("1 == 2", "here.c", 1);
    }
    int how = 0;
    assert_int_equal(waitpid(child, &how, 0), child);
    assert_true(WIFSIGNALED(how));
    assert_int_equal(WTERMSIG(how), 6);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(error_every_status_has_the_documented_exit_code),
        cmocka_unit_test(error_every_status_has_its_own_name_and_a_text),
        cmocka_unit_test(error_text_is_one_line_and_keeps_errno),
        cmocka_unit_test(error_context_goes_in_front_also_of_itself),
        cmocka_unit_test(error_text_never_overflows),
        cmocka_unit_test(error_errno_says_what_is_wrong_with_a_file),
        cmocka_unit_test(error_assertion_stops_the_process),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
