/* Collecting shard files; see manifest_paths.h. A manifest of 10^6 shards is a hash set of files, never a comparison of
 * each with all others. */
#include "config/manifest_paths.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"
#include "config/hints.h"
#include "config/scalar.h"

#define GLOB_FOLDERS_MAX 128u

reeve_status reeve_manifest_paths_init(struct reeve_manifest_paths *p, struct reeve_manifest *manifest,
                                       const struct reeve_yaml *yaml, struct reeve_error *err)
{
    *p = (struct reeve_manifest_paths){.manifest = manifest, .yaml = yaml};
    p->base_fd = open(manifest->base_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (p->base_fd >= 0) return REEVE_OK;
    return reeve_fail(err, reeve_status_from_errno_read(errno), "open folder %s: %m", manifest->base_dir);
}

void reeve_manifest_paths_fini(struct reeve_manifest_paths *p)
{
    if (p->base_fd >= 0) (void)close(p->base_fd);
    free(p->node);
    free(p->file);
    free(p->slots);
    p->base_fd = -1;
    p->node = NULL;
    p->file = NULL;
    p->slots = NULL;
}

static const char *path_of(const struct reeve_manifest_paths *p, uint32_t shard)
{
    return p->manifest->paths + p->manifest->shards[shard].path_offset;
}

static uint32_t first_slot(const struct reeve_manifest_paths *p, reeve_file_identity file)
{
    uint32_t at;
    memcpy(&at, file.bytes, sizeof(at));
    return at & (p->slot_count - 1);
}

/* The slot of that file: the one that holds it, or the free one where it would go. */
static uint32_t find_slot(const struct reeve_manifest_paths *p, reeve_file_identity file)
{
    uint32_t slot = first_slot(p, file);
    while (p->slots[slot] != 0 && !reeve_digest_equal(p->file[p->slots[slot] - 1], file))
        slot = (slot + 1) & (p->slot_count - 1);
    return slot;
}

static bool grow_slots(struct reeve_manifest_paths *p)
{
    if ((uint64_t)p->slot_count > 2 * ((uint64_t)p->manifest->shard_count + 1)) return true;
    uint32_t slot_count = p->slot_count == 0 ? 64 : p->slot_count * 2;
    uint32_t *slots = calloc(slot_count, sizeof(slots[0]));
    if (slots == NULL) return false;
    free(p->slots);
    p->slots = slots;
    p->slot_count = slot_count;
    for (uint32_t shard = 0; shard < p->manifest->shard_count; shard++)
        slots[find_slot(p, p->file[shard])] = shard + 1;
    return true;
}

static bool grow_shards(struct reeve_manifest_paths *p, size_t path_bytes)
{
    struct reeve_manifest *m = p->manifest;
    if (m->shard_count == p->shard_room) {
        uint32_t room = p->shard_room == 0 ? 64 : p->shard_room * 2;
        void *shards = realloc(m->shards, (size_t)room * sizeof(m->shards[0]));
        if (shards != NULL) m->shards = shards;
        void *node = realloc(p->node, (size_t)room * sizeof(p->node[0]));
        if (node != NULL) p->node = node;
        void *file = realloc(p->file, (size_t)room * sizeof(p->file[0]));
        if (file != NULL) p->file = file;
        if (shards == NULL || node == NULL || file == NULL) return false;
        p->shard_room = room;
    }
    if (m->paths_bytes + path_bytes + 1 > p->paths_room) {
        uint64_t room = 2 * p->paths_room + path_bytes + 4096;
        char *paths = realloc(m->paths, room);
        if (paths == NULL) return false;
        m->paths = paths;
        p->paths_room = room;
    }
    return true;
}

static reeve_file_identity identity_of(const struct stat *st)
{
    uint64_t words[] = {st->st_dev,
                        st->st_ino,
                        (uint64_t)st->st_size,
                        (uint64_t)st->st_mtim.tv_sec,
                        (uint64_t)st->st_mtim.tv_nsec,
                        (uint64_t)st->st_ctim.tv_sec,
                        (uint64_t)st->st_ctim.tv_nsec};
    return reeve_digest_of(words, sizeof(words));
}

static reeve_status look_at(const struct reeve_manifest_paths *p, const char *path, uint32_t node, struct stat *st,
                            struct reeve_error *err)
{
    if (fstatat(p->base_fd, path, st, 0) == 0) return REEVE_OK;
    reeve_status status = reeve_status_from_errno_read(errno);
    return reeve_yaml_fail(p->yaml, node, err, status, "shard %.300s: %m (looked for in %.300s)%s", path,
                           path[0] == '/' ? "/" : p->manifest->base_dir, reeve_hint_path(path));
}

static reeve_status check_file(const struct reeve_manifest_paths *p, const char *path, uint32_t node,
                               const struct stat *st, struct reeve_error *err)
{
    if (strlen(path) >= REEVE_PATH_BYTES_MAX - strlen(p->manifest->base_dir) - 1)
        return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID, "shard %.200s...: its path is too long", path);
    if (!reeve_scalar_is_utf8(path, true))
        return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID,
                               "shard %.300s: its name is not UTF-8 text on one line; rename the file", path);
    if (!S_ISREG(st->st_mode))
        return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID, "shard %.300s: %s; a file was expected", path,
                               S_ISDIR(st->st_mode) ? "a folder (use `glob:` for the files in it)" : "no regular file");
    if (st->st_size == 0)
        return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID,
                               "shard %.300s: empty; remove it here or fill it", path);
    return REEVE_OK;
}

static reeve_status fail_twice(const struct reeve_manifest_paths *p, const char *path, uint32_t node, uint32_t first,
                               struct reeve_error *err)
{
    const char *other = path_of(p, first);
    char as[320] = "";
    if (strcmp(path, other) != 0) (void)snprintf(as, sizeof(as), " (as %.300s)", other);
    return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID,
                           "shard %.300s: named twice, first in line %" PRIu32
                           "%s; keep one of them (`weight: 2` visits it twice in each epoch)",
                           path, p->yaml->nodes[p->node[first]].line, as);
}

static reeve_status add_file(struct reeve_manifest_paths *p, const char *path, uint32_t node, const struct stat *info,
                             const struct reeve_shard *like, struct reeve_error *err)
{
    struct reeve_manifest *m = p->manifest;
    reeve_status st = check_file(p, path, node, info, err);
    if (st != REEVE_OK) return st;
    reeve_file_identity file = identity_of(info);
    if (m->shard_count == REEVE_MANIFEST_SHARDS_MAX)
        return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID, "more than %" PRIu32 " shards; use larger ones",
                               REEVE_MANIFEST_SHARDS_MAX);
    size_t path_bytes = strlen(path);
    if (!grow_shards(p, path_bytes) || !grow_slots(p))
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory for %" PRIu32 " shards", p->yaml->name,
                          m->shard_count);
    uint32_t slot = find_slot(p, file), shard = m->shard_count;
    if (p->slots[slot] != 0) return fail_twice(p, path, node, p->slots[slot] - 1, err);
    memcpy(m->paths + m->paths_bytes, path, path_bytes + 1);
    m->shards[shard] = *like;
    m->shards[shard].path_offset = m->paths_bytes;
    m->paths_bytes += path_bytes + 1;
    p->node[shard] = node;
    p->file[shard] = file;
    p->slots[slot] = shard + 1;
    m->shard_count++;
    return REEVE_OK;
}

reeve_status reeve_manifest_paths_add(struct reeve_manifest_paths *p, const char *path, uint32_t node,
                                      const struct reeve_shard *like, struct reeve_error *err)
{
    struct stat info;
    reeve_status st = look_at(p, path, node, &info, err);
    return st == REEVE_OK ? add_file(p, path, node, &info, like, err) : st;
}

/* ---- patterns ---- */

/* base_dir with glob's special characters quoted, and the pattern behind it. */
static void absolute_pattern(const char *base_dir, const char *pattern, char out[3 * REEVE_PATH_BYTES_MAX])
{
    size_t used = 0;
    if (pattern[0] != '/') {
        for (; *base_dir != '\0'; base_dir++) {
            if (strchr("*?[]\\", *base_dir) != NULL) out[used++] = '\\';
            out[used++] = *base_dir;
        }
        if (used > 0 && out[used - 1] != '/') out[used++] = '/';
    }
    memcpy(out + used, pattern, strlen(pattern) + 1);
}

static int compare_bytes(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b); /* as unsigned bytes, whatever the locale */
}

/* What is in a folder that cannot be read, or not to its end, is not known to be no match. glob() stops at the first kind
 * and passes over the second; it has no argument for who asks. */
static _Thread_local struct {
    char folder[256]; /* the one that is read, or that could not be */
    int why;          /* errno; 0: all could be read so far */
} reading;

static void *open_folder(const char *path)
{
    if (reading.why == 0) (void)snprintf(reading.folder, sizeof(reading.folder), "%s", path);
    return opendir(path);
}

static struct dirent *read_folder(void *folder)
{
    errno = 0;
    struct dirent *entry = readdir(folder);
    if (entry == NULL && errno != 0) reading.why = errno;
    return entry;
}

static void close_folder(void *folder)
{
    (void)closedir(folder);
}

static int stop_at_unreadable(const char *path, int why)
{
    (void)path;
    if (why == ENOENT || why == ENOTDIR) return 0;
    reading.why = why;
    return 1;
}

static reeve_status add_matches(struct reeve_manifest_paths *p, const glob_t *found, const char *pattern, uint32_t node,
                                const struct reeve_shard *like, struct reeve_error *err)
{
    size_t skipped = 0; /* bytes of base_dir and its '/', which relative paths go without */
    if (pattern[0] != '/') {
        skipped = strlen(p->manifest->base_dir);
        if (skipped > 0 && p->manifest->base_dir[skipped - 1] != '/') skipped++;
    }
    uint32_t before = p->manifest->shard_count;
    for (size_t i = 0; i < found->gl_pathc; i++) {
        const char *path = found->gl_pathv[i] + skipped;
        struct stat info;
        reeve_status st = look_at(p, path, node, &info, err);
        if (st == REEVE_OK && !S_ISDIR(info.st_mode)) st = add_file(p, path, node, &info, like, err);
        if (st != REEVE_OK) return st;
    }
    if (p->manifest->shard_count > before) return REEVE_OK;
    return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID, "glob %.300s: no file matches in %.300s%s", pattern,
                           pattern[0] == '/' ? "/" : p->manifest->base_dir, reeve_hint_path(pattern));
}

/* glob() calls itself for each folder of a pattern, with some kilobytes of stack each time, and knows no end of it. */
static bool too_deep(const char *pattern)
{
    unsigned folders = 0;
    for (; *pattern != '\0'; pattern++)
        folders += *pattern == '/';
    return folders > GLOB_FOLDERS_MAX;
}

reeve_status reeve_manifest_paths_add_glob(struct reeve_manifest_paths *p, const char *pattern, uint32_t node,
                                           const struct reeve_shard *like, struct reeve_error *err)
{
    char absolute[3 * REEVE_PATH_BYTES_MAX];
    if (strstr(pattern, "**") != NULL)
        return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID,
                               "glob %.300s: `**` is not known here; write one glob for each depth (a/*, a/*/*)",
                               pattern);
    if (too_deep(pattern))
        return reeve_yaml_fail(p->yaml, node, err, REEVE_INPUT_INVALID,
                               "glob %.300s: more than %u folders ('/'), one in the other", pattern, GLOB_FOLDERS_MAX);
    absolute_pattern(p->manifest->base_dir, pattern, absolute);
    glob_t found = {.gl_opendir = open_folder,
                    .gl_readdir = read_folder,
                    .gl_closedir = close_folder,
                    .gl_stat = stat,
                    .gl_lstat = lstat};
    reading.why = 0;
    int rc = glob(absolute, GLOB_NOSORT | GLOB_ALTDIRFUNC, stop_at_unreadable, &found);
    reeve_status st = REEVE_OK;
    if (rc == GLOB_NOSPACE) {
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory for glob %.300s", p->yaml->name, pattern);
    } else if (reading.why != 0) {
        st = reeve_yaml_fail(p->yaml, node, err, reeve_status_from_errno_read(reading.why),
                             "glob %.300s: folder %s cannot be read: %s", pattern, reading.folder,
                             strerror(reading.why));
    } else {
        if (found.gl_pathc > 0) qsort(found.gl_pathv, found.gl_pathc, sizeof(found.gl_pathv[0]), compare_bytes);
        st = add_matches(p, &found, pattern, node, like, err);
    }
    globfree(&found);
    return st;
}
