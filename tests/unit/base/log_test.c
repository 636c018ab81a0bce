/* The log: levels, one line per event whatever is in it, and a file that gets everything. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/path.h"

static char folder[] = "/tmp/reeve-log-test-XXXXXX";

static int setup(void **state)
{
    return mkdtemp(folder) == NULL ? -1 : 0;
}

static int teardown(void **state)
{
    return reeve_remove_tree(folder, NULL) == REEVE_OK ? 0 : -1;
}

static char *logged(const char *name)
{
    char path[128], *text = NULL;
    size_t bytes = 0;
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(reeve_file_read(path, 1 << 20, &text, &bytes, NULL), REEVE_OK);
    return text;
}

static void open_log(const char *name)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/%s", folder, name);
    assert_int_equal(reeve_log_open_file(path, NULL), REEVE_OK);
}

static void log_file_gets_every_level_with_who_and_when(void **state)
{
    reeve_log_init("worker 3", REEVE_LOG_ERROR);
    open_log("levels");
    reeve_log(REEVE_LOG_DEBUG, "first %d", 1);
    reeve_log(REEVE_LOG_WARN, "second");
    reeve_log_close_file();
    reeve_log(REEVE_LOG_INFO, "to nobody");
    char *text = logged("levels");
    assert_non_null(strstr(text, "Z debug worker 3: first 1\n"));
    assert_non_null(strstr(text, "Z warning worker 3: second\n"));
    assert_null(strstr(text, "nobody"));
    free(text);
}

static void log_event_stays_one_line_and_is_cut(void **state)
{
    char longer[8192];
    memset(longer, 'y', sizeof(longer) - 1);
    longer[sizeof(longer) - 1] = '\0';
    open_log("lines");
    reeve_log(REEVE_LOG_INFO, "%s", "one\n2000-01-01T00:00:00Z error master: forged\r\x1b[31m");
    reeve_log(REEVE_LOG_INFO, "%s", longer);
    reeve_log_close_file();
    char *text = logged("lines");
    size_t lines = 0;
    for (char *at = text; *at != '\0'; at++) {
        lines += *at == '\n';
        assert_true(*at == '\n' || (unsigned char)*at >= ' ');
    }
    assert_int_equal(lines, 2);
    assert_true(strlen(text) < 2 * 2048);
    free(text);
}

#define THREADS 4
#define EVENTS 500

static void *log_many(void *arg)
{
    for (int i = 0; i < EVENTS; i++)
        reeve_log(REEVE_LOG_INFO, "thread %c wrote this whole line", *(const char *)arg);
    return NULL;
}

/* Goal: lines of several threads do not mix. Method: count whole ones. */
static void log_lines_of_threads_do_not_mix(void **state)
{
    pthread_t thread[THREADS];
    char names[THREADS] = {'a', 'b', 'c', 'd'};
    open_log("threads");
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&thread[i], NULL, log_many, &names[i]), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(thread[i], NULL), 0);
    reeve_log_close_file();
    char *text = logged("threads"), *rest = text;
    size_t whole = 0;
    for (char *line; (line = strsep(&rest, "\n")) != NULL && *line != '\0';) {
        char *at = strstr(line, "worker 3: thread ");
        assert_non_null(at);
        assert_string_equal(at + 18, " wrote this whole line");
        whole++;
    }
    assert_int_equal(whole, THREADS * EVENTS);
    free(text);
}

static void record(const char *format, ...)
{
    va_list args;
    va_start(args, format);
    reeve_log_record(format, args);
    va_end(args);
}

/* Goal: what stdout has said is on record, and not said twice. Method: look at both ends. */
static void log_record_goes_to_the_file_alone(void **state)
{
    char path[128];
    (void)snprintf(path, sizeof(path), "%s/stderr", folder);
    int kept = dup(STDERR_FILENO), other = open(path, O_WRONLY | O_CREAT, 0666);
    assert_true(kept >= 0 && other >= 0);
    open_log("record");
    assert_true(dup2(other, STDERR_FILENO) >= 0);
    record("complete: %d steps\nand more", 7);
    assert_true(dup2(kept, STDERR_FILENO) >= 0);
    assert_int_equal(close(kept) | close(other), 0);
    reeve_log_close_file();
    char *text = logged("record"), *said = logged("stderr");
    assert_non_null(strstr(text, " info worker 3: complete: 7 steps and more\n"));
    assert_string_equal(said, "");
    free(text);
    free(said);
}

static void log_without_its_file_goes_on(void **state)
{
    struct reeve_error err;
    assert_int_equal(reeve_log_open_file("/nowhere/at/all", &err), REEVE_STORE_CREATE);
    assert_non_null(strstr(err.text, "/nowhere/at/all"));
    reeve_log(REEVE_LOG_INFO, "still here");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(log_file_gets_every_level_with_who_and_when),
        cmocka_unit_test(log_event_stays_one_line_and_is_cut),
        cmocka_unit_test(log_record_goes_to_the_file_alone),
        cmocka_unit_test(log_lines_of_threads_do_not_mix),
        cmocka_unit_test(log_without_its_file_goes_on),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
