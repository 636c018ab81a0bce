/* A word on stderr about work that takes long: nothing in the first second, then a line that is redrawn on a terminal,
 * and a plain line every few seconds elsewhere. */
#ifndef REEVE_CLI_TICKER_H
#define REEVE_CLI_TICKER_H

#include <stdbool.h>
#include <stdint.h>

#include "reeve/ids.h"

struct reeve_ticker {
    const char *what; /* "measured", "checked"; static */
    bool live;        /* stderr is a terminal */
    bool drawn;
    reeve_time_ns began_ns, drawn_ns;
};

void reeve_ticker_begin(struct reeve_ticker *t, const char *what);
/* Fits reeve_lock_progress; arg is the ticker. */
void reeve_ticker_shards(void *arg, uint32_t done, uint32_t count, uint64_t bytes);
/* "checking checkpoint/step-0000000100, 12 s" */
void reeve_ticker_file(struct reeve_ticker *t, const char *file);
void reeve_ticker_end(struct reeve_ticker *t); /* clears the line */

#endif
