/* shards.yaml from anybody, beside three files that it may name. */
#include "config/manifest_file.h"
#include "fuzz.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reeve_manifest *m = NULL;
    struct reeve_error err;
    (void)fuzz_file("a.txt", "text", 4);
    (void)fuzz_file("b.txt", "text", 4);
    (void)fuzz_file("sub/c.bin", "text", 4);
    if (reeve_manifest_file_read(fuzz_file("shards.yaml", data, size), &m, &err) != REEVE_OK) return 0;
    FUZZ_CHECK(m->shard_count > 0, "an accepted list without a shard");
    for (uint32_t i = 0; i < m->shard_count; i++)
        FUZZ_CHECK(m->shards[i].path_offset < m->paths_bytes && m->shards[i].weight >= 1 &&
                       m->shards[i].weight <= REEVE_SHARD_WEIGHT_MAX,
                   "shard %u is out of bounds", i);
    reeve_manifest_destroy(m);
    return 0;
}
