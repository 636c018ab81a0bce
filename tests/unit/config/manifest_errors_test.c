/* Bad manifests: each is refused with the place of the mistake and what to do. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/path.h"
#include "base/random.h"
#include "config/manifest_file.h"
#include "fixture.h"

struct bad {
    const char *text;
    reeve_status status;
    const char *expected;
};

#define HEAD "dataset: d\ntokenizer: bytes\n"
#define IDS "dataset: d\ntokenizer: gpt2\n"
#define INVALID REEVE_INPUT_INVALID

static const struct bad bad_manifests[] = {
    {"", INVALID, "shards.yaml:1:1: empty"},
    {"- path: a\n", INVALID,
     "shards.yaml:1:1: expected keys with values (a mapping: dataset, format, tokenizer, shards), found a list"},
    {"shards: [{path: a}]\n", INVALID, "shards.yaml:1:1: key 'dataset': missing; expected a text of 1 to 63 bytes"},
    {HEAD, INVALID,
     "shards.yaml:1:1: key 'shards': missing; expected a list: one {path: FILE} or {glob: PATTERN} for each"},
    {HEAD "shards:\n", INVALID, "shards.yaml:3:8: key 'shards': expected a list (- path: FILE), found nothing"},
    {HEAD "shards: []\n", INVALID, "shards.yaml:3:9: key 'shards': empty"},
    {HEAD "shards: a.txt\n", INVALID, "shards.yaml:3:9: key 'shards': expected a list (- path: FILE), found 'a.txt'"},
    {HEAD "shards: {path: a}\n", INVALID,
     "shards.yaml:3:9: key 'shards': expected a list (- path: FILE), found a mapping"},
    {HEAD "shards:\n  - a\n", INVALID, "shards.yaml:4:5: expected {path: FILE} or {glob: PATTERN}, found 'a'"},
    {HEAD "shards:\n  - weight: 2\n", INVALID, "shards.yaml:4:5: neither `path` nor `glob`"},
    {HEAD "shards:\n  - {path: a, glob: b}\n", INVALID, "shards.yaml:4:5: `path` and `glob` in one entry"},
    {HEAD "shards:\n  - path: \"\"\n", INVALID, "shards.yaml:4:11: key 'path': empty; expected the path of a file"},
    {HEAD "shards:\n  - path:\n", INVALID, "shards.yaml:4:10: key 'path': expected a text"},
    {HEAD "shards:\n  - glob: ''\n", INVALID, "shards.yaml:4:11: key 'glob': empty; expected a pattern of paths"},
    {HEAD "shards:\n  - path: [a]\n", INVALID,
     "shards.yaml:4:11: key 'path': expected a text of 0 to 4095 bytes on one line, found a list"},
    {HEAD "shards:\n  - {path: a, path: b}\n", INVALID, "shards.yaml:4:15: key 'path': given twice, first in line 4"},
    {HEAD "shard:\n  - path: a\n", INVALID,
     "shards.yaml:3:1: key 'shard': unknown; did you mean 'shards'? (keys: dataset, format, tokenizer, dtype, vocab, "
     "shards)"},
    {HEAD "shards:\n  - {path: a, wieght: 2}\n", INVALID,
     "shards.yaml:4:15: key 'wieght': unknown; did you mean 'weight'? (keys: path, glob, weight, priority, format)"},
    {HEAD "dataset: e\nshards: [{path: a}]\n", INVALID, "shards.yaml:3:1: key 'dataset': given twice, first in line 1"},
    {HEAD "shards:\n  - {path: a, weight: 0}\n", INVALID,
     "shards.yaml:4:23: key 'weight': expected a whole number from 1 to 1000, found '0'"},
    {HEAD "shards:\n  - {path: a, weight: 1001}\n", INVALID, "shards.yaml:4:23: key 'weight': expected"},
    {HEAD "shards:\n  - {path: a, weight: 0.5}\n", INVALID, "shards.yaml:4:23: key 'weight': expected a whole number"},
    {HEAD "shards:\n  - {path: a, priority: 2147483648}\n", INVALID, "shards.yaml:4:25: key 'priority': expected"},
    {HEAD "format: txt\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:3:9: key 'format': expected auto, text, llm.c, nanogpt or hdf5, found 'txt'; did you mean 'text'?"},
    {HEAD "format: megatron\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:3:9: key 'format': megatron (.bin with .idx) cannot be read; write the tokens as nanogpt"},
    {HEAD "shards:\n  - {path: a, format: megatron}\n", INVALID, "shards.yaml:4:23: key 'format': megatron"},
    {IDS "format: text\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:3:9: key 'format': text is read byte by byte, but the tokenizer is 'gpt2'; write `tokenizer: bytes`"},
    {IDS "format: nanogpt\nshards: [{path: a, format: text}]\n", INVALID,
     "shards.yaml:4:28: key 'format': text is read byte by byte"},
    {IDS "format: nanogpt\ndtype: uint8\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:4:8: key 'dtype': nanogpt tokens are uint16; for a token in each byte write `format: text`"},
    {IDS "format: nanogpt\ndtype: uint32\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:4:8: key 'dtype': nanogpt tokens are uint16; uint32 tokens are read from hdf5"},
    {IDS "format: nanogpt\ndtype: float\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:4:8: key 'dtype': expected uint16, found 'float'"},
    {IDS "format: llm.c\ndtype: uint16\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:4:8: key 'dtype': no shard is nanogpt"},
    {"dataset: d\nformat: llm.c\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:1:1: key 'tokenizer': missing; some shards hold token ids"},
    {"dataset: d\ntokenizer: gpt3\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:2:12: key 'tokenizer': 'gpt3' is neither bytes nor gpt2, and there is no such file"},
    {"dataset: d\ntokenizer: a\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:2:12: key 'vocab': missing; only bytes (256) and gpt2 (50257) say their vocabulary"},
    {IDS "vocab: 50000\nformat: llm.c\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:3:8: key 'vocab': 50000 is less than the 50257 tokens of gpt2; leave it out"},
    {HEAD "vocab: 0\nshards: [{path: a}]\n", INVALID,
     "shards.yaml:3:8: key 'vocab': expected a whole number from 1 to 2147483647 (tokens), found '0'"},
    {HEAD "shards:\n  - path: a\n  - path: absent.txt\n", REEVE_INPUT_MISSING,
     "shards.yaml:5:11: shard absent.txt: No such file or directory (looked for in /"},
    {HEAD "shards:\n  - path: a/b\n", REEVE_INPUT_MISSING, "shards.yaml:4:11: shard a/b: Not a directory"},
    {HEAD "shards:\n  - path: folder\n", INVALID,
     "shards.yaml:4:11: shard folder: a folder (use `glob:` for the files in it); a file was expected"},
    {HEAD "shards:\n  - path: empty\n", INVALID, "shards.yaml:4:11: shard empty: empty; remove it here or fill it"},
    {HEAD "shards:\n  - path: /dev/null\n", INVALID,
     "shards.yaml:4:11: shard /dev/null: no regular file; a file was expected"},
    {HEAD "shards:\n  - path: \"a\\nb\"\n", INVALID, "shards.yaml:4:11: key 'path': expected a text"},
    {HEAD "shards:\n  - glob: nothing*\n", INVALID, "shards.yaml:4:11: glob nothing*: no file matches in /"},
    {HEAD "shards:\n  - glob: folder*\n", INVALID, "shards.yaml:4:11: glob folder*: no file matches in /"},
    {HEAD "shards:\n  - glob: absent/*.txt\n", INVALID, "shards.yaml:4:11: glob absent/*.txt: no file matches in /"},
    {HEAD "shards:\n  - glob: ~/*.txt\n", INVALID, "shards.yaml:4:11: glob ~/*.txt: no file matches in /"},
    {HEAD "shards:\n  - glob: a/**/x\n", INVALID, "shards.yaml:4:11: glob a/**/x: `**` is not known here"},
    {HEAD "shards:\n  - glob: 'emp*'\n", INVALID, "shards.yaml:4:11: shard empty: empty"},
    {HEAD "shards:\n  - path: a\n  - path: b\n  - path: a\n", INVALID,
     "shards.yaml:6:11: shard a: named twice, first in line 4; keep one of them (`weight: 2` visits it twice in each "
     "epoch)"},
    {HEAD "shards:\n  - path: a\n  - path: .//a\n", INVALID,
     "shards.yaml:5:11: shard .//a: named twice, first in line 4 (as a)"},
    {HEAD "shards:\n  - path: b\n  - path: a\n  - path: ./folder/..//a\n", INVALID,
     "shards.yaml:6:11: shard ./folder/..//a: named twice, first in line 5 (as a)"},
    {HEAD "shards:\n  - path: soft\n  - path: a\n", INVALID,
     "shards.yaml:5:11: shard a: named twice, first in line 4 (as soft)"},
    {HEAD "shards:\n  - path: hard\n  - glob: '[ab]'\n", INVALID,
     "shards.yaml:5:11: shard a: named twice, first in line 4 (as hard)"},
    {HEAD "shards:\n  - glob: '[ab]'\n  - path: b\n", INVALID,
     "shards.yaml:5:11: shard b: named twice, first in line 4"},
    {HEAD "shards:\n  - path: b\n  - glob: '[ab]'\n", INVALID,
     "shards.yaml:5:11: shard b: named twice, first in line 4"},
    {HEAD "shards:\n  - path: &x a\n", INVALID, "shards.yaml:4:11: anchors"},
    {HEAD "shards:\n  - glob: *.txt\n", INVALID,
     "shards.yaml:4:12: not YAML: did not find expected alphabetic or numeric character, while scanning an alias; a "
     "text that begins with '*' or '&' belongs in quotes"},
    {HEAD "shards:\n  - glob: *txt\n", INVALID,
     "shards.yaml:4:11: aliases (*name) are not used here; write the value out, or in quotes a text that begins so"},
    {HEAD "shards:\n  - path: a\n - path: b\n", INVALID, "shards.yaml:5:2: not YAML"},
    {HEAD "shards:\n  - glob: 'strange*'\n", INVALID, "shards.yaml:4:11: shard strange"},
};

static int setup(void **state)
{
    if (fixture_setup(state) != 0) return -1;
    fixture_write("a", "x");
    fixture_write("b", "x");
    fixture_write("empty", "");
    fixture_write("strange\xFF", "x");
    if (symlink("folder/../a", "soft") != 0 || link("a", "hard") != 0) return -1;
    return mkdir("folder", 0777);
}

static void manifest_bad_file_is_refused_with_its_place(void **state)
{
    for (size_t i = 0; i < sizeof(bad_manifests) / sizeof(bad_manifests[0]); i++) {
        const struct bad *bad = &bad_manifests[i];
        struct reeve_manifest *m = NULL;
        struct reeve_error err = {0};
        fixture_write("shards.yaml", bad->text);
        reeve_status st = reeve_manifest_file_read("shards.yaml", &m, &err);
        if (st != bad->status || strncmp(err.text, bad->expected, strlen(bad->expected)) != 0)
            print_error("expected: %s\nfound:    %s\n", bad->expected, st == REEVE_OK ? "no error" : err.text);
        assert_int_equal(st, bad->status);
        assert_int_equal(strncmp(err.text, bad->expected, strlen(bad->expected)), 0);
        assert_null(m);
    }
}

static void manifest_that_is_none_is_refused(void **state)
{
    struct reeve_manifest *m = NULL;
    struct reeve_error err = {0};
    assert_int_equal(reeve_manifest_file_read("absent.yaml", &m, &err), REEVE_INPUT_MISSING);
    assert_non_null(strstr(err.text, "absent.yaml"));
    assert_int_equal(reeve_manifest_file_read("folder", &m, &err), REEVE_INPUT_INVALID);
    assert_null(m);
}

/* Goal: folders that cannot be searched are no missing files. Method: take the bits; if root, be somebody else. */
static void manifest_closed_folder_is_a_matter_of_permission(void **state)
{
    struct reeve_manifest *m = NULL;
    struct reeve_error err = {0};
    bool root = geteuid() == 0;
    fixture_write("closed/x", "x");
    fixture_write("path.yaml", HEAD "shards: [{path: closed/x}]\n");
    fixture_write("glob.yaml", HEAD "shards: [{glob: 'closed/*'}]\n");
    assert_int_equal(chmod("closed", 0), 0);
    assert_int_equal(chmod(".", 0755), 0);
    if (root) assert_int_equal(seteuid(65534), 0);
    reeve_status by_path = reeve_manifest_file_read("path.yaml", &m, &err);
    reeve_status by_glob = reeve_manifest_file_read("glob.yaml", &m, &err);
    if (root) assert_int_equal(seteuid(0), 0);
    assert_int_equal(chmod("closed", 0777), 0);
    assert_int_equal(by_path, REEVE_INPUT_PERMISSION);
    assert_int_equal(by_glob, REEVE_INPUT_PERMISSION);
    assert_int_equal(strncmp(err.text, "glob.yaml:3:17: glob closed/*: folder ", 38), 0);
    assert_non_null(strstr(err.text, "/closed cannot be read: Permission denied"));
}

/* The C library's, until a folder is to break off: then so many more entries come. */
static int entries_left = -1;

struct dirent *readdir(DIR *folder)
{
    static struct dirent *(*real)(DIR *);
    if (real == NULL) real = (struct dirent * (*)(DIR *)) dlsym(RTLD_NEXT, "readdir");
    if (entries_left == 0) {
        errno = EIO;
        return NULL;
    }
    entries_left -= entries_left > 0;
    return real(folder);
}

/* Goal: files that could not be listed are not left out in silence. Method: reading the folder fails in its midst. */
static void manifest_folder_that_breaks_off_is_no_shorter_folder(void **state)
{
    struct reeve_manifest *m = NULL;
    struct reeve_error err = {0};
    for (char name[] = "broken/a"; name[7] <= 'h'; name[7]++)
        fixture_write(name, "x");
    fixture_write("broken.yaml", HEAD "shards: [{glob: 'broken/*'}]\n");
    entries_left = 5;
    reeve_status st = reeve_manifest_file_read("broken.yaml", &m, &err);
    entries_left = -1;
    assert_int_equal(st, REEVE_STORE_READ);
    assert_non_null(strstr(err.text, "/broken cannot be read: Input/output error"));
    assert_int_equal(reeve_manifest_file_read("broken.yaml", &m, &err), REEVE_OK);
    assert_int_equal(m->shard_count, 8);
    reeve_manifest_destroy(m);
}

/* Goal: no pattern uses the stack up: glob() takes some of it for each folder. Method: one of 1 MiB; as many folders as a
 * path has room for, behind a character that makes all of it a pattern; one more than allowed; as many. */
static void manifest_glob_of_many_folders_is_refused(void **state)
{
    (void)state;
    static char text[8192];
    static const struct {
        int slashes;
        const char *says;
    } cases[] = {{4000, "more than 128 folders"}, {129, "more than 128 folders"}, {128, "no file matches"}};
    char slashes[4096];
    struct rlimit before, small;
    assert_int_equal(getrlimit(RLIMIT_STACK, &before), 0);
    small = before;
    small.rlim_cur = 1 << 20;
    assert_int_equal(setrlimit(RLIMIT_STACK, &small), 0);
    memset(slashes, '/', sizeof(slashes));
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct reeve_manifest *m = NULL;
        struct reeve_error err;
        (void)snprintf(text, sizeof(text), HEAD "shards: [{glob: 'x?%.*sy'}]\n", cases[i].slashes, slashes);
        fixture_write("deep.yaml", text);
        assert_int_equal(reeve_manifest_file_read("deep.yaml", &m, &err), REEVE_INPUT_INVALID);
        if (strstr(err.text, cases[i].says) == NULL) fail_msg("%d: %s", cases[i].slashes, err.text);
    }
    assert_int_equal(setrlimit(RLIMIT_STACK, &before), 0);
}

/* Goal: no text crashes the reader or leaks. Method: a good manifest with random bytes changed. */
static void manifest_random_damage_never_crashes(void **state)
{
    static const char good[] = HEAD "format: auto\nvocab: 300\nshards:\n  - {path: a, weight: 3}\n  - glob: '[b]'\n"
                                    "    priority: -1\n";
    static const char salt[] = "{}[]&*!|>'\"%:-,\n ab.9~/";
    uint64_t seed = fixture_seed(), n = 0;
    for (int round = 0; round < 2000; round++) {
        char text[sizeof(good)];
        memcpy(text, good, sizeof(good));
        for (uint64_t i = 1 + reeve_random_below(seed, 1, n++, 4); i > 0; i--) {
            uint64_t at = reeve_random_below(seed, 1, n++, sizeof(good) - 1);
            text[at] = salt[reeve_random_below(seed, 1, n++, sizeof(salt) - 1)];
        }
        struct reeve_manifest *m = NULL;
        struct reeve_error err = {0};
        fixture_write("shards.yaml", text);
        reeve_status st = reeve_manifest_file_read("shards.yaml", &m, &err);
        assert_true((st == REEVE_OK) == (m != NULL));
        if (st != REEVE_OK) assert_int_equal(strncmp(err.text, "shards.yaml:", 12), 0);
        reeve_manifest_destroy(m);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(manifest_bad_file_is_refused_with_its_place),
        cmocka_unit_test(manifest_that_is_none_is_refused),
        cmocka_unit_test(manifest_closed_folder_is_a_matter_of_permission),
        cmocka_unit_test(manifest_folder_that_breaks_off_is_no_shorter_folder),
        cmocka_unit_test(manifest_glob_of_many_folders_is_refused),
        cmocka_unit_test(manifest_random_damage_never_crashes),
    };
    return cmocka_run_group_tests(tests, setup, fixture_teardown);
}
