/* The shared object that `workload:` names, as a file: what can be said of it without running any of its code. The
 * loader is workload/plugin.h. */
#ifndef REEVE_RUN_LIBRARY_FILE_H
#define REEVE_RUN_LIBRARY_FILE_H

#include "core/job.h"

#define REEVE_LIBRARY_TEXT_BYTES 96

/* Is job->workload a built-in name, or a shared object for this machine?
 *   out  text  "libridge.so 0123456789abcdef0123456789abcdef": the file's name (cut to fit) and the XXH3-128 of its
 *              bytes; "" of a built-in workload; untouched on error. Part of what decides the bits (run/build_text.h).
 * Reads the whole file. Returns  OK | INPUT_MISSING | INPUT_INVALID | INPUT_PERMISSION | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_library_file_check(const struct reeve_job *job, char text[REEVE_LIBRARY_TEXT_BYTES],
                                      struct reeve_error *err);

#endif
