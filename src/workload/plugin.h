/* A workload from outside the tree: a shared object that exports REEVE_WORKLOAD_SYMBOL (docs/plugin.md). */
#ifndef REEVE_WORKLOAD_PLUGIN_H
#define REEVE_WORKLOAD_PLUGIN_H

#include "reeve/workload.h"

/* Load the shared object at `path` (absolute) and check its table. This runs code of its author: the library's
 * constructors and its one exported function. It stays loaded until the process ends, since threads and atexit handlers
 * of its own may outlive any use of it.
 *   out  ops  a copy of its table: slots that an older minor version does not have are NULL, those of a newer one are
 *             left out; name borrowed from the library; untouched on error
 * Returns  OK | INPUT_INVALID (no workload of this ABI) | JOB_DEVICE (it cannot be loaded on this machine). */
reeve_status reeve_plugin_load(const char *path, struct reeve_workload_ops *ops, struct reeve_error *err);

/* The checks alone, on the table that the library at `path` gave; table may be NULL. INPUT_INVALID. */
reeve_status reeve_plugin_check(const char *path, const struct reeve_workload_ops *table,
                                struct reeve_workload_ops *ops, struct reeve_error *err);

/* The table has a GPU's functions (ABI 1.1): all of them, as reeve_plugin_check() sees to. */
bool reeve_workload_has_device(const struct reeve_workload_ops *ops);

#endif
