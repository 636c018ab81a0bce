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

#define TICK_NS (10 * REEVE_MILLISECOND_NS)
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

/* A process that looks like a rank of an MPI job. */
static pid_t begin_rank(const char *id, const char *job, const char *rank)
{
    pid_t child = fork();
    assert_true(child >= 0);
    if (child != 0) return child;
    char variable[64], space[64], number[32], name[] = "/x/reeve-rank", seconds[] = "60";
    (void)snprintf(variable, sizeof(variable), REEVE_LAUNCH_VARIABLE "=%s", id);
    (void)snprintf(space, sizeof(space), "PMIX_NAMESPACE=%s", job);
    (void)snprintf(number, sizeof(number), "PMIX_RANK=%s", rank);
    char *const environment[] = {variable, space, number, NULL};
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

static void processes_of_ranks_have_their_number_unless_they_were_spawned(void **state)
{ /* A job that a rank spawned counts from 0 again: its first rank is not the one that was rank 0 of the launch. */
    (void)state;
    const struct {
        const char *job, *rank;
        int expected;
    } cases[] = {{"prterun-host-17@1", "0", 0},
                 {"prterun-host-17@1", "3", 3},
                 {"prterun-host-17@2", "0", -1},
                 {"1731723265", "2", 2}};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char id[REEVE_LAUNCH_ID_BYTES];
        struct reeve_process p;
        int64_t before_ns = reeve_clock_wall_ns();
        reeve_launch_id_make("/nowhere/ranks", (uint64_t)before_ns, id);
        pid_t child = begin_rank(id, cases[i].job, cases[i].rank);
        assert_int_equal(wait_until_found(id, 1), 1);
        assert_int_equal(reeve_processes_find(id, &p, 1), 1);
        assert_int_equal(p.role, REEVE_PROCESS_RANK);
        assert_int_equal(p.rank, cases[i].expected);
        assert_in_range(p.started_wall_ns, before_ns - 2 * TICK_NS, reeve_clock_wall_ns() + TICK_NS);
        assert_int_equal(kill(child, SIGKILL), 0);
        assert_int_equal(waitpid(child, NULL, 0), child);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(processes_of_a_launch_are_ended_and_no_others),
        cmocka_unit_test(processes_of_ranks_have_their_number_unless_they_were_spawned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
