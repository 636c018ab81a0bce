/* See allocation.h. */
#include "run/allocation.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/batch_job.h"
#include "base/clock.h"

extern char **environ;

/* How often: a tenth of the time that is left, so that a change is seen in good time, and the controller has its peace. */
#define ASK_MIN_NS (15 * REEVE_SECOND_NS)
#define ASK_MAX_NS (300 * REEVE_SECOND_NS)
#define PATIENCE_NS (30 * REEVE_SECOND_NS) /* with one answer; a busy controller may take long */
#define LEAVE_NS REEVE_SECOND_NS           /* for a child that was killed, when this process ends */
#define LEAVE_LOOK_NS REEVE_MILLISECOND_NS

bool reeve_allocation_parse_end(const char *text, int64_t *end_wall_ns)
{
    char *end = NULL;
    errno = 0;
    long long seconds = strtoll(text, &end, 10);
    bool number = end != text && errno == 0 && (*end == '\n' || *end == '\0');
    if (number && seconds > 0 && seconds < INT64_MAX / REEVE_SECOND_NS) {
        *end_wall_ns = seconds * REEVE_SECOND_NS;
        return true;
    }
    size_t n = strcspn(text, "\n");
    static const char *const words[] = {"N/A", "NONE", "Unknown", "UNLIMITED", "NOT_SET"};
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
        if (n != strlen(words[i]) || strncmp(text, words[i], n) != 0) continue;
        *end_wall_ns = INT64_MAX;
        return true;
    }
    return false;
}

bool reeve_allocation_parse_line(const char *line, uint64_t job_id, int64_t *end_wall_ns)
{
    char *end = NULL;
    errno = 0;
    unsigned long long id = strtoull(line, &end, 10);
    return end != line && errno == 0 && *end == ' ' && id == job_id && reeve_allocation_parse_end(end + 1, end_wall_ns);
}

void reeve_allocation_init(struct reeve_allocation *a, reeve_time_ns now_ns)
{
    memset(a, 0, sizeof(*a));
    a->end_wall_ns = INT64_MAX;
    a->job_id = reeve_batch_job(&a->restart_count);
    a->next_ns = now_ns;
    if (a->job_id == 0) return;
    const char *end = getenv("SLURM_JOB_END_TIME");
    if (end != NULL) (void)reeve_allocation_parse_end(end, &a->end_wall_ns);
}

/* Start squeue with its output in a pipe, and nothing else of ours. */
static void ask(struct reeve_allocation *a, reeve_time_ns now_ns)
{
    int ends[2];
    if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) return;
    char job[24];
    (void)snprintf(job, sizeof(job), "%" PRIu64, a->job_id);
    const char *const argv[] = {"env", "SLURM_TIME_FORMAT=%s", "squeue", "--noheader", "--jobs",
                                job,   "--format=%A %e",       NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attr;
    sigset_t defaults;
    (void)sigemptyset(&defaults);
    (void)sigaddset(&defaults, SIGPIPE);
    (void)posix_spawnattr_init(&attr);
    (void)posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF);
    (void)posix_spawnattr_setsigdefault(&attr, &defaults);
    (void)posix_spawn_file_actions_init(&files);
    (void)posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
    (void)posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO);
    (void)posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    /* posix_spawn changes nothing; its type is older than const */
    int failed = posix_spawnp(&a->child, "env", &files, &attr, (char *const *)(uintptr_t)argv, environ);
    (void)posix_spawn_file_actions_destroy(&files);
    (void)posix_spawnattr_destroy(&attr);
    (void)close(ends[1]);
    if (failed != 0) {
        (void)close(ends[0]);
        a->child = 0;
        return;
    }
    a->answer = ends[0];
    a->line_bytes = 0;
    a->asked_ns = now_ns;
}

/* No process can be killed while the kernel waits for a dead disk or file server: nobody waits for it here, and nobody
 * is asked until it is gone. */
static void reap(struct reeve_allocation *a)
{
    pid_t gone = waitpid(a->child, NULL, WNOHANG);
    if (gone == a->child || (gone < 0 && errno == ECHILD)) a->child = 0;
}

static void end_question(struct reeve_allocation *a)
{
    (void)close(a->answer);
    a->answer = -1;
    (void)kill(-a->child, SIGKILL); /* nobody is there any more if it answered */
    reap(a);
}

/* A job may have several lines: those of an array have all tasks of it, where the number is the array's as well. */
static void take_text(struct reeve_allocation *a, const char *text, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++) {
        if (text[i] != '\n') {
            if (a->line_bytes + 1 < sizeof(a->line)) a->line[a->line_bytes++] = text[i];
            continue;
        }
        a->line[a->line_bytes] = '\0';
        a->line_bytes = 0;
        (void)reeve_allocation_parse_line(a->line, a->job_id, &a->end_wall_ns);
    }
}

/* True when the answer is complete, or will never be. */
static bool hear(struct reeve_allocation *a, reeve_time_ns now_ns)
{
    char piece[4096];
    ssize_t n = read(a->answer, piece, sizeof(piece));
    if (n > 0) take_text(a, piece, (size_t)n);
    if (n > 0 || (n < 0 && (errno == EAGAIN || errno == EINTR))) return now_ns - a->asked_ns > PATIENCE_NS;
    return true;
}

static reeve_time_ns until_next(const struct reeve_allocation *a)
{
    if (a->end_wall_ns == INT64_MAX) return ASK_MAX_NS;
    int64_t tenth_ns = (a->end_wall_ns - reeve_clock_wall_ns()) / 10;
    return tenth_ns < ASK_MIN_NS ? ASK_MIN_NS : tenth_ns > ASK_MAX_NS ? ASK_MAX_NS : tenth_ns;
}

bool reeve_allocation_turn(struct reeve_allocation *a, reeve_time_ns now_ns)
{
    if (a->job_id == 0) return false;
    if (a->child != 0 && a->answer < 0) reap(a);
    if (a->child == 0) {
        if (now_ns < a->next_ns) return false;
        a->next_ns = now_ns + ASK_MIN_NS; /* if it cannot be asked */
        ask(a, now_ns);
        return false;
    }
    if (a->answer < 0) return false;
    int64_t before_ns = a->end_wall_ns;
    if (hear(a, now_ns)) {
        end_question(a);
        a->next_ns = now_ns + until_next(a);
    }
    return a->end_wall_ns != before_ns;
}

static bool is_asking(const struct reeve_allocation *a)
{
    return a->child != 0 && a->answer >= 0;
}

void reeve_allocation_ask_anew(struct reeve_allocation *a, reeve_time_ns since_ns, reeve_time_ns now_ns)
{
    if (is_asking(a) && a->asked_ns >= since_ns) return;
    if (is_asking(a)) end_question(a);
    a->next_ns = now_ns;
}

bool reeve_allocation_has_asked(const struct reeve_allocation *a, reeve_time_ns since_ns)
{
    return a->asked_ns >= since_ns && !is_asking(a);
}

void reeve_allocation_fini(struct reeve_allocation *a)
{
    if (a->child == 0) return;
    if (a->answer >= 0) end_question(a);
    for (reeve_time_ns until_ns = reeve_clock_now() + LEAVE_NS; a->child != 0 && reeve_clock_now() < until_ns; reap(a))
        reeve_clock_sleep(LEAVE_LOOK_NS);
}
