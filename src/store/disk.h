/* Writing to a disk that may be full, slow or broken: what the journal and the checkpoint share. A failure is worded
 * here once, with the remedy that fits its errno. */
#ifndef REEVE_STORE_DISK_H
#define REEVE_STORE_DISK_H

#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

/* Word that `doing` ("write", "sync", "create" ...) failed on path with errnum; bytes: how many were wanted, 0 if that
 * does not matter. STORE_WRITE, or INPUT_PERMISSION and the like where errno says so. */
reeve_status reeve_disk_fail(struct reeve_error *err, int errnum, const char *doing, const char *path, uint64_t bytes);

/* pwrite all n bytes, in pieces, going on after EINTR and short counts. */
reeve_status reeve_disk_write(int fd, const void *bytes, size_t n, uint64_t offset, const char *path,
                              struct reeve_error *err);
/* fdatasync. A failure is final for this file: the kernel may have dropped the pages and will not say so again. */
reeve_status reeve_disk_sync(int fd, const char *path, struct reeve_error *err);
/* A hint: these bytes may go to the disk now, so that a sync later finds less to do. Promises nothing, and takes no error
 * away that the sync will report. */
void reeve_disk_begin_sync(int fd, uint64_t offset, uint64_t bytes);

/* A new file, its whole content on the disk when this returns OK. Its name is there once its folder was synced. Never
 * replaces a file. */
reeve_status reeve_disk_create_unnamed(const char *path, const void *bytes, size_t n, struct reeve_error *err);
/* A new file that has its whole content and its name on the disk when this returns OK: temporary name beside it, fsync,
 * rename, fsync of the folder. Never replaces a file: STORE_CREATE. Whatever fails, none of that name is left behind. */
reeve_status reeve_disk_create(const char *path, const void *bytes, size_t n, struct reeve_error *err);

/* Ask the file system to set bytes aside, where it can do so without writing them. STORE_WRITE if there is no room. */
reeve_status reeve_disk_reserve(int fd, uint64_t bytes, const char *path, struct reeve_error *err);

#endif
