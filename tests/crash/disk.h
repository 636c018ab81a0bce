/* What may be found on a disk after a crash: from a record of operations to a folder in one of the states that a crash
 * after the n-th operation can leave.
 *
 * After a killed process all that was done is there, but for the end of a write that was under way. After a power cut:
 * - of what was written to a file since it was last synced, each 4096-byte page (or, by choice, each 512-byte sector) is
 *   as it was at some moment since then: all moments are possible, for each page another one;
 * - the size of the file is the old one, the new one, or as long as what is there;
 * - operations on names (create, rename, link, unlink, mkdir) that no fsync of their folder has followed may be missing:
 *   by choice in the order in which journaling file systems lose them (the last ones), or any of them (POSIX promises no
 *   order), with those that build on them;
 * - what was written before an fsync that failed may be missing for ever, whatever a second fsync says.
 * Source: ALICE, Pillai et al., OSDI 2014; Rebello et al., USENIX ATC 2020 (failed fsync). */
#ifndef REEVE_TEST_CRASH_DISK_H
#define REEVE_TEST_CRASH_DISK_H

#include "trace.h"

struct disk; /* the record, with files instead of descriptors */

enum disk_crash {
    CRASH_KILL,
    CRASH_POWER,       /* names are lost from the end */
    CRASH_POWER_LOOSE, /* any name is lost */
};

#define DISK_WHOLE UINT64_MAX

struct disk_state {
    size_t count; /* operations that were begun */
    enum disk_crash kind;
    uint64_t torn; /* KILL: bytes of the last operation, a write, that arrived; DISK_WHOLE */
    uint64_t seed; /* POWER */
};

#define DISK_ALL_SYNCS SIZE_MAX
/* t is borrowed. without: the number of an operation, a sync, that has no effect; DISK_ALL_SYNCS: none. */
struct disk *disk_create(const struct trace *t, size_t without);
void disk_destroy(struct disk *d);
/* Bytes of the n-th operation if it is a write, otherwise 0. */
uint64_t disk_write_bytes(const struct disk *d, size_t n);
bool disk_is_mark(const struct disk *d, size_t n);
/* Make the state in folder, which is empty and exists. */
void disk_build(const struct disk *d, const struct disk_state *s, const char *folder);
/* "power cut after operation 12 of 345 (rename journal/a -> journal/b), seed 7" */
void disk_describe(const struct disk *d, const struct disk_state *s, char *out, size_t out_bytes);

#endif
