/* Inside of the checkpoint: index.h5 as it is in memory, made from the parts (commit) or from its file (open). */
#ifndef REEVE_STORE_CHECKPOINT_INDEX_H
#define REEVE_STORE_CHECKPOINT_INDEX_H

#include "store/checkpoint_part.h"

/* One row of /parts, as it lies in the file. */
struct reeve_part_row {
    uint64_t file_bytes;
    uint64_t digest;      /* XXH3-64 of the part's /block_table */
    uint64_t seal[2];     /* the part's /seal, as two words */
    uint64_t first_block; /* in /blocks */
    uint64_t block_count;
};
_Static_assert(sizeof(struct reeve_part_row) == 48, "layout is part of checkpoint format 1");

struct reeve_checkpoint {
    char dir[REEVE_PATH_BYTES_MAX - 64];
    char path[REEVE_PATH_BYTES_MAX]; /* of index.h5 */
    uint64_t file_bytes;             /* of index.h5 */
    struct reeve_digest digest;      /* of index.h5 */
    struct reeve_checkpoint_meta meta;
    struct reeve_tensor_row *rows; /* owned; (row_count,) in reeve_tensor_row_order */
    uint32_t row_count;
    struct reeve_part_row *parts; /* owned; (part_count,) */
    uint32_t part_count;
    uint64_t *blocks; /* owned; (block_count,) of all parts */
    uint64_t block_count;
    void *queue; /* owned */
    size_t queue_bytes;
};

/* The epoch that has committed the checkpoint in this folder. STORE_CORRUPT, INPUT_MISSING: it is none; else it could not be
 * read now. */
reeve_status reeve_checkpoint_epoch(const char *dir, uint64_t step, uint32_t *epoch, struct reeve_error *err);

/* The folder of a step. A commit that puts one aside may die between two renames: then what was there before is found as
 * step-N.old-EPOCH; of several the one that the latest epoch has committed, whoever put it aside. */
void reeve_checkpoint_find(const char *run_dir, uint64_t step, char *dir, size_t dir_bytes);

/* Write c as c->path, durably once its folder is synced; sets c->digest and c->file_bytes. STORE_CREATE | STORE_WRITE | JOB_NO_MEMORY. */
reeve_status reeve_index_create(struct reeve_checkpoint *c, struct reeve_error *err);

/* Read c->path into c, whose dir and path are set. expect_digest64 as in reeve_checkpoint_open(). On error the tables
 * may be partly there: reeve_index_free(). */
reeve_status reeve_index_load(struct reeve_checkpoint *c, uint64_t step, const uint64_t *expect_digest64,
                              struct reeve_error *err);
void reeve_index_free(struct reeve_checkpoint *c); /* the tables, not c */

#endif
