/* The folder of a run as the verbs see it: which files it has, and the two that say what the run is. Read only. */
#ifndef REEVE_CLI_RUN_FOLDER_H
#define REEVE_CLI_RUN_FOLDER_H

#include <stdbool.h>
#include <stddef.h>

#include "core/job.h"
#include "core/manifest.h"

/* Is `path` a folder? */
bool reeve_is_folder(const char *path);

/* "<run>/<name>" into out (REEVE_PATH_BYTES_MAX bytes). INPUT_INVALID: too long. */
reeve_status reeve_run_folder_file(const char *run_dir, const char *name, char *out, struct reeve_error *err);

/* Is it the folder of a run? It exists, and holds a manifest.h5, tasks.h5, a journal or what `reeve submit` wrote; of
 * one that holds runs (`reeve chaos` makes such) the error names them.
 * INPUT_MISSING | INPUT_INVALID | INPUT_PERMISSION, worded for whoever typed it. */
reeve_status reeve_run_folder_check(const char *run_dir, struct reeve_error *err);

/* The same of a run that has begun: there is more than what `reeve submit` wrote. INPUT_MISSING: it has not. */
reeve_status reeve_run_folder_check_begun(const char *run_dir, struct reeve_error *err);

/* RUN/job.yaml and RUN/manifest.h5. job or manifest may be NULL: not wanted. *manifest: reeve_manifest_destroy(). */
reeve_status reeve_run_folder_read(const char *run_dir, struct reeve_job *job, struct reeve_manifest **manifest,
                                   struct reeve_error *err);

/* Does RUN have the file `name` (STOP, SAVE, ...)? */
bool reeve_run_folder_has(const char *run_dir, const char *name);

#endif
