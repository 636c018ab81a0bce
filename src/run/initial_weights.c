/* See initial_weights.h. */
#include "run/initial_weights.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "store/checkpoint.h"

#define KEY "key 'model.init_from'"
#define EPOCH 1 /* of the copy: one start makes it, which holds the run */

void reeve_initial_weights_dir(const char *run_dir, char out[REEVE_PATH_BYTES_MAX])
{
    (void)snprintf(out, REEVE_PATH_BYTES_MAX, "%s/initial", run_dir);
}

/* ---- where they come from ---- */

/* RUN/checkpoint/step-N, with all links followed: its run and N. */
static bool is_checkpoint(const char *path, char run_dir[REEVE_PATH_BYTES_MAX], uint64_t *step)
{
    char parent[REEVE_PATH_BYTES_MAX], named[REEVE_PATH_BYTES_MAX];
    const char *name = strrchr(path, '/');
    int end = 0;
    if (name == NULL || sscanf(name + 1, "step-%10" SCNu64 "%n", step, &end) != 1 || name[1 + end] != '\0')
        return false;
    reeve_path_dirname(path, parent, sizeof(parent));
    reeve_path_dirname(parent, run_dir, REEVE_PATH_BYTES_MAX);
    reeve_checkpoint_dir(run_dir, *step, named, sizeof(named));
    return strcmp(named, path) == 0;
}

static reeve_status find_source(const char *given, char run_dir[REEVE_PATH_BYTES_MAX], uint64_t *step,
                                struct reeve_error *err)
{
    char *path = realpath(given, NULL);
    if (path == NULL) return reeve_fail(err, reeve_status_from_errno_read(errno), KEY ": %s: %m", given);
    bool found = is_checkpoint(path, run_dir, step);
    if (!found && strlen(path) < REEVE_PATH_BYTES_MAX) {
        (void)snprintf(run_dir, REEVE_PATH_BYTES_MAX, "%s", path);
        found = reeve_checkpoint_newest_name(run_dir, step);
    }
    free(path);
    if (found) return REEVE_OK;
    return reeve_fail(err, REEVE_INPUT_INVALID,
                      KEY ": %s is neither a run that has a checkpoint, nor a checkpoint of one "
                          "(RUN/checkpoint/step-NNNNNNNNNN)",
                      given);
}

static reeve_status open_source(const char *given, reeve_checkpoint **out, struct reeve_error *err)
{
    char run_dir[REEVE_PATH_BYTES_MAX];
    uint64_t step = 0;
    reeve_status st = find_source(given, run_dir, &step, err);
    if (st != REEVE_OK) return st;
    st = reeve_checkpoint_open(run_dir, step, NULL, out, err);
    return st == REEVE_OK ? st : reeve_error_context(err, KEY);
}

reeve_status reeve_initial_weights_resolve(struct reeve_job *job, const struct reeve_job *stored,
                                           struct reeve_error *err)
{
    const char *from = job->model.init_from, *before = stored->model.init_from;
    if ((from[0] == '\0') != (before[0] == '\0'))
        return reeve_fail(err, REEVE_STORE_MISMATCH,
                          "the run was begun with %s, the job says %s: that would be another training; change "
                          "model.init_from back, or choose another --run-dir",
                          before[0] == '\0' ? "the weights of its seed" : before,
                          from[0] == '\0' ? "those of its seed" : from);
    if (from[0] == '\0' || job->model.init_weights[0] != '\0') return REEVE_OK;
    if (strcmp(from, before) == 0) {
        memcpy(job->model.init_weights, stored->model.init_weights, sizeof(job->model.init_weights));
        return REEVE_OK;
    }
    reeve_checkpoint *source = NULL;
    reeve_status st = open_source(from, &source, err);
    if (st != REEVE_OK) return st;
    reeve_digest_hex(reeve_checkpoint_meta(source)->weights_digest, job->model.init_weights);
    reeve_checkpoint_close(source);
    return REEVE_OK;
}

/* ---- the copy ---- */

struct weights {
    struct reeve_tensor *tensors; /* owned; (count,) */
    float *data;                  /* owned: all of them, one behind the other */
    uint32_t count;
};

static void weights_fini(struct weights *w)
{
    free(w->tensors);
    free(w->data);
}

/* The index was checked against the sizes of its files: what it says can be allocated if it can be held at all. */
static reeve_status read_weights(const reeve_checkpoint *source, struct weights *w, struct reeve_error *err)
{
    uint32_t all = reeve_checkpoint_tensor_count(source);
    uint64_t elements = 0;
    w->tensors = calloc(all + (size_t)1, sizeof(*w->tensors));
    if (w->tensors == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, KEY ": out of memory");
    for (uint32_t i = 0; i < all; i++) {
        struct reeve_tensor *t = &w->tensors[w->count];
        reeve_checkpoint_tensor(source, i, t);
        if (t->group != REEVE_TENSOR_MODEL) continue;
        elements += reeve_tensor_elements(t);
        w->count++;
    }
    w->data = malloc((elements + 1) * sizeof(float));
    if (w->data == NULL)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, KEY ": no memory for %.1f MB of weights", (double)elements * 4e-6);
    float *at = w->data;
    for (uint32_t i = 0; i < w->count; i++) {
        w->tensors[i].data = at;
        at += reeve_tensor_elements(&w->tensors[i]);
    }
    reeve_status st = reeve_checkpoint_read_some(source, w->tensors, w->count, err);
    if (st == REEVE_OK &&
        !reeve_digest_equal(reeve_weights_digest(w->tensors, w->count), reeve_checkpoint_meta(source)->weights_digest))
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "its weights have another digest than its index says");
    return st == REEVE_OK ? st : reeve_error_context(err, KEY);
}

/* Made by a start that was cut short, or by another one beside this that will hold the run: not to be taken from it. */
static bool is_there(const char *dir, struct reeve_digest weights)
{
    reeve_checkpoint *c = NULL;
    if (reeve_checkpoint_open(dir, 0, NULL, &c, NULL) != REEVE_OK) return false;
    bool there = reeve_digest_equal(reeve_checkpoint_meta(c)->weights_digest, weights) &&
                 reeve_checkpoint_verify(c, NULL, NULL) == REEVE_OK;
    reeve_checkpoint_close(c);
    return there;
}

/* All that the index tells of where they come from stays; the queue of that run is not ours. */
static reeve_status write_weights(const char *run_dir, const struct reeve_checkpoint_meta *from,
                                  const struct weights *w, struct reeve_error *err)
{
    char dir[REEVE_PATH_BYTES_MAX];
    struct reeve_checkpoint_part part;
    struct reeve_digest index_digest;
    struct reeve_checkpoint_meta meta = *from;
    meta.lsn = meta.queue_digest = 0;
    reeve_initial_weights_dir(run_dir, dir);
    if (is_there(dir, from->weights_digest)) return REEVE_OK;
    reeve_status st = reeve_remove_tree(dir, err);
    if (st == REEVE_OK) st = reeve_checkpoint_begin(dir, 0, EPOCH, err);
    if (st == REEVE_OK) st = reeve_checkpoint_write_part(dir, 0, EPOCH, 0, w->tensors, w->count, &part, err);
    if (st == REEVE_OK) st = reeve_checkpoint_commit(dir, 0, EPOCH, &meta, &part, 1, NULL, 0, &index_digest, err);
    return st;
}

static reeve_status copy(const char *run_dir, struct reeve_job *job, const reeve_checkpoint *source,
                         struct reeve_error *err)
{
    const struct reeve_checkpoint_meta *meta = reeve_checkpoint_meta(source);
    struct weights w = {0};
    char hex[REEVE_DIGEST_HEX_BYTES];
    reeve_digest_hex(meta->weights_digest, hex);
    if (job->model.init_weights[0] != '\0' && strcmp(job->model.init_weights, hex) != 0)
        return reeve_fail(err, REEVE_INPUT_CHANGED,
                          KEY ": %s has the weights %s after step %" PRIu64
                              ", model.init_weights asks for %s: name the checkpoint that has those",
                          job->model.init_from, hex, meta->step, job->model.init_weights);
    reeve_status st = read_weights(source, &w, err);
    if (st == REEVE_OK) st = write_weights(run_dir, meta, &w, err);
    if (st == REEVE_OK) {
        memcpy(job->model.init_weights, hex, sizeof(hex));
        reeve_log(REEVE_LOG_INFO, "begins with the weights of %s after step %" PRIu64 ": %s", job->model.init_from,
                  meta->step, hex);
    }
    weights_fini(&w);
    return st;
}

reeve_status reeve_initial_weights_copy(const char *run_dir, struct reeve_job *job, struct reeve_error *err)
{
    _Static_assert(sizeof(job->model.init_weights) == REEVE_DIGEST_HEX_BYTES, "a digest in hex");
    reeve_checkpoint *source = NULL;
    if (job->model.init_from[0] == '\0') return REEVE_OK;
    reeve_status st = open_source(job->model.init_from, &source, err);
    if (st != REEVE_OK) return st;
    st = copy(run_dir, job, source, err);
    reeve_checkpoint_close(source);
    return st;
}

/* ---- a worker ---- */

reeve_status reeve_initial_weights_read(const char *run_dir, const struct reeve_job *job,
                                        const struct reeve_tensor *tensors, uint32_t tensor_count,
                                        struct reeve_error *err)
{
    char dir[REEVE_PATH_BYTES_MAX], hex[REEVE_DIGEST_HEX_BYTES];
    reeve_checkpoint *c = NULL;
    reeve_initial_weights_dir(run_dir, dir);
    reeve_status st = reeve_checkpoint_open(dir, 0, NULL, &c, err);
    if (st == REEVE_OK) st = reeve_checkpoint_read(c, tensors, tensor_count, err);
    reeve_checkpoint_close(c);
    reeve_digest_hex(reeve_weights_digest(tensors, tensor_count), hex);
    if (st == REEVE_OK && strcmp(hex, job->model.init_weights) != 0)
        st = reeve_fail(err, REEVE_STORE_CORRUPT,
                        "%s: holds the weights %s, model.init_weights in %s/job.yaml says '%s'", dir, hex, run_dir,
                        job->model.init_weights);
    if (st == REEVE_STORE_MISMATCH)
        return reeve_error_context(err,
                                   KEY ": they need the model and the vocabulary that they were trained with, and a "
                                       "run-dir of their own");
    return st == REEVE_OK ? st : reeve_error_context(err, KEY);
}
