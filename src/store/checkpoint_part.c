/* One part file read back and checked. */
#include "store/checkpoint_part.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "store/seal_outside.h"

void reeve_checkpoint_part_path(const char *dir, uint32_t part, char *out, size_t out_bytes)
{
    (void)snprintf(out, out_bytes, "%s/rank-%05u.h5", dir, part);
}

/* --- what part and index have in common --------------------------------------------------------------------------- */

reeve_status reeve_checkpoint_read_table(reeve_h5 *h5, const char *file, const char *path, uint64_t count,
                                         uint64_t element_bytes, void **out, struct reeve_error *err)
{
    struct reeve_h5_dataset d;
    *out = NULL;
    if (count == 0) return REEVE_OK;
    reeve_status st = reeve_h5_dataset(h5, path, &d, err);
    if (st != REEVE_OK) return st;
    if (d.rank != 1 || d.dims[0] != count || d.element_bytes != element_bytes || d.file_offset == UINT64_MAX)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: %s has another shape than expected (%llu of %llu bytes)", file,
                          path, (unsigned long long)count, (unsigned long long)element_bytes);
    void *bytes = malloc((size_t)d.bytes); /* the reader has seen that the file is at least that long */
    if (bytes == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "read %s of %s: out of memory", path, file);
    st = reeve_h5_read(h5, &d, bytes, d.bytes, err);
    if (st != REEVE_OK) {
        free(bytes);
        return st;
    }
    *out = bytes;
    return REEVE_OK;
}

reeve_status reeve_checkpoint_expect_attr(reeve_h5 *h5, const char *file, const char *name, uint64_t expected,
                                          struct reeve_error *err)
{
    uint64_t value;
    reeve_status st = reeve_h5_attr_u64(h5, "/", name, &value, err);
    if (st != REEVE_OK || value == expected) return st;
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: attribute %s is %llu, expected %llu", file, name,
                      (unsigned long long)value, (unsigned long long)expected);
}

reeve_status reeve_checkpoint_expect_format(reeve_h5 *h5, const char *file, const char *format, struct reeve_error *err)
{
    char text[64];
    reeve_status st = reeve_h5_attr_text(h5, "/", "format", text, sizeof(text), err);
    if (st == REEVE_OK && strcmp(text, format) != 0)
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: format is \"%s\", expected \"%s\"", file, text, format);
    if (st == REEVE_OK) st = reeve_checkpoint_expect_attr(h5, file, "format_version", REEVE_CHECKPOINT_VERSION, err);
    return st;
}

reeve_status reeve_checkpoint_read_seal(reeve_h5 *h5, const char *file, struct reeve_digest *seal, uint64_t *offset,
                                        struct reeve_error *err)
{
    struct reeve_h5_dataset d;
    reeve_status st = reeve_h5_dataset(h5, "/seal", &d, err);
    if (st != REEVE_OK) return st;
    if (d.bytes != sizeof(*seal) || d.file_offset == UINT64_MAX)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: /seal is not 16 bytes", file);
    *offset = d.file_offset;
    return reeve_h5_read(h5, &d, seal, sizeof(*seal), err);
}

/* --- the part ----------------------------------------------------------------------------------------------------- */

static reeve_status read_tables(struct reeve_part_file *p, struct reeve_error *err)
{
    uint64_t row_count, block_count;
    reeve_status st = reeve_h5_attr_u64(p->h5, "/", "tensor_count", &row_count, err);
    if (st == REEVE_OK) st = reeve_h5_attr_u64(p->h5, "/", "block_count", &block_count, err);
    if (st != REEVE_OK) return st;
    if (row_count > REEVE_CHECKPOINT_TENSORS_MAX)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: says it holds %llu tensors; %u is the most", p->path,
                          (unsigned long long)row_count, REEVE_CHECKPOINT_TENSORS_MAX);
    p->row_count = (uint32_t)row_count;
    p->block_count = block_count;
    void *rows = NULL, *blocks = NULL;
    st = reeve_checkpoint_read_table(p->h5, p->path, "/tensors", row_count, sizeof(*p->rows), &rows, err);
    p->rows = rows;
    if (st == REEVE_OK)
        st = reeve_checkpoint_read_table(p->h5, p->path, "/block_table", block_count, sizeof(*p->blocks), &blocks, err);
    p->blocks = blocks;
    if (st == REEVE_OK) p->digest = reeve_digest64(p->blocks, (size_t)block_count * sizeof(*p->blocks), 0);
    return st;
}

/* The table says where we read; h5dump and h5py ask HDF5. Both must mean the same bytes. */
static reeve_status check_row(struct reeve_part_file *p, const struct reeve_tensor_row *row, uint32_t part,
                              uint64_t first_block, struct reeve_error *err)
{
    if (!reeve_tensor_row_sane(row, reeve_h5_file_bytes(p->h5), p->block_count) || row->part != part ||
        row->first_block != first_block)
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: row %td of /tensors is impossible", p->path, row - p->rows);
    struct reeve_h5_dataset d;
    char path[256];
    reeve_tensor_row_path(row, path);
    reeve_status st = reeve_h5_dataset(p->h5, path, &d, err);
    if (st != REEVE_OK) return st;
    bool same = d.type == 'f' && d.element_bytes == sizeof(float) && d.bytes == row->bytes &&
                d.file_offset == row->file_offset && d.rank == row->rank;
    for (uint32_t i = 0; same && i < d.rank; i++)
        same = d.dims[i] == row->shape[i];
    if (same) return REEVE_OK;
    return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: %s is not where, or not what, /tensors says", p->path, path);
}

static reeve_status check_rows(struct reeve_part_file *p, uint32_t part, struct reeve_error *err)
{
    uint64_t first_block = 0;
    reeve_status st = REEVE_OK;
    for (uint32_t i = 0; i < p->row_count && st == REEVE_OK; i++) {
        st = check_row(p, &p->rows[i], part, first_block, err);
        first_block += p->rows[i].block_count;
    }
    if (st == REEVE_OK && first_block != p->block_count)
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: /block_table has %llu entries, its tensors have %llu blocks",
                        p->path, (unsigned long long)p->block_count, (unsigned long long)first_block);
    return st;
}

static reeve_status check_seal(struct reeve_part_file *p, struct reeve_error *err)
{
    struct reeve_digest found;
    uint64_t seal_offset;
    reeve_status st = reeve_checkpoint_read_seal(p->h5, p->path, &p->seal, &seal_offset, err);
    if (st != REEVE_OK) return st;
    struct reeve_span *spans = malloc((p->row_count + 1) * sizeof(*spans));
    if (spans == NULL) return reeve_fail(err, REEVE_JOB_NO_MEMORY, "check %s: out of memory", p->path);
    for (uint32_t i = 0; i < p->row_count; i++)
        spans[i] = (struct reeve_span){p->rows[i].file_offset, p->rows[i].bytes};
    uint64_t file_bytes = reeve_h5_file_bytes(p->h5);
    if (!reeve_spans_sort(spans, p->row_count, file_bytes))
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: tensors overlap", p->path);
    if (st == REEVE_OK)
        st = reeve_seal_outside_file(reeve_h5_fd(p->h5), file_bytes, spans, p->row_count, seal_offset, p->path, &found,
                                     err);
    free(spans);
    if (st == REEVE_OK && !reeve_digest_equal(found, p->seal))
        st = reeve_fail(err, REEVE_STORE_CORRUPT, "%s: damaged outside of its tensors (the seal differs)", p->path);
    return st;
}

reeve_status reeve_part_open(const char *dir, uint64_t step, uint32_t part, struct reeve_part_file *out,
                             struct reeve_error *err)
{
    memset(out, 0, sizeof(*out));
    reeve_checkpoint_part_path(dir, part, out->path, sizeof(out->path));
    reeve_status st = reeve_h5_open(out->path, REEVE_CHECKPOINT_FILE_BYTES_MAX, &out->h5, err);
    if (st == REEVE_INPUT_MISSING) /* the checkpoint is there, a piece of it is not */
        return reeve_fail(err, REEVE_STORE_CORRUPT, "%s: this part of the checkpoint is missing", out->path);
    if (st != REEVE_OK) return st;
    st = reeve_checkpoint_expect_format(out->h5, out->path, REEVE_CHECKPOINT_PART_FORMAT, err);
    if (st == REEVE_OK) st = reeve_checkpoint_expect_attr(out->h5, out->path, "step", step, err);
    if (st == REEVE_OK) st = reeve_checkpoint_expect_attr(out->h5, out->path, "part", part, err);
    if (st == REEVE_OK) st = read_tables(out, err);
    if (st == REEVE_OK) st = check_rows(out, part, err);
    if (st == REEVE_OK) st = check_seal(out, err);
    if (st != REEVE_OK) reeve_part_close(out);
    return st;
}

void reeve_part_close(struct reeve_part_file *p)
{
    reeve_h5_close(p->h5);
    free(p->rows);
    free(p->blocks);
    memset(p, 0, sizeof(*p));
}
