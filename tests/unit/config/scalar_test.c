/* Scalars: all of a text or nothing, the nearest word is near. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/random.h"
#include "config/scalar.h"
#include "fixture.h"

static void scalar_whole_reads_all_or_nothing(void **state)
{
    static const struct {
        const char *text;
        int64_t value;
    } good[] = {
        {"0", 0},
        {"-0", 0},
        {"+7", 7},
        {"-1", -1},
        {"1337", 1337},
        {"9223372036854775807", INT64_MAX},
        {"-9223372036854775808", INT64_MIN},
    };
    static const char *const bad[] = {"",
                                      "-",
                                      "+",
                                      " 1",
                                      "1 ",
                                      "1.0",
                                      "1e3",
                                      "0x10",
                                      "010",
                                      "00",
                                      "1_000",
                                      "--1",
                                      "1,000",
                                      "ten",
                                      "true",
                                      "9223372036854775808",
                                      "-9223372036854775809"};
    bool too_large;
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int64_t value = 42;
        assert_true(reeve_scalar_whole(good[i].text, &value, &too_large));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int64_t value = 42;
        assert_false(reeve_scalar_whole(bad[i], &value, &too_large));
        assert_true(value == 42);
        assert_int_equal(too_large, strlen(bad[i]) > 15);
    }
}

static void scalar_real_reads_all_or_nothing(void **state)
{
    static const struct {
        const char *text;
        double value;
    } good[] = {
        {"0", 0},        {"1", 1},          {"1.", 1}, {".5", 0.5},   {"-1.0E+3", -1000},
        {"1e-3", 0.001}, {"1.0e-3", 0.001}, {"+2", 2}, {"1e-400", 0}, /* too small to be told from zero */
    };
    static const char *const bad[] = {"",     ".",     "-",     "e5",    "1e",    "1e+", " 1",  "1 ", "nan", "inf",
                                      ".inf", "-.inf", "1e999", "0x1p3", "1.2.3", "1,5", "1_0", "1f", "0x10"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        double value = 42;
        assert_true(reeve_scalar_real(good[i].text, &value));
        assert_true(value == good[i].value);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        double value = 42;
        assert_false(reeve_scalar_real(bad[i], &value));
        assert_true(value == 42);
    }
}

/* Goal: a number that was written reads back to the same bits. Method: random bits of all magnitudes. */
static void scalar_real_text_reads_back_to_the_same_bits(void **state)
{
    char text[REEVE_SCALAR_REAL_BYTES];
    uint64_t seed = fixture_seed();
    assert_string_equal(reeve_scalar_format_real(0.001, text), "0.001");
    assert_string_equal(reeve_scalar_format_real(1e-8, text), "1e-08");
    for (uint64_t i = 0; i < 20000; i++) {
        uint64_t bits = reeve_random_u64(seed, 1, i);
        double value, back;
        memcpy(&value, &bits, sizeof(value));
        if (!isfinite(value)) continue;
        assert_true(reeve_scalar_real(reeve_scalar_format_real(value, text), &back));
        assert_memory_equal(&back, &value, sizeof(value));
    }
}

static void scalar_utf8_is_strict(void **state)
{
    assert_true(reeve_scalar_is_utf8("Käse, 日本, \xF0\x9F\x9A\xA2", true));
    assert_true(reeve_scalar_is_utf8("a\nb", false));
    assert_false(reeve_scalar_is_utf8("a\nb", true));
    static const char *const bad[] = {
        "\x80",  "\xC3",    "\xC0\xAF", "\xE0\x80\x80", "\xED\xA0\x80", "\xF4\x90\x80\x80", "\xF8\x88\x80\x80\x80",
        "a\xFF", "\xE2\x82"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_false(reeve_scalar_is_utf8(bad[i], false));
}

static const char *nearest(const char *word)
{
    static const char *const words[] = {"steps", "global_batch", "micro_batch", "reduce", "lr", "min_lr", "name"};
    int near = reeve_scalar_nearest(word, words, sizeof(words) / sizeof(words[0]));
    return near < 0 ? "" : words[near];
}

static void scalar_nearest_word_is_near(void **state)
{
    assert_string_equal(nearest("step"), "steps");
    assert_string_equal(nearest("Steps"), "steps");
    assert_string_equal(nearest("setps"), "steps");
    assert_string_equal(nearest("globalbatch"), "global_batch");
    assert_string_equal(nearest("reduces"), "reduce");
    assert_string_equal(nearest("lr_"), "lr");
    assert_string_equal(nearest("nam"), "name");
    assert_string_equal(nearest("banana"), "");
    assert_string_equal(nearest("x"), "");
    assert_string_equal(nearest(""), "");
    char long_word[5000];
    memset(long_word, 's', sizeof(long_word) - 1);
    long_word[sizeof(long_word) - 1] = '\0';
    assert_string_equal(nearest(long_word), "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(scalar_whole_reads_all_or_nothing),
        cmocka_unit_test(scalar_real_reads_all_or_nothing),
        cmocka_unit_test(scalar_real_text_reads_back_to_the_same_bits),
        cmocka_unit_test(scalar_utf8_is_strict),
        cmocka_unit_test(scalar_nearest_word_is_near),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
