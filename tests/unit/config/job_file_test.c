/* Good jobs: what is written arrives, what is not is the documented default, and paths open from anywhere. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/path.h"
#include "config/job_file.h"
#include "fixture.h"

static const char design_example[] =
    "name: quickstart\n"
    "workload: gpt\n"
    "seed: 1337\n"
    "data:       {manifest: shards.yaml, sequence: 128, shuffle: block, holdout: 0.05}\n"
    "train:      {steps: 300, global_batch: 32, micro_batch: 4, reduce: exact, eval_every: 50}\n"
    "model:      {layers: 4, heads: 4, width: 128}\n"
    "optimizer:  {kind: adamw, lr: 1.0e-3, min_lr: 1.0e-4, warmup: 20, weight_decay: 0.1, beta1: 0.9, beta2: 0.95, "
    "clip: 1.0}\n"
    "checkpoint: {every: 100, keep: 3}\n"
    "resources:  {workers: 2, threads: 1, device: auto}\n";

static const char smallest[] = "name: q\nworkload: gpt\ndata: {manifest: s.yaml}\n"
                               "train: {steps: 9, global_batch: 6, micro_batch: 3}\n";

static void read_job(const char *path, struct reeve_job *job, const char *const *set, uint32_t set_count)
{
    struct reeve_error err = {0};
    reeve_status st = reeve_job_read(path, set, set_count, job, &err);
    if (st != REEVE_OK) print_error("%s\n", err.text);
    assert_int_equal(st, REEVE_OK);
}

static void expect_path(const char *found, const char *expected_within)
{
    char expected[REEVE_JOB_PATH_BYTES];
    assert_int_equal(reeve_path_join(expected, sizeof(expected), fixture_folder(), expected_within, NULL), REEVE_OK);
    assert_string_equal(found, expected);
}

static void job_example_of_the_design_reads_as_it_stands(void **state)
{
    struct reeve_job job;
    fixture_write("job.yaml", design_example);
    read_job("job.yaml", &job, NULL, 0);
    assert_string_equal(job.name, "quickstart");
    assert_string_equal(job.workload, "gpt");
    assert_true(job.seed == 1337);
    expect_path(job.data.manifest, "shards.yaml");
    assert_int_equal(job.data.sequence, 128);
    assert_int_equal(job.data.shuffle, REEVE_SHUFFLE_BLOCK);
    assert_int_equal(job.data.holdout_ppm, 50000);
    assert_true(job.train.steps == 300);
    assert_int_equal(job.train.global_batch, 32);
    assert_int_equal(job.train.micro_batch, 4);
    assert_int_equal(job.train.reduce, REEVE_REDUCE_EXACT);
    assert_int_equal(job.train.eval_every, 50);
    assert_int_equal(job.model.layers, 4);
    assert_int_equal(job.model.width, 128);
    assert_true(job.optimizer.lr == 1e-3 && job.optimizer.min_lr == 1e-4 && job.optimizer.warmup == 20);
    assert_true(job.optimizer.weight_decay == 0.1 && job.optimizer.beta1 == 0.9 && job.optimizer.beta2 == 0.95);
    assert_true(job.optimizer.decay_steps == 300 && job.optimizer.clip == 1.0);
    assert_int_equal(job.checkpoint.every, 100);
    assert_int_equal(job.resources.device, REEVE_DEVICE_AUTO);
}

static void job_defaults_are_the_documented_ones(void **state)
{
    struct reeve_job job;
    fixture_write("job.yaml", smallest);
    read_job("job.yaml", &job, NULL, 0);
    assert_true(job.seed == 1337);
    assert_int_equal(job.data.sequence, 128);
    assert_int_equal(job.data.shuffle, REEVE_SHUFFLE_BLOCK);
    assert_int_equal(job.data.block_shards, 8);
    assert_int_equal(job.data.holdout_ppm, 0);
    assert_string_equal(job.data.cache, "");
    assert_int_equal(job.train.reduce, REEVE_REDUCE_EXACT);
    assert_int_equal(job.train.precision, REEVE_PRECISION_AUTO);
    assert_int_equal(job.train.eval_every, 0);
    assert_int_equal(job.train.refused_max, 5);
    assert_true(job.optimizer.lr == 1e-3 && job.optimizer.min_lr == 1e-4 && job.optimizer.warmup == 0);
    assert_true(job.optimizer.decay_steps == 9);
    assert_true(job.optimizer.weight_decay == 0.1 && job.optimizer.beta1 == 0.9 && job.optimizer.beta2 == 0.95);
    assert_true(job.optimizer.eps == 1e-8 && job.optimizer.clip == 1.0);
    assert_int_equal(job.checkpoint.every, 100);
    assert_int_equal(job.checkpoint.keep, 3);
    assert_int_equal(job.resources.workers, 2);
    assert_int_equal(job.resources.threads, 1);
    assert_int_equal(job.resources.device, REEVE_DEVICE_AUTO);
    assert_int_equal(job.journal.sync, REEVE_SYNC_STEP);
    assert_int_equal(job.faults.attempts_max, 3);
    assert_int_equal(job.faults.crash_limit, 3);
    assert_int_equal(job.faults.silence_warn_s, 30);
    assert_int_equal(job.faults.silence_stop_s, 600);
    assert_int_equal(job.faults.evict_min_s, 15);
    assert_int_equal(job.faults.credits, 2);
    assert_int_equal(job.faults.restarts_max, 10);
    assert_int_equal(job.faults.restart_wait_s, 60);
    assert_int_equal(job.faults.hang_min_s, 120);
    assert_string_equal(job.sample.prompt, "\n");
    assert_int_equal(job.sample.tokens, 0);
    assert_true(job.sample.temperature == 0.8);
}

static void job_overrides_win_and_the_last_one_wins_among_them(void **state)
{
    static const char *const set[] = {
        "train.steps=5", "train.steps=7",   "sample.prompt=\"a = b\"", "data={shuffle: global, holdout: 0.9}",
        "seed=0",        "name=other name", "optimizer.clip=0"};
    struct reeve_job job;
    fixture_write("job.yaml", design_example);
    read_job("job.yaml", &job, set, sizeof(set) / sizeof(set[0]));
    assert_true(job.train.steps == 7 && job.optimizer.decay_steps == 7);
    assert_string_equal(job.sample.prompt, "a = b");
    assert_int_equal(job.data.shuffle, REEVE_SHUFFLE_GLOBAL);
    assert_int_equal(job.data.holdout_ppm, 900000);
    assert_int_equal(job.data.sequence, 128); /* of the file: a section override sets its own keys alone */
    assert_true(job.seed == 0);
    assert_string_equal(job.name, "other name");
    assert_true(job.optimizer.clip == 0.0);
}

static void job_override_supplies_what_the_file_lacks(void **state)
{
    static const char *const set[] = {"train.steps=5"};
    struct reeve_job job;
    fixture_write("job.yaml",
                  "name: q\nworkload: gpt\ndata: {manifest: s}\ntrain: {global_batch: 1, micro_batch: 1}\n");
    read_job("job.yaml", &job, set, 1);
    assert_true(job.train.steps == 5);
}

static void job_decay_steps_stay_when_given(void **state)
{
    static const char *const set[] = {"train.steps=600", "optimizer.decay_steps=300"};
    struct reeve_job job;
    fixture_write("job.yaml", design_example);
    read_job("job.yaml", &job, set, 2);
    assert_true(job.train.steps == 600 && job.optimizer.decay_steps == 300);
}

static void job_limits_themselves_are_allowed(void **state)
{
    static const char *const set[] = {"seed=9223372036854775807",
                                      "train={steps: 1099511627776, global_batch: 1048576, micro_batch: 1}",
                                      "data={sequence: 65536, holdout: 0.9, block_shards: 1000000}",
                                      "optimizer={beta1: 0, beta2: 0.9999999999999999}",
                                      "optimizer={lr: 0, min_lr: 0}",
                                      "faults={silence_warn_s: 604800, silence_stop_s: 604800, credits: 64}",
                                      "name=012345678901234567890123456789012345678901234567890123456789012"};
    struct reeve_job job;
    fixture_write("job.yaml", design_example);
    read_job("job.yaml", &job, set, sizeof(set) / sizeof(set[0]));
    assert_true(job.seed == INT64_MAX);
    assert_int_equal(strlen(job.name), REEVE_JOB_NAME_BYTES - 1);
}

/* Goal: a job can be started from any folder. Method: name it from elsewhere, and through a link. */
static void job_paths_are_relative_to_the_job_file(void **state)
{
    static const char *const set[] = {"data.cache=cache", "workload=./mine.so"};
    struct reeve_job job;
    fixture_write("deep/er/job.yaml", smallest);
    read_job("deep/er/job.yaml", &job, set, 2);
    expect_path(job.data.manifest, "deep/er/s.yaml");
    expect_path(job.data.cache, "deep/er/cache");
    expect_path(job.workload, "deep/er/./mine.so");
    assert_int_equal(symlink("deep/er", "short"), 0);
    read_job("short/job.yaml", &job, NULL, 0);
    expect_path(job.data.manifest, "deep/er/s.yaml");
    assert_string_equal(job.workload, "gpt"); /* a name, not a path */
    static const char *const absolute[] = {"data.manifest=/data/s.yaml", "data.cache=\"\""};
    read_job("deep/er/job.yaml", &job, absolute, 2);
    assert_string_equal(job.data.manifest, "/data/s.yaml");
    assert_string_equal(job.data.cache, "");
}

static void job_yaml_forms_that_mean_the_same_read_the_same(void **state)
{
    static const char block[] = "%YAML 1.1\n---\n# comment\r\nname: 'q'\r\nworkload: \"gpt\"\r\n"
                                "data:\r\n  manifest: s.yaml\r\ntrain:\n    steps: +9\n    global_batch: 6\n"
                                "    micro_batch: 3\nmodel:\nfaults: ~\n...\n";
    struct reeve_job a, b;
    fixture_write("job.yaml", smallest);
    read_job("job.yaml", &a, NULL, 0);
    fixture_write("job.yaml", block);
    read_job("job.yaml", &b, NULL, 0);
    assert_memory_equal(&a, &b, sizeof(a));
    fixture_write("json.yaml",
                  "\xEF\xBB\xBF{\"name\": \"q\", \"workload\": \"gpt\", \"data\": {\"manifest\": \"s.yaml\"}, "
                  "\"train\": {\"steps\": 9, \"global_batch\": 6, \"micro_batch\": 3}}");
    read_job("json.yaml", &b, NULL, 0); /* JSON is YAML */
    assert_memory_equal(&a, &b, sizeof(a));
}

static void job_json_has_the_nesting_of_the_file(void **state)
{
    struct reeve_job job;
    char *text = NULL;
    fixture_write("job.yaml", design_example);
    read_job("job.yaml", &job, NULL, 0);
    assert_int_equal(reeve_job_format_json(&job, &text, NULL), REEVE_OK);
    json_error_t why;
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &why);
    assert_non_null(root);
    const char *name, *shuffle, *kind, *prompt, *manifest;
    json_int_t steps, seed;
    double holdout, lr;
    assert_int_equal(json_unpack(root, "{s:s, s:I, s:{s:s, s:s, s:F}, s:{s:I}, s:{s:s, s:F}, s:{s:s}}", "name", &name,
                                 "seed", &seed, "data", "shuffle", &shuffle, "manifest", &manifest, "holdout", &holdout,
                                 "train", "steps", &steps, "optimizer", "kind", &kind, "lr", &lr, "sample", "prompt",
                                 &prompt),
                     0);
    assert_string_equal(name, "quickstart");
    assert_string_equal(shuffle, "block");
    assert_string_equal(kind, "adamw");
    assert_string_equal(prompt, "\n");
    expect_path(manifest, "shards.yaml");
    assert_true(seed == 1337 && steps == 300 && holdout == 0.05 && lr == 1e-3);
    json_decref(root);
    free(text);
}

/* JSON is YAML, so what a workload is given is itself a job file. */
static void job_json_read_as_a_job_is_the_same_job(void **state)
{
    struct reeve_job job, back;
    char *text = NULL;
    fixture_write("job.yaml", design_example);
    read_job("job.yaml", &job, NULL, 0);
    assert_int_equal(reeve_job_format_json(&job, &text, NULL), REEVE_OK);
    fixture_write("elsewhere/job.json", text);
    read_job("elsewhere/job.json", &back, NULL, 0);
    assert_memory_equal(&job, &back, sizeof(job));
    free(text);
}

static char *printed_keys(void)
{
    char *text = NULL;
    size_t bytes = 0;
    FILE *out = open_memstream(&text, &bytes);
    assert_non_null(out);
    reeve_job_print_keys(out);
    assert_int_equal(fclose(out), 0);
    return text;
}

/* Goal: docs/job.md lists every key with its default, range and meaning, and no other. Method: against what --help-keys
 * prints. */
static void job_document_lists_every_key_with_its_default(void **state)
{
    char *keys = printed_keys(), *rest = keys, *doc = NULL, path[64] = "", meaning[256] = "", wanted[512];
    size_t bytes = 0, key_count = 0, row_count = 0;
    assert_int_equal(reeve_file_read(REEVE_SOURCE_DIR "/docs/job.md", 1 << 20, &doc, &bytes, NULL), REEVE_OK);
    for (char *line; (line = strsep(&rest, "\n")) != NULL;) {
        size_t named = strcspn(line, " ");
        if (named > 0) {
            (void)snprintf(path, sizeof(path), "%.*s", (int)named, line);
            (void)snprintf(meaning, sizeof(meaning), "%s", line + named + strspn(line + named, " "));
        }
        char *fallback = strstr(line, "; default "), *given = strstr(line, "; must be given");
        if (line[0] != ' ' || (fallback == NULL && given == NULL)) continue;
        const char *tick = fallback != NULL ? "`" : "", *expected = line + strspn(line, " ");
        int expected_bytes = (int)((fallback != NULL ? fallback : given) - expected);
        (void)snprintf(wanted, sizeof(wanted), "| `%s` | %s%s%s | %.*s | %s |\n", path, tick,
                       fallback != NULL ? fallback + 10 : "must be given", tick, expected_bytes, expected, meaning);
        if (strstr(doc, wanted) == NULL) print_error("docs/job.md lacks: %s\n", wanted);
        assert_non_null(strstr(doc, wanted));
        key_count++;
    }
    assert_true(key_count >= 40);
    for (const char *at = doc; (at = strstr(at, "\n| `")) != NULL; at++)
        row_count++;
    assert_int_equal(row_count, key_count);
    free(doc);
    free(keys);
}

/* Goal: what the document shows can be copied. Method: read each of its YAML blocks as a job. */
static void job_document_examples_are_read(void **state)
{
    struct reeve_job job;
    char *doc = NULL;
    size_t bytes = 0;
    int count = 0;
    assert_int_equal(reeve_file_read(REEVE_SOURCE_DIR "/docs/job.md", 1 << 20, &doc, &bytes, NULL), REEVE_OK);
    for (char *at = doc; (at = strstr(at, "```yaml\n")) != NULL; count++) {
        char *end = strstr(at + 8, "```");
        assert_non_null(end);
        *end = '\0';
        fixture_write("job.yaml", at + 8);
        read_job("job.yaml", &job, NULL, 0);
        at = end + 1;
    }
    assert_int_equal(count, 2);
    read_job(REEVE_SOURCE_DIR "/jobs/quickstart.yaml", &job, NULL, 0);
    free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_example_of_the_design_reads_as_it_stands),
        cmocka_unit_test(job_defaults_are_the_documented_ones),
        cmocka_unit_test(job_overrides_win_and_the_last_one_wins_among_them),
        cmocka_unit_test(job_override_supplies_what_the_file_lacks),
        cmocka_unit_test(job_decay_steps_stay_when_given),
        cmocka_unit_test(job_limits_themselves_are_allowed),
        cmocka_unit_test(job_paths_are_relative_to_the_job_file),
        cmocka_unit_test(job_yaml_forms_that_mean_the_same_read_the_same),
        cmocka_unit_test(job_json_has_the_nesting_of_the_file),
        cmocka_unit_test(job_json_read_as_a_job_is_the_same_job),
        cmocka_unit_test(job_document_lists_every_key_with_its_default),
        cmocka_unit_test(job_document_examples_are_read),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
