/* See command.h. */
#include "cli/command.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

static int64_t now_ms(void)
{
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* The child: its own process group, so that all of it can be ended; both outputs into the pipe. */
static _Noreturn void become(const char *const argv[], int input, int output)
{
    (void)setpgid(0, 0);
    if (input < 0) input = open("/dev/null", O_RDONLY);
    if (input < 0 || dup2(input, STDIN_FILENO) < 0 || dup2(output, STDOUT_FILENO) < 0 ||
        dup2(output, STDERR_FILENO) < 0)
        _exit(127);
    (void)execvp(argv[0], (char *const *)argv);
    _exit(127);
}

/* Read until the other end closes or the time is up; what does not fit is read and dropped. True: it closed in time. */
static bool read_until(int input, int64_t end_ms, char *says, size_t says_bytes)
{
    size_t n = 0;
    bool closed = false;
    for (int64_t left; !closed && (left = end_ms - now_ms()) > 0;) {
        struct pollfd p = {.fd = input, .events = POLLIN};
        if (poll(&p, 1, (int)left) <= 0) continue;
        char piece[512];
        ssize_t got = read(input, piece, sizeof piece);
        if (got < 0 && errno == EINTR) continue;
        closed = got <= 0;
        for (ssize_t i = 0; i < got && n + 1 < says_bytes; i++)
            says[n++] = piece[i];
    }
    if (says_bytes > 0) says[n] = '\0';
    return closed;
}

/* A program may close its outputs and stay: its end has the same deadline. */
static bool wait_until(pid_t child, int64_t end_ms, int *status)
{
    for (;;) {
        pid_t done = waitpid(child, status, WNOHANG);
        if (done == child) return true;
        if ((done < 0 && errno != EINTR) || now_ms() >= end_ms) return false;
        (void)usleep(2000);
    }
}

int reeve_command_run(const char *const argv[], int deadline_ms, char *says, size_t says_bytes)
{
    return reeve_command_run_with(argv, -1, deadline_ms, says, says_bytes);
}

int reeve_command_run_with(const char *const argv[], int input, int deadline_ms, char *says, size_t says_bytes)
{
    int ends[2];
    if (says_bytes > 0) says[0] = '\0';
    if (pipe2(ends, O_CLOEXEC) != 0) return 127;
    pid_t child = fork();
    if (child == 0) become(argv, input, ends[1]);
    (void)close(ends[1]);
    if (child < 0) {
        (void)close(ends[0]);
        return 127;
    }
    int64_t end_ms = now_ms() + deadline_ms;
    int status = 0;
    bool ended = read_until(ends[0], end_ms, says, says_bytes) && wait_until(child, end_ms, &status);
    (void)close(ends[0]);
    if (!ended) {
        if (kill(-child, SIGKILL) != 0) (void)kill(child, SIGKILL);
        while (waitpid(child, &status, 0) < 0 && errno == EINTR)
            continue;
        return REEVE_COMMAND_TIMED_OUT;
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

bool reeve_command_which(const char *program, char *out, size_t out_bytes)
{
    const char *path = getenv("PATH");
    for (const char *at = path != NULL ? path : "/usr/bin:/bin"; at != NULL;) {
        const char *colon = strchr(at, ':');
        int length = colon != NULL ? (int)(colon - at) : (int)strlen(at);
        int n = snprintf(out, out_bytes, "%.*s/%s", length, at, program);
        if (length > 0 && n > 0 && (size_t)n < out_bytes && access(out, X_OK) == 0) return true;
        at = colon != NULL ? colon + 1 : NULL;
    }
    if (out_bytes > 0) out[0] = '\0';
    return false;
}
