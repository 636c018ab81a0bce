/* shards.yaml -> a list of shard files, globs expanded; and locking: measuring them all. */
#ifndef REEVE_CONFIG_MANIFEST_FILE_H
#define REEVE_CONFIG_MANIFEST_FILE_H

#include "core/manifest.h"

/* Read shards.yaml and expand globs (sorted bytewise, so that the order is the same everywhere) into a manifest whose
 * shards have path, format, token_bytes, weight and priority, but are not measured yet (sizes and digests zero).
 * Where nothing says the format (`format: auto`, the default), shard.format is 0: the lock looks into the file.
 * token_bytes is 1 for text, 2 for llm.c and nanogpt, and 0 (the lock looks) for hdf5 and auto.
 * base_dir is the absolute folder of shards.yaml. Each file is looked at once (stat), none is opened.
 * A path named twice, a glob without a match, an empty list, an unknown key: INPUT_INVALID with file, line, column.
 * INPUT_MISSING: shards.yaml or a shard; INPUT_PERMISSION: a folder that cannot be searched. Both with the place.
 * *out: reeve_manifest_destroy(). Cost: O(shards) time and memory. */
reeve_status reeve_manifest_file_read(const char *path, struct reeve_manifest **out, struct reeve_error *err);

#endif
