/* See warden.h. */
#include "run/warden.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"

#define LIFE_FD 3
#define GROUPS_FD 4

struct start {
    const char *program;
    int life, groups;
    const char *volatile failed_at; /* written by the child, before an _exit that reads nothing: hence volatile */
    volatile int failed_errno;
};

/* In the child of vfork, on the parent's memory: the two descriptors to their places, and away. */
static void become_warden(struct start *s)
{
    char *const argv[] = {(char *)(uintptr_t) "reeve-warden", (char *)(uintptr_t) "--warden", NULL};
    int high_life = fcntl(s->life, F_DUPFD, 16), high_groups = fcntl(s->groups, F_DUPFD, 16);
    (void)setsid(); /* a signal to the worker's group is not for it */
    if (high_life < 0 || high_groups < 0 || dup2(high_life, LIFE_FD) < 0 || dup2(high_groups, GROUPS_FD) < 0) {
        s->failed_at = "its descriptors";
    } else {
        (void)close_range(5, ~0u, 0);
        (void)execv(s->program, argv);
        s->failed_at = s->program;
    }
    s->failed_errno = errno;
    _exit(127);
}

static __attribute__((noinline)) pid_t start_warden(struct start *s)
{
    pid_t pid = vfork();
    if (pid == 0) become_warden(s);
    return pid;
}

/* *fd: the memory's, for the warden; the caller's then. */
static reeve_status map_groups(struct reeve_warden *w, int *fd, struct reeve_error *err)
{
    size_t bytes = w->count * sizeof(*w->groups);
    *fd = memfd_create("reeve-groups", MFD_CLOEXEC);
    if (*fd < 0) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "memfd_create: %m");
    reeve_status st = REEVE_OK;
    void *shared = MAP_FAILED;
    if (ftruncate(*fd, (off_t)bytes) != 0) st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "ftruncate to %zu: %m", bytes);
    else shared = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, *fd, 0);
    if (st == REEVE_OK && shared == MAP_FAILED)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "mmap of %zu bytes: %m", bytes);
    if (st == REEVE_OK) w->groups = shared;
    else (void)close(*fd);
    return st;
}

static reeve_status start_program(struct reeve_warden *w, const char *program, int groups_fd, struct reeve_error *err)
{
    int line[2];
    if (pipe2(line, O_CLOEXEC) != 0) return reeve_fail(err, REEVE_JOB_CONFIG, "pipe: %m");
    struct start s = {.program = program, .life = line[0], .groups = groups_fd};
    sigset_t all, before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_SETMASK, &all, &before);
    w->pid = start_warden(&s);
    int why = w->pid < 0 ? errno : s.failed_errno;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    (void)close(line[0]);
    w->life_fd = line[1];
    if (w->pid > 0 && s.failed_at == NULL) return REEVE_OK;
    /* What commands have started would live on, unseen, when this process is killed. */
    return reeve_fail(err, REEVE_JOB_CONFIG, "cannot start a process that watches over commands: %s%s%s",
                      s.failed_at != NULL ? s.failed_at : "", s.failed_at != NULL ? ": " : "", strerror(why));
}

reeve_status reeve_warden_start(struct reeve_warden *w, uint32_t count, const char *program, struct reeve_error *err)
{
    int fd = -1;
    *w = (struct reeve_warden){.count = count, .life_fd = -1};
    reeve_status st = map_groups(w, &fd, err);
    if (st != REEVE_OK) return st;
    if (program != NULL) st = start_program(w, program, fd, err);
    (void)close(fd);
    if (st != REEVE_OK) reeve_warden_stop(w);
    return st;
}

void reeve_warden_stop(struct reeve_warden *w)
{
    if (w->life_fd >= 0) (void)close(w->life_fd);
    if (w->pid > 0) (void)waitpid(w->pid, NULL, 0);
    if (w->groups != NULL) (void)munmap(w->groups, w->count * sizeof(*w->groups));
    memset(w, 0, sizeof(*w));
    w->life_fd = -1;
}

_Noreturn void reeve_warden_main(void)
{
    struct stat info;
    char word;
    ssize_t n;
    sigset_t all;
    (void)sigfillset(&all);
    (void)sigprocmask(SIG_SETMASK, &all, NULL);
    if (fstat(GROUPS_FD, &info) != 0 || info.st_size <= 0 || info.st_size > (1 << 20)) _exit(64);
    void *shared = mmap(NULL, (size_t)info.st_size, PROT_READ, MAP_SHARED, GROUPS_FD, 0);
    if (shared == MAP_FAILED) _exit(70);
    const atomic_int *groups = shared;
    do {
        n = read(LIFE_FD, &word, 1);
    } while (n > 0 || (n < 0 && errno == EINTR));
    for (size_t i = 0; i < (size_t)info.st_size / sizeof(*groups); i++) {
        int group = atomic_load(&groups[i]);
        if (group > 1) (void)kill(-group, SIGKILL);
    }
    _exit(0);
}
