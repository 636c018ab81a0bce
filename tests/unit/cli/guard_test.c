/* A reader that crashes, hangs or lies is told as damage, and the program lives on. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "cli/guard.h"

static void reads_well(void *arg, struct reeve_guard_report *report)
{
    report->bytes = *(const uint64_t *)arg;
    (void)strcpy(report->note, "sound");
}

static void finds_damage(void *arg, struct reeve_guard_report *report)
{
    (void)reeve_fail(&report->error, REEVE_STORE_READ, "%s: no", (const char *)arg);
}

static void crashes(void *arg, struct reeve_guard_report *report)
{
    (void)arg;
    (void)report;
    (void)signal(SIGSEGV, SIG_DFL); /* cmocka's handler would go on as a second test program */
    (void)raise(SIGSEGV);
}

static void aborts(void *arg, struct reeve_guard_report *report)
{
    (void)arg;
    (void)report;
    abort();
}

static void leaves(void *arg, struct reeve_guard_report *report)
{
    (void)arg;
    (void)report;
    _exit(0); /* as a library does that thinks it may end its program */
}

static void never_ends(void *arg, struct reeve_guard_report *report)
{
    (void)report;
    for (volatile uint64_t *n = arg;;)
        (*n)++;
}

static struct reeve_guard_report run(reeve_guard_work *work, void *arg, uint32_t cpu_s)
{
    struct reeve_guard_report report;
    reeve_guard_run(work, arg, "a/file.h5", cpu_s, NULL, NULL, &report);
    return report;
}

static void sound_file_comes_back_with_its_note(void **state)
{
    (void)state;
    uint64_t bytes = 12345;
    struct reeve_guard_report report = run(reads_well, &bytes, 10);
    assert_int_equal(report.error.status, REEVE_OK);
    assert_int_equal(report.bytes, 12345);
    assert_string_equal(report.note, "sound");
}

static void error_of_the_reader_comes_back_as_it_was(void **state)
{
    (void)state;
    char where[] = "here";
    struct reeve_guard_report report = run(finds_damage, where, 10);
    assert_int_equal(report.error.status, REEVE_STORE_READ);
    assert_string_equal(report.error.text, "here: no");
}

static void crash_is_told_as_malformed(void **state)
{
    (void)state;
    reeve_guard_work *const works[] = {crashes, aborts, leaves};
    for (size_t i = 0; i < sizeof works / sizeof works[0]; i++) {
        struct reeve_guard_report report = run(works[i], NULL, 10);
        assert_int_equal(report.error.status, REEVE_STORE_CORRUPT);
        assert_non_null(strstr(report.error.text, "a/file.h5: malformed"));
        assert_int_equal(report.bytes, 0);
    }
}

static void reader_without_an_end_is_ended(void **state)
{
    (void)state;
    uint64_t n = 0;
    struct reeve_guard_report report = run(never_ends, &n, 1);
    assert_int_equal(report.error.status, REEVE_STORE_CORRUPT);
    assert_non_null(strstr(report.error.text, "processor time"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sound_file_comes_back_with_its_note),
        cmocka_unit_test(error_of_the_reader_comes_back_as_it_was),
        cmocka_unit_test(crash_is_told_as_malformed),
        cmocka_unit_test(reader_without_an_end_is_ended),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
