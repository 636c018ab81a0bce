/* Errors as values; see error.h. */
#include "base/error.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/one_line.h"

reeve_status reeve_fail(struct reeve_error *err, reeve_status status, const char *format, ...)
{
    if (err == NULL) return status;
    int kept = errno;
    char text[REEVE_ERROR_TEXT_BYTES]; /* the arguments may point into err->text */
    va_list args;
    va_start(args, format);
    errno = kept;
    (void)vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    reeve_one_line(text);
    memcpy(err->text, text, strlen(text) + 1); /* not what is behind it on this stack */
    err->status = status;
    errno = kept;
    return status;
}

reeve_status reeve_error_context(struct reeve_error *err, const char *format, ...)
{
    if (err == NULL) return REEVE_JOB_INTERNAL;
    char text[REEVE_ERROR_TEXT_BYTES];
    va_list args;
    va_start(args, format);
    int n = vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    if (n < 0) n = 0;
    if ((size_t)n < sizeof(text) - 3) {
        int room = (int)(sizeof(text) - (size_t)n - 3);
        (void)snprintf(text + n, sizeof(text) - (size_t)n, ": %.*s", room, err->text);
    }
    reeve_one_line(text);
    memcpy(err->text, text, strlen(text) + 1);
    return err->status;
}

reeve_status reeve_status_from_errno_read(int errnum)
{
    switch (errnum) {
    case ENOENT:
    case ENOTDIR: return REEVE_INPUT_MISSING;
    case EACCES:
    case EPERM: return REEVE_INPUT_PERMISSION;
    case ENAMETOOLONG:
    case ELOOP:
    case EISDIR: return REEVE_INPUT_INVALID;
    case ENOMEM: return REEVE_JOB_NO_MEMORY;
    default: return REEVE_STORE_READ;
    }
}

reeve_status reeve_status_from_errno_write(int errnum)
{
    switch (errnum) {
    case EACCES:
    case EPERM: return REEVE_INPUT_PERMISSION;
    case ENOENT:
    case ENOTDIR:
    case EEXIST:
    case EROFS:
    case EISDIR:
    case ELOOP:
    case ENAMETOOLONG: return REEVE_STORE_CREATE;
    case ENOMEM: return REEVE_JOB_NO_MEMORY;
    default: return REEVE_STORE_WRITE;
    }
}

const char *reeve_status_name(reeve_status status)
{
    switch (status) {
#define CASE(name, number, text) \
    case REEVE_##name: return #name;
        REEVE_STATUS_MAP(CASE)
#undef CASE
    }
    return "UNKNOWN";
}

const char *reeve_status_text(reeve_status status)
{
    switch (status) {
#define CASE(name, number, text) \
    case REEVE_##name: return text;
        REEVE_STATUS_MAP(CASE)
#undef CASE
    }
    return "unknown status";
}

int reeve_status_exit_code(reeve_status status)
{
    switch (status) {
    case REEVE_OK: return REEVE_EXIT_DONE;
    case REEVE_INPUT_USAGE: return REEVE_EXIT_USAGE;
    case REEVE_INPUT_INVALID:
    case REEVE_INPUT_CHANGED:
    case REEVE_TASK_REJECTED:
    case REEVE_STORE_CORRUPT:
    case REEVE_STORE_MISMATCH:
    case REEVE_JOB_DIVERGED: return REEVE_EXIT_DATA;
    case REEVE_INPUT_MISSING: return REEVE_EXIT_NO_INPUT;
    case REEVE_INPUT_PERMISSION: return REEVE_EXIT_PERMISSION;
    case REEVE_STORE_READ:
    case REEVE_STORE_WRITE:
    case REEVE_STORE_END: return REEVE_EXIT_IO;
    case REEVE_STORE_CREATE:
    case REEVE_STORE_IN_USE: return REEVE_EXIT_CANNOT_CREATE;
    case REEVE_JOB_DEVICE: return REEVE_EXIT_UNAVAILABLE;
    case REEVE_JOB_CONFIG: return REEVE_EXIT_CONFIG;
    case REEVE_JOB_STOPPED: return REEVE_EXIT_AGAIN;
    case REEVE_JOB_INTERRUPTED: return REEVE_EXIT_INTERRUPTED;
    case REEVE_TASK_NONE_READY:
    case REEVE_TASK_FAILED:
    case REEVE_TASK_CANCELLED:
    case REEVE_TASK_STALE:
    case REEVE_TASK_TIME_LIMIT:
    case REEVE_WORKER_LOST:
    case REEVE_WORKER_DIVERGED:
    case REEVE_JOB_NO_MEMORY:
    case REEVE_JOB_INTERNAL:
    case REEVE_JOB_DEADLINE: return REEVE_EXIT_INTERNAL;
    }
    return REEVE_EXIT_INTERNAL;
}

_Noreturn void reeve_assert_failed(const char *condition, const char *file, int line)
{
    char text[512];
    int n = snprintf(text, sizeof(text), "reeve: broken invariant at %s:%d: %s (a bug; please report it)\n", file, line,
                     condition);
    if (n > 0) (void)!write(STDERR_FILENO, text, (size_t)n < sizeof(text) ? (size_t)n : sizeof(text) - 1);
    abort();
}
