/* See fresh_folder.h. */
#include "run/fresh_folder.h"

#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"

/* A name that begins with one of these is ours: files are written as NAME.tmp-PID-N first. */
static const char *const own_names[] = {"manifest.h5", "tasks.h5",   "journal",      "checkpoint",
                                        "log",         "verified",   "output",       "submit",
                                        "initial",     "LOCK",        "STOP",       "SAVE",         "metrics.jsonl",
                                        "status.json", "reeve.prom", "starts.jsonl", "job.yaml.tmp-"};

static bool is_own(const char *name)
{
    for (size_t i = 0; i < sizeof(own_names) / sizeof(own_names[0]); i++)
        if (strncmp(name, own_names[i], strlen(own_names[i])) == 0) return true;
    return strcmp(name, "lost+found") == 0 || strncmp(name, ".nfs", 4) == 0;
}

/* "new/..": a folder that is not there, and one that has been there all along as soon as "new" is made. */
static bool leads_back(const char *path)
{
    char before[REEVE_PATH_BYTES_MAX];
    for (const char *at = path; (at = strstr(at, "..")) != NULL; at += 2) {
        if (at == path || at[-1] != '/' || (at[2] != '/' && at[2] != '\0')) continue;
        int n = snprintf(before, sizeof(before), "%.*s", (int)(at - path), path);
        if (n < (int)sizeof(before) && access(before, F_OK) != 0 && errno == ENOENT) return true;
    }
    return false;
}

reeve_status reeve_fresh_folder_check(const char *run_dir, struct reeve_error *err)
{
    DIR *folder = opendir(run_dir);
    if (folder == NULL && errno == ENOENT && leads_back(run_dir))
        return reeve_fail(err, REEVE_STORE_CREATE,
                          "%s: goes back (..) from a folder that is not there; name the folder that is meant", run_dir);
    if (folder == NULL) return REEVE_OK; /* what is wrong with it is told by whoever makes it */
    reeve_status st = REEVE_OK;
    for (const struct dirent *e; st == REEVE_OK && (e = readdir(folder)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || is_own(e->d_name)) continue;
        st = reeve_fail(err, REEVE_STORE_CREATE,
                        "%s is no run, and holds other files (%.100s): a run has a folder of its own; choose another "
                        "--run-dir, such as %s/runs/1",
                        run_dir, e->d_name, run_dir);
    }
    (void)closedir(folder);
    return st;
}
