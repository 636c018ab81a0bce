/* The task list: what a run works off that trains nothing. It is locked when the run begins, as the manifest of a training
 * is; the queue, the frames and the journal speak of its tasks by index, so a replay needs no file that somebody edited.
 * Pure; format on disk: docs/format/tasks.md. Invariant of a checked list: no task waits for itself, however indirectly. */
#ifndef REEVE_CORE_TASK_LIST_H
#define REEVE_CORE_TASK_LIST_H

#include <stdbool.h>

#include "base/digest.h"
#include "core/task.h"
#include "reeve/status.h"

#define REEVE_TASKS_MAX (1u << 24)
#define REEVE_TASK_AFTERS_MAX (1u << 24)              /* dependencies, of all tasks together */
#define REEVE_TASK_TEXT_BYTES_MAX ((uint64_t)1 << 30) /* names and commands, of all tasks together */
#define REEVE_TASK_AFTER_ANY (1u << 31)               /* set in a dependency: however that task ends */
#define REEVE_TASK_LIMIT_S_MAX 31622400u              /* a leap year */
#define REEVE_TASK_ATTEMPTS_MAX 1000u
#define REEVE_TASK_NAME_BYTES 128      /* with its NUL */
#define REEVE_TASK_COMMAND_BYTES 65536 /* with its NUL; Linux starts nothing with an argument twice as long */

/* What the master needs of a task; 16 bytes. */
struct reeve_task_entry {
    uint32_t first_after;  /* its dependencies are afters[first_after] up to those of the next entry */
    int32_t priority;      /* higher first, strictly */
    uint32_t time_limit_s; /* of one attempt; 0: none */
    uint16_t attempts_max; /* before it is put aside, >= 1 */
    uint8_t kind;          /* enum reeve_task_kind: a listed one */
    uint8_t zero;
};
_Static_assert(sizeof(struct reeve_task_entry) == 16, "layout is part of task list format 1");

struct reeve_task_list {
    uint32_t task_count, after_count;
    struct reeve_task_entry *entries; /* (task_count + 1,) owned; the last one only ends the dependencies */
    uint32_t *afters;                 /* (after_count,) owned; index of a task, with REEVE_TASK_AFTER_ANY perhaps */
    uint64_t *text_at;                /* (task_count,) owned; where in `text` its name begins; its command follows */
    char *text;                       /* owned; name NUL command NUL, task by task */
    uint64_t text_bytes;
    char *folder;               /* owned; absolute: where commands start. Not part of the digest */
    struct reeve_digest digest; /* reeve_task_list_digest() of the rest */
};

/* Zeroed, with room for these; the caller fills it. JOB_NO_MEMORY | INPUT_INVALID (beyond the limits above). */
reeve_status reeve_task_list_create(uint32_t task_count, uint32_t after_count, uint64_t text_bytes,
                                    struct reeve_task_list **out, struct reeve_error *err);
/* A list of so many tasks that do nothing, for measuring what the dispatch alone costs; complete and checked. */
reeve_status reeve_task_list_create_null(uint32_t task_count, struct reeve_task_list **out, struct reeve_error *err);
void reeve_task_list_destroy(struct reeve_task_list *l); /* takes NULL */

const char *reeve_task_list_name(const struct reeve_task_list *l, uint32_t task);    /* borrowed */
const char *reeve_task_list_command(const struct reeve_task_list *l, uint32_t task); /* borrowed */

/* Over all but the folder. Cost: O(bytes). */
struct reeve_digest reeve_task_list_digest(const struct reeve_task_list *l);

/* Bounds of every field, texts that end, dependencies that exist and do not go round. INPUT_INVALID with the task's
 * name, or the names along a circle. Cost: O(tasks + dependencies). */
reeve_status reeve_task_list_check(const struct reeve_task_list *l, struct reeve_error *err);

/* How an attempt ended, in one word of the journal: exit status, or the signal that ended it, and how long it ran. */
static inline uint64_t reeve_task_result(uint32_t exit_status, uint32_t signal, uint64_t ran_us)
{
    uint64_t us = ran_us < (UINT64_C(1) << 48) ? ran_us : (UINT64_C(1) << 48) - 1;
    return (exit_status & 0xffu) | (signal & 0xffu) << 8 | us << 16;
}
static inline uint32_t reeve_task_result_exit(uint64_t result)
{
    return result & 0xffu;
}
static inline uint32_t reeve_task_result_signal(uint64_t result)
{
    return result >> 8 & 0xffu;
}
static inline uint64_t reeve_task_result_us(uint64_t result)
{
    return result >> 16;
}
/* No process can end within its first microsecond: 127 after none is an attempt that no process was made for. */
static inline bool reeve_task_result_not_started(uint64_t result)
{
    return result == reeve_task_result(127, 0, 0);
}

#endif
