/* Finding and reading the files of a run, with errors worded for whoever typed its name. */
#include "cli/run_folder.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "config/job_file.h"
#include "store/lock.h"

bool reeve_is_folder(const char *path)
{
    struct stat info;
    return stat(path, &info) == 0 && S_ISDIR(info.st_mode);
}

reeve_status reeve_run_folder_file(const char *run_dir, const char *name, char *out, struct reeve_error *err)
{
    return reeve_path_join(out, REEVE_PATH_BYTES_MAX, run_dir, name, err);
}

bool reeve_run_folder_has(const char *run_dir, const char *name)
{
    char path[REEVE_PATH_BYTES_MAX];
    return reeve_run_folder_file(run_dir, name, path, NULL) == REEVE_OK && reeve_path_exists(path);
}

reeve_status reeve_run_folder_check(const char *run_dir, struct reeve_error *err)
{
    struct stat info;
    if (stat(run_dir, &info) != 0)
        return reeve_fail(err, reeve_status_from_errno_read(errno), "%s: %m; expected the folder of a run", run_dir);
    if (!S_ISDIR(info.st_mode))
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "%s: is a file; expected the folder of a run, such as runs/quickstart", run_dir);
    if (access(run_dir, X_OK) != 0) /* else all of it would seem not to be there */
        return reeve_fail(err, reeve_status_from_errno_read(errno), "%s: %m", run_dir);
    static const char *const names[] = {"manifest.h5", "tasks.h5", "journal", "submit"}; /* job.yaml may be anybody's */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (reeve_run_folder_has(run_dir, names[i])) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_INVALID,
                      "%s: is no run: it has no manifest.h5, tasks.h5 or journal; `reeve status` lists those in ./runs",
                      run_dir);
}

reeve_status reeve_run_folder_read(const char *run_dir, struct reeve_job *job, struct reeve_manifest **manifest,
                                   struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_run_folder_check(run_dir, err);
    if (st == REEVE_OK && job != NULL) {
        st = reeve_run_folder_file(run_dir, "job.yaml", path, err);
        if (st == REEVE_OK) st = reeve_job_read(path, NULL, 0, job, err);
    }
    if (st == REEVE_OK && manifest != NULL) {
        st = reeve_run_folder_file(run_dir, "manifest.h5", path, err);
        if (st == REEVE_OK) st = reeve_lock_read(path, manifest, err);
    }
    return st;
}
