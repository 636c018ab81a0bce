/* Good manifests: shards in the order written, globs in the order of bytes, each file once, whatever their number. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "config/manifest_file.h"
#include "fixture.h"

static struct reeve_manifest *read_manifest(const char *path)
{
    struct reeve_manifest *m = NULL;
    struct reeve_error err = {0};
    reeve_status st = reeve_manifest_file_read(path, &m, &err);
    if (st != REEVE_OK) print_error("%s\n", err.text);
    assert_int_equal(st, REEVE_OK);
    return m;
}

static struct reeve_manifest *read_text(const char *text)
{
    fixture_write("shards.yaml", text);
    return read_manifest("shards.yaml");
}

static const char *path_of(const struct reeve_manifest *m, uint32_t shard)
{
    return m->paths + m->shards[shard].path_offset;
}

static void expect_paths(const struct reeve_manifest *m, const char *const *paths)
{
    uint32_t count = 0;
    for (; paths[count] != NULL; count++) {
        assert_true(count < m->shard_count);
        assert_string_equal(path_of(m, count), paths[count]);
    }
    assert_int_equal(m->shard_count, count);
}

#define PATHS(...) ((const char *const[]){__VA_ARGS__, NULL})

static void manifest_example_of_the_design_reads_as_it_stands(void **state)
{
    fixture_write("pod/perlfaq4.pod", "text");
    fixture_write("pod/perlre.pod", "text");
    fixture_write("pod/perlref.pod", "text");
    fixture_write("pod/perlretut.pod", "text");
    struct reeve_manifest *m = read_text("dataset: perl-doc\n"
                                         "format: text            # text | llm.c | nanogpt | megatron | hdf5\n"
                                         "tokenizer: bytes        # bytes | gpt2 | a file\n"
                                         "shards:\n"
                                         "  - path: pod/perlfaq4.pod\n"
                                         "  - glob: \"pod/perlre*.pod\"\n"
                                         "    weight: 2           # visits per epoch\n"
                                         "    priority: 5         # of its staging task\n");
    expect_paths(m, PATHS("pod/perlfaq4.pod", "pod/perlre.pod", "pod/perlref.pod", "pod/perlretut.pod"));
    assert_string_equal(m->dataset, "perl-doc");
    assert_string_equal(m->tokenizer, "bytes");
    assert_string_equal(m->base_dir, fixture_folder());
    assert_int_equal(m->vocab, 256);
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(m->shards[i].format, REEVE_SHARD_TEXT);
        assert_int_equal(m->shards[i].token_bytes, 1);
        assert_int_equal(m->shards[i].weight, i == 0 ? 1 : 2);
        assert_int_equal(m->shards[i].priority, i == 0 ? 0 : 5);
        assert_true(m->shards[i].file_bytes == 0 && m->shards[i].token_count == 0);
    }
    reeve_manifest_destroy(m);
}

static void manifest_formats_are_those_of_the_shard_or_of_the_top(void **state)
{
    fixture_write("a", "x");
    fixture_write("b", "x");
    fixture_write("c", "x");
    fixture_write("d", "x");
    struct reeve_manifest *m =
        read_text("{dataset: d, tokenizer: gpt2, format: nanogpt, dtype: uint16, shards: [{path: a}, "
                  "{path: b, format: llm.c}, {path: c, format: hdf5}, {path: d, format: auto}]}");
    static const uint8_t formats[] = {REEVE_SHARD_NANOGPT, REEVE_SHARD_LLMC, REEVE_SHARD_HDF5, 0};
    static const uint8_t token_bytes[] = {2, 2, 0, 0};
    for (uint32_t i = 0; i < 4; i++) {
        assert_int_equal(m->shards[i].format, formats[i]);
        assert_int_equal(m->shards[i].token_bytes, token_bytes[i]);
    }
    assert_int_equal(m->vocab, 50257);
    reeve_manifest_destroy(m);
    m = read_text("{dataset: d, shards: [{path: a}]}"); /* nothing said: bytes, and the lock looks at the file */
    assert_int_equal(m->shards[0].format, 0);
    assert_string_equal(m->tokenizer, "bytes");
    assert_int_equal(m->vocab, 256);
    reeve_manifest_destroy(m);
}

static void manifest_vocabulary_may_be_padded_and_a_tokenizer_file_needs_one(void **state)
{
    fixture_write("a", "x");
    fixture_write("words.json", "{}");
    struct reeve_manifest *m =
        read_text("{dataset: d, tokenizer: gpt2, vocab: 50304, format: llm.c, shards: [{path: a}]}");
    assert_int_equal(m->vocab, 50304);
    reeve_manifest_destroy(m);
    m = read_text("{dataset: d, tokenizer: words.json, vocab: 32000, format: hdf5, shards: [{path: a}]}");
    assert_int_equal(m->vocab, 32000);
    assert_string_equal(m->tokenizer, "words.json");
    reeve_manifest_destroy(m);
}

static void manifest_glob_sorts_by_bytes_and_leaves_folders_and_dots_out(void **state)
{
    static const char *const names[] = {"g/b.txt",        "g/B.txt", "g/a10.txt",     "g/a9.txt",
                                        "g/\xC3\xA9.txt", "g/_.txt", "g/.hidden.txt", "g/folder.txt/inside.txt",
                                        "g/other.dat"};
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
        fixture_write(names[i], "x");
    struct reeve_manifest *m = read_text("{dataset: d, shards: [{glob: 'g/*.txt'}]}");
    expect_paths(m, PATHS("g/B.txt", "g/_.txt", "g/a10.txt", "g/a9.txt", "g/b.txt", "g/\xC3\xA9.txt"));
    reeve_manifest_destroy(m);
    m = read_text("{dataset: d, shards: [{glob: 'g/*/*.txt'}, {glob: 'g/a?.txt'}, {glob: 'g/[bB].txt'}]}");
    expect_paths(m, PATHS("g/folder.txt/inside.txt", "g/a9.txt", "g/B.txt", "g/b.txt"));
    reeve_manifest_destroy(m);
}

/* Goal: what the folder of the manifest is called is no pattern. Method: a folder of stars and brackets. */
static void manifest_folder_with_special_characters_is_only_a_name(void **state)
{
    fixture_write("o[d]*\\d?/x.txt", "x");
    fixture_write("o[d]*\\d?/shards.yaml", "{dataset: d, shards: [{glob: '*.txt'}]}");
    struct reeve_manifest *m = read_manifest("o[d]*\\d?/shards.yaml");
    expect_paths(m, PATHS("x.txt"));
    reeve_manifest_destroy(m);
}

static void manifest_absolute_paths_and_parents_are_allowed(void **state)
{
    char text[8192];
    fixture_write("up/deep/shards.yaml", "{dataset: d, shards: [{path: ../../a}, {glob: '../*.bin'}]}");
    fixture_write("a", "x");
    fixture_write("up/z.bin", "x");
    struct reeve_manifest *m = read_manifest("up/deep/shards.yaml");
    expect_paths(m, PATHS("../../a", "../z.bin"));
    reeve_manifest_destroy(m);
    (void)snprintf(text, sizeof(text), "{dataset: d, shards: [{path: %s/a}, {glob: '%s/up/*.bin'}]}", fixture_folder(),
                   fixture_folder());
    m = read_text(text);
    (void)snprintf(text, sizeof(text), "%s/up/z.bin", fixture_folder());
    assert_string_equal(path_of(m, 1), text);
    reeve_manifest_destroy(m);
}

/* Goal: two thousand shards, listed and globbed, each found once; and a twin of one is named. */
static void manifest_many_shards_are_a_set_of_names(void **state)
{
    enum { COUNT = 2000 };
    char name[64], *text = malloc(COUNT * 40 + 200);
    assert_non_null(text);
    size_t used = (size_t)sprintf(text, "dataset: d\nshards:\n");
    assert_int_equal(mkdir("many", 0777), 0);
    for (int i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof(name), "many/%05d", i);
        int fd = open(name, O_WRONLY | O_CREAT, 0666);
        assert_true(fd >= 0);
        assert_int_equal(write(fd, "x", 1), 1);
        assert_int_equal(close(fd), 0);
        used += (size_t)sprintf(text + used, "  - {path: %s}\n", name);
    }
    struct reeve_manifest *m = read_text(text);
    assert_int_equal(m->shard_count, COUNT);
    reeve_manifest_destroy(m);
    (void)sprintf(text + used, "  - {path: ./many//./01777}\n");
    fixture_write("shards.yaml", text);
    struct reeve_error err = {0};
    assert_int_equal(reeve_manifest_file_read("shards.yaml", &m, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "shards.yaml:2003:12: shard ./many//./01777: named twice, first in line 1780 (as "));
    free(text);
    m = read_text("{dataset: d, shards: [{glob: 'many/*'}]}");
    assert_int_equal(m->shard_count, COUNT);
    for (uint32_t i = 0; i < COUNT; i++) {
        (void)snprintf(name, sizeof(name), "many/%05u", i);
        assert_string_equal(path_of(m, i), name);
    }
    reeve_manifest_destroy(m);
}

/* Goal: what the document shows can be copied. Method: read each of its YAML blocks beside the files it names. */
static void manifest_document_examples_are_read(void **state)
{
    char *doc = NULL;
    size_t bytes = 0;
    int count = 0;
    assert_int_equal(reeve_file_read(REEVE_SOURCE_DIR "/docs/manifest.md", 1 << 20, &doc, &bytes, NULL), REEVE_OK);
    fixture_write("books/a.txt", "x");
    fixture_write("books/old/b.txt", "x");
    fixture_write("books/old/c.txt", "x");
    fixture_write("fineweb/val_000000.bin", "x");
    fixture_write("fineweb/train_000001.bin", "x");
    fixture_write("openwebtext/train.bin", "x");
    fixture_write("tokens/code.h5", "x");
    fixture_write("tokenizer.json", "x");
    for (char *at = doc; (at = strstr(at, "```yaml\n")) != NULL; count++) {
        char *end = strstr(at + 8, "```");
        assert_non_null(end);
        *end = '\0';
        struct reeve_manifest *m = read_text(at + 8);
        reeve_manifest_destroy(m);
        at = end + 1;
    }
    assert_true(count >= 3);
    free(doc);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_example_of_the_design_reads_as_it_stands),
        cmocka_unit_test(manifest_formats_are_those_of_the_shard_or_of_the_top),
        cmocka_unit_test(manifest_vocabulary_may_be_padded_and_a_tokenizer_file_needs_one),
        cmocka_unit_test(manifest_glob_sorts_by_bytes_and_leaves_folders_and_dots_out),
        cmocka_unit_test(manifest_folder_with_special_characters_is_only_a_name),
        cmocka_unit_test(manifest_absolute_paths_and_parents_are_allowed),
        cmocka_unit_test(manifest_many_shards_are_a_set_of_names),
        cmocka_unit_test(manifest_document_examples_are_read),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
