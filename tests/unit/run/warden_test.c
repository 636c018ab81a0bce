/* What a worker's warden leaves behind where it cannot be started, and that it goes with its worker. What it kills, the
 * tests of commands show (fault.exec). */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "run/warden.h"

/* Open descriptors of this process; *beyond: the first number behind all of them. */
static int count_open(int *beyond)
{
    int n = 0;
    *beyond = 0;
    for (int fd = 0; fd < 256; fd++) {
        if (dup2(fd, fd) != fd) continue;
        n++;
        *beyond = fd + 1;
    }
    return n;
}

static void a_warden_that_cannot_be_started_leaves_nothing_open(void **state)
{ /* Goal: no descriptor leaks. Method: as many may be opened as make each call fail in turn, and then none. */
    struct rlimit before, tight;
    int beyond = 0, now = 0;
    (void)state;
    (void)count_open(&beyond);
    for (int fd = 0; fd >= 0 && fd < beyond; fd = dup(STDERR_FILENO)) {} /* no gaps below */
    int open_before = count_open(&beyond);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    for (int room = 0; room < 3; room++) { /* memfd, and both ends of the pipe */
        struct reeve_warden w;
        struct reeve_error err = {0};
        tight = before;
        tight.rlim_cur = (rlim_t)(beyond + room);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
        reeve_status st = reeve_warden_start(&w, 4, "/bin/false", &err);
        assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
        assert_int_not_equal(st, REEVE_OK);
        assert_null(w.groups);
        assert_int_equal(count_open(&now), open_before);
        reeve_warden_stop(&w); /* of one that never began: nothing */
    }
}

/* room: how many descriptors may be opened; 0: as many as before. */
static void check_not_started(const char *program, int room, const char *expected)
{
    struct rlimit before, tight;
    struct reeve_warden w;
    struct reeve_error err = {0};
    int beyond = 0, open_before = count_open(&beyond);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    tight = before;
    if (room > 0) tight.rlim_cur = (rlim_t)(beyond + room);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &tight), 0);
    reeve_status st = reeve_warden_start(&w, 4, program, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(st, REEVE_JOB_CONFIG);
    assert_non_null(strstr(err.text, expected));
    assert_null(w.groups);
    assert_int_equal(count_open(&beyond), open_before);
    assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
    assert_int_equal(errno, ECHILD);
}

static void a_warden_that_does_not_become_one_is_no_warden(void **state)
{ /* Goal: no command begins that nobody would end. Method: no program; and descriptors for this process, not for the child,
     which needs two more. */
    int beyond = 0;
    (void)state;
    (void)count_open(&beyond);
    while (dup(STDIN_FILENO) < beyond) {} /* no gaps below */
    check_not_started("/nonexistent/reeve-rank", 0, "/nonexistent/reeve-rank: No such file");
    check_not_started("/bin/true", 3, "its descriptors: ");
}

static void a_warden_ends_when_it_is_stopped(void **state)
{
    struct reeve_warden w;
    struct reeve_error err = {0};
    int beyond = 0, open_before = count_open(&beyond);
    (void)state;
    for (int round = 0; round < 2; round++) {
        const char *program =
            round == 0 ? "/bin/true" : NULL; /* true ends at once, as a warden whose life line is cut */
        assert_int_equal(reeve_warden_start(&w, 4, program, &err), REEVE_OK);
        pid_t pid = w.pid;
        assert_true((pid > 0) == (program != NULL));
        for (int i = 0; i < 4; i++)
            assert_int_equal(w.groups[i], 0);
        reeve_warden_stop(&w);
        if (pid > 0) assert_int_equal(kill(pid, 0), -1);
        assert_int_equal(count_open(&beyond), open_before);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_warden_that_cannot_be_started_leaves_nothing_open),
        cmocka_unit_test(a_warden_that_does_not_become_one_is_no_warden),
        cmocka_unit_test(a_warden_ends_when_it_is_stopped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
