/* Processes of a job as others of it see them: who one is, what it is seen to do, and its end. /proc/PID: proc(5). */
#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "store/owner.h"
#include "store/owner_record.h"

void reeve_owner_process_self(struct reeve_owner_process *out)
{
    struct reeve_owner_record r;
    reeve_owner_record_make(&r);
    memset(out, 0, sizeof(*out));
    memcpy(out->boot, r.boot, sizeof(out->boot));
    out->pid = r.pid;
    out->start = r.start;
}

static enum reeve_owner_life life_of(const struct reeve_owner_process *p)
{
    struct reeve_owner_record r;
    memset(&r, 0, sizeof(r));
    memcpy(r.boot, p->boot, sizeof(r.boot));
    r.boot[sizeof(r.boot) - 1] = '\0';
    r.pid = (long)p->pid;
    r.start = p->start;
    return r.pid <= 1 || r.start == 0 ? REEVE_OWNER_UNKNOWN : reeve_owner_record_life(&r);
}

/* Up to text_bytes - 1 bytes of a small file of /proc; "" if it cannot be read. */
static void read_all(const char *path, char *text, size_t text_bytes)
{
    FILE *file = fopen(path, "re");
    size_t n = file != NULL ? fread(text, 1, text_bytes - 1, file) : 0;
    if (file != NULL) (void)fclose(file);
    text[n] = '\0';
}

static bool is_traced(const struct reeve_owner_process *p)
{
    char path[64], text[4096];
    long tracer = 0;
    (void)snprintf(path, sizeof(path), "/proc/%lld/status", (long long)p->pid);
    read_all(path, text, sizeof(text));
    const char *at = strstr(text, "\nTracerPid:");
    return at != NULL && sscanf(at, "\nTracerPid: %ld", &tracer) == 1 && tracer != 0;
}

/* 'R', 'S', 'D', 'T' ...; field 3, behind a name that may hold spaces and parentheses. 0: that thread is gone. */
static char thread_state(const char *folder, const char *thread)
{
    char path[512], text[1024];
    (void)snprintf(path, sizeof(path), "%s/%.200s/stat", folder, thread);
    read_all(path, text, sizeof(text));
    const char *at = strrchr(text, ')');
    return at != NULL && at[1] == ' ' ? at[2] : 0;
}

static enum reeve_owner_look look_at_threads(const struct reeve_owner_process *p)
{
    char path[64];
    (void)snprintf(path, sizeof(path), "/proc/%lld/task", (long long)p->pid);
    DIR *folder = opendir(path);
    if (folder == NULL) return REEVE_OWNER_PROCESS_UNSEEN;
    uint32_t threads = 0, stopped = 0, on_disk = 0;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        char state = entry->d_name[0] != '.' ? thread_state(path, entry->d_name) : 0;
        threads += state != 0;
        stopped += state == 'T';
        on_disk += state == 'D';
    }
    (void)closedir(folder);
    if (on_disk > 0) return REEVE_OWNER_PROCESS_ON_DISK;
    return threads > 0 && stopped == threads ? REEVE_OWNER_PROCESS_STOPPED : REEVE_OWNER_PROCESS_RUNS;
}

enum reeve_owner_look reeve_owner_process_look(const struct reeve_owner_process *p)
{
    enum reeve_owner_life life = life_of(p);
    if (life == REEVE_OWNER_UNKNOWN) return REEVE_OWNER_PROCESS_UNSEEN;
    if (life == REEVE_OWNER_DEAD) return REEVE_OWNER_PROCESS_GONE;
    return is_traced(p) ? REEVE_OWNER_PROCESS_TRACED : look_at_threads(p);
}

/* A number may be another process's by the time that a signal is sent to it. A handle never is: whoever it means is asked
 * for after it was taken. */
bool reeve_owner_process_end(const struct reeve_owner_process *p)
{
    if (p->pid <= 1 || p->pid > INT_MAX) return false;
    pid_t pid = (pid_t)p->pid;
    int handle = (int)syscall(SYS_pidfd_open, pid, 0);
    if (handle < 0 && errno == ESRCH) return false;
    bool ended = life_of(p) == REEVE_OWNER_LIVES;
    if (ended && handle >= 0) ended = syscall(SYS_pidfd_send_signal, handle, SIGKILL, NULL, 0) == 0;
    else if (ended) ended = kill(pid, SIGKILL) == 0; /* an old kernel, or no descriptor left */
    if (handle >= 0) (void)close(handle);
    return ended;
}
