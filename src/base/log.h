/* One line per event, to stderr and to this process's own log file. Levels by what the reader has to do. */
#ifndef REEVE_BASE_LOG_H
#define REEVE_BASE_LOG_H

#include <stdarg.h>

#include "reeve/status.h"

enum reeve_log_level {
    REEVE_LOG_DEBUG, /* for whoever debugs Reeve */
    REEVE_LOG_INFO,  /* what happened */
    REEVE_LOG_WARN,  /* something to look at; the job goes on */
    REEVE_LOG_ERROR, /* the job, or a part of it, ends */
};

/* who: "master", "worker 3", "reeve": copied; put before each line. */
void reeve_log_init(const char *who, enum reeve_log_level stderr_level);

/* A progress line is being redrawn on the terminal that stderr is: clear it before each line of the log. */
void reeve_log_share_terminal(void);

/* Also append every line (with the wall clock, from DEBUG on) to a file. On failure the log goes on without it. */
reeve_status reeve_log_open_file(const char *path, struct reeve_error *err);
void reeve_log_close_file(void);

/* Safe from any thread of the process; one write(2) a line, cut at 2 KiB. */
void reeve_log(enum reeve_log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The same, at level INFO, to the file alone: what has been said elsewhere (on stdout, say) and belongs on record. */
void reeve_log_record(const char *format, va_list args) __attribute__((format(printf, 1, 0)));

#endif
