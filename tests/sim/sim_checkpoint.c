/* Checkpoint folders, and the thread that commits and sweeps them. A folder step-N.tmp-EPOCH collects parts; commit puts
 * an index over them and gives it the name step-N, in place of one that had it, unless a later epoch has committed that; a
 * sweep removes what is not kept, up to the newest kept: the rules of store/checkpoint.h. What has its name is durable; what
 * has not is garbage. */
#include <stdlib.h>
#include <string.h>

#include "base/digest.h"
#include "base/error.h"
#include "checkers.h"
#include "run/checkpointer.h"
#include "sim.h"

#define FOLDERS_MAX 64u
#define KEEP_MAX 64u

struct part {
    bool there;
    uint64_t word[SIM_TENSORS]; /* tensor t is in part t % parts */
    uint64_t digest;
};

struct folder {
    bool used, named; /* named: step-N; otherwise step-N.tmp-EPOCH */
    bool index_damaged, part_damaged;
    uint64_t step;
    uint32_t epoch, part_count;
    struct part part[SIM_WORKERS_MAX];
    struct reeve_checkpoint_meta meta;
    uint64_t digest64;
};

struct sim_checkpoints {
    struct folder folder[FOLDERS_MAX];
    uint32_t count; /* slots that were ever used */
};

struct reeve_checkpoint {
    struct reeve_checkpoint_meta meta;
};

struct sim_checkpoints *sim_checkpoints_create(void)
{
    struct sim_checkpoints *c = calloc(1, sizeof(*c));
    REEVE_ASSERT(c != NULL);
    return c;
}

void sim_checkpoints_destroy(struct sim_checkpoints *c)
{
    free(c);
}

static struct folder *find(struct sim *s, uint64_t step, uint32_t epoch, bool named)
{
    for (uint32_t i = 0; i < s->checkpoints->count; i++) {
        struct folder *f = &s->checkpoints->folder[i];
        if (f->used && f->named == named && f->step == step && (named || f->epoch == epoch)) return f;
    }
    return NULL;
}

static struct folder *make(struct sim *s)
{
    struct sim_checkpoints *c = s->checkpoints;
    for (uint32_t i = 0; i < FOLDERS_MAX; i++) {
        if (c->folder[i].used) continue;
        memset(&c->folder[i], 0, sizeof(c->folder[i]));
        c->folder[i].used = true;
        if (i >= c->count) c->count = i + 1;
        return &c->folder[i];
    }
    REEVE_ASSERT(!"more checkpoint folders than a history should leave");
    return NULL;
}

static uint64_t part_digest(const struct part *p)
{
    return reeve_digest64(p->word, sizeof(p->word), 0);
}

/* ---- the master's and the workers' calls (store/checkpoint.h) ---- */

reeve_status reeve_checkpoint_begin(const char *run_dir, uint64_t step, uint32_t epoch, struct reeve_error *err)
{
    (void)run_dir;
    struct sim *s = sim_running->sim;
    enum sim_seam_outcome seam = sim_seam(sim_running, "begin checkpoint");
    if (seam == SIM_SEAM_DEAD || seam == SIM_SEAM_DIE_WITHIN) return reeve_fail(err, REEVE_STORE_CREATE, "dead");
    if (s->now_ns < s->disk_full_until_ns) return reeve_fail(err, REEVE_STORE_CREATE, "begin checkpoint: disk full");
    struct folder *f = find(s, step, epoch, false);
    if (f != NULL) f->used = false;
    f = make(s);
    f->step = step;
    f->epoch = epoch;
    return REEVE_OK;
}

void reeve_checkpoint_abandon(const char *run_dir, uint64_t step, uint32_t epoch)
{
    (void)run_dir;
    if (sim_seam(sim_running, "abandon checkpoint") == SIM_SEAM_DEAD) return;
    struct folder *f = find(sim_running->sim, step, epoch, false);
    if (f != NULL) f->used = false;
}

reeve_status sim_checkpoint_write_part(struct sim *s, uint64_t step, uint32_t epoch, uint32_t part, uint32_t parts,
                                       const struct sim_model *model, uint64_t *digest, struct reeve_error *err)
{
    struct folder *f = find(s, step, epoch, false);
    if (f == NULL) return reeve_fail(err, REEVE_STORE_CREATE, "part %u: the folder is not there", part);
    bool fails = s->fail_next_part > 0 && --s->fail_next_part == 0;
    if (fails || s->now_ns < s->disk_full_until_ns)
        return reeve_fail(err, REEVE_STORE_WRITE, "part %u: no space left on device", part);
    struct part *p = &f->part[part];
    memset(p, 0, sizeof(*p));
    for (uint32_t t = part; t < SIM_TENSORS; t += parts)
        p->word[t] = model->word[t];
    p->there = true;
    *digest = p->digest = part_digest(p);
    return REEVE_OK;
}

reeve_status reeve_checkpoint_open(const char *run_dir, uint64_t step, const uint64_t *expect_digest64,
                                   reeve_checkpoint **out, struct reeve_error *err)
{
    (void)run_dir;
    struct folder *f = find(sim_running->sim, step, 0, true);
    if (f == NULL)
        return reeve_fail(err, REEVE_INPUT_MISSING, "checkpoint/step-%llu: not there", (unsigned long long)step);
    if (f->index_damaged || (expect_digest64 != NULL && *expect_digest64 != f->digest64))
        return reeve_fail(err, REEVE_STORE_CORRUPT, "checkpoint/step-%llu: not the one on record",
                          (unsigned long long)step);
    *out = calloc(1, sizeof(**out));
    REEVE_ASSERT(*out != NULL);
    (*out)->meta = f->meta;
    return REEVE_OK;
}

const struct reeve_checkpoint_meta *reeve_checkpoint_meta(const reeve_checkpoint *c)
{
    return &c->meta;
}

void reeve_checkpoint_close(reeve_checkpoint *c)
{
    free(c);
}

reeve_status sim_checkpoint_read(struct sim *s, uint64_t step, uint64_t digest64, struct sim_model *model,
                                 struct reeve_error *err)
{
    struct folder *f = find(s, step, 0, true);
    if (f == NULL) return reeve_fail(err, REEVE_INPUT_MISSING, "restore: not there");
    if (f->index_damaged || f->part_damaged || f->digest64 != digest64)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "restore: damaged, or not the one on record");
    for (uint32_t t = 0; t < SIM_TENSORS; t++)
        model->word[t] = f->part[t % f->part_count].word[t];
    model->step = step;
    return REEVE_OK;
}

/* A checkpoint that can be done without: the newest of two good ones that are on record. */
void sim_checkpoint_damage(struct sim *s)
{
    struct sim_launch *l = sim_newest(s);
    if (l == NULL || !sim_master(l)->announced || sim_master(l)->master == NULL) return;
    struct reeve_master_checkpoint list[KEEP_MAX];
    struct folder *good[2];
    uint32_t n = reeve_master_checkpoints(sim_master(l)->master, list, KEEP_MAX), found = 0;
    for (uint32_t i = 0; i < n && found < 2; i++) {
        struct folder *f = find(s, list[i].step, 0, true);
        if (f != NULL && !f->index_damaged && !f->part_damaged && f->digest64 == list[i].digest64) good[found++] = f;
    }
    if (found < 2) return;
    if (sim_below(s, 2) == 0) good[0]->index_damaged = true;
    else good[0]->part_damaged = true;
    sim_check_damaged(s);
    sim_trace(s, "checkpoint of step %llu is damaged on the disk", (unsigned long long)good[0]->step);
}

/* ---- the master's thread (run/checkpointer.h) ---- */

struct reeve_checkpointer {
    struct sim_proc *proc;
    uint32_t keep;
    bool commit_waiting, commit_ended, retain_waiting;
    struct reeve_checkpoint_meta meta;
    struct reeve_master_part part[SIM_WORKERS_MAX];
    uint32_t part_count;
    uint64_t digest64;
    struct reeve_error error;
    struct reeve_master_checkpoint retained[KEEP_MAX];
    uint32_t retained_count;
};

static reeve_status commit(struct sim *s, reeve_checkpointer *c)
{
    struct folder *f = find(s, c->meta.step, c->meta.epoch, false);
    struct reeve_error *err = &c->error;
    if (f == NULL) return reeve_fail(err, REEVE_INPUT_MISSING, "commit: the folder is not there");
    if (s->now_ns < s->disk_full_until_ns) return reeve_fail(err, REEVE_STORE_WRITE, "commit: disk full");
    for (uint32_t i = 0; i < c->part_count; i++)
        if (!f->part[i].there || f->part[i].digest != c->part[i].digest)
            return reeve_fail(err, REEVE_STORE_CORRUPT, "commit: part %u is not what its writer reported", i);
    struct folder *old = find(s, c->meta.step, 0, true);
    if (old != NULL && !old->index_damaged && old->meta.epoch > c->meta.epoch)
        return reeve_fail(err, REEVE_STORE_IN_USE, "commit: a later master has saved this step");
    f->meta = c->meta;
    f->part_count = c->part_count;
    f->digest64 = reeve_digest64(f->part, sizeof(f->part), c->meta.lsn ^ (uint64_t)c->meta.epoch << 40);
    if (old != NULL) old->used = false;
    f->named = s->mutation != SIM_MUTATE_LOSE_FOLDER;
    c->digest64 = f->digest64;
    sim_trace(s, "folder step-%llu has its name (epoch %u)", (unsigned long long)f->step, f->epoch);
    return REEVE_OK;
}

static void sweep(struct sim *s, reeve_checkpointer *c)
{
    struct folder *newest = find(s, c->retained[0].step, 0, true);
    if (newest == NULL || newest->index_damaged || newest->part_damaged || newest->digest64 != c->retained[0].digest64)
        return;
    uint32_t keep = c->retained_count < c->keep ? c->retained_count : c->keep;
    for (uint32_t i = 0; i < s->checkpoints->count; i++) {
        struct folder *f = &s->checkpoints->folder[i];
        if (!f->used || f->step > c->retained[0].step) continue;
        bool kept = false;
        for (uint32_t k = 0; k < keep && f->named; k++)
            kept |= c->retained[k].step == f->step;
        if (!kept) f->used = false;
    }
}

static void commit_event(struct sim *s, void *arg, uint64_t number)
{
    struct sim_proc *p = arg;
    reeve_checkpointer *c = p->checkpointer;
    if (!p->alive || c == NULL) return;
    if (p->stalled_until_ns > s->now_ns) {
        sim_at(s, p->stalled_until_ns, commit_event, p, number);
        return;
    }
    if (c->commit_waiting) {
        c->error.status = commit(s, c);
        c->commit_waiting = false;
        c->commit_ended = true;
        sim_turn_soon(p, s->now_ns);
    } else if (c->retain_waiting) {
        c->retain_waiting = false;
        sweep(s, c);
    }
}

reeve_status reeve_checkpointer_create(const char *run_dir, uint32_t keep, uint32_t workers_max,
                                       reeve_checkpointer **out, struct reeve_error *err)
{
    (void)run_dir, (void)workers_max, (void)err;
    reeve_checkpointer *c = calloc(1, sizeof(*c));
    REEVE_ASSERT(c != NULL);
    c->proc = sim_running;
    c->keep = keep;
    sim_running->checkpointer = c;
    *out = c;
    return REEVE_OK;
}

void reeve_checkpointer_destroy(reeve_checkpointer *c)
{
    if (c == NULL) return;
    if (c->proc->alive && c->commit_waiting) (void)commit(c->proc->sim, c); /* it waits for what is being written */
    if (c->proc->alive && c->retain_waiting) sweep(c->proc->sim, c);
    c->proc->checkpointer = NULL;
    free(c);
}

reeve_status reeve_checkpointer_commit(reeve_checkpointer *c, const struct reeve_checkpoint_meta *meta,
                                       const struct reeve_master_cut *cut, struct reeve_error *err)
{
    struct sim *s = c->proc->sim;
    if (c->commit_waiting || c->commit_ended) return reeve_fail(err, REEVE_JOB_INTERNAL, "commit: one is under way");
    c->meta = *meta;
    c->meta.step = cut->step;
    c->meta.lsn = cut->lsn;
    c->meta.queue_digest = cut->queue_digest;
    c->part_count = cut->part_count;
    memcpy(c->part, cut->parts, sizeof(c->part[0]) * cut->part_count);
    memset(&c->error, 0, sizeof(c->error));
    c->commit_waiting = true;
    sim_at(s, s->now_ns + sim_some_time(s, 20 * REEVE_MILLISECOND_NS), commit_event, c->proc, 0);
    return REEVE_OK;
}

bool reeve_checkpointer_poll(reeve_checkpointer *c, uint64_t *step, uint64_t *digest64, struct reeve_error *err)
{
    bool ended = c->commit_ended;
    c->commit_ended = false;
    *step = c->meta.step;
    *digest64 = c->digest64;
    *err = c->error;
    return ended;
}

void reeve_checkpointer_retain(reeve_checkpointer *c, const struct reeve_master_checkpoint *checkpoints, uint32_t count)
{
    struct sim *s = c->proc->sim;
    if (count == 0 || !c->proc->alive) return;
    c->retained_count = count < KEEP_MAX ? count : KEEP_MAX;
    memcpy(c->retained, checkpoints, sizeof(*checkpoints) * c->retained_count);
    c->retain_waiting = true;
    sim_at(s, s->now_ns + sim_some_time(s, 20 * REEVE_MILLISECOND_NS), commit_event, c->proc, 0);
}
