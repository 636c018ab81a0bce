/* Paths and files: joined within bounds, read within bounds, replaced as a whole, removed without following links. */
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

static char folder[] = "/tmp/reeve-path-test-XXXXXX";

static int setup(void **state)
{
    return mkdtemp(folder) == NULL || chdir(folder) != 0 ? -1 : 0;
}

static int teardown(void **state)
{
    return chdir("/") == 0 && reeve_remove_tree(folder, NULL) == REEVE_OK ? 0 : -1;
}

static void path_join_and_dirname(void **state)
{
    char out[16];
    struct reeve_error err;
    assert_int_equal(reeve_path_join(out, sizeof(out), "a", "b", NULL), REEVE_OK);
    assert_string_equal(out, "a/b");
    assert_int_equal(reeve_path_join(out, sizeof(out), "a/", "b", NULL), REEVE_OK);
    assert_string_equal(out, "a/b");
    assert_int_equal(reeve_path_join(out, sizeof(out), "a", "/b", NULL), REEVE_OK);
    assert_string_equal(out, "/b");
    assert_int_equal(reeve_path_join(out, sizeof(out), "0123456", "1234567", NULL), REEVE_OK); /* 15 and the NUL */
    assert_int_equal(reeve_path_join(out, sizeof(out), "0123456", "12345678", &err), REEVE_INPUT_INVALID);
    reeve_path_dirname("a/b/c", out, sizeof(out));
    assert_string_equal(out, "a/b");
    reeve_path_dirname("c", out, sizeof(out));
    assert_string_equal(out, ".");
    reeve_path_dirname("/c", out, sizeof(out));
    assert_string_equal(out, "/");
}

static void path_mkdir_makes_parents_and_refuses_a_file_in_the_way(void **state)
{
    struct reeve_error err;
    assert_int_equal(reeve_mkdir_parents("m/n/o", NULL), REEVE_OK);
    assert_int_equal(reeve_mkdir_parents("m/n/o/", NULL), REEVE_OK);
    assert_int_equal(reeve_mkdir_parents("m//n/p", NULL), REEVE_OK);
    assert_true(reeve_path_exists("m/n/p"));
    assert_int_equal(reeve_file_replace("m/file", "x", 1, false, NULL), REEVE_OK);
    assert_int_equal(reeve_mkdir_parents("m/file", &err), REEVE_STORE_CREATE);
    assert_int_equal(reeve_mkdir_parents("m/file/x", &err), REEVE_STORE_CREATE);
    assert_int_equal(reeve_mkdir_parents("", &err), REEVE_INPUT_INVALID);
}

static void file_read_is_bounded(void **state)
{
    struct reeve_error err;
    char *text = NULL;
    size_t bytes = 99;
    assert_int_equal(reeve_file_replace("ten", "01234\0006789", 11, false, NULL), REEVE_OK);
    assert_int_equal(reeve_file_read("ten", 11, &text, &bytes, &err), REEVE_OK);
    assert_int_equal(bytes, 11);
    assert_memory_equal(text, "01234\00006789", 6);
    assert_int_equal(text[11], '\0');
    free(text);
    text = NULL;
    assert_int_equal(reeve_file_read("ten", 10, &text, &bytes, &err), REEVE_INPUT_INVALID);
    assert_int_equal(reeve_file_read(".", 10, &text, &bytes, &err), REEVE_INPUT_INVALID);
    assert_int_equal(reeve_file_read("absent", 10, &text, &bytes, &err), REEVE_INPUT_MISSING);
    assert_int_equal(reeve_file_read("/dev/zero", 1 << 20, &text, &bytes, &err), REEVE_INPUT_INVALID); /* has no end */
    assert_null(text);
    assert_int_equal(reeve_file_read("/dev/null", 0, &text, &bytes, &err), REEVE_OK);
    assert_int_equal(bytes, 0);
    free(text);
}

static void file_replace_leaves_the_old_one_when_it_fails(void **state)
{
    struct reeve_error err;
    char *text = NULL;
    size_t bytes = 0;
    struct stat st;
    assert_int_equal(reeve_file_replace("kept", "old", 3, true, NULL), REEVE_OK);
    assert_int_equal(reeve_file_replace("kept", "newer", 5, true, NULL), REEVE_OK);
    assert_int_equal(reeve_file_read("kept", 100, &text, &bytes, &err), REEVE_OK);
    assert_string_equal(text, "newer");
    free(text);
    assert_int_equal(mkdir("folder", 0777), 0);
    assert_int_equal(reeve_file_replace("folder", "x", 1, true, &err), REEVE_STORE_CREATE); /* rename onto a folder */
    assert_int_equal(reeve_file_replace("absent/x", "x", 1, true, &err), REEVE_STORE_CREATE);
    assert_int_equal(stat("folder", &st), 0);
    assert_true(S_ISDIR(st.st_mode));
    char left[64];
    (void)snprintf(left, sizeof(left), "folder.tmp-%ld-0", (long)getpid());
    assert_false(reeve_path_exists(left));
}

/* Goal: a process in another container, or on another host, that has our number and replaces the same file just now,
 * writes it whole. Method: its temporary file is there, half written. */
static void file_replace_leaves_the_temporary_file_of_a_process_with_its_number(void **state)
{
    char name[REEVE_PATH_BYTES_MAX];
    struct reeve_error err;
    char *text = NULL;
    size_t bytes = 0;
    int theirs = reeve_temporary_open("both", name);
    assert_true(theirs >= 0);
    assert_int_equal(write(theirs, "their", 5), 5);
    assert_int_equal(reeve_file_replace("both", "ours", 4, false, &err), REEVE_OK);
    assert_int_equal(write(theirs, "s", 1), 1);
    assert_int_equal(close(theirs), 0);
    assert_int_equal(reeve_file_read("both", 100, &text, &bytes, &err), REEVE_OK);
    assert_string_equal(text, "ours");
    free(text);
    assert_int_equal(rename(name, "both"), 0);
    assert_int_equal(reeve_file_read("both", 100, &text, &bytes, &err), REEVE_OK);
    assert_string_equal(text, "theirs");
    free(text);
}

static void file_pread_says_where_it_ends(void **state)
{
    struct reeve_error err;
    char out[8] = "";
    int fd = open("p", O_RDWR | O_CREAT, 0666);
    assert_true(fd >= 0);
    assert_int_equal(reeve_pwrite_all(fd, "abcdef", 6, 2, "p", &err), REEVE_OK);
    assert_int_equal(reeve_pread_all(fd, out, 6, 2, "p", &err), REEVE_OK);
    assert_memory_equal(out, "abcdef", 6);
    assert_int_equal(reeve_pread_all(fd, out, 8, 2, "p", &err), REEVE_STORE_CORRUPT);
    assert_string_equal(err.text, "p ends at byte 8; 2 more were expected");
    (void)close(fd);
    assert_int_equal(reeve_pwrite_all(-1, "x", 1, 0, "p", &err), REEVE_STORE_WRITE);
}

/* Goal: a full disk is named with what to do. Method: /dev/full, which always is. */
static void file_full_disk_is_named(void **state)
{
    struct reeve_error err;
    int fd = open("/dev/full", O_WRONLY);
    if (fd < 0) skip();
    assert_int_equal(reeve_pwrite_all(fd, "x", 1, 0, "x.h5", &err), REEVE_STORE_WRITE);
    assert_non_null(strstr(err.text, "x.h5: No space left"));
    (void)close(fd);
}

/* Goal: nothing outside is ever removed. Method: links to a file and a folder outside the tree. */
static void remove_tree_does_not_follow_links(void **state)
{
    assert_int_equal(reeve_mkdir_parents("outside", NULL), REEVE_OK);
    assert_int_equal(reeve_file_replace("outside/file", "x", 1, false, NULL), REEVE_OK);
    assert_int_equal(reeve_mkdir_parents("tree/a/b", NULL), REEVE_OK);
    assert_int_equal(reeve_file_replace("tree/a/file", "x", 1, false, NULL), REEVE_OK);
    assert_int_equal(symlink("../outside", "tree/folder"), 0);
    assert_int_equal(symlink("../outside/file", "tree/link"), 0);
    assert_int_equal(symlink("nowhere", "tree/dangling"), 0);
    assert_int_equal(reeve_remove_tree("tree", NULL), REEVE_OK);
    assert_false(reeve_path_exists("tree"));
    assert_true(reeve_path_exists("outside/file"));
    assert_int_equal(symlink("outside", "link"), 0);
    assert_int_equal(reeve_remove_tree("link", NULL), REEVE_OK);
    assert_true(reeve_path_exists("outside/file"));
    assert_int_equal(reeve_remove_tree("never was", NULL), REEVE_OK);
}

static void fsync_dir_names_a_missing_folder(void **state)
{
    struct reeve_error err;
    assert_int_equal(reeve_fsync_dir(".", &err), REEVE_OK);
    assert_int_equal(reeve_fsync_dir("absent", &err), REEVE_STORE_CREATE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(path_join_and_dirname),
        cmocka_unit_test(path_mkdir_makes_parents_and_refuses_a_file_in_the_way),
        cmocka_unit_test(file_read_is_bounded),
        cmocka_unit_test(file_replace_leaves_the_old_one_when_it_fails),
        cmocka_unit_test(file_replace_leaves_the_temporary_file_of_a_process_with_its_number),
        cmocka_unit_test(file_pread_says_where_it_ends),
        cmocka_unit_test(file_full_disk_is_named),
        cmocka_unit_test(remove_tree_does_not_follow_links),
        cmocka_unit_test(fsync_dir_names_a_missing_folder),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
