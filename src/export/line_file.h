/* A file of JSON objects, one a line, that is only ever added to. Each line is one write(2) on a descriptor opened for
 * appending, so lines of two processes never mix; a line that a crash cut short is ended by the next opening, and passed
 * over by readers. Not synced: nothing that is computed depends on such a file. */
#ifndef REEVE_EXPORT_LINE_FILE_H
#define REEVE_EXPORT_LINE_FILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "reeve/status.h"

typedef struct reeve_line_file reeve_line_file;

/* Open for adding, made if it is not there. STORE_CREATE | STORE_WRITE | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_lines_open(const char *path, reeve_line_file **out, struct reeve_error *err);
void reeve_lines_close(reeve_line_file *f); /* takes NULL */
/* Steals the object. complete: everything could be put into it (otherwise JOB_NO_MEMORY). STORE_WRITE. */
reeve_status reeve_lines_append(reeve_line_file *f, json_t *object, bool complete, struct reeve_error *err);

/* Give each object to `visit` (borrowed), which returns false when it has no memory left. What is no JSON object, or no
 * whole line, is counted in *skipped. INPUT_MISSING | INPUT_PERMISSION | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_lines_read(const char *path, bool (*visit)(void *arg, const json_t *object), void *arg,
                              uint64_t *skipped, struct reeve_error *err);

#endif
