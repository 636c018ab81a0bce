/* `reeve version`: what this program is, and what it was made with. */
#include <stdio.h>

#include "cli/build_info.h"
#include "cli/output.h"
#include "cli/verb.h"
#include "reeve/status.h"
#include "reeve/version.h"

/* As far as there is code for GPUs, not as far as something was found. */
#if REEVE_WITH_CUDA && REEVE_WITH_NCCL
#define GPU_BUILD_CUDA REEVE_BUILD_CUDA
#define GPU_BUILD_NCCL REEVE_BUILD_NCCL
#else
#define GPU_BUILD_CUDA ""
#define GPU_BUILD_NCCL ""
#endif

static const struct {
    const char *key, *value;
} facts[] = {
    {"version", REEVE_VERSION},         {"commit", REEVE_BUILD_COMMIT},   {"build_type", REEVE_BUILD_TYPE},
    {"compiler", REEVE_BUILD_COMPILER}, {"c_flags", REEVE_BUILD_C_FLAGS}, {"processor", REEVE_BUILD_PROCESSOR},
    {"mpi", REEVE_BUILD_MPI},           {"hdf5", REEVE_BUILD_HDF5},       {"openblas", REEVE_BUILD_OPENBLAS},
    {"cuda", GPU_BUILD_CUDA},           {"nccl", GPU_BUILD_NCCL},
};

static int print_json(void)
{
    json_t *object = reeve_cli_json_object();
    if (object == NULL) return reeve_cli_print_json(NULL);
    for (size_t i = 0; i < sizeof facts / sizeof facts[0]; i++)
        (void)json_object_set_new(object, facts[i].key, reeve_cli_json_text(facts[i].value));
    (void)json_object_set_new(object, "ulfm", json_boolean(REEVE_BUILD_ULFM));
    return reeve_cli_print_json(object);
}

static int version_main(const struct reeve_verb *verb, int argc, char **argv)
{
    bool json = false;
    for (int id; (id = reeve_verb_option(verb, argc, argv, NULL)) != -1;)
        json = json || id == REEVE_OPT_JSON_ID;
    int code = reeve_verb_operands(verb, argc, argv, 0, 0);
    if (code != 0) return code;
    if (json) return print_json();
    (void)printf("reeve %s\n", REEVE_VERSION);
    for (size_t i = 1; i < sizeof facts / sizeof facts[0]; i++)
        if (*facts[i].value != '\0') (void)printf("  %-11s %s\n", facts[i].key, facts[i].value);
    if (GPU_BUILD_CUDA[0] == '\0') (void)printf("  %-11s %s\n", "cuda", "no: workers compute on CPUs only");
    (void)printf("  %-11s %s\n", "ulfm",
                 REEVE_BUILD_ULFM ? "yes: a job outlives the loss of a process"
                                  : "no: a lost process ends the launch; it is started again");
    return REEVE_EXIT_DONE;
}

static const struct reeve_opt version_opts[] = {REEVE_OPT_JSON, {0}};
const struct reeve_verb reeve_verb_version = {
    "version",
    "",
    "print the version and what the program was built with",
    "The weights of a run are the same bits for one build on one kind of processor: these lines say which.\n"
    "What the machine at hand offers is told by `reeve doctor`.\n"
    "\n"
    "Examples:\n"
    "  reeve version\n"
    "  reeve version --json\n",
    version_opts,
    version_main};
