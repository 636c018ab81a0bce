/* See task_list.h. */
#include "core/task_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"

#define CIRCLE_TEXT_BYTES 700
/* It becomes the name of a file, and is shown to people. */
#define NAME_CHARACTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-."

reeve_status reeve_task_list_create(uint32_t task_count, uint32_t after_count, uint64_t text_bytes,
                                    struct reeve_task_list **out, struct reeve_error *err)
{
    if (task_count > REEVE_TASKS_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "%u tasks; at most %u were expected: split the list into several runs", task_count,
                          REEVE_TASKS_MAX);
    if (after_count > REEVE_TASK_AFTERS_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "more than %u dependencies: let many tasks wait for one that waits for the others",
                          REEVE_TASK_AFTERS_MAX);
    if (text_bytes > REEVE_TASK_TEXT_BYTES_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "names and commands of %" PRIu64 " bytes; at most %" PRIu64
                          " were expected: put what the commands share into a script",
                          text_bytes, REEVE_TASK_TEXT_BYTES_MAX);
    struct reeve_task_list *l = calloc(1, sizeof(*l));
    if (l != NULL) {
        l->task_count = task_count;
        l->after_count = after_count;
        l->text_bytes = text_bytes;
        l->entries = calloc((size_t)task_count + 1, sizeof(*l->entries));
        l->afters = calloc((size_t)after_count + 1, sizeof(*l->afters));
        l->text_at = calloc((size_t)task_count + 1, sizeof(*l->text_at));
        l->text = calloc((size_t)text_bytes + 1, 1);
    }
    if (l == NULL || !l->entries || !l->afters || !l->text_at || !l->text) {
        reeve_task_list_destroy(l);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "list of %u tasks: out of memory", task_count);
    }
    *out = l;
    return REEVE_OK;
}

reeve_status reeve_task_list_create_null(uint32_t task_count, struct reeve_task_list **out, struct reeve_error *err)
{
    struct reeve_task_list *l = NULL;
    reeve_status st = reeve_task_list_create(task_count, 0, 3, &l, err);
    if (st != REEVE_OK) return st;
    memcpy(l->text, "-\0", 3); /* one name and no command, shared by all */
    for (uint32_t i = 0; i < task_count; i++)
        l->entries[i] = (struct reeve_task_entry){.attempts_max = 1, .kind = REEVE_TASK_NULL};
    l->digest = reeve_task_list_digest(l);
    *out = l;
    return REEVE_OK;
}

void reeve_task_list_destroy(struct reeve_task_list *l)
{
    if (l == NULL) return;
    free(l->folder);
    free(l->text);
    free(l->text_at);
    free(l->afters);
    free(l->entries);
    free(l);
}

const char *reeve_task_list_name(const struct reeve_task_list *l, uint32_t task)
{
    return l->text + l->text_at[task];
}

const char *reeve_task_list_command(const struct reeve_task_list *l, uint32_t task)
{
    const char *name = reeve_task_list_name(l, task);
    return name + strlen(name) + 1;
}

struct reeve_digest reeve_task_list_digest(const struct reeve_task_list *l)
{
    static const char what[] = "reeve task list 1";
    uint64_t counts[3] = {l->task_count, l->after_count, l->text_bytes};
    struct reeve_digest parts[6] = {
        reeve_digest_of(what, sizeof(what)),
        reeve_digest_of(counts, sizeof(counts)),
        reeve_digest_of(l->entries, sizeof(*l->entries) * ((size_t)l->task_count + 1)),
        reeve_digest_of(l->afters, sizeof(*l->afters) * (size_t)l->after_count),
        reeve_digest_of(l->text_at, sizeof(*l->text_at) * (size_t)l->task_count),
        reeve_digest_of(l->text, (size_t)l->text_bytes),
    };
    return reeve_digest_of(parts, sizeof(parts));
}

/* ---- checking ---- */

/* A text of 1 to bytes_max - 1 bytes that ends within the list's; its end, or 0. */
static uint64_t text_end(const struct reeve_task_list *l, uint64_t at, uint64_t bytes_max)
{
    if (at >= l->text_bytes) return 0;
    uint64_t room = l->text_bytes - at;
    const char *end = memchr(l->text + at, '\0', (size_t)(room < bytes_max ? room : bytes_max));
    return end != NULL ? (uint64_t)(end - l->text) + 1 : 0;
}

static reeve_status check_entry(const struct reeve_task_list *l, uint32_t task, struct reeve_error *err)
{
    const struct reeve_task_entry *e = &l->entries[task];
    uint64_t command_at = text_end(l, l->text_at[task], REEVE_TASK_NAME_BYTES);
    if (command_at < l->text_at[task] + 2 || text_end(l, command_at, REEVE_TASK_COMMAND_BYTES) == 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "task %u: its name or its command is missing or too long", task);
    const char *name = reeve_task_list_name(l, task);
    if (name[strspn(name, NAME_CHARACTERS)] != '\0')
        return reeve_fail(err, REEVE_INPUT_INVALID,
                          "task %u: its name holds other characters than letters, digits, '_', '-' and '.'", task);
    if (!reeve_task_is_listed(e->kind) || e->attempts_max < 1 || e->attempts_max > REEVE_TASK_ATTEMPTS_MAX ||
        e->time_limit_s > REEVE_TASK_LIMIT_S_MAX || e->zero != 0)
        return reeve_fail(err, REEVE_INPUT_INVALID, "task %s: its kind, attempts or time limit is out of range", name);
    if (e->first_after > e[1].first_after || e[1].first_after > l->after_count)
        return reeve_fail(err, REEVE_INPUT_INVALID, "task %s: its dependencies lie outside the list", name);
    for (uint32_t i = e->first_after; i < e[1].first_after; i++) {
        uint32_t before = l->afters[i] & ~REEVE_TASK_AFTER_ANY;
        if (before >= l->task_count)
            return reeve_fail(err, REEVE_INPUT_INVALID, "task %s: waits for task %u, which is not in the list", name,
                              before);
        if (before == task) return reeve_fail(err, REEVE_INPUT_INVALID, "task %s: waits for itself", name);
    }
    return REEVE_OK;
}

/* The walk from task to predecessor: depth first, without recursion. */
struct walk {
    uint32_t *path; /* (task_count,) owned; from where the walk began to where it is */
    uint32_t *next; /* (task_count,) owned; the dependency of that task to look at next */
    uint8_t *seen;  /* (task_count,) owned; 1: on the path, 2: known to be sound */
    uint32_t depth;
};

static reeve_status fail_circle(const struct reeve_task_list *l, const struct walk *w, uint32_t closing,
                                struct reeve_error *err)
{
    char text[CIRCLE_TEXT_BYTES] = "";
    size_t used = 0;
    uint32_t from = w->depth;
    while (w->path[from - 1] != closing)
        from--;
    for (uint32_t i = from - 1; i < w->depth && used < sizeof(text); i++)
        used +=
            (size_t)snprintf(text + used, sizeof(text) - used, "%s waits for ", reeve_task_list_name(l, w->path[i]));
    return reeve_fail(err, REEVE_INPUT_INVALID, "tasks that wait for each other can never run: %s%s", text,
                      used < sizeof(text) ? reeve_task_list_name(l, closing) : "...");
}

static reeve_status walk_from(const struct reeve_task_list *l, struct walk *w, uint32_t task, struct reeve_error *err)
{
    w->path[0] = task;
    w->next[0] = l->entries[task].first_after;
    w->seen[task] = 1;
    w->depth = 1;
    while (w->depth > 0) {
        uint32_t at = w->path[w->depth - 1];
        uint32_t *next = &w->next[w->depth - 1];
        if (*next == l->entries[at + 1].first_after) {
            w->seen[at] = 2;
            w->depth--;
            continue;
        }
        uint32_t before = l->afters[(*next)++] & ~REEVE_TASK_AFTER_ANY;
        if (w->seen[before] == 1) return fail_circle(l, w, before, err);
        if (w->seen[before] == 2) continue;
        w->seen[before] = 1;
        w->path[w->depth] = before;
        w->next[w->depth++] = l->entries[before].first_after;
    }
    return REEVE_OK;
}

static reeve_status check_circles(const struct reeve_task_list *l, struct reeve_error *err)
{
    size_t n = (size_t)l->task_count + 1;
    struct walk w = {malloc(n * sizeof(*w.path)), malloc(n * sizeof(*w.next)), calloc(n, 1), 0};
    reeve_status st = REEVE_OK;
    if (w.path == NULL || w.next == NULL || w.seen == NULL)
        st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "list of %u tasks: out of memory", l->task_count);
    for (uint32_t i = 0; i < l->task_count && st == REEVE_OK; i++)
        if (w.seen[i] == 0) st = walk_from(l, &w, i, err);
    free(w.seen);
    free(w.next);
    free(w.path);
    return st;
}

reeve_status reeve_task_list_check(const struct reeve_task_list *l, struct reeve_error *err)
{
    if (l->task_count < 1 || l->task_count > REEVE_TASKS_MAX || l->after_count > REEVE_TASK_AFTERS_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "a list has 1 to %u tasks and at most %u dependencies",
                          REEVE_TASKS_MAX, REEVE_TASK_AFTERS_MAX);
    if (l->entries[0].first_after != 0 || l->entries[l->task_count].first_after != l->after_count)
        return reeve_fail(err, REEVE_INPUT_INVALID, "some dependencies belong to no task");
    for (uint32_t i = 0; i < l->task_count; i++) {
        reeve_status st = check_entry(l, i, err);
        if (st != REEVE_OK) return st;
    }
    return l->after_count == 0 ? REEVE_OK : check_circles(l, err);
}
