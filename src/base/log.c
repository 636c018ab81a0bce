/* One write(2) per line and sink, so that lines of several threads and ranks do not mix. */
#include "base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/one_line.h"

#define LINE_BYTES_MAX 2048

static char log_who[64] = "reeve";
static enum reeve_log_level log_stderr_level = REEVE_LOG_INFO;
static const char *log_clear = ""; /* what clears a progress line on the same terminal */
static _Atomic int log_file = -1;

static const char *const level_words[] = {"debug", "info", "warning", "error"};

void reeve_log_init(const char *who, enum reeve_log_level stderr_level)
{
    (void)snprintf(log_who, sizeof(log_who), "%s", who);
    log_stderr_level = stderr_level;
}

reeve_status reeve_log_open_file(const char *path, struct reeve_error *err)
{
    int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0666);
    if (fd < 0) return reeve_fail(err, reeve_status_from_errno_write(errno), "log %s: %m", path);
    int old = atomic_exchange(&log_file, fd);
    if (old >= 0) (void)close(old);
    return REEVE_OK;
}

void reeve_log_close_file(void)
{
    int old = atomic_exchange(&log_file, -1);
    if (old >= 0) (void)close(old);
}

void reeve_log_share_terminal(void)
{
    log_clear = "\r\033[K";
}

static void write_file(enum reeve_log_level level, const char *text)
{
    char line[LINE_BYTES_MAX], when[21];
    int fd = atomic_load(&log_file);
    if (fd < 0) return;
    reeve_clock_format_utc(reeve_clock_wall_ns(), when);
    int n = snprintf(line, sizeof(line), "%s %s %s: %s\n", when, level_words[level], log_who, text);
    if (n > 0) (void)!write(fd, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
}

void reeve_log_record(const char *format, va_list args)
{
    int kept = errno;
    char text[LINE_BYTES_MAX - 128];
    (void)vsnprintf(text, sizeof(text), format, args);
    reeve_one_line(text);
    write_file(REEVE_LOG_INFO, text);
    errno = kept;
}

void reeve_log(enum reeve_log_level level, const char *format, ...)
{
    int kept = errno;
    char text[LINE_BYTES_MAX - 128];
    va_list args;
    va_start(args, format);
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    reeve_one_line(text);
    char line[LINE_BYTES_MAX];
    if (level >= log_stderr_level) {
        const char *word = level >= REEVE_LOG_WARN ? level_words[level] : "";
        int n =
            snprintf(line, sizeof(line), "%s%s: %s%s%s\n", log_clear, log_who, word, word[0] != '\0' ? ": " : "", text);
        if (n > 0) (void)!write(STDERR_FILENO, line, (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1);
    }
    write_file(level, text);
    errno = kept;
}
