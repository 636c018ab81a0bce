/* Write the corpora that the fuzz targets begin with: seed_corpora OUT makes OUT/<target>/seed-*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/path.h"
#include "core/event.h"
#include "core/frame.h"
#include "export/metrics_file.h"
#include "export/starts_file.h"
#include "export/status_file.h"
#include "fuzz.h"
#include "seeds.h"
#include "store/make.h"
#include "store/owner_record.h"
#include "store/tasks_lock.h"

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
    if (file < 0 || !reeve_make_dataset(file, "/tokens", H5T_STD_U16LE, 1, &count, REEVE_MAKE_ZEROS, NULL) ||
        H5Fclose(file) < 0)
        abort();
    put_file("shard_hdf5", "seed", -1, "new.h5");
}

/* A conversation whose journal is changed in two records. */
static void put_altered(const char *name, int first, const uint8_t *talk, size_t bytes)
{
    static const uint8_t how[4 * 12] = {40, 0, 5, 1, 1, 0, 0, 0, 0, 0, 0, 0, 90, 0, 6, 1, 3};
    uint8_t *seed = malloc(sizeof(how) + bytes);
    if (seed == NULL) abort();
    memcpy(seed, how, sizeof(how));
    memcpy(seed + sizeof(how), talk, bytes);
    put("audit", name, first, seed, sizeof(how) + bytes);
    free(seed);
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
        by[0] = i < 3 ? 0 : i % 4 == 3 ? 7 : 9; /* hello; then all answer, and checkpoints are written */
        by[1] = (uint8_t)i;
        by[2] = by[3] = i < 3 ? 0 : 1;
    }
    put("frames", "seed-talk", 1, talk, sizeof(talk));
    put("frames", "seed-talk-short", 1, talk, 12 * 60);
    talk[12 * 40] = 10; /* launched again, with hellos behind */
    talk[12 * 41] = talk[12 * 42] = talk[12 * 43] = 0;
    talk[12 * 80] = 11; /* worker 1 is lost, and nobody takes over */
    talk[12 * 80 + 2] = talk[12 * 80 + 3] = 2;
    talk[12 * 120] = 11; /* worker 2 takes over */
    talk[12 * 120 + 2] = talk[12 * 120 + 3] = 0;
    talk[12 * 120 + 4] = 2;
    put("frames", "seed-talk-losses", 1, talk, sizeof(talk));
    put_altered("seed-talk", 0, talk, sizeof(talk));
    /* Five tasks: the second waits for the first, the third for both, the fourth for the end of the second, the fifth
     * for none. */
    static const uint8_t list[] = {4, 0, 0, 8, 1, 0, 9, 2, 0, 1, 8, 1, 129, 11, 0};
    memmove(talk + sizeof(list), talk, 12 * 200);
    memcpy(talk, list, sizeof(list));
    put("list", "seed-talk", 1, talk, sizeof(list) + 12 * 200);
    put("list", "seed-talk-short", 1, talk, sizeof(list) + 12 * 20);
    put_altered("seed-list", 2, talk, sizeof(list) + 12 * 60);
    memcpy(talk + sizeof(list), message, used);
    put("list", "seed-message", 0, talk, sizeof(list) + used);
}

/* The tasks of a run: locked, and as a job names them. */
static void put_tasks(void)
{
    struct reeve_error err;
    struct reeve_task_list *l = NULL;
    char path[PATH_MAX];
    static const char text[] = "fit.1\0./fit 1\0fit.2\0./fit 2\0report\0./report";
    static const uint64_t at[3] = {0, 14, 28};
    if (reeve_task_list_create(3, 2, sizeof(text), &l, &err) != REEVE_OK) fuzz_broken("%s", err.text);
    for (uint32_t i = 0; i < 4; i++)
        l->entries[i] = (struct reeve_task_entry){.attempts_max = i < 3 ? 2 : 0, .kind = i < 3 ? REEVE_TASK_EXEC : 0};
    l->entries[3].first_after = 2;
    l->afters[0] = 0;
    l->afters[1] = 1 | REEVE_TASK_AFTER_ANY;
    memcpy(l->text_at, at, sizeof(at));
    memcpy(l->text, text, sizeof(text));
    l->folder = strdup("/data");
    l->digest = reeve_task_list_digest(l);
    if (reeve_task_list_check(l, &err) != REEVE_OK) fuzz_broken("%s", err.text);
    (void)snprintf(path, sizeof(path), "%s/tasks.h5", fuzz_folder());
    if (reeve_tasks_lock_write(path, l, &err) != REEVE_OK) fuzz_broken("%s", err.text);
    reeve_task_list_destroy(l);
    put_file("tasks", "seed-file", 0, "tasks.h5");
    put_file("tasks", "seed-sealed", 1, "tasks.h5");
    static const char job[] = "name: x\nworkload: exec\nexec: {slots: 2, time_limit_s: 60}\ntasks:\n"
                              "  - {name: fit, command: \"./fit {a} {b}\", matrix: {a: [1, 2], b: [x, y]}}\n"
                              "  - {name: rest, file: commands.txt, priority: -2, attempts: 3}\n"
                              "  - {name: report, command: ./report, after: [fit, rest.1], after_any: rest}\n"
                              "\0./one\n# no command\n\n./two three\n";
    static const char simple[] = "name: x\nworkload: exec\ntasks: commands.txt\n\0true\r\nfalse";
    put("tasks", "seed-job", 2, job, sizeof(job) - 1);
    put("tasks", "seed-job-file", 2, simple, sizeof(simple) - 1);
}

/* What other programs say; the first byte is how much of it comes through a pipe at a time. */
static void put_words(void)
{
    static const char dashes[] = "--------------------------------------------------------------------------\n";
    char text[2048], path[PATH_MAX];
    struct reeve_error err;
    int n = snprintf(text, sizeof(text),
                     "step 3\n%sprterun noticed that process rank 2 with PID 77 on node n1 exited on\nsignal 9 "
                     "(Killed).\n%sgoing on\n",
                     dashes, dashes);
    put("words", "seed-killed", 30, text, (size_t)n);
    n = snprintf(text, sizeof(text),
                 "%smpirun has exited due to process rank 1 with PID 0 on\nnode n2 exiting improperly. There are "
                 "three reasons\n%s",
                 dashes, dashes);
    put("words", "seed-left", 255, text, (size_t)n);
    static const char *const says[] = {"CANCELLED by 1000|0:15|None|n[1-4]\nCOMPLETED|75:0|None|None assigned\n",
                                       "sbatch: error: Batch job submission failed:\n\tInvalid account\n",
                                       "1764190000\n", "UNLIMITED\n", "n1\nn2.cluster\nn3\n"};
    for (size_t i = 0; i < sizeof(says) / sizeof(says[0]); i++) {
        (void)snprintf(path, sizeof(path), "seed-slurm-%zu", i);
        put("words", path, 0, says[i], strlen(says[i]));
    }
    struct reeve_start s = {.epoch = 1, .workers = 2, .job_id = 7, .cause = REEVE_CAUSE_CRASH, .hosts = "n1 n2"};
    if (reeve_starts_append_submitted(fuzz_folder(), &s, &err) != REEVE_OK ||
        reeve_starts_append_start(fuzz_folder(), &s, &err) != REEVE_OK ||
        reeve_starts_append_joined(fuzz_folder(), &s, &err) != REEVE_OK ||
        reeve_starts_append_end(fuzz_folder(), &s, &err) != REEVE_OK ||
        reeve_starts_append_requeued(fuzz_folder(), &s, &err) != REEVE_OK)
        fuzz_broken("%s", err.text);
    put_file("words", "seed-starts", 0, "starts.jsonl");
    put_file("words", "seed-metrics", 0, "metrics.jsonl");
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
    put_tasks();
    put_words();
    put_text(
        "shards", "seed",
        "dataset: d\nformat: text\ntokenizer: bytes\nshards:\n  - path: a.txt\n  - glob: \"b*.txt\"\n    weight: 2\n");
    put_text("shards", "seed-mixed",
             "dataset: d\ntokenizer: bytes\nvocab: 300\nshards: [{path: a.txt, priority: 3}, {path: sub/c.bin, format: "
             "nanogpt}]\n");
    put_text("job", "seed-small",
             "name: x\nworkload: gpt\ndata: {manifest: shards.yaml}\ntrain: {steps: 3}\nmodel: {layers: 1, heads: 2, "
             "width: 16}\n");
    static const char set[] =
        "name: x\nworkload: gpt\ndata: {manifest: shards.yaml}\nmodel: {layers: 1, heads: 2, width: "
        "16}\n\0settrain.steps=3\nmodel.width=32\ndata.shuffle=block\n";
    put("job", "seed-set", -1, set, sizeof(set) - 1);
    return 0;
}
