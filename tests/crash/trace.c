/* See trace.h. Each call is made and recorded under one lock, so the record has the order of the disk. */
#include "trace.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define OPS_MAX 65536
#define ARENA_BYTES ((size_t)512 << 20)
#define FDS_MAX 4096

struct shared {
    size_t count, used;
    unsigned fault_count; /* here, so that the calls of all processes of an act are one sequence */
    struct trace_op ops[OPS_MAX];
    uint8_t arena[ARENA_BYTES];
};

static struct shared *shared; /* between the child that records and the parent that reads */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static bool watching;
static char root[PATH_MAX];
static size_t root_length;
static bool watched[FDS_MAX], appends[FDS_MAX], interrupted_once[16];
static struct fault fault;

/* --- the record --------------------------------------------------------------------------------------------------- */

void trace_init(void)
{
    shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (shared == MAP_FAILED) abort();
}

void trace_go_on(const char *folder)
{
    (void)snprintf(root, sizeof(root), "%s", folder);
    root_length = strlen(root);
    watching = true;
}

void trace_begin(const char *folder)
{
    shared->count = shared->used = 0;
    trace_go_on(folder);
}

void trace_end(void)
{
    watching = false;
}

void trace_get(struct trace *out)
{
    *out = (struct trace){shared->count, shared->ops};
}

static void *keep(const void *bytes, size_t n)
{
    if (shared->used + n > ARENA_BYTES) {
        (void)dprintf(STDERR_FILENO, "trace: the record is full\n");
        abort();
    }
    uint8_t *to = shared->arena + shared->used;
    memcpy(to, bytes, n);
    shared->used += n;
    return to;
}

static void record(const struct trace_op *op)
{
    if (shared == NULL) return;
    if (shared->count == OPS_MAX) {
        (void)dprintf(STDERR_FILENO, "trace: more than %d operations\n", OPS_MAX);
        abort();
    }
    struct trace_op *to = &shared->ops[shared->count++];
    *to = *op;
    if (op->data != NULL) to->data = keep(op->data, op->n);
    if (op->path != NULL) to->path = keep(op->path, strlen(op->path) + 1);
    if (op->path2 != NULL) to->path2 = keep(op->path2, strlen(op->path2) + 1);
}

void trace_mark(enum trace_mark mark, uint64_t a, uint64_t b)
{
    pthread_mutex_lock(&lock);
    if (watching) record(&(struct trace_op){.kind = TRACE_MARK, .mark = mark, .a = a, .b = b});
    pthread_mutex_unlock(&lock);
}

/* The path within the watched folder; NULL: it lies elsewhere. */
static const char *inside(int folder, const char *path, char out[2 * PATH_MAX])
{
    if (!watching) return NULL;
    if (path[0] == '/') (void)snprintf(out, PATH_MAX, "%s", path);
    else {
        char link[64], base[PATH_MAX];
        if (folder == AT_FDCWD) (void)snprintf(link, sizeof(link), "/proc/self/cwd");
        else (void)snprintf(link, sizeof(link), "/proc/self/fd/%d", folder);
        ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, base, sizeof(base) - 1);
        if (n <= 0) return NULL;
        base[n] = '\0';
        (void)snprintf(out, 2 * PATH_MAX, "%s/%s", base, path);
    }
    if (strncmp(out, root, root_length) != 0) return NULL;
    if (out[root_length] == '\0') return out + root_length;
    return out[root_length] == '/' ? out + root_length + 1 : NULL;
}

static bool is_watched(int fd)
{
    return fd >= 0 && fd < FDS_MAX && watched[fd];
}

/* --- faults ------------------------------------------------------------------------------------------------------- */

void fault_set(const struct fault *f)
{
    fault = *f;
    shared->fault_count = 0;
    memset(interrupted_once, 0, sizeof(interrupted_once));
}

unsigned fault_seen(void)
{
    return shared->fault_count;
}

/* Does this call fail? Then errno is set. */
static bool fails(unsigned call)
{
    if (call == 0) return false;
    if (fault.interrupted) { /* each kind of call: EINTR, then success, then EINTR ... */
        bool *once = &interrupted_once[__builtin_ctz(call)];
        *once = !*once;
        errno = EINTR;
        return *once && (call & (FAULT_WRITE | FAULT_READ | FAULT_ALLOCATE)) != 0;
    }
    if ((fault.calls & call) == 0) return false;
    unsigned nth = ++shared->fault_count;
    if (fault.first == 0 || fault.half || nth < fault.first) return false;
    if (nth > fault.first && !fault.for_good) return false;
    errno = fault.error;
    return true;
}

static size_t length(size_t n)
{
    return fault.half && n > 1 ? (n + 1) / 2 : n;
}

/* --- the calls ---------------------------------------------------------------------------------------------------- */

static int open_at(int folder, const char *path, int flags, mode_t mode)
{
    char buffer[2 * PATH_MAX];
    struct stat before;
    pthread_mutex_lock(&lock);
    const char *at = inside(folder, path, buffer);
    if (at == NULL) {
        pthread_mutex_unlock(&lock);
        return (int)syscall(SYS_openat, folder, path, flags, mode);
    }
    bool was_there = syscall(SYS_newfstatat, folder, path, &before, 0) == 0;
    bool creates = !was_there && (flags & O_CREAT) != 0;
    int fd = -1;
    if (!fails(creates ? FAULT_CREATE : FAULT_OPEN)) fd = (int)syscall(SYS_openat, folder, path, flags, mode);
    int why = errno;
    if (fd >= FDS_MAX) abort();
    if (fd >= 0) {
        watched[fd] = true;
        appends[fd] = (flags & O_APPEND) != 0;
        record(&(struct trace_op){
            .kind = TRACE_OPEN, .fd = fd, .path = at, .created = creates, .truncated = (flags & O_TRUNC) != 0});
    }
    pthread_mutex_unlock(&lock);
    errno = why;
    return fd;
}

#define MODE_OF(flags, mode)                                                                                           \
    do {                                                                                                               \
        va_list list;                                                                                                  \
        va_start(list, flags);                                                                                         \
        (mode) = ((flags) & (O_CREAT | __O_TMPFILE)) != 0 ? va_arg(list, mode_t) : 0;                                  \
        va_end(list);                                                                                                  \
    } while (0)

int open(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(AT_FDCWD, path, flags, mode);
}

int openat(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(folder, path, flags, mode);
}

int openat64(int folder, const char *path, int flags, ...)
{
    mode_t mode;
    MODE_OF(flags, mode);
    return open_at(folder, path, flags, mode);
}

/* A failed close has closed the descriptor all the same, as on Linux. */
int close(int fd)
{
    if (!is_watched(fd)) return (int)syscall(SYS_close, fd);
    pthread_mutex_lock(&lock);
    watched[fd] = false;
    bool bad = fails(FAULT_CLOSE);
    int why = errno;
    int rc = (int)syscall(SYS_close, fd);
    if (watching) record(&(struct trace_op){.kind = TRACE_CLOSE, .fd = fd});
    pthread_mutex_unlock(&lock);
    if (bad) errno = why;
    return bad ? -1 : rc;
}

static ssize_t write_at(int fd, const void *bytes, size_t n, off_t at, bool positioned)
{
    if (!is_watched(fd)) return positioned ? syscall(SYS_pwrite64, fd, bytes, n, at) : syscall(SYS_write, fd, bytes, n);
    pthread_mutex_lock(&lock);
    if (fails(FAULT_WRITE)) {
        pthread_mutex_unlock(&lock);
        return -1;
    }
    if (!positioned) at = (off_t)syscall(SYS_lseek, fd, 0, appends[fd] ? SEEK_END : SEEK_CUR);
    n = length(n);
    ssize_t done = positioned ? syscall(SYS_pwrite64, fd, bytes, n, at) : syscall(SYS_write, fd, bytes, n);
    if (done > 0 && watching)
        record(
            &(struct trace_op){.kind = TRACE_WRITE, .fd = fd, .at = (uint64_t)at, .n = (uint64_t)done, .data = bytes});
    pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *bytes, size_t n)
{
    return write_at(fd, bytes, n, 0, false);
}

ssize_t pwrite(int fd, const void *bytes, size_t n, off_t at)
{
    return write_at(fd, bytes, n, at, true);
}

ssize_t pwrite64(int fd, const void *bytes, size_t n, off64_t at)
{
    return write_at(fd, bytes, n, at, true);
}

static bool read_fails(int fd)
{
    if (!is_watched(fd)) return false;
    pthread_mutex_lock(&lock);
    bool bad = fails(FAULT_READ);
    pthread_mutex_unlock(&lock);
    return bad;
}

ssize_t read(int fd, void *bytes, size_t n)
{
    if (read_fails(fd)) return -1;
    return syscall(SYS_read, fd, bytes, is_watched(fd) ? length(n) : n);
}

ssize_t pread(int fd, void *bytes, size_t n, off_t at)
{
    if (read_fails(fd)) return -1;
    return syscall(SYS_pread64, fd, bytes, is_watched(fd) ? length(n) : n, at);
}

ssize_t pread64(int fd, void *bytes, size_t n, off64_t at)
{
    return pread(fd, bytes, n, at);
}

int ftruncate(int fd, off_t n)
{
    if (!is_watched(fd)) return (int)syscall(SYS_ftruncate, fd, n);
    pthread_mutex_lock(&lock);
    /* Linux does not interrupt it, and libhdf5 does not expect it to be. */
    int rc = !fault.interrupted && fails(FAULT_ALLOCATE) ? -1 : (int)syscall(SYS_ftruncate, fd, n);
    if (rc == 0 && watching) record(&(struct trace_op){.kind = TRACE_SIZE, .fd = fd, .n = (uint64_t)n});
    pthread_mutex_unlock(&lock);
    return rc;
}

int ftruncate64(int fd, off64_t n)
{
    return ftruncate(fd, n);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    if (!is_watched(fd)) return (int)syscall(SYS_fallocate, fd, mode, at, n);
    pthread_mutex_lock(&lock);
    int rc = fails(FAULT_ALLOCATE) ? -1 : (int)syscall(SYS_fallocate, fd, mode, at, n);
    if (rc == 0 && watching && mode == 0)
        record(&(struct trace_op){.kind = TRACE_ALLOCATE, .fd = fd, .n = (uint64_t)(at + n)});
    pthread_mutex_unlock(&lock);
    return rc;
}

static int sync_by(long number, int fd)
{
    if (!is_watched(fd)) return (int)syscall(number, fd);
    pthread_mutex_lock(&lock);
    bool bad = fails(FAULT_SYNC);
    int rc = bad ? -1 : 0; /* a power cut is simulated, so nothing need really reach the disk */
    if (watching)
        record(&(struct trace_op){.kind = bad ? TRACE_SYNC_FAILED : TRACE_SYNC, .fd = fd, .lie = fault.sync_lies});
    pthread_mutex_unlock(&lock);
    return rc;
}

int fsync(int fd)
{
    return sync_by(SYS_fsync, fd);
}

int fdatasync(int fd)
{
    return sync_by(SYS_fdatasync, fd);
}

/* A call on one or two names: `call` makes it, `op` is what is recorded if it succeeds. */
static int by_name(unsigned kind, enum trace_kind op, int folder, const char *path, int folder2, const char *path2,
                   int (*call)(int, const char *, int, const char *, int), int flags)
{
    char buffer[2 * PATH_MAX], buffer2[2 * PATH_MAX];
    pthread_mutex_lock(&lock);
    const char *at = inside(folder, path, buffer);
    const char *at2 = path2 != NULL ? inside(folder2, path2, buffer2) : NULL;
    int rc = at != NULL && fails(kind) ? -1 : call(folder, path, folder2, path2, flags);
    if (rc == 0 && at != NULL) record(&(struct trace_op){.kind = op, .path = at, .path2 = at2});
    int why = errno;
    pthread_mutex_unlock(&lock);
    errno = why;
    return rc;
}

static int call_renameat2(int folder, const char *path, int folder2, const char *path2, int flags)
{
    return (int)syscall(SYS_renameat2, folder, path, folder2, path2, flags);
}

static int call_link(int folder, const char *path, int folder2, const char *path2, int flags)
{
    return (int)syscall(SYS_linkat, folder, path, folder2, path2, flags);
}

static int call_unlink(int folder, const char *path, int folder2, const char *path2, int flags)
{
    (void)folder2;
    (void)path2;
    return (int)syscall(SYS_unlinkat, folder, path, flags);
}

static int call_mkdir(int folder, const char *path, int folder2, const char *path2, int flags)
{
    (void)folder2;
    (void)path2;
    return (int)syscall(SYS_mkdirat, folder, path, (mode_t)flags);
}

int renameat2(int folder, const char *path, int folder2, const char *path2, unsigned flags)
{
    if (fault.no_flags && flags != 0) {
        errno = EINVAL;
        return -1;
    }
    if ((flags & ~RENAME_NOREPLACE) != 0) abort(); /* disk.c knows of no exchange */
    return by_name(FAULT_RENAME, TRACE_RENAME, folder, path, folder2, path2, call_renameat2, (int)flags);
}

int rename(const char *path, const char *path2)
{
    return by_name(FAULT_RENAME, TRACE_RENAME, AT_FDCWD, path, AT_FDCWD, path2, call_renameat2, 0);
}

int link(const char *path, const char *path2)
{
    if (fault.no_links) {
        errno = EPERM;
        return -1;
    }
    return by_name(FAULT_RENAME, TRACE_LINK, AT_FDCWD, path, AT_FDCWD, path2, call_link, 0);
}

int unlink(const char *path)
{
    return by_name(0, TRACE_UNLINK, AT_FDCWD, path, AT_FDCWD, NULL, call_unlink, 0);
}

int unlinkat(int folder, const char *path, int flags)
{
    return by_name(0, (flags & AT_REMOVEDIR) != 0 ? TRACE_RMDIR : TRACE_UNLINK, folder, path, AT_FDCWD, NULL,
                   call_unlink, flags);
}

int mkdir(const char *path, mode_t mode)
{
    return by_name(FAULT_CREATE, TRACE_MKDIR, AT_FDCWD, path, AT_FDCWD, NULL, call_mkdir, (int)mode);
}

int rmdir(const char *path)
{
    return by_name(0, TRACE_RMDIR, AT_FDCWD, path, AT_FDCWD, NULL, call_unlink, AT_REMOVEDIR);
}
