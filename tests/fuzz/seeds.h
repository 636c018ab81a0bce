/* Files that the real code writes: what the corpora begin with, and what a target puts beside the bytes in question. */
#ifndef REEVE_TEST_FUZZ_SEEDS_H
#define REEVE_TEST_FUZZ_SEEDS_H

#include <limits.h>

#include "reeve/workload.h"

#define SEED_STEP 10u
#define SEED_TENSORS 3u
#define SEED_SEGMENT 64u /* records */

/* run_dir/journal: one segment with some records. */
void seed_journal(const char *run_dir);
/* run_dir/checkpoint: step SEED_STEP in one part. */
void seed_checkpoint(const char *run_dir);
/* Within run_dir: 0 the index, 1 the part. */
void seed_checkpoint_name(unsigned which, char out[PATH_MAX]);
/* run_dir/manifest.h5 */
void seed_lock(const char *run_dir);
/* The tensors of that checkpoint, with memory; seed_tensors_free(). */
void seed_tensors(struct reeve_tensor tensors[SEED_TENSORS]);
void seed_tensors_free(struct reeve_tensor tensors[SEED_TENSORS]);
/* The bytes of dir/name; free(). */
uint8_t *seed_load(const char *dir, const char *name, size_t *bytes);

#endif
