/* See kinds.h. */
#include "run/kinds.h"

#include <stdio.h>
#include <string.h>

#include "base/error.h"
#include "base/processor.h"

#define WORDS_BYTES 320 /* of one kind within a message: the whole of it, unless somebody's names are very long */

enum difference { SAME, BUILD, GPU, BLAS, PROCESSOR, KERNELS };

static const char *model(const struct reeve_build *b)
{
    return b->model[0] != '\0' ? b->model : b->processor;
}

/* The first that counts: with that mended the next one is told. PROCESSOR before KERNELS: other kernels would not mend it. */
static enum difference compare(const struct reeve_device_place *x, const struct reeve_device_place *y, bool cuda,
                               bool plugin)
{
    const struct reeve_build *a = &x->build, *b = &y->build;
    if (strcmp(a->program, b->program) != 0 || strcmp(a->compiler, b->compiler) != 0) return BUILD;
    if (cuda && (strcmp(x->gpu, y->gpu) != 0 || strcmp(x->libraries, y->libraries) != 0)) return GPU;
    if (cuda && !plugin) return SAME;
    if (strcmp(a->blas, b->blas) != 0) return BLAS;
    if (plugin && strcmp(model(a), model(b)) != 0) return PROCESSOR;
    return strcmp(a->kernels, b->kernels) != 0 ? KERNELS : SAME;
}

static void word_kind(const struct reeve_device_place *p, const char *library, bool cuda, char *text, size_t bytes)
{
    char device[sizeof(p->gpu) + sizeof(p->libraries) + 4] = "";
    if (cuda)
        (void)snprintf(device, sizeof(device), "%s%s%s", p->gpu[0] != '\0' ? p->gpu : "GPU of unknown type",
                       p->libraries[0] != '\0' ? ", " : "", p->libraries);
    reeve_build_text(&p->build, library, device, text, bytes);
}

struct comparison {
    const struct reeve_device_place *places;
    uint32_t first, other;    /* of two kinds; equal: there is one */
    enum difference how;      /* do they differ */
    const char *blas_kernels; /* that all workers can run; NULL: not known */
};

static bool is_here(const struct reeve_device_place *p)
{
    return p->build.program[0] != '\0';
}

static void compare_all(struct comparison *c, bool cuda, bool plugin, uint32_t count, uint32_t first_worker)
{
    c->first = first_worker;
    while (c->first + 1 < count && !is_here(&c->places[c->first]))
        c->first++;
    c->other = c->first;
    c->blas_kernels = c->places[c->first].build.kernels;
    for (uint32_t i = c->first + 1; i < count; i++) {
        if (!is_here(&c->places[i])) continue;
        enum difference how = compare(&c->places[c->first], &c->places[i], cuda, plugin);
        if (how == SAME) continue;
        c->blas_kernels = reeve_processor_common_blas_core(c->blas_kernels, c->places[i].build.kernels);
        if (c->how != SAME) continue;
        c->other = i;
        c->how = how;
    }
}

static void word_remedy(const struct comparison *c, char *text, size_t bytes)
{
    const char *nodes = "take nodes of one kind (Slurm: --constraint)";
    bool one_host = strcmp(c->places[c->first].host, c->places[c->other].host) == 0;
    switch (c->how) {
    case BUILD: (void)snprintf(text, bytes, "let all hosts run one build of Reeve, with the same C library"); return;
    case BLAS: (void)snprintf(text, bytes, "let all hosts load the same OpenBLAS"); return;
    case GPU: (void)snprintf(text, bytes, "%s, with the same libraries of CUDA", nodes); return;
    case KERNELS:
        if (c->blas_kernels == NULL) break;
        (void)snprintf(text, bytes,
                       "%s, or kernels that all of these can run: export OPENBLAS_CORETYPE=%s before `reeve run` or "
                       "srun (with an mpirun of your own: -x OPENBLAS_CORETYPE)",
                       one_host ? "let all ranks have one environment" : nodes, c->blas_kernels);
        return;
    case PROCESSOR:
    case SAME: break;
    }
    (void)snprintf(text, bytes, "%s", nodes);
}

static void word_difference(const struct comparison *c, bool cuda, const char *what, char *text, size_t bytes)
{
    char one[WORDS_BYTES], other[WORDS_BYTES];
    const struct reeve_device_place *a = &c->places[c->first], *b = &c->places[c->other];
    word_kind(a, "", cuda, one, sizeof(one));
    word_kind(b, "", cuda, other, sizeof(other));
    (void)snprintf(text, bytes, "worker %u on host %.48s and worker %u on host %.48s %s: %s; and %s", c->first, a->host,
                   c->other, b->host, what, one, other);
}

/* For checkpoints: a text that is cut still says that there are two. */
static void word_build(const struct comparison *c, const char *library, bool cuda, char *text, size_t bytes)
{
    word_kind(&c->places[c->first], library, cuda, text, bytes);
    if (c->how == SAME) return;
    char one[240], other[240];
    word_kind(&c->places[c->first], library, cuda, one, sizeof(one));
    word_kind(&c->places[c->other], library, cuda, other, sizeof(other));
    (void)snprintf(text, bytes, REEVE_BUILD_MIXED "%s; %s", one, other);
}

reeve_status reeve_kinds_check(const struct reeve_job *job, const char *library, bool cuda,
                               const struct reeve_device_place *places, uint32_t count, uint32_t first_worker,
                               struct reeve_kinds *kinds, struct reeve_error *err)
{
    struct comparison c = {.places = places};
    struct reeve_kinds found = {0};
    char difference[2 * WORDS_BYTES + 256], remedy[288];
    if (!reeve_job_is_list(job) && first_worker < count) {
        compare_all(&c, cuda, library[0] != '\0', count, first_worker);
        word_build(&c, library, cuda, found.build, sizeof(found.build));
    }
    if (c.how != SAME && job->train.reduce == REEVE_REDUCE_EXACT) {
        word_difference(&c, cuda, "would not compute the same bits, which train.reduce: exact promises", difference,
                        sizeof(difference));
        word_remedy(&c, remedy, sizeof(remedy));
        return reeve_fail(err, REEVE_JOB_DEVICE, "%s: %s", difference, remedy);
    }
    if (c.how != SAME) {
        word_difference(&c, cuda, "do not compute the same bits", difference, sizeof(difference));
        (void)snprintf(found.mixed, sizeof(found.mixed),
                       "%s: two starts of this run may end in other weights (train.reduce: fast)", difference);
    }
    *kinds = found;
    return REEVE_OK;
}
