/* The frame of the programs of this folder: record what a piece of Reeve does, make crash states of it, let a checker
 * judge each, and prove that the checker would find a lost sync. */
#ifndef REEVE_TEST_CRASH_H
#define REEVE_TEST_CRASH_H

#include "disk.h"
#include "reeve/status.h"

/* For act(), whose error is err: leave with the first failure. What it holds dies with the process. */
#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        reeve_status try_status = (call);                                                                              \
        if (try_status != REEVE_OK) return try_status;                                                                 \
    } while (0)

/* What must be there in a state: what Reeve was told, or told others, before the crash. */
struct crash_promise {
    bool power;              /* the machine died, not only the process */
    bool disturbed;          /* its disk had faults: it need not be what learn() saw */
    uint64_t lsn;            /* records up to this one */
    uint64_t step, digest64; /* the newest checkpoint on record; 0: none */
    uint64_t version;        /* of a file that is replaced */
    uint64_t begun;          /* marks of any kind that were passed: how far it got */
};

struct crash_case {
    const char *name;
    /* In a child process; root exists, is empty and is watched. Undisturbed it returns OK; with faults in its disk, what
     * the piece of Reeve returned that failed first. */
    reeve_status (*act)(const char *root, struct reeve_error *err);
    /* Once, in the parent, over what act() left in the end; for what check() compares with. May be NULL. */
    void (*learn)(const char *root);
    /* Is everything promised in this folder, and can it go on? It may change the folder. False: why. */
    bool (*check)(const char *folder, const struct crash_promise *p, char *why, size_t why_bytes);
    /* What the next process does after act() has failed, with the disk in order again: it goes on from what it reads, and
     * ends with OK. Its deeds and words follow those of act() in the record. */
    reeve_status (*again)(const char *root, struct reeve_error *err);
    struct fault conditions; /* of the file system it runs on: no_flags, no_links */
    unsigned share;          /* of the states, against the other cases of the program */
    bool no_sync_proof;      /* its checker forgives what a lost sync does */
};

#define CRASH_WHY_BYTES 2048

/* Options: see crash.c. Returns the exit code. */
int crash_main(int argc, char **argv, const struct crash_case *cases, unsigned count);

/* dir/name into PATH_MAX bytes. */
void crash_path(char *out, const char *dir, const char *name);
/* For check(): put words into why; false. */
bool crash_found(char *why, size_t why_bytes, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Does an unchanged HDF5 library open the file and read all of it? Now and then h5dump is asked as well. */
bool crash_stock_reads(const char *path, char *why, size_t why_bytes);
/* All files of that folder whose name has so many characters and ends in .h5. A missing folder has none. */
bool crash_stock_reads_all(const char *folder, size_t name_length, char *why, size_t why_bytes);

#endif
