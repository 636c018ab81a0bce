/* What the tests of the journal and of checkpoints share: a fresh folder, bytes of a file changed behind our back, and
 * random numbers from a seed that is printed. */
#ifndef REEVE_TEST_STORE_FIXTURE_H
#define REEVE_TEST_STORE_FIXTURE_H

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/error.h"
#include "base/path.h"
#include "base/random.h"

struct fixture {
    char dir[256];
    uint64_t seed, draws;
};

/* A failed assert jumps back into cmocka, where a child would go on as a second test program: it leaves instead. */
static inline pid_t fork_child(void)
{
    (void)fflush(NULL);
    pid_t pid = fork();
    if (pid != 0) return pid;
    (void)alarm(300); /* a child that hangs; a slow machine or a sanitizer is no reason */
    (void)setenv("CMOCKA_TEST_ABORT", "1", 1);
    return 0;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof(*f));
    const char *base = getenv("TMPDIR");
    const char *seed = getenv("REEVE_TEST_SEED");
    (void)snprintf(f->dir, sizeof(f->dir), "%s/reeve-store-XXXXXX", base != NULL && strlen(base) < 200 ? base : "/tmp");
    f->seed = seed != NULL ? strtoull(seed, NULL, 0) : (uint64_t)time(NULL) * 1000003u + (uint64_t)getpid();
    printf("seed %llu (REEVE_TEST_SEED repeats it)\n", (unsigned long long)f->seed);
    *state = f;
    return mkdtemp(f->dir) != NULL ? 0 : -1;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    (void)reeve_remove_tree(f->dir, NULL);
    free(f);
    return 0;
}

/* 0..bound-1 */
static inline uint64_t draw(struct fixture *f, uint64_t bound)
{
    return reeve_random_below(f->seed, 0, f->draws++, bound);
}

static inline void check_ok(reeve_status st, const struct reeve_error *err, int line)
{
    if (st != REEVE_OK) fail_msg("line %d: %s: %s", line, reeve_status_name(st), err->text);
}
#define OK(call) check_ok((call), &err, __LINE__)

static inline void check_status(reeve_status st, reeve_status expected, const struct reeve_error *err, int line)
{
    if (st != expected)
        fail_msg("line %d: %s, expected %s (%s)", line, reeve_status_name(st), reeve_status_name(expected),
                 st == REEVE_OK ? "" : err->text);
}
#define FAILS(call, expected) check_status((call), (expected), &err, __LINE__)

static inline size_t file_size(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return (size_t)st.st_size;
}

static inline uint8_t *file_load(const char *path, size_t *n)
{
    char *bytes;
    assert_int_equal(reeve_file_read(path, (size_t)1 << 30, &bytes, n, NULL), REEVE_OK);
    return (uint8_t *)bytes;
}

static inline void file_store(const char *path, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0666);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, bytes, n), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

static inline void file_poke(const char *path, size_t at, const void *bytes, size_t n)
{
    int fd = open(path, O_WRONLY);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, bytes, n, (off_t)at), (ssize_t)n);
    assert_int_equal(close(fd), 0);
}

/* Does HDF5's own tool read the file? -1: there is no such tool here. */
static inline int h5dump_reads(const char *path, const char *options)
{
    char command[PATH_MAX + 128];
    if (system("command -v h5dump >/dev/null 2>&1") != 0) return -1;
    (void)snprintf(command, sizeof(command), "h5dump %s '%s' >/dev/null 2>&1", options, path);
    return system(command) == 0;
}

/* Run body in a child with a time limit; its exit code, or 128 + signal. */
static inline int in_child(void (*body)(struct fixture *), struct fixture *f)
{
    pid_t pid = fork_child();
    assert_true(pid >= 0);
    if (pid == 0) {
        body(f);
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(pid, &status, 0), pid);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

/* For children, where cmocka's asserts cannot be used: leave with the line number's trace on stderr. */
#define CHILD_CHECK(condition)                                                                                         \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            (void)fprintf(stderr, "child: line %d: %s\n", __LINE__, #condition);                                       \
            _exit(1);                                                                                                  \
        }                                                                                                              \
    } while (0)

#endif
