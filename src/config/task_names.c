/* See task_names.h. */
#include "config/task_names.h"

#include <stdlib.h>
#include <string.h>

static int by_name(const void *a, const void *b)
{
    const struct reeve_task_span *x = *(const struct reeve_task_span *const *)a;
    const struct reeve_task_span *y = *(const struct reeve_task_span *const *)b;
    int names = strcmp(x->name, y->name);
    return names != 0 ? names : (x > y) - (x < y); /* of one name, as in the file */
}

bool reeve_task_names_init(struct reeve_task_names *n, const struct reeve_task_span *spans, size_t count,
                           const struct reeve_task_span **first, const struct reeve_task_span **twice)
{
    *first = *twice = NULL;
    n->list = calloc(count, sizeof(*n->list));
    if (n->list == NULL) return false;
    n->count = count;
    for (size_t i = 0; i < count; i++)
        n->list[i] = &spans[i];
    qsort(n->list, count, sizeof(*n->list), by_name);
    for (size_t i = 1; i < count; i++) {
        const struct reeve_task_span *before = n->list[i - 1], *at = n->list[i];
        if (strcmp(before->name, at->name) != 0 || (*twice != NULL && *twice < at)) continue;
        *first = before;
        *twice = at;
    }
    return true;
}

struct wanted {
    const char *name;
    size_t bytes;
};

static int against_name(const void *key, const void *element)
{
    const struct wanted *w = key;
    const struct reeve_task_span *s = *(const struct reeve_task_span *const *)element;
    int order = strncmp(w->name, s->name, w->bytes);
    return order != 0 ? order : -(s->name[w->bytes] != '\0');
}

const struct reeve_task_span *reeve_task_names_find(const struct reeve_task_names *n, const char *name, size_t bytes)
{
    const struct wanted wanted = {name, bytes};
    const struct reeve_task_span **found = bsearch(&wanted, n->list, n->count, sizeof(*n->list), against_name);
    return found != NULL ? *found : NULL;
}

void reeve_task_names_fini(struct reeve_task_names *n)
{
    free(n->list);
    *n = (struct reeve_task_names){0};
}
