/* The loader of workloads from shared objects: dlopen, one symbol, and the table behind it. Nothing of a table is read
 * before the ABI and the size say that it is there. */
#include "workload/plugin.h"

#include <dlfcn.h>
#include <stddef.h>
#include <string.h>

#include "base/error.h"
#include "workload/registry.h"

#define NAME_BYTES_MAX 63u
#define ABI_MAJOR(abi) ((abi) >> 16)
#define ABI_MINOR(abi) ((abi)&0xffffu)
/* The table of 1.0 ends with close(); what later minor versions add (1.1: a GPU's functions) stands behind it. */
#define SIZE_OF_1_0 (offsetof(struct reeve_workload_ops, close) + sizeof(void (*)(void *)))

static reeve_status check_name(const char *path, const char *name, struct reeve_error *err)
{
    static const char allowed[] = "abcdefghijklmnopqrstuvwxyz0123456789_-";
    size_t n = name != NULL ? strnlen(name, NAME_BYTES_MAX + 1) : 0;
    if (n == 0 || n > NAME_BYTES_MAX || strspn(name, allowed) != n)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "workload %s: the name in its table: expected 1 to %u characters of [a-z0-9_-], found '%.*s'",
                          path, NAME_BYTES_MAX, (int)n, name != NULL ? name : "");
    if (reeve_workload_find(name) != NULL || strcmp(name, "exec") == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "workload %s: the name in its table: '%s' is a built-in workload; expected a name of its own",
                          path, name);
    return REEVE_OK;
}

static reeve_status check_slots(const char *path, const struct reeve_workload_ops *ops, struct reeve_error *err)
{
    const struct {
        const char *name;
        bool there;
    } required[] = {{"open", ops->open != NULL},         {"tensors", ops->tensors != NULL},
                    {"gradient", ops->gradient != NULL}, {"evaluate", ops->evaluate != NULL},
                    {"apply", ops->apply != NULL},       {"close", ops->close != NULL}};
    for (size_t i = 0; i < sizeof(required) / sizeof(required[0]); i++)
        if (!required[i].there)
            return reeve_fail(
                err, REEVE_INPUT_INVALID,
                "workload %s: its table has no %s(); expected every function but restored() and generate()", path,
                required[i].name);
    return REEVE_OK;
}

/* Of a GPU's functions all or none: half a table would be found out in the middle of a step. */
static reeve_status check_device_slots(const char *path, const struct reeve_workload_ops *ops, struct reeve_error *err)
{
    const struct {
        const char *name;
        bool there;
    } slots[] = {{"device_sum", ops->device_sum != NULL},
                 {"device_begin", ops->device_begin != NULL},
                 {"device_prefetch", ops->device_prefetch != NULL},
                 {"device_end", ops->device_end != NULL},
                 {"device_zero", ops->device_zero != NULL},
                 {"device_digest", ops->device_digest != NULL},
                 {"device_apply", ops->device_apply != NULL},
                 {"device_publish", ops->device_publish != NULL},
                 {"device_published", ops->device_published != NULL}};
    const char *found = NULL, *missing = NULL;
    for (size_t i = 0; i < sizeof(slots) / sizeof(slots[0]); i++) {
        if (slots[i].there && found == NULL) found = slots[i].name;
        if (!slots[i].there && missing == NULL) missing = slots[i].name;
    }
    if (found != NULL && missing == NULL && ops->restored == NULL)
        missing = "restored"; /* brings the state to the GPU */
    if (found == NULL || missing == NULL) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_INVALID,
                      "workload %s: its table has %s() and no %s(); expected all functions of a GPU and restored(), or "
                      "no device_*() at all",
                      path, found, missing);
}

reeve_status reeve_plugin_check(const char *path, const struct reeve_workload_ops *table,
                                struct reeve_workload_ops *ops, struct reeve_error *err)
{
    if (table == NULL)
        return reeve_fail(err, REEVE_INPUT_INVALID, "workload %s: %s() gave NULL; expected the table of its functions",
                          path, REEVE_WORKLOAD_SYMBOL);
    if (ABI_MAJOR(table->abi) != REEVE_WORKLOAD_ABI_MAJOR)
        return reeve_fail(
            err, REEVE_INPUT_INVALID,
            "workload %s: built for workload ABI %u.%u; expected %u.x: build it against the headers of this Reeve",
            path, ABI_MAJOR(table->abi), ABI_MINOR(table->abi), REEVE_WORKLOAD_ABI_MAJOR);
    if (table->size < SIZE_OF_1_0)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "workload %s: its table has %u bytes; expected at least %zu: set .size = sizeof(struct "
                          "reeve_workload_ops)",
                          path, table->size, SIZE_OF_1_0);
    struct reeve_workload_ops copy = {0};
    memcpy(&copy, table, table->size < sizeof(copy) ? table->size : sizeof(copy));
    reeve_status st = check_name(path, copy.name, err);
    if (st == REEVE_OK) st = check_slots(path, &copy, err);
    if (st == REEVE_OK) st = check_device_slots(path, &copy, err);
    if (st == REEVE_OK) *ops = copy;
    return st;
}

bool reeve_workload_has_device(const struct reeve_workload_ops *ops)
{
    return ops->device_sum != NULL;
}

reeve_status reeve_plugin_load(const char *path, struct reeve_workload_ops *ops, struct reeve_error *err)
{
    void *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) {
        const char *why = dlerror();
        return reeve_fail(err, REEVE_JOB_DEVICE,
                          "workload %s: cannot be loaded here: %s; `ldd %s` lists the libraries that it needs", path,
                          why != NULL ? why : "no reason given", path);
    }
    const struct reeve_workload_ops *(*get)(void) = NULL;
    *(void **)&get = dlsym(library, REEVE_WORKLOAD_SYMBOL);
    if (get == NULL)
        return reeve_fail(
            err, REEVE_INPUT_INVALID,
            "workload %s: exports no function %s(); expected `const struct reeve_workload_ops *%s(void)`, not "
            "static and not hidden",
            path, REEVE_WORKLOAD_SYMBOL, REEVE_WORKLOAD_SYMBOL);
    return reeve_plugin_check(path, get(), ops, err);
}
