/* Two passes over the entries of `tasks`: the first, here, expands each into its tasks, the second (tasks_links.c) links
 * them, for an entry may wait for one that stands below it. See tasks_file.h. */
#include "config/tasks_file.h"

#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/path.h"
#include "config/keys.h"
#include "config/tasks_matrix.h"
#include "config/tasks_reader.h"

#define JOB_FILE_BYTES_MAX ((size_t)1 << 20)
#define COMMANDS_FILE_BYTES_MAX ((size_t)1 << 30)

struct entry {
    char name[REEVE_TASK_ENTRY_NAME_BYTES];
    char file[REEVE_PATH_BYTES_MAX];
    uint32_t command, matrix, after, after_any; /* nodes, or REEVE_YAML_NONE */
    int32_t priority;
    uint32_t time_limit_s, attempts;
};

enum {
    KEY_NAME,
    KEY_COMMAND,
    KEY_FILE,
    KEY_MATRIX,
    KEY_AFTER,
    KEY_AFTER_ANY,
    KEY_PRIORITY,
    KEY_TIME_LIMIT,
    KEY_ATTEMPTS,
    KEY_COUNT
};

static const struct reeve_key entry_keys[KEY_COUNT] = {
    [KEY_NAME] = {"", "name", REEVE_KEY_TEXT, offsetof(struct entry, name), REEVE_TASK_ENTRY_NAME_BYTES, .fallback = "",
                  .unit = "", .meaning = "of the task; of several, NAME.1, NAME.2 ..."},
    [KEY_COMMAND] = {"", "command", REEVE_KEY_NODE, offsetof(struct entry, command), .fallback = "", .unit = "",
                     .meaning = "what to run"},
    [KEY_FILE] = {"", "file", REEVE_KEY_TEXT, offsetof(struct entry, file), REEVE_PATH_BYTES_MAX, .fallback = "",
                  .unit = "", .meaning = "a file with a command in each line"},
    [KEY_MATRIX] = {"", "matrix", REEVE_KEY_NODE, offsetof(struct entry, matrix), .fallback = "", .unit = "",
                    .meaning = "a task for each combination of these values"},
    [KEY_AFTER] = {"", "after", REEVE_KEY_NODE, offsetof(struct entry, after), .fallback = "", .unit = "",
                   .meaning = "tasks that must have ended well before"},
    [KEY_AFTER_ANY] = {"", "after_any", REEVE_KEY_NODE, offsetof(struct entry, after_any), .fallback = "", .unit = "",
                       .meaning = "tasks that must have ended before, well or not"},
    [KEY_PRIORITY] = {"", "priority", REEVE_KEY_I32, offsetof(struct entry, priority), .low = -1000000, .high = 1000000,
                      .fallback = "0", .unit = "", .meaning = "higher first"},
    [KEY_TIME_LIMIT] = {"", "time_limit_s", REEVE_KEY_U32, offsetof(struct entry, time_limit_s), .low = 0,
                        .high = REEVE_TASK_LIMIT_S_MAX, .fallback = "0", .unit = "s", .meaning = "of one attempt"},
    [KEY_ATTEMPTS] = {"", "attempts", REEVE_KEY_U32, offsetof(struct entry, attempts), .low = 1,
                      .high = REEVE_TASK_ATTEMPTS_MAX, .fallback = "1", .unit = "",
                      .meaning = "before it is put aside"},
};
static const struct reeve_key_table entry_table = {entry_keys, KEY_COUNT, NULL};

reeve_status tasks_append(struct tasks_reader *r, struct tasks_grown *g, const void *bytes, size_t n)
{
    if (g->used + n > g->room) {
        size_t room = g->room == 0 ? 4096 : 2 * g->room;
        while (room < g->used + n)
            room *= 2;
        char *more = realloc(g->bytes, room);
        if (more == NULL) return reeve_fail(r->err, REEVE_JOB_NO_MEMORY, "tasks of %s: out of memory", r->yaml.name);
        g->bytes = more;
        g->room = room;
    }
    memcpy(g->bytes + g->used, bytes, n);
    g->used += n;
    return REEVE_OK;
}

/* number 0: the only task of its entry. */
static reeve_status add_task(struct tasks_reader *r, const struct entry *e, uint32_t number, const char *command,
                             size_t bytes)
{
    char name[REEVE_TASK_NAME_BYTES];
    int n = number == 0 ? snprintf(name, sizeof(name), "%s", e->name)
                        : snprintf(name, sizeof(name), "%s.%" PRIu32, e->name, number);
    uint64_t at = r->text.used;
    struct reeve_task_entry task = {.priority = e->priority,
                                    .time_limit_s = e->time_limit_s,
                                    .attempts_max = (uint16_t)e->attempts,
                                    .kind = REEVE_TASK_EXEC};
    if (r->task_count == REEVE_TASKS_MAX)
        return reeve_fail(r->err, REEVE_INPUT_INVALID, "%s: more than %u tasks: split them into several jobs",
                          r->yaml.name, REEVE_TASKS_MAX);
    if (r->text.used + (size_t)n + 1 + bytes + 1 > REEVE_TASK_TEXT_BYTES_MAX)
        return reeve_fail(r->err, REEVE_INPUT_INVALID,
                          "%s: names and commands of more than %" PRIu64 " bytes: put what they share into a script",
                          r->yaml.name, REEVE_TASK_TEXT_BYTES_MAX);
    r->task_count++;
    reeve_status st = tasks_append(r, &r->entries, &task, sizeof(task));
    if (st == REEVE_OK) st = tasks_append(r, &r->text_at, &at, sizeof(at));
    if (st == REEVE_OK) st = tasks_append(r, &r->text, name, (size_t)n + 1);
    if (st == REEVE_OK) st = tasks_append(r, &r->text, command, bytes);
    return st == REEVE_OK ? tasks_append(r, &r->text, "", 1) : st;
}

static bool is_blank(const char *text, size_t bytes)
{
    return strspn(text, " \t\r\n") >= bytes;
}

static reeve_status add_file(struct tasks_reader *r, const struct entry *e, uint32_t node)
{
    char path[REEVE_PATH_BYTES_MAX], *text = NULL;
    size_t bytes = 0;
    uint32_t line = 0, number = 0;
    struct reeve_error why = {0};
    reeve_status st = reeve_path_join(path, sizeof(path), r->folder, e->file, &why);
    if (st == REEVE_OK) st = reeve_file_read(path, COMMANDS_FILE_BYTES_MAX, &text, &bytes, &why);
    if (st != REEVE_OK) return reeve_yaml_fail(&r->yaml, node, r->err, st, "%s", why.text);
    /* Editors of other systems put a mark in front, which is no part of the first command. */
    size_t mark = bytes >= 3 && memcmp(text, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;
    for (char *at = text + mark, *end; at < text + bytes && st == REEVE_OK; at = end + 1) {
        end = memchr(at, '\n', (size_t)(text + bytes - at));
        if (end == NULL) end = text + bytes;
        size_t n = (size_t)(end - at);
        line++;
        if (n > 0 && at[n - 1] == '\r') n--;
        if (memchr(at, '\0', n) != NULL)
            st = reeve_fail(r->err, REEVE_INPUT_INVALID, "%s:%" PRIu32 ": holds a NUL byte; expected a command", path,
                            line);
        else if (n >= REEVE_TASK_COMMAND_BYTES)
            st = reeve_fail(r->err, REEVE_INPUT_INVALID,
                            "%s:%" PRIu32 ": a command of %zu bytes; at most %u were expected: put it into a script",
                            path, line, n, REEVE_TASK_COMMAND_BYTES - 1);
        else {
            *end = '\0';
            if (!is_blank(at, n) && at[strspn(at, " \t")] != '#') st = add_task(r, e, ++number, at, n);
        }
    }
    free(text);
    if (st == REEVE_OK && number == 0)
        st = reeve_fail(r->err, REEVE_INPUT_INVALID, "%s: no command in it; expected one in each line", path);
    return st;
}

struct matrix_task {
    struct tasks_reader *r;
    const struct entry *e;
    uint32_t number;
};

static reeve_status add_combination(void *arg, const char *command, size_t bytes)
{
    struct matrix_task *m = arg;
    return add_task(m->r, m->e, ++m->number, command, bytes);
}

static reeve_status add_command(struct tasks_reader *r, const struct entry *e, const uint32_t *given)
{
    const struct reeve_yaml *y = &r->yaml;
    char found[REEVE_YAML_FOUND_BYTES];
    const struct reeve_yaml_node *node = &y->nodes[e->command];
    bool text = node->kind == REEVE_YAML_SCALAR && !reeve_yaml_is_nothing(y, e->command);
    const char *command = text ? reeve_yaml_text(y, e->command) : "";
    if (is_blank(command, strlen(command)))
        return reeve_yaml_fail(y, e->command, r->err, REEVE_INPUT_INVALID,
                               "key 'command': expected a command, found %s", reeve_yaml_found(y, e->command, found));
    if (strlen(command) >= REEVE_TASK_COMMAND_BYTES)
        return reeve_yaml_fail(y, e->command, r->err, REEVE_INPUT_INVALID,
                               "key 'command': %zu bytes; at most %u were expected: put it into a script",
                               strlen(command), REEVE_TASK_COMMAND_BYTES - 1);
    if (given[KEY_MATRIX] == REEVE_YAML_NONE) return add_task(r, e, 0, command, strlen(command));
    struct matrix_task m = {r, e, 0};
    return reeve_tasks_matrix(y, e->matrix, command, add_combination, &m, r->err);
}

static bool is_name(const char *name)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";
    return name[0] != '\0' && strspn(name, letters) == strlen(name);
}

static reeve_status settle_name(struct tasks_reader *r, struct entry *e, const uint32_t *given)
{
    if (given[KEY_NAME] == REEVE_YAML_NONE)
        (void)snprintf(e->name, sizeof(e->name), "task%zu", tasks_span_count(r) + 1);
    else if (!is_name(e->name))
        return reeve_yaml_fail(&r->yaml, given[KEY_NAME], r->err, REEVE_INPUT_INVALID,
                               "key 'name': expected letters, digits, '_' and '-', found '%.60s'", e->name);
    return REEVE_OK;
}

static reeve_status read_entry(struct tasks_reader *r, uint32_t node)
{
    struct entry e;
    uint32_t given[KEY_COUNT];
    char found[REEVE_YAML_FOUND_BYTES];
    const struct reeve_yaml *y = &r->yaml;
    if (y->nodes[node].kind != REEVE_YAML_MAPPING)
        return reeve_yaml_fail(y, node, r->err, REEVE_INPUT_INVALID,
                               "expected a task such as {command: ./fit.sh}, found %s",
                               reeve_yaml_found(y, node, found));
    memset(&e, 0, sizeof(e));
    reeve_status st = reeve_keys_read(&entry_table, y, node, &e, given, r->err);
    if (st == REEVE_OK) st = settle_name(r, &e, given);
    if (st != REEVE_OK) return st;
    if (given[KEY_TIME_LIMIT] == REEVE_YAML_NONE) e.time_limit_s = r->job->exec.time_limit_s;
    if (given[KEY_ATTEMPTS] == REEVE_YAML_NONE) e.attempts = r->job->faults.attempts_max;
    bool file = given[KEY_FILE] != REEVE_YAML_NONE;
    if (file == (given[KEY_COMMAND] != REEVE_YAML_NONE))
        return reeve_yaml_fail(y, node, r->err, REEVE_INPUT_INVALID,
                               "task '%s': expected either 'command' or 'file', found %s", e.name,
                               file ? "both" : "none");
    if (file && given[KEY_MATRIX] != REEVE_YAML_NONE)
        return reeve_yaml_fail(y, given[KEY_MATRIX], r->err, REEVE_INPUT_INVALID,
                               "key 'matrix': needs a 'command' to put its values into; 'file' is taken as it stands");
    struct reeve_task_span s = {
        .node = node, .first = r->task_count, .after = given[KEY_AFTER], .after_any = given[KEY_AFTER_ANY]};
    memcpy(s.name, e.name, sizeof(s.name));
    st = file ? add_file(r, &e, given[KEY_FILE]) : add_command(r, &e, given);
    s.count = r->task_count - s.first;
    return st == REEVE_OK ? tasks_append(r, &r->spans, &s, sizeof(s)) : st;
}

static reeve_status build(struct tasks_reader *r, struct reeve_task_list **out)
{
    struct reeve_task_list *l = NULL;
    uint32_t afters = (uint32_t)(r->afters.used / sizeof(uint32_t));
    reeve_status st = reeve_task_list_create(r->task_count, afters, r->text.used, &l, r->err);
    if (st != REEVE_OK) return st;
    memcpy(l->entries, r->entries.bytes, r->entries.used);
    l->entries[r->task_count].first_after = afters;
    if (afters > 0) memcpy(l->afters, r->afters.bytes, r->afters.used);
    memcpy(l->text_at, r->text_at.bytes, r->text_at.used);
    memcpy(l->text, r->text.bytes, r->text.used);
    l->folder = strdup(r->job->exec.folder);
    if (l->folder == NULL) st = reeve_fail(r->err, REEVE_JOB_NO_MEMORY, "tasks of %s: out of memory", r->yaml.name);
    if (st == REEVE_OK) st = reeve_task_list_check(l, r->err);
    if (st == REEVE_INPUT_INVALID) (void)reeve_error_context(r->err, "%s", r->yaml.name);
    l->digest = reeve_task_list_digest(l);
    if (st == REEVE_OK) *out = l;
    else reeve_task_list_destroy(l);
    return st;
}

static reeve_status read_tasks(struct tasks_reader *r, uint32_t node)
{
    const struct reeve_yaml *y = &r->yaml;
    char found[REEVE_YAML_FOUND_BYTES];
    if (y->nodes[node].kind == REEVE_YAML_SCALAR && !reeve_yaml_is_nothing(y, node) &&
        reeve_yaml_text(y, node)[0] != '\0') { /* tasks: commands.txt */
        struct entry e = {0};
        (void)snprintf(e.name, sizeof(e.name), "line");
        int n = snprintf(e.file, sizeof(e.file), "%s", reeve_yaml_text(y, node));
        if ((size_t)n >= sizeof(e.file))
            return reeve_yaml_fail(y, node, r->err, REEVE_INPUT_INVALID,
                                   "key 'tasks': the name of a file of %d bytes; at most %zu were expected", n,
                                   sizeof(e.file) - 1);
        e.time_limit_s = r->job->exec.time_limit_s;
        e.attempts = r->job->faults.attempts_max;
        return add_file(r, &e, node);
    }
    if (y->nodes[node].kind != REEVE_YAML_LIST || y->nodes[node].count == 0)
        return reeve_yaml_fail(
            y, node, r->err, REEVE_INPUT_INVALID,
            "key 'tasks': expected a list of tasks, or the name of a file with a command in each line, "
            "found %s",
            y->nodes[node].kind == REEVE_YAML_LIST ? "an empty list" : reeve_yaml_found(y, node, found));
    reeve_status st = REEVE_OK;
    for (uint32_t at = y->nodes[node].first; at != REEVE_YAML_NONE && st == REEVE_OK; at = y->nodes[at].next)
        st = read_entry(r, at);
    return st == REEVE_OK ? tasks_link(r) : st;
}

reeve_status reeve_tasks_read(const char *job_path, const struct reeve_job *job, struct reeve_task_list **out,
                              struct reeve_error *err)
{
    struct tasks_reader r = {.job = job, .err = err};
    reeve_path_dirname(job_path, r.folder, sizeof(r.folder));
    reeve_status st = reeve_yaml_read(job_path, JOB_FILE_BYTES_MAX, &r.yaml, err);
    if (st != REEVE_OK) return st;
    uint32_t node = reeve_yaml_find(&r.yaml, 0, "tasks");
    if (node == REEVE_YAML_NONE)
        st = reeve_yaml_fail(&r.yaml, 0, err, REEVE_INPUT_INVALID,
                             "key 'tasks': missing; expected a list of tasks, or the name of a file with a command in "
                             "each line");
    if (st == REEVE_OK) st = read_tasks(&r, node);
    if (st == REEVE_OK) st = build(&r, out);
    free(r.afters.bytes);
    free(r.text.bytes);
    free(r.text_at.bytes);
    free(r.entries.bytes);
    reeve_task_names_fini(&r.names);
    free(r.spans.bytes);
    reeve_yaml_fini(&r.yaml);
    return st;
}
