/* The three things that `reeve manifest` does, a file each. */
#ifndef REEVE_CLI_MANIFEST_H
#define REEVE_CLI_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "core/manifest.h"

struct reeve_manifest_request {
    const char *path;   /* SHARDS.yaml, a lock, or the folder of a run */
    const char *output; /* lock: -o; NULL: beside shards.yaml */
    uint32_t threads;   /* 0: as many as cores */
    uint32_t sequence;  /* show: 0: samples are not counted */
    bool all, json;
};

int reeve_manifest_lock_main(const struct reeve_manifest_request *r);
int reeve_manifest_check_main(const struct reeve_manifest_request *r);
int reeve_manifest_show_main(const struct reeve_manifest_request *r);

const char *reeve_shard_format_name(uint8_t format); /* "text"; "?" if unknown; static storage */
uint64_t reeve_manifest_tokens(const struct reeve_manifest *m);
uint64_t reeve_manifest_bytes(const struct reeve_manifest *m);

#endif
