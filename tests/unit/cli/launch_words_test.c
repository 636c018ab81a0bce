/* What mpirun says when a launch ends badly is understood, in the words of both versions, and all else passes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/launch_words.h"

#define DASHES "--------------------------------------------------------------------------\n"

static const char open_mpi_4[] =
    "worker 2: something of its own\n" DASHES "Primary job  terminated normally, but 1 process returned\n"
    "a non-zero exit code. Per user-direction, the job has been aborted.\n" DASHES DASHES
    "mpirun noticed that process rank 3 with PID 0 on node vm exited on signal 11 (Segmentation fault).\n" DASHES;

static const char open_mpi_5[] = DASHES "prterun noticed that process rank 3 with PID 11288 on node node0042.cluster "
                                        "exited on\nsignal 9 (Killed).\n" DASHES;

/* A rank that was killed before it was known to mpirun. */
static const char open_mpi_4_early[] = DASHES
    "mpirun has exited due to process rank 2 with PID 0 on\nnode vm exiting improperly. There are three reasons "
    "this could occur:\n\n1. this process did not call \"init\" before exiting, but others in\nthe job did.\n" DASHES;

static const char no_slots[] = DASHES "There are not enough slots available in the system to satisfy the 4\n"
                                      "slots that were requested by the application:\n" DASHES;

/* Feed the text in pieces of so many bytes. Returns what passed; free(). */
static char *feed(struct reeve_launch_words *w, const char *text, size_t piece)
{
    char *passed = NULL;
    size_t bytes = 0, length = strlen(text);
    FILE *out = open_memstream(&passed, &bytes);
    assert_non_null(out);
    *w = (struct reeve_launch_words){0};
    for (size_t at = 0; at < length; at += piece)
        reeve_launch_words_take(w, text + at, length - at < piece ? length - at : piece, out, NULL);
    reeve_launch_words_flush(w, out);
    assert_int_equal(fclose(out), 0);
    return passed;
}

static void words_of_a_death_are_understood_and_kept_back(void **state)
{ /* Method: the texts as they were printed by 4.1.4 and 5.0.7, in pieces of every size. */
    (void)state;
    for (size_t piece = 1; piece < 500; piece++) {
        struct reeve_launch_words w;
        char *passed = feed(&w, open_mpi_4, piece);
        assert_string_equal(passed, "worker 2: something of its own\n");
        assert_true(w.death.known);
        assert_int_equal(w.death.rank, 3);
        assert_int_equal(w.death.signal, 11);
        assert_string_equal(w.death.host, "vm");
        free(passed);
        passed = feed(&w, open_mpi_5, piece);
        assert_string_equal(passed, "");
        assert_true(w.death.known);
        assert_int_equal(w.death.signal, 9);
        assert_string_equal(w.death.host, "node0042.cluster");
        free(passed);
        passed = feed(&w, open_mpi_4_early, piece);
        assert_string_equal(passed, "");
        assert_true(w.death.known);
        assert_int_equal(w.death.rank, 2);
        assert_int_equal(w.death.signal, 0);
        assert_string_equal(w.death.host, "vm");
        free(passed);
    }
}

static void words_that_a_user_must_see_pass(void **state)
{
    (void)state;
    for (size_t piece = 1; piece < 300; piece += 7) {
        struct reeve_launch_words w;
        char *passed = feed(&w, no_slots, piece);
        assert_string_equal(passed, no_slots);
        assert_false(w.death.known);
        free(passed);
    }
}

static void words_without_an_end_are_not_swallowed(void **state)
{ /* A line of dashes of a rank's own, a block without its end, a line without a line feed, and a very long one. */
    (void)state;
    struct reeve_launch_words w;
    char *passed = feed(&w, DASHES "and no more\nlast", 5);
    assert_string_equal(passed, DASHES "and no more\nlast");
    free(passed);
    char *longer = calloc(1, 100001);
    assert_non_null(longer);
    memset(longer, 'x', 100000);
    memcpy(longer, DASHES, sizeof(DASHES) - 1);
    passed = feed(&w, longer, 1000);
    assert_int_equal(strlen(passed), 100000);
    free(passed);
    free(longer);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(words_of_a_death_are_understood_and_kept_back),
        cmocka_unit_test(words_that_a_user_must_see_pass),
        cmocka_unit_test(words_without_an_end_are_not_swallowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
