/* See processes.h. /proc/PID/environ: proc(5), the environment that the program was started with. */
#include "cli/processes.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/launch_id.h"

#define ENVIRON_BYTES_MAX (1u << 20)
#define PROCESSES_MAX 4096u
#define AGAIN_NS (20 * REEVE_MILLISECOND_NS)

/* A file of /proc/PID, whole, with two NULs behind it. NULL: gone, or not ours to read. free() it. */
static char *read_proc(pid_t pid, const char *name, size_t *bytes)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%ld/%s", (long)pid, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return NULL;
    size_t room = 16384, n = 0;
    char *text = malloc(room + 2);
    while (text != NULL) {
        ssize_t got = read(fd, text + n, room - n);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) break;
        n += (size_t)got;
        if (n < room) continue;
        char *grown = room < ENVIRON_BYTES_MAX ? realloc(text, 2 * room + 2) : NULL;
        if (grown == NULL) break;
        text = grown;
        room *= 2;
    }
    (void)close(fd);
    if (text == NULL) return NULL;
    text[n] = text[n + 1] = '\0';
    *bytes = n;
    return text;
}

/* The value of NAME=, in a block of strings that each end with a NUL; NULL: not there. */
static const char *find_variable(const char *block, size_t bytes, const char *name)
{
    size_t n = strlen(name);
    for (const char *at = block; at < block + bytes; at += strlen(at) + 1)
        if (strncmp(at, name, n) == 0 && at[n] == '=') return at + n + 1;
    return NULL;
}

static bool carries(const char *block, size_t bytes, const char *id)
{
    const char *value = find_variable(block, bytes, REEVE_LAUNCH_VARIABLE);
    return value != NULL && strlen(value) == REEVE_LAUNCH_ID_BYTES - 1 && strncmp(value, id, strlen(id)) == 0;
}

/* What the process was started as tells a rank from the programs that it may have started: they inherit all else. */
static void find_role(struct reeve_process *p, const char *block, size_t bytes)
{
    size_t n = 0;
    char *words = read_proc(p->pid, "cmdline", &n);
    const char *slash = words != NULL ? strrchr(words, '/') : NULL;
    const char *name = words == NULL ? "" : slash != NULL ? slash + 1 : words;
    p->role = REEVE_PROCESS_OTHER;
    p->rank = -1;
    if (strcmp(name, "reeve-rank") == 0 || strcmp(name, "reeve-rank-cuda") == 0) {
        const char *rank = find_variable(block, bytes, "PMIX_RANK"),
                   *job = find_variable(block, bytes, "PMIX_NAMESPACE");
        const char *number = job != NULL ? strrchr(job, '@') : NULL; /* "prterun-HOST-PID@2" is what a rank spawned */
        bool spawned = number != NULL && strcmp(number, "@1") != 0;
        p->role = REEVE_PROCESS_RANK;
        p->rank = rank == NULL ? 0 : spawned ? -1 : atoi(rank); /* without MPI master and worker are one */
    } else if (strcmp(name, "mpirun") == 0 || strcmp(name, "prterun") == 0) {
        p->role = REEVE_PROCESS_LAUNCHER;
    }
    free(words);
}

/* Field 22 of /proc/PID/stat, proc(5): clock ticks after the start of the machine. The name, field 2, may hold anything. */
static int64_t started_wall_ns(pid_t pid)
{
    size_t n = 0;
    char *text = read_proc(pid, "stat", &n);
    const char *at = text != NULL ? strrchr(text, ')') : NULL;
    for (int field = 2; at != NULL && field < 22; field++)
        at = strchr(at + 1, ' ');
    unsigned long long ticks = at != NULL ? strtoull(at, NULL, 10) : 0;
    free(text);
    struct timespec up;
    long hz = sysconf(_SC_CLK_TCK);
    if (ticks == 0 || hz <= 0 || clock_gettime(CLOCK_BOOTTIME, &up) != 0) return 0;
    int64_t age_ns =
        (int64_t)up.tv_sec * REEVE_SECOND_NS + up.tv_nsec - (int64_t)(ticks * (1000000000ull / (unsigned long long)hz));
    return reeve_clock_wall_ns() - age_ns;
}

size_t reeve_processes_find(const char *id, struct reeve_process *list, size_t room)
{
    size_t count = 0;
    DIR *dir = opendir("/proc");
    if (dir == NULL) return 0;
    for (const struct dirent *entry; count < room && (entry = readdir(dir)) != NULL;) {
        char *end = NULL;
        long pid = strtol(entry->d_name, &end, 10);
        if (pid <= 0 || *end != '\0' || pid == (long)getpid()) continue;
        size_t bytes = 0;
        char *block = read_proc((pid_t)pid, "environ", &bytes);
        if (block != NULL && carries(block, bytes, id)) {
            list[count] = (struct reeve_process){.pid = (pid_t)pid, .started_wall_ns = started_wall_ns((pid_t)pid)};
            find_role(&list[count++], block, bytes);
        }
        free(block);
    }
    (void)closedir(dir);
    return count;
}

bool reeve_process_signal(const struct reeve_process *p, const char *id, int number)
{
    int handle = (int)syscall(SYS_pidfd_open, p->pid, 0);
    if (handle < 0 && errno != ENOSYS) return false;
    size_t bytes = 0;
    char *block = read_proc(p->pid, "environ", &bytes); /* of whoever the handle is */
    bool ours = block != NULL && carries(block, bytes, id);
    free(block);
    long rc = -1;
    if (ours) rc = handle >= 0 ? syscall(SYS_pidfd_send_signal, handle, number, NULL, 0) : kill(p->pid, number);
    if (handle >= 0) (void)close(handle);
    return rc == 0;
}

size_t reeve_processes_signal(const char *id, int number)
{
    struct reeve_process *list = malloc(PROCESSES_MAX * sizeof(*list));
    size_t hit = 0, count = list != NULL ? reeve_processes_find(id, list, PROCESSES_MAX) : 0;
    for (size_t i = 0; i < count; i++)
        hit += reeve_process_signal(&list[i], id, number);
    free(list);
    return hit;
}

bool reeve_processes_end(const char *id, reeve_time_ns patience_ns)
{
    reeve_time_ns deadline_ns = reeve_clock_now() + patience_ns;
    while (reeve_processes_signal(id, SIGKILL) > 0) {
        while (waitpid(-1, NULL, WNOHANG) > 0) {} /* orphans that came to us */
        if (reeve_clock_now() > deadline_ns) return false;
        reeve_clock_sleep(AGAIN_NS);
    }
    return true;
}
