/* See prepare_tasks.h. */
#include "run/prepare_tasks.h"

#include <string.h>

#include "base/error.h"
#include "config/tasks_file.h"
#include "store/tasks_lock.h"

static reeve_status lock_path(const struct reeve_prepared *p, char path[REEVE_PATH_BYTES_MAX], struct reeve_error *err)
{
    return reeve_path_join(path, REEVE_PATH_BYTES_MAX, p->run_dir, "tasks.h5", err);
}

reeve_status reeve_prepare_tasks_lock(const struct reeve_prepared *p, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = lock_path(p, path, err);
    return st == REEVE_OK ? reeve_tasks_lock_write(path, p->tasks, err) : st;
}

/* What differs first between the list that the run was begun with, and the one that the job says now. */
static reeve_status fail_changed(const struct reeve_prepared *p, const struct reeve_task_list *now,
                                 struct reeve_error *err)
{
    static const char remedy[] = "change it back, or choose another --run-dir";
    const struct reeve_task_list *locked = p->tasks;
    uint32_t both = now->task_count < locked->task_count ? now->task_count : locked->task_count;
    for (uint32_t i = 0; i < both; i++) {
        const char *name = reeve_task_list_name(locked, i);
        if (strcmp(name, reeve_task_list_name(now, i)) != 0)
            return reeve_fail(err, REEVE_INPUT_CHANGED, "task %u is '%s' now, but %s was begun with '%s': %s", i + 1,
                              reeve_task_list_name(now, i), p->run_dir, name, remedy);
        if (strcmp(reeve_task_list_command(locked, i), reeve_task_list_command(now, i)) != 0)
            return reeve_fail(err, REEVE_INPUT_CHANGED, "task %s is `%.100s` now, but %s was begun with `%.100s`: %s",
                              name, reeve_task_list_command(now, i), p->run_dir, reeve_task_list_command(locked, i),
                              remedy);
        const struct reeve_task_entry *a = &locked->entries[i], *b = &now->entries[i];
        if (a->priority != b->priority || a->time_limit_s != b->time_limit_s || a->attempts_max != b->attempts_max)
            return reeve_fail(err, REEVE_INPUT_CHANGED,
                              "task %s has another priority, time limit or number of attempts now than %s was begun "
                              "with: %s",
                              name, p->run_dir, remedy);
    }
    if (now->task_count != locked->task_count)
        return reeve_fail(err, REEVE_INPUT_CHANGED, "the job has %u tasks now, but %s was begun with %u: %s",
                          now->task_count, p->run_dir, locked->task_count, remedy);
    return reeve_fail(err, REEVE_INPUT_CHANGED, "the tasks wait for others now than %s was begun with: %s", p->run_dir,
                      remedy);
}

reeve_status reeve_prepare_tasks_open(struct reeve_prepared *p, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = lock_path(p, path, err);
    return st == REEVE_OK ? reeve_tasks_lock_read(path, &p->tasks, err) : st;
}

reeve_status reeve_prepare_tasks_compare(struct reeve_prepared *p, const char *job_path, bool *moved,
                                         struct reeve_error *err)
{
    struct reeve_task_list *now = NULL;
    reeve_status st = reeve_tasks_read(job_path, &p->job, &now, err);
    if (st == REEVE_OK && !reeve_digest_equal(now->digest, p->tasks->digest)) st = fail_changed(p, now, err);
    if (st == REEVE_OK && strcmp(now->folder, p->tasks->folder) != 0) { /* which is no part of what they are */
        struct reeve_task_list *before = p->tasks;
        p->tasks = now;
        now = before;
        *moved = true;
    }
    reeve_task_list_destroy(now);
    return st;
}
