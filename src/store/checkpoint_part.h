/* Inside of the checkpoint: the tables that part and index share, and one part file read back and checked.
 * Format: docs/format/checkpoint.md. */
#ifndef REEVE_STORE_CHECKPOINT_PART_H
#define REEVE_STORE_CHECKPOINT_PART_H

#include <hdf5.h>

#include "base/path.h"
#include "store/checkpoint.h"
#include "store/reader.h"

#define REEVE_CHECKPOINT_VERSION 1u
#define REEVE_CHECKPOINT_PART_FORMAT "reeve-checkpoint-part"
#define REEVE_CHECKPOINT_INDEX_FORMAT "reeve-checkpoint-index"
#define REEVE_CHECKPOINT_TENSORS_MAX (1u << 20)
#define REEVE_CHECKPOINT_FILE_BYTES_MAX ((uint64_t)1 << 50)

/* One row of /tensors, as it lies in the file. */
struct reeve_tensor_row {
    char name[REEVE_TENSOR_NAME_BYTES]; /* NUL-padded */
    uint32_t group;
    uint32_t rank;
    uint64_t shape[REEVE_TENSOR_RANK_MAX];
    uint32_t part;
    uint32_t block_count;
    uint64_t file_offset; /* of its bytes in the part file */
    uint64_t bytes;
    uint64_t first_block; /* in the part's /block_table; in an index: in /blocks */
};
_Static_assert(sizeof(struct reeve_tensor_row) == 136, "layout is part of checkpoint format 1");

hid_t reeve_tensor_row_type(void); /* < 0: failed; the caller's to close */
/* Model before optimizer, then by name. */
int reeve_tensor_row_order(const void *a, const void *b);
/* "/model/<name>" or "/optimizer/<name>" */
void reeve_tensor_row_path(const struct reeve_tensor_row *row, char out[256]);
/* Fill in all but part, file_offset and first_block. INPUT_INVALID: a name, rank or shape that no tensor may have. */
reeve_status reeve_tensor_row_of(const struct reeve_tensor *t, struct reeve_tensor_row *row, struct reeve_error *err);
/* A row from a file: are its name, shape, size and place possible? block_total: rows of the table first_block points
 * into. */
bool reeve_tensor_row_sane(const struct reeve_tensor_row *row, uint64_t file_bytes, uint64_t block_total);

void reeve_checkpoint_part_path(const char *dir, uint32_t part, char *out, size_t out_bytes);

/* A part file whose every byte but the tensors' own was checked: structure, seal, and that its table agrees with HDF5.
 */
struct reeve_part_file {
    char path[REEVE_PATH_BYTES_MAX];
    reeve_h5 *h5;                  /* owned */
    struct reeve_tensor_row *rows; /* owned; (row_count,) */
    uint32_t row_count;
    uint64_t *blocks; /* owned; (block_count,) XXH3-64 of each block */
    uint64_t block_count;
    uint64_t digest; /* of blocks */
    struct reeve_digest seal;
};
/* STORE_CORRUPT (also: missing) | STORE_READ | JOB_NO_MEMORY. On error there is nothing to close. */
reeve_status reeve_part_open(const char *dir, uint64_t step, uint32_t part, struct reeve_part_file *out,
                             struct reeve_error *err);
void reeve_part_close(struct reeve_part_file *p);

/* Read a table of count elements of element_bytes each; NULL if count is 0 (then there is no such dataset).
 * *out is the caller's to free. */
reeve_status reeve_checkpoint_read_table(reeve_h5 *h5, const char *file, const char *path, uint64_t count,
                                         uint64_t element_bytes, void **out, struct reeve_error *err);
reeve_status reeve_checkpoint_expect_attr(reeve_h5 *h5, const char *file, const char *name, uint64_t expected,
                                          struct reeve_error *err);
/* Check format and format_version. */
reeve_status reeve_checkpoint_expect_format(reeve_h5 *h5, const char *file, const char *format,
                                            struct reeve_error *err);
/* Find /seal. */
reeve_status reeve_checkpoint_read_seal(reeve_h5 *h5, const char *file, struct reeve_digest *seal, uint64_t *offset,
                                        struct reeve_error *err);

/* How many blocks so many bytes have. */
static inline uint64_t reeve_block_count(uint64_t bytes)
{
    return bytes / REEVE_CHECKPOINT_BLOCK_BYTES + (bytes % REEVE_CHECKPOINT_BLOCK_BYTES != 0);
}

/* Bytes of the block that begins at byte `at` of a tensor of `bytes`. Tensors are written and read a block at a time: it is
 * digested while it is in the processor's cache, where the copy from or to the kernel finds it or has left it. */
static inline size_t reeve_block_bytes(uint64_t bytes, uint64_t at)
{
    return (size_t)(bytes - at < REEVE_CHECKPOINT_BLOCK_BYTES ? bytes - at : REEVE_CHECKPOINT_BLOCK_BYTES);
}

#endif
