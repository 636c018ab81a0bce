/* Writing a part of a checkpoint: HDF5 makes the skeleton, our own pwrite moves the bytes straight from the caller's
 * memory, and each block is digested on its way. The library's global lock is not held for a byte of a tensor. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/error.h"
#include "store/checkpoint_part.h"
#include "store/disk.h"
#include "store/make.h"
#include "store/seal_outside.h"

#define PUSH_BYTES ((uint64_t)1 << 20)    /* what the disk is told to write at a time */
#define BEHIND_BYTES ((uint64_t)32 << 20) /* so much may be in memory alone */

/* A part that is being written. */
struct writing {
    char path[REEVE_PATH_BYTES_MAX];
    const struct reeve_tensor *tensors; /* borrowed */
    struct reeve_tensor_row *rows;      /* owned; (count,) */
    uint32_t count;
    uint64_t *blocks; /* owned; (block_count,) */
    uint64_t block_count;
    uint64_t rows_offset, blocks_offset, seal_offset;
    uint64_t file_bytes;
    uint64_t pushed, on_disk; /* up to here the disk was told to write, and has written */
    int fd;                   /* owned */
};

/* --- what it will hold -------------------------------------------------------------------------------------------- */

static reeve_status plan(struct writing *w, uint32_t part, struct reeve_error *err)
{
    w->rows = calloc(w->count + 1, sizeof(*w->rows));
    if (w->rows == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "write %s: out of memory", w->path);
    for (uint32_t i = 0; i < w->count; i++) {
        reeve_status st = reeve_tensor_row_of(&w->tensors[i], &w->rows[i], err);
        if (st != REEVE_OK) return st;
        w->rows[i].part = part;
        w->rows[i].first_block = w->block_count;
        w->block_count += w->rows[i].block_count;
    }
    w->blocks = malloc((size_t)(w->block_count + 1) * sizeof(*w->blocks));
    if (w->blocks == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "write %s: out of memory", w->path);
    return REEVE_OK;
}

/* --- the skeleton ------------------------------------------------------------------------------------------------- */

static bool make_tables(hid_t file, struct writing *w)
{
    const uint64_t seal_bytes = sizeof(struct reeve_digest), rows = w->count;
    bool good = reeve_make_dataset(file, "/seal", H5T_STD_U8LE, 1, &seal_bytes, REEVE_MAKE_ZEROS, &w->seal_offset);
    if (!good || rows == 0) return good; /* a dataset without elements is left out */
    hid_t type = reeve_tensor_row_type();
    good =
        type >= 0 && reeve_make_dataset(file, "/tensors", type, 1, &rows, REEVE_MAKE_HOLE, &w->rows_offset) &&
        reeve_make_dataset(file, "/block_table", H5T_STD_U64LE, 1, &w->block_count, REEVE_MAKE_HOLE, &w->blocks_offset);
    if (type >= 0) (void)H5Tclose(type);
    return good;
}

static bool make_tensors(hid_t file, struct writing *w)
{
    char path[256];
    bool good = reeve_make_group(file, "/model") && reeve_make_group(file, "/optimizer");
    for (uint32_t i = 0; i < w->count && good; i++) {
        struct reeve_tensor_row *row = &w->rows[i];
        reeve_tensor_row_path(row, path);
        good =
            reeve_make_dataset(file, path, H5T_IEEE_F32LE, row->rank, row->shape, REEVE_MAKE_HOLE, &row->file_offset);
    }
    return good;
}

static bool make_skeleton(struct writing *w, uint64_t step, uint32_t part)
{
    hid_t file = reeve_make_file(w->path);
    if (file < 0) return false;
    bool good = reeve_make_attr_text(file, "format", REEVE_CHECKPOINT_PART_FORMAT) &&
                reeve_make_attr_u64(file, "format_version", REEVE_CHECKPOINT_VERSION) &&
                reeve_make_attr_u64(file, "step", step) && reeve_make_attr_u64(file, "part", part) &&
                reeve_make_attr_u64(file, "tensor_count", w->count) &&
                reeve_make_attr_u64(file, "block_count", w->block_count) && make_tables(file, w) &&
                make_tensors(file, w);
    return H5Fclose(file) >= 0 && good;
}

/* HDF5 does not hand on an errno, so we ask the likely culprits. */
static reeve_status skeleton_failed(const struct writing *w, struct reeve_error *err)
{
    char dir[REEVE_PATH_BYTES_MAX];
    struct statvfs fs;
    struct stat folder;
    struct rlimit limit;
    uint64_t wanted = 65536;
    for (uint32_t i = 0; i < w->count; i++)
        wanted += w->rows[i].bytes;
    reeve_path_dirname(w->path, dir, sizeof(dir));
    if (stat(dir, &folder) != 0) return reeve_disk_fail(err, errno, "create", w->path, 0);
    if (access(dir, W_OK | X_OK) != 0) return reeve_disk_fail(err, errno, "create", w->path, 0);
    if (getrlimit(RLIMIT_FSIZE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < wanted)
        return reeve_disk_fail(err, EFBIG, "create", w->path, wanted);
    if (statvfs(dir, &fs) == 0 && (uint64_t)fs.f_bavail * fs.f_frsize < wanted)
        return reeve_disk_fail(err, ENOSPC, "create", w->path, wanted);
    return reeve_fail(err, REEVE_STORE_CREATE,
                      "create %s: HDF5 could not make its structure: the disk failed, or two tensors have one name",
                      w->path);
}

static reeve_status create(struct writing *w, uint64_t step, uint32_t part, struct reeve_error *err)
{
    struct stat file;
    if (unlink(w->path) != 0 && errno != ENOENT) return reeve_disk_fail(err, errno, "replace", w->path, 0);
    if (!make_skeleton(w, step, part)) return skeleton_failed(w, err);
    w->fd = open(w->path, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
    if (w->fd < 0 || fstat(w->fd, &file) != 0) return reeve_disk_fail(err, errno, "open", w->path, 0);
    w->file_bytes = (uint64_t)file.st_size;
    return reeve_disk_reserve(w->fd, w->file_bytes, w->path, err);
}

/* --- the bytes ---------------------------------------------------------------------------------------------------- */

/* What is written goes to the disk as it comes, a little behind: a gigabyte that fsync finds in memory at the end holds up
 * whoever else syncs then, and that is the master's journal, and with it the step. It is no sync (no barrier, no metadata),
 * but an error that it tells is one that fsync would not tell again. */
static reeve_status push_out(struct writing *w, uint64_t end, struct reeve_error *err)
{
    if (end < w->pushed + PUSH_BYTES) return REEVE_OK;
    bool good = sync_file_range(w->fd, (off_t)w->pushed, (off_t)(end - w->pushed), SYNC_FILE_RANGE_WRITE) == 0;
    w->pushed = end;
    if (good && end > w->on_disk + BEHIND_BYTES) {
        uint64_t until = end - BEHIND_BYTES;
        good = sync_file_range(w->fd, (off_t)w->on_disk, (off_t)(until - w->on_disk), SYNC_FILE_RANGE_WAIT_BEFORE) == 0;
        w->on_disk = until;
    }
    if (good || errno == ENOSYS || errno == EINVAL || errno == ESPIPE) return REEVE_OK; /* it knows no such thing */
    return reeve_disk_fail(err, errno, "sync", w->path, 0);
}

static reeve_status write_tensor(struct writing *w, uint32_t i, struct reeve_error *err)
{
    const struct reeve_tensor_row *row = &w->rows[i];
    const uint8_t *bytes = (const uint8_t *)w->tensors[i].data;
    uint64_t *block = w->blocks + row->first_block;
    reeve_status st = REEVE_OK;
    for (uint64_t at = 0; at < row->bytes && st == REEVE_OK; at += REEVE_CHECKPOINT_BLOCK_BYTES) {
        size_t n = reeve_block_bytes(row->bytes, at);
        *block++ = reeve_digest64(bytes + at, n, 0);
        st = reeve_disk_write(w->fd, bytes + at, n, row->file_offset + at, w->path, err);
        if (st == REEVE_OK) st = push_out(w, row->file_offset + at + n, err);
    }
    return st;
}

static reeve_status write_tables(struct writing *w, struct reeve_error *err)
{
    if (w->count == 0) return REEVE_OK;
    reeve_status st = reeve_disk_write(w->fd, w->rows, w->count * sizeof(*w->rows), w->rows_offset, w->path, err);
    if (st != REEVE_OK) return st;
    return reeve_disk_write(w->fd, w->blocks, (size_t)w->block_count * sizeof(*w->blocks), w->blocks_offset, w->path,
                            err);
}

static reeve_status write_seal(struct writing *w, struct reeve_error *err)
{
    struct reeve_digest seal;
    struct reeve_span *spans = malloc((w->count + 1) * sizeof(*spans));
    if (spans == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "write %s: out of memory", w->path);
    for (uint32_t i = 0; i < w->count; i++)
        spans[i] = (struct reeve_span){w->rows[i].file_offset, w->rows[i].bytes};
    bool apart = reeve_spans_sort(spans, w->count, w->file_bytes);
    REEVE_ASSERT(apart); /* HDF5 has just laid them out */
    reeve_status st =
        reeve_seal_outside_file(w->fd, w->file_bytes, spans, w->count, w->seal_offset, w->path, &seal, err);
    free(spans);
    if (st == REEVE_OK) st = reeve_disk_write(w->fd, &seal, sizeof(seal), w->seal_offset, w->path, err);
    return st;
}

static reeve_status write_all(struct writing *w, struct reeve_error *err)
{
    reeve_status st = REEVE_OK;
    for (uint32_t i = 0; i < w->count && st == REEVE_OK; i++)
        st = write_tensor(w, i, err);
    if (st == REEVE_OK) st = write_tables(w, err);
    if (st == REEVE_OK) st = write_seal(w, err);
    if (st == REEVE_OK && fsync(w->fd) != 0) st = reeve_disk_fail(err, errno, "sync", w->path, 0);
    return st;
}

reeve_status reeve_checkpoint_write_part(const char *run_dir, uint64_t step, uint32_t epoch, uint32_t part,
                                         const struct reeve_tensor *tensors, uint32_t tensor_count,
                                         struct reeve_checkpoint_part *out, struct reeve_error *err)
{
    struct writing w = {.tensors = tensors, .count = tensor_count, .fd = -1};
    char dir[REEVE_PATH_BYTES_MAX - 32];
    reeve_checkpoint_tmp_dir(run_dir, step, epoch, dir, sizeof(dir));
    reeve_checkpoint_part_path(dir, part, w.path, sizeof(w.path));
    reeve_status st = plan(&w, part, err);
    if (st == REEVE_OK) st = create(&w, step, part, err);
    if (st == REEVE_OK) st = write_all(&w, err);
    if (w.fd >= 0 && close(w.fd) != 0 && st == REEVE_OK) st = reeve_disk_fail(err, errno, "close", w.path, 0);
    if (st == REEVE_OK)
        *out = (struct reeve_checkpoint_part){
            .part = part,
            .tensor_count = tensor_count,
            .file_bytes = w.file_bytes,
            .digest = reeve_digest64(w.blocks, (size_t)w.block_count * sizeof(*w.blocks), 0),
        };
    else (void)unlink(w.path);
    free(w.rows);
    free(w.blocks);
    return st;
}
