/* The line that says what the bits of a run depend on: nothing may be cut off it, for the processor comes last; and what it is
 * made of, as another rank sends it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/log.h"
#include "run/build_text.h"
#include "run/library_file.h"
#include "run/recover.h"
#include "store/checkpoint.h"

static void a_build_text_has_room_for_the_longest_names(void **state)
{ /* Method: the end of the line, from the compiler on, is the same behind a long library and a long GPU. */
    struct reeve_build here;
    char plain[REEVE_CHECKPOINT_BUILD_BYTES], longest[REEVE_CHECKPOINT_BUILD_BYTES];
    char library[REEVE_LIBRARY_TEXT_BYTES], device[160];
    (void)state;
    memset(library, 'l', sizeof(library) - 1);
    memset(device, 'd', sizeof(device) - 1);
    library[sizeof(library) - 1] = device[sizeof(device) - 1] = '\0';
    reeve_build_here(&here);
    reeve_build_text(&here, "", "", plain, sizeof(plain));
    reeve_build_text(&here, library, device, longest, sizeof(longest));
    assert_non_null(strstr(longest, library));
    assert_non_null(strstr(longest, device));
    const char *end = strstr(plain, "gcc");
    assert_non_null(end);
    assert_true(strlen(longest) > strlen(end));
    assert_string_equal(longest + strlen(longest) - strlen(end), end);
}

static void a_build_text_reads_as_in_the_checkpoints_of_before(void **state)
{ /* Goal: a run that goes on where it was is not told of a change. */
    struct reeve_build b = {"reeve 0.1.0", "gcc 12.2, glibc 2.36", "OpenBLAS 0.3.21",
                            "SkylakeX",    "Intel(R) Xeon(R)",     "family 6 model 207"};
    char text[REEVE_CHECKPOINT_BUILD_BYTES];
    (void)state;
    reeve_build_text(&b, "", "", text, sizeof(text));
    assert_string_equal(text, "reeve 0.1.0, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, Intel(R) Xeon(R) (family 6 "
                              "model 207)");
    b.model[0] = '\0';
    reeve_build_text(&b, "a.so 01", "X100, CUDA 13.0", text, sizeof(text));
    assert_string_equal(text, "reeve 0.1.0, a.so 01, X100, CUDA 13.0, gcc 12.2, glibc 2.36, OpenBLAS 0.3.21 SkylakeX, "
                              "Intel(R) Xeon(R)");
}

static void a_build_is_the_same_bytes_each_time(void **state)
{
    struct reeve_build one, other;
    (void)state;
    memset(&one, 'x', sizeof(one));
    memset(&other, 'y', sizeof(other));
    reeve_build_here(&one);
    reeve_build_here(&other);
    assert_memory_equal(&one, &other, sizeof(one));
    assert_int_equal(strncmp(one.program, "reeve ", 6), 0);
    reeve_build_check(&other);
    assert_memory_equal(&one, &other, sizeof(one));
}

static void a_build_of_another_rank_ends_and_has_one_line(void **state)
{
    struct reeve_build b;
    char text[REEVE_CHECKPOINT_BUILD_BYTES];
    (void)state;
    memset(&b, 'x', sizeof(b));
    reeve_build_check(&b);
    reeve_build_text(&b, "", "", text, sizeof(text));
    assert_int_equal(strlen(text), sizeof(b) - 6 + strlen(", ,  ,  ()")); /* six texts, and what stands between */
    (void)snprintf(b.kernels, sizeof(b.kernels), "Has\nwell\033[2J");
    (void)snprintf(b.processor, sizeof(b.processor), "Prozessor der H\xC3\xB6he");
    reeve_build_check(&b);
    assert_string_equal(b.kernels, "Has well [2J");
    assert_string_equal(b.processor, "Prozessor der H\xC3\xB6he"); /* a letter is a letter */
}

/* What a start says that finds a checkpoint of `was`. */
static const char *told(const char *was, const char *now, bool plugin, uint32_t threads)
{
    static char text[2048];
    static struct reeve_recovered from;
    char path[] = "build_text_XXXXXX";
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    (void)close(fd);
    from = (struct reeve_recovered){.resume_step = 7, .threads = 1};
    (void)snprintf(from.build, sizeof(from.build), "%s", was);
    assert_int_equal(reeve_log_open_file(path, NULL), REEVE_OK);
    reeve_build_tell_change(&from, now, plugin, threads);
    reeve_log_close_file();
    FILE *f = fopen(path, "re");
    assert_non_null(f);
    text[fread(text, 1, sizeof(text) - 1, f)] = '\0';
    (void)fclose(f);
    (void)unlink(path);
    return text;
}

static void a_change_of_build_is_told_by_what_it_does_to_the_bits(void **state)
{
    const char *skylake = "reeve 0.1.0, gcc 12.2, OpenBLAS 0.3.21 Haswell, Xeon Gold 6148 (family 6 model 85)";
    const char *milan = "reeve 0.1.0, gcc 12.2, OpenBLAS 0.3.21 Haswell, EPYC 7763 (family 25 model 1)";
    const char *zen = "reeve 0.1.0, gcc 12.2, OpenBLAS 0.3.21 Zen, EPYC 7763 (family 25 model 1)";
    const char *worse = "but not to the bits of a run that stayed where it was";
    char mixed_a[300], mixed_b[300];
    (void)state;
    (void)snprintf(mixed_a, sizeof(mixed_a), REEVE_BUILD_MIXED "%s; %s", zen, skylake);
    (void)snprintf(mixed_b, sizeof(mixed_b), REEVE_BUILD_MIXED "%s; %s", zen, milan);
    assert_string_equal(told(skylake, skylake, false, 1), "");
    assert_non_null(strstr(told(skylake, milan, false, 1), "to the same bits: another processor"));
    assert_null(strstr(told(skylake, milan, false, 1), "warning"));
    assert_non_null(strstr(told(skylake, milan, true, 1), worse));
    assert_non_null(strstr(told(milan, zen, false, 1), worse));
    assert_non_null(strstr(told(milan, zen, false, 1), "warning"));
    assert_non_null(strstr(told(mixed_a, mixed_b, false, 1), worse));
    assert_non_null(strstr(told("", zen, false, 1), worse)); /* as no checkpoint says it */
    assert_non_null(strstr(told(zen, zen, false, 2), "computed with resources.threads 1; now it is 2"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_build_text_has_room_for_the_longest_names),
        cmocka_unit_test(a_build_text_reads_as_in_the_checkpoints_of_before),
        cmocka_unit_test(a_build_is_the_same_bytes_each_time),
        cmocka_unit_test(a_build_of_another_rank_ends_and_has_one_line),
        cmocka_unit_test(a_change_of_build_is_told_by_what_it_does_to_the_bits),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
