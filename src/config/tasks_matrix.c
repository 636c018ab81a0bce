/* See tasks_matrix.h. */
#include "config/tasks_matrix.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "core/task_list.h"

#define PARAMETERS_MAX 16u
#define MARK_BYTES 66 /* "{" name "}" NUL */

struct parameter {
    char mark[MARK_BYTES];
    uint32_t first, at;         /* nodes: the first value, and the one that is taken now */
    double values, value_bytes; /* how many there are, and of all of them together */
};

struct sweep {
    const struct reeve_yaml *y;
    struct parameter parameters[PARAMETERS_MAX];
    uint32_t count;
    char *text; /* owned; REEVE_TASK_COMMAND_BYTES */
};

static reeve_status add_parameter(struct sweep *s, uint32_t key, const char *command, struct reeve_error *err)
{
    const struct reeve_yaml *y = s->y;
    uint32_t values = y->nodes[key].next;
    const char *name = reeve_yaml_text(y, key);
    if (s->count == PARAMETERS_MAX)
        return reeve_yaml_fail(y, key, err, REEVE_INPUT_INVALID, "key 'matrix': more than %u parameters",
                               PARAMETERS_MAX);
    struct parameter *p = &s->parameters[s->count++];
    if ((size_t)snprintf(p->mark, sizeof(p->mark), "{%s}", name) >= sizeof(p->mark))
        return reeve_yaml_fail(y, key, err, REEVE_INPUT_INVALID, "parameter '%.60s': its name is too long", name);
    for (uint32_t i = 0; i + 1 < s->count; i++)
        if (strcmp(s->parameters[i].mark, p->mark) == 0)
            return reeve_yaml_fail(y, key, err, REEVE_INPUT_INVALID, "parameter '%s': given twice", name);
    if (strstr(command, p->mark) == NULL)
        return reeve_yaml_fail(y, key, err, REEVE_INPUT_INVALID,
                               "parameter '%s': the command has no %s in it, so all its values would run the same",
                               name, p->mark);
    p->first = p->at = y->nodes[values].first;
    if (y->nodes[values].kind != REEVE_YAML_LIST || p->first == REEVE_YAML_NONE)
        return reeve_yaml_fail(y, values, err, REEVE_INPUT_INVALID, "parameter '%s': expected a list of values", name);
    for (uint32_t v = p->first; v != REEVE_YAML_NONE; v = y->nodes[v].next) {
        if (y->nodes[v].kind != REEVE_YAML_SCALAR)
            return reeve_yaml_fail(y, v, err, REEVE_INPUT_INVALID, "parameter '%s': expected a number or a text", name);
        p->values += 1.0;
        p->value_bytes += (double)strlen(reeve_yaml_text(y, v));
    }
    return REEVE_OK;
}

/* The parameter whose mark stands here; NULL: none. *bytes: of its mark. */
static const struct parameter *find_mark(const struct sweep *s, const char *at, size_t *bytes)
{
    for (uint32_t i = 0; *at == '{' && i < s->count; i++) {
        *bytes = strlen(s->parameters[i].mark);
        if (strncmp(at, s->parameters[i].mark, *bytes) == 0) return &s->parameters[i];
    }
    *bytes = 1;
    return NULL;
}

/* Lists that look harmless can multiply to more than any memory: told before the first command is made of them. */
static reeve_status check_product(const struct sweep *s, uint32_t matrix, const char *command, struct reeve_error *err)
{
    double tasks = 1.0, bytes = 0.0;
    for (uint32_t i = 0; i < s->count; i++)
        tasks *= s->parameters[i].values;
    for (size_t n; *command != '\0'; command += n) {
        const struct parameter *p = find_mark(s, command, &n);
        bytes += p != NULL ? tasks / p->values * p->value_bytes : tasks;
    }
    if (tasks <= (double)REEVE_TASKS_MAX && bytes <= (double)REEVE_TASK_TEXT_BYTES_MAX) return REEVE_OK;
    return reeve_yaml_fail(s->y, matrix, err, REEVE_INPUT_INVALID,
                           "key 'matrix': %.0f tasks with commands of %.0f bytes; at most %u and %.0f were expected: "
                           "split them into several jobs, or put what the commands share into a script",
                           tasks, bytes, REEVE_TASKS_MAX, (double)REEVE_TASK_TEXT_BYTES_MAX);
}

/* The command with the values of now. False: too long. */
static bool substitute(const struct sweep *s, const char *command, size_t *bytes_out)
{
    size_t used = 0;
    for (size_t n; *command != '\0'; command += n) {
        const struct parameter *p = find_mark(s, command, &n);
        const char *piece = p != NULL ? reeve_yaml_text(s->y, p->at) : command;
        size_t bytes = p != NULL ? strlen(piece) : 1;
        if (used + bytes >= REEVE_TASK_COMMAND_BYTES) return false;
        memcpy(s->text + used, piece, bytes);
        used += bytes;
    }
    s->text[used] = '\0';
    *bytes_out = used;
    return true;
}

/* To the next combination. False: that was the last one. */
static bool advance(struct sweep *s)
{
    for (uint32_t i = s->count; i-- > 0;) {
        struct parameter *p = &s->parameters[i];
        p->at = s->y->nodes[p->at].next;
        if (p->at != REEVE_YAML_NONE) return true;
        p->at = p->first;
    }
    return false;
}

reeve_status reeve_tasks_matrix(const struct reeve_yaml *y, uint32_t matrix, const char *command,
                                reeve_tasks_combination *visit, void *arg, struct reeve_error *err)
{
    struct sweep s = {.y = y};
    if (y->nodes[matrix].kind != REEVE_YAML_MAPPING || y->nodes[matrix].count == 0)
        return reeve_yaml_fail(y, matrix, err, REEVE_INPUT_INVALID,
                               "key 'matrix': expected parameters with lists of values, such as {alpha: [1, 2]}");
    reeve_status st = REEVE_OK;
    for (uint32_t at = y->nodes[matrix].first; at != REEVE_YAML_NONE && st == REEVE_OK;
         at = y->nodes[y->nodes[at].next].next)
        st = add_parameter(&s, at, command, err);
    if (st == REEVE_OK) st = check_product(&s, matrix, command, err);
    s.text = malloc(REEVE_TASK_COMMAND_BYTES);
    if (st == REEVE_OK && s.text == NULL) st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "matrix: out of memory");
    do {
        size_t bytes = 0;
        if (st == REEVE_OK && !substitute(&s, command, &bytes))
            st = reeve_yaml_fail(y, matrix, err, REEVE_INPUT_INVALID,
                                 "key 'matrix': a command with its values has more than %u bytes",
                                 REEVE_TASK_COMMAND_BYTES - 1);
        if (st == REEVE_OK && s.text[strspn(s.text, " \t\r\n")] == '\0')
            st = reeve_yaml_fail(y, matrix, err, REEVE_INPUT_INVALID,
                                 "key 'matrix': with these values nothing is left of the command");
        if (st == REEVE_OK) st = visit(arg, s.text, bytes);
    } while (st == REEVE_OK && advance(&s));
    free(s.text);
    return st;
}
