/* The files that a shard manifest names: each once, in order, and there. */
#ifndef REEVE_CONFIG_MANIFEST_PATHS_H
#define REEVE_CONFIG_MANIFEST_PATHS_H

#include "base/digest.h"
#include "config/yaml_tree.h"
#include "core/manifest.h"

#define REEVE_MANIFEST_SHARDS_MAX ((uint32_t)1 << 24)

/* Which file a name leads to, whatever the name: a digest of device, inode, size and times. Names alone would not do
 * (`..`, links), nor the inode alone, which some file systems make up as they go. */
typedef struct reeve_digest reeve_file_identity;

/* A manifest that shards are being added to. */
struct reeve_manifest_paths {
    struct reeve_manifest *manifest; /* borrowed; its base_dir is set */
    const struct reeve_yaml *yaml;   /* borrowed; for places */
    int base_fd;                     /* the open folder base_dir */
    uint32_t shard_room;
    uint64_t paths_room;
    uint32_t *node;            /* (shard_room,) owned: the node that named each shard */
    reeve_file_identity *file; /* (shard_room,) owned */
    uint32_t *slots;           /* (slot_count,) owned: open hash table, shard + 1, 0 is free */
    uint32_t slot_count;       /* a power of two, more than twice the shards; or 0 */
};

/* Sets up *p. STORE_READ and the like: base_dir cannot be opened. */
reeve_status reeve_manifest_paths_init(struct reeve_manifest_paths *p, struct reeve_manifest *manifest,
                                       const struct reeve_yaml *yaml, struct reeve_error *err);
void reeve_manifest_paths_fini(struct reeve_manifest_paths *p);

/* Add the file `path`, named by `node`, with format, token_bytes, weight and priority of `like`.
 * INPUT_MISSING | INPUT_PERMISSION | INPUT_INVALID (no regular file, empty, named before, a strange name). */
reeve_status reeve_manifest_paths_add(struct reeve_manifest_paths *p, const char *path, uint32_t node,
                                      const struct reeve_shard *like, struct reeve_error *err);

/* The same for every file that `pattern` matches, sorted by bytes. `*`, `?` and `[...]` as in the shell: no match of a
 * leading dot, none across '/'; folders are left out. INPUT_INVALID also for a pattern without a match, and `**`. */
reeve_status reeve_manifest_paths_add_glob(struct reeve_manifest_paths *p, const char *pattern, uint32_t node,
                                           const struct reeve_shard *like, struct reeve_error *err);

#endif
