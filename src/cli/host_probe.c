/* See host_probe.h. The process that is started says a word, and the word is the answer: an exit code may be fetched by
 * somebody else (the supervisor waits for any child). */
#include "cli/host_probe.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define WORD "reeve-is-here"

/* The step shares the cores of whatever the node runs. */
static _Noreturn void become_srun(const char *node, int output)
{
    char list[300];
    (void)snprintf(list, sizeof(list), "--nodelist=%s", node);
    const char *const argv[] = {"srun",          "--nodes=1", "--ntasks=1", "--overlap", "--mpi=none", "--quiet",
                                "--immediate=5", list,        "echo",       WORD,        NULL};
    (void)setpgid(0, 0);
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    (void)unsetenv("SLURM_NTASKS_PER_NODE");
    (void)unsetenv("SLURM_DISTRIBUTION");
    (void)unsetenv("SLURM_STDOUTMODE");
    int nothing = open("/dev/null", O_RDWR);
    if (nothing < 0 || dup2(nothing, STDIN_FILENO) < 0 || dup2(nothing, STDERR_FILENO) < 0 ||
        dup2(output, STDOUT_FILENO) < 0)
        _exit(127);
    (void)execvp(argv[0], (char *const *)(uintptr_t)argv); /* execvp changes nothing; its type is older than const */
    _exit(127);
}

void reeve_host_probe_start(struct reeve_host_probe *p, const char *node, reeve_time_ns now_ns)
{
    int ends[2];
    *p = (struct reeve_host_probe){.asked_ns = now_ns, .patience_ns = REEVE_HOST_PROBE_NS, .answer = REEVE_HOST_SILENT};
    if (pipe2(ends, O_CLOEXEC) != 0) return;
    p->child = fork();
    if (p->child == 0) become_srun(node, ends[1]);
    (void)close(ends[1]);
    if (p->child < 0) {
        p->child = 0;
        (void)close(ends[0]);
        return;
    }
    (void)fcntl(ends[0], F_SETFL, O_NONBLOCK);
    p->fd = ends[0];
    p->answer = REEVE_HOST_ASKED;
}

/* Read what has come. True: nothing more will. */
static bool hear(struct reeve_host_probe *p)
{
    char piece[64];
    for (;;) {
        ssize_t n = read(p->fd, piece, sizeof(piece));
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return n == 0 || errno != EAGAIN;
        for (ssize_t i = 0; i < n && p->said_bytes + 1 < sizeof(p->said); i++)
            p->said[p->said_bytes++] = piece[i];
    }
}

enum reeve_host_answer reeve_host_probe_look(struct reeve_host_probe *p, reeve_time_ns now_ns)
{
    if (p->child == 0) return p->answer;
    bool late = now_ns - p->asked_ns > p->patience_ns;
    if (!hear(p) && !late) return REEVE_HOST_ASKED;
    pid_t got = waitpid(p->child, NULL, WNOHANG);
    if (got == 0 && !late) return REEVE_HOST_ASKED;
    if (got == 0) { /* it is there, and ours */
        if (kill(-p->child, SIGKILL) != 0) (void)kill(p->child, SIGKILL);
        while (waitpid(p->child, NULL, 0) < 0 && errno == EINTR)
            continue;
    }
    (void)close(p->fd);
    p->child = 0;
    p->took_ns = now_ns - p->asked_ns;
    p->answer = strstr(p->said, WORD) != NULL ? REEVE_HOST_STARTS : REEVE_HOST_SILENT;
    return p->answer;
}
