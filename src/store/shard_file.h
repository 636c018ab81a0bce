/* Shard files as bytes: opening one, and its digest. What measuring, checking and staging share. */
#ifndef REEVE_STORE_SHARD_FILE_H
#define REEVE_STORE_SHARD_FILE_H

#include <stdint.h>

#include "core/manifest.h"

/* A regular file, open for reading; *fd is the caller's to close. INPUT_MISSING | INPUT_PERMISSION | INPUT_INVALID |
 * STORE_READ. */
reeve_status reeve_shard_file_open(const char *path, int *fd, uint64_t *file_bytes, struct reeve_error *err);

/* Digest of all bytes; with out_fd >= 0 they are written there too (out_path is for messages). INPUT_CHANGED if there are
 * more or fewer than file_bytes | STORE_READ | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_shard_file_digest(int fd, const char *path, uint64_t file_bytes, int out_fd, const char *out_path,
                                     struct reeve_digest *out, struct reeve_error *err);

/* INPUT_CHANGED unless size and digest are the locked ones; the size alone says so before a byte is read. */
reeve_status reeve_shard_file_check_size(const char *path, uint64_t file_bytes, const struct reeve_shard *locked,
                                         struct reeve_error *err);
reeve_status reeve_shard_file_check_digest(const char *path, struct reeve_digest digest, const struct reeve_shard *locked,
                                           struct reeve_error *err);

#endif
