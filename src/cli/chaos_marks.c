/* See chaos.h. */
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "cli/chaos.h"

#define LINE_BYTES 4096 /* the row of a step is far shorter: what is longer is none */

static void add_mark(struct reeve_chaos_marks *m, const struct reeve_chaos_mark *mark)
{
    if (m->count == m->room) {
        size_t room = m->room == 0 ? 1024 : 2 * m->room;
        void *grown = reallocarray(m->list, room, sizeof(*m->list));
        if (grown == NULL) return; /* fewer marks: a recovery may look longer than it was */
        m->list = grown;
        m->room = room;
    }
    m->list[m->count++] = *mark;
}

/* A line without "event" is a committed step. */
static void take_line(struct reeve_chaos_marks *m, const char *line, size_t bytes)
{
    json_t *o = json_loadb(line, bytes, 0, NULL);
    const json_t *time = json_object_get(o, "time"), *step = json_object_get(o, "step");
    double time_s = json_number_value(time); /* 0: it is none. One beyond 64-bit nanoseconds is as good as none */
    if (time_s > 0.0 && time_s < 9.0e9 && json_is_integer(step) && json_object_get(o, "event") == NULL)
        add_mark(m, &(struct reeve_chaos_mark){
                        .wall_ns = (int64_t)(time_s * 1e9),
                        .step = (uint64_t)json_integer_value(step),
                        .epoch = (uint32_t)json_integer_value(json_object_get(o, "membership_epoch")),
                        .workers = (uint32_t)json_integer_value(json_object_get(o, "workers")),
                    });
    json_decref(o);
}

/* Of a longer line the beginning is kept. False: the end, or a line that is being written. */
static bool next_line(FILE *file, char line[LINE_BYTES], size_t *bytes)
{
    *bytes = 0;
    for (int c; (c = getc_unlocked(file)) != EOF; (*bytes)++) {
        if (c == '\n') return true;
        if (*bytes < LINE_BYTES) line[*bytes] = (char)c;
    }
    return false;
}

void reeve_chaos_marks_read(struct reeve_chaos_marks *m, const char *run_dir)
{
    char path[REEVE_PATH_BYTES_MAX], line[LINE_BYTES];
    if (m->file == NULL && reeve_path_join(path, sizeof(path), run_dir, "metrics.jsonl", NULL) == REEVE_OK)
        m->file = fopen(path, "re");
    if (m->file == NULL) return;
    for (;;) {
        size_t bytes = 0;
        long at = ftell(m->file);
        if (!next_line(m->file, line, &bytes)) {
            (void)fseek(m->file, at, SEEK_SET);
            clearerr(m->file);
            return;
        }
        if (bytes <= sizeof(line)) take_line(m, line, bytes);
    }
}

void reeve_chaos_marks_fini(struct reeve_chaos_marks *m)
{
    if (m->file != NULL) (void)fclose(m->file);
    free(m->list);
    *m = (struct reeve_chaos_marks){0};
}

int64_t reeve_chaos_marks_back(const struct reeve_chaos_marks *m, int64_t from_wall_ns, int64_t end_wall_ns)
{
    int64_t back = 0;
    for (size_t i = 0; i < m->count && m->list[i].wall_ns < end_wall_ns; i++) {
        const struct reeve_chaos_mark *mark = &m->list[i], *before = i > 0 ? mark - 1 : NULL;
        if (mark->wall_ns <= from_wall_ns || (before != NULL && mark->epoch <= before->epoch)) continue;
        bool joined = before != NULL && mark->workers > before->workers;
        if (back == 0 || !joined) back = mark->wall_ns;
    }
    return back;
}

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double reeve_chaos_marks_step_s(const struct reeve_chaos_marks *m)
{
    double *took = m->count > 1 ? calloc(m->count, sizeof(*took)) : NULL;
    size_t n = 0;
    if (took == NULL) return 0.0;
    for (size_t i = 1; i < m->count; i++)
        if (m->list[i].step == m->list[i - 1].step + 1)
            took[n++] = (double)(m->list[i].wall_ns - m->list[i - 1].wall_ns) * 1e-9;
    if (n > 0) qsort(took, n, sizeof(*took), by_value);
    double median = n > 0 ? took[n / 2] : 0.0;
    free(took);
    return median;
}
