/* Write the corpora that the fuzz targets begin with: seed_corpora OUT makes OUT/<target>/seed-*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "core/event.h"
#include "core/frame.h"
#include "export/metrics_file.h"
#include "export/status_file.h"
#include "fuzz.h"
#include "seeds.h"
#include "store/make.h"
#include "store/owner_record.h"

static const char *out;

/* One seed: an optional first byte (-1: none), and the bytes. */
static void put(const char *target, const char *name, int first, const void *bytes, size_t size)
{
    char dir[PATH_MAX], path[PATH_MAX];
    uint8_t *seed = malloc(size + 1);
    if (seed == NULL || reeve_path_join(dir, sizeof(dir), out, target, NULL) != REEVE_OK ||
        reeve_path_join(path, sizeof(path), dir, name, NULL) != REEVE_OK || reeve_mkdir_parents(dir, NULL) != REEVE_OK)
        abort();
    size_t head = first >= 0;
    seed[0] = (uint8_t)first;
    memcpy(seed + head, bytes, size);
    if (reeve_file_replace(path, seed, size + head, false, NULL) != REEVE_OK) abort();
    free(seed);
}

static void put_file(const char *target, const char *name, int first, const char *from)
{
    size_t bytes;
    uint8_t *text = seed_load(fuzz_folder(), from, &bytes);
    put(target, name, first, text, bytes);
    free(text);
}

static void put_text(const char *target, const char *name, const char *text)
{
    put(target, name, -1, text, strlen(text));
}

static void put_store(void)
{
    const char *segment = "journal/00000001-0000000000000001.h5";
    char name[PATH_MAX];
    size_t bytes;
    seed_journal(fuzz_folder());
    seed_checkpoint(fuzz_folder());
    seed_lock(fuzz_folder());
    put_file("journal", "seed-file", 0, segment);
    uint8_t *text = seed_load(fuzz_folder(), segment, &bytes);
    put("journal", "seed-records", 1, text + 4096, 12 * sizeof(struct reeve_event));
    put("journal", "seed-signed", 2, text + 4096, 9 * sizeof(struct reeve_event));
    free(text);
    for (int which = 0; which < 2; which++) {
        seed_checkpoint_name((unsigned)which, name);
        put_file("checkpoint", which == 0 ? "seed-index" : "seed-part", which, name);
        put_file("checkpoint", which == 0 ? "seed-index-sealed" : "seed-part-sealed", which | 2, name);
    }
    put_file("lock", "seed-file", 0, "manifest.h5");
    put_file("lock", "seed-sealed", 1, "manifest.h5");
}

static void put_shards(void)
{
    uint8_t llmc[1024 + 64] = {0};
    const uint32_t header[3] = {20240520, 1, 32};
    uint16_t tokens[64];
    const uint64_t count = 64;
    memcpy(llmc, header, sizeof(header));
    for (unsigned i = 0; i < 64; i++)
        tokens[i] = (uint16_t)(i * 37);
    memcpy(llmc + 1024, tokens, 64);
    put("shard_llmc", "seed", -1, llmc, sizeof(llmc));
    put("shard_nanogpt", "seed", -1, tokens, sizeof(tokens));
    put_text("shard_text", "seed", "A text of some words, and then some more of them.\n");
    (void)fuzz_file("tokens.h5", "", 0);
    char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/new.h5", fuzz_folder());
    hid_t file = reeve_make_file(path);
    if (file < 0 || !reeve_make_dataset(file, "/tokens", H5T_STD_U16LE, 1, &count, REEVE_MAKE_ZEROS) ||
        H5Fclose(file) < 0)
        abort();
    put_file("shard_hdf5", "seed", -1, "new.h5");
}

/* A message, and a conversation in which all goes well. */
static void put_frames(void)
{
    uint8_t message[1024], talk[12 * 400];
    size_t used = 0;
    const struct reeve_frame hello = {.kind = REEVE_FRAME_HELLO, .arg = 2, .a = 7};
    const struct reeve_frame failed = {.kind = REEVE_FRAME_FAILED, .epoch = 1, .step = 1, .arg = REEVE_TASK_FAILED};
    (void)reeve_frame_push(message, sizeof(message), &used, &hello, "node-1");
    (void)reeve_frame_push(message, sizeof(message), &used, &failed, "why it failed");
    put("frames", "seed-message", 0, message, used);
    memset(talk, 0, sizeof(talk));
    for (unsigned i = 0; i < 400; i++) {
        uint8_t *by = talk + 12 * i;
        by[0] = i < 3 ? 0 : i % 40 == 39 ? 7 : i % 40 == 38 ? 8 : 1; /* hello, then answers, checkpoints, weights */
        by[1] = (uint8_t)i;
        by[2] = 1;
        by[3] = 7;
    }
    put("frames", "seed-talk", 1, talk, sizeof(talk));
    put("frames", "seed-talk-short", 1, talk, 12 * 60);
}

static void put_shown(void)
{
    struct reeve_error err;
    struct reeve_status_report report;
    struct reeve_owner_record record;
    reeve_metrics_file *m;
    char path[PATH_MAX], text[REEVE_OWNER_RECORD_BYTES];
    reeve_status_report_init(&report);
    (void)snprintf(path, sizeof(path), "%s/status.json", fuzz_folder());
    if (reeve_status_file_write(path, &report, &err) != REEVE_OK) fuzz_broken("%s", err.text);
    put_file("status", "seed-status", -1, "status.json");
    (void)snprintf(path, sizeof(path), "%s/metrics.jsonl", fuzz_folder());
    if (reeve_metrics_open(path, &m, &err) != REEVE_OK) fuzz_broken("%s", err.text);
    for (uint64_t step = 1; step <= 4; step++)
        (void)reeve_metrics_append(m, &(struct reeve_metrics_row){.step = step, .loss = 3.5, .workers = 2}, &err);
    (void)reeve_metrics_append_eval(m, 4, 3.25, &err);
    (void)reeve_metrics_append_resumed(m, 2, 3, &err);
    reeve_metrics_close(m);
    put_file("status", "seed-metrics", -1, "metrics.jsonl");
    reeve_owner_record_make(&record);
    put("status", "seed-owner", -1, text, reeve_owner_record_print(&record, text));
}

int main(int argc, char **argv)
{
    if (argc != 2) {
        (void)fprintf(stderr, "usage: seed_corpora OUT\n");
        return 64;
    }
    out = argv[1];
    put_store();
    put_shards();
    put_frames();
    put_shown();
    put_text(
        "shards", "seed",
        "dataset: d\nformat: text\ntokenizer: bytes\nshards:\n  - path: a.txt\n  - glob: \"b*.txt\"\n    weight: 2\n");
    put_text("shards", "seed-mixed",
             "dataset: d\ntokenizer: bytes\nvocab: 300\nshards: [{path: a.txt, priority: 3}, {path: sub/c.bin, format: "
             "nanogpt}]\n");
    put_text("job", "seed-small",
             "name: x\nworkload: gpt\ndata: {manifest: shards.yaml}\ntrain: {steps: 3}\nmodel: {layers: 1, heads: 2, "
             "width: 16}\n");
    return 0;
}
