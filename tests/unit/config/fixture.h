/* A fresh folder for each program, and files in it. Include after cmocka.h. */
#ifndef REEVE_TESTS_CONFIG_FIXTURE_H
#define REEVE_TESTS_CONFIG_FIXTURE_H

#include <stddef.h>
#include <stdint.h>

int fixture_setup(void **state);    /* makes the folder and goes there */
int fixture_teardown(void **state); /* removes it */
const char *fixture_folder(void);   /* absolute */
void fixture_write(const char *path, const char *text);
void fixture_write_bytes(const char *path, const void *bytes, size_t n);
/* A seed for random input: REEVE_TEST_SEED, or a fresh one; printed, so that a failure can be repeated. */
uint64_t fixture_seed(void);

#endif
