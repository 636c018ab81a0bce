/* The YAML tree: places, bounds, and no text that makes it stumble. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "config/yaml_tree.h"
#include "fixture.h"

static void yaml_nodes_know_line_and_column(void **state)
{
    static const char text[] = "# a comment\n"
                               "name: \"x\"\n"
                               "list:\n"
                               "  - {a: 1, b: [2, 3]}\n"
                               "  - 'two\n"
                               "    words'\n"
                               "käse: end\n";
    struct reeve_yaml y;
    struct reeve_error err;
    assert_int_equal(reeve_yaml_parse("f", false, text, sizeof(text) - 1, &y, &err), REEVE_OK);
    uint32_t name = reeve_yaml_find(&y, 0, "name"), list = reeve_yaml_find(&y, 0, "list");
    assert_string_equal(reeve_yaml_text(&y, name), "x");
    assert_false(y.nodes[name].plain);
    assert_int_equal(y.nodes[name].line, 2);
    assert_int_equal(y.nodes[name].column, 7);
    assert_int_equal(y.nodes[list].kind, REEVE_YAML_LIST);
    assert_int_equal(y.nodes[list].count, 2);
    uint32_t first = y.nodes[list].first, second = y.nodes[first].next;
    uint32_t b = reeve_yaml_find(&y, first, "b");
    assert_int_equal(y.nodes[b].line, 4);
    assert_int_equal(y.nodes[b].column, 15);
    assert_int_equal(y.nodes[b].count, 2);
    assert_int_equal(y.nodes[second].line, 5);
    assert_string_equal(reeve_yaml_text(&y, second), "two words");
    uint32_t end = reeve_yaml_find(&y, 0, "käse"); /* columns count characters, not bytes */
    assert_int_equal(y.nodes[end].column, 7);
    assert_int_equal(reeve_yaml_find(&y, 0, "absent"), REEVE_YAML_NONE);
    reeve_yaml_fini(&y);
}

static void expect_error(const char *text, size_t bytes, const char *expected)
{
    struct reeve_yaml y;
    struct reeve_error err = {0};
    assert_int_equal(reeve_yaml_parse("f", false, text, bytes, &y, &err), REEVE_INPUT_INVALID);
    if (strncmp(err.text, expected, strlen(expected)) != 0) print_error("found: %s\n", err.text);
    assert_int_equal(strncmp(err.text, expected, strlen(expected)), 0);
    assert_null(y.nodes);
}

#define EXPECT_ERROR(text, expected) expect_error((text), sizeof(text) - 1, (expected))

static void yaml_refuses_what_people_do_not_write_by_hand(void **state)
{
    EXPECT_ERROR("", "f:1:1: empty");
    EXPECT_ERROR("# only a comment\n", "f:1:1: empty");
    EXPECT_ERROR("a: &x 1\n", "f:1:4: anchors");
    EXPECT_ERROR("a: &x {b: 1}\n", "f:1:4: anchors");
    EXPECT_ERROR("a: &x [b]\n", "f:1:4: anchors");
    EXPECT_ERROR("a: 1\nb: *x\n", "f:2:4: aliases");
    EXPECT_ERROR("a: !!str 1\n", "f:1:4: tags");
    EXPECT_ERROR("a: !mine {b: 1}\n", "f:1:4: tags");
    EXPECT_ERROR("a: 1\n---\nb: 2\n", "f:2:1: a second document");
    EXPECT_ERROR("a: 1\n? [b]\n: 2\n", "f:2:3: a key must be a word");
    EXPECT_ERROR("a: \"x\\0y\"\n", "f:1:4: a text cannot hold a NUL");
    EXPECT_ERROR("a: 1\nb\0: 2\n", "f:2:2: a NUL byte");
    EXPECT_ERROR("a: 1\nb: \x01\n", "f:2:4: not YAML: control characters");
    EXPECT_ERROR("a: 1\nä: \xFF\n", "f:2:4: not YAML: invalid");
    EXPECT_ERROR("a: [1, 2\n", "f:2:1: not YAML");
    EXPECT_ERROR("a: 1\n\tb: 2\n", "f:2:1: not YAML");
    EXPECT_ERROR("a: b: c\n", "f:1:5: not YAML");
    EXPECT_ERROR("[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]", "f:1:17: nested too deeply");
}

/* Goal: a deep or wide text costs bounded stack and time. Method: a megabyte of each. */
static void yaml_large_texts_are_no_danger(void **state)
{
    size_t bytes = (size_t)1 << 20;
    char *text = malloc(bytes);
    struct reeve_yaml y;
    assert_non_null(text);
    memset(text, '[', bytes);
    assert_int_equal(reeve_yaml_parse("f", false, text, bytes, &y, NULL), REEVE_INPUT_INVALID);
    memset(text, '{', bytes);
    assert_int_equal(reeve_yaml_parse("f", false, text, bytes, &y, NULL), REEVE_INPUT_INVALID);
    memset(text, ' ', bytes);
    assert_int_equal(reeve_yaml_parse("f", false, text, bytes, &y, NULL), REEVE_INPUT_INVALID);
    for (size_t i = 0; i < bytes; i++)
        text[i] = "- x\n"[i % 4];
    assert_int_equal(reeve_yaml_parse("f", false, text, bytes, &y, NULL), REEVE_OK);
    assert_int_equal(y.nodes[0].count, bytes / 4);
    reeve_yaml_fini(&y);
    free(text);
}

/* Goal: no text crashes the reader, and each error has a place. Method: a good text with random bytes changed. */
static void yaml_random_damage_never_crashes(void **state)
{
    static const char good[] = "name: q\ndata: {manifest: \"s.yaml\", list: [1, 'two', {three: 3}]}\n"
                               "train:\n  steps: 300 # many\n  text: |\n    a\n    b\n  more: >-\n    c\n";
    static const char salt[] = "{}[]&*!|>'\"%@`#:-?,\n\t \0\xFF\xC3x~";
    uint64_t seed = fixture_seed(), n = 0;
    for (int round = 0; round < 20000; round++) {
        char text[sizeof(good)];
        size_t bytes = 1 + reeve_random_below(seed, 1, n++, sizeof(good) - 1);
        memcpy(text, good, sizeof(good));
        for (uint64_t i = reeve_random_below(seed, 1, n++, 6); i > 0; i--) {
            uint64_t at = reeve_random_below(seed, 1, n++, bytes);
            text[at] = salt[reeve_random_below(seed, 1, n++, sizeof(salt) - 1)];
        }
        struct reeve_yaml y;
        struct reeve_error err = {0};
        reeve_status st = reeve_yaml_parse("f", false, text, bytes, &y, &err);
        if (st != REEVE_OK) {
            assert_int_equal(st, REEVE_INPUT_INVALID);
            assert_int_equal(strncmp(err.text, "f:", 2), 0);
        }
        reeve_yaml_fini(&y);
    }
}

static void yaml_read_is_bounded_and_names_the_file(void **state)
{
    struct reeve_yaml y;
    struct reeve_error err;
    fixture_write("small.yaml", "a: 1\n");
    assert_int_equal(reeve_yaml_read("small.yaml", 5, &y, &err), REEVE_OK);
    reeve_yaml_fini(&y);
    assert_int_equal(reeve_yaml_read("small.yaml", 4, &y, &err), REEVE_INPUT_INVALID);
    assert_non_null(strstr(err.text, "small.yaml"));
    assert_int_equal(reeve_yaml_read("absent.yaml", 4, &y, &err), REEVE_INPUT_MISSING);
    assert_non_null(strstr(err.text, "absent.yaml"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(yaml_nodes_know_line_and_column),
        cmocka_unit_test(yaml_refuses_what_people_do_not_write_by_hand),
        cmocka_unit_test(yaml_large_texts_are_no_danger),
        cmocka_unit_test(yaml_random_damage_never_crashes),
        cmocka_unit_test(yaml_read_is_bounded_and_names_the_file),
    };
    return cmocka_run_group_tests(tests, fixture_setup, fixture_teardown);
}
