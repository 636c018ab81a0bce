/* Shard files as bytes; see shard_file.h. */
#include "store/shard_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "base/path.h"

#define PIECE_BYTES ((size_t)1 << 20)
#define RELOCK "restore the file, or lock the manifest again with `reeve manifest lock` for a new run"

static reeve_status open_failed(const char *path, struct reeve_error *err)
{
    reeve_status st = reeve_status_from_errno_read(errno);
    if (st == REEVE_INPUT_MISSING)
        return reeve_fail(err, st, "shard %s: no such file; correct its path in the manifest, or put the file there",
                          path);
    return reeve_fail(err, st, "shard %s: %m", path);
}

reeve_status reeve_shard_file_open(const char *path, int *fd, uint64_t *file_bytes, struct reeve_error *err)
{
    struct stat info;
    int opened = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK); /* a FIFO must not hold us up */
    if (opened < 0) return open_failed(path, err);
    reeve_status st = REEVE_OK;
    if (fstat(opened, &info) != 0) st = reeve_fail(err, REEVE_STORE_READ, "shard %s: stat: %m", path);
    else if (!S_ISREG(info.st_mode))
        st = reeve_fail(err, REEVE_INPUT_INVALID, "shard %s: %s; a regular file was expected", path,
                        S_ISDIR(info.st_mode) ? "is a folder" : "is a device or a pipe");
    if (st != REEVE_OK) {
        (void)close(opened);
        return st;
    }
    *fd = opened;
    *file_bytes = (uint64_t)info.st_size;
    return REEVE_OK;
}

/* One piece from the file; *n is 0 at its end. */
static reeve_status read_piece(int fd, const char *path, uint8_t *piece, uint64_t at, size_t *n,
                               struct reeve_error *err)
{
    ssize_t got;
    do
        got = pread(fd, piece, PIECE_BYTES, (off_t)at);
    while (got < 0 && errno == EINTR);
    if (got < 0) return reeve_fail(err, REEVE_STORE_READ, "shard %s: read at byte %" PRIu64 ": %m", path, at);
    *n = (size_t)got;
    return REEVE_OK;
}

reeve_status reeve_shard_file_digest(int fd, const char *path, uint64_t file_bytes, int out_fd, const char *out_path,
                                     struct reeve_digest *out, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    uint64_t at = 0;
    uint8_t *piece = malloc(PIECE_BYTES);
    reeve_digester *digester = reeve_digester_create();
    if (piece == NULL || digester == NULL) st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "shard %s: out of memory", path);
    (void)posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
    while (st == REEVE_OK && at <= file_bytes) {
        size_t n = 0;
        st = read_piece(fd, path, piece, at, &n, err);
        if (st != REEVE_OK || n == 0) break;
        reeve_digester_update(digester, piece, n);
        if (out_fd >= 0) st = reeve_pwrite_all(out_fd, piece, n, at, out_path, err);
        at += n;
    }
    if (st == REEVE_OK && at != file_bytes)
        st = reeve_fail(err, REEVE_INPUT_CHANGED, "shard %s: changed while it was read (%" PRIu64 " bytes, then %s)",
                        path, file_bytes, at > file_bytes ? "more" : "fewer");
    if (st == REEVE_OK) *out = reeve_digester_finish(digester);
    reeve_digester_destroy(digester);
    free(piece);
    return st;
}

reeve_status reeve_shard_file_check_size(const char *path, uint64_t file_bytes, const struct reeve_shard *locked,
                                         struct reeve_error *err)
{
    if (file_bytes == locked->file_bytes) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_CHANGED,
                      "shard %s: changed since the manifest was locked: %" PRIu64 " bytes, locked with %" PRIu64 "; %s",
                      path, file_bytes, locked->file_bytes, RELOCK);
}

reeve_status reeve_shard_file_check_digest(const char *path, struct reeve_digest digest,
                                           const struct reeve_shard *locked, struct reeve_error *err)
{
    char is[REEVE_DIGEST_HEX_BYTES], was[REEVE_DIGEST_HEX_BYTES];
    if (reeve_digest_equal(digest, locked->digest)) return REEVE_OK;
    reeve_digest_hex(digest, is);
    reeve_digest_hex(locked->digest, was);
    return reeve_fail(err, REEVE_INPUT_CHANGED,
                      "shard %s: changed since the manifest was locked: digest %s, locked with %s; %s", path, is, was,
                      RELOCK);
}
