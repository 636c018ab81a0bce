/* May a new run be made in this folder? Not among files of somebody else, who would lose them with the run. */
#ifndef REEVE_RUN_FRESH_FOLDER_H
#define REEVE_RUN_FRESH_FOLDER_H

#include "reeve/status.h"

/* REEVE_OK: there is no such folder yet, or nothing in it but what Reeve puts into a run's folder itself (what a start
 * that was cut short left, what `reeve submit` wrote). STORE_CREATE: it holds something else, which the error names;
 * also where that is a job.yaml and none of the files that a run with such a file has; or it is not there, and ".." in
 * its path says that it is another one once the folders before are made. May block on the disk. */
reeve_status reeve_fresh_folder_check(const char *run_dir, struct reeve_error *err);

#endif
