/* What the machine and the current folder give: processor, cores, memory, shared memory, user, disk. */
#include "cli/control_group.h"
#include "cli/doctor.h"
#include "cli/launch_mpirun.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <math.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <time.h>
#include <unistd.h>

#define MIB (INT64_C(1) << 20)
#define GIB (INT64_C(1) << 30)
#define GROUPS "/proc/self/cgroup"
#define GROUPS_MOUNT "/sys/fs/cgroup"

/* Magic numbers that linux/magic.h does not have; from the file systems' own sources. */
#define LUSTRE_MAGIC 0x0BD00BD0
#define GPFS_MAGIC 0x47504653
#define BEEGFS_MAGIC 0x19830326

/* The text after "<key> :" in a file such as /proc/cpuinfo or /proc/meminfo; false if there is no such line. */
static bool read_key(const char *path, const char *key, char *out, size_t out_bytes)
{
    char line[512];
    bool found = false;
    FILE *f = fopen(path, "re");
    if (f == NULL) return false;
    while (!found && fgets(line, sizeof line, f) != NULL) {
        char *colon = strchr(line, ':');
        if (strncmp(line, key, strlen(key)) != 0 || colon == NULL) continue;
        colon += 1 + strspn(colon + 1, " \t");
        colon[strcspn(colon, "\n")] = '\0';
        (void)snprintf(out, out_bytes, "%s", colon);
        found = true;
    }
    (void)fclose(f);
    return found;
}

/* By affinity: what a container or a Slurm step shows of the machine. */
static int core_count(void)
{
    cpu_set_t set;
    return sched_getaffinity(0, sizeof set, &set) == 0 ? CPU_COUNT(&set) : (int)sysconf(_SC_NPROCESSORS_ONLN);
}

static void probe_cores(struct reeve_doctor *d)
{
    char model[200] = "unknown";
    (void)read_key("/proc/cpuinfo", "model name", model, sizeof model);
    (void)reeve_doctor_add(d, "processor", REEVE_DOCTOR_GOOD, "%s", model);
    struct reeve_group_limit quota = reeve_group_cores(GROUPS, GROUPS_MOUNT);
    int cores = core_count();
    bool limited = quota.set && quota.value < (double)cores;
    if (limited) cores = (int)ceil(quota.value);
    struct reeve_doctor_finding *f =
        reeve_doctor_add_number(d, "cores", cores > 1 ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_NOTE, cores, "%d usable%s%s",
                                cores, limited ? ", the quota of control group " : "", limited ? quota.group : "");
    if (cores == 1)
        reeve_doctor_follows(f, "master and workers share one core: correct, and no faster with more workers");
    else
        reeve_doctor_follows(f,
                             "up to %d workers have a core each; the master sleeps when it is idle and needs a part "
                             "of one",
                             cores);
}

static void probe_memory(struct reeve_doctor *d)
{
    char text[64] = "";
    (void)read_key("/proc/meminfo", "MemAvailable", text, sizeof text);
    int64_t available = strtoll(text, NULL, 10) * 1024;
    struct reeve_group_limit limit = reeve_group_memory_bytes(GROUPS, GROUPS_MOUNT);
    bool limited = limit.set && limit.value < (double)available;
    if (limited) available = (int64_t)limit.value;
    char where[REEVE_GROUP_NAME_BYTES + 64];
    (void)snprintf(where, sizeof where, "the limit of control group %s", limit.group);
    struct rlimit space;
    if (getrlimit(RLIMIT_AS, &space) == 0 && space.rlim_cur < (rlim_t)available) {
        limited = true;
        available = (int64_t)space.rlim_cur;
        (void)snprintf(where, sizeof where, "`ulimit -v`");
    }
    struct reeve_doctor_finding *f = reeve_doctor_add_number(
        d, "memory_bytes", available >= GIB ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_NOTE, available, "%.1f GiB %s%s",
        (double)available / (double)GIB, limited ? "may be used: " : "available", limited ? where : "");
    if (available < GIB) reeve_doctor_follows(f, "enough for small models only; every worker holds the whole state");
}

static void probe_shared_memory(struct reeve_doctor *d)
{
    struct statvfs v;
    if (statvfs("/dev/shm", &v) != 0) {
        reeve_doctor_follows(reeve_doctor_add(d, "shared_memory", REEVE_DOCTOR_NOTE, "no /dev/shm"),
                             "ranks of this machine exchange through files in the temporary folder: slower");
        return;
    }
    int64_t bytes = (int64_t)v.f_bavail * (int64_t)v.f_frsize;
    bool small = bytes < 64 * MIB;
    struct reeve_doctor_finding *f =
        reeve_doctor_add_number(d, "shared_memory_bytes", small ? REEVE_DOCTOR_NOTE : REEVE_DOCTOR_GOOD, bytes,
                                "%.1f GiB free in /dev/shm", (double)bytes / (double)GIB);
    if (small) reeve_doctor_follows(f, "MPI may fail with SIGBUS when it fills; give a container more (--shm-size=1g)");
}

static void probe_user(struct reeve_doctor *d)
{
    if (geteuid() != 0) {
        (void)reeve_doctor_add(d, "user", REEVE_DOCTOR_GOOD, "uid %u", (unsigned)geteuid());
        return;
    }
    const char *missing = reeve_launch_refuses_root();
    struct reeve_doctor_finding *f =
        missing == NULL ? reeve_doctor_add(d, "user", REEVE_DOCTOR_GOOD, "root, and mpirun is allowed to run as root")
                        : reeve_doctor_add(d, "user", REEVE_DOCTOR_BAD, "root, and %s is not 1", missing);
    if (missing != NULL)
        reeve_doctor_follows(f, "mpirun refuses to run as root: use another user, or, in a container, "
                                "export OMPI_ALLOW_RUN_AS_ROOT=1 OMPI_ALLOW_RUN_AS_ROOT_CONFIRM=1");
}

void reeve_doctor_probe_machine(struct reeve_doctor *d)
{
    d->topic = "machine";
    probe_cores(d);
    probe_memory(d);
    probe_shared_memory(d);
    probe_user(d);
}

static const struct {
    long magic;
    const char *name, *follows;
} file_systems[] = {
    {EXT4_SUPER_MAGIC, "ext4", ""},
    {XFS_SUPER_MAGIC, "xfs", ""},
    {BTRFS_SUPER_MAGIC, "btrfs", ""},
    {OVERLAYFS_SUPER_MAGIC, "overlay (a container's own)",
     "a run here is lost with the container; mount a folder for it"},
    {TMPFS_MAGIC, "tmpfs (memory)", "a run here is lost when the machine restarts: put --run-dir on a disk"},
    {NFS_SUPER_MAGIC, "nfs", "a record is durable when the server says so: have it exported with `sync`"},
    {LUSTRE_MAGIC, "lustre", ""},
    {GPFS_MAGIC, "gpfs", ""},
    {BEEGFS_MAGIC, "beegfs", "durable only if the storage servers sync on close: ask (tuneRemoteFSync)"},
    {V9FS_MAGIC, "9p", "a shared folder of a virtual machine: slow, and its sync is the host's business"},
};

static void probe_file_system(struct reeve_doctor *d)
{
    struct statfs s;
    if (statfs(".", &s) != 0) {
        (void)reeve_doctor_add(d, "file_system", REEVE_DOCTOR_NOTE, "cannot be asked: %s", strerror(errno));
        return;
    }
    const char *name = NULL, *follows = "";
    for (size_t i = 0; i < sizeof file_systems / sizeof file_systems[0]; i++) {
        if (file_systems[i].magic != (long)s.f_type) continue;
        name = file_systems[i].name;
        follows = file_systems[i].follows;
    }
    enum reeve_doctor_grade grade = follows[0] != '\0' ? REEVE_DOCTOR_NOTE : REEVE_DOCTOR_GOOD;
    struct reeve_doctor_finding *f =
        name != NULL ? reeve_doctor_add(d, "file_system", grade, "%s", name)
                     : reeve_doctor_add(d, "file_system", grade, "of type 0x%lx", (unsigned long)s.f_type);
    reeve_doctor_follows(f, "%s", follows);

    int64_t bytes = (int64_t)s.f_bavail * (int64_t)s.f_bsize;
    f = reeve_doctor_add_number(d, "disk_free_bytes", bytes < GIB ? REEVE_DOCTOR_NOTE : REEVE_DOCTOR_GOOD, bytes,
                                "%.1f GiB free", (double)bytes / (double)GIB);
    if (bytes < GIB) reeve_doctor_follows(f, "checkpoint.keep + 1 checkpoints must fit, at 12 bytes a parameter each");
}

static int compare_time(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

/* The median time to make 4 KiB durable: what each step pays once for the journal. In a file without a name. */
static void probe_sync(struct reeve_doctor *d)
{
    enum { TRIES = 5 };
    static const char page[4096];
    int64_t took_us[TRIES];
    int fd = open(".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
    if (fd < 0) {
        bool writable = access(".", W_OK) == 0;
        struct reeve_doctor_finding *f =
            writable ? reeve_doctor_add(d, "sync", REEVE_DOCTOR_NOTE, "not measured: %s", strerror(errno))
                     : reeve_doctor_add(d, "sync", REEVE_DOCTOR_NOTE, "this folder cannot be written to");
        if (!writable) reeve_doctor_follows(f, "give --run-dir a folder that can");
        return;
    }
    bool good = true;
    for (int i = 0; i < TRIES && good; i++) {
        struct timespec a, b;
        (void)clock_gettime(CLOCK_MONOTONIC, &a);
        good = write(fd, page, sizeof page) == (ssize_t)sizeof page && fdatasync(fd) == 0;
        (void)clock_gettime(CLOCK_MONOTONIC, &b);
        took_us[i] = (int64_t)(b.tv_sec - a.tv_sec) * 1000000 + (b.tv_nsec - a.tv_nsec) / 1000;
    }
    int errnum = errno;
    (void)close(fd);
    if (!good) {
        reeve_doctor_follows(reeve_doctor_add(d, "sync", REEVE_DOCTOR_NOTE, "fails: %s", strerror(errnum)),
                             "a run directory here could not keep its journal");
        return;
    }
    qsort(took_us, TRIES, sizeof took_us[0], compare_time);
    int64_t median_us = took_us[TRIES / 2];
    struct reeve_doctor_finding *f =
        reeve_doctor_add_number(d, "sync_us", median_us > 50000 ? REEVE_DOCTOR_NOTE : REEVE_DOCTOR_GOOD, median_us,
                                "%.2f ms to make a record durable", (double)median_us / 1000.0);
    if (median_us > 50000) reeve_doctor_follows(f, "slow for a journal that syncs every step; prefer a local disk");
}

void reeve_doctor_probe_folder(struct reeve_doctor *d)
{
    char here[REEVE_DOCTOR_VALUE_BYTES - 1];
    d->topic = "folder";
    if (getcwd(here, sizeof here) == NULL) (void)snprintf(here, sizeof here, ".");
    (void)reeve_doctor_add(d, "path", REEVE_DOCTOR_GOOD, "%s", here);
    probe_file_system(d);
    probe_sync(d);
}
