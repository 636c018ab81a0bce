/* Removing checkpoints that nobody needs. A folder loses its name before it loses its files, so that a sweep that dies
 * leaves no half of a checkpoint behind under a name that counts. */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "store/checkpoint_index.h"
#include "store/disk.h"

enum entry_kind { ENTRY_OTHER, ENTRY_STEP, ENTRY_OLD, ENTRY_TMP };

/* "step-0000000100", "step-0000000100.old-3", "step-0000000100.tmp-3" */
static enum entry_kind parse(const char *name, uint64_t *step)
{
    char *end;
    if (strncmp(name, "step-", 5) != 0 || name[5] < '0' || name[5] > '9') return ENTRY_OTHER;
    errno = 0;
    *step = strtoull(name + 5, &end, 10);
    if (errno != 0) return ENTRY_OTHER;
    if (*end == '\0') return ENTRY_STEP;
    if (strncmp(end, ".old-", 5) == 0) return ENTRY_OLD;
    return strncmp(end, ".tmp-", 5) == 0 ? ENTRY_TMP : ENTRY_OTHER;
}

static bool is_kept(uint64_t step, const uint64_t *keep, uint32_t keep_count)
{
    for (uint32_t i = 0; i < keep_count; i++)
        if (keep[i] == step) return true;
    return false;
}

/* A step to keep whose folder has no name but the old one: a commit died between two renames. Give it back. */
static reeve_status restore_or_remove(const char *run_dir, const char *path, uint64_t step, bool kept,
                                      struct reeve_error *err)
{
    char final[REEVE_PATH_BYTES_MAX], found[REEVE_PATH_BYTES_MAX];
    reeve_checkpoint_dir(run_dir, step, final, sizeof(final));
    reeve_checkpoint_find(run_dir, step, found, sizeof(found)); /* `final`, if it is there */
    if (!kept || strcmp(strrchr(found, '/'), strrchr(path, '/')) != 0) return reeve_remove_tree(path, err);
    if (rename(path, final) == 0) return REEVE_OK;
    return reeve_disk_fail(err, errno, "rename to", final, 0);
}

static reeve_status remove_step(const char *parent, const char *path, struct reeve_error *err)
{
    char garbage[REEVE_PATH_BYTES_MAX];
    int length = snprintf(garbage, sizeof(garbage), "%s.tmp-swept", path);
    if (length < 0 || (size_t)length >= sizeof(garbage))
        return reeve_fail(err, REEVE_INPUT_INVALID, "remove %s: the path is too long", path);
    reeve_status st = reeve_remove_tree(garbage, err);
    if (st != REEVE_OK) return st;
    if (rename(path, garbage) != 0) return reeve_disk_fail(err, errno, "rename to", garbage, 0);
    /* No promise orders the loss of the name before that of the files, unless it is on the disk before they go. */
    st = reeve_fsync_dir(parent, err);
    return st == REEVE_OK ? reeve_remove_tree(garbage, err) : st;
}

static reeve_status sweep_entry(const char *run_dir, const char *parent, const char *name, const uint64_t *keep,
                                uint32_t keep_count, uint64_t newest, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint64_t step = 0;
    enum entry_kind kind = parse(name, &step);
    if (kind == ENTRY_OTHER || step > newest) return REEVE_OK; /* newer than all: somebody is writing it */
    bool kept = is_kept(step, keep, keep_count);
    if (kind == ENTRY_STEP && kept) return REEVE_OK;
    reeve_status st = reeve_path_join(path, sizeof(path), parent, name, err);
    if (st != REEVE_OK) return st;
    if (kind == ENTRY_STEP) return remove_step(parent, path, err);
    if (kind == ENTRY_OLD) return restore_or_remove(run_dir, path, step, kept, err);
    return reeve_remove_tree(path, err);
}

bool reeve_checkpoint_newest_name(const char *run_dir, uint64_t *step)
{
    char parent[REEVE_PATH_BYTES_MAX];
    bool any = false;
    uint64_t one = 0;
    if (reeve_path_join(parent, sizeof(parent), run_dir, "checkpoint", NULL) != REEVE_OK) return false;
    DIR *folder = opendir(parent);
    if (folder == NULL) return false;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        if (parse(entry->d_name, &one) != ENTRY_STEP || (any && one < *step)) continue;
        any = true;
        *step = one;
    }
    (void)closedir(folder);
    return any;
}

reeve_status reeve_checkpoint_sweep(const char *run_dir, const uint64_t *keep, uint32_t keep_count,
                                    struct reeve_error *err)
{
    char parent[REEVE_PATH_BYTES_MAX];
    uint64_t newest = keep_count == 0 ? UINT64_MAX : 0;
    for (uint32_t i = 0; i < keep_count; i++)
        if (keep[i] > newest) newest = keep[i];
    reeve_status st = reeve_path_join(parent, sizeof(parent), run_dir, "checkpoint", err);
    if (st != REEVE_OK) return st;
    DIR *folder = opendir(parent);
    if (folder == NULL && errno == ENOENT) return REEVE_OK;
    if (folder == NULL) return reeve_fail(err, reeve_status_from_errno_read(errno), "read folder %s: %m", parent);
    for (struct dirent *entry;
         (entry = readdir(folder)) != NULL;) { /* one that cannot be removed does not save the others */
        struct reeve_error *first = st == REEVE_OK ? err : NULL;
        reeve_status one = sweep_entry(run_dir, parent, entry->d_name, keep, keep_count, newest, first);
        if (st == REEVE_OK) st = one;
    }
    (void)closedir(folder);
    return st;
}
