/* See foreign.h. */
#include "workload/foreign.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define TENSORS_MAX (1u << 20)           /* as many as a checkpoint holds */
#define ELEMENTS_MAX ((uint64_t)1 << 40) /* of all tensors: 4 TiB; sums of bytes cannot overflow below it */
#define ALIGNMENT 64u

static bool name_good(const char *name)
{
    size_t n = strnlen(name, REEVE_TENSOR_NAME_BYTES);
    return n > 0 && n < REEVE_TENSOR_NAME_BYTES && strcmp(name, ".") != 0 &&
           strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_.") == n;
}

/* 0: the shape is none. */
static uint64_t count_elements(const struct reeve_tensor *t)
{
    if (t->rank < 1 || t->rank > REEVE_TENSOR_RANK_MAX) return 0;
    uint64_t n = 1;
    for (uint32_t d = 0; d < REEVE_TENSOR_RANK_MAX; d++) {
        if (d >= t->rank && t->shape[d] != 0) return 0;
        if (d >= t->rank) continue;
        if (t->shape[d] == 0 || t->shape[d] > ELEMENTS_MAX / n) return 0;
        n *= t->shape[d];
    }
    return n;
}

/* What is wrong with it; NULL: nothing. */
static const char *find_fault(const struct reeve_tensor *t, bool model_over)
{
    if (!name_good(t->name)) return "expected a name of 1 to 63 characters of [a-z0-9_.]";
    if (t->group > REEVE_TENSOR_OPTIMIZER) return "expected group 0 (model) or 1 (optimizer)";
    if (t->group == REEVE_TENSOR_MODEL && model_over) return "expected all of the model before the optimizer's";
    if (count_elements(t) == 0)
        return "expected rank 1 to 4 and a shape without zeros, of at most 2^40 elements, unused entries 0";
    if (t->data == NULL) return "its data is NULL";
    if ((uintptr_t)t->data % ALIGNMENT != 0) return "expected data at a multiple of 64 bytes (aligned_alloc)";
    return NULL;
}

static int by_group_and_name(const void *a, const void *b)
{
    const struct reeve_tensor *x = *(const struct reeve_tensor *const *)a, *y = *(const struct reeve_tensor *const *)b;
    if (x->group != y->group) return x->group < y->group ? -1 : 1;
    return strcmp(x->name, y->name);
}

static reeve_status check_names_differ(const struct reeve_tensor *list, uint32_t count, struct reeve_error *err)
{
    const struct reeve_tensor **sorted = malloc(count * sizeof(const struct reeve_tensor *));
    if (sorted == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "a list of %u tensors: out of memory", count);
    for (uint32_t i = 0; i < count; i++)
        sorted[i] = &list[i];
    qsort(sorted, count, sizeof(const struct reeve_tensor *), by_group_and_name);
    reeve_status st = REEVE_OK;
    for (uint32_t i = 1; i < count && st == REEVE_OK; i++)
        if (by_group_and_name(&sorted[i - 1], &sorted[i]) == 0)
            st = reeve_fail(err, REEVE_INPUT_INVALID, "tensor '%s' is there twice; expected a name of its own for each",
                            sorted[i]->name);
    free(sorted);
    return st;
}

reeve_status reeve_foreign_tensors(const struct reeve_tensor *list, uint32_t count, uint64_t *param_count,
                                   struct reeve_error *err)
{
    if (list == NULL || count == 0 || count > TENSORS_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "a list of %u tensors%s; expected 1 to %u", count,
                          list == NULL ? " at NULL" : "", TENSORS_MAX);
    uint64_t total = 0, params = 0;
    bool model_over = false;
    for (uint32_t i = 0; i < count; i++) {
        const struct reeve_tensor *t = &list[i];
        const char *fault = find_fault(t, model_over);
        uint64_t n = fault == NULL ? count_elements(t) : 0;
        if (fault == NULL && n > ELEMENTS_MAX - total) fault = "with it there are more than 2^40 elements";
        if (fault != NULL)
            return reeve_fail(err, REEVE_INPUT_INVALID, "tensor %u of %u ('%.*s'): %s", i + 1, count,
                              REEVE_TENSOR_NAME_BYTES - 1, t->name, fault);
        total += n;
        if (t->group == REEVE_TENSOR_MODEL) params += n;
        model_over = t->group != REEVE_TENSOR_MODEL;
    }
    if (params == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "%u tensors, and none of the model (group 0): nothing to train",
                          count);
    reeve_status st = check_names_differ(list, count, err);
    if (st == REEVE_OK) *param_count = params;
    return st;
}

/* Those that say something of the workload, its input or its machine. The others are Reeve's own words about leases,
 * workers and files, and would be believed. */
static bool may_return(reeve_status status)
{
    switch (status) {
    case REEVE_INPUT_INVALID:
    case REEVE_INPUT_MISSING:
    case REEVE_INPUT_CHANGED:
    case REEVE_INPUT_PERMISSION:
    case REEVE_TASK_FAILED:
    case REEVE_TASK_REJECTED:
    case REEVE_TASK_CANCELLED:
    case REEVE_STORE_READ:
    case REEVE_STORE_WRITE:
    case REEVE_JOB_NO_MEMORY:
    case REEVE_JOB_INTERNAL:
    case REEVE_JOB_DIVERGED:
    case REEVE_JOB_DEVICE:
    case REEVE_JOB_CONFIG: return true;
    default: return false;
    }
}

reeve_status reeve_foreign_failure(const struct reeve_workload_ops *ops, const char *where, reeve_status status,
                                   struct reeve_error *err)
{
    char words[REEVE_ERROR_TEXT_BYTES / 2];
    err->text[sizeof(err->text) - 1] = '\0';
    bool known = may_return(status);
    if (!known)
        (void)snprintf(words, sizeof(words), "returned %d, which is no status of a workload%s%.300s", (int)status,
                       err->text[0] != '\0' ? ": " : "", err->text);
    else (void)snprintf(words, sizeof(words), "%.500s", err->text[0] != '\0' ? err->text : reeve_status_text(status));
    return reeve_fail(err, known ? status : REEVE_TASK_REJECTED, "workload %s, %s: %s", ops->name, where, words);
}
