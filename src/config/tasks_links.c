/* The second pass over the entries of `tasks`: names, and what waits for what. See tasks_reader.h. */
#include "config/tasks_reader.h"

#include <inttypes.h>
#include <string.h>

#include "base/error.h"
#include "config/scalar.h"

static reeve_status settle_names(struct tasks_reader *r)
{
    const struct reeve_task_span *first, *twice;
    if (!reeve_task_names_init(&r->names, tasks_span_at(r, 0), tasks_span_count(r), &first, &twice))
        return reeve_fail(r->err, REEVE_JOB_NO_MEMORY, "tasks of %s: out of memory", r->yaml.name);
    if (twice == NULL) return REEVE_OK;
    return reeve_yaml_fail(&r->yaml, twice->node, r->err, REEVE_INPUT_INVALID,
                           "two entries are named '%s', the first in line %" PRIu32 "; give one another name",
                           twice->name, r->yaml.nodes[first->node].line);
}

static const char *task_name(const struct tasks_reader *r, uint32_t task)
{
    return r->text.bytes + ((const uint64_t *)(const void *)r->text_at.bytes)[task];
}

/* The tasks that a name stands for: those of an entry, or one of them ("fit.3"). False: no such name. */
static bool find_tasks(const struct tasks_reader *r, const char *name, uint32_t *first, uint32_t *count)
{
    size_t stem = strcspn(name, ".");
    const struct reeve_task_span *s = reeve_task_names_find(&r->names, name, stem);
    if (s == NULL) return false;
    *first = s->first;
    *count = s->count;
    if (name[stem] == '\0') return true;
    int64_t number = 0;
    bool too_large = false;
    if (!reeve_scalar_whole(name + stem + 1, &number, &too_large) || number < 1 || number > s->count) return false;
    *first += (uint32_t)number - 1;
    *count = 1;
    return strcmp(task_name(r, *first), name) == 0;
}

static reeve_status fail_name(struct tasks_reader *r, uint32_t node, const char *name)
{
    const char *names[256];
    size_t n = tasks_span_count(r) < 256 ? tasks_span_count(r) : 256;
    for (size_t i = 0; i < n; i++)
        names[i] = tasks_span_at(r, i)->name;
    int near = reeve_scalar_nearest(name, names, n);
    return reeve_yaml_fail(&r->yaml, node, r->err, REEVE_INPUT_INVALID, "no task is named '%.60s'%s%s%s", name,
                           near >= 0 ? "; did you mean '" : "", near >= 0 ? names[near] : "", near >= 0 ? "'?" : "");
}

static reeve_status add_after(struct tasks_reader *r, uint32_t node, uint32_t mark)
{
    char found[REEVE_YAML_FOUND_BYTES];
    uint32_t first = 0, count = 0;
    if (r->yaml.nodes[node].kind != REEVE_YAML_SCALAR)
        return reeve_yaml_fail(&r->yaml, node, r->err, REEVE_INPUT_INVALID, "expected the name of a task, found %s",
                               reeve_yaml_found(&r->yaml, node, found));
    const char *name = reeve_yaml_text(&r->yaml, node);
    if (!find_tasks(r, name, &first, &count)) return fail_name(r, node, name);
    reeve_status st = REEVE_OK;
    for (uint32_t t = first; t < first + count && st == REEVE_OK; t++) {
        uint32_t after = t | mark;
        if (r->afters.used / sizeof(after) == REEVE_TASK_AFTERS_MAX)
            return reeve_yaml_fail(&r->yaml, node, r->err, REEVE_INPUT_INVALID,
                                   "more than %u dependencies: put one task between, that waits for all of '%s', and "
                                   "let the others wait for that one",
                                   REEVE_TASK_AFTERS_MAX, name);
        st = tasks_append(r, &r->afters, &after, sizeof(after));
    }
    return st;
}

/* A name, or a list of names. */
static reeve_status add_afters(struct tasks_reader *r, uint32_t node, uint32_t mark)
{
    if (node == REEVE_YAML_NONE) return REEVE_OK;
    if (r->yaml.nodes[node].kind != REEVE_YAML_LIST) return add_after(r, node, mark);
    reeve_status st = REEVE_OK;
    for (uint32_t at = r->yaml.nodes[node].first; at != REEVE_YAML_NONE && st == REEVE_OK; at = r->yaml.nodes[at].next)
        st = add_after(r, at, mark);
    return st;
}

reeve_status tasks_link(struct tasks_reader *r)
{
    struct reeve_task_entry *entries = (struct reeve_task_entry *)(void *)r->entries.bytes;
    reeve_status st = settle_names(r);
    for (size_t i = 0; i < tasks_span_count(r) && st == REEVE_OK; i++) {
        const struct reeve_task_span *s = tasks_span_at(r, i);
        for (uint32_t t = s->first; t < s->first + s->count && st == REEVE_OK; t++) {
            entries[t].first_after = (uint32_t)(r->afters.used / sizeof(uint32_t));
            st = add_afters(r, s->after, 0);
            if (st == REEVE_OK) st = add_afters(r, s->after_any, REEVE_TASK_AFTER_ANY);
        }
    }
    return st;
}
