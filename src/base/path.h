/* Paths and whole-file helpers that are durable by construction. */
#ifndef REEVE_BASE_PATH_H
#define REEVE_BASE_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "reeve/status.h"

#define REEVE_PATH_BYTES_MAX 4096

/* "<dir>/<name>", or name alone if it is absolute. INPUT_INVALID if it does not fit. */
reeve_status reeve_path_join(char *out, size_t out_bytes, const char *dir, const char *name, struct reeve_error *err);
/* The folder of `path` ("." if it has none). */
void reeve_path_dirname(const char *path, char *out, size_t out_bytes);
bool reeve_path_exists(const char *path);

/* mkdir -p, mode 0777 & ~umask; the names of new folders are on the disk when it returns. */
reeve_status reeve_mkdir_parents(const char *path, struct reeve_error *err);
reeve_status reeve_fsync_dir(const char *path, struct reeve_error *err);
reeve_status reeve_remove_tree(const char *path, struct reeve_error *err);   /* never follows links, stays on its device */

/* Whole file into fresh memory with a NUL after the last byte (not counted). bytes_max bounds it: untrusted input.
 * INPUT_MISSING, INPUT_PERMISSION, INPUT_INVALID (too large, or a folder), STORE_READ. *text is the caller's to free. */
reeve_status reeve_file_read(const char *path, size_t bytes_max, char **text, size_t *bytes, struct reeve_error *err);

/* A new file beside `path`, "<path>.tmp-<pid>-<n>", that nobody else has open, to be written and renamed. -1: errno;
 * ENAMETOOLONG also where the name does not fit into `name`. What a killed process left of one is garbage. */
int reeve_temporary_open(const char *path, char name[REEVE_PATH_BYTES_MAX]);

/* Write to such a file, fsync, rename, fsync the folder: readers see the old or the new, never a mixture. */
reeve_status reeve_file_replace(const char *path, const void *bytes, size_t n, bool durable, struct reeve_error *err);

/* pread/pwrite all n bytes, going on after EINTR and short counts. */
reeve_status reeve_pread_all(int fd, void *out, size_t n, uint64_t offset, const char *path, struct reeve_error *err);
reeve_status reeve_pwrite_all(int fd, const void *bytes, size_t n, uint64_t offset, const char *path, struct reeve_error *err);

#endif
