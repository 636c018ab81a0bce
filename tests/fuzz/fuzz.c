/* See fuzz.h. */
#include "fuzz.h"

#include <fcntl.h>
#include <hdf5.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/digest.h"
#include "base/path.h"
#include "store/seal_outside.h"

static char folder[128];

static void remove_folder(void)
{
    (void)reeve_remove_tree(folder, NULL);
}

const char *fuzz_folder(void)
{
    if (folder[0] != '\0') return folder;
    (void)snprintf(folder, sizeof(folder), "/dev/shm/reeve-fuzz-XXXXXX");
    if (mkdtemp(folder) == NULL) {
        (void)snprintf(folder, sizeof(folder), "/tmp/reeve-fuzz-XXXXXX");
        if (mkdtemp(folder) == NULL) abort();
    }
    (void)atexit(remove_folder);
    /* Each open of libhdf5 clears half a megabyte: of memory that it keeps, instead of new pages each time. */
    (void)H5set_free_list_limits(-1, -1, -1, -1, -1, -1);
    return folder;
}

const char *fuzz_file(const char *name, const void *bytes, size_t size)
{
    static char path[PATH_MAX];
    char dir[PATH_MAX];
    if (reeve_path_join(path, sizeof(path), fuzz_folder(), name, NULL) != REEVE_OK) abort();
    reeve_path_dirname(path, dir, sizeof(dir));
    if (reeve_mkdir_parents(dir, NULL) != REEVE_OK) abort();
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666);
    if (fd < 0 || (size > 0 && reeve_pwrite_all(fd, bytes, size, 0, path, NULL) != REEVE_OK) || close(fd) != 0) abort();
    return path;
}

void fuzz_broken(const char *format, ...)
{
    va_list list;
    va_start(list, format);
    (void)fputs("broken promise: ", stderr);
    (void)vfprintf(stderr, format, list);
    (void)fputc('\n', stderr);
    va_end(list);
    abort();
}

void fuzz_seal(uint8_t *bytes, size_t size, size_t seal_at)
{
    struct reeve_digest seal;
    if (size < sizeof(seal) || seal_at > size - sizeof(seal)) return;
    if (reeve_seal_outside_memory(bytes, size, NULL, 0, seal_at, &seal, NULL) == REEVE_OK)
        memcpy(bytes + seal_at, &seal, sizeof(seal));
}

uint8_t *fuzz_copy(const uint8_t *data, size_t size)
{
    uint8_t *copy = malloc(size + 1);
    if (copy == NULL) abort();
    if (size > 0) memcpy(copy, data, size);
    return copy;
}
