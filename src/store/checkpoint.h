/* Checkpoints: RUN/checkpoint/step-NNNNNNNNNN/{index.h5, rank-NNNNN.h5}. A folder counts only if the journal holds a
 * CKPT_COMMIT record for it; step-*.tmp-* is garbage by definition. Format and byte example: docs/format/checkpoint.md.
 *
 * Writing: every writer (a worker) writes whole tensors into one part file; the master writes the index last, fsyncs,
 * renames the folder and fsyncs its parent; then the CKPT_COMMIT record commits model and queue together.
 * Which tensors a part holds: reeve_checkpoint_assign(), a pure function of the tensor list and the number of parts.
 * Reading works with any number of readers: each preads the blocks that it wants, and checks them.
 *
 * The order of tensors is a checkpoint's own: model before optimizer, then by name. A part knows nothing of the others,
 * so the workload's order is not stored; nothing depends on it. */
#ifndef REEVE_STORE_CHECKPOINT_H
#define REEVE_STORE_CHECKPOINT_H

#include <stdbool.h>

#include "base/digest.h"
#include "reeve/workload.h"

#define REEVE_CHECKPOINT_BLOCK_BYTES (1u << 20) /* one XXH3-64 per block */
#define REEVE_CHECKPOINT_PARTS_MAX 65536u
#define REEVE_CHECKPOINT_BUILD_BYTES 512u

/* What a part file is known by; travels to the master in a frame (file name follows from `part`). */
struct reeve_checkpoint_part {
    uint32_t part; /* 0..part_count-1 */
    uint32_t tensor_count;
    uint64_t file_bytes;
    uint64_t digest; /* XXH3-64 of the part's block table: covers every tensor byte */
};

/* All that the index holds besides tensors. */
struct reeve_checkpoint_meta {
    uint64_t step;
    uint64_t run_id;
    uint64_t lsn;          /* of the cut: replay up to and including it gives the queue of this step */
    uint64_t queue_digest; /* digest of the master's state at that lsn */
    uint32_t epoch;        /* membership epoch */
    uint32_t workers;
    struct reeve_digest manifest_digest;
    struct reeve_digest job_digest;     /* of reeve_job_identity() */
    struct reeve_digest weights_digest; /* of all model tensors, in order */
    int64_t wall_ns;
    uint32_t threads; /* per worker */
    char build[REEVE_CHECKPOINT_BUILD_BYTES]; /* what the bits depend on: version, workload, compiler, BLAS core, processor */
};

/* part_of[i] = part that tensor i goes to: largest first onto the lightest part, ties to the lower number. Pure.
 * part_count: 1..REEVE_CHECKPOINT_PARTS_MAX. Some parts stay empty if there are more of them than tensors: they are
 * written all the same. */
void reeve_checkpoint_assign(const struct reeve_tensor *tensors, uint32_t tensor_count, uint32_t part_count,
                             uint32_t *part_of);

/* Name of the temporary folder of one attempt: RUN/checkpoint/step-N.tmp-EPOCH, and of the final one. */
void reeve_checkpoint_tmp_dir(const char *run_dir, uint64_t step, uint32_t epoch, char *out, size_t out_bytes);
void reeve_checkpoint_dir(const char *run_dir, uint64_t step, char *out, size_t out_bytes);

/* Create the (empty) temporary folder; an older one of the same name is removed. Master, before any part is written. */
reeve_status reeve_checkpoint_begin(const char *run_dir, uint64_t step, uint32_t epoch, struct reeve_error *err);

/* Write and fsync one part. tensors are those of this part only (data: staging copies, borrowed for the call).
 * Blocking; call it from a writer thread. The HDF5 lock is held only for the skeleton, never for the bytes.
 * A part that is there already is replaced; on error it is removed.
 * STORE_CREATE | STORE_WRITE | INPUT_INVALID (a name or shape that cannot be saved) | JOB_NO_MEMORY. */
reeve_status reeve_checkpoint_write_part(const char *run_dir, uint64_t step, uint32_t epoch, uint32_t part,
                                         const struct reeve_tensor *tensors, uint32_t tensor_count,
                                         struct reeve_checkpoint_part *out, struct reeve_error *err);

/* Write index.h5 over the given parts (all of 0..part_count-1), check each part's size and block table against what
 * its writer reported, fsync everything, rename the folder to its final name, fsync the parent.
 *   in   queue, queue_bytes  snapshot of the queue, opaque here; stored as /queue/snapshot
 *   out  index_digest        of the index file; its first 8 bytes, as memcpy puts them into a uint64_t, go into
 * CKPT_COMMIT. A folder of the same step that is there is put aside (step-N.old-EPOCH; the next sweep removes it), unless
 * a later epoch has committed it: then whoever calls was replaced, and must stop. meta->step and meta->epoch are ignored:
 * `step` and `epoch` are stored. STORE_IN_USE (of a later epoch; it stays) | STORE_CORRUPT (a part is not what was
 * reported) | STORE_CREATE | STORE_WRITE | STORE_READ | JOB_NO_MEMORY. */
reeve_status reeve_checkpoint_commit(const char *run_dir, uint64_t step, uint32_t epoch,
                                     const struct reeve_checkpoint_meta *meta,
                                     const struct reeve_checkpoint_part *parts, uint32_t part_count, const void *queue,
                                     size_t queue_bytes, struct reeve_digest *index_digest, struct reeve_error *err);
/* Remove what an abandoned attempt left. */
void reeve_checkpoint_abandon(const char *run_dir, uint64_t step, uint32_t epoch);

typedef struct reeve_checkpoint reeve_checkpoint; /* an index opened for reading; not thread-safe */

/* Open and check the index (hardened: size caps, hard links only, no filters, no external storage, bounds before
 * allocation). expect may be NULL; otherwise the index file's digest must equal it in its first 8 bytes (as in
 * CKPT_COMMIT.a). STORE_CORRUPT | STORE_READ | INPUT_MISSING. */
reeve_status reeve_checkpoint_open(const char *run_dir, uint64_t step, const uint64_t *expect_digest64,
                                   reeve_checkpoint **out, struct reeve_error *err);
void reeve_checkpoint_close(reeve_checkpoint *c);
const struct reeve_checkpoint_meta *reeve_checkpoint_meta(const reeve_checkpoint *c); /* borrowed until close */
const void *reeve_checkpoint_queue(const reeve_checkpoint *c, size_t *bytes);         /* borrowed until close */
uint32_t reeve_checkpoint_tensor_count(const reeve_checkpoint *c);
/* Name, group, rank and shape of tensor i; data is NULL. */
void reeve_checkpoint_tensor(const reeve_checkpoint *c, uint32_t i, struct reeve_tensor *out);

/* Read all tensors into tensors[].data, checking every block. Names, groups and shapes must match the index exactly, in
 * any order. On error the data is partly overwritten. STORE_CORRUPT (file, tensor, block) | STORE_MISMATCH |
 * STORE_READ. */
reeve_status reeve_checkpoint_read(const reeve_checkpoint *c, const struct reeve_tensor *tensors, uint32_t tensor_count,
                                   struct reeve_error *err);
/* Read these tensors only; the index may have others. All else as reeve_checkpoint_read(). */
reeve_status reeve_checkpoint_read_some(const reeve_checkpoint *c, const struct reeve_tensor *tensors,
                                        uint32_t tensor_count, struct reeve_error *err);
/* Check every byte of every file without keeping any: block digests, block tables, sizes, padding, and the rest of each
 * file (HDF5 metadata) by a whole-file digest. bytes_read may be NULL. */
reeve_status reeve_checkpoint_verify(const reeve_checkpoint *c, uint64_t *bytes_read, struct reeve_error *err);

/* Remove folders of steps not in keep[], and leftovers *.tmp-* and *.old-*, of this run, up to the newest step in keep:
 * what is newer may be in the making. keep_count 0: all. Never removes a step in keep; one that a crash left under its
 * old name only gets its name back. Goes on after a failure and returns the first. */
reeve_status reeve_checkpoint_sweep(const char *run_dir, const uint64_t *keep, uint32_t keep_count,
                                    struct reeve_error *err);

/* The highest step whose folder has its name, on record or not. False: none has, or the folder cannot be listed. */
bool reeve_checkpoint_newest_name(const char *run_dir, uint64_t *step);

/* Digest of all model-group tensors in the order of their names, over name, shape and bytes: `weights_digest`. The
 * order of the list does not matter, so a checkpoint can be checked without the workload. Zeros for 0 tensors (NULL is
 * fine). What exactly is digested: docs/format/checkpoint.md. */
struct reeve_digest reeve_weights_digest(const struct reeve_tensor *tensors, uint32_t tensor_count);

#endif
