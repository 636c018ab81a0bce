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
/* The table of 1.0 ends with close(); what later minor versions add stands behind it. */
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
    if (st == REEVE_OK) *ops = copy;
    return st;
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
