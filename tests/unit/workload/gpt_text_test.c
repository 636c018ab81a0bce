/* What a model says, made fit for a terminal; and prompts, made tokens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "workload/gpt_text.h"

static char buffer[256];

/* n bytes as tokens, then the end */
static const char *clean(const char *bytes, size_t n)
{
    struct gpt_text t = {.text = buffer, .bytes_max = sizeof(buffer), .is_bytes = true};
    for (size_t i = 0; i < n; i++)
        assert_true(gpt_text_append(&t, (unsigned char)bytes[i]));
    gpt_text_finish(&t);
    return buffer;
}
#define CLEAN(literal) clean(literal, sizeof(literal) - 1)

static void valid_utf8_newlines_and_tabs_are_kept(void **state)
{
    (void)state;
    assert_string_equal(CLEAN(""), "");
    assert_string_equal(CLEAN("a\n\tb ~"), "a\n\tb ~");
    assert_string_equal(CLEAN("\xc2\xa0\xc3\xa9\xdf\xbf"), "\xc2\xa0\xc3\xa9\xdf\xbf");
    assert_string_equal(CLEAN("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80"), "\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80");
    assert_string_equal(CLEAN("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf"), "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf");
}

static void control_characters_become_question_marks(void **state)
{
    (void)state;
    assert_string_equal(CLEAN("\x1b[31m\0\r\x7f"), "?[31m???");
    assert_string_equal(CLEAN("\xc2\x9b"
                              "31m"),
                        "??31m"); /* C1: the escape of eight bits */
}

static void bytes_that_are_no_utf8_become_question_marks(void **state)
{
    (void)state;
    assert_string_equal(CLEAN("\x80"
                              "a\xff"
                              "b"),
                        "?a?b");
    assert_string_equal(CLEAN("\xc0\xaf\xc1\xbf"), "????"); /* overlong */
    assert_string_equal(CLEAN("\xe0\x9f\xbf.\xf0\x8f\xbf\xbf."), "???.????.");
    assert_string_equal(CLEAN("\xed\xa0\x80."), "???.");                  /* a surrogate */
    assert_string_equal(CLEAN("\xf4\x90\x80\x80.\xf5\x80."), "????.??."); /* above U+10FFFF */
    assert_string_equal(CLEAN("\xe2\x82z"), "??z");                       /* a character that breaks off */
    assert_string_equal(CLEAN("\xe2\xc3\xa9"), "?\xc3\xa9");
}

static void a_character_cut_off_by_the_end_is_dropped(void **state)
{
    (void)state;
    assert_string_equal(CLEAN("a\xe2\x82"), "a");
    assert_string_equal(CLEAN("a\xf0\x9f\x98"), "a");
    assert_string_equal(CLEAN("a\xc3"), "a");
    assert_string_equal(CLEAN("a\xe0\x80"), "a??"); /* no character begins so */
}

/* Goal: whatever the bytes, what comes out is valid and harmless. Method: fresh random bytes, judged by mbrtowc's
 * rules. */
static void any_bytes_become_harmless_text(void **state)
{
    (void)state;
    unsigned seed = (unsigned)time(NULL);
    printf("seed %u\n", seed);
    srand(seed);
    for (int round = 0; round < 20000; round++) {
        char bytes[24];
        size_t n = (size_t)rand() % sizeof(bytes);
        for (size_t i = 0; i < n; i++) {
            static const unsigned char likely[] = {0xc2, 0xe0, 0xe2, 0xed, 0xf0, 0xf4,
                                                   0x80, 0x9f, 0xa0, 0xbf, 'a',  0x1b};
            bytes[i] = (char)(rand() % 3 == 0 ? rand() % 256 : likely[(size_t)rand() % sizeof(likely)]);
        }
        const unsigned char *s = (const unsigned char *)clean(bytes, n);
        assert_true(strlen((const char *)s) <= n);
        while (*s != 0) {
            uint32_t code = *s;
            int more = code < 0x80 ? 0 : code >= 0xf0 ? 3 : code >= 0xe0 ? 2 : 1;
            assert_true(code < 0x80 || (code >= 0xc2 && code <= 0xf4));
            code &= more == 0 ? 0x7fu : 0x3fu >> more;
            for (s++; more > 0; more--, s++) {
                assert_int_equal(*s & 0xc0, 0x80);
                code = code << 6 | (*s & 0x3fu);
            }
            assert_true(code == '\n' || code == '\t' || (code >= 0x20 && code < 0x7f) || code >= 0xa0);
            assert_true(code < 0xd800 || (code > 0xdfff && code <= 0x10ffff));
        }
    }
}

static void a_text_never_outgrows_its_room(void **state)
{
    (void)state;
    char small[4] = "xyz";
    struct gpt_text t = {.text = small, .bytes_max = 3, .is_bytes = true};
    assert_true(gpt_text_append(&t, 'a') && gpt_text_append(&t, 'b') && !gpt_text_append(&t, 'c'));
    gpt_text_finish(&t);
    assert_string_equal(small, "ab");
    t = (struct gpt_text){.text = small, .bytes_max = 1, .is_bytes = true};
    assert_false(gpt_text_append(&t, 'a'));
    gpt_text_finish(&t);
    assert_string_equal(small, "");
    char numbers[10];
    t = (struct gpt_text){.text = numbers, .bytes_max = sizeof(numbers)};
    assert_true(gpt_text_append(&t, 12) && gpt_text_append(&t, 50256));
    assert_false(gpt_text_append(&t, 7)); /* whole numbers only */
    gpt_text_finish(&t);
    assert_string_equal(numbers, "12 50256");
}

static reeve_status prompt(const char *text, uint32_t vocab, uint32_t tokens_max, int32_t *tokens, uint32_t *count)
{
    struct reeve_error err = {0};
    struct gpt_text t = {.text = buffer, .bytes_max = sizeof(buffer), .is_bytes = vocab == 256};
    reeve_status st = gpt_text_prompt(text, vocab, tokens, tokens_max, count, &t, &err);
    gpt_text_finish(&t);
    if (st != REEVE_OK) assert_true(strlen(err.text) > 20);
    return st;
}

static void a_prompt_of_bytes_becomes_its_last_tokens(void **state)
{
    (void)state;
    int32_t tokens[4];
    uint32_t count;
    assert_int_equal(prompt("The \xc3\xa9", 256, 4, tokens, &count), REEVE_OK);
    assert_int_equal(count, 4);
    assert_memory_equal(tokens, ((int32_t[]){'e', ' ', 0xc3, 0xa9}), sizeof(tokens));
    assert_string_equal(buffer, "The \xc3\xa9");
    assert_int_equal(prompt("", 256, 4, tokens, &count), REEVE_OK);
    assert_true(count == 1 && tokens[0] == '\n');
    assert_string_equal(buffer, "");
}

static void a_prompt_of_numbers_becomes_tokens_or_is_rejected(void **state)
{
    (void)state;
    int32_t tokens[3];
    uint32_t count;
    assert_int_equal(prompt(" 5 60\n7 8 ", 61, 3, tokens, &count), REEVE_OK);
    assert_int_equal(count, 3);
    assert_memory_equal(tokens, ((int32_t[]){60, 7, 8}), sizeof(tokens));
    assert_string_equal(buffer, "5 60 7 8");
    assert_int_equal(prompt("", 61, 3, tokens, &count), REEVE_OK);
    assert_true(count == 1 && tokens[0] == 0);
    const char *bad[] = {"The ", "5 61", "-1", "+1", "5x", "5,6", "99999999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        assert_int_equal(prompt(bad[i], 61, 3, tokens, &count), REEVE_TASK_REJECTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(valid_utf8_newlines_and_tabs_are_kept),
        cmocka_unit_test(control_characters_become_question_marks),
        cmocka_unit_test(bytes_that_are_no_utf8_become_question_marks),
        cmocka_unit_test(a_character_cut_off_by_the_end_is_dropped),
        cmocka_unit_test(any_bytes_become_harmless_text),
        cmocka_unit_test(a_text_never_outgrows_its_room),
        cmocka_unit_test(a_prompt_of_bytes_becomes_its_last_tokens),
        cmocka_unit_test(a_prompt_of_numbers_becomes_tokens_or_is_rejected),
    };
    return cmocka_run_group_tests_name("unit.workload.gpt_text", tests, NULL, NULL);
}
