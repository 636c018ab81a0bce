/* Processes of a launch are found by the identity that they carry, and nobody else is touched. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/launch_id.h"
#include "cli/processes.h"

#define PATIENCE_NS (30 * REEVE_SECOND_NS)

/* `sleep` as a child that carries this identity; "": none. It is killed with the test. */
static pid_t begin_sleep(const char *id)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0) return child;
    char variable[64];
    (void)snprintf(variable, sizeof(variable), REEVE_LAUNCH_VARIABLE "=%s", id);
    char other[] = "A=1", name[] = "sleep", seconds[] = "60";
    char *const environment[] = {other, *id != '\0' ? variable : NULL, NULL};
    char *const words[] = {name, seconds, NULL};
    (void)execve("/bin/sleep", words, environment);
    _exit(127);
}

static size_t wait_until_found(const char *id, size_t expected)
{
    struct reeve_process list[16];
    size_t n = 0;
    for (reeve_time_ns end_ns = reeve_clock_now() + PATIENCE_NS; reeve_clock_now() < end_ns;) {
        n = reeve_processes_find(id, list, 16);
        if (n == expected) break;
        reeve_clock_sleep(REEVE_MILLISECOND_NS);
    }
    return n;
}

static void processes_of_a_launch_are_ended_and_no_others(void **state)
{
    (void)state;
    char one[REEVE_LAUNCH_ID_BYTES], two[REEVE_LAUNCH_ID_BYTES], run[REEVE_LAUNCH_RUN_CHARS + 1];
    uint64_t nonce = (uint64_t)reeve_clock_wall_ns();
    char folder[64];
    (void)snprintf(folder, sizeof(folder), "/nowhere/%ld", (long)getpid());
    reeve_launch_id_make(folder, nonce, one);
    reeve_launch_id_make(folder, nonce + 1, two);
    (void)snprintf(run, sizeof(run), "%.*s", (int)REEVE_LAUNCH_RUN_CHARS, one);
    pid_t first = begin_sleep(one), second = begin_sleep(two), stranger = begin_sleep("");
    assert_int_equal(wait_until_found(run, 2), 2);
    assert_int_equal(wait_until_found(one, 1), 1);
    struct reeve_process p = {.pid = stranger};
    assert_false(reeve_process_signal(&p, run, SIGKILL));
    assert_true(reeve_processes_end(one, PATIENCE_NS));
    assert_int_equal(wait_until_found(run, 1), 1);
    assert_int_equal(waitpid(second, NULL, WNOHANG), 0);
    assert_true(reeve_processes_end(run, PATIENCE_NS));
    assert_int_equal(waitpid(stranger, NULL, WNOHANG), 0);
    assert_int_equal(kill(stranger, SIGKILL), 0);
    assert_int_equal(waitpid(stranger, NULL, 0), stranger);
    (void)first;
}

int main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(processes_of_a_launch_are_ended_and_no_others)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
