/* See checkpointer.h. One job at a time: a commit, or the retention after it; a commit waits for a retention. */
#include "run/checkpointer.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/log.h"
#include "core/job.h"

enum job_kind { JOB_NONE = 0, JOB_COMMIT, JOB_RETAIN };

struct reeve_checkpointer {
    const char *run_dir; /* borrowed */
    uint32_t keep;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stopping;
    bool commit_waiting, retain_waiting, commit_ended; /* under lock */
    struct reeve_checkpoint_meta meta;
    struct reeve_checkpoint_part *parts; /* (parts_max,) owned */
    uint32_t part_count, parts_max;
    uint64_t queue_words[4]; /* /queue/snapshot: where the queue was at the cut; what it was is in the journal */
    uint64_t digest64;
    struct reeve_error error;
    struct reeve_master_checkpoint retained[REEVE_CHECKPOINTS_MAX];
    uint32_t retained_count;
};

static void run_commit(reeve_checkpointer *c)
{
    struct reeve_digest digest = {{0}};
    struct reeve_error err = {0};
    reeve_status st = reeve_checkpoint_commit(c->run_dir, c->meta.step, c->meta.epoch, &c->meta, c->parts,
                                              c->part_count, c->queue_words, sizeof(c->queue_words), &digest, &err);
    pthread_mutex_lock(&c->lock);
    err.status = st;
    c->error = err;
    memcpy(&c->digest64, digest.bytes, 8);
    c->commit_waiting = false;
    c->commit_ended = true;
    pthread_mutex_unlock(&c->lock);
}

/* Never delete the older before the newer has been read back. */
static void run_retain(reeve_checkpointer *c, const struct reeve_master_checkpoint *list, uint32_t count)
{
    struct reeve_error err = {0};
    reeve_checkpoint *newest = NULL;
    reeve_status st = reeve_checkpoint_open(c->run_dir, list[0].step, &list[0].digest64, &newest, &err);
    if (st == REEVE_OK) st = reeve_checkpoint_verify(newest, NULL, &err);
    reeve_checkpoint_close(newest);
    if (st != REEVE_OK) {
        reeve_log(REEVE_LOG_WARN, "checkpoint of step %llu does not read back, so nothing older is deleted: %s",
                  (unsigned long long)list[0].step, err.text);
        return;
    }
    uint64_t keep[REEVE_CHECKPOINTS_MAX];
    uint32_t n = count < c->keep ? count : c->keep;
    for (uint32_t i = 0; i < n; i++)
        keep[i] = list[i].step;
    if (reeve_checkpoint_sweep(c->run_dir, keep, n, &err) != REEVE_OK)
        reeve_log(REEVE_LOG_WARN, "old checkpoints were not all removed: %s", err.text);
}

static void *checkpointer_main(void *arg)
{
    reeve_checkpointer *c = arg;
    for (;;) {
        pthread_mutex_lock(&c->lock);
        while (!c->stopping && !c->retain_waiting && !(c->commit_waiting && !c->commit_ended))
            pthread_cond_wait(&c->wake, &c->lock);
        bool commit = c->commit_waiting;
        bool retain = c->retain_waiting && !commit;
        struct reeve_master_checkpoint list[REEVE_CHECKPOINTS_MAX];
        uint32_t count = c->retained_count;
        if (retain) {
            memcpy(list, c->retained, sizeof(list));
            c->retain_waiting = false;
        }
        bool stop = c->stopping && !commit && !retain;
        pthread_mutex_unlock(&c->lock);
        if (stop) return NULL;
        if (commit) run_commit(c);
        if (retain) run_retain(c, list, count);
    }
}

reeve_status reeve_checkpointer_create(const char *run_dir, uint32_t keep, uint32_t workers_max,
                                       reeve_checkpointer **out, struct reeve_error *err)
{
    reeve_checkpointer *c = calloc(1, sizeof(*c));
    if (c == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "checkpointer: out of memory");
    c->run_dir = run_dir;
    c->keep = keep < 1 ? 1 : (keep > REEVE_CHECKPOINTS_MAX ? REEVE_CHECKPOINTS_MAX : keep);
    c->parts_max = workers_max;
    c->parts = calloc(workers_max, sizeof(*c->parts));
    pthread_mutex_init(&c->lock, NULL);
    pthread_cond_init(&c->wake, NULL);
    if (c->parts != NULL) c->started = pthread_create(&c->thread, NULL, checkpointer_main, c) == 0;
    if (!c->started) {
        reeve_checkpointer_destroy(c);
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "cannot start the checkpoint thread");
    }
    *out = c;
    return REEVE_OK;
}

void reeve_checkpointer_destroy(reeve_checkpointer *c)
{
    if (c == NULL) return;
    if (c->started) {
        pthread_mutex_lock(&c->lock);
        c->stopping = true;
        pthread_cond_signal(&c->wake);
        pthread_mutex_unlock(&c->lock);
        pthread_join(c->thread, NULL);
    }
    pthread_cond_destroy(&c->wake);
    pthread_mutex_destroy(&c->lock);
    free(c->parts);
    free(c);
}

reeve_status reeve_checkpointer_commit(reeve_checkpointer *c, const struct reeve_checkpoint_meta *meta,
                                       const struct reeve_master_cut *cut, struct reeve_error *err)
{
    pthread_mutex_lock(&c->lock);
    bool busy = c->commit_waiting || c->commit_ended;
    pthread_mutex_unlock(&c->lock);
    if (busy || cut->part_count > c->parts_max)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "checkpoint of step %llu: one is being committed already",
                          (unsigned long long)cut->step);
    /* The thread reads these only while commit_waiting is set. */
    c->meta = *meta;
    c->meta.step = cut->step;
    c->meta.lsn = cut->lsn;
    c->meta.queue_digest = cut->queue_digest;
    memcpy(c->meta.weights_digest.bytes, &cut->weights[0], 8);
    memcpy(c->meta.weights_digest.bytes + 8, &cut->weights[1], 8);
    c->part_count = cut->part_count;
    for (uint32_t i = 0; i < cut->part_count; i++)
        c->parts[i] = (struct reeve_checkpoint_part){.part = i,
                                                     .tensor_count = cut->parts[i].tensor_count,
                                                     .file_bytes = cut->parts[i].file_bytes,
                                                     .digest = cut->parts[i].digest};
    c->queue_words[0] = cut->step;
    c->queue_words[1] = cut->lsn;
    c->queue_words[2] = cut->queue_digest;
    c->queue_words[3] = meta->run_id;
    pthread_mutex_lock(&c->lock);
    c->commit_waiting = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    return REEVE_OK;
}

bool reeve_checkpointer_poll(reeve_checkpointer *c, uint64_t *step, uint64_t *digest64, struct reeve_error *err)
{
    pthread_mutex_lock(&c->lock);
    bool ended = c->commit_ended;
    c->commit_ended = false;
    *step = c->meta.step;
    *digest64 = c->digest64;
    *err = c->error;
    pthread_mutex_unlock(&c->lock);
    return ended;
}

void reeve_checkpointer_retain(reeve_checkpointer *c, const struct reeve_master_checkpoint *checkpoints, uint32_t count)
{
    if (count == 0) return;
    pthread_mutex_lock(&c->lock);
    c->retained_count = count < REEVE_CHECKPOINTS_MAX ? count : REEVE_CHECKPOINTS_MAX;
    memcpy(c->retained, checkpoints, sizeof(*checkpoints) * c->retained_count);
    c->retain_waiting = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
}
