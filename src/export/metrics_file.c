/* Adding lines: each is one write(2) on a descriptor opened for appending, so lines of two processes never mix. */
#include "export/metrics_file.h"

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"

#define WALL_NS_PER_S 1e9

struct reeve_metrics_file {
    int fd;
    char *path;
};

static reeve_status write_line(reeve_metrics_file *m, const char *line, size_t bytes, struct reeve_error *err)
{
    size_t done = 0;
    while (done < bytes) {
        ssize_t n = write(m->fd, line + done, bytes - done);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0)
            return reeve_fail(err, reeve_status_from_errno_write(errno),
                              "%s: cannot add a line: %m; free space, or "
                              "remove it: the run does not need it",
                              m->path);
        done += (size_t)n;
    }
    return REEVE_OK;
}

/* After a crash the last line may have no end: what is added next must not continue it. */
static reeve_status end_torn_line(reeve_metrics_file *m, struct reeve_error *err)
{
    struct stat info;
    if (fstat(m->fd, &info) != 0) return reeve_fail(err, REEVE_STORE_WRITE, "%s: %m", m->path);
    if (!S_ISREG(info.st_mode))
        return reeve_fail(err, REEVE_STORE_CREATE, "%s: is no plain file; move it away", m->path);
    char last = '\n';
    if (info.st_size > 0 && pread(m->fd, &last, 1, info.st_size - 1) != 1)
        return reeve_fail(err, REEVE_STORE_READ, "%s: cannot read its last byte: %m", m->path);
    return last == '\n' ? REEVE_OK : write_line(m, "\n", 1, err);
}

reeve_status reeve_metrics_open(const char *path, reeve_metrics_file **out, struct reeve_error *err)
{
    reeve_metrics_file *m = calloc(1, sizeof *m);
    if (m == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
    reeve_status st;
    m->path = strdup(path);
    if (m->path == NULL) {
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", path);
        goto free_file;
    }
    m->fd =
        open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK, 0666); /* never waits for a fifo's reader */
    if (m->fd < 0) {
        st = reeve_fail(err, REEVE_STORE_CREATE, "%s: cannot open for adding lines: %m", path);
        goto free_path;
    }
    st = end_torn_line(m, err);
    if (st != REEVE_OK) goto close_file;
    *out = m;
    return REEVE_OK;
close_file:
    (void)close(m->fd);
free_path:
    free(m->path);
free_file:
    free(m);
    return st;
}

void reeve_metrics_close(reeve_metrics_file *m)
{
    if (m == NULL) return;
    (void)close(m->fd);
    free(m->path);
    free(m);
}

static json_t *real_or_null(double v)
{
    return isfinite(v) ? json_real(v) : json_null();
}

/* Steals the object. `complete` says whether everything could be put into it. */
static reeve_status append_object(reeve_metrics_file *m, json_t *object, bool complete, struct reeve_error *err)
{
    char *text = complete ? json_dumps(object, JSON_COMPACT) : NULL;
    json_decref(object);
    if (text == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "%s: out of memory", m->path);
    size_t length = strlen(text);
    text[length] = '\n'; /* in place of the NUL: one write for the line and its end */
    reeve_status st = write_line(m, text, length + 1, err);
    free(text);
    return st;
}

static bool set(json_t *object, const char *key, json_t *value)
{
    return json_object_set_new(object, key, value) == 0;
}

static double seconds_of(int64_t wall_ns)
{
    return (double)(wall_ns != 0 ? wall_ns : reeve_clock_wall_ns()) / WALL_NS_PER_S;
}

reeve_status reeve_metrics_append(reeve_metrics_file *m, const struct reeve_metrics_row *row, struct reeve_error *err)
{
    json_t *o = json_object();
    bool complete =
        o != NULL && set(o, "step", json_integer((json_int_t)row->step)) &&
        set(o, "time", json_real(seconds_of(row->wall_ns))) && set(o, "epoch", json_integer((json_int_t)row->epoch)) &&
        set(o, "samples", json_integer((json_int_t)row->samples)) && set(o, "workers", json_integer(row->workers)) &&
        set(o, "loss", real_or_null(row->loss)) && set(o, "learning_rate", real_or_null(row->learning_rate)) &&
        set(o, "grad_norm", real_or_null(row->grad_norm)) && set(o, "tokens_per_s", real_or_null(row->tokens_per_s)) &&
        set(o, "step_seconds", real_or_null(row->step_seconds));
    if (complete && isfinite(row->eval_loss)) complete = set(o, "eval_loss", json_real(row->eval_loss));
    if (complete && row->refused) complete = set(o, "refused", json_true());
    return append_object(m, o, complete, err);
}

reeve_status reeve_metrics_append_eval(reeve_metrics_file *m, uint64_t step, double eval_loss, struct reeve_error *err)
{
    json_t *o = json_object();
    bool complete = o != NULL && set(o, "event", json_string("evaluated")) &&
                    set(o, "step", json_integer((json_int_t)step)) && set(o, "time", json_real(seconds_of(0))) &&
                    set(o, "eval_loss", real_or_null(eval_loss));
    return append_object(m, o, complete, err);
}

reeve_status reeve_metrics_append_resumed(reeve_metrics_file *m, uint64_t step, uint32_t workers,
                                          struct reeve_error *err)
{
    json_t *o = json_object();
    bool complete = o != NULL && set(o, "event", json_string("resumed")) &&
                    set(o, "step", json_integer((json_int_t)step)) && set(o, "time", json_real(seconds_of(0))) &&
                    set(o, "workers", json_integer(workers));
    return append_object(m, o, complete, err);
}
