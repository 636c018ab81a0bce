/* See seeds.h. */
#include "seeds.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "fuzz.h"
#include "store/checkpoint.h"
#include "store/journal.h"
#include "store/lock.h"

#define NEED(call)                                                                                                     \
    do {                                                                                                               \
        if ((call) != REEVE_OK) fuzz_broken("seeds, line %d: %s", __LINE__, err.text);                                 \
    } while (0)

uint8_t *seed_load(const char *dir, const char *name, size_t *bytes)
{
    struct reeve_error err;
    char path[PATH_MAX], *text = NULL;
    NEED(reeve_path_join(path, sizeof(path), dir, name, &err));
    NEED(reeve_file_read(path, (size_t)1 << 30, &text, bytes, &err));
    return (uint8_t *)text;
}

void seed_journal(const char *run_dir)
{
    struct reeve_error err;
    const struct reeve_journal_info empty = {.last_lsn = 0};
    reeve_journal *j;
    static const struct reeve_event events[] = {
        {.kind = REEVE_EVENT_RUN_OPENED, .a = 9, .arg = 2},
        {.kind = REEVE_EVENT_SEGMENT_STAMP, .a = 1700000000},
        {.kind = REEVE_EVENT_WORKER_JOINED, .worker = 1, .arg = 1},
        {.kind = REEVE_EVENT_WORKER_JOINED, .worker = 2, .arg = 2},
        {.kind = REEVE_EVENT_RUN_RESUMED},
        {.kind = REEVE_EVENT_STEP_OPENED, .step = 1, .arg = 6, .b = 12},
        {.kind = REEVE_EVENT_TASK_LEASED, .step = 1, .worker = 1, .attempt = 1},
        {.kind = REEVE_EVENT_TASK_COMPUTED, .step = 1, .worker = 1, .attempt = 1},
        {.kind = REEVE_EVENT_RUN_STOPPED, .arg = REEVE_JOB_STOPPED},
    };
    NEED(reeve_journal_open_sized(run_dir, &empty, 1, 9, SEED_SEGMENT, &j, &err));
    reeve_journal_port *port = reeve_journal_as_port(j);
    for (size_t i = 0; i < sizeof(events) / sizeof(events[0]); i++) {
        struct reeve_event ev = events[i];
        NEED(port->ops->append(port, &ev, &err));
    }
    NEED(reeve_journal_close(j, &err));
}

void seed_tensors(struct reeve_tensor tensors[SEED_TENSORS])
{
    static const struct reeve_tensor shapes[SEED_TENSORS] = {
        {.name = "wte.weight", .group = REEVE_TENSOR_MODEL, .rank = 2, .shape = {4, 3}},
        {.name = "h.0.bias", .group = REEVE_TENSOR_MODEL, .rank = 1, .shape = {5}},
        {.name = "wte.weight", .group = REEVE_TENSOR_OPTIMIZER, .rank = 2, .shape = {4, 3}},
    };
    for (uint32_t i = 0; i < SEED_TENSORS; i++) {
        tensors[i] = shapes[i];
        tensors[i].data = calloc(12, sizeof(float));
        if (tensors[i].data == NULL) abort();
        for (uint32_t e = 0; e < 12; e++)
            tensors[i].data[e] = (float)(i + e);
    }
}

void seed_tensors_free(struct reeve_tensor tensors[SEED_TENSORS])
{
    for (uint32_t i = 0; i < SEED_TENSORS; i++)
        free(tensors[i].data);
}

void seed_checkpoint(const char *run_dir)
{
    struct reeve_error err;
    struct reeve_tensor tensors[SEED_TENSORS];
    struct reeve_checkpoint_part part;
    struct reeve_digest digest;
    struct reeve_checkpoint_meta meta = {
        .run_id = 9, .lsn = 5, .epoch = 1, .workers = 1, .threads = 1, .build = "fuzz"};
    seed_tensors(tensors);
    NEED(reeve_checkpoint_begin(run_dir, SEED_STEP, 1, &err));
    NEED(reeve_checkpoint_write_part(run_dir, SEED_STEP, 1, 0, tensors, SEED_TENSORS, &part, &err));
    NEED(reeve_checkpoint_commit(run_dir, SEED_STEP, 1, &meta, &part, 1, "queue", 5, &digest, &err));
    seed_tensors_free(tensors);
}

void seed_checkpoint_name(unsigned which, char out[PATH_MAX])
{
    (void)snprintf(out, PATH_MAX, "checkpoint/step-%010u/%s", SEED_STEP, which == 0 ? "index.h5" : "rank-00000.h5");
}

void seed_lock(const char *run_dir)
{
    struct reeve_error err;
    struct reeve_shard shards[3];
    char paths[] = "a.txt\0b.txt\0c", base_dir[] = "/data", path[PATH_MAX];
    for (uint32_t i = 0; i < 3; i++)
        shards[i] = (struct reeve_shard){.path_offset = 6 * i,
                                         .file_bytes = 100 + i,
                                         .token_count = 100 + i,
                                         .weight = 1,
                                         .format = REEVE_SHARD_TEXT,
                                         .token_bytes = 1};
    struct reeve_manifest m = {.dataset = "fuzz",
                               .tokenizer = "bytes",
                               .vocab = 256,
                               .shard_count = 3,
                               .shards = shards,
                               .paths = paths,
                               .paths_bytes = sizeof(paths),
                               .base_dir = base_dir};
    m.digest = reeve_manifest_digest(&m);
    NEED(reeve_path_join(path, sizeof(path), run_dir, "manifest.h5", &err));
    NEED(reeve_lock_write(path, &m, &err));
}
