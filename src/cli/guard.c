/* A child reads, and writes what it found into a pipe; its death is an answer too. The child ends with _exit, so nothing
 * of the parent is flushed or closed twice. */
#include "cli/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define WAIT_MS 200

static _Noreturn void child_main(reeve_guard_work *work, void *arg, uint32_t cpu_s_max, int out)
{
    struct rlimit cpu = {cpu_s_max, cpu_s_max + 5}, no_core = {0, 0};
    (void)setrlimit(RLIMIT_CPU, &cpu);
    (void)setrlimit(RLIMIT_CORE, &no_core); /* a crash is an answer here, and no core file is wanted for it */
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    struct reeve_guard_report report;
    memset(&report, 0, sizeof report); /* also the padding: it is written to a pipe */
    work(arg, &report);
    const char *at = (const char *)&report;
    for (size_t left = sizeof report; left > 0;) {
        ssize_t n = write(out, at, left);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) _exit(REEVE_EXIT_INTERNAL);
        at += n;
        left -= (size_t)n;
    }
    _exit(0); /* no handlers, no flushing of what the parent had buffered */
}

/* Read the child's report as it comes. False when it ended before the report was whole. */
static bool read_report(int in, void (*on_wait)(void *), void *on_wait_arg, struct reeve_guard_report *report)
{
    struct pollfd wait = {.fd = in, .events = POLLIN};
    size_t got = 0;
    while (got < sizeof *report) {
        int ready = poll(&wait, 1, WAIT_MS);
        if (ready == 0 && on_wait != NULL) on_wait(on_wait_arg);
        if (ready == 0 || (ready < 0 && errno == EINTR)) continue;
        ssize_t n = read(in, (char *)report + got, sizeof *report - got);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return false;
        got += (size_t)n;
    }
    return true;
}

static void word_death(const char *what, int how, uint32_t cpu_s_max, struct reeve_guard_report *report)
{
    int number = WIFSIGNALED(how) ? WTERMSIG(how) : 0;
    if (number == SIGXCPU || (number == SIGKILL && cpu_s_max > 0))
        (void)reeve_fail(&report->error, REEVE_STORE_CORRUPT,
                         "%s: malformed: reading it did not end within %u s of processor time, or was killed", what,
                         cpu_s_max);
    else
        (void)reeve_fail(&report->error, REEVE_STORE_CORRUPT,
                         "%s: malformed: reading it crashes the HDF5 library (%s %d)", what,
                         number != 0 ? "signal" : "exit code", number != 0 ? number : WEXITSTATUS(how));
}

void reeve_guard_run(reeve_guard_work *work, void *arg, const char *what, uint32_t cpu_s_max, void (*on_wait)(void *),
                     void *on_wait_arg, struct reeve_guard_report *report)
{
    int ends[2], how = 0;
    *report = (struct reeve_guard_report){0};
    (void)fflush(stdout);
    (void)fflush(stderr);
    if (pipe2(ends, O_CLOEXEC) != 0) {
        (void)reeve_fail(&report->error, REEVE_JOB_INTERNAL, "%s: cannot make a pipe: %m", what);
        return;
    }
    pid_t child = fork();
    if (child == 0) {
        (void)close(ends[0]);
        child_main(work, arg, cpu_s_max, ends[1]);
    }
    (void)close(ends[1]);
    if (child < 0) {
        (void)reeve_fail(&report->error, REEVE_JOB_INTERNAL, "%s: cannot start a process to read it: %m", what);
        (void)close(ends[0]);
        return;
    }
    bool whole = read_report(ends[0], on_wait, on_wait_arg, report);
    (void)close(ends[0]);
    while (waitpid(child, &how, 0) < 0 && errno == EINTR)
        ;
    if (whole && WIFEXITED(how) && WEXITSTATUS(how) == 0) {
        report->error.text[sizeof report->error.text - 1] = '\0';
        report->note[sizeof report->note - 1] = '\0';
        return;
    }
    *report = (struct reeve_guard_report){0};
    word_death(what, how, cpu_s_max, report);
}
