/* Staging: a shard is checked against the lock once, and copied near. A copy gets its name only when all of its bytes
 * have been read back and digested. Until then it has none, where the file system can do that: what a killed process was
 * copying is gone with it, and a folder that outlives many of them does not fill up. */
#include "store/shard.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store/lock.h"
#include "store/shard_cache.h"
#include "store/shard_file.h"

#define ROOM_FOR_SUFFIX 48

/* Is there a copy, and is it the shard? Its bytes are read: the folder may have survived a power cut. */
static bool copy_is_good(const char *path, const struct reeve_shard *locked)
{
    int fd;
    uint64_t file_bytes;
    struct reeve_digest digest;
    if (reeve_shard_file_open(path, &fd, &file_bytes, NULL) != REEVE_OK) return false;
    bool good = file_bytes == locked->file_bytes &&
                reeve_shard_file_digest(fd, path, file_bytes, -1, NULL, &digest, NULL) == REEVE_OK &&
                reeve_digest_equal(digest, locked->digest);
    (void)close(fd);
    return good;
}

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

static reeve_status stage_copy(const char *source, const char *copy, const struct reeve_shard *locked,
                               struct reeve_error *err)
{
    struct staging s;
    reeve_status st = create_unnamed(copy, &s) ? REEVE_OK : create_named(copy, &s, err);
    if (st != REEVE_OK) return st;
    st = copy_bytes(source, locked, s.fd, s.path, err);
    if (st == REEVE_OK) st = check_written(s.fd, s.path, locked, err);
    if (st == REEVE_OK) st = give_name(&s, copy, err);
    if (close(s.fd) != 0 && st == REEVE_OK) st = reeve_fail(err, REEVE_STORE_WRITE, "stage: close %s: %m", s.path);
    if (st != REEVE_OK && s.named) (void)unlink(s.path);
    return st;
}

reeve_status reeve_shard_stage(reeve_shard_cache *c, reeve_shard_id shard, struct reeve_error *err)
{
    REEVE_ASSERT(shard.v < c->manifest->shard_count);
    const struct reeve_shard *locked = &c->manifest->shards[shard.v];
    char source[REEVE_PATH_BYTES_MAX], copy[REEVE_PATH_BYTES_MAX];
    if (c->cache_dir[0] == '\0') return reeve_shard_check(c->manifest, shard, err);
    reeve_status st = reeve_shard_source_path(c, shard, source, err);
    if (st == REEVE_OK) st = reeve_shard_copy_path(c, shard, copy, err);
    if (st == REEVE_OK) st = reeve_mkdir_parents(c->cache_dir, err);
    if (st != REEVE_OK) return st;
    if (!copy_is_good(copy, locked)) st = stage_copy(source, copy, locked, err);
    if (st == REEVE_OK) reeve_shard_cache_drop(c, shard); /* the next read opens the copy */
    return st;
}
