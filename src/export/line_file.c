/* See line_file.h. */
#include "export/line_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"

#define LINE_BYTES_MAX 65536 /* a longer one is none of ours */

struct reeve_line_file {
    int fd;
    char *path;
};

static reeve_status write_line(reeve_line_file *f, const char *line, size_t bytes, struct reeve_error *err)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = write(f->fd, line + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return reeve_fail(err, reeve_status_from_errno_write(errno),
                              "%s: cannot add a line: %m; free space, or "
                              "remove it: the run does not need it",
                              f->path);
        done += (size_t)n;
    }
    return REEVE_OK;
}

/* After a crash the last line may have no end: what is added next must not continue it. */
static reeve_status end_torn_line(reeve_line_file *f, struct reeve_error *err)
{
    struct stat info;
    if (fstat(f->fd, &info) != 0) return reeve_fail(err, REEVE_STORE_WRITE, "%s: %m", f->path);
    if (!S_ISREG(info.st_mode))
        return reeve_fail(err, REEVE_STORE_CREATE, "%s: is no plain file; move it away", f->path);
    char last = '\n';
    reeve_status st = REEVE_OK;
    if (info.st_size > 0) st = reeve_pread_all(f->fd, &last, 1, (uint64_t)info.st_size - 1, f->path, err);
    if (st != REEVE_OK) return st;
    return last == '\n' ? REEVE_OK : write_line(f, "\n", 1, err);
}

reeve_status reeve_lines_open(const char *path, reeve_line_file **out, struct reeve_error *err)
{
    reeve_line_file *f = calloc(1, sizeof *f);
    if (f == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
    reeve_status st;
    f->path = strdup(path);
    if (f->path == NULL) {
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
        goto free_file;
    }
    f->fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666); /* never waits for a fifo's reader */
    if (f->fd < 0) {
        st = reeve_fail(err, REEVE_STORE_CREATE, "%s: cannot open for adding lines: %m", path);
        goto free_path;
    }
    st = end_torn_line(f, err);
    if (st != REEVE_OK) goto close_file;
    *out = f;
    return REEVE_OK;
close_file:
    (void)close(f->fd);
free_path:
    free(f->path);
free_file:
    free(f);
    return st;
}

void reeve_lines_close(reeve_line_file *f)
{
    if (f == NULL) return;
    (void)close(f->fd);
    free(f->path);
    free(f);
}

reeve_status reeve_lines_append(reeve_line_file *f, json_t *object, bool complete, struct reeve_error *err)
{
    char *text = complete ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", f->path);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL: one write for the line and its end */
    reeve_status st = write_line(f, text, length + 1, err);
    free(text);
    return st;
}

static reeve_status read_all(const char *path, FILE *file, bool (*visit)(void *arg, const json_t *object), void *arg,
                             uint64_t *skipped, struct reeve_error *err)
{
    char *line = malloc(LINE_BYTES_MAX);
    if (line == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
    bool in_memory = true, whole_before = true;
    while (in_memory && fgets(line, LINE_BYTES_MAX, file) != NULL) {
        size_t length = strlen(line);
        bool whole = length > 0 && line[length - 1] == '\n', begins = whole_before;
        whole_before = whole;
        json_t *object = begins && whole ? json_loadb(line, length, JSON_REJECT_DUPLICATES, NULL) : NULL;
        if (json_is_object(object)) in_memory = visit(arg, object);
        else if (begins) ++*skipped;
        json_decref(object);
    }
    free(line);
    if (!in_memory) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
    if (ferror(file)) return reeve_fail(err, REEVE_STORE_READ, "%s: %m", path);
    return REEVE_OK;
}

reeve_status reeve_lines_read(const char *path, bool (*visit)(void *arg, const json_t *object), void *arg,
                              uint64_t *skipped, struct reeve_error *err)
{
    FILE *file = fopen(path, "re");
    if (file == NULL) return reeve_fail(err, reeve_status_from_errno_read(errno), "%s: %m", path);
    reeve_status st = read_all(path, file, visit, arg, skipped, err);
    (void)fclose(file);
    return st;
}
