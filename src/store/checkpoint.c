/* Names, the division of tensors among parts, the digest of the weights, and the life of a temporary folder. */
#include "store/checkpoint.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/path.h"
#include "store/disk.h"

void reeve_checkpoint_dir(const char *run_dir, uint64_t step, char *out, size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "%s/checkpoint/step-%010llu", run_dir, (unsigned long long)step);
}

void reeve_checkpoint_tmp_dir(const char *run_dir, uint64_t step, uint32_t epoch, char *out, size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "%s/checkpoint/step-%010llu.tmp-%u", run_dir, (unsigned long long)step, epoch);
}

/* --- division ----------------------------------------------------------------------------------------------------- */

struct weight {
    uint64_t bytes;
    uint32_t tensor;
};

static int heavier_first(const void *a, const void *b)
{
    const struct weight *x = a, *y = b;
    if (x->bytes != y->bytes) return x->bytes > y->bytes ? -1 : 1;
    return x->tensor < y->tensor ? -1 : x->tensor > y->tensor;
}

void reeve_checkpoint_assign(const struct reeve_tensor *tensors, uint32_t tensor_count, uint32_t part_count,
                             uint32_t *part_of)
{
    REEVE_ASSERT(part_count > 0 && part_count <= REEVE_CHECKPOINT_PARTS_MAX);
    struct weight *order = malloc((tensor_count + (size_t)1) * sizeof(*order));
    uint64_t *load = calloc(part_count, sizeof(*load));
    REEVE_ASSERT(order != NULL && load != NULL); /* some kilobytes, beside a model: nothing would go on without them */
    for (uint32_t i = 0; i < tensor_count; i++)
        order[i] = (struct weight){.bytes = sizeof(float) * reeve_tensor_elements(&tensors[i]), .tensor = i};
    qsort(order, tensor_count, sizeof(*order), heavier_first);
    for (uint32_t i = 0; i < tensor_count; i++) {
        uint32_t lightest = 0;
        for (uint32_t p = 1; p < part_count; p++)
            if (load[p] < load[lightest]) lightest = p;
        part_of[order[i].tensor] = lightest;
        load[lightest] += order[i].bytes;
    }
    free(load);
    free(order);
}

/* --- the digest of the weights ------------------------------------------------------------------------------------ */

/* What is digested for one tensor: the digest so far, and all that it is. No padding. */
struct link {
    struct reeve_digest before;
    char name[REEVE_TENSOR_NAME_BYTES];
    uint64_t rank;
    uint64_t shape[REEVE_TENSOR_RANK_MAX];
    struct reeve_digest bytes;
};
_Static_assert(sizeof(struct link) == 136, "what is digested has no padding");

/* The model tensor with the smallest name behind `after` (NULL: of all). There are some hundred: no index is needed. */
static const struct reeve_tensor *next_by_name(const struct reeve_tensor *tensors, uint32_t count, const char *after)
{
    const struct reeve_tensor *next = NULL;
    for (uint32_t i = 0; i < count; i++) {
        if (tensors[i].group != REEVE_TENSOR_MODEL) continue;
        if (after != NULL && strncmp(tensors[i].name, after, REEVE_TENSOR_NAME_BYTES) <= 0) continue;
        if (next == NULL || strncmp(tensors[i].name, next->name, REEVE_TENSOR_NAME_BYTES) < 0) next = &tensors[i];
    }
    return next;
}

struct reeve_digest reeve_weights_digest(const struct reeve_tensor *tensors, uint32_t tensor_count)
{
    struct reeve_digest sum = {{0}};
    const struct reeve_tensor *t = next_by_name(tensors, tensor_count, NULL);
    for (; t != NULL; t = next_by_name(tensors, tensor_count, t->name)) {
        struct link link = {.before = sum, .rank = t->rank};
        (void)snprintf(link.name, sizeof(link.name), "%.*s", REEVE_TENSOR_NAME_BYTES - 1, t->name);
        for (uint32_t d = 0; d < t->rank && d < REEVE_TENSOR_RANK_MAX; d++)
            link.shape[d] = t->shape[d];
        link.bytes = reeve_digest_of(t->data, sizeof(float) * (size_t)reeve_tensor_elements(t));
        sum = reeve_digest_of(&link, sizeof(link));
    }
    return sum;
}

/* --- the temporary folder ----------------------------------------------------------------------------------------- */

reeve_status reeve_checkpoint_begin(const char *run_dir, uint64_t step, uint32_t epoch, struct reeve_error *err)
{
    char tmp[REEVE_PATH_BYTES_MAX];
    if (strlen(run_dir) > REEVE_PATH_BYTES_MAX - 128)
        return reeve_fail(err, REEVE_INPUT_INVALID, "begin a checkpoint: the path of the run is too long");
    reeve_checkpoint_tmp_dir(run_dir, step, epoch, tmp, sizeof(tmp));
    reeve_status st = reeve_remove_tree(tmp, err);
    if (st == REEVE_OK) {
        char parent[REEVE_PATH_BYTES_MAX];
        reeve_path_dirname(tmp, parent, sizeof(parent));
        st = reeve_mkdir_parents(parent, err);
    }
    if (st != REEVE_OK) return st;
    if (mkdir(tmp, 0777) == 0) return REEVE_OK;
    return reeve_disk_fail(err, errno, "make folder", tmp, 4096);
}

void reeve_checkpoint_abandon(const char *run_dir, uint64_t step, uint32_t epoch)
{
    char tmp[REEVE_PATH_BYTES_MAX];
    reeve_checkpoint_tmp_dir(run_dir, step, epoch, tmp, sizeof(tmp));
    (void)reeve_remove_tree(tmp, NULL); /* garbage by its name; the next sweep tries again */
}
