/* What the fuzz targets share: bytes as a file, and words for a broken promise. Each target is one entry point of
 * libFuzzer (LLVMFuzzerTestOneInput), and reads with the code that a run reads with. Whatever the bytes are, it must end
 * with a status: the sanitizers judge the rest. */
#ifndef REEVE_TEST_FUZZ_H
#define REEVE_TEST_FUZZ_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A folder of this process, in memory where there is such a place; gone when it ends. */
const char *fuzz_folder(void);
/* Write folder/name, replacing it; missing folders are made. Returns the path (static storage, until the next call). */
const char *fuzz_file(const char *name, const void *bytes, size_t size);
/* Ends the process as a finding. */
void fuzz_broken(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
#define FUZZ_CHECK(condition, ...)                                                                                     \
    do {                                                                                                               \
        if (!(condition)) fuzz_broken(__VA_ARGS__);                                                                    \
    } while (0)
/* Put the seal (XXH3-128 of all bytes but its own 16) at seal_at, if the file is that long: behind it lies what the
 * seal keeps hidden from bytes that merely flip. */
void fuzz_seal(uint8_t *bytes, size_t size, size_t seal_at);
/* A copy to change; free(). */
uint8_t *fuzz_copy(const uint8_t *data, size_t size);

#endif
