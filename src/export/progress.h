/* The progress line: step, loss, tokens/s, queue, workers, time left. On a terminal one line that is redrawn; anywhere
 * else a plain line now and then, so that the log of a batch job stays readable. */
#ifndef REEVE_EXPORT_PROGRESS_H
#define REEVE_EXPORT_PROGRESS_H

#include <stddef.h>

#include "export/status_file.h"

#define REEVE_PROGRESS_BYTES 512 /* enough for any line below */

/* Columns of the terminal behind fd; 0 if it is none, or TERM is dumb. */
uint32_t reeve_progress_columns(int fd);

/* Format one line.
 *   in   columns  of the terminal: the line begins with \r, is at most columns - 1 wide (figures that do not fit are
 * left out, the least telling first), clears what was there before, and does not wrap where the terminal has become
 * narrower; 0: a plain line with all figures, ended with a newline
 * Returns the bytes without the NUL. Pure. */
size_t reeve_progress_format(const struct reeve_status_report *r, uint32_t columns, char *out, size_t out_bytes);

/* What to write before other text goes to the same terminal ("\r", clear the line); "" when columns is 0. */
const char *reeve_progress_clear(uint32_t columns);

/* 75 -> "1:15", 3725 -> "1:02:05", 90061 -> "1d 1:01"; NaN, infinite or negative -> "?". */
void reeve_progress_format_duration(double seconds, char out[32]);

#endif
