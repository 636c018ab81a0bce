/* The example's workload with one fault, which REEVE_TEST_FAULT names: what a library from outside may do wrong. */
#define reeve_workload ridge_workload
#include <fcntl.h>
#include <stddef.h>
#include <unistd.h>

#include "ridge.c"
#undef reeve_workload

#define FAULTY_STEP 7u

struct newer {
    struct reeve_workload_ops ops;
    void (*slot_of_a_later_minor)(void);
};

static int is(const char *fault)
{
    const char *chosen = getenv("REEVE_TEST_FAULT");
    return chosen != NULL && strcmp(chosen, fault) == 0;
}

static reeve_status faulty_open(const struct reeve_workload_config *config, void **self, struct reeve_error *err)
{
    if (is("open")) return fail(err, REEVE_INPUT_INVALID, "model.width is not to its taste");
    if (is("open-silent")) return REEVE_JOB_NO_MEMORY;
    return ridge_open(config, self, err);
}

static void faulty_tensors(void *self, const struct reeve_tensor **list, uint32_t *count)
{
    ridge_tensors(self, list, count);
    struct reeve_tensor *t = ((struct ridge *)self)->tensors;
    if (is("tensors-none")) *count = 0;
    if (is("tensors-null")) *list = NULL;
    if (is("tensors-twice")) memcpy(t[BEFORE].name, t[LAST].name, sizeof(t[LAST].name));
    if (is("tensors-data")) t[BEFORE].data = NULL;
    if (is("tensors-zero")) t[BEFORE].shape[1] = 0;
    if (is("tensors-overflow")) t[BEFORE].shape[0] = t[BEFORE].shape[1] = UINT64_MAX / 2;
}

static void stand_still(void)
{
    for (;;)
        (void)pause();
}

/* Among all processes that share this folder, by a file that only one of them can make. */
static int is_first_of_all(void)
{
    const char *mark = getenv("REEVE_TEST_MARK");
    int fd = mark != NULL ? open(mark, O_WRONLY | O_CREAT | O_EXCL, 0600) : -1;
    return fd >= 0 && close(fd) == 0;
}

static reeve_status faulty_gradient(void *self, const struct reeve_batch *batch, float *grad, double *loss_sum,
                                    bool (*cancelled)(void *), void *cancelled_arg, struct reeve_error *err)
{
    reeve_status st = ridge_gradient(self, batch, grad, loss_sum, cancelled, cancelled_arg, err);
    if (batch->step < FAULTY_STEP) return st;
    if (is("gradient")) return fail(err, REEVE_TASK_FAILED, "the matrix is singular");
    if (is("gradient-silent")) return (reeve_status)REEVE_JOB_STOPPED; /* no status of a workload */
    if (is("gradient-nan")) grad[3] = NAN;
    if (is("crash")) *(volatile int *)0 = 1;
    if (is("hang") && batch->micro_batch == 1) stand_still();
    if (is("hang-once") && is_first_of_all()) stand_still();
    return st;
}

static reeve_status faulty_evaluate(void *self, const struct reeve_batch *batch, double *loss_sum,
                                    struct reeve_error *err)
{
    reeve_status st = ridge_evaluate(self, batch, loss_sum, err);
    if (is("evaluate-nan") && batch->micro_batch == 0) *loss_sum = NAN;
    return st;
}

static reeve_status faulty_apply(void *self, float *grad_mean, uint64_t step, struct reeve_apply_info *info,
                                 struct reeve_error *err)
{
    if (is("apply") && step >= FAULTY_STEP) return fail(err, REEVE_JOB_INTERNAL, "no step today");
    return ridge_apply(self, grad_mean, step, info, err);
}

const struct reeve_workload_ops *reeve_workload(void);
const struct reeve_workload_ops *reeve_workload(void)
{
    static struct newer table;
    table.ops = *ridge_workload();
    table.ops.open = faulty_open;
    table.ops.tensors = faulty_tensors;
    table.ops.gradient = faulty_gradient;
    table.ops.evaluate = faulty_evaluate;
    table.ops.apply = faulty_apply;
    if (is("table-null")) return NULL;
    if (is("abi-major")) table.ops.abi = (REEVE_WORKLOAD_ABI_MAJOR + 1) << 16;
    if (is("abi-minor")) table.ops.abi += 1, table.ops.size = sizeof(table);
    if (is("size")) table.ops.size = offsetof(struct reeve_workload_ops, close);
    if (is("name")) table.ops.name = "Ridge Regression";
    if (is("name-null")) table.ops.name = NULL;
    if (is("name-taken")) table.ops.name = "gpt";
    if (is("slot")) table.ops.apply = NULL;
    return &table.ops;
}
