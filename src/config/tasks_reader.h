/* Private to tasks_file.c and tasks_links.c: the tasks of a job while they are read. */
#ifndef REEVE_CONFIG_TASKS_READER_H
#define REEVE_CONFIG_TASKS_READER_H

#include "base/path.h"
#include "config/task_names.h"
#include "config/yaml_tree.h"
#include "core/job.h"
#include "core/task_list.h"

/* An array that grows; `used` bytes of it are. */
struct tasks_grown {
    char *bytes; /* owned */
    size_t used, room;
};

struct tasks_reader {
    const struct reeve_job *job;
    char folder[REEVE_PATH_BYTES_MAX]; /* of the job file */
    struct reeve_yaml yaml;
    struct tasks_grown spans, entries, text_at, text, afters;
    struct reeve_task_names names; /* of the spans, once these are complete */
    uint32_t task_count;
    struct reeve_error *err;
};

reeve_status tasks_append(struct tasks_reader *r, struct tasks_grown *g, const void *bytes, size_t n);

static inline struct reeve_task_span *tasks_span_at(const struct tasks_reader *r, size_t i)
{
    return (struct reeve_task_span *)(void *)r->spans.bytes + i;
}

static inline size_t tasks_span_count(const struct tasks_reader *r)
{
    return r->spans.used / sizeof(struct reeve_task_span);
}

/* All spans are there: no two have one name, and each task gets what it waits for. INPUT_INVALID | JOB_NO_MEMORY. */
reeve_status tasks_link(struct tasks_reader *r);

#endif
