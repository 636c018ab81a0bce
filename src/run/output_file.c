/* See output_file.h. */
#include "run/output_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"

static bool is_empty(const struct reeve_output_file *f)
{
    struct stat info;
    return fstat(f->fd, &info) == 0 && info.st_size == 0;
}

static reeve_status make_folder(const char *path, struct reeve_error *err)
{
    char folder[REEVE_OUTPUT_PATH_BYTES];
    reeve_path_dirname(path, folder, sizeof(folder));
    return reeve_mkdir_parents(folder, err);
}

/* Under its new name, or opened anew. 0, or -1 with errno. */
static int take_name(struct reeve_output_file *f, const char *path)
{
    if (f->fd >= 0) return rename(f->path, path);
    f->fd = open(path, O_RDWR | O_APPEND | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    return f->fd >= 0 ? 0 : -1;
}

reeve_status reeve_output_file_begin(struct reeve_output_file *f, const char *run_dir, const char *name,
                                     struct reeve_error *err)
{
    char path[REEVE_OUTPUT_PATH_BYTES];
    int n = snprintf(path, sizeof(path), "%s/%s", run_dir, name);
    if (n < 0 || (size_t)n >= sizeof(path))
        return reeve_fail(err, REEVE_STORE_CREATE, "output file %s: the path is too long", name);
    int rc = take_name(f, path);
    if (rc != 0 && errno == ENOENT) {
        /* Its folder is not there yet; or somebody removed the empty file, and a new one must be made. */
        reeve_status st = make_folder(path, err);
        if (st != REEVE_OK) return st;
        rc = take_name(f, path);
        if (rc != 0 && errno == ENOENT) {
            (void)close(f->fd);
            f->fd = -1;
            rc = take_name(f, path);
        }
    }
    if (rc != 0)
        return reeve_fail(err,
                          errno == ENOSPC || errno == EDQUOT || errno == EIO ? REEVE_STORE_WRITE : REEVE_STORE_CREATE,
                          "its output file %s: %m", path);
    memcpy(f->path, path, (size_t)n + 1);
    return REEVE_OK;
}

void reeve_output_file_end(struct reeve_output_file *f)
{
    if (f->fd < 0 || is_empty(f)) return;
    (void)close(f->fd);
    f->fd = -1;
}

void reeve_output_file_close(struct reeve_output_file *f)
{
    if (f->fd < 0) return;
    if (is_empty(f)) (void)unlink(f->path);
    (void)close(f->fd);
    f->fd = -1;
}

bool reeve_output_file_last_line(const struct reeve_output_file *f, char *out, size_t out_bytes)
{
    char tail[512];
    struct stat info;
    if (fstat(f->fd, &info) != 0 || info.st_size == 0) return false;
    off_t from = info.st_size > (off_t)sizeof(tail) ? info.st_size - (off_t)sizeof(tail) : 0;
    ssize_t n = pread(f->fd, tail, sizeof(tail), from);
    while (n > 0 && (unsigned char)tail[n - 1] <= ' ')
        n--;
    ssize_t begin = n;
    while (begin > 0 && tail[begin - 1] != '\n')
        begin--;
    if (n <= begin) return false;
    size_t bytes = (size_t)(n - begin) < out_bytes - 1 ? (size_t)(n - begin) : out_bytes - 1;
    for (size_t i = 0; i < bytes; i++) {
        unsigned char c = (unsigned char)tail[begin + (ssize_t)i];
        out[i] = c < ' ' || c > '~' ? '?' : (char)c; /* for a log and a terminal: plain text alone */
    }
    out[bytes] = '\0';
    return true;
}
