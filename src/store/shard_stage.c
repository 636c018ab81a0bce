/* Copies near the processes that read. A copy gets its name only when all of its bytes have been read back and digested.
 * Until then it has none, where the file system can do that: what a killed process was copying is gone with it, and a
 * folder that outlives many of them does not fill up. Of the processes of a host one makes it, and the others wait. */
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "store/shard_cache.h"
#include "store/shard_file.h"

#define ROOM_FOR_SUFFIX 48

#define TURNS_FILE ".turns"
#define TURN_POLL_NS (20 * REEVE_MILLISECOND_NS)

/* A copy in the making. */
struct staging {
    int fd;                          /* owned */
    char path[REEVE_PATH_BYTES_MAX]; /* its name, or what messages call it */
    bool named;
};

/* How a file without a name is found, to give it one: open(2), O_TMPFILE. */
static void descriptor_path(int fd, char path[64])
{
    (void)snprintf(path, 64, "/proc/self/fd/%d", fd);
}

static bool create_unnamed(const char *copy, struct staging *s)
{
    char dir[REEVE_PATH_BYTES_MAX], found[64];
    reeve_path_dirname(copy, dir, sizeof(dir));
    s->fd = open(dir, O_TMPFILE | O_RDWR | O_CLOEXEC, 0666);
    if (s->fd < 0) return false;
    descriptor_path(s->fd, found);
    if (!reeve_path_exists(found)) { /* no /proc here */
        (void)close(s->fd);
        return false;
    }
    (void)snprintf(s->path, sizeof(s->path), "%s", copy);
    s->named = false;
    return true;
}

/* A name beside the copy's own. Others may stage the same shard at the same time. */
static reeve_status temporary_name(const char *copy, char path[REEVE_PATH_BYTES_MAX], struct reeve_error *err)
{
    static atomic_uint counter;
    if (strlen(copy) + ROOM_FOR_SUFFIX > REEVE_PATH_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "stage to %.100s...: path too long", copy);
    (void)snprintf(path, REEVE_PATH_BYTES_MAX, "%s.tmp-%ld-%u", copy, (long)getpid(), atomic_fetch_add(&counter, 1));
    return REEVE_OK;
}

static reeve_status create_named(const char *copy, struct staging *s, struct reeve_error *err)
{
    reeve_status st;
    s->named = true;
    do { /* EEXIST: left by a killed process that had our pid */
        st = temporary_name(copy, s->path, err);
        if (st != REEVE_OK) return st;
        s->fd = open(s->path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
    } while (s->fd < 0 && errno == EEXIST);
    if (s->fd >= 0) return REEVE_OK;
    return reeve_fail(err, reeve_status_from_errno_write(errno), "stage: create %s: %m", s->path);
}

/* A name of its own first, if a copy that is no good, or somebody else's, has the one that it is to have. */
static reeve_status give_name(struct staging *s, const char *copy, struct reeve_error *err)
{
    char found[64];
    if (!s->named) {
        descriptor_path(s->fd, found);
        if (linkat(AT_FDCWD, found, AT_FDCWD, copy, AT_SYMLINK_FOLLOW) == 0) return REEVE_OK;
        if (errno != EEXIST) return reeve_fail(err, reeve_status_from_errno_write(errno), "stage: name %s: %m", copy);
        do { /* EEXIST: of a process with our pid, killed, or in another container */
            reeve_status st = temporary_name(copy, s->path, err);
            if (st != REEVE_OK) return st;
            s->named = linkat(AT_FDCWD, found, AT_FDCWD, s->path, AT_SYMLINK_FOLLOW) == 0;
        } while (!s->named && errno == EEXIST);
        if (!s->named) return reeve_fail(err, reeve_status_from_errno_write(errno), "stage: name %s: %m", s->path);
    }
    if (rename(s->path, copy) == 0) return REEVE_OK;
    return reeve_fail(err, reeve_status_from_errno_write(errno), "stage: rename to %s: %m", copy);
}

static reeve_status copy_bytes(const char *source, const struct reeve_shard *locked, int to, const char *to_path,
                               struct reeve_error *err)
{
    int from;
    uint64_t file_bytes;
    struct reeve_digest digest;
    reeve_status st = reeve_shard_file_open(source, &from, &file_bytes, err);
    if (st != REEVE_OK) return st;
    st = reeve_shard_file_check_size(source, file_bytes, locked, err);
    if (st == REEVE_OK) st = reeve_shard_file_digest(from, source, file_bytes, to, to_path, &digest, err);
    if (st == REEVE_OK) st = reeve_shard_file_check_digest(source, digest, locked, err);
    (void)close(from);
    if (st == REEVE_OK && fsync(to) != 0) st = reeve_fail(err, REEVE_STORE_WRITE, "stage: fsync %s: %m", to_path);
    return st;
}

/* What the disk gives back, against what the lock says. */
static reeve_status check_written(int fd, const char *path, const struct reeve_shard *locked, struct reeve_error *err)
{
    struct reeve_digest digest;
    reeve_status st = reeve_shard_file_digest(fd, path, locked->file_bytes, -1, NULL, &digest, err);
    if (st == REEVE_OK && reeve_digest_equal(digest, locked->digest)) return REEVE_OK;
    if (st == REEVE_OK || st == REEVE_INPUT_CHANGED)
        return reeve_fail(err, REEVE_STORE_WRITE,
                          "stage: %s reads back differently than it was written; check that disk, or choose another "
                          "cache folder",
                          path);
    return st;
}

/* Out comes the copy, open: the very bytes that were read back. */
static reeve_status stage_copy(reeve_shard_cache *c, reeve_shard_id shard, const char *copy, struct open_shard *out,
                               struct reeve_error *err)
{
    const struct reeve_shard *locked = reeve_shard_locked(c, shard);
    char source[REEVE_PATH_BYTES_MAX];
    struct staging s;
    reeve_status st = reeve_shard_source_path(c, shard, source, err);
    if (st == REEVE_OK && !create_unnamed(copy, &s)) st = create_named(copy, &s, err);
    if (st != REEVE_OK) return st;
    st = copy_bytes(source, locked, s.fd, s.path, err);
    if (st == REEVE_OK) st = check_written(s.fd, s.path, locked, err);
    if (st == REEVE_OK) st = give_name(&s, copy, err);
    if (st != REEVE_OK) {
        if (s.named) (void)unlink(s.path);
        (void)close(s.fd);
        return st;
    }
    *out = (struct open_shard){.fd = s.fd, .shard = shard.v, .copy = true};
    reeve_shard_note_verified(c, out);
    return REEVE_OK;
}

reeve_status reeve_shard_copy_open(reeve_shard_cache *c, reeve_shard_id shard, enum reeve_shard_effort effort,
                                   struct open_shard *out, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_shard_copy_path(c, shard, path, err);
    if (st != REEVE_OK) return st;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW); /* a FIFO must not hold us up */
    if (fd < 0) return reeve_fail(err, reeve_status_from_errno_read(errno), "copy %s: %m", path);
    *out = (struct open_shard){.fd = fd, .shard = shard.v, .copy = true};
    st = reeve_shard_verify(c, out, path, effort, err);
    if (st != REEVE_OK) (void)close(fd);
    return st;
}

/* ---- whose turn it is to copy ---- */

/* A byte of one file in the cache folder for each shard, locked by whoever copies it and let go by the kernel when that
 * process ends. -1: nobody can be waited for here, or somebody was for too long. */
static int turn_take(const reeve_shard_cache *c, reeve_shard_id shard)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint64_t at;
    memcpy(&at, reeve_shard_locked(c, shard)->digest.bytes, sizeof(at));
    struct flock byte = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = (off_t)(at >> 2), .l_len = 1};
    if (reeve_path_join(path, sizeof(path), c->cache_dir, TURNS_FILE, NULL) != REEVE_OK) return -1;
    int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NONBLOCK | O_NOFOLLOW, 0666);
    if (fd < 0) return -1;
    for (reeve_time_ns end_ns = reeve_clock_now() + c->turn_ns;;) {
        if (fcntl(fd, F_OFD_SETLK, &byte) == 0) return fd;
        bool taken = errno == EAGAIN || errno == EACCES || errno == EINTR;
        if (!taken || reeve_clock_now() >= end_ns) break;
        reeve_clock_sleep(TURN_POLL_NS);
    }
    (void)close(fd);
    return -1;
}

static void turn_give(int turn)
{
    if (turn >= 0) (void)close(turn);
}

reeve_status reeve_shard_copy_fetch(reeve_shard_cache *c, reeve_shard_id shard, enum reeve_shard_effort effort,
                                    struct open_shard *out, struct reeve_error *err)
{
    char copy[REEVE_PATH_BYTES_MAX];
    reeve_status st = reeve_shard_copy_path(c, shard, copy, err);
    if (st == REEVE_OK) st = reeve_mkdir_parents(c->cache_dir, err);
    if (st != REEVE_OK) return st;
    reeve_shard_slow_begin(c);
    int turn = turn_take(c, shard);
    reeve_status found = reeve_shard_copy_open(c, shard, effort, out, NULL);
    if (found == REEVE_INPUT_CHANGED || found == REEVE_STORE_READ)
        reeve_log(REEVE_LOG_WARN, "copy %s: %s; it is made again", copy,
                  found == REEVE_STORE_READ ? "cannot be read" : "was damaged, or changed by somebody");
    if (found != REEVE_OK) st = stage_copy(c, shard, copy, out, err);
    turn_give(turn);
    reeve_shard_slow_end(c);
    return st;
}
