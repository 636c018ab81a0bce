/* The memory that the workers of a host share. The sums through it are in tests/mpi. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <unistd.h>

#include "base/error.h"
#include "coll/shared.h"

#define MEMBERS 3u

/* In place of the C library's, as older kernels have it while signals come: the first one ends it. */
int posix_fallocate(int fd, off_t offset, off_t bytes)
{
    sigset_t blocked;
    if (sigprocmask(SIG_BLOCK, NULL, &blocked) != 0) return errno;
    if (sigismember(&blocked, SIGPROF) != 1) return EINTR;
    return ftruncate(fd, offset + bytes) == 0 ? 0 : errno;
}

static void memory_is_made_while_signals_come(void **state)
{ /* Goal: workers under a profiler share memory as others do. */
    struct shared maker, other;
    struct reeve_error err = {0};
    sigset_t after;
    char name[64];
    (void)state;
    (void)snprintf(name, sizeof(name), "/reeve-own-test-%ld", (long)getpid());
    reeve_status made = shared_make(&maker, name, 0, MEMBERS, true, &err);
    reeve_status opened = made == REEVE_OK ? shared_make(&other, name, 1, MEMBERS, false, &err) : made;
    shared_unlink(name);
    if (opened != REEVE_OK) fail_msg("%s", err.text);
    ((volatile unsigned char *)maker.map)[maker.map_bytes - 1] = 7;
    assert_int_equal(((volatile unsigned char *)other.map)[other.map_bytes - 1], 7);
    shared_fini(&other);
    shared_fini(&maker);
    assert_int_equal(sigprocmask(SIG_BLOCK, NULL, &after), 0);
    assert_int_equal(sigismember(&after, SIGPROF), 0); /* and afterwards they come again */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(memory_is_made_while_signals_come),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
