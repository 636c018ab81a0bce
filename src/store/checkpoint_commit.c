/* Committing a checkpoint: all parts are read back (all but the tensors' own bytes), the index is written over them,
 * and the folder gets its name. What makes it count is the record in the journal that the caller appends after this. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "store/checkpoint_index.h"
#include "store/disk.h"

/* --- gathering ---------------------------------------------------------------------------------------------------- */

static const struct reeve_checkpoint_part *find_part(const struct reeve_checkpoint_part *parts, uint32_t count,
                                                     uint32_t part)
{
    if (parts[part].part == part)
        return &parts[part]; /* where it mostly is: a search for each of 65,536 would take seconds */
    for (uint32_t i = 0; i < count; i++)
        if (parts[i].part == part) return &parts[i];
    return NULL;
}

static reeve_status reserve(struct reeve_checkpoint *c, const struct reeve_part_file *p, struct reeve_error *err)
{
    struct reeve_tensor_row *rows = realloc(c->rows, (c->row_count + (size_t)p->row_count + 1) * sizeof(*rows));
    if (rows != NULL) c->rows = rows;
    uint64_t *blocks = realloc(c->blocks, (size_t)(c->block_count + p->block_count + 1) * sizeof(*blocks));
    if (blocks != NULL) c->blocks = blocks;
    if (rows != NULL && blocks != NULL) return REEVE_OK;
    return reeve_fail(err, REEVE_JOB_NO_MEMORY, "commit %s: out of memory", c->dir);
}

/* Put the tables of a part behind those of the parts before it. */
static reeve_status take_part(struct reeve_checkpoint *c, const struct reeve_part_file *p, uint32_t part,
                              struct reeve_error *err)
{
    reeve_status st = reserve(c, p, err);
    if (st != REEVE_OK) return st;
    if (c->row_count + (uint64_t)p->row_count > REEVE_CHECKPOINT_TENSORS_MAX)
        return reeve_fail(err, REEVE_INPUT_INVALID, "commit %s: more than %u tensors", c->dir,
                          REEVE_CHECKPOINT_TENSORS_MAX);
    struct reeve_part_row *row = &c->parts[part];
    *row = (struct reeve_part_row){.file_bytes = reeve_h5_file_bytes(p->h5),
                                   .digest = p->digest,
                                   .first_block = c->block_count,
                                   .block_count = p->block_count};
    memcpy(row->seal, p->seal.bytes, sizeof(row->seal));
    for (uint32_t i = 0; i < p->row_count; i++) {
        c->rows[c->row_count] = p->rows[i];
        c->rows[c->row_count++].first_block += c->block_count;
    }
    if (p->block_count > 0) memcpy(c->blocks + c->block_count, p->blocks, (size_t)p->block_count * sizeof(*p->blocks));
    c->block_count += p->block_count;
    return REEVE_OK;
}

/* Is the part on the disk the one that its writer told us of? */
static reeve_status gather_part(struct reeve_checkpoint *c, const struct reeve_checkpoint_part *told,
                                struct reeve_error *err)
{
    struct reeve_part_file p;
    reeve_status st = reeve_part_open(c->dir, c->meta.step, told->part, &p, err);
    if (st != REEVE_OK) return st;
    if (reeve_h5_file_bytes(p.h5) != told->file_bytes || p.digest != told->digest || p.row_count != told->tensor_count)
        st = reeve_fail(
            err, REEVE_STORE_CORRUPT,
            "%s: is not what its writer reported: %llu bytes, %u tensors, digest %016llx; expected %llu, %u, %016llx",
            p.path, (unsigned long long)reeve_h5_file_bytes(p.h5), p.row_count, (unsigned long long)p.digest,
            (unsigned long long)told->file_bytes, told->tensor_count, (unsigned long long)told->digest);
    if (st == REEVE_OK) st = take_part(c, &p, told->part, err);
    reeve_part_close(&p);
    return st;
}

static reeve_status gather(struct reeve_checkpoint *c, const struct reeve_checkpoint_part *parts, uint32_t count,
                           struct reeve_error *err)
{
    if (count == 0 || count > REEVE_CHECKPOINT_PARTS_MAX)
        return reeve_fail(err, REEVE_JOB_INTERNAL, "commit %s: %u parts", c->dir, count);
    c->part_count = count;
    c->parts = calloc(count, sizeof(*c->parts));
    if (c->parts == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "commit %s: out of memory", c->dir);
    reeve_status st = REEVE_OK;
    for (uint32_t i = 0; i < count && st == REEVE_OK; i++) {
        const struct reeve_checkpoint_part *told = find_part(parts, count, i);
        if (told == NULL) return reeve_fail(err, REEVE_JOB_INTERNAL, "commit %s: nobody reported part %u", c->dir, i);
        st = gather_part(c, told, err);
    }
    if (st != REEVE_OK || c->row_count == 0) return st;
    qsort(c->rows, c->row_count, sizeof(*c->rows), reeve_tensor_row_order);
    for (uint32_t i = 1; i < c->row_count; i++)
        if (reeve_tensor_row_order(&c->rows[i - 1], &c->rows[i]) == 0)
            return reeve_fail(err, REEVE_STORE_CORRUPT, "commit %s: tensor %s is in parts %u and %u", c->dir,
                              c->rows[i].name, c->rows[i - 1].part, c->rows[i].part);
    return REEVE_OK;
}

/* --- the name ----------------------------------------------------------------------------------------------------- */

#define ROUNDS_MAX 4 /* of finding the name taken anew */

/* The folder that is to get its name, the name, and where another one goes that has it. */
struct name {
    const char *tmp; /* borrowed */
    char final[REEVE_PATH_BYTES_MAX - 64], old[REEVE_PATH_BYTES_MAX];
    uint64_t step;
    uint32_t epoch;
};

/* A folder that a later master has committed stays: whoever would replace it was replaced itself. A damaged one is nobody's:
 * the run went back behind it. One that cannot be read now, on a sick mount, may be anybody's. */
static reeve_status refuse_later(const struct name *n, const char *dir, struct reeve_error *err)
{
    uint32_t epoch = 0;
    reeve_status st = reeve_checkpoint_epoch(dir, n->step, &epoch, err);
    if (st == REEVE_STORE_CORRUPT || st == REEVE_INPUT_MISSING) return REEVE_OK;
    if (st != REEVE_OK || epoch <= n->epoch) return st;
    return reeve_fail(err, REEVE_STORE_IN_USE,
                      "%s: a later master of this run has saved this step (epoch %u, and this is %u), so this one was "
                      "replaced; if the journal was copied back from elsewhere instead, move that folder away",
                      n->final, epoch, n->epoch);
}

/* It is looked at once more where nobody puts another one in its place. */
static reeve_status put_aside(const struct name *n, struct reeve_error *err)
{
    reeve_status st = refuse_later(n, n->final, err);
    if (st == REEVE_OK) st = reeve_remove_tree(n->old, err);
    if (st != REEVE_OK) return st;
    if (rename(n->final, n->old) != 0)
        return errno == ENOENT ? REEVE_OK : reeve_disk_fail(err, errno, "rename to", n->old, 0);
    st = refuse_later(n, n->old, err);
    if (st != REEVE_OK) (void)rename(n->old, n->final);
    return st;
}

/* A master that was replaced may stand still between any two calls, for hours. rename() puts no folder in the place of one
 * that is not empty, so whatever a later master does meanwhile, its checkpoint is there, as n->final or as n->old:
 * reeve_checkpoint_open() and the sweep look for both. An exchange of the two names would not do that. */
static reeve_status take_name(const struct name *n, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    int why = 0;
    for (int round = 0; round < ROUNDS_MAX && st == REEVE_OK; round++) {
        if (rename(n->tmp, n->final) == 0) return REEVE_OK;
        why = errno; /* ENOTEMPTY, EEXIST, or what else a file system calls it */
        if (!reeve_path_exists(n->final)) break;
        st = put_aside(n, err);
    }
    if (st != REEVE_OK) return st;
    (void)rename(n->old, n->final); /* if it is there */
    return reeve_disk_fail(err, why, "rename to", n->final, 0);
}

/* What was put aside stays until a sweep, which comes after the record, and after a look at LOCK. */
static reeve_status give_name(const char *run_dir, const struct reeve_checkpoint *c, struct reeve_error *err)
{
    struct name n = {.tmp = c->dir, .step = c->meta.step, .epoch = c->meta.epoch};
    char parent[REEVE_PATH_BYTES_MAX];
    reeve_checkpoint_dir(run_dir, n.step, n.final, sizeof(n.final));
    (void)snprintf(n.old, sizeof(n.old), "%s.old-%u", n.final, n.epoch);
    reeve_path_dirname(n.final, parent, sizeof(parent));
    reeve_status st = reeve_fsync_dir(n.tmp, err);
    if (st == REEVE_OK) st = take_name(&n, err);
    if (st == REEVE_OK) st = reeve_fsync_dir(parent, err);
    if (st == REEVE_OK) st = reeve_fsync_dir(run_dir, err); /* the folder `checkpoint` may be new */
    return st;
}

reeve_status reeve_checkpoint_commit(const char *run_dir, uint64_t step, uint32_t epoch,
                                     const struct reeve_checkpoint_meta *meta,
                                     const struct reeve_checkpoint_part *parts, uint32_t part_count, const void *queue,
                                     size_t queue_bytes, struct reeve_digest *index_digest, struct reeve_error *err)
{
    struct reeve_checkpoint *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "commit step %llu: out of memory", (unsigned long long)step);
    c->meta = *meta;
    c->meta.step = step;
    c->meta.epoch = epoch;
    reeve_checkpoint_tmp_dir(run_dir, step, epoch, c->dir, sizeof(c->dir));
    (void)snprintf(c->path, sizeof(c->path), "%s/index.h5", c->dir);
    reeve_status st = gather(c, parts, part_count, err);
    if (st == REEVE_OK && queue_bytes > 0) {
        c->queue = malloc(queue_bytes);
        if (c->queue == NULL) st = reeve_fail(err, REEVE_JOB_NO_MEMORY, "commit %s: out of memory", c->dir);
    }
    if (st == REEVE_OK) {
        if (queue_bytes > 0) memcpy(c->queue, queue, queue_bytes);
        c->queue_bytes = queue_bytes;
        (void)unlink(c->path); /* of an attempt that failed after it */
        st = reeve_index_create(c, err);
    }
    if (st == REEVE_OK) st = give_name(run_dir, c, err);
    if (st == REEVE_OK) *index_digest = c->digest;
    reeve_checkpoint_close(c);
    return st;
}
