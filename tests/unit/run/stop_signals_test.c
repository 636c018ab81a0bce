/* One wish to stop may come as several signals, and the second wish means to leave at once. Method: a process that sends them to
 * itself; one that the machine held up between two of them is tried again, since it says nothing. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "reeve/status.h"
#include "run/stop_signals.h"

#define TOO_LATE 99

/* Exit code of a process that runs `body`. */
static int code_of(void (*body)(void))
{
    int status = 0;
    do {
        pid_t child = fork();
        assert_true(child >= 0);
        if (child == 0) {
            (void)alarm(60);
            body();
            _exit(REEVE_EXIT_DONE);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_true(WIFEXITED(status));
    } while (WEXITSTATUS(status) == TOO_LATE);
    return WEXITSTATUS(status);
}

/* As timeout(1) does it where Ctrl-C is pressed: the terminal's, and its own to us and to the group. */
static void hear_three_at_once(void)
{
    reeve_stop_signals_install(1);
    reeve_time_ns began_ns = reeve_clock_now();
    (void)raise(SIGINT);
    (void)raise(SIGINT);
    (void)raise(SIGTERM);
    if (reeve_clock_now() - began_ns > 200 * REEVE_MILLISECOND_NS) _exit(TOO_LATE);
    if (reeve_stop_signals_count() != 1 || reeve_stop_signals_last() != SIGINT || reeve_stop_signals_leave()) _exit(1);
}

static void hear_one_and_another(void)
{
    hear_three_at_once();
    reeve_clock_sleep(300 * REEVE_MILLISECOND_NS);
    (void)raise(SIGUSR1); /* counts, and is no wish to leave */
    if (reeve_stop_signals_count() != 2 || reeve_stop_signals_leave()) _exit(2);
    reeve_clock_sleep(300 * REEVE_MILLISECOND_NS);
    (void)raise(SIGTERM);
}

static void echoes_of_one_signal_are_one_wish(void **state)
{
    (void)state;
    assert_int_equal(code_of(hear_three_at_once), REEVE_EXIT_DONE);
}

static void second_wish_leaves_at_once(void **state)
{
    (void)state;
    (void)unsetenv("SLURM_JOB_ID");
    assert_int_equal(code_of(hear_one_and_another), REEVE_EXIT_INTERRUPTED);
    (void)setenv("SLURM_JOB_ID", "7", 1);
    assert_int_equal(code_of(hear_one_and_another), REEVE_EXIT_DONE); /* TERM is Slurm's there */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(echoes_of_one_signal_are_one_wish),
        cmocka_unit_test(second_wish_leaves_at_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
