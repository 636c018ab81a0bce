/* See command.h. vfork, because a fork of a process that talks MPI copies page tables of gigabytes and marks memory that a
 * network card writes to as shared; the child touches nothing but its own descriptors and signals before it execs. */
#include "run/command.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define WORDS_MAX 64
#define CANNOT_START 127 /* what a shell says */

extern char **environ;

/* Variables that would make a command believe that it is a rank of this job. */
static bool is_mpi_variable(const char *variable)
{
    static const char *const prefixes[] = {
        "OMPI_", "PMIX_", "PMI_", "PRTE_", "OPAL_", "REEVE_PROGRESS_", "REEVE_STDERR_IS_TERMINAL", "REEVE_RUN="};
    if (strncmp(variable, "OMPI_ALLOW_RUN_AS_ROOT", 22) == 0) return false;
    for (size_t i = 0; i < sizeof(prefixes) / sizeof(prefixes[0]); i++)
        if (strncmp(variable, prefixes[i], strlen(prefixes[i])) == 0) return true;
    return false;
}

reeve_status reeve_command_ground_init(struct reeve_command_ground *g, const char *shell, const char *folder,
                                       const char *variable, struct reeve_error *err)
{
    memset(g, 0, sizeof(*g));
    g->shell = shell;
    g->folder = folder;
    g->null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    if (g->null_fd < 0) return reeve_fail(err, REEVE_JOB_CONFIG, "open /dev/null: %m");
    size_t n = 0;
    while (environ[n] != NULL)
        n++;
    g->environment = calloc(n + 5, sizeof(*g->environment));
    if (g->environment == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "environment of commands: out of memory");
    for (size_t i = 0; i < n; i++)
        if (!is_mpi_variable(environ[i])) g->environment[g->variables++] = environ[i];
    g->environment[g->variables++] = (char *)(uintptr_t)variable;
    (void)sigemptyset(&g->handled);
    for (int s = 1; s < NSIG; s++) {
        struct sigaction action;
        if (sigaction(s, NULL, &action) == 0 && action.sa_handler != SIG_DFL) (void)sigaddset(&g->handled, s);
    }
    return REEVE_OK;
}

void reeve_command_ground_fini(struct reeve_command_ground *g)
{
    if (g->null_fd > 0) (void)close(g->null_fd);
    free(g->environment);
    memset(g, 0, sizeof(*g));
}

/* ---- what to execute ---- */

/* Nothing in it means anything to a shell: letters, digits and the like, in words. As make does it. */
static bool is_plain(const char *text)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./:,@+-=% \t";
    const char *word = text + strspn(text, " \t");
    return text[strspn(text, plain)] == '\0' && memchr(word, '=', strcspn(word, " \t")) == NULL;
}

/* Split into words, in place. 0: too many, or none. */
static size_t split(char *text, char **words)
{
    size_t n = 0;
    char *rest = NULL;
    for (char *word = strtok_r(text, " \t", &rest); word != NULL; word = strtok_r(NULL, " \t", &rest)) {
        if (n == WORDS_MAX) return 0;
        words[n++] = word;
    }
    words[n] = NULL;
    return n;
}

static bool is_program(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* The path of a program, from the last look-up if it was the same. NULL: PATH has no such program. */
static const char *find_program(struct reeve_command_ground *g, const char *name)
{
    if (strchr(name, '/') != NULL) return name; /* from the folder where it starts: exec will tell */
    if (strcmp(name, g->program) == 0) return g->program_path;
    const char *path = getenv("PATH");
    if (path == NULL) path = "/usr/local/bin:/usr/bin:/bin";
    for (const char *at = path; *at != '\0';) {
        size_t n = strcspn(at, ":");
        int length = snprintf(g->program_path, sizeof(g->program_path), "%.*s/%s", (int)n, at, name);
        if (n > 0 && length > 0 && (size_t)length < sizeof(g->program_path) && g->program_path[0] == '/' &&
            is_program(g->program_path)) {
            (void)snprintf(g->program, sizeof(g->program), "%s", name);
            return g->program_path;
        }
        at += n + (at[n] == ':');
    }
    g->program[0] = '\0';
    return NULL;
}

/* ---- the child ---- */

struct start {
    const struct reeve_command_ground *g;
    const struct reeve_command *c;
    const char *program;
    char *const *argv;
    pid_t parent;
    const char *volatile failed_at; /* written by the child, before an _exit that reads nothing: hence volatile */
    volatile int failed_errno;
};

static void fail_child(struct start *s, const char *at)
{
    s->failed_at = at;
    s->failed_errno = errno;
    _exit(CANNOT_START);
}

/* Shares the parent's memory, so it writes to nothing but *s and the group. */
static void become_command(struct start *s)
{
    (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != s->parent) _exit(CANNOT_START);
    (void)setpgid(0, 0);
    atomic_store(s->c->group, getpid());
    struct sigaction dflt;
    memset(&dflt, 0, sizeof(dflt));
    dflt.sa_handler = SIG_DFL;
    for (int n = 1; n < NSIG; n++)
        if (sigismember(&s->g->handled, n) == 1) (void)sigaction(n, &dflt, NULL);
    sigset_t none;
    (void)sigemptyset(&none);
    if (dup2(s->g->null_fd, 0) < 0 || dup2(s->c->out_fd, 1) < 0 || dup2(s->c->err_fd, 2) < 0) fail_child(s, "output");
    (void)close_range(3, ~0u, 0);
    if (chdir(s->g->folder) != 0) fail_child(s, s->g->folder);
    (void)sigprocmask(SIG_SETMASK, &none, NULL);
    (void)execve(s->program, s->argv, s->g->environment);
    fail_child(s, s->program);
}

static __attribute__((noinline)) pid_t start_child(struct start *s)
{
    pid_t pid = vfork();
    if (pid == 0) become_command(s);
    return pid;
}

reeve_status reeve_command_start(struct reeve_command_ground *g, const struct reeve_command *c, pid_t *pid, int *pidfd,
                                 struct reeve_error *err)
{
    char *words[WORDS_MAX + 1], *copy = NULL;
    const char *program = NULL;
    if (is_plain(c->text) && (copy = strdup(c->text)) != NULL && split(copy, words) > 0)
        program = find_program(g, words[0]);
    char *const by_shell[] = {(char *)(uintptr_t)g->shell, (char *)(uintptr_t) "-c", (char *)(uintptr_t)c->text, NULL};
    for (size_t i = 0; i < 3; i++)
        g->environment[g->variables + i] = (char *)(uintptr_t)c->variables[i];
    struct start s = {.g = g,
                      .c = c,
                      .program = program != NULL ? program : g->shell,
                      .argv = program != NULL ? words : by_shell,
                      .parent = getpid()};
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before); /* no handler of ours may run in the child, on our memory */
    *pid = start_child(&s);
    int why = errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    reeve_status st = REEVE_OK;
    if (*pid < 0) {
        st = reeve_fail(err, REEVE_TASK_FAILED, "cannot start a process: %s", strerror(why));
    } else if (s.failed_at != NULL) {
        st = reeve_fail(err, REEVE_TASK_FAILED, "cannot start: %s: %s", s.failed_at, strerror(s.failed_errno));
        atomic_store(c->group, 0);
        (void)waitpid(*pid, NULL, 0);
    } else {
        *pidfd = (int)syscall(SYS_pidfd_open, *pid, 0);
        if (*pidfd >= 0) (void)fcntl(*pidfd, F_SETFD, FD_CLOEXEC);
    }
    free(copy);
    return st;
}

bool reeve_command_ended(pid_t pid, atomic_int *group, int *wait_status)
{
    siginfo_t info = {0};
    if (waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0) return false;
    (void)kill(-pid, SIGKILL); /* its number is still its own: nobody else is hit */
    atomic_store(group, 0);
    (void)waitpid(pid, wait_status, 0);
    return true;
}
