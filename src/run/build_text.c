/* See build_text.h. */
#include "run/build_text.h"

#include <dlfcn.h>
#include <gnu/libc-version.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "base/one_line.h"
#include "reeve/version.h"
#include "run/recover.h"

/* Of the first processor. */
static void read_processor(struct reeve_build *b)
{
    (void)snprintf(b->processor, sizeof(b->processor), "unknown processor");
    FILE *f = fopen("/proc/cpuinfo", "re");
    if (f == NULL) return;
    char line[256];
    char family[21] = "", model[21] = "";
    while (fgets(line, sizeof(line), f) != NULL) {
        char *colon = strchr(line, ':');
        if (colon == NULL) {
            if (family[0] != '\0') break; /* end of the first processor */
            continue;
        }
        colon[strcspn(colon, "\n")] = '\0';
        const char *value = colon + 1 + strspn(colon + 1, " ");
        if (strncmp(line, "model name", 10) == 0) (void)snprintf(b->processor, 41, "%s", value);
        if (strncmp(line, "cpu family", 10) == 0) (void)snprintf(family, sizeof(family), "%s", value);
        if (strncmp(line, "model\t", 6) == 0) (void)snprintf(model, sizeof(model), "%s", value);
    }
    (void)fclose(f);
    if (family[0] != '\0') (void)snprintf(b->model, sizeof(b->model), "family %.14s model %.14s", family, model);
}

static void read_blas(struct reeve_build *b)
{
    const char *(*config)(void) = NULL;
    const char *(*core)(void) = NULL;
    *(void **)&config = dlsym(RTLD_DEFAULT, "openblas_get_config");
    *(void **)&core = dlsym(RTLD_DEFAULT, "openblas_get_corename");
    char product[32] = "unknown", version[32] = "BLAS";
    if (config != NULL) (void)sscanf(config(), "%31s %31s", product, version);
    (void)snprintf(b->blas, sizeof(b->blas), "%s %s", product, version);
    (void)snprintf(b->kernels, sizeof(b->kernels), "%s", core != NULL ? core() : "");
}

void reeve_build_here(struct reeve_build *build)
{
    memset(build, 0, sizeof(*build));
    (void)snprintf(build->program, sizeof(build->program), "reeve %s", REEVE_VERSION);
    (void)snprintf(build->compiler, sizeof(build->compiler), "gcc %d.%d, glibc %s", __GNUC__, __GNUC_MINOR__,
                   gnu_get_libc_version());
    read_blas(build);
    read_processor(build);
}

void reeve_build_check(struct reeve_build *build)
{
    struct {
        char *text;
        size_t bytes;
    } const texts[] = {
        {build->program, sizeof(build->program)},     {build->compiler, sizeof(build->compiler)},
        {build->blas, sizeof(build->blas)},           {build->kernels, sizeof(build->kernels)},
        {build->processor, sizeof(build->processor)}, {build->model, sizeof(build->model)},
    };
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        texts[i].text[texts[i].bytes - 1] = '\0';
        reeve_one_line(texts[i].text);
    }
}

void reeve_build_text(const struct reeve_build *b, const char *library, const char *device, char *text,
                      size_t text_bytes)
{
    bool has_model = b->model[0] != '\0';
    (void)snprintf(text, text_bytes, "%s, %s%s%s%s%s, %s %s, %s%s%s%s", b->program, library,
                   library[0] != '\0' ? ", " : "", device, device[0] != '\0' ? ", " : "", b->compiler, b->blas,
                   b->kernels, b->processor, has_model ? " (" : "", b->model, has_model ? ")" : "");
}

/* What decides the bits of a built-in workload: all but the processor, which comes last. */
static bool decides_the_same(const char *one, const char *other)
{
    const char *end = strrchr(one, ','), *other_end = strrchr(other, ',');
    if (end == NULL || other_end == NULL || strncmp(one, REEVE_BUILD_MIXED, strlen(REEVE_BUILD_MIXED)) == 0)
        return false;
    return end - one == other_end - other && memcmp(one, other, (size_t)(end - one)) == 0;
}

void reeve_build_tell_change(const struct reeve_recovered *from, const char *build, bool plugin, uint32_t threads)
{
    if (from->resume_step == 0) return;
    if (from->threads != threads)
        reeve_log(
            REEVE_LOG_WARN,
            "the checkpoint of step %llu was computed with resources.threads %u; now it is %u. The run goes on, but "
            "not to the bits of a run that did not change it",
            (unsigned long long)from->resume_step, from->threads, threads);
    if (strcmp(build, from->build) == 0) return;
    bool same = !plugin && decides_the_same(build, from->build);
    reeve_log(same ? REEVE_LOG_INFO : REEVE_LOG_WARN,
              "the checkpoint of step %llu was written by: %s; this is: %s. The run goes on, %s",
              (unsigned long long)from->resume_step, from->build, build,
              same ? "to the same bits: another processor with the same kernels computes the same"
                   : "but not to the bits of a run that stayed where it was");
}
