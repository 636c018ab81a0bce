/* Opening and reading a checkpoint. The index is checked whole before a number of it is believed; tensors are then read
 * by pread at the places it gives, and never through HDF5. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/error.h"
#include "store/checkpoint_index.h"

/* --- opening ------------------------------------------------------------------------------------------------------ */

reeve_status reeve_checkpoint_epoch(const char *dir, uint64_t step, uint32_t *epoch, struct reeve_error *err)
{
    struct reeve_checkpoint *c = calloc(1, sizeof(*c));
    if (c == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "look at %s: out of memory", dir);
    (void)snprintf(c->dir, sizeof(c->dir), "%s", dir);
    (void)snprintf(c->path, sizeof(c->path), "%s/index.h5", c->dir);
    reeve_status st = reeve_index_load(c, step, NULL, err);
    if (st == REEVE_OK) *epoch = c->meta.epoch;
    reeve_checkpoint_close(c);
    return st;
}

void reeve_checkpoint_find(const char *run_dir, uint64_t step, char *dir, size_t dir_bytes)
{
    char parent[REEVE_PATH_BYTES_MAX], prefix[64], path[REEVE_PATH_BYTES_MAX];
    bool any = false;
    uint32_t newest = 0;
    reeve_checkpoint_dir(run_dir, step, dir, dir_bytes);
    if (reeve_path_exists(dir)) return;
    reeve_path_dirname(dir, parent, sizeof(parent));
    int length = snprintf(prefix, sizeof(prefix), "step-%010llu.old-", (unsigned long long)step);
    DIR *folder = opendir(parent);
    if (folder == NULL) return;
    for (struct dirent *entry; (entry = readdir(folder)) != NULL;) {
        uint32_t epoch = 0;
        if (strncmp(entry->d_name, prefix, (size_t)length) != 0 ||
            reeve_path_join(path, sizeof(path), parent, entry->d_name, NULL) != REEVE_OK)
            continue;
        (void)reeve_checkpoint_epoch(path, step, &epoch, NULL); /* one that cannot be read comes after all others */
        if (any && epoch <= newest) continue;
        any = true;
        newest = epoch;
        (void)snprintf(dir, dir_bytes, "%s", path);
    }
    (void)closedir(folder);
}

reeve_status reeve_checkpoint_open(const char *run_dir, uint64_t step, const uint64_t *expect_digest64,
                                   reeve_checkpoint **out, struct reeve_error *err)
{
    if (strlen(run_dir) > REEVE_PATH_BYTES_MAX - 128)
        return reeve_fail(err, REEVE_INPUT_INVALID, "open a checkpoint: the path of the run is too long");
    reeve_checkpoint *c = calloc(1, sizeof(*c));
    if (c == NULL)
        return reeve_fail(err, REEVE_JOB_NO_MEMORY, "open the checkpoint of step %llu: out of memory",
                          (unsigned long long)step);
    reeve_checkpoint_find(run_dir, step, c->dir, sizeof(c->dir));
    (void)snprintf(c->path, sizeof(c->path), "%s/index.h5", c->dir);
    reeve_status st = reeve_index_load(c, step, expect_digest64, err);
    if (st != REEVE_OK) {
        reeve_checkpoint_close(c);
        return st;
    }
    *out = c;
    return REEVE_OK;
}

void reeve_checkpoint_close(reeve_checkpoint *c)
{
    if (c == NULL) return;
    reeve_index_free(c);
    free(c);
}

const struct reeve_checkpoint_meta *reeve_checkpoint_meta(const reeve_checkpoint *c)
{
    return &c->meta;
}

const void *reeve_checkpoint_queue(const reeve_checkpoint *c, size_t *bytes)
{
    *bytes = c->queue_bytes;
    return c->queue;
}

uint32_t reeve_checkpoint_tensor_count(const reeve_checkpoint *c)
{
    return c->row_count;
}

void reeve_checkpoint_tensor(const reeve_checkpoint *c, uint32_t i, struct reeve_tensor *out)
{
    REEVE_ASSERT(i < c->row_count);
    const struct reeve_tensor_row *row = &c->rows[i];
    *out = (struct reeve_tensor){.group = row->group, .rank = row->rank};
    memcpy(out->name, row->name, sizeof(out->name));
    memcpy(out->shape, row->shape, sizeof(out->shape));
}

/* --- reading ------------------------------------------------------------------------------------------------------ */

/* The parts of a checkpoint, opened when they are first needed. */
struct part_files {
    const struct reeve_checkpoint *c;
    int *fd; /* owned; (part_count,), -1: not open */
};

static reeve_status open_part(struct part_files *f, uint32_t part, char path[REEVE_PATH_BYTES_MAX],
                              struct reeve_error *err)
{
    struct stat st;
    reeve_checkpoint_part_path(f->c->dir, part, path, REEVE_PATH_BYTES_MAX);
    if (f->fd[part] >= 0) return REEVE_OK;
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    if (fd < 0 && (errno == ENOENT || errno == ELOOP))
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: this part of the checkpoint is missing", path);
    if (fd < 0) return reeve_fail(err, reeve_status_from_errno_read(errno), "open %s: %m", path);
    f->fd[part] = fd;
    if (fstat(fd, &st) != 0) return reeve_fail(err, REEVE_STORE_READ, "stat %s: %m", path);
    if (S_ISREG(st.st_mode) && (uint64_t)st.st_size == f->c->parts[part].file_bytes) return REEVE_OK;
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: has %lld bytes, the index says %llu", path, (long long)st.st_size,
                      (unsigned long long)f->c->parts[part].file_bytes);
}

/* Read and check the block that begins at byte `at` of the tensor. */
static reeve_status read_block(const struct reeve_checkpoint *c, const struct reeve_tensor_row *row, int fd,
                               const char *path, uint64_t at, uint8_t *to, struct reeve_error *err)
{
    size_t n = reeve_block_bytes(row->bytes, at);
    uint64_t offset = row->file_offset + at, number = at / REEVE_CHECKPOINT_BLOCK_BYTES;
    reeve_status st = reeve_pread_all(fd, to, n, offset, path, err);
    if (st != REEVE_OK || reeve_digest64(to, n, 0) == c->blocks[row->first_block + number]) return st;
    return reeve_fail(err, REEVE_STORE_CORRUPT,
                      "%s: tensor %s is damaged in its block %llu (bytes %llu to %llu of the file)", path, row->name,
                      (unsigned long long)number, (unsigned long long)offset, (unsigned long long)(offset + n));
}

static reeve_status read_tensor(struct part_files *f, const struct reeve_tensor_row *row, uint8_t *to,
                                struct reeve_error *err)
{
    char path[REEVE_PATH_BYTES_MAX];
    reeve_status st = open_part(f, row->part, path, err);
    for (uint64_t at = 0; at < row->bytes && st == REEVE_OK; at += REEVE_CHECKPOINT_BLOCK_BYTES)
        st = read_block(f->c, row, f->fd[row->part], path, at, to + at, err);
    return st;
}

/* The row of a tensor that the caller has; its shape must be the same. */
static reeve_status match(const reeve_checkpoint *c, const struct reeve_tensor *t, const struct reeve_tensor_row **out,
                          struct reeve_error *err)
{
    struct reeve_tensor_row wanted;
    reeve_status st = reeve_tensor_row_of(t, &wanted, err);
    if (st != REEVE_OK) return st;
    const struct reeve_tensor_row *row = NULL;
    if (c->row_count > 0) row = bsearch(&wanted, c->rows, c->row_count, sizeof(*c->rows), reeve_tensor_row_order);
    if (row == NULL)
        return reeve_fail(err, REEVE_STORE_MISMATCH, "%s: has no tensor %s: it belongs to another model", c->path,
                          wanted.name);
    if (row->rank != wanted.rank || memcmp(row->shape, wanted.shape, sizeof(row->shape)) != 0)
        return reeve_fail(err, REEVE_STORE_MISMATCH, "%s: tensor %s has another shape: it belongs to another model",
                          c->path, wanted.name);
    *out = row;
    return REEVE_OK;
}

reeve_status reeve_checkpoint_read_some(const reeve_checkpoint *c, const struct reeve_tensor *tensors,
                                        uint32_t tensor_count, struct reeve_error *err)
{
    const struct reeve_tensor_row *row;
    reeve_status st = REEVE_OK;
    for (uint32_t i = 0; i < tensor_count && st == REEVE_OK; i++)
        st = match(c, &tensors[i], &row, err);
    if (st != REEVE_OK) return st;
    struct part_files f = {.c = c, .fd = malloc((c->part_count + (size_t)1) * sizeof(int))};
    if (f.fd == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s: out of memory", c->path);
    for (uint32_t p = 0; p < c->part_count; p++)
        f.fd[p] = -1;
    for (uint32_t i = 0; i < tensor_count && st == REEVE_OK; i++) {
        st = match(c, &tensors[i], &row, err);
        if (st == REEVE_OK) st = read_tensor(&f, row, (uint8_t *)tensors[i].data, err);
    }
    for (uint32_t p = 0; p < c->part_count; p++)
        if (f.fd[p] >= 0) (void)close(f.fd[p]);
    free(f.fd);
    return st;
}

reeve_status reeve_checkpoint_read(const reeve_checkpoint *c, const struct reeve_tensor *tensors, uint32_t tensor_count,
                                   struct reeve_error *err)
{
    if (tensor_count == c->row_count) return reeve_checkpoint_read_some(c, tensors, tensor_count, err);
    return reeve_fail(err, REEVE_STORE_MISMATCH, "%s: has %u tensors, expected %u: it belongs to another model",
                      c->path, c->row_count, tensor_count);
}

/* --- verifying ---------------------------------------------------------------------------------------------------- */

static reeve_status verify_index(const reeve_checkpoint *c, struct reeve_error *err)
{
    struct reeve_checkpoint *again = calloc(1, sizeof(*again));
    uint64_t digest64;
    if (again == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "verify %s: out of memory", c->path);
    memcpy(again->dir, c->dir, sizeof(again->dir));
    memcpy(again->path, c->path, sizeof(again->path));
    memcpy(&digest64, c->digest.bytes, sizeof(digest64));
    reeve_status st = reeve_index_load(again, c->meta.step, &digest64, err);
    reeve_checkpoint_close(again);
    return st;
}

/* Does the part say of itself what the index says of it? */
static bool part_agrees(const reeve_checkpoint *c, const struct reeve_part_file *p, uint32_t part)
{
    const struct reeve_part_row *row = &c->parts[part];
    if (row->file_bytes != reeve_h5_file_bytes(p->h5) || row->digest != p->digest ||
        row->block_count != p->block_count || memcmp(row->seal, p->seal.bytes, sizeof(row->seal)) != 0)
        return false;
    if (p->block_count > 0 &&
        memcmp(c->blocks + row->first_block, p->blocks, (size_t)p->block_count * sizeof(*p->blocks)) != 0)
        return false;
    for (uint32_t i = 0; i < p->row_count; i++) {
        struct reeve_tensor_row mine = p->rows[i];
        mine.first_block += row->first_block;
        const struct reeve_tensor_row *theirs =
            bsearch(&mine, c->rows, c->row_count, sizeof(*c->rows), reeve_tensor_row_order);
        if (theirs == NULL || memcmp(theirs, &mine, sizeof(mine)) != 0) return false;
    }
    return true;
}

static reeve_status verify_tensor(const reeve_checkpoint *c, const struct reeve_part_file *p,
                                  const struct reeve_tensor_row *row, uint8_t *block, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    for (uint64_t at = 0; at < row->bytes && st == REEVE_OK; at += REEVE_CHECKPOINT_BLOCK_BYTES)
        st = read_block(c, row, reeve_h5_fd(p->h5), p->path, at, block, err);
    return st;
}

static reeve_status verify_part(const reeve_checkpoint *c, uint32_t part, uint8_t *block, uint32_t *tensors,
                                struct reeve_error *err)
{
    struct reeve_part_file p;
    reeve_status st = reeve_part_open(c->dir, c->meta.step, part, &p, err);
    if (st != REEVE_OK) return st;
    if (!part_agrees(c, &p, part))
        st =
            reeve_fail(err, REEVE_STORE_CORRUPT, "%s: is whole, but not the file that the index was made over", p.path);
    for (uint32_t i = 0; i < c->row_count && st == REEVE_OK; i++)
        if (c->rows[i].part == part) st = verify_tensor(c, &p, &c->rows[i], block, err);
    *tensors += p.row_count;
    reeve_part_close(&p);
    return st;
}

reeve_status reeve_checkpoint_verify(const reeve_checkpoint *c, uint64_t *bytes_read, struct reeve_error *err)
{
    uint64_t bytes = c->file_bytes;
    uint32_t tensors = 0;
    uint8_t *block = malloc(REEVE_CHECKPOINT_BLOCK_BYTES);
    if (block == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "verify %s: out of memory", c->path);
    reeve_status st = verify_index(c, err);
    for (uint32_t p = 0; p < c->part_count && st == REEVE_OK; p++) {
        st = verify_part(c, p, block, &tensors, err);
        bytes += c->parts[p].file_bytes;
    }
    free(block);
    if (st == REEVE_OK && tensors != c->row_count)
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: lists %u tensors, its parts hold %u", c->path, c->row_count,
                        tensors);
    if (st == REEVE_OK && bytes_read != NULL) *bytes_read = bytes;
    return st;
}
