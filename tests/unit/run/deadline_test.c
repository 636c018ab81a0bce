/* Why a run stops, and when: the words of Slurm in the environment and of squeue (played by a script), --max-time, and
 * signals. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/path.h"
#include "run/deadline.h"

static char folder[] = "/tmp/reeve-deadline-XXXXXX";

static int begin(void **state)
{
    return mkdtemp(folder) == NULL;
}

static int end(void **state)
{
    return reeve_remove_tree(folder, NULL) != REEVE_OK;
}

/* Outside a batch job, and nobody answers to the name of squeue. */
static int forget(void **state)
{
    (void)unsetenv("SLURM_JOB_ID");
    (void)unsetenv("SLURM_RESTART_COUNT");
    (void)unsetenv("SLURM_JOB_END_TIME");
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/squeue", folder);
    (void)unlink(path);
    (void)snprintf(path, sizeof(path), "%s:/usr/bin:/bin", folder);
    return setenv("PATH", path, 1);
}

static void play_squeue(const char *body)
{
    char path[300];
    (void)snprintf(path, sizeof(path), "%s/squeue", folder);
    FILE *f = fopen(path, "w");
    assert_non_null(f);
    (void)fprintf(f, "#!/bin/sh\n%s\n", body);
    (void)fclose(f);
    assert_int_equal(chmod(path, 0755), 0);
}

static void batch_job(const char *end_time)
{
    (void)setenv("SLURM_JOB_ID", "17", 1);
    (void)setenv("SLURM_RESTART_COUNT", "2", 1);
    if (end_time != NULL) (void)setenv("SLURM_JOB_END_TIME", end_time, 1);
}

/* A machine may stand still between two looks at its clocks; another end than this would be much further off. */
static bool is_about(reeve_time_ns end_ns, reeve_time_ns now_ns, long long seconds)
{
    return llabs((end_ns - now_ns) / REEVE_SECOND_NS - seconds) <= 60;
}

/* Turns until the question has been put and answered, a minute at most. */
static void turn_until_answered(struct reeve_deadline *d)
{
    bool asked = false;
    for (reeve_time_ns end_ns = reeve_clock_now() + 60 * REEVE_SECOND_NS; reeve_clock_now() < end_ns;) {
        (void)reeve_deadline_turn(d, reeve_clock_now());
        if (asked && d->allocation.child == 0) return;
        asked = asked || d->allocation.child != 0;
        (void)usleep(5000);
    }
    fail_msg("no answer");
}

/* Turns until the one who was asked, and killed, is no more. */
static void turn_until_gone(struct reeve_deadline *d, reeve_time_ns now_ns)
{
    for (int i = 0; i < 12000 && d->allocation.child != 0; i++) {
        (void)usleep(5000);
        d->allocation.next_ns = REEVE_TIME_NEVER;
        (void)reeve_deadline_turn(d, now_ns);
    }
    assert_int_equal(d->allocation.child, 0);
}

static void answers_are_read_and_nonsense_is_not(void **state)
{
    int64_t at = -1;
    assert_true(reeve_allocation_parse_end("1795696393\n", &at));
    assert_true(at == INT64_C(1795696393) * REEVE_SECOND_NS);
    assert_true(reeve_allocation_parse_end("NONE\n", &at) && at == INT64_MAX);
    assert_true(reeve_allocation_parse_end("N/A", &at) && at == INT64_MAX);
    at = -1;
    static const char *const bad[] = {"",
                                      "\n",
                                      "0\n",
                                      "-5\n",
                                      "2026-11-26T12:32:58\n",
                                      "17 18\n",
                                      "99999999999999999999\n",
                                      "slurm_load_jobs error\n",
                                      "NONEX\n"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(reeve_allocation_parse_end(bad[i], &at));
    assert_true(at == -1);
    static const char *const lines[] = {"",       " 1795696393", "171795696393", "17",         "17_1 1795696393",
                                        "18 N/A", "17  NONEX",   "-17 NONE",     "17 17 NONE", "18 1795696393"};
    for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
        assert_false(reeve_allocation_parse_line(lines[i], 17, &at));
    assert_true(at == -1);
    assert_true(reeve_allocation_parse_line("17 1795696393", 17, &at));
    assert_true(at == INT64_C(1795696393) * REEVE_SECOND_NS);
    assert_true(reeve_allocation_parse_line("17 NONE", 17, &at) && at == INT64_MAX);
}

static void outside_a_job_only_max_time_counts_and_nobody_is_asked(void **state)
{
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    play_squeue("echo 1");
    reeve_deadline_init(&d, INT64_MAX, now);
    assert_false(reeve_deadline_turn(&d, now + 1000000 * REEVE_SECOND_NS));
    assert_int_equal(d.allocation.child, 0);
    reeve_deadline_init(&d, reeve_clock_wall_ns() + 100 * REEVE_SECOND_NS, now);
    assert_false(reeve_deadline_turn(&d, now + 70 * REEVE_SECOND_NS));
    assert_true(reeve_deadline_turn(&d, now + 95 * REEVE_SECOND_NS));
    assert_int_equal(d.cause, REEVE_CAUSE_TIME_LIMIT);
    assert_int_equal(d.allocation.child, 0);
    reeve_deadline_fini(&d);
}

static void squeue_overrules_the_environment(void **state)
{
    char text[32], body[64];
    long long wall_s = (long long)(reeve_clock_wall_ns() / REEVE_SECOND_NS);
    (void)snprintf(text, sizeof(text), "%lld", wall_s + 1000);
    batch_job(text);
    (void)snprintf(body, sizeof(body), "[ \"$SLURM_TIME_FORMAT\" = %%s ] && echo 17 %lld", wall_s + 2000);
    play_squeue(body);
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    reeve_deadline_init(&d, INT64_MAX, now);
    assert_int_equal(d.allocation.job_id, 17);
    assert_int_equal(d.allocation.restart_count, 2);
    assert_true(is_about(d.limit.end_ns, now, 1000));
    turn_until_answered(&d);
    assert_true(is_about(d.limit.end_ns, now, 2000));
    reeve_deadline_fini(&d);
}

static void in_an_array_only_this_task_is_heard(void **state)
{ /* Goal: another task's end is not ours. Method: one task of each array has the array's own number, and squeue asked for
     that one names all tasks, here so many that the answer takes several turns; and a last line that was cut short. */
    char body[200];
    long long wall_s = (long long)(reeve_clock_wall_ns() / REEVE_SECOND_NS);
    (void)state;
    batch_job(NULL);
    (void)snprintf(body, sizeof(body),
                   "seq -f '%%.0f N/A' 100 3000; echo 17 %lld; echo 18 %lld; echo 16 N/A; printf '17 9'", wall_s + 2000,
                   wall_s + 5000);
    play_squeue(body);
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    reeve_deadline_init(&d, INT64_MAX, now);
    turn_until_answered(&d);
    assert_true(is_about(d.limit.end_ns, now, 2000));
    reeve_deadline_fini(&d);
}

static void a_silent_or_missing_squeue_changes_nothing(void **state)
{
    static const char *const bodies[] = {"exit 1", "echo slurm_load_jobs error: unable to contact", NULL};
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld", (long long)(reeve_clock_wall_ns() / REEVE_SECOND_NS) + 1000);
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        (void)forget(state);
        batch_job(text);
        if (bodies[i] != NULL) play_squeue(bodies[i]);
        struct reeve_deadline d;
        reeve_time_ns now = reeve_clock_now();
        reeve_deadline_init(&d, INT64_MAX, now);
        reeve_time_ns before = d.limit.end_ns;
        turn_until_answered(&d);
        assert_true(d.limit.end_ns == before && before != REEVE_TIME_NEVER);
        reeve_deadline_fini(&d);
    }
    /* One that hangs is given up, and what it had started with it. */
    play_squeue("sleep 1000");
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    reeve_deadline_init(&d, INT64_MAX, now);
    (void)reeve_deadline_turn(&d, now);
    assert_int_not_equal(d.allocation.child, 0);
    (void)reeve_deadline_turn(&d, now + 31 * REEVE_SECOND_NS);
    assert_int_equal(d.allocation.answer, -1);
    turn_until_gone(&d, now + 31 * REEVE_SECOND_NS);
    reeve_deadline_fini(&d);
}

/* A process that a debugger holds is not to be reaped by its parent before the debugger has, even if it was killed: as one
 * that waits for a dead disk. *go: until this is closed. 0: a sandbox forbids it. */
static pid_t start_debugger(pid_t held, int *go)
{
    int line[2], ready[2];
    char word = 'n';
    assert_int_equal(pipe(line), 0);
    assert_int_equal(pipe(ready), 0);
    pid_t pid = fork();
    if (pid == 0) {
        (void)close(line[1]);
        word = ptrace(PTRACE_SEIZE, held, NULL, NULL) == 0 ? 'y' : 'n';
        (void)!write(ready[1], &word, 1);
        (void)!read(line[0], &word, 1);
        _exit(0);
    }
    assert_true(pid > 0);
    assert_int_equal(read(ready[0], &word, 1), 1);
    (void)close(ready[0]);
    (void)close(ready[1]);
    (void)close(line[0]);
    *go = line[1];
    return word == 'y' ? pid : 0;
}

static void nobody_waits_for_a_squeue_that_no_signal_ends(void **state)
{ /* Goal: the master's turn goes on, and no second one is asked beside it. */
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    int go = -1;
    (void)state;
    batch_job(NULL);
    play_squeue("sleep 1000");
    reeve_deadline_init(&d, INT64_MAX, now);
    (void)reeve_deadline_turn(&d, now);
    pid_t child = d.allocation.child, debugger = start_debugger(child, &go);
    if (debugger == 0) {
        reeve_deadline_fini(&d);
        (void)close(go);
        (void)waitpid(-1, NULL, 0);
        skip();
    }
    (void)alarm(60); /* it would wait for ever */
    for (int i = 1; i < 100; i++) {
        (void)reeve_deadline_turn(&d, now + i * 31 * REEVE_SECOND_NS);
        assert_int_equal(d.allocation.child, child);
        assert_int_equal(d.allocation.answer, -1);
    }
    reeve_deadline_fini(&d); /* leaves it behind */
    assert_int_equal(d.allocation.child, child);
    (void)close(go);
    assert_int_equal(waitpid(debugger, NULL, 0), debugger);
    turn_until_gone(&d, now + 4000 * REEVE_SECOND_NS);
    (void)alarm(0);
    assert_int_equal(kill(child, 0), -1);
}

/* An hour in which no turn came, and then turns until the job's end is known: does the run stop? Its clock goes on only
 * where nobody is expected to answer, so that a slow machine is no reason. */
static bool stops_after_an_hour(struct reeve_deadline *d, reeve_time_ns now_ns, bool clock_goes_on)
{
    reeve_time_ns hour_ns = 3600 * REEVE_SECOND_NS;
    bool stops = reeve_deadline_turn(d, now_ns + hour_ns);
    assert_false(stops); /* it may have been suspended */
    for (int i = 0; i < 12000 && !stops && !(d->absent_ns == 0 && d->allocation.child == 0); i++) {
        (void)usleep(5000);
        if (clock_goes_on) now_ns += 50 * REEVE_MILLISECOND_NS;
        stops = reeve_deadline_turn(d, now_ns + hour_ns);
    }
    return stops;
}

static void a_job_that_was_suspended_asks_before_it_stops(void **state)
{ /* Goal: Slurm gives a suspended job its time back. Method: an hour without a turn, of a job that had 1000 s; squeue knows of
     another end, or of none, or says nothing. */
    static const struct {
        const char *says;
        bool stops;
    } cases[] = {{"echo 17 %lld", false},
                 {"echo 17 NONE; : %lld", false},
                 {"exit 1; : %lld", true},
                 {"sleep 1000; : %lld", true}};
    char text[32], body[64];
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        long long wall_s = (long long)(reeve_clock_wall_ns() / REEVE_SECOND_NS);
        (void)forget(state);
        (void)snprintf(text, sizeof(text), "%lld", wall_s + 1000);
        batch_job(text);
        (void)snprintf(body, sizeof(body), "echo 17 %lld", wall_s + 1000);
        play_squeue(body);
        struct reeve_deadline d;
        reeve_time_ns now = reeve_clock_now();
        reeve_deadline_init(&d, INT64_MAX, now);
        turn_until_answered(&d);
        (void)snprintf(body, sizeof(body), cases[i].says, wall_s + 9000);
        play_squeue(body);
        assert_true(stops_after_an_hour(&d, reeve_clock_now(), cases[i].stops) == cases[i].stops);
        reeve_deadline_fini(&d);
        reeve_deadline_init(&d, reeve_clock_wall_ns() + 500 * REEVE_SECOND_NS,
                            now); /* --max-time: nobody gives that back */
        assert_true(reeve_deadline_turn(&d, now + 3600 * REEVE_SECOND_NS));
        reeve_deadline_fini(&d);
    }
}

static void the_earlier_of_two_ends_counts(void **state)
{
    char text[32];
    (void)snprintf(text, sizeof(text), "%lld", (long long)(reeve_clock_wall_ns() / REEVE_SECOND_NS) + 1000);
    batch_job(text);
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    reeve_deadline_init(&d, reeve_clock_wall_ns() + 500 * REEVE_SECOND_NS, now);
    assert_true(is_about(d.limit.end_ns, now, 500));
    reeve_deadline_fini(&d);
}

static enum reeve_cause cause_of_signal(int number, int64_t end_in_s, int64_t later_s)
{
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    reeve_deadline_init(&d, reeve_clock_wall_ns() + end_in_s * REEVE_SECOND_NS, now);
    reeve_deadline_asked(&d, number, now + later_s * REEVE_SECOND_NS);
    reeve_deadline_fini(&d);
    return d.cause;
}

static void a_signal_is_told_apart_by_who_can_have_sent_it(void **state)
{
    assert_int_equal(cause_of_signal(SIGTERM, 36000, 1), REEVE_CAUSE_ASKED); /* no batch job: a person */
    batch_job(NULL);
    assert_int_equal(cause_of_signal(SIGINT, 36000, 1), REEVE_CAUSE_ASKED);
    assert_int_equal(cause_of_signal(0, 36000, 1), REEVE_CAUSE_ASKED); /* file STOP */
    assert_int_equal(cause_of_signal(SIGTERM, 36000, 1), REEVE_CAUSE_PREEMPTED);
    assert_int_equal(cause_of_signal(SIGUSR2, 36000, 1), REEVE_CAUSE_PREEMPTED);
    assert_int_equal(cause_of_signal(SIGUSR2, 36000, 35880), REEVE_CAUSE_TIME_LIMIT); /* --signal=B:USR2@120 */
}

static void the_first_reason_counts(void **state)
{
    struct reeve_deadline d;
    reeve_time_ns now = reeve_clock_now();
    batch_job(NULL);
    reeve_deadline_init(&d, reeve_clock_wall_ns() + 36000 * REEVE_SECOND_NS, now);
    reeve_deadline_asked(&d, 0, now);
    reeve_deadline_asked(&d, SIGTERM, now);
    (void)reeve_deadline_turn(&d, now + 40000 * REEVE_SECOND_NS);
    assert_int_equal(d.cause, REEVE_CAUSE_ASKED);
    reeve_deadline_fini(&d);
}

static void suspension_is_no_part_of_a_step_or_of_a_checkpoint(void **state)
{ /* Goal: an hour's suspension does not make the run stop an hour earlier from then on. */
    struct reeve_deadline d;
    reeve_time_ns second = REEVE_SECOND_NS, now = reeve_clock_now(), hour = 3600 * second;
    struct reeve_event step = {.kind = REEVE_EVENT_STEP_COMMITTED}, begun = {.kind = REEVE_EVENT_CKPT_BEGUN},
                       saved = {.kind = REEVE_EVENT_CKPT_COMMIT};
    (void)state;
    reeve_deadline_init(&d, reeve_clock_wall_ns() + 100 * hour, now);
    reeve_deadline_event(&d, &step, now);
    reeve_deadline_event(&d, &begun, now);
    reeve_deadline_event(&d, &step, now + second);
    reeve_deadline_event(&d, &saved, now + second);
    reeve_time_ns due = reeve_time_limit_due(&d.limit);
    reeve_deadline_event(&d, &begun, now + second);
    reeve_deadline_event(&d, &step, now + 2 * second + hour);
    reeve_deadline_event(&d, &saved, now + 2 * second + hour);
    assert_true(reeve_time_limit_due(&d.limit) == due);
    reeve_deadline_fini(&d);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(answers_are_read_and_nonsense_is_not, forget),
        cmocka_unit_test_setup(outside_a_job_only_max_time_counts_and_nobody_is_asked, forget),
        cmocka_unit_test_setup(squeue_overrules_the_environment, forget),
        cmocka_unit_test_setup(in_an_array_only_this_task_is_heard, forget),
        cmocka_unit_test_setup(a_silent_or_missing_squeue_changes_nothing, forget),
        cmocka_unit_test_setup(nobody_waits_for_a_squeue_that_no_signal_ends, forget),
        cmocka_unit_test_setup(a_job_that_was_suspended_asks_before_it_stops, forget),
        cmocka_unit_test_setup(suspension_is_no_part_of_a_step_or_of_a_checkpoint, forget),
        cmocka_unit_test_setup(the_earlier_of_two_ends_counts, forget),
        cmocka_unit_test_setup(a_signal_is_told_apart_by_who_can_have_sent_it, forget),
        cmocka_unit_test_setup(the_first_reason_counts, forget),
    };
    return cmocka_run_group_tests(tests, begin, end);
}
