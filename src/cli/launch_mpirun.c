/* See launch_mpirun.h. Open MPI 4.1 and 5.0 take the same words. */
#include "cli/launch_mpirun.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/error.h"
#include "base/launch_id.h"
#include "cli/build_info.h"
#include "cli/output.h"
#include "export/progress.h"

#define ARGUMENTS_MAX 40
#define NUMBERS_MAX 1000 /* process numbers that are tried for the launcher */
#define BLAS_VARIABLE "OPENBLAS_CORETYPE"

/* `name` lies beside reeve; after `cmake --install` too. */
static bool find_beside(const char *name, char *path, size_t path_bytes)
{
    ssize_t n = readlink("/proc/self/exe", path, path_bytes - 1);
    if (n < 0) n = 0;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL || (size_t)(slash - path) + 1 + strlen(name) >= path_bytes) return false;
    memcpy(slash + 1, name, strlen(name) + 1);
    return access(path, X_OK) == 0;
}

/* cuda: the one that can use GPUs, if this build has it; else the other says what is missing. */
static int find_rank_program(bool cuda, char *path, size_t path_bytes)
{
    if (cuda && find_beside("reeve-rank-cuda", path, path_bytes)) return 0;
    if (find_beside("reeve-rank", path, path_bytes)) return 0;
    return reeve_cli_fail_text(REEVE_EXIT_UNAVAILABLE, "reeve-rank is not beside reeve (%s): build or install both",
                               path);
}

/* The driver's devices; they are there where its kernel module is loaded. */
static bool shows_gpu(void)
{
    return access("/dev/nvidiactl", F_OK) == 0 || access("/dev/nvidia0", F_OK) == 0;
}

bool reeve_launch_wants_cuda(const struct reeve_job *job)
{
    if (reeve_job_is_list(job)) return false;
    return job->resources.device == REEVE_DEVICE_CUDA || (job->resources.device == REEVE_DEVICE_AUTO && shows_gpu());
}

bool reeve_launch_inside_mpi(void)
{
    static const char *const marks[] = {"OMPI_COMM_WORLD_SIZE", "PMIX_RANK", "PMI_RANK"};
    for (size_t i = 0; i < sizeof(marks) / sizeof(marks[0]); i++)
        if (getenv(marks[i]) != NULL) return true;
    return false;
}

int reeve_launch_exec_rank(bool cuda, const char **argv)
{
    char path[REEVE_PATH_BYTES_MAX];
    int code = find_rank_program(cuda, path, sizeof(path));
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

const char *reeve_launch_refuses_root(void)
{
    static const char *const variables[] = {"OMPI_ALLOW_RUN_AS_ROOT", "OMPI_ALLOW_RUN_AS_ROOT_CONFIRM"};
    if (geteuid() != 0) return NULL;
    for (size_t i = 0; i < sizeof(variables) / sizeof(variables[0]); i++) {
        const char *value = getenv(variables[i]);
        if (value == NULL || strcmp(value, "1") != 0) return variables[i];
    }
    return NULL;
}

int reeve_launch_check(const struct reeve_placement *placement)
{
    char rank_program[REEVE_PATH_BYTES_MAX];
    int code = find_rank_program(false, rank_program, sizeof(rank_program));
    if (code != 0 || placement->workers == 1) return code;
    if (!on_path("mpirun"))
        return reeve_cli_fail_text(REEVE_EXIT_UNAVAILABLE,
                                   "mpirun is not on PATH: install Open MPI (Debian: openmpi-bin), or use -n 1");
    if (reeve_launch_refuses_root() != NULL)
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

static bool spans_hosts(const struct reeve_placement *placement)
{
    if (placement->hosts != NULL) return strchr(placement->hosts, ',') != NULL;
    const char *nodes = getenv("SLURM_JOB_NUM_NODES");
    return getenv("SLURM_JOB_ID") != NULL && nodes != NULL && strtol(nodes, NULL, 10) > 1;
}

/* Losing a process is then an event inside the job, not its end. REEVE_IN_JOB=off: the supervisor, for every loss. Across
 * hosts it has to be asked for (on): there Open MPI 5.0.7 does not always tell the master, see docs/recovery.md. */
static bool goes_on_inside(const struct reeve_placement *placement)
{
    const char *wish = getenv("REEVE_IN_JOB");
    if (!REEVE_BUILD_ULFM || (wish != NULL && strcmp(wish, "off") == 0)) return false;
    return !spans_hosts(placement) || (wish != NULL && strcmp(wish, "on") == 0);
}

static void add_mpirun(struct arguments *a, const struct reeve_placement *placement)
{
    add(a, "mpirun");
    add(a, "-n");
    add_number(a, (uint64_t)placement->workers + 1);
    if (placement->hosts != NULL) {
        add(a, "--host");
        add(a, placement->hosts);
    }
    /* On one machine more ranks than cores are usual (the master mostly sleeps); in an allocation Slurm decides. */
    if (getenv("SLURM_JOB_ID") == NULL) add(a, "--oversubscribe");
    add(a, "--bind-to");
    add(a, "none");
    if (goes_on_inside(placement)) {
        add(a, "--with-ft");
        add(a, "ulfm");
    }
    add(a, "-x"); /* also to other hosts */
    add(a, REEVE_LAUNCH_VARIABLE);
    if (getenv(BLAS_VARIABLE) == NULL) return;
    add(a, "-x"); /* or those would compute other bits, and be refused (run/kinds.h) */
    add(a, BLAS_VARIABLE);
}

static void build_arguments(const struct reeve_launch *l, const struct reeve_placement *placement,
                            const char *rank_program, struct arguments *a)
{
    bool alone = placement->workers == 1;
    if (!alone) add_mpirun(a, placement);
    add(a, rank_program);
    add(a, "--run-dir");
    add(a, l->prepared->run_dir);
    add(a, alone ? "--alone" : "--watched");
    if (l->quiet) add(a, "--quiet");
    if (l->stop_at > 0) {
        add(a, "--stop-at");
        add_number(a, l->stop_at);
    }
    if (l->end_at_s > 0) {
        add(a, "--end-at");
        add_number(a, l->end_at_s);
    }
}

static _Noreturn void become_launcher(const struct arguments *a, pid_t parent, const char *id, int words)
{
    char columns[16], self[16];
    /* Its own session: Ctrl-C is ours to translate; and it never outlives us. */
    (void)setsid();
    (void)prctl(PR_SET_PDEATHSIG, SIGTERM);
    if (getppid() != parent) _exit(REEVE_EXIT_INTERNAL);
    /* mpirun 5 keeps what a rank prints until its line ends: a line that is drawn again and again would never be seen. */
    (void)snprintf(columns, sizeof(columns), "%u", REEVE_BUILD_ULFM ? 0 : reeve_progress_columns(STDOUT_FILENO));
    (void)setenv("REEVE_PROGRESS_COLUMNS", columns, 1); /* mpirun's pipes hide the terminal from the ranks */
    (void)snprintf(self, sizeof(self), "%ld", (long)parent);
    (void)setenv("REEVE_PROGRESS_OF", self, 1); /* while it is suspended, the terminal is somebody else's */
    if (isatty(STDERR_FILENO)) (void)setenv("REEVE_STDERR_IS_TERMINAL", "1", 1);
    (void)setenv(REEVE_LAUNCH_VARIABLE, id, 1);
    if (words >= 0) (void)dup2(words, STDERR_FILENO);
    (void)execvp(a->list[0], a->list);
    (void)fprintf(stderr, "reeve: start %s: %s\n", a->list[0], strerror(errno));
    _exit(REEVE_EXIT_UNAVAILABLE);
}

/* False: the child is on its way; true: it has ended, since what another one left stands where its own would be. */
static bool was_in_the_way(pid_t child, int gate)
{
    char word;
    ssize_t n;
    do {
        n = read(gate, &word, 1); /* nothing, as soon as the launcher has begun */
    } while (n < 0 && errno == EINTR);
    if (n == 1) (void)waitpid(child, NULL, 0);
    return n == 1;
}

/* mpirun names a folder after its process number, and will not start if there is one. Whose it is cannot be told for
 * certain, so it stays, and mpirun gets another number. */
static int fork_launcher(const struct arguments *a, const char *id, int words, pid_t *child)
{
    pid_t parent = getpid();
    char taken[REEVE_PATH_BYTES_MAX];
    for (int tries = 0; tries < NUMBERS_MAX; tries++) {
        int gate[2];
        if (pipe2(gate, O_CLOEXEC) != 0) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "cannot start the launch: %m");
        *child = fork();
        if (*child == 0) {
            if (words >= 0 && reeve_launch_session_find(getpid(), taken))
                _exit(write(gate[1], "", 1) == 1 ? REEVE_EXIT_DONE : REEVE_EXIT_INTERNAL);
            become_launcher(a, parent, id, words);
        }
        int why = errno;
        (void)close(gate[1]);
        bool again = *child > 0 && was_in_the_way(*child, gate[0]);
        (void)close(gate[0]);
        errno = why;
        if (*child < 0) return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "cannot start the launch: %m");
        if (!again) return 0;
    }
    if (!reeve_launch_session_find(*child, taken)) taken[0] = '\0';
    return reeve_cli_fail_text(REEVE_EXIT_CANNOT_CREATE,
                               "mpirun cannot make its folder: %d process numbers in a row are taken by folders that "
                               "others of it have left, the last one by %s. Remove those that no mpirun uses any "
                               "more, or set TMPDIR to another folder of this machine",
                               NUMBERS_MAX, taken[0] != '\0' ? taken : "one that is gone by now");
}

int reeve_launch_start(const struct reeve_launch *l, const struct reeve_placement *placement, const char *id,
                       pid_t *child, int *words_fd)
{
    char rank_program[REEVE_PATH_BYTES_MAX];
    struct arguments a = {0};
    int words[2] = {-1, -1};
    *words_fd = -1;
    int code = find_rank_program(reeve_launch_wants_cuda(&l->prepared->job), rank_program, sizeof(rank_program));
    if (code != 0) return code;
    build_arguments(l, placement, rank_program, &a);
    if (placement->workers > 1 && pipe2(words, O_CLOEXEC) != 0)
        return reeve_cli_fail_text(REEVE_EXIT_INTERNAL, "cannot start the launch: %m");
    code = fork_launcher(&a, id, words[1], child);
    if (words[1] >= 0) (void)close(words[1]);
    if (code == 0) *words_fd = words[0];
    else if (words[0] >= 0) (void)close(words[0]);
    return code;
}
