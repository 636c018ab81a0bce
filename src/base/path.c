/* Paths and whole files; see path.h. */
#include "base/path.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

reeve_status reeve_path_join(char *out, size_t out_bytes, const char *dir, const char *name, struct reeve_error *err)
{
    int n = name[0] == '/' || dir[0] == '\0' ? snprintf(out, out_bytes, "%s", name)
                                             : snprintf(out, out_bytes, "%s%s%s", dir,
                                                        dir[strlen(dir) - 1] == '/' ? "" : "/", name);
    if (n >= 0 && (size_t)n < out_bytes) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_INVALID, "path %.100s/%.100s: longer than %zu bytes", dir, name, out_bytes - 1);
}

void reeve_path_dirname(const char *path, char *out, size_t out_bytes)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL)
        (void)snprintf(out, out_bytes, ".");
    else if (slash == path)
        (void)snprintf(out, out_bytes, "/");
    else
        (void)snprintf(out, out_bytes, "%.*s", (int)(slash - path), path);
}

bool reeve_path_exists(const char *path)
{
    return access(path, F_OK) == 0;
}

/* Keeps errno: it is asked in the middle of a failure. */
static bool is_folder(const char *path)
{
    int kept = errno;
    struct stat st;
    bool yes = stat(path, &st) == 0 && S_ISDIR(st.st_mode);
    errno = kept;
    return yes;
}

/* The name of a new folder on the disk. A parent that may be entered and not read keeps us from asking for it. */
static reeve_status fsync_parent(const char *path, struct reeve_error *err)
{
    char parent[REEVE_PATH_BYTES_MAX];
    reeve_path_dirname(path, parent, sizeof(parent));
    reeve_status st = reeve_fsync_dir(parent, err);
    return st == REEVE_INPUT_PERMISSION ? REEVE_OK : st;
}

reeve_status reeve_mkdir_parents(const char *path, struct reeve_error *err)
{
    char part[REEVE_PATH_BYTES_MAX];
    size_t n = strlen(path);
    if (n == 0 || n >= sizeof(part)) return reeve_fail(err, REEVE_INPUT_INVALID, "make folder: bad path of %zu bytes", n);
    memcpy(part, path, n + 1);
    for (char *at = part + 1;; at++) {
        if (*at != '/' && *at != '\0') continue;
        char kept = *at;
        *at = '\0';
        /* A parent that is there may still say "read-only" or "permission denied" to mkdir. */
        bool made = mkdir(part, 0777) == 0;
        if (!made && errno != EEXIST && !is_folder(part))
            return reeve_fail(err, reeve_status_from_errno_write(errno), "make folder %s: %m", part);
        reeve_status st = made ? fsync_parent(part, err) : REEVE_OK;
        if (st != REEVE_OK) return st;
        *at = kept;
        if (kept == '\0') break;
    }
    if (!is_folder(path))
        return reeve_fail(err, REEVE_STORE_CREATE, "make folder %s: something else has that name", path);
    return REEVE_OK;
}

reeve_status reeve_fsync_dir(const char *path, struct reeve_error *err)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) return reeve_fail(err, reeve_status_from_errno_write(errno), "open folder %s: %m", path);
    int rc = fsync(fd);
    int why = errno;
    (void)close(fd);
    /* Some file systems have no fsync for folders; there is nothing more to ask of them then. */
    if (rc == 0 || why == EINVAL || why == ENOTSUP) return REEVE_OK;
    errno = why;
    return reeve_fail(err, REEVE_STORE_WRITE, "fsync folder %s: %m", path);
}

static int remove_at(int parent, const char *name, dev_t device)
{
    struct stat st;
    if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) return errno == ENOENT ? 0 : -1;
    if (!S_ISDIR(st.st_mode)) return unlinkat(parent, name, 0);
    if (st.st_dev != device) {
        errno = EXDEV;
        return -1;
    }
    int fd = openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return -1;
    DIR *dir = fdopendir(fd);
    if (dir == NULL) {
        (void)close(fd);
        return -1;
    }
    int rc = 0;
    struct dirent *entry;
    while (rc == 0 && (entry = readdir(dir)) != NULL) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        rc = remove_at(dirfd(dir), entry->d_name, device);
    }
    int why = errno;
    (void)closedir(dir);
    errno = why;
    return rc == 0 ? unlinkat(parent, name, AT_REMOVEDIR) : rc;
}

reeve_status reeve_remove_tree(const char *path, struct reeve_error *err)
{
    struct stat st;
    if (lstat(path, &st) != 0) {
        if (errno == ENOENT) return REEVE_OK;
        return reeve_fail(err, reeve_status_from_errno_write(errno), "remove %s: %m", path);
    }
    if (remove_at(AT_FDCWD, path, st.st_dev) == 0) return REEVE_OK;
    return reeve_fail(err, reeve_status_from_errno_write(errno), "remove %s: %m", path);
}

reeve_status reeve_file_read(const char *path, size_t bytes_max, char **text, size_t *bytes, struct reeve_error *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return reeve_fail(err, reeve_status_from_errno_read(errno), "open %s: %m", path);
    struct stat st;
    reeve_status status = REEVE_OK;
    char *buffer = NULL;
    size_t used = 0;
    if (fstat(fd, &st) != 0)
        status = reeve_fail(err, REEVE_STORE_READ, "stat %s: %m", path);
    else if (S_ISDIR(st.st_mode))
        status = reeve_fail(err, REEVE_INPUT_INVALID, "%s is a folder; a file was expected", path);
    else if (S_ISREG(st.st_mode) && (uint64_t)st.st_size > bytes_max)
        status = reeve_fail(err, REEVE_INPUT_INVALID, "%s has %lld bytes; at most %zu were expected", path,
                            (long long)st.st_size, bytes_max);
    size_t room = S_ISREG(st.st_mode) ? (size_t)st.st_size + 1 : 65536; /* a pipe has no size */
    if (status == REEVE_OK && (buffer = malloc(room + 1)) == NULL)
        status = reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", path);
    while (status == REEVE_OK) {
        if (used == room) {
            if (used > bytes_max) {
                status = reeve_fail(err, REEVE_INPUT_INVALID, "%s has more than the %zu bytes expected", path, bytes_max);
                break;
            }
            char *larger = realloc(buffer, room * 2 + 1);
            if (larger == NULL) {
                status = reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", path);
                break;
            }
            buffer = larger;
            room *= 2;
        }
        ssize_t n = read(fd, buffer + used, room - used);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0) status = reeve_fail(err, reeve_status_from_errno_read(errno), "read %s: %m", path);
        if (n <= 0) break;
        used += (size_t)n;
    }
    (void)close(fd);
    if (status == REEVE_OK && used > bytes_max)
        status = reeve_fail(err, REEVE_INPUT_INVALID, "%s has more than the %zu bytes expected", path, bytes_max);
    if (status != REEVE_OK) {
        free(buffer);
        return status;
    }
    buffer[used] = '\0';
    *text = buffer;
    *bytes = used;
    return REEVE_OK;
}

static reeve_status disk_error(struct reeve_error *err, const char *what, const char *path)
{
    if (errno == ENOSPC || errno == EDQUOT)
        return reeve_fail(err, REEVE_STORE_WRITE, "%s %s: %m; free some space there and run the same command again", what,
                          path);
    return reeve_fail(err, reeve_status_from_errno_write(errno), "%s %s: %m", what, path);
}

/* O_EXCL decides whose a name is: on another host, or in another container, a process may have our number. */
int reeve_temporary_open(const char *path, char name[REEVE_PATH_BYTES_MAX])
{
    int fd = -1;
    for (unsigned n = 0; fd < 0; n++) {
        int length = snprintf(name, REEVE_PATH_BYTES_MAX, "%s.tmp-%ld-%u", path, (long)getpid(), n);
        if (length < 0 || length >= REEVE_PATH_BYTES_MAX) {
            errno = ENAMETOOLONG;
            return -1;
        }
        fd = open(name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno != EEXIST) return -1;
    }
    return fd;
}

reeve_status reeve_file_replace(const char *path, const void *bytes, size_t n, bool durable, struct reeve_error *err)
{
    char temporary[REEVE_PATH_BYTES_MAX];
    int fd = reeve_temporary_open(path, temporary);
    if (fd < 0 && errno == ENAMETOOLONG)
        return reeve_fail(err, REEVE_INPUT_INVALID, "write %.100s...: path too long", path);
    if (fd < 0) return disk_error(err, "create", temporary);
    reeve_status st = reeve_pwrite_all(fd, bytes, n, 0, temporary, err);
    if (st == REEVE_OK && durable && fsync(fd) != 0) st = disk_error(err, "fsync", temporary);
    if (close(fd) != 0 && st == REEVE_OK) st = disk_error(err, "close", temporary);
    if (st == REEVE_OK && rename(temporary, path) != 0) st = disk_error(err, "rename to", path);
    if (st != REEVE_OK) {
        (void)unlink(temporary);
        return st;
    }
    if (!durable) return REEVE_OK;
    char dir[REEVE_PATH_BYTES_MAX];
    reeve_path_dirname(path, dir, sizeof(dir));
    return reeve_fsync_dir(dir, err);
}

reeve_status reeve_pread_all(int fd, void *out, size_t n, uint64_t offset, const char *path, struct reeve_error *err)
{
    unsigned char *at = out;
    while (n > 0) {
        ssize_t got = pread(fd, at, n, (off_t)offset);
        if (got < 0 && errno == EINTR) continue;
        if (got < 0) return reeve_fail(err, REEVE_STORE_READ, "read %s at byte %llu: %m", path, (unsigned long long)offset);
        if (got == 0)
            return reeve_fail(err, REEVE_STORE_CORRUPT, "%s ends at byte %llu; %zu more were expected", path,
                              (unsigned long long)offset, n);
        at += got;
        offset += (uint64_t)got;
        n -= (size_t)got;
    }
    return REEVE_OK;
}

reeve_status reeve_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset, const char *path,
                              struct reeve_error *err)
{
    const unsigned char *at = bytes;
    while (n > 0) {
        ssize_t put = pwrite(fd, at, n, (off_t)offset);
        if (put < 0 && errno == EINTR) continue;
        if (put < 0) return disk_error(err, "write", path);
        if (put == 0) {
            errno = ENOSPC;
            return disk_error(err, "write", path);
        }
        at += put;
        offset += (uint64_t)put;
        n -= (size_t)put;
    }
    return REEVE_OK;
}
