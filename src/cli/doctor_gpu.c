/* `reeve doctor`: CUDA and NCCL as they were found by the build, the GPUs and the driver of this machine, and what follows. */
#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/build_info.h"
#include "cli/doctor.h"

static bool has_cuda_program(void)
{
    char path[1024];
    ssize_t n = readlink("/proc/self/exe", path, sizeof path - 32);
    if (n <= 0) return false;
    path[n] = '\0';
    char *slash = strrchr(path, '/');
    if (slash == NULL) return false;
    (void)snprintf(slash + 1, sizeof path - (size_t)(slash + 1 - path), "reeve-rank-cuda");
    return access(path, X_OK) == 0;
}

/* Releases that hang or corrupt where ranks come and go. */
static bool is_nccl_to_avoid(const char *version)
{
    int major = 0, minor = 0, patch = 0;
    if (sscanf(version, "%d.%d.%d", &major, &minor, &patch) != 3 || major != 2) return false;
    return (minor == 25 && patch == 1) || (minor == 28 && patch >= 3 && patch <= 8);
}

void reeve_doctor_probe_gpu_build(struct reeve_doctor *d)
{
    if (REEVE_BUILD_CUDA[0] == '\0' && REEVE_BUILD_NCCL[0] == '\0') return;
    bool avoid = is_nccl_to_avoid(REEVE_BUILD_NCCL), usable = has_cuda_program();
    struct reeve_doctor_finding *f =
        reeve_doctor_add(d, "cuda", usable && !avoid ? REEVE_DOCTOR_GOOD : REEVE_DOCTOR_NOTE, "CUDA %s, %s%s",
                         REEVE_BUILD_CUDA, REEVE_BUILD_NCCL[0] != '\0' ? "NCCL " : "no NCCL", REEVE_BUILD_NCCL);
    if (avoid) reeve_doctor_follows(f, "this NCCL has known faults (2.25.1, 2.28.3 to 2.28.8): install another one");
    else if (usable) reeve_doctor_follows(f, "this build computes on GPUs, where there are some: with reeve-rank-cuda");
    else reeve_doctor_follows(f, "found when this was built, and not used: there is no reeve-rank-cuda beside reeve");
}

/* "580.65.06": the kernel module that is loaded; "" without. */
static void kernel_driver(char *version, size_t version_bytes)
{
    char line[256] = "", word[64] = "";
    version[0] = '\0';
    FILE *f = fopen("/proc/driver/nvidia/version", "re");
    if (f == NULL) return;
    const char *at = fgets(line, sizeof line, f) != NULL ? strstr(line, "Module") : NULL;
    for (int used = 0; at != NULL && sscanf(at, "%63s%n", word, &used) == 1; at += used)
        if (word[0] >= '0' && word[0] <= '9') {
            (void)snprintf(version, version_bytes, "%s", word);
            break;
        }
    (void)fclose(f);
}

void reeve_doctor_probe_gpus(struct reeve_doctor *d)
{
    glob_t found = {0};
    int count = glob("/dev/nvidia[0-9]*", 0, NULL, &found) == 0 ? (int)found.gl_pathc : 0;
    globfree(&found);
    void *driver = dlopen("libcuda.so.1", RTLD_LAZY | RTLD_LOCAL);
    int version = 0;
    int (*driver_version)(int *) = NULL;
    if (driver != NULL) *(void **)&driver_version = dlsym(driver, "cuDriverGetVersion");
    if (driver_version != NULL) (void)driver_version(&version);
    if (driver != NULL) (void)dlclose(driver);
    if (count == 0 && version == 0) {
        struct reeve_doctor_finding *none =
            reeve_doctor_add_number(d, "gpus", REEVE_DOCTOR_MISSING, 0, "none, and no CUDA driver");
        if (has_cuda_program())
            reeve_doctor_follows(none, "here jobs compute on CPUs; resources.device cuda is for hosts that have some");
        return;
    }
    char module[64];
    kernel_driver(module, sizeof module);
    struct reeve_doctor_finding *f =
        reeve_doctor_add_number(d, "gpus", REEVE_DOCTOR_NOTE, count, "%d, CUDA driver %s for %d.%d", count, module,
                                version / 1000, version % 1000 / 10);
    if (!has_cuda_program())
        reeve_doctor_follows(f, "not used: there is no reeve-rank-cuda beside reeve; build where CUDA and NCCL are");
    else if (version == 0) reeve_doctor_follows(f, "not used: libcuda.so.1 is missing; install the driver's libraries");
    else reeve_doctor_follows(f, "resources.device auto and cuda compute on them, one worker each");
}
