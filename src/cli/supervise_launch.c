/* See launch.h. */
#include "cli/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "cli/output.h"
#include "export/progress.h"
#include "export/status_file.h"
#include "run/stop_signals.h"

#define ARGUMENTS_MAX 40
#define LOOK_NS (50 * REEVE_MILLISECOND_NS)
#define KILL_AFTER_NS (5 * REEVE_SECOND_NS) /* from a polite end to SIGKILL */

/* reeve-rank lies beside reeve; after `cmake --install` too. */
static int find_rank_program(char *path, size_t path_bytes)
{
    ssize_t n = readlink("/proc/self/exe", path, path_bytes - 1);
    if (n > 0) {
        path[n] = '\0';
        char *slash = strrchr(path, '/');
        if (slash != NULL && (size_t)(slash - path) + sizeof("/reeve-rank") <= path_bytes) {
            memcpy(slash, "/reeve-rank", sizeof("/reeve-rank"));
            if (access(path, X_OK) == 0) return 0;
        }
    }
    return reeve_cli_fail_text(REEVE_EXIT_UNAVAILABLE, "reeve-rank is not beside reeve (%s): build or install both",
                               path);
}

bool reeve_launch_inside_mpi(void)
{
    static const char *const marks[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (getenv(marks[i]) != NULL) return true;
    return false;
}

int reeve_launch_exec_rank(const char **argv)
{
    char path[REEVE_PATH_BYTES_MAX];
    int code = find_rank_program(path, sizeof(path));
    if (code != 0) return code;
    argv[0] = path;
    (void)execv(path, (char *const *)(uintptr_t)argv); /* execv changes nothing; its type is older than const */
    return reeve_cli_fail_text(REEVE_EXIT_UNAVAILABLE, "start %s: %m", path);
}

static bool on_path(const char *program)
{
    const char *path = getenv("PATH");
    char *copy = strdup(path != NULL ? path : "/usr/bin:/bin");
    bool found = false;
    for (char *at = copy, *dir; copy != NULL && !found && (dir = strsep(&at, ":")) != NULL;) {
        char full[REEVE_PATH_BYTES_MAX];
        if (snprintf(full, sizeof(full), "%s/%s", dir, program) < (int)sizeof(full)) found = access(full, X_OK) == 0;
    }
    free(copy);
    return found;
}

/* Open MPI refuses root unless told twice; that is the user's word to give, not ours. */
static int check_launcher(void)
{
    if (!on_path("mpirun"))
        return reeve_cli_fail_text(REEVE_EXIT_UNAVAILABLE,
                                   "mpirun is not on PATH: install Open MPI (Debian: openmpi-bin), or use -n 1");
    if (geteuid() == 0 &&
        (getenv("OMPI_ALLOW_RUN_AS_ROOT") == NULL || getenv("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM") == NULL))
        return reeve_cli_fail_text(REEVE_EXIT_CONFIG,
                                   "mpirun refuses to run as root: run as another user, or, in a container, set "
                                   "OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
    return 0;
}

struct arguments {
    char *list[ARGUMENTS_MAX + 1];
    int count;
    char text[16][32];
    int text_count;
};

static void add(struct arguments *a, const char *word)
{
    REEVE_ASSERT(a->count < ARGUMENTS_MAX);
    a->list[a->count++] = (char *)word;
    a->list[a->count] = NULL;
}

static void add_number(struct arguments *a, uint64_t number)
{
    char *text = a->text[a->text_count++];
    (void)snprintf(text, sizeof(a->text[0]), "%" PRIu64, number);
    add(a, text);
}

static void build_arguments(const struct reeve_launch *l, const char *rank_program, struct arguments *a)
{
    if (l->workers > 1) {
        add(a, "mpirun");
        add(a, "-n");
        add_number(a, (uint64_t)l->workers + 1);
        /* On one machine more ranks than cores are usual (the master mostly sleeps); in an allocation Slurm decides. */
        if (getenv("SLURM_JOB_ID") == NULL) add(a, "--oversubscribe");
        add(a, "--bind-to");
        add(a, "none");
    }
    add(a, rank_program);
    add(a, "--run-dir");
    add(a, l->prepared->run_dir);
    add(a, l->workers == 1 ? "--alone" : "--watched");
    if (l->quiet) add(a, "--quiet");
    if (l->stop_at > 0) {
        add(a, "--stop-at");
        add_number(a, l->stop_at);
    }
}

static pid_t start(const struct arguments *a)
{
    pid_t parent = getpid();
    pid_t child = fork();
    if (child != 0) return child;
    /* Its own session: Ctrl-C is ours to translate; and it never outlives us. */
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(REEVE_EXIT_INTERNAL);
    (void)execvp(a->list[0], a->list);
    (void)fprintf(stderr, "reeve: start %s: %s\n", a->list[0], strerror(errno));
    _exit(REEVE_EXIT_UNAVAILABLE);
}

static void ask_stop(const struct reeve_launch *l)
{
    char path[REEVE_PATH_BYTES_MAX + 8];
    (void)snprintf(path, sizeof(path), "%s/STOP", l->prepared->run_dir);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0666);
    if (fd >= 0) (void)close(fd);
    if (isatty(STDERR_FILENO)) (void)fputc('\n', stderr); /* behind the terminal's ^C and the progress line */
    reeve_cli_note("stopping at the next step boundary; once more to leave at once");
}

/* A stop that came too late to be seen must not stop the next start. */
static void take_stop_back(const struct reeve_launch *l)
{
    char path[REEVE_PATH_BYTES_MAX + 8];
    (void)snprintf(path, sizeof(path), "%s/STOP", l->prepared->run_dir);
    (void)unlink(path);
}

/* Wait for the launcher; the first signal asks the run to stop, the second ends it. Returns waitpid's status. */
static int watch(const struct reeve_launch *l, pid_t child, bool *left_at_once)
{
    int status = 0, handled = 0;
    reeve_time_ns kill_at_ns = 0;
    *left_at_once = false;
    for (;;) {
        pid_t got = waitpid(child, &status, WNOHANG);
        if (got == child || (got < 0 && errno != EINTR)) return status;
        int signals = reeve_stop_signals_count();
        if (signals > handled && handled == 0) ask_stop(l);
        if (signals > 1 && handled <= 1) {
            *left_at_once = true;
            (void)kill(-child, SIGTERM);
            kill_at_ns = reeve_clock_now() + KILL_AFTER_NS;
        }
        handled = signals;
        if (kill_at_ns != 0 && reeve_clock_now() > kill_at_ns) {
            (void)kill(-child, SIGKILL);
            kill_at_ns += KILL_AFTER_NS;
        }
        reeve_clock_sleep(LOOK_NS);
    }
}

/* The run's last word, if it was written by the launch that just ended. */
static int last_word(const struct reeve_launch *l, int64_t began_wall_ns, int status)
{
    char path[REEVE_PATH_BYTES_MAX + 16];
    (void)snprintf(path, sizeof(path), "%s/status.json", l->prepared->run_dir);
    struct reeve_status_report report;
    struct reeve_error err = {0};
    bool ours = reeve_status_file_read(path, &report, &err) == REEVE_OK && report.updated_wall_ns >= began_wall_ns;
    if (ours && report.exit_code >= 0) return report.exit_code;
    int code = WIFEXITED(status) ? WEXITSTATUS(status) : REEVE_EXIT_INTERNAL;
    /* It ended before it became a run (and said why), or it was killed. */
    if (!ours && WIFEXITED(status) && code >= REEVE_EXIT_USAGE && code <= REEVE_EXIT_CONFIG) return code;
    if (WIFSIGNALED(status))
        return reeve_cli_fail_text(
            REEVE_EXIT_INTERNAL,
            "the run was killed by signal %d (%s); nothing that was committed is lost: run the same "
            "command again to go on",
            WTERMSIG(status), strsignal(WTERMSIG(status)));
    return reeve_cli_fail_text(
        REEVE_EXIT_INTERNAL,
        "the run ended without a last word (exit code %d; see %s/log): a rank was lost, perhaps. "
        "Nothing that was committed is lost: run the same command again to go on",
        code, l->prepared->run_dir);
}

int reeve_launch_run(const struct reeve_launch *l)
{
    int code = l->workers > 1 ? check_launcher() : 0;
    char rank_program[REEVE_PATH_BYTES_MAX];
    if (code == 0) code = find_rank_program(rank_program, sizeof(rank_program));
    if (code != 0) return code;
    char columns[16];
    (void)snprintf(columns, sizeof(columns), "%u", reeve_progress_columns(STDOUT_FILENO));
    (void)setenv("OMPI_MCA_orte_execute_quiet", "1", 0); /* we say how it ended; Open MPI 4 need not */
    (void)setenv("REEVE_PROGRESS_COLUMNS", columns, 1);  /* mpirun's pipes hide the terminal from the ranks */
    struct arguments a = {0};
    build_arguments(l, rank_program, &a);
    if (isatty(STDERR_FILENO) && !l->quiet) (void)setenv("REEVE_STDERR_IS_TERMINAL", "1", 1);
    (void)fflush(stdout);
    int64_t began_wall_ns = reeve_clock_wall_ns();
    reeve_stop_signals_install(0);
    pid_t child = start(&a);
    if (child < 0) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "fork: %m");
    bool left_at_once = false;
    int status = watch(l, child, &left_at_once);
    if (reeve_stop_signals_count() > 0) take_stop_back(l);
    if (left_at_once) return REEVE_EXIT_INTERRUPTED;
    return last_word(l, began_wall_ns, status);
}
