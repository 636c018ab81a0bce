/* Writing and reading starts.jsonl; see starts_file.h. */
#include "export/starts_file.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/error.h"
#include "base/one_line.h"
#include "base/path.h"
#include "export/line_file.h"

#define FILE_NAME "starts.jsonl"

/* ---- writing ---- */

static bool set(json_t *o, const char *key, json_t *value)
{
    return json_object_set_new(o, key, value) == 0;
}

static bool set_u64(json_t *o, const char *key, uint64_t v)
{
    return set(o, key, json_integer((json_int_t)v));
}

/* Every line says what, when, and of which start. */
static json_t *line_of(const char *event, uint32_t epoch, bool *whole)
{
    json_t *o = json_object();
    *whole = o != NULL && set(o, "event", json_string(event)) &&
             set(o, "time", json_real((double)reeve_clock_wall_ns() / 1e9)) && set_u64(o, "epoch", epoch);
    return o;
}

/* Steals the object. */
static reeve_status append(const char *run_dir, json_t *o, bool whole, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_line_file *f = NULL;
    reeve_status st = reeve_path_join(path, sizeof(path), run_dir, FILE_NAME, err);
    if (st == REEVE_OK) st = reeve_lines_open(path, &f, err);
    if (st != REEVE_OK) {
        json_decref(o);
        return st;
    }
    st = reeve_lines_append(f, o, whole, err);
    reeve_lines_close(f);
    return st;
}

reeve_status reeve_starts_append_start(const char *run_dir, const struct reeve_start *s, struct reeve_error *err)
{
    bool whole;
    json_t *o = line_of("start", s->epoch, &whole);
    whole = whole && set_u64(o, "step", s->step) && set_u64(o, "workers", s->workers);
    if (s->job_id != 0)
        whole = whole && set_u64(o, "job_id", s->job_id) && set_u64(o, "restart_count", s->restart_count);
    return append(run_dir, o, whole, err);
}

reeve_status reeve_starts_append_joined(const char *run_dir, const struct reeve_start *s, struct reeve_error *err)
{
    bool whole;
    json_t *o = line_of("joined", s->epoch, &whole);
    whole = whole && set(o, "hosts", json_string(s->hosts));
    return append(run_dir, o, whole, err);
}

reeve_status reeve_starts_append_end(const char *run_dir, const struct reeve_start *s, struct reeve_error *err)
{
    bool whole;
    json_t *o = line_of("end", s->epoch, &whole);
    whole = whole && set(o, "cause", json_string(reeve_cause_name(s->cause))) &&
            set(o, "exit_code", json_integer(s->exit_code)) && set_u64(o, "last_step", s->last_step) &&
            set_u64(o, "checkpoint", s->checkpoint);
    return append(run_dir, o, whole, err);
}

reeve_status reeve_starts_append_requeued(const char *run_dir, const struct reeve_start *s, struct reeve_error *err)
{
    bool whole;
    json_t *o = line_of("requeued", s->epoch, &whole);
    whole = whole && set_u64(o, "job_id", s->job_id) && set_u64(o, "restart_count", s->restart_count) &&
            set(o, "cause", json_string(reeve_cause_name(s->cause))) && set_u64(o, "checkpoint", s->checkpoint);
    return append(run_dir, o, whole, err);
}

reeve_status reeve_starts_append_submitted(const char *run_dir, const struct reeve_start *s, struct reeve_error *err)
{
    bool whole;
    json_t *o = line_of("submitted", 0, &whole);
    whole = whole && set_u64(o, "job_id", s->job_id);
    return append(run_dir, o, whole, err);
}

/* ---- reading ---- */

static uint64_t u64_of(const json_t *o, const char *key)
{
    json_int_t v = json_integer_value(json_object_get(o, key)); /* 0 where there is none */
    return v > 0 ? (uint64_t)v : 0;
}

static uint32_t u32_of(const json_t *o, const char *key)
{
    uint64_t v = u64_of(o, key);
    return v <= UINT32_MAX ? (uint32_t)v : 0;
}

static int64_t wall_ns_of(const json_t *o)
{
    double time_s = json_number_value(json_object_get(o, "time"));
    return time_s > 0.0 && time_s < 9.0e9 ? (int64_t)(time_s * 1e9) : 0;
}

static enum reeve_cause cause_of(const json_t *o)
{
    const char *word = json_string_value(json_object_get(o, "cause"));
    for (enum reeve_cause c = REEVE_CAUSE_COMPLETE; word != NULL && c < REEVE_CAUSE_COUNT; c++)
        if (strcmp(word, reeve_cause_name(c)) == 0) return c;
    return REEVE_CAUSE_CRASH; /* a word of a later version: an end that this one does not understand */
}

static bool push_start(struct reeve_starts *all, const json_t *o)
{
    struct reeve_start *grown = reallocarray(all->start, (size_t)all->count + 1, sizeof(*grown));
    if (grown == NULL) return false;
    all->start = grown;
    grown[all->count++] = (struct reeve_start){
        .epoch = u32_of(o, "epoch"),
        .began_wall_ns = wall_ns_of(o),
        .step = u64_of(o, "step"),
        .workers = u32_of(o, "workers"),
        .job_id = u64_of(o, "job_id"),
        .restart_count = u32_of(o, "restart_count"),
    };
    return true;
}

/* The start that a later line speaks of: the newest with this epoch. */
static struct reeve_start *find(const struct reeve_starts *all, uint32_t epoch)
{
    for (uint32_t i = all->count; i > 0; i--)
        if (all->start[i - 1].epoch == epoch) return &all->start[i - 1];
    return NULL;
}

static void take_end(struct reeve_start *s, const json_t *o)
{
    s->ended = true;
    s->ended_wall_ns = wall_ns_of(o);
    s->cause = cause_of(o);
    s->exit_code = (int)json_integer_value(json_object_get(o, "exit_code"));
    s->last_step = u64_of(o, "last_step");
    s->checkpoint = u64_of(o, "checkpoint");
}

static void take_requeued(struct reeve_starts *all, struct reeve_start *s, const json_t *o)
{
    uint64_t checkpoint = u64_of(o, "checkpoint");
    all->barren = checkpoint > all->saved ? 0 : all->barren + 1;
    all->saved = checkpoint;
    if (s == NULL) return;
    s->queued_again = true;
    if (!s->ended) s->cause = cause_of(o);
}

static bool take_line(void *arg, const json_t *o)
{
    struct reeve_starts *all = arg;
    const char *event = json_string_value(json_object_get(o, "event"));
    struct reeve_start *s = find(all, u32_of(o, "epoch"));
    if (event == NULL) return true;
    if (u64_of(o, "job_id") != 0) all->job_id = u64_of(o, "job_id");
    if (strcmp(event, "start") == 0) return push_start(all, o);
    if (strcmp(event, "requeued") == 0) take_requeued(all, s, o);
    if (s == NULL) return true;
    const char *hosts = json_string_value(json_object_get(o, "hosts"));
    if (strcmp(event, "joined") == 0 && hosts != NULL) {
        (void)snprintf(s->hosts, sizeof(s->hosts), "%s", hosts);
        reeve_one_line(s->hosts); /* the run may be somebody else's, and people are shown them */
    }
    if (strcmp(event, "end") == 0) take_end(s, o);
    return true; /* events of a later version are passed over */
}

/* What nobody was there to write down. */
static void conclude(struct reeve_starts *all)
{
    for (uint32_t i = 0; i < all->count; i++) {
        struct reeve_start *s = &all->start[i];
        const struct reeve_start *next = i + 1 < all->count ? s + 1 : NULL;
        if (!s->ended && s->cause == REEVE_CAUSE_NONE && next != NULL) {
            bool came_back = s->job_id != 0 && next->job_id == s->job_id && next->restart_count > s->restart_count;
            s->cause = came_back ? REEVE_CAUSE_NODE_FAILURE : REEVE_CAUSE_CRASH;
        }
        all->causes[s->cause]++;
    }
}

reeve_status reeve_starts_read(const char *run_dir, struct reeve_starts *out, struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    uint64_t skipped = 0;
    memset(out, 0, sizeof(*out));
    reeve_status st = reeve_path_join(path, sizeof(path), run_dir, FILE_NAME, err);
    if (st != REEVE_OK || !reeve_path_exists(path)) return st;
    st = reeve_lines_read(path, take_line, out, &skipped, err);
    if (st != REEVE_OK) reeve_starts_fini(out);
    else conclude(out);
    return st;
}

void reeve_starts_fini(struct reeve_starts *starts)
{
    free(starts->start);
    memset(starts, 0, sizeof(*starts));
}
