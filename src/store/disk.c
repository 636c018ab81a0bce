/* Writing to a disk that may be full, slow or broken. */
#include "store/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"

#define WRITE_BYTES_MAX ((size_t)16 << 20) /* one system call: bounded, so that a signal is answered soon */

static unsigned long long free_bytes(const char *dir)
{
    struct statvfs fs;
    return statvfs(dir, &fs) == 0 ? (unsigned long long)fs.f_bavail * fs.f_frsize : 0;
}

reeve_status reeve_disk_fail(struct reeve_error *err, int errnum, const char *doing, const char *path, uint64_t bytes)
{
    char dir[REEVE_PATH_BYTES_MAX];
    reeve_path_dirname(path, dir, sizeof(dir));
    unsigned long long wanted = bytes;
    switch (errnum) {
    case ENOSPC:
        return reeve_fail(
            err, REEVE_STORE_WRITE,
            "%s %s: the disk is full (%llu bytes wanted, %llu free): free %llu bytes on %s or set --run-dir", doing,
            path, wanted, free_bytes(dir), wanted, dir);
    case EDQUOT:
        return reeve_fail(err, REEVE_STORE_WRITE,
                          "%s %s: the disk quota is used up: free %llu bytes of yours on %s or set --run-dir", doing,
                          path, wanted, dir);
    case EFBIG:
        return reeve_fail(
            err, REEVE_STORE_WRITE,
            "%s %s: %llu bytes exceed the limit on the size of a file: raise it (ulimit -f) or set --run-dir", doing,
            path, wanted);
    case EIO:
        return reeve_fail(
            err, REEVE_STORE_WRITE,
            "%s %s: the disk reports an error (EIO): look at the kernel's log, and set --run-dir to another disk",
            doing, path);
    case EXDEV:
        return reeve_fail(err, REEVE_STORE_CREATE,
                          "%s %s: part of the run lies on another file system: keep RUN and all its folders on one",
                          doing, path);
    case EROFS:
        return reeve_fail(err, REEVE_STORE_CREATE, "%s %s: the file system is read-only: set --run-dir", doing, path);
    default: break;
    }
    errno = errnum;
    return reeve_fail(err, reeve_status_from_errno_write(errnum), "%s %s: %m", doing, path);
}

reeve_status reeve_disk_write(int fd, const void *bytes, size_t n, uint64_t offset, const char *path,
                              struct reeve_error *err)
{
    const uint8_t *at = bytes;
    while (n > 0) {
        ssize_t done = pwrite(fd, at, n < WRITE_BYTES_MAX ? n : WRITE_BYTES_MAX, (off_t)offset);
        if (done < 0 && errno == EINTR) continue;
        if (done <= 0) return reeve_disk_fail(err, done < 0 ? errno : EIO, "write", path, n);
        at += done;
        offset += (uint64_t)done;
        n -= (size_t)done;
    }
    return REEVE_OK;
}

reeve_status reeve_disk_sync(int fd, const char *path, struct reeve_error *err)
{
    if (fdatasync(fd) == 0) return REEVE_OK;
    return reeve_disk_fail(err, errno, "sync", path, 0);
}

void reeve_disk_begin_sync(int fd, uint64_t offset, uint64_t bytes)
{
    (void)sync_file_range(fd, (off_t)offset, (off_t)bytes, SYNC_FILE_RANGE_WRITE);
}

static bool is_same_file(const char *a, const char *b)
{
    struct stat x, y;
    return lstat(a, &x) == 0 && lstat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

/* errno: EEXIST if something has the name. NFS and others cannot rename "not over another"; a look before a rename is no
 * answer there, for names are kept in a cache, and whoever stood still in between would put its file in another one's place. */
static bool take_name(const char *tmp, const char *path)
{
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, path, RENAME_NOREPLACE) == 0) return true;
    if (errno != EINVAL && errno != ENOSYS) return false;
    if (link(tmp, path) == 0 || (errno == EEXIST && is_same_file(tmp, path))) { /* done, and the answer was lost */
        (void)unlink(tmp);
        return true;
    }
    if (errno != EPERM && errno != EOPNOTSUPP && errno != ENOSYS && errno != EMLINK) return false;
    if (!reeve_path_exists(path)) return rename(tmp, path) == 0;
    errno = EEXIST;
    return false;
}

/* Give a finished file its name, unless something has it. */
static reeve_status give_name(const char *tmp, const char *path, struct reeve_error *err)
{
    if (take_name(tmp, path)) return REEVE_OK;
    if (errno == EEXIST)
        return reeve_fail(err, REEVE_STORE_CREATE, "create %s: it exists already: is another job using this run?",
                          path);
    return reeve_disk_fail(err, errno, "rename to", path, 0);
}

/* The file that was just made, at its beginning; closes it. Not left there if that fails. */
static reeve_status write_new(int fd, const char *path, const void *bytes, size_t n, struct reeve_error *err)
{
    reeve_status st = reeve_disk_write(fd, bytes, n, 0, path, err);
    if (st == REEVE_OK && fsync(fd) != 0) st = reeve_disk_fail(err, errno, "sync", path, 0);
    if (close(fd) != 0 && st == REEVE_OK) st = reeve_disk_fail(err, errno, "close", path, 0);
    if (st != REEVE_OK) (void)unlink(path);
    return st;
}

reeve_status reeve_disk_create_unnamed(const char *path, const void *bytes, size_t n, struct reeve_error *err)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    return fd >= 0 ? write_new(fd, path, bytes, n, err) : reeve_disk_fail(err, errno, "create", path, n);
}

reeve_status reeve_disk_create(const char *path, const void *bytes, size_t n, struct reeve_error *err)
{
    char tmp[REEVE_PATH_BYTES_MAX], dir[REEVE_PATH_BYTES_MAX];
    int fd = reeve_temporary_open(path, tmp);
    if (fd < 0 && errno == ENAMETOOLONG)
        return reeve_fail(err, REEVE_INPUT_INVALID, "create %s: the path is too long", path);
    if (fd < 0) return reeve_disk_fail(err, errno, "create", tmp, n);
    reeve_path_dirname(path, dir, sizeof(dir));
    reeve_status st = write_new(fd, tmp, bytes, n, err);
    if (st != REEVE_OK) return st;
    st = give_name(tmp, path, err);
    if (st != REEVE_OK) {
        (void)unlink(tmp);
        return st;
    }
    st = reeve_fsync_dir(dir, err);
    if (st != REEVE_OK) (void)unlink(path); /* as if it had never been: the same may be tried again */
    return st;
}

reeve_status reeve_disk_reserve(int fd, uint64_t bytes, const char *path, struct reeve_error *err)
{
    int rc;
    do
        rc = bytes > 0 ? fallocate(fd, 0, 0, (off_t)bytes) : 0;
    while (rc != 0 && errno == EINTR);
    if (rc == 0 || errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL) return REEVE_OK; /* writing will tell */
    return reeve_disk_fail(err, errno, "set aside room for", path, bytes);
}
