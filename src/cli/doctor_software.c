/* What was built in, and what is found now: the launcher, the libraries, Slurm. Programs and libraries are asked
 * from outside, because `reeve` itself links neither MPI nor OpenBLAS. */
#include "cli/command.h"
#include "cli/doctor.h"
#include "cli/launch_mpirun.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/processor.h"
#include "cli/build_info.h"
#include "reeve/version.h"

#define ASK_DEADLINE_MS 10000
#define LAUNCH_DEADLINE_MS 30000
#define OPENBLAS_SPACE_BYTES (UINT64_C(1) << 30)

void reeve_doctor_probe_build(struct reeve_doctor *d)
{
    d->topic = "build";
    (void)reeve_doctor_add(d, "version", REEVE_DOCTOR_GOOD, "%s%s%s", REEVE_VERSION,
                           REEVE_BUILD_COMMIT[0] != '\0' ? ", commit " : "", REEVE_BUILD_COMMIT);
    (void)reeve_doctor_add(d, "compiler", REEVE_DOCTOR_GOOD, "%s, %s (%s)", REEVE_BUILD_COMPILER, REEVE_BUILD_TYPE,
                           REEVE_BUILD_C_FLAGS);
    (void)reeve_doctor_add(d, "mpi", REEVE_DOCTOR_GOOD, "%s, %s ULFM", REEVE_BUILD_MPI,
                           REEVE_BUILD_ULFM ? "with" : "without");
    (void)reeve_doctor_add(d, "hdf5", REEVE_DOCTOR_GOOD, "%s", REEVE_BUILD_HDF5);
    (void)reeve_doctor_add(d, "openblas", REEVE_DOCTOR_GOOD, "%s", REEVE_BUILD_OPENBLAS);
    reeve_doctor_probe_gpu_build(d);
}

static void first_line(char *text)
{
    text[strcspn(text, "\r\n")] = '\0';
}

static bool probe_rank_program(struct reeve_doctor *d)
{
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 16);
    if (n <= 0) return true;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL) return true;
    (void)snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "reeve-rank");
    bool there = access(path, X_OK) == 0;
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "reeve_rank", there ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_BAD,
                                                      "%s%s", path, there ? "" : " is not there");
    if (!there) reeve_doctor_follows(f, "it is what mpirun starts: install or build both programs into one folder");
    return there;
}

/* "mpirun (Open MPI) 4.1.4" -> "4.1.4"; NULL if it is another MPI's. */
static const char *openmpi_version(const char *says)
{
    const char *mark = strstr(says, "(Open MPI) ");
    return mark != NULL ? mark + strlen("(Open MPI) ") : NULL;
}

static bool probe_mpirun(struct reeve_doctor *d)
{
    char path[REEVE_DOCTOR_VALUE_BYTES / 2], says[512];
    if (!reeve_command_which("mpirun", path, sizeof path)) {
        reeve_doctor_follows(
            reeve_doctor_add(d, "mpirun", REEVE_DOCTOR_BAD, "not on PATH"),
            "nothing starts the ranks: apt-get install openmpi-bin, or load your cluster's MPI module");
        return false;
    }
    const char *const argv[] = {path, "--version", NULL};
    int code = reeve_command_run(argv, ASK_DEADLINE_MS, says, sizeof says);
    first_line(says);
    const char *version = openmpi_version(says);
    const char *built = strstr(REEVE_BUILD_MPI, "Open MPI ");
    if (code != 0) {
        (void)reeve_doctor_add(d, "mpirun", REEVE_DOCTOR_BAD, "%s: exit code %d: %.80s", path, code, says);
        return false;
    }
    if (version != NULL && built != NULL && atoi(version) != atoi(built + strlen("Open MPI "))) {
        reeve_doctor_follows(reeve_doctor_add(d, "mpirun", REEVE_DOCTOR_BAD, "%s, %.80s", path, says),
                             "reeve-rank was built with %s: its ranks would not find each other; rebuild, or put that "
                             "mpirun first on PATH",
                             REEVE_BUILD_MPI);
        return false;
    }
    if (version == NULL) {
        reeve_doctor_follows(reeve_doctor_add(d, "mpirun", REEVE_DOCTOR_NOTE, "%s, %.80s", path, says),
                             "not Open MPI: Reeve is tested with Open MPI 4.1 and 5.0");
        return true;
    }
    (void)reeve_doctor_add(d, "mpirun", REEVE_DOCTOR_GOOD, "%s, Open MPI %.40s", path, version);
    return true;
}

/* Which level of failure a job can outlive depends on the MPI. Level 2, the supervisor, needs nothing of it. */
static void probe_fault_tolerance(struct reeve_doctor *d)
{
    static const char restarts[] = "`reeve run` starts it again by itself from the newest checkpoint (level 2)";
    const char *level = REEVE_BUILD_ULFM ? "in the job, and restart; this MPI has ULFM"
                                         : "restart; this MPI has no ULFM (Open MPI >= 5 has)";
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "fault_tolerance", REEVE_DOCTOR_GOOD, "%s", level);
    if (REEVE_BUILD_ULFM)
        reeve_doctor_follows(
            f,
            "a job on one host goes on without a process that it loses (level 1); otherwise, or when it "
            "hangs, %s; `reeve chaos` shows it",
            restarts);
    else reeve_doctor_follows(f, "when a process is lost or the job hangs, %s; `reeve chaos` shows it", restarts);
}

/* Nothing tells more about a launcher than launching. Not inside an MPI job: mpirun there would answer for that job. */
static void probe_launch(struct reeve_doctor *d)
{
    char says[1024];
    if (getenv("OMPI_COMM_WORLD_SIZE") != NULL || getenv("PMIX_RANK") != NULL) return;
    if (reeve_launch_refuses_root() != NULL) return; /* told as a finding on the user */
    const char *const argv[] = {"mpirun", "--oversubscribe", "-n", "2", "true", NULL};
    int code = reeve_command_run(argv, LAUNCH_DEADLINE_MS, says, sizeof says);
    if (code == 0) {
        (void)reeve_doctor_add(d, "trial", REEVE_DOCTOR_GOOD, "two processes started and ended");
        return;
    }
    for (char *c = says; *c != '\0'; c++)
        if (*c == '\n' || *c == '\r' || *c == '\t') *c = ' ';
    struct reeve_doctor_finding *f =
        reeve_doctor_add(d, "trial", REEVE_DOCTOR_BAD, "mpirun -n 2 true: exit code %d", code);
    if (code == REEVE_COMMAND_TIMED_OUT)
        reeve_doctor_follows(f, "no answer in %d s: often a firewall or a host name that does not resolve",
                             LAUNCH_DEADLINE_MS / 1000);
    else reeve_doctor_follows(f, "it says: %.400s", says + strspn(says, " -"));
}

void reeve_doctor_probe_launcher(struct reeve_doctor *d)
{
    d->topic = "launcher";
    (void)probe_rank_program(d);
    bool usable = probe_mpirun(d);
    probe_fault_tolerance(d);
    if (usable) probe_launch(d);
}

/* Only the library knows which headers it takes: 1.10 and 1.14 take most releases of their own line, and none of another. It
 * ends the program where it does not, so it is asked in a process of its own. */
static bool hdf5_takes(int (*check)(unsigned, unsigned, unsigned), unsigned major, unsigned minor, unsigned patch)
{
    int status = 0;
    pid_t child = fork();
    if (child == 0) {
        (void)signal(SIGABRT, SIG_DFL);
        (void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
        if (freopen("/dev/null", "w", stderr) == NULL) _exit(0);
        (void)check(major, minor, patch);
        _exit(0);
    }
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR)
        continue;
    return child < 0 || status == 0;
}

/* `reeve` links HDF5 through store: the loaded library is asked for its version without its header. */
static void probe_hdf5(struct reeve_doctor *d)
{
    unsigned major = 0, minor = 0, patch = 0, built[3] = {0};
    int (*version)(unsigned *, unsigned *, unsigned *) = NULL;
    int (*check)(unsigned, unsigned, unsigned) = NULL;
    *(void **)&version = dlsym(RTLD_DEFAULT, "H5get_libversion");
    *(void **)&check = dlsym(RTLD_DEFAULT, "H5check_version");
    if (version == NULL || check == NULL || version(&major, &minor, &patch) < 0) {
        (void)reeve_doctor_add(d, "hdf5", REEVE_DOCTOR_NOTE, "not loaded by this program");
        return;
    }
    bool taken = sscanf(REEVE_BUILD_HDF5, "%u.%u.%u", &built[0], &built[1], &built[2]) != 3 ||
                 hdf5_takes(check, built[0], built[1], built[2]);
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "hdf5", taken ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_BAD,
                                                      "%u.%u.%u loaded", major, minor, patch);
    if (!taken)
        reeve_doctor_follows(f,
                             "built with %s: HDF5 stops a program whose headers are of another version; rebuild, or "
                             "set LD_LIBRARY_PATH to the folder of that library",
                             REEVE_BUILD_HDF5);
}

/* OpenBLAS asks for its buffers while it is loaded, and asks for ever where they do not fit in. */
static bool has_space_for_openblas(struct reeve_doctor *d)
{
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) != 0 || space.rlim_cur >= OPENBLAS_SPACE_BYTES) return true;
    reeve_doctor_follows(reeve_doctor_add(d, "openblas", REEVE_DOCTOR_BAD, "not tried: `ulimit -v` leaves %llu KiB",
                                          (unsigned long long)space.rlim_cur / 1024),
                         "reeve-rank may hang before it begins, waiting for memory: ulimit -v unlimited, or ask a batch "
                         "system for more (h_vmem)");
    return false;
}

static void probe_openblas(struct reeve_doctor *d)
{
    if (!has_space_for_openblas(d)) return;
    void *blas = dlopen(REEVE_BUILD_OPENBLAS, RTLD_NOW | RTLD_LOCAL);
    if (blas == NULL) blas = dlopen("libopenblas.so.0", RTLD_NOW | RTLD_LOCAL);
    if (blas == NULL) {
        const char *why = dlerror();
        reeve_doctor_follows(
            reeve_doctor_add(d, "openblas", REEVE_DOCTOR_BAD, "cannot be loaded: %.200s", why ? why : ""),
            "reeve-rank cannot start: apt-get install libopenblas0-openmp, or rebuild on this machine");
        return;
    }
    const char *(*config)(void) = NULL;
    const char *(*core)(void) = NULL;
    int (*parallel)(void) = NULL;
    *(void **)&config = dlsym(blas, "openblas_get_config");
    *(void **)&core = dlsym(blas, "openblas_get_corename");
    *(void **)&parallel = dlsym(blas, "openblas_get_parallel");
    static const char *const kind[] = {"sequential", "pthread", "OpenMP"};
    int k = parallel != NULL ? parallel() : -1;
    const char *kind_name = k >= 0 && k <= 2 ? kind[k] : "unknown";
    (void)reeve_doctor_add(d, "openblas", REEVE_DOCTOR_GOOD, "%s", config != NULL ? config() : "unknown version");
    enum reeve_doctor_grade grade = k == 1 ? REEVE_DOCTOR_NOTE : REEVE_DOCTOR_GOOD;
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "openblas_threads", grade, "%s build", kind_name);
    if (k == 1)
        reeve_doctor_follows(f, "beside OpenMP code its threads fight for the cores (several times slower when "
                                "resources.threads > 1): apt-get install libopenblas-openmp-dev, and rebuild");
    const char *better = core != NULL ? reeve_processor_better_blas_core(core()) : NULL;
    f = reeve_doctor_add(d, "openblas_core", better != NULL ? REEVE_DOCTOR_NOTE : REEVE_DOCTOR_GOOD, "%s",
                         core != NULL ? core() : "unknown");
    if (better != NULL)
        reeve_doctor_follows(
            f,
            "OpenBLAS does not know this processor and chose kernels without AVX; reeve-rank runs with "
            "OPENBLAS_CORETYPE=%s unless you set it, and other programs here should too",
            better);
    else
        reeve_doctor_follows(f, "the same bits hold among machines with this core type, this build and the same "
                                "resources.threads; set OPENBLAS_CORETYPE to choose one for a mixed cluster");
    /* Left open: its threads may still be starting. */
}

void reeve_doctor_probe_libraries(struct reeve_doctor *d)
{
    d->topic = "libraries";
    probe_hdf5(d);
    probe_openblas(d);
}

static void probe_slurm(struct reeve_doctor *d)
{
    char path[REEVE_DOCTOR_VALUE_BYTES / 2], says[256];
    if (!reeve_command_which("sbatch", path, sizeof path)) {
        (void)reeve_doctor_add(d, "slurm", REEVE_DOCTOR_MISSING, "no sbatch on PATH");
        return;
    }
    const char *const argv[] = {path, "--version", NULL};
    int code = reeve_command_run(argv, ASK_DEADLINE_MS, says, sizeof says);
    first_line(says);
    if (code != 0) {
        reeve_doctor_follows(
            reeve_doctor_add(d, "slurm", REEVE_DOCTOR_MISSING, "%s is there, but of no cluster: %.80s", path, says),
            "where this should be a machine of a cluster, say where its slurm.conf lies: export SLURM_CONF=...");
        return;
    }
    const char *job = getenv("SLURM_JOB_ID");
    struct reeve_doctor_finding *f = reeve_doctor_add(d, "slurm", REEVE_DOCTOR_NOTE, "%.60s (%s)%s%.40s", says, path,
                                                      job != NULL ? ", inside job " : "", job != NULL ? job : "");
    reeve_doctor_follows(f, "`reeve submit` trains on it; `reeve doctor --slurm` says what it allows");
}

void reeve_doctor_probe_cluster(struct reeve_doctor *d)
{
    d->topic = "cluster";
    probe_slurm(d);
    reeve_doctor_probe_gpus(d);
}
