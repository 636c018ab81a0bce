/* shards.yaml -> a list of shard files, globs expanded; and locking: measuring them all. */
#ifndef REEVE_CONFIG_MANIFEST_FILE_H
#define REEVE_CONFIG_MANIFEST_FILE_H

#include "core/manifest.h"

/* Read shards.yaml and expand globs (sorted bytewise, so that the order is the same everywhere) into a manifest whose
 * shards have path, format, token_bytes, weight and priority, but are not measured yet (sizes and digests zero).
 * A path named twice, a glob without a match, an empty list, an unknown key: INPUT_INVALID with file, line, column.
 * INPUT_MISSING: shards.yaml or a shard. *out: reeve_manifest_destroy(). */
reeve_status reeve_manifest_file_read(const char *path, struct reeve_manifest **out, struct reeve_error *err);

#endif
