/* Frames: what is pushed comes back, and nothing that comes from the wire is trusted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "base/random.h"
#include "core/frame.h"

static void frames_come_back_as_they_were_pushed(void **state)
{
    (void)state;
    unsigned char message[4096];
    size_t used = 0, offset = 0;
    struct reeve_frame in = {.kind = REEVE_FRAME_FAILED,
                             .epoch = 3,
                             .worker = 2,
                             .task = 7,
                             .attempt = 1,
                             .step = 1u << 31,
                             .a = UINT64_MAX};
    assert_true(reeve_frame_push(message, sizeof(message), &used, &in, "seven!!"));
    assert_true(reeve_frame_push(message, sizeof(message), &used, &in, NULL));
    struct reeve_frame out;
    const char *text;
    bool end;
    assert_int_equal(reeve_frame_next(message, used, &offset, &out, &text, &end), REEVE_OK);
    assert_int_equal(out.text_bytes, 7);
    assert_memory_equal(text, "seven!!", 7);
    assert_int_equal(out.a, UINT64_MAX);
    assert_int_equal(reeve_frame_next(message, used, &offset, &out, &text, &end), REEVE_OK);
    assert_int_equal(out.text_bytes, 0);
    assert_false(end);
    assert_int_equal(reeve_frame_next(message, used, &offset, &out, &text, &end), REEVE_OK);
    assert_true(end);
}

static void a_frame_that_does_not_fit_changes_nothing(void **state)
{
    (void)state;
    unsigned char message[160];
    size_t used = 0;
    struct reeve_frame f = {.kind = REEVE_FRAME_LEASE};
    assert_true(reeve_frame_push(message, sizeof(message), &used, &f, NULL));
    assert_true(reeve_frame_push(message, sizeof(message), &used, &f, NULL));
    size_t before = used;
    assert_false(reeve_frame_push(message, sizeof(message), &used, &f, NULL));
    assert_int_equal(used, before);
}

/* Method: cut a good message at every length, and change random bytes; walking it must end, within its bounds. */
static void damaged_messages_are_refused_or_end(void **state)
{
    (void)state;
    uint64_t seed = (uint64_t)time(NULL);
    print_message("seed %llu\n", (unsigned long long)seed);
    unsigned char good[1024], bad[1024];
    size_t used = 0;
    struct reeve_frame f = {.kind = REEVE_FRAME_DONE};
    for (int i = 0; i < 5; i++)
        assert_true(reeve_frame_push(good, sizeof(good), &used, &f, "some words"));
    for (size_t cut = 0; cut < used; cut++) {
        size_t offset = 0;
        const char *text;
        bool end;
        assert_int_equal(reeve_frame_next(good, cut, &offset, &f, &text, &end), REEVE_INPUT_INVALID);
    }
    for (uint64_t i = 0; i < 20000; i++) {
        memcpy(bad, good, used);
        for (int n = 0; n < 3; n++)
            bad[reeve_random_below(seed, (uint64_t)n, i, used)] =
                (unsigned char)reeve_random_u64(seed, 9 + (uint64_t)n, i);
        size_t offset = 0;
        bool end = false;
        const char *text = NULL;
        for (int frames = 0; !end && reeve_frame_next(bad, used, &offset, &f, &text, &end) == REEVE_OK; frames++) {
            assert_true(frames <= 16 && offset <= used);
            assert_true(end || text + f.text_bytes <= (const char *)bad + used);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_come_back_as_they_were_pushed),
        cmocka_unit_test(a_frame_that_does_not_fit_changes_nothing),
        cmocka_unit_test(damaged_messages_are_refused_or_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
