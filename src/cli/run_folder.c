/* Finding and reading the files of a run, with errors worded for whoever typed its name. */
#include "cli/run_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "config/job_file.h"
#include "store/lock.h"

#define RUNS_NAMED 4 /* of those below a folder that is none itself */

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

static bool has_run_files(const char *run_dir)
{
    static const char *const names[] = {"manifest.h5", "tasks.h5", "journal", "submit"}; /* job.yaml may be anybody's */
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (reeve_run_folder_has(run_dir, names[i])) return true;
    return false;
}

/* The first runs below `dir`, by name: "dir/broken, dir/undisturbed". How many there are. */
static size_t list_runs_below(const char *dir, char *text, size_t text_bytes)
{
    struct dirent **entries = NULL;
    int count = scandir(dir, &entries, NULL, alphasort);
    size_t runs = 0, at = 0;
    text[0] = '\0';
    for (int i = 0; i < count; i++) {
        char path[REEVE_PATH_BYTES_MAX];
        bool is_run = entries[i]->d_name[0] != '.' &&
                      reeve_path_join(path, sizeof(path), dir, entries[i]->d_name, NULL) == REEVE_OK &&
                      has_run_files(path);
        if (is_run && runs++ < RUNS_NAMED && at < text_bytes)
            at += (size_t)snprintf(text + at, text_bytes - at, "%s%s", at > 0 ? ", " : "", path);
        free(entries[i]);
    }
    free(entries);
    return runs;
}

static reeve_status fail_no_run(const char *run_dir, struct reeve_error *err)
{
    char runs[REEVE_ERROR_TEXT_BYTES / 2];
    size_t count = list_runs_below(run_dir, runs, sizeof(runs));
    if (count > 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "%s: is no run, but holds %zu: %s%s; name the one that is meant",
                          run_dir, count, runs, count > RUNS_NAMED ? ", ..." : "");
    return reeve_fail(err, REEVE_INPUT_INVALID,
                      "%s: is no run: it has no manifest.h5, tasks.h5 or journal; `reeve status` lists those in ./runs",
                      run_dir);
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
    return has_run_files(run_dir) ? REEVE_OK : fail_no_run(run_dir, err);
}

/* True of one that cannot be read as well: then more is there than is seen. */
static bool has_segments(const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX];
    if (reeve_run_folder_file(run_dir, "journal", path, NULL) != REEVE_OK) return false;
    DIR *dir = opendir(path);
    if (dir == NULL) return errno != ENOENT;
    bool found = false;
    for (const struct dirent *entry; !found && (entry = readdir(dir)) != NULL;)
        found = entry->d_name[0] != '.';
    (void)closedir(dir);
    return found;
}

reeve_status reeve_run_folder_check_begun(const char *run_dir, struct reeve_error *err)
{
    static const char *const names[] = {"job.yaml", "manifest.h5", "tasks.h5", "status.json"};
    reeve_status st = reeve_run_folder_check(run_dir, err);
    if (st != REEVE_OK) return st;
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        if (reeve_run_folder_has(run_dir, names[i])) return REEVE_OK;
    if (has_segments(run_dir)) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_MISSING,
                      "%s: has not begun, there is nothing of a run yet; see `reeve status %s`", run_dir, run_dir);
}

reeve_status reeve_run_folder_read(const char *run_dir, struct reeve_job *job, struct reeve_manifest **manifest,
                                   struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_run_folder_check_begun(run_dir, err);
    if (st == REEVE_OK && job != NULL) {
        st = reeve_run_folder_file(run_dir, "job.yaml", path, err);
        if (st == REEVE_OK) st = reeve_job_read(path, NULL, 0, job, err);
    }
    if (st == REEVE_OK && manifest != NULL && reeve_run_folder_has(run_dir, "tasks.h5"))
        st = reeve_fail(err, REEVE_INPUT_INVALID,
                        "%s: works a task list off, and reads no shards; `reeve plan %s` shows the list", run_dir,
                        run_dir);
    if (st == REEVE_OK && manifest != NULL) {
        st = reeve_run_folder_file(run_dir, "manifest.h5", path, err);
        if (st == REEVE_OK) st = reeve_lock_read(path, manifest, err);
    }
    return st;
}
