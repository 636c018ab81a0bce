/* Every way in which an operation of Reeve can end, and the text that goes with it.
 *
 * The number of a status says how much is lost: 1-9 this request, 10-29 one task, 30-49 one worker, 50-69 one stored
 * object (try an older copy), 70-89 the job. A caller that does not know a status can decide by its group alone.
 * This header is part of the public ABI: numbers are never reused. */
#ifndef REEVE_STATUS_H
#define REEVE_STATUS_H

#include <stddef.h>

#define REEVE_STATUS_MAP(X)                                                                                     \
    X(OK, 0, "success")                                                                                         \
    X(INPUT_USAGE, 1, "wrong usage")                /* exit 64 */                                               \
    X(INPUT_INVALID, 2, "invalid input")            /* exit 65: job, manifest or data is wrong */               \
    X(INPUT_MISSING, 3, "input is missing")         /* exit 66 */                                               \
    X(INPUT_CHANGED, 4, "input changed")            /* exit 65: differs from what was locked */                 \
    X(INPUT_PERMISSION, 5, "permission denied")     /* exit 77 */                                               \
    X(TASK_NONE_READY, 10, "no task is ready")                                                                  \
    X(TASK_FAILED, 11, "task failed")               /* worth another attempt, elsewhere */                      \
    X(TASK_REJECTED, 12, "task can never succeed")  /* dead at once */                                          \
    X(TASK_CANCELLED, 13, "task was cancelled")                                                                 \
    X(TASK_STALE, 14, "word of an old lease")       /* dropped, never fatal */                                  \
    X(TASK_TIME_LIMIT, 15, "time limit of the task passed") /* worth another attempt */                         \
    X(WORKER_LOST, 30, "worker is lost")                                                                        \
    X(WORKER_DIVERGED, 31, "worker holds other weights")                                                        \
    X(STORE_CORRUPT, 50, "stored object is damaged") /* exit 65 when nothing older is left */                   \
    X(STORE_READ, 51, "read failed")                /* exit 74 */                                               \
    X(STORE_WRITE, 52, "write failed")              /* exit 74 */                                               \
    X(STORE_CREATE, 53, "cannot create")            /* exit 73 */                                               \
    X(STORE_IN_USE, 54, "in use by another job")    /* exit 73 */                                               \
    X(STORE_MISMATCH, 55, "belongs to another job") /* exit 65 */                                               \
    X(STORE_END, 56, "no more records")                                                                         \
    X(JOB_NO_MEMORY, 70, "out of memory")           /* exit 70 */                                               \
    X(JOB_INTERNAL, 71, "internal error")           /* exit 70 */                                               \
    X(JOB_DIVERGED, 72, "training diverged")        /* exit 65 */                                               \
    X(JOB_DEVICE, 73, "device or launcher missing") /* exit 69 */                                               \
    X(JOB_CONFIG, 74, "machine is misconfigured")   /* exit 78 */                                               \
    X(JOB_STOPPED, 75, "checkpointed, run me again") /* exit 75 */                                              \
    X(JOB_DEADLINE, 76, "deadline passed")          /* exit 70 */                                               \
    X(JOB_INTERRUPTED, 77, "interrupted")           /* exit 130 */

typedef enum reeve_status {
#define REEVE_STATUS_ENUM(name, number, text) REEVE_##name = (number),
    REEVE_STATUS_MAP(REEVE_STATUS_ENUM)
#undef REEVE_STATUS_ENUM
} reeve_status;

/* The exit codes of both programs: sysexits.h where it has a word for it, and two of our own. */
enum reeve_exit {
    REEVE_EXIT_DONE = 0,
    REEVE_EXIT_DEAD_TASKS = 3,   /* finished, but some tasks are dead */
    REEVE_EXIT_USAGE = 64,
    REEVE_EXIT_DATA = 65,        /* bad job, manifest or data */
    REEVE_EXIT_NO_INPUT = 66,
    REEVE_EXIT_UNAVAILABLE = 69, /* device or launcher missing */
    REEVE_EXIT_INTERNAL = 70,
    REEVE_EXIT_CANNOT_CREATE = 73,
    REEVE_EXIT_IO = 74,
    REEVE_EXIT_AGAIN = 75,       /* checkpointed: run the same command again */
    REEVE_EXIT_PERMISSION = 77,
    REEVE_EXIT_CONFIG = 78,
    REEVE_EXIT_INTERRUPTED = 130,
};

#define REEVE_ERROR_TEXT_BYTES 1024

/* An error is a value. The function that first detects it words `text` in one line: what (file, place), what was
 * expected, what to do. Callers may put context before it; nobody prints it twice. */
struct reeve_error {
    reeve_status status;
    char text[REEVE_ERROR_TEXT_BYTES]; /* NUL-terminated, one line, no trailing newline */
};

#endif
