/* Wording errors, and the assertion that stays on. */
#ifndef REEVE_BASE_ERROR_H
#define REEVE_BASE_ERROR_H

#include <stdarg.h>

#include "reeve/status.h"

/* Word an error. err may be NULL. "%m" works (errno is kept). Returns `status`, so: return reeve_fail(err, ...). */
reeve_status reeve_fail(struct reeve_error *err, reeve_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

/* Put "<context>: " before the text that err already has. Returns err's status. */
reeve_status reeve_error_context(struct reeve_error *err, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

/* The status that says best what errno says of a file: INPUT_MISSING, INPUT_PERMISSION, STORE_READ ... for reading;
 * STORE_CREATE, STORE_WRITE ... for writing. */
reeve_status reeve_status_from_errno_read(int errnum);
reeve_status reeve_status_from_errno_write(int errnum);

const char *reeve_status_name(reeve_status status);      /* "STORE_CORRUPT"; static storage */
const char *reeve_status_text(reeve_status status);      /* "stored object is damaged"; static storage */
int reeve_status_exit_code(reeve_status status);         /* enum reeve_exit */

/* Broken invariants only, never input. Always on, no side effect in the condition. */
#define REEVE_ASSERT(condition)                                                                                 \
    do {                                                                                                        \
        if (!(condition)) reeve_assert_failed(#condition, __FILE__, __LINE__);                                  \
    } while (0)
_Noreturn void reeve_assert_failed(const char *condition, const char *file, int line);

#endif
