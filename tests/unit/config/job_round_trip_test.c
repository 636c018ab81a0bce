/* A job that was written reads back to the same bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "config/job_file.h"
#include "config/job_keys.h"
#include "fixture.h"

static uint64_t seed, used;

static uint64_t below(uint64_t bound)
{
    return reeve_random_below(seed, 1, used++, bound);
}

/* A whole number from low to high; often one of the two, or one beside them. */
static int64_t random_whole(int64_t low, int64_t high)
{
    switch (below(4)) {
    case 0:
        return low;
    case 1:
        return high;
    default:
        return (int64_t)((uint64_t)low + below((uint64_t)high - (uint64_t)low) + 1);
    }
}

static double random_real(double low, double high, bool exclusive)
{
    if (below(8) == 0) return low;
    if (below(8) == 0 && !exclusive) return high;
    double value = low + (high - low) * reeve_random_uniform(seed, 2, used++);
    return below(2) == 0 ? value : value * 1e-7 < low ? value : value * 1e-7;
}

/* A text of any characters that YAML or UTF-8 could trip over. */
static void random_text(char *out, uint32_t capacity, bool one_line, bool may_be_empty)
{
    static const char *const pieces[] = {"a",
                                         " ",
                                         "\"",
                                         "\\",
                                         "'",
                                         "#",
                                         ": ",
                                         "- ",
                                         "{",
                                         "}",
                                         "[",
                                         "]",
                                         "&",
                                         "*",
                                         "!",
                                         "%",
                                         "@",
                                         "`",
                                         "~",
                                         "null",
                                         "1",
                                         "\xC3\xA9",
                                         "\xE6\x97\xA5",
                                         "\xF0\x9F\x9A\xA2",
                                         "\xEF\xBB\xBF",
                                         "\xEF\xBF\xBE",
                                         "\n",
                                         "\t",
                                         "\r",
                                         "\x01",
                                         "\x7F",
                                         "\xC2\x85",
                                         "\xE2\x80\xA8",
                                         "\n\n "};
    size_t choices = sizeof(pieces) / sizeof(pieces[0]) - (one_line ? 8 : 0), bytes = 0;
    memset(out, 0, capacity);
    for (uint64_t n = below(40) + !may_be_empty; n > 0; n--) {
        const char *piece = pieces[below(choices)];
        if (bytes + strlen(piece) >= capacity) break;
        memcpy(out + bytes, piece, strlen(piece));
        bytes += strlen(piece);
    }
}

static void random_value(const struct reeve_key *key, struct reeve_job *job)
{
    void *at = (char *)job + key->offset;
    switch (key->type) {
    case REEVE_KEY_U32:
        *(uint32_t *)at = (uint32_t)random_whole(key->low, key->high);
        break;
    case REEVE_KEY_U64:
        *(uint64_t *)at = (uint64_t)random_whole(key->low, key->high);
        break;
    case REEVE_KEY_REAL:
        *(double *)at = random_real(key->real_low, key->real_high, key->below);
        break;
    case REEVE_KEY_PPM:
        *(uint32_t *)at = (uint32_t)random_whole(0, 900000);
        break;
    case REEVE_KEY_TEXT:
        random_text(at, key->capacity, true, key->low == 0);
        break;
    case REEVE_KEY_SPEECH:
        random_text(at, key->capacity, false, true);
        break;
    case REEVE_KEY_CHOICE: {
        uint32_t count = 0;
        while (key->choices[count] != NULL)
            count++;
        if (key->capacity != 0) *(uint32_t *)at = (uint32_t)below(count);
        break;
    }
    default:
        fail();
    }
}

/* What read() settles by itself: relations hold, and paths are absolute. */
static void settle(struct reeve_job *job)
{
    job->train.micro_batch = (uint32_t)random_whole(1, 2048);
    job->train.global_batch = job->train.micro_batch * (uint32_t)random_whole(1, 1024);
    job->model.width = job->model.heads * (uint32_t)random_whole(1, 64);
    if (job->optimizer.min_lr > job->optimizer.lr) job->optimizer.min_lr = job->optimizer.lr;
    if (job->faults.silence_warn_s > job->faults.silence_stop_s)
        job->faults.silence_warn_s = job->faults.silence_stop_s;
    if (job->resources.device == REEVE_DEVICE_CPU && job->train.precision == REEVE_PRECISION_BF16)
        job->train.precision = REEVE_PRECISION_FP32;
    job->data.manifest[0] = '/';
    if (job->data.cache[0] != '\0') job->data.cache[0] = '/';
    if (job->model.init_from[0] != '\0') job->model.init_from[0] = '/';
    memset(job->model.init_weights, 0, sizeof(job->model.init_weights));
    if (job->model.init_from[0] != '\0' && below(2) == 0)
        for (size_t i = 0; i + 1 < sizeof(job->model.init_weights); i++)
            job->model.init_weights[i] = "0123456789abcdef"[below(16)];
    memset(job->workload, 0, sizeof(job->workload));
    memcpy(job->workload, "gpt", 3);
}

/* The same for a job of workload exec. */
static void settle_list(struct reeve_job *job)
{
    memset(job->workload, 0, sizeof(job->workload));
    memcpy(job->workload, "exec", 4);
    job->exec.folder[0] = '/';
    if (job->exec.slots > job->exec.ahead) job->exec.slots = job->exec.ahead;
    if (job->faults.silence_warn_s > job->faults.silence_stop_s)
        job->faults.silence_warn_s = job->faults.silence_stop_s;
}

/* The first byte of a character of several must not be overwritten: paths begin with their own. */
static void begin_with_ascii(char *text)
{
    if ((unsigned char)text[0] < 0x80) return;
    size_t bytes = 1;
    while (((unsigned char)text[bytes] & 0xC0) == 0x80)
        bytes++;
    memset(text, 'p', bytes);
}

/* Every key is in the JSON text, with the same bits. */
static void check_json(const char *text, const struct reeve_job *job)
{
    json_t *root = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
    assert_non_null(root);
    for (uint32_t i = 0; i < reeve_job_keys.key_count; i++) {
        const struct reeve_key *key = &reeve_job_keys.keys[i];
        if (!reeve_job_key_applies(key, job->workload)) continue;
        const void *at = (const char *)job + key->offset;
        const json_t *in = key->section[0] != '\0' ? json_object_get(root, key->section) : root;
        const json_t *value = json_object_get(in, key->name);
        double real = json_real_value(value);
        assert_non_null(value);
        switch (key->type) {
        case REEVE_KEY_U32:
            assert_true(json_integer_value(value) == *(const uint32_t *)at);
            break;
        case REEVE_KEY_U64:
            assert_true((uint64_t)json_integer_value(value) == *(const uint64_t *)at);
            break;
        case REEVE_KEY_REAL:
            assert_memory_equal(&real, at, sizeof(real));
            break;
        case REEVE_KEY_PPM:
            assert_true(llround(real * 1e6) == *(const uint32_t *)at);
            break;
        case REEVE_KEY_CHOICE:
            assert_string_equal(json_string_value(value), key->choices[key->capacity != 0 ? *(const uint32_t *)at : 0]);
            break;
        default:
            assert_string_equal(json_string_value(value), at);
        }
    }
    json_decref(root);
}

/* Random texts are no words of Slurm's, and are refused as such: these are. */
static void words_of_slurm(struct reeve_job *job)
{
    memset(job->resources.time, 0, sizeof(job->resources.time));
    memset(job->resources.partition, 0, sizeof(job->resources.partition));
    memset(job->resources.account, 0, sizeof(job->resources.account));
    (void)snprintf(job->resources.time, sizeof(job->resources.time), "%s", job->seed % 2 == 0 ? "" : "2-12:00:00");
    (void)snprintf(job->resources.partition, sizeof(job->resources.partition), "%s", job->seed % 3 == 0 ? "" : "a,b_1");
    (void)snprintf(job->resources.account, sizeof(job->resources.account), "%s", job->seed % 5 == 0 ? "" : "p.1@x");
}

static void job_random_jobs_read_back_bit_for_bit(void **state)
{
    seed = fixture_seed();
    for (int round = 0; round < 400; round++) {
        struct reeve_job job, back;
        struct reeve_error err = {0};
        char *text = NULL, *again = NULL, *json = NULL;
        memset(&job, 0, sizeof(job));
        const char *workload = round % 4 == 0 ? "exec" : "gpt";
        for (uint32_t i = 0; i < reeve_job_keys.key_count; i++)
            if (reeve_job_key_applies(&reeve_job_keys.keys[i], workload)) random_value(&reeve_job_keys.keys[i], &job);
        begin_with_ascii(round % 4 == 0 ? job.exec.folder : job.data.manifest);
        begin_with_ascii(job.data.cache);
        begin_with_ascii(job.model.init_from);
        if (round % 4 == 0) settle_list(&job);
        else settle(&job);
        words_of_slurm(&job);
        assert_int_equal(reeve_job_format_yaml(&job, &text, &err), REEVE_OK);
        fixture_write("job.yaml", text);
        reeve_status st = reeve_job_read("job.yaml", NULL, 0, &back, &err);
        if (st != REEVE_OK) print_error("round %d: %s\n%s\n", round, err.text, text);
        assert_int_equal(st, REEVE_OK);
        assert_memory_equal(&job, &back, sizeof(job));
        assert_int_equal(reeve_job_format_yaml(&back, &again, &err), REEVE_OK);
        assert_string_equal(text, again);
        assert_int_equal(reeve_job_format_json(&job, &json, &err), REEVE_OK);
        check_json(json, &job);
        free(text);
        free(again);
        free(json);
    }
}

/* Goal: every part of a million is written so that it reads back. Method: many of them, and both ends. */
static void job_every_holdout_reads_back(void **state)
{
    const struct reeve_key *key = reeve_key_find(&reeve_job_keys, "data", "holdout");
    for (uint32_t ppm = 0; ppm <= 900000; ppm += ppm < 1000 || ppm > 899000 ? 1 : 97) {
        struct reeve_job job = {.data.holdout_ppm = ppm}, back = {0};
        char text[64] = "";
        FILE *out = fmemopen(text, sizeof(text), "w");
        assert_non_null(out);
        assert_int_equal(reeve_key_print(key, &job, out, NULL), REEVE_OK);
        assert_int_equal(fclose(out), 0);
        struct reeve_yaml y;
        assert_int_equal(reeve_yaml_parse("x", true, text, strlen(text), &y, NULL), REEVE_OK);
        assert_int_equal(reeve_key_set(key, &y, 0, &back, NULL), REEVE_OK);
        assert_int_equal(back.data.holdout_ppm, ppm);
        reeve_yaml_fini(&y);
    }
}

static void job_with_a_text_that_is_no_utf8_is_not_written(void **state)
{
    struct reeve_job job = {.name = "caf\xE9"};
    struct reeve_error err = {0};
    char *text = NULL;
    assert_int_equal(reeve_job_format_yaml(&job, &text, &err), REEVE_JOB_INTERNAL);
    assert_non_null(strstr(err.text, "key 'name'"));
    assert_int_not_equal(reeve_job_format_json(&job, &text, &err), REEVE_OK);
    assert_null(text);
}

/* Goal: the table does not contradict itself. Method: every default alone passes its own row, and all have a meaning.
 */
static void job_table_is_whole(void **state)
{
    for (uint32_t i = 0; i < reeve_job_keys.key_count; i++) {
        const struct reeve_key *key = &reeve_job_keys.keys[i];
        struct reeve_job job = {0};
        assert_true(key->meaning[0] != '\0' && key->unit != NULL);
        if (key->fallback != NULL && strchr(key->fallback, 't') == NULL) reeve_key_set_fallback(key, &job);
        for (uint32_t j = 0; j < i; j++)
            assert_false(strcmp(key->section, reeve_job_keys.keys[j].section) == 0 &&
                         strcmp(key->name, reeve_job_keys.keys[j].name) == 0);
        bool known = key->section[0] == '\0';
        for (size_t s = 0; reeve_job_keys.sections[s] != NULL; s++)
            known = known || strcmp(key->section, reeve_job_keys.sections[s]) == 0;
        assert_true(known);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(job_random_jobs_read_back_bit_for_bit),
        cmocka_unit_test(job_every_holdout_reads_back),
        cmocka_unit_test(job_with_a_text_that_is_no_utf8_is_not_written),
        cmocka_unit_test(job_table_is_whole),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
