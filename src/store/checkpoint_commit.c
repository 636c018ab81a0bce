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

/* Put the folder `tmp` in the place of `final`; what was there ends as `old`. Where the file system can exchange two
 * names, there is no moment without a folder of that name; otherwise reeve_checkpoint_open() also looks for `old`. */
static reeve_status replace_folder(const char *tmp, const char *final, const char *old, struct reeve_error *err)
{
    reeve_status st = reeve_remove_tree(old, err);
    if (st != REEVE_OK) return st;
    if (renameat2(AT_FDCWD, tmp, AT_FDCWD, final, RENAME_EXCHANGE) == 0) {
        if (rename(tmp, old) == 0) return REEVE_OK;
        return reeve_disk_fail(err, errno, "rename to", old, 0);
    }
    if (errno != EINVAL && errno != ENOSYS) return reeve_disk_fail(err, errno, "rename to", final, 0);
    if (rename(final, old) != 0) return reeve_disk_fail(err, errno, "rename to", old, 0);
    if (rename(tmp, final) == 0) return REEVE_OK;
    st = reeve_disk_fail(err, errno, "rename to", final, 0);
    (void)rename(old, final);
    return st;
}

static reeve_status give_name(const char *run_dir, const char *tmp, uint64_t step, uint32_t epoch,
                              struct reeve_error *err)
{
    char final[REEVE_PATH_BYTES_MAX - 64], old[REEVE_PATH_BYTES_MAX], parent[REEVE_PATH_BYTES_MAX];
    reeve_checkpoint_dir(run_dir, step, final, sizeof(final));
    (void)snprintf(old, sizeof(old), "%s.old-%u", final, epoch);
    reeve_path_dirname(final, parent, sizeof(parent));
    reeve_status st = reeve_fsync_dir(tmp, err);
    if (st != REEVE_OK) return st;
    bool replaces = reeve_path_exists(final);
    if (replaces) st = replace_folder(tmp, final, old, err);
    else if (rename(tmp, final) != 0) st = reeve_disk_fail(err, errno, "rename to", final, 0);
    if (st == REEVE_OK) st = reeve_fsync_dir(parent, err);
    if (st == REEVE_OK) st = reeve_fsync_dir(run_dir, err);             /* the folder `checkpoint` may be new */
    if (st == REEVE_OK && replaces) (void)reeve_remove_tree(old, NULL); /* if not now, the next sweep */
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
    if (st == REEVE_OK) st = give_name(run_dir, c->dir, step, epoch, err);
    if (st == REEVE_OK) *index_digest = c->digest;
    reeve_checkpoint_close(c);
    return st;
}
