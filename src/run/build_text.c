/* See build_text.h. */
#include "run/build_text.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "reeve/version.h"

/* "model name" of the first processor; "unknown" where the system does not say. */
static void processor_name(char *name, size_t name_bytes)
{
    (void)snprintf(name, name_bytes, "unknown processor");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f == NULL) return;
    char line[256];
    char family[32] = "", model[32] = "";
    while (fgets(line, sizeof(line), f) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL) {
            if (family[0] != '\0') break; /* end of the first processor */
            continue;
        }
        colon[strcspn(colon, "\n")] = '\0';
        if (strncmp(line, "model name", 10) == 0) (void)snprintf(name, name_bytes, "%.40s", colon + 2);
        if (strncmp(line, "cpu family", 10) == 0) (void)snprintf(family, sizeof(family), "%.20s", colon + 2);
        if (strncmp(line, "model\t", 6) == 0) (void)snprintf(model, sizeof(model), "%.20s", colon + 2);
    }
    (void)fclose(f);
    size_t used = strlen(name);
    if (family[0] != '\0') (void)snprintf(name + used, name_bytes - used, " (family %s model %s)", family, model);
}

/* "OpenBLAS 0.3.21 Haswell": the library as it is loaded, and the kernels that it took for this processor. */
static void blas_name(char *name, size_t name_bytes)
{
    const char *(*config)(void) = NULL;
    const char *(*core)(void) = NULL;
    *(void **)&config = dlsym(RTLD_DEFAULT, "openblas_get_config");
    *(void **)&core = dlsym(RTLD_DEFAULT, "openblas_get_corename");
    char product[32] = "unknown", version[32] = "BLAS";
    if (config != NULL) (void)sscanf(config(), "%31s %31s", product, version);
    (void)snprintf(name, name_bytes, "%s %s %.16s", product, version, core != NULL ? core() : "");
}

void reeve_build_text(const char *library, const char *device, char *text, size_t text_bytes)
{
    char processor[128], blas[96];
    processor_name(processor, sizeof(processor));
    blas_name(blas, sizeof(blas));
    (void)snprintf(text, text_bytes, "reeve %s, %s%s%s%sgcc %d.%d, glibc %s, %s, %s", REEVE_VERSION, library,
                   library[0] != '\0' ? ", " : "", device, device[0] != '\0' ? ", " : "", __GNUC__, __GNUC_MINOR__,
                   gnu_get_libc_version(), blas, processor);
}

void reeve_build_tell_change(const struct reeve_recovered *from, const char *build, uint32_t threads)
{
    if (from->resume_step == 0) return;
    if (from->threads != threads)
        reeve_log(
            REEVE_LOG_WARN,
            "the checkpoint of step %llu was computed with resources.threads %u; now it is %u. The run goes on, but "
            "not to the bits of a run that did not change it",
            (unsigned long long)from->resume_step, from->threads, threads);
    if (strcmp(build, from->build) == 0) return;
    reeve_log(
        REEVE_LOG_WARN,
        "the checkpoint of step %llu was written by: %s; this is: %s. The run goes on, but not to the bits of a run "
        "that stayed where it was",
        (unsigned long long)from->resume_step, from->build, build);
}
