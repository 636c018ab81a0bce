/* The file that a command prints to. Most commands print nothing: a file that stayed empty is renamed to be the next
 * one's, so that ten thousand silent tasks cost ten thousand renames, and leave no empty files. */
#ifndef REEVE_RUN_OUTPUT_FILE_H
#define REEVE_RUN_OUTPUT_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/path.h"

#define REEVE_OUTPUT_PATH_BYTES (REEVE_PATH_BYTES_MAX + 256)

struct reeve_output_file {
    int fd; /* owned; -1: none. Opened for appending */
    char path[REEVE_OUTPUT_PATH_BYTES];
};

/* An empty file run_dir/name, with its folder. STORE_CREATE | STORE_WRITE (disk full). */
reeve_status reeve_output_file_begin(struct reeve_output_file *f, const char *run_dir, const char *name,
                                     struct reeve_error *err);
void reeve_output_file_end(struct reeve_output_file *f);   /* keeps it for the next one if it is empty */
void reeve_output_file_close(struct reeve_output_file *f); /* removes it if it is empty */
/* The last line that is not blank, on one line, cut to fit. False: nothing was printed. */
bool reeve_output_file_last_line(const struct reeve_output_file *f, char *out, size_t out_bytes);

#endif
